/*
 * Arenas: memory that is freed all at once, with a ceiling. Blocks are chained;
 * pointers stay valid until arena_reset or arena_fini.
 */
#ifndef LARDER_BASE_ARENA_H
#define LARDER_BASE_ARENA_H

#include "base/view.h"

struct arena_block;

struct arena {
	struct arena_block *blocks;
	char *next;
	size_t left;  /* in the newest block */
	size_t block; /* usual size of a block */
	size_t total; /* asked of malloc so far */
	size_t max;
};

/* `block`: the usual size of a block; `max`: the sum over blocks. Allocates nothing yet. */
void arena_init(struct arena *a, size_t block, size_t max);
void arena_fini(struct arena *a);
/* Forgets the content; keeps one block of the usual size for reuse. */
void arena_reset(struct arena *a);
/* `size` bytes aligned for any type, not zeroed; NULL at the ceiling or out of memory. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
/* A copy of the view (not NUL-terminated); {NULL,0} if it does not fit. */
struct view arena_view(struct arena *a, struct view v);
/* A NUL-terminated copy, or NULL. */
char *arena_str(struct arena *a, struct view v);

#endif
