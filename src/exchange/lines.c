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
		buf_addv(b, buf_view(&x->env->via));
	if (o->cache_status)
		add_cache_status(x, cs);
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

int lines_rewrite(struct view head, unsigned status, bool drop_type, struct buf *out)
{
	struct view line;
	bool first = true;

	while (next_line(&head, &line)) {
		if (first) {
			buf_printf(out, "HTTP/1.1 %u %s\r\n", status, http_reason(status));
			first = false;
			continue;
		}
		if (view_istarts(line, V("Content-Length:")) ||
		    (drop_type && view_istarts(line, V("Content-Type:"))))
			continue;
		buf_addv(out, line);
		BUF_ADD_LIT(out, "\r\n");
	}
	return out->err;
}
