/* Who waits for whose fetch, in one process and in another, and who does not. */
#include "rig.h"

#include <string.h>

#include "base/clock.h"
#include "base/error.h"

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

/* Those who wait for another's variant begin again together, and where it is known what a key varies by, nobody waits
 * for one that is not his. */
START_TEST(variants)
{
	struct peer a, b, c = {.room = SIZE_MAX}, d = {.room = SIZE_MAX}, e = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&a, "Accept-Language: en\r\n");
	other_get(&b, "Accept-Language: fr\r\n");
	peer_get(&c, "Accept-Language: fr\r\n");
	peer_get(&d, "Accept-Language: de\r\n");
	other_get(&e, "Accept-Language: fr\r\n");
	rig_settle();
	ck_assert_uint_eq(nfars, 1);
	far_answer(0, FRESH "Vary: Accept-Language\r\nContent-Length: 1\r\n", "e");
	rig_settle();
	ck_assert_uint_eq(nfars, 3);
	for (unsigned i = 1; i < 3; i++) {
		bool french = far_asked(i, "Accept-Language: fr");

		far_answer(i, FRESH "Vary: Accept-Language\r\nContent-Length: 1\r\n", french ? "f" : "d");
	}
	rig_settle();
	peer_got(&a, 200, "e");
	peer_got(&b, 200, "f");
	peer_got(&c, 200, "f");
	peer_got(&d, 200, "d");
	peer_got(&e, 200, "f");
	peer_fini(&c);
	peer_fini(&d);
	peer_fini(&e);
	peer_fini(&b);
	store_settle();
	/* Known from what is stored. */
	c = d = e = b = (struct peer){.room = SIZE_MAX};
	peer_get(&b, "Accept-Language: it\r\n");
	other_get(&c, "Accept-Language: es\r\n");
	other_get(&d, "Accept-Language: it\r\n");
	peer_get(&e, "Accept-Language: es\r\n");
	rig_settle();
	ck_assert_uint_eq(nfars, 5);
	far_answer(3, FRESH "Vary: Accept-Language\r\nContent-Length: 1\r\n", "i");
	far_answer(4, FRESH "Vary: Accept-Language\r\nContent-Length: 1\r\n", "s");
	rig_settle();
	peer_got(&b, 200, "i");
	peer_got(&c, 200, "s");
	peer_got(&d, 200, "i");
	peer_got(&e, 200, "s");
	ck_assert_uint_eq(nfars, 5);
	peer_fini(&c);
	peer_fini(&d);
	peer_fini(&e);
	teardown(&a, &b);
}
END_TEST

/* RFC 9111 §3.5: what keeps an answer from others is the credentials of who asked: the others still share. */
START_TEST(credentials)
{
	struct peer a, b, c = {.room = SIZE_MAX}, d = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&a, "Authorization: Basic eA==\r\n");
	other_get(&b, "");
	peer_get(&c, "");
	other_get(&d, "Authorization: Basic eQ==\r\n");
	rig_settle();
	ck_assert_uint_eq(nfars, 1);
	far_answer(0, FRESH "Content-Length: 1\r\n", "a");
	rig_settle();
	ck_assert_uint_eq(nfars, 3);
	for (unsigned i = 1; i < 3; i++)
		far_answer(i, FRESH "Content-Length: 1\r\n", far_asked(i, "Authorization: Basic eQ==") ? "d" : "b");
	rig_settle();
	peer_got(&a, 200, "a");
	peer_got(&b, 200, "b");
	peer_got(&c, 200, "b");
	peer_got(&d, 200, "d");
	peer_fini(&c);
	peer_fini(&d);
	teardown(&a, &b);
}
END_TEST

/* An error is not for others, but it says nothing about what comes after it. */
START_TEST(errors_are_not_remembered)
{
	struct peer a, b;

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_answer(0, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n", "");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	far_answer(1, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n", "");
	ck_assert(a.status == 503 && b.status == 503);
	peer_fini(&a);
	peer_fini(&b);
	a = b = (struct peer){.room = SIZE_MAX};
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	ck_assert_uint_eq(nfars, 3);
	far_answer(2, FRESH "Content-Length: 1\r\n", "x");
	rig_settle();
	peer_got(&a, 200, "x");
	peer_got(&b, 200, "x");
	teardown(&a, &b);
}
END_TEST

/* HEAD has the head of a GET that is on its way, in its own process or another; alone it asks for itself. */
START_TEST(head_waits_for_get)
{
	struct peer a, b;

	setup(&a, &b);
	if (_i < 2)
		peer_get(&a, "");
	if (_i == 0)
		rig_swap();
	peer_ask(&b, &rig.forward, "HEAD http://a.example/x HTTP/1.1\r\nHost: a.example\r\n");
	if (_i == 0)
		rig_swap();
	rig_settle();
	ck_assert_uint_eq(nfars, 1);
	if (_i == 2) {
		peer_get(&a, "");
		ck_assert_uint_eq(nfars, 2);
		far_answer(0, FRESH "Content-Length: 3\r\n", "");
	}
	far_answer(nfars - 1, FRESH "Content-Length: 3\r\n", "abc");
	rig_settle();
	peer_got(&a, 200, "abc");
	ck_assert(b.status == 200 && b.no_body);
	ck_view_eq(peer_field(&b, "Content-Length"), "3");
	ck_assert_uint_eq(b.body.len, 0);
	teardown(&a, &b);
}
END_TEST

/* Option owner_silence: an owner whose origin says nothing for long is asked, and still there. */
START_TEST(owner_waits)
{
	struct peer a, b;
	uint64_t end;

	setup(&a, &b);
	rig.options.owner_silence = 100;
	peer_get(&a, "");
	other_get(&b, "");
	end = clock_mono_ms() + 250;
	while (clock_mono_ms() < end)
		rig_settle();
	ck_assert_uint_eq(rig.stats.owners_silent, 0);
	ck_assert_uint_eq(nfars, 1);
	far_answer(0, FRESH "Content-Length: 1\r\n", "x");
	rig_settle();
	peer_got(&a, 200, "x");
	peer_got(&b, 200, "x");
	teardown(&a, &b);
}
END_TEST

/* What was meant for one that has left the flight is nothing to the next, which joins before it comes. */
START_TEST(leaves_and_comes_back)
{
	struct peer a, b, c = {.room = SIZE_MAX};

	setup(&a, &b);
	peer_get(&a, "");
	other_get(&b, "");
	rig_settle();
	far_head(0, FRESH "Content-Length: 2\r\n");
	if (_i)
		far_data(0, "x");
	peer_leave(&b);
	other_get(&c, "");
	rig_settle();
	far_data(0, _i ? "y" : "xy");
	far_done(0, 0);
	rig_settle();
	peer_got(&a, 200, "xy");
	peer_got(&c, 200, "xy");
	ck_assert_uint_eq(nfars, 1);
	peer_fini(&c);
	teardown(&a, &b);
}
END_TEST

static const char *const stored_heads[] = {
	OK_HEAD "Cache-Control: max-age=1\r\nETag: \"1\"\r\nContent-Length: 3\r\n",
	OK_HEAD "Cache-Control: max-age=1, stale-if-error=600\r\nETag: \"1\"\r\nContent-Length: 3\r\n",
	OK_HEAD "Cache-Control: no-cache\r\nETag: \"1\"\r\nContent-Length: 3\r\n",
};

/* RFC 9111 §4.3.3: a stored response that is validated for clients of two processes: one request, and what becomes of it.
 * `more`: how often the origin is asked again, by those who can't have the answer. */
static const struct {
	unsigned stored;
	const char *answer; /* NULL: it can't be reached */
	unsigned more, status;
	const char *body;
} validations[] = {
	{0, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: max-age=50\r\n", 0, 200, "old"},
	{2, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nCache-Control: no-cache\r\n", 0, 200, "old"},
	/* It speaks of something else: fetched anew, once. */
	{0, "HTTP/1.1 304 Not Modified\r\nETag: \"2\"\r\nCache-Control: max-age=50\r\n", 1, 200, "new"},
	{0, FRESH "ETag: \"2\"\r\nContent-Length: 3\r\n", 0, 200, "new"},
	{0, "HTTP/1.1 404 Not Found\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n", 0, 404, "new"},
	{0, "HTTP/1.1 410 Gone\r\nCache-Control: no-store\r\nContent-Length: 3\r\n", 2, 410, "new"},
	{0, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n", 2, 500, "new"},
	{1, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n", 0, 200, "old"},
	{1, NULL, 0, 200, "old"},
	{0, NULL, 0, 502, NULL},
};

START_TEST(validated_for_all)
{
	struct peer a, b, c = {.room = SIZE_MAX}, p = {.room = SIZE_MAX};
	const char *answer = validations[_i].answer;

	setup(&a, &b);
	peer_get(&p, "");
	far_answer(0, stored_heads[validations[_i].stored], "old");
	store_settle();
	peer_fini(&p);
	rig.now += 10;
	peer_get(&a, "");
	other_get(&b, "");
	peer_get(&c, "");
	rig_settle();
	ck_assert_uint_eq(nfars, 2);
	if (answer)
		far_answer(1, answer, strstr(answer, "304") ? "" : "new");
	else
		far_done(1, LARDER_ECONNECT);
	rig_settle();
	for (unsigned i = 0; i < validations[_i].more; i++) {
		ck_assert_uint_gt(nfars, 2 + i);
		far_answer(2 + i, strstr(answer, "304") ? FRESH "ETag: \"2\"\r\nContent-Length: 3\r\n" : answer, "new");
		rig_settle();
	}
	ck_assert_uint_eq(nfars, 2 + validations[_i].more);
	ck_assert_uint_eq(b.status, validations[_i].status);
	if (validations[_i].body) {
		peer_got(&a, validations[_i].status, validations[_i].body);
		peer_got(&b, validations[_i].status, validations[_i].body);
		peer_got(&c, validations[_i].status, validations[_i].body);
	}
	store_settle();
	peer_fini(&c);
	teardown(&a, &b);
}
END_TEST

/* Very many readers of one fetch are told once a turn; it may end, and they may leave, before that. 0: ends well, 1: breaks
 * off, 2: all leave, 3: some leave. */
START_TEST(many_readers)
{
	enum { MANY = 20 };
	struct peer p[MANY];

	rig_open();
	for (unsigned i = 0; i < MANY; i++) {
		p[i] = (struct peer){.room = SIZE_MAX};
		peer_get(&p[i], "");
	}
	ck_assert_uint_eq(nfars, 1);
	far_head(0, FRESH "Content-Length: 6\r\n");
	far_data(0, "ab");
	rig_settle();
	for (unsigned i = 0; i < MANY; i++)
		ck_view_eq(buf_view(&p[i].body), "ab");
	far_data(0, "cd");
	for (unsigned i = 0; _i >= 2 && i < MANY - (_i == 3 ? 5 : 0); i++)
		peer_leave(&p[i]);
	if (_i != 2) {
		if (_i != 1)
			far_data(0, "ef");
		far_done(0, _i == 1 ? LARDER_ECLOSED : 0);
	}
	rig_settle();
	ck_assert_int_eq(far(0)->cancelled, false);
	if (_i == 2) { /* little is left: it goes on */
		far_data(0, "ef");
		far_done(0, 0);
	}
	store_settle();
	ck_assert_uint_eq(fake_store.commits, _i != 1);
	for (unsigned i = 0; i < MANY; i++) {
		if (_i == 1)
			ck_assert(p[i].aborted);
		else if (_i == 0 || (_i == 3 && i >= MANY - 5))
			peer_got(&p[i], 200, "abcdef");
		peer_fini(&p[i]);
	}
	rig_close();
}
END_TEST

UNIT_MAIN("exchange/join", tcase_add_test(tc, variants); tcase_add_test(tc, credentials);
          tcase_add_test(tc, errors_are_not_remembered); tcase_add_loop_test(tc, head_waits_for_get, 0, 3);
          tcase_add_test(tc, owner_waits);
          tcase_add_loop_test(tc, leaves_and_comes_back, 0, 2);
          tcase_add_loop_test(tc, validated_for_all, 0, 10); tcase_add_loop_test(tc, many_readers, 0, 4);)
