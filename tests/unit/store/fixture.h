/* A store in a temporary folder, with a loop, for the tests of room store. */
#ifndef LARDER_TESTS_STORE_FIXTURE_H
#define LARDER_TESTS_STORE_FIXTURE_H

#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "http/framing.h"
#include "net/loop.h"
#include "store/purge.h"
#include "store/store.h"
#include "unit.h"

#define FIX_GUARD_MS 30000

struct fix {
	char dir[128];
	uint64_t size;
	struct store_home *home;
	struct store_options options;
	struct store_stats stats;
	struct net_loop *loop;
	struct net_timer guard;
	struct store *s;
	unsigned pending;
	bool waiting;
	int err; /* of the last op */
	struct store_purged purged;
};

static char fix_dir[128];
static pid_t fix_pid;

static int fix_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void fix_cleanup(void)
{
	if (fix_dir[0] && fix_pid == getpid())
		nftw(fix_dir, fix_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void fix_make_dir(struct fix *f)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(f->dir, sizeof(f->dir), "%s/larder-store-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	memcpy(fix_dir, f->dir, sizeof(fix_dir));
	fix_pid = getpid();
	atexit(fix_cleanup);
}

static void fix_late(struct net_timer *t)
{
	(void)t;
	ck_abort_msg("the store did not answer within %d ms", FIX_GUARD_MS);
}

static inline void fix_open_home(struct fix *f)
{
	char *why = NULL;
	int err = store_home_open(f->dir, f->size, (uid_t)-1, (gid_t)-1, &f->home, &why);

	ck_assert_msg(err == 0, "home: %s", why ? why : larder_strerror(err));
}

static inline void fix_open_store(struct fix *f)
{
	f->loop = net_loop_new(2);
	ck_assert_ptr_nonnull(f->loop);
	net_timer_init(&f->guard, f->loop, fix_late);
	int err = store_open(f->home, f->loop, &f->options, &f->stats, &f->s);

	/* A forked writer's assertion would not be seen. */
	if (err)
		fprintf(stderr, "the store can't be opened: %s\n", larder_strerror(err));
	ck_assert_int_eq(err, 0);
}

static inline void fix_close_store(struct fix *f)
{
	store_close(f->s);
	f->s = NULL;
	net_loop_free(f->loop);
}

/* A new folder; options as options.def has them, but for what tests want small. */
static inline void fix_init(struct fix *f, uint64_t size)
{
	*f = (struct fix){
	        .size = size,
	        .options = {.inline_max = 64u << 10,
	                    .object_max = 1ull << 34,
	                    .open_files = 16,
	                    .batch_records = 2000,
	                    .batch_bytes = 8u << 20,
	                    .queue_bytes = 64u << 20,
	                    .store_wait = 1000,
	                    .sweep_interval = 60000},
	};
	fix_make_dir(f);
}

static inline void fix_start(struct fix *f, uint64_t size)
{
	fix_init(f, size);
	fix_open_home(f);
	fix_open_store(f);
}

static inline void fix_stop(struct fix *f)
{
	fix_close_store(f);
	store_home_free(f->home);
	fix_cleanup();
}

static inline void fix_reopen(struct fix *f)
{
	fix_close_store(f);
	store_home_free(f->home);
	fix_open_home(f);
	fix_open_store(f);
}

static void fix_done(void *arg, int err)
{
	struct fix *f = arg;

	f->err = err;
	f->pending--;
	net_loop_stop(f->loop);
}

/* Runs the loop until everything queued has been answered. */
static inline int fix_wait(struct fix *f)
{
	net_timer_set(&f->guard, FIX_GUARD_MS);
	while (f->pending)
		net_loop_run(f->loop);
	net_timer_stop(&f->guard);
	return f->err;
}

static void fix_ready(void *arg)
{
	struct fix *f = arg;

	f->waiting = false;
	net_loop_stop(f->loop);
}

/* Appends as a fetch does, which waits until there is room. */
static inline int fix_append(struct fix *f, struct store_spool *sp, struct view data)
{
	int err;

	while ((err = store_spool_append(sp, data)) == STORE_WAIT) {
		f->waiting = true;
		store_spool_wait(sp, fix_ready, f);
		net_timer_set(&f->guard, FIX_GUARD_MS);
		while (f->waiting)
			net_loop_run(f->loop);
		net_timer_stop(&f->guard);
	}
	return err;
}

struct item {
	const char *key, *vary, *selecting, *head, *tags;
	struct view body;
	unsigned lifetime;
	bool long_dead; /* stale since 1970 */
};

static inline void fix_record(const struct item *it, struct store_record *r)
{
	*r = (struct store_record){
	        .meta = {.status = 200, .lifetime = it->lifetime},
	        .vary = view_of(it->vary),
	        .selecting = view_of(it->selecting),
	        .head = view_of(it->head ? it->head : "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\n"),
	        .tags = view_of(it->tags),
	        .origin_port = 80,
	        .length = it->body.len,
	};
	if (it->long_dead)
		return;
	r->meta.request_time = r->meta.response_time = r->meta.date = clock_wall_s();
	r->meta.keep = 24;
}

/* Queues it; the error of the spool or of the call. */
static inline int fix_queue(struct fix *f, const struct item *it)
{
	struct store_spool *sp = store_spool_new(f->s, it->body.len);
	struct store_record r;
	struct store_key key;
	int err = 0;

	fix_record(it, &r);
	r.purges = store_purges(f->s);
	store_key_init(f->s, view_of(it->key), &key);
	/* In two pieces, as bodies come. */
	err = fix_append(f, sp, view_make(it->body.ptr, it->body.len / 2));
	if (!err)
		err = fix_append(f, sp, view_from(it->body, it->body.len / 2));
	if (!err)
		err = store_commit(f->s, &key, &r, sp, fix_done, f);
	if (!err)
		f->pending++;
	store_spool_unref(sp);
	return err;
}

static inline int fix_put(struct fix *f, const struct item *it)
{
	int err = fix_queue(f, it);

	return err ? err : fix_wait(f);
}

static inline int fix_find(struct fix *f, const char *text, const char *selecting,
                           struct store_hit *hit)
{
	struct view sel = view_of(selecting);
	struct store_key key;

	store_key_init(f->s, view_of(text), &key);
	return store_find(f->s, &key, selecting ? &sel : NULL, hit);
}

static inline bool fix_body_is(const struct store_hit *hit, struct view body)
{
	char *p;
	bool same;

	if (!hit->file)
		return view_eq(hit->body, body);
	p = malloc(body.len + 1);
	same = pread(store_file_fd(hit->file), p, body.len + 1, 0) == (ssize_t)body.len &&
	       memcmp(p, body.ptr, body.len) == 0;
	free(p);
	return same;
}

/* Looks up and compares: the outcome of store_find, or -100 when the body differs. */
static inline int fix_get(struct fix *f, const char *key, const char *selecting, struct view body)
{
	struct store_hit hit;
	int ret = fix_find(f, key, selecting, &hit);

	if (ret <= 0)
		return ret;
	if (ret == STORE_FOUND && !fix_body_is(&hit, body))
		ret = -100;
	store_hit_done(f->s, &hit);
	return ret;
}

static inline int fix_remove(struct fix *f, const char *text)
{
	struct store_key key;
	int err;

	store_key_init(f->s, view_of(text), &key);
	err = store_remove(f->s, &key, fix_done, f);
	if (err)
		return err;
	f->pending++;
	return fix_wait(f);
}

static void fix_purged(void *arg, int err, const struct store_purged *n)
{
	struct fix *f = arg;

	f->purged = *n;
	fix_done(arg, err);
}

/* What it removed or marked is in f->purged. */
static inline int fix_purge(struct fix *f, const struct store_purge *what)
{
	int err = store_purge(f->s, what, fix_purged, f);

	if (err)
		return err;
	f->pending++;
	return fix_wait(f);
}

static void fix_print(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "verify: %s\n", text);
}

/* Findings of a deep check. */
static inline int fix_verify(struct fix *f)
{
	return store_verify(f->s, true, false, NULL, fix_print, NULL);
}

/* Bytes that depend on `seed`, so that a body betrays a mix-up. */
static inline struct view fix_bytes(char *buf, size_t len, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15u + 1;

	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		buf[i] = (char)x;
	}
	return view_make(buf, len);
}

static uint64_t fix_blocks;

static int fix_du_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path, (void)flag, (void)ftw;
	fix_blocks += (uint64_t)st->st_blocks * 512;
	return 0;
}

/* What `du` would say. */
static inline uint64_t fix_du(const struct fix *f)
{
	fix_blocks = 0;
	nftw(f->dir, fix_du_one, 16, FTW_PHYS);
	return fix_blocks;
}

#endif
