#include "heads.h"

#define ETAG     "ETag: \"a\"\n"
#define LM(when) "Last-Modified: " when "\n"
#define DAY_AGO  "Sat, 05 Nov 1994 08:49:37 GMT"
#define YEAR_AGO "Sat, 06 Nov 1993 08:49:37 GMT"

/* ---- Lifetimes ---- */

static const struct {
	const char *clause;
	unsigned status;
	const char *res;
	uint32_t lifetime;
	bool heuristic;
} life_rows[] = {
	{"9111 4.2.1", 200, "Cache-Control: max-age=60", 60, false},
	{"9111 4.2.1", 200, "Cache-Control: s-maxage=60", 60, false},
	{"9111 4.2.1", 200, "Cache-Control: s-maxage=60, max-age=10", 60, false},
	{"9111 4.2.1", 200, "Cache-Control: max-age=10, s-maxage=60", 60, false},
	{"9111 4.2.1", 200, "Cache-Control: s-maxage=0, max-age=10", 0, false},
	{"9111 4.2.1", 200, "Cache-Control: s-maxage=x, max-age=10", 0, false},
	{"9111 5.3", 200, DATE "Cache-Control: max-age=10\nExpires: " LATER, 10, false},
	{"9111 5.3", 200, DATE "Cache-Control: max-age=x\nExpires: " LATER, 0, false},
	{"9111 4.2.1", 200, DATE "Expires: " LATER, 60, false},
	{"9111 4.2.1", 200, "Expires: " LATER, 60, false},
	{"9111 4.2.1", 200, "Date: " BEFORE "\nExpires: " LATER, 120, false},
	{"9111 4.2.1", 200, "Date: " LATER "\nExpires: " LATER, 0, false},
	{"9111 4.2.1", 200, "Date: " LATER "\nExpires: " SAME, 0, false},
	{"9111 4.2.1", 200, "Date: nonsense\nExpires: " LATER, 60, false},
	{"9111 4.2.1", 200, "Date: " BEFORE "\nDate: " LATER "\nExpires: " LATER, 60, false},
	{"9111 4.2.1", 200, "Date: " BEFORE "\nDate: " BEFORE "\nExpires: " LATER, 120, false},
	{"9111 5.3", 200, DATE "Expires: 0", 0, false},
	{"9111 5.3", 200, DATE "Expires: -1", 0, false},
	{"9111 5.3", 200, DATE "Expires:", 0, false},
	{"9111 5.3", 200, DATE "Expires: never", 0, false},
	{"9111 5.3", 200, DATE "Expires: 784111837", 0, false},
	{"9111 5.3", 200, DATE "Expires: Sun, 06 Nov 1994 08:50:37", 0, false},
	{"9110 5.6.7", 200, DATE "Expires: Sunday, 06-Nov-94 08:50:37 GMT", 60, false},
	{"9110 5.6.7", 200, DATE "Expires: Sun Nov  6 08:50:37 1994", 60, false},
	{"9111 5.3", 200, DATE "Expires: 0\n" LM(YEAR_AGO), 0, false},
	{"9111 4.2.1", 200, DATE "Expires: " LATER "\nExpires: " LATER, 60, false},
	{"9111 4.2.1", 200, DATE "Expires: " LATER "\nExpires: 0", 0, false},
	{"9111 4.2.1", 200, DATE "Expires: 0\nExpires: " LATER, 0, false},
	{"9111 4.2.1", 200, DATE "Expires: " LATER "\nExpires: " BEFORE, 60, false},
	{"9111 4.2.1", 200, DATE "Expires: " BEFORE "\nExpires: " LATER, 0, false},
	{"9111 4.2.1", 200, DATE "Expires: " LATER ", " LATER, 0, false},
	{"9111 1.2.2", 200, DATE "Expires: Thu, 31 Dec 9999 23:59:59 GMT", CACHE_DELTA_MAX, false},
	{"9111 4.2", 200, DATE ETAG, 0, false},
	{"9111 4.2", 200, "", 0, false},
	/* heuristics: a tenth of the time since the modification, at most a day */
	{"9111 4.2.2", 200, DATE LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 200, LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 200, DATE LM(YEAR_AGO), 86400, true},
	{"9111 4.2.2", 200, DATE LM("Thu, 01 Jan 1970 00:00:00 GMT"), 86400, true},
	{"9111 4.2.2", 200, DATE LM("Mon, 01 Jan 0001 00:00:00 GMT"), 86400, true},
	{"9111 4.2.2", 200, DATE LM(SAME), 0, true},
	{"9111 4.2.2", 200, DATE LM(LATER), 0, true},
	{"9111 4.2.2", 200, DATE LM("nonsense"), 0, false},
	{"9111 4.2.2", 200, DATE LM(DAY_AGO) LM(YEAR_AGO), 0, false},
	{"9111 5.4", 200, DATE "Pragma: no-cache\n" LM(DAY_AGO), 0, false},
	{"9111 5.4", 200, DATE "Pragma: x\n" LM(DAY_AGO), 8640, true},
	{"9111 5.4", 200, DATE "Pragma: no-cache\nCache-Control: x\n" LM(DAY_AGO), 8640, true},
	{"9111 5.4", 200, DATE "Pragma: no-cache\nExpires: " LATER, 60, false},
	{"9111 4.2.2", 203, DATE LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 204, DATE LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 301, DATE LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 404, DATE LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 501, DATE LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 302, DATE LM(DAY_AGO), 0, false},
	{"9111 4.2.2", 403, DATE LM(DAY_AGO), 0, false},
	{"9111 4.2.2", 500, DATE LM(DAY_AGO), 0, false},
	{"9111 4.2.2", 302, DATE "Cache-Control: public\n" LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 200, DATE "Cache-Control: max-age=5\n" LM(DAY_AGO), 5, false},
	{"9111 4.2.2", 200, DATE "Cache-Control: x\n" LM(DAY_AGO), 8640, true},
	{"9111 4.2.2", 200, DATE "Cache-Control: must-revalidate\n" LM(DAY_AGO), 8640, true},
};

static struct cache_meta meta_of(const struct cache_options *o, unsigned status, const char *lines,
				 int64_t request_time, int64_t response_time)
{
	struct head_text req, res;
	struct cache_meta meta;

	/* Every byte goes to disk. */
	memset(&meta, 0xa5, sizeof(meta));
	cache_storable(o, head_request(&req, "GET", ""), head_response(&res, status, lines),
		       request_time, response_time, &meta, NULL);
	head_end(&req);
	head_end(&res);
	return meta;
}

START_TEST(lifetime)
{
	struct cache_options o = head_options();
	struct cache_meta m = meta_of(&o, life_rows[_i].status, life_rows[_i].res, NOW, NOW);

	ck_assert_msg(m.lifetime == life_rows[_i].lifetime, "%s: \"%s\" lives %u, not %u",
		      life_rows[_i].clause, life_rows[_i].res, m.lifetime, life_rows[_i].lifetime);
	ck_assert_int_eq((m.flags & CACHE_F_HEURISTIC) != 0, life_rows[_i].heuristic);
}
END_TEST

#define LC "Larder-Cache-Control: "
#define CC "CDN-Cache-Control: "

/* Targets: Larder-Cache-Control before CDN-Cache-Control (RFC 9213 §2.2). */
static const struct {
	const char *res;
	uint32_t lifetime;
	enum cache_reason verdict;
} target_rows[] = {
	{CC "max-age=9\nCache-Control: max-age=5", 9, CACHE_STORE_OK},
	{CC "max-age=9\nCache-Control: no-store", 9, CACHE_STORE_OK},
	{CC "max-age=9\nCache-Control: s-maxage=5, private", 9, CACHE_STORE_OK},
	{CC "no-store\nCache-Control: max-age=5", 0, CACHE_STORE_NO_STORE},
	{CC "private\nCache-Control: max-age=5", 0, CACHE_STORE_PRIVATE},
	{LC "max-age=7\n" CC "max-age=9\nCache-Control: max-age=5", 7, CACHE_STORE_OK},
	{CC "max-age=9\n" LC "max-age=7", 7, CACHE_STORE_OK},
	{LC "\n" CC "max-age=9", 9, CACHE_STORE_OK},
	{LC "max-age=\"7\"\n" CC "max-age=9", 9, CACHE_STORE_OK},
	{LC "max-age=x y\n" CC "MAX-AGE=9\nCache-Control: max-age=5", 5, CACHE_STORE_OK},
	{"Other-Cache-Control: no-store\nCache-Control: max-age=5", 5, CACHE_STORE_OK},
	{DATE "Expires: " LATER "\n" CC "max-age=0", 0, CACHE_STORE_NO_FRESHNESS},
	{DATE "Expires: " LATER "\n" CC "public", 0, CACHE_STORE_NO_FRESHNESS},
	{DATE LM(DAY_AGO) "Expires: 0\n" CC "public", 8640, CACHE_STORE_OK},
	{CC "max-age=9\nSet-Cookie: a=b", 9, CACHE_STORE_OK},
};

START_TEST(targets)
{
	static char *names[] = {(char *)"Larder-Cache-Control", (char *)"CDN-Cache-Control"};
	struct cache_options o = head_options();
	struct head_text req, res;
	struct cache_meta m;
	enum cache_reason got;

	o.targeted_fields = (struct option_list){names, 2};
	got = cache_storable(&o, head_request(&req, "GET", ""),
	                     head_response(&res, 200, target_rows[_i].res), NOW, NOW, &m, NULL);
	ck_assert_msg(got == target_rows[_i].verdict && m.lifetime == target_rows[_i].lifetime,
	              "9213 2.2: \"%s\": %s, lives %u", target_rows[_i].res,
	              cache_reason_token(got), m.lifetime);
	head_end(&req);
	head_end(&res);
}
END_TEST

START_TEST(heuristic_options)
{
	struct cache_options o = head_options();

	o.heuristic_percent = 0;
	ck_assert_uint_eq(meta_of(&o, 200, DATE LM(DAY_AGO), NOW, NOW).lifetime, 0);
	o.heuristic_percent = 100;
	ck_assert_uint_eq(meta_of(&o, 200, DATE LM(DAY_AGO), NOW, NOW).lifetime, 86400);
	o.heuristic_max = 1999;
	ck_assert_uint_eq(meta_of(&o, 200, DATE LM(DAY_AGO), NOW, NOW).lifetime, 1);
	o.heuristic_max = UINT64_MAX;
	ck_assert_uint_eq(
		meta_of(&o, 200, DATE LM("Mon, 01 Jan 0001 00:00:00 GMT"), NOW, NOW).lifetime,
		CACHE_DELTA_MAX);
}
END_TEST

static const struct {
	uint64_t ms;
	unsigned hours;
} keep_rows[] = {
	{0, 0}, {1, 1}, {3600000, 1}, {3600001, 2}, {2592000000, 720}, {UINT64_MAX, 65535},
};

START_TEST(keep_stale)
{
	struct cache_options o = head_options();

	o.keep_stale = keep_rows[_i].ms;
	ck_assert_uint_eq(meta_of(&o, 200, DATE, NOW, NOW).keep, keep_rows[_i].hours);
}
END_TEST

/* ---- Flags ---- */

static const struct {
	const char *clause, *res;
	uint32_t flags;
} flag_rows[] = {
	{"9110 6.6.1", "", 0},
	{"9110 6.6.1", DATE, CACHE_F_DATE},
	{"9110 6.6.1", "Date: x", 0},
	{"9111 5.2.2.4", "Cache-Control: no-cache", CACHE_F_NO_CACHE},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"a\"", 0},
	{"9111 5.2.2.2", "Cache-Control: must-revalidate", CACHE_F_MUST_REVALIDATE},
	{"9111 5.2.2.8", "Cache-Control: proxy-revalidate", CACHE_F_MUST_REVALIDATE},
	{"9111 5.2.2.10", "Cache-Control: s-maxage=1", CACHE_F_MUST_REVALIDATE},
	{"8246 2", "Cache-Control: immutable", CACHE_F_IMMUTABLE},
	{"9111 5.2.2.6", "Cache-Control: no-transform", CACHE_F_NO_TRANSFORM},
	{"9110 14.3", "Accept-Ranges: none", CACHE_F_ACCEPT_RANGES_NONE},
	{"9110 14.3", "Accept-Ranges: bytes", 0},
	{"9110 8.8.3", "ETag: \"a\"", CACHE_F_ETAG},
	{"9110 8.8.3", "ETag: \"\"", CACHE_F_ETAG},
	{"9110 8.8.3", "ETag: W/\"a\"", CACHE_F_ETAG | CACHE_F_ETAG_WEAK},
	{"9110 8.8.3", "ETag: w/\"a\"", 0},
	{"9110 8.8.3", "ETag: a", 0},
	{"9110 8.8.3", "ETag: \"a", 0},
	{"9110 8.8.3", "ETag: \"a\" x", 0},
	{"9110 8.8.3", "ETag: \"a\", \"b\"", 0},
	{"9110 8.8.3", "ETag: *", 0},
	{"9110 8.8.3", "ETag:", 0},
	{"9110 8.8.3", "ETag: \"a\"\nETag: \"a\"", CACHE_F_ETAG},
	{"9110 8.8.3", "ETag: \"a\"\nETag: W/\"a\"", 0},
	{"9110 8.8.2.2", LM(BEFORE), CACHE_F_LAST_MODIFIED | CACHE_F_HEURISTIC},
	{"9110 8.8.2.2", DATE LM(BEFORE),
	 CACHE_F_DATE | CACHE_F_LAST_MODIFIED | CACHE_F_HEURISTIC | CACHE_F_LAST_MODIFIED_STRONG},
	{"9110 8.8.2.2", DATE LM("Sun, 06 Nov 1994 08:49:36 GMT"),
	 CACHE_F_DATE | CACHE_F_LAST_MODIFIED | CACHE_F_HEURISTIC | CACHE_F_LAST_MODIFIED_STRONG},
	{"9110 8.8.2.2", DATE LM(SAME), CACHE_F_DATE | CACHE_F_LAST_MODIFIED | CACHE_F_HEURISTIC},
	{"9110 8.8.2.2", DATE LM(LATER), CACHE_F_DATE | CACHE_F_LAST_MODIFIED | CACHE_F_HEURISTIC},
	{"9110 8.8.2.2", DATE LM("x"), CACHE_F_DATE},
};

START_TEST(flags)
{
	struct cache_options o = head_options();
	struct cache_meta m = meta_of(&o, 200, flag_rows[_i].res, NOW, NOW);

	ck_assert_msg(m.flags == flag_rows[_i].flags, "%s: \"%s\" gives %#x, not %#x",
		      flag_rows[_i].clause, flag_rows[_i].res, m.flags, flag_rows[_i].flags);
}
END_TEST

/* ---- Age ---- */

static const struct {
	const char *clause, *res;
	int64_t request_time, response_time, now;
	uint32_t age;
} age_rows[] = {
	{"9111 4.2.3", DATE, NOW, NOW, NOW, 0},
	{"9111 4.2.3", DATE, NOW, NOW, NOW + 7, 7},
	{"9111 4.2.3", "", NOW, NOW, NOW + 7, 7},
	{"9111 4.2.3", DATE "Age: 10", NOW, NOW, NOW, 10},
	{"9111 4.2.3", DATE "Age: 10", NOW, NOW, NOW + 5, 15},
	{"9111 4.2.3", DATE "Age: 10", NOW - 2, NOW, NOW, 12},
	{"9111 4.2.3", DATE, NOW - 3, NOW, NOW, 3},
	{"9111 4.2.3", "Date: " BEFORE, NOW, NOW, NOW, 60},
	{"9111 4.2.3", "Date: " BEFORE "\nAge: 10", NOW, NOW, NOW, 60},
	{"9111 4.2.3", "Date: " BEFORE "\nAge: 100", NOW, NOW, NOW, 100},
	{"9111 4.2.3", "Date: " BEFORE "\nAge: 55", NOW - 10, NOW, NOW, 65},
	{"9111 4.2.3", "Date: " LATER, NOW, NOW, NOW, 0},
	{"9111 4.2.3", "Date: " LATER, NOW, NOW, NOW + 5, 5},
	{"9111 4.2.3", "Date: x\nAge: 3", NOW, NOW, NOW, 3},
	/* Age: the first member, ignored if it is no number */
	{"9111 5.1", DATE "Age: 0", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: 0010", NOW, NOW, NOW, 10},
	{"9111 5.1", DATE "Age: 10, 20", NOW, NOW, NOW, 10},
	{"9111 5.1", DATE "Age: 10 , x", NOW, NOW, NOW, 10},
	{"9111 5.1", DATE "Age: x, 20", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: 10\nAge: 20", NOW, NOW, NOW, 10},
	{"9111 5.1", DATE "Age: -10", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: +10", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: 1.5", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: 10 s", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: \"10\"", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age:", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: x\nAge: 20", NOW, NOW, NOW, 0},
	{"9111 5.1", DATE "Age: 10;a=b", NOW, NOW, NOW, 0},
	{"9110 5.6.1", DATE "Age: , 10", NOW, NOW, NOW, 10},
	{"9110 5.6.1", DATE "Age:\nAge: 10", NOW, NOW, NOW, 10},
	{"9111 1.2.2", DATE "Age: 2147483648", NOW, NOW, NOW, CACHE_DELTA_MAX},
	{"9111 1.2.2", DATE "Age: 4294967296", NOW, NOW, NOW, CACHE_DELTA_MAX},
	{"9111 1.2.2", DATE "Age: 99999999999999999999", NOW, NOW, NOW + 9, CACHE_DELTA_MAX},
	{"9111 1.2.2", DATE "Age: 2147483647", NOW - 9, NOW, NOW + 9, CACHE_DELTA_MAX},
	{"9111 1.2.2", "Date: Mon, 01 Jan 0001 00:00:00 GMT", NOW, NOW, NOW, CACHE_DELTA_MAX},
	/* clocks that go backwards or are off */
	{"9111 4.2.3", DATE "Age: 5", NOW + 10, NOW, NOW, 5},
	{"9111 4.2.3", DATE "Age: 5", NOW, NOW, NOW - 1000, 5},
	{"9111 4.2.3", DATE "Age: 5", 0, 0, NOW, NOW + 5},
	{"9111 4.2.3", DATE "Age: 5", NOW, NOW, INT64_MAX, CACHE_DELTA_MAX},
	{"9111 4.2.3", DATE "Age: 5", NOW, NOW, INT64_MIN, 5},
	{"9111 4.2.3", DATE, INT64_MIN, NOW, NOW, CACHE_DELTA_MAX},
};

START_TEST(age)
{
	struct cache_options o = head_options();
	struct cache_meta m = meta_of(&o, 200, age_rows[_i].res, age_rows[_i].request_time,
				      age_rows[_i].response_time);
	uint32_t got = cache_age(&m, age_rows[_i].now);

	ck_assert_msg(got == age_rows[_i].age, "%s: \"%s\" is %u old, not %u", age_rows[_i].clause,
		      age_rows[_i].res, got, age_rows[_i].age);
	ck_assert_int_eq(cache_ttl(&m, age_rows[_i].now), (int64_t)m.lifetime - got);
}
END_TEST

/* A record read back from a damaged disk may hold anything. */
START_TEST(any_meta)
{
	static const int64_t times[] = {INT64_MIN, INT64_MIN + 1, -1,       0,
					NOW,       INT64_MAX - 1, INT64_MAX};
	struct cache_meta m = {.age = UINT32_MAX, .lifetime = UINT32_MAX};

	for (size_t i = 0; i < ARRAY_LEN(times) * ARRAY_LEN(times) * ARRAY_LEN(times); i++) {
		m.request_time = times[i % 7];
		m.response_time = times[i / 7 % 7];
		m.date = times[i / 49 % 7];
		for (size_t n = 0; n < ARRAY_LEN(times); n++) {
			ck_assert_uint_le(cache_age(&m, times[n]), CACHE_DELTA_MAX);
			ck_assert_int_le(cache_ttl(&m, times[n]), UINT32_MAX);
		}
	}
}
END_TEST

START_TEST(reasons)
{
	for (int r = 0; r < CACHE_REASON_COUNT; r++) {
		ck_assert_str_ne(cache_reason_token((enum cache_reason)r), "");
		ck_assert_str_ne(cache_reason_clause((enum cache_reason)r), "");
		ck_assert_str_ne(cache_reason_text((enum cache_reason)r), "");
	}
	ck_assert_str_eq(cache_reason_token(CACHE_STORE_NO_STORE), "no-store");
	ck_assert_str_eq(cache_reason_clause(CACHE_STORE_AUTHORIZATION), "9111 3.5");
}
END_TEST

UNIT_MAIN("cache/meta", tcase_add_loop_test(tc, lifetime, 0, ARRAY_LEN(life_rows));
	  tcase_add_loop_test(tc, targets, 0, ARRAY_LEN(target_rows));
	  tcase_add_test(tc, heuristic_options);
	  tcase_add_loop_test(tc, keep_stale, 0, ARRAY_LEN(keep_rows));
	  tcase_add_loop_test(tc, flags, 0, ARRAY_LEN(flag_rows));
	  tcase_add_loop_test(tc, age, 0, ARRAY_LEN(age_rows)); tcase_add_test(tc, any_meta);
	  tcase_add_test(tc, reasons);)
