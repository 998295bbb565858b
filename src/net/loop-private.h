/* The loop's inside, shared by the files of room net. */
#ifndef LARDER_NET_LOOP_PRIVATE_H
#define LARDER_NET_LOOP_PRIVATE_H

#include <uv.h>

#include "base/queue.h"
#include "net/loop.h"

#define NET_LOOP_MAGIC 0x6e65746cU

TAILQ_HEAD(net_task_list, net_task);
LIST_HEAD(net_poll_list, net_poll);

struct net_loop {
	uint32_t magic;
	bool closing, stopping;
	bool uv_due; /* the library has something to do that its descriptor does not tell of */
	int epoll;
	uv_loop_t uv;          /* wakes, work on threads, signals: its descriptor is one of epoll's */
	uv_prepare_t alive;    /* else the library would not look for unreferenced handles */
	uint64_t now_ms;
	struct net_timer **heap; /* a binary heap by due_ms, from index 1 */
	uint32_t timers, timers_cap;
	struct net_task_list tasks;
	uint32_t ntasks, works;
	struct net_poll_list polls;   /* all */
	struct net_poll_list changed; /* the kernel has to be told */
	struct net_poll_list freed;   /* events that were fetched already may still name them */
	struct net_poll_list spare_polls;
	unsigned nspare_polls, watching;
	int spare_pipes[32][2]; /* empty pipes of relays */
	unsigned nspare_pipes;
	char *scratch; /* 64 KiB through which relays copy; made by the first that does */
	unsigned threads;
	uint64_t wall_read_ms; /* the tick in which `wall_s` was read */
	int64_t wall_s;
	struct resolver *resolver; /* made by the first name */
};

/* Lets the library call back, without waiting. */
void loop_library_run(struct net_loop *l);
/* Tells the kernel what changed; false when it could not take all of it now. */
bool loop_polls_flush(struct net_loop *l);
/* Waits for events (ms; -1: for ever), and calls back. */
void loop_polls_wait(struct net_loop *l, int timeout_ms);
void loop_polls_fini(struct net_loop *l);
/* Runs the timers that are due. */
void loop_timers_fire(struct net_loop *l);
void loop_timers_fini(struct net_loop *l);
void loop_pipes_fini(struct net_loop *l);
/* Nobody is told of names any more; threads that still look some up end by themselves. */
void loop_resolver_fini(struct net_loop *l);
/* Closes a handle that was still open at net_loop_free. */
void loop_wake_close(uv_handle_t *h);
void loop_signal_close(uv_handle_t *h);

#endif
