/* Request heads and what is read from them: framing, target, hop-by-hop fields. */
#include "fuzz.h"

#include "base/buf.h"
#include "http/framing.h"
#include "http/target.h"

#define FIELDS   16
#define MAX_LINE 256
#define MAX_HEAD 1024

struct result {
	int64_t n;
	struct http_fault fault;
	struct http_head head;
	struct http_field fields[FIELDS];
};

static void parse(struct result *r, struct http_scan *scan, struct view in)
{
	http_head_init(&r->head, r->fields, FIELDS);
	r->fault = (struct http_fault){0};
	r->n = http_parse_request(&r->head, scan, in, MAX_LINE, MAX_HEAD, &r->fault);
	if (r->n < 0)
		check(r->fault.text && r->fault.status >= 400 && r->fault.status <= 505);
}

/* Feeds growing beginnings, each at a new place, and compares the verdict. */
static void split(const struct result *whole, struct view in, size_t step)
{
	struct http_scan scan = {0};
	struct result r = {0};
	size_t n = 0;

	do {
		char *copy;

		n = n + step < in.len ? n + step : in.len;
		copy = fuzz_copy(view_make(in.ptr, n));
		parse(&r, &scan, view_make(copy, n));
		free(copy);
	} while (r.n == HTTP_MORE && n < in.len);
	check(r.n == whole->n);
	check(r.fault.status == whole->fault.status && r.fault.text == whole->fault.text);
	if (r.n > 0)
		check(r.head.nfields == whole->head.nfields);
}

/* Writes the head anew; parsing that must give the same. */
static void rewrite(const struct http_head *h)
{
	struct http_scan scan = {0};
	struct result again;
	struct buf text;

	buf_init(&text, 64 * 1024);
	buf_printf(&text, "%.*s %.*s HTTP/1.%u\r\n", VFMT(h->method_text), VFMT(h->target), h->minor);
	for (unsigned i = 0; i < h->nfields; i++) {
		buf_addv(&text, h->fields[i].name);
		BUF_ADD_LIT(&text, ":");
		buf_addv(&text, h->fields[i].value);
		BUF_ADD_LIT(&text, "\r\n");
	}
	check(BUF_ADD_LIT(&text, "\r\n") == 0);
	parse(&again, &scan, buf_view(&text));
	check(again.n == (int64_t)text.len && again.head.nfields == h->nfields);
	check(again.head.method == h->method && again.head.minor == h->minor);
	for (unsigned i = 0; i < h->nfields; i++) {
		check(view_eq(again.fields[i].name, h->fields[i].name));
		check(view_eq(again.fields[i].value, h->fields[i].value));
		check(again.fields[i].id == h->fields[i].id);
	}
	buf_fini(&text);
}

static void inspect(struct http_head *h, struct view in)
{
	struct http_fault fault = {0};
	struct http_target target;
	enum http_framing framing;
	uint64_t length;
	int err = http_request_framing(h, &framing, &length, &fault);

	check(err == 0 || (fault.text && (fault.status == 400 || fault.status == 501)));
	if (err == 0 && framing == HTTP_BODY_CHUNKED)
		check(h->minor > 0 && !http_find(h, HTTP_CONTENT_LENGTH, 0));
	if (http_target_parse(h, HTTP_SCHEME_HTTP, true, &target, &fault) == 0) {
		check(target.host.len || h->minor == 0);
		check(fuzz_inside(target.path, in) || view_eq(target.path, V("/")) ||
		      view_eq(target.path, V("*")));
	} else {
		check(fault.text && fault.status == 400);
	}
	http_keeps_alive(h);
	http_head_mark_hops(h);
	for (unsigned i = 0; i < h->nfields; i++) {
		check(fuzz_inside(h->fields[i].name, in) && fuzz_inside(h->fields[i].value, in));
		check(!(h->fields[i].id == HTTP_HOST && h->fields[i].hop));
		check(!(h->fields[i].id == HTTP_TRANSFER_ENCODING && !h->fields[i].hop));
	}
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view in = view_make(data, len);
	struct http_scan scan = {0};
	struct result whole;

	parse(&whole, &scan, in);
	split(&whole, in, 1);
	split(&whole, in, 7);
	if (whole.n > 0) {
		check((size_t)whole.n <= len);
		rewrite(&whole.head);
		inspect(&whole.head, in);
	}
	return 0;
}
