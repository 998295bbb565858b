/* Range and Content-Range. The first line is the length of the representation. */
#include "fuzz.h"

#include "base/num.h"
#include "http/value.h"

#define MAX 6

/* Inside the representation; no byte twice, no two that touch. */
static void check_ranges(const struct http_range *r, unsigned n, uint64_t length)
{
	check(n > 0 && n <= MAX);
	for (unsigned i = 0; i < n; i++) {
		check(r[i].first <= r[i].last && r[i].last < length);
		for (unsigned j = 0; j < i; j++)
			check(r[i].first > r[j].last + 1 || r[j].first > r[i].last + 1);
	}
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view value, first = view_cut(view_make(data, len), '\n', &value);
	struct http_range ranges[MAX], one;
	enum http_range_outcome got;
	uint64_t length, total;
	unsigned n = 77;
	int form;

	if (num_parse_saturating(first, UINT64_MAX, &length))
		length = 1000;
	got = http_range_parse(value, length, ranges, MAX, &n);
	if (got == HTTP_RANGE_SOME)
		check_ranges(ranges, n, length);
	else
		check(n == 0);
	form = http_content_range_parse(value, &one, &total);
	check(form == 1 || form == 2 || form == LARDER_EINVAL);
	if (form == 1)
		check(one.first <= one.last && one.last < total);
	return 0;
}
