/*
 * Variants under one key that change their place, and the one that any request selects.
 */
#ifndef LARDER_STORE_VARIANTS_H
#define LARDER_STORE_VARIANTS_H

#include "store/store.h"

/* The Vary list and selecting text of a response that has no Vary, where others of its key do. No response has that list;
 * cache_vary_select makes the text of it. */
#define STORE_ANY      V("*")
#define STORE_ANY_TEXT V("*\n")

/* Makes the body of record `id`, which stands under the selecting text `from`, another variant's, too: the one that
 * `record` (head, meta, Vary list, selecting text) describes. Done with LARDER_ENOENT if it is gone. */
int store_alias(struct store *s, const struct store_key *key, const struct store_record *record,
                struct view from, uint64_t id, store_done_fn *done, void *arg);
/* Gives record `id`, which stands where `from`'s Vary list and selecting text say, the place, head, meta and tags of
 * `record`, whose Vary list is another one, and not empty. A part is removed instead. Done with LARDER_ENOENT if it is gone. */
int store_move(struct store *s, const struct store_key *key, const struct store_record *record,
               const struct store_record *from, uint64_t id, store_done_fn *done, void *arg);

#endif
