/*
 * Connections to plain http origins: idle ones wait here for the next request, and requests for a
 * connection where an origin may have no more. An idle connection is watched: what comes on it
 * answers nobody, and it is closed.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "origin-private.h"

/* ---- Origins ---- */

static struct origin_hosts *bucket(struct origin *o, struct view name)
{
	return &o->hosts[hash_64(name, 0) % HOST_BUCKETS];
}

static struct origin_host *host_find(struct origin *o, struct view name)
{
	struct origin_host *h;

	LIST_FOREACH (h, bucket(o, name), link) {
		if (view_eq(view_make(h->name, h->len), name))
			return h;
	}
	return NULL;
}

static struct origin_host *host_make(struct origin *o, struct view name)
{
	struct origin_host *h = calloc(1, sizeof(*h) + name.len);

	if (!h)
		return NULL;
	h->len = name.len;
	memcpy(h->name, name.ptr, name.len);
	TAILQ_INIT(&h->idle);
	TAILQ_INIT(&h->waiting);
	LIST_INSERT_HEAD(bucket(o, name), h, link);
	return h;
}

static void host_trim(struct origin_host *h)
{
	if (h->conns || h->called || h->held || h->nwaiting)
		return;
	LIST_REMOVE(h, link);
	free(h);
}

static bool is_full(const struct origin *o, const struct origin_host *h)
{
	uint64_t max = (uint64_t)o->options->origin_host_connections;

	return max && h->conns >= max;
}

/* Something of the host's has become free. */
static void wake(struct origin *o, struct origin_host *h)
{
	struct origin_transfer *next = TAILQ_FIRST(&h->waiting);

	if (!next || h->held || (TAILQ_EMPTY(&h->idle) && is_full(o, h)))
		return;
	transfer_unwait(next);
	next->turn = true;
	h->called++;
	transfer_queue(next);
}

static void leave_host(struct origin *o, struct origin_host *h)
{
	check(h->conns > 0);
	h->conns--;
	wake(o, h);
	host_trim(h);
}

void pool_pass(struct origin_transfer *t)
{
	struct origin_host *h = host_find(t->origin, view_of(t->url));

	check(h && h->called > 0);
	t->turn = false;
	h->called--;
	wake(t->origin, h);
	host_trim(h);
}

/* ---- Connections ---- */

static void stop_idling(struct origin_conn *c)
{
	if (c->user)
		return;
	TAILQ_REMOVE(&c->host->idle, c, kept);
	TAILQ_REMOVE(&c->origin->aged, c, aged);
	c->origin->nkept--;
}

int pool_detach(struct origin_conn *c)
{
	struct origin *o = c->origin;
	int fd = c->fd;

	check_magic(c, CONN_MAGIC);
	stop_idling(c);
	leave_host(o, c->host);
	net_poll_free(c->poll);
	c->magic = 0;
	free(c);
	return fd;
}

void pool_drop(struct origin_conn *c)
{
	close(pool_detach(c));
}

static void on_ready(void *arg, int events)
{
	struct origin_conn *c = arg;

	check_magic(c, CONN_MAGIC);
	if (c->user) {
		wire_ready(c->user, events);
		return;
	}
	if (!connection_is_clean(c->origin, c))
		pool_drop(c);
}

void pool_adopt(struct origin_transfer *t, struct origin_conn *c)
{
	check(t->host && !c->host);
	c->host = t->host;
	t->host = NULL;
	c->user = t;
	net_poll_retarget(c->poll, on_ready, c);
	net_poll_set(c->poll, NET_READ);
}

void pool_give(struct origin_conn *c)
{
	struct origin *o = c->origin;

	check_magic(c, CONN_MAGIC);
	c->user = NULL;
	c->idle_since_ms = net_loop_now_ms(o->loop);
	TAILQ_INSERT_HEAD(&c->host->idle, c, kept);
	TAILQ_INSERT_TAIL(&o->aged, c, aged);
	o->nkept++;
	net_poll_set(c->poll, NET_READ);
	if (!net_timer_active(&o->expiry))
		net_timer_set(&o->expiry, o->options->origin_idle);
	wake(o, c->host);
	if (o->nkept > (uint64_t)o->options->origin_connections)
		pool_drop(TAILQ_FIRST(&o->aged));
}

static void on_expiry(struct net_timer *timer)
{
	struct origin *o = container_of(timer, struct origin, expiry);
	uint64_t now = net_loop_now_ms(o->loop), idle = o->options->origin_idle;
	struct origin_conn *c;

	while ((c = TAILQ_FIRST(&o->aged)) && now - c->idle_since_ms >= idle)
		pool_drop(c);
	if (c)
		net_timer_set(timer, c->idle_since_ms + idle - now);
}

/* ---- What transfers ask for ---- */

/* Judges the address for this transfer. */
static int allowed(struct origin_transfer *t, const struct origin_conn *c)
{
	int err = t->h.address ? t->h.address(t->arg, &c->addr) : 0;

	if (t->cancelled)
		return LARDER_ECLOSED;
	if (err)
		failure_set(t, LARDER_EREFUSED, "destination_ip_prohibited",
		            "The origin's address is not allowed as destination.");
	return err ? LARDER_EREFUSED : 0;
}

static int take(struct origin_transfer *t, struct origin_host *h, struct origin_conn **conn)
{
	struct origin *o = t->origin;
	struct origin_conn *c;
	int err;

	while (!t->fresh && (c = TAILQ_FIRST(&h->idle))) {
		err = allowed(t, c);
		if (err)
			return err;
		if (!connection_is_clean(o, c)) {
			pool_drop(c);
			continue;
		}
		stop_idling(c);
		c->user = t;
		*conn = c;
		return POOL_CONN;
	}
	/* One that is not good enough makes room for a new one. */
	if (is_full(o, h) && (c = TAILQ_LAST(&h->idle, origin_idle)))
		pool_drop(c);
	if (is_full(o, h))
		return POOL_WAIT;
	h->conns++;
	t->host = h;
	return POOL_CONNECT;
}

/* Has another waited longer? */
static bool is_behind(const struct origin_transfer *t, const struct origin_host *h)
{
	return !t->turn && (h->called || !TAILQ_EMPTY(&h->waiting));
}

/* Who has been let in once, or has to repeat its request, is not sent away. */
static int admit(struct origin_transfer *t, struct origin_host *h, uint64_t most)
{
	struct origin *o = t->origin;

	if (!t->admitted && !t->repeated && h->nwaiting >= most) {
		failure_set(t, LARDER_ELIMIT, "connection_limit_reached",
		            "Too many requests wait for a connection to the origin.");
		return LARDER_ELIMIT;
	}
	t->admitted = true;
	t->line = h;
	h->nwaiting++;
	stat_add(&o->stats->waiting, 1);
	return 0;
}

static int line_up(struct origin_transfer *t, struct origin_host *h)
{
	bool anew = !t->admitted;
	int err = admit(t, h, (uint64_t)t->origin->options->origin_queue);

	if (err)
		return err;
	if (anew)
		stat_add(&t->origin->stats->queued, 1);
	transfer_wait(t, &h->waiting);
	return POOL_WAIT;
}

void pool_left(struct origin_transfer *t)
{
	if (!t->line)
		return;
	t->line->nwaiting--;
	t->line = NULL;
	stat_sub(&t->origin->stats->waiting, 1);
}

/* libcurl has a queue of its own, without an end: those that it connects for are counted with it. */
int pool_connects(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	uint64_t most = (uint64_t)o->options->origin_host_connections;
	struct view name = view_of(t->url);
	struct origin_host *h;
	int err;

	if (!most || t->line)
		return 0;
	h = host_find(o, name);
	if (!h)
		h = host_make(o, name);
	if (!h)
		return LARDER_ENOMEM;
	if (h->nwaiting >= most && !t->admitted)
		stat_add(&o->stats->queued, 1);
	err = admit(t, h, most + (uint64_t)o->options->origin_queue);
	host_trim(h);
	return err;
}

void pool_connected(struct origin_transfer *t)
{
	struct origin_host *h = t->line;

	if (!h || !t->https)
		return;
	pool_left(t);
	host_trim(h);
}

int pool_take(struct origin_transfer *t, struct origin_conn **conn)
{
	struct origin *o = t->origin;
	struct view name = view_of(t->url);
	struct origin_host *h = host_find(o, name);
	int r;

	check(!t->host);
	if (!h)
		h = host_make(o, name);
	if (!h)
		return LARDER_ENOMEM;
	h->held = true;
	r = is_behind(t, h) ? POOL_WAIT : take(t, h, conn);
	h->held = false;
	if (r > 0 && t->turn)
		h->called--;
	if (r == POOL_WAIT)
		r = line_up(t, h);
	if (r > 0)
		t->turn = false;
	wake(o, h);
	host_trim(h);
	return r;
}

void pool_unmade(struct origin_transfer *t)
{
	struct origin_host *h = t->host;

	t->host = NULL;
	if (h)
		leave_host(t->origin, h);
}

/* ---- The pool ---- */

void pool_init(struct origin *o)
{
	TAILQ_INIT(&o->aged);
	net_timer_init(&o->expiry, o->loop, on_expiry);
}

void pool_fini(struct origin *o)
{
	struct origin_conn *c;

	while ((c = TAILQ_FIRST(&o->aged)))
		pool_drop(c);
	net_timer_stop(&o->expiry);
}
