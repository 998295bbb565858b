/* What is stored but not in memory: read by other threads first, while the client waits or leaves. */
#include "rig.h"

#define KEPT   OK_HEAD "Cache-Control: max-age=60\r\nContent-Length: 3\r\n"
#define VARIED OK_HEAD "Cache-Control: max-age=60\r\nVary: X-Kind\r\nContent-Length: 3\r\n"

static void stored(const char *head)
{
	struct peer p = {0};

	peer_get(&p, "");
	far_answer(0, head, "abc");
	peer_fini(&p);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 1);
	fake_store.cold = true;
}

static void let_read(void)
{
	while (fake_store.warming)
		net_loop_run(rig.loop);
}

START_TEST(reads_come_first)
{
	static const struct {
		const char *head, *more;
		bool files, maps;
		const char *body;
		unsigned status, reads;
	} rows[] = {
		{KEPT, "", false, false, "abc", 200, 1},
		{VARIED, "", false, false, "abc", 200, 2}, /* the marker, then the variant */
		{KEPT, "", true, false, "abc", 200, 2},    /* the row, then the body */
		{KEPT, "", true, true, "abc", 200, 2},
		{KEPT, "Range: bytes=1-1\r\n", true, true, "b", 206, 2},
	};
	struct peer p = {.prefers_memory = rows[_i].maps};

	fake_store.files = rows[_i].files;
	stored(rows[_i].head);
	peer_get(&p, rows[_i].more);
	ck_assert_uint_eq(p.replies, 0);
	let_read();
	peer_got(&p, rows[_i].status, rows[_i].body);
	ck_assert_uint_eq(fake_store.warmed, rows[_i].reads);
	ck_assert_uint_eq(nfars, 1);
	peer_fini(&p);
}
END_TEST

START_TEST(what_is_not_there_is_fetched)
{
	struct peer p = {0};

	fake_store.cold = true;
	peer_get(&p, "");
	ck_assert_uint_eq(nfars, 0);
	let_read();
	ck_assert_uint_eq(nfars, 1);
	far_answer(0, KEPT, "abc");
	peer_got(&p, 200, "abc");
	peer_fini(&p);
	store_settle();
}
END_TEST

/* No thread is free: then the loop reads by itself. */
START_TEST(nobody_waits_for_a_full_pool)
{
	struct peer p = {0};

	fake_store.files = true;
	stored(KEPT);
	fake_store.warm_busy = true;
	peer_get(&p, "");
	peer_got(&p, 200, "abc");
	ck_assert_uint_eq(fake_store.warmed, 0);
	peer_fini(&p);
}
END_TEST

/* 0: before the row is there, 1: before the body is. */
START_TEST(clients_may_leave_meanwhile)
{
	struct peer p = {0};

	fake_store.files = true;
	stored(KEPT);
	peer_get(&p, "");
	while (_i && !p.replies)
		net_loop_run(rig.loop);
	ck_assert_uint_eq(fake_store.warming, !_i);
	peer_leave(&p);
	let_read();
	ck_assert_uint_eq(p.body.len, _i ? 3 : 0);
	peer_fini(&p);
}
END_TEST

UNIT_MAIN("exchange/cold", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_loop_test(tc, reads_come_first, 0, 5);
          tcase_add_test(tc, what_is_not_there_is_fetched);
          tcase_add_test(tc, nobody_waits_for_a_full_pool);
          tcase_add_loop_test(tc, clients_may_leave_meanwhile, 0, 2);)
