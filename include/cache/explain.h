/*
 * The rules of cache/rules.h with their reasons: which clause decided, and what numbers it had. Each function
 * here runs the very code of the one that it explains.
 *
 * Vocabulary: *clause* = a row of clauses.def: one rule, with the section that it comes from.
 */
#ifndef LARDER_CACHE_EXPLAIN_H
#define LARDER_CACHE_EXPLAIN_H

#include "cache/rules.h"

enum cache_clause {
#define CLAUSE(id, token, clause, text) CACHE_##id,
#include "cache/clauses.def"
#undef CLAUSE
	CACHE_CLAUSE_COUNT
};

struct cache_clause_row {
	const char *token, *clause, *text; /* clause: "9111 4.2.1 (1)", or "-" */
};
/* Static. */
const struct cache_clause_row *cache_clause_row(enum cache_clause c);

/* The numbers of RFC 9111 §4.2.3, in seconds. */
struct cache_age {
	uint32_t apparent;  /* response_time − Date */
	uint32_t delay;     /* response_time − request_time */
	uint32_t corrected; /* Age + delay */
	uint32_t initial;   /* the greater of apparent and corrected */
	uint32_t resident;  /* now − response_time */
	uint32_t current;   /* what cache_age says */
};
void cache_age_explain(const struct cache_meta *meta, int64_t now, struct cache_age *out);

/* Where a response's lifetime comes from (RFC 9111 §4.2.1, §4.2.2). */
struct cache_lifetime {
	uint32_t seconds;
	enum cache_clause clause; /* CACHE_LIFE_… */
	struct view field;        /* the targeted field that counts (RFC 9213), else empty */
};
/* `res`: the head as received or as stored. */
void cache_lifetime_explain(const struct cache_options *o, const struct http_head *res, int64_t request_time,
                            int64_t response_time, struct cache_lifetime *out);

/* As cache_reuse; *rule: CACHE_RULE_…, which decided. */
enum cache_use cache_reuse_explain(const struct cache_options *o, const struct http_head *req,
                                   const struct cache_control *req_cc, const struct cache_meta *meta,
                                   int64_t now, enum cache_reason *why, enum cache_clause *rule);
/* As cache_stale_on_error; *rule: what allows or forbids it; *allowed: the seconds past its lifetime that this is about,
 * where they count. */
bool cache_stale_on_error_explain(const struct cache_options *o, const struct cache_control *req_cc,
                                  const struct cache_meta *meta, int64_t now, uint32_t default_s,
                                  enum cache_clause *rule, int64_t *allowed);

/* Does cache_head_write keep that field of the response? CACHE_FIELD_KEPT, or why not. */
enum cache_clause cache_field_explain(const struct cache_options *o, const struct http_head *res,
                                      const struct http_field *f);

#endif
