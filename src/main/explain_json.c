/* An explanation for machines: one JSON object. */
#include "explain-private.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/error.h"
#include "store/purge.h"
#include "store/variants.h"

/* What strangers wrote: bytes beyond ASCII as \u00HH, as larderctl's other commands do. */
static void put_string(struct buf *out, struct view text)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			buf_printf(out, "\\u%04x", (unsigned)c);
		else
			buf_addc(out, (char)c);
	}
	buf_addc(out, '"');
}

/* Opens a member; the first of an object or array has no comma before it. */
static void name(struct buf *out, const char *key)
{
	char last = out->len ? out->data[out->len - 1] : '{';

	if (last != '{' && last != '[')
		buf_addc(out, ',');
	if (key)
		buf_printf(out, "\"%s\":", key);
}

static void text(struct buf *out, const char *key, struct view value)
{
	name(out, key);
	put_string(out, value);
}

/* Of ours: it is UTF-8 and holds nothing to be escaped. */
static void phrase(struct buf *out, const char *key, const char *value)
{
	name(out, key);
	buf_printf(out, "\"%s\"", value);
}

static void number(struct buf *out, const char *key, int64_t n)
{
	name(out, key);
	buf_printf(out, "%" PRId64, n);
}

static void flag(struct buf *out, const char *key, bool value)
{
	name(out, key);
	buf_printf(out, value ? "true" : "false");
}

static void clause(struct buf *out, const char *value)
{
	if (*value == '-')
		return;
	name(out, "clause");
	buf_addc(out, '"');
	explain_clause(value, out);
	buf_addc(out, '"');
}

/* "key":{"rule":…,"clause":…  with the brace left open. */
static void open_rule(struct buf *out, const char *key, enum cache_clause c)
{
	name(out, key);
	buf_addc(out, '{');
	phrase(out, "rule", cache_clause_row(c)->token);
	clause(out, cache_clause_row(c)->clause);
}

static void lines(struct buf *out, const char *key, struct view rest)
{
	struct view line;

	name(out, key);
	buf_addc(out, '[');
	while (rest.len) {
		line = view_cut(rest, '\n', &rest);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		text(out, NULL, line);
	}
	buf_addc(out, ']');
}

static void put_tags(struct buf *out, struct view tags)
{
	struct view rest = store_tags_first(tags), tag;
	enum store_tag kind;

	name(out, "tags");
	buf_addc(out, '[');
	while (store_tags_next(&rest, &kind, &tag)) {
		name(out, NULL);
		buf_addc(out, '{');
		text(out, kind == STORE_TAG_GROUP ? "group" : "key", tag);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void lifetime(struct buf *out, const struct cache_lifetime *l)
{
	open_rule(out, "lifetime", l->clause);
	number(out, "seconds", l->seconds);
	if (l->field.len)
		text(out, "field", l->field);
	buf_addc(out, '}');
}

static void variants(struct buf *out, const struct exchange_explanation *e)
{
	name(out, "stored");
	buf_addc(out, '[');
	for (unsigned i = 0; i < e->nvariants; i++) {
		const struct exchange_variant *v = &e->variants[i];

		name(out, NULL);
		buf_addc(out, '{');
		number(out, "variant", v->number);
		lines(out, "selecting", view_eq(v->record.vary, STORE_ANY) ? V("") : v->record.selecting);
		number(out, "status", v->record.meta.status);
		number(out, "size", (int64_t)v->record.length);
		phrase(out, "where", v->part ? "part" : v->blob ? "blob" : "inline");
		if (v->part)
			number(out, "present", (int64_t)v->present);
		number(out, "date", v->record.meta.date);
		if (v->coding.len)
			text(out, "coding", v->coding);
		flag(out, "recoded", v->record.meta.flags & CACHE_F_RECODED);
		flag(out, "matches", v->matches);
		flag(out, "selected", e->selected && v->record.id == e->record.id);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	if (e->more)
		number(out, "stored_more", e->more);
}

static void age(struct buf *out, const struct exchange_explanation *e)
{
	const struct cache_age *a = &e->age;
	const struct cache_meta *m = &e->record.meta;

	name(out, "age");
	buf_addc(out, '{');
	number(out, "seconds", a->current);
	number(out, "apparent", a->apparent);
	number(out, "age_value", m->age);
	number(out, "response_delay", a->delay);
	number(out, "corrected", a->corrected);
	number(out, "initial", a->initial);
	number(out, "resident", a->resident);
	number(out, "date", m->date);
	number(out, "request_time", m->request_time);
	number(out, "response_time", m->response_time);
	buf_addc(out, '}');
}

static void selected(struct buf *out, const struct exchange_explanation *e)
{
	static const char *const uses[] = {
		[CACHE_SERVE] = "serve", [CACHE_SERVE_STALE_REVALIDATE] = "serve-stale-revalidate",
		[CACHE_VALIDATE] = "validate", [CACHE_TIMEOUT] = "timeout",
	};
	int64_t ttl = (int64_t)e->lifetime.seconds - e->age.current;

	name(out, "selected");
	buf_addc(out, '{');
	number(out, "status", e->record.meta.status);
	age(out, e);
	lifetime(out, &e->lifetime);
	number(out, "ttl", ttl);
	flag(out, "fresh", ttl > 0);
	flag(out, "purged", e->record.meta.flags & CACHE_F_PURGED);
	flag(out, "other_coding", e->other_coding);
	flag(out, "other_language", e->other_language);
	open_rule(out, "reuse", e->rule);
	phrase(out, "use", uses[e->use]);
	buf_addc(out, '}');
	open_rule(out, "on_failure", e->stale_rule);
	flag(out, "allowed", e->stale_allowed);
	number(out, "seconds", e->stale_seconds);
	buf_addc(out, '}');
	put_tags(out, e->record.tags);
	if (e->part) {
		name(out, "extents");
		buf_addc(out, '[');
		for (unsigned i = 0; i < e->extents.n; i++) {
			name(out, NULL);
			buf_printf(out, "[%" PRIu64 ",%" PRIu64 "]", e->extents.at[i].first, e->extents.at[i].end - 1);
		}
		buf_addc(out, ']');
	}
	buf_addc(out, '}');
}

static void response(struct buf *out, const struct exchange_judged *j)
{
	const char *section;
	struct view sentence = explain_storing(j, &section);

	name(out, "response");
	buf_addc(out, '{');
	flag(out, "stored", j->storable == CACHE_STORE_OK);
	flag(out, "part", j->part);
	flag(out, "confirms", j->confirms);
	flag(out, "replaced", j->replaced);
	phrase(out, "reason", cache_reason_token(j->storable));
	clause(out, section);
	text(out, "text", sentence);
	if (j->storable != CACHE_STORE_BYPASSED)
		lifetime(out, &j->lifetime);
	name(out, "left_out");
	buf_addc(out, '[');
	for (unsigned i = 0; i < j->nleft_out; i++) {
		const struct cache_clause_row *row = cache_clause_row(j->left_out[i].why);

		name(out, NULL);
		buf_addc(out, '{');
		text(out, "name", j->left_out[i].name);
		phrase(out, "rule", row->token);
		clause(out, row->clause);
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
	text(out, "vary", j->vary);
	lines(out, "selecting", j->selecting);
	put_tags(out, j->tags);
	text(out, "head", j->head);
	buf_addc(out, '}');
}

static void daemon_knows(struct buf *out, const struct explained *d)
{
	flag(out, "offline", d->e->offline);
	/* Without a daemon nobody knows. */
	if (!d->running)
		return;
	flag(out, "unshareable", d->e->unshareable);
	flag(out, "siblings_unshareable", d->e->siblings_unshareable);
	flag(out, "origin_down", d->e->origin_down);
}

static void verdict(struct buf *out, const struct explained *d)
{
	const struct exchange_explanation *e = d->e;
	const char *section;
	struct buf sentence;

	phrase(out, "verdict", explain_verdict(d));
	buf_init(&sentence, 65536);
	explain_sentence(d, &sentence, &section);
	name(out, "text");
	buf_addc(out, '"');
	/* A page's sentence may quote the request. */
	for (size_t i = 0; i < sentence.len; i++) {
		if (sentence.data[i] == '"' || sentence.data[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, sentence.data[i]);
	}
	buf_addc(out, '"');
	buf_fini(&sentence);
	clause(out, section);
	if (d->fault.status)
		number(out, "status", d->fault.status);
	if (!e)
		return;
	if (e->status)
		number(out, "status", e->status);
	if (e->denied)
		text(out, "option", e->option);
	if (e->verdict != EXCHANGE_OWN)
		phrase(out, "reason", cache_reason_token(e->why));
	if (e->fwd)
		phrase(out, "fwd", e->fwd);
	if (e->veto != CACHE_STORE_OK)
		phrase(out, "not_stored", cache_reason_token(e->veto));
	if (e->cache_status.len)
		text(out, "cache_status", e->cache_status);
	lines(out, "conditions", e->validators);
	flag(out, "background", e->background);
	flag(out, "collapsed", e->collapsed);
	if (e->verdict == EXCHANGE_PARTIAL) {
		name(out, "missing");
		buf_printf(out, "[%" PRIu64 ",%" PRIu64 "]", e->missing.first, e->missing.last);
	}
}

int explain_json(const struct explained *d, struct buf *out)
{
	const struct main_question *q = d->question;

	buf_addc(out, '{');
	text(out, "method", q->method);
	text(out, "url", q->url);
	text(out, "listener", d->listener->name);
	flag(out, "daemon", d->running);
	if (d->e) {
		text(out, "key", d->e->key);
		daemon_knows(out, d);
		variants(out, d->e);
		if (d->e->selected)
			selected(out, d->e);
		if (d->e->has_response)
			response(out, &d->e->response);
	}
	verdict(out, d);
	BUF_ADD_LIT(out, "}\n");
	return out->err;
}
