/*
 * Upgrade (RFC 9110 §7.8): the stream after a 101. On a plain connection it is the socket, and what came
 * with the head goes before it; under TLS it works through the transfer's handle, and is over when the
 * room is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "origin-private.h"

#define UPGRADE_MAGIC 0x6f727570U

struct upgrade {
	uint32_t magic;
	bool tls;
	int fd; /* TLS: a duplicate of libcurl's */
	struct origin_transfer *t; /* TLS; NULL: the origin is gone, the stream is not */
	size_t at, len;            /* of `rest` */
	char rest[];
};

void upgrade_free(struct origin_transfer *t)
{
	struct upgrade *up = t->up;

	t->up = NULL;
	if (!up)
		return;
	check_magic(up, UPGRADE_MAGIC);
	up->t = NULL;
}

static ssize_t result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? LARDER_EAGAIN
	                                                                 : LARDER_ECLOSED;
}

static ssize_t stream_read(void *arg, void *dst, size_t room)
{
	struct upgrade *up = arg;
	size_t n = up->len - up->at;

	check_magic(up, UPGRADE_MAGIC);
	if (n) {
		n = n < room ? n : room;
		memcpy(dst, up->rest + up->at, n);
		up->at += n;
		return (ssize_t)n;
	}
	if (!up->tls)
		return result(recv(up->fd, dst, room, 0));
	return up->t ? multi_receive(up->t, dst, room) : LARDER_ECLOSED;
}

static ssize_t stream_write(void *arg, const void *src, size_t len)
{
	struct upgrade *up = arg;

	check_magic(up, UPGRADE_MAGIC);
	if (!up->tls)
		return result(send(up->fd, src, len, MSG_NOSIGNAL));
	return up->t ? multi_transmit(up->t, src, len) : LARDER_ECLOSED;
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
	close(up->fd);
	up->magic = 0;
	free(up);
}

static const struct net_stream_ops STREAM = {stream_read, stream_write, stream_shutdown,
                                             stream_close};

/* Moves the connection out of the transfer. */
static int take_descriptor(struct origin_transfer *t)
{
	struct wire *w = &t->wire;
	struct origin_conn *c = w->conn;
	int fd = w->fd;

	if (c) {
		w->conn = NULL;
		return pool_detach(c);
	}
	net_poll_free(w->poll);
	w->poll = NULL;
	w->fd = -1;
	return fd;
}

bool upgrade_switch(struct origin_transfer *t, const struct http_head *head)
{
	struct view rest = t->wire.rest;
	struct net_stream stream = {.fd = -1};
	struct upgrade *up = NULL;

	if (t->on_tls || rest.len) {
		up = malloc(sizeof(*up) + rest.len);
		if (!up) {
			failure_set(t, LARDER_ENOMEM, "proxy_internal_error", "Out of memory.");
			return false;
		}
		*up = (struct upgrade){.magic = UPGRADE_MAGIC, .tls = t->on_tls, .len = rest.len};
		if (rest.len)
			memcpy(up->rest, rest.ptr, rest.len);
		stream.ops = &STREAM;
		stream.arg = up;
	}
	stream.fd = take_descriptor(t);
	if (up)
		up->fd = stream.fd;
	t->finished = true;
	net_timer_stop(&t->timer);
	if (up && up->tls) {
		up->t = t;
		t->up = up;
		t->state = STATE_STREAM;
	}
	t->info.response_time = net_loop_wall_s(t->origin->loop);
	t->h.switched(t->arg, head, stream, &t->info);
	return false;
}
