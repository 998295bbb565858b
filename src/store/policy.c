#include "policy.h"

/*
 * The numbers. The tenth, the three uses that are counted (POOL_USE_MAX) and the ghosts are
 * S3-FIFO's. The rest is ours, chosen on traces of web requests and on synthetic ones
 * (tools/simulate), where it moves the results little:
 *
 * - Half as many evictions as there are responses: so long is a ghost remembered. Longer lives let
 *   those into the main queue that come too seldom to be hit there.
 * - A ghost of the small queue that comes back says that the queue was too short; one of the main
 *   queue, that the small one takes room from it. The goal follows, within a tenth and a half of
 *   the bytes. Where popularity is steady both kinds come back all the time, so the main queue's
 *   count for three: it is the rule, and a long small queue is for requests that follow each other
 *   closely and then end.
 * - Another length of the main queue for each halving of the size below the mean: what takes less
 *   room can stay longer at the same price. Four at most, or a flood of tiny responses could not be
 *   got rid of.
 */
#define GHOST_LIFE(records) ((records) / 2)
#define GOAL_MIN(bytes)     ((bytes) / 10)
#define GOAL_MAX(bytes)     ((bytes) / 2)
#define GOAL_MORE(charge)   ((charge) / 4)
#define GOAL_LESS(charge)   ((charge) / 4 * 3)
#define LENGTHS_MAX         4

static uint64_t bytes_of(const struct policy_load *load)
{
	return load->small_bytes + load->main_bytes;
}

static uint64_t mean_of(const struct policy_load *load)
{
	return load->records ? bytes_of(load) / load->records : 0;
}

static void to_main(const struct policy_load *load, struct policy_item *it)
{
	uint64_t most = mean_of(load) / 2;
	unsigned lengths = 0;

	for (; lengths < LENGTHS_MAX && it->charge <= most; lengths++)
		most /= 2;
	it->queue = RECORD_MAIN;
	it->delay = lengths * load->main_rows;
}

static uint64_t goal_of(const struct pool *p, const struct policy_load *load)
{
	uint64_t goal = pool_get(&p->small_goal), min = GOAL_MIN(bytes_of(load));
	uint64_t max = GOAL_MAX(bytes_of(load));

	return goal < min ? min : goal > max ? max : goal;
}

void policy_enter(struct pool *p, const struct policy_load *load, struct policy_item *it)
{
	enum pool_ghost ghost = pool_ghost_take(p, it->hash, GHOST_LIFE(load->records));
	uint64_t goal = goal_of(p, load), less = GOAL_LESS(it->charge);

	if (ghost == POOL_GHOST_SMALL)
		pool_set(&p->small_goal, goal + GOAL_MORE(it->charge));
	else if (ghost == POOL_GHOST_MAIN)
		pool_set(&p->small_goal, goal > less ? goal - less : 0);
	it->queue = RECORD_SMALL;
	it->delay = 0;
	if (ghost != POOL_GHOST_NONE)
		to_main(load, it);
	pool_unuse(p, it->hash, POOL_USE_MAX);
}

enum record_queue policy_turn(const struct pool *p, const struct policy_load *load)
{
	if (!load->small_rows)
		return RECORD_MAIN;
	if (!load->main_rows)
		return RECORD_SMALL;
	return load->small_bytes >= goal_of(p, load) ? RECORD_SMALL : RECORD_MAIN;
}

/* Out of the small queue: a response of less than half the mean size comes on anyhow, one of up to
 * the mean size for one use, a larger one for two. */
static bool proved(const struct pool *p, const struct policy_load *load,
                   const struct policy_item *it)
{
	uint64_t mean = mean_of(load);
	unsigned merit = pool_uses(p, it->hash);

	merit += (it->charge <= mean) + (it->charge <= mean / 2);
	return merit >= 2;
}

bool policy_stays(struct pool *p, const struct policy_load *load, struct policy_item *it, bool dead)
{
	bool small = it->queue == RECORD_SMALL;

	if (!dead && (small ? proved(p, load, it) : pool_uses(p, it->hash) > 0)) {
		pool_unuse(p, it->hash, small ? POOL_USE_MAX : 1);
		to_main(load, it);
		return true;
	}
	if (!dead)
		pool_ghost_add(p, it->hash, !small);
	pool_unuse(p, it->hash, POOL_USE_MAX);
	return false;
}
