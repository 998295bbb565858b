#include "net/loop.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "loop-private.h"

#define RETRY_MS 10

static void run_tasks(struct net_loop *l)
{
	/* Tasks posted by these tasks wait for the next round: I/O gets its turn in between. */
	for (uint32_t n = l->ntasks; n > 0 && l->ntasks > 0; n--) {
		struct net_task *t = TAILQ_FIRST(&l->tasks);

		net_task_cancel(l, t);
		t->fn(t);
	}
}

static void on_alive(uv_prepare_t *h)
{
	check_magic((struct net_loop *)h->data, NET_LOOP_MAGIC);
}

static void set_threads(unsigned threads)
{
	char text[16];

	if (!threads)
		return;
	snprintf(text, sizeof(text), "%u", threads);
	setenv("UV_THREADPOOL_SIZE", text, 0);
}

static void read_clock(struct net_loop *l)
{
	l->now_ms = clock_mono_ms();
}

/* The library's descriptor is ready when one of its own is. */
static int watch_library(struct net_loop *l)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0)
		return LARDER_EFILES;
	if (!epoll_ctl(l->epoll, EPOLL_CTL_ADD, uv_backend_fd(&l->uv), &ev))
		return 0;
	close(l->epoll);
	return LARDER_ENOMEM;
}

struct net_loop *net_loop_new(unsigned threads)
{
	struct net_loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	set_threads(threads);
	/* sendfile and splice have no flag that spares us the signal. */
	signal(SIGPIPE, SIG_IGN);
	if (uv_loop_init(&l->uv)) {
		free(l);
		return NULL;
	}
	if (watch_library(l)) {
		uv_loop_close(&l->uv);
		free(l);
		return NULL;
	}
	l->magic = NET_LOOP_MAGIC;
	l->uv.data = l;
	l->threads = threads;
	TAILQ_INIT(&l->tasks);
	LIST_INIT(&l->polls);
	LIST_INIT(&l->changed);
	LIST_INIT(&l->freed);
	LIST_INIT(&l->spare_polls);
	uv_prepare_init(&l->uv, &l->alive);
	l->alive.data = l;
	uv_prepare_start(&l->alive, on_alive);
	l->uv_due = true;
	read_clock(l);
	return l;
}

/* Is there anything to wait for? Wakes and signals do not count. */
static bool has_business(const struct net_loop *l)
{
	return l->watching || l->timers || l->ntasks || l->works || l->uv_due;
}

static int wait_ms(const struct net_loop *l, bool flushed)
{
	uint64_t ms;

	if (l->ntasks || l->uv_due || l->stopping || !has_business(l))
		return 0;
	/* What the kernel had no room for is tried again. */
	ms = flushed ? UINT64_MAX : RETRY_MS;
	if (l->timers) {
		uint64_t due = l->heap[1]->due_ms, left = due > l->now_ms ? due - l->now_ms : 0;

		ms = left < ms ? left : ms;
	}
	if (ms == UINT64_MAX)
		return -1;
	return ms < INT_MAX ? (int)ms : INT_MAX;
}

void loop_library_run(struct net_loop *l)
{
	l->uv_due = false;
	uv_run(&l->uv, UV_RUN_NOWAIT);
}

void net_loop_run(struct net_loop *l)
{
	check_magic(l, NET_LOOP_MAGIC);
	read_clock(l);
	while (!l->stopping && has_business(l)) {
		run_tasks(l);
		loop_polls_wait(l, wait_ms(l, loop_polls_flush(l)));
		if (l->uv_due)
			loop_library_run(l);
		loop_timers_fire(l);
		run_tasks(l);
	}
	l->stopping = false;
}

void net_loop_stop(struct net_loop *l)
{
	check_magic(l, NET_LOOP_MAGIC);
	l->stopping = true;
}

static void close_handle(uv_handle_t *h, void *arg)
{
	if (uv_is_closing(h))
		return;
	switch (h->type) {
	case UV_ASYNC:
		loop_wake_close(h);
		break;
	case UV_SIGNAL:
		loop_signal_close(h);
		break;
	default:
		uv_close(h, NULL);
	}
}

void net_loop_free(struct net_loop *l)
{
	struct net_task *t;

	if (!l)
		return;
	check_magic(l, NET_LOOP_MAGIC);
	l->closing = true;
	while ((t = TAILQ_FIRST(&l->tasks)))
		net_task_cancel(l, t);
	loop_resolver_fini(l);
	/* Work that is on its way may still open handles in its `done`: round again. */
	do {
		uv_walk(&l->uv, close_handle, NULL);
		uv_run(&l->uv, UV_RUN_DEFAULT);
	} while (uv_loop_close(&l->uv) == UV_EBUSY);
	loop_timers_fini(l);
	loop_polls_fini(l);
	loop_pipes_fini(l);
	close(l->epoll);
	l->magic = 0;
	free(l->scratch);
	free(l);
}

uint64_t net_loop_now_ms(const struct net_loop *l)
{
	return l->now_ms;
}

int64_t net_loop_wall_s(const struct net_loop *l)
{
	struct net_loop *cache = (struct net_loop *)l; /* the value belongs to the tick */

	if (!l->wall_s || l->wall_read_ms != l->now_ms) {
		cache->wall_s = clock_wall_s();
		cache->wall_read_ms = l->now_ms;
	}
	return l->wall_s;
}

void net_task_init(struct net_task *t, void (*fn)(struct net_task *t))
{
	*t = (struct net_task){.fn = fn};
}

void net_task_post(struct net_loop *l, struct net_task *t)
{
	if (t->queued)
		return;
	t->queued = true;
	TAILQ_INSERT_TAIL(&l->tasks, t, link);
	l->ntasks++;
}

void net_task_cancel(struct net_loop *l, struct net_task *t)
{
	if (!t->queued)
		return;
	t->queued = false;
	TAILQ_REMOVE(&l->tasks, t, link);
	l->ntasks--;
}
