#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

enum how { DEC, SAT, HEX, SIZE, DURATION };

static const struct {
	enum how how;
	const char *text;
	uint64_t max;
	int err;
	uint64_t n;
} rows[] = {
	{DEC, "0", 9, 0, 0},
	{DEC, "007", 9, 0, 7},
	{DEC, "9", 9, 0, 9},
	{DEC, "10", 9, LARDER_ELIMIT, 0},
	{DEC, "18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
	{DEC, "18446744073709551616", UINT64_MAX, LARDER_ELIMIT, 0},
	{DEC, "99999999999999999999999999999999", UINT64_MAX, LARDER_ELIMIT, 0},
	{DEC, "99999999999999999999x", UINT64_MAX, LARDER_EINVAL, 0},
	{DEC, "", 9, LARDER_EINVAL, 0},
	{DEC, "-1", 9, LARDER_EINVAL, 0},
	{DEC, "+1", 9, LARDER_EINVAL, 0},
	{DEC, " 1", 9, LARDER_EINVAL, 0},
	{DEC, "1 ", 9, LARDER_EINVAL, 0},
	{DEC, "1.0", 9, LARDER_EINVAL, 0},
	{DEC, "1e1", 9, LARDER_EINVAL, 0},
	{DEC, "0x1", 9, LARDER_EINVAL, 0},
	{DEC, "\xd9\xa1", 9, LARDER_EINVAL, 0},
	{DEC, "1", 0, LARDER_ELIMIT, 0},
	{DEC, "0", 0, 0, 0},
	{SAT, "5", 9, 0, 5},
	{SAT, "10", 9, 0, 9},
	{SAT, "36893488147419103232", UINT64_MAX, 0, UINT64_MAX},
	{SAT, "36893488147419103232", 2147483648, 0, 2147483648},
	{SAT, "999999999999999999999x", 9, LARDER_EINVAL, 0},
	{SAT, "", 9, LARDER_EINVAL, 0},
	{HEX, "0", 255, 0, 0},
	{HEX, "fF", 255, 0, 255},
	{HEX, "100", 255, LARDER_ELIMIT, 0},
	{HEX, "ffffffffffffffff", UINT64_MAX, 0, UINT64_MAX},
	{HEX, "0ffffffffffffffff", UINT64_MAX, LARDER_ELIMIT, 0},
	{HEX, "", 255, LARDER_EINVAL, 0},
	{HEX, "0x1", 255, LARDER_EINVAL, 0},
	{HEX, "g", 255, LARDER_EINVAL, 0},
	{HEX, "-1", 255, LARDER_EINVAL, 0},
	{SIZE, "0", 0, 0, 0},
	{SIZE, "512", 0, 0, 512},
	{SIZE, "512B", 0, 0, 512},
	{SIZE, "64k", 0, 0, 65536},
	{SIZE, "64K", 0, 0, 65536},
	{SIZE, "64kB", 0, 0, 65536},
	{SIZE, "64KiB", 0, 0, 65536},
	{SIZE, "10M", 0, 0, 10485760},
	{SIZE, "2g", 0, 0, 2147483648},
	{SIZE, "1T", 0, 0, 1099511627776},
	{SIZE, "16777215T", 0, 0, 16777215ULL << 40},
	{SIZE, "16777216T", 0, LARDER_ELIMIT, 0},
	{SIZE, "64 k", 0, LARDER_EINVAL, 0},
	{SIZE, "k", 0, LARDER_EINVAL, 0},
	{SIZE, "B", 0, LARDER_EINVAL, 0},
	{SIZE, "iB", 0, LARDER_EINVAL, 0},
	{SIZE, "", 0, LARDER_EINVAL, 0},
	{SIZE, "1.5G", 0, LARDER_EINVAL, 0},
	{SIZE, "1iB", 0, LARDER_EINVAL, 0},
	{SIZE, "1ki", 0, LARDER_EINVAL, 0},
	{SIZE, "-1k", 0, LARDER_EINVAL, 0},
	{SIZE, "1p", 0, LARDER_EINVAL, 0},
	{DURATION, "0", 0, 0, 0},
	{DURATION, "30", 0, 0, 30000},
	{DURATION, "30s", 0, 0, 30000},
	{DURATION, "250ms", 0, 0, 250},
	{DURATION, "5m", 0, 0, 300000},
	{DURATION, "2h", 0, 0, 7200000},
	{DURATION, "7d", 0, 0, 604800000},
	{DURATION, "1w", 0, 0, 604800000},
	{DURATION, "1W", 0, 0, 604800000},
	{DURATION, "99999999999999999d", 0, LARDER_ELIMIT, 0},
	{DURATION, "1y", 0, LARDER_EINVAL, 0},
	{DURATION, "s", 0, LARDER_EINVAL, 0},
	{DURATION, "1h30m", 0, LARDER_EINVAL, 0},
	{DURATION, "1 h", 0, LARDER_EINVAL, 0},
	{DURATION, "-1s", 0, LARDER_EINVAL, 0},
};

START_TEST(parse)
{
	struct view v = view_of(rows[_i].text);
	uint64_t n = 0;
	int err = -1;

	switch (rows[_i].how) {
	case DEC:
		err = num_parse_u64(v, rows[_i].max, &n);
		break;
	case SAT:
		err = num_parse_saturating(v, rows[_i].max, &n);
		break;
	case HEX:
		err = num_parse_hex(v, rows[_i].max, &n);
		break;
	case SIZE:
		err = num_parse_size(v, &n);
		break;
	case DURATION:
		err = num_parse_duration(v, &n);
		break;
	}
	ck_assert_msg(err == rows[_i].err, "\"%s\" gives %d, not %d", rows[_i].text, err,
		      rows[_i].err);
	if (!err)
		ck_assert_uint_eq(n, rows[_i].n);
}
END_TEST

static const struct {
	bool duration;
	uint64_t n;
	const char *text;
} formats[] = {
	{false, 0, "0"},
	{false, 1000, "1000"},
	{false, 1024, "1k"},
	{false, 65536, "64k"},
	{false, 1048576, "1M"},
	{false, 1048577, "1048577"},
	{false, 10737418240, "10G"},
	{false, 1099511627776, "1T"},
	{false, UINT64_MAX, "18446744073709551615"},
	{true, 0, "0s"},
	{true, 250, "250ms"},
	{true, 1000, "1s"},
	{true, 1001, "1001ms"},
	{true, 300000, "5m"},
	{true, 90000, "90s"},
	{true, 7200000, "2h"},
	{true, 604800000, "7d"},
	{true, UINT64_MAX, "18446744073709551615ms"},
};

START_TEST(format)
{
	char text[24];
	uint64_t back;

	if (formats[_i].duration) {
		ck_assert_str_eq(num_format_duration(formats[_i].n, text, sizeof(text)),
				 formats[_i].text);
		ck_assert_int_eq(num_parse_duration(view_of(text), &back), 0);
	} else {
		ck_assert_str_eq(num_format_size(formats[_i].n, text, sizeof(text)),
				 formats[_i].text);
		ck_assert_int_eq(num_parse_size(view_of(text), &back), 0);
	}
	ck_assert_uint_eq(back, formats[_i].n);
}
END_TEST

START_TEST(format_u64)
{
	static const struct {
		uint64_t n;
		const char *text;
	} numbers[] = {{0, "0"}, {9, "9"}, {10, "10"}, {99, "99"}, {100, "100"}, {909, "909"}, {1000, "1000"},
	               {86400, "86400"}, {1000000007, "1000000007"}, {UINT64_MAX, "18446744073709551615"}};
	char text[20];

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		size_t len = num_format_u64(numbers[i].n, text);

		ck_view_eq(view_make(text, len), numbers[i].text);
	}
}
END_TEST

START_TEST(sums)
{
	uint64_t n;

	ck_assert(num_add(UINT64_MAX - 1, 1, &n) && n == UINT64_MAX);
	ck_assert(!num_add(UINT64_MAX, 1, &n));
	ck_assert(num_mul(UINT64_MAX / 2, 2, &n) && n == UINT64_MAX - 1);
	ck_assert(!num_mul(UINT64_MAX / 2 + 1, 2, &n));
}
END_TEST

UNIT_MAIN("base/num", tcase_add_loop_test(tc, parse, 0, ARRAY_LEN(rows));
	  tcase_add_loop_test(tc, format, 0, ARRAY_LEN(formats)); tcase_add_test(tc, format_u64);
	  tcase_add_test(tc, sums);)
