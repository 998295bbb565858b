/* The control socket in the file system: made by the daemon, asked by the tool. */
#include "admin/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

#define BACKLOG     64
#define ASK_WAIT_MS 120000 /* a reload waits for its new workers */

static int explain(char **why, int errnum, const char *path, const char *what)
{
	if (asprintf(why, "control socket %s: %s: %s", path, what, strerror(errnum)) < 0)
		*why = NULL;
	return larder_from_errno(errnum);
}

/* A Unix address for a path of any length: a long one is reached through its directory's descriptor, *dir,
 * to be closed after use. */
static int unix_addr(const char *path, struct sockaddr_un *sun, int *dir)
{
	const char *slash = strrchr(path, '/');
	char *parent;
	int n;

	*dir = -1;
	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (view_copy(view_of(path), sun->sun_path, sizeof(sun->sun_path)))
		return 0;
	if (!slash)
		return ENAMETOOLONG;
	parent = view_dup(view_make(path, slash == path ? 1 : (size_t)(slash - path)));
	if (!parent)
		return ENOMEM;
	*dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	free(parent);
	if (*dir < 0)
		return errno;
	n = snprintf(sun->sun_path, sizeof(sun->sun_path), "/proc/self/fd/%d/%s", *dir, slash + 1);
	return n > 0 && (size_t)n < sizeof(sun->sun_path) ? 0 : ENAMETOOLONG;
}

/* bind or connect; 0 or an errno value. */
static int at_path(int fd, const char *path,
                   int (*fn)(int fd, const struct sockaddr *sa, socklen_t len))
{
	struct sockaddr_un sun;
	int dir, errnum = unix_addr(path, &sun, &dir);

	if (!errnum && fn(fd, (const struct sockaddr *)&sun, sizeof(sun)))
		errnum = errno;
	if (dir >= 0)
		close(dir);
	return errnum;
}

static int do_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return connect(fd, sa, len);
}

/* As bind, mode 0600 from the first moment on. */
static int do_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
	mode_t before = umask(0177);
	int ret = bind(fd, sa, len), errnum = errno;

	umask(before);
	errno = errnum;
	return ret;
}

/* Makes the socket's own directory, not its parents. */
static int make_dir(const char *path, uid_t uid, gid_t gid)
{
	char *copy = strdup(path);
	int errnum = 0;
	const char *dir;

	if (!copy)
		return ENOMEM;
	dir = dirname(copy);
	if (mkdir(dir, 0755) == 0) {
		if (uid != (uid_t)-1 && lchown(dir, uid, gid))
			errnum = errno;
	} else if (errno != EEXIST) {
		errnum = errno;
	}
	free(copy);
	return errnum;
}

/* Removes a socket whose daemon is gone. 0, EADDRINUSE when one answers, or another errno value. */
static int clear_stale(const char *path)
{
	struct stat st;
	int fd, errnum;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : errno;
	if (!S_ISSOCK(st.st_mode))
		return EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	errnum = at_path(fd, path, do_connect);
	close(fd);
	if (errnum != ECONNREFUSED && errnum != ENOENT)
		return EADDRINUSE;
	return unlink(path) && errno != ENOENT ? errno : 0;
}

int admin_socket_open(const char *path, uid_t uid, gid_t gid, char **why)
{
	const char *what;
	int fd = -1, errnum;

	what = "cannot make its directory";
	errnum = make_dir(path, uid, gid);
	if (errnum)
		goto out;
	what = "another daemon answers there";
	errnum = clear_stale(path);
	if (errnum == EADDRINUSE)
		goto out;
	what = "cannot make it";
	if (errnum)
		goto out;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		errnum = errno;
		goto out;
	}
	errnum = at_path(fd, path, do_bind);
	if (!errnum && uid != (uid_t)-1 && lchown(path, uid, gid))
		errnum = errno;
	if (!errnum && listen(fd, BACKLOG))
		errnum = errno;
out:
	if (!errnum)
		return fd;
	if (fd >= 0)
		close(fd);
	return explain(why, errnum, path, what);
}

static int send_all(int fd, struct view v)
{
	while (v.len) {
		ssize_t n = send(fd, v.ptr, v.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return larder_from_errno(errno);
		v = view_from(v, (size_t)n);
	}
	return 0;
}

static int receive_all(int fd, struct buf *out)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char piece[8192];
	ssize_t n;
	int err;

	for (;;) {
		n = poll(&p, 1, ASK_WAIT_MS);
		if (n == 0)
			return LARDER_ETIMEOUT;
		n = n < 0 ? n : recv(fd, piece, sizeof(piece), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? larder_from_errno(errno) : 0;
		err = buf_add(out, piece, (size_t)n);
		if (err)
			return err;
	}
}

/* Takes the first line off the answer. */
static int judge(struct buf *out, size_t start)
{
	struct view rest, all = view_from(buf_view(out), start);
	struct view first = view_cut(all, '\n', &rest);
	bool ok = rest.ptr && view_eq(first, V("ok"));
	size_t cut = first.len + 1;

	if (!ok && !view_starts(first, V("error "))) {
		out->len = start;
		buf_printf(out, "the daemon's answer makes no sense");
		return LARDER_EPROTO;
	}
	if (!ok) {
		cut = strlen("error ");
		out->len = start + first.len;
		all.len = first.len;
	}
	memmove(out->data + start, out->data + start + cut, all.len - cut);
	out->len -= cut;
	return ok ? 0 : LARDER_EREFUSED;
}

int admin_ask(const char *path, const char *request, struct buf *out)
{
	size_t start = out->len;
	int fd, errnum, err;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = larder_from_errno(errno);
		buf_printf(out, "control socket: %s", strerror(errno));
		return err;
	}
	errnum = at_path(fd, path, do_connect);
	if (errnum) {
		close(fd);
		buf_printf(out, "control socket %s: %s", path, strerror(errnum));
		return errnum == EACCES || errnum == EPERM ? LARDER_EPERM : LARDER_ECONNECT;
	}
	err = send_all(fd, view_of(request));
	if (!err)
		err = send_all(fd, V("\n"));
	if (!err)
		err = receive_all(fd, out);
	close(fd);
	if (!err)
		return judge(out, start);
	out->len = start;
	buf_printf(out, "control socket %s: %s", path, larder_strerror(err));
	return err;
}
