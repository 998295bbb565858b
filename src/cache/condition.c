#include "cache-private.h"

/* Cuts the next entity-tag off a list. A backslash is an ordinary character in one (RFC 9110
 * §8.8.3), so quoted-string rules do not do. What is no entity-tag is skipped up to the comma. */
static bool next_etag(struct view *rest, struct http_etag *tag)
{
	while (rest->len) {
		struct view v = view_trim(*rest);
		size_t quote = view_starts(v, V("W/\"")) ? 2 : 0, end;

		if (v.len > quote && v.ptr[quote] == '"') {
			end = quote + 1 + view_find(view_from(v, quote + 1), '"');
			if (end < v.len && http_etag_parse(view_make(v.ptr, end + 1), tag) == 0) {
				struct view after = view_trim(view_from(v, end + 1));

				if (!after.len || after.ptr[0] == ',') {
					*rest = after;
					return true;
				}
			}
		}
		end = view_find(v, ',');
		*rest = end < v.len ? view_from(v, end + 1) : view_from(v, end);
	}
	return false;
}

static bool line_matches(struct view value, const struct http_etag *stored, bool strong)
{
	struct http_etag tag;

	while (next_etag(&value, &tag)) {
		if (strong ? http_etag_strong_eq(stored, &tag) : http_etag_weak_eq(stored, &tag))
			return true;
	}
	return false;
}

/* Does the field say "*" or list the stored entity-tag? */
static bool matches(const struct http_head *req, enum http_name id, struct view etag, bool strong)
{
	const struct http_field *f;
	struct http_etag stored;
	bool tagged = etag.len && http_etag_parse(etag, &stored) == 0;

	for (unsigned i = 0; (f = http_find(req, id, i)); i = (unsigned)(f - req->fields) + 1) {
		if (view_eq(f->value, V("*")) ||
		    (tagged && line_matches(f->value, &stored, strong)))
			return true;
	}
	return false;
}

/* The date of a conditional field; those that are repeated or no dates are ignored (RFC 9110
 * §13.1.3, §13.1.4). */
static bool condition_date(const struct http_head *req, enum http_name id, int64_t now,
                           int64_t *out)
{
	struct view v = http_only(req, id);

	*out = v.ptr ? http_date_parse(v, now) : HTTP_DATE_NONE;
	return *out != HTTP_DATE_NONE;
}

enum cache_condition cache_precondition(const struct http_head *req, const struct cache_meta *meta,
                                        struct view etag, int64_t now)
{
	bool reads = req->method == HTTP_METHOD_GET || req->method == HTTP_METHOD_HEAD;
	bool dated = meta->flags & CACHE_F_LAST_MODIFIED;
	int64_t t;

	/* §13.2.1: only where the answer would be 2xx without conditions. */
	if (meta->status < 200 || meta->status > 299)
		return CACHE_COND_NONE;
	if (http_find(req, HTTP_IF_MATCH, 0)) {
		if (!matches(req, HTTP_IF_MATCH, etag, true))
			return CACHE_COND_412;
	} else if (dated && condition_date(req, HTTP_IF_UNMODIFIED_SINCE, now, &t) &&
	           meta->last_modified > t) {
		return CACHE_COND_412;
	}
	if (http_find(req, HTTP_IF_NONE_MATCH, 0)) {
		if (matches(req, HTTP_IF_NONE_MATCH, etag, false))
			return reads ? CACHE_COND_304 : CACHE_COND_412;
	} else if (reads && condition_date(req, HTTP_IF_MODIFIED_SINCE, now, &t) &&
	           /* RFC 9111 §4.3.2: Date, or the time of receipt, stands in for Last-Modified. */
	           (dated ? meta->last_modified : meta->date) <= t) {
		return CACHE_COND_304;
	}
	return CACHE_COND_NONE;
}

/* RFC 9110 §13.1.5: strong comparison, or the very date where that is a strong validator. */
static bool if_range_holds(const struct http_head *req, const struct cache_meta *meta,
                           struct view etag, int64_t now)
{
	struct view v = http_only(req, HTTP_IF_RANGE);
	struct http_etag theirs, ours;

	if (!v.ptr)
		return !http_find(req, HTTP_IF_RANGE, 0);
	if (http_etag_parse(v, &theirs) == 0)
		return etag.len && http_etag_parse(etag, &ours) == 0 &&
		       http_etag_strong_eq(&theirs, &ours);
	/* The date is that of the content in both its codings: it does not say of which the client has a part (§8.8.1). */
	return (meta->flags & CACHE_F_LAST_MODIFIED_STRONG) && !(meta->flags & CACHE_F_RECODED) &&
	       http_date_parse(v, now) == meta->last_modified;
}

enum http_range_outcome cache_ranges(const struct http_head *req, const struct cache_meta *meta,
                                     struct view etag, uint64_t length, int64_t now,
                                     struct http_range *ranges, unsigned max, unsigned *n)
{
	struct view range = http_only(req, HTTP_RANGE);

	*n = 0;
	/* RFC 9110 §14.2: Range is defined for GET, and where the answer would be 200. */
	if (!range.ptr || req->method != HTTP_METHOD_GET || meta->status != 200 ||
	    (meta->flags & CACHE_F_ACCEPT_RANGES_NONE) || !if_range_holds(req, meta, etag, now))
		return HTTP_RANGE_NONE;
	return http_range_parse(range, length, ranges, max, n);
}
