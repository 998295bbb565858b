/* Dates: what is accepted is printed and read back as the same instant. The first line is
 * the clock. */
#include "fuzz.h"

#include "base/num.h"
#include "http/value.h"

/* "123" or "-123", saturating. */
static int64_t parse_clock(struct view text)
{
	bool negative = view_starts(text, V("-"));
	uint64_t n;

	if (num_parse_saturating(view_from(text, negative), INT64_MAX, &n))
		return 0;
	return negative ? -(int64_t)n : (int64_t)n;
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view text, clock = view_cut(view_make(data, len), '\n', &text);
	int64_t now = parse_clock(clock), t;
	char out[HTTP_DATE_LEN];

	http_date_format(now, out);
	check(http_date_parse(view_make(out, sizeof(out)), 0) != HTTP_DATE_NONE);
	t = http_date_parse(text, now);
	if (t == HTTP_DATE_NONE)
		return 0;
	http_date_format(t, out);
	/* A leap second at the end of the last year is the only instant that can't be written. */
	if (t <= 253402300799)
		check(http_date_parse(view_make(out, sizeof(out)), now) == t);
	return 0;
}
