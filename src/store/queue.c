/*
 * S3-FIFO: new responses enter a small queue of a tenth of the bytes; at its end those that were
 * used go on to the main queue, the others leave and are remembered as ghosts. At the end of the
 * main queue, a use buys another round.
 */
#include "base/clock.h"
#include "write.h"

#define EVICT_STEPS 4096 /* rows looked at in one transaction */

static uint64_t *bytes_of(struct write *w, enum record_queue q)
{
	return q == RECORD_SMALL ? &w->st.small_bytes : &w->st.main_bytes;
}

static uint64_t *rows_of(struct write *w, enum record_queue q)
{
	return q == RECORD_SMALL ? &w->st.small_rows : &w->st.main_rows;
}

static int put_row(struct write *w, enum record_queue q, uint64_t seq, struct hash128 hash,
                   uint64_t birth)
{
	struct record_queue_key k = record_queue_key(q, seq);
	struct record_key h = record_key(hash);
	struct record_queue_row row = {.birth = birth};

	memcpy(row.hash, h.bytes, sizeof(row.hash));
	++*rows_of(w, q);
	return db_put(w->s->db, w->txn, DB_QUEUES, queue_key_view(&k),
	              view_make(&row, sizeof(row)));
}

/* 1: there was one. */
static int del_row(struct write *w, enum record_queue q, uint64_t seq)
{
	struct record_queue_key k = record_queue_key(q, seq);
	int ret = db_del(w->s->db, w->txn, DB_QUEUES, queue_key_view(&k));

	if (ret == 1)
		count_down(rows_of(w, q), 1);
	return ret;
}

int queue_add(struct write *w, struct hash128 hash, struct record_head *h)
{
	enum record_queue q = pool_ghost_take(w->s->pool, hash) ? RECORD_MAIN : RECORD_SMALL;

	h->birth = w->st.next_seq++;
	*bytes_of(w, q) += h->charge;
	pool_unuse(w->s->pool, hash, POOL_USE_MAX);
	return put_row(w, q, h->birth, hash, h->birth);
}

int queue_remove(struct write *w, const struct record_head *h, const struct record_queue_key *at)
{
	int ret;

	if (at) {
		enum record_queue q = at->bytes[0] == RECORD_SMALL ? RECORD_SMALL : RECORD_MAIN;

		count_down(bytes_of(w, q), h->charge);
		ret = del_row(w, q, record_queue_seq(queue_key_view(at)));
		return ret < 0 ? ret : 0;
	}
	ret = del_row(w, RECORD_SMALL, h->birth);
	if (ret == 1)
		count_down(&w->st.small_bytes, h->charge);
	else
		count_down(&w->st.main_bytes, h->charge);
	/* One that went another round in the main queue leaves its row to the queue's end. */
	if (ret == 0)
		ret = del_row(w, RECORD_MAIN, h->birth);
	return ret < 0 ? ret : 0;
}

int queue_recharge(struct write *w, const struct record_head *h, uint64_t was)
{
	struct record_queue_key k = record_queue_key(RECORD_SMALL, h->birth);
	struct view row;
	int ret = db_get(w->s->db, w->txn, DB_QUEUES, queue_key_view(&k), &row);
	uint64_t *bytes = bytes_of(w, ret == 1 ? RECORD_SMALL : RECORD_MAIN);

	count_down(bytes, was);
	*bytes += h->charge;
	return ret < 0 ? ret : 0;
}

struct step {
	enum record_queue queue;
	struct record_queue_key at;
	struct hash128 hash;
	uint64_t birth;
};

/* The end of the queue whose turn it is. 1, 0: both are empty, or negative. */
static int next_row(struct write *w, struct step *step)
{
	struct record_state *st = &w->st;
	bool small = st->small_rows &&
	             (!st->main_rows || st->small_bytes >= (st->small_bytes + st->main_bytes) / 10);

	for (int tries = 0; tries < 2; tries++, small = !small) {
		struct record_queue_key first;
		struct record_queue_row row;
		struct view key, val;
		int ret;

		step->queue = small ? RECORD_SMALL : RECORD_MAIN;
		first = record_queue_key(step->queue, 0);
		ret = db_seek(w->s->db, w->txn, DB_QUEUES, queue_key_view(&first), &key, &val);
		if (ret < 0)
			return ret;
		if (ret == 0 || key.len != sizeof(first.bytes) || key.ptr[0] != (char)step->queue) {
			*rows_of(w, step->queue) = *bytes_of(w, step->queue) = 0;
			continue;
		}
		row = (struct record_queue_row){0};
		memcpy(&row, val.ptr, val.len < sizeof(row) ? val.len : sizeof(row));
		memcpy(step->at.bytes, key.ptr, sizeof(step->at.bytes));
		step->hash = record_hash(view_make(row.hash, sizeof(row.hash)));
		step->birth = row.birth;
		return 1;
	}
	return 0;
}

/* A use earns a small response another stay; a large one has to show two for the room it takes. */
static bool earns_stay(struct write *w, const struct step *step, const struct record_head *h)
{
	unsigned uses = pool_uses(w->s->pool, step->hash);
	uint64_t mean = w->st.records ? (w->st.small_bytes + w->st.main_bytes) / w->st.records : 0;

	/* Popular or not: what is stale for longer than keep_stale only takes room. */
	if (!cache_worth_keeping(&h->meta, clock_wall_s()))
		return false;
	if (step->queue == RECORD_MAIN)
		return uses > 0;
	return uses > 1 || (uses == 1 && h->charge <= mean);
}

static int keep(struct write *w, const struct step *step, const struct record_head *h)
{
	int ret = del_row(w, step->queue, record_queue_seq(queue_key_view(&step->at)));

	if (ret < 0)
		return ret;
	pool_unuse(w->s->pool, step->hash, step->queue == RECORD_SMALL ? POOL_USE_MAX : 1);
	count_down(bytes_of(w, step->queue), h->charge);
	w->st.main_bytes += h->charge;
	return put_row(w, RECORD_MAIN, w->st.next_seq++, step->hash, h->birth);
}

static int evict(struct write *w, const struct step *step, struct record *r)
{
	stat_add_mt(&w->s->stats->evictions, 1);
	stat_add_mt(&w->s->stats->evicted_bytes, r->h.length);
	if (step->queue == RECORD_SMALL)
		pool_ghost_add(w->s->pool, step->hash);
	pool_unuse(w->s->pool, step->hash, POOL_USE_MAX);
	return row_drop(w, step->hash, r, &step->at);
}

static int evict_step(struct write *w, const struct step *step)
{
	struct record r;
	int ret = row_get(w, step->hash, &r);

	if (ret == LARDER_ECORRUPT) {
		stat_add_mt(&w->s->stats->corrupt, 1);
		ret = row_drop_damaged(w, step->hash);
		if (ret)
			return ret;
	} else if (ret < 0) {
		return ret;
	} else if (ret == 1 && r.h.kind == RECORD_RESPONSE && r.h.birth == step->birth) {
		return earns_stay(w, step, &r.h) ? keep(w, step, &r.h) : evict(w, step, &r);
	}
	/* Nothing stands there any more, or something younger. */
	ret = del_row(w, step->queue, record_queue_seq(queue_key_view(&step->at)));
	return ret < 0 ? ret : 0;
}

int queue_evict(struct write *w)
{
	static const struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = 2, [DB_QUEUES] = 3, [DB_URLS] = 1, [DB_BLOBS] = 1},
	        .add = {[DB_QUEUES] = 1},
	};
	struct step step;
	int ret = 1;

	for (unsigned n = 0; n < EVICT_STEPS && write_excess(w); n++) {
		if (!write_room(w, &cost, room_for_evictions(w->s->pool)))
			break;
		ret = next_row(w, &step);
		if (ret <= 0)
			break;
		ret = evict_step(w, &step);
		if (ret < 0)
			break;
	}
	return ret < 0 ? ret : 0;
}
