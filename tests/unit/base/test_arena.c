#include "unit.h"

#include <stdalign.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/check.h"

START_TEST(alignment_and_content)
{
	struct arena a;

	arena_init(&a, 256, 65536);
	for (size_t size = 0; size < 100; size++) {
		unsigned char *p = arena_zalloc(&a, size);

		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			ck_assert_uint_eq(p[i], 0);
		memset(p, 0xff, size);
	}
	ck_assert_uint_le(a.total, a.max);
	arena_fini(&a);
	ck_assert_ptr_null(a.blocks);
}
END_TEST

START_TEST(ceiling)
{
	struct arena a;
	size_t n = 0;

	arena_init(&a, 128, 1024);
	while (arena_alloc(&a, 128))
		n++;
	ck_assert_uint_eq(n, 8);
	ck_assert_ptr_null(arena_alloc(&a, 1));
	ck_assert_ptr_null(arena_zalloc(&a, 1));
	ck_assert_ptr_null(arena_view(&a, V("x")).ptr);
	ck_assert_ptr_null(arena_str(&a, V("")));
	arena_fini(&a);
}
END_TEST

START_TEST(impossible_sizes)
{
	struct arena a;

	arena_init(&a, 128, SIZE_MAX);
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX));
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX - 1));
	ck_assert_ptr_null(arena_alloc(&a, SIZE_MAX / 2 + 1));
	arena_fini(&a);
	arena_init(&a, 128, 64);
	ck_assert_ptr_null(arena_alloc(&a, 1));
	arena_fini(&a);
}
END_TEST

START_TEST(large_beside_small)
{
	struct arena a;
	char *big, *small;

	arena_init(&a, 128, 65536);
	small = arena_str(&a, V("small"));
	big = arena_alloc(&a, 10000);
	ck_assert_ptr_nonnull(big);
	memset(big, 'x', 10000);
	ck_assert_str_eq(small, "small");
	arena_reset(&a);
	/* Only a block of the usual size stays. */
	ck_assert_uint_eq(a.total, 128);
	ck_assert_uint_eq(a.left, 128);
	ck_assert_ptr_nonnull(arena_alloc(&a, 128));
	ck_assert_uint_eq(a.total, 128);
	arena_fini(&a);
}
END_TEST

START_TEST(reset_many_times)
{
	struct arena a;

	arena_init(&a, 64, 512);
	for (int round = 0; round < 100; round++) {
		ck_assert_ptr_nonnull(arena_alloc(&a, 64));
		ck_assert_ptr_nonnull(arena_alloc(&a, 400));
		arena_reset(&a);
	}
	ck_assert_uint_le(a.total, 64);
	arena_fini(&a);
	arena_reset(&a);
	ck_assert_uint_eq(a.total, 0);
}
END_TEST

START_TEST(copies)
{
	struct arena a;
	struct view v;

	arena_init(&a, 64, 512);
	v = arena_view(&a, V("view"));
	ck_view_eq(v, "view");
	ck_assert_str_eq(arena_str(&a, view_make("string!", 6)), "string");
	v = arena_view(&a, (struct view){NULL, 0});
	ck_assert_uint_eq(v.len, 0);
	ck_assert_ptr_nonnull(v.ptr);
	ck_assert_str_eq(arena_str(&a, (struct view){NULL, 0}), "");
	arena_fini(&a);
}
END_TEST

UNIT_MAIN("base/arena", tcase_add_test(tc, alignment_and_content); tcase_add_test(tc, ceiling);
	  tcase_add_test(tc, impossible_sizes); tcase_add_test(tc, large_beside_small);
	  tcase_add_test(tc, reset_many_times); tcase_add_test(tc, copies);)
