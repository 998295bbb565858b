/* Lists, ranges, bodies of entries, removal in bulk, trimming. */
#include "fixture.h"
#include "store/list.h"

static struct fix f;

/* In the order of the table urls. */
static const struct item STORED[] = {
	{.key = "GET http://127.0.0.1:8080/a", .body = {"ip", 2}},
	{.key = "GET http://a.example/", .body = {"root", 4}},
	{.key = "GET http://a.example/dir/1", .body = {"1", 1}},
	{.key = "GET@10.0.0.1:80 http://a.example/dir/1", .body = {"reverse", 7}},
	{.key = "GET https://a.example/dir/1s", .body = {"tls", 3}},
	{.key = "GET http://a.example/dir/2?q", .body = {"2", 1}},
	{.key = "GET http://a.example/dirs", .body = {"s", 1}},
	{.key = "GET http://a.example:8080/dir/1", .body = {"port", 4}},
	{.key = "GET http://www.a.example/v", .vary = "accept", .selecting = "accept:x\n", .body = {"x", 1}},
	{.key = "GET http://www.a.example/v", .vary = "accept", .selecting = "accept:y\n", .body = {"yy", 2}},
	{.key = "GET http://xa.example/", .body = {"other", 5}},
};

static void start(void)
{
	fix_start(&f, 64u << 20);
	for (size_t i = 0; i < sizeof(STORED) / sizeof(STORED[0]); i++)
		ck_assert_int_eq(fix_put(&f, &STORED[i]), 0);
}

/* Listeners and URLs of all keys that a range holds, a line each. */
static void collect(const struct store_range *r, struct buf *out)
{
	struct store_list *l = store_list_new(f.s, r, STORE_LIST_KEYS);
	struct store_entry e;
	int ret;

	ck_assert_ptr_nonnull(l);
	while ((ret = store_list_next(l, &e)) == 1)
		buf_printf(out, "%.*s %.*s\n", VFMT(e.method), VFMT(e.url));
	ck_assert_int_eq(ret, 0);
	store_list_free(l);
	ck_assert_ptr_nonnull(buf_cstr(out));
}

#define PORTLESS                                                                                   \
	"GET http://a.example/\nGET http://a.example/dir/1\nGET@10.0.0.1:80 http://a.example/dir/1\n" \
	"GET https://a.example/dir/1s\nGET http://a.example/dir/2?q\nGET http://a.example/dirs\n"

static const struct {
	const char *url, *host;
	bool exact, below;
	uint16_t port;
	const char *keys;
} RANGES[] = {
	{.url = "http://a.example/dir/1", .exact = true,
	 .keys = "GET http://a.example/dir/1\nGET@10.0.0.1:80 http://a.example/dir/1\n"},
	{.url = "https://a.example/dir/1s", .exact = true, .keys = "GET https://a.example/dir/1s\n"},
	{.url = "https://a.example/", .keys = "GET https://a.example/dir/1s\n"},
	{.url = "http://a.example/dir/",
	 .keys = "GET http://a.example/dir/1\nGET@10.0.0.1:80 http://a.example/dir/1\n"
	         "GET http://a.example/dir/2?q\n"},
	{.url = "http://a.example:8080/", .keys = "GET http://a.example:8080/dir/1\n"},
	{.url = "http://a.example/", .exact = true, .keys = "GET http://a.example/\n"},
	{.url = "http://b.example/", .keys = ""},
	{.host = "a.example", .keys = PORTLESS "GET http://a.example:8080/dir/1\n"},
	{.host = "a.example", .port = 8080, .keys = "GET http://a.example:8080/dir/1\n"},
	{.host = "a.example", .port = 443, .keys = "GET https://a.example/dir/1s\n"},
	{.host = "a.example", .below = true,
	 .keys = "GET http://www.a.example/v\n" PORTLESS "GET http://a.example:8080/dir/1\n"},
	{.host = "xa.example", .below = true, .keys = "GET http://xa.example/\n"},
	{.host = "127.0.0.1", .keys = "GET http://127.0.0.1:8080/a\n"},
	{.host = "example", .keys = ""},
	{.keys = "GET http://127.0.0.1:8080/a\nGET http://www.a.example/v\n" PORTLESS
	         "GET http://a.example:8080/dir/1\nGET http://xa.example/\n"},
};

START_TEST(ranges)
{
	struct store_range r = {
	        .url = view_of(RANGES[_i].url),
	        .host = view_of(RANGES[_i].host),
	        .exact = RANGES[_i].exact,
	        .below = RANGES[_i].below,
	        .port = RANGES[_i].port,
	};
	struct buf got;

	start();
	buf_init(&got, 65536);
	collect(&r, &got);
	ck_assert_str_eq(got.data, RANGES[_i].keys);
	buf_fini(&got);
	fix_stop(&f);
}
END_TEST

START_TEST(variants)
{
	struct store_range r = {.host = V("www.a.example")};
	struct store_entry e;
	struct store_list *l;

	start();
	l = store_list_new(f.s, &r, STORE_LIST_RESPONSES);
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert_int_eq(store_list_next(l, &e), 1);
		ck_assert_uint_eq(e.variant, i);
		ck_assert_uint_eq(e.record.length, i);
		ck_view_eq(e.record.vary, "accept");
		ck_view_eq(e.record.selecting, i == 1 ? "accept:x\n" : "accept:y\n");
		ck_view_eq(e.record.etag, "\"v1\"");
		ck_assert(!e.blob && e.charge);
	}
	ck_assert_int_eq(store_list_next(l, &e), 0);
	store_list_free(l);
	l = store_list_new(f.s, &r, STORE_LIST_KEYS);
	ck_assert_int_eq(store_list_next(l, &e), 1);
	ck_assert_uint_eq(e.responses, 2);
	ck_assert_int_eq(store_list_next(l, &e), 0);
	store_list_free(l);
	fix_stop(&f);
}
END_TEST

/* A list goes on behind a place, also when what stood there is gone. */
START_TEST(places)
{
	struct store_range r = {.host = V("a.example")};
	struct store_entry e;
	struct store_list *l;
	char place[511];
	unsigned n = 0;

	start();
	for (;;) {
		int ret;

		l = store_list_new(f.s, &r, STORE_LIST_KEYS);
		ret = store_list_next(l, &e);
		if (ret == 1) {
			struct store_key key = {.text = e.record.key, .hash = e.hash};

			n++;
			ck_assert(view_eq(store_list_place(l), e.place));
			r.after = view_make(memcpy(place, e.place.ptr, e.place.len), e.place.len);
			ck_assert_int_eq(store_remove(f.s, &key, fix_done, &f), 0);
			f.pending++;
		}
		store_list_free(l);
		if (ret != 1)
			break;
		ck_assert_int_eq(fix_wait(&f), 0);
	}
	ck_assert_uint_eq(n, 7);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

static struct store_entry sums(void)
{
	struct store_range all = {.exact = false};
	struct store_list *l = store_list_new(f.s, &all, STORE_LIST_SUMS);
	struct store_entry e, sum = {.responses = 0};
	int ret;

	while ((ret = store_list_next(l, &e)) == 1) {
		sum.responses += e.responses;
		sum.charge += e.charge;
		sum.record.length += e.record.length;
	}
	ck_assert_int_eq(ret, 0);
	store_list_free(l);
	return sum;
}

/* What urls says of its keys is what the entries say, whatever happens to them. */
START_TEST(sums_hold)
{
	static const struct item changes[] = {
		{.key = "GET http://a.example/", .body = {"longer root", 11}},
		{.key = "GET http://a.example/dir/1", .head = "HTTP/1.1 200 OK\r\nX: y\r\n", .body = {"", 0}},
		{.key = "GET http://www.a.example/v", .vary = "accept", .selecting = "accept:x\n", .body = {"xxx", 3}},
		{.key = "GET http://www.a.example/v", .vary = "accept", .selecting = "accept:z\n", .body = {"z", 1}},
		{.key = "GET http://www.a.example/v", .body = {"no more variants", 16}},
		{.key = "GET http://xa.example/", .vary = "cookie", .selecting = "cookie:\n", .body = {"", 0}},
	};
	struct store_range r = {.exact = false};
	size_t n = sizeof(changes) / sizeof(changes[0]);

	start();
	for (size_t i = 0; i <= n; i++) {
		struct store_list *l = store_list_new(f.s, &r, STORE_LIST_RESPONSES);
		struct store_entry e, got = sums(), sum = {.responses = 0};

		while (store_list_next(l, &e) == 1) {
			sum.responses++;
			sum.charge += e.charge;
			sum.record.length += e.record.length;
		}
		store_list_free(l);
		ck_assert_uint_eq(got.responses, sum.responses);
		ck_assert_uint_eq(got.charge, sum.charge);
		ck_assert_uint_eq(got.record.length, sum.record.length);
		ck_assert_int_eq(fix_verify(&f), 0);
		if (i < n)
			ck_assert_int_eq(i == 3 ? fix_remove(&f, STORED[1].key) : fix_put(&f, &changes[i]), 0);
	}
	fix_stop(&f);
}
END_TEST

/* URLs longer than a place: told apart by their full text. */
START_TEST(long_urls)
{
	char url[3][1024], key[4096];
	struct store_range r;
	struct buf got;

	fix_start(&f, 64u << 20);
	for (int i = 0; i < 3; i++) {
		struct item it = {.key = key, .body = {"body", (size_t)i + 1}};

		snprintf(url[i], sizeof(url[i]), "https://long.example/%0800d/%d", 0, i);
		snprintf(key, sizeof(key), "GET %s", url[i]);
		ck_assert_int_eq(fix_put(&f, &it), 0);
	}
	for (int i = 0; i < 3; i++) {
		buf_init(&got, 65536);
		r = (struct store_range){.url = view_of(url[i]), .exact = true};
		collect(&r, &got);
		snprintf(key, sizeof(key), "GET %s\n", url[i]);
		ck_assert_str_eq(got.data, key);
		buf_fini(&got);
	}
	fix_stop(&f);
}
END_TEST

static void check_body(const struct store_entry *e, struct view body)
{
	struct buf inlined;
	char *file;
	int fd;

	buf_init(&inlined, 1u << 20);
	ck_assert_int_eq(store_entry_body(f.s, e, &inlined, &fd), 0);
	ck_assert_int_eq(fd >= 0, e->blob);
	if (fd >= 0) {
		file = malloc(body.len + 1);
		ck_assert_int_eq(read(fd, file, body.len + 1), (ssize_t)body.len);
		ck_assert(!memcmp(file, body.ptr, body.len));
		free(file);
		close(fd);
	} else {
		ck_assert(view_eq(buf_view(&inlined), body));
	}
	buf_fini(&inlined);
}

START_TEST(bodies)
{
	struct store_range r = {.host = V("a.example")};
	static const size_t SIZES[] = {0, 1, 64u << 10, (64u << 10) + 1, 300000};
	size_t size = SIZES[_i];
	char *bytes = malloc(size + 1);
	struct item it = {.key = "GET http://a.example/b", .body = fix_bytes(bytes, size, 7)};
	struct item twin = {.key = "GET http://b.example/b", .body = it.body};
	struct store_entry e;
	struct store_list *l;
	struct buf gone;
	int fd;

	fix_start(&f, 64u << 20);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(fix_put(&f, &twin), 0);
	l = store_list_new(f.s, &r, STORE_LIST_RESPONSES);
	ck_assert_int_eq(store_list_next(l, &e), 1);
	ck_assert_uint_eq(e.record.length, size);
	ck_assert_int_eq(e.blob, size > 64u << 10);
	ck_assert_uint_eq(e.references, e.blob ? 2 : 0);
	ck_assert_uint_eq(strlen(e.digest), e.blob ? 64 : 0);
	check_body(&e, it.body);
	ck_assert_int_eq(fix_remove(&f, it.key), 0);
	buf_init(&gone, 1u << 20);
	ck_assert_int_eq(store_entry_body(f.s, &e, &gone, &fd), LARDER_ENOENT);
	ck_assert_int_eq(fd, -1);
	store_list_free(l);
	buf_fini(&gone);
	fix_stop(&f);
	free(bytes);
}
END_TEST

/* More than one batch, with removals in between. */
static void fill(unsigned n, size_t size)
{
	char key[64], *body = malloc(size);

	for (unsigned i = 0; i < n; i++) {
		struct item it = {.key = key, .body = fix_bytes(body, size, i)};

		snprintf(key, sizeof(key), "GET http://many.example/%u", i);
		ck_assert_int_eq(fix_queue(&f, &it), 0);
	}
	ck_assert_int_eq(fix_wait(&f), 0);
	free(body);
}

static size_t keys_of(struct store *s, struct hash128 *keys, size_t max)
{
	struct store_range r = {.host = V("many.example")};
	struct store_list *l = store_list_new(s, &r, STORE_LIST_KEYS);
	struct store_entry e;
	size_t n = 0;

	while (n < max && store_list_next(l, &e) == 1)
		keys[n++] = e.hash;
	store_list_free(l);
	return n;
}

START_TEST(bulk)
{
	static struct hash128 keys[1000];
	struct store_usage u;
	struct store *tool;
	char *why = NULL;
	size_t n;

	fix_start(&f, 64u << 20);
	fill(700, 100);
	ck_assert_uint_eq(keys_of(f.s, keys, 1000), 700);
	ck_assert_int_eq(store_remove_some(f.s, keys, 700), LARDER_EPERM);
	ck_assert_int_eq(store_trim_now(f.s), LARDER_EPERM);
	fix_close_store(&f);
	store_home_free(f.home);

	ck_assert_int_eq(store_open_tool(f.dir, true, &tool, &why), 0);
	n = keys_of(tool, keys, 1000);
	ck_assert_uint_eq(n, 700);
	for (size_t at = 0; at < 500;) {
		int64_t done = store_remove_some(tool, keys + at, 500 - at);

		ck_assert_int_gt(done, 0);
		at += (size_t)done;
	}
	ck_assert_int_eq(store_remove_some(tool, NULL, 0), 0);
	ck_assert_uint_eq(keys_of(tool, keys, 1000), 200);
	ck_assert_int_eq(store_usage(tool, &u), 0);
	ck_assert_uint_eq(u.records, 200);
	ck_assert_int_eq(store_verify(tool, true, false, NULL, fix_print, NULL), 0);
	store_close(tool);

	fix_open_home(&f);
	fix_open_store(&f);
	fix_stop(&f);
}
END_TEST

/* A stretch without entries is told, and where it ended. */
START_TEST(steps)
{
	struct store_range r = {.url = V("https://many.example/")};
	struct store_entry e;
	struct store_list *l;
	int ret;

	fix_start(&f, 64u << 20);
	fill(300, 10);
	l = store_list_new(f.s, &r, STORE_LIST_KEYS);
	while ((ret = store_list_step(l, &e)) == LARDER_EAGAIN)
		ck_assert_uint_gt(store_list_place(l).len, 0);
	ck_assert_int_eq(ret, 0);
	ck_assert(view_starts(store_list_place(l), V("example.many/")));
	store_list_free(l);
	fix_stop(&f);
}
END_TEST

/* Trimming gives back what removals left, by a tool and in the daemon. */
START_TEST(trim)
{
	static struct hash128 keys[1000];
	struct store_usage before, after;
	struct store *tool;
	char *why = NULL;
	bool offline = _i;
	size_t n;
	int ret;

	fix_start(&f, 256u << 20);
	fill(600, 16000);
	n = keys_of(f.s, keys, 1000);
	for (size_t i = 0; i < n; i++) {
		struct store_key key = {.text = V(""), .hash = keys[i]};

		ck_assert_int_eq(store_remove(f.s, &key, fix_done, &f), 0);
		f.pending++;
	}
	ck_assert_int_eq(fix_wait(&f), 0);
	ck_assert_int_eq(store_usage(f.s, &before), 0);
	ck_assert_uint_gt(before.index_bytes, 600 * 16000);
	if (offline) {
		fix_close_store(&f);
		store_home_free(f.home);
		ck_assert_int_eq(store_open_tool(f.dir, true, &tool, &why), 0);
		do
			ret = store_trim_now(tool);
		while (ret == STORE_TRIM_MORE);
		store_close(tool);
		fix_open_home(&f);
		fix_open_store(&f);
	} else {
		do {
			ck_assert_int_eq(store_trim(f.s, fix_done, &f), 0);
			ck_assert_int_eq(store_trim(f.s, fix_done, &f), LARDER_EBUSY);
			f.pending++;
			ret = fix_wait(&f);
		} while (ret == STORE_TRIM_MORE);
	}
	ck_assert_int_eq(ret, STORE_TRIMMED);
	ck_assert_int_eq(store_usage(f.s, &after), 0);
	ck_assert_uint_lt(after.index_bytes, before.index_bytes / 4);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
}
END_TEST

/* A store that closes answers who waits for a trim. */
START_TEST(trim_at_close)
{
	fix_start(&f, 64u << 20);
	ck_assert_int_eq(store_trim(f.s, fix_done, &f), 0);
	f.pending++;
	fix_close_store(&f);
	ck_assert_uint_eq(f.pending, 0);
	ck_assert(f.err == LARDER_ECLOSED || f.err == STORE_TRIMMED);
	store_home_free(f.home);
	fix_cleanup();
}
END_TEST

UNIT_MAIN("store/list",
          tcase_add_loop_test(tc, ranges, 0, sizeof(RANGES) / sizeof(RANGES[0]));
          tcase_add_test(tc, variants);
          tcase_add_test(tc, places); tcase_add_test(tc, sums_hold);
          tcase_add_test(tc, long_urls);
          tcase_add_loop_test(tc, bodies, 0, 5);
          tcase_add_test(tc, bulk);
          tcase_add_test(tc, steps);
          tcase_add_loop_test(tc, trim, 0, 2);
          tcase_add_test(tc, trim_at_close);)
