/* Listening sockets. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/stream.h"

#define ACCEPT_TRIES 16

static int open_socket(const struct addr *a)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int yes = 1, no = 0;

	if (fd < 0)
		return larder_from_errno(errno);
	/* Connections of a former run that linger in TIME_WAIT must not hold the address. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (a->sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY,
		           IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) ? &no : &yes, sizeof(no));
	return fd;
}

/* SO_REUSEPORT would share the address with another process of the same user without a word. */
static int probe(const struct addr *a)
{
	int fd = open_socket(a), err = 0;

	if (fd < 0)
		return fd;
	if (bind(fd, &a->sa, a->len))
		err = larder_from_errno(errno);
	close(fd);
	return err;
}

static int listen_on(const struct addr *a, int backlog, bool again)
{
	int yes = 1, fd, err;

	err = again || !addr_port(a) ? 0 : probe(a);
	if (err)
		return err;
	fd = open_socket(a);
	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof(yes)) ||
	    bind(fd, &a->sa, a->len) || listen(fd, backlog)) {
		err = larder_from_errno(errno);
		close(fd);
		return err;
	}
	return fd;
}

static bool without_ipv6(const struct addr *a)
{
	int fd;

	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr))
		return false;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno == EAFNOSUPPORT;
	close(fd);
	return false;
}

int net_listen(const struct addr *a, int backlog, bool again)
{
	struct addr any = {.len = sizeof(any.in4)};

	if (!without_ipv6(a))
		return listen_on(a, backlog, again);
	any.in4.sin_family = AF_INET;
	addr_set_port(&any, addr_port(a));
	return listen_on(&any, backlog, again);
}

void net_listen_tune(int fd, unsigned notsent_lowat, unsigned defer_s)
{
	int yes = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (notsent_lowat)
		setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent_lowat,
		           sizeof(notsent_lowat));
	setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s));
}

/* Errors of the connection that was waiting, not of the listening socket (accept(2)). */
static bool passing(int errnum)
{
	switch (errnum) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
		return true;
	default:
		return false;
	}
}

int net_accept(int listen_fd, struct addr *peer)
{
	for (int i = 0; i < ACCEPT_TRIES; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		int fd;

		fd = accept4(listen_fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			if (!addr_from_sa((struct sockaddr *)&ss, len, peer))
				*peer = (struct addr){.len = 0};
			return fd;
		}
		if (errno == ENOBUFS)
			return LARDER_ENOMEM;
		if (!passing(errno))
			return larder_from_errno(errno);
	}
	return LARDER_EAGAIN;
}
