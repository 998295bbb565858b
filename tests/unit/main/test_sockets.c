/* The listening sockets over plans: opened, kept, shared out, retired without losing who waits. */
#include "sockets.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "unit.h"

/* A port that was free a moment ago. */
static unsigned free_port(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&sin, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	close(fd);
	return ntohs(sin.sin_port);
}

static struct main_plan *plan_of(unsigned port, const char *workers)
{
	char listener[64], option[64];
	const char *listeners[] = {listener};
	char store[] = "store=off";
	char *assignments[] = {store, option};
	struct main_args args = {
		.listeners = listeners, .nlisteners = 1, .assignments = assignments, .nassignments = 2};
	struct main_plan *plan;
	char *why;
	int status;

	snprintf(listener, sizeof(listener), "forward=127.0.0.1:%u", port);
	snprintf(option, sizeof(option), "workers=%s", workers);
	ck_assert_msg(main_plan_load(&args, &plan, &why, &status) == 0, "%s", why);
	return plan;
}

static int connect_to(unsigned port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sin.sin_port = htons((uint16_t)port);
	ck_assert_int_eq(connect(fd, (const struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

START_TEST(sockets_stay_over_plans)
{
	unsigned port = free_port();
	struct main_plan *two = plan_of(port, "2"), *four = plan_of(port, "4"), *one = plan_of(port, "1");
	struct sockets s = {0};
	char *why = NULL;
	int first;

	ck_assert_msg(sockets_open(&s, two, &why) == 0, "%s", why);
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(sockets_count(&s), 2);
	sockets_commit(&s);
	first = s.v[0].fds[0];
	ck_assert_int_eq(sockets_open(&s, four, &why), 0);
	ck_assert_uint_eq(sockets_count(&s), 4);
	ck_assert_int_eq(s.v[0].fds[0], first);
	ck_assert_uint_eq(s.v[0].fresh, 2);
	sockets_commit(&s);
	ck_assert_int_eq(sockets_open(&s, one, &why), 0);
	ck_assert_uint_eq(sockets_count(&s), 4);
	ck_assert_uint_eq(sockets_retire(&s, one), 0);
	sockets_fini(&s);
	main_plan_free(one);
	main_plan_free(two);
	main_plan_free(four);
}
END_TEST

/* Each socket has exactly one worker, whatever the numbers. */
START_TEST(every_socket_is_served)
{
	struct endpoint e = {.n = 7};

	for (unsigned workers = 1; workers < 10; workers++) {
		for (size_t i = 0; i < e.n; i++) {
			unsigned served = 0;

			for (unsigned w = 0; w < workers; w++)
				served += sockets_serves(&e, i, w, workers);
			ck_assert_uint_eq(served, 1);
		}
	}
	e.activated = true;
	ck_assert(sockets_serves(&e, 0, 0, 3) && sockets_serves(&e, 0, 2, 3));
}
END_TEST

START_TEST(a_taken_port_is_refused)
{
	unsigned port = free_port();
	struct main_plan *plan = plan_of(port, "2");
	struct sockets mine = {0}, other = {0};
	char *why = NULL;

	ck_assert_int_eq(sockets_open(&mine, plan, &why), 0);
	ck_assert_int_eq(sockets_open(&other, plan, &why), LARDER_EBUSY);
	ck_assert_ptr_nonnull(strstr(why, "in use by another process"));
	ck_assert_uint_eq(sockets_count(&other), 0);
	free(why);
	sockets_fini(&mine);
	sockets_fini(&other);
	main_plan_free(plan);
}
END_TEST

START_TEST(an_abandoned_plan_closes_only_its_own)
{
	unsigned a = free_port(), b = free_port();
	struct main_plan *old = plan_of(a, "1"), *more = plan_of(a, "3"), *elsewhere = plan_of(b, "2");
	struct sockets s = {0};
	char *why = NULL;

	ck_assert_int_eq(sockets_open(&s, old, &why), 0);
	sockets_commit(&s);
	ck_assert_int_eq(sockets_open(&s, elsewhere, &why), 0);
	ck_assert_uint_eq(sockets_count(&s), 3);
	sockets_rollback(&s, old);
	ck_assert_uint_eq(sockets_count(&s), 1);
	/* More sockets of an address that stays may have clients already. */
	ck_assert_int_eq(sockets_open(&s, more, &why), 0);
	sockets_rollback(&s, old);
	ck_assert_uint_eq(sockets_count(&s), 3);
	sockets_fini(&s);
	main_plan_free(old);
	main_plan_free(more);
	main_plan_free(elsewhere);
}
END_TEST

START_TEST(who_waits_at_a_retired_socket_is_not_lost)
{
	unsigned port = free_port();
	struct main_plan *plan = plan_of(port, "1");
	struct sockets s = {0};
	char *why = NULL, c = 'x';
	int client, late, server;
	struct addr peer;
	struct pollfd p = {.events = POLLIN};

	ck_assert_int_eq(sockets_open(&s, plan, &why), 0);
	sockets_commit(&s);
	client = connect_to(port);
	ck_assert_uint_eq(sockets_retire(&s, NULL), 1);
	ck_assert(!sockets_quiet(&s));
	/* Nobody new comes in: the handshake gets no answer. */
	late = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ne(connect(late, &s.v[0].addr.sa, s.v[0].addr.len), 0);
	p.fd = late;
	p.events = POLLOUT;
	ck_assert_int_eq(poll(&p, 1, 50), 0);
	server = net_accept(s.v[0].fds[0], &peer);
	ck_assert_int_ge(server, 0);
	ck_assert(sockets_quiet(&s));
	sockets_close_retired(&s);
	ck_assert_uint_eq(sockets_count(&s), 0);
	ck_assert_int_eq(write(server, &c, 1), 1);
	ck_assert_int_eq(read(client, &c, 1), 1);
	close(late);
	close(server);
	close(client);
	sockets_fini(&s);
	main_plan_free(plan);
}
END_TEST

UNIT_MAIN("main/sockets",
	tcase_add_test(tc, sockets_stay_over_plans);
	tcase_add_test(tc, every_socket_is_served);
	tcase_add_test(tc, a_taken_port_is_refused);
	tcase_add_test(tc, an_abandoned_plan_closes_only_its_own);
	tcase_add_test(tc, who_waits_at_a_retired_socket_is_not_lost);)
