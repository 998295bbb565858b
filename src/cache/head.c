#include "cache-private.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"
#include "http/framing.h"

static void add_status(unsigned status, struct view reason, struct buf *out)
{
	BUF_ADD_LIT(out, "HTTP/1.1 ");
	buf_addu(out, status);
	buf_addc(out, ' ');
	buf_addv(out, reason.len ? reason : view_of(http_reason(status)));
	BUF_ADD_LIT(out, "\r\n");
}

static void add_field(struct view name, struct view value, struct buf *out)
{
	buf_addv(out, name);
	BUF_ADD_LIT(out, ": ");
	buf_addv(out, value);
	BUF_ADD_LIT(out, "\r\n");
}

/* RFC 9111 §3.1: hop-by-hop fields and those about one proxy's own exchange are not stored.
 * Content-Length and Age are made anew. */
static enum cache_clause stored_field(const struct http_field *f, const struct cache_control *cc)
{
	switch (f->id) {
	case HTTP_AGE:
	case HTTP_CONTENT_LENGTH:
		return CACHE_FIELD_ANEW;
	case HTTP_PROXY_AUTHENTICATE:
	case HTTP_PROXY_AUTHENTICATION_INFO:
	case HTTP_PROXY_AUTHORIZATION:
		return CACHE_FIELD_PROXY;
	case HTTP_TRAILER:
		return CACHE_FIELD_TRAILER;
	default:
		return f->hop ? CACHE_FIELD_HOP : cache_control_named(cc, f->name);
	}
}

enum cache_clause cache_field_explain(const struct cache_options *o, const struct http_head *res,
                                      const struct http_field *f)
{
	struct cache_control cc;

	cache_control_response(o, res, &cc);
	return stored_field(f, &cc);
}

static int write_head(const struct http_head *res, const struct cache_control *cc, uint64_t length,
                      struct buf *out)
{
	add_status(res->status, res->reason, out);
	for (unsigned i = 0; i < res->nfields; i++) {
		if (stored_field(&res->fields[i], cc) == CACHE_FIELD_KEPT)
			add_field(res->fields[i].name, res->fields[i].value, out);
	}
	/* RFC 9110 §8.6: none in a 204. */
	if (length != HTTP_LENGTH_UNKNOWN && res->status != 204) {
		BUF_ADD_LIT(out, "Content-Length: ");
		buf_addu(out, length);
		BUF_ADD_LIT(out, "\r\n");
	}
	return out->err;
}

int cache_head_write(const struct cache_options *o, const struct http_head *res,
                     const struct cache_control *cc, uint64_t length, struct buf *out)
{
	struct cache_control own;

	if (!cc)
		cache_control_response(o, res, &own);
	return write_head(res, cc ? cc : &own, length, out);
}

/* By its name, whether it is on our list or another cache's. */
static bool is_targeted(struct view name)
{
	struct view end = V("-Cache-Control");

	return name.len > end.len && view_ieq(view_from(name, name.len - end.len), end);
}

/* RFC 9110 §15.4.5, targeted fields (RFC 9213) for caches behind us, and what caches on the way said. */
static bool kept_in_304(const struct http_field *f, bool etag)
{
	switch (f->id) {
	case HTTP_CACHE_CONTROL:
	case HTTP_CACHE_STATUS:
	case HTTP_CONTENT_LOCATION:
	case HTTP_DATE:
	case HTTP_ETAG:
	case HTTP_EXPIRES:
	case HTTP_VARY:
	case HTTP_VIA:
		return true;
	case HTTP_LAST_MODIFIED: /* of use where there is no ETag */
		return !etag;
	default:
		return is_targeted(f->name);
	}
}

int cache_304_write(const struct http_head *stored, struct buf *out)
{
	bool etag = http_find(stored, HTTP_ETAG, 0) != NULL;

	add_status(304, V("Not Modified"), out);
	for (unsigned i = 0; i < stored->nfields; i++) {
		const struct http_field *f = &stored->fields[i];

		if (kept_in_304(f, etag))
			add_field(f->name, f->value, out);
	}
	return out->err;
}

struct view cache_origin_etag(struct view etag, const struct cache_meta *meta)
{
	if ((meta->flags & CACHE_F_ETAG_WEAKENED) && view_starts(etag, V("W/")))
		return view_from(etag, 2);
	return etag;
}

int cache_validators_write(const struct http_head *stored, const struct cache_meta *meta,
                           struct buf *out)
{
	const struct http_field *etag = http_find(stored, HTTP_ETAG, 0);
	const struct http_field *modified = http_find(stored, HTTP_LAST_MODIFIED, 0);
	int any = 0;

	if ((meta->flags & CACHE_F_ETAG) && etag) {
		add_field(V("If-None-Match"), cache_origin_etag(etag->value, meta), out);
		any = 1;
	}
	if ((meta->flags & CACHE_F_LAST_MODIFIED) && modified) {
		add_field(V("If-Modified-Since"), modified->value, out);
		any = 1;
	}
	return out->err ? out->err : any;
}

/* The 304's entity-tag against the stored one. 1: the same, 0: another, -1: nothing to compare. */
static int match_etag(const struct http_head *stored, const struct cache_meta *meta,
                      const struct http_head *res304)
{
	bool present;
	struct view ours = cache_origin_etag(cache_single(stored, HTTP_ETAG, &present), meta);
	struct view theirs = cache_single(res304, HTTP_ETAG, &present);
	struct http_etag a, b;

	if (!theirs.ptr || http_etag_parse(theirs, &b))
		return -1;
	if (!ours.ptr || http_etag_parse(ours, &a))
		return b.weak ? -1 : 0;
	return b.weak ? http_etag_weak_eq(&a, &b) : http_etag_strong_eq(&a, &b);
}

bool cache_304_selects(const struct http_head *stored, const struct cache_meta *meta,
                       const struct http_head *res304)
{
	int etag = match_etag(stored, meta, res304);
	bool present;
	struct view modified = cache_single(res304, HTTP_LAST_MODIFIED, &present);
	int64_t t;

	if (etag >= 0)
		return etag;
	t = modified.ptr ? http_date_parse(modified, meta->response_time) : HTTP_DATE_NONE;
	if (t != HTTP_DATE_NONE)
		return (meta->flags & CACHE_F_LAST_MODIFIED) && t == meta->last_modified;
	/* No validator at all: many origins say as little. The request named one stored response,
	 * so the answer can mean no other. A validator that can't be read is not none. */
	return !present && !http_find(res304, HTTP_ETAG, 0);
}

bool cache_head_selects(const struct http_head *stored, const struct cache_meta *meta, uint64_t length,
                        const struct http_head *res)
{
	static const enum http_name names[] = {HTTP_ETAG, HTTP_LAST_MODIFIED};
	struct view ours, theirs;
	bool present, had;
	uint64_t n;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		theirs = cache_single(res, names[i], &present);
		ours = cache_single(stored, names[i], &had);
		if (names[i] == HTTP_ETAG)
			ours = cache_origin_etag(ours, meta);
		if (present && (!theirs.ptr || !ours.ptr || !view_eq(ours, theirs)))
			return false;
	}
	/* What the cache has compressed is of another length there. */
	if (meta->flags & CACHE_F_RECODED)
		return true;
	theirs = cache_single(res, HTTP_CONTENT_LENGTH, &present);
	return !present || (theirs.ptr && num_parse_u64(theirs, UINT64_MAX, &n) == 0 && n == length);
}

/* RFC 9111 §3.2: all but what belongs to the message alone, and what the cache's own processing has changed. */
static bool updatable(const struct http_field *f, bool cookies, bool recoded)
{
	if (f->hop)
		return false;
	switch (f->id) {
	case HTTP_CONTENT_DIGEST: /* of no content */
	case HTTP_CONTENT_ENCODING:
	case HTTP_CONTENT_LENGTH:
	case HTTP_CONTENT_RANGE:
		return false;
	case HTTP_CONTENT_MD5: /* of other bytes than are stored */
	case HTTP_DIGEST:
	case HTTP_REPR_DIGEST:
	case HTTP_ETAG: /* the stored one is weak by now */
		return !recoded;
	case HTTP_SET_COOKIE:
		/* Meant for the one client whose request was validated, unless it says otherwise.
		 */
		return cookies;
	default:
		return true;
	}
}

static bool replaced(const struct http_field *f, const struct http_field *by, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (by[i].id == f->id && (f->id != HTTP_OTHER || view_ieq(by[i].name, f->name)))
			return true;
	}
	return false;
}

bool cache_304_shares_cookies(const struct cache_options *o, const struct http_head *res304)
{
	struct cache_control cc;

	cache_control_response(o, res304, &cc);
	return cache_cookie_shareable(o, res304, &cc);
}

/* Fills `into`, whose fields have room for both heads' and a Date. */
static void merge(const struct cache_options *o, const struct http_head *stored,
                  const struct http_head *res304, struct view date, bool recoded, struct http_head *into)
{
	struct http_field *news = into->fields;
	bool cookies = cache_304_shares_cookies(o, res304);
	unsigned n = 0;

	for (unsigned i = 0; i < res304->nfields; i++) {
		if (updatable(&res304->fields[i], cookies, recoded))
			news[n++] = res304->fields[i];
	}
	/* RFC 9110 §6.6.1: without a Date it is dated when it arrives. */
	if (!http_find(res304, HTTP_DATE, 0))
		news[n++] = (struct http_field){.name = V("Date"), .value = date, .id = HTTP_DATE};
	into->nfields = n;
	for (unsigned i = 0; i < stored->nfields; i++) {
		if (!replaced(&stored->fields[i], news, n))
			news[into->nfields++] = stored->fields[i];
	}
}

static enum cache_fate fate_for(enum cache_reason why)
{
	switch (why) {
	case CACHE_STORE_OK:
	case CACHE_STORE_NO_FRESHNESS:
		return CACHE_UPDATE;
	case CACHE_STORE_REQUEST_NO_STORE:
	case CACHE_STORE_AUTHORIZATION:
		return CACHE_LEAVE;
	default:
		return CACHE_REMOVE;
	}
}

int cache_freshen(const struct cache_options *o, const struct http_head *req,
                  const struct http_head *stored, const struct cache_meta *was,
                  const struct http_head *res304, int64_t request_time, int64_t response_time, uint64_t length, struct buf *out,
                  struct cache_meta *meta)
{
	struct http_head merged = *stored;
	struct cache_control cc;
	char date[HTTP_DATE_LEN];
	enum cache_fate fate;
	int err;

	merged.cap = stored->nfields + res304->nfields + 1;
	merged.fields = calloc(merged.cap, sizeof(*merged.fields));
	if (!merged.fields)
		return LARDER_ENOMEM;
	http_date_format(response_time, date);
	merge(o, stored, res304, view_make(date, sizeof(date)), was->flags & CACHE_F_RECODED, &merged);
	cache_control_response(o, &merged, &cc);
	cache_meta_fill(o, &merged, &cc, request_time, response_time, meta);
	/* The content stays as it is stored, which the origin does not know of. */
	meta->flags |= was->flags & CACHE_F_CONTENT;
	fate = fate_for(cache_judge(o, req, &merged, &cc, meta));
	/* It answers this request, and no other one. */
	if (fate != CACHE_UPDATE)
		meta->flags |= CACHE_F_NO_CACHE;
	if (fate == CACHE_REMOVE)
		meta->lifetime = 0;
	err = write_head(&merged, &cc, length, out);
	free(merged.fields);
	return err ? err : (int)fate;
}
