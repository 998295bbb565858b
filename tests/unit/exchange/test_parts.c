/* Bodies stored in part: what is asked of the origin, and what its answers do (RFC 9110 §14.4, §15.3.7, RFC 9111
 * §3.3, §3.4). */
#include <stdio.h>

#include "base/error.h"
#include "rig.h"

#define BODY   "abcdefghijklmnopqrstuvwxyz012345"
#define FROM(n) (&body_text[n])
#define TAGGED OK_HEAD "Cache-Control: max-age=60\r\nETag: \"a\"\r\nContent-Type: x/y\r\n"
#define P206   "HTTP/1.1 206 Partial Content\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n" \
	"Cache-Control: max-age=60\r\nETag: \"a\"\r\n"

static const char body_text[] = BODY, extra_text[] = "uvwxyz012345x";

static void open_rig(void)
{
	rig_open();
	rig.options.range_fill = 4;
	rig.options.finish_percent = 100;
	rig.options.finish_bytes = 0;
	fake_store.parts = true;
	fake_store.inline_max = 8;
}

/* The nth fetch brings bytes first to end − 1. */
static void bring(unsigned n, unsigned first, unsigned end)
{
	char head[512], body[64];

	snprintf(head, sizeof(head), P206 "Content-Range: bytes %u-%u/32\r\nContent-Length: %u\r\n", first, end - 1,
	         end - first);
	snprintf(body, sizeof(body), "%.*s", (int)(end - first), FROM(first));
	far_answer(n, head, body);
}

static void ask(struct peer *p, const char *range, const char *more)
{
	char lines[256];

	*p = (struct peer){.room = SIZE_MAX};
	snprintf(lines, sizeof(lines), "%s%s%s%s", range ? "Range: bytes=" : "", range ? range : "", range ? "\r\n" : "", more);
	peer_get(p, lines);
}

/* Bytes 10 to 19 are stored. */
static void setup(void)
{
	struct peer a;

	ask(&a, "10-19", "");
	ck_assert(far_asked(0, "Range: bytes=10-19"));
	ck_assert(!far_asked(0, "If-Range: \"a\""));
	bring(0, 10, 20);
	peer_got(&a, 206, "klmnopqrst");
	ck_view_eq(peer_field(&a, "Content-Range"), "bytes 10-19/32");
	ck_view_eq(peer_field(&a, "Cache-Status"), "tester; fwd=uri-miss; ttl=60; stored");
	peer_fini(&a);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 1);
	ck_assert_uint_eq(fake_store.extents, 1);
}

/* What is answered from it, and what of it is fetched. */
START_TEST(answers)
{
	static const struct {
		const char *range, *more, *fetched[2];
		unsigned status;
		const char *body, *cache;
	} rows[] = {
		{"10-19", "", {0}, 206, "klmnopqrst", "tester; hit; ttl=60"},
		{"12-13", "", {0}, 206, "mn", "tester; hit; ttl=60"},
		{"15-24", "", {"20-24"}, 206, "pqrstuvwxy", "tester; fwd=partial; ttl=60; stored"},
		{"5-12", "", {"5-9"}, 206, "fghijklm", "tester; fwd=partial; ttl=60; stored"},
		{"8-21", "", {"8-9", "20-21"}, 206, "ijklmnopqrstuv", "tester; fwd=partial; ttl=60; stored"},
		{"-4", "", {"28-31"}, 206, "2345", "tester; fwd=partial; ttl=60; stored"},
		{NULL, "", {"0-9", "20-31"}, 200, BODY, "tester; fwd=partial; ttl=60; stored"},
		/* RFC 9110 §13.1.5 */
		{"12-13", "If-Range: \"a\"\r\n", {0}, 206, "mn", "tester; hit; ttl=60"},
		{"12-13", "If-Range: \"b\"\r\n", {"0-9", "20-31"}, 200, BODY, "tester; fwd=partial; ttl=60; stored"},
		/* §13.1.2, §14.2 */
		{NULL, "If-None-Match: \"a\"\r\n", {0}, 304, "", "tester; hit; ttl=60"},
		{"0-31", "If-None-Match: \"a\"\r\n", {0}, 304, "", "tester; hit; ttl=60"},
		{"40-", "", {0}, 416, "", "tester; hit; ttl=60"},
		{"x-y", "", {"0-9", "20-31"}, 200, BODY, "tester; fwd=partial; ttl=60; stored"},
	};
	struct peer a;
	unsigned n = 0;

	setup();
	ask(&a, rows[_i].range, rows[_i].more);
	for (; n < 2 && rows[_i].fetched[n]; n++) {
		char line[64];
		unsigned first, last;

		ck_assert_uint_eq(nfars, n + 2);
		snprintf(line, sizeof(line), "Range: bytes=%s", rows[_i].fetched[n]);
		ck_assert_msg(far_asked(n + 1, line), "%s", line);
		ck_assert(far_asked(n + 1, "If-Range: \"a\""));
		ck_assert_int_eq(sscanf(rows[_i].fetched[n], "%u-%u", &first, &last), 2);
		bring(n + 1, first, last + 1);
	}
	ck_assert_uint_eq(nfars, n + 1);
	peer_got(&a, rows[_i].status, rows[_i].body);
	ck_view_eq(peer_field(&a, "Cache-Status"), rows[_i].cache);
	peer_fini(&a);
	store_settle();
	ck_assert_uint_eq(fake_store.parts_completed, n == 2 && rows[_i].status == 200);
}
END_TEST

/* The origin's answer to a request for bytes 20 to 31; the reader has been sent nothing, or bytes 15 to 19. */
START_TEST(judged)
{
	enum { SERVED, BROKEN, PASSED, FRESH_ONE, ERROR };
	static const struct {
		const char *head;
		unsigned length;
		int unsent, sent; /* what becomes of the reader */
		unsigned rows;    /* stored afterwards */
	} rows[] = {
		{P206 "Content-Range: bytes 20-31/32\r\n", 12, SERVED, SERVED, 1},
		/* another validator, weak, none; another length */
		{"HTTP/1.1 206 P\r\nETag: \"b\"\r\nContent-Range: bytes 20-31/32\r\n", 12, FRESH_ONE, BROKEN, 0},
		{"HTTP/1.1 206 P\r\nETag: W/\"a\"\r\nContent-Range: bytes 20-31/32\r\n", 12, FRESH_ONE, BROKEN, 0},
		{"HTTP/1.1 206 P\r\nContent-Range: bytes 20-31/32\r\n", 12, FRESH_ONE, BROKEN, 0},
		{P206 "Content-Range: bytes 20-31/33\r\n", 12, FRESH_ONE, BROKEN, 0},
		/* not what was asked for, or nothing that can be read */
		{P206 "Content-Range: bytes 19-30/32\r\n", 12, PASSED, BROKEN, 0},
		{P206 "Content-Range: bytes 20-32/33\r\n", 13, PASSED, BROKEN, 0},
		{P206 "Content-Range: bytes 20-30/32\r\n", 12, PASSED, BROKEN, 0},
		{P206 "Content-Range: bytes */32\r\n", 12, PASSED, BROKEN, 0},
		{P206 "Content-Range: x 20-31/32\r\n", 12, PASSED, BROKEN, 0},
		{P206 "Content-Range: bytes 20-31/32\r\nContent-Range: bytes 0-11/32\r\n", 12, PASSED, BROKEN, 0},
		{P206 "Content-Type: multipart/byteranges; boundary=x\r\n", 12, PASSED, BROKEN, 0},
		{P206 "Content-Range: bytes 20-31/*\r\n", 12, FRESH_ONE, BROKEN, 0},
		/* RFC 9111 §3: what may be stored no longer, neither it nor what is stored of the same */
		{"HTTP/1.1 206 P\r\nCache-Control: no-store\r\nETag: \"a\"\r\nContent-Range: bytes 20-31/32\r\n", 12, PASSED, BROKEN, 0},
		{"HTTP/1.1 206 P\r\nCache-Control: private\r\nETag: \"a\"\r\nContent-Range: bytes 22-31/32\r\n", 10, PASSED, BROKEN, 0},
		{OK_HEAD "Cache-Control: no-store\r\nETag: \"a\"\r\n", 32, FRESH_ONE, BROKEN, 0},
		/* the whole of the same, of another one */
		{TAGGED, 32, SERVED, SERVED, 1},
		{OK_HEAD "Cache-Control: max-age=60\r\nETag: \"b\"\r\n", 32, FRESH_ONE, BROKEN, 0},
		/* gone, refused */
		{"HTTP/1.1 416 No\r\nContent-Range: bytes */10\r\n", 0, FRESH_ONE, BROKEN, 0},
		{"HTTP/1.1 404 No\r\n", 0, FRESH_ONE, BROKEN, 0},
		{"HTTP/1.1 403 No\r\n", 0, PASSED, BROKEN, 1},
		{"HTTP/1.1 503 No\r\n", 0, PASSED, BROKEN, 1},
		{NULL, 0, ERROR, BROKEN, 1},
	};
	bool sent = _i % 2;
	int want = sent ? rows[_i / 2].sent : rows[_i / 2].unsent, err;
	char head[512];
	struct peer a;

	setup();
	ask(&a, sent ? "15-31" : "20-31", "");
	ck_assert_uint_eq(nfars, 2);
	ck_assert_uint_eq(a.status, sent ? 206 : 0);
	if (rows[_i / 2].head) {
		snprintf(head, sizeof(head), "%sContent-Length: %u\r\n", rows[_i / 2].head, rows[_i / 2].length);
		err = far_head(1, head);
		if (err == 0 && rows[_i / 2].length && !far(1)->cancelled)
			err = far_data(1, rows[_i / 2].length == 32 ? BODY : extra_text);
		if (!far(1)->cancelled && !far(1)->done)
			far_done(1, 0);
	} else {
		far_done(1, LARDER_ECONNECT);
		ck_assert_uint_eq(nfars, 3); /* it is tried once more */
		far_done(2, LARDER_ECONNECT);
	}
	switch (want) {
	case SERVED:
		ck_assert_uint_eq(nfars, 2);
		peer_got(&a, 206, sent ? FROM(15) : FROM(20));
		break;
	case BROKEN:
		ck_assert(a.aborted && !a.ended);
		ck_view_eq(buf_view(&a.body), "pqrst");
		break;
	case PASSED:
		ck_assert_uint_eq(nfars, 3);
		ck_assert(far_asked(2, "Range: bytes=20-31"));
		far_answer(2, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n", "no");
		peer_got(&a, 403, "no");
		break;
	case FRESH_ONE:
		ck_assert_uint_eq(nfars, 3);
		ck_assert(!far_asked(2, "If-Range: \"a\""));
		far_answer(2, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n", "no");
		peer_got(&a, 404, "no");
		break;
	case ERROR:
		ck_assert_uint_eq(a.status, 502);
		break;
	}
	peer_fini(&a);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, rows[_i / 2].rows);
}
END_TEST

/* The new whole is for all who have been sent nothing, and is stored. */
START_TEST(changed)
{
	struct peer a, b;

	setup();
	ask(&a, NULL, "");
	ask(&b, "2-5", "");
	ck_assert_uint_eq(nfars, 2);
	ck_assert(far_asked(1, "Range: bytes=0-9"));
	far_answer(1, OK_HEAD "Cache-Control: max-age=60\r\nETag: \"b\"\r\nContent-Length: 12\r\n", "ABCDEFGHIJKL");
	peer_got(&a, 200, "ABCDEFGHIJKL");
	peer_got(&b, 206, "CDEF");
	peer_fini(&a), peer_fini(&b);
	store_settle();
	ck_assert_uint_eq(nfars, 2);
	ck_assert_uint_eq(fake_store.nrows, 1);
	ask(&a, "10-11", "");
	peer_got(&a, 206, "KL");
	peer_fini(&a);
}
END_TEST

/* What a 206 that answers the first range must be to be kept. */
START_TEST(opened)
{
	static const struct {
		const char *head;
		bool kept;
	} rows[] = {
		{P206 "Content-Range: bytes 10-19/32\r\n", true},
		{"HTTP/1.1 206 P\r\nCache-Control: max-age=9\r\nETag: W/\"a\"\r\nContent-Range: bytes 10-19/32\r\n", false},
		{"HTTP/1.1 206 P\r\nCache-Control: max-age=9\r\nContent-Range: bytes 10-19/32\r\n", false},
		/* RFC 9110 §8.8.2.2 */
		{"HTTP/1.1 206 P\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nLast-Modified: Wed, 31 Dec 2025 00:00:00 GMT\r\n"
		 "Content-Range: bytes 10-19/32\r\n", true},
		{"HTTP/1.1 206 P\r\nLast-Modified: Wed, 31 Dec 2025 00:00:00 GMT\r\nCache-Control: max-age=9\r\n"
		 "Content-Range: bytes 10-19/32\r\n", false},
		{"HTTP/1.1 206 P\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
		 "Cache-Control: max-age=9\r\nContent-Range: bytes 10-19/32\r\n", false},
		{P206 "Content-Range: bytes 10-19/*\r\n", false},
		{P206 "Content-Range: bytes 10-18/32\r\n", false},
		{P206 "Content-Range: bytes 11-20/32\r\n", false},
		{P206 "Content-Range: bytes 0-9/32\r\n", false},
		{P206 "Content-Range: bytes 11-19/32\r\n", false},
		{P206, false},
		{"HTTP/1.1 206 P\r\nCache-Control: private\r\nETag: \"a\"\r\nContent-Range: bytes 10-19/32\r\n", false},
		{"HTTP/1.1 206 P\r\nCache-Control: no-store\r\nETag: \"a\"\r\nContent-Range: bytes 10-19/32\r\n", false},
		{P206 "Vary: *\r\nContent-Range: bytes 10-19/32\r\n", false},
		{P206 "Set-Cookie: a=b\r\nContent-Range: bytes 10-19/32\r\n", false},
		{P206 "Vary: Accept\r\nContent-Range: bytes 10-19/32\r\n", true},
		/* no longer than what is kept inline */
		{P206 "Content-Range: bytes 0-7/8\r\n", false},
	};
	struct peer a, b;
	char head[512];

	ask(&a, "10-19", "");
	snprintf(head, sizeof(head), "%sContent-Length: 10\r\n", rows[_i].head);
	far_answer(0, head, "klmnopqrst");
	peer_got(&a, 206, "klmnopqrst");
	peer_fini(&a);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, rows[_i].kept);
	ask(&b, "10-19", "");
	ck_assert_uint_eq(nfars, rows[_i].kept ? 1 : 2);
	if (nfars == 2) {
		far_answer(1, head, "klmnopqrst");
		store_settle();
		ck_assert_uint_eq(fake_store.nrows, 0);
	}
	peer_got(&b, 206, "klmnopqrst");
	peer_fini(&b);
}
END_TEST

/* Readers of one hole share its fetch; who is far ahead has one of its own, and the first ends there. */
START_TEST(shared)
{
	struct peer a, b, c;

	setup();
	ask(&a, "20-31", "");
	ask(&b, "22-25", "");
	ck_assert_uint_eq(nfars, 2);
	ask(&c, "28-31", "");
	ck_assert_uint_eq(nfars, 3);
	ck_assert(far_asked(2, "Range: bytes=28-31"));
	bring(2, 28, 32);
	peer_got(&c, 206, "2345");
	ck_assert_int_eq(far_head(1, P206 "Content-Range: bytes 20-31/32\r\nContent-Length: 12\r\n"), 0);
	ck_assert_int_eq(far_data(1, "uvwx"), 0);
	ck_view_eq(buf_view(&b.body), "wx");
	ck_assert_int_lt(far_data(1, "yz012345"), 0); /* 28 to 31 are there */
	peer_got(&b, 206, "wxyz");
	peer_got(&a, 206, FROM(20));
	ck_assert(peer_has(&b, "; collapsed"));
	peer_fini(&a), peer_fini(&b), peer_fini(&c);
	store_settle();
	ck_assert_uint_eq(nfars, 3);
	ck_assert_uint_eq(fake_store.nrows, 1);
}
END_TEST

/* Those who come while the first range is fetched wait for its head, and then read the part. */
START_TEST(joined)
{
	struct peer a, b, c;

	ask(&a, "10-19", "");
	ask(&b, "13-21", "");
	ck_assert_uint_eq(nfars, 1);
	ck_assert_int_eq(far_head(0, P206 "Content-Range: bytes 10-19/32\r\nContent-Length: 10\r\n"), 0);
	ck_assert_int_eq(far_data(0, "klmnopqr"), 0);
	ask(&c, "10-11", "");
	peer_got(&c, 206, "kl");
	ck_assert_int_eq(far_data(0, "st"), 0);
	far_done(0, 0);
	ck_assert_uint_eq(nfars, 2);
	ck_assert(far_asked(1, "Range: bytes=20-21"));
	bring(1, 20, 22);
	peer_got(&a, 206, "klmnopqrst");
	peer_got(&b, 206, "nopqrstuv");
	peer_fini(&a), peer_fini(&b), peer_fini(&c);
	store_settle();
	ck_assert_uint_eq(fake_store.extents, 2);
}
END_TEST

/* A fetch that breaks off leaves what came; the next one goes on from there. */
START_TEST(kept)
{
	struct peer a, b, c;

	ask(&a, NULL, "");
	ck_assert_int_eq(far_head(0, TAGGED "Content-Length: 32\r\n"), 0);
	ck_assert_int_eq(far_data(0, "abcdefghijklmnop"), 0);
	if (_i == 0) {
		far_done(0, LARDER_EPROTO);
		ck_assert(a.aborted);
	} else {
		peer_leave(&a);
		ck_assert(far(0)->cancelled);
	}
	ask(&b, NULL, ""); /* before it is stored */
	ck_assert_uint_eq(nfars, 1);
	store_settle();
	ck_assert_uint_eq(rig.stats.kept, 1);
	ck_assert_uint_eq(nfars, 2);
	ck_assert(far_asked(1, "Range: bytes=16-31"));
	bring(1, 16, 32);
	peer_got(&b, 200, BODY);
	ask(&c, "0-3", "");
	peer_got(&c, 206, "abcd");
	ck_assert_uint_eq(nfars, 2);
	peer_fini(&a), peer_fini(&b), peer_fini(&c);
	store_settle();
	ck_assert_uint_eq(fake_store.parts_completed, 1);
}
END_TEST

/* Whatever else may not be put together later is not kept. */
START_TEST(not_kept)
{
	static const char *const heads[] = {OK_HEAD "Cache-Control: max-age=60\r\n",
		OK_HEAD "Cache-Control: max-age=60\r\nETag: W/\"a\"\r\n",
		OK_HEAD "Cache-Control: no-store\r\nETag: \"a\"\r\n",
		OK_HEAD "Cache-Control: max-age=60\r\nETag: \"a\"\r\nAccept-Ranges: none\r\n",
		"HTTP/1.1 404 No\r\nCache-Control: max-age=60\r\nETag: \"a\"\r\n",
	};
	struct peer a;
	char head[512];

	ask(&a, NULL, "");
	snprintf(head, sizeof(head), "%sContent-Length: 32\r\n", heads[_i]);
	far_head(0, head);
	far_data(0, "abcdefghijklmnop");
	far_done(0, LARDER_EPROTO);
	ck_assert(a.aborted);
	peer_fini(&a);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 0);
}
END_TEST

/* The readers leave: the fetch ends, what came is recorded. */
START_TEST(left)
{
	struct peer a, b;

	setup();
	ask(&a, "20-31", "");
	ck_assert_int_eq(far_head(1, P206 "Content-Range: bytes 20-31/32\r\nContent-Length: 12\r\n"), 0);
	ck_assert_int_eq(far_data(1, "uvwx"), 0);
	if (_i == 1)
		rig.options.finish_percent = 3;
	peer_leave(&a);
	ck_assert_int_eq(far(1)->cancelled, _i == 0);
	if (_i == 1) {
		ck_assert_int_eq(far_data(1, "yz012345"), 0);
		far_done(1, 0);
	}
	peer_fini(&a);
	store_settle();
	ask(&b, "20-31", "");
	ck_assert_uint_eq(nfars, _i == 0 ? 3 : 2);
	if (_i == 0) {
		ck_assert(far_asked(2, "Range: bytes=24-31"));
		bring(2, 24, 32);
	}
	peer_got(&b, 206, FROM(20));
	peer_fini(&b);
}
END_TEST

/* Directives of requests (RFC 9111 §5.2.1). */
START_TEST(directives)
{
	static const struct {
		const char *line;
		unsigned status;
		const char *asked;
	} rows[] = {
		{"Cache-Control: only-if-cached\r\n", 504, NULL},
		{"Cache-Control: no-store\r\n", 206, "Range: bytes=20-21"},
		{"Cache-Control: no-cache\r\n", 206, "If-None-Match: \"a\""},
	};
	struct peer a;

	setup();
	ask(&a, "20-21", rows[_i].line);
	if (_i == 1) {
		ck_assert(!far_asked(1, "If-Range: \"a\""));
		bring(1, 20, 22);
	}
	if (_i == 2) {
		ck_assert(!far_asked(1, "Range: bytes=20-21"));
		far_answer(1, "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n", "");
		ck_assert(far_asked(2, "Range: bytes=20-21"));
		bring(2, 20, 22);
	}
	if (rows[_i].asked)
		ck_assert(far_asked(1, rows[_i].asked));
	ck_assert_uint_eq(a.status, rows[_i].status);
	if (a.status == 206)
		peer_got(&a, 206, "uv");
	peer_fini(&a);
	store_settle();
	ck_assert_uint_eq(fake_store.extents, _i == 2 ? 2 : 1);
}
END_TEST

/* An unsafe request outdates what is stored, and what is being put there (RFC 9111 §4.4). */
START_TEST(invalidated)
{
	struct peer a, b, c;

	setup();
	ask(&a, "20-25", "");
	ck_assert_int_eq(far_head(1, P206 "Content-Range: bytes 20-25/32\r\nContent-Length: 6\r\n"), 0);
	c = (struct peer){.room = SIZE_MAX};
	peer_ask(&c, &rig.forward, "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n");
	far_head(2, OK_HEAD "Content-Length: 2\r\n");
	ck_assert_int_eq(far_data(1, "uvwxyz"), 0);
	far_done(1, 0);
	store_settle();
	far_data(2, "ok");
	far_done(2, 0);
	peer_got(&c, 200, "ok");
	peer_got(&a, 206, "uvwxyz");
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 0);
	ask(&b, "20-25", "");
	bring(3, 20, 26);
	peer_got(&b, 206, "uvwxyz");
	peer_fini(&a), peer_fini(&b), peer_fini(&c);
}
END_TEST

/* A disk that fails: those who wait are served without it. */
START_TEST(disk_fails)
{
	struct peer a;

	setup();
	fake_store.broken = true;
	ask(&a, "20-25", "");
	ck_assert_int_eq(far_head(1, P206 "Content-Range: bytes 20-25/32\r\nContent-Length: 6\r\n"), 0);
	ck_assert_int_lt(far_data(1, "uvwxyz"), 0);
	ck_assert_uint_eq(nfars, 3);
	bring(2, 20, 26);
	peer_got(&a, 206, "uvwxyz");
	peer_fini(&a);
	store_settle();
	ck_assert_uint_eq(fake_store.extents, 1);
}
END_TEST

/* ---- Two processes ---- */

static void other_ask(struct peer *p, const char *range)
{
	rig_swap();
	ask(p, range, "");
	rig_swap();
}

static void stop_loop(struct net_timer *t)
{
	(void)t;
	net_loop_stop(rig.loop);
}

static void pass(uint64_t ms)
{
	struct net_timer t;

	net_timer_init(&t, rig.loop, stop_loop);
	net_timer_set(&t, ms);
	INTO(net_loop_run(rig.loop));
}

static void wait_for(struct peer *p)
{
	for (int i = 0; i < 500 && !p->ended; i++)
		pass(10);
}

START_TEST(across_processes)
{
	struct peer a, b;

	rig_open_pool();
	rig.options.range_fill = 4;
	fake_store.parts = true;
	fake_store.inline_max = 8;
	if (_i == 0) {
		/* the second comes before the part is there */
		ask(&a, "10-19", "");
		other_ask(&b, "14-16");
		rig_settle();
		ck_assert_uint_eq(nfars, 1);
		ck_assert_int_eq(far_head(0, P206 "Content-Range: bytes 10-19/32\r\nContent-Length: 10\r\n"), 0);
		store_settle();
		rig_settle();
		ck_assert_int_eq(far_data(0, "klmnopqrst"), 0);
		far_done(0, 0);
		wait_for(&b);
		peer_got(&b, 206, "opq");
	} else {
		setup();
		rig.options.range_fill = _i == 2 ? 2 : 20;
		ask(&a, "20-31", "");
		other_ask(&b, "26-29");
		if (_i == 2) { /* too far: it fetches by itself, and the first stops there */
			ck_assert_uint_eq(nfars, 3);
			ck_assert(far_asked(2, "Range: bytes=26-29"));
			bring(2, 26, 30);
		}
		ck_assert_int_eq(far_head(1, P206 "Content-Range: bytes 20-31/32\r\nContent-Length: 12\r\n"), 0);
		ck_assert_int_eq(far_data(1, "uvwxyz") < 0, _i == 2);
		if (_i == 1) {
			ck_assert_uint_eq(nfars, 2);
			ck_assert_int_eq(far_data(1, "012345"), 0);
			far_done(1, 0);
		} else {
			store_settle();
			pass(30);
			ck_assert_uint_eq(nfars, 4);
			ck_assert(far_asked(3, "Range: bytes=30-31"));
			bring(3, 30, 32);
		}
		wait_for(&b);
		peer_got(&b, 206, "0123");
		peer_got(&a, 206, FROM(20));
	}
	peer_fini(&a), peer_fini(&b);
	store_settle();
	rig_settle();
	ck_assert_uint_eq(fake_store.nrows, 1);
	rig_close();
}
END_TEST

UNIT_MAIN("exchange/parts", tcase_add_checked_fixture(tc, open_rig, rig_close);
          tcase_add_loop_test(tc, answers, 0, 13); tcase_add_loop_test(tc, judged, 0, 46);
          tcase_add_test(tc, changed); tcase_add_loop_test(tc, opened, 0, 18); tcase_add_test(tc, shared);
          tcase_add_test(tc, joined); tcase_add_loop_test(tc, kept, 0, 2);
          tcase_add_loop_test(tc, not_kept, 0, 5); tcase_add_loop_test(tc, left, 0, 2);
          tcase_add_loop_test(tc, directives, 0, 3); tcase_add_test(tc, invalidated);
          tcase_add_test(tc, disk_fails);
          suite_add_tcase(suite, tc); tc = tcase_create("pool"); tcase_set_timeout(tc, 60);
          tcase_add_loop_test(tc, across_processes, 0, 3);)
