/* Request targets and URIs (RFC 9112 §3.2, RFC 3986, RFC 9110 §4.2, §7.1). */
#ifndef LARDER_HTTP_TARGET_H
#define LARDER_HTTP_TARGET_H

#include "base/buf.h"
#include "http/head.h"

enum http_form { HTTP_ORIGIN_FORM, HTTP_ABSOLUTE_FORM, HTTP_AUTHORITY_FORM, HTTP_ASTERISK_FORM };

enum http_scheme { HTTP_SCHEME_HTTP, HTTP_SCHEME_HTTPS };

/* What a request asks for. Views point into the head, except `host`, which is
 * normalised (lower case, percent-decoded where allowed, one trailing dot removed, IPv6
 * compressed in brackets, odd IPv4 number forms turned into dotted quads) into host_text. */
struct http_target {
	enum http_form form;
	enum http_scheme scheme;
	struct view host;
	uint16_t port;         /* the scheme's default where none was given */
	bool port_given;
	struct view path;      /* path and query exactly as received; "/" for an empty path, but "?query"
	                        * where a query follows it; "*" */
	struct view authority; /* as received, for forwarding */
	char host_text[256];
};

/* Takes the target and Host apart and checks them against each other (RFC 9112 §3.2: missing,
 * repeated or malformed Host; absolute-form wins over Host, but a differing Host is refused as
 * authority confusion only where `strict_host`). `scheme`: of origin-form targets (the
 * listener's). Userinfo, fragments, white space, controls and schemes other than http and
 * https are refused. Host is empty for an HTTP/1.0 request that has neither Host nor
 * absolute-form. OPTIONS of an absolute URI without path has the path "*" (§3.2.4). Bytes from
 * 0x80 on pass in path and query, never in a host. LARDER_EPROTO with *fault (400). Copying a
 * struct http_target needs http_target_copy. */
int http_target_parse(const struct http_head *h, enum http_scheme scheme, bool strict_host,
                      struct http_target *out, struct http_fault *fault);
void http_target_copy(struct http_target *dst, const struct http_target *src);
/* "host[:port]" taken apart as above; 0 or LARDER_EINVAL. */
int http_authority_parse(struct view text, enum http_scheme scheme, struct http_target *out);
/* An absolute http(s) URI as in options ("http://host:8000/base"). 0 or LARDER_EINVAL. */
int http_uri_parse(struct view text, struct http_target *out);
/* Appends the cache key's URI: scheme://host[:port]path?query with the default port
 * dropped and path and query normalised by RFC 3986 §6.2.2 (unreserved octets decoded, hex in
 * upper case; not where a "%" begins no escape, so that no two targets meet
 * in a key that no rule makes equal). 0 or the buffer's error. */
int http_target_key(const struct http_target *t, struct buf *out);
/* Is every "%" the beginning of an escape (RFC 3986 §2.1)? */
bool http_escapes_valid(struct view v);
/* Removes dot segments in place from a path that begins with "/" (RFC 3986 §5.2.4); its new length. */
size_t http_path_remove_dots(char *path, size_t len);
/* Resolves a URI reference (Location, Content-Location) against a target (RFC 3986 §5.2), without its
 * fragment; out's views point into scratch. 0, EINVAL, or the buffer's error. */
int http_target_resolve(const struct http_target *base, struct view reference,
                        struct buf *scratch, struct http_target *out);

#endif
