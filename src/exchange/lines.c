#include "exchange-private.h"

static void add_param(struct buf *b, const char *name, const char *value)
{
	BUF_ADD_LIT(b, "; ");
	buf_addv(b, view_of(name));
	buf_addv(b, view_of(value));
}

static void add_number(struct buf *b, const char *name, int64_t n)
{
	BUF_ADD_LIT(b, "; ");
	buf_addv(b, view_of(name));
	if (n < 0)
		buf_addc(b, '-');
	buf_addu(b, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

/* On every hit: no printf here. */
static void add_cache_status(struct exchange *x, const struct cache_status *cs)
{
	struct buf *b = &x->lines;

	buf_addv(b, buf_view(&x->env->cache_status));
	if (cs->hit)
		BUF_ADD_LIT(b, "; hit");
	if (cs->fwd)
		add_param(b, "fwd=", cs->fwd);
	if (cs->fwd_status)
		add_number(b, "fwd-status=", cs->fwd_status);
	if (cs->has_ttl)
		add_number(b, "ttl=", cs->ttl);
	if (cs->stored)
		BUF_ADD_LIT(b, "; stored");
	if (cs->collapsed)
		BUF_ADD_LIT(b, "; collapsed");
	if (cs->detail)
		add_param(b, "detail=", cs->detail);
	BUF_ADD_LIT(b, "\r\n");
}

static int came_by(const struct cache_meta *meta)
{
	if (!meta || !(meta->flags & (CACHE_F_HTTP10 | CACHE_F_HTTP2)))
		return EXCHANGE_HTTP11;
	return meta->flags & CACHE_F_HTTP10 ? EXCHANGE_HTTP10 : EXCHANGE_HTTP2;
}

void lines_generate(struct exchange *x, int64_t age, const struct cache_status *cs)
{
	const struct exchange_listener_options *o = &x->listener->options;
	struct buf *b = &x->lines;
	size_t from = b->len;

	if (age >= 0) {
		BUF_ADD_LIT(b, "Age: ");
		buf_addu(b, (uint64_t)age);
		BUF_ADD_LIT(b, "\r\n");
	}
	if (o->via == EXCHANGE_VIA_RESPONSE || o->via == EXCHANGE_VIA_BOTH)
		buf_addv(b, buf_view(&x->env->via[came_by(cs->meta)]));
	if (o->cache_status)
		add_cache_status(x, cs);
	buf_addv(b, x->cookies);
	/* Half a line would run into the next one. */
	if (b->err) {
		b->len = from;
		b->err = 0;
	}
}

struct view lines_raw(const struct http_field *f)
{
	const char *end = f->value.len ? f->value.ptr + f->value.len : f->name.ptr + f->name.len + 1;

	return view_make(f->name.ptr, (size_t)(end - f->name.ptr));
}

int lines_pass_head(const struct http_head *head, struct buf *out)
{
	BUF_ADD_LIT(out, "HTTP/1.1 ");
	buf_addu(out, head->status);
	buf_addc(out, ' ');
	buf_addv(out, head->reason);
	BUF_ADD_LIT(out, "\r\n");
	for (unsigned i = 0; i < head->nfields; i++) {
		const struct http_field *f = &head->fields[i];

		if (f->hop)
			continue;
		if (f->name.ptr[f->name.len] == ':') {
			buf_addv(out, lines_raw(f));
		} else { /* RFC 9112 §5.1: without the white space before the colon */
			buf_addv(out, f->name);
			BUF_ADD_LIT(out, ": ");
			buf_addv(out, f->value);
		}
		BUF_ADD_LIT(out, "\r\n");
	}
	return out->err;
}

/* Cuts the next line (without its CRLF) from a head's text. */
static bool next_line(struct view *rest, struct view *line)
{
	if (!rest->len)
		return false;
	*line = view_cut(*rest, '\n', rest);
	if (line->len && line->ptr[line->len - 1] == '\r')
		line->len--;
	return true;
}

struct view lines_field(struct view head, struct view name)
{
	struct view line, value;

	while (next_line(&head, &line)) {
		if (line.len > name.len && line.ptr[name.len] == ':' && view_istarts(line, name)) {
			value = view_from(line, name.len + 1);
			return view_trim(value);
		}
	}
	return view_make(NULL, 0);
}

/* Does a 206 have the field? Not what speaks of the whole content (RFC 9530 §2). To If-Range it has no more of the
 * representation's fields than it must (RFC 9110 §15.3.7): who asks so has them. */
static bool in_206(enum http_name id, bool lean, bool etag)
{
	switch (id) {
	case HTTP_CONTENT_DIGEST:
	case HTTP_CONTENT_LENGTH:
	case HTTP_CONTENT_MD5:
		return false;
	case HTTP_CONTENT_ENCODING:
	case HTTP_CONTENT_LANGUAGE:
	case HTTP_CONTENT_TYPE:
	case HTTP_DIGEST:
	case HTTP_REPR_DIGEST:
		return !lean;
	case HTTP_LAST_MODIFIED: /* the validator, where there is no other */
		return !lean || !etag;
	default:
		return true;
	}
}

int lines_partial(struct view head, bool lean, bool multipart, struct buf *out)
{
	bool first = true, etag = lines_field(head, V("ETag")).ptr != NULL;
	struct view line, rest;

	while (next_line(&head, &line)) {
		enum http_name id;

		if (first) {
			buf_printf(out, "HTTP/1.1 206 %s\r\n", http_reason(206));
			first = false;
			continue;
		}
		id = http_name_lookup(view_cut(line, ':', &rest));
		if (!in_206(id, lean, etag) || (multipart && id == HTTP_CONTENT_TYPE))
			continue;
		buf_addv(out, line);
		BUF_ADD_LIT(out, "\r\n");
	}
	return out->err;
}
