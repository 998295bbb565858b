/* What an explanation says of stored responses, and of one that might come to be stored. */
#include "explain.h"
#include "tags.h"

#include "base/num.h"
#include "store/list.h"

/* A stored head's fields, in the half of the scratch that no answer uses meanwhile. */
static bool parse_stored(struct exchange_env *env, const struct store_record *r, struct http_head *h)
{
	struct http_fault fault;
	struct view fields;

	view_cut(r->head, '\n', &fields);
	http_head_init(h, env->fields + FIELDS_HALF, FIELDS_HALF);
	if (http_parse_fields(h, fields, &fault))
		return false;
	h->status = r->meta.status;
	http_head_mark_hops(h);
	return true;
}

/* ---- Variants ---- */

static struct view selects_by(struct arena *a, const struct http_head *req, struct view vary)
{
	struct view copy = {NULL, 0};
	struct buf text;

	buf_init(&text, KEY_BYTES);
	if (cache_vary_select(vary, req, &text) == 0)
		copy = arena_view(a, buf_view(&text));
	buf_fini(&text);
	return copy;
}

static int add_variant(struct exchange_explanation *out, const struct http_head *req, const struct store_entry *e)
{
	struct exchange_variant *v = &out->variants[out->nvariants];
	struct arena *a = &out->arena;

	*v = (struct exchange_variant){
		.record = e->record,
		.coding = arena_view(a, lines_field(e->record.head, V("Content-Encoding"))),
		.number = e->variant,
		.asked = selects_by(a, req, e->record.vary),
		.blob = e->blob,
		.part = e->part,
		.present = e->present,
	};
	v->matches = v->asked.ptr && view_eq(v->asked, e->record.selecting);
	v->record.key = v->record.head = v->record.tags = V("");
	v->record.selecting = arena_view(a, e->record.selecting);
	v->record.vary = arena_view(a, e->record.vary);
	v->record.etag = arena_view(a, e->record.etag);
	if (!v->asked.ptr || !v->record.selecting.ptr || !v->record.vary.ptr || !v->record.etag.ptr || !v->coding.ptr)
		return LARDER_ENOMEM;
	out->nvariants++;
	return 0;
}

int explain_variants(struct explainer *ex, struct store *s, const struct http_head *req)
{
	struct exchange_explanation *out = ex->out;
	struct store_range range = {.exact = true};
	struct store_list *l;
	struct store_entry e;
	int ret = 0, err = 0;

	view_cut(out->key, ' ', &range.url);
	out->variants = arena_alloc(&out->arena, EXCHANGE_VARIANTS_MAX * sizeof(*out->variants));
	l = store_list_new(s, &range, STORE_LIST_RESPONSES);
	if (!out->variants || !l)
		err = LARDER_ENOMEM;
	while (!err && (ret = store_list_next(l, &e)) == 1) {
		if (!view_eq(e.record.key, out->key))
			continue;
		if (out->nvariants == EXCHANGE_VARIANTS_MAX)
			out->more++;
		else
			err = add_variant(out, req, &e);
	}
	store_list_free(l);
	return err ? err : ret < 0 ? ret : 0;
}

/* ---- The selected one ---- */

static void note_record(struct explainer *ex, const struct store_hit *hit)
{
	struct exchange_explanation *out = ex->out;
	const struct store_record *r = &hit->record;
	struct arena *a = &out->arena;

	out->record = *r;
	out->record.key = out->key;
	out->record.selecting = arena_view(a, r->selecting);
	out->record.vary = arena_view(a, r->vary);
	out->record.head = arena_view(a, r->head);
	out->record.tags = arena_view(a, r->tags);
	out->record.etag = arena_view(a, r->etag);
	if (!out->record.selecting.ptr || !out->record.vary.ptr || !out->record.head.ptr || !out->record.tags.ptr ||
	    !out->record.etag.ptr)
		ex->err = LARDER_ENOMEM;
	if (out->part && store_extents_load(&out->extents, hit->extents, r->length) == LARDER_ENOMEM)
		ex->err = LARDER_ENOMEM;
}

/* By what it differs from what the request selects by. */
static void note_other(struct explainer *ex, struct exchange *x)
{
	struct exchange_explanation *out = ex->out;
	struct view asked = selects_by(&out->arena, x->req.head, out->record.vary);

	out->other_coding = !cache_vary_same_but(out->record.selecting, asked, false, true);
	out->other_language = !cache_vary_same_but(out->record.selecting, asked, true, false);
	if (!asked.ptr)
		ex->err = LARDER_ENOMEM;
}

static void note_lifetime(struct explainer *ex, struct exchange *x)
{
	struct exchange_explanation *out = ex->out;
	const struct cache_meta *m = &out->record.meta;
	struct cache_lifetime *l = &out->lifetime;
	struct http_head h;

	*l = (struct cache_lifetime){.seconds = m->lifetime, .clause = CACHE_LIFE_STORED};
	if (parse_stored(x->env, &out->record, &h))
		cache_lifetime_explain(&x->listener->cache, &h, m->request_time, m->response_time, l);
	if ((m->flags & CACHE_F_PURGED) || (!m->lifetime && l->seconds))
		l->clause = CACHE_LIFE_PURGED;
	else if (l->seconds != m->lifetime)
		l->clause = CACHE_LIFE_STORED;
	l->seconds = m->lifetime;
}

void explain_selected(struct explainer *ex, struct exchange *x)
{
	struct exchange_explanation *out = ex->out;
	const struct cache_options *o = &x->listener->cache;
	enum cache_reason why = x->why;
	struct store_hit hit;
	int found;

	if (!out->caches || !x->key_text.len || (x->method != HTTP_METHOD_GET && x->method != HTTP_METHOD_HEAD))
		return;
	found = lookup_now(x, &hit);
	x->why = why;
	if (!lookup_found(found))
		return;
	out->selected = true;
	out->part = found == STORE_PART;
	note_record(ex, &hit);
	store_hit_done(x->env->store, &hit);
	if (!ex->err && x->other_coding)
		note_other(ex, x);
	if (ex->err)
		return;
	cache_age_explain(&out->record.meta, out->now, &out->age);
	note_lifetime(ex, x);
	out->use = cache_reuse_explain(o, x->req.head, &x->cc, &out->record.meta, out->now, &why, &out->rule);
	out->stale_allowed = down_stale_explain(x, &out->record.meta, &out->stale_rule, &out->stale_seconds);
}

/* ---- A response that was given ---- */

static void note_left_out(struct explainer *ex, struct exchange *x, const struct http_head *h)
{
	struct exchange_judged *j = &ex->out->response;

	j->left_out = arena_alloc(&ex->out->arena, (h->nfields + 1) * sizeof(*j->left_out));
	for (unsigned i = 0; j->left_out && i < h->nfields; i++) {
		enum cache_clause why = cache_field_explain(&x->listener->cache, h, &h->fields[i]);

		if (why == CACHE_FIELD_HOP && tags_is_field(x->listener, h->fields[i].name))
			why = CACHE_FIELD_TAGS;
		if (why == CACHE_FIELD_KEPT)
			continue;
		j->left_out[j->nleft_out].name = arena_view(&ex->out->arena, h->fields[i].name);
		j->left_out[j->nleft_out++].why = why;
	}
	if (!j->left_out)
		ex->err = LARDER_ENOMEM;
}

/* 304 to the validators of what is selected (RFC 9111 §4.3.4). */
static bool confirms(struct explainer *ex, struct exchange *x, struct fill *f, const struct http_head *h)
{
	struct http_head old;

	return f->validating && f->has_old && !f->choosing && h->status == 304 && ex->out->selected &&
	       parse_stored(x->env, &ex->out->record, &old) && cache_304_selects(&old, &f->old_meta, h);
}

void explain_response(struct explainer *ex, struct exchange *x, struct fill *f)
{
	struct exchange_explanation *out = ex->out;
	struct exchange_judged *j = &out->response;
	struct arena *a = &out->arena;
	struct http_head h;

	out->has_response = true;
	j->storable = CACHE_STORE_BYPASSED;
	if (!lookup_has_store(x))
		return;
	f->info.request_time = f->info.response_time = out->now;
	f->first = x;
	j->part = fill_examine(f, ex->response, ex->length, &h);
	f->first = NULL;
	cache_lifetime_explain(&x->listener->cache, &h, out->now, out->now, &j->lifetime);
	note_left_out(ex, x, &h);
	j->confirms = confirms(ex, x, f, &h);
	j->replaced = f->has_old && down_is_failure(h.status) && down_stale_allowed(x, &f->old_meta, true);
	j->storable = f->storable;
	j->vary = j->selecting = j->head = j->tags = V("");
	if (j->confirms || j->replaced) {
		j->storable = CACHE_STORE_STATUS;
		return;
	}
	j->meta = f->meta;
	j->vary = arena_view(a, buf_view(&f->vary));
	j->selecting = arena_view(a, buf_view(&f->selecting));
	j->head = arena_view(a, buf_view(&f->head));
	j->tags = arena_view(a, buf_view(&f->tags));
	if (!j->vary.ptr || !j->selecting.ptr || !j->head.ptr || !j->tags.ptr)
		ex->err = LARDER_ENOMEM;
}
