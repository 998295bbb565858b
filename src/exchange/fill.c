#include "explain.h"
#include "tunnel.h"
#include "store/purge.h"

#include <stdlib.h>

#define HEAD_USUAL 512 /* most heads fit without growing */

static struct fill_bucket *bucket(struct exchange_env *env, struct hash128 key)
{
	return &env->fills[key.lo % FILL_BUCKETS];
}

void fill_transfer_ended(struct fill *f)
{
	fill_stop_waiting(f);
	check(f->transfer && f->env->ntransfers > 0);
	f->transfer = NULL;
	f->env->ntransfers--;
}

void fill_ref(struct fill *f)
{
	check_magic(f, FILL_MAGIC);
	f->refs++;
}

void fill_enter_table(struct fill *f, bool joinable)
{
	LIST_INSERT_HEAD(bucket(f->env, f->key.hash), f, bucket_link);
	f->in_table = true;
	f->joinable = joinable;
}

static void leave_env(struct fill *f)
{
	if (!f->env)
		return;
	pipe_end(f);
	if (f->in_table)
		LIST_REMOVE(f, bucket_link);
	share_drop(f);
	share_fini(f);
	net_timer_stop(&f->pacing);
	net_timer_stop(&f->telling);
	net_timer_stop(&f->patience);
	LIST_REMOVE(f, all_link);
	f->env->nfills--;
	stat_sub(&f->env->stats->fills, 1);
	f->in_table = f->joinable = false;
}

void fill_orphan(struct fill *f)
{
	check_magic(f, FILL_MAGIC);
	check(f->nreaders == 0 && !f->transfer);
	fill_ref(f);
	share_orphan(f);
	leave_env(f);
	f->env = NULL;
	fill_unref(f);
}

void fill_unref(struct fill *f)
{
	check_magic(f, FILL_MAGIC);
	check(f->refs > 0);
	if (--f->refs > 0)
		return;
	leave_env(f);
	check(!f->transfer); /* it holds a reference */
	follow_fini(f);
	store_spool_unref(f->spool);
	buf_fini(&f->key_text);
	buf_fini(&f->selecting);
	buf_fini(&f->vary);
	buf_fini(&f->pass_head);
	buf_fini(&f->head);
	buf_fini(&f->tags);
	buf_fini(&f->trailers);
	arena_fini(&f->arena);
	f->magic = 0;
	free(f);
}

void fill_attach(struct fill *f, struct exchange *x)
{
	check(!x->fill);
	TAILQ_INSERT_TAIL(&f->readers, x, link);
	f->nreaders++;
	x->fill = f;
	fill_ref(f);
}

/* Is what still has to come little enough to be worth finishing without a client? */
static bool worth_finishing(const struct fill *f)
{
	const struct exchange_options *o = f->env->options;
	uint64_t have = fill_received(f), left;

	if (f->ended || f->revalidated)
		return true;
	/* What no longer goes to the store only waits for readers. */
	if (f->background && !f->spool_ended)
		return true;
	if (f->body_open)
		return false;
	if (f->state == FILL_HEAD)
		return f->want_store && o->finish == FINISH_ALWAYS;
	/* All of it is here: only the transfer's own end is to come, which keeps the connection usable. */
	if (have >= f->length)
		return true;
	if (f->storable != CACHE_STORE_OK || f->spool_ended || o->finish == FINISH_NEVER || have > f->length)
		return false;
	if (o->finish == FINISH_ALWAYS)
		return true;
	if (f->length == HTTP_LENGTH_UNKNOWN)
		return false;
	left = f->length - have;
	return left <= o->finish_bytes || (f->length && have / (f->length / 100 + 1) >= o->finish_percent);
}

static void stop(struct fill *f)
{
	if (f->pf) {
		part_fetch_stop(f);
		return;
	}
	share_shut(f);
	if (f->follow)
		follow_leave(f);
	if (!f->transfer)
		return;
	origin_cancel(f->transfer);
	fill_transfer_ended(f);
	f->ended = true;
	f->state = FILL_FAILED;
	part_keep(f);
	fill_unref(f);
}

void fill_shed(struct fill *f)
{
	if (f->nreaders || !f->ended || f->has_old || f->keeping)
		return;
	buf_fini(&f->pass_head);
	pipe_end(f);
	arena_fini(&f->arena);
	f->req.fields = NULL;
	f->req.nfields = f->req.cap = 0;
}

void fill_detach(struct exchange *x)
{
	struct fill *f = x->fill;

	check(f);
	x->fill = NULL;
	if (f->first == x)
		f->first = NULL;
	TAILQ_REMOVE(&f->readers, x, link);
	f->nreaders--;
	fill_left(f);
	if (f->nreaders > 0)
		fill_consumed(f);
	fill_shed(f);
	fill_unref(f);
}

void fill_left(struct fill *f)
{
	if (f->pf) {
		part_fetch_judge(f->pf->part);
		return;
	}
	if (f->nreaders == 0 && f->nfollowers == 0 && (f->follow || !worth_finishing(f)))
		stop(f);
}

void fill_invalidate(struct exchange_env *env, const struct store_key *key, bool soft)
{
	struct fill *f;

	LIST_FOREACH(f, bucket(env, key->hash), bucket_link) {
		if (!view_eq(f->key.text, key->text))
			continue;
		f->invalidated = true;
		share_shut(f);
	}
	part_invalidate(env, key, soft);
	if (env->board)
		board_invalidate(env->board, key->hash);
}

/* ---- Beginning ---- */

int fill_copy_head(struct arena *arena, const struct http_head *src, struct http_head *dst)
{
	*dst = *src;
	dst->fields = arena_alloc(arena, (src->nfields + 1) * sizeof(*dst->fields));
	if (!dst->fields)
		return LARDER_ENOMEM;
	dst->cap = src->nfields + 1;
	dst->method_text = arena_view(arena, src->method_text);
	dst->target = arena_view(arena, src->target);
	for (unsigned i = 0; i < src->nfields; i++) {
		dst->fields[i] = src->fields[i];
		dst->fields[i].name = arena_view(arena, src->fields[i].name);
		dst->fields[i].value = arena_view(arena, src->fields[i].value);
		if (!dst->fields[i].name.ptr || !dst->fields[i].value.ptr)
			return LARDER_ENOMEM;
	}
	return dst->method_text.ptr && dst->target.ptr ? 0 : LARDER_ENOMEM;
}

struct fill *fill_new(struct exchange *x, bool want_store)
{
	struct exchange_env *env = x->env;
	struct fill *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->magic = FILL_MAGIC;
	f->env = env;
	f->listener = x->listener;
	f->refs = 1;
	f->want_store = want_store;
	f->length = HTTP_LENGTH_UNKNOWN;
	f->client = x->req.client;
	f->whom = down_whom(x);
	f->storable = x->veto;
	f->body_open = x->req.has_body;
	TAILQ_INIT(&f->readers);
	LIST_INIT(&f->followers);
	net_timer_init(&f->pacing, env->loop, pace_fetch_timer);
	net_timer_init(&f->telling, env->loop, fill_tell_timer);
	net_timer_init(&f->patience, env->loop, patience_timer);
	arena_init(&f->arena, ARENA_BLOCK, ARENA_BYTES);
	buf_init(&f->key_text, KEY_BYTES);
	buf_init(&f->selecting, KEY_BYTES);
	buf_init(&f->vary, KEY_BYTES);
	buf_init(&f->pass_head, HEAD_BYTES);
	buf_init(&f->head, HEAD_BYTES);
	buf_init(&f->tags, STORE_TAGS_BYTES);
	/* The origin's pieces are at most 512 KiB: one may come while there is still room for a byte. */
	buf_init(&f->window, env->options->pipe_bytes + 1024 * 1024);
	buf_init(&f->trailers, 64 * 1024);
	buf_reserve(&f->pass_head, HEAD_USUAL);
	LIST_INSERT_HEAD(&env->all_fills, f, all_link);
	env->nfills++;
	stat_add(&env->stats->fills, 1);
	buf_addv(&f->key_text, buf_view(&x->key_text));
	f->key = (struct store_key){buf_view(&f->key_text), x->key.hash};
	f->purges = env->store ? store_purges(env->store) : 0;
	share_mark(f);
	if (f->key_text.err || fill_copy_head(&f->arena, x->req.head, &f->req)) {
		fill_unref(f);
		return NULL;
	}
	if (want_store && x->vary_guess.len) {
		f->guess = arena_view(&f->arena, x->vary_guess);
		f->guess_hash = fill_selects(x, f->guess);
	}
	return f;
}

/* Notes the stored response, which may stand in when the origin fails, and appends the validators' lines. */
static int note_old(struct fill *f, const struct store_hit *hit, bool unconditional,
                    struct buf *validators)
{
	const struct store_record *r = &hit->record;
	struct http_fault fault;
	struct http_head old;
	struct view fields;
	int has;

	if (fill_note_old(f, r))
		return LARDER_ENOMEM;
	if (unconditional)
		return 0;
	view_cut(f->old_head, '\n', &fields);
	http_head_init(&old, f->env->fields, FIELDS_MAX);
	if (http_parse_fields(&old, fields, &fault))
		return 0; /* cannot be used for validation; fetched anew */
	has = cache_validators_write(&old, &f->old_meta, validators);
	f->validating = has > 0;
	return has < 0 ? has : 0;
}

static int note_stored(struct fill *f, struct exchange *x, const struct store_hit *validate,
                       struct request_plan *plan)
{
	struct buf validators;
	int err = 0;

	buf_init(&validators, 64 * 1024);
	if (validate)
		err = note_old(f, validate, x->unconditional, &validators);
	else if (f->want_store && x->why == CACHE_USE_VARY_MISS && !x->unconditional)
		err = fill_nominate(f, x, &validators);
	if (err > 0)
		err = 0;
	if (x->open_range.ptr) {
		f->asks_range = arena_view(&f->arena, x->open_range);
		buf_printf(&validators, "Range: %.*s\r\n", VFMT(x->open_range));
		err = err ? err : validators.err;
	}
	if (!err)
		plan->validators = arena_view(&f->arena, buf_view(&validators));
	buf_fini(&validators);
	return err;
}

int fill_start(struct fill *f, struct exchange *x, const struct request_plan *plan)
{
	struct origin_request req;
	int err = request_build(x, plan, &f->arena, &req);

	if (err)
		return err;
	f->transfer = origin_start(f->env->origin, &req, &fill_handlers, f);
	if (!f->transfer)
		return LARDER_ENOMEM;
	f->env->ntransfers++;
	fill_ref(f);
	return 0;
}

/* May x have its answer, or wait for it? */
static bool may_join(struct fill *f, struct exchange *x)
{
	if (f->state != FILL_HEAD)
		return fill_fits(f, x, false);
	return !f->guess.len || fill_selects(x, f->guess) == f->guess_hash;
}

/* A running fill whose answer x may wait for or have. */
static struct fill *find(struct exchange *x)
{
	struct fill *f;

	LIST_FOREACH(f, bucket(x->env, x->key.hash), bucket_link) {
		if (f->keeping && view_eq(f->key.text, x->key.text))
			return f;
		if (!f->joinable || (f->follow && !follow_current(f)) || f->key.hash.hi != x->key.hash.hi ||
		    !view_eq(f->key.text, x->key.text))
			continue;
		/* A purge may have come since it began. */
		if (!share_invalid(f) && (f->opens ? part_fits(f->opens, x) : may_join(f, x)))
			return f;
	}
	return NULL;
}

static struct step refuse(struct exchange *x, int err)
{
	return err == LARDER_EINVAL ? reply_error(x, 400, NULL, "The path leads out of what is served here.")
	                            : reply_error(x, 503, NULL, larder_strerror(err));
}

/* Did a flight end between the lookup and now that it is sure there is none? */
static bool stored_meanwhile(struct exchange *x, const struct store_hit *validate)
{
	struct store *s = x->env->store;
	struct store_hit hit;
	bool other;
	int found;

	if (store_commits(s) == x->seen)
		return false;
	found = lookup_now(x, &hit);
	if (found <= 0)
		return false;
	other = !lookup_found(found) || !validate || hit.record.id != validate->record.id;
	store_hit_done(s, &hit);
	return other;
}

static struct step refuse_down(struct exchange *x, int err)
{
	x->reason = x->fwd = cache_reason_token(x->why);
	stat_add(&x->env->stats->fast_failures, 1);
	return reply_error(x, fill_error_status(err), err == LARDER_ERESOLVE ? "dns_error" : err == LARDER_ETIMEOUT ?
	                   "connection_timeout" : "destination_unavailable",
	                   "The origin could not be reached a moment ago; it is tried again soon (option origin_retry).");
}

/* An owner that can't be reached has died; perhaps somebody else has taken over already. */
static int claim(struct fill *f, struct exchange *x)
{
	int ret = SHARE_NOT;

	for (unsigned tries = 0; tries < 4; tries++) {
		ret = share_claim(f, x);
		if (ret != SHARE_THEIRS || follow_begin(f) == 0)
			return ret;
		share_unclaim(f);
	}
	return SHARE_NOT;
}

/* The fill reads what another process fetches, or fetches by itself. `shared`: it may be joined. */
static int get_going(struct fill *f, struct exchange *x, const struct store_hit *validate, bool shared)
{
	struct request_plan plan = {.drop_conditions = f->want_store, .drop_range = f->want_store};
	int whose = shared || x->joins ? claim(f, x) : SHARE_NOT, err;

	if (whose == SHARE_OURS && stored_meanwhile(x, validate))
		return LARDER_EAGAIN;
	err = note_stored(f, x, validate, &plan);
	x->collapsed = whose == SHARE_THEIRS;
	f->want_store |= x->collapsed;
	if (err && x->collapsed)
		follow_leave(f);
	return err || x->collapsed ? err : fill_start(f, x, &plan);
}

/* Those that only wait to be written are the store's to bound. */
bool fill_too_many(const struct exchange_env *env)
{
	return env->ntransfers >= (uint64_t)env->options->fills_max;
}

/* May x wait for another's fetch, or others for its own? */
static bool may_share(struct exchange *x, bool want_store)
{
	if ((!want_store && !x->joins) || x->alone || unshareable_known(x))
		return false;
	if (!unshareable_likely(x))
		return true;
	stat_add(&x->env->stats->not_awaited, 1);
	return false;
}

/* Nothing is fetched: only what would be is told. */
static struct step explain(struct fill *f, struct exchange *x, const struct store_hit *validate, bool joins)
{
	struct request_plan plan = {.drop_conditions = f->want_store, .drop_range = f->want_store};
	struct origin_request req;
	int err = note_stored(f, x, validate, &plan);

	/* Not every request can be written. */
	err = err ? err : request_build(x, &plan, &f->arena, &req);
	if (!err)
		explain_fill(x, f, &plan, joins);
	fill_unref(f);
	return err ? refuse(x, err) : STEP_WAIT;
}

static void explain_background(struct fill *f, struct exchange *x, const struct store_hit *validate)
{
	struct request_plan plan = {.background = true};

	if (note_stored(f, x, validate, &plan) == 0)
		explain_fill(x, f, &plan, false);
	fill_unref(f);
}

struct step fill_begin(struct exchange *x, bool want_store, const struct store_hit *validate)
{
	bool free = may_share(x, want_store), shared = want_store && free;
	struct fill *f = free ? find(x) : NULL;
	int err;

	x->joins &= free;
	if (f) {
		x->collapsed = true;
		if (f->opens) {
			part_join(x, f->opens, fill_fwd_token(x->why));
			return STEP_WAIT;
		}
		fill_attach(f, x);
		patience_begin(f, x);
		if (f->state != FILL_HEAD && f->state != FILL_HELD && !f->keeping)
			fill_tell_one(f, x);
		return STEP_WAIT;
	}
	if (is_offline(x))
		return reply_offline(x);
	if (!down_is_over(x, &err))
		return refuse_down(x, err);
	if (fill_too_many(x->env))
		return reply_error(x, 503, NULL, "Too many fetches are running (option fills_max).");
	f = fill_new(x, want_store);
	if (!f)
		return reply_error(x, 503, NULL, "Out of memory.");
	if (x->env->explain)
		return explain(f, x, validate, free && share_under_way(x));
	err = get_going(f, x, validate, shared);
	if (err) {
		fill_unref(f);
		if (err == LARDER_EAGAIN)
			x->alone = ++x->restarts > 3;
		return err == LARDER_EAGAIN ? STEP(step_lookup) : refuse(x, err);
	}
	fill_attach(f, x);
	if (f->follow)
		patience_begin(f, x);
	else
		f->first = x;
	if (f->want_store)
		fill_enter_table(f, shared || f->follow);
	fill_unref(f);
	return STEP_WAIT;
}

void fill_background(struct exchange *x, const struct store_hit *validate)
{
	struct request_plan plan = {.drop_conditions = true, .drop_range = true, .background = true};
	struct fill *f;
	int err;

	if (x->method != HTTP_METHOD_GET || fill_too_many(x->env) || find(x) || !down_is_over(x, &err))
		return;
	f = fill_new(x, true);
	if (!f)
		return;
	if (x->env->explain) {
		explain_background(f, x, validate);
		return;
	}
	f->background = true;
	/* What another process does already need not be followed. */
	if (share_claim(f, x) == SHARE_THEIRS)
		share_unclaim(f);
	else if (note_stored(f, x, validate, &plan) == 0 && fill_start(f, x, &plan) == 0)
		fill_enter_table(f, true);
	fill_unref(f);
}

void exchange_env_abandon(struct exchange_env *env)
{
	struct fill *f, *next;

	LIST_FOREACH_SAFE(f, &env->all_fills, all_link, next) {
		if (f->nreaders == 0)
			stop(f);
	}
	tunnel_abandon(env);
}
