/*
 * Phases of small bodies, of large ones and of both take turns until twenty times the cap is
 * written, by one process and by four, while another looks at every block that the store has on
 * disk, also in files without a name: never more than the cap, and what comes is stored, whatever
 * came before.
 *
 * LARDER_TEST_CAP_MIB sets the cap for a longer run, LARDER_TEST_DURABILITY=full syncs.
 */
#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define MIB         (1ull << 20)
#define CAP_MIB     24
#define TIMES       20
#define WRITERS_MAX 4
#define PHASES_MAX  64
#define SAMPLE_MS   10
#define FILES_MAX   4096
#define LARGE_MAX   (4u << 20)

static char bytes[LARGE_MAX];

enum phase { SMALL, LARGE, MIXED, PHASES };
static const char *const phase_names[PHASES] = {"small", "large", "mixed"};

/* What became of the second half of a phase: by then it has settled. */
struct tally {
	uint64_t asked, stored;
};

struct shared {
	uint64_t cap, written, numbers, wrong;
	int full_sync;
	struct tally tally[PHASES_MAX];
};

static size_t uniform(uint64_t *x, size_t min, size_t max)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return min + (size_t)(*x % (max - min));
}

static size_t length_of(enum phase phase, uint64_t *x, uint64_t cap)
{
	size_t most = cap / 16 < LARGE_MAX ? (size_t)(cap / 16) : LARGE_MAX;

	if (phase == SMALL || (phase == MIXED && uniform(x, 0, 8)))
		return uniform(x, 1024, 8192);
	return uniform(x, 100 << 10, most);
}

static unsigned phase_at(const struct shared *sh, uint64_t written)
{
	return (unsigned)(written / (sh->cap * 2));
}

/* One body each, told from the others by its beginning. */
static struct view body_of(uint64_t number, size_t len)
{
	memcpy(bytes, &number, sizeof(number));
	memcpy(bytes + len - sizeof(number), &number, sizeof(number));
	return view_make(bytes, len);
}

struct asked {
	struct fix *f;
	struct tally *tally;
};

static void settled(void *arg, int err)
{
	struct asked *a = arg;

	if (a->tally && !err)
		__atomic_fetch_add(&a->tally->stored, 1, __ATOMIC_RELAXED);
	/* Want of room is what this test counts; nothing else may go wrong. */
	ck_assert_msg(!err || err == LARDER_ENOSPC, "%s", larder_strerror(err));
	fix_done(a->f, err);
	free(a);
}

static void write_one(struct fix *f, uint64_t number, size_t len, struct tally *tally)
{
	struct view body = body_of(number, len);
	struct item it = {.body = body};
	struct asked *a = malloc(sizeof(*a));
	struct store_spool *sp = store_spool_new(f->s, len);
	struct store_record r;
	struct store_key key;
	char text[64];
	int err = 0;

	snprintf(text, sizeof(text), "GET http://host%lu.example/%lu", number % 7, number);
	*a = (struct asked){f, tally};
	fix_record(&it, &r);
	store_key_init(f->s, view_of(text), &key);
	if (tally)
		__atomic_fetch_add(&tally->asked, 1, __ATOMIC_RELAXED);
	/* In pieces, as bodies come. */
	for (size_t at = 0; !err && at < len; at += 64u << 10)
		err = store_spool_append(
		        sp, view_make(body.ptr + at, len - at < 64u << 10 ? len - at : 64u << 10));
	if (!err)
		err = store_commit(f->s, &key, &r, sp, settled, a);
	if (err)
		free(a);
	else
		f->pending++;
	ck_assert_msg(!err || err == LARDER_ENOSPC, "%s", larder_strerror(err));
	store_spool_unref(sp);
}

/* What is found is whole and the right one. */
static void look(struct fix *f, uint64_t number, size_t len)
{
	char text[64];

	snprintf(text, sizeof(text), "GET http://host%lu.example/%lu", number % 7, number);
	ck_assert_int_ge(fix_get(f, text, NULL, body_of(number, len)), 0);
}

static void writer(struct fix *f, struct shared *sh, unsigned w)
{
	uint64_t x = 88172645463325252ull + w, end = sh->cap * TIMES;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fix_open_store(f);
	while (__atomic_load_n(&sh->written, __ATOMIC_RELAXED) < end) {
		uint64_t number = 0, batch = 0;
		size_t len = 0;

		/* A few at a time, as clients ask. */
		for (int i = 0; i < 32 && batch < sh->cap / 128; i++) {
			uint64_t at = __atomic_load_n(&sh->written, __ATOMIC_RELAXED);
			unsigned p = phase_at(sh, at);
			bool second = at % (sh->cap * 2) > sh->cap;

			len = length_of((enum phase)(p % PHASES), &x, sh->cap);
			number = __atomic_fetch_add(&sh->numbers, 1, __ATOMIC_RELAXED);
			write_one(f, number, len, second && p < PHASES_MAX ? &sh->tally[p] : NULL);
			__atomic_fetch_add(&sh->written, len, __ATOMIC_RELAXED);
			batch += len;
		}
		if (f->pending)
			fix_wait(f);
		look(f, number, len);
	}
	fix_close_store(f);
	exit(0);
}

/* Files without a name that a process holds open; each is counted once, whoever has it. */
struct seen {
	ino_t ino[FILES_MAX];
	unsigned n;
};

/* Is it one of the store's? The test's own have names of their own. */
static bool ours(int fd_dir, const char *name, const char *dir)
{
	char target[256];
	ssize_t n = readlinkat(fd_dir, name, target, sizeof(target));

	return n > 0 && view_starts(view_make(target, (size_t)n), view_of(dir));
}

static uint64_t held_by(pid_t pid, const char *dir, struct seen *seen)
{
	char path[64];
	struct dirent *e;
	uint64_t sum = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		struct stat st;
		unsigned i = 0;

		if (!ours(dirfd(d), e->d_name, dir) || fstatat(dirfd(d), e->d_name, &st, 0) ||
		    st.st_nlink || !S_ISREG(st.st_mode))
			continue;
		while (i < seen->n && seen->ino[i] != st.st_ino)
			i++;
		if (i < seen->n)
			continue;
		if (seen->n < FILES_MAX)
			seen->ino[seen->n++] = st.st_ino;
		sum += (uint64_t)st.st_blocks * 512;
	}
	if (d)
		closedir(d);
	return sum;
}

struct sample {
	uint64_t max, named, held; /* the highest sum, and what it was made of */
	uint64_t held_max, n;
};

static void sample(const struct fix *f, const pid_t *pids, unsigned n, int turn, struct sample *s)
{
	struct seen seen = {.n = 0};
	uint64_t named, held = 0;

	/* Nobody links or unlinks meanwhile: a walk sees no body both go and come. */
	flock(turn, LOCK_EX);
	for (unsigned i = 0; i < n; i++)
		held += held_by(pids[i], f->dir, &seen);
	named = fix_du(f);
	flock(turn, LOCK_UN);
	if (named + held > s->max) {
		s->max = named + held;
		s->named = named;
		s->held = held;
	}
	if (held > s->held_max)
		s->held_max = held;
	s->n++;
}

/* Samples until all writers are done. */
static void watch(const struct fix *f, pid_t *pids, unsigned n, struct sample *s)
{
	char path[256];
	int turn, status;

	snprintf(path, sizeof(path), "%s/index/turn", f->dir);
	while ((turn = open(path, O_RDONLY)) < 0)
		poll(NULL, 0, 1);
	while (n) {
		sample(f, pids, n, turn, s);
		poll(NULL, 0, SAMPLE_MS);
		for (unsigned i = n; i-- > 0;) {
			pid_t pid = waitpid(pids[i], &status, WNOHANG);

			if (!pid)
				continue;
			ck_assert_int_eq(pid, pids[i]);
			ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0,
			              "a writer ended with status %x", (unsigned)status);
			pids[i] = pids[--n];
		}
	}
	close(turn);
}

/* Nine of ten are stored, of each kind. */
static void judge(const struct shared *sh)
{
	struct tally sum[PHASES] = {0};

	for (unsigned p = 0; p < PHASES_MAX; p++) {
		sum[p % PHASES].asked += sh->tally[p].asked;
		sum[p % PHASES].stored += sh->tally[p].stored;
	}
	for (unsigned k = 0; k < PHASES; k++)
		fprintf(stderr, "  %s: %lu of %lu stored\n", phase_names[k], sum[k].stored,
		        sum[k].asked);
	for (unsigned k = 0; k < PHASES; k++)
		ck_assert_msg(sum[k].asked > 0 && sum[k].stored * 10 >= sum[k].asked * 9,
		              "%s: %lu of %lu stored", phase_names[k], sum[k].stored, sum[k].asked);
}

static uint64_t cap_mib(void)
{
	const char *text = getenv("LARDER_TEST_CAP_MIB");

	return text ? strtoull(text, NULL, 10) : CAP_MIB;
}

static const unsigned writers[] = {1, WRITERS_MAX};

START_TEST(never_above_the_cap)
{
	const char *durability = getenv("LARDER_TEST_DURABILITY");
	struct shared *sh =
	        mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned n = writers[_i];
	pid_t pids[WRITERS_MAX];
	struct sample s = {0};
	struct fix f;

	ck_assert(sh != MAP_FAILED);
	sh->cap = cap_mib() * MIB;
	fix_bytes(bytes, sizeof(bytes), 7);
	fix_init(&f, sh->cap);
	f.options.durability = durability && !strcmp(durability, "full") ? 0 : 2;
	fix_open_home(&f);
	for (unsigned w = 0; w < n; w++) {
		pids[w] = fork();
		ck_assert_int_ge(pids[w], 0);
		if (!pids[w])
			writer(&f, sh, w);
	}
	watch(&f, pids, n, &s);
	fprintf(stderr,
	        "%u writers, cap %lu KiB: %lu bodies, %lu MiB; at most %lu KiB on disk (%lu named, "
	        "%lu "
	        "without a name; of those at most %lu), %lu samples\n",
	        n, sh->cap >> 10, sh->numbers, sh->written >> 20, s.max >> 10, s.named >> 10,
	        s.held >> 10, s.held_max >> 10, s.n);
	ck_assert_msg(s.max <= sh->cap, "%lu bytes on disk", s.max);
	judge(sh);
	fix_open_store(&f);
	ck_assert_int_eq(fix_verify(&f), 0);
	fix_stop(&f);
	munmap(sh, sizeof(*sh));
}
END_TEST

/* A folder keeps the size that it once had. */
START_TEST(folders_count)
{
	struct item it = {.key = "GET http://a.example/", .body = fix_bytes(bytes, 100000, 1)};
	struct store_usage before, after;
	char name[700], blobs[256];
	uint64_t blocks = 0;
	struct dirent *e;
	struct stat st;
	struct fix f;
	DIR *d;

	fix_start(&f, 64 * MIB);
	ck_assert_int_eq(fix_put(&f, &it), 0);
	ck_assert_int_eq(store_usage(f.s, &before), 0);
	snprintf(blobs, sizeof(blobs), "%s/blobs", f.dir);
	d = opendir(blobs);
	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		for (int i = 0; i < 2000; i++) {
			snprintf(name, sizeof(name), "%s/%s/%0100d", blobs, e->d_name, i);
			ck_assert_int_eq(close(creat(name, 0600)), 0);
		}
		for (int i = 0; i < 2000; i++) {
			snprintf(name, sizeof(name), "%s/%s/%0100d", blobs, e->d_name, i);
			ck_assert_int_eq(unlink(name), 0);
		}
		snprintf(name, sizeof(name), "%s/%s", blobs, e->d_name);
		ck_assert_int_eq(stat(name, &st), 0);
		blocks += (uint64_t)st.st_blocks * 512;
	}
	closedir(d);
	store_maintain(f.s, clock_mono_ms());
	ck_assert_int_eq(store_usage(f.s, &after), 0);
	ck_assert_uint_ge(after.blob_bytes, 100000 + blocks);
	ck_assert_uint_ge(after.blob_bytes, before.blob_bytes);
	fix_stop(&f);
}
END_TEST

UNIT_MAIN("store/churn", tcase_set_timeout(tc, cap_mib() > CAP_MIB ? 3600 : 120);
          tcase_add_loop_test(tc, never_above_the_cap, 0, ARRAY_LEN(writers));
          tcase_add_test(tc, folders_count);)
