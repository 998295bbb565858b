/* The command line. */
#include <stdio.h>

#include "base/error.h"
#include "main/main.h"
#include "unit.h"

#define ARGS_MAX 8

static const struct {
	const char *argv[ARGS_MAX];
	enum main_mode mode;
	const char *file, *listeners, *assignments; /* joined by blanks */
} GOOD[] = {
	{{"larder"}, MAIN_RUN, NULL, "", ""},
	{{"larder", "-c", "f"}, MAIN_RUN, "f", "", ""},
	{{"larder", "--config=f", "-t"}, MAIN_CHECK, "f", "", ""},
	{{"larder", "-l", "forward=:1", "--listen", "forward=:2"}, MAIN_RUN, NULL, "forward=:1 forward=:2", ""},
	{{"larder", "-s", "/d", "-S", "1G", "-w3"}, MAIN_RUN, NULL, "", "store=/d size=1G workers=3"},
	{{"larder", "--store=/d", "--size", "1G", "--workers=2"}, MAIN_RUN, NULL, "", "store=/d size=1G workers=2"},
	{{"larder", "-o", "a=b", "-w", "1", "--option", "c=d"}, MAIN_RUN, NULL, "", "a=b workers=1 c=d"},
	{{"larder", "-T"}, MAIN_PRINT, NULL, "", ""},
	{{"larder", "--print"}, MAIN_PRINT, NULL, "", ""},
	{{"larder", "--check"}, MAIN_CHECK, NULL, "", ""},
	{{"larder", "-V"}, MAIN_VERSION, NULL, "", ""},
	{{"larder", "--version"}, MAIN_VERSION, NULL, "", ""},
	{{"larder", "-h"}, MAIN_HELP, NULL, "", ""},
	{{"larder", "--help"}, MAIN_HELP, NULL, "", ""},
};

static int count_args(const char *const argv[ARGS_MAX])
{
	int n = 0;

	while (n < ARGS_MAX && argv[n])
		n++;
	return n;
}

static int parse(const char *const argv[ARGS_MAX], struct main_args *out, char **why)
{
	char *copy[ARGS_MAX + 1] = {NULL};
	int n = count_args(argv);

	for (int i = 0; i < n; i++)
		copy[i] = (char *)(uintptr_t)argv[i];
	return main_args_parse(n, copy, out, why);
}

static void check_joined(const char *const *items, size_t n, const char *expected)
{
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < n; i++)
		buf_printf(&b, "%s%s", i ? " " : "", items[i]);
	ck_view_eq(buf_view(&b), expected);
	buf_fini(&b);
}

START_TEST(good)
{
	struct main_args a;
	char *why = NULL;

	ck_assert_msg(parse(GOOD[_i].argv, &a, &why) == 0, "%s", why);
	ck_assert_int_eq(a.mode, GOOD[_i].mode);
	ck_assert_pstr_eq(a.file, GOOD[_i].file);
	check_joined(a.listeners, a.nlisteners, GOOD[_i].listeners);
	check_joined((const char *const *)a.assignments, a.nassignments, GOOD[_i].assignments);
	main_args_fini(&a);
}
END_TEST

static const struct {
	const char *argv[ARGS_MAX];
	const char *why;
} BAD[] = {
	{{"larder", "-x"}, "unknown option -x"},
	{{"larder", "--nonsense"}, "unknown option --nonsense"},
	{{"larder", "-c"}, "option -c needs a value"},
	{{"larder", "--store"}, "option --store needs a value"},
	{{"larder", "-c", "a", "-c", "b"}, "-c can be given only once"},
	{{"larder", "start"}, "unexpected argument \"start\""},
	{{"larder", "-t", "--", "-c"}, "unexpected argument \"-c\""},
};

START_TEST(bad)
{
	struct main_args a;
	char *why = NULL;

	ck_assert_int_eq(parse(BAD[_i].argv, &a, &why), LARDER_EINVAL);
	ck_assert_str_eq(why, BAD[_i].why);
	free(why);
}
END_TEST

UNIT_MAIN("main/args",
	tcase_add_loop_test(tc, good, 0, sizeof(GOOD) / sizeof(GOOD[0]));
	tcase_add_loop_test(tc, bad, 0, sizeof(BAD) / sizeof(BAD[0]));)
