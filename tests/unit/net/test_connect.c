#include "unit.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "net/stream.h"

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);
int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static int lookups, lookups_now, lookups_most;
static bool silent; /* nobody answers for "slow…" */

/* "both.test" has the two loopback addresses, version 6 first; nobody is asked for it. */
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list)
{
	int err;

	pthread_mutex_lock(&lock);
	lookups++;
	if (++lookups_now > lookups_most)
		lookups_most = lookups_now;
	pthread_cond_broadcast(&change);
	while (silent && strncmp(node, "slow", 4) == 0)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
	if (strncmp(node, "slow", 4) == 0) {
		err = EAI_AGAIN;
	} else if (strcmp(node, "both.test") == 0) {
		err = __real_getaddrinfo("::1", service, hints, list);
		if (!err)
			err = __real_getaddrinfo("127.0.0.1", service, hints, &(*list)->ai_next);
	} else {
		err = __real_getaddrinfo(node, service, hints, list);
	}
	pthread_mutex_lock(&lock);
	lookups_now--;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
	return err;
}

static struct net_loop *loop;
static struct net_connect_result result;
static int results, refusals;
static unsigned refuse; /* bits of enum addr_class; all of them: ~0U */

static void setup(void)
{
	loop = net_loop_new(4);
	results = refusals = lookups = lookups_most = 0;
	refuse = 0;
}

static void teardown(void)
{
	net_loop_free(loop);
}

static int allow(void *arg, const struct addr *a)
{
	ck_assert_ptr_eq(arg, &results);
	if (refuse == ~0U || (refuse == AF_INET && a->sa.sa_family == AF_INET) ||
	    (refuse == AF_INET6 && a->sa.sa_family == AF_INET6)) {
		refusals++;
		return LARDER_EREFUSED;
	}
	return 0;
}

static void done(void *arg, const struct net_connect_result *r)
{
	ck_assert_ptr_eq(arg, &results);
	result = *r;
	results++;
}

static uint16_t listener(const char *ip, uint16_t port, int *fd)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	struct addr a;

	ck_assert_int_eq(addr_parse_ip(view_of(ip), port, &a), 0);
	*fd = net_listen(&a, 128, false);
	if (*fd < 0)
		return 0;
	ck_assert_int_eq(getsockname(*fd, (struct sockaddr *)&ss, &len), 0);
	ck_assert(addr_from_sa((struct sockaddr *)&ss, len, &a));
	return addr_port(&a);
}

static int try(const char *host, uint16_t port, uint64_t timeout_ms)
{
	struct net_connect *c;

	results = 0;
	c = net_connect_new(loop, view_of(host), port, timeout_ms, allow, done, &results);
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(results, 0);
	net_loop_run(loop);
	ck_assert_int_eq(results, 1);
	if (result.err)
		ck_assert_int_eq(result.fd, -1);
	else
		close(result.fd);
	return result.err;
}

START_TEST(names_and_addresses_connect)
{
	int fd;
	uint16_t port = listener("127.0.0.1", 0, &fd);

	ck_assert_int_eq(try("127.0.0.1", port, 20000), 0);
	ck_assert_uint_eq(addr_port(&result.addr), port);
	ck_assert_uint_eq(addr_classify(&result.addr), ADDR_LOOPBACK);
	/* ::1 comes first and fails: the next address is tried at once (RFC 8305 §5). */
	ck_assert_int_eq(try("both.test", port, 20000), 0);
	ck_assert_int_eq(result.addr.sa.sa_family, AF_INET);
	ck_assert_int_eq(lookups, 1);
	/* RFC 6761 §6.3: no resolver is asked for it. */
	ck_assert_int_eq(try("localhost", port, 20000), 0);
	ck_assert_int_eq(lookups, 1);
	close(fd);
}
END_TEST

START_TEST(addresses_of_version_6_connect)
{
	int fd;
	uint16_t port = listener("::1", 0, &fd);

	if (fd < 0)
		return; /* no IPv6 here */
	ck_assert_int_eq(try("[::1]", port, 20000), 0);
	ck_assert_int_eq(result.addr.sa.sa_family, AF_INET6);
	ck_assert_int_eq(try("::1", port, 20000), 0);
	close(fd);
}
END_TEST

START_TEST(closed_ports_refuse)
{
	int fd;
	uint16_t port = listener("127.0.0.1", 0, &fd);

	close(fd);
	ck_assert_int_eq(try("127.0.0.1", port, 20000), LARDER_ECONNECT);
	ck_assert_int_eq(try("localhost", port, 20000), LARDER_ECONNECT);
}
END_TEST

START_TEST(addresses_are_judged_before_they_are_tried)
{
	int fd, from;
	uint16_t port = listener("127.0.0.1", 0, &fd);
	struct addr peer;

	refuse = ~0U;
	ck_assert_int_eq(try("127.0.0.1", port, 20000), LARDER_EREFUSED);
	ck_assert_int_eq(refusals, 1);
	ck_assert_int_eq(try("localhost", port, 20000), LARDER_EREFUSED);
	from = net_accept(fd, &peer);
	ck_assert_int_eq(from, LARDER_EAGAIN);
	refuse = AF_INET6;
	ck_assert_int_eq(try("both.test", port, 20000), 0);
	close(fd);
}
END_TEST

START_TEST(names_that_do_not_resolve)
{
	char longest[300];

	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_int_eq(try(longest, 80, 20000), LARDER_ERESOLVE);
	/* A label of 64 octets is no name (RFC 1035 §2.3.4): refused without asking anybody. */
	longest[64] = '\0';
	ck_assert_int_eq(try(longest, 80, 20000), LARDER_ERESOLVE);
}
END_TEST

START_TEST(a_silent_peer_times_out)
{
	int fd, more[8];
	struct addr a;
	uint16_t port;
	uint64_t began;

	/* A backlog that is full drops further SYNs. */
	ck_assert_int_eq(addr_parse_ip(V("127.0.0.1"), 0, &a), 0);
	fd = net_listen(&a, 0, false);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(getsockname(fd, &a.sa, &a.len), 0);
	port = addr_port(&a);
	for (int i = 0; i < 8; i++) {
		more[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (connect(more[i], &a.sa, a.len))
			ck_assert_int_eq(errno, EINPROGRESS);
	}
	began = clock_mono_ms();
	ck_assert_int_eq(try("127.0.0.1", port, 60), LARDER_ETIMEOUT);
	ck_assert_uint_ge(clock_mono_ms() - began, 55);
	for (int i = 0; i < 8; i++)
		close(more[i]);
	close(fd);
}
END_TEST

/* RFC 8305 §5: the next address begins after a while, though the first has not failed. */
START_TEST(a_silent_address_does_not_hold_up_the_next)
{
	int four, six, more[8];
	uint16_t port = listener("127.0.0.1", 0, &four);
	uint64_t began;
	struct addr a;

	ck_assert_int_eq(addr_parse_ip(V("::1"), port, &a), 0);
	six = net_listen(&a, 0, false);
	for (int i = 0; i < 8; i++) {
		more[i] = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (six >= 0 && connect(more[i], &a.sa, a.len))
			ck_assert_int_eq(errno, EINPROGRESS);
	}
	began = clock_mono_ms();
	ck_assert_int_eq(try("both.test", port, 20000), 0);
	ck_assert_int_eq(result.addr.sa.sa_family, AF_INET);
	if (six >= 0)
		ck_assert_uint_ge(clock_mono_ms() - began, 245);
	for (int i = 0; i < 8; i++)
		close(more[i]);
	if (six >= 0)
		close(six);
	close(four);
}
END_TEST

START_TEST(cancelled_connects_stay_silent)
{
	struct net_connect *c[40];
	int fd;
	uint16_t port = listener("127.0.0.1", 0, &fd);

	for (int i = 0; i < 40; i++) {
		c[i] = net_connect_new(loop, i % 2 ? V("localhost") : V("127.0.0.1"), port, 20000,
		                       allow, done, &results);
		ck_assert_ptr_nonnull(c[i]);
	}
	for (int i = 0; i < 40; i++)
		net_connect_cancel(c[i]);
	net_connect_cancel(NULL);
	net_loop_run(loop);
	ck_assert_int_eq(results, 0);
	close(fd);
}
END_TEST

static void close_it(void *arg, const struct net_connect_result *r)
{
	ck_assert_int_eq(r->err, 0);
	close(r->fd);
	++*(int *)arg;
}

/* One lookup serves all that ask for its name meanwhile. */
START_TEST(one_name_needs_one_thread)
{
	int fd, connected = 0;
	uint16_t port = listener("127.0.0.1", 0, &fd);

	for (int i = 0; i < 40; i++)
		ck_assert_ptr_nonnull(net_connect_new(loop, V("both.test"), port, 20000, NULL,
		                                      close_it, &connected));
	net_loop_run(loop);
	ck_assert_int_eq(connected, 40);
	ck_assert_int_ge(lookups, 1);
	ck_assert_int_eq(lookups_most, 1);
	close(fd);
}
END_TEST

/* ---- Names whose servers are silent ---- */

static void set_silent(bool yes)
{
	pthread_mutex_lock(&lock);
	silent = yes;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
}

static void await_lookups(int n)
{
	pthread_mutex_lock(&lock);
	while (lookups_now != n)
		pthread_cond_wait(&change, &lock);
	pthread_mutex_unlock(&lock);
}

static void on_resolved(void *arg, int err, const struct addr *addrs, unsigned naddrs)
{
	ck_assert_int_eq(err, 0);
	ck_assert_uint_eq(naddrs, 2);
	ck_assert_int_eq(addrs[0].sa.sa_family, AF_INET6);
	ck_assert_int_eq(addrs[1].sa.sa_family, AF_INET);
	++*(int *)arg;
}

static void on_failed(void *arg, int err, const struct addr *addrs, unsigned naddrs)
{
	ck_assert_int_eq(err, LARDER_ERESOLVE);
	ck_assert_uint_eq(naddrs, 0);
	++*(int *)arg;
}

/* However many are asked for and given up: 32 threads, and the others have their turn afterwards. */
START_TEST(silent_names_are_bounded)
{
	struct net_resolve *r[40];
	int resolved = 0, failed = 0;
	char host[32];

	set_silent(true);
	for (int i = 0; i < 40; i++) {
		snprintf(host, sizeof(host), "slow%d.test", i);
		r[i] = net_resolve_new(loop, view_of(host), i ? on_resolved : on_failed,
		                       i ? &resolved : &failed);
		ck_assert_ptr_nonnull(r[i]);
	}
	await_lookups(32);
	for (int i = 1; i < 40; i++)
		net_resolve_cancel(r[i]);
	net_resolve_cancel(NULL);
	ck_assert_ptr_nonnull(net_resolve_new(loop, V("both.test"), on_resolved, &resolved));
	set_silent(false);
	net_loop_run(loop);
	ck_assert_int_eq(resolved, 1);
	ck_assert_int_eq(failed, 1);
	ck_assert_int_eq(lookups, 33); /* those that still waited were not even begun */
	ck_assert_int_eq(lookups_most, 32);
}
END_TEST

/* A silent name takes one thread, however many ask for it; the others are served, and so is who still
 * wants to know in the end. */
START_TEST(silent_name_leaves_threads_to_others)
{
	struct net_resolve *r[40];
	int resolved = 0, failed = 0;

	set_silent(true);
	ck_assert_ptr_nonnull(net_resolve_new(loop, V("slow.test"), on_failed, &failed));
	await_lookups(1);
	for (int i = 0; i < 40; i++)
		r[i] = net_resolve_new(loop, V("slow.test"), on_failed, &failed);
	ck_assert_ptr_nonnull(net_resolve_new(loop, V("slow2.test"), on_failed, &failed));
	await_lookups(2);
	for (int i = 1; i < 40; i++)
		net_resolve_cancel(r[i]);
	ck_assert_ptr_nonnull(net_resolve_new(loop, V("both.test"), on_resolved, &resolved));
	set_silent(false);
	net_loop_run(loop);
	ck_assert_int_eq(resolved, 1);
	ck_assert_int_eq(failed, 3);
	ck_assert_int_eq(lookups, 3);
}
END_TEST

/* The loop ends without waiting for them, and with some that wait for what others find. */
START_TEST(silent_names_hold_nobody_up)
{
	struct net_loop *l = net_loop_new(1);
	char host[32];

	set_silent(true);
	for (int i = 0; i < 40; i++) {
		snprintf(host, sizeof(host), "slow%d.test", i % 20);
		net_resolve_cancel(net_resolve_new(l, view_of(host), on_resolved, NULL));
	}
	net_loop_run(l);
	ck_assert_ptr_nonnull(net_resolve_new(l, V("slow0.test"), on_resolved, NULL));
	net_loop_free(l);
	set_silent(false);
	await_lookups(0);
}
END_TEST

START_TEST(names_too_long_are_none)
{
	char host[400];
	int failed = 0;

	memset(host, 'a', sizeof(host));
	ck_assert_ptr_nonnull(net_resolve_new(loop, view_make(host, sizeof(host)), on_failed, &failed));
	ck_assert_int_eq(failed, 0);
	net_loop_run(loop);
	ck_assert_int_eq(failed, 1);
	ck_assert_int_eq(lookups, 0);
}
END_TEST

UNIT_MAIN("net/connect", tcase_add_checked_fixture(tc, setup, teardown);
          tcase_add_test(tc, names_and_addresses_connect);
          tcase_add_test(tc, addresses_of_version_6_connect);
          tcase_add_test(tc, closed_ports_refuse);
          tcase_add_test(tc, addresses_are_judged_before_they_are_tried);
          tcase_add_test(tc, names_that_do_not_resolve);
          tcase_add_test(tc, a_silent_peer_times_out);
          tcase_add_test(tc, a_silent_address_does_not_hold_up_the_next);
          tcase_add_test(tc, cancelled_connects_stay_silent);
          tcase_add_test(tc, one_name_needs_one_thread);
          tcase_add_test(tc, silent_names_are_bounded);
          tcase_add_test(tc, silent_name_leaves_threads_to_others);
          tcase_add_test(tc, silent_names_hold_nobody_up);
          tcase_add_test(tc, names_too_long_are_none);)
