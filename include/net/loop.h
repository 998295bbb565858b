/*
 * The loop of a worker or keeper: descriptors and timers (epoll and a heap of our own), work on threads,
 * wake-ups and signals (libuv, whose types do not leave this room).
 *
 * Vocabulary: *poll* = watching one descriptor; *timer* = an embedded one-shot timer; *tick* =
 * one turn of the loop.
 */
#ifndef LARDER_NET_LOOP_H
#define LARDER_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"

struct net_loop;

/* Sets UV_THREADPOOL_SIZE if unset, so it must be the process's first use of the loop. The process
 * ignores SIGPIPE from then on. NULL: out of memory. */
struct net_loop *net_loop_new(unsigned threads);
/* Runs until net_loop_stop, or until nothing is left to wait for. */
void net_loop_run(struct net_loop *l);
void net_loop_stop(struct net_loop *l);
/* Closes everything that is left and frees; waits for work on threads and calls its `done`. NULL is
 * fine. */
void net_loop_free(struct net_loop *l);
/* Monotonic milliseconds / wall seconds, read once a tick. */
uint64_t net_loop_now_ms(const struct net_loop *l);
int64_t net_loop_wall_s(const struct net_loop *l);

/* ---- Descriptors ---- */
enum { NET_READ = 1, NET_WRITE = 2, NET_HUP = 4 };
struct net_poll;
/* `events`: NET_READ | NET_WRITE that hold (errors are reported as both, whatever is watched). */
typedef void net_poll_fn(void *arg, int events);
/* Watches nothing until net_poll_set. Does not own the descriptor, which has to be non-blocking. NULL: out
 * of memory. */
struct net_poll *net_poll_new(struct net_loop *l, int fd, net_poll_fn *fn, void *arg);
/* events 0 stops watching. NET_HUP alone: only whether the connection is gone (reset, or ended both
 * ways; the peer's half-close is not), reported with all bits set. Cheap when nothing changes. */
void net_poll_set(struct net_poll *p, int events);
/* Changes the callback (a connection that is handed over). */
void net_poll_retarget(struct net_poll *p, net_poll_fn *fn, void *arg);
/* Stops at once; no callback comes after it. Call it before closing the descriptor. NULL is fine. */
void net_poll_free(struct net_poll *p);
/* The same, and closes the descriptor, which nobody else may have open: one system call less. */
void net_poll_close(struct net_poll *p);

/* ---- Timers: embedded, O(1) or O(log n) to set again, precise to 2 ms (0: the next tick) ---- */
struct net_timer {
	void (*fn)(struct net_timer *t);
	struct net_loop *loop;
	uint64_t due_ms;
	uint32_t slot; /* place in the loop's heap, 0 when unset */
};
typedef void net_timer_fn(struct net_timer *t); /* container_of gives the owner */
void net_timer_init(struct net_timer *t, struct net_loop *l, net_timer_fn *fn);
void net_timer_set(struct net_timer *t, uint64_t ms);
void net_timer_stop(struct net_timer *t);
static inline bool net_timer_active(const struct net_timer *t)
{
	return t->slot != 0;
}

/* ---- Later in this tick: embedded, run after the present batch of events ---- */
struct net_task {
	TAILQ_ENTRY(net_task) link;
	void (*fn)(struct net_task *t);
	bool queued;
};
void net_task_init(struct net_task *t, void (*fn)(struct net_task *t));
void net_task_post(struct net_loop *l, struct net_task *t); /* nothing if queued already */
void net_task_cancel(struct net_loop *l, struct net_task *t);

/* ---- From other threads ---- */
struct net_wake;
/* `fn` runs on the loop soon after net_wake_send, which any thread may call; sends may merge.
 * It does not keep net_loop_run alive. */
struct net_wake *net_wake_new(struct net_loop *l, void (*fn)(void *arg), void *arg);
void net_wake_send(struct net_wake *w);
void net_wake_free(struct net_wake *w);

/* `work` on a pool thread, then `done` on the loop. 0 or LARDER_ENOMEM. */
int net_work(struct net_loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* Signals on the loop; for the life of the loop. Does not keep it alive. */
int net_signal(struct net_loop *l, int signum, void (*fn)(void *arg), void *arg);

#endif
