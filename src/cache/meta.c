#include "cache-private.h"

#include "base/num.h"

struct view cache_single(const struct http_head *h, enum http_name id, bool *present)
{
	const struct http_field *first = http_find(h, id, 0), *f = first;

	*present = first != NULL;
	while (f && (f = http_find(h, id, (unsigned)(f - h->fields) + 1))) {
		if (!view_eq(f->value, first->value))
			return (struct view){NULL, 0};
	}
	return first ? first->value : (struct view){NULL, 0};
}

uint32_t cache_since(int64_t a, int64_t b)
{
	uint64_t d = (uint64_t)a - (uint64_t)b;

	if (a <= b)
		return 0;
	return d > CACHE_DELTA_MAX ? CACHE_DELTA_MAX : (uint32_t)d;
}

static int64_t single_date(const struct http_head *h, enum http_name id, int64_t now, bool *present)
{
	struct view v = cache_single(h, id, present);

	return v.ptr ? http_date_parse(v, now) : HTTP_DATE_NONE;
}

/* RFC 9111 §5.1: of several members or lines the first counts; what is no number is ignored. */
static uint32_t age_value(const struct http_head *res)
{
	struct http_list list;
	struct view member;
	uint64_t n;

	http_list_init(&list, res, HTTP_AGE);
	if (!http_list_next(&list, &member) || num_parse_saturating(member, CACHE_DELTA_MAX, &n))
		return 0;
	return (uint32_t)n;
}

/* RFC 9111 §4.2.1: of several lines the first counts; §5.3: where one is no date, "0" above all, it is in the past. */
static bool expires_value(const struct http_head *res, int64_t now, int64_t *out)
{
	const struct http_field *f = http_find(res, HTTP_EXPIRES, 0);

	if (!f)
		return false;
	*out = http_date_parse(f->value, now);
	while (*out != HTTP_DATE_NONE &&
	       (f = http_find(res, HTTP_EXPIRES, (unsigned)(f - res->fields) + 1))) {
		if (http_date_parse(f->value, now) == HTTP_DATE_NONE)
			*out = HTTP_DATE_NONE;
	}
	return true;
}

/* RFC 9110 §15.1: statuses with a heuristic lifetime; 206 is never stored. */
static bool heuristic_status(unsigned status)
{
	switch (status) {
	case 200:
	case 203:
	case 204:
	case 300:
	case 301:
	case 308:
	case 404:
	case 405:
	case 410:
	case 414:
	case 501:
		return true;
	default:
		return false;
	}
}

/* RFC 9111 §4.2.2 */
static uint32_t heuristic_lifetime(const struct cache_options *o, const struct cache_meta *m)
{
	uint64_t lifetime, max = o->heuristic_max / 1000;

	lifetime = (uint64_t)cache_since(m->date, m->last_modified) * o->heuristic_percent / 100;
	if (lifetime > max)
		lifetime = max;
	return lifetime > CACHE_DELTA_MAX ? CACHE_DELTA_MAX : (uint32_t)lifetime;
}

/* RFC 9111 §4.2.1: the first of these that is there. Pragma in a response means nothing (§5.4),
 * but who writes it does not want to be guessed at. */
static uint32_t lifetime(const struct cache_options *o, const struct http_head *res,
                         const struct cache_control *cc, const struct cache_meta *m, enum cache_clause *from)
{
	int64_t expires;

	*from = CACHE_LIFE_S_MAXAGE;
	if (cc->s_maxage != CACHE_DELTA_NONE)
		return cc->s_maxage;
	*from = CACHE_LIFE_MAX_AGE;
	if (cc->max_age != CACHE_DELTA_NONE)
		return cc->max_age;
	if (!(cc->set & CACHE_CC_TARGETED) && expires_value(res, m->response_time, &expires)) {
		*from = expires == HTTP_DATE_NONE ? CACHE_LIFE_EXPIRES_INVALID : CACHE_LIFE_EXPIRES;
		return expires == HTTP_DATE_NONE ? 0 : cache_since(expires, m->date);
	}
	*from = CACHE_LIFE_NONE;
	if (!(m->flags & CACHE_F_LAST_MODIFIED) || (cc->set & CACHE_CC_PRAGMA_NO_CACHE) ||
	    !(heuristic_status(res->status) || (cc->set & CACHE_CC_PUBLIC)))
		return 0;
	*from = CACHE_LIFE_HEURISTIC;
	return heuristic_lifetime(o, m);
}

static enum cache_clause set_lifetime(const struct cache_options *o, const struct http_head *res,
                                      const struct cache_control *cc, struct cache_meta *m)
{
	enum cache_clause from;

	m->lifetime = lifetime(o, res, cc, m, &from);
	if (from == CACHE_LIFE_HEURISTIC)
		m->flags |= CACHE_F_HEURISTIC;
	return from;
}

static void set_validators(const struct http_head *res, struct cache_meta *m)
{
	bool present;
	struct view etag = cache_single(res, HTTP_ETAG, &present);
	struct http_etag tag;

	m->last_modified = HTTP_DATE_NONE;
	/* What was denied to one is not to be confirmed to others: they may have credentials. */
	if (res->status == 401)
		return;
	if (etag.ptr && http_etag_parse(etag, &tag) == 0)
		m->flags |= CACHE_F_ETAG | (tag.weak ? CACHE_F_ETAG_WEAK : 0U);
	m->last_modified = single_date(res, HTTP_LAST_MODIFIED, m->response_time, &present);
	if (m->last_modified == HTTP_DATE_NONE)
		return;
	m->flags |= CACHE_F_LAST_MODIFIED;
	/* RFC 9110 §8.8.2.2: strong when the same clock's Date is at least a second later. */
	if ((m->flags & CACHE_F_DATE) && m->last_modified < m->date)
		m->flags |= CACHE_F_LAST_MODIFIED_STRONG;
}

static uint16_t keep_hours(const struct cache_options *o)
{
	uint64_t hours = o->keep_stale / 3600000 + (o->keep_stale % 3600000 != 0);

	return hours > UINT16_MAX ? UINT16_MAX : (uint16_t)hours;
}

enum cache_clause cache_meta_fill(const struct cache_options *o, const struct http_head *res,
                                  const struct cache_control *cc, int64_t request_time,
                                  int64_t response_time, struct cache_meta *m)
{
	bool present;
	int64_t date = single_date(res, HTTP_DATE, response_time, &present);

	/* Written to disk as it is: no byte may be left to chance. */
	memset(m, 0, sizeof(*m));
	m->request_time = request_time;
	m->response_time = response_time;
	m->date = date == HTTP_DATE_NONE ? response_time : date;
	m->age = age_value(res);
	m->status = res->status;
	m->keep = keep_hours(o);
	m->stale_while_revalidate = cc->stale_while_revalidate;
	m->stale_if_error = cc->stale_if_error;
	if (date != HTTP_DATE_NONE)
		m->flags |= CACHE_F_DATE;
	if (cc->set & CACHE_CC_NO_CACHE)
		m->flags |= CACHE_F_NO_CACHE;
	/* RFC 9111 §5.2.2.2, §5.2.2.8, §5.2.2.10 */
	if ((cc->set & (CACHE_CC_MUST_REVALIDATE | CACHE_CC_PROXY_REVALIDATE)) ||
	    cc->s_maxage != CACHE_DELTA_NONE)
		m->flags |= CACHE_F_MUST_REVALIDATE;
	if (cc->set & CACHE_CC_IMMUTABLE)
		m->flags |= CACHE_F_IMMUTABLE;
	if (cc->set & CACHE_CC_NO_TRANSFORM)
		m->flags |= CACHE_F_NO_TRANSFORM;
	if (http_find(res, HTTP_CONTENT_ENCODING, 0)) {
		enum http_coding coding = http_content_coding(res);

		if (coding == HTTP_CODING_GZIP || coding == HTTP_CODING_DEFLATE)
			m->flags |= CACHE_F_CODED;
	}
	if (http_list_has(res, HTTP_ACCEPT_RANGES, V("none")))
		m->flags |= CACHE_F_ACCEPT_RANGES_NONE;
	set_validators(res, m);
	return set_lifetime(o, res, cc, m);
}

void cache_lifetime_explain(const struct cache_options *o, const struct http_head *res, int64_t request_time,
                            int64_t response_time, struct cache_lifetime *out)
{
	struct cache_control cc;
	struct cache_meta meta;

	out->field = cache_control_response(o, res, &cc);
	out->clause = cache_meta_fill(o, res, &cc, request_time, response_time, &meta);
	out->seconds = meta.lifetime;
}

/* Statuses whose meaning for a cache larder knows (RFC 9111 §3, §5.2.2.3): those that have a name here. */
static bool understood(unsigned status)
{
	return *http_reason(status) != '\0';
}

/* Not final, about one connection alone, or barred from caches. All others with a lifetime of their own
 * may be stored: no precondition or range goes with a request whose answer is for the store. */
static bool never_stored(unsigned status)
{
	switch (status) {
	case 304: /* RFC 9111 §4.3.4: it updates, and is nothing by itself */
	case 407: /* RFC 9110 §15.5.8: of the next proxy to this one */
	case 425: /* RFC 8470 §5.2: whoever repeats it later must be heard */
	case 428: /* RFC 6585 §3 */
	case 429: /* RFC 6585 §4 */
	case 431: /* RFC 6585 §5 */
	case 511: /* RFC 6585 §6 */
		return true;
	default:
		return status < 200 || status > 599;
	}
}

/* Does it answer a field that the key does not hold (RFC 9110 §13.1, §14.2, §10.1.1)? */
static bool answers_a_condition(const struct http_head *req, unsigned status)
{
	switch (status) {
	case 412:
		return http_find(req, HTTP_IF_MATCH, 0) || http_find(req, HTTP_IF_NONE_MATCH, 0) ||
		       http_find(req, HTTP_IF_MODIFIED_SINCE, 0) || http_find(req, HTTP_IF_UNMODIFIED_SINCE, 0);
	case 416:
		return http_find(req, HTTP_RANGE, 0) != NULL;
	case 417:
		return http_find(req, HTTP_EXPECT, 0) != NULL;
	default:
		return false;
	}
}

/* Does the response itself say how long it is fresh (RFC 9111 §4.2.1)? */
static bool explicit_lifetime(const struct http_head *res, const struct cache_control *cc)
{
	return cc->max_age != CACHE_DELTA_NONE || cc->s_maxage != CACHE_DELTA_NONE ||
	       (!(cc->set & CACHE_CC_TARGETED) && http_find(res, HTTP_EXPIRES, 0));
}

/* RFC 9111 §7.3: Set-Cookie does not forbid to store; but by a guess nobody's cookie is given to others. */
bool cache_cookie_shareable(const struct cache_options *o, const struct http_head *res,
                            const struct cache_control *cc)
{
	return (o->store_set_cookie && explicit_lifetime(res, cc)) || (cc->set & CACHE_CC_PUBLIC) ||
	       cc->s_maxage != CACHE_DELTA_NONE || cache_control_named(cc, V("set-cookie")) != CACHE_FIELD_KEPT;
}

/* Whether anything lets a cache keep it (RFC 9111 §3, last point) and it can ever be of use. */
static bool usable(const struct http_head *res, const struct cache_control *cc,
                   const struct cache_meta *m)
{
	if (!explicit_lifetime(res, cc) && !(cc->set & CACHE_CC_PUBLIC) && !heuristic_status(res->status))
		return false;
	if (m->flags & (CACHE_F_ETAG | CACHE_F_LAST_MODIFIED))
		return true;
	if (m->flags & CACHE_F_NO_CACHE)
		return false;
	if (cache_ttl(m, m->response_time) > 0)
		return true;
	return !(m->flags & CACHE_F_MUST_REVALIDATE) &&
	       ((m->stale_while_revalidate != CACHE_DELTA_NONE && m->stale_while_revalidate) ||
	        (m->stale_if_error != CACHE_DELTA_NONE && m->stale_if_error));
}

static bool request_no_store(const struct cache_options *o, const struct http_head *req)
{
	struct cache_control cc;

	if (!o->request_directives)
		return false;
	cache_control_parse(req, &cc);
	return cc.set & CACHE_CC_NO_STORE;
}

enum cache_reason cache_judge(const struct cache_options *o, const struct http_head *req,
                              const struct http_head *res, const struct cache_control *cc,
                              const struct cache_meta *meta)
{
	bool must_understand = cc->set & CACHE_CC_MUST_UNDERSTAND;

	if (res->status == 206)
		return CACHE_STORE_PARTIAL;
	if (never_stored(res->status) || answers_a_condition(req, res->status) || (must_understand && !understood(res->status)))
		return CACHE_STORE_STATUS;
	if (request_no_store(o, req))
		return CACHE_STORE_REQUEST_NO_STORE;
	/* §5.2.2.3: who understands must-understand and the status ignores no-store. */
	if ((cc->set & CACHE_CC_NO_STORE) && !must_understand)
		return CACHE_STORE_NO_STORE;
	if (cc->set & CACHE_CC_PRIVATE)
		return CACHE_STORE_PRIVATE;
	if (http_find(req, HTTP_AUTHORIZATION, 0) &&
	    !(cc->set & (CACHE_CC_PUBLIC | CACHE_CC_MUST_REVALIDATE)) &&
	    cc->s_maxage == CACHE_DELTA_NONE)
		return CACHE_STORE_AUTHORIZATION;
	if (cache_vary_any(res))
		return CACHE_STORE_VARY_ANY;
	if (http_find(res, HTTP_SET_COOKIE, 0) && !cache_cookie_shareable(o, res, cc))
		return CACHE_STORE_SET_COOKIE;
	return usable(res, cc, meta) ? CACHE_STORE_OK : CACHE_STORE_NO_FRESHNESS;
}

struct view cache_control_response(const struct cache_options *o, const struct http_head *res,
                                   struct cache_control *out)
{
	for (size_t i = 0; i < o->targeted_fields.n; i++) {
		struct view name = view_of(o->targeted_fields.items[i]);

		if (cache_control_targeted(res, name, out))
			return name;
	}
	cache_control_parse(res, out);
	return V("");
}

/* RFC 9110 §9.3.3: an answer to POST is for later GETs if it says how long, and that it is what they would get. */
static bool method_storable(const struct http_head *req, const struct http_head *res,
                            const struct cache_control *cc)
{
	if (req->method != HTTP_METHOD_POST)
		return req->method == HTTP_METHOD_GET;
	return res->status >= 200 && res->status < 300 && explicit_lifetime(res, cc) &&
	       http_only(res, HTTP_CONTENT_LOCATION).ptr;
}

enum cache_reason cache_storable(const struct cache_options *o, const struct http_head *req,
                                 const struct http_head *res, int64_t request_time,
                                 int64_t response_time, struct cache_meta *meta,
                                 struct cache_control *cc)
{
	struct cache_control own;

	cc = cc ? cc : &own;
	cache_control_response(o, res, cc);
	cache_meta_fill(o, res, cc, request_time, response_time, meta);
	if (!method_storable(req, res, cc))
		return CACHE_STORE_METHOD;
	return cache_judge(o, req, res, cc, meta);
}
