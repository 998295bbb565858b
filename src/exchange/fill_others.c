/* What an answer says of responses that are stored already, besides taking the place of one. */
#include "share.h"

#define NOMINATED_MAX 16 /* variants whose tags the origin is told, or that one 304 freshens */

int fill_note_old(struct fill *f, const struct store_record *r)
{
	f->old_head = arena_view(&f->arena, r->head);
	f->old_vary = arena_view(&f->arena, r->vary);
	f->old_selecting = arena_view(&f->arena, r->selecting);
	f->old_tags = arena_view(&f->arena, r->tags);
	if (!f->old_head.ptr || !f->old_vary.ptr || !f->old_selecting.ptr || (r->tags.len && !f->old_tags.ptr))
		return LARDER_ENOMEM;
	f->old_meta = r->meta;
	f->old_id = r->id;
	f->has_old = true;
	return 0;
}

/* A stored head's fields, into the half of the scratch that the answer's do not use. */
static bool parse_stored(struct fill *f, const struct store_record *r, struct http_head *h)
{
	struct http_fault fault;
	struct view fields;

	view_cut(r->head, '\n', &fields);
	http_head_init(h, f->env->fields + FIELDS_HALF, FIELDS_HALF);
	if (http_parse_fields(h, fields, &fault))
		return false;
	h->status = r->meta.status;
	h->reason = view_of(http_reason(h->status));
	return true;
}

/* ---- Variants that might do ---- */

struct nominees {
	struct exchange *x;
	struct buf *out;
	struct view tags[NOMINATED_MAX]; /* in the map */
	unsigned n;
};

static bool nominate(void *arg, const struct store_record *r)
{
	struct nominees *to = arg;
	struct view etag;

	/* Origins that give all codings of something the same tag are not given the chance to confirm one that this
	 * client cannot read. */
	if (!(r->meta.flags & CACHE_F_ETAG) || to->n == NOMINATED_MAX ||
	    !cache_coding_acceptable(to->x->req.head, lines_field(r->head, V("Content-Encoding"))))
		return true;
	etag = cache_origin_etag(r->etag, &r->meta);
	for (unsigned i = 0; i < to->n; i++) {
		if (view_eq(to->tags[i], etag))
			return true;
	}
	buf_addv(to->out, to->n ? V(", ") : V("If-None-Match: "));
	buf_addv(to->out, etag);
	to->tags[to->n++] = etag;
	return true;
}

int fill_nominate(struct fill *f, struct exchange *x, struct buf *out)
{
	struct nominees to = {.x = x, .out = out};

	f->asked = arena_view(&f->arena, x->selecting_view);
	if (!f->asked.ptr)
		return LARDER_ENOMEM;
	store_variants(f->env->store, &f->key, NOMINATED_MAX, nominate, &to);
	if (to.n)
		BUF_ADD_LIT(out, "\r\n");
	f->choosing = f->validating = to.n > 0;
	return out->err ? out->err : to.n > 0;
}

struct choice {
	struct fill *f;
	const struct http_head *res304;
	int64_t date;
	bool found;
	int err;
};

/* RFC 9111 §4.1: the most recent of several. */
static bool choose(void *arg, const struct store_record *r)
{
	struct choice *c = arg;
	struct http_head stored;

	if ((c->found && r->meta.date <= c->date) || !parse_stored(c->f, r, &stored) ||
	    !cache_304_selects(&stored, &r->meta, c->res304))
		return true;
	c->err = fill_note_old(c->f, r);
	c->date = r->meta.date;
	c->found = !c->err;
	return !c->err;
}

bool fill_choose(struct fill *f, const struct http_head *res304)
{
	struct choice c = {.f = f, .res304 = res304};

	/* One without a tag does not say which of them it means. */
	if (http_find(res304, HTTP_ETAG, 0))
		store_variants(f->env->store, &f->key, NOMINATED_MAX, choose, &c);
	return c.found;
}

/* ---- Freshening ---- */

int fill_varies_anew(struct fill *f, struct view head, struct view old, struct buf *vary)
{
	struct http_fault fault;
	struct http_head h;
	struct view fields;
	int ret;

	view_cut(head, '\n', &fields);
	http_head_init(&h, f->env->fields + FIELDS_HALF, FIELDS_HALF);
	ret = http_parse_fields(&h, fields, &fault);
	if (!ret)
		ret = cache_vary_names(&h, vary);
	if (ret)
		return ret > 0 ? LARDER_EPROTO : ret;
	return !view_eq(buf_view(vary), view_eq(old, STORE_ANY) ? V("") : old);
}

/* What is written of a stored response once it has been freshened. */
static void commit_fate(struct fill *f, struct store_record *r, int fate, struct buf *head,
                        const struct cache_meta *meta)
{
	uint64_t id = r->id;
	struct buf vary;

	r->head = buf_view(head);
	/* By what it was selected then, nobody knows any more. */
	buf_init(&vary, KEY_BYTES);
	if (fate == CACHE_UPDATE && fill_varies_anew(f, r->head, r->vary, &vary))
		fate = CACHE_REMOVE;
	buf_fini(&vary);
	r->meta = *meta;
	r->etag = lines_field(r->head, V("ETag"));
	r->purges = f->purges;
	if (fate == CACHE_UPDATE)
		store_update(f->env->store, &f->key, r, id, NULL, NULL);
	else if (fate == CACHE_REMOVE)
		store_remove_one(f->env->store, &f->key, r, id, NULL, NULL);
}

static int freshen(struct fill *f, const struct store_record *r, const struct http_head *stored,
                   const struct http_head *res, struct buf *head, struct cache_meta *meta)
{
	int fate = cache_freshen(&f->listener->cache, &f->req, stored, &r->meta, res, f->info.request_time,
	                         f->info.response_time, r->length, head, meta);

	fill_note_transport(f, meta, false);
	return fate;
}

/* Is the entity-tag one that its origin gave to one representation alone? */
static bool is_strong(const struct cache_meta *m)
{
	return (m->flags & CACHE_F_ETAG) && (!(m->flags & CACHE_F_ETAG_WEAK) || (m->flags & CACHE_F_ETAG_WEAKENED));
}

static bool freshen_other(void *arg, const struct store_record *r)
{
	struct choice *c = arg;
	struct store_record other = *r;
	struct http_head stored;
	struct cache_meta meta;
	struct buf head;

	/* Only a strong tag can mean several (§4.3.4). */
	if (r->id == c->f->old_id || !is_strong(&r->meta) ||
	    !parse_stored(c->f, r, &stored) || !cache_304_selects(&stored, &r->meta, c->res304))
		return true;
	buf_init(&head, HEAD_BYTES);
	commit_fate(c->f, &other, freshen(c->f, r, &stored, c->res304, &head, &meta), &head, &meta);
	buf_fini(&head);
	return true;
}

void fill_freshen_others(struct fill *f, const struct http_head *res304)
{
	struct choice c = {.f = f, .res304 = res304};
	struct view etag = http_only(res304, HTTP_ETAG);
	struct http_etag tag;

	if (f->old_vary.len && !f->invalidated && etag.ptr && http_etag_parse(etag, &tag) == 0 && !tag.weak)
		store_variants(f->env->store, &f->key, NOMINATED_MAX, freshen_other, &c);
}

/* The stored response that the request would get, were it a GET. */
static bool find_for_get(struct fill *f, struct store_hit *hit)
{
	enum cache_reason why = f->first ? f->first->why : CACHE_USE_URI_MISS;
	bool found = f->first && lookup_found(lookup_now(f->first, hit));

	/* Why the origin was asked has been settled. */
	if (f->first)
		f->first->why = why;
	return found;
}

/* What the client has been told of is not answered with afterwards: the head waits for it. */
static void outdate(struct fill *f, struct store_record *r)
{
	r->meta.lifetime = 0;
	r->purges = f->purges;
	r->soon = true;
	if (store_update(f->env->store, &f->key, r, r->id, fill_on_settled, f) == 0) {
		f->removing++;
		fill_ref(f);
	}
}

void fill_update_by_head(struct fill *f, const struct http_head *res)
{
	struct store_record r;
	struct http_head stored;
	struct cache_meta meta;
	struct store_hit hit;
	struct buf head;

	if (res->status != 200 || !f->key_text.len || !f->env->store || !find_for_get(f, &hit))
		return;
	r = hit.record;
	buf_init(&head, HEAD_BYTES);
	if (r.meta.status == 200 && parse_stored(f, &r, &stored)) {
		if (cache_head_selects(&stored, &r.meta, r.length, res)) {
			commit_fate(f, &r, freshen(f, &r, &stored, res, &head, &meta), &head, &meta);
		} else if (!http_find(&f->req, HTTP_AUTHORIZATION, 0) && cache_ttl(&r.meta, f->info.response_time) > 0) {
			outdate(f, &r);
		}
	}
	buf_fini(&head);
	store_hit_done(f->env->store, &hit);
}

/* RFC 9111 §4.3.4. One without a validator names nothing: "If-None-Match: *" or a date of the client's choice brings a 304
 * for content that is not what is stored. */
static bool told_of(const struct http_head *stored, const struct cache_meta *meta, const struct http_head *res304)
{
	return (http_find(res304, HTTP_ETAG, 0) || http_find(res304, HTTP_LAST_MODIFIED, 0)) &&
	       cache_304_selects(stored, meta, res304);
}

void fill_update_by_304(struct fill *f, const struct http_head *res)
{
	struct store_record r;
	struct http_head stored;
	struct cache_meta meta;
	struct store_hit hit;
	struct buf head;

	if (!f->key_text.len || !f->env->store || !find_for_get(f, &hit))
		return;
	r = hit.record;
	buf_init(&head, HEAD_BYTES);
	if (parse_stored(f, &r, &stored) && told_of(&stored, &r.meta, res))
		commit_fate(f, &r, freshen(f, &r, &stored, res, &head, &meta), &head, &meta);
	buf_fini(&head);
	store_hit_done(f->env->store, &hit);
}

/* ---- What is stored no longer ---- */

/* Was it the answer that keeps it from being stored, rather than the request or the store? */
static bool is_the_answers(enum cache_reason why)
{
	return why != CACHE_STORE_REQUEST_NO_STORE && why != CACHE_STORE_AUTHORIZATION &&
	       why != CACHE_STORE_BYPASSED && why != CACHE_STORE_PARTIAL;
}

/* Statuses that only say "not now". */
static bool is_passing(unsigned status)
{
	return status >= 500 || status == 408 || status == 425 || status == 429;
}

void fill_remove_outdated(struct fill *f)
{
	struct store_record r = {.vary = f->old_vary, .selecting = f->old_selecting};

	if (f->has_old && is_the_answers(f->storable) && !is_passing(f->status))
		store_remove_one(f->env->store, &f->key, &r, f->old_id, NULL, NULL);
}

/* ---- POST ---- */

bool fill_answers_get(struct fill *f, const struct http_head *res)
{
	struct view at = http_only(res, HTTP_CONTENT_LOCATION);
	struct http_target other;
	struct buf scratch, key;
	bool same;

	if (f->req.method != HTTP_METHOD_POST || !f->key_text.len || !f->first || !at.ptr)
		return false;
	buf_init(&scratch, KEY_BYTES);
	buf_init(&key, KEY_BYTES);
	same = http_target_resolve(f->first->req.target, at, &scratch, &other) == 0 &&
	       exchange_key_text(f->listener, &other, &key) == 0 &&
	       view_eq(buf_view(&key), buf_view(&f->key_text));
	buf_fini(&key);
	buf_fini(&scratch);
	return same;
}
