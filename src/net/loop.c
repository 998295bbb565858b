#include "net/loop.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "loop-private.h"

static void run_tasks(struct net_loop *l)
{
	/* Tasks posted by these tasks wait for the next round: I/O gets its turn in between. */
	for (uint32_t n = l->ntasks; n > 0 && l->ntasks > 0; n--) {
		struct net_task *t = TAILQ_FIRST(&l->tasks);

		net_task_cancel(l, t);
		t->fn(t);
	}
}

static void on_prepare(uv_prepare_t *h)
{
	struct net_loop *l = h->data;

	run_tasks(l);
	loop_timers_arm(l);
}

static void on_check(uv_check_t *h)
{
	struct net_loop *l = h->data;

	run_tasks(l);
	loop_timers_arm(l);
}

static void on_idle(uv_idle_t *h)
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
	l->magic = NET_LOOP_MAGIC;
	l->uv.data = l;
	l->threads = threads;
	TAILQ_INIT(&l->tasks);
	LIST_INIT(&l->spare_polls);
	uv_timer_init(&l->uv, &l->timer);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	uv_idle_init(&l->uv, &l->idle);
	l->timer.data = l->prepare.data = l->check.data = l->idle.data = l;
	uv_prepare_start(&l->prepare, on_prepare);
	uv_check_start(&l->check, on_check);
	uv_unref((uv_handle_t *)&l->prepare);
	uv_unref((uv_handle_t *)&l->check);
	return l;
}

void net_loop_run(struct net_loop *l)
{
	check_magic(l, NET_LOOP_MAGIC);
	uv_update_time(&l->uv);
	loop_timers_arm(l);
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void net_loop_stop(struct net_loop *l)
{
	check_magic(l, NET_LOOP_MAGIC);
	uv_stop(&l->uv);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	if (uv_is_closing(h))
		return;
	switch (h->type) {
	case UV_POLL:
		loop_poll_close(h);
		break;
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
	/* Work that is on its way may still open handles in its `done`: round again. */
	do {
		uv_walk(&l->uv, close_handle, NULL);
		uv_run(&l->uv, UV_RUN_DEFAULT);
	} while (uv_loop_close(&l->uv) == UV_EBUSY);
	loop_timers_fini(l);
	loop_polls_fini(l);
	loop_pipes_fini(l);
	l->magic = 0;
	free(l->scratch);
	free(l->resolver);
	free(l);
}

uint64_t net_loop_now_ms(const struct net_loop *l)
{
	return uv_now(&l->uv);
}

int64_t net_loop_wall_s(const struct net_loop *l)
{
	struct net_loop *cache = (struct net_loop *)l; /* the value belongs to the tick */
	uint64_t now = uv_now(&l->uv);

	if (!l->wall_s || l->wall_read_ms != now) {
		cache->wall_s = clock_wall_s();
		cache->wall_read_ms = now;
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
	if (l->ntasks++ == 0 && !l->closing)
		uv_idle_start(&l->idle, on_idle);
}

void net_task_cancel(struct net_loop *l, struct net_task *t)
{
	if (!t->queued)
		return;
	t->queued = false;
	TAILQ_REMOVE(&l->tasks, t, link);
	if (--l->ntasks == 0 && !l->closing)
		uv_idle_stop(&l->idle);
}
