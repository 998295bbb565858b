/* Patterns for URLs: PCRE2 behind views and larder's errors. */
#ifndef LARDER_STORE_PATTERN_H
#define LARDER_STORE_PATTERN_H

#include "base/view.h"

struct pattern;

/* 0, LARDER_ENOMEM, or LARDER_EINVAL with *why (static until the next call; may be NULL). */
int pattern_new(struct view text, struct pattern **out, const char **why);
void pattern_free(struct pattern *p);
/* Does it match somewhere in the text? 1, 0, or LARDER_ELIMIT when it takes too long to say. */
int pattern_match(struct pattern *p, struct view text);

#endif
