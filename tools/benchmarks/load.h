/* The load generator's parts: what to do, what came of it, and one connection's life. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "histogram.h"

enum {
	LOAD_HEAD_MAX = 16384, /* the longest answer head */
	LOAD_REQUEST_MAX = 1024,
	LOAD_TARGET_MAX = 256,
};

enum load_order { LOAD_FIXED, LOAD_RANDOM, LOAD_SEQUENCE };

struct load_plan {
	uint16_t port;
	unsigned connections;
	double seconds;    /* 0: until requests are done */
	uint64_t requests; /* 0: until seconds are over */
	double rate; /* requests a second, however long answers take; 0: as fast as answers come */
	enum load_order order;
	uint64_t first, span; /* numbers of the URLs */
	const char *target;   /* one # in it stands for the number */
	const char *field;    /* a header line to add, or "" */
	bool close;      /* a new connection for each request, each from another address of 127/8 */
	bool check_body; /* bodies begin with their target */
	unsigned status; /* the expected one */
	uint64_t size;   /* the expected length of bodies */
};

struct load_result {
	uint64_t done, bytes, reconnects;
	uint64_t bad_status, bad_length, bad_body, bad_head, failed;
	uint64_t first_bad_status;
	struct histogram latency;
};

struct load_conn {
	int fd;
	bool busy, fresh; /* fresh: nothing was answered on this connection yet */
	bool in_body, server_closes;
	uint64_t due, number, body_left;
	size_t in_len, out_len, out_done;
	unsigned tries, status;
	uint64_t length;
	char in[LOAD_HEAD_MAX];
	char out[LOAD_REQUEST_MAX];
	char target[LOAD_TARGET_MAX];
	size_t target_len;
};

extern struct load_plan load_plan;
extern struct load_result load_result;

uint64_t load_now(void); /* nanoseconds */

/* Begins a request that was due at a time. */
void load_conn_start(struct load_conn *c, uint64_t number, uint64_t due);

/* Goes on with what the socket says. Once the request is done, c->busy is false and load_result
 * says how it went. */
void load_conn_event(struct load_conn *c, unsigned events);

/* The set that connections add themselves to. */
extern int load_epoll;

#endif
