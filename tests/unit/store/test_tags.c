/* Tags: stored, changed and removed with their entry. */
#include "fixture.h"

static struct fix f;

#define PLAIN "GET http://example.com"

static uint64_t tag_rows(void)
{
	struct store_usage u;

	ck_assert_int_eq(store_usage(f.s, &u), 0);
	return u.tags;
}

START_TEST(tags_go_with_the_entry)
{
	struct item it = {.key = PLAIN "/t", .body = V("t"), .tags = "s\nka\nkb\ngc\n"};
	struct item v = {.key = PLAIN "/v", .vary = "accept", .body = V("v")};
	struct store_key key;
	struct buf groups;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_uint_eq(tag_rows(), 3);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_uint_eq(tag_rows(), 3);
	it.tags = "s\nkb\ngd\n"; /* replaced */
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_uint_eq(tag_rows(), 2);
	ck_assert_int_eq(fix_verify(&f), 0);
	v.selecting = "accept:1\n";
	v.tags = "s\nkone\ngboth\ngone\n";
	ck_assert_int_eq(fix_put(&f, &v), 0);
	v.selecting = "accept:2\n";
	v.tags = "s\nktwo\ngboth\n";
	ck_assert_int_eq(fix_put(&f, &v), 0);
	ck_assert_uint_eq(tag_rows(), 7);
	buf_init(&groups, 1000);
	store_key_init(f.s, view_of(v.key), &key);
	ck_assert_int_eq(store_groups(f.s, &key, &groups), 0);
	ck_view_eq(buf_view(&groups), "both\none\nboth\n");
	store_key_init(f.s, V(PLAIN "/nothing"), &key);
	ck_assert_int_eq(store_groups(f.s, &key, &groups), 0);
	ck_assert_uint_eq(groups.len, 14);
	buf_fini(&groups);
	/* One variant has the tag: the other stays. */
	ck_assert_int_eq(fix_purge(&f, &(struct store_purge){.kind = STORE_PURGE_TAG, .text = V("two")}), 0);
	ck_assert_uint_eq(f.purged.responses, 1);
	ck_assert_int_eq(fix_get(&f, v.key, "accept:2\n", v.body), STORE_NONE);
	ck_assert_int_eq(fix_get(&f, v.key, "accept:1\n", v.body), STORE_FOUND);
	ck_assert_uint_eq(tag_rows(), 5);
	ck_assert_int_eq(fix_remove(&f, v.key), 0);
	ck_assert_uint_eq(tag_rows(), 2);
	/* Another Vary drops them all. */
	ck_assert_int_eq(fix_put(&f, &v), 0);
	v.vary = "cookie";
	v.tags = NULL;
	ck_assert_int_eq(fix_put(&f, &v), 0);
	ck_assert_uint_eq(tag_rows(), 2);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(updates_keep_or_change_tags)
{
	struct item it = {.key = PLAIN "/t", .body = V("t"), .tags = "s\nka\nkb\n"};
	struct store_record r;
	struct store_key key;
	struct store_hit hit;
	uint64_t id;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
	id = hit.record.id;
	store_hit_done(f.s, &hit);
	fix_record(&it, &r);
	store_key_init(f.s, view_of(it.key), &key);
	for (unsigned i = 0; i < 2; i++) {
		r.tags = i ? V("s\nkc\n") : view_make(NULL, 0);
		f.pending++;
		ck_assert_int_eq(store_update(f.s, &key, &r, id, fix_done, &f), 0);
		ck_assert_int_eq(fix_wait(&f), 0);
		ck_assert_uint_eq(tag_rows(), i ? 1 : 2);
		ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
		ck_view_eq(hit.record.tags, i ? "s\nkc\n" : "s\nka\nkb\n");
		store_hit_done(f.s, &hit);
		ck_assert_int_eq(fix_verify(&f), 0);
	}
	fix_stop(&f);
}
END_TEST

/* A store that is always full: what leaves takes its tags along, and purges find room. */
START_TEST(full_store)
{
	char tags[STORE_TAGS_BYTES], key[64], *body = malloc(20000);
	struct store_purge what = {.kind = STORE_PURGE_TAG, .soft = true};
	unsigned long evicted;

	fix_start(&f, 6u << 20);
	for (unsigned i = 0; i < 900; i++) {
		struct item it = {.key = key, .tags = tags, .lifetime = 600};
		int n = snprintf(tags, sizeof(tags), "s\nkmod%u\n", i % 7);

		for (unsigned t = 0; t < i % 40; t++)
			n += snprintf(tags + n, sizeof(tags) - (size_t)n, "%ctag-%u\n", t % 2 ? 'g' : 'k', t * i);
		snprintf(key, sizeof(key), "GET http://many.example/%u", i);
		it.body = fix_bytes(body, i % 5 ? 3000 : 20000, i);
		ck_assert_int_eq(fix_put(&f, &it), 0);
		if (i % 100 != 99)
			continue;
		what.soft = !what.soft;
		what.text = i % 200 == 99 ? V("mod3") : V("mod5");
		ck_assert_int_eq(fix_purge(&f, &what), 0);
	}
	evicted = f.stats.evictions;
	ck_assert_uint_gt(evicted, 100);
	ck_assert_uint_le(fix_du(&f), 6u << 20);
	ck_assert_int_eq(fix_verify(&f), 0);
	ck_assert_int_eq(fix_purge(&f, &(struct store_purge){.kind = STORE_PURGE_HOST, .text = V("many.example")}), 0);
	ck_assert_uint_eq(tag_rows(), 0);
	fix_stop(&f);
	free(body);
}
END_TEST

START_TEST(too_many)
{
	static char text[STORE_TAGS_BYTES + 10];
	struct item it = {.key = PLAIN "/t", .body = V("t"), .tags = text};
	int n = snprintf(text, sizeof(text), "s\n");

	fix_start(&f, 64u << 20);
	for (unsigned i = 0; i < STORE_TAGS_MAX; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "k%u\n", i);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_uint_eq(tag_rows(), STORE_TAGS_MAX);
	snprintf(text + n, sizeof(text) - (size_t)n, "kmore\n");
	ck_assert_int_eq(fix_put(&f, &it), LARDER_ELIMIT);
	memset(text, 'k', sizeof(text) - 1);
	text[1] = text[sizeof(text) - 2] = '\n';
	ck_assert_int_eq(fix_put(&f, &it), LARDER_ELIMIT);
	ck_assert_uint_eq(tag_rows(), STORE_TAGS_MAX);
	fix_stop(&f);
}
END_TEST

static const struct {
	const char *key, *origin;
} origins[] = {
        {"GET http://h/", "GET http://h"},
        {"GET http://h:8080/a/b?c", "GET http://h:8080"},
        {"GET https://h/", "GET https://h"},
        {"GET@o:80/p http://h/x", "GET@o:80/p http://h"},
        {"GET http://[::1]:1/", "GET http://[::1]:1"},
        {"GET nothing", "GET nothing"},
};

START_TEST(origin_of_a_key)
{
	ck_view_eq(store_key_origin(view_of(origins[_i].key)), origins[_i].origin);
}
END_TEST

UNIT_MAIN("store/tags", tcase_add_test(tc, tags_go_with_the_entry);
          tcase_add_test(tc, updates_keep_or_change_tags); tcase_add_test(tc, full_store);
          tcase_add_test(tc, too_many); tcase_add_loop_test(tc, origin_of_a_key, 0, ARRAY_LEN(origins));)
