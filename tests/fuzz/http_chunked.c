/* The chunked decoder: the same whole and byte by byte; what it decoded survives a new coding. */
#include "fuzz.h"

#include "base/buf.h"
#include "http/framing.h"

#define MAX_TRAILERS 256
#define MAX_BODY     (1024 * 1024)

struct result {
	int err;
	bool done;
	size_t used;
	struct http_fault fault;
	struct buf body, trailers;
};

static void decode(struct result *r, struct view in, size_t step)
{
	struct http_chunked c;
	struct view data;

	*r = (struct result){0};
	http_chunked_init(&c, MAX_TRAILERS);
	buf_init(&r->body, MAX_BODY);
	while (r->used < in.len && !c.done && r->err >= 0) {
		size_t n = step < in.len - r->used ? step : in.len - r->used;
		struct view part = view_make(in.ptr + r->used, n);

		while ((r->err = http_chunked_next(&c, &part, &data, &r->fault)) == 1) {
			check(data.len && fuzz_inside(data, in));
			buf_addv(&r->body, data);
		}
		check(r->err < 0 || part.len == 0 || c.done);
		r->used += n - part.len;
	}
	check(r->err == 0 || (r->fault.text && (r->fault.status == 400 || r->fault.status == 431)));
	r->done = c.done;
	r->trailers = c.trailers;
}

static void release(struct result *r)
{
	buf_fini(&r->body);
	buf_fini(&r->trailers);
}

/* The body in one chunk, and the trailers: decodes to the same. */
static void again(const struct result *r)
{
	struct result other;
	struct buf text;
	char head[20];

	buf_init(&text, MAX_BODY + 1024);
	if (r->body.len) {
		buf_add(&text, head, http_chunk_head(r->body.len, head));
		buf_addv(&text, buf_view(&r->body));
		BUF_ADD_LIT(&text, "\r\n");
	}
	BUF_ADD_LIT(&text, "0\r\n");
	buf_addv(&text, buf_view(&r->trailers));
	check(BUF_ADD_LIT(&text, "\r\n") == 0);
	decode(&other, buf_view(&text), SIZE_MAX);
	check(other.done && view_eq(buf_view(&other.body), buf_view(&r->body)));
	check(view_eq(buf_view(&other.trailers), buf_view(&r->trailers)));
	release(&other);
	buf_fini(&text);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view in = view_make(data, len);
	struct result whole, bytes;

	decode(&whole, in, SIZE_MAX);
	decode(&bytes, in, 1);
	check(whole.err == bytes.err && whole.done == bytes.done && whole.used == bytes.used);
	check(whole.fault.text == bytes.fault.text);
	check(view_eq(buf_view(&whole.body), buf_view(&bytes.body)));
	check(view_eq(buf_view(&whole.trailers), buf_view(&bytes.trailers)));
	if (whole.done) {
		struct http_field fields[MAX_TRAILERS / 4];
		struct http_fault fault;
		struct http_head h;

		http_head_init(&h, fields, ARRAY_LEN(fields));
		check(http_parse_fields(&h, buf_view(&whole.trailers), &fault) != LARDER_EPROTO);
		again(&whole);
	}
	release(&bytes);
	release(&whole);
	return 0;
}
