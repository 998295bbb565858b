#include "claims.h"

#include <errno.h>

#include "base/check.h"

void claims_init(struct claims *c, const pthread_mutexattr_t *attr)
{
	for (unsigned i = 0; i < CLAIM_SHARDS; i++)
		pthread_mutex_init(&c->shards[i].lock, attr);
}

static struct claim_shard *lock(struct claims *c, uint32_t n)
{
	struct claim_shard *sh = &c->shards[n];
	int err = pthread_mutex_lock(&sh->lock);

	/* A claim is free until its id is written, which is last: nothing is ever half there. */
	if (err == EOWNERDEAD)
		err = pthread_mutex_consistent(&sh->lock);
	check(err == 0);
	return sh;
}

static void unlock(struct claim_shard *sh)
{
	pthread_mutex_unlock(&sh->lock);
}

static uint32_t shard_of(struct hash128 body)
{
	return (uint32_t)(body.hi % CLAIM_SHARDS);
}

static uint64_t get(const uint64_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_SEQ_CST);
}

static void set(uint64_t *cell, uint64_t n)
{
	__atomic_store_n(cell, n, __ATOMIC_SEQ_CST);
}

static bool is_of(const struct claim *k, struct hash128 body)
{
	return get(&k->id) && k->body.hi == body.hi && k->body.lo == body.lo;
}

/* Of those that cover the offset the one that has come furthest. */
static struct claim *covering(struct claim_shard *sh, struct hash128 body, uint64_t offset)
{
	struct claim *best = NULL;

	for (unsigned i = 0; i < CLAIMS_PER; i++) {
		struct claim *k = &sh->of[i];

		if (is_of(k, body) && k->first <= offset && offset < get(&k->end) &&
		    (!best || get(&k->at) > get(&best->at)))
			best = k;
	}
	return best;
}

static unsigned free_place(struct claim_shard *sh)
{
	unsigned i = 0;

	while (i < CLAIMS_PER && get(&sh->of[i].id))
		i++;
	return i;
}

static void begin(struct claims *c, uint32_t n, struct claim_shard *sh, unsigned place, const struct claim *as,
                  struct claim_ref *out)
{
	sh->of[place] = *as;
	*out = (struct claim_ref){n * CLAIMS_PER + place, __atomic_add_fetch(&c->next_id, 1, __ATOMIC_RELAXED)};
	set(&sh->of[place].id, out->id);
}

int claims_take(struct claims *c, struct board_member me, struct hash128 body, uint64_t near,
                uint64_t offset, uint64_t *end, uint64_t *at, struct claim_ref *out)
{
	uint32_t n = shard_of(body);
	struct claim_shard *sh = lock(c, n);
	struct claim *k = covering(sh, body, offset);
	unsigned place = free_place(sh);
	int ret = CLAIM_THEIRS;

	*out = (struct claim_ref){0};
	if (k) {
		*at = get(&k->at);
		if (*at >= offset || offset - *at <= near)
			goto out;
		*end = *end < get(&k->end) ? *end : get(&k->end);
		if (place < CLAIMS_PER)
			set(&k->end, offset);
	}
	for (unsigned i = 0; i < CLAIMS_PER; i++) {
		k = &sh->of[i];
		if (is_of(k, body) && k->first > offset && k->first < *end)
			*end = k->first;
	}
	ret = place < CLAIMS_PER ? CLAIM_OURS : CLAIM_NONE;
	if (ret == CLAIM_OURS)
		begin(c, n, sh, place, &(struct claim){.body = body, .owner = me, .first = offset, .at = offset, .end = *end}, out);
out:
	unlock(sh);
	return ret;
}

static struct claim *at_ref(struct claims *c, const struct claim_ref *ref)
{
	struct claim *k;

	check(ref->slot < CLAIM_SHARDS * CLAIMS_PER);
	k = &c->shards[ref->slot / CLAIMS_PER].of[ref->slot % CLAIMS_PER];
	return ref->id && get(&k->id) == ref->id ? k : NULL;
}

uint64_t claims_grow(struct claims *c, const struct claim_ref *ref, uint64_t at)
{
	struct claim *k = at_ref(c, ref);

	if (!k)
		return UINT64_MAX;
	set(&k->at, at);
	return get(&k->end);
}

void claims_move(struct claims *c, const struct claim_ref *ref, uint64_t first, uint64_t end)
{
	struct claim_shard *sh = lock(c, ref->slot / CLAIMS_PER);
	struct claim *k = at_ref(c, ref);

	if (k) {
		if (first < k->first || end < get(&k->end))
			set(&k->end, end);
		k->first = first;
		set(&k->at, first);
	}
	unlock(sh);
}

void claims_drop(struct claims *c, struct claim_ref *ref)
{
	struct claim_shard *sh;
	struct claim *k;

	if (!ref->id)
		return;
	sh = lock(c, ref->slot / CLAIMS_PER);
	k = at_ref(c, ref);
	if (k)
		set(&k->id, 0);
	unlock(sh);
	ref->id = 0;
}

bool claims_look(struct claims *c, struct hash128 body, uint64_t offset, uint64_t *at)
{
	struct claim_shard *sh = lock(c, shard_of(body));
	struct claim *k = covering(sh, body, offset);

	if (k)
		*at = get(&k->at);
	unlock(sh);
	return k != NULL;
}

void claims_drop_all(struct claims *c, struct board_member m)
{
	for (uint32_t n = 0; n < CLAIM_SHARDS; n++) {
		struct claim_shard *sh = lock(c, n);

		for (unsigned i = 0; i < CLAIMS_PER; i++) {
			if (sh->of[i].id && board_same(sh->of[i].owner, m))
				set(&sh->of[i].id, 0);
		}
		unlock(sh);
	}
}
