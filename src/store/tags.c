#include "tags.h"

uint64_t tags_scope_hash(uint64_t seed, struct view scope)
{
	return hash_64(scope, seed);
}

uint64_t tags_scope(uint64_t seed, enum store_tag kind, struct view key, struct view tags)
{
	struct view rest;

	return tags_scope_hash(seed, kind == STORE_TAG_GROUP ? store_key_origin(key)
	                                                     : view_cut(tags, '\n', &rest));
}

struct tags_key tags_key(uint64_t seed, struct view name, uint64_t scope, struct hash128 row)
{
	struct record_key n = record_key(hash_128(name, seed)), r = record_key(row);
	struct tags_key k;

	scope = __builtin_bswap64(scope);
	memcpy(k.bytes, n.bytes, 16);
	memcpy(k.bytes + 16, &scope, 8);
	memcpy(k.bytes + TAGS_SCOPE, r.bytes, 16);
	return k;
}

unsigned tags_count(struct view tags)
{
	unsigned n = 0;

	for (size_t i = 0; i < tags.len; i++)
		n += tags.ptr[i] == '\n';
	return n ? n - 1 : 0;
}

bool tags_valid(struct view tags)
{
	return tags.len <= STORE_TAGS_BYTES && tags_count(tags) <= STORE_TAGS_MAX &&
	       (!tags.len || tags.ptr[tags.len - 1] == '\n');
}

static int put(struct write *w, struct view key)
{
	return db_put(w->s->db, w->txn, DB_TAGS, key, V(""));
}

static int del(struct write *w, struct view key)
{
	int ret = db_del(w->s->db, w->txn, DB_TAGS, key);

	return ret < 0 ? ret : 0;
}

static int each(struct write *w, struct hash128 row, struct view key, struct view tags,
                int (*fn)(struct write *w, struct view key))
{
	struct view rest = store_tags_first(tags), name;
	uint64_t seed = w->s->seed;
	enum store_tag kind;
	int err = 0;

	while (!err && store_tags_next(&rest, &kind, &name)) {
		struct tags_key k = tags_key(seed, name, tags_scope(seed, kind, key, tags), row);

		err = fn(w, view_make(k.bytes, sizeof(k.bytes)));
	}
	return err;
}

int tags_change(struct write *w, struct hash128 row, struct view key, struct view was, struct view now)
{
	int err;

	if (view_eq(was, now))
		return 0;
	err = each(w, row, key, was, del);
	return err ? err : each(w, row, key, now, put);
}
