/*
 * The pool of processes, as the master keeps it; children start with a copy.
 *
 * Vocabulary: *seat* = a place for a child (worker 3, the keeper) that is filled again when its child dies;
 * *generation* = the seats of one plan; *endpoint* = a listening address with its sockets; *slot* = a child's
 * place in shared memory; *channel* = the Unix socket between master and child.
 */
#ifndef LARDER_MAIN_POOL_H
#define LARDER_MAIN_POOL_H

#include <signal.h>
#include <sys/types.h>

#include "channel.h"
#include "main/main.h"
#include "sockets.h"

#define POOL_MAGIC       0x9001e001U
#define POOL_RELOADS_MAX 32 /* reload requests that wait for their answer */

enum role { ROLE_WORKER, ROLE_KEEPER };
enum child_state { CHILD_NONE, CHILD_STARTING, CHILD_READY, CHILD_DRAINING };

/* What the keeper may know of all children: shared memory, written by the master. */
struct board_entry {
	pid_t pid;
	int32_t role, state;
	uint32_t index, generation;
	int64_t started_s; /* wall time */
};

struct seat {
	enum role role;
	unsigned index;
	unsigned failures;   /* deaths in a row soon after a start */
	uint64_t restart_ms; /* when to fill it again; 0: it has a child, or never */
	struct child *child;
};

struct generation {
	struct main_plan *plan;
	unsigned serial;
	struct seat *seats; /* the keeper's first, then the workers' */
	size_t nseats;
};

struct child {
	LIST_ENTRY(child) link;
	pid_t pid;
	int channel;
	enum role role;
	unsigned index;
	size_t slot;
	enum child_state state;
	struct seat *seat;   /* NULL once it drains */
	uint64_t started_ms; /* monotonic */
	uint64_t kill_ms;    /* when patience ends; 0: never */
	unsigned reload_asks; /* answers that it waits for */
};

enum phase {
	PHASE_STARTING,
	PHASE_RUNNING,
	PHASE_QUIETING, /* stopping: the accept queues run empty */
	PHASE_STOPPING, /* workers drain */
	PHASE_LAST,     /* only keepers are left */
};

struct pool {
	uint32_t magic;
	const struct main_args *args;
	enum phase phase;
	pid_t master;
	struct generation *now, *next;
	unsigned generations;
	uint64_t next_deadline_ms; /* when the next generation has to be ready */
	bool reload_again, failed;
	struct generation *retired; /* its workers drain once the accept queues are empty */
	uint64_t quiet_deadline_ms; /* 0: nothing is being retired */
	unsigned quiet_rounds;
	struct sockets sockets;
	LIST_HEAD(, child) children;
	struct stat_map *stats;
	struct main_block *block; /* the master's own */
	struct board_entry *board;
	size_t slots;
	struct store_home *home;
	struct board *flights; /* of the workers */
	char *store_dir, *control, *pid_file;
	int control_fd;
	bool drop;
	uid_t uid;
	gid_t gid;
	uint64_t fd_limit;
	sigset_t mask_before;
	int signal_fd;
};

/* ---- pool.c ---- */

/* Seats for a plan, which it owns from then on. NULL: out of memory (the plan is left alone). */
struct generation *pool_generation_new(struct pool *p, struct main_plan *plan);
void pool_generation_free(struct generation *g);
/* Starts a child on every seat. 0 or negative. */
int pool_generation_start(struct pool *p, struct generation *g);
bool pool_generation_ready(const struct generation *g);
/* Takes the seats away from the children and asks them to drain, or kills them. */
void pool_generation_drain(struct pool *p, struct generation *g);
void pool_generation_kill(struct pool *p, struct generation *g);
/* Reaps what died: restarts, or gives up where a start failed. */
void pool_reap(struct pool *p);
/* Restarts and kills that are due. */
void pool_timers(struct pool *p, uint64_t now_ms);
/* The earliest moment that pool_timers waits for, or UINT64_MAX. */
uint64_t pool_next_ms(const struct pool *p);
void pool_child_ready(struct pool *p, struct child *c);
/* It drains by itself: its seat is filled again at once. */
void pool_child_draining(struct pool *p, struct child *c);
void pool_broadcast(struct pool *p, const struct channel_message *m, const int *fds, size_t nfds);
size_t pool_count(const struct pool *p, enum role role);
/* Lets another worker of the generation accept from socket `fd` of the endpoint. */
void pool_hand_over(struct pool *p, struct generation *g, const struct endpoint *e, size_t socket);

/* ---- reload.c ---- */

/* Begins a reload; `asker` (may be NULL) is told how it went. */
void reload_begin(struct pool *p, struct child *asker);
/* All seats of p->next are ready: switches over. */
void reload_switch(struct pool *p);
/* The next generation failed: goes on with the old one. */
void reload_abandon(struct pool *p, const char *reason);
/* Goes on with retiring sockets; call it every QUIET_STEP_MS while quiet_deadline_ms is set. */
#define QUIET_STEP_MS 10
void reload_quiet_step(struct pool *p, uint64_t now_ms);
void reload_quiet_begin(struct pool *p);

/* ---- worker.c, keeper.c ---- */

/* What a child begins with. */
struct start {
	struct pool *pool;
	struct generation *generation;
	enum role role;
	unsigned index;
	size_t slot;
	int channel;
};
/* The exit status of a child that could not start; it has logged why. */
#define CHILD_START_FAILED 3
_Noreturn void worker_run(const struct start *s);
_Noreturn void keeper_run(const struct start *s);

/* ---- drop.c ---- */

/* Whom the children run as. 0, or negative with *why. */
int drop_resolve(const struct main_options *o, bool *drop, uid_t *uid, gid_t *gid, char **why);
/* Gives up rights for good: ids (if `drop`), capabilities, new privileges. 0 or negative, logged. */
int drop_rights(bool drop, uid_t uid, gid_t gid);

/* ---- notify.c ---- */

enum notify { NOTIFY_READY, NOTIFY_RELOADING, NOTIFY_STOPPING };
void notify_send(enum notify what);
/* The number of sockets that the service manager handed over; they begin at *first. */
int notify_sockets(int *first);

#endif
