#include "heads.h"

#include <stdio.h>

#include "cache/explain.h"

#define NONE CACHE_DELTA_NONE
#define DAY_AGO "Sat, 05 Nov 1994 08:49:37 GMT"

/* ---- Where lifetimes come from ---- */

static char mine[] = "Larder-Cache-Control", cdns[] = "CDN-Cache-Control", *targets[] = {mine, cdns};

static const struct {
	const char *clause;
	unsigned status;
	const char *res;
	uint32_t seconds;
	enum cache_clause from;
	const char *field;
} life_rows[] = {
	{"9111 4.2.1 (1)", 200, "Cache-Control: s-maxage=60, max-age=10", 60, CACHE_LIFE_S_MAXAGE, ""},
	{"9111 4.2.1 (1)", 200, "Cache-Control: s-maxage=x, max-age=10", 0, CACHE_LIFE_S_MAXAGE, ""},
	{"9111 4.2.1 (2)", 200, "Cache-Control: max-age=10\nExpires: " LATER, 10, CACHE_LIFE_MAX_AGE, ""},
	{"9111 4.2.1 (3)", 200, DATE "Expires: " LATER, 60, CACHE_LIFE_EXPIRES, ""},
	{"9111 4.2.1 (3)", 200, DATE "Expires: " BEFORE, 0, CACHE_LIFE_EXPIRES, ""},
	{"9111 5.3", 200, DATE "Expires: 0\nLast-Modified: " DAY_AGO, 0, CACHE_LIFE_EXPIRES_INVALID, ""},
	{"9111 4.2.2", 200, DATE "Last-Modified: " DAY_AGO, 8640, CACHE_LIFE_HEURISTIC, ""},
	{"9111 4.2.2", 302, DATE "Last-Modified: " DAY_AGO, 0, CACHE_LIFE_NONE, ""},
	{"9111 4.2.2", 302, DATE "Cache-Control: public\nLast-Modified: " DAY_AGO, 8640, CACHE_LIFE_HEURISTIC, ""},
	{"9111 4.2", 200, DATE "ETag: \"a\"", 0, CACHE_LIFE_NONE, ""},
	{"9111 5.4", 200, DATE "Pragma: no-cache\nLast-Modified: " DAY_AGO, 0, CACHE_LIFE_NONE, ""},
	{"9213 2.2", 200, "CDN-Cache-Control: max-age=5\nCache-Control: max-age=9", 5, CACHE_LIFE_MAX_AGE, cdns},
	{"9213 2.2", 200, "Larder-Cache-Control: s-maxage=4\nCDN-Cache-Control: max-age=5", 4, CACHE_LIFE_S_MAXAGE, mine},
	{"9111 4.2.1 (2)", 200, "CDN-Cache-Control: max-age=x\nCache-Control: max-age=9", 9, CACHE_LIFE_MAX_AGE, ""},
	{"9213 2.2", 200, DATE "CDN-Cache-Control: public\nExpires: " LATER, 0, CACHE_LIFE_NONE, cdns},
};

START_TEST(lifetimes)
{
	struct cache_options o = head_options();
	struct cache_lifetime l;
	struct head_text res;

	o.targeted_fields = (struct option_list){targets, ARRAY_LEN(targets)};
	cache_lifetime_explain(&o, head_response(&res, life_rows[_i].status, life_rows[_i].res), NOW, NOW, &l);
	ck_assert_msg(l.clause == life_rows[_i].from, "%s: %s", life_rows[_i].res, cache_clause_row(l.clause)->token);
	ck_assert_uint_eq(l.seconds, life_rows[_i].seconds);
	ck_assert(view_eq(l.field, view_of(life_rows[_i].field)));
	if (l.clause != CACHE_LIFE_NONE && !l.field.len)
		ck_assert_str_eq(cache_clause_row(l.clause)->clause, life_rows[_i].clause);
	head_end(&res);
}
END_TEST

/* ---- Age ---- */

static const struct {
	int64_t request_time, response_time, date;
	uint32_t age_value;
	int64_t now;
	struct cache_age age; /* apparent, delay, corrected, initial, resident, current */
} age_rows[] = {
	{100, 100, 100, 0, 100, {0, 0, 0, 0, 0, 0}},
	{100, 103, 90, 0, 110, {13, 3, 3, 13, 7, 20}},
	{100, 103, 90, 20, 110, {13, 3, 23, 23, 7, 30}},
	{100, 103, 200, 0, 110, {0, 3, 3, 3, 7, 10}},
	{100, 103, 103, 0, 50, {0, 3, 3, 3, 0, 3}},
	{0, 0, 0, CACHE_DELTA_MAX, 10, {0, 0, CACHE_DELTA_MAX, CACHE_DELTA_MAX, 10, CACHE_DELTA_MAX}},
};

START_TEST(ages)
{
	struct cache_meta m = {
		.request_time = age_rows[_i].request_time,
		.response_time = age_rows[_i].response_time,
		.date = age_rows[_i].date,
		.age = age_rows[_i].age_value,
	};
	const struct cache_age *want = &age_rows[_i].age;
	struct cache_age got;

	cache_age_explain(&m, age_rows[_i].now, &got);
	ck_assert_uint_eq(got.apparent, want->apparent);
	ck_assert_uint_eq(got.delay, want->delay);
	ck_assert_uint_eq(got.corrected, want->corrected);
	ck_assert_uint_eq(got.initial, want->initial);
	ck_assert_uint_eq(got.resident, want->resident);
	ck_assert_uint_eq(got.current, want->current);
	ck_assert_uint_eq(cache_age(&m, age_rows[_i].now), got.current);
}
END_TEST

/* ---- Which rule decides: of a stored response of `age` seconds with a lifetime of 100 ---- */

static const struct {
	enum cache_clause rule;
	const char *method;
	unsigned status;
	uint32_t age, flags, swr;
	const char *req;
	enum cache_use use;
} rule_rows[] = {
	{CACHE_RULE_FRESH, "GET", 200, 50, 0, NONE, "", CACHE_SERVE},
	{CACHE_RULE_FRESH, "HEAD", 200, 50, CACHE_F_MUST_REVALIDATE, NONE, "", CACHE_SERVE},
	{CACHE_RULE_FRESH, "GET", 200, 50, 0, NONE, "Cache-Control: only-if-cached", CACHE_SERVE},
	{CACHE_RULE_FRESH, "GET", 200, 50, CACHE_F_IMMUTABLE, NONE, "Cache-Control: max-age=0", CACHE_SERVE},
	{CACHE_RULE_METHOD, "POST", 200, 50, 0, NONE, "", CACHE_VALIDATE},
	{CACHE_RULE_DENIED, "GET", 401, 50, 0, NONE, "Authorization: x", CACHE_VALIDATE},
	{CACHE_RULE_FRESH, "GET", 401, 50, 0, NONE, "", CACHE_SERVE},
	{CACHE_RULE_NO_CACHE, "GET", 200, 50, CACHE_F_NO_CACHE, NONE, "", CACHE_VALIDATE},
	{CACHE_RULE_NO_CACHE, "GET", 200, 50, CACHE_F_NO_CACHE, NONE, "Cache-Control: no-cache", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_NO_CACHE, "GET", 200, 50, 0, NONE, "Cache-Control: no-cache", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_NO_CACHE, "GET", 200, 150, 0, 900, "Cache-Control: no-cache", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_NO_CACHE, "GET", 200, 50, 0, NONE, "Cache-Control: no-cache=\"a\"", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_PRAGMA, "GET", 200, 50, 0, NONE, "Pragma: no-cache", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_MIN_FRESH, "GET", 200, 50, 0, NONE, "Cache-Control: min-fresh=60", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_MAX_AGE, "GET", 200, 50, 0, NONE, "Cache-Control: max-age=40", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_MAX_AGE, "GET", 200, 0, 0, NONE, "Cache-Control: max-age=0", CACHE_VALIDATE},
	{CACHE_RULE_REQUEST_MAX_AGE, "GET", 200, 50, 0, NONE, "Cache-Control: max-age=0, only-if-cached", CACHE_TIMEOUT},
	{CACHE_RULE_STALE, "GET", 200, 150, 0, NONE, "", CACHE_VALIDATE},
	{CACHE_RULE_STALE, "GET", 200, 150, 0, NONE, "Cache-Control: only-if-cached", CACHE_TIMEOUT},
	{CACHE_RULE_STALE, "GET", 200, 150, 0, 40, "", CACHE_VALIDATE},
	{CACHE_RULE_STALE, "GET", 200, 150, 0, 60, "Cache-Control: max-age=900", CACHE_VALIDATE},
	{CACHE_RULE_STALE, "GET", 200, 150, 0, NONE, "Cache-Control: max-stale=40", CACHE_VALIDATE},
	{CACHE_RULE_NEVER_STALE, "GET", 200, 150, CACHE_F_MUST_REVALIDATE, 900, "Cache-Control: max-stale", CACHE_VALIDATE},
	{CACHE_RULE_MAX_STALE, "GET", 200, 150, 0, NONE, "Cache-Control: max-stale=60", CACHE_SERVE},
	{CACHE_RULE_MAX_STALE, "GET", 200, 150, 0, 900, "Cache-Control: max-stale", CACHE_SERVE},
	{CACHE_RULE_WHILE_REVALIDATE, "GET", 200, 150, 0, 60, "", CACHE_SERVE_STALE_REVALIDATE},
};

START_TEST(rules)
{
	struct cache_options o = head_options();
	struct cache_meta m = {.request_time = NOW, .response_time = NOW, .date = NOW, .lifetime = 100};
	enum cache_reason why, why_too;
	enum cache_clause rule;
	struct cache_control cc;
	struct head_text req;
	const struct http_head *h = head_request(&req, rule_rows[_i].method, rule_rows[_i].req);

	m.status = (uint16_t)rule_rows[_i].status;
	m.age = rule_rows[_i].age;
	m.flags = rule_rows[_i].flags;
	m.stale_while_revalidate = rule_rows[_i].swr;
	m.stale_if_error = NONE;
	cache_control_parse(h, &cc);
	ck_assert_int_eq(cache_reuse_explain(&o, h, &cc, &m, NOW, &why, &rule), rule_rows[_i].use);
	ck_assert_msg(rule == rule_rows[_i].rule, "row %d: %s", _i, cache_clause_row(rule)->token);
	ck_assert_int_eq(cache_reuse(&o, h, &cc, &m, NOW, &why_too), rule_rows[_i].use);
	ck_assert_int_eq(why, why_too);
	head_end(&req);
}
END_TEST

/* ---- Standing in for an origin that fails: the same response, stale by 50 unless said otherwise ---- */

static const struct {
	enum cache_clause rule;
	uint32_t age, flags, sie;
	const char *req;
	uint32_t option;
	bool allowed;
	int64_t seconds; /* -1: of no matter */
} error_rows[] = {
	{CACHE_RULE_FRESH, 50, 0, NONE, "", 0, true, -1},
	{CACHE_RULE_NO_CACHE, 50, CACHE_F_NO_CACHE, 900, "", 900, false, -1},
	{CACHE_RULE_REQUEST_NO_CACHE, 50, 0, 900, "Cache-Control: no-cache", 900, false, -1},
	{CACHE_RULE_REQUEST_PRAGMA, 50, 0, 900, "Pragma: no-cache", 900, false, -1},
	{CACHE_RULE_NEVER_STALE, 150, CACHE_F_MUST_REVALIDATE, 900, "", 900, false, -1},
	{CACHE_RULE_MAX_STALE, 150, 0, 0, "Cache-Control: max-stale=60", 0, true, -1},
	{CACHE_RULE_IF_ERROR_REQUEST, 150, 0, 0, "Cache-Control: stale-if-error=60", 0, true, 60},
	{CACHE_RULE_IF_ERROR_REQUEST, 150, 0, 900, "Cache-Control: stale-if-error=40", 900, false, 40},
	{CACHE_RULE_IF_ERROR, 150, 0, 60, "", 0, true, 60},
	{CACHE_RULE_IF_ERROR, 150, 0, 0, "", 900, false, 0},
	{CACHE_RULE_IF_ERROR_OPTION, 150, 0, NONE, "", 60, true, 60},
	{CACHE_RULE_IF_ERROR_OPTION, 150, 0, NONE, "", 0, false, 0},
};

START_TEST(errors)
{
	struct cache_options o = head_options();
	struct cache_meta m = {.request_time = NOW, .response_time = NOW, .date = NOW, .lifetime = 100, .status = 200};
	enum cache_clause rule;
	struct cache_control cc;
	struct head_text req;
	int64_t seconds;

	m.age = error_rows[_i].age;
	m.flags = error_rows[_i].flags;
	m.stale_if_error = error_rows[_i].sie;
	cache_control_parse(head_request(&req, "GET", error_rows[_i].req), &cc);
	ck_assert(cache_stale_on_error_explain(&o, &cc, &m, NOW, error_rows[_i].option, &rule, &seconds) ==
	          error_rows[_i].allowed);
	ck_assert(cache_stale_on_error(&o, &cc, &m, NOW, error_rows[_i].option) == error_rows[_i].allowed);
	ck_assert_msg(rule == error_rows[_i].rule, "row %d: %s", _i, cache_clause_row(rule)->token);
	if (error_rows[_i].seconds >= 0)
		ck_assert_int_eq(seconds, error_rows[_i].seconds);
	head_end(&req);
}
END_TEST

/* ---- Fields that are not stored ---- */

static const struct {
	const char *clause, *field;
	enum cache_clause why;
} field_rows[] = {
	{"9111 3.1", "X-Any: 1", CACHE_FIELD_KEPT},
	{"9111 3.1", "Set-Cookie: a=b", CACHE_FIELD_KEPT},
	{"9110 7.6.1", "Keep-Alive: 1", CACHE_FIELD_HOP},
	{"9110 7.6.1", "X-Hop: 1", CACHE_FIELD_HOP},
	{"9111 3.1", "Age: 1", CACHE_FIELD_ANEW},
	{"9111 3.1", "Content-Length: 1", CACHE_FIELD_ANEW},
	{"9111 3.1", "Proxy-Authenticate: Basic", CACHE_FIELD_PROXY},
	{"9110 6.6.2", "Trailer: X", CACHE_FIELD_TRAILER},
	{"9111 5.2.2.4", "x-new: 1", CACHE_FIELD_NO_CACHE},
	{"9111 5.2.2.7", "X-Mine: 1", CACHE_FIELD_PRIVATE},
};

START_TEST(fields)
{
	struct cache_options o = head_options();
	struct head_text res;
	const struct http_head *h;
	enum cache_clause why;
	char lines[256];
	struct buf kept;

	snprintf(lines, sizeof(lines), "%s\nConnection: X-Hop\nCache-Control: no-cache=\"X-New\", private=\"X-Mine\"",
	         field_rows[_i].field);
	h = head_response(&res, 200, lines);
	why = cache_field_explain(&o, h, &h->fields[0]);
	ck_assert_msg(why == field_rows[_i].why, "%s: %s", field_rows[_i].field, cache_clause_row(why)->token);
	ck_assert_str_eq(cache_clause_row(why)->clause, field_rows[_i].clause);
	buf_init(&kept, 4096);
	ck_assert_int_eq(cache_head_write(&o, h, NULL, HTTP_LENGTH_UNKNOWN, &kept), 0);
	ck_assert((strstr(buf_cstr(&kept), field_rows[_i].field) != NULL) == (why == CACHE_FIELD_KEPT));
	buf_fini(&kept);
	head_end(&res);
}
END_TEST

UNIT_MAIN("cache/explain", tcase_add_loop_test(tc, lifetimes, 0, ARRAY_LEN(life_rows));
	  tcase_add_loop_test(tc, ages, 0, ARRAY_LEN(age_rows));
	  tcase_add_loop_test(tc, rules, 0, ARRAY_LEN(rule_rows));
	  tcase_add_loop_test(tc, errors, 0, ARRAY_LEN(error_rows));
	  tcase_add_loop_test(tc, fields, 0, ARRAY_LEN(field_rows));)
