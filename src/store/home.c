#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "log/log.h"
#include "store-private.h"

#define HOME_MAGIC        0x484f4d45u
#define HOME_FORMAT       "larder store 3\n"
#define HOME_SIZE_DEFAULT (20ull << 30)
#define HOME_SIZE_MIN     (4ull << 20)
#define HOME_DYING_MS     2000 /* children of a killed master get this long */

static int fail(char **why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fail(char **why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(why, fmt, ap) < 0)
		*why = NULL;
	va_end(ap);
	return err;
}

/* The folders above it get the usual rights of the user's mask. */
static int make_path(const char *dir)
{
	char path[4096];

	if (!view_copy(view_of(dir), path, sizeof(path)))
		return ENAMETOOLONG;
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) && errno != EEXIST)
			return errno;
		*p = '/';
	}
	return mkdir(path, 0700) && errno != EEXIST ? errno : 0;
}

static int own(int fd, uid_t uid, gid_t gid)
{
	struct stat st;

	if (fstat(fd, &st))
		return errno;
	if ((uid == (uid_t)-1 || st.st_uid == uid) && (gid == (gid_t)-1 || st.st_gid == gid))
		return 0;
	return fchown(fd, uid, gid) ? errno : 0;
}

/* A folder of ours; never through a link that somebody else put there. */
static int open_folder(int at, const char *name, uid_t uid, gid_t gid, int *out)
{
	int fd, err;

	if (mkdirat(at, name, 0700) && errno != EEXIST)
		return errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	err = own(fd, uid, gid);
	if (err || !out)
		close(fd);
	else
		*out = fd;
	return err;
}

int home_format(int dir_fd)
{
	int fd = openat(dir_fd, "format", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[64];
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : larder_from_errno(errno);
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n == (ssize_t)strlen(HOME_FORMAT) && !memcmp(text, HOME_FORMAT, (size_t)n))
		return 1;
	return LARDER_EVERSION;
}

static bool index_exists(int dir_fd)
{
	struct stat st;

	return fstatat(dir_fd, "index/data.mdb", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int write_format(int dir_fd, uid_t uid, gid_t gid)
{
	int fd = openat(dir_fd, "format.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
	                0600);
	int err;

	if (fd < 0)
		return errno;
	err = write(fd, HOME_FORMAT, strlen(HOME_FORMAT)) == (ssize_t)strlen(HOME_FORMAT) ? 0 : EIO;
	if (!err)
		err = own(fd, uid, gid);
	if (!err && fsync(fd))
		err = errno;
	close(fd);
	if (!err && (renameat(dir_fd, "format.new", dir_fd, "format") || fsync(dir_fd)))
		err = errno;
	return err;
}

void home_note_write(int lock_fd, const struct home_note *note)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "%20llu %20llu %20llu\n",
	                 (unsigned long long)note->pid, (unsigned long long)note->cap,
	                 (unsigned long long)note->allocated);

	/* It only informs: a failure changes nothing. */
	if (pwrite(lock_fd, text, (size_t)n, 0) != n)
		return;
}

void home_note_read(int lock_fd, struct home_note *note)
{
	char text[96];
	ssize_t n = pread(lock_fd, text, sizeof(text), 0);
	struct view rest =
	        view_trim(view_make(text, n > 0 ? view_find(view_make(text, (size_t)n), '\n') : 0));
	uint64_t *cells[] = {&note->pid, &note->cap, &note->allocated};

	*note = (struct home_note){0};
	for (size_t i = 0; i < ARRAY_LEN(cells); i++) {
		if (num_parse_u64(view_cut(rest, ' ', &rest), UINT64_MAX, cells[i]))
			return;
		rest = view_trim(rest);
	}
}

static bool alive(uint64_t pid)
{
	return pid > 0 && pid < INT32_MAX && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

int home_lock(int dir_fd, int *lock_fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	uint64_t start = clock_mono_ms();
	struct home_note note;

	if (fd < 0)
		return larder_from_errno(errno);
	while (fcntl(fd, F_OFD_SETLK, &fl)) {
		int err = errno == EACCES ? EAGAIN : errno;

		home_note_read(fd, &note);
		/* A killed master's children hold the lock until the kernel has ended them. */
		if (err == EAGAIN && note.pid && !alive(note.pid) &&
		    clock_mono_ms() - start < HOME_DYING_MS) {
			poll(NULL, 0, 10);
			continue;
		}
		close(fd);
		return err == EAGAIN ? LARDER_EBUSY : larder_from_errno(err);
	}
	*lock_fd = fd;
	return 0;
}

/* Names are "PID.START.NUMBER". */
static bool spool_stale(const char *name)
{
	uint64_t pid;
	struct view rest;

	return num_parse_u64(view_cut(view_of(name), '.', &rest), INT32_MAX, &pid) == 0 &&
	       !alive(pid);
}

void home_clear_spool(int spool_fd, bool all)
{
	int fd = openat(spool_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.' && (all || spool_stale(e->d_name)))
			unlinkat(spool_fd, e->d_name, 0);
	}
	closedir(dir);
}

/* Half of the free disk, what the store has already counting as free. */
static uint64_t default_size(int dir_fd, const struct home_note *note)
{
	struct statvfs v;
	uint64_t size;

	if (fstatvfs(dir_fd, &v))
		return HOME_SIZE_DEFAULT;
	size = ((uint64_t)v.f_bavail * v.f_frsize + note->allocated) / 2;
	if (size < HOME_SIZE_MIN)
		size = HOME_SIZE_MIN;
	return size < HOME_SIZE_DEFAULT ? size : HOME_SIZE_DEFAULT;
}

static int prepare_folders(int dir_fd, uid_t uid, gid_t gid)
{
	static const char *const files[] = {"lock", "format", "index/data.mdb", "index/lock.mdb",
	                                    "index/turn"};
	int spool_fd = -1, err = open_folder(dir_fd, "index", uid, gid, NULL);
	bool lost;

	if (!err)
		err = open_folder(dir_fd, "blobs", uid, gid, NULL);
	if (!err)
		err = open_folder(dir_fd, "spool", uid, gid, &spool_fd);
	if (err)
		return err;
	home_clear_spool(spool_fd, true);
	close(spool_fd);
	lost = power_lost(dir_fd);
	err = lost ? power_empty(dir_fd) : power_settle(dir_fd);
	if (err)
		return EIO;
	if (lost)
		log_warning("store: the machine was stopped before what was written last without syncs "
		            "had reached the disk: all that was stored has been removed");
	for (size_t i = 0; i < ARRAY_LEN(files) && (uid != (uid_t)-1 || gid != (gid_t)-1); i++) {
		if (fchownat(dir_fd, files[i], uid, gid, AT_SYMLINK_NOFOLLOW) && errno != ENOENT)
			return errno;
	}
	return 0;
}

static int check_format(const char *dir, int dir_fd, uid_t uid, gid_t gid, char **why)
{
	int found = home_format(dir_fd), err;

	if (found == 1)
		return 0;
	if (found == LARDER_EVERSION || (!found && index_exists(dir_fd)))
		return fail(why, LARDER_EVERSION,
		            "%s/format is not \"larder store 3\": the store was made by another "
		            "version of larder; move it away or name another directory",
		            dir);
	if (found < 0)
		return fail(why, found, "%s/format: %s", dir, larder_strerror(found));
	err = write_format(dir_fd, uid, gid);
	if (err)
		return fail(why, larder_from_errno(err), "%s/format: %s", dir, strerror(err));
	return 0;
}

/* All but the memory. */
static int prepare(const char *dir, uint64_t *size, uid_t uid, gid_t gid, int *lock_fd, char **why)
{
	struct home_note note;
	int fd = -1, lock = -1, err = make_path(dir), ret;

	if (!err) {
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		err = fd < 0 ? errno : own(fd, uid, gid);
	}
	if (err) {
		ret = fail(why, larder_from_errno(err), "%s: %s", dir, strerror(err));
		goto out;
	}
	ret = home_lock(fd, &lock);
	if (ret) {
		fail(why, ret,
		     ret == LARDER_EBUSY ? "%s is in use by another larder"
		                         : "%s/lock can't be locked",
		     dir);
		goto out;
	}
	ret = check_format(dir, fd, uid, gid, why);
	if (ret)
		goto out;
	err = prepare_folders(fd, uid, gid);
	if (err) {
		ret = fail(why, larder_from_errno(err), "%s: %s", dir, strerror(err));
		goto out;
	}
	home_note_read(lock, &note);
	if (!*size)
		*size = default_size(fd, &note);
	note.pid = (uint64_t)getpid();
	note.cap = *size;
	home_note_write(lock, &note);
	*lock_fd = lock;
	lock = -1;
out:
	if (lock >= 0)
		close(lock);
	if (fd >= 0)
		close(fd);
	return ret;
}

int store_home_open(const char *dir, uint64_t size, uid_t uid, gid_t gid, struct store_home **out,
                    char **why)
{
	struct store_home *home;
	int err;

	*why = NULL;
	if (size && size < HOME_SIZE_MIN)
		return fail(why, LARDER_EINVAL, "a store of less than %lluM is too small",
		            HOME_SIZE_MIN >> 20);
	home = calloc(1, sizeof(*home));
	if (!home)
		return fail(why, LARDER_ENOMEM, "out of memory");
	home->magic = HOME_MAGIC;
	home->lock_fd = -1;
	err = prepare(dir, &size, uid, gid, &home->lock_fd, why);
	if (!err) {
		home->dir = realpath(dir, NULL);
		home->pool = pool_new(size);
		if (!home->dir || !home->pool)
			err = fail(why, LARDER_ENOMEM, "out of memory");
	}
	if (err) {
		store_home_free(home);
		return err;
	}
	*out = home;
	return 0;
}

/* Everybody is gone: what was not synced is now. */
static void settle(const struct store_home *home)
{
	int fd = home->dir ? open(home->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	if (power_settle(fd))
		log_warning("store: %s can't be synced: after a power cut it would be emptied", home->dir);
	close(fd);
}

void store_home_free(struct store_home *home)
{
	if (!home)
		return;
	check_magic(home, HOME_MAGIC);
	if (home->lock_fd >= 0) {
		settle(home);
		close(home->lock_fd);
	}
	pool_free(home->pool);
	free(home->dir);
	home->magic = 0;
	free(home);
}

uint64_t store_home_size(const struct store_home *home)
{
	check_magic(home, HOME_MAGIC);
	return pool_get(&home->pool->cap);
}

void store_home_set_size(struct store_home *home, uint64_t size)
{
	check_magic(home, HOME_MAGIC);
	pool_set(&home->pool->cap, size < HOME_SIZE_MIN ? HOME_SIZE_MIN : size);
}
