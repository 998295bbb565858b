/* Children: starting, restarting, draining, killing. */
#include "pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "exchange/exchange.h"

#define SOON_MS       10000 /* a death this soon after the start counts towards back-off */
#define KILL_GRACE_MS 5000  /* beyond drain_timeout, before a child that should be gone is killed */

static const char *role_name(enum role role)
{
	return role == ROLE_KEEPER ? "keeper" : "worker";
}

struct generation *pool_generation_new(struct pool *p, struct main_plan *plan)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->nseats = plan->workers + 1;
	g->seats = calloc(g->nseats, sizeof(*g->seats));
	if (!g->seats) {
		free(g);
		return NULL;
	}
	g->plan = plan;
	g->serial = ++p->generations;
	g->seats[0].role = ROLE_KEEPER;
	for (size_t i = 1; i < g->nseats; i++)
		g->seats[i] = (struct seat){.role = ROLE_WORKER, .index = (unsigned)i - 1};
	return g;
}

void pool_generation_free(struct generation *g)
{
	if (!g)
		return;
	main_plan_free(g->plan);
	free(g->seats);
	free(g);
}

static size_t free_slot(const struct pool *p)
{
	for (size_t i = 1; i < p->slots; i++) {
		if (p->board[i].pid == 0)
			return i;
	}
	return 0;
}

static void child_free(struct child *c)
{
	if (c->channel >= 0)
		close(c->channel);
	free(c);
}

static _Noreturn void child_main(struct pool *p, struct generation *g, struct child *c, int channel)
{
	struct start s = {
		.pool = p,
		.generation = g,
		.role = c->role,
		.index = c->index,
		.slot = c->slot,
		.channel = channel,
	};

	free(c);
	if (s.role == ROLE_WORKER)
		worker_run(&s);
	keeper_run(&s);
}

static void note_on_board(struct pool *p, const struct generation *g, const struct child *c)
{
	p->board[c->slot] = (struct board_entry){
		.pid = c->pid,
		.role = (int32_t)c->role,
		.state = (int32_t)c->state,
		.index = c->index,
		.generation = g->serial,
		.started_s = clock_wall_s(),
	};
}

static void count_workers(struct pool *p)
{
	stat_set(&p->block->main.workers, pool_count(p, ROLE_WORKER));
}

/* Forks a child for the seat. 0 or negative. */
static int seat_fill(struct pool *p, struct generation *g, struct seat *seat)
{
	struct child *c = calloc(1, sizeof(*c));
	int ends[2] = {-1, -1}, err;

	if (!c)
		return LARDER_ENOMEM;
	c->channel = -1;
	err = channel_pair(ends);
	if (err)
		goto fail;
	c->channel = ends[0];
	c->role = seat->role;
	c->index = seat->index;
	c->slot = free_slot(p);
	c->started_ms = clock_mono_ms();
	c->state = CHILD_STARTING;
	err = LARDER_ELIMIT;
	if (!c->slot)
		goto fail;
	c->pid = fork();
	if (c->pid == 0) {
		close(ends[0]);
		child_main(p, g, c, ends[1]);
	}
	err = larder_from_errno(errno);
	if (c->pid < 0)
		goto fail;
	close(ends[1]);
	c->seat = seat;
	seat->child = c;
	seat->restart_ms = 0;
	LIST_INSERT_HEAD(&p->children, c, link);
	note_on_board(p, g, c);
	count_workers(p);
	return 0;
fail:
	if (ends[1] >= 0)
		close(ends[1]);
	child_free(c);
	return err;
}

int pool_generation_start(struct pool *p, struct generation *g)
{
	int err = 0;

	for (size_t i = 0; i < g->nseats && !err; i++)
		err = seat_fill(p, g, &g->seats[i]);
	return err;
}

bool pool_generation_ready(const struct generation *g)
{
	for (size_t i = 0; i < g->nseats; i++) {
		if (!g->seats[i].child || g->seats[i].child->state != CHILD_READY)
			return false;
	}
	return true;
}

static void child_ask(struct child *c, enum channel_type type)
{
	struct channel_message m = {.type = type};
	int err = c->channel >= 0 ? channel_send(c->channel, &m, NULL, 0) : LARDER_ECLOSED;

	if (err && err != LARDER_ECLOSED)
		log_warning("%s %u (%d) takes no messages: %s", role_name(c->role), c->index,
		            (int)c->pid, larder_strerror(err));
}

static void child_drain(struct pool *p, const struct generation *g, struct child *c)
{
	c->seat = NULL;
	c->state = CHILD_DRAINING;
	p->board[c->slot].state = CHILD_DRAINING;
	c->kill_ms = clock_mono_ms() + g->plan->main->drain_timeout + KILL_GRACE_MS;
	child_ask(c, CHANNEL_DRAIN);
}

void pool_generation_drain(struct pool *p, struct generation *g)
{
	for (size_t i = 0; i < g->nseats; i++) {
		struct seat *s = &g->seats[i];

		/* When all ends, the keeper answers until the workers are done. */
		if (s->role == ROLE_KEEPER && p->phase == PHASE_STOPPING)
			continue;
		s->restart_ms = 0;
		if (s->child)
			child_drain(p, g, s->child);
		s->child = NULL;
	}
}

void pool_generation_kill(struct pool *p, struct generation *g)
{
	for (size_t i = 0; i < g->nseats; i++) {
		struct seat *s = &g->seats[i];

		s->restart_ms = 0;
		if (!s->child)
			continue;
		s->child->seat = NULL;
		s->child->state = CHILD_DRAINING;
		kill(s->child->pid, SIGKILL);
		s->child = NULL;
	}
	(void)p;
}

size_t pool_count(const struct pool *p, enum role role)
{
	const struct child *c;
	size_t n = 0;

	LIST_FOREACH(c, &p->children, link)
		n += c->role == role;
	return n;
}

void pool_broadcast(struct pool *p, const struct channel_message *m, const int *fds, size_t nfds)
{
	struct child *c;

	LIST_FOREACH(c, &p->children, link) {
		if (c->channel >= 0)
			channel_send(c->channel, m, fds, nfds);
	}
}

void pool_hand_over(struct pool *p, struct generation *g, const struct endpoint *e, size_t socket)
{
	struct channel_message m = {.type = CHANNEL_ACCEPT, .id = e->id + socket};
	size_t n = g->nseats - 1;

	(void)p;
	m.value = main_plan_find(g->plan, &e->addr);
	if (m.value < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct child *c = g->seats[1 + (socket + i) % n].child;

		if (c && c->state == CHILD_READY && c->channel >= 0 &&
		    channel_send(c->channel, &m, &e->fds[socket], 1) == 0)
			return;
	}
	log_debug("no worker is there to accept for another one");
}

/* While a worker is away its sockets keep receiving connections: a sibling accepts them. */
static void cover_for(struct pool *p, struct generation *g, unsigned index)
{
	for (size_t i = 0; i < p->sockets.n; i++) {
		const struct endpoint *e = &p->sockets.v[i];

		for (size_t k = 0; k < e->n && !e->activated; k++) {
			if (sockets_serves(e, k, index, g->plan->workers))
				pool_hand_over(p, g, e, k);
		}
	}
}

/* For all that are away: who covered for them may have died as well. */
static void cover_vacant(struct pool *p, struct generation *g)
{
	for (size_t i = 1; i < g->nseats; i++) {
		if (!g->seats[i].child)
			cover_for(p, g, g->seats[i].index);
	}
}

static bool holds_seat(const struct generation *g, const struct seat *s)
{
	return g && s >= g->seats && s < g->seats + g->nseats;
}

static struct generation *generation_of(struct pool *p, const struct seat *s)
{
	if (holds_seat(p->now, s))
		return p->now;
	return holds_seat(p->next, s) ? p->next : NULL;
}

static void seat_vacated(struct pool *p, struct generation *g, struct seat *s, uint64_t started_ms)
{
	uint64_t now = clock_mono_ms(), wait;

	s->child = NULL;
	s->failures = now - started_ms < SOON_MS ? s->failures + 1 : 1;
	wait = main_backoff_ms(s->failures);
	s->restart_ms = now + wait;
	if (!wait)
		return;
	log_warning("%s %u keeps dying: started again in %u ms", role_name(s->role), s->index,
	            (unsigned)wait);
	cover_vacant(p, g);
}

static void describe_death(const struct child *c, int status, char *dst, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(dst, size, "%s %u (%d) was killed by signal %d (%s)", role_name(c->role),
		         c->index, (int)c->pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(dst, size, "%s %u (%d) exited with status %d", role_name(c->role), c->index,
		         (int)c->pid, WEXITSTATUS(status));
}

/* LMDB reads its file as memory: one that is cut off or scrambled ends whoever looks at it. */
static void suspect_store(const struct pool *p, int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (p->store_dir && (sig == SIGBUS || sig == SIGSEGV || sig == SIGABRT))
		log_error("should the index in %s be damaged, this puts it right once larder has stopped: "
		          "larderctl -s %s verify --repair", p->store_dir, p->store_dir);
}

static void child_died(struct pool *p, struct child *c, int status)
{
	struct seat *seat = c->seat;
	struct generation *g;
	enum child_state state = c->state;
	uint64_t started_ms = c->started_ms;
	char text[160];

	describe_death(c, status, text, sizeof(text));
	LIST_REMOVE(c, link);
	p->board[c->slot] = (struct board_entry){0};
	stat_map_adopt(p->stats, c->slot);
	exchange_board_reap(p->flights);
	child_free(c);
	count_workers(p);
	if (!seat) {
		log_debug("%s", text);
		return;
	}
	seat->child = NULL;
	g = generation_of(p, seat);
	if (p->phase == PHASE_STARTING) {
		log_error("%s before it was ready", text);
		suspect_store(p, status);
		p->failed = true;
	} else if (g == p->next && g && state == CHILD_STARTING) {
		reload_abandon(p, text);
	} else {
		/* A drain that somebody else asked of it is no crash. */
		if (status != 0) {
			log_error("%s", text);
			suspect_store(p, status);
			stat_add(&p->block->main.crashes, 1);
		}
		if (p->phase == PHASE_RUNNING && g)
			seat_vacated(p, g, seat, started_ms);
	}
}

void pool_reap(struct pool *p)
{
	struct child *c, *next;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		LIST_FOREACH_SAFE(c, &p->children, link, next) {
			if (c->pid == pid) {
				child_died(p, c, status);
				break;
			}
		}
	}
}

static void restart_due(struct pool *p, struct generation *g, uint64_t now_ms)
{
	for (size_t i = 0; g && i < g->nseats; i++) {
		struct seat *s = &g->seats[i];
		int err;

		if (!s->restart_ms || s->restart_ms > now_ms)
			continue;
		err = seat_fill(p, g, s);
		if (!err)
			continue;
		log_error("cannot start %s %u: %s", role_name(s->role), s->index,
		          larder_strerror(err));
		s->restart_ms = now_ms + main_backoff_ms(++s->failures + 3);
	}
}

void pool_timers(struct pool *p, uint64_t now_ms)
{
	struct child *c;

	if (p->phase == PHASE_RUNNING) {
		restart_due(p, p->now, now_ms);
		restart_due(p, p->next, now_ms);
	}
	LIST_FOREACH(c, &p->children, link) {
		if (!c->kill_ms || c->kill_ms > now_ms)
			continue;
		log_warning("%s %u (%d) did not end in time: killed", role_name(c->role), c->index,
		            (int)c->pid);
		kill(c->pid, SIGKILL);
		c->kill_ms = 0;
	}
	if (p->next && p->next_deadline_ms <= now_ms)
		reload_abandon(p, "the new workers were not ready in time");
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return b && b < a ? b : a;
}

uint64_t pool_next_ms(const struct pool *p)
{
	const struct generation *gs[] = {p->now, p->next};
	const struct child *c;
	uint64_t ms = UINT64_MAX;

	for (size_t g = 0; g < ARRAY_LEN(gs) && p->phase == PHASE_RUNNING; g++) {
		for (size_t i = 0; gs[g] && i < gs[g]->nseats; i++)
			ms = earlier(ms, gs[g]->seats[i].restart_ms);
	}
	LIST_FOREACH(c, &p->children, link)
		ms = earlier(ms, c->kill_ms);
	return p->next ? earlier(ms, p->next_deadline_ms) : ms;
}

void pool_child_ready(struct pool *p, struct child *c)
{
	if (c->state != CHILD_STARTING)
		return;
	c->state = CHILD_READY;
	p->board[c->slot].state = CHILD_READY;
	if (p->phase == PHASE_RUNNING && holds_seat(p->now, c->seat))
		cover_vacant(p, p->now);
	if (p->next && pool_generation_ready(p->next))
		reload_switch(p);
}

void pool_child_draining(struct pool *p, struct child *c)
{
	struct generation *g = c->seat ? generation_of(p, c->seat) : NULL;

	if (!g || p->phase != PHASE_RUNNING || c->state != CHILD_READY)
		return;
	log_info("%s %u (%d) was told to end: another takes its place", role_name(c->role), c->index,
	         (int)c->pid);
	c->seat->child = NULL;
	c->seat->restart_ms = clock_mono_ms();
	child_drain(p, g, c);
	cover_vacant(p, g);
}
