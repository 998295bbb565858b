/* Answers: the head is collected as it came and parsed by our own rules, the body is framed by
 * them. */
#include <string.h>

#include "origin-private.h"

static bool broken(struct origin_transfer *t, const char *type, const char *detail)
{
	failure_set(t, LARDER_EPROTO, type, detail);
	return false;
}

static bool called(struct origin_transfer *t, int err, const char *detail)
{
	if (err < 0)
		failure_set(t, err, "proxy_internal_error", detail);
	return err == 0 && !t->cancelled;
}

/* ---- The head ---- */

/* The status line that an HTTP/2 response does not have (RFC 9113 §8.3.2). */
static void add_status_line(struct origin_transfer *t, struct view line)
{
	unsigned status = 0;
	size_t at = sizeof("HTTP/2 ") - 1;

	for (size_t i = at; i < line.len && i < at + 3 && line.ptr[i] >= '0' && line.ptr[i] <= '9';
	     i++)
		status = status * 10 + (unsigned)(line.ptr[i] - '0');
	buf_printf(&t->head, "HTTP/1.1 %03u %s\r\n", status, http_reason(status));
}

static bool interim(struct origin_transfer *t, const struct http_head *head)
{
	if (head->status == 101) {
		/* Only what was asked for may be switched to (RFC 9110 §7.8). */
		if (!t->upgrade)
			return broken(t, "http_protocol_error",
			              "The origin switched protocols without being asked.");
		if (!http_find(head, HTTP_UPGRADE, 0))
			return broken(t, "http_upgrade_failed",
			              "The origin switched to no named protocol.");
		return upgrade_switch(t, head);
	}
	if (++t->interims > (uint64_t)t->origin->options->interim_max)
		return broken(t, "http_protocol_error",
		              "The origin sent too many interim responses.");
	if (t->h.interim)
		t->h.interim(t->arg, head);
	return !t->cancelled;
}

static bool length_matters(const struct http_head *head)
{
	const struct http_field *cl = http_find(head, HTTP_CONTENT_LENGTH, 0);

	return http_find(head, HTTP_TRANSFER_ENCODING, 0) || (cl && !view_eq(cl->value, V("0")));
}

/* Connections whose next bytes could be taken for an answer to somebody else. */
static bool may_be_reused(const struct origin_transfer *t, const struct http_head *head)
{
	if (t->info.h2)
		return true;
	/* libcurl would speak HTTP/1.0 to this origin from now on. */
	if (head->minor == 0)
		return false;
	if (t->wired && !http_keeps_alive(head))
		return false;
	/* RFC 9110 §8.6: no Content-Length in a 204; who sends one may send a body too. */
	if (head->status == 204 && length_matters(head))
		return false;
	if (t->wired)
		return t->framing != HTTP_BODY_CLOSE;
	if (t->framing == HTTP_BODY_NONE || (t->framing == HTTP_BODY_LENGTH && !t->left))
		return !connection_has_excess(t);
	return true;
}

static bool final(struct origin_transfer *t, const struct http_head *head)
{
	struct http_fault fault = {0};
	uint64_t length = 0;

	if (http_response_framing(head, t->method, &t->framing, &length, &fault))
		return broken(t, "http_protocol_error", fault.text);
	if (t->framing == HTTP_BODY_LENGTH && length > INT64_MAX)
		return broken(t, "http_protocol_error",
		              "The origin's Content-Length is too large.");
	t->left = t->framing == HTTP_BODY_LENGTH ? length : 0;
	t->info.http10 = !t->info.h2 && head->minor == 0;
	t->info.until_close = !t->info.h2 && t->framing == HTTP_BODY_CLOSE;
	t->head_done = true;
	t->info.response_time = net_loop_wall_s(t->origin->loop);
	t->wire.keep = may_be_reused(t, head);
	if (!t->wired && !t->wire.keep)
		curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
	/* RFC 9112 §9.5: an error means that the rest of the request is not wanted. */
	if (t->has_body && !t->body_ended && head->status >= 300)
		t->wire.deaf = true;
	if (t->framing == HTTP_BODY_CHUNKED) {
		http_chunked_init(&t->chunked, t->origin->options->response_head_max);
		t->chunked_used = true;
	}
	transfer_phase(t, PHASE_BODY, t->origin->options->stall_timeout);
	t->delivered = true;
	if (!called(t, t->h.head(t->arg, head, length, &t->info),
	            "The response head was not taken."))
		return false;
	/* libcurl would wait for a body if it was not told NOBODY, as for a HEAD that has one
	 * itself. */
	if (!t->wired && t->method == HTTP_METHOD_HEAD && t->has_body) {
		t->complete = true;
		return false;
	}
	return true;
}

bool response_head(struct origin_transfer *t, struct view text)
{
	struct origin *o = t->origin;
	struct http_fault fault = {0};
	struct http_head head;
	int64_t n;

	http_head_init(&head, o->fields, (unsigned)o->options->response_fields_max);
	n = http_parse_response(&head, text, o->options->response_head_max, &fault);
	if (n == LARDER_ELIMIT)
		return broken(t, "http_response_header_section_size", fault.text);
	if (n < 0)
		return broken(t, "http_protocol_error", fault.text);
	if ((size_t)n != text.len)
		return broken(t, "http_protocol_error",
		              "The response head does not end where its lines do.");
	return head.status < 200 ? interim(t, &head) : final(t, &head);
}

/* Field lines after the head: an HTTP/2 trailer section. */
static bool trailer_line(struct origin_transfer *t, struct view line)
{
	if (line.len <= 2)
		return true;
	if (buf_addv(&t->trailers, line))
		return broken(t, "http_response_trailer_section_size",
		              "The trailer section is too large.");
	return true;
}

size_t response_header(char *line, size_t size, size_t n, void *arg)
{
	struct origin_transfer *t = arg;
	struct view v = view_make(line, size * n);
	bool ok;

	check_magic(t, TRANSFER_MAGIC);
	if (transfer_over(t))
		return 0;
	if (t->head_done)
		return trailer_line(t, v) ? v.len : 0;
	t->head_bytes += v.len;
	if (!t->head.len && t->info.h2 && view_starts(v, V("HTTP/2 ")))
		add_status_line(t, v);
	else
		buf_addv(&t->head, v);
	if (t->head.err) {
		broken(t, "http_response_header_section_size", "The response head is too large.");
		return 0;
	}
	if (!(v.len <= 2 && (v.ptr[0] == '\r' || v.ptr[0] == '\n')))
		return v.len;
	ok = response_head(t, buf_view(&t->head));
	buf_reset(&t->head);
	return ok ? v.len : 0;
}

/* ---- The body ---- */

/* Hands bytes on. 0, ORIGIN_PAUSE, or negative when there is nothing more to be done. */
static int deliver(struct origin_transfer *t, struct view data)
{
	int r = t->h.data(t->arg, data);

	if (t->cancelled)
		return LARDER_ECLOSED;
	if (r == ORIGIN_PAUSE) {
		transfer_phase(t, PHASE_BODY, 0);
		return r;
	}
	if (!called(t, r, "The response body was not taken."))
		return LARDER_ECLOSED;
	t->body_bytes += data.len;
	stat_add(&t->origin->stats->bytes_in, data.len);
	transfer_phase(t, PHASE_BODY, t->origin->options->stall_timeout);
	return 0;
}

/* The answer is whole, but bytes follow it: its connection is not to be used again. */
static bool excess(struct origin_transfer *t)
{
	t->complete = true;
	return false;
}

static bool chunked_fault(struct origin_transfer *t, int err, const struct http_fault *fault)
{
	if (err == LARDER_ENOMEM) {
		failure_set(t, err, "proxy_internal_error", "Out of memory.");
		return false;
	}
	return broken(t, "http_response_transfer_coding",
	              fault->text ? fault->text : "The chunked coding is broken.");
}

/* What the decoder yielded and the callee refused is noted by its place: libcurl and our own reader
 * present the same bytes again. */
static bool chunked_body(struct origin_transfer *t, struct view data, bool *paused)
{
	struct view in = data, piece = {0};
	struct http_fault fault = {0};

	if (t->held_len) {
		check(t->held_at + t->held_len <= data.len);
		piece = view_make(data.ptr + t->held_at, t->held_len);
		in = view_from(data, t->held_at + t->held_len);
		t->held_len = 0;
	}
	for (;;) {
		int r = piece.len ? deliver(t, piece) : 0;

		if (r == ORIGIN_PAUSE) {
			t->held_at = (size_t)(piece.ptr - data.ptr);
			t->held_len = piece.len;
			*paused = true;
			return true;
		}
		if (r < 0)
			return false;
		if (t->chunked.done)
			return in.len ? excess(t) : true;
		r = http_chunked_next(&t->chunked, &in, &piece, &fault);
		if (r < 0)
			return chunked_fault(t, r, &fault);
		if (r == 0) {
			piece.len = 0;
			if (!t->chunked.done)
				return true;
		}
	}
}

bool response_body(struct origin_transfer *t, struct view data, bool *paused)
{
	int r;

	if (!data.len)
		return true;
	if (t->framing == HTTP_BODY_CHUNKED)
		return chunked_body(t, data, paused);
	if (t->framing == HTTP_BODY_NONE ||
	    (t->framing == HTTP_BODY_LENGTH && (!t->left || data.len > t->left)))
		return t->framing == HTTP_BODY_LENGTH && t->left
		               ? broken(t, "http_protocol_error",
		                        "The body is longer than it was said to be.")
		               : excess(t);
	r = deliver(t, data);
	*paused = r == ORIGIN_PAUSE;
	if (r == 0 && t->framing == HTTP_BODY_LENGTH)
		t->left -= data.len;
	return r >= 0;
}

size_t response_data(char *data, size_t size, size_t n, void *arg)
{
	struct origin_transfer *t = arg;
	struct view v = view_make(data, size * n);
	bool paused = false;

	check_magic(t, TRANSFER_MAGIC);
	if (transfer_over(t))
		return 0;
	if (!t->head_done) {
		broken(t, "http_protocol_error", "The origin sent a body without a head.");
		return 0;
	}
	if (!response_body(t, v, &paused))
		return v.len ? 0 : 1;
	t->recv_paused = paused;
	return paused ? CURL_WRITEFUNC_PAUSE : v.len;
}

bool response_whole(const struct origin_transfer *t)
{
	if (!t->head_done)
		return false;
	return t->framing == HTTP_BODY_CHUNKED  ? t->chunked.done
	       : t->framing == HTTP_BODY_LENGTH ? t->left == 0
	                                        : t->framing == HTTP_BODY_NONE;
}

void response_end(struct origin_transfer *t)
{
	if (t->complete)
		return;
	if (!t->head_done)
		failure_set(t, LARDER_ECLOSED, "connection_terminated",
		            "The origin closed the connection without an answer.");
	else if (!response_whole(t) && (t->framing != HTTP_BODY_CLOSE || (t->end_matters && !t->announced)))
		failure_set(t, LARDER_ECLOSED, "http_response_incomplete",
		            "The origin closed the connection in the middle of its answer.");
}
