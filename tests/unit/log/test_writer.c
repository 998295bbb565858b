#include "unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "log/log.h"

static char dir[64], access_path[128], error_path[128];
static struct log_stats stats;

static uint64_t lines(void)
{
	return __atomic_load_n(&stats.lines, __ATOMIC_RELAXED);
}

static uint64_t dropped(void)
{
	return __atomic_load_n(&stats.dropped, __ATOMIC_RELAXED);
}

static void setup(void)
{
	view_copy(V("/tmp/larder-log-XXXXXX"), dir, sizeof(dir));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(access_path, sizeof(access_path), "%s/access", dir);
	snprintf(error_path, sizeof(error_path), "%s/error", dir);
	memset(&stats, 0, sizeof(stats));
}

static void teardown(void)
{
	unlink(access_path);
	unlink(error_path);
	rmdir(dir);
}

static void open_log(char *error, char *access, char *format)
{
	struct log_options o = {.error_log = error,
	                        .log_level = LOG_L_INFO,
	                        .access_log = access,
	                        .access_log_format = format};
	char *why = NULL;

	ck_assert_int_eq(log_check(&o, &why), 0);
	ck_assert_int_eq(log_open(&o, &why), 0);
}

static void access_line(const char *method, uint64_t status)
{
	struct log_access a = {.method = view_of(method), .status = status};

	log_access(&a);
}

static size_t read_file(const char *path, char *dst, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t n = 0;
	ssize_t got;

	ck_assert_int_ge(fd, 0);
	while ((got = read(fd, dst + n, size - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	dst[n] = '\0';
	return n;
}

START_TEST(lines_arrive)
{
	static char got[65536];

	open_log(error_path, access_path, (char[]){"%{method} %{status}"});
	ck_assert(log_access_wanted());
	ck_assert_int_eq(log_start("worker 3", &stats), 0);
	access_line("GET", 200);
	access_line("HEAD", 404);
	log_warning("disk %s", "slow\n");
	log_debug("not this");
	log_stop();
	read_file(access_path, got, sizeof(got));
	ck_assert_str_eq(got, "GET 200\nHEAD 404\n");
	ck_assert_uint_eq(lines(), 2);
	ck_assert_uint_eq(stats.dropped + stats.failures, 0);
	read_file(error_path, got, sizeof(got));
	ck_assert_msg(strstr(got, " worker 3 [") && strstr(got, "] warning: disk slow\\x0A\n"),
	              "%s", got);
	ck_assert_ptr_null(strstr(got, "not this"));
}
END_TEST

static void wait_for_size(off_t size)
{
	uint64_t end = clock_mono_ms() + 20000;
	struct stat st = {0};

	while (st.st_size < size && clock_mono_ms() < end) {
		poll(NULL, 0, 1);
		ck_assert_int_eq(stat(access_path, &st), 0);
	}
}

START_TEST(a_line_needs_no_stop_to_arrive)
{
	static char got[65536];

	open_log(error_path, access_path, (char[]){"%{status}"});
	ck_assert_int_eq(log_start("worker 0", &stats), 0);
	for (uint64_t i = 100; i < 103; i++) {
		access_line("GET", i);
		wait_for_size((off_t)(4 * (i - 99)));
	}
	read_file(access_path, got, sizeof(got));
	ck_assert_str_eq(got, "100\n101\n102\n");
	log_stop();
}
END_TEST

START_TEST(children_write_whole_lines)
{
	static char got[1 << 22];
	struct log_access a = {.status = 200};
	char url[301];
	size_t n, whole = 0;
	int status;
	pid_t pids[4];

	memset(url, 'u', 300);
	a.url = view_make(url, 300);
	open_log(error_path, access_path, (char[]){"<%{url}>"});
	for (size_t i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			if (log_start("child", &stats))
				_exit(1);
			for (int j = 0; j < 2000; j++)
				log_access(&a);
			log_stop();
			_exit(lines() == 2000 && !dropped() ? 0 : 2);
		}
	}
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
		ck_assert_int_eq(status, 0);
	}
	n = read_file(access_path, got, sizeof(got));
	ck_assert_uint_eq(n, 4 * 2000 * 303);
	for (size_t i = 0; i < n; i += 303) {
		ck_assert(got[i] == '<' && got[i + 301] == '>' && got[i + 302] == '\n');
		whole++;
	}
	ck_assert_uint_eq(whole, 8000);
}
END_TEST

START_TEST(a_stuck_reader_stops_nobody)
{
	struct log_access a = {.status = 200};
	static char url[8000];
	uint64_t start, n = 0;

	memset(url, 'u', sizeof(url));
	a.url = view_make(url, sizeof(url));
	ck_assert_int_eq(mkfifo(access_path, 0600), 0);
	open_log(error_path, access_path, (char[]){"%{url}"});
	ck_assert_int_eq(log_start("worker 0", &stats), 0);
	while (dropped() == 0 && n < 100000) {
		log_access(&a);
		n++;
	}
	ck_assert_uint_gt(dropped(), 0);
	start = clock_mono_ms();
	log_error("still heard");
	log_stop();
	ck_assert_uint_lt(clock_mono_ms() - start, 5000);
	{
		static char got[65536];

		read_file(error_path, got, sizeof(got));
		ck_assert_ptr_nonnull(strstr(got, "still heard"));
	}
}
END_TEST

START_TEST(a_full_disk_is_counted)
{
	static char got[65536];

	open_log(error_path, (char[]){"/dev/full"}, (char[]){"%{status}"});
	ck_assert_int_eq(log_start("worker 0", &stats), 0);
	access_line("GET", 200);
	access_line("GET", 200);
	log_stop();
	ck_assert_uint_eq(lines(), 0);
	ck_assert_uint_eq(dropped(), 2);
	ck_assert_uint_ge(stats.failures, 1);
	read_file(error_path, got, sizeof(got));
	ck_assert_msg(strstr(got, "access log: 2 lines dropped"), "%s", got);
}
END_TEST

START_TEST(new_files_are_handed_over)
{
	static char got[65536];
	char moved[140];
	int e, a;

	open_log(error_path, access_path, (char[]){"%{status}"});
	ck_assert_int_eq(log_start("worker 0", &stats), 0);
	access_line("GET", 1);
	log_stop();
	snprintf(moved, sizeof(moved), "%s.1", access_path);
	ck_assert_int_eq(rename(access_path, moved), 0);
	ck_assert_int_eq(log_reopen(), 0);
	log_reopen_fds(&e, &a);
	ck_assert_int_ge(e, 0);
	ck_assert_int_ge(a, 0);
	ck_assert_int_eq(log_start("worker 0", &stats), 0);
	log_adopt_fds(fcntl(e, F_DUPFD_CLOEXEC, 0), fcntl(a, F_DUPFD_CLOEXEC, 0));
	log_adopt_fds(-1, -1);
	access_line("GET", 2);
	log_stop();
	read_file(moved, got, sizeof(got));
	ck_assert_str_eq(got, "1\n");
	read_file(access_path, got, sizeof(got));
	ck_assert_str_eq(got, "2\n");
	unlink(moved);
}
END_TEST

START_TEST(streams_are_not_reopened)
{
	int e = 5, a = 5;

	open_log((char[]){"stderr"}, (char[]){"off"}, (char[]){"json"});
	ck_assert(!log_access_wanted());
	ck_assert_int_eq(log_reopen(), 0);
	log_reopen_fds(&e, &a);
	ck_assert_int_eq(e, -1);
	ck_assert_int_eq(a, -1);
}
END_TEST

START_TEST(opening_again_changes_the_target)
{
	static char got[65536];
	char second[140];

	snprintf(second, sizeof(second), "%s/second", dir);
	open_log(error_path, access_path, (char[]){"%{status}"});
	ck_assert_int_eq(log_start("worker 0", &stats), 0);
	access_line("GET", 1);
	open_log(error_path, second, (char[]){"%{method}"});
	access_line("GET", 2);
	log_stop();
	read_file(access_path, got, sizeof(got));
	ck_assert_str_eq(got, "1\n");
	read_file(second, got, sizeof(got));
	ck_assert_str_eq(got, "GET\n");
	unlink(second);
}
END_TEST

START_TEST(a_fork_beside_the_thread_is_safe)
{
	static char got[65536];
	int status;
	pid_t pid;

	open_log(error_path, access_path, (char[]){"%{status}"});
	ck_assert_int_eq(log_start("master", &stats), 0);
	access_line("GET", 1);
	/* Address sanitizers deadlock in children that were forked while a thread began. */
	wait_for_size(2);
	pid = fork();
	if (pid == 0) {
		log_info("before the thread");
		if (log_start("worker 1", NULL))
			_exit(1);
		access_line("GET", 2);
		log_stop();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	log_stop();
	read_file(access_path, got, sizeof(got));
	ck_assert_str_eq(got[0] == '1' ? "1\n2\n" : "2\n1\n", got);
	ck_assert(strstr(got, "1\n") && strstr(got, "2\n"));
	read_file(error_path, got, sizeof(got));
	ck_assert_ptr_nonnull(strstr(got, "before the thread"));
}
END_TEST

static const struct {
	const char *error, *access, *format, *why;
} bad[] = {
        {"stderr", "/", "json", "access_log: /: is a directory"},
        {"/nonexistent/dir/log", "off", "json", "error_log: /nonexistent/dir: No such file"},
        {"/dev/null/log", "off", "json", "error_log: /dev/null: is not a directory"},
        {"", "off", "json", "error_log: \"\": neither a path nor"},
        {"stderr", "off", "xml", "access_log_format: \"xml\" is not"},
};

START_TEST(options_are_checked)
{
	struct log_options o = {.error_log = (char *)(uintptr_t)bad[_i].error,
	                        .access_log = (char *)(uintptr_t)bad[_i].access,
	                        .access_log_format = (char *)(uintptr_t)bad[_i].format};
	char *why = NULL;

	ck_assert_int_eq(log_check(&o, &why), LARDER_EINVAL);
	ck_assert_msg(why && strncmp(why, bad[_i].why, strlen(bad[_i].why)) == 0, "%s", why);
	free(why);
}
END_TEST

START_TEST(repeated_messages_are_held_back)
{
	static char got[65536];
	static uint64_t cell;
	size_t said = 0;

	open_log(error_path, (char[]){"off"}, (char[]){"json"});
	for (int i = 0; i < 1000; i++)
		log_limited(&cell, LOG_L_WARNING, "origin %d", i);
	read_file(error_path, got, sizeof(got));
	for (const char *p = got; (p = strchr(p, '\n')); p++)
		said++;
	/* A second may end in between. */
	ck_assert_uint_ge(said, 1);
	ck_assert_uint_le(said, 5);
	ck_assert_ptr_nonnull(strstr(got, "warning: origin 0\n"));
}
END_TEST

/* The thread sanitizer does not follow threads of a forked child. */
#ifdef __SANITIZE_THREAD__
#define FORK_TEST(tc) (void)a_fork_beside_the_thread_is_safe
#else
#define FORK_TEST(tc) tcase_add_test(tc, a_fork_beside_the_thread_is_safe)
#endif

UNIT_MAIN("log/writer", tcase_add_checked_fixture(tc, setup, teardown);
          tcase_add_test(tc, lines_arrive); tcase_add_test(tc, a_line_needs_no_stop_to_arrive);
          tcase_add_test(tc, children_write_whole_lines);
          tcase_add_test(tc, a_stuck_reader_stops_nobody);
          tcase_add_test(tc, a_full_disk_is_counted); tcase_add_test(tc, new_files_are_handed_over);
          tcase_add_test(tc, streams_are_not_reopened);
          tcase_add_test(tc, opening_again_changes_the_target); FORK_TEST(tc);
          tcase_add_loop_test(tc, options_are_checked, 0, sizeof(bad) / sizeof(bad[0]));
          tcase_add_test(tc, repeated_messages_are_held_back);)
