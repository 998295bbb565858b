#include "http/framing.h"

#include "base/check.h"
#include "base/num.h"
#include "http-private.h"

/* The fields that speak of framing, counted. */
struct lengths {
	const struct http_field *te, *cl;
	unsigned tes, cls;
	bool spaced; /* one of them has white space before its colon */
};

/* RFC 9112 §5.1 has it taken away in answers; but who did not know that saw no length there. */
static bool is_spaced(const struct http_field *f)
{
	char c = f->name.ptr[f->name.len];

	return c == ' ' || c == '\t';
}

static struct lengths find_lengths(const struct http_head *h)
{
	struct lengths l = {0};

	for (unsigned i = 0; i < h->nfields; i++) {
		if (h->fields[i].id == HTTP_TRANSFER_ENCODING) {
			l.te = &h->fields[i];
			l.tes++;
			l.spaced |= is_spaced(l.te);
		} else if (h->fields[i].id == HTTP_CONTENT_LENGTH) {
			l.cl = &h->fields[i];
			l.cls++;
			l.spaced |= is_spaced(l.cl);
		}
	}
	return l;
}

/* Does the list of codings end in chunked? Then it is a matter of what larder implements. */
static bool ends_chunked(struct view value)
{
	size_t comma = view_rfind(value, ',');

	return comma < value.len &&
	       view_ieq(view_trim(view_from(value, comma + 1)), V("chunked")) &&
	       !view_ieq(view_trim(view_make(value.ptr, comma)), V("chunked"));
}

/* Transfer-Encoding (RFC 9112 §6.1): HTTP/1.1, one line, "chunked" and nothing else. */
static int check_transfer_encoding(const struct http_head *h, const struct lengths *l, bool request,
                                   struct http_fault *fault)
{
	uint16_t bad = request ? 400 : 502;

	if (l->cls)
		return http_refuse(fault, bad,
		                   "The message has both Transfer-Encoding and Content-Length.");
	if (h->minor == 0)
		return http_refuse(fault, bad, "An HTTP/1.0 message has Transfer-Encoding.");
	if (l->tes > 1)
		return http_refuse(fault, bad, "The message has several Transfer-Encoding fields.");
	if (view_ieq(l->te->value, V("chunked")))
		return 0;
	if (ends_chunked(l->te->value))
		return http_refuse(fault, request ? 501 : 502,
		                   "Of transfer codings only chunked is supported.");
	return http_refuse(fault, bad, "Transfer-Encoding is not chunked.");
}

/* Content-Length (RFC 9110 §8.6): one line, digits only, fits. */
static int parse_length(const struct lengths *l, uint16_t bad, uint64_t *length,
                        struct http_fault *fault)
{
	int err;

	if (l->cls > 1)
		return http_refuse(fault, bad, "The message has several Content-Length fields.");
	err = num_parse_u64(l->cl->value, INT64_MAX, length);
	if (err == LARDER_ELIMIT)
		return http_refuse(fault, bad, "The Content-Length is too large.");
	if (err)
		return http_refuse(fault, bad, "The Content-Length is not a number.");
	return 0;
}

/* inline: every request takes it, in one place; others who call it are not to cost that a call. */
inline int http_request_framing(const struct http_head *h, enum http_framing *framing, uint64_t *length,
                         struct http_fault *fault)
{
	struct lengths l = find_lengths(h);
	int err = 0;

	*framing = HTTP_BODY_NONE;
	*length = 0;
	if (l.tes) {
		err = check_transfer_encoding(h, &l, true, fault);
		*framing = HTTP_BODY_CHUNKED;
		*length = HTTP_LENGTH_UNKNOWN;
	} else if (l.cls) {
		err = parse_length(&l, 400, length, fault);
		*framing = HTTP_BODY_LENGTH;
	}
	if (err)
		return err;
	/* What follows a CONNECT is for the tunnel: nobody may think that it is content
	 * (RFC 9110 §9.3.6). */
	if (h->method == HTTP_METHOD_CONNECT && *length != 0)
		return http_refuse(fault, 400, "A CONNECT request has content.");
	return 0;
}

/* Messages that never have a body (RFC 9112 §6.3, rules 1 and 2). */
static bool bodiless(unsigned status, enum http_method method)
{
	return method == HTTP_METHOD_HEAD || status / 100 == 1 || status == 204 || status == 304;
}

int http_response_framing(const struct http_head *h, enum http_method method,
                          enum http_framing *framing, uint64_t *length, struct http_fault *fault)
{
	struct lengths l = find_lengths(h);
	int err = 0;

	*framing = HTTP_BODY_CLOSE;
	*length = HTTP_LENGTH_UNKNOWN;
	if (method == HTTP_METHOD_CONNECT && h->status / 100 == 2) {
		*framing = HTTP_BODY_NONE;
		*length = 0;
		return 0;
	}
	if (l.spaced)
		return http_refuse(fault, 502, "White space stands before the colon of a field that frames the message.");
	if (l.tes) {
		err = check_transfer_encoding(h, &l, false, fault);
		*framing = HTTP_BODY_CHUNKED;
	} else if (l.cls) {
		err = parse_length(&l, 502, length, fault);
		*framing = HTTP_BODY_LENGTH;
	}
	if (err)
		return err;
	if (bodiless(h->status, method)) {
		*framing = HTTP_BODY_NONE;
		if (h->status / 100 == 1 || h->status == 204)
			*length = 0;
	}
	return 0;
}

bool http_keeps_alive(const struct http_head *h)
{
	if (http_list_has(h, HTTP_CONNECTION, V("close")))
		return false;
	if (h->minor >= 1)
		return true;
	/* As a proxy, an HTTP/1.0 client's keep-alive may be one that another proxy passed on
	 * without knowing it; only proxies are sent absolute-form. */
	if (h->status == 0 && (!h->target.len || h->target.ptr[0] != '/'))
		return false;
	return http_list_has(h, HTTP_CONNECTION, V("keep-alive"));
}
