/* Lookups: the hot path. */
#include "log/log.h"
#include "store-private.h"

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

/* 1, 0, or negative. An eviction may have removed the file after our snapshot: *again. */
static int get_body(struct store *s, const struct record *r, struct store_hit *hit)
{
	if (!r->h.length)
		return 1;
	if (!r->h.blob) {
		hit->body = r->body;
		return 1;
	}
	int err = files_get(s, r->h.digest, r->h.length, &hit->file);

	return err ? err : 1;
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
	else if (ret == 1)
		ret = get_body(s, &r, hit);
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
	if (ret == STORE_COLD)
		return ret;
	stat_add(&s->stats->lookups, 1);
	if (ret == STORE_FOUND) {
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

uint64_t store_commits(const struct store *s)
{
	check_magic(s, STORE_MAGIC);
	return pool_get(&s->pool->commits);
}
