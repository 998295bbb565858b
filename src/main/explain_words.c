/* Verdicts in words, for both forms of an explanation. */
#include "explain-private.h"

#include "base/error.h"

const char *explain_verdict(const struct explained *d)
{
	static const char *const names[] = {
		[EXCHANGE_HIT] = "hit", [EXCHANGE_STALE] = "stale", [EXCHANGE_VALIDATE] = "validate",
		[EXCHANGE_PARTIAL] = "partial", [EXCHANGE_MISS] = "miss", [EXCHANGE_PASS] = "pass",
		[EXCHANGE_OWN] = "answered",
	};

	if (d->fault.status)
		return "refused";
	if (d->e->verdict == EXCHANGE_OWN && d->e->status >= 400)
		return d->e->status >= 500 ? "error" : "refused";
	return names[d->e->verdict];
}

void explain_clause(const char *clause, struct buf *out)
{
	const char *section = strchr(clause, ' ');

	if (section)
		buf_printf(out, "RFC %.*s §%s", (int)(section - clause), clause, section + 1);
	else
		buf_printf(out, "%s", clause);
}

static struct view sentence_of(struct view text)
{
	return view_make(text.ptr, text.len - view_ends(text, V(".")));
}

static void add_row(enum cache_clause c, struct buf *out, const char **clause)
{
	buf_printf(out, "%s", cache_clause_row(c)->text);
	*clause = cache_clause_row(c)->clause;
}

static void add_reason(enum cache_reason r, struct buf *out, const char **clause)
{
	buf_addv(out, sentence_of(view_of(cache_reason_text(r))));
	*clause = cache_reason_clause(r);
}

/* What is sent of what is stored. */
static void add_delivery(const struct exchange_explanation *e, struct buf *out)
{
	if (e->status == 304)
		BUF_ADD_LIT(out, "; by its precondition the request gets 304 (RFC 9110 §13.2.2)");
	else if (e->status == 412)
		BUF_ADD_LIT(out, "; the request's precondition does not hold: 412 (RFC 9110 §13.2.2)");
	else if (e->status == 206)
		BUF_ADD_LIT(out, "; of it the ranges that the request asks for (RFC 9110 §14.2)");
	else if (e->status == 416)
		BUF_ADD_LIT(out, "; the request's ranges lie beyond its end: 416 (RFC 9110 §15.5.17)");
}

static void served(const struct exchange_explanation *e, struct buf *out, const char **clause)
{
	if (e->why == CACHE_USE_OFFLINE) {
		add_reason(e->why, out, clause);
	} else if (e->use == CACHE_VALIDATE) {
		BUF_ADD_LIT(out, "the origin could not be reached lately, and it may stand in for that: ");
		add_row(e->stale_rule, out, clause);
	} else {
		add_row(e->rule, out, clause);
	}
	add_delivery(e, out);
}

static void own(const struct exchange_explanation *e, struct buf *out, const char **clause)
{
	bool cached_only = (e->cc.set & CACHE_CC_ONLY_IF_CACHED) && e->status == 504 && !e->offline;

	buf_addv(out, e->detail.len ? sentence_of(e->detail) : V("larder answers by itself"));
	if (cached_only)
		*clause = "9111 5.2.1.7";
}

/* What is stored is there, and may not be used for such a request. */
static bool is_ruled_out(const struct exchange_explanation *e)
{
	return e->selected && (e->why == CACHE_USE_STALE || e->why == CACHE_USE_REQUEST || e->why == CACHE_USE_NO_CACHE) &&
	       (e->use == CACHE_VALIDATE || e->use == CACHE_TIMEOUT);
}

static void asked(const struct exchange_explanation *e, struct buf *out, const char **clause)
{
	if (is_ruled_out(e)) {
		add_row(e->rule, out, clause);
	} else if (e->why == CACHE_USE_REQUEST) {
		BUF_ADD_LIT(out, "the request's precondition is the origin's to judge");
		*clause = "9111 4.3.2";
	} else {
		add_reason(e->why, out, clause);
	}
	if (e->verdict == EXCHANGE_VALIDATE && !e->confirmable)
		BUF_ADD_LIT(out, "; it has no validator, so it is fetched anew");
	if (e->veto != CACHE_STORE_OK && e->veto != CACHE_STORE_BYPASSED)
		buf_printf(out, "; the answer is not stored: %.*s", VFMT(sentence_of(view_of(cache_reason_text(e->veto)))));
}

void explain_sentence(const struct explained *d, struct buf *out, const char **clause)
{
	size_t from = out->len;

	*clause = "-";
	if (d->fault.status)
		buf_addv(out, sentence_of(view_of(d->fault.text)));
	else if (d->e->verdict == EXCHANGE_HIT || d->e->verdict == EXCHANGE_STALE)
		served(d->e, out, clause);
	else if (d->e->verdict == EXCHANGE_OWN)
		own(d->e, out, clause);
	else
		asked(d->e, out, clause);
	if (out->len > from && out->data[from] >= 'a' && out->data[from] <= 'z')
		out->data[from] -= 'a' - 'A';
}

struct view explain_storing(const struct exchange_judged *j, const char **clause)
{
	*clause = j->confirms ? "9111 4.3.4" : j->replaced ? "9111 4.2.4" : cache_reason_clause(j->storable);
	if (j->confirms)
		return V("It confirms what is stored, which takes its fields over");
	if (j->replaced)
		return V("It is an error, which what is stored stands in for");
	if (!j->part)
		return sentence_of(view_of(cache_reason_text(j->storable)));
	*clause = "9111 3.3";
	return V("It may be stored as a part of its body");
}
