/* Timers: a binary heap. */
#include <stdlib.h>

#include "base/check.h"
#include "loop-private.h"

static void place(struct net_loop *l, uint32_t slot, struct net_timer *t)
{
	l->heap[slot] = t;
	t->slot = slot;
}

static void sift_up(struct net_loop *l, uint32_t slot, struct net_timer *t)
{
	while (slot > 1 && l->heap[slot / 2]->due_ms > t->due_ms) {
		place(l, slot, l->heap[slot / 2]);
		slot /= 2;
	}
	place(l, slot, t);
}

static void sift_down(struct net_loop *l, uint32_t slot, struct net_timer *t)
{
	while (slot <= l->timers / 2) {
		uint32_t child = slot * 2;

		if (child < l->timers && l->heap[child + 1]->due_ms < l->heap[child]->due_ms)
			child++;
		if (l->heap[child]->due_ms >= t->due_ms)
			break;
		place(l, slot, l->heap[child]);
		slot = child;
	}
	place(l, slot, t);
}

static void grow(struct net_loop *l)
{
	uint32_t cap = l->timers_cap ? l->timers_cap * 2 : 256;
	struct net_timer **heap;

	/* One pointer a timer, which stands in memory that could be had: there is no way to
	 * go on without it, and no caller could do anything better. */
	check(cap <= UINT32_MAX / 4);
	heap = realloc(l->heap, (cap + 1UL) * sizeof(struct net_timer *));
	check(heap != NULL);
	l->heap = heap;
	l->timers_cap = cap;
}

void net_timer_init(struct net_timer *t, struct net_loop *l, net_timer_fn *fn)
{
	*t = (struct net_timer){.fn = fn, .loop = l};
}

void net_timer_set(struct net_timer *t, uint64_t ms)
{
	struct net_loop *l = t->loop;
	uint64_t now = l->now_ms, old = t->due_ms;

	t->due_ms = ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
	if (t->slot) {
		if (t->due_ms < old)
			sift_up(l, t->slot, t);
		else if (t->due_ms > old)
			sift_down(l, t->slot, t);
		return;
	}
	if (l->timers == l->timers_cap)
		grow(l);
	sift_up(l, ++l->timers, t);
}

void net_timer_stop(struct net_timer *t)
{
	struct net_loop *l = t->loop;
	uint32_t slot = t->slot;
	struct net_timer *last;

	if (!slot)
		return;
	check(slot <= l->timers && l->heap[slot] == t);
	t->slot = 0;
	last = l->heap[l->timers--];
	if (last == t)
		return;
	if (slot > 1 && l->heap[slot / 2]->due_ms > last->due_ms)
		sift_up(l, slot, last);
	else
		sift_down(l, slot, last);
}

void loop_timers_fire(struct net_loop *l)
{
	/* Those set to 0 by a timer of this round are due in the next tick. */
	for (uint32_t n = l->timers; n > 0 && l->timers > 0; n--) {
		struct net_timer *t = l->heap[1];

		if (t->due_ms > l->now_ms)
			break;
		net_timer_stop(t);
		t->fn(t);
	}
}

void loop_timers_fini(struct net_loop *l)
{
	for (uint32_t i = 1; i <= l->timers; i++)
		l->heap[i]->slot = 0;
	free(l->heap);
}
