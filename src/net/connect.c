/* Outgoing connections: names, then happy eyeballs (RFC 8305). */
#include <errno.h>
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
#define STAGGER_MS    250 /* RFC 8305 §5: the Connection Attempt Delay */

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
	struct net_resolve *lookup;
	struct net_timer deadline, stagger;
	struct addr addrs[NET_ADDRS_MAX];
	unsigned naddrs, next, pending;
	struct attempt attempts[NET_ADDRS_MAX];
	int (*allow)(void *arg, const struct addr *a);
	void (*done)(void *arg, const struct net_connect_result *r);
	void *arg;
};

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
	net_resolve_cancel(c->lookup);
	net_timer_stop(&c->deadline);
	net_timer_stop(&c->stagger);
	for (unsigned i = 0; i < NET_ADDRS_MAX; i++)
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

static void resolved(void *arg, int err, const struct addr *addrs, unsigned naddrs)
{
	struct net_connect *c = arg;

	check_magic(c, CONNECT_MAGIC);
	c->lookup = NULL;
	c->err = err;
	c->naddrs = naddrs;
	memcpy(c->addrs, addrs, naddrs * sizeof(*addrs));
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
	for (unsigned i = 0; i < NET_ADDRS_MAX; i++)
		c->attempts[i] = (struct attempt){.owner = c, .fd = -1};
	net_timer_init(&c->deadline, l, on_deadline);
	net_timer_init(&c->stagger, l, on_stagger);
	net_timer_set(&c->deadline, timeout_ms);
	numeric = addr_parse_ip(host, port, &c->addrs[0]) == 0;
	c->naddrs = numeric;
	/* What is known already is told later: done never comes before the return. */
	if (numeric) {
		net_timer_set(&c->stagger, 0);
		return c;
	}
	c->lookup = net_resolve_new(l, host, resolved, c);
	if (!c->lookup) {
		release(c);
		return NULL;
	}
	return c;
}

void net_connect_cancel(struct net_connect *c)
{
	if (!c)
		return;
	check_magic(c, CONNECT_MAGIC);
	release(c);
}
