#include "parts.h"
#include "tunnel.h"

#include <stdio.h>
#include <unistd.h>

#define MANY    8            /* readers */
#define ENOUGH  (128 * 1024) /* bytes that they are told of at once */
#define TELL_MS 50           /* for less, they wait for so long at most */

uint64_t fill_received(const struct fill *f)
{
	if (f->follow)
		return follow_received(f);
	if (f->spool && !f->spool_ended)
		return store_spool_length(f->spool);
	return f->window_base + f->window.len;
}

bool fill_read(struct fill *f, uint64_t offset, struct store_piece *piece)
{
	uint64_t spooled = f->spool ? store_spool_length(f->spool) : 0;

	*piece = (struct store_piece){.fd = -1};
	if (f->follow) {
		follow_read(f, offset, piece);
		return true;
	}
	if (offset < spooled) {
		store_spool_read(f->spool, offset, piece);
		return true;
	}
	if (offset < f->window_base)
		return false;
	offset -= f->window_base;
	if (offset < f->window.len) {
		piece->mem = view_from(buf_view(&f->window), (size_t)offset);
		piece->len = piece->mem.len;
	}
	return true;
}

/* The first byte that x still needs; what is before it may go. */
static uint64_t needs(const struct exchange *x)
{
	const struct segment *s;

	if (!x->replied)
		return 0;
	if (x->decoder && !x->finished)
		return decode_needs(x->decoder);
	for (unsigned i = x->segment; !x->finished && i < x->nsegments; i++) {
		s = &x->segments[i];
		if (!s->text.len)
			return s->offset + (i == x->segment ? x->segment_done : 0);
	}
	return UINT64_MAX;
}

void fill_consumed(struct fill *f)
{
	const struct exchange *x;
	uint64_t least = UINT64_MAX, drop;

	if (f->window.len) {
		TAILQ_FOREACH(x, &f->readers, link) {
			uint64_t n = needs(x);

			least = n < least ? n : least;
		}
		drop = least > f->window_base ? least - f->window_base : 0;
		if (drop > f->window.len)
			drop = f->window.len;
		/* Moving the rest to the front has to stay rare: at the end, or for half of it. */
		if (drop == f->window.len || drop >= f->window.len / 2)
			pipe_drop(f, (size_t)drop);
	}
	if (f->paused && f->state != FILL_HELD && pipe_goes_on(f) && f->transfer) {
		f->paused = false;
		origin_resume(f->transfer);
	}
}

/* The store has room again, or will not have any. */
static void on_room(void *arg)
{
	struct fill *f = arg;

	check_magic(f, FILL_MAGIC);
	fill_stop_waiting(f);
	origin_resume(f->transfer);
}

/* One that waits for the store is not one that runs: no newcomer is refused for it. */
static void wait_for_room(struct fill *f)
{
	f->waiting = true;
	f->env->ntransfers--;
	store_spool_wait(f->spool, on_room, f);
}

void fill_stop_waiting(struct fill *f)
{
	if (!f->waiting)
		return;
	f->waiting = false;
	f->env->ntransfers++;
	store_spool_wait(f->spool, NULL, NULL);
}

/* Into the spool; what it does not take goes on to the window. STORE_WAIT: not now. */
static int spool_data(struct fill *f, struct view *data)
{
	uint64_t before = store_spool_length(f->spool);
	int err = store_spool_append(f->spool, *data);

	if (err == STORE_WAIT)
		return err;
	*data = view_from(*data, (size_t)(store_spool_length(f->spool) - before));
	if (!err)
		return 0;
	f->spool_ended = true;
	f->window_base = store_spool_length(f->spool);
	f->storable = err == LARDER_ELIMIT ? CACHE_STORE_TOO_LARGE : CACHE_STORE_FAILED;
	share_shut(f);
	share_ended(f); /* of what goes through the window, only our own readers know */
	return 0;
}

void fill_tell_timer(struct net_timer *t)
{
	struct fill *f = container_of(t, struct fill, telling);

	check_magic(f, FILL_MAGIC);
	f->told = fill_received(f);
	if (f->state == FILL_BODY)
		fill_tell(f);
}

/* Each piece costs a call for each reader: where they are many, small ones are put together for some time. */
void fill_tell_more(struct fill *f)
{
	uint64_t more = fill_received(f) - f->told, wait = f->nreaders / 16;

	if (f->nreaders < MANY) {
		f->told = fill_received(f);
		fill_tell(f);
		return;
	}
	if (!f->told || more >= ENOUGH)
		wait = 0;
	else if (net_timer_active(&f->telling))
		return;
	net_timer_set(&f->telling, wait < TELL_MS ? wait : TELL_MS);
}

static int on_data(void *arg, struct view data)
{
	struct fill *f = arg;
	bool spooling = f->spool && !f->spool_ended;
	size_t taken;

	check_magic(f, FILL_MAGIC);
	if (f->pf)
		return part_fetch_data(f, data);
	if (f->revalidated)
		return 0; /* a 304 has no body; whatever this is, nobody wants it */
	if (!spooling && f->nreaders == 0)
		return LARDER_ECLOSED; /* not stored, not read: of no use */
	if (!spooling && pipe_full(f, data.len)) {
		f->paused = true;
		return ORIGIN_PAUSE;
	}
	if (!pace_fetch(f))
		return ORIGIN_PAUSE;
	taken = data.len;
	if (spooling && spool_data(f, &data) == STORE_WAIT) {
		wait_for_room(f);
		return ORIGIN_PAUSE;
	}
	pace_fetched(f, taken);
	if (spooling) {
		share_grown(f);
	}
	if (data.len && f->nreaders == 0)
		return LARDER_ECLOSED;
	if (data.len && pipe_add(f, data))
		return f->window.err;
	if (f->state == FILL_BODY)
		fill_tell_more(f);
	return 0;
}

static ssize_t on_body(void *arg, char *dst, size_t room)
{
	struct fill *f = arg;
	struct exchange *x = f->first;
	size_t n;

	check_magic(f, FILL_MAGIC);
	if (!x || x->body_lost)
		return LARDER_ECLOSED;
	n = x->body.len < room ? x->body.len : room;
	if (n == 0 && !x->body_ended)
		return LARDER_EAGAIN;
	if (n == 0) {
		f->body_open = false;
		return 0;
	}
	memcpy(dst, x->body.data, n);
	buf_drop(&x->body, n);
	if (x->body_held && x->body.len <= x->body.max / 2) {
		exchange_enter(x);
		x->body_held = false;
		x->ops->hold_body(x->client, false);
		exchange_leave(x);
	}
	return (ssize_t)n;
}

static int on_address(void *arg, const struct addr *a)
{
	struct fill *f = arg;

	if (f->listener->kind != EXCHANGE_FORWARD)
		return 0;
	return access_destination(f->listener->access, &f->client, a, &f->refusal);
}

static void on_interim(void *arg, const struct http_head *head)
{
	struct fill *f = arg;
	struct exchange *x = f->first;
	struct exchange_reply r = {.status = head->status, .no_body = true, .complete = true};
	struct buf *b = &f->env->scratch;
	struct http_head h = *head;

	if (!x || x->replied || head->nfields > FIELDS_MAX)
		return;
	h.fields = f->env->fields;
	memcpy(h.fields, head->fields, h.nfields * sizeof(*h.fields));
	http_head_mark_hops(&h);
	/* RFC 9110 §8.6: no Content-Length in a 1xx. */
	for (unsigned i = 0; i < h.nfields; i++)
		h.fields[i].hop |= h.fields[i].id == HTTP_CONTENT_LENGTH;
	buf_reset(b);
	if (lines_pass_head(&h, b))
		return;
	r.head[r.nhead++] = buf_view(b);
	exchange_enter(x);
	x->ops->interim(x->client, &r);
	exchange_leave(x);
}

static void on_switched(void *arg, const struct http_head *head, struct net_stream stream,
                        const struct origin_info *info)
{
	struct fill *f = arg;
	struct exchange *x = f->first;

	fill_transfer_ended(f);
	f->ended = true;
	f->state = FILL_COMPLETE;
	if (x) {
		exchange_enter(x);
		tunnel_switched(x, head, stream, info);
		exchange_leave(x);
	} else {
		stream.ops ? stream.ops->close(stream.arg) : (void)close(stream.fd);
	}
	fill_unref(f);
}

/* RFC 9110 §6.5.1: nothing that frames, routes, authenticates, controls or says how to read the content
 * may come after it. */
static bool may_trail(const struct http_field *f)
{
	switch (f->id) {
	case HTTP_AGE:
	case HTTP_AUTHORIZATION:
	case HTTP_CACHE_CONTROL:
	case HTTP_CDN_CACHE_CONTROL:
	case HTTP_CONTENT_ENCODING:
	case HTTP_CONTENT_LENGTH:
	case HTTP_CONTENT_RANGE:
	case HTTP_CONTENT_TYPE:
	case HTTP_DATE:
	case HTTP_EXPIRES:
	case HTTP_HOST:
	case HTTP_LOCATION:
	case HTTP_PROXY_AUTHENTICATE:
	case HTTP_PROXY_AUTHORIZATION:
	case HTTP_RETRY_AFTER:
	case HTTP_SET_COOKIE:
	case HTTP_TRAILER:
	case HTTP_VARY:
	case HTTP_WWW_AUTHENTICATE:
		return false;
	default:
		return !f->hop;
	}
}

static void pass_trailers(struct fill *f, struct view lines)
{
	struct http_fault fault;
	struct http_head h;

	http_head_init(&h, f->env->fields, FIELDS_MAX);
	if (!lines.len || http_parse_fields(&h, lines, &fault))
		return;
	http_head_mark_hops(&h);
	for (unsigned i = 0; i < h.nfields; i++) {
		if (may_trail(&h.fields[i])) {
			buf_addv(&f->trailers, lines_raw(&h.fields[i]));
			BUF_ADD_LIT(&f->trailers, "\r\n");
		}
	}
	if (f->trailers.err)
		buf_reset(&f->trailers);
}

static void on_done(void *arg, const struct origin_result *result)
{
	struct fill *f = arg;

	check_magic(f, FILL_MAGIC);
	fill_transfer_ended(f);
	f->ended = true;
	f->err = result->err;
	f->proxy_error = result->proxy_error;
	if (result->err)
		down_note(f, result);
	if (f->pf) {
		f->state = result->err ? FILL_FAILED : FILL_COMPLETE;
		part_fetch_done(f, result);
		fill_unref(f);
		return;
	}
	pass_trailers(f, result->trailers);
	if (result->err) {
		snprintf(f->detail, sizeof(f->detail), "%s",
		         result->detail ? result->detail : larder_strerror(result->err));
	}
	if (f->state == FILL_HEAD || f->state == FILL_BODY)
		f->state = result->err ? FILL_FAILED : FILL_COMPLETE;
	if (result->err) {
		f->storable = f->storable == CACHE_STORE_OK ? CACHE_STORE_INCOMPLETE : f->storable;
		share_shut(f);
		part_keep(f);
	} else if (f->revalidated) {
		fill_commit_update(f);
	} else {
		fill_commit(f);
	}
	if (f->state != FILL_HELD) {
		share_ended(f);
		fill_tell(f);
	}
	fill_shed(f);
	fill_unref(f);
}

const struct origin_handlers fill_handlers = {
	.address = on_address,
	.interim = on_interim,
	.head = fill_on_head,
	.data = on_data,
	.body = on_body,
	.switched = on_switched,
	.done = on_done,
};
