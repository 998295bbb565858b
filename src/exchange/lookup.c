#include "parts.h"

#include "base/num.h"

#define VARIANTS_LOOKED_AT 32

static struct step step_find(struct exchange *x);

static void on_warm(void *arg)
{
	struct exchange *x = arg;

	x->warm = NULL;
	exchange_enter(x);
	exchange_run(x, STEP(step_find));
	exchange_leave(x);
}

/* One lookup, of those that a request takes the `nth`. STORE_COLD: x goes on once it has been read. */
static int look(struct exchange *x, unsigned nth, const struct view *selecting, struct store_hit *hit)
{
	struct store *s = x->env->store;
	int found;

	if (x->warmed >= nth)
		return store_find(s, &x->key, selecting, hit);
	found = store_look(s, &x->key, selecting, hit);
	if (found != STORE_COLD)
		return found;
	x->warmed = nth;
	/* Who only asks why gets an answer at once. */
	x->warm = x->env->explain ? NULL : store_warm_row(s, &x->key, selecting, on_warm, x);
	return x->warm ? STORE_COLD : store_find(s, &x->key, selecting, hit);
}

struct alternative {
	struct exchange *x;
	int64_t now;
	bool found;
};

/* May the stored one stand in, which another request selects by `asked`? */
static bool may_share(struct exchange *x, const struct store_record *r, struct view asked)
{
	bool codings = x->listener->options.share_codings, languages = x->listener->options.share_languages;

	if (cache_vary_same_but(r->selecting, asked, codings, false))
		return true;
	return languages && cache_vary_same_but(r->selecting, asked, codings, true) &&
	       cache_language_preferred(x->req.head, lines_field(r->head, V("Content-Language")));
}

static bool consider(void *arg, const struct store_record *r)
{
	struct alternative *a = arg;
	struct exchange *x = a->x;
	struct view coding = lines_field(r->head, V("Content-Encoding"));
	struct buf *asked = &x->env->scratch;
	bool undone = (r->meta.flags & CACHE_F_CODED) && x->listener->options.decode &&
	              !(r->meta.flags & CACHE_F_NO_TRANSFORM) && !(x->cc.set & CACHE_CC_NO_TRANSFORM) &&
	              http_coding_weight(x->req.head, V("identity")) != 0;

	buf_reset(asked);
	if (cache_ttl(&r->meta, a->now) <= 0 || cache_vary_select(r->vary, x->req.head, asked) ||
	    !may_share(x, r, buf_view(asked)) ||
	    !(undone || (coding.ptr ? cache_coding_acceptable(x->req.head, coding)
	                            : http_coding_weight(x->req.head, V("identity")) != 0)))
		return true;
	buf_reset(&x->selecting);
	a->found = buf_addv(&x->selecting, r->selecting) == 0;
	return false;
}

/* Another variant that differs by a coding alone, which the client takes or has undone (option share_codings), or by a
 * language that it likes best (share_languages). */
static int find_alternative(struct exchange *x, struct store_hit *hit)
{
	struct alternative a = {x, net_loop_wall_s(x->env->loop), false};
	int found = STORE_NONE;

	store_variants(x->env->store, &x->key, VARIANTS_LOOKED_AT, consider, &a);
	if (a.found) {
		x->selecting_view = buf_view(&x->selecting);
		found = store_find(x->env->store, &x->key, &x->selecting_view, hit);
		x->other_coding = lookup_found(found);
	}
	return found;
}

unsigned lookup_select(struct view lists, const struct http_head *req, struct buf *out, size_t *ends)
{
	unsigned n = 0;

	buf_reset(out);
	while (lists.len && n < STORE_LISTS_MAX) {
		if (cache_vary_select(view_cut(lists, '\n', &lists), req, out))
			return 0;
		ends[n++] = out->len;
	}
	return n;
}

/* What the key's responses vary by: who wants the same of them fetches it together. */
static void note_vary(struct exchange *x)
{
	struct store_hit hit;
	int found = store_find(x->env->store, &x->key, NULL, &hit);

	if (found == STORE_VARIES)
		x->vary_guess = arena_view(&x->arena, hit.record.vary);
	if (found > 0)
		store_hit_done(x->env->store, &hit);
}

/* RFC 9111 §4.1: one that has a Vary, and of such the most recent by Date. */
static bool preferred(const struct store_record *a, const struct store_record *b)
{
	bool a_any = view_eq(a->vary, STORE_ANY), b_any = view_eq(b->vary, STORE_ANY);

	return a_any != b_any ? b_any : a->meta.date > b->meta.date;
}

/* What is stored under each of the texts. */
static int find_variant(struct exchange *x, const size_t *ends, unsigned n, struct store_hit *hit)
{
	struct store *s = x->env->store;
	struct store_hit other;
	int found = STORE_NONE;

	for (unsigned i = 0; i < n; i++) {
		size_t from = i ? ends[i - 1] : 0;
		struct view text = view_make(x->selecting.data + from, ends[i] - from);
		int got = look(x, 2 + i, &text, lookup_found(found) ? &other : hit);

		if (!lookup_found(found)) {
			found = got;
		} else if (got == STORE_COLD) {
			store_hit_done(s, hit);
			return got;
		} else if (lookup_found(got) && preferred(&other.record, &hit->record)) {
			store_hit_done(s, hit);
			*hit = other;
			found = got;
		} else if (lookup_found(got)) {
			store_hit_done(s, &other);
		}
		if (found == STORE_COLD)
			break;
	}
	return found;
}

/* Computes, where the stored Vary asks for it, the selecting text; finds the record. */
static int find(struct exchange *x, struct store_hit *hit)
{
	int found = look(x, 1, NULL, hit);
	size_t ends[STORE_LISTS_MAX];
	unsigned n;

	x->other_coding = false;
	if (found != STORE_VARIES)
		return found;
	n = lookup_select(hit->record.vary, x->req.head, &x->selecting, ends);
	store_hit_done(x->env->store, hit);
	if (!n)
		return STORE_NONE;
	x->selecting_view = buf_view(&x->selecting);
	found = find_variant(x, ends, n, hit);
	if (found == STORE_NONE && (x->listener->options.share_codings || x->listener->options.share_languages))
		found = find_alternative(x, hit);
	if (found == STORE_NONE) {
		x->why = CACHE_USE_VARY_MISS;
		note_vary(x);
	}
	return found;
}

int lookup_now(struct exchange *x, struct store_hit *hit)
{
	x->warmed = 1 + STORE_LISTS_MAX; /* it was in memory a moment ago */
	return find(x, hit);
}

int lookup_again(struct exchange *x, const struct view *selecting, uint64_t id, struct store_hit *hit)
{
	int found;

	found = selecting ? store_find(x->env->store, &x->key, selecting, hit) : lookup_now(x, hit);
	if (!lookup_found(found))
		return STORE_NONE;
	if (hit->record.id == id)
		return found;
	store_hit_done(x->env->store, hit);
	return STORE_NONE;
}

/* The stored response answers the request. */
static struct step step_hit(struct exchange *x, struct store_hit *hit, bool part)
{
	const struct store_record *r = &hit->record;
	struct stored_answer a = {.head = r->head, .meta = &r->meta, .etag = r->etag,
		                  .length = r->length, .body = hit->body};
	struct cache_status cs = {.hit = true, .has_ttl = true, .meta = &r->meta};
	int64_t now = net_loop_wall_s(x->env->loop);
	uint32_t age = cache_age(&r->meta, now);

	if (part)
		return part_answer(x, hit, NULL, 0);
	cs.ttl = (int64_t)r->meta.lifetime - age;
	x->outcome = x->why == CACHE_USE_STALE_ALLOWED || cs.ttl < 0 ? OUT_STALE : OUT_HIT;
	if (x->why == CACHE_USE_OFFLINE)
		cs.detail = "offline";
	x->reason = cache_reason_token(x->why);
	a.file = store_hit_take_file(hit);
	buf_reset(&x->lines);
	lines_generate(x, age, &cs);
	deliver_stored(x, &a);
	return STEP_WAIT;
}

/* The address a stored response came from, for clients that may not reach it themselves. */
static bool may_have(struct exchange *x, const struct store_record *r)
{
	static const uint8_t unknown[16];
	struct addr a = {.len = sizeof(a.in6)};

	if (x->listener->kind != EXCHANGE_FORWARD || memcmp(r->origin_ip, unknown, 16) == 0)
		return true;
	a.in6.sin6_family = AF_INET6;
	memcpy(&a.in6.sin6_addr, r->origin_ip, 16);
	addr_set_port(&a, r->origin_port);
	return route_destination_allowed(x, &a);
}

static struct step judge(struct exchange *x, struct store_hit *hit, bool part)
{
	int64_t now = net_loop_wall_s(x->env->loop);

	if (!may_have(x, &hit->record))
		return STEP_WAIT;
	if (is_offline(x)) {
		x->why = CACHE_USE_OFFLINE;
		return step_hit(x, hit, part);
	}
	switch (cache_reuse(&x->listener->cache, x->req.head, &x->cc, &hit->record.meta, now, &x->why)) {
	case CACHE_SERVE_STALE_REVALIDATE:
		fill_background(x, hit);
		return step_hit(x, hit, part);
	case CACHE_SERVE:
		return step_hit(x, hit, part);
	case CACHE_TIMEOUT:
		x->reason = cache_reason_token(x->why);
		return reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and the stored one may not be used.");
	case CACHE_VALIDATE:
		/* Nobody waits for an origin of which it is not known that it is back: it is asked behind the
		 * client's back, when it is its turn again. */
		if (!(down_doubted(x) || fill_too_many(x->env)) || !down_stale_allowed(x, &hit->record.meta, false))
			break;
		x->why = CACHE_USE_STALE_ALLOWED;
		fill_background(x, hit);
		return step_hit(x, hit, part);
	}
	/* HEAD is not worth a shared fetch: it goes to the origin by itself. */
	if (x->method == HTTP_METHOD_HEAD)
		return fill_begin(x, false, NULL);
	if (hit->record.vary.len)
		x->vary_guess = arena_view(&x->arena, hit->record.vary);
	return fill_begin(x, true, hit);
}

bool lookup_has_store(const struct exchange *x)
{
	return x->env->store && x->listener->options.cache && !x->upgrade;
}

/* Is the request one whose answer could be stored? */
static bool cachable(struct exchange *x)
{
	if (!lookup_has_store(x))
		return false;
	return (x->method == HTTP_METHOD_GET || x->method == HTTP_METHOD_HEAD) && !x->req.has_body;
}

/* The whole object is fetched for a range near its beginning; other ranges are passed on. */
static bool range_is_filled(struct exchange *x)
{
	struct view v = http_only(x->req.head, HTTP_RANGE), first, rest;
	uint64_t n;
	int noted = part_ranges_noted(x);

	/* An origin that does not heed Range sends everything anyway. */
	if (noted)
		return noted == RANGES_NONE;
	if (!v.ptr || !view_istarts(v, V("bytes=")))
		return true; /* an unknown unit is ignored (RFC 9110 §14.2) */
	first = view_cut(view_from(v, 6), '-', &rest);
	if (num_parse_u64(view_trim(first), UINT64_MAX, &n))
		return false;
	return n <= x->env->options->range_fill;
}

/* If-Match and If-Unmodified-Since are the origin's to judge (RFC 9111 §4.3.2). */
static bool for_the_origin(struct exchange *x)
{
	return x->conditional && (http_find(x->req.head, HTTP_IF_MATCH, 0) ||
	                          http_find(x->req.head, HTTP_IF_UNMODIFIED_SINCE, 0));
}

static bool only_if_cached(const struct exchange *x)
{
	return (x->cc.set & CACHE_CC_ONLY_IF_CACHED) && x->listener->cache.request_directives;
}

bool lookup_stores(struct exchange *x)
{
	bool store = x->method == HTTP_METHOD_GET;

	if (store && (x->cc.set & CACHE_CC_NO_STORE) && x->listener->cache.request_directives)
		x->veto = CACHE_STORE_REQUEST_NO_STORE;
	else if (store && x->ranged && !range_is_filled(x) && !part_may_open(x))
		x->veto = CACHE_STORE_PARTIAL;
	return store && x->veto == CACHE_STORE_BYPASSED;
}

struct step step_miss(struct exchange *x)
{
	bool store = lookup_stores(x);

	/* RFC 9111 §5.2.1.7 */
	if (only_if_cached(x))
		return reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and there is none.");
	x->joins = x->method == HTTP_METHOD_HEAD;
	return fill_begin(x, store, NULL);
}

static struct step step_find(struct exchange *x)
{
	struct store_hit hit;
	struct step next;
	int found;

	x->why = CACHE_USE_URI_MISS;
	x->open_range = view_make(NULL, 0);
	x->seen = store_commits(x->env->store);
	found = find(x, &hit);
	if (found == STORE_COLD)
		return STEP_WAIT;
	if (!lookup_found(found))
		return step_miss(x);
	next = judge(x, &hit, found == STORE_PART);
	store_hit_done(x->env->store, &hit);
	return next;
}

bool lookup_key(struct exchange *x)
{
	buf_reset(&x->key_text);
	if (exchange_key_text(x->listener, x->req.target, &x->key_text)) {
		buf_reset(&x->key_text);
		return false;
	}
	store_key_init(x->env->store, buf_view(&x->key_text), &x->key);
	return true;
}

struct step step_lookup(struct exchange *x)
{
	if (for_the_origin(x)) {
		x->why = CACHE_USE_REQUEST;
		/* What it answers may be news of what is stored. */
		if (cachable(x))
			lookup_key(x);
		/* RFC 9111 §5.2.1.7 */
		if (only_if_cached(x))
			return reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and its condition is the origin's to judge.");
		return fill_begin(x, false, NULL);
	}
	if (!cachable(x)) {
		x->why = lookup_has_store(x) ? CACHE_USE_METHOD : CACHE_STORE_BYPASSED;
		/* RFC 9111 §5.2.1.7 */
		if (lookup_has_store(x) && only_if_cached(x))
			return reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and there is none to such requests.");
		/* Its answer may be one to later GETs (RFC 9110 §9.3.3). */
		if (x->method == HTTP_METHOD_POST && lookup_has_store(x))
			lookup_key(x);
		return fill_begin(x, false, NULL);
	}
	if (!lookup_key(x)) {
		x->why = CACHE_STORE_BYPASSED;
		return fill_begin(x, false, NULL);
	}
	return STEP(step_find);
}
