/* What an op of a purge does. */
#include "base/clock.h"
#include "purge.h"

void purge_count(struct purge *p, const struct op *op)
{
	if (op->err && !p->err)
		p->err = op->err;
	if (!op->err)
		p->tally.responses += op->n.responses;
}

/* Stale from now on; what the response allows stale ones counts from now, too (RFC 5861). */
static int soften(struct write *w, struct hash128 hash, struct record *r)
{
	return purge_soften(&r->h.meta, clock_wall_s()) ? row_rewrite(w, hash, r) : 0;
}

static bool room_to_soften(struct write *w, uint64_t pages, unsigned rows)
{
	struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = rows}, .add = {[DB_ENTRIES] = 2 * rows}, .pages = pages};

	return write_room(w, &cost, room_for_inserts(w->s->pool));
}

static bool room_to_remove(struct write *w, unsigned tags)
{
	struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = 2, [DB_QUEUES] = 2, [DB_URLS] = 1, [DB_BLOBS] = 1},
	        .add = {[DB_QUEUES] = 1},
	};

	cost.touch[DB_TAGS] = tags;
	return write_room(w, &cost, room_for_evictions(w->s->pool));
}

static void count(struct write *w, const struct op *op)
{
	stat_add_mt(op->soft ? &w->s->stats->softened : &w->s->stats->removals, op->n.responses);
}

int purge_apply(struct write *w, struct op *op, bool *fatal)
{
	const struct purge *p = op->of;
	struct record r;
	int ret = row_get(w, op->key, &r);
	bool room;

	op->n = (struct store_purged){0};
	*fatal = ret < 0;
	if (ret == LARDER_ECORRUPT)
		return row_drop_damaged(w, op->key);
	if (ret <= 0 || r.h.kind != RECORD_RESPONSE || (p->before && r.h.id >= p->before))
		return ret < 0 ? ret : 0;
	/* The tables urls and tags go by hashes and cut texts: here is the whole. */
	ret = purge_means(&p->test, w->s->seed, r.key, r.tags);
	if (ret <= 0)
		return ret;
	room = op->soft ? room_to_soften(w, db_value_pages(w->s->db, record_size(&r)), 1)
	                : room_to_remove(w, tags_count(r.tags));
	if (!room && !op->pressing)
		return APPLY_NO_ROOM;
	*fatal = true;
	ret = op->soft ? soften(w, op->key, &r) : row_drop(w, op->key, &r, NULL);
	if (ret < 0)
		return ret;
	op->n.responses = 1;
	count(w, op);
	return 0;
}

/* ---- One key ---- */

/* The rows of the responses under a key; their number, or negative. */
static int rows_of(struct write *w, struct hash128 primary, struct hash128 rows[RECORD_VARIANTS_MAX])
{
	struct record r;
	int ret = row_get(w, primary, &r), n = 0;

	if (ret <= 0)
		return ret;
	if (r.h.kind == RECORD_RESPONSE) {
		rows[0] = primary;
		return 1;
	}
	for (size_t i = 0; i < r.variants.len && n < RECORD_VARIANTS_MAX; i += 16)
		rows[n++] = record_hash(view_make(r.variants.ptr + i, 16));
	return n;
}

static int soften_key(struct write *w, struct op *op, bool *fatal)
{
	struct hash128 rows[RECORD_VARIANTS_MAX];
	int n = rows_of(w, op->key, rows), ret;
	uint64_t pages = 0;
	struct record r;

	if (n == LARDER_ECORRUPT) {
		*fatal = true;
		return row_drop_damaged(w, op->key);
	}
	for (int i = 0; i < n; i++) {
		if (row_get(w, rows[i], &r) == 1)
			pages += db_value_pages(w->s->db, record_size(&r));
	}
	if (n > 0 && !room_to_soften(w, pages, (unsigned)n) && !op->pressing)
		return APPLY_NO_ROOM;
	*fatal = true;
	for (int i = 0; i < n; i++) {
		ret = row_get(w, rows[i], &r);
		if (ret == LARDER_ECORRUPT || ret == 0 || (ret == 1 && r.h.kind != RECORD_RESPONSE))
			continue;
		op->n.responses++;
		if (ret == 1)
			ret = soften(w, rows[i], &r);
		if (ret < 0)
			return ret;
	}
	return n < 0 ? n : 0;
}

static int remove_key(struct write *w, struct op *op, bool *fatal)
{
	struct hash128 rows[RECORD_VARIANTS_MAX];
	int n = rows_of(w, op->key, rows);
	unsigned tags = 0;
	struct record r;

	for (int i = 0; i < n; i++)
		tags += row_get(w, rows[i], &r) == 1 ? tags_count(r.tags) : 0;
	if (!room_to_remove(w, tags) && !op->pressing)
		return APPLY_NO_ROOM;
	*fatal = true;
	return row_drop_all(w, op->key, &op->n.responses);
}

int purge_apply_key(struct write *w, struct op *op, bool *fatal)
{
	int ret;

	op->n = (struct store_purged){0};
	ret = op->soft ? soften_key(w, op, fatal) : remove_key(w, op, fatal);
	if (ret)
		return ret;
	op->n.urls = op->n.responses > 0;
	count(w, op);
	return 0;
}
