#include "exchange-private.h"

#include "base/num.h"

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
	x->warm = store_warm_row(s, &x->key, selecting, on_warm, x);
	return x->warm ? STORE_COLD : store_find(s, &x->key, selecting, hit);
}

/* Computes key and, where the stored Vary asks for it, the selecting text; finds the record. */
static int find(struct exchange *x, struct store_hit *hit)
{
	struct store *s = x->env->store;
	int found = look(x, 1, NULL, hit), err;

	if (found != STORE_VARIES)
		return found;
	buf_reset(&x->selecting);
	err = cache_vary_select(hit->record.vary, x->req.head, &x->selecting);
	store_hit_done(s, hit);
	if (err)
		return STORE_NONE;
	x->selecting_view = buf_view(&x->selecting);
	found = look(x, 2, &x->selecting_view, hit);
	if (found == STORE_NONE)
		x->why = CACHE_USE_VARY_MISS;
	return found;
}

int lookup_again(struct exchange *x, uint64_t id, struct store_hit *hit)
{
	int found;

	x->warmed = 2; /* it was in memory a moment ago */
	found = find(x, hit);
	if (found == STORE_FOUND && hit->record.id != id) {
		store_hit_done(x->env->store, hit);
		return STORE_NONE;
	}
	return found == STORE_FOUND ? STORE_FOUND : STORE_NONE;
}

/* The stored response answers the request. */
static struct step step_hit(struct exchange *x, struct store_hit *hit)
{
	const struct store_record *r = &hit->record;
	struct stored_answer a = {.head = r->head, .meta = &r->meta, .etag = r->etag,
		                  .length = r->length, .body = hit->body};
	struct cache_status cs = {.hit = true, .has_ttl = true};
	int64_t now = net_loop_wall_s(x->env->loop);
	uint32_t age = cache_age(&r->meta, now);

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

static struct step judge(struct exchange *x, struct store_hit *hit)
{
	int64_t now = net_loop_wall_s(x->env->loop);

	if (!may_have(x, &hit->record))
		return STEP_WAIT;
	if (is_offline(x)) {
		x->why = CACHE_USE_OFFLINE;
		return step_hit(x, hit);
	}
	switch (cache_reuse(&x->listener->cache, x->req.head, &x->cc, &hit->record.meta, now, &x->why)) {
	case CACHE_SERVE_STALE_REVALIDATE:
		fill_background(x, hit);
		return step_hit(x, hit);
	case CACHE_SERVE:
		return step_hit(x, hit);
	case CACHE_TIMEOUT:
		x->reason = cache_reason_token(x->why);
		return reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and the stored one may not be used.");
	case CACHE_VALIDATE:
		if (!down_known(x) || !down_stale_allowed(x, &hit->record.meta, false))
			break;
		x->why = CACHE_USE_STALE_ALLOWED;
		return step_hit(x, hit);
	}
	/* HEAD is not worth a shared fetch: it goes to the origin by itself. */
	if (x->method == HTTP_METHOD_HEAD)
		return fill_begin(x, false, NULL);
	return fill_begin(x, true, hit);
}

/* Is the request one whose answer could be stored? */
static bool cachable(struct exchange *x)
{
	if (!x->env->store || !x->listener->options.cache || x->upgrade)
		return false;
	return (x->method == HTTP_METHOD_GET || x->method == HTTP_METHOD_HEAD) && !x->req.has_body;
}

/* The whole object is fetched for a range near its beginning; other ranges are passed on. */
static bool range_is_filled(struct exchange *x)
{
	struct view v = http_only(x->req.head, HTTP_RANGE), first, rest;
	uint64_t n;

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

static struct step miss(struct exchange *x)
{
	bool store = x->method == HTTP_METHOD_GET;

	if (store && (x->cc.set & CACHE_CC_NO_STORE) && x->listener->cache.request_directives)
		x->veto = CACHE_STORE_REQUEST_NO_STORE;
	else if (store && x->ranged && !range_is_filled(x))
		x->veto = CACHE_STORE_PARTIAL;

	/* RFC 9111 §5.2.1.7 */
	if (only_if_cached(x))
		return reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and there is none.");
	return fill_begin(x, store && x->veto == CACHE_STORE_BYPASSED, NULL);
}

static struct step step_find(struct exchange *x)
{
	struct store_hit hit;
	struct step next;
	int found;

	x->why = CACHE_USE_URI_MISS;
	x->seen = store_commits(x->env->store);
	found = find(x, &hit);
	if (found == STORE_COLD)
		return STEP_WAIT;
	if (found != STORE_FOUND)
		return miss(x);
	next = judge(x, &hit);
	store_hit_done(x->env->store, &hit);
	return next;
}

struct step step_lookup(struct exchange *x)
{
	if (for_the_origin(x)) {
		x->why = CACHE_USE_REQUEST;
		/* RFC 9111 §5.2.1.7 */
		if (only_if_cached(x))
			return reply_error(x, 504, NULL, "Only a stored answer was asked for (only-if-cached), and its condition is the origin's to judge.");
		return fill_begin(x, false, NULL);
	}
	if (!cachable(x)) {
		x->why = x->env->store && x->listener->options.cache ? CACHE_USE_METHOD : CACHE_STORE_BYPASSED;
		return fill_begin(x, false, NULL);
	}
	buf_reset(&x->key_text);
	if (exchange_key_text(x->listener, x->req.target, &x->key_text)) {
		x->why = CACHE_STORE_BYPASSED;
		return fill_begin(x, false, NULL);
	}
	store_key_init(x->env->store, buf_view(&x->key_text), &x->key);
	return STEP(step_find);
}
