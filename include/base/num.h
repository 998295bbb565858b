/* Numbers: strict parsers, checked sums. No parser accepts signs, spaces or an
 * empty string. */
#ifndef LARDER_BASE_NUM_H
#define LARDER_BASE_NUM_H

#include <stdint.h>

#include "base/view.h"

/* Decimal digits only. 0, LARDER_EINVAL, or LARDER_ELIMIT when above `max`. */
int num_parse_u64(struct view v, uint64_t max, uint64_t *out);
/* The same, but what is too large becomes `max` (delta-seconds, RFC 9111 §1.2.2). */
int num_parse_saturating(struct view v, uint64_t max, uint64_t *out);
/* Hexadecimal digits only, at most 16. */
int num_parse_hex(struct view v, uint64_t max, uint64_t *out);
/* "512", "64k", "10M", "2G", "1T", with optional "iB" or "B": powers of 1024, bytes. */
int num_parse_size(struct view v, uint64_t *bytes);
/* "30" (seconds), "250ms", "30s", "5m", "2h", "7d", "1w": milliseconds. */
int num_parse_duration(struct view v, uint64_t *ms);
/* The shortest exact text of a size ("64k", "10G", "1000") or duration ("250ms", "5m").
 * dst has `size` bytes; returns dst. 24 bytes are enough. */
char *num_format_size(uint64_t bytes, char *dst, size_t size);
char *num_format_duration(uint64_t ms, char *dst, size_t size);
/* Decimal text of n into dst (at least 20 bytes, no NUL); returns its length. */
size_t num_format_u64(uint64_t n, char *dst);

/* false when the sum or product does not fit. */
static inline bool num_add(uint64_t a, uint64_t b, uint64_t *sum)
{
	return !__builtin_add_overflow(a, b, sum);
}
static inline bool num_mul(uint64_t a, uint64_t b, uint64_t *product)
{
	return !__builtin_mul_overflow(a, b, product);
}

#endif
