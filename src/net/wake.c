/* What reaches the loop from elsewhere: other threads, the thread pool, signals. */
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "loop-private.h"

#define WAKE_MAGIC   0x6e657477U
#define SIGNAL_MAGIC 0x6e657473U

struct net_wake {
	uint32_t magic;
	void (*fn)(void *arg);
	void *arg;
	uv_async_t uv;
};

struct work {
	struct net_loop *loop;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
	uv_work_t uv;
};

struct watch {
	uint32_t magic;
	void (*fn)(void *arg);
	void *arg;
	uv_signal_t uv;
};

static void on_wake(uv_async_t *h)
{
	struct net_wake *w = container_of(h, struct net_wake, uv);

	check_magic(w, WAKE_MAGIC);
	w->fn(w->arg);
}

struct net_wake *net_wake_new(struct net_loop *l, void (*fn)(void *arg), void *arg)
{
	struct net_wake *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	*w = (struct net_wake){.magic = WAKE_MAGIC, .fn = fn, .arg = arg};
	if (uv_async_init(&l->uv, &w->uv, on_wake)) {
		free(w);
		return NULL;
	}
	uv_unref((uv_handle_t *)&w->uv);
	l->uv_due = true;
	return w;
}

void net_wake_send(struct net_wake *w)
{
	check_magic(w, WAKE_MAGIC);
	uv_async_send(&w->uv);
}

static void wake_closed(uv_handle_t *h)
{
	struct net_wake *w = container_of((uv_async_t *)h, struct net_wake, uv);

	w->magic = 0;
	free(w);
}

void loop_wake_close(uv_handle_t *h)
{
	struct net_loop *l = h->loop->data;

	l->uv_due = true;
	uv_close(h, wake_closed);
}

void net_wake_free(struct net_wake *w)
{
	if (!w)
		return;
	check_magic(w, WAKE_MAGIC);
	loop_wake_close((uv_handle_t *)&w->uv);
}

static void on_work(uv_work_t *h)
{
	struct work *w = container_of(h, struct work, uv);

	w->work(w->arg);
}

static void on_worked(uv_work_t *h, int status)
{
	struct work *w = container_of(h, struct work, uv);

	/* Nothing is ever cancelled: whoever gave work in gets its done. */
	check(status == 0);
	w->loop->works--;
	w->done(w->arg);
	free(w);
}

int net_work(struct net_loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct work *w = malloc(sizeof(*w));

	if (!w)
		return LARDER_ENOMEM;
	*w = (struct work){.loop = l, .work = work, .done = done, .arg = arg};
	if (uv_queue_work(&l->uv, &w->uv, on_work, on_worked)) {
		free(w);
		return LARDER_ENOMEM;
	}
	l->works++;
	return 0;
}

static void on_signal(uv_signal_t *h, int signum)
{
	struct watch *s = container_of(h, struct watch, uv);

	check_magic(s, SIGNAL_MAGIC);
	s->fn(s->arg);
}

static void signal_closed(uv_handle_t *h)
{
	struct watch *s = container_of((uv_signal_t *)h, struct watch, uv);

	s->magic = 0;
	free(s);
}

void loop_signal_close(uv_handle_t *h)
{
	uv_close(h, signal_closed);
}

int net_signal(struct net_loop *l, int signum, void (*fn)(void *arg), void *arg)
{
	struct watch *s = malloc(sizeof(*s));

	if (!s)
		return LARDER_ENOMEM;
	*s = (struct watch){.magic = SIGNAL_MAGIC, .fn = fn, .arg = arg};
	if (uv_signal_init(&l->uv, &s->uv)) {
		free(s);
		return LARDER_ENOMEM;
	}
	uv_unref((uv_handle_t *)&s->uv);
	l->uv_due = true;
	if (uv_signal_start(&s->uv, on_signal, signum)) {
		loop_signal_close((uv_handle_t *)&s->uv);
		return LARDER_EINVAL;
	}
	return 0;
}
