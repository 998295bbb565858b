/*
 * Message heads (RFC 9110 §5, RFC 9112 §2 to §5). A head is views into the
 * bytes it was parsed from: those must stay in place as long as it is used.
 *
 * Vocabulary: *head* = start line and field section; *field* = one field line,
 * name and value; *fault* = why a message is refused and with which status.
 */
#ifndef LARDER_HTTP_HEAD_H
#define LARDER_HTTP_HEAD_H

#include <stdint.h>

#include "base/view.h"

/* Field names that larder acts on; HTTP_OTHER stands for all others. */
enum http_name {
	HTTP_OTHER = 0,
#define FIELD(id, text, flags) HTTP_##id,
#include "http/fields.def"
#undef FIELD
	HTTP_NAME_COUNT
};

enum http_method {
	HTTP_METHOD_OTHER = 0,
#define METHOD(id, safe, idempotent) HTTP_METHOD_##id,
#include "http/methods.def"
#undef METHOD
};

struct http_field {
	struct view name;
	struct view value; /* without surrounding white space */
	uint16_t id;       /* enum http_name */
	uint16_t hop;      /* set by http_head_mark_hops: not to be forwarded or stored */
};

struct http_head {
	uint8_t minor;   /* of HTTP/1.x */
	uint8_t method;  /* enum http_method; requests */
	uint16_t status; /* responses */
	struct view method_text, target; /* requests */
	struct view reason;              /* responses */
	struct http_field *fields;
	unsigned nfields, cap;
};

struct http_fault {
	uint16_t status;  /* the answer a client gets: 400, 414, 431, 501, 505 */
	const char *text; /* one static sentence that names what was wrong */
};

/* Empties the head; it will fill `fields`, of which there are `cap`. */
void http_head_init(struct http_head *h, struct http_field *fields, unsigned cap);

/* Progress of an incremental parse; zero it for a new message. */
struct http_scan {
	size_t seen;   /* bytes known to hold no end of the line or head */
	size_t fields; /* where the field section begins, once the request line is complete */
};

enum { HTTP_MORE = 0 }; /* outcome: the head is not complete yet */

/* Parses a request head at the start of `data` (all bytes received so far; call
 * again with more). Returns the head's length (> 0), HTTP_MORE, or LARDER_EPROTO
 * or LARDER_ELIMIT (start line over max_line: 414; field section over max_head or over h->cap
 * fields: 431) with *fault filled. RFC 9112 strictly: lines end in CRLF (a bare LF is refused,
 * as §2.2 allows, so that nobody upstream can see other lines than larder), up to 4 empty lines
 * before the request line are skipped, no obs-fold, no space before a colon, no controls. The
 * verdict never depends on how the bytes were split over calls. */
int64_t http_parse_request(struct http_head *h, struct http_scan *scan, struct view data,
                           size_t max_line, size_t max_head, struct http_fault *fault);
/* The same for a whole response head, as collected from the origin (fault->status is 502). Only
 * the space after a status code without a reason phrase may be missing. */
int64_t http_parse_response(struct http_head *h, struct view data, size_t max_head,
                            struct http_fault *fault);
/* Parses field lines only ("Name: value CRLF" …, no blank line): stored heads, trailers. 0 or negative. */
int http_parse_fields(struct http_head *h, struct view data, struct http_fault *fault);

/* The id of a field name, the id of a method token. */
enum http_name http_name_lookup(struct view name);
enum http_method http_method_lookup(struct view token);
bool http_method_safe(enum http_method m);       /* RFC 9110 §9.2.1; OTHER: false */
bool http_method_idempotent(enum http_method m); /* RFC 9110 §9.2.2; OTHER: false */
/* The standard reason phrase, "" when unknown. */
const char *http_reason(unsigned status);

/* First field of that name at or after index `from`; NULL if none. */
const struct http_field *http_find(const struct http_head *h, enum http_name id, unsigned from);
/* The same by name, for names without an id. */
const struct http_field *http_find_text(const struct http_head *h, struct view name, unsigned from);
/* Value of the only field of that name; empty view with ptr NULL if there is none or several. */
struct view http_only(const struct http_head *h, enum http_name id);

/* Walks the members of a list field (RFC 9110 §5.6.1) over all its lines: quoted
 * strings and comments are kept whole (to the end of the line where they have no end), empty
 * members skipped. In If-Match and If-None-Match a backslash escapes nothing (§8.8.3). */
struct http_list {
	const struct http_head *head;
	struct view name; /* for HTTP_OTHER */
	enum http_name id;
	unsigned next;
	struct view rest;
};
void http_list_init(struct http_list *l, const struct http_head *h, enum http_name id);
void http_list_init_text(struct http_list *l, const struct http_head *h, struct view name);
/* false at the end; *member is trimmed. */
bool http_list_next(struct http_list *l, struct view *member);
/* Cuts the next comma-separated member from *rest, as above, for a single value. */
bool http_member_next(struct view *rest, struct view *member);
/* Does the list field hold the token (case-insensitive, parameters ignored)? */
bool http_list_has(const struct http_head *h, enum http_name id, struct view token);

/* Sets `hop` on hop-by-hop fields (RFC 9110 §7.6.1: Connection and what it names, Keep-Alive,
 * Proxy-Connection, TE, Transfer-Encoding, Upgrade). Names that
 * Connection must not name (Content-Length, Host, Cache-Control, …) stay end-to-end. A Connection of
 * more than 128 names makes all other fields hop-by-hop. */
void http_head_mark_hops(struct http_head *h);

#endif
