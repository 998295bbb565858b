#include "tunnel.h"

#include <stdlib.h>
#include <unistd.h>

#define TUNNEL_MAGIC 0x54554e4cu

/* A CONNECT or an Upgrade: connecting, then waiting for the client's socket, then relaying. */
struct tunnel {
	uint32_t magic;
	struct exchange_env *env;
	LIST_ENTRY(tunnel) link;
	struct exchange *x;          /* lives as long as the tunnel, for its log line */
	struct net_connect *connect;
	struct net_stream far;       /* the origin's side, until the relay owns it */
	bool have_far;
	struct net_relay *relay;
	struct access_refusal refusal;
};

static struct tunnel *tunnel_new(struct exchange *x)
{
	struct tunnel *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->magic = TUNNEL_MAGIC;
	t->env = x->env;
	t->x = x;
	x->tunnel = t;
	LIST_INSERT_HEAD(&t->env->tunnels, t, link);
	t->env->ntunnels++;
	stat_add(&t->env->stats->tunnels_open, 1);
	return t;
}

static void close_stream(struct net_stream *s)
{
	if (s->ops)
		s->ops->close(s->arg);
	else
		close(s->fd);
}

static void tunnel_free(struct tunnel *t)
{
	check_magic(t, TUNNEL_MAGIC);
	if (t->connect)
		net_connect_cancel(t->connect);
	if (t->have_far)
		close_stream(&t->far);
	LIST_REMOVE(t, link);
	t->env->ntunnels--;
	stat_sub(&t->env->stats->tunnels_open, 1);
	t->x->tunnel = NULL;
	t->magic = 0;
	free(t);
}

void tunnel_drop(struct exchange *x)
{
	tunnel_free(x->tunnel);
}

static bool too_many(struct exchange *x)
{
	return x->env->ntunnels >= (uint64_t)x->env->options->tunnels_max;
}

/* ---- CONNECT (RFC 9110 §9.3.6) ---- */

static int judge_address(void *arg, const struct addr *a)
{
	struct tunnel *t = arg;

	return access_destination(t->x->listener->access, &t->x->req.client, a, &t->refusal);
}

static void connect_failed(struct exchange *x, int err)
{
	struct tunnel *t = x->tunnel;
	struct access_refusal why = t->refusal;
	unsigned status = err == LARDER_ETIMEOUT ? 504 : 502;
	const char *type = err == LARDER_ETIMEOUT ? "connection_timeout"
		           : err == LARDER_ERESOLVE ? "dns_error"
		                                    : "connection_refused";
	const char *text = err == LARDER_ETIMEOUT ? "The destination did not answer in time."
		           : err == LARDER_ERESOLVE ? "The destination's name could not be resolved."
		                                    : "The destination could not be reached.";

	tunnel_free(t);
	if (err == LARDER_EREFUSED && why.option)
		exchange_run(x, reply_refused(x, &why));
	else
		exchange_run(x, reply_error(x, status, type, text));
}

static void on_connected(void *arg, const struct net_connect_result *r)
{
	struct tunnel *t = arg;
	struct exchange *x = t->x;
	struct exchange_reply reply = {.status = 200, .no_body = true, .complete = true};

	check_magic(t, TUNNEL_MAGIC);
	t->connect = NULL;
	exchange_enter(x);
	x->origin = r->addr;
	if (r->err) {
		connect_failed(x, r->err);
		exchange_leave(x);
		return;
	}
	t->far = (struct net_stream){.fd = r->fd};
	t->have_far = true;
	x->outcome = OUT_TUNNEL;
	x->status = 200;
	x->replied = x->finished = true;
	reply.head[reply.nhead++] = V("HTTP/1.1 200 Connection established\r\n");
	x->ops->reply(x->client, &reply);
	if (!x->ended)
		x->ops->detach(x->client);
	exchange_leave(x);
}

struct step step_connect(struct exchange *x)
{
	const struct http_target *target = x->req.target;
	struct tunnel *t;

	if (is_offline(x))
		return reply_offline(x);
	if (too_many(x))
		return reply_error(x, 503, NULL, "Too many tunnels are open (option tunnels_max).");
	t = tunnel_new(x);
	if (!t)
		return reply_error(x, 503, NULL, "Out of memory.");
	t->connect = net_connect_new(x->env->loop, target->host, target->port,
	                             x->env->options->tunnel_connect_timeout, judge_address, on_connected, t);
	if (!t->connect) {
		tunnel_free(t);
		return reply_error(x, 503, NULL, "Out of memory.");
	}
	return STEP_WAIT;
}

/* ---- Upgrade (RFC 9110 §7.8) ---- */

void tunnel_switched(struct exchange *x, const struct http_head *head, struct net_stream stream,
                     const struct origin_info *info)
{
	struct exchange_reply reply = {.status = 101, .no_body = true, .complete = true};
	const struct http_field *up = http_find(head, HTTP_UPGRADE, 0);
	struct buf *b = &x->env->scratch;
	struct tunnel *t = x->replied || too_many(x) ? NULL : tunnel_new(x);
	struct http_head h = *head;

	if (!t) {
		close_stream(&stream);
		exchange_run(x, reply_error(x, 503, NULL, "Too many tunnels are open (option tunnels_max)."));
		return;
	}
	t->far = stream;
	t->have_far = true;
	buf_reset(b);
	/* The fields are the handshake's; only those of the hop are made anew. */
	h.fields = x->env->fields;
	h.nfields = head->nfields < FIELDS_MAX ? head->nfields : FIELDS_MAX;
	memcpy(h.fields, head->fields, h.nfields * sizeof(*h.fields));
	http_head_mark_hops(&h);
	if (lines_pass_head(&h, b)) {
		tunnel_free(t);
		exchange_run(x, reply_error(x, 503, NULL, "Out of memory."));
		return;
	}
	x->origin = info->addr;
	x->origin_status = 101;
	x->outcome = OUT_TUNNEL;
	x->status = 101;
	x->replied = x->finished = true;
	reply.head[reply.nhead++] = buf_view(b);
	reply.upgrade = up ? up->value : view_make(NULL, 0);
	x->ops->reply(x->client, &reply);
	if (!x->ended)
		x->ops->detach(x->client);
}

/* ---- Relaying ---- */

static void on_relayed(void *arg, const struct net_relay_result *r)
{
	struct tunnel *t = arg;
	struct exchange *x = t->x;
	struct exchange_sent sent = {.bytes = r->b_to_a, .body_bytes = r->b_to_a, .received = r->a_to_b,
		                     .aborted = r->err != 0};

	check_magic(t, TUNNEL_MAGIC);
	t->relay = NULL;
	if (r->err == LARDER_ETIMEOUT)
		x->error = "idle";
	exchange_sent(x, &sent);
}

void exchange_tunnel(struct exchange *x, int fd, struct view first)
{
	struct tunnel *t = x->tunnel;
	struct net_stream near = {.fd = fd};
	struct exchange_sent sent = {.aborted = true};

	check(t && t->have_far && x->outcome == OUT_TUNNEL);
	/* The client's side is done with it: head and target are not to be looked at any more. */
	exchange_keep(x);
	t->have_far = false;
	t->relay = net_relay_new(x->env->loop, near, t->far, first, x->env->options->tunnel_idle,
	                         on_relayed, t);
	if (!t->relay)
		exchange_sent(x, &sent);
}

void tunnel_abandon(struct exchange_env *env)
{
	struct tunnel *t, *next;

	LIST_FOREACH_SAFE(t, &env->tunnels, link, next) {
		if (t->relay)
			net_relay_abort(t->relay);
	}
}
