/*
 * The names that a response is kept under besides its URL: cache groups (RFC 9875) and the keys of
 * Surrogate-Key and its kin. Names are appended a line each: a letter that the caller chooses, the name, a newline.
 */
#ifndef LARDER_CACHE_TAGS_H
#define LARDER_CACHE_TAGS_H

#include "base/buf.h"
#include "http/head.h"

#define CACHE_TAG_MAX 1024 /* bytes of a name */

/* A List of Strings (RFC 9875 §2, §3) over all lines of the field: parameters mean nothing, and a field that is no
 * such list is as good as none (RFC 9651 §4.2, §3.1). How many names were appended, LARDER_ELIMIT for one that is
 * too long, or the buffer's error. Names with nothing in them are left out. */
int cache_tags_strings(const struct http_head *h, enum http_name field, char letter, struct buf *out);
/* Words between blanks, over all lines of the field. The same. */
int cache_tags_words(const struct http_head *h, struct view field, char letter, struct buf *out);

#endif
