#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define ALIGN alignof(max_align_t)

struct arena_block {
	struct arena_block *older;
	size_t size; /* of data */
	alignas(max_align_t) char data[];
};

void arena_init(struct arena *a, size_t block, size_t max)
{
	*a = (struct arena){.block = block, .max = max};
}

static void free_blocks(struct arena_block *b)
{
	while (b) {
		struct arena_block *older = b->older;

		free(b);
		b = older;
	}
}

void arena_fini(struct arena *a)
{
	free_blocks(a->blocks);
	arena_init(a, a->block, a->max);
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = NULL, *b = a->blocks;

	while (b) {
		struct arena_block *older = b->older;

		if (!keep && b->size == a->block) {
			keep = b;
			keep->older = NULL;
		} else {
			free(b);
		}
		b = older;
	}
	a->blocks = keep;
	a->next = keep ? keep->data : NULL;
	a->left = a->total = keep ? keep->size : 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b;
	size_t need, want;
	void *mem;

	if (size > SIZE_MAX / 2)
		return NULL;
	/* An empty thing has an address too: NULL means failure. */
	need = size ? (size + ALIGN - 1) & ~(ALIGN - 1) : ALIGN;
	if (need > a->left) {
		want = need > a->block ? need : a->block;
		if (a->total > a->max || want > a->max - a->total)
			return NULL;
		b = malloc(sizeof(*b) + want);
		if (!b)
			return NULL;
		b->size = want;
		b->older = a->blocks;
		a->blocks = b;
		a->next = b->data;
		a->left = want;
		a->total += want;
	}
	mem = a->next;
	a->next += need;
	a->left -= need;
	return mem;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	void *mem = arena_alloc(a, size);

	return mem ? memset(mem, 0, size) : NULL;
}

struct view arena_view(struct arena *a, struct view v)
{
	char *copy = arena_alloc(a, v.len);

	if (!copy)
		return (struct view){NULL, 0};
	if (v.len)
		memcpy(copy, v.ptr, v.len);
	return view_make(copy, v.len);
}

char *arena_str(struct arena *a, struct view v)
{
	char *copy = v.len < SIZE_MAX ? arena_alloc(a, v.len + 1) : NULL;

	if (copy) {
		if (v.len)
			memcpy(copy, v.ptr, v.len);
		copy[v.len] = '\0';
	}
	return copy;
}
