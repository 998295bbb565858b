/* Damaged rows, missing files, and what the check and the repair make of them. */
#include "fixture.h"

#include <fcntl.h>

#include "store-private.h"

static char bytes[200000];

/* Changes a stored row behind the store's back. */
static void spoil_row(struct fix *f, const char *text, size_t cut, int at, char with)
{
	struct store_key key;
	struct record_key k;
	struct MDB_txn *txn;
	struct view row;
	char *copy;

	store_key_init(f->s, view_of(text), &key);
	k = record_key(key.hash);
	ck_assert_int_eq(db_begin(f->s->db, true, &txn), 0);
	ck_assert_int_eq(db_get(f->s->db, txn, DB_ENTRIES, view_make(k.bytes, 16), &row), 1);
	copy = malloc(row.len);
	memcpy(copy, row.ptr, row.len);
	/* What changes with the clock may have that value already. */
	if (at >= 0)
		copy[at] = copy[at] == with ? (char)~with : with;
	ck_assert_int_eq(db_put(f->s->db, txn, DB_ENTRIES, view_make(k.bytes, 16),
	                        view_make(copy, row.len - cut)),
	                 0);
	ck_assert_int_eq(db_commit(f->s->db, txn), 0);
	free(copy);
}

static const struct spoilt {
	const char *what;
	size_t cut;
	int at;
	char with;
	bool found; /* does a lookup notice? (a checksum is for the check only) */
} spoilts[] = {
        {"too short for its texts", 1, -1, 0, true},
        {"shorter than a head", 100000, -1, 0, true},
        {"magic", 0, 0, 'x', true},
        {"kind", 0, 4, 9, true},
        {"key length", 0, offsetof(struct record_head, key_len) + 3, 0x7f, true},
        {"head length", 0, offsetof(struct record_head, head_len) + 1, 0x7f, true},
        {"inline length", 0, offsetof(struct record_head, inline_len), 0x7f, true},
        {"body length", 0, offsetof(struct record_head, length), 0x7f, true},
        {"place of the ETag", 0, offsetof(struct record_head, etag_off) + 2, 0x7f, true},
        {"lifetime", 0, offsetof(struct record_head, meta.lifetime), 0x7f, false},
};

START_TEST(damaged_rows_are_dropped)
{
	const struct spoilt *c = &spoilts[_i];
	struct item it = {.key = "GET http://example.com/d",
	                  .body = fix_bytes(bytes, 100000 - 1, 1)};
	struct item other = {.key = "GET http://example.com/e", .body = V("other")};
	struct store_hit hit;
	size_t cut = c->cut;
	struct fix f;
	int ret;

	fix_start(&f, 64u << 20);
	f.options.inline_max = 1u << 20;
	ck_assert_int_eq(fix_put(&f, &other), 0);
	it.body.len = 1000;
	ck_assert_int_eq(fix_put(&f, &it), 0);
	if (cut > 1000)
		cut = 1000 + 100;
	spoil_row(&f, it.key, cut, c->at, c->with);
	ck_assert_int_ge(fix_verify(&f), 1);
	ret = fix_find(&f, it.key, NULL, &hit);
	if (c->found) {
		ck_assert_msg(ret == LARDER_ECORRUPT, "%s: %d", c->what, ret);
		ck_assert_uint_eq(f.stats.corrupt, 1);
		/* Its removal stands before this one in the queue. */
		ck_assert_int_eq(fix_remove(&f, "GET http://nowhere/"), 0);
		ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_NONE);
	} else {
		ck_assert_int_eq(ret, STORE_FOUND);
		store_hit_done(f.s, &hit);
	}
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, other.key, NULL, other.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

/* The only body file's path. */
static char blob_found[256];

static int find_blob(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	if (flag == FTW_F && ftw->level == 3)
		snprintf(blob_found, sizeof(blob_found), "%s", path);
	return 0;
}

static void spoil_file(struct fix *f, int how)
{
	int fd;

	nftw(f->dir, find_blob, 16, FTW_PHYS);
	fd = open(blob_found, O_WRONLY);
	ck_assert_int_ge(fd, 0);
	if (how == 0)
		ck_assert_int_eq(unlink(blob_found), 0);
	else if (how == 1)
		ck_assert_int_eq(ftruncate(fd, 77), 0);
	else
		ck_assert_int_eq(pwrite(fd, "spoilt", 6, 5000), 6);
	close(fd);
}

START_TEST(damaged_files_are_dropped)
{
	struct item it = {.key = "GET http://example.com/f", .body = fix_bytes(bytes, 200000, 1)};
	struct item copy = {.key = "GET http://example.com/g", .body = it.body};
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_put(&f, &copy), 0);
	ck_assert_int_eq(fix_verify(&f), 0);
	spoil_file(&f, _i);
	/* The file and its two users. */
	ck_assert_int_eq(fix_verify(&f), 3);
	if (_i < 2) {
		ck_assert_int_lt(fix_get(&f, it.key, NULL, it.body), 0);
		ck_assert_int_eq(fix_remove(&f, "GET http://nowhere/"), 0);
		ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_NONE);
		/* It comes anew, and serves the other one as well. */
		ck_assert_int_eq(fix_put(&f, &it), 0);
		ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_FOUND);
		ck_assert_int_eq(fix_get(&f, copy.key, NULL, it.body), STORE_FOUND);
		ck_assert_int_eq(fix_verify(&f), 0);
	}
	fix_stop(&f);
}
END_TEST

START_TEST(repair)
{
	struct item big = {.key = "GET http://example.com/big",
	                   .body = fix_bytes(bytes, 200000, 1)};
	struct item it = {.key = "GET http://example.com/it", .body = V("small")};
	struct item good = {.key = "GET http://example.com/good", .body = V("good")};
	struct store *tool;
	struct fix f;
	char *why;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &big), 0);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_put(&f, &good), 0);
	spoil_file(&f, 2);
	spoil_row(&f, it.key, 0, offsetof(struct record_head, meta), 1);
	ck_assert_int_eq(store_verify(f.s, false, true, NULL, NULL, NULL), LARDER_EPERM);
	fix_close_store(&f);
	ck_assert_int_eq(store_open_tool(f.dir, true, &tool, &why), LARDER_EBUSY);
	free(why);
	ck_assert_int_eq(store_open_tool(f.dir, false, &tool, &why), 0);
	ck_assert_int_eq(store_verify(tool, false, false, NULL, NULL, NULL), 1);
	ck_assert_int_eq(store_verify(tool, true, true, NULL, NULL, NULL), LARDER_EPERM);
	store_close(tool);
	store_home_free(f.home);
	ck_assert_int_eq(store_open_tool(f.dir, true, &tool, &why), 0);
	ck_assert_int_eq(store_verify(tool, true, true, NULL, fix_print, NULL), 3);
	ck_assert_int_eq(store_verify(tool, true, true, NULL, fix_print, NULL), 0);
	store_close(tool);
	fix_open_home(&f);
	fix_open_store(&f);
	ck_assert_int_eq(fix_get(&f, good.key, NULL, good.body), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_NONE);
	ck_assert_int_eq(fix_get(&f, big.key, NULL, big.body), STORE_NONE);
	ck_assert_int_ne(access(blob_found, F_OK), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(orphans_are_swept)
{
	struct item it = {.key = "GET http://example.com/f", .body = fix_bytes(bytes, 200000, 1)};
	char path[300];
	uint64_t now = 0;
	struct fix f;
	int fd;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	nftw(f.dir, find_blob, 16, FTW_PHYS);
	snprintf(path, sizeof(path), "%s", blob_found);
	/* The same name but for its end: a digest that no row has. */
	memcpy(path + strlen(path) - 4, strstr(blob_found, "0000") ? "1111" : "0000", 4);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	for (int i = 0; i < 1000 && access(path, F_OK) == 0; i++) {
		store_maintain(f.s, now += 1000);
		ck_assert_int_eq(fix_remove(&f, "GET http://nowhere/"), 0);
	}
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/damage", tcase_add_loop_test(tc, damaged_rows_are_dropped, 0, ARRAY_LEN(spoilts));
          tcase_add_loop_test(tc, damaged_files_are_dropped, 0, 3); tcase_add_test(tc, repair);
          tcase_add_test(tc, orphans_are_swept);)
