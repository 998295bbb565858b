#include "unit.h"

#include "base/check.h"

static const struct {
	const char *a, *b;
	bool eq, ieq, starts, istarts, ends;
	int cmp;
} pairs[] = {
	{"", "", true, true, true, true, true, 0},
	{"a", "", false, false, true, true, true, 1},
	{"", "a", false, false, false, false, false, -1},
	{"abc", "abc", true, true, true, true, true, 0},
	{"ABC", "abc", false, true, false, true, false, -1},
	{"abcd", "abc", false, false, true, true, false, 1},
	{"ABCd", "abc", false, false, false, true, false, -1},
	{"dabc", "abc", false, false, false, false, true, 1},
	{"ab", "abc", false, false, false, false, false, -1},
	{"[", "{", false, false, false, false, false, -1},
	{"@", "`", false, false, false, false, false, -1},
	{"\xc4", "\xe4", false, false, false, false, false, -1},
	{"\xff", "a", false, false, false, false, false, 1},
};

START_TEST(comparisons)
{
	struct view a = view_of(pairs[_i].a), b = view_of(pairs[_i].b);
	int c = view_cmp(a, b);

	ck_assert_int_eq(view_eq(a, b), pairs[_i].eq);
	ck_assert_int_eq(view_ieq(a, b), pairs[_i].ieq);
	ck_assert_int_eq(view_starts(a, b), pairs[_i].starts);
	ck_assert_int_eq(view_istarts(a, b), pairs[_i].istarts);
	ck_assert_int_eq(view_ends(a, b), pairs[_i].ends);
	ck_assert_int_eq((c > 0) - (c < 0), pairs[_i].cmp);
}
END_TEST

START_TEST(nothing_at_all)
{
	struct view none = {NULL, 0};

	ck_assert(view_eq(none, V("")));
	ck_assert(view_ieq(none, none));
	ck_assert(view_starts(none, none));
	ck_assert(view_ends(V("x"), none));
	ck_assert_int_eq(view_cmp(none, none), 0);
	ck_assert_uint_eq(view_find(none, 'x'), 0);
	ck_assert_uint_eq(view_rfind(none, 'x'), 0);
	ck_assert_uint_eq(view_trim(none).len, 0);
	ck_assert_uint_eq(view_of(NULL).len, 0);
}
END_TEST

START_TEST(finding)
{
	ck_assert_uint_eq(view_find(V("a:b:c"), ':'), 1);
	ck_assert_uint_eq(view_rfind(V("a:b:c"), ':'), 3);
	ck_assert_uint_eq(view_find(V("abc"), ':'), 3);
	ck_assert_uint_eq(view_rfind(V("abc"), ':'), 3);
	ck_assert_uint_eq(view_find(V("a\0:"), ':'), 2);
	ck_assert_uint_eq(view_rfind(V(":\0a"), ':'), 0);
}
END_TEST

START_TEST(trimming)
{
	ck_view_eq(view_trim(V(" \t a b \t")), "a b");
	ck_view_eq(view_trim(V(" \t ")), "");
	ck_view_eq(view_trim(V("")), "");
	ck_view_eq(view_trim(V("\r\na\v")), "\r\na\v");
	ck_view_eq(view_trim(V("\xa0 a")), "\xa0 a");
}
END_TEST

START_TEST(cutting)
{
	struct view rest;

	ck_view_eq(view_cut(V("a=b=c"), '=', &rest), "a");
	ck_view_eq(rest, "b=c");
	ck_view_eq(view_cut(V("=b"), '=', &rest), "");
	ck_view_eq(rest, "b");
	ck_view_eq(view_cut(V("a="), '=', &rest), "a");
	ck_assert_ptr_nonnull(rest.ptr);
	ck_assert_uint_eq(rest.len, 0);
	ck_view_eq(view_cut(V("a"), '=', &rest), "a");
	ck_assert_ptr_null(rest.ptr);
	ck_view_eq(view_cut((struct view){NULL, 0}, '=', &rest), "");
	ck_assert_ptr_null(rest.ptr);
}
END_TEST

START_TEST(copying)
{
	char dst[4], *dup;

	ck_assert(view_copy(V("abc"), dst, sizeof(dst)));
	ck_assert_str_eq(dst, "abc");
	ck_assert(!view_copy(V("abcd"), dst, sizeof(dst)));
	ck_assert_str_eq(dst, "");
	ck_assert(view_copy((struct view){NULL, 0}, dst, 1));
	ck_assert_str_eq(dst, "");
	ck_assert(!view_copy(V(""), dst, 0));
	dup = view_dup(view_make("hello world", 5));
	ck_assert_str_eq(dup, "hello");
	free(dup);
	dup = view_dup((struct view){NULL, 0});
	ck_assert_str_eq(dup, "");
	free(dup);
}
END_TEST

START_TEST(lower_byte)
{
	for (int c = 0; c < 256; c++) {
		int expected = c >= 'A' && c <= 'Z' ? c + 32 : c;

		ck_assert_int_eq(view_lower_byte((unsigned char)c), expected);
	}
}
END_TEST

UNIT_MAIN("base/view", tcase_add_loop_test(tc, comparisons, 0, ARRAY_LEN(pairs));
	  tcase_add_test(tc, nothing_at_all); tcase_add_test(tc, finding);
	  tcase_add_test(tc, trimming); tcase_add_test(tc, cutting); tcase_add_test(tc, copying);
	  tcase_add_test(tc, lower_byte);)
