/* Bodies both ways: request bodies with back-pressure, windows that readers drain, ranges of fills. */
#include "rig.h"

#include <string.h>

#include "base/error.h"

#define FRESH "Cache-Control: max-age=60\r\n"
#define POST(fields) "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\n" fields

static ssize_t take(unsigned n, size_t room)
{
	char dst[65536];

	return far_body(n, dst, room);
}

START_TEST(upload_waits_for_the_origin)
{
	struct peer p = {0};
	static char block[100000];
	size_t n;

	peer_ask(&p, &rig.forward, POST("Transfer-Encoding: chunked\r\n"));
	ck_assert_int_eq(take(0, 100), LARDER_EAGAIN);
	n = exchange_body(p.x, view_make(block, sizeof(block)));
	ck_assert(n == 65536 && p.held);
	ck_assert_uint_gt(far(0)->wakes, 0);
	ck_assert_uint_eq(exchange_body(p.x, view_make(block, 1)), 0);
	ck_assert_int_eq(take(0, 30000), 30000);
	ck_assert(p.held);
	ck_assert_int_eq(take(0, 30000), 30000);
	ck_assert(!p.held);
	ck_assert_uint_eq(exchange_body(p.x, view_make(block, sizeof(block) - n)), sizeof(block) - n);
	exchange_body_end(p.x);
	ck_assert_int_eq(take(0, 65536), 100000 - 60000);
	ck_assert_int_eq(take(0, 65536), 0);
	far_answer(0, OK_HEAD "Content-Length: 2\r\n", "ok");
	store_settle();
	peer_got(&p, 200, "ok");
	peer_fini(&p);
	store_settle();
}
END_TEST

/* RFC 9112 §8: a body that broke off must not look complete to the origin. 0: broke off, 1: the client went,
 * 2: it went while it was told to go on, 3: it broke off after the answer's beginning. */
START_TEST(upload_breaks_off)
{
	struct peer p = {.leave = _i == 2 ? LEAVE_HOLD : LEAVE_NEVER};
	static char block[65536];

	peer_ask(&p, &rig.forward, POST("Transfer-Encoding: chunked\r\n"));
	if (_i == 2) {
		/* Holding is the first call that it leaves in. */
		p.leave = LEAVE_NEVER;
		ck_assert_uint_eq(exchange_body(p.x, view_make(block, sizeof(block))), 65536);
		ck_assert_uint_eq(exchange_body(p.x, view_make(block, 1)), 0);
		p.leave = LEAVE_HOLD;
		take(0, 65536);
	} else {
		ck_assert_uint_eq(exchange_body(p.x, V("half")), 4);
		if (_i == 3) {
			far_head(0, OK_HEAD "Content-Length: 5\r\n");
			store_settle();
			far_data(0, "ear");
		}
		if (_i == 1)
			peer_leave(&p);
		else
			exchange_body_abort(p.x);
	}
	ck_assert(far(0)->cancelled);
	/* Nobody else would tell the client that its answer will not go on. */
	ck_assert_int_eq(p.aborted, _i == 3);
	ck_assert(!p.ended);
	peer_fini(&p);
}
END_TEST

/* An answer that is complete before the request is: what the client still sends goes nowhere, and the
 * origin must not take what it got for the whole. */
START_TEST(early_answer)
{
	struct peer p = {0};

	peer_ask(&p, &rig.forward, POST("Transfer-Encoding: chunked\r\n"));
	ck_assert_uint_eq(exchange_body(p.x, V("half")), 4);
	ck_assert_int_eq(take(0, 65536), 4);
	ck_assert_int_eq(far_head(0, OK_HEAD "Content-Length: 5\r\n"), 0);
	ck_assert_int_eq(far_data(0, "early"), 0);
	store_settle();
	peer_got(&p, 200, "early");
	ck_assert_uint_eq(exchange_body(p.x, V("half")), 4);
	exchange_body_end(p.x);
	ck_assert_int_lt(take(0, 65536), 0);
	peer_fini(&p);
	store_settle();
}
END_TEST

/* Not stored, and the client is slow: the origin waits, goes on, and nothing is lost. */
START_TEST(pauses_and_goes_on)
{
	struct peer p = {.room = 1000};
	unsigned sent = 0, want = 0;

	peer_get(&p, "Cache-Control: no-store\r\n");
	far_head(0, OK_HEAD);
	while (far_fill(0, (char)('a' + sent % 26), 10000) == 0)
		sent++;
	ck_assert_uint_ge(sent, 6);
	ck_assert_uint_le(sent, 8);
	ck_assert_uint_eq(far(0)->resumes, 0);
	for (unsigned round = 0; round < 200 && !far(0)->resumes; round++)
		peer_more(&p, 1000);
	ck_assert_uint_eq(far(0)->resumes, 1);
	ck_assert_int_eq(far_fill(0, (char)('a' + sent % 26), 10000), 0);
	sent++;
	far_done(0, 0);
	peer_more(&p, SIZE_MAX);
	ck_assert(p.ended && !p.aborted);
	ck_assert_uint_eq(p.body.len, sent * 10000UL);
	for (want = 0; want < p.body.len; want++)
		ck_assert_int_eq(p.body.data[want], 'a' + (int)(want / 10000 % 26));
	peer_fini(&p);
}
END_TEST

/* The spool is full in the middle: readers at different places get everything, the slowest sets the
 * pace, and when it leaves the others go on. */
START_TEST(outgrows_the_store)
{
	struct peer fast = {0}, slow = {.room = 10}, late = {0};
	unsigned sent = 0;

	fake_store.spool_max = 25000;
	peer_get(&fast, "");
	peer_get(&slow, "");
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH), 0);
	while (far_fill(0, (char)('a' + sent % 26), 10000) == 0)
		sent++;
	ck_assert_uint_eq(fast.body.len, sent * 10000UL);
	ck_assert_uint_eq(slow.body.len, 10);
	/* Nobody can join what is partly gone. */
	peer_get(&late, "");
	ck_assert_uint_eq(nfars, 2);
	if (_i == 0)
		peer_more(&slow, SIZE_MAX);
	else
		peer_leave(&slow);
	ck_assert_uint_eq(far(0)->resumes, 1);
	ck_assert_int_eq(far_fill(0, (char)('a' + sent % 26), 10000), 0);
	sent++;
	far_done(0, 0);
	ck_assert(fast.ended && fast.body.len == sent * 10000UL);
	if (_i == 0) {
		ck_assert(slow.ended && slow.body.len == sent * 10000UL);
		ck_assert_int_eq(memcmp(slow.body.data, fast.body.data, fast.body.len), 0);
	}
	peer_fini(&fast);
	peer_fini(&slow);
	peer_fini(&late);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 0);
}
END_TEST

/* Ranges of what is being fetched (RFC 9110 §14.2, §15.3.7): out of a spool, and out of a window that does not go
 * back. The body is the letters in order. */
START_TEST(ranges_of_fills)
{
	static const struct {
		const char *fields, *range;
		unsigned status;
		const char *body; /* NULL: several parts */
	} rows[] = {
		{FRESH, "bytes=0-3", 206, "abcd"},
		{FRESH, "bytes=10-11", 206, "kl"},
		{FRESH, "bytes=24-", 206, "yz"},
		{FRESH, "bytes=26-", 416, ""},
		{FRESH, "bytes=5-4", 200, "abcdefghijklmnopqrstuvwxyz"},
		{FRESH, "bytes=20-21, 2-3", 206, NULL},
		{"Cache-Control: private\r\n", "bytes=10-11", 206, "kl"},
		{"Cache-Control: private\r\n", "bytes=24-", 206, "yz"},
		{"Cache-Control: private\r\n", "bytes=20-21, 2-3", 200, "abcdefghijklmnopqrstuvwxyz"},
		{FRESH "Accept-Ranges: none\r\n", "bytes=0-3", 200, "abcdefghijklmnopqrstuvwxyz"},
	};
	static const char *const parts[] = {"abcdefg", "hijklmn", "opqrstuv", "wxyz"};
	struct peer p = {0};
	struct buf b;

	buf_init(&b, 4096);
	buf_printf(&b, "Range: %s\r\n", rows[_i].range);
	peer_get(&p, buf_cstr(&b));
	buf_reset(&b);
	buf_printf(&b, OK_HEAD "Content-Length: 26\r\n%s", rows[_i].fields);
	ck_assert_int_eq(far_head(0, buf_cstr(&b)), 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(far_data(0, parts[i]), 0);
	far_done(0, 0);
	ck_assert_uint_eq(p.status, rows[_i].status);
	ck_assert(p.ended && !p.aborted);
	if (rows[_i].body)
		peer_got(&p, rows[_i].status, rows[_i].body);
	else
		ck_assert_uint_eq(p.length, p.body.len);
	buf_fini(&b);
	peer_fini(&p);
	store_settle();
}
END_TEST

/* Too long for the store by its Content-Length: said so, and not kept in memory either. */
START_TEST(too_large)
{
	struct peer a = {0};

	fake_store.accepts_max = 100;
	peer_get(&a, "");
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Content-Length: 101\r\n"), 0);
	ck_view_eq(peer_field(&a, "Cache-Status"), "tester; fwd=uri-miss; fwd-status=200; detail=too-large");
	ck_assert_uint_eq(fake_store.spools, 0);
	peer_fini(&a);
}
END_TEST

/* Option pipe_total: where the windows of all take too much, each gets by with a piece, and the origin's side is told. */
START_TEST(short_of_memory)
{
	struct peer a = {.room = 1}, b = {.room = 1};

	rig.options.pipe_total = 200000;
	peer_get(&a, "");
	peer_get(&b, "");
	far_head(0, OK_HEAD "Cache-Control: private\r\nContent-Length: 120000\r\n");
	ck_assert_uint_eq(nfars, 2);
	far_head(1, OK_HEAD "Cache-Control: private\r\nContent-Length: 10000\r\n");
	ck_assert_int_eq(far_fill(0, 'a', 60000), 0);
	ck_assert_uint_eq(far_piece, 0);
	ck_assert_int_eq(far_fill(0, 'b', 60000), 0);
	ck_assert_uint_gt(far_piece, 0);
	ck_assert_uint_gt(rig.stats.pipe_bytes, 100000);
	far_done(0, 0);
	ck_assert_int_eq(far_fill(1, 'c', 5000), 0);
	ck_assert_int_eq(far_fill(1, 'd', 5000), ORIGIN_PAUSE);
	/* Its only piece has to go first. */
	peer_more(&b, 4000);
	ck_assert_uint_eq(far(1)->resumes, 0);
	peer_more(&b, 999);
	ck_assert_uint_eq(far(1)->resumes, 1);
	if (_i) {
		/* Who leaves gives back all that waited for it. */
		peer_leave(&a);
	} else {
		peer_more(&a, 120000);
		ck_assert_uint_eq(a.body.len, 120000);
		peer_leave(&a);
	}
	ck_assert_uint_eq(far_piece, 0);
	ck_assert_int_eq(far_fill(1, 'd', 5000), 0);
	far_done(1, 0);
	peer_more(&b, 5000);
	ck_assert_uint_eq(b.body.len, 10000);
	peer_fini(&a);
	peer_fini(&b);
	ck_assert_uint_eq(rig.stats.pipe_bytes, 0);
}
END_TEST

/* Option client_rate: a request that has to wait for its turn keeps its body, as much as there is room for. */
START_TEST(upload_waits_for_its_turn)
{
	uint64_t next = net_loop_now_ms(rig.loop) + 100;
	struct peer p = {.pace = &next};
	static char block[100000];

	rig.options.client_rate = 1000000;
	peer_ask(&p, &rig.forward, POST("Transfer-Encoding: chunked\r\n"));
	ck_assert_uint_eq(nfars, 0);
	ck_assert_uint_eq(exchange_body(p.x, view_make(block, _i ? sizeof(block) : 10)), _i ? 65536 : 10);
	ck_assert_int_eq(p.held, _i > 0);
	if (_i == 2) {
		peer_leave(&p);
		peer_fini(&p);
		return;
	}
	if (!_i)
		exchange_body_end(p.x);
	while (!nfars)
		rig_settle();
	ck_assert_int_eq(take(0, 65536), _i ? 65536 : 10);
	ck_assert(!p.held);
	if (_i)
		exchange_body_end(p.x);
	ck_assert_int_eq(take(0, 65536), 0);
	far_answer(0, OK_HEAD "Content-Length: 2\r\n", "ok");
	store_settle();
	peer_got(&p, 200, "ok");
	peer_fini(&p);
}
END_TEST

UNIT_MAIN("exchange/body", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_test(tc, upload_waits_for_the_origin);
          tcase_add_loop_test(tc, upload_breaks_off, 0, 4); tcase_add_test(tc, early_answer);
          tcase_add_test(tc, pauses_and_goes_on); tcase_add_loop_test(tc, outgrows_the_store, 0, 2);
          tcase_add_loop_test(tc, short_of_memory, 0, 2);
          tcase_add_loop_test(tc, ranges_of_fills, 0, 10); tcase_add_test(tc, too_large);
          tcase_add_loop_test(tc, upload_waits_for_its_turn, 0, 3);)
