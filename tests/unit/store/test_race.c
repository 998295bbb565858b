/* What happens between a fault's being seen and its being put right, and to files that are replaced
 * while they are open. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>

#include "audit.h"

#define LARGE 200000

static char bytes[LARGE];
static struct item one = {.key = "GET http://example.com/one"},
                   two = {.key = "GET http://example.com/two"};
static char path[256];

static int find_file(const char *p, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	if (flag == FTW_F && ftw->level == 3)
		snprintf(path, sizeof(path), "%s", p);
	return 0;
}

static void write_file(struct view body)
{
	int fd;

	ck_assert(unlink(path) == 0 || errno == ENOENT);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, body.ptr, body.len), (ssize_t)body.len);
	close(fd);
}

/* Two entries of one file, which is damaged; the store is closed. */
static void start(struct fix *f)
{
	int fd;

	fix_start(f, 64u << 20);
	one.body = two.body = fix_bytes(bytes, LARGE, 1);
	ck_assert_int_eq(fix_put(f, &one), 0);
	ck_assert_int_eq(fix_put(f, &two), 0);
	nftw(f->dir, find_file, 16, FTW_PHYS);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(pwrite(fd, "spoilt", 6, 5000), 6);
	close(fd);
}

static unsigned found;

static void note(void *arg, const char *text)
{
	(void)arg, (void)text;
	found++;
}

/* The file is replaced before it has been read to its end, or when it has just been removed. */
START_TEST(new_file_is_left_alone)
{
	struct audit a = {.deep = true, .fix = true, .found = note};
	struct store *tool;
	struct fix f;
	char *why;
	int ret = 1;

	start(&f);
	fix_close_store(&f);
	store_home_free(f.home);
	ck_assert_int_eq(store_open_tool(f.dir, true, &tool, &why), 0);
	a.s = tool;
	found = 0;
	ck_assert_int_eq(audit_begin(&a), 0);
	while (ret == 1 && (_i ? a.faults == 0 : a.file.fd < 0))
		ret = audit_step(&a, 1, 0);
	ck_assert_int_eq(ret, 1);
	write_file(one.body);
	while (ret == 1)
		ret = audit_step(&a, 1 << 20, 1000);
	ck_assert_int_eq(ret, 0);
	audit_end(&a);
	ck_assert_uint_eq(found, (unsigned)_i);
	ck_assert_int_eq(store_verify(tool, true, false, NULL, fix_print, NULL), 0);
	store_close(tool);
	fix_open_home(&f);
	fix_open_store(&f);
	ck_assert_int_eq(fix_get(&f, one.key, NULL, one.body), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, two.key, NULL, two.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

/* Somebody reads the damaged file all the time: lookups get the new one. */
START_TEST(removed_file_is_not_looked_up)
{
	struct store_hit hit;
	struct store_file *old;
	struct fix f;

	start(&f);
	ck_assert_int_eq(fix_get(&f, one.key, NULL, one.body), -100);
	ck_assert_int_eq(fix_find(&f, one.key, NULL, &hit), STORE_FOUND);
	old = store_hit_take_file(&hit);
	store_hit_done(f.s, &hit);
	write_file(one.body);
	pool_unlinked(f.s->pool, old->digest, 0);
	store_maintain(f.s, 1000);
	ck_assert_uint_gt(pool_get(&f.s->slot->held), 0);
	ck_assert_int_eq(fix_get(&f, one.key, NULL, one.body), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, two.key, NULL, two.body), STORE_FOUND);
	store_file_unref(f.s, old);
	store_maintain(f.s, 2000);
	ck_assert_uint_eq(pool_get(&f.s->slot->held), 0);
	ck_assert_int_eq(fix_get(&f, one.key, NULL, one.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/race", tcase_add_loop_test(tc, new_file_is_left_alone, 0, 2);
          tcase_add_test(tc, removed_file_is_not_looked_up);)
