/* What a session has only while it is busy. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "client-private.h"

int span_grow(struct span *s, size_t cap)
{
	char *data;

	if (cap <= s->cap)
		return 0;
	data = realloc(s->data, cap);
	if (!data)
		return LARDER_ENOMEM;
	s->data = data;
	s->cap = cap;
	return 0;
}

static void busy_free(struct busy *b)
{
	free(b->in.data);
	free(b->tail.data);
	free(b->out.data);
	free(b);
}

static struct busy *busy_new(const struct client *c)
{
	size_t fields = (size_t)c->options->request_fields_max;
	struct busy *b = calloc(1, sizeof(*b) + fields * sizeof(b->fields[0]));

	if (b && span_grow(&b->in, IN_FIRST)) {
		free(b);
		return NULL;
	}
	return b;
}

static void begin_request(struct session *s)
{
	struct busy *b = s->busy;

	b->scan = (struct http_scan){0};
	http_head_init(&b->head, b->fields, (unsigned)s->client->options->request_fields_max);
	b->sent = (struct exchange_sent){0};
	b->head_began_ms = 0;
	b->head_len = 0;
	b->body = BODY_NONE;
	b->body_done = b->body_over = true;
	b->given = view_make(NULL, 0);
	b->hold = b->continue_waits = false;
	b->replied = b->ended = b->detach = b->aborted = false;
	b->chunks = b->by_close = b->wants_room = false;
	b->keep = b->logged = b->probed = false;
}

int busy_take(struct session *s)
{
	struct client *c = s->client;
	struct busy *b = SLIST_FIRST(&c->spare);

	if (s->busy)
		return 0;
	if (b) {
		SLIST_REMOVE_HEAD(&c->spare, link);
		c->nspare--;
	} else {
		b = busy_new(c);
		if (!b)
			return LARDER_ENOMEM;
	}
	s->busy = b;
	begin_request(s);
	return 0;
}

static void drop_tail(struct busy *b)
{
	free(b->tail.data);
	b->tail = (struct span){0};
	if (b->body == BODY_CHUNKED)
		http_chunked_fini(&b->chunked);
	b->body = BODY_NONE;
}

void busy_give(struct session *s)
{
	struct client *c = s->client;
	struct busy *b = s->busy;

	if (!b)
		return;
	s->busy = NULL;
	drop_tail(b);
	b->gathered = 0;
	b->out.at = b->out.len = b->in.at = b->in.len = 0;
	if (c->nspare >= SPARE_MAX || b->in.cap > IN_FIRST || b->out.cap > OUT_KEEP) {
		busy_free(b);
		return;
	}
	SLIST_INSERT_HEAD(&c->spare, b, link);
	c->nspare++;
}

void busy_free_spares(struct client *c)
{
	struct busy *b;

	while ((b = SLIST_FIRST(&c->spare))) {
		SLIST_REMOVE_HEAD(&c->spare, link);
		busy_free(b);
	}
	c->nspare = 0;
}

void busy_next(struct session *s)
{
	struct busy *b = s->busy;

	b->in.at += b->head_len;
	if (b->tail.data) {
		/* What came behind the body is the next request's beginning. There is always room:
		 * the head has gone from a buffer of at least IN_FIRST, or the session is dropped.
		 */
		size_t more = span_left(&b->tail);

		b->in.at = b->in.len = 0;
		if (span_grow(&b->in, more)) {
			s->broken = true;
			more = 0;
		}
		memcpy(b->in.data, b->tail.data + b->tail.at, more);
		b->in.len = more;
	}
	drop_tail(b);
	if (b->in.at == b->in.len)
		b->in.at = b->in.len = 0;
	begin_request(s);
}
