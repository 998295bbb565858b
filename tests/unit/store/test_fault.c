/* Every write, sync, link and open of the store fails once, each in its turn: nothing wrong is
 * served, the account is right, and the store goes on by itself. */
#include "partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LARGE 100000

static char bytes[LARGE];
static unsigned calls, fail_at; /* counted while armed; the one that fails, 0: none */
static int fail_with;
static bool armed;

/* Calls of this program's and of LMDB's go through the functions below. */
static bool fails(void)
{
	if (!__atomic_load_n(&armed, __ATOMIC_SEQ_CST))
		return false;
	if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) != fail_at)
		return false;
	errno = fail_with;
	return true;
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails() ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

/* LMDB calls it by the name that has no 64. */
ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");

ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	return fails() ? -1 : syscall(SYS_writev, fd, v, n);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return fails() ? -1 : syscall(SYS_pwritev, fd, v, n, at, 0);
}

int fsync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	return fails() ? -1 : (int)syscall(SYS_syncfs, fd);
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
	return fails() ? -1 : (int)syscall(SYS_linkat, a, from, b, to, flags);
}

int unlinkat(int at, const char *path, int flags)
{
	return fails() ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
}

int mkdirat(int at, const char *path, mode_t mode)
{
	return fails() ? -1 : (int)syscall(SYS_mkdirat, at, path, mode);
}

int openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return fails() ? -1 : (int)syscall(SYS_openat, at, path, flags, mode);
}

static struct view body_of(unsigned n, uint64_t seed)
{
	return fix_bytes(bytes, n % 2 ? LARGE : 3000, seed);
}

static const char *const keys[] = {"GET http://a.example/small", "GET http://a.example/large",
                                   "GET http://b.example/small", "GET http://b.example/large"};

/* What is stored under the key is the body before or after, whole; `stored`: it is the one after.
 */
static void check_key(struct fix *f, unsigned k, uint64_t seed, bool stored)
{
	struct store_hit hit;
	int ret = fix_find(f, keys[k], NULL, &hit);
	bool now, before;

	/* Failing to look is allowed while something fails; a wrong body never is. */
	if (ret < 0)
		return;
	ck_assert_msg(ret == STORE_FOUND || !stored, "call %u: %s was acknowledged and is gone",
	              fail_at, keys[k]);
	if (ret != STORE_FOUND)
		return;
	now = fix_body_is(&hit, body_of(k, seed));
	before = fix_body_is(&hit, body_of(k, seed - 1));
	store_hit_done(f->s, &hit);
	ck_assert_msg(now || (before && !stored), "call %u: %s has another body", fail_at, keys[k]);
}

static struct partial a_part(void)
{
	return (struct partial){.item = {.key = "GET http://a.example/part", .body = body_of(1, 7)}};
}

/* What it is said to have is there. */
static void check_part(struct fix *f)
{
	struct partial p = a_part();
	struct store_extents have;
	int ret = partial_find(f, &p, &have);

	store_extents_fini(&have);
	ck_assert_msg(ret > -100, "call %u: a part has other bytes than it says", fail_at);
}

static void work_in_part(struct fix *f)
{
	struct partial p = a_part();

	if (partial_create(f, &p) == 0) {
		partial_add(f, &p, 0, 40000);
		check_part(f);
		partial_add(f, &p, 50000, LARGE);
		partial_close(f, &p);
	}
	check_part(f);
	p = a_part();
	if (partial_keep(f, &p, 90000) == 0)
		partial_close(f, &p);
	check_part(f);
}

/* New bodies under all keys, one of them removed before. */
static void work(struct fix *f, uint64_t seed)
{
	for (unsigned k = 0; k < ARRAY_LEN(keys); k++) {
		struct item it = {.key = keys[k], .body = body_of(k, seed)};
		int err = fix_put(f, &it);

		check_key(f, k, seed, err == 0);
	}
	fix_remove(f, keys[3]);
	work_in_part(f);
}

static void settled(struct fix *f, uint64_t seed)
{
	struct store_usage u;

	/* The turn after a failure may be the one that heals. */
	for (int i = 0; i < 20 && fix_remove(f, "GET http://nowhere/") != 0; i++)
		;
	for (unsigned k = 0; k < ARRAY_LEN(keys); k++) {
		struct item it = {.key = keys[k], .body = body_of(k, seed)};

		ck_assert_msg(fix_put(f, &it) == 0, "call %u: the store did not recover", fail_at);
		ck_assert_int_eq(fix_get(f, keys[k], NULL, body_of(k, seed)), STORE_FOUND);
	}
	check_part(f);
	ck_assert_int_eq(fix_remove(f, a_part().item.key), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(fix_remove(f, "GET http://nowhere/"), 0);
	ck_assert_msg(partial_files(f) == 0, "call %u left a file in parts/", fail_at);
	ck_assert_msg(fix_verify(f) == 0, "call %u left something behind", fail_at);
	ck_assert_int_eq(store_usage(f->s, &u), 0);
	ck_assert_uint_eq(u.records, ARRAY_LEN(keys));
	ck_assert_uint_eq(u.allocated, u.index_bytes + u.blob_bytes);
	ck_assert_uint_eq(f->stats.spools, 0);
}

static const struct {
	int error, durability;
} rows[] = {{EIO, 0}, {ENOSPC, 0}, {EMFILE, 0}, {EIO, 2}};

START_TEST(any_call_may_fail)
{
	uint64_t seed = 100;
	unsigned all;
	struct fix f;

	fix_init(&f, 64u << 20);
	f.options.durability = rows[_i].durability;
	f.options.inline_max = 32u << 10;
	fix_open_home(&f);
	fix_open_store(&f);
	settled(&f, seed);
	fail_with = rows[_i].error;
	fail_at = calls = 0;
	armed = true;
	work(&f, ++seed);
	armed = false;
	all = calls;
	ck_assert_uint_ge(all, 10);
	settled(&f, seed);
	for (fail_at = 1; fail_at <= all; fail_at++) {
		calls = 0;
		__atomic_store_n(&armed, true, __ATOMIC_SEQ_CST);
		work(&f, ++seed);
		__atomic_store_n(&armed, false, __ATOMIC_SEQ_CST);
		settled(&f, seed);
	}
	fprintf(stderr, "%u calls failed, one after the other\n", all);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/fault", tcase_add_loop_test(tc, any_call_may_fail, 0, ARRAY_LEN(rows));)
