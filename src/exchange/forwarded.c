/* What a request tells its origin of the way that it came. */
#include "request.h"

#include <stdio.h>
#include <string.h>

/* Options forwarded and x_forwarded, in the order of their words. */
enum { FORWARDED_PASS, FORWARDED_EXTEND, FORWARDED_REPLACE, FORWARDED_REMOVE };

enum { CDN_LOOP_AUTO, CDN_LOOP_ALWAYS, CDN_LOOP_NEVER };

#define FORWARDED_BYTES (64 * 1024)

/* Does the listener make that of its own knowledge? */
static bool makes(unsigned option)
{
	return option == FORWARDED_EXTEND || option == FORWARDED_REPLACE;
}

/* Is what came with the request kept from the origin? */
static bool hides(unsigned option)
{
	return option == FORWARDED_REPLACE || option == FORWARDED_REMOVE;
}

bool forwarded_drops(const struct exchange *x, const struct http_field *f)
{
	const struct exchange_listener_options *o = &x->listener->options;

	switch (f->id) {
	case HTTP_FORWARDED:
		return hides(o->forwarded);
	case HTTP_VIA:
		return o->via == EXCHANGE_VIA_REMOVE;
	case HTTP_X_FORWARDED_FOR: /* one line is made of all */
		return o->x_forwarded != FORWARDED_PASS;
	case HTTP_X_FORWARDED_HOST:
	case HTTP_X_FORWARDED_PROTO:
		return hides(o->x_forwarded);
	case HTTP_OTHER:
		return hides(o->x_forwarded) && view_istarts(f->name, V("X-Forwarded-"));
	default:
		return false;
	}
}

static struct view scheme_of(const struct exchange *x)
{
	return x->req.target->scheme == HTTP_SCHEME_HTTPS ? V("https") : V("http");
}

static void add_x_forwarded(struct exchange *x, struct request_lines *r, struct arena *arena)
{
	bool extend = x->listener->options.x_forwarded == FORWARDED_EXTEND;
	struct http_list l;
	struct view member;
	char ip[ADDR_TEXT_MAX];
	struct buf b;

	buf_init(&b, FORWARDED_BYTES);
	http_list_init(&l, x->req.head, HTTP_X_FORWARDED_FOR);
	while (extend && http_list_next(&l, &member)) {
		buf_addv(&b, member);
		BUF_ADD_LIT(&b, ", ");
	}
	request_line_add(r, arena, "X-Forwarded-For", b.err ? V("") : buf_view(&b),
	                 view_of(addr_format_ip(&x->req.client, ip)));
	buf_fini(&b);
	if (!extend || !http_find(x->req.head, HTTP_X_FORWARDED_PROTO, 0))
		request_line_add(r, arena, "X-Forwarded-Proto", scheme_of(x), V(""));
	if ((!extend || !http_find(x->req.head, HTTP_X_FORWARDED_HOST, 0)) && x->req.target->authority.len)
		request_line_add(r, arena, "X-Forwarded-Host", x->req.target->authority, V(""));
}

/* RFC 7239 §4: a token as it is, anything else as a quoted-string. */
static void add_value(struct buf *b, struct view v)
{
	if (http_is_token(v))
		buf_addv(b, v);
	else
		http_sf_add_string(b, v);
}

/* RFC 7239 §6.3: an obfuscated identifier, "_" and letters, digits, ".", "_", "-". */
static void add_by(struct buf *b, const char *name)
{
	BUF_ADD_LIT(b, ";by=_");
	for (; *name; name++) {
		bool plain = (*name >= '0' && *name <= '9') || (*name >= 'a' && *name <= 'z') ||
		             (*name >= 'A' && *name <= 'Z') || *name == '.' || *name == '_';

		buf_addc(b, plain ? *name : '-');
	}
}

/* Our element (RFC 7239 §4), in a line of its own behind those that came: lines of one name are one list. */
static void add_forwarded(struct exchange *x, struct request_lines *r, struct arena *arena)
{
	struct view host = x->req.target->authority;
	char ip[ADDR_TEXT_MAX], node[ADDR_TEXT_MAX + 2];
	struct buf b;

	buf_init(&b, FORWARDED_BYTES);
	BUF_ADD_LIT(&b, "for=");
	addr_format_ip(&x->req.client, ip);
	/* §6: IPv6 in brackets, and so quoted. */
	if (strchr(ip, ':'))
		snprintf(node, sizeof(node), "[%s]", ip);
	else
		snprintf(node, sizeof(node), "%s", ip);
	add_value(&b, x->listener->options.forwarded_client ? V("unknown") : view_of(node));
	if (host.len) {
		BUF_ADD_LIT(&b, ";host=");
		add_value(&b, host);
	}
	BUF_ADD_LIT(&b, ";proto=");
	buf_addv(&b, scheme_of(x));
	add_by(&b, x->env->pseudonym);
	if (b.err)
		r->err = b.err;
	else
		request_line_add(r, arena, "Forwarded", buf_view(&b), V(""));
	buf_fini(&b);
}

void forwarded_add(struct exchange *x, struct request_lines *r, struct arena *arena)
{
	const struct exchange_listener_options *o = &x->listener->options;
	struct view us = view_of(x->env->pseudonym);
	bool via = o->via == EXCHANGE_VIA_BOTH;

	if (makes(o->forwarded))
		add_forwarded(x, r, arena);
	if (makes(o->x_forwarded))
		add_x_forwarded(x, r, arena);
	if (via)
		request_line_add(r, arena, "Via", x->req.head->minor ? V("1.1 ") : V("1.0 "), us);
	/* RFC 8586 §2: whoever serves for others says so. Other proxies have to where Via does not tell of loops. */
	if (o->cdn_loop == CDN_LOOP_ALWAYS ||
	    (o->cdn_loop == CDN_LOOP_AUTO && (!via || x->listener->kind == EXCHANGE_REVERSE)))
		request_line_add(r, arena, "CDN-Loop", us, V(""));
}
