#include "write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "log/log.h"

#define ROOM_MIN  (4ull << 20) /* the least cap */
#define UNIT_MIN  (512ull << 10)
#define UNIT_MAX  (64ull << 20)
#define AHEAD_MIN (256ull << 10)
#define AHEAD_MAX (128ull << 20)

#define SCATTERED_PART 8 /* of the cap */
#define SCATTERED_MAX  (256ull << 20)
#define PATIENCE       4 /* transactions, until short stretches are given back */

#define STEPS_A_PAGE 16 /* fewer than there are rows in a page of a queue */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t clamp(uint64_t n, uint64_t min, uint64_t max)
{
	return n < min ? min : n > max ? max : n;
}

uint64_t room_unit(uint64_t cap)
{
	return clamp(cap / 64, UNIT_MIN, UNIT_MAX);
}

size_t room_inline_max(const struct store *s)
{
	return (size_t)clamp(s->options->inline_max, 0, room_unit(pool_cap(s->pool)) / 8);
}

/* From the cap down: a quarter unit for evictions alone, one unit that inserts may not touch, two
 * that spools may not. Holes are punched above cap − 2 units, down to cap − 3 and with room for
 * what spools announce; evictions keep the used bytes below cap − 4 units, so that two batches
 * always find room. */
static uint64_t below_cap(const struct pool *p, uint64_t quarters)
{
	uint64_t cap = pool_cap(p), less = room_unit(cap) / 4 * quarters;

	return cap > less ? cap - less : 0;
}

uint64_t room_for_spools(const struct pool *p)
{
	return below_cap(p, 8);
}

uint64_t room_for_inserts(const struct pool *p)
{
	return below_cap(p, 4);
}

/* Above a cap that was lowered they may go on a little, or nothing could ever get below it. */
uint64_t room_for_evictions(const struct pool *p)
{
	uint64_t over = pool_get(&p->over), cap = pool_get(&p->cap);

	if (over)
		return over;
	/* On a full disk, too: where it has no room for an eviction the transaction fails. */
	return cap - room_unit(cap) / 4;
}

void room_full(struct store *s)
{
	static uint64_t told;
	struct pool *p = s->pool;
	uint64_t now = clamp(pool_allocated(p), ROOM_MIN, UINT64_MAX);

	if (now >= pool_cap(p))
		return;
	pool_set(&p->full, now);
	stat_add_mt(&s->stats->disk_full, 1);
	log_limited(&told, LOG_L_WARNING,
	            "store: the disk of %s is full: %lu MiB are used instead of %lu", s->dir,
	            (unsigned long)(now >> 20), (unsigned long)(pool_get(&p->cap) >> 20));
}

uint64_t room_blobs(const struct pool *p, uint64_t bytes, uint64_t dirs)
{
	uint64_t seen = pool_get(&p->dirs), least = dirs * 4096;

	return bytes + (seen > least ? seen : least);
}

static void look_at_dirs(struct store *s)
{
	uint64_t sum = 0;
	struct stat st;

	for (unsigned i = 0; i < 256; i++) {
		char name[3];

		snprintf(name, sizeof(name), "%02x", i);
		if (fstatat(s->blobs_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			sum += (uint64_t)st.st_blocks * 512;
	}
	if (fstat(s->parts_fd, &st) == 0)
		sum += (uint64_t)st.st_blocks * 512;
	pool_set(&s->pool->dirs, sum);
}

void room_look(struct store *s)
{
	struct pool *p = s->pool;
	uint64_t full = pool_get(&p->full), least, bytes;
	struct statvfs v;

	look_at_dirs(s);
	if (!full || fstatvfs(s->dir_fd, &v))
		return;
	/* Evictions leave some of it free; only what is beyond that is news. */
	least = 6 * room_unit(full);
	bytes = (uint64_t)v.f_bavail * v.f_frsize;
	if (bytes <= least)
		return;
	full += bytes - least;
	pool_set(&p->full, full < pool_get(&p->cap) ? full : 0);
	if (full >= pool_get(&p->cap))
		log_info("store: the disk of %s has room again", s->dir);
}

static uint64_t free_pages(const struct db_pages *p)
{
	return p->total > p->used ? p->total - p->used : 0;
}

/* The worst growth in pages. A page of a tree is copied at most once a transaction, however
 * many of its rows change. */
static uint64_t cost_pages(const struct write *w)
{
	const struct write_cost *c = &w->cost;
	/* LMDB's own two trees, with the list of free pages read and written again. */
	uint64_t runs = c->pages + 16 + free_pages(&w->pages) / 256, pages = 0, grown;

	for (int t = 0; t < DB_TABLES; t++) {
		/* A row's leaf, and the one beside it where they are merged. */
		uint64_t leaves = 2 * c->touch[t] + c->put[t], paths;

		if (!leaves)
			continue;
		paths = leaves * w->pages.table[t].depth;
		paths = leaves + least(paths, w->pages.table[t].branches);
		pages += least(paths, w->pages.table[t].tree) + c->add[t] + 2;
	}
	/* Single pages come from the free ones as long as there are any, allocated or holes. For a
	 * run there may be no place among them: then the others are left for the trees. */
	grown = w->holes + (pages > w->reusable ? pages - w->reusable : 0);
	pages = runs + least(grown, pages);
	return pages + pages / 256;
}

/* Looks at the free pages. The file's own extents are counted among its blocks, too. */
static void count_free(struct write *w)
{
	uint64_t allocated = w->base / w->pages.size, extents = w->pages.total / 340 + 8;
	uint64_t free = free_pages(&w->pages), fresh;

	if (db_fresh_pages(w->s->db, &fresh))
		fresh = free;
	w->reusable = free > fresh ? free - fresh : 0;
	w->holes = w->pages.total + extents > allocated ? w->pages.total + extents - allocated : 0;
}

static void cost_add(struct write_cost *a, const struct write_cost *b)
{
	for (int t = 0; t < DB_TABLES; t++) {
		a->touch[t] += b->touch[t];
		a->put[t] += b->put[t];
		a->add[t] += b->add[t];
	}
	a->pages += b->pages;
}

bool write_room(struct write *w, const struct write_cost *cost, uint64_t limit)
{
	struct pool *p = w->s->pool;
	struct write_cost was = w->cost;
	uint64_t before = pool_get(&p->index);

	cost_add(&w->cost, cost);
	pool_set(&p->index, w->base + cost_pages(w) * w->pages.size);
	if (pool_allocated(p) <= limit)
		return true;
	w->cost = was;
	pool_set(&p->index, before);
	return false;
}

/* Rows leave the queues at their ends, many of them from one page; they enter at the back of the
 * small one, and at a handful of places of the main one that move on with them. */
bool write_room_queues(struct write *w, const struct write_cost *cost, uint64_t limit)
{
	static const struct write_cost ends = {.touch = {[DB_QUEUES] = 4},
	                                       .add = {[DB_QUEUES] = 4}};
	struct write_cost sum = *cost;

	if (w->steps % STEPS_A_PAGE == 0)
		cost_add(&sum, &ends);
	if (!write_room(w, &sum, limit))
		return false;
	w->steps++;
	return true;
}

static uint64_t blob_bytes(const struct write *w)
{
	return room_blobs(w->s->pool, w->st.blob_bytes + w->st.part_bytes, w->st.dirs);
}

/* Files linked under the lock before us whose rows were never committed. */
static int undo_intents(struct write *w)
{
	struct pool *p = w->s->pool;
	uint32_t n = p->intents < POOL_INTENTS ? p->intents : POOL_INTENTS;

	for (uint32_t i = 0; i < n; i++) {
		int err = blob_remove_orphan(w, p->intent[i]);

		if (err < 0)
			return err;
	}
	__atomic_store_n(&p->intents, 0, __ATOMIC_SEQ_CST);
	n = p->part_intents < POOL_PARTS ? p->part_intents : POOL_PARTS;
	for (uint32_t i = 0; i < n; i++) {
		struct record_part name;
		int err;

		memcpy(&name, p->part_intent[i].name, sizeof(name));
		err = part_remove_orphan(w, &name);
		if (err < 0)
			return err;
	}
	__atomic_store_n(&p->part_intents, 0, __ATOMIC_SEQ_CST);
	return 0;
}

/* A cap that was lowered: evictions go beyond it, the further the more there is to evict, until there is
 * room for those of an ordinary transaction below it. */
static void set_over(struct pool *p, uint64_t index)
{
	uint64_t cap = pool_get(&p->cap), now = index + pool_get(&p->blobs) + pool_others(p);

	if (now <= (pool_get(&p->over) ? room_for_spools(p) : cap))
		pool_set(&p->over, 0);
	else
		pool_set(&p->over, now + room_unit(cap) + (now > cap ? (now - cap) / 8 : 0));
}

int write_begin(struct store *s, struct write *w)
{
	struct view row;
	int err;

	*w = (struct write){.s = s};
	err = db_begin(s->db, true, &w->txn);
	if (err)
		return err;
	err = db_get(s->db, w->txn, DB_META, V("state"), &row);
	if (err < 0)
		goto out;
	if (err == 1 && row.len != sizeof(w->st)) {
		err = LARDER_ECORRUPT;
		goto out;
	}
	if (err == 1)
		memcpy(&w->st, row.ptr, row.len);
	if (!w->st.next_id)
		w->st.next_id = w->st.next_seq = 1;
	w->was = w->st;
	/* With lazily synced meta pages a power cut may bring back the state before the last one.
	 */
	w->bury_below = w->st.last_seq;
	w->st.last_seq = w->was.last_seq = w->st.next_seq;
	err = db_pages(s->db, w->txn, &w->pages);
	if (!err)
		err = undo_intents(w);
	if (err)
		goto out;
	w->base = db_allocated(s->db);
	pool_set(&s->pool->blobs, blob_bytes(w));
	set_over(s->pool, w->base);
	w->cost.touch[DB_META] = 1;
	count_free(w);
	write_room(w, &(struct write_cost){0}, UINT64_MAX);
	return 0;
out:
	db_abort(w->txn);
	w->txn = NULL;
	return err;
}

static int sync_dir(struct store *s, int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? larder_from_errno(errno) : sync_one(s, fd);

	if (fd >= 0)
		close(fd);
	return err;
}

static int sync_dirs(struct write *w)
{
	static const char hex[] = "0123456789abcdef";
	unsigned n = w->dirs_made + w->parts;
	int err;

	for (int i = 0; i < 256; i++)
		n += w->dirs[i];
	if (sync_all_pays(w->s, n))
		return sync_all(w->s);
	err = w->dirs_made ? sync_dir(w->s, w->s->blobs_fd, ".") : 0;
	if (!err && w->parts)
		err = sync_dir(w->s, w->s->parts_fd, ".");
	for (int i = 0; i < 256 && !err; i++) {
		char name[3] = {hex[i / 16], hex[i % 16], '\0'};

		if (w->dirs[i])
			err = sync_dir(w->s, w->s->blobs_fd, name);
	}
	return err;
}

int write_commit(struct write *w)
{
	struct store *s = w->s;
	int err = s->sync_files ? sync_dirs(w) : 0;
	uint64_t reserved;

	if (!err)
		err = db_put(s->db, w->txn, DB_META, V("state"), view_make(&w->st, sizeof(w->st)));
	if (err) {
		write_abort(w);
		return err;
	}
	/* While the lock is ours: files are linked and unlinked already. Should the commit fail,
	 * the next transaction sets the numbers right. */
	pool_set(&s->pool->blobs, blob_bytes(w));
	pool_set(&s->pool->doomed, w->st.doomed);
	reserved = pool_get(&s->pool->index);
	err = db_commit(s->db, w->txn);
	w->txn = NULL;
	if (!err)
		pool_add(&s->pool->commits, 1);
	/* Whoever has the lock by now has set aside anew. */
	__atomic_compare_exchange_n(&s->pool->index, &reserved, db_allocated(s->db), false,
	                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return err;
}

void write_abort(struct write *w)
{
	if (!w->txn)
		return;
	pool_set(&w->s->pool->index, w->base);
	db_abort(w->txn);
	w->txn = NULL;
}

/* What spools announce, as far as it is heeded. */
static uint64_t announced(const struct pool *p)
{
	uint64_t wanted = pool_wanted(p), most = pool_cap(p) / 4;

	return wanted < most ? wanted : most;
}

/* Room for spools can only come from what the index gives back, however much of it is free. */
static uint64_t claimed(const struct pool *p)
{
	return pool_allocated(p) + announced(p);
}

void write_punch(struct write *w)
{
	struct pool *p = w->s->pool;
	struct writer *writer = &w->s->writer;
	uint64_t bytes = claimed(p), want;
	int64_t released;

	if (bytes <= below_cap(p, 8)) {
		writer->short_of = 0;
		return;
	}
	want = bytes - below_cap(p, 12);
	/* What is evicted for longer stretches can be given back two transactions later. */
	released = db_punch(w->s->db, want, writer->short_of >= PATIENCE);
	writer->short_of = released < 0 || (uint64_t)released >= want ? 0 : writer->short_of + 1;
	if (released > 0) {
		w->base = db_allocated(w->s->db);
		count_free(w);
		write_room(w, &(struct write_cost){0}, UINT64_MAX);
	}
}

bool write_due(const struct write *w)
{
	const struct pool *p = w->s->pool;

	/* Doomed files go two commits later. */
	return memcmp(&w->st, &w->was, sizeof(w->st)) != 0 || w->st.doomed ||
	       (claimed(p) > below_cap(p, 8) && !db_no_holes(w->s->db));
}

/* Free pages that can't be given back, as they lie too far apart: for body files, more of them make the
 * stretches between the others longer; what is inserted might take holes instead of them, and finds no room
 * as long as they count. */
static uint64_t scattered(const struct write *w, uint64_t used)
{
	const struct pool *p = w->s->pool;
	uint64_t part = least(pool_cap(p) / SCATTERED_PART, SCATTERED_MAX);
	uint64_t idle = w->base > used ? w->base - used : 0;

	if (!w->s->writer.short_of)
		return 0;
	idle = w->s->writer.cramped ? least(idle, 2 * part) : 0;
	return pool_wanted(p) && idle < part ? part : idle;
}

uint64_t write_excess(struct write *w)
{
	struct pool *p = w->s->pool;
	uint64_t cap = pool_cap(p), used, limit = below_cap(p, 16);
	uint64_t ahead = clamp(cap / 32, AHEAD_MIN, AHEAD_MAX);
	struct db_pages now;

	if (db_pages(w->s->db, w->txn, &now))
		return 0;
	used = now.used * now.size + blob_bytes(w);
	count_down(&used, w->st.doomed_bytes);
	used += pool_others(p) + ahead + announced(p) + scattered(w, now.used * now.size);
	return used > limit ? used - limit : 0;
}
