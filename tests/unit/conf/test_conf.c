#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../conf/sample.h"
#include "base/check.h"
#include "base/error.h"

static char dir[64], path[128];
static struct conf *c;
static char *why;

static void setup(void)
{
	view_copy(V("/tmp/larder-conf-XXXXXX"), dir, sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/larder.conf", dir);
	c = conf_new(sample_tables, ARRAY_LEN(sample_tables));
	ck_assert_ptr_nonnull(c);
	why = NULL;
}

static void teardown(void)
{
	conf_free(c);
	free(why);
	unlink(path);
	rmdir(path);
	rmdir(dir);
}

static void write_file(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static void read_text(const char *text)
{
	write_file(text, strlen(text));
	ck_assert_msg(conf_read_file(c, path, &why) == 0, "%s", why);
}

static void finish(void)
{
	ck_assert_msg(conf_finish(c, &why) == 0, "%s", why);
}

START_TEST(defaults_come_from_the_tables)
{
	const struct global_options *g;

	finish();
	g = conf_global(c, "global");
	ck_assert_str_eq(g->store, "");
	ck_assert_uint_eq(g->size, UINT64_C(20) << 30);
	ck_assert_uint_eq(g->timeout, 30000);
	ck_assert_int_eq(g->workers, 0);
	ck_assert_uint_eq(g->share, 50);
	ck_assert_int_eq(g->level, 1);
	ck_assert_uint_eq(conf_listeners(c), 0);
	ck_assert_ptr_null(conf_global(c, "nothing"));
	ck_assert_ptr_null(conf_global(c, "listener"));
	ck_assert_ptr_null(conf_where(c, "size"));
}
END_TEST

START_TEST(arguments_win_over_the_file)
{
	const struct global_options *g;

	ck_assert_int_eq(conf_set(c, "size=1G", &why), 0);
	read_text("size = 2G\ntimeout = 5s\n");
	ck_assert_int_eq(conf_set(c, "timeout = 6s", &why), 0);
	ck_assert_int_eq(conf_set(c, "timeout=7s", &why), 0);
	finish();
	g = conf_global(c, "global");
	ck_assert_uint_eq(g->size, UINT64_C(1) << 30);
	ck_assert_uint_eq(g->timeout, 7000);
	ck_assert_str_eq(conf_where(c, "size"), "-o");
}
END_TEST

START_TEST(listeners_inherit_the_globals)
{
	const struct listener_options *o;
	struct conf_listener l;

	read_text("allow = { a, b }\n\nlisten \":1\" {\n kind = forward\n allow = { c }\n}\n"
	          "listen \":2\" { kind = reverse\n origin = http://o/ }\n");
	ck_assert_int_eq(conf_add_listener(c, "reverse=[::1]:3,http://p:8000/x,y", &why), 0);
	ck_assert_int_eq(conf_set(c, "ports=1, 2 3", &why), 0);
	finish();
	ck_assert_uint_eq(conf_listeners(c), 3);
	o = conf_listener_options(c, 0, "listener");
	ck_assert_uint_eq(o->allow.n, 1);
	ck_assert_str_eq(o->allow.items[0], "c");
	ck_assert_uint_eq(o->ports.n, 3);
	ck_assert_str_eq(o->ports.items[2], "3");
	o = conf_listener_options(c, 1, "listener");
	ck_assert_uint_eq(o->allow.n, 2);
	ck_assert_str_eq(o->allow.items[1], "b");
	ck_assert(o->cache);
	ck_assert_ptr_null(conf_listener_options(c, 1, "global"));
	conf_listener(c, 1, &l);
	ck_assert_str_eq(l.address, ":2");
	ck_assert_str_eq(l.kind, "reverse");
	ck_assert_str_eq(l.origin, "http://o/");
	ck_assert_msg(strcmp(strrchr(l.where, '/'), "/larder.conf:7") == 0, "%s", l.where);
	conf_listener(c, 2, &l);
	ck_assert_str_eq(l.address, "[::1]:3");
	ck_assert_str_eq(l.origin, "http://p:8000/x,y");
	ck_assert_ptr_eq(strstr(l.where, "-l reverse="), l.where);
}
END_TEST

START_TEST(where_names_file_and_line)
{
	char expected[160];

	read_text("# one\n/* two\n three */\n\nsize = 5G # five\nallow = {\n a,\n b }\n");
	finish();
	snprintf(expected, sizeof(expected), "%s:5", path);
	ck_assert_str_eq(conf_where(c, "size"), expected);
	snprintf(expected, sizeof(expected), "%s:8", path);
	ck_assert_str_eq(conf_where(c, "allow"), expected);
}
END_TEST

static const struct {
	const char *assignment;
	int err;
	const char *why;
} assignments[] = {
        {"size=5G", 0, NULL},
        {"store=", 0, NULL},
        {"store=a=b", 0, NULL},
        {"allow=", 0, NULL},
        {"workers=-8", 0, NULL},
        {"size", LARDER_EINVAL, "-o size: must be NAME=VALUE"},
        {"=5", LARDER_EINVAL, "-o =5: must be NAME=VALUE"},
        {"sise=5", LARDER_ENOENT, "-o sise: no such option; did you mean size?"},
        {"kind=forward", LARDER_ENOENT, "-o kind: no such option"},
        {"size=5Q", LARDER_EINVAL,
         "-o size: \"5Q\" is not a size: digits and one of k, M, G, T, as in 64k"},
        {"size=", LARDER_EINVAL,
         "-o size: \"\" is not a size: digits and one of k, M, G, T, as in 64k"},
        {"workers=9999", LARDER_EINVAL, "-o workers: 9999 is out of bounds: -8 to 1024"},
        {"workers=99999999999999999999", LARDER_EINVAL,
         "-o workers: 99999999999999999999 is out of bounds: -8 to 1024"},
        {"workers=--1", LARDER_EINVAL, "-o workers: \"--1\" is not a whole number"},
        {"cache=2", LARDER_EINVAL, "-o cache: \"2\" is neither yes nor no"},
        {"level=warn", LARDER_EINVAL, "-o level: \"warn\" is not one of error, info or debug"},
};

START_TEST(assignments_are_checked)
{
	ck_assert_int_eq(conf_set(c, assignments[_i].assignment, &why), assignments[_i].err);
	if (assignments[_i].why)
		ck_assert_str_eq(why, assignments[_i].why);
	else
		ck_assert_ptr_null(why);
}
END_TEST

static const struct {
	const char *text, *why;
} listeners[] = {
        {"forward", "-l forward: must be KIND=ADDR:PORT or KIND=ADDR:PORT,ORIGIN-URL"},
        {"=:1", "-l =:1: must be KIND=ADDR:PORT or KIND=ADDR:PORT,ORIGIN-URL"},
        {"forward=", "-l forward=: must be KIND=ADDR:PORT or KIND=ADDR:PORT,ORIGIN-URL"},
        {"reverse=:1,", "-l reverse=:1,: must be KIND=ADDR:PORT or KIND=ADDR:PORT,ORIGIN-URL"},
        {"reverse=:9",
         "-l reverse=:9: there is a listener on this address already (-l forward=:9)"},
};

START_TEST(wrong_listeners_are_explained)
{
	ck_assert_int_eq(conf_add_listener(c, "forward=:9", &why), 0);
	ck_assert_int_eq(conf_add_listener(c, listeners[_i].text, &why), LARDER_EINVAL);
	ck_assert_str_eq(why, listeners[_i].why);
}
END_TEST

START_TEST(listeners_have_a_ceiling)
{
	char text[64];
	int err = 0, n = 0;

	while (!err && n < 10000) {
		snprintf(text, sizeof(text), "forward=:%d", n++);
		err = conf_add_listener(c, text, &why);
	}
	ck_assert_int_eq(err, LARDER_ELIMIT);
	ck_assert_int_eq(n, 257);
}
END_TEST

START_TEST(files_that_are_none)
{
	char expected[192];
	size_t big = (1 << 20) + 8192;
	char *text = malloc(big);

	ck_assert_int_eq(conf_read_file(c, path, &why), LARDER_ENOENT);
	snprintf(expected, sizeof(expected), "%s: cannot be opened: No such file or directory",
	         path);
	ck_assert_str_eq(why, expected);
	free(why);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(conf_read_file(c, path, &why), LARDER_EINVAL);
	snprintf(expected, sizeof(expected), "%s: is a directory, not a configuration file", path);
	ck_assert_str_eq(why, expected);
	free(why);
	rmdir(path);
	memset(text, '#', big);
	write_file(text, big);
	ck_assert_int_eq(conf_read_file(c, path, &why), LARDER_ELIMIT);
	ck_assert_ptr_nonnull(strstr(why, "is too large: at most 1024 KiB"));
	free(text);
}
END_TEST

START_TEST(an_unreadable_file_is_named)
{
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	ck_assert_int_eq(conf_read_file(c, "/proc/1/environ", &why), LARDER_EPERM);
	ck_assert_str_eq(why, "/proc/1/environ: cannot be opened: Permission denied");
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

/* xorshift: the same strings every time. */
static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void odd_string(uint64_t *seed, char *dst, size_t max)
{
	static const char odd[] = "\"'\\$${}=,#()/*%\n\t\r x\x01\x7f\xff\xc3\xa9+0a";
	size_t len = 1 + draw(seed) % (max - 1);

	for (size_t i = 0; i < len; i++)
		dst[i] = odd[draw(seed) % (sizeof(odd) - 1)];
	dst[len] = '\0';
}

START_TEST(any_string_survives_printing)
{
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)_i;
	struct conf *again = conf_new(sample_tables, ARRAY_LEN(sample_tables));
	char assignment[80] = "format=", value[64];
	const struct global_options *g, *h;
	struct buf b;

	odd_string(&seed, assignment + 7, 60);
	/* A command line's blanks at the ends do not count. */
	assignment[7] = 'x';
	assignment[strlen(assignment) - 1] = 'y';
	ck_assert_int_eq(conf_set(c, assignment, &why), 0);
	odd_string(&seed, value, sizeof(value));
	snprintf(assignment, sizeof(assignment), "allow=%s", value);
	ck_assert_int_eq(conf_set(c, assignment, &why), 0);
	finish();
	buf_init(&b, 1 << 20);
	ck_assert_int_eq(conf_print(c, &b), 0);
	write_file(b.data, b.len);
	ck_assert_msg(conf_read_file(again, path, &why) == 0, "%s\n%.*s", why, VFMT(buf_view(&b)));
	ck_assert_int_eq(conf_finish(again, &why), 0);
	g = conf_global(c, "global");
	h = conf_global(again, "global");
	ck_assert_str_eq(g->format, h->format);
	{
		struct buf b2;

		buf_init(&b2, 1 << 20);
		ck_assert_int_eq(conf_print(again, &b2), 0);
		ck_assert(view_eq(buf_view(&b), buf_view(&b2)));
		buf_fini(&b2);
	}
	buf_fini(&b);
	conf_free(again);
}
END_TEST

/* Whatever the bytes are, reading ends with a verdict, and a refusal with a reason. */
START_TEST(any_bytes_get_a_verdict)
{
	static const char *const words[] = {
	        "store",   "=",  "{", "}", "\"",    "'",  "#",    "/*", "*/", "listen", "\n", " ",
	        "${X:-y}", "\\", ",", "a", "allow", "+=", "kind", "(",  ")",  "include"};
	uint64_t seed = UINT64_C(0x2545f4914f6cdd1d) + (uint64_t)_i;

	for (int round = 0; round < 20; round++) {
		char text[400] = "";
		size_t len = 0;
		int err;

		for (uint64_t n = draw(&seed) % 40; n > 0; n--) {
			const char *w = words[draw(&seed) % ARRAY_LEN(words)];

			memcpy(text + len, w, strlen(w) + 1);
			len += strlen(w);
		}
		write_file(text, len);
		err = conf_read_file(c, path, &why);
		ck_assert_int_le(err, 0);
		ck_assert_msg(!err == !why, "%s", text);
		free(why);
		why = NULL;
	}
}
END_TEST

UNIT_MAIN("conf/conf", tcase_add_checked_fixture(tc, setup, teardown);
          tcase_add_test(tc, defaults_come_from_the_tables);
          tcase_add_test(tc, arguments_win_over_the_file);
          tcase_add_test(tc, listeners_inherit_the_globals);
          tcase_add_test(tc, where_names_file_and_line);
          tcase_add_loop_test(tc, assignments_are_checked, 0, ARRAY_LEN(assignments));
          tcase_add_loop_test(tc, wrong_listeners_are_explained, 0, ARRAY_LEN(listeners));
          tcase_add_test(tc, listeners_have_a_ceiling); tcase_add_test(tc, files_that_are_none);
          tcase_add_test(tc, an_unreadable_file_is_named);
          tcase_add_loop_test(tc, any_string_survives_printing, 0, 100);
          tcase_add_loop_test(tc, any_bytes_get_a_verdict, 0, 40);)
