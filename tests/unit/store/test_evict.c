/* Who leaves a full store. */
#include "fixture.h"

#define MIB (1u << 20)

static char bytes[4096];

/* What is asked for again and again stays, unless it has been stale for longer than it is worth keeping; what
 * nobody asked for again goes. */
START_TEST(popular_ones_stay)
{
	struct item popular = {.key = "GET http://a.example/popular", .lifetime = 600}, dead = popular,
		    idle = popular;
	char key[64];
	struct fix f;

	fix_init(&f, 8 * MIB);
	f.options.durability = 2; /* syncs would only take time */
	fix_open_home(&f);
	fix_open_store(&f);
	popular.body = dead.body = idle.body = fix_bytes(bytes, sizeof(bytes), 1);
	dead.key = "GET http://a.example/dead";
	dead.long_dead = true;
	idle.key = "GET http://a.example/idle";
	ck_assert_int_eq(fix_put(&f, &popular), 0);
	ck_assert_int_eq(fix_put(&f, &dead), 0);
	ck_assert_int_eq(fix_put(&f, &idle), 0);
	for (unsigned n = 0; n < 6000; n++) {
		struct item it = {.key = key, .body = popular.body};

		snprintf(key, sizeof(key), "GET http://b.example/%u", n);
		ck_assert_int_eq(fix_put(&f, &it), 0);
		fix_get(&f, popular.key, NULL, popular.body);
		fix_get(&f, dead.key, NULL, dead.body);
	}
	ck_assert_uint_gt(f.stats.evictions, 1000);
	ck_assert_int_eq(fix_get(&f, popular.key, NULL, popular.body), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, dead.key, NULL, dead.body), STORE_NONE);
	ck_assert_int_eq(fix_get(&f, idle.key, NULL, idle.body), STORE_NONE);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/evict", tcase_add_test(tc, popular_ones_stay);)
