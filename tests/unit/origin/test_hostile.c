/* Origins and callees at their worst: wake-ups in every state, resets, answers that come early, turns. */
#include <netdb.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

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
#define FETCHES   3
#define LARGE     (32UL << 20)
#define LONG_TIME 30000

/* ---- Names: every lookup waits until the test lets it go on ---- */

static sem_t gate;
static _Atomic uint64_t lookups;

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **list)
{
	struct {
		struct addrinfo info;
		struct sockaddr_in in;
	} *one = calloc(1, sizeof(*one));

	(void)host;
	(void)service;
	(void)hints;
	atomic_fetch_add(&lookups, 1);
	sem_wait(&gate);
	if (!one)
		return EAI_MEMORY;
	one->in.sin_family = AF_INET;
	one->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	one->info.ai_family = AF_INET;
	one->info.ai_socktype = SOCK_STREAM;
	one->info.ai_addr = (struct sockaddr *)&one->in;
	one->info.ai_addrlen = sizeof(one->in);
	*list = &one->info;
	return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
	free(list);
}

/* ---- The stage ---- */

struct stage {
	struct script s;
	struct rig r;
	struct fetch f[FETCHES];
	struct net_timer timer;
	bool (*reached)(struct stage *st); /* NULL: in a while */
};

static void stage_set(struct stage *st, const struct step *steps)
{
	memset(st, 0, sizeof(*st));
	sem_init(&gate, 0, 0);
	atomic_store(&lookups, 0);
	script_start(&st->s, steps);
	rig_init(&st->r);
	for (int i = 0; i < FETCHES; i++)
		fetch_init(&st->f[i], &st->r, st->s.port, NULL);
}

static void stage_open(struct stage *st, const struct step *steps)
{
	stage_set(st, steps);
	rig_open(&st->r);
}

static void stage_close(struct stage *st)
{
	rig_close(&st->r);
	script_end(&st->s);
	for (int i = 0; i < FETCHES; i++)
		fetch_fini(&st->f[i]);
	sem_destroy(&gate);
}

static void put(struct fetch *f, struct view body, uint64_t length)
{
	f->req.method = V("PUT");
	f->req.has_body = true;
	f->req.length = length;
	f->upload = body;
}

static void on_look(struct net_timer *t)
{
	struct stage *st = container_of(t, struct stage, timer);

	if (!st->reached || st->reached(st))
		net_loop_stop(st->r.loop);
	else
		net_timer_set(t, 1);
}

static void run_until(struct stage *st, bool (*reached)(struct stage *st), uint64_t ms)
{
	st->reached = reached;
	net_timer_init(&st->timer, st->r.loop, on_look);
	net_timer_set(&st->timer, ms);
	net_loop_run(st->r.loop);
}

static bool looked_up(struct stage *st)
{
	(void)st;
	return atomic_load(&lookups) > 0;
}

static bool connected(struct stage *st)
{
	return st->f[0].addresses > 0;
}

static bool requested(struct stage *st)
{
	return st->r.stats.requests > 0;
}

static bool repeated(struct stage *st)
{
	return st->r.stats.retries > 0 && st->r.stats.requests == 3;
}

static bool received(struct stage *st)
{
	return st->f[0].body.len == 3;
}

static void cancel(struct fetch *f)
{
	origin_cancel(f->transfer);
	f->rig->running--;
}

/* ---- Wake-ups: a callee says that there is body whenever some has come ---- */

START_TEST(body_comes_while_the_name_is_looked_up)
{
	static const struct step steps[] = {S(ACCEPT),      S(HEAD),     {READ, NULL, 13},
	                                    TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	put(&st.f[0], V("abc"), HTTP_LENGTH_UNKNOWN);
	st.f[0].req.host = V("slow.test");
	fetch_start(&st.f[0]);
	run_until(&st, looked_up, 1);
	for (int i = 0; i < 3; i++) {
		origin_body_ready(st.f[0].transfer);
		run_until(&st, NULL, 5);
	}
	ck_assert_uint_eq(atomic_load(&lookups), 1);
	sem_post(&gate);
	rig_run(&st.r);
	fetch_ended(&st.f[0], 0, NULL);
	stage_close(&st);
}
END_TEST

/* libcurl holds it back, without a connection, until another has ended. */
START_TEST(body_comes_while_libcurl_waits)
{
	static const struct step steps[] = {S(ACCEPT), S(FINISHED), S(0)};
	struct stage st;

	stage_set(&st, steps);
	st.r.options.origin_host_connections = 1;
	rig_open(&st.r);
	st.f[0].req.scheme = st.f[1].req.scheme = HTTP_SCHEME_HTTPS;
	fetch_start(&st.f[0]);
	run_until(&st, connected, 1);
	put(&st.f[1], V("abc"), 3);
	fetch_start(&st.f[1]);
	for (int i = 0; i < 2; i++) {
		run_until(&st, NULL, 5);
		ck_assert_msg(st.f[1].dones == 0, "ended with %s", st.f[1].detail);
		origin_body_ready(st.f[1].transfer);
	}
	run_until(&st, NULL, 5);
	ck_assert_msg(st.f[1].dones == 0, "ended with %s", st.f[1].detail);
	cancel(&st.f[0]);
	cancel(&st.f[1]);
	run_until(&st, NULL, 5);
	stage_close(&st);
}
END_TEST

/* The kept connection died before any of the body was there; it comes while the repeat waits for its turn. */
START_TEST(body_comes_before_the_repeat)
{
	static const struct step steps[] = {
	        S(ACCEPT),   S(HEAD),   TEXT(OK_EMPTY), S(HEAD),         S(CLOSE),
	        S(ACCEPT),   S(HEAD),   S(AWAIT),       TEXT(OK_EMPTY),  S(FINISHED),
	        S(ACCEPT),   S(HEAD),   {READ, NULL, 3}, TEXT(OK_EMPTY), S(FINISHED),
	        S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_host_connections = 1;
	fetch_run(&st.f[0]);
	put(&st.f[1], V("abc"), 3);
	st.f[1].upload_waits = UINT32_MAX;
	fetch_start(&st.f[1]);
	fetch_start(&st.f[2]);
	run_until(&st, repeated, 1);
	ck_assert_uint_eq(st.f[1].dones, 0);
	st.f[1].waits_left = st.f[1].upload_waits = 0;
	origin_body_ready(st.f[1].transfer);
	run_until(&st, NULL, 5);
	script_go(&st.s);
	rig_run(&st.r);
	fetch_ended(&st.f[1], 0, NULL);
	fetch_ended(&st.f[2], 0, NULL);
	stage_close(&st);
}
END_TEST

/* ---- Answers before the end of the request ---- */

/* Who has answered and takes no more of the request is not late with anything. */
START_TEST(answered_and_stopped_reading)
{
	static const struct step steps[] = {S(ACCEPT),
	                                    S(HEAD),
	                                    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
	                                    S(AWAIT),
	                                    S(FINISHED),
	                                    S(0)};
	char *body = calloc(1, LARGE);
	struct stage st;

	stage_set(&st, steps);
	st.r.options.stall_timeout = 100;
	rig_open(&st.r);
	put(&st.f[0], view_make(body, LARGE), LARGE);
	fetch_run(&st.f[0]);
	fetch_ended(&st.f[0], 0, NULL);
	ck_view_eq(buf_view(&st.f[0].body), "hi");
	script_go(&st.s);
	stage_close(&st);
	free(body);
}
END_TEST

/* A body that the connection's end ends is cut off by a reset, whoever meets it first (RFC 9112 §8). */
START_TEST(reset_while_sending)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 200 OK\r\n\r\nhel"),
	                                    S(AWAIT),  S(RESET), S(0)};
	char *body = calloc(1, LARGE);
	struct stage st;

	stage_open(&st, steps);
	put(&st.f[0], view_make(body, LARGE), LARGE);
	fetch_start(&st.f[0]);
	run_until(&st, received, 1);
	script_go(&st.s);
	rig_run(&st.r);
	fetch_ended(&st.f[0], LARDER_ECLOSED, "http_response_incomplete");
	stage_close(&st);
	free(body);
}
END_TEST

/* ---- The end in every state ---- */

/* The lookup goes on without the transfer, and without the room where that ends. */
START_TEST(ends_while_names_are_looked_up)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	for (int i = 0; i < 2; i++) {
		st.f[i].req.host = V("slow.test");
		fetch_start(&st.f[i]);
	}
	run_until(&st, looked_up, 1);
	cancel(&st.f[0]);
	run_until(&st, NULL, 5);
	st.r.running--;
	fetch_run(&st.f[2]);
	st.r.running++;
	ck_assert_uint_eq(st.f[1].dones, 0);
	fetch_ended(&st.f[2], 0, NULL);
	stage_close(&st);
	fetch_ended(&st.f[1], LARDER_ECLOSED, "proxy_internal_error");
}
END_TEST

/* ---- Turns ---- */

static struct fetch *newcomer;

static void start_newcomer(struct fetch *f)
{
	(void)f;
	fetch_start(newcomer);
}

/* Who has waited for a connection comes before who has not. */
START_TEST(newcomers_wait_behind)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), S(AWAIT), TEXT(OK_EMPTY),
	                                    S(HEAD),   TEXT(OK_EMPTY), S(HEAD), TEXT(OK_EMPTY),
	                                    S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_host_connections = 1;
	st.f[1].req.target = V("/waited");
	st.f[2].req.target = V("/new");
	st.f[0].on_done = start_newcomer;
	newcomer = &st.f[2];
	fetch_start(&st.f[0]);
	run_until(&st, requested, 1);
	fetch_start(&st.f[1]);
	run_until(&st, NULL, 5);
	script_go(&st.s);
	rig_run(&st.r);
	for (int i = 0; i < FETCHES; i++)
		fetch_ended(&st.f[i], 0, NULL);
	ck_assert_uint_eq(st.r.stats.connects, 1);
	buf_addc(&st.s.got, '\0');
	ck_assert_ptr_nonnull(strstr(st.s.got.data, "/waited"));
	ck_assert(strstr(st.s.got.data, "/waited") < strstr(st.s.got.data, "/new"));
	stage_close(&st);
}
END_TEST

UNIT_MAIN("origin/hostile", tcase_set_timeout(tc, LONG_TIME / 1000);
          tcase_add_test(tc, body_comes_while_the_name_is_looked_up);
          tcase_add_test(tc, body_comes_while_libcurl_waits);
          tcase_add_test(tc, body_comes_before_the_repeat);
          tcase_add_test(tc, answered_and_stopped_reading);
          tcase_add_test(tc, reset_while_sending);
          tcase_add_test(tc, ends_while_names_are_looked_up);
          tcase_add_test(tc, newcomers_wait_behind);)
