/* The chunked coding (RFC 9112 §7.1), whole and in pieces. */
#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "http/framing.h"

#define MAX_TRAILERS 32

struct verdict {
	int err;
	bool done;
	size_t left;
	struct http_fault fault;
	struct buf body, trailers;
};

/* Decodes in pieces of `step` bytes. */
static struct verdict decode(struct view text, size_t step)
{
	struct http_chunked c;
	struct verdict v = {0};
	struct view data;

	http_chunked_init(&c, MAX_TRAILERS);
	buf_init(&v.body, 1000);
	while (text.len && v.err >= 0 && !c.done) {
		size_t n = step < text.len ? step : text.len;
		char *copy = malloc(n);
		struct view in = view_make(copy, n);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, text.ptr, n);
		while ((v.err = http_chunked_next(&c, &in, &data, &v.fault)) == 1)
			buf_addv(&v.body, data);
		ck_assert(v.err < 0 || c.done || in.len == 0);
		text = view_from(text, n - in.len);
		free(copy);
	}
	v.done = c.done;
	v.left = text.len;
	v.trailers = c.trailers;
	ck_assert_int_eq(v.body.err, 0);
	return v;
}

static void release(struct verdict *v)
{
	buf_fini(&v->body);
	buf_fini(&v->trailers);
}

static const struct {
	struct view text;
	const char *body, *trailers;
	size_t left;
} good[] = {
	{V("0\r\n\r\n"), "", "", 0},
	{V("000\r\n\r\nGET /"), "", "", 5},
	{V("5\r\nhello\r\n0\r\n\r\n"), "hello", "", 0},
	{V("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n\r\n"), "hello", "", 2},
	{V("0A\r\n0123456789\r\n0\r\n\r\n"), "0123456789", "", 0},
	{V("a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"), "\r\n\r\n\r\n\r\n\r\n", "", 0},
	{V("00000000000000000000000000000001\r\nx\r\n0\r\n\r\n"), "x", "", 0},
	/* §7.1.1 */
	{V("1;a\r\nx\r\n0;b=\"c;\";d\r\n\r\n"), "x", "", 0},
	{V("1 ; a = b\r\nx\r\n0\t;\xff\r\n\r\n"), "x", "", 0},
	/* §7.1.2 */
	{V("0\r\nA: b\r\n\r\n"), "", "A: b\r\n", 0},
	{V("0\r\nA:b\r\nC:\t\r\n\r\nx"), "", "A:b\r\nC:\t\r\n", 1},
	{V("0\r\nA: 45678901234567890123456789\r\n\r\n"), "",
         "A: 45678901234567890123456789\r\n", 0},
};

START_TEST(good_rows)
{
	for (size_t step = 1; step <= good[_i].text.len; step++) {
		struct verdict v = decode(good[_i].text, step);

		ck_assert_msg(v.err == 0, "row %d step %zu: %s", _i, step, v.fault.text);
		ck_assert(v.done);
		ck_assert_uint_eq(v.left, good[_i].left);
		ck_view_eq(buf_view(&v.body), good[_i].body);
		ck_view_eq(buf_view(&v.trailers), good[_i].trailers);
		release(&v);
	}
}
END_TEST

static const struct {
	struct view text;
	int status;
	const char *says;
} bad[] = {
	/* §7.1: sizes */
	{V("\r\n"), 400, "begin with its size"},
	{V("g\r\n"), 400, "begin with its size"},
	{V("+5\r\nhello\r\n"), 400, "begin with its size"},
	{V("-1\r\n"), 400, "begin with its size"},
	{V(" 5\r\nhello\r\n"), 400, "begin with its size"},
	{V("0x5\r\nhello\r\n"), 400, "hexadecimal"},
	{V("5 \r\nhello\r\n"), 400, "hexadecimal"},
	{V("5\t\r\nhello\r\n"), 400, "hexadecimal"},
	{V("5 5\r\nhello\r\n"), 400, "hexadecimal"},
	{V("5,\r\nhello\r\n"), 400, "hexadecimal"},
	{V("5_0\r\nhello\r\n"), 400, "hexadecimal"},
	{V(";a\r\n"), 400, "begin with its size"},
	{V("8000000000000000\r\n"), 400, "too large"},
	{V("10000000000000005\r\nhello\r\n"), 400, "too large"},
	{V("ffffffffffffffffffff\r\n"), 400, "too large"},
	/* §7.1: line ends (a bare LF in an extension is where parsers disagree) */
	{V("5\nhello\r\n"), 400, "hexadecimal"},
	{V("5\r\rhello\r\n"), 400, "CRLF"},
	{V("5;a\nhello\r\n"), 400, "control"},
	{V("5;a\rb\r\nhello\r\n"), 400, "CRLF"},
	{V("5;a\0\r\nhello\r\n"), 400, "control"},
	{V("5\0\r\nhello\r\n"), 400, "hexadecimal"},
	{V("5\r\nhelloo\r\n"), 400, "not followed by CRLF"},
	{V("5\r\nhello0\r\n\r\n"), 400, "not followed by CRLF"},
	{V("5\r\nhello\n0\r\n\r\n"), 400, "not followed by CRLF"},
	{V("5\r\nhello\rx"), 400, "not followed by CRLF"},
	{V("5\r\nhello\r\n\r\n"), 400, "begin with its size"},
	/* §7.1.2 */
	{V("0\r\n\n"), 400, "trailer section"},
	{V("0\r\n\rx"), 400, "trailer section"},
	{V("0\r\nA\r\n\r\n"), 400, "trailer section"},
	{V("0\r\n: b\r\n\r\n"), 400, "trailer section"},
	{V("0\r\nA : b\r\n\r\n"), 400, "trailer section"},
	{V("0\r\nA: b\n\r\n"), 400, "trailer section"},
	{V("0\r\nA: b\r\n c\r\n\r\n"), 400, "trailer section"},
	{V("0\r\nA: b\0\r\n\r\n"), 400, "trailer section"},
	{V("0\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n"), 400, "trailer section"},
	{V("0\r\nA: 4567890123456789012345678901\r\n\r\n"), 431, "too large"},
};

START_TEST(bad_rows)
{
	for (size_t step = 1; step <= bad[_i].text.len; step++) {
		struct verdict v = decode(bad[_i].text, step);

		ck_assert_msg(v.err < 0, "row %d step %zu is accepted", _i, step);
		ck_assert_int_eq(v.err, bad[_i].status == 431 ? LARDER_ELIMIT : LARDER_EPROTO);
		ck_assert_int_eq(v.fault.status, bad[_i].status);
		ck_assert_msg(strstr(v.fault.text, bad[_i].says) != NULL, "row %d says: %s", _i,
		              v.fault.text);
		ck_assert(!v.done);
		release(&v);
	}
}
END_TEST

/* What has failed stays failed. */
START_TEST(sticky)
{
	struct http_chunked c;
	struct view in = V("x"), data;
	struct http_fault fault;

	http_chunked_init(&c, 0);
	ck_assert_int_eq(http_chunked_next(&c, &in, &data, &fault), LARDER_EPROTO);
	in = V("0\r\n\r\n");
	ck_assert_int_eq(http_chunked_next(&c, &in, &data, &fault), LARDER_EPROTO);
	http_chunked_fini(&c);
}
END_TEST

/* Feeds one chunk head of `digits` zeros and an extension of `len` bytes, `times` over. */
static int feed_lines(unsigned digits, size_t len, unsigned times)
{
	struct http_chunked c;
	struct http_fault fault;
	struct buf line;
	struct view data;
	int err = 0;

	http_chunked_init(&c, 0);
	buf_init(&line, 10000);
	for (unsigned i = 0; i < digits; i++)
		buf_addc(&line, '0');
	buf_addc(&line, '1');
	if (len)
		buf_addc(&line, ';');
	for (size_t i = 0; i < len; i++)
		buf_addc(&line, 'e');
	buf_printf(&line, "\r\nx\r\n");
	for (unsigned i = 0; i < times && err >= 0; i++) {
		struct view in = buf_view(&line);

		while ((err = http_chunked_next(&c, &in, &data, &fault)) > 0)
			;
	}
	ck_assert(err == 0 || fault.status == 400);
	buf_fini(&line);
	http_chunked_fini(&c);
	return err;
}

START_TEST(limits)
{
	ck_assert_int_eq(feed_lines(4094, 0, 3), 0);
	ck_assert_int_eq(feed_lines(4096, 0, 1), LARDER_ELIMIT);
	ck_assert_int_eq(feed_lines(0, 4093, 1), 0);
	ck_assert_int_eq(feed_lines(0, 4095, 1), LARDER_ELIMIT);
	ck_assert_int_eq(feed_lines(0, 4096, 1), LARDER_ELIMIT);
	ck_assert_int_eq(feed_lines(0, 1024, 64), 0);
	ck_assert_int_eq(feed_lines(0, 1024, 65), LARDER_ELIMIT);
}
END_TEST

START_TEST(chunk_heads)
{
	static const struct {
		uint64_t len;
		const char *text;
	} rows[] = {
	        {0, "0\r\n"},
	        {9, "9\r\n"},
	        {10, "a\r\n"},
	        {8000, "1f40\r\n"},
	        {UINT64_MAX, "ffffffffffffffff\r\n"},
	        {1ULL << 60, "1000000000000000\r\n"},
	};
	char dst[20];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_view_eq(view_make(dst, http_chunk_head(rows[i].len, dst)), rows[i].text);
}
END_TEST

UNIT_MAIN("http/chunked", tcase_add_loop_test(tc, good_rows, 0, ARRAY_LEN(good));
          tcase_add_loop_test(tc, bad_rows, 0, ARRAY_LEN(bad)); tcase_add_test(tc, sticky);
          tcase_add_test(tc, limits); tcase_add_test(tc, chunk_heads);)
