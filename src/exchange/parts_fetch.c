/* Holes of bodies that are stored in part are fetched. */
#include "parts.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/value.h"

#define ROOM_MS    20           /* between two looks whether the disk has room */
#define ROOM_WAIT_MS 1000      /* and how long that goes on */
#define RECORD_STEP (32ull << 20) /* so much comes before the record is told: a crash costs no more */

static void on_recorded(void *arg, int err);

/* ---- What came is recorded ---- */

static void release(struct part_fetch *pf)
{
	struct part *p = pf->part;

	if (pf->fill || pf->nops)
		return;
	/* What the record is not told of is not stored. */
	if (p->env)
		claims_drop(board_claims(p->env->board), &pf->claim);
	store_run_fini(p->store, &pf->run);
	LIST_REMOVE(pf, link);
	p->nfetches--;
	free(pf);
	part_unref(p);
}

/* From what was recorded last to where it has come. A part whose record is still being made waits for it. */
static void record(struct part_fetch *pf)
{
	struct part *p = pf->part;
	struct store_record r;

	if (pf->at <= pf->recorded || !p->id || p->dead || pf->nops)
		return;
	part_describe(p, &r, pf->fresh);
	r.purges = pf->purges;
	r.revoked = pf->revoked;
	r.revoked_was = pf->revoked_was;
	if (store_part_extend(p->store, &p->key, &r, p->id, p->file, &pf->run, pf->recorded, pf->at,
	                      on_recorded, pf))
		return;
	pf->recorded = pf->at;
	pf->fresh = false;
	pf->nops++;
	p->nops++;
}

static void on_recorded(void *arg, int err)
{
	struct part_fetch *pf = arg;
	struct part *p = pf->part;

	pf->nops--;
	p->nops--;
	if (err)
		log_debug("not stored: a part of %.*s: %s", VFMT(p->key.text), larder_strerror(err));
	/* Evicted or removed: whoever reads it goes on. */
	if (err == LARDER_ENOENT)
		p->dead = true;
	if (!pf->fill)
		record(pf);
	part_ref(p);
	release(pf);
	part_finish(p);
	part_unref(p);
}

void part_fetch_created(struct part *p)
{
	struct part_fetch *pf, *next;

	LIST_FOREACH_SAFE(pf, &p->fetches, link, next) {
		if (pf->fill)
			continue;
		part_ref(p);
		record(pf);
		release(pf);
		part_unref(p);
	}
}

/* ---- The end of a transfer ---- */

/* Readers that wait for what does not come: those that have been sent nothing get an error, or, where the origin
 * has answered in another way, begin anew. */
static void give_up(struct part *p, uint64_t from, uint64_t end, int err, const char *proxy_error)
{
	struct exchange *x, *next;

	TAILQ_FOREACH_SAFE(x, &p->readers, link, next) {
		if (x->part_needs < from || x->part_needs >= end)
			continue;
		x->part_err = err;
		x->part_proxy_error = proxy_error;
	}
	part_tell(p);
}

static void over(struct part_fetch *pf, int err, const char *proxy_error)
{
	struct part *p = pf->part;
	uint64_t at = pf->at, end = pf->end;

	pf->fill->pf = NULL;
	pf->fill = NULL;
	part_ref(p);
	record(pf);
	/* One that waits for its part's record is kept. */
	if (p->id || p->dead || pf->at == pf->recorded)
		release(pf);
	if (p->env && err && at < end)
		give_up(p, at, end, err, proxy_error);
	else if (p->env)
		part_tell(p);
	part_finish(p);
	part_unref(p);
}

void part_fetch_done(struct fill *f, const struct origin_result *result)
{
	struct part_fetch *pf = f->pf;
	uint64_t end = claims_grow(board_claims(f->env->board), &pf->claim, pf->at);

	/* It ended where somebody else goes on. */
	if (end < pf->end)
		pf->end = end > pf->at ? end : pf->at;
	if (!result->err && pf->at < pf->end)
		over(pf, LARDER_EPROTO, "http_response_incomplete");
	else
		over(pf, pf->at < pf->end ? result->err : 0, result->proxy_error);
}

void part_fetch_stop(struct fill *f)
{
	struct part_fetch *pf = f->pf;

	origin_cancel(f->transfer);
	fill_transfer_ended(f);
	f->ended = true;
	f->state = FILL_FAILED;
	over(pf, 0, NULL);
	fill_unref(f);
}

static bool needed(const struct part_fetch *pf)
{
	const struct exchange *x;

	TAILQ_FOREACH(x, &pf->part->readers, link) {
		if (!x->replied)
			return true;
		for (unsigned i = x->segment; !x->finished && i < x->nsegments; i++) {
			const struct segment *s = &x->segments[i];
			uint64_t from = x->decoder ? decode_needs(x->decoder) :
			                             s->offset + (i == x->segment ? x->segment_done : 0);

			if (!s->text.len && from < pf->end && pf->at < s->offset + s->length)
				return true;
		}
	}
	return false;
}

/* As fills are (options finish, finish_percent, finish_bytes), by the stretch that is fetched. */
static bool worth_finishing(const struct part_fetch *pf)
{
	const struct exchange_options *o = pf->part->env->options;
	uint64_t all = pf->end - pf->first, have = pf->at - pf->first;

	if (o->finish != FINISH_AUTO)
		return o->finish == FINISH_ALWAYS;
	if (!pf->answered)
		return false;
	return all - have <= o->finish_bytes || have / (all / 100 + 1) >= o->finish_percent;
}

void part_fetch_judge(struct part *p)
{
	struct part_fetch *pf;
again:
	LIST_FOREACH(pf, &p->fetches, link) {
		if (pf->fill && pf->fill->transfer && !needed(pf) && !worth_finishing(pf)) {
			part_fetch_stop(pf->fill);
			goto again;
		}
	}
}

/* ---- Beginning ---- */

static struct board_member me(const struct exchange_env *env)
{
	return env->links ? links_me(env->links) : (struct board_member){0};
}

/* Range and If-Range: what comes back is of the same representation, or all of the new one (RFC 9110 §13.1.5). */
static int ask(struct part_fetch *pf, struct arena *arena, struct view *lines)
{
	struct part *p = pf->part;
	struct view v = part_validator(buf_view(&p->head), &p->meta);
	struct buf b;

	buf_init(&b, 64 * 1024);
	buf_printf(&b, "Range: bytes=%llu-%llu\r\nIf-Range: %.*s\r\n", (unsigned long long)pf->first,
	           (unsigned long long)(pf->end - 1), VFMT(v));
	*lines = b.err ? view_make(NULL, 0) : arena_view(arena, buf_view(&b));
	buf_fini(&b);
	return lines->ptr ? 0 : LARDER_ENOMEM;
}

static int start(struct part *p, struct exchange *x, uint64_t first, uint64_t end, const struct claim_ref *claim)
{
	struct request_plan plan = {.drop_conditions = true, .drop_range = true};
	struct part_fetch *pf = calloc(1, sizeof(*pf));
	struct fill *f = pf ? fill_new(x, true) : NULL;
	int err = f ? 0 : LARDER_ENOMEM;

	if (err) {
		free(pf);
		return err;
	}
	*pf = (struct part_fetch){.part = p, .fill = f, .by = x, .first = first, .at = first, .end = end,
		                  .recorded = first};
	err = ask(pf, &f->arena, &plan.validators);
	f->old_tags = arena_view(&f->arena, buf_view(&p->tags));
	if (!err)
		err = fill_start(f, x, &plan);
	if (err) {
		fill_unref(f);
		free(pf);
		return err;
	}
	pf->claim = *claim;
	f->pf = pf;
	LIST_INSERT_HEAD(&p->fetches, pf, link);
	p->nfetches++;
	part_ref(p);
	stat_add(&p->env->stats->hole_fetches, 1);
	fill_unref(f); /* the transfer has one */
	return 0;
}

struct part_fetch *part_fetch_adopt(struct part *p, struct fill *f, uint64_t first, uint64_t end)
{
	struct part_fetch *pf = calloc(1, sizeof(*pf));
	uint64_t at, to = end;

	if (!pf)
		return NULL;
	*pf = (struct part_fetch){.part = p, .fill = f, .first = first, .at = first, .end = end,
		                  .recorded = first, .answered = true};
	claims_take(board_claims(p->env->board), me(p->env), p->body, UINT64_MAX, first, &to, &at, &pf->claim);
	f->pf = pf;
	LIST_INSERT_HEAD(&p->fetches, pf, link);
	p->nfetches++;
	part_ref(p);
	return pf;
}

static bool running(const struct part *p, uint64_t offset, uint64_t near)
{
	const struct part_fetch *pf;

	LIST_FOREACH(pf, &p->fetches, link) {
		if (pf->fill && pf->at <= offset && offset < pf->end && offset - pf->at <= near)
			return true;
	}
	return false;
}

static unsigned transfers(const struct part *p)
{
	const struct part_fetch *pf;
	unsigned n = 0;

	LIST_FOREACH(pf, &p->fetches, link)
		n += pf->fill != NULL;
	return n;
}

/* May one more fetch begin? 0, 1: not now, or negative. */
static int admit(struct part *p, struct exchange *x)
{
	const struct exchange_options *o = p->env->options;
	int err;

	if (transfers(p) >= (unsigned)o->range_fetches)
		return 1;
	if (is_offline(x))
		return LARDER_EREFUSED;
	if (p->env->ntransfers >= (uint64_t)o->fills_max)
		return LARDER_ELIMIT;
	return down_is_over(x, &err) ? 0 : err;
}

/* Others may have recorded it meanwhile. */
static void look_again(struct part *p)
{
	struct view selecting = buf_view(&p->selecting);
	struct store_hit hit;
	int found;

	if (!p->id || p->seen == store_commits(p->store))
		return;
	p->seen = store_commits(p->store);
	found = store_find(p->store, &p->key, p->vary.len ? &selecting : NULL, &hit);
	if (found == STORE_PART && hit.record.id == p->id)
		store_extents_load(&p->have, hit.extents, p->length);
	if (found > 0)
		store_hit_done(p->store, &hit);
}

int part_fetch_need(struct part *p, struct exchange *x, uint64_t offset, uint64_t end)
{
	struct claims *claims = board_claims(p->env->board);
	bool wait = p->no_ranges || part_ranges_noted(x) == RANGES_NONE;
	uint64_t near = wait ? UINT64_MAX : p->env->options->range_fill, at;
	struct claim_ref claim;
	int ret, err = x->part_err;

	x->part_err = 0;
	x->part_needs = offset;
	if (err && (x->part_tries++ || err == LARDER_EAGAIN))
		return err;
	if (running(p, offset, near)) {
		x->collapsed = !x->part_fetched;
		return 0;
	}
	/* A 304 may have weakened its tag: then nothing that comes could be put to it (RFC 9110 §13.1.5). */
	if (!part_validator(buf_view(&p->head), &p->meta).len) {
		part_kill(p, false);
		return LARDER_EAGAIN;
	}
	ret = admit(p, x);
	if (ret)
		return ret < 0 ? ret : 0;
	look_again(p);
	if (store_extents_have(&p->have, offset))
		return 1;
	end = store_extents_next(&p->have, offset, end);
	switch (claims_take(claims, me(p->env), p->body, near, offset, &end, &at, &claim)) {
	case CLAIM_THEIRS:
		x->collapsed = !x->part_fetched;
		if (at > offset && store_extents_add(&p->have, offset, at) == 0)
			return 1;
		net_timer_set(&p->poll, PART_POLL_MS);
		return 0;
	case CLAIM_OURS:
	case CLAIM_NONE:
		break;
	}
	ret = start(p, x, offset, end, &claim);
	if (ret) {
		claims_drop(claims, &claim);
		return ret;
	}
	x->collapsed = false;
	x->part_fetched = true;
	return 0;
}

/* ---- The answer ---- */

enum verdict { FITS, WHOLE, CHANGED, REFUSED, LIES };

static bool same_validator(const struct part *p, const struct http_head *h)
{
	struct view ours = part_validator(buf_view(&p->head), &p->meta);
	struct view theirs = http_only(h, (p->meta.flags & CACHE_F_ETAG) ? HTTP_ETAG : HTTP_LAST_MODIFIED);
	struct http_etag a, b;

	if (!(p->meta.flags & CACHE_F_ETAG))
		return theirs.ptr && view_eq(ours, theirs);
	return theirs.ptr && http_etag_parse(ours, &a) == 0 && http_etag_parse(theirs, &b) == 0 &&
	       http_etag_strong_eq(&a, &b);
}

/* RFC 9110 §14.4, §15.3.7: what was asked for, or a part of it, of the same representation. */
static enum verdict judge_206(const struct part_fetch *pf, const struct http_head *h, uint64_t length,
                              struct http_range *range)
{
	struct view v = http_only(h, HTTP_CONTENT_RANGE);
	uint64_t total;

	if (!v.ptr || http_content_range_parse(v, range, &total) != 1 || range->first < pf->first ||
	    range->last >= pf->end)
		return LIES;
	if (length != HTTP_LENGTH_UNKNOWN && length != range->last - range->first + 1)
		return LIES;
	return total == pf->part->length && same_validator(pf->part, h) ? FITS : CHANGED;
}

static enum verdict judge(const struct part_fetch *pf, const struct http_head *h, uint64_t length,
                          struct http_range *range)
{
	struct part *p = pf->part;

	switch (h->status) {
	case 206:
		return judge_206(pf, h, length, range);
	case 200:
		*range = (struct http_range){0, p->length - 1};
		return same_validator(p, h) && length == p->length ? WHOLE : CHANGED;
	case 404:
	case 410:
	case 416:
		return CHANGED;
	default:
		return REFUSED;
	}
}

/* RFC 9111 §3.2, §3.4: the stored head is updated by that of the new part. */
static int freshen(struct part_fetch *pf, const struct http_head *h)
{
	struct part *p = pf->part;
	struct fill *f = pf->fill;
	struct http_fault fault;
	struct http_head old;
	struct cache_meta meta;
	struct view fields;
	struct buf fresh;
	int fate;

	view_cut(buf_view(&p->head), '\n', &fields);
	http_head_init(&old, f->env->fields + FIELDS_MAX / 2, FIELDS_MAX / 2);
	if (http_parse_fields(&old, fields, &fault))
		return LARDER_EPROTO;
	old.status = p->meta.status;
	old.reason = view_of(http_reason(old.status));
	buf_init(&fresh, HEAD_BYTES);
	fate = cache_freshen(&f->listener->cache, &f->req, &old, &p->meta, h, f->info.request_time, f->info.response_time,
	                     p->length, &fresh, &meta);
	if (fate != CACHE_UPDATE) {
		buf_fini(&fresh);
		/* Nothing of this answer may be stored (§3), of the representation, or for this request alone. */
		if (fate == CACHE_REMOVE)
			part_kill(p, false);
		return fate < 0 ? fate : LARDER_EAGAIN;
	}
	buf_fini(&p->head);
	p->head = fresh;
	buf_reset(&p->tags);
	if (buf_addv(&p->tags, buf_view(&f->tags)))
		return LARDER_ENOMEM;
	fill_note_transport(f, &meta, true);
	p->meta = meta;
	pf->fresh = true;
	pf->purges = f->purges;
	pf->revoked = share_revoked(f);
	pf->revoked_was = f->mark;
	return 0;
}

static int accept_stretch(struct part_fetch *pf, const struct http_head *h, const struct http_range *range)
{
	struct part *p = pf->part;
	int err = freshen(pf, h);

	if (err)
		return err;
	pf->answered = true;
	pf->first = pf->at = pf->recorded = range->first;
	pf->end = range->last + 1;
	if (pf->claim.id)
		claims_move(board_claims(p->env->board), &pf->claim, pf->first, pf->end);
	p->origin = pf->fill->info.addr;
	return 0;
}

/* The fill goes on as one of the new whole; readers that have been sent nothing join it. */
static int to_whole(struct part_fetch *pf)
{
	struct fill *f = pf->fill;

	fill_enter_table(f, true);
	pf->at = pf->end = pf->recorded;
	over(pf, 0, NULL);
	return f->nreaders ? 0 : LARDER_ECLOSED;
}

static void note_ranges(struct part *p, int value)
{
	struct exchange_env *env = p->env;

	board_note(env->board, BOARD_RANGES, p->key.hash,
	           net_loop_now_ms(env->loop) + env->options->unshareable_time, value);
}

int part_fetch_head(struct fill *f, const struct http_head *h, uint64_t length)
{
	struct part_fetch *pf = f->pf;
	struct part *p = pf->part;
	struct http_range range;
	enum verdict v = judge(pf, h, length, &range);

	if (v == WHOLE) {
		p->no_ranges = true;
		note_ranges(p, RANGES_NONE);
	}
	if (v == FITS || v == WHOLE)
		return accept_stretch(pf, h, &range);
	if (v == CHANGED || v == LIES)
		log_debug("partial body of %.*s: %s", VFMT(p->key.text),
		          v == LIES ? "the origin's ranges are wrong" : "another one is there by now");
	if (v == LIES)
		note_ranges(p, RANGES_PASS);
	if (v == REFUSED) {
		/* Whoever waits asks by itself, and gets that answer. */
		snprintf(f->detail, sizeof(f->detail), "the origin refused the rest of what is stored");
		return LARDER_EAGAIN;
	}
	part_kill(p, v == CHANGED);
	if (v == CHANGED && h->status == 200)
		return to_whole(pf);
	return LARDER_EAGAIN;
}

/* ---- The body ---- */

/* 0, ORIGIN_PAUSE, or negative: it can't be written. */
static int store(struct part_fetch *pf, struct view data)
{
	struct part *p = pf->part;
	uint64_t now = net_loop_now_ms(p->env->loop);
	int err = store_part_write(p->store, &pf->run, p->file, pf->at, data);

	if (err != STORE_WAIT) {
		pf->waits_since = 0;
		return err;
	}
	if (!pf->waits_since)
		pf->waits_since = now ? now : 1;
	if (now - pf->waits_since > ROOM_WAIT_MS)
		return LARDER_ENOSPC;
	net_timer_set(&pf->fill->pacing, ROOM_MS);
	return ORIGIN_PAUSE;
}

int part_fetch_data(struct fill *f, struct view data)
{
	struct part_fetch *pf = f->pf;
	struct part *p = pf->part;
	uint64_t end = claims_grow(board_claims(f->env->board), &pf->claim, pf->at), room;
	int err;

	end = end < pf->end ? end : pf->end;
	if (pf->at >= end)
		return LARDER_ECLOSED; /* somebody else goes on from here */
	if (!pace_fetch(f))
		return ORIGIN_PAUSE;
	room = end - pf->at;
	data.len = data.len < room ? data.len : (size_t)room;
	err = store(pf, data);
	if (!err)
		err = store_extents_add(&p->have, pf->at, pf->at + data.len);
	/* What can't be kept is not for those who wait for it: they ask by themselves. */
	if (err)
		return err < 0 ? LARDER_EAGAIN : err;
	pf->at += data.len;
	claims_grow(board_claims(f->env->board), &pf->claim, pf->at);
	pace_fetched(f, data.len);
	stat_add(&f->env->stats->hole_bytes, data.len);
	if (pf->at - pf->recorded >= RECORD_STEP)
		record(pf);
	fill_ref(f);
	part_tell(p);
	err = f->transfer && end < pf->end && pf->at >= end ? LARDER_ECLOSED : 0;
	fill_unref(f);
	return err;
}
