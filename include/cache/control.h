/*
 * Cache-Control, targeted fields and Pragma as parsed values (RFC 9111 §5.2, §5.4, RFC 9213).
 * Vocabulary: *directive* = a member of Cache-Control; *delta-seconds* saturate
 * at CACHE_DELTA_MAX; an unusable freshness directive means stale (0), never fresh; *targeted
 * field* = one such as CDN-Cache-Control, which counts in place of Cache-Control and Expires.
 */
#ifndef LARDER_CACHE_CONTROL_H
#define LARDER_CACHE_CONTROL_H

#include "http/head.h"

#define CACHE_DELTA_MAX  2147483648U /* RFC 9111 §1.2.2: 2^31 */
#define CACHE_DELTA_NONE UINT32_MAX  /* directive absent */

enum cache_directive { /* bits of cache_control.set */
	CACHE_CC_PRESENT = 1 << 0, /* there was a Cache-Control field */
	CACHE_CC_NO_CACHE = 1 << 1,
	CACHE_CC_NO_CACHE_FIELDS = 1 << 2, /* the form with field names: fields in no_cache_fields */
	CACHE_CC_NO_STORE = 1 << 3,
	CACHE_CC_NO_TRANSFORM = 1 << 4,
	CACHE_CC_ONLY_IF_CACHED = 1 << 5,
	CACHE_CC_MUST_REVALIDATE = 1 << 6,
	CACHE_CC_PROXY_REVALIDATE = 1 << 7,
	CACHE_CC_MUST_UNDERSTAND = 1 << 8,
	CACHE_CC_PUBLIC = 1 << 9,
	CACHE_CC_PRIVATE = 1 << 10,
	CACHE_CC_PRIVATE_FIELDS = 1 << 11,
	CACHE_CC_IMMUTABLE = 1 << 12,
	CACHE_CC_MAX_STALE_ANY = 1 << 13, /* max-stale without an argument */
	CACHE_CC_PRAGMA_NO_CACHE = 1 << 14,
	CACHE_CC_TARGETED = 1 << 15, /* out of a targeted field: Cache-Control and Expires do not count */
};

struct cache_control {
	uint32_t set;
	uint32_t max_age, s_maxage, min_fresh, max_stale; /* seconds or CACHE_DELTA_NONE */
	uint32_t stale_while_revalidate, stale_if_error;
	/* Comma lists of field names, quotes cut. A list that can't be honoured by leaving fields out
	 * (no names, Content-Encoding, a second list) sets the bit of the form without names instead. */
	struct view no_cache_fields, private_fields;
};

/* Parses all Cache-Control lines (and, when there is none, Pragma: RFC 9111 §5.4) of a head.
 * Of repeated freshness directives the first counts (§4.2.1), of repeated max-stale and min-fresh the least
 * permissive; one without a readable number, anywhere, makes it 0. Quoted arguments are accepted (§5.2). */
void cache_control_parse(const struct http_head *h, struct cache_control *out);
/* Parses a response's targeted field of that name (RFC 9213 §2.1), a Dictionary (RFC 9651). false: there is none, it is
 * empty, no Dictionary, or a directive has a value of the wrong type; then it counts as absent (§2.2). */
bool cache_control_targeted(const struct http_head *h, struct view name, struct cache_control *out);

#endif
