#include "stat/stat.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

#define STAT_MAP_MAGIC 0x5747a70dU
/* Two lines: the neighbour's prefetcher fetches pairs. */
#define STAT_LINE 128

struct stat_map {
	uint32_t magic;
	const struct stat_row *rows;
	size_t nrows;
	size_t stride; /* from block to block */
	size_t slots;
	size_t bytes;
	char *base;
};

/* The size of the mapping, and the stride; false when they do not fit. */
static bool layout(struct stat_map *map, size_t block, size_t slots)
{
	if (block > SIZE_MAX - STAT_LINE)
		return false;
	map->stride = (block + STAT_LINE - 1) / STAT_LINE * STAT_LINE;
	return !__builtin_mul_overflow(map->stride, slots, &map->bytes);
}

struct stat_map *stat_map_new(const struct stat_row *rows, size_t nrows, size_t block, size_t slots)
{
	struct stat_map *map;

	check(block > 0 && slots > 0);
	for (size_t i = 0; i < nrows; i++)
		check(rows[i].offset % sizeof(uint64_t) == 0 && block >= sizeof(uint64_t) &&
		      rows[i].offset <= block - sizeof(uint64_t));
	map = calloc(1, sizeof(*map));
	if (!map)
		return NULL;
	*map = (struct stat_map){.magic = STAT_MAP_MAGIC,
	                         .rows = rows,
	                         .nrows = nrows,
	                         .slots = slots,
	                         .base = MAP_FAILED};
	if (layout(map, block, slots))
		map->base = mmap(NULL, map->bytes, PROT_READ | PROT_WRITE,
		                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (map->base == MAP_FAILED) {
		free(map);
		return NULL;
	}
	return map;
}

void stat_map_free(struct stat_map *map)
{
	if (!map)
		return;
	check_magic(map, STAT_MAP_MAGIC);
	munmap(map->base, map->bytes);
	map->magic = 0;
	free(map);
}

void *stat_map_block(struct stat_map *map, size_t slot)
{
	check_magic(map, STAT_MAP_MAGIC);
	check(slot < map->slots);
	return map->base + slot * map->stride;
}

void stat_map_adopt(struct stat_map *map, size_t slot)
{
	char *block = stat_map_block(map, slot);

	for (size_t i = 0; i < map->nrows; i++) {
		if (map->rows[i].kind == STAT_GAUGE)
			stat_set((uint64_t *)(void *)(block + map->rows[i].offset), 0);
	}
}

uint64_t stat_map_sum(const struct stat_map *map, const struct stat_row *row)
{
	uint64_t sum = 0;

	check_magic(map, STAT_MAP_MAGIC);
	for (size_t i = 0; i < map->slots; i++)
		sum += stat_get((const uint64_t *)(const void *)(map->base + i * map->stride +
		                                                 row->offset));
	/* The slots are not read at one instant: a level that moved meanwhile may come out below
	 * nothing. */
	if (row->kind == STAT_GAUGE && sum > INT64_MAX)
		return 0;
	return sum;
}

int stat_map_text(const struct stat_map *map, struct buf *out)
{
	check_magic(map, STAT_MAP_MAGIC);
	for (size_t i = 0; i < map->nrows; i++) {
		buf_addv(out, view_of(map->rows[i].room));
		buf_addc(out, '.');
		buf_addv(out, view_of(map->rows[i].name));
		buf_addc(out, ' ');
		buf_addu(out, stat_map_sum(map, &map->rows[i]));
		buf_addc(out, '\n');
	}
	return out->err;
}

int stat_map_json(const struct stat_map *map, struct buf *out)
{
	check_magic(map, STAT_MAP_MAGIC);
	buf_addc(out, '{');
	for (size_t i = 0; i < map->nrows; i++) {
		buf_addv(out, i ? V(",\n \"") : V("\n \""));
		buf_addv(out, view_of(map->rows[i].room));
		buf_addc(out, '.');
		buf_addv(out, view_of(map->rows[i].name));
		BUF_ADD_LIT(out, "\": ");
		buf_addu(out, stat_map_sum(map, &map->rows[i]));
	}
	BUF_ADD_LIT(out, "\n}\n");
	return out->err;
}
