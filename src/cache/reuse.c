#include "cache-private.h"

/* Inlined, so that whoever wants a single number, or the verdict alone, pays for no more. */
#define INLINE static inline __attribute__((always_inline))

INLINE struct cache_age age_of(const struct cache_meta *meta, int64_t now)
{
	struct cache_age a = {
		.apparent = cache_since(meta->response_time, meta->date),
		.delay = cache_since(meta->response_time, meta->request_time),
		.resident = cache_since(now, meta->response_time),
	};
	uint64_t corrected = (uint64_t)meta->age + a.delay;
	uint64_t initial = corrected > a.apparent ? corrected : a.apparent, current = initial + a.resident;

	a.corrected = corrected > CACHE_DELTA_MAX ? CACHE_DELTA_MAX : (uint32_t)corrected;
	a.initial = initial > CACHE_DELTA_MAX ? CACHE_DELTA_MAX : (uint32_t)initial;
	a.current = current > CACHE_DELTA_MAX ? CACHE_DELTA_MAX : (uint32_t)current;
	return a;
}

uint32_t cache_age(const struct cache_meta *meta, int64_t now)
{
	return age_of(meta, now).current;
}

void cache_age_explain(const struct cache_meta *meta, int64_t now, struct cache_age *out)
{
	*out = age_of(meta, now);
}

int64_t cache_ttl(const struct cache_meta *meta, int64_t now)
{
	return (int64_t)meta->lifetime - cache_age(meta, now);
}

/* RFC 9111 §5.2.1.4, §5.4; a request's no-cache knows no field names. */
INLINE bool wants_validation(const struct cache_control *cc, enum cache_clause *rule)
{
	*rule = cc->set & CACHE_CC_PRAGMA_NO_CACHE ? CACHE_RULE_REQUEST_PRAGMA : CACHE_RULE_REQUEST_NO_CACHE;
	return cc->set & (CACHE_CC_NO_CACHE | CACHE_CC_NO_CACHE_FIELDS | CACHE_CC_PRAGMA_NO_CACHE);
}

/* Whether the request's directives rule a stored response of that age and ttl out, fresh or not. */
INLINE bool request_rules_out(const struct cache_control *cc, const struct cache_meta *meta,
                              uint32_t age, int64_t ttl, enum cache_clause *rule)
{
	if (wants_validation(cc, rule))
		return true;
	/* §5.2.1.3 */
	*rule = CACHE_RULE_REQUEST_MIN_FRESH;
	if (cc->min_fresh != CACHE_DELTA_NONE && ttl < (int64_t)cc->min_fresh)
		return true;
	/* RFC 8246 §2.1: a reload's max-age does not touch what is immutable and fresh. */
	if (cc->max_age == CACHE_DELTA_NONE ||
	    (ttl > 0 && (meta->flags & (CACHE_F_IMMUTABLE | CACHE_F_DOUBTED)) == CACHE_F_IMMUTABLE))
		return false;
	/* §5.2.1.1; 0 always asks, even within the first second. */
	*rule = CACHE_RULE_REQUEST_MAX_AGE;
	return age > cc->max_age || cc->max_age == 0;
}

/* RFC 9111 §4.2.4: forbidden by must-revalidate, proxy-revalidate, s-maxage and no-cache. */
static bool never_stale(const struct cache_meta *meta)
{
	return meta->flags & (CACHE_F_NO_CACHE | CACHE_F_MUST_REVALIDATE);
}

/* §5.2.1.2 */
static bool max_stale_covers(const struct cache_control *cc, int64_t ttl)
{
	if (cc->max_stale != CACHE_DELTA_NONE)
		return -ttl <= (int64_t)cc->max_stale;
	return cc->set & CACHE_CC_MAX_STALE_ANY;
}

/* The verdict without only-if-cached. `cc`: the request's directives that count. */
INLINE enum cache_use judge_use(const struct cache_control *cc, const struct cache_meta *meta, int64_t now,
                                enum cache_reason *why, enum cache_clause *rule)
{
	uint32_t age = cache_age(meta, now);
	int64_t ttl = (int64_t)meta->lifetime - age;

	*why = CACHE_USE_NO_CACHE;
	*rule = CACHE_RULE_NO_CACHE;
	if (meta->flags & CACHE_F_NO_CACHE)
		return CACHE_VALIDATE;
	/* RFC 9211 §2.2: "request" speaks of fresh ones only. */
	*why = ttl > 0 ? CACHE_USE_REQUEST : CACHE_USE_STALE;
	if (cc && request_rules_out(cc, meta, age, ttl, rule))
		return CACHE_VALIDATE;
	*why = CACHE_USE_FRESH;
	*rule = CACHE_RULE_FRESH;
	if (ttl > 0)
		return CACHE_SERVE;
	*why = CACHE_USE_STALE;
	*rule = CACHE_RULE_NEVER_STALE;
	if (never_stale(meta))
		return CACHE_VALIDATE;
	*why = CACHE_USE_STALE_ALLOWED;
	*rule = CACHE_RULE_MAX_STALE;
	if (cc && max_stale_covers(cc, ttl))
		return CACHE_SERVE;
	/* §5.2.1.1: with max-age and no max-stale the client wants nothing stale. */
	*rule = CACHE_RULE_WHILE_REVALIDATE;
	if (meta->stale_while_revalidate != CACHE_DELTA_NONE &&
	    -ttl <= (int64_t)meta->stale_while_revalidate &&
	    !(cc && cc->max_age != CACHE_DELTA_NONE))
		return CACHE_SERVE_STALE_REVALIDATE;
	*why = CACHE_USE_STALE;
	*rule = CACHE_RULE_STALE;
	return CACHE_VALIDATE;
}

INLINE enum cache_use judge_reuse(const struct cache_options *o, const struct http_head *req,
                                  const struct cache_control *req_cc, const struct cache_meta *meta,
                                  int64_t now, enum cache_reason *why, enum cache_clause *rule)
{
	const struct cache_control *cc = o->request_directives ? req_cc : NULL;
	enum cache_use use;

	*rule = CACHE_RULE_METHOD;
	if (req->method != HTTP_METHOD_GET && req->method != HTTP_METHOD_HEAD) {
		*why = CACHE_USE_METHOD;
		return CACHE_VALIDATE;
	}
	/* What was denied to somebody without credentials says nothing about others (RFC 9110 §11.6.1). */
	*rule = CACHE_RULE_DENIED;
	if (meta->status == 401 && http_find(req, HTTP_AUTHORIZATION, 0)) {
		*why = CACHE_USE_REQUEST;
		use = CACHE_VALIDATE;
	} else {
		use = judge_use(cc, meta, now, why, rule);
	}
	/* §5.2.1.7 */
	if (use == CACHE_VALIDATE && cc && (cc->set & CACHE_CC_ONLY_IF_CACHED))
		return CACHE_TIMEOUT;
	return use;
}

enum cache_use cache_reuse(const struct cache_options *o, const struct http_head *req,
                           const struct cache_control *req_cc, const struct cache_meta *meta,
                           int64_t now, enum cache_reason *why)
{
	enum cache_clause rule;

	return judge_reuse(o, req, req_cc, meta, now, why, &rule);
}

enum cache_use cache_reuse_explain(const struct cache_options *o, const struct http_head *req,
                                   const struct cache_control *req_cc, const struct cache_meta *meta,
                                   int64_t now, enum cache_reason *why, enum cache_clause *rule)
{
	return judge_reuse(o, req, req_cc, meta, now, why, rule);
}

bool cache_stale_on_error_explain(const struct cache_options *o, const struct cache_control *req_cc,
                                  const struct cache_meta *meta, int64_t now, uint32_t default_s,
                                  enum cache_clause *rule, int64_t *allowed)
{
	const struct cache_control *cc = o->request_directives ? req_cc : NULL;
	int64_t ttl = cache_ttl(meta, now);

	*allowed = default_s;
	if (cc && wants_validation(cc, rule))
		return false;
	*rule = CACHE_RULE_NO_CACHE;
	if (meta->flags & CACHE_F_NO_CACHE)
		return false;
	*rule = CACHE_RULE_FRESH;
	if (ttl > 0)
		return true;
	*rule = CACHE_RULE_NEVER_STALE;
	if (never_stale(meta))
		return false;
	*rule = CACHE_RULE_MAX_STALE;
	if (cc && max_stale_covers(cc, ttl))
		return true;
	/* RFC 5861 §4: a directive of both; what the client says about its own answer comes first.
	 */
	*rule = CACHE_RULE_IF_ERROR_OPTION;
	if (cc && cc->stale_if_error != CACHE_DELTA_NONE) {
		*rule = CACHE_RULE_IF_ERROR_REQUEST;
		*allowed = cc->stale_if_error;
	} else if (meta->stale_if_error != CACHE_DELTA_NONE) {
		*rule = CACHE_RULE_IF_ERROR;
		*allowed = meta->stale_if_error;
	}
	return -ttl <= *allowed && *allowed > 0;
}

bool cache_stale_on_error(const struct cache_options *o, const struct cache_control *req_cc,
                          const struct cache_meta *meta, int64_t now, uint32_t default_s)
{
	enum cache_clause rule;
	int64_t allowed;

	return cache_stale_on_error_explain(o, req_cc, meta, now, default_s, &rule, &allowed);
}

bool cache_worth_keeping(const struct cache_meta *meta, int64_t now)
{
	int64_t stale = -cache_ttl(meta, now), allowed = 0;

	if (stale < 0)
		return true;
	if (stale > (int64_t)meta->keep * 3600)
		return false;
	if (meta->flags & (CACHE_F_ETAG | CACHE_F_LAST_MODIFIED))
		return true;
	if (never_stale(meta))
		return false;
	if (meta->stale_while_revalidate != CACHE_DELTA_NONE)
		allowed = meta->stale_while_revalidate;
	if (meta->stale_if_error != CACHE_DELTA_NONE && meta->stale_if_error > allowed)
		allowed = meta->stale_if_error;
	return stale <= allowed && allowed > 0;
}

bool cache_invalidates(enum http_method method, uint16_t status)
{
	/* Methods of unknown safety count as unsafe; non-error is 2xx and 3xx. */
	return !http_method_safe(method) && method != HTTP_METHOD_CONNECT && status >= 200 &&
	       status < 400;
}
