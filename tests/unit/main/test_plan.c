/* Listeners: their text, their plan, what is refused with which sentence. */
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "main/main.h"
#include "unit.h"

static const struct {
	const char *text;
	int err;
	const char *host;
	unsigned port;
} ADDRESSES[] = {
	{"127.0.0.1:3128", 0, "127.0.0.1", 3128},
	{":80", 0, "", 80},
	{"[::1]:8080", 0, "::1", 8080},
	{"localhost:1", 0, "localhost", 1},
	{"cache.example:65535", 0, "cache.example", 65535},
	{"127.0.0.1:65536", LARDER_EINVAL, NULL, 0},
	{"127.0.0.1:0", LARDER_EINVAL, NULL, 0},
	{"127.0.0.1:", LARDER_EINVAL, NULL, 0},
	{"127.0.0.1:-1", LARDER_EINVAL, NULL, 0},
	{"127.0.0.1:80x", LARDER_EINVAL, NULL, 0},
	{"127.0.0.1", LARDER_EINVAL, NULL, 0},
	{"::1:80", LARDER_EINVAL, NULL, 0},
	{"[::1]80", LARDER_EINVAL, NULL, 0},
	{"[]:80", LARDER_EINVAL, NULL, 0},
	{"[localhost]:80", LARDER_EINVAL, NULL, 0},
	{"http://localhost:80", LARDER_EINVAL, NULL, 0},
	{"", LARDER_EINVAL, NULL, 0},
};

START_TEST(addresses)
{
	struct view host;
	uint16_t port;

	ck_assert_int_eq(main_address_parse(view_of(ADDRESSES[_i].text), &host, &port), ADDRESSES[_i].err);
	if (ADDRESSES[_i].err)
		return;
	ck_view_eq(host, ADDRESSES[_i].host);
	ck_assert_uint_eq(port, ADDRESSES[_i].port);
}
END_TEST

#define L_MAX 3
#define O_MAX 3

static int load(const char *const listeners[L_MAX], const char *const assignments[O_MAX],
                struct main_plan **plan, char **why, int *status)
{
	const char *l[L_MAX];
	char *o[O_MAX];
	struct main_args args = {.listeners = l, .assignments = o};

	for (; args.nlisteners < L_MAX && listeners[args.nlisteners]; args.nlisteners++)
		l[args.nlisteners] = listeners[args.nlisteners];
	for (; args.nassignments < O_MAX && assignments[args.nassignments]; args.nassignments++)
		o[args.nassignments] = (char *)(uintptr_t)assignments[args.nassignments];
	return main_plan_load(&args, plan, why, status);
}

static const struct {
	const char *listeners[L_MAX];
	const char *assignments[O_MAX];
	const char *plan; /* names, and their addresses in brackets */
	unsigned workers; /* 0: not asked */
} GOOD[] = {
	{{NULL}, {"store=off"}, "forward=127.0.0.1:3128 (127.0.0.1:3128)\n", 0},
	{{"forward=:3128"}, {"store=/x", "workers=3"}, "forward=:3128 ([::]:3128)\n", 3},
	{{"forward=[::1]:3128"}, {"store=/x"}, "forward=[::1]:3128 ([::1]:3128)\n", 0},
	{{"forward=127.0.0.1:1", "forward=127.0.0.1:2"},
	 {"store=/x"},
	 "forward=127.0.0.1:1 (127.0.0.1:1)\nforward=127.0.0.1:2 (127.0.0.1:2)\n",
	 0},
	{{"reverse=127.0.0.1:8080,http://127.0.0.1:8000"},
	 {"store=/x"},
	 "reverse=127.0.0.1:8080 (127.0.0.1:8080)\n",
	 0},
};

START_TEST(good)
{
	struct main_plan *plan;
	char *why, text[ADDR_TEXT_MAX];
	struct buf b;
	int status;

	ck_assert_msg(load(GOOD[_i].listeners, GOOD[_i].assignments, &plan, &why, &status) == 0, "%s", why);
	buf_init(&b, 4096);
	for (size_t i = 0; i < plan->nlisteners; i++) {
		buf_printf(&b, "%s (", plan->listeners[i].name);
		for (size_t j = 0; j < plan->listeners[i].naddrs; j++)
			buf_printf(&b, "%s%s", j ? " " : "",
			           addr_format(&plan->listeners[i].addrs[j], text));
		BUF_ADD_LIT(&b, ")\n");
		for (size_t j = 0; j < plan->listeners[i].naddrs; j++)
			ck_assert_int_eq(main_plan_find(plan, &plan->listeners[i].addrs[j]), (int)i);
	}
	ck_view_eq(buf_view(&b), GOOD[_i].plan);
	if (GOOD[_i].workers)
		ck_assert_uint_eq(plan->workers, GOOD[_i].workers);
	ck_assert_uint_ge(plan->workers, 1);
	buf_fini(&b);
	main_plan_free(plan);
}
END_TEST

static const struct {
	const char *listeners[L_MAX];
	const char *assignments[O_MAX];
	const char *why; /* a part of it */
} BAD[] = {
	{{"forward=127.0.0.1"}, {NULL}, "\"127.0.0.1\" is not an address like 127.0.0.1:3128"},
	{{"forward=127.0.0.1:3128,http://h"}, {NULL}, "a forward listener has no origin"},
	{{"reverse=127.0.0.1:8080"}, {NULL}, "a reverse listener needs its origin's URL"},
	{{"reverse=127.0.0.1:8080,ftp://h"}, {NULL}, "origin \"ftp://h\" is not a URL"},
	{{"sideways=127.0.0.1:8080"}, {NULL}, "sideways"},
	{{"forward=127.0.0.1:1", "forward=127.0.0.1:1"}, {"store=off"}, "127.0.0.1:1"},
	{{"forward=127.0.0.1:1"}, {"store=off", "allow=nonsense/99"}, "allow"},
	{{"forward=127.0.0.1:1"}, {"store=off", "workers=100000"}, "workers"},
	{{"forward=127.0.0.1:1"}, {"nonsense=1"}, "nonsense"},
	{{"forward=127.0.0.1:1"},
	 {"store=off", "targeted_fields=CDN:Cache-Control"},
	 "targeted_fields: \"CDN:Cache-Control\" is no field name"},
	{{"forward=127.0.0.1:1"}, {"access_log=/nonexistent-directory/file"}, "access_log"},
};

START_TEST(bad)
{
	struct main_plan *plan;
	char *why;
	int status;

	ck_assert_int_lt(load(BAD[_i].listeners, BAD[_i].assignments, &plan, &why, &status), 0);
	ck_assert_ptr_null(plan);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, BAD[_i].why) != NULL, "\"%s\" lacks \"%s\"", why, BAD[_i].why);
	ck_assert_int_eq(status, MAIN_USAGE_STATUS);
	free(why);
}
END_TEST

/* What stands in a file is not the command line's fault: status 1, and the place is named. */
START_TEST(file_errors)
{
	char path[] = "/tmp/larder-plan.XXXXXX", where[64], *why;
	struct main_args args = {.file = path};
	struct main_plan *plan;
	int fd = mkstemp(path), status;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(dprintf(fd, "store = off\nlisten \"127.0.0.1:99999\" {\n\tkind = forward\n}\n"), 0);
	close(fd);
	ck_assert_int_lt(main_plan_load(&args, &plan, &why, &status), 0);
	ck_assert_int_eq(status, EXIT_FAILURE);
	snprintf(where, sizeof(where), "%s:", path);
	ck_assert_msg(strncmp(why, where, strlen(where)) == 0, "%s", why);
	free(why);
	unlink(path);
}
END_TEST

/* A name may have several addresses; each is listened on once. */
START_TEST(names_are_resolved)
{
	static const char *const listeners[L_MAX] = {"forward=localhost:4444"};
	static const char *const assignments[O_MAX] = {"store=off"};
	struct main_plan *plan;
	char *why;
	int status;

	ck_assert_msg(load(listeners, assignments, &plan, &why, &status) == 0, "%s", why);
	ck_assert_uint_ge(plan->listeners[0].naddrs, 1);
	ck_assert_uint_le(plan->listeners[0].naddrs, 2);
	for (size_t i = 0; i < plan->listeners[0].naddrs; i++) {
		ck_assert_uint_eq(addr_port(&plan->listeners[0].addrs[i]), 4444);
		ck_assert_uint_eq(addr_classify(&plan->listeners[0].addrs[i]), ADDR_LOOPBACK);
	}
	main_plan_free(plan);
}
END_TEST

/* RFC 9213: which fields count where nobody says so. */
static const struct {
	const char *listener, *assignment, *fields;
} TARGETS[] = {
	{"forward=127.0.0.1:1", NULL, ""},
	{"reverse=127.0.0.1:1,http://127.0.0.1:8000", NULL, "Larder-Cache-Control CDN-Cache-Control "},
	{"reverse=127.0.0.1:1,http://127.0.0.1:8000", "targeted_fields=", ""},
	{"forward=127.0.0.1:1", "targeted_fields=Example-Cache-Control, CDN-Cache-Control",
	 "Example-Cache-Control CDN-Cache-Control "},
};

START_TEST(targets)
{
	const char *const listeners[L_MAX] = {TARGETS[_i].listener};
	const char *const assignments[O_MAX] = {"store=off", TARGETS[_i].assignment};
	struct exchange_listener xl;
	struct main_plan *plan;
	struct buf b;
	char *why;
	int status;

	ck_assert_msg(load(listeners, assignments, &plan, &why, &status) == 0, "%s", why);
	ck_assert_int_eq(main_exchange_listener(&plan->listeners[0], &xl, &why), 0);
	buf_init(&b, 4096);
	for (size_t i = 0; i < xl.cache.targeted_fields.n; i++)
		buf_printf(&b, "%s ", xl.cache.targeted_fields.items[i]);
	ck_view_eq(buf_view(&b), TARGETS[_i].fields);
	buf_fini(&b);
	main_exchange_listener_fini(&xl);
	main_plan_free(plan);
}
END_TEST

UNIT_MAIN("main/plan",
	tcase_add_loop_test(tc, targets, 0, sizeof(TARGETS) / sizeof(TARGETS[0]));
	tcase_add_loop_test(tc, addresses, 0, sizeof(ADDRESSES) / sizeof(ADDRESSES[0]));
	tcase_add_loop_test(tc, good, 0, sizeof(GOOD) / sizeof(GOOD[0]));
	tcase_add_loop_test(tc, bad, 0, sizeof(BAD) / sizeof(BAD[0]));
	tcase_add_test(tc, file_errors);
	tcase_add_test(tc, names_are_resolved);)
