/* Messages between the pool's processes; here two ends in one. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../../src/exchange/links.h"
#include "base/buf.h"
#include "base/error.h"
#include "net/loop.h"
#include "unit.h"

struct side {
	struct links *links;
	unsigned messages, gone;
	struct link_message last;
	struct buf payload;
	int fds[LINK_FDS];
	unsigned nfds;
	struct link *from;
	uint64_t sum;
};

static struct net_loop *loop;
static unsigned wanted; /* messages that end the loop */
static struct side a, b;
static struct net_timer limit;

static void check_end(void)
{
	if (a.messages + b.messages + a.gone + b.gone >= wanted)
		net_loop_stop(loop);
}

static void on_message(void *arg, struct link *l, const struct link_message *m, struct view payload,
                       int fds[LINK_FDS], unsigned nfds)
{
	struct side *s = arg;

	s->messages++;
	s->sum += m->id;
	s->last = *m;
	s->from = l;
	buf_reset(&s->payload);
	buf_addv(&s->payload, payload);
	s->nfds = nfds;
	for (unsigned i = 0; i < nfds; i++) {
		s->fds[i] = fds[i];
		fds[i] = -1;
	}
	check_end();
}

static void on_gone(void *arg, struct link *l)
{
	struct side *s = arg;

	s->gone++;
	check_end();
}

static const struct link_handlers handlers = {on_message, on_gone};

static void too_long(struct net_timer *t)
{
	ck_abort_msg("nothing came");
}

static struct board *setup(void)
{
	struct board *board = board_new();

	loop = net_loop_new(1);
	a = b = (struct side){0};
	buf_init(&a.payload, 8 << 20);
	buf_init(&b.payload, 8 << 20);
	a.links = links_new(loop, board, &handlers, &a);
	b.links = links_new(loop, board, &handlers, &b);
	ck_assert(a.links && b.links);
	net_timer_init(&limit, loop, too_long);
	return board;
}

static void wait_for(unsigned events)
{
	wanted = a.messages + b.messages + a.gone + b.gone + events;
	net_timer_set(&limit, 20000);
	net_loop_run(loop);
	net_timer_stop(&limit);
}

static void teardown(struct board *board)
{
	wanted = UINT32_MAX;
	links_free(a.links);
	links_free(b.links);
	buf_fini(&a.payload);
	buf_fini(&b.payload);
	net_loop_free(loop);
	ck_assert_uint_eq(board_flights(board), 0);
	board_free(board);
}

START_TEST(to_and_fro)
{
	struct board *board = setup();
	struct link *l = links_to(a.links, links_me(b.links));
	struct link_message m = {.type = 3, .value = 4, .id = 5};
	int fd = memfd_create("test", MFD_CLOEXEC), got;
	char text[6] = "";
	struct link *from;

	ck_assert_ptr_nonnull(l);
	ck_assert_ptr_eq(links_to(a.links, links_me(b.links)), l);
	ck_assert_int_eq(write(fd, "shared", 6), 6);
	ck_assert_int_eq(link_send(l, &m, V("hello"), &fd, 1), 0);
	wait_for(1);
	ck_assert_uint_eq(b.last.type, 3);
	ck_assert_uint_eq(b.last.value, 4);
	ck_assert_uint_eq(b.last.id, 5);
	ck_view_eq(buf_view(&b.payload), "hello");
	ck_assert_uint_eq(b.nfds, 1);
	got = b.fds[0];
	ck_assert_int_eq(pread(got, text, 6, 0), 6);
	ck_assert_int_eq(memcmp(text, "shared", 6), 0);
	close(got);
	close(fd);

	*link_user(b.from) = &m;
	from = b.from;
	ck_assert_int_eq(link_send(b.from, &m, V(""), NULL, 0), 0);
	wait_for(1);
	ck_assert_uint_eq(a.messages, 1);
	ck_assert_ptr_eq(*link_user(from), &m);
	teardown(board);
	ck_assert_uint_eq(a.gone, 1);
	ck_assert_uint_eq(b.gone, 1);
}
END_TEST

static const size_t sizes[] = {0, 1, 32767, 32768, 32769, 700000, 4u << 20};

START_TEST(payloads)
{
	struct board *board = setup();
	struct link *l = links_to(a.links, links_me(b.links));
	struct link_message m = {.id = 1};
	size_t n = sizes[_i];
	char *bytes = malloc(n + 1);

	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	ck_assert_int_eq(link_send(l, &m, view_make(bytes, n), NULL, 0), 0);
	wait_for(1);
	ck_assert_uint_eq(b.payload.len, n);
	ck_assert_int_eq(memcmp(b.payload.data ? b.payload.data : "", bytes, n), 0);
	free(bytes);
	teardown(board);
}
END_TEST

/* More than the socket takes waits, in order, and has an end. */
START_TEST(many)
{
	struct board *board = setup();
	struct link *l = links_to(a.links, links_me(b.links));
	char bytes[1000] = "";
	struct link_message m = {0};
	uint64_t sum = 0;
	unsigned n;

	for (n = 0; n < 4000; n++) {
		m.id = n;
		sum += n;
		ck_assert_int_eq(link_send(l, &m, view_make(bytes, sizeof(bytes)), NULL, 0), 0);
	}
	wait_for(4000);
	ck_assert_uint_eq(b.sum, sum);
	ck_assert_uint_eq(b.last.id, 3999);

	for (n = 0; n < 20000 && link_send(l, &m, view_make(bytes, sizeof(bytes)), NULL, 0) == 0; n++)
		;
	ck_assert_uint_lt(n, 20000);
	ck_assert_uint_eq(a.gone, 0);
	b.gone = 0;
	while (!a.gone)
		wait_for(1);
	ck_assert_int_eq(link_send(links_to(a.links, links_me(b.links)), &m, V("again"), NULL, 0), 0);
	while (b.payload.len != 5)
		wait_for(1);
	teardown(board);
}
END_TEST

START_TEST(too_large)
{
	struct board *board = setup();
	struct link *l = links_to(a.links, links_me(b.links));
	size_t n = (4u << 20) + 1;
	char *bytes = calloc(1, n);

	ck_assert_int_eq(link_send(l, &(struct link_message){0}, view_make(bytes, n), NULL, 0),
	                 LARDER_ELIMIT);
	ck_assert_int_eq(link_send(l, &(struct link_message){0}, V(""), NULL, 0), LARDER_ECLOSED);
	wait_for(1);
	ck_assert_uint_eq(a.gone, 1);
	free(bytes);
	teardown(board);
}
END_TEST

START_TEST(gone_member)
{
	struct board *board = setup();
	struct board_member m = links_me(b.links);
	struct link *l = links_to(a.links, m);

	ck_assert_int_eq(link_send(l, &(struct link_message){0}, V(""), NULL, 0), 0);
	wait_for(1);
	wanted = UINT32_MAX;
	links_free(b.links);
	b.links = NULL;
	wait_for(1);
	ck_assert_uint_eq(a.gone, 1);
	ck_assert_ptr_null(links_to(a.links, m));
	ck_assert(!board_alive(board, m));
	teardown(board);
}
END_TEST

/* Nonsense on the socket costs that link alone. */
START_TEST(nonsense)
{
	struct board *board = setup();
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char name[BOARD_NAME_MAX];
	socklen_t len;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	board_name(board, links_me(b.links), name);
	memcpy(sa.sun_path + 1, name, strlen(name));
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, len), 0);
	ck_assert_int_eq(send(fd, "nonsense", 8, 0), 8);
	wait_for(1);
	ck_assert_uint_eq(b.gone, 1);
	ck_assert_uint_eq(b.messages, 0);
	close(fd);
	ck_assert_int_eq(link_send(links_to(a.links, links_me(b.links)), &(struct link_message){.id = 9},
	                           V(""), NULL, 0), 0);
	wait_for(1);
	ck_assert_uint_eq(b.last.id, 9);
	teardown(board);
}
END_TEST

static struct rlimit all;

static void give_back(struct net_timer *t)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
}

/* Who can't be accepted for want of descriptors is accepted once there are some; until then the loop rests. */
START_TEST(no_descriptors)
{
	struct board *board = setup();
	struct link *l = links_to(a.links, links_me(b.links));
	struct rlimit none;
	struct net_timer later;
	int next = dup(0);
	clock_t begun = clock();

	ck_assert_ptr_nonnull(l);
	ck_assert_int_eq(link_send(l, &(struct link_message){.id = 9}, V(""), NULL, 0), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	none = all;
	none.rlim_cur = (rlim_t)next;
	close(next);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	net_timer_init(&later, loop, give_back);
	net_timer_set(&later, 700);
	wait_for(1);
	ck_assert_uint_eq(b.last.id, 9);
	ck_assert_int_lt(clock() - begun, CLOCKS_PER_SEC / 2);
	teardown(board);
}
END_TEST

UNIT_MAIN("exchange/links", tcase_add_test(tc, to_and_fro);
          tcase_add_loop_test(tc, payloads, 0, (int)(sizeof(sizes) / sizeof(sizes[0])));
          tcase_add_test(tc, many); tcase_add_test(tc, too_large); tcase_add_test(tc, gone_member);
          tcase_add_test(tc, nonsense); tcase_add_test(tc, no_descriptors);)
