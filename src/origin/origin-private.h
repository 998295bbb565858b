/*
 * Inside room origin. libcurl makes all connections. On those to plain http origins, and for all
 * requests with Upgrade, HTTP/1.1 is our own: it costs half of what libcurl's takes. The rest (https,
 * HTTP/2) libcurl transfers itself.
 *
 *   origin.c      the room's functions; the life of a transfer
 *   multi.c       libcurl's multi interface on the loop; the only one that enters it
 *   wire.c        HTTP/1.1 on a connection that libcurl made
 *   pool.c        connections that are ours: kept, given out, waited for
 *   request.c     the request's bytes, and its body on the way out
 *   response.c    head, framing and body on the way in
 *   connection.c  libcurl's sockets: policy, reuse, what must not be reused
 *   failure.c     errors in our words and those of RFC 9209
 *   upgrade.c     the stream after a 101
 */
#ifndef LARDER_ORIGIN_PRIVATE_H
#define LARDER_ORIGIN_PRIVATE_H

#include <curl/curl.h>

#include "base/check.h"
#include "base/error.h"
#include "base/queue.h"
#include "net/loop.h"
#include "origin/origin.h"

#define ORIGIN_MAGIC   0x6f726967U
#define TRANSFER_MAGIC 0x6f727472U
#define CONN_MAGIC     0x6f72636fU

#define PORT_BUCKETS  256
#define HOST_BUCKETS  256
#define RESOLVING_MAX 32          /* names resolved at once by libcurl: a thread each */
#define IDLE_MAX      512         /* transfers with their handles kept for reuse */
#define REQUEST_MAX   (1UL << 20) /* text of a request head */
#define NODES         5
#define IN_ROOM       (128UL * 1024) /* read at once from a connection of ours */

/* One socket that libcurl opened through us. Without a host it is libcurl's, in by_fd; with one it is
 * ours: in use by a transfer, or idle. */
struct origin_conn {
	uint32_t magic;
	int fd;
	struct origin *origin;
	struct addr addr;
	struct net_poll *poll;
	struct origin_transfer *owner; /* while it is being opened: in the owner's list */
	LIST_ENTRY(origin_conn) link;  /* there, or in its port's bucket */
	bool keyed;                    /* in a bucket: it has carried a request */
	bool foreign;                  /* libcurl's own, not a connection */
	bool judged;                   /* tls and h2 are known */
	bool tls, h2;
	bool watched;                  /* its TLS tells `ends` when the other side has announced the end */
	struct origin_transfer *ends;  /* whose request it carried last */
	int local_port, port;
	char local_ip[INET6_ADDRSTRLEN], ip[INET6_ADDRSTRLEN];
	bool wanted;                   /* libcurl's, but to become ours when it closes it */
	struct origin_host *host;
	struct origin_transfer *user;  /* NULL: idle */
	uint64_t idle_since_ms;
	TAILQ_ENTRY(origin_conn) kept; /* its host's idle ones, the one used last first */
	TAILQ_ENTRY(origin_conn) aged; /* all idle ones, the one used last at the end */
};
LIST_HEAD(origin_conns, origin_conn);
TAILQ_HEAD(origin_idle, origin_conn);
TAILQ_HEAD(origin_transfers, origin_transfer);

/* A plain http origin, as long as there are connections to it or transfers that wait for one. */
struct origin_host {
	LIST_ENTRY(origin_host) link;
	unsigned conns;  /* those being made among them */
	unsigned nwaiting;
	unsigned called; /* transfers that have waited and whose turn it is */
	bool held;      /* somebody is choosing: nobody is woken, and it stays */
	struct origin_idle idle;
	struct origin_transfers waiting;
	size_t len;
	char name[]; /* "http://host:port" */
};
LIST_HEAD(origin_hosts, origin_host);

struct origin {
	uint32_t magic;
	struct net_loop *loop;
	const struct origin_options *options;
	struct origin_stats *stats;
	CURLM *multi;
	struct net_timer timer; /* libcurl's */
	struct net_task kick;   /* works off `work`, then what libcurl wants done at once */
	bool due, told; /* libcurl wants a call; it may have messages */
	bool closing;
	unsigned depth; /* > 0: inside libcurl, where handles must not be added or removed */
	struct origin_transfers all, work, waiting, idle;
	unsigned nidle, resolving;
	struct origin_conn **by_fd;
	size_t nfds;
	struct origin_conns ports[PORT_BUCKETS];
	struct origin_hosts hosts[HOST_BUCKETS];
	struct origin_idle aged;
	unsigned nkept;
	struct net_timer expiry; /* of the oldest idle connection of ours */
	size_t piece;            /* what is read at once: IN_ROOM or less */
	char *in;                /* IN_ROOM bytes; what is read is used within the call */
	struct http_field *fields; /* for parsing; used within one call */
};

enum state {
	STATE_IDLE,    /* in the pool */
	STATE_NEW,     /* not given to libcurl (yet, or again) */
	STATE_RUNNING, /* in the multi: connecting, or libcurl's to the end */
	STATE_WIRE,    /* connected; reading and writing are ours */
	STATE_STREAM,  /* handed over as a stream */
};
enum phase { PHASE_WAIT, PHASE_RESOLVE, PHASE_CONNECT, PHASE_SEND, PHASE_HEAD, PHASE_BODY };
enum again { AGAIN_NO, AGAIN_FRESH, AGAIN_RESOLVE };

struct failure {
	int err;
	const char *type;   /* RFC 9209 */
	const char *detail; /* static, or the transfer's own text */
};

/* A transfer on a connection of ours, or over TLS on one that libcurl keeps for its handle. */
struct wire {
	struct origin_conn *conn; /* NULL: TLS */
	struct net_poll *poll;    /* TLS: watches fd, a duplicate: libcurl watches its own */
	int fd;
	size_t head_at;           /* how much of the request's head has gone */
	struct buf out;           /* request body, framed, on its way */
	size_t out_at;
	bool deaf;                /* the origin takes no more of the request */
	bool cut;                 /* sending has failed */
	struct buf in;            /* received and not used yet */
	size_t scanned;           /* of it: holds no end of a head */
	struct view rest;         /* what follows the head that is being reported */
	bool keep;                /* fit for another request, as far as is known */
};

struct origin_transfer {
	uint32_t magic;
	enum state state;
	enum phase phase;
	enum again again;
	struct origin *origin;
	CURL *easy; /* made when it is first needed */
	bool added; /* to the multi */
	struct origin_handlers h;
	void *arg;
	TAILQ_ENTRY(origin_transfer) link;  /* all, or idle */
	TAILQ_ENTRY(origin_transfer) queue; /* work, or waiting for a resolver */
	bool queued;
	struct origin_transfers *waits; /* in this list for a resolver, or a connection of a host */
	bool turn;                      /* it has waited, and comes first */
	bool admitted;                  /* it has been let into its host's queue */
	struct origin_host *host;       /* of the connection that is being made */
	struct origin_host *line;       /* in whose queue it is */
	bool cancelled, finished;
	bool resolving;                 /* by libcurl */
	struct net_resolve *lookup;
	struct buf resolved;            /* "+host:port:address,…" for libcurl; empty: not asked yet */
	struct curl_slist resolve_node;
	struct net_timer timer;
	uint64_t deadline_ms;

	/* The request; pointers into `text`. */
	enum http_method method;
	bool https, wired, numeric, has_body, idempotent;
	uint64_t length, sent;
	struct buf text;
	struct curl_slist nodes[NODES];
	const char *url, *target, *verb; /* the last two for libcurl */
	bool upgrade;
	struct view image;               /* wired: the head as it is sent */
	bool send_paused, send_wanted, body_ended;

	/* Attempts. */
	unsigned attempts; /* in the present run of libcurl */
	bool counted;      /* libcurl has begun one by itself */
	bool fresh, repeated;
	unsigned offered, refused; /* addresses */
	struct origin_conns opening;
	struct origin_info info;
	int fd;
	bool on_tls;
	struct origin_conn *end_of; /* it is known of that connection whether its end is announced: */
	bool end_matters, announced;
	uint64_t received; /* of the connection before this request, by the kernel */

	/* The answer. */
	struct buf head;
	uint64_t head_bytes; /* interim heads and the final one, as received */
	unsigned interims;
	bool head_done, delivered, complete;
	enum http_framing framing;
	uint64_t left, body_bytes;
	struct http_chunked chunked;
	bool chunked_used;
	size_t held_at, held_len; /* decoded and refused by the callee: where in libcurl's piece */
	bool recv_paused, recv_wanted;
	struct buf trailers; /* of HTTP/2 */

	struct failure failure;
	char error[CURL_ERROR_SIZE];

	struct wire wire;
	struct upgrade *up; /* TLS: the stream */
};

/* origin.c */
void transfer_queue(struct origin_transfer *t);
void transfer_wait(struct origin_transfer *t, struct origin_transfers *list);
void transfer_unwait(struct origin_transfer *t);
void transfer_phase(struct origin_transfer *t, enum phase phase, uint64_t ms); /* 0: no limit */
void transfer_finish(struct origin_transfer *t); /* outside libcurl only */
void transfer_recycle(struct origin_transfer *t);
/* Out of libcurl and off its connection, to start again. */
void transfer_withdraw(struct origin_transfer *t);
/* Looks the origin's name up; the transfer begins anew after it. */
void transfer_resolve(struct origin_transfer *t);
/* libcurl looks no name up for it any more. */
void transfer_resolved(struct origin_transfer *t);
/* May it be repeated on a new connection (RFC 9110 §9.2.2)? Otherwise it has failed. */
bool transfer_may_repeat(struct origin_transfer *t);
/* Its request goes out on this connection. */
void transfer_sends(struct origin_transfer *t, const struct origin_conn *c, bool reused);
/* Must nothing more be reported to the callee? */
static inline bool transfer_over(const struct origin_transfer *t)
{
	return t->cancelled || t->failure.err || t->complete;
}

/* multi.c */
int multi_init(struct origin *o);
void multi_fini(struct origin *o);
/* Gives the transfer to libcurl: all of it, or to connect. 0 or LARDER_ENOMEM. */
int multi_add(struct origin_transfer *t);
void multi_remove(struct origin_transfer *t);
void multi_unpause(struct origin_transfer *t);
/* What libcurl wanted to have done, and what it has to say. */
void multi_run(struct origin *o);
void multi_ready(void *arg, int events); /* of a socket that is libcurl's; arg: origin_conn */
/* As recv and send of a connection that libcurl made: > 0 bytes, 0 at the end, LARDER_EAGAIN,
 * LARDER_ECLOSED. */
ssize_t multi_receive(struct origin_transfer *t, void *dst, size_t room);
ssize_t multi_transmit(struct origin_transfer *t, const void *src, size_t len);

/* wire.c */
/* Sends the request on a connection of ours. */
void wire_begin(struct origin_transfer *t, struct origin_conn *c, bool reused);
/* libcurl has connected. */
void wire_connected(struct origin_transfer *t);
void wire_resume(struct origin_transfer *t);
/* Gives up the connection: to the pool if it is fit. */
void wire_release(struct origin_transfer *t);
void wire_ready(struct origin_transfer *t, int events);

/* pool.c */
enum { POOL_CONN = 1, POOL_CONNECT, POOL_WAIT };
/* An idle connection to the transfer's origin (POOL_CONN), leave to make one (POOL_CONNECT: then
 * t->host is set, and counts it), or POOL_WAIT: the transfer is queued again in its turn.
 * LARDER_EREFUSED: the address is not allowed; LARDER_ELIMIT: too many wait; LARDER_ECLOSED: cancelled
 * meanwhile; LARDER_ENOMEM. */
int pool_take(struct origin_transfer *t, struct origin_conn **conn);
/* libcurl let go of the socket that it made for t: from here on it is ours. */
void pool_adopt(struct origin_transfer *t, struct origin_conn *c);
void pool_give(struct origin_conn *c);
void pool_drop(struct origin_conn *c);
/* Takes the descriptor out of the connection, which is gone. */
int pool_detach(struct origin_conn *c);
/* The same for https, where libcurl makes the connection and keeps it: counts t until pool_connected. 0,
 * LARDER_ELIMIT: too many wait; LARDER_ENOMEM. */
int pool_connects(struct origin_transfer *t);
/* It has its connection, or wants none any more. */
void pool_connected(struct origin_transfer *t);
/* It waits no more in its host's queue. */
void pool_left(struct origin_transfer *t);
/* Gives the transfer's turn to the next that waits. */
void pool_pass(struct origin_transfer *t);
/* The connection of t->host was not made. */
void pool_unmade(struct origin_transfer *t);
void pool_init(struct origin *o);
void pool_fini(struct origin *o);

/* request.c */
int origin_request_build(struct origin_transfer *t, const struct origin_request *req);
int request_configure(struct origin_transfer *t);
/* Body from the callee: > 0 bytes, 0 at its end, LARDER_EAGAIN (send_paused is set); LARDER_ECLOSED:
 * the transfer has failed or was cancelled. t->body_ended says that nothing follows. */
ssize_t request_take(struct origin_transfer *t, char *dst, size_t room);
size_t request_body(char *dst, size_t size, size_t n, void *arg);

/* response.c */
size_t response_header(char *line, size_t size, size_t n, void *arg);
size_t response_data(char *data, size_t size, size_t n, void *arg);
/* A whole head: interim or final (then head_done). False: failed, cancelled, switched or complete. */
bool response_head(struct origin_transfer *t, struct view text);
/* Body bytes. False: stop (failed, cancelled, complete). *paused: nothing further was taken; the
 * same bytes have to be given again. */
bool response_body(struct origin_transfer *t, struct view data, bool *paused);
/* Has all of the answer come, as far as its framing tells? */
bool response_whole(const struct origin_transfer *t);
/* The connection ended, or libcurl says that the answer did. */
void response_end(struct origin_transfer *t);

/* connection.c */
curl_socket_t connection_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a);
int connection_close(void *arg, curl_socket_t fd);
int connection_watch(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp);
int connection_prereq(void *arg, char *ip, char *local_ip, int port, int local_port);
int connection_resolve(void *resolver, void *reserved, void *arg);
/* The connection that libcurl made for a wired transfer; NULL: there is none. */
struct origin_conn *connection_made(struct origin_transfer *t);
/* Is the idle connection fit for another request? */
bool connection_is_clean(struct origin *o, const struct origin_conn *c);
/* Did the origin send more on this connection than the head that was parsed? */
bool connection_has_excess(const struct origin_transfer *t);
/* The end of its connection means nothing to the transfer any more. */
void connection_forget_end(struct origin_transfer *t);
void connections_fini(struct origin *o);

/* failure.c */
/* Remembers why; the first reason stays. */
void failure_set(struct origin_transfer *t, int err, const char *type, const char *detail);
void failure_from_curl(struct origin_transfer *t, CURLcode code);
void failure_timeout(struct origin_transfer *t);
void failure_count(struct origin_stats *stats, int err);

/* upgrade.c */
void upgrade_free(struct origin_transfer *t);
/* A 101 came: makes the stream and hands it over. False: the transfer is over. */
bool upgrade_switch(struct origin_transfer *t, const struct http_head *head);

#endif
