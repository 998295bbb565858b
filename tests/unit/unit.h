/* What every unit test program shares: its main, made from one TCase. */
#ifndef LARDER_TESTS_UNIT_H
#define LARDER_TESTS_UNIT_H

#include <check.h>
#include <stdlib.h>

#include "base/view.h"

/* Asserts that a view has the bytes of a string, and shows both otherwise. */
#define ck_view_eq(v, str)                                                                         \
	do {                                                                                       \
		struct view ck_v_ = (v), ck_s_ = view_of(str);                                     \
		ck_assert_msg(view_eq(ck_v_, ck_s_), "%s is \"%.*s\", expected \"%.*s\"", #v,      \
		              VFMT(ck_v_), VFMT(ck_s_));                                           \
	} while (0)

/* UNIT_MAIN("room/file", tcase_add_test(tc, a); tcase_add_loop_test(tc, b, 0, n);) */
#define UNIT_MAIN(name, ...)                                                                       \
	int main(void)                                                                             \
	{                                                                                          \
		Suite *suite = suite_create(name);                                                 \
		TCase *tc = tcase_create(name);                                                    \
		SRunner *runner = srunner_create(suite);                                           \
		int failed;                                                                        \
                                                                                                   \
		tcase_set_timeout(tc, 60);                                                         \
		__VA_ARGS__                                                                        \
		suite_add_tcase(suite, tc);                                                        \
		srunner_run_all(runner, CK_ENV);                                                   \
		failed = srunner_ntests_failed(runner);                                            \
		srunner_free(runner);                                                              \
		return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                       \
	}

#endif
