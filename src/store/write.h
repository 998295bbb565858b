/*
 * One write transaction: its room under the cap, rows, blobs, queues.
 *
 * Vocabulary: *cost* = the worst that a step can make the data file grow by, in tree pages touched
 * and rows added a table; it is set aside before the step.
 */
#ifndef LARDER_STORE_WRITE_H
#define LARDER_STORE_WRITE_H

#include "store-private.h"

struct write_cost {
	uint64_t touch[DB_TABLES]; /* rows changed or taken out */
	uint64_t put[DB_TABLES];   /* new rows: no page is merged with the one beside it */
	uint64_t add[DB_TABLES];   /* rows that may split a page */
	uint64_t pages;            /* of large values */
};

struct write {
	struct store *s;
	struct MDB_txn *txn;
	struct record_state st, was;
	struct db_pages pages; /* at the beginning */
	uint64_t base;         /* allocated to the index then */
	uint64_t reusable, holes; /* free pages that may be used; those that are not allocated */
	struct write_cost cost;
	unsigned steps; /* with rows of the queues */
	uint64_t bury_below; /* doomed before this: their files can go */
	bool dirs[256]; /* of blobs/, to be synced */
	bool dirs_made;
};

/* Waits for the write lock. Undoes what a transaction that never committed has left in blobs/. */
int write_begin(struct store *s, struct write *w);
/* Syncs directories, commits; ends the transaction whatever it returns. */
int write_commit(struct write *w);
void write_abort(struct write *w);
/* Sets aside the cost of a step, if the whole pool then stays within `limit`. */
bool write_room(struct write *w, const struct write_cost *cost, uint64_t limit);
/* The same for a step that also adds to the queues, or takes from their ends. */
bool write_room_queues(struct write *w, const struct write_cost *cost, uint64_t limit);
/* Punches holes when the pool nears the cap. Only while nothing was written yet. */
void write_punch(struct write *w);
/* Is there anything to commit? While the pool is near the cap there is: pages that were freed can
 * be given back two commits later. */
bool write_due(const struct write *w);
/* Bytes that should be evicted; 0: none. */
uint64_t write_excess(struct write *w);

/* ---- rows.c ---- */

/* 1: found and sound, 0: absent, LARDER_ECORRUPT, … */
int row_get(struct write *w, struct hash128 hash, struct record *out);
/* Writes a row whose parts may lie in the row that it replaces. */
int row_rewrite(struct write *w, struct hash128 hash, struct record *r);
/* Takes a response out of entries, queue, urls, blobs and its marker. `at`: where it stands in its
 * queue, if known. r's views are void afterwards. */
int row_drop(struct write *w, struct hash128 hash, struct record *r,
             const struct record_queue_key *at);
/* Takes out whatever is left of a row that can't be read. */
int row_drop_damaged(struct write *w, struct hash128 hash);
struct row_change {
	int64_t responses, charge, length;
};
/* What its key's row in urls counts changes: made with the first response, removed with the last. */
int row_count_url(struct write *w, struct view text, struct hash128 primary,
                  const struct row_change *by);
/* Drops the response or the marker with all its variants; *n: how many responses. */
int row_drop_all(struct write *w, struct hash128 primary, uint64_t *n);

/* ---- blob.c ---- */

#define BLOB_PATH_MAX 72
/* "xx/<sha-256>" under blobs/. */
void blob_path(const uint8_t *digest, char out[BLOB_PATH_MAX]);
/* The inverse for the file's name; false: no such name. */
bool blob_digest(const char *name, uint8_t *digest);
/* One more reference; the spool's file becomes the blob if there is none (*linked). */
int blob_take(struct write *w, const struct store_spool *sp, uint64_t *charge, bool *linked);
/* The same for a body that a row has already. LARDER_ENOENT: none has. */
int blob_ref(struct write *w, const uint8_t *digest, uint64_t *charge);
int blob_unref(struct write *w, const uint8_t *digest);
/* For repairs: says how many uses there are; without any it is doomed. */
int blob_set_refs(struct write *w, const uint8_t *digest, uint64_t refs);
/* Removes up to `max` of the files that an earlier transaction doomed. */
int blob_bury(struct write *w, unsigned max);
/* Removes the file if no row knows it. Only inside a write transaction. 1: it did, 0: it can't, or
 * there is a row. */
int blob_remove_orphan(struct write *w, const uint8_t *digest);

/* ---- queue.c: S3-FIFO (Yang et al., SOSP 2023) ---- */

/* Puts a new response into the small queue, or the main one if it was evicted a short while ago. */
int queue_add(struct write *w, struct hash128 hash, struct record_head *h);
/* Takes it out; `at` as in row_drop. */
int queue_remove(struct write *w, const struct record_head *h, const struct record_queue_key *at);
/* For repairs: a row for one that lost its own. */
int queue_restore(struct write *w, struct hash128 hash, const struct record_head *h);
/* Its charge changed. */
int queue_recharge(struct write *w, const struct record_head *h, uint64_t was);
/* Evicts until there is no excess, or room or patience end. */
int queue_evict(struct write *w);

/* ---- apply.c ---- */

enum { APPLY_NO_ROOM = 1 };
/* 0, APPLY_NO_ROOM: nothing done, or negative: *fatal tells whether the transaction is spoilt. */
int apply_op(struct write *w, struct op *op, bool *fatal);

/* ---- sync.c ---- */

/* Would it be quicker to sync the whole file system than so many files? */
bool sync_all_pays(struct store *s, unsigned files);
int sync_all(struct store *s);
int sync_one(struct store *s, int fd);

/* ---- sweep.c ---- */

/* A stretch of the sweep for orphaned files; opens its own transactions. */
void sweep_step(struct store *s);
/* Opens blobs/xx, or NULL. */
struct __dirstream *sweep_open(struct store *s, unsigned dir);

/* ---- scrub.c ---- */

/* Goes on with the keeper's check of everything; on the writer's thread. */
void scrub_step(struct store *s);
void scrub_end(struct store *s);

static inline struct view row_key_view(const struct record_key *k)
{
	return view_make(k->bytes, sizeof(k->bytes));
}
static inline struct view queue_key_view(const struct record_queue_key *k)
{
	return view_make(k->bytes, sizeof(k->bytes));
}
static inline void count_down(uint64_t *n, uint64_t by)
{
	*n -= by < *n ? by : *n;
}

#endif
