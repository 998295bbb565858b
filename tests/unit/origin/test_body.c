/* Bodies both ways: pieces, pauses, early answers. */
#include <stdio.h>
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
#define BIG (3UL << 20)

static void open_fetch(struct rig *r, struct script *s, struct fetch *f, const struct step *steps)
{
	static const char *const lines[] = {"Host: a", NULL};

	script_start(s, steps);
	rig_init(r);
	rig_open(r);
	fetch_init(f, r, s->port, lines);
}

static void close_fetch(struct rig *r, struct script *s, struct fetch *f)
{
	rig_close(r);
	script_end(s);
	fetch_fini(f);
}

/* ---- Out ---- */

static const struct {
	const char *what;
	bool chunked;
	size_t piece;
	unsigned waits;
	const char *body, *sent;
} uploads[] = {
        {"at once", false, 0, 0, "hello", "Content-Length: 5\r\n\r\nhello"},
        {"in pieces", false, 2, 0, "hello", "Content-Length: 5\r\n\r\nhello"},
        {"in pieces that come late", false, 2, 2, "hello", "Content-Length: 5\r\n\r\nhello"},
        {"chunked (RFC 9112 7.1)", true, 0, 0, "hello", "\r\n5\r\nhello\r\n0\r\n\r\n"},
        {"chunked, in pieces", true, 4, 0, "hello", "\r\n4\r\nhell\r\n1\r\no\r\n0\r\n\r\n"},
        {"chunked, in pieces that come late", true, 4, 2, "hello",
         "\r\n4\r\nhell\r\n1\r\no\r\n0\r\n\r\n"},
        {"chunked and empty", true, 0, 1, "", "\r\n0\r\n\r\n"},
};

START_TEST(upload)
{
	static const char chunked_head[] =
	        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
	static const char plain_head[] = "POST / HTTP/1.1\r\nHost: a\r\n";
	size_t after = strlen(strstr(uploads[_i].sent, "\r\n\r\n")) - 4;
	const struct step steps[] = {
	        S(ACCEPT),      S(HEAD),     {after ? READ : TELL, NULL, after},
	        TEXT(OK_EMPTY), S(FINISHED), S(0)};
	char expected[300];
	struct script s;
	struct fetch f;
	struct rig r;

	/* The chunked head's empty line is the row's first. */
	if (uploads[_i].chunked)
		after = strlen(uploads[_i].sent) - 2;
	const struct step chunked_steps[] = {S(ACCEPT),      S(HEAD),     {READ, NULL, after},
	                                     TEXT(OK_EMPTY), S(FINISHED), S(0)};
	open_fetch(&r, &s, &f, uploads[_i].chunked ? chunked_steps : steps);
	f.req.method = V("POST");
	f.req.has_body = true;
	f.upload = view_of(uploads[_i].body);
	f.upload_piece = uploads[_i].piece;
	f.upload_waits = uploads[_i].waits;
	f.req.length = uploads[_i].chunked ? HTTP_LENGTH_UNKNOWN : f.upload.len;
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(r.stats.bytes_out, strlen(uploads[_i].body));
	rig_close(&r);
	pthread_join(s.thread, NULL);
	ck_assert_msg(!s.fault, "%s", s.fault);
	snprintf(expected, sizeof(expected), "%s%s",
	         uploads[_i].chunked ? chunked_head : plain_head, uploads[_i].sent);
	script_got(&s, expected);
	buf_fini(&s.got);
	fetch_fini(&f);
}
END_TEST

START_TEST(large_upload)
{
	static const struct step steps[] = {S(ACCEPT),      S(HEAD),     {READ, NULL, BIG},
	                                    TEXT(OK_EMPTY), S(FINISHED), S(0)};
	char *body = malloc(BIG);
	struct script s;
	struct fetch f;
	struct rig r;

	for (size_t i = 0; i < BIG; i++)
		body[i] = (char)(i * 31 >> 3);
	open_fetch(&r, &s, &f, steps);
	f.req.method = V("PUT");
	f.req.has_body = true;
	f.upload = view_make(body, BIG);
	f.upload_piece = 50001;
	f.upload_waits = 1;
	f.req.length = BIG;
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	rig_close(&r);
	pthread_join(s.thread, NULL);
	ck_assert_ptr_null(s.fault);
	ck_assert_uint_gt(s.got.len, BIG);
	ck_assert_mem_eq(s.got.data + s.got.len - BIG, body, BIG);
	buf_fini(&s.got);
	fetch_fini(&f);
	free(body);
}
END_TEST

START_TEST(upload_ends_early)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), {READ, NULL, 2}, S(FINISHED), S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	f.req.has_body = true;
	f.upload = V("ab");
	f.req.length = 3;
	fetch_run(&f);
	fetch_ended(&f, LARDER_ECLOSED, "http_request_error");
	close_fetch(&r, &s, &f);
}
END_TEST

START_TEST(answered_before_the_body_is_sent)
{
	static const struct step steps[] = {
	        S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"),
	        S(FINISHED), S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	f.req.has_body = true;
	f.req.length = 1000;
	f.upload_waits = f.waits_left = UINT32_MAX; /* the body never comes */
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(f.status, 413);
	ck_view_eq(buf_view(&f.body), "no");
	close_fetch(&r, &s, &f);
}
END_TEST

/* The origin has said all, the client goes on sending for longer than an origin may be silent. */
START_TEST(answered_long_before_the_body_is_sent)
{
	static const struct step steps[] = {S(ACCEPT),       S(HEAD),     TEXT(OK_EMPTY),
	                                    {READ, NULL, 3}, S(FINISHED), S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	r.options.stall_timeout = 50;
	f.req.has_body = true;
	f.req.length = 3;
	f.upload = V("abc");
	f.upload_waits = 200;
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(r.stats.bytes_out, 3);
	close_fetch(&r, &s, &f);
}
END_TEST

START_TEST(expectation)
{
	static const struct step steps[] = {S(ACCEPT),
	                                    S(HEAD),
	                                    TEXT("HTTP/1.1 100 Continue\r\n\r\n"),
	                                    {READ, NULL, 3},
	                                    TEXT(OK_EMPTY),
	                                    S(FINISHED),
	                                    S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	f.req.has_body = true;
	f.req.expect = V("Expect: 100-continue");
	f.req.length = 3;
	f.upload = V("abc");
	f.upload_waits = 5;
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_view_eq(buf_view(&f.interims), "100 Continue");
	close_fetch(&r, &s, &f);
}
END_TEST

START_TEST(expectation_failed)
{
	static const struct step steps[] = {
	        S(ACCEPT), S(HEAD),
	        TEXT("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"), S(FINISHED),
	        S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	f.req.has_body = true;
	f.req.expect = V("Expect: 100-continue");
	f.req.length = 3;
	f.upload_waits = f.waits_left = UINT32_MAX;
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(f.status, 417);
	ck_assert_uint_eq(f.heads, 1);
	ck_assert_uint_eq(r.stats.requests, 1);
	close_fetch(&r, &s, &f);
}
END_TEST

START_TEST(origin_takes_no_more)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), S(TELL), S(AWAIT), S(0)};
	char *body = calloc(1, 16 * BIG);
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	r.options.stall_timeout = 200;
	f.req.has_body = true;
	f.req.length = 16 * BIG;
	f.upload = view_make(body, 16 * BIG);
	fetch_run(&f);
	fetch_ended(&f, LARDER_ETIMEOUT, "connection_write_timeout");
	script_go(&s);
	close_fetch(&r, &s, &f);
	free(body);
}
END_TEST

/* ---- In ---- */

static const struct {
	const char *what;
	struct step steps[10];
	const char *body; /* NULL: BIG times 'x' */
} pauses[] = {
        {"known length",
         {S(ACCEPT),
          S(HEAD),
          TEXT("HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\n\r\n"),
          {FILL, NULL, BIG},
          S(FINISHED)},
         NULL},
        {"until the close",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 200 OK\r\n\r\n"), {FILL, NULL, BIG}, S(CLOSE)},
         NULL},
        {"one chunk",
         {S(ACCEPT),
          S(HEAD),
          TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n300000\r\n"),
          {FILL, NULL, BIG},
          TEXT("\r\n0\r\n\r\n"),
          S(FINISHED)},
         NULL},
        {"chunks within one piece",
         {S(ACCEPT), S(HEAD),
          TEXT("HTTP/1.1 200 OK\r\nTransfer-Encoding: "
               "chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n4\r\nghij\r\n"
               "5\r\nklmno\r\n0\r\nT: 1\r\n\r\n"),
          S(FINISHED)},
         "abcdefghijklmno"},
};

START_TEST(paused)
{
	unsigned every = (unsigned)_i % 3 + 1, row = (unsigned)_i / 3;
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, pauses[row].steps);
	f.pause_every = every + 1;
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_gt(f.pauses, 0);
	if (pauses[row].body)
		ck_view_eq(buf_view(&f.body), pauses[row].body);
	else
		ck_assert_uint_eq(f.body.len, BIG);
	/* All bytes are the same: equal to itself one byte on. */
	if (!pauses[row].body)
		ck_assert(f.body.data[0] == 'x' &&
		          memcmp(f.body.data, f.body.data + 1, BIG - 1) == 0);
	ck_assert_uint_eq(r.stats.bytes_in, f.body.len);
	close_fetch(&r, &s, &f);
}
END_TEST

/* The callee's pause is not the origin's stall. */
static void wake(struct net_timer *t)
{
	struct fetch *f = container_of(t, struct fetch, timer);

	f->hold = false;
	origin_resume(f->transfer);
}

START_TEST(pause_outlasts_the_stall_timeout)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD),
	                                    TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
	                                    S(FINISHED), S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	r.options.stall_timeout = 100;
	f.hold = true;
	fetch_run(&f);
	ck_assert_uint_eq(f.datas, 1);
	net_timer_init(&f.timer, r.loop, wake);
	net_timer_set(&f.timer, 400);
	rig_run(&r);
	fetch_ended(&f, 0, NULL);
	ck_view_eq(buf_view(&f.body), "hi");
	close_fetch(&r, &s, &f);
}
END_TEST

/* While one is paused, another on the same loop goes on; a paused one can be cancelled. */
START_TEST(cancelled_while_paused)
{
	static const struct step steps[] = {
	        S(ACCEPT),   S(HEAD),        TEXT("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"),
	        S(ACCEPT),   S(HEAD),        TEXT(OK_EMPTY),
	        S(FINISHED), {USE, NULL, 0}, S(FINISHED),
	        S(0)};
	struct fetch f, other;
	struct script s;
	struct rig r;

	open_fetch(&r, &s, &f, steps);
	f.hold = true;
	fetch_run(&f);
	fetch_init(&other, &r, s.port, NULL);
	fetch_start(&other);
	r.running--; /* so that the loop ends with the other */
	rig_run(&r);
	fetch_ended(&other, 0, NULL);
	origin_cancel(f.transfer);
	ck_assert_uint_eq(f.dones, 0);
	fetch_fini(&other);
	close_fetch(&r, &s, &f);
}
END_TEST

UNIT_MAIN("origin/body", tcase_add_loop_test(tc, upload, 0, ARRAY_LEN(uploads));
          tcase_add_test(tc, large_upload); tcase_add_test(tc, upload_ends_early);
          tcase_add_test(tc, answered_before_the_body_is_sent); tcase_add_test(tc, expectation);
          tcase_add_test(tc, answered_long_before_the_body_is_sent);
          tcase_add_test(tc, expectation_failed); tcase_add_test(tc, origin_takes_no_more);
          tcase_add_loop_test(tc, paused, 0, 3 * ARRAY_LEN(pauses));
          tcase_add_test(tc, pause_outlasts_the_stall_timeout);
          tcase_add_test(tc, cancelled_while_paused);)
