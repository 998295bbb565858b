/* Which bytes of a body are there. */
#include <stdio.h>

#include "base/error.h"
#include "store/parts.h"
#include "unit.h"

static void told(const struct store_extents *l, char *out, size_t room)
{
	size_t at = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < l->n; i++)
		at += (size_t)snprintf(out + at, room - at, "%llu-%llu ", (unsigned long long)l->at[i].first,
		                      (unsigned long long)l->at[i].end);
}

START_TEST(add)
{
	static const struct {
		struct store_extent in[6];
		const char *out;
	} rows[] = {
	        {{{0, 1}}, "0-1 "},
	        {{{5, 9}, {1, 2}}, "1-2 5-9 "},
	        {{{5, 9}, {9, 12}}, "5-12 "},
	        {{{5, 9}, {2, 5}}, "2-9 "},
	        {{{5, 9}, {6, 7}}, "5-9 "},
	        {{{6, 7}, {5, 9}}, "5-9 "},
	        {{{5, 9}, {5, 9}}, "5-9 "},
	        {{{0, 2}, {4, 6}, {8, 10}, {1, 9}}, "0-10 "},
	        {{{0, 2}, {4, 6}, {8, 10}, {2, 8}}, "0-10 "},
	        {{{0, 2}, {4, 6}, {8, 10}, {3, 7}}, "0-2 3-7 8-10 "},
	        {{{0, 2}, {4, 6}, {8, 10}, {7, 20}}, "0-2 4-6 7-20 "},
	        {{{0, 2}, {4, 6}, {8, 10}, {11, 12}, {10, 11}}, "0-2 4-6 8-12 "},
	        {{{UINT64_MAX - 1, UINT64_MAX}, {0, 1}}, "0-1 18446744073709551614-18446744073709551615 "},
	};
	struct store_extents l = {0};
	char text[256];
	uint64_t sum = 0;

	for (unsigned i = 0; i < 6 && rows[_i].in[i].end; i++)
		ck_assert_int_eq(store_extents_add(&l, rows[_i].in[i].first, rows[_i].in[i].end), 0);
	told(&l, text, sizeof(text));
	ck_assert_str_eq(text, rows[_i].out);
	for (unsigned i = 0; i < l.n; i++)
		sum += l.at[i].end - l.at[i].first;
	ck_assert_uint_eq(store_extents_bytes(&l), sum);
	store_extents_fini(&l);
}
END_TEST

START_TEST(refused)
{
	struct store_extents l = {0};

	ck_assert_int_eq(store_extents_add(&l, 5, 5), LARDER_EINVAL);
	ck_assert_int_eq(store_extents_add(&l, 6, 5), LARDER_EINVAL);
	ck_assert_uint_eq(l.n, 0);
	store_extents_fini(&l);
}
END_TEST

START_TEST(questions)
{
	static const struct {
		uint64_t offset, have, next; /* the latter before 100 */
	} rows[] = {{0, 0, 10}, {9, 0, 10}, {10, 5, 10}, {14, 1, 14}, {15, 0, 20}, {19, 0, 20},
	            {20, 10, 20}, {29, 1, 29}, {30, 0, 90}, {90, 20, 90}, {109, 1, 100}, {110, 0, 100}};
	struct store_extents l = {0};

	ck_assert_uint_eq(store_extents_have(&l, rows[_i].offset), 0);
	ck_assert_uint_eq(store_extents_next(&l, rows[_i].offset, 100), 100);
	store_extents_add(&l, 10, 15);
	store_extents_add(&l, 20, 30);
	store_extents_add(&l, 90, 110);
	ck_assert_uint_eq(store_extents_have(&l, rows[_i].offset), rows[_i].have);
	ck_assert_uint_eq(store_extents_next(&l, rows[_i].offset, 100), rows[_i].next);
	store_extents_fini(&l);
}
END_TEST

/* At the bound the shortest is forgotten. */
START_TEST(bound)
{
	struct store_extents l = {0};

	for (uint64_t i = 0; i < STORE_EXTENTS_MAX; i++)
		ck_assert_int_eq(store_extents_add(&l, i * 100, i * 100 + (i == 7 ? 3 : 10)), 0);
	ck_assert_uint_eq(l.n, STORE_EXTENTS_MAX);
	ck_assert_uint_eq(store_extents_have(&l, 700), 3);
	ck_assert_int_eq(store_extents_add(&l, 50, 60), 0);
	ck_assert_uint_eq(l.n, STORE_EXTENTS_MAX);
	ck_assert_uint_eq(store_extents_have(&l, 700), 0);
	ck_assert_uint_eq(store_extents_have(&l, 50), 10);
	ck_assert_uint_eq(store_extents_have(&l, 800), 10);
	store_extents_fini(&l);
}
END_TEST

START_TEST(loads)
{
	static const struct {
		struct store_extent in[3];
		unsigned n;
		int ret;
	} rows[] = {
	        {{{0, 5}, {6, 9}, {20, 100}}, 3, 0},
	        {{{0, 5}, {5, 9}}, 2, LARDER_ECORRUPT},
	        {{{6, 9}, {0, 5}}, 2, LARDER_ECORRUPT},
	        {{{0, 0}}, 1, LARDER_ECORRUPT},
	        {{{5, 4}}, 1, LARDER_ECORRUPT},
	        {{{50, 101}}, 1, LARDER_ECORRUPT},
	};
	struct store_extents l = {0};
	struct view v = view_make(rows[_i].in, rows[_i].n * sizeof(rows[_i].in[0]));

	ck_assert_int_eq(store_extents_load(&l, v, 100), rows[_i].ret);
	store_extents_fini(&l);
	v.len--;
	ck_assert_int_eq(store_extents_load(&l, v, 100), LARDER_ECORRUPT);
	store_extents_fini(&l);
}
END_TEST

/* Against a plain map of bytes. */
START_TEST(model)
{
	bool there[300] = {false};
	struct store_extents l = {0};
	uint32_t x = 17;

	for (int n = 0; n < 2000; n++) {
		uint64_t first, end;

		x = x * 1664525u + 1013904223u;
		first = (x >> 8) % 299;
		end = first + 1 + (x >> 20) % 12;
		end = end > 300 ? 300 : end;
		if (n % 400 == 0) {
			store_extents_fini(&l);
			memset(there, 0, sizeof(there));
		}
		ck_assert_int_eq(store_extents_add(&l, first, end), 0);
		memset(there + first, 1, (size_t)(end - first));
		for (uint64_t at = 0; at < 300; at++) {
			uint64_t k = at;

			while (k < 300 && there[k])
				k++;
			ck_assert_uint_eq(store_extents_have(&l, at), k - at);
		}
	}
	store_extents_fini(&l);
}
END_TEST

UNIT_MAIN("store/extents", tcase_add_loop_test(tc, add, 0, 13); tcase_add_test(tc, refused);
          tcase_add_loop_test(tc, questions, 0, 12); tcase_add_test(tc, bound);
          tcase_add_loop_test(tc, loads, 0, 6); tcase_add_test(tc, model);)
