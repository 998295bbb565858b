/*
 * Numbers out. A room describes its counters in `include/<room>/counters.def`:
 *
 *   COUNTER(KIND, name, text)      KIND: COUNTER (only grows) or GAUGE (a level)
 *
 * and gets a struct of uint64_t members made from it. Main puts the rooms'
 * structs together into one block a process, all blocks in one shared mapping;
 * a reader sums over them. A block has one writing process, so that adding is
 * not a locked instruction; threads of that process use stat_add_mt.
 */
#ifndef LARDER_STAT_STAT_H
#define LARDER_STAT_STAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define STAT_MEMBER(kind, name, text) uint64_t name;

enum stat_kind { STAT_COUNTER, STAT_GAUGE };

struct stat_row {
	enum stat_kind kind;
	const char *room;
	const char *name; /* without the room */
	const char *text;
	size_t offset; /* in a process's block */
};

#define STAT_ROW(block, room, kind, name, text)                                                    \
	{STAT_##kind, #room, #name, text, offsetof(block, room.name)},

static inline void stat_add(uint64_t *cell, uint64_t n)
{
	__atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}
static inline void stat_sub(uint64_t *cell, uint64_t n)
{
	__atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) - n, __ATOMIC_RELAXED);
}
static inline void stat_add_mt(uint64_t *cell, uint64_t n)
{
	__atomic_fetch_add(cell, n, __ATOMIC_RELAXED);
}
static inline void stat_set(uint64_t *cell, uint64_t n)
{
	__atomic_store_n(cell, n, __ATOMIC_RELAXED);
}
static inline uint64_t stat_get(const uint64_t *cell)
{
	return __atomic_load_n(cell, __ATOMIC_RELAXED);
}

struct stat_map; /* the shared mapping */

/* Made by the master before it forks: `slots` blocks of `block` bytes, zeroed,
 * anonymous shared memory. NULL: out of memory. Rows and room names must outlive it. */
struct stat_map *stat_map_new(const struct stat_row *rows, size_t nrows, size_t block, size_t slots);
void stat_map_free(struct stat_map *map);
/* The block of slot `slot`; a process that starts on a slot that a dead one left
 * calls stat_map_adopt: its gauges go to 0, its counters go on. */
void *stat_map_block(struct stat_map *map, size_t slot);
void stat_map_adopt(struct stat_map *map, size_t slot);
/* Sum of a row over all slots. */
uint64_t stat_map_sum(const struct stat_map *map, const struct stat_row *row);
/* All rows as text, "room.name value" a line, or as one JSON object. 0, ENOMEM, ELIMIT. */
int stat_map_text(const struct stat_map *map, struct buf *out);
int stat_map_json(const struct stat_map *map, struct buf *out);

#endif
