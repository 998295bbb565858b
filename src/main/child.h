/* What workers and the keeper share: their beginning and their end of the channel. */
#ifndef LARDER_MAIN_CHILD_H
#define LARDER_MAIN_CHILD_H

#include "pool.h"

/* A child's end of the channel on its loop. */
struct post {
	struct net_loop *loop;
	struct net_poll *poll;
	int fd;
	/* What the child does with a message that is not about logs; fds are its own from then on. */
	void (*fn)(struct post *post, const struct channel_message *m, const int *fds, size_t nfds);
};

/* Listens to the master. 0 or LARDER_ENOMEM. */
int post_open(struct post *post, struct net_loop *loop, int fd,
              void (*fn)(struct post *, const struct channel_message *, const int *, size_t));
void post_close(struct post *post);
void post_send(const struct post *post, enum channel_type type);

/* Closes what a child does not need, drops rights, sees to it that it dies with the master, resets signals, starts
 * the log under `name`. Does not return on failure. */
void child_begin(const struct start *s, const char *name);
/* Logs that a part could not be made, and ends the process. */
_Noreturn void child_fail(const char *what, int err);

#endif
