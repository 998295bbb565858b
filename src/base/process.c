#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/num.h"

uint64_t process_start(uint32_t pid)
{
	char path[32], text[1024];
	struct view rest, field = {0};
	uint64_t n = 0;
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text));
	close(fd);
	if (len <= 0)
		return 0;
	/* The name before it may hold anything, but ends with the last ')'. */
	rest = view_make(text, (size_t)len);
	rest = view_from(rest, view_rfind(rest, ')'));
	for (int i = 0; i < 21 && rest.len; i++)
		field = view_cut(rest, ' ', &rest);
	return num_parse_u64(field, UINT64_MAX, &n) ? 0 : n;
}

bool process_runs(uint32_t pid, uint64_t start)
{
	uint64_t now;

	if (kill((pid_t)pid, 0) && errno == ESRCH)
		return false;
	now = process_start(pid);
	/* It may have ended in between; what can't be known, for want of descriptors perhaps, is not so. */
	if (!now)
		return !kill((pid_t)pid, 0) || errno != ESRCH;
	return !start || now == start;
}
