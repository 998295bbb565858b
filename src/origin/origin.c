/*
 * The room's functions, and the life of a transfer.
 *
 * libcurl must not be entered from its own callbacks, and our callers may start, resume and cancel
 * from theirs. So these only note what is wanted in `work`; a task of the loop does it.
 */
#include "origin-private.h"

#include <stdlib.h>

#define HEAD_BUFFER 4096         /* what a transfer in the pool may keep of its buffers */
#define OUT_MAX     (64UL * 1024) /* request body on its way */
#define RESOLVED_MAX 2048

int origin_global_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) ? LARDER_ENOMEM : 0;
}

/* ---- Transfers and their pool ---- */

static void transfer_free(struct origin_transfer *t)
{
	curl_easy_cleanup(t->easy);
	buf_fini(&t->resolved);
	buf_fini(&t->wire.out);
	buf_fini(&t->wire.in);
	buf_fini(&t->text);
	buf_fini(&t->head);
	buf_fini(&t->trailers);
	t->magic = 0;
	free(t);
}

/* Lines with nothing behind the colon tell libcurl not to send its own. */
static void init_nodes(struct origin_transfer *t)
{
	static char off[NODES - 1][16] = {"Host:", "Accept:", "Expect:", "Content-Length:"};

	for (int i = 0; i < NODES - 1; i++)
		t->nodes[i] = (struct curl_slist){off[i], &t->nodes[i + 1]};
}

static void on_deadline(struct net_timer *timer);

static struct origin_transfer *transfer_new(struct origin *o)
{
	struct origin_transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->magic = TRANSFER_MAGIC;
	t->origin = o;
	t->fd = -1;
	t->wire.fd = -1;
	buf_init(&t->resolved, RESOLVED_MAX);
	buf_init(&t->wire.out, OUT_MAX);
	buf_init(&t->wire.in, o->options->response_head_max + 2 * IN_ROOM);
	buf_init(&t->text, REQUEST_MAX);
	buf_init(&t->head, o->options->response_head_max);
	buf_init(&t->trailers, o->options->response_head_max);
	init_nodes(t);
	LIST_INIT(&t->opening);
	net_timer_init(&t->timer, o->loop, on_deadline);
	return t;
}

/* ---- Queues ---- */

void transfer_queue(struct origin_transfer *t)
{
	struct origin *o = t->origin;

	if (!t->queued && !t->waits) {
		TAILQ_INSERT_TAIL(&o->work, t, queue);
		t->queued = true;
	}
	net_task_post(o->loop, &o->kick);
}

/* It is in no other queue meanwhile. One that waits again goes before the others. */
void transfer_wait(struct origin_transfer *t, struct origin_transfers *list)
{
	check(!t->waits);
	if (t->queued)
		TAILQ_REMOVE(&t->origin->work, t, queue);
	t->queued = false;
	t->waits = list;
	if (t->turn)
		TAILQ_INSERT_HEAD(list, t, queue);
	else
		TAILQ_INSERT_TAIL(list, t, queue);
	t->turn = false;
}

void transfer_unwait(struct origin_transfer *t)
{
	if (!t->waits)
		return;
	TAILQ_REMOVE(t->waits, t, queue);
	t->waits = NULL;
	pool_left(t);
}

static void wake_resolving(struct origin *o)
{
	struct origin_transfer *next = TAILQ_FIRST(&o->waiting);

	if (!next || o->resolving >= RESOLVING_MAX)
		return;
	transfer_unwait(next);
	transfer_queue(next);
}

/* The name is resolved, or nobody asks any more: the next one's turn. */
void transfer_resolved(struct origin_transfer *t)
{
	struct origin *o = t->origin;

	if (!t->resolving)
		return;
	t->resolving = false;
	check(o->resolving > 0);
	o->resolving--;
	wake_resolving(o);
}

/* ---- What is left behind ---- */

static void trim(struct buf *b)
{
	if (b->cap > HEAD_BUFFER)
		buf_fini(b);
	buf_reset(b);
}

/* Everything that one run of libcurl has left behind. */
static void forget_attempt(struct origin_transfer *t)
{
	struct origin_conn *c;

	transfer_resolved(t);
	while ((c = LIST_FIRST(&t->opening))) {
		LIST_REMOVE(c, link);
		c->owner = NULL;
	}
	connection_forget_end(t);
	t->end_matters = t->announced = false;
	/* libcurl counts what it repeats for as long as a handle lives, and after five gives up at once. */
	if (t->counted) {
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
	}
	t->counted = false;
	t->attempts = 0;
	t->offered = t->refused = 0;
	t->again = AGAIN_NO;
	t->fd = -1;
	t->error[0] = '\0';
}

static void forget_answer(struct origin_transfer *t)
{
	if (t->chunked_used)
		http_chunked_fini(&t->chunked);
	trim(&t->head);
	trim(&t->trailers);
	trim(&t->wire.in);
	trim(&t->wire.out);
	t->chunked_used = false;
	t->head_bytes = t->left = t->body_bytes = t->sent = 0;
	t->interims = 0;
	t->head_done = t->delivered = t->complete = false;
	t->framing = HTTP_BODY_NONE;
	t->held_at = t->held_len = 0;
	t->recv_paused = t->recv_wanted = t->send_paused = t->send_wanted = t->body_ended = false;
	t->failure = (struct failure){0};
	t->info = (struct origin_info){0};
	t->cancelled = t->finished = t->fresh = t->repeated = t->turn = t->admitted =
	        false;
}

void transfer_withdraw(struct origin_transfer *t)
{
	net_resolve_cancel(t->lookup);
	t->lookup = NULL;
	wire_release(t);
	multi_remove(t);
	pool_unmade(t);
	pool_connected(t);
	t->state = STATE_NEW;
	forget_attempt(t);
}

void transfer_recycle(struct origin_transfer *t)
{
	struct origin *o = t->origin;

	check_magic(t, TRANSFER_MAGIC);
	check(t->state != STATE_IDLE);
	upgrade_free(t);
	transfer_withdraw(t);
	buf_reset(&t->resolved);
	net_timer_stop(&t->timer);
	if (t->queued)
		TAILQ_REMOVE(&o->work, t, queue);
	t->queued = false;
	transfer_unwait(t);
	if (t->turn)
		pool_pass(t);
	wake_resolving(o);
	TAILQ_REMOVE(&o->all, t, link);
	stat_sub(&o->stats->active, 1);
	forget_answer(t);
	trim(&t->text);
	t->state = STATE_IDLE;
	if (o->closing || o->nidle >= IDLE_MAX) {
		transfer_free(t);
		return;
	}
	TAILQ_INSERT_HEAD(&o->idle, t, link);
	o->nidle++;
}

/* ---- Deadlines ---- */

/* The timer is only moved when it would come too late; on_deadline looks at the deadline. */
void transfer_phase(struct origin_transfer *t, enum phase phase, uint64_t ms)
{
	uint64_t now = net_loop_now_ms(t->origin->loop);

	t->phase = phase;
	t->deadline_ms = ms ? now + ms : UINT64_MAX;
	if (ms && (!net_timer_active(&t->timer) || t->timer.due_ms > t->deadline_ms))
		net_timer_set(&t->timer, ms);
}

static void on_deadline(struct net_timer *timer)
{
	struct origin_transfer *t = container_of(timer, struct origin_transfer, timer);
	uint64_t now = net_loop_now_ms(t->origin->loop);

	check_magic(t, TRANSFER_MAGIC);
	if (t->cancelled || t->deadline_ms == UINT64_MAX)
		return;
	if (now < t->deadline_ms) {
		net_timer_set(timer, t->deadline_ms - now);
		return;
	}
	/* An early answer is all here, and the rest of the request body is the callee's delay. */
	if (t->send_paused && response_whole(t)) {
		transfer_phase(t, PHASE_BODY, t->origin->options->stall_timeout);
		return;
	}
	/* Or the origin takes no more of it: it has said what it had to say. */
	t->complete = response_whole(t) && !t->recv_paused;
	if (!t->complete)
		failure_timeout(t);
	transfer_finish(t);
}

/* ---- The end ---- */

void transfer_finish(struct origin_transfer *t)
{
	struct origin_result r = {.head_seen = t->delivered, .body_bytes = t->body_bytes};

	check(t->origin->depth == 0);
	if (!t->cancelled && !t->finished) {
		t->finished = true;
		if (!t->complete && t->failure.err) {
			r.err = t->failure.err;
			r.proxy_error = t->failure.type;
			r.detail = t->failure.detail;
			failure_count(t->origin->stats, r.err);
		} else {
			r.trailers = t->chunked_used ? buf_view(&t->chunked.trailers)
			                             : buf_view(&t->trailers);
		}
		t->h.done(t->arg, &r);
	}
	transfer_recycle(t);
}

/* libcurl repeats by itself what died on a pooled connection, five times, POST too. Once is right,
 * and only of what may be. */
bool transfer_may_repeat(struct origin_transfer *t)
{
	if (t->idempotent && !t->sent && !t->repeated && !t->head_bytes)
		return true;
	failure_set(t, LARDER_ECLOSED, "connection_terminated",
	            "The origin closed a kept connection, and the request must not be repeated.");
	return false;
}

/* ---- Beginning ---- */

void transfer_sends(struct origin_transfer *t, const struct origin_conn *c, bool reused)
{
	const struct origin_options *options = t->origin->options;

	pool_connected(t);
	t->fd = c->fd;
	t->on_tls = c->tls;
	t->info.addr = c->addr;
	t->info.h2 = c->h2;
	t->info.tls = c->tls;
	t->info.reused = reused;
	t->info.request_time = net_loop_wall_s(t->origin->loop);
	stat_add(reused ? &t->origin->stats->reuses : &t->origin->stats->connects, 1);
	stat_add(&t->origin->stats->requests, 1);
	if (t->length)
		transfer_phase(t, PHASE_SEND, options->stall_timeout);
	else
		transfer_phase(t, PHASE_HEAD, options->first_byte_timeout);
}

static void not_launched(struct origin_transfer *t, int err)
{
	failure_set(t, err, "proxy_internal_error", "The request could not be set up.");
	transfer_finish(t);
}

/* libcurl uses a thread for each name and leaves it behind where nobody waits any more: not so for
 * connections of our own. */
static void resolved(void *arg, int err, const struct addr *addrs, unsigned naddrs)
{
	struct origin_transfer *t = arg;
	struct view host;
	struct buf *b = &t->resolved;
	char text[ADDR_TEXT_MAX];

	check_magic(t, TRANSFER_MAGIC);
	t->lookup = NULL;
	if (err) {
		failure_set(t, err, "dns_error", "The origin's name could not be resolved.");
		transfer_finish(t);
		return;
	}
	host = view_from(view_of(t->url), t->https ? sizeof("https://") - 1 : sizeof("http://") - 1);
	buf_addc(b, '+');
	buf_addv(b, host);
	for (unsigned i = 0; i < naddrs; i++) {
		bool v6 = addrs[i].sa.sa_family == AF_INET6;

		buf_addc(b, i ? ',' : ':');
		buf_addv(b, v6 ? V("[") : V(""));
		buf_addv(b, view_of(addr_format_ip(&addrs[i], text)));
		buf_addv(b, v6 ? V("]") : V(""));
	}
	buf_addc(b, '\0');
	if (b->err)
		not_launched(t, b->err);
	else
		transfer_queue(t);
}

void transfer_resolve(struct origin_transfer *t)
{
	struct view host, port;
	size_t from = t->https ? sizeof("https://") - 1 : sizeof("http://") - 1;

	host = view_cut(view_from(view_of(t->url), from), ':', &port);
	transfer_phase(t, PHASE_RESOLVE, t->origin->options->connect_timeout);
	t->lookup = net_resolve_new(t->origin->loop, host, resolved, t);
	if (!t->lookup)
		not_launched(t, LARDER_ENOMEM);
}

/* With libcurl: all of it, or the making of a connection. */
static void launch_curl(struct origin_transfer *t)
{
	int err = multi_add(t);

	if (err) {
		not_launched(t, err);
		return;
	}
	t->state = STATE_RUNNING;
	if (!net_timer_active(&t->timer))
		transfer_phase(t, PHASE_WAIT, t->origin->options->origin_queue_timeout);
}

static void launch(struct origin_transfer *t)
{
	struct origin_conn *c;
	int r;

	if (t->wired && !t->https) {
		r = pool_take(t, &c);
	} else {
		r = pool_connects(t);
		r = r ? r : POOL_CONNECT;
	}
	switch (r) {
	case POOL_CONN:
		wire_begin(t, c, true);
		break;
	case POOL_CONNECT:
		launch_curl(t);
		break;
	case POOL_WAIT:
		if (t->phase != PHASE_WAIT || !net_timer_active(&t->timer))
			transfer_phase(t, PHASE_WAIT, t->origin->options->origin_queue_timeout);
		break;
	default:
		not_launched(t, r);
	}
}

static void work(struct origin_transfer *t)
{
	if (t->cancelled)
		transfer_recycle(t);
	else if (t->state == STATE_NEW && !t->lookup)
		launch(t);
	else if (t->state == STATE_WIRE)
		wire_resume(t);
	else if (t->state == STATE_RUNNING)
		multi_unpause(t);
}

static void on_kick(struct net_task *task)
{
	struct origin *o = container_of(task, struct origin, kick);
	struct origin_transfer *last = TAILQ_LAST(&o->work, origin_transfers), *t;

	check_magic(o, ORIGIN_MAGIC);
	/* What these queue again waits for the next round. */
	for (bool more = last != NULL; more && (t = TAILQ_FIRST(&o->work));) {
		more = t != last;
		TAILQ_REMOVE(&o->work, t, queue);
		t->queued = false;
		work(t);
	}
	multi_run(o);
	if (!TAILQ_EMPTY(&o->work))
		net_task_post(o->loop, &o->kick);
}

/* ---- The room's functions ---- */

struct origin *origin_new(struct net_loop *l, const struct origin_options *options,
                          struct origin_stats *stats)
{
	struct origin *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	*o = (struct origin){.magic = ORIGIN_MAGIC, .loop = l, .options = options, .stats = stats,
	                      .piece = IN_ROOM};
	TAILQ_INIT(&o->all);
	TAILQ_INIT(&o->work);
	TAILQ_INIT(&o->waiting);
	TAILQ_INIT(&o->idle);
	net_task_init(&o->kick, on_kick);
	pool_init(o);
	o->fields = calloc((size_t)options->response_fields_max, sizeof(*o->fields));
	o->in = malloc(IN_ROOM);
	if (o->fields && o->in && multi_init(o) == 0)
		return o;
	free(o->fields);
	free(o->in);
	free(o);
	return NULL;
}

void origin_free(struct origin *o)
{
	struct origin_transfer *t, *next;

	if (!o)
		return;
	check_magic(o, ORIGIN_MAGIC);
	check(o->depth == 0);
	o->closing = true;
	while ((t = TAILQ_FIRST(&o->all))) {
		failure_set(t, LARDER_ECLOSED, "proxy_internal_error", "larder is shutting down.");
		transfer_finish(t);
	}
	TAILQ_FOREACH_SAFE (t, &o->idle, link, next)
		transfer_free(t);
	multi_fini(o);
	pool_fini(o);
	net_task_cancel(o->loop, &o->kick);
	free(o->fields);
	free(o->in);
	o->magic = 0;
	free(o);
}

struct origin_transfer *origin_start(struct origin *o, const struct origin_request *req,
                                     const struct origin_handlers *h, void *arg)
{
	struct origin_transfer *t = TAILQ_FIRST(&o->idle);

	check_magic(o, ORIGIN_MAGIC);
	check(!o->closing);
	if (t) {
		TAILQ_REMOVE(&o->idle, t, link);
		o->nidle--;
	} else {
		t = transfer_new(o);
		if (!t)
			return NULL;
	}
	if (origin_request_build(t, req)) {
		trim(&t->text);
		TAILQ_INSERT_HEAD(&o->idle, t, link);
		o->nidle++;
		return NULL;
	}
	t->h = *h;
	t->arg = arg;
	t->state = STATE_NEW;
	TAILQ_INSERT_TAIL(&o->all, t, link);
	stat_add(&o->stats->active, 1);
	transfer_queue(t);
	return t;
}

void origin_set_piece(struct origin *o, size_t bytes)
{
	check_magic(o, ORIGIN_MAGIC);
	o->piece = bytes && bytes < IN_ROOM ? bytes : IN_ROOM;
}

void origin_resume(struct origin_transfer *t)
{
	check_magic(t, TRANSFER_MAGIC);
	t->recv_wanted = true;
	transfer_queue(t);
}

void origin_body_ready(struct origin_transfer *t)
{
	check_magic(t, TRANSFER_MAGIC);
	t->send_wanted = true;
	transfer_queue(t);
}

void origin_cancel(struct origin_transfer *t)
{
	check_magic(t, TRANSFER_MAGIC);
	if (t->finished || t->cancelled)
		return;
	t->cancelled = true;
	net_timer_stop(&t->timer);
	transfer_unwait(t);
	transfer_queue(t);
}
