#include "tunnel.h"

#include <stdio.h>

/* Is our name among the members of Via (its received-by) or CDN-Loop (RFC 8586)? */
static bool names_us(struct exchange *x, enum http_name id)
{
	struct view us = view_of(x->env->pseudonym), member, rest;
	struct http_list l;

	http_list_init(&l, x->req.head, id);
	while (http_list_next(&l, &member)) {
		if (id == HTTP_VIA) {
			view_cut(member, ' ', &rest);
			member = view_trim(rest);
		}
		member = view_cut(member, ' ', &rest);
		member = view_trim(view_cut(member, ';', &rest));
		if (view_ieq(member, us))
			return true;
	}
	return false;
}

/* One pass over the head: what later steps want to know. */
static void note_fields(struct exchange *x, bool *via, bool *loop)
{
	const struct http_head *h = x->req.head;

	for (unsigned i = 0; i < h->nfields; i++) {
		switch (h->fields[i].id) {
		case HTTP_IF_MATCH:
		case HTTP_IF_NONE_MATCH:
		case HTTP_IF_MODIFIED_SINCE:
		case HTTP_IF_UNMODIFIED_SINCE:
			x->conditional = true;
			break;
		case HTTP_RANGE:
			x->ranged = true;
			break;
		case HTTP_VIA:
			*via = true;
			break;
		case HTTP_CDN_LOOP:
			*loop = true;
			break;
		default:
			break;
		}
	}
}

/* Upgrade is passed on unless it asks for HTTP/2, whose frames would escape every check
 * (RFC 9113 §3.1 has done away with h2c). */
static bool wants_upgrade(const struct http_head *h)
{
	struct view member;
	struct http_list l;
	bool any = false;

	if (h->minor == 0 || !http_list_has(h, HTTP_CONNECTION, V("upgrade")))
		return false;
	http_list_init(&l, h, HTTP_UPGRADE);
	while (http_list_next(&l, &member)) {
		if (view_istarts(member, V("h2")) || view_istarts(member, V("http")) ||
		    view_istarts(member, V("tls")))
			return false;
		any = true;
	}
	return any;
}

bool exchange_serves(const struct exchange_listener *listener, struct view host)
{
	const struct option_list *names = &listener->options.names;

	for (size_t i = 0; i < names->n; i++) {
		struct view name = view_of(names->items[i]);

		if (view_starts(name, V("*."))) {
			struct view suffix = view_from(name, 1);

			if (host.len > suffix.len && view_ieq(view_from(host, host.len - suffix.len), suffix))
				return true;
		} else if (view_ieq(host, name)) {
			return true;
		}
	}
	return names->n == 0;
}

/* Max-Forwards (RFC 9110 §7.6.2): 0 makes us the recipient of TRACE and OPTIONS. */
static bool last_recipient(const struct http_head *h)
{
	struct view v = http_only(h, HTTP_MAX_FORWARDS);

	return v.ptr && view_eq(v, V("0"));
}

/* RFC 9110 §9.3.8: the request as received, but for fields that may hold secrets. */
static struct step step_trace(struct exchange *x)
{
	const struct http_head *h = x->req.head;
	struct buf *b = &x->page;

	buf_printf(b, "%.*s %.*s HTTP/1.%u\r\n", VFMT(h->method_text), VFMT(h->target), (unsigned)h->minor);
	for (unsigned i = 0; i < h->nfields; i++) {
		switch (h->fields[i].id) {
		case HTTP_AUTHORIZATION:
		case HTTP_PROXY_AUTHORIZATION:
		case HTTP_COOKIE:
			continue;
		default:
			buf_addv(b, lines_raw(&h->fields[i]));
			BUF_ADD_LIT(b, "\r\n");
		}
	}
	BUF_ADD_LIT(b, "\r\n");
	if (b->err)
		return reply_error(x, 413, NULL, "The request is too large to be returned by TRACE.");
	return reply_simple(x, 200, V("Content-Type: message/http\r\n"), buf_view(b));
}

static struct step step_method(struct exchange *x)
{
	const struct http_target *t = x->req.target;

	if (x->method == HTTP_METHOD_CONNECT)
		return STEP(step_connect);
	if (x->method == HTTP_METHOD_PURGE)
		return STEP(step_purge);
	if (x->method == HTTP_METHOD_TRACE) {
		if (!x->listener->options.trace)
			return reply_error(x, 405, NULL, "TRACE is not served here (option trace).");
		if (last_recipient(x->req.head))
			return STEP(step_trace);
	}
	if (x->method == HTTP_METHOD_OPTIONS &&
	    (last_recipient(x->req.head) ||
	     (t->form == HTTP_ASTERISK_FORM && x->listener->kind == EXCHANGE_FORWARD)))
		return reply_simple(x, 200, V("Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, CONNECT\r\n"),
		                    view_make(NULL, 0));
	x->upgrade = wants_upgrade(x->req.head);
	return STEP(step_lookup);
}

static struct step step_access(struct exchange *x)
{
	const struct http_target *t = x->req.target;
	struct access_refusal why;

	if (access_client(x->listener->access, &x->req.client, &why))
		return reply_refused(x, &why);
	if (x->listener->kind == EXCHANGE_REVERSE) {
		if (x->method == HTTP_METHOD_CONNECT)
			return reply_error(x, 405, NULL, "CONNECT is for forward listeners.");
		/* RFC 9110 §7.4: nobody vouched for this connection as the scheme demands. */
		if (t->form == HTTP_ABSOLUTE_FORM && t->scheme == HTTP_SCHEME_HTTPS)
			return reply_error(x, 421, NULL, "An https URI cannot be asked for on a connection without TLS.");
		if (t->host.len && !exchange_serves(x->listener, t->host))
			return reply_error(x, 421, NULL, "This host is not served here (option names).");
		return STEP(step_method);
	}
	if (t->form == HTTP_ORIGIN_FORM)
		return reply_error(x, 400, NULL,
		                   "This is a forward proxy: the request has to name the whole URL. "
		                   "Configure it as the client's proxy, or use a reverse listener.");
	if (t->form != HTTP_ASTERISK_FORM &&
	    access_port(x->listener->access, x->method == HTTP_METHOD_CONNECT, t->port, &why))
		return reply_refused(x, &why);
	return STEP(step_method);
}

struct step step_route(struct exchange *x)
{
	bool via = false, loop = false;

	http_head_mark_hops(x->req.head);
	cache_control_parse(x->req.head, &x->cc);
	note_fields(x, &via, &loop);
	if ((via && names_us(x, HTTP_VIA)) || (loop && names_us(x, HTTP_CDN_LOOP))) {
		stat_add(&x->env->stats->loops, 1);
		return reply_error(x, 508, "proxy_loop_detected",
		                   "This request has passed here before: two proxies point at each other, "
		                   "or a listener at itself.");
	}
	return STEP(step_access);
}

bool route_destination_allowed(struct exchange *x, const struct addr *origin)
{
	struct access_refusal why;

	if (x->listener->kind != EXCHANGE_FORWARD || origin->len == 0)
		return true;
	if (!access_destination(x->listener->access, &x->req.client, origin, &why))
		return true;
	x->origin = *origin;
	exchange_run(x, reply_refused(x, &why));
	return false;
}
