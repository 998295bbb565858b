#include "board.h"

#include "claims.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/process.h"

#define BOARD_MAGIC  0x42524431u
#define NOTES        4096 /* of each kind */
#define NOTE_KINDS   4
#define TIMES        16384 /* counters of invalidations, by key */

/* The lock covers who owns it and what it is; `received`, `waiting` and `invalid` are atomic. */
struct slot {
	uint64_t id; /* 0: free */
	struct hash128 key;
	struct board_member owner;
	bool joinable, described, long_vary;
	uint16_t nvary;
	uint64_t selecting;
	uint64_t received;
	uint32_t waiting, invalid;
	char vary[BOARD_VARY_MAX];
};

struct shard {
	pthread_mutex_t lock;
	uint32_t used;           /* no flight stands behind so many */
	uint64_t lo[BOARD_PER];  /* of the keys: one glance finds them */
	struct slot slots[BOARD_PER];
};

struct member {
	uint32_t turn; /* odd: taken */
	uint32_t pid;
	uint64_t start;
};

/* What is torn between two writers is a note of nothing that anybody asks for. */
struct note {
	uint64_t hi, lo, until_ms;
	int64_t value;
};

struct board {
	uint32_t magic;
	uint64_t next_id;
	uint8_t secret[16];
	struct member members[BOARD_MEMBERS];
	uint32_t offline;
	struct note notes[NOTE_KINDS][NOTES];
	uint32_t times[TIMES];
	struct shard shards[BOARD_SHARDS];
	struct claims claims;
};

struct board *board_new(void)
{
	pthread_mutexattr_t attr;
	struct board *b =
	        mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (b == MAP_FAILED)
		return NULL;
	if (getrandom(b->secret, sizeof(b->secret), 0) != sizeof(b->secret)) {
		munmap(b, sizeof(*b));
		return NULL;
	}
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (unsigned i = 0; i < BOARD_SHARDS; i++)
		pthread_mutex_init(&b->shards[i].lock, &attr);
	claims_init(&b->claims, &attr);
	pthread_mutexattr_destroy(&attr);
	b->magic = BOARD_MAGIC;
	return b;
}

void board_free(struct board *b)
{
	if (!b)
		return;
	check_magic(b, BOARD_MAGIC);
	munmap(b, sizeof(*b));
}

static struct shard *lock(struct board *b, uint32_t n)
{
	struct shard *sh = &b->shards[n];
	int err = pthread_mutex_lock(&sh->lock);

	/* A slot is free until its id is written, which is last: nothing is ever half there. */
	if (err == EOWNERDEAD)
		err = pthread_mutex_consistent(&sh->lock);
	check(err == 0);
	return sh;
}

static void unlock(struct shard *sh)
{
	pthread_mutex_unlock(&sh->lock);
}

static uint32_t shard_of(struct hash128 key)
{
	return (uint32_t)(key.hi % BOARD_SHARDS);
}

static struct slot *slot_at(struct board *b, uint32_t n)
{
	check(n < BOARD_SHARDS * BOARD_PER);
	return &b->shards[n / BOARD_PER].slots[n % BOARD_PER];
}

static void clear(struct slot *s)
{
	__atomic_store_n(&s->id, 0, __ATOMIC_RELEASE);
}

/* ---- Members ---- */

int board_enter(struct board *b, struct board_member *me)
{
	uint32_t pid = (uint32_t)getpid();

	check_magic(b, BOARD_MAGIC);
	for (uint32_t i = 0; i < BOARD_MEMBERS; i++) {
		struct member *m = &b->members[i];
		uint32_t turn = __atomic_load_n(&m->turn, __ATOMIC_SEQ_CST);

		if (turn % 2 || !__atomic_compare_exchange_n(&m->turn, &turn, turn + 1, false,
		                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		__atomic_store_n(&m->start, process_start(pid), __ATOMIC_SEQ_CST);
		__atomic_store_n(&m->pid, pid, __ATOMIC_SEQ_CST);
		*me = (struct board_member){i, turn + 1};
		return 0;
	}
	return LARDER_ELIMIT;
}

struct claims *board_claims(struct board *b)
{
	check_magic(b, BOARD_MAGIC);
	return &b->claims;
}

static void take_off(struct board *b, struct board_member m)
{
	claims_drop_all(&b->claims, m);
	for (uint32_t i = 0; i < BOARD_SHARDS; i++) {
		struct shard *sh;

		if (!__atomic_load_n(&b->shards[i].used, __ATOMIC_RELAXED))
			continue;
		sh = lock(b, i);
		for (uint32_t k = 0; k < sh->used; k++) {
			if (sh->slots[k].id && board_same(sh->slots[k].owner, m))
				clear(&sh->slots[k]);
		}
		unlock(sh);
	}
}

void board_exit(struct board *b, struct board_member me)
{
	struct member *m = &b->members[me.index];
	uint32_t turn = me.turn;

	check_magic(b, BOARD_MAGIC);
	take_off(b, me);
	/* The place may be another's by now. */
	if (__atomic_load_n(&m->turn, __ATOMIC_SEQ_CST) != turn)
		return;
	__atomic_store_n(&m->pid, 0, __ATOMIC_SEQ_CST);
	__atomic_compare_exchange_n(&m->turn, &turn, turn + 1, false, __ATOMIC_SEQ_CST,
	                            __ATOMIC_SEQ_CST);
}

static bool has_flights(struct board *b, struct board_member m)
{
	bool any = false;

	for (uint32_t i = 0; i < BOARD_SHARDS && !any; i++) {
		struct shard *sh;

		if (!__atomic_load_n(&b->shards[i].used, __ATOMIC_RELAXED))
			continue;
		sh = lock(b, i);
		for (uint32_t k = 0; k < sh->used; k++)
			any |= sh->slots[k].id && board_same(sh->slots[k].owner, m);
		unlock(sh);
	}
	return any;
}

void board_leave(struct board *b, struct board_member me)
{
	if (!has_flights(b, me))
		board_exit(b, me);
}

bool board_alive(struct board *b, struct board_member who)
{
	struct member *m = &b->members[who.index];
	uint32_t pid = __atomic_load_n(&m->pid, __ATOMIC_SEQ_CST);

	check_magic(b, BOARD_MAGIC);
	if (__atomic_load_n(&m->turn, __ATOMIC_SEQ_CST) != who.turn)
		return false;
	/* One that has just entered has not said yet who it is. */
	if (!pid || process_runs(pid, __atomic_load_n(&m->start, __ATOMIC_SEQ_CST)))
		return true;
	board_exit(b, who);
	return false;
}

unsigned board_reap(struct board *b)
{
	unsigned dead = 0;

	for (uint32_t i = 0; i < BOARD_MEMBERS; i++) {
		uint32_t turn = __atomic_load_n(&b->members[i].turn, __ATOMIC_SEQ_CST);

		if (turn % 2 && !board_alive(b, (struct board_member){i, turn}))
			dead++;
	}
	return dead;
}

void board_name(const struct board *b, struct board_member m, char name[BOARD_NAME_MAX])
{
	char hex[2 * sizeof(b->secret) + 1];

	for (size_t i = 0; i < sizeof(b->secret); i++)
		snprintf(hex + 2 * i, 3, "%02x", b->secret[i]);
	snprintf(name, BOARD_NAME_MAX, "larder-%s-%u-%u", hex, m.index, m.turn);
}

/* ---- Flights ---- */

static struct board_vary vary_of(const struct slot *s)
{
	return (struct board_vary){
		.answered = s->described,
		.known = !s->long_vary,
		.names = view_make(s->vary, s->nvary),
		.selecting = s->selecting,
		.id = s->id,
	};
}

static uint32_t free_slot(const struct shard *sh)
{
	uint32_t k = 0;

	while (k < sh->used && sh->slots[k].id)
		k++;
	return k;
}

static void set_vary(struct slot *s, struct view names, uint64_t selecting)
{
	s->long_vary = names.len > BOARD_VARY_MAX;
	s->nvary = s->long_vary ? 0 : (uint16_t)names.len;
	memcpy(s->vary, names.ptr ? names.ptr : "", s->nvary);
	s->selecting = selecting;
}

static void fill_slot(struct board *b, struct shard *sh, uint32_t k, struct hash128 key,
                      struct board_member me, const struct board_vary *guess)
{
	struct slot *s = &sh->slots[k];

	*s = (struct slot){.key = key, .owner = me, .joinable = true};
	set_vary(s, guess->names, guess->selecting);
	sh->lo[k] = key.lo;
	if (k == sh->used)
		__atomic_store_n(&sh->used, k + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&s->id, __atomic_add_fetch(&b->next_id, 1, __ATOMIC_RELAXED),
	                 __ATOMIC_RELEASE);
}

int board_claim(struct board *b, struct board_member me, struct hash128 key, board_fits_fn *fits,
                void *arg, const struct board_vary *guess, struct board_flight *out)
{
	uint32_t n = shard_of(key), k;
	struct shard *sh = lock(b, n);
	int ret = BOARD_FULL;

	check_magic(b, BOARD_MAGIC);
	*out = (struct board_flight){0};
	for (k = 0; k < sh->used; k++) {
		struct slot *s = &sh->slots[k];
		struct board_vary v;

		if (sh->lo[k] != key.lo || !s->id || s->key.hi != key.hi || !s->joinable ||
		    board_same(s->owner, me))
			continue;
		v = vary_of(s);
		if (!fits(arg, &v))
			continue;
		ret = BOARD_THEIRS;
		break;
	}
	if (ret != BOARD_THEIRS && guess) {
		k = free_slot(sh);
		if (k < BOARD_PER) {
			fill_slot(b, sh, k, key, me, guess);
			ret = BOARD_OURS;
		}
	}
	if (ret != BOARD_FULL)
		*out = (struct board_flight){n * BOARD_PER + k, sh->slots[k].id, sh->slots[k].owner};
	unlock(sh);
	return ret;
}

/* The flight's slot, locked, or NULL when it is off the board. */
static struct slot *hold(struct board *b, const struct board_flight *f, struct shard **sh)
{
	struct slot *s = slot_at(b, f->slot);

	check_magic(b, BOARD_MAGIC);
	*sh = lock(b, f->slot / BOARD_PER);
	if (s->id == f->id)
		return s;
	unlock(*sh);
	return NULL;
}

void board_describe(struct board *b, const struct board_flight *f, struct view names,
                    uint64_t selecting)
{
	struct shard *sh;
	struct slot *s = f->id ? hold(b, f, &sh) : NULL;

	if (!s)
		return;
	s->described = true;
	set_vary(s, names, selecting);
	unlock(sh);
}

void board_shut(struct board *b, const struct board_flight *f)
{
	struct shard *sh;
	struct slot *s = f->id ? hold(b, f, &sh) : NULL;

	if (!s)
		return;
	s->joinable = false;
	unlock(sh);
}

static void lower_used(struct shard *sh)
{
	uint32_t used = sh->used;

	while (used && !sh->slots[used - 1].id)
		used--;
	__atomic_store_n(&sh->used, used, __ATOMIC_RELAXED);
}

void board_drop(struct board *b, struct board_flight *f)
{
	struct shard *sh;
	struct slot *s = f->id ? hold(b, f, &sh) : NULL;

	if (s) {
		clear(s);
		lower_used(sh);
		unlock(sh);
	}
	f->id = 0;
}

void board_invalidate(struct board *b, struct hash128 key)
{
	struct shard *sh = lock(b, shard_of(key));

	__atomic_add_fetch(&b->times[key.lo % TIMES], 1, __ATOMIC_SEQ_CST);
	for (uint32_t k = 0; k < sh->used; k++) {
		struct slot *s = &sh->slots[k];

		if (!s->id || s->key.lo != key.lo || s->key.hi != key.hi)
			continue;
		s->joinable = false;
		__atomic_store_n(&s->invalid, 1, __ATOMIC_SEQ_CST);
	}
	unlock(sh);
}

const uint32_t *board_invalid(const struct board *b, const struct board_flight *f)
{
	check(f->id);
	return &slot_at((struct board *)(uintptr_t)b, f->slot)->invalid;
}

const uint32_t *board_times_invalid(const struct board *b, struct hash128 key)
{
	check_magic(b, BOARD_MAGIC);
	return &b->times[key.lo % TIMES];
}

bool board_grow(struct board *b, const struct board_flight *f, uint64_t received)
{
	struct slot *s = slot_at(b, f->slot);

	check_magic(b, BOARD_MAGIC);
	if (!f->id || __atomic_load_n(&s->id, __ATOMIC_ACQUIRE) != f->id)
		return false;
	/* Store, then look, as board_received writes its wish, then looks: one of them sees the other. */
	__atomic_store_n(&s->received, received, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&s->waiting, __ATOMIC_SEQ_CST) &&
	       __atomic_exchange_n(&s->waiting, 0, __ATOMIC_SEQ_CST);
}

int board_received(struct board *b, const struct board_flight *f, bool wake, uint64_t have,
                   uint64_t *received)
{
	struct slot *s = slot_at(b, f->slot);

	check_magic(b, BOARD_MAGIC);
	*received = __atomic_load_n(&s->received, __ATOMIC_SEQ_CST);
	if (wake && *received <= have) {
		__atomic_store_n(&s->waiting, 1, __ATOMIC_SEQ_CST);
		*received = __atomic_load_n(&s->received, __ATOMIC_SEQ_CST);
	}
	/* The slot may be another flight's by now: then what was read is of no use, and a wish that was
	 * written there costs its owner one message. */
	return __atomic_load_n(&s->id, __ATOMIC_SEQ_CST) == f->id ? 0 : LARDER_ENOENT;
}

unsigned board_flights(struct board *b)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < BOARD_SHARDS; i++) {
		struct shard *sh;

		if (!__atomic_load_n(&b->shards[i].used, __ATOMIC_RELAXED))
			continue;
		sh = lock(b, i);
		for (uint32_t k = 0; k < sh->used; k++)
			n += sh->slots[k].id != 0;
		unlock(sh);
	}
	return n;
}

/* ---- What is remembered for a while ---- */

static struct note *place(struct board *b, enum board_note what, struct hash128 of)
{
	check_magic(b, BOARD_MAGIC);
	return &b->notes[what][of.lo % NOTES];
}

static bool is_of(const struct note *n, struct hash128 of)
{
	return __atomic_load_n(&n->hi, __ATOMIC_SEQ_CST) == of.hi &&
	       __atomic_load_n(&n->lo, __ATOMIC_SEQ_CST) == of.lo;
}

void board_note(struct board *b, enum board_note what, struct hash128 of, uint64_t until_ms, int value)
{
	struct note *n = place(b, what, of);

	__atomic_store_n(&n->until_ms, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&n->hi, of.hi, __ATOMIC_SEQ_CST);
	__atomic_store_n(&n->lo, of.lo, __ATOMIC_SEQ_CST);
	__atomic_store_n(&n->value, value, __ATOMIC_SEQ_CST);
	__atomic_store_n(&n->until_ms, until_ms, __ATOMIC_SEQ_CST);
}

bool board_noted(struct board *b, enum board_note what, struct hash128 of, uint64_t now_ms, int *value)
{
	struct note *n = place(b, what, of);

	if (now_ms >= __atomic_load_n(&n->until_ms, __ATOMIC_SEQ_CST) || !is_of(n, of))
		return false;
	if (value)
		*value = (int)__atomic_load_n(&n->value, __ATOMIC_SEQ_CST);
	return true;
}

bool board_turn(struct board *b, enum board_note what, struct hash128 of, uint64_t now_ms,
                uint64_t until_ms, int *value)
{
	struct note *n = place(b, what, of);
	uint64_t until = __atomic_load_n(&n->until_ms, __ATOMIC_SEQ_CST);

	if (!until || !is_of(n, of))
		return true;
	*value = (int)__atomic_load_n(&n->value, __ATOMIC_SEQ_CST);
	return now_ms >= until && __atomic_compare_exchange_n(&n->until_ms, &until, until_ms, false,
	                                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void board_forget(struct board *b, enum board_note what, struct hash128 of)
{
	struct note *n = place(b, what, of);

	if (__atomic_load_n(&n->until_ms, __ATOMIC_SEQ_CST) && is_of(n, of))
		__atomic_store_n(&n->until_ms, 0, __ATOMIC_SEQ_CST);
}

void board_set_offline(struct board *b, bool offline)
{
	check_magic(b, BOARD_MAGIC);
	__atomic_store_n(&b->offline, offline, __ATOMIC_SEQ_CST);
}

bool board_offline(const struct board *b)
{
	check_magic(b, BOARD_MAGIC);
	return __atomic_load_n(&b->offline, __ATOMIC_RELAXED);
}
