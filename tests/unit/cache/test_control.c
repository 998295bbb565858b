#include "heads.h"

#define P  CACHE_CC_PRESENT
#define NO CACHE_DELTA_NONE

/* Flags and the numbers; rows name only what is set. */
struct row {
	const char *clause, *lines;
	uint32_t set;
	struct {
		uint32_t max_age, s_maxage, min_fresh, max_stale, swr, sie;
	} n;
	const char *no_cache, *private_;
};

#define NONE                                                                                       \
	{                                                                                          \
		NO, NO, NO, NO, NO, NO                                                             \
	}
#define MAX_AGE(s)                                                                                 \
	{                                                                                          \
		s, NO, NO, NO, NO, NO                                                              \
	}

static const struct row rows[] = {
	{"9111 5.2", "X: y", 0, NONE, "", ""},
	{"9111 5.2", "Cache-Control:", P, NONE, "", ""},
	{"9111 5.2", "Cache-Control: , ,,\t,", P, NONE, "", ""},
	/* flags */
	{"9111 5.2.2.5", "Cache-Control: no-store", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2", "Cache-Control: NO-STORE", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2", "CACHE-CONTROL: No-Store", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2.2.5", "Cache-Control: no-store=1", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2.2.5", "Cache-Control: no-store=\"x, y\"", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: no-stores", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: xno-store", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: \"no-store\"", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x=\"no-store\"", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x=\"a, no-store, b\"", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x=\"a\\\", no-store, b\"", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x=\"a, no-store", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x=(a, no-store", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x=\"\\, no-store", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2", "Cache-Control: a\nCache-Control: no-store", P | CACHE_CC_NO_STORE, NONE, "",
	 ""},
	{"9111 5.2", "Cache-Control: ,no-store,", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2", "Cache-Control:\tno-store\t", P | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9111 5.2.2.6", "Cache-Control: no-transform", P | CACHE_CC_NO_TRANSFORM, NONE, "", ""},
	{"9111 5.2.1.7", "Cache-Control: only-if-cached", P | CACHE_CC_ONLY_IF_CACHED, NONE, "",
	 ""},
	{"9111 5.2.2.2", "Cache-Control: must-revalidate", P | CACHE_CC_MUST_REVALIDATE, NONE, "",
	 ""},
	{"9111 5.2.2.2", "Cache-Control: must-revalidate=0", P | CACHE_CC_MUST_REVALIDATE, NONE, "",
	 ""},
	{"9111 5.2.2.8", "Cache-Control: proxy-revalidate", P | CACHE_CC_PROXY_REVALIDATE, NONE, "",
	 ""},
	{"9111 5.2.2.3", "Cache-Control: must-understand", P | CACHE_CC_MUST_UNDERSTAND, NONE, "",
	 ""},
	{"9111 5.2.2.9", "Cache-Control: public", P | CACHE_CC_PUBLIC, NONE, "", ""},
	{"9111 5.2.2.9", "Cache-Control: Public", P | CACHE_CC_PUBLIC, NONE, "", ""},
	{"9111 5.2.2.9", "Cache-Control: public=\"x\"", P, NONE, "", ""},
	{"9111 5.2.2.9", "Cache-Control: public=", P, NONE, "", ""},
	{"8246 2", "Cache-Control: immutable", P | CACHE_CC_IMMUTABLE, NONE, "", ""},
	{"8246 2", "Cache-Control: immutable=no", P | CACHE_CC_IMMUTABLE, NONE, "", ""},
	{"9111 5.2", "Cache-Control: no-store,public , private",
	 P | CACHE_CC_NO_STORE | CACHE_CC_PUBLIC | CACHE_CC_PRIVATE, NONE, "", ""},
	/* no-cache and private, with names or without */
	{"9111 5.2.2.4", "Cache-Control: no-cache", P | CACHE_CC_NO_CACHE, NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"Set-Cookie\"", P | CACHE_CC_NO_CACHE_FIELDS,
	 NONE, "Set-Cookie", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"Set-Cookie, X-A\"",
	 P | CACHE_CC_NO_CACHE_FIELDS, NONE, "Set-Cookie, X-A", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=set-cookie", P | CACHE_CC_NO_CACHE_FIELDS, NONE,
	 "set-cookie", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"\"", P | CACHE_CC_NO_CACHE, NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\" , \"", P | CACHE_CC_NO_CACHE, NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=", P | CACHE_CC_NO_CACHE, NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"a b\"", P | CACHE_CC_NO_CACHE, NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"a", P | CACHE_CC_NO_CACHE, NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"Content-Encoding\"", P | CACHE_CC_NO_CACHE,
	 NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"X, content-range\"", P | CACHE_CC_NO_CACHE,
	 NONE, "", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"a\", no-cache",
	 P | CACHE_CC_NO_CACHE_FIELDS | CACHE_CC_NO_CACHE, NONE, "a", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache, no-cache=\"a\"",
	 P | CACHE_CC_NO_CACHE_FIELDS | CACHE_CC_NO_CACHE, NONE, "a", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"a\", no-cache=\"A\"",
	 P | CACHE_CC_NO_CACHE_FIELDS, NONE, "a", ""},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"a\", no-cache=\"b\"",
	 P | CACHE_CC_NO_CACHE_FIELDS | CACHE_CC_NO_CACHE, NONE, "a", ""},
	{"9111 5.2.2.7", "Cache-Control: private", P | CACHE_CC_PRIVATE, NONE, "", ""},
	{"9111 5.2.2.7", "Cache-Control: private=\"X-User\"", P | CACHE_CC_PRIVATE_FIELDS, NONE, "",
	 "X-User"},
	{"9111 5.2.2.7", "Cache-Control: private=\"\"", P | CACHE_CC_PRIVATE, NONE, "", ""},
	{"9111 5.2.2.7", "Cache-Control: private=\"a\"\nCache-Control: private=\"b\"",
	 P | CACHE_CC_PRIVATE_FIELDS | CACHE_CC_PRIVATE, NONE, "", "a"},
	{"9111 5.2.2.7", "Cache-Control: private=\"a\", no-cache=\"b\"",
	 P | CACHE_CC_PRIVATE_FIELDS | CACHE_CC_NO_CACHE_FIELDS, NONE, "b", "a"},
	/* numbers */
	{"9111 5.2.2.1", "Cache-Control: max-age=60", P, MAX_AGE(60), "", ""},
	{"9111 5.2.2.1", "Cache-Control: MAX-AGE=60", P, MAX_AGE(60), "", ""},
	{"9111 5.2.2.1", "Cache-Control: max-age=0", P, MAX_AGE(0), "", ""},
	{"9111 5.2.2.1", "Cache-Control: max-age=0060", P, MAX_AGE(60), "", ""},
	{"9111 5.2", "Cache-Control: max-age=\"60\"", P, MAX_AGE(60), "", ""},
	{"9110 5.6.4", "Cache-Control: max-age=\"\\60\"", P, MAX_AGE(60), "", ""},
	{"9110 5.6.4", "Cache-Control: max-age=\"6\\0\"", P, MAX_AGE(60), "", ""},
	{"9110 5.6.4", "Cache-Control: max-age=\"6\\\\0\"", P, MAX_AGE(0), "", ""},
	{"9110 5.6.4", "Cache-Control: max-age=\\60", P, MAX_AGE(0), "", ""},
	{"9111 5.2", "Cache-Control: max-age=\"60", P, MAX_AGE(0), "", ""},
	{"9111 5.2", "Cache-Control: max-age='60'", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=1.5", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=-1", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=+60", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=60s", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=a60", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=0x60", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=6 0", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age= 60", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age =60", P, MAX_AGE(60), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=\"\"", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=60=60", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=60;x", P, MAX_AGE(0), "", ""},
	{"9111 5.2.3", "Cache-Control: max_age=60", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x-max-age=60", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: max-age-x=60", P, NONE, "", ""},
	{"9111 5.2.3", "Cache-Control: x=\"max-age=60\"", P, NONE, "", ""},
	{"9111 1.2.2", "Cache-Control: max-age=2147483647", P, MAX_AGE(2147483647), "", ""},
	{"9111 1.2.2", "Cache-Control: max-age=2147483648", P, MAX_AGE(CACHE_DELTA_MAX), "", ""},
	{"9111 1.2.2", "Cache-Control: max-age=4294967295", P, MAX_AGE(CACHE_DELTA_MAX), "", ""},
	{"9111 1.2.2", "Cache-Control: max-age=4294967297", P, MAX_AGE(CACHE_DELTA_MAX), "", ""},
	{"9111 1.2.2", "Cache-Control: max-age=99999999999999999999999999", P,
	 MAX_AGE(CACHE_DELTA_MAX), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=60, max-age=60", P, MAX_AGE(60), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=60, max-age=30", P, MAX_AGE(60), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=30, max-age=60", P, MAX_AGE(30), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=30\nCache-Control: max-age=60", P, MAX_AGE(30), "",
	 ""},
	{"9111 4.2.1", "Cache-Control: max-age=30, max-age=x", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=x, max-age=30", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=30, max-age", P, MAX_AGE(0), "", ""},
	{"9111 4.2.1", "Cache-Control: max-age=60\nCache-Control: max-age=0", P, MAX_AGE(60), "",
	 ""},
	{"9111 4.2.1", "Cache-Control: s-maxage=9, s-maxage=5", P, {NO, 9, NO, NO, NO, NO}, "", ""},
	{"9111 4.2.1",
	 "Cache-Control: stale-if-error=9, stale-if-error=5",
	 P,
	 {NO, NO, NO, NO, NO, 9},
	 "",
	 ""},
	{"9111 5.2.1.2",
	 "Cache-Control: max-stale=9, max-stale=5",
	 P,
	 {NO, NO, NO, 5, NO, NO},
	 "",
	 ""},
	{"9111 5.2.1.3",
	 "Cache-Control: min-fresh=9, min-fresh=x",
	 P,
	 {NO, NO, 9, NO, NO, NO},
	 "",
	 ""},
	{"9111 5.2.2.10", "Cache-Control: s-maxage=5", P, {NO, 5, NO, NO, NO, NO}, "", ""},
	{"9111 5.2.2.10", "Cache-Control: s-maxage=\"5\"", P, {NO, 5, NO, NO, NO, NO}, "", ""},
	{"9111 4.2.1", "Cache-Control: s-maxage=x, max-age=7", P, {7, 0, NO, NO, NO, NO}, "", ""},
	{"9111 5.2.3", "Cache-Control: s-max-age=5", P, NONE, "", ""},
	{"9111 5.2.1.3", "Cache-Control: min-fresh=9", P, {NO, NO, 9, NO, NO, NO}, "", ""},
	{"9111 5.2.1.3",
	 "Cache-Control: min-fresh=9, min-fresh=20",
	 P,
	 {NO, NO, 20, NO, NO, NO},
	 "",
	 ""},
	{"9111 5.2.1.3",
	 "Cache-Control: min-fresh=20, min-fresh=9",
	 P,
	 {NO, NO, 20, NO, NO, NO},
	 "",
	 ""},
	{"9111 5.2.1.3", "Cache-Control: min-fresh", P, {NO, NO, 0, NO, NO, NO}, "", ""},
	{"9111 5.2.1.2", "Cache-Control: max-stale", P | CACHE_CC_MAX_STALE_ANY, NONE, "", ""},
	{"9111 5.2.1.2", "Cache-Control: max-stale=10", P, {NO, NO, NO, 10, NO, NO}, "", ""},
	{"9111 5.2.1.2", "Cache-Control: max-stale=x", P, {NO, NO, NO, 0, NO, NO}, "", ""},
	{"9111 5.2.1.2", "Cache-Control: max-stale=", P, {NO, NO, NO, 0, NO, NO}, "", ""},
	{"9111 5.2.1.2",
	 "Cache-Control: max-stale, max-stale=10",
	 P | CACHE_CC_MAX_STALE_ANY,
	 {NO, NO, NO, 10, NO, NO},
	 "",
	 ""},
	{"5861 3", "Cache-Control: stale-while-revalidate=3", P, {NO, NO, NO, NO, 3, NO}, "", ""},
	{"5861 3", "Cache-Control: stale-while-revalidate", P, {NO, NO, NO, NO, 0, NO}, "", ""},
	{"5861 4", "Cache-Control: stale-if-error=4", P, {NO, NO, NO, NO, NO, 4}, "", ""},
	{"5861 4", "Cache-Control: stale-if-error=-4", P, {NO, NO, NO, NO, NO, 0}, "", ""},
	{"5861 3",
	 "Cache-Control: max-age=1, stale-while-revalidate=3, stale-if-error=4",
	 P,
	 {1, NO, NO, NO, 3, 4},
	 "",
	 ""},
	/* Pragma */
	{"9111 5.4", "Pragma: no-cache", CACHE_CC_PRAGMA_NO_CACHE, NONE, "", ""},
	{"9111 5.4", "Pragma: No-Cache", CACHE_CC_PRAGMA_NO_CACHE, NONE, "", ""},
	{"9111 5.4", "Pragma: x, no-cache", CACHE_CC_PRAGMA_NO_CACHE, NONE, "", ""},
	{"9111 5.4", "Pragma: x\nPragma: no-cache", CACHE_CC_PRAGMA_NO_CACHE, NONE, "", ""},
	{"9111 5.4", "Pragma: no-cache=x", 0, NONE, "", ""},
	{"9111 5.4", "Pragma: x=\"no-cache\"", 0, NONE, "", ""},
	{"9111 5.4", "Pragma: no-store", 0, NONE, "", ""},
	{"9111 5.4", "Pragma: no-cache\nCache-Control: max-age=5", P, MAX_AGE(5), "", ""},
	{"9111 5.4", "Cache-Control:\nPragma: no-cache", P, NONE, "", ""},
};

#define T  (P | CACHE_CC_TARGETED)
#define C  "CDN-Cache-Control: "
#define NA UINT32_MAX /* as if it were absent */

/* RFC 9213 §2.1, §2.2; §3.1 for CDN-Cache-Control */
static const struct row targeted_rows[] = {
	{"9213 2.1", C "max-age=60", T, MAX_AGE(60), "", ""},
	{"9213 2.1", "cdn-cache-control: max-age=60", T, MAX_AGE(60), "", ""},
	{"9213 2.1", C "max-age=60;foo=bar, no-cache;x", T | CACHE_CC_NO_CACHE, MAX_AGE(60), "",
	 ""},
	{"9213 2.1", C "max-age=60, unheard-of=(1 2), another", T, MAX_AGE(60), "", ""},
	{"9213 2.1", C "max-age=60\n" C "no-store", T | CACHE_CC_NO_STORE, MAX_AGE(60), "", ""},
	{"9213 2.1", C "no-store, must-revalidate, proxy-revalidate, public, immutable",
	 T | CACHE_CC_NO_STORE | CACHE_CC_MUST_REVALIDATE | CACHE_CC_PROXY_REVALIDATE |
		 CACHE_CC_PUBLIC | CACHE_CC_IMMUTABLE,
	 NONE, "", ""},
	{"9213 2.1", C "no-transform, must-understand",
	 T | CACHE_CC_NO_TRANSFORM | CACHE_CC_MUST_UNDERSTAND, NONE, "", ""},
	{"9213 2.1",
	 C "s-maxage=1, stale-while-revalidate=2, stale-if-error=3",
	 T,
	 {NO, 1, NO, NO, 2, 3},
	 "",
	 ""},
	{"9213 2.1", C "private=\"a, b\", no-cache=set-cookie",
	 T | CACHE_CC_PRIVATE_FIELDS | CACHE_CC_NO_CACHE_FIELDS, NONE, "set-cookie", "a, b"},
	{"9213 2.1", C "private=\"a b\"", T | CACHE_CC_PRIVATE, NONE, "", ""},
	{"9213 2.1", C "private=\"\"", T | CACHE_CC_PRIVATE, NONE, "", ""},
	{"9213 2.1", C "no-store=?1", T | CACHE_CC_NO_STORE, NONE, "", ""},
	{"9213 2.1", C "no-store=?0", T, NONE, "", ""},
	{"9213 2.1", C "private=?0, max-age=5", T, MAX_AGE(5), "", ""},
	{"9213 2.1", C "max-age=-5", T, MAX_AGE(0), "", ""},
	{"9111 1.2.2", C "max-age=999999999999999", T, MAX_AGE(CACHE_DELTA_MAX), "", ""},
	{"9213 2.1", C "only-if-cached, max-stale, min-fresh=5", T, NONE, "", ""},
	/* of one key the last member counts */
	{"9651 4.2.2", C "max-age=60, max-age=30", T, MAX_AGE(30), "", ""},
	{"9651 4.2.2", C "no-store, no-store=?0", T, NONE, "", ""},
	{"9651 4.2.2", C "private=\"a\", private", T | CACHE_CC_PRIVATE, NONE, "", ""},
	{"9651 4.2.2", C "private, private=\"a\"", T | CACHE_CC_PRIVATE_FIELDS, NONE, "", "a"},
	{"9651 4.2.2", C "private=a\n" C "private=b", T | CACHE_CC_PRIVATE_FIELDS, NONE, "", "b"},
	/* absent, empty, malformed, of the wrong type: as if it were not there */
	{"9213 2.2", "Cache-Control: max-age=60", NA, NONE, "", ""},
	{"9213 2.2", "X-CDN-Cache-Control: max-age=60", NA, NONE, "", ""},
	{"9213 2.1", C, NA, NONE, "", ""},
	{"9213 2.1", C "\n" C "max-age=60", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=60\n" C, NA, NONE, "", ""},
	{"9213 2.1", C "Max-Age=60", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=60,", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=60, &&&&&", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=60\n" C "no-store=", NA, NONE, "", ""},
	{"9213 2.1", C "max-age= 60", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=\"60\"", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=60.5", NA, NONE, "", ""},
	{"9213 2.1", C "max-age", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=60s", NA, NONE, "", ""},
	{"9213 2.1", C "max-age=1000000000000000", NA, NONE, "", ""},
	{"9213 2.1", C "no-store=1", NA, NONE, "", ""},
	{"9213 2.1", C "public=\"x\"", NA, NONE, "", ""},
	{"9213 2.1", C "private=(\"a\" \"b\")", NA, NONE, "", ""},
	{"9213 2.1", C "private=1", NA, NONE, "", ""},
	/* what Connection names was for the next hop */
	{"9110 7.6.1", "Connection: cdn-cache-control\n" C "max-age=60", NA, NONE, "", ""},
};

static void expect(const struct row *r, const struct cache_control *cc)
{
	ck_assert_msg(cc->set == r->set, "%s: \"%s\" sets %#x, not %#x", r->clause, r->lines, cc->set,
		      r->set);
	ck_assert_msg(cc->max_age == r->n.max_age, "%s: \"%s\": max-age %u", r->clause, r->lines,
		      cc->max_age);
	ck_assert_msg(cc->s_maxage == r->n.s_maxage, "%s: \"%s\": s-maxage %u", r->clause, r->lines,
		      cc->s_maxage);
	ck_assert_uint_eq(cc->min_fresh, r->n.min_fresh);
	ck_assert_uint_eq(cc->max_stale, r->n.max_stale);
	ck_assert_uint_eq(cc->stale_while_revalidate, r->n.swr);
	ck_assert_uint_eq(cc->stale_if_error, r->n.sie);
	ck_view_eq(cc->no_cache_fields, r->no_cache);
	ck_view_eq(cc->private_fields, r->private_);
}

START_TEST(targeted)
{
	const struct row *r = &targeted_rows[_i];
	struct cache_control cc;
	struct head_text h;
	bool there = cache_control_targeted(head_response(&h, 200, r->lines),
	                                    V("CDN-Cache-Control"), &cc);

	ck_assert_msg(there == (r->set != NA), "%s: \"%s\" gives %d", r->clause, r->lines, there);
	if (there)
		expect(r, &cc);
	head_end(&h);
}
END_TEST

START_TEST(parse)
{
	struct cache_control cc;
	struct head_text h;

	cache_control_parse(head_response(&h, 200, rows[_i].lines), &cc);
	expect(&rows[_i], &cc);
	head_end(&h);
}
END_TEST

UNIT_MAIN("cache/control", tcase_add_loop_test(tc, parse, 0, ARRAY_LEN(rows));
	  tcase_add_loop_test(tc, targeted, 0, ARRAY_LEN(targeted_rows));)
