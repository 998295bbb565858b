/*
 * The index: LMDB and all its quirks, behind views and larder's errors.
 *
 * Vocabulary: *table* = a named database; *walk* = seeking from key to key, which holds no cursor
 * and so survives a renewed transaction.
 */
#ifndef LARDER_STORE_DB_H
#define LARDER_STORE_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

struct db;
struct MDB_txn;

enum db_table { DB_ENTRIES, DB_QUEUES, DB_URLS, DB_BLOBS, DB_META, DB_TAGS, DB_TABLES };

/* The order of the `durability` option's choices. */
enum db_durability { DB_FULL, DB_BATCH, DB_NONE };

#define DB_KEY_MAX 511

/* Opens DIR/index; `map`: bytes of address space, the same in every process. */
int db_open(const char *path, uint64_t map, enum db_durability durability, bool readonly,
            struct db **out);
void db_close(struct db *db);
/* The environment refuses everything until it is opened again (a failed write of its meta page). */
bool db_broken(const struct db *db);

/* LARDER_ECLOSED without a db: one that could not be opened again yet. */
int db_begin(struct db *db, bool write, struct MDB_txn **out);
/* A read transaction between two uses keeps its slot, not its snapshot. */
void db_reset(struct MDB_txn *txn);
int db_renew(struct db *db, struct MDB_txn *txn);
/* Ends the transaction whatever it returns. */
int db_commit(struct db *db, struct MDB_txn *txn);
void db_abort(struct MDB_txn *txn);
uint64_t db_txn_id(struct MDB_txn *txn);

/* 1: found, 0: absent, or negative. Values point into the map, aligned for bytes only. */
int db_get(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key, struct view *val);
/* The first row whose key is not below `from`; its key and value. 1, 0 at the end, or negative. */
int db_seek(struct db *db, struct MDB_txn *txn, enum db_table t, struct view from, struct view *key,
            struct view *val);
int db_put(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key, struct view val);
/* Makes room for a value that the caller fills in before the next call with this transaction. */
int db_reserve(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key, size_t size,
               void **out);
/* 1: deleted, 0: was absent, or negative. */
int db_del(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key);

struct db_pages {
	uint32_t size;  /* of a page in bytes */
	uint64_t total; /* in the file, holes too */
	uint64_t used;
	struct {
		uint32_t depth;
		uint64_t tree; /* branch and leaf pages */
		uint64_t branches;
		uint64_t rows;
	} table[DB_TABLES];
};
/* Counted in constant time, in a transaction of either kind. */
int db_pages(struct db *db, struct MDB_txn *txn, struct db_pages *out);
/* Of the free pages those that were freed too lately to be used again by the write transaction that is
 * open. */
int db_fresh_pages(struct db *db, uint64_t *out);
/* Pages that a value of `len` bytes takes beyond its place in the tree. */
uint64_t db_value_pages(const struct db *db, size_t len);
/* The same for pages of that size. */
uint64_t db_run_pages(size_t page, size_t len);
/* Bytes really allocated to the data file. */
uint64_t db_allocated(const struct db *db);

/* Gives free pages back to the file system until `want` bytes are released: call it with a fresh
 * write transaction open, so that nobody can take the pages meanwhile. Returns the bytes released,
 * or negative where the file system can't do it. */
int64_t db_punch(struct db *db, uint64_t want);
/* Has the file system refused that? */
bool db_no_holes(const struct db *db);
/* Is all of the index in the page cache, by samples where it is large? Holes and pages that are free count as if
 * they were needed. Reads nothing. */
bool db_in_memory(const struct db *db);
/* Syncs what DB_BATCH left unsynced. */
int db_sync(struct db *db);
/* Frees the slots of readers that died. */
void db_check_readers(struct db *db);

#endif
