/* Fetches that several processes of the pool share: two environments over one store. */
#include <stdio.h>

#include "base/error.h"
#include "rig.h"

#define FRESH OK_HEAD "Cache-Control: max-age=60\r\n"

/* Asks in the other process. */
static void other_get(struct peer *p, const char *more)
{
	rig_swap();
	peer_get(p, more);
	rig_swap();
}

static void setup(struct peer *a, struct peer *b)
{
	*a = *b = (struct peer){.room = SIZE_MAX};
	rig_open_pool();
}

static void teardown(struct peer *a, struct peer *b)
{
	peer_fini(a);
	peer_fini(b);
	rig_settle();
	rig_close();
}

/* One request; head and body go to both as they come. */
START_TEST(one_fetch)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	ck_assert_uint_eq(nfars, 1);
	far_head(0, FRESH "Content-Length: 10\r\n");
	rig_settle();
	ck_assert_uint_eq(b.status, 200);
	ck_view_eq(peer_field(&b, "Cache-Status"), "tester; fwd=uri-miss; fwd-status=200; ttl=60; stored; collapsed");
	far_data(0, "01234");
	rig_settle();
	ck_view_eq(buf_view(&b.body), "01234");
	far_data(0, "56789");
	far_done(0, 0);
	rig_settle();
	peer_got(&a, 200, "0123456789");
	peer_got(&b, 200, "0123456789");
	store_settle();
	ck_assert_uint_eq(fake_store.commits, 1);
	ck_assert_uint_eq(rig.stats.followed, 1);
	teardown(&a, &b);
	ck_assert_uint_eq(rig.stats.collapsed, 1);
}
END_TEST

/* Who comes at any later moment gets the same, once. */
static const char *const moments[] = {"head", "body", "end", "stored"};

START_TEST(late)
{
	const char *moment = moments[_i];
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	far_head(0, FRESH "Trailer: X\r\n");
	if (_i > 0)
		far_data(0, "01234");
	if (_i > 1) {
		far_data(0, "56789");
		far_done(0, 0);
	}
	if (_i > 2)
		store_settle();
	other_get(&b, "");
	rig_settle();
	if (_i < 2) {
		far_data(0, _i ? "56789" : "0123456789");
		far_done(0, 0);
	}
	rig_settle();
	ck_assert_msg(nfars == 1, "asked again after %s", moment);
	peer_got(&a, 200, "0123456789");
	peer_got(&b, 200, "0123456789");
	teardown(&a, &b);
}
END_TEST

/* What is not for others is let go at once. */
START_TEST(not_for_others)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, OK_HEAD "Cache-Control: private\r\nContent-Length: 1\r\n");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	far_answer(1, OK_HEAD "Cache-Control: private\r\nContent-Length: 1\r\n", "b");
	far_data(0, "a");
	far_done(0, 0);
	peer_got(&a, 200, "a");
	peer_got(&b, 200, "b");
	peer_fini(&a);
	/* Remembered by all: nobody waits for another. */
	a = (struct peer){.room = SIZE_MAX};
	peer_fini(&b);
	b = (struct peer){.room = SIZE_MAX};
	peer_get(&a, "");
	other_get(&b, "");
	ck_assert_uint_eq(nfars, 4);
	teardown(&a, &b);
}
END_TEST

static const struct {
	const char *vary, *first, *second;
	unsigned fetches;
} varies[] = {
	{"Vary: Accept-Language\r\n", "Accept-Language: en\r\n", "Accept-Language: en\r\n", 1},
	{"Vary: Accept-Language\r\n", "Accept-Language: en\r\n", "Accept-Language: fr\r\n", 2},
	{"Vary: Accept-Language\r\n", "Accept-Language: en\r\n", "", 2},
	{"", "Accept-Language: en\r\n", "Accept-Language: fr\r\n", 1},
	{"Vary: *\r\n", "", "", 2},
};

/* RFC 9111 §4.1, for one who waited, and for one who comes once the head is there. */
START_TEST(vary)
{
	bool waits = _i % 2 == 0;
	struct peer a, b;
	char head[200];

	snprintf(head, sizeof(head), "%s%sContent-Length: 1\r\n", FRESH, varies[_i / 2].vary);
	setup(&a, &b);
	peer_get(&a, varies[_i / 2].first);
	if (waits) {
		other_get(&b, varies[_i / 2].second);
		rig_settle();
	}
	far_head(0, head);
	if (!waits)
		other_get(&b, varies[_i / 2].second);
	rig_settle();
	ck_assert_uint_eq(nfars, varies[_i / 2].fetches);
	if (nfars == 2)
		far_answer(1, head, "b");
	far_data(0, "a");
	far_done(0, 0);
	rig_settle();
	peer_got(&a, 200, "a");
	peer_got(&b, 200, varies[_i / 2].fetches == 2 ? "b" : "a");
	teardown(&a, &b);
}
END_TEST

/* A stale response is confirmed once. */
START_TEST(revalidated)
{
	struct peer a, b, c = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&c, "");
	far_answer(0, OK_HEAD "Cache-Control: max-age=1\r\nETag: \"1\"\r\nContent-Length: 1\r\n", "x");
	store_settle();
	peer_fini(&c);
	rig.now += 10;
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	ck_assert(far_asked(1, "If-None-Match: \"1\""));
	far_answer(1, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: max-age=50\r\n", "");
	rig_settle();
	peer_got(&a, 200, "x");
	peer_got(&b, 200, "x");
	store_settle();
	teardown(&a, &b);
	ck_assert_uint_eq(rig.stats.revalidated, 2);
}
END_TEST

/* An origin that fails: everybody is told the same; stale ones stand in where they may. */
START_TEST(origin_fails)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_done(0, LARDER_ETIMEOUT);
	rig_settle();
	ck_assert_uint_eq(nfars, 1);
	ck_assert_uint_eq(a.status, 504);
	ck_assert_uint_eq(b.status, 504);
	ck_assert(view_eq(peer_field(&b, "Proxy-Status"), peer_field(&a, "Proxy-Status")));
	teardown(&a, &b);
}
END_TEST

/* Broken mid-body: broken for all, and nothing is stored. */
START_TEST(broken)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH "Content-Length: 10\r\n");
	far_data(0, "01234");
	rig_settle();
	far_done(0, LARDER_ECLOSED);
	rig_settle();
	ck_assert(a.aborted && b.aborted);
	ck_view_eq(buf_view(&b.body), "01234");
	store_settle();
	ck_assert_uint_eq(fake_store.commits, 0);
	teardown(&a, &b);
}
END_TEST

/* The owner's process ends: who has nothing yet begins again, who has some is cut off. */
START_TEST(owner_gone)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	if (_i)
		far_head(0, FRESH "Content-Length: 10\r\n");
	rig_settle();
	peer_leave(&a);
	exchange_env_free(rig.env);
	rig.env = NULL;
	rig_settle();
	if (_i) {
		ck_assert(b.aborted);
		ck_assert_uint_eq(nfars, 1);
	} else {
		ck_assert_uint_eq(nfars, 2);
		far_answer(1, FRESH "Content-Length: 1\r\n", "b");
		peer_got(&b, 200, "b");
	}
	store_settle();
	teardown(&a, &b);
}
END_TEST

/* The owner's clients leave: the fetch is the followers' then; without them it stops. */
START_TEST(clients_leave)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH "Content-Length: 1000000\r\n");
	rig_settle();
	peer_leave(&a);
	ck_assert(!far(0)->cancelled);
	far_data(0, "abc");
	rig_settle();
	ck_view_eq(buf_view(&b.body), "abc");
	peer_leave(&b);
	rig_settle();
	ck_assert(far(0)->cancelled);
	teardown(&a, &b);
}
END_TEST

/* RFC 9111 §4.4: what another process's unsafe request outdates is not stored, nor joined. */
START_TEST(invalidated)
{
	struct peer a, b, c = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&a, "");
	far_head(0, FRESH "Content-Length: 2\r\n");
	if (_i) {
		far_data(0, "ab");
		far_done(0, 0); /* queued to be stored */
	}
	rig_swap();
	peer_ask(&b, &rig.forward, "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n");
	rig_swap();
	far_answer(1, OK_HEAD "Content-Length: 0\r\n", "");
	if (!_i) {
		far_data(0, "ab");
		far_done(0, 0);
	}
	store_settle();
	rig_settle();
	peer_got(&a, 200, "ab");
	ck_assert_uint_eq(fake_store.nrows, 0);
	other_get(&c, "");
	ck_assert_uint_eq(nfars, 3);
	peer_fini(&c);
	teardown(&a, &b);
}
END_TEST

/* RFC 9111 §5.2.1.4: not an answer that was on its way already. */
START_TEST(request_directives)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	far_head(0, FRESH "Content-Length: 1\r\n");
	other_get(&b, "Cache-Control: no-cache\r\n");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	far_answer(1, FRESH "Content-Length: 1\r\n", "b");
	far_data(0, "a");
	far_done(0, 0);
	peer_got(&b, 200, "b");
	teardown(&a, &b);
}
END_TEST

/* Without descriptors to hand over each fetches for itself. */
START_TEST(no_descriptors)
{
	struct peer a, b;

	setup(&a, &b);
	fake_store.no_sharing = true;
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH "Content-Length: 1\r\n");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	far_data(0, "a");
	far_done(0, 0);
	far_answer(1, FRESH "Content-Length: 1\r\n", "b");
	peer_got(&a, 200, "a");
	peer_got(&b, 200, "b");
	teardown(&a, &b);
}
END_TEST

/* What waits for room in the store comes once it has been written. */
START_TEST(lagging)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH);
	fake_store.lag = 3;
	far_data(0, "0123456789");
	far_done(0, 0);
	rig_settle();
	peer_got(&a, 200, "0123456789");
	ck_view_eq(buf_view(&b.body), "0123456");
	ck_assert(!b.ended && !b.aborted);
	fake_store.lag = _i ? 0 : 3;
	fake_store.fail = !_i;
	store_settle();
	rig_settle();
	if (_i)
		peer_got(&b, 200, "0123456789");
	else
		ck_assert(b.aborted);
	teardown(&a, &b);
}
END_TEST

/* More than the store takes: our own readers get it all, others what there is of it. */
START_TEST(too_large)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH);
	fake_store.spool_max = 8;
	far_data(0, "01234");
	far_data(0, "56789");
	far_done(0, 0);
	rig_settle();
	peer_got(&a, 200, "0123456789");
	ck_assert(b.aborted);
	teardown(&a, &b);
}
END_TEST

/* Who reads slowly holds nobody up. */
START_TEST(slow)
{
	struct peer a, b;

	setup(&a, &b);
	b.room = 3;
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_answer(0, FRESH "Content-Length: 10\r\n", "0123456789");
	rig_settle();
	peer_got(&a, 200, "0123456789");
	ck_view_eq(buf_view(&b.body), "012");
	store_settle();
	peer_more(&b, 100);
	peer_got(&b, 200, "0123456789");
	teardown(&a, &b);
}
END_TEST

/* A second fill of one process never asks for a flight that it follows already: what is told to the one
 * would not reach the other. By request directives, and since the answer has become stale meanwhile. */
START_TEST(follows_once)
{
	struct peer a, b, c = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH "Content-Length: 10\r\n");
	far_data(0, "01234");
	rig_settle();
	if (_i)
		rig.now += 100;
	other_get(&c, _i ? "" : "Pragma: no-cache\r\n");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	far_answer(1, FRESH "Content-Length: 1\r\n", "c");
	far_data(0, "56789");
	far_done(0, 0);
	rig_settle();
	peer_got(&a, 200, "0123456789");
	peer_got(&b, 200, "0123456789");
	peer_got(&c, 200, "c");
	peer_fini(&c);
	teardown(&a, &b);
}
END_TEST

/* RFC 5861 §3: the background's refresh of one process stays on the board when another has wanted one, too. */
START_TEST(background)
{
	struct peer a, b, c = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&c, "");
	far_answer(0, OK_HEAD "Cache-Control: max-age=1, stale-while-revalidate=60\r\nContent-Length: 1\r\n", "x");
	store_settle();
	peer_fini(&c);
	rig.now += 10;
	peer_get(&a, "");
	peer_got(&a, 200, "x");
	other_get(&b, "");
	peer_got(&b, 200, "x");
	ck_assert_uint_eq(nfars, 2);
	c = (struct peer){.room = SIZE_MAX};
	other_get(&c, "");
	peer_got(&c, 200, "x");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	far_answer(1, FRESH "Content-Length: 1\r\n", "y");
	store_settle();
	ck_assert_uint_eq(nfars, 2);
	peer_fini(&c);
	teardown(&a, &b);
}
END_TEST

/* Who joins takes nobody's wish to be woken away. */
START_TEST(woken)
{
	struct exchange_env *third, *second;
	struct peer a, b, c = {.room = 2};

	setup(&a, &b);
	third = exchange_env_new(rig.loop, &rig.options, rig_store(), rig_origin(), rig.board, &rig.stats);
	ck_assert_ptr_nonnull(third);
	second = rig.other;
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH);
	far_data(0, "01234");
	rig_settle();
	ck_view_eq(buf_view(&b.body), "01234");
	rig.other = third;
	other_get(&c, "");
	rig_settle();
	rig.other = second;
	ck_view_eq(buf_view(&c.body), "01");
	far_data(0, "56789");
	rig_settle();
	ck_view_eq(buf_view(&b.body), "0123456789");
	far_done(0, 0);
	rig_settle();
	peer_got(&b, 200, "0123456789");
	peer_more(&c, 100);
	peer_got(&c, 200, "0123456789");
	peer_fini(&c);
	rig_settle();
	exchange_env_free(third);
	teardown(&a, &b);
}
END_TEST

/* RFC 9111 §4.4: nor is what is fetched for one client alone, which is on nobody's board. */
START_TEST(invalidated_alone)
{
	struct peer a, b, c = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&c, "");
	far_answer(0, OK_HEAD "Cache-Control: private\r\nContent-Length: 1\r\n", "p");
	peer_fini(&c);
	peer_get(&a, "");
	far_head(1, FRESH "Content-Length: 2\r\n");
	if (_i) {
		far_data(1, "ab");
		far_done(1, 0); /* queued to be stored */
	}
	rig_swap();
	peer_ask(&b, &rig.forward, "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n");
	rig_swap();
	far_answer(2, OK_HEAD "Content-Length: 0\r\n", "");
	/* The removal is done before the other's commit. */
	if (!_i) {
		store_settle();
		far_data(1, "ab");
		far_done(1, 0);
	}
	store_settle();
	rig_settle();
	peer_got(&a, 200, "ab");
	ck_assert_uint_eq(fake_store.nrows, 0);
	teardown(&a, &b);
}
END_TEST

/* What waits for room in the store, and is not stored after all, is not waited for. */
START_TEST(lagging_invalidated)
{
	struct peer a, b, c = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH);
	fake_store.lag = 3;
	far_data(0, "0123456789");
	rig_settle();
	rig_swap();
	peer_ask(&c, &rig.forward, "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n");
	rig_swap();
	far_answer(1, OK_HEAD "Content-Length: 0\r\n", "");
	far_done(0, 0);
	store_settle();
	rig_settle();
	peer_got(&a, 200, "0123456789");
	ck_assert(b.aborted);
	peer_fini(&c);
	teardown(&a, &b);
}
END_TEST

UNIT_MAIN("exchange/flight", tcase_add_test(tc, one_fetch); tcase_add_loop_test(tc, late, 0, 4);
          tcase_add_test(tc, not_for_others); tcase_add_loop_test(tc, vary, 0, 10);
          tcase_add_test(tc, revalidated); tcase_add_test(tc, origin_fails); tcase_add_test(tc, broken);
          tcase_add_loop_test(tc, owner_gone, 0, 2); tcase_add_test(tc, clients_leave);
          tcase_add_loop_test(tc, invalidated, 0, 2); tcase_add_test(tc, request_directives);
          tcase_add_test(tc, no_descriptors); tcase_add_loop_test(tc, lagging, 0, 2);
          tcase_add_test(tc, too_large); tcase_add_test(tc, slow);
          tcase_add_loop_test(tc, follows_once, 0, 2); tcase_add_test(tc, background);
          tcase_add_test(tc, woken); tcase_add_loop_test(tc, invalidated_alone, 0, 2);
          tcase_add_test(tc, lagging_invalidated);)
