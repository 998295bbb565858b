/* The field lines of a request to an origin, while they are made: what request.c and forwarded.c share. */
#ifndef LARDER_EXCHANGE_REQUEST_H
#define LARDER_EXCHANGE_REQUEST_H

#include "exchange-private.h"

struct request_lines {
	struct view *lines;
	unsigned n;
	int err; /* one line that failed fails the request */
};

/* Adds "name: valuemore", copied into the arena. The array must have room for it. */
void request_line_add(struct request_lines *r, struct arena *arena, const char *name, struct view value,
                      struct view more);

#define FORWARDED_LINES 6 /* forwarded_add adds no more than that */

/* ---- forwarded.c ---- */

/* Is the field one that the listener's options take away, or that forwarded_add makes anew? */
bool forwarded_drops(const struct exchange *x, const struct http_field *f);
/* Adds what the listener's options say of who asked and of the way here: Forwarded (RFC 7239), X-Forwarded-*,
 * Via (RFC 9110 §7.6.3), CDN-Loop (RFC 8586). */
void forwarded_add(struct exchange *x, struct request_lines *r, struct arena *arena);

#endif
