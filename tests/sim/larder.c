/* larder's cache: the queues are kept in memory, everything else is the store's. */
#include <stdlib.h>

#include "base/check.h"
#include "base/queue.h"
#include "policy.h"
#include "sim.h"

struct node {
	TAILQ_ENTRY(node) link; /* in the small queue */
	bool here;
};
TAILQ_HEAD(node_list, node);

/* The main queue is a heap: who was delayed does not go to the back. */
struct place {
	uint64_t at, seq;
	uint32_t object;
};

struct larder {
	const struct sim_trace *trace;
	uint64_t capacity;
	struct pool *pool;
	struct policy_load load;
	struct node_list small;
	struct place *main; /* load.main_rows of them */
	uint64_t next_seq;
	uint64_t evicted, moved;
	struct node nodes[];
};

static void larder_free(void *cache)
{
	struct larder *c = cache;

	if (c) {
		pool_free(c->pool);
		free(c->main);
	}
	free(c);
}

static void *larder_make(const struct sim_trace *t, uint64_t capacity)
{
	struct larder *c = calloc(1, sizeof(*c) + t->nobjects * sizeof(c->nodes[0]));

	if (!c)
		return NULL;
	c->trace = t;
	c->capacity = capacity;
	c->pool = pool_new(capacity);
	c->main = calloc(t->nobjects + 1, sizeof(*c->main));
	c->next_seq = 1;
	TAILQ_INIT(&c->small);
	if (c->pool && c->main)
		return c;
	larder_free(c);
	return NULL;
}

static bool before(const struct place *a, const struct place *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void main_push(struct larder *c, struct place p)
{
	uint64_t i = c->load.main_rows++;

	for (; i && before(&p, &c->main[(i - 1) / 2]); i = (i - 1) / 2)
		c->main[i] = c->main[(i - 1) / 2];
	c->main[i] = p;
}

static void main_pop(struct larder *c)
{
	uint64_t n = --c->load.main_rows, i = 0, child;
	struct place last = c->main[n];

	for (; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && before(&c->main[child + 1], &c->main[child]))
			child++;
		if (!before(&c->main[child], &last))
			break;
		c->main[i] = c->main[child];
	}
	c->main[i] = last;
}

static void put(struct larder *c, uint32_t object, const struct policy_item *it)
{
	uint64_t seq = c->next_seq++;

	if (it->queue == RECORD_SMALL) {
		TAILQ_INSERT_TAIL(&c->small, &c->nodes[object], link);
		c->load.small_rows++;
		c->load.small_bytes += it->charge;
	} else {
		main_push(c, (struct place){seq + it->delay, seq, object});
		c->load.main_bytes += it->charge;
	}
}

static void take(struct larder *c, uint32_t object, bool small)
{
	uint64_t charge = c->trace->objects[object].charge;

	if (small) {
		TAILQ_REMOVE(&c->small, &c->nodes[object], link);
		c->load.small_rows--;
		c->load.small_bytes -= charge;
	} else {
		main_pop(c);
		c->load.main_bytes -= charge;
	}
}

void sim_larder_use(void *cache, uint32_t object)
{
	struct larder *c = cache;

	pool_use(c->pool, c->trace->objects[object].hash);
}

bool sim_larder_has(const void *cache, uint32_t object)
{
	const struct larder *c = cache;

	return c->nodes[object].here;
}

void sim_larder_insert(void *cache, uint32_t object)
{
	struct larder *c = cache;
	const struct sim_object *o = &c->trace->objects[object];
	struct policy_item it = {.hash = o->hash, .charge = o->charge};
	struct policy_load load = c->load;

	check(!c->nodes[object].here);
	load.small_bytes += o->charge;
	load.records = ++c->load.records;
	policy_enter(c->pool, &load, &it);
	c->nodes[object].here = true;
	put(c, object, &it);
}

bool sim_larder_step(void *cache, struct sim_decision *out)
{
	struct larder *c = cache;
	bool small = policy_turn(c->pool, &c->load) == RECORD_SMALL;
	struct policy_item it = {.queue = small ? RECORD_SMALL : RECORD_MAIN};
	uint32_t object;

	if (!c->load.records)
		return false;
	object = small ? (uint32_t)(TAILQ_FIRST(&c->small) - c->nodes) : c->main[0].object;
	it.hash = c->trace->objects[object].hash;
	it.charge = c->trace->objects[object].charge;
	*out = (struct sim_decision){.hash = it.hash, .small = small};
	out->stays = policy_stays(c->pool, &c->load, &it, false);
	take(c, object, small);
	if (out->stays) {
		c->moved++;
		put(c, object, &it);
		return true;
	}
	c->evicted++;
	c->load.records--;
	c->nodes[object].here = false;
	return true;
}

static bool larder_request(void *cache, uint32_t object)
{
	struct larder *c = cache;
	uint64_t charge = c->trace->objects[object].charge;
	struct sim_decision d;

	if (c->nodes[object].here) {
		sim_larder_use(c, object);
		return true;
	}
	if (charge > c->capacity)
		return false;
	/* As in the store, eviction runs ahead. */
	while (c->load.small_bytes + c->load.main_bytes + charge > c->capacity)
		check(sim_larder_step(c, &d));
	sim_larder_insert(c, object);
	return false;
}

static void larder_count(const void *cache, uint64_t *evicted, uint64_t *moved)
{
	const struct larder *c = cache;

	*evicted = c->evicted;
	*moved = c->moved;
}

const struct sim_cache_type sim_larder = {"larder", larder_make, larder_request, larder_count,
                                          larder_free};
