/* Upgrade (RFC 9110 7.8): switched, or answered like anything else. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "fetch.h"
#include "script.h"
#include "unit.h"

#define S(op)                                                                                      \
	{                                                                                          \
		op, NULL, 0                                                                        \
	}
#define TEXT(text)                                                                                 \
	{                                                                                          \
		SEND, text, 0                                                                      \
	}
#define SWITCH                                                                                     \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

static void begin(struct rig *r, struct script *s, struct fetch *f, const struct step *steps)
{
	static const char *const lines[] = {"A: 1", "Host: a", "Sec-WebSocket-Key: x", NULL};

	script_start(s, steps);
	rig_init(r);
	rig_open(r);
	fetch_init(f, r, s->port, lines);
	f->req.target = V("/chat?x");
	f->req.upgrade = V("websocket");
}

static ssize_t read_stream(struct net_stream *st, char *dst, size_t room)
{
	struct pollfd p = {.fd = st->fd, .events = POLLIN};
	ssize_t n = LARDER_EAGAIN;

	while (n == LARDER_EAGAIN) {
		if (st->ops)
			n = st->ops->read(st->arg, dst, room);
		else
			n = read(st->fd, dst, room);
		if (!st->ops && n < 0 && errno == EAGAIN)
			n = LARDER_EAGAIN;
		if (n == LARDER_EAGAIN)
			ck_assert_int_eq(poll(&p, 1, 10000), 1);
	}
	return n;
}

static void expect_stream(struct net_stream *st, const char *text)
{
	char got[100];
	size_t len = 0, want = strlen(text);

	while (len < want) {
		ssize_t n = read_stream(st, got + len, want - len);

		ck_assert_int_gt(n, 0);
		len += (size_t)n;
	}
	ck_view_eq(view_make(got, len), text);
}

static void write_stream(struct net_stream *st, const char *text)
{
	ssize_t n = st->ops ? st->ops->write(st->arg, text, strlen(text))
	                    : write(st->fd, text, strlen(text));

	ck_assert_int_eq(n, (ssize_t)strlen(text));
}

static void close_stream(struct net_stream *st)
{
	if (st->ops)
		st->ops->close(st->arg);
	else
		close(st->fd);
}

static const struct {
	const char *what, *answer, *early;
	bool late;
} switches[] = {
        {"the origin waits", SWITCH, "", true},
        {"the origin speaks at once", SWITCH "early", "early", false},
        {"after interim responses", "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" SWITCH "early",
         "early", false},
};

START_TEST(switched)
{
	const struct step steps[] = {
	        S(ACCEPT),   S(HEAD), TEXT(switches[_i].answer), {READ, NULL, 4}, TEXT("pong"),
	        S(FINISHED), S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	begin(&r, &s, &f, steps);
	fetch_run(&f);
	ck_assert_uint_eq(f.switches, 1);
	ck_assert_uint_eq(f.dones, 0);
	ck_assert_uint_eq(f.status, 101);
	ck_view_eq(buf_view(&f.head),
	           "101 Switching Protocols|Upgrade: websocket|Connection: upgrade");
	ck_assert(!f.info.reused && f.info.request_time && f.info.addr.len);
	ck_assert(f.stream.ops || switches[_i].late);
	expect_stream(&f.stream, switches[_i].early);
	write_stream(&f.stream, "ping");
	expect_stream(&f.stream, "pong");
	close_stream(&f.stream);
	rig_close(&r);
	pthread_join(s.thread, NULL);
	ck_assert_ptr_null(s.fault);
	script_got(&s, "GET /chat?x HTTP/1.1\r\nHost: a\r\nA: 1\r\nSec-WebSocket-Key: x\r\n"
	               "Connection: upgrade\r\nUpgrade: websocket\r\n\r\nping");
	buf_fini(&s.got);
	fetch_fini(&f);
}
END_TEST

START_TEST(stream_outlives_the_room)
{
	static const struct step steps[] = {S(ACCEPT),       S(HEAD),      TEXT(SWITCH "early"),
	                                    {READ, NULL, 4}, TEXT("pong"), S(FINISHED),
	                                    S(0)};
	struct script s;
	struct fetch f;
	struct rig r;
	char byte;

	begin(&r, &s, &f, steps);
	fetch_run(&f);
	rig_close(&r);
	expect_stream(&f.stream, "early");
	ck_assert_ptr_nonnull(f.stream.ops);
	ck_assert_int_eq(f.stream.ops->read(f.stream.arg, &byte, 1), LARDER_EAGAIN);
	write_stream(&f.stream, "ping");
	expect_stream(&f.stream, "pong");
	close_stream(&f.stream);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

START_TEST(half_close)
{
	static const struct step steps[] = {S(ACCEPT),   S(HEAD),     TEXT(SWITCH "early"),
	                                    S(FINISHED), TEXT("bye"), S(0)};
	struct script s;
	struct fetch f;
	struct rig r;
	char byte;

	begin(&r, &s, &f, steps);
	fetch_run(&f);
	expect_stream(&f.stream, "early");
	f.stream.ops->shutdown(f.stream.arg);
	expect_stream(&f.stream, "bye");
	ck_assert_int_eq(read_stream(&f.stream, &byte, 1), 0);
	close_stream(&f.stream);
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

static const struct {
	const char *what;
	struct step steps[8];
	int err;
	const char *proxy_error, *head, *body, *trailers;
	unsigned pause_every;
} others[] = {
        {"known length",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), S(FINISHED)},
         0,
         NULL,
         "200 OK|Content-Length: 2",
         "hi",
         "",
         0},
        {"more than that",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhigh"),
          S(FINISHED)},
         0,
         NULL,
         "200 OK|Content-Length: 2",
         "hi",
         "",
         0},
        {"no body",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 204 No\r\n\r\n"), S(FINISHED)},
         0,
         NULL,
         "204 No",
         "",
         "",
         0},
        {"chunked",
         {S(ACCEPT), S(HEAD), TEXT(CHUNKED "1\r\na\r\n2\r\nbc\r\n0\r\nT: 1\r\n\r\n"), S(FINISHED)},
         0,
         NULL,
         "200 OK|Transfer-Encoding: chunked",
         "abc",
         "T: 1\r\n",
         0},
        {"chunked with pauses",
         {S(ACCEPT), S(HEAD), TEXT(CHUNKED "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\nT: 1\r\n\r\n"),
          S(FINISHED)},
         0,
         NULL,
         "200 OK|Transfer-Encoding: chunked",
         "abcdef",
         "T: 1\r\n",
         2},
        {"until the close",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 426 Upgrade Required\r\n\r\nplease"), S(CLOSE)},
         0,
         NULL,
         "426 Upgrade Required",
         "please",
         "",
         0},
        {"cut",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"), S(CLOSE)},
         LARDER_ECLOSED,
         "http_response_incomplete",
         "200 OK|Content-Length: 3",
         "hi",
         "",
         0},
        {"no answer",
         {S(ACCEPT), S(HEAD), S(CLOSE)},
         LARDER_ECLOSED,
         "connection_terminated",
         "",
         "",
         "",
         0},
        {"reset",
         {S(ACCEPT), S(HEAD), S(RESET)},
         LARDER_ECLOSED,
         "connection_terminated",
         "",
         "",
         "",
         0},
        {"a broken head",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 200 OK\nA: 1\n\n"), S(FINISHED)},
         LARDER_EPROTO,
         "http_protocol_error",
         "",
         "",
         "",
         0},
        {"to nothing named (RFC 9110 7.8)",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 101 Ok\r\n\r\n"), S(FINISHED)},
         LARDER_EPROTO,
         "http_upgrade_failed",
         "",
         "",
         "",
         0},
        {"a head without end",
         {S(ACCEPT), S(HEAD), TEXT("HTTP/1.1 200 OK\r\nA: "), {FILL, NULL, 70000}, S(0)},
         LARDER_EPROTO,
         "http_response_header_section_size",
         "",
         "",
         "",
         0},
};

START_TEST(answered)
{
	struct script s;
	struct fetch f;
	struct rig r;

	begin(&r, &s, &f, others[_i].steps);
	f.pause_every = others[_i].pause_every;
	fetch_run(&f);
	fetch_ended(&f, others[_i].err, others[_i].proxy_error);
	ck_assert_uint_eq(f.switches, 0);
	ck_view_eq(buf_view(&f.head), others[_i].head);
	ck_view_eq(buf_view(&f.body), others[_i].body);
	ck_view_eq(buf_view(&f.trailers), others[_i].trailers);
	ck_assert_int_eq(f.pauses > 0, f.pause_every > 0);
	rig_close(&r);
	pthread_join(s.thread, NULL);
	buf_fini(&s.got);
	fetch_fini(&f);
}
END_TEST

static const int cancels[] = {CANCEL_ADDRESS, CANCEL_INTERIM, CANCEL_HEAD, CANCEL_DATA};

START_TEST(cancelled)
{
	static const struct step steps[] = {
	        S(ACCEPT), S(HEAD),
	        TEXT("HTTP/1.1 103 Hi\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
	        S(FINISHED), S(0)};
	static const struct step none[] = {S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	begin(&r, &s, &f, cancels[_i] == CANCEL_ADDRESS ? none : steps);
	f.cancel = cancels[_i];
	fetch_run(&f);
	ck_assert_uint_eq(f.dones + f.switches, 0);
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

START_TEST(no_answer_in_time)
{
	static const struct step steps[] = {S(ACCEPT), S(HEAD), S(FINISHED), S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	begin(&r, &s, &f, steps);
	r.options.first_byte_timeout = 100;
	fetch_run(&f);
	fetch_ended(&f, LARDER_ETIMEOUT, "http_response_timeout");
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

/* A server may ignore Upgrade (RFC 9110 7.8); with a body it is not passed on. */
START_TEST(left_out_with_a_body)
{
	static const struct step steps[] = {
	        S(ACCEPT),       S(HEAD),
	        {READ, NULL, 2}, TEXT("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
	        S(FINISHED),     S(0)};
	struct script s;
	struct fetch f;
	struct rig r;

	begin(&r, &s, &f, steps);
	f.req.has_body = true;
	f.req.length = 2;
	f.upload = V("hi");
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_ptr_null(memmem(s.got.data, s.got.len, "Upgrade", 7));
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

UNIT_MAIN("origin/upgrade", tcase_add_loop_test(tc, switched, 0, ARRAY_LEN(switches));
          tcase_add_test(tc, stream_outlives_the_room); tcase_add_test(tc, half_close);
          tcase_add_loop_test(tc, answered, 0, ARRAY_LEN(others));
          tcase_add_loop_test(tc, cancelled, 0, ARRAY_LEN(cancels));
          tcase_add_test(tc, no_answer_in_time); tcase_add_test(tc, left_out_with_a_body);)
