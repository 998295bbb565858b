#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "log-private.h"

static char dir[64], path[128];
static struct log_target target;
static uint64_t written, lost, failures;

static void setup(void)
{
	view_copy(V("/tmp/larder-log-XXXXXX"), dir, sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/target", dir);
	target = (struct log_target){.kind = LOG_OFF, .fd = -1};
	written = lost = failures = 0;
}

static void teardown(void)
{
	log_target_close(&target);
	unlink(path);
	rmdir(dir);
}

static void open_target(const char *value)
{
	char *why = NULL;

	ck_assert_int_eq(log_target_open(&target, "access_log", value, &why), 0);
}

static size_t put(struct view v)
{
	return log_target_write(&target, v, &written, &lost, &failures);
}

static void content_is(const char *file, const char *expected)
{
	char got[4096];
	FILE *f = fopen(file, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(got, 1, sizeof(got), f);
	fclose(f);
	ck_view_eq(view_make(got, n), expected);
}

START_TEST(files_are_appended_to)
{
	struct stat st;

	open_target(path);
	ck_assert_uint_eq(put(V("one\ntwo\n")), 8);
	log_target_close(&target);
	open_target(path);
	ck_assert_uint_eq(put(V("three\n")), 6);
	content_is(path, "one\ntwo\nthree\n");
	ck_assert_uint_eq(written, 3);
	ck_assert_uint_eq(lost + failures, 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07, 0);
}
END_TEST

START_TEST(reopening_keeps_the_number)
{
	char moved[140];
	int fd;

	open_target(path);
	fd = target.fd;
	put(V("before\n"));
	snprintf(moved, sizeof(moved), "%s.1", path);
	ck_assert_int_eq(rename(path, moved), 0);
	ck_assert_int_eq(log_target_reopen(&target), 0);
	ck_assert_int_eq(target.fd, fd);
	put(V("after\n"));
	content_is(moved, "before\n");
	content_is(path, "after\n");
	unlink(moved);
}
END_TEST

START_TEST(a_failed_reopening_keeps_the_file)
{
	open_target(path);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_lt(log_target_reopen(&target), 0);
	ck_assert_uint_eq(put(V("still\n")), 6);
	ck_assert_uint_eq(written, 1);
	rmdir(path);
}
END_TEST

START_TEST(a_full_disk_loses_lines_and_recovers)
{
	int fd;

	open_target("/dev/full");
	target.pipe = false;
	ck_assert_uint_eq(put(V("one\ntwo\n")), 8);
	ck_assert_uint_eq(written, 0);
	ck_assert_uint_eq(lost, 2);
	ck_assert_uint_eq(failures, 1);
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	log_target_adopt(&target, fd);
	ck_assert_uint_eq(put(V("three\n")), 6);
	ck_assert_uint_eq(written, 1);
	content_is(path, "three\n");
}
END_TEST

START_TEST(a_torn_line_gets_its_own_end)
{
	open_target(path);
	target.torn = true;
	put(V("next\n"));
	put(V("more\n"));
	content_is(path, "\nnext\nmore\n");
	ck_assert_uint_eq(written, 2);
}
END_TEST

START_TEST(a_full_fifo_takes_no_more_and_never_blocks)
{
	static char lines[1 << 18];
	size_t done, rest;
	char got[8192];
	ssize_t n;

	for (size_t i = 0; i < sizeof(lines); i++)
		lines[i] = i % 100 == 99 ? '\n' : 'x';
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	open_target(path);
	ck_assert(target.pipe);
	done = put(view_make(lines, sizeof(lines)));
	ck_assert_uint_gt(done, 0);
	ck_assert_uint_lt(done, sizeof(lines));
	ck_assert_uint_eq(done % 100, 0);
	ck_assert_uint_eq(put(view_make(lines + done, sizeof(lines) - done)), 0);
	ck_assert_uint_eq(lost, 0);
	/* Room for more once somebody reads. */
	n = read(target.fd, got, sizeof(got));
	ck_assert_int_eq(n, sizeof(got));
	rest = put(view_make(lines + done, sizeof(lines) - done));
	ck_assert_uint_gt(rest, 0);
	ck_assert_uint_eq(written, (done + rest) / 100);
}
END_TEST

START_TEST(a_pipe_without_readers_loses_lines)
{
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	target = (struct log_target){.kind = LOG_STREAM, .fd = ends[1], .pipe = true};
	close(ends[0]);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_uint_eq(put(V("one\n")), 4);
	ck_assert_uint_eq(lost, 1);
	ck_assert_uint_eq(failures, 1);
}
END_TEST

START_TEST(the_system_log_gets_a_datagram_a_line)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int logger = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char got[256];
	ssize_t n;

	ck_assert(view_copy(view_of(path), sun.sun_path, sizeof(sun.sun_path)));
	ck_assert_int_eq(bind(logger, (struct sockaddr *)&sun, sizeof(sun)), 0);
	target = (struct log_target){.kind = LOG_SYSLOG,
	                             .fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	                             .path = strdup(path)};
	/* Not connected yet, as after a restart of the logger. */
	ck_assert_uint_eq(put(V("<30>one\n<30>two\n")), 16);
	n = recv(logger, got, sizeof(got), 0);
	ck_view_eq(view_make(got, n < 0 ? 0 : (size_t)n), "<30>one");
	n = recv(logger, got, sizeof(got), 0);
	ck_view_eq(view_make(got, n < 0 ? 0 : (size_t)n), "<30>two");
	ck_assert_uint_eq(written, 2);
	close(logger);
	ck_assert_uint_eq(put(V("<30>three\n")), 10);
	ck_assert_uint_eq(lost, 1);
}
END_TEST

START_TEST(the_heading_is_as_rfc_3164_4_1_has_it)
{
	struct log_clock c = {.syslog = "Oct  1 22:14:15"};
	char line[128], expected[128];
	struct log_line l = {.p = line, .end = line + sizeof(line)};

	log_syslog_head(&l, 4, &c);
	snprintf(expected, sizeof(expected), "<28>Oct  1 22:14:15 larder[%d]: ", (int)getpid());
	ck_view_eq(view_make(line, (size_t)(l.p - line)), expected);
}
END_TEST

START_TEST(what_cannot_be_opened_is_named)
{
	char value[160], *why = NULL;

	snprintf(value, sizeof(value), "%s/missing/log", dir);
	ck_assert_int_eq(log_target_open(&target, "access_log", value, &why), LARDER_ENOENT);
	ck_assert_msg(why && strstr(why, "access_log: cannot open /tmp/larder-log-") == why, "%s",
	              why);
	ck_assert_ptr_nonnull(strstr(why, "No such file or directory"));
	free(why);
	ck_assert_int_eq(target.kind, LOG_OFF);
}
END_TEST

UNIT_MAIN("log/target", tcase_add_checked_fixture(tc, setup, teardown);
          tcase_add_test(tc, files_are_appended_to); tcase_add_test(tc, reopening_keeps_the_number);
          tcase_add_test(tc, a_failed_reopening_keeps_the_file);
          tcase_add_test(tc, a_full_disk_loses_lines_and_recovers);
          tcase_add_test(tc, a_torn_line_gets_its_own_end);
          tcase_add_test(tc, a_full_fifo_takes_no_more_and_never_blocks);
          tcase_add_test(tc, a_pipe_without_readers_loses_lines);
          tcase_add_test(tc, the_system_log_gets_a_datagram_a_line);
          tcase_add_test(tc, the_heading_is_as_rfc_3164_4_1_has_it);
          tcase_add_test(tc, what_cannot_be_opened_is_named);)
