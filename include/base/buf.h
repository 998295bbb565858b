/*
 * Bounded byte buffers. The ceiling is given at birth; what would pass it is
 * refused with LARDER_ELIMIT and leaves the buffer as it was. A buffer that has
 * failed once stays failed (buf->err) until buf_reset, so that a run of appends
 * can be checked once at its end.
 */
#ifndef LARDER_BASE_BUF_H
#define LARDER_BASE_BUF_H

#include <stdarg.h>
#include <stdint.h>

#include "base/view.h"

struct buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;
	int err; /* 0, or the first error since buf_reset */
};

/* Makes an empty buffer that may grow to `max` bytes; allocates nothing yet. */
void buf_init(struct buf *b, size_t max);
/* Frees the bytes; the buffer may be used again. */
void buf_fini(struct buf *b);
/* Empties it and clears the error; keeps the memory. */
static inline void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}
/* Makes room for `more` bytes after the content. 0, ENOMEM, ELIMIT. */
int buf_reserve(struct buf *b, size_t more);
/* buf_add where there is no room, or an error before. */
int buf_add_slowly(struct buf *b, const void *data, size_t len);
int buf_addu(struct buf *b, uint64_t n); /* decimal */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Drops the first `n` bytes (n ≤ len), moving the rest to the front. */
void buf_drop(struct buf *b, size_t n);
/* NUL-terminates without counting the NUL; returns data, or NULL on failure. */
char *buf_cstr(struct buf *b);

static inline int buf_add(struct buf *b, const void *data, size_t len)
{
	if (b->err || len > b->cap - b->len)
		return buf_add_slowly(b, data, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

static inline int buf_addv(struct buf *b, struct view v)
{
	return buf_add(b, v.ptr, v.len);
}

static inline int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

static inline struct view buf_view(const struct buf *b)
{
	return (struct view){b->data, b->len};
}

#define BUF_ADD_LIT(b, lit) buf_add((b), (lit), sizeof(lit) - 1)

#endif
