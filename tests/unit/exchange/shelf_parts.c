/* Bodies stored in part, in the store that a test plays. */
#include "shelf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "http/framing.h"

bool store_accepts(const struct store *s, uint64_t length)
{
	(void)s;
	return length == HTTP_LENGTH_UNKNOWN || length <= fake_store.accepts_max;
}

bool store_accepts_part(const struct store *s, uint64_t length)
{
	return fake_store.parts && length > fake_store.inline_max && store_accepts(s, length);
}

struct store_file *store_file_ref(struct store_file *f)
{
	f->refs++;
	return f;
}

struct store_file *shelf_file(const void *p, size_t len, size_t length)
{
	struct store_file *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	f->refs = 1;
	f->part = length > len;
	buf_init(&f->mem, 64 << 20);
	buf_add(&f->mem, p, len);
	f->fd = memfd_create("body", MFD_CLOEXEC);
	ck_assert_int_eq(ftruncate(f->fd, (off_t)length), 0);
	if (len)
		ck_assert_int_eq(pwrite(f->fd, p, len, 0), (ssize_t)len);
	return f;
}

int store_part_new(struct store *s, const struct store_key *key, uint64_t length, struct store_file **out)
{
	(void)s, (void)key;
	if (fake_store.refuse)
		return LARDER_ENOMEM;
	rig_quiet++;
	*out = shelf_file("", 0, (size_t)length);
	rig_quiet--;
	return 0;
}

uint64_t store_part_inode(const struct store_file *f)
{
	struct stat st;

	return fstat(f->fd, &st) ? 0 : st.st_ino;
}

int store_part_write(struct store *s, struct store_run *run, struct store_file *f, uint64_t offset,
                     struct view data)
{
	(void)s;
	if (fake_store.full)
		return STORE_WAIT;
	if (fake_store.broken)
		return LARDER_EIO;
	ck_assert_int_eq(pwrite(f->fd, data.ptr, data.len, (off_t)offset), (ssize_t)data.len);
	run->used += data.len;
	return 0;
}

void store_run_fini(struct store *s, struct store_run *run)
{
	(void)s;
	*run = (struct store_run){0};
}

static int queue(enum job_kind kind, const struct store_key *key, const struct store_record *r,
                 struct store_file *f, uint64_t id, struct store_extent e, store_done_fn *done, void *arg)
{
	struct row *row;
	int err = shelf_queue(kind, key, r, NULL, done, arg, id, &row);

	if (err)
		return err;
	row->extent = e;
	row->file = f ? store_file_ref(f) : NULL;
	return 0;
}

int store_part_create(struct store *s, const struct store_key *key, const struct store_record *record,
                      struct store_file *f, store_done_fn *done, void *arg)
{
	return queue(JOB_PART, key, record, f, shelf_next_id(s), (struct store_extent){0, 0}, done, arg);
}

int store_part_keep(struct store *s, const struct store_key *key, const struct store_record *record,
                    struct store_spool *sp, store_done_fn *done, void *arg)
{
	struct store_piece piece;
	struct store_file *f;
	int err;

	if (!fake_store.parts || !store_spool_length(sp) || store_spool_length(sp) >= record->length)
		return LARDER_ENOENT;
	store_spool_read(sp, 0, &piece);
	rig_quiet++;
	f = shelf_file(piece.mem.ptr, piece.mem.len, (size_t)record->length);
	rig_quiet--;
	err = queue(JOB_PART, key, record, f, shelf_next_id(s), (struct store_extent){0, piece.len}, done, arg);
	store_file_unref(s, f);
	return err;
}

int store_part_extend(struct store *s, const struct store_key *key, const struct store_record *record,
                      uint64_t id, struct store_file *f, struct store_run *run, uint64_t first,
                      uint64_t end, store_done_fn *done, void *arg)
{
	store_run_fini(s, run);
	ck_assert(first < end && end <= record->length);
	return queue(JOB_EXTEND, key, record, f, id, (struct store_extent){first, end}, done, arg);
}

int store_part_finish(struct store *s, const struct store_key *key, const struct store_record *record,
                      uint64_t id, struct store_file *f, store_done_fn *done, void *arg)
{
	(void)s;
	return queue(JOB_FINISH, key, record, f, id, (struct store_extent){0, 0}, done, arg);
}

int store_part_drop(struct store *s, const struct store_key *key, const struct store_record *record,
                    uint64_t id, store_done_fn *done, void *arg)
{
	(void)s;
	return queue(JOB_PART_DROP, key, record, NULL, id, (struct store_extent){0, 0}, done, arg);
}

static int extend(struct row *row, const struct row *job)
{
	if (store_extents_add(&row->have, job->extent.first, job->extent.end))
		return LARDER_ENOMEM;
	if (job->head.len) {
		buf_reset(&row->head);
		buf_addv(&row->head, buf_view(&job->head));
		row->r.meta = job->r.meta;
	}
	return 0;
}

static int finish(struct row *row)
{
	char *p;

	if (store_extents_have(&row->have, 0) < row->r.length)
		return LARDER_EAGAIN;
	p = malloc((size_t)row->r.length);
	ck_assert_int_eq(pread(row->file->fd, p, (size_t)row->r.length, 0), (ssize_t)row->r.length);
	buf_add(&row->body, p, (size_t)row->r.length);
	free(p);
	row->part = false;
	fake_store.parts_completed++;
	return 0;
}

int shelf_part_run(struct row *job)
{
	struct row *row = shelf_row(job->id);

	if (!row || !row->part)
		return LARDER_ENOENT;
	if (fake_store.fail)
		return LARDER_EIO;
	switch (job->kind) {
	case JOB_EXTEND:
		fake_store.extents++;
		return extend(row, job);
	case JOB_FINISH:
		return finish(row);
	default:
		shelf_drop(row);
		return 0;
	}
}
