/*
 * Fills that several processes read from: what exchange's files share about it.
 *
 * Vocabulary: *owner* = the process that fetches; *follower* = a fill of another process that reads
 * what the owner receives; it has no transfer and no spool, but the owner's file.
 */
#ifndef LARDER_EXCHANGE_SHARE_H
#define LARDER_EXCHANGE_SHARE_H

#include "exchange-private.h"
#include "links.h"

#define SHARE_KEY_MAX 32768 /* longer keys are not shared */

enum share_type {
	SHARE_JOIN,  /* to the owner; payload: the key's text */
	SHARE_LEAVE, /* to the owner: its file is closed */
	SHARE_HEAD,  /* payload: struct share_head and the texts */
	SHARE_FILE,  /* a descriptor: the body is in it, from its first byte on; value: its turn */
	SHARE_GROWN,
	SHARE_END,   /* payload: struct share_end and the texts */
	SHARE_ASK,   /* to the owner, which has been silent: does it still run? */
	SHARE_HERE,  /* the answer */
	SHARE_GONE,  /* nothing to follow (any more); value: enum share_gone */
};
enum share_gone { SHARE_LOOK_AGAIN, SHARE_NOT_FOR_OTHERS };

/* One binary's processes talk to each other: structs go as they are. */
struct share_head {
	struct cache_meta meta;
	struct origin_info info;
	uint64_t length, old_id;
	uint32_t status, revalidated;
	uint32_t nhead, nvary, nselecting, ntags; /* bytes of the texts behind it */
};

struct share_end {
	uint64_t received;
	int32_t err;
	uint32_t mismatch, origin_failed, answered;
	uint32_t nproxy_error, ndetail, ntrailers;
};

/* A process that follows one of our fills. */
struct follower {
	LIST_ENTRY(follower) entry;
	struct link *link;
	uint64_t number; /* its own, which all messages to it carry: the one before it may have left the same flight */
	uint32_t turn; /* of the file that it was given; 0: none yet */
	bool told;     /* all that there is to tell: it reads, and holds the spool until it leaves */
};

/* What a following fill knows of its owner. */
struct follow {
	struct link *link; /* NULL: broken, or left */
	uint64_t number;   /* differs for all that this process has followed */
	int fd;            /* -1: not passed yet */
	uint32_t turn;     /* of that file */
	uint64_t received; /* in it, as last looked */
	bool over;         /* nothing more comes from the owner */
	struct fill *fill;
	struct net_timer timer;
	bool heard;        /* from the owner, since the timer last went off */
	unsigned asked;    /* questions that it has not answered */
};

/* What the board says of a body: its file's turn above its length there. Grows like the length. */
#define SHARE_LENGTH_BITS 56
static inline uint64_t share_pack(uint32_t turn, uint64_t length)
{
	return (uint64_t)turn << SHARE_LENGTH_BITS | length;
}

/* share.c: the owner's side */

/* Finds or opens the flight for x's key; f->flight says which. */
enum { SHARE_OURS, SHARE_THEIRS, SHARE_NOT };
int share_claim(struct fill *f, struct exchange *x);
/* Does any process fetch what may be for x? Nothing is joined. */
bool share_under_way(struct exchange *x);
/* The head is there, or its outcome: who follows is told. */
void share_publish(struct fill *f);
/* More can be read. */
void share_grown(struct fill *f);
/* The origin is done, well or badly. */
void share_ended(struct fill *f);
/* Nobody joins any more. */
void share_shut(struct fill *f);
/* Off the board; who follows and has not been told all looks again. */
void share_drop(struct fill *f);
/* The fill ends. */
void share_fini(struct fill *f);
/* The process ends, and the store has still to call back: it stays on the board, shut. */
void share_orphan(struct fill *f);
/* The fill fetches by itself, or not at all: the flight that it found is left to its owner. */
void share_unclaim(struct fill *f);
/* Notes which invalidations came before a fetch that is not on the board. */
void share_mark(struct fill *f);
/* Differs from f->mark once an unsafe request of another process has outdated it. NULL: there is none. */
const uint32_t *share_revoked(const struct fill *f);
/* Did one, or a purge of many that means it? */
bool share_invalid(const struct fill *f);
/* Messages from followers. */
void share_joined(struct exchange_env *env, struct link *l, const struct link_message *m, struct view key);
/* One wants to know whether this process still runs. f: the flight's, or NULL. */
void share_asked(struct fill *f, struct link *l, const struct link_message *m);
/* The follower behind that link left. true: there was one; the fill may be gone now. */
bool share_lost(struct fill *f, struct link *l);
struct fill *share_find(struct exchange_env *env, uint64_t id);

/* follow.c: the follower's side */

/* Asks the owner. 0, or negative: it can't be reached. */
int follow_begin(struct fill *f);
/* The last reader left. */
void follow_leave(struct fill *f);
bool follow_current(const struct fill *f);
void follow_read(struct fill *f, uint64_t offset, struct store_piece *piece);
uint64_t follow_received(const struct fill *f);
void follow_fini(struct fill *f);
void follow_message(struct fill *f, const struct link_message *m, struct view payload,
                    int fds[LINK_FDS], unsigned nfds);
/* The owner is gone. */
void follow_lost(struct fill *f);

#endif
