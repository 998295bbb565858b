/*
 * Purges of many: what the store's files share.
 *
 * Vocabulary: *test* = what a purge means, ready to be compared with; *notice* = its place in the pool's memory (struct
 * pool_purge), where every process sees it; *active* = in effect, and not all removed yet.
 */
#ifndef LARDER_STORE_PURGE_PRIVATE_H
#define LARDER_STORE_PURGE_PRIVATE_H

#include "pattern.h"
#include "tags.h"

struct purge_test {
	enum store_purge_kind kind;
	struct view text;
	uint16_t port;
	bool below, scoped;
	uint8_t tag;
	uint64_t scope;
	struct pattern *pattern;
};

/* 1: it means that response, 0: another, or LARDER_ELIMIT. */
int purge_means(const struct purge_test *t, uint64_t seed, struct view key, struct view tags);

/* ---- The pool's notices; purge_match.c ---- */

void purge_patterns_fini(struct purge_patterns *c);

/* Puts up a notice; false: no more can be active. With the write lock, as all of these. */
bool purge_notice(struct store *s, const struct purge_test *t, bool soft, uint64_t before, uint64_t *seq);
/* It is not active any more. */
void purge_notice_end(struct store *s, uint64_t seq);
/* Somebody else may go on with it; needs no lock. */
void purge_notice_leave(struct store *s, uint64_t seq);
/* Copies one that is active and whose process is gone, and makes it ours. */
bool purge_notice_adopt(struct store *s, struct pool_purge *out);

/* Does a purge after `since` mean it? One that is forgotten already might have. */
bool purge_since(struct store *s, struct purge_patterns *c, uint64_t since, struct view key,
                 struct view tags);
enum purge_effect { PURGE_NONE, PURGE_SOFT, PURGE_HARD };
/* Does an active one mean it? For the loop's thread. */
enum purge_effect purge_effect(struct store *s, const struct record *r);

/* ---- purge.c ---- */

#define PURGE_STEP 500 /* responses in one transaction */

struct purge {
	TAILQ_ENTRY(purge) link;
	struct purge_test test; /* its text is `text` */
	bool soft, early;
	uint64_t seq, before; /* 0: has not begun */
	struct store_list *list;
	char from[DB_KEY_MAX + 1]; /* of a tag: where its walk goes on */
	size_t from_len;
	uint64_t last; /* the key seen last */
	struct store_purged tally, n; /* the writer's, and what others see */
	uint64_t urls; /* found and not in a tally yet */
	bool end, due, told;
	int err;
	store_purged_fn *done;
	void *arg;
	char text[];
};

int purge_make(struct store *s, const struct store_purge *what, struct purge **out, const char **why);
void purge_free(struct purge *p);
/* The next response by its URL. 1, 0 at the end, LARDER_EAGAIN after a stretch without one, … */
int purge_next_listed(struct store *s, struct purge *p, struct hash128 *row);
/* The next row of the table tags, in a transaction. */
int purge_next_tagged(struct store *s, struct purge *p, struct MDB_txn *txn, struct hash128 *row);
/* Ops for what was found in a while; p->end: there is no more. */
int purge_collect(struct store *s, struct purge *p, struct op_list *ops, unsigned *n);
void purge_drop_ops(struct op_list *ops);

/* On the writer's thread: begins what was asked for, and goes on with one. */
void purge_run(struct store *s);
/* Goes on with what processes that died have begun. */
void purge_adopt(struct store *s);
/* On the loop's: calls back. */
void purge_serve(struct store *s);
/* The writer has stopped: what is left is told so. */
void purge_stop(struct store *s);

/* Is there anything to do? Any thread. */
bool purge_waits(struct store *s);
/* An op of it is done. */
void purge_count(struct purge *p, const struct op *op);

/* ---- purge_apply.c ---- */

/* Makes it stale from `now` on; false: it was already. */
static inline bool purge_soften(struct cache_meta *m, int64_t now)
{
	if (cache_ttl(m, now) <= 0)
		return false;
	m->lifetime = cache_age(m, now);
	m->flags |= CACHE_F_PURGED;
	return true;
}
/* What one op does: takes out or marks a response, or all under a key. */
int purge_apply(struct write *w, struct op *op, bool *fatal);
int purge_apply_key(struct write *w, struct op *op, bool *fatal);

#endif
