/* Request bodies, from the input to the exchange. */
#include <string.h>

#include "base/error.h"
#include "client-private.h"

int body_begin(struct session *s, enum http_framing framing, uint64_t length)
{
	struct busy *b = s->busy;
	struct span *in = &b->in;
	size_t begin = in->at + b->head_len, more = in->len - begin;

	b->body_left = length;
	b->body_done = framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && length == 0);
	b->body_over = framing == HTTP_BODY_NONE;
	if (framing == HTTP_BODY_LENGTH)
		b->body = BODY_LENGTH;
	if (b->body_done)
		return 0;
	/* A place of its own, for the head must not move while the exchange reads it. */
	if (span_grow(&b->tail, more > TAIL_SIZE ? more : TAIL_SIZE))
		return LARDER_ENOMEM;
	memcpy(b->tail.data, in->data + begin, more);
	b->tail.len = more;
	in->len = begin;
	if (framing == HTTP_BODY_CHUNKED) {
		b->body = BODY_CHUNKED;
		http_chunked_init(&b->chunked, TRAILERS_MAX);
		b->body_left = s->client->options->request_body_max;
	}
	return 0;
}

void body_fail(struct session *s, unsigned status, const char *detail)
{
	struct busy *b = s->busy;

	b->body_over = true;
	b->keep = false;
	s->depth++;
	exchange_body_abort(b->x);
	s->depth--;
	if (b->replied) {
		/* Too late for an answer of our own; what follows cannot be told apart: it closes.
		 */
		if (status == 400)
			stat_add(&s->client->stats->bad_requests, 1);
		return;
	}
	session_end_exchange(s, true);
	session_refuse(s, status, "http_request_error", detail);
}

/* The next decoded bytes into b->given. false when there are none now, or it failed. */
static bool decode_chunked(struct session *s)
{
	struct busy *b = s->busy;
	struct view in = view_make(b->tail.data + b->tail.at, span_left(&b->tail));
	uint64_t max = s->client->options->request_body_max;
	struct http_fault fault;
	int got = http_chunked_next(&b->chunked, &in, &b->given, &fault);

	b->tail.at = b->tail.len - in.len;
	if (got < 0) {
		b->given = view_make(NULL, 0);
		body_fail(s, fault.status, fault.text);
		return false;
	}
	if (got == 0) {
		b->given = view_make(NULL, 0);
		b->body_done = b->chunked.done;
		return b->body_done;
	}
	if (max && b->given.len > b->body_left) {
		b->given = view_make(NULL, 0);
		body_fail(s, 413, "The request body is larger than allowed.");
		return false;
	}
	b->body_left -= max ? b->given.len : 0;
	return true;
}

static bool decode(struct session *s)
{
	struct busy *b = s->busy;
	size_t n = span_left(&b->tail);

	if (!n) {
		/* RFC 9112 §8: a request whose body was cut off is incomplete. */
		s->broken |= s->eof;
		return false;
	}
	if (b->body == BODY_CHUNKED)
		return decode_chunked(s);
	if (n > b->body_left)
		n = (size_t)b->body_left;
	b->given = view_make(b->tail.data + b->tail.at, n);
	b->tail.at += n;
	b->body_left -= n;
	b->body_done = b->body_left == 0;
	return true;
}

/* Hands b->given to the exchange. false when it did not take all of it. */
static bool give(struct session *s)
{
	struct busy *b = s->busy;
	size_t n;

	if (!b->given.len)
		return true;
	s->depth++;
	n = exchange_body(b->x, b->given);
	s->depth--;
	b->sent.received += n;
	b->given = view_from(b->given, n);
	/* One that takes nothing and does not say why must not be asked for ever. */
	if (b->given.len && !n)
		b->hold = true;
	return !b->given.len;
}

void body_feed(struct session *s)
{
	struct busy *b = s->busy;

	while (!b->body_over && !b->hold && !b->ended && !b->aborted && !s->broken) {
		if (!give(s))
			continue;
		if (b->ended || b->aborted)
			return;
		if (b->body_done) {
			b->body_over = true;
			s->depth++;
			exchange_body_end(b->x);
			s->depth--;
			return;
		}
		if (!decode(s))
			return;
	}
}

bool body_discard(struct session *s)
{
	struct busy *b = s->busy;

	if (b->body_done)
		return true;
	if (b->body != BODY_LENGTH || b->body_left > span_left(&b->tail))
		return false;
	b->tail.at += (size_t)b->body_left;
	b->body_left = 0;
	b->body_done = true;
	return true;
}
