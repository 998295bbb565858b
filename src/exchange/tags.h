/* Tags of responses: what exchange's files share about them. */
#ifndef LARDER_EXCHANGE_TAGS_H
#define LARDER_EXCHANGE_TAGS_H

#include "cache/tags.h"
#include "exchange-private.h"
#include "store/purge.h"

/* Is it one whose words are keys? */
bool tags_is_field(const struct exchange_listener *l, struct view field);
/* Fields that only name tags and are not for clients count as hop-by-hop. */
void tags_strip(const struct exchange_listener *l, struct http_head *h);
/* What the response is to be stored under, into f->tags. 0, or LARDER_ELIMIT for more than can be kept. */
int tags_of_response(struct fill *f, const struct http_head *h);
/* The same for a stored response that a 304 has freshened: what that does not speak of stays. */
int tags_of_304(struct fill *f, const struct http_head *h);
/* Appends the keys that the head names, in the fields of the listener: how many, or negative. */
int tags_keys(const struct exchange_listener *l, const struct http_head *h, struct buf *out);
/* Appends the scope of a listener's keys. */
int tags_scope_of(const struct exchange_listener *l, struct view key, struct buf *out);

#endif
