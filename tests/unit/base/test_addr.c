#include "unit.h"

#include "base/addr.h"
#include "base/check.h"
#include "base/error.h"

struct parse_row {
	const char *text;
	const char *shown; /* NULL: refused */
};

static const struct parse_row ip_rows[] = {
	{"127.0.0.1", "127.0.0.1"},
	{"0.0.0.0", "0.0.0.0"},
	{"255.255.255.255", "255.255.255.255"},
	{"::1", "::1"},
	{"::", "::"},
	{"[::1]", "::1"},
	{"[2001:DB8::0:1]", "2001:db8::1"},
	{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
	{"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
	{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
	 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	{"", NULL},
	{"[]", NULL},
	{"[", NULL},
	{"]", NULL},
	{"[127.0.0.1]", NULL},
	{"[::1", NULL},
	{"::1]", NULL},
	{"[[::1]]", NULL},
	{"127.1", NULL},
	{"127.0.0", NULL},
	{"127.0.0.1.", NULL},
	{"127.0.0.01", NULL},
	{"0177.0.0.1", NULL},
	{"0x7f.0.0.1", NULL},
	{"2130706433", NULL},
	{"256.0.0.1", NULL},
	{"1.2.3.-4", NULL},
	{" 127.0.0.1", NULL},
	{"127.0.0.1 ", NULL},
	{"127.0.0.1:80", NULL},
	{"localhost", NULL},
	{"1::2::3", NULL},
	{":::", NULL},
	{"12345::", NULL},
	{"1:2:3:4:5:6:7", NULL},
	{"1:2:3:4:5:6:7:8:9", NULL},
	{"fe80::1%lo", NULL},
	{"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", NULL},
};

START_TEST(parse_ip)
{
	const struct parse_row *row = &ip_rows[_i];
	char shown[ADDR_TEXT_MAX];
	struct addr a;
	int err = addr_parse_ip(view_of(row->text), 8080, &a);

	ck_assert_msg((err == 0) == (row->shown != NULL), "\"%s\" gives %d", row->text, err);
	if (err) {
		ck_assert_int_eq(err, LARDER_EINVAL);
		return;
	}
	ck_assert_str_eq(addr_format_ip(&a, shown), row->shown);
	ck_assert_uint_eq(addr_port(&a), 8080);
}
END_TEST

START_TEST(parse_ip_nul)
{
	struct addr a;

	/* A NUL inside must not end the text early. */
	ck_assert_int_eq(addr_parse_ip(V("127.0.0.1\0x"), 0, &a), LARDER_EINVAL);
	ck_assert_int_eq(addr_parse_ip(V("127.0.0.1\0"), 0, &a), LARDER_EINVAL);
}
END_TEST

static const struct parse_row port_rows[] = {
	{"127.0.0.1:80", "127.0.0.1:80"},
	{"127.0.0.1:0", "127.0.0.1:0"},
	{"127.0.0.1:65535", "127.0.0.1:65535"},
	{"127.0.0.1:00080", "127.0.0.1:80"},
	{"[::1]:443", "[::1]:443"},
	{":3128", "[::]:3128"},
	{"127.0.0.1:65536", NULL},
	{"127.0.0.1:", NULL},
	{"127.0.0.1", NULL},
	{"127.0.0.1:-1", NULL},
	{"127.0.0.1:+1", NULL},
	{"127.0.0.1: 1", NULL},
	{"127.0.0.1:0x50", NULL},
	{"127.0.0.1:99999999999999999999999", NULL},
	{"::1:443", NULL},
	{"::", NULL},
	{"[::1]", NULL},
	{"[::1]443", NULL},
	{"[::1] :443", NULL},
	{"[127.0.0.1]:80", NULL},
	{"[]:80", NULL},
	{"name:80", NULL},
	{":", NULL},
	{"", NULL},
};

START_TEST(parse_with_port)
{
	const struct parse_row *row = &port_rows[_i];
	char shown[ADDR_TEXT_MAX];
	struct addr a;
	int err = addr_parse(view_of(row->text), &a);

	ck_assert_msg((err == 0) == (row->shown != NULL), "\"%s\" gives %d", row->text, err);
	if (!err)
		ck_assert_str_eq(addr_format(&a, shown), row->shown);
}
END_TEST

static const struct {
	const char *ip;
	unsigned classes;
} class_rows[] = {
	{"127.0.0.1", ADDR_LOOPBACK},
	{"127.255.255.255", ADDR_LOOPBACK},
	{"126.255.255.255", 0},
	{"128.0.0.0", 0},
	{"0.0.0.0", ADDR_UNSPECIFIED},
	{"0.255.255.255", ADDR_UNSPECIFIED},
	{"1.0.0.0", 0},
	{"8.8.8.8", 0},
	{"169.254.0.0", ADDR_LINK_LOCAL},
	{"169.254.169.254", ADDR_LINK_LOCAL},
	{"169.253.255.255", 0},
	{"169.255.0.0", 0},
	{"223.255.255.255", 0},
	{"224.0.0.1", ADDR_MULTICAST},
	{"239.255.255.255", ADDR_MULTICAST},
	{"240.0.0.0", ADDR_RESERVED},
	{"255.255.255.255", ADDR_RESERVED},
	{"9.255.255.255", 0},
	{"10.0.0.0", ADDR_PRIVATE},
	{"10.255.255.255", ADDR_PRIVATE},
	{"11.0.0.0", 0},
	{"172.15.255.255", 0},
	{"172.16.0.0", ADDR_PRIVATE},
	{"172.31.255.255", ADDR_PRIVATE},
	{"172.32.0.0", 0},
	{"192.167.255.255", 0},
	{"192.168.0.0", ADDR_PRIVATE},
	{"192.168.255.255", ADDR_PRIVATE},
	{"192.169.0.0", 0},
	{"100.63.255.255", 0},
	{"100.64.0.0", ADDR_PRIVATE},
	{"100.127.255.255", ADDR_PRIVATE},
	{"100.128.0.0", 0},
	{"192.0.0.1", ADDR_RESERVED},
	{"192.0.1.1", 0},
	{"192.0.2.1", ADDR_RESERVED},
	{"198.51.100.7", ADDR_RESERVED},
	{"198.51.101.7", 0},
	{"203.0.113.255", ADDR_RESERVED},
	{"203.0.114.0", 0},
	{"::1", ADDR_LOOPBACK},
	{"::", ADDR_UNSPECIFIED},
	{"::2", ADDR_UNSPECIFIED | ADDR_RESERVED},
	{"::127.0.0.1", ADDR_LOOPBACK | ADDR_RESERVED},
	{"::8.8.8.8", ADDR_RESERVED},
	{"::ffff:127.0.0.1", ADDR_LOOPBACK},
	{"::ffff:0.0.0.0", ADDR_UNSPECIFIED},
	{"::ffff:192.168.1.1", ADDR_PRIVATE},
	{"::ffff:8.8.8.8", 0},
	{"64:ff9b::127.0.0.1", ADDR_NAT64 | ADDR_LOOPBACK},
	{"64:ff9b::10.1.2.3", ADDR_NAT64 | ADDR_PRIVATE},
	{"64:ff9b::8.8.8.8", ADDR_NAT64},
	{"64:ff9b:1::169.254.169.254", ADDR_NAT64 | ADDR_LINK_LOCAL},
	{"64:ff9b:2::127.0.0.1", 0},
	{"2002:7f00:1::", ADDR_LOOPBACK},
	{"2002:a00:1::1", ADDR_PRIVATE},
	{"2002:808:808::1", 0},
	{"fe80::1", ADDR_LINK_LOCAL},
	{"febf:ffff::1", ADDR_LINK_LOCAL},
	{"fe7f::1", 0},
	{"fec0::1", ADDR_PRIVATE},
	{"feff::1", ADDR_PRIVATE},
	{"fc00::1", ADDR_PRIVATE},
	{"fdff::1", ADDR_PRIVATE},
	{"fbff::1", 0},
	{"ff02::1", ADDR_MULTICAST},
	{"2001:db8::1", ADDR_RESERVED},
	{"2001:db9::1", 0},
	{"2606:4700::1111", 0},
};

START_TEST(classify)
{
	struct addr a;

	ck_assert_int_eq(addr_parse_ip(view_of(class_rows[_i].ip), 0, &a), 0);
	ck_assert_msg(addr_classify(&a) == class_rows[_i].classes, "%s is of %#x, not %#x",
		      class_rows[_i].ip, addr_classify(&a), class_rows[_i].classes);
}
END_TEST

static const struct {
	const char *prefix, *ip;
	int verdict; /* 1: inside, 0: outside, LARDER_EINVAL */
} prefix_rows[] = {
	{"10.0.0.0/8", "10.255.255.255", 1},
	{"10.0.0.0/8", "11.0.0.0", 0},
	{"10.0.0.0/8", "::ffff:10.1.1.1", 1},
	{"10.0.0.0/8", "::10.1.1.1", 0},
	{"10.0.0.0/8", "a00::", 0},
	{"0.0.0.0/0", "255.255.255.255", 1},
	{"0.0.0.0/0", "::1", 0},
	{"0.0.0.0/0", "::ffff:1.2.3.4", 1},
	{"::/0", "1.2.3.4", 1},
	{"::/0", "ff02::1", 1},
	{"192.168.4.0/22", "192.168.7.255", 1},
	{"192.168.4.0/22", "192.168.8.0", 0},
	{"192.168.4.128/25", "192.168.4.127", 0},
	{"192.168.4.128/25", "192.168.4.128", 1},
	{"1.2.3.4", "1.2.3.4", 1},
	{"1.2.3.4/32", "1.2.3.5", 0},
	{"::1", "::1", 1},
	{"::1/128", "::2", 0},
	{"fe80::/10", "febf::1", 1},
	{"fe80::/10", "fec0::1", 0},
	{"2001:db8::/33", "2001:db8:7fff::", 1},
	{"2001:db8::/33", "2001:db8:8000::", 0},
	{"[2001:db8::]/32", "2001:db8::9", 1},
	{"::ffff:10.0.0.0/104", "10.9.9.9", 1},
	{"10.0.0.1/8", "10.0.0.1", LARDER_EINVAL},
	{"10.0.0.0/33", "10.0.0.1", LARDER_EINVAL},
	{"::/129", "::", LARDER_EINVAL},
	{"10.0.0.0/", "10.0.0.1", LARDER_EINVAL},
	{"10.0.0.0/ 8", "10.0.0.1", LARDER_EINVAL},
	{"10.0.0.0/+8", "10.0.0.1", LARDER_EINVAL},
	{"10.0.0.0/8/8", "10.0.0.1", LARDER_EINVAL},
	{"/8", "10.0.0.1", LARDER_EINVAL},
	{"", "10.0.0.1", LARDER_EINVAL},
	{"10/8", "10.0.0.1", LARDER_EINVAL},
	{"10.0.0.0/255.0.0.0", "10.0.0.1", LARDER_EINVAL},
	{"128.0.0.0/0", "10.0.0.1", LARDER_EINVAL},
	{"fe80::1/10", "fe80::1", LARDER_EINVAL},
	{"all", "10.0.0.1", LARDER_EINVAL},
};

START_TEST(prefixes)
{
	struct addr_prefix p;
	struct addr a;
	int verdict;

	ck_assert_int_eq(addr_parse_ip(view_of(prefix_rows[_i].ip), 0, &a), 0);
	verdict = addr_prefix_parse(view_of(prefix_rows[_i].prefix), &p);
	if (!verdict)
		verdict = addr_prefix_match(&p, &a);
	ck_assert_msg(verdict == prefix_rows[_i].verdict, "%s in \"%s\" gives %d",
		      prefix_rows[_i].ip, prefix_rows[_i].prefix, verdict);
}
END_TEST

START_TEST(same_ip)
{
	struct addr a, b, c;

	addr_parse_ip(V("10.0.0.1"), 80, &a);
	addr_parse_ip(V("::ffff:10.0.0.1"), 443, &b);
	addr_parse_ip(V("::10.0.0.1"), 80, &c);
	ck_assert(addr_same_ip(&a, &b));
	ck_assert(!addr_same_ip(&a, &c));
	addr_set_port(&b, 8080);
	ck_assert_uint_eq(addr_port(&b), 8080);
	addr_set_port(&a, 8081);
	ck_assert_uint_eq(addr_port(&a), 8081);
}
END_TEST

START_TEST(from_sa)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct sockaddr_storage other = {.ss_family = AF_UNIX};
	struct addr a = {.len = 0};
	char shown[ADDR_TEXT_MAX];

	ck_assert(addr_from_sa((struct sockaddr *)&in4, sizeof(in4), &a));
	ck_assert_str_eq(addr_format(&a, shown), "0.0.0.0:7");
	ck_assert(!addr_from_sa((struct sockaddr *)&in4, sizeof(in4) - 1, &a));
	ck_assert(!addr_from_sa((struct sockaddr *)&other, sizeof(other), &a));
	other.ss_family = AF_INET6;
	ck_assert(!addr_from_sa((struct sockaddr *)&other, sizeof(struct sockaddr_in), &a));
	ck_assert(addr_from_sa((struct sockaddr *)&other, sizeof(struct sockaddr_in6), &a));
	ck_assert_str_eq(addr_format(&a, shown), "[::]:0");
	a = (struct addr){.len = 0};
	ck_assert_str_eq(addr_format_ip(&a, shown), "-");
}
END_TEST

/* RFC 6761 §6.3 */
static const struct {
	const char *name;
	bool is;
} localhost_rows[] = {
	{"localhost", true},   {"LocalHost", true},	   {"localhost.", true}, {"a.localhost", true},
	{"a.b.localhost.", true}, {"notlocalhost", false}, {"localhost.example", false},
	{"", false},	       {".", false},		   {"local", false},
};

START_TEST(localhost)
{
	struct addr two[2];

	ck_assert(addr_is_localhost(view_of(localhost_rows[_i].name)) == localhost_rows[_i].is);
	addr_localhost(80, two);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(addr_classify(&two[i]), ADDR_LOOPBACK);
		ck_assert_uint_eq(addr_port(&two[i]), 80);
	}
}
END_TEST

UNIT_MAIN("base/addr", tcase_add_loop_test(tc, localhost, 0, ARRAY_LEN(localhost_rows));
	   tcase_add_loop_test(tc, parse_ip, 0, ARRAY_LEN(ip_rows));
	  tcase_add_test(tc, parse_ip_nul);
	  tcase_add_loop_test(tc, parse_with_port, 0, ARRAY_LEN(port_rows));
	  tcase_add_loop_test(tc, classify, 0, ARRAY_LEN(class_rows));
	  tcase_add_loop_test(tc, prefixes, 0, ARRAY_LEN(prefix_rows)); tcase_add_test(tc, same_ip);
	  tcase_add_test(tc, from_sa);)
