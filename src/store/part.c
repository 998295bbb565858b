/*
 * Bodies of which only some bytes are stored: their files in parts/ and what ops do to their rows.
 *
 * A part's file is named by its row's hash and id, so that its row can be found from the name. It is as
 * long as the whole body, with holes. Like a blob it is linked inside the write transaction that makes
 * its row, and unlinked by one after that which took the row away.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log/log.h"
#include "tags.h"

#define SWEEP_BATCH 64

static const char hex[] = "0123456789abcdef";

/* ---- Names ---- */

struct record_part part_name_of(struct hash128 row, uint64_t id)
{
	struct record_key k = record_key(row);
	struct record_part name = {.id = id};

	memcpy(name.hash, k.bytes, sizeof(name.hash));
	return name;
}

void part_path(const struct record_part *name, char out[BLOB_PATH_MAX])
{
	for (size_t i = 0; i < sizeof(name->hash); i++) {
		out[2 * i] = hex[name->hash[i] >> 4];
		out[2 * i + 1] = hex[name->hash[i] & 15];
	}
	snprintf(out + 32, BLOB_PATH_MAX - 32, "-%016llx", (unsigned long long)name->id);
}

bool part_name(const char *path, struct record_part *name)
{
	uint64_t words[3] = {0, 0, 0};
	struct record_key k;

	if (strlen(path) != 49 || path[32] != '-')
		return false;
	for (size_t i = 0; i < 48; i++) {
		const char *p = strchr(hex, path[i < 32 ? i : i + 1]);

		if (!p)
			return false;
		words[i / 16] = words[i / 16] << 4 | (uint64_t)(p - hex);
	}
	k = record_key((struct hash128){words[0], words[1]});
	memcpy(name->hash, k.bytes, sizeof(name->hash));
	name->id = words[2];
	return true;
}

uint64_t part_blocks(const struct record_head *h)
{
	uint64_t blocks;

	memcpy(&blocks, h->digest, sizeof(blocks));
	return blocks;
}

static void set_blocks(struct record_head *h, uint64_t blocks)
{
	memset(h->digest, 0, sizeof(h->digest));
	memcpy(h->digest, &blocks, sizeof(blocks));
}

static int allocated(int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return larder_from_errno(errno);
	*bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

bool part_there(struct store *s, struct hash128 row, const struct record_head *h)
{
	struct record_part name = part_name_of(row, h->id);
	char path[BLOB_PATH_MAX];
	struct stat st;

	part_path(&name, path);
	return fstatat(s->parts_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_size == h->length;
}

/* ---- Making one ---- */

int part_ready(const struct op *op)
{
	if (!op->spool)
		return 0;
	return ftruncate(op->spool->fd, (off_t)op->rec.h.length) ? larder_from_errno(errno) : 0;
}

int part_take(struct write *w, struct op *op, struct hash128 row)
{
	struct record *r = &op->rec;
	struct record_part name = part_name_of(row, r->h.id);
	struct pool *p = w->s->pool;
	struct blob_source from = {.length = r->h.length};
	char path[BLOB_PATH_MAX];
	uint64_t blocks = 0;
	int err;

	from.fd = op->file ? op->file->fd : op->spool->fd;
	from.temp = op->spool ? op->spool->name : op->file->temp ? op->file->temp : "";
	err = allocated(from.fd, &blocks);
	if (err)
		return err;
	part_path(&name, path);
	memcpy(p->part_intent[p->part_intents].name, &name, sizeof(name));
	__atomic_store_n(&p->part_intents, p->part_intents + 1, __ATOMIC_SEQ_CST);
	err = blob_link(w->s, &from, w->s->parts_fd, path);
	if (err == EEXIST && !unlinkat(w->s->parts_fd, path, 0))
		err = blob_link(w->s, &from, w->s->parts_fd, path);
	if (err)
		return larder_from_errno(err);
	w->parts = true;
	w->st.parts++;
	w->st.part_bytes += blocks;
	set_blocks(&r->h, blocks);
	op->linked = true;
	if (op->extent.end)
		r->extents = view_make(&op->extent, sizeof(op->extent));
	return 0;
}

static struct view etag_of(const struct record *r)
{
	return r->h.etag_len ? view_make(r->head.ptr + r->h.etag_off, r->h.etag_len) : V("");
}

bool part_is_better(struct write *w, const struct op *op, struct hash128 row)
{
	struct store_extents have = {0};
	struct record old;
	uint64_t bytes;

	if (row_get(w, row, &old) != 1 || old.h.kind != RECORD_RESPONSE || old.h.blob != RECORD_PART ||
	    old.h.length != op->rec.h.length || !view_eq(old.key, op->rec.key) || !old.h.etag_len ||
	    !view_eq(etag_of(&old), etag_of(&op->rec)) ||
	    store_extents_load(&have, old.extents, old.h.length))
		return false;
	bytes = store_extents_bytes(&have);
	store_extents_fini(&have);
	return bytes >= op->extent.end;
}

/* ---- Taking it away ---- */

int part_doom(struct write *w, struct hash128 row, const struct record_head *h)
{
	struct record_queue_key k = record_queue_key(RECORD_DOOMED, w->st.next_seq++);
	struct record_doomed_part d = {.name = part_name_of(row, h->id), .bytes = part_blocks(h)};

	w->st.doomed++;
	w->st.doomed_bytes += d.bytes;
	return db_put(w->s->db, w->txn, DB_QUEUES, queue_key_view(&k), view_make(&d, sizeof(d)));
}

/* For the account of removed files that are still open: see files.c. */
static void tell_unlinked(struct write *w, const struct record_part *name, uint64_t bytes)
{
	uint8_t padded[RECORD_DIGEST] = {0};

	memcpy(padded, name, sizeof(*name));
	pool_unlinked(w->s->pool, padded, bytes);
}

static int unlink_part(struct write *w, const struct record_part *name)
{
	char path[BLOB_PATH_MAX];

	part_path(name, path);
	if (unlinkat(w->s->parts_fd, path, 0) == 0)
		return 1;
	return errno == ENOENT ? 0 : larder_from_errno(errno);
}

int part_bury(struct write *w, const struct record_doomed_part *d)
{
	int ret = unlink_part(w, &d->name);

	if (ret < 0)
		return ret;
	count_down(&w->st.parts, 1);
	count_down(&w->st.part_bytes, d->bytes);
	count_down(&w->st.doomed_bytes, d->bytes);
	tell_unlinked(w, &d->name, d->bytes);
	return 0;
}

/* It, or the doomed queue: its turn comes there. */
int part_known(struct db *db, struct MDB_txn *txn, const struct record_part *name)
{
	struct record_queue_key from = record_queue_key(RECORD_DOOMED, 0);
	struct view key, row;
	struct record r;
	int ret = db_get(db, txn, DB_ENTRIES, view_make(name->hash, sizeof(name->hash)), &row);

	if (ret < 0)
		return ret;
	if (ret == 1 && record_parse(row, &r) == 0 && r.h.kind == RECORD_RESPONSE &&
	    r.h.blob == RECORD_PART && r.h.id == name->id)
		return 1;
	while ((ret = db_seek(db, txn, DB_QUEUES, queue_key_view(&from), &key, &row)) == 1) {
		if (row.len == sizeof(struct record_doomed_part) && !memcmp(row.ptr, name, sizeof(*name)))
			return 1;
		from = record_queue_key(RECORD_DOOMED, record_queue_seq(key) + 1);
	}
	return ret;
}

int part_remove_orphan(struct write *w, const struct record_part *name)
{
	int ret = part_known(w->s->db, w->txn, name);

	if (ret)
		return ret < 0 ? ret : 0;
	ret = unlink_part(w, name);
	if (ret == 1)
		tell_unlinked(w, name, 0);
	return ret < 0 ? 0 : ret;
}

static unsigned find_orphans(struct store *s, DIR *d, struct record_part *out)
{
	struct MDB_txn *txn;
	struct dirent *e;
	unsigned n = 0;

	if (db_begin(s->db, false, &txn))
		return 0;
	while (n < SWEEP_BATCH && (e = readdir(d)))
		n += part_name(e->d_name, &out[n]) && part_known(s->db, txn, &out[n]) == 0;
	db_abort(txn);
	return n;
}

/* Under the write lock nobody links: what has no row now has none coming. */
void part_sweep(struct store *s)
{
	int fd = openat(s->parts_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct record_part names[SWEEP_BATCH];
	unsigned n = d ? find_orphans(s, d, names) : 0, removed = 0;
	struct write w;

	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
	if (!n || write_begin(s, &w))
		return;
	for (unsigned i = 0; i < n; i++)
		removed += part_remove_orphan(&w, &names[i]) == 1;
	write_abort(&w);
	stat_add_mt(&s->stats->orphans, removed);
	if (removed)
		log_info("store: %u files of partial bodies that nothing refers to were removed", removed);
}

/* ---- Ops ---- */

/* The part that the op is about. 1, 0: gone, or negative. */
static int find(struct write *w, const struct op *op, struct hash128 row, struct record *r)
{
	int ret = row_get(w, row, r);

	if (ret == LARDER_ECORRUPT)
		return 0;
	return ret == 1 ? r->h.kind == RECORD_RESPONSE && r->h.blob == RECORD_PART &&
	                          r->h.id == op->id && view_eq(r->key, op->rec.key)
	                : ret;
}

static int recharge(struct write *w, const struct op *op, struct record *r, struct hash128 row,
                    uint64_t blocks)
{
	uint64_t was = r->h.charge;
	struct row_change by = {0};
	int err;

	r->h.charge = apply_charge(w, record_size(r), blocks);
	by.charge = (int64_t)r->h.charge - (int64_t)was;
	err = queue_recharge(w, &r->h, was);
	if (!err)
		err = row_count_url(w, r->key, op->key, &by);
	return err ? err : row_rewrite(w, row, r);
}

static const struct write_cost extend_cost = {
        .touch = {[DB_ENTRIES] = 1, [DB_QUEUES] = 1, [DB_URLS] = 1},
        .add = {[DB_ENTRIES] = 2},
};

static int extend(struct write *w, struct op *op, struct hash128 row, bool *fatal)
{
	struct write_cost cost = extend_cost;
	struct store_extents have = {0};
	struct record old;
	struct view tags;
	uint64_t blocks = 0, was;
	int ret = find(w, op, row, &old);

	if (ret <= 0) {
		*fatal = ret < 0;
		return ret < 0 ? ret : LARDER_ENOENT;
	}
	ret = store_extents_load(&have, old.extents, old.h.length);
	if (!ret)
		ret = store_extents_add(&have, op->extent.first, op->extent.end);
	if (!ret)
		ret = allocated(op->file->fd, &blocks);
	if (ret)
		goto out;
	old.extents = view_make(have.at, have.n * sizeof(*have.at));
	tags = old.tags;
	/* A head that was asked for before a purge does not undo what that did. */
	if (op->rec.head.len && !apply_outdated(w, op, old.tags)) {
		old.head = op->rec.head;
		old.h.meta = op->rec.h.meta;
		old.h.etag_off = op->rec.h.etag_off;
		old.h.etag_len = op->rec.h.etag_len;
		if (!op->keep_tags)
			old.tags = op->rec.tags;
	}
	cost.pages = db_value_pages(w->s->db, record_size(&old));
	cost.touch[DB_TAGS] = tags_count(tags);
	cost.add[DB_TAGS] = tags_count(old.tags);
	ret = write_room(w, &cost, room_for_inserts(w->s->pool)) ? 0 : APPLY_NO_ROOM;
	if (ret)
		goto out;
	*fatal = true;
	was = part_blocks(&old.h);
	count_down(&w->st.part_bytes, was);
	w->st.part_bytes += blocks;
	set_blocks(&old.h, blocks);
	ret = tags_change(w, row, old.key, tags, old.tags);
	if (!ret)
		ret = recharge(w, op, &old, row, blocks);
out:
	store_extents_fini(&have);
	return ret;
}

static bool is_whole(const struct record *r)
{
	struct store_extents have = {0};
	bool whole = store_extents_load(&have, r->extents, r->h.length) == 0 &&
	             store_extents_have(&have, 0) == r->h.length;

	store_extents_fini(&have);
	return whole;
}

static int finish(struct write *w, struct op *op, struct hash128 row, bool *fatal)
{
	struct blob_source from = {op->rec.h.digest, op->rec.h.length, op->file->fd, ""};
	struct write_cost cost = extend_cost;
	struct record old;
	uint64_t blocks;
	int ret = find(w, op, row, &old);

	if (ret <= 0) {
		*fatal = ret < 0;
		return ret < 0 ? ret : LARDER_ENOENT;
	}
	if (!is_whole(&old) || old.h.length != from.length)
		return LARDER_EAGAIN;
	cost.pages = db_value_pages(w->s->db, record_size(&old));
	cost.add[DB_BLOBS] = cost.add[DB_QUEUES] = 1;
	if (w->s->pool->intents >= POOL_INTENTS ||
	    !write_room(w, &cost, room_for_inserts(w->s->pool)))
		return APPLY_NO_ROOM;
	ret = blob_take(w, &from, &blocks, &op->linked);
	if (ret)
		return ret;
	*fatal = true;
	ret = part_doom(w, row, &old.h);
	if (ret)
		return ret;
	/* Other tables than that of the entries have changed: the row's views still hold. */
	old.h.blob = RECORD_BLOB;
	memcpy(old.h.digest, from.digest, RECORD_DIGEST);
	old.extents = view_make(NULL, 0);
	return recharge(w, op, &old, row, blocks);
}

static int drop(struct write *w, const struct op *op, struct hash128 row, bool *fatal)
{
	static const struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = 2, [DB_QUEUES] = 2, [DB_URLS] = 1},
	        .add = {[DB_QUEUES] = 1},
	};
	struct record r;
	int ret = find(w, op, row, &r);

	if (ret <= 0) {
		*fatal = ret < 0;
		return ret < 0 ? ret : LARDER_ENOENT;
	}
	if (!write_room(w, &cost, room_for_evictions(w->s->pool)))
		return APPLY_NO_ROOM;
	*fatal = true;
	return row_drop(w, row, &r, NULL);
}

int part_apply(struct write *w, struct op *op, struct hash128 row, bool *fatal)
{
	*fatal = false;
	if (op->kind == OP_PART_DROP)
		return drop(w, op, row, fatal);
	if (!op->synced)
		return APPLY_NO_ROOM;
	return op->kind == OP_PART_EXTEND ? extend(w, op, row, fatal) : finish(w, op, row, fatal);
}
