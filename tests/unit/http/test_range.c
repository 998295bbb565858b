/* Range and Content-Range (RFC 9110 §14). */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "http/framing.h"
#include "http/value.h"

#define MAX 4

/* "first-last first-last", "none" or "416". */
static const struct {
	const char *value;
	uint64_t length;
	const char *expected;
} ranges[] = {
	/* §14.1.2 */
	{"bytes=0-499", 10000, "0-499"},
	{"bytes=500-999", 10000, "500-999"},
	{"bytes=-500", 10000, "9500-9999"},
	{"bytes=9500-", 10000, "9500-9999"},
	{"bytes=0-0,-1", 10000, "0-0 9999-9999"},
	{"bytes=9000-99999", 10000, "9000-9999"},
	{"bytes=0-99999999999999999999999", 10, "0-9"},
	{"bytes=-99999999999999999999999", 10, "0-9"},
	{"bytes=-11", 10, "0-9"},
	{"BYTES=1-2", 10, "1-2"},
	{"bytes= 1-2 ,\t4-5,,", 10, "1-2 4-5"},
	{"bytes=4-5,1-2", 10, "4-5 1-2"},
	/* §14.1.1: malformed sets are ignored */
	{"bytes=2-1", 10, "none"},
	{"bytes=0-1,2-1", 10, "none"},
	{"bytes=", 10, "none"},
	{"bytes=,", 10, "none"},
	{"bytes", 10, "none"},
	{"bytes=-", 10, "none"},
	{"bytes=1", 10, "none"},
	{"bytes=a-b", 10, "none"},
	{"bytes=1-2-3", 10, "none"},
	{"bytes=1 - 2", 10, "none"},
	{"bytes=+1-2", 10, "none"},
	{"bytes =1-2", 10, "none"},
	{"bytes:1-2", 10, "none"},
	{"items=1-2", 10, "none"},
	{"", 10, "none"},
	/* §15.5.17 */
	{"bytes=10-", 10, "416"},
	{"bytes=10-20,30-", 10, "416"},
	{"bytes=-0", 10, "416"},
	{"bytes=99999999999999999999-", 10, "416"},
	{"bytes=0-0", 0, "416"},
	{"bytes=0-", 0, "416"},
	{"bytes=-5", 0, "none"},
	{"bytes=10-20,3-4", 10, "3-4"},
	{"bytes=0-1", HTTP_LENGTH_UNKNOWN, "none"},
	/* §15.3.7.2: overlapping and adjacent ranges are one */
	{"bytes=0-4,5-9", 100, "0-9"},
	{"bytes=5-9,0-4", 100, "0-9"},
	{"bytes=0-4,6-9", 100, "0-4 6-9"},
	{"bytes=0-4,20-24,3-10", 100, "0-10 20-24"},
	{"bytes=20-24,0-4,10-14,0-19", 100, "0-24"},
	{"bytes=50-60,20-24,0-4,4-20", 100, "50-60 0-24"},
	{"bytes=0-,0-,0-,0-,0-,0-,0-,0-", 100, "0-99"},
	{"bytes=0-,1-,2-,3-,4-,5-,6-,7-", 100, "0-99"},
	{"bytes=0-0,2-2,4-4,6-6", 100, "0-0 2-2 4-4 6-6"},
	{"bytes=0-0,2-2,4-4,6-6,8-8", 100, "none"},
	{"bytes=0-0,2-2,4-4,6-6,0-", 100, "0-99"},
};

START_TEST(range_rows)
{
	struct http_range out[MAX];
	unsigned n;
	enum http_range_outcome got =
	        http_range_parse(view_of(ranges[_i].value), ranges[_i].length, out, MAX, &n);
	struct buf text;

	buf_init(&text, 1000);
	if (got == HTTP_RANGE_NONE)
		buf_printf(&text, "none");
	if (got == HTTP_RANGE_UNSATISFIABLE)
		buf_printf(&text, "416");
	for (unsigned i = 0; i < n; i++)
		buf_printf(&text, "%s%" PRIu64 "-%" PRIu64, i ? " " : "", out[i].first,
		           out[i].last);
	ck_assert_int_eq(got == HTTP_RANGE_SOME, n > 0);
	ck_assert_msg(view_eq(buf_view(&text), view_of(ranges[_i].expected)), "%s: %.*s",
	              ranges[_i].value, VFMT(buf_view(&text)));
	buf_fini(&text);
}
END_TEST

/* §14.4 */
static const struct {
	const char *value;
	int result;
	uint64_t first, last, length;
} content_ranges[] = {
	{"bytes 42-1233/1234", 1, 42, 1233, 1234},
	{"Bytes 0-0/1", 1, 0, 0, 1},
	{"bytes 42-1233/*", 1, 42, 1233, HTTP_LENGTH_UNKNOWN},
	{"bytes */1234", 2, 0, 0, 1234},
	{"bytes */*", LARDER_EINVAL, 0, 0, 0},
	{"bytes 42-1233/1233", LARDER_EINVAL, 0, 0, 0},
	{"bytes 42-41/1234", LARDER_EINVAL, 0, 0, 0},
	{"bytes 42-/1234", LARDER_EINVAL, 0, 0, 0},
	{"bytes -42/1234", LARDER_EINVAL, 0, 0, 0},
	{"bytes 42/1234", LARDER_EINVAL, 0, 0, 0},
	{"bytes 1-2", LARDER_EINVAL, 0, 0, 0},
	{"bytes 1-2/", LARDER_EINVAL, 0, 0, 0},
	{"bytes 1-2/3 ", LARDER_EINVAL, 0, 0, 0},
	{"bytes  1-2/3", LARDER_EINVAL, 0, 0, 0},
	{"bytes 1-2/9223372036854775808", LARDER_EINVAL, 0, 0, 0},
	{"bytes=1-2/3", LARDER_EINVAL, 0, 0, 0},
	{"items 1-2/3", LARDER_EINVAL, 0, 0, 0},
	{"", LARDER_EINVAL, 0, 0, 0},
};

START_TEST(content_range_rows)
{
	struct http_range r = {0, 0};
	uint64_t length = 0;

	ck_assert_int_eq(http_content_range_parse(view_of(content_ranges[_i].value), &r, &length),
	                 content_ranges[_i].result);
	if (content_ranges[_i].result == 1) {
		ck_assert_uint_eq(r.first, content_ranges[_i].first);
		ck_assert_uint_eq(r.last, content_ranges[_i].last);
	}
	if (content_ranges[_i].result > 0)
		ck_assert_uint_eq(length, content_ranges[_i].length);
}
END_TEST

UNIT_MAIN("http/range", tcase_add_loop_test(tc, range_rows, 0, ARRAY_LEN(ranges));
          tcase_add_loop_test(tc, content_range_rows, 0, ARRAY_LEN(content_ranges));)
