/* What would become of a request: the steps are run with a client that notes its answer and takes nothing. */
#include "explain.h"

#include "store/list.h"

#define EXPLAIN_BYTES (16u << 20)

/* ---- The answer ---- */

static struct view cache_status_of(struct exchange *x, struct view head)
{
	struct view value = V(""), next;

	if (!x->listener->options.cache_status)
		return value;
	/* The last line: those of caches before this one are part of the stored head. */
	while ((next = lines_field(head, V("Cache-Status"))).ptr) {
		value = next;
		head = view_from(head, (size_t)(next.ptr - head.ptr) + next.len);
	}
	return value;
}

static void note_reply(struct explainer *ex, struct exchange *x, const struct exchange_reply *r)
{
	struct exchange_explanation *out = ex->out;
	struct buf head;

	buf_init(&head, 2 * HEAD_BYTES);
	for (unsigned i = 0; i < r->nhead; i++)
		buf_addv(&head, r->head[i]);
	out->status = r->status;
	out->reply = arena_view(&out->arena, buf_view(&head));
	if (head.err || !out->reply.ptr)
		ex->err = LARDER_ENOMEM;
	else
		out->cache_status = cache_status_of(x, out->reply);
	buf_fini(&head);
}

static void note_verdict(struct explainer *ex, struct exchange *x)
{
	struct exchange_explanation *out = ex->out;

	out->why = x->why;
	out->cc = x->cc;
	out->offline = is_offline(x);
	out->caches = lookup_has_store(x);
	if (!x->key_text.len)
		return;
	out->unshareable = unshareable_known(x);
	out->siblings_unshareable = unshareable_likely(x);
	out->origin_down = down_doubted(x);
}

static void on_reply(void *c, const struct exchange_reply *r)
{
	struct explainer *ex = c;
	struct exchange_explanation *out = ex->out;
	struct exchange *x = ex->x;
	struct exchange_sent sent = {0};
	struct fill *f;

	note_verdict(ex, x);
	note_reply(ex, x, r);
	if (x->outcome == OUT_HIT)
		out->verdict = EXCHANGE_HIT;
	else if (x->outcome == OUT_STALE)
		out->verdict = EXCHANGE_STALE;
	else
		out->verdict = EXCHANGE_OWN;
	out->fwd = x->fwd;
	out->denied = x->outcome == OUT_DENIED;
	if (out->denied)
		out->option = arena_view(&out->arena, view_of(x->reason));
	if (x->error)
		out->detail = arena_view(&out->arena, view_of(x->error));
	explain_selected(ex, x);
	if (ex->response && x->key_text.len) {
		f = fill_new(x, lookup_stores(x));
		if (f) {
			explain_response(ex, x, f);
			fill_unref(f);
		} else {
			ex->err = LARDER_ENOMEM;
		}
	}
	exchange_sent(x, &sent);
}

static size_t take_nothing(void *c, struct view data)
{
	(void)c;
	(void)data;
	return 0;
}

static size_t take_no_file(void *c, int fd, uint64_t offset, uint64_t len)
{
	(void)c;
	(void)fd;
	(void)offset;
	(void)len;
	return 0;
}

static bool prefers_files(void *c)
{
	(void)c;
	return false;
}

static void on_interim(void *c, const struct exchange_reply *r)
{
	(void)c;
	(void)r;
}

static void on_end(void *c, struct view trailers)
{
	(void)c;
	(void)trailers;
}

/* Not even the error page could be made. */
static void on_abort(void *c)
{
	struct explainer *ex = c;

	ex->err = LARDER_ENOMEM;
}

static void on_hold(void *c, bool hold)
{
	(void)c;
	(void)hold;
}

static const struct exchange_client_ops ops = {
	.interim = on_interim,
	.reply = on_reply,
	.data = take_nothing,
	.prefers_memory = prefers_files,
	.file = take_no_file,
	.end = on_end,
	.abort = on_abort,
	.hold_body = on_hold,
	.detach = on_abort,
};

/* ---- Where the origin would be asked ---- */

void explain_fill(struct exchange *x, struct fill *f, const struct request_plan *plan, bool joins)
{
	struct explainer *ex = x->env->explain;
	struct exchange_explanation *out = ex->out;

	out->validators = arena_view(&out->arena, plan->validators);
	out->confirmable = f->validating;
	out->background = plan->background;
	if (plan->background)
		return;
	note_verdict(ex, x);
	out->fwd = fill_fwd_token(x->why);
	out->collapsed = joins;
	out->veto = f->want_store ? CACHE_STORE_OK : x->veto;
	if (!out->caches || !x->key_text.len || (!f->want_store && x->veto == CACHE_STORE_BYPASSED))
		out->verdict = EXCHANGE_PASS;
	else
		out->verdict = f->has_old ? EXCHANGE_VALIDATE : EXCHANGE_MISS;
	explain_selected(ex, x);
	if (ex->response)
		explain_response(ex, x, f);
}

void explain_missing(struct exchange *x, struct http_range missing)
{
	struct explainer *ex = x->env->explain;
	struct exchange_explanation *out = ex->out;

	note_verdict(ex, x);
	out->why = CACHE_USE_PARTIAL;
	out->fwd = cache_reason_token(CACHE_USE_PARTIAL);
	out->verdict = EXCHANGE_PARTIAL;
	out->missing = missing;
	explain_selected(ex, x);
}

/* ---- The whole ---- */

static int key_of(struct explainer *ex, const struct exchange_listener *listener, const struct http_target *target)
{
	struct exchange_explanation *out = ex->out;
	struct buf key;
	int err = 0;

	buf_init(&key, KEY_BYTES);
	if (exchange_key_text(listener, target, &key) == 0) {
		out->key = arena_view(&out->arena, buf_view(&key));
		err = out->key.ptr ? 0 : LARDER_ENOMEM;
	}
	buf_fini(&key);
	return err;
}

static int run(struct explainer *ex, struct exchange_env *env, const struct exchange_listener *listener,
               const struct exchange_request *req)
{
	struct exchange_sent sent = {0};
	int err = exchange_new(env, listener, req, &ops, ex, &ex->x);

	if (!err && ex->x)
		exchange_sent(ex->x, &sent);
	return err ? err : ex->err;
}

int exchange_explain(struct exchange_env *env, const struct exchange_listener *listener,
                     const struct exchange_request *req, const struct http_head *response, uint64_t length,
                     struct exchange_explanation *out)
{
	struct explainer ex = {.out = out, .response = response, .length = length};
	int err;

	check_magic(env, ENV_MAGIC);
	check(!env->origin);
	*out = (struct exchange_explanation){.veto = CACHE_STORE_OK, .now = net_loop_wall_s(env->loop)};
	arena_init(&out->arena, ARENA_BLOCK, EXPLAIN_BYTES);
	/* These act on more than what is stored under their target. */
	if (req->head->method == HTTP_METHOD_CONNECT || req->head->method == HTTP_METHOD_PURGE)
		return LARDER_EINVAL;
	http_head_mark_hops(req->head);
	err = req->target->form == HTTP_ASTERISK_FORM ? 0 : key_of(&ex, listener, req->target);
	if (!err && out->key.len && env->store)
		err = explain_variants(&ex, env->store, req->head);
	if (err)
		return err;
	env->explain = &ex;
	/* Looking is not using: what is kept does not depend on who asks why. */
	if (env->store)
		store_leave_no_trace(env->store, true);
	err = run(&ex, env, listener, req);
	if (env->store)
		store_leave_no_trace(env->store, false);
	env->explain = NULL;
	return err;
}

void exchange_explanation_fini(struct exchange_explanation *e)
{
	store_extents_fini(&e->extents);
	arena_fini(&e->arena);
}
