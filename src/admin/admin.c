/* The control socket's server: one request line in, one answer out. */
#include "admin/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

#define ADMIN_MAGIC 0xad319001U
#define CALL_MAGIC  0xad319002U

#define CALLS_MAX    16
#define SENTENCE_MAX 8192 /* of an error */
#define REQUEST_MS   10000  /* for the request line, and again for taking the answer */

struct admin {
	uint32_t magic;
	struct net_loop *loop;
	int fd;
	struct net_poll *poll;
	const struct admin_command *commands;
	size_t ncommands;
	void *arg;
	LIST_HEAD(, admin_call) calls;
	unsigned ncalls;
	bool draining;
};

struct admin_call {
	uint32_t magic;
	struct admin *admin;
	LIST_ENTRY(admin_call) link;
	int fd; /* -1: the peer is gone while a command still works */
	struct net_poll *poll;
	struct net_timer timer;
	struct buf in, body, head;
	size_t sent;
	bool working, answered;
};

static void accept_ready(void *arg, int events);
static void call_ready(void *arg, int events);

static void call_hang_up(struct admin_call *c)
{
	net_poll_free(c->poll);
	c->poll = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	net_timer_stop(&c->timer);
}

static void call_free(struct admin_call *c)
{
	struct admin *a = c->admin;

	call_hang_up(c);
	LIST_REMOVE(c, link);
	buf_fini(&c->in);
	buf_fini(&c->body);
	buf_fini(&c->head);
	c->magic = 0;
	free(c);
	if (a->ncalls-- == CALLS_MAX && !a->draining)
		net_poll_set(a->poll, NET_READ);
}

/* Ends the connection; the call itself stays while its command works. */
static void call_close(struct admin_call *c)
{
	if (c->working)
		call_hang_up(c);
	else
		call_free(c);
}

static void call_late(struct net_timer *t)
{
	call_close(container_of(t, struct admin_call, timer));
}

/* 0: all of it went, 1: the socket is full, negative: broken. */
static int send_from(int fd, const struct buf *b, size_t *offset)
{
	while (*offset < b->len) {
		ssize_t n = send(fd, b->data + *offset, b->len - *offset, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 1 : LARDER_ECLOSED;
		*offset += (size_t)n;
	}
	return 0;
}

static void call_write(struct admin_call *c)
{
	int state = send_from(c->fd, &c->head, &c->sent);

	if (state == 1)
		net_poll_set(c->poll, NET_WRITE);
	else
		call_free(c);
}

/* The first line in front of what the command wrote. An error's sentence is one line. */
static void compose(struct admin_call *c, int err)
{
	struct view body = buf_view(&c->body);

	if (!err && !c->body.err) {
		BUF_ADD_LIT(&c->head, "ok\n");
		buf_addv(&c->head, body);
		if (!c->head.err)
			return;
	}
	if (!err)
		err = c->body.err ? c->body.err : c->head.err;
	buf_reset(&c->head);
	/* An answer that did not fit is no sentence. */
	body.len = c->body.err || view_find(body, '\n') > SENTENCE_MAX ? 0 : view_find(body, '\n');
	BUF_ADD_LIT(&c->head, "error ");
	buf_addv(&c->head, body.len ? body : view_of(larder_strerror(err)));
	buf_addc(&c->head, '\n');
}

static void call_answer(struct admin_call *c, int err)
{
	c->working = false;
	c->answered = true;
	if (c->fd < 0) {
		call_free(c);
		return;
	}
	compose(c, err);
	net_timer_set(&c->timer, REQUEST_MS);
	call_write(c);
}

void admin_finish(struct admin_call *call, int err)
{
	check_magic(call, CALL_MAGIC);
	check(call->working);
	call_answer(call, err);
}

static int answer_help(const struct admin *a, struct buf *out)
{
	for (size_t i = 0; i < a->ncommands; i++)
		buf_printf(out, "%s\n", a->commands[i].usage);
	return buf_printf(out, "help\n");
}

static int run_command(struct admin_call *c, struct view line)
{
	const struct admin *a = c->admin;
	struct view args, name = view_cut(view_trim(line), ' ', &args);

	args = args.ptr ? view_trim(args) : V("");
	if (view_eq(name, V("help")))
		return answer_help(a, &c->body);
	for (size_t i = 0; i < a->ncommands; i++) {
		if (view_eq(name, view_of(a->commands[i].name)))
			return a->commands[i].fn(a->arg, c, args, &c->body);
	}
	buf_printf(&c->body, "unknown command \"%.*s\"; \"help\" lists them",
	           (int)(name.len < 64 ? name.len : 64), name.ptr);
	return LARDER_EINVAL;
}

static void call_run(struct admin_call *c, struct view line)
{
	int err;

	net_poll_set(c->poll, 0);
	net_timer_stop(&c->timer);
	c->working = true;
	err = run_command(c, line);
	if (err != ADMIN_LATER)
		call_answer(c, err);
}

static void call_read(struct admin_call *c)
{
	size_t end;
	ssize_t n;

	if (buf_reserve(&c->in, 1024)) {
		buf_printf(&c->body, "the request is too long");
		call_answer(c, LARDER_ELIMIT);
		return;
	}
	n = recv(c->fd, c->in.data + c->in.len, c->in.cap - c->in.len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && !c->in.len)) {
		call_free(c);
		return;
	}
	c->in.len += (size_t)n;
	end = view_find(buf_view(&c->in), '\n');
	if (end < c->in.len || n == 0)
		call_run(c, view_make(c->in.data, end));
}

static void call_ready(void *arg, int events)
{
	struct admin_call *c = arg;

	(void)events;
	check_magic(c, CALL_MAGIC);
	if (c->answered)
		call_write(c);
	else
		call_read(c);
}

/* Only root and our own user. */
static bool peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void call_begin(struct admin *a, int fd)
{
	struct admin_call *c = calloc(1, sizeof(*c));

	if (!c)
		goto fail;
	c->poll = net_poll_new(a->loop, fd, call_ready, c);
	if (!c->poll)
		goto fail;
	c->magic = CALL_MAGIC;
	c->admin = a;
	c->fd = fd;
	net_timer_init(&c->timer, a->loop, call_late);
	buf_init(&c->in, ADMIN_REQUEST_MAX);
	buf_init(&c->body, ADMIN_ANSWER_MAX);
	buf_init(&c->head, ADMIN_ANSWER_MAX + 64);
	LIST_INSERT_HEAD(&a->calls, c, link);
	a->ncalls++;
	net_timer_set(&c->timer, REQUEST_MS);
	net_poll_set(c->poll, NET_READ);
	return;
fail:
	free(c);
	close(fd);
}

static void accept_ready(void *arg, int events)
{
	struct admin *a = arg;
	int fd;

	(void)events;
	check_magic(a, ADMIN_MAGIC);
	while (a->ncalls < CALLS_MAX) {
		fd = accept4(a->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (peer_allowed(fd))
			call_begin(a, fd);
		else
			close(fd);
	}
	/* The rest waits in the kernel until a call has ended. */
	net_poll_set(a->poll, 0);
}

struct admin *admin_new(struct net_loop *l, int fd, const struct admin_command *commands, size_t n,
                        void *arg)
{
	struct admin *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	*a = (struct admin){
		.magic = ADMIN_MAGIC,
		.loop = l,
		.fd = fd,
		.commands = commands,
		.ncommands = n,
		.arg = arg,
	};
	a->poll = net_poll_new(l, fd, accept_ready, a);
	if (!a->poll) {
		free(a);
		return NULL;
	}
	net_poll_set(a->poll, NET_READ);
	return a;
}

void admin_drain(struct admin *a)
{
	check_magic(a, ADMIN_MAGIC);
	a->draining = true;
	net_poll_set(a->poll, 0);
}

unsigned admin_calls(const struct admin *a)
{
	check_magic(a, ADMIN_MAGIC);
	return a->ncalls;
}

void admin_free(struct admin *a)
{
	struct admin_call *c, *next;

	if (!a)
		return;
	check_magic(a, ADMIN_MAGIC);
	LIST_FOREACH_SAFE(c, &a->calls, link, next)
		call_free(c);
	net_poll_free(a->poll);
	a->magic = 0;
	free(a);
}
