/* Cache-Control and Pragma out of any field lines. */
#include "fuzz.h"

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
	cache_control_parse(&h, &cc);
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
