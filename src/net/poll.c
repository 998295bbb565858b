/* Watching descriptors: epoll, told of changes once a tick. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "loop-private.h"

#define POLL_MAGIC 0x6e65706fU
#define SPARE_MAX  256  /* kept for reuse */
#define EVENTS_MAX 256  /* fetched at once */
#define NOT_THERE  (~0U)

struct net_poll {
	uint32_t magic;
	int events;       /* what the owner wants */
	uint32_t watched; /* what the kernel watches for; NOT_THERE: nothing at all */
	int fd;
	bool freed, changed;
	struct net_loop *loop;
	net_poll_fn *fn;
	void *arg;
	LIST_ENTRY(net_poll) all;
	LIST_ENTRY(net_poll) link; /* the changed, freed or spare ones */
};

/* NET_HUP alone is no bit: errors and hang-ups are always reported. */
static uint32_t to_kernel(int events)
{
	if (!events)
		return NOT_THERE;
	return (events & NET_READ ? EPOLLIN : 0U) | (events & NET_WRITE ? EPOLLOUT : 0U);
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
	*p = (struct net_poll){
	        .magic = POLL_MAGIC, .fd = fd, .watched = NOT_THERE, .loop = l, .fn = fn, .arg = arg};
	LIST_INSERT_HEAD(&l->polls, p, all);
	return p;
}

void net_poll_set(struct net_poll *p, int events)
{
	check_magic(p, POLL_MAGIC);
	check(!p->freed && (events == NET_HUP || !(events & ~(NET_READ | NET_WRITE))));
	if (p->events == events)
		return;
	p->loop->watching += (events != 0) - (unsigned)(p->events != 0);
	p->events = events;
	if (p->changed)
		return;
	p->changed = true;
	LIST_INSERT_HEAD(&p->loop->changed, p, link);
}

void net_poll_retarget(struct net_poll *p, net_poll_fn *fn, void *arg)
{
	check_magic(p, POLL_MAGIC);
	p->fn = fn;
	p->arg = arg;
}

static int tell(struct net_poll *p, uint32_t want)
{
	struct epoll_event ev = {.events = want, .data.ptr = p};
	int op = p->watched == NOT_THERE ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (want == NOT_THERE) {
		/* A descriptor that was closed already has gone by itself. */
		epoll_ctl(p->loop->epoll, EPOLL_CTL_DEL, p->fd, &ev);
	} else if (epoll_ctl(p->loop->epoll, op, p->fd, &ev)) {
		check(errno == ENOMEM || errno == ENOSPC);
		return errno;
	}
	p->watched = want;
	return 0;
}

bool loop_polls_flush(struct net_loop *l)
{
	struct net_poll *p, *next;
	bool all = true;

	LIST_FOREACH_SAFE (p, &l->changed, link, next) {
		uint32_t want = to_kernel(p->events);

		if (p->watched != want && tell(p, want)) {
			all = false;
			continue;
		}
		p->changed = false;
		LIST_REMOVE(p, link);
	}
	return all;
}

static void call(struct net_poll *p, uint32_t seen)
{
	int events = (seen & EPOLLIN ? NET_READ : 0) | (seen & EPOLLOUT ? NET_WRITE : 0);
	bool hup = seen & (EPOLLERR | EPOLLHUP);

	check_magic(p, POLL_MAGIC);
	/* Somebody who was called before may have changed its mind for it. */
	if (p->freed || !p->events)
		return;
	if (p->events == NET_HUP)
		events = hup ? NET_READ | NET_WRITE | NET_HUP : 0;
	else if (seen & EPOLLERR)
		events = NET_READ | NET_WRITE;
	else if (hup)
		events = p->events;
	else
		events &= p->events;
	if (events)
		p->fn(p->arg, events);
}

/* Nothing that was fetched names them any more. */
static void bury(struct net_loop *l)
{
	struct net_poll *p;

	while ((p = LIST_FIRST(&l->freed))) {
		LIST_REMOVE(p, link);
		p->magic = 0;
		if (l->nspare_polls >= SPARE_MAX) {
			free(p);
			continue;
		}
		LIST_INSERT_HEAD(&l->spare_polls, p, link);
		l->nspare_polls++;
	}
}

void loop_polls_wait(struct net_loop *l, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n = epoll_wait(l->epoll, events, EVENTS_MAX, timeout_ms);

	l->now_ms = clock_mono_ms();
	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr)
			call(events[i].data.ptr, events[i].events);
		else
			loop_library_run(l);
	}
	bury(l);
}

static void drop(struct net_poll *p)
{
	struct net_loop *l = p->loop;

	net_poll_set(p, 0);
	p->freed = true;
	if (p->changed)
		LIST_REMOVE(p, link);
	LIST_REMOVE(p, all);
	LIST_INSERT_HEAD(&l->freed, p, link);
}

void net_poll_free(struct net_poll *p)
{
	if (!p)
		return;
	check_magic(p, POLL_MAGIC);
	check(!p->freed);
	if (p->watched != NOT_THERE)
		tell(p, NOT_THERE);
	drop(p);
}

void net_poll_close(struct net_poll *p)
{
	check_magic(p, POLL_MAGIC);
	check(!p->freed);
	close(p->fd);
	drop(p);
}

void loop_polls_fini(struct net_loop *l)
{
	struct net_poll *p;

	while ((p = LIST_FIRST(&l->polls)))
		net_poll_free(p);
	bury(l);
	while ((p = LIST_FIRST(&l->spare_polls))) {
		LIST_REMOVE(p, link);
		free(p);
	}
}
