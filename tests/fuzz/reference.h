/* Slow references for the targets: grammars as POSIX regular expressions, written down from the RFCs' ABNF. */
#ifndef LARDER_TESTS_FUZZ_REFERENCE_H
#define LARDER_TESTS_FUZZ_REFERENCE_H

#include <regex.h>

#include "fuzz.h"

#define REFERENCE_MAX 600 /* longer inputs are not compared: some expressions are slow */

static inline bool reference_fits(struct view text)
{
	return text.len <= REFERENCE_MAX;
}

/* Does the expression, anchored at both ends, match all of the text? `re` is compiled once. */
static inline bool reference_match(regex_t *re, bool *compiled, const char *pattern, struct view text)
{
	char copy[REFERENCE_MAX + 1];

	if (!*compiled) {
		check(regcomp(re, pattern, REG_EXTENDED | REG_NOSUB) == 0);
		*compiled = true;
	}
	check(view_copy(text, copy, sizeof(copy)));
	return strlen(copy) == text.len && regexec(re, copy, 0, NULL, 0) == 0;
}

#define REFERENCE(pattern, text)                                                                   \
	({                                                                                         \
		static regex_t reference_re_;                                                      \
		static bool reference_done_;                                                       \
		reference_match(&reference_re_, &reference_done_, "^(" pattern ")$", text);        \
	})

#endif
