/* The writer thread: group commits. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log.h"
#include "net/loop.h"
#include "purge.h"

#define PEAK_KEPT     (1u << 20) /* bytes of a queue whose memory is kept */
#define TRIES_MAX     24         /* transactions that an insert may wait for room */
#define HOUSEWORK_MAX 8          /* transactions in a row that only make room */
#define TICK_MS       1000
#define FULL_FACTOR   2 /* of queue_bytes: what is there when the queue fills up still gets in */
#define BREATH_MS     5
#define BURY_MAX      256
#define PURGE_MS      1 /* the loop's thread gets this long to close removed files */

struct batch {
	struct op_list ops, done;
	uint64_t n, bytes;
};

/* ---- On the loop ---- */

/* A broken environment is opened again here, where no lookup is going on. */
static void reopen(struct store *s)
{
	static uint64_t told;
	int err;

	check(!s->hits);
	store_db_close(s);
	err = store_db_open(s);
	if (err)
		log_limited(&told, LOG_L_ERROR, "store: %s/index can't be opened again: %s", s->dir,
		            larder_strerror(err));
}

static void woken(void *arg)
{
	struct store *s = arg;
	struct writer *w = &s->writer;
	struct op_list list = TAILQ_HEAD_INITIALIZER(list);
	bool failing, moved;

	pthread_mutex_lock(&w->lock);
	TAILQ_CONCAT(&list, &w->done, link);
	failing = w->failing;
	moved = w->moves != s->waits.moves;
	s->waits.moves = w->moves;
	if (w->reopen) {
		reopen(s);
		w->reopen = false;
		pthread_cond_signal(&w->reopened);
	}
	pthread_mutex_unlock(&w->lock);
	for (enum wait_for what = 0; moved && what < WAIT_KINDS; what++)
		wait_moved(s, what);
	ops_done(s, &list);
	purge_serve(s);
	waits_serve(s, failing);
	files_purge(s);
}

/* Evictions and commits keep up with what a batch writes, be it to the index or to files. */
static uint64_t weight(const struct op *op)
{
	return op->bytes + (op->rec.h.blob == RECORD_BLOB ? op->rec.h.length : op->extent.end - op->extent.first);
}

/* Called with the lock. It is woken for the first op, for a full batch, and for what cannot wait.
 */
static void rouse(const struct store_options *o, struct writer *w, bool now)
{
	if (w->rest == REST_IDLE ||
	    (w->rest == REST_PACE && (now || w->urgent || w->queued >= (uint64_t)o->batch_records ||
	                              w->weight >= o->batch_bytes)))
		pthread_cond_signal(&w->work);
}

int writer_queue(struct store *s, struct op *op)
{
	struct writer *w = &s->writer;
	int err = 0;

	if (!w->running)
		return LARDER_ECLOSED;
	pthread_mutex_lock(&w->lock);
	if (w->bytes + op->bytes > s->options->queue_bytes * FULL_FACTOR && w->queued) {
		err = LARDER_ELIMIT;
	} else {
		TAILQ_INSERT_TAIL(&w->queue, op, link);
		w->bytes += op->bytes;
		w->weight += weight(op);
		w->peak = w->bytes > w->peak ? w->bytes : w->peak;
		w->queued++;
		w->urgent += op_urgent(op);
		s->waits.queued += op->bytes;
		stat_set(&s->stats->queue_bytes, w->bytes);
		rouse(s->options, w, false);
	}
	pthread_mutex_unlock(&w->lock);
	if (err)
		stat_add_mt(&s->stats->refused_queue, 1);
	return err;
}

void writer_kick(struct store *s, unsigned duties)
{
	struct writer *w = &s->writer;

	if (!w->running)
		return;
	pthread_mutex_lock(&w->lock);
	w->kicked = true;
	w->duties |= duties;
	rouse(s->options, w, duties || waits_any(s));
	pthread_mutex_unlock(&w->lock);
}

/* ---- On the thread ---- */

static bool wait_until(struct writer *w, enum writer_rest rest, uint64_t ms)
{
	struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
	int rc;

	w->rest = rest;
	rc = pthread_cond_timedwait(&w->work, &w->lock, &t);
	w->rest = REST_NONE;
	return rc != ETIMEDOUT;
}

/* The spools and readers of others may have the room, and need time to let go of it. */
static void breathe(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	if (!w->stop)
		wait_until(w, REST_PACE, clock_mono_ms() + BREATH_MS);
	pthread_mutex_unlock(&w->lock);
}

/* May the batch wait for company? Called with the lock. */
static bool may_pace(const struct store *s)
{
	const struct store_options *o = s->options;
	const struct writer *w = &s->writer;

	return !w->stop && !w->duties && !w->urgent && !waits_any(s) &&
	       w->queued < (uint64_t)o->batch_records && w->weight < o->batch_bytes &&
	       clock_mono_ms() < w->began_ms + o->commit_delay;
}

/* Waits for work, then takes a batch of it. False when all is done and the store closes. */
static bool take(struct store *s, struct batch *b, unsigned *duties)
{
	const struct store_options *o = s->options;
	struct writer *w = &s->writer;
	uint64_t until = clock_mono_ms() + (waits_any(s) ? BREATH_MS : TICK_MS);
	struct op *op;
	bool more;

	pthread_mutex_lock(&w->lock);
	while (TAILQ_EMPTY(&w->queue) && !w->stop && !w->kicked && wait_until(w, REST_IDLE, until))
		;
	while (may_pace(s) && wait_until(w, REST_PACE, w->began_ms + o->commit_delay))
		;
	w->began_ms = clock_mono_ms();
	while ((op = TAILQ_FIRST(&w->queue)) && b->n < (uint64_t)o->batch_records &&
	       (!b->n || b->bytes + weight(op) <= o->batch_bytes)) {
		TAILQ_REMOVE(&w->queue, op, link);
		TAILQ_INSERT_TAIL(&b->ops, op, link);
		b->n++;
		b->bytes += weight(op);
		count_down(&w->weight, weight(op));
		w->urgent -= op_urgent(op);
	}
	*duties = w->duties;
	w->duties = 0;
	w->kicked = false;
	more = b->n || !w->stop;
	pthread_mutex_unlock(&w->lock);
	return more;
}

static bool to_sync(const struct op *op)
{
	return !op->synced && ((op->kind == OP_INSERT && op->rec.h.blob) || op->kind == OP_PART_EXTEND ||
	                       op->kind == OP_PART_FINISH);
}

/* Body files that waited in memory get the room that there is; *n: those that are whole. */
static void complete_spools(struct batch *b, unsigned *n)
{
	struct op *op;

	*n = 0;
	TAILQ_FOREACH (op, &b->ops, link) {
		if (!to_sync(op))
			continue;
		/* What is not in a part's file yet is not in its record either. */
		op->err = op->rec.h.blob == RECORD_BLOB ? spool_complete(op->spool) : part_ready(op);
		if (op->err == LARDER_ENOSPC)
			return;
		*n += !op->err;
	}
}

/* Body files are whole and on disk before anybody waits for the lock; those that found no room wait
 * for what the next transaction evicts. */
static void sync_spools(struct store *s, struct batch *b)
{
	struct op *op, *next;
	unsigned n;
	bool all;
	int err;

	complete_spools(b, &n);
	all = s->sync_files && sync_all_pays(s, n);
	err = all ? sync_all(s) : 0;
	TAILQ_FOREACH_SAFE (op, &b->ops, link, next) {
		if (!to_sync(op))
			continue;
		if (op->err == LARDER_ENOSPC) {
			op->err = 0;
			return;
		}
		if (!op->err)
			op->err = all || !s->sync_files ? err : sync_one(s, op_fd(op));
		op->synced = !op->err;
		if (op->err) {
			TAILQ_REMOVE(&b->ops, op, link);
			TAILQ_INSERT_TAIL(&b->done, op, link);
		}
	}
}

static void fail_all(struct batch *b, int err)
{
	struct op *op;

	TAILQ_FOREACH (op, &b->ops, link)
		op->err = err;
	TAILQ_CONCAT(&b->done, &b->ops, link);
}

/* An op that did not get room waits for what evictions free, but not for ever. */
static bool give_up(struct store *s, struct op *op)
{
	uint64_t now = clock_mono_ms();

	if (!op->tries++)
		op->stuck_ms = now;
	if (op->tries < TRIES_MAX ||
	    (!s->writer.stop && now - op->stuck_ms < s->options->store_wait))
		return false;
	op->err = LARDER_ENOSPC;
	return true;
}

/* Applies ops in their order until one finds no room. *applied: those that stand or fall with the
 * commit. A fatal error leaves the culprit in b->done and the others where they were. */
static int apply_all(struct write *w, struct batch *b, struct op_list *applied)
{
	struct op *op;

	while ((op = TAILQ_FIRST(&b->ops))) {
		bool fatal;
		int ret = apply_op(w, op, &fatal);

		if (ret == APPLY_NO_ROOM && !give_up(w->s, op))
			return 0;
		TAILQ_REMOVE(&b->ops, op, link);
		if (ret == 0) {
			TAILQ_INSERT_TAIL(applied, op, link);
			continue;
		}
		if (ret < 0)
			op->err = ret;
		TAILQ_INSERT_TAIL(&b->done, op, link);
		if (fatal)
			return ret;
	}
	return 0;
}

static void put_back(struct batch *b, struct op_list *applied)
{
	struct op *op;

	while ((op = TAILQ_LAST(applied, op_list))) {
		TAILQ_REMOVE(applied, op, link);
		op->linked = false;
		TAILQ_INSERT_HEAD(&b->ops, op, link);
	}
}

static void settle(struct store *s, struct batch *b, struct op_list *applied, int err)
{
	struct op *op;

	TAILQ_FOREACH (op, applied, link) {
		op->err = err;
		if (err)
			continue;
		if (op->linked && op->spool)
			spool_unreserve(op->spool);
		op_count(s, op);
	}
	TAILQ_CONCAT(&b->done, applied, link);
}

/* One transaction: what earlier ones left to do, room, then as many ops as find room in it.
 * *again: there is more housework; *moved: something changed. */
static int transact(struct store *s, struct batch *b, bool *again, bool *moved)
{
	struct op_list applied = TAILQ_HEAD_INITIALIZER(applied);
	struct write w;
	int err = write_begin(s, &w);

	*again = *moved = false;
	if (err)
		return err;
	write_punch(&w);
	err = blob_bury(&w, BURY_MAX);
	if (!err)
		err = queue_evict(&w);
	if (!err) {
		err = apply_all(&w, b, &applied);
		if (err) {
			write_abort(&w);
			put_back(b, &applied);
			*again = *moved = true;
			return 0;
		}
		s->writer.cramped = !TAILQ_EMPTY(&b->ops);
		*again = w.st.doomed || (w.st.records && write_excess(&w));
		*moved = !TAILQ_EMPTY(&applied) || memcmp(&w.st, &w.was, sizeof(w.st)) != 0;
		if (!write_due(&w) && TAILQ_EMPTY(&b->ops) && TAILQ_EMPTY(&applied)) {
			write_abort(&w);
			return 0;
		}
		err = write_commit(&w);
	}
	write_abort(&w);
	settle(s, b, &applied, err);
	if (err)
		return err;
	stat_add_mt(&s->stats->commits, 1);
	s->writer.unsynced = true;
	return 0;
}

static void complain(struct store *s, const struct op *op)
{
	static uint64_t told;

	log_limited(&told, LOG_L_WARNING, "store: a response is not %s: %s",
	            op->kind == OP_INSERT ? "stored" : "changed", larder_strerror(op->err));
	stat_add_mt(op->err == LARDER_ENOSPC ? &s->stats->refused_full : &s->stats->errors, 1);
}

static void hand_over(struct store *s, struct batch *b, bool moved, int err)
{
	struct writer *w = &s->writer;
	struct op *op;
	bool wake = false;

	TAILQ_FOREACH (op, &b->done, link) {
		/* Gone, revoked, or there already: so it should be. */
		if (op->err && op->err != LARDER_ENOENT && op->err != LARDER_ECLOSED && op->err != LARDER_EAGAIN)
			complain(s, op);
		if (op->of)
			purge_count(op->of, op);
	}
	pthread_mutex_lock(&w->lock);
	w->failing = err != 0;
	w->moves += moved;
	TAILQ_FOREACH (op, &b->done, link) {
		w->bytes -= op->bytes;
		w->queued--;
		wake = true;
	}
	TAILQ_CONCAT(&w->done, &b->done, link);
	stat_set(&s->stats->queue_bytes, w->bytes);
	pthread_mutex_unlock(&w->lock);
	if (wake || waits_any(s) ||
	    pool_get(&s->pool->unlinks) != __atomic_load_n(&s->files.unlinks, __ATOMIC_RELAXED))
		net_wake_send(s->wake);
}

/* What waits for room may find it once the loop's thread has closed the removed files that nobody
 * reads any more. */
static void let_purge(struct store *s)
{
	if (pool_get(&s->slot->gone) == pool_get(&s->slot->looked))
		return;
	net_wake_send(s->wake);
	poll(NULL, 0, PURGE_MS);
}

static void heal(struct store *s)
{
	struct writer *w = &s->writer;

	/* One that could not be opened again, for want of descriptors perhaps, is tried again with
	 * every turn. */
	if (s->db && !db_broken(s->db))
		return;
	pthread_mutex_lock(&w->lock);
	w->reopen = !w->stop;
	net_wake_send(s->wake);
	while (w->reopen && !w->stop)
		pthread_cond_wait(&w->reopened, &w->lock);
	w->reopen = false;
	pthread_mutex_unlock(&w->lock);
}

/* A batch takes as many transactions as it needs room for. */
static void run_batch(struct store *s, struct batch *b, bool needed)
{
	static uint64_t told;
	bool again = needed, moved;
	unsigned still = 0;
	int err = 0;

	for (unsigned n = 0; !TAILQ_EMPTY(&b->ops) || (again && n < HOUSEWORK_MAX); n++) {
		sync_spools(s, b);
		err = transact(s, b, &again, &moved);
		if (err) {
			if (err == LARDER_ENOSPC)
				room_full(s);
			fail_all(b, err);
			log_limited(&told, LOG_L_ERROR, "store: writing to %s failed: %s", s->dir,
			            larder_strerror(err));
			break;
		}
		if (!TAILQ_EMPTY(&b->done) || waits_any(s))
			hand_over(s, b, moved, 0);
		if (!TAILQ_EMPTY(&b->ops))
			let_purge(s);
		/* Files of removed responses go two commits later: that is not standing still. */
		still = moved ? 0 : still + 1;
		if (still > 2 && !TAILQ_EMPTY(&b->ops))
			breathe(&s->writer);
	}
	hand_over(s, b, false, err);
	heal(s);
}

void writer_run(struct store *s, struct op_list *ops, uint64_t n)
{
	struct batch b = {.n = n};

	TAILQ_INIT(&b.ops);
	TAILQ_INIT(&b.done);
	TAILQ_CONCAT(&b.ops, ops, link);
	pthread_mutex_lock(&s->writer.lock);
	s->writer.queued += n;
	pthread_mutex_unlock(&s->writer.lock);
	run_batch(s, &b, false);
}

static void duties_run(struct store *s, unsigned duties)
{
	struct writer *w = &s->writer;
	uint64_t now = clock_mono_ms();

	if (!s->db)
		return;
	if (s->options->durability == DB_BATCH && w->unsynced && now - w->synced_ms >= TICK_MS) {
		db_sync(s->db);
		w->unsynced = false;
		w->synced_ms = now;
	}
	purge_run(s);
	if (duties & DUTY_MAINTAIN) {
		db_check_readers(s->db);
		purge_adopt(s);
		sweep_step(s);
		duties |= DUTY_SCRUB;
	}
	if (duties & DUTY_SCRUB)
		scrub_step(s);
	if (duties & DUTY_TRIM)
		trim_run(s);
}

/* What a burst left in the allocator's hands goes back to the system once there is nothing to do.
 */
static void give_back(struct writer *w)
{
	bool much;

	pthread_mutex_lock(&w->lock);
	much = TAILQ_EMPTY(&w->queue) && w->peak > PEAK_KEPT;
	if (much)
		w->peak = w->bytes;
	pthread_mutex_unlock(&w->lock);
	if (much)
		malloc_trim(0);
}

static void *run(void *arg)
{
	struct store *s = arg;
	unsigned duties;

	for (;;) {
		struct batch b = {0};
		struct pool *p = s->pool;

		TAILQ_INIT(&b.ops);
		TAILQ_INIT(&b.done);
		if (!take(s, &b, &duties))
			break;
		if (!b.n)
			give_back(&s->writer);
		run_batch(s, &b,
		          pool_get(&p->doomed) || p->intents ||
		                  pool_allocated(p) + pool_wanted(p) >
		                          room_for_spools(p) - room_unit(pool_cap(p)));
		duties_run(s, duties);
	}
	if (s->db && s->options->durability == DB_BATCH && s->writer.unsynced)
		db_sync(s->db);
	return NULL;
}

int writer_start(struct store *s)
{
	struct writer *w = &s->writer;
	pthread_condattr_t attr;

	TAILQ_INIT(&w->queue);
	TAILQ_INIT(&w->done);
	TAILQ_INIT(&s->purges.running);
	TAILQ_INIT(&s->purges.ended);
	w->sweep_dir = 256;
	w->sweep_ms = clock_mono_ms() - s->options->sweep_interval;
	w->scrub_ms = clock_mono_ms();
	s->wake = net_wake_new(s->loop, woken, s);
	if (!s->wake)
		return LARDER_ENOMEM;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->reopened, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&w->thread, NULL, run, s)) {
		net_wake_free(s->wake);
		return LARDER_ENOMEM;
	}
	w->running = true;
	return 0;
}

void writer_stop(struct store *s)
{
	struct writer *w = &s->writer;

	if (!w->running)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_cond_signal(&w->reopened);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	scrub_end(s);
	w->running = false;
	if (w->trim) {
		w->trim->err = LARDER_ECLOSED;
		TAILQ_INSERT_TAIL(&w->done, w->trim, link);
		w->trim = NULL;
	}
	ops_done(s, &w->done);
	purge_stop(s);
	net_wake_free(s->wake);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->reopened);
}
