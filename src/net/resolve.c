/*
 * Names to addresses. getaddrinfo blocks for as long as name servers are silent, so it has threads of
 * its own: they are made when they are needed, end when they are not, and go on with what nobody
 * wants any more without anything else waiting for them. No two threads are at the same name: a silent
 * one does not take the threads from the others.
 */
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/check.h"
#include "base/error.h"
#include "loop-private.h"
#include "net/stream.h"

#define RESOLVE_MAGIC 0x6e657472U
#define THREADS_MAX   32 /* names looked up at once */
#define IDLE_S        10 /* before a thread ends */
#define HOST_MAX      256

TAILQ_HEAD(resolves, net_resolve);

struct net_resolve {
	uint32_t magic;
	/* Guarded by the lock: where it waits, for a thread or for what another finds; who waits for it. */
	struct resolves *list, followers;
	struct net_loop *loop;
	net_resolve_fn *done; /* NULL: nobody wants it any more */
	void *arg;
	int err;
	unsigned naddrs;
	struct addr addrs[NET_ADDRS_MAX];
	TAILQ_ENTRY(net_resolve) link;
	char host[HOST_MAX];
};

/* A loop's; outlives it while a thread runs. */
struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct net_wake *wake; /* NULL: the loop is gone */
	struct resolves waiting, running, finished;
	unsigned nwaiting, threads, idle;
};

/* ---- On the threads ---- */

/* RFC 8305 §4: families take turns, beginning with the system's first choice. */
static void interleave(struct net_resolve *k, const struct addrinfo *list)
{
	const struct addrinfo *same = list, *other = list;
	int family = list ? list->ai_family : AF_UNSPEC;

	while (k->naddrs < NET_ADDRS_MAX && (same || other)) {
		for (; same && same->ai_family != family; same = same->ai_next)
			;
		for (; other && other->ai_family == family; other = other->ai_next)
			;
		if (same && addr_from_sa(same->ai_addr, same->ai_addrlen, &k->addrs[k->naddrs]))
			k->naddrs++;
		if (other && k->naddrs < NET_ADDRS_MAX &&
		    addr_from_sa(other->ai_addr, other->ai_addrlen, &k->addrs[k->naddrs]))
			k->naddrs++;
		same = same ? same->ai_next : NULL;
		other = other ? other->ai_next : NULL;
	}
}

static void look_up(struct net_resolve *k)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;

	k->err = LARDER_ERESOLVE;
	if (addr_is_localhost(view_of(k->host))) {
		addr_localhost(0, k->addrs);
		k->naddrs = 2;
	} else if (!getaddrinfo(k->host, NULL, &hints, &list)) {
		interleave(k, list);
		freeaddrinfo(list);
	}
	if (k->naddrs)
		k->err = 0;
}

/* Who is at this name already. */
static struct net_resolve *leader_of(struct resolver *rs, const struct net_resolve *k)
{
	struct net_resolve *r;

	TAILQ_FOREACH (r, &rs->running, link) {
		if (strcmp(r->host, k->host) == 0)
			break;
	}
	return r;
}

static void enlist(struct net_resolve *k, struct resolves *list)
{
	TAILQ_INSERT_TAIL(list, k, link);
	k->list = list;
}

/* Takes one that waits for a thread and has to have one; NULL: there is none. */
static struct net_resolve *pick(struct resolver *rs)
{
	struct net_resolve *k, *leader;

	while ((k = TAILQ_FIRST(&rs->waiting))) {
		TAILQ_REMOVE(&rs->waiting, k, link);
		rs->nwaiting--;
		leader = leader_of(rs, k);
		if (!leader)
			break;
		enlist(k, &leader->followers);
	}
	return k;
}

/* The next to be looked up; NULL: there has been none for a while. Called, and returns, with the
 * lock held. */
static struct net_resolve *next(struct resolver *rs)
{
	struct net_resolve *k;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += IDLE_S;
	while (!(k = pick(rs))) {
		if (!rs->wake || err == ETIMEDOUT)
			return NULL;
		rs->idle++;
		err = pthread_cond_timedwait(&rs->more, &rs->lock, &until);
		rs->idle--;
	}
	k->list = NULL;
	TAILQ_INSERT_TAIL(&rs->running, k, link);
	return k;
}

static void tell(struct resolver *rs, struct net_resolve *k)
{
	k->list = NULL;
	if (rs->wake)
		TAILQ_INSERT_TAIL(&rs->finished, k, link);
	else
		free(k);
}

/* It has been looked up. With the lock held. */
static void conclude(struct resolver *rs, struct net_resolve *k)
{
	struct net_resolve *f;

	TAILQ_REMOVE(&rs->running, k, link);
	while ((f = TAILQ_FIRST(&k->followers))) {
		TAILQ_REMOVE(&k->followers, f, link);
		f->err = k->err;
		f->naddrs = k->naddrs;
		memcpy(f->addrs, k->addrs, sizeof(f->addrs));
		tell(rs, f);
	}
	tell(rs, k);
	if (rs->wake)
		net_wake_send(rs->wake);
}

static void resolver_free(struct resolver *rs)
{
	pthread_cond_destroy(&rs->more);
	pthread_mutex_destroy(&rs->lock);
	free(rs);
}

static void *run(void *arg)
{
	struct resolver *rs = arg;
	struct net_resolve *k;
	bool last;

	pthread_mutex_lock(&rs->lock);
	while ((k = next(rs))) {
		pthread_mutex_unlock(&rs->lock);
		look_up(k);
		pthread_mutex_lock(&rs->lock);
		conclude(rs, k);
	}
	rs->threads--;
	last = !rs->wake && !rs->threads;
	pthread_mutex_unlock(&rs->lock);
	if (last)
		resolver_free(rs);
	return NULL;
}

/* ---- On the loop ---- */

static void on_wake(void *arg)
{
	struct resolver *rs = arg;
	struct resolves finished;
	struct net_resolve *k;

	TAILQ_INIT(&finished);
	pthread_mutex_lock(&rs->lock);
	TAILQ_CONCAT(&finished, &rs->finished, link);
	pthread_mutex_unlock(&rs->lock);
	while ((k = TAILQ_FIRST(&finished))) {
		TAILQ_REMOVE(&finished, k, link);
		if (k->done) {
			k->loop->works--;
			k->done(k->arg, k->err, k->addrs, k->naddrs);
		}
		k->magic = 0;
		free(k);
	}
}

static struct resolver *resolver_of(struct net_loop *l)
{
	struct resolver *rs = l->resolver;
	pthread_condattr_t attr;

	if (rs)
		return rs;
	rs = calloc(1, sizeof(*rs));
	if (!rs)
		return NULL;
	TAILQ_INIT(&rs->waiting);
	TAILQ_INIT(&rs->running);
	TAILQ_INIT(&rs->finished);
	rs->wake = net_wake_new(l, on_wake, rs);
	if (!rs->wake) {
		free(rs);
		return NULL;
	}
	pthread_mutex_init(&rs->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&rs->more, &attr);
	pthread_condattr_destroy(&attr);
	l->resolver = rs;
	return rs;
}

/* One thread more, which takes no signals. */
static bool spawn(struct resolver *rs)
{
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (pthread_attr_init(&attr))
		return false;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread, &attr, run, rs);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (!err)
		rs->threads++;
	return !err;
}

/* Hands it to the threads. False: there is none and none can be had. */
static bool enqueue(struct resolver *rs, struct net_resolve *k)
{
	struct net_resolve *leader;
	bool ok = true;

	pthread_mutex_lock(&rs->lock);
	leader = leader_of(rs, k);
	if (leader)
		enlist(k, &leader->followers);
	else if (rs->nwaiting >= rs->idle && rs->threads < THREADS_MAX)
		ok = spawn(rs) || rs->threads > 0;
	if (ok && !leader) {
		enlist(k, &rs->waiting);
		rs->nwaiting++;
		pthread_cond_signal(&rs->more);
	}
	pthread_mutex_unlock(&rs->lock);
	return ok;
}

/* A name that is too long is none; that is told later, as everything is. */
static void refuse(struct resolver *rs, struct net_resolve *k)
{
	k->err = LARDER_ERESOLVE;
	pthread_mutex_lock(&rs->lock);
	TAILQ_INSERT_TAIL(&rs->finished, k, link);
	pthread_mutex_unlock(&rs->lock);
	net_wake_send(rs->wake);
}

struct net_resolve *net_resolve_new(struct net_loop *l, struct view host, net_resolve_fn *done,
                                    void *arg)
{
	struct resolver *rs = resolver_of(l);
	struct net_resolve *k = rs ? calloc(1, sizeof(*k)) : NULL;

	if (!k)
		return NULL;
	k->magic = RESOLVE_MAGIC;
	TAILQ_INIT(&k->followers);
	k->loop = l;
	k->done = done;
	k->arg = arg;
	if (!view_copy(host, k->host, sizeof(k->host)) || strlen(k->host) != host.len) {
		refuse(rs, k);
	} else if (!enqueue(rs, k)) {
		free(k);
		return NULL;
	}
	l->works++;
	return k;
}

void net_resolve_cancel(struct net_resolve *k)
{
	struct resolver *rs;

	if (!k)
		return;
	check_magic(k, RESOLVE_MAGIC);
	rs = k->loop->resolver;
	k->loop->works--;
	pthread_mutex_lock(&rs->lock);
	k->done = NULL;
	if (k->list) {
		TAILQ_REMOVE(k->list, k, link);
		rs->nwaiting -= k->list == &rs->waiting;
	} else {
		k = NULL; /* freed when its thread is through */
	}
	pthread_mutex_unlock(&rs->lock);
	free(k);
}

void loop_resolver_fini(struct net_loop *l)
{
	struct resolver *rs = l->resolver;
	struct net_resolve *k;
	struct net_wake *wake;
	bool last;

	if (!rs)
		return;
	l->resolver = NULL;
	pthread_mutex_lock(&rs->lock);
	wake = rs->wake;
	rs->wake = NULL;
	TAILQ_CONCAT(&rs->finished, &rs->waiting, link);
	rs->nwaiting = 0;
	while ((k = TAILQ_FIRST(&rs->finished))) {
		TAILQ_REMOVE(&rs->finished, k, link);
		free(k);
	}
	pthread_cond_broadcast(&rs->more);
	last = !rs->threads;
	pthread_mutex_unlock(&rs->lock);
	net_wake_free(wake);
	if (last)
		resolver_free(rs);
}
