/* What an operator wants purged: a kind and a text, as larderctl and the control socket have them. */
#ifndef LARDER_MAIN_PURGE_H
#define LARDER_MAIN_PURGE_H

#include "main/range.h"
#include "store/purge.h"

/* Must not be moved: the views point into it. */
struct main_purge {
	struct store_purge what;
	struct main_range range;
};

/* `kind`: url (the beginning of one), host, tag or pattern. 0, or LARDER_EINVAL, … with *why, a sentence (to be freed);
 * to be ended by main_purge_fini either way. The text has to stay. */
int main_purge_parse(struct main_purge *p, struct view kind, struct view text, bool soft, char **why);
void main_purge_fini(struct main_purge *p);

#endif
