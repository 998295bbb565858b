/* One request and its answer: framing, statuses, persistence. */
#include "server.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

/* Request → all that comes back on a connection whose client has ended its side. */
static const struct {
	const char *section, *request, *answer;
} rows[] = {
        {"RFC 9112 §9.3: 1.1 persists", "GET /hit/3 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\nabc"},
        {"RFC 9112 §9.6: close asked for",
         "GET /hit/3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"},
        {"RFC 9112 §9.3: 1.0 closes", "GET /hit/3 HTTP/1.0\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"},
        {"RFC 9112 §9.3: 1.0 with keep-alive",
         "GET /hit/3 HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc"},
        {"RFC 9110 §9.3.2: HEAD has no body", "HEAD /hit/3 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\n"},
        {"RFC 9112 §6.3: HEAD of unknown length", "HEAD /flow/3 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\n\r\n"},
        {"RFC 9110 §15.3.5: 204", "GET /empty/204 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 204 X\r\n\r\n"},
        {"RFC 9112 §7.1: unknown length is chunked", "GET /flow/5 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"},
        {"RFC 9110 §6.5.1: trailers for who asked",
         "GET /flow/5 HTTP/1.1\r\nHost: h\r\nTE: trailers\r\n\r\n",
         "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX-Trailer: "
         "yes\r\n\r\n"},
        {"RFC 9112 §7.1: an empty body", "GET /flow/0 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"RFC 9112 §6.1: no chunks for 1.0",
         "GET /flow/5 HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
         "HTTP/1.1 200 X\r\nConnection: close\r\n\r\nabcde"},
        {"RFC 9112 §6.2: known length", "GET /known/5 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nabcde"},
        {"a file", "GET /file/5 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nabcde"},
        {"a file in chunks", "GET /fileflow/5 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"},
        {"answered later", "GET /late/3 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 3\r\n\r\nabc"},
        {"RFC 9112 §9.3.2: pipelined, in order",
         "GET /late/1 HTTP/1.1\r\nHost: h\r\n\r\nGET /hit/2 HTTP/1.1\r\nHost: h\r\n\r\n"
         "GET /flow/3 HTTP/1.1\r\nHost: h\r\n\r\nGET /late/4 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nab"
         "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
         "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nabcd"},
        {"RFC 9112 §9.6: nothing after close",
         "GET /hit/1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /hit/2 HTTP/1.1\r\nHost: "
         "h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 1\r\nConnection: close\r\n\r\na"},
        {"RFC 9112 §6.2: a body by length",
         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
         "HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nhello"},
        {"RFC 9112 §3.2.2: absolute-form beats Host",
         "GET http://a/hit/1 HTTP/1.1\r\nHost: b\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\na"},
        {"RFC 9110 §8.6: a body of no bytes",
         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n"},
        {"RFC 9112 §7.1: a body in chunks",
         "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 5\r\n\r\nhello"},
        {"RFC 9112 §9.3.2: a request behind a body",
         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET /hit/1 "
         "HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 X\r\nContent-Length: "
         "1\r\n\r\na"},
        {"RFC 9112 §9.3.2: a request behind chunks",
         "POST /hold/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
         "chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
         "GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 X\r\nContent-Length: "
         "1\r\n\r\na"},
        {"RFC 9112 §9.3: a body here and unread is skipped",
         "POST /early/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhiGET /hit/2 "
         "HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 X\r\nContent-Length: "
         "2\r\n\r\nab"},
        {"RFC 9112 §9.3: a body unread and not here: close",
         "POST /early/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhi",
         "HTTP/1.1 200 X\r\nContent-Length: 1\r\nConnection: close\r\n\r\na"},
        {"RFC 9110 §15.2: interim answers", "GET /hints/1 HTTP/1.1\r\nHost: h\r\n\r\n",
         "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 X\r\nContent-Length: "
         "1\r\n\r\na"},
        {"RFC 9110 §15.2: none for 1.0", "GET /hints/1 HTTP/1.0\r\nHost: h\r\n\r\n",
         "HTTP/1.1 200 X\r\nContent-Length: 1\r\nConnection: close\r\n\r\na"},
        {"RFC 9110 §10.1.1: 100 for who expects it",
         "POST /continue HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
         "2\r\n\r\nhi",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nhi"},
        {"RFC 9110 §10.1.1: and for nobody else",
         "POST /continue HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi",
         "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nhi"},
        {"RFC 9110 §10.1.1: nor for 1.0",
         "POST /continue HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
         "2\r\n\r\nhi",
         "HTTP/1.1 200 X\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"},
        {"RFC 9110 §9.3.6: CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\nopaque",
         "HTTP/1.1 200 X\r\n\r\ntunnel:opaque"},
        {"RFC 9110 §7.8: Upgrade",
         "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: "
         "websocket\r\n\r\nopaque",
         "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\ntunnel:opaque"},
        {"RFC 9112 §8: a head cut off", "GET /hit/1 HTTP/1.1\r\nHos", ""},
        {"RFC 9112 §8: a body cut off",
         "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhel", ""},
        {"nothing at all", "", ""},
};

START_TEST(requests_get_their_answers)
{
	struct buf got;

	server_start();
	ask(rows[_i].request, &got);
	ck_assert_msg(view_eq(buf_view(&got), view_of(rows[_i].answer)), "%s:\n%.*s\nexpected:\n%s",
	              rows[_i].section, VFMT(buf_view(&got)), rows[_i].answer);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* The same, byte by byte, in one run for all rows. */
START_TEST(split_bytes_change_nothing)
{
	server_start();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *section = rows[i].section;
		int fd = peer_connect();
		struct buf got;

		/* Whether a body is here when the answer begins depends on the pace. */
		if (strstr(section, "unread") || strstr(section, "nothing after close") ||
		    strstr(section, "100 for who") || strstr(section, "CONNECT") ||
		    strstr(section, "Upgrade")) {
			close(fd);
			continue;
		}
		buf_init(&got, 65536);
		for (const char *p = rows[i].request; *p; p++)
			peer_send(fd, view_make(p, 1));
		shutdown(fd, SHUT_WR);
		peer_read_all(fd, &got, NULL);
		ck_assert_msg(view_eq(buf_view(&got), view_of(rows[i].answer)),
		              "%s:\n%.*s\nexpected:\n%s", section, VFMT(buf_view(&got)),
		              rows[i].answer);
		buf_fini(&got);
		close(fd);
	}
	server_stop();
}
END_TEST

/* Requests that never reach the exchange. */
static const struct {
	const char *section, *request;
	unsigned status;
} faults[] = {
        {"RFC 9112 §3", "nonsense\r\n\r\n", 400},
        {"RFC 9112 §3.2", "GET / HTTP/1.1\r\n\r\n", 400},
        {"RFC 9112 §3.2", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
        {"RFC 9112 §3.2.2", "GET http://a/ HTTP/1.1\r\nHost: b/\r\n\r\n", 400},
        {"RFC 9112 §5.1", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"RFC 9112 §6.1",
         "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"RFC 9112 §6.1", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
         501},
        {"RFC 9110 §15.6.6", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
        {"RFC 9110 §9.3.6", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 3\r\n\r\nabc",
         400},
        {"RFC 9110 §15.5.14", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413},
        {"RFC 9112 §7.1",
         "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"RFC 9110 §15.5.14",
         "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n"
         "12345678901234567890123456789012345678901234567890\r\n33\r\n"
         "123456789012345678901234567890123456789012345678901\r\n0\r\n\r\n",
         413},
        {"RFC 9110 §15.6.4", "GET /none HTTP/1.1\r\nHost: a\r\n\r\n", 503},
};

START_TEST(faults_are_answered_and_closed)
{
	char want[32], end[64];
	struct fake_counts c;
	struct buf got;

	options.request_body_max = 100;
	server_start();
	ask(faults[_i].request, &got);
	snprintf(want, sizeof(want), "HTTP/1.1 %u ", faults[_i].status);
	ck_assert_msg(view_starts(buf_view(&got), view_of(want)), "%s: %.*s, expected %u",
	              faults[_i].section, VFMT(buf_view(&got)), faults[_i].status);
	snprintf(end, sizeof(end), "\r\nConnection: close\r\n\r\n");
	ck_assert_ptr_nonnull(strstr(buf_cstr(&got), end));
	fake_counts(&c);
	ck_assert_uint_eq(c.refused + c.ended, 1);
	if (c.refused)
		ck_assert_uint_eq(c.last_refused, faults[_i].status);
	ck_assert_uint_eq(c.bodies_aborted, c.ended);
	buf_fini(&got);
	server_stop();
}
END_TEST

static void repeat(struct buf *out, const char *text, int n)
{
	for (int i = 0; i < n; i++)
		buf_addv(out, view_of(text));
}

static void ask_buf(struct buf *request, const char *status)
{
	struct buf got;

	ask(buf_cstr(request), &got);
	ck_assert_msg(view_starts(buf_view(&got), view_of(status)), "%.40s, expected %s",
	              buf_cstr(&got), status);
	buf_fini(&got);
	buf_reset(request);
}

START_TEST(heads_have_limits)
{
	struct buf r;

	server_start();
	buf_init(&r, 1 << 20);
	/* RFC 9112 §3: the line; 414. */
	repeat(&r, "GET /", 1);
	repeat(&r, "a", 2000);
	repeat(&r, " HTTP/1.1\r\nHost: h\r\n\r\n", 1);
	ask_buf(&r, "HTTP/1.1 414 ");
	/* RFC 6585 §5: the fields together; 431. */
	repeat(&r, "GET /hit/1 HTTP/1.1\r\nHost: h\r\nA: ", 1);
	repeat(&r, "a", 20000);
	repeat(&r, "\r\n\r\n", 1);
	ask_buf(&r, "HTTP/1.1 431 ");
	/* The number of fields; 431. */
	repeat(&r, "GET /hit/1 HTTP/1.1\r\nHost: h\r\n", 1);
	repeat(&r, "A: b\r\n", 32);
	repeat(&r, "\r\n", 1);
	ask_buf(&r, "HTTP/1.1 431 ");
	/* Just within: more than the first buffer. */
	repeat(&r, "GET /hit/1 HTTP/1.1\r\nHost: h\r\nA: ", 1);
	repeat(&r, "a", 15000);
	repeat(&r, "\r\n\r\n", 1);
	ask_buf(&r, "HTTP/1.1 200 ");
	buf_fini(&r);
	server_stop();
}
END_TEST

static void check_body(struct view body, uint64_t n)
{
	ck_assert_uint_eq(body.len, n);
	for (uint64_t i = 0; i < n; i++) {
		if (body.ptr[i] != fake_byte(i))
			ck_abort_msg("byte %llu is wrong", (unsigned long long)i);
	}
}

static struct view after_head(struct buf *b)
{
	const char *end = memmem(b->data, b->len, "\r\n\r\n", 4);

	ck_assert_ptr_nonnull(end);
	return view_from(buf_view(b), (size_t)(end + 4 - b->data));
}

/* Larger than any socket buffer: the client reads late, every way of sending has to wait. */
START_TEST(large_answers_wait_for_room)
{
	static const struct {
		const char *path;
		bool http10, copies;
	} ways[] = {{"hit", false, false},  {"known", false, false}, {"flow", true, false},
	            {"file", false, false}, {"file", false, true},   {"fileflow", true, false}};
	uint64_t n = strcmp(ways[_i].path, "hit") == 0 ? 3000000 : 12000000;
	struct fake_counts c;
	char request[128];
	struct buf got;
	int fd;

	options.send_files = ways[_i].copies ? 1 : 0;
	server_start();
	snprintf(request, sizeof(request), "GET /%s/%llu HTTP/1.%d\r\nHost: h\r\n\r\n",
	         ways[_i].path, (unsigned long long)n, !ways[_i].http10);
	peer_rcvbuf = 8192;
	fd = peer_connect();
	buf_init(&got, 64UL * 1024 * 1024);
	peer_send(fd, view_of(request));
	shutdown(fd, SHUT_WR);
	peer_read(fd, 10, &got);
	peer_read_all(fd, &got, NULL);
	check_body(after_head(&got), n);
	wait_for((fake_counts(&c), c.ended == 1));
	ck_assert_uint_eq(c.body_bytes, n);
	ck_assert_uint_eq(c.bytes, got.len);
	ck_assert_uint_eq(c.aborted, 0);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* What was asked for together is answered together, as far as it is small, and counted right. */
START_TEST(pipelined_answers_leave_together)
{
	static const unsigned sizes[][8] = {{1, 2, 3, 1000, 1000, 1000, 1, 7000},
	                                    {1, 9000, 1, 1, 300000, 5, 8000, 8000}};
	struct fake_counts c;
	struct buf text, got, want;
	char line[128];
	ssize_t n;
	int fd;

	server_start();
	buf_init(&text, 65536);
	buf_init(&got, 1 << 20);
	buf_init(&want, 1 << 20);
	for (unsigned i = 0; i < 8; i++) {
		unsigned size = sizes[_i][i];

		snprintf(line, sizeof(line), "GET /hit/%u HTTP/1.1\r\nHost: h\r\n\r\n", size);
		buf_addv(&text, view_of(line));
		snprintf(line, sizeof(line), "HTTP/1.1 200 X\r\nContent-Length: %u\r\n\r\n", size);
		buf_addv(&want, view_of(line));
		for (unsigned k = 0; k < size; k++)
			buf_addc(&want, fake_byte(k));
	}
	/* The beginning of another one must not keep them back. */
	BUF_ADD_LIT(&text, "GET /hit/");
	fd = peer_connect();
	peer_send(fd, buf_view(&text));
	ck_assert_int_eq(buf_reserve(&got, want.len), 0);
	while (got.len < want.len) {
		n = recv(fd, got.data + got.len, want.len - got.len, 0);
		ck_assert_int_gt(n, 0);
		/* By one call. */
		if (_i == 0)
			ck_assert_uint_eq((size_t)n, want.len);
		got.len += (size_t)n;
	}
	ck_assert_int_eq(memcmp(got.data, want.data, want.len), 0);
	fake_counts(&c);
	ck_assert_uint_eq(c.ended, 8);
	ck_assert_uint_eq(c.bytes, want.len);
	ck_assert_uint_eq(c.aborted, 0);
	shutdown(fd, SHUT_WR);
	got.len = 0;
	peer_read_all(fd, &got, NULL);
	ck_assert_uint_eq(got.len, 0);
	close(fd);
	buf_fini(&text);
	buf_fini(&got);
	buf_fini(&want);
	server_stop();
}
END_TEST

/* A client that takes nothing while its answers pile up, and has ended its side: it gets all of them. */
START_TEST(gathered_answers_wait_for_room)
{
	struct buf text, got;
	int fd;

	server_start();
	buf_init(&text, 1 << 20);
	buf_init(&got, 64 << 20);
	for (unsigned i = 0; i < 2000; i++)
		BUF_ADD_LIT(&text, "GET /hit/8000 HTTP/1.1\r\nHost: h\r\n\r\n");
	peer_rcvbuf = 4096;
	fd = peer_connect();
	peer_send(fd, buf_view(&text));
	shutdown(fd, SHUT_WR);
	peer_read_all(fd, &got, NULL);
	ck_assert_uint_eq(got.len, 2000 * (8000 + strlen("HTTP/1.1 200 X\r\nContent-Length: 8000\r\n\r\n")));
	close(fd);
	buf_fini(&text);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* Calls of recv by either side: a loop that spins on a connection's end makes thousands of them. */
static unsigned recvs;

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
	__atomic_add_fetch(&recvs, 1, __ATOMIC_RELAXED);
	return __real_recv(fd, buf, len, flags);
}

/* Pipelines until the socket takes no more of what was gathered, with half a head behind. The bytes to come. */
static size_t fill_gathered(int fd)
{
	static const char batch[] = "T /hit/8000 HTTP/1.1\r\nHost: h\r\n\r\n"
	                            "GET /hit/8000 HTTP/1.1\r\nHost: h\r\n\r\nGE";
	size_t each = 2 * (8000 + strlen("HTTP/1.1 200 X\r\nContent-Length: 8000\r\n\r\n"));
	struct fake_counts c;

	peer_send(fd, V("GE"));
	for (unsigned n = 1; n < 5000; n++) {
		peer_send(fd, view_make(batch, sizeof(batch) - 1));
		wait_for((fake_counts(&c), c.ended == 2 * n));
		for (int i = 0; i < 200 && stat_get(&stats.bytes_out) < n * each; i++)
			usleep(1000);
		if (stat_get(&stats.bytes_out) < n * each)
			return n * each;
	}
	ck_abort_msg("the socket takes everything");
	return 0;
}

/* Answers wait for a client that reads late. 0: it has ended its side, which must not keep the loop busy; 1: it
 * has not, and its next head is late: it is told so behind them. */
START_TEST(gathered_answers_outwait_ends_and_late_heads)
{
	unsigned before;
	struct buf got;
	size_t want;
	int fd;

	if (_i)
		options.idle_timeout = options.head_timeout = 200;
	server_start();
	buf_init(&got, 64 << 20);
	peer_rcvbuf = 4096;
	fd = peer_connect();
	want = fill_gathered(fd);
	if (_i) {
		wait_for(stat_get(&stats.timeouts_head) == 1);
	} else {
		shutdown(fd, SHUT_WR);
		usleep(50000);
		before = __atomic_load_n(&recvs, __ATOMIC_RELAXED);
		usleep(200000);
		ck_assert_uint_le(__atomic_load_n(&recvs, __ATOMIC_RELAXED) - before, 5);
	}
	peer_read_all(fd, &got, NULL);
	ck_assert_uint_ge(got.len, want);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

START_TEST(large_chunked_answers_decode)
{
	struct http_chunked ch;
	struct http_fault fault;
	struct buf got, body;
	struct view in, data;

	server_start();
	ask(_i ? "GET /fileflow/5000000 HTTP/1.1\r\nHost: h\r\n\r\n"
	       : "GET /flow/5000000 HTTP/1.1\r\nHost: h\r\n\r\n",
	    &got);
	in = after_head(&got);
	http_chunked_init(&ch, 1024);
	buf_init(&body, 8000000);
	while (http_chunked_next(&ch, &in, &data, &fault) > 0)
		buf_addv(&body, data);
	ck_assert(ch.done);
	ck_assert_uint_eq(in.len, 0);
	check_body(buf_view(&body), 5000000);
	http_chunked_fini(&ch);
	buf_fini(&body);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* A body larger than all buffers, to an exchange that takes it slowly. */
START_TEST(large_requests_wait_for_room)
{
	size_t n = 3000000;
	struct buf request, got;
	int fd;

	server_start();
	buf_init(&request, n + 1000);
	buf_init(&got, n + 1000);
	buf_printf(&request,
	           "POST /hold/20000 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: "
	           "%zu\r\n\r\n",
	           n);
	for (size_t i = 0; i < n; i++)
		buf_addc(&request, fake_byte(i));
	fd = peer_connect();
	peer_send(fd, buf_view(&request));
	peer_read_all(fd, &got, NULL);
	check_body(after_head(&got), n);
	close(fd);
	buf_fini(&request);
	buf_fini(&got);
	server_stop();
}
END_TEST

/* RFC 9112 §8: what breaks off must not look complete. */
START_TEST(broken_answers_look_broken)
{
	static const struct {
		const char *request;
		bool reset; /* only a reset tells */
	} ways[] = {{"GET /short/100 HTTP/1.1\r\nHost: h\r\n\r\n", false},
	            {"GET /long/100 HTTP/1.1\r\nHost: h\r\n\r\n", false},
	            {"GET /break/100 HTTP/1.1\r\nHost: h\r\n\r\n", false},
	            {"GET /break/100 HTTP/1.0\r\nHost: h\r\n\r\n", true}};
	struct fake_counts c;
	struct buf got;
	bool reset;
	int fd;

	server_start();
	fd = peer_connect();
	buf_init(&got, 65536);
	peer_send(fd, view_of(ways[_i].request));
	peer_read_all(fd, &got, &reset);
	ck_assert(reset || !ways[_i].reset);
	ck_assert_ptr_null(strstr(buf_cstr(&got), "\r\n0\r\n\r\n"));
	if (strstr(got.data, "Content-Length"))
		ck_assert_uint_lt(after_head(&got).len, 100);
	fake_counts(&c);
	ck_assert_uint_eq(c.aborted, 1);
	close(fd);
	buf_fini(&got);
	server_stop();
}
END_TEST

UNIT_MAIN("client/session", tcase_add_checked_fixture(tc, options_default, NULL);
          tcase_add_loop_test(tc, requests_get_their_answers, 0, ARRAY_LEN(rows));
          tcase_add_test(tc, split_bytes_change_nothing);
          tcase_add_loop_test(tc, faults_are_answered_and_closed, 0, ARRAY_LEN(faults));
          tcase_add_test(tc, heads_have_limits);
          tcase_add_loop_test(tc, large_answers_wait_for_room, 0, 6);
          tcase_add_loop_test(tc, pipelined_answers_leave_together, 0, 2);
          tcase_add_test(tc, gathered_answers_wait_for_room);
          tcase_add_loop_test(tc, gathered_answers_outwait_ends_and_late_heads, 0, 2);
          tcase_add_loop_test(tc, large_chunked_answers_decode, 0, 2);
          tcase_add_test(tc, large_requests_wait_for_room);
          tcase_add_loop_test(tc, broken_answers_look_broken, 0, 4);)
