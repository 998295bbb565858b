/*
 * Each file of good/ gives the print in its .out, and the print read again gives itself. Each file
 * of bad/ gives the message in its .err. LARDER_CONF_UPDATE=1 writes the expectations anew.
 */
#include "unit.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "sample.h"

static glob_t good, bad;

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	ck_assert_ptr_nonnull(text);
	if (f) {
		text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
		fclose(f);
	}
	return text;
}

static void spill(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

static void check_golden(const char *conf, const char *suffix, const char *got)
{
	char path[256], *expected;

	snprintf(path, sizeof(path), "%.*s.%s", (int)(strrchr(conf, '.') - conf), conf, suffix);
	if (getenv("LARDER_CONF_UPDATE"))
		spill(path, got, strlen(got));
	expected = slurp(path);
	ck_assert_msg(strcmp(expected, got) == 0, "%s:\n--- expected\n%s\n--- got\n%s", path,
	              expected, got);
	free(expected);
}

static char *print(struct conf *c)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	ck_assert_int_eq(conf_print(c, &b), 0);
	return buf_cstr(&b);
}

START_TEST(prints_as_recorded_and_reads_back)
{
	const char *path = good.gl_pathv[_i];
	struct conf *c = conf_new(sample_tables, 2), *again = conf_new(sample_tables, 2);
	char *why, *text, *text2, tmp[] = "/tmp/larder-conf-XXXXXX";
	int fd = mkstemp(tmp);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_msg(conf_read_file(c, path, &why) == 0, "%s", why);
	ck_assert_msg(conf_finish(c, &why) == 0, "%s", why);
	text = print(c);
	check_golden(path, "out", text);
	spill(tmp, text, strlen(text));
	ck_assert_msg(conf_read_file(again, tmp, &why) == 0, "%s", why);
	ck_assert_msg(conf_finish(again, &why) == 0, "%s", why);
	text2 = print(again);
	ck_assert_str_eq(text, text2);
	unlink(tmp);
	free(text);
	free(text2);
	conf_free(c);
	conf_free(again);
}
END_TEST

START_TEST(explains_as_recorded)
{
	const char *path = bad.gl_pathv[_i];
	struct conf *c = conf_new(sample_tables, 2);
	char *why = NULL;
	int err = conf_read_file(c, path, &why);

	if (!err)
		err = conf_finish(c, &why);
	ck_assert_int_lt(err, 0);
	ck_assert_ptr_nonnull(why);
	check_golden(path, "err", why);
	free(why);
	conf_free(c);
}
END_TEST

static void find(TCase *tc)
{
	const char *dir = getenv("LARDER_CONF_DIR");

	if (!dir || chdir(dir) || glob("good/*.conf", 0, NULL, &good) ||
	    glob("bad/*.conf", 0, NULL, &bad)) {
		fprintf(stderr, "LARDER_CONF_DIR must name tests/conf\n");
		exit(EXIT_FAILURE);
	}
	tcase_add_loop_test(tc, prints_as_recorded_and_reads_back, 0, (int)good.gl_pathc);
	tcase_add_loop_test(tc, explains_as_recorded, 0, (int)bad.gl_pathc);
}

UNIT_MAIN("conf/golden", setenv("LARDER_CONF_VARIABLE", "from the environment", 1);
          unsetenv("LARDER_CONF_ABSENT"); find(tc);)
