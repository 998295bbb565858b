/*
 * One request's life, whatever protocol brought it.
 *
 * Vocabulary: *exchange* = one client request and its answer; *fill* = one origin fetch that
 * exchanges read from; *client* = the protocol side (HTTP/1.1 now), behind exchange_client_ops.
 *
 * The client parses a request, calls exchange_new, feeds the request body, and is called back for the
 * answer. An exchange ends exactly once: the client calls exchange_sent when the last byte of the answer
 * was handed to the kernel (or will never be), after which the exchange is gone.
 */
#ifndef LARDER_EXCHANGE_EXCHANGE_H
#define LARDER_EXCHANGE_EXCHANGE_H

#include "access/access.h"
#include "cache/rules.h"
#include "http/framing.h"
#include "http/target.h"
#include "net/stream.h"
#include "origin/origin.h"
#include "stat/stat.h"
#include "store/store.h"

struct exchange_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "exchange/options.def"
#undef OPTION
};
struct exchange_listener_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "exchange/listener.def"
#undef OPTION
};
struct exchange_stats {
#define COUNTER(kind, name, text) STAT_MEMBER(kind, name, text)
#include "exchange/counters.def"
#undef COUNTER
};

enum exchange_kind { EXCHANGE_FORWARD, EXCHANGE_REVERSE };

/* A listener as the exchange knows it; lives as long as the process. */
struct exchange_listener {
	enum exchange_kind kind;
	struct view name;          /* "forward=127.0.0.1:3128" */
	struct http_target origin; /* reverse: scheme, host, port; path is a prefix ("/" for none) */
	struct access *access;
	struct cache_options cache;
	struct exchange_listener_options options;
};

/* What the workers of a pool fetch at the moment, in memory that they share: made before they are
 * forked. NULL: out of memory. */
struct board;
struct board *exchange_board_new(void);
void exchange_board_free(struct board *b);
/* Takes away what processes left there that have died. Call it when one has. */
void exchange_board_reap(struct board *b);
/* Offline: everything stored is served, whatever its age, and nothing is fetched. */
void exchange_board_set_offline(struct board *b, bool offline);
bool exchange_board_offline(const struct board *b);
/* What is being fetched for that key of the store is not stored, nor given to whoever comes later. */
void exchange_board_invalidate(struct board *b, struct hash128 key);

/* What all exchanges of a worker share. */
struct exchange_env;
/* The parts must outlive it. `store` may be NULL (nothing is stored then), and `board` (the only
 * process; no fetch is shared with another then). NULL: out of memory. */
struct exchange_env *exchange_env_new(struct net_loop *l, const struct exchange_options *options,
                                      struct store *store, struct origin *origin, struct board *board,
                                      struct exchange_stats *stats);
/* Ends fills and tunnels that are left. All exchanges must be gone. */
void exchange_env_free(struct exchange_env *env);
/* Fills (with clients gone) and tunnels still running, for a drain. */
unsigned exchange_env_busy(const struct exchange_env *env);
/* Cuts the tunnels and abandons the fills that no client waits for. */
void exchange_env_abandon(struct exchange_env *env);
/* The name in Via and Cache-Status. */
struct view exchange_pseudonym(const struct exchange_env *env);

/* Appends the text of the store's key for a GET of `target` through this listener: "GET " and the
 * normalised URI. A reverse listener without names or origin_host puts its origin before the URI,
 * so that a Host that a client invented cannot reach what another origin stored; so does one whose origin has a
 * path, because its paths are not the origin's. 0 or the buffer's error. */
int exchange_key_text(const struct exchange_listener *listener, const struct http_target *target,
                      struct buf *out);

/* Is the host among those that a reverse listener serves (option names)? */
bool exchange_serves(const struct exchange_listener *listener, struct view host);

/* ---- The answer, towards the client ---- */

/* A head as HTTP/1.1 text in up to three stretches: status line and field lines, each ended by CRLF,
 * without the blank line, framing or hop-by-hop fields but with Content-Length where the length is known.
 * The protocol adds Connection, Transfer-Encoding and the blank line. Valid during the call. */
struct exchange_reply {
	unsigned status;
	struct view head[3];
	unsigned nhead;
	bool no_body;      /* HEAD, 204, 304: nothing follows whatever the fields say */
	uint64_t length;   /* of the body to come; HTTP_LENGTH_UNKNOWN */
	struct view body;  /* the body or its beginning; valid during the call: what the socket does not take is copied */
	bool complete;     /* body is the whole of it: no data or end call follows */
	bool close;        /* the connection must close afterwards */
	struct view upgrade; /* 101: value of Upgrade */
};

struct exchange_client_ops {
	/* 100, 102, 103 …; dropped for HTTP/1.0. Only before reply. */
	void (*interim)(void *c, const struct exchange_reply *r);
	void (*reply)(void *c, const struct exchange_reply *r);
	/* More body. Returns the bytes taken (sent or buffered, at most a bounded amount), fewer than given when the
	 * socket is full: then exchange_writable is called later. */
	size_t (*data)(void *c, struct view data);
	/* Are bodies sent out of memory rather than out of files? */
	bool (*prefers_memory)(void *c);
	/* The same out of a file (sendfile). */
	size_t (*file)(void *c, int fd, uint64_t offset, uint64_t len);
	/* The body is complete. `trailers`: field lines, CRLF each, sent where the framing can. */
	void (*end)(void *c, struct view trailers);
	/* The answer breaks off: nothing that looks complete must reach the peer; the connection closes. */
	void (*abort)(void *c);
	/* Stop or go on reading the request body (back-pressure). */
	void (*hold_body)(void *c, bool hold);
	/* 200 to CONNECT or 101: gives the socket away, with what was read of it beyond the request in *first
	 * (valid until the next call into the loop). Called after `reply` with complete set. The client waits until its
	 * output has left, then calls exchange_tunnel. */
	void (*detach)(void *c);
};

struct exchange_request {
	struct http_head *head; /* the exchange marks its hops; valid until exchange_sent */
	const struct http_target *target; /* valid until exchange_sent */
	bool has_body;
	uint64_t length; /* of the body; HTTP_LENGTH_UNKNOWN: chunked */
	bool expects_continue;
	struct addr client;
	int64_t arrived_us;   /* wall time, µs; like the other times for the access log, if there is one */
	uint64_t arrived_mono_us;
	/* The connection's, 0 at first: when it may be sent more (option client_rate). NULL: at any time. */
	uint64_t *pace;
};

struct exchange;
/* Begins: sets *slot, and clears it when the exchange has ended (which may be before the return: ops->reply may
 * be called at once, and exchange_sent from inside it). 0, or LARDER_ENOMEM (nothing was called back: the
 * client answers 503 by itself). exchange_sent may be called from inside any of the ops. */
int exchange_new(struct exchange_env *env, const struct exchange_listener *listener,
                 const struct exchange_request *req, const struct exchange_client_ops *ops,
                 void *client, struct exchange **slot);
/* Request body. Returns the bytes taken; fewer than given after hold_body(true): the client keeps the
 * rest and gives it again after hold_body(false). */
size_t exchange_body(struct exchange *x, struct view data);
void exchange_body_end(struct exchange *x);
/* The request body broke off or was malformed: the origin must not take it for complete. */
void exchange_body_abort(struct exchange *x);
/* The client can take more again. */
void exchange_writable(struct exchange *x);
/* The detached socket: the exchange relays and logs by itself; the client is done with it. `first`: bytes
 * already read from the client. exchange_sent must not be called after it. */
void exchange_tunnel(struct exchange *x, int fd, struct view first);

struct exchange_sent {
	uint64_t bytes, body_bytes, received;
	uint64_t first_byte_us; /* monotonic µs of the first byte sent; 0: none */
	bool aborted;           /* the client went away or the answer broke off */
};
/* The end: logs and frees. Also when the client goes away at any moment. */
void exchange_sent(struct exchange *x, const struct exchange_sent *sent);

/* A complete error page, also for faults that the protocol side finds before there is an exchange (400, 408, 414,
 * 431, 503 …): appends head lines (as exchange_reply.head, with Proxy-Status) to *head and the page to *body. */
struct exchange_fault {
	unsigned status;
	const char *proxy_error; /* RFC 9209 §2.3; NULL: none of these */
	const char *detail;      /* a sentence */
	struct view next_hop;    /* the origin that failed, where the client may know it; else empty */
	bool html;               /* the client said it takes HTML */
};
int exchange_error_page(struct view pseudonym, const struct exchange_fault *fault, struct buf *head,
                        struct buf *body);
/* Logs a request that never became an exchange. */
void exchange_log_refused(const struct exchange_listener *listener, const struct addr *client,
                          const struct http_head *head, unsigned status, const char *detail,
                          uint64_t bytes, int64_t arrived_us);

#endif
