#include "access-private.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>

#include "base/error.h"

#define MAX_ADDRESSES 65536

struct ip {
	uint8_t byte[16];
};

/* The one list of the process, sorted; replaced as a whole. */
static struct {
	struct ip *ips;
	size_t n;
	bool known;
} interfaces;

static int cmp_ip(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ip));
}

static size_t count(const struct ifaddrs *list)
{
	size_t n = 0;

	for (; list; list = list->ifa_next)
		n += list->ifa_addr != NULL;
	return n;
}

static size_t collect(const struct ifaddrs *list, struct ip *ips)
{
	struct addr a;
	size_t n = 0;

	for (; list; list = list->ifa_next) {
		if (list->ifa_addr && addr_from_sa(list->ifa_addr, sizeof(struct sockaddr_in6), &a))
			addr_ip16(&a, ips[n++].byte);
	}
	return n;
}

int access_interfaces_refresh(void)
{
	struct ifaddrs *list = NULL;
	struct ip *ips = NULL;
	size_t n;
	int err = 0;

	if (getifaddrs(&list))
		return larder_from_errno(errno);
	n = count(list);
	if (n > MAX_ADDRESSES) {
		err = LARDER_ELIMIT;
		goto out;
	}
	ips = calloc(n ? n : 1, sizeof(*ips));
	if (!ips) {
		err = LARDER_ENOMEM;
		goto out;
	}
	n = collect(list, ips);
	qsort(ips, n, sizeof(*ips), cmp_ip);
	free(interfaces.ips);
	interfaces.ips = ips;
	interfaces.n = n;
	interfaces.known = true;
out:
	freeifaddrs(list);
	return err;
}

bool access_interface_known(void)
{
	return interfaces.known;
}

static bool listed(const uint8_t ip[16])
{
	return interfaces.n && bsearch(ip, interfaces.ips, interfaces.n, sizeof(struct ip), cmp_ip);
}

static bool listed4(const uint8_t ip4[4])
{
	uint8_t ip[16] = {[10] = 0xff, [11] = 0xff};

	memcpy(ip + 12, ip4, 4);
	return listed(ip);
}

bool access_interface_has(const struct addr *a)
{
	static const uint8_t compatible[12] = {0};
	uint8_t ip[16];

	addr_ip16(a, ip);
	if (listed(ip))
		return true;
	if ((addr_classify(a) & ADDR_NAT64) || memcmp(ip, compatible, sizeof(compatible)) == 0)
		return listed4(ip + 12);
	/* 6to4: 2002:AABB:CCDD::/48 leads to the IPv4 host in it. */
	return ip[0] == 0x20 && ip[1] == 0x02 && listed4(ip + 2);
}
