/* The question that larderctl explain asks, and how it is put to room exchange. */
#include "explain-private.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

#define FIELDS_MAX 4096
#define TEXT_MAX   (1u << 20)

/* ---- One line ---- */

static void write_word(struct view v, struct buf *out)
{
	if (!v.len)
		buf_addc(out, '-');
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.ptr[i];

		if (c <= ' ' || c >= 0x7f || c == '%' || c == '-')
			buf_printf(out, "%%%02x", (unsigned)c);
		else
			buf_addc(out, (char)c);
	}
}

int main_question_write(const struct main_question *q, struct buf *out)
{
	const struct view words[] = {q->listener, q->client, q->method, q->url, q->fields, q->response};

	buf_addv(out, q->json ? V("json") : V("text"));
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		buf_addc(out, ' ');
		write_word(words[i], out);
	}
	return out->err;
}

static int read_word(struct view *line, struct arena *a, struct view *out)
{
	struct view word = view_cut(*line, ' ', line);
	char *to = arena_alloc(a, word.len);
	uint64_t n;

	if (!to)
		return LARDER_ENOMEM;
	*out = view_make(to, 0);
	if (!word.len)
		return LARDER_EINVAL;
	for (size_t i = 0; i < word.len && !view_eq(word, V("-")); i++) {
		n = (unsigned char)word.ptr[i];
		if (n == '%') {
			if (word.len - i < 3 || num_parse_hex(view_make(word.ptr + i + 1, 2), 255, &n))
				return LARDER_EINVAL;
			i += 2;
		}
		to[out->len++] = (char)n;
	}
	return 0;
}

int main_question_read(struct view line, struct arena *a, struct main_question *q)
{
	struct view how = view_cut(line, ' ', &line);
	struct view *const words[] = {&q->listener, &q->client, &q->method, &q->url, &q->fields, &q->response};
	int err = 0;

	q->json = view_eq(how, V("json"));
	if (!q->json && !view_eq(how, V("text")))
		return LARDER_EINVAL;
	for (size_t i = 0; i < ARRAY_LEN(words) && !err; i++)
		err = read_word(&line, a, words[i]);
	return err ? err : line.len ? LARDER_EINVAL : 0;
}

/* ---- The listener ---- */

static bool is_called(const struct exchange_listener *l, struct view name)
{
	struct view address, kind = view_cut(l->name, '=', &address);

	return view_eq(l->name, name) || view_eq(address, name) || view_eq(kind, name);
}

/* The one that names the host; else a forward one; else the first. */
static const struct exchange_listener *listener_for(const struct main_explainer *m, const struct http_target *target)
{
	const struct exchange_listener *forward = NULL;

	for (size_t i = 0; i < m->plan->nlisteners; i++) {
		const struct exchange_listener *l = &m->listeners[i];

		if (l->kind == EXCHANGE_REVERSE && l->options.names.n && exchange_serves(l, target->host))
			return l;
		if (l->kind == EXCHANGE_FORWARD && !forward)
			forward = l;
	}
	return forward ? forward : &m->listeners[0];
}

static int find_listener(const struct main_explainer *m, const struct main_question *q,
                         const struct exchange_listener **l, struct buf *out)
{
	struct http_target target;

	if (http_uri_parse(q->url, &target)) {
		buf_printf(out, "\"%.*s\" is not a URL like http://example.com/path", VFMT(q->url));
		return LARDER_EINVAL;
	}
	*l = q->listener.len ? NULL : listener_for(m, &target);
	for (size_t i = 0; i < m->plan->nlisteners && !*l; i++) {
		if (is_called(&m->listeners[i], q->listener))
			*l = &m->listeners[i];
	}
	if (*l)
		return 0;
	buf_printf(out, "there is no listener %.*s; there %s", VFMT(q->listener),
	           m->plan->nlisteners == 1 ? "is" : "are");
	for (size_t i = 0; i < m->plan->nlisteners; i++)
		buf_printf(out, "%s %.*s", i ? "," : "", VFMT(m->listeners[i].name));
	return LARDER_EINVAL;
}

/* ---- The request, as it would come over the wire ---- */

static bool names_host(struct view fields)
{
	struct view line;

	while (fields.len) {
		line = view_cut(fields, '\n', &fields);
		if (view_istarts(line, V("Host:")))
			return true;
	}
	return false;
}

static int write_request(const struct main_question *q, const struct exchange_listener *l, struct buf *out)
{
	struct view rest = q->url, authority, path;
	size_t at = view_find(rest, ':');
	bool tls = view_istarts(rest, V("https:"));

	authority = view_from(rest, at + 3); /* it is a URL */
	for (at = 0; at < authority.len && authority.ptr[at] != '/' && authority.ptr[at] != '?'; at++)
		;
	path = view_from(authority, at);
	authority.len = at;
	buf_printf(out, "%.*s ", VFMT(q->method));
	/* A reverse listener is sent the path alone, unless that would lose the scheme. */
	if (l->kind == EXCHANGE_FORWARD || tls) {
		buf_addv(out, q->url);
	} else {
		if (!path.len || path.ptr[0] != '/')
			buf_addc(out, '/');
		buf_addv(out, path);
	}
	BUF_ADD_LIT(out, " HTTP/1.1\r\n");
	if (!names_host(q->fields))
		buf_printf(out, "Host: %.*s\r\n", VFMT(authority));
	buf_addv(out, q->fields);
	BUF_ADD_LIT(out, "\r\n");
	return out->err;
}

/* Nothing but what the wire would bring may come of it. */
static int parse_request(const struct main_explainer *m, struct view text, struct http_head *h,
                         struct http_target *target, struct exchange_request *req, struct http_fault *fault)
{
	const struct client_options *o = m->plan->client;
	enum http_framing framing;
	struct http_scan scan = {0};
	int64_t n = http_parse_request(h, &scan, text, (size_t)o->request_line_max, (size_t)o->request_head_max, fault);

	if (n < 0)
		return (int)n;
	if (n != (int64_t)text.len) {
		*fault = (struct http_fault){400, "The fields hold the end of a head."};
		return LARDER_EPROTO;
	}
	if (http_request_framing(h, &framing, &req->length, fault) ||
	    http_target_parse(h, HTTP_SCHEME_HTTP, o->strict_host, target, fault))
		return LARDER_EPROTO;
	req->has_body = framing == HTTP_BODY_CHUNKED || (framing == HTTP_BODY_LENGTH && req->length);
	req->head = h;
	req->target = target;
	return 0;
}

/* ---- The response ---- */

/* The last head of what curl -i or -I prints before a body, with the protocol's name that larder knows, lines ended by CRLF. */
static void tidy_response(struct view text, struct buf *out)
{
	bool ended = true, body = false;

	while (text.len && !body) {
		struct view line = view_cut(text, '\n', &text);

		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		if (ended && view_starts(line, V("HTTP/"))) {
			buf_reset(out);
			BUF_ADD_LIT(out, "HTTP/1.1");
			line = view_from(line, view_find(line, ' '));
			ended = false;
		} else if (ended) {
			body = out->len && line.len;
			continue;
		}
		ended = line.len == 0;
		if (!ended) {
			buf_addv(out, line);
			BUF_ADD_LIT(out, "\r\n");
		}
	}
	BUF_ADD_LIT(out, "\r\n");
}

static int parse_response(struct view text, enum http_method method, struct http_head *h, struct buf *tidy,
                          uint64_t *length, struct buf *out)
{
	struct http_fault fault = {0};
	enum http_framing framing;

	tidy_response(text, tidy);
	if (tidy->err)
		return tidy->err;
	if (http_parse_response(h, buf_view(tidy), TEXT_MAX, &fault) < 0 ||
	    http_response_framing(h, method, &framing, length, &fault)) {
		buf_printf(out, "the response is none: %s", fault.text);
		return LARDER_EINVAL;
	}
	return 0;
}

/* ---- The answer ---- */

struct asked {
	struct buf request, response;
	struct http_field *fields;
	struct http_head head, answer;
	struct http_target target;
	struct exchange_request req;
	uint64_t length;
};

static int asked_init(struct asked *a, const struct main_explainer *m)
{
	*a = (struct asked){.length = HTTP_LENGTH_UNKNOWN};
	buf_init(&a->request, 2 * TEXT_MAX);
	buf_init(&a->response, 2 * TEXT_MAX);
	a->fields = calloc(2 * FIELDS_MAX, sizeof(*a->fields));
	if (!a->fields)
		return LARDER_ENOMEM;
	http_head_init(&a->head, a->fields, (unsigned)m->plan->client->request_fields_max);
	http_head_init(&a->answer, a->fields + FIELDS_MAX, FIELDS_MAX);
	return 0;
}

static void asked_fini(struct asked *a)
{
	buf_fini(&a->request);
	buf_fini(&a->response);
	free(a->fields);
}

static int answer(const struct explained *d, struct buf *out)
{
	return d->question->json ? explain_json(d, out) : explain_text(d, out);
}

static int explain(const struct main_explainer *m, struct explained *d, struct asked *a, struct buf *out)
{
	struct exchange_stats stats = {0};
	struct exchange_env *env = exchange_env_for_explaining(m->loop, m->plan->exchange, m->store, m->board, &stats);
	struct exchange_explanation e;
	int err;

	if (!env)
		return LARDER_ENOMEM;
	err = exchange_explain(env, d->listener, &a->req, d->question->response.len ? &a->answer : NULL, a->length, &e);
	d->e = &e;
	if (!err)
		err = answer(d, out);
	exchange_explanation_fini(&e);
	exchange_env_free(env);
	return err;
}

static int take_client(const struct main_question *q, struct addr *client, struct buf *out)
{
	if (addr_parse_ip(q->client.len ? q->client : V("127.0.0.1"), 0, client) == 0)
		return 0;
	buf_printf(out, "\"%.*s\" is not an IP address", VFMT(q->client));
	return LARDER_EINVAL;
}

int main_explain(const struct main_explainer *m, const struct main_question *q, struct buf *out)
{
	struct explained d = {.question = q, .running = m->board != NULL};
	struct asked a;
	int err = asked_init(&a, m);

	if (!err)
		err = take_client(q, &a.req.client, out);
	if (!err)
		err = find_listener(m, q, &d.listener, out);
	if (!err)
		err = write_request(q, d.listener, &a.request);
	if (err)
		goto out;
	if (parse_request(m, buf_view(&a.request), &a.head, &a.target, &a.req, &d.fault)) {
		err = answer(&d, out);
		goto out;
	}
	if (a.head.method == HTTP_METHOD_CONNECT || a.head.method == HTTP_METHOD_PURGE) {
		buf_printf(out, "%.*s is not answered from the store", VFMT(q->method));
		err = LARDER_EINVAL;
	}
	if (!err && q->response.len)
		err = parse_response(q->response, a.head.method, &a.answer, &a.response, &a.length, out);
	if (!err)
		err = explain(m, &d, &a, out);
out:
	if (err && !out->len)
		buf_printf(out, "%s", larder_strerror(err));
	asked_fini(&a);
	return err;
}
