/* Message body framing (RFC 9112 §6, §7): how long a body is, chunked coding both ways. */
#ifndef LARDER_HTTP_FRAMING_H
#define LARDER_HTTP_FRAMING_H

#include "base/buf.h"
#include "http/head.h"

#define HTTP_LENGTH_UNKNOWN UINT64_MAX

enum http_framing {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,  /* *length bytes (may be 0) */
	HTTP_BODY_CHUNKED,
	HTTP_BODY_CLOSE,   /* responses: until the connection closes */
};

/* How the request's body is framed. Refuses (LARDER_EPROTO and *fault, 400 or 501)
 * Content-Length with Transfer-Encoding, repeated or malformed lengths, codings other than a
 * single final chunked, Transfer-Encoding in HTTP/1.0, CONNECT with content. */
int http_request_framing(const struct http_head *h, enum http_framing *framing, uint64_t *length,
                         struct http_fault *fault);
/* The same for a response to a request with `method`, as strict (fault->status is 502). With
 * HTTP_BODY_NONE *length is 0, but for HEAD and 304 the Content-Length (HTTP_LENGTH_UNKNOWN without);
 * it is HTTP_LENGTH_UNKNOWN for CHUNKED (of requests too) and CLOSE. */
int http_response_framing(const struct http_head *h, enum http_method method,
                          enum http_framing *framing, uint64_t *length, struct http_fault *fault);
/* Does the connection persist after this message (RFC 9112 §9.3)? An HTTP/1.0 request's keep-alive
 * counts in origin-form only, because another proxy may have passed it on unknowingly. */
bool http_keeps_alive(const struct http_head *h);

/* Incremental decoder of the chunked coding. Limits: chunk-size line with its
 * extensions 4096 bytes, all extensions of a body 64 KiB, trailer section as given. */
struct http_chunked {
	uint64_t left; /* of the current chunk's data */
	uint32_t line; /* bytes of the current size line */
	uint32_t extensions;
	uint16_t state;
	bool done;
	struct buf trailers; /* field lines as received, CRLF each */
};

void http_chunked_init(struct http_chunked *c, size_t max_trailers);
void http_chunked_fini(struct http_chunked *c);
/* Consumes from *in (advances it) until there is body data: returns 1 with *data
 * (a view into the input), 0 when the input is used up or the body is complete
 * (c->done), LARDER_EPROTO / LARDER_ELIMIT / LARDER_ENOMEM with *fault. What has failed stays failed.
 * Trailer fields are checked for syntax only: what may be forwarded or merged is the caller's
 * matter (RFC 9110 §6.5.1). */
int http_chunked_next(struct http_chunked *c, struct view *in, struct view *data,
                      struct http_fault *fault);
/* The head of a chunk of `len` bytes ("1f40\r\n") into dst (at least 20 bytes); its length. */
size_t http_chunk_head(uint64_t len, char *dst);

#endif
