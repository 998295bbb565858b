/* Parts, on the loop: files are written, and ops queued. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.h"
#include "write.h"

#define RUN_STEP   (64u << 10) /* of the reservation */
#define BLOCK      4096u
#define HASH_CHUNK (256u << 10)
#define HASH_SLICE (32u << 20) /* read in one go on a thread: others have their turn in between */

/* ---- Files ---- */

bool store_accepts_part(const struct store *s, uint64_t length)
{
	return length <= INT64_MAX && length > room_inline_max(s) && store_accepts(s, length);
}

int store_part_new(struct store *s, const struct store_key *key, uint64_t length,
                   struct store_file **out)
{
	struct record_part name = part_name_of(key->hash, 0);
	char temp[SPOOL_NAME];
	int fd, err;

	check_magic(s, STORE_MAGIC);
	check(s->loop && length > 0 && length <= INT64_MAX);
	err = spool_open_temp(s, &fd, temp);
	if (err)
		return err;
	if (ftruncate(fd, (off_t)length)) {
		err = larder_from_errno(errno);
		close(fd);
		if (temp[0])
			unlinkat(s->spool_fd, temp, 0);
		return err;
	}
	*out = files_add_part(s, &name, length, fd, temp);
	return *out ? 0 : LARDER_ENOMEM;
}

uint64_t store_part_inode(const struct store_file *f)
{
	struct stat st;

	return fstat(f->fd, &st) ? 0 : st.st_ino;
}

static int write_all(int fd, struct view data, uint64_t offset)
{
	while (data.len) {
		ssize_t n = pwrite(fd, data.ptr, data.len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? larder_from_errno(errno) : LARDER_EIO;
		data = view_from(data, (size_t)n);
		offset += (uint64_t)n;
	}
	return 0;
}

/* A run's first and last block may be begun by it. */
static int reserve(struct store *s, struct store_run *run, uint64_t more)
{
	uint64_t limit = room_for_spools(s->pool), want = run->used + more + 2 * BLOCK, step;

	if (want <= run->reserved)
		return 0;
	step = (want - run->reserved + RUN_STEP - 1) / RUN_STEP * RUN_STEP;
	if (!pool_reserve(s->pool, s->slot, step, limit)) {
		writer_kick(s, 0);
		return STORE_WAIT;
	}
	run->reserved += step;
	if (pool_allocated(s->pool) + pool_wanted(s->pool) > limit - room_unit(pool_cap(s->pool)))
		writer_kick(s, 0);
	return 0;
}

int store_part_write(struct store *s, struct store_run *run, struct store_file *f, uint64_t offset,
                     struct view data)
{
	int err;

	check_magic(s, STORE_MAGIC);
	check(f->part && offset <= f->length && data.len <= f->length - offset);
	err = reserve(s, run, data.len);
	if (err)
		return err;
	err = write_all(f->fd, data, offset);
	if (err == LARDER_ENOSPC) {
		room_full(s);
		writer_kick(s, 0);
	}
	if (!err)
		run->used += data.len;
	return err;
}

void store_run_fini(struct store *s, struct store_run *run)
{
	if (run->reserved)
		pool_sub(&s->slot->spools, run->reserved);
	*run = (struct store_run){0};
}

/* ---- Records ---- */

int store_part_create(struct store *s, const struct store_key *key, const struct store_record *record,
                      struct store_file *f, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	check(f->part && f->length == record->length);
	if (op_too_long(key, record))
		return LARDER_ELIMIT;
	op = op_new(s, OP_INSERT, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->rec.h.blob = RECORD_PART;
	op->revoked = record->revoked;
	op->revoked_was = record->revoked_was;
	op->file = f;
	f->refs++;
	return op_queue(s, op);
}

int store_part_keep(struct store *s, const struct store_key *key, const struct store_record *record,
                    struct store_spool *sp, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	check(sp->store == s && record->length <= INT64_MAX);
	if (!sp->filed || sp->filed >= record->length || sp->sealed)
		return LARDER_ENOENT;
	if (op_too_long(key, record))
		return LARDER_ELIMIT;
	op = op_new(s, OP_INSERT, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->rec.h.blob = RECORD_PART;
	op->revoked = record->revoked;
	op->revoked_was = record->revoked_was;
	op->extent.end = sp->filed;
	op->spool = sp;
	store_spool_ref(sp);
	return op_queue(s, op);
}

int store_part_extend(struct store *s, const struct store_key *key, const struct store_record *record,
                      uint64_t id, struct store_file *f, struct store_run *run, uint64_t first,
                      uint64_t end, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	check(f->part && first < end && end <= f->length);
	if (op_too_long(key, record))
		return LARDER_ELIMIT;
	op = op_new(s, OP_PART_EXTEND, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->id = id;
	op->extent = (struct store_extent){first, end};
	op->reserved = run->reserved;
	*run = (struct store_run){0};
	op->file = f;
	f->refs++;
	return op_queue(s, op);
}

int store_part_drop(struct store *s, const struct store_key *key, const struct store_record *record,
                    uint64_t id, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	op = op_new(s, OP_PART_DROP, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->id = id;
	return op_queue(s, op);
}

/* ---- The whole body's digest ---- */

struct hashing {
	struct store *s;
	LIST_ENTRY(hashing) link;
	struct op *op; /* what comes of it; NULL: the store has closed */
	EVP_MD_CTX *sha;
	uint64_t at, length;
	int fd, err;
};

static void hash_slice(void *arg)
{
	struct hashing *h = arg;
	uint64_t until = h->length - h->at < HASH_SLICE ? h->length : h->at + HASH_SLICE;
	char *chunk = malloc(HASH_CHUNK);

	h->err = chunk ? 0 : LARDER_ENOMEM;
	while (!h->err && h->at < until) {
		size_t want = until - h->at < HASH_CHUNK ? (size_t)(until - h->at) : HASH_CHUNK;
		ssize_t n = pread(h->fd, chunk, want, (off_t)h->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || !EVP_DigestUpdate(h->sha, chunk, (size_t)n))
			h->err = n < 0 ? larder_from_errno(errno) : LARDER_EIO;
		else
			h->at += (uint64_t)n;
	}
	free(chunk);
}

static void hashing_free(struct hashing *h)
{
	EVP_MD_CTX_free(h->sha);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}

/* It ends, well or badly. */
static void conclude(struct hashing *h)
{
	struct op *op = h->op;
	store_done_fn *done = op->done;
	void *arg = op->arg;
	int err = h->err;

	h->op = NULL;
	LIST_REMOVE(h, link);
	if (!err)
		err = op_queue(h->s, op);
	else
		op_free(op);
	h->s = NULL;
	if (err && done)
		done(arg, err);
}

static void hashed(void *arg)
{
	struct hashing *h = arg;

	if (h->op && !h->err && h->at < h->length) {
		h->err = net_work(h->s->loop, hash_slice, hashed, h);
		if (!h->err)
			return;
	}
	if (h->op && !h->err && !EVP_DigestFinal_ex(h->sha, h->op->rec.h.digest, NULL))
		h->err = LARDER_ESYSTEM;
	if (h->op)
		conclude(h);
	hashing_free(h);
}

void part_fini(struct store *s)
{
	struct hashing *h;

	/* Those that are under way finish by themselves, and tell nobody. */
	while ((h = LIST_FIRST(&s->hashings))) {
		struct op *op = h->op;

		LIST_REMOVE(h, link);
		h->op = NULL;
		h->s = NULL;
		if (op->done)
			op->done(op->arg, LARDER_ECLOSED);
		op_free(op);
	}
}

int store_part_finish(struct store *s, const struct store_key *key, const struct store_record *record,
                      uint64_t id, struct store_file *f, store_done_fn *done, void *arg)
{
	struct hashing *h = calloc(1, sizeof(*h));
	int err = LARDER_ENOMEM;

	check_magic(s, STORE_MAGIC);
	check(f->part && f->length == record->length);
	if (!h)
		return LARDER_ENOMEM;
	h->s = s;
	h->length = record->length;
	h->sha = EVP_MD_CTX_new();
	h->op = op_new(s, OP_PART_FINISH, key, record, done, arg);
	h->fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (h->sha && h->op && h->fd >= 0 && EVP_DigestInit_ex(h->sha, EVP_sha256(), NULL))
		err = net_work(s->loop, hash_slice, hashed, h);
	if (err) {
		op_free(h->op);
		hashing_free(h);
		return err;
	}
	h->op->id = id;
	h->op->file = f;
	f->refs++;
	LIST_INSERT_HEAD(&s->hashings, h, link);
	return 0;
}
