/* Several processes write and are killed at random: what was acknowledged stays, byte for byte. */
#include "partial.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"

#define WRITERS  3
#define ROUNDS   12
#define KEYS     64
#define BODY_MAX 200000

static char bytes[BODY_MAX], part_bytes[BODY_MAX];

struct shared {
	uint32_t acked[WRITERS][KEYS]; /* generation of the body, 0: none */
	uint32_t asked[WRITERS][KEYS];
	uint64_t acks;
};

static size_t body_len(unsigned w, unsigned k)
{
	static const size_t lens[] = {100, 3000, 9000, 70000, 20, 60000, 150000, 1500};

	return lens[(w + k) % ARRAY_LEN(lens)] + k % 50;
}

/* Every fourth is the same under all keys of that length, so that files are shared. */
static struct view body_of(unsigned w, unsigned k, uint32_t generation)
{
	return fix_bytes(bytes, body_len(w, k), k % 4 ? w * 1000003u + k * 101u + generation : 1);
}

struct ack {
	struct fix *f;
	struct shared *shared;
	unsigned w, k;
	uint32_t generation;
};

static void acked(void *arg, int err)
{
	struct ack *a = arg;

	if (!err) {
		__atomic_store_n(&a->shared->acked[a->w][a->k], a->generation, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&a->shared->acks, 1, __ATOMIC_SEQ_CST);
	}
	fix_done(a->f, err);
	free(a);
}

static void write_one(struct fix *f, struct shared *shared, unsigned w, unsigned k)
{
	struct ack *a = malloc(sizeof(*a));
	uint32_t generation = shared->asked[w][k] + 1;
	struct view body = body_of(w, k, generation);
	struct item it = {.body = body};
	struct store_spool *sp = store_spool_new(f->s, body.len);
	struct store_record r;
	struct store_key key;
	char text[64], tags[64];

	snprintf(text, sizeof(text), "GET http://writer%u.example/%u", w, k);
	snprintf(tags, sizeof(tags), "scope\nk%u-%u\ngall\nk%u\n", w, k, generation % 3);
	it.tags = tags;
	shared->asked[w][k] = generation;
	*a = (struct ack){f, shared, w, k, generation};
	fix_record(&it, &r);
	r.purges = store_purges(f->s);
	store_key_init(f->s, view_of(text), &key);
	if (store_spool_append(sp, body) == 0 && store_commit(f->s, &key, &r, sp, acked, a) == 0)
		f->pending++;
	else
		free(a);
	store_spool_unref(sp);
}

/* What is being removed may be there or not. */
static void remove_one(struct fix *f, struct shared *shared, unsigned w, unsigned k)
{
	struct store_key key;
	char text[64];

	shared->acked[w][k] = 0;
	snprintf(text, sizeof(text), "GET http://writer%u.example/%u", w, k);
	store_key_init(f->s, view_of(text), &key);
	if (store_remove(f->s, &key, fix_done, f) == 0)
		f->pending++;
}

/* The same by a tag that it alone has. */
static void purge_one(struct fix *f, struct shared *shared, unsigned w, unsigned k)
{
	char tag[64];
	struct store_purge what = {.kind = STORE_PURGE_TAG, .scope = V("scope")};

	shared->acked[w][k] = 0;
	snprintf(tag, sizeof(tag), "%u-%u", w, k);
	what.text = view_of(tag);
	if (store_purge(f->s, &what, fix_purged, f) == 0)
		f->pending++;
}

static struct partial a_part(void)
{
	return (struct partial){.item = {.key = "GET http://shared.example/part",
	                                 .body = fix_bytes(part_bytes, BODY_MAX, 77)}};
}

/* All writers put stretches into the same body, and take it away now and then. */
static void work_in_part(struct fix *f, unsigned w, unsigned n)
{
	struct partial p = a_part();
	uint64_t at = (n * 7919 + w * 104729) % (BODY_MAX - 9000);

	if (n % 50 == 49)
		fix_remove(f, p.item.key);
	if (partial_open(f, &p) && partial_create(f, &p))
		return;
	partial_add(f, &p, at, at + 9000);
	if (n % 20 == 19)
		partial_finish(f, &p);
	partial_close(f, &p);
}

static void writer(struct fix *f, struct shared *shared, unsigned w)
{
	unsigned k = 0, n = w;

	/* A failed test leaves none of them. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fix_open_store(f);
	for (;;) {
		for (int i = 0; i < 8; i++, k = (k + 1) % KEYS)
			write_one(f, shared, w, k);
		remove_one(f, shared, w, k = (k + 5) % KEYS);
		purge_one(f, shared, w, k = (k + 5) % KEYS);
		if (f->pending)
			fix_wait(f);
		work_in_part(f, w, n++);
	}
}

static void wait_acks(struct shared *shared, uint64_t more)
{
	uint64_t until = shared->acks + more, start = clock_mono_ms();

	while (__atomic_load_n(&shared->acks, __ATOMIC_SEQ_CST) < until) {
		ck_assert_uint_lt(clock_mono_ms() - start, 20000);
		usleep(200);
	}
}

/* What was acknowledged, or what was asked for after it and may have been committed. */
static void check_all(struct fix *f, struct shared *shared, bool evicts)
{
	struct partial p = a_part();
	struct store_extents have;
	int ret = partial_find(f, &p, &have);

	store_extents_fini(&have);
	ck_assert_msg(ret >= STORE_NONE, "the body in part is wrong: %d", ret);
	struct store_hit hit;
	char text[64];

	for (unsigned w = 0; w < WRITERS; w++) {
		for (unsigned k = 0; k < KEYS; k++) {
			uint32_t g = shared->acked[w][k], last = shared->asked[w][k];
			bool same = false;

			if (!g)
				continue;
			snprintf(text, sizeof(text), "GET http://writer%u.example/%u", w, k);
			if (fix_find(f, text, NULL, &hit) != STORE_FOUND) {
				ck_assert_msg(evicts, "%s was lost", text);
				continue;
			}
			for (; g <= last && !same; g++)
				same = fix_body_is(&hit, body_of(w, k, g));
			ck_assert_msg(same, "%s has another body", text);
			store_hit_done(f->s, &hit);
		}
	}
}

static uint64_t blob_files;

static int count_blob(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	blob_files += flag == FTW_F && ftw->level == 3 && strstr(path, "/blobs/");
	return 0;
}

/* Files go two transactions after their last use, and a purge that one of the dead began goes on
 * beside us. */
static void wait_files(struct fix *f, struct store_usage *u)
{
	uint64_t start = clock_mono_ms(), late = 0;

	do {
		ck_assert_int_eq(fix_remove(f, "GET http://nowhere/"), 0);
		ck_assert_int_eq(store_usage(f->s, u), 0);
		blob_files = 0;
		nftw(f->dir, count_blob, 16, FTW_PHYS);
		late = clock_mono_ms() - start;
	} while (blob_files != u->blobs && late < 10000);
	ck_assert_uint_eq(blob_files, u->blobs);
}

static const struct {
	int durability;
	uint64_t cap;
	bool evicts; /* the cap is less than what is written */
} rows[] = {
        {0, 512u << 20, false}, {1, 512u << 20, false}, {2, 512u << 20, false},
        {0, 6u << 20, true},    {2, 6u << 20, true},
};

START_TEST(killed_writers_lose_nothing)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct store_usage u;
	pid_t pids[WRITERS];
	struct fix f;

	ck_assert(shared != MAP_FAILED);
	fix_init(&f, rows[_i].cap);
	f.options.durability = rows[_i].durability;
	f.options.inline_max = 32u << 10;
	for (unsigned round = 0; round < ROUNDS; round++) {
		fix_open_home(&f);
		for (unsigned w = 0; w < WRITERS; w++) {
			pids[w] = fork();
			ck_assert_int_ge(pids[w], 0);
			if (!pids[w])
				writer(&f, shared, w);
		}
		/* One after the other, with the others going on: in the last writer's hands
		 * the lock of a dead one is found. */
		for (unsigned w = 0; w < WRITERS; w++) {
			wait_acks(shared, 5 + (round * 7 + w * 3) % 11);
			ck_assert_int_eq(kill(pids[w], SIGKILL), 0);
			ck_assert_int_eq(waitpid(pids[w], NULL, 0), pids[w]);
		}
		fix_open_store(&f);
		check_all(&f, shared, rows[_i].evicts);
		store_maintain(f.s, clock_mono_ms());
		ck_assert_int_eq(fix_verify(&f), 0);
		wait_files(&f, &u);
		/* Nothing is left on account of the dead. */
		ck_assert_uint_eq(u.allocated, u.index_bytes + u.blob_bytes + u.part_bytes);
		ck_assert_uint_le(fix_du(&f), rows[_i].cap);
		fix_close_store(&f);
		store_home_free(f.home);
	}
	fprintf(stderr, "%lu commits acknowledged, %lu records\n", shared->acks, u.records);
	fix_cleanup();
}
END_TEST

UNIT_MAIN("store/crash", tcase_add_loop_test(tc, killed_writers_lose_nothing, 0, ARRAY_LEN(rows));)
