/* Purges by tools, while no daemon runs; and those that only count. */
#include <stdlib.h>

#include "audit.h"
#include "purge.h"
#include "store/list.h"

#define BURY_MAX  256
#define STUCK_MAX 64 /* transactions that found no room */

/* One transaction: as many as it has room for. */
static int apply_some(struct store *s, struct op_list *ops, struct store_purged *sum, unsigned *applied)
{
	struct store_purged n = {0};
	struct write w;
	struct op *op;
	int err = write_begin(s, &w);

	*applied = 0;
	if (err)
		return err;
	err = blob_bury(&w, BURY_MAX);
	while (!err && (op = TAILQ_FIRST(ops))) {
		bool fatal;

		/* The first one finds room as evictions do, or nothing could ever be removed. */
		op->pressing = !*applied;
		err = apply_op(&w, op, &fatal);
		if (err)
			break;
		n.urls += op->n.urls;
		n.responses += op->n.responses;
		++*applied;
		TAILQ_REMOVE(ops, op, link);
		op_free(op);
	}
	if (err < 0) {
		write_abort(&w);
		return err;
	}
	sum->urls += n.urls;
	sum->responses += n.responses;
	return write_commit(&w);
}

static int apply_now(struct store *s, struct op_list *ops, struct store_purged *sum)
{
	unsigned applied, stuck = 0;
	int err = 0;

	while (!err && !TAILQ_EMPTY(ops)) {
		err = apply_some(s, ops, sum, &applied);
		stuck = applied ? 0 : stuck + 1;
		if (stuck > STUCK_MAX)
			return LARDER_ENOSPC;
	}
	return err;
}

int store_purge_key_now(struct store *s, const struct store_key *key, bool soft, struct store_purged *n)
{
	struct op_list ops = TAILQ_HEAD_INITIALIZER(ops);
	struct op *op;
	int err;

	check_magic(s, STORE_MAGIC);
	*n = (struct store_purged){0};
	if (s->readonly || s->writer.running)
		return LARDER_EPERM;
	op = calloc(1, sizeof(*op));
	if (!op)
		return LARDER_ENOMEM;
	op->kind = OP_REMOVE;
	op->key = key->hash;
	op->soft = soft;
	TAILQ_INSERT_TAIL(&ops, op, link);
	err = apply_now(s, &ops, n);
	purge_drop_ops(&ops);
	if (!err && n->responses && !soft)
		err = (int)store_remove_some(s, NULL, 0);
	return err;
}

int store_purge_now(struct store *s, const struct store_purge *what, struct store_purged *n,
                    void (*call)(void *arg, const struct store_purged *n), void *arg)
{
	struct op_list ops = TAILQ_HEAD_INITIALIZER(ops);
	struct purge *p;
	unsigned some;
	int err;

	check_magic(s, STORE_MAGIC);
	*n = (struct store_purged){0};
	if (s->readonly || s->writer.running)
		return LARDER_EPERM;
	err = purge_make(s, what, &p, NULL);
	if (err)
		return err;
	while (!err && !p->end) {
		err = purge_collect(s, p, &ops, &some);
		if (!err)
			err = apply_now(s, &ops, n);
		n->urls += p->urls;
		p->urls = 0;
		if (call && !err)
			call(arg, n);
	}
	purge_drop_ops(&ops);
	purge_free(p);
	/* The files of what was removed. */
	return err ? err : (int)store_remove_some(s, NULL, 0);
}

/* Some rows of the table tags, in one transaction. */
static int count_tagged(struct store *s, struct purge *p, struct store_purged *n)
{
	struct look l = {.s = s};
	int ret = db_begin(s->db, false, &l.txn);

	if (ret)
		return ret;
	for (unsigned i = 0; i < PURGE_STEP; i++) {
		struct hash128 row;
		struct record r;

		ret = purge_next_tagged(s, p, l.txn, &row);
		p->end = ret == 0;
		if (ret != 1)
			break;
		if (look_entry(&l, row, &r) == 1 && r.h.kind == RECORD_RESPONSE)
			n->responses += purge_means(&p->test, s->seed, r.key, r.tags) == 1;
	}
	db_abort(l.txn);
	return ret < 0 ? ret : 0;
}

static int count_listed(struct store *s, struct purge *p, struct store_purged *n)
{
	struct hash128 row;
	int ret = purge_next_listed(s, p, &row);

	p->end = ret == 0;
	n->responses += ret == 1;
	return ret == LARDER_EAGAIN || ret == 1 ? 0 : ret;
}

int store_purge_count(struct store *s, const struct store_purge *what, struct store_purged *n)
{
	struct purge *p;
	int err;

	check_magic(s, STORE_MAGIC);
	*n = (struct store_purged){0};
	err = purge_make(s, what, &p, NULL);
	if (err)
		return err;
	while (!err && !p->end)
		err = p->test.kind == STORE_PURGE_TAG ? count_tagged(s, p, n) : count_listed(s, p, n);
	n->urls = p->urls;
	purge_free(p);
	return err;
}

int store_purge_key_count(struct store *s, const struct store_key *key, struct store_purged *n)
{
	struct look l = {.s = s};
	struct record r;
	int ret;

	check_magic(s, STORE_MAGIC);
	*n = (struct store_purged){0};
	ret = db_begin(s->db, false, &l.txn);
	if (ret)
		return ret;
	ret = look_entry(&l, key->hash, &r);
	if (ret == 1 && view_eq(r.key, key->text))
		n->responses = r.h.kind == RECORD_MARKER ? r.variants.len / 16 : 1;
	n->urls = n->responses > 0;
	db_abort(l.txn);
	return ret < 0 ? ret : 0;
}
