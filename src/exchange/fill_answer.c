#include "parts.h"
#include "tags.h"

#include "base/num.h"

#define DATE_LINE (6 + HTTP_DATE_LEN)

static bool sharable(const struct fill *f, struct exchange *x, const struct cache_control *cc)
{
	enum cache_reason why;

	return f->want_store && !f->invalidated && f->storable == CACHE_STORE_OK &&
	       cache_reuse(&x->listener->cache, x->req.head, cc, &f->meta, net_loop_wall_s(f->env->loop),
	                   &why) == CACHE_SERVE;
}

uint64_t fill_selects(struct exchange *x, struct view names)
{
	struct buf *b = &x->env->select;
	size_t ends[STORE_LISTS_MAX];
	uint64_t hash;

	if (!lookup_select(names, x->req.head, b, ends))
		return 0;
	hash = hash_64(buf_view(b), 0);
	return hash ? hash : 1;
}

bool fill_fits(struct fill *f, struct exchange *x, bool waited)
{
	static const struct cache_control none = {
		.max_age = CACHE_DELTA_NONE, .s_maxage = CACHE_DELTA_NONE, .min_fresh = CACHE_DELTA_NONE,
		.max_stale = CACHE_DELTA_NONE, .stale_while_revalidate = CACHE_DELTA_NONE,
		.stale_if_error = CACHE_DELTA_NONE,
	};

	if (f->state == FILL_FAILED || part_is_far(f, x))
		return false;
	/* A 304 may have made the response one that is not for others any more. */
	if (f->revalidated && (f->fate != CACHE_UPDATE || (f->meta.flags & ~f->old_meta.flags & CACHE_F_NO_CACHE)))
		return false;
	/* It was chosen for what one request selects by. */
	if (f->choosing && f->revalidated && !view_eq(x->selecting_view, f->asked))
		return false;
	if (f->new_vary.ptr && (!fill_selects(x, f->new_vary) || !view_eq(buf_view(&f->env->select), f->new_selecting)))
		return false;
	if (f->revalidated)
		return waited || cache_ttl(&f->meta, net_loop_wall_s(f->env->loop)) > 0;
	/* What was asked for before the answer was made is as new as no-cache wants it. */
	if (!sharable(f, x, waited ? &none : &x->cc))
		return false;
	if (!f->vary.len)
		return true;
	return fill_selects(x, buf_view(&f->vary)) && view_eq(buf_view(&f->env->select), buf_view(&f->selecting));
}

/* ---- The head arrives ---- */

/* A copy whose hops are marked and that has a Date (RFC 9110 §6.6.1). */
static void own_head(struct fill *f, const struct http_head *head, char line[DATE_LINE],
                     struct http_head *h)
{
	*h = *head;
	h->fields = f->env->fields;
	h->cap = FIELDS_HALF;
	h->nfields = head->nfields;
	memcpy(h->fields, head->fields, h->nfields * sizeof(*h->fields));
	if (!http_find(h, HTTP_DATE, 0)) {
		memcpy(line, "Date: ", 6);
		http_date_format(f->info.response_time, line + 6);
		h->fields[h->nfields++] = (struct http_field){
			view_make(line, 4), view_make(line + 6, HTTP_DATE_LEN), HTTP_DATE, 0};
	}
	http_head_mark_hops(h);
	for (unsigned i = 0; i < h->nfields; i++) {
		/* RFC 9110 §8.6: none in a 204, whatever its origin thinks. */
		if (head->status == 204 && h->fields[i].id == HTTP_CONTENT_LENGTH)
			h->fields[i].hop = 1;
		if (h->fields[i].id == HTTP_VIA && f->listener->options.via == EXCHANGE_VIA_REMOVE)
			h->fields[i].hop = 1;
	}
}

/* A 304 may bring another Vary (RFC 9111 §3.2, §4.1): then what was confirmed is selected by the fields of this request. */
static int vary_anew(struct fill *f)
{
	struct buf vary, text;
	int ret = 0;

	buf_init(&vary, KEY_BYTES);
	buf_init(&text, KEY_BYTES);
	if (f->fate == CACHE_UPDATE)
		ret = fill_varies_anew(f, buf_view(&f->head), f->old_vary, &vary);
	if (ret > 0 && !vary.len) {
		f->fate = CACHE_REMOVE;
		ret = 0;
	} else if (ret > 0) {
		ret = cache_vary_select(buf_view(&vary), &f->req, &text);
		f->new_vary = arena_view(&f->arena, buf_view(&vary));
		f->new_selecting = arena_view(&f->arena, buf_view(&text));
		if (!ret && (!f->new_vary.ptr || !f->new_selecting.ptr))
			ret = LARDER_ENOMEM;
	}
	buf_fini(&vary);
	buf_fini(&text);
	return ret;
}

static void begin_head(struct fill *f, const struct http_head *head, uint64_t length, char line[DATE_LINE],
                       struct http_head *h)
{
	f->status = head->status;
	/* Whatever Content-Length says here, it is not of this message (RFC 9112 §6.3). */
	f->length = f->req.method == HTTP_METHOD_HEAD || head->status == 204 || head->status == 304 ? 0 : length;
	own_head(f, head, line, h);
}

/* Decides whether it is wanted for the store; are its tags such as can be stored? */
static bool take_tags(struct fill *f, struct http_head *h)
{
	bool tagged;

	f->want_store |= fill_answers_get(f, h);
	/* A 206 to a hole's If-Range leaves out what is known of the part (RFC 9110 §15.3.7). */
	tagged = f->want_store && (f->pf && h->status == 206 ? tags_of_304(f, h) : tags_of_response(f, h)) == 0;
	tags_strip(f->listener, h);
	return tagged;
}

/* 304 to our validators (RFC 9111 §4.3.4). */
static int on_304(struct fill *f, struct http_head *h)
{
	struct http_fault fault;
	struct http_head old;
	struct view fields;
	uint64_t length = HTTP_LENGTH_UNKNOWN;
	struct view text;
	int fate;

	if (f->choosing && !fill_choose(f, h)) {
		f->mismatch = true;
		return LARDER_EPROTO;
	}
	text = lines_field(f->old_head, V("Content-Length"));
	view_cut(f->old_head, '\n', &fields);
	http_head_init(&old, f->env->fields + FIELDS_HALF, FIELDS_HALF);
	if (http_parse_fields(&old, fields, &fault) || !cache_304_selects(&old, &f->old_meta, h) ||
	    tags_of_304(f, h)) {
		f->mismatch = true;
		return LARDER_EPROTO;
	}
	tags_strip(f->listener, h);
	if (text.ptr && num_parse_u64(text, UINT64_MAX - 1, &length))
		length = HTTP_LENGTH_UNKNOWN;
	old.status = f->old_meta.status;
	old.reason = view_of(http_reason(old.status));
	fate = cache_freshen(&f->listener->cache, &f->req, &old, &f->old_meta, h, f->info.request_time,
	                     f->info.response_time, length, &f->head, &f->meta);
	buf_addv(&f->vary, f->old_vary);
	buf_addv(&f->selecting, f->old_selecting);
	if (fate < 0 || f->vary.err || f->selecting.err || fill_take_cookies(f, h)) {
		f->mismatch = true;
		return LARDER_ENOMEM;
	}
	f->fate = (enum cache_fate)fate;
	if (vary_anew(f)) {
		f->mismatch = true;
		return LARDER_ENOMEM;
	}
	f->revalidated = true;
	fill_note_transport(f, &f->meta, false);
	fill_freshen_others(f, h);
	/* Those who select by something else would have had another one chosen for them. */
	if (f->choosing || f->new_vary.ptr)
		share_shut(f);
	fill_publish(f);
	return 0;
}

static bool stale_allowed(struct fill *f, struct exchange *x, bool answered)
{
	return f->has_old && down_stale_allowed(x, &f->old_meta, answered);
}

/* Date is ours when the origin sent none: then it says nothing about Last-Modified (RFC 9110 §8.8.2.2). */
void fill_forget_date(struct fill *f)
{
	f->meta.flags &= ~(uint32_t)(CACHE_F_DATE | CACHE_F_LAST_MODIFIED_STRONG);
}

void fill_note_transport(const struct fill *f, struct cache_meta *meta, bool content)
{
	meta->flags &= ~(uint32_t)(CACHE_F_HTTP10 | CACHE_F_HTTP2);
	meta->flags |= f->info.http10 ? CACHE_F_HTTP10 : f->info.h2 ? CACHE_F_HTTP2 : 0U;
	if (content && (!f->info.tls || f->info.until_close))
		meta->flags |= CACHE_F_DOUBTED;
}

/* Makes what is stored but for the body, or leaves f->storable at the reason why nothing is. */
static void judge_storing(struct fill *f, const struct http_head *h, uint64_t length, bool tagged)
{
	uint64_t written = f->status == 204 ? HTTP_LENGTH_UNKNOWN : length;
	struct cache_control cc;

	f->storable = cache_storable(&f->listener->cache, &f->req, h, f->info.request_time,
	                             f->info.response_time, &f->meta, &cc);
	if (f->storable != CACHE_STORE_OK)
		return;
	if (!tagged) {
		f->storable = CACHE_STORE_TAGS;
		return;
	}
	if (!store_accepts(f->env->store, length)) {
		f->storable = CACHE_STORE_TOO_LARGE;
		return;
	}
	if (cache_vary_names(h, &f->vary) != 0) {
		f->storable = CACHE_STORE_VARY_ANY;
		return;
	}
	if ((f->vary.len && cache_vary_select(buf_view(&f->vary), &f->req, &f->selecting)) ||
	    cache_head_write(&f->listener->cache, h, &cc, written, &f->head))
		f->storable = CACHE_STORE_TOO_LARGE;
}

static void prepare_storing(struct fill *f, const struct http_head *h, uint64_t length, bool tagged)
{
	judge_storing(f, h, length, tagged);
	if (f->storable != CACHE_STORE_OK)
		return;
	f->spool = store_spool_new(f->env->store, length);
	if (!f->spool)
		f->storable = CACHE_STORE_FAILED;
}

bool fill_is_personal(const struct fill *f)
{
	return f->storable == CACHE_STORE_REQUEST_NO_STORE || f->storable == CACHE_STORE_AUTHORIZATION;
}

/* An error says nothing of what comes when it is over. */
static void note_sharing(struct fill *f)
{
	if (!f->want_store || f->req.method != HTTP_METHOD_GET || f->status >= 500)
		return;
	if (f->storable == CACHE_STORE_OK)
		shareable_note(f);
	else if (f->storable != CACHE_STORE_REQUEST_NO_STORE && !f->invalidated)
		unshareable_note(f);
}

int fill_on_head(void *arg, const struct http_head *head, uint64_t length, const struct origin_info *info)
{
	struct fill *f = arg;
	char date[DATE_LINE];
	struct exchange *x;
	struct http_head h;
	bool tagged;
	int err;

	check_magic(f, FILL_MAGIC);
	/* Nothing may be judged by a part of its fields. */
	if (head->nfields >= FIELDS_HALF)
		return LARDER_EPROTO;
	down_forget(f);
	f->info = *info;
	begin_head(f, head, length, date, &h);
	if (f->validating && head->status == 304)
		return on_304(f, &h);
	tagged = take_tags(f, &h);
	if (f->pf && !tagged) {
		part_kill(f->pf->part, false);
		return LARDER_EAGAIN;
	}
	if (f->pf) {
		err = part_fetch_head(f, &h, length);
		if (err || f->pf)
			return err;
	}
	if (f->asks_range.ptr && tagged) {
		err = part_open(f, &h, length, http_find(head, HTTP_DATE, 0) != NULL);
		if (err > 0)
			shareable_note(f);
		if (err)
			return err < 0 ? err : 0;
	}
	/* Whoever asked may have left: those who wait are as good. */
	x = f->first ? f->first : TAILQ_FIRST(&f->readers);
	if (down_is_failure(head->status) && x && stale_allowed(f, x, true)) {
		f->origin_failed = true;
		return LARDER_EPROTO;
	}
	if (f->has_old && down_is_failure(head->status) && f->background)
		return LARDER_EPROTO; /* what is stored stays */
	if (lines_pass_head(&h, &f->pass_head))
		return f->pass_head.err;
	if (f->want_store)
		prepare_storing(f, &h, f->length, tagged);
	if (head->status == 304)
		fill_update_by_304(f, &h);
	else if (f->req.method == HTTP_METHOD_HEAD)
		fill_update_by_head(f, &h);
	else if (f->storable != CACHE_STORE_OK)
		fill_remove_outdated(f);
	if (!http_find(head, HTTP_DATE, 0))
		fill_forget_date(f);
	fill_note_transport(f, &f->meta, true);
	f->meta.status = head->status;
	f->invalidated |= share_invalid(f);
	note_sharing(f);
	if (f->storable != CACHE_STORE_OK || f->invalidated) {
		stat_add(&f->env->stats->not_stored, 1);
		share_shut(f);
	}
	fill_remove_invalidated(f, &h);
	/* Not by itself: what is stored of it comes after that. */
	if (f->req.method == HTTP_METHOD_POST && f->storable == CACHE_STORE_OK) {
		share_mark(f);
		fill_enter_table(f, false);
	}
	if (f->removing)
		f->state = FILL_HELD;
	else
		fill_publish(f);
	return 0;
}

bool fill_examine(struct fill *f, const struct http_head *head, uint64_t length, struct http_head *own)
{
	bool tagged, dated = http_find(head, HTTP_DATE, 0) != NULL;
	struct http_range range;
	uint64_t total;
	char *date = arena_alloc(&f->arena, DATE_LINE);

	if (!date || head->nfields >= FIELDS_HALF) {
		*own = (struct http_head){.status = head->status};
		f->storable = CACHE_STORE_FAILED;
		return false;
	}
	begin_head(f, head, length, date, own);
	tagged = take_tags(f, own);
	if (f->asks_range.ptr && tagged && head->status == 206) {
		if (part_becomes(f, own, length, dated, &range, &total)) {
			f->storable = CACHE_STORE_OK;
			return true;
		}
		f->storable = CACHE_STORE_PARTIAL;
		return false;
	}
	if (f->want_store)
		judge_storing(f, own, f->length, tagged);
	else if (f->storable == CACHE_STORE_BYPASSED)
		f->storable = CACHE_STORE_METHOD;
	if (!dated)
		fill_forget_date(f);
	return false;
}

/* ---- Telling the readers ---- */

const char *fill_fwd_token(enum cache_reason why)
{
	switch (why) {
	case CACHE_USE_URI_MISS:
	case CACHE_USE_VARY_MISS:
	case CACHE_USE_METHOD:
	case CACHE_USE_PARTIAL:
	case CACHE_USE_REQUEST:
		return cache_reason_token(why);
	case CACHE_USE_STALE:
	case CACHE_USE_NO_CACHE:
		return "stale";
	default:
		return "bypass";
	}
}

void fill_send_back(struct exchange *x, bool alone)
{
	fill_detach(x);
	if (alone)
		x->alone = true;
	exchange_restart(x);
}

/* The same of a body that is stored in part: what is missing is fetched. */
static void serve_part(struct fill *f, struct exchange *x, const struct stored_answer *a, struct store_hit *hit,
                       const struct cache_status *cs)
{
	struct store *s = f->env->store;

	/* A 304 has made it anew; the store may not know yet. */
	if (a->head.ptr) {
		hit->record.head = a->head;
		hit->record.meta = *a->meta;
	}
	fill_detach(x);
	exchange_run(x, part_answer(x, hit, cs->fwd, cs->fwd_status));
	store_hit_done(s, hit);
}

static void serve_from_store(struct fill *f, struct exchange *x, struct stored_answer *a,
                             const struct cache_status *cs, int64_t age)
{
	struct store *s = f->env->store;
	struct store_hit hit;

	struct view selecting = buf_view(&f->selecting);
	int found = lookup_again(x, f->choosing ? &selecting : NULL, f->old_id, &hit);

	if (found == STORE_NONE) {
		share_shut(f); /* of no use to others either */
		fill_send_back(x, false);
		return;
	}
	if (found == STORE_PART) {
		serve_part(f, x, a, &hit, cs);
		return;
	}
	if (!a->head.ptr) {
		a->head = hit.record.head;
		a->etag = hit.record.etag;
	}
	a->length = hit.record.length;
	a->body = hit.body;
	a->file = store_hit_take_file(&hit);
	buf_reset(&x->lines);
	lines_generate(x, age, cs);
	deliver_stored(x, a);
	store_hit_done(s, &hit);
}

static void serve_revalidated(struct fill *f, struct exchange *x)
{
	struct stored_answer a = {.head = buf_view(&f->head), .meta = &f->meta,
		                  .etag = lines_field(buf_view(&f->head), V("ETag"))};
	int64_t now = net_loop_wall_s(f->env->loop);
	struct cache_status cs = {.fwd = fill_fwd_token(x->why), .fwd_status = 304, .collapsed = x->collapsed,
		                  .has_ttl = true, .ttl = cache_ttl(&f->meta, now), .meta = &f->meta};

	x->outcome = OUT_REVALIDATED;
	x->reason = cache_reason_token(x->why);
	serve_from_store(f, x, &a, &cs, (int64_t)cache_age(&f->meta, now));
}

static void serve_stale(struct fill *f, struct exchange *x)
{
	struct stored_answer a = {.meta = &f->old_meta};
	int64_t now = net_loop_wall_s(f->env->loop);
	/* RFC 9211 §2.1, §2.3: no hit, since the origin was asked. */
	struct cache_status cs = {.fwd = fill_fwd_token(x->why), .fwd_status = f->origin_failed ? f->status : 0,
		                  .has_ttl = true, .ttl = cache_ttl(&f->old_meta, now), .collapsed = x->collapsed,
		                  .detail = "origin-error", .meta = &f->old_meta};

	x->outcome = OUT_STALE;
	x->reason = cache_reason_token(CACHE_USE_STALE_ALLOWED);
	if (!f->origin_failed)
		x->error = arena_str(&x->arena, view_of(f->detail));
	serve_from_store(f, x, &a, &cs, (int64_t)cache_age(&f->old_meta, now));
}

/* All of a small body that is there already goes out with its head. */
static void add_complete_body(struct fill *f, struct stored_answer *a)
{
	struct store_piece piece;

	if (f->state != FILL_COMPLETE || f->length == HTTP_LENGTH_UNKNOWN || f->length == 0)
		return;
	if (fill_read(f, 0, &piece) && piece.fd < 0 && piece.mem.len == f->length)
		a->body = piece.mem;
}

static void serve_fetched(struct fill *f, struct exchange *x)
{
	bool first = f->first == x;
	struct stored_answer a = {.head = buf_view(first ? &f->pass_head : &f->head), .meta = &f->meta,
		                  .length = f->length, .one_range = !f->spool};
	struct cache_status cs = {.fwd = fill_fwd_token(x->why), .fwd_status = f->status,
		                  .stored = f->storable == CACHE_STORE_OK && !f->invalidated,
		                  .collapsed = x->collapsed, .meta = &f->meta};
	int64_t now = net_loop_wall_s(f->env->loop);

	if (x->conditional || x->ranged)
		a.etag = lines_field(a.head, V("ETag"));
	x->outcome = cs.stored ? OUT_MISS : OUT_PASS;
	x->reason = cs.fwd;
	x->stored = cs.stored ? "yes" : cache_reason_token(f->storable);
	if (!cs.stored && f->storable != CACHE_STORE_BYPASSED)
		cs.detail = x->stored;
	else if (x->impatient)
		cs.detail = "collapse-wait";
	if (cs.stored) {
		cs.has_ttl = true;
		cs.ttl = cache_ttl(&f->meta, now);
	}
	add_complete_body(f, &a);
	buf_reset(&x->lines);
	lines_generate(x, first ? -1 : (int64_t)cache_age(&f->meta, now), &cs);
	/* Conditions and ranges that went to the origin are not applied again. */
	if (f->want_store && f->req.method == HTTP_METHOD_GET)
		deliver_stored(x, &a);
	else
		deliver_whole(x, &a);
}

static void serve(struct fill *f, struct exchange *x)
{
	if (x != f->first && !fill_fits(f, x, true)) {
		/* Those who want the same other one begin again together. */
		if (f->vary.len)
			x->vary_guess = arena_view(&x->arena, buf_view(&f->vary));
		fill_send_back(x, !fill_is_personal(f) && !part_is_far(f, x) &&
		                          (!f->vary.len || f->storable != CACHE_STORE_OK));
		return;
	}
	if (!route_destination_allowed(x, &f->info.addr))
		return;
	x->origin = f->info.addr;
	x->origin_status = f->status;
	if (x == f->first)
		x->cookies = arena_view(&x->arena, f->cookies);
	if (f->revalidated)
		serve_revalidated(f, x);
	else
		serve_fetched(f, x);
}

unsigned fill_error_status(int err)
{
	switch (err) {
	case LARDER_ETIMEOUT:
		return 504;
	case LARDER_ENOMEM:
	case LARDER_EFILES:
	case LARDER_ELIMIT:
		return 503;
	default:
		return 502;
	}
}

static void fail(struct fill *f, struct exchange *x)
{
	bool joined = f->first != x;

	x->origin = f->info.addr;
	x->origin_status = f->status;
	if (f->mismatch) {
		x->unconditional = true;
		fill_send_back(x, false);
	} else if (stale_allowed(f, x, f->origin_failed)) {
		serve_stale(f, x);
	} else if (f->origin_failed || (joined && f->err == LARDER_EREFUSED)) {
		fill_send_back(x, true); /* refused for another, or another could take a stale one */
	} else if (f->err == LARDER_EREFUSED && f->refusal.option) {
		exchange_run(x, reply_refused(x, &f->refusal));
	} else {
		x->reason = x->fwd = fill_fwd_token(x->why);
		exchange_run(x, reply_error(x, fill_error_status(f->err), f->proxy_error, f->detail));
	}
}

void fill_tell_one(struct fill *f, struct exchange *x)
{
	fill_ref(f);
	exchange_enter(x);
	if (x->ended)
		;
	else if (x->replied && !x->finished)
		deliver_feed(x);
	else if (!x->replied && f->state == FILL_FAILED && (f->err || f->mismatch || f->origin_failed) &&
	         !f->pass_head.len)
		fail(f, x);
	else if (!x->replied)
		serve(f, x);
	exchange_leave(x);
	fill_unref(f);
}

void fill_tell(struct fill *f)
{
	struct exchange *x, *next;

	fill_ref(f);
	/* A reader that is told leaves at most by itself; new ones come at the tail. */
	TAILQ_FOREACH_SAFE(x, &f->readers, link, next)
		fill_tell_one(f, x);
	fill_unref(f);
}

void fill_publish(struct fill *f)
{
	f->state = !f->ended ? FILL_BODY : f->err ? FILL_FAILED : FILL_COMPLETE;
	share_publish(f);
	fill_tell(f);
}
