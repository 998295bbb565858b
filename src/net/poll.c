/* Watching descriptors. */
#include <poll.h>
#include <stdlib.h>

#include "base/check.h"
#include "loop-private.h"

#define POLL_MAGIC 0x6e65706fU
#define SPARE_MAX  256 /* closed handles that are kept for reuse */

struct net_poll {
	uint32_t magic;
	int events; /* what the owner wants */
	int fd;
	bool freed;
	struct net_loop *loop;
	net_poll_fn *fn;
	void *arg;
	uv_poll_t uv;
	LIST_ENTRY(net_poll) link;
};

static int to_uv(int events)
{
	/* Priority data stands for nothing: it keeps the descriptor registered, and errors and
	 * hang-ups are always reported. */
	return (events & NET_READ ? UV_READABLE : 0) | (events & NET_WRITE ? UV_WRITABLE : 0) |
	       (events == NET_HUP ? UV_PRIORITIZED : 0);
}

static bool hung_up(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP | POLLNVAL));
}

static void on_poll(uv_poll_t *h, int status, int uv_events)
{
	struct net_poll *p = container_of(h, struct net_poll, uv);
	int events = (uv_events & UV_READABLE ? NET_READ : 0) |
	             (uv_events & UV_WRITABLE ? NET_WRITE : 0);

	check_magic(p, POLL_MAGIC);
	if (status < 0) {
		/* The library stops a handle at an error; our promise is level-triggered. */
		uv_poll_start(&p->uv, to_uv(p->events), on_poll);
		events = NET_READ | NET_WRITE;
	}
	if (p->events & NET_HUP) {
		if (!hung_up(p->fd)) {
			/* Urgent data would wake us for ever. */
			uv_poll_stop(&p->uv);
			return;
		}
		events = NET_READ | NET_WRITE | NET_HUP;
	}
	if (events)
		p->fn(p->arg, events);
}

struct net_poll *net_poll_new(struct net_loop *l, int fd, net_poll_fn *fn, void *arg)
{
	struct net_poll *p = LIST_FIRST(&l->spare_polls);

	check_magic(l, NET_LOOP_MAGIC);
	if (p) {
		LIST_REMOVE(p, link);
		l->nspare_polls--;
	} else {
		p = malloc(sizeof(*p));
		if (!p)
			return NULL;
	}
	*p = (struct net_poll){.magic = POLL_MAGIC, .fd = fd, .loop = l, .fn = fn, .arg = arg};
	if (uv_poll_init(&l->uv, &p->uv, fd)) {
		free(p);
		return NULL;
	}
	return p;
}

void net_poll_set(struct net_poll *p, int events)
{
	check_magic(p, POLL_MAGIC);
	check(!p->freed && (events == NET_HUP || !(events & ~(NET_READ | NET_WRITE))));
	if (p->events == events)
		return;
	p->events = events;
	if (events)
		check(uv_poll_start(&p->uv, to_uv(events), on_poll) == 0);
	else
		uv_poll_stop(&p->uv);
}

void net_poll_retarget(struct net_poll *p, net_poll_fn *fn, void *arg)
{
	check_magic(p, POLL_MAGIC);
	p->fn = fn;
	p->arg = arg;
}

static void on_closed(uv_handle_t *h)
{
	struct net_poll *p = container_of((uv_poll_t *)h, struct net_poll, uv);
	struct net_loop *l = p->loop;

	p->magic = 0;
	if (l->closing || l->nspare_polls >= SPARE_MAX) {
		free(p);
		return;
	}
	LIST_INSERT_HEAD(&l->spare_polls, p, link);
	l->nspare_polls++;
}

void net_poll_free(struct net_poll *p)
{
	if (!p)
		return;
	check_magic(p, POLL_MAGIC);
	check(!p->freed);
	p->freed = true;
	uv_close((uv_handle_t *)&p->uv, on_closed);
}

void loop_poll_close(uv_handle_t *h)
{
	net_poll_free(container_of((uv_poll_t *)h, struct net_poll, uv));
}

void loop_polls_fini(struct net_loop *l)
{
	struct net_poll *p, *next;

	LIST_FOREACH_SAFE (p, &l->spare_polls, link, next)
		free(p);
}
