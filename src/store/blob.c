/* Body files and their rows. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.h"
#include "write.h"

static const char hex[] = "0123456789abcdef";

void blob_path(const uint8_t *digest, char out[BLOB_PATH_MAX])
{
	out[0] = hex[digest[0] >> 4];
	out[1] = hex[digest[0] & 15];
	out[2] = '/';
	for (size_t i = 0; i < RECORD_DIGEST; i++) {
		out[3 + 2 * i] = hex[digest[i] >> 4];
		out[4 + 2 * i] = hex[digest[i] & 15];
	}
	out[3 + 2 * RECORD_DIGEST] = '\0';
}

static int hex_digit(char c)
{
	const char *p = c ? strchr(hex, c) : NULL;

	return p ? (int)(p - hex) : -1;
}

bool blob_digest(const char *name, uint8_t *digest)
{
	if (strlen(name) != 2 * RECORD_DIGEST)
		return false;
	for (size_t i = 0; i < RECORD_DIGEST; i++) {
		int hi = hex_digit(name[2 * i]), lo = hex_digit(name[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		digest[i] = (uint8_t)(hi * 16 + lo);
	}
	return true;
}

/* 1: found, 0: absent, negative. */
static int get(struct write *w, const uint8_t *digest, struct record_blob *b)
{
	struct view row;
	int ret = db_get(w->s->db, w->txn, DB_BLOBS, view_make(digest, RECORD_DIGEST), &row);

	if (ret <= 0)
		return ret;
	if (row.len != sizeof(*b))
		return LARDER_ECORRUPT;
	memcpy(b, row.ptr, sizeof(*b));
	return 1;
}

static int put(struct write *w, const uint8_t *digest, struct record_blob *b)
{
	b->txn = db_txn_id(w->txn);
	return db_put(w->s->db, w->txn, DB_BLOBS, view_make(digest, RECORD_DIGEST),
	              view_make(b, sizeof(*b)));
}

int blob_link(struct store *s, const struct blob_source *from, int to_fd, const char *path)
{
	char self[40];

	if (from->temp[0])
		return linkat(s->spool_fd, from->temp, to_fd, path, 0) ? errno : 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", from->fd);
	return linkat(AT_FDCWD, self, to_fd, path, AT_SYMLINK_FOLLOW) ? errno : 0;
}

/* What stands at the path belongs to no row, or to one whose file is not as it should be. */
static int link_file(struct write *w, const struct blob_source *from)
{
	struct store *s = w->s;
	char path[BLOB_PATH_MAX], dir[3];
	int err;

	if (s->pool->intents >= POOL_INTENTS)
		return LARDER_ELIMIT;
	blob_path(from->digest, path);
	memcpy(s->pool->intent[s->pool->intents], from->digest, RECORD_DIGEST);
	__atomic_store_n(&s->pool->intents, s->pool->intents + 1, __ATOMIC_SEQ_CST);
	err = blob_link(s, from, s->blobs_fd, path);
	if (err == ENOENT) {
		view_copy(view_make(path, 2), dir, sizeof(dir));
		if (mkdirat(s->blobs_fd, dir, 0700) == 0) {
			w->st.dirs++;
			w->dirs_made = true;
		}
		err = blob_link(s, from, s->blobs_fd, path);
	} else if (err == EEXIST) {
		unlinkat(s->blobs_fd, path, 0);
		err = blob_link(s, from, s->blobs_fd, path);
	}
	if (err)
		return larder_from_errno(err);
	w->dirs[from->digest[0]] = true;
	return 0;
}

static bool file_there(struct store *s, const uint8_t *digest, uint64_t length)
{
	char path[BLOB_PATH_MAX];
	struct stat st;

	blob_path(digest, path);
	return fstatat(s->blobs_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size == length;
}

static uint64_t charge_of(const struct blob_source *from)
{
	uint64_t round = (from->length + 4095) / 4096 * 4096, blocks;
	struct stat st;

	if (fstat(from->fd, &st))
		return round;
	blocks = (uint64_t)st.st_blocks * 512;
	return blocks > round ? blocks : round;
}

int blob_take(struct write *w, const struct blob_source *from, uint64_t *charge, bool *linked)
{
	struct record_blob b;
	int ret = get(w, from->digest, &b), err;

	*linked = false;
	if (ret < 0 && ret != LARDER_ECORRUPT)
		return ret;
	if (ret != 1 || b.length != from->length) {
		b = (struct record_blob){.length = from->length, .charge = charge_of(from)};
		w->st.blobs++;
		w->st.blob_bytes += b.charge;
		ret = 0;
	} else if (!b.refs) {
		count_down(&w->st.doomed_bytes, b.charge);
	}
	if (!ret || !file_there(w->s, from->digest, from->length)) {
		err = link_file(w, from);
		if (err) {
			if (!ret) {
				w->st.blobs--;
				w->st.blob_bytes -= b.charge;
			} else if (!b.refs) {
				w->st.doomed_bytes += b.charge;
			}
			return err;
		}
		*linked = true;
		stat_add_mt(&w->s->stats->blobs_created, 1);
	} else {
		stat_add_mt(&w->s->stats->dedup, 1);
	}
	b.refs++;
	*charge = b.charge;
	return put(w, from->digest, &b);
}

int blob_ref(struct write *w, const uint8_t *digest, uint64_t *charge)
{
	struct record_blob b;
	int ret = get(w, digest, &b);

	if (ret < 0)
		return ret;
	if (ret == 0 || !b.refs)
		return LARDER_ENOENT;
	b.refs++;
	*charge = b.charge;
	return put(w, digest, &b);
}

static int doom(struct write *w, const uint8_t *digest)
{
	struct record_queue_key k = record_queue_key(RECORD_DOOMED, w->st.next_seq++);

	w->st.doomed++;
	return db_put(w->s->db, w->txn, DB_QUEUES, queue_key_view(&k),
	              view_make(digest, RECORD_DIGEST));
}

int blob_unref(struct write *w, const uint8_t *digest)
{
	struct record_blob b;
	int ret = get(w, digest, &b);

	if (ret <= 0 || !b.refs)
		return ret < 0 ? ret : 0;
	if (--b.refs == 0) {
		ret = doom(w, digest);
		if (ret)
			return ret;
		w->st.doomed_bytes += b.charge;
	}
	return put(w, digest, &b);
}

int blob_set_refs(struct write *w, const uint8_t *digest, uint64_t refs)
{
	struct record_blob b;
	int ret = get(w, digest, &b);

	if (ret <= 0)
		return ret;
	if (b.refs && !refs)
		w->st.doomed_bytes += b.charge;
	else if (!b.refs && refs)
		count_down(&w->st.doomed_bytes, b.charge);
	b.refs = refs;
	ret = put(w, digest, &b);
	return ret || refs ? ret : doom(w, digest);
}

static int bury_one(struct write *w, const uint8_t *digest)
{
	char path[BLOB_PATH_MAX];
	struct record_blob b;
	int ret = get(w, digest, &b);

	/* It found a new user meanwhile, or an earlier row of the queue saw to it. */
	if (ret <= 0 || b.refs)
		return ret < 0 ? ret : 0;
	blob_path(digest, path);
	if (unlinkat(w->s->blobs_fd, path, 0) && errno != ENOENT)
		return larder_from_errno(errno);
	/* Not synced: should the name come back, the sweep finds it. */
	count_down(&w->st.blobs, 1);
	count_down(&w->st.blob_bytes, b.charge);
	count_down(&w->st.doomed_bytes, b.charge);
	pool_unlinked(w->s->pool, digest, b.charge);
	stat_add_mt(&w->s->stats->blobs_removed, 1);
	ret = db_del(w->s->db, w->txn, DB_BLOBS, view_make(digest, RECORD_DIGEST));
	return ret < 0 ? ret : 0;
}

int blob_bury(struct write *w, unsigned max)
{
	static const struct write_cost cost = {
	        .touch = {[DB_QUEUES] = 1, [DB_BLOBS] = 1},
	};
	struct record_doomed_part part;
	uint8_t digest[RECORD_DIGEST];
	int ret = 0;

	while (ret >= 0 && max-- && w->st.doomed) {
		struct record_queue_key first = record_queue_key(RECORD_DOOMED, 0), k;
		struct view key, val;

		ret = db_seek(w->s->db, w->txn, DB_QUEUES, queue_key_view(&first), &key, &val);
		if (ret == 0)
			w->st.doomed = 0;
		if (ret <= 0 || record_queue_seq(key) >= w->bury_below ||
		    !write_room(w, &cost, room_for_evictions(w->s->pool)))
			break;
		k = record_queue_key(RECORD_DOOMED, record_queue_seq(key));
		if (val.len == RECORD_DIGEST) {
			memcpy(digest, val.ptr, sizeof(digest));
			ret = bury_one(w, digest);
		} else if (val.len == sizeof(part)) {
			memcpy(&part, val.ptr, sizeof(part));
			ret = part_bury(w, &part);
		}
		if (ret >= 0)
			ret = db_del(w->s->db, w->txn, DB_QUEUES, queue_key_view(&k));
		count_down(&w->st.doomed, 1);
	}
	return ret < 0 ? ret : 0;
}

int blob_remove_orphan(struct write *w, const uint8_t *digest)
{
	char path[BLOB_PATH_MAX];
	struct record_blob b;
	int ret = get(w, digest, &b);

	if (ret != 0)
		return ret < 0 && ret != LARDER_ECORRUPT ? ret : 0;
	blob_path(digest, path);
	if (unlinkat(w->s->blobs_fd, path, 0))
		return 0;
	pool_unlinked(w->s->pool, digest, 0);
	return 1;
}
