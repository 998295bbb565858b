/* What is stored and stale: validation, its outcomes, and what stands in when it fails. */
#include "rig.h"

#include <string.h>

#include "base/error.h"

/* Stores "old" and lets 20 seconds pass. The next transfer is number 1. */
static void stored(const char *head)
{
	struct peer p = {0};

	peer_get(&p, "");
	far_answer(0, head, "old");
	peer_fini(&p);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 1);
	rig.now += 20;
}

#define PLAIN    OK_HEAD "Cache-Control: max-age=10\r\nETag: \"a\"\r\nContent-Length: 3\r\n"
#define TAGLESS  OK_HEAD "Cache-Control: max-age=10, stale-if-error=600\r\nContent-Length: 3\r\n"
#define TOLERANT OK_HEAD "Cache-Control: max-age=10, stale-if-error=600\r\nETag: \"a\"\r\nContent-Length: 3\r\n"
#define SWR      OK_HEAD "Cache-Control: max-age=10, stale-while-revalidate=60\r\nETag: \"a\"\r\nContent-Length: 3\r\n"
#define NOT_MODIFIED "HTTP/1.1 304 Not Modified\r\nDate: Thu, 01 Jan 2026 00:00:20 GMT\r\n"
#define NEW      "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:20 GMT\r\nCache-Control: max-age=10\r\nETag: \"b\"\r\nContent-Length: 3\r\n"
#define FAILS    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"

/* RFC 9111 §4.3.3, §4.3.4, RFC 5861 §4: what the client gets. `answer` NULL: the connection fails. */
START_TEST(outcomes)
{
	static const struct {
		const char *stored, *ask, *answer;
		unsigned status;
		const char *body, *cache_status;
	} rows[] = {
		{PLAIN, "", NOT_MODIFIED "ETag: \"a\"\r\n", 200, "old", "tester; fwd=stale; fwd-status=304; ttl=10"},
		{PLAIN, "", NOT_MODIFIED, 200, "old", "tester; fwd=stale; fwd-status=304; ttl=10"},
		{PLAIN, "", NEW, 200, "new", "tester; fwd=stale; fwd-status=200; ttl=10; stored"},
		{PLAIN, "", FAILS, 503, "", "tester; fwd=stale; fwd-status=503; detail=no-freshness"},
		{PLAIN, "", NULL, 502, NULL, NULL},
		{TOLERANT, "", NOT_MODIFIED, 200, "old", "tester; fwd=stale; fwd-status=304; ttl=10"},
		{TOLERANT, "", FAILS, 200, "old", "tester; fwd=stale; fwd-status=503; ttl=-10; detail=origin-error"},
		{TOLERANT, "", NULL, 200, "old", "tester; fwd=stale; ttl=-10; detail=origin-error"},
		{TOLERANT, "Cache-Control: no-cache\r\n", FAILS, 503, "", NULL},
		{TOLERANT, "Cache-Control: no-cache\r\n", NULL, 502, NULL, NULL},
		{TOLERANT, "", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n", 404, "", NULL},
		/* Nothing to validate with, but something to fall back on. */
		{TAGLESS, "", FAILS, 200, "old", "tester; fwd=stale; fwd-status=503; ttl=-10; detail=origin-error"},
		{TAGLESS, "", NULL, 200, "old", "tester; fwd=stale; ttl=-10; detail=origin-error"},
		{TAGLESS, "", NEW, 200, "new", NULL},
		{TOLERANT, "If-None-Match: \"a\"\r\n", FAILS, 304, "", NULL},
		{TOLERANT, "Range: bytes=1-1\r\n", FAILS, 206, "l", NULL},
		{PLAIN, "Range: bytes=1-1\r\n", NOT_MODIFIED, 206, "l", NULL},
		{PLAIN, "If-None-Match: \"a\"\r\n", NOT_MODIFIED, 304, "", NULL},
		{PLAIN, "If-None-Match: \"b\"\r\n", NEW, 304, "", NULL},
	};
	struct peer p = {0};

	fake_store.files = _i % 2;
	stored(rows[_i].stored);
	peer_get(&p, rows[_i].ask);
	ck_assert_int_eq(far_asked(1, "If-None-Match: \"a\""), strstr(rows[_i].stored, "ETag") != NULL);
	ck_assert(!far_asked(1, "If-None-Match: \"b\"") && !far_asked(1, "Range: bytes=1-1"));
	if (rows[_i].answer)
		far_answer(1, rows[_i].answer, strstr(rows[_i].answer, "Content-Length: 3") ? "new" : "");
	else
		far_done(1, LARDER_ECONNECT);
	if (rows[_i].body)
		peer_got(&p, rows[_i].status, rows[_i].body);
	ck_assert_uint_eq(p.status, rows[_i].status);
	if (rows[_i].cache_status)
		ck_view_eq(peer_field(&p, "Cache-Status"), rows[_i].cache_status);
	ck_assert_uint_eq(nfars, 2);
	peer_fini(&p);
	store_settle();
}
END_TEST

/* RFC 9111 §4.2.4: once an origin was out of reach, nobody who may have what is stored waits for it; it is asked behind
 * the client's back when its time is over. */
START_TEST(doubted)
{
	struct peer p = {0};
	uint64_t end;

	rig.options.origin_retry = 50;
	stored(_i ? PLAIN : TOLERANT);
	peer_get(&p, "");
	far_done(1, LARDER_ECONNECT);
	ck_assert_uint_eq(p.status, _i ? 502 : 200);
	peer_fini(&p);
	p = (struct peer){0};
	end = net_loop_now_ms(rig.loop) + 60;
	while (net_loop_now_ms(rig.loop) < end)
		rig_settle();
	peer_get(&p, "");
	ck_assert_uint_eq(nfars, 3);
	if (_i == 0)
		peer_got(&p, 200, "old");
	else
		ck_assert_uint_eq(p.replies, 0); /* it may not have what is stored */
	far_answer(2, NOT_MODIFIED "ETag: \"a\"\r\n", "");
	store_settle();
	peer_got(&p, 200, "old");
	peer_fini(&p);
	p = (struct peer){0};
	peer_get(&p, "");
	ck_view_eq(peer_field(&p, "Cache-Status"), "tester; hit; ttl=10");
	ck_assert_uint_eq(nfars, 3);
	peer_fini(&p);
}
END_TEST

/* Option fills_max: what may be served stale is, rather than refused. */
START_TEST(too_many_fetches)
{
	struct peer p = {0}, other = {0};

	stored(_i ? PLAIN : TOLERANT);
	rig.options.fills_max = 1;
	peer_ask(&other, &rig.forward, "GET http://a.example/other HTTP/1.1\r\nHost: a.example\r\n");
	ck_assert_uint_eq(nfars, 2);
	peer_get(&p, "");
	ck_assert_uint_eq(nfars, 2);
	ck_assert_uint_eq(p.status, _i ? 503 : 200);
	far_answer(1, OK_HEAD "Content-Length: 0\r\n", "");
	peer_fini(&p);
	peer_fini(&other);
	store_settle();
}
END_TEST

/* A 304 that speaks of something else: asked again without condition, once for all who wait. */
START_TEST(mismatch)
{
	struct peer a = {0}, b = {0};

	stored(_i ? TOLERANT : PLAIN);
	peer_get(&a, "");
	peer_get(&b, "");
	ck_assert_uint_eq(nfars, 2);
	far_head(1, NOT_MODIFIED "ETag: \"other\"\r\n");
	ck_assert_uint_eq(nfars, 3);
	ck_assert(!far_asked(2, "If-None-Match: \"a\""));
	if (_i == 0) {
		far_answer(2, NEW, "new");
		peer_got(&a, 200, "new");
		peer_got(&b, 200, "new");
	} else {
		far_done(2, LARDER_ECONNECT);
		peer_got(&a, 200, "old");
		peer_got(&b, 200, "old");
	}
	peer_fini(&a);
	peer_fini(&b);
	store_settle();
}
END_TEST

/* A storm on something stale is one validation; the first may leave while others wait. */
START_TEST(storm)
{
	static const char *const answers[] = {NOT_MODIFIED, FAILS, NULL, NEW};
	struct peer p[8] = {0};
	bool leaves = _i >= 4;

	fake_store.files = true;
	stored(TOLERANT);
	for (unsigned i = 0; i < 8; i++)
		peer_get(&p[i], "");
	ck_assert_uint_eq(nfars, 2);
	if (leaves)
		peer_leave(&p[0]);
	if (answers[_i % 4])
		far_answer(1, answers[_i % 4], _i % 4 == 3 ? "new" : "");
	else
		far_done(1, LARDER_ECONNECT);
	for (unsigned i = leaves; i < 8; i++)
		peer_got(&p[i], 200, _i % 4 == 3 ? "new" : "old");
	for (unsigned i = 0; i < 8; i++)
		peer_fini(&p[i]);
	store_settle();
	ck_assert_uint_eq(nfars, 2);
	ck_assert_uint_eq(exchange_env_busy(rig.env), 0);
}
END_TEST

/* One that comes between the 304 and its commit has it, without a second validation. */
START_TEST(between_304_and_commit)
{
	struct peer a = {0}, b = {0}, c = {0};

	stored(PLAIN);
	peer_get(&a, "");
	ck_assert_int_eq(far_head(1, NOT_MODIFIED), 0);
	peer_get(&b, "");
	far_done(1, 0);
	peer_get(&c, "Range: bytes=0-0, 2-2\r\n");
	ck_assert_uint_eq(nfars, 2);
	peer_got(&a, 200, "old");
	peer_got(&b, 200, "old");
	ck_assert_uint_eq(c.status, 206);
	ck_assert_uint_eq(c.length, c.body.len);
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
	store_settle();
	ck_assert_uint_eq(fake_store.updates, 1);
}
END_TEST

/* RFC 5861 §3: served at once, validated behind the client's back, once. */
START_TEST(background)
{
	struct peer a = {0}, b = {0}, c = {0};

	stored(SWR);
	peer_get(&a, "");
	peer_got(&a, 200, "old");
	peer_fini(&a);
	peer_get(&b, "");
	peer_got(&b, 200, "old");
	ck_assert_uint_eq(nfars, 2);
	ck_assert(far_asked(1, "If-None-Match: \"a\""));
	switch (_i) {
	case 0:
		far_answer(1, NEW, "new");
		break;
	case 1:
		far_answer(1, NOT_MODIFIED, "");
		break;
	case 2:
		far_head(1, FAILS);
		break;
	case 3:
		far_done(1, LARDER_ECONNECT);
		break;
	case 4:
		far_head(1, NOT_MODIFIED "ETag: \"other\"\r\n");
		break;
	case 5: /* unstorable now: its body is not wanted */
		far_head(1, OK_HEAD "Cache-Control: private\r\nContent-Length: 3\r\n");
		ck_assert_int_lt(far_data(1, "new"), 0);
		break;
	default:
		exchange_env_abandon(rig.env);
		ck_assert(far(1)->cancelled);
		break;
	}
	store_settle();
	ck_assert_uint_eq(exchange_env_busy(rig.env), 0);
	peer_get(&c, "");
	/* What the origin wants private is not served from what was stored before (RFC 9111 §4.3.3). */
	if (_i != 5)
		peer_got(&c, 200, _i == 0 ? "new" : "old");
	ck_assert_uint_eq(nfars, _i < 2 ? 2 : 3);
	if (_i >= 2)
		far_done(2, LARDER_ECONNECT);
	if (_i == 5)
		ck_assert_uint_eq(c.status, 502);
	peer_fini(&b);
	peer_fini(&c);
}
END_TEST

/* RFC 9111 §5.2.1.7: the next cache would answer only-if-cached with 504; other directives are for it, too. */
START_TEST(background_asks_the_origin)
{
	struct peer a = {0};

	stored(SWR);
	peer_get(&a, "Cache-Control: x=\"a, b\", Only-If-Cached\r\nCache-Control: no-transform\r\n");
	peer_got(&a, 200, "old");
	ck_assert_uint_eq(nfars, 2);
	ck_assert(far_asked(1, "Cache-Control: x=\"a, b\", no-transform"));
	far_answer(1, NEW, "new");
	peer_fini(&a);
	store_settle();
}
END_TEST

/* A background fetch whose spool is full lives for its readers only. */
START_TEST(background_outgrows_the_store)
{
	struct peer a = {0}, b = {.room = 1};

	stored(SWR);
	peer_get(&a, "");
	peer_fini(&a);
	peer_get(&b, "Cache-Control: no-cache\r\n");
	ck_assert_uint_eq(nfars, 2);
	fake_store.spool_max = 100;
	ck_assert_int_eq(far_head(1, OK_HEAD "Cache-Control: max-age=60\r\nETag: \"b\"\r\n"), 0);
	while (far_fill(1, 'x', 30000) == 0)
		;
	ck_assert(!far(1)->cancelled);
	peer_leave(&b);
	ck_assert(far(1)->cancelled);
	peer_fini(&b);
}
END_TEST

/* The stored one vanishes while it is validated: a 304 is of no use then. */
START_TEST(vanishes)
{
	struct peer a = {0}, b = {0}, d = {0};

	stored(PLAIN);
	peer_get(&a, "");
	peer_get(&b, "");
	peer_ask(&d, &rig.forward, "DELETE http://a.example/x HTTP/1.1\r\nHost: a.example\r\n");
	far_head(2, "HTTP/1.1 204 No Content\r\n");
	store_settle();
	far_done(2, 0);
	peer_got(&d, 204, "");
	ck_assert_int_eq(far_head(1, NOT_MODIFIED), 0);
	ck_assert_uint_eq(nfars, 4);
	far_done(1, 0);
	far_answer(3, NEW, "new");
	peer_got(&a, 200, "new");
	peer_got(&b, 200, "new");
	ck_view_eq(peer_field(&a, "Cache-Status"), "tester; fwd=uri-miss; fwd-status=200; ttl=10; stored");
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&d);
	store_settle();
	ck_assert_uint_eq(fake_store.updates, 0);
	ck_assert_uint_eq(fake_store.nrows, 1);
}
END_TEST

/* RFC 9111 §5.2.1.7 */
START_TEST(only_if_cached)
{
	static const struct {
		const char *more;
		unsigned status;
	} rows[] = {
		{"", 504},
		{"Range: bytes=0-0\r\n", 504},
		{"If-Match: \"a\"\r\n", 504},
		{"If-None-Match: \"a\"\r\n", 504},
	};
	struct peer p = {0};
	struct buf b;

	stored(PLAIN);
	buf_init(&b, 4096);
	buf_printf(&b, "Cache-Control: only-if-cached\r\n%s", rows[_i].more);
	peer_get(&p, buf_cstr(&b));
	ck_assert_uint_eq(p.status, rows[_i].status);
	ck_assert_uint_eq(nfars, 1);
	buf_fini(&b);
	peer_fini(&p);
}
END_TEST

UNIT_MAIN("exchange/validate", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_loop_test(tc, outcomes, 0, 19); tcase_add_loop_test(tc, mismatch, 0, 2);
          tcase_add_loop_test(tc, storm, 0, 8); tcase_add_test(tc, between_304_and_commit);
          tcase_add_loop_test(tc, background, 0, 7); tcase_add_test(tc, background_asks_the_origin);
          tcase_add_test(tc, background_outgrows_the_store); tcase_add_test(tc, vanishes);
          tcase_add_loop_test(tc, only_if_cached, 0, 4); tcase_add_loop_test(tc, doubted, 0, 2);
          tcase_add_loop_test(tc, too_many_fetches, 0, 2);)
