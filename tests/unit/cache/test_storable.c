#include "heads.h"

#define ETAG     "ETag: \"a\"\n"
#define LM(when) "Last-Modified: " when "\n"
#define DAY_AGO  "Sat, 05 Nov 1994 08:49:37 GMT"

static const struct {
	const char *clause, *method, *req;
	unsigned status;
	const char *res;
	enum cache_reason verdict;
} store_rows[] = {
	{"9111 3", "GET", "", 200, "Cache-Control: max-age=60", CACHE_STORE_OK},
	/* methods */
	{"9111 3", "HEAD", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	{"9111 3", "POST", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	{"9111 3", "PUT", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	{"9111 3", "DELETE", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	{"9111 3", "OPTIONS", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	{"9111 3", "QUERY", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	{"9111 3", "get", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	{"9111 3", "XGET", "", 200, "Cache-Control: max-age=60", CACHE_STORE_METHOD},
	/* RFC 9110 §9.3.3 */
	{"9110 9.3.3", "POST", "", 200, "Cache-Control: max-age=60\nContent-Location: /",
	 CACHE_STORE_OK},
	{"9110 9.3.3", "POST", "", 200, "Expires: " LATER "\nContent-Location: /", CACHE_STORE_OK},
	{"9110 9.3.3", "POST", "", 201, "Cache-Control: s-maxage=60\nContent-Location: /",
	 CACHE_STORE_OK},
	{"9110 9.3.3", "POST", "", 200, "Content-Location: /\n" LM(DAY_AGO), CACHE_STORE_METHOD},
	{"9110 9.3.3", "POST", "", 200, "Cache-Control: public\nContent-Location: /",
	 CACHE_STORE_METHOD},
	{"9110 9.3.3", "POST", "", 404, "Cache-Control: max-age=60\nContent-Location: /",
	 CACHE_STORE_METHOD},
	{"9110 9.3.3", "POST", "", 200,
	 "Cache-Control: max-age=60\nContent-Location: /\nContent-Location: /", CACHE_STORE_METHOD},
	{"9110 9.3.3", "POST", "", 200, "Cache-Control: max-age=60, no-store\nContent-Location: /",
	 CACHE_STORE_NO_STORE},
	{"9110 9.3.4", "PUT", "", 200, "Cache-Control: max-age=60\nContent-Location: /",
	 CACHE_STORE_METHOD},
	/* statuses with an explicit lifetime */
	{"9111 3", "GET", "", 100, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 101, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 103, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 201, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 203, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 204, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3.3", "GET", "", 206, "Cache-Control: max-age=60", CACHE_STORE_PARTIAL},
	{"9111 3.3", "GET", "Range: bytes=0-0", 206,
	 "Cache-Control: max-age=60\nContent-Range: bytes 0-0/1", CACHE_STORE_PARTIAL},
	{"9111 3", "GET", "", 299, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 300, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 301, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 302, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 303, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 4.3.4", "GET", "", 304, "Cache-Control: max-age=60\n" ETAG, CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 307, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 308, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 400, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 401, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 403, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 404, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9110 15.5.8", "GET", "", 407, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 408, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9110 15.5.11", "GET", "", 410, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 412, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9110 15.5.13", "GET", "If-None-Match: \"a\"", 412, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9110 15.5.17", "GET", "Range: bytes=9-", 416, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9110 15.5.18", "GET", "Expect: 100-continue", 417, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 416, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 401, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 401, "Cache-Control: max-age=0\n" ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 417, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 421, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"8470 5.2", "GET", "", 425, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 426, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"6585 3", "GET", "", 428, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"6585 4", "GET", "", 429, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"6585 5", "GET", "", 431, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 451, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 499, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 500, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 3", "GET", "", 503, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"6585 6", "GET", "", 511, "Cache-Control: max-age=60", CACHE_STORE_STATUS},
	{"9111 3", "GET", "", 599, "Cache-Control: max-age=60", CACHE_STORE_OK},
	/* statuses without one: only those of RFC 9110 §15.1 */
	{"9110 15.1", "GET", "", 200, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 203, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 204, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 300, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 301, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 308, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 404, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 405, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 410, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 414, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 501, ETAG, CACHE_STORE_OK},
	{"9110 15.1", "GET", "", 201, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 302, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 303, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 307, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 400, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 403, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 500, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 502, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9110 15.1", "GET", "", 503, ETAG, CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 302, "Cache-Control: public\n" ETAG, CACHE_STORE_OK},
	{"9111 3", "GET", "", 302, "Cache-Control: public\n" DATE LM(DAY_AGO), CACHE_STORE_OK},
	{"9111 3", "GET", "", 302, "Cache-Control: public", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 302, "Expires: " LATER, CACHE_STORE_OK},
	{"9111 3", "GET", "", 302, "Cache-Control: s-maxage=5", CACHE_STORE_OK},
	/* neither fresh nor with a validator */
	{"9111 3", "GET", "", 200, "", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, DATE, CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Cache-Control: max-age=0", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Cache-Control: max-age=x", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Cache-Control: max-age=60\nAge: 60", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Cache-Control: max-age=60\nAge: 59", CACHE_STORE_OK},
	{"9111 3", "GET", "", 200, "Expires: 0", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Expires: 0\n" ETAG, CACHE_STORE_OK},
	{"9111 3", "GET", "", 200, "Expires: " BEFORE, CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Cache-Control: no-cache, max-age=60", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Cache-Control: no-cache\n" ETAG, CACHE_STORE_OK},
	{"9111 3", "GET", "", 200, "Cache-Control: max-age=0\n" ETAG, CACHE_STORE_OK},
	{"9111 3", "GET", "", 200, "ETag: unquoted", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "ETag: \"a\"\nETag: \"b\"", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, "Last-Modified: yesterday", CACHE_STORE_NO_FRESHNESS},
	{"9111 3", "GET", "", 200, LM(SAME), CACHE_STORE_OK},
	{"5861 3", "GET", "", 200, "Cache-Control: max-age=0, stale-while-revalidate=9",
	 CACHE_STORE_OK},
	{"5861 4", "GET", "", 200, "Cache-Control: max-age=0, stale-if-error=9", CACHE_STORE_OK},
	{"5861 4", "GET", "", 200, "Cache-Control: max-age=0, stale-if-error=0",
	 CACHE_STORE_NO_FRESHNESS},
	{"9111 4.2.4", "GET", "", 200,
	 "Cache-Control: max-age=0, stale-if-error=9, must-revalidate", CACHE_STORE_NO_FRESHNESS},
	/* no-store */
	{"9111 5.2.2.5", "GET", "", 200, "Cache-Control: max-age=60, no-store",
	 CACHE_STORE_NO_STORE},
	{"9111 5.2.2.5", "GET", "", 200, "Cache-Control: public, no-store, max-age=60",
	 CACHE_STORE_NO_STORE},
	{"9111 5.2.2.5", "GET", "", 200, "Cache-Control: No-Store\nCache-Control: max-age=60",
	 CACHE_STORE_NO_STORE},
	{"9111 5.2.2.3", "GET", "", 200, "Cache-Control: max-age=60, no-store, must-understand",
	 CACHE_STORE_OK},
	{"9111 5.2.2.3", "GET", "", 404, "Cache-Control: max-age=60, no-store, must-understand",
	 CACHE_STORE_OK},
	{"9111 5.2.2.3", "GET", "", 599, "Cache-Control: max-age=60, no-store, must-understand",
	 CACHE_STORE_STATUS},
	{"9111 5.2.2.3", "GET", "", 299, "Cache-Control: max-age=60, must-understand",
	 CACHE_STORE_STATUS},
	{"9111 5.2.2.3", "GET", "", 201, "Cache-Control: max-age=60, must-understand",
	 CACHE_STORE_OK},
	{"9111 5.2.2.3", "GET", "", 226, "Cache-Control: max-age=60, must-understand",
	 CACHE_STORE_STATUS},
	{"9111 5.2.2.3", "GET", "", 302, "Cache-Control: max-age=60, must-understand",
	 CACHE_STORE_OK},
	{"9111 5.2.2.3", "GET", "", 200, "Cache-Control: max-age=60, private, must-understand",
	 CACHE_STORE_PRIVATE},
	{"9111 5.2.1.5", "GET", "Cache-Control: no-store", 200, "Cache-Control: max-age=60",
	 CACHE_STORE_REQUEST_NO_STORE},
	{"9111 5.2.1.5", "GET", "Cache-Control: no-store", 200, "Cache-Control: public, max-age=60",
	 CACHE_STORE_REQUEST_NO_STORE},
	{"9111 5.2.1.5", "GET", "Cache-Control: no-cache", 200, "Cache-Control: max-age=60",
	 CACHE_STORE_OK},
	{"9111 5.2.1.5", "GET", "Pragma: no-store", 200, "Cache-Control: max-age=60",
	 CACHE_STORE_OK},
	{"9111 5.4", "GET", "", 200, "Pragma: no-cache\nCache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 5.4", "GET", "", 200, "Pragma: no-cache\n" ETAG, CACHE_STORE_OK},
	/* private */
	{"9111 5.2.2.7", "GET", "", 200, "Cache-Control: private, max-age=60", CACHE_STORE_PRIVATE},
	{"9111 5.2.2.7", "GET", "", 200, "Cache-Control: private, public, s-maxage=60",
	 CACHE_STORE_PRIVATE},
	{"9111 5.2.2.7", "GET", "", 200, "Cache-Control: private=\"X-User\", max-age=60",
	 CACHE_STORE_OK},
	{"9111 5.2.2.7", "GET", "", 200, "Cache-Control: private=\"\", max-age=60",
	 CACHE_STORE_PRIVATE},
	/* Authorization */
	{"9111 3.5", "GET", "Authorization: Basic eA==", 200, "Cache-Control: max-age=60",
	 CACHE_STORE_AUTHORIZATION},
	{"9111 3.5", "GET", "Authorization:", 200, "Cache-Control: max-age=60",
	 CACHE_STORE_AUTHORIZATION},
	{"9111 3.5", "GET", "Authorization: Basic eA==", 200, "Cache-Control: max-age=60, public",
	 CACHE_STORE_OK},
	{"9111 3.5", "GET", "Authorization: Basic eA==", 200,
	 "Cache-Control: max-age=60, must-revalidate", CACHE_STORE_OK},
	{"9111 3.5", "GET", "Authorization: Basic eA==", 200, "Cache-Control: s-maxage=60",
	 CACHE_STORE_OK},
	{"9111 3.5", "GET", "Authorization: Basic eA==", 200,
	 "Cache-Control: max-age=60, proxy-revalidate", CACHE_STORE_AUTHORIZATION},
	{"9111 3.5", "GET", "Authorization: Basic eA==", 200,
	 "Cache-Control: max-age=60, immutable", CACHE_STORE_AUTHORIZATION},
	{"9111 3.5", "GET", "Authorization: Basic eA==", 200, ETAG, CACHE_STORE_AUTHORIZATION},
	{"9111 3.5", "GET", "Proxy-Authorization: Basic eA==", 200, "Cache-Control: max-age=60",
	 CACHE_STORE_OK},
	/* Vary */
	{"9111 4.1", "GET", "", 200, "Cache-Control: max-age=60\nVary: *", CACHE_STORE_VARY_ANY},
	{"9111 4.1", "GET", "", 200, "Cache-Control: max-age=60\nVary: a, *", CACHE_STORE_VARY_ANY},
	{"9111 4.1", "GET", "", 200, "Cache-Control: max-age=60\nVary: Cookie", CACHE_STORE_OK},
	{"9111 4.1", "GET", "", 200, "Cache-Control: max-age=60\nVary:", CACHE_STORE_OK},
	/* Set-Cookie */
	{"9111 7.3", "GET", "", 200, "Cache-Control: max-age=60\nSet-Cookie: a=b", CACHE_STORE_OK},
	{"9111 7.3", "GET", "", 200, "Expires: " LATER "\nSet-Cookie: a=b", CACHE_STORE_OK},
	{"9111 7.3", "GET", "", 200, LM(DAY_AGO) "Set-Cookie: a=b", CACHE_STORE_SET_COOKIE},
	{"9111 7.3", "GET", "", 200, ETAG "Set-Cookie: a=b", CACHE_STORE_SET_COOKIE},
	{"9111 7.3", "GET", "", 200, "Cache-Control: public, max-age=60\nSet-Cookie: a=b",
	 CACHE_STORE_OK},
	{"9111 7.3", "GET", "", 200, "Cache-Control: s-maxage=60\nSet-Cookie: a=b", CACHE_STORE_OK},
	{"9111 7.3", "GET", "", 200,
	 "Cache-Control: max-age=60, no-cache=\"Set-Cookie\"\nSet-Cookie: a=b", CACHE_STORE_OK},
	{"9111 7.3", "GET", "", 200,
	 "Cache-Control: max-age=60, private=\"set-cookie\"\nSet-Cookie: a=b", CACHE_STORE_OK},
	{"9111 7.3", "GET", "", 200, ETAG "Cache-Control: private=\"set-cookie\"\nSet-Cookie: a=b",
	 CACHE_STORE_OK},
	{"9111 7.3", "GET", "", 200,
	 ETAG "Cache-Control: private=\"set-cookie2\"\nSet-Cookie: a=b", CACHE_STORE_SET_COOKIE},
	{"9111 7.3", "GET", "Cookie: a=b", 200, "Cache-Control: max-age=60", CACHE_STORE_OK},
	/* the rest */
	{"9110 14.2", "GET", "Range: bytes=0-1", 200, "Cache-Control: max-age=60", CACHE_STORE_OK},
	{"9111 5.2.2.6", "GET", "", 200, "Cache-Control: max-age=60, no-transform", CACHE_STORE_OK},
	{"9111 5.2.3", "GET", "", 200, "Cache-Control: max-age=60, x=\"no-store\"", CACHE_STORE_OK},
	{"9110 7.6.1", "GET", "", 200, "Connection: cache-control\nCache-Control: no-store",
	 CACHE_STORE_NO_STORE},
};

START_TEST(storable)
{
	struct cache_options o = head_options();
	struct head_text req, res;
	struct cache_meta meta;
	enum cache_reason got = cache_storable(
		&o, head_request(&req, store_rows[_i].method, store_rows[_i].req),
		head_response(&res, store_rows[_i].status, store_rows[_i].res), NOW, NOW, &meta, NULL);

	ck_assert_msg(got == store_rows[_i].verdict, "%s: %u \"%s\" to \"%s\": %s, not %s",
		      store_rows[_i].clause, store_rows[_i].status, store_rows[_i].res,
		      store_rows[_i].req, cache_reason_token(got),
		      cache_reason_token(store_rows[_i].verdict));
	ck_assert_uint_eq(meta.status, store_rows[_i].status);
	ck_assert_int_eq(meta.response_time, NOW);
	ck_assert_uint_eq(meta.keep, 720);
	head_end(&req);
	head_end(&res);
}
END_TEST

START_TEST(options_count)
{
	struct cache_options o = head_options();
	struct head_text req, res;
	struct cache_meta meta;

	head_request(&req, "GET", "Cache-Control: no-store");
	head_response(&res, 200, "Cache-Control: max-age=60\nSet-Cookie: a=b");
	o.request_directives = false;
	o.store_set_cookie = false;
	ck_assert_int_eq(cache_storable(&o, &req.head, &res.head, NOW, NOW, &meta, NULL),
			 CACHE_STORE_SET_COOKIE);
	o.store_set_cookie = true;
	ck_assert_int_eq(cache_storable(&o, &req.head, &res.head, NOW, NOW, &meta, NULL), CACHE_STORE_OK);
	o.request_directives = true;
	ck_assert_int_eq(cache_storable(&o, &req.head, &res.head, NOW, NOW, &meta, NULL),
			 CACHE_STORE_REQUEST_NO_STORE);
	head_end(&req);
	head_end(&res);
}
END_TEST

UNIT_MAIN("cache/storable", tcase_add_loop_test(tc, storable, 0, ARRAY_LEN(store_rows));
	  tcase_add_test(tc, options_count);)
