/*
 * The inside of room client.
 *
 * A session is small while it waits for a request: what a request needs (input buffer, fields,
 * output state) is in a `struct busy`, taken from the worker's freelist with the first byte and
 * given back when the session is idle again.
 *
 * session_run is the only place that moves a session on and frees it; operations called by the
 * exchange only note what happened, and have session_run called soon.
 */
#ifndef LARDER_CLIENT_PRIVATE_H
#define LARDER_CLIENT_PRIVATE_H

#include <sys/uio.h>

#include "client/client.h"

#define CLIENT_MAGIC  0x636c6965U
#define SESSION_MAGIC 0x63736573U

enum {
	IN_FIRST = 8 * 1024,      /* the input buffer that every busy session has */
	TAIL_SIZE = 32 * 1024,    /* request body on its way to the exchange */
	OUT_KEEP = 32 * 1024,     /* a larger output buffer is freed when it has left */
	GATHER_ONE = 8 * 1024,    /* an answer that may wait for those of pipelined requests behind it */
	PIECE_MAX = 64 * 1024,    /* of body data copied for a full socket */
	TURN_MAX = 1024 * 1024,   /* bytes sent for one session before others get their turn */
	LINGER_BYTES = 64 * 1024, /* read and dropped of a client that was answered with close */
	LINGER_MS = 1000,
	PROBE_MS = 1000, /* a client that ended its side waits for its answer for so long unasked */
	ACCEPTS_MAX = 64,      /* a wake-up */
	ACCEPT_PAUSE_MS = 100, /* after accept ran out of descriptors */
	SPARE_MAX = 256,       /* busy blocks and sessions kept for reuse */
	TURNED_AWAY_MAX = 256, /* refused connections that linger */
	TRAILERS_MAX = 16 * 1024,
};

/* Bytes from `at` to `len` are to be used; data has `cap` bytes. */
struct span {
	char *data;
	size_t at, len, cap;
};

static inline size_t span_left(const struct span *s)
{
	return s->len - s->at;
}

/* The rate of one direction, counted while it is the client that we wait for. */
struct rate {
	uint64_t since_ms;  /* we wait since then; 0: not waiting */
	uint64_t waited_ms; /* in this window, before since_ms */
	uint64_t bytes;     /* in this window */
};

enum body_state { BODY_NONE, BODY_LENGTH, BODY_CHUNKED };

/* What a session needs while it has a request. */
struct busy {
	SLIST_ENTRY(busy) link;
	struct span in;   /* heads; stays in place while an exchange uses the head */
	struct span tail; /* request bodies; data NULL when there is none */
	struct http_scan scan;
	struct http_head head;
	struct http_target target;
	struct exchange_request req;
	struct exchange *x;
	struct exchange_sent sent;
	uint64_t head_began_ms;
	size_t head_len;

	/* The request body. */
	enum body_state body;
	uint64_t body_left; /* BODY_LENGTH */
	struct view given;  /* decoded bytes that the exchange did not take yet, inside tail */
	struct http_chunked chunked;
	bool body_done; /* all of it was read from the input */
	bool body_over; /* and the exchange knows (or will not be told) */
	bool hold;
	bool continue_waits; /* the client waits for 100 */

	/* The answer. */
	struct span out;
	size_t gathered;   /* of out: whole answers to earlier requests, counted as sent already */
	uint64_t out_left; /* body bytes to come of a known length */
	uint64_t length;   /* of the body; HTTP_LENGTH_UNKNOWN */
	bool replied, ended, detach, aborted;
	bool chunks;     /* the answer is chunked */
	bool by_close;   /* ended by closing: an abort must be seen as one */
	bool keep;       /* the connection stays */
	bool logged;     /* by an exchange */
	bool wants_room; /* the exchange waits for exchange_writable */
	bool probed;     /* a client that ended its side was sent a 102 */
	struct http_field fields[];
};

enum session_state {
	SESSION_HEAD,   /* waits for a request or the rest of its head */
	SESSION_RUN,    /* an exchange is at work */
	SESSION_FLUSH,  /* an answer of our own is leaving, then the session closes */
	SESSION_LINGER, /* answered and half-closed; input is dropped */
	SESSION_GONE,
};

struct session {
	uint32_t magic;
	int fd;
	uint8_t state;
	bool counted;  /* among the client's connections */
	bool is_idle;  /* among its idle ones */
	bool eof;      /* the client has ended its side */
	bool broken;   /* the connection is of no use any more */
	bool blocked;  /* the socket took less than was given */
	bool reset;    /* close with RST */
	uint8_t depth; /* calls into the exchange under way */
	uint32_t requests;
	struct client *client;
	const struct exchange_listener *listener;
	struct peer *peer;
	struct busy *busy;
	struct net_poll *poll;
	struct net_timer timer;
	struct net_task task;
	TAILQ_ENTRY(session) link;
	uint64_t since_ms; /* accepted, idle, half-closed or lingering since */
	uint64_t moved_in_ms, moved_out_ms;
	uint64_t pace_ms; /* exchange_request.pace */
	struct rate rate_in, rate_out;
	uint32_t dropped; /* bytes while lingering */
	uint32_t turn;    /* bytes sent in this turn */
	struct addr addr;
};

/* The choices of options, in their order. */
enum half_closed { HALF_PROBE, HALF_ANSWER, HALF_ABANDON };
enum send_files { SEND_SENDFILE, SEND_MAP };

struct listening;
TAILQ_HEAD(session_list, session);

struct client {
	uint32_t magic;
	bool draining;
	struct net_loop *loop;
	const struct client_options *options;
	struct client_stats *stats;
	struct exchange_env *env;
	uint64_t max;
	unsigned connections, turned_away;
	struct session_list sessions, spare_sessions;
	unsigned nspare_sessions;
	SLIST_HEAD(, busy) spare;
	unsigned nspare;
	LIST_HEAD(, listening) listening;
	LIST_HEAD(peer_list, peer) * peers; /* a hash table; NULL without connections_per_client */
	uint64_t peers_seed;
	char *scratch; /* PIECE_MAX bytes, for files that are not sent with sendfile */
	struct net_task drained;
	void (*drain_done)(void *arg);
	void *drain_arg;
};

/* ---- client.c ---- */
/* A session of the client is gone. */
void client_forget(struct client *c, struct session *s);

/* ---- accept.c ---- */
/* Accepts who waits in the kernel at this moment. */
void listening_empty(struct client *c);
void listening_stop(struct client *c);
int peers_init(struct client *c);
void peers_fini(struct client *c);
/* Counts a connection from that address. LARDER_ELIMIT, LARDER_ENOMEM. */
int peer_take(struct client *c, const struct addr *a, struct peer **out);
void peer_give(struct peer *p);

/* ---- session.c ---- */
/* Takes the descriptor over (closes it on failure). */
void session_new(struct client *c, int fd, const struct exchange_listener *listener,
                 const struct addr *addr, struct peer *peer);
/* The same for one beyond a limit: a short 503, then it lingers. */
void session_turn_away(struct client *c, int fd, const struct exchange_listener *listener,
                       const struct addr *addr);
void session_run(struct session *s);
/* session_run after the present batch of events. */
void session_soon(struct session *s);
void session_free_spares(struct client *c);
/* Ends it at once. */
void session_kill(struct session *s);
/* Asks a client that has ended its side whether it is still there: one that is not answers with a reset. */
void session_probe(struct session *s);
/* At the beginning of a drain: closes it if it is idle. One that was accepted or answered just now has a
 * moment for its next request, which is on its way perhaps: it is answered, with close. May free it. */
void session_drain(struct session *s);
#define DRAIN_WAIT_MS 500
/* Waits for its first or next request, and nothing of it has come. */
bool session_waits(const struct session *s);
/* Ends the exchange, if there is one. */
void session_end_exchange(struct session *s, bool aborted);
/* Answers with an error page and closes. There must be no exchange. */
void session_refuse(struct session *s, unsigned status, const char *proxy_error,
                    const char *detail);

/* ---- busy.c ---- */
int busy_take(struct session *s);
void busy_give(struct session *s);
void busy_free_spares(struct client *c);
/* Makes the next request's place: the answered one's bytes go. */
void busy_next(struct session *s);
int span_grow(struct span *s, size_t cap);

/* ---- limits.c ---- */
/* Sets the timer by what the session waits for. */
void limits_set(struct session *s);
void limits_expired(struct net_timer *t);
void rate_wait(const struct session *s, struct rate *r, bool waiting);

/* ---- input.c ---- */
/* Where input goes now; NULL when there is no room. */
struct span *input_room(struct session *s);
void input_read(struct session *s);
/* SESSION_HEAD: parses what is there. true: the state has changed. */
bool input_head(struct session *s);

/* ---- body.c ---- */
/* Prepares for the request's body. 0, LARDER_ENOMEM. */
int body_begin(struct session *s, enum http_framing framing, uint64_t length);
/* Gives the exchange what there is of the request body. */
void body_feed(struct session *s);
/* The request body cannot be completed. */
void body_fail(struct session *s, unsigned status, const char *detail);
/* Drops the rest of a body that has arrived in full; false when some is still to come. */
bool body_discard(struct session *s);

/* ---- output.c ---- */
/* Sends as much as the socket takes of what is buffered. */
void output_flush(struct session *s, bool more);
/* Sends stretches, and copies what the socket does not take. iov[0] is left to it, for what is
 * buffered. */
void output_put(struct session *s, struct iovec *iov, int n);
/* Only copies, to be sent with what follows. iov[0] is not used. */
void output_keep(struct session *s, const struct iovec *iov, int n);
/* The same with a whole answer, which counts as sent: more of them follow at once. false: it is too much. */
bool output_gather(struct session *s, const struct iovec *iov, int n);
size_t output_raw(struct session *s, struct iovec *iov, int n, int flags);
void output_count(struct session *s, size_t n);

/* ---- reply.c ---- */
extern const struct exchange_client_ops session_ops;

#endif
