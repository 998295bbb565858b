/* Request targets, hosts, keys, references. */
#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "http/target.h"

static struct http_field fields[8];

static struct http_head parse(const char *text)
{
	struct http_head h;
	struct http_scan scan = {0};
	struct http_fault fault;

	http_head_init(&h, fields, ARRAY_LEN(fields));
	ck_assert_msg(http_parse_request(&h, &scan, view_of(text), 500, 500, &fault) > 0, "%s: %s",
	              text, fault.text);
	return h;
}

#define SAME      true
#define ORIGIN    HTTP_ORIGIN_FORM
#define ABSOLUTE  HTTP_ABSOLUTE_FORM
#define AUTHORITY HTTP_AUTHORITY_FORM
#define ASTERISK  HTTP_ASTERISK_FORM

/* RFC 9112 §3.2: head, strict_host, form, host, port, path. */
static const struct {
	const char *head;
	bool strict;
	enum http_form form;
	const char *host;
	unsigned port;
	const char *path;
} good[] = {
	{"GET /a?b HTTP/1.1\r\nHost: Example.COM\r\n\r\n", false, ORIGIN, "example.com", 80,
         "/a?b"},
	{"GET / HTTP/1.1\r\nHost: a:8080\r\n\r\n", true, ORIGIN, "a", 8080, "/"},
	{"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", true, ORIGIN, "a", 80, "/"},
	{"GET //x/../y HTTP/1.1\r\nHost: a\r\n\r\n", true, ORIGIN, "a", 80, "//x/../y"},
	{"GET / HTTP/1.0\r\n\r\n", true, ORIGIN, "", 80, "/"},
	{"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n", true, ABSOLUTE, "a", 80, "/b?c"},
	{"GET HTTP://A HTTP/1.1\r\nHost: a:80\r\n\r\n", true, ABSOLUTE, "a", 80, "/"},
	{"GET http://a?b/c HTTP/1.1\r\nHost: a\r\n\r\n", true, ABSOLUTE, "a", 80, "?b/c"},
	{"GET http://a:81? HTTP/1.1\r\nHost: a:81\r\n\r\n", true, ABSOLUTE, "a", 81, "?"},
	{"GET https://a/ HTTP/1.1\r\nHost: a:443\r\n\r\n", true, ABSOLUTE, "a", 443, "/"},
	{"GET http://a/ HTTP/1.0\r\n\r\n", true, ABSOLUTE, "a", 80, "/"},
	/* §3.2.2: the target wins over Host */
	{"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", false, ABSOLUTE, "a", 80, "/"},
	{"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", false, ABSOLUTE, "a", 80, "/"},
	{"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", true, AUTHORITY, "a", 443, "/"},
	{"CONNECT a:444 HTTP/1.1\r\nHost: A\r\n\r\n", true, AUTHORITY, "a", 444, "/"},
	{"CONNECT [::1]:443 HTTP/1.1\r\nHost: b\r\n\r\n", false, AUTHORITY, "[::1]", 443, "/"},
	{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", true, ASTERISK, "a", 80, "*"},
	/* §3.2.4 */
	{"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", true, ABSOLUTE, "a", 80, "*"},
	{"OPTIONS http://a:80 HTTP/1.1\r\nHost: a\r\n\r\n", true, ABSOLUTE, "a", 80, "*"},
	{"OPTIONS http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", true, ABSOLUTE, "a", 80, "/"},
};

START_TEST(good_rows)
{
	struct http_head h = parse(good[_i].head);
	struct http_target t, copy;
	struct http_fault fault = {0};
	int err = http_target_parse(&h, HTTP_SCHEME_HTTP, good[_i].strict, &t, &fault);

	ck_assert_msg(err == 0, "%s: %s", good[_i].head, fault.text);
	ck_assert_int_eq(t.form, good[_i].form);
	ck_assert_uint_eq(t.port, good[_i].port);
	ck_view_eq(t.path, good[_i].path);
	http_target_copy(&copy, &t);
	memset(&t, 0xff, sizeof(t));
	ck_view_eq(copy.host, good[_i].host);
}
END_TEST

static const struct {
	const char *head;
	bool strict;
	const char *says;
} bad[] = {
	{"GET / HTTP/1.1\r\n\r\n", false, "no Host"},
	{"GET http://a/ HTTP/1.1\r\n\r\n", false, "no Host"},
	{"CONNECT a:1 HTTP/1.1\r\n\r\n", false, "no Host"},
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", false, "several Host"},
	{"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", false, "several Host"},
	{"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", false, "several Host"},
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.0\r\nHost:\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: a:0\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", false, "not a valid host"},
	{"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", false, "not a valid host"},
	/* The same bytes would mean another server to somebody else. */
	{"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", true, "differs"},
	{"GET http://a/ HTTP/1.1\r\nHost: a:81\r\n\r\n", true, "differs"},
	{"GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", true, "differs"},
	{"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", true, "differs"},
	{"CONNECT a:443 HTTP/1.1\r\nHost: a:444\r\n\r\n", true, "differs"},
	{"CONNECT a:443 HTTP/1.1\r\nHost: b\r\n\r\n", true, "differs"},
	{"GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", false, "not a valid host"},
	{"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", false, "user information"},
	{"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n", false, "user information"},
	{"GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n", false, "no valid host"},
	{"GET http://a\\b/ HTTP/1.1\r\nHost: a\r\n\r\n", false, "no valid host"},
	{"GET http:a HTTP/1.1\r\nHost: a\r\n\r\n", false, "neither"},
	{"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", false, "neither"},
	{"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", false, "neither"},
	{"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", false, "neither"},
	{"GET a HTTP/1.1\r\nHost: a\r\n\r\n", false, "neither"},
	{"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", false, "neither"},
	{"GET * HTTP/1.1\r\nHost: a\r\n\r\n", false, "OPTIONS"},
	{"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", false, "CONNECT"},
	{"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", false, "CONNECT"},
	{"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n", false, "CONNECT"},
	{"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", false, "CONNECT"},
	{"CONNECT u@a:1 HTTP/1.1\r\nHost: a\r\n\r\n", false, "CONNECT"},
	{"CONNECT http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n", false, "CONNECT"},
};

START_TEST(bad_rows)
{
	struct http_head h = parse(bad[_i].head);
	struct http_target t;
	struct http_fault fault = {0};

	ck_assert_msg(http_target_parse(&h, HTTP_SCHEME_HTTP, bad[_i].strict, &t, &fault) ==
	                      LARDER_EPROTO,
	              "%s", bad[_i].head);
	ck_assert_int_eq(fault.status, 400);
	ck_assert_msg(strstr(fault.text, bad[_i].says) != NULL, "%s: %s", bad[_i].head, fault.text);
}
END_TEST

#define L63 "123456789012345678901234567890123456789012345678901234567890abc"

/* NULL: refused. RFC 3986 §3.2.2, §6.2.2, RFC 1035 §2.3.4; number forms as inet_aton(3). */
static const struct {
	const char *text, *host;
} hosts[] = {
	{"a", "a"},
	{"A-b_C.9x", "a-b_c.9x"},
	{"example.com.", "example.com"},
	{"%65xampl%45.com", "example.com"},
	{"xn--bcher-kva.example", "xn--bcher-kva.example"},
	{L63 "." L63 "." L63 ".1234567890123456789012345678901234567890123456789012345678901",
         L63 "." L63 "." L63 ".1234567890123456789012345678901234567890123456789012345678901"},
	{L63 "." L63 "." L63 ".12345678901234567890123456789012345678901234567890123456789012",
         NULL},
	{L63 "." L63 "." L63 ".1234567890123456789012345678901234567890123456789012345678901.",
         L63 "." L63 "." L63 ".1234567890123456789012345678901234567890123456789012345678901"},
	{L63 "." L63 "." L63 ".1234567890123456789012345678901234567890123456789012345678901.%61", NULL},
	{L63 "x", NULL},
	{"a." L63 "x", NULL},
	{"Az-_09.zZ", "az-_09.zz"},
	{"%41b%43.%64", "abc.d"},
	{"a%2e", "a"},
	{"", NULL},
	{".", NULL},
	{"..", NULL},
	{"a..", NULL},
	{".a", NULL},
	{"a..b", NULL},
	{"a%", NULL},
	{"a%4", NULL},
	{"a%zz", NULL},
	{"a%00", NULL},
	{"a%2f", NULL},
	{"a%c3%bc", NULL},
	{"b\xc3\xbc"
         "cher.example",
         NULL},
	{"a b", NULL},
	{"a\x01", NULL},
	{"a~", NULL},
	{"a!b", NULL},
	{"a*b", NULL},
	{"127.0.0.1", "127.0.0.1"},
	{"127.0.0.1.", "127.0.0.1"},
	{"127.1", "127.0.0.1"},
	{"127.0.1", "127.0.0.1"},
	{"2130706433", "127.0.0.1"},
	{"0x7f.1", "127.0.0.1"},
	{"0X7F.0.0.1", "127.0.0.1"},
	{"0x7f000001", "127.0.0.1"},
	{"0177.0.0.01", "127.0.0.1"},
	{"017700000001", "127.0.0.1"},
	{"%31%32%37.1", "127.0.0.1"},
	{"0", "0.0.0.0"},
	{"1.2.65535", "1.2.255.255"},
	{"1.16777215", "1.255.255.255"},
	{"4294967295", "255.255.255.255"},
	{"4294967296", NULL},
	{"1.16777216", NULL},
	{"1.2.65536", NULL},
	{"1.2.3.256", NULL},
	{"256.0.0.1", NULL},
	{"08.0.0.1", NULL},
	{"1.2.3.4.5", NULL},
	{"0x.1", NULL},
	{"0x100000000", NULL},
	{"040000000000", NULL},
	{"1.2.3.a", "1.2.3.a"},
	{"1.2.3.0xg", "1.2.3.0xg"},
	{"web.1", "web.1"},
	{"[::1]", "[::1]"},
	{"[2001:DB8:0:0:0:0:0:1]", "[2001:db8::1]"},
	{"[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"},
	{"[::FFFF:7f00:1]", "[::ffff:127.0.0.1]"},
	{"[]", NULL},
	{"[", NULL},
	{"[::1", NULL},
	{"[::1]x", NULL},
	{"[fe80::1%25eth0]", NULL},
	{"[fe80::1%eth0]", NULL},
	{"[v1.a]", NULL},
	{"[127.0.0.1]", NULL},
	{"[::1::2]", NULL},
};

START_TEST(host_rows)
{
	struct http_target t, again;
	int err = http_authority_parse(view_of(hosts[_i].text), HTTP_SCHEME_HTTPS, &t);

	ck_assert_msg(err == (hosts[_i].host ? 0 : LARDER_EINVAL), "%s: %d %.*s", hosts[_i].text,
	              err, VFMT(t.host));
	if (!err) {
		ck_view_eq(t.host, hosts[_i].host);
		ck_assert_uint_eq(t.port, 443);
		ck_assert(!t.port_given);
		ck_assert_int_eq(http_authority_parse(t.host, HTTP_SCHEME_HTTP, &again), 0);
		ck_assert(view_eq(again.host, t.host));
	}
}
END_TEST

/* RFC 3986 §6.2.2, §5.2.4, RFC 9110 §4.2.3 */
static const struct {
	const char *uri, *key;
} keys[] = {
	{"http://a", "http://a/"},
	{"HTTP://A:80/", "http://a/"},
	{"https://a:443/x?", "https://a/x?"},
	{"http://a:443/", "http://a:443/"},
	{"http://a/%7Eb%2fc%e4?%41=%2F%3f", "http://a/~b%2Fc%E4?A=%2F%3F"},
	{"http://a/b/../c/./d/..", "http://a/b/../c/./d/.."},
	{"http://a/../../b", "http://a/../../b"},
	{"http://a/b/%2e%2E/c", "http://a/b/../c"},
	{"http://a/.", "http://a/."},
	{"http://a/..", "http://a/.."},
	{"http://a/...", "http://a/..."},
	{"http://a/.b/..c", "http://a/.b/..c"},
	{"http://a/b.c/d./e..", "http://a/b.c/d./e.."},
	{"http://a/b.c/../d.e", "http://a/b.c/../d.e"},
	{"http://a/b.?c/.", "http://a/b.?c/."},
	{"http://a//b///c", "http://a//b///c"},
	{"http://a//../b", "http://a//../b"},
	{"http://a/b?c/../d", "http://a/b?c/../d"},
	{"http://a/B?C", "http://a/B?C"},
	{"http://a/?a?b", "http://a/?a?b"},
	{"http://a?b", "http://a/?b"},
	{"http://a?%zz", "http://a/?%zz"},
	{"http://a/\xc3\xbc", "http://a/\xc3\xbc"},
	/* stray percent signs: as they stand */
	{"http://a/%41%zz", "http://a/%41%zz"},
	{"http://a/%4%31", "http://a/%4%31"},
	{"http://a/%%34%31", "http://a/%%34%31"},
	{"http://a/b/../%", "http://a/b/../%"},
	{"http://a/%41?%", "http://a/%41?%"},
};

START_TEST(key_rows)
{
	struct http_target t;
	struct buf key, again;

	buf_init(&key, 1000);
	buf_init(&again, 1000);
	ck_assert_int_eq(http_uri_parse(view_of(keys[_i].uri), &t), 0);
	ck_assert_int_eq(http_target_key(&t, &key), 0);
	ck_view_eq(buf_view(&key), keys[_i].key);
	ck_assert_int_eq(http_uri_parse(buf_view(&key), &t), 0);
	ck_assert_int_eq(http_target_key(&t, &again), 0);
	ck_view_eq(buf_view(&again), keys[_i].key);
	buf_fini(&again);
	buf_fini(&key);
}
END_TEST

/* RFC 3986 §5.4, without other schemes; the key of what comes out, NULL: refused. */
static const struct {
	const char *reference, *key;
} references[] = {
	{"g", "http://a/b/c/g"},
	{"./g", "http://a/b/c/g"},
	{"g/", "http://a/b/c/g/"},
	{"/g", "http://a/g"},
	{"//g", "http://g/"},
	{"//g?y", "http://g/?y"},
	{"?y", "http://a/b/c/d;p?y"},
	{"g?y", "http://a/b/c/g?y"},
	{"#s", "http://a/b/c/d;p?q"},
	{"g#s", "http://a/b/c/g"},
	{"g?y#s", "http://a/b/c/g?y"},
	{";x", "http://a/b/c/;x"},
	{"", "http://a/b/c/d;p?q"},
	{".", "http://a/b/c/"},
	{"./", "http://a/b/c/"},
	{"..", "http://a/b/"},
	{"../g", "http://a/b/g"},
	{"../..", "http://a/"},
	{"../../g", "http://a/g"},
	{"../../../g", "http://a/g"},
	{"/./g", "http://a/g"},
	{"/../g", "http://a/g"},
	{"g.", "http://a/b/c/g."},
	{"..g", "http://a/b/c/..g"},
	{"./g/.", "http://a/b/c/g/"},
	{"g/../h", "http://a/b/c/h"},
	{"g;x=1/../y", "http://a/b/c/y"},
	{"g?y/./x", "http://a/b/c/g?y/./x"},
	{"http://x", "http://x/"},
	{"HTTPS://X:8443/a/../b?c#d", "https://x:8443/b?c"},
	{"http:g", NULL},
	{"ftp://x/", NULL},
	{"mailto:x", NULL},
	{"//", NULL},
	{"///x", NULL},
	{"//u@x/", NULL},
	{"a b", NULL},
	{"a\r\nb", NULL},
};

START_TEST(reference_rows)
{
	struct http_target base, t;
	struct buf scratch, key;
	int err;

	buf_init(&scratch, 1000);
	buf_init(&key, 1000);
	ck_assert_int_eq(http_uri_parse(V("http://a/b/c/d;p?q"), &base), 0);
	err = http_target_resolve(&base, view_of(references[_i].reference), &scratch, &t);
	ck_assert_msg(err == (references[_i].key ? 0 : LARDER_EINVAL), "%s: %d",
	              references[_i].reference, err);
	if (!err) {
		ck_assert_int_eq(http_target_key(&t, &key), 0);
		ck_view_eq(buf_view(&key), references[_i].key);
	}
	buf_fini(&key);
	buf_fini(&scratch);
}
END_TEST

START_TEST(reference_port)
{
	struct http_target base, t;
	struct buf scratch;

	buf_init(&scratch, 30);
	ck_assert_int_eq(http_uri_parse(V("https://a:8443"), &base), 0);
	ck_assert_int_eq(http_target_resolve(&base, V("b"), &scratch, &t), 0);
	ck_view_eq(t.authority, "a:8443");
	ck_view_eq(t.path, "/b");
	ck_assert_int_eq(t.scheme, HTTP_SCHEME_HTTPS);
	ck_assert_int_eq(http_target_resolve(&base, V("12345678901234567"), &scratch, &t),
	                 LARDER_ELIMIT);
	buf_fini(&scratch);
}
END_TEST

UNIT_MAIN("http/target", tcase_add_loop_test(tc, good_rows, 0, ARRAY_LEN(good));
          tcase_add_loop_test(tc, bad_rows, 0, ARRAY_LEN(bad));
          tcase_add_loop_test(tc, host_rows, 0, ARRAY_LEN(hosts));
          tcase_add_loop_test(tc, key_rows, 0, ARRAY_LEN(keys));
          tcase_add_loop_test(tc, reference_rows, 0, ARRAY_LEN(references));
          tcase_add_test(tc, reference_port);)
