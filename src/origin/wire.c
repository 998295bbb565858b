/*
 * HTTP/1.1 on a connection that libcurl made (TLS included): plain http, and all that asks for an
 * Upgrade, after which libcurl gives no way to write. A plain connection is ours from then on: it
 * is read and written directly, watched all the time, and goes to the pool after a whole answer. One
 * with TLS stays libcurl's, and ends with the transfer.
 *
 * Each function that runs a transfer ends with what may end it: a transfer must not be touched after
 * conclude().
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "origin-private.h"

#define PIECE     (16UL * 1024) /* of a request body, at once */
#define HEAD_ROOM 24            /* before a chunk: its size line */
#define ROUNDS    4             /* full reads before others get their turn */

static ssize_t receive(struct origin_transfer *t, void *dst, size_t room)
{
	ssize_t n;

	if (!t->wire.conn)
		return multi_receive(t, dst, room);
	n = recv(t->wire.conn->fd, dst, room, 0);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? LARDER_EAGAIN
	                                                                 : LARDER_ECLOSED;
}

static ssize_t transmit(struct origin_transfer *t, struct iovec *iov, size_t n)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n};
	ssize_t done;

	if (!t->wire.conn)
		return multi_transmit(t, iov->iov_base, iov->iov_len);
	done = sendmsg(t->wire.conn->fd, &msg, MSG_NOSIGNAL);
	if (done >= 0)
		return done;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? LARDER_EAGAIN
	                                                                 : LARDER_ECLOSED;
}

/* ---- The request ---- */

static bool unsent(const struct origin_transfer *t)
{
	const struct wire *w = &t->wire;

	return !w->deaf && (w->head_at < t->image.len || w->out_at < w->out.len);
}

static bool request_over(const struct origin_transfer *t)
{
	return !unsent(t) && (!t->has_body || t->body_ended);
}

/* Frames what the callee puts behind the room for it. As request_take. */
static ssize_t take_piece(struct origin_transfer *t)
{
	struct buf *out = &t->wire.out;
	bool chunked = t->length == HTTP_LENGTH_UNKNOWN;
	char head[HEAD_ROOM], *at;
	size_t n = 0;
	ssize_t got;

	if (buf_reserve(out, HEAD_ROOM + PIECE + sizeof("\r\n0\r\n\r\n"))) {
		failure_set(t, LARDER_ENOMEM, "proxy_internal_error", "Out of memory.");
		return LARDER_ECLOSED;
	}
	at = out->data + out->len;
	got = request_take(t, chunked ? at + HEAD_ROOM : at, PIECE);
	if (got > 0 && chunked) {
		n = http_chunk_head((uint64_t)got, head);
		memcpy(at, head, n);
		memmove(at + n, at + HEAD_ROOM, (size_t)got);
	}
	if (got > 0)
		out->len += n + (size_t)got;
	if (got > 0 && chunked)
		BUF_ADD_LIT(out, "\r\n");
	if (got == 0 && chunked)
		BUF_ADD_LIT(out, "0\r\n\r\n");
	return got;
}

/* Takes some more body into `out`. False: the transfer has failed or was cancelled. */
static bool gather(struct origin_transfer *t)
{
	struct wire *w = &t->wire;
	ssize_t got;

	if (w->out_at && w->out_at == w->out.len) {
		w->out_at = 0;
		buf_reset(&w->out);
	}
	if (!t->has_body || t->body_ended || t->send_paused || w->deaf || w->out.len >= PIECE)
		return true;
	got = take_piece(t);
	return got >= 0 || got == LARDER_EAGAIN;
}

/* Sends what there is. False: the socket takes no more now. */
static bool flush(struct origin_transfer *t)
{
	struct wire *w = &t->wire;

	while (unsent(t)) {
		struct view head = view_from(t->image, w->head_at),
		            body = view_from(buf_view(&w->out), w->out_at);
		struct iovec iov[2] = {{(char *)head.ptr, head.len}, {(char *)body.ptr, body.len}};
		ssize_t n = transmit(t, head.len ? iov : iov + 1, head.len && body.len ? 2 : 1);

		if (n == LARDER_EAGAIN)
			return false;
		if (n < 0) {
			/* There may be an answer all the same: reading tells. */
			w->deaf = w->cut = true;
			w->keep = false;
			return true;
		}
		if ((size_t)n <= head.len) {
			w->head_at += (size_t)n;
		} else {
			w->head_at = t->image.len;
			w->out_at += (size_t)n - head.len;
		}
	}
	return true;
}

/* The deadline that goes with what was sent. */
static void sent(struct origin_transfer *t, bool blocked)
{
	const struct origin_options *options = t->origin->options;

	if (!t->has_body || t->phase == PHASE_HEAD || t->recv_paused)
		return;
	if (request_over(t) && !t->head_done)
		transfer_phase(t, PHASE_HEAD, options->first_byte_timeout);
	else if (t->send_paused && !blocked && t->phase == PHASE_SEND)
		transfer_phase(t, PHASE_SEND, 0); /* the callee's delay */
	else if (!request_over(t))
		transfer_phase(t, t->head_done ? PHASE_BODY : PHASE_SEND, options->stall_timeout);
}

/* False: the transfer has failed or was cancelled. */
static bool send_request(struct origin_transfer *t)
{
	size_t before;

	do {
		if (!gather(t))
			return false;
		before = t->wire.head_at + t->wire.out_at;
		if (!flush(t)) {
			if (t->wire.head_at + t->wire.out_at > before)
				sent(t, true);
			return true;
		}
		if (t->wire.head_at + t->wire.out_at > before || t->send_paused)
			sent(t, false);
	} while (t->has_body && !t->body_ended && !t->send_paused && !t->wire.deaf);
	return true;
}

/* ---- The answer ---- */

/* The end of the head at the start of `v`, no part of which before `from` is one; 0: not there. */
static size_t head_end(struct view v, size_t from)
{
	const char *at = v.ptr + from, *end = v.ptr + v.len;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		size_t i = (size_t)(at - v.ptr);

		if (i == 0 || v.ptr[i - 1] == '\n' ||
		    (v.ptr[i - 1] == '\r' && (i == 1 || v.ptr[i - 2] == '\n')))
			return i + 1;
		at++;
	}
	return 0;
}

/* Keeps the end of what was received, which is in `in` or has to go there. */
static bool keep_rest(struct origin_transfer *t, struct view rest)
{
	struct buf *in = &t->wire.in;

	if (in->len)
		buf_drop(in, in->len - rest.len);
	else if (buf_addv(in, rest))
		failure_set(t, LARDER_ENOMEM, "proxy_internal_error", "Out of memory.");
	return !in->err;
}

/* 1: a head was taken from *v, 0: it has not all come, LARDER_ECLOSED: stop. */
static int take_head(struct origin_transfer *t, struct view *v)
{
	static const struct view start = {"HTTP/", 5};
	struct wire *w = &t->wire;
	size_t n = head_end(*v, w->scanned);

	if (!view_starts(start, view_make(v->ptr, v->len < start.len ? v->len : start.len))) {
		failure_set(t, LARDER_EPROTO, "http_protocol_error",
		            "What the origin sent is no HTTP/1 response.");
		return LARDER_ECLOSED;
	}
	if (!n && v->len > t->origin->options->response_head_max) {
		failure_set(t, LARDER_EPROTO, "http_response_header_section_size",
		            "The response head is too large.");
		return LARDER_ECLOSED;
	}
	w->scanned = n ? 0 : v->len;
	if (!n)
		return 0;
	w->rest = view_from(*v, n);
	if (!response_head(t, view_make(v->ptr, n)))
		return LARDER_ECLOSED;
	*v = w->rest;
	return 1;
}

/* All of the answer is there; `rest` bytes follow it. */
static bool whole(struct origin_transfer *t, size_t rest)
{
	if (rest)
		t->wire.keep = false;
	t->complete = request_over(t) || t->wire.deaf;
	return !t->complete;
}

/* Works off what was received. False: it is over, one way or the other. */
static bool consume(struct origin_transfer *t, struct view v)
{
	bool paused = false;
	size_t n;

	while (!t->head_done) {
		int r = v.len ? take_head(t, &v) : 0;

		if (r == 0 && v.len)
			return keep_rest(t, v);
		if (r == 0)
			break;
		if (r < 0)
			return false;
	}
	if (t->head_done && !response_whole(t) && v.len) {
		n = t->framing == HTTP_BODY_LENGTH && v.len > t->left ? (size_t)t->left : v.len;
		if (!response_body(t, view_make(v.ptr, n), &paused)) {
			t->wire.keep = false;
			return false;
		}
		t->recv_paused = paused;
		if (paused)
			return keep_rest(t, v);
		v = view_from(v, n);
	}
	buf_reset(&t->wire.in);
	return !response_whole(t) || whole(t, v.len);
}

/* The connection ended. */
static void hung_up(struct origin_transfer *t, bool broken)
{
	t->wire.keep = false;
	if (t->info.reused && !t->head_bytes) {
		if (transfer_may_repeat(t))
			t->again = AGAIN_FRESH;
	} else if (broken && !response_whole(t)) {
		failure_set(t, LARDER_ECLOSED,
		            t->head_done ? "http_response_incomplete" : "connection_terminated",
		            t->head_done ? "The connection to the origin broke."
		                         : "The connection broke before the origin had answered.");
	} else {
		response_end(t);
		t->complete = !t->failure.err;
	}
}

/* Reads what has come. False: it is over. */
static bool receive_answer(struct origin_transfer *t)
{
	struct buf *in = &t->wire.in;

	for (unsigned round = 0; !t->recv_paused && round < ROUNDS; round++) {
		bool more = in->len > 0;
		size_t room = t->origin->piece;
		ssize_t n;

		if (more && buf_reserve(in, PIECE)) {
			failure_set(t, LARDER_ENOMEM, "proxy_internal_error", "Out of memory.");
			return false;
		}
		if (more && in->cap - in->len < room)
			room = in->cap - in->len;
		n = receive(t, more ? in->data + in->len : t->origin->in, room);
		if (n == LARDER_EAGAIN)
			return true;
		if (n <= 0) {
			/* The kernel tells of a reset once: sending may have heard it. */
			hung_up(t, n < 0 || t->wire.cut);
			return false;
		}
		if (!t->head_done)
			t->head_bytes += (uint64_t)n;
		if (more)
			in->len += (size_t)n;
		if (!consume(t, more ? buf_view(in) : view_make(t->origin->in, (size_t)n)))
			return false;
		/* What TLS holds back does not wake the loop: it is read to its end. */
		if (t->wire.conn && (size_t)n < room)
			return true;
		if (!t->wire.conn)
			round = 0;
	}
	return true;
}

/* ---- The run ---- */

/* The end of a run; a transfer that became a stream is not ours to touch. */
static void conclude(struct origin_transfer *t)
{
	if (t->state != STATE_WIRE)
		return;
	if (t->again && !t->failure.err && !t->cancelled) {
		t->repeated = t->fresh = true;
		t->body_ended = t->send_paused = false; /* nothing of it was taken */
		stat_add(&t->origin->stats->retries, 1);
		transfer_withdraw(t);
		transfer_queue(t);
		return;
	}
	transfer_finish(t);
}

static void watch(struct origin_transfer *t)
{
	struct net_poll *poll = t->wire.conn ? t->wire.conn->poll : t->wire.poll;

	net_poll_set(poll, (t->recv_paused ? 0 : NET_READ) | (unsent(t) ? NET_WRITE : 0));
}

static void run(struct origin_transfer *t, bool readable)
{
	if (!send_request(t) || (readable && !receive_answer(t)))
		conclude(t);
	else if (response_whole(t) && !t->recv_paused && !whole(t, 0))
		conclude(t);
	else
		watch(t);
}

void wire_ready(struct origin_transfer *t, int events)
{
	check_magic(t, TRANSFER_MAGIC);
	if (!t->cancelled)
		run(t, events & NET_READ);
}

void wire_resume(struct origin_transfer *t)
{
	const struct origin_options *options = t->origin->options;
	bool resumed = t->recv_paused && t->recv_wanted;

	if (t->send_paused && t->send_wanted) {
		t->send_paused = false;
		if (t->phase == PHASE_SEND)
			transfer_phase(t, PHASE_SEND, options->stall_timeout);
	}
	t->recv_wanted = t->send_wanted = false;
	if (resumed) {
		t->recv_paused = false;
		transfer_phase(t, PHASE_BODY, options->stall_timeout);
		if (!consume(t, buf_view(&t->wire.in))) {
			conclude(t);
			return;
		}
	}
	run(t, resumed);
}

static void on_tls_ready(void *arg, int events)
{
	wire_ready(arg, events);
}

void wire_begin(struct origin_transfer *t, struct origin_conn *c, bool reused)
{
	t->state = STATE_WIRE;
	if (c->host)
		t->wire.conn = c;
	transfer_sends(t, c, reused);
	run(t, false);
}

/* A descriptor of our own to watch, beside the one that libcurl uses. */
static int watch_tls(struct origin_transfer *t, const struct origin_conn *c)
{
	struct wire *w = &t->wire;

	w->fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 3);
	if (w->fd < 0)
		return LARDER_EFILES;
	w->poll = net_poll_new(t->origin->loop, w->fd, on_tls_ready, t);
	return w->poll ? 0 : LARDER_ENOMEM;
}

void wire_connected(struct origin_transfer *t)
{
	struct origin_conn *c = connection_made(t);
	int err = c ? 0 : LARDER_ECONNECT;

	if (c && t->https) {
		err = watch_tls(t, c);
	} else if (c) {
		/* libcurl closes what it only connected when its handle leaves. */
		c->wanted = true;
		multi_remove(t);
		if (c->wanted)
			err = LARDER_ECONNECT;
		else
			pool_adopt(t, c);
		c->wanted = false;
	}
	if (err) {
		failure_set(t, err, "proxy_internal_error", "The connection could not be used.");
		transfer_finish(t);
		return;
	}
	wire_begin(t, c, false);
}

void wire_release(struct origin_transfer *t)
{
	struct origin *o = t->origin;
	struct wire *w = &t->wire;
	struct origin_conn *c = w->conn;
	bool keep = t->complete && w->keep && request_over(t) && !w->deaf;

	w->conn = NULL;
	if (c && keep && o->options->origin_idle && !o->closing)
		pool_give(c);
	else if (c)
		pool_drop(c);
	net_poll_free(w->poll);
	w->poll = NULL;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->head_at = w->out_at = w->scanned = 0;
	w->deaf = w->cut = w->keep = false;
	buf_reset(&w->out);
	buf_reset(&w->in);
}
