#include "script.h"

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 20000

static bool ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, PATIENCE_MS) == 1;
}

static const char *do_accept(struct script *s, int *fd)
{
	if (!ready(s->listener, POLLIN))
		return "nobody connected";
	*fd = accept(s->listener, NULL, NULL);
	if (*fd < 0 || s->nconns == SCRIPT_CONNS)
		return "accept failed";
	s->conns[s->nconns++] = *fd;
	return NULL;
}

/* Reads until `n` bytes (0: an empty line) have come. */
static const char *do_read(struct script *s, int fd, uint64_t n)
{
	size_t start = s->got.len;

	for (;;) {
		char byte[4096];
		size_t have = s->got.len - start, want = n ? n - have : 1;
		ssize_t r;

		if (n ? have == n
		      : have >= 4 && memcmp(s->got.data + s->got.len - 4, "\r\n\r\n", 4) == 0)
			return NULL;
		if (!ready(fd, POLLIN))
			return "nothing came";
		r = recv(fd, byte, want < sizeof(byte) ? want : sizeof(byte), 0);
		if (r <= 0)
			return "the peer closed";
		if (buf_add(&s->got, byte, (size_t)r))
			return "too much came";
	}
}

static const char *do_send(int fd, const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n;

		if (!ready(fd, POLLOUT))
			return "the peer does not read";
		n = send(fd, text + at, len - at, MSG_NOSIGNAL);
		if (n < 0)
			return "sending failed";
		at += (size_t)n;
	}
	return NULL;
}

static const char *do_fill(int fd, uint64_t n)
{
	char block[4096];

	memset(block, 'x', sizeof(block));
	while (n) {
		size_t part = n < sizeof(block) ? n : sizeof(block);
		const char *fault = do_send(fd, block, part);

		if (fault)
			return fault;
		n -= part;
	}
	return NULL;
}

static const char *do_finished(struct script *s, int fd)
{
	char block[4096];
	ssize_t n;

	do {
		if (!ready(fd, POLLIN))
			return "the peer did not close";
		n = recv(fd, block, sizeof(block), 0);
		if (n > 0 && buf_add(&s->got, block, (size_t)n))
			return "too much came";
	} while (n > 0);
	return NULL;
}

static const char *do_close(struct script *s, int fd, bool reset)
{
	struct linger linger = {.l_onoff = 1};

	if (reset)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	for (unsigned i = 0; i < s->nconns; i++) {
		if (s->conns[i] == fd)
			s->conns[i] = -1;
	}
	close(fd);
	return NULL;
}

static const char *signal_event(int fd)
{
	return eventfd_write(fd, 1) ? "event failed" : NULL;
}

static const char *await_event(int fd)
{
	eventfd_t value;

	if (!ready(fd, POLLIN))
		return "the test did not go on";
	return eventfd_read(fd, &value) ? "event failed" : NULL;
}

static const char *play(struct script *s, const struct step *step, int *fd)
{
	switch (step->op) {
	case ACCEPT:
		return do_accept(s, fd);
	case USE:
		*fd = s->conns[step->n];
		return NULL;
	case HEAD:
		return do_read(s, *fd, 0);
	case READ:
		return do_read(s, *fd, step->n);
	case SEND:
		return do_send(*fd, step->text, step->n ? step->n : strlen(step->text));
	case FILL:
		return do_fill(*fd, step->n);
	case RESET:
	case CLOSE:
		return do_close(s, *fd, step->op == RESET);
	case FINISHED:
		return do_finished(s, *fd);
	case TELL:
		return signal_event(s->tell);
	case AWAIT:
		return await_event(s->go);
	}
	return "unknown step";
}

static void *act(void *arg)
{
	struct script *s = arg;
	int fd = -1;

	for (s->at = 0; s->steps[s->at].op; s->at++) {
		s->fault = play(s, &s->steps[s->at], &fd);
		if (s->fault)
			break;
	}
	for (unsigned i = 0; i < s->nconns; i++) {
		if (s->conns[i] >= 0)
			close(s->conns[i]);
	}
	close(s->listener);
	return NULL;
}

void script_start(struct script *s, const struct step *steps)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);

	memset(s, 0, sizeof(*s));
	s->steps = steps;
	buf_init(&s->got, 64UL << 20);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(s->listener, (struct sockaddr *)&in, sizeof(in)), 0);
	ck_assert_int_eq(listen(s->listener, 64), 0);
	ck_assert_int_eq(getsockname(s->listener, (struct sockaddr *)&in, &len), 0);
	s->port = ntohs(in.sin_port);
	s->tell = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	s->go = eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC);
	ck_assert_int_eq(pthread_create(&s->thread, NULL, act, s), 0);
}

void script_wait(struct script *s)
{
	const char *fault = await_event(s->tell);

	ck_assert_msg(!fault, "the origin did not get to its TELL");
}

void script_go(struct script *s)
{
	ck_assert_ptr_null(signal_event(s->go));
}

void script_end(struct script *s)
{
	pthread_join(s->thread, NULL);
	close(s->tell);
	close(s->go);
	ck_assert_msg(!s->fault, "origin, step %u: %s; received \"%.*s\"", s->at, s->fault,
	              (int)s->got.len, s->got.data ? s->got.data : "");
	buf_fini(&s->got);
}

void script_got(struct script *s, const char *text)
{
	struct buf b;
	const char *at = strstr(text, "%PORT%");

	buf_init(&b, 1 << 20);
	while (at) {
		buf_add(&b, text, (size_t)(at - text));
		buf_addu(&b, s->port);
		text = at + sizeof("%PORT%") - 1;
		at = strstr(text, "%PORT%");
	}
	buf_addv(&b, view_of(text));
	ck_assert_msg(view_eq(buf_view(&b), buf_view(&s->got)),
	              "received \"%.*s\", expected \"%.*s\"", (int)s->got.len, s->got.data,
	              (int)b.len, b.data);
	buf_fini(&b);
}
