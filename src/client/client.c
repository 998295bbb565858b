#include "client/client.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "client-private.h"

static void on_drained(struct net_task *t)
{
	struct client *c = container_of(t, struct client, drained);

	c->drain_done(c->drain_arg);
}

struct client *client_new(struct net_loop *l, const struct client_options *options, uint64_t max,
                          struct client_stats *stats, struct exchange_env *env)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->magic = CLIENT_MAGIC;
	c->loop = l;
	c->options = options;
	c->stats = stats;
	c->env = env;
	c->max = max;
	TAILQ_INIT(&c->sessions);
	TAILQ_INIT(&c->spare_sessions);
	SLIST_INIT(&c->spare);
	LIST_INIT(&c->listening);
	net_task_init(&c->drained, on_drained);
	c->scratch = malloc(PIECE_MAX);
	if (!c->scratch || (options->connections_per_client && peers_init(c))) {
		free(c->scratch);
		free(c);
		return NULL;
	}
	return c;
}

void client_forget(struct client *c, struct session *s)
{
	TAILQ_REMOVE(&c->sessions, s, link);
	if (s->counted) {
		c->connections--;
		stat_sub(&c->stats->connections, 1);
	} else {
		c->turned_away--;
	}
	if (c->draining && c->drain_done && TAILQ_EMPTY(&c->sessions))
		net_task_post(c->loop, &c->drained);
}

void client_drain(struct client *c, void (*done)(void *arg), void *arg)
{
	struct session *s, *next;

	check_magic(c, CLIENT_MAGIC);
	c->draining = true;
	TAILQ_FOREACH_SAFE (s, &c->sessions, link, next)
		session_drain(s);
	/* Last, for the sockets may be closed now, which resets those who wait there. */
	listening_empty(c);
	listening_stop(c);
	c->drain_done = done;
	c->drain_arg = arg;
	if (TAILQ_EMPTY(&c->sessions))
		net_task_post(c->loop, &c->drained);
}

void client_free(struct client *c)
{
	struct session *s;

	if (!c)
		return;
	check_magic(c, CLIENT_MAGIC);
	c->drain_done = NULL;
	listening_stop(c);
	while ((s = TAILQ_FIRST(&c->sessions)))
		session_kill(s);
	net_task_cancel(c->loop, &c->drained);
	busy_free_spares(c);
	session_free_spares(c);
	peers_fini(c);
	c->magic = 0;
	free(c->scratch);
	free(c);
}

unsigned client_connections(const struct client *c)
{
	check_magic(c, CLIENT_MAGIC);
	return c->connections;
}
