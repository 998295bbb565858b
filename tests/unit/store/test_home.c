/* The folder: format, lock, what is refused and what is made. */
#include "fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static char bytes[100000];

static void put_file(const struct fix *f, const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static int open_home(struct fix *f, uint64_t size)
{
	char *why = NULL;
	int err = store_home_open(f->dir, size, (uid_t)-1, (gid_t)-1, &f->home, &why);

	ck_assert_msg((why != NULL) == (err != 0), "an error comes with a sentence");
	free(why);
	return err;
}

START_TEST(makes_and_keeps)
{
	static const char *const made[] = {"format", "lock", "index", "blobs", "spool"};
	char path[256];
	struct stat st;
	struct fix f;

	fix_init(&f, 0);
	ck_assert_int_eq(open_home(&f, 0), 0);
	ck_assert_uint_gt(store_home_size(f.home), 0);
	ck_assert_uint_le(store_home_size(f.home), 20ull << 30);
	store_home_set_size(f.home, 100u << 20);
	ck_assert_uint_eq(store_home_size(f.home), 100u << 20);
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		snprintf(path, sizeof(path), "%s/%s", f.dir, made[i]);
		ck_assert_msg(stat(path, &st) == 0, "%s", path);
		ck_assert_uint_eq(st.st_mode & 077, 0);
	}
	store_home_free(f.home);
	put_file(&f, "spool/4711.1.1", "left over");
	ck_assert_int_eq(open_home(&f, 0), 0);
	snprintf(path, sizeof(path), "%s/spool/4711.1.1", f.dir);
	ck_assert_int_ne(access(path, F_OK), 0);
	store_home_free(f.home);
	fix_cleanup();
}
END_TEST

START_TEST(refuses)
{
	struct store_home *first;
	struct fix f;
	char text[256];
	int fd;

	fix_init(&f, 0);
	ck_assert_int_eq(open_home(&f, 1000), LARDER_EINVAL);
	ck_assert_int_eq(open_home(&f, 0), 0);
	first = f.home;
	ck_assert_int_eq(open_home(&f, 0), LARDER_EBUSY);
	store_home_free(first);
	put_file(&f, "format", "larder store 999\n");
	ck_assert_int_eq(open_home(&f, 0), LARDER_EVERSION);
	snprintf(text, sizeof(text), "%s/format", f.dir);
	fd = open(text, O_RDONLY);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 17);
	ck_assert_mem_eq(text, "larder store 999\n", 17);
	close(fd);
	/* An index without a format is somebody else's. */
	put_file(&f, "index/data.mdb", "x");
	snprintf(text, sizeof(text), "%s/format", f.dir);
	unlink(text);
	ck_assert_int_eq(open_home(&f, 0), LARDER_EVERSION);
	fix_cleanup();
}
END_TEST

/* A killed master's child may hold the lock a moment longer: a new start waits for it. */
START_TEST(lock_outlives_the_master_until_its_children_are_gone)
{
	struct fix f;
	int up[2], child[2];
	pid_t master, last = 0;
	char byte;

	fix_init(&f, 0);
	ck_assert_int_eq(pipe(up), 0);
	ck_assert_int_eq(pipe(child), 0);
	master = fork();
	if (!master) {
		close(child[1]);
		ck_assert_int_eq(open_home(&f, 0), 0);
		last = fork();
		if (!last) {
			/* Until the test closes its end. */
			_exit(read(child[0], &byte, 1) < 0);
		}
		ck_assert_int_eq(write(up[1], &last, sizeof(last)), sizeof(last));
		pause();
		_exit(0);
	}
	ck_assert_int_eq(read(up[0], &last, sizeof(last)), sizeof(last));
	ck_assert_int_eq(open_home(&f, 0), LARDER_EBUSY);
	ck_assert_int_eq(kill(master, SIGKILL), 0);
	ck_assert_int_eq(waitpid(master, NULL, 0), master);
	close(child[1]);
	ck_assert_int_eq(open_home(&f, 0), 0);
	store_home_free(f.home);
	fix_cleanup();
}
END_TEST

START_TEST(tools)
{
	struct item it = {.key = "GET http://example.com/t", .body = fix_bytes(bytes, 90000, 1)};
	struct store_usage u;
	struct store_hit hit;
	struct store_key key;
	struct store *tool;
	struct fix f;
	char *why;

	fix_init(&f, 64u << 20);
	ck_assert_int_eq(store_open_tool(f.dir, false, &tool, &why), LARDER_ENOENT);
	ck_assert_ptr_nonnull(why);
	free(why);
	fix_open_home(&f);
	ck_assert_int_eq(store_open_tool(f.dir, false, &tool, &why), LARDER_ENOENT);
	free(why);
	fix_open_store(&f);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	fix_close_store(&f);
	ck_assert_int_eq(store_open_tool(f.dir, false, &tool, &why), 0);
	ck_assert_int_eq(store_usage(tool, &u), 0);
	ck_assert_uint_eq(u.cap, 64u << 20);
	ck_assert_uint_eq(u.records, 1);
	ck_assert_uint_eq(u.blobs, 1);
	store_key_init(tool, view_of(it.key), &key);
	ck_assert_int_eq(store_find(tool, &key, NULL, &hit), STORE_FOUND);
	ck_assert(fix_body_is(&hit, it.body));
	store_hit_done(tool, &hit);
	store_close(tool);
	store_home_free(f.home);
	fix_cleanup();
}
END_TEST

/* The file-size limit stands for a full disk. */
START_TEST(full_disk_is_survived)
{
	struct rlimit limit, small;
	struct fix f;
	char key[64];
	int err = 0, stored = 0;

	fix_start(&f, 64u << 20);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = limit;
	small.rlim_cur = 2u << 20;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 200 && !err; i++) {
		struct item it = {.key = key, .body = fix_bytes(bytes, 30000, (uint64_t)i)};

		snprintf(key, sizeof(key), "GET http://example.com/%d", i);
		err = fix_put(&f, &it);
		stored += !err;
	}
	/* A write that was cut short is an error of its own. */
	ck_assert(err == LARDER_ENOSPC || err == LARDER_EIO);
	ck_assert_int_ge(stored, 10);
	ck_assert_uint_ge(f.stats.refused_full + f.stats.errors, 1);
	for (int i = 0; i < stored; i++) {
		snprintf(key, sizeof(key), "GET http://example.com/%d", i);
		ck_assert_int_eq(fix_get(&f, key, NULL, fix_bytes(bytes, 30000, (uint64_t)i)),
		                 STORE_FOUND);
	}
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 200; i++) {
		struct item it = {.key = key, .body = fix_bytes(bytes, 30000, (uint64_t)i)};

		snprintf(key, sizeof(key), "GET http://example.com/%d", i);
		ck_assert_int_eq(fix_put(&f, &it), 0);
	}
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/home", tcase_add_test(tc, makes_and_keeps); tcase_add_test(tc, refuses);
          tcase_add_test(tc, lock_outlives_the_master_until_its_children_are_gone);
          tcase_add_test(tc, tools); tcase_add_test(tc, full_disk_is_survived);)
