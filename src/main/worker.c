/* A worker: puts the rooms together, serves, drains, ends. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "child.h"

#define WORKER_MAGIC     0x3042e001U
#define INTERFACES_MS    10000 /* between looks at this machine's addresses */
#define DRAIN_STEP_MS    10    /* between looks at fills and tunnels while draining */
#define SOCKETS_PER_WORKER_MAX 8192

struct worker {
	uint32_t magic;
	const struct start *start;
	const struct main_plan *plan;
	struct main_block *block;
	struct net_loop *loop;
	struct post post;
	struct store *store;
	struct origin *origin;
	struct exchange_env *env;
	struct exchange_listener *listeners;
	struct client *client;
	struct net_timer interfaces, drain_step, drain_end;
	uint64_t *sockets; /* names of those it accepts from */
	int *fds;
	size_t nsockets;
	bool draining, drained;
};

/* Accepts from a socket that is the worker's own from then on. */
static int worker_accept(struct worker *w, int fd, int listener, uint64_t name)
{
	for (size_t i = 0; i < w->nsockets; i++) {
		if (w->sockets[i] == name) {
			close(fd);
			return 0;
		}
	}
	if (w->draining || w->nsockets >= SOCKETS_PER_WORKER_MAX || listener < 0 ||
	    (size_t)listener >= w->plan->nlisteners) {
		close(fd);
		return LARDER_ELIMIT;
	}
	w->sockets[w->nsockets] = name;
	w->fds[w->nsockets++] = fd;
	return client_accept(w->client, fd, &w->listeners[listener]);
}

/* ---- Draining ---- */

static void drain_check(struct worker *w)
{
	if (w->drained && exchange_env_busy(w->env) == 0)
		net_loop_stop(w->loop);
	else
		net_timer_set(&w->drain_step, DRAIN_STEP_MS);
}

static void drain_stepped(struct net_timer *t)
{
	drain_check(container_of(t, struct worker, drain_step));
}

static void clients_gone(void *arg)
{
	struct worker *w = arg;

	check_magic(w, WORKER_MAGIC);
	w->drained = true;
}

static void drain_over(struct net_timer *t)
{
	struct worker *w = container_of(t, struct worker, drain_end);

	log_warning("drain_timeout is over: %u connections and %u fetches and tunnels are cut",
	            client_connections(w->client), exchange_env_busy(w->env));
	net_loop_stop(w->loop);
}

static void worker_drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = true;
	client_drain(w->client, clients_gone, w);
	for (size_t i = 0; i < w->nsockets; i++)
		close(w->fds[i]);
	w->nsockets = 0;
	net_timer_set(&w->drain_end, w->plan->main->drain_timeout);
	drain_check(w);
}

static void sigterm(void *arg)
{
	struct worker *w = arg;

	if (!w->draining)
		post_send(&w->post, CHANNEL_DRAINING);
	worker_drain(w);
}

static void from_master(struct post *post, const struct channel_message *m, const int *fds,
                        size_t nfds)
{
	struct worker *w = container_of(post, struct worker, post);

	check_magic(w, WORKER_MAGIC);
	switch (m->type) {
	case CHANNEL_DRAIN:
		worker_drain(w);
		break;
	case CHANNEL_CUT:
		net_loop_stop(w->loop);
		break;
	case CHANNEL_ACCEPT:
		if (nfds == 1 && worker_accept(w, fds[0], m->value, m->id))
			log_warning("cannot accept for another worker");
		return;
	default:
		break;
	}
	for (size_t i = 0; i < nfds; i++)
		close(fds[i]);
}

/* ---- Putting together ---- */

static void interfaces_look(struct net_timer *t)
{
	struct worker *w = container_of(t, struct worker, interfaces);
	int err = access_interfaces_refresh();

	if (err)
		log_warning("cannot list this machine's addresses: %s", larder_strerror(err));
	net_timer_set(t, INTERFACES_MS);
	check_magic(w, WORKER_MAGIC);
}

/* The index-th core of those that the daemon may use. */
static void bind_core(unsigned index)
{
	cpu_set_t may, one;
	unsigned n;

	if (sched_getaffinity(0, sizeof(may), &may) || CPU_COUNT(&may) <= 0)
		return;
	n = index % (unsigned)CPU_COUNT(&may);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &may) && n-- == 0) {
			CPU_SET(cpu, &one);
			break;
		}
	}
	if (sched_setaffinity(0, sizeof(one), &one))
		log_warning("cpu_affinity: cannot bind to a core: %s", strerror(errno));
}

static uint64_t connections(const struct worker *w)
{
	const struct main_plan *plan = w->plan;
	uint64_t wanted = (uint64_t)plan->client->connections_max, cap;
	bool capped;

	cap = main_connections_cap(w->start->pool->fd_limit, wanted, plan->workers,
	                           (uint64_t)plan->store->open_files,
	                           (uint64_t)plan->origin->origin_connections,
	                           sockets_count(&w->start->pool->sockets), &capped);
	if (w->start->index == 0 && capped)
		log_warning("connections_max = %llu needs more descriptors than the limit of %llu "
		            "leaves: each worker serves %llu connections",
		            (unsigned long long)wanted,
		            (unsigned long long)w->start->pool->fd_limit, (unsigned long long)cap);
	return cap;
}

static void make_rooms(struct worker *w)
{
	const struct main_plan *plan = w->plan;
	struct store_home *home = w->start->pool->home;
	int err;

	err = origin_global_init();
	if (err)
		child_fail("libcurl", err);
	w->loop = net_loop_new((unsigned)plan->main->threads);
	if (!w->loop)
		child_fail("the loop", LARDER_ENOMEM);
	if (home) {
		err = store_open(home, w->loop, plan->store, &w->block->store, &w->store);
		if (err)
			child_fail("the store", err);
	}
	w->origin = origin_new(w->loop, plan->origin, &w->block->origin);
	if (!w->origin)
		child_fail("origins", LARDER_ENOMEM);
	w->env = exchange_env_new(w->loop, plan->exchange, w->store, w->origin, w->start->pool->flights,
	                          &w->block->exchange);
	if (!w->env)
		child_fail("exchanges", LARDER_ENOMEM);
	w->client = client_new(w->loop, plan->client, connections(w), &w->block->client, w->env);
	if (!w->client)
		child_fail("clients", LARDER_ENOMEM);
}

static void make_listeners(struct worker *w)
{
	const struct main_plan *plan = w->plan;
	char *why = NULL;

	w->sockets = calloc(SOCKETS_PER_WORKER_MAX, sizeof(*w->sockets));
	w->fds = calloc(SOCKETS_PER_WORKER_MAX, sizeof(*w->fds));
	w->listeners = calloc(plan->nlisteners, sizeof(*w->listeners));
	if (!w->sockets || !w->fds || !w->listeners)
		child_fail("listeners", LARDER_ENOMEM);
	for (size_t i = 0; i < plan->nlisteners; i++) {
		int err = main_exchange_listener(&plan->listeners[i], &w->listeners[i], &why);

		if (err)
			child_fail(why ? why : "a listener", err);
	}
}

static void accept_all(struct worker *w)
{
	const struct sockets *s = &w->start->pool->sockets;

	for (size_t i = 0; i < s->n; i++) {
		const struct endpoint *e = &s->v[i];
		int listener = main_plan_find(w->plan, &e->addr);

		for (size_t k = 0; k < e->n; k++) {
			int err;

			if (e->fds[k] < 0)
				continue;
			err = worker_accept(w, e->fds[k], listener, e->id + k);
			if (err)
				child_fail("accepting", err);
		}
	}
}

static void worker_end(struct worker *w)
{
	net_timer_stop(&w->interfaces);
	net_timer_stop(&w->drain_step);
	net_timer_stop(&w->drain_end);
	client_free(w->client);
	exchange_env_abandon(w->env);
	exchange_env_free(w->env);
	origin_free(w->origin);
	if (w->store)
		store_close(w->store);
	post_close(&w->post);
	for (size_t i = 0; i < w->plan->nlisteners; i++)
		main_exchange_listener_fini(&w->listeners[i]);
	free(w->listeners);
	free(w->sockets);
	free(w->fds);
	net_loop_free(w->loop);
	log_stop();
}

_Noreturn void worker_run(const struct start *s)
{
	struct worker w = {
		.magic = WORKER_MAGIC,
		.start = s,
		.plan = s->generation->plan,
		.block = stat_map_block(s->pool->stats, s->slot),
	};
	char name[32];
	int err;

	snprintf(name, sizeof(name), "worker %u", s->index);
	child_begin(s, name);
	if (w.plan->main->cpu_affinity)
		bind_core(s->index);
	make_rooms(&w);
	make_listeners(&w);
	net_timer_init(&w.interfaces, w.loop, interfaces_look);
	net_timer_init(&w.drain_step, w.loop, drain_stepped);
	net_timer_init(&w.drain_end, w.loop, drain_over);
	interfaces_look(&w.interfaces);
	err = post_open(&w.post, w.loop, s->channel, from_master);
	if (!err)
		err = net_signal(w.loop, SIGTERM, sigterm, &w);
	if (err)
		child_fail("the loop", err);
	accept_all(&w);
	post_send(&w.post, CHANNEL_READY);
	net_loop_run(w.loop);
	worker_end(&w);
	exit(EXIT_SUCCESS);
}
