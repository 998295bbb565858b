#include "cache/explain.h"

#include "base/check.h"

struct reason {
	const char *token, *clause, *text;
};

static const struct reason reasons[] = {
#define REASON(id, token, clause, text) {token, clause, text},
#include "cache/reasons.def"
#undef REASON
};

static const struct cache_clause_row clauses[] = {
#define CLAUSE(id, token, clause, text) {token, clause, text},
#include "cache/clauses.def"
#undef CLAUSE
};

static const struct reason *reason(enum cache_reason r)
{
	check((unsigned)r < ARRAY_LEN(reasons));
	return &reasons[r];
}

const char *cache_reason_token(enum cache_reason r)
{
	return reason(r)->token;
}

const char *cache_reason_clause(enum cache_reason r)
{
	return reason(r)->clause;
}

const char *cache_reason_text(enum cache_reason r)
{
	return reason(r)->text;
}

const struct cache_clause_row *cache_clause_row(enum cache_clause c)
{
	check((unsigned)c < ARRAY_LEN(clauses));
	return &clauses[c];
}
