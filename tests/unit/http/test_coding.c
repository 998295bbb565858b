/* Content codings of responses, and what requests take (RFC 9110 §8.4, §12.5.3). */
#include "unit.h"

#include "http/value.h"

static void parse(struct http_head *h, struct http_field *fields, const char *lines)
{
	struct http_fault fault;

	http_head_init(h, fields, 8);
	ck_assert_int_eq(http_parse_fields(h, view_of(lines), &fault), 0);
}

static const struct {
	const char *lines;
	enum http_coding coding;
} contents[] = {
	{"", HTTP_CODING_NONE},
	{"Content-Encoding: gzip\r\n", HTTP_CODING_GZIP},
	{"Content-Encoding: GZip\r\n", HTTP_CODING_GZIP},
	{"Content-Encoding: x-gzip\r\n", HTTP_CODING_GZIP}, /* §8.4.1.3 */
	{"Content-Encoding: deflate\r\n", HTTP_CODING_DEFLATE},
	{"Content-Encoding: identity\r\n", HTTP_CODING_NONE},
	{"Content-Encoding: identity, gzip\r\n", HTTP_CODING_GZIP},
	{"Content-Encoding: ,\r\n", HTTP_CODING_NONE},
	{"Content-Encoding: br\r\n", HTTP_CODING_OTHER},
	{"Content-Encoding: gzip, gzip\r\n", HTTP_CODING_OTHER},
	{"Content-Encoding: gzip\r\nContent-Encoding: br\r\n", HTTP_CODING_OTHER},
	{"Content-Encoding: gzip;x=y\r\n", HTTP_CODING_OTHER},
};

START_TEST(finds_codings)
{
	struct http_field fields[8];
	struct http_head h;

	parse(&h, fields, contents[_i].lines);
	ck_assert_int_eq(http_content_coding(&h), contents[_i].coding);
}
END_TEST

static const struct {
	const char *lines, *coding;
	int weight;
} accepts[] = {
	/* §12.5.3 1: without the field every coding is fine. */
	{"", "gzip", HTTP_CODING_UNSAID},
	{"", "identity", HTTP_CODING_UNSAID},
	{"Accept-Encoding: gzip\r\n", "gzip", 1000},
	{"Accept-Encoding: GZIP\r\n", "gzip", 1000},
	{"Accept-Encoding: x-gzip\r\n", "gzip", 1000},
	{"Accept-Encoding: gzip;q=0.5, br\r\n", "gzip", 500},
	{"Accept-Encoding: br, gzip ; q=0.123\r\n", "gzip", 123},
	{"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", "gzip", 1000},
	{"Accept-Encoding: gzip;q=0\r\n", "gzip", 0},
	{"Accept-Encoding: gzip;q=0.000\r\n", "gzip", 0},
	{"Accept-Encoding: br\r\n", "gzip", 0},
	{"Accept-Encoding: \r\n", "gzip", 0}, /* an empty one: no coding is wanted */
	{"Accept-Encoding: *\r\n", "gzip", 1000},
	{"Accept-Encoding: *;q=0\r\n", "gzip", 0},
	{"Accept-Encoding: gzip;q=0, *\r\n", "gzip", 0},
	{"Accept-Encoding: *;q=0, gzip\r\n", "gzip", 1000},
	{"Accept-Encoding: gzip;q=7\r\n", "gzip", 1000}, /* no qvalue */
	{"Accept-Encoding: gzip;q=0.1234\r\n", "gzip", 1000},
	/* §12.5.3 2: identity unless it is shut out. */
	{"Accept-Encoding: gzip\r\n", "identity", 1000},
	{"Accept-Encoding: identity;q=0\r\n", "identity", 0},
	{"Accept-Encoding: *;q=0\r\n", "identity", 0},
	{"Accept-Encoding: identity;q=0.2, *;q=0\r\n", "identity", 200},
};

START_TEST(weighs_codings)
{
	struct http_field fields[8];
	struct http_head h;

	parse(&h, fields, accepts[_i].lines);
	ck_assert_int_eq(http_coding_weight(&h, view_of(accepts[_i].coding)), accepts[_i].weight);
}
END_TEST

UNIT_MAIN("http/coding", tcase_add_loop_test(tc, finds_codings, 0, (int)(sizeof(contents) / sizeof(contents[0])));
          tcase_add_loop_test(tc, weighs_codings, 0, (int)(sizeof(accepts) / sizeof(accepts[0])));)
