#include "http/value.h"

#include "http-private.h"

int http_etag_parse(struct view text, struct http_etag *out)
{
	struct view opaque = text;

	out->weak = view_starts(text, V("W/"));
	if (out->weak)
		opaque = view_from(text, 2);
	if (opaque.len < 2 || opaque.ptr[0] != '"' ||
	    http_span(view_from(opaque, 1), HTTP_ETAGC) != opaque.len - 2 ||
	    opaque.ptr[opaque.len - 1] != '"')
		return LARDER_EINVAL;
	out->opaque = opaque;
	return 0;
}

bool http_etag_strong_eq(const struct http_etag *a, const struct http_etag *b)
{
	return !a->weak && !b->weak && view_eq(a->opaque, b->opaque);
}

bool http_etag_weak_eq(const struct http_etag *a, const struct http_etag *b)
{
	return view_eq(a->opaque, b->opaque);
}

int http_sf_add_string(struct buf *out, struct view text)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
			continue;
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, text.ptr[i]);
	}
	return buf_addc(out, '"');
}

/* RFC 9651 §4.1.7 */
static bool is_sf_token(struct view v)
{
	if (!v.len || !(http_char_is(v.ptr[0], HTTP_ALPHA) || v.ptr[0] == '*'))
		return false;
	for (size_t i = 1; i < v.len; i++) {
		if (!http_char_is(v.ptr[i], HTTP_TCHAR) && v.ptr[i] != ':' && v.ptr[i] != '/')
			return false;
	}
	return true;
}

int http_sf_add_token(struct buf *out, struct view text)
{
	return is_sf_token(text) ? buf_addv(out, text) : http_sf_add_string(out, text);
}

/* The length of what stands before the next ";" outside quoted strings. */
static size_t piece_len(struct view v)
{
	bool quoted = false;
	size_t i = 0;

	for (; i < v.len && (quoted || v.ptr[i] != ';'); i++) {
		if (v.ptr[i] == '"')
			quoted = !quoted;
		else if (quoted && v.ptr[i] == '\\')
			i++;
	}
	return i < v.len ? i : v.len;
}

/* Without the quotes of a whole quoted string. */
static struct view unquote(struct view v)
{
	if (v.len >= 2 && v.ptr[0] == '"' && v.ptr[v.len - 1] == '"')
		return view_make(v.ptr + 1, v.len - 2);
	return v;
}

struct view http_param(struct view member, struct view name)
{
	size_t n = piece_len(member);

	while (n < member.len) {
		struct view piece, key, value;

		member = view_from(member, n + 1);
		n = piece_len(member);
		piece = view_make(member.ptr, n);
		key = view_cut(piece, '=', &value);
		if (view_ieq(view_trim(key), name))
			return value.ptr ? unquote(view_trim(value)) : view_from(piece, piece.len);
	}
	return (struct view){NULL, 0};
}
