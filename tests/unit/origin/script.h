/*
 * A scripted origin: a thread that plays a list of steps on raw sockets of 127.0.0.1, byte for
 * byte, and remembers what it received.
 */
#ifndef LARDER_TESTS_ORIGIN_SCRIPT_H
#define LARDER_TESTS_ORIGIN_SCRIPT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define SCRIPT_CONNS 8

enum script_op {
	ACCEPT = 1, /* a new connection, from now on the current one */
	USE,        /* the n-th accepted (0…) is the current one */
	HEAD,       /* reads to an empty line */
	READ,       /* reads n bytes */
	SEND,       /* text */
	FILL,       /* sends n bytes 'x' */
	RESET,      /* closes with RST */
	CLOSE,
	FINISHED, /* reads on until the peer has closed */
	TELL,     /* script_wait returns */
	AWAIT,    /* waits for script_go */
};

struct step {
	enum script_op op;
	const char *text;
	uint64_t n;
};

struct script {
	pthread_t thread;
	const struct step *steps;
	int listener, tell, go;
	uint16_t port;
	int conns[SCRIPT_CONNS];
	unsigned nconns;
	struct buf got;    /* everything received */
	const char *fault; /* what went wrong, after script_end */
	unsigned at;       /* the step that did */
};

/* `steps` end with one whose op is 0. */
void script_start(struct script *s, const struct step *steps);
void script_wait(struct script *s);
void script_go(struct script *s);
/* Joins the thread and asserts that all steps were played. */
void script_end(struct script *s);
/* Asserts that the bytes received are `text`, with %PORT% standing for the origin's port. */
void script_got(struct script *s, const char *text);

#endif
