#include "cache-private.h"

#include "base/check.h"

#define MAX_NAMES   32
#define MAX_MEMBERS 48
#define MAX_TEXT    1024

struct names {
	struct view name[MAX_NAMES];
	unsigned n;
};

static int cmp_nocase(struct view a, struct view b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < n; i++) {
		int d = view_lower_byte((unsigned char)a.ptr[i]) -
		        view_lower_byte((unsigned char)b.ptr[i]);

		if (d)
			return d;
	}
	return (a.len > b.len) - (a.len < b.len);
}

/* Keeps the names sorted and single. false: too many. */
static bool insert(struct names *names, struct view name)
{
	unsigned at = 0;
	int c = 1;

	while (at < names->n && (c = cmp_nocase(names->name[at], name)) < 0)
		at++;
	if (at < names->n && c == 0)
		return true;
	if (names->n == MAX_NAMES)
		return false;
	memmove(names->name + at + 1, names->name + at, (names->n - at) * sizeof(name));
	names->name[at] = name;
	names->n++;
	return true;
}

/* The names of Vary; false for "*", and for what is no field name or more than can be told
 * apart, which no request may be taken to match. */
static bool collect(const struct http_head *res, struct names *names)
{
	const struct http_field *f;

	names->n = 0;
	for (unsigned i = 0; (f = http_find(res, HTTP_VARY, i));
	     i = (unsigned)(f - res->fields) + 1) {
		struct view rest = f->value, member;

		while (cache_member_next(&rest, &member)) {
			if (view_eq(member, V("*")) || !http_is_token(member) ||
			    !insert(names, member))
				return false;
		}
	}
	return true;
}

bool cache_vary_any(const struct http_head *res)
{
	struct names names;

	return !collect(res, &names);
}

static int add_lower(struct buf *out, struct view v)
{
	size_t at = out->len;
	int err = buf_addv(out, v);

	for (; !err && at < out->len; at++)
		out->data[at] = (char)view_lower_byte((unsigned char)out->data[at]);
	return err;
}

int cache_vary_names(const struct http_head *res, struct buf *out)
{
	struct names names;

	if (!collect(res, &names))
		return 1;
	for (unsigned i = 0; i < names.n; i++) {
		if (i)
			buf_addc(out, ',');
		add_lower(out, names.name[i]);
	}
	return out->err;
}

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

/* qvalue (RFC 9110 §12.4.2) in thousandths; false if it is none. */
static bool parse_weight(struct view v, unsigned *weight)
{
	static const unsigned unit[] = {100, 10, 1};
	unsigned w;

	if (!v.len || v.len > 5 || (v.ptr[0] != '0' && v.ptr[0] != '1') ||
	    (v.len > 1 && v.ptr[1] != '.'))
		return false;
	w = v.ptr[0] == '1' ? 1000 : 0;
	for (size_t i = 2; i < v.len; i++) {
		if (v.ptr[i] < '0' || v.ptr[i] > '9')
			return false;
		w += unit[i - 2] * (unsigned)(v.ptr[i] - '0');
	}
	*weight = w;
	return w <= 1000;
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
		return parse_weight(value, weight);
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

/* Walks the lines of a field that reach the origin: what Connection names does not. */
static const struct http_field *next_line(const struct http_head *req, enum http_name id,
                                          struct view name, unsigned from)
{
	const struct http_field *f;

	do {
		f = id == HTTP_OTHER ? http_find_text(req, name, from) : http_find(req, id, from);
		from = f ? (unsigned)(f - req->fields) + 1 : 0;
	} while (f && f->hop);
	return f;
}

static bool prefer(const struct http_head *req, enum http_name id, struct buf *out)
{
	const struct http_field *f;
	struct preferences p;

	p.len = 0;
	p.n = 0;
	for (unsigned i = 0; (f = next_line(req, id, V(""), i));
	     i = (unsigned)(f - req->fields) + 1) {
		struct view rest = f->value, member;

		while (cache_member_next(&rest, &member)) {
			if (!put_member(&p, member))
				return false;
		}
	}
	/* §12.5.4: some origins take the order of languages of one weight for a preference. */
	sort(&p, id != HTTP_ACCEPT_LANGUAGE);
	add_preferences(&p, out);
	return true;
}

static void add_lines(const struct http_head *req, enum http_name id, struct view name,
                      struct buf *out)
{
	const struct http_field *f;
	bool more = false;

	for (unsigned i = 0; (f = next_line(req, id, name, i));
	     i = (unsigned)(f - req->fields) + 1) {
		if (more)
			BUF_ADD_LIT(out, ", ");
		buf_addv(out, f->value);
		more = true;
	}
}

int cache_vary_select(struct view names, const struct http_head *req, struct buf *out)
{
	while (names.len) {
		struct view name = view_cut(names, ',', &names);
		enum http_name id = http_name_lookup(name);

		/* "name" LF for an absent field, "name:value" LF for one that is there: no value
		 * holds an LF. */
		buf_addv(out, name);
		if (next_line(req, id, name, 0)) {
			bool list = id == HTTP_ACCEPT || id == HTTP_ACCEPT_ENCODING ||
			            id == HTTP_ACCEPT_LANGUAGE;

			buf_addc(out, ':');
			if (!list || !prefer(req, id, out)) {
				/* Told apart from every canonical text. */
				if (list)
					buf_addc(out, ':');
				add_lines(req, id, name, out);
			}
		}
		buf_addc(out, '\n');
	}
	return out->err;
}
