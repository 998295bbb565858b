/* Lists of preferences: Accept, Accept-Encoding, Accept-Language (RFC 9110 §12.4.2, §12.5). */
#include "cache-private.h"

#define MAX_MEMBERS 48
#define MAX_TEXT    1024

/* Members of a preference list in canonical spelling, in fixed memory: what does not fit is
 * compared as received, which costs a miss and never a wrong answer. */
struct preferences {
	char text[MAX_TEXT];
	size_t len;
	struct {
		struct view member;
		unsigned weight; /* thousandths */
	} row[MAX_MEMBERS];
	unsigned n;
};

static bool put(struct preferences *p, struct view v, bool lower)
{
	if (v.len > sizeof(p->text) - p->len)
		return false;
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.ptr[i];

		p->text[p->len++] = (char)(lower ? view_lower_byte(c) : c);
	}
	return true;
}

/* Cuts before the next ';' outside of quotes. */
static struct view cut_parameter(struct view *rest)
{
	struct view all = *rest;
	bool quoted = false;

	for (size_t i = 0; i < all.len; i++) {
		if (all.ptr[i] == '"')
			quoted = !quoted;
		else if (quoted && all.ptr[i] == '\\')
			i++;
		else if (!quoted && all.ptr[i] == ';') {
			*rest = view_from(all, i + 1);
			return view_trim(view_make(all.ptr, i));
		}
	}
	*rest = (struct view){NULL, 0};
	return view_trim(all);
}

static bool put_parameter(struct preferences *p, struct view parameter, unsigned *weight)
{
	struct view value, name = view_cut(parameter, '=', &value);

	/* The weight has a place of its own, so that q=1, q=1.0 and none are one. */
	if (view_ieq(name, V("q")))
		return http_weight_parse(value, weight);
	return put(p, V(";"), false) && put(p, name, true) &&
	       (!value.ptr || (put(p, V("="), false) && put(p, value, false)));
}

/* Names (media ranges, codings, languages, parameters) are case-insensitive (§12.5.1, §8.4.1,
 * §12.5.4), parameters' values need not be. */
static bool put_member(struct preferences *p, struct view member)
{
	unsigned weight = 1000;
	size_t start = p->len;
	struct view rest = member;

	if (p->n == MAX_MEMBERS || !put(p, cut_parameter(&rest), true))
		return false;
	while (rest.ptr) {
		struct view parameter = cut_parameter(&rest);

		if (parameter.len && !put_parameter(p, parameter, &weight))
			return false;
	}
	p->row[p->n].member = view_make(p->text + start, p->len - start);
	p->row[p->n++].weight = weight;
	return true;
}

static bool is(const struct preferences *p, unsigned i, struct view member)
{
	return view_eq(p->row[i].member, member);
}

/* The weight of a member, the last of several; -1: it is not there. */
static int weight_of(const struct preferences *p, struct view member)
{
	for (unsigned i = p->n; i > 0; i--) {
		if (is(p, i - 1, member))
			return (int)p->row[i - 1].weight;
	}
	return -1;
}

static void remove_row(struct preferences *p, unsigned i)
{
	p->n--;
	memmove(&p->row[i], &p->row[i + 1], (p->n - i) * sizeof(p->row[0]));
}

static void set_only(struct preferences *p, struct view member)
{
	p->row[0].member = member;
	p->row[0].weight = 1000;
	p->n = 1;
}

/* RFC 9110 §8.4.1.1, §8.4.1.3 */
static struct view coding_name(struct view member)
{
	if (view_eq(member, V("x-gzip")))
		return V("gzip");
	return view_eq(member, V("x-compress")) ? V("compress") : member;
}

/* RFC 9110 §12.5.3: what is not listed is not acceptable, but for "identity", which is unless it, or else "*", is refused.
 * So refusals of others say nothing where there is no "*"; and to be content with "identity" alone can be said by an
 * empty list as well. */
static void simplify_codings(struct preferences *p)
{
	int star, identity;

	for (unsigned i = 0; i < p->n; i++)
		p->row[i].member = coding_name(p->row[i].member);
	star = weight_of(p, V("*"));
	identity = weight_of(p, V("identity"));
	for (unsigned i = p->n; star <= 0 && i > 0; i--) {
		if (is(p, i - 1, V("*")) ? star == 0 && identity >= 0 :
		    !p->row[i - 1].weight && !is(p, i - 1, V("identity")))
			remove_row(p, i - 1);
		else if (is(p, i - 1, V("*")))
			p->row[i - 1].member = V("identity");
	}
	if (p->n == 0 || (p->n == 1 && is(p, 0, V("identity")) && p->row[0].weight))
		set_only(p, V("identity"));
}

/* Does the range take the tag in (RFC 4647 §3.3.1)? */
static bool takes_in(struct view range, struct view tag)
{
	return view_starts(tag, range) && (tag.len == range.len || tag.ptr[range.len] == '-');
}

/* RFC 9110 §12.5.4: a refusal says something only of what another range would take in. */
static void simplify_languages(struct preferences *p)
{
	for (unsigned i = p->n; i > 0; i--) {
		bool matters = p->row[i - 1].weight > 0;

		for (unsigned j = 0; j < p->n && !matters; j++)
			matters = p->row[j].weight && (is(p, j, V("*")) ||
			                               takes_in(p->row[j].member, p->row[i - 1].member));
		if (!matters)
			remove_row(p, i - 1);
	}
}

/* Insertion sort by weight, then (where order says nothing) by text: lists are short. */
static void sort(struct preferences *p, bool by_text)
{
	for (unsigned i = 1; i < p->n; i++) {
		for (unsigned j = i; j > 0; j--) {
			int c = (p->row[j - 1].weight < p->row[j].weight) -
			        (p->row[j - 1].weight > p->row[j].weight);
			__typeof__(p->row[0]) swap = p->row[j];

			if (c == 0 && by_text)
				c = view_cmp(p->row[j - 1].member, p->row[j].member);
			if (c <= 0)
				break;
			p->row[j] = p->row[j - 1];
			p->row[j - 1] = swap;
		}
	}
}

static void add_preferences(const struct preferences *p, struct buf *out)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (i && view_eq(p->row[i].member, p->row[i - 1].member) &&
		    p->row[i].weight == p->row[i - 1].weight)
			continue;
		if (i)
			buf_addc(out, ',');
		buf_addv(out, p->row[i].member);
		if (p->row[i].weight != 1000) {
			BUF_ADD_LIT(out, ";q=");
			buf_addu(out, p->row[i].weight);
		}
	}
}

/* All lines of the field. false: more than there is room for. */
static bool collect(const struct http_head *req, enum http_name id, struct preferences *p)
{
	const struct http_field *f;

	p->len = 0;
	p->n = 0;
	for (unsigned i = 0; (f = cache_next_line(req, id, V(""), i));
	     i = (unsigned)(f - req->fields) + 1) {
		struct view rest = f->value, member;

		while (cache_member_next(&rest, &member)) {
			if (!put_member(p, member))
				return false;
		}
	}
	return true;
}

bool cache_prefer(const struct http_head *req, enum http_name id, struct buf *out)
{
	struct preferences p;

	if (!collect(req, id, &p))
		return false;
	if (id == HTTP_ACCEPT_ENCODING)
		simplify_codings(&p);
	else if (id == HTTP_ACCEPT_LANGUAGE)
		simplify_languages(&p);
	/* §12.5.4: some origins take the order of languages of one weight for a preference. */
	sort(&p, id != HTTP_ACCEPT_LANGUAGE);
	add_preferences(&p, out);
	return true;
}

bool cache_coding_acceptable(const struct http_head *req, struct view content_encoding)
{
	struct preferences wanted, used;
	struct http_field f = {.name = V("Content-Encoding"), .value = content_encoding,
	                       .id = HTTP_CONTENT_ENCODING};
	struct http_head h = {.fields = &f, .nfields = 1, .cap = 1};
	int star;

	if (!content_encoding.len)
		return true;
	if (!collect(req, HTTP_ACCEPT_ENCODING, &wanted) || !collect(&h, HTTP_CONTENT_ENCODING, &used))
		return false;
	for (unsigned i = 0; i < wanted.n; i++)
		wanted.row[i].member = coding_name(wanted.row[i].member);
	star = weight_of(&wanted, V("*"));
	for (unsigned i = 0; i < used.n; i++) {
		int weight = weight_of(&wanted, coding_name(used.row[i].member));

		if (weight < 0 ? star <= 0 : weight == 0)
			return false;
	}
	return true;
}

/* The weight of a language: that of the most special range that takes it in; 0 where there is none. */
static unsigned language_weight(const struct preferences *p, struct view tag)
{
	unsigned weight = 0;
	size_t best = 0;

	for (unsigned i = 0; i < p->n; i++) {
		struct view range = p->row[i].member;
		size_t special = is(p, i, V("*")) ? 1 : takes_in(range, tag) ? 1 + range.len : 0;

		if (special && special >= best) {
			weight = p->row[i].weight;
			best = special;
		}
	}
	return weight;
}

bool cache_language_preferred(const struct http_head *req, struct view content_language)
{
	struct view tag = view_trim(content_language);
	unsigned most = 0, weight;
	struct preferences p;
	size_t from;

	if (!tag.len || view_find(tag, ',') < tag.len || !collect(req, HTTP_ACCEPT_LANGUAGE, &p))
		return false;
	from = p.len;
	if (!put(&p, tag, true))
		return false;
	weight = language_weight(&p, view_make(p.text + from, tag.len));
	for (unsigned i = 0; i < p.n; i++)
		most = p.row[i].weight > most ? p.row[i].weight : most;
	return weight && weight == most;
}
