/* Lookups: the hot path. */
#include "base/clock.h"
#include "log/log.h"
#include "purge.h"
#include "write.h"

void store_key_init(const struct store *s, struct view text, struct store_key *key)
{
	key->text = text;
	key->hash = hash_128(text, s->seed);
}

static struct MDB_txn *read_begin(struct store *s, int *err)
{
	struct MDB_txn *txn;

	if (s->ntxns) {
		txn = s->txns[--s->ntxns];
		*err = db_renew(s->db, txn);
		if (!*err)
			return txn;
		db_abort(txn);
	}
	*err = db_begin(s->db, false, &txn);
	return *err ? NULL : txn;
}

static void read_end(struct store *s, struct MDB_txn *txn)
{
	if (s->ntxns < STORE_TXNS) {
		db_reset(txn);
		s->txns[s->ntxns++] = txn;
	} else {
		db_abort(txn);
	}
}

/* The row under the hash, if it is that key's and sound. 1, 0, STORE_COLD or negative. */
static int get_row(struct store *s, struct MDB_txn *txn, const struct store_key *key,
                   struct hash128 hash, bool wary, struct record *r)
{
	struct record_key k = record_key(hash);
	struct view row;
	int ret = db_get(s->db, txn, DB_ENTRIES, view_make(k.bytes, sizeof(k.bytes)), &row);

	if (ret <= 0)
		return ret;
	if (wary && !warm_resident(s, row))
		return STORE_COLD;
	ret = record_parse(row, r);
	if (ret)
		return ret;
	return view_eq(r->key, key->text);
}

static void damaged(struct store *s, struct hash128 hash)
{
	static uint64_t told;

	stat_add_mt(&s->stats->corrupt, 1);
	log_limited(&told, LOG_L_WARNING, "store: a stored response is damaged and is dropped");
	op_drop_row(s, hash);
}

/* 1, 0, STORE_PART, or negative. An eviction may have removed the file after our snapshot: *again. */
static int get_body(struct store *s, const struct record *r, struct hash128 hash,
                    struct store_hit *hit)
{
	struct record_part name;
	int err;

	if (r->h.blob == RECORD_PART) {
		name = part_name_of(hash, r->h.id);
		hit->extents = r->extents;
		err = files_get_part(s, &name, r->h.length, &hit->file);
		return err ? err : STORE_PART;
	}
	if (!r->h.length)
		return 1;
	if (!r->h.blob) {
		hit->body = r->body;
		return 1;
	}
	err = files_get(s, r->h.digest, r->h.length, &hit->file);
	return err ? err : 1;
}

/* Is it one that a purge means which has not come to it yet? One that is only to be marked is marked here. */
static bool is_purged(struct store *s, struct record *r)
{
	enum purge_effect effect = purge_effect(s, r);

	if (effect == PURGE_SOFT)
		purge_soften(&r->h.meta, clock_wall_s());
	return effect == PURGE_HARD;
}

static int find_once(struct store *s, const struct store_key *key, const struct view *selecting,
                     bool wary, struct store_hit *hit, struct hash128 *hash)
{
	struct MDB_txn *txn;
	struct record r;
	int ret;

	*hit = (struct store_hit){0};
	*hash = selecting ? record_variant(key->hash, *selecting, s->seed) : key->hash;
	/* The way to a key that was asked for lately is in memory. */
	if (wary && !pool_uses(s->pool, *hash))
		return STORE_COLD;
	txn = read_begin(s, &ret);
	if (!txn)
		return ret;
	ret = get_row(s, txn, key, *hash, wary, &r);
	if (ret == 1 && r.h.kind == RECORD_MARKER)
		ret = selecting ? 0 : STORE_VARIES;
	else if (ret == 1 && selecting && !view_eq(r.selecting, *selecting))
		ret = 0;
	else if (ret == 1 && is_purged(s, &r))
		ret = 0;
	else if (ret == 1)
		ret = get_body(s, &r, *hash, hit);
	if (ret <= 0 || ret == STORE_COLD) {
		read_end(s, txn);
		return ret;
	}
	record_export(&r, &hit->record);
	hit->internal[0] = txn;
	s->hits++;
	return ret;
}

static int find(struct store *s, const struct store_key *key, const struct view *selecting,
                bool wary, struct store_hit *hit)
{
	struct hash128 hash;
	int ret = find_once(s, key, selecting, wary, hit, &hash);

	if (ret == LARDER_ENOENT)
		ret = find_once(s, key, selecting, wary, hit, &hash);
	if (ret == STORE_COLD || s->traceless)
		return ret;
	stat_add(&s->stats->lookups, 1);
	if (ret == STORE_FOUND || ret == STORE_PART) {
		stat_add(&s->stats->hits, 1);
		pool_use(s->pool, hash);
	} else if (ret == STORE_VARIES && s->warm.wary) {
		/* Markers are in no queue: this is only for the question above. */
		pool_use(s->pool, hash);
	} else if (ret == LARDER_ECORRUPT || ret == LARDER_ENOENT) {
		damaged(s, hash);
	}
	return ret;
}

int store_find(struct store *s, const struct store_key *key, const struct view *selecting,
               struct store_hit *hit)
{
	check_magic(s, STORE_MAGIC);
	return find(s, key, selecting, false, hit);
}

int store_look(struct store *s, const struct store_key *key, const struct view *selecting,
               struct store_hit *hit)
{
	check_magic(s, STORE_MAGIC);
	return find(s, key, selecting, warm_wary(s), hit);
}

static int add_groups(const struct record *r, struct buf *out)
{
	struct view rest = store_tags_first(r->tags), name;
	enum store_tag kind;

	while (store_tags_next(&rest, &kind, &name)) {
		if (kind != STORE_TAG_GROUP)
			continue;
		buf_addv(out, name);
		buf_addc(out, '\n');
	}
	return out->err;
}

int store_groups(struct store *s, const struct store_key *key, struct buf *out)
{
	struct MDB_txn *txn;
	struct view variants;
	struct record r;
	int ret;

	check_magic(s, STORE_MAGIC);
	txn = read_begin(s, &ret);
	if (!txn)
		return ret;
	ret = get_row(s, txn, key, key->hash, false, &r);
	variants = ret == 1 ? r.variants : V("");
	if (ret == 1)
		ret = add_groups(&r, out);
	for (size_t i = 0; ret == 0 && i < variants.len; i += 16) {
		if (get_row(s, txn, key, record_hash(view_make(variants.ptr + i, 16)), false, &r) == 1)
			ret = add_groups(&r, out);
	}
	read_end(s, txn);
	return ret;
}

void store_hit_done(struct store *s, struct store_hit *hit)
{
	struct MDB_txn *txn = hit->internal[0];

	check_magic(s, STORE_MAGIC);
	store_file_unref(s, hit->file);
	if (txn) {
		check(s->hits > 0);
		s->hits--;
		read_end(s, txn);
	}
	*hit = (struct store_hit){0};
}

struct store_file *store_hit_take_file(struct store_hit *hit)
{
	struct store_file *file = hit->file;

	hit->file = NULL;
	return file;
}

void store_variants(struct store *s, const struct store_key *key, unsigned max,
                    bool (*each)(void *arg, const struct store_record *r), void *arg)
{
	struct store_record shown;
	struct record marker, r;
	struct MDB_txn *txn;
	int ret;

	check_magic(s, STORE_MAGIC);
	txn = read_begin(s, &ret);
	if (!txn)
		return;
	ret = get_row(s, txn, key, key->hash, false, &marker);
	if (ret == 1 && marker.h.kind == RECORD_MARKER) {
		for (size_t at = marker.variants.len; at >= 16 && max > 0; at -= 16) {
			struct view hash = view_make(marker.variants.ptr + at - 16, 16);

			if (get_row(s, txn, key, record_hash(hash), false, &r) != 1 ||
			    r.h.kind != RECORD_RESPONSE)
				continue;
			max--;
			record_export(&r, &shown);
			if (!each(arg, &shown))
				break;
		}
	}
	read_end(s, txn);
}

uint64_t store_commits(const struct store *s)
{
	check_magic(s, STORE_MAGIC);
	return pool_get(&s->pool->commits);
}
