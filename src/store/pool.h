/*
 * What the processes of one store share in memory: the account of allocated bytes that the hard
 * cap is held against, the sketch of uses, and the ghost queue.
 *
 * Vocabulary: *slot* = the part of the account that one process writes, so that what a killed
 * process had reserved can be taken back; *sketch* = saturating counts by hash; *ghosts* = hashes
 * of what was evicted a short while ago, and from which queue.
 */
#ifndef LARDER_STORE_POOL_H
#define LARDER_STORE_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"

#define POOL_SLOTS   256
#define POOL_INTENTS 1024
#define POOL_USE_MAX 3
#define POOL_OPEN    4096 /* cells for open body files, by digest */
#define POOL_PURGES  1024 /* that are remembered */
#define POOL_TAGS    8192 /* cells that remember purges of tags for longer */
#define POOL_ACTIVE  64   /* and of them so many may still be under way */

struct pool_slot {
	uint32_t pid; /* 0: free */
	uint32_t reserved;
	uint64_t start;  /* the process's start time: pids come again */
	uint64_t spools; /* bytes reserved for spools */
	uint64_t held;   /* bytes of removed files that are still open */
	uint64_t wanted; /* bytes that spools expect to need beyond those */
	/* Bytes of files that were removed while this process seemed to have them open, since ever,
	 * and as much of it as the process has looked at since, so that `held` knows. */
	uint64_t gone, looked;
	uint64_t pad;
};

/* How far the keeper's check of everything has come; only the keeper writes it. */
struct pool_scrub {
	bool known; /* the last pass was read from the index */
	uint64_t first_ms; /* and when that was */
	int64_t since_s, ended_s; /* this pass (0: none is under way), the last one */
	uint64_t ended_ms; /* the same by the monotonic clock; 0: before this daemon */
	uint64_t rows, total, faults, last_rows, last_faults;
	uint32_t round, stage, from_len;
	char from[512];
};

/* A purge that took effect; written under the index's write lock. */
struct pool_purge {
	uint64_t seq;    /* 0: is being written */
	uint64_t before; /* means responses with smaller ids */
	uint64_t start;  /* of the process that removes what it means */
	uint64_t scope;  /* a hash */
	uint32_t pid;
	uint16_t port, len;
	uint8_t kind, soft, below, tag, scoped;
	char text[1024];
};

struct pool {
	uint32_t magic;
	uint32_t nslots; /* highest slot in use, + 1 */
	uint64_t bytes;  /* of this mapping */
	uint64_t cap;
	uint64_t map;     /* address space of the index */
	uint64_t index;   /* allocated to the index, with what the running transaction may add */
	uint64_t blobs;   /* allocated to body files and their directories */
	uint64_t dirs;    /* allocated to the folders of body files, when last looked */
	uint64_t doomed;  /* body files that a transaction has yet to unlink */
	uint64_t full;    /* while the disk has less room than the cap: what there was; else 0 */
	uint64_t over;    /* while more is allocated than a cap that was lowered: how far evictions may go; or 0 */
	uint64_t unlinks; /* body files unlinked so far */
	uint64_t commits;
	uint64_t ghost_clock;
	uint64_t small_goal; /* bytes of the small queue, see policy.c */
	uint64_t sketch_mask, ghost_mask;
	struct pool_slot slots[POOL_SLOTS];
	uint32_t open[POOL_SLOTS][POOL_OPEN];
	struct pool_scrub scrub;
	uint64_t purges, nactive;
	uint64_t active[POOL_ACTIVE]; /* those that are not over: their seq, or 0 */
	struct pool_purge purge[POOL_PURGES];
	uint64_t last_other;            /* the last one that was not of a tag */
	uint64_t last_of_tag[POOL_TAGS]; /* by the name's hash */
	/* Files that the running write transaction has linked: if it never commits, the next one
	 * takes them away. Written only under the index's write lock. */
	uint32_t intents;
	uint8_t intent[POOL_INTENTS][32];
	_Alignas(8) uint8_t tables[]; /* ghosts, then the sketch */
};

/* Shared with children to be forked. NULL: out of memory. */
struct pool *pool_new(uint64_t cap);
void pool_free(struct pool *p);

/* Bytes allocated or reserved, all together. */
uint64_t pool_allocated(const struct pool *p);
/* Those of them that are neither the index's nor the blobs'. */
uint64_t pool_others(const struct pool *p);
/* Bytes that spools announce. */
uint64_t pool_wanted(const struct pool *p);

/* A slot for this process; NULL when all are taken. */
struct pool_slot *pool_slot_take(struct pool *p);
void pool_slot_drop(struct pool *p, struct pool_slot *slot);
/* Frees the slots of processes that are gone; the number of them. */
unsigned pool_slots_reap(struct pool *p);
/* Adds to the slot's spools if all stays within `limit`. */
bool pool_reserve(struct pool *p, struct pool_slot *slot, uint64_t bytes, uint64_t limit);

static inline uint64_t pool_get(const uint64_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_SEQ_CST);
}
static inline void pool_set(uint64_t *cell, uint64_t n)
{
	__atomic_store_n(cell, n, __ATOMIC_SEQ_CST);
}
static inline void pool_add(uint64_t *cell, uint64_t n)
{
	__atomic_fetch_add(cell, n, __ATOMIC_SEQ_CST);
}
static inline void pool_sub(uint64_t *cell, uint64_t n)
{
	__atomic_fetch_sub(cell, n, __ATOMIC_SEQ_CST);
}

/* What may be used: the cap, or less while the disk is full. */
static inline uint64_t pool_cap(const struct pool *p)
{
	uint64_t full = pool_get(&p->full), cap = pool_get(&p->cap);

	return full && full < cap ? full : cap;
}

/* This process is about to open the body file of that digest, or has closed it. */
void pool_opens(struct pool *p, const struct pool_slot *slot, const uint8_t *digest);
void pool_closed(struct pool *p, const struct pool_slot *slot, const uint8_t *digest);
/* The body file was unlinked: its bytes count until those who may have it open have looked. */
void pool_unlinked(struct pool *p, const uint8_t *digest, uint64_t bytes);

/* Counts a use; writes nothing once the counts are full. */
void pool_use(struct pool *p, struct hash128 hash);
/* 0 to POOL_USE_MAX. */
unsigned pool_uses(const struct pool *p, struct hash128 hash);
/* Takes up to `n` uses away. */
void pool_unuse(struct pool *p, struct hash128 hash, unsigned n);

enum pool_ghost { POOL_GHOST_NONE, POOL_GHOST_SMALL, POOL_GHOST_MAIN };
/* It was evicted, from the small or the main queue. */
void pool_ghost_add(struct pool *p, struct hash128 hash, bool main);
/* Was it evicted a short while ago, with no more than `life` others since? Forgets it. */
enum pool_ghost pool_ghost_take(struct pool *p, struct hash128 hash, uint64_t life);

#endif
