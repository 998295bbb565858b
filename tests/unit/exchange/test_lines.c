/* Heads made by room exchange: rewriting, passing on, field look-up. */
#include "unit.h"

#include <stdio.h>

#include "../../../src/exchange/exchange-private.h"

static const char stored[] = "HTTP/1.1 200 OK\r\n"
			     "content-type: text/plain\r\n"
			     "ETag: \"a\"\r\n"
			     "Content-Length: 12\r\n"
			     "X-Content-Length: 3\r\n";

START_TEST(finds_fields)
{
	struct view head = view_of(stored);

	ck_view_eq(lines_field(head, V("Content-Type")), "text/plain");
	ck_view_eq(lines_field(head, V("etag")), "\"a\"");
	ck_view_eq(lines_field(head, V("Content-Length")), "12");
	ck_assert_ptr_null(lines_field(head, V("Content")).ptr);
	ck_assert_ptr_null(lines_field(head, V("HTTP/1.1 200 OK")).ptr);
}
END_TEST

START_TEST(rewrites_heads)
{
	static const char full[] = "HTTP/1.1 200 OK\r\nContent-Language: x\r\nLast-Modified: y\r\nContent-MD5: z\r\n"
				   "Repr-Digest: d\r\nContent-Digest: d\r\nExpires: e\r\n";
	/* RFC 9110 §15.3.7 */
	const struct {
		const char *head;
		bool lean, multipart;
		const char *want;
	} rows[] = {
		{stored, false, false, "content-type: text/plain\r\nETag: \"a\"\r\nX-Content-Length: 3\r\n"},
		{stored, false, true, "ETag: \"a\"\r\nX-Content-Length: 3\r\n"},
		{stored, true, false, "ETag: \"a\"\r\nX-Content-Length: 3\r\n"},
		{full, false, false, "Content-Language: x\r\nLast-Modified: y\r\nRepr-Digest: d\r\nExpires: e\r\n"},
		{full, true, false, "Last-Modified: y\r\nExpires: e\r\n"},
		{"HTTP/1.1 200 OK\r\nLast-Modified: y\r\nETag: \"a\"\r\n", true, false, "ETag: \"a\"\r\n"},
	};
	char want[256];
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(lines_partial(view_of(rows[_i].head), rows[_i].lean, rows[_i].multipart, &out), 0);
	snprintf(want, sizeof(want), "HTTP/1.1 206 Partial Content\r\n%s", rows[_i].want);
	ck_view_eq(buf_view(&out), want);
	buf_fini(&out);
}
END_TEST

/* Order, case, repeats, inner spacing and obs-text as received; hops gone (RFC 9110 §7.6.1). */
START_TEST(passes_heads_on)
{
	static const char raw[] = "HTTP/1.1 404 Nothing here\r\nx-A:  b \r\nX-a:c\r\nEmpty:\r\n"
				  "Connection: close, x-hop\r\nX-Hop: 1\r\nB: \xff\r\n\r\n";
	struct http_field fields[16];
	struct http_fault fault;
	struct http_head h;
	struct buf out;

	http_head_init(&h, fields, 16);
	ck_assert_int_gt(http_parse_response(&h, view_of(raw), 4096, &fault), 0);
	http_head_mark_hops(&h);
	buf_init(&out, 4096);
	ck_assert_int_eq(lines_pass_head(&h, &out), 0);
	ck_view_eq(buf_view(&out), "HTTP/1.1 404 Nothing here\r\nx-A:  b\r\nX-a:c\r\nEmpty:\r\nB: \xff\r\n");
	buf_fini(&out);
}
END_TEST

START_TEST(makes_error_pages)
{
	struct buf head, body;
	char want[128];

	buf_init(&head, 4096);
	buf_init(&body, 4096);
	ck_assert_int_eq(exchange_error_page(V("name"),
	                                     &(struct exchange_fault){.status = 502, .proxy_error = "dns_error",
	                                             .detail = "No \"such\" <host>.", .html = _i == 1,
	                                             .next_hop = _i == 1 ? V("a:81") : V("")},
	                                     &head, &body), 0);
	ck_assert(buf_cstr(&head) && buf_cstr(&body));
	ck_assert_ptr_nonnull(strstr(head.data, "HTTP/1.1 502 Bad Gateway\r\n"));
	snprintf(want, sizeof(want), "error=dns_error;%s details=\"No \\\"such\\\" <host>.\"\r\n",
	         _i == 1 ? " next-hop=\"a:81\";" : "");
	ck_assert_ptr_nonnull(strstr(head.data, "Proxy-Status: name; "));
	ck_assert_ptr_nonnull(strstr(head.data, want));
	snprintf(want, sizeof(want), "Content-Length: %zu\r\n", body.len);
	ck_assert_ptr_nonnull(strstr(head.data, want));
	if (_i == 1) {
		ck_assert_ptr_nonnull(strstr(head.data, "text/html"));
		ck_assert_ptr_nonnull(strstr(body.data, "No &quot;such&quot; &lt;host&gt;."));
	} else {
		ck_assert_ptr_nonnull(strstr(head.data, "text/plain"));
		ck_assert_ptr_nonnull(strstr(body.data, "No \"such\" <host>."));
	}
	buf_fini(&head);
	buf_fini(&body);
}
END_TEST

/* Which listener's clients can reach which entries. */
START_TEST(makes_keys)
{
	static char name[] = "www.example";
	char *names[] = {name};
	static const struct {
		enum exchange_kind kind;
		bool names;
		const char *origin_host, *origin, *want, *url;
	} rows[] = {
		{EXCHANGE_FORWARD, false, "", "http://10.0.0.1:8000/", "GET http://a.example/x?y", NULL},
		{EXCHANGE_REVERSE, false, "", "http://10.0.0.1:8000/", "GET@10.0.0.1:8000 http://a.example/x?y", NULL},
		{EXCHANGE_REVERSE, true, "", "http://10.0.0.1:8000/", "GET http://a.example/x?y", NULL},
		{EXCHANGE_REVERSE, false, "b.example", "http://10.0.0.1:8000/", "GET http://b.example/x?y", NULL},
		/* Two listeners in front of two trees of one origin share nothing. */
		{EXCHANGE_REVERSE, false, "", "http://10.0.0.1:8000/base/", "GET@10.0.0.1:8000/base http://a.example/x?y", NULL},
		{EXCHANGE_REVERSE, true, "", "http://10.0.0.1:8000/base", "GET@10.0.0.1:8000/base http://a.example/x?y", NULL},
		{EXCHANGE_REVERSE, false, "b.example", "http://b.example/base", "GET@b.example:80/base http://b.example/x?y", NULL},
		/* A port that a client invented is not the named host's. */
		{EXCHANGE_REVERSE, true, "", "http://10.0.0.1:8000/", "GET@10.0.0.1:8000 http://a.example:99/x", "http://a.example:99/x"},
	};
	struct exchange_listener l = {.kind = rows[_i].kind};
	struct http_target t;
	struct buf out;

	ck_assert_int_eq(http_uri_parse(view_of(rows[_i].origin), &l.origin), 0);
	ck_assert_int_eq(http_uri_parse(view_of(rows[_i].url ? rows[_i].url : "http://A.example:80/x?y"), &t), 0);
	l.options.names = (struct option_list){names, rows[_i].names};
	l.options.origin_host = (char *)rows[_i].origin_host;
	buf_init(&out, 4096);
	ck_assert_int_eq(exchange_key_text(&l, &t, &out), 0);
	ck_view_eq(buf_view(&out), rows[_i].want);
	buf_fini(&out);
}
END_TEST

UNIT_MAIN("exchange/lines", tcase_add_test(tc, finds_fields); tcase_add_loop_test(tc, rewrites_heads, 0, 6);
          tcase_add_test(tc, passes_heads_on); tcase_add_loop_test(tc, makes_error_pages, 0, 2);
          tcase_add_loop_test(tc, makes_keys, 0, 8);)
