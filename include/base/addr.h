/*
 * Addresses: a socket address of IPv4, IPv6 or a Unix path, prefixes (CIDR),
 * and the classes that access policy speaks of. IPv4-mapped IPv6 and NAT64
 * (64:ff9b::/96) addresses are judged by the IPv4 address inside.
 */
#ifndef LARDER_BASE_ADDR_H
#define LARDER_BASE_ADDR_H

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/view.h"

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
	};
	socklen_t len;
};

#define ADDR_TEXT_MAX 64 /* "[v6%scope]:port" and a NUL fit */

/* Classes of an address; several may hold (bits). */
enum addr_class {
	ADDR_LOOPBACK = 1 << 0,    /* 127/8, ::1 */
	ADDR_UNSPECIFIED = 1 << 1, /* 0/8, :: */
	ADDR_LINK_LOCAL = 1 << 2,  /* 169.254/16, fe80::/10 */
	ADDR_MULTICAST = 1 << 3,   /* 224/4, ff00::/8 */
	ADDR_PRIVATE = 1 << 4,     /* 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7, fec0::/10 */
	ADDR_RESERVED = 1 << 5,    /* 240/4 with broadcast, 192.0.0/24, documentation nets */
	ADDR_NAT64 = 1 << 6,       /* 64:ff9b::/96, 64:ff9b:1::/48 */
};

/* A numeric address without a port ("127.0.0.1", "::1", "[::1]"), strict dotted quad. 0, EINVAL. */
int addr_parse_ip(struct view text, uint16_t port, struct addr *out);
/* "ADDR:PORT", "[IPv6]:PORT", ":PORT" (all of IPv6 and IPv4: yields ::), numeric only; 0, EINVAL. */
int addr_parse(struct view text, struct addr *out);
/* Copies from a kernel sockaddr; false for families other than INET and INET6. */
bool addr_from_sa(const struct sockaddr *sa, socklen_t len, struct addr *out);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
/* "1.2.3.4:80" / "[::1]:80"; into at least ADDR_TEXT_MAX bytes; returns dst. */
char *addr_format(const struct addr *a, char *dst);
/* The same without port and brackets. */
char *addr_format_ip(const struct addr *a, char *dst);
/* Bits of enum addr_class. */
unsigned addr_classify(const struct addr *a);
/* Same IP (v4-mapped equals v4); the port does not count. */
bool addr_same_ip(const struct addr *a, const struct addr *b);

/* Is it "localhost" or a name below it, which resolvers are not to be asked for (RFC 6761 §6.3)? */
bool addr_is_localhost(struct view name);
/* Its addresses: 127.0.0.1 and ::1. */
void addr_localhost(uint16_t port, struct addr out[2]);

struct addr_prefix {
	uint8_t ip[16]; /* IPv4 as v4-mapped */
	uint8_t bits;   /* of the 128 */
};

/* "10.0.0.0/8", "::1", "fe80::/10"; bits beyond the prefix must be 0. 0, EINVAL. */
int addr_prefix_parse(struct view text, struct addr_prefix *out);
bool addr_prefix_match(const struct addr_prefix *p, const struct addr *a);
/* The 16 bytes of the IP, IPv4 as v4-mapped. */
void addr_ip16(const struct addr *a, uint8_t out[16]);

#endif
