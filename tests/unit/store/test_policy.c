/* Who enters which queue, whose turn it is, who stays. */
#include "policy.h"
#include "unit.h"

#define MIB (1u << 20)

/* Ten responses of 1,000 bytes on average. */
static const struct policy_load LOAD = {
        .small_bytes = 1000, .main_bytes = 9000, .small_rows = 1, .main_rows = 100, .records = 10};
static const struct hash128 HASH = {0x1234567890abcdefu, 0xfedcba0987654321u};

static struct pool *pool_used(unsigned uses)
{
	struct pool *p = pool_new(64 * MIB);

	ck_assert_ptr_nonnull(p);
	while (uses--)
		pool_use(p, HASH);
	return p;
}

static const struct stay {
	const char *what;
	enum record_queue queue;
	unsigned uses;
	uint64_t charge;
	bool dead, stays;
	uint64_t delay;
	unsigned uses_left;
	enum pool_ghost ghost;
} stays[] = {
        {"nobody asked again", RECORD_SMALL, 0, 1000, false, false, 0, 0, POOL_GHOST_SMALL},
        {"one use, of the mean size", RECORD_SMALL, 1, 1000, false, true, 0, 0, POOL_GHOST_NONE},
        {"one use, larger", RECORD_SMALL, 1, 1001, false, false, 0, 0, POOL_GHOST_SMALL},
        {"two uses, larger", RECORD_SMALL, 2, 1001, false, true, 0, 0, POOL_GHOST_NONE},
        {"three uses, large", RECORD_SMALL, 3, 9000, false, true, 0, 0, POOL_GHOST_NONE},
        {"unused, above half the mean", RECORD_SMALL, 0, 501, false, false, 0, 0, POOL_GHOST_SMALL},
        {"unused, half the mean", RECORD_SMALL, 0, 500, false, true, 100, 0, POOL_GHOST_NONE},
        {"unused, a quarter", RECORD_SMALL, 0, 250, false, true, 200, 0, POOL_GHOST_NONE},
        {"used, a quarter", RECORD_SMALL, 2, 250, false, true, 200, 0, POOL_GHOST_NONE},
        {"unused, a sixteenth", RECORD_SMALL, 0, 62, false, true, 400, 0, POOL_GHOST_NONE},
        {"unused, tiny", RECORD_SMALL, 0, 1, false, true, 400, 0, POOL_GHOST_NONE},
        {"popular but dead", RECORD_SMALL, 3, 1000, true, false, 0, 0, POOL_GHOST_NONE},
        {"tiny but dead", RECORD_SMALL, 0, 1, true, false, 0, 0, POOL_GHOST_NONE},
        {"unused in the main queue", RECORD_MAIN, 0, 1000, false, false, 0, 0, POOL_GHOST_MAIN},
        {"unused there, tiny", RECORD_MAIN, 0, 1, false, false, 0, 0, POOL_GHOST_MAIN},
        {"one use there", RECORD_MAIN, 1, 1000, false, true, 0, 0, POOL_GHOST_NONE},
        {"one use there, large", RECORD_MAIN, 1, 9000, false, true, 0, 0, POOL_GHOST_NONE},
        {"three uses there, half", RECORD_MAIN, 3, 500, false, true, 100, 2, POOL_GHOST_NONE},
        {"dead there", RECORD_MAIN, 3, 1000, true, false, 0, 0, POOL_GHOST_NONE},
};

START_TEST(who_stays)
{
	const struct stay *s = &stays[_i];
	struct pool *p = pool_used(s->uses);
	struct policy_item it = {.hash = HASH, .charge = s->charge, .queue = s->queue};
	bool stays_on = policy_stays(p, &LOAD, &it, s->dead);

	ck_assert_msg(stays_on == s->stays, "%s: %s", s->what, stays_on ? "stays" : "leaves");
	if (stays_on) {
		ck_assert_int_eq(it.queue, RECORD_MAIN);
		ck_assert_msg(it.delay == s->delay, "%s: %lu places", s->what, it.delay);
	}
	ck_assert_msg(pool_uses(p, HASH) == s->uses_left, "%s: uses left", s->what);
	ck_assert_msg(pool_ghost_take(p, HASH, 10) == s->ghost, "%s: ghost", s->what);
	pool_free(p);
}
END_TEST

/* Without responses there is no mean to be below. */
START_TEST(nothing_is_small_in_an_empty_store)
{
	struct pool *p = pool_used(0);
	struct policy_item it = {.hash = HASH, .charge = 1, .queue = RECORD_SMALL};

	ck_assert(!policy_stays(p, &(struct policy_load){0}, &it, false));
	pool_free(p);
}
END_TEST

static const struct entry {
	const char *what;
	int ghost;      /* -1: never seen, 0: of the small queue, 1: of the main one */
	unsigned later; /* others evicted since */
	uint64_t charge;
	enum record_queue queue;
	uint64_t delay, goal;
} entries[] = {
        {"never seen", -1, 0, 400, RECORD_SMALL, 0, 2000},
        {"a ghost of the small queue", 0, 0, 1000, RECORD_MAIN, 0, 2250},
        {"a ghost, small", 0, 0, 400, RECORD_MAIN, 100, 2100},
        {"a ghost of the main queue", 1, 0, 1000, RECORD_MAIN, 0, 1250},
        {"a large one: the goal does not wrap", 1, 0, 9000, RECORD_MAIN, 0, 0},
        {"as many evictions since as half the responses", 0, 5, 1000, RECORD_MAIN, 0, 2250},
        {"a ghost too old", 0, 6, 1000, RECORD_SMALL, 0, 2000},
};

START_TEST(who_enters_where)
{
	const struct entry *e = &entries[_i];
	struct pool *p = pool_used(3);
	struct policy_item it = {.hash = HASH, .charge = e->charge};

	pool_set(&p->small_goal, 2000);
	if (e->ghost >= 0)
		pool_ghost_add(p, HASH, e->ghost);
	for (unsigned i = 0; i < e->later; i++)
		pool_ghost_add(p, (struct hash128){(uint64_t)(i + 1) << 33, i * 64}, false);
	policy_enter(p, &LOAD, &it);
	ck_assert_msg(it.queue == e->queue, "%s: queue %d", e->what, it.queue);
	ck_assert_msg(it.delay == e->delay, "%s: %lu places", e->what, it.delay);
	ck_assert_msg(p->small_goal == e->goal, "%s: goal %lu", e->what, p->small_goal);
	/* Whatever was counted before does not count for the new one. */
	ck_assert_uint_eq(pool_uses(p, HASH), 0);
	ck_assert_int_eq(pool_ghost_take(p, HASH, 10), POOL_GHOST_NONE);
	pool_free(p);
}
END_TEST

static const struct turn {
	const char *what;
	struct policy_load load;
	uint64_t goal;
	enum record_queue queue;
} turns[] = {
        {"both empty", {0}, 0, RECORD_MAIN},
        {"no main queue yet", {.small_bytes = 10, .small_rows = 1, .records = 1}, 0, RECORD_SMALL},
        {"no small queue", {.main_bytes = 10, .main_rows = 1, .records = 1}, 0, RECORD_MAIN},
        {"below a tenth", {99, 901, 1, 9, 10}, 0, RECORD_MAIN},
        {"a tenth", {100, 900, 1, 9, 10}, 0, RECORD_SMALL},
        {"below the goal", {299, 701, 3, 7, 10}, 300, RECORD_MAIN},
        {"the goal", {300, 700, 3, 7, 10}, 300, RECORD_SMALL},
        {"half, whatever the goal", {500, 500, 5, 5, 10}, 900, RECORD_SMALL},
};

START_TEST(whose_turn)
{
	const struct turn *t = &turns[_i];
	struct pool *p = pool_used(0);

	pool_set(&p->small_goal, t->goal);
	ck_assert_msg(policy_turn(p, &t->load) == t->queue, "%s", t->what);
	pool_free(p);
}
END_TEST

START_TEST(uses_are_capped)
{
	struct pool *p = pool_used(10);

	ck_assert_uint_eq(pool_uses(p, HASH), POOL_USE_MAX);
	pool_unuse(p, HASH, 1);
	ck_assert_uint_eq(pool_uses(p, HASH), POOL_USE_MAX - 1);
	pool_unuse(p, HASH, POOL_USE_MAX);
	ck_assert_uint_eq(pool_uses(p, HASH), 0);
	pool_free(p);
}
END_TEST

UNIT_MAIN("store/policy", tcase_add_loop_test(tc, who_stays, 0, sizeof(stays) / sizeof(stays[0]));
          tcase_add_test(tc, nothing_is_small_in_an_empty_store);
          tcase_add_loop_test(tc, who_enters_where, 0, sizeof(entries) / sizeof(entries[0]));
          tcase_add_loop_test(tc, whose_turn, 0, sizeof(turns) / sizeof(turns[0]));
          tcase_add_test(tc, uses_are_capped);)
