#include "unit.h"

#include <errno.h>

#include "base/check.h"
#include "base/error.h"

static const struct {
	int errnum, err;
} rows[] = {
	{ENOMEM, LARDER_ENOMEM},
	{EINVAL, LARDER_EINVAL},
	{EAGAIN, LARDER_EAGAIN},
	{EINTR, LARDER_EAGAIN},
	{EIO, LARDER_EIO},
	{ENOSPC, LARDER_ENOSPC},
	{EDQUOT, LARDER_ENOSPC},
	{EFBIG, LARDER_ENOSPC},
	{EMFILE, LARDER_EFILES},
	{ENFILE, LARDER_EFILES},
	{EADDRINUSE, LARDER_EBUSY},
	{EACCES, LARDER_EPERM},
	{EROFS, LARDER_EPERM},
	{ECONNREFUSED, LARDER_ECONNECT},
	{ENETUNREACH, LARDER_ECONNECT},
	{ETIMEDOUT, LARDER_ETIMEOUT},
	{EPIPE, LARDER_ECLOSED},
	{ECONNRESET, LARDER_ECLOSED},
	{ENOENT, LARDER_ENOENT},
	{ENOTTY, LARDER_ESYSTEM},
	{0, LARDER_ESYSTEM},
};

START_TEST(from_errno)
{
	ck_assert_int_eq(larder_from_errno(rows[_i].errnum), rows[_i].err);
}
END_TEST

START_TEST(texts)
{
	ck_assert_str_eq(larder_strerror(LARDER_ENOSPC), "no space left");
	ck_assert_str_eq(larder_strerror(0), "no error");
	ck_assert_str_eq(larder_strerror(1), "no error");
	ck_assert_str_eq(larder_strerror(-9999), "unknown error");
}
END_TEST

START_TEST(values_are_distinct)
{
	static const int all[] = {
#define ERR(name, value, text) value,
#include "base/error.def"
#undef ERR
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		ck_assert_int_gt(all[i], 0);
		for (size_t j = 0; j < i; j++)
			ck_assert_int_ne(all[i], all[j]);
	}
}
END_TEST

UNIT_MAIN("base/error", tcase_add_loop_test(tc, from_errno, 0, ARRAY_LEN(rows));
	  tcase_add_test(tc, texts); tcase_add_test(tc, values_are_distinct);)
