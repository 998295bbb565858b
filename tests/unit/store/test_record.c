#include "unit.h"

#include "base/error.h"
#include "record.h"

static const struct url_row {
	const char *text, *key;
} urls[] = {
        {"GET http://www.example.com/a/b?c", "com.example.www/a/b?c GET http"},
        {"GET https://example.com:8443/", "com.example:8443/ GET https"},
        {"HEAD http://localhost/x", "localhost/x HEAD http"},
        {"GET http://127.0.0.1:80/x", "127.0.0.1:80/x GET http"},
        {"GET http://[::1]:80/x", "[::1]:80/x GET http"},
        {"GET http://[::1]/x", "[::1]/x GET http"},
        {"GET http://a.b/x:y", "b.a/x:y GET http"},
        {"GET http://node.rack1/x", "rack1.node/x GET http"},
        {"GET http://10.rack/x", "rack.10/x GET http"},
        {"nothing of the kind", "nothing of the kind"},
        {"", ""},
};

START_TEST(url_keys)
{
	struct hash128 hash = {1, 2};
	char out[RECORD_URL_MAX];
	size_t len = record_url_key(view_of(urls[_i].text), hash, out);
	struct record_key k = record_key(hash);

	ck_assert_uint_eq(len, strlen(urls[_i].key) + 16);
	ck_view_eq(view_make(out, len - 16), urls[_i].key);
	ck_assert_mem_eq(out + len - 16, k.bytes, 16);
	if (strstr(urls[_i].text, "://")) {
		struct view authority = view_of(strstr(urls[_i].text, "://") + 3);
		char back[RECORD_URL_MAX];
		size_t n;

		ck_assert(record_url_authority(view_make(out, len), back, &n));
		authority.len = view_find(authority, '/');
		ck_assert(view_eq(view_make(back, n), authority));
	} else {
		ck_assert(!record_url_authority(view_make(out, len), out, &len));
	}
}
END_TEST

START_TEST(long_url_keys_are_cut)
{
	char text[3000], out[RECORD_URL_MAX];

	memset(text, 'a', sizeof(text));
	memcpy(text, "GET http://", 11);
	ck_assert_uint_eq(
	        record_url_key(view_make(text, sizeof(text)), (struct hash128){1, 2}, out),
	        RECORD_URL_MAX);
}
END_TEST

static const struct etag_row {
	const char *head, *etag;
} etags[] = {
        {"HTTP/1.1 200 OK\r\nETag: \"a\"\r\n", "\"a\""},
        {"HTTP/1.1 200 OK\r\netag:W/\"a\"  \r\nX: y\r\n", "W/\"a\""},
        {"HTTP/1.1 200 OK\r\nX-ETag: \"a\"\r\n", ""},
        {"HTTP/1.1 200 OK\r\nETag:\r\n", ""},
        {"ETag: \"a\"", "\"a\""},
        {"", ""},
};

START_TEST(etag_places)
{
	struct view head = view_of(etags[_i].head);
	uint32_t off, len;

	record_find_etag(head, &off, &len);
	ck_view_eq(view_make(head.ptr + off, len), etags[_i].etag);
}
END_TEST

static size_t make(char *row, bool marker)
{
	static const char hashes[32] = "0123456789abcdef0123456789abcdeF";
	struct record r = {
	        .h = {.kind = marker ? RECORD_MARKER : RECORD_RESPONSE, .length = 4, .id = 9},
	        .key = V("GET http://a/"),
	        .selecting = V("cookie:x\n"),
	        .vary = V("cookie"),
	};

	if (marker) {
		r.variants = view_make(hashes, sizeof(hashes));
	} else {
		r.head = V("HTTP/1.1 200 OK\r\n");
		r.body = V("body");
	}
	record_write(&r, row);
	return record_size(&r);
}

START_TEST(round_trip)
{
	char row[1024];
	struct view v = view_make(row, make(row, _i));
	struct record r;

	ck_assert_int_eq(record_parse(v, &r), 0);
	ck_assert(record_intact(v));
	ck_view_eq(r.key, "GET http://a/");
	ck_view_eq(r.selecting, "cookie:x\n");
	ck_view_eq(r.vary, "cookie");
	ck_view_eq(r.head, _i ? "" : "HTTP/1.1 200 OK\r\n");
	ck_view_eq(r.body, _i ? "" : "body");
	ck_assert_uint_eq(r.variants.len, _i ? 32 : 0);
	ck_assert_uint_eq(r.h.id, 9);
}
END_TEST

/* Every cut and every changed byte: never read beyond the row, and the checksum always notices. */
START_TEST(damage)
{
	char row[1024], *exact;
	size_t len = make(row, _i);
	struct record r;

	for (size_t n = 0; n < len; n++) {
		exact = malloc(n ? n : 1);
		memcpy(exact, row, n);
		ck_assert_int_eq(record_parse(view_make(exact, n), &r), LARDER_ECORRUPT);
		free(exact);
	}
	exact = malloc(len);
	for (size_t n = 0; n < len; n++) {
		memcpy(exact, row, len);
		exact[n] = (char)(exact[n] ^ 0x55);
		if (record_parse(view_make(exact, len), &r) == 0) {
			ck_assert(r.body.ptr + r.body.len <= exact + len);
			ck_assert(r.variants.len <= len);
		}
		ck_assert(!record_intact(view_make(exact, len)));
	}
	free(exact);
}
END_TEST

UNIT_MAIN("store/record", tcase_add_loop_test(tc, url_keys, 0, sizeof(urls) / sizeof(*urls));
          tcase_add_test(tc, long_url_keys_are_cut);
          tcase_add_loop_test(tc, etag_places, 0, sizeof(etags) / sizeof(*etags));
          tcase_add_loop_test(tc, round_trip, 0, 2); tcase_add_loop_test(tc, damage, 0, 2);)
