/*
 * Two streams joined. Each direction holds at most one load at a time: in a pipe where both ends
 * are plain sockets (spliced), in memory otherwise. Nothing is held while a direction is silent,
 * so an idle tunnel costs its two descriptors and one small struct.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "loop-private.h"
#include "net/stream.h"

#define RELAY_MAGIC 0x6e657472U
#define LOAD_MAX    (64UL * 1024)
#define ROUNDS_MAX  16 /* loads a direction moves before others get their turn */

struct end {
	struct net_stream stream;
	struct net_poll *poll;
};

/* One direction. */
struct half {
	struct end *from, *to;
	bool splices;
	bool ended; /* `from` has no more */
	bool shut;  /* and `to` was told so */
	int pipe[2];
	size_t piped;
	char *mem;
	size_t mem_at, mem_len;
	uint64_t total;
};

struct net_relay {
	uint32_t magic;
	int err;
	struct net_loop *loop;
	struct end ends[2];
	struct half halves[2];
	struct net_timer idle;
	struct net_task again;
	uint64_t idle_ms, moved_ms;
	void (*done)(void *arg, const struct net_relay_result *r);
	void *arg;
};

static int io_error(void)
{
	int err = larder_from_errno(errno);

	return err == LARDER_EAGAIN || err == LARDER_ECLOSED || err == LARDER_ETIMEOUT ? err
	                                                                               : LARDER_EIO;
}

static ssize_t stream_read(struct net_stream *s, void *dst, size_t room)
{
	ssize_t n;

	if (s->ops)
		return s->ops->read(s->arg, dst, room);
	n = recv(s->fd, dst, room, MSG_DONTWAIT);
	return n < 0 ? io_error() : n;
}

static ssize_t stream_write(struct net_stream *s, const void *src, size_t len)
{
	ssize_t n;

	if (s->ops)
		return s->ops->write(s->arg, src, len);
	n = send(s->fd, src, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? io_error() : n;
}

static void stream_shutdown(struct net_stream *s)
{
	if (s->ops)
		s->ops->shutdown(s->arg);
	else
		shutdown(s->fd, SHUT_WR);
}

static void stream_close(struct net_stream *s)
{
	if (s->ops)
		s->ops->close(s->arg);
	else
		close(s->fd);
}

/* ---- Pipes, kept by the loop while nobody uses them ---- */

static bool pipe_take(struct net_loop *l, struct half *h)
{
	if (h->pipe[0] >= 0)
		return true;
	if (l->nspare_pipes) {
		memcpy(h->pipe, l->spare_pipes[--l->nspare_pipes], sizeof(h->pipe));
		return true;
	}
	if (pipe2(h->pipe, O_NONBLOCK | O_CLOEXEC) == 0)
		return true;
	h->pipe[0] = h->pipe[1] = -1;
	return false;
}

static void pipe_give(struct net_loop *l, struct half *h)
{
	if (h->pipe[0] < 0)
		return;
	if (!h->piped && l->nspare_pipes < ARRAY_LEN(l->spare_pipes)) {
		memcpy(l->spare_pipes[l->nspare_pipes++], h->pipe, sizeof(h->pipe));
	} else {
		close(h->pipe[0]);
		close(h->pipe[1]);
	}
	h->pipe[0] = h->pipe[1] = -1;
}

void loop_pipes_fini(struct net_loop *l)
{
	for (unsigned i = 0; i < l->nspare_pipes; i++) {
		close(l->spare_pipes[i][0]);
		close(l->spare_pipes[i][1]);
	}
	l->nspare_pipes = 0;
}

/* ---- One direction ---- */

static size_t held(const struct half *h)
{
	return h->piped + h->mem_len;
}

static int keep(struct half *h, const char *data, size_t len)
{
	h->mem = malloc(len);
	if (!h->mem)
		return LARDER_ENOMEM;
	memcpy(h->mem, data, len);
	h->mem_at = 0;
	h->mem_len = len;
	return 0;
}

/* Writes what is held. 0 when nothing is left, LARDER_EAGAIN, or broken. */
static int push(struct half *h)
{
	while (h->mem_len) {
		ssize_t n = stream_write(&h->to->stream, h->mem + h->mem_at, h->mem_len);

		if (n < 0)
			return (int)n;
		h->mem_at += (size_t)n;
		h->mem_len -= (size_t)n;
		h->total += (size_t)n;
	}
	free(h->mem);
	h->mem = NULL;
	while (h->piped) {
		ssize_t n = splice(h->pipe[0], NULL, h->to->stream.fd, NULL, h->piped,
		                   SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

		if (n <= 0)
			return n ? io_error() : LARDER_EIO;
		h->piped -= (size_t)n;
		h->total += (size_t)n;
	}
	return 0;
}

/* One load by memory. Bytes moved on or kept, 0 at the end, negative as stream_read. */
static ssize_t pull_copying(struct net_loop *l, struct half *h)
{
	ssize_t n, put = 0;
	int err;

	if (!l->scratch)
		l->scratch = malloc(LOAD_MAX);
	if (!l->scratch)
		return LARDER_ENOMEM;
	n = stream_read(&h->from->stream, l->scratch, LOAD_MAX);
	if (n <= 0)
		return n;
	while (put < n) {
		ssize_t w = stream_write(&h->to->stream, l->scratch + put, (size_t)(n - put));

		if (w == LARDER_EAGAIN)
			break;
		if (w < 0)
			return w;
		put += w;
		h->total += (size_t)w;
	}
	err = put < n ? keep(h, l->scratch + put, (size_t)(n - put)) : 0;
	return err ? err : n;
}

static ssize_t pull(struct net_loop *l, struct half *h)
{
	ssize_t n;

	if (!h->splices || !pipe_take(l, h))
		return pull_copying(l, h);
	n = splice(h->from->stream.fd, NULL, h->pipe[1], NULL, LOAD_MAX,
	           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n < 0 && errno == EINVAL) {
		h->splices = false;
		return pull_copying(l, h);
	}
	if (n < 0)
		return io_error();
	h->piped = (size_t)n;
	return n;
}

/* Moves what can be moved now. 0: waiting or ended; 1: there may be more; negative: broken. */
static int pump(struct net_relay *r, struct half *h)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		uint64_t before = h->total;
		ssize_t n;
		int err;

		err = push(h);
		if (h->total != before)
			r->moved_ms = net_loop_now_ms(r->loop);
		if (err)
			return err == LARDER_EAGAIN ? 0 : err;
		if (h->ended) {
			if (!h->shut)
				stream_shutdown(&h->to->stream);
			h->shut = true;
			return 0;
		}
		n = pull(r->loop, h);
		if (n < 0)
			return n == LARDER_EAGAIN ? 0 : (int)n;
		h->ended = n == 0;
		r->moved_ms = net_loop_now_ms(r->loop);
	}
	return 1;
}

/* ---- The pair ---- */

static void finish(struct net_relay *r)
{
	struct net_relay_result result = {r->halves[0].total, r->halves[1].total, r->err};

	net_timer_stop(&r->idle);
	net_task_cancel(r->loop, &r->again);
	for (int i = 0; i < 2; i++) {
		net_poll_free(r->ends[i].poll);
		stream_close(&r->ends[i].stream);
		pipe_give(r->loop, &r->halves[i]);
		free(r->halves[i].mem);
	}
	r->magic = 0;
	r->done(r->arg, &result);
	free(r);
}

static int wanted(const struct half *out, const struct half *in)
{
	int events = 0;

	if (!out->ended && !held(out))
		events |= NET_READ;
	if (held(in))
		events |= NET_WRITE;
	/* One that has ended its side may still break before the other side has. */
	return !events && out->ended && !in->shut ? NET_HUP : events;
}

static void run(struct net_relay *r)
{
	struct half *h = r->halves;

	for (int i = 0; i < 2 && !r->err; i++) {
		int more = pump(r, &h[i]);

		if (more < 0)
			r->err = more;
		else if (more)
			net_task_post(r->loop, &r->again);
		if (!h[i].piped)
			pipe_give(r->loop, &h[i]);
	}
	if (r->err || (h[0].shut && h[1].shut)) {
		finish(r);
		return;
	}
	net_poll_set(r->ends[0].poll, wanted(&h[0], &h[1]));
	net_poll_set(r->ends[1].poll, wanted(&h[1], &h[0]));
}

static void on_end(void *arg, int events)
{
	struct net_relay *r = arg;

	check_magic(r, RELAY_MAGIC);
	if (events & NET_HUP)
		r->err = LARDER_ECLOSED;
	run(r);
}

static void on_again(struct net_task *t)
{
	run(container_of(t, struct net_relay, again));
}

static void on_idle(struct net_timer *t)
{
	struct net_relay *r = container_of(t, struct net_relay, idle);
	uint64_t silent = net_loop_now_ms(r->loop) - r->moved_ms;

	if (silent < r->idle_ms) {
		net_timer_set(t, r->idle_ms - silent);
		return;
	}
	r->err = LARDER_ETIMEOUT;
	finish(r);
}

static void set_up(struct net_relay *r, struct net_stream a, struct net_stream b)
{
	r->ends[0].stream = a;
	r->ends[1].stream = b;
	for (int i = 0; i < 2; i++)
		r->halves[i] = (struct half){.from = &r->ends[i],
		                             .to = &r->ends[!i],
		                             .splices = !a.ops && !b.ops,
		                             .pipe = {-1, -1}};
	net_timer_init(&r->idle, r->loop, on_idle);
	net_task_init(&r->again, on_again);
}

struct net_relay *net_relay_new(struct net_loop *l, struct net_stream a, struct net_stream b,
                                struct view first, uint64_t idle_ms,
                                void (*done)(void *arg, const struct net_relay_result *r),
                                void *arg)
{
	struct net_relay *r = calloc(1, sizeof(*r));

	if (!r)
		goto out;
	*r = (struct net_relay){.magic = RELAY_MAGIC, .loop = l, .done = done, .arg = arg};
	set_up(r, a, b);
	r->idle_ms = idle_ms;
	r->moved_ms = net_loop_now_ms(l);
	r->ends[0].poll = net_poll_new(l, a.fd, on_end, r);
	r->ends[1].poll = net_poll_new(l, b.fd, on_end, r);
	if (!r->ends[0].poll || !r->ends[1].poll)
		goto out;
	if (first.len && keep(&r->halves[0], first.ptr, first.len))
		goto out;
	net_timer_set(&r->idle, idle_ms);
	net_task_post(l, &r->again);
	return r;
out:
	if (r) {
		net_poll_free(r->ends[0].poll);
		net_poll_free(r->ends[1].poll);
	}
	free(r);
	stream_close(&a);
	stream_close(&b);
	return NULL;
}

void net_relay_abort(struct net_relay *r)
{
	check_magic(r, RELAY_MAGIC);
	r->err = LARDER_ECLOSED;
	finish(r);
}

void net_relay_bytes(const struct net_relay *r, uint64_t *a_to_b, uint64_t *b_to_a)
{
	check_magic(r, RELAY_MAGIC);
	*a_to_b = r->halves[0].total;
	*b_to_a = r->halves[1].total;
}
