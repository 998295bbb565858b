#include "http/target.h"

#include "http-private.h"

static bool is_escape(struct view v)
{
	return v.len >= 3 && v.ptr[0] == '%' && http_char_is(v.ptr[1], HTTP_HEX) &&
	       http_char_is(v.ptr[2], HTTP_HEX);
}

bool http_escapes_valid(struct view v)
{
	for (size_t at = view_find(v, '%'); at < v.len; at = view_find(v, '%')) {
		v = view_from(v, at);
		if (!is_escape(v))
			return false;
		v = view_from(v, 3);
	}
	return true;
}

/* One escape: decoded if unreserved (RFC 3986 §6.2.2.2), else in upper case (§6.2.2.1). */
static int add_escape(struct view v, struct buf *out)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned hi = http_hex_value(v.ptr[1]), lo = http_hex_value(v.ptr[2]);
	char byte = (char)(hi << 4 | lo);

	if (http_char_is(byte, HTTP_UNRESERVED))
		return buf_addc(out, byte);
	return buf_add(out, (char[]){'%', digits[hi], digits[lo]}, 3);
}

static int add_decoded(struct view v, struct buf *out)
{
	while (v.len && !out->err) {
		size_t plain = view_find(v, '%');

		buf_add(out, v.ptr, plain);
		v = view_from(v, plain);
		if (v.len) {
			add_escape(v, out);
			v = view_from(v, 3);
		}
	}
	return out->err;
}

/* The length of a path without its last segment. */
static size_t parent(const char *path, size_t len)
{
	size_t slash = view_rfind(view_make(path, len), '/');

	return slash < len ? slash : 0;
}

size_t http_path_remove_dots(char *path, size_t len)
{
	struct view rest = {path, len};
	size_t n = 0;

	while (rest.len) {
		size_t seg = 1 + view_find(view_from(rest, 1), '/');
		struct view segment = view_make(rest.ptr, seg);
		bool last = seg == rest.len;

		rest = view_from(rest, seg);
		if (view_eq(segment, V("/..")))
			n = parent(path, n);
		else if (!view_eq(segment, V("/."))) {
			memmove(path + n, segment.ptr, segment.len);
			n += segment.len;
			continue;
		}
		if (last)
			path[n++] = '/';
	}
	return n;
}

int http_target_key(const struct http_target *t, struct buf *out)
{
	size_t query = view_find(t->path, '?');

	if (t->scheme == HTTP_SCHEME_HTTPS)
		BUF_ADD_LIT(out, "https://");
	else
		BUF_ADD_LIT(out, "http://");
	buf_addv(out, t->host);
	if (t->port != (t->scheme == HTTP_SCHEME_HTTPS ? 443 : 80)) {
		buf_addc(out, ':');
		buf_addu(out, t->port);
	}
	if (query == 0)
		buf_addc(out, '/'); /* RFC 9110 §4.2.3 */
	/* Dot segments stay: they are sent as they came (RFC 9110 §7.7), and an origin may make something of "/x/../y"
	 * that is not "/y". A target with a stray "%" is no URI: decoding a part of it could make it
	 * equal to another one, so it is a key as it stands. */
	if (view_find(t->path, '%') == t->path.len || !http_escapes_valid(t->path))
		return buf_addv(out, t->path);
	return add_decoded(t->path, out);
}

/* scheme ":" at the beginning of a reference (RFC 3986 §3.1). */
static bool has_scheme(struct view v)
{
	size_t n = 0;

	if (!v.len || !http_char_is(v.ptr[0], HTTP_ALPHA))
		return false;
	while (n < v.len && (http_char_is(v.ptr[n], HTTP_ALPHA | HTTP_DIGIT) || v.ptr[n] == '+' ||
	                     v.ptr[n] == '-' || v.ptr[n] == '.'))
		n++;
	return n < v.len && v.ptr[n] == ':';
}

static void add_origin(const struct http_target *base, struct buf *out)
{
	buf_printf(out, "%s://%.*s", base->scheme == HTTP_SCHEME_HTTPS ? "https" : "http",
	           VFMT(base->host));
	if (base->port_given)
		buf_printf(out, ":%u", base->port);
}

/* A path, after the directory `dir`, and query: it gets its first slash and loses its dot segments.
 */
static int add_path_query(struct view dir, struct view reference, struct buf *out)
{
	size_t from = out->len, query = view_find(reference, '?');

	if (!dir.len && (query == 0 || reference.ptr[0] != '/'))
		buf_addc(out, '/');
	buf_addv(out, dir);
	buf_add(out, reference.ptr, query);
	if (!out->err)
		out->len = from + http_path_remove_dots(out->data + from, out->len - from);
	return buf_addv(out, view_from(reference, query));
}

/* An authority with what follows it, after "//". */
static int add_network_path(struct view rest, struct buf *out)
{
	size_t n = 0;

	while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
		n++;
	buf_add(out, rest.ptr, n);
	return add_path_query(V(""), view_from(rest, n), out);
}

/* The reference as an absolute URI (RFC 3986 §5.2.2); fragments are cut already. */
static int write_resolved(const struct http_target *base, struct view ref, struct buf *out)
{
	struct view path = view_make(base->path.ptr, view_find(base->path, '?'));
	size_t slash = view_rfind(path, '/');

	if (has_scheme(ref)) {
		size_t n = view_find(ref, ':') + 1;

		if (!view_istarts(view_from(ref, n), V("//")))
			return LARDER_EINVAL;
		buf_add(out, ref.ptr, n + 2);
		return add_network_path(view_from(ref, n + 2), out);
	}
	if (view_starts(ref, V("//"))) {
		buf_printf(out, "%s://", base->scheme == HTTP_SCHEME_HTTPS ? "https" : "http");
		return add_network_path(view_from(ref, 2), out);
	}
	add_origin(base, out);
	if (!ref.len)
		return add_path_query(V(""), base->path, out);
	if (ref.ptr[0] == '/')
		return add_path_query(V(""), ref, out);
	if (ref.ptr[0] == '?')
		return add_path_query(path, ref, out);
	return add_path_query(view_make(path.ptr, slash < path.len ? slash + 1 : 0), ref, out);
}

int http_target_resolve(const struct http_target *base, struct view reference, struct buf *scratch,
                        struct http_target *out)
{
	int err;

	reference = view_make(reference.ptr, view_find(reference, '#'));
	if (http_span(reference, HTTP_URI) != reference.len)
		return LARDER_EINVAL;
	buf_reset(scratch);
	err = write_resolved(base, reference, scratch);
	return err ? err : http_uri_parse(buf_view(scratch), out);
}
