/* Whether another process runs, and is the same as before. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"
#include "unit.h"

START_TEST(ourselves)
{
	uint32_t pid = (uint32_t)getpid();
	uint64_t start = process_start(pid);

	ck_assert_uint_gt(start, 0);
	ck_assert(process_runs(pid, start));
	ck_assert(process_runs(pid, 0));
	ck_assert(!process_runs(pid, start + 1));
}
END_TEST

START_TEST(a_child_that_ends)
{
	pid_t pid = fork();
	uint64_t start;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		for (;;)
			pause();
	}
	start = process_start((uint32_t)pid);
	ck_assert(process_runs((uint32_t)pid, start));
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_uint_eq(process_start((uint32_t)pid), 0);
	ck_assert(!process_runs((uint32_t)pid, start));
	ck_assert(!process_runs((uint32_t)pid, 0));
}
END_TEST

UNIT_MAIN("base/process", tcase_add_test(tc, ourselves); tcase_add_test(tc, a_child_that_ends);)
