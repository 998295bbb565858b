#include "uri-private.h"

#include "base/addr.h"
#include "base/num.h"
#include "http-private.h"

/* An IP literal in its brackets (RFC 3986 §3.2.2), without zone; later versions are unknown. */
static int normalise_literal(struct view host, char dst[256])
{
	char text[ADDR_TEXT_MAX];
	struct addr addr;
	size_t len;

	if (host.len < 4 || host.ptr[host.len - 1] != ']' || addr_parse_ip(host, 0, &addr))
		return LARDER_EINVAL;
	len = strlen(addr_format_ip(&addr, text));
	dst[0] = '[';
	memcpy(dst + 1, text, len);
	dst[len + 1] = ']';
	return (int)len + 2;
}

/* One number of an IPv4 address: decimal, octal ("0…") or hexadecimal ("0x…"). */
static int parse_number(struct view v, uint64_t *out)
{
	if (v.len > 2 && v.ptr[0] == '0' && v.ptr[1] == 'x')
		return num_parse_hex(view_from(v, 2), UINT32_MAX, out);
	if (v.len < 2 || v.ptr[0] != '0')
		return num_parse_u64(v, UINT32_MAX, out);
	if (v.len > 12)
		return LARDER_ELIMIT;
	*out = 0;
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] < '0' || v.ptr[i] > '7')
			return LARDER_EINVAL;
		*out = *out << 3 | (unsigned)(v.ptr[i] - '0');
	}
	return *out <= UINT32_MAX ? 0 : LARDER_ELIMIT;
}

static bool looks_numeric(struct view label)
{
	if (label.len >= 2 && label.ptr[0] == '0' && label.ptr[1] == 'x')
		return http_span(view_from(label, 2), HTTP_HEX) == label.len - 2;
	return http_span(label, HTTP_DIGIT) == label.len;
}

/* Do all labels look like numbers? Then resolvers take the host for an address, and nothing else
 * may. */
static bool all_numeric(struct view host)
{
	if (!http_char_is(host.ptr[0], HTTP_DIGIT))
		return false;
	while (host.ptr) {
		if (!looks_numeric(view_cut(host, '.', &host)))
			return false;
	}
	return true;
}

/* On the way of every request for such a host: no printf. */
static int write_ipv4(uint32_t ip, char dst[256])
{
	size_t len = 0;

	for (int shift = 24; shift >= 0; shift -= 8) {
		len += num_format_u64(ip >> shift & 255, dst + len);
		if (shift)
			dst[len++] = '.';
	}
	return (int)len;
}

/* One to four numbers, the last of which fills the remaining bytes: as inet_aton(3) reads
 * them, and so as a resolver would. */
static int normalise_ipv4(struct view host, char dst[256])
{
	uint32_t ip = 0;
	uint64_t n;

	for (unsigned part = 0; part < 4; part++) {
		struct view number = view_cut(host, '.', &host);

		if (parse_number(number, &n))
			return LARDER_EINVAL;
		if (!host.ptr) {
			if (n > UINT32_MAX >> (8 * part))
				return LARDER_EINVAL;
			ip |= (uint32_t)n;
			return write_ipv4(ip, dst);
		}
		if (n > 255)
			return LARDER_EINVAL;
		ip |= (uint32_t)n << (24 - 8 * part);
	}
	return LARDER_EINVAL;
}

/* What may stand in a name that is looked up, in lower case: letters, digits, "-", "." and "_". */
static const char name_chars[256] = {
#define SAME(c) [c] = c
#define BOTH(low, up) [low] = low, [up] = low
	SAME('-'), SAME('.'), SAME('_'),
	SAME('0'), SAME('1'), SAME('2'), SAME('3'), SAME('4'), SAME('5'), SAME('6'), SAME('7'), SAME('8'), SAME('9'),
	BOTH('a', 'A'), BOTH('b', 'B'), BOTH('c', 'C'), BOTH('d', 'D'), BOTH('e', 'E'), BOTH('f', 'F'), BOTH('g', 'G'),
	BOTH('h', 'H'), BOTH('i', 'I'), BOTH('j', 'J'), BOTH('k', 'K'), BOTH('l', 'L'), BOTH('m', 'M'), BOTH('n', 'N'),
	BOTH('o', 'O'), BOTH('p', 'P'), BOTH('q', 'Q'), BOTH('r', 'R'), BOTH('s', 'S'), BOTH('t', 'T'), BOTH('u', 'U'),
	BOTH('v', 'V'), BOTH('w', 'W'), BOTH('x', 'X'), BOTH('y', 'Y'), BOTH('z', 'Z'),
};

static char name_char(char c)
{
	return name_chars[(unsigned char)c];
}

/* The escape at the beginning of a rest of a registered name, decoded, in lower case; negative if it may not
 * stand there. */
static int escaped_byte(struct view *host)
{
	char c;

	if (host->len < 3 || host->ptr[0] != '%' || !http_char_is(host->ptr[1], HTTP_HEX) ||
	    !http_char_is(host->ptr[2], HTTP_HEX))
		return LARDER_EINVAL;
	c = (char)(http_hex_value(host->ptr[1]) << 4 | http_hex_value(host->ptr[2]));
	*host = view_from(*host, 3);
	c = name_char(c);
	return c ? c : LARDER_EINVAL;
}

/* A registered name, percent-decoded, in lower case: its length, or negative. */
static int name_decode(struct view host, char dst[256])
{
	size_t len = 0;
	int c;

	for (;;) {
		size_t n = 0, room = HTTP_HOST_MAX + 1 - len;

		room = room < host.len ? room : host.len;
		while (n < room && (dst[len + n] = name_char(host.ptr[n])) != '\0')
			n++;
		len += n;
		host = view_from(host, n);
		if (!host.len)
			return (int)len;
		c = len <= HTTP_HOST_MAX ? escaped_byte(&host) : LARDER_EINVAL;
		if (c < 0)
			return c;
		dst[len++] = (char)c;
	}
}

/* Labels of 1 to 63 bytes (RFC 1035 §2.3.4). */
static bool labels_fit(struct view host)
{
	size_t label = 0;

	for (size_t i = 0; i < host.len; i++) {
		if (host.ptr[i] != '.' ? ++label > 63 : !label)
			return false;
		if (host.ptr[i] == '.')
			label = 0;
	}
	return label > 0;
}

int http_host_normalise(struct view host, char dst[256])
{
	size_t len;
	int n;

	if (host.len && host.ptr[0] == '[')
		return normalise_literal(host, dst);
	n = name_decode(host, dst);
	if (n < 0)
		return n;
	len = (size_t)n;
	if (len && dst[len - 1] == '.')
		len--;
	if (len == 0 || len > HTTP_HOST_MAX || !labels_fit(view_make(dst, len)))
		return LARDER_EINVAL;
	if (all_numeric(view_make(dst, len))) {
		char copy[256];

		memcpy(copy, dst, len);
		return normalise_ipv4(view_make(copy, len), dst);
	}
	return (int)len;
}
