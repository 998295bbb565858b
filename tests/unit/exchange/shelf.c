/* The store that a test plays: in memory, and nothing is visible before store_settle. */
#include "shelf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

TAILQ_HEAD(rows, row);
TAILQ_HEAD(spools, store_spool);
struct store {
	struct rows rows, jobs;
	struct spools waiting;
	uint64_t last_id, commits;
	struct buf lists; /* of names, as a marker has them */
};
struct store_warm {
	struct net_task task;
	void (*done)(void *arg);
	void *arg;
};
struct store_spool {
	TAILQ_ENTRY(store_spool) link;
	store_ready_fn *ready;
	void *ready_arg;
	unsigned refs;
	struct buf data;
	int err;
	int share_fd;
};

struct fake_store fake_store;
static struct store store;

struct store *rig_store(void)
{
	TAILQ_INIT(&store.rows);
	TAILQ_INIT(&store.jobs);
	TAILQ_INIT(&store.waiting);
	store.last_id = 0;
	return &store;
}

struct store *rig_store_now(void)
{
	return &store;
}

static void row_free(struct row *row)
{
	buf_fini(&row->key);
	buf_fini(&row->selecting);
	buf_fini(&row->vary);
	buf_fini(&row->head);
	buf_fini(&row->body);
	store_file_unref(&store, row->file);
	store_extents_fini(&row->have);
	free(row);
}

void rig_store_free(void)
{
	struct row *row;

	ck_assert(TAILQ_EMPTY(&store.jobs));
	while ((row = TAILQ_FIRST(&store.rows)) != NULL) {
		TAILQ_REMOVE(&store.rows, row, link);
		row_free(row);
	}
	buf_fini(&store.lists);
}

void store_key_init(const struct store *s, struct view text, struct store_key *key)
{
	(void)s;
	*key = (struct store_key){text, hash_128(text, 7)};
}

/* ---- Lookups ---- */

static struct row *row_find(const struct store_key *key, const struct view *selecting)
{
	struct row *row;

	TAILQ_FOREACH(row, &store.rows, link) {
		if (view_eq(buf_view(&row->key), key->text) &&
		    (!selecting || view_eq(buf_view(&row->selecting), *selecting)))
			return row;
	}
	return NULL;
}

/* All lists of names of what stands under the key, the oldest first. */
static struct view lists_of(const struct store_key *key)
{
	struct row *row;

	rig_quiet++;
	buf_fini(&store.lists);
	buf_init(&store.lists, 1 << 16);
	TAILQ_FOREACH(row, &store.rows, link) {
		struct view rest = buf_view(&store.lists), vary = buf_view(&row->vary);
		bool there = !vary.len || !view_eq(buf_view(&row->key), key->text);

		while (rest.len)
			there |= view_eq(view_cut(rest, '\n', &rest), vary);
		if (!there && store.lists.len)
			buf_addc(&store.lists, '\n');
		if (!there)
			buf_addv(&store.lists, vary);
	}
	rig_quiet--;
	return buf_view(&store.lists);
}

int store_find(struct store *s, const struct store_key *key, const struct view *selecting,
               struct store_hit *hit)
{
	struct row *row = row_find(key, selecting);

	(void)s;
	*hit = (struct store_hit){0};
	if (!row)
		return STORE_NONE;
	fake_store.hits++;
	hit->internal[0] = row;
	hit->record = row->r;
	hit->record.selecting = buf_view(&row->selecting);
	hit->record.vary = buf_view(&row->vary);
	hit->record.head = buf_view(&row->head);
	hit->record.id = row->id;
	if (!selecting && row->vary.len) {
		hit->record.vary = lists_of(key);
		return STORE_VARIES;
	}
	if (row->part) {
		hit->extents = view_make(row->have.at, row->have.n * sizeof(*row->have.at));
		hit->file = store_file_ref(row->file);
		return STORE_PART;
	}
	rig_quiet++;
	if (fake_store.files && row->body.len) {
		hit->file = shelf_file(row->body.data, row->body.len, row->body.len);
	} else {
		hit->body = buf_view(&row->body);
	}
	rig_quiet--;
	return STORE_FOUND;
}

void store_hit_done(struct store *s, struct store_hit *hit)
{
	if (!hit->internal[0])
		return;
	fake_store.hits--;
	store_file_unref(s, hit->file);
	*hit = (struct store_hit){0};
}

struct store_file *store_hit_take_file(struct store_hit *hit)
{
	struct store_file *f = hit->file;

	hit->file = NULL;
	return f;
}

int store_file_fd(const struct store_file *f)
{
	return f->fd;
}

void store_file_unref(struct store *s, struct store_file *f)
{
	(void)s;
	if (!f || --f->refs)
		return;
	close(f->fd);
	buf_fini(&f->mem);
	free(f);
}

struct view store_file_view(struct store *s, struct store_file *f, uint64_t offset, uint64_t len)
{
	struct view v;

	(void)s;
	if (f->part)
		return view_make(NULL, 0);
	v = view_from(buf_view(&f->mem), (size_t)offset);
	return len < v.len ? view_make(v.ptr, (size_t)len) : v;
}

/* ---- What is said not to be in memory ---- */

int store_look(struct store *s, const struct store_key *key, const struct view *selecting,
               struct store_hit *hit)
{
	return fake_store.cold ? STORE_COLD : store_find(s, key, selecting, hit);
}

static void on_warm(struct net_task *t)
{
	struct store_warm *w = container_of(t, struct store_warm, task);

	fake_store.warming--;
	if (w->done)
		w->done(w->arg);
	free(w);
}

static struct store_warm *warm(void (*done)(void *arg), void *arg)
{
	struct store_warm *w;

	if (fake_store.warm_busy)
		return NULL;
	rig_quiet++;
	w = calloc(1, sizeof(*w));
	rig_quiet--;
	ck_assert_ptr_nonnull(w);
	w->done = done;
	w->arg = arg;
	net_task_init(&w->task, on_warm);
	net_task_post(rig.loop, &w->task);
	fake_store.warming++;
	fake_store.warmed++;
	return w;
}

struct store_warm *store_warm_row(struct store *s, const struct store_key *key,
                                  const struct view *selecting, void (*done)(void *arg), void *arg)
{
	(void)s, (void)key, (void)selecting;
	return warm(done, arg);
}

struct store_warm *store_warm_file(struct store *s, struct store_file *f, uint64_t offset, uint64_t len,
                                   void (*done)(void *arg), void *arg)
{
	(void)s, (void)f, (void)offset, (void)len;
	return warm(done, arg);
}

void store_warm_cancel(struct store_warm *w)
{
	if (w)
		w->done = NULL;
}

uint64_t store_file_ready(struct store *s, struct store_file *f, uint64_t offset, uint64_t len)
{
	(void)s, (void)f, (void)offset;
	return fake_store.cold ? 0 : len;
}

/* ---- Spools ---- */

struct store_spool *store_spool_new(struct store *s, uint64_t expected)
{
	struct store_spool *sp;

	(void)s, (void)expected;
	rig_quiet++;
	sp = calloc(1, sizeof(*sp));
	rig_quiet--;
	sp->refs = 1;
	sp->share_fd = -1;
	buf_init(&sp->data, 64 << 20);
	fake_store.spools++;
	return sp;
}

void store_spool_ref(struct store_spool *sp)
{
	sp->refs++;
}

void store_spool_unref(struct store_spool *sp)
{
	if (!sp || --sp->refs)
		return;
	store_spool_wait(sp, NULL, NULL);
	if (sp->share_fd >= 0)
		close(sp->share_fd);
	buf_fini(&sp->data);
	free(sp);
	fake_store.spools--;
}

void store_spool_wait(struct store_spool *sp, store_ready_fn *ready, void *arg)
{
	if (sp->ready)
		TAILQ_REMOVE(&store.waiting, sp, link);
	sp->ready = ready;
	sp->ready_arg = arg;
	if (ready)
		TAILQ_INSERT_TAIL(&store.waiting, sp, link);
}

unsigned store_make_room(void)
{
	struct store_spool *sp;
	unsigned n;

	fake_store.full = false;
	for (n = 0; (sp = TAILQ_FIRST(&store.waiting)); n++) {
		store_ready_fn *ready = sp->ready;
		void *arg = sp->ready_arg;

		store_spool_wait(sp, NULL, NULL);
		ready(arg);
	}
	return n;
}

int store_spool_append(struct store_spool *sp, struct view data)
{
	if (fake_store.full && !sp->err)
		return STORE_WAIT;
	if (!sp->err && data.len > fake_store.spool_max - sp->data.len)
		sp->err = LARDER_ELIMIT;
	rig_quiet++;
	if (!sp->err)
		sp->err = buf_addv(&sp->data, data);
	if (!sp->err && sp->share_fd >= 0)
		ck_assert_int_eq(write(sp->share_fd, data.ptr, data.len), (ssize_t)data.len);
	rig_quiet--;
	return sp->err;
}

uint64_t store_spool_length(const struct store_spool *sp)
{
	return sp->data.len;
}

void store_spool_read(struct store_spool *sp, uint64_t offset, struct store_piece *piece)
{
	*piece = (struct store_piece){.fd = -1, .mem = view_from(buf_view(&sp->data), (size_t)offset)};
	piece->len = piece->mem.len;
}

int store_spool_share(struct store_spool *sp, int *fd)
{
	if (fake_store.no_sharing)
		return LARDER_EFILES;
	if (sp->share_fd < 0) {
		sp->share_fd = memfd_create("spool", MFD_CLOEXEC);
		ck_assert_int_eq(write(sp->share_fd, sp->data.data, sp->data.len), (ssize_t)sp->data.len);
	}
	*fd = sp->share_fd;
	return 0;
}

uint64_t store_spool_shared_length(const struct store_spool *sp)
{
	return sp->share_fd < 0 ? 0 : sp->data.len < fake_store.lag ? 0 : sp->data.len - fake_store.lag;
}

uint64_t store_commits(const struct store *s)
{
	return s->commits;
}

/* ---- Writes ---- */

int shelf_queue(enum job_kind kind, const struct store_key *key, const struct store_record *r,
                struct store_spool *sp, store_done_fn *done, void *arg, uint64_t id, struct row **out)
{
	struct row *row;

	if (fake_store.refuse)
		return LARDER_ENOMEM;
	rig_quiet++;
	row = calloc(1, sizeof(*row));
	*row = (struct row){.kind = kind, .done = done, .arg = arg, .id = id};
	buf_init(&row->key, 1 << 16);
	buf_init(&row->selecting, 1 << 16);
	buf_init(&row->vary, 1 << 16);
	buf_init(&row->head, 1 << 20);
	buf_init(&row->body, 64 << 20);
	buf_addv(&row->key, key->text);
	if (r) {
		row->r = *r;
		buf_addv(&row->selecting, r->selecting);
		buf_addv(&row->vary, r->vary);
		buf_addv(&row->head, r->head);
		row->r.etag = view_make(NULL, 0);
		if (r->etag.ptr)
			row->r.etag = view_make(row->head.data + (r->etag.ptr - r->head.ptr), r->etag.len);
	}
	if (sp) {
		ck_assert_uint_eq(r->length, sp->data.len);
		buf_addv(&row->body, buf_view(&sp->data));
	}
	TAILQ_INSERT_TAIL(&store.jobs, row, link);
	rig_quiet--;
	*out = row;
	return 0;
}

static int queue(enum job_kind kind, const struct store_key *key, const struct store_record *r,
                 struct store_spool *sp, store_done_fn *done, void *arg, uint64_t id)
{
	struct row *row;

	return shelf_queue(kind, key, r, sp, done, arg, id, &row);
}

uint64_t shelf_next_id(struct store *s)
{
	return ++s->last_id;
}

struct row *shelf_row(uint64_t id)
{
	struct row *row;

	TAILQ_FOREACH(row, &store.rows, link) {
		if (row->id == id)
			return row;
	}
	return NULL;
}

struct row *shelf_older(struct row *row)
{
	return row ? TAILQ_PREV(row, rows, link) : TAILQ_LAST(&store.rows, rows);
}

void shelf_drop(struct row *row)
{
	TAILQ_REMOVE(&store.rows, row, link);
	row_free(row);
	fake_store.nrows--;
}

int store_commit(struct store *s, const struct store_key *key, const struct store_record *record,
                 struct store_spool *sp, store_done_fn *done, void *arg)
{
	(void)s;
	return queue(JOB_COMMIT, key, record, sp, done, arg, ++store.last_id);
}

int store_update(struct store *s, const struct store_key *key, const struct store_record *record,
                 uint64_t id, store_done_fn *done, void *arg)
{
	(void)s;
	return queue(JOB_UPDATE, key, record, NULL, done, arg, id);
}

int store_remove(struct store *s, const struct store_key *key, store_done_fn *done, void *arg)
{
	(void)s;
	return queue(JOB_REMOVE, key, NULL, NULL, done, arg, 0);
}

static void on_purge(const struct row *job, void *arg, int err)
{
	struct store_purged n = {0, !err};

	job->purged(arg, 0, &n);
}

/* Removes what has the key (and selecting text). */
static unsigned drop(struct view key, const struct view *selecting)
{
	struct row *row, *next;
	unsigned n = 0;

	TAILQ_FOREACH_SAFE(row, &store.rows, link, next) {
		if (!view_eq(buf_view(&row->key), key) ||
		    (selecting && !view_eq(buf_view(&row->selecting), *selecting)))
			continue;
		TAILQ_REMOVE(&store.rows, row, link);
		row_free(row);
		fake_store.nrows--;
		n++;
	}
	return n;
}

/* The one that a done job replaces stays what it was but for head and numbers. */
static bool update(struct row *job)
{
	struct row *row = shelf_row(job->id);
	uint64_t length;

	if (!row)
		return false;
	length = row->r.length;
	row->r = job->r;
	row->r.length = length;
	buf_fini(&row->head);
	row->head = job->head;
	buf_init(&job->head, 0);
	return true;
}

static bool remove_one(struct row *job)
{
	struct row *row = shelf_row(job->id);

	if (!row)
		return false;
	TAILQ_REMOVE(&store.rows, row, link);
	row_free(row);
	fake_store.nrows--;
	return true;
}

/* Another's body. */
static bool alias(struct row *job)
{
	struct row *from = shelf_row(job->id);

	if (!from)
		return false;
	rig_quiet++;
	buf_addv(&job->body, buf_view(&from->body));
	rig_quiet--;
	job->r.length = from->r.length;
	job->id = ++store.last_id;
	return true;
}

static int run(struct row *job, bool *kept)
{
	struct view selecting = buf_view(&job->selecting);

	switch (job->kind) {
	case JOB_COMMIT:
	case JOB_PART:
		if ((job->r.revoked && *job->r.revoked != job->r.revoked_was) ||
		    store_purged_since(NULL, job->r.purges, buf_view(&job->key), V("")))
			return LARDER_ECLOSED;
		if (fake_store.fail)
			return LARDER_EIO;
		store.commits++;
		drop(buf_view(&job->key), &selecting);
		job->part = job->kind == JOB_PART;
		if (job->extent.end)
			store_extents_add(&job->have, job->extent.first, job->extent.end);
		TAILQ_INSERT_TAIL(&store.rows, job, link);
		fake_store.nrows++;
		fake_store.commits++;
		*kept = true;
		return 0;
	case JOB_ALIAS:
		if (!alias(job))
			return LARDER_ENOENT;
		drop(buf_view(&job->key), &selecting);
		TAILQ_INSERT_TAIL(&store.rows, job, link);
		fake_store.nrows++;
		fake_store.aliases++;
		*kept = true;
		return 0;
	case JOB_REMOVE_ONE:
		fake_store.removes_one++;
		return remove_one(job) ? 0 : LARDER_ENOENT;
	case JOB_UPDATE:
		fake_store.updates++;
		return update(job) ? 0 : LARDER_ENOENT;
	case JOB_REMOVE:
		fake_store.removes++;
		return drop(buf_view(&job->key), NULL) ? 0 : LARDER_ENOENT;
	case JOB_EXTEND:
	case JOB_FINISH:
	case JOB_PART_DROP:
		store.commits++;
		return shelf_part_run(job);
	}
	return LARDER_EINVAL;
}

void store_settle(void)
{
	struct row *job;

	while ((job = TAILQ_FIRST(&store.jobs)) != NULL) {
		store_done_fn *done = job->done;
		struct row was = *job;
		void *arg = job->arg;
		bool kept = false;
		int err;

		TAILQ_REMOVE(&store.jobs, job, link);
		err = run(job, &kept);
		if (!kept)
			row_free(job);
		if (was.purged)
			INTO(on_purge(&was, arg, err));
		if (done)
			INTO(done(arg, err));
	}
}
