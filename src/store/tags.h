/*
 * The table tags: who is stored under a name. Its keys have the hash of the name, that of the scope, and that of the
 * row in entries, so that a name in all scopes, or in one, is one range; the texts themselves stand in
 * the entry, and are compared there.
 */
#ifndef LARDER_STORE_TAGS_H
#define LARDER_STORE_TAGS_H

#include "store/purge.h"
#include "write.h"

#define TAGS_KEY   40 /* 16 of the name, 8 of the scope, 16 of the row */
#define TAGS_SCOPE 24 /* without the row */

struct tags_key {
	unsigned char bytes[TAGS_KEY];
};
struct tags_key tags_key(uint64_t seed, struct view name, uint64_t scope, struct hash128 row);
/* The scope of one of a response's tags, as the table knows it. */
uint64_t tags_scope(uint64_t seed, enum store_tag kind, struct view key, struct view tags);
uint64_t tags_scope_hash(uint64_t seed, struct view scope);
/* How many there are. */
unsigned tags_count(struct view tags);
/* Is the text one that may stand in an entry? */
bool tags_valid(struct view tags);

/* Makes the rows of what is stored under `row` fit its new tags. */
int tags_change(struct write *w, struct hash128 row, struct view key, struct view was, struct view now);

#endif
