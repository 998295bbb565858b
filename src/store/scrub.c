/*
 * The keeper's slow check of everything that is stored, at a bounded rate. How far it has come is
 * kept in the pool's memory, where the next keeper finds it, and when the last pass ended in the
 * index.
 */
#include <stdlib.h>

#include "audit.h"
#include "base/clock.h"
#include "log/log.h"

#define SLICE_MS  25     /* of one turn of the writer's thread */
#define SAVED_MAX 2000   /* milliseconds for which the rate is made up */
#define FIRST_MS  600000 /* after which a store that was never checked is */

struct scrub_row { /* table meta, "scrub": the last pass */
	int64_t ended_s;
	uint64_t rows, faults;
};

static void put_right(void *arg, const char *text)
{
	static uint64_t told;
	struct store *s = arg;

	stat_add_mt(&s->stats->scrub_faults, 1);
	log_limited(&told, LOG_L_WARNING, "store: %s: put right", text);
}

static void read_last(struct store *s)
{
	struct pool_scrub *p = &s->pool->scrub;
	struct scrub_row last;
	struct MDB_txn *txn;
	struct view row;

	if (db_begin(s->db, false, &txn))
		return;
	if (db_get(s->db, txn, DB_META, V("scrub"), &row) == 1 && row.len == sizeof(last)) {
		memcpy(&last, row.ptr, sizeof(last));
		pool_set(&p->last_rows, last.rows);
		pool_set(&p->last_faults, last.faults);
		__atomic_store_n(&p->ended_s, last.ended_s, __ATOMIC_RELAXED);
	}
	db_abort(txn);
	p->known = true;
	p->first_ms = clock_mono_ms();
}

static int write_last(struct store *s)
{
	const struct pool_scrub *p = &s->pool->scrub;
	struct scrub_row last = {p->ended_s, p->last_rows, p->last_faults};
	struct write w;
	int err = write_begin(s, &w);

	if (!err)
		err = db_put(s->db, w.txn, DB_META, V("scrub"), view_make(&last, sizeof(last)));
	if (!err)
		return write_commit(&w);
	write_abort(&w);
	return err;
}

static bool due(struct store *s)
{
	const struct pool_scrub *p = &s->pool->scrub;
	uint64_t interval = s->options->scrub_interval;
	int64_t now = clock_wall_s();

	if (!p->known)
		read_last(s);
	if (p->since_s)
		return true;
	if (!p->ended_s)
		return clock_mono_ms() - p->first_ms >= (interval < FIRST_MS ? interval : FIRST_MS);
	if (p->ended_ms)
		return clock_mono_ms() - p->ended_ms >= interval;
	/* A clock that was set back does not put it off. */
	return p->ended_s > now || (uint64_t)(now - p->ended_s) * 1000 >= interval;
}

static struct audit *begin(struct store *s)
{
	struct pool_scrub *p = &s->pool->scrub;
	struct audit *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->s = s;
	a->deep = a->fix = true;
	a->found = put_right;
	a->arg = s;
	a->round = p->round;
	a->partial = p->since_s != 0;
	if (a->partial) {
		a->stage = (enum audit_stage)p->stage;
		a->done = p->rows;
		a->faults = p->faults;
		a->from_len = p->from_len <= DB_KEY_MAX + 1 ? p->from_len : 0;
		memcpy(a->from, p->from, a->from_len);
	}
	if (audit_begin(a)) {
		audit_end(a);
		free(a);
		return NULL;
	}
	if (!a->partial)
		__atomic_store_n(&p->since_s, clock_wall_s(), __ATOMIC_RELAXED);
	return a;
}

/* For the next keeper, and for who asks. */
static void publish(struct store *s, const struct audit *a)
{
	struct pool_scrub *p = &s->pool->scrub;
	bool aside = a->stage == AUDIT_MAIN;

	p->stage = aside ? AUDIT_ENTRIES : a->stage;
	p->from_len = (uint32_t)(aside ? a->entries_len : a->from_len);
	memcpy(p->from, aside ? a->entries_from : a->from, p->from_len);
	pool_set(&p->total, a->total);
	pool_set(&p->rows, a->done);
	pool_set(&p->faults, a->faults);
}

void scrub_end(struct store *s)
{
	struct writer *w = &s->writer;

	if (w->audit)
		audit_end(w->audit);
	free(w->audit);
	w->audit = NULL;
}

static void finish(struct store *s)
{
	struct pool_scrub *p = &s->pool->scrub;
	int64_t since = p->since_s;
	int err;

	__atomic_store_n(&p->ended_s, clock_wall_s(), __ATOMIC_RELAXED);
	p->ended_ms = clock_mono_ms();
	pool_set(&p->last_rows, p->rows);
	pool_set(&p->last_faults, p->faults);
	__atomic_store_n(&p->since_s, 0, __ATOMIC_RELAXED);
	p->round++;
	scrub_end(s);
	stat_add_mt(&s->stats->scrubs, 1);
	log_info("store: all that is stored was checked in %lld s: %llu rows, %llu faults",
	         (long long)(p->ended_s - since), (unsigned long long)p->last_rows,
	         (unsigned long long)p->last_faults);
	err = write_last(s);
	if (err)
		log_debug("store: when it was checked can't be noted: %s", larder_strerror(err));
}

/* The bytes that the rate allows by now. */
static uint64_t budget(struct store *s)
{
	struct writer *w = &s->writer;
	uint64_t now = clock_mono_ms(), ms = now - w->scrub_ms;

	w->scrub_ms = now;
	w->scrub_left += s->options->scrub_rate * (ms < SAVED_MAX ? ms : SAVED_MAX) / 1000;
	if (w->scrub_left > s->options->scrub_rate * (SAVED_MAX / 1000))
		w->scrub_left = s->options->scrub_rate * (SAVED_MAX / 1000);
	return w->scrub_left;
}

void scrub_step(struct store *s)
{
	static uint64_t told;
	struct writer *w = &s->writer;
	uint64_t left, rows, bytes;
	int ret;

	if (!s->options->scrub_interval || (!w->audit && !due(s)))
		return;
	if (!w->audit)
		w->audit = begin(s);
	if (!w->audit)
		return;
	left = budget(s);
	rows = w->audit->done;
	bytes = w->audit->bytes;
	ret = left ? audit_step(w->audit, left, SLICE_MS) : 1;
	bytes = w->audit->bytes - bytes;
	stat_add_mt(&s->stats->scrub_rows, w->audit->done - rows);
	stat_add_mt(&s->stats->scrub_bytes, bytes);
	w->scrub_left -= bytes < left ? bytes : left;
	publish(s, w->audit);
	if (ret == 0) {
		finish(s);
	} else if (ret < 0) {
		log_limited(&told, LOG_L_WARNING, "store: checking what is stored stopped: %s",
		            larder_strerror(ret));
		scrub_end(s);
	} else if (w->scrub_left) {
		/* Others may have their turn in between. */
		writer_kick(s, DUTY_SCRUB);
	}
}

void store_scrub_state(const struct store *s, struct store_scrub *out)
{
	const struct pool_scrub *p = &s->pool->scrub;

	check_magic(s, STORE_MAGIC);
	*out = (struct store_scrub){
	        .interval_s = s->options->scrub_interval / 1000,
	        .since_s = __atomic_load_n(&p->since_s, __ATOMIC_RELAXED),
	        .rows = pool_get(&p->rows),
	        .total = pool_get(&p->total),
	        .faults = pool_get(&p->faults),
	        .ended_s = __atomic_load_n(&p->ended_s, __ATOMIC_RELAXED),
	        .last_rows = pool_get(&p->last_rows),
	        .last_faults = pool_get(&p->last_faults),
	};
}
