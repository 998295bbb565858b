/* What the policy is worth on synthetic traces, and that the simulator measures rightly. */
#include <math.h>

#include "base/error.h"
#include "sim.h"
#include "unit.h"

static const double percents[] = {1, 5, 10, 20};

/* Least ratios to LRU, of objects and of bytes, at any size of the cache. */
static const struct judged {
	const char *kind;
	double alpha;
	uint64_t size; /* of every object; 0: log-uniform */
	double objects, bytes;
} judged[] = {
        {"zipf", 0.7, 0, 1.40, 1.08},
        {"zipf", 0.8, 0, 1.25, 1.06},
        {"zipf", 0.9, 0, 1.15, 1.04},
        {"zipf", 1.0, 0, 1.08, 1.02},
        {"zipf", 1.1, 0, 1.05, 1.01},
        {"zipf", 0.9, 10000, 1.05, 1.05},
        {"scan", 0.9, 0, 1.10, 1.05},
        {"loop", 0.9, 0, 1.40, 1.04},
        {"drift", 0.9, 0, 1.12, 1.01},
        /* Whoever comes back does so at once: LRU's own case, and hardest where the cache
         * is smaller than what is asked for meanwhile. */
        {"brief", 0.9, 0, 0.98, 0.70},
};

struct sized {
	struct sim_trace *trace;
	uint64_t size;
};

static int add(void *arg, uint32_t object)
{
	struct sized *s = arg;
	char name[16];

	snprintf(name, sizeof(name), "%u", object);
	return sim_trace_add(s->trace, view_of(name), s->size);
}

START_TEST(better_than_lru)
{
	const struct judged *j = &judged[_i];
	struct sim_recipe recipe = {j->kind, j->alpha, 10000, 100000, 7};
	struct sim_trace t = {0};

	ck_assert_int_eq(sim_generate_each(&recipe, add, &(struct sized){&t, j->size}), 0);
	sim_trace_charge(&t, SIM_CHARGE_STORE);
	for (size_t i = 0; i < 4; i++) {
		uint64_t cap = (uint64_t)((double)t.footprint * percents[i] / 100);
		struct sim_result a, b;

		ck_assert_int_eq(sim_run(&sim_larder, &t, cap, &a), 0);
		ck_assert_int_eq(sim_run(&sim_lru, &t, cap, &b), 0);
		ck_assert_msg(a.objects >= j->objects * b.objects,
		              "%s %g at %g %%: objects %f, LRU %f", j->kind, j->alpha, percents[i],
		              a.objects, b.objects);
		ck_assert_msg(a.bytes >= j->bytes * b.bytes, "%s %g at %g %%: bytes %f, LRU %f",
		              j->kind, j->alpha, percents[i], a.bytes, b.bytes);
	}
	sim_trace_free(&t);
}
END_TEST

/* Requests and hits worked out by hand; a capacity of three objects of 100 bytes. */
static const struct counted {
	const struct sim_cache_type *type;
	const char *requests, *hits; /* '+' where it is one */
} counted[] = {
        {&sim_lru, "abcadaeb", "...+.+.."},
        {&sim_fifo, "abcadaeb", "...+...."},
        {&sim_lru, "aaaa", ".+++"},
        {&sim_fifo, "aaaa", ".+++"},
        {&sim_gdsf, "aaaabcdea", ".+++....+"},
        {&sim_larder, "aaaabcdea", ".+++....+"},
};

START_TEST(counts_by_hand)
{
	const struct counted *c = &counted[_i];
	struct sim_trace t = {0};
	void *cache;

	for (const char *p = c->requests; *p; p++)
		ck_assert_int_eq(sim_trace_add(&t, view_make(p, 1), 100), 0);
	sim_trace_charge(&t, SIM_CHARGE_PAYLOAD);
	cache = c->type->make(&t, 300);
	ck_assert_ptr_nonnull(cache);
	for (size_t i = 0; i < t.nrequests; i++) {
		bool hit = c->type->request(cache, t.requests[i]);

		ck_assert_msg(hit == (c->hits[i] == '+'), "%s: %s, request %zu", c->type->name,
		              c->requests, i);
	}
	c->type->free(cache);
	sim_trace_free(&t);
}
END_TEST

/* No cache holds more than its capacity: what is larger than that never enters. */
START_TEST(larger_than_the_cache)
{
	static const struct sim_cache_type *const types[] = {&sim_larder, &sim_lru, &sim_fifo,
	                                                     &sim_gdsf};
	struct sim_trace t = {0};
	struct sim_result r;

	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(sim_trace_add(&t, V("big"), 1000), 0);
	ck_assert_int_eq(sim_trace_add(&t, V("small"), 10), 0);
	sim_trace_charge(&t, SIM_CHARGE_PAYLOAD);
	ck_assert_int_eq(sim_run(types[_i], &t, 999, &r), 0);
	ck_assert_uint_eq(r.hits, 0);
	ck_assert_int_eq(sim_run(types[_i], &t, 1010, &r), 0);
	ck_assert_uint_eq(r.hits, 9);
	ck_assert_uint_eq(r.evicted, 0);
	sim_trace_free(&t);
}
END_TEST

START_TEST(reads_traces)
{
	char text[] = "a 100\nb\n\na 5\r\nb\nlong-name 7\n", bad[] = "a\nb x\n";
	FILE *in = fmemopen(text, sizeof(text) - 1, "r");
	struct sim_trace t = {0};
	size_t line;

	ck_assert_int_eq(sim_trace_read(&t, in, &line), 0);
	fclose(in);
	ck_assert_uint_eq(t.nrequests, 5);
	ck_assert_uint_eq(t.nobjects, 3);
	/* The first size holds. */
	ck_assert_uint_eq(t.objects[0].size, 100);
	ck_assert_uint_ge(t.objects[1].size, 512);
	ck_assert_uint_le(t.objects[1].size, 1 << 20);
	ck_assert_uint_eq(t.objects[2].size, 7);
	sim_trace_free(&t);
	in = fmemopen(bad, sizeof(bad) - 1, "r");
	ck_assert_int_eq(sim_trace_read(&t, in, &line), LARDER_EINVAL);
	ck_assert_uint_eq(line, 2);
	fclose(in);
	sim_trace_free(&t);
}
END_TEST

START_TEST(sizes_are_log_uniform)
{
	struct sim_recipe recipe = {"zipf", 0, 20000, 100000, 1};
	struct sim_trace t = {0};
	unsigned octaves[11] = {0};

	ck_assert_int_eq(sim_generate(&recipe, &t), 0);
	ck_assert_uint_gt(t.nobjects, 19000);
	for (size_t i = 0; i < t.nobjects; i++) {
		double octave = log2((double)t.objects[i].size / 512);

		ck_assert(octave >= 0 && octave < 11);
		octaves[(size_t)octave]++;
	}
	for (int i = 0; i < 11; i++)
		ck_assert_uint_gt(octaves[i] * 11, t.nobjects * 9 / 10);
	sim_trace_free(&t);
}
END_TEST

START_TEST(refuses_what_is_no_recipe)
{
	struct sim_recipe recipe = {"nonsense", 1, 10, 10, 0};
	struct sim_trace t = {0};

	ck_assert_int_eq(sim_generate(&recipe, &t), LARDER_EINVAL);
	recipe = (struct sim_recipe){"zipf", 1, 0, 10, 0};
	ck_assert_int_eq(sim_generate(&recipe, &t), LARDER_EINVAL);
	sim_trace_free(&t);
}
END_TEST

UNIT_MAIN("store/sim",
          tcase_add_loop_test(tc, better_than_lru, 0, sizeof(judged) / sizeof(judged[0]));
          tcase_add_loop_test(tc, counts_by_hand, 0, sizeof(counted) / sizeof(counted[0]));
          tcase_add_loop_test(tc, larger_than_the_cache, 0, 4); tcase_add_test(tc, reads_traces);
          tcase_add_test(tc, sizes_are_log_uniform); tcase_add_test(tc, refuses_what_is_no_recipe);)
