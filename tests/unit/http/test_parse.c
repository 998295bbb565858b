/* Heads of requests and responses: what is accepted, what is refused and as what. */
#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "http/head.h"

#define MAX_LINE 64
#define MAX_HEAD 200
#define FIELDS   8

/* A copy at the end of its allocation, so that a byte read too far is seen by ASan. */
static char *exact(const char *ptr, size_t len)
{
	char *copy = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(copy);
	if (len)
		memcpy(copy, ptr, len);
	return copy;
}

struct row {
	struct view text;
	int status;       /* 0: accepted */
	const char *says; /* a part of the fault's text; of accepted ones, what is left */
};

#define HOST "Host: a\r\n"
#define ROW(lit, status, says)                                                                     \
	{                                                                                          \
		V(lit), status, says                                                               \
	}

static const struct row requests[] = {
	/* RFC 9112 §3 */
	ROW("GET / HTTP/1.1\r\n" HOST "\r\n", 0, ""),
	ROW("GET / HTTP/1.0\r\n\r\n", 0, ""),
	ROW("GET / HTTP/1.1\r\n" HOST "\r\nGET /next", 0, "GET /next"),
	ROW("M!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n\r\n", 0, ""),
	ROW("get / HTTP/1.1\r\n\r\n", 0, ""),
	ROW("GET http://a/b?c HTTP/1.1\r\n\r\n", 0, ""),
	ROW("GET /\xc3\xbc|{}[]\"<>^`\\ HTTP/1.1\r\n\r\n", 0, ""),
	ROW("GET  / HTTP/1.1\r\n\r\n", 400, "no target"),
	ROW("GET /  HTTP/1.1\r\n\r\n", 400, "HTTP version"),
	ROW("GET /a b HTTP/1.1\r\n\r\n", 400, "HTTP version"),
	ROW(" GET / HTTP/1.1\r\n\r\n", 400, "begin with a method"),
	ROW("GET\t/ HTTP/1.1\r\n\r\n", 400, "single space"),
	ROW("GET /\tHTTP/1.1\r\n\r\n", 400, "control"),
	ROW("GET / HTTP/1.1 \r\n\r\n", 400, "HTTP version"),
	ROW("G(T / HTTP/1.1\r\n\r\n", 400, "single space"),
	ROW("GET\r\n\r\n", 400, "single space"),
	ROW("GET /\0 HTTP/1.1\r\n\r\n", 400, "control"),
	ROW("GET /\x01 HTTP/1.1\r\n\r\n", 400, "control"),
	ROW("GET /\x7f HTTP/1.1\r\n\r\n", 400, "control"),
	ROW("GET /a#b HTTP/1.1\r\n\r\n", 400, "fragment"),
	ROW("\x16\x03\x01\x02", 400, "begin with a method"),
	/* RFC 9112 §2.3, RFC 9110 §2.5 */
	ROW("GET / HTTP/1.2\r\n\r\n", 0, ""),
	ROW("GET / HTTP/1.9\r\n\r\n", 0, ""),
	ROW("GET / HTTP/2.0\r\n\r\n", 505, "not 1.0 or 1.1"),
	ROW("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "not 1.0 or 1.1"),
	ROW("GET / HTTP/3.0\r\n\r\n", 505, "not 1.0 or 1.1"),
	ROW("GET / HTTP/0.9\r\n\r\n", 505, "not 1.0 or 1.1"),
	ROW("GET / http/1.1\r\n\r\n", 400, "HTTP version"),
	ROW("GET / HTTP/1.10\r\n\r\n", 400, "HTTP version"),
	ROW("GET / HTTP/11.1\r\n\r\n", 400, "HTTP version"),
	ROW("GET / HTTP/1,1\r\n\r\n", 400, "HTTP version"),
	ROW("GET / HTTP/1.\r\n\r\n", 400, "HTTP version"),
	ROW("GET / HTTP/\r\n\r\n", 400, "HTTP version"),
	ROW("GET / ICY/1.1\r\n\r\n", 400, "HTTP version"),
	ROW("GET / HTTP/+1.1\r\n\r\n", 400, "HTTP version"),
	ROW("GET /\r\n", 400, "no HTTP version"),
	ROW("GET / \r\n", 400, "HTTP version"),
	/* RFC 9112 §2.2: line ends, empty lines */
	ROW("\r\nGET / HTTP/1.1\r\n\r\n", 0, ""),
	ROW("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", 0, ""),
	ROW("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400, "empty lines"),
	ROW("\nGET / HTTP/1.1\r\n\r\n", 400, "LF without CR"),
	ROW("\rGET / HTTP/1.1\r\n\r\n", 400, "CR is not followed"),
	ROW("GET / HTTP/1.1\n\r\n", 400, "LF without CR"),
	ROW("GET / HTTP/1.1\r\n" HOST "\n", 400, "LF without CR"),
	ROW("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n", 400, "LF without CR"),
	ROW("GET / HTTP/1.1\r\nA: b\n\n", 400, "LF without CR"),
	ROW("GET / HTTP/1.1\r\n\n", 400, "LF without CR"),
	ROW("GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", 400, "control"),
	ROW("GET / HTTP/1.1\r\nA: b\r\r\n\r\n", 400, "control"),
	ROW("GET / HTTP/1.1\r\nA: b\r\n\rC: d\r\n\r\n", 400, "no token"),
	ROW("GET /\rHTTP/1.1\r\n\r\n", 400, "control"),
	ROW("GET / HTTP/1.1\r\r\n\r\n", 400, "HTTP version"),
	/* RFC 9112 §5: field lines */
	ROW("GET / HTTP/1.1\r\nA:b\r\nC: \t d e \t\r\nF:\r\nG:  \r\n\r\n", 0, ""),
	ROW("GET / HTTP/1.1\r\nA: a\tb\xff\x80:,\"\r\n\r\n", 0, ""),
	ROW("GET / HTTP/1.1\r\nA : b\r\n\r\n", 400, "followed by white space"),
	ROW("GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", 400, "followed by white space"),
	ROW("GET / HTTP/1.1\r\nA\t: b\r\n\r\n", 400, "followed by white space"),
	ROW("GET / HTTP/1.1\r\n: b\r\n\r\n", 400, "empty name"),
	ROW("GET / HTTP/1.1\r\nAb\r\n\r\n", 400, "no colon"),
	ROW("GET / HTTP/1.1\r\nA(b: c\r\n\r\n", 400, "no token"),
	ROW("GET / HTTP/1.1\r\nA\0b: c\r\n\r\n", 400, "no token"),
	ROW("GET / HTTP/1.1\r\nA\xc3: c\r\n\r\n", 400, "no token"),
	ROW("GET / HTTP/1.1\r\n\0: c\r\n\r\n", 400, "no token"),
	ROW("GET / HTTP/1.1\r\nA: b\0c\r\n\r\n", 400, "control"),
	ROW("GET / HTTP/1.1\r\nA: b\x1f\r\n\r\n", 400, "control"),
	ROW("GET / HTTP/1.1\r\nA: 12345678\x7f\r\n\r\n", 400, "control"),
	ROW("GET / HTTP/1.1\r\nA: 1234567\x0b 1234567\r\n\r\n", 400, "control"),
	/* RFC 9112 §5.2, §2.2: folding, white space before the first field */
	ROW("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400, "folded"),
	ROW("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 400, "folded"),
	ROW("GET / HTTP/1.1\r\n A: b\r\n\r\n", 400, "folded"),
	ROW("GET / HTTP/1.1\r\nA: b\r\n \r\n\r\n", 400, "folded"),
	/* Of several faults the first counts. */
	ROW("GET / HTTP/2.0\r\nA : b\r\n\r\n", 505, "not 1.0 or 1.1"),
	ROW("GET / HTTP/1.1\r\nA : b\r\nC: d\n\r\n", 400, "followed by white space"),
	/* Limits (RFC 9110 §5.4, RFC 9112 §3): MAX_LINE is 64, MAX_HEAD 200, FIELDS 8. */
	ROW("GET /01234567890123456789012345678901234567890123456789 HTTP/1.1\r\n\r\n",
	    0, ""),
	ROW("GET /012345678901234567890123456789012345678901234567890 HTTP/1.1\r\n\r\n",
	    414, "request line is too long"),
	ROW("\r\n\r\nGET /01234567890123456789012345678901234567890123456789 HTTP/1.1\r\n\r\n",
	    0, ""),
	ROW("\r\n\r\nGET /012345678901234567890123456789012345678901234567890 HTTP/1.1\r\n\r"
	    "\n",
	    414, "request line is too long"),
	ROW("GET /01234567890123456789012345678901234567890123456789012345678901",
	    414, "request line is too long"),
	ROW("GET / HTTP/1.1\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n",
	    0, ""),
	ROW("GET / HTTP/1.1\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n",
	    431, "too many fields"),
	ROW("GET / HTTP/1.1\r\nA: 01234567890123456789012345678901234567890123456789012345678"
	    "90123456789012345678901234567890123456789012345678901234567890123456789012345678"
	    "901234567890123456789012345678901234567890123456789012\r\n\r\n",
	    0, ""),
	ROW("GET / HTTP/1.1\r\nA: 01234567890123456789012345678901234567890123456789012345678"
	    "90123456789012345678901234567890123456789012345678901234567890123456789012345678"
	    "901234567890123456789012345678901234567890123456789012\r\n\r\nbody",
	    0, "body"),
	ROW("GET / HTTP/1.1\r\nA: 01234567890123456789012345678901234567890123456789012345678"
	    "90123456789012345678901234567890123456789012345678901234567890123456789012345678"
	    "9012345678901234567890123456789012345678901234567890123\r\n\r\n",
	    431, "fields are too large"),
	ROW("GET / HTTP/1.1\r\nA: 01234567890123456789012345678901234567890123456789012345678"
	    "90123456789012345678901234567890123456789012345678901234567890123456789012345678"
	    "901234567890123456789012345678901234567890123456789012345678901234567890123456",
	    431, "fields are too large"),
	ROW("GET / HTTP/1.1\r\nA : b\r\nA: 01234567890123456789012345678901234567890123456789"
	    "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
	    "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
	    "0123456",
	    400, "followed by white space"),
	ROW("GET / HTTP/1.1\r\nA: 01234567890123456789012345678901234567890123456789012345678"
	    "90123456789012345678901234567890123456789012345678901234567890123456789012345678"
	    "901234567890123456789012345678901234567890123456789012345678901234567890123456\n"
	    "A : b\r\n",
	    431, "fields are too large"),
};

struct verdict {
	int64_t result;
	struct http_fault fault;
	unsigned nfields;
};

static struct verdict parse(struct http_scan *scan, const char *ptr, size_t len)
{
	struct http_field fields[FIELDS];
	struct http_head h;
	struct verdict v = {0};
	char *copy = exact(ptr, len);

	http_head_init(&h, fields, FIELDS);
	v.result = http_parse_request(&h, scan, view_make(copy, len), MAX_LINE, MAX_HEAD, &v.fault);
	v.nfields = h.nfields;
	free(copy);
	return v;
}

static void same(const struct verdict *a, const struct verdict *b, const char *how, int row)
{
	ck_assert_msg(a->result == b->result && a->fault.status == b->fault.status &&
	                      a->fault.text == b->fault.text &&
	                      (a->result <= 0 || a->nfields == b->nfields),
	              "row %d %s: %ld %d %s, else %ld %d %s", row, how, (long)b->result,
	              b->fault.status, b->fault.text, (long)a->result, a->fault.status,
	              a->fault.text);
}

/* In pieces of `step` bytes, every call with all bytes so far, at another place each time. */
static struct verdict parse_split(struct view text, size_t step)
{
	struct http_scan scan = {0};
	struct verdict v = {0};

	for (size_t n = step; v.result == HTTP_MORE; n += step) {
		v = parse(&scan, text.ptr, n < text.len ? n : text.len);
		if (n >= text.len)
			break;
	}
	return v;
}

START_TEST(request_rows)
{
	const struct row *r = &requests[_i];
	struct http_scan scan = {0};
	struct verdict whole = parse(&scan, r->text.ptr, r->text.len), split;

	if (r->status == 0) {
		ck_assert_msg(whole.result > 0, "row %d is refused: %s", _i, whole.fault.text);
		ck_view_eq(view_from(r->text, (size_t)whole.result), r->says);
	} else {
		ck_assert_msg(whole.result < 0, "row %d: %ld", _i, (long)whole.result);
		ck_assert_int_eq(whole.fault.status, r->status);
		ck_assert_msg(strstr(whole.fault.text, r->says) != NULL, "row %d says: %s", _i,
		              whole.fault.text);
		ck_assert_int_eq(whole.result == LARDER_ELIMIT,
		                 r->status == 414 || r->status == 431);
	}
	for (size_t step = 1; step < 8; step++) {
		split = parse_split(r->text, step);
		same(&whole, &split, "split", _i);
	}
}
END_TEST

/* Every proper beginning of a good head asks for more. */
START_TEST(request_prefixes)
{
	struct view text = V("\r\nGET / HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n");

	for (size_t n = 0; n < text.len; n++) {
		struct http_scan scan = {0};

		ck_assert_int_eq(parse(&scan, text.ptr, n).result, HTTP_MORE);
	}
}
END_TEST

START_TEST(request_parts)
{
	struct http_field fields[FIELDS];
	struct http_head h;
	struct http_scan scan = {0};
	struct http_fault fault;
	struct view text =
	        V("PUT /x?y HTTP/1.0\r\nhost:  a b \t\r\nX-Y:\r\ncONTENT-lENGTH: 5\r\n\r\nbody");

	http_head_init(&h, fields, FIELDS);
	ck_assert_int_eq(http_parse_request(&h, &scan, text, 100, 100, &fault),
	                 (int64_t)text.len - 4);
	ck_assert_int_eq(h.method, HTTP_METHOD_PUT);
	ck_view_eq(h.method_text, "PUT");
	ck_view_eq(h.target, "/x?y");
	ck_assert_int_eq(h.minor, 0);
	ck_assert_int_eq(h.nfields, 3);
	ck_assert_int_eq(fields[0].id, HTTP_HOST);
	ck_view_eq(fields[0].name, "host");
	ck_view_eq(fields[0].value, "a b");
	ck_assert_int_eq(fields[1].id, HTTP_OTHER);
	ck_view_eq(fields[1].value, "");
	ck_assert_int_eq(fields[2].id, HTTP_CONTENT_LENGTH);
}
END_TEST

static const struct row responses[] = {
	/* RFC 9112 §4 */
	ROW("HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody", 0, "OK"),
	ROW("HTTP/1.0 404 Not \t found \xe4\r\n\r\n", 0, "Not \t found \xe4"),
	ROW("HTTP/1.1 200 \r\n\r\n", 0, ""),
	ROW("HTTP/1.1 200\r\n\r\n", 0, ""),
	ROW("HTTP/1.1 599 x\r\n\r\n", 0, "x"),
	ROW("HTTP/1.1 100 x\r\n\r\n", 0, "x"),
	/* RFC 9110 §15 */
	ROW("HTTP/1.1 600 x\r\n\r\n", 502, "100 to 599"),
	ROW("HTTP/1.1 099 x\r\n\r\n", 502, "100 to 599"),
	ROW("HTTP/1.1 000 x\r\n\r\n", 502, "100 to 599"),
	ROW("HTTP/1.1 +20 x\r\n\r\n", 502, "100 to 599"),
	ROW("HTTP/1.1 20 x\r\n\r\n", 502, "100 to 599"),
	ROW("HTTP/1.1 2000 x\r\n\r\n", 502, "followed by a space"),
	ROW("HTTP/1.1 200\tx\r\n\r\n", 502, "followed by a space"),
	ROW("HTTP/1.1  200 x\r\n\r\n", 502, "100 to 599"),
	ROW("HTTP/1.1\t200 x\r\n\r\n", 502, "malformed"),
	ROW("HTTP/2 200 x\r\n\r\n", 502, "malformed"),
	ROW("HTTP/2.0 200 x\r\n\r\n", 502, "not 1.0 or 1.1"),
	ROW("http/1.1 200 x\r\n\r\n", 502, "HTTP version"),
	ROW("ICY 200 OK\r\n\r\n", 502, "malformed"),
	ROW("\r\nHTTP/1.1 200 x\r\n\r\n", 502, "malformed"),
	ROW("HTTP/1.1 200 a\0b\r\n\r\n", 502, "control"),
	ROW("HTTP/1.1 200 a\rb\r\n\r\n", 502, "control"),
	ROW("HTTP/1.1 200 x\n\r\n", 502, "LF without CR"),
	/* RFC 9112 §5, §5.2 */
	ROW("HTTP/1.1 200 x\r\nA: b\n\r\n", 502, "LF without CR"),
	ROW("HTTP/1.1 200 x\r\nA: b\r\n c\r\n\r\n", 502, "folded"),
	ROW("HTTP/1.1 200 x\r\nA \t: b\r\n\r\n", 0, "x"),
	ROW("HTTP/1.1 200 x\r\nA  \r\n\r\n", 502, "followed by white space"),
	ROW("HTTP/1.1 200 x\r\n : b\r\n\r\n", 502, "begins with white space"),
	ROW("HTTP/1.1 200 x\r\nA b\r\n\r\n", 502, "followed by white space"),
	ROW("HTTP/1.1 200 x\r\nAb\r\n\r\n", 502, "no colon"),
	ROW("HTTP/1.1 200 x\r\nA: b\0\r\n\r\n", 502, "control"),
	ROW("HTTP/1.1 200 x\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n\r\n", 502,
            "too many fields"),
};

START_TEST(response_rows)
{
	const struct row *r = &responses[_i];
	struct http_field fields[FIELDS];
	struct http_head h;
	struct http_fault fault = {0};
	char *copy = exact(r->text.ptr, r->text.len);
	int64_t n;

	http_head_init(&h, fields, FIELDS);
	n = http_parse_response(&h, view_make(copy, r->text.len), MAX_HEAD, &fault);
	if (r->status) {
		ck_assert_msg(n < 0, "row %d is accepted", _i);
		ck_assert_int_eq(fault.status, 502);
		ck_assert_msg(strstr(fault.text, r->says) != NULL, "row %d says: %s", _i,
		              fault.text);
	} else {
		ck_assert_msg(n > 0, "row %d: %s", _i, fault.text);
		ck_view_eq(h.reason, r->says);
		ck_assert_int_eq(h.status, strtol(r->text.ptr + 9, NULL, 10));
	}
	free(copy);
}
END_TEST

START_TEST(response_incomplete)
{
	struct view text = V("HTTP/1.1 200 OK\r\nA: b\r\n\r\n");
	struct http_field fields[FIELDS];
	struct http_head h;
	struct http_fault fault;

	http_head_init(&h, fields, FIELDS);
	for (size_t n = 0; n < text.len; n++)
		ck_assert_int_eq(http_parse_response(&h, view_make(text.ptr, n), 100, &fault),
		                 HTTP_MORE);
	ck_assert_int_eq(http_parse_response(&h, text, 15, &fault), 25);
	ck_assert_int_eq(http_parse_response(&h, text, 14, &fault), LARDER_ELIMIT);
	ck_assert_int_eq(http_parse_response(&h, view_make(text.ptr, 16), 14, &fault),
	                 LARDER_ELIMIT);
}
END_TEST

START_TEST(field_lines)
{
	static const struct {
		struct view text;
		int result, n;
	} rows[] = {
	        {V(""), 0, 0},
	        {V("A: b\r\n"), 0, 1},
	        {V("A: b\r\nC:\r\n"), 0, 2},
	        {V("A: b"), LARDER_EPROTO, 0},
	        {V("A: b\n"), LARDER_EPROTO, 0},
	        {V("A: b\r\n\r\n"), LARDER_EPROTO, 0},
	        {V("A: b\r\n c\r\n"), LARDER_EPROTO, 0},
	        {V("A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n"), LARDER_ELIMIT, 0},
	};
	struct http_field fields[FIELDS];
	struct http_head h;
	struct http_fault fault;

	http_head_init(&h, fields, FIELDS);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_int_eq(http_parse_fields(&h, rows[i].text, &fault), rows[i].result);
		if (!rows[i].result)
			ck_assert_int_eq(h.nfields, rows[i].n);
	}
}
END_TEST

UNIT_MAIN("http/parse", tcase_add_loop_test(tc, request_rows, 0, ARRAY_LEN(requests));
          tcase_add_test(tc, request_prefixes); tcase_add_test(tc, request_parts);
          tcase_add_loop_test(tc, response_rows, 0, ARRAY_LEN(responses));
          tcase_add_test(tc, response_incomplete); tcase_add_test(tc, field_lines);)
