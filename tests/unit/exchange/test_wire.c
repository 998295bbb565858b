/* What goes over the wire: fields made, kept and dropped; invalidation; tunnels. */
#include "rig.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

#define FRESH "Cache-Control: max-age=60\r\n"

/* RFC 9110 §7.6.1, §8.6: what interim responses must not carry on. */
START_TEST(interim_heads)
{
	struct peer p = {0};

	peer_get(&p, "");
	far_interim(0, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
	               "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n");
	ck_view_eq(buf_view(&p.interims), "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n");
	peer_fini(&p);
}
END_TEST

/* RFC 9110 §6.5.1 */
START_TEST(trailers)
{
	struct peer p = {0};

	peer_get(&p, "TE: trailers\r\n");
	ck_assert_int_eq(far_head(0, OK_HEAD FRESH), 0);
	ck_assert_int_eq(far_data(0, "x"), 0);
	far_trailers(0, "X-Sum: 1\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n"
	                "ETag: \"t\"\r\nHost: b\r\nCache-Control: no-store\r\n");
	peer_got(&p, 200, "x");
	ck_view_eq(buf_view(&p.trailers), "X-Sum: 1\r\nETag: \"t\"\r\n");
	peer_fini(&p);
	store_settle();
}
END_TEST

/* RFC 9110 §8.6: a 204 has no length. */
START_TEST(no_content)
{
	struct peer p = {0};

	peer_get(&p, "");
	far_answer(0, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", "");
	peer_got(&p, 204, "");
	ck_assert(!peer_has(&p, "Content-Length"));
	peer_fini(&p);
	store_settle();
}
END_TEST

/* What an origin is asked, by kind of listener. */
START_TEST(requests)
{
	static const struct {
		const char *origin, *origin_host, *ask, *start, *line;
	} rows[] = {
		{NULL, "", "GET http://a.example:80/x?y HTTP/1.1\r\nHost: other\r\n", "GET /x?y\r\n", "Host: a.example:80"},
		{"http://10.0.0.1:8000/", "", "GET /x HTTP/1.1\r\nHost: a.example\r\n", "GET /x\r\n", "Host: a.example"},
		{"http://10.0.0.1:8000/base/", "", "GET /x HTTP/1.1\r\nHost: a\r\n", "GET /base/x\r\n", "Host: a"},
		{"http://10.0.0.1:8000/base", "b.example", "GET /x HTTP/1.1\r\nHost: a\r\n", "GET /base/x\r\n", "Host: b.example"},
		{"http://10.0.0.1:8000/", "", "GET /x HTTP/1.0\r\n", "GET /x\r\n", "Host: 10.0.0.1:8000"},
		{"http://10.0.0.1:8000/", "", "GET /x HTTP/1.0\r\n", "GET /x\r\n", "Via: 1.0 tester"},
		/* As received, unless others will be given the answer for another spelling. */
		{NULL, "", "GET http://a/x/%2e%2E/y?.. HTTP/1.1\r\nHost: a\r\n", "GET /x/%2e%2E/y?..\r\n", "Host: a"},
		{NULL, "", "GET http://a/%7ex HTTP/1.1\r\nHost: a\r\n", "GET /%7ex\r\n", "Host: a"},
		{NULL, "", "GET http://a/...//.a/b..?/../c HTTP/1.1\r\nHost: a\r\n", "GET /...//.a/b..?/../c\r\n", "Host: a"},
		{NULL, "", "PUT http://a/x/../y HTTP/1.1\r\nHost: a\r\n", "PUT /x/../y\r\n", "Host: a"},
		{"http://10.0.0.1:8000/base", "", "GET /../secret HTTP/1.1\r\nHost: a\r\n", "GET /base/secret\r\n", "Host: a"},
		{"http://10.0.0.1:8000/base", "", "PUT /x/%2e./../secret HTTP/1.0\r\n", "PUT /base/secret\r\n", "Via: 1.0 tester"},
		{"http://10.0.0.1:8000/base", "", "OPTIONS * HTTP/1.1\r\nHost: a\r\n", "OPTIONS *\r\n", "Host: a"},
	};
	struct peer p = {0};

	if (rows[_i].origin)
		ck_assert_int_eq(http_uri_parse(view_of(rows[_i].origin), &rig.reverse.origin), 0);
	rig.reverse.options.origin_host = (char *)rows[_i].origin_host;
	peer_ask(&p, rows[_i].origin ? &rig.reverse : &rig.forward, rows[_i].ask);
	ck_assert(view_starts(buf_view(&far(0)->request), view_of(rows[_i].start)));
	ck_assert_msg(far_asked(0, rows[_i].line), "%.*s", VFMT(buf_view(&far(0)->request)));
	peer_fini(&p);
}
END_TEST

/* A path that cannot be made plain must not lead out of the tree that is served. */
START_TEST(stays_below_the_prefix)
{
	struct peer p = {0};

	ck_assert_int_eq(http_uri_parse(V("http://10.0.0.1:8000/base"), &rig.reverse.origin), 0);
	peer_ask(&p, &rig.reverse, "GET /%zz/../../secret HTTP/1.1\r\nHost: a\r\n");
	ck_assert_uint_eq(p.status, 400);
	ck_assert_uint_eq(nfars, 0);
	peer_fini(&p);
}
END_TEST

/* Two reverse listeners with names, and requests that name no host: each has its own. */
START_TEST(hostless_requests_meet_nobody_elses)
{
	static char name_a[] = "a.example", name_b[] = "b.example";
	char *names_a[] = {name_a}, *names_b[] = {name_b};
	struct exchange_listener other = rig.reverse;
	struct peer a = {0}, b = {0};

	rig.reverse.options.names = (struct option_list){names_a, 1};
	other.options.names = (struct option_list){names_b, 1};
	ck_assert_int_eq(http_uri_parse(V("http://10.0.0.2:8000/"), &other.origin), 0);
	peer_ask(&a, &rig.reverse, "GET /x HTTP/1.0\r\n");
	far_answer(0, OK_HEAD FRESH "Content-Length: 1\r\n", "a");
	store_settle();
	peer_ask(&b, &other, "GET /x HTTP/1.0\r\n");
	ck_assert_uint_eq(nfars, 2);
	peer_fini(&a);
	peer_fini(&b);
}
END_TEST

/* RFC 9111 §4.4: a fetch that began before the change must not be stored after it, joined or not. */
START_TEST(invalidation_meets_a_fill)
{
	struct peer waits = {0}, get = {0}, del = {0}, again = {0};
	bool alone = _i == 1;

	if (alone) {
		/* A key known as unshareable is fetched by each for itself. */
		peer_get(&waits, "");
		far_answer(0, OK_HEAD "Cache-Control: private\r\nContent-Length: 1\r\n", "p");
		peer_fini(&waits);
	}
	peer_get(&get, "");
	peer_ask(&del, &rig.forward, "DELETE http://a.example/x HTTP/1.1\r\nHost: a.example\r\n");
	if (_i == 2)
		ck_assert_int_eq(far_head(0, OK_HEAD FRESH "Content-Length: 3\r\n"), 0);
	far_answer(alone ? 2 : 1, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "");
	ck_assert_uint_eq(del.replies, 0); /* not before it is gone for everybody */
	store_settle();
	peer_got(&del, 200, "");
	if (_i == 2) {
		ck_assert_int_eq(far_data(0, "old"), 0);
		far_done(0, 0);
	} else {
		far_answer(alone ? 1 : 0, OK_HEAD FRESH "Content-Length: 3\r\n", "old");
	}
	peer_got(&get, 200, "old");
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 0);
	peer_get(&again, "");
	ck_assert_uint_eq(nfars, alone ? 4 : 3);
	peer_fini(&get);
	peer_fini(&del);
	peer_fini(&again);
}
END_TEST

/* Which unsafe answers invalidate what (RFC 9111 §4.4). */
START_TEST(invalidates)
{
	static const struct {
		const char *method, *head;
		unsigned removes;
	} rows[] = {
		{"PUT", "HTTP/1.1 204 No Content\r\n", 1},
		{"POST", "HTTP/1.1 303 See Other\r\nLocation: /y\r\n", 2},
		{"POST", "HTTP/1.1 201 Created\r\nLocation: http://a.example/y\r\nContent-Location: z\r\n", 3},
		{"POST", "HTTP/1.1 201 Created\r\nLocation: http://b.example/y\r\n", 1},
		{"POST", "HTTP/1.1 201 Created\r\nLocation: http://a.example:81/y\r\n", 1},
		{"POST", "HTTP/1.1 500 Internal Server Error\r\n", 0},
		{"DELETE", "HTTP/1.1 404 Not Found\r\n", 0},
		{"FROB", "HTTP/1.1 204 No Content\r\n", 1},
		{"PROPFIND", "HTTP/1.1 204 No Content\r\n", 0},
	};
	struct peer p = {0};
	struct buf b;

	buf_init(&b, 4096);
	buf_printf(&b, "%s http://a.example/x HTTP/1.1\r\nHost: a.example\r\n", rows[_i].method);
	peer_ask(&p, &rig.forward, buf_cstr(&b));
	ck_assert_int_eq(far_head(0, rows[_i].head), 0);
	store_settle();
	ck_assert_uint_eq(p.replies, 1);
	ck_assert_uint_eq(fake_store.removes, rows[_i].removes);
	peer_fini(&p);
	buf_fini(&b);
}
END_TEST

/* The client of an unsafe request goes while its answer waits for the store. */
START_TEST(leaves_while_held)
{
	struct peer p = {0};

	peer_ask(&p, &rig.forward, "DELETE http://a.example/x HTTP/1.1\r\nHost: a.example\r\n");
	ck_assert_int_eq(far_head(0, _i ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" : "HTTP/1.1 204 No Content\r\n"), 0);
	if (_i == 2) {
		far_data(0, "he");
		far_done(0, LARDER_ECLOSED);
	}
	peer_leave(&p);
	store_settle();
	if (!far(0)->cancelled && !far(0)->done)
		far_done(0, 0);
	ck_assert_uint_eq(exchange_env_busy(rig.env), 0);
	peer_fini(&p);
}
END_TEST

static int pair[2];

static void make_pair(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static bool far_end_closed(void)
{
	char c;

	return recv(pair[1], &c, 1, MSG_DONTWAIT) == 0;
}

/* CONNECT (RFC 9110 §9.3.6): tunnels and clients die in every order. */
START_TEST(connects)
{
	struct peer p = {.leave = _i == 2 ? LEAVE_REPLY : _i == 3 ? LEAVE_DETACH : LEAVE_NEVER};
	int near[2];

	make_pair();
	peer_ask(&p, &rig.forward, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n");
	ck_assert(connect_waits());
	ck_assert_uint_eq(exchange_env_busy(rig.env), 1);
	if (_i == 0) {
		peer_leave(&p);
		ck_assert(!connect_waits());
		close(pair[0]);
	} else {
		connect_done(0, pair[0]);
		ck_assert_uint_eq(p.status, 200);
	}
	if (_i == 1)
		peer_leave(&p); /* between detach and exchange_tunnel */
	if (_i < 4) {
		ck_assert(far_end_closed());
	} else {
		ck_assert(p.detached);
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near), 0);
		exchange_tunnel(p.x, near[0], V("first"));
		ck_assert_ptr_null(p.x);
		/* The session's memory goes with it. */
		memset(p.text.data, '!', p.text.len);
		ck_assert(relay_runs());
		if (_i == 4)
			relay_end(0);
		else if (_i == 5)
			relay_end(LARDER_ETIMEOUT);
		else
			exchange_env_abandon(rig.env);
		ck_assert(far_end_closed());
		close(near[1]);
	}
	close(pair[1]);
	ck_assert_uint_eq(exchange_env_busy(rig.env), 0);
	peer_fini(&p);
}
END_TEST

static bool nobody(const struct addr *client, const struct addr *dest)
{
	(void)client, (void)dest;
	return false;
}

START_TEST(connect_fails)
{
	static const struct {
		int err;
		unsigned status;
		const char *proxy_status;
	} rows[] = {
		{LARDER_ERESOLVE, 502, "tester; error=dns_error; details=\"The destination's name could not be resolved.\""},
		{LARDER_ECONNECT, 502, "tester; error=connection_refused; details=\"The destination could not be reached.\""},
		{LARDER_ETIMEOUT, 504, "tester; error=connection_timeout; details=\"The destination did not answer in time.\""},
		{0, 403, "tester; error=http_request_denied; details=\"The address is private. Option reach_private would allow it.\""},
	};
	struct peer p = {0};

	if (!rows[_i].err)
		rig.may_reach = nobody;
	peer_ask(&p, &rig.forward, "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n");
	connect_done(rows[_i].err, -1);
	ck_assert_uint_eq(p.status, rows[_i].status);
	ck_view_eq(peer_field(&p, "Proxy-Status"), rows[_i].proxy_status);
	peer_fini(&p);
}
END_TEST

/* Upgrade (RFC 9110 §7.8). 0: relayed; 1, 2: the client leaves in the calls; 3: no tunnel is left; 4: it had
 * gone before. */
START_TEST(upgrades)
{
	struct peer p = {.leave = _i == 1 ? LEAVE_REPLY : _i == 2 ? LEAVE_DETACH : LEAVE_NEVER};
	int near[2];

	make_pair();
	if (_i == 3)
		rig.options.tunnels_max = 0;
	peer_get(&p, "Connection: upgrade\r\nUpgrade: websocket\r\n");
	if (_i == 4) {
		peer_leave(&p);
		ck_assert(far(0)->cancelled);
		close(pair[0]);
	} else {
		far_switch(0, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nX-Key: 1\r\n", pair[0]);
		ck_assert_uint_eq(p.status, _i == 3 ? 503 : 101);
	}
	if (_i == 0) {
		ck_view_eq(buf_view(&p.reply), "HTTP/1.1 101 Switching Protocols\r\nX-Key: 1\r\n");
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, near), 0);
		exchange_tunnel(p.x, near[0], V(""));
		relay_end(0);
		close(near[1]);
	}
	ck_assert(far_end_closed());
	close(pair[1]);
	peer_fini(&p);
	ck_assert_uint_eq(exchange_env_busy(rig.env), 0);
}
END_TEST

/* A name that Via cannot hold is made one that it can, and is seen in a loop (RFC 9110 §7.6.3). */
START_TEST(finds_itself)
{
	static const struct {
		const char *name, *line;
		unsigned status;
	} rows[] = {
		{"tester", "Via: 1.1 tester", 508},
		{"tester", "Via: 1.0 a, HTTP/1.1 TESTER (c, d), 1.1 b", 508},
		{"tester", "Via: 1.1 tester2, 1.1 a (tester)", 0},
		{"tester", "CDN-Loop: a, tester; x=y", 508},
		{"my cache,\r\nX: y", "Via: 1.1 my-cache---X:-y", 508},
		{"cache:80", "Via: 1.1 cache:80", 508},
	};
	struct peer p = {0};
	struct buf b;

	exchange_env_free(rig.env);
	rig.options.pseudonym = (char *)rows[_i].name;
	rig.env = exchange_env_new(rig.loop, &rig.options, rig_store(), rig_origin(), NULL, &rig.stats);
	buf_init(&b, 4096);
	buf_printf(&b, "%s\r\n", rows[_i].line);
	peer_get(&p, buf_cstr(&b));
	ck_assert_uint_eq(p.status, rows[_i].status);
	ck_assert_uint_eq(nfars, rows[_i].status ? 0 : 1);
	buf_fini(&b);
	peer_fini(&p);
}
END_TEST

/* Text from requests in pages, Proxy-Status and Cache-Status (header and HTML injection). */
START_TEST(pages_hold_nothing_foreign)
{
	struct peer p = {0};

	peer_ask(&p, &rig.forward, "GET /<script>%0d%0aX:1 HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n");
	ck_assert_uint_eq(p.status, 400);
	ck_assert(!strstr(buf_cstr(&p.body), "<script>") && !peer_has(&p, "script"));
	peer_fini(&p);
}
END_TEST

UNIT_MAIN("exchange/wire", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_test(tc, interim_heads); tcase_add_test(tc, trailers);
          tcase_add_test(tc, no_content); tcase_add_loop_test(tc, requests, 0, 13); tcase_add_test(tc, stays_below_the_prefix);
          tcase_add_test(tc, hostless_requests_meet_nobody_elses);
          tcase_add_loop_test(tc, invalidation_meets_a_fill, 0, 3);
          tcase_add_loop_test(tc, invalidates, 0, 9); tcase_add_loop_test(tc, leaves_while_held, 0, 3);
          tcase_add_loop_test(tc, connects, 0, 7); tcase_add_loop_test(tc, connect_fails, 0, 4);
          tcase_add_loop_test(tc, upgrades, 0, 5); tcase_add_loop_test(tc, finds_itself, 0, 6); tcase_add_test(tc, pages_hold_nothing_foreign);)
