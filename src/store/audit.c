/* One pass over everything that is stored. */
#include "audit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

#define RENEW_MS     40
#define CHUNK        (256u << 10)
#define KNOWN_MIN    1024u
#define KNOWN_ALONE  (1u << 24) /* slots: 384 MiB in a tool for a store of eight million files */
#define KNOWN_BESIDE (1u << 20)
#define UNQUEUED_MAX (1u << 20)

/* What a blob's row says against what the entries do. */
struct known {
	uint8_t tag[16]; /* of the digest */
	uint32_t refs;
	bool used, bad;
};

struct unqueued {
	struct hash128 hash;
	uint64_t birth;
	bool seen;
};

static int get(struct audit *a, enum db_table t, struct view key, struct view *val)
{
	return db_get(a->s->db, a->look.txn, t, key, val);
}

/* Nothing was committed since the pass began: then counts over several snapshots are exact. */
static bool quiet(const struct audit *a)
{
	return db_txn_id(a->look.txn) == a->first_txn;
}

static struct fault *fault(struct audit *a, enum fault_kind kind, struct view key)
{
	struct fault *f = &a->fault[a->nfaults++];

	check(a->nfaults <= AUDIT_BATCH && key.len <= sizeof(f->key));
	*f = (struct fault){.kind = kind, .len = (uint16_t)key.len};
	memcpy(f->key, key.ptr, key.len);
	return f;
}

static void fault_hash(struct audit *a, enum fault_kind kind, struct hash128 hash, uint64_t n)
{
	struct record_key k = record_key(hash);

	fault(a, kind, row_key_view(&k))->n = n;
}

/* ---- Blobs ---- */

static struct known *known(struct audit *a, const uint8_t *digest)
{
	size_t i;

	if (!a->known || digest[RECORD_DIGEST - 1] % a->shards != a->round % a->shards)
		return NULL;
	memcpy(&i, digest, sizeof(i));
	for (size_t n = 0; n <= a->mask; n++, i++) {
		struct known *k = &a->known[i & a->mask];

		if (k->used && memcmp(k->tag, digest, sizeof(k->tag)))
			continue;
		memcpy(k->tag, digest, sizeof(k->tag));
		k->used = true;
		return k;
	}
	return NULL;
}

static void file_done(struct audit *a, const char *wrong)
{
	struct known *k = known(a, a->file.digest);

	if (wrong) {
		struct fault *f = fault(a, FAULT_FILE, view_make(a->file.digest, RECORD_DIGEST));

		f->what = wrong;
		if (a->file.sha)
			f->file = a->file.mark;
		/* Beside others the repair takes the file away first: who is found without one is
		 * damaged, not who has a new one by then. */
		if (k && (!a->fix || a->exclusive))
			k->bad = true;
	}
	if (a->file.fd >= 0)
		close(a->file.fd);
	EVP_MD_CTX_free(a->file.sha);
	a->file.sha = NULL;
	a->file.fd = -1;
}

static void file_begin(struct audit *a, const uint8_t *digest, uint64_t length)
{
	char path[BLOB_PATH_MAX];
	struct stat st;

	blob_path(digest, path);
	memcpy(a->file.digest, digest, RECORD_DIGEST);
	a->file.fd = openat(a->s->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (a->file.fd < 0) {
		/* For want of descriptors nothing is said about the file. */
		file_done(a, errno == ENOENT ? "is missing" : errno == ELOOP ? "is no file" : NULL);
		return;
	}
	if (fstat(a->file.fd, &st) || (uint64_t)st.st_size != length || !S_ISREG(st.st_mode))
		file_done(a, "has another length than its row");
	else if (!a->deep)
		file_done(a, NULL);
	else
		a->file.sha = EVP_MD_CTX_new();
	if (a->file.sha)
		a->file.mark = (struct file_mark){st.st_ino, st.st_mtim};
	if (a->file.sha && !EVP_DigestInit_ex(a->file.sha, EVP_sha256(), NULL))
		file_done(a, NULL);
}

/* What nobody else has in memory does not stay there for our sake. */
static ssize_t read_chunk(int fd, char *chunk, size_t len)
{
	struct iovec v = {chunk, len};
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t n = preadv2(fd, &v, 1, at, RWF_NOWAIT);

	if (n > 0)
		return lseek(fd, at + n, SEEK_SET) < 0 ? -1 : n;
	n = read(fd, chunk, len);
	if (n > 0)
		posix_fadvise(fd, at, n, POSIX_FADV_DONTNEED);
	return n;
}

/* Goes on reading the body file. The bytes read, or negative. */
static int64_t file_step(struct audit *a)
{
	static char chunk[CHUNK];
	uint8_t digest[EVP_MAX_MD_SIZE];
	ssize_t n = read_chunk(a->file.fd, chunk, sizeof(chunk));

	if (n > 0 && EVP_DigestUpdate(a->file.sha, chunk, (size_t)n))
		return n;
	if (n < 0)
		file_done(a, "can't be read");
	else if (!n && EVP_DigestFinal_ex(a->file.sha, digest, NULL) &&
	         !memcmp(digest, a->file.digest, RECORD_DIGEST))
		file_done(a, NULL);
	else
		file_done(a, "has another digest than its name");
	return 0;
}

static int look_file(struct audit *a, struct view key, struct view row)
{
	struct record_blob b;

	if (key.len != RECORD_DIGEST || row.len != sizeof(b)) {
		fault(a, FAULT_BLOB_ROW, key);
		return 0;
	}
	memcpy(&b, row.ptr, sizeof(b));
	if (b.refs)
		file_begin(a, (const uint8_t *)key.ptr, b.length);
	return 0;
}

static int look_refs(struct audit *a, struct view key, struct view row)
{
	struct record_blob b;
	struct known *k;

	if (key.len != RECORD_DIGEST || row.len != sizeof(b))
		return 0;
	memcpy(&b, row.ptr, sizeof(b));
	a->sum.blobs++;
	a->sum.blob_bytes += b.charge;
	if (!b.refs)
		a->sum.doomed_bytes += b.charge;
	/* One that changed since we began was not counted in one snapshot. */
	if (b.txn > a->first_txn || a->partial)
		return 0;
	k = known(a, (const uint8_t *)key.ptr);
	if (k && k->refs != b.refs)
		fault(a, FAULT_REFS, key)->n = k->refs;
	else if (!b.refs && !look_doomed(&a->look, (const uint8_t *)key.ptr))
		fault(a, FAULT_UNDOOMED, key);
	return 0;
}

/* ---- Entries ---- */

static int add_unqueued(struct audit *a, struct hash128 hash, uint64_t birth)
{
	if (a->nmain == a->main_cap) {
		size_t cap = a->main_cap ? a->main_cap * 2 : 1024;
		struct unqueued *more = reallocarray(a->main, cap, sizeof(*more));

		if (!more)
			return LARDER_ENOMEM;
		a->main = more;
		a->main_cap = cap;
	}
	a->main[a->nmain++] = (struct unqueued){.hash = hash, .birth = birth};
	return 0;
}

static int count_response(struct audit *a, const struct record *r, struct hash128 hash, bool *bad)
{
	enum check_place place = check_place(&a->look, r, hash);
	struct known *k = r->h.blob ? known(a, r->h.digest) : NULL;

	a->sum.records++;
	if (place == CHECK_SMALL)
		a->sum.small_bytes += r->h.charge;
	else
		a->sum.main_bytes += r->h.charge;
	if (k) {
		k->refs++;
		*bad = k->bad;
	}
	return place == CHECK_ELSEWHERE ? add_unqueued(a, hash, r->h.birth) : 0;
}

static int look_row(struct audit *a, struct view key, struct view row)
{
	struct hash128 hash = record_hash(key);
	struct record r = {0};
	const char *wrong = check_entry(&a->look, key, row, &r);
	bool bad = false;
	int err = 0;

	if (r.h.kind == RECORD_RESPONSE)
		err = count_response(a, &r, hash, &bad);
	if (wrong || bad)
		fault(a, FAULT_ENTRY, key)->what = bad ? "refers to a damaged body file" : NULL;
	else if ((r.h.kind == RECORD_MARKER || !r.vary.len) && check_sums(&a->look, &r, hash))
		fault_hash(a, FAULT_SUMS, hash, 0);
	else if (r.h.kind == RECORD_RESPONSE && check_tagged(&a->look, &r, hash))
		fault_hash(a, FAULT_UNTAGGED, hash, 0);
	return err;
}

static int by_hash(const void *x, const void *y)
{
	const struct unqueued *a = x, *b = y;

	if (a->hash.hi != b->hash.hi)
		return a->hash.hi < b->hash.hi ? -1 : 1;
	return (a->hash.lo > b->hash.lo) - (a->hash.lo < b->hash.lo);
}

static int look_main(struct audit *a, struct view key, struct view row)
{
	struct record_queue_row q;
	struct unqueued want, *u;

	(void)key;
	if (row.len != sizeof(q))
		return 0;
	memcpy(&q, row.ptr, sizeof(q));
	want = (struct unqueued){.hash = record_hash(view_make(q.hash, sizeof(q.hash)))};
	u = a->nmain ? bsearch(&want, a->main, a->nmain, sizeof(*u), by_hash) : NULL;
	if (u && u->birth == q.birth)
		u->seen = true;
	return 0;
}

/* ---- Queues, urls and tags ---- */

static int look_queue(struct audit *a, struct view key, struct view row)
{
	uint8_t queue = key.len == 9 ? (uint8_t)key.ptr[0] : UINT8_MAX;

	a->sum.small_rows += queue == RECORD_SMALL;
	a->sum.main_rows += queue == RECORD_MAIN;
	a->sum.doomed += queue == RECORD_DOOMED;
	if (check_queue(&a->look, key, row))
		fault(a, FAULT_QUEUE, key);
	return 0;
}

static int look_url(struct audit *a, struct view key, struct view row)
{
	if (check_url(&a->look, key, row))
		fault(a, FAULT_URL, key);
	return 0;
}

static int look_tag(struct audit *a, struct view key, struct view row)
{
	(void)row;
	if (check_tag(&a->look, key))
		fault(a, FAULT_TAG, key);
	return 0;
}

/* ---- Files without a row ---- */

static int orphans_in(struct audit *a, DIR *d)
{
	struct dirent *e;
	int ret = 0;

	while (!ret && (e = readdir(d))) {
		uint8_t digest[RECORD_DIGEST];
		struct view row, key = view_make(digest, sizeof(digest));

		if (!blob_digest(e->d_name, digest))
			continue;
		ret = get(a, DB_BLOBS, key, &row);
		if (ret == 0)
			fault(a, FAULT_ORPHAN, key);
		ret = ret < 0 ? ret : 0;
		if (!ret && a->nfaults == AUDIT_BATCH)
			ret = audit_settle(a);
	}
	return ret;
}

static int orphans_step(struct audit *a)
{
	DIR *d = NULL;
	int err;

	while (a->dir < 256 && !(d = sweep_open(a->s, a->dir)))
		a->dir++;
	if (!d) {
		a->stage++;
		return 0;
	}
	a->sum.dirs++;
	err = orphans_in(a, d);
	closedir(d);
	a->dir++;
	return err;
}

/* ---- The pass ---- */

static const struct stage {
	enum db_table table;
	int (*fn)(struct audit *a, struct view key, struct view row);
} stages[AUDIT_DONE] = {
        [AUDIT_FILES] = {DB_BLOBS, look_file},    [AUDIT_ENTRIES] = {DB_ENTRIES, look_row},
        [AUDIT_MAIN] = {DB_QUEUES, look_main},    [AUDIT_REFS] = {DB_BLOBS, look_refs},
        [AUDIT_QUEUES] = {DB_QUEUES, look_queue}, [AUDIT_URLS] = {DB_URLS, look_url},
        [AUDIT_TAGS] = {DB_TAGS, look_tag},
};

static void start_main(struct audit *a)
{
	struct record_queue_key first = record_queue_key(RECORD_MAIN, 0);

	memcpy(a->entries_from, a->from, a->from_len);
	a->entries_len = a->from_len;
	memcpy(a->from, first.bytes, sizeof(first.bytes));
	a->from_len = sizeof(first.bytes);
	if (a->nmain)
		qsort(a->main, a->nmain, sizeof(*a->main), by_hash);
	a->stage = AUDIT_MAIN;
}

/* 1: done. Those that the whole main queue does not know; more entries may follow. */
static int end_main(struct audit *a)
{
	while (a->nmain && a->nfaults < AUDIT_BATCH) {
		const struct unqueued *u = &a->main[--a->nmain];

		if (!u->seen)
			fault_hash(a, FAULT_UNQUEUED, u->hash, u->birth);
	}
	return !a->nmain;
}

static void next_stage(struct audit *a)
{
	if (a->stage == AUDIT_ENTRIES) {
		a->entries_end = true;
		start_main(a);
		return;
	}
	if (a->stage == AUDIT_MAIN) {
		if (!end_main(a))
			return;
		if (!a->entries_end) {
			memcpy(a->from, a->entries_from, a->entries_len);
			a->from_len = a->entries_len;
			a->stage = AUDIT_ENTRIES;
			return;
		}
	}
	a->from_len = 0;
	a->stage++;
}

static bool past(const struct audit *a, struct view key)
{
	return a->stage == AUDIT_MAIN && key.len && key.ptr[0] != RECORD_MAIN;
}

/* The next row of the stage. */
static int row_step(struct audit *a)
{
	const struct stage *st = &stages[a->stage];
	struct view key, row;
	char k[DB_KEY_MAX];
	int ret = db_seek(a->s->db, a->look.txn, st->table, view_make(a->from, a->from_len), &key,
	                  &row);

	if (ret < 0)
		return ret;
	if (!ret || past(a, key)) {
		next_stage(a);
		return 0;
	}
	check(key.len <= DB_KEY_MAX);
	/* The least key above this one; a key of the full length has the next byte string. */
	memcpy(k, key.ptr, key.len);
	memcpy(a->from, k, key.len);
	a->from[key.len] = '\0';
	a->from_len = key.len + 1;
	a->done++;
	a->bytes += key.len + row.len;
	ret = st->fn(a, key, row);
	if (!ret && a->stage == AUDIT_ENTRIES && a->nmain >= UNQUEUED_MAX)
		start_main(a);
	return ret;
}

static bool totals_hold(struct audit *a)
{
	struct record_state st;
	struct view row;

	if (get(a, DB_META, V("state"), &row) != 1)
		return !a->sum.records && !a->sum.blobs;
	if (row.len != sizeof(st))
		return false;
	memcpy(&st, row.ptr, sizeof(st));
	return st.records == a->sum.records && st.blobs == a->sum.blobs &&
	       st.blob_bytes == a->sum.blob_bytes && st.doomed == a->sum.doomed &&
	       st.doomed_bytes == a->sum.doomed_bytes && st.small_bytes == a->sum.small_bytes &&
	       st.main_bytes == a->sum.main_bytes && st.small_rows == a->sum.small_rows &&
	       st.main_rows == a->sum.main_rows;
}

static int step(struct audit *a)
{
	if (a->stage == AUDIT_ORPHANS)
		return orphans_step(a);
	if (a->stage == AUDIT_TOTALS) {
		/* Other faults would be counted twice. */
		if (!a->faults && !a->partial && quiet(a) && !totals_hold(a))
			fault(a, FAULT_TOTALS, V(""));
		a->stage++;
		return 0;
	}
	return row_step(a);
}

/* In one snapshot, until a body file is to be read. */
static int walk(struct audit *a, uint64_t until)
{
	uint64_t limit = clock_mono_ms() + RENEW_MS;
	int err = db_begin(a->s->db, false, &a->look.txn);

	if (err)
		return err;
	do {
		err = step(a);
	} while (!err && a->stage < AUDIT_DONE && a->nfaults < AUDIT_BATCH && a->file.fd < 0 &&
	         a->bytes < until && clock_mono_ms() < limit);
	if (a->look.txn)
		db_abort(a->look.txn);
	a->look.txn = NULL;
	return err;
}

int audit_step(struct audit *a, uint64_t bytes, uint64_t ms)
{
	uint64_t until = a->bytes + bytes, limit = clock_mono_ms() + ms;
	int err = 0;

	do {
		if (a->file.fd >= 0) {
			int64_t n = file_step(a);

			a->bytes += n > 0 ? (uint64_t)n : 0;
		} else if (a->stage < AUDIT_DONE) {
			err = walk(a, until);
		}
		if (!err && (a->nfaults == AUDIT_BATCH || a->stage >= AUDIT_DONE ||
		             (a->nfaults && a->stage == AUDIT_FILES && !a->exclusive)))
			err = audit_settle(a);
	} while (!err && a->stage < AUDIT_DONE && a->bytes < until && clock_mono_ms() < limit);
	if (!err)
		err = audit_settle(a);
	return err ? err : a->stage < AUDIT_DONE || a->file.fd >= 0;
}

static int make_known(struct audit *a, uint64_t blobs)
{
	size_t slots = KNOWN_MIN, most = a->exclusive ? KNOWN_ALONE : KNOWN_BESIDE;

	while (slots < blobs * 2 && slots < most)
		slots *= 2;
	a->shards = blobs * 2 / slots + 1;
	a->mask = slots - 1;
	a->known = calloc(slots, sizeof(*a->known));
	return a->known ? 0 : LARDER_ENOMEM;
}

int audit_begin(struct audit *a)
{
	struct db_pages pages;
	int err;

	a->look.s = a->s;
	a->file.fd = -1;
	a->began_ms = clock_mono_ms();
	if (!a->partial)
		a->stage = a->orphans ? AUDIT_ORPHANS : AUDIT_FILES;
	err = db_begin(a->s->db, false, &a->look.txn);
	if (err)
		return err;
	err = db_pages(a->s->db, a->look.txn, &pages);
	a->first_txn = db_txn_id(a->look.txn);
	db_abort(a->look.txn);
	a->look.txn = NULL;
	if (err)
		return err;
	a->total = pages.table[DB_ENTRIES].rows + 2 * pages.table[DB_BLOBS].rows +
	           2 * pages.table[DB_QUEUES].rows + pages.table[DB_URLS].rows +
	           pages.table[DB_TAGS].rows;
	return a->partial ? 0 : make_known(a, pages.table[DB_BLOBS].rows);
}

void audit_end(struct audit *a)
{
	if (a->file.fd >= 0)
		file_done(a, NULL);
	free(a->known);
	free(a->main);
	a->known = NULL;
	a->main = NULL;
	a->nmain = a->main_cap = 0;
}
