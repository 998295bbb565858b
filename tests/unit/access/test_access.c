#include "unit.h"

#include <arpa/inet.h>
#include <ifaddrs.h>

#include "access/access.h"
#include "base/check.h"
#include "base/error.h"

/* Options as the table's defaults, with lists given as one string each. */
struct fixture {
	struct access_options o;
	char *items[4];
};

static struct access_options *options(struct fixture *f, const char *allow, const char *deny,
				      const char *connect, const char *http)
{
	const char *texts[] = {allow, deny, connect, http};
	struct option_list *lists[] = {&f->o.allow, &f->o.deny, &f->o.connect_ports,
				       &f->o.http_ports};

	*f = (struct fixture){.o = {.reach_private = true}};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		f->items[i] = (char *)texts[i];
		*lists[i] = (struct option_list){&f->items[i], 1};
	}
	return &f->o;
}

static struct access *make(const struct access_options *o, bool forward)
{
	struct access *a;
	char *why;

	ck_assert_int_eq(access_new(o, forward, &a, &why), 0);
	ck_assert_ptr_null(why);
	return a;
}

static struct addr ip(const char *text)
{
	struct addr a;

	ck_assert_msg(addr_parse_ip(view_of(text), 0, &a) == 0, "%s", text);
	return a;
}

static const struct {
	bool forward;
	const char *allow, *deny, *client, *refused_by; /* NULL: served */
} clients[] = {
	/* The defaults: a forward listener for this machine, a reverse listener for all. */
	{true, "", "", "127.0.0.1", NULL},
	{true, "", "", "127.1.2.3", NULL},
	{true, "", "", "::1", NULL},
	{true, "", "", "::ffff:127.0.0.1", NULL},
	{true, "", "", "10.0.0.1", "allow"},
	{true, "", "", "192.0.2.1", "allow"},
	{true, "", "", "2001:db8::1", "allow"},
	{true, "", "", "fe80::1", "allow"},
	{true, "  ,", "", "10.0.0.1", "allow"},
	{false, "", "", "10.0.0.1", NULL},
	{false, "", "", "2001:db8::1", NULL},
	/* Addresses that carry 127.0.0.1 are not this machine. */
	{true, "", "", "64:ff9b::127.0.0.1", "allow"},
	{true, "", "", "2002:7f00:1::1", "allow"},
	{true, "", "", "::127.0.0.1", "allow"},
	/* allow */
	{true, "10.0.0.0/8", "", "10.1.2.3", NULL},
	{true, "10.0.0.0/8", "", "::ffff:10.1.2.3", NULL},
	{true, "10.0.0.0/8", "", "11.0.0.0", "allow"},
	{true, "10.0.0.0/8", "", "127.0.0.1", "allow"},
	{true, "10.0.0.0/8 127.0.0.1", "", "127.0.0.1", NULL},
	{true, "10.0.0.0/8,192.168.0.0/16", "", "192.168.7.7", NULL},
	{true, "10.0.0.0/8 ,\t192.168.0.0/16,", "", "192.168.7.7", NULL},
	{true, "fc00::/7", "", "fd00::1", NULL},
	{true, "fc00::/7", "", "fe00::1", "allow"},
	{true, "all", "", "203.0.113.9", NULL},
	{true, "all", "", "2001:db8::1", NULL},
	{false, "10.0.0.0/8", "", "11.0.0.0", "allow"},
	{false, "10.0.0.0/8", "", "10.0.0.0", NULL},
	/* deny comes first. */
	{true, "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "deny"},
	{true, "10.0.0.0/8", "10.1.0.0/16", "10.2.2.3", NULL},
	{true, "all", "all", "127.0.0.1", "deny"},
	{false, "", "2001:db8::/32", "2001:db8::1", "deny"},
	{false, "", "2001:db8::/32", "2001:db9::1", NULL},
	{true, "", "127.0.0.2", "127.0.0.2", "deny"},
	{true, "", "127.0.0.2", "127.0.0.1", NULL},
};

START_TEST(client)
{
	struct fixture f;
	struct access *a = make(options(&f, clients[_i].allow, clients[_i].deny, "443", "80"),
				clients[_i].forward);
	struct access_refusal why = {NULL, NULL};
	struct addr c = ip(clients[_i].client);
	int err = access_client(a, &c, &why);

	ck_assert_int_eq(err, clients[_i].refused_by ? LARDER_EREFUSED : 0);
	if (err) {
		ck_assert_str_eq(why.option, clients[_i].refused_by);
		ck_assert_ptr_nonnull(strstr(why.text, why.option));
	}
	access_free(a);
}
END_TEST

static const struct {
	bool forward, tunnel;
	const char *ports;
	unsigned port;
	bool served;
} ports[] = {
	{true, true, "443", 443, true},
	{true, true, "443", 80, false},
	{true, true, "443", 444, false},
	{true, true, "443", 442, false},
	{true, true, "443", 0, false},
	{true, true, "443", 22, false},
	{true, true, "443", 25, false},
	{true, false, "80 443 1024-65535", 80, true},
	{true, false, "80 443 1024-65535", 443, true},
	{true, false, "80 443 1024-65535", 1023, false},
	{true, false, "80 443 1024-65535", 1024, true},
	{true, false, "80 443 1024-65535", 65535, true},
	{true, false, "80 443 1024-65535", 0, false},
	{true, false, "80 443 1024-65535", 25, false},
	{true, false, "80,443,8000-8100", 8100, true},
	{true, false, "80,443,8000-8100", 8101, false},
	{true, false, "8000-8000", 8000, true},
	{true, true, "all", 25, true},
	{true, true, "all", 0, false},
	{true, true, "443 all", 1, true},
	{true, true, "", 443, false},
	/* A reverse listener's origin is fixed. */
	{false, false, "80", 9999, true},
};

START_TEST(port)
{
	struct fixture f;
	const char *text = ports[_i].ports;
	struct access *a = make(ports[_i].tunnel ? options(&f, "", "", text, "1")
						 : options(&f, "", "", "1", text),
				ports[_i].forward);
	struct access_refusal why = {NULL, NULL};
	int err = access_port(a, ports[_i].tunnel, (uint16_t)ports[_i].port, &why);

	ck_assert_msg((err == 0) == ports[_i].served, "port %u in \"%s\" gives %d", ports[_i].port,
		      text, err);
	if (err) {
		ck_assert_int_eq(err, LARDER_EREFUSED);
		ck_assert_str_eq(why.option, ports[_i].tunnel ? "connect_ports" : "http_ports");
		ck_assert_ptr_nonnull(strstr(why.text, why.option));
	}
	access_free(a);
}
END_TEST

#define LOCAL   1
#define PRIVATE 2

static const struct {
	const char *dest;
	unsigned needs; /* options without which clients from afar do not get there */
} destinations[] = {
	{"8.8.8.8", 0},
	{"2606:4700::1111", 0},
	{"::ffff:8.8.8.8", 0},
	{"64:ff9b::8.8.8.8", 0},
	{"2002:808:808::1", 0},
	{"127.0.0.1", LOCAL},
	{"127.255.255.254", LOCAL},
	{"::1", LOCAL},
	{"::ffff:127.0.0.1", LOCAL},
	{"64:ff9b::127.0.0.1", LOCAL},
	{"64:ff9b:1::127.0.0.1", LOCAL},
	{"::127.0.0.1", LOCAL},
	{"2002:7f00:1::", LOCAL},
	{"0.0.0.0", LOCAL},
	{"0.1.2.3", LOCAL},
	{"::", LOCAL},
	{"::ffff:0.0.0.0", LOCAL},
	{"169.254.169.254", LOCAL},
	{"::ffff:169.254.169.254", LOCAL},
	{"64:ff9b::169.254.169.254", LOCAL},
	{"fe80::1", LOCAL},
	{"224.0.0.251", LOCAL},
	{"ff02::fb", LOCAL},
	{"240.0.0.1", LOCAL},
	{"255.255.255.255", LOCAL},
	{"192.0.2.1", LOCAL},
	{"2001:db8::1", LOCAL},
	{"10.99.98.97", PRIVATE},
	{"172.31.254.253", PRIVATE},
	{"192.168.253.252", PRIVATE},
	{"100.64.253.1", PRIVATE},
	{"::ffff:10.99.98.97", PRIVATE},
	{"64:ff9b::10.99.98.97", PRIVATE},
	{"fd12:3456:789a::1", PRIVATE},
	{"fec0::9", PRIVATE},
};

static void judge(const char *client_text, struct addr dest, bool forward, bool local,
		  bool reach_private, const char *refused_by)
{
	struct fixture f;
	struct access_options *o = options(&f, "all", "", "443", "80");
	struct access_refusal why = {NULL, NULL};
	struct addr from = ip(client_text);
	struct access *a;
	char shown[ADDR_TEXT_MAX];
	int err;

	o->reach_local = local;
	o->reach_private = reach_private;
	a = make(o, forward);
	err = access_destination(a, &from, &dest, &why);
	ck_assert_msg(err == (refused_by ? LARDER_EREFUSED : 0), "%s to %s gives %d", client_text,
		      addr_format(&dest, shown), err);
	if (err) {
		ck_assert_str_eq(why.option, refused_by);
		ck_assert_ptr_nonnull(strstr(why.text, why.option));
	}
	access_free(a);
}

START_TEST(destination)
{
	static const char *const afar[] = {"203.0.113.5", "::ffff:10.0.0.9", "2001:db8::9",
					   "2002:7f00:1::", "64:ff9b::127.0.0.1"};
	static const char *const here[] = {"127.0.0.1", "::1", "::ffff:127.0.0.1"};
	struct addr dest = ip(destinations[_i].dest);
	unsigned needs = destinations[_i].needs;

	for (size_t i = 0; i < ARRAY_LEN(afar); i++) {
		for (unsigned given = 0; given < 4; given++) {
			const char *refused_by = NULL;

			if (needs & LOCAL & ~given)
				refused_by = "reach_local";
			else if (needs & PRIVATE & ~given)
				refused_by = "reach_private";
			judge(afar[i], dest, true, given & LOCAL, given & PRIVATE, refused_by);
		}
	}
	/* Clients on this machine reach it anyway, but private networks only by the option; a reverse
	 * listener's origin is its owner's.
	 */
	for (size_t i = 0; i < ARRAY_LEN(here); i++) {
		judge(here[i], dest, true, false, false, needs & PRIVATE ? "reach_private" : NULL);
		judge(here[i], dest, true, false, true, NULL);
	}
	judge("203.0.113.5", dest, false, false, false, NULL);
}
END_TEST

/* Every address of this machine is local, private or not, in all its disguises. */
START_TEST(own_addresses)
{
	struct ifaddrs *list;
	unsigned n = 0;

	ck_assert_int_eq(access_interfaces_refresh(), 0);
	ck_assert_int_eq(getifaddrs(&list), 0);
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct addr own;

		if (!i->ifa_addr || !addr_from_sa(i->ifa_addr, sizeof(struct sockaddr_in6), &own))
			continue;
		judge("203.0.113.5", own, true, false, true, "reach_local");
		judge("203.0.113.5", own, true, false, false, "reach_local");
		judge("203.0.113.5", own, true, true, false, NULL);
		n++;
		if (own.sa.sa_family != AF_INET)
			continue;
		for (unsigned form = 0; form < 4; form++) {
			static const char *const prefix[] = {"::ffff:0:0",
							     "64:ff9b::", "::", "2002::"};
			struct addr in6 = ip(prefix[form]);

			memcpy(in6.in6.sin6_addr.s6_addr + (form == 3 ? 2 : 12), &own.in4.sin_addr,
			       4);
			judge("203.0.113.5", in6, true, false, true, "reach_local");
		}
	}
	freeifaddrs(list);
	ck_assert_uint_gt(n, 0);
}
END_TEST

static const struct {
	const char *allow, *deny, *connect, *http, *names;
} faults[] = {
	{"10.0.0.1/8", "", "", "", "allow"},
	{"10.0.0.0/8 localhost", "", "", "", "\"localhost\""},
	{"10.0.0.0/33", "", "", "", "10.0.0.0/33"},
	{"10.0.0.0;11.0.0.0", "", "", "", "allow"},
	{"", "All", "", "", "deny"},
	{"", "*", "", "", "deny"},
	{"", "", "0", "", "connect_ports"},
	{"", "", "65536", "", "connect_ports"},
	{"", "", "443-", "", "connect_ports"},
	{"", "", "-443", "", "connect_ports"},
	{"", "", "443 https", "", "\"https\""},
	{"", "", "", "90-80", "http_ports"},
	{"", "", "", "0-80", "http_ports"},
	{"", "", "", "80-90-100", "http_ports"},
	{"", "", "", "80-65536", "http_ports"},
	{"", "", "", "+80", "http_ports"},
	{"", "", "", "99999999999999999999", "http_ports"},
};

START_TEST(fault)
{
	struct fixture f;
	struct access *a;
	char *why;

	ck_assert_int_eq(access_new(options(&f, faults[_i].allow, faults[_i].deny,
					    faults[_i].connect, faults[_i].http),
				    true, &a, &why),
			 LARDER_EINVAL);
	ck_assert_ptr_null(a);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, faults[_i].names) != NULL, "\"%s\" does not name %s", why,
		      faults[_i].names);
	free(why);
}
END_TEST

START_TEST(items_of_their_own)
{
	char *allow[] = {(char *)"10.0.0.0/8", (char *)"", (char *)"::1 127.0.0.1"};
	struct fixture f;
	struct access_options *o = options(&f, "", "", "443", "80");
	struct addr in = ip("10.0.0.1"), local = ip("127.0.0.1"), out = ip("11.0.0.1");
	struct access_refusal why;
	struct access *a;

	o->allow = (struct option_list){allow, ARRAY_LEN(allow)};
	o->deny = (struct option_list){NULL, 0};
	a = make(o, true);
	ck_assert_int_eq(access_client(a, &in, &why), 0);
	ck_assert_int_eq(access_client(a, &local, &why), 0);
	ck_assert_int_eq(access_client(a, &out, &why), LARDER_EREFUSED);
	access_free(a);
	access_free(NULL);
}
END_TEST

static const struct {
	const char *from, *client;
	bool any, may;
} purgers[] = {
	{NULL, "127.0.0.1", false, false},
	{"all", "192.0.2.1", true, true},
	{"10.0.0.0/8, ::1", "10.1.2.3", true, true},
	{"10.0.0.0/8, ::1", "::1", true, true},
	{"10.0.0.0/8, ::1", "127.0.0.1", true, false},
	{"10.0.0.0/8, ::1", "::ffff:10.0.0.1", true, true},
};

START_TEST(who_may_purge)
{
	struct access_options o = {.reach_private = true};
	struct addr from = ip(purgers[_i].client);
	char *item = (char *)purgers[_i].from;
	struct access_refusal why;
	struct access *a;
	int err;

	if (item)
		o.purge_from = (struct option_list){&item, 1};
	a = make(&o, false);
	ck_assert_int_eq(access_purges(a), purgers[_i].any);
	err = access_purge(a, &from, &why);
	ck_assert_int_eq(err, purgers[_i].may ? 0 : LARDER_EREFUSED);
	if (err)
		ck_assert_str_eq(why.option, "purge_from");
	access_free(a);
}
END_TEST

UNIT_MAIN("access/access", tcase_add_loop_test(tc, who_may_purge, 0, ARRAY_LEN(purgers));
	  tcase_add_loop_test(tc, client, 0, ARRAY_LEN(clients));
	  tcase_add_loop_test(tc, port, 0, ARRAY_LEN(ports));
	  tcase_add_loop_test(tc, destination, 0, ARRAY_LEN(destinations));
	  tcase_add_test(tc, own_addresses); tcase_add_loop_test(tc, fault, 0, ARRAY_LEN(faults));
	  tcase_add_test(tc, items_of_their_own);)
