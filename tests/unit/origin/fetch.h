/* One transfer with everything that it reported, for tests. */
#ifndef LARDER_TESTS_ORIGIN_FETCH_H
#define LARDER_TESTS_ORIGIN_FETCH_H

#include "base/error.h"
#include "origin/origin.h"

struct fetch;

/* A worker's worth: loop, options with their defaults, room. */
struct rig {
	struct net_loop *loop;
	struct origin_options options;
	struct origin_stats stats;
	struct origin *origin;
	unsigned running;
};
void rig_init(struct rig *r); /* fills the options; then change what the test needs */
void rig_open(struct rig *r); /* makes the room */
void rig_close(struct rig *r);
/* Runs the loop until no fetch is left, or one holds. */
void rig_run(struct rig *r);

struct fetch {
	struct rig *rig;
	struct origin_transfer *transfer;
	struct origin_request req;
	/* What came. */
	struct buf head, body, interims, trailers; /* heads as "status reason|Name: value|…" */
	unsigned status, ninterims, datas, addresses;
	uint64_t length;
	int err;
	char proxy_error[64];
	char detail[300];
	unsigned heads, dones, switches;
	bool head_seen;
	struct origin_info info;
	struct net_stream stream;
	/* What to do. */
	struct view upload;    /* the request's body */
	size_t upload_piece;   /* at most that much a call, 0: all */
	unsigned upload_waits; /* so many LARDER_EAGAIN between the pieces */
	unsigned waits_left;
	int refuse;           /* what the address callback answers */
	unsigned pause_every; /* ORIGIN_PAUSE for every n-th piece, resumed by a timer */
	unsigned pauses;
	bool hold;                    /* stay paused, and leave the loop */
	int head_answer, data_answer; /* what these callbacks return */
	enum {
		CANCEL_NEVER,
		CANCEL_ADDRESS,
		CANCEL_INTERIM,
		CANCEL_HEAD,
		CANCEL_DATA,
		CANCEL_BODY
	} cancel;
	void (*on_done)(struct fetch *f);
	struct net_timer timer;
};

/* GET http://127.0.0.1:port/ with the lines given (NULL-terminated; NULL: Host alone). */
void fetch_init(struct fetch *f, struct rig *r, uint16_t port, const char *const *lines);
void fetch_start(struct fetch *f);
void fetch_fini(struct fetch *f);
/* All three, and the loop between. */
void fetch_run(struct fetch *f);
/* Asserts how it ended; NULL: well. */
void fetch_ended(const struct fetch *f, int err, const char *proxy_error);

#endif
