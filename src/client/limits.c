/* How long a session waits, and for what. One timer; it is set again only when it would come too
 * late. */
#include "base/check.h"
#include "client-private.h"

enum wait {
	WAIT_NOTHING,
	WAIT_FIRST,
	WAIT_IDLE,
	WAIT_HEAD,
	WAIT_BODY,
	WAIT_SEND,
	WAIT_RATE,
	WAIT_LINGER,
	WAIT_PROBE
};

struct deadline {
	uint64_t at_ms;
	enum wait why;
};

static void sooner(struct deadline *d, uint64_t since_ms, uint64_t ms, enum wait why)
{
	uint64_t at = ms > UINT64_MAX - since_ms ? UINT64_MAX : since_ms + ms;

	if (at < d->at_ms)
		*d = (struct deadline){at, why};
}

/* Starts or stops the clock of a direction: only the client's slowness counts. */
void rate_wait(const struct session *s, struct rate *r, bool waiting)
{
	uint64_t now = net_loop_now_ms(s->client->loop);

	if (waiting && !r->since_ms)
		r->since_ms = now;
	if (!waiting && r->since_ms) {
		r->waited_ms += now - r->since_ms;
		r->since_ms = 0;
	}
}

static void rate_deadline(const struct session *s, const struct rate *r, struct deadline *d)
{
	uint64_t window = s->client->options->rate_window;

	if (s->client->options->min_rate && r->since_ms)
		sooner(d, r->since_ms, r->waited_ms < window ? window - r->waited_ms : 0,
		       WAIT_RATE);
}

static bool awaits_body(const struct session *s)
{
	const struct busy *b = s->busy;

	return s->state == SESSION_RUN && !b->body_done && !b->body_over && !b->hold &&
	       !b->continue_waits && !b->ended && !s->eof;
}

/* A client that has ended its side, or is gone. RFC 9110 §15.2: an HTTP/1.0 client must not be sent a 1xx. */
static bool awaits_answer(const struct session *s)
{
	const struct busy *b = s->busy;

	return s->state == SESSION_RUN && s->eof && !b->replied && !b->probed && b->head.minor >= 1 &&
	       !s->blocked && s->client->options->half_closed == HALF_PROBE;
}

static struct deadline find_deadline(const struct session *s)
{
	const struct client_options *o = s->client->options;
	struct deadline d = {UINT64_MAX, WAIT_NOTHING};
	const struct busy *b = s->busy;

	if (s->state == SESSION_LINGER) {
		sooner(&d, s->since_ms, LINGER_MS, WAIT_LINGER);
		return d;
	}
	if (s->state == SESSION_HEAD) {
		uint64_t waits = s->requests ? o->idle_timeout : o->head_timeout;

		if (s->client->draining && waits > DRAIN_WAIT_MS)
			waits = DRAIN_WAIT_MS;
		if (b && b->head_began_ms)
			sooner(&d, s->requests ? b->head_began_ms : s->since_ms, o->head_timeout,
			       WAIT_HEAD);
		else
			sooner(&d, s->since_ms, waits, s->requests ? WAIT_IDLE : WAIT_FIRST);
	}
	if (awaits_answer(s))
		sooner(&d, s->since_ms, PROBE_MS, WAIT_PROBE);
	if (s->blocked)
		sooner(&d, s->moved_out_ms, o->send_timeout, WAIT_SEND);
	if (s->rate_in.since_ms)
		sooner(&d, s->moved_in_ms, o->body_timeout, WAIT_BODY);
	rate_deadline(s, &s->rate_in, &d);
	rate_deadline(s, &s->rate_out, &d);
	return d;
}

void limits_set(struct session *s)
{
	uint64_t now = net_loop_now_ms(s->client->loop);
	bool in = awaits_body(s);
	struct deadline d;

	if (in && !s->rate_in.since_ms)
		s->moved_in_ms = now;
	if (s->blocked && !s->rate_out.since_ms)
		s->moved_out_ms = now;
	rate_wait(s, &s->rate_in, in);
	rate_wait(s, &s->rate_out, s->blocked);
	d = find_deadline(s);
	if (d.why == WAIT_NOTHING)
		return;
	if (!net_timer_active(&s->timer) || s->timer.due_ms > d.at_ms)
		net_timer_set(&s->timer, d.at_ms > now ? d.at_ms - now : 0);
}

/* A window is over: was it fast enough? Begins the next one. */
static bool too_slow(const struct session *s, struct rate *r)
{
	uint64_t window = s->client->options->rate_window, now = net_loop_now_ms(s->client->loop);
	uint64_t want = s->client->options->min_rate, waited;

	if (!r->since_ms)
		return false;
	waited = r->waited_ms + (now - r->since_ms);
	if (waited < window)
		return false;
	/* Both factors are bounded by the options: 1G a second over an hour. */
	if (r->bytes < want * waited / 1000)
		return true;
	*r = (struct rate){.since_ms = now};
	return false;
}

static void give_up(struct session *s, enum wait why)
{
	struct client_stats *stats = s->client->stats;

	switch (why) {
	case WAIT_HEAD:
		stat_add(&stats->timeouts_head, 1);
		session_refuse(s, 408, "http_request_error",
		               "The request head took too long to arrive.");
		return;
	case WAIT_BODY:
		stat_add(&stats->timeouts_body, 1);
		body_fail(s, 408, "The request body stood still for too long.");
		return;
	case WAIT_SEND:
		stat_add(&stats->timeouts_send, 1);
		s->broken = s->reset = true;
		return;
	case WAIT_RATE:
		if (too_slow(s, &s->rate_in) || too_slow(s, &s->rate_out)) {
			stat_add(&stats->slow, 1);
			s->broken = s->reset = true;
		}
		return;
	case WAIT_FIRST:
	case WAIT_IDLE:
	case WAIT_LINGER:
		s->state = SESSION_GONE;
		return;
	case WAIT_PROBE:
		session_probe(s);
		return;
	case WAIT_NOTHING:
		return;
	}
}

void limits_expired(struct net_timer *t)
{
	struct session *s = container_of(t, struct session, timer);
	struct deadline d = find_deadline(s);

	check_magic(s, SESSION_MAGIC);
	if (d.at_ms <= net_loop_now_ms(s->client->loop))
		give_up(s, d.why);
	session_run(s);
}
