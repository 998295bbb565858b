/* An explanation for people: a fact a line, the verdict last. */
#include "explain-private.h"

#include <inttypes.h>
#include <stdio.h>

#include "http/framing.h"
#include "store/purge.h"
#include "store/variants.h"

#define EXTENTS_SHOWN 16

/* Texts of strangers: what a terminal had better not see as \xHH, line ends as ", ". */
static void put(struct buf *out, struct view text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\n')
			buf_addv(out, i + 1 < text.len ? V(", ") : V(""));
		else if (c == '\r')
			continue;
		else if (c < ' ' || c >= 0x7f)
			buf_printf(out, "\\x%02x", (unsigned)c);
		else
			buf_addc(out, (char)c);
	}
}

static void label(struct buf *out, const char *name)
{
	buf_printf(out, "%-13s", name);
}

static void put_line(struct buf *out, const char *name, struct view text)
{
	label(out, name);
	put(out, text);
	buf_addc(out, '\n');
}

/* " (RFC 9111 §4.2)" and the line's end. */
static void end_line(struct buf *out, const char *clause)
{
	if (clause && *clause != '-') {
		BUF_ADD_LIT(out, " (");
		explain_clause(clause, out);
		buf_addc(out, ')');
	}
	buf_addc(out, '\n');
}

static void put_date(struct buf *out, int64_t t)
{
	char date[HTTP_DATE_LEN];

	http_date_format(t, date);
	buf_add(out, date, sizeof(date));
}

/* ---- The request ---- */

static void put_number(struct buf *out, const char *name, uint32_t n, const char **between)
{
	if (n == CACHE_DELTA_NONE)
		return;
	buf_printf(out, "%s%s=%" PRIu32, *between, name, n);
	*between = ", ";
}

static void directives(const struct explained *d, struct buf *out)
{
	static const struct {
		unsigned bits;
		const char *text;
	} flags[] = {
		{CACHE_CC_NO_CACHE | CACHE_CC_NO_CACHE_FIELDS, "no-cache"}, {CACHE_CC_PRAGMA_NO_CACHE, "Pragma: no-cache"},
		{CACHE_CC_NO_STORE, "no-store"}, {CACHE_CC_NO_TRANSFORM, "no-transform"},
		{CACHE_CC_ONLY_IF_CACHED, "only-if-cached"}, {CACHE_CC_MAX_STALE_ANY, "max-stale"},
	};
	const struct cache_control *cc = &d->e->cc;
	const char *between = "";
	size_t before = out->len, name;

	label(out, "directives");
	name = out->len;
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!(cc->set & flags[i].bits))
			continue;
		buf_printf(out, "%s%s", between, flags[i].text);
		between = ", ";
	}
	put_number(out, "max-age", cc->max_age, &between);
	put_number(out, "min-fresh", cc->min_fresh, &between);
	put_number(out, "max-stale", cc->max_stale, &between);
	put_number(out, "stale-if-error", cc->stale_if_error, &between);
	if (out->len == name)
		out->len = before;
	else if (d->listener->cache.request_directives)
		end_line(out, "9111 5.2.1");
	else
		BUF_ADD_LIT(out, ": not honoured (option request_directives)\n");
}

static void request(const struct explained *d, struct buf *out)
{
	const struct main_question *q = d->question;

	label(out, "request");
	put(out, q->method);
	buf_addc(out, ' ');
	put(out, q->url);
	if (q->client.len) {
		BUF_ADD_LIT(out, " from ");
		put(out, q->client);
	}
	buf_addc(out, '\n');
	put_line(out, "listener", d->listener->name);
	if (d->fault.status)
		return;
	if (d->e->key.len)
		put_line(out, "key", d->e->key);
	directives(d, out);
}

/* ---- What is stored ---- */

static bool is_selected(const struct exchange_explanation *e, const struct exchange_variant *v)
{
	return e->selected && v->record.id == e->record.id;
}

/* "accept: text/html, no cookie" for a selecting text. */
static void put_selecting(struct buf *out, struct view text)
{
	const char *between = "";

	for (; text.len; between = ", ") {
		struct view value, name = view_cut(view_cut(text, '\n', &text), ':', &value);

		buf_printf(out, "%s%s", between, value.ptr ? "" : "no ");
		put(out, name);
		if (!value.ptr)
			continue;
		BUF_ADD_LIT(out, ": ");
		put(out, value);
	}
}

static void variant(const struct exchange_explanation *e, const struct exchange_variant *v, struct buf *out)
{
	bool any = view_eq(v->record.vary, STORE_ANY);
	char name[24];

	snprintf(name, sizeof(name), v->number ? "variant %u" : "response", v->number);
	label(out, name);
	buf_printf(out, "%u, %" PRIu64 " bytes, ", (unsigned)v->record.meta.status, v->record.length);
	if (v->part)
		buf_printf(out, "%" PRIu64 " of them stored, ", v->present);
	BUF_ADD_LIT(out, "Date ");
	put_date(out, v->record.meta.date);
	if (any) {
		BUF_ADD_LIT(out, ", for any request");
	} else if (v->record.selecting.len) {
		BUF_ADD_LIT(out, ", for ");
		put_selecting(out, v->record.selecting);
	}
	if (v->coding.len) {
		BUF_ADD_LIT(out, ", in ");
		put(out, v->coding);
	}
	if (v->record.meta.flags & CACHE_F_RECODED)
		BUF_ADD_LIT(out, ", compressed by larder");
	if (is_selected(e, v)) {
		BUF_ADD_LIT(out, ": selected");
	} else if (v->matches && any && e->selected) {
		BUF_ADD_LIT(out, ": matches, but so does one with Vary");
	} else if (v->matches) {
		buf_addv(out, e->selected ? V(": matches, but is not the most recent") : V(": matches"));
	} else {
		BUF_ADD_LIT(out, ": the request has ");
		put_selecting(out, v->asked);
	}
	end_line(out, v->number ? "9111 4.1" : NULL);
}

static void variants(const struct exchange_explanation *e, struct buf *out)
{
	if (!e->nvariants && e->key.len && e->caches)
		put_line(out, "stored", V("nothing under this key"));
	for (unsigned i = 0; i < e->nvariants; i++)
		variant(e, &e->variants[i], out);
	if (e->more)
		buf_printf(out, "%-13sand %u more\n", "", e->more);
	if (e->other_coding)
		put_line(out, "coding", V("another than was asked for, which the client takes or has undone (option share_codings)"));
	if (e->other_language)
		put_line(out, "language", V("another list than was asked for, of which this is the one that the client likes best (option share_languages)"));
}

static void age(const struct exchange_explanation *e, struct buf *out)
{
	const struct cache_age *a = &e->age;
	const struct cache_meta *m = &e->record.meta;

	buf_printf(out, "%-13s%u s = %u s when it came + %u s since", "age", a->current, a->initial, a->resident);
	end_line(out, "9111 4.2.3");
	buf_printf(out, "  %-11s%u s: it came ", "apparent", a->apparent);
	put_date(out, m->response_time);
	buf_addv(out, m->flags & CACHE_F_DATE ? V(", its Date is ") : V(", it had no Date"));
	if (m->flags & CACHE_F_DATE)
		put_date(out, m->date);
	buf_printf(out, "\n  %-11s%u s: its Age was %u, and it took %u s to come\n", "corrected", a->corrected, m->age,
	           a->delay);
}

static void lifetime(const struct cache_lifetime *l, struct buf *out)
{
	const struct cache_clause_row *row = cache_clause_row(l->clause);

	buf_printf(out, "%-13s%u s: %s", "lifetime", l->seconds, row->text);
	if (l->field.len) {
		BUF_ADD_LIT(out, ", in ");
		put(out, l->field);
		BUF_ADD_LIT(out, ", which counts in place of Cache-Control and Expires (RFC 9213 §2.2)");
	}
	end_line(out, row->clause);
}

static void stale(const struct exchange_explanation *e, struct buf *out)
{
	const struct cache_clause_row *row = cache_clause_row(e->stale_rule);
	const struct cache_meta *m = &e->record.meta;

	/* What is fresh stands in without being asked to. */
	if (e->stale_rule == CACHE_RULE_FRESH)
		return;
	if (m->stale_while_revalidate != CACHE_DELTA_NONE)
		buf_printf(out, "%-13s%u s past its lifetime (RFC 5861 §3)\n", "revalidating", m->stale_while_revalidate);
	buf_printf(out, "%-13s%s: ", "on failure", e->stale_allowed ? "stands in for the origin" : "of no use");
	if (e->stale_rule >= CACHE_RULE_IF_ERROR_REQUEST && e->stale_rule <= CACHE_RULE_IF_ERROR_OPTION)
		buf_printf(out, "%" PRId64 " s past its lifetime by ", e->stale_seconds);
	buf_printf(out, "%s", row->text);
	end_line(out, row->clause);
}

static void extents(const struct exchange_explanation *e, struct buf *out)
{
	unsigned n = e->extents.n < EXTENTS_SHOWN ? e->extents.n : EXTENTS_SHOWN;

	label(out, "part");
	BUF_ADD_LIT(out, "bytes");
	for (unsigned i = 0; i < n; i++)
		buf_printf(out, "%s %" PRIu64 "-%" PRIu64, i ? "," : "", e->extents.at[i].first, e->extents.at[i].end - 1);
	if (n < e->extents.n)
		buf_printf(out, " and %u more stretches", e->extents.n - n);
	buf_printf(out, " of %" PRIu64 " are stored", e->record.length);
	end_line(out, "9111 3.3");
}

static void put_tags(struct view tags, struct buf *out)
{
	struct view rest = store_tags_first(tags), name;
	const char *between = "";
	enum store_tag kind;

	if (!rest.len)
		return;
	label(out, "tags");
	for (; store_tags_next(&rest, &kind, &name); between = ", ") {
		buf_printf(out, "%s%s ", between, kind == STORE_TAG_GROUP ? "group" : "key");
		put(out, name);
	}
	buf_addc(out, '\n');
}

static void selected(const struct exchange_explanation *e, struct buf *out)
{
	int64_t ttl = (int64_t)e->lifetime.seconds - e->age.current;

	if (e->part)
		extents(e, out);
	put_tags(e->record.tags, out);
	age(e, out);
	lifetime(&e->lifetime, out);
	buf_printf(out, "%-13s%" PRId64 " s: %s", "ttl", ttl, ttl > 0 ? "fresh" : "stale");
	end_line(out, "9111 4.2");
	stale(e, out);
}

/* ---- The response that was given ---- */

static void response(const struct exchange_explanation *e, struct buf *out)
{
	const struct exchange_judged *j = &e->response;
	const char *clause;
	struct view text = explain_storing(j, &clause);
	bool stored = j->storable == CACHE_STORE_OK;

	BUF_ADD_LIT(out, "\nthe response that was given\n");
	if (j->storable != CACHE_STORE_BYPASSED)
		lifetime(&j->lifetime, out);
	for (unsigned i = 0; i < j->nleft_out && stored; i++) {
		const struct cache_clause_row *row = cache_clause_row(j->left_out[i].why);

		label(out, i ? "" : "left out");
		put(out, j->left_out[i].name);
		buf_printf(out, ": %s", row->text);
		end_line(out, row->clause);
	}
	if (stored && j->vary.len) {
		label(out, "variant");
		put_selecting(out, j->selecting);
		end_line(out, "9111 4.1");
	}
	if (stored)
		put_tags(j->tags, out);
	label(out, "storing");
	buf_printf(out, "%s: %.*s", stored ? "stored" : j->confirms ? "updated" : "not stored", VFMT(text));
	end_line(out, clause);
}

/* ---- All of it ---- */

static void asks(const struct exchange_explanation *e, struct buf *out)
{
	struct view lines = e->validators, line;

	if (e->background)
		put_line(out, "background", V("it is validated meanwhile"));
	if (e->verdict == EXCHANGE_PARTIAL)
		buf_printf(out, "%-13sbytes %" PRIu64 "-%" PRIu64 " are fetched first\n", "origin", e->missing.first,
		           e->missing.last);
	while (lines.len) {
		line = view_cut(lines, '\n', &lines);
		label(out, "origin");
		BUF_ADD_LIT(out, "is sent ");
		put(out, line);
		end_line(out, view_istarts(line, V("Range")) ? "9110 14.2" : "9111 4.3.1");
	}
}

static void known(const struct explained *d, struct buf *out)
{
	const struct exchange_explanation *e = d->e;

	if (e->offline)
		put_line(out, "offline", V("on: nothing is fetched"));
	if (e->unshareable)
		put_line(out, "shared", V("no: an answer to this was lately none for others, so that nobody waits for another's (option unshareable_time)"));
	else if (e->siblings_unshareable)
		put_line(out, "shared", V("no: lately the answers in this folder were none for others, so that nobody waits for another's (option unshareable_siblings)"));
	if (e->collapsed)
		put_line(out, "shared", V("a fetch that it would wait for is under way"));
	if (e->origin_down)
		put_line(out, "origin", V("could not be reached lately (option origin_retry)"));
	if (!d->running)
		put_line(out, "daemon", V("none answers: whether it would be offline, and what it remembers of origins and answers, is not known"));
}

int explain_text(const struct explained *d, struct buf *out)
{
	const struct exchange_explanation *e = d->e;
	const char *clause;

	request(d, out);
	if (e) {
		variants(e, out);
		if (e->selected)
			selected(e, out);
		asks(e, out);
		known(d, out);
		if (e->cache_status.len)
			put_line(out, "Cache-Status", e->cache_status);
		else if (e->fwd && d->listener->options.cache_status)
			buf_printf(out, "%-13sfwd=%s%s\n", "Cache-Status", e->fwd, e->collapsed ? "; collapsed" : "");
	}
	buf_printf(out, "%-13s%s: ", "verdict", explain_verdict(d));
	explain_sentence(d, out, &clause);
	end_line(out, clause);
	if (e && e->has_response)
		response(e, out);
	return out->err;
}
