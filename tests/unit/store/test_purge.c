/* Purges of many: what they mean, that they take effect at one moment, and that nothing that was on its way then
 * is stored afterwards. */
#include "fixture.h"

#include "purge.h"

static struct fix f;

#define PLAIN "GET http://example.com"

static const struct item items[] = {
        {.key = PLAIN "/a/1", .body = {"1", 1}, .tags = "scope\nkred\nkblue\n"},
        {.key = PLAIN "/a/2", .body = {"2", 1}, .tags = "scope\nkred\ngnews\n"},
        {.key = PLAIN "/b", .body = {"3", 1}, .tags = "other\nkred\n"},
        {.key = PLAIN ":8080/a/1", .body = {"4", 1}},
        {.key = "GET https://example.com/a/1", .body = {"5", 1}},
        {.key = "GET http://www.example.com/a/1", .body = {"6", 1}, .tags = "scope\ngnews\n"},
        {.key = "GET http://wexample.com/a/1", .body = {"7", 1}, .tags = "scope\nkredder\n"},
        {.key = "GET@10.0.0.1:80 http://example.com/a/1", .body = {"8", 1}, .tags = "\ngnews\n"},
        {.key = "GET http://[::1]:81/a/1", .body = {"9", 1}},
};
#define ITEMS ARRAY_LEN(items)
#define ALL   ((1u << ITEMS) - 1)

#define BIT(n) (1u << ((n) - 1))

static const struct row {
	const char *name;
	struct store_purge what;
	unsigned means; /* bits: items by the body's number */
} rows[] = {
        {"prefix", {.kind = STORE_PURGE_URL, .text = V("http://example.com/a/")}, BIT(1) | BIT(2) | BIT(8)},
        {"prefix, of a name", {.kind = STORE_PURGE_URL, .text = V("http://example.com/a/1")}, BIT(1) | BIT(8)},
        {"prefix, https", {.kind = STORE_PURGE_URL, .text = V("https://example.com/")}, BIT(5)},
        {"prefix, port", {.kind = STORE_PURGE_URL, .text = V("http://example.com:8080/")}, BIT(4)},
        {"host", {.kind = STORE_PURGE_HOST, .text = V("example.com")}, BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(8)},
        {"host, port", {.kind = STORE_PURGE_HOST, .text = V("example.com"), .port = 80}, BIT(1) | BIT(2) | BIT(3) | BIT(8)},
        {"host, https", {.kind = STORE_PURGE_HOST, .text = V("example.com"), .port = 443}, BIT(5)},
        {"host and below", {.kind = STORE_PURGE_HOST, .text = V("example.com"), .below = true},
         BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8)},
        {"host, IPv6", {.kind = STORE_PURGE_HOST, .text = V("[::1]")}, BIT(9)},
        {"host, IPv6 and port", {.kind = STORE_PURGE_HOST, .text = V("[::1]"), .port = 81}, BIT(9)},
        {"host, nobody's", {.kind = STORE_PURGE_HOST, .text = V("com")}, 0},
        {"tag", {.kind = STORE_PURGE_TAG, .text = V("red")}, BIT(1) | BIT(2) | BIT(3)},
        {"tag, of a key", {.kind = STORE_PURGE_TAG, .text = V("red"), .tag = STORE_TAG_KEY}, BIT(1) | BIT(2) | BIT(3)},
        {"tag, of no group", {.kind = STORE_PURGE_TAG, .text = V("red"), .tag = STORE_TAG_GROUP}, 0},
        {"tag in its scope", {.kind = STORE_PURGE_TAG, .text = V("red"), .scope = V("scope")}, BIT(1) | BIT(2)},
        {"tag in another", {.kind = STORE_PURGE_TAG, .text = V("red"), .scope = V("nowhere")}, 0},
        {"group", {.kind = STORE_PURGE_TAG, .text = V("news")}, BIT(2) | BIT(6) | BIT(8)},
        /* RFC 9875 §2.1: of the same origin */
        {"group of an origin", {.kind = STORE_PURGE_TAG, .text = V("news"), .tag = STORE_TAG_GROUP, .scope = V(PLAIN)}, BIT(2)},
        {"group of another", {.kind = STORE_PURGE_TAG, .text = V("news"), .scope = V("GET@10.0.0.1:80 http://example.com")}, BIT(8)},
        {"group by a key's scope", {.kind = STORE_PURGE_TAG, .text = V("news"), .scope = V("scope")}, 0},
        {"pattern", {.kind = STORE_PURGE_PATTERN, .text = V("/a/\\d$")},
         BIT(1) | BIT(2) | BIT(4) | BIT(5) | BIT(6) | BIT(7) | BIT(8) | BIT(9)},
        {"pattern, of the URL alone", {.kind = STORE_PURGE_PATTERN, .text = V("^http://[a-z.]+/b")}, BIT(3)},
        {"pattern, case", {.kind = STORE_PURGE_PATTERN, .text = V("(?i)EXAMPLE\\.COM:8080")}, BIT(4)},
        {"pattern, none", {.kind = STORE_PURGE_PATTERN, .text = V("^GET")}, 0},
};

static void fill(void)
{
	for (size_t i = 0; i < ITEMS; i++) {
		struct item it = items[i];

		it.lifetime = 600;
		ck_assert_int_eq(fix_put(&f, &it), 0);
	}
}

/* Which of them are found; *fresh: which of those are fresh. */
static unsigned there(unsigned *fresh)
{
	struct store_hit hit;
	unsigned found = 0;

	*fresh = 0;
	for (size_t i = 0; i < ITEMS; i++) {
		int ret = fix_find(&f, items[i].key, NULL, &hit);

		if (ret != STORE_FOUND)
			continue;
		found |= 1u << i;
		if (cache_ttl(&hit.record.meta, clock_wall_s()) > 0)
			*fresh |= 1u << i;
		store_hit_done(f.s, &hit);
	}
	return found;
}

static void expect(const struct row *r, bool soft)
{
	unsigned fresh, found = there(&fresh);

	ck_assert_msg(found == (soft ? ALL : ALL & ~r->means), "%s: %x are found", r->name, found);
	ck_assert_msg(fresh == (ALL & ~r->means), "%s: %x are fresh", r->name, fresh);
	ck_assert_int_eq(fix_verify(&f), 0);
}

static bool tags(const struct row *r)
{
	return r->what.kind == STORE_PURGE_TAG;
}

START_TEST(what_is_meant)
{
	const struct row *r = &rows[_i / 2];
	struct store_purge what = r->what;
	unsigned n = (unsigned)__builtin_popcount(r->means);
	struct store_purged counted;

	what.soft = _i % 2;
	fix_start(&f, 64u << 20);
	fill();
	ck_assert_int_eq(store_purge_count(f.s, &what, &counted), 0);
	ck_assert_uint_eq(counted.responses, n);
	ck_assert_int_eq(fix_purge(&f, &what), 0);
	ck_assert_uint_eq(f.purged.responses, n);
	ck_assert_uint_eq(f.purged.urls, tags(r) ? 0 : n);
	expect(r, what.soft);
	/* What comes afterwards is stored. */
	fill();
	ck_assert_int_eq(fix_verify(&f), 0);
	unsigned fresh;
	ck_assert_uint_eq(there(&fresh), ALL);
	ck_assert_uint_eq(fresh, ALL);
	fix_stop(&f);
}
END_TEST

/* The same without a daemon. */
START_TEST(by_a_tool)
{
	const struct row *r = &rows[_i / 2];
	struct store_purge what = r->what;
	struct store_purged n;
	struct store *tool;
	char *why;

	what.soft = _i % 2;
	fix_start(&f, 64u << 20);
	fill();
	ck_assert_int_eq(store_purge_now(f.s, &what, &n, NULL, NULL), LARDER_EPERM);
	fix_close_store(&f);
	store_home_free(f.home);
	ck_assert_int_eq(store_open_tool(f.dir, true, &tool, &why), 0);
	ck_assert_int_eq(store_purge_now(tool, &what, &n, NULL, NULL), 0);
	ck_assert_uint_eq(n.responses, (unsigned)__builtin_popcount(r->means));
	store_close(tool);
	fix_open_home(&f);
	fix_open_store(&f);
	expect(r, what.soft);
	fix_stop(&f);
}
END_TEST

/* ---- On its way when the purge comes ---- */

static struct store_spool *spool_of(const struct item *it, struct store_record *r, struct store_key *key)
{
	struct store_spool *sp = store_spool_new(f.s, it->body.len);

	fix_record(it, r);
	r->meta.lifetime = 600;
	r->purges = store_purges(f.s);
	store_key_init(f.s, view_of(it->key), key);
	ck_assert_int_eq(store_spool_append(sp, it->body), 0);
	return sp;
}

/* It began before the purge, and is written after it; and what was asked of what it replaced, for an update. */
START_TEST(what_was_being_fetched)
{
	const struct row *r = &rows[_i / 2];
	struct store_purge what = r->what;
	struct store_spool *spools[ITEMS];
	struct store_record records[ITEMS];
	struct store_key keys[ITEMS];

	what.soft = _i % 2;
	fix_start(&f, 64u << 20);
	for (size_t i = 0; i < ITEMS; i++)
		spools[i] = spool_of(&items[i], &records[i], &keys[i]);
	ck_assert_int_eq(fix_purge(&f, &what), 0);
	for (size_t i = 0; i < ITEMS; i++) {
		bool meant = r->means >> i & 1;

		ck_assert_msg(store_purged_since(f.s, records[i].purges, keys[i].text, records[i].tags) == meant,
		              "%s: %s", r->name, items[i].key);
		f.pending++;
		ck_assert_int_eq(store_commit(f.s, &keys[i], &records[i], spools[i], fix_done, &f), 0);
		ck_assert_msg(fix_wait(&f) == (meant ? LARDER_ECLOSED : 0), "%s: %s: %d", r->name,
		              items[i].key, f.err);
		store_spool_unref(spools[i]);
	}
	unsigned fresh;
	ck_assert_uint_eq(there(&fresh), ALL & ~r->means);
	fix_stop(&f);
}
END_TEST

/* A validation that began before the response was marked does not make it fresh again. */
START_TEST(updates)
{
	struct store_purge what = {.kind = STORE_PURGE_TAG, .text = V("red"), .soft = true};
	struct item it = items[0];
	struct store_record r;
	struct store_hit hit;
	struct store_key key;
	uint64_t id;

	it.lifetime = 600;
	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
	id = hit.record.id;
	store_hit_done(f.s, &hit);
	fix_record(&it, &r);
	store_key_init(f.s, view_of(it.key), &key);
	for (int late = 0; late < 2; late++) {
		r.purges = store_purges(f.s);
		if (!late)
			ck_assert_int_eq(fix_purge(&f, &what), 0);
		f.pending++;
		ck_assert_int_eq(store_update(f.s, &key, &r, id, fix_done, &f), 0);
		ck_assert_int_eq(fix_wait(&f), late ? 0 : LARDER_ECLOSED);
		ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
		ck_assert_int_eq(cache_ttl(&hit.record.meta, clock_wall_s()) > 0, late);
		store_hit_done(f.s, &hit);
	}
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* A purge that is forgotten may have meant it. */
START_TEST(long_ago)
{
	struct store_purge what = {.kind = STORE_PURGE_TAG, .text = V("red")};
	struct store_record r;
	struct store_key key;
	struct store_spool *sp;
	uint64_t before;

	fix_start(&f, 64u << 20);
	before = store_purges(f.s);
	ck_assert_int_eq(fix_purge(&f, &what), 0);
	/* Of tags more is remembered. */
	pool_add(&f.s->pool->purges, POOL_PURGES);
	ck_assert(!store_purged_since(f.s, before, V("GET http://h/"), V("")));
	ck_assert(!store_purged_since(f.s, before, V("GET http://h/"), V("s\nkblue\n")));
	ck_assert(store_purged_since(f.s, before, V("GET http://h/"), V("s\nkblue\nkred\n")));
	before = store_purges(f.s);
	what = (struct store_purge){.kind = STORE_PURGE_HOST, .text = V("nowhere.example")};
	ck_assert_int_eq(fix_purge(&f, &what), 0);
	ck_assert(!store_purged_since(f.s, before, V("GET http://h/"), V("")));
	pool_add(&f.s->pool->purges, POOL_PURGES);
	ck_assert(store_purged_since(f.s, before, V("GET http://h/"), V("")));
	sp = spool_of(&items[0], &r, &key);
	r.purges = before;
	f.pending++;
	ck_assert_int_eq(store_commit(f.s, &key, &r, sp, fix_done, &f), 0);
	ck_assert_int_eq(fix_wait(&f), LARDER_ECLOSED);
	store_spool_unref(sp);
	fix_stop(&f);
}
END_TEST

/* ---- At one moment ---- */

#define MANY 2500 /* more than some steps take */

static void many_key(char key[64], unsigned i)
{
	snprintf(key, 64, "GET http://many.example/%u", i);
}

static void fill_many(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		char key[64];
		struct item it = {.key = key, .body = V("many"), .lifetime = 600, .tags = "s\nkmany\n"};

		many_key(key, i);
		ck_assert_int_eq(fix_queue(&f, &it), 0);
	}
	ck_assert_int_eq(fix_wait(&f), 0);
}

/* Of the many: how many are found, and how many of those are fresh. */
static unsigned count_many(unsigned *fresh)
{
	struct store_hit hit;
	unsigned n = 0;
	char key[64];

	*fresh = 0;
	for (unsigned i = 0; i < MANY; i++) {
		many_key(key, i);
		if (fix_find(&f, key, NULL, &hit) != STORE_FOUND)
			continue;
		n++;
		*fresh += cache_ttl(&hit.record.meta, clock_wall_s()) > 0;
		store_hit_done(f.s, &hit);
	}
	return n;
}

static bool soft;

static void in_effect(void *arg, int err, const struct store_purged *n)
{
	unsigned fresh, found = count_many(&fresh);

	(void)n;
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(found, soft ? MANY : 0);
	ck_assert_uint_eq(fresh, 0);
	fix_done(arg, err);
}

static void wait_over(void)
{
	uint64_t until = clock_mono_ms() + FIX_GUARD_MS;

	while (pool_get(&f.s->pool->nactive) || purge_waits(f.s)) {
		ck_assert_uint_lt(clock_mono_ms(), until);
		usleep(1000);
	}
}

START_TEST(all_at_once)
{
	static const struct store_purge whats[] = {
	        {.kind = STORE_PURGE_TAG, .text = V("many"), .early = true},
	        {.kind = STORE_PURGE_HOST, .text = V("many.example"), .early = true},
	        {.kind = STORE_PURGE_URL, .text = V("http://many.example/"), .early = true},
	        {.kind = STORE_PURGE_PATTERN, .text = V("many\\.example/\\d+"), .early = true},
	};
	struct store_purge what = whats[_i / 2];
	struct store_usage u;
	unsigned fresh;

	what.soft = soft = _i % 2;
	fix_start(&f, 64u << 20);
	fill_many();
	f.pending++;
	ck_assert_int_eq(store_purge(f.s, &what, in_effect, &f), 0);
	fix_wait(&f);
	wait_over();
	ck_assert_uint_eq(count_many(&fresh), soft ? MANY : 0);
	ck_assert_uint_eq(fresh, 0);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, soft ? MANY : 0);
	ck_assert_uint_eq(u.tags, soft ? MANY : 0);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* What a process leaves undone, another one does. */
START_TEST(adopted)
{
	struct purge_test t = {.kind = STORE_PURGE_TAG, .text = V("many")};
	struct store_usage u;
	struct write w;
	unsigned fresh;
	uint64_t seq;

	fix_start(&f, 64u << 20);
	fill_many();
	ck_assert_int_eq(write_begin(f.s, &w), 0);
	ck_assert(purge_notice(f.s, &t, false, w.st.next_id, &seq));
	write_abort(&w);
	ck_assert_uint_eq(count_many(&fresh), 0);
	/* It is alive: its own business. */
	store_maintain(f.s, 0);
	ck_assert_int_eq(fix_remove(&f, "GET http://nowhere/"), 0);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, MANY);
	purge_notice_leave(f.s, seq);
	store_maintain(f.s, 0);
	wait_over();
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 0);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

static void closed(void *arg, int err, const struct store_purged *n)
{
	(void)n;
	*(int *)arg = err;
}

/* A store that closes tells the callers, and what was not removed is as it was when it opens again. */
START_TEST(closing)
{
	struct store_purge what = {.kind = STORE_PURGE_TAG, .text = V("many")};
	int err = 1;

	fix_start(&f, 64u << 20);
	fill_many();
	ck_assert_int_eq(store_purge(f.s, &what, closed, &err), 0);
	fix_reopen(&f);
	ck_assert_msg(err == LARDER_ECLOSED || err == 0, "%d", err);
	ck_assert_int_eq(fix_verify(&f), 0);
	ck_assert_int_eq(fix_purge(&f, &what), 0);
	unsigned fresh;
	ck_assert_uint_eq(count_many(&fresh), 0);
	fix_stop(&f);
}
END_TEST

/* More than may be active at once: the others wait for their turn. */
START_TEST(crowd)
{
	static char names[200][16];

	fix_start(&f, 64u << 20);
	for (unsigned i = 0; i < 200; i++) {
		char key[64], text[64];
		struct item it = {.key = key, .tags = text, .body = V("x")};

		many_key(key, i);
		snprintf(names[i], sizeof(names[i]), "n%u", i);
		snprintf(text, sizeof(text), "s\nk%s\n", names[i]);
		ck_assert_int_eq(fix_queue(&f, &it), 0);
	}
	fix_wait(&f);
	for (unsigned i = 0; i < 200; i++) {
		struct store_purge what = {.kind = STORE_PURGE_TAG, .text = view_of(names[i])};

		f.pending++;
		ck_assert_int_eq(store_purge(f.s, &what, fix_purged, &f), 0);
	}
	fix_wait(&f);
	unsigned fresh;
	ck_assert_uint_eq(count_many(&fresh), 0);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* ---- Limits and mistakes ---- */

START_TEST(refused)
{
	static char text[STORE_PATTERN_MAX + 1];
	const char *why;

	memset(text, 'x', sizeof(text));
	fix_start(&f, 64u << 20);
	ck_assert_int_eq(store_purge_check(&(struct store_purge){.kind = STORE_PURGE_PATTERN, .text = V("a(b")}, &why),
	                 LARDER_EINVAL);
	ck_assert_ptr_nonnull(why);
	ck_assert_int_eq(store_purge_check(&(struct store_purge){.kind = STORE_PURGE_PATTERN, .text = V("")}, &why),
	                 LARDER_EINVAL);
	ck_assert_int_eq(store_purge_check(&(struct store_purge){.kind = STORE_PURGE_URL, .text = V("ftp://x/")}, &why),
	                 LARDER_EINVAL);
	ck_assert_int_eq(store_purge_check(&(struct store_purge){.kind = STORE_PURGE_TAG, .text = view_make(text, sizeof(text))}, &why),
	                 LARDER_ELIMIT);
	ck_assert_int_eq(store_purge(f.s, &(struct store_purge){.kind = STORE_PURGE_PATTERN, .text = V("a(b")}, fix_purged, &f),
	                 LARDER_EINVAL);
	fix_stop(&f);
}
END_TEST

/* One whose matching does not end within bounds ends the purge, and removes nothing that does not match. */
START_TEST(endless_pattern)
{
	struct store_purge what = {.kind = STORE_PURGE_PATTERN, .text = V("(a+)+[xy]$")};
	char key[300] = PLAIN "/";
	struct item it = {.key = key, .body = V("a")};

	fix_start(&f, 64u << 20);
	memset(key + strlen(key), 'a', 200);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_purge(&f, &what), LARDER_ELIMIT);
	wait_over();
	ck_assert_int_eq(fix_get(&f, key, NULL, it.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

START_TEST(by_key)
{
	struct item it = {.key = PLAIN "/k", .vary = "accept", .body = V("t"), .lifetime = 600, .tags = "s\nka\n"};
	struct store_purged n;
	struct store_key key;
	struct store_hit hit;

	soft = _i;
	fix_start(&f, 64u << 20);
	for (unsigned i = 0; i < 3; i++) {
		it.selecting = i ? i > 1 ? "accept:2\n" : "accept:1\n" : "accept:0\n";
		ck_assert_int_eq(fix_put(&f, &it), 0);
	}
	store_key_init(f.s, view_of(it.key), &key);
	ck_assert_int_eq(store_purge_key_count(f.s, &key, &n), 0);
	ck_assert_uint_eq(n.responses, 3);
	f.pending++;
	ck_assert_int_eq(store_purge_key(f.s, &key, soft, fix_purged, &f), 0);
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_uint_eq(f.purged.responses, 3);
	ck_assert_uint_eq(f.purged.urls, 1);
	if (soft) {
		ck_assert_int_eq(fix_find(&f, it.key, "accept:1\n", &hit), STORE_FOUND);
		ck_assert_int_le(cache_ttl(&hit.record.meta, clock_wall_s()), 0);
		store_hit_done(f.s, &hit);
	} else {
		ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_NONE);
	}
	ck_assert_int_eq(fix_verify(&f), 0);
	f.pending++;
	ck_assert_int_eq(store_purge_key(f.s, &key, false, fix_purged, &f), 0);
	fix_wait(&f);
	ck_assert_uint_eq(f.purged.responses, soft ? 3 : 0);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/purge", tcase_add_loop_test(tc, what_is_meant, 0, 2 * ARRAY_LEN(rows));
          tcase_add_loop_test(tc, by_a_tool, 0, 2 * ARRAY_LEN(rows));
          tcase_add_loop_test(tc, what_was_being_fetched, 0, 2 * ARRAY_LEN(rows));
          tcase_add_test(tc, updates); tcase_add_test(tc, long_ago);
          tcase_add_loop_test(tc, all_at_once, 0, 8); tcase_add_test(tc, adopted);
          tcase_add_test(tc, closing); tcase_add_test(tc, crowd);
          tcase_add_test(tc, refused); tcase_add_test(tc, endless_pattern);
          tcase_add_loop_test(tc, by_key, 0, 2);)
