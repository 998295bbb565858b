#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void check_failed(const char *what, const char *file, int line, const char *func)
{
	dprintf(STDERR_FILENO, "larder[%d]: check failed: %s (%s, %s:%d)\n", (int)getpid(), what, func,
	        file, line);
	abort();
}
