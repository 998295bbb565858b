/* Lookups: what those of one turn of the loop see. */
#include "fixture.h"

#include <poll.h>

#include "store-private.h"

static const struct item old = {.key = "GET http://example.com/a", .body = V("the old one"), .lifetime = 60},
                         new = {.key = "GET http://example.com/a", .body = V("another one"), .lifetime = 60};

/* Queues it and waits, outside the loop, until it has been committed. */
static void commit(struct fix *f, const struct item *it)
{
	uint64_t before = store_commits(f->s), until = clock_mono_ms() + FIX_GUARD_MS;

	ck_assert_int_eq(fix_queue(f, it), 0);
	while (store_commits(f->s) == before) {
		ck_assert(clock_mono_ms() < until);
		poll(NULL, 0, 1);
	}
}

static struct net_loop *running;

static void stop_loop(struct net_task *t)
{
	(void)t;
	net_loop_stop(running);
}

/* What was left to be done in this turn is done. */
static void come_round(struct fix *f)
{
	struct net_task task;

	running = f->loop;
	net_task_init(&task, stop_loop);
	net_task_post(f->loop, &task);
	net_loop_run(f->loop);
}

START_TEST(a_commit_is_seen_within_the_turn)
{
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_get(&f, old.key, NULL, old.body), STORE_NONE);
	commit(&f, &old);
	ck_assert_int_eq(fix_get(&f, old.key, NULL, old.body), STORE_FOUND);
	commit(&f, &new);
	ck_assert_int_eq(fix_get(&f, old.key, NULL, new.body), STORE_FOUND);
	ck_assert_int_eq(fix_wait(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(what_is_held_stays)
{
	struct store_hit first, second;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &old), 0);
	ck_assert_int_eq(fix_find(&f, old.key, NULL, &first), STORE_FOUND);
	commit(&f, &new);
	ck_assert_int_eq(fix_find(&f, new.key, NULL, &second), STORE_FOUND);
	ck_assert(fix_body_is(&second, new.body));
	/* Two more write transactions could use the pages again if nobody held them. */
	commit(&f, &old);
	commit(&f, &new);
	commit(&f, &old);
	ck_assert(fix_body_is(&first, old.body));
	ck_assert(fix_body_is(&second, new.body));
	store_hit_done(f.s, &first);
	store_hit_done(f.s, &second);
	ck_assert_int_eq(fix_get(&f, old.key, NULL, old.body), STORE_FOUND);
	ck_assert_int_eq(fix_wait(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(it_lasts_for_a_turn)
{
	struct store_hit hits[2];
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &old), 0);
	come_round(&f);
	ck_assert(!f.s->turn.live);
	ck_assert_int_eq(fix_find(&f, old.key, NULL, &hits[0]), STORE_FOUND);
	ck_assert_int_eq(fix_find(&f, old.key, NULL, &hits[1]), STORE_FOUND);
	ck_assert_ptr_eq(hits[0].internal[0], hits[1].internal[0]);
	store_hit_done(f.s, &hits[0]);
	store_hit_done(f.s, &hits[1]);
	ck_assert(f.s->turn.live);
	/* Where somebody is late, the next turn has its own. */
	ck_assert_int_eq(fix_find(&f, old.key, NULL, &hits[0]), STORE_FOUND);
	come_round(&f);
	ck_assert(!f.s->turn.live);
	ck_assert_int_eq(fix_find(&f, old.key, NULL, &hits[1]), STORE_FOUND);
	ck_assert_ptr_ne(hits[0].internal[0], hits[1].internal[0]);
	ck_assert(fix_body_is(&hits[0], old.body));
	store_hit_done(f.s, &hits[0]);
	store_hit_done(f.s, &hits[1]);
	ck_assert_int_eq(fix_get(&f, old.key, NULL, old.body), STORE_FOUND);
	/* What is to be written does not wait for it. */
	ck_assert(f.s->turn.live);
	ck_assert_int_eq(fix_queue(&f, &old), 0);
	ck_assert(!f.s->turn.live);
	ck_assert_int_eq(fix_get(&f, old.key, NULL, old.body), STORE_FOUND);
	ck_assert_int_eq(fix_wait(&f), 0);
	fix_reopen(&f);
	ck_assert_int_eq(fix_get(&f, old.key, NULL, old.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/find", tcase_add_test(tc, a_commit_is_seen_within_the_turn);
          tcase_add_test(tc, what_is_held_stays); tcase_add_test(tc, it_lasts_for_a_turn);)
