/* Which bytes of a body are there. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/parts.h"

void store_extents_fini(struct store_extents *l)
{
	free(l->at);
	*l = (struct store_extents){0};
}

/* The first extent that ends at or after `offset`. */
static unsigned seek(const struct store_extents *l, uint64_t offset)
{
	unsigned low = 0, high = l->n;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (l->at[mid].end < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint64_t length_of(const struct store_extent *e)
{
	return e->end - e->first;
}

static void forget_shortest(struct store_extents *l)
{
	unsigned least = 0;

	for (unsigned i = 1; i < l->n; i++) {
		if (length_of(&l->at[i]) < length_of(&l->at[least]))
			least = i;
	}
	l->n--;
	memmove(&l->at[least], &l->at[least + 1], (l->n - least) * sizeof(*l->at));
}

static int grow(struct store_extents *l)
{
	unsigned cap = l->cap ? l->cap * 2 : 8;
	struct store_extent *more;

	if (l->n < l->cap)
		return 0;
	more = reallocarray(l->at, cap, sizeof(*more));
	if (!more)
		return LARDER_ENOMEM;
	l->at = more;
	l->cap = cap;
	return 0;
}

int store_extents_add(struct store_extents *l, uint64_t first, uint64_t end)
{
	unsigned i, k;

	if (first >= end)
		return LARDER_EINVAL;
	i = seek(l, first);
	for (k = i; k < l->n && l->at[k].first <= end; k++) {
		first = l->at[k].first < first ? l->at[k].first : first;
		end = l->at[k].end > end ? l->at[k].end : end;
	}
	if (k == i) {
		int err = grow(l);

		if (err)
			return err;
		memmove(&l->at[i + 1], &l->at[i], (l->n - i) * sizeof(*l->at));
		l->n++;
	} else {
		memmove(&l->at[i + 1], &l->at[k], (l->n - k) * sizeof(*l->at));
		l->n -= k - i - 1;
	}
	l->at[i] = (struct store_extent){first, end};
	if (l->n > STORE_EXTENTS_MAX)
		forget_shortest(l);
	return 0;
}

int store_extents_load(struct store_extents *l, struct view extents, uint64_t length)
{
	uint64_t from = 0;
	int err = 0;

	if (extents.len % sizeof(struct store_extent) ||
	    extents.len / sizeof(struct store_extent) > STORE_EXTENTS_MAX)
		return LARDER_ECORRUPT;
	for (size_t at = 0; at < extents.len && !err; at += sizeof(struct store_extent)) {
		struct store_extent e;

		memcpy(&e, extents.ptr + at, sizeof(e));
		if (e.first >= e.end || e.end > length || (at && e.first <= from))
			return LARDER_ECORRUPT;
		from = e.end;
		err = store_extents_add(l, e.first, e.end);
	}
	return err;
}

uint64_t store_extents_have(const struct store_extents *l, uint64_t offset)
{
	unsigned i = seek(l, offset + 1);

	return i < l->n && l->at[i].first <= offset ? l->at[i].end - offset : 0;
}

uint64_t store_extents_next(const struct store_extents *l, uint64_t offset, uint64_t end)
{
	unsigned i = seek(l, offset + 1);
	uint64_t next;

	if (i == l->n)
		return end;
	next = l->at[i].first > offset ? l->at[i].first : offset;
	return next < end ? next : end;
}

uint64_t store_extents_bytes(const struct store_extents *l)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < l->n; i++)
		sum += length_of(&l->at[i]);
	return sum;
}
