/*
 * What larder's cache is compared with: least recently used first, first in first out, and GDSF
 * (Cherkasova, HP Laboratories 1998), which orders by frequency over size plus an age and is as
 * good as it gets for the ratio of objects.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/queue.h"
#include "sim.h"

struct entry {
	TAILQ_ENTRY(entry) link;
	double priority;
	uint64_t uses;
	uint32_t place; /* in the heap, + 1; 0: not here */
};
TAILQ_HEAD(entry_list, entry);

struct cache {
	const struct sim_trace *trace;
	uint64_t capacity, used, evicted;
	struct entry_list list; /* the next to leave first */
	double age;
	uint32_t *heap; /* of GDSF, least priority first */
	uint32_t n;
	struct entry entries[];
};

static void cache_free(void *cache)
{
	struct cache *c = cache;

	if (c)
		free(c->heap);
	free(c);
}

static void *cache_make(const struct sim_trace *t, uint64_t capacity)
{
	struct cache *c = calloc(1, sizeof(*c) + t->nobjects * sizeof(c->entries[0]));

	if (!c)
		return NULL;
	c->trace = t;
	c->capacity = capacity;
	TAILQ_INIT(&c->list);
	c->heap = calloc(t->nobjects + 1, sizeof(*c->heap));
	if (c->heap)
		return c;
	cache_free(c);
	return NULL;
}

static uint64_t charge_of(const struct cache *c, const struct entry *e)
{
	return c->trace->objects[e - c->entries].charge;
}

static void cache_count(const void *cache, uint64_t *evicted, uint64_t *moved)
{
	*evicted = ((const struct cache *)cache)->evicted;
	*moved = 0;
}

/* ---- LRU and FIFO ---- */

static void list_evict(struct cache *c)
{
	struct entry *e = TAILQ_FIRST(&c->list);

	check(e != NULL);
	TAILQ_REMOVE(&c->list, e, link);
	e->place = 0;
	c->used -= charge_of(c, e);
	c->evicted++;
}

static void list_insert(struct cache *c, struct entry *e)
{
	uint64_t charge = charge_of(c, e);

	if (charge > c->capacity)
		return;
	while (c->used + charge > c->capacity)
		list_evict(c);
	TAILQ_INSERT_TAIL(&c->list, e, link);
	e->place = 1;
	c->used += charge;
}

static bool fifo_request(void *cache, uint32_t object)
{
	struct cache *c = cache;
	struct entry *e = &c->entries[object];

	if (e->place)
		return true;
	list_insert(c, e);
	return false;
}

static bool lru_request(void *cache, uint32_t object)
{
	struct cache *c = cache;
	struct entry *e = &c->entries[object];

	if (!fifo_request(cache, object))
		return false;
	TAILQ_REMOVE(&c->list, e, link);
	TAILQ_INSERT_TAIL(&c->list, e, link);
	return true;
}

/* ---- GDSF ---- */

static bool before(const struct cache *c, uint32_t a, uint32_t b)
{
	return c->entries[c->heap[a]].priority < c->entries[c->heap[b]].priority;
}

static void swap(struct cache *c, uint32_t a, uint32_t b)
{
	uint32_t x = c->heap[a];

	c->heap[a] = c->heap[b];
	c->heap[b] = x;
	c->entries[c->heap[a]].place = a + 1;
	c->entries[c->heap[b]].place = b + 1;
}

static void sift_up(struct cache *c, uint32_t i)
{
	for (; i && before(c, i, (i - 1) / 2); i = (i - 1) / 2)
		swap(c, i, (i - 1) / 2);
}

static void sift_down(struct cache *c, uint32_t i)
{
	for (;;) {
		uint32_t least = i, left = 2 * i + 1;

		if (left < c->n && before(c, left, least))
			least = left;
		if (left + 1 < c->n && before(c, left + 1, least))
			least = left + 1;
		if (least == i)
			return;
		swap(c, i, least);
		i = least;
	}
}

static double priority_of(const struct cache *c, const struct entry *e)
{
	return c->age + (double)e->uses / (double)charge_of(c, e);
}

static void gdsf_evict(struct cache *c)
{
	struct entry *e;

	check(c->n > 0);
	e = &c->entries[c->heap[0]];
	swap(c, 0, c->n - 1);
	c->n--;
	sift_down(c, 0);
	c->age = e->priority;
	e->place = 0;
	c->used -= charge_of(c, e);
	c->evicted++;
}

static bool gdsf_request(void *cache, uint32_t object)
{
	struct cache *c = cache;
	struct entry *e = &c->entries[object];
	uint64_t charge = charge_of(c, e);

	if (e->place) {
		e->uses++;
		e->priority = priority_of(c, e);
		sift_down(c, e->place - 1);
		return true;
	}
	if (charge > c->capacity)
		return false;
	while (c->used + charge > c->capacity)
		gdsf_evict(c);
	e->uses = 1;
	e->priority = priority_of(c, e);
	e->place = c->n + 1;
	c->heap[c->n++] = object;
	sift_up(c, c->n - 1);
	c->used += charge;
	return false;
}

const struct sim_cache_type sim_lru = {"LRU", cache_make, lru_request, cache_count, cache_free};
const struct sim_cache_type sim_fifo = {"FIFO", cache_make, fifo_request, cache_count, cache_free};
const struct sim_cache_type sim_gdsf = {"GDSF", cache_make, gdsf_request, cache_count, cache_free};
