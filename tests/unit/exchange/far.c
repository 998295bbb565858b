/* The origin that a test plays: what room origin promises, callback by callback. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define FARS_MAX 256

struct origin {
	struct far *fars[FARS_MAX];
};
struct origin_transfer {
	struct far far;
};

static struct origin origin;
unsigned nfars;
size_t far_piece;

struct origin *rig_origin(void)
{
	nfars = 0;
	return &origin;
}

void rig_origin_free(void)
{
	for (unsigned i = 0; i < nfars; i++) {
		ck_assert_msg(far(i)->done || far(i)->cancelled, "transfer %u was left running", i);
		buf_fini(&far(i)->request);
		free(origin.fars[i]);
	}
	nfars = 0;
}

struct far *far(unsigned n)
{
	ck_assert_uint_lt(n, nfars);
	return origin.fars[n];
}

static struct far *running(unsigned n)
{
	ck_assert_msg(!far(n)->done && !far(n)->cancelled, "transfer %u is over", n);
	return far(n);
}

struct origin_transfer *origin_start(struct origin *o, const struct origin_request *req,
                                     const struct origin_handlers *h, void *arg)
{
	struct origin_transfer *t;

	rig_quiet++;
	t = calloc(1, sizeof(*t));
	ck_assert(t && nfars < FARS_MAX);
	t->far = (struct far){.h = *h, .arg = arg};
	buf_init(&t->far.request, 1 << 20);
	buf_printf(&t->far.request, "%.*s %.*s\r\n", VFMT(req->method), VFMT(req->target));
	for (unsigned i = 0; i < req->nfields; i++)
		buf_printf(&t->far.request, "%.*s\r\n", VFMT(req->fields[i]));
	o->fars[nfars++] = &t->far;
	rig_quiet--;
	return t;
}

void origin_resume(struct origin_transfer *t)
{
	t->far.resumes++;
}

void origin_set_piece(struct origin *o, size_t bytes)
{
	ck_assert_ptr_eq(o, &origin);
	far_piece = bytes;
}

void origin_body_ready(struct origin_transfer *t)
{
	t->far.wakes++;
}

void origin_cancel(struct origin_transfer *t)
{
	rig_quiet++;
	ck_assert(!t->far.done);
	t->far.cancelled = true;
	rig_quiet--;
}

static void parse(const char *text, struct buf *raw, struct http_head *h, struct http_field *fields,
                  unsigned n)
{
	struct http_fault fault;

	buf_init(raw, 1 << 20);
	ck_assert_int_eq(buf_printf(raw, "%s\r\n", text), 0);
	http_head_init(h, fields, n);
	ck_assert_msg(http_parse_response(h, buf_view(raw), 1 << 20, &fault) > 0, "%s: %s", text, fault.text);
}

static struct origin_info info(void)
{
	struct origin_info i = {.request_time = rig.now, .response_time = rig.now};

	ck_assert_int_eq(addr_parse_ip(V("192.0.2.1"), 80, &i.addr), 0);
	return i;
}

int far_head(unsigned n, const char *text)
{
	struct far *f = running(n);
	struct origin_info i = info();
	enum http_framing framing;
	struct http_field fields[64];
	struct http_fault fault;
	struct http_head h;
	struct buf raw;
	uint64_t length;
	int r;

	parse(text, &raw, &h, fields, 64);
	ck_assert_int_eq(http_response_framing(&h, HTTP_METHOD_GET, &framing, &length, &fault), 0);
	INTO(r = f->h.head(f->arg, &h, length, &i));
	/* The head's views are valid during the call only. */
	memset(raw.data, '!', raw.len);
	buf_fini(&raw);
	if (r < 0 && !f->cancelled)
		far_done(n, r);
	return r;
}

void far_interim(unsigned n, const char *text)
{
	struct far *f = running(n);
	struct http_field fields[64];
	struct http_head h;
	struct buf raw;

	parse(text, &raw, &h, fields, 64);
	INTO(f->h.interim(f->arg, &h));
	buf_fini(&raw);
}

void far_switch(unsigned n, const char *text, int fd)
{
	struct far *f = running(n);
	struct origin_info i = info();
	struct net_stream s = {.fd = fd};
	struct http_field fields[64];
	struct http_head h;
	struct buf raw;

	parse(text, &raw, &h, fields, 64);
	f->done = true;
	INTO(f->h.switched(f->arg, &h, s, &i));
	buf_fini(&raw);
}

static int give(unsigned n, char *data, size_t len)
{
	struct far *f = running(n);
	int r;

	INTO(r = f->h.data(f->arg, view_make(data, len)));
	if (r < 0 && !f->cancelled)
		far_done(n, r);
	return r;
}

int far_data(unsigned n, const char *text)
{
	char *copy = strdup(text);
	int r = give(n, copy, strlen(copy));

	free(copy);
	return r;
}

int far_fill(unsigned n, char c, size_t len)
{
	char *data = malloc(len);
	int r;

	ck_assert_ptr_nonnull(data);
	memset(data, c, len);
	r = give(n, data, len);
	free(data);
	return r;
}

static void end(unsigned n, int err, const char *trailers)
{
	struct far *f = running(n);
	struct origin_result r = {.err = err, .trailers = view_of(trailers)};

	if (err) {
		r.proxy_error = "connection_terminated";
		r.detail = "The origin failed.";
	}
	f->done = true;
	INTO(f->h.done(f->arg, &r));
}

void far_done(unsigned n, int err)
{
	end(n, err, "");
}

void far_trailers(unsigned n, const char *lines)
{
	end(n, 0, lines);
}

ssize_t far_body(unsigned n, char *dst, size_t room)
{
	struct far *f = running(n);
	ssize_t r;

	INTO(r = f->h.body(f->arg, dst, room));
	if (r < 0 && r != LARDER_EAGAIN && !f->cancelled)
		far_done(n, (int)r);
	return r;
}

void far_answer(unsigned n, const char *head, const char *body)
{
	if (far_head(n, head) < 0 || far(n)->cancelled || far(n)->done)
		return;
	if (*body && (far_data(n, body) < 0 || far(n)->cancelled))
		return;
	far_done(n, 0);
}

bool far_asked(unsigned n, const char *line)
{
	struct view rest = buf_view(&far(n)->request), one;

	while (rest.len) {
		one = view_cut(rest, '\n', &rest);
		if (one.len && view_ieq(view_make(one.ptr, one.len - 1), view_of(line)))
			return true;
	}
	return false;
}
