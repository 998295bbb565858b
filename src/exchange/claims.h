/*
 * Which bytes of bodies that are stored in part are being fetched at the moment, by whoever, in memory that
 * the processes of a pool share: it is part of the board.
 *
 * Vocabulary: *claim* = a stretch of one body that one member fetches, from its first byte on; *body* = a hash that
 * names the file it goes to.
 *
 * What is fetched so goes straight into the part's file, which all processes can read: who finds a claim needs
 * to know no more than how far it has come.
 */
#ifndef LARDER_EXCHANGE_CLAIMS_H
#define LARDER_EXCHANGE_CLAIMS_H

#include <pthread.h>

#include "board.h"

#define CLAIM_SHARDS 64
#define CLAIMS_PER   64 /* a shard */

struct claim {
	uint64_t id; /* 0: free */
	struct hash128 body;
	struct board_member owner;
	uint64_t first, at, end; /* `at` and `end` are atomic: the owner's, and under the lock anybody's */
};

struct claims {
	uint64_t next_id;
	struct claim_shard {
		pthread_mutex_t lock;
		struct claim of[CLAIMS_PER];
	} shards[CLAIM_SHARDS];
};

/* In zeroed memory. */
void claims_init(struct claims *c, const pthread_mutexattr_t *attr);

struct claim_ref {
	uint32_t slot;
	uint64_t id; /* 0: none */
};

enum { CLAIM_OURS, CLAIM_THEIRS, CLAIM_NONE };
/* Who fetches the byte at `offset`? CLAIM_OURS: the caller is to, from there up to *end, which is brought down to where
 * the next claim begins. CLAIM_THEIRS: it is on its way; what came so far ends at *at. A claim that is more than
 * `near` bytes behind is made to end at `offset`. CLAIM_NONE: there is no place for a claim; the caller may fetch. */
int claims_take(struct claims *c, struct board_member me, struct hash128 body, uint64_t near,
                uint64_t offset, uint64_t *end, uint64_t *at, struct claim_ref *out);
/* The owner's: bytes before `at` are in the file. Where it has to stop by now. */
uint64_t claims_grow(struct claims *c, const struct claim_ref *ref, uint64_t at);
/* The owner's: what it was given is another stretch than it asked for. */
void claims_move(struct claims *c, const struct claim_ref *ref, uint64_t first, uint64_t end);
/* The owner's: the record says now what came. */
void claims_drop(struct claims *c, struct claim_ref *ref);
/* Is the byte at `offset` on its way, or has it come? *at: where that ends which has. */
bool claims_look(struct claims *c, struct hash128 body, uint64_t offset, uint64_t *at);
/* A member has died. */
void claims_drop_all(struct claims *c, struct board_member m);

#endif
