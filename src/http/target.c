#include "http/target.h"

#include "base/num.h"
#include "http-private.h"
#include "uri-private.h"

static uint16_t default_port(enum http_scheme scheme)
{
	return scheme == HTTP_SCHEME_HTTPS ? 443 : 80;
}

/* ":port" or nothing (RFC 3986 §3.2.3): an empty port is the scheme's. */
static int parse_port(struct view text, struct http_target *out)
{
	uint64_t port;

	out->port = default_port(out->scheme);
	out->port_given = false;
	if (text.len <= 1)
		return text.len == 0 || text.ptr[0] == ':' ? 0 : LARDER_EINVAL;
	if (text.ptr[0] != ':' || num_parse_u64(view_from(text, 1), 65535, &port) || port == 0)
		return LARDER_EINVAL;
	out->port = (uint16_t)port;
	out->port_given = true;
	return 0;
}

/* host[:port] into out, whose scheme is set. */
static int parse_authority(struct view text, struct http_target *out)
{
	size_t end = view_find(text, text.len && text.ptr[0] == '[' ? ']' : ':');
	int n;

	if (text.len && text.ptr[0] == '[' && end++ == text.len)
		return LARDER_EINVAL;
	n = http_host_normalise(view_make(text.ptr, end), out->host_text);
	if (n < 0)
		return n;
	out->host = view_make(out->host_text, (size_t)n);
	out->authority = text;
	return parse_port(view_from(text, end), out);
}

void http_target_copy(struct http_target *dst, const struct http_target *src)
{
	*dst = *src;
	if (src->host.ptr == src->host_text)
		dst->host.ptr = dst->host_text;
}

int http_authority_parse(struct view text, enum http_scheme scheme, struct http_target *out)
{
	*out = (struct http_target){.form = HTTP_AUTHORITY_FORM, .scheme = scheme, .path = V("/")};
	return parse_authority(text, out);
}

/* Cuts "http://" or "https://" off. */
static bool cut_scheme(struct view *text, enum http_scheme *scheme)
{
	if (view_istarts(*text, V("http://"))) {
		*scheme = HTTP_SCHEME_HTTP;
		*text = view_from(*text, 7);
		return true;
	}
	if (view_istarts(*text, V("https://"))) {
		*scheme = HTTP_SCHEME_HTTPS;
		*text = view_from(*text, 8);
		return true;
	}
	return false;
}

/* Where the authority ends. */
static size_t authority_len(struct view text)
{
	size_t n = 0;

	while (n < text.len && text.ptr[n] != '/' && text.ptr[n] != '?' && text.ptr[n] != '#')
		n++;
	return n;
}

/* Takes an absolute URI apart; NULL, or what is wrong with it. */
static const char *parse_absolute(struct view text, struct http_target *out)
{
	struct view authority;

	*out = (struct http_target){.form = HTTP_ABSOLUTE_FORM};
	if (!cut_scheme(&text, &out->scheme))
		return "The request target is neither a path nor an http or https URI.";
	authority = view_make(text.ptr, authority_len(text));
	out->path = view_from(text, authority.len);
	if (view_find(authority, '@') < authority.len)
		return "The request target holds user information.";
	if (parse_authority(authority, out))
		return "The request target has no valid host and port.";
	/* "?query" is one after an empty path (RFC 9110 §4.2.1); who sends it on puts "/" before it. */
	if (!out->path.len)
		out->path = V("/");
	if (http_span(out->path, HTTP_URI) != out->path.len)
		return "The request target holds a fragment or a control character.";
	return NULL;
}

int http_uri_parse(struct view text, struct http_target *out)
{
	return parse_absolute(text, out) ? LARDER_EINVAL : 0;
}

/* The Host field: exactly one from HTTP/1.1 on, well-formed (RFC 9112 §3.2). *host is its value,
 * ptr NULL where an HTTP/1.0 request has none. */
static int find_host(const struct http_head *h, struct view *host, struct http_fault *fault)
{
	const struct http_field *f = http_find(h, HTTP_HOST, 0);

	*host = (struct view){NULL, 0};
	if (!f && h->minor == 0)
		return 0;
	if (!f)
		return http_refuse(fault, 400, "The request has no Host field.");
	if (http_find(h, HTTP_HOST, (unsigned)(f - h->fields) + 1))
		return http_refuse(fault, 400, "The request has several Host fields.");
	*host = f->value;
	return 0;
}

/* The authority of origin-form and asterisk-form is Host's. */
static int take_host(struct view host, enum http_scheme scheme, struct http_target *out,
                     struct http_fault *fault)
{
	out->scheme = scheme;
	out->port = default_port(scheme);
	if (!host.ptr)
		return 0;
	if (parse_authority(host, out))
		return http_refuse(fault, 400, "The Host field is not a valid host and port.");
	return 0;
}

/* Host beside a target that has an authority itself: well-formed in any case, the
 * same where `strict`. A CONNECT's Host may lack the port, which has no default there. */
static int compare_host(struct view host, bool strict, const struct http_target *t,
                        struct http_fault *fault)
{
	struct http_target other = {.scheme = t->scheme};
	bool same;

	if (!host.ptr || (!host.len && !strict))
		return 0;
	if (host.len && parse_authority(host, &other))
		return http_refuse(fault, 400, "The Host field is not a valid host and port.");
	same = view_eq(other.host, t->host) &&
	       (other.port == t->port || (t->form == HTTP_AUTHORITY_FORM && !other.port_given));
	if (strict && !same)
		return http_refuse(fault, 400, "The Host field differs from the request target.");
	return 0;
}

/* authority-form (RFC 9112 §3.2.3): the port must be there. */
static int parse_connect(struct view target, enum http_scheme scheme, struct http_target *out,
                         struct http_fault *fault)
{
	if (http_authority_parse(target, scheme, out) || !out->port_given)
		return http_refuse(fault, 400,
		                   "The target of CONNECT is not a valid host and port.");
	return 0;
}

/* absolute-form (RFC 9112 §3.2.2); OPTIONS without a path means the server as a whole (§3.2.4). */
static int parse_absolute_form(const struct http_head *h, struct http_target *out,
                               struct http_fault *fault)
{
	const char *wrong = parse_absolute(h->target, out);

	if (wrong)
		return http_refuse(fault, 400, wrong);
	if (h->method == HTTP_METHOD_OPTIONS && h->target.ptr[h->target.len - 1] != '/' &&
	    view_eq(out->path, V("/")))
		out->path = V("*");
	return 0;
}

/* inline: every request takes it, in one place; others who call it are not to cost that a call. */
inline int http_target_parse(const struct http_head *h, enum http_scheme scheme, bool strict_host,
                      struct http_target *out, struct http_fault *fault)
{
	struct view host;
	int err = find_host(h, &host, fault);

	*out = (struct http_target){.scheme = scheme};
	if (err)
		return err;
	if (h->method == HTTP_METHOD_CONNECT) {
		err = parse_connect(h->target, scheme, out, fault);
		return err ? err : compare_host(host, strict_host, out, fault);
	}
	if (h->target.len && h->target.ptr[0] == '/') {
		*out = (struct http_target){.form = HTTP_ORIGIN_FORM, .path = h->target};
		return take_host(host, scheme, out, fault);
	}
	if (view_eq(h->target, V("*"))) {
		if (h->method != HTTP_METHOD_OPTIONS)
			return http_refuse(fault, 400, "Only OPTIONS may have the target \"*\".");
		*out = (struct http_target){.form = HTTP_ASTERISK_FORM, .path = h->target};
		return take_host(host, scheme, out, fault);
	}
	err = parse_absolute_form(h, out, fault);
	return err ? err : compare_host(host, strict_host, out, fault);
}
