#include "db.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "db-private.h"

#define DB_READERS   1022 /* slots in lock.mdb: processes × hits at one moment */
#define DB_SLOT      64   /* bytes of one, and of each part of the head */
#define DB_PAGE_HEAD 16   /* of an overflow run */
#define DB_NODE_HEAD 8
#define SYSTEM_PAGE  4096U
#define SAMPLE_PAGES 64U
#define SAMPLES      256U

static const char *const table_names[DB_TABLES] = {"entries", "queues", "urls", "blobs",
                                                  "meta",    "tags"};

int db_error(struct db *db, int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return 0;
	case MDB_NOTFOUND:
		return LARDER_ENOENT;
	case MDB_MAP_FULL:
		return LARDER_ENOSPC;
	case MDB_TXN_FULL:
	case MDB_CURSOR_FULL:
	case MDB_PAGE_FULL:
		return LARDER_ELIMIT;
	case MDB_READERS_FULL:
		return LARDER_EBUSY;
	case MDB_MAP_RESIZED:
		return LARDER_EAGAIN;
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
		return LARDER_EVERSION;
	case MDB_CORRUPTED:
	case MDB_INVALID:
	case MDB_PAGE_NOTFOUND:
		return LARDER_ECORRUPT;
	case MDB_PANIC:
		if (db)
			__atomic_store_n(&db->broken, true, __ATOMIC_RELAXED);
		return LARDER_EIO;
	default:
		return rc > 0 ? larder_from_errno(rc) : LARDER_ESYSTEM;
	}
}

static MDB_val val_of(struct view v)
{
	return (MDB_val){v.len, (void *)(uintptr_t)v.ptr};
}

static struct view view_of_val(MDB_val v)
{
	return view_make(v.mv_data, v.mv_size);
}

/*
 * Writers queue on a file lock before they take LMDB's mutex, which so has nobody waiting on it. A
 * robust mutex loses a wake-up when the waiter that it woke is killed and somebody else takes the
 * mutex meanwhile: all others then sleep on a free lock.
 */
static int open_turn(struct db *db, const char *path)
{
	char *name;

	if (asprintf(&name, "%s/turn", path) < 0)
		return ENOMEM;
	db->turn = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(name);
	return db->turn < 0 ? errno : 0;
}

static int turn_take(struct db *db)
{
	if (db->turn < 0)
		return 0;
	while (flock(db->turn, LOCK_EX)) {
		if (errno != EINTR)
			return larder_from_errno(errno);
	}
	return 0;
}

static void turn_give(struct db *db)
{
	if (db->turn >= 0)
		flock(db->turn, LOCK_UN);
}

/* Handles are made in one transaction and then hold for the process. */
static int make_tables(struct db *db, bool create)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(db->env, NULL, create ? 0 : MDB_RDONLY, &txn);

	for (int i = 0; !rc && i < DB_TABLES; i++) {
		rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0, &db->dbi[i]);
		if (rc) {
			mdb_txn_abort(txn);
			return rc;
		}
	}
	return rc ? rc : mdb_txn_commit(txn);
}

static int open_tables(struct db *db, bool create)
{
	int rc;

	if (!create)
		return make_tables(db, false);
	rc = turn_take(db) ? EIO : make_tables(db, true);
	turn_give(db);
	return rc;
}

/* LMDB leaves its lock file sparse: on a full disk a reader that takes a slot in a new page of it
 * would die of SIGBUS. Before it is opened there, as closing it would drop the locks. */
static int allocate_slots(const char *path)
{
	off_t size = (DB_READERS + 3) * DB_SLOT;
	struct stat st;
	char *name;
	int fd, rc = 0;

	if (asprintf(&name, "%s/lock.mdb", path) < 0)
		return ENOMEM;
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(name);
	if (fd < 0)
		return errno;
	if (fstat(fd, &st) || fallocate(fd, 0, 0, st.st_size ? st.st_size : size))
		rc = errno;
	close(fd);
	return rc == EOPNOTSUPP || rc == ENOSYS ? 0 : rc;
}

static unsigned env_flags(enum db_durability durability, bool readonly)
{
	unsigned flags = MDB_NOTLS;

	/* Tools that walk through a cold index take a third of the time so; lookups want one page. */
	flags |= readonly ? MDB_RDONLY : MDB_NORDAHEAD;
	/* Without the sync of the meta page, the one before it stays whole: a power cut loses the
	 * last commit and nothing else. */
	if (durability == DB_BATCH)
		flags |= MDB_NOMETASYNC;
	if (durability == DB_NONE)
		flags |= MDB_NOSYNC;
	return flags;
}

int db_open(const char *path, uint64_t map, enum db_durability durability, bool readonly,
            struct db **out)
{
	struct db *db = calloc(1, sizeof(*db));
	MDB_stat stat;
	int rc;

	if (!db)
		return LARDER_ENOMEM;
	db->magic = DB_MAGIC;
	db->turn = -1;
	rc = readonly ? 0 : open_turn(db, path);
	if (!rc && !readonly)
		rc = allocate_slots(path);
	if (!rc)
		rc = mdb_env_create(&db->env);
	if (!rc)
		rc = mdb_env_set_userctx(db->env, db);
	if (!rc)
		rc = mdb_env_set_maxdbs(db->env, DB_TABLES);
	if (!rc)
		rc = mdb_env_set_maxreaders(db->env, DB_READERS);
	if (!rc)
		rc = mdb_env_set_mapsize(db->env, (size_t)map);
	if (!rc)
		rc = mdb_env_open(db->env, path, env_flags(durability, readonly), 0600);
	if (!rc)
		rc = open_tables(db, false);
	if (rc == MDB_NOTFOUND && !readonly)
		rc = open_tables(db, true);
	if (!rc)
		rc = mdb_env_get_fd(db->env, &db->fd);
	if (!rc)
		rc = mdb_env_stat(db->env, &stat);
	if (rc) {
		rc = db_error(NULL, rc);
		db_close(db);
		return rc;
	}
	db->page = stat.ms_psize;
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	check_magic(db, DB_MAGIC);
	if (db->look)
		mdb_txn_abort(db->look);
	if (db->env)
		mdb_env_close(db->env);
	if (db->turn >= 0)
		close(db->turn);
	db->magic = 0;
	free(db);
}

bool db_broken(const struct db *db)
{
	return __atomic_load_n(&db->broken, __ATOMIC_RELAXED);
}

int db_begin(struct db *db, bool write, struct MDB_txn **out)
{
	int err;

	if (!db)
		return LARDER_ECLOSED;
	check_magic(db, DB_MAGIC);
	if (!write)
		return db_error(db, mdb_txn_begin(db->env, NULL, MDB_RDONLY, out));
	err = turn_take(db);
	if (err)
		return err;
	err = db_error(db, mdb_txn_begin(db->env, NULL, 0, out));
	if (err)
		turn_give(db);
	else
		__atomic_store_n(&db->writing, *out, __ATOMIC_RELAXED);
	return err;
}

/* The transaction ends: true if it was the one that writes. */
static bool ends_writing(struct db *db, MDB_txn *txn)
{
	bool ends = __atomic_load_n(&db->writing, __ATOMIC_RELAXED) == txn;

	if (ends)
		__atomic_store_n(&db->writing, NULL, __ATOMIC_RELAXED);
	return ends;
}

void db_reset(struct MDB_txn *txn)
{
	mdb_txn_reset(txn);
}

int db_renew(struct db *db, struct MDB_txn *txn)
{
	return db_error(db, mdb_txn_renew(txn));
}

int db_commit(struct db *db, struct MDB_txn *txn)
{
	bool writing = ends_writing(db, txn);
	int rc = mdb_txn_commit(txn);

	if (writing)
		turn_give(db);
	return db_error(db, rc);
}

void db_abort(struct MDB_txn *txn)
{
	struct db *db = mdb_env_get_userctx(mdb_txn_env(txn));
	bool writing = ends_writing(db, txn);

	mdb_txn_abort(txn);
	if (writing)
		turn_give(db);
}

uint64_t db_txn_id(struct MDB_txn *txn)
{
	return mdb_txn_id(txn);
}

int db_get(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key, struct view *val)
{
	MDB_val k = val_of(key), v;
	int rc = mdb_get(txn, db->dbi[t], &k, &v);

	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc)
		return db_error(db, rc);
	*val = view_of_val(v);
	return 1;
}

int db_seek(struct db *db, struct MDB_txn *txn, enum db_table t, struct view from, struct view *key,
            struct view *val)
{
	MDB_val k = val_of(from), v;
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, db->dbi[t], &cursor);

	if (rc)
		return db_error(db, rc);
	rc = mdb_cursor_get(cursor, &k, &v, from.len ? MDB_SET_RANGE : MDB_FIRST);
	mdb_cursor_close(cursor);
	if (rc == MDB_NOTFOUND)
		return 0;
	if (rc)
		return db_error(db, rc);
	*key = view_of_val(k);
	*val = view_of_val(v);
	return 1;
}

int db_put(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key, struct view val)
{
	MDB_val k = val_of(key), v = val_of(val);

	return db_error(db, mdb_put(txn, db->dbi[t], &k, &v, 0));
}

int db_reserve(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key, size_t size,
               void **out)
{
	MDB_val k = val_of(key), v = {size, NULL};
	int rc = mdb_put(txn, db->dbi[t], &k, &v, MDB_RESERVE);

	*out = v.mv_data;
	return db_error(db, rc);
}

int db_del(struct db *db, struct MDB_txn *txn, enum db_table t, struct view key)
{
	MDB_val k = val_of(key);
	int rc = mdb_del(txn, db->dbi[t], &k, NULL);

	if (rc == MDB_NOTFOUND)
		return 0;
	return rc ? db_error(db, rc) : 1;
}

/* LMDB's own two databases have the handles 0 (free pages) and 1 (the named ones). */
int db_pages(struct db *db, struct MDB_txn *txn, struct db_pages *out)
{
	MDB_envinfo info;
	MDB_stat st;
	int rc = mdb_env_info(db->env, &info);

	*out = (struct db_pages){.size = db->page, .total = info.me_last_pgno + 1, .used = 2};
	for (unsigned dbi = 0; !rc && dbi < 2; dbi++) {
		rc = mdb_stat(txn, dbi, &st);
		if (!rc)
			out->used += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
	}
	for (int i = 0; !rc && i < DB_TABLES; i++) {
		rc = mdb_stat(txn, db->dbi[i], &st);
		if (rc)
			break;
		out->table[i].depth = st.ms_depth;
		out->table[i].tree = st.ms_branch_pages + st.ms_leaf_pages;
		out->table[i].branches = st.ms_branch_pages;
		out->table[i].rows = st.ms_entries;
		out->used += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
	}
	return db_error(db, rc);
}

uint64_t db_run_pages(size_t page, size_t len)
{
	/* A node may fill half a page (MDB_MINKEYS is 2); what is larger goes to a run of its own.
	 */
	if (len + DB_NODE_HEAD + 64 <= (page - DB_PAGE_HEAD) / 2)
		return 0;
	return ((uint64_t)len + DB_PAGE_HEAD + page - 1) / page;
}

uint64_t db_value_pages(const struct db *db, size_t len)
{
	return db_run_pages(db->page, len);
}

uint64_t db_allocated(const struct db *db)
{
	struct stat st;

	if (fstat(db->fd, &st))
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

static bool all_resident(char *at, size_t len)
{
	unsigned char pages[SAMPLE_PAGES];
	size_t n = (len + SYSTEM_PAGE - 1) / SYSTEM_PAGE;

	/* One that can't tell keeps nobody waiting. */
	if (mincore(at, len, pages))
		return true;
	for (size_t i = 0; i < n; i++) {
		if (!(pages[i] & 1))
			return false;
	}
	return true;
}

bool db_in_memory(const struct db *db)
{
	size_t step = SAMPLE_PAGES * SYSTEM_PAGE, len, stride;
	struct stat st;
	bool yes = true;
	char *map;

	if (fstat(db->fd, &st) || st.st_size <= 0)
		return true;
	/* LMDB does not tell where its own map is. */
	len = (size_t)st.st_size;
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, db->fd, 0);
	if (map == MAP_FAILED)
		return true;
	stride = len / SAMPLES / step * step + step;
	for (size_t at = 0; yes && at < len; at += stride)
		yes = all_resident(map + at, len - at < step ? len - at : step);
	munmap(map, len);
	return yes;
}

int db_sync(struct db *db)
{
	return db_error(db, mdb_env_sync(db->env, 1));
}

void db_check_readers(struct db *db)
{
	int dead;

	mdb_reader_check(db->env, &dead);
}
