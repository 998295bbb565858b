/* Origins that can't be reached: whoever asks for them is answered at once, and one request now and
 * then tries again. */
#include "exchange-private.h"

#define DOUBT_MS 60000 /* after its time an origin that was away is still not waited for, where that is possible */

/* Scheme, host and port of whom the request goes to. */
static struct hash128 whom(const struct exchange *x)
{
	const struct http_target *t =
		x->listener->kind == EXCHANGE_REVERSE ? &x->listener->origin : x->req.target;
	struct hash128 h = hash_128(t->host, (uint64_t)t->scheme << 16 | t->port);

	return h;
}

bool down_is_over(struct exchange *x, int *err)
{
	struct exchange_env *env = x->env;
	uint64_t now = net_loop_now_ms(env->loop);

	/* Who only asks why takes nobody's turn. */
	if (env->explain)
		return !env->options->origin_retry || !board_noted(env->board, BOARD_DOWN, whom(x), now, err);
	return !env->options->origin_retry ||
	       board_turn(env->board, BOARD_DOWN, whom(x), now, now + env->options->origin_retry, err);
}

bool down_doubted(struct exchange *x)
{
	uint64_t now = net_loop_now_ms(x->env->loop);

	return x->env->options->origin_retry &&
	       board_noted(x->env->board, BOARD_DOWN, whom(x), now > DOUBT_MS ? now - DOUBT_MS : 0, NULL);
}

struct hash128 down_whom(const struct exchange *x)
{
	return whom(x);
}

void down_note(struct fill *f, const struct origin_result *result)
{
	struct exchange_env *env = f->env;
	struct view type = view_of(f->proxy_error);
	bool connecting = result->err == LARDER_ECONNECT || result->err == LARDER_ERESOLVE ||
	                  (result->err == LARDER_ETIMEOUT && (view_eq(type, V("connection_timeout")) ||
	                                                      view_eq(type, V("dns_timeout"))));

	if (!env->options->origin_retry || result->head_seen || !connecting)
		return;
	board_note(env->board, BOARD_DOWN, f->whom, net_loop_now_ms(env->loop) + env->options->origin_retry,
	           result->err);
	stat_add(&env->stats->origins_down, 1);
}

void down_forget(struct fill *f)
{
	board_forget(f->env->board, BOARD_DOWN, f->whom);
}

/* Seconds past its lifetime for which a response that says nothing of it may stand in. */
static uint32_t stale_seconds(const struct exchange_options *o, bool answered)
{
	int64_t ms = answered || o->stale_if_error > o->stale_if_unreachable ? o->stale_if_error :
	                                                                        o->stale_if_unreachable;

	return (uint32_t)(ms / 1000);
}

bool down_is_failure(unsigned status)
{
	return status == 500 || status == 502 || status == 503 || status == 504;
}

bool down_stale_allowed(struct exchange *x, const struct cache_meta *meta, bool answered)
{
	return cache_stale_on_error(&x->listener->cache, &x->cc, meta, net_loop_wall_s(x->env->loop),
	                            stale_seconds(x->env->options, answered));
}

bool down_stale_explain(struct exchange *x, const struct cache_meta *meta, enum cache_clause *rule,
                        int64_t *allowed)
{
	return cache_stale_on_error_explain(&x->listener->cache, &x->cc, meta, net_loop_wall_s(x->env->loop),
	                                    stale_seconds(x->env->options, false), rule, allowed);
}
