/* Fetches that wait until the writer has made room for what they bring. */
#include "log/log.h"
#include "store-private.h"

#define STILL_FACTOR 3 /* of store_wait: a busy disk may take so long for a commit */

static const char *const waited_for[WAIT_KINDS] = {"the writer", "room"};

void wait_moved(struct store *s, enum wait_for what)
{
	s->waits.since_ms[what] = 0;
	s->waits.hopeless[what] = false;
}

bool wait_allowed(const struct store_spool *sp, enum wait_for what, size_t bytes)
{
	const struct store *s = sp->store;

	return !s->waits.hopeless[what] && sp->waited < s->options->store_wait &&
	       sp->length + bytes <= room_for_spools(s->pool);
}

void wait_cancel(struct store_spool *sp)
{
	struct store *s = sp->store;

	if (!sp->waits)
		return;
	TAILQ_REMOVE(sp->waits, sp, wait);
	sp->waits = NULL;
	sp->waited += net_loop_now_ms(s->loop) - sp->wait_since;
	__atomic_sub_fetch(&s->waits.n, 1, __ATOMIC_RELAXED);
	stat_sub(&s->stats->waiting, 1);
}

void store_spool_wait(struct store_spool *sp, store_ready_fn *ready, void *arg)
{
	enum wait_for what = sp->sha ? WAIT_ROOM : WAIT_QUEUE;
	struct store *s = sp->store;
	uint64_t left;

	wait_cancel(sp);
	if (!ready)
		return;
	sp->waits = &s->waits.lists[what];
	sp->ready = ready;
	sp->ready_arg = arg;
	sp->wait_since = net_loop_now_ms(s->loop);
	if (!s->waits.since_ms[what])
		s->waits.since_ms[what] = sp->wait_since;
	TAILQ_INSERT_TAIL(sp->waits, sp, wait);
	__atomic_add_fetch(&s->waits.n, 1, __ATOMIC_RELAXED);
	stat_add(&s->stats->waits, 1);
	stat_add(&s->stats->waiting, 1);
	left = sp->waited < s->options->store_wait ? s->options->store_wait - sp->waited : 0;
	if (!net_timer_active(&s->waits.timer) || s->waits.timer.due_ms > sp->wait_since + left)
		net_timer_set(&s->waits.timer, left);
	writer_kick(s, 0);
}

static void call(struct store_spool *sp)
{
	wait_cancel(sp);
	sp->ready(sp->ready_arg);
}

/* Those who wait again meanwhile stand behind the present ones. */
static void serve(struct store *s, enum wait_for what)
{
	struct spool_list *list = &s->waits.lists[what];
	struct store_spool *sp, *last = TAILQ_LAST(list, spool_list);
	uint32_t most = s->waits.n;

	while (last && most-- && (sp = TAILQ_FIRST(list))) {
		if (!s->waits.hopeless[what] && !spool_has_room(sp, sp->ask))
			return;
		call(sp);
	}
}

void waits_serve(struct store *s, bool failing)
{
	for (enum wait_for what = 0; what < WAIT_KINDS; what++) {
		if (failing)
			s->waits.hopeless[what] = true;
		serve(s, what);
	}
}

/* Moves those whose time is up to a list of their own; *next: when that of another one is. */
static bool take_late(struct store *s, struct spool_list *list, struct spool_list *late,
                      uint64_t *next)
{
	uint64_t now = net_loop_now_ms(s->loop);
	struct store_spool *sp, *following;

	TAILQ_FOREACH_SAFE (sp, list, wait, following) {
		uint64_t waited = sp->waited + now - sp->wait_since, left;

		left = waited < s->options->store_wait ? s->options->store_wait - waited : 0;
		if (left) {
			*next = left < *next ? left : *next;
			continue;
		}
		TAILQ_REMOVE(list, sp, wait);
		TAILQ_INSERT_TAIL(late, sp, wait);
		sp->waits = late;
	}
	return !TAILQ_EMPTY(late);
}

/* However long nobody wanted anything of it: its time counts from when the first began to wait. */
static bool stands_still(const struct store *s, enum wait_for what)
{
	uint64_t since = s->waits.since_ms[what];

	return since &&
	       net_loop_now_ms(s->loop) - since >= STILL_FACTOR * s->options->store_wait;
}

static void time_up(struct net_timer *t)
{
	struct store *s = container_of(t, struct store, waits.timer);
	static uint64_t told;
	uint64_t next = UINT64_MAX;

	for (enum wait_for what = 0; what < WAIT_KINDS; what++) {
		struct spool_list late = TAILQ_HEAD_INITIALIZER(late);
		struct store_spool *sp;

		if (!take_late(s, &s->waits.lists[what], &late, &next))
			continue;
		log_limited(&told, LOG_L_WARNING, "store: fetches have waited for %s for too long",
		            waited_for[what]);
		/* Where nothing moves at all, nobody else is to wait for it. */
		s->waits.hopeless[what] = stands_still(s, what);
		while ((sp = TAILQ_FIRST(&late)))
			call(sp);
		serve(s, what);
	}
	if (next != UINT64_MAX && waits_any(s))
		net_timer_set(t, next);
}

void waits_init(struct store *s)
{
	for (enum wait_for what = 0; what < WAIT_KINDS; what++)
		TAILQ_INIT(&s->waits.lists[what]);
	if (s->loop)
		net_timer_init(&s->waits.timer, s->loop, time_up);
}

void waits_fini(struct store *s)
{
	if (s->loop)
		net_timer_stop(&s->waits.timer);
}
