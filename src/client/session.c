/* The life of a session. */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "client-private.h"

static void on_ready(void *arg, int events)
{
	struct session *s = arg;

	check_magic(s, SESSION_MAGIC);
	s->turn = 0;
	if (events & NET_HUP)
		s->broken = true;
	if (events & NET_WRITE)
		s->blocked = false;
	if (events & NET_READ && !s->broken)
		input_read(s);
	session_run(s);
}

static void on_task(struct net_task *t)
{
	struct session *s = container_of(t, struct session, task);

	check_magic(s, SESSION_MAGIC);
	s->turn = 0;
	session_run(s);
}

void session_soon(struct session *s)
{
	/* A call into the exchange is always followed by another step. */
	if (!s->depth)
		net_task_post(s->client->loop, &s->task);
}

/* ---- Birth and death ---- */

static struct session *take_spare(struct client *c)
{
	struct session *s = TAILQ_FIRST(&c->spare_sessions);

	if (!s)
		return calloc(1, sizeof(*s));
	TAILQ_REMOVE(&c->spare_sessions, s, link);
	c->nspare_sessions--;
	return s;
}

static void give_spare(struct session *s)
{
	struct client *c = s->client;

	if (c->nspare_sessions >= SPARE_MAX) {
		s->magic = 0;
		free(s);
		return;
	}
	*s = (struct session){0};
	TAILQ_INSERT_HEAD(&c->spare_sessions, s, link);
	c->nspare_sessions++;
}

void session_free_spares(struct client *c)
{
	struct session *s;

	while ((s = TAILQ_FIRST(&c->spare_sessions))) {
		TAILQ_REMOVE(&c->spare_sessions, s, link);
		free(s);
	}
}

static struct session *make(struct client *c, int fd, const struct exchange_listener *listener,
                            const struct addr *addr)
{
	struct session *s = take_spare(c);

	if (s)
		s->poll = net_poll_new(c->loop, fd, on_ready, s);
	if (!s || !s->poll) {
		free(s);
		close(fd);
		return NULL;
	}
	s->magic = SESSION_MAGIC;
	s->fd = fd;
	s->client = c;
	s->listener = listener;
	s->addr = *addr;
	s->since_ms = s->moved_in_ms = s->moved_out_ms = net_loop_now_ms(c->loop);
	net_timer_init(&s->timer, c->loop, limits_expired);
	net_task_init(&s->task, on_task);
	TAILQ_INSERT_TAIL(&c->sessions, s, link);
	return s;
}

void session_new(struct client *c, int fd, const struct exchange_listener *listener,
                 const struct addr *addr, struct peer *peer)
{
	struct session *s = make(c, fd, listener, addr);

	if (!s) {
		peer_give(peer);
		return;
	}
	s->peer = peer;
	s->counted = true;
	c->connections++;
	stat_add(&c->stats->connections, 1);
	/* The request is there most of the time: one answered at once need not be watched at all. */
	input_read(s);
	session_run(s);
}

void session_turn_away(struct client *c, int fd, const struct exchange_listener *listener,
                       const struct addr *addr)
{
	static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n"
	                             "Content-Length: 0\r\nConnection: close\r\n\r\n";
	struct session *s;

	/* A fresh socket takes these few bytes; one that does not has lost little. */
	if (send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
	    c->turned_away >= TURNED_AWAY_MAX) {
		close(fd);
		return;
	}
	shutdown(fd, SHUT_WR);
	s = make(c, fd, listener, addr);
	if (!s)
		return;
	c->turned_away++;
	s->state = SESSION_LINGER;
	session_run(s);
}

static void set_idle(struct session *s, bool idle)
{
	if (s->is_idle == idle)
		return;
	s->is_idle = idle;
	if (idle)
		stat_add(&s->client->stats->idle, 1);
	else
		stat_sub(&s->client->stats->idle, 1);
}

static void close_socket(struct session *s)
{
	struct linger now = {.l_onoff = 1};

	if (s->fd < 0)
		return;
	if (s->reset)
		setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	net_poll_close(s->poll);
}

static void session_free(struct session *s)
{
	set_idle(s, false);
	net_timer_stop(&s->timer);
	net_task_cancel(s->client->loop, &s->task);
	close_socket(s);
	busy_give(s);
	peer_give(s->peer);
	client_forget(s->client, s);
	give_spare(s);
}

void session_kill(struct session *s)
{
	check_magic(s, SESSION_MAGIC);
	check(s->depth == 0);
	session_end_exchange(s, true);
	session_free(s);
}

bool session_waits(const struct session *s)
{
	const struct busy *b = s->busy;

	return s->state == SESSION_HEAD && (!b || (!span_left(&b->in) && !b->gathered));
}

void session_drain(struct session *s)
{
	bool fresh = net_loop_now_ms(s->client->loop) < s->since_ms + DRAIN_WAIT_MS;

	if (!session_waits(s))
		return;
	input_read(s);
	if (session_waits(s) && !fresh)
		session_kill(s);
	else
		session_run(s);
}

/* ---- The end of a request ---- */

void session_end_exchange(struct session *s, bool aborted)
{
	struct busy *b = s->busy;
	struct exchange *x = b ? b->x : NULL;

	if (!x)
		return;
	b->x = NULL;
	if (aborted) {
		size_t unsent = span_left(&b->out) - b->gathered;

		b->sent.body_bytes -= unsent < b->sent.body_bytes ? unsent : b->sent.body_bytes;
		b->out.len = b->out.at + b->gathered;
	}
	b->sent.aborted = aborted;
	b->logged = true;
	exchange_sent(x, &b->sent);
}

static void linger(struct session *s)
{
	shutdown(s->fd, SHUT_WR);
	s->since_ms = net_loop_now_ms(s->client->loop);
	s->state = SESSION_LINGER;
}

static void finish_request(struct session *s)
{
	struct busy *b = s->busy;
	bool body_gone = body_discard(s);
	bool keep = b->keep && body_gone;
	/* Who is still sending would be told of a reset instead of our answer (RFC 9112 §9.6). */
	bool lingers = !keep && !s->eof && (!body_gone || (http_keeps_alive(&b->head) && !b->by_close));

	session_end_exchange(s, false);
	if (keep) {
		busy_next(s);
		s->since_ms = net_loop_now_ms(s->client->loop);
		s->state = SESSION_HEAD;
	} else if (lingers) {
		linger(s);
	} else {
		s->state = SESSION_GONE;
	}
}

static void hand_over(struct session *s)
{
	struct busy *b = s->busy;
	struct exchange *x = b->x;
	struct view first =
	        view_make(b->in.data + b->in.at + b->head_len, span_left(&b->in) - b->head_len);
	int fd = s->fd;

	if (b->tail.data)
		first = view_make(b->tail.data + b->tail.at, span_left(&b->tail));
	net_poll_free(s->poll);
	s->poll = NULL;
	s->fd = -1;
	b->x = NULL;
	s->state = SESSION_GONE;
	exchange_tunnel(x, fd, first);
}

void session_refuse(struct session *s, unsigned status, const char *proxy_error, const char *detail)
{
	struct client *c = s->client;
	struct busy *b = s->busy;
	bool parsed = b->head_len > 0;
	struct exchange_fault fault = {.status = status, .proxy_error = proxy_error, .detail = detail,
		.html = parsed && http_list_has(&b->head, HTTP_ACCEPT, V("text/html"))};
	static const char close_line[] = "Connection: close\r\n\r\n";
	struct iovec iov[4];
	struct buf head, body;

	check(!b->x);
	if (status == 400 || status == 414 || status == 431 || status == 501 || status == 505)
		stat_add(&c->stats->bad_requests, 1);
	buf_init(&head, 16 * 1024);
	buf_init(&body, 64 * 1024);
	b->keep = false;
	s->state = SESSION_FLUSH;
	if (exchange_error_page(exchange_pseudonym(c->env), &fault, &head, &body)) {
		s->broken = true;
	} else {
		iov[1] = (struct iovec){head.data, head.len};
		iov[2] = (struct iovec){(char *)close_line, sizeof(close_line) - 1};
		iov[3] = (struct iovec){body.data,
		                        b->head.method == HTTP_METHOD_HEAD ? 0 : body.len};
		output_put(s, iov, 4);
	}
	if (!b->logged)
		exchange_log_refused(s->listener, &s->addr, &b->head, status, detail, b->sent.bytes,
		                     b->req.arrived_us);
	buf_fini(&head);
	buf_fini(&body);
}

/* ---- Steps: each returns whether there may be another ---- */

/* A client that has only ended its own side waits for its answer; so it seems of one that is gone. */
static bool gives_up(const struct session *s)
{
	return s->eof && !s->busy->replied && s->client->options->half_closed == HALF_ABANDON;
}

void session_probe(struct session *s)
{
	struct iovec iov[2] = {{0}, {(char *)"HTTP/1.1 102 Processing\r\n\r\n", 27}};

	s->busy->probed = true;
	output_put(s, iov, 2);
}

/* Answers to pipelined requests leave together, when no more of them are to come now. */
static bool send_gathered(struct session *s)
{
	if (s->busy && s->busy->gathered && !s->blocked)
		output_flush(s, false);
	return s->broken;
}

static bool step_run(struct session *s)
{
	struct busy *b = s->busy;
	bool waits; /* the answer, for those of pipelined requests */

	body_feed(s);
	if (s->state != SESSION_RUN)
		return true;
	if (b->aborted) {
		/* Only a reset tells a body that ends by closing from a complete one (RFC 9112 §8).
		 */
		s->reset = b->replied && b->by_close;
		s->broken = true;
	}
	s->broken |= gives_up(s);
	waits = b->ended && b->gathered && span_left(&b->out) == b->gathered;
	if (!s->broken && span_left(&b->out) && !s->blocked && !waits)
		output_flush(s, false);
	if (s->broken)
		return true;
	if (b->wants_room && !s->blocked && !b->ended && s->turn < TURN_MAX) {
		b->wants_room = false;
		s->depth++;
		exchange_writable(b->x);
		s->depth--;
		return true;
	}
	if (!b->ended || (span_left(&b->out) && !waits))
		return false;
	if (b->detach)
		hand_over(s);
	else
		finish_request(s);
	return true;
}

static bool step_flush(struct session *s)
{
	if (s->blocked)
		return false;
	output_flush(s, false);
	if (!s->broken && !span_left(&s->busy->out))
		linger(s);
	return true;
}

static bool step(struct session *s)
{
	if (s->broken) {
		session_end_exchange(s, true);
		s->state = SESSION_GONE;
		return true;
	}
	switch ((enum session_state)s->state) {
	case SESSION_HEAD:
		return input_head(s) || send_gathered(s);
	case SESSION_RUN:
		return step_run(s);
	case SESSION_FLUSH:
		return step_flush(s);
	case SESSION_LINGER:
	case SESSION_GONE:
		break;
	}
	return false;
}

static bool wants_input(struct session *s)
{
	if (s->state == SESSION_LINGER)
		return true;
	/* An end that was seen stays readable: nobody would sleep while answers wait for room. */
	if (s->eof)
		return false;
	return s->state == SESSION_HEAD || (s->state == SESSION_RUN && input_room(s) != NULL);
}

/* Nothing more can be done now: what are we waiting for? */
static void rest(struct session *s)
{
	int events = (wants_input(s) ? NET_READ : 0) | (s->blocked ? NET_WRITE : 0);
	bool waits = session_waits(s);

	if ((waits && !s->blocked) || s->state == SESSION_LINGER)
		busy_give(s);
	/* It had its turn, and the socket would take more. */
	if (s->busy && s->busy->wants_room && !s->blocked)
		net_task_post(s->client->loop, &s->task);
	set_idle(s, waits && s->counted);
	/* A half-closed client still gets its answer; one that is gone need not be served. */
	net_poll_set(s->poll, events ? events : NET_HUP);
	limits_set(s);
}

void session_run(struct session *s)
{
	check_magic(s, SESSION_MAGIC);
	if (s->depth)
		return;
	while (s->state != SESSION_GONE && step(s))
		;
	if (s->state == SESSION_GONE)
		session_free(s);
	else
		rest(s);
}
