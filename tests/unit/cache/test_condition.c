#include "heads.h"

#define MORNING "Sun, 06 Nov 1994 00:00:00 GMT" /* when the stored one was modified */
#define EARLIER "Sat, 05 Nov 1994 23:59:59 GMT"
#define AFTER   "Sun, 06 Nov 1994 00:00:01 GMT"
#define INM     "If-None-Match: "
#define IM      "If-Match: "
#define IMS     "If-Modified-Since: "
#define IUS     "If-Unmodified-Since: "

/* The stored response has ETag "a", Last-Modified MORNING and Date NOW, unless the row's stored
 * lines say otherwise. */
static const struct {
	const char *clause, *stored;
	unsigned status;
	const char *method, *req;
	enum cache_condition verdict;
} rows[] = {
	{"9110 13.2.2", NULL, 200, "GET", "", CACHE_COND_NONE},
	/* If-None-Match */
	{"9110 13.1.2", NULL, 200, "GET", INM "\"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "HEAD", INM "\"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "PUT", INM "\"a\"", CACHE_COND_412},
	{"9110 13.1.2", NULL, 200, "PUT", INM "*", CACHE_COND_412},
	{"9110 13.1.2", NULL, 200, "GET", INM "W/\"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "w/\"a\"", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"A\"", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"b\"", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"b\", \"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"b\",\"c\",W/\"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"b\"\n" INM "\"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM ",, \"a\" ,", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "a", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"a", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "a\"", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"a\"b", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"a\" \"b\"", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "x, \"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"x, \"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"a\"x, \"a\"", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "*", CACHE_COND_304},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"*\"", CACHE_COND_NONE},
	{"9110 13.1.2", NULL, 200, "GET", INM "\"b\", *", CACHE_COND_NONE},
	{"9110 13.1.2", "ETag: W/\"a\"", 200, "GET", INM "\"a\"", CACHE_COND_304},
	{"9110 13.1.2", "ETag: W/\"a\"", 200, "GET", INM "W/\"a\"", CACHE_COND_304},
	{"9110 13.1.2", "X: y", 200, "GET", INM "\"a\"", CACHE_COND_NONE},
	{"9110 13.1.2", "X: y", 200, "GET", INM "*", CACHE_COND_304},
	{"9110 13.1.2", "ETag: a", 200, "GET", INM "a", CACHE_COND_NONE},
	{"9110 8.8.3", "ETag: \"a,b\"", 200, "GET", INM "\"a,b\"", CACHE_COND_304},
	{"9110 8.8.3", "ETag: \"b\"", 200, "GET", INM "\"a,b\"", CACHE_COND_NONE},
	{"9110 8.8.3", "ETag: \"a\\\"", 200, "GET", INM "\"x\", \"a\\\"", CACHE_COND_304},
	{"9110 8.8.3", "ETag: \"b\"", 200, "GET", INM "\"a\\\", \"b\"", CACHE_COND_304},
	{"9110 8.8.3", "ETag: \"\"", 200, "GET", INM "\"\"", CACHE_COND_304},
	{"9110 8.8.3", "ETag: \"(a,b)\"", 200, "GET", INM "\"(a,b)\"", CACHE_COND_304},
	/* If-Modified-Since */
	{"9110 13.1.3", NULL, 200, "GET", IMS MORNING, CACHE_COND_304},
	{"9110 13.1.3", NULL, 200, "HEAD", IMS MORNING, CACHE_COND_304},
	{"9110 13.1.3", NULL, 200, "GET", IMS AFTER, CACHE_COND_304},
	{"9110 13.1.3", NULL, 200, "GET", IMS EARLIER, CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "PUT", IMS MORNING, CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "GET", IMS "Sunday, 06-Nov-94 00:00:00 GMT", CACHE_COND_304},
	{"9110 13.1.3", NULL, 200, "GET", IMS "Sun Nov  6 00:00:00 1994", CACHE_COND_304},
	{"9110 13.1.3", NULL, 200, "GET", IMS "yesterday", CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "GET", IMS "", CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "GET", IMS "0", CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "GET", IMS MORNING "; length=5", CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "GET", IMS AFTER "\n" IMS AFTER, CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "GET", INM "\"b\"\n" IMS AFTER, CACHE_COND_NONE},
	{"9110 13.1.3", NULL, 200, "GET", INM "\"a\"\n" IMS EARLIER, CACHE_COND_304},
	{"9110 13.1.3", NULL, 200, "GET", INM "\n" IMS AFTER, CACHE_COND_NONE},
	{"9111 4.3.2", "Date: " SAME, 200, "GET", IMS SAME, CACHE_COND_304},
	{"9111 4.3.2", "Date: " SAME, 200, "GET", IMS BEFORE, CACHE_COND_NONE},
	{"9111 4.3.2", "X: y", 200, "GET", IMS SAME, CACHE_COND_304},
	{"9111 4.3.2", "X: y", 200, "GET", IMS BEFORE, CACHE_COND_NONE},
	/* If-Match: strong */
	{"9110 13.1.1", NULL, 200, "GET", IM "\"a\"", CACHE_COND_NONE},
	{"9110 13.1.1", NULL, 200, "GET", IM "*", CACHE_COND_NONE},
	{"9110 13.1.1", NULL, 200, "GET", IM "\"b\"", CACHE_COND_412},
	{"9110 13.1.1", NULL, 200, "GET", IM "\"b\", \"a\"", CACHE_COND_NONE},
	{"9110 13.1.1", NULL, 200, "GET", IM "W/\"a\"", CACHE_COND_412},
	{"9110 13.1.1", NULL, 200, "GET", IM "a", CACHE_COND_412},
	{"9110 13.1.1", "ETag: W/\"a\"", 200, "GET", IM "W/\"a\"", CACHE_COND_412},
	{"9110 13.1.1", "ETag: W/\"a\"", 200, "GET", IM "\"a\"", CACHE_COND_412},
	{"9110 13.1.1", "ETag: W/\"a\"", 200, "GET", IM "*", CACHE_COND_NONE},
	{"9110 13.1.1", "X: y", 200, "GET", IM "\"a\"", CACHE_COND_412},
	{"9110 13.1.1", "X: y", 200, "GET", IM "*", CACHE_COND_NONE},
	/* If-Unmodified-Since */
	{"9110 13.1.4", NULL, 200, "GET", IUS MORNING, CACHE_COND_NONE},
	{"9110 13.1.4", NULL, 200, "GET", IUS AFTER, CACHE_COND_NONE},
	{"9110 13.1.4", NULL, 200, "GET", IUS EARLIER, CACHE_COND_412},
	{"9110 13.1.4", NULL, 200, "GET", IUS "yesterday", CACHE_COND_NONE},
	{"9110 13.1.4", NULL, 200, "GET", IUS EARLIER "\n" IUS EARLIER, CACHE_COND_NONE},
	{"9110 13.1.4", "ETag: \"a\"", 200, "GET", IUS EARLIER, CACHE_COND_NONE},
	{"9110 13.1.4", NULL, 200, "GET", IM "\"a\"\n" IUS EARLIER, CACHE_COND_NONE},
	{"9110 13.1.4", NULL, 200, "GET", IM "\"b\"\n" IUS AFTER, CACHE_COND_412},
	/* precedence */
	{"9110 13.2.2", NULL, 200, "GET", IM "\"a\"\n" INM "\"a\"", CACHE_COND_304},
	{"9110 13.2.2", NULL, 200, "GET", IM "\"b\"\n" INM "\"a\"", CACHE_COND_412},
	{"9110 13.2.2", NULL, 200, "GET", IM "\"a\"\n" IMS AFTER, CACHE_COND_304},
	{"9110 13.2.2", NULL, 200, "GET", IUS EARLIER "\n" INM "\"a\"", CACHE_COND_412},
	{"9110 13.2.2", NULL, 200, "GET", IUS AFTER "\n" IMS AFTER, CACHE_COND_304},
	{"9110 13.2.2", NULL, 200, "GET", IM "\"a\"\n" IUS EARLIER "\n" INM "\"b\"\n" IMS AFTER,
	 CACHE_COND_NONE},
	/* only where the answer would be 2xx */
	{"9110 13.2.1", NULL, 204, "GET", INM "\"a\"", CACHE_COND_304},
	{"9110 13.2.1", NULL, 301, "GET", INM "\"a\"", CACHE_COND_NONE},
	{"9110 13.2.1", NULL, 404, "GET", INM "*", CACHE_COND_NONE},
	{"9110 13.2.1", NULL, 404, "GET", IM "\"b\"", CACHE_COND_NONE},
	{"9110 13.2.1", NULL, 500, "GET", IMS AFTER, CACHE_COND_NONE},
};

#define STORED "ETag: \"a\"\nLast-Modified: " MORNING "\n" DATE

static struct view store(struct head_text *h, unsigned status, const char *lines,
			 struct cache_meta *meta)
{
	struct cache_options o = head_options();
	const struct http_field *etag;
	struct head_text req;

	cache_storable(&o, head_request(&req, "GET", ""),
		       head_response(h, status, lines ? lines : STORED), NOW, NOW, meta, NULL);
	head_end(&req);
	etag = http_find(&h->head, HTTP_ETAG, 0);
	return etag ? etag->value : V("");
}

START_TEST(precondition)
{
	struct head_text stored, req;
	struct cache_meta meta;
	struct view etag = store(&stored, rows[_i].status, rows[_i].stored, &meta);
	enum cache_condition got = cache_precondition(
		head_request(&req, rows[_i].method, rows[_i].req), &meta, etag, NOW);

	ck_assert_msg(got == rows[_i].verdict, "%s: \"%s\" to %u \"%s\" gives %d, not %d",
		      rows[_i].clause, rows[_i].req, rows[_i].status,
		      rows[_i].stored ? rows[_i].stored : "", got, rows[_i].verdict);
	head_end(&stored);
	head_end(&req);
}
END_TEST

#define R5 "Range: bytes=0-4\n"

static const struct {
	const char *clause, *stored;
	unsigned status;
	const char *method, *req;
	enum http_range_outcome outcome;
	unsigned n;
} range_rows[] = {
	{"9110 14.2", NULL, 200, "GET", "", HTTP_RANGE_NONE, 0},
	{"9110 14.2", NULL, 200, "GET", R5, HTTP_RANGE_SOME, 1},
	{"9110 14.2", NULL, 200, "HEAD", R5, HTTP_RANGE_NONE, 0},
	{"9110 14.2", NULL, 200, "POST", R5, HTTP_RANGE_NONE, 0},
	{"9110 14.2", NULL, 404, "GET", R5, HTTP_RANGE_NONE, 0},
	{"9110 14.2", NULL, 204, "GET", R5, HTTP_RANGE_NONE, 0},
	{"9110 14.2", NULL, 200, "GET", R5 "Range: bytes=7-8", HTTP_RANGE_NONE, 0},
	{"9110 14.2", NULL, 200, "GET", "Range: bytes=0-1,50-60", HTTP_RANGE_SOME, 2},
	{"9110 14.2", NULL, 200, "GET", "Range: bytes=200-", HTTP_RANGE_UNSATISFIABLE, 0},
	{"9110 14.2", NULL, 200, "GET", "Range: lines=1-2", HTTP_RANGE_NONE, 0},
	{"9110 14.3", STORED "Accept-Ranges: none", 200, "GET", R5, HTTP_RANGE_NONE, 0},
	{"9110 14.3", STORED "Accept-Ranges: bytes", 200, "GET", R5, HTTP_RANGE_SOME, 1},
	/* If-Range */
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: \"a\"", HTTP_RANGE_SOME, 1},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: \"b\"", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: W/\"a\"", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: a", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range:", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: *", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: \"b\", \"a\"", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: \"a\"\nIf-Range: \"a\"", HTTP_RANGE_NONE,
	 0},
	{"9110 13.1.5", "ETag: W/\"a\"", 200, "GET", R5 "If-Range: W/\"a\"", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", "ETag: W/\"a\"", 200, "GET", R5 "If-Range: \"a\"", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", "X: y", 200, "GET", R5 "If-Range: \"a\"", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: " MORNING, HTTP_RANGE_SOME, 1},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: " AFTER, HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: " EARLIER, HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: Sun Nov  6 00:00:00 1994", HTTP_RANGE_SOME,
	 1},
	{"9110 13.1.5", NULL, 200, "GET", R5 "If-Range: yesterday", HTTP_RANGE_NONE, 0},
	{"9110 8.8.2.2", "Last-Modified: " MORNING, 200, "GET", R5 "If-Range: " MORNING,
	 HTTP_RANGE_NONE, 0},
	{"9110 8.8.2.2", DATE "Last-Modified: " SAME, 200, "GET", R5 "If-Range: " SAME,
	 HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", DATE, 200, "GET", R5 "If-Range: " SAME, HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", "Range: bytes=200-\nIf-Range: \"a\"",
	 HTTP_RANGE_UNSATISFIABLE, 0},
	{"9110 13.1.5", NULL, 200, "GET", "Range: bytes=200-\nIf-Range: \"b\"", HTTP_RANGE_NONE, 0},
	{"9110 13.1.5", NULL, 200, "GET", "If-Range: \"a\"", HTTP_RANGE_NONE, 0},
};

START_TEST(ranges)
{
	struct head_text stored, req;
	struct http_range out[8];
	struct cache_meta meta;
	struct view etag = store(&stored, range_rows[_i].status, range_rows[_i].stored, &meta);
	unsigned n = 99;
	enum http_range_outcome got =
		cache_ranges(head_request(&req, range_rows[_i].method, range_rows[_i].req), &meta,
			     etag, 100, NOW, out, ARRAY_LEN(out), &n);

	ck_assert_msg(got == range_rows[_i].outcome, "%s: \"%s\" gives %d, not %d",
		      range_rows[_i].clause, range_rows[_i].req, got, range_rows[_i].outcome);
	if (got == HTTP_RANGE_SOME) {
		ck_assert_uint_eq(n, range_rows[_i].n);
		ck_assert_uint_eq(out[0].first, 0);
	}
	head_end(&stored);
	head_end(&req);
}
END_TEST

/* RFC 9110 §8.8.1: of what the cache has compressed, a date does not say which coding a client has a part of. */
START_TEST(ranges_of_what_was_compressed)
{
	static const struct {
		const char *req;
		enum http_range_outcome outcome;
	} now_rows[] = {
		{R5 "If-Range: " MORNING, HTTP_RANGE_NONE},
		{R5, HTTP_RANGE_SOME},
	};
	struct head_text stored, req;
	struct http_range out[8];
	struct cache_meta meta;
	struct view etag = store(&stored, 200, range_rows[0].stored, &meta);
	unsigned n;

	meta.flags |= CACHE_F_CODED | CACHE_F_RECODED;
	for (size_t i = 0; i < ARRAY_LEN(now_rows); i++) {
		ck_assert_int_eq(cache_ranges(head_request(&req, "GET", now_rows[i].req), &meta, etag, 100, NOW, out,
		                              ARRAY_LEN(out), &n), now_rows[i].outcome);
		head_end(&req);
	}
	head_end(&stored);
}
END_TEST

UNIT_MAIN("cache/condition", tcase_add_test(tc, ranges_of_what_was_compressed);
	  tcase_add_loop_test(tc, precondition, 0, ARRAY_LEN(rows));
	  tcase_add_loop_test(tc, ranges, 0, ARRAY_LEN(range_rows));)
