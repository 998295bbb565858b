/* Bodies stored in part, for the tests of room store. */
#ifndef LARDER_TESTS_STORE_PARTIAL_H
#define LARDER_TESTS_STORE_PARTIAL_H

#include <dirent.h>

#include "fixture.h"
#include "store/parts.h"

struct partial {
	struct item item; /* its body is the whole one */
	uint64_t id;
	struct store_file *file;
};

static inline void partial_record(const struct partial *p, struct store_record *r)
{
	fix_record(&p->item, r);
	r->length = p->item.body.len;
}

/* Finds it; -100: bytes that it says are there are other ones. *have: to be freed. */
static inline int partial_find(struct fix *f, const struct partial *p, struct store_extents *have)
{
	struct store_hit hit;
	int ret = fix_find(f, p->item.key, p->item.selecting, &hit);
	char *got;

	*have = (struct store_extents){0};
	if (ret <= 0)
		return ret;
	if (ret == STORE_PART && store_extents_load(have, hit.extents, hit.record.length))
		ret = -101;
	got = malloc(p->item.body.len);
	for (unsigned i = 0; ret == STORE_PART && i < have->n; i++) {
		const struct store_extent *e = &have->at[i];
		size_t len = (size_t)(e->end - e->first);

		if (pread(store_file_fd(hit.file), got, len, (off_t)e->first) != (ssize_t)len ||
		    memcmp(got, p->item.body.ptr + e->first, len))
			ret = -100;
	}
	free(got);
	if (ret == STORE_FOUND && !fix_body_is(&hit, p->item.body))
		ret = -100;
	store_hit_done(f->s, &hit);
	return ret;
}

static inline uint64_t partial_bytes(struct fix *f, const struct partial *p)
{
	struct store_extents have;
	int ret = partial_find(f, p, &have);
	uint64_t n = store_extents_bytes(&have);

	ck_assert_int_eq(ret, STORE_PART);
	store_extents_fini(&have);
	return n;
}

/* The record, and its file opened again under its name. */
static inline int partial_open(struct fix *f, struct partial *p)
{
	struct store_hit hit;
	int ret = fix_find(f, p->item.key, p->item.selecting, &hit);

	if (ret != STORE_PART) {
		if (ret > 0)
			store_hit_done(f->s, &hit);
		return ret < 0 ? ret : LARDER_ENOENT;
	}
	p->id = hit.record.id;
	p->file = store_hit_take_file(&hit);
	store_hit_done(f->s, &hit);
	return 0;
}

static inline void partial_close(struct fix *f, struct partial *p)
{
	store_file_unref(f->s, p->file);
	p->file = NULL;
}

static inline int partial_create(struct fix *f, struct partial *p)
{
	struct store_file *file;
	struct store_record r;
	struct store_key key;
	int err;

	store_key_init(f->s, view_of(p->item.key), &key);
	partial_record(p, &r);
	err = store_part_new(f->s, &key, r.length, &file);
	if (err)
		return err;
	err = store_part_create(f->s, &key, &r, file, fix_done, f);
	if (!err) {
		f->pending++;
		err = fix_wait(f);
	}
	store_file_unref(f->s, file);
	return err ? err : partial_open(f, p);
}

/* Writes a stretch, waiting for room. */
static inline int partial_write(struct fix *f, const struct partial *p, struct store_run *run,
                                uint64_t first, uint64_t end)
{
	struct view data = view_make(p->item.body.ptr + first, (size_t)(end - first));
	int err;

	for (int tries = 0; tries < 500; tries++) {
		err = store_part_write(f->s, run, p->file, first, data);
		if (err != STORE_WAIT)
			return err;
		usleep(2000);
	}
	return LARDER_ENOSPC;
}

static inline int partial_add(struct fix *f, const struct partial *p, uint64_t first, uint64_t end)
{
	struct store_run run = {0};
	struct store_record r;
	struct store_key key;
	int err = partial_write(f, p, &run, first, end);

	store_key_init(f->s, view_of(p->item.key), &key);
	partial_record(p, &r);
	if (!err)
		err = store_part_extend(f->s, &key, &r, p->id, p->file, &run, first, end, fix_done, f);
	store_run_fini(f->s, &run);
	if (err)
		return err;
	f->pending++;
	return fix_wait(f);
}

static inline int partial_finish(struct fix *f, const struct partial *p)
{
	struct store_record r;
	struct store_key key;
	int err;

	store_key_init(f->s, view_of(p->item.key), &key);
	partial_record(p, &r);
	err = store_part_finish(f->s, &key, &r, p->id, p->file, fix_done, f);
	if (err)
		return err;
	f->pending++;
	return fix_wait(f);
}

static inline int partial_drop(struct fix *f, const struct partial *p)
{
	struct store_record r;
	struct store_key key;
	int err;

	store_key_init(f->s, view_of(p->item.key), &key);
	partial_record(p, &r);
	err = store_part_drop(f->s, &key, &r, p->id, fix_done, f);
	if (err)
		return err;
	f->pending++;
	return fix_wait(f);
}

/* Keeps the first bytes of a body whose fetch breaks off. */
static inline int partial_keep(struct fix *f, struct partial *p, size_t len)
{
	struct store_spool *sp = store_spool_new(f->s, p->item.body.len);
	struct store_record r;
	struct store_key key;
	int err = fix_append(f, sp, view_make(p->item.body.ptr, len));

	store_key_init(f->s, view_of(p->item.key), &key);
	partial_record(p, &r);
	if (!err)
		err = store_part_keep(f->s, &key, &r, sp, fix_done, f);
	if (!err) {
		f->pending++;
		err = fix_wait(f);
	}
	store_spool_unref(sp);
	return err ? err : partial_open(f, p);
}

/* What to do with each file in parts/: `fn` gets the folder and the name. How many there are. */
static inline unsigned partial_each(const struct fix *f, void (*fn)(int at, const char *name))
{
	char path[200];
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/parts", f->dir);
	d = opendir(path);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		if (fn)
			fn(dirfd(d), e->d_name);
	}
	closedir(d);
	return n;
}

static inline unsigned partial_files(const struct fix *f)
{
	return partial_each(f, NULL);
}

/* A file there that belongs to nothing. */
static inline void partial_stray(const struct fix *f, unsigned n)
{
	char path[300];
	FILE *p;

	snprintf(path, sizeof(path), "%s/parts/0123456789abcdef0123456789abcdef-%016x", f->dir, n);
	p = fopen(path, "w");
	ck_assert_ptr_nonnull(p);
	fclose(p);
}

#endif
