/*
 * Upgrade (RFC 9110 §7.8). libcurl gives no way to write after a 101, so it only connects (TLS
 * included); the request goes out and the answer comes in through curl_easy_send and
 * curl_easy_recv. What is not a 101 is delivered as any other answer; a 101 makes a stream.
 *
 * The descriptor is duplicated: libcurl watches, and will close, its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "origin-private.h"

#define UPGRADE_MAGIC 0x6f727570U
#define IN_MAX        (64UL * 1024)

struct upgrade {
	uint32_t magic;
	struct origin_transfer *t; /* NULL: the origin is gone, the stream is not */
	int fd;
	bool handed; /* the stream's user frees this */
	struct net_poll *poll;
	struct buf out;
	size_t written;
	size_t at, len; /* of what was read, the part not used yet */
	char in[IN_MAX];
};

static void release(struct upgrade *up)
{
	net_poll_free(up->poll);
	if (up->fd >= 0)
		close(up->fd);
	buf_fini(&up->out);
	up->magic = 0;
	free(up);
}

void upgrade_free(struct origin_transfer *t)
{
	struct upgrade *up = t->up;

	t->up = NULL;
	if (!up)
		return;
	check_magic(up, UPGRADE_MAGIC);
	up->t = NULL;
	if (!up->handed)
		release(up);
}

/* > 0 bytes, 0 at the end, LARDER_EAGAIN, LARDER_ECLOSED. */
static ssize_t receive(struct upgrade *up, void *dst, size_t room)
{
	size_t n = 0;
	CURLcode code = curl_easy_recv(up->t->easy, dst, room, &n);

	if (code == CURLE_AGAIN)
		return LARDER_EAGAIN;
	return code == CURLE_OK ? (ssize_t)n : LARDER_ECLOSED;
}

static ssize_t transmit(struct upgrade *up, const void *src, size_t len)
{
	size_t n = 0;
	CURLcode code = curl_easy_send(up->t->easy, src, len, &n);

	if (code == CURLE_AGAIN || (code == CURLE_OK && n == 0))
		return LARDER_EAGAIN;
	return code == CURLE_OK ? (ssize_t)n : LARDER_ECLOSED;
}

/* ---- The stream after a 101 ---- */

static ssize_t stream_read(void *arg, void *dst, size_t room)
{
	struct upgrade *up = arg;
	size_t n = up->len - up->at;

	check_magic(up, UPGRADE_MAGIC);
	if (n) {
		n = n < room ? n : room;
		memcpy(dst, up->in + up->at, n);
		up->at += n;
		return (ssize_t)n;
	}
	return up->t ? receive(up, dst, room) : LARDER_ECLOSED;
}

static ssize_t stream_write(void *arg, const void *src, size_t len)
{
	struct upgrade *up = arg;

	check_magic(up, UPGRADE_MAGIC);
	return up->t ? transmit(up, src, len) : LARDER_ECLOSED;
}

/* Under TLS without its closing alert, which libcurl cannot send alone: the peer learns of the end.
 */
static void stream_shutdown(void *arg)
{
	struct upgrade *up = arg;

	check_magic(up, UPGRADE_MAGIC);
	shutdown(up->fd, SHUT_WR);
}

static void stream_close(void *arg)
{
	struct upgrade *up = arg;
	struct origin_transfer *t = up->t;

	check_magic(up, UPGRADE_MAGIC);
	if (t) {
		t->up = NULL;
		t->cancelled = true;
		transfer_queue(t);
	}
	release(up);
}

static const struct net_stream_ops STREAM = {stream_read, stream_write, stream_shutdown,
                                             stream_close};

bool upgrade_switch(struct origin_transfer *t, const struct http_head *head)
{
	struct upgrade *up = t->up;
	struct net_stream stream = {.fd = up->fd};

	t->finished = true;
	net_timer_stop(&t->timer);
	net_poll_free(up->poll);
	up->poll = NULL;
	if (t->on_tls || up->at < up->len) {
		t->state = STATE_STREAM;
		up->handed = true;
		stream.ops = &STREAM;
		stream.arg = up;
	} else {
		up->fd = -1;
	}
	t->info.response_time = net_loop_wall_s(t->origin->loop);
	t->h.switched(t->arg, head, stream, &t->info);
	return false;
}

/* ---- Request and answer ---- */

/* Length of the head at the start of `v` with its empty line, 0 if that has not come. */
static size_t head_length(struct view v)
{
	size_t line = 0;

	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] != '\n')
			continue;
		if (i == line || (i == line + 1 && v.ptr[line] == '\r'))
			return i + 1;
		line = i + 1;
	}
	return 0;
}

/* One head out of what was read. 1: done, 0: more is needed, LARDER_ECLOSED: stop. */
static int take_head(struct origin_transfer *t)
{
	struct upgrade *up = t->up;
	size_t n = head_length(view_make(up->in + up->at, up->len - up->at));
	bool ok;

	if (!n && up->len - up->at < t->origin->options->response_head_max && up->len < IN_MAX)
		return 0;
	buf_reset(&t->head);
	if (!n || buf_add(&t->head, up->in + up->at, n)) {
		failure_set(t, LARDER_EPROTO, "http_response_header_section_size",
		            "The response head is too large.");
		return LARDER_ECLOSED;
	}
	up->at += n;
	ok = response_head(t);
	return ok ? 1 : LARDER_ECLOSED;
}

/* Works off what was read. False: it is over, one way or the other. */
static bool consume(struct origin_transfer *t)
{
	struct upgrade *up = t->up;
	struct view data;
	bool paused = false;

	while (!t->head_done) {
		int r = take_head(t);

		if (r <= 0)
			return r == 0;
	}
	data = view_make(up->in + up->at, up->len - up->at);
	if (t->framing == HTTP_BODY_LENGTH && data.len > t->left)
		data.len = t->left;
	if (!response_whole(t) && !response_body(t, data, &paused))
		return false;
	t->recv_paused = paused;
	if (!paused)
		up->at = up->len = 0;
	if (!paused && response_whole(t)) {
		t->complete = true;
		return false;
	}
	return true;
}

/* The end of a transfer that became no stream; one that did is not ours to touch. */
static void conclude(struct origin_transfer *t)
{
	if (t->state == STATE_UPGRADE)
		transfer_finish(t);
}

static bool write_request(struct origin_transfer *t)
{
	struct upgrade *up = t->up;

	while (up->written < up->out.len) {
		ssize_t n = transmit(up, up->out.data + up->written, up->out.len - up->written);

		if (n == LARDER_EAGAIN)
			return true;
		if (n < 0) {
			failure_set(t, LARDER_ECLOSED, "connection_terminated",
			            "The origin closed the connection before it had the request.");
			return false;
		}
		up->written += (size_t)n;
	}
	return true;
}

/* 1: bytes were read, 0: none now, LARDER_ECLOSED: the end. */
static int read_more(struct origin_transfer *t)
{
	struct upgrade *up = t->up;
	ssize_t n;

	/* An unfinished head is moved to the front, to have all the room. */
	if (up->at) {
		memmove(up->in, up->in + up->at, up->len - up->at);
		up->len -= up->at;
		up->at = 0;
	}
	n = receive(up, up->in + up->len, IN_MAX - up->len);
	if (n == LARDER_EAGAIN)
		return 0;
	if (n <= 0) {
		if (n < 0)
			failure_set(t, LARDER_ECLOSED,
			            t->head_done ? "http_response_incomplete"
			                         : "connection_terminated",
			            "The connection to the origin broke.");
		else
			response_end(t);
		t->complete = !t->failure.err;
		return LARDER_ECLOSED;
	}
	up->len += (size_t)n;
	return 1;
}

static void run(struct origin_transfer *t)
{
	struct upgrade *up = t->up;
	int r = 1;

	if (!write_request(t)) {
		conclude(t);
		return;
	}
	while (r > 0 && !t->recv_paused) {
		r = read_more(t);
		if (r < 0 || (r > 0 && !consume(t))) {
			conclude(t);
			return;
		}
	}
	net_poll_set(up->poll,
	             (t->recv_paused ? 0 : NET_READ) | (up->written < up->out.len ? NET_WRITE : 0));
}

static void on_ready(void *arg, int events)
{
	struct origin_transfer *t = arg;

	check_magic(t, TRANSFER_MAGIC);
	if (!t->cancelled)
		run(t);
}

void upgrade_resume(struct origin_transfer *t)
{
	if (!t->recv_paused)
		return;
	t->recv_paused = t->recv_wanted = false;
	transfer_phase(t, PHASE_BODY, t->origin->options->stall_timeout);
	if (!consume(t))
		conclude(t);
	else
		run(t);
}

static int write_head(struct origin_transfer *t)
{
	struct buf *b = &t->up->out;

	buf_printf(b, "%s %s HTTP/1.1\r\n", t->verb, t->target);
	if (t->nodes[NODES - 2].next)
		buf_printf(b, "%s\r\n", t->nodes[NODES - 1].data);
	return buf_printf(b, "Connection: upgrade\r\nUpgrade: %s\r\n\r\n", t->upgrade);
}

/* libcurl has connected. */
void upgrade_begin(struct origin_transfer *t)
{
	struct upgrade *up = malloc(sizeof(*up));
	curl_socket_t fd = CURL_SOCKET_BAD;

	t->state = STATE_UPGRADE;
	if (!up)
		goto out;
	up->magic = UPGRADE_MAGIC;
	up->t = t;
	up->handed = false;
	up->poll = NULL;
	up->written = up->at = up->len = 0;
	up->fd = -1;
	buf_init(&up->out, REQUEST_MAX);
	t->up = up;
	curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd == CURL_SOCKET_BAD || write_head(t))
		goto out;
	up->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (up->fd < 0)
		goto out;
	up->poll = net_poll_new(t->origin->loop, up->fd, on_ready, t);
	if (!up->poll)
		goto out;
	run(t);
	return;
out:
	failure_set(t, LARDER_ENOMEM, "proxy_internal_error", "The upgrade could not be set up.");
	transfer_finish(t);
}
