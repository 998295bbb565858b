#include "links.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/queue.h"
#include "log/log.h"
#include "net/loop.h"

#define LINKS_MAGIC  0x4c4e4b53u
#define LINK_MAGIC   0x4c4e4b31u
#define LINKS_MAX    1024
#define BACKLOG      128
#define INLINE_MAX   32768     /* a longer payload goes through memory that is passed */
#define PAYLOAD_MAX  (4u << 20)
#define QUEUE_MAX    (8u << 20) /* bytes that wait for a member */
#define BURST        64         /* messages taken in a turn */
#define AGAIN_MS     100        /* without descriptors, before the next try to accept */

/* On the wire. */
struct frame {
	struct link_message m;
	uint32_t length; /* of the payload */
	uint32_t passed; /* it is in the memory that the last descriptor is of */
};

struct queued {
	STAILQ_ENTRY(queued) link;
	struct frame frame;
	int fds[LINK_FDS + 1];
	unsigned nfds;
	char payload[];
};

struct link {
	uint32_t magic;
	struct links *links;
	LIST_ENTRY(link) entry;
	struct board_member member; /* of ours */
	bool ours, broken;
	int fd;
	struct net_poll *poll;
	struct net_task ending;
	STAILQ_HEAD(, queued) queue;
	size_t waiting; /* bytes in the queue */
	void *user;
};

struct links {
	uint32_t magic;
	struct net_loop *loop;
	struct board *board;
	struct board_member me;
	const struct link_handlers *handlers;
	void *arg;
	int fd;
	struct net_poll *poll;
	struct net_timer again; /* accepting goes on */
	LIST_HEAD(, link) all;
	unsigned n;
	char *in; /* one message */
};

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE((LINK_FDS + 1) * sizeof(int))];
};

static void close_all(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
}

/* ---- Sending ---- */

static void dequeue(struct link *l)
{
	struct queued *q = STAILQ_FIRST(&l->queue);

	STAILQ_REMOVE_HEAD(&l->queue, link);
	l->waiting -= sizeof(*q) + (q->frame.passed ? 0 : q->frame.length);
	close_all(q->fds, q->nfds);
	free(q);
}

static void link_end(struct link *l)
{
	struct links *ls = l->links;

	check_magic(l, LINK_MAGIC);
	l->broken = true;
	ls->handlers->gone(ls->arg, l);
	while (!STAILQ_EMPTY(&l->queue))
		dequeue(l);
	net_task_cancel(ls->loop, &l->ending);
	net_poll_free(l->poll);
	close(l->fd);
	LIST_REMOVE(l, entry);
	ls->n--;
	l->magic = 0;
	free(l);
}

static void ending(struct net_task *t)
{
	link_end(container_of(t, struct link, ending));
}

static int break_link(struct link *l, int err)
{
	if (!l->broken)
		net_task_post(l->links->loop, &l->ending);
	l->broken = true;
	return err;
}

/* 0, LARDER_EAGAIN, or the link is broken. */
static int send_now(int fd, const struct frame *f, struct view payload, const int *fds, unsigned nfds)
{
	struct iovec iov[2] = {
		{(void *)(uintptr_t)f, sizeof(*f)},
		{(void *)(uintptr_t)payload.ptr, f->passed ? 0 : payload.len},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	union control control = {0};

	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control.space;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	for (;;) {
		if (sendmsg(fd, &msg, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return larder_from_errno(errno);
	}
}

/* Memory with the payload in it, as a descriptor, or negative. */
static int to_memory(struct view payload)
{
	int fd = memfd_create("larder-message", MFD_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return larder_from_errno(errno);
	while (done < payload.len) {
		ssize_t n = pwrite(fd, payload.ptr + done, payload.len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			return LARDER_ENOMEM;
		}
		done += (size_t)n;
	}
	return fd;
}

static int enqueue(struct link *l, const struct frame *f, struct view payload, const int *fds,
                   unsigned nfds)
{
	size_t bytes = f->passed ? 0 : payload.len;
	struct queued *q;

	if (l->waiting + sizeof(*q) + bytes > QUEUE_MAX)
		return LARDER_ELIMIT;
	q = malloc(sizeof(*q) + bytes);
	if (!q)
		return LARDER_ENOMEM;
	q->frame = *f;
	memcpy(q->payload, bytes ? payload.ptr : "", bytes);
	for (q->nfds = 0; q->nfds < nfds; q->nfds++) {
		q->fds[q->nfds] = fcntl(fds[q->nfds], F_DUPFD_CLOEXEC, 0);
		if (q->fds[q->nfds] < 0) {
			close_all(q->fds, q->nfds);
			free(q);
			return LARDER_EFILES;
		}
	}
	STAILQ_INSERT_TAIL(&l->queue, q, link);
	l->waiting += sizeof(*q) + bytes;
	net_poll_set(l->poll, NET_READ | NET_WRITE);
	return 0;
}

int link_send(struct link *l, const struct link_message *m, struct view payload, const int *fds,
              unsigned nfds)
{
	struct frame f = {.m = *m, .length = (uint32_t)payload.len, .passed = payload.len > INLINE_MAX};
	int all[LINK_FDS + 1], memory = -1, err = LARDER_EAGAIN;

	check_magic(l, LINK_MAGIC);
	check(nfds <= LINK_FDS);
	if (l->broken)
		return LARDER_ECLOSED;
	if (payload.len > PAYLOAD_MAX)
		return break_link(l, LARDER_ELIMIT);
	memcpy(all, fds ? fds : all, nfds * sizeof(int));
	if (f.passed) {
		memory = to_memory(payload);
		if (memory < 0)
			return break_link(l, memory);
		all[nfds++] = memory;
	}
	if (STAILQ_EMPTY(&l->queue))
		err = send_now(l->fd, &f, payload, all, nfds);
	if (err == LARDER_EAGAIN)
		err = enqueue(l, &f, payload, all, nfds);
	if (memory >= 0)
		close(memory);
	return err ? break_link(l, err) : 0;
}

static void flush(struct link *l)
{
	struct queued *q;

	while ((q = STAILQ_FIRST(&l->queue))) {
		int err = send_now(l->fd, &q->frame, view_make(q->payload, q->frame.length), q->fds,
		                   q->nfds);

		if (err == LARDER_EAGAIN)
			return;
		if (err) {
			break_link(l, err);
			return;
		}
		dequeue(l);
	}
	net_poll_set(l->poll, NET_READ);
}

/* ---- Receiving ---- */

static unsigned take_fds(struct msghdr *msg, int fds[LINK_FDS + 1])
{
	unsigned n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		check(n <= LINK_FDS + 1);
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	}
	return n;
}

static void deliver(struct link *l, const struct frame *f, struct view payload, int *fds, unsigned nfds)
{
	struct links *ls = l->links;
	int given[LINK_FDS] = {-1, -1};
	void *map = NULL;

	if (f->passed) {
		nfds--;
		map = mmap(NULL, f->length, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fds[nfds], 0);
		close(fds[nfds]);
		if (map == MAP_FAILED) {
			close_all(fds, nfds);
			break_link(l, LARDER_ENOMEM);
			return;
		}
		payload = view_make(map, f->length);
	}
	memcpy(given, fds, nfds * sizeof(int));
	ls->handlers->message(ls->arg, l, &f->m, payload, given, nfds);
	close_all(given, nfds);
	if (map)
		munmap(map, f->length);
}

/* 1: a message was taken, 0: none is there, negative: the link is over. */
static int receive(struct link *l)
{
	struct links *ls = l->links;
	struct frame f;
	struct iovec iov[2] = {{&f, sizeof(f)}, {ls->in, INLINE_MAX}};
	union control control;
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2, .msg_control = control.space,
	                     .msg_controllen = sizeof(control.space)};
	int fds[LINK_FDS + 1];
	unsigned nfds;
	ssize_t n;

	do
		n = recvmsg(l->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : larder_from_errno(errno);
	if (n == 0)
		return LARDER_ECLOSED;
	nfds = take_fds(&msg, fds);
	/* Descriptors that found no room here are lost to their flight: the link starts anew. */
	if ((size_t)n < sizeof(f) || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    f.length > PAYLOAD_MAX || f.passed > 1 || nfds > LINK_FDS + f.passed ||
	    (f.passed ? !nfds : f.length != (size_t)n - sizeof(f))) {
		close_all(fds, nfds);
		return LARDER_EPROTO;
	}
	deliver(l, &f, view_make(ls->in, f.passed ? 0 : f.length), fds, nfds);
	return 1;
}

static void on_link(void *arg, int events)
{
	struct link *l = arg;
	int ret = 1;

	check_magic(l, LINK_MAGIC);
	if ((events & NET_WRITE) && !l->broken)
		flush(l);
	for (unsigned n = 0; ret > 0 && n < BURST && !l->broken; n++)
		ret = receive(l);
	if (ret < 0)
		break_link(l, ret);
}

/* ---- Links ---- */

/* Only processes of our own user are believed: the name is secret, but names can be listed. */
static bool is_ours(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == geteuid();
}

/* Takes the descriptor over. */
static struct link *link_new(struct links *ls, int fd, const struct board_member *m)
{
	struct link *l = ls->n < LINKS_MAX ? calloc(1, sizeof(*l)) : NULL;

	if (l)
		l->poll = net_poll_new(ls->loop, fd, on_link, l);
	if (!l || !l->poll) {
		free(l);
		close(fd);
		return NULL;
	}
	l->magic = LINK_MAGIC;
	l->links = ls;
	l->fd = fd;
	l->ours = m != NULL;
	if (m)
		l->member = *m;
	STAILQ_INIT(&l->queue);
	net_task_init(&l->ending, ending);
	LIST_INSERT_HEAD(&ls->all, l, entry);
	ls->n++;
	net_poll_set(l->poll, NET_READ);
	return l;
}

static socklen_t address(const struct links *ls, struct board_member m, struct sockaddr_un *sa)
{
	char name[BOARD_NAME_MAX];
	size_t len;

	board_name(ls->board, m, name);
	len = strlen(name);
	*sa = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(sa->sun_path + 1, name, len);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

struct link *links_to(struct links *ls, struct board_member m)
{
	struct sockaddr_un sa;
	socklen_t len = address(ls, m, &sa);
	struct link *l;
	int fd, err;

	check_magic(ls, LINKS_MAGIC);
	LIST_FOREACH(l, &ls->all, entry) {
		if (l->ours && !l->broken && board_same(l->member, m))
			return l;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	err = connect(fd, (struct sockaddr *)&sa, len) ? errno : 0;
	if (!err && is_ours(fd))
		return link_new(ls, fd, &m);
	/* Nobody listens there: members do so as long as they are on the board. */
	if (err == ECONNREFUSED)
		board_exit(ls->board, m);
	close(fd);
	return NULL;
}

static void on_accept(void *arg, int events)
{
	struct links *ls = arg;

	check_magic(ls, LINKS_MAGIC);
	for (unsigned n = 0; n < BURST; n++) {
		int fd = accept4(ls->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			/* What waits there stays ready: without descriptors the loop would turn for nothing. */
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
				net_poll_set(ls->poll, 0);
				net_timer_set(&ls->again, AGAIN_MS);
			}
			return;
		}
		if (is_ours(fd))
			link_new(ls, fd, NULL);
		else
			close(fd);
	}
}

static void accept_again(struct net_timer *t)
{
	struct links *ls = container_of(t, struct links, again);

	net_poll_set(ls->poll, NET_READ);
}

static int listen_on(struct links *ls)
{
	struct sockaddr_un sa;
	socklen_t len = address(ls, ls->me, &sa);

	ls->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (ls->fd < 0 || bind(ls->fd, (struct sockaddr *)&sa, len) || listen(ls->fd, BACKLOG))
		return larder_from_errno(errno);
	ls->poll = net_poll_new(ls->loop, ls->fd, on_accept, ls);
	if (!ls->poll)
		return LARDER_ENOMEM;
	net_poll_set(ls->poll, NET_READ);
	return 0;
}

struct links *links_new(struct net_loop *loop, struct board *board, const struct link_handlers *h,
                        void *arg)
{
	struct links *ls = calloc(1, sizeof(*ls));

	if (!ls)
		return NULL;
	*ls = (struct links){.magic = LINKS_MAGIC, .loop = loop, .board = board, .handlers = h,
	                     .arg = arg, .fd = -1};
	LIST_INIT(&ls->all);
	net_timer_init(&ls->again, loop, accept_again);
	ls->in = malloc(INLINE_MAX);
	if (!ls->in || board_enter(board, &ls->me)) {
		free(ls->in);
		free(ls);
		return NULL;
	}
	if (listen_on(ls)) {
		links_free(ls);
		return NULL;
	}
	return ls;
}

void links_free(struct links *ls)
{
	struct link *l;

	if (!ls)
		return;
	check_magic(ls, LINKS_MAGIC);
	while ((l = LIST_FIRST(&ls->all)))
		link_end(l);
	net_timer_stop(&ls->again);
	net_poll_free(ls->poll);
	if (ls->fd >= 0)
		close(ls->fd);
	board_leave(ls->board, ls->me);
	free(ls->in);
	ls->magic = 0;
	free(ls);
}

struct board_member links_me(const struct links *ls)
{
	check_magic(ls, LINKS_MAGIC);
	return ls->me;
}

void **link_user(struct link *l)
{
	check_magic(l, LINK_MAGIC);
	return &l->user;
}
