/*
 * Files get onto the disk one by one, or the file system does as a whole: for the bodies of a batch
 * that is a twentieth of the time, unless others keep the file system busy. Both are measured.
 */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "write.h"

#define SYNC_ALL_MIN 4 /* files for which it may pay */

bool sync_all_pays(struct store *s, unsigned files)
{
	struct sync_cost *c = &s->writer.sync;

	if (files < SYNC_ALL_MIN)
		return false;
	if (c->all_us <= c->one_us * files)
		return true;
	/* It is asked again some time: the others may be done. */
	c->all_us -= c->all_us / 16;
	return false;
}

int sync_all(struct store *s)
{
	uint64_t start = clock_mono_us();

	if (syncfs(s->blobs_fd))
		return larder_from_errno(errno);
	s->writer.sync.all_us = clock_mono_us() - start;
	return 0;
}

int sync_one(struct store *s, int fd)
{
	struct sync_cost *c = &s->writer.sync;
	uint64_t start = clock_mono_us();

	if (fsync(fd))
		return larder_from_errno(errno);
	c->one_us = (c->one_us * 7 + clock_mono_us() - start) / 8;
	return 0;
}
