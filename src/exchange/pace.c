/* Bandwidth limits: of a client's connection, and of a fetch. */
#include "exchange-private.h"

#define SLACK_MS 50 /* so much may go at once */

/* Each byte moves the time from which on the next one may go. */
static void charge(struct exchange_env *env, uint64_t *next_ms, uint64_t bytes, uint64_t rate)
{
	uint64_t now = net_loop_now_ms(env->loop), from = *next_ms > now ? *next_ms : now;

	*next_ms = from + (bytes * 1000 + rate - 1) / rate;
}

/* How long to wait: 0 or a time. */
static uint64_t wait_ms(const struct exchange_env *env, uint64_t next_ms)
{
	uint64_t now = net_loop_now_ms(env->loop);

	return next_ms > now + SLACK_MS ? next_ms - now - SLACK_MS : 0;
}

/* ---- A client's connection ---- */

static uint64_t rate_of(const struct exchange *x)
{
	return x->req.pace ? x->env->options->client_rate : 0;
}

void pace_client_timer(struct net_timer *t)
{
	struct exchange *x = container_of(t, struct exchange, pacing);

	exchange_enter(x);
	if (!x->ended && !x->started)
		exchange_begin(x);
	else if (!x->ended && x->replied && !x->finished)
		deliver_feed(x);
	exchange_leave(x);
}

bool pace_client(struct exchange *x, uint64_t *room)
{
	uint64_t rate = rate_of(x), wait, most;

	if (!rate)
		return true;
	wait = wait_ms(x->env, *x->req.pace);
	if (wait) {
		net_timer_set(&x->pacing, wait);
		return false;
	}
	most = rate * SLACK_MS / 1000;
	most = most < 1024 ? 1024 : most;
	*room = *room < most ? *room : most;
	return true;
}

void pace_client_sent(struct exchange *x, uint64_t bytes)
{
	if (rate_of(x))
		charge(x->env, x->req.pace, bytes, rate_of(x));
}

/* ---- A fetch ---- */

void pace_fetch_timer(struct net_timer *t)
{
	struct fill *f = container_of(t, struct fill, pacing);

	if (!f->transfer)
		return;
	origin_resume(f->transfer);
}

bool pace_fetch(struct fill *f)
{
	uint64_t rate = f->env->options->fetch_rate, wait = rate ? wait_ms(f->env, f->pace_ms) : 0;

	if (wait)
		net_timer_set(&f->pacing, wait);
	return !wait;
}

void pace_fetched(struct fill *f, uint64_t bytes)
{
	if (f->env->options->fetch_rate)
		charge(f->env, &f->pace_ms, bytes, f->env->options->fetch_rate);
}
