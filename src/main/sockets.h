/*
 * The listening sockets of the pool. An address has one SO_REUSEPORT socket per worker, made once and kept over
 * reloads: closing one would reset the clients that are queued on it. Sockets that a service manager handed
 * over stand alone, and all workers accept from them.
 */
#ifndef LARDER_MAIN_SOCKETS_H
#define LARDER_MAIN_SOCKETS_H

#include "main/main.h"

#define SOCKETS_MAX 4096 /* per address */

struct endpoint {
	struct addr addr;
	bool activated; /* handed over by the service manager */
	bool retiring;  /* no longer wanted; takes nobody new */
	int *fds;
	size_t n;
	size_t fresh;   /* the last ones, opened by a sockets_open that is not yet committed */
	uint64_t id;    /* socket i is named id + i */
};

struct sockets {
	struct endpoint *v;
	size_t n;
	uint64_t next_id;
};

/* Takes over the sockets of the service manager. 0 or LARDER_ENOMEM. */
int sockets_activate(struct sockets *s);
/* Opens what the plan needs beyond what there is. 0, or negative with *why (then nothing was opened). */
int sockets_open(struct sockets *s, const struct main_plan *plan, char **why);
/* The plan runs: its sockets stay. */
void sockets_commit(struct sockets *s);
/* Names sockets of the service manager that no listener of the plan takes. */
void sockets_warn_unused(const struct sockets *s, const struct main_plan *plan);
/* Closes what the last sockets_open opened at addresses that `keep` (may be NULL) has not. */
void sockets_rollback(struct sockets *s, const struct main_plan *keep);
/* Does worker `index` of `workers` accept from socket `i`? */
bool sockets_serves(const struct endpoint *e, size_t i, unsigned index, unsigned workers);
/* Stops new connections at addresses that the plan (NULL: none) has not; those that wait can still be
 * accepted. Returns the number of such endpoints. */
size_t sockets_retire(struct sockets *s, const struct main_plan *plan);
/* Does nobody wait at the retiring endpoints any more? */
bool sockets_quiet(const struct sockets *s);
/* Closes the retiring endpoints. */
void sockets_close_retired(struct sockets *s);
size_t sockets_count(const struct sockets *s);
void sockets_fini(struct sockets *s);

#endif
