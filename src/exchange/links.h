/*
 * Connections between the processes of the pool, for flights.
 *
 * Vocabulary: *link* = one connection; *ours* = links that we opened, to owners of flights that we
 * follow; *theirs* = links that followers of our flights opened.
 *
 * Messages arrive whole and in order, with their descriptors. A link that broke tells so once; its
 * member may have died, or could not be kept up with.
 */
#ifndef LARDER_EXCHANGE_LINKS_H
#define LARDER_EXCHANGE_LINKS_H

#include "base/view.h"
#include "board.h"

#define LINK_FDS 2

struct net_loop;
struct links;
struct link;

struct link_message {
	uint32_t type;  /* the user's */
	uint32_t value;
	uint64_t id;    /* of a flight */
	uint64_t whom;  /* a number of the follower's for itself */
};

struct link_handlers {
	/* The payload is valid during the call; descriptors are the callee's if it sets them to -1. */
	void (*message)(void *arg, struct link *l, const struct link_message *m, struct view payload,
	                int fds[LINK_FDS], unsigned nfds);
	/* The link is gone after the call; it may come from within link_send and links_to. */
	void (*gone)(void *arg, struct link *l);
};

/* Enters the board and listens. NULL: out of memory, descriptors or places. */
struct links *links_new(struct net_loop *loop, struct board *board, const struct link_handlers *h,
                        void *arg);
/* Cuts all links (`gone` is called for each), leaves the board. */
void links_free(struct links *ls);
struct board_member links_me(const struct links *ls);

/* The link to a member, opened if need be. NULL: it does not run any more (then its flights are off
 * the board), or there is no descriptor. */
struct link *links_to(struct links *ls, struct board_member m);
/* Sends, or queues what the socket does not take; descriptors stay the caller's. 0, or negative: the
 * link will be `gone`, soon and from the loop. */
int link_send(struct link *l, const struct link_message *m, struct view payload, const int *fds,
              unsigned nfds);
/* The user's, to be hung on it. NULL at first. */
void **link_user(struct link *l);

#endif
