/* Accepting, and the limits that a connection meets first. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "client-private.h"
#include "log/log.h"

#define PEER_BUCKETS 4096U

struct listening {
	LIST_ENTRY(listening) link;
	struct client *client;
	const struct exchange_listener *listener;
	int fd;
	struct net_poll *poll;
	struct net_timer pause;
};

/* Connections of one address. */
struct peer {
	LIST_ENTRY(peer) link;
	uint8_t ip[16];
	unsigned n;
};

int peers_init(struct client *c)
{
	c->peers = calloc(PEER_BUCKETS, sizeof(*c->peers));
	if (!c->peers)
		return LARDER_ENOMEM;
	if (getrandom(&c->peers_seed, sizeof(c->peers_seed), GRND_NONBLOCK) < 0)
		c->peers_seed = (uint64_t)(uintptr_t)c;
	return 0;
}

void peers_fini(struct client *c)
{
	free(c->peers);
	c->peers = NULL;
}

int peer_take(struct client *c, const struct addr *a, struct peer **out)
{
	struct peer_list *bucket;
	struct peer *p;
	uint8_t ip[16];

	*out = NULL;
	if (!c->peers || !a->len)
		return 0;
	addr_ip16(a, ip);
	bucket = &c->peers[hash_64(view_make(ip, sizeof(ip)), c->peers_seed) % PEER_BUCKETS];
	LIST_FOREACH (p, bucket, link) {
		if (memcmp(p->ip, ip, sizeof(ip)) == 0)
			break;
	}
	if (p && p->n >= (uint64_t)c->options->connections_per_client)
		return LARDER_ELIMIT;
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return LARDER_ENOMEM;
		memcpy(p->ip, ip, sizeof(ip));
		LIST_INSERT_HEAD(bucket, p, link);
	}
	p->n++;
	*out = p;
	return 0;
}

void peer_give(struct peer *p)
{
	if (!p || --p->n)
		return;
	LIST_REMOVE(p, link);
	free(p);
}

static void admit(struct listening *l, int fd, const struct addr *addr)
{
	struct client *c = l->client;
	struct access_refusal why;
	struct peer *peer = NULL;

	/* Only counted: the exchange tells the client so, with a page that names the rule. */
	if (access_client(l->listener->access, addr, &why))
		stat_add(&c->stats->refused_access, 1);
	if (c->connections >= c->max || peer_take(c, addr, &peer)) {
		stat_add(&c->stats->refused_limit, 1);
		session_turn_away(c, fd, l->listener, addr);
		return;
	}
	stat_add(&c->stats->accepted, 1);
	session_new(c, fd, l->listener, addr, peer);
}

static void on_connection(void *arg, int events)
{
	static uint64_t limit;
	struct listening *l = arg;

	for (int i = 0; i < ACCEPTS_MAX; i++) {
		struct addr addr;
		int fd = net_accept(l->fd, &addr);

		if (fd == LARDER_EAGAIN)
			return;
		if (fd < 0) {
			/* They wait in the kernel; a sibling may take them. */
			stat_add(&l->client->stats->accept_errors, 1);
			log_limited(&limit, LOG_L_WARNING, "%.*s: cannot accept: %s",
			            VFMT(l->listener->name), larder_strerror(fd));
			net_poll_set(l->poll, 0);
			net_timer_set(&l->pause, ACCEPT_PAUSE_MS);
			return;
		}
		admit(l, fd, &addr);
	}
}

void listening_empty(struct client *c)
{
	struct listening *l;

	LIST_FOREACH (l, &c->listening, link) {
		struct addr addr;
		int fd = 0;

		for (int64_t i = 0; i < c->options->backlog && fd >= 0; i++) {
			fd = net_accept(l->fd, &addr);
			if (fd >= 0)
				admit(l, fd, &addr);
		}
	}
}

static void on_pause_over(struct net_timer *t)
{
	struct listening *l = container_of(t, struct listening, pause);

	net_poll_set(l->poll, NET_READ);
}

int client_accept(struct client *c, int fd, const struct exchange_listener *listener)
{
	struct listening *l = calloc(1, sizeof(*l));

	check_magic(c, CLIENT_MAGIC);
	if (!l)
		return LARDER_ENOMEM;
	l->client = c;
	l->listener = listener;
	l->fd = fd;
	net_timer_init(&l->pause, c->loop, on_pause_over);
	l->poll = net_poll_new(c->loop, fd, on_connection, l);
	if (!l->poll) {
		free(l);
		return LARDER_ENOMEM;
	}
	net_listen_tune(fd, (unsigned)c->options->notsent_lowat,
	                (unsigned)(c->options->accept_defer / 1000));
	net_poll_set(l->poll, NET_READ);
	LIST_INSERT_HEAD(&c->listening, l, link);
	return 0;
}

void listening_stop(struct client *c)
{
	struct listening *l;

	while ((l = LIST_FIRST(&c->listening))) {
		LIST_REMOVE(l, link);
		net_timer_stop(&l->pause);
		net_poll_free(l->poll);
		free(l);
	}
}
