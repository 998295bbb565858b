/*
 * A room exchange with everything around it played by the test: clients that record what they are
 * told, an origin and a store that do what the test says and when, access rules, the clock.
 */
#ifndef LARDER_TESTS_EXCHANGE_RIG_H
#define LARDER_TESTS_EXCHANGE_RIG_H

#include "exchange/exchange.h"
#include "unit.h"

#define EPOCH 1767225600 /* "now" at the start: Thu, 01 Jan 2026 00:00:00 GMT */

/* ---- The clock, the rules, the environment ---- */

struct rig {
	struct net_loop *loop;
	int64_t now;
	struct exchange_options options;
	struct exchange_stats stats;
	struct exchange_env *env;
	/* Of another process of the pool, after rig_open_pool. */
	struct exchange_env *other;
	struct board *board;
	struct exchange_listener forward, reverse; /* the latter's origin: http://10.0.0.1:8000/ */
	/* access_destination: NULL lets all pass. */
	bool (*may_reach)(const struct addr *client, const struct addr *dest);
};
extern struct rig rig;
/* For tests that make allocations fail: not those of tests and fakes. 0 inside the room.
 * (volatile: compilers know that malloc looks at nothing of ours.) */
extern volatile unsigned rig_quiet;
#define INTO(call)                                                                                 \
	do {                                                                                       \
		rig_quiet--;                                                                       \
		call;                                                                              \
		rig_quiet++;                                                                       \
	} while (0)
struct store *rig_store(void);
/* The same one, with what is in it. */
struct store *rig_store_now(void);
void rig_store_free(void);
struct origin *rig_origin(void);
void rig_origin_free(void);

void rig_open(void);
/* Two processes, which share the store; peers ask in rig.env. */
void rig_open_pool(void);
void rig_swap(void);
/* Lets the messages between them arrive. */
void rig_settle(void);
/* Frees all, the environment first if it is left; asserts that nothing is left over. */
void rig_close(void);

/* ---- The origin: transfers in the order they were started ---- */

struct far {
	struct origin_handlers h;
	void *arg;
	struct buf request; /* "METHOD target\r\n" and the field lines */
	bool cancelled, done;
	unsigned resumes, wakes;
};
extern unsigned nfars;
extern size_t far_piece; /* as origin_set_piece said last */
struct far *far(unsigned n);
/* The nth transfer's head. The address is 192.0.2.1:80. */
int far_head(unsigned n, const char *text);
void far_interim(unsigned n, const char *text);
int far_data(unsigned n, const char *text);
int far_fill(unsigned n, char c, size_t len);
void far_done(unsigned n, int err);
void far_trailers(unsigned n, const char *lines);
/* Asks for request body; what body returned. */
ssize_t far_body(unsigned n, char *dst, size_t room);
void far_switch(unsigned n, const char *text, int fd);
/* Head, body and end at once. */
void far_answer(unsigned n, const char *head, const char *body);
/* Does the nth request have that line? */
bool far_asked(unsigned n, const char *line);

/* ---- The store ---- */

struct fake_store {
	bool cold;         /* nothing is in memory */
	bool warm_busy;    /* and nothing can be brought there */
	unsigned warming, warmed;
	uint64_t spool_max;   /* a spool takes no more than this */
	uint64_t accepts_max; /* longer ones are not even tried */
	bool files;         /* bodies are files, not inline */
	bool full;          /* spools have to wait for store_make_room */
	bool parts;         /* bodies may be stored in part */
	uint64_t inline_max; /* if they are longer than this */
	bool broken;        /* parts can't be written */
	unsigned extents, parts_completed; /* done so far */
	uint64_t lag;       /* bytes of a spool that are not in its file yet */
	bool no_sharing;    /* no descriptors for other processes */
	bool fail;          /* what is queued for commit is not done */
	bool refuse;        /* commit, update and remove answer LARDER_ENOMEM */
	uint64_t purges;        /* that came so far */
	const char *purged;     /* the key that the last one meant */
	unsigned nrows, commits, updates, aliases, removes, removes_one, spools, hits;
};
extern struct fake_store fake_store;
/* Does what is queued, in its order, and calls back. */
void store_settle(void);
/* Calls those who wait for room. How many. */
unsigned store_make_room(void);

/* ---- Tunnels ---- */
bool connect_waits(void);
void connect_done(int err, int fd);
bool relay_runs(void);
void relay_end(int err);

/* ---- Clients ---- */

enum leave { LEAVE_NEVER, LEAVE_INTERIM, LEAVE_REPLY, LEAVE_DATA, LEAVE_END, LEAVE_ABORT, LEAVE_HOLD,
	     LEAVE_DETACH };

struct peer {
	struct exchange *x;
	struct buf text; /* the request */
	struct http_field fields[64];
	struct http_head head;
	struct http_target target;
	/* What came. */
	struct buf reply, body, interims, trailers;
	unsigned status, replies;
	uint64_t length;
	bool ended, aborted, closes, no_body, detached, held;
	/* What to do. */
	size_t room;      /* bytes of body that it still takes */
	bool prefers_memory;
	uint64_t *pace;   /* exchange_request.pace */
	enum leave leave; /* in which call it ends its exchange */
};

/* Sends a request ("GET http://a/ HTTP/1.1\r\n…", without the blank line) over a listener. */
void peer_ask(struct peer *p, const struct exchange_listener *l, const char *text);
/* GET http://a.example/x with more lines, CRLF each, over the forward listener. */
void peer_get(struct peer *p, const char *more);
void peer_more(struct peer *p, size_t room);
void peer_leave(struct peer *p);
/* Leaves and frees. */
void peer_fini(struct peer *p);
/* Has it got a complete answer of that status and body? */
void peer_got(struct peer *p, unsigned status, const char *body);
/* The value of the first such line of the answer; asserts that it is there. */
struct view peer_field(struct peer *p, const char *name);
bool peer_has(struct peer *p, const char *text);

#define OK_HEAD "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"

#endif
