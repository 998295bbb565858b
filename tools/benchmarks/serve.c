#include <errno.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "serve.h"

enum {
	IN_MAX = 8192,
	EVENTS_MAX = 256,
};

struct conn {
	int fd;
	bool closing; /* after the answer that is being sent */
	bool writing; /* waits for EPOLLOUT */
	size_t in_len;
	uint64_t due_ms; /* of an answer that waits; 0: none does */
	TAILQ_ENTRY(conn) link;
	struct iovec iov[3];
	int first, count;
	char in[IN_MAX];
	char scratch[SERVE_HEAD_MAX];
};

static int epoll_fd;
static TAILQ_HEAD(, conn) delayed = TAILQ_HEAD_INITIALIZER(delayed);
static serve_answer_fn *answer_fn;
static volatile sig_atomic_t stopping;

const char *serve_pattern(void)
{
	static char *pattern;
	uint32_t state = 2463534242;
	if (pattern)
		return pattern;
	pattern = mmap(NULL, SERVE_SIZE_MAX, PROT_READ | PROT_WRITE,
	               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (pattern == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	for (size_t i = 0; i < SERVE_SIZE_MAX; i += sizeof state) {
		state ^= state << 13;
		state ^= state >> 17;
		state ^= state << 5;
		memcpy(pattern + i, &state, sizeof state);
	}
	return pattern;
}

const char *serve_date(void)
{
	static char text[64];
	static time_t last;
	time_t now = time(NULL);
	struct tm tm;
	if (now != last) {
		gmtime_r(&now, &tm);
		strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		last = now;
	}
	return text;
}

static void watch(struct conn *c, bool writing)
{
	struct epoll_event ev = {.events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c};
	if (c->writing == writing)
		return;
	c->writing = writing;
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void drop(struct conn *c)
{
	if (c->due_ms)
		TAILQ_REMOVE(&delayed, c, link);
	close(c->fd);
	free(c);
}

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* 1: all sent, 0: the socket is full, -1: the connection is gone. */
static int send_more(struct conn *c)
{
	while (c->first < c->count) {
		ssize_t n = writev(c->fd, c->iov + c->first, c->count - c->first);
		if (n < 0)
			return errno == EAGAIN ? 0 : -1;
		size_t left = (size_t)n;
		while (c->first < c->count && left >= c->iov[c->first].iov_len)
			left -= c->iov[c->first++].iov_len;
		if (c->first < c->count) {
			c->iov[c->first].iov_base = (char *)c->iov[c->first].iov_base + left;
			c->iov[c->first].iov_len -= left;
		}
	}
	return 1;
}

static bool has_field(const char *head, size_t len, const char *field)
{
	size_t n = strlen(field);
	for (const char *p = head; (p = memchr(p, '\n', len - (size_t)(p - head)));) {
		p++;
		if (len - (size_t)(p - head) < n)
			return false;
		if (!strncasecmp(p, field, n))
			return true;
	}
	return false;
}

static bool parse(struct conn *c, size_t len, struct serve_request *r)
{
	const char *p = memchr(c->in, ' ', len), *end;
	if (!p || !(end = memchr(p + 1, ' ', len - (size_t)(p + 1 - c->in))) || p[1] != '/')
		return false;
	memset(r, 0, sizeof *r);
	r->target = p + 1;
	r->target_len = (size_t)(end - r->target);
	for (p = r->target + 1; p < end && *p >= '0' && *p <= '9' && r->size <= SERVE_SIZE_MAX; p++)
		r->size = r->size * 10 + (uint64_t)(*p - '0');
	if (r->size > SERVE_SIZE_MAX)
		return false;
	r->has_if_none_match = has_field(c->in, len, "If-None-Match:");
	c->closing = has_field(c->in, len, "Connection: close");
	return true;
}

static int begin(struct conn *c)
{
	int rc = send_more(c);
	if (rc > 0)
		return c->closing ? -1 : 1;
	if (!rc)
		watch(c, true);
	return rc;
}

/* Answers one request of the buffer: 1: go on, 0: nothing to do until the socket says so, -1: the
 * end. */
static int step(struct conn *c)
{
	struct serve_request r;
	struct serve_answer a = {.scratch = c->scratch};
	char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
	if (!end)
		return c->in_len < IN_MAX ? 0 : -1;
	size_t len = (size_t)(end + 4 - c->in);
	if (!parse(c, len, &r))
		return -1;
	answer_fn(&r, &a);
	memcpy(c->iov, a.iov, sizeof c->iov);
	c->first = 0;
	c->count = a.count;
	c->in_len -= len;
	if (c->in_len)
		memmove(c->in, c->in + len, c->in_len);
	if (a.delay_ms) {
		c->due_ms = now_ms() + a.delay_ms;
		TAILQ_INSERT_TAIL(&delayed, c, link);
		return 0;
	}
	return begin(c);
}

static int readable(struct conn *c)
{
	int rc;
	ssize_t n = read(c->fd, c->in + c->in_len, IN_MAX - c->in_len);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	c->in_len += (size_t)n;
	if (c->due_ms)
		return c->in_len < IN_MAX ? 0 : -1;
	while ((rc = step(c)) > 0)
		;
	return rc;
}

/* Sends the answers whose time has come; how long to wait for the next one, or -1. */
static int send_delayed(void)
{
	struct conn *c;
	uint64_t now = now_ms();
	while ((c = TAILQ_FIRST(&delayed)) && c->due_ms <= now) {
		TAILQ_REMOVE(&delayed, c, link);
		c->due_ms = 0;
		int rc = begin(c);
		while (rc > 0)
			rc = step(c);
		if (rc < 0)
			drop(c);
	}
	return c ? (int)(c->due_ms - now) : -1;
}

static int writable(struct conn *c)
{
	int rc = send_more(c);
	if (rc <= 0)
		return rc;
	if (c->closing)
		return -1;
	watch(c, false);
	while ((rc = step(c)) > 0)
		;
	return rc;
}

static void accept_all(int listener)
{
	int fd, one = 1;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = calloc(1, sizeof *c);
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
		if (!c) {
			close(fd);
			continue;
		}
		c->fd = fd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	}
}

static int listen_on(uint16_t port)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET,
	                         .sin_port = htons(port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event ev = {.events = EPOLLIN};
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096)) {
		perror("listening");
		exit(1);
	}
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev);
	return fd;
}

static void on_term(int sig)
{
	stopping = 1;
}

int serve_run(uint16_t port, serve_answer_fn *answer)
{
	struct epoll_event events[EVENTS_MAX];
	struct sigaction sa = {.sa_handler = on_term};
	answer_fn = answer;
	serve_pattern();
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	int listener = listen_on(port);
	puts("ready");
	fflush(stdout);
	while (!stopping) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, send_delayed());
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (!c)
				accept_all(listener);
			else if ((c->writing ? writable(c) : readable(c)) < 0)
				drop(c);
		}
	}
	return 0;
}

uint16_t serve_port(int argc, char **argv)
{
	char *end;
	unsigned long port = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
	if (!port || port > 65535 || *end) {
		fprintf(stderr, "usage: %s PORT\n", argv[0]);
		exit(2);
	}
	return (uint16_t)port;
}
