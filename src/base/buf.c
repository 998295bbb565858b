#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/num.h"

#define BUF_FIRST 256

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.max = b->max};
}

static int buf_fail(struct buf *b, int err)
{
	if (!b->err)
		b->err = err;
	return b->err;
}

int buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST;
	char *data;

	if (b->err)
		return b->err;
	if (more <= b->cap - b->len)
		return 0;
	if (more > b->max - b->len)
		return buf_fail(b, LARDER_ELIMIT);
	while (cap - b->len < more)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	if (cap > b->max)
		cap = b->max;
	data = realloc(b->data, cap);
	if (!data)
		return buf_fail(b, LARDER_ENOMEM);
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_add_slowly(struct buf *b, const void *data, size_t len)
{
	int err = buf_reserve(b, len);

	if (err || !len)
		return err;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

int buf_addu(struct buf *b, uint64_t n)
{
	char text[20];

	if (!b->err && b->cap - b->len >= sizeof(text)) {
		b->len += num_format_u64(n, b->data + b->len);
		return 0;
	}
	return buf_add(b, text, num_format_u64(n, text));
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	size_t room = b->err ? 0 : b->cap - b->len;
	va_list again;
	int n, err;

	va_copy(again, ap);
	n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, again);
	va_end(again);
	if (n < 0)
		return buf_fail(b, LARDER_EINVAL);
	if ((size_t)n < room) {
		b->len += (size_t)n;
		return 0;
	}
	/* vsnprintf writes a NUL after the text; it is not counted, but needs room. */
	err = buf_reserve(b, (size_t)n + 1);
	if (err)
		return err;
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return err;
}

void buf_drop(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
		return;
	}
	if (n) {
		memmove(b->data, b->data + n, b->len - n);
		b->len -= n;
	}
}

char *buf_cstr(struct buf *b)
{
	if (buf_reserve(b, 1))
		return NULL;
	b->data[b->len] = '\0';
	return b->data;
}
