/*
 * The rules of RFC 9111 for a shared cache, as pure functions: no I/O, no clock
 * (times are arguments, seconds since the epoch), no globals.
 *
 * Vocabulary: *meta* = the numbers kept with a stored response, so that a hit
 * needs no parsing; *freshness lifetime*, *age*, *validator*, *selecting header
 * fields* as in the RFC.
 */
#ifndef LARDER_CACHE_RULES_H
#define LARDER_CACHE_RULES_H

#include "base/buf.h"
#include "base/option.h"
#include "cache/control.h"
#include "http/value.h"

enum cache_reason {
#define REASON(id, token, clause, text) CACHE_##id,
#include "cache/reasons.def"
#undef REASON
	CACHE_REASON_COUNT
};

/* The token, clause and sentence of a reason (static). */
const char *cache_reason_token(enum cache_reason r);
const char *cache_reason_clause(enum cache_reason r);
const char *cache_reason_text(enum cache_reason r);

struct cache_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "cache/options.def"
#undef OPTION
};

/* Bits of cache_meta.flags. */
enum cache_flag {
	CACHE_F_NO_CACHE = 1 << 0,        /* validate before each use */
	CACHE_F_MUST_REVALIDATE = 1 << 1, /* never stale: must-revalidate, proxy-revalidate, s-maxage */
	CACHE_F_HEURISTIC = 1 << 2,       /* lifetime is a guess */
	CACHE_F_ETAG = 1 << 3,
	CACHE_F_ETAG_WEAK = 1 << 4,
	CACHE_F_LAST_MODIFIED = 1 << 5,
	CACHE_F_LAST_MODIFIED_STRONG = 1 << 6, /* RFC 9110 §8.8.2.2, at storing */
	CACHE_F_IMMUTABLE = 1 << 7,
	CACHE_F_NO_TRANSFORM = 1 << 8,
	CACHE_F_ACCEPT_RANGES_NONE = 1 << 9,
	CACHE_F_DATE = 1 << 10, /* the origin sent a Date */
	CACHE_F_CODED = 1 << 11, /* the content is gzip or deflate */
	CACHE_F_RECODED = 1 << 12, /* CODED by the cache itself, as gzip; the stored head does not say so */
	CACHE_F_ETAG_WEAKENED = 1 << 13, /* by the same: at the origin it is strong */
	CACHE_F_DOUBTED = 1 << 14, /* no TLS vouched for the content, or for its end: immutable does not count (RFC 8246 §3) */
	/* What a 304 does not change. */
	CACHE_F_CONTENT = CACHE_F_CODED | CACHE_F_RECODED | CACHE_F_ETAG_WEAKENED | CACHE_F_DOUBTED,
	CACHE_F_PURGED = 1 << 15, /* a soft purge ended its lifetime */
	CACHE_F_HTTP10 = 1 << 16, /* the protocol that the head came by, for Via; neither: HTTP/1.1 */
	CACHE_F_HTTP2 = 1 << 17,
};

/* Kept in every record: fixed layout, host byte order, part of the on-disk format. */
struct cache_meta {
	int64_t request_time;  /* when the request was sent */
	int64_t response_time; /* when the head arrived */
	int64_t date;          /* Date's value, else response_time */
	int64_t last_modified; /* HTTP_DATE_NONE */
	uint32_t age;          /* Age's value, saturated */
	uint32_t lifetime;     /* freshness lifetime in seconds */
	uint32_t stale_while_revalidate, stale_if_error; /* seconds or CACHE_DELTA_NONE */
	uint32_t flags;
	uint16_t status;
	uint16_t keep; /* hours past the lifetime that it is worth keeping */
};

/* May this response to this request be stored (RFC 9111 §3)? Of POST only if it is about the request's target
 * (RFC 9110 §9.3.3): that its one Content-Location leads there is for the caller to see. Returns CACHE_STORE_OK with *meta
 * filled (always filled as far as possible, so that an answer can be explained), else why not.
 * Heads must have their hops marked. Without a lifetime, a validator is enough. No precondition or range of
 * the client's may have gone to the origin. *cc, unless NULL: what the response says to this cache, for
 * cache_head_write; its views are into the head. */
enum cache_reason cache_storable(const struct cache_options *o, const struct http_head *req,
                                 const struct http_head *res, int64_t request_time,
                                 int64_t response_time, struct cache_meta *meta,
                                 struct cache_control *cc);

/* Appends to *out the head as it is stored and served: status line "HTTP/1.1 200 OK" and the
 * fields in their order and spelling, each line ended by CRLF, no blank line; without hop-by-hop
 * fields, Age, the fields that no-cache= or private= name, and Content-Length, which is written
 * anew from `length` unless that is HTTP_LENGTH_UNKNOWN. `cc`: from cache_storable of the same head; NULL: the
 * head is asked again. 0 or the buffer's error. */
int cache_head_write(const struct cache_options *o, const struct http_head *res,
                     const struct cache_control *cc, uint64_t length, struct buf *out);

/* current_age (RFC 9111 §4.2.3) at `now`, seconds, never negative. */
uint32_t cache_age(const struct cache_meta *meta, int64_t now);
/* lifetime − age: what Cache-Status calls ttl; negative when stale. */
int64_t cache_ttl(const struct cache_meta *meta, int64_t now);

/* Is the stored response still of use at `now`: fresh, or stale for no longer than the option keep_stale
 * allowed at storing and in a way that it can be validated or served? Eviction prefers what is not. */
bool cache_worth_keeping(const struct cache_meta *meta, int64_t now);

enum cache_use {
	CACHE_SERVE,      /* as it is */
	CACHE_SERVE_STALE_REVALIDATE, /* serve now, validate in the background (RFC 5861) */
	CACHE_VALIDATE,   /* conditional request first; serve the stored one on 304 */
	CACHE_TIMEOUT,    /* only-if-cached: 504 */
};
/* May the stored response be used for the request (RFC 9111 §4, §4.2.4, §5.2.1)? */
enum cache_use cache_reuse(const struct cache_options *o, const struct http_head *req,
                           const struct cache_control *req_cc, const struct cache_meta *meta,
                           int64_t now, enum cache_reason *why);
/* When the origin could not be reached or said 5xx: may the stored one stand in (RFC 5861 §4,
 * RFC 9111 §4.2.4)? `default_s`: seconds allowed where the response says nothing. */
bool cache_stale_on_error(const struct cache_options *o, const struct cache_control *req_cc,
                          const struct cache_meta *meta, int64_t now, uint32_t default_s);

/* Vary (RFC 9111 §4.1). Appends the canonical list of names ("accept-encoding,cookie": lower
 * case, sorted, no repeats) of a response. Returns 0 (empty: none), 1 for "*", or the buffer's error. */
int cache_vary_names(const struct http_head *res, struct buf *out);
/* Appends the selecting text of a request under such a list: equal texts select the same
 * response. White space, order, case and weights are normalised in Accept, Accept-Encoding and Accept-Language, and what
 * means nothing is left out (RFC 9110 §12.5): "gzip, br;q=0" is "x-gzip". */
int cache_vary_select(struct view names, const struct http_head *req, struct buf *out);

/* May the client be sent what is coded so (RFC 9110 §12.5.3)? Without Accept-Encoding only what is not coded:
 * clients that do not know of codings send none. `content_encoding`: a field's value or empty. */
bool cache_coding_acceptable(const struct http_head *req, struct view content_encoding);

/* Is what is in that one language what the client would like best (RFC 9110 §12.5.4, RFC 4647 §3.3.1)? Not without an
 * Accept-Language. `content_language`: a field's value or empty. */
bool cache_language_preferred(const struct http_head *req, struct view content_language);

/* Are two selecting texts of one Vary list the same but for Accept-Encoding, or Accept-Language, or both? */
bool cache_vary_same_but(struct view a, struct view b, bool coding, bool language);

enum cache_condition {
	CACHE_COND_NONE,     /* no precondition, or it lets the full answer pass */
	CACHE_COND_304,
	CACHE_COND_412,
};
/* Evaluates the request's preconditions against a stored response (RFC 9110 §13.2.2, RFC 9111
 * §4.3.2). `etag` is the stored ETag's text or empty. */
enum cache_condition cache_precondition(const struct http_head *req, const struct cache_meta *meta,
                                        struct view etag, int64_t now);
/* Whether Range applies under If-Range (RFC 9110 §13.1.5), then the ranges as http_range_parse. */
enum http_range_outcome cache_ranges(const struct http_head *req, const struct cache_meta *meta,
                                     struct view etag, uint64_t length, int64_t now,
                                     struct http_range *ranges, unsigned max, unsigned *n);

/* Appends "If-None-Match: …" and/or "If-Modified-Since: …" lines for validating a stored
 * response. Returns 1 if there was a validator, 0 if not, or the buffer's error. */
int cache_validators_write(const struct http_head *stored, const struct cache_meta *meta,
                           struct buf *out);
/* Does a HEAD's 200 speak of this stored response of `length` bytes to a GET, so that it may freshen it (RFC 9111 §4.3.5)?
 * If not, the stored one is out of date. */
bool cache_head_selects(const struct http_head *stored, const struct cache_meta *meta, uint64_t length,
                        const struct http_head *res);
/* A stored entity-tag as its origin has it. */
struct view cache_origin_etag(struct view etag, const struct cache_meta *meta);
/* Does a 304 speak of this stored response (RFC 9111 §4.3.4)? One without any validator does: so
 * the request must have carried no other validators than those of cache_validators_write. */
bool cache_304_selects(const struct http_head *stored, const struct cache_meta *meta,
                       const struct http_head *res304);
/* What becomes of the stored response once it has been freshened. */
enum cache_fate {
	CACHE_UPDATE, /* it is kept, as it is now */
	CACHE_LEAVE,  /* it stays as it was: the request (no-store, Authorization) is not to leave a trace */
	CACHE_REMOVE, /* it may be kept no longer (no-store, private, Vary: *, …) */
};
/* Does a 304 itself say that its cookies may be shared (RFC 9111 §7.3)? If not, they are for the one whose request was
 * validated, and cache_freshen leaves them out. */
bool cache_304_shares_cookies(const struct cache_options *o, const struct http_head *res304);

/* The stored head updated by a 304, or by a HEAD's 200 (RFC 9111 §3.2, §4.3.4, §4.3.5): as cache_head_write, fields of
 * the new head replacing all of the same name but for Content-Length, Content-Encoding, Content-Range,
 * Content-Digest, a Set-Cookie that is not for all, and the ETag and digests of what the cache has compressed; Date is
 * added where it has none. `stored` must know its status; `was`: its meta. *meta is made anew; unless the fate is CACHE_UPDATE, it says no-cache.
 * A fate, LARDER_ENOMEM, or the buffer's error. */
int cache_freshen(const struct cache_options *o, const struct http_head *req,
                  const struct http_head *stored, const struct cache_meta *was,
                  const struct http_head *res304, int64_t request_time, int64_t response_time, uint64_t length, struct buf *out,
                  struct cache_meta *meta);
/* The head of a 304 made from a stored head: only the fields RFC 9110 §15.4.5 names and those
 * that matter to caches; status line and lines as above. */
int cache_304_write(const struct http_head *stored, struct buf *out);

/* Must a response to an unsafe request invalidate (RFC 9111 §4.4)? */
bool cache_invalidates(enum http_method method, uint16_t status);

#endif
