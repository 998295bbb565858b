/* Mappings of body files, kept with the open files. */
#include <sys/mman.h>
#include <sys/stat.h>

#include "write.h"

void map_drop(struct store *s, struct store_file *f)
{
	if (!f->map)
		return;
	munmap(f->map, (size_t)f->length);
	f->map = NULL;
	s->files.mapped -= f->length;
	stat_sub(&s->stats->mapped_bytes, f->length);
}

/* Makes place for `length` more: what nobody reads goes, the least recently used first. */
static bool make_place(struct store *s, uint64_t length)
{
	uint64_t max = (uint64_t)s->options->map_bytes;
	struct store_file *f;

	if (length > max || length > SIZE_MAX)
		return false;
	TAILQ_FOREACH (f, &s->files.lru, lru) {
		if (s->files.mapped <= max - length)
			return true;
		if (!f->refs)
			map_drop(s, f);
	}
	return s->files.mapped <= max - length;
}

static bool map(struct store *s, struct store_file *f)
{
	void *at;

	if (!f->length || !make_place(s, f->length))
		return false;
	at = mmap(NULL, (size_t)f->length, PROT_READ, MAP_SHARED, f->fd, 0);
	if (at == MAP_FAILED)
		return false;
	f->map = at;
	s->files.mapped += f->length;
	stat_add(&s->stats->mapped_bytes, f->length);
	return true;
}

/* Behind the end of a file that was cut off, its last page goes on with zeros: sendfile knows better. */
static bool whole(const struct store_file *f)
{
	struct stat st;

	return fstat(f->fd, &st) == 0 && (uint64_t)st.st_size >= f->length;
}

struct view store_file_view(struct store *s, struct store_file *f, uint64_t offset, uint64_t len)
{
	check_magic(s, STORE_MAGIC);
	if (offset >= f->length || (!f->map && !map(s, f)) || !whole(f))
		return view_make(NULL, 0);
	if (len > f->length - offset)
		len = f->length - offset;
	return view_make((char *)f->map + offset, (size_t)len);
}
