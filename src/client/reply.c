/* The exchange's answer as HTTP/1.1 (RFC 9112). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "client-private.h"

static struct iovec stretch(struct view v)
{
	return (struct iovec){(char *)v.ptr, v.len};
}

/* ---- Heads ---- */

static bool may_keep(const struct session *s, const struct exchange_reply *r)
{
	const struct client_options *o = s->client->options;
	const struct busy *b = s->busy;

	if (r->close || s->client->draining || !http_keeps_alive(&b->head))
		return false;
	if (o->keepalive_requests && s->requests >= (uint64_t)o->keepalive_requests)
		return false;
	/* Who did not wait for the answer has sent bytes of the tunnel, which may be anybody's: they
	 * must not be taken for requests (RFC 9110 §9.3.6). */
	if (b->head.method == HTTP_METHOD_CONNECT)
		return false;
	/* A body that is not all here may never come. */
	return b->body_done || (b->body == BODY_LENGTH && b->body_left <= span_left(&b->tail));
}

static bool is_tunnel(const struct session *s, const struct exchange_reply *r)
{
	return r->status == 101 ||
	       (s->busy->head.method == HTTP_METHOD_CONNECT && r->status / 100 == 2);
}

/* Decides how the body is framed and whether the connection stays (RFC 9112 §6.3, §9.3); the lines
 * that say so, with the blank one, into dst. */
static size_t frame(struct session *s, const struct exchange_reply *r, char *dst, size_t room)
{
	struct busy *b = s->busy;
	bool unknown = !r->no_body && r->length == HTTP_LENGTH_UNKNOWN;
	char length[48] = "";

	/* After 101 the head's last line so far is Upgrade's name and value. */
	if (is_tunnel(s, r))
		return (size_t)snprintf(dst, room, "%s\r\n",
		                        r->status == 101 ? "\r\nConnection: upgrade\r\n" : "");
	if (unknown && r->complete) {
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", r->body.len);
		unknown = false;
	}
	b->chunks = unknown && b->head.minor >= 1;
	b->by_close = unknown && !b->chunks;
	b->keep = may_keep(s, r) && !b->by_close;
	/* The usual answer on a connection that stays needs no line at all. */
	if (!length[0] && !b->chunks && b->keep && b->head.minor >= 1) {
		memcpy(dst, "\r\n", 2);
		return 2;
	}
	return (size_t)snprintf(dst, room, "%s%s%s\r\n", length,
	                        b->chunks ? "Transfer-Encoding: chunked\r\n" : "",
	                        !b->keep             ? "Connection: close\r\n"
	                        : b->head.minor == 0 ? "Connection: keep-alive\r\n"
	                                             : "");
}

static void op_interim(void *c, const struct exchange_reply *r)
{
	struct session *s = c;
	struct busy *b = s->busy;
	struct iovec iov[5];
	int n = 1;

	check_magic(s, SESSION_MAGIC);
	/* RFC 9110 §15.2: an HTTP/1.0 client must not see them. */
	if (b->head.minor == 0 || b->replied || s->broken)
		return;
	/* They are advice: none for a client that takes nothing. */
	if (span_left(&b->out) > PIECE_MAX)
		return;
	if (r->status == 100) {
		if (!b->req.expects_continue)
			return;
		b->continue_waits = false;
	}
	for (unsigned i = 0; i < r->nhead; i++)
		iov[n++] = stretch(r->head[i]);
	iov[n++] = stretch(V("\r\n"));
	output_put(s, iov, n);
	session_soon(s);
}

/* The answer is complete, and something of the next request is there already. */
static bool pipelines(const struct busy *b)
{
	return b->ended && b->keep && b->body == BODY_NONE && span_left(&b->in) > b->head_len;
}

static void op_reply(void *c, const struct exchange_reply *r)
{
	struct session *s = c;
	struct busy *b = s->busy;
	struct view body = r->no_body ? view_make(NULL, 0) : r->body;
	char lines[128], chunk[24];
	struct iovec iov[10];
	size_t nlines;
	int n = 1;

	check_magic(s, SESSION_MAGIC);
	check(!b->replied && r->nhead <= ARRAY_LEN(r->head));
	b->replied = true;
	b->ended = r->complete || r->no_body;
	b->length = b->out_left = r->no_body ? 0 : r->length;
	nlines = frame(s, r, lines, sizeof(lines));
	check(nlines < sizeof(lines));
	for (unsigned i = 0; i < r->nhead; i++)
		iov[n++] = stretch(r->head[i]);
	if (r->status == 101) {
		iov[n++] = stretch(V("Upgrade: "));
		iov[n++] = stretch(r->upgrade);
	}
	iov[n++] = (struct iovec){lines, nlines};
	if (body.len) {
		if (b->chunks)
			iov[n++] = (struct iovec){chunk, http_chunk_head(body.len, chunk)};
		iov[n++] = stretch(body);
		if (b->chunks)
			iov[n++] = stretch(V("\r\n"));
		b->sent.body_bytes += body.len;
		if (b->length != HTTP_LENGTH_UNKNOWN)
			b->out_left -= body.len < b->out_left ? body.len : b->out_left;
	}
	if (s->broken)
		return;
	/* Without body the head waits for the first of it, to leave in the same segment. */
	if (!b->ended && !body.len)
		output_keep(s, iov, n);
	else if (!pipelines(b) || !output_gather(s, iov, n))
		output_put(s, iov, n);
	session_soon(s);
}

/* ---- Bodies ---- */

/* May something be sent now? Otherwise the exchange is told when it may (or that it is over). */
static bool has_room(struct session *s)
{
	struct busy *b = s->busy;

	check(b->replied && !b->ended);
	if (!s->blocked && s->turn < TURN_MAX)
		return true;
	b->wants_room = true;
	/* Also when it is blocked: outside its turn nobody else sees to it that the socket is
	 * watched. */
	session_soon(s);
	return false;
}

/* The bytes that may go: none once the body is longer than promised. */
static size_t take(struct busy *b, size_t n)
{
	if (b->length == HTTP_LENGTH_UNKNOWN)
		return n;
	if (n > b->out_left) {
		/* RFC 9112 §6.3: more than was promised would be taken for the next answer. */
		b->aborted = true;
		return 0;
	}
	return n;
}

static void took(struct busy *b, size_t n)
{
	b->sent.body_bytes += n;
	if (b->length != HTTP_LENGTH_UNKNOWN)
		b->out_left -= n;
}

static size_t send_plain(struct session *s, struct view data)
{
	struct span *out = &s->busy->out;
	size_t before = span_left(out), sent;
	struct iovec iov[2] = {{out->data + out->at, before}, stretch(data)};

	/* Others get their turn: a socket that is read while it is written takes everything. */
	if (data.len > TURN_MAX - s->turn)
		iov[1].iov_len = TURN_MAX - s->turn;
	sent = output_raw(s, iov, 2, 0);
	if (sent < before) {
		out->at += sent;
		return 0;
	}
	out->at = out->len = 0;
	took(s->busy, sent - before);
	return sent - before;
}

/* A chunk is sent or copied whole: its head has promised its length. */
static size_t send_chunk(struct session *s, struct view data)
{
	char head[24];
	struct iovec iov[4];

	if (data.len > PIECE_MAX)
		data.len = PIECE_MAX;
	iov[1] = (struct iovec){head, http_chunk_head(data.len, head)};
	iov[2] = stretch(data);
	iov[3] = stretch(V("\r\n"));
	output_put(s, iov, 4);
	took(s->busy, data.len);
	return data.len;
}

static size_t op_data(void *c, struct view data)
{
	struct session *s = c;
	struct busy *b = s->busy;
	size_t done = 0, len;

	check_magic(s, SESSION_MAGIC);
	len = take(b, data.len);
	while (done < len && !s->broken) {
		struct view rest = view_make(data.ptr + done, len - done);

		if (!has_room(s))
			return done;
		done += b->chunks ? send_chunk(s, rest) : send_plain(s, rest);
	}
	/* What was copied for a full socket needs watching, too. */
	if (s->blocked || s->broken || b->aborted)
		session_soon(s);
	return done;
}

/* By way of memory: chunks. */
static size_t copy_file(struct session *s, int fd, uint64_t offset, size_t len)
{
	size_t done = 0;

	while (done < len && !s->broken && !s->busy->aborted) {
		size_t want = len - done < PIECE_MAX ? len - done : PIECE_MAX, sent;
		ssize_t n;

		if (!has_room(s))
			break;
		n = pread(fd, s->client->scratch, want, (off_t)(offset + done));
		if (n <= 0) {
			s->busy->aborted = true;
			break;
		}
		sent = op_data(s, view_make(s->client->scratch, (size_t)n));
		done += sent;
		if (sent < (size_t)n)
			break;
	}
	return done;
}

static size_t send_file(struct session *s, int fd, uint64_t offset, size_t len)
{
	struct busy *b = s->busy;
	size_t done = 0;

	if (span_left(&b->out) && has_room(s))
		output_flush(s, true);
	while (done < len && !s->broken && !b->aborted && has_room(s)) {
		size_t want = len - done < TURN_MAX - s->turn ? len - done : TURN_MAX - s->turn;
		off_t from = (off_t)(offset + done);
		ssize_t n = sendfile(s->fd, fd, &from, want);

		if (n > 0) {
			output_count(s, (size_t)n);
			took(b, (size_t)n);
			done += (size_t)n;
			continue;
		}
		/* 0: the file is shorter than it was said to be. */
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			s->blocked = true;
		else if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			s->broken = true;
		else
			b->aborted = true;
	}
	return done;
}

static bool op_prefers_memory(void *c)
{
	const struct session *s = c;

	check_magic(s, SESSION_MAGIC);
	return s->client->options->send_files == SEND_MAP;
}

static size_t op_file(void *c, int fd, uint64_t offset, uint64_t len)
{
	struct session *s = c;
	struct busy *b = s->busy;
	size_t want, done;

	check_magic(s, SESSION_MAGIC);
	want = take(b, len < SIZE_MAX ? (size_t)len : SIZE_MAX);
	if (offset > INT64_MAX - want) {
		b->aborted = true;
		session_soon(s);
		return 0;
	}
	if (b->chunks)
		done = copy_file(s, fd, offset, want);
	else
		done = send_file(s, fd, offset, want);
	if (s->broken || b->aborted)
		session_soon(s);
	return done;
}

static void op_end(void *c, struct view trailers)
{
	struct session *s = c;
	struct busy *b = s->busy;
	struct iovec iov[4];

	check_magic(s, SESSION_MAGIC);
	check(b->replied);
	b->ended = true;
	/* RFC 9112 §8: a body that is shorter than promised must not look complete. */
	if (b->length != HTTP_LENGTH_UNKNOWN && b->out_left)
		b->aborted = true;
	if (b->chunks && !b->aborted && !s->broken) {
		/* RFC 9110 §6.5.1: trailers are for those who asked for them. */
		bool wanted = http_list_has(&b->head, HTTP_TE, V("trailers"));

		iov[1] = stretch(V("0\r\n"));
		iov[2] = stretch(wanted ? trailers : view_make(NULL, 0));
		iov[3] = stretch(V("\r\n"));
		output_put(s, iov, 4);
	}
	session_soon(s);
}

static void op_abort(void *c)
{
	struct session *s = c;

	check_magic(s, SESSION_MAGIC);
	s->busy->aborted = true;
	session_soon(s);
}

static void op_hold_body(void *c, bool hold)
{
	struct session *s = c;

	check_magic(s, SESSION_MAGIC);
	s->busy->hold = hold;
	if (!hold)
		session_soon(s);
}

static void op_detach(void *c)
{
	struct session *s = c;

	check_magic(s, SESSION_MAGIC);
	check(s->busy->replied && s->busy->ended);
	s->busy->detach = true;
	session_soon(s);
}

const struct exchange_client_ops session_ops = {
        .interim = op_interim,
        .reply = op_reply,
        .data = op_data,
        .prefers_memory = op_prefers_memory,
        .file = op_file,
        .end = op_end,
        .abort = op_abort,
        .hold_body = op_hold_body,
        .detach = op_detach,
};
