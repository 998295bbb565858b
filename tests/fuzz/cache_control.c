/* Cache-Control, a targeted field and Pragma out of any field lines; unquoted ones against a plain splitter. */
#include "reference.h"

#include <stdio.h>
#include <strings.h>

#include "cache/control.h"

#define FIELDS 32

static void number(uint32_t n)
{
	check(n <= CACHE_DELTA_MAX || n == CACHE_DELTA_NONE);
}

/* Field names that can be left out, inside the input. */
static void names(struct view list, bool set, struct view in)
{
	check(set == (list.ptr != NULL));
	check(!list.ptr || (list.len && fuzz_inside(list, in)));
}

/* A line more never takes a restriction back. */
static void restricts_more(const struct cache_control *less, const struct cache_control *more)
{
	const uint32_t kept = CACHE_CC_NO_STORE | CACHE_CC_NO_CACHE | CACHE_CC_PRIVATE |
	                      CACHE_CC_MUST_REVALIDATE | CACHE_CC_PROXY_REVALIDATE;

	check((less->set & kept & ~more->set) == 0);
	check(more->max_age <= less->max_age && more->s_maxage <= less->s_maxage);
	check(more->max_stale <= less->max_stale && more->stale_if_error <= less->stale_if_error);
	check(less->min_fresh == CACHE_DELTA_NONE || more->min_fresh >= less->min_fresh);
}

/* What the members that have no quotes say (RFC 9111 §5.2, §4.2.1): the first of repeated lifetimes, or 0 where one is
 * no number. */
struct said {
	bool no_store, is_public, must_revalidate;
	uint32_t max_age, s_maxage, max_stale;
};

static uint32_t seconds(const char *arg)
{
	uint64_t n = 0;

	if (!arg || !*arg || arg[strspn(arg, "0123456789")])
		return 0;
	for (; *arg; arg++)
		n = n > CACHE_DELTA_MAX ? n : n * 10 + (uint64_t)(*arg - '0');
	return n > CACHE_DELTA_MAX ? CACHE_DELTA_MAX : (uint32_t)n;
}

static bool is_number(const char *arg)
{
	return arg && *arg && !arg[strspn(arg, "0123456789")];
}

static void first_of(uint32_t *to, const char *arg)
{
	if (*to == CACHE_DELTA_NONE)
		*to = seconds(arg);
	else if (!is_number(arg))
		*to = 0;
}

static void hear(struct said *said, char *member)
{
	char *arg = strchr(member, '='), *end;

	if (arg)
		*arg++ = '\0';
	end = member + strlen(member);
	while (end > member && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	if (!strcasecmp(member, "no-store"))
		said->no_store = true;
	else if (!strcasecmp(member, "must-revalidate"))
		said->must_revalidate = true;
	else if (!strcasecmp(member, "public"))
		said->is_public |= !arg;
	else if (!strcasecmp(member, "max-age"))
		first_of(&said->max_age, arg);
	else if (!strcasecmp(member, "s-maxage"))
		first_of(&said->s_maxage, arg);
	else if (!strcasecmp(member, "max-stale") && arg && seconds(arg) < said->max_stale)
		said->max_stale = seconds(arg);
}

static void compare(const struct http_head *h, const struct cache_control *cc)
{
	struct said said = {.max_age = CACHE_DELTA_NONE, .s_maxage = CACHE_DELTA_NONE,
	                    .max_stale = CACHE_DELTA_NONE};
	char copy[REFERENCE_MAX + 1], *at, *end;
	const struct http_field *f;

	for (unsigned i = 0; (f = http_find(h, HTTP_CACHE_CONTROL, i)); i = (unsigned)(f - h->fields) + 1) {
		if (!view_copy(f->value, copy, sizeof(copy)) || strpbrk(copy, "\""))
			return;
		for (at = copy; at; at = end) {
			end = strchr(at, ',');
			if (end)
				*end++ = '\0';
			at += strspn(at, " \t");
			for (size_t n = strlen(at); n && (at[n - 1] == ' ' || at[n - 1] == '\t'); n--)
				at[n - 1] = '\0';
			hear(&said, at);
		}
	}
	check(said.no_store == ((cc->set & CACHE_CC_NO_STORE) != 0));
	check(said.must_revalidate == ((cc->set & CACHE_CC_MUST_REVALIDATE) != 0));
	check(said.is_public == ((cc->set & CACHE_CC_PUBLIC) != 0));
	check(said.max_age == cc->max_age && said.s_maxage == cc->s_maxage);
	check(said.max_stale == cc->max_stale);
}

/* A targeted field is a Dictionary or nothing (RFC 9213 §2.1). */
static void targeted(const struct http_head *h, struct view in)
{
	struct cache_control cc;

	if (!cache_control_targeted(h, V("CDN-Cache-Control"), &cc))
		return;
	check((cc.set & CACHE_CC_PRESENT) && (cc.set & CACHE_CC_TARGETED));
	check(!(cc.set & (CACHE_CC_MAX_STALE_ANY | CACHE_CC_ONLY_IF_CACHED | CACHE_CC_PRAGMA_NO_CACHE)));
	check(cc.min_fresh == CACHE_DELTA_NONE && cc.max_stale == CACHE_DELTA_NONE);
	number(cc.max_age);
	number(cc.s_maxage);
	names(cc.no_cache_fields, cc.set & CACHE_CC_NO_CACHE_FIELDS, in);
	names(cc.private_fields, cc.set & CACHE_CC_PRIVATE_FIELDS, in);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view in = view_make(data, len);
	struct cache_control cc, less, again;
	struct http_field fields[FIELDS];
	struct http_fault fault = {0};
	struct http_head h;

	http_head_init(&h, fields, FIELDS);
	if (http_parse_fields(&h, in, &fault))
		return 0;
	targeted(&h, in);
	cache_control_parse(&h, &cc);
	compare(&h, &cc);
	number(cc.max_age);
	number(cc.s_maxage);
	number(cc.min_fresh);
	number(cc.max_stale);
	number(cc.stale_while_revalidate);
	number(cc.stale_if_error);
	names(cc.no_cache_fields, cc.set & CACHE_CC_NO_CACHE_FIELDS, in);
	names(cc.private_fields, cc.set & CACHE_CC_PRIVATE_FIELDS, in);
	check(!(cc.set & CACHE_CC_PRAGMA_NO_CACHE) || !(cc.set & CACHE_CC_PRESENT));
	check(!!(cc.set & CACHE_CC_PRESENT) == (http_find(&h, HTTP_CACHE_CONTROL, 0) != NULL));
	cache_control_parse(&h, &again);
	check(again.set == cc.set && again.max_age == cc.max_age);
	if (h.nfields) {
		h.nfields--;
		cache_control_parse(&h, &less);
		restricts_more(&less, &cc);
	}
	return 0;
}
