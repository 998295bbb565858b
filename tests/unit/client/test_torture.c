/* Every allocation of a session can fail: requests are lost then, nothing else. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_realloc(void *old, size_t size);

/* Allocations until the one that fails; 0: none does. */
static int fails_in;

static bool fails_now(void)
{
	int left = __atomic_load_n(&fails_in, __ATOMIC_RELAXED);

	return left > 0 && __atomic_sub_fetch(&fails_in, 1, __ATOMIC_RELAXED) == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails_now() ? NULL : __real_realloc(old, size);
}

static const char *const requests[] = {
        "GET /hit/1000000 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /flow/1000000 HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /known/1000000 HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /early/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\nx\r\n0\r\nA: b\r\n\r\nGET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
        "nonsense\r\n\r\n",
        NULL, /* a head larger than the first buffer */
};

static void fill_large(struct buf *b)
{
	buf_printf(b, "GET /hit/1 HTTP/1.1\r\nHost: h\r\nA: ");
	for (int i = 0; i < 12000; i++)
		buf_addc(b, 'a');
	buf_printf(b, "\r\n\r\n");
}

/* One request with the n-th allocation failing; true when it did. */
static bool once(const char *request, int n)
{
	int fd = peer_connect();
	struct buf large, got;
	bool reset, failed;

	buf_init(&large, 65536);
	buf_init(&got, 8UL * 1024 * 1024);
	if (!request)
		fill_large(&large);
	/* The peer's own buffers are here before. */
	ck_assert_int_eq(buf_reserve(&got, 4UL * 1024 * 1024), 0);
	__atomic_store_n(&fails_in, n, __ATOMIC_RELAXED);
	if (request)
		send(fd, request, strlen(request), MSG_NOSIGNAL);
	else
		send(fd, large.data, large.len, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	peer_read_all(fd, &got, &reset);
	failed = __atomic_exchange_n(&fails_in, 0, __ATOMIC_RELAXED) == 0;
	close(fd);
	buf_fini(&large);
	buf_fini(&got);
	return failed;
}

START_TEST(allocations_may_fail)
{
	struct buf got;
	int n = 1;

	options.connections_per_client = 100;
	server_start();
	/* The timers' heap, which has to be there, is made by the first connection. */
	ask("GET /hit/1 HTTP/1.1\r\nHost: h\r\n\r\n", &got);
	buf_fini(&got);
	while (n < 40 && once(requests[_i], n))
		n++;
	ck_assert_int_gt(n, 1);
	/* And it still serves. */
	ask("GET /hit/3 HTTP/1.1\r\nHost: h\r\n\r\n", &got);
	ck_assert(view_ends(buf_view(&got), V("\r\n\r\nabc")));
	buf_fini(&got);
	server_stop();
}
END_TEST

UNIT_MAIN("client/torture", tcase_add_checked_fixture(tc, options_default, NULL);
          tcase_add_loop_test(tc, allocations_may_fail, 0, ARRAY_LEN(requests));)
