/* What the files of room cache share. */
#ifndef LARDER_CACHE_PRIVATE_H
#define LARDER_CACHE_PRIVATE_H

#include "cache/explain.h"

/* The value of a field that may stand once (RFC 9110 §5.3): several equal lines count as one,
 * differing ones as none. ptr is NULL if there is no such value; *present: there was any line. */
struct view cache_single(const struct http_head *h, enum http_name id, bool *present);

/* Cuts the next member off a comma list in which only quoted strings hide commas. A quote that
 * never ends hides nothing. Empty members are skipped; false at the end. */
bool cache_member_next(struct view *rest, struct view *member);

/* What the response says to this cache: its first usable targeted field, whose name it returns, else Cache-Control
 * (RFC 9213 §2.2). */
struct view cache_control_response(const struct cache_options *o, const struct http_head *res,
                                   struct cache_control *out);

/* Fills *meta from a response head and its Cache-Control; where its lifetime comes from. */
enum cache_clause cache_meta_fill(const struct cache_options *o, const struct http_head *res,
                                  const struct cache_control *cc, int64_t request_time,
                                  int64_t response_time, struct cache_meta *meta);

/* In which of a response's qualified no-cache and private the name stands: CACHE_FIELD_NO_CACHE, CACHE_FIELD_PRIVATE,
 * or CACHE_FIELD_KEPT for neither. */
enum cache_clause cache_control_named(const struct cache_control *cc, struct view name);

/* All of cache_storable but for the request's method. */
enum cache_reason cache_judge(const struct cache_options *o, const struct http_head *req,
                              const struct http_head *res, const struct cache_control *cc,
                              const struct cache_meta *meta);

/* May the response's Set-Cookie be kept and given to others? */
bool cache_cookie_shareable(const struct cache_options *o, const struct http_head *res,
                            const struct cache_control *cc);

/* Walks the lines of a field that reach the origin: what Connection names does not. `id` HTTP_OTHER: by name. */
const struct http_field *cache_next_line(const struct http_head *req, enum http_name id,
                                         struct view name, unsigned from);
/* Appends Accept, Accept-Encoding or Accept-Language in a spelling that all lists of one meaning share. false: too long
 * for that, nothing was added. */
bool cache_prefer(const struct http_head *req, enum http_name id, struct buf *out);

/* Vary: *, or one that no request could match for sure (RFC 9111 §4.1). */
bool cache_vary_any(const struct http_head *res);

/* a − b in seconds, 0 when negative, at most CACHE_DELTA_MAX, whatever the operands. */
uint32_t cache_since(int64_t a, int64_t b);

#endif
