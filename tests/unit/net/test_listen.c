#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/stream.h"

static uint16_t port_of(int fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert(addr_from_sa((struct sockaddr *)&ss, len, &a));
	return addr_port(&a);
}

static int listen_text(const char *text, struct addr *a)
{
	int fd;

	ck_assert_int_eq(addr_parse(view_of(text), a), 0);
	fd = net_listen(a, 16, false);
	if (fd >= 0)
		addr_set_port(a, port_of(fd));
	return fd;
}

static int dial(const struct addr *a)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &a->sa, a->len), 0);
	return fd;
}

START_TEST(an_address_has_one_owner)
{
	struct addr a;
	int fd = listen_text("127.0.0.1:0", &a), more;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(net_listen(&a, 16, false), LARDER_EBUSY);
	more = net_listen(&a, 16, true);
	ck_assert_int_ge(more, 0);
	close(fd);
	close(more);
	fd = net_listen(&a, 16, false);
	ck_assert_int_ge(fd, 0);
	close(fd);
}
END_TEST

START_TEST(all_addresses_take_both_families)
{
	struct addr all, four;
	int fd = listen_text(":0", &all), to, from;
	struct addr peer;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(addr_parse_ip(V("127.0.0.1"), addr_port(&all), &four), 0);
	ck_assert_int_eq(net_listen(&four, 16, false), LARDER_EBUSY);
	to = dial(&four);
	from = net_accept(fd, &peer);
	ck_assert_int_ge(from, 0);
	ck_assert(addr_same_ip(&peer, &four));
	close(to);
	close(from);
	close(fd);
}
END_TEST

START_TEST(accepted_sockets_are_ready_for_use)
{
	struct addr a, peer;
	int fd = listen_text("127.0.0.1:0", &a), to, from, on = 0;
	socklen_t len = sizeof(on);

	net_listen_tune(fd, 123456, 0);
	ck_assert_int_eq(net_accept(fd, &peer), LARDER_EAGAIN);
	to = dial(&a);
	from = net_accept(fd, &peer);
	ck_assert_int_ge(from, 0);
	ck_assert_uint_eq(addr_port(&peer), port_of(to));
	ck_assert(fcntl(from, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(from, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(getsockopt(from, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	ck_assert_int_ne(on, 0);
	ck_assert_int_eq(getsockopt(from, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &on, &len), 0);
	ck_assert_int_eq(on, 123456);
	close(to);
	close(from);
	close(fd);
}
END_TEST

START_TEST(deferred_ones_come_with_their_data)
{
	struct addr a, peer;
	int fd = listen_text("127.0.0.1:0", &a), to, from;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	net_listen_tune(fd, 0, 30);
	to = dial(&a);
	ck_assert_int_eq(net_accept(fd, &peer), LARDER_EAGAIN);
	ck_assert_int_eq(send(to, "x", 1, 0), 1);
	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	from = net_accept(fd, &peer);
	ck_assert_int_ge(from, 0);
	ck_assert_int_eq(recv(from, &c, 1, 0), 1);
	close(to);
	close(from);
	close(fd);
}
END_TEST

START_TEST(without_descriptors_accept_says_so)
{
	struct addr a, peer;
	int fd = listen_text("127.0.0.1:0", &a), to = dial(&a), from;
	struct rlimit was, few;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = was;
	few.rlim_cur = (rlim_t)(to + 1);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	ck_assert_int_eq(net_accept(fd, &peer), LARDER_EFILES);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	from = net_accept(fd, &peer);
	ck_assert_int_ge(from, 0);
	close(from);
	close(to);
	close(fd);
}
END_TEST

UNIT_MAIN("net/listen", tcase_add_test(tc, an_address_has_one_owner);
          tcase_add_test(tc, all_addresses_take_both_families);
          tcase_add_test(tc, accepted_sockets_are_ready_for_use);
          tcase_add_test(tc, deferred_ones_come_with_their_data);
          tcase_add_test(tc, without_descriptors_accept_says_so);)
