/* Clients that note what they are told. */
#include "rig.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"

/* Every call begins and ends with these. */
static struct peer *enter(void *c)
{
	rig_quiet++;
	return c;
}

static void leave(struct peer *p, enum leave where)
{
	if (p->leave == where)
		peer_leave(p);
	rig_quiet--;
}

static void add_head(struct buf *b, const struct exchange_reply *r)
{
	for (unsigned i = 0; i < r->nhead; i++)
		buf_addv(b, r->head[i]);
}

static void op_interim(void *c, const struct exchange_reply *r)
{
	struct peer *p = enter(c);

	ck_assert_uint_eq(p->replies, 0);
	add_head(&p->interims, r);
	leave(p, LEAVE_INTERIM);
}

static void op_reply(void *c, const struct exchange_reply *r)
{
	struct peer *p = enter(c);

	ck_assert_uint_eq(p->replies++, 0);
	p->status = r->status;
	p->length = r->length;
	p->closes = r->close;
	p->no_body = r->no_body;
	add_head(&p->reply, r);
	if (!r->no_body)
		buf_addv(&p->body, r->body);
	p->ended = r->complete || r->no_body;
	leave(p, LEAVE_REPLY);
}

static size_t op_data(void *c, struct view data)
{
	struct peer *p = enter(c);
	size_t n = data.len < p->room ? data.len : p->room;

	ck_assert(p->replies == 1 && !p->ended && !p->aborted);
	p->room -= n;
	ck_assert_int_eq(buf_add(&p->body, data.ptr, n), 0);
	leave(p, LEAVE_DATA);
	return n;
}

static size_t op_file(void *c, int fd, uint64_t offset, uint64_t len)
{
	struct peer *p = enter(c);
	size_t n = len < p->room ? (size_t)len : p->room;

	ck_assert(p->replies == 1 && !p->ended && !p->aborted);
	ck_assert_int_eq(buf_reserve(&p->body, n), 0);
	ck_assert_int_eq(pread(fd, p->body.data + p->body.len, n, (off_t)offset), (ssize_t)n);
	p->body.len += n;
	p->room -= n;
	leave(p, LEAVE_DATA);
	return n;
}

static void op_end(void *c, struct view trailers)
{
	struct peer *p = enter(c);

	ck_assert(p->replies == 1 && !p->ended && !p->aborted);
	p->ended = true;
	buf_addv(&p->trailers, trailers);
	leave(p, LEAVE_END);
}

static void op_abort(void *c)
{
	struct peer *p = enter(c);

	ck_assert(!p->ended && !p->aborted);
	p->aborted = true;
	leave(p, LEAVE_ABORT);
}

static void op_hold_body(void *c, bool hold)
{
	struct peer *p = enter(c);

	p->held = hold;
	leave(p, LEAVE_HOLD);
}

static void op_detach(void *c)
{
	struct peer *p = enter(c);

	ck_assert(p->ended);
	p->detached = true;
	leave(p, LEAVE_DETACH);
}

static bool op_prefers_memory(void *c)
{
	struct peer *p = c;

	return p->prefers_memory;
}

static const struct exchange_client_ops ops = {
	.prefers_memory = op_prefers_memory,
	.interim = op_interim,
	.reply = op_reply,
	.data = op_data,
	.file = op_file,
	.end = op_end,
	.abort = op_abort,
	.hold_body = op_hold_body,
	.detach = op_detach,
};

void peer_ask(struct peer *p, const struct exchange_listener *l, const char *text)
{
	struct exchange_request req = {.head = &p->head, .target = &p->target, .arrived_us = rig.now * 1000000};
	size_t room = p->room ? p->room : SIZE_MAX;
	enum leave where = p->leave;
	enum http_framing framing;
	struct http_scan scan = {0};
	struct http_fault fault = {0};
	uint64_t *pace = p->pace;
	int err;

	*p = (struct peer){.room = room, .leave = where, .pace = pace};
	req.pace = pace;
	buf_init(&p->text, 1 << 20);
	buf_init(&p->reply, 1 << 20);
	buf_init(&p->body, 64 << 20);
	buf_init(&p->interims, 1 << 20);
	buf_init(&p->trailers, 1 << 20);
	buf_printf(&p->text, "%s\r\n", text);
	http_head_init(&p->head, p->fields, 64);
	ck_assert_msg(http_parse_request(&p->head, &scan, buf_view(&p->text), 1 << 20, 1 << 20, &fault) > 0,
	              "%s: %s", text, fault.text);
	ck_assert_msg(http_target_parse(&p->head, HTTP_SCHEME_HTTP, false, &p->target, &fault) == 0,
	              "%s: %s", text, fault.text);
	ck_assert_int_eq(http_request_framing(&p->head, &framing, &req.length, &fault), 0);
	req.has_body = framing != HTTP_BODY_NONE;
	ck_assert_int_eq(addr_parse_ip(V("127.0.0.1"), 40000, &req.client), 0);
	INTO(err = exchange_new(rig.env, l, &req, &ops, p, &p->x));
	ck_assert(err == 0 || (err == LARDER_ENOMEM && !p->x && !p->replies));
}

void peer_get(struct peer *p, const char *more)
{
	struct buf b;

	buf_init(&b, 1 << 16);
	buf_printf(&b, "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n%s", more);
	peer_ask(p, &rig.forward, buf_cstr(&b));
	buf_fini(&b);
}

void peer_more(struct peer *p, size_t room)
{
	p->room = room;
	INTO(exchange_writable(p->x));
}

void peer_leave(struct peer *p)
{
	struct exchange_sent sent = {.body_bytes = p->body.len, .aborted = !p->ended};

	if (p->x)
		INTO(exchange_sent(p->x, &sent));
	ck_assert_ptr_null(p->x);
}

void peer_fini(struct peer *p)
{
	peer_leave(p);
	buf_fini(&p->text);
	buf_fini(&p->reply);
	buf_fini(&p->body);
	buf_fini(&p->interims);
	buf_fini(&p->trailers);
}

void peer_got(struct peer *p, unsigned status, const char *body)
{
	ck_assert_msg(p->status == status && p->ended && !p->aborted, "status %u, %s: %.*s", p->status,
	              p->aborted ? "aborted" : p->ended ? "ended" : "running", VFMT(buf_view(&p->reply)));
	ck_view_eq(buf_view(&p->body), body);
	if (p->length != HTTP_LENGTH_UNKNOWN && !p->no_body)
		ck_assert_uint_eq(p->length, p->body.len);
}

struct view peer_field(struct peer *p, const char *name)
{
	struct view rest = buf_view(&p->reply), line, want = view_of(name);

	while (rest.len) {
		line = view_cut(rest, '\n', &rest);
		if (line.len > want.len && line.ptr[want.len] == ':' && view_istarts(line, want))
			return view_trim(view_make(line.ptr + want.len + 1, line.len - want.len - 2));
	}
	ck_abort_msg("no %s in %.*s", name, VFMT(buf_view(&p->reply)));
}

bool peer_has(struct peer *p, const char *text)
{
	struct view all = buf_view(&p->reply), want = view_of(text);

	for (size_t i = 0; i + want.len <= all.len; i++) {
		if (memcmp(all.ptr + i, want.ptr, want.len) == 0)
			return true;
	}
	return false;
}
