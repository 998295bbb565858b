#include "log-private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

/* O_NONBLOCK for FIFOs: without a reader the open would hang; O_RDWR keeps it from failing. */
static int open_file(const char *path, bool *pipe)
{
	struct stat st;
	int flags = O_WRONLY | O_APPEND | O_CREAT, fd;

	if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode))
		flags = O_RDWR | O_NONBLOCK;
	fd = open(path, flags | O_CLOEXEC | O_NOCTTY, 0640);
	*pipe = fd >= 0 && !(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	return fd;
}

/* A copy of standard output or error; its flags are others' too, so it stays blocking and is
 * polled. */
static int open_stream(int std, bool *pipe)
{
	int fd = fcntl(std, F_DUPFD_CLOEXEC, 3);
	struct stat st;

	*pipe = fd >= 0 && !(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	return fd;
}

static int open_syslog(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd;

	if (!view_copy(view_of(path), sun.sun_path, sizeof(sun.sun_path))) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&sun, sizeof(sun))) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static char *describe(const char *option, const char *value, int errnum)
{
	struct buf b;

	buf_init(&b, 8192);
	buf_printf(&b, "%s: cannot open %s: %s", option, value, strerror(errnum));
	return buf_cstr(&b);
}

static enum log_kind kind_of(const char *value)
{
	if (strcmp(value, "off") == 0)
		return LOG_OFF;
	if (strcmp(value, "stdout") == 0 || strcmp(value, "stderr") == 0)
		return LOG_STREAM;
	return strcmp(value, "syslog") == 0 ? LOG_SYSLOG : LOG_FILE;
}

int log_target_open(struct log_target *t, const char *option, const char *value, char **why)
{
	struct log_target fresh = {.kind = kind_of(value), .fd = -1};
	int err;

	if (fresh.kind == LOG_STREAM)
		fresh.fd =
		        open_stream(value[3] == 'o' ? STDOUT_FILENO : STDERR_FILENO, &fresh.pipe);
	else if (fresh.kind == LOG_FILE)
		fresh.fd = open_file(value, &fresh.pipe);
	else if (fresh.kind == LOG_SYSLOG)
		fresh.fd = open_syslog(LOG_SYSLOG_SOCKET);
	if (fresh.kind != LOG_OFF && fresh.fd < 0) {
		err = larder_from_errno(errno);
		*why = describe(option, fresh.kind == LOG_SYSLOG ? LOG_SYSLOG_SOCKET : value,
		                errno);
		return err;
	}
	if (fresh.kind == LOG_FILE || fresh.kind == LOG_SYSLOG) {
		fresh.path = view_dup(view_of(fresh.kind == LOG_FILE ? value : LOG_SYSLOG_SOCKET));
		if (!fresh.path) {
			close(fresh.fd);
			return LARDER_ENOMEM;
		}
	}
	/* A writer may be at work on the old number: it stays, and means the new target from here
	 * on. */
	if (t->fd > 2 && fresh.fd > 2) {
		dup3(fresh.fd, t->fd, O_CLOEXEC);
		close(fresh.fd);
		fresh.fd = t->fd;
	} else if (t->fd > 2) {
		fresh.fd = t->fd;
	}
	free(t->path);
	*t = fresh;
	return 0;
}

int log_target_reopen(struct log_target *t)
{
	bool pipe = false;
	int fd;

	if (t->kind != LOG_FILE)
		return 0;
	fd = open_file(t->path, &pipe);
	if (fd < 0)
		return larder_from_errno(errno);
	t->pipe = pipe;
	log_target_adopt(t, fd);
	return 0;
}

void log_target_adopt(struct log_target *t, int fd)
{
	if (t->kind == LOG_FILE && t->fd > 2)
		dup3(fd, t->fd, O_CLOEXEC);
	close(fd);
}

void log_target_close(struct log_target *t)
{
	if (t->fd > 2)
		close(t->fd);
	free(t->path);
	*t = (struct log_target){.kind = LOG_OFF, .fd = -1};
}

/* How much of `lines` to hand over at once: pipes take up to PIPE_BUF bytes without mixing them
 * with other writers', so a piece is as many whole lines as fit (a longer line goes alone). */
static size_t piece(const struct log_target *t, struct view lines)
{
	size_t at;

	if (!t->pipe || lines.len <= PIPE_BUF)
		return lines.len;
	at = view_rfind(view_make(lines.ptr, PIPE_BUF), '\n');
	if (at == PIPE_BUF)
		at = view_find(lines, '\n');
	return at < lines.len ? at + 1 : lines.len;
}

static uint64_t count_lines(struct view v)
{
	uint64_t n = 0;

	for (size_t at; (at = view_find(v, '\n')) < v.len; v = view_from(v, at + 1))
		n++;
	return n;
}

static bool takes_more(const struct log_target *t)
{
	struct pollfd p = {.fd = t->fd, .events = POLLOUT};

	return !t->pipe || poll(&p, 1, 0) != 0;
}

static ssize_t write_some(const struct log_target *t, struct view v)
{
	struct iovec iov[2] = {{(void *)(uintptr_t) "\n", t->torn ? 1 : 0},
	                       {(void *)(uintptr_t)v.ptr, v.len}};
	ssize_t n;

	do
		n = writev(t->fd, iov, 2);
	while (n < 0 && errno == EINTR);
	return n > 0 && t->torn ? n - 1 : n;
}

static size_t write_stream(struct log_target *t, struct view lines, uint64_t *written,
                           uint64_t *lost, uint64_t *failures)
{
	size_t done = 0;

	while (done < lines.len && takes_more(t)) {
		struct view next = view_from(lines, done);
		size_t whole = piece(t, next), got;
		ssize_t n;

		next.len = whole;
		n = write_some(t, next);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		got = n < 0 ? 0 : (size_t)n;
		if (n >= 0)
			t->torn = false;
		*written += count_lines(view_make(next.ptr, got));
		done += got;
		if (n > 0)
			continue;
		/* Full, or gone: these lines are lost, and the next ones are tried anew. */
		++*failures;
		*lost += count_lines(next);
		t->torn = t->torn || (done && lines.ptr[done - 1] != '\n');
		done += whole;
	}
	return done;
}

static size_t write_syslog(struct log_target *t, struct view lines, uint64_t *written,
                           uint64_t *lost, uint64_t *failures)
{
	size_t done = 0;

	while (done < lines.len) {
		struct view line = view_from(lines, done);
		bool again = false;
		ssize_t n;

		line.len = view_find(line, '\n');
		n = send(t->fd, line.ptr, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET)) {
			/* The system's logger was restarted: a new socket, once. */
			int fd = open_syslog(t->path);

			if (fd >= 0) {
				dup3(fd, t->fd, O_CLOEXEC);
				close(fd);
				again = true;
			}
		}
		if (again)
			n = send(t->fd, line.ptr, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return done;
		*failures += n < 0;
		*(n < 0 ? lost : written) += 1;
		done += line.len + 1;
	}
	return done;
}

size_t log_target_write(struct log_target *t, struct view lines, uint64_t *written, uint64_t *lost,
                        uint64_t *failures)
{
	switch (t->kind) {
	case LOG_STREAM:
	case LOG_FILE:
		return write_stream(t, lines, written, lost, failures);
	case LOG_SYSLOG:
		return write_syslog(t, lines, written, lost, failures);
	case LOG_OFF:
		break;
	}
	return lines.len;
}
