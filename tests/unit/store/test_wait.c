/* Fetches that wait until there is room for what they bring. */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>

#include "fixture.h"

#define KIB 1024u
static char bytes[256 * KIB];

struct waiter {
	struct fix *f;
	struct store_spool *sp;
	unsigned calls;
};

static void on_ready(void *arg)
{
	struct waiter *w = arg;

	w->calls++;
	net_loop_stop(w->f->loop);
}

static void run_until(struct fix *f, const unsigned *calls, unsigned n)
{
	net_timer_set(&f->guard, FIX_GUARD_MS);
	while (*calls < n)
		net_loop_run(f->loop);
	net_timer_stop(&f->guard);
}

/* Fills the queue, which nobody empties before the loop runs. */
static void fill_queue(struct fix *f)
{
	struct store_spool *sp;
	struct store_record r;
	struct store_key key;
	char text[64];

	for (unsigned i = 0;; i++) {
		struct item it = {.key = text, .body = fix_bytes(bytes, 60 * KIB, i)};

		snprintf(text, sizeof(text), "GET http://example.com/fill/%u", i);
		sp = store_spool_new(f->s, it.body.len);
		if (store_spool_append(sp, it.body) == STORE_WAIT) {
			store_spool_unref(sp);
			return;
		}
		fix_record(&it, &r);
		store_key_init(f->s, view_of(text), &key);
		ck_assert_int_eq(store_commit(f->s, &key, &r, sp, fix_done, f), 0);
		f->pending++;
		store_spool_unref(sp);
	}
}

static void start(struct fix *f, uint64_t wait)
{
	fix_init(f, 64u << 20);
	f->options.durability = 2;
	f->options.queue_bytes = 1u << 20;
	f->options.store_wait = wait;
	fix_open_home(f);
	fix_open_store(f);
}

/* One that waits for the queue gets its turn, and its body into the store. */
START_TEST(queue_gets_room)
{
	struct item it = {.key = "GET http://example.com/late",
	                  .body = fix_bytes(bytes, 40 * KIB, 99)};
	struct waiter w = {.f = NULL};
	struct fix f;

	start(&f, 20000);
	w.f = &f;
	fill_queue(&f);
	it.body = fix_bytes(bytes, 40 * KIB, 99);
	w.sp = store_spool_new(f.s, it.body.len);
	ck_assert_int_eq(store_spool_append(w.sp, it.body), STORE_WAIT);
	ck_assert_uint_eq(store_spool_length(w.sp), 0);
	store_spool_wait(w.sp, on_ready, &w);
	ck_assert_uint_eq(stat_get(&f.stats.waiting), 1);
	run_until(&f, &w.calls, 1);
	ck_assert_uint_eq(stat_get(&f.stats.waiting), 0);
	ck_assert_uint_eq(stat_get(&f.stats.waits), 1);
	store_spool_unref(w.sp);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_FOUND);
	ck_assert_uint_eq(stat_get(&f.stats.refused_queue), 0);
	fix_stop(&f);
}
END_TEST

/* Nobody waits where store_wait is 0; nobody is called who does not want it any more. */
START_TEST(none_waits)
{
	struct waiter w = {.f = NULL};
	struct fix f;
	int err = 0;

	start(&f, _i ? 20000 : 0);
	w.f = &f;
	for (unsigned i = 0; i < 10000 && !err; i++) {
		char text[64];
		struct item it = {.key = text, .body = fix_bytes(bytes, 60 * KIB, i)};
		struct store_spool *sp = store_spool_new(f.s, it.body.len);
		struct store_record r;
		struct store_key key;

		snprintf(text, sizeof(text), "GET http://example.com/%u", i);
		err = store_spool_append(sp, it.body);
		if (err == STORE_WAIT) {
			store_spool_wait(sp, on_ready, &w);
			if (_i == 1)
				store_spool_wait(sp, NULL, NULL);
		}
		fix_record(&it, &r);
		store_key_init(f.s, view_of(text), &key);
		if (!err && store_commit(f.s, &key, &r, sp, fix_done, &f) == 0)
			f.pending++;
		store_spool_unref(sp);
	}
	ck_assert_int_eq(err, _i ? STORE_WAIT : LARDER_ENOSPC);
	ck_assert_uint_eq(stat_get(&f.stats.refused_queue), !_i);
	ck_assert_uint_eq(stat_get(&f.stats.waiting), 0);
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_uint_eq(w.calls, 0);
	fix_stop(&f);
}
END_TEST

/* Bodies that together are more than the cap and never end: each waits, for its time, and then they
 * are told at once. */
START_TEST(room_never_comes)
{
	enum { N = 40 };
	struct waiter w[N] = {0};
	unsigned called = 0, refused = 0;
	uint64_t begun;
	struct fix f;

	start(&f, 300);
	begun = clock_mono_ms();
	for (unsigned i = 0; i < N; i++) {
		w[i] = (struct waiter){&f, store_spool_new(f.s, 4u << 20), 0};
		for (unsigned k = 0; k < 16; k++) {
			if (store_spool_append(w[i].sp, view_make(bytes, sizeof(bytes))) ==
			    STORE_WAIT) {
				store_spool_wait(w[i].sp, on_ready, &w[i]);
				break;
			}
		}
	}
	ck_assert_uint_gt(stat_get(&f.stats.waiting), 3);
	net_timer_set(&f.guard, FIX_GUARD_MS);
	while (stat_get(&f.stats.waiting))
		net_loop_run(f.loop);
	net_timer_stop(&f.guard);
	ck_assert_uint_ge(clock_mono_ms() - begun, 250);
	for (unsigned i = 0; i < N; i++) {
		ck_assert_uint_le(w[i].calls, 1);
		called += w[i].calls;
		/* None is put off again. */
		if (w[i].calls)
			refused += store_spool_append(w[i].sp, view_make(bytes, sizeof(bytes))) ==
			           LARDER_ENOSPC;
	}
	for (unsigned i = 0; i < N; i++)
		store_spool_unref(w[i].sp);
	ck_assert_uint_gt(called, 3);
	ck_assert_uint_eq(refused, called);
	/* Room again: stored as ever. */
	ck_assert_int_eq(fix_put(&f, &(struct item){.key = "GET http://example.com/ok",
	                                            .body = fix_bytes(bytes, 200 * KIB, 5)}),
	                 0);
	fix_stop(&f);
}
END_TEST

/* Starts a fetch beside a full queue and a writer that stands still: what append says. */
static int ask(struct fix *f, struct waiter *w)
{
	w->f = f;
	w->sp = store_spool_new(f->s, 40 * KIB);
	return store_spool_append(w->sp, view_make(bytes, 40 * KIB));
}

/* One commit that takes longer than store_wait costs those their place who wait for it, and nobody
 * who comes after them; only one that takes several times as long does. */
START_TEST(one_slow_commit)
{
	struct waiter w[3] = {0};
	uint64_t begun;
	char path[600];
	struct fix f;
	int fd;

	start(&f, 400);
	snprintf(path, sizeof(path), "%s/index/turn", f.dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	fill_queue(&f);
	begun = clock_mono_ms();
	ck_assert_int_eq(ask(&f, &w[0]), STORE_WAIT);
	store_spool_wait(w[0].sp, on_ready, &w[0]);
	run_until(&f, &w[0].calls, 1);
	ck_assert_int_eq(store_spool_append(w[0].sp, view_make(bytes, 1)), LARDER_ENOSPC);
	ck_assert_int_eq(ask(&f, &w[1]), STORE_WAIT);
	for (w[2].f = &f; _i && clock_mono_ms() - begun < 5 * 400;) {
		store_spool_unref(w[2].sp);
		w[2].calls = 0;
		if (ask(&f, &w[2]) != STORE_WAIT)
			break;
		store_spool_wait(w[2].sp, on_ready, &w[2]);
		run_until(&f, &w[2].calls, 1);
	}
	if (_i)
		ck_assert_int_eq(store_spool_append(w[2].sp, view_make(bytes, 1)), LARDER_ENOSPC);
	else
		store_spool_wait(w[1].sp, on_ready, &w[1]);
	ck_assert_int_eq(flock(fd, LOCK_UN), 0);
	if (!_i) {
		run_until(&f, &w[1].calls, 1);
		ck_assert_int_eq(store_spool_append(w[1].sp, view_make(bytes, 40 * KIB)), 0);
	}
	for (unsigned i = 0; i < 3; i++)
		store_spool_unref(w[i].sp);
	close(fd);
	ck_assert_int_eq(fix_wait(&f), 0);
	fix_stop(&f);
}
END_TEST

/* A disk that fails keeps nobody waiting. */
START_TEST(disk_fails)
{
	struct rlimit all, none = {0};
	struct waiter w = {0};
	uint64_t begun;
	struct fix f;

	start(&f, 20000);
	w.f = &f;
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &all), 0);
	none.rlim_max = all.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
	fill_queue(&f);
	w.sp = store_spool_new(f.s, 100);
	ck_assert_int_eq(store_spool_append(w.sp, view_make(bytes, 100)), STORE_WAIT);
	store_spool_wait(w.sp, on_ready, &w);
	begun = clock_mono_ms();
	run_until(&f, &w.calls, 1);
	ck_assert_uint_lt(clock_mono_ms() - begun, 10000);
	store_spool_unref(w.sp);
	ck_assert_int_ne(fix_wait(&f), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
	fix_stop(&f);
}
END_TEST

/* Commits that share one: what comes in quick succession does, removals do not wait for company. */
START_TEST(commits_are_paced)
{
	struct item it = {.key = "GET http://example.com/a", .body = fix_bytes(bytes, 100, 1)};
	struct fix f;

	fix_init(&f, 64u << 20);
	f.options.durability = 2;
	f.options.commit_delay = 20000;
	fix_open_home(&f);
	fix_open_store(&f);
	/* The first goes at once. */
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_uint_eq(stat_get(&f.stats.commits), 1);
	it.key = "GET http://example.com/b";
	ck_assert_int_eq(fix_queue(&f, &it), 0);
	it.key = "GET http://example.com/c";
	ck_assert_int_eq(fix_queue(&f, &it), 0);
	ck_assert_int_eq(fix_remove(&f, "GET http://example.com/a"), 0);
	ck_assert_uint_eq(stat_get(&f.stats.commits), 2);
	ck_assert_uint_eq(stat_get(&f.stats.inserts), 3);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/wait", tcase_set_timeout(tc, 60); tcase_add_test(tc, queue_gets_room);
          tcase_add_loop_test(tc, none_waits, 0, 3); tcase_add_test(tc, room_never_comes);
          tcase_add_loop_test(tc, one_slow_commit, 0, 2); tcase_add_test(tc, disk_fails); tcase_add_test(tc, commits_are_paced);)
