#include "http/framing.h"

#include "base/check.h"
#include "http-private.h"

#define MAX_LINE       4096
#define MAX_EXTENSIONS 65536

/* Where in the coding the next byte stands (RFC 9112 §7.1). */
enum state {
	SIZE_FIRST,
	SIZE_MORE,
	SIZE_SPACE, /* bad white space before an extension */
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER_FIRST,
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	FINAL_LF,
	DONE,
	FAILED,
};

void http_chunked_init(struct http_chunked *c, size_t max_trailers)
{
	*c = (struct http_chunked){.state = SIZE_FIRST};
	buf_init(&c->trailers, max_trailers);
}

void http_chunked_fini(struct http_chunked *c)
{
	buf_fini(&c->trailers);
}

/* A digit of the chunk size. */
static int add_digit(struct http_chunked *c, char byte, struct http_fault *fault)
{
	if (c->left > (uint64_t)INT64_MAX >> 4)
		return http_refuse(fault, 400, "A chunk size is too large.");
	c->left = c->left << 4 | http_hex_value(byte);
	c->state = SIZE_MORE;
	return 0;
}

/* A byte of the size line behind the digits. */
static int size_byte(struct http_chunked *c, char byte, struct http_fault *fault)
{
	if (byte == ';')
		c->state = EXTENSION;
	else if (byte == ' ' || byte == '\t')
		c->state = SIZE_SPACE;
	else if (byte == '\r' && c->state == SIZE_MORE)
		c->state = SIZE_LF;
	else
		return http_refuse(fault, 400, "A chunk size is not a hexadecimal number.");
	return 0;
}

static int extension_byte(struct http_chunked *c, char byte, struct http_fault *fault)
{
	if (byte == '\r') {
		c->state = SIZE_LF;
		return 0;
	}
	if (!http_char_is(byte, HTTP_TEXT))
		return http_refuse(fault, 400, "A chunk extension holds a control character.");
	if (++c->extensions > MAX_EXTENSIONS)
		return http_too_large(fault, 400, "The chunk extensions are too large.");
	return 0;
}

/* The line of a chunk's size. */
static int line_byte(struct http_chunked *c, char byte, struct http_fault *fault)
{
	if (byte == '\n' && c->state == SIZE_LF) {
		c->state = c->left ? DATA : TRAILER_FIRST;
		return 0;
	}
	if (c->state == SIZE_LF)
		return http_refuse(fault, 400, "A chunk size line does not end in CRLF.");
	if (++c->line > MAX_LINE)
		return http_too_large(fault, 400, "A chunk size line is too long.");
	if (c->state == EXTENSION)
		return extension_byte(c, byte, fault);
	if (c->state != SIZE_SPACE && http_char_is(byte, HTTP_HEX))
		return add_digit(c, byte, fault);
	if (c->state == SIZE_FIRST)
		return http_refuse(fault, 400, "A chunk does not begin with its size.");
	return size_byte(c, byte, fault);
}

/* The CRLF behind a chunk's data. */
static int data_end_byte(struct http_chunked *c, char byte, struct http_fault *fault)
{
	if (byte != (c->state == DATA_CR ? '\r' : '\n'))
		return http_refuse(fault, 400, "The data of a chunk is not followed by CRLF.");
	if (c->state == DATA_CR) {
		c->state = DATA_LF;
		return 0;
	}
	c->state = SIZE_FIRST;
	c->line = 0;
	return 0;
}

static int keep_trailer(struct http_chunked *c, char byte, struct http_fault *fault)
{
	int err = buf_addc(&c->trailers, byte);

	if (err == LARDER_ELIMIT)
		return http_too_large(fault, 431, "The trailer section is too large.");
	if (err)
		*fault = (struct http_fault){500, "Out of memory for the trailer section."};
	return err;
}

/* What state a byte of the trailer section leads to; FAILED if it may not stand there. */
static enum state trailer_next(enum state state, char byte)
{
	switch (state) {
	case TRAILER_FIRST:
		if (byte == '\r')
			return FINAL_LF;
		return http_char_is(byte, HTTP_TCHAR) ? TRAILER_NAME : FAILED;
	case TRAILER_NAME:
		if (byte == ':')
			return TRAILER_VALUE;
		return http_char_is(byte, HTTP_TCHAR) ? TRAILER_NAME : FAILED;
	case TRAILER_VALUE:
		if (byte == '\r')
			return TRAILER_LF;
		return http_char_is(byte, HTTP_TEXT) ? TRAILER_VALUE : FAILED;
	case TRAILER_LF:
		return byte == '\n' ? TRAILER_FIRST : FAILED;
	case FINAL_LF:
		return byte == '\n' ? DONE : FAILED;
	default:
		return FAILED;
	}
}

/* The trailer section (RFC 9112 §7.1.2), as strict as the fields of a head. */
static int trailer_byte(struct http_chunked *c, char byte, struct http_fault *fault)
{
	enum state next = trailer_next((enum state)c->state, byte);

	if (next == FAILED)
		return http_refuse(fault, 400, "A line of the trailer section is malformed.");
	c->state = (uint16_t)next;
	c->done = next == DONE;
	return next == FINAL_LF || next == DONE ? 0 : keep_trailer(c, byte, fault);
}

static int next_byte(struct http_chunked *c, char byte, struct http_fault *fault)
{
	if (c->state <= SIZE_LF)
		return line_byte(c, byte, fault);
	if (c->state <= DATA_LF)
		return data_end_byte(c, byte, fault);
	if (c->state <= FINAL_LF)
		return trailer_byte(c, byte, fault);
	return http_refuse(fault, 400, "The chunked coding was faulty before.");
}

/* As much of the current chunk's data as there is. */
static void take_data(struct http_chunked *c, struct view *in, struct view *data)
{
	size_t n = in->len < c->left ? in->len : (size_t)c->left;

	*data = view_make(in->ptr, n);
	*in = view_from(*in, n);
	c->left -= n;
	if (!c->left)
		c->state = DATA_CR;
}

int http_chunked_next(struct http_chunked *c, struct view *in, struct view *data,
                      struct http_fault *fault)
{
	int err;

	while (in->len && c->state != DONE) {
		if (c->state == DATA) {
			take_data(c, in, data);
			return 1;
		}
		err = next_byte(c, in->ptr[0], fault);
		if (err) {
			c->state = FAILED;
			return err;
		}
		*in = view_from(*in, 1);
	}
	return 0;
}

size_t http_chunk_head(uint64_t len, char *dst)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;

	for (unsigned shift = 60; shift; shift -= 4) {
		if (n || len >> shift)
			dst[n++] = digits[len >> shift & 15];
	}
	dst[n++] = digits[len & 15];
	dst[n++] = '\r';
	dst[n++] = '\n';
	return n;
}
