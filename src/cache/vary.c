#include "cache-private.h"

#define MAX_NAMES 32

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

const struct http_field *cache_next_line(const struct http_head *req, enum http_name id,
                                         struct view name, unsigned from)
{
	const struct http_field *f;

	do {
		f = id == HTTP_OTHER ? http_find_text(req, name, from) : http_find(req, id, from);
		from = f ? (unsigned)(f - req->fields) + 1 : 0;
	} while (f && f->hop);
	return f;
}

static void add_lines(const struct http_head *req, enum http_name id, struct view name,
                      struct buf *out)
{
	const struct http_field *f;
	bool more = false;

	for (unsigned i = 0; (f = cache_next_line(req, id, name, i));
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
		if (cache_next_line(req, id, name, 0)) {
			bool list = id == HTTP_ACCEPT || id == HTTP_ACCEPT_ENCODING ||
			            id == HTTP_ACCEPT_LANGUAGE;

			buf_addc(out, ':');
			if (!list || !cache_prefer(req, id, out)) {
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

/* The next line that counts; ptr NULL at the end. */
static struct view next_selector(struct view *text, bool coding, bool language)
{
	struct view line, rest;
	enum http_name id;

	while (text->len) {
		line = view_cut(*text, '\n', text);
		id = http_name_lookup(view_cut(line, ':', &rest));
		if (!(coding && id == HTTP_ACCEPT_ENCODING) && !(language && id == HTTP_ACCEPT_LANGUAGE))
			return line;
	}
	return view_make(NULL, 0);
}

bool cache_vary_same_but(struct view a, struct view b, bool coding, bool language)
{
	struct view x, y;

	do {
		x = next_selector(&a, coding, language);
		y = next_selector(&b, coding, language);
		if (!view_eq(x, y))
			return false;
	} while (x.ptr && y.ptr);
	return !x.ptr && !y.ptr;
}
