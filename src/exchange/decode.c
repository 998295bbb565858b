/* Content codings undone for clients that do not take them (RFC 9110 §8.4, §12.5.3, §7.7). */
#include "exchange-private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "coding.h"

#define OUT_BYTES  (32u * 1024)
#define IN_BYTES   (32u * 1024)
#define AT_ONCE    (256u * 1024) /* decoded bodies up to this size are made before they are sent */
#define TURN_BYTES (1u << 20)    /* made before others have their turn */

struct decoder {
	struct inflater *z;
	struct view kept;     /* an inline body's copy, in the exchange's arena; ptr NULL: the source is read */
	uint64_t at, length;  /* of the stored body; length HTTP_LENGTH_UNKNOWN: the fill knows */
	size_t out_at, out_len;
	uint64_t turn;
	bool ended, full;     /* full: there may be more to come without more input */
	char out[OUT_BYTES], in[IN_BYTES];
};

/* ---- Who gets what ---- */

/* The stored head's coding, as Accept-Encoding names it. */
static struct view coding_of(const struct stored_answer *a)
{
	struct view v = lines_field(a->head, V("Content-Encoding"));

	if ((a->meta->flags & CACHE_F_RECODED) || view_ieq(v, V("x-gzip")))
		return V("gzip");
	return v;
}

/* Does the client want it without? What larder has compressed goes to those only who ask for it; what the origin
 * did, to all who do not refuse it. */
static bool unwanted(const struct exchange *x, const struct stored_answer *a)
{
	int coded = http_coding_weight(x->req.head, coding_of(a));

	if (coded == HTTP_CODING_UNSAID)
		return (a->meta->flags & CACHE_F_RECODED) || x->other_coding;
	return coded == 0;
}

/* RFC 9110 §7.7: nobody may transform what either side wants as it is. */
static bool may_transform(const struct exchange *x, const struct stored_answer *a)
{
	if (a->meta->flags & CACHE_F_RECODED)
		return true; /* it becomes again what it was */
	return !(a->meta->flags & CACHE_F_NO_TRANSFORM) && !(x->cc.set & CACHE_CC_NO_TRANSFORM);
}

/* ---- The head ---- */

/* Speaks of the coded bytes: not true of others. */
static bool speaks_of_bytes(struct view line)
{
	static const char *const names[] = {
		"Content-Encoding:", "Content-Length:", "Content-Digest:", "Repr-Digest:", "Digest:",
		"Content-MD5:", "Accept-Ranges:",
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (view_istarts(line, view_of(names[i])))
			return true;
	}
	return false;
}

/* The head without the coding; a strong ETag becomes weak (RFC 9110 §8.8.1: other bytes). */
static int plain_head(struct view head, struct buf *out)
{
	struct view line, value;

	while (head.len) {
		line = view_cut(head, '\n', &head);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (speaks_of_bytes(line))
			continue;
		if (view_istarts(line, V("ETag:"))) {
			value = view_trim(view_from(line, 5));
			BUF_ADD_LIT(out, "ETag: ");
			if (!view_starts(value, V("W/")))
				BUF_ADD_LIT(out, "W/");
			buf_addv(out, value);
		} else {
			buf_addv(out, line);
		}
		BUF_ADD_LIT(out, "\r\n");
	}
	return out->err;
}

static bool varies_by_coding(struct view head)
{
	struct view line, member;

	while (head.len) {
		line = view_cut(head, '\n', &head);
		if (!view_istarts(line, V("Vary:")))
			continue;
		line = view_from(line, 5);
		while (http_member_next(&line, &member)) {
			if (view_ieq(view_trim(member), V("Accept-Encoding")))
				return true;
		}
	}
	return false;
}

/* ---- Beginning ---- */

/* Is it the listener's to choose the coding? */
static bool chooses(const struct exchange *x, const struct stored_answer *a)
{
	return (a->meta->flags & CACHE_F_RECODED) || ((a->meta->flags & CACHE_F_CODED) && x->listener->options.decode);
}

bool decode_applies(struct exchange *x, const struct stored_answer *a)
{
	return chooses(x, a) && unwanted(x, a) && may_transform(x, a) && a->length != 0;
}

void decode_prepare(struct exchange *x, struct stored_answer *a)
{
	struct buf head;

	if (!chooses(x, a))
		return;
	/* RFC 9110 §12.5.5: it depends on the field, now that we choose by it. */
	if (!varies_by_coding(a->head))
		BUF_ADD_LIT(&x->lines, "Vary: Accept-Encoding\r\n");
	if (!decode_applies(x, a))
		return;
	buf_init(&head, HEAD_BYTES);
	a->decoded = plain_head(a->head, &head) == 0;
	if (a->decoded) {
		a->head = arena_view(&x->arena, buf_view(&head));
		a->etag = lines_field(a->head, V("ETag"));
	}
	buf_fini(&head);
}

void decode_line(struct exchange *x, const struct stored_answer *a)
{
	if ((a->meta->flags & CACHE_F_RECODED) && !a->decoded)
		BUF_ADD_LIT(&x->lines, "Content-Encoding: gzip\r\n");
	if (a->decoded)
		stat_add(&x->env->stats->decoded, 1);
}

/* All of a small body at once: then its length is known, and ranges of it can be had. false: it is not that small,
 * or damaged. */
static bool decode_small(struct exchange *x, struct stored_answer *a)
{
	struct inflater *z = inflater_new();
	struct view in = a->body, out = view_make(NULL, 0);
	size_t made = 0, room;
	struct buf all;
	int ret;

	if (!z)
		return false;
	buf_init(&all, AT_ONCE);
	do {
		room = all.max - all.len < OUT_BYTES ? all.max - all.len : OUT_BYTES;
		ret = room ? buf_reserve(&all, room) : LARDER_ELIMIT;
		if (!ret)
			ret = inflater_run(z, &in, all.data + all.len, room, &made);
		if (ret >= 0)
			all.len += made;
	} while (ret == INFLATE_MORE && (in.len || made));
	if (ret >= 0 && inflater_complete(z))
		out = arena_view(&x->arena, buf_view(&all));
	buf_fini(&all);
	inflater_free(z);
	if (!out.ptr)
		return false;
	a->body = out;
	a->length = out.len;
	return true;
}

static int add_length(struct exchange *x, struct stored_answer *a)
{
	struct buf b;

	buf_init(&b, HEAD_BYTES);
	buf_addv(&b, a->head);
	buf_printf(&b, "Content-Length: %llu\r\n", (unsigned long long)a->length);
	a->head = b.err ? view_make(NULL, 0) : arena_view(&x->arena, buf_view(&b));
	buf_fini(&b);
	return a->head.ptr ? 0 : LARDER_ENOMEM;
}

int decode_begin(struct exchange *x, struct stored_answer *a)
{
	struct decoder *d;

	if (a->body.ptr && decode_small(x, a))
		return add_length(x, a);
	d = x->method == HTTP_METHOD_HEAD ? NULL : malloc(sizeof(*d));
	if (d) {
		memset(d, 0, offsetof(struct decoder, out));
		d->length = a->length;
		d->z = inflater_new();
		if (a->body.ptr)
			d->kept = arena_view(&x->arena, a->body);
		x->decoder = d;
		if (!d->z || (a->body.ptr && !d->kept.ptr))
			return LARDER_ENOMEM;
	}
	a->length = HTTP_LENGTH_UNKNOWN;
	a->body = view_make(NULL, 0);
	return d || x->method == HTTP_METHOD_HEAD ? 0 : LARDER_ENOMEM;
}

/* ---- Feeding ---- */

/* The next of what is stored into d's hands. FED_SOME: *in has it. */
static enum fed next_input(struct exchange *x, struct decoder *d, struct view *in)
{
	struct store_piece piece = {.fd = -1};
	enum fed fed;
	ssize_t n;

	*in = view_make(d->in, 0);
	if (d->kept.ptr) {
		*in = view_from(d->kept, (size_t)d->at);
		return in->len ? FED_SOME : FED_END;
	}
	if (d->length != HTTP_LENGTH_UNKNOWN && d->at >= d->length)
		return FED_END;
	fed = deliver_source(x, d->at, d->length == HTTP_LENGTH_UNKNOWN ? IN_BYTES : d->length - d->at, &piece);
	if (fed != FED_SOME)
		return fed;
	if (piece.fd < 0) {
		*in = view_make(piece.mem.ptr, piece.len < IN_BYTES ? (size_t)piece.len : IN_BYTES);
		return FED_SOME;
	}
	do
		n = pread(piece.fd, d->in, piece.len < IN_BYTES ? (size_t)piece.len : IN_BYTES, (off_t)d->at);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return FED_BROKEN;
	*in = view_make(d->in, (size_t)n);
	return FED_SOME;
}

/* Fills d->out. */
static enum fed produce(struct exchange *x, struct decoder *d)
{
	struct view in = view_make(NULL, 0);
	enum fed fed = FED_SOME;
	size_t before;
	int ret;

	if (!d->full)
		fed = next_input(x, d, &in);
	if (fed == FED_END)
		return inflater_complete(d->z) ? FED_END : FED_BROKEN;
	if (fed != FED_SOME)
		return fed;
	before = in.len;
	d->out_at = 0;
	ret = inflater_run(d->z, &in, d->out, OUT_BYTES, &d->out_len);
	d->at += before - in.len;
	d->full = ret == INFLATE_MORE && d->out_len == OUT_BYTES;
	d->turn += before - in.len + d->out_len; /* some input makes nothing */
	d->ended = ret == INFLATE_END;
	if (ret < 0)
		return FED_BROKEN;
	return FED_SOME;
}

enum fed decode_feed(struct exchange *x, uint64_t most, uint64_t *sent)
{
	struct decoder *d = x->decoder;
	struct view out;
	enum fed fed;

	if (d->out_at == d->out_len) {
		if (d->ended)
			return FED_END;
		if (d->turn >= TURN_BYTES) {
			d->turn = 0;
			net_timer_set(&x->pacing, 0);
			return FED_WAIT;
		}
		fed = produce(x, d);
		if (fed != FED_SOME || !d->out_len)
			return fed;
	}
	out = view_make(d->out + d->out_at, d->out_len - d->out_at);
	if (out.len > most)
		out.len = (size_t)most;
	*sent = x->ops->data(x->client, out);
	d->out_at += (size_t)*sent;
	return *sent < out.len ? FED_WAIT : FED_SOME;
}

uint64_t decode_needs(const struct decoder *d)
{
	return d->at;
}

void decode_end(struct exchange *x)
{
	if (!x->decoder)
		return;
	inflater_free(x->decoder->z);
	free(x->decoder);
	x->decoder = NULL;
}
