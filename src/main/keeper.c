/* The keeper: the store's slow work and the control socket. */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "child.h"
#include "commands.h"

#define MAINTAIN_MS   1000
#define DRAIN_STEP_MS 5
#define DRAIN_MAX_MS  1000 /* for calls at the control socket to be answered */

static void maintain(struct net_timer *t)
{
	struct keeper *k = container_of(t, struct keeper, maintain);

	check_magic(k, KEEPER_MAGIC);
	store_maintain(k->store, net_loop_now_ms(k->loop));
	net_timer_set(t, MAINTAIN_MS);
}

static void drain_step(struct net_timer *t)
{
	struct keeper *k = container_of(t, struct keeper, drain);

	if (!k->admin || !admin_calls(k->admin) || net_loop_now_ms(k->loop) >= k->drain_until_ms)
		net_loop_stop(k->loop);
	else
		net_timer_set(t, DRAIN_STEP_MS);
}

/* Who has called already is still answered. */
static void keeper_drain(struct keeper *k)
{
	if (k->drain_until_ms)
		return;
	k->drain_until_ms = net_loop_now_ms(k->loop) + DRAIN_MAX_MS;
	if (k->admin)
		admin_drain(k->admin);
	net_timer_set(&k->drain, 0);
}

static void from_master(struct post *post, const struct channel_message *m, const int *fds,
                        size_t nfds)
{
	struct keeper *k = container_of(post, struct keeper, post);

	(void)fds;
	check_magic(k, KEEPER_MAGIC);
	check(nfds == 0);
	if (m->type == CHANNEL_RELOADED)
		commands_reloaded(k, m->value, m->text);
	else if (m->type == CHANNEL_DRAIN)
		keeper_drain(k);
	else if (m->type == CHANNEL_CUT)
		net_loop_stop(k->loop);
}

static void sigterm(void *arg)
{
	keeper_drain(arg);
}

static void make_rooms(struct keeper *k)
{
	const struct pool *p = k->start->pool;
	char *why = NULL;
	int err;

	k->loop = net_loop_new(1);
	if (!k->loop)
		child_fail("the loop", LARDER_ENOMEM);
	if (p->home) {
		err = store_open(p->home, k->loop, k->plan->store, &k->block->store, &k->store);
		if (err)
			child_fail("the store", err);
	}
	k->listeners = calloc(k->plan->nlisteners, sizeof(*k->listeners));
	if (!k->listeners)
		child_fail("listeners", LARDER_ENOMEM);
	for (size_t i = 0; i < k->plan->nlisteners; i++) {
		err = main_exchange_listener(&k->plan->listeners[i], &k->listeners[i], &why);
		if (err)
			child_fail(why ? why : "a listener", err);
	}
	if (p->control_fd < 0)
		return;
	k->admin = admin_new(k->loop, p->control_fd, commands_table, commands_count, k);
	if (!k->admin)
		child_fail("the control socket", LARDER_ENOMEM);
}

static void keeper_end(struct keeper *k)
{
	/* Before admin_free: removals that are under way still answer their callers. */
	if (k->store)
		store_close(k->store);
	commands_purge_fini(k);
	admin_free(k->admin);
	post_close(&k->post);
	for (size_t i = 0; i < k->plan->nlisteners; i++)
		main_exchange_listener_fini(&k->listeners[i]);
	free(k->listeners);
	net_loop_free(k->loop);
	log_stop();
}

_Noreturn void keeper_run(const struct start *s)
{
	struct keeper k = {
		.magic = KEEPER_MAGIC,
		.start = s,
		.plan = s->generation->plan,
		.block = stat_map_block(s->pool->stats, s->slot),
	};
	int err;

	child_begin(s, "keeper");
	make_rooms(&k);
	net_timer_init(&k.maintain, k.loop, maintain);
	net_timer_init(&k.drain, k.loop, drain_step);
	if (k.store)
		net_timer_set(&k.maintain, MAINTAIN_MS);
	err = post_open(&k.post, k.loop, s->channel, from_master);
	if (!err)
		err = net_signal(k.loop, SIGTERM, sigterm, &k);
	if (err)
		child_fail("the loop", err);
	post_send(&k.post, CHANNEL_READY);
	net_loop_run(k.loop);
	net_timer_stop(&k.maintain);
	net_timer_stop(&k.drain);
	keeper_end(&k);
	exit(EXIT_SUCCESS);
}
