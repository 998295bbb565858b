/* A small epoll server for benchmarks: it takes requests apart, a program says what to answer. One
 * thread, keep-alive, pipelining, any number of connections. Shared by the bare responder and the
 * origin. */
#ifndef BENCH_SERVE_H
#define BENCH_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
	SERVE_SIZE_MAX = 64 << 20, /* the largest body that there is */
	SERVE_HEAD_MAX = 1024,     /* the largest answer head */
	SERVE_TARGET_MAX = 256,    /* longer targets are cut */
};

struct serve_request {
	const char *target; /* not terminated */
	size_t target_len;
	uint64_t size; /* from a target of the form /SIZE/anything; 0 where there is none */
	bool has_if_none_match;
};

/* What to send: up to three pieces. The first may be made in scratch, which belongs to the
 * connection; the others have to live as long as the process. */
struct serve_answer {
	struct iovec iov[3];
	int count;
	char *scratch;     /* SERVE_HEAD_MAX bytes */
	unsigned delay_ms; /* before it is sent; the same for all answers that have one */
};

/* Says what to answer to a request, by filling iov and count of the answer. */
typedef void serve_answer_fn(const struct serve_request *r, struct serve_answer *a);

/* Bytes for bodies: SERVE_SIZE_MAX of them, the same in every run. */
const char *serve_pattern(void);

/* The current date as in a Date field, renewed once a second. */
const char *serve_date(void);

/* Listens on 127.0.0.1:port and serves until SIGTERM. Prints "ready" once it listens. Returns an
 * exit status. */
int serve_run(uint16_t port, serve_answer_fn *answer);

/* The port given on the command line, as in `program PORT`; ends the process with a message if it
 * is wrong. */
uint16_t serve_port(int argc, char **argv);

#endif
