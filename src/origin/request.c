/*
 * Requests, byte-true. On connections of ours they go as they are. libcurl edits field lines that it knows (Host, Expect, Content-Length, …)
 * and drops empty ones, but it sends what it does not know as it is, line breaks included: so all
 * lines go as one, behind empty ones that switch off what libcurl would add.
 */
#include <string.h>

#include "base/num.h"
#include "origin-private.h"

#define GLUE (NODES - 1)

static bool line_is(struct view line, struct view name)
{
	return line.len > name.len && line.ptr[name.len] == ':' && view_istarts(line, name);
}

static struct view line_value(struct view line)
{
	struct view value;

	view_cut(line, ':', &value);
	return view_trim(value);
}

/* A Content-Length line goes out only if it says what will be sent. */
static bool length_holds(const struct origin_request *req, struct view line)
{
	uint64_t said, real = req->has_body ? req->length : 0;

	return real != HTTP_LENGTH_UNKNOWN &&
	       num_parse_u64(line_value(line), UINT64_MAX - 1, &said) == 0 && said == real;
}

static void add_line(struct buf *b, struct view line)
{
	buf_addv(b, line);
	BUF_ADD_LIT(b, "\r\n");
}

static void add_fields(struct buf *b, const struct origin_request *req)
{
	bool length_said = false;

	for (unsigned i = 0; i < req->nfields; i++) {
		if (line_is(req->fields[i], V("Host")))
			add_line(b, req->fields[i]);
	}
	for (unsigned i = 0; i < req->nfields; i++) {
		struct view line = req->fields[i];

		if (line_is(line, V("Host")) || line_is(line, V("Expect")) ||
		    line_is(line, V("Transfer-Encoding")))
			continue;
		if (line_is(line, V("Content-Length"))) {
			if (length_said || !length_holds(req, line))
				continue;
			length_said = true;
		}
		add_line(b, line);
	}
	if (req->expect.len && req->has_body)
		add_line(b, req->expect);
	if (req->has_body && req->length != HTTP_LENGTH_UNKNOWN && !length_said) {
		BUF_ADD_LIT(b, "Content-Length: ");
		buf_addu(b, req->length);
		BUF_ADD_LIT(b, "\r\n");
	}
}

/* Appends a NUL-terminated string; the place where it starts. */
static size_t add_string(struct buf *b, struct view v)
{
	size_t at = b->len;

	buf_addv(b, v);
	buf_addc(b, '\0');
	return at;
}

/* Only a line that is empty altogether is dropped; written like this it is sent with a colon. */
static void protect_empty(char *lines)
{
	char *colon = strchr(lines, ':');

	if (colon && colon[1 + strspn(colon + 1, " \t")] == '\0') {
		colon[0] = ';';
		colon[1] = '\0';
	}
}

/* What libcurl puts together again: target and method, and the lines in one. */
static void build_parts(struct origin_transfer *t, const struct origin_request *req)
{
	struct buf *b = &t->text;
	size_t target = add_string(b, req->target), verb = add_string(b, req->method);
	size_t fields = b->len;

	add_fields(b, req);
	/* libcurl ends the last line itself. */
	if (!b->err && b->len > fields)
		b->len -= 2;
	buf_addc(b, '\0');
	if (b->err)
		return;
	t->target = b->data + target;
	t->verb = b->data + verb;
	t->nodes[GLUE].data = b->data + fields;
	protect_empty(b->data + fields);
	t->nodes[GLUE - 1].next = b->data[fields] ? &t->nodes[GLUE] : NULL;
}

/* The head as it is sent. */
static void build_image(struct origin_transfer *t, const struct origin_request *req)
{
	struct buf *b = &t->text;
	size_t start = b->len;

	buf_addv(b, req->method);
	buf_addc(b, ' ');
	buf_addv(b, req->target);
	BUF_ADD_LIT(b, " HTTP/1.1\r\n");
	add_fields(b, req);
	if (req->has_body && req->length == HTTP_LENGTH_UNKNOWN)
		BUF_ADD_LIT(b, "Transfer-Encoding: chunked\r\n");
	if (t->upgrade) {
		BUF_ADD_LIT(b, "Connection: upgrade\r\nUpgrade: ");
		add_line(b, req->upgrade);
	}
	BUF_ADD_LIT(b, "\r\n");
	if (!b->err)
		t->image = view_make(b->data + start, b->len - start);
}

int origin_request_build(struct origin_transfer *t, const struct origin_request *req)
{
	struct buf *b = &t->text;
	struct addr unused;

	buf_reset(b);
	t->https = req->scheme == HTTP_SCHEME_HTTPS;
	/* A server may always ignore Upgrade, and so may we: with a body it is left out. */
	t->upgrade = req->upgrade.len && !req->has_body;
	t->wired = !t->https || t->upgrade;
	buf_addv(b, t->https ? V("https://") : V("http://"));
	buf_addv(b, req->host);
	buf_addc(b, ':');
	buf_addu(b, req->port);
	buf_addc(b, '\0');
	if (t->wired)
		build_image(t, req);
	else
		build_parts(t, req);
	if (b->err)
		return b->err;
	t->url = b->data;
	t->method = http_method_lookup(req->method);
	t->numeric = addr_parse_ip(req->host, 0, &unused) == 0;
	t->has_body = req->has_body;
	t->idempotent = req->idempotent;
	t->length = req->has_body ? req->length : 0;
	return 0;
}

static long http_version(const struct origin_transfer *t)
{
	return t->https && !t->wired && t->origin->options->origin_http2 ? CURL_HTTP_VERSION_2TLS
	                                                                   : CURL_HTTP_VERSION_1_1;
}

/* HTTPGET first: it undoes UPLOAD and NOBODY of the handle's former life. */
static int configure_method(struct origin_transfer *t)
{
	int bad = curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);

	if (t->wired)
		return bad;
	if (t->has_body) {
		curl_off_t size = t->length == HTTP_LENGTH_UNKNOWN ? -1 : (curl_off_t)t->length;

		bad |= curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
		bad |= curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, size);
	} else if (t->method == HTTP_METHOD_HEAD) {
		bad |= curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
	}
	return bad | curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, t->verb);
}

int request_configure(struct origin_transfer *t)
{
	CURL *e = t->easy;
	bool forbid = !t->origin->options->origin_idle && !t->wired;
	int bad = configure_method(t);

	bad |= curl_easy_setopt(e, CURLOPT_URL, t->url);
	bad |= curl_easy_setopt(e, CURLOPT_REQUEST_TARGET, t->wired ? NULL : t->target);
	bad |= curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->wired ? NULL : t->nodes);
	bad |= curl_easy_setopt(e, CURLOPT_HTTP_VERSION, http_version(t));
	bad |= curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, (long)t->fresh);
	bad |= curl_easy_setopt(e, CURLOPT_FORBID_REUSE, (long)forbid);
	bad |= curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, (long)t->wired);
	t->resolve_node.data = t->resolved.data;
	bad |= curl_easy_setopt(e, CURLOPT_RESOLVE, t->resolved.len ? &t->resolve_node : NULL);
	bad |= curl_easy_setopt(e, CURLOPT_RESOLVER_START_FUNCTION,
	                        t->numeric ? NULL : connection_resolve);
	return bad ? LARDER_ENOMEM : 0;
}

static int body_failed(struct origin_transfer *t, int err, const char *detail)
{
	failure_set(t, err, "http_request_error", detail);
	return LARDER_ECLOSED;
}

ssize_t request_take(struct origin_transfer *t, char *dst, size_t room)
{
	ssize_t got;

	check_magic(t, TRANSFER_MAGIC);
	if (transfer_over(t))
		return LARDER_ECLOSED;
	if (t->length != HTTP_LENGTH_UNKNOWN && room > t->length - t->sent)
		room = (size_t)(t->length - t->sent);
	if (!room)
		t->body_ended = true;
	if (t->body_ended)
		return 0;
	got = t->h.body(t->arg, dst, room);
	if (t->cancelled)
		return LARDER_ECLOSED;
	if (got == LARDER_EAGAIN) {
		t->send_paused = true;
		return LARDER_EAGAIN;
	}
	if (got < 0)
		return body_failed(t, (int)got, "The request body could not be read.");
	check((size_t)got <= room);
	if (got == 0 && t->length != HTTP_LENGTH_UNKNOWN)
		return body_failed(t, LARDER_ECLOSED, "The request body ended early.");
	t->sent += (uint64_t)got;
	stat_add(&t->origin->stats->bytes_out, (uint64_t)got);
	t->body_ended = got == 0 || t->sent == t->length;
	return got;
}

size_t request_body(char *dst, size_t size, size_t n, void *arg)
{
	struct origin_transfer *t = arg;
	const struct origin_options *options = t->origin->options;
	ssize_t got = request_take(t, dst, size * n);

	if (got == LARDER_EAGAIN) {
		/* The callee's delay, not the origin's. */
		if (t->phase == PHASE_SEND)
			transfer_phase(t, PHASE_SEND, 0);
		return CURL_READFUNC_PAUSE;
	}
	if (got < 0)
		return CURL_READFUNC_ABORT;
	if (t->body_ended && !t->head_done)
		transfer_phase(t, PHASE_HEAD, options->first_byte_timeout);
	else if (!t->body_ended && !t->recv_paused)
		transfer_phase(t, t->head_done ? PHASE_BODY : PHASE_SEND, options->stall_timeout);
	return (size_t)got;
}
