#include "heads.h"

#define NC   CACHE_F_NO_CACHE
#define MR   CACHE_F_MUST_REVALIDATE
#define IM   CACHE_F_IMMUTABLE
#define NONE CACHE_DELTA_NONE

/* A stored response of `age` seconds with a lifetime of 100. */
static const struct {
	const char *clause;
	uint32_t age, flags, swr;
	const char *req;
	enum cache_use use;
	enum cache_reason why;
} rows[] = {
	{"9111 4.2", 0, 0, NONE, "", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 4.2", 99, 0, NONE, "", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 4.2", 100, 0, NONE, "", CACHE_VALIDATE, CACHE_USE_STALE},
	{"9111 4.2", 101, 0, NONE, "", CACHE_VALIDATE, CACHE_USE_STALE},
	{"9111 4.2", 99, MR, NONE, "", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.2.2", 100, MR, NONE, "", CACHE_VALIDATE, CACHE_USE_STALE},
	{"9111 5.2.2.4", 0, NC, NONE, "", CACHE_VALIDATE, CACHE_USE_NO_CACHE},
	{"9111 5.2.2.4", 200, NC, NONE, "", CACHE_VALIDATE, CACHE_USE_NO_CACHE},
	{"9111 5.2.2.4", 0, NC | IM, NONE, "", CACHE_VALIDATE, CACHE_USE_NO_CACHE},
	{"9111 5.2.2.4", 0, NC, NONE, "Cache-Control: max-stale", CACHE_VALIDATE,
	 CACHE_USE_NO_CACHE},
	{"9111 4.2", 50, CACHE_F_HEURISTIC, NONE, "", CACHE_SERVE, CACHE_USE_FRESH},
	/* request: no-cache, Pragma */
	{"9111 5.2.1.4", 0, 0, NONE, "Cache-Control: no-cache", CACHE_VALIDATE, CACHE_USE_REQUEST},
	{"9111 5.2.1.4", 0, IM, NONE, "Cache-Control: no-cache", CACHE_VALIDATE, CACHE_USE_REQUEST},
	{"9111 5.2.1.4", 0, 0, NONE, "Cache-Control: no-cache=\"x\"", CACHE_VALIDATE,
	 CACHE_USE_REQUEST},
	{"9111 5.2.1.4", 200, 0, NONE, "Cache-Control: no-cache", CACHE_VALIDATE, CACHE_USE_STALE},
	{"9111 5.2.1.4", 200, 0, NONE, "Cache-Control: no-cache, max-stale", CACHE_VALIDATE,
	 CACHE_USE_STALE},
	{"9111 5.2.1.4", 200, 0, 500, "Cache-Control: no-cache", CACHE_VALIDATE, CACHE_USE_STALE},
	{"9111 5.4", 0, 0, NONE, "Pragma: no-cache", CACHE_VALIDATE, CACHE_USE_REQUEST},
	{"9111 5.4", 0, 0, NONE, "Pragma: x", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.4", 0, 0, NONE, "Pragma: no-cache\nCache-Control: x", CACHE_SERVE,
	 CACHE_USE_FRESH},
	{"9111 5.2.1.5", 0, 0, NONE, "Cache-Control: no-store", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.1.6", 0, 0, NONE, "Cache-Control: no-transform", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.3", 0, 0, NONE, "Cache-Control: private, must-revalidate", CACHE_SERVE,
	 CACHE_USE_FRESH},
	/* request: max-age */
	{"9111 5.2.1.1", 10, 0, NONE, "Cache-Control: max-age=10", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.1.1", 10, 0, NONE, "Cache-Control: max-age=9", CACHE_VALIDATE,
	 CACHE_USE_REQUEST},
	{"9111 5.2.1.1", 10, 0, NONE, "Cache-Control: max-age=0", CACHE_VALIDATE,
	 CACHE_USE_REQUEST},
	{"9111 5.2.1.1", 0, 0, NONE, "Cache-Control: max-age=0", CACHE_VALIDATE, CACHE_USE_REQUEST},
	{"9111 5.2.1.1", 0, 0, NONE, "Cache-Control: max-age=x", CACHE_VALIDATE, CACHE_USE_REQUEST},
	{"9111 5.2.1.1", 0, 0, NONE, "Cache-Control: max-age=1", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.1.1", 99, 0, NONE, "Cache-Control: max-age=99999999999", CACHE_SERVE,
	 CACHE_USE_FRESH},
	{"9111 5.2.1.1", 150, 0, NONE, "Cache-Control: max-age=1000", CACHE_VALIDATE,
	 CACHE_USE_STALE},
	{"9111 5.2.1.1", 10, 0, NONE, "Cache-Control: s-maxage=1", CACHE_SERVE, CACHE_USE_FRESH},
	{"8246 2.1", 10, IM, NONE, "Cache-Control: max-age=0", CACHE_SERVE, CACHE_USE_FRESH},
	{"8246 2.1", 10, IM, NONE, "Cache-Control: max-age=5", CACHE_SERVE, CACHE_USE_FRESH},
	{"8246 2", 100, IM, NONE, "Cache-Control: max-age=0", CACHE_VALIDATE, CACHE_USE_STALE},
	{"8246 2", 100, IM, NONE, "", CACHE_VALIDATE, CACHE_USE_STALE},
	/* request: min-fresh */
	{"9111 5.2.1.3", 50, 0, NONE, "Cache-Control: min-fresh=50", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.1.3", 50, 0, NONE, "Cache-Control: min-fresh=51", CACHE_VALIDATE,
	 CACHE_USE_REQUEST},
	{"9111 5.2.1.3", 50, IM, NONE, "Cache-Control: min-fresh=51", CACHE_VALIDATE,
	 CACHE_USE_REQUEST},
	{"9111 5.2.1.3", 0, 0, NONE, "Cache-Control: min-fresh=99999999999999", CACHE_VALIDATE,
	 CACHE_USE_REQUEST},
	{"9111 5.2.1.3", 0, 0, NONE, "Cache-Control: min-fresh=x", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.1.3", 100, 0, 50, "Cache-Control: min-fresh=1", CACHE_VALIDATE, CACHE_USE_STALE},
	{"9111 5.2.1.3", 100, 0, NONE, "Cache-Control: min-fresh=1, max-stale", CACHE_VALIDATE,
	 CACHE_USE_STALE},
	/* request: max-stale */
	{"9111 5.2.1.2", 150, 0, NONE, "Cache-Control: max-stale", CACHE_SERVE,
	 CACHE_USE_STALE_ALLOWED},
	{"9111 5.2.1.2", 150, 0, NONE, "Cache-Control: max-stale=50", CACHE_SERVE,
	 CACHE_USE_STALE_ALLOWED},
	{"9111 5.2.1.2", 150, 0, NONE, "Cache-Control: max-stale=49", CACHE_VALIDATE,
	 CACHE_USE_STALE},
	{"9111 5.2.1.2", 100, 0, NONE, "Cache-Control: max-stale=0", CACHE_SERVE,
	 CACHE_USE_STALE_ALLOWED},
	{"9111 5.2.1.2", 101, 0, NONE, "Cache-Control: max-stale=0", CACHE_VALIDATE,
	 CACHE_USE_STALE},
	{"9111 5.2.1.2", 101, 0, NONE, "Cache-Control: max-stale=x", CACHE_VALIDATE,
	 CACHE_USE_STALE},
	{"9111 5.2.1.2", 5000, 0, NONE, "Cache-Control: max-stale=99999999999999", CACHE_SERVE,
	 CACHE_USE_STALE_ALLOWED},
	{"9111 4.2.4", 150, MR, NONE, "Cache-Control: max-stale", CACHE_VALIDATE, CACHE_USE_STALE},
	{"9111 5.2.1.1", 150, 0, NONE, "Cache-Control: max-age=200, max-stale", CACHE_SERVE,
	 CACHE_USE_STALE_ALLOWED},
	{"9111 5.2.1.1", 150, 0, NONE, "Cache-Control: max-age=120, max-stale", CACHE_VALIDATE,
	 CACHE_USE_STALE},
	{"9111 5.2.1.2", 50, 0, NONE, "Cache-Control: max-stale=10", CACHE_SERVE, CACHE_USE_FRESH},
	/* request: only-if-cached */
	{"9111 5.2.1.7", 0, 0, NONE, "Cache-Control: only-if-cached", CACHE_SERVE, CACHE_USE_FRESH},
	{"9111 5.2.1.7", 100, 0, NONE, "Cache-Control: only-if-cached", CACHE_TIMEOUT,
	 CACHE_USE_STALE},
	{"9111 5.2.1.7", 150, 0, NONE, "Cache-Control: only-if-cached, max-stale", CACHE_SERVE,
	 CACHE_USE_STALE_ALLOWED},
	{"9111 5.2.1.7", 10, 0, NONE, "Cache-Control: only-if-cached, max-age=5", CACHE_TIMEOUT,
	 CACHE_USE_REQUEST},
	{"9111 5.2.1.7", 10, NC, NONE, "Cache-Control: only-if-cached", CACHE_TIMEOUT,
	 CACHE_USE_NO_CACHE},
	{"9111 5.2.1.7", 110, 0, 20, "Cache-Control: only-if-cached", CACHE_SERVE_STALE_REVALIDATE,
	 CACHE_USE_STALE_ALLOWED},
	/* stale-while-revalidate */
	{"5861 3", 99, 0, 20, "", CACHE_SERVE, CACHE_USE_FRESH},
	{"5861 3", 100, 0, 20, "", CACHE_SERVE_STALE_REVALIDATE, CACHE_USE_STALE_ALLOWED},
	{"5861 3", 120, 0, 20, "", CACHE_SERVE_STALE_REVALIDATE, CACHE_USE_STALE_ALLOWED},
	{"5861 3", 121, 0, 20, "", CACHE_VALIDATE, CACHE_USE_STALE},
	{"5861 3", 101, 0, 0, "", CACHE_VALIDATE, CACHE_USE_STALE},
	{"5861 3", 100, MR, 20, "", CACHE_VALIDATE, CACHE_USE_STALE},
	{"5861 3", 0, NC, 20, "", CACHE_VALIDATE, CACHE_USE_NO_CACHE},
	{"5861 3", 110, 0, 20, "Cache-Control: max-age=1000", CACHE_VALIDATE, CACHE_USE_STALE},
	{"5861 3", 110, 0, 20, "Cache-Control: max-stale", CACHE_SERVE, CACHE_USE_STALE_ALLOWED},
	{"5861 3", 110, 0, 20, "Cache-Control: max-stale=5", CACHE_SERVE_STALE_REVALIDATE,
	 CACHE_USE_STALE_ALLOWED},
	{"5861 3", 4000, 0, CACHE_DELTA_MAX, "", CACHE_SERVE_STALE_REVALIDATE,
	 CACHE_USE_STALE_ALLOWED},
};

static struct cache_meta stored(uint32_t age, uint32_t flags, uint32_t swr, uint32_t sie)
{
	return (struct cache_meta){
		.request_time = NOW,
		.response_time = NOW,
		.date = NOW,
		.age = age,
		.lifetime = 100,
		.flags = flags,
		.stale_while_revalidate = swr,
		.stale_if_error = sie,
		.status = 200,
	};
}

START_TEST(reuse)
{
	struct cache_options o = head_options();
	struct cache_meta m = stored(rows[_i].age, rows[_i].flags, rows[_i].swr, NONE);
	struct cache_control cc;
	struct head_text req;
	enum cache_reason why;
	enum cache_use use;

	for (int head = 0; head < 2; head++) {
		cache_control_parse(head_request(&req, head ? "HEAD" : "GET", rows[_i].req), &cc);
		use = cache_reuse(&o, &req.head, &cc, &m, NOW, &why);
		ck_assert_msg(use == rows[_i].use && why == rows[_i].why,
			      "%s: age %u, \"%s\": use %d (not %d), %s (not %s)", rows[_i].clause,
			      rows[_i].age, rows[_i].req, use, rows[_i].use,
			      cache_reason_token(why), cache_reason_token(rows[_i].why));
		head_end(&req);
	}
}
END_TEST

/* RFC 9110 §11.6.1: who brings credentials is not told what was said to somebody without. */
START_TEST(denied)
{
	struct cache_options o = head_options();
	struct cache_meta m = stored(0, 0, NONE, NONE);
	struct cache_control cc;
	struct head_text req;
	enum cache_reason why;

	m.status = 401;
	for (int with = 0; with < 2; with++) {
		cache_control_parse(head_request(&req, "GET", with ? "Authorization: Basic eA==" : ""), &cc);
		ck_assert_int_eq(cache_reuse(&o, &req.head, &cc, &m, NOW, &why),
		                 with ? CACHE_VALIDATE : CACHE_SERVE);
		ck_assert_int_eq(why, with ? CACHE_USE_REQUEST : CACHE_USE_FRESH);
		head_end(&req);
	}
}
END_TEST

START_TEST(other_methods)
{
	static const char *const methods[] = {"POST",  "PUT", "OPTIONS", "DELETE",
					      "TRACE", "FOO", "QUERY"};
	struct cache_options o = head_options();
	struct cache_meta m = stored(0, 0, NONE, NONE);
	struct cache_control cc;
	struct head_text req;
	enum cache_reason why;

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		cache_control_parse(head_request(&req, methods[i], ""), &cc);
		ck_assert_int_eq(cache_reuse(&o, &req.head, &cc, &m, NOW, &why), CACHE_VALIDATE);
		ck_assert_int_eq(why, CACHE_USE_METHOD);
		head_end(&req);
	}
}
END_TEST

/* With request_directives off nothing that a client says about caching counts. */
START_TEST(deaf_to_requests)
{
	static const char *const said[] = {
		"Cache-Control: no-cache",  "Pragma: no-cache",
		"Cache-Control: max-age=0", "Cache-Control: min-fresh=1000",
		"Cache-Control: max-stale", "Cache-Control: only-if-cached"};
	struct cache_options o = head_options();
	struct cache_meta fresh = stored(50, 0, NONE, NONE), stale = stored(150, 0, NONE, 60);
	struct cache_control cc;
	struct head_text req;
	enum cache_reason why;

	o.request_directives = false;
	for (size_t i = 0; i < ARRAY_LEN(said); i++) {
		cache_control_parse(head_request(&req, "GET", said[i]), &cc);
		ck_assert_int_eq(cache_reuse(&o, &req.head, &cc, &fresh, NOW, &why), CACHE_SERVE);
		ck_assert_int_eq(cache_reuse(&o, &req.head, &cc, &stale, NOW, &why),
				 CACHE_VALIDATE);
		ck_assert(cache_stale_on_error(&o, &cc, &stale, NOW, 0));
		head_end(&req);
	}
}
END_TEST

static const struct {
	const char *clause;
	uint32_t age, flags, sie, default_s;
	const char *req;
	bool may;
} error_rows[] = {
	{"5861 4", 50, 0, NONE, 0, "", true},
	{"5861 4", 50, MR, NONE, 0, "", true},
	{"5861 4", 50, 0, NONE, 0, "Cache-Control: max-age=0", true},
	{"9111 5.2.2.4", 50, NC, 1000, 1000, "", false},
	{"9111 5.2.1.4", 50, 0, 1000, 1000, "Cache-Control: no-cache", false},
	{"9111 5.4", 50, 0, 1000, 1000, "Pragma: no-cache", false},
	{"5861 4", 150, 0, NONE, 0, "", false},
	{"5861 4", 100, 0, NONE, 0, "", false},
	{"5861 4", 150, 0, NONE, 50, "", true},
	{"5861 4", 150, 0, NONE, 49, "", false},
	{"5861 4", 150, 0, NONE, UINT32_MAX, "", true},
	{"5861 4", 150, 0, 50, 0, "", true},
	{"5861 4", 150, 0, 49, 0, "", false},
	{"5861 4", 150, 0, 0, 1000, "", false},
	{"5861 4", 100, 0, 0, 1000, "", false},
	{"5861 4", 150, 0, 49, 1000, "", false},
	{"5861 4", 150, 0, NONE, 0, "Cache-Control: stale-if-error=50", true},
	{"5861 4", 150, 0, 1000, 1000, "Cache-Control: stale-if-error=49", false},
	{"5861 4", 150, 0, 1000, 1000, "Cache-Control: stale-if-error=x", false},
	{"5861 4", 150, 0, 10, 0, "Cache-Control: stale-if-error=60", true},
	{"5861 4", 150, 0, 60, 0, "Cache-Control: max-age=0", true},
	{"9111 5.2.1.2", 150, 0, NONE, 0, "Cache-Control: max-stale=60", true},
	{"9111 5.2.1.2", 150, 0, NONE, 0, "Cache-Control: max-stale", true},
	{"9111 5.2.1.2", 150, 0, NONE, 0, "Cache-Control: max-stale=49", false},
	{"9111 4.2.4", 150, MR, 1000, 1000, "", false},
	{"9111 4.2.4", 150, MR, 1000, 1000, "Cache-Control: max-stale", false},
	{"9111 4.2.4", 150, MR, 1000, 1000, "Cache-Control: stale-if-error=1000", false},
};

START_TEST(on_error)
{
	struct cache_options o = head_options();
	struct cache_meta m =
		stored(error_rows[_i].age, error_rows[_i].flags, NONE, error_rows[_i].sie);
	struct cache_control cc;
	struct head_text req;

	cache_control_parse(head_request(&req, "GET", error_rows[_i].req), &cc);
	ck_assert_msg(cache_stale_on_error(&o, &cc, &m, NOW, error_rows[_i].default_s) ==
			      error_rows[_i].may,
		      "%s: age %u, stale-if-error %u, default %u, \"%s\"", error_rows[_i].clause,
		      error_rows[_i].age, error_rows[_i].sie, error_rows[_i].default_s,
		      error_rows[_i].req);
	head_end(&req);
}
END_TEST

/* Kept for an hour past the lifetime of 100. */
static const struct {
	uint32_t age, flags, swr, sie;
	bool worth;
} keep_rows[] = {
	{99, 0, NONE, NONE, true},
	{99, NC | MR, NONE, NONE, true},
	{100, 0, NONE, NONE, false},
	{100, CACHE_F_ETAG, NONE, NONE, true},
	{3700, CACHE_F_ETAG, NONE, NONE, true},
	{3701, CACHE_F_ETAG, NONE, NONE, false},
	{3700, CACHE_F_LAST_MODIFIED | NC | MR, NONE, NONE, true},
	{3701, CACHE_F_LAST_MODIFIED | NC | MR, NONE, NONE, false},
	{110, 0, 10, NONE, true},
	{111, 0, 10, NONE, false},
	{111, 0, 10, 11, true},
	{112, 0, 10, 11, false},
	{100, 0, 0, 0, false},
	{3700, 0, NONE, 9999, true},
	{3701, 0, NONE, 9999, false},
	{110, MR, 10, 10, false},
	{110, NC, 10, 10, false},
	{CACHE_DELTA_MAX, CACHE_F_ETAG, CACHE_DELTA_MAX, CACHE_DELTA_MAX, false},
};

START_TEST(worth_keeping)
{
	struct cache_meta m = stored(keep_rows[_i].age, keep_rows[_i].flags, keep_rows[_i].swr,
				     keep_rows[_i].sie);

	m.keep = 1;
	ck_assert_int_eq(cache_worth_keeping(&m, NOW), keep_rows[_i].worth);
}
END_TEST

static const struct {
	const char *method;
	unsigned status;
	bool invalidates;
} invalid_rows[] = {
	{"GET", 200, false},        {"HEAD", 200, false},     {"OPTIONS", 200, false},
	{"TRACE", 200, false},      {"PROPFIND", 207, false}, {"QUERY", 200, false},
	{"POST", 200, true},        {"POST", 201, true},      {"POST", 204, true},
	{"POST", 303, true},        {"POST", 399, true},      {"POST", 199, false},
	{"POST", 400, false},       {"POST", 403, false},     {"POST", 404, false},
	{"POST", 500, false},       {"POST", 100, false},     {"PUT", 200, true},
	{"PUT", 409, false},        {"DELETE", 204, true},    {"DELETE", 404, false},
	{"PATCH", 200, true},       {"PURGE", 200, true},     {"UNHEARD-OF", 200, true},
	{"UNHEARD-OF", 500, false}, {"post", 200, true},      {"CONNECT", 200, false},
};

START_TEST(invalidates)
{
	enum http_method method = http_method_lookup(view_of(invalid_rows[_i].method));

	ck_assert_msg(cache_invalidates(method, (uint16_t)invalid_rows[_i].status) ==
			      invalid_rows[_i].invalidates,
		      "9111 4.4: %s %u", invalid_rows[_i].method, invalid_rows[_i].status);
}
END_TEST

UNIT_MAIN("cache/reuse", tcase_add_loop_test(tc, reuse, 0, ARRAY_LEN(rows));
	  tcase_add_test(tc, denied); tcase_add_test(tc, other_methods); tcase_add_test(tc, deaf_to_requests);
	  tcase_add_loop_test(tc, on_error, 0, ARRAY_LEN(error_rows));
	  tcase_add_loop_test(tc, worth_keeping, 0, ARRAY_LEN(keep_rows));
	  tcase_add_loop_test(tc, invalidates, 0, ARRAY_LEN(invalid_rows));)
