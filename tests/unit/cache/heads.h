/* Heads for the tests of room cache, out of short texts: "Name: value\nName: value". */
#ifndef LARDER_TESTS_CACHE_HEADS_H
#define LARDER_TESTS_CACHE_HEADS_H

#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "cache/rules.h"
#include "http/framing.h"

/* Sun, 06 Nov 1994 08:49:37 GMT, the moment at which these tests happen. */
#define NOW    784111777
#define DATE   "Date: Sun, 06 Nov 1994 08:49:37 GMT\n"
#define LATER  "Sun, 06 Nov 1994 08:50:37 GMT" /* by 60 s */
#define BEFORE "Sun, 06 Nov 1994 08:48:37 GMT" /* by 60 s */
#define SAME   "Sun, 06 Nov 1994 08:49:37 GMT"

struct head_text {
	struct http_head head;
	struct http_field fields[80];
	struct buf text;
};

static inline void head_start(struct head_text *h, const char *lines)
{
	for (; *lines; lines++) {
		if (*lines == '\n')
			buf_addc(&h->text, '\r');
		buf_addc(&h->text, *lines);
	}
	if (h->text.len && h->text.data[h->text.len - 1] != '\n')
		BUF_ADD_LIT(&h->text, "\r\n");
	BUF_ADD_LIT(&h->text, "\r\n");
	ck_assert_int_eq(h->text.err, 0);
	http_head_init(&h->head, h->fields, ARRAY_LEN(h->fields));
}

static inline const struct http_head *head_response(struct head_text *h, unsigned status,
						    const char *lines)
{
	struct http_fault fault = {0, ""};
	int64_t n;

	buf_init(&h->text, 65536);
	buf_printf(&h->text, "HTTP/1.1 %u Text\r\n", status);
	head_start(h, lines);
	n = http_parse_response(&h->head, buf_view(&h->text), 65536, &fault);
	ck_assert_msg(n > 0, "%s: \"%s\"", fault.text, lines);
	http_head_mark_hops(&h->head);
	return &h->head;
}

static inline const struct http_head *head_request(struct head_text *h, const char *method,
						   const char *lines)
{
	struct http_fault fault = {0, ""};
	struct http_scan scan = {0};
	int64_t n;

	buf_init(&h->text, 65536);
	buf_printf(&h->text, "%s / HTTP/1.1\r\n", method);
	head_start(h, lines);
	n = http_parse_request(&h->head, &scan, buf_view(&h->text), 8192, 65536, &fault);
	ck_assert_msg(n > 0, "%s: \"%s\"", fault.text, lines);
	http_head_mark_hops(&h->head);
	return &h->head;
}

static inline void head_end(struct head_text *h)
{
	buf_fini(&h->text);
}

static inline struct cache_options head_options(void)
{
	return (struct cache_options){
		.heuristic_percent = 10,
		.heuristic_max = 86400000,
		.request_directives = true,
		.keep_stale = 2592000000,
		.store_set_cookie = true,
	};
}

#endif
