/* Faults looked at again, told, and put right. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "base/clock.h"
#include "tags.h"

#define TEXT_MAX   512
#define ORPHAN_AGE 10 /* seconds: a younger one may be in a transaction that is under way */

struct text {
	char p[TEXT_MAX];
};

static struct view key_of(const struct fault *f)
{
	return view_make(f->key, f->len);
}

static const uint8_t *digest_of(const struct fault *f)
{
	return (const uint8_t *)f->key;
}

static struct hash128 hash_of(const struct fault *f)
{
	return record_hash(key_of(f));
}

static bool get(const struct look *l, enum db_table t, const struct fault *f, struct view *row)
{
	return db_get(l->s->db, l->txn, t, key_of(f), row) == 1;
}

/* ---- What it says ---- */

static bool say_entry(struct text *t, const struct record *r, const char *what)
{
	int len = (int)(r->key.len < 256 ? r->key.len : 256);

	snprintf(t->p, sizeof(t->p), "the entry \"%.*s\" %s", len, r->key.ptr ? r->key.ptr : "",
	         what);
	return true;
}

static bool say_file(struct text *t, const struct fault *f, const char *what)
{
	char path[BLOB_PATH_MAX];

	blob_path(digest_of(f), path);
	snprintf(t->p, sizeof(t->p), "body file blobs/%s %s", path, what);
	return true;
}

/* ---- Is it still one? ---- */

static bool still_entry(const struct look *l, const struct fault *f, struct text *t)
{
	struct record r = {0};
	struct view row;
	const char *wrong;

	if (!get(l, DB_ENTRIES, f, &row))
		return false;
	wrong = check_entry(l, key_of(f), row, &r);
	if (!wrong)
		wrong = f->what;
	return wrong && say_entry(t, &r, wrong);
}

static bool still_sums(const struct look *l, const struct fault *f, struct text *t)
{
	struct record r;
	const char *wrong;

	if (look_entry(l, hash_of(f), &r) != 1 || (r.h.kind == RECORD_RESPONSE && r.vary.len))
		return false;
	wrong = check_sums(l, &r, hash_of(f));
	return wrong && say_entry(t, &r, wrong);
}

static bool still_unqueued(const struct look *l, const struct fault *f, struct text *t)
{
	struct record r;

	return look_entry(l, hash_of(f), &r) == 1 && r.h.kind == RECORD_RESPONSE &&
	       r.h.birth == f->n && check_place(l, &r, hash_of(f)) == CHECK_ELSEWHERE &&
	       say_entry(t, &r, "stands in no queue");
}

static bool still_file(const struct look *l, const struct fault *f, struct text *t)
{
	struct record_blob b;

	return look_blob(l, digest_of(f), &b) == 1 && b.refs &&
	       (check_file_same(l->s, digest_of(f), &f->file) ||
	        !check_file_there(l->s, digest_of(f), b.length)) &&
	       say_file(t, f, f->what);
}

static bool still_refs(const struct audit *a, const struct look *l, const struct fault *f,
                       struct text *t)
{
	struct record_blob b;
	char what[80];

	if (look_blob(l, digest_of(f), &b) != 1 || b.txn > a->first_txn || b.refs == f->n)
		return false;
	snprintf(what, sizeof(what), "counts %llu uses, but has %llu", (unsigned long long)b.refs,
	         (unsigned long long)f->n);
	return say_file(t, f, what);
}

static bool still_undoomed(const struct look *l, const struct fault *f, struct text *t)
{
	struct record_blob b;

	return look_blob(l, digest_of(f), &b) == 1 && !b.refs && !look_doomed(l, digest_of(f)) &&
	       say_file(t, f, "has no uses, but nothing removes it");
}

static bool still_orphan(const struct audit *a, const struct look *l, const struct fault *f,
                         struct text *t)
{
	char path[BLOB_PATH_MAX];
	struct view row;
	struct stat st;

	blob_path(digest_of(f), path);
	if (get(l, DB_BLOBS, f, &row) || fstatat(l->s->blobs_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	if (!a->exclusive && !a->fix && st.st_ctime + ORPHAN_AGE > clock_wall_s())
		return false;
	return say_file(t, f, "belongs to nothing");
}

static bool still_blob_row(const struct look *l, const struct fault *f, struct text *t)
{
	struct view row;

	if (!get(l, DB_BLOBS, f, &row) ||
	    (f->len == RECORD_DIGEST && row.len == sizeof(struct record_blob)))
		return false;
	snprintf(t->p, sizeof(t->p), "a row of the table blobs has the wrong size");
	return true;
}

static bool still_queue(const struct look *l, const struct fault *f, struct text *t)
{
	struct view row;
	const char *wrong = get(l, DB_QUEUES, f, &row) ? check_queue(l, key_of(f), row) : NULL;

	if (wrong)
		snprintf(t->p, sizeof(t->p), "a row %s", wrong);
	return wrong;
}

static bool still_url(const struct look *l, const struct fault *f, struct text *t)
{
	struct view row;
	const char *wrong = get(l, DB_URLS, f, &row) ? check_url(l, key_of(f), row) : NULL;

	if (wrong)
		snprintf(t->p, sizeof(t->p), "the row \"%.*s\" of the table urls %s",
		         f->len > 16 ? f->len - 16 : 0, f->key, wrong);
	return wrong;
}

static bool still_untagged(const struct look *l, const struct fault *f, struct text *t)
{
	struct record r;
	const char *wrong;

	if (look_entry(l, hash_of(f), &r) != 1 || r.h.kind != RECORD_RESPONSE)
		return false;
	wrong = check_tagged(l, &r, hash_of(f));
	return wrong && say_entry(t, &r, wrong);
}

static bool still_tag(const struct look *l, const struct fault *f, struct text *t)
{
	struct view row;
	const char *wrong = get(l, DB_TAGS, f, &row) ? check_tag(l, key_of(f)) : NULL;

	if (wrong)
		snprintf(t->p, sizeof(t->p), "a row of the table tags %s", wrong);
	return wrong;
}

static bool still(const struct audit *a, const struct look *l, const struct fault *f,
                  struct text *t)
{
	switch (f->kind) {
	case FAULT_ORPHAN:
		return still_orphan(a, l, f, t);
	case FAULT_BLOB_ROW:
		return still_blob_row(l, f, t);
	case FAULT_FILE:
		return still_file(l, f, t);
	case FAULT_ENTRY:
		return still_entry(l, f, t);
	case FAULT_SUMS:
		return still_sums(l, f, t);
	case FAULT_UNQUEUED:
		return still_unqueued(l, f, t);
	case FAULT_REFS:
		return still_refs(a, l, f, t);
	case FAULT_UNDOOMED:
		return still_undoomed(l, f, t);
	case FAULT_QUEUE:
		return still_queue(l, f, t);
	case FAULT_URL:
		return still_url(l, f, t);
	case FAULT_UNTAGGED:
		return still_untagged(l, f, t);
	case FAULT_TAG:
		return still_tag(l, f, t);
	case FAULT_TOTALS:
		break;
	}
	snprintf(t->p, sizeof(t->p), "the counts of what is stored are wrong");
	/* In a transaction that writes: is it the next one? */
	return db_txn_id(l->txn) == a->first_txn + a->fix;
}

/* ---- Putting it right ---- */

static int del(struct write *w, enum db_table t, const struct fault *f)
{
	int ret = db_del(w->s->db, w->txn, t, key_of(f));

	return ret < 0 ? ret : 0;
}

static int fix_sums(struct write *w, const struct fault *f)
{
	struct look l = {w->s, w->txn};
	struct record_url_row sums;
	char url[RECORD_URL_MAX];
	struct record r;
	int ret = look_entry(&l, hash_of(f), &r);

	if (ret != 1)
		return ret;
	ret = count_sums(&l, &r, hash_of(f), &sums);
	return ret ? ret
	           : db_put(w->s->db, w->txn, DB_URLS,
	                    view_make(url, record_url_key(r.key, hash_of(f), url)),
	                    view_make(&sums, sizeof(sums)));
}

/* Rows that are there are written again. */
static int fix_untagged(struct write *w, const struct fault *f)
{
	struct record r;
	int ret = row_get(w, hash_of(f), &r);

	return ret == 1 ? tags_change(w, hash_of(f), r.key, V(""), r.tags) : ret;
}

/* It forgets what is not there; one without any goes. */
static int fix_marker(struct write *w, const struct fault *f, struct record *m)
{
	unsigned char list[RECORD_VARIANTS_MAX * 16];
	struct look l = {w->s, w->txn};
	uint64_t n = 0;
	size_t len = 0;
	int err;

	for (size_t i = 0; i < m->variants.len && len < sizeof(list); i += 16) {
		struct view hash = view_make(m->variants.ptr + i, 16);
		struct record r;

		if (look_entry(&l, record_hash(hash), &r) != 1)
			continue;
		memcpy(list + len, hash.ptr, 16);
		len += 16;
	}
	if (!len)
		return row_drop_all(w, hash_of(f), &n);
	m->variants = view_make(list, len);
	err = row_rewrite(w, hash_of(f), m);
	return err ? err : fix_sums(w, f);
}

/* It will be fetched anew. What hangs on a row that does not even say its name is found later. */
static int fix_entry(struct write *w, const struct fault *f)
{
	struct hash128 hash = hash_of(f), named;
	struct record r;
	int ret;

	stat_add_mt(&w->s->stats->corrupt, 1);
	if (f->len != 16)
		return del(w, DB_ENTRIES, f);
	ret = row_get(w, hash, &r);
	if (ret == LARDER_ECORRUPT)
		return row_drop_damaged(w, hash);
	if (ret <= 0)
		return ret;
	named = hash_128(r.key, w->s->seed);
	if (r.h.kind == RECORD_RESPONSE && r.vary.len)
		named = record_variant(named, r.selecting, w->s->seed);
	if (named.hi != hash.hi || named.lo != hash.lo)
		return row_drop_damaged(w, hash);
	return r.h.kind == RECORD_MARKER ? fix_marker(w, f, &r) : row_drop(w, hash, &r, NULL);
}

static int fix_unqueued(struct write *w, const struct fault *f)
{
	struct record r;
	int ret = row_get(w, hash_of(f), &r);

	return ret == 1 ? queue_restore(w, hash_of(f), &r.h) : ret;
}

/* Its users follow: they are found without a file. */
static int fix_file(struct write *w, const struct fault *f)
{
	char path[BLOB_PATH_MAX];

	blob_path(digest_of(f), path);
	if (unlinkat(w->s->blobs_fd, path, 0) && errno != ENOENT)
		return larder_from_errno(errno);
	pool_unlinked(w->s->pool, digest_of(f), 0);
	return 0;
}

static int fix_orphan(struct write *w, const struct fault *f)
{
	int ret = blob_remove_orphan(w, digest_of(f));

	stat_add_mt(&w->s->stats->orphans, ret == 1);
	return ret < 0 ? ret : 0;
}

static int fix_queue(struct write *w, const struct fault *f)
{
	if (f->len == 9 && f->key[0] == RECORD_SMALL)
		count_down(&w->st.small_rows, 1);
	else if (f->len == 9 && f->key[0] == RECORD_MAIN)
		count_down(&w->st.main_rows, 1);
	else if (f->len == 9 && f->key[0] == RECORD_DOOMED)
		count_down(&w->st.doomed, 1);
	return del(w, DB_QUEUES, f);
}

static int fix_totals(const struct audit *a, struct write *w)
{
	struct record_state *st = &w->st, sum = a->sum;

	sum.next_id = st->next_id;
	sum.next_seq = st->next_seq;
	sum.last_seq = st->last_seq;
	sum.dirs = a->orphans ? sum.dirs : st->dirs;
	*st = sum;
	return 0;
}

static int fix(const struct audit *a, struct write *w, const struct fault *f)
{
	switch (f->kind) {
	case FAULT_ORPHAN:
		return fix_orphan(w, f);
	case FAULT_BLOB_ROW:
		return del(w, DB_BLOBS, f);
	case FAULT_FILE:
		return fix_file(w, f);
	case FAULT_ENTRY:
		return fix_entry(w, f);
	case FAULT_SUMS:
		return fix_sums(w, f);
	case FAULT_UNQUEUED:
		return fix_unqueued(w, f);
	case FAULT_REFS:
		return blob_set_refs(w, digest_of(f), f->n);
	case FAULT_UNDOOMED:
		return blob_set_refs(w, digest_of(f), 0);
	case FAULT_QUEUE:
		return fix_queue(w, f);
	case FAULT_URL:
		return del(w, DB_URLS, f);
	case FAULT_UNTAGGED:
		return fix_untagged(w, f);
	case FAULT_TAG:
		return del(w, DB_TAGS, f);
	case FAULT_TOTALS:
		break;
	}
	return fix_totals(a, w);
}

static void told(struct audit *a, const struct text *t)
{
	a->faults++;
	if (a->found)
		a->found(a->arg, t->p);
}

/* As many as one transaction has room for, from *n on. */
static int fix_some(struct audit *a, unsigned *n)
{
	static const struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = 2, [DB_QUEUES] = 2, [DB_URLS] = 2, [DB_BLOBS] = 1,
	                  [DB_TAGS] = 16},
	        .add = {[DB_QUEUES] = 1, [DB_URLS] = 1, [DB_TAGS] = 16},
	};
	unsigned first = *n, fixed = 0;
	struct write w;
	int err = write_begin(a->s, &w);

	for (; !err && *n < a->nfaults; ++*n) {
		struct look l = {a->s, w.txn};
		struct text t;

		/* The first one finds room as evictions do, or nothing could ever be put right. */
		if (!write_room(&w, &cost, room_for_evictions(a->s->pool)) && *n > first)
			break;
		if (!still(a, &l, &a->fault[*n], &t))
			continue;
		told(a, &t);
		err = fix(a, &w, &a->fault[*n]);
		fixed++;
	}
	if (!err && fixed)
		return write_commit(&w);
	write_abort(&w);
	return err;
}

static int tell(struct audit *a)
{
	struct look l = {.s = a->s};
	int err = db_begin(a->s->db, false, &l.txn);

	if (err)
		return err;
	for (unsigned i = 0; i < a->nfaults; i++) {
		struct text t;

		if (still(a, &l, &a->fault[i], &t))
			told(a, &t);
	}
	db_abort(l.txn);
	return 0;
}

int audit_settle(struct audit *a)
{
	int err = 0;

	if (a->nfaults && !a->fix)
		err = tell(a);
	for (unsigned n = 0; a->fix && n < a->nfaults && !err;)
		err = fix_some(a, &n);
	a->nfaults = 0;
	return err;
}
