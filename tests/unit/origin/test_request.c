/* Requests as they leave: byte-true, nothing added. */
#include <string.h>

#include "base/check.h"
#include "fetch.h"
#include "script.h"
#include "unit.h"

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define OK_EMPTY   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static const struct {
	const char *what, *method, *target;
	const char *const *lines;
	const char *body, *expect, *sent;
} requests[] = {
        {"order, case, repeats, spacing and obs-text are kept (RFC 9110 5.3, 5.5)", "GET", "/",
         LINES("X-b:  two ", "Host: a", "x-A:1", "X-b:\tthree", "X-T: caf\xe9", "accept:*/*"), NULL,
         NULL,
         "GET / HTTP/1.1\r\nHost: a\r\nX-b:  two \r\nx-A:1\r\nX-b:\tthree\r\nX-T: "
         "caf\xe9\r\naccept:*/*\r\n\r\n"},
        {"an empty value stays (RFC 9110 5.5)", "GET", "/",
         LINES("Host: a", "X:", "Accept: ", "Y:  "), NULL, NULL,
         "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nAccept: \r\nY:  \r\n\r\n"},
        {"Host is first, spelled as given (RFC 9112 3.2)", "GET", "/",
         LINES("A: 1", "hOST:  b.example:81"), NULL, NULL,
         "GET / HTTP/1.1\r\nhOST:  b.example:81\r\nA: 1\r\n\r\n"},
        {"an empty Host (RFC 9112 3.2)", "GET", "/", LINES("Host:"), NULL, NULL,
         "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
        {"no Accept, User-Agent, Content-Type or Expect is added", "POST", "/", LINES("Host: a"),
         "abc", NULL, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
        {"fields that libcurl knows", "GET", "/",
         LINES("Host: a", "User-Agent: u/1", "Cookie: c=1", "Authorization: Basic eDp5",
               "Range: bytes=0-", "Referer: r", "Content-Type: t", "If-None-Match: \"e\""),
         NULL, NULL,
         "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: u/1\r\nCookie: c=1\r\nAuthorization: Basic "
         "eDp5\r\n"
         "Range: bytes=0-\r\nReferer: r\r\nContent-Type: t\r\nIf-None-Match: \"e\"\r\n\r\n"},
        {"Content-Length keeps its place if it is right (RFC 9110 8.6)", "PUT", "/",
         LINES("Host: a", "content-length:3", "B: 1"), "abc", NULL,
         "PUT / HTTP/1.1\r\nHost: a\r\ncontent-length:3\r\nB: 1\r\n\r\nabc"},
        {"a wrong one is replaced (RFC 9112 6.3)", "PUT", "/",
         LINES("Host: a", "Content-Length: 4", "Content-Length: 3", "Transfer-Encoding: gzip"),
         "abc", NULL, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
        {"without a body only a 0 is right (RFC 9110 8.6)", "POST", "/",
         LINES("Host: a", "Content-Length: 5"), NULL, NULL, "POST / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"and that one is kept", "POST", "/", LINES("Host: a", "Content-Length: 0"), NULL, NULL,
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
        {"an empty body is said to be one", "POST", "/", LINES("Host: a"), "", NULL,
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
        {"GET with a body (RFC 9110 9.3.1)", "GET", "/", LINES("Host: a"), "abc", NULL,
         "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
        {"HEAD with a body (RFC 9110 9.3.2)", "HEAD", "/", LINES("Host: a"), "abc", NULL,
         "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
        {"HEAD", "HEAD", "/x", LINES("Host: a"), NULL, NULL, "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"other methods, case kept (RFC 9110 9.1)", "pUrGe", "/", LINES("Host: a"), NULL, NULL,
         "pUrGe / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"OPTIONS * (RFC 9112 3.2.4)", "OPTIONS", "*", LINES("Host: a"), NULL, NULL,
         "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"targets are not tidied (RFC 9112 3.2.1)", "GET", "//a/../b/./c//%zz%2f[|]\xff?q=../#",
         LINES("Host: a"), NULL, NULL,
         "GET //a/../b/./c//%zz%2f[|]\xff?q=../# HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"absolute-form (RFC 9112 3.2.2)", "GET", "http://x.example/y", LINES("Host: x.example"),
         NULL, NULL, "GET http://x.example/y HTTP/1.1\r\nHost: x.example\r\n\r\n"},
        {"Expect is passed on and not waited for (RFC 9110 10.1.1)", "POST", "/",
         LINES("Host: a", "Expect: 200-maybe"), "abc", "Expect: 100-continue",
         "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"},
};

START_TEST(bytes)
{
	const char *body = requests[_i].body;
	const struct step steps[] = {{ACCEPT, NULL, 0},
	                             {HEAD, NULL, 0},
	                             {body && *body ? READ : TELL, NULL, body ? strlen(body) : 0},
	                             {SEND, OK_EMPTY, 0},
	                             {FINISHED, NULL, 0},
	                             {0, NULL, 0}};
	struct script s;
	struct fetch f;
	struct rig r;

	script_start(&s, steps);
	rig_init(&r);
	rig_open(&r);
	fetch_init(&f, &r, s.port, requests[_i].lines);
	f.req.method = view_of(requests[_i].method);
	f.req.target = view_of(requests[_i].target);
	f.req.has_body = body != NULL;
	f.upload = view_of(body);
	f.req.length = f.upload.len;
	f.req.expect = view_of(requests[_i].expect);
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_assert_uint_eq(f.status, 200);
	rig_close(&r);
	pthread_join(s.thread, NULL);
	script_got(&s, requests[_i].sent);
	ck_assert_ptr_null(s.fault);
	buf_fini(&s.got);
	fetch_fini(&f);
}
END_TEST

UNIT_MAIN("origin/request", tcase_add_loop_test(tc, bytes, 0, ARRAY_LEN(requests));)
