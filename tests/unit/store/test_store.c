#include "fixture.h"

#include <fcntl.h>

#define MAX_BODY (1u << 20)
static char bytes[MAX_BODY + 1];

/* Bodies of every kind of place: none, in the leaf, in a run of pages, at the edge, in a file. */
static const size_t sizes[] = {0, 1, 500, 4000, 5000, 65535, 65536, 65537, 300000, MAX_BODY};

START_TEST(put_and_find)
{
	struct view body = fix_bytes(bytes, sizes[_i], 7);
	struct item it = {.key = "GET http://example.com/a", .body = body, .lifetime = 60};
	struct store_hit hit;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, body), STORE_NONE);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
		ck_assert(fix_body_is(&hit, body));
		ck_assert_uint_eq(hit.record.length, body.len);
		ck_assert_uint_eq(hit.record.meta.lifetime, 60);
		ck_assert_uint_eq(hit.record.origin_port, 80);
		ck_view_eq(hit.record.key, it.key);
		ck_view_eq(hit.record.etag, "\"v1\"");
		ck_assert(hit.record.id > 0);
		ck_assert((hit.file != NULL) == (body.len > 65536));
		store_hit_done(f.s, &hit);
		ck_assert_int_eq(fix_verify(&f), 0);
		fix_reopen(&f);
	}
	ck_assert_int_eq(fix_get(&f, "GET http://example.com/b", NULL, body), STORE_NONE);
	fix_stop(&f);
}
END_TEST

START_TEST(replace)
{
	struct item it = {.key = "GET http://example.com/a"};
	struct store_usage u;
	struct store_hit hit;
	uint64_t id = 0;
	struct fix f;

	fix_start(&f, 64u << 20);
	for (size_t i = 0; i < 2 * ARRAY_LEN(sizes); i++) {
		it.body = fix_bytes(bytes, sizes[(i * 7) % ARRAY_LEN(sizes)], i);
		ck_assert_int_eq(fix_put(&f, &it), 0);
		ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
		ck_assert(fix_body_is(&hit, it.body));
		ck_assert(hit.record.id > id);
		id = hit.record.id;
		store_hit_done(f.s, &hit);
	}
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.records, 1);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

static int update(struct fix *f, const struct item *it, uint64_t id)
{
	struct store_record r;
	struct store_key key;

	fix_record(it, &r);
	store_key_init(f->s, view_of(it->key), &key);
	ck_assert_int_eq(store_update(f->s, &key, &r, id, fix_done, f), 0);
	f->pending++;
	return fix_wait(f);
}

START_TEST(update_keeps_body_and_id)
{
	struct view body = fix_bytes(bytes, sizes[_i], 3);
	struct item it = {.key = "GET http://example.com/u", .body = body, .lifetime = 1};
	struct item fresh = {
	        .key = it.key,
	        .body = body,
	        .lifetime = 99,
	        .head = "HTTP/1.1 200 OK\r\nX-Long: 0123456789012345678901234567890\r\n"
	                "eTag:W/\"two\" \r\n"};
	struct store_hit hit;
	uint64_t id;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
	id = hit.record.id;
	store_hit_done(f.s, &hit);
	ck_assert_int_eq(update(&f, &fresh, id + 1), LARDER_ENOENT);
	ck_assert_int_eq(update(&f, &fresh, id), 0);
	ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
	ck_assert_uint_eq(hit.record.id, id);
	ck_assert_uint_eq(hit.record.meta.lifetime, 99);
	ck_view_eq(hit.record.head, fresh.head);
	ck_view_eq(hit.record.etag, "W/\"two\"");
	ck_assert(fix_body_is(&hit, body));
	store_hit_done(f.s, &hit);
	ck_assert_int_eq(fix_verify(&f), 0);
	ck_assert_int_eq(fix_remove(&f, it.key), 0);
	ck_assert_int_eq(update(&f, &fresh, id), LARDER_ENOENT);
	fix_stop(&f);
}
END_TEST

static void wait_blobs(struct fix *f, uint64_t n)
{
	struct store_usage u;

	/* Removals that find nothing make the writer turn over. */
	do {
		ck_assert_int_eq(fix_remove(f, "GET http://nowhere/"), 0);
		ck_assert_int_eq(store_usage(f->s, &u), 0);
	} while (u.blobs != n);
}

START_TEST(equal_bodies_share_a_file)
{
	struct view body = fix_bytes(bytes, 200000, 1);
	struct item a = {.key = "GET http://a/", .body = body};
	struct item b = {.key = "GET http://b/", .body = body};
	struct store_usage u;
	struct store_file *file;
	struct store_hit hit;
	char byte;
	struct fix f;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &a), 0);
	ck_assert_int_eq(fix_put(&f, &b), 0);
	ck_assert_int_eq(fix_put(&f, &b), 0);
	ck_assert_uint_eq(f.stats.dedup, 2);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	ck_assert_uint_eq(u.blobs, 1);
	ck_assert_uint_eq(u.records, 2);
	ck_assert_int_eq(fix_remove(&f, a.key), 0);
	ck_assert_int_eq(fix_get(&f, b.key, NULL, body), STORE_FOUND);
	ck_assert_int_eq(fix_find(&f, b.key, NULL, &hit), STORE_FOUND);
	file = store_hit_take_file(&hit);
	store_hit_done(f.s, &hit);
	ck_assert_int_eq(fix_remove(&f, b.key), 0);
	wait_blobs(&f, 0);
	ck_assert_uint_eq(f.stats.blobs_removed, 1);
	/* Whoever reads it goes on reading. */
	ck_assert_int_eq(pread(store_file_fd(file), &byte, 1, 199999), 1);
	ck_assert_int_eq(byte, bytes[199999]);
	store_file_unref(f.s, file);
	/* A body that comes again while its file is being removed. */
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(fix_put(&f, i % 2 ? &a : &b), 0);
		ck_assert_int_eq(fix_get(&f, i % 2 ? a.key : b.key, NULL, body), STORE_FOUND);
		ck_assert_int_eq(fix_remove(&f, i % 2 ? a.key : b.key), 0);
	}
	ck_assert_int_eq(fix_put(&f, &a), 0);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(durability_modes)
{
	struct item it = {.key = "GET http://example.com/d"};
	struct fix f;

	fix_init(&f, 64u << 20);
	f.options.durability = _i;
	fix_open_home(&f);
	fix_open_store(&f);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		it.body = fix_bytes(bytes, sizes[i], i);
		ck_assert_int_eq(fix_put(&f, &it), 0);
		fix_reopen(&f);
		ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_FOUND);
	}
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

START_TEST(spool_is_readable_while_it_grows)
{
	struct store_piece piece;
	struct store_spool *sp;
	char *copy = malloc(MAX_BODY);
	size_t step = 10007;
	struct fix f;

	fix_start(&f, 64u << 20);
	fix_bytes(bytes, MAX_BODY, 11);
	sp = store_spool_new(f.s, HTTP_LENGTH_UNKNOWN);
	store_spool_read(sp, 0, &piece);
	ck_assert_uint_eq(piece.len, 0);
	for (size_t at = 0; at < 300000; at += step) {
		ck_assert_int_eq(store_spool_append(sp, view_make(bytes + at, step)), 0);
		ck_assert_uint_eq(store_spool_length(sp), at + step);
		store_spool_read(sp, at / 2, &piece);
		ck_assert_uint_eq(piece.len, at + step - at / 2);
		ck_assert((piece.fd < 0) == (at + step <= 65536));
		if (piece.fd < 0)
			ck_assert_mem_eq(piece.mem.ptr, bytes + at / 2, piece.len);
		else
			ck_assert_int_eq(pread(piece.fd, copy, piece.len, (off_t)(at / 2)),
			                 (ssize_t)piece.len);
		if (piece.fd >= 0)
			ck_assert_mem_eq(copy, bytes + at / 2, piece.len);
	}
	ck_assert_uint_eq(f.stats.spools, 1);
	store_spool_unref(sp);
	ck_assert_uint_eq(f.stats.spools, 0);
	free(copy);
	fix_stop(&f);
}
END_TEST

START_TEST(limits_of_spool_and_queue)
{
	struct item big = {.key = "GET http://example.com/big"};
	struct item it = {.key = "GET http://example.com/q"};
	struct fix f;
	int err = 0;

	fix_init(&f, 64u << 20);
	f.options.object_max = 100000;
	f.options.queue_bytes = 1u << 20;
	f.options.store_wait = 0;
	fix_open_home(&f);
	fix_open_store(&f);
	big.body = fix_bytes(bytes, 100001, 1);
	ck_assert_int_eq(fix_put(&f, &big), LARDER_ELIMIT);
	ck_assert_uint_eq(f.stats.spools, 0);
	it.body = fix_bytes(bytes, 60000, 1);
	for (int i = 0; i < 100000 && !err; i++)
		err = fix_queue(&f, &it);
	ck_assert_int_eq(err, LARDER_ENOSPC);
	ck_assert_uint_eq(stat_get(&f.stats.refused_queue), 1);
	ck_assert_uint_lt(stat_get(&f.stats.queue_bytes), (1u << 20) + 62000);
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_uint_eq(f.stats.queue_bytes, 0);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	fix_stop(&f);
}
END_TEST

/* Very many small bodies at once that do not end: what they hold in memory is bounded, the others are in files. */
START_TEST(slow_small_bodies)
{
	enum { N = 20, LEN = 50000 };
	struct item it[N] = {0};
	struct store_spool *sp[N];
	struct store_piece piece;
	char keys[N][40];
	unsigned files = 0;
	struct fix f;

	fix_init(&f, 64u << 20);
	f.options.queue_bytes = 1u << 20;
	fix_open_home(&f);
	fix_open_store(&f);
	for (unsigned i = 0; i < N; i++) {
		snprintf(keys[i], sizeof(keys[i]), "GET http://example.com/%u", i);
		it[i] = (struct item){.key = keys[i], .body = fix_bytes(bytes + i * LEN, LEN, i)};
		sp[i] = store_spool_new(f.s, _i ? LEN : HTTP_LENGTH_UNKNOWN);
		ck_assert_int_eq(store_spool_append(sp[i], view_make(it[i].body.ptr, 20000)), 0);
		ck_assert_int_eq(store_spool_append(sp[i], view_make(it[i].body.ptr + 20000, LEN - 20000)), 0);
		store_spool_read(sp[i], 0, &piece);
		files += piece.fd >= 0;
	}
	ck_assert_uint_gt(files, N / 2);
	ck_assert_uint_lt(files, N);
	for (unsigned i = 0; i < N; i++) {
		struct store_record r;
		struct store_key key;

		fix_record(&it[i], &r);
		store_key_init(f.s, view_of(it[i].key), &key);
		ck_assert_int_eq(store_commit(f.s, &key, &r, sp[i], fix_done, &f), 0);
		f.pending++;
		store_spool_unref(sp[i]);
	}
	ck_assert_int_eq(fix_wait(&f), 0);
	for (unsigned i = 0; i < N; i++)
		ck_assert_int_eq(fix_get(&f, it[i].key, NULL, it[i].body), STORE_FOUND);
	/* They are there no longer: there is memory again. */
	sp[0] = store_spool_new(f.s, HTTP_LENGTH_UNKNOWN);
	ck_assert_int_eq(store_spool_append(sp[0], view_make(bytes, LEN)), 0);
	store_spool_read(sp[0], 0, &piece);
	ck_assert_int_lt(piece.fd, 0);
	store_spool_unref(sp[0]);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* Bytes on disk that no name leads to any more. */
static uint64_t nameless(struct fix *f)
{
	struct store_usage u;

	store_maintain(f->s, clock_mono_ms());
	ck_assert_int_eq(store_usage(f->s, &u), 0);
	return u.allocated - u.index_bytes - u.blob_bytes;
}

START_TEST(removed_bodies_count_while_they_are_read)
{
	struct item it = {.key = "GET http://example.com/r", .body = fix_bytes(bytes, 200000, 5)};
	struct store_spool *sp;
	struct store_file *file;
	struct store_record r;
	struct store_hit hit;
	struct store_key key;
	struct fix f;

	fix_init(&f, 64u << 20);
	/* No place in the table of open files: it counts all the same. */
	f.options.open_files = 0;
	fix_open_home(&f);
	fix_open_store(&f);
	for (int i = 0; i < 2; i++) {
		sp = store_spool_new(f.s, it.body.len);
		fix_record(&it, &r);
		store_key_init(f.s, view_of(it.key), &key);
		ck_assert_int_eq(store_spool_append(sp, it.body), 0);
		ck_assert_int_eq(store_commit(f.s, &key, &r, sp, fix_done, &f), 0);
		f.pending++;
		ck_assert_int_eq(fix_wait(&f), 0);
		ck_assert_int_eq(fix_find(&f, it.key, NULL, &hit), STORE_FOUND);
		file = store_hit_take_file(&hit);
		store_hit_done(f.s, &hit);
		/* Once with a reader of the spool, once with one of the file. */
		if (i) {
			store_spool_unref(sp);
			sp = NULL;
		} else {
			store_file_unref(f.s, file);
			file = NULL;
		}
		ck_assert_uint_eq(nameless(&f), 0);
		ck_assert_int_eq(fix_remove(&f, it.key), 0);
		wait_blobs(&f, 0);
		ck_assert_uint_ge(nameless(&f), it.body.len);
		store_spool_unref(sp);
		store_file_unref(f.s, file);
		ck_assert_uint_eq(nameless(&f), 0);
	}
	fix_stop(&f);
}
END_TEST

START_TEST(close_answers_everything)
{
	struct item it = {.key = "GET http://example.com/c", .body = V("body")};
	struct fix f;

	fix_start(&f, 64u << 20);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(fix_queue(&f, &it), 0);
	store_close(f.s);
	ck_assert_uint_eq(f.pending, 0);
	ck_assert_int_eq(f.err, 0);
	net_loop_free(f.loop);
	fix_open_store(&f);
	ck_assert_int_eq(fix_get(&f, it.key, NULL, it.body), STORE_FOUND);
	fix_stop(&f);
}
END_TEST

/* On a full disk a reader that takes a slot of lock.mdb must not need room for it. */
START_TEST(slots_are_allocated)
{
	char path[600];
	struct stat st;
	struct fix f;

	fix_start(&f, 64u << 20);
	snprintf(path, sizeof(path), "%s/index/lock.mdb", f.dir);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_gt(st.st_size, 64 * 1022);
	ck_assert_int_ge(st.st_blocks * 512, st.st_size);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/store", tcase_add_loop_test(tc, put_and_find, 0, ARRAY_LEN(sizes));
          tcase_add_test(tc, replace);
          tcase_add_loop_test(tc, update_keeps_body_and_id, 0, ARRAY_LEN(sizes));
          tcase_add_test(tc, equal_bodies_share_a_file);
          tcase_add_loop_test(tc, durability_modes, 0, 3);
          tcase_add_test(tc, spool_is_readable_while_it_grows);
          tcase_add_test(tc, limits_of_spool_and_queue);
          tcase_add_loop_test(tc, slow_small_bodies, 0, 2);
          tcase_add_test(tc, removed_bodies_count_while_they_are_read);
          tcase_add_test(tc, close_answers_everything);
          tcase_add_test(tc, slots_are_allocated);)
