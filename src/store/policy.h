/*
 * Who stays in a full store: S3-FIFO (Yang et al., "FIFO queues are all you need for cache
 * eviction", SOSP 2023), made to know sizes. Decisions only: the queues themselves are the
 * caller's, rows of the index for the store and lists in memory for the simulator.
 *
 * Vocabulary: *small queue* = where new responses enter; *main queue* = where those go that have
 * proved themselves; *delay* = how many places behind its back one enters that, which small
 * responses get for their size; *ghost* = what left a short while ago (pool.h); *goal* = the bytes
 * that the small queue may have before its end is looked at.
 */
#ifndef LARDER_STORE_POLICY_H
#define LARDER_STORE_POLICY_H

#include "pool.h"
#include "record.h"

/* The queues at this moment, with the response in question counted among them. */
struct policy_load {
	uint64_t small_bytes, main_bytes;
	uint64_t small_rows, main_rows;
	uint64_t records;
};

struct policy_item {
	struct hash128 hash;
	uint64_t charge;         /* bytes that it counts for */
	enum record_queue queue; /* where it is */
	uint64_t delay;          /* where it goes: places behind the back of the queue */
};

/* A response is new: sets its queue and its delay. (The load counts its bytes in either queue.) */
void policy_enter(struct pool *p, const struct policy_load *load, struct policy_item *it);
/* The queue whose end is to be looked at next: a queue with rows, if there is one. */
enum record_queue policy_turn(const struct pool *p, const struct policy_load *load);
/* It has come to the end of its queue. True: it goes into the main queue; its queue and its delay
 * are set for that. False: it leaves. `dead`: it is of no use any more. */
bool policy_stays(struct pool *p, const struct policy_load *load, struct policy_item *it,
                  bool dead);

#endif
