#include "parts.h"
#include "tunnel.h"

#include <stdlib.h>

#define SPARE_MAX   256
#define KEEP_BYTES  8192 /* a buffer larger than this is not kept for reuse */
#define STEPS_MAX   64   /* no request takes more: a loop in the steps is a bug */

static struct exchange *take_spare(struct exchange_env *env)
{
	struct exchange *x = TAILQ_FIRST(&env->spare);

	if (x) {
		TAILQ_REMOVE(&env->spare, x, link);
		env->nspare--;
		return x;
	}
	x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	arena_init(&x->arena, ARENA_BLOCK, ARENA_BYTES);
	buf_init(&x->key_text, KEY_BYTES);
	buf_init(&x->selecting, KEY_BYTES);
	buf_init(&x->lines, HEAD_BYTES);
	buf_init(&x->page, HEAD_BYTES);
	buf_init(&x->body, BODY_HELD);
	return x;
}

static void recycle_buf(struct buf *b)
{
	if (b->cap > KEEP_BYTES)
		buf_fini(b);
	buf_reset(b);
}

/* Wipes everything but the memory that is kept. */
static void give_spare(struct exchange *x)
{
	struct exchange_env *env = x->env;

	memset(x, 0, offsetof(struct exchange, arena));
	arena_reset(&x->arena);
	recycle_buf(&x->key_text);
	recycle_buf(&x->selecting);
	recycle_buf(&x->lines);
	recycle_buf(&x->page);
	recycle_buf(&x->body);
	if (env->nspare < SPARE_MAX) {
		TAILQ_INSERT_HEAD(&env->spare, x, link);
		env->nspare++;
		return;
	}
	arena_fini(&x->arena);
	buf_fini(&x->key_text);
	buf_fini(&x->selecting);
	buf_fini(&x->lines);
	buf_fini(&x->page);
	buf_fini(&x->body);
	free(x);
}

void exchange_enter(struct exchange *x)
{
	check_magic(x, EXCHANGE_MAGIC);
	x->depth++;
}

void exchange_leave(struct exchange *x)
{
	check(x->depth > 0);
	if (--x->depth == 0 && x->ended)
		give_spare(x);
}

void exchange_run(struct exchange *x, struct step next)
{
	for (unsigned n = 0; next.run && !x->ended; n++) {
		check(n < STEPS_MAX);
		next = next.run(x);
	}
}

void exchange_keep(struct exchange *x)
{
	struct http_head *head = arena_alloc(&x->arena, sizeof(*head));
	struct http_target *target = arena_alloc(&x->arena, sizeof(*target));
	static struct http_head none_head;
	static struct http_target none_target;

	if (x->fill)
		fill_detach(x);
	*x->slot = NULL;
	x->slot = &x->own_slot;
	if (!head || !target || fill_copy_head(&x->arena, x->req.head, head)) {
		x->req.head = &none_head; /* the log line is the poorer for it */
		x->req.target = &none_target;
		return;
	}
	http_target_copy(target, x->req.target);
	/* Its views into the head's bytes: those are gone, but for CONNECT the log takes the head's target. */
	target->path = target->authority = head->target;
	x->req.head = head;
	x->req.target = target;
}

void exchange_restart(struct exchange *x)
{
	/* A key whose stored responses come and go under our eyes: fetch it for this client alone. */
	if (++x->restarts > 3)
		x->alone = true;
	x->collapsed = false;
	/* What was noted of an answer that did not come about is not this one's. */
	x->outcome = OUT_NONE;
	x->origin_status = 0;
	x->reason = x->stored = x->error = NULL;
	exchange_run(x, STEP(step_lookup));
}

void exchange_begin(struct exchange *x)
{
	uint64_t any = 1;

	if (!pace_client(x, &any))
		return;
	x->started = true;
	exchange_run(x, STEP(step_route));
}

/* inline: every request takes it, in one place; others who call it are not to cost that a call. */
inline int exchange_new(struct exchange_env *env, const struct exchange_listener *listener,
                 const struct exchange_request *req, const struct exchange_client_ops *ops,
                 void *client, struct exchange **slot)
{
	struct exchange *x;

	check_magic(env, ENV_MAGIC);
	x = take_spare(env);
	if (!x)
		return LARDER_ENOMEM;
	x->magic = EXCHANGE_MAGIC;
	x->env = env;
	x->listener = listener;
	x->req = *req;
	x->ops = ops;
	x->client = client;
	x->slot = slot;
	x->method = (enum http_method)req->head->method;
	x->why = CACHE_USE_URI_MISS;
	x->veto = CACHE_STORE_BYPASSED;
	net_timer_init(&x->pacing, env->loop, pace_client_timer);
	*slot = x;
	stat_add(&env->stats->requests, 1);
	stat_add(&env->stats->active, 1);
	exchange_enter(x);
	exchange_begin(x);
	exchange_leave(x);
	return 0;
}

void exchange_writable(struct exchange *x)
{
	exchange_enter(x);
	if (!x->ended && x->replied && !x->finished)
		deliver_feed(x);
	exchange_leave(x);
}

/* ---- The request's body ---- */

static bool takes_body(const struct exchange *x)
{
	return x->fill && x->fill->transfer;
}

size_t exchange_body(struct exchange *x, struct view data)
{
	size_t room, n;

	/* Nobody is there to take it (any more): what comes is dropped. */
	if (x->finished || (x->started && !takes_body(x))) {
		x->body_lost = true;
		return data.len;
	}
	exchange_enter(x);
	room = x->body.max - x->body.len;
	n = data.len < room ? data.len : room;
	/* Without memory the origin must not take what it has for all: it is told when it asks. */
	if (buf_add(&x->body, data.ptr, n)) {
		x->body_lost = true;
		n = data.len;
	}
	if (n < data.len && !x->body_held) {
		x->body_held = true;
		x->ops->hold_body(x->client, true);
	}
	if (takes_body(x))
		origin_body_ready(x->fill->transfer);
	exchange_leave(x);
	return n;
}

void exchange_body_end(struct exchange *x)
{
	exchange_enter(x);
	x->body_ended = true;
	if (takes_body(x))
		origin_body_ready(x->fill->transfer);
	exchange_leave(x);
}

void exchange_body_abort(struct exchange *x)
{
	exchange_enter(x);
	if (takes_body(x)) {
		fill_detach(x);
		/* Of an answer that has begun nothing more will come: nobody else would say so. */
		if (x->replied && !x->finished)
			deliver_feed(x);
	}
	exchange_leave(x);
}

/* ---- The end ---- */

static const char *const outcome_names[] = {
	[OUT_NONE] = "error",   [OUT_HIT] = "hit",   [OUT_STALE] = "stale",
	[OUT_REVALIDATED] = "revalidated", [OUT_MISS] = "miss", [OUT_PASS] = "pass",
	[OUT_TUNNEL] = "tunnel", [OUT_DENIED] = "denied", [OUT_PURGE] = "purge", [OUT_ERROR] = "error",
};

static void count(struct exchange *x, const struct exchange_sent *sent)
{
	struct exchange_stats *s = x->env->stats;
	uint64_t *const cells[] = {
		[OUT_NONE] = &s->errors,   [OUT_HIT] = &s->hits,       [OUT_STALE] = &s->hits_stale,
		[OUT_REVALIDATED] = &s->revalidated, [OUT_MISS] = &s->misses, [OUT_PASS] = &s->passes,
		[OUT_TUNNEL] = &s->tunnels, [OUT_DENIED] = &s->denied, [OUT_PURGE] = &s->purges,
		[OUT_ERROR] = &s->errors,
	};

	stat_add(cells[x->outcome], 1);
	if (x->outcome == OUT_HIT || x->outcome == OUT_STALE || x->outcome == OUT_REVALIDATED)
		stat_add(&s->hit_bytes, sent->body_bytes);
	else if (x->outcome == OUT_MISS || x->outcome == OUT_PASS)
		stat_add(&s->miss_bytes, sent->body_bytes);
	else if (x->outcome == OUT_TUNNEL)
		stat_add(&s->tunnel_bytes, sent->body_bytes + sent->received);
	if (x->collapsed)
		stat_add(&s->collapsed, 1);
	stat_sub(&s->active, 1);
}

static struct view field_value(const struct http_head *h, enum http_name id)
{
	const struct http_field *f = http_find(h, id, 0);

	return f ? f->value : view_make(NULL, 0);
}

/* The URL for the log: as absolute as it can be made. */
static struct view url_of(struct exchange *x)
{
	const struct http_target *t = x->req.target;
	struct buf *b = &x->page;

	if (t->form == HTTP_ABSOLUTE_FORM || t->form == HTTP_AUTHORITY_FORM)
		return x->req.head->target;
	recycle_buf(b);
	buf_printf(b, "%s://%.*s", t->scheme == HTTP_SCHEME_HTTPS ? "https" : "http", VFMT(t->host));
	if (t->port_given)
		buf_printf(b, ":%u", (unsigned)t->port);
	buf_addv(b, t->path);
	return b->err ? x->req.head->target : buf_view(b);
}

static void write_log(struct exchange *x, const struct exchange_sent *sent)
{
	const struct http_head *h = x->req.head;
	uint64_t now = clock_mono_us();
	struct log_access a = {
		.time_us = x->req.arrived_us,
		.client = x->req.client,
		.origin = x->origin,
		.listener = x->listener->name,
		.method = h->method_text,
		.url = url_of(x),
		.target = h->target,
		.protocol = h->minor ? V("HTTP/1.1") : V("HTTP/1.0"),
		.outcome = view_of(outcome_names[x->outcome]),
		.reason = view_of(x->reason),
		.stored = view_of(x->stored),
		.error = view_of(x->error),
		.referer = field_value(h, HTTP_REFERER),
		.user_agent = field_value(h, HTTP_USER_AGENT),
		.content_type = x->content_type,
		.status = x->replied ? x->status : 0,
		.bytes = sent->bytes,
		.body_bytes = sent->body_bytes,
		.received = sent->received,
		.total_us = now - x->req.arrived_mono_us,
		.origin_status = x->origin_status,
	};

	if (x->env->explain)
		return;
	if (sent->first_byte_us > x->req.arrived_mono_us)
		a.ttfb_us = sent->first_byte_us - x->req.arrived_mono_us;
	if (sent->aborted && !x->error)
		a.error = V("aborted");
	log_access(&a);
}

void exchange_sent(struct exchange *x, const struct exchange_sent *sent)
{
	exchange_enter(x);
	check(!x->ended);
	x->ended = true;
	*x->slot = NULL;
	net_timer_stop(&x->pacing);
	count(x, sent);
	if (log_access_wanted())
		write_log(x, sent);
	if (x->fill)
		fill_detach(x);
	if (x->part)
		part_detach(x);
	if (x->tunnel)
		tunnel_drop(x);
	purge_forget(x);
	store_warm_cancel(x->warm);
	x->warm = NULL;
	decode_end(x);
	if (x->file)
		store_file_unref(x->env->store, x->file);
	x->file = NULL;
	exchange_leave(x);
}

void exchange_log_refused(const struct exchange_listener *listener, const struct addr *client,
                          const struct http_head *head, unsigned status, const char *detail,
                          uint64_t bytes, int64_t arrived_us)
{
	struct log_access a = {
		.time_us = arrived_us,
		.client = *client,
		.listener = listener->name,
		.method = head->method_text,
		.target = head->target,
		.url = head->target,
		.protocol = head->minor ? V("HTTP/1.1") : V("HTTP/1.0"),
		.outcome = V("error"),
		.error = view_of(detail),
		.status = status,
		.bytes = bytes,
	};

	if (log_access_wanted())
		log_access(&a);
}
