/*
 * Structured fields (RFC 9651): Items, Lists and Dictionaries out of field values, strictly as section 4.2
 * has it. What does not parse to its end is no structured field at all, so look at nothing before the last
 * member has been read.
 *
 * Vocabulary: *member* = of a List or a Dictionary; *bare item* = a value without its parameters; *inner
 * list* = a member in parentheses. Nothing is copied: views lead into the value. The only bound on numbers
 * of members and parameters and on lengths is that of the field's own length.
 */
#ifndef LARDER_HTTP_SF_H
#define LARDER_HTTP_SF_H

#include <stdint.h>

#include "base/buf.h"

enum http_sf_type {
	HTTP_SF_INTEGER,    /* number */
	HTTP_SF_DECIMAL,    /* number, in thousandths */
	HTTP_SF_STRING,     /* text as it stands between the quotes */
	HTTP_SF_TOKEN,      /* text */
	HTTP_SF_BYTES,      /* text: the base64 between the colons */
	HTTP_SF_BOOLEAN,    /* number: 0 or 1 */
	HTTP_SF_DATE,       /* number: seconds since the epoch */
	HTTP_SF_DISPLAY,    /* text as it stands between the quotes */
	HTTP_SF_INNER_LIST, /* text between the parentheses, for http_sf_inner_next */
};

struct http_sf_item {
	enum http_sf_type type;
	int64_t number;
	struct view text;
	struct view params; /* from the first ";" to the last parameter's end, for http_sf_param */
};

/* A whole field value that is an Item. 0, LARDER_EINVAL. */
int http_sf_item(struct view value, struct http_sf_item *out);

/* Where a List or Dictionary has been read to. */
struct http_sf {
	struct view rest;
	bool begun;
};
void http_sf_init(struct http_sf *sf, struct view value);
/* The next member: 1, 0 at the end, LARDER_EINVAL. Of a field with several lines each is a value of its
 * own here (a String that goes over a line's end is refused), and an empty one among them is an error. */
int http_sf_list_next(struct http_sf *sf, struct http_sf_item *out);
/* Of members with one key the last one counts (§4.2.2). A key alone is the Boolean true. */
int http_sf_dict_next(struct http_sf *sf, struct view *key, struct http_sf_item *out);
/* The items of an inner list; *text is advanced. 1, 0 at the end. */
int http_sf_inner_next(struct view *text, struct http_sf_item *out);

/* The parameter of that key (the last one so called, §4.2.3.2): 1 or 0. Inner lists are not values of it. */
int http_sf_param(const struct http_sf_item *item, struct view key, struct http_sf_item *out);
/* Appends what a String, Token, Byte Sequence or Display String means: without escapes, bytes, UTF-8. 0 or
 * the buffer's error. */
int http_sf_decode(const struct http_sf_item *item, struct buf *out);

#endif
