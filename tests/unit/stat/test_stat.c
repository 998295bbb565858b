#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "stat/stat.h"

struct sample_stats {
#define COUNTER(kind, name, text) STAT_MEMBER(kind, name, text)
#include "sample.def"
#undef COUNTER
};

struct block {
	struct sample_stats sample;
	struct sample_stats other;
};

static const struct stat_row rows[] = {
#define COUNTER(kind, name, text) STAT_ROW(struct block, sample, kind, name, text)
#include "sample.def"
#undef COUNTER
#define COUNTER(kind, name, text) STAT_ROW(struct block, other, kind, name, text)
#include "sample.def"
#undef COUNTER
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

START_TEST(rows_come_from_the_table)
{
	ck_assert_uint_eq(NROWS, 6);
	ck_assert_str_eq(rows[0].room, "sample");
	ck_assert_str_eq(rows[0].name, "requests");
	ck_assert_str_eq(rows[2].text, "what runs");
	ck_assert_int_eq(rows[2].kind, STAT_GAUGE);
	ck_assert_uint_eq(rows[4].offset, offsetof(struct block, other.bytes));
}
END_TEST

START_TEST(blocks_do_not_share_cache_lines)
{
	struct stat_map *map = stat_map_new(rows, NROWS, sizeof(struct block), 3);
	char *a, *b;

	ck_assert_ptr_nonnull(map);
	a = stat_map_block(map, 0);
	b = stat_map_block(map, 1);
	ck_assert_uint_eq((uintptr_t)a % 64, 0);
	ck_assert_uint_eq((uintptr_t)b % 64, 0);
	ck_assert(b - a >= (ptrdiff_t)sizeof(struct block));
	stat_map_free(map);
	stat_map_free(NULL);
}
END_TEST

START_TEST(sums_over_processes)
{
	struct stat_map *map = stat_map_new(rows, NROWS, sizeof(struct block), 2);
	struct block *mine = stat_map_block(map, 0);
	int status;
	pid_t pid;

	stat_add(&mine->sample.requests, 3);
	stat_add(&mine->other.active, 2);
	pid = fork();
	if (pid == 0) {
		struct block *b = stat_map_block(map, 1);

		for (int i = 0; i < 1000; i++)
			stat_add(&b->sample.requests, 1);
		stat_add_mt(&b->sample.bytes, 70);
		stat_add(&b->other.active, 5);
		stat_sub(&b->other.active, 1);
		_exit(0);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(stat_map_sum(map, &rows[0]), 1003);
	ck_assert_uint_eq(stat_map_sum(map, &rows[1]), 70);
	ck_assert_uint_eq(stat_map_sum(map, &rows[5]), 6);
	stat_map_adopt(map, 1);
	ck_assert_uint_eq(stat_map_sum(map, &rows[0]), 1003);
	ck_assert_uint_eq(stat_map_sum(map, &rows[5]), 2);
	stat_map_free(map);
}
END_TEST

START_TEST(a_level_is_never_below_nothing)
{
	struct stat_map *map = stat_map_new(rows, NROWS, sizeof(struct block), 1);
	struct block *b = stat_map_block(map, 0);

	stat_sub(&b->sample.active, 1);
	ck_assert_uint_eq(stat_map_sum(map, &rows[2]), 0);
	stat_set(&b->sample.requests, UINT64_MAX);
	ck_assert_uint_eq(stat_map_sum(map, &rows[0]), UINT64_MAX);
	stat_map_free(map);
}
END_TEST

START_TEST(prints_text_and_json)
{
	struct stat_map *map = stat_map_new(rows, 3, sizeof(struct block), 1);
	struct block *b = stat_map_block(map, 0);
	struct buf out;

	stat_add(&b->sample.requests, 12);
	stat_set(&b->sample.active, 4);
	buf_init(&out, 4096);
	ck_assert_int_eq(stat_map_text(map, &out), 0);
	ck_view_eq(buf_view(&out), "sample.requests 12\nsample.bytes 0\nsample.active 4\n");
	buf_reset(&out);
	ck_assert_int_eq(stat_map_json(map, &out), 0);
	ck_view_eq(
	        buf_view(&out),
	        "{\n \"sample.requests\": 12,\n \"sample.bytes\": 0,\n \"sample.active\": 4\n}\n");
	buf_fini(&out);
	buf_init(&out, 10);
	ck_assert_int_eq(stat_map_text(map, &out), LARDER_ELIMIT);
	buf_fini(&out);
	stat_map_free(map);
}
END_TEST

START_TEST(refuses_what_does_not_fit)
{
	ck_assert_ptr_null(stat_map_new(rows, NROWS, SIZE_MAX / 2, 4));
	ck_assert_ptr_null(stat_map_new(rows, NROWS, SIZE_MAX, 1));
}
END_TEST

UNIT_MAIN("stat/stat", tcase_add_test(tc, rows_come_from_the_table);
          tcase_add_test(tc, blocks_do_not_share_cache_lines);
          tcase_add_test(tc, sums_over_processes);
          tcase_add_test(tc, a_level_is_never_below_nothing);
          tcase_add_test(tc, prints_text_and_json); tcase_add_test(tc, refuses_what_does_not_fit);)
