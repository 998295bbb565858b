#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

int channel_pair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends)
	               ? larder_from_errno(errno)
	               : 0;
}

int channel_send(int fd, const struct channel_message *m, const int *fds, size_t nfds)
{
	struct iovec iov = {
		.iov_base = (void *)(uintptr_t)m,
		.iov_len = offsetof(struct channel_message, text) + strlen(m->text) + 1,
	};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control = {0};
	struct cmsghdr *c;

	check(nfds <= CHANNEL_FDS_MAX);
	if (nfds) {
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

static void take_fds(struct msghdr *msg, int fds[CHANNEL_FDS_MAX], size_t *nfds)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		check(n <= CHANNEL_FDS_MAX);
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		*nfds = n;
	}
}

int channel_receive(int fd, struct channel_message *m, int fds[CHANNEL_FDS_MAX], size_t *nfds)
{
	struct iovec iov = {.iov_base = m, .iov_len = sizeof(*m)};
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n;

	*nfds = 0;
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return larder_from_errno(errno);
	if (n == 0)
		return LARDER_ECLOSED;
	take_fds(&msg, fds, nfds);
	if ((size_t)n <= offsetof(struct channel_message, text)) {
		for (size_t i = 0; i < *nfds; i++)
			close(fds[i]);
		return LARDER_EPROTO;
	}
	((char *)m)[(size_t)n - 1] = '\0';
	return 0;
}
