/* Holes in the data file where its free pages are. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"
#include "db-private.h"

#define PUNCH_PAGES_MAX  (1u << 20) /* looked at in one pass */
#define PUNCH_LOOK_EVERY 64         /* runs between two looks at what has been released */

struct pages {
	uint64_t *no;
	size_t n, cap;
};

static int add_pages(struct pages *p, const void *list, size_t n)
{
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

/* The free pages that no snapshot knows: freed before the oldest reader's and before the last two
 * transactions, either of whose meta pages may be the one that counts after a power cut. */
static int collect(struct db *db, struct pages *p)
{
	uint64_t limit = mdb_txn_id(db->look);
	MDB_cursor *cursor;
	MDB_val k, v;
	int rc = mdb_reader_list(db->env, oldest_in_line, &limit);

	if (rc < 0)
		return LARDER_ESYSTEM;
	rc = mdb_cursor_open(db->look, 0, &cursor);
	if (rc)
		return db_error(db, rc);
	while (!(rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))) {
		uint64_t id, n;

		if (k.mv_size != sizeof(id) || v.mv_size < sizeof(n))
			break;
		memcpy(&id, k.mv_data, sizeof(id));
		memcpy(&n, v.mv_data, sizeof(n));
		if (id + 1 >= limit || n > v.mv_size / sizeof(n) - 1 || p->n == PUNCH_PAGES_MAX)
			break;
		if (add_pages(p, (const char *)v.mv_data + sizeof(n), (size_t)n)) {
			mdb_cursor_close(cursor);
			return LARDER_ENOMEM;
		}
	}
	mdb_cursor_close(cursor);
	return rc && rc != MDB_NOTFOUND ? db_error(db, rc) : 0;
}

static int punch_runs(struct db *db, const struct pages *p, uint64_t want, uint64_t *released)
{
	uint64_t before = db_allocated(db), runs = 0;
	off_t data = 0;

	*released = 0;
	for (size_t i = 0, next; i < p->n && *released < want; i = next) {
		off_t start = (off_t)(p->no[i] * db->page), end = start;

		for (next = i; next < p->n && (off_t)(p->no[next] * db->page) == end; next++)
			end += db->page;
		if (data < end) {
			data = lseek(db->fd, start, SEEK_DATA);
			if (data < 0)
				break; /* nothing but holes from here on */
		}
		if (data >= end)
			continue;
		if (fallocate(db->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
		              end - start)) {
			db->no_holes = errno == EOPNOTSUPP || errno == ENOSYS;
			return larder_from_errno(errno);
		}
		data = end;
		if (++runs % PUNCH_LOOK_EVERY == 0 || next == p->n) {
			uint64_t now = db_allocated(db);

			*released = now < before ? before - now : 0;
		}
	}
	uint64_t now = db_allocated(db);

	*released = now < before ? before - now : 0;
	return 0;
}

int64_t db_punch(struct db *db, uint64_t want)
{
	struct pages p = {0};
	uint64_t released = 0;
	int err;

	if (db->no_holes)
		return LARDER_ESYSTEM;
	err = db->look ? db_error(db, mdb_txn_renew(db->look))
	               : db_error(db, mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->look));
	if (err)
		return err;
	err = collect(db, &p);
	mdb_txn_reset(db->look);
	if (!err && p.n) {
		qsort(p.no, p.n, sizeof(*p.no), by_number);
		err = punch_runs(db, &p, want, &released);
	}
	free(p.no);
	return err ? err : (int64_t)released;
}

bool db_no_holes(const struct db *db)
{
	return db->no_holes;
}
