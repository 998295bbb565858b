/*
 * Byte streams that are relayed blindly (CONNECT, Upgrade), outgoing connections for them, and
 * listening sockets.
 */
#ifndef LARDER_NET_STREAM_H
#define LARDER_NET_STREAM_H

#include <sys/types.h>


#include "base/addr.h"
#include "net/loop.h"

/* One end of a relay. With ops NULL it is a plain socket `fd` that the stream owns: then it is
 * spliced. Otherwise the functions are used; `fd` is what to poll. */
struct net_stream_ops {
	/* > 0 bytes, 0 at the end, LARDER_EAGAIN, other negative: broken. */
	ssize_t (*read)(void *arg, void *dst, size_t room);
	ssize_t (*write)(void *arg, const void *src, size_t len);
	void (*shutdown)(void *arg); /* no more writes; half-close if it can */
	void (*close)(void *arg);
};
struct net_stream {
	int fd;
	const struct net_stream_ops *ops;
	void *arg;
};

struct net_relay_result {
	uint64_t a_to_b, b_to_a; /* bytes */
	int err;                 /* 0: both sides ended; LARDER_ETIMEOUT, LARDER_ECLOSED, LARDER_EIO */
};
struct net_relay;
/* Copies both ways until both sides have ended (half-close is passed on), one broke, or nothing
 * moved for idle_ms. `first` (may be empty) goes to b before anything else. Owns both streams from
 * the call on, closes them at the end and then calls done, never from inside this call. Memory: at
 * most 64 KiB a direction. NULL (streams closed, done not called): out of memory or descriptors. */
struct net_relay *net_relay_new(struct net_loop *l, struct net_stream a, struct net_stream b,
                                struct view first, uint64_t idle_ms,
                                void (*done)(void *arg, const struct net_relay_result *r), void *arg);
/* Ends it now; done is called before the return. */
void net_relay_abort(struct net_relay *r);
/* Bytes so far. */
void net_relay_bytes(const struct net_relay *r, uint64_t *a_to_b, uint64_t *b_to_a);

/* ---- Names: looked up on threads of their own, at most 32 at once (also of those that nobody
 * waits for any more), others queue ---- */
#define NET_ADDRS_MAX 16
struct net_resolve;
/* err: 0 or LARDER_ERESOLVE. Addresses without a port, families interleaved (RFC 8305 §4); valid during
 * the call. */
typedef void net_resolve_fn(void *arg, int err, const struct addr *addrs, unsigned naddrs);
/* done is never called from inside; the resolve is gone when it is. NULL: out of memory or threads. */
struct net_resolve *net_resolve_new(struct net_loop *l, struct view host, net_resolve_fn *done,
                                    void *arg);
/* done is not called. NULL is fine. */
void net_resolve_cancel(struct net_resolve *r);

/* ---- Connecting: resolves, then happy eyeballs (RFC 8305: 250 ms between attempts, at most
 * NET_ADDRS_MAX addresses) ---- */
struct net_connect;
struct net_connect_result {
	int err; /* 0, LARDER_ERESOLVE, LARDER_ECONNECT, LARDER_ETIMEOUT, LARDER_EREFUSED */
	int fd;  /* connected, non-blocking, the callee's */
	struct addr addr;
};
/* `allow` (may be NULL) judges each resolved address before it is tried: 0, or negative to skip it;
 * when all were skipped err is the last answer of allow. `host` is a name or address (brackets
 * allowed). done is never called from inside; the connect is gone when it is. NULL: out of memory. */
struct net_connect *net_connect_new(struct net_loop *l, struct view host, uint16_t port,
                                    uint64_t timeout_ms, int (*allow)(void *arg, const struct addr *a),
                                    void (*done)(void *arg, const struct net_connect_result *r),
                                    void *arg);
/* done is not called. NULL is fine. */
void net_connect_cancel(struct net_connect *c);

/* ---- Listening sockets (used by the master, no loop) ---- */

/* A bound, listening, non-blocking SO_REUSEPORT socket. First proves by a bind without REUSEPORT that no
 * other process holds the address, unless `again` (more sockets of an address that is ours). The descriptor or
 * negative; LARDER_EBUSY when it is taken. IPv6 `::` accepts IPv4 too. */
int net_listen(const struct addr *a, int backlog, bool again);

/* What its connections inherit, so that none of them pays for it: TCP_NODELAY, TCP_NOTSENT_LOWAT (0: as it is).
 * `defer_s`: the kernel keeps a connection without data to itself for that long (TCP_DEFER_ACCEPT; 0: no). */
void net_listen_tune(int fd, unsigned notsent_lowat, unsigned defer_s);

/* Accepts one connection (non-blocking, close-on-exec). A descriptor, LARDER_EAGAIN, LARDER_EFILES, … */
int net_accept(int listen_fd, struct addr *peer);

#endif
