/* Opening, closing, upkeep and numbers of a process's store. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log.h"
#include "write.h"

#define SCRATCH_MAX    (16u << 20)
#define SPOOL_CLEAR_MS 10000

static int make_seed(struct store *s, struct MDB_txn **txn)
{
	uint64_t seed;
	struct view row;
	int ret = db_begin(s->db, true, txn);

	if (ret)
		return ret;
	/* Another process may have been first. */
	ret = db_get(s->db, *txn, DB_META, V("seed"), &row);
	if (ret == 0) {
		if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
			ret = LARDER_ESYSTEM;
		else
			ret = db_put(s->db, *txn, DB_META, V("seed"),
			             view_make(&seed, sizeof(seed)));
	}
	if (ret < 0)
		db_abort(*txn);
	else
		ret = db_commit(s->db, *txn);
	return ret ? ret : db_begin(s->db, false, txn);
}

/* The seed, and the shared numbers where we are the first. */
static int read_meta(struct store *s)
{
	struct record_state st = {0};
	struct MDB_txn *txn;
	struct view row;
	int ret = db_begin(s->db, false, &txn);

	if (ret)
		return ret;
	ret = db_get(s->db, txn, DB_META, V("seed"), &row);
	if (ret == 0 && !s->readonly) {
		db_abort(txn);
		ret = make_seed(s, &txn);
		if (ret)
			return ret;
		ret = db_get(s->db, txn, DB_META, V("seed"), &row);
	}
	if (ret == 1 && row.len == sizeof(s->seed))
		memcpy(&s->seed, row.ptr, row.len);
	else if (ret >= 0)
		ret = LARDER_ECORRUPT;
	if (ret == 1)
		ret = db_get(s->db, txn, DB_META, V("state"), &row);
	if (ret == 1 && row.len == sizeof(st)) {
		memcpy(&st, row.ptr, row.len);
		if (!pool_get(&s->pool->index)) {
			pool_set(&s->pool->blobs, room_blobs(s->pool, st.blob_bytes, st.dirs));
			pool_set(&s->pool->doomed, st.doomed);
		}
	}
	if (!pool_get(&s->pool->index))
		pool_set(&s->pool->index, db_allocated(s->db));
	db_abort(txn);
	return ret < 0 ? ret : 0;
}

int store_db_open(struct store *s)
{
	char *path;
	int err;

	if (s->options->durability == DB_NONE && !s->readonly) {
		err = power_mark(s->dir_fd);
		if (err)
			return err;
	}
	if (asprintf(&path, "%s/index", s->dir) < 0)
		return LARDER_ENOMEM;
	err = db_open(path, s->pool->map, (enum db_durability)s->options->durability, s->readonly,
	              &s->db);
	free(path);
	if (err)
		return err;
	err = read_meta(s);
	if (err)
		store_db_close(s);
	else if (!s->readonly)
		db_check_readers(s->db);
	if (!err)
		warm_set_db(s, s->db);
	return err;
}

void store_db_close(struct store *s)
{
	while (s->ntxns)
		db_abort(s->txns[--s->ntxns]);
	warm_set_db(s, NULL);
	db_close(s->db);
	s->db = NULL;
}

static int open_folder(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static struct store *store_new(const char *dir, const struct store_options *options,
                               struct store_stats *stats)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->magic = STORE_MAGIC;
	s->dir_fd = s->blobs_fd = s->spool_fd = s->lock_fd = -1;
	s->options = options;
	s->stats = stats;
	s->sync_files = options->durability != DB_NONE;
	buf_init(&s->writer.scratch, SCRATCH_MAX);
	s->dir = strdup(dir);
	if (s->dir)
		return s;
	free(s);
	return NULL;
}

static void store_free(struct store *s)
{
	store_db_close(s);
	warm_fini(s);
	if (s->files.table)
		files_fini(s);
	if (s->slot)
		pool_slot_drop(s->pool, s->slot);
	for (int *fd = (int[]){s->dir_fd, s->blobs_fd, s->spool_fd, -2}; *fd != -2; fd++) {
		if (*fd >= 0)
			close(*fd);
	}
	if (s->tool) {
		if (s->lock_fd >= 0)
			close(s->lock_fd);
		pool_free(s->pool);
		free(s->stats);
	}
	buf_fini(&s->writer.scratch);
	free(s->dir);
	s->magic = 0;
	free(s);
}

/* Everything but the lock and the thread. */
static int open_parts(struct store *s)
{
	s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return larder_from_errno(errno);
	s->blobs_fd = open_folder(s->dir_fd, "blobs");
	s->spool_fd = open_folder(s->dir_fd, "spool");
	if (s->blobs_fd < 0 || s->spool_fd < 0)
		return larder_from_errno(errno);
	s->slot = pool_slot_take(s->pool);
	if (!s->slot)
		return LARDER_ELIMIT;
	return files_init(&s->files, (uint64_t)s->options->open_files);
}

int store_open(struct store_home *home, struct net_loop *loop, const struct store_options *options,
               struct store_stats *stats, struct store **out)
{
	struct store *s = store_new(home->dir, options, stats);
	int err;

	if (!s)
		return LARDER_ENOMEM;
	s->pool = home->pool;
	s->lock_fd = home->lock_fd;
	s->loop = loop;
	waits_init(s);
	pool_slots_reap(s->pool);
	err = open_parts(s);
	if (!err && loop)
		err = warm_init(s);
	if (!err)
		err = store_db_open(s);
	if (!err && loop)
		err = writer_start(s);
	if (err) {
		store_free(s);
		return err;
	}
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	check_magic(s, STORE_MAGIC);
	writer_stop(s);
	waits_fini(s);
	check(!s->hits);
	store_free(s);
}

void store_maintain(struct store *s, uint64_t now_ms)
{
	struct home_note note;

	check_magic(s, STORE_MAGIC);
	pool_slots_reap(s->pool);
	files_purge(s);
	room_look(s);
	if (s->named_temps && now_ms - s->cleared_ms >= SPOOL_CLEAR_MS) {
		home_clear_spool(s->spool_fd, false);
		s->cleared_ms = now_ms;
	}
	if (s->lock_fd >= 0) {
		home_note_read(s->lock_fd, &note);
		note.cap = pool_get(&s->pool->cap);
		note.allocated = pool_allocated(s->pool);
		home_note_write(s->lock_fd, &note);
	}
	writer_kick(s, DUTY_MAINTAIN);
}

int store_usage(struct store *s, struct store_usage *out)
{
	struct record_state st = {0};
	struct db_pages pages;
	struct MDB_txn *txn;
	struct view row;
	int ret;

	check_magic(s, STORE_MAGIC);
	*out = (struct store_usage){.cap = pool_get(&s->pool->cap)};
	ret = db_begin(s->db, false, &txn);
	if (ret)
		return ret;
	ret = db_pages(s->db, txn, &pages);
	if (!ret)
		ret = db_get(s->db, txn, DB_META, V("state"), &row);
	if (ret == 1 && row.len == sizeof(st))
		memcpy(&st, row.ptr, row.len);
	db_abort(txn);
	if (ret < 0)
		return ret;
	out->index_bytes = db_allocated(s->db);
	out->index_free_bytes = out->index_bytes;
	count_down(&out->index_free_bytes, pages.used * pages.size);
	out->blob_bytes = room_blobs(s->pool, st.blob_bytes, st.dirs);
	out->records = st.records;
	out->blobs = st.blobs;
	out->tags = pages.table[DB_TAGS].rows;
	out->allocated = out->index_bytes + out->blob_bytes + pool_others(s->pool);
	return 0;
}

/* ---- For tools ---- */

static const struct store_options tool_options = {
        .inline_max = 64u << 10,
        .object_max = UINT64_MAX / 2,
        .durability = DB_FULL,
        .open_files = 16,
        .batch_records = 1000,
        .batch_bytes = 8u << 20,
        .queue_bytes = 8u << 20,
        .sweep_interval = 3600000,
};

static int complain(char **why, int err, const char *dir, const char *what)
{
	if (asprintf(why, "%s: %s", dir, what ? what : larder_strerror(err)) < 0)
		*why = NULL;
	return err;
}

/* Whatever root would create there, the daemon could not open. */
static int become_owner(int dir_fd)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (fstat(dir_fd, &st))
		return larder_from_errno(errno);
	if (st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) || setresgid(st.st_gid, st.st_gid, st.st_gid) ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid))
		return larder_from_errno(errno);
	return 0;
}

static int tool_lock(struct store *s, int dir_fd, bool write, struct home_note *note)
{
	int err;

	if (write) {
		err = home_lock(dir_fd, &s->lock_fd);
		if (err)
			return err;
	} else {
		s->lock_fd = openat(dir_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (s->lock_fd >= 0)
		home_note_read(s->lock_fd, note);
	return 0;
}

int store_empty(const char *dir, char **why)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), lock = -1, err, format;

	*why = NULL;
	err = fd < 0 ? larder_from_errno(errno) : become_owner(fd);
	if (!err) {
		format = home_format(fd);
		err = format == 1 ? home_lock(fd, &lock) : format ? format : LARDER_ENOENT;
	}
	if (!err)
		err = power_empty(fd);
	if (err)
		complain(why, err, dir, NULL);
	if (lock >= 0)
		close(lock);
	if (fd >= 0)
		close(fd);
	return err;
}

int store_open_tool(const char *dir, bool write, struct store **out, char **why)
{
	struct store_stats *stats = calloc(1, sizeof(*stats));
	struct store *s = stats ? store_new(dir, &tool_options, stats) : NULL;
	struct home_note note = {0};
	int fd, err, format;

	*why = NULL;
	if (!s) {
		free(stats);
		return complain(why, LARDER_ENOMEM, dir, NULL);
	}
	s->tool = true;
	s->readonly = !write;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 ? larder_from_errno(errno) : become_owner(fd);
	if (err) {
		complain(why, err, dir, NULL);
		goto out;
	}
	format = home_format(fd);
	if (format != 1) {
		err = format ? format : LARDER_ENOENT;
		complain(why, err, dir, format ? NULL : "there is no store here");
		goto out;
	}
	err = tool_lock(s, fd, write, &note);
	if (err) {
		complain(why, err, dir, NULL);
		goto out;
	}
	if (power_lost(fd)) {
		err = write ? power_empty(fd) : LARDER_ECORRUPT;
		if (err) {
			complain(why, err, dir,
			         "nothing in it can be trusted: the machine was stopped before it was synced; the "
			         "daemon will empty it when it starts");
			goto out;
		}
	}
	s->pool = pool_new(note.cap);
	err = s->pool ? open_parts(s) : LARDER_ENOMEM;
	if (!err)
		err = store_db_open(s);
	if (err)
		complain(why, err, dir,
		         err == LARDER_ENOENT ? "the store holds nothing yet" : NULL);
out:
	if (fd >= 0)
		close(fd);
	if (err)
		store_free(s);
	else
		*out = s;
	return err;
}
