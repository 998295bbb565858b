/* Answers, good, odd and hostile: what is taken, and whether the connection is used again. */
#include <string.h>

#include "base/check.h"
#include "fetch.h"
#include "script.h"
#include "unit.h"

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define H200     "HTTP/1.1 200 OK\r\n"
#define CHUNKED  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

/* ---- Answers that are taken ---- */

enum after { KEPT, CLOSED, ENDS }; /* ENDS: the origin closes */

static const struct {
	const char *what, *method, *answer, *head, *body, *trailers;
	uint64_t length;
	enum after after;
} good[] = {
        {"fields as they came, repeats and obs-text too (RFC 9110 5.3, 5.5)", "GET",
         H200 "b: 2\r\nA:1 \r\nb:\t3\r\nX: \xe9\r\nE:\r\nContent-Length: 2\r\n\r\nhi",
         "200 OK|b: 2|A: 1|b: 3|X: \xe9|E: |Content-Length: 2", "hi", "", 2, KEPT},
        {"white space before the colon is taken away (RFC 9112 5.1)", "GET",
         H200 "A : 1\r\nContent-Length: 2\r\n\r\nhi", "200 OK|A: 1|Content-Length: 2", "hi", "", 2, KEPT},
        {"an empty reason (RFC 9112 4)", "GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
         "200 |Content-Length: 0", "", "", 0, KEPT},
        {"chunks (RFC 9112 7.1)", "GET", CHUNKED "3\r\nabc\r\n4;x=\"y\"\r\ndefg\r\n0\r\n\r\n",
         "200 OK|Transfer-Encoding: chunked", "abcdefg", "", HTTP_LENGTH_UNKNOWN, KEPT},
        {"a trailer section (RFC 9112 7.1.2)", "GET", CHUNKED "1\r\na\r\n0\r\nT: 1\r\nu:2\r\n\r\n",
         "200 OK|Transfer-Encoding: chunked", "a", "T: 1\r\nu:2\r\n", HTTP_LENGTH_UNKNOWN, KEPT},
        {"an empty chunked body", "GET", CHUNKED "0\r\n\r\n", "200 OK|Transfer-Encoding: chunked",
         "", "", HTTP_LENGTH_UNKNOWN, KEPT},
        {"until the close (RFC 9112 6.3 8)", "GET", H200 "\r\nall of it", "200 OK", "all of it", "",
         HTTP_LENGTH_UNKNOWN, ENDS},
        {"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n\r\nold", "200 OK", "old", "", HTTP_LENGTH_UNKNOWN,
         ENDS},
        {"1.0 keep-alive: not kept, or the next request would go as 1.0", "GET",
         "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
         "200 OK|Connection: keep-alive|Content-Length: 1", "x", "", 1, CLOSED},
        {"Connection: close (RFC 9112 9.6)", "GET",
         H200 "Connection: close\r\nContent-Length: 1\r\n\r\nx",
         "200 OK|Connection: close|Content-Length: 1", "x", "", 1, CLOSED},
        {"HEAD (RFC 9112 6.3 1)", "HEAD", H200 "Content-Length: 5\r\n\r\n",
         "200 OK|Content-Length: 5", "", "", 5, KEPT},
        {"HEAD, chunked", "HEAD", CHUNKED, "200 OK|Transfer-Encoding: chunked", "", "",
         HTTP_LENGTH_UNKNOWN, KEPT},
        {"HEAD answered with a body: never the next answer", "HEAD",
         H200 "Content-Length: 5\r\n\r\nhello", "200 OK|Content-Length: 5", "", "", 5, CLOSED},
        {"304 with a length (RFC 9110 15.4.5)", "GET",
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
         "304 Not Modified|Content-Length: 5", "", "", 5, KEPT},
        {"304 chunked", "GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
         "304 Not Modified|Transfer-Encoding: chunked", "", "", HTTP_LENGTH_UNKNOWN, KEPT},
        {"304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\n\r\nhello", "304 Not Modified", "",
         "", 0, CLOSED},
        {"204 (RFC 9110 15.3.5)", "GET", "HTTP/1.1 204 No Content\r\nA: 1\r\n\r\n",
         "204 No Content|A: 1", "", "", 0, KEPT},
        {"204 with a body", "GET", "HTTP/1.1 204 No Content\r\n\r\nhello", "204 No Content", "", "",
         0, CLOSED},
        {"more than the length said", "GET",
         H200 "Content-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n\r\n", "200 OK|Content-Length: 2",
         "hi", "", 2, CLOSED},
        {"more than a length of 0", "GET", H200 "Content-Length: 0\r\n\r\nX",
         "200 OK|Content-Length: 0", "", "", 0, CLOSED},
        {"more behind the last chunk", "GET", CHUNKED "1\r\na\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
         "200 OK|Transfer-Encoding: chunked", "a", "", HTTP_LENGTH_UNKNOWN, CLOSED},
        {"redirects are not followed", "GET",
         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         "302 Found|Location: http://127.0.0.1:1/|Content-Length: 0", "", "", 0, KEPT},
        {"nor challenges answered", "GET",
         "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
         "401 Unauthorized|WWW-Authenticate: Negotiate|Content-Length: 0", "", "", 0, KEPT},
        {"nor a 417 taken as a reason to repeat", "GET",
         "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n",
         "417 Expectation Failed|Content-Length: 0", "", "", 0, KEPT},
        {"content codings are not undone (RFC 9110 8.4)", "GET",
         H200 "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8bzz",
         "200 OK|Content-Encoding: gzip|Content-Length: 4", "\x1f\x8bzz", "", 4, KEPT},
        {"an unknown status code (RFC 9110 15)", "GET",
         "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n", "299 Odd|Content-Length: 0", "", "", 0,
         KEPT},
};

static void second_fetch(struct rig *r, uint16_t port, bool reused)
{
	struct fetch f;

	fetch_init(&f, r, port, NULL);
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(f.status, 200);
	ck_assert_int_eq(f.info.reused, reused);
	ck_assert_uint_eq(f.addresses, 1);
	fetch_fini(&f);
}

START_TEST(taken)
{
	bool kept = good[_i].after == KEPT, ends = good[_i].after == ENDS;
	const struct step steps[] = {
	        {ACCEPT, NULL, 0},
	        {HEAD, NULL, 0},
	        {SEND, good[_i].answer, 0},
	        {ends   ? CLOSE
	         : kept ? HEAD
	                : FINISHED,
	         NULL, 0},
	        {kept ? SEND : ACCEPT, OK_EMPTY, 0},
	        {kept ? FINISHED : HEAD, NULL, 0},
	        {SEND, kept ? "" : OK_EMPTY, 0},
	        {0, NULL, 0},
	};
	struct step played[ARRAY_LEN(steps)];
	struct script s;
	struct fetch f;
	struct rig r;

	memcpy(played, steps, sizeof(steps));
	if (kept)
		played[6].op = 0;
	script_start(&s, played);
	rig_init(&r);
	rig_open(&r);
	fetch_init(&f, &r, s.port, NULL);
	f.req.method = view_of(good[_i].method);
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(f.heads, 1);
	ck_view_eq(buf_view(&f.head), good[_i].head);
	ck_view_eq(buf_view(&f.body), good[_i].body);
	ck_view_eq(buf_view(&f.trailers), good[_i].trailers);
	if (strcmp(good[_i].method, "HEAD") != 0 && f.status != 304)
		ck_assert_uint_eq(f.length, good[_i].length);
	ck_assert(!f.info.reused && !f.info.h2 && f.info.request_time && f.info.response_time);
	second_fetch(&r, s.port, kept);
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

/* ---- Answers that are refused ---- */

#define BAD(what, answer)                                                                          \
	{                                                                                          \
		what, answer, sizeof(answer) - 1, "http_protocol_error", false                     \
	}
#define BAD_CODING(what, answer)                                                                   \
	{                                                                                          \
		what, answer, sizeof(answer) - 1, "http_response_transfer_coding", true            \
	}

static const struct {
	const char *what, *answer;
	size_t len;
	const char *proxy_error;
	bool head;
} bad[] = {
        BAD("obs-fold (RFC 9112 5.2)", H200 "A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n"),
        BAD("space before the length's colon (RFC 9112 11.2)", H200 "Content-Length : 2\r\n\r\nhi"),
        BAD("bare CR in a value (RFC 9112 2.2)", H200 "A: 1\r2\r\nContent-Length: 0\r\n\r\n"),
        BAD("control in a value (RFC 9110 5.5)", H200 "A: \x01\r\nContent-Length: 0\r\n\r\n"),
        BAD("NUL (RFC 9110 5.5)", H200 "A: x\0y\r\nContent-Length: 0\r\n\r\n"),
        BAD("no name (RFC 9110 5.1)", H200 ": 1\r\nContent-Length: 0\r\n\r\n"),
        BAD("no colon (RFC 9112 5)", H200 "Hello\r\nContent-Length: 0\r\n\r\n"),
        BAD("name is no token (RFC 9110 5.1)", H200 "A B: 1\r\nContent-Length: 0\r\n\r\n"),
        BAD("HTTP/2 in HTTP/1.1 (RFC 9112 2.3)", "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n"),
        BAD("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        BAD("no space after the code (RFC 9112 4)", "HTTP/1.1 200OK\r\nContent-Length: 0\r\n\r\n"),
        BAD("two spaces before the code", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"),
        BAD("lower case version", "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        BAD("HTTP/0.9", "<html>hello</html>\r\n\r\n"),
        BAD("another protocol", "ICY 200 OK\r\nContent-Length: 0\r\n\r\n"),
        BAD("the greeting of another, which waits", "SSH-2.0-x\r\n"),
        BAD("code below 100", "HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n"),
        BAD("code of four digits", "HTTP/1.1 2000 Odd\r\nContent-Length: 0\r\n\r\n"),
        BAD("Content-Length 2,3 (RFC 9112 6.3 5)", H200 "Content-Length: 2,3\r\n\r\nhi"),
        BAD("+2", H200 "Content-Length: +2\r\n\r\nhi"),
        BAD("2abc", H200 "Content-Length: 2abc\r\n\r\nhi"),
        BAD("2 3", H200 "Content-Length: 2 3\r\n\r\nhi"),
        BAD("0x2", H200 "Content-Length: 0x2\r\n\r\nhi"),
        BAD("-1", H200 "Content-Length: -1\r\n\r\nhi"),
        BAD("an empty one", H200 "Content-Length:\r\n\r\nhi"),
        BAD("differing repeats", H200 "Content-Length: 3\r\nContent-Length: 2\r\n\r\nhi"),
        BAD("above 2^64", H200 "Content-Length: 18446744073709551616\r\n\r\nhi"),
        BAD("above 2^63", H200 "Content-Length: 9223372036854775808\r\n\r\nhi"),
        BAD("Content-Length with Transfer-Encoding (RFC 9112 6.1)",
            H200 "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        BAD("Transfer-Encoding twice",
            H200 "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        BAD("Transfer-Encoding in 1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        BAD("identity", H200 "Transfer-Encoding: identity\r\n\r\nhi"),
        BAD("gzip", H200 "Transfer-Encoding: gzip\r\n\r\nhi"),
        BAD("gzip, chunked", H200 "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        BAD("chunked folded", H200 "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        BAD("a protocol switch unasked (RFC 9110 7.8)",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello"),
        BAD_CODING("space behind a chunk size (RFC 9112 7.1)", CHUNKED "2 \r\nhi\r\n0\r\n\r\n"),
        BAD_CODING("bare CR in a size line", CHUNKED "2\rX\r\nhi\r\n0\r\n\r\n"),
        BAD_CODING("bare LF behind a size", CHUNKED "2\nhi\r\n0\r\n\r\n"),
        BAD_CODING("a size that is none", CHUNKED "xyz\r\nhi\r\n0\r\n\r\n"),
        BAD_CODING("a size with a sign", CHUNKED "-2\r\nhi\r\n0\r\n\r\n"),
        BAD_CODING("a size with 0x", CHUNKED "0x2\r\nhi\r\n0\r\n\r\n"),
        BAD_CODING("a size above 2^64", CHUNKED "10000000000000002\r\nhi\r\n0\r\n\r\n"),
        BAD_CODING("data longer than its chunk", CHUNKED "2\r\nhigh\r\n0\r\n\r\n"),
        BAD_CODING("a broken trailer line", CHUNKED "0\r\nA : 1\r\n\r\n"),
};

static void refused(const struct step *steps, struct rig *r, struct fetch *f, int err,
                    const char *proxy_error)
{
	struct script s;

	script_start(&s, steps);
	rig_open(r);
	fetch_init(f, r, s.port, NULL);
	fetch_run(f);
	fetch_ended(f, err, proxy_error);
	ck_assert_uint_eq(f->heads, f->head_seen);
	second_fetch(r, s.port, false);
	rig_close(r);
	script_end(&s);
}

START_TEST(broken)
{
	const struct step steps[] = {
	        {ACCEPT, NULL, 0},   {HEAD, NULL, 0},   {SEND, bad[_i].answer, bad[_i].len},
	        {FINISHED, NULL, 0}, {ACCEPT, NULL, 0}, {HEAD, NULL, 0},
	        {SEND, OK_EMPTY, 0}, {0, NULL, 0}};
	struct fetch f;
	struct rig r;

	rig_init(&r);
	refused(steps, &r, &f, LARDER_EPROTO, bad[_i].proxy_error);
	ck_assert_int_eq(f.head_seen, bad[_i].head);
	ck_assert_uint_gt(strlen(f.detail), 0);
	ck_assert_uint_eq(r.stats.errors_protocol, 1);
	fetch_fini(&f);
}
END_TEST

/* ---- Answers that end early ---- */

static const struct {
	const char *what, *answer, *body, *proxy_error;
	bool reset, head;
} cut[] = {
        {"no answer", "", "", "connection_terminated", false, false},
        {"no answer, reset", "", "", "connection_terminated", true, false},
        {"within the status line", "HTTP/1.", "", "connection_terminated", false, false},
        {"within the head", H200 "Content-Le", "", "connection_terminated", false, false},
        {"before the empty line", H200 "Content-Length: 2\r\n", "", "connection_terminated", false,
         false},
        {"within a body of known length (RFC 9112 8)", H200 "Content-Length: 5\r\n\r\nhel", "hel",
         "http_response_incomplete", false, true},
        {"before it", H200 "Content-Length: 5\r\n\r\n", "", "http_response_incomplete", false,
         true},
        {"within a chunk", CHUNKED "5\r\nhel", "hel", "http_response_incomplete", false, true},
        {"between chunks", CHUNKED "3\r\nhel\r\n", "hel", "http_response_incomplete", false, true},
        {"before the last empty line", CHUNKED "3\r\nhel\r\n0\r\n", "hel",
         "http_response_incomplete", false, true},
        {"within the trailer section", CHUNKED "3\r\nhel\r\n0\r\nA: 1\r\n", "hel",
         "http_response_incomplete", false, true},
};

START_TEST(truncated)
{
	const struct step steps[] = {
	        {ACCEPT, NULL, 0},         {HEAD, NULL, 0},
	        {SEND, cut[_i].answer, 0}, {cut[_i].reset ? RESET : CLOSE, NULL, 0},
	        {ACCEPT, NULL, 0},         {HEAD, NULL, 0},
	        {SEND, OK_EMPTY, 0},       {0, NULL, 0}};
	struct fetch f;
	struct rig r;

	rig_init(&r);
	refused(steps, &r, &f, LARDER_ECLOSED, cut[_i].proxy_error);
	ck_assert_int_eq(f.head_seen, cut[_i].head);
	ck_view_eq(buf_view(&f.body), cut[_i].body);
	fetch_fini(&f);
}
END_TEST

START_TEST(reset_in_a_body_that_ends_with_the_connection)
{
	const struct step steps[] = {{ACCEPT, NULL, 0}, {HEAD, NULL, 0},  {SEND, H200 "\r\nhel", 0},
	                             {AWAIT, NULL, 0},  {RESET, NULL, 0}, {0, NULL, 0}};
	struct script s;
	struct fetch f;
	struct rig r;

	script_start(&s, steps);
	rig_init(&r);
	rig_open(&r);
	fetch_init(&f, &r, s.port, NULL);
	fetch_start(&f);
	script_go(&s);
	rig_run(&r);
	fetch_ended(&f, LARDER_ECLOSED,
	            f.head_seen ? "http_response_incomplete" : "connection_terminated");
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

/* ---- Sizes ---- */

static const struct {
	const char *what;
	uint64_t fill; /* of one field's value */
	uint64_t limit;
} large[] = {
        {"above response_head_max", 70 * 1024, 64 * 1024},
        {"a line above a higher limit", 400 * 1024, 256 * 1024},
};

START_TEST(too_large)
{
	const struct step steps[] = {{ACCEPT, NULL, 0},     {HEAD, NULL, 0},
	                             {SEND, H200 "A: ", 0}, {FILL, NULL, large[_i].fill},
	                             {SEND, "\r\n\r\n", 0}, {FINISHED, NULL, 0},
	                             {0, NULL, 0}};
	struct script s;
	struct fetch f;
	struct rig r;

	script_start(&s, steps);
	rig_init(&r);
	r.options.response_head_max = large[_i].limit;
	rig_open(&r);
	fetch_init(&f, &r, s.port, NULL);
	fetch_run(&f);
	fetch_ended(&f, LARDER_EPROTO, "http_response_header_section_size");
	rig_close(&r);
	/* The origin may have been cut off while it sent. */
	pthread_join(s.thread, NULL);
	buf_fini(&s.got);
	fetch_fini(&f);
}
END_TEST

/* Within the limit a line may be as long as it likes. */
START_TEST(long_line)
{
	static const struct step steps[] = {
	        {ACCEPT, NULL, 0},   {HEAD, NULL, 0},
	        {SEND, H200 "A: ", 0}, {FILL, NULL, 200 * 1024},
	        {SEND, "\r\nContent-Length: 2\r\n\r\nhi", 0}, {FINISHED, NULL, 0},
	        {0, NULL, 0}};
	struct script s;
	struct fetch f;
	struct rig r;

	script_start(&s, steps);
	rig_init(&r);
	r.options.response_head_max = 256 * 1024;
	rig_open(&r);
	fetch_init(&f, &r, s.port, NULL);
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_gt(f.head.len, 200 * 1024);
	ck_view_eq(buf_view(&f.body), "hi");
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

START_TEST(too_many_fields)
{
	static const char answer[] =
	        H200 "A: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\nA: 6\r\nA: 7\r\nA: 8\r\nA: 9\r\n"
	             "A: 10\r\nA: 11\r\nA: 12\r\nA: 13\r\nA: 14\r\nA: 15\r\nA: "
	             "16\r\nContent-Length: 0\r\n\r\n";
	const struct step steps[] = {{ACCEPT, NULL, 0},   {HEAD, NULL, 0},   {SEND, answer, 0},
	                             {FINISHED, NULL, 0}, {ACCEPT, NULL, 0}, {HEAD, NULL, 0},
	                             {SEND, OK_EMPTY, 0}, {0, NULL, 0}};
	struct fetch f;
	struct rig r;

	rig_init(&r);
	r.options.response_fields_max = 16;
	refused(steps, &r, &f, LARDER_EPROTO, "http_response_header_section_size");
	fetch_fini(&f);
}
END_TEST

/* ---- Interim responses (RFC 9110 15.2) ---- */

#define HINTS "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

START_TEST(interims)
{
	const struct step steps[] = {
	        {ACCEPT, NULL, 0},
	        {HEAD, NULL, 0},
	        {SEND, "HTTP/1.1 100 Continue\r\n\r\n" HINTS "HTTP/1.1 199 \r\n\r\n" OK_EMPTY, 0},
	        {FINISHED, NULL, 0},
	        {0, NULL, 0}};
	struct script s;
	struct fetch f;
	struct rig r;

	script_start(&s, steps);
	rig_init(&r);
	rig_open(&r);
	fetch_init(&f, &r, s.port, NULL);
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(f.ninterims, 3);
	ck_view_eq(buf_view(&f.interims), "100 Continue\n103 Early Hints|Link: </a>\n199 ");
	ck_view_eq(buf_view(&f.head), "200 OK|Content-Length: 0");
	rig_close(&r);
	script_end(&s);
	fetch_fini(&f);
}
END_TEST

START_TEST(too_many_interims)
{
	const struct step steps[] = {
	        {ACCEPT, NULL, 0},   {HEAD, NULL, 0},   {SEND, HINTS HINTS HINTS OK_EMPTY, 0},
	        {FINISHED, NULL, 0}, {ACCEPT, NULL, 0}, {HEAD, NULL, 0},
	        {SEND, OK_EMPTY, 0}, {0, NULL, 0}};
	struct fetch f;
	struct rig r;

	rig_init(&r);
	r.options.interim_max = 2;
	refused(steps, &r, &f, LARDER_EPROTO, "http_protocol_error");
	ck_assert_uint_eq(f.ninterims, 2);
	fetch_fini(&f);
}
END_TEST

UNIT_MAIN("origin/response", tcase_add_loop_test(tc, taken, 0, ARRAY_LEN(good));
          tcase_add_loop_test(tc, broken, 0, ARRAY_LEN(bad));
          tcase_add_loop_test(tc, truncated, 0, ARRAY_LEN(cut));
          tcase_add_test(tc, reset_in_a_body_that_ends_with_the_connection);
          tcase_add_loop_test(tc, too_large, 0, ARRAY_LEN(large));
          tcase_add_test(tc, long_line);
          tcase_add_test(tc, too_many_fields); tcase_add_test(tc, interims);
          tcase_add_test(tc, too_many_interims);)
