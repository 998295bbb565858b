/* How bodies come to be stored in part: a range that was asked for alone, or a fetch that broke off. */
#include "parts.h"

/* ---- A range alone ---- */

/* The first of the ranges is enough to learn what there is; the others are holes then. */
static struct view first_range(struct exchange *x)
{
	struct view v = http_only(x->req.head, HTTP_RANGE), rest;
	struct http_range range;
	struct buf line;
	unsigned n;

	if (!v.ptr || !view_istarts(v, V("bytes=")))
		return view_make(NULL, 0);
	buf_init(&line, 1024);
	buf_printf(&line, "bytes=%.*s", VFMT(view_trim(view_cut(view_from(v, 6), ',', &rest))));
	v = line.err ? view_make(NULL, 0) : arena_view(&x->arena, buf_view(&line));
	buf_fini(&line);
	if (!v.ptr || http_range_parse(v, INT64_MAX, &range, 1, &n) != HTTP_RANGE_SOME)
		return view_make(NULL, 0);
	return v;
}

int part_ranges_noted(struct exchange *x)
{
	int value;

	return board_noted(x->env->board, BOARD_RANGES, x->key.hash, net_loop_now_ms(x->env->loop), &value) ? value : 0;
}

bool part_may_open(struct exchange *x)
{
	if (x->alone || x->no_part || unshareable_known(x) || unshareable_likely(x))
		return false;
	x->open_range = first_range(x);
	return x->open_range.ptr != NULL;
}

bool part_becomes(struct fill *f, struct http_head *h, uint64_t length, bool dated, struct http_range *range,
                  uint64_t *total)
{
	struct view v = http_only(h, HTTP_CONTENT_RANGE);
	struct http_head whole = *h;
	struct cache_control cc;
	struct http_range asked;
	unsigned n;

	if (!v.ptr || http_content_range_parse(v, range, total) != 1 || *total == HTTP_LENGTH_UNKNOWN ||
	    (length != HTTP_LENGTH_UNKNOWN && length != range->last - range->first + 1))
		return false;
	/* RFC 9110 §14.4: what was asked for, or the beginning of it. */
	if (http_range_parse(f->asks_range, *total, &asked, 1, &n) != HTTP_RANGE_SOME || range->first != asked.first ||
	    range->last > asked.last)
		return false;
	for (unsigned i = 0; i < h->nfields; i++)
		h->fields[i].hop |= h->fields[i].id == HTTP_CONTENT_RANGE;
	whole.status = 200;
	whole.reason = V("OK");
	if (cache_storable(&f->listener->cache, &f->req, &whole, f->info.request_time, f->info.response_time,
	                   &f->meta, &cc) != CACHE_STORE_OK || !store_accepts_part(f->env->store, *total))
		return false;
	if (!dated)
		fill_forget_date(f);
	if (cache_vary_names(h, &f->vary) != 0 ||
	    (f->vary.len && cache_vary_select(buf_view(&f->vary), &f->req, &f->selecting)) ||
	    cache_head_write(&f->listener->cache, &whole, &cc, *total, &f->head))
		return false;
	fill_note_transport(f, &f->meta, true);
	return part_validator(buf_view(&f->head), &f->meta).len && !(f->meta.flags & CACHE_F_ACCEPT_RANGES_NONE);
}

/* Another one may have come to its place already: its file has other bytes. */
static bool is_ours(struct part *p, struct store_hit *hit)
{
	struct store_file *file = store_hit_take_file(hit);
	bool ours = store_part_inode(file) == store_part_inode(p->file);

	store_file_unref(p->store, file);
	return ours;
}

static void on_created(void *arg, int err)
{
	struct fill *f = arg;
	struct part *p = f->opens;
	struct view selecting = buf_view(&p->selecting);
	struct store_hit hit;
	int found;

	f->opens = NULL;
	if (err && err != LARDER_ECLOSED)
		log_debug("not stored: %.*s: %s", VFMT(f->key.text), larder_strerror(err));
	found = err || !f->env ? 0 : store_find(p->store, &p->key, p->vary.len ? &selecting : NULL, &hit);
	if (found == STORE_PART && hit.record.length == p->length && !p->dead && is_ours(p, &hit))
		p->id = hit.record.id;
	else
		p->dead = true;
	if (found > 0)
		store_hit_done(p->store, &hit);
	part_fetch_created(p);
	/* From here on lookups find it in the store. */
	share_shut(f);
	share_drop(f);
	part_unref(p);
	fill_unref(f);
}

static void create(struct fill *f, struct part *p)
{
	struct store_record r;

	part_describe(p, &r, true);
	r.tags = buf_view(&f->tags);
	r.purges = f->purges;
	r.revoked = share_revoked(f);
	r.revoked_was = f->mark;
	fill_ref(f);
	part_ref(p);
	f->opens = p;
	if (store_part_create(p->store, &p->key, &r, p->file, on_created, f) == 0)
		return;
	p->dead = true;
	f->opens = NULL;
	share_shut(f);
	part_unref(p);
	fill_unref(f);
}

/* All who wait for the fill read the part. */
static void move_readers(struct fill *f, struct part *p, struct part_fetch *pf)
{
	struct exchange *x, *next, *first = f->first;

	f->first = NULL;
	TAILQ_FOREACH_SAFE(x, &f->readers, link, next) {
		TAILQ_REMOVE(&f->readers, x, link);
		f->nreaders--;
		x->fill = NULL;
		fill_unref(f);
		exchange_enter(x);
		if (x == first) {
			pf->by = x;
			x->part_fetched = x->incomplete = true;
		}
		if (x->ended)
			;
		else if (x != first && !part_fits(p, x))
			exchange_restart(x);
		else if (route_destination_allowed(x, &f->info.addr))
			part_join(x, p, fill_fwd_token(x->why));
		exchange_leave(x);
	}
}

static int open_part(struct fill *f, const struct http_range *range, uint64_t total)
{
	struct part *p = part_new(f, total);
	struct part_fetch *pf = NULL;
	struct store_file *file;

	if (!p)
		return LARDER_ENOMEM;
	if (store_part_new(p->store, &p->key, total, &file) == 0) {
		part_take_file(p, file);
		pf = part_fetch_adopt(p, f, range->first, range->last + 1);
	}
	if (!pf) {
		part_unref(p);
		return LARDER_ENOMEM;
	}
	f->storable = CACHE_STORE_OK;
	f->state = FILL_BODY;
	fill_ref(f);
	create(f, p);
	move_readers(f, p, pf);
	part_fetch_judge(p);
	fill_unref(f);
	part_unref(p);
	return 1;
}

/* May the answer be passed to the one who asked as it is? */
static bool fits_as_it_is(const struct exchange *x)
{
	struct view v = x ? http_only(x->req.head, HTTP_RANGE) : view_make(NULL, 0);

	return x && !x->conditional && !http_find(x->req.head, HTTP_IF_RANGE, 0) && view_find(v, ',') == v.len;
}

int part_open(struct fill *f, struct http_head *h, uint64_t length, bool dated)
{
	struct http_range range;
	struct exchange *x, *next;
	uint64_t total;
	int ret;

	if (h->status != 206 && h->status != 416)
		return 0;
	f->invalidated |= share_invalid(f);
	if (h->status == 206 && !f->invalidated && part_becomes(f, h, length, dated, &range, &total)) {
		ret = open_part(f, &range, total);
		if (ret > 0)
			return ret;
	}
	for (unsigned i = 0; i < h->nfields; i++)
		h->fields[i].hop &= h->fields[i].id != HTTP_CONTENT_RANGE;
	buf_reset(&f->head);
	buf_reset(&f->vary);
	buf_reset(&f->selecting);
	if (h->status == 206)
		board_note(f->env->board, BOARD_RANGES, f->key.hash,
		           net_loop_now_ms(f->env->loop) + f->env->options->unshareable_time, RANGES_PASS);
	f->want_store = false;
	f->storable = h->status == 206 ? CACHE_STORE_PARTIAL : CACHE_STORE_STATUS;
	share_shut(f);
	if (fits_as_it_is(f->first))
		return 0;
	fill_ref(f);
	TAILQ_FOREACH_SAFE(x, &f->readers, link, next) {
		exchange_enter(x);
		if (!x->ended)
			fill_send_back(x, true);
		exchange_leave(x);
	}
	fill_unref(f);
	return LARDER_ECLOSED;
}

bool part_is_far(const struct fill *f, struct exchange *x)
{
	struct view v = x->ranged ? http_only(x->req.head, HTTP_RANGE) : view_make(NULL, 0);
	struct http_range ranges[RANGES_MAX];
	unsigned n;

	if (!v.ptr || x->alone || f->ended || f->revalidated || f->length == HTTP_LENGTH_UNKNOWN || !f->want_store ||
	    !part_validator(buf_view(&f->head), &f->meta).len || part_ranges_noted(x))
		return false;
	return http_range_parse(v, f->length, ranges, RANGES_MAX, &n) == HTTP_RANGE_SOME &&
	       ranges[0].first > fill_received(f) + x->env->options->range_fill;
}

/* ---- A fetch that broke off ---- */

static void on_kept(void *arg, int err)
{
	struct fill *f = arg;
	struct exchange *x, *next;

	check_magic(f, FILL_MAGIC);
	f->keeping = false;
	if (err)
		log_debug("not kept: a part of %.*s: %s", VFMT(f->key.text), larder_strerror(err));
	else if (f->env)
		stat_add(&f->env->stats->kept, 1);
	TAILQ_FOREACH_SAFE(x, &f->readers, link, next) {
		exchange_enter(x);
		if (!x->ended && !x->replied)
			fill_send_back(x, false);
		exchange_leave(x);
	}
	share_drop(f);
	fill_unref(f);
}

void part_keep(struct fill *f)
{
	struct store_record r;

	f->invalidated |= share_invalid(f);
	if (!f->want_store || !f->spool || f->spool_ended || f->revalidated || f->invalidated || f->keeping ||
	    (f->storable != CACHE_STORE_OK && f->storable != CACHE_STORE_INCOMPLETE) || f->status != 200 ||
	    f->length == HTTP_LENGTH_UNKNOWN || (f->meta.flags & CACHE_F_ACCEPT_RANGES_NONE) ||
	    !part_validator(buf_view(&f->head), &f->meta).len)
		return;
	fill_describe(f, &r);
	r.length = f->length;
	fill_ref(f);
	f->keeping = true;
	if (store_part_keep(f->env->store, &f->key, &r, f->spool, on_kept, f) == 0)
		return;
	f->keeping = false;
	fill_unref(f);
}
