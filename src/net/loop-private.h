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
	bool closing;
	uv_loop_t uv;
	uv_timer_t timer; /* fires when the heap's first is due */
	uv_prepare_t prepare;
	uv_check_t check;
	uv_idle_t idle;          /* runs while tasks wait, so that the poll does not block */
	struct net_timer **heap; /* a binary heap by due_ms, from index 1 */
	uint32_t timers, timers_cap;
	uint64_t armed_ms; /* what `timer` is set to; 0: unset */
	struct net_task_list tasks;
	uint32_t ntasks;
	struct net_poll_list spare_polls;
	unsigned nspare_polls;
	int spare_pipes[32][2]; /* empty pipes of relays */
	unsigned nspare_pipes;
	char *scratch; /* 64 KiB through which relays copy; made by the first that does */
	unsigned threads;
	uint64_t wall_read_ms; /* the tick in which `wall_s` was read */
	int64_t wall_s;
	struct resolver *resolver; /* made by the first connect */
};

/* Lets the library's timer follow the heap's first. */
void loop_timers_arm(struct net_loop *l);
void loop_timers_fini(struct net_loop *l);
/* Closes a handle that was still open at net_loop_free. */
void loop_poll_close(uv_handle_t *h);
void loop_polls_fini(struct net_loop *l);
void loop_pipes_fini(struct net_loop *l);
void loop_wake_close(uv_handle_t *h);
void loop_signal_close(uv_handle_t *h);

#endif
