/*
 * Cache-Control, Pragma and Expires as parsed values (RFC 9111 §5.2, §5.3, §5.4).
 * Vocabulary: *directive* = a member of Cache-Control; *delta-seconds* saturate
 * at CACHE_DELTA_MAX; an unusable freshness directive means stale (0), never fresh.
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
 * Of repeated freshness directives the least permissive counts; one without a readable number is
 * 0. Quoted arguments are accepted (RFC 9111 §5.2). */
void cache_control_parse(const struct http_head *h, struct cache_control *out);

#endif
