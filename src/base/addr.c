#include "base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t NAT64[12] = {0x00, 0x64, 0xff, 0x9b};
static const uint8_t NAT64_LOCAL[6] = {0x00, 0x64, 0xff, 0x9b, 0x00, 0x01};

int addr_parse_ip(struct view text, uint16_t port, struct addr *out)
{
	char buf[INET6_ADDRSTRLEN + 1];

	if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
		text = view_make(text.ptr + 1, text.len - 2);
		if (view_find(text, ':') == text.len)
			return LARDER_EINVAL;
	}
	if (!view_copy(text, buf, sizeof(buf)) || strlen(buf) != text.len)
		return LARDER_EINVAL;
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, buf, &out->in4.sin_addr) == 1) {
		out->in4.sin_family = AF_INET;
		out->in4.sin_port = htons(port);
		out->len = sizeof(out->in4);
		return 0;
	}
	if (inet_pton(AF_INET6, buf, &out->in6.sin6_addr) == 1) {
		out->in6.sin6_family = AF_INET6;
		out->in6.sin6_port = htons(port);
		out->len = sizeof(out->in6);
		return 0;
	}
	return LARDER_EINVAL;
}

int addr_parse(struct view text, struct addr *out)
{
	size_t colon = view_rfind(text, ':');
	struct view host = view_make(text.ptr, colon);
	uint64_t port;

	if (colon == text.len || num_parse_u64(view_from(text, colon + 1), 65535, &port))
		return LARDER_EINVAL;
	if (!host.len)
		host = V("::");
	else if (host.ptr[0] != '[' && view_find(host, ':') != host.len)
		return LARDER_EINVAL;
	return addr_parse_ip(host, (uint16_t)port, out);
}

bool addr_from_sa(const struct sockaddr *sa, socklen_t len, struct addr *out)
{
	if (!(sa->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) &&
	    !(sa->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)))
		return false;
	memset(out, 0, sizeof(*out));
	out->len = sa->sa_family == AF_INET ? sizeof(out->in4) : sizeof(out->in6);
	memcpy(&out->sa, sa, out->len);
	return true;
}

uint16_t addr_port(const struct addr *a)
{
	return ntohs(a->sa.sa_family == AF_INET ? a->in4.sin_port : a->in6.sin6_port);
}

void addr_set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in4.sin_port = htons(port);
	else
		a->in6.sin6_port = htons(port);
}

char *addr_format_ip(const struct addr *a, char *dst)
{
	const void *ip = a->sa.sa_family == AF_INET ? (const void *)&a->in4.sin_addr
	                                            : (const void *)&a->in6.sin6_addr;

	if (a->len == 0 || !inet_ntop(a->sa.sa_family, ip, dst, ADDR_TEXT_MAX))
		memcpy(dst, "-", 2);
	return dst;
}

char *addr_format(const struct addr *a, char *dst)
{
	char ip[ADDR_TEXT_MAX];

	addr_format_ip(a, ip);
	snprintf(dst, ADDR_TEXT_MAX, a->sa.sa_family == AF_INET6 ? "[%.46s]:%u" : "%.46s:%u", ip,
	         (unsigned)addr_port(a));
	return dst;
}

void addr_ip16(const struct addr *a, uint8_t out[16])
{
	if (a->sa.sa_family == AF_INET) {
		memcpy(out, MAPPED, sizeof(MAPPED));
		memcpy(out + 12, &a->in4.sin_addr, 4);
	} else {
		memcpy(out, &a->in6.sin6_addr, 16);
	}
}

static unsigned classify4(const uint8_t ip[4])
{
	unsigned c = 0;

	if (ip[0] == 127)
		c |= ADDR_LOOPBACK;
	if (ip[0] == 0)
		c |= ADDR_UNSPECIFIED;
	if (ip[0] == 169 && ip[1] == 254)
		c |= ADDR_LINK_LOCAL;
	if (ip[0] >= 224 && ip[0] < 240)
		c |= ADDR_MULTICAST;
	if (ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168) ||
	    (ip[0] == 100 && (ip[1] & 0xc0) == 64))
		c |= ADDR_PRIVATE;
	if (ip[0] >= 240 || (ip[0] == 192 && ip[1] == 0 && (ip[2] == 0 || ip[2] == 2)) ||
	    (ip[0] == 198 && ip[1] == 51 && ip[2] == 100) || (ip[0] == 203 && ip[1] == 0 && ip[2] == 113))
		c |= ADDR_RESERVED;
	return c;
}

unsigned addr_classify(const struct addr *a)
{
	static const uint8_t loopback[16] = {[15] = 1}, unspecified[16] = {0};
	uint8_t ip[16];
	unsigned c = 0;

	addr_ip16(a, ip);
	if (memcmp(ip, MAPPED, sizeof(MAPPED)) == 0)
		return classify4(ip + 12);
	if (memcmp(ip, NAT64, sizeof(NAT64)) == 0)
		return ADDR_NAT64 | classify4(ip + 12);
	if (memcmp(ip, NAT64_LOCAL, sizeof(NAT64_LOCAL)) == 0)
		return ADDR_NAT64 | classify4(ip + 12);
	if (memcmp(ip, loopback, 16) == 0)
		c |= ADDR_LOOPBACK;
	/* ::/96 held the IPv4-compatible addresses: judged by the address inside. */
	else if (memcmp(ip, unspecified, 12) == 0)
		c |= memcmp(ip, unspecified, 16) == 0 ? ADDR_UNSPECIFIED : classify4(ip + 12) | ADDR_RESERVED;
	if (ip[0] == 0x20 && ip[1] == 0x02) /* 6to4 carries its IPv4 address */
		c |= classify4(ip + 2);
	if (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80)
		c |= ADDR_LINK_LOCAL;
	if (ip[0] == 0xff)
		c |= ADDR_MULTICAST;
	if ((ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0xc0))
		c |= ADDR_PRIVATE;
	if (ip[0] == 0x20 && ip[1] == 0x01 && ip[2] == 0x0d && ip[3] == 0xb8)
		c |= ADDR_RESERVED;
	return c;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
	uint8_t x[16], y[16];

	addr_ip16(a, x);
	addr_ip16(b, y);
	return memcmp(x, y, 16) == 0;
}

bool addr_is_localhost(struct view name)
{
	static const struct view top = V("localhost");
	struct view end;

	if (view_ends(name, V(".")))
		name.len--;
	if (name.len < top.len)
		return false;
	end = view_from(name, name.len - top.len);
	return view_ieq(end, top) && (name.len == top.len || end.ptr[-1] == '.');
}

void addr_localhost(uint16_t port, struct addr out[2])
{
	check(addr_parse_ip(V("127.0.0.1"), port, &out[0]) == 0);
	check(addr_parse_ip(V("::1"), port, &out[1]) == 0);
}

int addr_prefix_parse(struct view text, struct addr_prefix *out)
{
	struct view bits_text, ip_text = view_cut(text, '/', &bits_text);
	uint64_t bits, width;
	struct addr a;
	int err;

	err = addr_parse_ip(ip_text, 0, &a);
	if (err)
		return err;
	width = a.sa.sa_family == AF_INET ? 32 : 128;
	bits = width;
	if (bits_text.ptr && num_parse_u64(bits_text, width, &bits))
		return LARDER_EINVAL;
	addr_ip16(&a, out->ip);
	out->bits = (uint8_t)(bits + (128 - width));
	for (unsigned i = out->bits; i < 128; i++) {
		if (out->ip[i / 8] & (0x80 >> (i % 8)))
			return LARDER_EINVAL;
	}
	return 0;
}

bool addr_prefix_match(const struct addr_prefix *p, const struct addr *a)
{
	uint8_t ip[16], mask;
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	addr_ip16(a, ip);
	if (memcmp(ip, p->ip, whole) != 0)
		return false;
	mask = (uint8_t)(0xff00U >> rest);
	return rest == 0 || ((ip[whole] ^ p->ip[whole]) & mask) == 0;
}
