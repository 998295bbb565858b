#include <errno.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "load.h"

enum {
	TRIES_MAX = 3,
	READ_MAX = 256 << 10,
};

static void open_conn(struct load_conn *c)
{
	static unsigned turn;
	int one = 1;
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons(load_plan.port),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
	                   from = to;
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		perror("socket");
		exit(1);
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (load_plan.close) {
		/* One address has too few ports for all that wait for the last packets of their
		 * predecessors. */
		from.sin_port = 0;
		from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 200);
		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(c->fd, (struct sockaddr *)&from, sizeof from))
			perror("bind");
	}
	if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
		perror("connect");
		exit(1);
	}
	c->fresh = true;
	epoll_ctl(load_epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

static void close_conn(struct load_conn *c)
{
	close(c->fd);
	c->fd = -1;
}

static void make_request(struct load_conn *c)
{
	const char *mark = strchr(load_plan.target, '#');
	int n = mark ? snprintf(c->target, sizeof c->target, "%.*s%llu%s",
	                        (int)(mark - load_plan.target), load_plan.target,
	                        (unsigned long long)c->number, mark + 1)
	             : snprintf(c->target, sizeof c->target, "%s", load_plan.target);
	c->target_len = (size_t)n;
	n = snprintf(c->out, sizeof c->out, "GET %s HTTP/1.1\r\nHost: bench.test\r\n%s%s%s\r\n",
	             c->target, load_plan.close ? "Connection: close\r\n" : "", load_plan.field,
	             *load_plan.field ? "\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof c->out) {
		fputs("the request is too long\n", stderr);
		exit(2);
	}
	c->out_len = (size_t)n;
}

static void restart(struct load_conn *c)
{
	c->out_done = c->in_len = 0;
	c->in_body = c->server_closes = false;
	if (c->fd < 0)
		open_conn(c);
}

static void flush(struct load_conn *c)
{
	while (c->out_done < c->out_len) {
		ssize_t n = write(c->fd, c->out + c->out_done, c->out_len - c->out_done);
		if (n < 0)
			return;
		c->out_done += (size_t)n;
	}
}

void load_conn_start(struct load_conn *c, uint64_t number, uint64_t due)
{
	c->busy = true;
	c->number = number;
	c->due = due;
	c->tries = 0;
	make_request(c);
	restart(c);
	if (!c->fresh)
		flush(c);
}

static void finish(struct load_conn *c)
{
	c->busy = c->fresh = false;
	load_result.done++;
	histogram_add(&load_result.latency, load_now() - c->due);
	if (c->status != load_plan.status && !load_result.bad_status++)
		load_result.first_bad_status = c->status;
	else if (c->status == 200 && c->length != load_plan.size)
		load_result.bad_length++;
	if (load_plan.close || c->server_closes) {
		load_result.reconnects++;
		close_conn(c);
	}
}

/* A kept connection may be closed just when the next request sets out: that one is tried again. */
static void lost(struct load_conn *c)
{
	bool unlucky = !c->fresh && !c->in_len && !c->in_body;
	close_conn(c);
	if (unlucky && ++c->tries < TRIES_MAX) {
		load_result.reconnects++;
		restart(c);
		return;
	}
	c->busy = false;
	load_result.failed++;
}

static bool field_is(const char *line, const char *name)
{
	return !strncasecmp(line, name, strlen(name));
}

static bool parse_head(struct load_conn *c, const char *end)
{
	bool has_length = false;
	c->status = c->in_len > 12 ? (unsigned)strtoul(c->in + 9, NULL, 10) : 0;
	c->length = 0;
	for (char *p = c->in; (p = memchr(p, '\n', (size_t)(end - p)));) {
		p++;
		if (field_is(p, "content-length:")) {
			c->length = strtoull(p + 15, NULL, 10);
			has_length = true;
		} else if (field_is(p, "connection: close")) {
			c->server_closes = true;
		} else if (field_is(p, "transfer-encoding:")) {
			return false;
		}
	}
	if (c->status == 304 || c->status == 204)
		c->length = 0;
	return c->status >= 200 && (has_length || c->status == 304 || c->status == 204);
}

/* 1: the answer is complete, 0: more is to come, -1: it can't be understood. */
static int take_head(struct load_conn *c)
{
	char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
	if (!end)
		return c->in_len < sizeof c->in ? 0 : -1;
	if (!parse_head(c, end + 2))
		return -1;
	end += 4;
	size_t extra = c->in_len - (size_t)(end - c->in);
	if (extra > c->length)
		return -1;
	if (load_plan.check_body && c->status == 200 && extra > c->target_len &&
	    (memcmp(end, c->target, c->target_len) || end[c->target_len] != '\n'))
		load_result.bad_body++;
	load_result.bytes += extra;
	c->in_body = true;
	c->body_left = c->length - extra;
	return !c->body_left;
}

static int take_body(struct load_conn *c, size_t n)
{
	load_result.bytes += n;
	c->body_left -= n;
	return !c->body_left;
}

static int receive(struct load_conn *c)
{
	/* The kernel drops what it is asked to truncate: a body costs no copy here, for any server.
	 */
	ssize_t n = c->in_body ? recv(c->fd, NULL,
	                              c->body_left < READ_MAX ? c->body_left : READ_MAX, MSG_TRUNC)
	                       : recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);
	if (n < 0 && errno == EAGAIN)
		return 2;
	if (n <= 0)
		return -2;
	if (c->in_body)
		return take_body(c, (size_t)n);
	c->in_len += (size_t)n;
	return take_head(c);
}

void load_conn_event(struct load_conn *c, unsigned events)
{
	int rc = 0;
	if (!c->busy) {
		/* A server may close an idle connection. */
		char byte;
		if (c->fd >= 0 && recv(c->fd, &byte, 1, 0) == 0)
			close_conn(c);
		return;
	}
	if (events & EPOLLOUT)
		flush(c);
	while (!rc)
		rc = receive(c);
	if (rc == 1) {
		finish(c);
	} else if (rc == -1) {
		load_result.bad_head++;
		c->busy = false;
		close_conn(c);
	} else if (rc == -2) {
		lost(c);
	}
}
