/* The check of everything that is stored, and its repair. */
#include <limits.h>

#include "audit.h"
#include "base/clock.h"
#include "store/list.h"

#define STEP_MS    200 /* between two calls of the progress */
#define ROUNDS_MAX 8   /* passes until a repair finds nothing left */

struct verify {
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void (*problem)(void *arg, const char *text);
	void *arg;
};

static int run(struct audit *a, const struct verify *v)
{
	int ret = audit_begin(a);

	while (!ret && (ret = audit_step(a, UINT64_MAX / 2, STEP_MS)) == 1) {
		ret = 0;
		if (v->progress)
			v->progress(v->arg, a->done, a->total);
	}
	audit_end(a);
	return ret;
}

/* What was dropped leaves traces that the next pass finds; they are no news. */
static int repair(struct store *s, const struct verify *v)
{
	uint64_t faults = 1;
	int err = 0;

	for (unsigned round = 1; faults && !err && round < ROUNDS_MAX; round++) {
		struct audit a = {
		        .s = s, .fix = true, .exclusive = true, .orphans = true, .round = round};

		err = run(&a, v);
		faults = a.faults;
		/* The files of what was dropped. */
		if (!err)
			err = (int)store_remove_some(s, NULL, 0);
	}
	return err;
}

int store_verify(struct store *s, bool deep, bool repair_it,
                 void (*progress)(void *arg, uint64_t done, uint64_t total),
                 void (*problem)(void *arg, const char *text), void *arg)
{
	struct verify v = {progress, problem, arg};
	struct audit a = {.s = s,
	                  .deep = deep,
	                  .fix = repair_it,
	                  .orphans = true,
	                  .found = problem,
	                  .arg = arg};
	int err, found;

	check_magic(s, STORE_MAGIC);
	if (repair_it && (s->readonly || s->writer.running))
		return LARDER_EPERM;
	a.exclusive = s->tool && !s->readonly;
	err = run(&a, &v);
	found = a.faults < INT_MAX ? (int)a.faults : INT_MAX;
	if (!err && found && repair_it)
		err = repair(s, &v);
	if (!err && progress)
		progress(arg, a.total, a.total);
	return err ? err : found;
}
