/* From the socket to a parsed request. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "client-private.h"
#include "log/log.h"

static void drop_input(struct session *s)
{
	ssize_t n = recv(s->fd, s->client->scratch, PIECE_MAX, MSG_DONTWAIT);

	if (n > 0) {
		s->dropped += (uint32_t)n;
		if (s->dropped <= LINGER_BYTES)
			return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	s->state = SESSION_GONE;
}

struct span *input_room(struct session *s)
{
	struct busy *b = s->busy;
	struct span *sp = b->tail.data ? &b->tail : &b->in;

	if (sp == &b->tail && sp->at == sp->len && !b->given.len)
		sp->at = sp->len = 0;
	return sp->len < sp->cap ? sp : NULL;
}

void input_read(struct session *s)
{
	struct span *to;
	ssize_t n;

	if (s->state == SESSION_LINGER) {
		drop_input(s);
		return;
	}
	if (s->state == SESSION_FLUSH)
		return;
	if (busy_take(s)) {
		s->broken = true;
		return;
	}
	to = input_room(s);
	if (!to)
		return;
	n = recv(s->fd, to->data + to->len, to->cap - to->len, MSG_DONTWAIT);
	if (n > 0) {
		to->len += (size_t)n;
		stat_add(&s->client->stats->bytes_in, (uint64_t)n);
		s->moved_in_ms = net_loop_now_ms(s->client->loop);
		s->rate_in.bytes += (uint64_t)n;
		s->busy->continue_waits = false;
	} else if (n == 0) {
		s->eof = true;
		if (s->state == SESSION_RUN)
			s->since_ms = net_loop_now_ms(s->client->loop);
	} else if (errno != EAGAIN && errno != EINTR) {
		s->broken = true;
	}
}

/* Room for the rest of a head. */
static int grow(struct session *s)
{
	const struct client_options *o = s->client->options;
	size_t max = (size_t)(o->request_line_max + o->request_head_max) + 16, cap;
	struct span *in = &s->busy->in;

	if (in->at) {
		memmove(in->data, in->data + in->at, span_left(in));
		in->len -= in->at;
		in->at = 0;
		return 0;
	}
	if (max < IN_FIRST)
		max = IN_FIRST;
	cap = in->cap < max / 2 ? in->cap * 2 : max;
	return cap > in->cap ? span_grow(in, cap) : LARDER_ELIMIT;
}

static size_t offset_of(struct view v, const char *data)
{
	return v.len ? (size_t)(v.ptr - data) : 0;
}

static int make_room(struct session *s)
{
	struct http_head *h = &s->busy->head;
	struct span *in = &s->busy->in;
	size_t method, target;
	int err;

	if (in->len < in->cap)
		return 0;
	/* A request line that is there already goes with its bytes: it is logged even if the head
	 * never ends. */
	method = offset_of(h->method_text, in->data + in->at);
	target = offset_of(h->target, in->data + in->at);
	err = grow(s);
	if (err)
		return err;
	if (h->method_text.len)
		h->method_text.ptr = in->data + in->at + method;
	if (h->target.len)
		h->target.ptr = in->data + in->at + target;
	return 0;
}

static void refuse_fault(struct session *s, const struct http_fault *fault)
{
	session_refuse(s, fault->status, "http_request_error", fault->text);
}

/* What the head asks for, judged. false when it was refused. */
static bool judge(struct session *s, enum http_framing *framing, uint64_t *length)
{
	uint64_t max = s->client->options->request_body_max;
	struct busy *b = s->busy;
	struct http_fault fault;

	/* RFC 9112 §3.2.2: a Host that differs from an absolute-form target is ignored, and the origin is
	 * sent the target's, unless the operator wants no doubt at all. */
	if (http_request_framing(&b->head, framing, length, &fault) ||
	    http_target_parse(&b->head, HTTP_SCHEME_HTTP, s->client->options->strict_host, &b->target,
	                      &fault)) {
		refuse_fault(s, &fault);
		return false;
	}
	if (b->head.method == HTTP_METHOD_CONNECT && *framing != HTTP_BODY_NONE) {
		/* RFC 9110 §9.3.6: CONNECT has no content; what follows is the tunnel's. */
		if (*framing != HTTP_BODY_LENGTH || *length) {
			session_refuse(s, 400, "http_request_error", "CONNECT cannot have a body.");
			return false;
		}
		*framing = HTTP_BODY_NONE;
	}
	if (*framing == HTTP_BODY_LENGTH && max && *length > max) {
		session_refuse(s, 413, "http_request_error",
		               "The request body is larger than allowed.");
		return false;
	}
	return true;
}

static void begin_exchange(struct session *s)
{
	struct client *c = s->client;
	struct busy *b = s->busy;
	enum http_framing framing;
	uint64_t length = 0;

	s->requests++;
	stat_add(&c->stats->requests, 1);
	if (!judge(s, &framing, &length))
		return;
	if (body_begin(s, framing, length)) {
		session_refuse(s, 503, "proxy_internal_error", "Out of memory.");
		return;
	}
	b->sent.received = b->head_len;
	b->req.head = &b->head;
	b->req.target = &b->target;
	b->req.has_body = b->body != BODY_NONE;
	b->req.length = b->body == BODY_CHUNKED ? HTTP_LENGTH_UNKNOWN : length;
	/* RFC 9110 §10.1.1: not from an HTTP/1.0 client, and not without content. */
	b->req.expects_continue = !b->body_done && b->head.minor >= 1 &&
	                          http_list_has(&b->head, HTTP_EXPECT, V("100-continue"));
	b->continue_waits = b->req.expects_continue && !span_left(&b->tail);
	b->req.client = s->addr;
	s->rate_in = s->rate_out = (struct rate){0};
	s->state = SESSION_RUN;
	s->depth++;
	if (exchange_new(c->env, s->listener, &b->req, &session_ops, s, &b->x)) {
		b->x = NULL;
		session_refuse(s, 503, "proxy_internal_error", "Out of memory.");
	}
	s->depth--;
}

static void note_arrival(struct session *s)
{
	struct busy *b = s->busy;

	if (b->head_began_ms)
		return;
	b->head_began_ms = net_loop_now_ms(s->client->loop) + 1;
	if (log_access_wanted()) {
		b->req.arrived_us = clock_wall_us();
		b->req.arrived_mono_us = clock_mono_us();
	}
	b->req.pace = &s->pace_ms;
}

/* Nothing more will come: the session ends once the answers that were gathered have left. */
static bool no_more(struct session *s)
{
	struct busy *b = s->busy;

	if (b && b->gathered && !s->blocked)
		output_flush(s, false);
	if (b && b->gathered && !s->broken)
		return false;
	s->state = SESSION_GONE;
	return true;
}

bool input_head(struct session *s)
{
	const struct client_options *o = s->client->options;
	struct busy *b = s->busy;
	struct http_fault fault;
	int64_t n;
	int err;

	if (!b || !span_left(&b->in))
		return s->eof && no_more(s);
	if (s->turn >= TURN_MAX) {
		/* Pipelined requests for large answers: others first. */
		net_task_post(s->client->loop, &s->task);
		return false;
	}
	note_arrival(s);
	n = http_parse_request(&b->head, &b->scan,
	                       view_make(b->in.data + b->in.at, span_left(&b->in)),
	                       (size_t)o->request_line_max, (size_t)o->request_head_max, &fault);
	if (n > 0) {
		b->head_len = (size_t)n;
		begin_exchange(s);
		return true;
	}
	if (n < 0) {
		refuse_fault(s, &fault);
		return true;
	}
	if (s->eof)
		return no_more(s);
	err = make_room(s);
	if (err == LARDER_ELIMIT)
		session_refuse(s, 431, "http_request_error", "The request head is too large.");
	else if (err)
		s->broken = true;
	return err != 0;
}
