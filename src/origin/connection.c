/*
 * Sockets. libcurl opens and closes them through us, so that every address is judged, and keeps
 * them in its pool. Before a request goes out on one, libcurl names its addresses and ports: that
 * tells which descriptor it is, and whether something lies in it that must not be there.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "origin-private.h"

#define FD_MAX (1U << 20)

/* Where an SSL has its connection. */
static int conn_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return index;
}

/* ---- The table of descriptors ---- */

static bool table_reserve(struct origin *o, size_t fd)
{
	size_t n = o->nfds ? o->nfds : 256;
	struct origin_conn **table;

	if (fd < o->nfds)
		return true;
	if (fd >= FD_MAX)
		return false;
	while (n <= fd)
		n *= 2;
	table = realloc(o->by_fd, n * sizeof(struct origin_conn *));
	if (!table)
		return false;
	memset(table + o->nfds, 0, (n - o->nfds) * sizeof(struct origin_conn *));
	o->by_fd = table;
	o->nfds = n;
	return true;
}

static struct origin_conn *conn_of(const struct origin *o, curl_socket_t fd)
{
	return fd >= 0 && (size_t)fd < o->nfds ? o->by_fd[fd] : NULL;
}

static void conn_free(struct origin *o, struct origin_conn *c)
{
	check_magic(c, CONN_MAGIC);
	o->by_fd[c->fd] = NULL;
	if (c->owner || c->keyed)
		LIST_REMOVE(c, link);
	if (c->ends)
		connection_forget_end(c->ends);
	net_poll_free(c->poll);
	c->magic = 0;
	free(c);
}

static struct origin_conn *conn_new(struct origin *o, curl_socket_t fd)
{
	struct origin_conn *c = NULL;

	if (fd < 0 || !table_reserve(o, (size_t)fd))
		return NULL;
	/* libcurl closes a socket that was never connected without a word: what stands at a number
	 * that the kernel gave out anew is gone. */
	if (o->by_fd[fd])
		conn_free(o, o->by_fd[fd]);
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->magic = CONN_MAGIC;
	c->fd = fd;
	c->origin = o;
	c->poll = net_poll_new(o->loop, fd, multi_ready, c);
	if (!c->poll) {
		free(c);
		return NULL;
	}
	o->by_fd[fd] = c;
	return c;
}

void connections_fini(struct origin *o)
{
	for (size_t fd = 0; fd < o->nfds; fd++) {
		if (o->by_fd[fd])
			conn_free(o, o->by_fd[fd]);
	}
	free(o->by_fd);
	o->by_fd = NULL;
	o->nfds = 0;
}

/* ---- libcurl's callbacks ---- */

curl_socket_t connection_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct origin_transfer *t = arg;
	struct origin_conn *c;
	struct addr addr;
	int fd;

	check_magic(t, TRANSFER_MAGIC);
	transfer_resolved(t);
	if (transfer_over(t) || !addr_from_sa(&a->addr, a->addrlen, &addr))
		return CURL_SOCKET_BAD;
	t->counted |= t->attempts > 0;
	if (t->attempts && !transfer_may_repeat(t))
		return CURL_SOCKET_BAD;
	if (t->phase != PHASE_CONNECT)
		transfer_phase(t, PHASE_CONNECT, t->origin->options->connect_timeout);
	t->offered++;
	if (t->h.address && t->h.address(t->arg, &addr)) {
		t->refused++;
		return CURL_SOCKET_BAD;
	}
	if (t->cancelled)
		return CURL_SOCKET_BAD;
	fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE))
		failure_set(t, LARDER_EFILES, "proxy_internal_error", "Out of file descriptors.");
	if (fd < 0)
		return CURL_SOCKET_BAD;
	c = conn_new(t->origin, fd);
	if (!c) {
		failure_set(t, LARDER_ENOMEM, "proxy_internal_error", "Out of memory.");
		close(fd);
		return CURL_SOCKET_BAD;
	}
	c->addr = addr;
	c->owner = t;
	LIST_INSERT_HEAD(&t->opening, c, link);
	return fd;
}

int connection_close(void *arg, curl_socket_t fd)
{
	struct origin *o = arg;
	struct origin_conn *c = conn_of(o, fd);

	check_magic(o, ORIGIN_MAGIC);
	if (c && c->wanted) {
		o->by_fd[fd] = NULL;
		c->wanted = false;
		return 0;
	}
	if (c)
		conn_free(o, c);
	return close(fd);
}

int connection_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp)
{
	struct origin *o = arg;
	struct origin_conn *c = conn_of(o, fd);
	int events = (what & CURL_POLL_IN && what != CURL_POLL_REMOVE ? NET_READ : 0) |
	             (what & CURL_POLL_OUT && what != CURL_POLL_REMOVE ? NET_WRITE : 0);

	if (what == CURL_POLL_REMOVE) {
		if (c && c->foreign)
			conn_free(o, c);
		else if (c)
			net_poll_set(c->poll, 0);
		return 0;
	}
	if (!c) {
		/* The wake-up of a resolving thread: not opened by us, and closed without a word.
		 */
		c = conn_new(o, fd);
		if (!c)
			return -1;
		c->foreign = true;
	}
	net_poll_set(c->poll, events);
	return 0;
}

/* libcurl would look a name up. For connections of our own we do it, and begin anew with what is known
 * then; for its own it may, where not too many do. */
int connection_resolve(void *resolver, void *reserved, void *arg)
{
	struct origin_transfer *t = arg;
	struct origin *o = t->origin;

	if (transfer_over(t))
		return 1;
	if (t->resolving)
		return 0;
	if (t->wired && t->resolved.len) {
		failure_set(t, LARDER_ERESOLVE, "dns_error",
		            "The origin's name has no usable address.");
		return 1;
	}
	if (t->wired || o->resolving >= RESOLVING_MAX) {
		t->again = AGAIN_RESOLVE;
		return 1;
	}
	o->resolving++;
	t->resolving = true;
	transfer_phase(t, PHASE_RESOLVE, o->options->connect_timeout);
	return 0;
}

/* ---- Connections for requests of our own ---- */

struct origin_conn *connection_made(struct origin_transfer *t)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	struct origin_conn *c;

	if (curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) || fd == CURL_SOCKET_BAD)
		return NULL;
	c = conn_of(t->origin, fd);
	if (!c || c->foreign)
		return NULL;
	if (c->owner)
		LIST_REMOVE(c, link);
	c->owner = NULL;
	c->tls = t->https;
	return c;
}

/* ---- Before a request goes out ---- */

static bool same_end(const struct origin_conn *c, int local_port)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	return getsockname(c->fd, (struct sockaddr *)&ss, &len) == 0 &&
	       addr_from_sa((struct sockaddr *)&ss, len, &a) && addr_port(&a) == local_port;
}

static struct origin_conn *find_used(struct origin *o, const char *ip, const char *local_ip,
                                     int port, int local_port)
{
	struct origin_conn *c;

	LIST_FOREACH (c, &o->ports[(unsigned)local_port % PORT_BUCKETS], link) {
		if (c->local_port == local_port && c->port == port && strcmp(c->ip, ip) == 0 &&
		    strcmp(c->local_ip, local_ip) == 0)
			return c;
	}
	return NULL;
}

static struct origin_conn *find_opened(struct origin_transfer *t, const char *ip,
                                       const char *local_ip, int port, int local_port)
{
	struct origin_conn *c;

	LIST_FOREACH (c, &t->opening, link) {
		if (same_end(c, local_port))
			break;
	}
	if (!c || !view_copy(view_of(ip), c->ip, sizeof(c->ip)) ||
	    !view_copy(view_of(local_ip), c->local_ip, sizeof(c->local_ip)))
		return NULL;
	LIST_REMOVE(c, link);
	c->owner = NULL;
	c->port = port;
	c->local_port = local_port;
	c->keyed = true;
	LIST_INSERT_HEAD(&t->origin->ports[(unsigned)local_port % PORT_BUCKETS], c, link);
	return c;
}

/* RFC 9112 §9.8: an answer that has no other end is whole where the connection's end was announced. libcurl takes
 * any end for that. */
static void on_tls_event(const SSL *ssl, int where, int what)
{
	struct origin_conn *c = SSL_get_ex_data(ssl, conn_index());

	if (where == SSL_CB_READ_ALERT && (what & 0xff) == SSL_AD_CLOSE_NOTIFY && c && c->ends)
		c->ends->announced = true;
}

/* Lets the transfer know of the connection's end. */
static void watch_end(struct origin_transfer *t, struct origin_conn *c)
{
	connection_forget_end(t); /* of the connection before, where libcurl repeats */
	if (c->ends)
		connection_forget_end(c->ends);
	c->ends = t;
	t->end_of = c;
	t->announced = false;
}

void connection_forget_end(struct origin_transfer *t)
{
	if (t->end_of)
		t->end_of->ends = NULL;
	t->end_of = NULL;
}

static void judge_protocol(struct origin_transfer *t, struct origin_conn *c)
{
	struct curl_tlssessioninfo *tls = NULL;
	const unsigned char *name = NULL;
	unsigned len = 0;

	c->judged = true;
	c->tls = t->https;
	if (!t->https || curl_easy_getinfo(t->easy, CURLINFO_TLS_SSL_PTR, &tls) || !tls ||
	    tls->backend != CURLSSLBACKEND_OPENSSL || !tls->internals)
		return;
	SSL_get0_alpn_selected(tls->internals, &name, &len);
	c->h2 = view_eq(view_make(name, len), V("h2"));
	c->watched = !c->h2 && SSL_set_ex_data(tls->internals, conn_index(), c) == 1;
	if (c->watched)
		SSL_set_info_callback(tls->internals, on_tls_event);
}

/* Bytes that the connection has received so far, read or not; 0 where the kernel does not tell. */
static uint64_t received(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) ||
	    len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
		return 0;
	return info.tcpi_bytes_received;
}

bool connection_has_excess(const struct origin_transfer *t)
{
	uint64_t now;

	if (t->on_tls || t->fd < 0)
		return false;
	now = received(t->fd);
	return now && now - t->received > t->head_bytes;
}

/* Bytes on an idle connection answer no request of ours: they would be taken for the next one's
 * answer (RFC 9112 §9.2). Under TLS nobody but its library can read them; a ticket or a closing alert
 * is more likely there, and either way a new connection does no harm. */
bool connection_is_clean(struct origin *o, const struct origin_conn *c)
{
	char byte;
	ssize_t n;

	if (c->h2)
		return true;
	n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	if (n > 0 && !c->tls)
		stat_add(&o->stats->desyncs, 1);
	return false;
}

/* libcurl repeats by itself: on a connection that is new. */
static int repeat(struct origin_transfer *t, bool reused)
{
	if (!transfer_may_repeat(t))
		return CURL_PREREQFUNC_ABORT;
	t->repeated = true;
	stat_add(&t->origin->stats->retries, 1);
	if (!reused)
		return CURL_PREREQFUNC_OK;
	t->again = AGAIN_FRESH;
	return CURL_PREREQFUNC_ABORT;
}

static int check_reused(struct origin_transfer *t, const struct origin_conn *c)
{
	int err = t->h.address ? t->h.address(t->arg, &c->addr) : 0;

	if (t->cancelled)
		return CURL_PREREQFUNC_ABORT;
	if (err) {
		failure_set(t, LARDER_EREFUSED, "destination_ip_prohibited",
		            "The origin's address is not allowed as destination.");
		return CURL_PREREQFUNC_ABORT;
	}
	if (connection_is_clean(t->origin, c))
		return CURL_PREREQFUNC_OK;
	t->again = AGAIN_FRESH;
	return CURL_PREREQFUNC_ABORT;
}

int connection_prereq(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct origin_transfer *t = arg;
	struct origin_conn *c;
	bool reused = false;

	check_magic(t, TRANSFER_MAGIC);
	transfer_resolved(t);
	if (transfer_over(t))
		return CURL_PREREQFUNC_ABORT;
	if (t->wired)
		return CURL_PREREQFUNC_OK; /* no request of libcurl's */
	c = find_opened(t, ip, local_ip, port, local_port);
	if (!c) {
		c = find_used(t->origin, ip, local_ip, port, local_port);
		reused = true;
	}
	if (!c) {
		failure_set(t, LARDER_ECONNECT, "proxy_internal_error",
		            "The connection is not known.");
		return CURL_PREREQFUNC_ABORT;
	}
	if (!c->judged)
		judge_protocol(t, c);
	t->counted |= t->attempts > 0;
	if (t->attempts++ > 0 && repeat(t, reused))
		return CURL_PREREQFUNC_ABORT;
	if (reused && check_reused(t, c))
		return CURL_PREREQFUNC_ABORT;
	t->received = c->tls ? 0 : received(c->fd);
	transfer_sends(t, c, reused);
	t->end_matters = c->watched;
	if (c->watched)
		watch_end(t, c);
	return CURL_PREREQFUNC_OK;
}
