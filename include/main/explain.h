/* larderctl explain: what is asked, and the answer's text, beside a daemon (the keeper makes it) and without one. */
#ifndef LARDER_MAIN_EXPLAIN_H
#define LARDER_MAIN_EXPLAIN_H

#include "exchange/explain.h"
#include "main/main.h"

struct main_question {
	bool json;
	struct view listener; /* its name, its address, or its kind; empty: the first that such a URL would be sent to */
	struct view client;   /* an IP address; empty: loopback */
	struct view method, url;
	struct view fields;   /* "Name: value" lines, CRLF each */
	struct view response; /* a response head, or empty */
};

/* Appends it as one line for the control socket, and takes it apart again (into the arena). 0 or negative. */
int main_question_write(const struct main_question *q, struct buf *out);
int main_question_read(struct view line, struct arena *a, struct main_question *q);

/* Where the answer comes from. */
struct main_explainer {
	struct net_loop *loop;
	const struct main_plan *plan;
	const struct exchange_listener *listeners; /* the plan's */
	struct store *store;                       /* may be NULL */
	struct board *board;                       /* NULL: no daemon runs */
};
/* Appends the answer. 0, or negative with a sentence in *out. */
int main_explain(const struct main_explainer *m, const struct main_question *q, struct buf *out);

#endif
