/* https: certificates, HTTP/1.1 and HTTP/2 with a real server, Upgrade over TLS. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "fetch.h"
#include "script.h"
#include "tls.h"
#include "unit.h"

static const char *const lines[] = {"Host: localhost", "X-Up: yes", NULL};

static void prepare(struct rig *r, struct tls_site *site, bool h2)
{
	rig_init(r);
	r->options.origin_http2 = h2;
	free(r->options.ca_file);
	r->options.ca_file = strdup(site->cert);
	rig_open(r);
}

static void aim(struct fetch *f, struct rig *r, uint16_t port, const char *target)
{
	fetch_init(f, r, port, lines);
	f->req.scheme = HTTP_SCHEME_HTTPS;
	f->req.host = V("localhost");
	f->req.target = view_of(target);
}

static const struct {
	const char *what, *method, *target, *upload;
	bool chunked;
	unsigned status, pause_every;
	const char *body; /* NULL: 1 MiB of 'x' */
} rows[] = {
        {"GET", "GET", "/hello", NULL, false, 200, 0, "hello"},
        {"HEAD", "HEAD", "/hello", NULL, false, 200, 0, ""},
        {"HEAD of a large one", "HEAD", "/1m", NULL, false, 200, 0, ""},
        {"204", "GET", "/none", NULL, false, 204, 0, ""},
        {"404", "HEAD", "/missing", NULL, false, 404, 0, ""},
        {"a large body", "GET", "/1m", NULL, false, 200, 0, NULL},
        {"with pauses", "GET", "/1m", NULL, false, 200, 3, NULL},
        {"POST", "POST", "/length", "abcde", false, 200, 0, "POST 5"},
        {"POST of unknown length", "POST", "/length", "abcde", true, 200, 0, "POST 5"},
        {"GET with a body", "GET", "/length", "abcde", false, 200, 0, "GET 5"},
};

static void check_body(const struct fetch *f, const char *body)
{
	if (body) {
		ck_view_eq(buf_view(&f->body), body);
		return;
	}
	ck_assert_uint_eq(f->body.len, 1 << 20);
	ck_assert(f->body.data[0] == 'x' &&
	          memcmp(f->body.data, f->body.data + 1, f->body.len - 1) == 0);
}

/* All rows on one connection, over HTTP/1.1 and over HTTP/2. */
START_TEST(with_nginx)
{
	struct tls_site site;
	struct fetch f;
	struct rig r;

	tls_site_open(&site);
	tls_site_nginx(&site);
	prepare(&r, &site, _i);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		aim(&f, &r, site.port, rows[i].target);
		f.req.method = view_of(rows[i].method);
		f.upload = view_of(rows[i].upload);
		f.req.has_body = rows[i].upload != NULL;
		f.req.length = rows[i].chunked ? HTTP_LENGTH_UNKNOWN : f.upload.len;
		f.upload_piece = 2;
		f.upload_waits = 1;
		f.pause_every = rows[i].pause_every;
		fetch_run(&f);
		ck_assert_msg(f.err == 0, "%s: %s", rows[i].what, f.detail);
		ck_assert_uint_eq(f.status, rows[i].status);
		ck_assert_int_eq(f.info.h2, _i);
		ck_assert_int_eq(f.info.reused, i > 0);
		check_body(&f, rows[i].body);
		if (strcmp(rows[i].target, "/hello") == 0) {
			ck_assert(view_starts(buf_view(&f.head), V("200 OK|")));
			ck_assert_ptr_nonnull(memmem(f.head.data, f.head.len,
			                             _i ? "|x-up: yes" : "|X-Up: yes", 10));
			ck_assert_uint_eq(f.length, 5);
		}
		fetch_fini(&f);
	}
	ck_assert_uint_eq(r.stats.connects, 1);
	ck_assert_uint_eq(r.stats.desyncs, 0);
	rig_close(&r);
	tls_site_close(&site);
}
END_TEST

/* Streams of one HTTP/2 connection: a paused one does not hold up the others. */
START_TEST(streams)
{
	struct fetch f[10], paused;
	struct tls_site site;
	struct rig r;

	tls_site_open(&site);
	tls_site_nginx(&site);
	prepare(&r, &site, true);
	aim(&paused, &r, site.port, "/1m");
	paused.hold = true;
	fetch_run(&paused);
	ck_assert_uint_eq(paused.datas, 1);
	r.running = 0;
	for (unsigned i = 0; i < ARRAY_LEN(f); i++) {
		aim(&f[i], &r, site.port, i % 2 ? "/hello" : "/1m");
		fetch_start(&f[i]);
	}
	rig_run(&r);
	for (unsigned i = 0; i < ARRAY_LEN(f); i++) {
		fetch_ended(&f[i], 0, NULL);
		check_body(&f[i], i % 2 ? "hello" : NULL);
		fetch_fini(&f[i]);
	}
	ck_assert_uint_eq(r.stats.connects, 1);
	/* Cancelling one of them leaves the connection to the others. */
	origin_cancel(paused.transfer);
	aim(&f[0], &r, site.port, "/hello");
	fetch_run(&f[0]);
	fetch_ended(&f[0], 0, NULL);
	ck_assert(f[0].info.reused);
	ck_assert_uint_eq(paused.dones, 0);
	fetch_fini(&f[0]);
	fetch_fini(&paused);
	rig_close(&r);
	tls_site_close(&site);
}
END_TEST

/* Many at once that end in all ways, started from one another's ends: nothing may be left or
 * touched twice. The sanitizers judge. */
enum { STORM = 240 };

START_TEST(storm)
{
	static const char *const targets[] = {"/hello", "/1m", "/none", "/length", "/missing"};
	static const int cancels[] = {CANCEL_NEVER, CANCEL_HEAD, CANCEL_NEVER, CANCEL_DATA,
	                              CANCEL_NEVER, CANCEL_BODY, CANCEL_NEVER, CANCEL_ADDRESS};
	static struct fetch f[STORM];
	struct tls_site site;
	struct rig r;

	tls_site_open(&site);
	tls_site_nginx(&site);
	prepare(&r, &site, _i);
	for (unsigned i = 0; i < STORM; i++) {
		aim(&f[i], &r, site.port, targets[i % ARRAY_LEN(targets)]);
		f[i].cancel = cancels[i % ARRAY_LEN(cancels)];
		f[i].pause_every = i % 7 > 1 ? i % 7 : 0;
		f[i].upload = V("some bytes");
		f[i].upload_piece = i % 4;
		f[i].upload_waits = i % 3;
		f[i].req.has_body = i % ARRAY_LEN(targets) == 3;
		f[i].req.length = i % 2 ? HTTP_LENGTH_UNKNOWN : f[i].upload.len;
		fetch_start(&f[i]);
		if (i % 11 == 10) {
			origin_cancel(f[i].transfer);
			f[i].cancel = CANCEL_HEAD;
			r.running--;
		}
	}
	rig_run(&r);
	for (unsigned i = 0; i < STORM; i++) {
		if (f[i].cancel == CANCEL_NEVER)
			fetch_ended(&f[i], 0, NULL);
		ck_assert_uint_le(f[i].dones, 1);
		fetch_fini(&f[i]);
	}
	rig_close(&r);
	tls_site_close(&site);
}
END_TEST

static const struct {
	const char *what, *host;
	bool own_ca, verify;
	int err;
	const char *proxy_error;
} certificates[] = {
        {"good", "localhost", true, true, 0, NULL},
        {"unknown authority (RFC 9110 4.3.4)", "localhost", false, true, LARDER_ETLS,
         "tls_certificate_error"},
        {"another name (RFC 9110 4.3.4)", "127.0.0.1", true, true, LARDER_ETLS,
         "tls_certificate_error"},
        {"unknown, but not verified", "127.0.0.1", false, false, 0, NULL},
};

START_TEST(certificate)
{
	struct tls_site site;
	struct fetch f;
	struct rig r;

	tls_site_open(&site);
	tls_site_nginx(&site);
	rig_init(&r);
	r.options.tls_verify = certificates[_i].verify;
	if (certificates[_i].own_ca) {
		free(r.options.ca_file);
		r.options.ca_file = strdup(site.cert);
	}
	rig_open(&r);
	aim(&f, &r, site.port, "/hello");
	f.req.host = view_of(certificates[_i].host);
	fetch_run(&f);
	fetch_ended(&f, certificates[_i].err, certificates[_i].proxy_error);
	ck_assert_uint_eq(r.stats.errors_tls, certificates[_i].err != 0);
	fetch_fini(&f);
	rig_close(&r);
	tls_site_close(&site);
}
END_TEST

START_TEST(not_tls)
{
	static const struct step steps[] = {{ACCEPT, NULL, 0},
	                                    {SEND, "HTTP/1.1 400 Bad\r\n\r\n", 0},
	                                    {FINISHED, NULL, 0},
	                                    {0, NULL, 0}};
	struct tls_site site;
	struct script s;
	struct fetch f;
	struct rig r;

	tls_site_open(&site);
	script_start(&s, steps);
	prepare(&r, &site, true);
	aim(&f, &r, s.port, "/");
	fetch_run(&f);
	fetch_ended(&f, LARDER_ETLS, "tls_protocol_error");
	fetch_fini(&f);
	rig_close(&r);
	script_end(&s);
	tls_site_close(&site);
}
END_TEST

/* ---- Upgrade over TLS, and answers that TLS does not end properly ---- */

#define SWITCH "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"

static void expect_stream(struct net_stream *st, const char *text)
{
	struct pollfd p = {.fd = st->fd, .events = POLLIN};
	size_t len = 0, want = strlen(text);
	char got[100];

	while (len < want) {
		ssize_t n = st->ops->read(st->arg, got + len, want - len);

		if (n == LARDER_EAGAIN) {
			ck_assert_int_eq(poll(&p, 1, 10000), 1);
			continue;
		}
		ck_assert_int_gt(n, 0);
		len += (size_t)n;
	}
	ck_view_eq(view_make(got, len), text);
}

START_TEST(upgrade)
{
	struct tls_site site;
	struct tls_echo echo;
	struct fetch f;
	struct rig r;

	tls_site_open(&site);
	tls_echo_start(&echo, &site, _i ? SWITCH "early" : SWITCH);
	prepare(&r, &site, true);
	aim(&f, &r, echo.port, "/");
	f.req.upgrade = V("x");
	fetch_run(&f);
	ck_assert_uint_eq(f.switches, 1);
	ck_assert(!f.info.h2);
	ck_assert_ptr_nonnull(f.stream.ops);
	expect_stream(&f.stream, _i ? "early" : "");
	ck_assert_int_eq(f.stream.ops->write(f.stream.arg, "ping", 4), 4);
	expect_stream(&f.stream, "ping");
	f.stream.ops->close(f.stream.arg);
	fetch_fini(&f);
	rig_close(&r);
	tls_echo_end(&echo);
	tls_site_close(&site);
}
END_TEST

/* Bytes after the answer are never the next answer, under TLS neither. */
START_TEST(more_than_the_answer)
{
	struct tls_site site;
	struct tls_echo echo;
	struct fetch f;
	struct rig r;

	tls_site_open(&site);
	tls_echo_start(&echo, &site,
	               "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 "
	               "OK\r\nContent-Length: 6\r\n\r\npoison");
	prepare(&r, &site, false);
	aim(&f, &r, echo.port, "/");
	fetch_run(&f);
	fetch_ended(&f, 0, NULL);
	ck_view_eq(buf_view(&f.body), "hi");
	/* The server goes on until its connection is closed, and takes no other. */
	tls_echo_end(&echo);
	fetch_fini(&f);
	rig_close(&r);
	tls_site_close(&site);
}
END_TEST

UNIT_MAIN("origin/tls", tcase_add_loop_test(tc, with_nginx, 0, 2); tcase_add_test(tc, streams);
          tcase_add_loop_test(tc, storm, 0, 2);
          tcase_add_loop_test(tc, certificate, 0, ARRAY_LEN(certificates));
          tcase_add_test(tc, not_tls); tcase_add_loop_test(tc, upgrade, 0, 2);
          tcase_add_test(tc, more_than_the_answer);)
