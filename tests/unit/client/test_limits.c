/* What a session does not put up with: slowness, crowds, peers that go away; and drains. */
#include "server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"

static struct fake_counts counts(void)
{
	struct fake_counts c;

	fake_counts(&c);
	return c;
}

static void expect_status(struct buf *got, const char *status)
{
	ck_assert_msg(view_starts(buf_view(got), view_of(status)), "\"%.60s\", expected %s",
	              buf_cstr(got), status);
}

/* What a peer that stops after some bytes gets, how the time-out is counted, and not too early. */
static const struct {
	const char *sent, *answer;
	const uint64_t *cell;
	uint64_t ms;
} silences[] = {
        {"", "", NULL, 150},
        {"GET / HT", "HTTP/1.1 408 ", &stats.timeouts_head, 150},
        {"GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 200 ", NULL, 100},
        {"GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /", "HTTP/1.1 200 ", &stats.timeouts_head, 150},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", "HTTP/1.1 408 ",
         &stats.timeouts_body, 120},
        {"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
         "HTTP/1.1 408 ", &stats.timeouts_body, 120},
        {"POST /continue HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
         "HTTP/1.1 100 ", &stats.timeouts_body, 120},
};

START_TEST(silent_clients_are_sent_away)
{
	uint64_t began, took;
	struct buf got;
	int fd;

	options.head_timeout = 150;
	options.idle_timeout = 100;
	options.body_timeout = 120;
	server_start();
	began = clock_mono_ms();
	fd = peer_connect();
	buf_init(&got, 65536);
	peer_send(fd, view_of(silences[_i].sent));
	peer_read_all(fd, &got, NULL);
	took = clock_mono_ms() - began;
	expect_status(&got, silences[_i].answer);
	ck_assert_uint_ge(took + 3, silences[_i].ms);
	ck_assert_uint_lt(took, 10000);
	if (silences[_i].cell)
		wait_for(stat_get(silences[_i].cell) == 1);
	else
		ck_assert_uint_eq(stats.timeouts_head + stats.timeouts_body, 0);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* Time that the exchange takes is not the client's. */
START_TEST(slow_answers_are_not_the_clients_fault)
{
	struct {
		const char *request;
	} const rows[] = {
	        {"GET /never HTTP/1.1\r\nHost: h\r\n\r\n"},
	        {"POST /hold/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"
	         "01234567890123456789012345678901234567890123456789"
	         "01234567890123456789012345678901234567890123456789"},
	        {"POST /never HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
	         "Expect: 100-continue\r\n\r\n"},
	};
	uint64_t until;
	struct buf got;
	int fd;

	options.head_timeout = options.idle_timeout = options.body_timeout = options.send_timeout =
	        40;
	options.min_rate = 1000000;
	options.rate_window = 40;
	server_start();
	fd = peer_connect();
	buf_init(&got, 65536);
	peer_send(fd, view_of(rows[_i].request));
	until = clock_mono_ms() + 200;
	wait_for(counts().begun == 1);
	wait_for(counts().ended == 1 || clock_mono_ms() > until);
	if (_i == 1) {
		peer_read_until(fd, "789", &got);
		expect_status(&got, "HTTP/1.1 200 ");
	} else {
		ck_assert_uint_eq(counts().ended, 0);
	}
	ck_assert_uint_eq(stats.timeouts_body + stats.timeouts_send + stats.slow, 0);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

START_TEST(clients_that_take_nothing_are_cut_off)
{
	static const char *const paths[] = {"hit", "known", "flow", "file"};
	char request[128];
	int fd;

	options.send_timeout = 80;
	server_start();
	peer_rcvbuf = 4096;
	fd = peer_connect();
	snprintf(request, sizeof(request), "GET /%s/20000000 HTTP/1.1\r\nHost: h\r\n\r\n",
	         paths[_i]);
	peer_send(fd, view_of(request));
	wait_for(stat_get(&stats.timeouts_send) == 1);
	wait_for(counts().aborted == 1);
	close(fd);
	server_stop();
}
END_TEST

START_TEST(clients_below_the_rate_are_cut_off)
{
	bool sends = _i;
	struct buf got;
	int fd;

	options.min_rate = 1000000;
	options.rate_window = 100;
	server_start();
	peer_rcvbuf = 4096;
	fd = peer_connect();
	buf_init(&got, 1 << 20);
	peer_send(fd,
	          sends ? V("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
	                : V("GET /known/100000000 HTTP/1.1\r\nHost: h\r\n\r\n"));
	while (!stat_get(&stats.slow)) {
		char byte;

		/* A byte a millisecond: never silent, always too slow. */
		usleep(1000);
		if (sends)
			send(fd, "x", 1, MSG_NOSIGNAL);
		else
			recv(fd, &byte, 1, MSG_DONTWAIT);
	}
	wait_for(counts().aborted == 1);
	ck_assert_uint_eq(stats.timeouts_body + stats.timeouts_send, 0);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* A reset is noticed at once, whatever the exchange is doing; a half-close is not the end. */
START_TEST(clients_that_go_away_are_noticed)
{
	static const char *const requests[] = {
	        "GET /never HTTP/1.1\r\nHost: h\r\n\r\n",
	        "POST /never HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
	        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel",
	        "GET /known/50000000 HTTP/1.1\r\nHost: h\r\n\r\n",
	};
	struct linger now = {.l_onoff = 1};
	bool full = _i >= 4, half_closed = _i % 2;
	int fd;

	server_start();
	peer_rcvbuf = 4096;
	fd = peer_connect();
	peer_send(fd, view_of(requests[_i % 4]));
	wait_for(counts().begun == 1);
	if (full) {
		/* More pipelined input than is read ahead. */
		char junk[16384];

		memset(junk, 'x', sizeof(junk));
		peer_send(fd, view_make(junk, sizeof(junk)));
	} else if (half_closed && _i != 2) {
		shutdown(fd, SHUT_WR);
	}
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
	wait_for(counts().aborted == 1);
	server_stop();
}
END_TEST

/* A plain close looks like a half-close, until larder says something. */
START_TEST(clients_that_are_gone_are_asked)
{
	enum { PROBE, ANSWER, ABANDON };
	static const struct {
		int option; /* of half_closed */
		bool gone, http10, asked, aborted;
	} rows[] = {
	        {PROBE, true, false, true, true},      {PROBE, false, false, true, false},
	        {PROBE, false, true, false, false},    {ABANDON, false, false, false, true},
	        {ABANDON, true, false, false, true},   {ANSWER, false, false, false, false},
	};
	struct buf got;
	char request[64];
	int fd;

	options.half_closed = rows[_i].option;
	server_start();
	buf_init(&got, 65536);
	fd = peer_connect();
	snprintf(request, sizeof(request), "GET /long-wait/1 HTTP/1.%d\r\nHost: h\r\n\r\n",
	         !rows[_i].http10);
	peer_send(fd, view_of(request));
	wait_for(counts().begun == 1);
	if (rows[_i].gone)
		close(fd);
	else
		shutdown(fd, SHUT_WR);
	wait_for(counts().ended == 1);
	ck_assert_uint_eq(counts().aborted, rows[_i].aborted);
	if (!rows[_i].gone) {
		peer_read_all(fd, &got, NULL);
		ck_assert_int_eq(strstr(buf_cstr(&got), "HTTP/1.1 102 Processing\r\n\r\n") != NULL,
		                 rows[_i].asked);
		ck_assert_int_eq(strstr(buf_cstr(&got), "HTTP/1.1 200 X") == NULL, rows[_i].aborted);
		close(fd);
	}
	buf_fini(&got);
	server_stop();
}
END_TEST

START_TEST(more_connections_than_allowed)
{
	bool per_client = _i;
	int fds[3], more;
	struct buf got;

	if (per_client)
		options.connections_per_client = 3;
	else
		connections_max = 3;
	server_start();
	buf_init(&got, 65536);
	for (int i = 0; i < 3; i++)
		fds[i] = peer_connect();
	wait_for(stat_get(&stats.connections) == 3);
	more = peer_connect();
	peer_send(more, V("GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n"));
	peer_read_all(more, &got, NULL);
	expect_status(&got, "HTTP/1.1 503 ");
	ck_assert_ptr_nonnull(strstr(buf_cstr(&got), "Retry-After: "));
	ck_assert_uint_eq(stats.refused_limit, 1);
	close(more);
	/* One goes, one comes. */
	close(fds[0]);
	wait_for(stat_get(&stats.connections) == 2);
	buf_reset(&got);
	fds[0] = peer_connect();
	peer_send(fds[0], V("GET /hit/1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
	peer_read_all(fds[0], &got, NULL);
	expect_status(&got, "HTTP/1.1 200 ");
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	buf_fini(&got);
	server_stop();
}
END_TEST

START_TEST(without_descriptors_clients_wait)
{
	struct rlimit was, none;
	struct buf got;
	int fd;

	server_start();
	buf_init(&got, 65536);
	fd = peer_socket();
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)fd + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	peer_join(fd);
	peer_send(fd, V("GET /hit/1 HTTP/1.0\r\nHost: h\r\n\r\n"));
	wait_for(stat_get(&stats.accept_errors) >= 2);
	ck_assert_uint_eq(stats.accepted, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	peer_read_all(fd, &got, NULL);
	expect_status(&got, "HTTP/1.1 200 ");
	/* It waited between the attempts. */
	ck_assert_uint_lt(stats.accept_errors, 100);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

START_TEST(connections_have_a_number_of_requests)
{
	struct buf got;
	int fd;

	options.keepalive_requests = 2;
	server_start();
	buf_init(&got, 65536);
	fd = peer_connect();
	for (int i = 0; i < 3; i++)
		peer_send(fd, V("GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n"));
	peer_read_all(fd, &got, NULL);
	ck_assert_str_eq(buf_cstr(&got),
	                 "HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\na"
	                 "HTTP/1.1 200 X\r\nContent-Length: 1\r\nConnection: close\r\n\r\na");
	ck_assert_uint_eq(counts().begun, 2);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* RFC 9112 §9.6: an answer is not lost because the client was still sending. */
START_TEST(early_answers_reach_clients_that_still_send)
{
	char junk[40000];
	struct buf got;
	int fd;

	options.request_body_max = 1000;
	server_start();
	buf_init(&got, 65536);
	memset(junk, 'x', sizeof(junk));
	fd = peer_connect();
	peer_send(fd,
	          _i ? V("POST /early/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	             : V("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n"));
	peer_send(fd, view_make(junk, sizeof(junk)));
	peer_read_all(fd, &got, NULL);
	expect_status(&got, _i ? "HTTP/1.1 200 " : "HTTP/1.1 413 ");
	ck_assert_ptr_nonnull(strstr(buf_cstr(&got), "Connection: close\r\n"));
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

START_TEST(drains_finish_what_runs)
{
	int idle, busy, half;
	struct buf got;

	server_start();
	buf_init(&got, 65536);
	idle = peer_connect();
	busy = peer_connect();
	half = peer_connect();
	peer_send(idle, V("GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n"));
	peer_read_until(idle, "\r\n\r\na", &got);
	buf_reset(&got);
	peer_send(busy, V("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nh"));
	peer_send(half, V("GET /hit/1 HTTP/1.1\r\n"));
	wait_for(counts().begun == 2);
	wait_for(stat_get(&stats.idle) == 1);
	server_drain();
	peer_read_all(idle, &got, NULL);
	ck_assert_uint_eq(got.len, 0);
	peer_send(busy, V("i"));
	peer_read_all(busy, &got, NULL);
	ck_assert_str_eq(buf_cstr(&got),
	                 "HTTP/1.1 200 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
	buf_reset(&got);
	peer_send(half, V("Host: h\r\n\r\n"));
	peer_read_all(half, &got, NULL);
	ck_assert_ptr_nonnull(strstr(buf_cstr(&got), "Connection: close\r\n\r\na"));
	close(idle);
	close(busy);
	close(half);
	server_drained();
	buf_fini(&got);
	server_stop();
}
END_TEST

/* A client that has just connected, or was just answered or promised more answers, could not know
 * of the drain: it has a moment for its request. */
START_TEST(drains_give_fresh_connections_a_moment)
{
	static const char closing[] =
	        "HTTP/1.1 200 X\r\nContent-Length: 1\r\nConnection: close\r\n\r\na";
	struct view large = V("GET /known/50000000 HTTP/1.1\r\nHost: h\r\n\r\n");
	struct view ask = V("GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n");
	int fds[3], silent;
	struct buf got;

	server_start();
	buf_init(&got, 64 * 1024 * 1024);
	for (int i = 0; i < 3; i++)
		fds[i] = peer_connect();
	silent = peer_connect();
	wait_for(stat_get(&stats.connections) == 4);
	peer_send(fds[2], large);
	peer_read_until(fds[2], "\r\n\r\n", &got);
	ck_assert_ptr_null(strstr(buf_cstr(&got), "Connection"));
	buf_reset(&got);
	peer_send(fds[1], ask);
	peer_read_until(fds[1], "\r\n\r\na", &got);
	wait_for(stat_get(&stats.idle) == 3);
	server_drain();
	for (int i = 0; i < 2; i++) {
		buf_reset(&got);
		peer_send(fds[i], ask);
		peer_read_all(fds[i], &got, NULL);
		ck_assert_str_eq(buf_cstr(&got), closing);
	}
	peer_send(fds[2], ask);
	peer_read_all(fds[2], &got, NULL);
	ck_assert_uint_gt(got.len, sizeof(closing));
	ck_assert_str_eq(buf_cstr(&got) + got.len - (sizeof(closing) - 1), closing);
	buf_reset(&got);
	peer_read_all(silent, &got, NULL);
	ck_assert_uint_eq(got.len, 0);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	server_drained();
	close(silent);
	buf_fini(&got);
	server_stop();
}
END_TEST

START_TEST(drains_of_nobody_end)
{
	server_start();
	server_drain();
	server_drained();
	server_stop();
}
END_TEST

/* Ends with sessions in every state: nothing leaks (ASan tells), every exchange ends. */
START_TEST(the_end_comes_at_any_time)
{
	static const char *const sent[] = {
	        "",
	        "GET /",
	        "GET /never HTTP/1.1\r\nHost: h\r\n\r\n",
	        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
	        "GET /known/50000000 HTTP/1.1\r\nHost: h\r\n\r\n",
	        "nonsense\r\n\r\n",
	        "GET /file/20000000 HTTP/1.1\r\nHost: h\r\n\r\n",
	};
	int fds[ARRAY_LEN(sent)];

	server_start();
	for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
		fds[i] = peer_connect();
		peer_send(fds[i], view_of(sent[i]));
	}
	wait_for(counts().begun == 4 && counts().refused == 1);
	server_stop();
	for (size_t i = 0; i < ARRAY_LEN(sent); i++)
		close(fds[i]);
}
END_TEST

/* Many requests on many connections, in order and whole. */
START_TEST(crowds_are_served)
{
	enum { CONNECTIONS = 50, ROUNDS = 20 };
	int fds[CONNECTIONS];
	struct buf got;

	server_start();
	buf_init(&got, 1 << 20);
	for (int i = 0; i < CONNECTIONS; i++)
		fds[i] = peer_connect();
	for (int r = 0; r < ROUNDS; r++) {
		for (int i = 0; i < CONNECTIONS; i++)
			peer_send(fds[i], V("GET /hit/7 HTTP/1.1\r\nHost: h\r\n\r\n"
			                    "GET /late/3 HTTP/1.1\r\nHost: h\r\n\r\n"));
		for (int i = 0; i < CONNECTIONS; i++) {
			buf_reset(&got);
			peer_read_until(fds[i], "\r\n\r\nabcdefg", &got);
			peer_read_until(fds[i], "\r\n\r\nabc", &got);
			ck_assert_ptr_nonnull(
			        strstr(buf_cstr(&got), "\r\n\r\nabcdefgHTTP/1.1 200 X"));
		}
	}
	wait_for(stat_get(&stats.idle) == CONNECTIONS);
	ck_assert_uint_eq(stats.requests, 2 * CONNECTIONS * ROUNDS);
	ck_assert_uint_eq(counts().aborted, 0);
	for (int i = 0; i < CONNECTIONS; i++)
		close(fds[i]);
	buf_fini(&got);
	server_stop();
}
END_TEST

UNIT_MAIN("client/limits", tcase_add_checked_fixture(tc, options_default, NULL);
          tcase_add_loop_test(tc, silent_clients_are_sent_away, 0, ARRAY_LEN(silences));
          tcase_add_loop_test(tc, slow_answers_are_not_the_clients_fault, 0, 3);
          tcase_add_loop_test(tc, clients_that_take_nothing_are_cut_off, 0, 4);
          tcase_add_loop_test(tc, clients_below_the_rate_are_cut_off, 0, 2);
          tcase_add_loop_test(tc, clients_that_go_away_are_noticed, 0, 5);
          tcase_add_loop_test(tc, clients_that_are_gone_are_asked, 0, 6);
          tcase_add_loop_test(tc, more_connections_than_allowed, 0, 2);
          tcase_add_test(tc, without_descriptors_clients_wait);
          tcase_add_test(tc, connections_have_a_number_of_requests);
          tcase_add_loop_test(tc, early_answers_reach_clients_that_still_send, 0, 2);
          tcase_add_test(tc, drains_finish_what_runs);
          tcase_add_test(tc, drains_give_fresh_connections_a_moment);
          tcase_add_test(tc, drains_of_nobody_end); tcase_add_test(tc, the_end_comes_at_any_time);
          tcase_add_test(tc, crowds_are_served);)
