/*
 * What a power cut may have done to the store, seen before anything in it is opened.
 *
 * With durability full or batch the order of syncs sees to it that a cut costs the last moments and
 * nothing else. With none it may leave any mixture of old and new pages: before anything is written
 * so, a file that names the boot of the machine is put beside the index, and it goes when all has
 * been synced at the end. Found under another boot, it says that nothing here can be trusted.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "write.h"

#define MARK      "unsynced"
#define BOOT_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_LEN  36

struct boot {
	char id[BOOT_LEN + 1]; /* "": unknown, and then like no other */
};

static struct boot read_boot(int at, const char *path)
{
	struct boot b = {""};
	int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return b;
	if (pread(fd, b.id, BOOT_LEN, 0) != BOOT_LEN)
		b.id[0] = '\0';
	close(fd);
	return b;
}

static bool marked(int dir_fd)
{
	struct stat st;

	return fstatat(dir_fd, MARK, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool marked_now(int dir_fd)
{
	struct boot now = read_boot(AT_FDCWD, BOOT_FILE), then = read_boot(dir_fd, MARK);

	return now.id[0] && !strcmp(now.id, then.id);
}

static int sync_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), err = 0;

	if (fd < 0)
		return larder_from_errno(errno);
	if (fsync(fd))
		err = larder_from_errno(errno);
	close(fd);
	return err;
}

static int write_mark(int dir_fd)
{
	struct boot now = read_boot(AT_FDCWD, BOOT_FILE);
	char name[40];
	int fd, err = 0;

	snprintf(name, sizeof(name), MARK ".%d", (int)getpid());
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return larder_from_errno(errno);
	if (pwrite(fd, now.id, BOOT_LEN, 0) != BOOT_LEN || fsync(fd) ||
	    renameat(dir_fd, name, dir_fd, MARK))
		err = larder_from_errno(errno);
	close(fd);
	if (err)
		unlinkat(dir_fd, name, 0);
	return err;
}

int power_mark(int dir_fd)
{
	int err = marked_now(dir_fd) ? 0 : write_mark(dir_fd);

	/* Whoever wrote it may not have come to this yet. */
	return err ? err : sync_folder(dir_fd, ".");
}

int power_settle(int dir_fd)
{
	if (!marked(dir_fd))
		return 0;
	if (syncfs(dir_fd) || (unlinkat(dir_fd, MARK, 0) && errno != ENOENT))
		return larder_from_errno(errno);
	return sync_folder(dir_fd, ".");
}

/* LMDB's two first pages are there from the first commit on that was synced. */
static bool index_begun(int dir_fd)
{
	static const uint32_t magic = 0xbeefc0de;
	uint32_t page[16] = {0}, second = 0;
	struct stat st;
	int fd = openat(dir_fd, "index/data.mdb", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool ok;

	if (fd < 0)
		return true;
	ok = fstat(fd, &st) == 0 && st.st_size == 0;
	if (!ok && pread(fd, page, sizeof(page), 0) == (ssize_t)sizeof(page))
		/* A page's head of 16 bytes, magic, version, address, size of the map, size of a
		 * page. */
		ok = page[4] == magic && page[10] >= 512 && page[10] <= 65536 &&
		     pread(fd, &second, sizeof(second), page[10] + 16) == (ssize_t)sizeof(second) &&
		     second == magic;
	close(fd);
	return ok;
}

bool power_lost(int dir_fd)
{
	return (marked(dir_fd) && !marked_now(dir_fd)) || !index_begun(dir_fd);
}

static int empty_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int err = 0;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return fd < 0 && errno == ENOENT ? 0 : LARDER_EIO;
	}
	while (!err && (e = readdir(d))) {
		if (e->d_name[0] != '.' && unlinkat(dirfd(d), e->d_name, 0))
			err = larder_from_errno(errno);
	}
	closedir(d);
	return err;
}

int power_empty(int dir_fd)
{
	char name[sizeof("blobs/xx")];
	int err = empty_folder(dir_fd, "index");

	if (!err)
		err = empty_folder(dir_fd, "parts");
	for (unsigned i = 0; i < 256 && !err; i++) {
		snprintf(name, sizeof(name), "blobs/%02x", i);
		err = empty_folder(dir_fd, name);
	}
	/* The mark goes once there is nothing left that it warns of. */
	if (!err && syncfs(dir_fd))
		err = larder_from_errno(errno);
	return err ? err : power_settle(dir_fd);
}
