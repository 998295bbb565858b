/* Bytes out: one system call where the socket takes all, copies of the rest where it does not. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "client-private.h"
#include "log/log.h"

#define OUT_MAX (32UL * 1024 * 1024) /* a whole answer out of memory, at most */

static void count_own(struct busy *b, size_t n)
{
	if (!n)
		return;
	if (!b->sent.first_byte_us && log_access_wanted())
		b->sent.first_byte_us = clock_mono_us();
	b->sent.bytes += n;
}

void output_count(struct session *s, size_t n)
{
	struct client *c = s->client;
	struct busy *b = s->busy;
	size_t earlier = n < b->gathered ? n : b->gathered;

	if (!n)
		return;
	count_own(b, n - earlier);
	b->gathered -= earlier;
	s->turn = n > UINT32_MAX - s->turn ? UINT32_MAX : s->turn + (uint32_t)n;
	s->moved_out_ms = net_loop_now_ms(c->loop);
	s->rate_out.bytes += n;
	stat_add(&c->stats->bytes_out, n);
}

/* One call. Returns the bytes that went; fewer than given: the socket is full or the session
 * broken. */
size_t output_raw(struct session *s, struct iovec *iov, int n, int flags)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	size_t total = 0;
	ssize_t sent;

	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	if (!total)
		return 0;
	sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT | flags);
	if (sent < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS)
		s->broken = true;
	if (sent < (ssize_t)total)
		s->blocked = true;
	if (sent <= 0)
		return 0;
	output_count(s, (size_t)sent);
	return (size_t)sent;
}

static void release_out(struct span *out)
{
	out->at = out->len = 0;
}

void output_flush(struct session *s, bool more)
{
	struct span *out = &s->busy->out;
	struct iovec iov = {out->data + out->at, span_left(out)};

	out->at += output_raw(s, &iov, 1, more ? MSG_MORE : 0);
	if (!span_left(out))
		release_out(out);
}

static int make_room(struct span *out, size_t more)
{
	size_t left = span_left(out);

	if (out->cap - out->len >= more)
		return 0;
	if (out->at) {
		memmove(out->data, out->data + out->at, left);
		out->at = 0;
		out->len = left;
	}
	if (out->cap - out->len >= more)
		return 0;
	if (more > OUT_MAX - out->len)
		return LARDER_ELIMIT;
	return span_grow(out, out->len + more < 4096 ? 4096 : out->len + more);
}

/* Copies what stands behind the first `skip` bytes of the stretches. */
static void keep(struct session *s, const struct iovec *iov, int n, size_t skip)
{
	struct span *out = &s->busy->out;

	for (int i = 0; i < n && !s->broken; i++) {
		size_t len = iov[i].iov_len, from = skip < len ? skip : len;

		skip -= from;
		len -= from;
		if (!len)
			continue;
		if (make_room(out, len)) {
			s->broken = true;
			return;
		}
		memcpy(out->data + out->len, (char *)iov[i].iov_base + from, len);
		out->len += len;
	}
}

void output_put(struct session *s, struct iovec *iov, int n)
{
	struct span *out = &s->busy->out;
	size_t sent = 0, before = span_left(out);

	iov[0] = (struct iovec){out->data + out->at, before};
	if (!s->blocked)
		sent = output_raw(s, before ? iov : iov + 1, before ? n : n - 1, 0);
	out->at += sent < before ? sent : before;
	if (!span_left(out))
		release_out(out);
	if (s->blocked)
		keep(s, iov + 1, n - 1, sent > before ? sent - before : 0);
}

void output_keep(struct session *s, const struct iovec *iov, int n)
{
	keep(s, iov + 1, n - 1, 0);
}

bool output_gather(struct session *s, const struct iovec *iov, int n)
{
	struct busy *b = s->busy;
	size_t total = 0;

	for (int i = 1; i < n; i++)
		total += iov[i].iov_len;
	if (s->blocked || total > GATHER_ONE || total > OUT_KEEP - span_left(&b->out) ||
	    span_left(&b->out) != b->gathered)
		return false;
	keep(s, iov + 1, n - 1, 0);
	if (s->broken)
		return true;
	count_own(b, total);
	b->gathered += total;
	return true;
}
