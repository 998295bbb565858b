/* Fills: who may share one, and what becomes of it when clients leave. */
#include "rig.h"

#include "base/error.h"

#define FRESH "Cache-Control: max-age=60\r\n"
#define N 4

START_TEST(miss_then_hit)
{
	struct peer a = {0}, b = {0};

	fake_store.files = _i == 1;
	peer_get(&a, "");
	far_answer(0, OK_HEAD FRESH "Content-Length: 4\r\n", "body");
	peer_got(&a, 200, "body");
	ck_view_eq(peer_field(&a, "Cache-Status"), "tester; fwd=uri-miss; fwd-status=200; ttl=60; stored");
	store_settle();
	rig.now += 10;
	peer_get(&b, "");
	peer_got(&b, 200, "body");
	ck_view_eq(peer_field(&b, "Cache-Status"), "tester; hit; ttl=50");
	ck_view_eq(peer_field(&b, "Age"), "10");
	ck_view_eq(peer_field(&b, "Via"), "1.1 tester");
	ck_assert_uint_eq(nfars, 1);
	peer_fini(&a);
	peer_fini(&b);
}
END_TEST

/* One fetch for those who came before the head, in the body, after its end, and after the commit. */
START_TEST(many_share_one_fetch)
{
	struct peer p[N + 1] = {0};

	peer_get(&p[0], "");
	peer_get(&p[1], "");
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH), 0);
	ck_assert_int_eq(far_data(0, "one "), 0);
	peer_get(&p[2], "");
	ck_view_eq(buf_view(&p[2].body), "one ");
	ck_assert_int_eq(far_data(0, "two"), 0);
	far_done(0, 0);
	peer_get(&p[3], "");
	store_settle();
	peer_get(&p[4], "");
	ck_assert_uint_eq(nfars, 1);
	ck_assert_uint_eq(fake_store.nrows, 1);
	for (unsigned i = 0; i <= N; i++) {
		peer_got(&p[i], 200, "one two");
		ck_assert_int_eq(peer_has(&p[i], "; collapsed"), i > 0 && i < N);
		/* What the origin did not say it said to the first alone. */
		ck_assert_int_eq(peer_has(&p[i], "\r\nAge: 0"), i > 0);
		peer_fini(&p[i]);
	}
}
END_TEST

/* Who may have the answer that another one waited for (RFC 9111 §3, §4.1, §5.2). */
START_TEST(joins)
{
	static const struct {
		const char *first, *second, *answer;
		bool early;       /* the second comes before the head */
		unsigned fetches;
	} rows[] = {
		{"", "", FRESH, true, 1},
		{"", "Cache-Control: no-cache\r\n", FRESH, true, 1},
		{"", "Cache-Control: no-cache\r\n", FRESH, false, 2},
		{"", "Cache-Control: no-store\r\n", FRESH, true, 2},
		{"Cache-Control: no-store\r\n", "", FRESH, true, 2},
		{"", "", "Cache-Control: private, max-age=60\r\n", true, 2},
		{"", "", "Cache-Control: no-cache\r\nETag: \"a\"\r\n", true, 2},
		{"Authorization: Basic eDp5\r\n", "", FRESH, true, 2},
		{"Authorization: Basic eDp5\r\n", "", "Cache-Control: public, max-age=60\r\n", true, 1},
		{"", "Authorization: Basic eDp5\r\n", FRESH, true, 1},
		{"Accept: a\r\n", "Accept: b\r\n", FRESH "Vary: Accept\r\n", true, 2},
		{"Accept: a\r\n", "Accept: a\r\n", FRESH "Vary: Accept\r\n", true, 1},
		{"Accept: a\r\n", "Accept: b\r\n", FRESH "Vary: Accept\r\n", false, 2},
		{"Accept: a\r\n", "Accept: a\r\n", FRESH "Vary: Accept\r\n", false, 1},
		{"", "", FRESH "Vary: *\r\n", true, 2},
		{"", "Range: bytes=1-2\r\n", FRESH, true, 1},
		{"Range: bytes=1-2\r\n", "", FRESH, true, 1},
		{"If-None-Match: \"b\"\r\n", "", FRESH, true, 1},
		{"", "If-Match: \"b\"\r\n", FRESH, true, 2},
		{"", "Upgrade: websocket\r\nConnection: upgrade\r\n", FRESH, true, 2},
		{"", "Range: bytes=-1\r\n", FRESH, true, 1},
	};
	struct peer a = {0}, b = {0};
	struct buf head;

	buf_init(&head, 4096);
	buf_printf(&head, OK_HEAD "%sContent-Length: 4\r\n", rows[_i].answer);
	peer_get(&a, rows[_i].first);
	if (rows[_i].early)
		peer_get(&b, rows[_i].second);
	ck_assert_int_eq(far_head(0, buf_cstr(&head)), 0);
	if (!rows[_i].early)
		peer_get(&b, rows[_i].second);
	ck_assert_uint_eq(nfars, rows[_i].fetches);
	ck_assert_int_eq(far_data(0, "body"), 0);
	far_done(0, 0);
	if (nfars == 2)
		far_answer(1, buf_cstr(&head), "body");
	ck_assert(a.ended && b.ended);
	buf_fini(&head);
	peer_fini(&a);
	peer_fini(&b);
}
END_TEST

/* The first leaves, others stay: at each stage they get the whole, with heads for anybody. */
START_TEST(first_leaves)
{
	struct peer a = {0}, b = {0}, c = {0};

	peer_get(&a, "");
	peer_get(&b, "");
	if (_i == 0)
		peer_leave(&a);
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Set-Cookie2: x\r\nContent-Length: 8\r\n"), 0);
	if (_i == 1)
		peer_leave(&a);
	ck_assert_int_eq(far_data(0, "half"), 0);
	if (_i == 2)
		peer_leave(&a);
	peer_get(&c, "");
	ck_assert_int_eq(far_data(0, "half"), 0);
	if (_i == 3)
		peer_leave(&a);
	far_done(0, 0);
	peer_got(&b, 200, "halfhalf");
	peer_got(&c, 200, "halfhalf");
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
	store_settle();
	ck_assert_uint_eq(nfars, 1);
	ck_assert_uint_eq(fake_store.nrows, 1);
}
END_TEST

/* The last one leaves: finish_percent and finish_bytes decide (and nothing is half stored). */
START_TEST(all_leave)
{
	static const struct {
		const char *head;
		unsigned have;
		enum { AUTO, ALWAYS, NEVER } finish;
		bool goes_on;
	} rows[] = {
		{OK_HEAD FRESH "Content-Length: 100000\r\n", 10000, AUTO, false},
		{OK_HEAD FRESH "Content-Length: 100000\r\n", 60000, AUTO, true},
		{OK_HEAD FRESH "Content-Length: 1000\r\n", 1, AUTO, true},
		{OK_HEAD FRESH, 60000, AUTO, false},
		{OK_HEAD "Content-Length: 100000\r\n", 60000, AUTO, false},
		{OK_HEAD "Content-Length: 60000\r\n", 60000, AUTO, true},
		{NULL, 0, AUTO, false},
		{OK_HEAD FRESH "Content-Length: 100000\r\n", 10000, ALWAYS, true},
		{OK_HEAD FRESH, 1, ALWAYS, true},
		{OK_HEAD "Content-Length: 100000\r\n", 60000, ALWAYS, false},
		{NULL, 0, ALWAYS, true},
		{NULL, 0, NEVER, false},
		{OK_HEAD FRESH "Content-Length: 1000\r\n", 999, NEVER, false},
		{OK_HEAD FRESH "Content-Length: 1000\r\n", 1000, NEVER, true},
	};
	struct peer a = {0};

	rig.options.finish = rows[_i].finish;
	peer_get(&a, "");
	if (rows[_i].head)
		ck_assert_int_eq(far_head(0, rows[_i].head), 0);
	if (rows[_i].have)
		ck_assert_int_eq(far_fill(0, 'x', rows[_i].have), 0);
	peer_leave(&a);
	ck_assert_int_eq(!far(0)->cancelled, rows[_i].goes_on);
	if (rows[_i].goes_on)
		far_done(0, LARDER_ECLOSED);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 0);
	ck_assert_uint_eq(exchange_env_busy(rig.env), 0);
	peer_fini(&a);
}
END_TEST

/* exchange_sent inside any of the calls, alone and with another reader before or behind. */
START_TEST(leaves_inside_calls)
{
	static const enum leave where[] = {LEAVE_INTERIM, LEAVE_REPLY, LEAVE_DATA, LEAVE_END, LEAVE_ABORT};
	enum leave leave = where[_i % 5];
	unsigned others = (unsigned)_i / 5;
	struct peer a = {.leave = leave}, b = {.leave = others == 2 ? leave : LEAVE_NEVER}, c = {0};

	if (others == 3)
		peer_get(&c, "");
	peer_get(&a, "");
	if (others)
		peer_get(&b, "");
	far_interim(0, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n");
	if (!far(0)->cancelled)
		far_head(0, OK_HEAD FRESH);
	if (!far(0)->cancelled)
		far_fill(0, 'x', 3000);
	if (!far(0)->cancelled)
		far_fill(0, 'x', 3000);
	if (!far(0)->cancelled)
		far_done(0, leave == LEAVE_ABORT ? LARDER_ECLOSED : 0);
	if (others == 1 || others == 3)
		ck_assert_uint_eq(b.body.len, 6000);
	peer_fini(&a);
	if (others)
		peer_fini(&b);
	if (others == 3)
		peer_fini(&c);
	store_settle();
}
END_TEST

/* What breaks off must not look complete, is not stored, and is fetched again. */
START_TEST(breaks_off)
{
	struct peer a = {0}, b = {0}, c = {0};

	peer_get(&a, "");
	peer_get(&b, "");
	ck_assert_int_eq(far_head(0, _i ? OK_HEAD FRESH : OK_HEAD FRESH "Content-Length: 9\r\n"), 0);
	ck_assert_int_eq(far_data(0, "half"), 0);
	far_done(0, LARDER_ECLOSED);
	ck_assert(a.aborted && b.aborted && !a.ended && !b.ended);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 0);
	peer_get(&c, "");
	ck_assert_uint_eq(nfars, 2);
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
}
END_TEST

/* The origin cannot be reached: everybody who waited hears it, with a page and Proxy-Status (RFC 9209). */
START_TEST(fails_for_all)
{
	struct peer a = {0}, b = {0};

	peer_get(&a, "");
	peer_get(&b, "Accept: text/html\r\n");
	far_done(0, LARDER_ECONNECT);
	ck_assert_uint_eq(a.status, 502);
	ck_assert_uint_eq(b.status, 502);
	ck_view_eq(peer_field(&a, "Proxy-Status"),
	           "tester; error=connection_terminated; next-hop=\"a.example\"; details=\"The origin failed.\"");
	ck_assert(peer_has(&b, "text/html"));
	ck_assert_uint_eq(nfars, 1);
	peer_fini(&a);
	peer_fini(&b);
}
END_TEST

/* A key that could not be shared is not queued for again; one client's no-store says nothing of it. */
START_TEST(remembers_unshareable)
{
	struct peer a = {0}, b = {0}, c = {0};

	peer_get(&a, _i ? "Cache-Control: no-store\r\n" : "");
	far_answer(0, _i ? OK_HEAD FRESH "Content-Length: 1\r\n" : OK_HEAD "Cache-Control: private\r\nContent-Length: 1\r\n", "x");
	peer_get(&b, "");
	peer_get(&c, "");
	ck_assert_uint_eq(nfars, _i ? 2 : 3);
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
}
END_TEST

static void get_path(struct peer *p, const char *path, const char *fields)
{
	struct buf b;

	buf_init(&b, 4096);
	buf_printf(&b, "GET http://a.example%s HTTP/1.1\r\nHost: a.example\r\n%s\r\n", path, fields);
	peer_ask(p, &rig.forward, buf_cstr(&b));
	buf_fini(&b);
}

/* What a folder's answers were tells whether two that ask for a further URL of it wait for each other. */
START_TEST(learns_of_siblings)
{
	static const struct {
		int64_t siblings;
		const char *first, *second, *third, *path, *fields;
		bool third_shared, waits, missing;
	} rows[] = {
		{3, "/d/a", "/d/b", "/d/c", "/d/x", "", false, false, false},
		{3, "/d/a", "/d/b", "/d/c", "/d/x?q=/e/f", "", false, false, false},
		{3, "/d/a?q=/1", "/d/a?q=/2", "/d/a?q=/3", "/d/x", "", false, false, false},
		{2, "/d/a", "/d/b", "/e/c", "/d/x", "", false, false, false},
		{1, "/e/b", "/e/c", "/d/a", "/d/x", "", false, false, false},
		/* too few, the same one again, another folder, one above or below, none at all, the option's off */
		{3, "/d/a", "/d/b", "/e/c", "/d/x", "", false, true, false},
		{3, "/d/a", "/d/b", "/d/b", "/d/x", "", false, true, false},
		{3, "/d/a", "/d/b", "/d/c", "/e/x", "", false, true, false},
		{3, "/d/a", "/d/b", "/d/c", "/x", "", false, true, false},
		{3, "/d/a", "/d/b", "/d/c", "/d/e/x", "", false, true, false},
		{0, "/d/a", "/d/b", "/d/c", "/d/x", "", false, true, false},
		/* others are answered otherwise who are known */
		{3, "/d/a", "/d/b", "/d/c", "/d/x", "Cookie: a=b\r\n", false, true, false},
		{3, "/d/a", "/d/b", "/d/c", "/d/x", "Authorization: Basic eA==\r\n", false, true, false},
		/* one could be shared */
		{3, "/d/a", "/d/b", "/d/c", "/d/x", "", true, true, false},
		{1, "/d/a", "/d/b", "/d/c", "/d/x", "", true, true, false},
		/* what is not there tells nothing of what is */
		{1, "/d/a", "/d/b", "/d/c", "/d/x", "", false, true, true},
	};
	const char *const paths[] = {rows[_i].first, rows[_i].second, rows[_i].third};
	struct peer a = {0}, b = {0};
	unsigned before;
	uint64_t skipped;

	rig.options.unshareable_siblings = rows[_i].siblings;
	for (unsigned i = 0; i < 3; i++) {
		struct peer p = {0};

		get_path(&p, paths[i], "");
		far_answer(nfars - 1, i == 2 && rows[_i].third_shared ? OK_HEAD FRESH "Content-Length: 1\r\n" :
		           rows[_i].missing ? "HTTP/1.1 404 Not Found\r\nCache-Control: private\r\nContent-Length: 1\r\n" :
		                              OK_HEAD "Cache-Control: private\r\nContent-Length: 1\r\n", "x");
		peer_fini(&p);
	}
	store_settle();
	before = nfars;
	skipped = rig.stats.not_awaited;
	get_path(&a, rows[_i].path, rows[_i].fields);
	get_path(&b, rows[_i].path, rows[_i].fields);
	ck_assert_uint_eq(nfars, before + (rows[_i].waits ? 1 : 2));
	ck_assert_uint_eq(rig.stats.not_awaited - skipped, rows[_i].waits ? 0 : 2);
	peer_fini(&a);
	peer_fini(&b);
}
END_TEST

/* What was not for others of an answer to credentials says nothing of what comes without any. */
START_TEST(learns_by_credentials)
{
	static const struct {
		const char *first, *then;
		bool waits;
	} rows[] = {
		{"Cookie: a=b\r\n", "", true},
		{"Authorization: Basic eA==\r\n", "", true},
		{"Cookie: a=b\r\n", "Cookie: c=d\r\n", false},
		{"Cookie: a=b\r\n", "Authorization: Basic eA==\r\n", false},
		{"", "", false},
		{"", "Cookie: a=b\r\n", false},
	};
	struct peer p = {0}, a = {0}, b = {0};

	get_path(&p, "/x", rows[_i].first);
	far_answer(0, OK_HEAD "Cache-Control: private\r\nContent-Length: 1\r\n", "x");
	peer_fini(&p);
	store_settle();
	get_path(&a, "/x", rows[_i].then);
	get_path(&b, "/x", rows[_i].then);
	ck_assert_uint_eq(nfars, rows[_i].waits ? 2 : 3);
	peer_fini(&a);
	peer_fini(&b);
}
END_TEST

static void wait_until(uint64_t ms)
{
	while (net_loop_now_ms(rig.loop) < ms)
		rig_settle();
}

/* Option collapse_wait: each waits for a head for so long, the one who asks and who has one already for ever. */
START_TEST(patience_ends)
{
	struct peer a = {0}, b = {0}, c = {0};
	uint64_t began = net_loop_now_ms(rig.loop);
	bool headed = _i == 1;

	rig.options.collapse_wait = _i == 2 ? 0 : 20;
	peer_get(&a, "");
	peer_get(&b, "");
	peer_get(&c, "");
	ck_assert_uint_eq(nfars, 1);
	if (headed)
		ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Content-Length: 4\r\n"), 0);
	wait_until(began + 30);
	ck_assert_uint_eq(nfars, _i == 0 ? 3 : 1);
	ck_assert_uint_eq(rig.stats.waited_out, _i == 0 ? 2 : 0);
	if (_i == 0) {
		far_answer(2, OK_HEAD FRESH "Content-Length: 5\r\n", "other");
		peer_got(&c, 200, "other");
		ck_assert(peer_has(&c, "detail=collapse-wait"));
		far_answer(1, OK_HEAD FRESH "Content-Length: 5\r\n", "third");
		peer_got(&b, 200, "third");
	}
	if (!headed)
		ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Content-Length: 4\r\n"), 0);
	ck_assert_int_eq(far_data(0, "body"), 0);
	far_done(0, 0);
	peer_got(&a, 200, "body");
	ck_assert(!peer_has(&a, "collapse-wait"));
	if (_i) {
		peer_got(&b, 200, "body");
		peer_got(&c, 200, "body");
	}
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
}
END_TEST

static bool only_me(const struct addr *client, const struct addr *dest)
{
	(void)dest;
	return addr_port(client) == 0;
}

/* What another client fetched from an address that this one may not reach. */
START_TEST(destinations_are_judged)
{
	struct peer a = {0}, b = {0}, c = {0};

	peer_get(&a, "");
	peer_get(&b, "");
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Content-Length: 4\r\n"), 0);
	rig.may_reach = only_me;
	peer_get(&c, "");
	ck_assert_uint_eq(a.status, 200);
	ck_assert_uint_eq(b.status, 200);
	ck_assert_uint_eq(c.status, 403);
	ck_assert_int_eq(far_data(0, "body"), 0);
	far_done(0, 0);
	store_settle();
	peer_fini(&c);
	peer_get(&c, "");
	ck_assert_uint_eq(c.status, 403);
	ck_view_eq(peer_field(&c, "Cache-Status"), "tester; detail=reach_private");
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
}
END_TEST

/* The end of a process: commits, updates and removals under way, and fills nobody waits for. */
START_TEST(ends_with_work_under_way)
{
	struct peer a = {0}, b = {0};

	peer_get(&a, "");
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Content-Length: 4\r\n"), 0);
	ck_assert_int_eq(far_data(0, "body"), 0);
	if (_i != 1)
		far_done(0, 0);
	peer_fini(&a);
	if (_i == 2) {
		peer_ask(&b, &rig.forward, "DELETE http://a.example/x HTTP/1.1\r\nHost: a.example\r\n");
		ck_assert_int_eq(far_head(1, "HTTP/1.1 204 No Content\r\n"), 0);
		far_done(1, 0);
		peer_fini(&b);
	}
	exchange_env_abandon(rig.env);
	ck_assert_uint_eq(exchange_env_busy(rig.env), _i == 2 ? 2 : _i == 1 ? 0 : 1);
}
END_TEST

/* A slow store holds back what is fetched, not what may be fetched. */
START_TEST(waiting_to_be_written_is_no_fetch)
{
	struct peer a = {0}, b = {0}, c = {0};

	rig.options.fills_max = 1;
	peer_get(&a, "");
	far_answer(0, OK_HEAD FRESH "Content-Length: 4\r\n", "body");
	peer_got(&a, 200, "body");
	peer_ask(&b, &rig.forward, "GET http://a.example/other HTTP/1.1\r\nHost: a.example\r\n");
	ck_assert_uint_eq(nfars, 2);
	/* This one would be the second that runs. */
	peer_ask(&c, &rig.forward, "GET http://a.example/third HTTP/1.1\r\nHost: a.example\r\n");
	ck_assert_uint_eq(c.status, 503);
	far_answer(1, OK_HEAD FRESH "Content-Length: 4\r\n", "more");
	peer_got(&b, 200, "more");
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 2);
}
END_TEST

/* A store without room holds the origin back, not the client's way to what is there, nor other fetches. */
START_TEST(store_holds_back)
{
	struct peer a = {0}, b = {0};

	rig.options.fills_max = 1;
	peer_get(&a, "");
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Content-Length: 8\r\n"), 0);
	ck_assert_int_eq(far_data(0, "some"), 0);
	fake_store.full = true;
	ck_assert_int_eq(far_data(0, "more"), ORIGIN_PAUSE);
	ck_view_eq(buf_view(&a.body), "some");
	ck_assert_uint_eq(far(0)->resumes, 0);
	peer_ask(&b, &rig.forward, "GET http://a.example/other HTTP/1.1\r\nHost: a.example\r\n");
	ck_assert_uint_eq(nfars, 2);
	if (_i == 0) { /* room was made */
		ck_assert_uint_eq(store_make_room(), 1);
		ck_assert_uint_eq(far(0)->resumes, 1);
		ck_assert_int_eq(far_data(0, "more"), 0);
		far_done(0, 0);
		peer_got(&a, 200, "somemore");
	} else if (_i == 1) { /* there will not be any: the client gets it all the same */
		fake_store.spool_max = 4;
		ck_assert_uint_eq(store_make_room(), 1);
		ck_assert_int_eq(far_data(0, "more"), 0);
		far_done(0, 0);
		peer_got(&a, 200, "somemore");
		fake_store.spool_max = UINT64_MAX;
	} else { /* the client leaves, the origin fails: nobody waits any more */
		if (_i == 2)
			rig.options.finish_percent = 100, rig.options.finish_bytes = 0, peer_leave(&a);
		else
			far_done(0, LARDER_ETIMEOUT);
		ck_assert_uint_eq(store_make_room(), 0);
	}
	far_answer(1, OK_HEAD FRESH "Content-Length: 5\r\n", "other");
	peer_got(&b, 200, "other");
	peer_fini(&a);
	peer_fini(&b);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, _i == 0 ? 2 : 1);
}
END_TEST

UNIT_MAIN("exchange/fill", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_loop_test(tc, miss_then_hit, 0, 2); tcase_add_test(tc, many_share_one_fetch);
          tcase_add_loop_test(tc, joins, 0, 21); tcase_add_loop_test(tc, first_leaves, 0, 4);
          tcase_add_loop_test(tc, all_leave, 0, 14); tcase_add_loop_test(tc, leaves_inside_calls, 0, 20);
          tcase_add_loop_test(tc, breaks_off, 0, 2); tcase_add_test(tc, fails_for_all);
          tcase_add_loop_test(tc, remembers_unshareable, 0, 2);
          tcase_add_loop_test(tc, learns_of_siblings, 0, 16);
	  tcase_add_loop_test(tc, learns_by_credentials, 0, 6); tcase_add_loop_test(tc, patience_ends, 0, 3);
          tcase_add_test(tc, destinations_are_judged);
          tcase_add_test(tc, waiting_to_be_written_is_no_fetch);
          tcase_add_loop_test(tc, store_holds_back, 0, 4);
          tcase_add_loop_test(tc, ends_with_work_under_way, 0, 3);)
