/* The control socket's protocol over a real socket; server and tool in two threads. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/error.h"
#include "unit.h"

static char dir[256], path[512];
static struct net_loop *loop;
static struct net_wake *stop_wake;
static struct admin *server;
static int server_fd;
static pthread_t thread;

static void make_dir(const char *extra)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/larder-admin.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%scontrol", dir, extra);
}

static void clear_dir(void)
{
	char *slash = strrchr(path, '/');

	unlink(path);
	*slash = '\0';
	rmdir(path);
	rmdir(dir);
}

static int say(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	(void)arg;
	(void)call;
	return buf_printf(out, "said %.*s\n", VFMT(args));
}

static int refuse(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	(void)arg;
	(void)call;
	(void)args;
	buf_printf(out, "that did not work\nsecond line");
	return LARDER_EIO;
}

static int fail_mutely(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	(void)arg;
	(void)call;
	(void)args;
	(void)out;
	return LARDER_ENOSPC;
}

static int big(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	(void)arg;
	(void)call;
	(void)args;
	for (unsigned i = 0; i < 400000; i++)
		buf_add(out, "0123456789", 10);
	return 0;
}

static int too_big(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	static const char block[65536];

	(void)arg;
	(void)call;
	(void)args;
	while (!buf_add(out, block, sizeof(block)))
		;
	return 0;
}

struct later {
	struct net_timer timer;
	struct admin_call *call;
	struct buf *out;
};

static void later_done(struct net_timer *t)
{
	struct later *l = (struct later *)(void *)t;

	buf_printf(l->out, "at last\n");
	admin_finish(l->call, 0);
	free(l);
}

static int later(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct later *l = calloc(1, sizeof(*l));

	(void)arg;
	(void)args;
	ck_assert_ptr_nonnull(l);
	net_timer_init(&l->timer, loop, later_done);
	l->call = call;
	l->out = out;
	net_timer_set(&l->timer, 20);
	return ADMIN_LATER;
}

static int drain(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	(void)arg;
	(void)call;
	(void)args;
	admin_drain(server);
	return buf_printf(out, "%u calls\n", admin_calls(server));
}

static const struct admin_command COMMANDS[] = {
	{"say", say, "say TEXT"},       {"fail", refuse, "fail"},
	{"mute", fail_mutely, "mute"},  {"big", big, "big"},
	{"toobig", too_big, "toobig"},  {"later", later, "later"},
	{"drain", drain, "drain"},
};

static void stop(void *arg)
{
	(void)arg;
	net_loop_stop(loop);
}

static void *serve(void *arg)
{
	net_loop_run(loop);
	return arg;
}

static void begin(const char *extra)
{
	char *why = NULL;

	make_dir(extra);
	server_fd = admin_socket_open(path, (uid_t)-1, (gid_t)-1, &why);
	ck_assert_msg(server_fd >= 0, "%s", why);
	loop = net_loop_new(1);
	ck_assert_ptr_nonnull(loop);
	server = admin_new(loop, server_fd, COMMANDS, sizeof(COMMANDS) / sizeof(COMMANDS[0]), NULL);
	stop_wake = net_wake_new(loop, stop, NULL);
	ck_assert(server && stop_wake);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void end(void)
{
	net_wake_send(stop_wake);
	pthread_join(thread, NULL);
	admin_free(server);
	net_wake_free(stop_wake);
	net_loop_free(loop);
	close(server_fd);
	clear_dir();
}

static const struct {
	const char *request;
	int err;
	const char *answer;
} ROWS[] = {
	{"say hello there", 0, "said hello there\n"},
	{"say", 0, "said \n"},
	{"  say   x  ", 0, "said x\n"},
	{"later", 0, "at last\n"},
	{"fail", LARDER_EREFUSED, "that did not work"},
	{"mute", LARDER_EREFUSED, "no space left"},
	{"nonsense", LARDER_EREFUSED, "unknown command \"nonsense\"; \"help\" lists them"},
	{"", LARDER_EREFUSED, "unknown command \"\"; \"help\" lists them"},
	{"toobig", LARDER_EREFUSED, NULL},
	{"help", 0, "say TEXT\nfail\nmute\nbig\ntoobig\nlater\ndrain\nhelp\n"},
};

START_TEST(answers)
{
	struct buf out;
	int err;

	begin("");
	buf_init(&out, 1 << 20);
	err = admin_ask(path, ROWS[_i].request, &out);
	ck_assert_int_eq(err, ROWS[_i].err);
	if (ROWS[_i].answer)
		ck_view_eq(buf_view(&out), ROWS[_i].answer);
	else
		ck_assert_uint_lt(out.len, 200);
	buf_fini(&out);
	end();
}
END_TEST

START_TEST(large_answers_pass_whole)
{
	struct buf out;

	begin("");
	buf_init(&out, 8 << 20);
	ck_assert_int_eq(admin_ask(path, "big", &out), 0);
	ck_assert_uint_eq(out.len, 4000000);
	ck_assert_mem_eq(out.data + out.len - 10, "0123456789", 10);
	buf_fini(&out);
	end();
}
END_TEST

START_TEST(a_long_request_is_refused)
{
	struct buf out;
	char *request = malloc(ADMIN_REQUEST_MAX + 100);

	ck_assert_ptr_nonnull(request);
	memset(request, 'x', ADMIN_REQUEST_MAX + 99);
	request[ADMIN_REQUEST_MAX + 99] = '\0';
	begin("");
	buf_init(&out, 1 << 20);
	ck_assert_int_lt(admin_ask(path, request, &out), 0);
	buf_fini(&out);
	end();
	free(request);
}
END_TEST

/* A path beyond what sockaddr_un holds, in a directory that does not exist yet. */
START_TEST(long_paths_work)
{
	char extra[200];
	struct buf out;

	memset(extra, 'd', 150);
	memcpy(extra + 150, "/", 2);
	begin(extra);
	buf_init(&out, 1 << 20);
	ck_assert_int_eq(admin_ask(path, "say x", &out), 0);
	ck_view_eq(buf_view(&out), "said x\n");
	buf_fini(&out);
	end();
}
END_TEST

START_TEST(many_silent_callers_do_not_shut_others_out_for_good)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fds[20];
	struct buf out;

	begin("");
	ck_assert(view_copy(view_of(path), sun.sun_path, sizeof(sun.sun_path)));
	for (unsigned i = 0; i < 20; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(fds[i], (const struct sockaddr *)&sun, sizeof(sun)), 0);
	}
	for (unsigned i = 0; i < 20; i++)
		close(fds[i]);
	buf_init(&out, 1 << 20);
	ck_assert_int_eq(admin_ask(path, "say x", &out), 0);
	ck_view_eq(buf_view(&out), "said x\n");
	buf_fini(&out);
	end();
}
END_TEST

/* Who has called is answered; who calls now waits for another process at the socket. */
START_TEST(drains_take_no_more_calls)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct pollfd p = {.fd = socket(AF_UNIX, SOCK_STREAM, 0), .events = POLLIN};
	struct buf out;

	begin("");
	ck_assert(view_copy(view_of(path), sun.sun_path, sizeof(sun.sun_path)));
	buf_init(&out, 4096);
	ck_assert_int_eq(admin_ask(path, "drain", &out), 0);
	ck_view_eq(buf_view(&out), "1 calls\n");
	ck_assert_int_eq(connect(p.fd, (const struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(send(p.fd, "say x\n", 6, 0), 6);
	ck_assert_int_eq(poll(&p, 1, 50), 0);
	close(p.fd);
	buf_fini(&out);
	end();
}
END_TEST

START_TEST(a_live_socket_is_not_taken_over)
{
	char *why = NULL;

	begin("");
	ck_assert_int_eq(admin_socket_open(path, (uid_t)-1, (gid_t)-1, &why), LARDER_EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "another daemon answers there"));
	free(why);
	end();
}
END_TEST

START_TEST(a_dead_socket_is_replaced)
{
	char *why = NULL;
	struct stat st;
	int fd;

	make_dir("");
	fd = admin_socket_open(path, (uid_t)-1, (gid_t)-1, &why);
	ck_assert_int_ge(fd, 0);
	close(fd);
	fd = admin_socket_open(path, (uid_t)-1, (gid_t)-1, &why);
	ck_assert_msg(fd >= 0, "%s", why);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	close(fd);
	clear_dir();
}
END_TEST

START_TEST(a_file_is_not_replaced)
{
	char *why = NULL;
	int fd;

	make_dir("");
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(fd);
	ck_assert_int_lt(admin_socket_open(path, (uid_t)-1, (gid_t)-1, &why), 0);
	ck_assert_ptr_nonnull(strstr(why, path));
	free(why);
	ck_assert_int_eq(access(path, F_OK), 0);
	clear_dir();
}
END_TEST

START_TEST(asking_nobody_says_so)
{
	struct buf out;

	make_dir("");
	buf_init(&out, 4096);
	ck_assert_int_eq(admin_ask(path, "say x", &out), LARDER_ECONNECT);
	ck_assert_uint_gt(out.len, 0);
	buf_fini(&out);
	clear_dir();
}
END_TEST

UNIT_MAIN("admin/socket",
	tcase_add_loop_test(tc, answers, 0, sizeof(ROWS) / sizeof(ROWS[0]));
	tcase_add_test(tc, large_answers_pass_whole);
	tcase_add_test(tc, a_long_request_is_refused);
	tcase_add_test(tc, long_paths_work);
	tcase_add_test(tc, many_silent_callers_do_not_shut_others_out_for_good);
	tcase_add_test(tc, drains_take_no_more_calls);
	tcase_add_test(tc, a_live_socket_is_not_taken_over);
	tcase_add_test(tc, a_dead_socket_is_replaced);
	tcase_add_test(tc, a_file_is_not_replaced);
	tcase_add_test(tc, asking_nobody_says_so);)
