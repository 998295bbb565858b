#include "explain.h"
#include "store/purge.h"

#include <stdlib.h>

static struct part_bucket *bucket(struct exchange_env *env, struct hash128 key)
{
	return &env->parts[key.lo % FILL_BUCKETS];
}

struct view part_validator(struct view head, const struct cache_meta *meta)
{
	if ((meta->flags & CACHE_F_ETAG) && !(meta->flags & CACHE_F_ETAG_WEAK))
		return lines_field(head, V("ETag"));
	if (!(meta->flags & CACHE_F_ETAG) && (meta->flags & CACHE_F_LAST_MODIFIED_STRONG))
		return lines_field(head, V("Last-Modified"));
	return view_make(NULL, 0);
}

void part_ref(struct part *p)
{
	check_magic(p, PART_MAGIC);
	p->refs++;
}

static void leave_env(struct part *p)
{
	if (!p->env)
		return;
	LIST_REMOVE(p, link);
	net_timer_stop(&p->poll);
	p->env = NULL;
}

void part_unref(struct part *p)
{
	check_magic(p, PART_MAGIC);
	check(p->refs > 0);
	if (--p->refs)
		return;
	check(!p->nreaders && LIST_EMPTY(&p->fetches));
	leave_env(p);
	if (p->file)
		store_file_unref(p->store, p->file);
	store_extents_fini(&p->have);
	buf_fini(&p->key_text);
	buf_fini(&p->selecting);
	buf_fini(&p->vary);
	buf_fini(&p->head);
	buf_fini(&p->tags);
	p->magic = 0;
	free(p);
}

static void on_poll(struct net_timer *t)
{
	struct part *p = container_of(t, struct part, poll);

	part_tell(p);
}

static struct part *make(struct exchange_env *env, struct view key, struct hash128 hash, struct view vary,
                         struct view selecting, struct view head, struct view tags, uint64_t length)
{
	struct part *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->magic = PART_MAGIC;
	p->refs = 1;
	p->env = env;
	p->store = env->store;
	p->length = length;
	TAILQ_INIT(&p->readers);
	LIST_INIT(&p->fetches);
	net_timer_init(&p->poll, env->loop, on_poll);
	buf_init(&p->key_text, KEY_BYTES);
	buf_init(&p->selecting, KEY_BYTES);
	buf_init(&p->vary, KEY_BYTES);
	buf_init(&p->head, HEAD_BYTES);
	buf_init(&p->tags, STORE_TAGS_BYTES);
	buf_addv(&p->key_text, key);
	buf_addv(&p->vary, vary);
	buf_addv(&p->selecting, selecting);
	buf_addv(&p->head, head);
	buf_addv(&p->tags, tags);
	p->key = (struct store_key){buf_view(&p->key_text), hash};
	LIST_INSERT_HEAD(bucket(env, hash), p, link);
	if (!p->key_text.err && !p->vary.err && !p->selecting.err && !p->head.err && !p->tags.err)
		return p;
	part_unref(p);
	return NULL;
}

void part_take_file(struct part *p, struct store_file *file)
{
	uint64_t inode = store_part_inode(file);

	p->file = file;
	/* Everywhere the same for the same file: what is on its way into another one is of no use here. */
	p->body = hash_128(view_make(&inode, sizeof(inode)), p->key.hash.lo ^ p->key.hash.hi);
}

struct part *part_new(struct fill *f, uint64_t length)
{
	struct part *p = make(f->env, f->key.text, f->key.hash, buf_view(&f->vary), buf_view(&f->selecting),
		              buf_view(&f->head), buf_view(&f->tags), length);

	if (!p)
		return NULL;
	p->meta = f->meta;
	p->origin = f->info.addr;
	return p;
}

void part_describe(struct part *p, struct store_record *r, bool head)
{
	*r = (struct store_record){
		.meta = p->meta,
		.selecting = buf_view(&p->selecting),
		.vary = buf_view(&p->vary),
		.length = p->length,
		.origin_port = p->origin.len ? addr_port(&p->origin) : 0,
	};
	if (p->origin.len)
		addr_ip16(&p->origin, r->origin_ip);
	if (!head)
		return;
	r->head = buf_view(&p->head);
	r->tags = p->tags.len ? buf_view(&p->tags) : V("");
}

/* ---- What is stored ---- */

static struct part *find(struct exchange_env *env, const struct store_hit *hit, const struct store_key *key)
{
	struct part *p;

	LIST_FOREACH(p, bucket(env, key->hash), link) {
		if (p->id == hit->record.id && p->length == hit->record.length)
			return p;
	}
	return NULL;
}

/* The record may be newer than what is known here, and have more. */
static int refresh(struct part *p, const struct store_hit *hit)
{
	const struct store_record *r = &hit->record;
	bool newer = r->meta.response_time > p->meta.response_time ||
	             (r->meta.response_time == p->meta.response_time &&
	              r->meta.request_time > p->meta.request_time);

	p->seen = store_commits(p->store);
	if (newer) {
		buf_reset(&p->head);
		buf_reset(&p->tags);
		if (buf_addv(&p->head, r->head) || buf_addv(&p->tags, r->tags))
			return LARDER_ENOMEM;
		p->meta = r->meta;
	}
	return store_extents_load(&p->have, hit->extents, p->length);
}

/* One reference more; NULL: out of memory. */
static struct part *of_hit(struct exchange *x, struct store_hit *hit)
{
	const struct store_record *r = &hit->record;
	struct part *p = find(x->env, hit, &x->key);

	if (p) {
		part_ref(p);
	} else {
		p = make(x->env, x->key.text, x->key.hash, r->vary, r->selecting, r->head, r->tags, r->length);
		if (!p)
			return NULL;
		p->id = r->id;
		p->meta = r->meta;
		part_take_file(p, store_hit_take_file(hit));
	}
	if (refresh(p, hit) == 0)
		return p;
	part_unref(p);
	return NULL;
}

/* ---- Readers ---- */

static void attach(struct exchange *x, struct part *p)
{
	check(!x->part && !x->fill);
	TAILQ_INSERT_TAIL(&p->readers, x, link);
	p->nreaders++;
	x->part = p;
	part_ref(p);
}

void part_detach(struct exchange *x)
{
	struct part *p = x->part;
	struct part_fetch *pf;

	x->part = NULL;
	TAILQ_REMOVE(&p->readers, x, link);
	p->nreaders--;
	LIST_FOREACH(pf, &p->fetches, link) {
		if (pf->by == x)
			pf->by = NULL;
	}
	if (p->env)
		part_fetch_judge(p);
	part_unref(p);
}

/* The bytes that the answer to x is made of: none for heads alone. */
static unsigned wanted(struct exchange *x, struct part *p, struct http_range *ranges)
{
	int64_t now = net_loop_wall_s(p->env->loop);
	struct stored_answer a = {.head = buf_view(&p->head), .meta = &p->meta, .length = p->length};
	struct view etag = lines_field(a.head, V("ETag"));
	unsigned n = 0;

	if (x->method == HTTP_METHOD_HEAD)
		return 0;
	if (x->conditional && cache_precondition(x->req.head, &p->meta, etag, now) != CACHE_COND_NONE)
		return 0;
	/* Of what is decoded no range can be told beforehand: all of it is sent. */
	if (x->ranged && !decode_applies(x, &a)) {
		switch (cache_ranges(x->req.head, &p->meta, etag, p->length, now, ranges, RANGES_MAX, &n)) {
		case HTTP_RANGE_UNSATISFIABLE:
			return 0;
		case HTTP_RANGE_SOME:
			return n;
		case HTTP_RANGE_NONE:
			break;
		}
	}
	ranges[0] = (struct http_range){0, p->length - 1};
	return 1;
}

static void reply(struct exchange *x, struct part *p)
{
	struct stored_answer a = {.head = buf_view(&p->head), .meta = &p->meta, .length = p->length};
	int64_t now = net_loop_wall_s(p->env->loop);
	struct cache_status cs = {.has_ttl = true, .ttl = cache_ttl(&p->meta, now), .meta = &p->meta};
	const char *fwd = x->part_fwd ? x->part_fwd : x->incomplete ? cache_reason_token(CACHE_USE_PARTIAL) : NULL;

	a.etag = lines_field(a.head, V("ETag"));
	a.file = store_file_ref(p->file);
	cs.hit = !fwd;
	cs.fwd = fwd;
	cs.fwd_status = x->part_status;
	cs.stored = x->incomplete;
	cs.collapsed = x->collapsed;
	if (!fwd)
		x->outcome = x->why == CACHE_USE_STALE_ALLOWED || cs.ttl < 0 ? OUT_STALE : OUT_HIT;
	else if (x->outcome != OUT_STALE)
		x->outcome = x->incomplete ? OUT_MISS : OUT_REVALIDATED;
	if (!fwd && x->why == CACHE_USE_OFFLINE)
		cs.detail = "offline";
	x->reason = fwd ? fwd : cache_reason_token(x->why);
	x->stored = x->incomplete ? "yes" : NULL;
	if (fwd)
		x->origin = p->origin;
	if (x->incomplete)
		stat_add(&p->env->stats->partial, 1);
	buf_reset(&x->lines);
	lines_generate(x, (int64_t)cache_age(&p->meta, now), &cs);
	deliver_stored(x, &a);
}

/* It can't be had from the part: x begins anew, and passes its request on if need be. */
static void send_back(struct exchange *x, bool pass)
{
	part_detach(x);
	x->part_fwd = NULL;
	x->part_status = 0;
	x->incomplete = false;
	x->no_part |= pass;
	exchange_restart(x);
}

static void fail(struct exchange *x, struct part *p, int err)
{
	x->reason = x->fwd = cache_reason_token(CACHE_USE_PARTIAL);
	if (p->changed || err == LARDER_EAGAIN) {
		send_back(x, !p->changed);
		return;
	}
	part_detach(x);
	exchange_run(x, reply_error(x, fill_error_status(err), x->part_proxy_error,
	                            "The rest of what is stored could not be fetched."));
}

/* May anything be fetched for x? false: it has been answered, or goes its own way. */
static bool may_fetch(struct exchange *x)
{
	bool honoured = x->listener->cache.request_directives;

	if (is_offline(x)) {
		part_detach(x);
		exchange_run(x, reply_offline(x));
	} else if ((x->cc.set & CACHE_CC_ONLY_IF_CACHED) && honoured) {
		/* RFC 9111 §5.2.1.7 */
		part_detach(x);
		x->reason = cache_reason_token(CACHE_USE_PARTIAL);
		exchange_run(x, reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and only a part of it is stored."));
	} else if ((x->cc.set & CACHE_CC_NO_STORE) && honoured) {
		send_back(x, true); /* §5.2.1.5: nothing of the answer may be kept */
	} else {
		return true;
	}
	return false;
}

/* What of it would have to be fetched first. */
static struct http_range first_hole(struct part *p, const struct http_range *range)
{
	uint64_t from = range->first + store_extents_have(&p->have, range->first);

	return (struct http_range){from, store_extents_next(&p->have, from, range->last + 1) - 1};
}

/* Answers x as soon as its first byte is there: until then it can still begin anew. */
static void go_on(struct exchange *x)
{
	struct part *p = x->part;
	struct http_range ranges[RANGES_MAX];
	unsigned n = wanted(x, p, ranges);
	bool missing = false;
	unsigned at = 0;
	int ret = 1;

	for (; at < n && !missing; at += !missing)
		missing = store_extents_have(&p->have, ranges[at].first) <= ranges[at].last - ranges[at].first;
	if (missing && !x->incomplete && !may_fetch(x))
		return;
	if (missing && x->env->explain) {
		explain_missing(x, first_hole(p, &ranges[at]));
		return;
	}
	x->incomplete |= missing;
	if (missing && store_extents_have(&p->have, ranges[0].first) == 0)
		ret = p->changed || p->file == NULL ? LARDER_EAGAIN :
		      part_fetch_need(p, x, ranges[0].first, ranges[0].last + 1);
	if (ret < 0)
		fail(x, p, ret);
	else if (ret)
		reply(x, p);
}

void part_join(struct exchange *x, struct part *p, const char *fwd)
{
	x->part_fwd = fwd;
	attach(x, p);
	go_on(x);
}

/* What has just been validated would be found again: it is left alone. */
static struct step unusable(struct exchange *x, const char *fwd)
{
	x->alone |= fwd != NULL;
	x->why = CACHE_USE_PARTIAL;
	return STEP(step_miss);
}

struct step part_answer(struct exchange *x, struct store_hit *hit, const char *fwd, unsigned status)
{
	struct part *p;

	if (x->no_part)
		return unusable(x, fwd);
	p = of_hit(x, hit);
	if (!p)
		return reply_error(x, 503, NULL, "Out of memory.");
	if (p->dead) {
		/* The store has yet to take it away. */
		part_unref(p);
		return unusable(x, fwd);
	}
	x->part_status = status;
	part_join(x, p, fwd);
	part_finish(p);
	part_unref(p);
	return STEP_WAIT;
}

bool part_fits(struct part *p, struct exchange *x)
{
	enum cache_reason why;

	if (p->dead || cache_reuse(&x->listener->cache, x->req.head, &x->cc, &p->meta,
	                           net_loop_wall_s(p->env->loop), &why) != CACHE_SERVE)
		return false;
	if (!p->vary.len)
		return true;
	buf_reset(&x->selecting);
	return cache_vary_select(buf_view(&p->vary), x->req.head, &x->selecting) == 0 &&
	       view_eq(buf_view(&x->selecting), buf_view(&p->selecting));
}

int64_t part_read(struct exchange *x, uint64_t offset, uint64_t want)
{
	struct part *p = x->part;
	uint64_t have = store_extents_have(&p->have, offset);
	int ret;

	if (p->changed)
		return LARDER_ECLOSED;
	if (!have) {
		x->part_waits = true;
		ret = part_fetch_need(p, x, offset, offset + want);
		if (ret <= 0)
			return ret;
		have = store_extents_have(&p->have, offset);
	}
	x->part_waits = false;
	have = have < want ? have : want;
	return have < INT64_MAX ? (int64_t)have : INT64_MAX;
}

void part_tell(struct part *p)
{
	struct exchange *x, *next;

	part_ref(p);
	/* A reader that is told leaves at most by itself; new ones come at the tail. */
	TAILQ_FOREACH_SAFE(x, &p->readers, link, next) {
		exchange_enter(x);
		if (!x->ended && !x->replied)
			go_on(x);
		else if (!x->ended && !x->finished && (x->part_waits || p->changed))
			deliver_feed(x);
		exchange_leave(x);
	}
	part_unref(p);
}

/* ---- The end ---- */

static void on_dropped(void *arg, int err)
{
	struct part *p = arg;

	if (err && err != LARDER_ENOENT)
		log_debug("partial body not dropped: %.*s: %s", VFMT(p->key.text), larder_strerror(err));
	part_unref(p);
}

void part_kill(struct part *p, bool changed)
{
	struct store_record r;

	p->changed |= changed;
	if (p->dead)
		return;
	p->dead = true;
	if (!p->id)
		return;
	part_describe(p, &r, false);
	part_ref(p);
	if (store_part_drop(p->store, &p->key, &r, p->id, on_dropped, p))
		part_unref(p);
}

static void on_finished(void *arg, int err)
{
	struct part *p = arg;

	/* Others read it from where it is now. */
	p->dead |= !err || err == LARDER_ENOENT;
	p->finishing = false;
	if (err && err != LARDER_EAGAIN && err != LARDER_ENOENT)
		log_debug("not made whole: %.*s: %s", VFMT(p->key.text), larder_strerror(err));
	part_unref(p);
}

void part_finish(struct part *p)
{
	struct store_record r;

	if (p->dead || p->finishing || p->nops || !p->id || !p->env || p->env->explain || !LIST_EMPTY(&p->fetches) ||
	    store_extents_have(&p->have, 0) < p->length)
		return;
	p->finishing = true;
	part_describe(p, &r, false);
	part_ref(p);
	if (store_part_finish(p->store, &p->key, &r, p->id, p->file, on_finished, p) == 0)
		return;
	p->finishing = false;
	part_unref(p);
}

/* As the store does it to the record. */
static void soften(struct part *p)
{
	int64_t now = net_loop_wall_s(p->env->loop);

	if (cache_ttl(&p->meta, now) > 0)
		p->meta.lifetime = cache_age(&p->meta, now);
}

void part_invalidate(struct exchange_env *env, const struct store_key *key, bool soft)
{
	struct part *p;

	LIST_FOREACH(p, bucket(env, key->hash), link) {
		if (!view_eq(p->key.text, key->text))
			continue;
		if (soft && p->id)
			soften(p);
		else
			p->dead = true;
	}
}

void part_orphan_all(struct exchange_env *env)
{
	struct part_fetch *pf;
	struct part *p;

	for (unsigned i = 0; i < FILL_BUCKETS; i++) {
		while ((p = LIST_FIRST(&env->parts[i]))) {
			check(!p->nreaders);
			LIST_FOREACH(pf, &p->fetches, link) {
				check(!pf->fill);
				claims_drop(board_claims(env->board), &pf->claim);
			}
			leave_env(p);
		}
	}
}
