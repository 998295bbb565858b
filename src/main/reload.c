/*
 * Reloads: a new generation of children beside the old one, which takes over once all of it is ready. No
 * socket that is still wanted is ever closed; one that is no longer wanted is closed when nobody waits at it.
 */
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"

#define NEXT_READY_MS 60000
#define QUIET_MAX_MS  2000
#define QUIET_ROUNDS  5 /* requests of connections that the kernel defers (accept_defer) are still coming */

/* Tells everybody who asked so far. */
static void answer(struct pool *p, int err, const char *text)
{
	struct channel_message m = {.type = CHANNEL_RELOADED, .value = err};
	struct child *c;

	snprintf(m.text, sizeof(m.text), "%s", text);
	LIST_FOREACH(c, &p->children, link) {
		for (; c->reload_asks; c->reload_asks--) {
			if (c->channel >= 0)
				channel_send(c->channel, &m, NULL, 0);
		}
	}
}

static void refuse(struct pool *p, int err, const char *text)
{
	log_error("reload refused, the old configuration stays: %s", text);
	stat_add(&p->block->main.reload_errors, 1);
	notify_send(NOTIFY_READY);
	answer(p, err, text);
}

static bool same(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* What only a restart can change is named, and stays. */
static void warn_fixed(const struct pool *p, const struct main_plan *plan)
{
	const struct main_plan *now = p->now->plan;
	const struct {
		const char *option;
		bool same;
	} rows[] = {
		{"store", same(now->store_dir, plan->store_dir)},
		{"control", same(now->control, plan->control)},
		{"user", same(now->main->user, plan->main->user)},
		{"group", same(now->main->group, plan->main->group)},
		{"pid_file", same(now->main->pid_file, plan->main->pid_file)},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].same)
			log_warning("%s changed in the configuration: that takes a restart, the "
			            "running value stays",
			            rows[i].option);
	}
}

/* Old and new children are there at the same time, and some may drain from reloads before. */
static int check_slots(const struct pool *p, const struct main_plan *plan, char **why)
{
	size_t used = 1;
	const struct child *c;

	LIST_FOREACH(c, &p->children, link)
		used++;
	if (used + plan->workers + 1 <= p->slots)
		return 0;
	return main_why(why, LARDER_ELIMIT,
	                "%u more processes would be too many beside the %zu that run: try again "
	                "when the draining ones are gone, or restart",
	                plan->workers + 1, used);
}

static void restore_logs(const struct pool *p)
{
	char *why = NULL;

	if (log_open(p->now->plan->log, &why))
		log_error("%s", why ? why : "cannot open the logs again");
	free(why);
}

static int prepare(struct pool *p, char **why)
{
	struct main_plan *plan = NULL;
	int status, err;

	err = main_plan_load(p->args, &plan, why, &status);
	if (err)
		return err;
	err = check_slots(p, plan, why);
	if (!err)
		err = log_open(plan->log, why);
	if (err)
		goto out;
	err = sockets_open(&p->sockets, plan, why);
	if (!err) {
		p->next = pool_generation_new(p, plan);
		if (p->next)
			return 0;
		sockets_rollback(&p->sockets, NULL);
		err = LARDER_ENOMEM;
	}
	restore_logs(p);
out:
	main_plan_free(plan);
	return err;
}

void reload_begin(struct pool *p, struct child *asker)
{
	char *why = NULL;
	int err;

	if (asker && asker->reload_asks < POOL_RELOADS_MAX)
		asker->reload_asks++;
	if (p->phase != PHASE_RUNNING || p->next || p->quiet_deadline_ms) {
		p->reload_again = true;
		return;
	}
	p->reload_again = false;
	log_info("reloading");
	notify_send(NOTIFY_RELOADING);
	err = prepare(p, &why);
	if (err) {
		refuse(p, err, why ? why : larder_strerror(err));
		free(why);
		return;
	}
	warn_fixed(p, p->next->plan);
	p->next_deadline_ms = clock_mono_ms() + NEXT_READY_MS;
	err = pool_generation_start(p, p->next);
	if (err)
		reload_abandon(p, larder_strerror(err));
}

static void again(struct pool *p)
{
	if (p->reload_again)
		reload_begin(p, NULL);
}

void reload_switch(struct pool *p)
{
	struct generation *old = p->now;

	sockets_commit(&p->sockets);
	p->now = p->next;
	p->next = NULL;
	/* Without a size of its own the store keeps the one it took at the start. */
	if (p->home && p->now->plan->main->size)
		store_home_set_size(p->home, p->now->plan->main->size);
	stat_add(&p->block->main.reloads, 1);
	log_info("reloaded: %u workers, %zu listeners", p->now->plan->workers,
	         p->now->plan->nlisteners);
	notify_send(NOTIFY_READY);
	answer(p, 0, "");
	/* The old workers go on accepting until nobody waits at the addresses that go. */
	if (sockets_retire(&p->sockets, p->now->plan)) {
		p->retired = old;
		reload_quiet_begin(p);
		return;
	}
	pool_generation_drain(p, old);
	pool_generation_free(old);
	again(p);
}

void reload_abandon(struct pool *p, const char *reason)
{
	struct generation *g = p->next;

	p->next = NULL;
	pool_generation_kill(p, g);
	pool_generation_free(g);
	restore_logs(p);
	/* More sockets for an address that stays: connections may wait at them already. */
	sockets_rollback(&p->sockets, p->now->plan);
	for (size_t i = 0; i < p->sockets.n; i++) {
		const struct endpoint *e = &p->sockets.v[i];

		for (size_t k = e->n - e->fresh; k < e->n; k++)
			pool_hand_over(p, p->now, e, k);
	}
	sockets_commit(&p->sockets);
	refuse(p, LARDER_ECLOSED, reason);
	again(p);
}

void reload_quiet_begin(struct pool *p)
{
	p->quiet_deadline_ms = clock_mono_ms() + QUIET_MAX_MS;
	p->quiet_rounds = 0;
}

void reload_quiet_step(struct pool *p, uint64_t now_ms)
{
	p->quiet_rounds = sockets_quiet(&p->sockets) ? p->quiet_rounds + 1 : 0;
	if (p->quiet_rounds < QUIET_ROUNDS && now_ms < p->quiet_deadline_ms)
		return;
	p->quiet_deadline_ms = 0;
	if (p->retired) {
		pool_generation_drain(p, p->retired);
		pool_generation_free(p->retired);
		p->retired = NULL;
	}
	if (p->phase == PHASE_QUIETING) {
		p->phase = PHASE_STOPPING;
		pool_generation_drain(p, p->now);
	}
	sockets_close_retired(&p->sockets);
	if (p->phase == PHASE_RUNNING)
		again(p);
}
