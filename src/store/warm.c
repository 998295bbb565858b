/* Keeping the loop from waiting for the disk: is it in memory, and bringing it there on the thread pool. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/loop.h"
#include "write.h"

#define WARM_MAX   256           /* on their way at once */
#define WARY_MS    10000         /* after something cold was met */
#define QUIET      32            /* reads in a row that met nothing cold end that early, */
#define QUIET_MAX  8192          /* or up to so many where it was too early before */
#define LOOKS      16            /* lookups between two looks at the faults */
#define PAGES_MAX  512           /* of a value */
#define FILE_STEP  (1U << 20)    /* of a body file judged and read at once */
#define PROBE_STEP (256U * 1024) /* one look at a body file */
#define PAGE       4096U

/* What the pool's threads need of the store. It outlives the store as long as they are at work. */
struct warm_room {
	pthread_rwlock_t lock; /* against closing the index while it is read */
	struct db *db;
	unsigned refs; /* the store and each store_warm; the loop's to count */
};

struct store_warm {
	struct warm_room *room;
	struct store *store; /* NULL once it is closed */
	LIST_ENTRY(store_warm) link;
	void (*done)(void *arg); /* NULL: nobody waits any more */
	void *arg;
	bool was_cold;
	struct hash128 hash; /* of a row, or */
	int fd;              /* a stretch of a file; -1: a row */
	uint64_t offset, len;
};

static uint64_t major_faults(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) ? 0 : (uint64_t)u.ru_majflt;
}

/* ---- Judging ---- */

int warm_init(struct store *s)
{
	s->warm.room = calloc(1, sizeof(*s->warm.room));
	if (!s->warm.room)
		return LARDER_ENOMEM;
	if (pthread_rwlock_init(&s->warm.room->lock, NULL)) {
		free(s->warm.room);
		s->warm.room = NULL;
		return LARDER_ENOMEM;
	}
	s->warm.room->refs = 1;
	LIST_INIT(&s->warm.running);
	s->warm.quiet_enough = QUIET;
	return 0;
}

static void room_unref(struct warm_room *room)
{
	if (--room->refs)
		return;
	pthread_rwlock_destroy(&room->lock);
	free(room);
}

void warm_fini(struct store *s)
{
	struct store_warm *w;

	if (!s->warm.room)
		return;
	while ((w = LIST_FIRST(&s->warm.running))) {
		LIST_REMOVE(w, link);
		w->store = NULL;
		w->done = NULL;
	}
	room_unref(s->warm.room);
	s->warm.room = NULL;
}

static void note_cold(struct store *s)
{
	struct warm *w = &s->warm;
	uint64_t now = clock_mono_ms();

	/* It was thought to be over too early. */
	if (now < w->quieted_ms + WARY_MS && w->quieted_ms && w->quiet_enough < QUIET_MAX)
		w->quiet_enough *= 4;
	else if (now >= w->wary_until_ms + WARY_MS && now >= w->quieted_ms + WARY_MS)
		w->quiet_enough = QUIET;
	w->quieted_ms = 0;
	w->quiet = 0;
	w->wary_until_ms = now + WARY_MS;
}

static void note_warm(struct store *s)
{
	struct warm *w = &s->warm;

	if (!w->wary || ++w->quiet < w->quiet_enough)
		return;
	w->wary = false;
	w->wary_until_ms = 0;
	w->quieted_ms = clock_mono_ms();
}

void warm_set_db(struct store *s, struct db *db)
{
	if (!s->warm.room)
		return;
	pthread_rwlock_wrlock(&s->warm.room->lock);
	s->warm.room->db = db;
	pthread_rwlock_unlock(&s->warm.room->lock);
	if (db && !db_in_memory(db)) {
		note_cold(s);
		s->warm.wary = true;
	}
}

bool warm_wary(struct store *s)
{
	struct warm *w = &s->warm;

	if (!w->room)
		return false;
	/* The loop has waited for a page: there may be more of them. */
	if (++w->looks % LOOKS == 0) {
		uint64_t faults = major_faults();

		if (faults != w->faults)
			note_cold(s);
		w->faults = faults;
		w->wary = clock_mono_ms() < w->wary_until_ms;
	}
	return w->wary;
}

static void *page_of(const void *at)
{
	return (void *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));
}

static size_t pages_of(struct view v)
{
	return ((uintptr_t)v.ptr % PAGE + v.len + PAGE - 1) / PAGE;
}

static bool resident(struct view v)
{
	unsigned char pages[PAGES_MAX];
	size_t n = pages_of(v);

	n = n < PAGES_MAX ? n : PAGES_MAX;
	if (mincore(page_of(v.ptr), n * PAGE, pages))
		return true;
	for (size_t i = 0; i < n; i++) {
		if (!(pages[i] & 1))
			return false;
	}
	return true;
}

bool warm_resident(struct store *s, struct view v)
{
	bool yes = resident(v);

	if (!yes)
		note_cold(s);
	return yes;
}

/* ---- On the thread pool ---- */

static void bring(struct view v)
{
	void *from = page_of(v.ptr);
	size_t len = pages_of(v) * PAGE;

	/* One read for all of it: the map as a whole is not read ahead. */
	madvise(from, len, MADV_WILLNEED);
	if (madvise(from, len, MADV_POPULATE_READ) == 0)
		return;
	for (size_t at = 0; at < len; at += PAGE)
		(void)*((volatile char *)from + at);
}

static void bring_row(struct store_warm *w)
{
	struct record_key k = record_key(w->hash);
	struct MDB_txn *txn;
	struct view row;

	if (db_begin(w->room->db, false, &txn))
		return;
	if (db_get(w->room->db, txn, DB_ENTRIES, view_make(k.bytes, sizeof(k.bytes)), &row) == 1 &&
	    !resident(row)) {
		w->was_cold = true;
		bring(row);
	}
	db_abort(txn);
}

static void bring_file(struct store_warm *w)
{
	char byte;

	/* What comes behind it will be asked for next. */
	posix_fadvise(w->fd, (off_t)w->offset, (off_t)(2 * w->len), POSIX_FADV_WILLNEED);
	for (uint64_t at = 0; at < w->len; at += PAGE) {
		if (pread(w->fd, &byte, 1, (off_t)(w->offset + at)) != 1)
			return;
	}
}

static void on_thread(void *arg)
{
	struct store_warm *w = arg;
	uint64_t before = major_faults();

	if (w->fd >= 0) {
		bring_file(w);
		return;
	}
	pthread_rwlock_rdlock(&w->room->lock);
	if (w->room->db)
		bring_row(w);
	pthread_rwlock_unlock(&w->room->lock);
	w->was_cold |= major_faults() != before;
}

static void on_done(void *arg)
{
	struct store_warm *w = arg;
	struct store *s = w->store;

	if (s) {
		LIST_REMOVE(w, link);
		s->warm.nrunning--;
		if (w->was_cold)
			note_cold(s);
		else if (w->fd < 0)
			note_warm(s);
	}
	if (w->fd >= 0)
		close(w->fd);
	if (w->done)
		w->done(w->arg);
	room_unref(w->room);
	free(w);
}

static struct store_warm *start(struct store *s, const struct store_warm *what)
{
	struct store_warm *w = malloc(sizeof(*w));

	if (!w)
		return NULL;
	*w = *what;
	w->room = s->warm.room;
	w->store = s;
	if (net_work(s->loop, on_thread, on_done, w)) {
		free(w);
		return NULL;
	}
	w->room->refs++;
	s->warm.nrunning++;
	LIST_INSERT_HEAD(&s->warm.running, w, link);
	return w;
}

struct store_warm *store_warm_row(struct store *s, const struct store_key *key,
                                  const struct view *selecting, void (*done)(void *arg), void *arg)
{
	struct store_warm w = {.fd = -1, .done = done, .arg = arg, .hash = key->hash};

	check_magic(s, STORE_MAGIC);
	if (!s->warm.room || s->warm.nrunning >= WARM_MAX)
		return NULL;
	if (selecting)
		w.hash = record_variant(key->hash, *selecting, s->seed);
	stat_add(&s->stats->cold_lookups, 1);
	return start(s, &w);
}

uint64_t store_file_ready(struct store *s, struct store_file *f, uint64_t offset, uint64_t len)
{
	uint64_t at, max = len < FILE_STEP ? len : FILE_STEP;
	char byte;

	check_magic(s, STORE_MAGIC);
	for (at = 0; at < max; at += PROBE_STEP) {
		uint64_t last = max - at < PROBE_STEP ? max - at : PROBE_STEP;
		struct iovec iov = {&byte, 1};

		/* Files are read ahead in order: where the end of a stretch is, the rest is, too. A file
		 * system that can't tell does not keep anybody waiting for its answer. */
		if (preadv2(f->fd, &iov, 1, (off_t)(offset + at + last - 1), RWF_NOWAIT) < 0 &&
		    errno == EAGAIN)
			break;
	}
	return at < max ? at : max;
}

struct store_warm *store_warm_file(struct store *s, struct store_file *f, uint64_t offset,
                                   uint64_t len, void (*done)(void *arg), void *arg)
{
	struct store_warm w = {.offset = offset, .len = len, .done = done, .arg = arg}, *out;

	check_magic(s, STORE_MAGIC);
	if (!s->warm.room || s->warm.nrunning >= WARM_MAX)
		return NULL;
	if (w.len > FILE_STEP)
		w.len = FILE_STEP;
	w.fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
	if (w.fd < 0)
		return NULL;
	stat_add(&s->stats->cold_reads, 1);
	out = start(s, &w);
	if (!out)
		close(w.fd);
	return out;
}

void store_warm_cancel(struct store_warm *w)
{
	if (w)
		w->done = NULL;
}
