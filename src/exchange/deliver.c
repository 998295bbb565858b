#include "parts.h"

/* The numbers of a piece's last byte decide between one file call and many: bound it. */
#define FILE_STEP (1ULL << 30)
#define FILE_READ (1ULL << 20) /* read from the disk at once */

static void begin(struct exchange *x, const struct stored_answer *a, struct exchange_reply *r)
{
	x->replied = true;
	x->status = r->status;
	if (log_access_wanted())
		x->content_type = arena_view(&x->arena, lines_field(a->head, V("Content-Type")));
	if (r->no_body || r->complete) {
		x->finished = true;
		r->complete = true;
		pace_client_sent(x, r->body.len);
	}
	x->ops->reply(x->client, r);
	if (!x->ended && !x->finished)
		deliver_feed(x);
}

void deliver_whole(struct exchange *x, const struct stored_answer *a)
{
	struct exchange_reply r = {.status = a->meta->status, .length = a->length};

	r.head[r.nhead++] = a->head;
	r.head[r.nhead++] = buf_view(&x->lines);
	r.no_body = x->method == HTTP_METHOD_HEAD || a->meta->status == 204 || a->meta->status == 304;
	r.complete = a->length == 0 || (a->length != HTTP_LENGTH_UNKNOWN && a->body.len == a->length);
	if (!r.no_body && r.complete)
		r.body = a->body;
	x->one_segment = (struct segment){.length = a->length};
	x->segments = &x->one_segment;
	x->nsegments = 1;
	begin(x, a, &r);
}

static void deliver_304(struct exchange *x, const struct stored_answer *a)
{
	struct exchange_reply r = {.status = 304, .no_body = true};
	struct exchange_env *env = x->env;
	struct http_fault fault;
	struct http_head h;
	struct view fields;

	view_cut(a->head, '\n', &fields);
	http_head_init(&h, env->fields, FIELDS_MAX);
	buf_reset(&env->scratch);
	if (http_parse_fields(&h, fields, &fault) || cache_304_write(&h, &env->scratch)) {
		deliver_whole(x, a); /* right, if longer */
		return;
	}
	r.head[r.nhead++] = buf_view(&env->scratch);
	r.head[r.nhead++] = buf_view(&x->lines);
	begin(x, a, &r);
}

static void deliver_unsatisfiable(struct exchange *x, const struct stored_answer *a)
{
	struct exchange_reply r = {.status = 416, .complete = true};
	char date[HTTP_DATE_LEN];
	struct buf *b = &x->env->scratch;

	buf_reset(b);
	http_date_format(net_loop_wall_s(x->env->loop), date);
	buf_printf(b, "HTTP/1.1 416 %s\r\nDate: %.*s\r\nContent-Range: bytes */%llu\r\nContent-Length: 0\r\n",
	           http_reason(416), HTTP_DATE_LEN, date, (unsigned long long)a->length);
	if (b->err) {
		exchange_run(x, reply_error(x, 503, NULL, "Out of memory."));
		return;
	}
	r.head[r.nhead++] = buf_view(b);
	r.head[r.nhead++] = buf_view(&x->lines);
	begin(x, a, &r);
}

/* A part of an inline body is at hand now, while the map may be read; everything else is fed. */
static void finish_ranges(struct exchange *x, const struct stored_answer *a, struct exchange_reply *r)
{
	struct buf whole;

	if (!a->body.ptr) {
		begin(x, a, r);
		return;
	}
	buf_init(&whole, (size_t)r->length);
	for (unsigned i = 0; i < x->nsegments; i++) {
		const struct segment *s = &x->segments[i];

		if (s->text.len)
			buf_addv(&whole, s->text);
		else
			buf_add(&whole, a->body.ptr + s->offset, (size_t)s->length);
	}
	if (whole.err) {
		exchange_run(x, reply_error(x, 503, NULL, "Out of memory."));
	} else {
		r->body = buf_view(&whole);
		r->complete = true;
		begin(x, a, r);
	}
	buf_fini(&whole);
}

static void deliver_range(struct exchange *x, const struct stored_answer *a, const struct http_range *range)
{
	struct exchange_reply r = {.status = 206, .length = range->last - range->first + 1};
	struct buf *b = &x->env->scratch;

	buf_reset(b);
	lines_partial(a->head, http_find(x->req.head, HTTP_IF_RANGE, 0) != NULL, false, b);
	buf_printf(b, "Content-Range: bytes %llu-%llu/%llu\r\nContent-Length: %llu\r\n",
	           (unsigned long long)range->first, (unsigned long long)range->last,
	           (unsigned long long)a->length, (unsigned long long)r.length);
	if (b->err) {
		deliver_whole(x, a);
		return;
	}
	r.head[r.nhead++] = buf_view(b);
	r.head[r.nhead++] = buf_view(&x->lines);
	x->one_segment = (struct segment){.offset = range->first, .length = r.length};
	x->segments = &x->one_segment;
	x->nsegments = 1;
	finish_ranges(x, a, &r);
}

/* multipart/byteranges (RFC 9110 §14.6). The boundary has to be one that the body does not hold: it is made
 * of a hash of the representation's identity and the time, which nobody who wrote the body knew. */
static void deliver_multipart(struct exchange *x, const struct stored_answer *a,
                              const struct http_range *ranges, unsigned n)
{
	struct exchange_reply r = {.status = 206};
	struct buf *b = &x->env->scratch, text;
	struct view type = lines_field(a->head, V("Content-Type"));
	uint64_t now = clock_mono_ns();
	struct hash128 h = hash_128(a->head, now ^ (uint64_t)(uintptr_t)x);
	unsigned k = 0;

	x->segments = arena_zalloc(&x->arena, (2 * n + 1) * sizeof(*x->segments));
	if (!x->segments) {
		deliver_whole(x, a);
		return;
	}
	buf_init(&text, 64 * 1024);
	for (unsigned i = 0; i <= n; i++) {
		buf_reset(&text);
		buf_printf(&text, "\r\n--%016llx%016llx", (unsigned long long)h.hi, (unsigned long long)h.lo);
		if (i < n) {
			if (type.len)
				buf_printf(&text, "\r\nContent-Type: %.*s", VFMT(type));
			buf_printf(&text, "\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n",
			           (unsigned long long)ranges[i].first,
			           (unsigned long long)ranges[i].last, (unsigned long long)a->length);
		} else {
			BUF_ADD_LIT(&text, "--\r\n");
		}
		x->segments[k].text = text.err ? view_make(NULL, 0) : arena_view(&x->arena, buf_view(&text));
		if (!x->segments[k].text.ptr)
			break;
		r.length += x->segments[k++].text.len;
		if (i < n) {
			x->segments[k].offset = ranges[i].first;
			x->segments[k].length = ranges[i].last - ranges[i].first + 1;
			r.length += x->segments[k++].length;
		}
	}
	buf_fini(&text);
	x->nsegments = k;
	buf_reset(b);
	lines_partial(a->head, http_find(x->req.head, HTTP_IF_RANGE, 0) != NULL, true, b);
	buf_printf(b, "Content-Type: multipart/byteranges; boundary=%016llx%016llx\r\nContent-Length: %llu\r\n",
	           (unsigned long long)h.hi, (unsigned long long)h.lo, (unsigned long long)r.length);
	if (k != 2 * n + 1 || b->err) {
		deliver_whole(x, a);
		return;
	}
	r.head[r.nhead++] = buf_view(b);
	r.head[r.nhead++] = buf_view(&x->lines);
	finish_ranges(x, a, &r);
}

void deliver_stored(struct exchange *x, struct stored_answer *a)
{
	struct http_range ranges[RANGES_MAX];
	int64_t now = net_loop_wall_s(x->env->loop);
	unsigned n = 0;

	x->file = a->file;
	x->as_memory = x->file && x->ops->prefers_memory(x->client);
	decode_prepare(x, a);
	/* RFC 9110 §13.2.1: conditions are for what would be a success. */
	if (x->conditional && a->meta->status / 100 == 2) {
		switch (cache_precondition(x->req.head, a->meta, a->etag, now)) {
		case CACHE_COND_304:
			deliver_304(x, a);
			return;
		case CACHE_COND_412:
			exchange_run(x, reply_error(x, 412, NULL, "The condition of the request does not hold."));
			return;
		case CACHE_COND_NONE:
			break;
		}
	}
	decode_line(x, a);
	if (a->decoded && decode_begin(x, a)) {
		exchange_run(x, reply_error(x, 503, NULL, "Out of memory."));
		return;
	}
	/* RFC 9110 §14.2: Range is for GET, and for what would be a 200. */
	if (x->ranged && x->method == HTTP_METHOD_GET && a->meta->status == 200 &&
	    a->length != HTTP_LENGTH_UNKNOWN) {
		switch (cache_ranges(x->req.head, a->meta, a->etag, a->length, now, ranges, RANGES_MAX, &n)) {
		case HTTP_RANGE_UNSATISFIABLE:
			deliver_unsatisfiable(x, a);
			return;
		case HTTP_RANGE_SOME:
			if (n == 1)
				deliver_range(x, a, &ranges[0]);
			else if (a->one_range)
				deliver_whole(x, a);
			else
				deliver_multipart(x, a, ranges, n);
			return;
		case HTTP_RANGE_NONE:
			break;
		}
	}
	deliver_whole(x, a);
}

/* ---- Feeding ---- */

static void on_warm(void *arg)
{
	struct exchange *x = arg;

	x->warm = NULL;
	exchange_enter(x);
	deliver_feed(x);
	exchange_leave(x);
}

/* How much of it can be sent now; 0: the exchange goes on once it has been read from the disk. */
static uint64_t in_memory(struct exchange *x, uint64_t offset, uint64_t want)
{
	struct store *s = x->env->store;
	uint64_t ready;

	if (offset < x->ready_to)
		return want < x->ready_to - offset ? want : x->ready_to - offset;
	ready = store_file_ready(s, x->file, offset, want);
	if (!ready) {
		x->warm = store_warm_file(s, x->file, offset, want, on_warm, x);
		if (x->warm) {
			x->ready_to = offset + (want < FILE_READ ? want : FILE_READ);
			return 0;
		}
		ready = want < FILE_READ ? want : FILE_READ;
	}
	x->ready_to = offset + ready;
	return ready;
}

static struct store_piece file_piece(struct exchange *x, uint64_t offset, uint64_t want)
{
	struct store_piece piece = {.fd = -1};

	if (x->as_memory)
		piece.mem = store_file_view(x->env->store, x->file, offset, want);
	if (!piece.mem.len)
		piece.fd = store_file_fd(x->file);
	piece.len = piece.mem.len ? piece.mem.len : want;
	return piece;
}

enum fed deliver_source(struct exchange *x, uint64_t offset, uint64_t want, struct store_piece *piece)
{
	int64_t there;

	if (x->part) {
		there = part_read(x, offset, want);
		if (there <= 0)
			return there < 0 ? FED_BROKEN : FED_WAIT;
		want = (uint64_t)there;
	}
	if (x->file) {
		want = in_memory(x, offset, want);
		if (!want)
			return FED_WAIT;
		*piece = file_piece(x, offset, want);
	} else {
		if (!x->fill)
			return FED_BROKEN;
		if (!fill_read(x->fill, offset, piece))
			return FED_BROKEN;
		if (piece->len == 0) {
			if (x->fill->state == FILL_COMPLETE)
				return FED_END;
			return x->fill->state == FILL_FAILED ? FED_BROKEN : FED_WAIT;
		}
	}
	if (piece->len > want)
		piece->len = want;
	return FED_SOME;
}

/* Some of the present data segment, from the blob or the fill. *sent: bytes the client took. */
static enum fed feed_data(struct exchange *x, uint64_t offset, uint64_t want, uint64_t *sent)
{
	struct store_piece piece = {.fd = -1};
	enum fed fed;

	if (!pace_client(x, &want))
		return FED_WAIT;
	if (x->decoder) {
		fed = decode_feed(x, want, sent);
		pace_client_sent(x, *sent);
		return fed;
	}
	fed = deliver_source(x, offset, want, &piece);
	if (fed != FED_SOME)
		return fed;
	if (piece.len > FILE_STEP)
		piece.len = FILE_STEP;
	if (piece.fd >= 0)
		*sent = x->ops->file(x->client, piece.fd, offset, piece.len);
	else
		*sent = x->ops->data(x->client, view_make(piece.mem.ptr, (size_t)piece.len));
	pace_client_sent(x, *sent);
	return *sent < piece.len ? FED_WAIT : FED_SOME;
}

static enum fed feed_segment(struct exchange *x)
{
	const struct segment *s = &x->segments[x->segment];
	bool data = !s->text.len;
	uint64_t length = data ? s->length : s->text.len, sent = 0;
	enum fed fed;

	if (length != HTTP_LENGTH_UNKNOWN && x->segment_done >= length)
		return FED_END;
	if (data) {
		fed = feed_data(x, s->offset + x->segment_done,
		                length == HTTP_LENGTH_UNKNOWN ? length : length - x->segment_done, &sent);
		/* What was promised and did not come is broken, not at its end. */
		if (fed == FED_END && length != HTTP_LENGTH_UNKNOWN)
			fed = FED_BROKEN;
	} else {
		struct view rest = view_from(s->text, (size_t)x->segment_done);

		sent = x->ops->data(x->client, rest);
		fed = sent < rest.len ? FED_WAIT : FED_SOME;
	}
	x->segment_done += sent;
	return fed;
}

static void finish(struct exchange *x, enum fed how)
{
	struct view trailers = view_make(NULL, 0);

	x->finished = true;
	if (how == FED_BROKEN) {
		if (!x->error)
			x->error = x->fill && x->fill->detail[0] ? arena_str(&x->arena, view_of(x->fill->detail))
				                                 : "the body broke off";
		x->ops->abort(x->client);
		return;
	}
	if (x->fill && x->segments == &x->one_segment)
		trailers = buf_view(&x->fill->trailers);
	x->ops->end(x->client, trailers);
}

void deliver_feed(struct exchange *x)
{
	enum fed fed = FED_SOME;

	if (x->warm)
		return;
	while (!x->ended && x->segment < x->nsegments) {
		fed = feed_segment(x);
		if (x->ended || fed == FED_WAIT || fed == FED_BROKEN)
			break;
		if (fed == FED_END) {
			x->segment++;
			x->segment_done = 0;
		}
	}
	if (x->ended)
		return;
	if (fed == FED_BROKEN || x->segment == x->nsegments)
		finish(x, fed);
	if (!x->ended && x->fill)
		fill_consumed(x->fill);
}
