/* Open body files, kept for reuse. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.h"
#include "write.h"

#define FILE_MAGIC 0x46494c45u

int files_init(struct files *f, uint64_t max)
{
	uint32_t buckets = 16;

	while (buckets < max && buckets < 1u << 16)
		buckets *= 2;
	f->table = calloc(buckets, sizeof(*f->table));
	if (!f->table)
		return LARDER_ENOMEM;
	f->mask = buckets - 1;
	f->max = max;
	TAILQ_INIT(&f->lru);
	return 0;
}

static struct file_chain *chain(struct files *f, const uint8_t *digest)
{
	uint32_t n;

	memcpy(&n, digest, sizeof(n));
	return &f->table[n & f->mask];
}

static void uncache(struct files *f, struct store_file *file)
{
	LIST_REMOVE(file, chain);
	TAILQ_REMOVE(&f->lru, file, lru);
	file->cached = false;
	f->n--;
}

static void file_close(struct store *s, struct store_file *file)
{
	check(!file->cached && !file->refs);
	map_drop(s, file);
	close(file->fd);
	if (file->temp)
		unlinkat(s->spool_fd, file->temp, 0);
	free(file->temp);
	pool_closed(s->pool, s->slot, file->digest);
	file->magic = 0;
	free(file);
}

/* Makes place for one more: the least recently used that nobody reads goes. */
static bool shrink(struct store *s)
{
	struct files *f = &s->files;
	struct store_file *file;

	TAILQ_FOREACH (file, &f->lru, lru) {
		if (!file->refs) {
			uncache(f, file);
			file_close(s, file);
			return true;
		}
	}
	return false;
}

void files_fini(struct store *s)
{
	struct files *f = &s->files;
	struct store_file *file, *next;

	TAILQ_FOREACH_SAFE (file, &f->lru, lru, next) {
		uncache(f, file);
		if (!file->refs)
			file_close(s, file);
	}
	free(f->table);
	f->table = NULL;
}

static int file_open(struct store *s, const uint8_t *digest, bool part, int *fd)
{
	static uint64_t told;
	char path[BLOB_PATH_MAX];

	if (part)
		part_path((const struct record_part *)digest, path);
	else
		blob_path(digest, path);
	pool_opens(s->pool, s->slot, digest);
	for (;;) {
		*fd = openat(part ? s->parts_fd : s->blobs_fd, path,
		             (part ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
		if (*fd >= 0)
			return 0;
		if ((errno != EMFILE && errno != ENFILE) || !shrink(s))
			break;
	}
	pool_closed(s->pool, s->slot, digest);
	if (errno != ENOENT)
		log_limited(&told, LOG_L_ERROR, "store: %s/%s/%s can't be opened: %s", s->dir,
		            part ? "parts" : "blobs", path, strerror(errno));
	return larder_from_errno(errno);
}

/* Takes the descriptor over. */
static struct store_file *add(struct store *s, const uint8_t *digest, bool part, uint64_t length, int fd)
{
	struct files *f = &s->files;
	struct store_file *file = calloc(1, sizeof(*file));

	if (!file) {
		close(fd);
		pool_closed(s->pool, s->slot, digest);
		return NULL;
	}
	file->magic = FILE_MAGIC;
	file->refs = 1;
	file->fd = fd;
	file->part = part;
	file->length = length;
	memcpy(file->digest, digest, RECORD_DIGEST);
	/* One too many while all are being read stays in the table as long as it is read: what it
	 * keeps on disk once it is removed has to be counted. */
	if (f->n >= f->max)
		shrink(s);
	LIST_INSERT_HEAD(chain(f, digest), file, chain);
	TAILQ_INSERT_TAIL(&f->lru, file, lru);
	file->cached = true;
	f->n++;
	return file;
}

static int get(struct store *s, const uint8_t *digest, bool part, uint64_t length,
               struct store_file **out)
{
	struct files *f = &s->files;
	struct store_file *file;
	struct stat st;
	int fd, err;

	LIST_FOREACH (file, chain(f, digest), chain) {
		if (file->gone || file->part != part || memcmp(file->digest, digest, RECORD_DIGEST) ||
		    file->length != length)
			continue;
		TAILQ_REMOVE(&f->lru, file, lru);
		TAILQ_INSERT_TAIL(&f->lru, file, lru);
		file->refs++;
		*out = file;
		return 0;
	}
	err = file_open(s, digest, part, &fd);
	if (err)
		return err;
	if (fstat(fd, &st) || (uint64_t)st.st_size != length) {
		close(fd);
		pool_closed(s->pool, s->slot, digest);
		return LARDER_ECORRUPT;
	}
	*out = add(s, digest, part, length, fd);
	return *out ? 0 : LARDER_ENOMEM;
}

int files_get(struct store *s, const uint8_t *digest, uint64_t length, struct store_file **out)
{
	return get(s, digest, false, length, out);
}

/* Files in parts/ stand among the others under their name, filled up with zeros. */
struct padded_name {
	struct record_part name;
	uint8_t zeros[RECORD_DIGEST - sizeof(struct record_part)];
};

int files_get_part(struct store *s, const struct record_part *name, uint64_t length,
                   struct store_file **out)
{
	struct padded_name n = {.name = *name};

	return get(s, (const uint8_t *)&n, true, length, out);
}

struct store_file *files_add_part(struct store *s, const struct record_part *name, uint64_t length,
                                  int fd, const char *temp)
{
	struct padded_name n = {.name = *name};
	char *copy = temp[0] ? strdup(temp) : NULL;
	struct store_file *file;

	if (temp[0] && !copy) {
		close(fd);
		return NULL;
	}
	pool_opens(s->pool, s->slot, (const uint8_t *)&n);
	file = add(s, (const uint8_t *)&n, true, length, fd);
	if (file)
		file->temp = copy;
	else
		free(copy);
	return file;
}

void files_purge(struct store *s)
{
	struct files *f = &s->files;
	uint64_t unlinks = pool_get(&s->pool->unlinks), gone = pool_get(&s->slot->gone), held = 0;
	struct store_file *file, *next;
	struct store_spool *sp;
	struct stat st;

	if (unlinks == f->unlinks && !s->slot->held)
		return;
	__atomic_store_n(&f->unlinks, unlinks, __ATOMIC_RELAXED);
	TAILQ_FOREACH_SAFE (file, &f->lru, lru, next) {
		if (fstat(file->fd, &st) || st.st_nlink > 0)
			continue;
		file->gone = true;
		if (file->refs) {
			held += (uint64_t)st.st_blocks * 512;
		} else {
			uncache(f, file);
			file_close(s, file);
		}
	}
	LIST_FOREACH (sp, &s->linked, linked) {
		if (fstat(sp->fd, &st) == 0 && st.st_nlink == 0)
			held += (uint64_t)st.st_blocks * 512;
	}
	pool_set(&s->slot->held, held);
	pool_set(&s->slot->looked, gone);
}

int store_file_fd(const struct store_file *f)
{
	check_magic(f, FILE_MAGIC);
	return f->fd;
}

struct store_file *store_file_ref(struct store_file *f)
{
	check_magic(f, FILE_MAGIC);
	f->refs++;
	return f;
}

void store_file_unref(struct store *s, struct store_file *f)
{
	if (!f)
		return;
	check_magic(f, FILE_MAGIC);
	check(f->refs > 0);
	if (--f->refs)
		return;
	if (f->cached && !f->gone && s->files.n <= s->files.max)
		return;
	if (f->cached)
		uncache(&s->files, f);
	file_close(s, f);
}
