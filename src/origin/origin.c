/*
 * libcurl's multi interface on the loop, and the life of a transfer.
 *
 * libcurl must not be entered from its own callbacks, and our callers may start, resume and cancel
 * from theirs. So these only note what is wanted in `work`; a task of the loop does it.
 */
#include "origin-private.h"

#include <stdlib.h>

#define HEAD_BUFFER 4096 /* what a transfer in the pool may keep of its buffers */

int origin_global_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) ? LARDER_ENOMEM : 0;
}

/* ---- Transfers and their pool ---- */

static void transfer_free(struct origin_transfer *t)
{
	curl_easy_cleanup(t->easy);
	buf_fini(&t->text);
	buf_fini(&t->head);
	buf_fini(&t->trailers);
	t->magic = 0;
	free(t);
}

/* The options that never change. PROXY and NOPROXY keep libcurl from the environment. */
static int set_fixed(struct origin_transfer *t)
{
	const struct origin_options *options = t->origin->options;
	CURL *e = t->easy;
	int bad = 0;

	bad |= curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	bad |= curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	bad |= curl_easy_setopt(e, CURLOPT_PROXY, "");
	bad |= curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
	bad |= curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	bad |= curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	bad |= curl_easy_setopt(e, CURLOPT_HTTP_TRANSFER_DECODING, 0L);
	bad |= curl_easy_setopt(e, CURLOPT_BUFFERSIZE, 32L * 1024);
	bad |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
	bad |= curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout);
	bad |= curl_easy_setopt(e, CURLOPT_MAXAGE_CONN,
	                        (long)((options->origin_idle + 999) / 1000));
	bad |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, (long)options->tls_verify);
	bad |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, options->tls_verify ? 2L : 0L);
	if (options->ca_file[0]) {
		bad |= curl_easy_setopt(e, CURLOPT_CAINFO, options->ca_file);
		bad |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	return bad;
}

static int set_callbacks(struct origin_transfer *t)
{
	CURL *e = t->easy;
	int bad = 0;

	bad |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, response_header);
	bad |= curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, response_data);
	bad |= curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_READFUNCTION, request_body);
	bad |= curl_easy_setopt(e, CURLOPT_READDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, connection_prereq);
	bad |= curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, t);
	bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, connection_open);
	bad |= curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
	/* Called long after the transfer is gone. */
	bad |= curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, connection_close);
	bad |= curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, t->origin);
	return bad;
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
	t->easy = curl_easy_init();
	buf_init(&t->text, REQUEST_MAX);
	buf_init(&t->head, o->options->response_head_max);
	buf_init(&t->trailers, o->options->response_head_max);
	init_nodes(t);
	LIST_INIT(&t->opening);
	net_timer_init(&t->timer, o->loop, on_deadline);
	if (!t->easy || set_fixed(t) || set_callbacks(t)) {
		transfer_free(t);
		return NULL;
	}
	return t;
}

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
	t->chunked_used = false;
	t->head_bytes = t->left = t->body_bytes = t->sent = 0;
	t->interims = 0;
	t->head_done = t->delivered = t->complete = false;
	t->framing = HTTP_BODY_NONE;
	t->held_at = t->held_len = 0;
	t->recv_paused = t->recv_wanted = t->send_paused = t->send_wanted = t->body_ended = false;
	t->failure = (struct failure){0};
	t->info = (struct origin_info){0};
	t->cancelled = t->finished = t->fresh = t->repeated = false;
}

/* Out of libcurl, for good or to start again. */
static void withdraw(struct origin_transfer *t)
{
	struct origin *o = t->origin;

	if (t->state != STATE_NEW) {
		check(o->depth == 0);
		o->depth++;
		curl_multi_remove_handle(o->multi, t->easy);
		o->depth--;
	}
	t->state = STATE_NEW;
	forget_attempt(t);
}

void transfer_recycle(struct origin_transfer *t)
{
	struct origin *o = t->origin;

	check_magic(t, TRANSFER_MAGIC);
	check(t->state != STATE_IDLE);
	upgrade_free(t);
	withdraw(t);
	net_timer_stop(&t->timer);
	if (t->queued)
		TAILQ_REMOVE(&o->work, t, queue);
	if (t->waiting)
		TAILQ_REMOVE(&o->waiting, t, queue);
	t->queued = t->waiting = false;
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

void transfer_queue(struct origin_transfer *t)
{
	struct origin *o = t->origin;

	if (!t->queued && !t->waiting) {
		TAILQ_INSERT_TAIL(&o->work, t, queue);
		t->queued = true;
	}
	net_task_post(o->loop, &o->kick);
}

/* The name is resolved, or nobody asks any more: the next one's turn. */
void transfer_resolved(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	struct origin_transfer *next = TAILQ_FIRST(&o->waiting);

	if (!t->resolving)
		return;
	t->resolving = false;
	check(o->resolving > 0);
	o->resolving--;
	if (!next)
		return;
	TAILQ_REMOVE(&o->waiting, next, queue);
	next->waiting = false;
	transfer_queue(next);
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

static void run_again(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	bool waits = t->again == AGAIN_RESOLVE;

	t->fresh = t->again == AGAIN_FRESH || t->fresh;
	withdraw(t);
	if (waits && o->resolving >= RESOLVING_MAX) {
		if (t->queued)
			TAILQ_REMOVE(&o->work, t, queue);
		t->queued = false;
		t->waiting = true;
		TAILQ_INSERT_TAIL(&o->waiting, t, queue);
		return;
	}
	transfer_queue(t);
}

/* libcurl is through with a transfer. */
static void ended(struct origin_transfer *t, CURLcode code)
{
	if (t->cancelled) {
		transfer_recycle(t);
		return;
	}
	if (t->again && !t->failure.err) {
		run_again(t);
		return;
	}
	if (code == CURLE_OK && t->upgrade) {
		upgrade_begin(t);
		return;
	}
	if (code == CURLE_OK)
		response_end(t);
	else if (!t->complete)
		failure_from_curl(t, code);
	transfer_finish(t);
}

/* ---- Driving libcurl ---- */

static void read_messages(struct origin *o)
{
	struct origin_transfer *t;
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(o->multi, &left))) {
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
		check_magic(t, TRANSFER_MAGIC);
		ended(t, code);
	}
}

static void act(struct origin *o, curl_socket_t fd, int events)
{
	int running;

	check(o->depth == 0);
	o->depth++;
	curl_multi_socket_action(o->multi, fd, events, &running);
	o->depth--;
	read_messages(o);
}

void on_socket(void *arg, int events)
{
	struct origin_conn *c = arg;

	check_magic(c, CONN_MAGIC);
	act(c->origin, c->fd,
	    (events & NET_READ ? CURL_CSELECT_IN : 0) |
	            (events & NET_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(struct net_timer *timer)
{
	act(container_of(timer, struct origin, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int curl_wants_timer(CURLM *multi, long ms, void *arg)
{
	struct origin *o = arg;

	o->due = ms == 0;
	if (ms > 0)
		net_timer_set(&o->timer, (uint64_t)ms);
	else
		net_timer_stop(&o->timer);
	if (o->due)
		net_task_post(o->loop, &o->kick);
	return 0;
}

static void unpause(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	CURLcode code;

	if (t->recv_paused && t->recv_wanted) {
		t->recv_paused = false;
		transfer_phase(t, PHASE_BODY, o->options->stall_timeout);
	}
	if (t->send_paused && t->send_wanted) {
		t->send_paused = false;
		if (t->phase == PHASE_SEND)
			transfer_phase(t, PHASE_SEND, o->options->stall_timeout);
	}
	t->recv_wanted = t->send_wanted = false;
	o->depth++;
	code = curl_easy_pause(t->easy, (t->recv_paused ? CURLPAUSE_RECV : 0) |
	                                        (t->send_paused ? CURLPAUSE_SEND : 0));
	o->depth--;
	/* Its callbacks may have refused what was held back: then nobody else ends the transfer. */
	if (code != CURLE_OK)
		ended(t, code);
}

static void launch(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	int err = request_configure(t);

	if (!err) {
		o->depth++;
		err = curl_multi_add_handle(o->multi, t->easy) ? LARDER_ENOMEM : 0;
		o->depth--;
	}
	if (err) {
		failure_set(t, err, "proxy_internal_error", "The request could not be set up.");
		transfer_finish(t);
		return;
	}
	t->state = STATE_RUNNING;
	if (!net_timer_active(&t->timer))
		transfer_phase(t, PHASE_WAIT, o->options->first_byte_timeout);
}

static void work(struct origin_transfer *t)
{
	if (t->cancelled)
		transfer_recycle(t);
	else if (t->state == STATE_NEW)
		launch(t);
	else if (t->state == STATE_UPGRADE)
		upgrade_resume(t);
	else if (t->state == STATE_RUNNING)
		unpause(t);
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
	if (o->due) {
		o->due = false;
		act(o, CURL_SOCKET_TIMEOUT, 0);
	} else {
		read_messages(o);
	}
	if (!TAILQ_EMPTY(&o->work))
		net_task_post(o->loop, &o->kick);
}

/* ---- The room's functions ---- */

struct origin *origin_new(struct net_loop *l, const struct origin_options *options,
                          struct origin_stats *stats)
{
	struct origin *o = calloc(1, sizeof(*o));
	int bad = 0;

	if (!o)
		return NULL;
	*o = (struct origin){.magic = ORIGIN_MAGIC, .loop = l, .options = options, .stats = stats};
	TAILQ_INIT(&o->all);
	TAILQ_INIT(&o->work);
	TAILQ_INIT(&o->waiting);
	TAILQ_INIT(&o->idle);
	net_timer_init(&o->timer, l, on_timer);
	net_task_init(&o->kick, on_kick);
	o->fields = calloc((size_t)options->response_fields_max, sizeof(*o->fields));
	o->multi = curl_multi_init();
	if (!o->fields || !o->multi)
		goto out;
	bad |= curl_multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, connection_watch);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, (long)options->origin_connections);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                         (long)options->origin_host_connections);
	if (!bad)
		return o;
out:
	if (o->multi)
		curl_multi_cleanup(o->multi);
	free(o->fields);
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
	curl_multi_cleanup(o->multi);
	connections_fini(o);
	net_timer_stop(&o->timer);
	net_task_cancel(o->loop, &o->kick);
	free(o->fields);
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
		t->fd = -1;
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
	if (t->waiting) {
		TAILQ_REMOVE(&t->origin->waiting, t, queue);
		t->waiting = false;
	}
	transfer_queue(t);
}
