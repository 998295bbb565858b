/* The queues as rows of the index; policy.c decides who goes where. */
#include "base/clock.h"
#include "policy.h"
#include "tags.h"

#define EVICT_STEPS  4096 /* rows looked at in one transaction */
#define MAIN_SPACING 8

static uint64_t *bytes_of(struct write *w, enum record_queue q)
{
	return q == RECORD_SMALL ? &w->st.small_bytes : &w->st.main_bytes;
}

static uint64_t *rows_of(struct write *w, enum record_queue q)
{
	return q == RECORD_SMALL ? &w->st.small_rows : &w->st.main_rows;
}

static struct policy_load load_of(const struct write *w)
{
	return (struct policy_load){
	        .small_bytes = w->st.small_bytes,
	        .main_bytes = w->st.main_bytes,
	        .small_rows = w->st.small_rows,
	        .main_rows = w->st.main_rows,
	        .records = w->st.records,
	};
}

/* Where it goes in its queue: the small one has the births for places. In the main one somebody may
 * stand there already who came earlier with a longer delay, so there is room between two places. */
static int find_place(struct write *w, const struct policy_item *it, uint64_t seq,
                      struct record_queue_key *k)
{
	uint64_t place = (seq + it->delay) * MAIN_SPACING;
	struct view row;
	int ret;

	if (it->queue == RECORD_SMALL) {
		*k = record_queue_key(RECORD_SMALL, seq);
		return 0;
	}
	do {
		*k = record_queue_key(it->queue, place++);
		ret = db_get(w->s->db, w->txn, DB_QUEUES, queue_key_view(k), &row);
	} while (ret == 1);
	return ret;
}

static int put_row(struct write *w, const struct policy_item *it, uint64_t seq, uint64_t birth)
{
	struct record_queue_key k;
	struct record_key h = record_key(it->hash);
	struct record_queue_row row = {.birth = birth};
	int err = find_place(w, it, seq, &k);

	if (err)
		return err;
	memcpy(row.hash, h.bytes, sizeof(row.hash));
	++*rows_of(w, it->queue);
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
	struct policy_item it = {.hash = hash, .charge = h->charge};
	struct policy_load load = load_of(w);

	load.small_bytes += h->charge;
	policy_enter(w->s->pool, &load, &it);
	h->birth = w->st.next_seq++;
	*bytes_of(w, it.queue) += h->charge;
	return put_row(w, &it, h->birth, h->birth);
}

int queue_restore(struct write *w, struct hash128 hash, const struct record_head *h)
{
	struct policy_item it = {.hash = hash, .charge = h->charge, .queue = RECORD_MAIN};

	return put_row(w, &it, w->st.next_seq++, h->birth);
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
	/* In the main queue it leaves its row to the queue's end. */
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
	struct policy_item it; /* its charge is known once the entry was read */
	struct record_queue_key at;
	uint64_t birth;
};

/* The end of the queue whose turn it is. 1, 0: both are empty, or negative. */
static int next_row(struct write *w, struct step *step)
{
	struct policy_load load = load_of(w);
	enum record_queue q = policy_turn(w->s->pool, &load);

	for (int tries = 0; tries < 2; tries++, q = q == RECORD_SMALL ? RECORD_MAIN : RECORD_SMALL) {
		struct record_queue_key first = record_queue_key(q, 0);
		struct record_queue_row row = {0};
		struct view key, val;
		int ret;

		ret = db_seek(w->s->db, w->txn, DB_QUEUES, queue_key_view(&first), &key, &val);
		if (ret < 0)
			return ret;
		if (ret == 0 || key.len != sizeof(first.bytes) || key.ptr[0] != (char)q) {
			*rows_of(w, q) = *bytes_of(w, q) = 0;
			continue;
		}
		memcpy(&row, val.ptr, val.len < sizeof(row) ? val.len : sizeof(row));
		memcpy(step->at.bytes, key.ptr, sizeof(step->at.bytes));
		step->it = (struct policy_item){
		        .hash = record_hash(view_make(row.hash, sizeof(row.hash))),
		        .queue = q,
		};
		step->birth = row.birth;
		return 1;
	}
	return 0;
}

static int keep(struct write *w, const struct step *step, const struct policy_item *now,
                const struct record_head *h)
{
	int ret = del_row(w, step->it.queue, record_queue_seq(queue_key_view(&step->at)));

	if (ret < 0)
		return ret;
	count_down(bytes_of(w, step->it.queue), h->charge);
	*bytes_of(w, now->queue) += h->charge;
	return put_row(w, now, w->st.next_seq++, h->birth);
}

static int evict(struct write *w, const struct step *step, struct record *r)
{
	stat_add_mt(&w->s->stats->evictions, 1);
	stat_add_mt(&w->s->stats->evicted_bytes, r->h.length);
	return row_drop(w, step->it.hash, r, &step->at);
}

static int judge(struct write *w, const struct step *step, struct record *r)
{
	struct policy_load load = load_of(w);
	struct policy_item it = step->it;
	/* Popular or not: what is stale for longer than keep_stale only takes room. */
	bool dead = !cache_worth_keeping(&r->h.meta, clock_wall_s());

	it.charge = r->h.charge;
	if (policy_stays(w->s->pool, &load, &it, dead))
		return keep(w, step, &it, &r->h);
	return evict(w, step, r);
}

/* What it takes to remove it, or to let it stay. */
static bool room_for(struct write *w, const struct record *r)
{
	struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = 1, [DB_URLS] = 1},
	};

	cost.touch[DB_ENTRIES] += r->vary.len > 0;
	cost.touch[DB_BLOBS] = r->h.blob;
	cost.touch[DB_TAGS] = tags_count(r->tags);
	return write_room_queues(w, &cost, room_for_evictions(w->s->pool));
}

static bool room_for_wreck(struct write *w)
{
	static const struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = 2, [DB_QUEUES] = 1, [DB_URLS] = 1, [DB_BLOBS] = 1},
	        .add = {[DB_QUEUES] = 1},
	};

	return write_room_queues(w, &cost, room_for_evictions(w->s->pool));
}

/* 1: done, 0: there is no room for it, or negative. */
static int evict_step(struct write *w, const struct step *step)
{
	struct record r;
	int ret = row_get(w, step->it.hash, &r);

	if (ret < 0 && ret != LARDER_ECORRUPT)
		return ret;
	if (ret == 1 && r.h.kind == RECORD_RESPONSE && r.h.birth == step->birth) {
		if (!room_for(w, &r))
			return 0;
		ret = judge(w, step, &r);
		return ret < 0 ? ret : 1;
	}
	if (!room_for_wreck(w))
		return 0;
	if (ret == LARDER_ECORRUPT) {
		stat_add_mt(&w->s->stats->corrupt, 1);
		ret = row_drop_damaged(w, step->it.hash);
		if (ret < 0)
			return ret;
	}
	/* Nothing stands there any more, or something younger. */
	ret = del_row(w, step->it.queue, record_queue_seq(queue_key_view(&step->at)));
	return ret < 0 ? ret : 1;
}

int queue_evict(struct write *w)
{
	struct step step;
	int ret = 1;

	for (unsigned n = 0; ret > 0 && n < EVICT_STEPS && write_excess(w); n++) {
		ret = next_row(w, &step);
		if (ret > 0)
			ret = evict_step(w, &step);
	}
	return ret < 0 ? ret : 0;
}
