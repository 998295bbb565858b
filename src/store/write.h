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
	bool parts; /* parts/ is to be synced */
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
/* Its body file is used by one less. */
int row_drop_body(struct write *w, struct hash128 hash, const struct record_head *h);
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
struct blob_source {
	const uint8_t *digest;
	uint64_t length;
	int fd;
	const char *temp; /* its name in spool/, or "" */
};
int blob_take(struct write *w, const struct blob_source *from, uint64_t *charge, bool *linked);
/* The same for a body that a row has already. LARDER_ENOENT: none has. */
int blob_ref(struct write *w, const uint8_t *digest, uint64_t *charge);
/* Links an open file, which may have no name, or one in spool/. 0 or an errno. */
int blob_link(struct store *s, const struct blob_source *from, int to_fd, const char *path);
int blob_unref(struct write *w, const uint8_t *digest);
/* For repairs: says how many uses there are; without any it is doomed. */
int blob_set_refs(struct write *w, const uint8_t *digest, uint64_t refs);
/* Removes up to `max` of the files that an earlier transaction doomed. */
int blob_bury(struct write *w, unsigned max);
/* Removes the file if no row knows it. Only inside a write transaction. 1: it did, 0: it can't, or
 * there is a row. */
int blob_remove_orphan(struct write *w, const uint8_t *digest);

/* ---- part.c ---- */

/* "<hash>-<id>" under parts/. */
void part_path(const struct record_part *name, char out[BLOB_PATH_MAX]);
/* The inverse; false: no such name. */
bool part_name(const char *path, struct record_part *name);
struct record_part part_name_of(struct hash128 row, uint64_t id);
/* Bytes allocated to its file, as its row says. */
uint64_t part_blocks(const struct record_head *h);
/* Makes the op's file the part of a row that is about to be written; sets its blocks. */
int part_take(struct write *w, struct op *op, struct hash128 row);
/* Its row goes: so does the file, some transactions later. */
int part_doom(struct write *w, struct hash128 row, const struct record_head *h);
/* For blob_bury: the file of a doomed part. */
int part_bury(struct write *w, const struct record_doomed_part *d);
/* As blob_remove_orphan. */
int part_remove_orphan(struct write *w, const struct record_part *name);
/* Is there a row whose file it is? 1, 0 or negative. */
int part_known(struct db *db, struct MDB_txn *txn, const struct record_part *name);
/* Removes files that no row knows. */
void part_sweep(struct store *s);
/* Is a part of the same body there that has as much as the new one? */
bool part_is_better(struct write *w, const struct op *op, struct hash128 row);
/* Before the file is synced; any thread. */
int part_ready(const struct op *op);
int part_apply(struct write *w, struct op *op, struct hash128 row, bool *fatal);
/* Is its file there, and of that length? */
bool part_there(struct store *s, struct hash128 row, const struct record_head *h);

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

/* What a row of `size` bytes and a body of `blocks` count for. */
uint64_t apply_charge(struct write *w, size_t size, uint64_t blocks);

enum { APPLY_NO_ROOM = 1 };
/* 0, APPLY_NO_ROOM: nothing done, or negative: *fatal tells whether the transaction is spoilt. */
int apply_op(struct write *w, struct op *op, bool *fatal);
/* Was it revoked or purged since its fetch began? Whoever did so removes what stands there in a transaction
 * after this one, or has done so before it. */
bool apply_outdated(struct write *w, const struct op *op, struct view tags);

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
