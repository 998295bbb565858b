#include "cache-private.h"

#include "base/check.h"
#include "base/num.h"

/* Index of the comma or the quote's end; v.len when there is none. */
static size_t skip_quoted(struct view v, size_t at)
{
	for (size_t i = at + 1; i < v.len; i++) {
		if (v.ptr[i] == '\\')
			i++;
		else if (v.ptr[i] == '"')
			return i;
	}
	return v.len;
}

static size_t member_end(struct view v)
{
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == ',')
			return i;
		if (v.ptr[i] == '"') {
			size_t end = skip_quoted(v, i);

			/* What a broken quote would hide may be a no-store. */
			if (end == v.len)
				return view_find(v, ',');
			i = end;
		}
	}
	return v.len;
}

bool cache_member_next(struct view *rest, struct view *member)
{
	while (rest->len) {
		size_t end = member_end(*rest);

		*member = view_trim(view_make(rest->ptr, end));
		*rest = view_from(*rest, end < rest->len ? end + 1 : end);
		if (member->len)
			return true;
	}
	return false;
}

enum kind {
	FLAG,
	PERMIT,    /* a flag that widens: void with an argument */
	QUALIFIED, /* a flag, or a list of field names */
	DELTA,
	MAX_STALE, /* delta-seconds, or anything goes */
};

struct directive {
	struct view name;
	enum kind kind;
	unsigned bit, qualified_bit;
	size_t offset; /* of the number or the list in struct cache_control */
};

#define NUMBER(member) offsetof(struct cache_control, member)

static const struct directive directives[] = {
	{V("max-age"), DELTA, 0, 0, NUMBER(max_age)},
	{V("s-maxage"), DELTA, 0, 0, NUMBER(s_maxage)},
	{V("min-fresh"), DELTA, 0, 0, NUMBER(min_fresh)},
	{V("stale-while-revalidate"), DELTA, 0, 0, NUMBER(stale_while_revalidate)},
	{V("stale-if-error"), DELTA, 0, 0, NUMBER(stale_if_error)},
	{V("max-stale"), MAX_STALE, CACHE_CC_MAX_STALE_ANY, 0, NUMBER(max_stale)},
	{V("no-cache"), QUALIFIED, CACHE_CC_NO_CACHE, CACHE_CC_NO_CACHE_FIELDS,
	 NUMBER(no_cache_fields)},
	{V("private"), QUALIFIED, CACHE_CC_PRIVATE, CACHE_CC_PRIVATE_FIELDS,
	 NUMBER(private_fields)},
	{V("no-store"), FLAG, CACHE_CC_NO_STORE, 0, 0},
	{V("no-transform"), FLAG, CACHE_CC_NO_TRANSFORM, 0, 0},
	{V("only-if-cached"), FLAG, CACHE_CC_ONLY_IF_CACHED, 0, 0},
	{V("must-revalidate"), FLAG, CACHE_CC_MUST_REVALIDATE, 0, 0},
	{V("proxy-revalidate"), FLAG, CACHE_CC_PROXY_REVALIDATE, 0, 0},
	{V("must-understand"), FLAG, CACHE_CC_MUST_UNDERSTAND, 0, 0},
	{V("public"), PERMIT, CACHE_CC_PUBLIC, 0, 0},
	/* RFC 8246 §2: arguments of immutable have no meaning and are ignored. */
	{V("immutable"), FLAG, CACHE_CC_IMMUTABLE, 0, 0},
};

/* Cuts the quotes off a quoted-string (RFC 9111 §5.2: both forms are accepted). */
static struct view unquote(struct view v)
{
	if (v.len >= 2 && v.ptr[0] == '"' && v.ptr[v.len - 1] == '"')
		return view_make(v.ptr + 1, v.len - 2);
	return v;
}

static void take_delta(struct cache_control *out, const struct directive *d, struct view arg)
{
	uint32_t *to = (uint32_t *)(void *)((char *)out + d->offset);
	uint64_t n;

	/* RFC 9111 §4.2.1: what cannot be read as a lifetime is stale. */
	if (num_parse_saturating(unquote(arg), CACHE_DELTA_MAX, &n))
		n = 0;
	/* The least permissive of several counts: of min-fresh that is the largest. */
	if (*to == CACHE_DELTA_NONE || (d->offset == NUMBER(min_fresh) ? n > *to : n < *to))
		*to = (uint32_t)n;
}

/* A list of field names none of which the content depends on. */
static bool separable(struct view list)
{
	struct view member;
	bool any = false;

	while (cache_member_next(&list, &member)) {
		enum http_name id = http_name_lookup(member);

		if (!http_is_token(member) || id == HTTP_CONTENT_ENCODING ||
		    id == HTTP_CONTENT_RANGE || id == HTTP_TRANSFER_ENCODING)
			return false;
		any = true;
	}
	return any;
}

/* RFC 9111 §5.2.2.4, §5.2.2.7. A list that cannot be honoured by leaving fields out, and a second
 * list, count as the form without names, which restricts more. */
static void take_qualified(struct cache_control *out, const struct directive *d, struct view arg)
{
	struct view *to = (struct view *)(void *)((char *)out + d->offset);

	arg = unquote(arg);
	if (arg.ptr && !(out->set & d->qualified_bit) && separable(arg)) {
		out->set |= d->qualified_bit;
		*to = arg;
	} else if (!arg.ptr || !(out->set & d->qualified_bit) || !view_ieq(arg, *to)) {
		out->set |= d->bit;
	}
}

static void take(struct cache_control *out, struct view member)
{
	struct view arg, name = view_trim(view_cut(member, '=', &arg));

	for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
		const struct directive *d = &directives[i];

		if (!view_ieq(name, d->name))
			continue;
		if (d->kind == DELTA || (d->kind == MAX_STALE && arg.ptr))
			take_delta(out, d, arg);
		else if (d->kind == QUALIFIED)
			take_qualified(out, d, arg);
		else if (d->kind != PERMIT || !arg.ptr)
			out->set |= d->bit;
		return;
	}
}

static bool pragma_no_cache(const struct http_head *h)
{
	const struct http_field *f;

	for (unsigned i = 0; (f = http_find(h, HTTP_PRAGMA, i));
	     i = (unsigned)(f - h->fields) + 1) {
		struct view rest = f->value, member;

		while (cache_member_next(&rest, &member)) {
			if (view_ieq(member, V("no-cache")))
				return true;
		}
	}
	return false;
}

void cache_control_parse(const struct http_head *h, struct cache_control *out)
{
	const struct http_field *f;

	*out = (struct cache_control){
	        .max_age = CACHE_DELTA_NONE,
	        .s_maxage = CACHE_DELTA_NONE,
	        .min_fresh = CACHE_DELTA_NONE,
	        .max_stale = CACHE_DELTA_NONE,
	        .stale_while_revalidate = CACHE_DELTA_NONE,
	        .stale_if_error = CACHE_DELTA_NONE,
	};
	for (unsigned i = 0; (f = http_find(h, HTTP_CACHE_CONTROL, i));
	     i = (unsigned)(f - h->fields) + 1) {
		struct view rest = f->value, member;

		out->set |= CACHE_CC_PRESENT;
		while (cache_member_next(&rest, &member))
			take(out, member);
	}
	if (!(out->set & CACHE_CC_PRESENT) && pragma_no_cache(h))
		out->set |= CACHE_CC_PRAGMA_NO_CACHE;
}

bool cache_control_names(const struct cache_control *cc, struct view name)
{
	const struct view lists[] = {cc->no_cache_fields, cc->private_fields};
	struct view member;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct view rest = lists[i];

		while (cache_member_next(&rest, &member)) {
			if (view_ieq(member, name))
				return true;
		}
	}
	return false;
}
