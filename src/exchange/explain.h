/* Explanations: where the steps of an exchange turn aside from what would be done. env->explain is set then. */
#ifndef LARDER_EXCHANGE_EXPLAIN_PRIVATE_H
#define LARDER_EXCHANGE_EXPLAIN_PRIVATE_H

#include "exchange/explain.h"
#include "parts.h"

struct explainer {
	struct exchange_explanation *out;
	struct exchange *x; /* its slot */
	const struct http_head *response;
	uint64_t length;
	int err;
};

/* The fill would be started with this plan, for x or behind its back; `joins`: x would share another that runs. */
void explain_fill(struct exchange *x, struct fill *f, const struct request_plan *plan, bool joins);
/* That stretch of what is stored in part would be fetched. */
void explain_missing(struct exchange *x, struct http_range missing);

/* ---- explain_stored.c: what there is ---- */

/* Lists the variants under the key. 0 or negative. */
int explain_variants(struct explainer *ex, struct store *s, const struct http_head *req);
/* What is selected for x now. */
void explain_selected(struct explainer *ex, struct exchange *x);
/* Judges the response that was given. f: what x would fetch. */
void explain_response(struct explainer *ex, struct exchange *x, struct fill *f);

#endif
