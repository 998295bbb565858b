/*
 * Preloaded into larder: calls fail as a file in $LARDER_FAULT says, which the test maps, too. Only calls on
 * regular files and folders fail, those of sockets and of the log do not. With -DWITH_MALLOC allocations can fail as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, OPEN = 4, LINK = 8, READ = 16, MEMORY = 32 };

struct order {
	uint32_t what, error, every, pid; /* every n-th such call; pid 0: of all processes */
	uint32_t calls, failed;
};

static struct order *order;

__attribute__((constructor)) static void take_order(void)
{
	const char *path = getenv("LARDER_FAULT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = fd < 0 ? MAP_FAILED
	                 : mmap(NULL, sizeof(*order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (p != MAP_FAILED)
		order = p;
}

static int fails(uint32_t what)
{
	struct order *o = order;

	if (!o || !(__atomic_load_n(&o->what, __ATOMIC_SEQ_CST) & what) ||
	    (o->pid && o->pid != (uint32_t)syscall(SYS_getpid)))
		return 0;
	if (__atomic_add_fetch(&o->calls, 1, __ATOMIC_SEQ_CST) % o->every)
		return 0;
	__atomic_add_fetch(&o->failed, 1, __ATOMIC_SEQ_CST);
	errno = (int)o->error;
	return 1;
}

static int is_file(int fd)
{
	struct stat st, log;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && fstat(STDERR_FILENO, &log) == 0 &&
	       st.st_ino != log.st_ino;
}

static int fails_on(uint32_t what, int fd)
{
	return order && order->what & what && is_file(fd) && fails(what);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails_on(WRITE, fd) ? -1 : syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	return fails_on(WRITE, fd) ? -1 : syscall(SYS_writev, fd, v, n);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	return fails_on(WRITE, fd) ? -1 : syscall(SYS_pwritev, fd, v, n, at, 0);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	return fails_on(READ, fd) ? -1 : syscall(SYS_pread64, fd, p, n, at);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at)
{
	return pread(fd, p, n, at);
}

ssize_t sendfile(int out, int in, off_t *at, size_t n)
{
	return fails_on(READ, in) ? -1 : syscall(SYS_sendfile, out, in, at, n);
}

ssize_t sendfile64(int out, int in, off_t *at, size_t n)
{
	return sendfile(out, in, at, n);
}

int fsync(int fd)
{
	return fails(SYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fails(SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	return fails(SYNC) ? -1 : (int)syscall(SYS_syncfs, fd);
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
	return fails(LINK) ? -1 : (int)syscall(SYS_linkat, a, from, b, to, flags);
}

int unlinkat(int at, const char *path, int flags)
{
	return fails(LINK) ? -1 : (int)syscall(SYS_unlinkat, at, path, flags);
}

int openat(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return fails(OPEN) ? -1 : (int)syscall(SYS_openat, at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list ap;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return openat(at, path, flags, mode);
}

#ifdef WITH_MALLOC
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	return fails(MEMORY) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(MEMORY) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails(MEMORY) ? NULL : __libc_realloc(p, n);
}
#endif
