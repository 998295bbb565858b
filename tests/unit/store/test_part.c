/* Bodies of which only some bytes are stored. */
#include "partial.h"

#include <fcntl.h>

#include "base/clock.h"
#include "cache/rules.h"
#include "store/variants.h"

#define MIB   (1u << 20)
#define LARGE (2 * MIB)

static char bytes[LARGE];

static struct partial a_part(uint64_t seed)
{
	return (struct partial){.item = {.key = "GET http://a.example/large", .lifetime = 60,
	                                 .body = fix_bytes(bytes, LARGE, seed)}};
}

static void settle(struct fix *f)
{
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(fix_remove(f, "GET http://nowhere/"), 0);
}

START_TEST(grows_and_becomes_whole)
{
	struct partial p = a_part(1);
	struct store_extents have;
	struct store_usage u;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	ck_assert_uint_eq(partial_bytes(&f, &p), 0);
	ck_assert_int_eq(partial_add(&f, &p, 100000, 200000), 0);
	ck_assert_int_eq(partial_add(&f, &p, 900001, 900002), 0);
	ck_assert_uint_eq(partial_bytes(&f, &p), 100001);
	ck_assert_int_eq(partial_finish(&f, &p), LARDER_EAGAIN);
	ck_assert_int_eq(partial_add(&f, &p, 200000, 900001), 0);
	ck_assert_int_eq(partial_find(&f, &p, &have), STORE_PART);
	ck_assert_uint_eq(have.n, 1);
	store_extents_fini(&have);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.parts, 1);
	ck_assert_uint_ge(u.part_bytes, 800002);
	ck_assert_uint_le(u.part_bytes, 800002 + 16 * 4096);
	ck_assert_int_eq(fix_verify(&f), 0);
	partial_close(&f, &p);
	fix_reopen(&f);
	ck_assert_int_eq(partial_open(&f, &p), 0);
	ck_assert_int_eq(partial_add(&f, &p, 0, 100000), 0);
	ck_assert_int_eq(partial_add(&f, &p, 900002, LARGE), 0);
	ck_assert_uint_eq(partial_bytes(&f, &p), LARGE);
	ck_assert_int_eq(partial_finish(&f, &p), 0);
	ck_assert_int_eq(fix_get(&f, p.item.key, NULL, p.item.body), STORE_FOUND);
	ck_assert_int_eq(partial_add(&f, &p, 0, 10), LARDER_ENOENT);
	partial_close(&f, &p);
	settle(&f);
	ck_assert_uint_eq(partial_files(&f), 0);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.parts + u.part_bytes, 0);
	ck_assert_uint_eq(u.blobs, 1);
	ck_assert_uint_eq(u.allocated, u.index_bytes + u.blob_bytes);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* Whatever takes the record away takes the file, too, but not from who reads it. */
START_TEST(goes)
{
	struct partial p = a_part(2), other = a_part(3);
	struct store_usage u;
	struct fix f;
	char got[10];

	p.item.body = fix_bytes(bytes, LARGE, 2);
	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	ck_assert_int_eq(partial_add(&f, &p, 0, 500000), 0);
	switch (_i) {
	case 0:
		ck_assert_int_eq(fix_remove(&f, p.item.key), 0);
		break;
	case 1:
		ck_assert_int_eq(partial_drop(&f, &p), 0);
		break;
	case 2: /* a whole one comes */
		ck_assert_int_eq(fix_put(&f, &p.item), 0);
		ck_assert_int_eq(fix_get(&f, p.item.key, NULL, p.item.body), STORE_FOUND);
		break;
	case 3: /* one with another validator */
		other.item.body = p.item.body;
		other.item.head = "HTTP/1.1 200 OK\r\nETag: \"v2\"\r\n";
		ck_assert_int_eq(partial_create(&f, &other), 0);
		partial_close(&f, &other);
		break;
	}
	ck_assert_int_eq(partial_add(&f, &p, 600000, 700000), LARDER_ENOENT);
	ck_assert_int_eq(partial_drop(&f, &p), LARDER_ENOENT);
	ck_assert_int_eq(partial_finish(&f, &p), LARDER_ENOENT);
	ck_assert_int_eq(pread(store_file_fd(p.file), got, 10, 1000), 10);
	ck_assert_int_eq(memcmp(got, p.item.body.ptr + 1000, 10), 0);
	settle(&f);
	ck_assert_uint_eq(partial_files(&f), _i == 3);
	/* What a reader keeps of it counts. */
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_ge(u.allocated, u.index_bytes + u.blob_bytes + u.part_bytes + 500000);
	partial_close(&f, &p);
	settle(&f);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.allocated, u.index_bytes + u.blob_bytes + u.part_bytes);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(kept_of_a_spool)
{
	struct partial p = a_part(4);
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_keep(&f, &p, 1000), LARDER_ENOENT); /* still in memory */
	ck_assert_int_eq(partial_keep(&f, &p, 1500000), 0);
	ck_assert_uint_eq(partial_bytes(&f, &p), 1500000);
	partial_close(&f, &p);
	/* Of two fetches that broke off the one that came further counts. */
	ck_assert_int_eq(partial_keep(&f, &p, 700000), LARDER_EAGAIN);
	ck_assert_uint_eq(partial_bytes(&f, &p), 1500000);
	ck_assert_int_eq(partial_open(&f, &p), 0);
	ck_assert_int_eq(partial_add(&f, &p, 1500000, LARGE), 0);
	ck_assert_int_eq(partial_finish(&f, &p), 0);
	ck_assert_int_eq(fix_get(&f, p.item.key, NULL, p.item.body), STORE_FOUND);
	partial_close(&f, &p);
	settle(&f);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* A head that came with a new stretch replaces the stored one; a 304's does so, too. */
START_TEST(freshened)
{
	struct partial p = a_part(5);
	struct store_run run = {0};
	struct store_record r;
	struct store_key key;
	struct store_hit hit;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	store_key_init(f.s, view_of(p.item.key), &key);
	partial_record(&p, &r);
	r.head = V("HTTP/1.1 200 OK\r\nX-New: 1\r\nETag: \"v1\"\r\n");
	r.meta.lifetime = 77;
	ck_assert_int_eq(partial_write(&f, &p, &run, 5, 105), 0);
	ck_assert_int_eq(store_part_extend(f.s, &key, &r, p.id, p.file, &run, 5, 105, fix_done, &f), 0);
	f.pending++;
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_int_eq(fix_find(&f, p.item.key, NULL, &hit), STORE_PART);
	ck_view_eq(hit.record.head, "HTTP/1.1 200 OK\r\nX-New: 1\r\nETag: \"v1\"\r\n");
	ck_view_eq(hit.record.etag, "\"v1\"");
	ck_assert_uint_eq(hit.record.meta.lifetime, 77);
	ck_assert_uint_eq(hit.record.id, p.id);
	store_hit_done(f.s, &hit);
	r.meta.lifetime = 99;
	ck_assert_int_eq(store_update(f.s, &key, &r, p.id, fix_done, &f), 0);
	f.pending++;
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_uint_eq(partial_bytes(&f, &p), 100);
	partial_close(&f, &p);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* They stand in the queues as others do, by the bytes that are there, and the cap holds. */
START_TEST(evicted)
{
	uint64_t size = 24u << 20, most = 0;
	unsigned left = 0;
	struct fix f;
	char key[64];

	fix_start(&f, size);
	for (unsigned n = 0; n < 60; n++) {
		struct partial p = a_part(100 + n);

		snprintf(key, sizeof(key), "GET http://a.example/%u", n);
		p.item.key = key;
		ck_assert_int_eq(partial_create(&f, &p), 0);
		for (unsigned i = 0; i < 4; i++)
			ck_assert_int_eq(partial_add(&f, &p, i * 400000, i * 400000 + 300000), 0);
		partial_close(&f, &p);
		most = fix_du(&f) > most ? fix_du(&f) : most;
	}
	ck_assert_uint_gt(f.stats.evictions, 20);
	ck_assert_uint_le(most, size);
	for (unsigned n = 0; n < 60; n++) {
		struct partial p = a_part(100 + n);
		struct store_extents have;
		int ret;

		snprintf(key, sizeof(key), "GET http://a.example/%u", n);
		p.item.key = key;
		ret = partial_find(&f, &p, &have);
		ck_assert(ret == STORE_PART || ret == STORE_NONE);
		left += ret == STORE_PART;
		store_extents_fini(&have);
	}
	ck_assert_uint_gt(left, 3);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* A whole body larger than the cap has no room; what a run reserved is given back. */
START_TEST(limits)
{
	struct store_run run = {0};
	struct partial p = a_part(7);
	struct store_usage u;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert(!store_accepts_part(f.s, 64u << 10));
	ck_assert(store_accepts_part(f.s, (64u << 10) + 1));
	ck_assert(!store_accepts_part(f.s, 64u << 20));
	ck_assert_int_eq(partial_create(&f, &p), 0);
	ck_assert_int_eq(partial_write(&f, &p, &run, 0, 100000), 0);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_ge(u.allocated, u.index_bytes + u.part_bytes + 100000);
	store_run_fini(f.s, &run);
	partial_close(&f, &p);
	settle(&f);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.allocated, u.index_bytes + u.blob_bytes + u.part_bytes);
	fix_stop(&f);
}
END_TEST

/* Variants have parts of their own. */
/* A hole's fetch that began before the part was marked does not make it fresh again: its bytes are kept. */
START_TEST(marked_meanwhile)
{
	struct store_purge what = {.kind = STORE_PURGE_TAG, .text = V("red"), .soft = true};
	struct partial p = a_part(6);
	struct store_run run = {0};
	struct store_record r;
	struct store_key key;
	struct store_hit hit;
	struct fix f;

	p.item.lifetime = 600;
	p.item.tags = "s\nkred\n";
	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	store_key_init(f.s, view_of(p.item.key), &key);
	for (int late = 0; late < 2; late++) {
		partial_record(&p, &r);
		r.purges = store_purges(f.s);
		if (!late)
			ck_assert_int_eq(fix_purge(&f, &what), 0);
		ck_assert_int_eq(partial_write(&f, &p, &run, late * 200, late * 200 + 100), 0);
		ck_assert_int_eq(store_part_extend(f.s, &key, &r, p.id, p.file, &run, late * 200,
		                                   late * 200 + 100, fix_done, &f), 0);
		f.pending++;
		ck_assert_int_eq(fix_wait(&f), 0);
		ck_assert_uint_eq(partial_bytes(&f, &p), late ? 200 : 100);
		ck_assert_int_eq(fix_find(&f, p.item.key, NULL, &hit), STORE_PART);
		ck_assert_int_eq(cache_ttl(&hit.record.meta, clock_wall_s()) > 0, late);
		store_hit_done(f.s, &hit);
	}
	partial_close(&f, &p);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(variants)
{
	struct partial p = a_part(8);
	struct store_record r;
	struct store_key key;
	struct fix f;
	struct item whole = {.key = p.item.key, .vary = "accept", .selecting = "b", .body = V("small")};

	p.item.vary = "accept";
	p.item.selecting = "a";
	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	ck_assert_int_eq(fix_put(&f, &whole), 0);
	ck_assert_int_eq(partial_add(&f, &p, 70000, 80000), 0);
	ck_assert_uint_eq(partial_bytes(&f, &p), 10000);
	ck_assert_int_eq(fix_get(&f, p.item.key, "b", V("small")), STORE_FOUND);
	/* It can't be had under another variant's name, and nothing else fails with that. */
	store_key_init(f.s, view_of(p.item.key), &key);
	partial_record(&p, &r);
	r.selecting = V("c");
	ck_assert_int_eq(store_alias(f.s, &key, &r, V("a"), p.id, fix_done, &f), 0);
	f.pending++;
	ck_assert_int_eq(fix_wait(&f), LARDER_ENOENT);
	ck_assert_int_eq(store_alias(f.s, &key, &r, V("a"), p.id, NULL, NULL), 0);
	ck_assert_int_eq(partial_add(&f, &p, 90000, 95000), 0);
	ck_assert_int_eq(fix_get(&f, p.item.key, "c", V("")), STORE_NONE);
	ck_assert_int_eq(fix_verify(&f), 0);
	ck_assert_int_eq(fix_remove(&f, p.item.key), 0);
	partial_close(&f, &p);
	settle(&f);
	ck_assert_uint_eq(partial_files(&f), 0);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

static int repair(struct fix *f)
{
	struct store *s;
	char *why = NULL;
	int found;

	ck_assert_int_eq(store_open_tool(f->dir, true, &s, &why), 0);
	found = store_verify(s, true, true, NULL, fix_print, NULL);
	store_close(s);
	return found;
}

static void take(int at, const char *name)
{
	ck_assert_int_eq(unlinkat(at, name, 0), 0);
}

static void shorten(int at, const char *name)
{
	int fd = openat(at, name, O_RDWR);

	ck_assert_int_eq(ftruncate(fd, 5), 0);
	close(fd);
}

/* What can go wrong with files in parts/ is found, and put right. */
START_TEST(repaired)
{
	struct partial p = a_part(9);
	struct store_extents have;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	ck_assert_int_eq(partial_add(&f, &p, 0, 100000), 0);
	partial_close(&f, &p);
	fix_close_store(&f);
	store_home_free(f.home);
	if (_i < 2)
		partial_each(&f, _i ? shorten : take);
	else
		partial_stray(&f, 7);
	ck_assert_int_eq(repair(&f), 1);
	ck_assert_int_eq(repair(&f), 0);
	fix_open_home(&f);
	fix_open_store(&f);
	ck_assert_int_eq(partial_find(&f, &p, &have), _i == 2 ? STORE_PART : STORE_NONE);
	store_extents_fini(&have);
	settle(&f);
	ck_assert_uint_eq(partial_files(&f), _i == 2);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* A lookup that finds the file gone drops the record. */
START_TEST(a_missing_file_is_noticed)
{
	struct partial p = a_part(10);
	struct store_extents have;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	partial_close(&f, &p);
	fix_reopen(&f);
	ck_assert_uint_eq(partial_each(&f, take), 1);
	ck_assert_int_lt(partial_find(&f, &p, &have), 0);
	settle(&f);
	ck_assert_int_eq(partial_find(&f, &p, &have), STORE_NONE);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* The sweep takes away what a power cut left without a record. */
START_TEST(orphans_are_swept)
{
	struct partial p = a_part(11);
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	for (unsigned i = 100; i < 200; i++)
		partial_stray(&f, i);
	for (int i = 0; i < 2000 && __atomic_load_n(&f.stats.orphans, __ATOMIC_SEQ_CST) < 100; i++) {
		f.options.sweep_interval = 0;
		store_maintain(f.s, clock_mono_ms());
		usleep(5000);
	}
	ck_assert_uint_eq(f.stats.orphans, 100);
	ck_assert_uint_eq(partial_files(&f), 1);
	ck_assert_uint_eq(partial_bytes(&f, &p), 0);
	partial_close(&f, &p);
	fix_stop(&f);
}
END_TEST

/* The store may close while a body is being hashed. */
START_TEST(closing_while_hashing)
{
	struct partial p = a_part(12);
	struct store_record r;
	struct store_key key;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(partial_create(&f, &p), 0);
	ck_assert_int_eq(partial_add(&f, &p, 0, LARGE), 0);
	store_key_init(f.s, view_of(p.item.key), &key);
	partial_record(&p, &r);
	ck_assert_int_eq(store_part_finish(f.s, &key, &r, p.id, p.file, fix_done, &f), 0);
	f.pending++;
	partial_close(&f, &p);
	fix_close_store(&f);
	ck_assert_uint_eq(f.pending, 0);
	ck_assert_int_eq(f.err, LARDER_ECLOSED);
	fix_open_store(&f);
	ck_assert_uint_eq(partial_bytes(&f, &p), LARGE);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/part", tcase_add_test(tc, grows_and_becomes_whole); tcase_add_loop_test(tc, goes, 0, 4);
          tcase_add_test(tc, kept_of_a_spool); tcase_add_test(tc, freshened); tcase_add_test(tc, evicted);
          tcase_add_test(tc, limits); tcase_add_test(tc, variants); tcase_add_test(tc, marked_meanwhile); tcase_add_loop_test(tc, repaired, 0, 3);
          tcase_add_test(tc, a_missing_file_is_noticed); tcase_add_test(tc, orphans_are_swept);
          tcase_add_test(tc, closing_while_hashing);)
