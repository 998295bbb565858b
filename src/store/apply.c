/* What an op does to the rows. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "purge.h"
#include "store/variants.h"

static struct hash128 target(const struct write *w, const struct op *op)
{
	return op->rec.vary.len ? record_variant(op->key, op->rec.selecting, w->s->seed) : op->key;
}

/* Is it one of a marker's lists of names? *n: how many there are. */
static bool has_list(struct view lists, struct view list, unsigned *n)
{
	bool found = false;

	for (*n = 0; lists.len; (*n)++)
		found |= view_eq(view_cut(lists, '\n', &lists), list);
	return found;
}

/* Can a marker of these lists be that of a response with this one? */
static bool can_list(struct view lists, struct view list)
{
	unsigned n;

	return has_list(lists, list, &n) || (n < STORE_LISTS_MAX && lists.len + list.len < RECORD_TEXT_MAX);
}

/* RFC 9111 §4.1: one without Vary does not hide those that have it. It becomes one that any request selects. */
static int place(struct write *w, struct op *op)
{
	struct record *r = &op->rec, m;

	if (r->vary.len || row_get(w, op->key, &m) != 1 || m.h.kind != RECORD_MARKER || !view_eq(m.key, r->key) ||
	    !can_list(m.vary, STORE_ANY))
		return 0;
	/* Whoever fills a part knows it by its place. */
	if (r->h.blob == RECORD_PART)
		return LARDER_EAGAIN;
	r->vary = STORE_ANY;
	r->selecting = STORE_ANY_TEXT;
	return 0;
}

/* What stands under the primary hash and is in the way: a response where a marker must be, or the
 * reverse, or a marker of too many other names. */
static int clear_way(struct write *w, const struct op *op)
{
	struct record r;
	uint64_t n = 0;
	int ret = row_get(w, op->key, &r);

	if (ret == 0)
		return 0;
	if (ret == 1 && view_eq(r.key, op->rec.key)) {
		bool marker = r.h.kind == RECORD_MARKER;

		if (op->rec.vary.len ? marker && can_list(r.vary, op->rec.vary) : !marker)
			return 0;
	}
	if (ret < 0 && ret != LARDER_ECORRUPT)
		return ret;
	return row_drop_all(w, op->key, &n);
}

static int drop_oldest(struct write *w, struct hash128 hash)
{
	struct record r;
	int ret = row_get(w, hash, &r);

	if (ret == LARDER_ECORRUPT)
		return row_drop_damaged(w, hash);
	if (ret <= 0 || r.h.kind != RECORD_RESPONSE)
		return ret < 0 ? ret : 0;
	stat_add_mt(&w->s->stats->evictions, 1);
	stat_add_mt(&w->s->stats->evicted_bytes, r.h.length);
	return row_drop(w, hash, &r, NULL);
}

static bool listed(const struct record *m, const struct record_key *k)
{
	for (size_t i = 0; i < m->variants.len; i += 16) {
		if (!memcmp(m->variants.ptr + i, k->bytes, 16))
			return true;
	}
	return false;
}

/* Makes room on a list for one more, the oldest giving way; *len: of the list. */
static int shorten(struct write *w, unsigned char *list, size_t *len)
{
	int64_t max = w->s->options->variants_max;
	size_t most = (size_t)(max > 0 ? max : RECORD_VARIANTS_MAX) * 16; /* 0: by tools, which have no options */
	int err = 0;

	while (!err && *len >= most) {
		err = drop_oldest(w, record_hash(view_make(list, 16)));
		*len -= 16;
		memmove(list, list + 16, *len);
	}
	return err;
}

/* The marker's lists of names, with the op's among them. The result may be in *text. */
static int name_fields(const struct op *op, struct record *m, struct buf *text)
{
	unsigned n;

	if (has_list(m->vary, op->rec.vary, &n))
		return 0;
	buf_init(text, RECORD_TEXT_MAX);
	buf_addv(text, m->vary);
	buf_addc(text, '\n');
	buf_addv(text, op->rec.vary);
	m->vary = buf_view(text);
	return text->err;
}

/* The marker lists the variant: makes it, or adds to it. */
static int list_variant(struct write *w, const struct op *op, struct hash128 hash)
{
	unsigned char list[RECORD_VARIANTS_MAX * 16];
	struct record_key k = record_key(hash);
	struct buf names = {0};
	struct record m;
	size_t len = 0;
	int ret = row_get(w, op->key, &m);

	if (ret < 0 || (ret == 1 && listed(&m, &k)))
		return ret < 0 ? ret : 0;
	if (ret == 1) {
		len = m.variants.len;
		if (len > sizeof(list))
			return LARDER_ECORRUPT;
		memcpy(list, m.variants.ptr, len);
		ret = shorten(w, list, &len);
		/* What was dropped has been taken off the marker, and with the last one it has gone. */
		if (!ret)
			ret = row_get(w, op->key, &m);
		if (ret < 0)
			return ret;
	}
	if (ret == 0) {
		m = (struct record){.h.kind = RECORD_MARKER, .h.id = w->st.next_id++};
		m.key = op->rec.key;
		m.vary = op->rec.vary;
	}
	memcpy(list + len, k.bytes, 16);
	m.variants = view_make(list, len + 16);
	ret = name_fields(op, &m, &names);
	if (!ret)
		ret = row_rewrite(w, op->key, &m);
	buf_fini(&names);
	return ret;
}

uint64_t apply_charge(struct write *w, size_t size, uint64_t blocks)
{
	uint64_t pages = db_value_pages(w->s->db, size);

	return (pages ? pages * w->pages.size : size + 32) + blocks;
}

static int write_row(struct write *w, struct hash128 hash, struct record *r)
{
	struct record_key k = record_key(hash);
	void *row;
	int err = db_reserve(w->s->db, w->txn, DB_ENTRIES, row_key_view(&k), record_size(r), &row);

	if (!err)
		record_write(r, row);
	return err;
}

/* The place of what is replaced is inherited: a response that was fetched anew is not a new one. */
static int put_response(struct write *w, struct op *op, struct hash128 hash, uint64_t blob,
                        bool fresh)
{
	struct record *r = &op->rec, old;
	struct row_change by = {.length = (int64_t)r->h.length};
	int ret = fresh ? 0 : row_get(w, hash, &old), err = 0;
	struct view tags = V("");

	r->h.charge = apply_charge(w, record_size(r), blob);
	by.charge = (int64_t)r->h.charge;
	if (ret == LARDER_ECORRUPT) {
		ret = row_drop_damaged(w, hash);
	}
	if (ret < 0)
		return ret;
	if (ret == 1) {
		struct record_head was = old.h;

		r->h.birth = was.birth;
		tags = old.tags;
		by.charge -= (int64_t)was.charge;
		by.length -= (int64_t)was.length;
		err = queue_recharge(w, &r->h, was.charge);
		if (!err)
			err = row_drop_body(w, hash, &was);
	} else {
		w->st.records++;
		by.responses = 1;
		err = queue_add(w, hash, &r->h);
	}
	if (!err)
		err = tags_change(w, hash, r->key, tags, r->tags);
	if (!err)
		err = row_count_url(w, r->key, op->key, &by);
	return err ? err : write_row(w, hash, r);
}

static unsigned old_tags(struct write *w, struct hash128 hash)
{
	struct record r;

	return row_get(w, hash, &r) == 1 ? tags_count(r.tags) : 0;
}

/* `fresh`: nothing is there that it replaces, and no marker to be kept. */
static bool room_for_insert(struct write *w, const struct record *r, struct hash128 hash, bool fresh)
{
	struct write_cost cost = {
	        .add = {[DB_ENTRIES] = 2, [DB_URLS] = 1, [DB_BLOBS] = r->h.blob},
	        .pages = db_value_pages(w->s->db, record_size(r)),
	};

	cost.put[DB_URLS] = 1;
	cost.put[DB_TAGS] = cost.add[DB_TAGS] = tags_count(r->tags);
	if (!fresh)
		cost.touch[DB_TAGS] = old_tags(w, hash);
	if (fresh) {
		cost.put[DB_ENTRIES] = cost.add[DB_ENTRIES] = 1;
		cost.put[DB_BLOBS] = r->h.blob;
	} else {
		cost.touch[DB_ENTRIES] = r->vary.len ? 3 : 2;
		cost.touch[DB_QUEUES] = cost.touch[DB_BLOBS] = 2;
	}
	return write_room_queues(w, &cost, room_for_inserts(w->s->pool));
}

/* Its file becomes the body's. */
static int take_file(struct write *w, struct op *op, struct hash128 hash, uint64_t *charge)
{
	struct blob_source from;
	int err;

	if (op->rec.h.blob == RECORD_PART) {
		err = part_take(w, op, hash);
		*charge = part_blocks(&op->rec.h);
		return err;
	}
	from = (struct blob_source){op->spool->digest, op->spool->length, op->spool->fd, op->spool->name};
	err = blob_take(w, &from, charge, &op->linked);
	if (!err)
		memcpy(op->rec.h.digest, op->spool->digest, RECORD_DIGEST);
	return err;
}

static int apply_insert(struct write *w, struct op *op, bool *fatal)
{
	struct record *r = &op->rec, old;
	int err = place(w, op);
	struct hash128 hash = target(w, op);
	bool fresh = !r->vary.len && row_get(w, hash, &old) == 0;
	uint64_t charge = 0;

	if (err)
		return err;
	if (r->h.blob && (!op->synced || w->s->pool->intents >= POOL_INTENTS ||
	                  w->s->pool->part_intents >= POOL_PARTS))
		return APPLY_NO_ROOM;
	if (!room_for_insert(w, r, hash, fresh))
		return APPLY_NO_ROOM;
	if (r->h.blob == RECORD_PART && !fresh && part_is_better(w, op, hash))
		return LARDER_EAGAIN;
	r->h.id = w->st.next_id++;
	/* Files fail before rows are touched. */
	if (r->h.blob)
		err = take_file(w, op, hash, &charge);
	if (err)
		return err;
	*fatal = true;
	if (!fresh)
		err = clear_way(w, op);
	if (!err && r->vary.len)
		err = list_variant(w, op, hash);
	if (!err)
		err = put_response(w, op, hash, charge, fresh);
	return err;
}

static int apply_update(struct write *w, struct op *op, bool *fatal)
{
	struct hash128 hash = target(w, op);
	struct record old, *r = &op->rec;
	struct write_cost cost = {.touch = {[DB_ENTRIES] = 1, [DB_QUEUES] = 1, [DB_URLS] = 1},
	                          .add = {[DB_ENTRIES] = 2}};
	struct row_change by = {0};
	int ret = row_get(w, hash, &old), err;
	struct view tags;
	uint64_t was = old.h.charge, blob;

	if (ret < 0 && ret != LARDER_ECORRUPT) {
		*fatal = true;
		return ret;
	}
	if (ret != 1 || old.h.kind != RECORD_RESPONSE || old.h.id != op->id ||
	    !view_eq(old.key, r->key))
		return LARDER_ENOENT;
	blob = old.h.blob ? was - apply_charge(w, record_size(&old), 0) : 0;
	old.head = r->head;
	tags = old.tags;
	if (!op->keep_tags)
		old.tags = r->tags;
	cost.touch[DB_TAGS] = tags_count(tags);
	cost.add[DB_TAGS] = tags_count(old.tags);
	cost.pages = db_value_pages(w->s->db, record_size(&old));
	if (!write_room(w, &cost, room_for_inserts(w->s->pool)))
		return APPLY_NO_ROOM;
	old.h.meta = r->h.meta;
	old.h.etag_off = r->h.etag_off;
	old.h.etag_len = r->h.etag_len;
	old.h.charge = apply_charge(w, record_size(&old), blob);
	*fatal = true;
	by.charge = (int64_t)old.h.charge - (int64_t)was;
	err = tags_change(w, hash, old.key, tags, old.tags);
	if (!err)
		err = queue_recharge(w, &old.h, was);
	if (!err)
		err = row_count_url(w, old.key, op->key, &by);
	return err ? err : row_rewrite(w, hash, &old);
}

/* The response that the op means, under `hash`: 1, 0 if it is gone, or negative. */
static int named(struct write *w, const struct op *op, struct hash128 hash, struct record *r)
{
	int ret = row_get(w, hash, r);

	if (ret == LARDER_ECORRUPT)
		return 0;
	if (ret == 1 && (r->h.kind != RECORD_RESPONSE || r->h.id != op->id ||
	                 !view_eq(r->key, op->rec.key)))
		return 0;
	return ret;
}

/* The body that another row has; `body` holds a small one, since what is written moves the row that it lies in. */
static int borrow_body(struct record *r, const struct record *from, struct buf *body)
{
	int err;

	r->h.length = from->h.length;
	r->h.blob = from->h.blob;
	memcpy(r->h.digest, from->h.digest, RECORD_DIGEST);
	buf_init(body, from->body.len);
	err = buf_addv(body, from->body);
	r->body = buf_view(body);
	return err;
}

/* What taking a row away may cost. */
static struct write_cost removal(const struct record *r)
{
	return (struct write_cost){
	        .touch = {[DB_ENTRIES] = 2, [DB_QUEUES] = 2, [DB_URLS] = 1, [DB_BLOBS] = 1, [DB_TAGS] = tags_count(r->tags)},
	        .add = {[DB_QUEUES] = 1},
	};
}

static int apply_move(struct write *w, struct op *op, bool *fatal)
{
	struct hash128 hash = target(w, op);
	struct record from, *r = &op->rec;
	struct write_cost cost;
	uint64_t charge = 0;
	struct buf body;
	int ret = named(w, op, op->from, &from), err;

	*fatal = ret < 0;
	if (ret <= 0)
		return ret < 0 ? ret : LARDER_ENOENT;
	cost = removal(&from);
	/* Whoever fills a part knows it by its place. */
	if (from.h.blob == RECORD_PART) {
		if (!write_room(w, &cost, room_for_evictions(w->s->pool)))
			return APPLY_NO_ROOM;
		err = row_drop(w, op->from, &from, NULL);
		*fatal = err < 0;
		return err;
	}
	r->h.id = from.h.id;
	err = borrow_body(r, &from, &body);
	if (!err && (!room_for_insert(w, r, hash, false) || !write_room(w, &cost, room_for_inserts(w->s->pool))))
		err = APPLY_NO_ROOM;
	*fatal = !err;
	/* First, so that nobody thinks that the body has no use any more. */
	if (!err && r->h.blob)
		err = blob_ref(w, r->h.digest, &charge);
	if (!err)
		err = row_drop(w, op->from, &from, NULL);
	if (!err)
		err = clear_way(w, op);
	if (!err)
		err = list_variant(w, op, hash);
	if (!err)
		err = put_response(w, op, hash, charge, false);
	r->body = view_make(NULL, 0);
	buf_fini(&body);
	return err;
}

static int apply_alias(struct write *w, struct op *op, bool *fatal)
{
	struct hash128 hash = target(w, op);
	struct record from, marker, *r = &op->rec;
	uint64_t charge = 0;
	struct buf body;
	int ret = row_get(w, op->key, &marker), err;
	unsigned n;

	if (ret == 1 && (marker.h.kind != RECORD_MARKER || !has_list(marker.vary, r->vary, &n)))
		ret = 0;
	if (ret == 1)
		ret = named(w, op, op->from, &from);
	*fatal = ret < 0;
	/* The file of a part is its row's alone. */
	if (ret <= 0 || from.h.blob == RECORD_PART)
		return ret < 0 ? ret : LARDER_ENOENT;
	err = borrow_body(r, &from, &body);
	if (!err && !room_for_insert(w, r, hash, false))
		err = APPLY_NO_ROOM;
	*fatal = !err;
	if (!err && r->h.blob)
		err = blob_ref(w, r->h.digest, &charge);
	if (!err)
		err = list_variant(w, op, hash);
	if (!err)
		err = put_response(w, op, hash, charge, false);
	r->body = view_make(NULL, 0);
	buf_fini(&body);
	return err;
}

static int apply_remove_one(struct write *w, struct op *op, bool *fatal)
{
	struct hash128 hash = target(w, op);
	struct write_cost cost;
	struct record r;
	int ret = named(w, op, hash, &r);

	*fatal = ret < 0;
	if (ret <= 0)
		return ret < 0 ? ret : LARDER_ENOENT;
	cost = removal(&r);
	if (!write_room(w, &cost, room_for_evictions(w->s->pool)))
		return APPLY_NO_ROOM;
	*fatal = true;
	ret = row_drop(w, hash, &r, NULL);
	if (!ret)
		stat_add_mt(&w->s->stats->removals, 1);
	return ret;
}

static bool body_there(struct write *w, const struct record *r, struct hash128 hash)
{
	char path[BLOB_PATH_MAX];
	struct stat st;

	if (!r->h.blob)
		return true;
	if (r->h.blob == RECORD_PART)
		return part_there(w->s, hash, &r->h);
	blob_path(r->h.digest, path);
	return fstatat(w->s->blobs_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size == r->h.length;
}

/* A row that a lookup found damaged: is it still? */
static int apply_drop(struct write *w, struct op *op, bool *fatal)
{
	struct record r;
	int ret = row_get(w, op->key, &r);

	*fatal = true;
	if (ret == LARDER_ECORRUPT)
		return row_drop_damaged(w, op->key);
	if (ret <= 0 || r.h.kind != RECORD_RESPONSE || body_there(w, &r, op->key))
		return ret < 0 ? ret : 0;
	return row_drop(w, op->key, &r, NULL);
}

bool apply_outdated(struct write *w, const struct op *op, struct view tags)
{
	if (op->revoked && __atomic_load_n(op->revoked, __ATOMIC_SEQ_CST) != op->revoked_was)
		return true;
	return purge_since(w->s, &w->s->purges.writer, op->purges, op->rec.key, tags);
}

static bool outdated(struct write *w, const struct op *op)
{
	return apply_outdated(w, op, op->rec.tags);
}

int apply_op(struct write *w, struct op *op, bool *fatal)
{
	*fatal = false;
	switch (op->kind) {
	case OP_INSERT:
		return outdated(w, op) ? LARDER_ECLOSED : apply_insert(w, op, fatal);
	case OP_UPDATE:
		return outdated(w, op) ? LARDER_ECLOSED : apply_update(w, op, fatal);
	case OP_ALIAS:
		return outdated(w, op) ? LARDER_ECLOSED : apply_alias(w, op, fatal);
	case OP_MOVE:
		return outdated(w, op) ? LARDER_ECLOSED : apply_move(w, op, fatal);
	case OP_REMOVE:
		return purge_apply_key(w, op, fatal);
	case OP_PURGE:
		return purge_apply(w, op, fatal);
	case OP_REMOVE_ONE:
		return apply_remove_one(w, op, fatal);
	case OP_PART_EXTEND:
	case OP_PART_FINISH:
	case OP_PART_DROP:
		return part_apply(w, op, target(w, op), fatal);
	case OP_DROP:
		break;
	}
	return apply_drop(w, op, fatal);
}
