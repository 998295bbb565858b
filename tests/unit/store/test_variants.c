/* Variants under one key: found, listed, bounded, given another's body, removed alone. */
#include "fixture.h"
#include "store/variants.h"

static char bytes[300000];

static const char *const langs[] = {"accept-language:de\n", "accept-language:en\n", ""};

START_TEST(variants)
{
	struct item it = {.key = "GET http://example.com/v", .vary = "accept-language"};
	struct store_hit hit;
	struct store_usage u;
	struct fix f;

	fix_start(&f, 64u << 20);
	for (size_t i = 0; i < ARRAY_LEN(langs); i++) {
		it.selecting = langs[i];
		it.body = fix_bytes(bytes, 100000 * i + 10, i);
		ck_assert_int_eq(fix_put(&f, &it), 0);
	}
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_VARIES);
	ck_view_eq(hit.record.vary, "accept-language");
	store_hit_done(f.s, &hit);
	for (size_t i = 0; i < ARRAY_LEN(langs); i++)
		ck_assert_int_eq(
		        fix_get(&f, it.key, langs[i], fix_bytes(bytes, 100000 * i + 10, i)),
		        STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, it.key, "accept-language:fr\n", V("")), STORE_NONE);
	ck_assert_int_eq(fix_verify(&f), 0);

	/* Those with other lists of names stand beside them: the reader chooses. */
	it.vary = "accept-encoding";
	it.selecting = "accept-encoding:gzip\n";
	it.body = V("zipped");
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_VARIES);
	ck_view_eq(hit.record.vary, "accept-language\naccept-encoding");
	store_hit_done(f.s, &hit);
	ck_assert_int_eq(fix_get(&f, it.key, langs[0], fix_bytes(bytes, 10, 0)), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, it.key, it.selecting, it.body), STORE_FOUND);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 4);
	ck_assert_int_eq(fix_verify(&f), 0);

	/* One list too many, and all that were there go. */
	for (int i = 2; i <= STORE_LISTS_MAX; i++) {
		static const char *const lists[] = {"a", "b", "c"};
		static const char *const texts[] = {"a:1\n", "b:1\n", "c:1\n"};

		it.vary = lists[i - 2];
		it.selecting = texts[i - 2];
		ck_assert_int_eq(fix_put(&f, &it), 0);
		ck_assert_int_eq(store_usage(f.s, &u), 0);
		ck_assert_uint_eq(u.records, i < STORE_LISTS_MAX ? 3U + (unsigned)i : 1U);
	}
	ck_assert_int_eq(fix_get(&f, it.key, it.selecting, it.body), STORE_FOUND);
	ck_assert_int_eq(fix_verify(&f), 0);

	/* One without Vary stays beside it, but goes before one with it. */
	ck_assert_int_eq(fix_put(&f, &(struct item){.key = it.key, .body = V("plain")}), 0);
	ck_assert_int_eq(fix_get(&f, it.key, "*\n", V("plain")), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, it.key, it.selecting, it.body), STORE_FOUND);
	ck_assert_int_eq(fix_remove(&f, it.key), 0);
	ck_assert_int_eq(fix_put(&f, &(struct item){.key = it.key, .body = V("plain")}), 0);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, V("plain")), STORE_FOUND);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, V("")), STORE_VARIES);
	ck_assert_int_eq(fix_get(&f, it.key, "*\n", V("plain")), STORE_NONE);
	ck_assert_int_eq(fix_verify(&f), 0);
	ck_assert_int_eq(fix_remove(&f, it.key), 0);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, V("")), STORE_NONE);
	ck_assert_int_eq(fix_get(&f, it.key, it.selecting, V("")), STORE_NONE);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(variants_are_bounded)
{
	struct item it = {.key = "GET http://example.com/v", .vary = "cookie", .body = V("x")};
	struct store_usage u;
	char selecting[32];
	struct fix f;

	fix_start(&f, 64u << 20);
	it.selecting = selecting;
	for (int i = 0; i < 70; i++) {
		snprintf(selecting, sizeof(selecting), "cookie:%d\n", i);
		ck_assert_int_eq(fix_queue(&f, &it), 0);
	}
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 64);
	ck_assert_int_eq(fix_get(&f, it.key, "cookie:5\n", V("x")), STORE_NONE);
	ck_assert_int_eq(fix_get(&f, it.key, "cookie:6\n", V("x")), STORE_FOUND);
	ck_assert_int_eq(fix_verify(&f), 0);
	ck_assert_int_eq(fix_remove(&f, it.key), 0);
	ck_assert_uint_eq(f.stats.removals, 64);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 0);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* An option's word; it may be lowered later. */
START_TEST(variants_max)
{
	struct item it = {.key = "GET http://example.com/v", .vary = "cookie", .body = V("x")};
	static const int64_t max[] = {5, 5, 2, 1};
	struct store_usage u;
	char selecting[32];
	struct fix f;

	fix_init(&f, 64u << 20);
	fix_open_home(&f);
	fix_open_store(&f);
	it.selecting = selecting;
	for (unsigned round = 0; round < ARRAY_LEN(max); round++) {
		f.options.variants_max = max[round];
		for (int i = 0; i < 7; i++) {
			snprintf(selecting, sizeof(selecting), "cookie:%u-%d\n", round, i);
			ck_assert_int_eq(fix_put(&f, &it), 0);
		}
		ck_assert_int_eq(store_usage(f.s, &u), 0);
		ck_assert_uint_eq(u.records, (uint64_t)max[round]);
		ck_assert_int_eq(fix_get(&f, it.key, selecting, V("x")), STORE_FOUND);
		ck_assert_int_eq(fix_verify(&f), 0);
	}
	fix_stop(&f);
}
END_TEST

struct seen {
	unsigned n, most;
	char text[256];
};

static bool see(void *arg, const struct store_record *r)
{
	struct seen *seen = arg;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s", VFMT(r->selecting));
	return ++seen->n < seen->most;
}

static void expect_variants(struct fix *f, const char *key, unsigned max, unsigned most, const char *text)
{
	struct seen seen = {.most = most};
	struct store_key k;

	store_key_init(f->s, view_of(key), &k);
	store_variants(f->s, &k, max, see, &seen);
	ck_assert_str_eq(seen.text, text);
}

/* Another selecting text for a body that is there: it stays when one of the two goes. */
START_TEST(alias)
{
	struct item it = {.key = "GET http://example.com/v", .vary = "accept-language"}, to = it;
	size_t len = _i ? 100000 : 500;
	struct store_record r;
	struct store_usage u;
	struct store_hit hit;
	struct store_key key;
	uint64_t id;
	struct fix f;

	fix_start(&f, 64u << 20);
	it.selecting = langs[0];
	it.body = fix_bytes(bytes, len, 1);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_find(&f, it.key, langs[0], &hit), STORE_FOUND);
	id = hit.record.id;
	store_hit_done(f.s, &hit);

	to.selecting = langs[1];
	to.head = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nX-New: 1\r\n";
	to.lifetime = 77;
	fix_record(&to, &r);
	store_key_init(f.s, view_of(it.key), &key);
	for (int twice = 0; twice < 2; twice++) {
		ck_assert_int_eq(store_alias(f.s, &key, &r, view_of(langs[0]), id, fix_done, &f), 0);
		f.pending++;
		ck_assert_int_eq(fix_wait(&f), 0);
	}
	ck_assert_int_eq(fix_find(&f, it.key, langs[1], &hit), STORE_FOUND);
	ck_assert(fix_body_is(&hit, it.body));
	ck_assert_uint_eq(hit.record.meta.lifetime, 77);
	ck_view_eq(hit.record.head, to.head);
	ck_assert(hit.record.id != id);
	store_hit_done(f.s, &hit);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 2);
	ck_assert_uint_eq(u.blobs, (unsigned)_i);
	ck_assert_int_eq(fix_verify(&f), 0);
	expect_variants(&f, it.key, 9, 9, "accept-language:en\naccept-language:de\n");
	expect_variants(&f, it.key, 1, 9, "accept-language:en\n");
	expect_variants(&f, it.key, 9, 1, "accept-language:en\n");
	expect_variants(&f, "GET http://example.com/none", 9, 9, "");

	/* The first one goes alone. */
	fix_record(&it, &r);
	ck_assert_int_eq(store_remove_one(f.s, &key, &r, id, fix_done, &f), 0);
	f.pending++;
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_int_eq(fix_get(&f, it.key, langs[0], V("")), STORE_NONE);
	ck_assert_int_eq(fix_get(&f, it.key, langs[1], it.body), STORE_FOUND);
	ck_assert_int_eq(fix_verify(&f), 0);
	/* What is gone is nobody's body, and is not removed again. */
	ck_assert_int_eq(store_remove_one(f.s, &key, &r, id, fix_done, &f), 0);
	f.pending++;
	ck_assert_int_eq(fix_wait(&f), LARDER_ENOENT);
	ck_assert_int_eq(store_alias(f.s, &key, &r, view_of(langs[0]), id, fix_done, &f), 0);
	f.pending++;
	ck_assert_int_eq(fix_wait(&f), LARDER_ENOENT);
	expect_variants(&f, it.key, 9, 9, "accept-language:en\n");
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* One that has no Vary stands beside those that have (RFC 9111 §4.1). */
START_TEST(beside)
{
	struct item it = {.key = "GET http://example.com/v", .vary = "accept-language", .selecting = langs[0],
	                  .body = V("de")};
	struct item plain = {.key = "GET http://example.com/v", .body = V("any")};
	struct store_usage u;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	for (int twice = 0; twice < 2; twice++)
		ck_assert_int_eq(fix_put(&f, &plain), 0);
	ck_assert_int_eq(fix_get(&f, it.key, it.selecting, it.body), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, it.key, "*\n", plain.body), STORE_FOUND);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, V("")), STORE_VARIES);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 2);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* One that has no Vary gets one, then another. _i: whether its body is a file. */
START_TEST(move)
{
	size_t len = _i ? 100000 : 100;
	struct item it = {.key = "GET http://example.com/v"}, to = {.vary = "accept-language", .head = "HTTP/1.1 200 OK\r\nX-New: 1\r\n"};
	struct store_record r, from;
	struct store_usage u;
	struct store_hit hit;
	struct store_key key;
	uint64_t id;
	struct fix f;

	fix_start(&f, 64u << 20);
	it.body = fix_bytes(bytes, len, 1);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
	id = hit.record.id;
	store_hit_done(f.s, &hit);
	store_key_init(f.s, view_of(it.key), &key);
	fix_record(&it, &from);
	for (int i = 0; i < 2; i++) {
		to.selecting = langs[i];
		fix_record(&to, &r);
		r.tags = V("");
		ck_assert_int_eq(store_move(f.s, &key, &r, &from, id, fix_done, &f), 0);
		f.pending++;
		ck_assert_int_eq(fix_wait(&f), 0);
		ck_assert_int_eq(fix_find(&f, it.key, langs[i], &hit), STORE_FOUND);
		ck_assert(fix_body_is(&hit, it.body));
		ck_assert_uint_eq(hit.record.id, id);
		ck_view_eq(hit.record.head, to.head);
		store_hit_done(f.s, &hit);
		from = r;
	}
	ck_assert_int_eq(fix_get(&f, it.key, langs[0], V("")), STORE_NONE);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 1);
	ck_assert_uint_eq(u.blobs, (unsigned)_i);
	ck_assert_int_eq(fix_verify(&f), 0);
	/* It is not where it was. */
	fix_record(&it, &from);
	ck_assert_int_eq(store_move(f.s, &key, &r, &from, id, fix_done, &f), 0);
	f.pending++;
	ck_assert_int_eq(fix_wait(&f), LARDER_ENOENT);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* Of a response without Vary. */
START_TEST(remove_one)
{
	struct item it = {.key = "GET http://example.com/a", .body = V("x")};
	struct store_record r;
	struct store_hit hit;
	struct store_key key;
	uint64_t id;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
	id = hit.record.id;
	store_hit_done(f.s, &hit);
	fix_record(&it, &r);
	store_key_init(f.s, view_of(it.key), &key);
	for (int own = 0; own < 2; own++) {
		ck_assert_int_eq(store_remove_one(f.s, &key, &r, own ? id : id + 1, fix_done, &f), 0);
		f.pending++;
		ck_assert_int_eq(fix_wait(&f), own ? 0 : LARDER_ENOENT);
		ck_assert_int_eq(fix_get(&f, it.key, NULL, V("x")), own ? STORE_NONE : STORE_FOUND);
	}
	expect_variants(&f, it.key, 9, 9, "");
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/variants", tcase_add_test(tc, variants);
          tcase_add_test(tc, variants_are_bounded); tcase_add_test(tc, variants_max);
          tcase_add_loop_test(tc, alias, 0, 2); tcase_add_test(tc, remove_one);
          tcase_add_test(tc, beside); tcase_add_loop_test(tc, move, 0, 2);)
