/* The check of everything that is stored, and its repair. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "store/list.h"
#include "write.h"

#define VERIFY_RENEW_MS    50
#define VERIFY_DAMAGED_MAX 65536 /* to be dropped in one run */
#define VERIFY_CHUNK       (256u << 10)

/* What the blobs' rows say against what the entries do. */
struct known_blob {
	uint8_t digest[RECORD_DIGEST];
	uint64_t refs; /* counted */
	bool bad, used;
};

struct verify {
	struct store *s;
	bool deep, repair;
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void (*problem)(void *arg, const char *text);
	void *arg;
	struct MDB_txn *txn;
	uint64_t renewed_ms, first_txn;
	int found;
	uint64_t done, total, responses, queued;
	struct known_blob *blobs;
	size_t mask;
	struct hash128 *damaged;
	size_t ndamaged;
};

static void report(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void report(struct verify *v, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	v->found++;
	if (v->problem)
		v->problem(v->arg, text);
}

/* Between two rows: a snapshot is never held for long. */
static int breathe(struct verify *v)
{
	uint64_t now = clock_mono_ms();

	v->done++;
	if (now - v->renewed_ms < VERIFY_RENEW_MS)
		return 0;
	if (v->progress)
		v->progress(v->arg, v->done, v->total);
	db_reset(v->txn);
	v->renewed_ms = clock_mono_ms();
	return db_renew(v->s->db, v->txn);
}

/* Nothing was committed since we began: then counts over several snapshots are exact. */
static bool quiet(struct verify *v)
{
	return db_txn_id(v->txn) == v->first_txn;
}

static void damaged(struct verify *v, struct hash128 hash)
{
	if (v->ndamaged < VERIFY_DAMAGED_MAX)
		v->damaged[v->ndamaged++] = hash;
}

static int get(struct verify *v, enum db_table t, struct view key, struct view *val)
{
	return db_get(v->s->db, v->txn, t, key, val);
}

/* ---- Blobs ---- */

static struct known_blob *known(struct verify *v, const uint8_t *digest)
{
	size_t i;

	memcpy(&i, digest, sizeof(i));
	for (size_t n = 0; n <= v->mask; n++, i++) {
		struct known_blob *b = &v->blobs[i & v->mask];

		if (b->used && memcmp(b->digest, digest, RECORD_DIGEST))
			continue;
		memcpy(b->digest, digest, RECORD_DIGEST);
		b->used = true;
		return b;
	}
	return NULL;
}

static bool hash_file(int fd, uint8_t *out)
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	char *chunk = malloc(VERIFY_CHUNK);
	bool ok = sha && chunk && EVP_DigestInit_ex(sha, EVP_sha256(), NULL);
	ssize_t n = 0;

	while (ok && (n = read(fd, chunk, VERIFY_CHUNK)) > 0)
		ok = EVP_DigestUpdate(sha, chunk, (size_t)n);
	ok = ok && n == 0 && EVP_DigestFinal_ex(sha, out, NULL);
	free(chunk);
	EVP_MD_CTX_free(sha);
	return ok;
}

/* The text of what is wrong with the file, or NULL. */
static const char *check_file(struct verify *v, const uint8_t *digest, uint64_t length)
{
	uint8_t found[RECORD_DIGEST];
	char path[BLOB_PATH_MAX];
	const char *wrong = NULL;
	struct stat st;
	int fd;

	blob_path(digest, path);
	fd = openat(v->s->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? "is missing" : "can't be opened";
	if (fstat(fd, &st) || (uint64_t)st.st_size != length)
		wrong = "has another length than its row";
	else if (v->deep && (!hash_file(fd, found) || memcmp(found, digest, RECORD_DIGEST)))
		wrong = "has another digest than its name";
	close(fd);
	return wrong;
}

/* Was it removed while we looked? */
static bool still_there(struct verify *v, const uint8_t *digest)
{
	struct record_blob b;
	struct view row;

	if (get(v, DB_BLOBS, view_make(digest, RECORD_DIGEST), &row) != 1 || row.len != sizeof(b))
		return false;
	memcpy(&b, row.ptr, sizeof(b));
	return b.refs > 0;
}

static int verify_blob(struct verify *v, struct view key, struct view row)
{
	uint8_t digest[RECORD_DIGEST];
	char path[BLOB_PATH_MAX];
	struct known_blob *k;
	struct record_blob b;
	const char *wrong;
	int err;

	if (key.len != RECORD_DIGEST || row.len != sizeof(b)) {
		report(v, "a row of the table blobs has the wrong size");
		return 0;
	}
	memcpy(&b, row.ptr, sizeof(b));
	memcpy(digest, key.ptr, sizeof(digest));
	if (!b.refs)
		return 0;
	/* Reading a large file takes its time. */
	db_reset(v->txn);
	wrong = check_file(v, digest, b.length);
	err = db_renew(v->s->db, v->txn);
	if (err)
		return err;
	k = known(v, digest);
	if (wrong && still_there(v, digest)) {
		blob_path(digest, path);
		report(v, "body file blobs/%s %s", path, wrong);
		if (k)
			k->bad = true;
	}
	return 0;
}

static int verify_refs(struct verify *v, struct view key, struct view row)
{
	uint8_t digest[RECORD_DIGEST];
	char path[BLOB_PATH_MAX];
	struct known_blob *k;
	struct record_blob b;

	if (key.len != RECORD_DIGEST || row.len != sizeof(b) || !quiet(v))
		return 0;
	memcpy(&b, row.ptr, sizeof(b));
	memcpy(digest, key.ptr, sizeof(digest));
	k = known(v, digest);
	if (k && k->refs != b.refs) {
		blob_path(digest, path);
		report(v, "body file blobs/%s counts %llu uses, but has %llu", path,
		       (unsigned long long)b.refs, (unsigned long long)k->refs);
	}
	return 0;
}

/* ---- Entries ---- */

static const char *check_blob_row(struct verify *v, const struct record *r)
{
	struct record_blob b;
	struct known_blob *k;
	struct view row;

	if (!r->h.blob)
		return NULL;
	if (get(v, DB_BLOBS, view_make(r->h.digest, RECORD_DIGEST), &row) != 1 ||
	    row.len != sizeof(b))
		return "refers to a body file that has no row";
	memcpy(&b, row.ptr, sizeof(b));
	if (!b.refs || b.length != r->h.length)
		return "refers to a body file of another length or one without uses";
	k = known(v, r->h.digest);
	if (k)
		k->refs++;
	return k && k->bad ? "refers to a damaged body file" : NULL;
}

static bool lists(const struct record *marker, const struct record_key *k)
{
	for (size_t i = 0; i < marker->variants.len; i += 16) {
		if (!memcmp(marker->variants.ptr + i, k->bytes, 16))
			return true;
	}
	return false;
}

static const char *check_response(struct verify *v, const struct record *r, struct hash128 hash,
                                  struct hash128 primary)
{
	struct record_key pk = record_key(primary), k = record_key(hash);
	struct record m;
	struct view row;

	if (!r->vary.len)
		return check_blob_row(v, r);
	if (get(v, DB_ENTRIES, row_key_view(&pk), &row) != 1 || record_parse(row, &m) ||
	    m.h.kind != RECORD_MARKER || !lists(&m, &k))
		return "is a variant that its key does not list";
	return check_blob_row(v, r);
}

static const char *check_marker(struct verify *v, const struct record *m)
{
	struct view row;

	for (size_t i = 0; i < m->variants.len; i += 16) {
		if (get(v, DB_ENTRIES, view_make(m->variants.ptr + i, 16), &row) != 1)
			return "lists a variant that is not there";
	}
	return NULL;
}

static const char *check_row(struct verify *v, struct view key, struct view row, struct record *r)
{
	struct hash128 hash = record_hash(key), primary, expected;
	struct view val;
	char url[RECORD_URL_MAX];
	const char *wrong;

	if (record_parse(row, r))
		return "can't be read";
	v->responses += r->h.kind == RECORD_RESPONSE;
	if (!record_intact(row))
		return "has a wrong checksum";
	primary = hash_128(r->key, v->s->seed);
	expected = r->h.kind == RECORD_RESPONSE && r->vary.len
	                   ? record_variant(primary, r->selecting, v->s->seed)
	                   : primary;
	if (expected.hi != hash.hi || expected.lo != hash.lo)
		return "stands under another key's hash";
	wrong = r->h.kind == RECORD_RESPONSE ? check_response(v, r, hash, primary)
	                                     : check_marker(v, r);
	if (!wrong && expected.hi == primary.hi && expected.lo == primary.lo &&
	    get(v, DB_URLS, view_make(url, record_url_key(r->key, primary, url)), &val) != 1)
		wrong = "is missing in the table urls";
	return wrong;
}

static int verify_entry(struct verify *v, struct view key, struct view row)
{
	struct record r;
	const char *wrong = check_row(v, key, row, &r);

	if (wrong) {
		report(v, "the entry \"%.*s\" %s", (int)(r.key.len < 256 ? r.key.len : 256),
		       r.key.ptr ? r.key.ptr : "", wrong);
		damaged(v, record_hash(key));
	}
	return 0;
}

/* ---- Queues and urls ---- */

static int verify_queue(struct verify *v, struct view key, struct view row)
{
	struct record_queue_row q;
	struct record r;
	struct view entry;

	if (key.len == 9 && key.ptr[0] == RECORD_DOOMED && row.len == RECORD_DIGEST)
		return 0;
	if (key.len != 9 || row.len != sizeof(q)) {
		report(v, "a row of the table queues has the wrong size");
		return 0;
	}
	memcpy(&q, row.ptr, sizeof(q));
	if (get(v, DB_ENTRIES, view_make(q.hash, sizeof(q.hash)), &entry) == 1 &&
	    !record_parse(entry, &r) && r.h.kind == RECORD_RESPONSE && r.h.birth == q.birth)
		v->queued++;
	else if (key.ptr[0] == RECORD_SMALL)
		report(v, "a row of the small queue has no entry");
	return 0;
}

static int verify_url(struct verify *v, struct view key, struct view row)
{
	struct view entry;

	if (get(v, DB_ENTRIES, view_make(row.ptr, row.len < 16 ? 0 : 16), &entry) != 1)
		report(v, "the table urls lists \"%.*s\", which is not there",
		       (int)(key.len > 16 ? key.len - 16 : 0), key.ptr);
	return 0;
}

/* ---- The walk ---- */

static int walk(struct verify *v, enum db_table t,
                int (*fn)(struct verify *v, struct view key, struct view row))
{
	char from[DB_KEY_MAX + 1];
	size_t len = 0;
	int ret;

	for (;;) {
		struct view key, row;

		ret = db_seek(v->s->db, v->txn, t, view_make(from, len), &key, &row);
		if (ret <= 0)
			return ret;
		check(key.len <= DB_KEY_MAX);
		memcpy(from, key.ptr, key.len);
		/* The least key above this one; a key of the full length has the next byte string.
		 */
		from[key.len] = '\0';
		len = key.len + 1;
		ret = fn(v, key, row);
		if (!ret)
			ret = breathe(v);
		if (ret)
			return ret;
	}
}

static int walk_all(struct verify *v)
{
	int err = walk(v, DB_BLOBS, verify_blob);

	if (!err)
		err = walk(v, DB_ENTRIES, verify_entry);
	if (!err)
		err = walk(v, DB_BLOBS, verify_refs);
	if (!err)
		err = walk(v, DB_QUEUES, verify_queue);
	if (!err)
		err = walk(v, DB_URLS, verify_url);
	if (!err && quiet(v) && v->queued != v->responses)
		report(v, "%llu responses are stored, but %llu stand in the queues",
		       (unsigned long long)v->responses, (unsigned long long)v->queued);
	return err;
}

/* ---- Repair ---- */

static int repair_row(struct write *w, struct hash128 hash)
{
	struct record r;
	uint64_t n = 0;
	int ret = row_get(w, hash, &r);

	if (ret == LARDER_ECORRUPT)
		return row_drop_damaged(w, hash);
	if (ret <= 0)
		return ret;
	if (r.h.kind == RECORD_MARKER)
		return row_drop_all(w, hash, &n);
	return row_drop(w, hash, &r, NULL);
}

static int repair_some(struct verify *v, size_t from, size_t n)
{
	struct write w;
	int err = write_begin(v->s, &w);

	for (size_t i = from; i < from + n && !err; i++)
		err = repair_row(&w, v->damaged[i]);
	if (!err)
		err = blob_bury(&w, 256);
	if (!err)
		return write_commit(&w);
	write_abort(&w);
	return err;
}

static int repair(struct verify *v)
{
	int err = 0;

	for (size_t i = 0; i < v->ndamaged && !err; i += 256)
		err = repair_some(v, i, v->ndamaged - i < 256 ? v->ndamaged - i : 256);
	/* The files of what was dropped. */
	return err || !v->ndamaged ? err : (int)store_remove_some(v->s, NULL, 0);
}

int store_verify(struct store *s, bool deep, bool repair_it,
                 void (*progress)(void *arg, uint64_t done, uint64_t total),
                 void (*problem)(void *arg, const char *text), void *arg)
{
	struct verify v = {
	        .s = s, .deep = deep, .progress = progress, .problem = problem, .arg = arg};
	struct db_pages pages;
	size_t buckets = 1024;
	int err;

	check_magic(s, STORE_MAGIC);
	if (repair_it && (s->readonly || s->writer.running))
		return LARDER_EPERM;
	err = db_begin(s->db, false, &v.txn);
	if (err)
		return err;
	err = db_pages(s->db, v.txn, &pages);
	while (buckets < pages.table[DB_BLOBS].rows * 2)
		buckets *= 2;
	v.first_txn = db_txn_id(v.txn);
	v.renewed_ms = clock_mono_ms();
	v.total = pages.table[DB_ENTRIES].rows + 2 * pages.table[DB_BLOBS].rows +
	          pages.table[DB_QUEUES].rows + pages.table[DB_URLS].rows;
	v.mask = buckets - 1;
	v.blobs = calloc(buckets, sizeof(*v.blobs));
	v.damaged = calloc(VERIFY_DAMAGED_MAX, sizeof(*v.damaged));
	if (!err && (!v.blobs || !v.damaged))
		err = LARDER_ENOMEM;
	if (!err)
		err = walk_all(&v);
	db_abort(v.txn);
	if (!err && repair_it)
		err = repair(&v);
	if (!err && progress)
		progress(arg, v.total, v.total);
	free(v.blobs);
	free(v.damaged);
	return err ? err : v.found;
}

/* ---- Removing, without a writer thread ---- */

int64_t store_remove_now(struct store *s, const struct store_key *key)
{
	struct write w;
	uint64_t n = 0;
	int err;

	check_magic(s, STORE_MAGIC);
	if (s->readonly || s->writer.running)
		return LARDER_EINVAL;
	err = write_begin(s, &w);
	if (!err)
		err = row_drop_all(&w, key->hash, &n);
	if (!err)
		err = write_commit(&w);
	else
		write_abort(&w);
	if (err || !n)
		return err;
	err = (int)store_remove_some(s, NULL, 0);
	return err ? err : (int64_t)n;
}
