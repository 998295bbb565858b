#include "http/sf.h"

#include "http-private.h"

#define INTEGER_DIGITS  15 /* RFC 9651 §3.3.1 */
#define DECIMAL_DIGITS  12 /* §3.3.2: before the point */
#define FRACTION_DIGITS 3

/* A parser stands at the beginning of its view and advances it; 0 or LARDER_EINVAL. */

static bool at(struct view v, char c)
{
	return v.len && v.ptr[0] == c;
}

static void skip_sp(struct view *v)
{
	while (at(*v, ' '))
		*v = view_from(*v, 1);
}

static void skip_ows(struct view *v)
{
	while (at(*v, ' ') || at(*v, '\t'))
		*v = view_from(*v, 1);
}

/* Cuts the first `n` bytes off. */
static struct view take(struct view *v, size_t n)
{
	struct view taken = view_make(v->ptr, n);

	*v = view_from(*v, n);
	return taken;
}

static int64_t digits(struct view v)
{
	int64_t n = 0;

	for (size_t i = 0; i < v.len; i++)
		n = n * 10 + (v.ptr[i] - '0');
	return n;
}

/* §4.2.4 */
static int parse_number(struct view *in, struct http_sf_item *out)
{
	bool negative = at(*in, '-');
	struct view whole, fraction;

	if (negative)
		take(in, 1);
	whole = take(in, http_span(*in, HTTP_DIGIT));
	if (!whole.len || whole.len > INTEGER_DIGITS)
		return LARDER_EINVAL;
	out->type = HTTP_SF_INTEGER;
	out->number = digits(whole);
	if (at(*in, '.')) {
		take(in, 1);
		fraction = take(in, http_span(*in, HTTP_DIGIT));
		if (whole.len > DECIMAL_DIGITS || !fraction.len || fraction.len > FRACTION_DIGITS)
			return LARDER_EINVAL;
		out->type = HTTP_SF_DECIMAL;
		out->number = out->number * 1000 + digits(fraction) * (fraction.len == 1   ? 100
		                                                       : fraction.len == 2 ? 10
		                                                                           : 1);
	}
	if (negative)
		out->number = -out->number;
	return 0;
}

/* §4.2.5 */
static int parse_string(struct view *in, struct http_sf_item *out)
{
	for (size_t i = 1; i < in->len; i++) {
		unsigned char c = (unsigned char)in->ptr[i];

		if (c == '"') {
			out->type = HTTP_SF_STRING;
			out->text = view_make(in->ptr + 1, i - 1);
			take(in, i + 1);
			return 0;
		}
		if (c == '\\' && ++i < in->len && in->ptr[i] != '"' && in->ptr[i] != '\\')
			return LARDER_EINVAL;
		if (c < 0x20 || c > 0x7e)
			return LARDER_EINVAL;
	}
	return LARDER_EINVAL;
}

/* §4.2.6; the first byte has been looked at. */
static int parse_token(struct view *in, struct http_sf_item *out)
{
	size_t n = 1;

	while (n < in->len &&
	       (http_char_is(in->ptr[n], HTTP_TCHAR) || in->ptr[n] == ':' || in->ptr[n] == '/'))
		n++;
	out->type = HTTP_SF_TOKEN;
	out->text = take(in, n);
	return 0;
}

/* §4.2.7; padding may be missing. */
static int parse_bytes(struct view *in, struct http_sf_item *out)
{
	struct view text;
	size_t n = 0;

	take(in, 1);
	text = take(in, view_find(*in, ':'));
	if (!in->len)
		return LARDER_EINVAL;
	take(in, 1);
	while (n < text.len && (http_char_is(text.ptr[n], HTTP_ALPHA | HTTP_DIGIT) ||
	                        text.ptr[n] == '+' || text.ptr[n] == '/'))
		n++;
	out->type = HTTP_SF_BYTES;
	out->text = view_make(text.ptr, n);
	for (text = view_from(text, n); at(text, '='); n++)
		take(&text, 1);
	if (text.len || out->text.len % 4 == 1 || n - out->text.len > (4 - out->text.len % 4) % 4)
		return LARDER_EINVAL;
	return 0;
}

/* §4.2.8 */
static int parse_boolean(struct view *in, struct http_sf_item *out)
{
	if (in->len < 2 || (in->ptr[1] != '0' && in->ptr[1] != '1'))
		return LARDER_EINVAL;
	out->type = HTTP_SF_BOOLEAN;
	out->number = in->ptr[1] - '0';
	take(in, 2);
	return 0;
}

/* §4.2.9 */
static int parse_date(struct view *in, struct http_sf_item *out)
{
	take(in, 1);
	if (parse_number(in, out) || out->type != HTTP_SF_INTEGER)
		return LARDER_EINVAL;
	out->type = HTTP_SF_DATE;
	return 0;
}

static bool lower_hex(char c)
{
	return http_char_is(c, HTTP_DIGIT) || (c >= 'a' && c <= 'f');
}

/* The next byte of a Display String: -1 where its escape is none. */
static int display_byte(struct view *text)
{
	const char *p = text->ptr;
	int c = (unsigned char)*p;

	if (c != '%') {
		take(text, 1);
		return c;
	}
	if (text->len < 3 || !lower_hex(p[1]) || !lower_hex(p[2]))
		return -1;
	take(text, 3);
	return (int)(http_hex_value(p[1]) * 16 + http_hex_value(p[2]));
}

/* Is it UTF-8 once its escapes are undone (RFC 3629 §4)? */
static bool display_is_utf8(struct view text)
{
	while (text.len) {
		int c = display_byte(&text), low = 0x80, high = 0xbf, more;

		if (c < 0 || (c >= 0x80 && c < 0xc2) || c > 0xf4)
			return false;
		more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		if (c == 0xe0 || c == 0xf0)
			low = c == 0xe0 ? 0xa0 : 0x90;
		if (c == 0xed || c == 0xf4)
			high = c == 0xed ? 0x9f : 0x8f;
		while (more--) {
			c = text.len ? display_byte(&text) : -1;
			if (c < low || c > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}

/* §4.2.10 */
static int parse_display(struct view *in, struct http_sf_item *out)
{
	struct view text;

	take(in, 1);
	if (!at(*in, '"'))
		return LARDER_EINVAL;
	take(in, 1);
	text = take(in, view_find(*in, '"'));
	if (!in->len)
		return LARDER_EINVAL;
	take(in, 1);
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
			return LARDER_EINVAL;
	}
	out->type = HTTP_SF_DISPLAY;
	out->text = text;
	return display_is_utf8(text) ? 0 : LARDER_EINVAL;
}

/* §4.2.3.1 */
static int parse_bare(struct view *in, struct http_sf_item *out)
{
	if (!in->len)
		return LARDER_EINVAL;
	switch (in->ptr[0]) {
	case '"':
		return parse_string(in, out);
	case ':':
		return parse_bytes(in, out);
	case '?':
		return parse_boolean(in, out);
	case '@':
		return parse_date(in, out);
	case '%':
		return parse_display(in, out);
	case '-':
		return parse_number(in, out);
	default:
		if (http_char_is(in->ptr[0], HTTP_DIGIT))
			return parse_number(in, out);
		return http_char_is(in->ptr[0], HTTP_ALPHA) || in->ptr[0] == '*'
		               ? parse_token(in, out)
		               : LARDER_EINVAL;
	}
}

static bool lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool key_char(char c)
{
	return lower(c) || http_char_is(c, HTTP_DIGIT) || c == '_' || c == '-' || c == '.' || c == '*';
}

/* §4.2.3.3 */
static int parse_key(struct view *in, struct view *key)
{
	size_t n = 0;

	if (!in->len || (!lower(in->ptr[0]) && in->ptr[0] != '*'))
		return LARDER_EINVAL;
	while (n < in->len && key_char(in->ptr[n]))
		n++;
	*key = take(in, n);
	return 0;
}

static void set_true(struct http_sf_item *out)
{
	*out = (struct http_sf_item){.type = HTTP_SF_BOOLEAN, .number = 1};
}

/* One parameter after its ";" (§4.2.3.2). */
static int parse_param(struct view *in, struct view *key, struct http_sf_item *out)
{
	take(in, 1);
	skip_sp(in);
	set_true(out);
	if (parse_key(in, key))
		return LARDER_EINVAL;
	if (!at(*in, '='))
		return 0;
	take(in, 1);
	return parse_bare(in, out);
}

static int parse_params(struct view *in, struct view *params)
{
	const char *begin = in->ptr;
	struct http_sf_item value;
	struct view key;

	while (at(*in, ';')) {
		if (parse_param(in, &key, &value))
			return LARDER_EINVAL;
	}
	*params = view_make(begin, (size_t)(in->ptr - begin));
	return 0;
}

/* §4.2.3 */
static int parse_item(struct view *in, struct http_sf_item *out)
{
	*out = (struct http_sf_item){0};
	if (parse_bare(in, out))
		return LARDER_EINVAL;
	return parse_params(in, &out->params);
}

/* §4.2.1.2 */
static int parse_inner(struct view *in, struct http_sf_item *out)
{
	struct http_sf_item item;
	const char *begin;

	take(in, 1);
	*out = (struct http_sf_item){.type = HTTP_SF_INNER_LIST};
	for (begin = in->ptr;;) {
		skip_sp(in);
		if (at(*in, ')'))
			break;
		if (parse_item(in, &item) || (!at(*in, ' ') && !at(*in, ')')))
			return LARDER_EINVAL;
	}
	out->text = view_make(begin, (size_t)(in->ptr - begin));
	take(in, 1);
	return parse_params(in, &out->params);
}

/* §4.2.1.1 */
static int parse_member(struct view *in, struct http_sf_item *out)
{
	return at(*in, '(') ? parse_inner(in, out) : parse_item(in, out);
}

int http_sf_item(struct view value, struct http_sf_item *out)
{
	skip_sp(&value);
	if (parse_item(&value, out))
		return LARDER_EINVAL;
	skip_sp(&value);
	return value.len ? LARDER_EINVAL : 0;
}

void http_sf_init(struct http_sf *sf, struct view value)
{
	skip_sp(&value);
	while (value.len && value.ptr[value.len - 1] == ' ')
		value.len--;
	*sf = (struct http_sf){.rest = value};
}

/* To the next member: 1, 0, LARDER_EINVAL (§4.2.1, §4.2.2). */
static int go_on(struct http_sf *sf)
{
	if (sf->begun) {
		skip_ows(&sf->rest);
		if (!sf->rest.len)
			return 0;
		if (!at(sf->rest, ','))
			return LARDER_EINVAL;
		take(&sf->rest, 1);
		skip_ows(&sf->rest);
		if (!sf->rest.len)
			return LARDER_EINVAL;
	}
	sf->begun = true;
	return sf->rest.len > 0;
}

int http_sf_list_next(struct http_sf *sf, struct http_sf_item *out)
{
	int more = go_on(sf);

	if (more > 0 && parse_member(&sf->rest, out))
		return LARDER_EINVAL;
	return more;
}

int http_sf_dict_next(struct http_sf *sf, struct view *key, struct http_sf_item *out)
{
	int more = go_on(sf);

	if (more <= 0)
		return more;
	if (parse_key(&sf->rest, key))
		return LARDER_EINVAL;
	if (!at(sf->rest, '=')) {
		set_true(out);
		return parse_params(&sf->rest, &out->params) ? LARDER_EINVAL : 1;
	}
	take(&sf->rest, 1);
	return parse_member(&sf->rest, out) ? LARDER_EINVAL : 1;
}

int http_sf_inner_next(struct view *text, struct http_sf_item *out)
{
	skip_sp(text);
	if (!text->len)
		return 0;
	return parse_item(text, out) ? LARDER_EINVAL : 1;
}

int http_sf_param(const struct http_sf_item *item, struct view key, struct http_sf_item *out)
{
	struct view rest = item->params, name;
	struct http_sf_item value;
	int found = 0;

	while (at(rest, ';') && parse_param(&rest, &name, &value) == 0) {
		if (view_eq(name, key)) {
			*out = value;
			found = 1;
		}
	}
	return found;
}

static unsigned base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	return c == '+' ? 62 : 63;
}

/* Bits that are left over mean nothing. */
static void decode_bytes(struct view text, struct buf *out)
{
	uint32_t bits = 0;
	unsigned n = 0;

	for (size_t i = 0; i < text.len; i++) {
		bits = bits << 6 | base64_value(text.ptr[i]);
		n += 6;
		if (n >= 8) {
			n -= 8;
			buf_addc(out, (char)(bits >> n));
			bits &= (1U << n) - 1;
		}
	}
}

int http_sf_decode(const struct http_sf_item *item, struct buf *out)
{
	struct view text = item->text;

	switch (item->type) {
	case HTTP_SF_BYTES:
		decode_bytes(text, out);
		break;
	case HTTP_SF_STRING:
		for (size_t i = 0; i < text.len; i++) {
			if (text.ptr[i] == '\\')
				i++;
			buf_addc(out, text.ptr[i]);
		}
		break;
	case HTTP_SF_DISPLAY:
		while (text.len)
			buf_addc(out, (char)display_byte(&text));
		break;
	case HTTP_SF_TOKEN:
		buf_addv(out, text);
		break;
	default:
		break;
	}
	return out->err;
}
