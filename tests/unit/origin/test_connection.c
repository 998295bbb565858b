/* Connections: kept, dropped, repeated on; addresses; ends before their time. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "fetch.h"
#include "script.h"
#include "unit.h"

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define S(op)                                                                                      \
	{                                                                                          \
		op, NULL, 0                                                                        \
	}
#define TEXT(text)                                                                                 \
	{                                                                                          \
		SEND, text, 0                                                                      \
	}

struct stage {
	struct script s;
	struct rig r;
	struct fetch f;
};

static void stage_open(struct stage *st, const struct step *steps)
{
	script_start(&st->s, steps);
	rig_init(&st->r);
	rig_open(&st->r);
	fetch_init(&st->f, &st->r, st->s.port, NULL);
}

static void stage_close(struct stage *st)
{
	rig_close(&st->r);
	script_end(&st->s);
	fetch_fini(&st->f);
}

/* One more fetch on the stage; the former one's results are gone. */
static void again(struct stage *st)
{
	fetch_fini(&st->f);
	fetch_init(&st->f, &st->r, st->s.port, NULL);
}

static void fetched(struct stage *st, bool reused)
{
	fetch_run(&st->f);
	fetch_ended(&st->f, 0, NULL);
	ck_assert_uint_eq(st->f.status, 200);
	ck_assert_int_eq(st->f.info.reused, reused);
}

START_TEST(kept)
{
	static const struct step steps[] = {
	        S(ACCEPT), S(HEAD), TEXT(OK_EMPTY), S(HEAD), TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st, false);
	again(&st);
	fetched(&st, true);
	ck_assert_uint_eq(st.f.addresses, 1);
	ck_assert_uint_eq(st.r.stats.connects, 1);
	ck_assert_uint_eq(st.r.stats.reuses, 1);
	ck_assert_uint_eq(st.r.stats.requests, 2);
	stage_close(&st);
}
END_TEST

START_TEST(not_kept_when_idle_is_0)
{
	static const struct step steps[] = {S(ACCEPT),      S(HEAD),     TEXT(OK_EMPTY),
	                                    S(FINISHED),    S(ACCEPT),   S(HEAD),
	                                    TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_idle = 0;
	fetched(&st, false);
	again(&st);
	fetched(&st, false);
	stage_close(&st);
}
END_TEST

/* ---- What an origin sent on an idle connection is nobody's answer (RFC 9112 9.2) ---- */

static const struct {
	const char *what, *junk;
	bool idempotent, has_body;
	uint64_t desyncs;
} idle[] = {
        {"an answer, ahead of the request", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
         true, false, 1},
        {"the same for what must not be repeated",
         "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", false, false, 1},
        {"with a body on the way", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", false,
         true, 1},
        {"408, as servers do that time out (RFC 9110 15.5.9)",
         "HTTP/1.1 408 Request Timeout\r\n\r\n", true, false, 1},
        {"one byte", "\n", true, false, 1},
        {"nothing but the close", NULL, true, false, 0},
        {"nothing but the close, must not be repeated", NULL, false, false, 0},
        {"nothing but the close, with a body", NULL, false, true, 0},
};

START_TEST(bytes_on_an_idle_connection)
{
	const struct step steps[] = {S(ACCEPT),
	                             S(HEAD),
	                             TEXT(OK_EMPTY),
	                             S(AWAIT),
	                             {idle[_i].junk ? SEND : CLOSE, idle[_i].junk, 0},
	                             S(TELL),
	                             S(ACCEPT),
	                             S(HEAD),
	                             {idle[_i].has_body ? READ : TELL, NULL, 3},
	                             TEXT(OK_EMPTY),
	                             S(FINISHED),
	                             S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st, false);
	script_go(&st.s);
	script_wait(&st.s);
	again(&st);
	st.f.req.idempotent = idle[_i].idempotent;
	st.f.req.has_body = idle[_i].has_body;
	st.f.req.length = 3;
	st.f.upload = V("abc");
	if (idle[_i].has_body)
		st.f.req.method = V("POST");
	fetched(&st, false);
	ck_assert_uint_eq(st.f.body.len, 0);
	ck_assert_uint_eq(st.r.stats.desyncs, idle[_i].desyncs);
	ck_assert_uint_eq(st.r.stats.retries, 0);
	stage_close(&st);
}
END_TEST

/* ---- A kept connection that dies under the request (RFC 9110 9.2.2, RFC 9112 9.3.1) ---- */

START_TEST(repeated_once)
{
	static const struct step steps[] = {S(ACCEPT),   S(HEAD),   TEXT(OK_EMPTY), S(HEAD),
	                                    S(CLOSE),    S(ACCEPT), S(HEAD),        TEXT(OK_EMPTY),
	                                    S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st, false);
	again(&st);
	fetched(&st, false);
	ck_assert_uint_eq(st.r.stats.retries, 1);
	ck_assert_uint_eq(st.f.heads, 1);
	stage_close(&st);
}
END_TEST

START_TEST(not_repeated_twice)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), TEXT(OK_EMPTY), S(HEAD), S(CLOSE),
	                                    S(ACCEPT), S(HEAD), S(CLOSE),       S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st, false);
	again(&st);
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_ECLOSED, "connection_terminated");
	ck_assert_uint_eq(st.r.stats.retries, 1);
	stage_close(&st);
}
END_TEST

/* With another kept connection at hand, the repeat still goes on a new one. */
START_TEST(repeated_on_a_fresh_connection)
{
	static const struct step steps[] = {
	        S(ACCEPT),      S(HEAD),        S(ACCEPT),   S(HEAD),  TEXT(OK_EMPTY),
	        {USE, NULL, 0}, TEXT(OK_EMPTY), S(HEAD),     S(CLOSE), S(ACCEPT),
	        S(HEAD),        TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;
	struct fetch other;

	stage_open(&st, steps);
	fetch_init(&other, &st.r, st.s.port, NULL);
	fetch_start(&other);
	fetched(&st, false);
	fetch_ended(&other, 0, NULL);
	fetch_fini(&other);
	ck_assert_uint_eq(st.r.stats.connects, 2);
	again(&st);
	fetch_start(&st.f);
	rig_run(&st.r);
	fetch_ended(&st.f, 0, NULL);
	ck_assert_uint_eq(st.r.stats.retries, 1);
	ck_assert_uint_eq(st.r.stats.connects, 3);
	ck_assert(!st.f.info.reused);
	stage_close(&st);
}
END_TEST

static const struct {
	const char *what, *method;
	bool idempotent, has_body;
} once[] = {
        {"POST without a body", "POST", false, false},
        {"POST with a body", "POST", false, true},
        {"PUT whose body has gone", "PUT", true, true},
};

START_TEST(not_repeated)
{
	const struct step steps[] = {S(ACCEPT),
	                             S(HEAD),
	                             TEXT(OK_EMPTY),
	                             S(HEAD),
	                             {once[_i].has_body ? READ : TELL, NULL, 3},
	                             S(CLOSE),
	                             S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st, false);
	again(&st);
	st.f.req.method = view_of(once[_i].method);
	st.f.req.idempotent = once[_i].idempotent;
	st.f.req.has_body = once[_i].has_body;
	st.f.upload = V("abc");
	st.f.req.length = 3;
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_ECLOSED, "connection_terminated");
	ck_assert(!st.f.head_seen);
	ck_assert_uint_eq(st.r.stats.retries, 0);
	ck_assert_uint_eq(st.r.stats.connects, 1);
	stage_close(&st);
}
END_TEST

/* ---- Addresses ---- */

START_TEST(refused_address)
{
	static const struct step steps[] = {S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.f.refuse = LARDER_EREFUSED;
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_EREFUSED, "destination_ip_prohibited");
	ck_assert_uint_eq(st.f.addresses, 1);
	ck_assert_uint_eq(st.r.stats.errors_refused, 1);
	stage_close(&st);
}
END_TEST

START_TEST(refused_address_of_a_kept_connection)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st, false);
	again(&st);
	st.f.refuse = LARDER_EREFUSED;
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_EREFUSED, "destination_ip_prohibited");
	ck_assert_uint_eq(st.f.addresses, 1);
	stage_close(&st);
}
END_TEST

static const struct {
	const char *host;
	int err;
	const char *proxy_error;
} hosts[] = {
        {"localhost", 0, NULL},
        {"127.0.0.1", 0, NULL},
        {"no.such.host.invalid", LARDER_ERESOLVE, "dns_error"},
};

START_TEST(names)
{
	static const struct step one[] = {S(ACCEPT), S(HEAD), TEXT(OK_EMPTY), S(FINISHED), S(0)},
	                         none[] = {S(0)};
	struct stage st;

	stage_open(&st, hosts[_i].err ? none : one);
	st.f.req.host = view_of(hosts[_i].host);
	fetch_run(&st.f);
	fetch_ended(&st.f, hosts[_i].err, hosts[_i].proxy_error);
	stage_close(&st);
}
END_TEST

START_TEST(nobody_listens)
{
	static const struct step steps[] = {S(0)};
	struct stage st;

	stage_open(&st, steps);
	pthread_join(st.s.thread, NULL); /* its listener is closed now */
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_ECONNECT, "connection_refused");
	ck_assert_uint_eq(st.r.stats.errors_connect, 1);
	rig_close(&st.r);
	fetch_fini(&st.f);
}
END_TEST

/* The environment must not matter. */
START_TEST(environment)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("all_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	stage_open(&st, steps);
	fetched(&st, false);
	stage_close(&st);
}
END_TEST

/* ---- Time ---- */

START_TEST(no_answer_in_time)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.first_byte_timeout = 100;
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_ETIMEOUT, "http_response_timeout");
	ck_assert_uint_eq(st.r.stats.errors_timeout, 1);
	stage_close(&st);
}
END_TEST

START_TEST(stalled_body)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD),
	                                    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"),
	                                    S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.stall_timeout = 100;
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_ETIMEOUT, "connection_read_timeout");
	ck_assert(st.f.head_seen);
	ck_view_eq(buf_view(&st.f.body), "hi");
	stage_close(&st);
}
END_TEST

/* A listener whose queue is full takes no more handshakes. */
START_TEST(connecting_takes_too_long)
{
	static const struct step steps[] = {S(0)};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), fill[4];
	socklen_t len = sizeof(in);
	struct stage st;

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(listener, 0), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&in, &len), 0);
	for (unsigned i = 0; i < ARRAY_LEN(fill); i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(fill[i], (struct sockaddr *)&in, sizeof(in));
	}
	script_start(&st.s, steps);
	rig_init(&st.r);
	st.r.options.connect_timeout = 200;
	rig_open(&st.r);
	fetch_init(&st.f, &st.r, ntohs(in.sin_port), NULL);
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_ETIMEOUT, "connection_timeout");
	for (unsigned i = 0; i < ARRAY_LEN(fill); i++)
		close(fill[i]);
	close(listener);
	stage_close(&st);
}
END_TEST

/* ---- Limits ---- */

START_TEST(one_connection_a_host)
{
	static const struct step steps[] = {S(ACCEPT),      S(HEAD),        TEXT(OK_EMPTY),
	                                    S(HEAD),        TEXT(OK_EMPTY), S(HEAD),
	                                    TEXT(OK_EMPTY), S(FINISHED),    S(0)};
	struct fetch f[3];
	struct script s;
	struct rig r;

	script_start(&s, steps);
	rig_init(&r);
	r.options.origin_host_connections = 1;
	rig_open(&r);
	for (int i = 0; i < 3; i++) {
		fetch_init(&f[i], &r, s.port, NULL);
		fetch_start(&f[i]);
	}
	rig_run(&r);
	for (int i = 0; i < 3; i++) {
		fetch_ended(&f[i], 0, NULL);
		fetch_fini(&f[i]);
	}
	ck_assert_uint_eq(r.stats.connects, 1);
	rig_close(&r);
	script_end(&s);
}
END_TEST

/* More names at once than are resolved at once: all get their turn. */
START_TEST(many_names)
{
	enum { NAMES = 100 };
	static const struct step steps[] = {S(0)};
	static char text[NAMES][40];
	static struct fetch f[NAMES];
	struct script s;
	struct rig r;

	script_start(&s, steps);
	pthread_join(s.thread, NULL);
	rig_init(&r);
	rig_open(&r);
	for (int i = 0; i < NAMES; i++) {
		snprintf(text[i], sizeof(text[i]), "n%d.localhost", i);
		fetch_init(&f[i], &r, s.port, NULL);
		f[i].req.host = view_of(text[i]);
		f[i].refuse = LARDER_EREFUSED;
		fetch_start(&f[i]);
	}
	rig_run(&r);
	for (int i = 0; i < NAMES; i++) {
		ck_assert_uint_eq(f[i].dones, 1);
		ck_assert(f[i].err == LARDER_EREFUSED || f[i].err == LARDER_ERESOLVE);
		fetch_fini(&f[i]);
	}
	rig_close(&r);
}
END_TEST

/* ---- Ends from our side ---- */

static const struct {
	int where;
	bool has_body;
} cancels[] = {{CANCEL_ADDRESS, false},
               {CANCEL_INTERIM, false},
               {CANCEL_HEAD, false},
               {CANCEL_DATA, false},
               {CANCEL_BODY, true}};

START_TEST(cancelled_inside_a_callback)
{
	static const struct step all[] = {
	        S(ACCEPT), S(HEAD),
	        TEXT("HTTP/1.1 103 Hi\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
	        S(FINISHED), S(0)};
	/* The request goes out with the first of its body. */
	static const struct step connected[] = {S(ACCEPT), S(FINISHED), S(0)};
	static const struct step none[] = {S(0)};
	struct stage st;

	stage_open(&st, cancels[_i].where == CANCEL_ADDRESS ? none
	                : cancels[_i].where == CANCEL_BODY  ? connected
	                                                    : all);
	st.f.cancel = cancels[_i].where;
	st.f.req.has_body = cancels[_i].has_body;
	st.f.req.length = HTTP_LENGTH_UNKNOWN;
	fetch_run(&st.f);
	ck_assert_uint_eq(st.f.dones, 0);
	stage_close(&st);
}
END_TEST

START_TEST(cancelled_at_once)
{
	static const struct step steps[] = {S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetch_start(&st.f);
	origin_cancel(st.f.transfer);
	st.r.running = 0;
	stage_close(&st);
	ck_assert_uint_eq(st.f.dones, 0);
}
END_TEST

static const struct {
	const char *what;
	int head, data;
} answers[] = {{"by head", LARDER_ENOSPC, 0}, {"by data", 0, LARDER_ENOSPC}};

START_TEST(ended_by_an_answer)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD),
	                                    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
	                                    S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.f.head_answer = answers[_i].head;
	st.f.data_answer = answers[_i].data;
	fetch_run(&st.f);
	fetch_ended(&st.f, LARDER_ENOSPC, "proxy_internal_error");
	stage_close(&st);
}
END_TEST

START_TEST(freed_with_transfers_running)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD),
	                                    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
	                                    S(FINISHED), S(0)};
	struct stage st;
	struct fetch queued;

	stage_open(&st, steps);
	st.f.hold = true;
	fetch_start(&st.f);
	rig_run(&st.r);
	ck_assert_uint_eq(st.f.datas, 1);
	fetch_init(&queued, &st.r, st.s.port, NULL);
	fetch_start(&queued);
	rig_close(&st.r);
	fetch_ended(&st.f, LARDER_ECLOSED, "proxy_internal_error");
	fetch_ended(&queued, LARDER_ECLOSED, "proxy_internal_error");
	script_end(&st.s);
	fetch_fini(&st.f);
	fetch_fini(&queued);
}
END_TEST

/* ---- Started from a callback ---- */

static struct fetch *chained;

static void start_next(struct fetch *f)
{
	fetch_start(chained);
}

START_TEST(started_inside_done)
{
	static const struct step steps[] = {
	        S(ACCEPT), S(HEAD), TEXT(OK_EMPTY), S(HEAD), TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;
	struct fetch next;

	stage_open(&st, steps);
	fetch_init(&next, &st.r, st.s.port, NULL);
	chained = &next;
	st.f.on_done = start_next;
	fetch_run(&st.f);
	fetch_ended(&st.f, 0, NULL);
	fetch_ended(&next, 0, NULL);
	fetch_fini(&next);
	stage_close(&st);
}
END_TEST

UNIT_MAIN("origin/connection", tcase_add_test(tc, kept);
          tcase_add_test(tc, not_kept_when_idle_is_0);
          tcase_add_loop_test(tc, bytes_on_an_idle_connection, 0, ARRAY_LEN(idle));
          tcase_add_test(tc, repeated_once); tcase_add_test(tc, not_repeated_twice);
          tcase_add_test(tc, repeated_on_a_fresh_connection);
          tcase_add_loop_test(tc, not_repeated, 0, ARRAY_LEN(once));
          tcase_add_test(tc, refused_address);
          tcase_add_test(tc, refused_address_of_a_kept_connection);
          tcase_add_loop_test(tc, names, 0, ARRAY_LEN(hosts)); tcase_add_test(tc, nobody_listens);
          tcase_add_test(tc, environment); tcase_add_test(tc, no_answer_in_time);
          tcase_add_test(tc, stalled_body); tcase_add_test(tc, connecting_takes_too_long);
          tcase_add_test(tc, one_connection_a_host); tcase_add_test(tc, many_names);
          tcase_add_loop_test(tc, cancelled_inside_a_callback, 0, ARRAY_LEN(cancels));
          tcase_add_test(tc, cancelled_at_once);
          tcase_add_loop_test(tc, ended_by_an_answer, 0, ARRAY_LEN(answers));
          tcase_add_test(tc, freed_with_transfers_running);
          tcase_add_test(tc, started_inside_done);)
