#include "fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MIB      (1u << 20)
#define BODY_MAX (1u << 20)
static char bytes[BODY_MAX];

/* Sizes in turns: phases of small responses and phases of files, which starve each other where
 * free pages of the index are not given back. */
static const struct churn {
	const char *name;
	uint64_t cap;
	size_t small, large;
	unsigned phase; /* responses in a row of one size */
	unsigned batch; /* queued at once */
	unsigned times; /* how often the cap is written */
} churns[] = {
        {"4 KiB and 300 KiB", 8 * MIB, 4096, 300000, 200, 40, 20},
        {"28 KiB and 100 KiB", 16 * MIB, 28000, 100000, 100, 20, 8},
        {"64 KiB and 1 MiB", 16 * MIB, 65536, 1000000, 40, 6, 8},
        {"1 KiB and 20 KiB, all in the index", 12 * MIB, 1000, 20000, 2000, 200, 3},
};

struct sample {
	uint64_t max, n;
	int stop;
};

/* A process that looks at the blocks all the time. */
static pid_t sampler(struct fix *f, struct sample *s)
{
	char path[256];
	int turn;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(path, sizeof(path), "%s/index/turn", f->dir);
	while ((turn = open(path, O_RDONLY)) < 0)
		poll(NULL, 0, 1);
	while (!__atomic_load_n(&s->stop, __ATOMIC_SEQ_CST)) {
		uint64_t now;

		/* Nobody links or unlinks meanwhile: a walk sees no body both go and come. */
		flock(turn, LOCK_EX);
		now = fix_du(f);
		flock(turn, LOCK_UN);
		if (now > s->max)
			s->max = now;
		s->n++;
		/* Leaves the processors to those that are watched. */
		poll(NULL, 0, 5);
	}
	_exit(0);
}

static struct sample *sample_new(void)
{
	struct sample *s =
	        mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert(s != MAP_FAILED);
	return s;
}

START_TEST(never_above_the_cap)
{
	const struct churn *c = &churns[_i];
	struct sample *sample = sample_new();
	uint64_t written = 0, n = 0, stored = 0, highest = 0;
	struct store_usage u;
	char key[64];
	struct fix f;
	pid_t pid;

	fix_init(&f, c->cap);
	/* A machine under load is slow, which is not the point here. */
	f.options.store_wait = 20000;
	/* Syncs change nothing here but the time that it takes: one row has them. */
	f.options.durability = _i ? 2 : 0;
	fix_open_home(&f);
	/* Before there are threads: one of them might hold the allocator's lock. */
	pid = sampler(&f, sample);
	fix_open_store(&f);
	while (written < c->cap * c->times) {
		for (unsigned i = 0; i < c->batch; i++, n++) {
			size_t len = n / c->phase % 2 ? c->large : c->small;
			struct item it = {.key = key};

			snprintf(key, sizeof(key), "GET http://host%lu.example/%lu", n % 7, n);
			it.body = fix_bytes(bytes, len - n % 100, n);
			stored += fix_queue(&f, &it) == 0;
			written += len;
		}
		if (f.pending)
			fix_wait(&f);
		ck_assert_int_eq(store_usage(f.s, &u), 0);
		if (u.allocated > highest)
			highest = u.allocated;
	}
	sample->stop = 1;
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(store_usage(f.s, &u), 0);
	fprintf(stderr,
	        "%s: %lu asked, %lu queued, %lu stored, %lu refused, %lu waits; at most %lu KiB by "
	        "du (%lu "
	        "samples), %lu KiB by account; now %lu records, index %lu KiB (%lu free), blobs "
	        "%lu KiB\n",
	        c->name, n, stored, stat_get(&f.stats.inserts), stat_get(&f.stats.refused_full),
	        stat_get(&f.stats.waits), sample->max >> 10, sample->n, highest >> 10, u.records,
	        u.index_bytes >> 10, u.index_free_bytes >> 10, u.blob_bytes >> 10);
	ck_assert_msg(sample->max <= c->cap, "%lu bytes allocated", sample->max);
	ck_assert_uint_le(highest, c->cap);
	/* The cap is used, and nearly everything finds its place. */
	ck_assert_uint_ge(highest, c->cap / 2);
	ck_assert_uint_ge(stat_get(&f.stats.inserts), n * 95 / 100);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
	munmap(sample, sizeof(*sample));
}
END_TEST

UNIT_MAIN("store/cap", tcase_add_loop_test(tc, never_above_the_cap, 0, ARRAY_LEN(churns));)
