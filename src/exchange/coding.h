/* gzip and deflate: zlib's types stay behind this. */
#ifndef LARDER_EXCHANGE_CODING_H
#define LARDER_EXCHANGE_CODING_H

#include <stdint.h>

#include "base/buf.h"

/* Undoes a content coding piece by piece. */
struct inflater;
/* NULL: out of memory. */
struct inflater *inflater_new(void);
void inflater_free(struct inflater *z); /* NULL is fine */
enum { INFLATE_MORE = 0, INFLATE_END = 1 };
/* Decodes from the front of *in into `room` bytes at dst: *in is what is left of it, *made how many came.
 * INFLATE_MORE: give it more input or more room. INFLATE_END: that was all of the content; what is left of *in
 * is not part of it. LARDER_EPROTO: it is damaged. gzip (of several members, too), zlib, and for "deflate" as some
 * servers have it, a bare deflate stream. */
int inflater_run(struct inflater *z, struct view *in, char *dst, size_t room, size_t *made);

/* Was that all of it, if no more input comes? */
bool inflater_complete(const struct inflater *z);

/* Appends the gzip form of `data` to *out, level 1 (fast) to 9 (small). 0 or the buffer's error: LARDER_ELIMIT where it
 * does not fit. Any thread. */
int gzip_write(struct view data, int level, struct buf *out);

#endif
