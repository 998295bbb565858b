/*
 * Inside room origin. libcurl is driven by origin.c alone (loop, timers, messages); the other files
 * are its callbacks and what they need:
 *
 *   request.c     the request's bytes, and its body on the way out
 *   response.c    head, framing and body on the way in
 *   connection.c  sockets: policy, reuse, what must not be reused
 *   failure.c     errors in our words and those of RFC 9209
 *   upgrade.c     requests with Upgrade, which libcurl only connects for
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
#define RESOLVING_MAX 32          /* names resolved at once: a thread each */
#define IDLE_MAX      512         /* transfers with their handles kept for reuse */
#define REQUEST_MAX   (1UL << 20) /* text of a request head */
#define NODES         5

/* One socket that libcurl opened through us. */
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
	int local_port, port;
	char local_ip[INET6_ADDRSTRLEN], ip[INET6_ADDRSTRLEN];
};
LIST_HEAD(origin_conns, origin_conn);
TAILQ_HEAD(origin_transfers, origin_transfer);

struct origin {
	uint32_t magic;
	struct net_loop *loop;
	const struct origin_options *options;
	struct origin_stats *stats;
	CURLM *multi;
	struct net_timer timer; /* libcurl's */
	struct net_task kick;   /* works off `work`, then what libcurl wants done at once */
	bool due;
	bool closing;
	unsigned depth; /* > 0: inside libcurl, where handles must not be added or removed */
	struct origin_transfers all, work, waiting, idle;
	unsigned nidle, resolving;
	struct origin_conn **by_fd;
	size_t nfds;
	struct origin_conns ports[PORT_BUCKETS];
	struct http_field *fields; /* for parsing; used within one call */
};

enum state {
	STATE_IDLE,    /* in the pool */
	STATE_NEW,     /* not given to libcurl (yet, or again) */
	STATE_RUNNING, /* in the multi */
	STATE_UPGRADE, /* connected for an Upgrade; reading and writing are ours */
	STATE_STREAM,  /* handed over as a stream */
};
enum phase { PHASE_WAIT, PHASE_RESOLVE, PHASE_CONNECT, PHASE_SEND, PHASE_HEAD, PHASE_BODY };
enum again { AGAIN_NO, AGAIN_FRESH, AGAIN_RESOLVE };

struct failure {
	int err;
	const char *type;   /* RFC 9209 */
	const char *detail; /* static, or the transfer's own text */
};

struct origin_transfer {
	uint32_t magic;
	enum state state;
	enum phase phase;
	enum again again;
	struct origin *origin;
	CURL *easy;
	struct origin_handlers h;
	void *arg;
	TAILQ_ENTRY(origin_transfer) link;  /* all, or idle */
	TAILQ_ENTRY(origin_transfer) queue; /* work, or waiting for a resolver */
	bool queued, waiting;
	bool cancelled, finished;
	bool resolving;
	struct net_timer timer;
	uint64_t deadline_ms;

	/* The request; pointers into `text`. */
	enum http_method method;
	bool https, numeric, has_body, idempotent;
	uint64_t length, sent;
	struct buf text;
	struct curl_slist nodes[NODES];
	const char *url, *target, *verb, *upgrade; /* upgrade: NULL, or the value */
	bool send_paused, send_wanted, body_ended;

	/* Attempts. */
	unsigned attempts; /* in the present run of libcurl */
	bool fresh, repeated;
	unsigned offered, refused; /* addresses */
	struct origin_conns opening;
	struct origin_info info;
	int fd;
	bool on_tls;
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

	struct upgrade *up;
};

/* origin.c */
void transfer_queue(struct origin_transfer *t);
void transfer_phase(struct origin_transfer *t, enum phase phase, uint64_t ms); /* 0: no limit */
void transfer_finish(struct origin_transfer *t); /* outside libcurl only */
void transfer_recycle(struct origin_transfer *t);
void transfer_resolved(struct origin_transfer *t);
/* Must nothing more be reported to the callee? */
static inline bool transfer_over(const struct origin_transfer *t)
{
	return t->cancelled || t->failure.err || t->complete;
}

/* request.c */
int origin_request_build(struct origin_transfer *t, const struct origin_request *req);
int request_configure(struct origin_transfer *t);
size_t request_body(char *dst, size_t size, size_t n, void *arg);

/* response.c */
size_t response_header(char *line, size_t size, size_t n, void *arg);
size_t response_data(char *data, size_t size, size_t n, void *arg);
/* A whole head in t->head: interim or final (then head_done). False: failed, cancelled or complete.
 */
bool response_head(struct origin_transfer *t);
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
/* Did the origin send more on this connection than the head that was parsed? */
bool connection_has_excess(const struct origin_transfer *t);
void connections_fini(struct origin *o);
void on_socket(void *arg, int events); /* origin.c */

/* failure.c */
/* Remembers why; the first reason stays. */
void failure_set(struct origin_transfer *t, int err, const char *type, const char *detail);
void failure_from_curl(struct origin_transfer *t, CURLcode code);
void failure_timeout(struct origin_transfer *t);
void failure_count(struct origin_stats *stats, int err);

/* upgrade.c */
void upgrade_begin(struct origin_transfer *t);
void upgrade_resume(struct origin_transfer *t);
void upgrade_free(struct origin_transfer *t);
/* A 101 came: makes the stream and hands it over. False: the transfer is over. */
bool upgrade_switch(struct origin_transfer *t, const struct http_head *head);

#endif
