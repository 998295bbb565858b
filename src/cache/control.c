#include "cache-private.h"

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"
#include "http/sf.h"

#define DELTA_TEXT 64 /* digits of a number with quoted pairs */

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
	REQUEST_DELTA, /* requests only: the least permissive counts */
	REQUEST_FLAG,
	MAX_STALE, /* of requests, too: delta-seconds, or anything goes */
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
	{V("min-fresh"), REQUEST_DELTA, 0, 0, NUMBER(min_fresh)},
	{V("stale-while-revalidate"), DELTA, 0, 0, NUMBER(stale_while_revalidate)},
	{V("stale-if-error"), DELTA, 0, 0, NUMBER(stale_if_error)},
	{V("max-stale"), MAX_STALE, CACHE_CC_MAX_STALE_ANY, 0, NUMBER(max_stale)},
	{V("no-cache"), QUALIFIED, CACHE_CC_NO_CACHE, CACHE_CC_NO_CACHE_FIELDS,
	 NUMBER(no_cache_fields)},
	{V("private"), QUALIFIED, CACHE_CC_PRIVATE, CACHE_CC_PRIVATE_FIELDS,
	 NUMBER(private_fields)},
	{V("no-store"), FLAG, CACHE_CC_NO_STORE, 0, 0},
	{V("no-transform"), FLAG, CACHE_CC_NO_TRANSFORM, 0, 0},
	{V("only-if-cached"), REQUEST_FLAG, CACHE_CC_ONLY_IF_CACHED, 0, 0},
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

static uint32_t *number_of(struct cache_control *cc, const struct directive *d)
{
	return (uint32_t *)(void *)((char *)cc + d->offset);
}

static struct view *list_of(struct cache_control *cc, const struct directive *d)
{
	return (struct view *)(void *)((char *)cc + d->offset);
}

/* A number, quoted or not; a quoted pair stands for what follows the backslash (RFC 9110 §5.6.4). */
static int parse_delta(struct view arg, uint64_t *out)
{
	struct view v = unquote(arg);
	char plain[DELTA_TEXT];
	size_t n = 0;

	if (v.ptr == arg.ptr || view_find(v, '\\') == v.len)
		return num_parse_saturating(v, CACHE_DELTA_MAX, out);
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] == '\\' && ++i == v.len)
			return LARDER_EINVAL;
		if (n == sizeof(plain))
			return LARDER_EINVAL;
		plain[n++] = v.ptr[i];
	}
	return num_parse_saturating(view_make(plain, n), CACHE_DELTA_MAX, out);
}

static void take_delta(struct cache_control *out, const struct directive *d, struct view arg)
{
	uint32_t *to = number_of(out, d);
	uint64_t n = 0;
	/* RFC 9111 §4.2.1: what cannot be read as a lifetime is stale. */
	bool counts = parse_delta(arg, &n) != 0;

	if (counts)
		n = 0;
	/* Of several the first, or in requests the least permissive: of min-fresh that is the largest. */
	if (d->kind != DELTA)
		counts = d->kind == MAX_STALE ? n < *to : n > *to;
	if (*to == CACHE_DELTA_NONE || counts)
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
	struct view *to = list_of(out, d);

	arg = unquote(arg);
	if (arg.ptr && !(out->set & d->qualified_bit) && separable(arg)) {
		out->set |= d->qualified_bit;
		*to = arg;
	} else if (!arg.ptr || !(out->set & d->qualified_bit) || !view_ieq(arg, *to)) {
		out->set |= d->bit;
	}
}

static const struct directive *find_directive(struct view name)
{
	for (size_t i = 0; i < ARRAY_LEN(directives); i++) {
		if (view_ieq(name, directives[i].name))
			return &directives[i];
	}
	return NULL;
}

static void take(struct cache_control *out, struct view member)
{
	struct view arg, name = view_trim(view_cut(member, '=', &arg));
	const struct directive *d = find_directive(name);

	if (!d)
		return;
	if (d->kind == DELTA || d->kind == REQUEST_DELTA || (d->kind == MAX_STALE && arg.ptr))
		take_delta(out, d, arg);
	else if (d->kind == QUALIFIED)
		take_qualified(out, d, arg);
	else if (d->kind != PERMIT || !arg.ptr)
		out->set |= d->bit;
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

static const struct cache_control nothing_said = {
        .max_age = CACHE_DELTA_NONE,
        .s_maxage = CACHE_DELTA_NONE,
        .min_fresh = CACHE_DELTA_NONE,
        .max_stale = CACHE_DELTA_NONE,
        .stale_while_revalidate = CACHE_DELTA_NONE,
        .stale_if_error = CACHE_DELTA_NONE,
};

void cache_control_parse(const struct http_head *h, struct cache_control *out)
{
	const struct http_field *f;

	*out = nothing_said;
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

/* A member of a targeted field; of repeated ones the last counts (RFC 9651 §4.2.2). Its parameters mean nothing
 * (RFC 9213 §2.1). false: a value of the wrong type. */
static bool take_typed(struct cache_control *out, struct view key, const struct http_sf_item *item)
{
	const struct directive *d = find_directive(key);
	bool boolean = item->type == HTTP_SF_BOOLEAN;

	if (!d || d->kind >= REQUEST_DELTA)
		return true;
	if (d->kind == DELTA) {
		/* A negative one is a number, but no lifetime: stale. */
		int64_t n = item->number < 0 ? 0 : item->number;

		*number_of(out, d) = n > CACHE_DELTA_MAX ? CACHE_DELTA_MAX : (uint32_t)n;
		return item->type == HTTP_SF_INTEGER;
	}
	out->set &= ~(d->bit | d->qualified_bit);
	if (d->kind == QUALIFIED) {
		*list_of(out, d) = (struct view){NULL, 0};
		if (item->type == HTTP_SF_STRING || item->type == HTTP_SF_TOKEN) {
			take_qualified(out, d, item->text);
			return true;
		}
	}
	if (boolean && item->number)
		out->set |= d->bit;
	return boolean;
}

bool cache_control_targeted(const struct http_head *h, struct view name, struct cache_control *out)
{
	const struct http_field *f;
	bool any = false;

	*out = nothing_said;
	for (unsigned i = 0; (f = http_find_text(h, name, i)); i = (unsigned)(f - h->fields) + 1) {
		struct http_sf_item item;
		struct view key;
		struct http_sf sf;
		int more;

		if (f->hop)
			continue;
		/* An empty line would leave a comma at an end. */
		if (any && !f->value.len)
			return false;
		http_sf_init(&sf, f->value);
		while ((more = http_sf_dict_next(&sf, &key, &item)) > 0) {
			if (!take_typed(out, key, &item))
				return false;
			any = true;
		}
		if (more < 0 || !any)
			return false;
	}
	out->set |= CACHE_CC_PRESENT | CACHE_CC_TARGETED;
	return any;
}

enum cache_clause cache_control_named(const struct cache_control *cc, struct view name)
{
	const struct {
		struct view list;
		enum cache_clause what;
	} lists[] = {{cc->no_cache_fields, CACHE_FIELD_NO_CACHE}, {cc->private_fields, CACHE_FIELD_PRIVATE}};
	struct view member;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct view rest = lists[i].list;

		while (cache_member_next(&rest, &member)) {
			if (view_ieq(member, name))
				return lists[i].what;
		}
	}
	return CACHE_FIELD_KEPT;
}
