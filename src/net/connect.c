/* Outgoing connections: names on the thread pool, then happy eyeballs (RFC 8305). */
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "loop-private.h"
#include "net/stream.h"

#define CONNECT_MAGIC 0x6e657463U
#define NAMES_MAX     16  /* resolved at once */
#define ADDRS_MAX     16  /* tried of one name */
#define STAGGER_MS    250 /* RFC 8305 §5: the Connection Attempt Delay */
#define HOST_MAX      256

/* A name on its way through the thread pool; outlives a connect that is cancelled. */
struct lookup {
	struct net_loop *loop;
	struct net_connect *owner; /* NULL: nobody wants it any more */
	bool running;
	int err;
	unsigned naddrs;
	struct addr addrs[ADDRS_MAX];
	TAILQ_ENTRY(lookup) link;
	char host[HOST_MAX];
};

struct resolver {
	TAILQ_HEAD(, lookup) waiting;
	unsigned running, max;
};

struct attempt {
	struct net_connect *owner;
	struct net_poll *poll;
	int fd;
	unsigned addr;
};

struct net_connect {
	uint32_t magic;
	int err; /* of the last address that failed or was refused */
	bool tried;
	uint16_t port;
	struct net_loop *loop;
	struct lookup *lookup;
	struct net_timer deadline, stagger;
	struct addr addrs[ADDRS_MAX];
	unsigned naddrs, next, pending;
	struct attempt attempts[ADDRS_MAX];
	int (*allow)(void *arg, const struct addr *a);
	void (*done)(void *arg, const struct net_connect_result *r);
	void *arg;
};

/* ---- Names ---- */

/* RFC 8305 §4: families take turns, beginning with the system's first choice. */
static void interleave(struct lookup *k, const struct addrinfo *list)
{
	const struct addrinfo *same = list, *other = list;
	int family = list ? list->ai_family : AF_UNSPEC;

	while (k->naddrs < ADDRS_MAX && (same || other)) {
		for (; same && same->ai_family != family; same = same->ai_next)
			;
		for (; other && other->ai_family == family; other = other->ai_next)
			;
		if (same && addr_from_sa(same->ai_addr, same->ai_addrlen, &k->addrs[k->naddrs]))
			k->naddrs++;
		if (other && k->naddrs < ADDRS_MAX &&
		    addr_from_sa(other->ai_addr, other->ai_addrlen, &k->addrs[k->naddrs]))
			k->naddrs++;
		same = same ? same->ai_next : NULL;
		other = other ? other->ai_next : NULL;
	}
}

static void resolve(void *arg)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
	struct lookup *k = arg;

	if (addr_is_localhost(view_of(k->host))) {
		addr_localhost(0, k->addrs);
		k->naddrs = 2;
		k->err = 0;
		return;
	}
	if (getaddrinfo(k->host, NULL, &hints, &list)) {
		k->err = LARDER_ERESOLVE;
		return;
	}
	interleave(k, list);
	k->err = k->naddrs ? 0 : LARDER_ERESOLVE;
	freeaddrinfo(list);
}

static void resolved(void *arg);

static void start_lookups(struct resolver *rs)
{
	struct lookup *k;

	while (rs->running < rs->max && (k = TAILQ_FIRST(&rs->waiting))) {
		TAILQ_REMOVE(&rs->waiting, k, link);
		k->running = true;
		rs->running++;
		if (net_work(k->loop, resolve, resolved, k)) {
			/* Out of memory: tried again when one that runs has ended. */
			k->running = false;
			rs->running--;
			TAILQ_INSERT_HEAD(&rs->waiting, k, link);
			return;
		}
	}
}

static struct resolver *resolver_of(struct net_loop *l)
{
	struct resolver *rs = l->resolver;

	if (rs)
		return rs;
	rs = calloc(1, sizeof(*rs));
	if (!rs)
		return NULL;
	TAILQ_INIT(&rs->waiting);
	/* Slow name servers must not take every thread from the rest. */
	rs->max = l->threads ? l->threads * 3 / 4 : 3;
	rs->max = rs->max > NAMES_MAX ? NAMES_MAX : rs->max ? rs->max : 1;
	l->resolver = rs;
	return rs;
}

static int lookup_start(struct net_connect *c, struct view host)
{
	struct resolver *rs = resolver_of(c->loop);
	struct lookup *k = calloc(1, sizeof(*k));

	if (!rs || !k) {
		free(k);
		return LARDER_ENOMEM;
	}
	if (!view_copy(host, k->host, sizeof(k->host)) || strlen(k->host) != host.len) {
		free(k);
		return LARDER_ERESOLVE;
	}
	k->loop = c->loop;
	k->owner = c;
	c->lookup = k;
	TAILQ_INSERT_TAIL(&rs->waiting, k, link);
	start_lookups(rs);
	return 0;
}

static void lookup_drop(struct net_connect *c)
{
	struct lookup *k = c->lookup;

	if (!k)
		return;
	c->lookup = NULL;
	k->owner = NULL;
	if (!k->running) {
		TAILQ_REMOVE(&c->loop->resolver->waiting, k, link);
		free(k);
	}
}

/* ---- Attempts ---- */

static void attempt_end(struct attempt *a, bool keep_fd)
{
	if (a->fd < 0)
		return;
	net_poll_free(a->poll);
	if (!keep_fd)
		close(a->fd);
	a->poll = NULL;
	a->fd = -1;
	a->owner->pending--;
}

static void release(struct net_connect *c)
{
	lookup_drop(c);
	net_timer_stop(&c->deadline);
	net_timer_stop(&c->stagger);
	for (unsigned i = 0; i < ADDRS_MAX; i++)
		attempt_end(&c->attempts[i], false);
	c->magic = 0;
	free(c);
}

static void finish(struct net_connect *c, const struct net_connect_result *r)
{
	void (*done)(void *arg, const struct net_connect_result *r) = c->done;
	void *arg = c->arg;

	release(c);
	done(arg, r);
}

static void fail(struct net_connect *c, int err)
{
	struct net_connect_result r = {.err = err, .fd = -1};

	finish(c, &r);
}

static void succeed(struct net_connect *c, struct attempt *a)
{
	struct net_connect_result r = {.fd = a->fd, .addr = c->addrs[a->addr]};
	int yes = 1;

	setsockopt(r.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	attempt_end(a, true);
	finish(c, &r);
}

static void advance(struct net_connect *c);

static void note_failure(struct net_connect *c, int errnum)
{
	c->err = errnum == ETIMEDOUT ? LARDER_ETIMEOUT : LARDER_ECONNECT;
}

static void on_attempt(void *arg, int events)
{
	struct attempt *a = arg;
	struct net_connect *c = a->owner;
	socklen_t len = sizeof(int);
	int errnum = 0;

	check_magic(c, CONNECT_MAGIC);
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &errnum, &len))
		errnum = errno;
	if (!errnum) {
		succeed(c, a);
		return;
	}
	note_failure(c, errnum);
	attempt_end(a, false);
	/* RFC 8305 §5: one that failed lets the next begin at once. */
	advance(c);
}

/* Begins to connect to the next address. 0, or why not. */
static int attempt_begin(struct net_connect *c, unsigned i)
{
	struct attempt *a = &c->attempts[i];
	const struct addr *to = &c->addrs[i];

	a->fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return errno;
	c->pending++;
	a->addr = i;
	a->poll = net_poll_new(c->loop, a->fd, on_attempt, a);
	if (!a->poll) {
		attempt_end(a, false);
		return ENOMEM;
	}
	if (connect(a->fd, &to->sa, to->len) && errno != EINPROGRESS) {
		int errnum = errno;

		attempt_end(a, false);
		return errnum;
	}
	net_poll_set(a->poll, NET_WRITE);
	return 0;
}

/* Starts the next attempt that can be started; ends all when there is none and none is under way.
 */
static void advance(struct net_connect *c)
{
	net_timer_stop(&c->stagger);
	while (c->next < c->naddrs) {
		unsigned i = c->next++;
		int err;

		addr_set_port(&c->addrs[i], c->port);
		err = c->allow ? c->allow(c->arg, &c->addrs[i]) : 0;
		if (err < 0) {
			if (!c->tried)
				c->err = err;
			continue;
		}
		c->tried = true;
		err = attempt_begin(c, i);
		if (!err) {
			net_timer_set(&c->stagger, STAGGER_MS);
			return;
		}
		note_failure(c, err);
	}
	if (!c->pending)
		fail(c, c->err ? c->err : LARDER_ECONNECT);
}

static void on_stagger(struct net_timer *t)
{
	advance(container_of(t, struct net_connect, stagger));
}

static void on_deadline(struct net_timer *t)
{
	fail(container_of(t, struct net_connect, deadline), LARDER_ETIMEOUT);
}

static void resolved(void *arg)
{
	struct lookup *k = arg;
	struct net_connect *c = k->owner;
	struct resolver *rs = k->loop->resolver;

	rs->running--;
	start_lookups(rs);
	if (!c) {
		free(k);
		return;
	}
	check_magic(c, CONNECT_MAGIC);
	c->lookup = NULL;
	c->err = k->err;
	c->naddrs = k->naddrs;
	memcpy(c->addrs, k->addrs, sizeof(c->addrs));
	free(k);
	advance(c);
}

struct net_connect *net_connect_new(struct net_loop *l, struct view host, uint16_t port,
                                    uint64_t timeout_ms,
                                    int (*allow)(void *arg, const struct addr *a),
                                    void (*done)(void *arg, const struct net_connect_result *r),
                                    void *arg)
{
	struct net_connect *c = calloc(1, sizeof(*c));
	bool numeric;

	if (!c)
		return NULL;
	*c = (struct net_connect){.magic = CONNECT_MAGIC,
	                          .port = port,
	                          .loop = l,
	                          .allow = allow,
	                          .done = done,
	                          .arg = arg};
	for (unsigned i = 0; i < ADDRS_MAX; i++)
		c->attempts[i] = (struct attempt){.owner = c, .fd = -1};
	net_timer_init(&c->deadline, l, on_deadline);
	net_timer_init(&c->stagger, l, on_stagger);
	net_timer_set(&c->deadline, timeout_ms);
	numeric = addr_parse_ip(host, port, &c->addrs[0]) == 0;
	c->naddrs = numeric;
	c->err = numeric ? 0 : lookup_start(c, host);
	if (c->err == LARDER_ENOMEM) {
		release(c);
		return NULL;
	}
	/* What is known already is told later: done never comes before the return. */
	if (!c->lookup)
		net_timer_set(&c->stagger, 0);
	return c;
}

void net_connect_cancel(struct net_connect *c)
{
	if (!c)
		return;
	check_magic(c, CONNECT_MAGIC);
	release(c);
}
