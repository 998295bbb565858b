/*
 * The store decides as the simulator does: both see the same requests, and everything that either
 * asks of the policy is noted, through the linker (see meson.build), and compared.
 */
#include "db.h"
#include "fixture.h"
#include "policy.h"
#include "sim.h"

#define MIB      (1u << 20)
#define OBJECTS  2500u
#define REQUESTS 6000u
#define NOTES    20000u

struct note {
	bool entered; /* or came to the end of its queue */
	struct hash128 hash;
	uint64_t charge, delay;
	enum record_queue from, to;
	bool stays;
};

static struct notes {
	struct note all[NOTES];
	unsigned n;
} of_store, of_sim;
/* The store calls on its writer's thread. */
static _Thread_local bool simulating;

void __real_policy_enter(struct pool *p, const struct policy_load *load, struct policy_item *it);
bool __real_policy_stays(struct pool *p, const struct policy_load *load, struct policy_item *it,
                         bool dead);
void __wrap_policy_enter(struct pool *p, const struct policy_load *load, struct policy_item *it);
bool __wrap_policy_stays(struct pool *p, const struct policy_load *load, struct policy_item *it,
                         bool dead);

static void note(const struct note *one)
{
	struct notes *l = simulating ? &of_sim : &of_store;
	unsigned n = __atomic_load_n(&l->n, __ATOMIC_SEQ_CST);

	if (n < NOTES)
		l->all[n] = *one;
	__atomic_store_n(&l->n, n + 1, __ATOMIC_SEQ_CST);
}

void __wrap_policy_enter(struct pool *p, const struct policy_load *load, struct policy_item *it)
{
	__real_policy_enter(p, load, it);
	note(&(struct note){true, it->hash, it->charge, it->delay, it->queue, it->queue, true});
}

bool __wrap_policy_stays(struct pool *p, const struct policy_load *load, struct policy_item *it,
                         bool dead)
{
	enum record_queue from = it->queue;
	bool stays = __real_policy_stays(p, load, it, dead);

	note(&(struct note){false, it->hash, it->charge, stays ? it->delay : 0, from, it->queue,
	                    stays});
	return stays;
}

static const char *url_of(uint32_t object)
{
	static char url[64];

	snprintf(url, sizeof(url), "GET http://twin.example/%u", object);
	return url;
}

static uint32_t numbers[OBJECTS]; /* of the trace's objects */
static char bytes[64u << 10];

static struct item item_of(uint32_t object)
{
	size_t size = 600u << numbers[object] % 7;

	return (struct item){.key = url_of(numbers[object]),
	                     .lifetime = 600,
	                     .body = fix_bytes(bytes, size, numbers[object])};
}

static int add(void *arg, uint32_t number)
{
	struct sim_trace *t = arg;
	size_t n = t->nobjects;
	int err = sim_trace_add(t, view_of(url_of(number)), 1);

	if (!err && t->nobjects > n)
		numbers[n] = number;
	return err;
}

/* The simulator is told what the store charges, and its hashes, so that the sketches agree. */
static void make_trace(struct fix *f, struct sim_trace *t)
{
	struct sim_recipe recipe = {"zipf", 0.8, OBJECTS, REQUESTS, 3};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	ck_assert_int_eq(sim_generate_each(&recipe, add, t), 0);
	for (uint32_t i = 0; i < t->nobjects; i++) {
		struct item it = item_of(i);
		struct record r = {.body = it.body, .key = view_of(it.key)};
		struct store_record rec;
		struct store_key key;
		uint64_t pages;

		fix_record(&it, &rec);
		r.head = rec.head;
		store_key_init(f->s, view_of(it.key), &key);
		pages = db_run_pages(page, record_size(&r));
		t->objects[i].hash = key.hash;
		t->objects[i].charge = pages ? pages * page : record_size(&r) + 32;
	}
}

/* Evictions go on behind an insertion; one transaction more finds nothing left to do. */
static void settle(struct fix *f)
{
	unsigned before;

	do {
		before = __atomic_load_n(&of_store.n, __ATOMIC_SEQ_CST);
		for (int i = 0; i < 2; i++)
			ck_assert_int_eq(fix_remove(f, "GET http://nowhere.example/"), 0);
	} while (__atomic_load_n(&of_store.n, __ATOMIC_SEQ_CST) != before);
}

static bool same(const struct note *a, const struct note *b)
{
	return a->entered == b->entered && a->hash.hi == b->hash.hi && a->hash.lo == b->hash.lo &&
	       a->charge == b->charge && a->delay == b->delay && a->from == b->from &&
	       a->to == b->to && a->stays == b->stays;
}

/* The simulator does what the store has done since. */
static void follow(void *sim, uint32_t inserted)
{
	struct sim_decision d;

	simulating = true;
	while (of_sim.n < of_store.n) {
		unsigned n = of_sim.n;

		ck_assert_uint_lt(n, NOTES);
		if (of_store.all[n].entered)
			sim_larder_insert(sim, inserted);
		else
			ck_assert(sim_larder_step(sim, &d));
		ck_assert_msg(same(&of_sim.all[n], &of_store.all[n]), "decision %u differs", n);
	}
	simulating = false;
}

static unsigned count(bool entered, enum record_queue to, bool stays)
{
	unsigned n = 0;

	for (unsigned i = 0; i < of_sim.n; i++) {
		const struct note *x = &of_sim.all[i];

		n += x->entered == entered && x->stays == stays && (!stays || x->to == to);
	}
	return n;
}

START_TEST(same_decisions)
{
	struct sim_trace t = {0};
	struct fix f;
	void *sim;

	fix_init(&f, 8 * MIB);
	f.options.durability = 2; /* syncs would only take time */
	fix_open_home(&f);
	fix_open_store(&f);
	make_trace(&f, &t);
	sim = sim_larder.make(&t, f.size);
	ck_assert_ptr_nonnull(sim);
	for (size_t i = 0; i < t.nrequests; i++) {
		uint32_t object = t.requests[i];
		struct item it = item_of(object);
		int ret = fix_get(&f, it.key, NULL, it.body);

		ck_assert_int_eq(ret, sim_larder_has(sim, object) ? STORE_FOUND : STORE_NONE);
		if (ret == STORE_FOUND) {
			sim_larder_use(sim, object);
			continue;
		}
		ck_assert_int_eq(fix_put(&f, &it), 0);
		settle(&f);
		follow(sim, object);
	}
	/* All of it happened. */
	ck_assert_uint_gt(count(true, RECORD_SMALL, true), 1000);
	ck_assert_uint_gt(count(true, RECORD_MAIN, true), 50);
	ck_assert_uint_gt(count(false, RECORD_MAIN, true), 200);
	ck_assert_uint_gt(count(false, RECORD_MAIN, false), 1000);
	ck_assert_int_eq(fix_verify(&f), 0);
	sim_larder.free(sim);
	sim_trace_free(&t);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/twin", tcase_add_test(tc, same_decisions);)
