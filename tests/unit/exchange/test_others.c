/* What an answer does to responses that are stored already: freshening, removal, choice among variants. */
#include "rig.h"

#include <string.h>

#include "base/error.h"

#define GET     "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n"
#define HEAD    "HEAD http://a.example/x HTTP/1.1\r\nHost: a.example\r\n"
#define POST    "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n"
#define KEPT    OK_HEAD "Cache-Control: max-age=10\r\nETag: \"a\"\r\nContent-Length: 3\r\n"
#define LATER_H "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:20 GMT\r\n"
#define NOT_MOD "HTTP/1.1 304 Not Modified\r\nDate: Thu, 01 Jan 2026 00:00:20 GMT\r\n"

static unsigned settled(void)
{
	store_settle();
	return fake_store.nrows;
}

/* The nth transfer answers one request. */
static void exchange(const char *ask, unsigned n, const char *head, const char *body, unsigned status,
                     const char *got)
{
	struct peer p = {0};

	peer_ask(&p, &rig.forward, ask);
	ck_assert_uint_eq(nfars, n + 1);
	far_answer(n, head, body);
	store_settle();
	peer_got(&p, status, got);
	peer_fini(&p);
}

/* Answered without asking anybody. */
static void hit(const char *ask, const char *body, const char *cache_status)
{
	struct peer p = {0};
	unsigned before = nfars;

	peer_ask(&p, &rig.forward, ask);
	ck_assert_msg(nfars == before, "the origin was asked: %s", ask);
	peer_got(&p, 200, body);
	if (cache_status)
		ck_view_eq(peer_field(&p, "Cache-Status"), cache_status);
	peer_fini(&p);
}

/* ---- What may not be kept any longer (RFC 9111 §4.3.3, §5.2.2.5) ---- */

START_TEST(outdated)
{
	static const struct {
		const char *ask, *answer;
		bool stays;
		unsigned updates;
	} rows[] = {
		{GET, LATER_H "Cache-Control: no-store\r\nContent-Length: 3\r\n", false, 0},
		{GET, LATER_H "Cache-Control: private\r\nContent-Length: 3\r\n", false, 0},
		{GET, LATER_H "Content-Length: 3\r\n", false, 0},
		{GET, LATER_H "Vary: *\r\nContent-Length: 3\r\n", false, 0},
		{GET, "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n", false, 0},
		{GET, "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n", false, 0},
		{GET, NOT_MOD "Cache-Control: no-store\r\n", false, 0},
		{GET, NOT_MOD "Cache-Control: private, max-age=60\r\n", false, 0},
		{GET, NOT_MOD, true, 1},
		{GET, LATER_H "Cache-Control: max-age=10\r\nContent-Length: 3\r\n", true, 0},
		/* not now, not for this client, or not by its wish */
		{GET, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 3\r\n", true, 0},
		{GET, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n", true, 0},
		{GET "Authorization: Basic eA==\r\n", LATER_H "Cache-Control: max-age=10\r\nContent-Length: 3\r\n",
		 true, 0},
		{GET "Authorization: Basic eA==\r\n", NOT_MOD, true, 0},
		{GET "Authorization: Basic eA==\r\n", NOT_MOD "Cache-Control: public, max-age=5\r\n", true, 1},
		{GET "Cache-Control: no-store\r\n", NOT_MOD, true, 0},
		{GET "Cache-Control: no-store\r\n", LATER_H "Cache-Control: no-store\r\nContent-Length: 3\r\n", true,
		 0},
	};
	bool confirmed = strstr(rows[_i].answer, " 304 ") != NULL;
	struct peer p = {0};

	exchange(GET, 0, KEPT, "old", 200, "old");
	rig.now += 20;
	peer_ask(&p, &rig.forward, rows[_i].ask);
	far_answer(1, rows[_i].answer, confirmed ? "" : "new");
	ck_view_eq(buf_view(&p.body), confirmed ? "old" : "new");
	peer_fini(&p);
	ck_assert_uint_eq(settled(), rows[_i].stays ? 1 : 0);
	ck_assert_uint_eq(fake_store.updates, rows[_i].updates);
}
END_TEST

/* Of variants only the one that was asked for goes. */
START_TEST(outdated_variant)
{
	exchange(GET "X-A: 1\r\n", 0, KEPT "Vary: X-A\r\n", "one", 200, "one");
	exchange(GET "X-A: 2\r\n", 1, OK_HEAD "Cache-Control: max-age=100\r\nVary: X-A\r\nContent-Length: 3\r\n",
	         "two", 200, "two");
	rig.now += 20;
	exchange(GET "X-A: 1\r\n", 2, LATER_H "Cache-Control: no-store\r\nContent-Length: 3\r\n", "new", 200, "new");
	ck_assert_uint_eq(fake_store.nrows, 1);
	hit(GET "X-A: 2\r\n", "two", "tester; hit; ttl=80");
}
END_TEST

/* What is freshened with a Vary is found, and found fresh, afterwards (RFC 9111 §4.3.4). */
START_TEST(fresh_variant)
{
	exchange(GET "X-A: 1\r\n", 0, KEPT "Vary: X-A\r\n", "one", 200, "one");
	rig.now += 20;
	exchange(GET "X-A: 1\r\n", 1, NOT_MOD "Cache-Control: max-age=50\r\n", "", 200, "one");
	ck_assert_uint_eq(fake_store.updates, 1);
	hit(GET "X-A: 1\r\n", "one", "tester; hit; ttl=50");
}
END_TEST

/* Several Vary lists under one URL: of what matches the most recent by Date (RFC 9111 §4.1). */
START_TEST(several_lists)
{
	exchange(GET "X-A: 1\r\nX-B: 1\r\n", 0,
	         OK_HEAD "Cache-Control: max-age=100\r\nVary: X-A\r\nContent-Length: 3\r\n", "one", 200, "one");
	rig.now += 20;
	exchange(GET "X-A: 2\r\nX-B: 1\r\n", 1,
	         LATER_H "Cache-Control: max-age=100\r\nVary: X-B\r\nContent-Length: 3\r\n", "two", 200, "two");
	/* Both match. */
	hit(GET "X-A: 1\r\nX-B: 1\r\n", "two", "tester; hit; ttl=100");
	/* One of them. */
	hit(GET "X-A: 1\r\nX-B: 2\r\n", "one", "tester; hit; ttl=80");
	hit(GET "X-A: 9\r\nX-B: 1\r\n", "two", NULL);
	/* None: it is not of the order that they came in. */
	exchange(GET "X-A: 3\r\nX-B: 3\r\n", 2,
	         OK_HEAD "Cache-Control: max-age=100\r\nVary: X-A\r\nContent-Length: 3\r\n", "old", 200, "old");
	exchange(GET "X-A: 4\r\nX-B: 3\r\n", 3,
	         LATER_H "Cache-Control: max-age=100\r\nVary: X-B\r\nContent-Length: 3\r\n", "new", 200, "new");
	hit(GET "X-A: 3\r\nX-B: 3\r\n", "new", NULL);
	ck_assert_uint_eq(fake_store.hits, 0);
}
END_TEST

/* The later of two that match has the earlier Date, and is not used. */
START_TEST(date_decides)
{
	rig.now += 20;
	exchange(GET "X-A: 1\r\nX-B: 1\r\n", 0,
	         LATER_H "Cache-Control: max-age=100\r\nVary: X-A\r\nContent-Length: 3\r\n", "new", 200, "new");
	exchange(GET "X-A: 2\r\nX-B: 1\r\n", 1,
	         OK_HEAD "Cache-Control: max-age=100\r\nVary: X-B\r\nContent-Length: 3\r\n", "old", 200, "old");
	hit(GET "X-A: 1\r\nX-B: 1\r\n", "new", "tester; hit; ttl=100");
	hit(GET "X-A: 3\r\nX-B: 1\r\n", "old", "tester; hit; ttl=80");
	ck_assert_uint_eq(fake_store.hits, 0);
}
END_TEST

/* ---- HEAD (RFC 9111 §4.3.5) ---- */

START_TEST(by_head)
{
	static const struct {
		const char *answer;
		enum { FRESH, STALE, UNTOUCHED, GONE } then;
	} rows[] = {
		{LATER_H "ETag: \"a\"\r\nContent-Length: 3\r\nCache-Control: max-age=30\r\n", FRESH},
		{LATER_H "ETag: \"a\"\r\nCache-Control: max-age=30\r\n", FRESH},
		{LATER_H "Cache-Control: max-age=30\r\n", FRESH},
		{LATER_H "ETag: \"b\"\r\nContent-Length: 3\r\nCache-Control: max-age=30\r\n", STALE},
		{LATER_H "ETag: \"a\"\r\nContent-Length: 4\r\nCache-Control: max-age=30\r\n", STALE},
		{LATER_H "ETag: \"a\"\r\nCache-Control: no-store\r\n", GONE},
		{"HTTP/1.1 404 Not Found\r\nETag: \"b\"\r\n", UNTOUCHED},
		{"HTTP/1.1 500 Oops\r\n", UNTOUCHED},
	};
	const char *vary = _i % 2 ? "Vary: X-A\r\n" : "";
	struct buf b;
	struct peer p = {0};
	unsigned row = (unsigned)_i / 2;

	buf_init(&b, 4096);
	buf_printf(&b, OK_HEAD "Cache-Control: max-age=100\r\nETag: \"a\"\r\nContent-Length: 3\r\n%s", vary);
	exchange(GET "X-A: 1\r\n", 0, buf_cstr(&b), "old", 200, "old");
	rig.now += 20;
	/* Fresh, but this one does not want it unasked. */
	exchange(HEAD "X-A: 1\r\nCache-Control: no-cache\r\n", 1, rows[row].answer, "",
	         rows[row].then == UNTOUCHED ? (strstr(rows[row].answer, "404") ? 404 : 500) : 200, "");
	ck_assert_uint_eq(fake_store.nrows, rows[row].then != GONE);
	if (rows[row].then == FRESH)
		hit(GET "X-A: 1\r\n", "old", "tester; hit; ttl=30");
	else if (rows[row].then == UNTOUCHED)
		hit(GET "X-A: 1\r\n", "old", "tester; hit; ttl=80");
	if (rows[row].then == STALE) {
		peer_ask(&p, &rig.forward, GET "X-A: 1\r\n");
		ck_assert(far_asked(2, "If-None-Match: \"a\""));
		far_answer(2, NOT_MOD "ETag: \"a\"\r\n", "");
		peer_got(&p, 200, "old");
		peer_fini(&p);
		store_settle();
	}
	buf_fini(&b);
}
END_TEST

/* ---- POST (RFC 9110 §9.3.3) ---- */

START_TEST(post_answers_get)
{
	static const struct {
		const char *fields;
		bool stored;
	} rows[] = {
		{"Cache-Control: max-age=60\r\nContent-Location: /x\r\n", true},
		{"Cache-Control: max-age=60\r\nContent-Location: http://A.example:80/./x\r\n", true},
		{"Cache-Control: max-age=60\r\nContent-Location: x\r\n", true},
		{"Cache-Control: max-age=60\r\nContent-Location: /y\r\n", false},
		{"Cache-Control: max-age=60\r\nContent-Location: https://a.example/x\r\n", false},
		{"Cache-Control: max-age=60\r\nContent-Location: http://b.example/x\r\n", false},
		{"Cache-Control: max-age=60\r\n", false},
		{"Content-Location: /x\r\n", false},
		{"Cache-Control: max-age=60, no-store\r\nContent-Location: /x\r\n", false},
		{"Cache-Control: max-age=60, private\r\nContent-Location: /x\r\n", false},
	};
	struct peer p = {0};
	struct buf b;

	/* What is there goes, in any case (RFC 9111 §4.4). */
	exchange(GET, 0, KEPT, "old", 200, "old");
	buf_init(&b, 4096);
	buf_printf(&b, LATER_H "Content-Length: 3\r\n%s", rows[_i].fields);
	peer_ask(&p, &rig.forward, POST "Range: bytes=0-0\r\n");
	far_head(1, buf_cstr(&b));
	far_data(1, "new");
	ck_assert_uint_eq(p.replies, 0);
	store_settle();
	far_done(1, 0);
	peer_got(&p, 200, "new");
	peer_fini(&p);
	buf_fini(&b);
	ck_assert_uint_eq(settled(), rows[_i].stored);
	if (rows[_i].stored) {
		hit(GET, "new", NULL);
		hit(HEAD, "", NULL);
	}
	/* No POST is ever answered so. */
	exchange(POST, 2, LATER_H "Content-Length: 5\r\n", "third", 200, "third");
	ck_assert_uint_eq(settled(), 0);
}
END_TEST

/* Another unsafe request while it comes: it is not stored. */
START_TEST(post_is_invalidated)
{
	struct peer a = {0}, b = {0};

	peer_ask(&a, &rig.forward, POST);
	far_head(0, LATER_H "Content-Length: 3\r\nCache-Control: max-age=60\r\nContent-Location: /x\r\n");
	store_settle();
	peer_ask(&b, &rig.forward, POST);
	far_answer(1, "HTTP/1.1 204 No Content\r\n", "");
	store_settle();
	far_data(0, "new");
	far_done(0, 0);
	peer_got(&a, 200, "new");
	peer_fini(&a);
	peer_fini(&b);
	ck_assert_uint_eq(settled(), 0);
}
END_TEST

/* RFC 9111 §5.2.1.7 */
START_TEST(post_only_if_cached)
{
	struct peer p = {0};

	peer_ask(&p, &rig.forward, POST "Cache-Control: only-if-cached\r\n");
	ck_assert_uint_eq(nfars, 0);
	ck_assert_uint_eq(p.status, 504);
	peer_fini(&p);
}
END_TEST

/* ---- Variants that the origin is asked about (RFC 9111 §4.3.1) ---- */

#define V1 OK_HEAD "Cache-Control: max-age=100\r\nVary: X-A\r\nETag: \"1\"\r\nContent-Length: 3\r\n"
#define V2 OK_HEAD "Cache-Control: max-age=100\r\nVary: X-A\r\nETag: W/\"2\"\r\nContent-Length: 3\r\n"

static void two_variants(void)
{
	exchange(GET "X-A: 1\r\n", 0, V1, "one", 200, "one");
	exchange(GET "X-A: 2\r\n", 1, V2, "two", 200, "two");
	ck_assert(far_asked(1, "If-None-Match: \"1\""));
	rig.now += 20;
}

START_TEST(chosen)
{
	static const struct {
		const char *tag, *body;
	} rows[] = {
		{"\"1\"", "one"},
		{"W/\"2\"", "two"},
	};
	struct buf b;

	fake_store.files = _i % 2;
	two_variants();
	buf_init(&b, 4096);
	buf_printf(&b, NOT_MOD "Cache-Control: max-age=50\r\nETag: %s\r\n", rows[_i / 2].tag);
	exchange(GET "X-A: 3\r\n", 2, buf_cstr(&b), "", 200, rows[_i / 2].body);
	ck_assert(far_asked(2, "If-None-Match: W/\"2\", \"1\""));
	ck_assert_uint_eq(fake_store.aliases, 1);
	ck_assert_uint_eq(fake_store.nrows, 3);
	/* From now on it is a hit, and the one that was chosen is fresh as well. */
	hit(GET "X-A: 3\r\n", rows[_i / 2].body, "tester; hit; ttl=50");
	hit(_i / 2 ? GET "X-A: 2\r\n" : GET "X-A: 1\r\n", rows[_i / 2].body, "tester; hit; ttl=50");
	hit(_i / 2 ? GET "X-A: 1\r\n" : GET "X-A: 2\r\n", _i / 2 ? "one" : "two", "tester; hit; ttl=80");
	/* A 304 freshens all that have its strong tag (§4.3.4). */
	if (_i / 2 == 0) {
		exchange(GET "X-A: 3\r\nCache-Control: no-cache\r\n", 3,
		         NOT_MOD "ETag: \"1\"\r\nCache-Control: max-age=70\r\n", "", 200, "one");
		hit(GET "X-A: 1\r\n", "one", "tester; hit; ttl=70");
		hit(GET "X-A: 3\r\n", "one", "tester; hit; ttl=70");
	}
	buf_fini(&b);
}
END_TEST

/* A 304 that does not say which: asked again without conditions. Any other answer is a variant of its own. */
START_TEST(not_chosen)
{
	static const char *const vague[] = {NOT_MOD, NOT_MOD "ETag: \"9\"\r\n", NOT_MOD "ETag: \"2\"\r\n",
		                            NOT_MOD "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"};
	struct peer p = {0};

	two_variants();
	if (_i < 4) {
		peer_ask(&p, &rig.forward, GET "X-A: 3\r\n");
		ck_assert(far_head(2, vague[_i]) < 0);
		ck_assert_uint_eq(nfars, 4);
		ck_assert(!far_asked(3, "If-None-Match: W/\"2\", \"1\""));
		far_answer(3, V2, "new");
		peer_got(&p, 200, "new");
		peer_fini(&p);
		store_settle();
	} else {
		exchange(GET "X-A: 3\r\n", 2, V2, "new", 200, "new");
	}
	ck_assert_uint_eq(fake_store.nrows, 3);
	ck_assert_uint_eq(fake_store.aliases, 0);
	hit(GET "X-A: 3\r\n", "new", NULL);
}
END_TEST

/* Nobody who selects by something else is given what was chosen for one. */
START_TEST(chosen_for_one)
{
	struct peer a = {0}, b = {0}, c = {0};

	two_variants();
	peer_ask(&a, &rig.forward, GET "X-A: 3\r\n");
	peer_ask(&b, &rig.forward, GET "X-A: 3\r\n");
	peer_ask(&c, &rig.forward, GET "X-A: 4\r\n");
	ck_assert_uint_eq(nfars, 4);
	far_answer(2, NOT_MOD "ETag: \"1\"\r\n", "");
	peer_got(&a, 200, "one");
	peer_got(&b, 200, "one");
	ck_assert_uint_eq(c.replies, 0);
	ck_assert_uint_eq(nfars, 4);
	far_answer(3, NOT_MOD "ETag: W/\"2\"\r\n", "");
	peer_got(&c, 200, "two");
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
	ck_assert_uint_eq(settled(), 4);
}
END_TEST

/* A client's no-store, or no tag at all: the request goes as it is. A coding that it can't read is not offered. */
START_TEST(not_nominated)
{
	struct peer p = {0};

	if (_i < 2) {
		exchange(GET "X-A: 1\r\n", 0,
		         _i ? OK_HEAD "Cache-Control: max-age=9\r\nVary: X-A\r\nContent-Length: 3\r\n" : V1, "one", 200,
		         "one");
	} else {
		exchange(GET "X-A: 1\r\nAccept-Encoding: gzip\r\n", 0, V1 "Content-Encoding: gzip\r\n", "one", 200,
		         "one");
	}
	peer_ask(&p, &rig.forward,
	         _i == 0 ? GET "X-A: 3\r\nCache-Control: no-store\r\n" :
	         _i == 3 ? GET "X-A: 3\r\nAccept-Encoding: br, x-gzip\r\n" :
	                   GET "X-A: 3\r\n");
	ck_assert_int_eq(far_asked(1, "If-None-Match: \"1\""), _i == 3);
	far_answer(1, V2, "new");
	peer_got(&p, 200, "new");
	peer_fini(&p);
	store_settle();
}
END_TEST

UNIT_MAIN("exchange/others", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_loop_test(tc, outdated, 0, 17); tcase_add_test(tc, outdated_variant);
          tcase_add_test(tc, fresh_variant); tcase_add_test(tc, several_lists);
          tcase_add_test(tc, date_decides); tcase_add_loop_test(tc, by_head, 0, 16);
          tcase_add_loop_test(tc, post_answers_get, 0, 10); tcase_add_test(tc, post_is_invalidated);
          tcase_add_test(tc, post_only_if_cached); tcase_add_loop_test(tc, chosen, 0, 4);
          tcase_add_loop_test(tc, not_chosen, 0, 5); tcase_add_test(tc, chosen_for_one);
          tcase_add_loop_test(tc, not_nominated, 0, 4);)
