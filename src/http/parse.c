#include "http-private.h"

#include "base/check.h"

/* At most this many empty lines are skipped before a request line (RFC 9112 §2.2). */
#define EMPTY_LINES 4

/* What the limits call their faults. */
struct rules {
	uint16_t bad;       /* 400 or 502 */
	uint16_t too_large; /* 431 or 502 */
};

static const struct rules of_requests = {400, 431};
static const struct rules of_responses = {502, 502};

void http_head_init(struct http_head *h, struct http_field *fields, unsigned cap)
{
	*h = (struct http_head){.fields = fields, .cap = cap};
}

/* Cuts a line from *rest, without its CRLF. 1, HTTP_MORE, or a fault for a bare LF. */
static int cut_line(struct view *rest, struct view *line, const struct rules *r,
                    struct http_fault *fault)
{
	const char *lf = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
	size_t len;

	if (!lf)
		return HTTP_MORE;
	len = (size_t)(lf - rest->ptr);
	if (len == 0 || lf[-1] != '\r')
		return http_refuse(fault, r->bad, "A line of the head ends in LF without CR.");
	*line = view_make(rest->ptr, len - 1);
	*rest = view_from(*rest, len + 1);
	return 1;
}

/* Names what is wrong with a field line that is not "token:". */
static int bad_name(struct view line, size_t name, const struct rules *r, struct http_fault *fault)
{
	char c = name < line.len ? line.ptr[name] : '\0';

	if (name == 0 && (c == ' ' || c == '\t'))
		return http_refuse(fault, r->bad,
		                   "A field line is folded or begins with white space.");
	if (name == 0 && c == ':')
		return http_refuse(fault, r->bad, "A field line has an empty name.");
	if (name == line.len)
		return http_refuse(fault, r->bad, "A field line has no colon.");
	if (c == ' ' || c == '\t')
		return http_refuse(fault, r->bad, "A field name is followed by white space.");
	return http_refuse(fault, r->bad, "A field name holds a character that no token may hold.");
}

/* Where the colon is after a name of that length. RFC 9112 §5.1: of answers, white space before it is
 * taken away; elsewhere it is a fault. */
static size_t find_colon(struct view line, size_t name, const struct rules *r)
{
	size_t at = name;

	while (r == &of_responses && name > 0 && at < line.len &&
	       (line.ptr[at] == ' ' || line.ptr[at] == '\t'))
		at++;
	return at;
}

/* One field line (RFC 9112 §5). */
static int parse_field(struct http_head *h, struct view line, const struct rules *r,
                       struct http_fault *fault)
{
	size_t name = http_span(line, HTTP_TCHAR), colon = find_colon(line, name, r);
	struct http_field *f;

	if (name == 0 || colon == line.len || line.ptr[colon] != ':')
		return bad_name(line, name, r, fault);
	if (!http_is_text(view_from(line, colon + 1)))
		return http_refuse(fault, r->bad, "A field value holds a control character.");
	if (h->nfields == h->cap)
		return http_too_large(fault, r->too_large, "The head has too many fields.");
	f = &h->fields[h->nfields++];
	f->name = view_make(line.ptr, name);
	f->value = view_trim(view_from(line, colon + 1));
	f->id = (uint16_t)http_name_lookup(f->name);
	f->hop = 0;
	return 0;
}

/* The field section with its empty line: the bytes it takes, HTTP_MORE, or a fault.
 * Faults come in the order of the bytes, so that they do not depend on how these were split;
 * no byte past the limit is looked at. */
static int64_t parse_section(struct http_head *h, struct view data, size_t max,
                             const struct rules *r, struct http_fault *fault)
{
	bool over = data.len > max;
	struct view rest = view_make(data.ptr, over ? max : data.len), line;
	int err;

	while ((err = cut_line(&rest, &line, r, fault)) > 0) {
		if (!line.len)
			return (int64_t)(rest.ptr - data.ptr);
		err = parse_field(h, line, r, fault);
		if (err < 0)
			return err;
	}
	if (err < 0)
		return err;
	return over ? http_too_large(fault, r->too_large, "The head's fields are too large.")
	            : HTTP_MORE;
}

/* "HTTP/1." DIGIT (RFC 9112 §2.3); a later minor version is as good as 1 (RFC 9110 §2.5). */
static int parse_version(struct http_head *h, struct view v, const struct rules *r,
                         struct http_fault *fault)
{
	if (v.len != 8 || !view_starts(v, V("HTTP/")) || !http_char_is(v.ptr[5], HTTP_DIGIT) ||
	    v.ptr[6] != '.' || !http_char_is(v.ptr[7], HTTP_DIGIT))
		return http_refuse(fault, r->bad, "The start line has no valid HTTP version.");
	if (v.ptr[5] != '1')
		return http_refuse(fault, r->bad == 400 ? 505 : r->bad,
		                   "The HTTP version is not 1.0 or 1.1.");
	h->minor = (uint8_t)(v.ptr[7] - '0');
	return 0;
}

/* method SP request-target SP HTTP-version (RFC 9112 §3). */
static int parse_request_line(struct http_head *h, struct view line, struct http_fault *fault)
{
	size_t n = http_span(line, HTTP_TCHAR);

	if (n == 0)
		return http_refuse(fault, 400, "The request line does not begin with a method.");
	if (n == line.len || line.ptr[n] != ' ')
		return http_refuse(fault, 400, "The method is not followed by a single space.");
	h->method_text = view_make(line.ptr, n);
	line = view_from(line, n + 1);
	n = http_span(line, HTTP_URI);
	if (n == 0)
		return http_refuse(fault, 400, "The request line has no target.");
	if (n == line.len)
		return http_refuse(fault, 400, "The request line has no HTTP version.");
	if (line.ptr[n] == '#')
		return http_refuse(fault, 400, "The request target has a fragment.");
	if (line.ptr[n] != ' ')
		return http_refuse(fault, 400, "The request target holds a control character.");
	h->target = view_make(line.ptr, n);
	h->method = (uint8_t)http_method_lookup(h->method_text);
	return parse_version(h, view_from(line, n + 1), &of_requests, fault);
}

/* Skips the empty lines before a request line; what is left is its beginning. A CR at the end
 * of the data waits for its LF. */
static int skip_empty_lines(struct view *rest, struct http_fault *fault)
{
	for (unsigned n = 0; rest->len && (rest->ptr[0] == '\r' || rest->ptr[0] == '\n'); n++) {
		if (rest->ptr[0] == '\n')
			return http_refuse(fault, 400, "A line of the head ends in LF without CR.");
		if (n == EMPTY_LINES)
			return http_refuse(fault, 400,
			                   "Too many empty lines stand before the request.");
		if (rest->len == 1) {
			*rest = view_from(*rest, 1);
			return HTTP_MORE;
		}
		if (rest->ptr[1] != '\n')
			return http_refuse(fault, 400, "A CR is not followed by LF.");
		*rest = view_from(*rest, 2);
	}
	return rest->len ? 1 : HTTP_MORE;
}

/* Empty lines and the request line: 1 with *rest behind it, HTTP_MORE, or a fault. */
static int parse_start(struct http_head *h, struct view *rest, size_t max_line,
                       struct http_fault *fault)
{
	int err = skip_empty_lines(rest, fault);
	struct view window, line;
	bool over;

	if (err <= 0)
		return err;
	/* What is not HTTP at all need not be waited for until its first LF. */
	if (!http_char_is(rest->ptr[0], HTTP_TCHAR))
		return http_refuse(fault, 400, "The request line does not begin with a method.");
	over = rest->len > 2 && rest->len - 2 > max_line;
	window = over ? view_make(rest->ptr, max_line + 2) : *rest;
	err = cut_line(&window, &line, &of_requests, fault);
	if (err == HTTP_MORE && over)
		return http_too_large(fault, 414, "The request line is too long.");
	if (err <= 0)
		return err;
	err = parse_request_line(h, line, fault);
	if (err < 0)
		return err;
	*rest = view_from(*rest, line.len + 2);
	return 1;
}

/* Is the request line, whose beginning was seen, still without its end and within the limit? */
static bool line_pending(struct http_scan *scan, struct view data, size_t max_line)
{
	struct view fresh = view_from(data, scan->seen);

	if (data.len > max_line || view_find(fresh, '\n') != fresh.len)
		return false;
	scan->seen = data.len;
	return true;
}

/* Is there something in the field section that decides it: its end, a bare LF, the limit?
 * Moves scan->seen, so that no byte is looked at twice however slowly they come. */
static bool section_decided(struct http_scan *scan, struct view data, size_t max_head)
{
	const char *end = data.ptr + data.len, *at = data.ptr + scan->seen;

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		size_t i = (size_t)(at - data.ptr);

		if (data.ptr[i - 1] != '\r' || data.ptr[i - 2] == '\n')
			return true;
		at++;
	}
	scan->seen = data.len;
	return data.len - scan->fields > max_head;
}

/* inline: every request takes it, in one place; others who call it are not to cost that a call. */
inline int64_t http_parse_request(struct http_head *h, struct http_scan *scan, struct view data,
                           size_t max_line, size_t max_head, struct http_fault *fault)
{
	struct view rest = data;
	int64_t n;

	check(scan->seen <= data.len);
	if (scan->fields && !section_decided(scan, data, max_head))
		return HTTP_MORE;
	if (!scan->fields && scan->seen && line_pending(scan, data, max_line))
		return HTTP_MORE;
	h->nfields = 0;
	n = parse_start(h, &rest, max_line, fault);
	if (n == HTTP_MORE)
		scan->seen = rest.len ? data.len : 0;
	if (n <= 0)
		return n;
	if (!scan->fields) {
		scan->fields = scan->seen = (size_t)(rest.ptr - data.ptr);
		if (!section_decided(scan, data, max_head))
			return HTTP_MORE;
	}
	n = parse_section(h, rest, max_head, &of_requests, fault);
	check(n != HTTP_MORE);
	return n < 0 ? n : n + (int64_t)(rest.ptr - data.ptr);
}

/* HTTP-version SP status-code [SP reason-phrase] (RFC 9112 §4): many servers leave the last
 * space away when the phrase is empty. Codes outside 100 to 599 are invalid (RFC 9110 §15). */
static int parse_status_line(struct http_head *h, struct view line, struct http_fault *fault)
{
	const char *code;
	int err;

	if (line.len < 12 || line.ptr[8] != ' ')
		return http_refuse(fault, 502, "The status line is malformed.");
	err = parse_version(h, view_make(line.ptr, 8), &of_responses, fault);
	if (err < 0)
		return err;
	code = line.ptr + 9;
	if (http_span(view_make(code, 3), HTTP_DIGIT) != 3 || code[0] < '1' || code[0] > '5')
		return http_refuse(fault, 502, "The status code is not in 100 to 599.");
	h->status = (uint16_t)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
	if (line.len > 12 && line.ptr[12] != ' ')
		return http_refuse(fault, 502, "The status code is not followed by a space.");
	h->reason = line.len > 12 ? view_from(line, 13) : view_from(line, 12);
	if (!http_is_text(h->reason))
		return http_refuse(fault, 502, "The reason phrase holds a control character.");
	return 0;
}

int64_t http_parse_response(struct http_head *h, struct view data, size_t max_head,
                            struct http_fault *fault)
{
	struct view rest = data, line;
	int64_t n;
	int err;

	h->nfields = 0;
	err = cut_line(&rest, &line, &of_responses, fault);
	if (err == HTTP_MORE && data.len > max_head)
		return http_too_large(fault, 502, "The status line is too long.");
	if (err <= 0)
		return err;
	if (line.len > max_head)
		return http_too_large(fault, 502, "The status line is too long.");
	err = parse_status_line(h, line, fault);
	if (err < 0)
		return err;
	n = parse_section(h, rest, max_head, &of_responses, fault);
	return n <= 0 ? n : n + (int64_t)(rest.ptr - data.ptr);
}

int http_parse_fields(struct http_head *h, struct view data, struct http_fault *fault)
{
	struct view line;
	int err;

	h->nfields = 0;
	while (data.len) {
		err = cut_line(&data, &line, &of_requests, fault);
		if (err == HTTP_MORE)
			return http_refuse(fault, 400, "The last field line has no end.");
		if (err > 0)
			err = parse_field(h, line, &of_requests, fault);
		if (err < 0)
			return err;
	}
	return 0;
}
