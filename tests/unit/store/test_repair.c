/* One kind of damage after the other: the check says what it is, the repair puts it right, and the next check finds
 * nothing. What was not touched stays. */
#include "fixture.h"

#include <fcntl.h>

#include "audit.h"
#include "store/list.h"
#include "tags.h"

#define HOST  "GET http://example.com/"
#define LARGE 200000

static char bytes[LARGE];
static struct store *tool;
static struct MDB_txn *txn;
static struct look look;

static const struct item SMALL = {
        .key = HOST "small", .body = {"small", 5}, .tags = "scope\nkone\nktwo\ngthree\n"};
static const struct item GOOD = {.key = HOST "good", .body = {"good", 4}};
static struct item BIG = {.key = HOST "big"}, TWIN = {.key = HOST "twin"};
static const struct item ONE = {
        .key = HOST "v", .vary = "accept", .selecting = "accept:1\n", .body = {"one", 3}};
static const struct item TWO = {
        .key = HOST "v", .vary = "accept", .selecting = "accept:2\n", .body = {"two", 3}};

/* ---- Rows ---- */

static struct hash128 primary(const struct item *it)
{
	struct store_key key;

	store_key_init(tool, view_of(it->key), &key);
	return key.hash;
}

static struct hash128 hash_of(const struct item *it)
{
	struct hash128 h = primary(it);

	return it->vary ? record_variant(h, view_of(it->selecting), tool->seed) : h;
}

static struct record entry(struct hash128 hash)
{
	struct record r;

	ck_assert_int_eq(look_entry(&look, hash, &r), 1);
	return r;
}

static void put(enum db_table t, struct view key, struct view row)
{
	ck_assert_int_eq(db_put(tool->db, txn, t, key, row), 0);
}

static void del(enum db_table t, struct view key)
{
	ck_assert_int_eq(db_del(tool->db, txn, t, key), 1);
}

static void get(enum db_table t, struct view key, void *row, size_t len)
{
	struct view v;

	ck_assert_int_eq(db_get(tool->db, txn, t, key, &v), 1);
	ck_assert_uint_eq(v.len, len);
	memcpy(row, v.ptr, len);
}

/* Changes a byte of a row, cuts it, or both. */
static void spoil(struct hash128 hash, int at, size_t cut)
{
	struct record_key k = record_key(hash);
	struct view row;
	char *copy;

	ck_assert_int_eq(db_get(tool->db, txn, DB_ENTRIES, row_key_view(&k), &row), 1);
	copy = malloc(row.len);
	memcpy(copy, row.ptr, row.len);
	if (at >= 0)
		copy[at] ^= 0x55;
	put(DB_ENTRIES, row_key_view(&k), view_make(copy, row.len - cut));
	free(copy);
}

static void checksum(void)
{
	spoil(hash_of(&SMALL), offsetof(struct record_head, meta), 0);
}

static void unreadable(void)
{
	spoil(hash_of(&SMALL), -1, 1);
}

static void large_unreadable(void)
{
	spoil(hash_of(&BIG), 0, 0);
}

static void variant_checksum(void)
{
	spoil(hash_of(&ONE), offsetof(struct record_head, meta), 0);
}

static void variant_unreadable(void)
{
	spoil(hash_of(&ONE), 0, 0);
}

static void marker_unreadable(void)
{
	spoil(primary(&ONE), 0, 0);
}

static void marker_lost(void)
{
	struct record_key k = record_key(primary(&ONE));

	del(DB_ENTRIES, row_key_view(&k));
}

static void variant_lost(void)
{
	struct record_key k = record_key(hash_of(&ONE));

	del(DB_ENTRIES, row_key_view(&k));
}

/* The marker forgets its last variant. */
static void variant_unlisted(void)
{
	struct record_key k = record_key(primary(&ONE));
	struct record m = entry(primary(&ONE));
	char row[4096], list[16];

	memcpy(list, m.variants.ptr, sizeof(list));
	m.variants = view_make(list, sizeof(list));
	record_write(&m, row);
	put(DB_ENTRIES, row_key_view(&k), view_make(row, record_size(&m)));
}

static void wrong_place(void)
{
	struct record_key from = record_key(hash_of(&SMALL)), to = record_key((struct hash128){1, 2});
	struct view row;
	char copy[4096];

	ck_assert_int_eq(db_get(tool->db, txn, DB_ENTRIES, row_key_view(&from), &row), 1);
	memcpy(copy, row.ptr, row.len);
	put(DB_ENTRIES, row_key_view(&to), view_make(copy, row.len));
}

/* ---- Blobs ---- */

static struct view digest(void)
{
	static uint8_t d[RECORD_DIGEST];

	memcpy(d, entry(hash_of(&BIG)).h.digest, sizeof(d));
	return view_make(d, sizeof(d));
}

static void set_refs(uint64_t refs)
{
	struct record_blob b;

	get(DB_BLOBS, digest(), &b, sizeof(b));
	b.refs = refs;
	put(DB_BLOBS, digest(), view_make(&b, sizeof(b)));
}

static void refs_high(void)
{
	set_refs(7);
}

static void refs_low(void)
{
	set_refs(1);
}

static void refs_none(void)
{
	set_refs(0);
}

static void blob_row_lost(void)
{
	del(DB_BLOBS, digest());
}

static void blob_row_short(void)
{
	put(DB_BLOBS, digest(), V("short"));
}

static void blob_row_foreign(void)
{
	put(DB_BLOBS, V("no digest"), V("no row"));
}

static void blob_undoomed(void)
{
	struct record_blob b = {.length = 5, .charge = 4096};

	put(DB_BLOBS, V("0123456789abcdef0123456789abcdef"), view_make(&b, sizeof(b)));
}

static int open_blob(const uint8_t *d, int flags)
{
	char path[BLOB_PATH_MAX], dir[3];
	int fd;

	blob_path(d, path);
	ck_assert(view_copy(view_make(path, 2), dir, sizeof(dir)));
	mkdirat(tool->blobs_fd, dir, 0700);
	fd = openat(tool->blobs_fd, path, flags, 0600);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void file_lost(void)
{
	char path[BLOB_PATH_MAX];

	blob_path((const uint8_t *)digest().ptr, path);
	ck_assert_int_eq(unlinkat(tool->blobs_fd, path, 0), 0);
}

static void file_short(void)
{
	int fd = open_blob((const uint8_t *)digest().ptr, O_WRONLY);

	ck_assert_int_eq(ftruncate(fd, 77), 0);
	close(fd);
}

static void file_changed(void)
{
	int fd = open_blob((const uint8_t *)digest().ptr, O_WRONLY);

	ck_assert_int_eq(pwrite(fd, "spoilt", 6, 5000), 6);
	close(fd);
}

static void orphan(void)
{
	close(open_blob((const uint8_t *)"0123456789abcdef0123456789abcdef", O_CREAT | O_WRONLY));
}

/* ---- Queues and urls ---- */

static struct view small_row(const struct item *it)
{
	static struct record_queue_key k;

	k = record_queue_key(RECORD_SMALL, entry(hash_of(it)).h.birth);
	return queue_key_view(&k);
}

static void queue_row_lost(void)
{
	del(DB_QUEUES, small_row(&SMALL));
}

static void queue_row_short(void)
{
	put(DB_QUEUES, small_row(&SMALL), V("short"));
}

static void queue_row_foreign(void)
{
	put(DB_QUEUES, V("x"), V("y"));
}

static void queue_row_alone(void)
{
	struct record_queue_key k = record_queue_key(RECORD_SMALL, 1u << 20);
	struct record_queue_row row = {.birth = 1u << 20};

	put(DB_QUEUES, queue_key_view(&k), view_make(&row, sizeof(row)));
}

static struct view url_key(const struct item *it)
{
	static char url[RECORD_URL_MAX];

	return view_make(url, record_url_key(view_of(it->key), primary(it), url));
}

static void url_lost(void)
{
	del(DB_URLS, url_key(&SMALL));
}

static void url_lost_of_variants(void)
{
	del(DB_URLS, url_key(&ONE));
}

static void url_short(void)
{
	put(DB_URLS, url_key(&SMALL), V("0123456789abcdef"));
}

static void url_counts(void)
{
	struct record_url_row u;

	get(DB_URLS, url_key(&ONE), &u, sizeof(u));
	u.charge++;
	put(DB_URLS, url_key(&ONE), view_make(&u, sizeof(u)));
}

static void url_alone(void)
{
	struct record_url_row u = {.hash = "nobody's", .responses = 1};

	put(DB_URLS, V("com.example/nothing GET http0123456789abcdef"), view_make(&u, sizeof(u)));
}

static void url_twice(void)
{
	struct record_url_row u;

	get(DB_URLS, url_key(&SMALL), &u, sizeof(u));
	put(DB_URLS, V("com.example/other GET http0123456789abcdef"), view_make(&u, sizeof(u)));
}

static void entry_lost(void)
{
	struct record_key k = record_key(hash_of(&SMALL));

	del(DB_ENTRIES, row_key_view(&k));
}

/* ---- Tags ---- */

static struct view tag_key(const char *name, const char *scope, struct hash128 row)
{
	static struct tags_key k;

	k = tags_key(tool->seed, view_of(name), tags_scope_hash(tool->seed, view_of(scope)), row);
	return view_make(k.bytes, sizeof(k.bytes));
}

#define ROW(name, call)                                                                            \
	static void name(void)                                                                     \
	{                                                                                          \
		call;                                                                              \
	}
ROW(tag_lost, del(DB_TAGS, tag_key("two", "scope", hash_of(&SMALL))))
ROW(group_lost, del(DB_TAGS, tag_key("three", "GET http://example.com", hash_of(&SMALL))))
ROW(tag_alone, put(DB_TAGS, tag_key("two", "scope", (struct hash128){1, 2}), V("")))
ROW(tag_of_another, put(DB_TAGS, tag_key("two", "scope", hash_of(&GOOD)), V("")))
ROW(tag_in_another_scope, put(DB_TAGS, tag_key("two", "other", hash_of(&SMALL)), V("")))
ROW(tag_short, put(DB_TAGS, V("short"), V("")))

/* ---- Totals ---- */

#define TOTAL(member)                                                                              \
	static void total_##member(void)                                                           \
	{                                                                                          \
		struct record_state st;                                                            \
                                                                                                   \
		get(DB_META, V("state"), &st, sizeof(st));                                         \
		st.member += 3;                                                                    \
		put(DB_META, V("state"), view_make(&st, sizeof(st)));                              \
	}
TOTAL(records)
TOTAL(blobs)
TOTAL(blob_bytes)
TOTAL(doomed)
TOTAL(doomed_bytes)
TOTAL(small_bytes)
TOTAL(main_bytes)
TOTAL(small_rows)
TOTAL(main_rows)

static const struct row {
	const char *name;
	void (*damage)(void);
	const char *says;
	const struct item *gone, *gone2; /* what the repair costs */
	bool deep;                       /* seen by reading the files alone */
	bool heals;                      /* by itself, with the next write */
} rows[] = {
        {.name = "checksum", .damage = checksum, .says = "small\" has a wrong checksum", .gone = &SMALL},
        {.name = "unreadable", .damage = unreadable, .says = "can't be read", .gone = &SMALL},
        {.name = "unreadable, with a file", .damage = large_unreadable, .says = "can't be read", .gone = &BIG},
        {.name = "checksum of a variant", .damage = variant_checksum, .says = "/v\" has a wrong checksum", .gone = &ONE},
        {.name = "unreadable variant", .damage = variant_unreadable, .says = "can't be read", .gone = &ONE},
        {.name = "unreadable marker", .damage = marker_unreadable, .says = "is a variant that its key does not list", .gone = &ONE, .gone2 = &TWO},
        {.name = "no marker", .damage = marker_lost, .says = "is a variant that its key does not list", .gone = &ONE, .gone2 = &TWO},
        {.name = "no variant", .damage = variant_lost, .says = "lists a variant that is not there", .gone = &ONE},
        {.name = "unlisted variant", .damage = variant_unlisted, .says = "is a variant that its key does not list", .gone = &TWO},
        {.name = "another's hash", .damage = wrong_place, .says = "stands under another key's hash"},
        {.name = "too many uses", .damage = refs_high, .says = "counts 7 uses, but has 2"},
        {.name = "too few uses", .damage = refs_low, .says = "counts 1 uses, but has 2"},
        {.name = "no uses", .damage = refs_none, .says = "or one without uses", .gone = &BIG, .gone2 = &TWIN},
        {.name = "no row of a file", .damage = blob_row_lost, .says = "refers to a body file that has no row", .gone = &BIG, .gone2 = &TWIN},
        {.name = "short row of a file", .damage = blob_row_short, .says = "of the table blobs has the wrong size", .gone = &BIG, .gone2 = &TWIN},
        {.name = "no row at all", .damage = blob_row_foreign, .says = "of the table blobs has the wrong size"},
        {.name = "nobody removes", .damage = blob_undoomed, .says = "nothing removes it"},
        {.name = "file missing", .damage = file_lost, .says = "is missing", .gone = &BIG, .gone2 = &TWIN},
        {.name = "file cut", .damage = file_short, .says = "has another length than its row", .gone = &BIG, .gone2 = &TWIN},
        {.name = "file changed", .damage = file_changed, .says = "has another digest than its name", .gone = &BIG, .gone2 = &TWIN, .deep = true},
        {.name = "orphan", .damage = orphan, .says = "belongs to nothing"},
        {.name = "queue row missing", .damage = queue_row_lost, .says = "small\" stands in no queue"},
        {.name = "queue row short", .damage = queue_row_short, .says = "of the table queues has the wrong size"},
        {.name = "queue row of no queue", .damage = queue_row_foreign, .says = "of the table queues has the wrong size"},
        {.name = "queue row alone", .damage = queue_row_alone, .says = "of the small queue has no entry"},
        {.name = "url missing", .damage = url_lost, .says = "small\" is missing in the table urls"},
        {.name = "url missing, variants", .damage = url_lost_of_variants, .says = "/v\" is missing in the table urls"},
        {.name = "url short", .damage = url_short, .says = "small\" is counted wrongly"},
        {.name = "url counted wrongly", .damage = url_counts, .says = "/v\" is counted wrongly in the table urls"},
        {.name = "url alone", .damage = url_alone, .says = "of the table urls has no entry"},
        {.name = "url twice", .damage = url_twice, .says = "names another entry than its own"},
        {.name = "entry missing", .damage = entry_lost, .says = "of the table urls has no entry", .gone = &SMALL},
        {.name = "tag missing", .damage = tag_lost, .says = "small\" is missing in the table tags"},
        {.name = "group missing", .damage = group_lost, .says = "small\" is missing in the table tags"},
        {.name = "tag alone", .damage = tag_alone, .says = "of the table tags has no entry"},
        {.name = "tag of another", .damage = tag_of_another, .says = "of the table tags has an entry without that tag"},
        {.name = "tag in another scope", .damage = tag_in_another_scope, .says = "of the table tags has an entry without that tag"},
        {.name = "tag short", .damage = tag_short, .says = "of the table tags has the wrong size"},
        {.name = "total of records", .damage = total_records, .says = "the counts of what is stored are wrong"},
        {.name = "total of blobs", .damage = total_blobs, .says = "the counts of what is stored are wrong"},
        {.name = "total of their bytes", .damage = total_blob_bytes, .says = "the counts of what is stored are wrong"},
        {.name = "total of doomed ones", .damage = total_doomed, .says = "the counts of what is stored are wrong", .heals = true},
        {.name = "total of their bytes", .damage = total_doomed_bytes, .says = "the counts of what is stored are wrong"},
        {.name = "total of the small queue", .damage = total_small_bytes, .says = "the counts of what is stored are wrong"},
        {.name = "total of the main queue", .damage = total_main_bytes, .says = "the counts of what is stored are wrong"},
        {.name = "rows of the small queue", .damage = total_small_rows, .says = "the counts of what is stored are wrong"},
        {.name = "rows of the main queue", .damage = total_main_rows, .says = "the counts of what is stored are wrong"},
};

static void open_tool(struct fix *f)
{
	char *why;

	ck_assert_int_eq(store_open_tool(f->dir, true, &tool, &why), 0);
}

static void damage(const struct row *r)
{
	ck_assert_int_eq(db_begin(tool->db, true, &txn), 0);
	look = (struct look){tool, txn};
	r->damage();
	ck_assert_int_eq(db_commit(tool->db, txn), 0);
}

static void listen_for(void *arg, const char *text)
{
	struct row *r = arg;

	if (strstr(text, r->says))
		r->damage = NULL;
}

static void listen_loudly(void *arg, const char *text)
{
	listen_for(arg, text);
	fprintf(stderr, "verify: %s\n", text);
}

/* Is it said, as often as it is looked for? */
static void expect_said(const struct row *r, bool repair)
{
	struct row heard = *r;
	int n = store_verify(tool, r->deep, repair, NULL, listen_for, &heard);

	ck_assert_msg(n >= 1, "%s: %d findings", r->name, n);
	if (!heard.damage)
		return;
	store_verify(tool, r->deep, false, NULL, listen_loudly, &heard);
	ck_abort_msg("%s: \"%s\" was not said", r->name, r->says);
}

static void expect_there(struct fix *f, const struct row *r, const struct item *it)
{
	bool gone = it == r->gone || it == r->gone2;
	int ret = fix_get(f, it->key, it->selecting, it->body);

	ck_assert_msg(gone ? ret == STORE_NONE : ret == STORE_FOUND, "%s: %s %s: %d", r->name, it->key,
	              it->selecting ? it->selecting : "", ret);
	ck_assert_int_eq(fix_put(f, it), 0);
	ck_assert_int_eq(fix_get(f, it->key, it->selecting, it->body), STORE_FOUND);
}

static void fill(struct fix *f)
{
	const struct item *all[] = {&SMALL, &GOOD, &BIG, &TWIN, &ONE, &TWO};

	BIG.body = TWIN.body = fix_bytes(bytes, LARGE, 1);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		ck_assert_int_eq(fix_put(f, all[i]), 0);
}

/* What is not synced makes the same store, many times as fast. */
static void start(struct fix *f)
{
	fix_init(f, 64u << 20);
	f->options.durability = 2;
	fix_open_home(f);
	fix_open_store(f);
}

START_TEST(damage_is_repaired)
{
	const struct row *r = &rows[_i];
	const struct item *all[] = {&GOOD, &SMALL, &BIG, &TWIN, &ONE, &TWO};
	struct fix f;

	start(&f);
	fill(&f);
	fix_close_store(&f);
	store_home_free(f.home);
	open_tool(&f);
	ck_assert_int_eq(store_verify(tool, true, false, NULL, fix_print, NULL), 0);
	damage(r);
	expect_said(r, false);
	expect_said(r, true);
	ck_assert_msg(store_verify(tool, true, false, NULL, fix_print, NULL) == 0, "%s: not repaired", r->name);
	store_close(tool);
	fix_open_home(&f);
	fix_open_store(&f);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		expect_there(&f, r, all[i]);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* One pass of the scrub. */
static void scrub(struct fix *f)
{
	uint64_t now = clock_mono_ms(), done = stat_get(&f->stats.scrubs);

	while (stat_get(&f->stats.scrubs) == done) {
		store_maintain(f->s, now);
		ck_assert_int_eq(fix_remove(f, "GET http://nowhere/"), 0);
		ck_assert_msg(clock_mono_ms() - now < 20000, "no end of the scrub");
	}
}

/* Passes until one finds nothing to do: totals are compared, by it as by a check beside it, only where nothing is written
 * meanwhile. */
static void scrub_clean(struct fix *f)
{
	unsigned passes = 0;
	uint64_t faults;

	do {
		faults = stat_get(&f->stats.scrub_faults);
		scrub(f);
		ck_assert_uint_lt(++passes, 10);
	} while (fix_verify(f) != 0 || stat_get(&f->stats.scrub_faults) != faults);
}

START_TEST(scrub_repairs_as_well)
{
	const struct row *r = &rows[_i];
	struct store_scrub state;
	struct fix f;

	start(&f);
	f.options.scrub_interval = 1;
	f.options.scrub_rate = 64u << 20;
	fill(&f);
	scrub(&f);
	scrub(&f);
	ck_assert_uint_eq(f.stats.scrub_faults, 0);
	fix_close_store(&f);
	store_home_free(f.home);
	open_tool(&f);
	damage(r);
	store_close(tool);
	fix_open_home(&f);
	fix_open_store(&f);
	scrub_clean(&f);
	ck_assert_msg(f.stats.scrub_faults + f.stats.orphans > 0 || r->heals, "%s: no faults", r->name);
	store_scrub_state(f.s, &state);
	ck_assert_int_gt(state.ended_s, 0);
	ck_assert_uint_gt(state.last_rows, 0);
	ck_assert_int_eq(fix_get(&f, GOOD.key, NULL, GOOD.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/repair", tcase_add_loop_test(tc, damage_is_repaired, 0, ARRAY_LEN(rows));
          tcase_add_loop_test(tc, scrub_repairs_as_well, 0, ARRAY_LEN(rows));)
