/* A response's way through the cache: input is request field lines, a NUL, response field lines,
 * a NUL, field lines of a 304. */
#include "fuzz.h"

#include "cache/rules.h"
#include "http/framing.h"

#define FIELDS 32
#define NOW    784111777

static const struct cache_options options = {
        .heuristic_percent = 10,
        .heuristic_max = 86400000,
        .request_directives = true,
        .store_set_cookie = true,
        .targeted_fields = {(char *[]){(char *)"CDN-Cache-Control"}, 1},
};

static bool parse(struct http_head *h, struct http_field *fields, struct view lines)
{
	struct http_fault fault = {0};

	http_head_init(h, fields, FIELDS);
	if (http_parse_fields(h, lines.ptr ? lines : V(""), &fault))
		return false;
	h->method = HTTP_METHOD_GET;
	http_head_mark_hops(h);
	return true;
}

static void meta_holds(const struct cache_meta *m)
{
	check(m->lifetime <= CACHE_DELTA_MAX && m->age <= CACHE_DELTA_MAX);
	check(cache_age(m, NOW) <= CACHE_DELTA_MAX);
	check(cache_age(m, NOW + 10) >= cache_age(m, NOW));
	check((m->flags & CACHE_F_LAST_MODIFIED) == 0 || m->last_modified != HTTP_DATE_NONE);
	check(!(m->flags & CACHE_F_LAST_MODIFIED_STRONG) || (m->flags & CACHE_F_LAST_MODIFIED));
	check(!(m->flags & CACHE_F_ETAG_WEAK) || (m->flags & CACHE_F_ETAG));
}

/* What was written parses, and what may not be stored is not in it. */
static void stored_holds(const struct buf *text)
{
	struct http_field fields[3 * FIELDS];
	struct http_head h;
	struct http_fault fault = {0};
	struct buf whole, again;

	buf_init(&whole, text->len + 2);
	buf_addv(&whole, buf_view(text));
	check(BUF_ADD_LIT(&whole, "\r\n") == 0);
	http_head_init(&h, fields, 3 * FIELDS);
	check(http_parse_response(&h, buf_view(&whole), whole.len, &fault) == (int64_t)whole.len);
	check(!http_find(&h, HTTP_CONNECTION, 0) && !http_find(&h, HTTP_TRANSFER_ENCODING, 0));
	check(!http_find(&h, HTTP_AGE, 0));
	/* Writing the stored head once more leaves it as it is. */
	buf_init(&again, text->len);
	check(cache_head_write(&options, &h, 7, &again) == 0);
	check(view_eq(buf_view(&again), buf_view(text)));
	buf_fini(&again);
	buf_fini(&whole);
}

static void use(const struct http_head *req, const struct http_head *stored,
                const struct cache_meta *meta)
{
	const struct http_field *etag = http_find(stored, HTTP_ETAG, 0);
	struct view tag = etag ? etag->value : V("");
	struct cache_control cc;
	struct http_range ranges[4];
	enum cache_reason why;
	unsigned n;

	cache_control_parse(req, &cc);
	if (cache_reuse(&options, req, &cc, meta, NOW, &why) == CACHE_SERVE)
		check(!(meta->flags & CACHE_F_NO_CACHE));
	check(why < CACHE_REASON_COUNT);
	cache_stale_on_error(&options, &cc, meta, NOW, 60);
	cache_precondition(req, meta, tag, NOW);
	if (cache_ranges(req, meta, tag, 1000, NOW, ranges, 4, &n) == HTTP_RANGE_SOME) {
		check(n >= 1 && n <= 4);
		for (unsigned i = 0; i < n; i++)
			check(ranges[i].first <= ranges[i].last && ranges[i].last < 1000);
	}
}

static void validate(const struct http_head *req, const struct http_head *stored,
                     const struct cache_meta *meta, const struct http_head *res304, size_t max)
{
	struct cache_meta anew;
	struct buf out;
	int any;

	buf_init(&out, max);
	any = cache_validators_write(stored, meta, &out);
	check(any == (out.len > 0));
	buf_reset(&out);
	check(cache_304_write(stored, &out) == 0);
	buf_reset(&out);
	cache_304_selects(stored, meta, res304);
	cache_head_selects(stored, meta, 7, res304);
	check(cache_freshen(&options, req, stored, meta, res304, NOW, NOW, 7, &out, &anew) >= 0);
	meta_holds(&anew);
	stored_holds(&out);
	buf_fini(&out);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view rest, last, first = view_cut(view_make(data, len), '\0', &rest);
	struct view second = view_cut(rest, '\0', &last);
	struct http_field a[FIELDS], b[FIELDS], c[FIELDS];
	struct http_head req, res, res304;
	struct cache_meta meta;
	struct buf out;
	size_t max = 4 * len + 512;

	if (!parse(&req, a, first) || !parse(&res, b, second) || !parse(&res304, c, last))
		return 0;
	res.status = 200;
	res304.status = 304;
	cache_storable(&options, &req, &res, NOW, NOW, &meta);
	meta_holds(&meta);
	buf_init(&out, max);
	check(cache_head_write(&options, &res, 7, &out) == 0);
	stored_holds(&out);
	use(&req, &res, &meta);
	validate(&req, &res, &meta, &res304, max);
	buf_fini(&out);
	return 0;
}
