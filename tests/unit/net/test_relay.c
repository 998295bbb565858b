#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/stream.h"

static struct net_loop *loop;
static struct net_relay_result result;
static int results;
static int far_a, far_b; /* the peers of the two streams */

static void setup(void)
{
	loop = net_loop_new(2);
	results = 0;
}

static void teardown(void)
{
	net_loop_free(loop);
}

static void done(void *arg, const struct net_relay_result *r)
{
	ck_assert_ptr_eq(arg, &results);
	result = *r;
	results++;
}

/* An end with functions of its own, as TLS has: a socket behind them. */
struct wrapped {
	int fd;
	bool closed;
};

static ssize_t wrapped_read(void *arg, void *dst, size_t room)
{
	ssize_t n = recv(((struct wrapped *)arg)->fd, dst, room > 1000 ? 1000 : room, MSG_DONTWAIT);

	return n < 0 ? larder_from_errno(errno) : n;
}

static ssize_t wrapped_write(void *arg, const void *src, size_t len)
{
	ssize_t n = send(((struct wrapped *)arg)->fd, src, len > 1000 ? 1000 : len,
	                 MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? larder_from_errno(errno) : n;
}

static void wrapped_shutdown(void *arg)
{
	shutdown(((struct wrapped *)arg)->fd, SHUT_WR);
}

static void wrapped_close(void *arg)
{
	struct wrapped *w = arg;

	ck_assert(!w->closed);
	w->closed = true;
	close(w->fd);
}

static const struct net_stream_ops OPS = {wrapped_read, wrapped_write, wrapped_shutdown,
                                          wrapped_close};
static struct wrapped wrap;

/* kind 0: two plain sockets, 1: b is wrapped. */
static struct net_relay *relay(int kind, struct view first, uint64_t idle_ms)
{
	int a[2], b[2];
	struct net_stream near_a, near_b;
	struct net_relay *r;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	fcntl(a[0], F_SETFL, O_NONBLOCK);
	fcntl(b[0], F_SETFL, O_NONBLOCK);
	far_a = a[1];
	far_b = b[1];
	near_a = (struct net_stream){.fd = a[0]};
	near_b = (struct net_stream){.fd = b[0]};
	if (kind) {
		wrap = (struct wrapped){.fd = b[0]};
		near_b.ops = &OPS;
		near_b.arg = &wrap;
	}
	r = net_relay_new(loop, near_a, near_b, first, idle_ms, done, &results);
	ck_assert_ptr_nonnull(r);
	return r;
}

struct peer {
	int fd;
	size_t send, got;
	unsigned char seed, want;
	bool half_close_first; /* sends all, ends its side, only then reads */
	bool intact;
};

static void send_all(struct peer *p)
{
	unsigned char block[5000];
	size_t sent = 0;

	while (sent < p->send) {
		size_t n = p->send - sent < sizeof(block) ? p->send - sent : sizeof(block);
		ssize_t w;

		for (size_t i = 0; i < n; i++)
			block[i] = (unsigned char)(p->seed + (sent + i) % 251);
		w = send(p->fd, block, n, MSG_NOSIGNAL);
		if (w <= 0)
			return;
		sent += (size_t)w;
	}
	shutdown(p->fd, SHUT_WR);
}

static void read_all(struct peer *p)
{
	unsigned char block[3000];
	ssize_t n;

	p->intact = true;
	while ((n = recv(p->fd, block, sizeof(block), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (block[i] != (unsigned char)(p->want + (p->got + (size_t)i) % 251))
				p->intact = false;
		}
		p->got += (size_t)n;
	}
	if (n < 0)
		p->intact = false;
}

static void *run_peer(void *arg)
{
	struct peer *p = arg;

	if (p->half_close_first)
		send_all(p);
	read_all(p);
	if (!p->half_close_first)
		send_all(p);
	close(p->fd);
	return NULL;
}

/* a sends and half-closes, b reads to the end and only then answers: both kinds, several sizes. */
START_TEST(both_ways_with_half_close)
{
	static const size_t sizes[] = {0, 1, 4096, 1000000, 5000000};
	size_t n = sizes[_i % 5];
	struct peer a = {.send = n, .seed = 1, .want = 9, .half_close_first = true};
	struct peer b = {.send = n / 2, .seed = 9, .want = 1};
	pthread_t ta, tb;

	relay(_i / 5, V(""), 20000);
	a.fd = far_a;
	b.fd = far_b;
	pthread_create(&ta, NULL, run_peer, &a);
	pthread_create(&tb, NULL, run_peer, &b);
	net_loop_run(loop);
	pthread_join(ta, NULL);
	pthread_join(tb, NULL);
	ck_assert_int_eq(results, 1);
	ck_assert_int_eq(result.err, 0);
	ck_assert(a.intact && b.intact);
	ck_assert_uint_eq(b.got, n);
	ck_assert_uint_eq(a.got, n / 2);
	ck_assert_uint_eq(result.a_to_b, n);
	ck_assert_uint_eq(result.b_to_a, n / 2);
	ck_assert(wrap.closed == (_i >= 5));
}
END_TEST

START_TEST(leftovers_go_first)
{
	char got[32] = "";

	relay(_i, V("first "), 20000);
	ck_assert_int_eq(write(far_a, "second", 6), 6);
	shutdown(far_a, SHUT_WR);
	shutdown(far_b, SHUT_WR);
	net_loop_run(loop);
	ck_assert_int_eq(result.err, 0);
	ck_assert_int_eq(read(far_b, got, sizeof(got) - 1), 12);
	ck_assert_str_eq(got, "first second");
	ck_assert_uint_eq(result.a_to_b, 12);
	close(far_a);
	close(far_b);
}
END_TEST

START_TEST(silence_ends_it)
{
	char byte;

	relay(_i, V(""), 40);
	net_loop_run(loop);
	ck_assert_int_eq(results, 1);
	ck_assert_int_eq(result.err, LARDER_ETIMEOUT);
	ck_assert_int_eq(read(far_a, &byte, 1), 0);
	ck_assert_int_eq(read(far_b, &byte, 1), 0);
	close(far_a);
	close(far_b);
}
END_TEST

START_TEST(a_peer_that_is_gone_ends_it)
{
	char byte;

	relay(_i, V(""), 20000);
	/* With nobody to read it, what a sends cannot be handed on. */
	close(far_b);
	ck_assert_int_eq(write(far_a, "x", 1), 1);
	net_loop_run(loop);
	ck_assert_int_eq(results, 1);
	ck_assert_int_eq(result.err, LARDER_ECLOSED);
	ck_assert_int_le(read(far_a, &byte, 1), 0);
	close(far_a);
}
END_TEST

START_TEST(abort_tells_before_it_returns)
{
	struct net_relay *r = relay(_i, V("x"), 20000);
	uint64_t ab = 1, ba = 1;

	net_relay_bytes(r, &ab, &ba);
	ck_assert_uint_eq(ab + ba, 0);
	net_relay_abort(r);
	ck_assert_int_eq(results, 1);
	ck_assert_int_eq(result.err, LARDER_ECLOSED);
	close(far_a);
	close(far_b);
}
END_TEST

static void abort_later(struct net_timer *t)
{
	net_loop_stop(t->loop);
}

/* A reader that stands still: what is held stays bounded, the writer is made to wait. */
START_TEST(memory_is_bounded)
{
	struct net_relay *r = relay(_i, V(""), 20000);
	char block[65536] = {0};
	struct net_timer stop;
	size_t sent = 0;

	fcntl(far_a, F_SETFL, O_NONBLOCK);
	net_timer_init(&stop, loop, abort_later);
	for (int i = 0; i < 40; i++) {
		ssize_t n;

		while ((n = send(far_a, block, sizeof(block), MSG_NOSIGNAL)) > 0)
			sent += (size_t)n;
		net_timer_set(&stop, 2);
		net_loop_run(loop);
	}
	ck_assert_uint_lt(sent, 2000000);
	ck_assert_int_eq(results, 0);
	net_timer_stop(&stop);
	net_relay_abort(r);
	close(far_a);
	close(far_b);
}
END_TEST

UNIT_MAIN("net/relay", tcase_add_checked_fixture(tc, setup, teardown);
          tcase_add_loop_test(tc, both_ways_with_half_close, 0, 10);
          tcase_add_loop_test(tc, leftovers_go_first, 0, 2);
          tcase_add_loop_test(tc, silence_ends_it, 0, 2);
          tcase_add_loop_test(tc, a_peer_that_is_gone_ends_it, 0, 2);
          tcase_add_loop_test(tc, abort_tells_before_it_returns, 0, 2);
          tcase_add_loop_test(tc, memory_is_bounded, 0, 2);)
