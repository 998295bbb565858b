#include "http/value.h"

#include "base/num.h"
#include "http/framing.h"
#include "http-private.h"

/* One range-spec against a representation of `length` bytes (RFC 9110 §14.1.2): 1 with *out, 0 if
 * it can't be satisfied, negative if it is malformed. */
static int parse_spec(struct view spec, uint64_t length, struct http_range *out)
{
	size_t dash = view_find(spec, '-');
	struct view first = view_make(spec.ptr, dash), last;
	uint64_t from, to = UINT64_MAX;

	if (dash == spec.len)
		return LARDER_EINVAL;
	last = view_from(spec, dash + 1);
	if (last.len && num_parse_saturating(last, INT64_MAX, &to))
		return LARDER_EINVAL;
	if (!first.len) {
		if (!last.len)
			return LARDER_EINVAL;
		*out = (struct http_range){to < length ? length - to : 0, length - 1};
		return to > 0;
	}
	if (num_parse_saturating(first, INT64_MAX, &from) || to < from)
		return LARDER_EINVAL;
	*out = (struct http_range){from, to < length ? to : length - 1};
	return from < length;
}

static bool touch(const struct http_range *a, const struct http_range *b)
{
	return a->first <= b->last + 1 && b->first <= a->last + 1;
}

/* Adds a range, united with all that it overlaps or touches, at the place of the first of
 * these; false when there is no room. So no byte is ever sent twice. */
static bool add_range(struct http_range add, struct http_range *ranges, unsigned max, unsigned *n)
{
	unsigned place = *n, kept;

	for (unsigned i = 0; i < *n; i++) {
		if (touch(&ranges[i], &add)) {
			place = place < i ? place : i;
			add.first = add.first < ranges[i].first ? add.first : ranges[i].first;
			add.last = add.last > ranges[i].last ? add.last : ranges[i].last;
		}
	}
	if (place == max)
		return false;
	kept = place;
	for (unsigned i = place; i < *n; i++) {
		if (!touch(&ranges[i], &add))
			ranges[++kept] = ranges[i];
	}
	ranges[place] = add;
	*n = kept + 1;
	return true;
}

enum http_range_outcome http_range_parse(struct view value, uint64_t length,
                                         struct http_range *ranges, unsigned max, unsigned *n)
{
	struct view set, spec;
	bool any = false;
	int got;

	*n = 0;
	if (!view_ieq(view_cut(value, '=', &set), V("bytes")) || length > INT64_MAX)
		return HTTP_RANGE_NONE;
	while (set.len) {
		struct http_range range;

		spec = view_trim(view_cut(set, ',', &set));
		if (!spec.len)
			continue;
		any = true;
		got = parse_spec(spec, length, &range);
		/* A suffix of an empty representation is satisfiable, but has no Content-Range. */
		if (got < 0 || (got > 0 && length == 0) ||
		    (got > 0 && !add_range(range, ranges, max, n))) {
			*n = 0;
			return HTTP_RANGE_NONE;
		}
	}
	if (!any)
		return HTTP_RANGE_NONE;
	return *n ? HTTP_RANGE_SOME : HTTP_RANGE_UNSATISFIABLE;
}

int http_content_range_parse(struct view value, struct http_range *range, uint64_t *length)
{
	struct view total, last, first;

	if (!view_istarts(value, V("bytes ")))
		return LARDER_EINVAL;
	first = view_cut(view_from(value, 6), '/', &total);
	*length = HTTP_LENGTH_UNKNOWN;
	if (!view_eq(total, V("*")) && num_parse_u64(total, INT64_MAX, length))
		return LARDER_EINVAL;
	if (view_eq(first, V("*")))
		return *length == HTTP_LENGTH_UNKNOWN ? LARDER_EINVAL : 2;
	first = view_cut(first, '-', &last);
	if (num_parse_u64(first, INT64_MAX, &range->first) ||
	    num_parse_u64(last, INT64_MAX, &range->last) || range->last < range->first ||
	    range->last >= *length)
		return LARDER_EINVAL;
	return 1;
}
