#include "exchange-private.h"

/* Page text comes partly from requests (hosts, targets): HTML needs its escapes. */
static void add_escaped(struct buf *b, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			BUF_ADD_LIT(b, "&lt;");
			break;
		case '>':
			BUF_ADD_LIT(b, "&gt;");
			break;
		case '&':
			BUF_ADD_LIT(b, "&amp;");
			break;
		case '"':
			BUF_ADD_LIT(b, "&quot;");
			break;
		default:
			buf_addc(b, *text);
		}
	}
}

static void add_body(struct view us, unsigned status, const char *detail, bool html, struct buf *b)
{
	const char *reason = http_reason(status);

	if (!html) {
		buf_printf(b, "%u %s\n\n%s\n\n%.*s (larder)\n", status, reason, detail, VFMT(us));
		return;
	}
	buf_printf(b,
	           "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>%u %s</title>\n"
	           "<style>body{font:1em/1.5 sans-serif;max-width:40em;margin:4em auto;padding:0 1em}"
	           "footer{color:#666;margin-top:2em}</style></head>\n<body>\n<h1>%u %s</h1>\n<p>",
	           status, reason, status, reason);
	add_escaped(b, detail);
	BUF_ADD_LIT(b, "</p>\n<footer>");
	for (size_t i = 0; i < us.len; i++)
		add_escaped(b, (char[]){us.ptr[i], '\0'});
	BUF_ADD_LIT(b, " (larder)</footer>\n</body>\n</html>\n");
}

/* RFC 9209 §2 */
static void add_proxy_status(struct view pseudonym, const struct exchange_fault *fault, struct buf *b)
{
	BUF_ADD_LIT(b, "Proxy-Status: ");
	http_sf_add_token(b, pseudonym);
	if (fault->proxy_error)
		buf_printf(b, "; error=%s", fault->proxy_error);
	if (fault->next_hop.len) {
		BUF_ADD_LIT(b, "; next-hop=");
		http_sf_add_string(b, fault->next_hop);
	}
	BUF_ADD_LIT(b, "; details=");
	http_sf_add_string(b, view_of(fault->detail));
	BUF_ADD_LIT(b, "\r\n");
}

int exchange_error_page(struct view pseudonym, const struct exchange_fault *fault, struct buf *head,
                        struct buf *body)
{
	unsigned status = fault->status;
	char date[HTTP_DATE_LEN];
	size_t before = body->len;

	add_body(pseudonym, status, fault->detail, fault->html, body);
	if (body->err)
		return body->err;
	http_date_format(clock_wall_s(), date);
	buf_printf(head, "HTTP/1.1 %u %s\r\nDate: %.*s\r\nCache-Control: no-store\r\nContent-Type: text/%s; charset=utf-8\r\n",
	           status, http_reason(status), HTTP_DATE_LEN, date, fault->html ? "html" : "plain");
	if (status == 405)
		BUF_ADD_LIT(head, "Allow: GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS\r\n");
	if (status == 503 || status == 429)
		BUF_ADD_LIT(head, "Retry-After: 5\r\n");
	buf_printf(head, "Content-Length: %zu\r\n", body->len - before);
	add_proxy_status(pseudonym, fault, head);
	return head->err;
}

bool wants_html(const struct http_head *head)
{
	return http_list_has(head, HTTP_ACCEPT, V("text/html"));
}

static void forget_request_body(struct exchange *x)
{
	/* What still comes of it is the protocol's to drop. */
	x->body_lost |= x->body.len > 0;
	buf_fini(&x->body);
}

struct step reply_error(struct exchange *x, unsigned status, const char *proxy_error, const char *detail)
{
	struct exchange_reply r = {.status = status, .complete = true};
	/* The outcome is chosen by who calls; without one it is an error of ours. */
	struct cache_status cs = {.fwd = NULL, .detail = NULL};
	struct exchange_fault fault = {.status = status, .proxy_error = proxy_error, .detail = detail,
		                       .html = wants_html(x->req.head)};
	size_t from;

	if (x->replied)
		return STEP_WAIT;
	if (x->outcome == OUT_NONE)
		x->outcome = OUT_ERROR;
	if (!x->error)
		x->error = arena_str(&x->arena, view_of(detail));
	buf_reset(&x->lines);
	buf_reset(&x->page);
	/* Where a reverse listener's origin stands is not for visitors. */
	if (x->fwd && proxy_error && x->listener->kind == EXCHANGE_FORWARD)
		fault.next_hop = x->req.target->authority;
	if (exchange_error_page(view_of(x->env->pseudonym), &fault, &x->lines, &x->page)) {
		x->finished = true;
		x->ops->abort(x->client);
		return STEP_WAIT;
	}
	from = x->lines.len;
	cs.fwd = x->fwd;
	cs.detail = x->fwd ? NULL : x->reason;
	lines_generate(x, -1, &cs);
	check(x->lines.len >= from);
	r.head[r.nhead++] = buf_view(&x->lines);
	r.no_body = x->method == HTTP_METHOD_HEAD;
	r.length = x->page.len;
	r.body = r.no_body ? view_make(NULL, 0) : buf_view(&x->page);
	/* A request body that nobody will read would be taken for the next request. */
	r.close = x->req.has_body && !x->body_ended;
	x->status = status;
	x->replied = x->finished = true;
	forget_request_body(x);
	x->ops->reply(x->client, &r);
	return STEP_WAIT;
}

bool is_offline(const struct exchange *x)
{
	return x->listener->options.offline || board_offline(x->env->board);
}

struct step reply_offline(struct exchange *x)
{
	x->reason = "offline";
	return reply_error(x, 504, NULL, "larder is offline: only what is stored is served, and this is not.");
}

struct step reply_refused(struct exchange *x, const struct access_refusal *why)
{
	struct buf b;
	const char *detail;

	buf_init(&b, 4096);
	buf_printf(&b, "%s Option %s would allow it.", why->text, why->option);
	detail = buf_cstr(&b);
	x->outcome = OUT_DENIED;
	x->reason = arena_str(&x->arena, view_of(why->option));
	if (!x->env->explain)
		log_info("refused: %.*s %.*s: %s", VFMT(x->req.head->method_text), VFMT(x->req.head->target),
		         detail ? detail : why->text);
	reply_error(x, 403, "http_request_denied", detail ? detail : why->text);
	buf_fini(&b);
	return STEP_WAIT;
}

struct step reply_simple(struct exchange *x, unsigned status, struct view fields, struct view body)
{
	struct exchange_reply r = {.status = status, .complete = true};
	char date[HTTP_DATE_LEN];

	http_date_format(net_loop_wall_s(x->env->loop), date);
	buf_reset(&x->lines);
	buf_printf(&x->lines, "HTTP/1.1 %u %s\r\nDate: %.*s\r\n%.*sContent-Length: %zu\r\n", status,
	           http_reason(status), HTTP_DATE_LEN, date, VFMT(fields), body.len);
	if (x->lines.err)
		return reply_error(x, 503, NULL, "Out of memory.");
	lines_generate(x, -1, &(struct cache_status){0});
	r.head[r.nhead++] = buf_view(&x->lines);
	r.length = body.len;
	r.body = body;
	r.close = x->req.has_body && !x->body_ended;
	if (x->outcome == OUT_NONE)
		x->outcome = OUT_PASS;
	x->status = status;
	x->replied = x->finished = true;
	x->ops->reply(x->client, &r);
	return STEP_WAIT;
}
