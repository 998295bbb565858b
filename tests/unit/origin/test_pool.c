/* Connections of our own: kept, given out in turn, closed when nobody wants them. */
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
#define FETCHES 3

struct stage {
	struct script s;
	struct rig r;
	struct fetch f[FETCHES];
	/* Runs the loop until a counter is reached, or for a while. */
	struct net_timer timer;
	const uint64_t *counter;
	uint64_t until;
};

static void stage_open(struct stage *st, const struct step *steps)
{
	memset(st, 0, sizeof(*st));
	script_start(&st->s, steps);
	rig_init(&st->r);
	rig_open(&st->r);
	for (int i = 0; i < FETCHES; i++)
		fetch_init(&st->f[i], &st->r, st->s.port, NULL);
}

static void stage_close(struct stage *st)
{
	rig_close(&st->r);
	script_end(&st->s);
	for (int i = 0; i < FETCHES; i++)
		fetch_fini(&st->f[i]);
}

static void fetched(struct fetch *f, bool reused)
{
	fetch_run(f);
	fetch_ended(f, 0, NULL);
	ck_assert_int_eq(f->info.reused, reused);
}

static void on_look(struct net_timer *t)
{
	struct stage *st = container_of(t, struct stage, timer);

	if (!st->counter || *st->counter >= st->until)
		net_loop_stop(st->r.loop);
	else
		net_timer_set(t, 1);
}

static void run_until(struct stage *st, const uint64_t *counter, uint64_t until)
{
	st->counter = counter;
	st->until = until;
	net_timer_init(&st->timer, st->r.loop, on_look);
	net_timer_set(&st->timer, 1);
	net_loop_run(st->r.loop);
}

static void run_for(struct stage *st, uint64_t ms)
{
	st->counter = NULL;
	net_timer_init(&st->timer, st->r.loop, on_look);
	net_timer_set(&st->timer, ms);
	net_loop_run(st->r.loop);
}

START_TEST(closed_when_old)
{
	static const struct step steps[] = {S(ACCEPT),    S(HEAD),   TEXT(OK_EMPTY),
	                                    S(FINISHED),  S(ACCEPT), S(HEAD),
	                                    TEXT(OK_EMPTY), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_idle = 20;
	fetched(&st.f[0], false);
	run_for(&st, 60);
	fetched(&st.f[1], false);
	stage_close(&st);
}
END_TEST

/* What comes on an idle connection answers nobody; it need not wait for the next request. */
START_TEST(junk_closes_at_once)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD),      TEXT(OK_EMPTY), S(AWAIT),
	                                    TEXT("x"), S(FINISHED), S(TELL), S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st.f[0], false);
	script_go(&st.s);
	run_until(&st, &st.r.stats.desyncs, 1);
	script_wait(&st.s);
	ck_assert_uint_eq(st.r.stats.desyncs, 1);
	stage_close(&st);
}
END_TEST

/* More idle ones than are kept: the one that was used longest ago goes. */
START_TEST(not_more_than_are_kept)
{
	static const struct step steps[] = {
	        S(ACCEPT),      S(HEAD),        S(ACCEPT), S(HEAD),        {USE, NULL, 0},
	        TEXT(OK_EMPTY), {USE, NULL, 1}, S(AWAIT),  TEXT(OK_EMPTY), {USE, NULL, 0},
	        S(FINISHED),    {USE, NULL, 1}, S(HEAD),   TEXT(OK_EMPTY), S(FINISHED),
	        S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_connections = 1;
	fetch_start(&st.f[0]);
	fetch_start(&st.f[1]);
	st.r.running--; /* the loop ends with the first */
	rig_run(&st.r);
	ck_assert_uint_eq(st.f[0].dones + st.f[1].dones, 1);
	st.r.running++;
	script_go(&st.s);
	rig_run(&st.r);
	fetch_ended(&st.f[0], 0, NULL);
	fetch_ended(&st.f[1], 0, NULL);
	fetched(&st.f[2], true);
	stage_close(&st);
}
END_TEST

/* One connection to the origin; whose turn it was leaves, and the next one gets it. */
static const struct {
	bool keeps; /* the origin keeps the connection */
	bool twice; /* both that wait are cancelled */
} turns[] = {{true, false}, {false, false}, {true, true}};

static struct fetch *leaves[2];

static void cancel_others(struct fetch *f)
{
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		if (leaves[i]) {
			origin_cancel(leaves[i]->transfer);
			f->rig->running--;
		}
	}
}

START_TEST(turn_passed_on)
{
	static const struct step kept[] = {S(ACCEPT), S(HEAD),        TEXT(OK_EMPTY),
	                                   S(HEAD),   TEXT(OK_EMPTY), S(FINISHED),
	                                   S(0)},
	                         closed[] = {S(ACCEPT),
	                                     S(HEAD),
	                                     TEXT("HTTP/1.1 200 OK\r\nConnection: close\r\n"
	                                          "Content-Length: 0\r\n\r\n"),
	                                     S(FINISHED),
	                                     S(ACCEPT),
	                                     S(HEAD),
	                                     TEXT(OK_EMPTY),
	                                     S(FINISHED),
	                                     S(0)};
	struct stage st;

	stage_open(&st, turns[_i].keeps ? kept : closed);
	st.r.options.origin_host_connections = 1;
	for (int i = 0; i < FETCHES; i++)
		fetch_start(&st.f[i]);
	leaves[0] = &st.f[1];
	leaves[1] = turns[_i].twice ? &st.f[2] : NULL;
	st.f[0].on_done = cancel_others;
	rig_run(&st.r);
	fetch_ended(&st.f[0], 0, NULL);
	ck_assert_uint_eq(st.f[1].dones, 0);
	if (turns[_i].twice) {
		ck_assert_uint_eq(st.f[2].dones, 0);
		fetch_fini(&st.f[2]);
		fetch_init(&st.f[2], &st.r, st.s.port, NULL);
		fetch_start(&st.f[2]);
		rig_run(&st.r);
	}
	fetch_ended(&st.f[2], 0, NULL);
	ck_assert_uint_eq(st.r.stats.connects, turns[_i].keeps ? 1 : 2);
	stage_close(&st);
}
END_TEST

/* A repeat goes on a new connection also where an origin may have no more: an idle one makes room. */
START_TEST(repeat_makes_room)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD),   TEXT(OK_EMPTY), S(HEAD),
	                                    S(CLOSE),  S(ACCEPT), S(HEAD),        TEXT(OK_EMPTY),
	                                    S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_host_connections = 1;
	fetched(&st.f[0], false);
	fetched(&st.f[1], false);
	ck_assert_uint_eq(st.r.stats.retries, 1);
	stage_close(&st);
}
END_TEST

/* Who waits for a connection does so for no longer than origin_queue_timeout. */
START_TEST(waits_too_long)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), S(AWAIT), TEXT(OK_EMPTY),
	                                    S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_host_connections = 1;
	fetch_start(&st.f[0]);
	run_until(&st, &st.r.stats.requests, 1);
	st.r.options.origin_queue_timeout = 50;
	fetch_start(&st.f[1]);
	st.r.running--;
	rig_run(&st.r);
	fetch_ended(&st.f[1], LARDER_ELIMIT, "connection_limit_reached");
	ck_assert_uint_eq(st.r.stats.errors_queue, 1);
	ck_assert_uint_eq(st.r.stats.waiting, 0);
	st.r.running++;
	script_go(&st.s);
	rig_run(&st.r);
	fetch_ended(&st.f[0], 0, NULL);
	stage_close(&st);
}
END_TEST

/* More than may wait are sent away at once; those that wait are served. */
static const unsigned queues[] = {0, 1};

START_TEST(too_many_wait)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD),        S(AWAIT),    TEXT(OK_EMPTY),
	                                    S(HEAD),   TEXT(OK_EMPTY), S(FINISHED), S(0)};
	unsigned most = queues[_i];
	struct stage st;

	stage_open(&st, steps);
	st.r.options.origin_host_connections = 1;
	st.r.options.origin_queue = most;
	fetch_start(&st.f[0]);
	run_until(&st, &st.r.stats.requests, 1);
	for (unsigned i = 1; i <= most + 1; i++)
		fetch_start(&st.f[i]);
	run_until(&st, &st.r.stats.errors_queue, 1);
	fetch_ended(&st.f[most + 1], LARDER_ELIMIT, "connection_limit_reached");
	ck_assert_uint_eq(st.r.stats.queued, most);
	ck_assert_uint_eq(st.r.stats.waiting, most);
	script_go(&st.s);
	rig_run(&st.r);
	for (unsigned i = 0; i <= most; i++)
		fetch_ended(&st.f[i], 0, NULL);
	if (!most)
		fetched(&st.f[2], true);
	ck_assert_uint_eq(st.r.stats.waiting, 0);
	stage_close(&st);
}
END_TEST

/* After a request with a body, and after an answer that came before all of it. */
static const struct {
	const char *what, *answer;
	uint64_t length;
	unsigned waits;
	bool kept;
} uploads[] = {
        {"the body is read, then answered", OK_EMPTY, 3, 0, true},
        {"chunked", OK_EMPTY, HTTP_LENGTH_UNKNOWN, 0, true},
        {"an empty one", OK_EMPTY, 0, 0, true},
        {"an error before the body's end (RFC 9112 9.5)",
         "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", 3, UINT32_MAX, false},
};

START_TEST(kept_after_an_upload)
{
	bool kept = uploads[_i].kept, chunked = uploads[_i].length == HTTP_LENGTH_UNKNOWN;
	uint64_t n = !kept ? 0 : chunked ? sizeof("3\r\nabc\r\n0\r\n\r\n") - 1 : uploads[_i].length;
	const struct step steps[] = {S(ACCEPT),
	                             S(HEAD),
	                             {n ? READ : USE, NULL, n},
	                             TEXT(uploads[_i].answer),
	                             {kept ? USE : FINISHED, NULL, 0},
	                             {kept ? USE : ACCEPT, NULL, 0},
	                             S(HEAD),
	                             TEXT(OK_EMPTY),
	                             S(FINISHED),
	                             S(0)};
	struct stage st;

	stage_open(&st, steps);
	st.f[0].req.method = V("PUT");
	st.f[0].req.has_body = true;
	st.f[0].req.length = uploads[_i].length;
	st.f[0].upload = uploads[_i].length ? V("abc") : V("");
	st.f[0].upload_waits = st.f[0].waits_left = uploads[_i].waits;
	fetched(&st.f[0], false);
	fetched(&st.f[1], kept);
	stage_close(&st);
}
END_TEST

/* The origin says no and breaks the connection while it is still being written to: the answer counts. */
START_TEST(answered_and_reset)
{
	static const struct step steps[] = {
	        S(ACCEPT), S(HEAD),
	        TEXT("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"), S(CLOSE), S(0)};
	size_t len = 32UL << 20;
	char *body = calloc(1, len);
	struct stage st;

	stage_open(&st, steps);
	st.f[0].req.method = V("POST");
	st.f[0].req.idempotent = false;
	st.f[0].req.has_body = true;
	st.f[0].req.length = len;
	st.f[0].upload = view_make(body, len);
	fetch_run(&st.f[0]);
	fetch_ended(&st.f[0], 0, NULL);
	ck_assert_uint_eq(st.f[0].status, 413);
	ck_view_eq(buf_view(&st.f[0].body), "no");
	stage_close(&st);
	free(body);
}
END_TEST

/* However the answer is cut into pieces. */
START_TEST(in_pieces)
{
	static const struct step steps[] = {
	        S(ACCEPT),    S(HEAD),        TEXT("H"),      TEXT("TTP/1.1 10"), TEXT("3 Hi\r"),
	        TEXT("\n\r"), TEXT("\nHTTP"), TEXT("/1.1 200 OK\r\nTransfer-"),
	        TEXT("Encoding: chunked\r\n\r\n2"), TEXT("\r"), TEXT("\nh"), TEXT("i\r\n0\r"),
	        TEXT("\nT: 1\r\n"), TEXT("\r"), TEXT("\n"), S(FINISHED), S(0)};
	struct stage st;

	stage_open(&st, steps);
	fetched(&st.f[0], false);
	ck_view_eq(buf_view(&st.f[0].interims), "103 Hi");
	ck_view_eq(buf_view(&st.f[0].body), "hi");
	ck_view_eq(buf_view(&st.f[0].trailers), "T: 1\r\n");
	stage_close(&st);
}
END_TEST

UNIT_MAIN("origin/pool", tcase_add_test(tc, closed_when_old);
          tcase_add_test(tc, junk_closes_at_once); tcase_add_test(tc, not_more_than_are_kept);
          tcase_add_loop_test(tc, turn_passed_on, 0, ARRAY_LEN(turns));
          tcase_add_test(tc, repeat_makes_room); tcase_add_test(tc, waits_too_long);
          tcase_add_loop_test(tc, too_many_wait, 0, ARRAY_LEN(queues));
          tcase_add_loop_test(tc, kept_after_an_upload, 0, ARRAY_LEN(uploads));
          tcase_add_test(tc, answered_and_reset); tcase_add_test(tc, in_pieces);)
