/* What is not in memory: lookups that say so, reads by other threads, mappings of body files. */
#include <fcntl.h>
#include <sys/mman.h>

#include "fixture.h"
#include "store-private.h"

#define BIG 3000000

static char bytes[BIG];

static int look(struct fix *f, const char *text, const char *selecting, struct store_hit *hit)
{
	struct view sel = view_of(selecting);
	struct store_key key;

	store_key_init(f->s, view_of(text), &key);
	return store_look(f->s, &key, selecting ? &sel : NULL, hit);
}

static struct store_warm *warm(struct fix *f, const char *text, unsigned *done, void (*fn)(void *))
{
	struct store_key key;

	store_key_init(f->s, view_of(text), &key);
	return store_warm_row(f->s, &key, NULL, fn, done);
}

static struct fix fix;

static void on_done(void *arg)
{
	++*(unsigned *)arg;
	net_loop_stop(fix.loop);
}

static void wait_done(const unsigned *done)
{
	net_timer_set(&fix.guard, FIX_GUARD_MS);
	while (!*done)
		net_loop_run(fix.loop);
	net_timer_stop(&fix.guard);
}

static void put_big(struct fix *f)
{
	struct item it = {.key = "GET http://big/", .body = view_make(bytes, BIG), .lifetime = 60};

	for (size_t i = 0; i < BIG; i++)
		bytes[i] = (char)(i * 31 >> 3);
	ck_assert_int_eq(fix_put(f, &it), 0);
}

/* As if a cold page had been met just now. */
static void be_wary(struct fix *f)
{
	f->s->warm.wary = true;
	f->s->warm.wary_until_ms = clock_mono_ms() + 3600000;
}

/* While cold pages are about unknown keys are read beforehand, once. */
START_TEST(unknown_keys_are_read_beforehand)
{
	struct item it = {.key = "GET http://a/", .body = V("hello"), .lifetime = 60};
	struct store_hit hit;
	unsigned done = 0;

	fix_start(&fix, 64u << 20);
	ck_assert_int_eq(fix_put(&fix, &it), 0);
	fix_reopen(&fix);
	be_wary(&fix);
	ck_assert_int_eq(look(&fix, it.key, NULL, &hit), STORE_COLD);
	ck_assert_int_eq(look(&fix, "GET http://none/", NULL, &hit), STORE_COLD);
	ck_assert_ptr_nonnull(warm(&fix, it.key, &done, on_done));
	wait_done(&done);
	ck_assert_uint_eq(stat_get(&fix.stats.cold_lookups), 1);
	ck_assert_int_eq(fix_get(&fix, it.key, NULL, it.body), STORE_FOUND);
	ck_assert_int_eq(look(&fix, it.key, NULL, &hit), STORE_FOUND);
	store_hit_done(fix.s, &hit);
	ck_assert_uint_eq(fix.stats.hits, 2);
	fix_stop(&fix);
}
END_TEST

/* Takes the index out of the page cache, as far as the kernel will. Was it more than half of it? */
static bool chill(struct fix *f)
{
	unsigned char pages[4096];
	size_t n, cold = 0;
	char path[160];
	struct stat st;
	void *map;
	int fd;

	snprintf(path, sizeof(path), "%s/index/data.mdb", f->dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fsync(fd), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ck_assert_int_eq(fstat(fd, &st), 0);
	n = ((size_t)st.st_size + 4095) / 4096;
	ck_assert_uint_le(n, sizeof(pages));
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	ck_assert_int_eq(mincore(map, (size_t)st.st_size, pages), 0);
	for (size_t i = 0; i < n; i++)
		cold += !(pages[i] & 1);
	munmap(map, (size_t)st.st_size);
	close(fd);
	return cold > n / 2;
}

/* A new index, and one that is still in memory, are read by the loop; another is not. */
START_TEST(a_start_looks_what_is_in_memory)
{
	struct item it = {.key = "GET http://a/", .body = V("hello"), .lifetime = 60};
	struct store_hit hit;
	char key[32];
	bool cold;

	fix_start(&fix, 64u << 20);
	ck_assert_int_eq(look(&fix, it.key, NULL, &hit), STORE_NONE);
	ck_assert_int_eq(fix_put(&fix, &it), 0);
	/* More than what is read ahead of the first pages. */
	for (unsigned i = 0; i < 60; i++) {
		struct item more = {.key = key, .body = view_make(bytes, 60000), .lifetime = 60};

		snprintf(key, sizeof(key), "GET http://%u/", i);
		ck_assert_int_eq(fix_put(&fix, &more), 0);
	}
	fix_reopen(&fix);
	ck_assert_int_eq(look(&fix, it.key, NULL, &hit), STORE_FOUND);
	store_hit_done(fix.s, &hit);
	fix_close_store(&fix);
	cold = chill(&fix);
	fix_open_store(&fix);
	if (cold)
		ck_assert_int_eq(look(&fix, "GET http://none/", NULL, &hit), STORE_COLD);
	fix_stop(&fix);
}
END_TEST

static unsigned reads_until_quiet(struct fix *f)
{
	struct store_hit hit;
	unsigned n;

	for (n = 0; n < 10000 && look(f, "GET http://none/", NULL, &hit) == STORE_COLD; n++) {
		unsigned done = 0;

		ck_assert_ptr_nonnull(warm(f, "GET http://none/", &done, on_done));
		wait_done(&done);
	}
	return n;
}

/* Reads that meet nothing cold end it early, later where that was too early. */
START_TEST(quiet_reads_end_it)
{
	unsigned n;

	fix_start(&fix, 64u << 20);
	be_wary(&fix);
	n = reads_until_quiet(&fix);
	ck_assert_uint_ge(n, 32);
	ck_assert_uint_lt(n, 10000);
	ck_assert_uint_eq(reads_until_quiet(&fix), 0);
	/* The loop's faults told of a cold page soon after. */
	fix.s->warm.faults = UINT64_MAX;
	while (!warm_wary(fix.s))
		;
	n = reads_until_quiet(&fix);
	ck_assert_uint_ge(n, 128);
	ck_assert_uint_lt(n, 10000);
	fix_stop(&fix);
}
END_TEST

START_TEST(markers_are_known_after_a_use)
{
	struct item it = {.key = "GET http://a/", .vary = "accept-language", .selecting = "de\n",
	                  .body = V("hallo"), .lifetime = 60};
	struct store_hit hit;

	fix_start(&fix, 64u << 20);
	ck_assert_int_eq(fix_put(&fix, &it), 0);
	fix_reopen(&fix);
	be_wary(&fix);
	ck_assert_int_eq(look(&fix, it.key, NULL, &hit), STORE_COLD);
	ck_assert_int_eq(fix_find(&fix, it.key, NULL, &hit), STORE_VARIES);
	store_hit_done(fix.s, &hit);
	ck_assert_int_eq(look(&fix, it.key, NULL, &hit), STORE_VARIES);
	store_hit_done(fix.s, &hit);
	ck_assert_int_eq(look(&fix, it.key, it.selecting, &hit), STORE_COLD);
	fix_stop(&fix);
}
END_TEST

/* 0: nobody is told; 1: the store is closed first. */
START_TEST(reads_outlive_who_asked)
{
	unsigned done = 0;

	fix_start(&fix, 64u << 20);
	for (int i = 0; i < 300; i++) {
		struct store_warm *w = warm(&fix, "GET http://a/", &done, on_done);

		ck_assert_int_eq(w == NULL, i >= 256);
		if (!_i)
			store_warm_cancel(w);
	}
	fix_close_store(&fix);
	ck_assert_uint_eq(done, 0);
	fix_open_store(&fix);
	fix_stop(&fix);
}
END_TEST

START_TEST(files_are_read_beforehand)
{
	struct store_hit hit;
	uint64_t at, n;
	unsigned done;
	int fd;

	fix_start(&fix, 64u << 20);
	put_big(&fix);
	ck_assert_int_eq(fix_find(&fix, "GET http://big/", NULL, &hit), STORE_FOUND);
	fd = store_file_fd(hit.file);
	ck_assert_int_eq(fsync(fd), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (at = 0; at < BIG; at += n) {
		n = store_file_ready(fix.s, hit.file, at, BIG - at);
		ck_assert_uint_le(n, 1u << 20);
		if (n)
			continue;
		done = 0;
		ck_assert_ptr_nonnull(
		        store_warm_file(fix.s, hit.file, at, BIG - at, on_done, &done));
		wait_done(&done);
		n = store_file_ready(fix.s, hit.file, at, BIG - at);
		ck_assert_uint_gt(n, 0);
	}
	ck_assert_uint_eq(at, BIG);
	store_hit_done(fix.s, &hit);
	fix_stop(&fix);
}
END_TEST

START_TEST(views_are_bounded)
{
	struct store_hit hit;
	struct view v;

	fix_init(&fix, 64u << 20);
	fix.options.map_bytes = _i ? BIG : BIG - 1;
	fix_open_home(&fix);
	fix_open_store(&fix);
	put_big(&fix);
	ck_assert_int_eq(fix_find(&fix, "GET http://big/", NULL, &hit), STORE_FOUND);
	v = store_file_view(fix.s, hit.file, 1000, BIG);
	ck_assert_uint_eq(v.len, _i ? BIG - 1000 : 0);
	if (_i)
		ck_assert_int_eq(memcmp(v.ptr, bytes + 1000, v.len), 0);
	ck_assert_uint_eq(store_file_view(fix.s, hit.file, BIG, 1).len, 0);
	ck_assert_uint_eq(stat_get(&fix.stats.mapped_bytes), _i ? BIG : 0);
	store_hit_done(fix.s, &hit);
	fix_close_store(&fix);
	ck_assert_uint_eq(stat_get(&fix.stats.mapped_bytes), 0);
	fix_open_store(&fix);
	fix_stop(&fix);
}
END_TEST

/* A mapping goes on to the end of its page, with zeros that nobody stored: bytes that were cut off are not to be
 * had from it. 0: cut before the file is mapped, 1: after. */
START_TEST(views_of_cut_files_are_refused)
{
	struct store_hit hit;
	char path[64];
	int fd;

	fix_init(&fix, 64u << 20);
	fix.options.map_bytes = BIG;
	fix_open_home(&fix);
	fix_open_store(&fix);
	put_big(&fix);
	ck_assert_int_eq(fix_find(&fix, "GET http://big/", NULL, &hit), STORE_FOUND);
	if (_i)
		ck_assert_uint_eq(store_file_view(fix.s, hit.file, 0, BIG).len, BIG);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", store_file_fd(hit.file));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, BIG - 10), 0);
	close(fd);
	ck_assert_uint_eq(store_file_view(fix.s, hit.file, 0, BIG).len, 0);
	ck_assert_uint_eq(store_file_view(fix.s, hit.file, BIG - 100, 100).len, 0);
	store_hit_done(fix.s, &hit);
	fix_stop(&fix);
}
END_TEST

/* A mapping that nobody reads makes place for another one. */
START_TEST(mappings_take_turns)
{
	struct store_hit a, b;
	struct item it = {.key = "GET http://other/", .lifetime = 60};

	fix_init(&fix, 64u << 20);
	fix.options.map_bytes = BIG + 1000;
	fix_open_home(&fix);
	fix_open_store(&fix);
	put_big(&fix);
	bytes[0]++;
	it.body = view_make(bytes, BIG);
	ck_assert_int_eq(fix_put(&fix, &it), 0);
	ck_assert_int_eq(fix_find(&fix, "GET http://big/", NULL, &a), STORE_FOUND);
	ck_assert_int_eq(fix_find(&fix, it.key, NULL, &b), STORE_FOUND);
	ck_assert_uint_eq(store_file_view(fix.s, a.file, 0, 5).len, 5);
	ck_assert_uint_eq(store_file_view(fix.s, b.file, 0, 5).len, 0);
	store_hit_done(fix.s, &a);
	ck_assert_uint_eq(store_file_view(fix.s, b.file, 0, 5).len, 5);
	ck_assert_uint_eq(stat_get(&fix.stats.mapped_bytes), BIG);
	store_hit_done(fix.s, &b);
	fix_stop(&fix);
}
END_TEST

UNIT_MAIN("store/warm", tcase_add_test(tc, unknown_keys_are_read_beforehand);
          tcase_add_test(tc, a_start_looks_what_is_in_memory);
          tcase_add_test(tc, quiet_reads_end_it);
          tcase_add_test(tc, markers_are_known_after_a_use);
          tcase_add_loop_test(tc, reads_outlive_who_asked, 0, 2);
          tcase_add_test(tc, files_are_read_beforehand);
          tcase_add_loop_test(tc, views_are_bounded, 0, 2);
          tcase_add_loop_test(tc, views_of_cut_files_are_refused, 0, 2);
          tcase_add_test(tc, mappings_take_turns);)
