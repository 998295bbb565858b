/* Field values: dates, entity-tags, ranges, structured fields' strings. */
#ifndef LARDER_HTTP_VALUE_H
#define LARDER_HTTP_VALUE_H

#include <stdint.h>

#include "base/buf.h"
#include "http/head.h"

#define HTTP_DATE_LEN 29
#define HTTP_DATE_NONE INT64_MIN

/* HTTP-date (RFC 9110 §5.6.7), all three forms, strictly. Seconds since the epoch, or
 * HTTP_DATE_NONE. `now` decides the century of RFC 850's two-digit years. */
int64_t http_date_parse(struct view text, int64_t now);
/* IMF-fixdate into dst (HTTP_DATE_LEN bytes, no NUL). Seconds outside years 0–9999 are clamped. */
void http_date_format(int64_t t, char dst[HTTP_DATE_LEN]);

struct http_etag {
	struct view opaque; /* with its quotes */
	bool weak;
};
/* One entity-tag (RFC 9110 §8.8.3) and nothing else. 0, LARDER_EINVAL. */
int http_etag_parse(struct view text, struct http_etag *out);
bool http_etag_strong_eq(const struct http_etag *a, const struct http_etag *b);
bool http_etag_weak_eq(const struct http_etag *a, const struct http_etag *b);

struct http_range {
	uint64_t first, last; /* inclusive */
};
enum http_range_outcome {
	HTTP_RANGE_NONE,          /* no usable Range: send the whole */
	HTTP_RANGE_SOME,          /* *n ranges, in the order asked */
	HTTP_RANGE_UNSATISFIABLE, /* 416 */
};
/* The byte ranges (RFC 9110 §14.1.2, §14.2) of a Range value against a representation of
 * `length` bytes, at most `max`; more ranges than that, other units and syntax errors give NONE.
 * Overlapping or adjacent ranges are one, at the place of the first (§15.3.7.2): no byte is sent twice. */
enum http_range_outcome http_range_parse(struct view value, uint64_t length,
                                         struct http_range *ranges, unsigned max, unsigned *n);
/* Content-Range of a 206 or 416 (RFC 9110 §14.4): *length is HTTP_LENGTH_UNKNOWN for "*".
 * Returns 1 with the range, 2 for the unsatisfied form, LARDER_EINVAL. */
int http_content_range_parse(struct view value, struct http_range *range, uint64_t *length);

/* The one content coding (RFC 9110 §8.4) of a response: none, one that zlib knows, or others (several, unknown). */
enum http_coding { HTTP_CODING_NONE, HTTP_CODING_GZIP, HTTP_CODING_DEFLATE, HTTP_CODING_OTHER };
enum http_coding http_content_coding(const struct http_head *res);
/* A qvalue (§12.4.2) in thousandths; false if it is none. */
bool http_weight_parse(struct view v, unsigned *weight);
/* The weight, in thousandths, that a request's Accept-Encoding (§12.5.3) gives a coding ("gzip", "identity"); 0: it is
 * not taken. HTTP_CODING_UNSAID where there is no such field: all are. */
enum { HTTP_CODING_UNSAID = -1 };
int http_coding_weight(const struct http_head *req, struct view coding);

/* Appends an RFC 9651 String of printable ASCII (others are dropped), quoted. */
int http_sf_add_string(struct buf *out, struct view text);
/* Appends a Token if `text` is one, else a String. */
int http_sf_add_token(struct buf *out, struct view text);

/* The parameter `name` of a "token;name=value;…" member (quoted strings unquoted only
 * in that the quotes are cut). Empty with ptr NULL if absent. */
struct view http_param(struct view member, struct view name);

/* Character classes of RFC 9110 §5.6. */
bool http_is_token(struct view v);

#endif
