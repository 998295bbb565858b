/* What the files that make explanations share. */
#ifndef LARDER_MAIN_EXPLAIN_PRIVATE_H
#define LARDER_MAIN_EXPLAIN_PRIVATE_H

#include "main/explain.h"

struct explained {
	const struct main_question *question;
	const struct exchange_listener *listener;
	bool running;                         /* a daemon was asked */
	struct http_fault fault;              /* status 0: none, and then: */
	const struct exchange_explanation *e;
};

/* "hit", "stale", …: static. */
const char *explain_verdict(const struct explained *d);
/* Appends a sentence, without its full stop, that says why; *clause: its section as in cache_clause_row, "-" or NULL for none. */
void explain_sentence(const struct explained *d, struct buf *out, const char **clause);
/* Appends "RFC 9111 §4.2" for "9111 4.2". */
void explain_clause(const char *clause, struct buf *out);
/* Why the response that was given is stored or is not. */
struct view explain_storing(const struct exchange_judged *j, const char **clause);

int explain_text(const struct explained *d, struct buf *out);
int explain_json(const struct explained *d, struct buf *out);

#endif
