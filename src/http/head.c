#include "http-private.h"

/* More names in Connection than this are an attack on the time it takes to look them up. */
#define CONNECTION_NAMES 128

#define HOP  1
#define KEEP 2
static const uint8_t name_flags[HTTP_NAME_COUNT] = {
#define FIELD(id, text, flags) [HTTP_##id] = flags,
#include "http/fields.def"
#undef FIELD
};

const struct http_field *http_find(const struct http_head *h, enum http_name id, unsigned from)
{
	for (unsigned i = from; i < h->nfields; i++) {
		if (h->fields[i].id == id)
			return &h->fields[i];
	}
	return NULL;
}

const struct http_field *http_find_text(const struct http_head *h, struct view name, unsigned from)
{
	for (unsigned i = from; i < h->nfields; i++) {
		if (view_ieq(h->fields[i].name, name))
			return &h->fields[i];
	}
	return NULL;
}

struct view http_only(const struct http_head *h, enum http_name id)
{
	const struct http_field *f = http_find(h, id, 0);

	if (!f || http_find(h, id, (unsigned)(f - h->fields) + 1))
		return (struct view){NULL, 0};
	return f->value;
}

/* The length of a quoted string with its quotes; all of `v` if it has no end. */
static size_t quoted_len(struct view v, bool escapes)
{
	for (size_t i = 1; i < v.len; i++) {
		if (v.ptr[i] == '"')
			return i + 1;
		if (escapes && v.ptr[i] == '\\')
			i++;
	}
	return v.len;
}

/* The length of a comment with its parentheses, nested ones inside (RFC 9110 §5.6.5). */
static size_t comment_len(struct view v)
{
	size_t depth = 0;

	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '\\')
			i++;
		else if (v.ptr[i] == '(')
			depth++;
		else if (v.ptr[i] == ')' && --depth == 0)
			return i + 1;
	}
	return v.len;
}

/* The length of what stands before the next comma that is neither quoted nor in a comment.
 * A comment stands behind white space, or begins the member. */
static size_t member_len(struct view v, bool escapes)
{
	size_t i = 0;

	while (i < v.len && v.ptr[i] != ',') {
		if (v.ptr[i] == '"')
			i += quoted_len(view_from(v, i), escapes);
		else if (v.ptr[i] == '(' && (i == 0 || v.ptr[i - 1] == ' ' || v.ptr[i - 1] == '\t'))
			i += comment_len(view_from(v, i));
		else
			i++;
	}
	return i;
}

static bool next_member(struct view *rest, struct view *member, bool escapes)
{
	while (rest->len) {
		size_t n = member_len(*rest, escapes);

		*member = view_trim(view_make(rest->ptr, n));
		*rest = view_from(*rest, n < rest->len ? n + 1 : n);
		if (member->len)
			return true;
	}
	return false;
}

bool http_member_next(struct view *rest, struct view *member)
{
	return next_member(rest, member, true);
}

void http_list_init(struct http_list *l, const struct http_head *h, enum http_name id)
{
	*l = (struct http_list){.head = h, .id = id};
}

void http_list_init_text(struct http_list *l, const struct http_head *h, struct view name)
{
	*l = (struct http_list){.head = h, .name = name, .id = http_name_lookup(name)};
}

/* Goes on to the next line of the field. */
static bool next_line(struct http_list *l)
{
	const struct http_field *f = l->id == HTTP_OTHER ? http_find_text(l->head, l->name, l->next)
	                                                 : http_find(l->head, l->id, l->next);

	if (!f)
		return false;
	l->next = (unsigned)(f - l->head->fields) + 1;
	l->rest = f->value;
	return true;
}

bool http_list_next(struct http_list *l, struct view *member)
{
	bool escapes = l->id != HTTP_IF_MATCH && l->id != HTTP_IF_NONE_MATCH;

	do {
		if (next_member(&l->rest, member, escapes))
			return true;
	} while (next_line(l));
	return false;
}

bool http_list_has(const struct http_head *h, enum http_name id, struct view token)
{
	struct http_list list;
	struct view member, rest;

	/* Most heads have no such field. */
	if (!http_find(h, id, 0))
		return false;
	http_list_init(&list, h, id);
	while (http_list_next(&list, &member)) {
		if (view_ieq(view_trim(view_cut(member, ';', &rest)), token))
			return true;
	}
	return false;
}

/* Marks the fields that one member of Connection names. */
static void mark_named(struct http_head *h, struct view name)
{
	enum http_name id = http_name_lookup(name);

	if (name_flags[id] & KEEP)
		return;
	for (unsigned i = 0; i < h->nfields; i++) {
		if (h->fields[i].id == id &&
		    (id != HTTP_OTHER || view_ieq(h->fields[i].name, name)))
			h->fields[i].hop = 1;
	}
}

static void mark_all(struct http_head *h)
{
	for (unsigned i = 0; i < h->nfields; i++)
		h->fields[i].hop = !(name_flags[h->fields[i].id] & KEEP);
}

void http_head_mark_hops(struct http_head *h)
{
	struct http_list list;
	struct view member;
	unsigned names = 0;

	for (unsigned i = 0; i < h->nfields; i++)
		h->fields[i].hop = (name_flags[h->fields[i].id] & HOP) != 0;
	if (!http_find(h, HTTP_CONNECTION, 0))
		return;
	http_list_init(&list, h, HTTP_CONNECTION);
	while (http_list_next(&list, &member)) {
		if (names++ == CONNECTION_NAMES) {
			mark_all(h);
			return;
		}
		mark_named(h, member);
	}
}
