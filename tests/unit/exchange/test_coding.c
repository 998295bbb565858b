/* gzip and deflate: made whole, undone in pieces of any size, damaged. */
#include "unit.h"

#include <stdlib.h>

#include "../../../src/exchange/coding.h"
#include "base/error.h"

#define BODY 50000

static char body[BODY], undone[BODY * 5];

/* Text that becomes smaller, with some noise that does not. */
static void make_body(void)
{
	uint32_t x = 1;

	for (size_t i = 0; i < BODY; i++) {
		x = x * 1664525 + 1013904223;
		body[i] = i % 1000 < 200 ? (char)(x >> 24) : "pantry shelf "[i % 13];
	}
}

/* Undoes `coded`, given in pieces of `in` bytes, into pieces of `out` bytes. The last return value. */
static int undo(struct view coded, size_t in, size_t out, size_t *len, struct view *rest)
{
	struct inflater *z = inflater_new();
	int ret = INFLATE_MORE;
	size_t made = 0;

	ck_assert_ptr_nonnull(z);
	*len = 0;
	while (ret == INFLATE_MORE && (coded.len || made == out)) {
		struct view piece = view_make(coded.ptr, coded.len < in ? coded.len : in);
		size_t before = piece.len;

		ck_assert_uint_le(*len + out, sizeof(undone));
		ret = inflater_run(z, &piece, undone + *len, out, &made);
		ck_assert_uint_le(made, out);
		*len += made;
		coded = view_from(coded, before - piece.len);
		ck_assert(ret != INFLATE_MORE || !before || before != piece.len || made);/* it gets on */
	}
	if (ret == INFLATE_MORE && inflater_complete(z))
		ret = INFLATE_END;
	inflater_free(z);
	*rest = coded;
	return ret;
}

static void coded(struct buf *b)
{
	make_body();
	buf_init(b, 1u << 20);
	ck_assert_int_eq(gzip_write(view_make(body, BODY), 6, b), 0);
	ck_assert(b->len > 100 && b->len < BODY * 9 / 10);
}

static const size_t sizes[] = {1, 7, 1000, 100000};

START_TEST(there_and_back)
{
	struct view rest;
	struct buf b;
	size_t len;

	coded(&b);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(undo(buf_view(&b), sizes[_i], sizes[i], &len, &rest), INFLATE_END);
		ck_assert(len == BODY && !memcmp(undone, body, BODY) && !rest.len);
	}
	buf_fini(&b);
}
END_TEST

/* RFC 1952 §2.2: members follow one another; padding behind them is none. */
START_TEST(several_members)
{
	struct view rest;
	struct buf b;
	size_t len;

	coded(&b);
	ck_assert_int_eq(gzip_write(view_make(body, BODY), 1, &b), 0);
	ck_assert_int_eq(undo(buf_view(&b), sizes[_i], sizes[3 - _i], &len, &rest), INFLATE_END);
	ck_assert(len == 2 * BODY && !memcmp(undone, body, BODY) && !memcmp(undone + BODY, body, BODY));
	buf_add(&b, "\0\0\0", 3);
	ck_assert_int_eq(undo(buf_view(&b), sizes[_i], sizes[3 - _i], &len, &rest), INFLATE_END);
	ck_assert_uint_eq(len, 2 * BODY);
	buf_fini(&b);
}
END_TEST

/* RFC 9110 §8.4.1.2: zlib's format; and what some take the name for. "larder larder larder", from another encoder. */
START_TEST(both_deflates)
{
	static const char zlib[] = "\x78\x9c\xcb\x49\x2c\x4a\x49\x2d\x52\xc8\x41\xa6\x00\x50\x8d\x07\xaf";
	static const char want[] = "larder larder larder";
	struct view v = view_make(zlib, sizeof(zlib) - 1), rest;
	size_t len;

	if (_i == 1)
		v = view_make(zlib + 2, sizeof(zlib) - 1 - 6);
	ck_assert_int_eq(undo(v, 3, 4, &len, &rest), INFLATE_END);
	ck_assert(len == sizeof(want) - 1 && !memcmp(undone, want, len));
}
END_TEST

START_TEST(damage_is_seen)
{
	struct view rest;
	struct buf b;
	size_t len;
	int ret;

	coded(&b);
	/* Cut off anywhere: never complete. */
	for (size_t cut = 1; cut < b.len; cut += 97)
		ck_assert_int_eq(undo(view_make(b.data, b.len - cut), 1000, 1000, &len, &rest), INFLATE_MORE);
	/* A byte changed: never complete with other content. */
	for (size_t at = 0; at < b.len; at += 211) {
		b.data[at] ^= 0x10;
		ret = undo(buf_view(&b), 1000, 1000, &len, &rest);
		ck_assert(ret < 0 || ret == INFLATE_MORE || (len == BODY && !memcmp(undone, body, BODY)) || at < 10);
		b.data[at] ^= 0x10;
	}
	ck_assert_int_lt(undo(V("no coding at all"), 1000, 1000, &len, &rest), 0);
	buf_fini(&b);
}
END_TEST

START_TEST(ceilings_hold)
{
	struct buf b;

	make_body();
	buf_init(&b, 1000);
	ck_assert_int_eq(gzip_write(view_make(body, BODY), 6, &b), LARDER_ELIMIT);
	ck_assert_uint_le(b.len, 1000);
	buf_fini(&b);
}
END_TEST

UNIT_MAIN("exchange/coding", tcase_add_loop_test(tc, there_and_back, 0, 4);
          tcase_add_loop_test(tc, several_members, 0, 4); tcase_add_loop_test(tc, both_deflates, 0, 2);
          tcase_add_test(tc, damage_is_seen); tcase_add_test(tc, ceilings_hold);)
