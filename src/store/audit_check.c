/* What is wrong with a row. */
#include <sys/stat.h>

#include <fcntl.h>

#include "audit.h"
#include "tags.h"

#define DOOMED_MAX 65536 /* rows looked through */

static int get(const struct look *l, enum db_table t, struct view key, struct view *val)
{
	return db_get(l->s->db, l->txn, t, key, val);
}

int look_blob(const struct look *l, const uint8_t *digest, struct record_blob *b)
{
	struct view row;
	int ret = get(l, DB_BLOBS, view_make(digest, RECORD_DIGEST), &row);

	if (ret <= 0)
		return ret;
	if (row.len != sizeof(*b))
		return LARDER_ECORRUPT;
	memcpy(b, row.ptr, sizeof(*b));
	return 1;
}

int look_entry(const struct look *l, struct hash128 hash, struct record *r)
{
	struct record_key k = record_key(hash);
	struct view row;
	int ret = get(l, DB_ENTRIES, row_key_view(&k), &row);

	if (ret <= 0)
		return ret;
	ret = record_parse(row, r);
	return ret ? ret : 1;
}

bool look_doomed(const struct look *l, const uint8_t *digest)
{
	struct record_queue_key from = record_queue_key(RECORD_DOOMED, 0);
	struct view key, row;

	for (unsigned n = 0; n < DOOMED_MAX; n++) {
		if (db_seek(l->s->db, l->txn, DB_QUEUES, queue_key_view(&from), &key, &row) != 1)
			return false;
		if (row.len == RECORD_DIGEST && !memcmp(row.ptr, digest, RECORD_DIGEST))
			return true;
		from = record_queue_key(RECORD_DOOMED, record_queue_seq(key) + 1);
	}
	return true;
}

bool check_file_there(struct store *s, const uint8_t *digest, uint64_t length)
{
	char path[BLOB_PATH_MAX];
	struct stat st;

	blob_path(digest, path);
	return fstatat(s->blobs_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size == length;
}

bool check_file_same(struct store *s, const uint8_t *digest, const struct file_mark *mark)
{
	char path[BLOB_PATH_MAX];
	struct stat st;

	blob_path(digest, path);
	return mark->ino && fstatat(s->blobs_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == mark->ino && st.st_mtim.tv_sec == mark->mtime.tv_sec &&
	       st.st_mtim.tv_nsec == mark->mtime.tv_nsec;
}

/* ---- Entries ---- */

static const char *check_blob(const struct look *l, const struct record *r)
{
	struct record_blob b;

	if (!r->h.blob)
		return NULL;
	if (look_blob(l, r->h.digest, &b) != 1)
		return "refers to a body file that has no row";
	if (!b.refs || b.length != r->h.length)
		return "refers to a body file of another length or one without uses";
	if (!check_file_there(l->s, r->h.digest, r->h.length))
		return "refers to a body file that is missing or has another length";
	return NULL;
}

static bool lists(const struct record *marker, struct hash128 hash)
{
	struct record_key k = record_key(hash);

	for (size_t i = 0; i < marker->variants.len; i += 16) {
		if (!memcmp(marker->variants.ptr + i, k.bytes, 16))
			return true;
	}
	return false;
}

static const char *check_response(const struct look *l, const struct record *r, struct hash128 hash,
                                  struct hash128 primary)
{
	struct record m;

	if (r->vary.len && (look_entry(l, primary, &m) != 1 || m.h.kind != RECORD_MARKER ||
	                    !view_eq(m.key, r->key) || !lists(&m, hash)))
		return "is a variant that its key does not list";
	return check_blob(l, r);
}

static const char *check_marker(const struct look *l, const struct record *m)
{
	if (!m->variants.len || m->variants.len > RECORD_VARIANTS_MAX * 16)
		return "lists no variants, or too many";
	for (size_t i = 0; i < m->variants.len; i += 16) {
		struct view row;

		if (get(l, DB_ENTRIES, view_make(m->variants.ptr + i, 16), &row) != 1)
			return "lists a variant that is not there";
	}
	return NULL;
}

const char *check_entry(const struct look *l, struct view key, struct view row, struct record *r)
{
	struct hash128 hash = record_hash(key), primary, expected;

	if (key.len != 16)
		return "has a key of the wrong size";
	if (record_parse(row, r))
		return "can't be read";
	if (!record_intact(row))
		return "has a wrong checksum";
	primary = hash_128(r->key, l->s->seed);
	expected = r->h.kind == RECORD_RESPONSE && r->vary.len
	                   ? record_variant(primary, r->selecting, l->s->seed)
	                   : primary;
	if (expected.hi != hash.hi || expected.lo != hash.lo)
		return "stands under another key's hash";
	return r->h.kind == RECORD_RESPONSE ? check_response(l, r, hash, primary)
	                                    : check_marker(l, r);
}

/* ---- urls ---- */

static void add_sums(struct record_url_row *u, const struct record *r)
{
	u->responses++;
	u->charge += r->h.charge;
	u->length += r->h.length;
}

int count_sums(const struct look *l, const struct record *r, struct hash128 primary,
               struct record_url_row *out)
{
	struct record_key k = record_key(primary);

	*out = (struct record_url_row){0};
	memcpy(out->hash, k.bytes, sizeof(out->hash));
	if (r->h.kind == RECORD_RESPONSE)
		add_sums(out, r);
	for (size_t i = 0; i < r->variants.len; i += 16) {
		struct record variant;
		int ret = look_entry(l, record_hash(view_make(r->variants.ptr + i, 16)), &variant);

		if (ret < 0 && ret != LARDER_ECORRUPT)
			return ret;
		if (ret == 1 && variant.h.kind == RECORD_RESPONSE)
			add_sums(out, &variant);
	}
	return 0;
}

const char *check_sums(const struct look *l, const struct record *r, struct hash128 primary)
{
	struct record_url_row sums;
	char url[RECORD_URL_MAX];
	struct view row;

	if (count_sums(l, r, primary, &sums))
		return "has variants that can't be read";
	if (get(l, DB_URLS, view_make(url, record_url_key(r->key, primary, url)), &row) != 1)
		return "is missing in the table urls";
	if (row.len != sizeof(sums) || memcmp(row.ptr, &sums, sizeof(sums)))
		return "is counted wrongly in the table urls";
	return NULL;
}

const char *check_url(const struct look *l, struct view key, struct view row)
{
	struct hash128 hash;
	char url[RECORD_URL_MAX];
	struct record r;

	if (row.len != sizeof(struct record_url_row) || key.len < 16)
		return "has the wrong size";
	hash = record_hash(view_make(row.ptr, 16));
	if (look_entry(l, hash, &r) != 1 || (r.h.kind == RECORD_RESPONSE && r.vary.len))
		return "has no entry";
	if (!view_eq(view_make(url, record_url_key(r.key, hash, url)), key))
		return "names another entry than its own";
	return NULL;
}

/* ---- tags ---- */

const char *check_tagged(const struct look *l, const struct record *r, struct hash128 hash)
{
	struct view rest = store_tags_first(r->tags), name, row;
	uint64_t seed = l->s->seed;
	enum store_tag kind;

	while (store_tags_next(&rest, &kind, &name)) {
		struct tags_key k =
		        tags_key(seed, name, tags_scope(seed, kind, r->key, r->tags), hash);

		if (get(l, DB_TAGS, view_make(k.bytes, sizeof(k.bytes)), &row) != 1)
			return "is missing in the table tags";
	}
	return NULL;
}

const char *check_tag(const struct look *l, struct view key)
{
	struct view rest, name;
	struct hash128 hash;
	enum store_tag kind;
	struct record r;

	if (key.len != TAGS_KEY)
		return "has the wrong size";
	hash = record_hash(view_from(key, TAGS_SCOPE));
	if (look_entry(l, hash, &r) != 1 || r.h.kind != RECORD_RESPONSE)
		return "has no entry";
	rest = store_tags_first(r.tags);
	while (store_tags_next(&rest, &kind, &name)) {
		uint64_t scope = tags_scope(l->s->seed, kind, r.key, r.tags);
		struct tags_key k = tags_key(l->s->seed, name, scope, hash);

		if (!memcmp(k.bytes, key.ptr, sizeof(k.bytes)))
			return NULL;
	}
	return "has an entry without that tag";
}

/* ---- Queues ---- */

static bool queue_has(const struct look *l, enum record_queue q, const struct record *r,
                      struct hash128 hash)
{
	struct record_queue_key k = record_queue_key(q, r->h.birth);
	struct record_key h = record_key(hash);
	struct record_queue_row row;
	struct view val;

	if (get(l, DB_QUEUES, queue_key_view(&k), &val) != 1 || val.len != sizeof(row))
		return false;
	memcpy(&row, val.ptr, sizeof(row));
	return row.birth == r->h.birth && !memcmp(row.hash, h.bytes, sizeof(row.hash));
}

enum check_place check_place(const struct look *l, const struct record *r, struct hash128 hash)
{
	if (queue_has(l, RECORD_SMALL, r, hash))
		return CHECK_SMALL;
	return queue_has(l, RECORD_MAIN, r, hash) ? CHECK_MAIN : CHECK_ELSEWHERE;
}

/* Rows of the main queue outlive entries that were replaced or removed. */
const char *check_queue(const struct look *l, struct view key, struct view row)
{
	struct record_queue_row q;
	struct record r;

	if (key.len == 9 && key.ptr[0] == RECORD_DOOMED && row.len == RECORD_DIGEST)
		return NULL;
	if (key.len != 9 || key.ptr[0] > RECORD_MAIN || row.len != sizeof(q))
		return "of the table queues has the wrong size";
	memcpy(&q, row.ptr, sizeof(q));
	if (key.ptr[0] == RECORD_MAIN)
		return NULL;
	if (look_entry(l, record_hash(view_make(q.hash, sizeof(q.hash))), &r) != 1 ||
	    r.h.kind != RECORD_RESPONSE || r.h.birth != q.birth || record_queue_seq(key) != q.birth)
		return "of the small queue has no entry";
	return NULL;
}
