/*
 * libcurl's multi interface on the loop. It must not be entered from its own callbacks: o->depth
 * tells.
 */
#include "origin-private.h"

/* ---- Handles ---- */

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

static int handle_make(struct origin_transfer *t)
{
	if (t->easy)
		return 0;
	t->easy = curl_easy_init();
	if (t->easy && !set_fixed(t) && !set_callbacks(t))
		return 0;
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
	return LARDER_ENOMEM;
}

int multi_add(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	int err = handle_make(t);

	check(o->depth == 0 && !t->added);
	if (!err)
		err = request_configure(t);
	if (err)
		return err;
	o->depth++;
	err = curl_multi_add_handle(o->multi, t->easy) ? LARDER_ENOMEM : 0;
	o->depth--;
	t->added = err == 0;
	o->told = true;
	return err;
}

void multi_remove(struct origin_transfer *t)
{
	struct origin *o = t->origin;

	if (!t->added)
		return;
	check(o->depth == 0);
	t->added = false;
	o->depth++;
	curl_multi_remove_handle(o->multi, t->easy);
	o->depth--;
}

/* ---- The end of a transfer ---- */

static void run_again(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	bool resolve = t->again == AGAIN_RESOLVE;

	t->fresh = t->again == AGAIN_FRESH || t->fresh;
	transfer_withdraw(t);
	if (resolve && t->wired)
		transfer_resolve(t);
	else if (resolve && o->resolving >= RESOLVING_MAX)
		transfer_wait(t, &o->waiting);
	else
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
	if (code == CURLE_OK && t->wired) {
		wire_connected(t);
		return;
	}
	if (code == CURLE_OK)
		response_end(t);
	else if (!t->complete)
		failure_from_curl(t, code);
	transfer_finish(t);
}

/* ---- Driving ---- */

static void read_messages(struct origin *o)
{
	struct origin_transfer *t;
	CURLMsg *m;
	int left;

	o->told = false;
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

void multi_run(struct origin *o)
{
	if (o->due) {
		o->due = false;
		act(o, CURL_SOCKET_TIMEOUT, 0);
	} else if (o->told) {
		read_messages(o);
	}
}

void multi_ready(void *arg, int events)
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

static int wants_timer(CURLM *multi, long ms, void *arg)
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

void multi_unpause(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	bool resumed = false;
	CURLcode code;

	if (t->recv_paused && t->recv_wanted) {
		resumed = true;
		t->recv_paused = false;
		transfer_phase(t, PHASE_BODY, o->options->stall_timeout);
	}
	if (t->send_paused && t->send_wanted) {
		resumed = true;
		t->send_paused = false;
		if (t->phase == PHASE_SEND)
			transfer_phase(t, PHASE_SEND, o->options->stall_timeout);
	}
	t->recv_wanted = t->send_wanted = false;
	/* libcurl calls it an error where it has no connection yet. */
	if (!resumed)
		return;
	o->told = true;
	o->depth++;
	code = curl_easy_pause(t->easy, (t->recv_paused ? CURLPAUSE_RECV : 0) |
	                                        (t->send_paused ? CURLPAUSE_SEND : 0));
	o->depth--;
	/* Its callbacks may have refused what was held back: then nobody else ends the transfer. */
	if (code != CURLE_OK)
		ended(t, code);
}

/* ---- Connections that libcurl only made ---- */

ssize_t multi_receive(struct origin_transfer *t, void *dst, size_t room)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(t->easy, dst, room, &n);

	if (code == CURLE_AGAIN)
		return LARDER_EAGAIN;
	return code == CURLE_OK ? (ssize_t)n : LARDER_ECLOSED;
}

ssize_t multi_transmit(struct origin_transfer *t, const void *src, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_send(t->easy, src, len, &n);

	if (code == CURLE_AGAIN || (code == CURLE_OK && n == 0))
		return LARDER_EAGAIN;
	return code == CURLE_OK ? (ssize_t)n : LARDER_ECLOSED;
}

/* ---- The multi handle ---- */

int multi_init(struct origin *o)
{
	const struct origin_options *options = o->options;
	int bad = 0;

	net_timer_init(&o->timer, o->loop, on_timer);
	o->multi = curl_multi_init();
	if (!o->multi)
		return LARDER_ENOMEM;
	bad |= curl_multi_setopt(o->multi, CURLMOPT_SOCKETFUNCTION, connection_watch);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_SOCKETDATA, o);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_TIMERFUNCTION, wants_timer);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_TIMERDATA, o);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_MAXCONNECTS, (long)options->origin_connections);
	bad |= curl_multi_setopt(o->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	                         (long)options->origin_host_connections);
	if (!bad)
		return 0;
	curl_multi_cleanup(o->multi);
	return LARDER_ENOMEM;
}

void multi_fini(struct origin *o)
{
	curl_multi_cleanup(o->multi);
	connections_fini(o);
	net_timer_stop(&o->timer);
}
