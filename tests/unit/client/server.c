#include "server.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/check.h"

struct client_options options;
struct client_stats stats;
uint64_t connections_max;
int peer_rcvbuf;

static struct net_loop *loop;
static struct client *client;
static struct exchange_env *env;
static struct exchange_listener listener;
static struct net_wake *stop_wake, *drain_wake;
static pthread_t thread;
static int listen_fd;
static struct addr address;
static bool drained;

void options_default(void)
{
	options = (struct client_options){
	        .request_line_max = 1024,
	        .request_head_max = 16384,
	        .request_fields_max = 32,
	        .head_timeout = 20000,
	        .idle_timeout = 20000,
	        .body_timeout = 20000,
	        .send_timeout = 20000,
	        .rate_window = 60000,
	        .notsent_lowat = 131072,
	};
	connections_max = 1000;
	peer_rcvbuf = 0;
	__atomic_store_n(&drained, false, __ATOMIC_RELEASE);
}

static void on_stop(void *arg)
{
	net_loop_stop(loop);
}

static void on_drained(void *arg)
{
	__atomic_store_n(&drained, true, __ATOMIC_RELEASE);
}

static void on_drain(void *arg)
{
	client_drain(client, on_drained, NULL);
}

static void *serve(void *arg)
{
	net_loop_run(loop);
	return NULL;
}

void server_start(void)
{
	stats = (struct client_stats){0};
	loop = net_loop_new(1);
	ck_assert_ptr_nonnull(loop);
	env = fake_env(loop);
	client = client_new(loop, &options, connections_max, &stats, env);
	ck_assert_ptr_nonnull(client);
	ck_assert_int_eq(addr_parse_ip(V("127.0.0.1"), 0, &address), 0);
	listen_fd = net_listen(&address, 128, false);
	ck_assert_int_ge(listen_fd, 0);
	ck_assert_int_eq(getsockname(listen_fd, &address.sa, &address.len), 0);
	listener.name = V("reverse=test");
	ck_assert_int_eq(client_accept(client, listen_fd, &listener), 0);
	stop_wake = net_wake_new(loop, on_stop, NULL);
	drain_wake = net_wake_new(loop, on_drain, NULL);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

void server_stop(void)
{
	struct fake_counts c;

	net_wake_send(stop_wake);
	pthread_join(thread, NULL);
	client_free(client);
	fake_env_free(env);
	net_wake_free(stop_wake);
	net_wake_free(drain_wake);
	close(listen_fd);
	net_loop_free(loop);
	fake_counts(&c);
	ck_assert_uint_eq(c.begun, c.ended + c.tunnels);
	ck_assert_uint_eq(stats.connections, 0);
	ck_assert_uint_eq(stats.idle, 0);
}

void server_drain(void)
{
	net_wake_send(drain_wake);
}

void server_drained(void)
{
	/* The loop may end by itself once nothing is left to wait for. */
	wait_for(__atomic_load_n(&drained, __ATOMIC_ACQUIRE));
}

int peer_socket(void)
{
	struct timeval limit = {.tv_sec = 20};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (peer_rcvbuf)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &peer_rcvbuf, sizeof(peer_rcvbuf));
	return fd;
}

void peer_join(int fd)
{
	ck_assert_int_eq(connect(fd, &address.sa, address.len), 0);
}

int peer_connect(void)
{
	int fd = peer_socket();

	peer_join(fd);
	return fd;
}

void peer_send(int fd, struct view data)
{
	while (data.len) {
		ssize_t n = send(fd, data.ptr, data.len, MSG_NOSIGNAL);

		ck_assert_msg(n > 0, "cannot send: %s", strerror(errno));
		data = view_from(data, (size_t)n);
	}
}

void peer_read_all(int fd, struct buf *out, bool *reset)
{
	char block[65536];
	ssize_t n;

	while ((n = recv(fd, block, sizeof(block), 0)) > 0)
		ck_assert_int_eq(buf_add(out, block, (size_t)n), 0);
	ck_assert_msg(n == 0 || errno == ECONNRESET, "the answer does not end: %s",
	              strerror(errno));
	if (reset)
		*reset = n < 0;
	else
		ck_assert_msg(n == 0, "the connection was reset");
}

void peer_read(int fd, size_t n, struct buf *out)
{
	size_t before = out->len;

	ck_assert_int_eq(buf_reserve(out, n), 0);
	while (out->len - before < n) {
		ssize_t got = recv(fd, out->data + out->len, n - (out->len - before), 0);

		ck_assert_msg(got > 0, "cannot read: %s", got ? strerror(errno) : "closed");
		out->len += (size_t)got;
	}
}

void peer_read_until(int fd, const char *text, struct buf *out)
{
	while (!view_ends(buf_view(out), view_of(text)))
		peer_read(fd, 1, out);
}

void ask(const char *request, struct buf *out)
{
	int fd = peer_connect();

	buf_init(out, 256UL * 1024 * 1024);
	peer_send(fd, view_of(request));
	shutdown(fd, SHUT_WR);
	peer_read_all(fd, out, NULL);
	close(fd);
}
