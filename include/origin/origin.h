/*
 * Origins: one request to one origin on the loop, byte-true both ways, as strict with responses as
 * with clients. libcurl makes the connections, and transfers what is https; HTTP/1.1 to plain http
 * origins is the room's own. Everything libcurl does stays in this room.
 *
 * Vocabulary: *transfer* = one request and its answer; *attempt* = one try on a connection.
 */
#ifndef LARDER_ORIGIN_ORIGIN_H
#define LARDER_ORIGIN_ORIGIN_H

#include "base/addr.h"
#include "base/option.h"
#include "http/framing.h"
#include "http/target.h"
#include "net/stream.h"
#include "stat/stat.h"

struct origin_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "origin/options.def"
#undef OPTION
};
struct origin_stats {
#define COUNTER(kind, name, text) STAT_MEMBER(kind, name, text)
#include "origin/counters.def"
#undef COUNTER
};

/* Once a process, before any thread: curl_global_init. */
int origin_global_init(void);

struct origin; /* a worker's connections */
/* options and stats must outlive it. NULL: out of memory. */
struct origin *origin_new(struct net_loop *l, const struct origin_options *options,
                          struct origin_stats *stats);
/* Cancels what runs (done callbacks come with LARDER_ECLOSED) and closes all connections. */
void origin_free(struct origin *o);

struct origin_request {
	enum http_scheme scheme;
	struct view host;   /* as http_target.host: normalised; IPv6 in brackets */
	uint16_t port;
	struct view method;
	struct view target; /* what stands in the request line, validated by http_target_parse */
	/* The head's field lines, "Name: value", without CRLF, in their order and case, Host among
	 * them (sent first), hop-by-hop fields gone. The transfer adds nothing but the framing of the body
	 * and what Upgrade needs; Expect, Transfer-Encoding and a Content-Length that does not hold are
	 * dropped. */
	const struct view *fields;
	unsigned nfields;
	bool has_body;      /* then the body callback is asked; Content-Length or chunked by `length`: */
	uint64_t length;    /* HTTP_LENGTH_UNKNOWN: chunked (HTTP/1.1) */
	struct view expect; /* "Expect" line to pass on, or empty */
	bool idempotent;    /* may be repeated once on a fresh connection if no byte of an answer came */
	/* Value of Upgrade to send (with Connection: upgrade), or empty; left out where there is a body. */
	struct view upgrade;
};

struct origin_info {
	struct addr addr;      /* the origin's address */
	bool reused;           /* pooled connection */
	bool h2;
	bool http10;           /* the answer came as HTTP/1.0 */
	bool tls;
	bool until_close;      /* the end of the answer is that of the connection */
	int64_t request_time;  /* wall seconds when the (last) attempt's request was sent */
	int64_t response_time; /* wall seconds when the head arrived */
};

struct origin_result {
	int err;            /* 0: complete; else LARDER_ERESOLVE, ECONNECT, ETLS, ETIMEOUT, EPROTO, EREFUSED, ECLOSED… */
	const char *proxy_error; /* RFC 9209 error type ("connection_timeout", …), static; NULL when err is 0 */
	const char *detail; /* a sentence for the log and Proxy-Status; valid during the call */
	bool head_seen;     /* the response head had been delivered */
	uint64_t body_bytes;
	struct view trailers; /* field lines, CRLF each; valid during the call */
};

#define ORIGIN_PAUSE 1 /* outcome of the data and body callbacks: not now */

/* Callbacks come on the loop, never from inside origin_start. Inside any of them the
 * transfer may be cancelled. */
struct origin_handlers {
	/* Is this address allowed as destination (judged for new and for pooled connections)? 0 or LARDER_EREFUSED. */
	int (*address)(void *arg, const struct addr *a);
	/* 1xx but 101. The head's views are valid during the call. */
	void (*interim)(void *arg, const struct http_head *head);
	/* The final head; views valid during the call. *length as http_response_framing says
	 * (HTTP_LENGTH_UNKNOWN for chunked and close). Negative: ends it, and
	 * done comes with that error (so for data and body). */
	int (*head)(void *arg, const struct http_head *head, uint64_t length, const struct origin_info *info);
	/* Body bytes, decoded from chunks. 0: taken; ORIGIN_PAUSE: nothing was taken, they come again after
	 * origin_resume; negative: cancels. */
	int (*data)(void *arg, struct view data);
	/* Request body wanted: > 0 bytes written to dst, 0: the end, LARDER_EAGAIN: none now (call
	 * origin_body_ready when there is), other negative: cancels. */
	ssize_t (*body)(void *arg, char *dst, size_t room);
	/* 101: the stream is the callee's from here on, no further callback comes. `head` as in head. Only with upgrade. */
	void (*switched)(void *arg, const struct http_head *head, struct net_stream stream,
	                 const struct origin_info *info);
	/* The end, exactly once (but for switched and cancel). The transfer is gone afterwards. */
	void (*done)(void *arg, const struct origin_result *result);
};

struct origin_transfer;
/* Copies what it needs of the request. NULL: out of memory. */
struct origin_transfer *origin_start(struct origin *o, const struct origin_request *req,
                                     const struct origin_handlers *h, void *arg);
/* Pieces of bodies are at most `bytes` long from here on, where memory is short; 0: as they come. Those of https origins
 * stay as they are, at most 32 KiB. */
void origin_set_piece(struct origin *o, size_t bytes);
void origin_resume(struct origin_transfer *t);     /* after data returned ORIGIN_PAUSE */
void origin_body_ready(struct origin_transfer *t); /* after body returned LARDER_EAGAIN */
/* Ends it; no callback comes any more. Its connection is closed unless the answer was complete. */
void origin_cancel(struct origin_transfer *t);

#endif
