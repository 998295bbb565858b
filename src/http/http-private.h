/* What the files of room http share: character classes and how a fault is told. */
#ifndef LARDER_HTTP_PRIVATE_H
#define LARDER_HTTP_PRIVATE_H

#include "base/error.h"
#include "http/head.h"

enum {
	HTTP_TCHAR = 1 << 0,      /* RFC 9110 §5.6.2 */
	HTTP_TEXT = 1 << 1,       /* HTAB, SP, VCHAR, obs-text: RFC 9110 §5.5 */
	HTTP_URI = 1 << 2,        /* may stand in a request target: VCHAR and obs-text, no "#" */
	HTTP_UNRESERVED = 1 << 3, /* RFC 3986 §2.3 */
	HTTP_ETAGC = 1 << 4,      /* RFC 9110 §8.8.3 */
	HTTP_HEX = 1 << 5,
	HTTP_DIGIT = 1 << 6,
	HTTP_ALPHA = 1 << 7,
};

extern const uint8_t http_chars[256];

static inline bool http_char_is(char c, unsigned classes)
{
	return (http_chars[(unsigned char)c] & classes) != 0;
}

/* The value of a hexadecimal digit. */
static inline unsigned http_hex_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* How many leading bytes of `v` are of one of the classes. */
static inline size_t http_span(struct view v, unsigned classes)
{
	size_t n = 0;

	while (n < v.len && http_char_is(v.ptr[n], classes))
		n++;
	return n;
}

/* Are all bytes HTTP_TEXT? Eight at a time. */
bool http_is_text(struct view v);

/* Fills the fault; returns LARDER_EPROTO, so that a parser can return it. */
static inline int http_refuse(struct http_fault *fault, uint16_t status, const char *text)
{
	*fault = (struct http_fault){status, text};
	return LARDER_EPROTO;
}

static inline int http_too_large(struct http_fault *fault, uint16_t status, const char *text)
{
	*fault = (struct http_fault){status, text};
	return LARDER_ELIMIT;
}

/* What name hashing looks at; gen-names finds the multiplier that keeps all names apart. */
static inline uint32_t http_name_hash(const char *name, size_t len, uint32_t multiplier)
{
	uint32_t first = (unsigned char)name[0] | 0x20;
	uint32_t mid = (unsigned char)name[len / 2] | 0x20;
	uint32_t last = (unsigned char)name[len - 1] | 0x20;

	return (((uint32_t)len | first << 8 | mid << 16 | last << 24) * multiplier) >> 24;
}

#endif
