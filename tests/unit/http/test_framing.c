/* How long a body is: the rules against smuggling (RFC 9112 §6). */
#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "http/framing.h"

#define NONE    HTTP_BODY_NONE
#define LENGTH  HTTP_BODY_LENGTH
#define CHUNKED HTTP_BODY_CHUNKED
#define CLOSE   HTTP_BODY_CLOSE
#define UNKNOWN HTTP_LENGTH_UNKNOWN

static struct http_field fields[20];
static struct http_head head;

static struct http_head *parse(const char *text)
{
	struct http_fault fault;

	http_head_init(&head, fields, ARRAY_LEN(fields));
	ck_assert_int_eq(http_parse_fields(&head, view_of(text), &fault), 0);
	return &head;
}

struct row {
	const char *method, *fields;
	int minor, status, fault;
	enum http_framing framing;
	uint64_t length;
};

#define TE "Transfer-Encoding: "
#define CL "Content-Length: "

static const struct row requests[] = {
	{"GET", "", 1, 0, 0, NONE, 0},
	{"POST", CL "0\r\n", 1, 0, 0, LENGTH, 0},
	{"POST", CL "12\r\n", 0, 0, 0, LENGTH, 12},
	{"GET", CL "012\r\n", 1, 0, 0, LENGTH, 12},
	{"POST", CL "9223372036854775807\r\n", 1, 0, 0, LENGTH, INT64_MAX},
	{"POST", TE "chunked\r\n", 1, 0, 0, CHUNKED, UNKNOWN},
	{"POST", TE " CHUNKed \r\n", 1, 0, 0, CHUNKED, UNKNOWN},
	/* RFC 9110 §8.6, RFC 9112 §6.3 rule 5 */
	{"POST", CL "5\r\n" CL "6\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "5\r\n" CL "5\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "5, 5\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "5,6\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "+5\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "-5\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "0x5\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "5 5\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "5.0\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "5;a\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "\"5\"\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "9223372036854775808\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "18446744073709551621\r\n", 1, 0, 400, 0, 0},
	/* RFC 9112 §6.1 */
	{"POST", TE "chunked\r\n" CL "5\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "5\r\n" TE "chunked\r\n", 1, 0, 400, 0, 0},
	{"POST", CL "x\r\n" TE "chunked\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "identity\r\n" CL "5\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "chunked\r\n", 0, 0, 400, 0, 0},
	/* RFC 9112 §6.3 rule 4, §7.1 */
	{"POST", TE "chunked\r\n" TE "chunked\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "gzip\r\n" TE "chunked\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "chunked, chunked\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "chunked, identity\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "chunked, gzip\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "identity\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "gzip\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "xchunked\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "chunkedx\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "\"chunked\"\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "chunked;a=b\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "chunked,\r\n", 1, 0, 400, 0, 0},
	{"POST", TE "gzip, chunked\r\n", 1, 0, 501, 0, 0},
	{"POST", TE "a;b=\"c\", chunked\r\n", 1, 0, 501, 0, 0},
	/* RFC 9110 §9.3.6 */
	{"CONNECT", "", 1, 0, 0, NONE, 0},
	{"CONNECT", CL "0\r\n", 1, 0, 0, LENGTH, 0},
	{"CONNECT", CL "5\r\n", 1, 0, 400, 0, 0},
	{"CONNECT", TE "chunked\r\n", 1, 0, 400, 0, 0},
};

static const struct row responses[] = {
	/* RFC 9112 §6.3 */
	{"GET", "", 1, 200, 0, CLOSE, UNKNOWN},
	{"GET", CL "0\r\n", 1, 200, 0, LENGTH, 0},
	{"GET", CL "7\r\n", 0, 200, 0, LENGTH, 7},
	{"GET", TE "chunked\r\n", 1, 200, 0, CHUNKED, UNKNOWN},
	{"HEAD", CL "7\r\n", 1, 200, 0, NONE, 7},
	{"HEAD", "", 1, 200, 0, NONE, UNKNOWN},
	{"HEAD", TE "chunked\r\n", 1, 200, 0, NONE, UNKNOWN},
	{"GET", CL "7\r\n", 1, 304, 0, NONE, 7},
	{"GET", CL "7\r\n", 1, 204, 0, NONE, 0},
	{"GET", "", 1, 204, 0, NONE, 0},
	{"GET", "", 1, 103, 0, NONE, 0},
	{"GET", "", 1, 101, 0, NONE, 0},
	{"CONNECT", CL "7\r\n" TE "chunked\r\n", 1, 200, 0, NONE, 0},
	{"CONNECT", CL "7\r\n", 1, 403, 0, LENGTH, 7},
	{"GET", CL "7\r\n" CL "7\r\n", 1, 200, 502, 0, 0},
	{"GET", CL "7, 7\r\n", 1, 200, 502, 0, 0},
	{"GET", CL "x\r\n", 1, 200, 502, 0, 0},
	{"HEAD", CL "x\r\n", 1, 200, 502, 0, 0},
	{"GET", CL "99999999999999999999\r\n", 1, 200, 502, 0, 0},
	{"GET", CL "7\r\n" TE "chunked\r\n", 1, 200, 502, 0, 0},
	{"GET", TE "chunked\r\n" TE "chunked\r\n", 1, 200, 502, 0, 0},
	{"GET", TE "chunked\r\n", 0, 200, 502, 0, 0},
	{"GET", TE "gzip\r\n", 1, 200, 502, 0, 0},
	{"GET", TE "gzip, chunked\r\n", 1, 200, 502, 0, 0},
	{"GET", TE "chunked, gzip\r\n", 1, 200, 502, 0, 0},
};

static void check_row(const struct row *r, int err, enum http_framing framing, uint64_t length,
                      const struct http_fault *fault)
{
	ck_assert_msg((err < 0) == (r->fault != 0), "%s %s: %d", r->method, r->fields, err);
	if (err < 0) {
		ck_assert_int_eq(err, LARDER_EPROTO);
		ck_assert_msg(fault->status == r->fault, "%s: %d", r->fields, fault->status);
		ck_assert_ptr_nonnull(fault->text);
		return;
	}
	ck_assert_msg(framing == r->framing, "%s %s: %d", r->method, r->fields, framing);
	ck_assert_msg(length == r->length, "%s %s: %lu", r->method, r->fields,
	              (unsigned long)length);
}

START_TEST(request_rows)
{
	const struct row *r = &requests[_i];
	struct http_head *h = parse(r->fields);
	struct http_fault fault = {0};
	enum http_framing framing;
	uint64_t length;
	int err;

	h->minor = (uint8_t)r->minor;
	h->method = (uint8_t)http_method_lookup(view_of(r->method));
	err = http_request_framing(h, &framing, &length, &fault);
	check_row(r, err, framing, length, &fault);
}
END_TEST

START_TEST(response_rows)
{
	const struct row *r = &responses[_i];
	struct http_head *h = parse(r->fields);
	struct http_fault fault = {0};
	enum http_framing framing;
	uint64_t length;
	int err;

	h->minor = (uint8_t)r->minor;
	h->status = (uint16_t)r->status;
	err = http_response_framing(h, http_method_lookup(view_of(r->method)), &framing, &length,
	                            &fault);
	check_row(r, err, framing, length, &fault);
}
END_TEST

/* RFC 9112 §9.3 */
START_TEST(keeping_alive)
{
	static const struct {
		const char *fields, *target;
		int minor, status;
		bool keeps;
	} rows[] = {
	        {"", "/", 1, 0, true},
	        {"Connection: close\r\n", "/", 1, 0, false},
	        {"Connection: x, CLOSE\r\n", "/", 1, 0, false},
	        {"Connection: keep-alive\r\nConnection: close\r\n", "/", 1, 0, false},
	        {"", "/", 0, 0, false},
	        {"Connection: Keep-Alive\r\n", "/", 0, 0, true},
	        {"Connection: keep-alive, close\r\n", "/", 0, 0, false},
	        {"Connection: keep-alive\r\n", "http://a/", 0, 0, false},
	        {"Proxy-Connection: keep-alive\r\n", "http://a/", 0, 0, false},
	        {"Connection: keep-alive\r\n", "", 0, 200, true},
	        {"", "", 0, 200, false},
	        {"", "", 1, 200, true},
	        {"", "/", 2, 0, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct http_head *h = parse(rows[i].fields);

		h->minor = (uint8_t)rows[i].minor;
		h->status = (uint16_t)rows[i].status;
		h->target = view_of(rows[i].target);
		ck_assert_msg(http_keeps_alive(h) == rows[i].keeps, "row %zu", i);
	}
}
END_TEST

UNIT_MAIN("http/framing", tcase_add_loop_test(tc, request_rows, 0, ARRAY_LEN(requests));
          tcase_add_loop_test(tc, response_rows, 0, ARRAY_LEN(responses));
          tcase_add_test(tc, keeping_alive);)
