/* Holes in the data file where its free pages are. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/num.h"
#include "db-private.h"

#define PUNCH_PAGES_MAX (1u << 20) /* looked at in one pass */
#define RUN_SHORT       8          /* pages; fewer are not worth a hole */
#define PUNCH_MS        100        /* for one pass: whoever wants to write waits for it */
#define OFF_MAX         ((off_t)(UINT64_MAX >> 1))

struct pages {
	uint64_t *no;
	size_t n, cap;
};

static int add_pages(struct pages *p, const void *list, size_t n)
{
	if (!n)
		return 0;
	if (n > PUNCH_PAGES_MAX - p->n)
		n = PUNCH_PAGES_MAX - p->n;
	if (n > p->cap - p->n) {
		size_t cap = p->cap ? p->cap : 1024;
		uint64_t *no;

		while (cap - p->n < n)
			cap *= 2;
		no = realloc(p->no, cap * sizeof(*no));
		if (!no)
			return LARDER_ENOMEM;
		p->no = no;
		p->cap = cap;
	}
	memcpy(p->no + p->n, list, n * sizeof(*p->no));
	p->n += n;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* One line a reader, "pid thread txnid", with "-" for one that reads nothing. */
static int oldest_in_line(const char *line, void *ctx)
{
	uint64_t *oldest = ctx, id;
	struct view v = view_trim(view_make(line, view_find(view_of(line), '\n')));
	size_t sp = view_rfind(v, ' ');

	if (sp < v.len && num_parse_u64(view_from(v, sp + 1), UINT64_MAX, &id) == 0 && id < *oldest)
		*oldest = id;
	return 0;
}

/* A write transaction is not shown the list of free pages: a read transaction beside it is, and
 * sees it as it was committed last. */
static int look(struct db *db, MDB_cursor **cursor, uint64_t *oldest)
{
	int rc = db->look ? mdb_txn_renew(db->look)
	                  : mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->look);

	if (rc)
		return db_error(db, rc);
	*oldest = mdb_txn_id(db->look);
	rc = mdb_reader_list(db->env, oldest_in_line, oldest) < 0 ? EIO : 0;
	if (!rc)
		rc = mdb_cursor_open(db->look, 0, cursor);
	if (rc)
		mdb_txn_reset(db->look);
	return db_error(db, rc);
}

static void look_away(struct db *db, MDB_cursor *cursor)
{
	mdb_cursor_close(cursor);
	mdb_txn_reset(db->look);
}

/* One record of the list: the transaction that freed the pages, their number, and them. */
static const char *free_record(const MDB_val *k, const MDB_val *v, uint64_t *id, uint64_t *n)
{
	if (k->mv_size != sizeof(*id) || v->mv_size < sizeof(*n))
		return NULL;
	memcpy(id, k->mv_data, sizeof(*id));
	memcpy(n, v->mv_data, sizeof(*n));
	return *n > v->mv_size / sizeof(*n) - 1 ? NULL : (const char *)v->mv_data + sizeof(*n);
}

int db_fresh_pages(struct db *db, uint64_t *out)
{
	uint64_t oldest, id, n;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = look(db, &cursor, &oldest);

	*out = 0;
	if (rc)
		return rc;
	for (rc = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
	     !rc && free_record(&k, &v, &id, &n) && id >= oldest;
	     rc = mdb_cursor_get(cursor, &k, &v, MDB_PREV))
		*out += n;
	look_away(db, cursor);
	return rc == MDB_NOTFOUND ? 0 : db_error(db, rc);
}

/* The free pages that no snapshot knows: freed before the oldest reader's and before the last two
 * transactions, either of whose meta pages may be the one that counts after a power cut. */
static int collect(struct db *db, struct pages *p)
{
	uint64_t oldest, id, n;
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = look(db, &cursor, &oldest), err = 0;

	if (rc)
		return rc;
	while (!err && !(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))) {
		const char *list = free_record(&k, &v, &id, &n);

		if (!list || id + 1 >= oldest || p->n == PUNCH_PAGES_MAX)
			break;
		err = add_pages(p, list, (size_t)n);
	}
	look_away(db, cursor);
	return err || !rc || rc == MDB_NOTFOUND ? err : db_error(db, rc);
}

struct punching {
	uint64_t before, want, released;
	uint64_t since; /* bytes punched since it was looked what that has released */
	uint64_t until_ms;
};

static void look_released(struct db *db, struct punching *g)
{
	uint64_t now = db_allocated(db);

	g->released = now < g->before ? g->before - now : 0;
	g->since = 0;
}

static int punch_run(struct db *db, struct punching *g, off_t start, off_t end)
{
	if (fallocate(db->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - start)) {
		db->no_holes = errno == EOPNOTSUPP || errno == ENOSYS;
		return larder_from_errno(errno);
	}
	db->punched_to = (uint64_t)(end / db->page);
	g->since += (uint64_t)(end - start);
	if (g->since >= g->want - g->released)
		look_released(db, g);
	return 0;
}

/* Runs of `least` pages or more. It goes on where it stopped: what was released there before is
 * still a hole, mostly. */
static int punch_pass(struct db *db, const struct pages *p, size_t least, struct punching *g)
{
	size_t first = 0, i, next;
	off_t data = 0;
	int err = 0;

	while (first < p->n && p->no[first] < db->punched_to)
		first++;
	for (size_t done = 0; !err && done < p->n && g->released < g->want &&
	                      clock_mono_ms() < g->until_ms;
	     done += next - i) {
		off_t start, end;

		i = (first + done) % p->n;
		if (i == 0)
			data = 0;
		start = end = (off_t)(p->no[i] * db->page);
		for (next = i; next < p->n && (off_t)(p->no[next] * db->page) == end; next++)
			end += db->page;
		if (next - i < least)
			continue;
		if (data < end) {
			data = lseek(db->fd, start, SEEK_DATA);
			if (data < 0)
				data = OFF_MAX; /* nothing but holes from here on */
		}
		if (data >= end)
			continue;
		err = punch_run(db, g, start, end);
		data = end;
	}
	return err;
}

/* A hole costs the same whatever its length (a millisecond where the disk is told of it), and each makes
 * the file system's map of the file longer: so the long ones come first, and short ones only where nothing
 * else is left. */
static int punch_runs(struct db *db, const struct pages *p, bool shorts, struct punching *g)
{
	static const size_t least[] = {64, 16, RUN_SHORT, 4, 1};
	int err = 0;

	for (size_t i = 0; i < ARRAY_LEN(least) && !err && g->released < g->want; i++) {
		if (least[i] < RUN_SHORT && !shorts)
			break;
		err = punch_pass(db, p, least[i], g);
		look_released(db, g);
	}
	return err;
}

int64_t db_punch(struct db *db, uint64_t want, bool shorts)
{
	struct punching g = {.want = want};
	struct pages p = {0};
	int err;

	if (db->no_holes)
		return LARDER_ESYSTEM;
	g.before = db_allocated(db);
	err = collect(db, &p);
	if (!err && p.n) {
		qsort(p.no, p.n, sizeof(*p.no), by_number);
		g.until_ms = clock_mono_ms() + PUNCH_MS;
		err = punch_runs(db, &p, shorts, &g);
	}
	free(p.no);
	return err ? err : (int64_t)g.released;
}

bool db_no_holes(const struct db *db)
{
	return db->no_holes;
}
