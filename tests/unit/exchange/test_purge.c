/* PURGE, and purges that come while something is fetched. */
#include "base/error.h"
#include "rig.h"

#define FRESH OK_HEAD "Cache-Control: max-age=60\r\n"
#define KEY   "GET http://a.example/x"

static void ask_purge(struct peer *p, const char *more)
{
	char text[512];
	struct buf b;

	buf_init(&b, sizeof(text));
	buf_printf(&b, "PURGE http://a.example/x HTTP/1.1\r\nHost: a.example\r\n%s", more);
	ck_assert(view_copy(buf_view(&b), text, sizeof(text)));
	buf_fini(&b);
	peer_ask(p, &rig.forward, text);
}

static void fill(const char *head, const char *body)
{
	struct peer p = {.room = SIZE_MAX};
	unsigned n = nfars;

	peer_get(&p, "");
	far_answer(n, head, body);
	peer_fini(&p);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 1);
}

/* Answered once the store has done it; and no request goes to the origin. */
START_TEST(answers)
{
	struct peer p = {0}, again = {0};

	fill(FRESH "Content-Length: 3\r\n", "old");
	ask_purge(&p, _i ? "Soft-Purge: 1\r\n" : "");
	ck_assert_uint_eq(p.replies, 0);
	store_settle();
	peer_got(&p, 200, _i ? "marked 1 responses stale\n" : "purged 1 responses\n");
	ck_assert_uint_eq(fake_store.nrows, 0);
	ask_purge(&again, "");
	store_settle();
	peer_got(&again, 404, "nothing is stored for this URL\n");
	ck_assert_uint_eq(nfars, 1);
	peer_fini(&p);
	peer_fini(&again);
	ck_assert_uint_eq(rig.stats.purges, 2);
}
END_TEST

START_TEST(client_leaves)
{
	struct peer p = {0};

	fill(FRESH "Content-Length: 3\r\n", "old");
	ask_purge(&p, "");
	peer_leave(&p);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 0);
	peer_fini(&p);
}
END_TEST

START_TEST(store_refuses)
{
	struct peer p = {0};

	fill(FRESH "Content-Length: 3\r\n", "old");
	fake_store.refuse = true;
	ask_purge(&p, "");
	ck_assert_uint_eq(p.status, 503);
	fake_store.refuse = false;
	peer_fini(&p);
}
END_TEST

static void purge_of_many(const char *key)
{
	fake_store.purges++;
	fake_store.purged = key;
}

/* At what moment the purge comes; who comes later is not given what was fetched before, in this process or another. */
static const char *const moments[] = {"sent", "head", "body", "end"};

START_TEST(meets_a_fill)
{
	const char *moment = moments[_i / 4];
	bool other = _i & 1, meant = _i & 2;
	struct peer a = {.room = SIZE_MAX}, b = a, c = a;

	rig_open_pool();
	peer_get(&a, "");
	if (strcmp(moment, "sent") != 0)
		far_head(0, FRESH "Content-Length: 4\r\n");
	if (!strcmp(moment, "body") || !strcmp(moment, "end"))
		far_data(0, "ol");
	if (!strcmp(moment, "end")) {
		far_data(0, "d!");
		far_done(0, 0);
	}
	purge_of_many(meant ? KEY : "GET http://elsewhere.example/");
	if (other)
		rig_swap();
	peer_get(&b, "");
	if (other)
		rig_swap();
	rig_settle();
	ck_assert_msg(nfars == (meant ? 2 : 1), "%s: %u", moment, nfars);
	if (!strcmp(moment, "sent"))
		far_head(0, FRESH "Content-Length: 4\r\n");
	if (!strcmp(moment, "sent") || !strcmp(moment, "head"))
		far_data(0, "ol");
	if (strcmp(moment, "end") != 0) {
		far_data(0, "d!");
		far_done(0, 0);
	}
	if (meant)
		far_answer(1, FRESH "Content-Length: 3\r\n", "new");
	rig_settle();
	store_settle();
	rig_settle();
	peer_got(&a, 200, "old!");
	peer_got(&b, 200, meant ? "new" : "old!");
	ck_assert_uint_eq(fake_store.nrows, 1);
	peer_get(&c, "");
	peer_got(&c, 200, meant ? "new" : "old!");
	peer_fini(&a);
	peer_fini(&b);
	peer_fini(&c);
	rig_settle();
	rig_close();
}
END_TEST

/* A 304 to a validation that began before the purge does not freshen. */
START_TEST(meets_a_validation)
{
	struct peer p = {.room = SIZE_MAX};

	fill(OK_HEAD "Cache-Control: max-age=1\r\nETag: \"1\"\r\nContent-Length: 3\r\n", "old");
	rig.now += 10;
	peer_get(&p, "");
	ck_assert(far_asked(1, "If-None-Match: \"1\""));
	if (_i)
		purge_of_many(KEY);
	far_answer(1, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: max-age=50\r\n", "");
	store_settle();
	peer_got(&p, 200, "old");
	ck_assert_uint_eq(fake_store.updates, !_i);
	peer_fini(&p);
}
END_TEST

static void open_one(void)
{
	rig_open();
}

static void close_one(void)
{
	rig_settle();
	rig_close();
}

int main(void)
{
	Suite *suite = suite_create("exchange/purge");
	TCase *one = tcase_create("one process"), *pool = tcase_create("a pool");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(one, open_one, close_one);
	tcase_add_loop_test(one, answers, 0, 2);
	tcase_add_test(one, client_leaves);
	tcase_add_test(one, store_refuses);
	tcase_add_loop_test(one, meets_a_validation, 0, 2);
	tcase_add_loop_test(pool, meets_a_fill, 0, 16);
	suite_add_tcase(suite, one);
	suite_add_tcase(suite, pool);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
