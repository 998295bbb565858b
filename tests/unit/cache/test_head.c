#include "heads.h"

#include <stdio.h>

/* ---- The stored head ---- */

static const struct {
	const char *clause, *res, *written;
	unsigned status;
	uint64_t length;
} write_rows[] = {
	{"9111 3.1", "A: 1\nB: 2\nA: 3", "A: 1\nB: 2\nA: 3\nContent-Length: 7\n", 200, 7},
	{"9111 3.1", "a-ODD: x", "a-ODD: x\nContent-Length: 0\n", 200, 0},
	{"9111 3.1", "A: 1", "A: 1\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9110 8.6", "A: 1", "A: 1\n", 204, 0},
	{"9110 8.6", "Content-Length: 5\nA: 1", "A: 1\nContent-Length: 7\n", 200, 7},
	{"9110 8.6", "Content-Length: 5", "", 200, HTTP_LENGTH_UNKNOWN},
	{"9110 8.6", "A: 1", "A: 1\nContent-Length: 18446744073709551614\n", 200, UINT64_MAX - 1},
	{"9110 7.6.1", "Connection: close, X-Hop\nX-Hop: 1\nKeep-Alive: timeout=5\nA: 1", "A: 1\n",
	 200, HTTP_LENGTH_UNKNOWN},
	{"9110 7.6.1", "Transfer-Encoding: chunked\nUpgrade: h2c\nTE: x\nA: 1", "A: 1\n", 200,
	 HTTP_LENGTH_UNKNOWN},
	{"9110 7.6.1", "Connection: cache-control\nCache-Control: max-age=1",
	 "Cache-Control: max-age=1\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9111 3.1",
	 "Proxy-Authenticate: Basic\nProxy-Authentication-Info: x\nProxy-Connection: close", "",
	 200, HTTP_LENGTH_UNKNOWN},
	{"9110 6.6.2", "Trailer: X-Sum\nA: 1", "A: 1\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9111 5.1", "Age: 10\nA: 1\nage: 11", "A: 1\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9111 3.1", "Set-Cookie: a=b", "Set-Cookie: a=b\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9111 5.2.2.4", "Cache-Control: no-cache=\"Set-Cookie\"\nSet-Cookie: a=b\nA: 1",
	 "Cache-Control: no-cache=\"Set-Cookie\"\nA: 1\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9111 5.2.2.7",
	 "Cache-Control: private=\"x-user , X-Group\"\nX-User: u\nX-GROUP: g\nX-User2: v",
	 "Cache-Control: private=\"x-user , X-Group\"\nX-User2: v\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9111 5.2.2.7", "Cache-Control: private=x-a, no-cache=x-b\nX-A: 1\nX-B: 2\nX-C: 3",
	 "Cache-Control: private=x-a, no-cache=x-b\nX-C: 3\n", 200, HTTP_LENGTH_UNKNOWN},
	{"9110 5.5", "A:", "A: \n", 200, HTTP_LENGTH_UNKNOWN},
	{"9211 2", "Cache-Status: other; hit\nVia: 1.1 x", "Cache-Status: other; hit\nVia: 1.1 x\n",
	 200, HTTP_LENGTH_UNKNOWN},
};

/* The lines with LF for CRLF, after the status line. */
static void expect_lines(const struct buf *out, const char *status, const char *lines,
			 const char *about)
{
	struct buf got;
	size_t at = 0;

	buf_init(&got, 65536);
	for (; at < out->len; at++) {
		if (out->data[at] != '\r')
			buf_addc(&got, out->data[at]);
		else
			ck_assert(at + 1 < out->len && out->data[at + 1] == '\n');
	}
	ck_assert_msg(view_starts(buf_view(&got), view_of(status)), "%s: \"%.*s\"", about,
		      VFMT(buf_view(&got)));
	ck_assert_msg(view_eq(view_from(buf_view(&got), strlen(status)), view_of(lines)),
		      "%s: \"%.*s\" should be \"%s%s\"", about, VFMT(buf_view(&got)), status,
		      lines);
	buf_fini(&got);
}

START_TEST(writing)
{
	struct cache_options o = head_options();
	struct cache_control cc;
	struct cache_meta meta;
	struct head_text res, req;
	struct buf out, same;
	char status[40];

	buf_init(&out, 4096);
	head_response(&res, write_rows[_i].status, write_rows[_i].res);
	ck_assert_int_eq(cache_head_write(&o, &res.head, NULL, write_rows[_i].length, &out), 0);
	/* With what cache_storable found there it is the same. */
	buf_init(&same, 4096);
	cache_storable(&o, head_request(&req, "GET", ""), &res.head, NOW, NOW, &meta, &cc);
	ck_assert_int_eq(cache_head_write(&o, &res.head, &cc, write_rows[_i].length, &same), 0);
	ck_assert(view_eq(buf_view(&same), buf_view(&out)));
	buf_fini(&same);
	head_end(&req);
	snprintf(status, sizeof(status), "HTTP/1.1 %u Text\n", write_rows[_i].status);
	expect_lines(&out, status, write_rows[_i].written, write_rows[_i].clause);
	head_end(&res);
	buf_fini(&out);
}
END_TEST

START_TEST(writing_without_room)
{
	struct cache_options o = head_options();
	struct head_text res;
	struct buf out;

	head_response(&res, 200, "Some-Field: value");
	for (size_t max = 0; max < 38; max++) {
		buf_init(&out, max);
		ck_assert_int_eq(cache_head_write(&o, &res.head, NULL, HTTP_LENGTH_UNKNOWN, &out),
				 LARDER_ELIMIT);
		ck_assert_uint_le(out.len, max);
		buf_fini(&out);
	}
	buf_init(&out, 38);
	ck_assert_int_eq(cache_head_write(&o, &res.head, NULL, HTTP_LENGTH_UNKNOWN, &out), 0);
	buf_fini(&out);
	head_end(&res);
}
END_TEST

START_TEST(reason_phrase)
{
	struct cache_options o = head_options();
	struct head_text res;
	struct buf out;

	buf_init(&out, 4096);
	head_response(&res, 404, "");
	res.head.reason = V("");
	ck_assert_int_eq(cache_head_write(&o, &res.head, NULL, HTTP_LENGTH_UNKNOWN, &out), 0);
	ck_view_eq(buf_view(&out), "HTTP/1.1 404 Not Found\r\n");
	head_end(&res);
	buf_fini(&out);
}
END_TEST

/* ---- 304s to clients ---- */

static const struct {
	const char *stored, *written;
} not_modified_rows[] = {
	{"", ""},
	{"Content-Type: text/html\nContent-Length: 5\nContent-Encoding: gzip\nServer: "
	 "x\nSet-Cookie: a=b",
	 ""},
	{"ETag: \"a\"\nLast-Modified: " SAME, "ETag: \"a\"\n"},
	{"Last-Modified: " SAME, "Last-Modified: " SAME "\n"},
	{"Cache-Control: max-age=1\nContent-Location: /x\n" DATE "ETag: W/\"a\"\nExpires: " LATER
	 "\nVary: Accept",
	 "Cache-Control: max-age=1\nContent-Location: /x\n" DATE "ETag: W/\"a\"\nExpires: " LATER
	 "\nVary: Accept\n"},
	{"Via: 1.1 x\nCache-Status: y; hit\nX: y", "Via: 1.1 x\nCache-Status: y; hit\n"},
	{"vary: a\nVary: b", "vary: a\nVary: b\n"},
	/* targeted fields are for caches behind us, too (RFC 9213 §2.2) */
	{"CDN-Cache-Control: max-age=1\nexample-cache-control: no-store\nX-Cache: hit",
	 "CDN-Cache-Control: max-age=1\nexample-cache-control: no-store\n"},
};

START_TEST(not_modified)
{
	struct head_text stored;
	struct buf out;

	buf_init(&out, 4096);
	head_response(&stored, 200, not_modified_rows[_i].stored);
	ck_assert_int_eq(cache_304_write(&stored.head, &out), 0);
	expect_lines(&out, "HTTP/1.1 304 Not Modified\n", not_modified_rows[_i].written,
		     "9110 15.4.5");
	head_end(&stored);
	buf_fini(&out);
}
END_TEST

/* ---- Validating ---- */

static struct cache_meta meta_of(struct head_text *h, const char *lines)
{
	struct cache_options o = head_options();
	struct cache_meta meta;
	struct head_text req;

	cache_storable(&o, head_request(&req, "GET", ""), head_response(h, 200, lines), NOW, NOW,
		       &meta, NULL);
	head_end(&req);
	return meta;
}

static const struct {
	const char *stored, *written;
	int any;
} validator_rows[] = {
	{"", "", 0},
	{"ETag: \"a\"", "If-None-Match: \"a\"\r\n", 1},
	{"ETag: W/\"a\"", "If-None-Match: W/\"a\"\r\n", 1},
	{"ETag: a", "", 0},
	{"Last-Modified: " SAME, "If-Modified-Since: " SAME "\r\n", 1},
	/* The date as it was given (RFC 9110 §13.1.3). */
	{"Last-Modified: Sun Nov  6 08:49:37 1994",
	 "If-Modified-Since: Sun Nov  6 08:49:37 1994\r\n", 1},
	{"Last-Modified: x", "", 0},
	{DATE, "", 0},
	{"Last-Modified: " SAME "\nETag: \"a\"",
	 "If-None-Match: \"a\"\r\nIf-Modified-Since: " SAME "\r\n", 1},
	{"Last-Modified: x\nETag: \"a\"", "If-None-Match: \"a\"\r\n", 1},
};

START_TEST(validators)
{
	struct head_text stored;
	struct cache_meta meta = meta_of(&stored, validator_rows[_i].stored);
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(cache_validators_write(&stored.head, &meta, &out), validator_rows[_i].any);
	ck_view_eq(buf_view(&out), validator_rows[_i].written);
	buf_fini(&out);
	buf_init(&out, 10);
	ck_assert_int_eq(cache_validators_write(&stored.head, &meta, &out),
			 validator_rows[_i].any ? LARDER_ELIMIT : 0);
	buf_fini(&out);
	head_end(&stored);
}
END_TEST

static const struct {
	const char *clause, *stored, *res304;
	bool selects;
} select_rows[] = {
	{"9111 4.3.4", "ETag: \"a\"", "ETag: \"a\"", true},
	{"9111 4.3.4", "ETag: \"a\"", "ETag: \"b\"", false},
	{"9111 4.3.4", "ETag: W/\"a\"", "ETag: \"a\"", false},
	{"9111 4.3.4", "ETag: W/\"a\"", "ETag: W/\"a\"", true},
	{"9111 4.3.4", "ETag: \"a\"", "ETag: W/\"a\"", true},
	{"9111 4.3.4", "ETag: \"a\"", "ETag: W/\"b\"", false},
	{"9111 4.3.4", "Last-Modified: " SAME, "ETag: \"a\"", false},
	{"9111 4.3.4", "Last-Modified: " SAME, "ETag: \"a\"\nLast-Modified: " SAME, false},
	{"9111 4.3.4", "Last-Modified: " SAME, "ETag: W/\"a\"\nLast-Modified: " SAME, true},
	{"9111 4.3.4", "Last-Modified: " SAME, "Last-Modified: " SAME, true},
	{"9111 4.3.4", "Last-Modified: " SAME, "Last-Modified: Sun Nov  6 08:49:37 1994", true},
	{"9111 4.3.4", "Last-Modified: " SAME, "Last-Modified: " LATER, false},
	{"9111 4.3.4", "ETag: \"a\"", "Last-Modified: " LATER, false},
	{"9111 4.3.4", "ETag: \"a\"\nLast-Modified: " SAME, "Last-Modified: " SAME, true},
	{"9111 4.3.4", "ETag: \"a\"\nLast-Modified: " SAME, "Last-Modified: " LATER, false},
	{"9111 4.3.4", "ETag: \"a\"\nLast-Modified: " SAME, "ETag: \"a\"\nLast-Modified: " LATER,
	 true},
	{"9111 4.3.4", "ETag: \"a\"\nLast-Modified: " SAME, "ETag: \"b\"\nLast-Modified: " SAME,
	 false},
	{"9111 4.3.3", "ETag: \"a\"", "X: y", true},
	{"9111 4.3.3", "Last-Modified: " SAME, "X: y", true},
	{"9111 4.3.3", "X: y", "X: y", true},
	{"9111 4.3.4", "ETag: \"a\"", "ETag: a", false},
	{"9111 4.3.4", "ETag: \"a\"", "ETag: \"a\"\nETag: \"b\"", false},
	{"9111 4.3.4", "ETag: \"a\"", "Last-Modified: yesterday", false},
};

START_TEST(selects)
{
	struct head_text stored, res304;
	struct cache_meta meta = meta_of(&stored, select_rows[_i].stored);
	bool got = cache_304_selects(&stored.head, &meta,
				     head_response(&res304, 304, select_rows[_i].res304));

	ck_assert_msg(got == select_rows[_i].selects, "%s: 304 \"%s\" for \"%s\"",
		      select_rows[_i].clause, select_rows[_i].res304, select_rows[_i].stored);
	head_end(&stored);
	head_end(&res304);
}
END_TEST

/* ---- Freshening ---- */

#define REFUSED CACHE_F_NO_CACHE

/* The 304 arrives at NOW, 60 s after BEFORE. */
static const struct {
	const char *clause, *stored, *res304, *written;
	uint32_t lifetime, age, flags; /* of flags: only no-cache is looked at */
} freshen_rows[] = {
	{"9111 3.2", "A: 1\nDate: " BEFORE "\nCache-Control: max-age=60", DATE,
	 DATE "A: 1\nCache-Control: max-age=60\n", 60, 0, 0},
	{"9111 3.2", "A: 1\nB: 2", DATE "B: 3\nB: 4", DATE "B: 3\nB: 4\nA: 1\n", 0, 0, 0},
	{"9111 3.2", "B: 1\nb: 2\nC: 3", DATE "b: 4", DATE "b: 4\nC: 3\n", 0, 0, 0},
	{"9110 6.6.1", "Date: " BEFORE "\nCache-Control: max-age=60", "",
	 DATE "Cache-Control: max-age=60\n", 60, 0, 0},
	{"9111 3.2", "Cache-Control: max-age=60", DATE "Cache-Control: max-age=5",
	 DATE "Cache-Control: max-age=5\n", 5, 0, 0},
	{"9111 3.2", "Cache-Control: max-age=60\nCache-Control: must-revalidate",
	 DATE "Cache-Control: max-age=5", DATE "Cache-Control: max-age=5\n", 5, 0, 0},
	{"9111 4.2.1", "Expires: " LATER, DATE, DATE "Expires: " LATER "\n", 60, 0, 0},
	{"9111 4.2.1", "Expires: " BEFORE, DATE, DATE "Expires: " BEFORE "\n", 0, 0, 0},
	{"9111 4.2.1", "Expires: " BEFORE, DATE "Expires: " LATER, DATE "Expires: " LATER "\n", 60,
	 0, 0},
	{"9111 5.1", "Cache-Control: max-age=60", DATE "Age: 20",
	 DATE "Cache-Control: max-age=60\n", 60, 20, 0},
	/* what the content depends on stays */
	{"9111 3.2", "Content-Type: a/b\nContent-Encoding: gzip",
	 DATE "Content-Type: c/d\nContent-Encoding: br",
	 DATE "Content-Type: c/d\nContent-Encoding: gzip\n", 0, 0, 0},
	{"9111 3.2", "A: 1",
	 DATE
	 "Content-Encoding: br\nContent-Range: bytes 0-1/2\nContent-Digest: x",
	 DATE "A: 1\n", 0, 0, 0},
	{"9111 3.2", "ETag: \"a\"", DATE "ETag: W/\"a\"", DATE "ETag: W/\"a\"\n", 0, 0, 0},
	{"9111 3.2", "Repr-Digest: a\nDigest: b", DATE "Repr-Digest: c\nContent-MD5: d",
	 DATE "Repr-Digest: c\nContent-MD5: d\nDigest: b\n", 0, 0, 0},
	{"9111 3.2", "Last-Modified: " BEFORE, DATE "Last-Modified: " BEFORE,
	 DATE "Last-Modified: " BEFORE "\n", 6, 0, 0},
	{"9111 3.2", "Vary: a", DATE "Vary: b", DATE "Vary: b\n", 0, 0, 0},
	{"9111 3.1", "A: 1",
	 DATE "Connection: X-Hop\nX-Hop: 1\nKeep-Alive: x\nProxy-Authenticate: x", DATE "A: 1\n", 0,
	 0, 0},
	{"9110 8.6", "A: 1", DATE "Content-Length: 0", DATE "A: 1\n", 0, 0, 0},
	/* cookies of one client are not for the next */
	{"9111 7.3", "Cache-Control: max-age=60", DATE "Set-Cookie: a=b",
	 DATE "Cache-Control: max-age=60\n", 60, 0, 0},
	{"9111 7.3", "Cache-Control: public, max-age=60", DATE "Set-Cookie: a=b",
	 DATE "Cache-Control: public, max-age=60\n", 60, 0, 0},
	{"9111 7.3", "A: 1", DATE "Cache-Control: public\nSet-Cookie: a=b",
	 DATE "Cache-Control: public\nSet-Cookie: a=b\nA: 1\n", 0, 0, 0},
	{"9111 5.2.2.7", "X-User: u\nA: 1", DATE "Cache-Control: private=\"x-user\"",
	 DATE "Cache-Control: private=\"x-user\"\nA: 1\n", 0, 0, 0},
	/* no longer to be kept: never used again without asking */
	{"9111 5.2.2.5", "Cache-Control: max-age=60", DATE "Cache-Control: no-store, max-age=60",
	 DATE "Cache-Control: no-store, max-age=60\n", 0, 0, REFUSED},
	{"9111 5.2.2.7", "Cache-Control: max-age=60", DATE "Cache-Control: private, max-age=60",
	 DATE "Cache-Control: private, max-age=60\n", 0, 0, REFUSED},
	{"9111 4.1", "Cache-Control: max-age=60", DATE "Vary: *",
	 DATE "Vary: *\nCache-Control: max-age=60\n", 0, 0, REFUSED},
	{"9111 5.2.2.4", "Cache-Control: max-age=60", DATE "Cache-Control: no-cache, max-age=9",
	 DATE "Cache-Control: no-cache, max-age=9\n", 9, 0, CACHE_F_NO_CACHE},
};

START_TEST(freshen)
{
	struct cache_options o = head_options();
	struct head_text req, stored, res304;
	struct cache_meta meta, was = {0};
	struct buf out;

	memset(&meta, 0xa5, sizeof(meta));
	buf_init(&out, 4096);
	ck_assert_int_eq(cache_freshen(&o, head_request(&req, "GET", ""),
				       head_response(&stored, 203, freshen_rows[_i].stored), &was,
				       head_response(&res304, 304, freshen_rows[_i].res304), NOW,
				       NOW, HTTP_LENGTH_UNKNOWN, &out, &meta),
			 freshen_rows[_i].flags && !strstr(freshen_rows[_i].res304, "no-cache") ?
				 CACHE_REMOVE :
				 CACHE_UPDATE);
	expect_lines(&out, "HTTP/1.1 203 Text\n", freshen_rows[_i].written,
		     freshen_rows[_i].clause);
	ck_assert_uint_eq(meta.status, 203);
	ck_assert_uint_eq(meta.lifetime, freshen_rows[_i].lifetime);
	ck_assert_uint_eq(cache_age(&meta, NOW), freshen_rows[_i].age);
	ck_assert_uint_eq(meta.flags & CACHE_F_NO_CACHE, freshen_rows[_i].flags);
	ck_assert_uint_eq(meta.keep, 720);
	head_end(&req);
	head_end(&stored);
	head_end(&res304);
	buf_fini(&out);
}
END_TEST

START_TEST(freshen_by_head)
{
	struct cache_options o = head_options();
	struct head_text req, stored, res304;
	struct cache_meta meta, was = {0};
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(cache_freshen(&o, head_request(&req, "HEAD", ""),
				       head_response(&stored, 200, "Cache-Control: max-age=60"), &was,
				       head_response(&res304, 304, DATE), NOW, NOW, 12, &out,
				       &meta),
			 0);
	expect_lines(&out, "HTTP/1.1 200 Text\n",
		     DATE "Cache-Control: max-age=60\nContent-Length: 12\n", "HEAD");
	ck_assert_uint_eq(meta.lifetime, 60);
	head_end(&req);
	head_end(&stored);
	head_end(&res304);
	buf_fini(&out);
}
END_TEST

/* ---- What becomes of it ---- */

static const struct {
	const char *clause, *req, *stored, *res304;
	enum cache_fate fate;
	uint32_t lifetime;
} fate_rows[] = {
	{"9111 4.3.4", "", "Cache-Control: max-age=60", "", CACHE_UPDATE, 60},
	{"9111 4.3.4", "", "ETag: \"a\"", "ETag: \"a\"", CACHE_UPDATE, 0},
	{"9111 5.2.2.5", "", "Cache-Control: max-age=60", "Cache-Control: no-store", CACHE_REMOVE, 0},
	{"9111 5.2.2.7", "", "Cache-Control: max-age=60", "Cache-Control: private, max-age=60",
	 CACHE_REMOVE, 0},
	{"9111 4.1", "", "Cache-Control: max-age=60", "Vary: *", CACHE_REMOVE, 0},
	/* One client's wish, or credentials, leave the others what they had. */
	{"9111 5.2.1.5", "Cache-Control: no-store", "Cache-Control: max-age=60", "", CACHE_LEAVE, 60},
	{"9111 3.5", "Authorization: Basic eA==", "Cache-Control: max-age=60", "", CACHE_LEAVE, 60},
	{"9111 3.5", "Authorization: Basic eA==", "Cache-Control: max-age=60",
	 "Cache-Control: public, max-age=30", CACHE_UPDATE, 30},
	{"9111 5.2.2.5", "Cache-Control: no-store", "Cache-Control: max-age=60",
	 "Cache-Control: no-store", CACHE_LEAVE, 0},
	/* A cookie comes in only with a lifetime of the 304's own. */
	{"9111 7.3", "", "Cache-Control: max-age=60", "Set-Cookie: a=b", CACHE_UPDATE, 60},
	{"9213 2.2", "", "Cache-Control: max-age=60", "CDN-Cache-Control: max-age=9", CACHE_UPDATE, 9},
	{"9213 2.2", "", "CDN-Cache-Control: max-age=60", "Cache-Control: no-store", CACHE_UPDATE,
	 60},
	{"9213 2.2", "", "Cache-Control: max-age=60", "CDN-Cache-Control: no-store", CACHE_REMOVE, 0},
};

START_TEST(fate)
{
	static char *targets[] = {(char *)"CDN-Cache-Control"};
	struct cache_options o = head_options();
	struct head_text req, stored, res304;
	struct cache_meta meta, was = {0};
	struct buf out;
	int got;

	o.targeted_fields = (struct option_list){targets, 1};
	buf_init(&out, 4096);
	got = cache_freshen(&o, head_request(&req, "GET", fate_rows[_i].req),
	                    head_response(&stored, 200, fate_rows[_i].stored), &was,
	                    head_response(&res304, 304, fate_rows[_i].res304), NOW, NOW, 7, &out,
	                    &meta);
	ck_assert_msg(got == (int)fate_rows[_i].fate, "%s: \"%s\" by \"%s\" to \"%s\": %d",
	              fate_rows[_i].clause, fate_rows[_i].stored, fate_rows[_i].res304,
	              fate_rows[_i].req, got);
	ck_assert_uint_eq(meta.lifetime, fate_rows[_i].lifetime);
	ck_assert_int_eq((meta.flags & CACHE_F_NO_CACHE) != 0, got != CACHE_UPDATE);
	head_end(&req);
	head_end(&stored);
	head_end(&res304);
	buf_fini(&out);
}
END_TEST

/* RFC 9111 §4.3.5 */
static const struct {
	const char *stored, *res;
	bool selects;
	uint32_t flags;
} head_rows[] = {
	{"ETag: \"a\"", "ETag: \"a\"\nContent-Length: 7", true, 0},
	{"ETag: \"a\"", "ETag: \"a\"", true, 0},
	{"ETag: \"a\"", "", true, 0},
	{"ETag: \"a\"", "Content-Length: 7", true, 0},
	{"", "", true, 0},
	{"ETag: \"a\"", "ETag: \"a\"\nContent-Length: 8", false, 0},
	{"ETag: \"a\"", "ETag: \"a\"\nContent-Length: x", false, 0},
	{"ETag: \"a\"", "ETag: \"a\"\nContent-Length: 7\nContent-Length: 8", false, 0},
	{"ETag: \"a\"", "ETag: \"b\"", false, 0},
	{"ETag: \"a\"", "ETag: W/\"a\"", false, 0},
	{"ETag: W/\"a\"", "ETag: W/\"a\"", true, 0},
	{"", "ETag: \"a\"", false, 0},
	{"ETag: \"a\"", "ETag: \"a\"\nETag: \"b\"", false, 0},
	{"Last-Modified: " SAME, "Last-Modified: " SAME, true, 0},
	{"Last-Modified: " SAME, "Last-Modified: " LATER, false, 0},
	{"ETag: \"a\"\nLast-Modified: " SAME, "ETag: \"a\"\nLast-Modified: " LATER, false, 0},
	{"ETag: \"a\"\nLast-Modified: " SAME, "Last-Modified: " SAME, true, 0},
	/* What has been compressed here is what the origin has without it. */
	{"ETag: W/\"a\"", "ETag: \"a\"\nContent-Length: 70", true, CACHE_F_CONTENT},
	{"ETag: W/\"a\"", "ETag: W/\"a\"\nContent-Length: 70", true, CACHE_F_CODED | CACHE_F_RECODED},
	{"ETag: W/\"a\"", "ETag: \"b\"\nContent-Length: 70", false, CACHE_F_CONTENT},
	{"ETag: W/\"a\"", "ETag: \"a\"\nContent-Length: 8", false, CACHE_F_CODED},
};

START_TEST(head_selects)
{
	struct cache_meta meta = {.flags = head_rows[_i].flags};
	struct head_text stored, res;

	ck_assert_msg(cache_head_selects(head_response(&stored, 200, head_rows[_i].stored), &meta, 7,
	                                 head_response(&res, 200, head_rows[_i].res)) ==
	                      head_rows[_i].selects,
	              "9111 4.3.5: \"%s\" and \"%s\"", head_rows[_i].stored, head_rows[_i].res);
	head_end(&stored);
	head_end(&res);
}
END_TEST

UNIT_MAIN("cache/head", tcase_add_loop_test(tc, writing, 0, ARRAY_LEN(write_rows));
	  tcase_add_test(tc, writing_without_room); tcase_add_test(tc, reason_phrase);
	  tcase_add_loop_test(tc, not_modified, 0, ARRAY_LEN(not_modified_rows));
	  tcase_add_loop_test(tc, validators, 0, ARRAY_LEN(validator_rows));
	  tcase_add_loop_test(tc, selects, 0, ARRAY_LEN(select_rows));
	  tcase_add_loop_test(tc, freshen, 0, ARRAY_LEN(freshen_rows));
	  tcase_add_test(tc, freshen_by_head);
	  tcase_add_loop_test(tc, fate, 0, ARRAY_LEN(fate_rows));
	  tcase_add_loop_test(tc, head_selects, 0, ARRAY_LEN(head_rows));)
