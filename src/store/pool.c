#include "pool.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/process.h"

#define POOL_MAGIC      0x4c504f4cu
#define POOL_GHOST_WAYS 4
#define POOL_GHOST_OF   0xfffffffe00000000u /* the fingerprint's bits */
#define POOL_MAP_MAX    (1ull << 40)
#define POOL_MAP_MIN    (1ull << 30)

static uint64_t power_of_two(uint64_t n, uint64_t min, uint64_t max)
{
	uint64_t p = min;

	while (p < n && p < max)
		p *= 2;
	return p;
}

/* As much address space as there is to be had, so that every process gets the same. */
static uint64_t probe_map(void)
{
	for (uint64_t size = POOL_MAP_MAX; size > POOL_MAP_MIN; size /= 4) {
		void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		               -1, 0);

		if (p != MAP_FAILED) {
			munmap(p, size);
			return size;
		}
	}
	return POOL_MAP_MIN;
}

struct pool *pool_new(uint64_t cap)
{
	uint64_t cells = power_of_two(cap / 2048, 1u << 16, 1u << 24);
	uint64_t ghosts = power_of_two(cap / 16384, 1u << 12, 1u << 22);
	uint64_t bytes = sizeof(struct pool) + cells + ghosts * sizeof(uint64_t);
	struct pool *p =
	        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	p->magic = POOL_MAGIC;
	p->bytes = bytes;
	p->cap = cap;
	p->map = probe_map();
	p->sketch_mask = cells - 1;
	p->ghost_mask = ghosts - 1;
	return p;
}

void pool_free(struct pool *p)
{
	if (p)
		munmap(p, p->bytes);
}

uint64_t pool_others(const struct pool *p)
{
	uint64_t sum = 0;
	uint32_t n = __atomic_load_n(&p->nslots, __ATOMIC_SEQ_CST);

	for (uint32_t i = 0; i < n; i++) {
		const struct pool_slot *s = &p->slots[i];
		/* Read in this order, it is never less than nothing. */
		uint64_t looked = pool_get(&s->looked), gone = pool_get(&s->gone);

		sum += pool_get(&s->spools) + pool_get(&s->held);
		if (gone > looked && __atomic_load_n(&s->pid, __ATOMIC_SEQ_CST))
			sum += gone - looked;
	}
	return sum;
}

uint64_t pool_allocated(const struct pool *p)
{
	return pool_get(&p->index) + pool_get(&p->blobs) + pool_others(p);
}

uint64_t pool_wanted(const struct pool *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->nslots; i++)
		sum += pool_get(&p->slots[i].wanted);
	return sum;
}

struct pool_slot *pool_slot_take(struct pool *p)
{
	uint32_t pid = (uint32_t)getpid();

	check(p->magic == POOL_MAGIC);
	for (uint32_t i = 0; i < POOL_SLOTS; i++) {
		struct pool_slot *s = &p->slots[i];
		uint32_t none = 0, n = __atomic_load_n(&p->nslots, __ATOMIC_SEQ_CST);

		if (!__atomic_compare_exchange_n(&s->pid, &none, pid, false, __ATOMIC_SEQ_CST,
		                                 __ATOMIC_SEQ_CST))
			continue;
		pool_set(&s->looked, pool_get(&s->gone));
		pool_set(&s->start, process_start(pid));
		while (n < i + 1 &&
		       !__atomic_compare_exchange_n(&p->nslots, &n, i + 1, false, __ATOMIC_SEQ_CST,
		                                    __ATOMIC_SEQ_CST))
			;
		return s;
	}
	return NULL;
}

void pool_slot_drop(struct pool *p, struct pool_slot *slot)
{
	uint32_t *open = p->open[slot - p->slots];

	for (int i = 0; i < POOL_OPEN; i++)
		__atomic_store_n(&open[i], 0, __ATOMIC_SEQ_CST);
	pool_set(&slot->spools, 0);
	pool_set(&slot->held, 0);
	pool_set(&slot->wanted, 0);
	pool_set(&slot->start, 0);
	__atomic_store_n(&slot->pid, 0, __ATOMIC_SEQ_CST);
}

unsigned pool_slots_reap(struct pool *p)
{
	unsigned dead = 0;

	for (uint32_t i = 0; i < p->nslots; i++) {
		struct pool_slot *s = &p->slots[i];
		uint32_t pid = __atomic_load_n(&s->pid, __ATOMIC_SEQ_CST);
		uint64_t start = pool_get(&s->start);

		if (!pid || pid == (uint32_t)getpid())
			continue;
		/* A slot just taken has no start time yet. */
		if (process_runs(pid, start))
			continue;
		pool_slot_drop(p, s);
		dead++;
	}
	return dead;
}

bool pool_reserve(struct pool *p, struct pool_slot *slot, uint64_t bytes, uint64_t limit)
{
	/* Add, then look: of two that race for the last bytes, at least one sees the other. */
	pool_add(&slot->spools, bytes);
	if (pool_allocated(p) <= limit)
		return true;
	pool_sub(&slot->spools, bytes);
	return false;
}

static uint32_t *open_cell(struct pool *p, uint32_t slot, const uint8_t *digest)
{
	uint32_t n;

	memcpy(&n, digest, sizeof(n));
	return &p->open[slot][n % POOL_OPEN];
}

void pool_opens(struct pool *p, const struct pool_slot *slot, const uint8_t *digest)
{
	__atomic_fetch_add(open_cell(p, (uint32_t)(slot - p->slots), digest), 1, __ATOMIC_SEQ_CST);
}

void pool_closed(struct pool *p, const struct pool_slot *slot, const uint8_t *digest)
{
	__atomic_fetch_sub(open_cell(p, (uint32_t)(slot - p->slots), digest), 1, __ATOMIC_SEQ_CST);
}

void pool_unlinked(struct pool *p, const uint8_t *digest, uint64_t bytes)
{
	uint32_t n = __atomic_load_n(&p->nslots, __ATOMIC_SEQ_CST);

	/* Whoever managed to open it said so before it was unlinked. */
	for (uint32_t i = 0; i < n; i++) {
		if (__atomic_load_n(open_cell(p, i, digest), __ATOMIC_SEQ_CST))
			pool_add(&p->slots[i].gone, bytes);
	}
	pool_add(&p->unlinks, 1);
}

/* Two cells a hash; the smaller counts. Races lose a use now and then. */
static uint8_t *cell(const struct pool *p, uint64_t h)
{
	uint8_t *base = (uint8_t *)(uintptr_t)p->tables + (p->ghost_mask + 1) * sizeof(uint64_t);

	return base + (h & p->sketch_mask);
}

void pool_use(struct pool *p, struct hash128 hash)
{
	uint8_t *a = cell(p, hash.hi), *b = cell(p, hash.lo);
	uint8_t x = __atomic_load_n(a, __ATOMIC_RELAXED), y = __atomic_load_n(b, __ATOMIC_RELAXED);

	if (x < POOL_USE_MAX)
		__atomic_store_n(a, (uint8_t)(x + 1), __ATOMIC_RELAXED);
	if (y < POOL_USE_MAX)
		__atomic_store_n(b, (uint8_t)(y + 1), __ATOMIC_RELAXED);
}

unsigned pool_uses(const struct pool *p, struct hash128 hash)
{
	uint8_t x = __atomic_load_n(cell(p, hash.hi), __ATOMIC_RELAXED);
	uint8_t y = __atomic_load_n(cell(p, hash.lo), __ATOMIC_RELAXED);

	return x < y ? x : y;
}

void pool_unuse(struct pool *p, struct hash128 hash, unsigned n)
{
	uint8_t *cells[2] = {cell(p, hash.hi), cell(p, hash.lo)};

	for (int i = 0; i < 2; i++) {
		uint8_t x = __atomic_load_n(cells[i], __ATOMIC_RELAXED);

		__atomic_store_n(cells[i], (uint8_t)(x > n ? x - n : 0), __ATOMIC_RELAXED);
	}
}

/* A ghost is a word: a fingerprint, one bit for the queue, and the time of eviction in the lower
 * half. */
static uint64_t *ghost_set(struct pool *p, struct hash128 hash)
{
	uint64_t *ghosts = (uint64_t *)(void *)p->tables;

	return ghosts + (hash.lo & p->ghost_mask & ~(uint64_t)(POOL_GHOST_WAYS - 1));
}

void pool_ghost_add(struct pool *p, struct hash128 hash, bool main)
{
	uint64_t *set = ghost_set(p, hash), *oldest = set;
	uint32_t now = (uint32_t)__atomic_add_fetch(&p->ghost_clock, 1, __ATOMIC_RELAXED);

	for (int i = 0; i < POOL_GHOST_WAYS; i++) {
		if (!set[i]) {
			oldest = &set[i];
			break;
		}
		if (now - (uint32_t)set[i] > now - (uint32_t)*oldest)
			oldest = &set[i];
	}
	pool_set(oldest, (hash.hi & POOL_GHOST_OF) | (uint64_t)main << 32 | now);
}

enum pool_ghost pool_ghost_take(struct pool *p, struct hash128 hash, uint64_t life)
{
	uint64_t *set = ghost_set(p, hash);
	uint32_t now = (uint32_t)pool_get(&p->ghost_clock);

	for (int i = 0; i < POOL_GHOST_WAYS; i++) {
		uint64_t g = pool_get(&set[i]);

		if (g && !((g ^ hash.hi) & POOL_GHOST_OF)) {
			pool_set(&set[i], 0);
			if (now - (uint32_t)g > life)
				break;
			return g >> 32 & 1 ? POOL_GHOST_MAIN : POOL_GHOST_SMALL;
		}
	}
	return POOL_GHOST_NONE;
}
