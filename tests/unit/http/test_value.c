/* Dates, entity-tags, structured strings, parameters. */
#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "http/value.h"

#define NOW  1763769600LL /* 2025-11-22 */
#define NONE HTTP_DATE_NONE

/* RFC 9110 §5.6.7 */
static const struct {
	const char *text;
	int64_t expected;
} dates[] = {
	{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
	{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
	{"Sun Nov  6 08:49:37 1994", 784111777},
	{"Sun Nov 06 08:49:37 1994", 784111777},
	{"Wed Nov 16 08:49:37 1994", 784975777},
	{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
	{"Wed, 31 Dec 1969 23:59:59 GMT", -1},
	{"Sat, 01 Jan 0000 00:00:00 GMT", -62167219200},
	{"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
	{"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
	{"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
	{"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
	{"Mon, 06 Nov 1994 08:49:37 GMT", 784111777}, /* another day's name: still one instant */
	/* two digits: at most 50 years ahead */
	{"Friday, 01-Jan-70 00:00:00 GMT", 3155760000},
	{"Saturday, 22-Nov-75 00:00:00 GMT", 3341606400},
	{"Saturday, 23-Nov-75 00:00:00 GMT", 185932800},
	{"Friday, 31-Dec-99 23:59:59 GMT", 946684799},
	{"Saturday, 01-Jan-00 00:00:00 GMT", 946684800},
	/* not in the calendar or clock */
	{"Mon, 29 Feb 2100 12:00:00 GMT", NONE},
	{"Wed, 29 Feb 2023 12:00:00 GMT", NONE},
	{"Sun, 31 Nov 1994 08:49:37 GMT", NONE},
	{"Sun, 00 Nov 1994 08:49:37 GMT", NONE},
	{"Sun, 06 Nov 1994 24:00:00 GMT", NONE},
	{"Sun, 06 Nov 1994 08:60:37 GMT", NONE},
	{"Sun, 06 Nov 1994 08:49:61 GMT", NONE},
	/* not in the grammar */
	{"", NONE},
	{"0", NONE},
	{"-1", NONE},
	{"784111777", NONE},
	{"Sun, 6 Nov 1994 08:49:37 GMT", NONE},
	{"Sun, 06 Nov 94 08:49:37 GMT", NONE},
	{"Sun, 06 Nov 1994 08:49:37", NONE},
	{"Sun, 06 Nov 1994 08:49:37 UTC", NONE},
	{"Sun, 06 Nov 1994 08:49:37 +0000", NONE},
	{"sun, 06 nov 1994 08:49:37 gmt", 784111777},
	{"Sun, 06 nov 1994 08:49:37 GMT", 784111777},
	{"Sun; 06 Nov 1994 08:49:37 GMT", NONE},
	{"Sun, 06 Nov 1994 08.49.37 GMT", NONE},
	{"Sun, +6 Nov 1994 08:49:37 GMT", NONE},
	{"Xxx, 06 Nov 1994 08:49:37 GMT", NONE},
	{"Sun, 06 Xxx 1994 08:49:37 GMT", NONE},
	{"Sun, 06 Nov 1994 08:49:37 GMT ", NONE},
	{" Sun, 06 Nov 1994 08:49:37 GMT", NONE},
	{"Sunday, 06-Nov-1994 08:49:37 GMT", NONE},
	{"Sun, 06-Nov-94 08:49:37 GMT", NONE},
	{"Sunday, 06 Nov 94 08:49:37 GMT", NONE},
	{"Sunday", NONE},
	{"Sun Nov   08:49:37 1994", NONE},
	{"Sun Nov    08:49:37 1994", NONE},
	{"Sun Nov 6  08:49:37 1994", NONE},
	{"Sun Nov  6 08:49:37 1994 GMT", NONE},
};

START_TEST(date_rows)
{
	int64_t got = http_date_parse(view_of(dates[_i].text), NOW);

	ck_assert_msg(got == dates[_i].expected, "%s: %ld", dates[_i].text, (long)got);
}
END_TEST

START_TEST(date_formats)
{
	static const struct {
		int64_t t;
		const char *text;
	} rows[] = {
	        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
	        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
	        {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
	        {951825600, "Tue, 29 Feb 2000 12:00:00 GMT"},
	        {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
	        {253402300800, "Fri, 31 Dec 9999 23:59:59 GMT"},
	        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"},
	        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"},
	};
	char text[HTTP_DATE_LEN];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		http_date_format(rows[i].t, text);
		ck_view_eq(view_make(text, sizeof(text)), rows[i].text);
	}
	for (int64_t t = -62167219200; t <= 253402300799; t += 86400 * 97 + 3607) {
		http_date_format(t, text);
		ck_assert_int_eq(http_date_parse(view_make(text, sizeof(text)), NOW), t);
	}
}
END_TEST

/* Whatever the clock says, a two-digit year is one near it. */
START_TEST(date_centuries)
{
	static const struct {
		int64_t now;
		const char *text, *year;
	} rows[] = {
		{INT64_MIN, "Sunday, 06-Nov-94 08:49:37 GMT", "0094"},
		{-62167219200, "Sunday, 06-Nov-04 08:49:37 GMT", "0004"},
		{0, "Sunday, 06-Nov-94 08:49:37 GMT", "1994"},
		{0, "Sunday, 06-Nov-20 08:49:37 GMT", "1920"},
		{253402300799, "Sunday, 06-Nov-94 08:49:37 GMT", "9994"},
		{INT64_MAX, "Sunday, 06-Nov-04 08:49:37 GMT", "9904"},
	};
	char text[HTTP_DATE_LEN];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		http_date_format(http_date_parse(view_of(rows[i].text), rows[i].now), text);
		ck_view_eq(view_make(text + 12, 4), rows[i].year);
	}
}
END_TEST

/* RFC 9110 §8.8.3 */
START_TEST(etags)
{
	static const struct {
		const char *text, *opaque;
		bool weak;
	} rows[] = {
	        {"\"xyzzy\"", "\"xyzzy\"", false},
	        {"W/\"xyzzy\"", "\"xyzzy\"", true},
	        {"\"\"", "\"\"", false},
	        {"\"!#\\\xff\"", "\"!#\\\xff\"", false},
	        {"w/\"x\"", NULL, false},
	        {"W/ \"x\"", NULL, false},
	        {"W/", NULL, false},
	        {"xyzzy", NULL, false},
	        {"\"", NULL, false},
	        {"\"x", NULL, false},
	        {"x\"", NULL, false},
	        {"\"a b\"", NULL, false},
	        {"\"a\"b\"", NULL, false},
	        {"\"a\x7f\"", NULL, false},
	        {"\"a\",\"b\"", NULL, false},
	        {"*", NULL, false},
	        {"", NULL, false},
	};
	struct http_etag tag;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int err = http_etag_parse(view_of(rows[i].text), &tag);

		ck_assert_msg(err == (rows[i].opaque ? 0 : LARDER_EINVAL), "%s", rows[i].text);
		if (!err) {
			ck_view_eq(tag.opaque, rows[i].opaque);
			ck_assert_int_eq(tag.weak, rows[i].weak);
		}
	}
}
END_TEST

/* RFC 9110 §8.8.3.2 */
START_TEST(etag_comparison)
{
	static const struct {
		const char *a, *b;
		bool strong, weak;
	} rows[] = {
	        {"W/\"1\"", "W/\"1\"", false, true},
	        {"W/\"1\"", "W/\"2\"", false, false},
	        {"W/\"1\"", "\"1\"", false, true},
	        {"\"1\"", "\"1\"", true, true},
	};
	struct http_etag a, b;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(http_etag_parse(view_of(rows[i].a), &a), 0);
		ck_assert_int_eq(http_etag_parse(view_of(rows[i].b), &b), 0);
		ck_assert_int_eq(http_etag_strong_eq(&a, &b), rows[i].strong);
		ck_assert_int_eq(http_etag_weak_eq(&a, &b), rows[i].weak);
		ck_assert_int_eq(http_etag_weak_eq(&b, &a), rows[i].weak);
	}
}
END_TEST

/* RFC 9651 §4.1.6, §4.1.7 */
START_TEST(structured)
{
	static const struct {
		struct view text;
		const char *string, *token;
	} rows[] = {
	        {V("abc"), "\"abc\"", "abc"},
	        {V("*a/b:c"), "\"*a/b:c\"", "*a/b:c"},
	        {V("1a"), "\"1a\"", "\"1a\""},
	        {V("a b"), "\"a b\"", "\"a b\""},
	        {V(""), "\"\"", "\"\""},
	        {V("a\"b\\c"), "\"a\\\"b\\\\c\"", "\"a\\\"b\\\\c\""},
	        {V("a\0\r\n\xc3\xbc\x7f"
	           "b"),
	         "\"ab\"", "\"ab\""},
	};
	struct buf out;

	buf_init(&out, 100);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		ck_assert_int_eq(http_sf_add_string(&out, rows[i].text), 0);
		ck_view_eq(buf_view(&out), rows[i].string);
		buf_reset(&out);
		ck_assert_int_eq(http_sf_add_token(&out, rows[i].text), 0);
		ck_view_eq(buf_view(&out), rows[i].token);
	}
	buf_fini(&out);
}
END_TEST

/* RFC 9110 §5.6.6 */
START_TEST(params)
{
	static const struct {
		const char *member, *name, *value;
	} rows[] = {
	        {"text/html;charset=utf-8", "charset", "utf-8"},
	        {"text/html ; Charset=\"utf-8\" ;q=1", "charset", "utf-8"},
	        {"a;q=1;b;c=", "b", ""},
	        {"a;q=1;b;c=", "c", ""},
	        {"a;q=1;q=2", "q", "1"},
	        {"a;x=\";q=1\";q=2", "q", "2"},
	        {"a;x=\"\\\";q=1\";q=2", "q", "2"},
	        {"\"a;q=1\";q=2", "q", "2"},
	        {"a;x=\"\\", "q", NULL},
	        {"q=1", "q", NULL},
	        {"a;;q=3", "q", "3"},
	        {"a;q=\"", "q", "\""},
	        {"a", "q", NULL},
	        {"", "q", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct view v = http_param(view_of(rows[i].member), view_of(rows[i].name));

		ck_assert_msg((v.ptr != NULL) == (rows[i].value != NULL), "%s", rows[i].member);
		if (rows[i].value)
			ck_view_eq(v, rows[i].value);
	}
}
END_TEST

START_TEST(tokens)
{
	ck_assert(http_is_token(V("a!#$%&'*+-.^_`|~9")));
	ck_assert(!http_is_token(V("")));
	for (const char *c = "\"(),/:;<=>?@[\\]{} \t\x7f\x80"; *c; c++)
		ck_assert_msg(!http_is_token(view_make(c, 1)), "%c", *c);
}
END_TEST

UNIT_MAIN("http/value", tcase_add_loop_test(tc, date_rows, 0, ARRAY_LEN(dates));
          tcase_add_test(tc, date_formats); tcase_add_test(tc, date_centuries);
          tcase_add_test(tc, etags); tcase_add_test(tc, etag_comparison);
          tcase_add_test(tc, structured); tcase_add_test(tc, params); tcase_add_test(tc, tokens);)
