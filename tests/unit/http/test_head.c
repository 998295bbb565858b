/* Names, finding fields, walking lists, hop-by-hop fields. */
#include "unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/error.h"
#include "http/head.h"

static struct http_field fields[300];
static struct http_head head;

static const struct http_head *parse(const char *text)
{
	struct http_fault fault;

	http_head_init(&head, fields, ARRAY_LEN(fields));
	ck_assert_int_eq(http_parse_fields(&head, view_of(text), &fault), 0);
	return &head;
}

static const char *const names[HTTP_NAME_COUNT] = {
#define FIELD(id, text, flags) [HTTP_##id] = text,
#include "http/fields.def"
#undef FIELD
};

START_TEST(name_lookup)
{
	char text[64];

	for (int i = 1; i < HTTP_NAME_COUNT; i++) {
		struct view name = view_of(names[i]);

		ck_assert_int_eq(http_name_lookup(name), i);
		for (size_t j = 0; j < name.len; j++)
			text[j] = (char)(j % 2 ? view_lower_byte((unsigned char)name.ptr[j])
			                       : name.ptr[j] & ~(name.ptr[j] > '@' ? 0x20 : 0));
		ck_assert_int_eq(http_name_lookup(view_make(text, name.len)), i);
		text[name.len] = 'x';
		ck_assert_int_eq(http_name_lookup(view_make(text, name.len + 1)), HTTP_OTHER);
		ck_assert_int_eq(http_name_lookup(view_make(text + 1, name.len - 1)), HTTP_OTHER);
	}
	ck_assert_int_eq(http_name_lookup(V("")), HTTP_OTHER);
	ck_assert_int_eq(http_name_lookup(V("Hosx")), HTTP_OTHER);
}
END_TEST

START_TEST(method_lookup)
{
	static const struct {
		struct view token;
		enum http_method id;
		bool safe, idempotent;
	} rows[] = {
#define METHOD(id, safe, idempotent) {V(#id), HTTP_METHOD_##id, safe, idempotent},
#include "http/methods.def"
#undef METHOD
	        {V("get"), HTTP_METHOD_OTHER, false, false}, /* RFC 9110 §9.1: case-sensitive */
	        {V("GETS"), HTTP_METHOD_OTHER, false, false},
	        {V(""), HTTP_METHOD_OTHER, false, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum http_method m = http_method_lookup(rows[i].token);

		ck_assert_int_eq(m, rows[i].id);
		ck_assert_int_eq(http_method_safe(m), rows[i].safe);
		ck_assert_int_eq(http_method_idempotent(m), rows[i].idempotent);
	}
}
END_TEST

START_TEST(reasons)
{
	ck_assert_str_eq(http_reason(200), "OK");
	ck_assert_str_eq(http_reason(504), "Gateway Timeout");
	ck_assert_str_eq(http_reason(299), "");
	ck_assert_str_eq(http_reason(70000), "");
}
END_TEST

START_TEST(finding)
{
	const struct http_head *h =
	        parse("Age: 1\r\nX-One: 2\r\nage: 3\r\nx-one: 4\r\nDate: 5\r\n");

	ck_view_eq(http_find(h, HTTP_AGE, 0)->value, "1");
	ck_view_eq(http_find(h, HTTP_AGE, 1)->value, "3");
	ck_assert_ptr_null(http_find(h, HTTP_AGE, 3));
	ck_assert_ptr_null(http_find(h, HTTP_ETAG, 0));
	ck_view_eq(http_find_text(h, V("X-ONE"), 2)->value, "4");
	ck_assert_ptr_null(http_find_text(h, V("X-On"), 0));
	ck_view_eq(http_only(h, HTTP_DATE), "5");
	ck_assert_ptr_null(http_only(h, HTTP_AGE).ptr);
	ck_assert_ptr_null(http_only(h, HTTP_ETAG).ptr);
}
END_TEST

/* Members joined by "|" (RFC 9110 §5.6.1). */
static const struct {
	const char *fields, *members;
} lists[] = {
	{"Via: a\r\n", "a"},
	{"Via: a, b ,c\r\n", "a|b|c"},
	{"Via: a\r\nAge: x\r\nVia: b,c\r\n", "a|b|c"},
	{"Via:\r\n", ""},
	{"Via: , ,,\t,a,,\r\nVia:\r\nVia: b\r\n", "a|b"},
	{"Via: a=\"b,c\", d\r\n", "a=\"b,c\"|d"},
	{"Via: a=\"b\\\",c\", d\r\n", "a=\"b\\\",c\"|d"},
	{"Via: \"\", \"a\"\r\n", "\"\"|\"a\""},
	{"Via: \"a, b\r\nVia: c\r\n", "\"a, b|c"},
	{"Via: \"a\\\r\nVia: c\r\n", "\"a\\|c"},
	{"Via: 1.1 a (b, (c, d), e), f\r\n", "1.1 a (b, (c, d), e)|f"},
	{"Via: 1.1 a (b \\), c), f\r\n", "1.1 a (b \\), c)|f"},
	{"Via: 1.1 a (b, c\r\n", "1.1 a (b, c"},
	{"Via: a(b, c)\r\n", "a(b|c)"},
	/* RFC 9110 §8.8.3: no escapes in entity-tags */
	{"If-None-Match: \"a\\\", \"b\"\r\n", "\"a\\\"|\"b\""},
	{"X-None-Such: a\r\nX-None-Such: b\r\n", "a|b"},
};

START_TEST(list_rows)
{
	const struct http_head *h = parse(lists[_i].fields);
	struct http_list list;
	struct view member;
	char joined[100] = "";

	http_list_init_text(&list, h, h->fields[0].name);
	while (http_list_next(&list, &member)) {
		size_t len = strlen(joined);

		snprintf(joined + len, sizeof(joined) - len, "%s%.*s", len ? "|" : "",
		         VFMT(member));
	}
	ck_assert_str_eq(joined, lists[_i].members);
	ck_assert(!http_list_next(&list, &member));
}
END_TEST

START_TEST(members)
{
	struct view rest = V(" no-cache=\"a, b\", max-age=5"), member;

	ck_assert(http_member_next(&rest, &member));
	ck_view_eq(member, "no-cache=\"a, b\"");
	ck_assert(http_member_next(&rest, &member));
	ck_view_eq(member, "max-age=5");
	ck_assert(!http_member_next(&rest, &member));
}
END_TEST

START_TEST(list_has)
{
	const struct http_head *h =
	        parse("Connection: a;q=1, Close\r\nConnection: keep-alive ;x\r\n");

	ck_assert(http_list_has(h, HTTP_CONNECTION, V("close")));
	ck_assert(http_list_has(h, HTTP_CONNECTION, V("A")));
	ck_assert(http_list_has(h, HTTP_CONNECTION, V("Keep-Alive")));
	ck_assert(!http_list_has(h, HTTP_CONNECTION, V("clos")));
	ck_assert(!http_list_has(h, HTTP_VIA, V("close")));
}
END_TEST

/* RFC 9110 §7.6.1: the names of the marked fields. */
static const struct {
	const char *fields, *hops;
} hops[] = {
	{"A: 1\r\nDate: 2\r\n", ""},
	{"Connection: close\r\nA: 1\r\n", "Connection "},
	{"Keep-Alive: 1\r\nProxy-Connection: 2\r\nTE: 3\r\nTransfer-Encoding: chunked\r\nUpgrade: "
         "x\r\n",
         "Keep-Alive Proxy-Connection TE Transfer-Encoding Upgrade "},
	{"A: 1\r\nB: 2\r\na: 3\r\nConnection: x, A\r\n", "A a Connection "},
	{"Connection: A\r\nB: 2\r\nA: 3\r\nconnection: b\r\n", "Connection B A connection "},
	{"Connection: Referer, Warning\r\nReferer: 1\r\nVia: 2\r\nWarning: 3\r\n",
         "Connection Referer Warning "},
	{"Connection: Content-Length, Host, Cache-Control, Authorization, Age, Cookie\r\n"
         "Content-Length: 1\r\nHost: 2\r\nCache-Control: 3\r\nAuthorization: 4\r\nAge: "
         "5\r\nCookie: 6\r\n",
         "Connection "},
};

static void check_hops(const char *text, const char *expected)
{
	struct http_head *h = (struct http_head *)parse(text);
	char marked[200] = "";

	http_head_mark_hops(h);
	for (unsigned i = 0; i < h->nfields; i++) {
		size_t len = strlen(marked);

		if (h->fields[i].hop)
			snprintf(marked + len, sizeof(marked) - len, "%.*s ",
			         VFMT(h->fields[i].name));
	}
	ck_assert_str_eq(marked, expected);
}

START_TEST(hop_rows)
{
	check_hops(hops[_i].fields, hops[_i].hops);
}
END_TEST

/* More than 128 names in Connection. */
START_TEST(hops_overflow)
{
	for (int many = 128; many <= 129; many++) {
		struct buf text;

		buf_init(&text, 1000);
		buf_printf(&text, "X-Other: 1\r\nHost: 2\r\nConnection: ");
		for (int i = 0; i < many; i++)
			buf_printf(&text, "x,");
		buf_printf(&text, "\r\n");
		check_hops(buf_cstr(&text), many == 128 ? "Connection " : "X-Other Connection ");
		buf_fini(&text);
	}
}
END_TEST

UNIT_MAIN("http/head", tcase_add_test(tc, name_lookup); tcase_add_test(tc, method_lookup);
          tcase_add_test(tc, reasons); tcase_add_test(tc, finding);
          tcase_add_loop_test(tc, list_rows, 0, ARRAY_LEN(lists)); tcase_add_test(tc, members);
          tcase_add_test(tc, list_has); tcase_add_loop_test(tc, hop_rows, 0, ARRAY_LEN(hops));
          tcase_add_test(tc, hops_overflow);)
