#include "unit.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"

START_TEST(appends)
{
	struct buf b;

	buf_init(&b, 4096);
	ck_assert_int_eq(BUF_ADD_LIT(&b, "one "), 0);
	ck_assert_int_eq(buf_addv(&b, V("two")), 0);
	ck_assert_int_eq(buf_addc(&b, ' '), 0);
	ck_assert_int_eq(buf_addu(&b, UINT64_MAX), 0);
	ck_assert_int_eq(buf_printf(&b, " %d-%s", 3, "x"), 0);
	ck_assert_int_eq(buf_add(&b, NULL, 0), 0);
	ck_view_eq(buf_view(&b), "one two 18446744073709551615 3-x");
	ck_assert_str_eq(buf_cstr(&b), "one two 18446744073709551615 3-x");
	ck_assert_uint_eq(b.len, strlen(b.data));
	buf_fini(&b);
	ck_assert_uint_eq(b.max, 4096);
	ck_assert_int_eq(BUF_ADD_LIT(&b, "again"), 0);
	ck_view_eq(buf_view(&b), "again");
	buf_fini(&b);
}
END_TEST

START_TEST(ceiling_is_exact)
{
	struct buf b;
	char block[300];

	memset(block, 'x', sizeof(block));
	buf_init(&b, 300);
	ck_assert_int_eq(buf_add(&b, block, 299), 0);
	ck_assert_int_eq(buf_addc(&b, 'y'), 0);
	ck_assert_uint_eq(b.len, 300);
	ck_assert_int_eq(buf_addc(&b, 'z'), LARDER_ELIMIT);
	ck_assert_uint_eq(b.len, 300);
	ck_assert_int_eq(b.data[299], 'y');
	buf_fini(&b);
}
END_TEST

START_TEST(small_ceilings)
{
	for (size_t max = 0; max < 600; max++) {
		struct buf b;
		size_t n = 0;

		buf_init(&b, max);
		while (buf_addc(&b, 'x') == 0)
			n++;
		ck_assert_uint_eq(n, max);
		ck_assert_uint_le(b.cap, max);
		ck_assert_int_eq(b.err, LARDER_ELIMIT);
		buf_fini(&b);
	}
}
END_TEST

START_TEST(error_sticks)
{
	struct buf b;

	buf_init(&b, 8);
	ck_assert_int_eq(buf_addv(&b, V("123456789")), LARDER_ELIMIT);
	ck_assert_uint_eq(b.len, 0);
	ck_assert_int_eq(buf_addv(&b, V("1")), LARDER_ELIMIT);
	ck_assert_int_eq(buf_printf(&b, "1"), LARDER_ELIMIT);
	ck_assert_int_eq(buf_reserve(&b, 1), LARDER_ELIMIT);
	ck_assert_ptr_null(buf_cstr(&b));
	buf_reset(&b);
	ck_assert_int_eq(buf_addv(&b, V("12345678")), 0);
	ck_view_eq(buf_view(&b), "12345678");
	ck_assert_ptr_null(buf_cstr(&b));
	ck_assert_int_eq(b.err, LARDER_ELIMIT);
	buf_fini(&b);
}
END_TEST

START_TEST(huge_requests)
{
	struct buf b;

	buf_init(&b, 1000);
	ck_assert_int_eq(buf_addc(&b, 'x'), 0);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), LARDER_ELIMIT);
	buf_reset(&b);
	ck_assert_int_eq(buf_reserve(&b, 1000), 0);
	ck_assert_int_eq(buf_reserve(&b, 1001), LARDER_ELIMIT);
	buf_fini(&b);
}
END_TEST

START_TEST(printf_at_the_edge)
{
	struct buf b;

	/* The NUL that printf writes needs room, though it is not counted. */
	buf_init(&b, 4);
	ck_assert_int_eq(buf_printf(&b, "123"), 0);
	ck_assert_uint_eq(b.len, 3);
	buf_reset(&b);
	ck_assert_int_eq(buf_printf(&b, "1234"), LARDER_ELIMIT);
	ck_assert_uint_eq(b.len, 0);
	buf_fini(&b);
}
END_TEST

START_TEST(drop)
{
	struct buf b;

	buf_init(&b, 64);
	buf_addv(&b, V("abcdef"));
	buf_drop(&b, 0);
	ck_view_eq(buf_view(&b), "abcdef");
	buf_drop(&b, 2);
	ck_view_eq(buf_view(&b), "cdef");
	buf_drop(&b, 4);
	ck_view_eq(buf_view(&b), "");
	buf_drop(&b, 0);
	ck_assert_uint_eq(b.len, 0);
	buf_fini(&b);
}
END_TEST

UNIT_MAIN("base/buf", tcase_add_test(tc, appends); tcase_add_test(tc, ceiling_is_exact);
	  tcase_add_test(tc, small_ceilings); tcase_add_test(tc, error_sticks);
	  tcase_add_test(tc, huge_requests); tcase_add_test(tc, printf_at_the_edge);
	  tcase_add_test(tc, drop);)
