/*
 * Power cuts: the stream of the store's writes, syncs, links and unlinks is recorded, then the disk
 * is made as it might have been at many moments: what was synced is there, of the rest every page
 * and every name at random. What was acknowledged with full durability is there, and nothing that
 * is there is wrong, whatever the durability.
 */
#include "partial.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LARGE  70000
#define KEYS   6
#define ROUNDS 12
#define EVENTS 20000
#define FILES  256
#define PAGE   4096
#define IMAGE  (4u << 20)
#define CUTS   120 /* of each durability */
#define MARK   "unsynced"
#define PART_NAME 49 /* of a file in parts/ */

enum kind { WRITE, SIZE, SYNC, SYNC_ALL, LINK, UNLINK, ACK };

struct event {
	enum kind kind;
	ino_t file, folder;
	size_t at, len;
	char *data;
	bool through; /* on disk when it returns */
	char name[80];
	unsigned key, seed;
};

static struct event events[EVENTS];
static unsigned nevents;
static bool recording;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char bytes[LARGE];

static ino_t inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

static struct event *record(enum kind kind, ino_t file)
{
	static struct event nowhere;
	struct event *e = &nowhere;

	pthread_mutex_lock(&lock);
	if (__atomic_load_n(&recording, __ATOMIC_SEQ_CST)) {
		check(nevents < EVENTS);
		e = &events[nevents++];
	}
	*e = (struct event){.kind = kind, .file = file};
	pthread_mutex_unlock(&lock);
	return e;
}

static void wrote(int fd, const void *p, size_t len, off_t at)
{
	struct event *e;

	if (!__atomic_load_n(&recording, __ATOMIC_SEQ_CST))
		return;
	e = record(WRITE, inode(fd));
	e->at = (size_t)at;
	e->len = len;
	e->through = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
	e->data = malloc(len);
	check(e->data);
	memcpy(e->data, p, len);
}

/* Calls of this program's and of LMDB's go through the functions below. */
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	wrote(fd, p, n, at);
	return syscall(SYS_pwrite64, fd, p, n, at);
}

/* LMDB calls it by the name that has no 64. */
ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");

ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at)
{
	return pwrite(fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	off_t at = lseek(fd, 0, SEEK_CUR);

	for (int i = 0; i < n && at >= 0; i++) {
		wrote(fd, v[i].iov_base, v[i].iov_len, at);
		at += (off_t)v[i].iov_len;
	}
	return syscall(SYS_writev, fd, v, n);
}

int ftruncate(int fd, off_t size)
{
	struct event *e = record(SIZE, inode(fd));

	e->at = (size_t)size;
	return (int)syscall(SYS_ftruncate, fd, size);
}

int fsync(int fd)
{
	int ret = (int)syscall(SYS_fsync, fd);

	record(SYNC, inode(fd));
	return ret;
}

int fdatasync(int fd)
{
	int ret = (int)syscall(SYS_fdatasync, fd);

	record(SYNC, inode(fd));
	return ret;
}

int syncfs(int fd)
{
	int ret = (int)syscall(SYS_syncfs, fd);

	record(SYNC_ALL, 0);
	return ret;
}

static void named(enum kind kind, int at, const char *path)
{
	struct event *e;
	struct stat st;
	char folder[3];

	if (strlen(path) == PART_NAME && path[32] == '-' && fstatat(at, path, &st, 0) == 0) {
		e = record(kind, st.st_ino);
		snprintf(e->name, sizeof(e->name), "%s", path);
		e->folder = inode(at);
		return;
	}
	if (path[0] == '\0' || path[1] == '\0' || path[2] != '/' || fstatat(at, path, &st, 0))
		return;
	e = record(kind, st.st_ino);
	snprintf(e->name, sizeof(e->name), "%s", path);
	view_copy(view_make(path, 2), folder, sizeof(folder));
	if (fstatat(at, folder, &st, 0) == 0)
		e->folder = st.st_ino;
}

int linkat(int a, const char *from, int b, const char *to, int flags)
{
	int ret = (int)syscall(SYS_linkat, a, from, b, to, flags);

	if (!ret)
		named(LINK, b, to);
	return ret;
}

int renameat(int a, const char *from, int b, const char *to)
{
	int ret = (int)syscall(SYS_renameat, a, from, b, to);
	struct event *e;
	struct stat st;

	if (ret || strcmp(to, MARK) || fstatat(b, to, &st, 0))
		return ret;
	e = record(LINK, st.st_ino);
	e->folder = inode(b);
	snprintf(e->name, sizeof(e->name), "%s", to);
	return ret;
}

int unlinkat(int at, const char *path, int flags)
{
	named(UNLINK, at, path);
	return (int)syscall(SYS_unlinkat, at, path, flags);
}

/* ---- The disk after the cut ---- */

struct file {
	ino_t ino;
	size_t size;
	char *image;
	char name[80];
};

static struct file files[FILES];
static ino_t index_file;
static unsigned parts_kept;
static unsigned nfiles;

static struct file *file(ino_t ino)
{
	for (unsigned i = 0; i < nfiles; i++) {
		if (files[i].ino == ino)
			return &files[i];
	}
	ck_assert_uint_lt(nfiles, FILES);
	files[nfiles] = (struct file){.ino = ino, .image = calloc(1, IMAGE)};
	return &files[nfiles++];
}

static bool coin(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (*x >> 20) & 1;
}

static bool synced(unsigned i, unsigned cut, ino_t ino)
{
	for (unsigned j = i + 1; j < cut; j++) {
		if (events[j].kind == SYNC_ALL || (events[j].kind == SYNC && events[j].file == ino))
			return true;
	}
	return false;
}

static void replay_write(const struct event *e, bool safe, uint64_t *dice)
{
	struct file *f = file(e->file);
	size_t n;

	ck_assert_uint_le(e->at + e->len, IMAGE);
	/* A new file may have the number of one that is gone. */
	if (!e->at && e->file != index_file) {
		f->size = 0;
		f->name[0] = '\0';
	}
	for (size_t done = 0; done < e->len; done += n) {
		size_t at = e->at + done;

		n = PAGE - at % PAGE;
		n = n < e->len - done ? n : e->len - done;
		if (!safe && !coin(dice))
			continue;
		memcpy(f->image + at, e->data + done, n);
		f->size = at + n > f->size ? at + n : f->size;
	}
}

/* A body that is to be stored in part: its file is as long as all of it from the beginning. */
static void replay_size(const struct event *e, bool safe, uint64_t *dice)
{
	struct file *f = file(e->file);

	if (e->file == index_file)
		return;
	ck_assert_uint_le(e->at, IMAGE);
	f->name[0] = '\0';
	f->size = safe || coin(dice) ? e->at : 0;
	memset(f->image, 0, IMAGE);
}

static void replay_name(const struct event *e)
{
	if (e->kind == LINK) {
		memcpy(file(e->file)->name, e->name, sizeof(e->name));
		return;
	}
	for (unsigned i = 0; i < nfiles; i++) {
		if (!strcmp(files[i].name, e->name))
			files[i].name[0] = '\0';
	}
}

static void replay(unsigned cut, uint64_t dice, unsigned acked[KEYS])
{
	while (nfiles)
		free(files[--nfiles].image);
	memset(acked, 0, KEYS * sizeof(*acked));
	for (unsigned i = 0; i < cut; i++) {
		const struct event *e = &events[i];

		if (e->kind == WRITE)
			replay_write(e, e->through || synced(i, cut, e->file), &dice);
		else if (e->kind == SIZE)
			replay_size(e, synced(i, cut, e->file), &dice);
		else if (e->kind == LINK || e->kind == UNLINK) {
			if (synced(i, cut, e->folder) || coin(&dice))
				replay_name(e);
		} else if (e->kind == ACK) {
			acked[e->key] = e->seed;
		}
	}
}

static void put_file(const struct fix *f, const char *name, const char *p, size_t len)
{
	char path[300], *slash;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	slash = strrchr(path, '/');
	*slash = '\0';
	mkdir(path, 0700);
	*slash = '/';
	fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(write(fd, p, len), (ssize_t)len);
	close(fd);
}

/* The machine has been started anew since. */
static void put_mark(const struct fix *f, const struct file *at)
{
	at->image[0] ^= 1;
	put_file(f, MARK, at->image, at->size);
	at->image[0] ^= 1;
}

static void make_disk(const struct fix *f)
{
	char name[100];

	for (unsigned i = 0; i < nfiles; i++) {
		const struct file *at = &files[i];

		snprintf(name, sizeof(name), "%s/%.80s", strlen(at->name) == PART_NAME ? "parts" : "blobs", at->name);
		if (at->ino == index_file)
			put_file(f, "index/data.mdb", at->image, at->size);
		else if (!strcmp(at->name, MARK))
			put_mark(f, at);
		else if (at->name[0])
			put_file(f, name, at->image, at->size);
	}
}

/* ---- The work that is recorded ---- */

static const char *key_of(unsigned k)
{
	static char text[40];

	snprintf(text, sizeof(text), "GET http://example.com/%u", k);
	return text;
}

/* Odd ones are files; two keys share theirs. */
static struct view body_of(unsigned k, unsigned seed)
{
	return fix_bytes(bytes, k % 2 ? LARGE : 3000 + k, k > 3 ? seed : k * 1000 + seed);
}

/* Two keys of which some bytes more are stored in each round; one of them begins anew now and then. */
static struct partial part_of(unsigned k)
{
	return (struct partial){.item = {.key = k ? "GET http://example.com/p1" : "GET http://example.com/p0",
	                                 .body = fix_bytes(bytes, LARGE, 5000 + k)}};
}

static void work_in_part(struct fix *f, unsigned round)
{
	for (unsigned k = 0; k < 2; k++) {
		struct partial p = part_of(k);
		uint64_t at = round * 5000;

		if (round % 5 == 1 && k)
			fix_remove(f, p.item.key);
		if (partial_open(f, &p))
			ck_assert_int_eq(partial_create(f, &p), 0);
		ck_assert_int_eq(partial_add(f, &p, at, at + 4000 + k * 1000), 0);
		partial_close(f, &p);
	}
}

static void check_parts(struct fix *f, unsigned cut)
{
	for (unsigned k = 0; k < 2; k++) {
		struct partial p = part_of(k);
		struct store_extents have;
		int ret = partial_find(f, &p, &have);

		store_extents_fini(&have);
		ck_assert_msg(ret == STORE_PART || ret == STORE_NONE, "cut %u: a part is wrong: %d", cut, ret);
		parts_kept += ret == STORE_PART;
	}
}

static ino_t work(const struct fix *like)
{
	char path[200];
	struct stat st;
	struct fix f;

	fix_init(&f, like->size);
	f.options = like->options;
	fix_open_home(&f);
	recording = true;
	fix_open_store(&f);
	for (unsigned seed = 1; seed <= ROUNDS; seed++) {
		for (unsigned k = 0; k < KEYS; k++) {
			struct item it = {.key = key_of(k), .body = body_of(k, seed),
			                  .tags = seed % 2 ? "s\nkodd\ngall\n" : "s\nkeven\ngall\n"};
			struct event *e;

			ck_assert_int_eq(fix_put(&f, &it), 0);
			e = record(ACK, 0);
			e->key = k;
			e->seed = seed;
		}
		work_in_part(&f, seed);
	}
	__atomic_store_n(&recording, false, __ATOMIC_SEQ_CST);
	snprintf(path, sizeof(path), "%s/index/data.mdb", f.dir);
	ck_assert_int_eq(stat(path, &st), 0);
	fix_stop(&f);
	return st.st_ino;
}

static unsigned kept;

static void check_disk(struct fix *f, const unsigned acked[KEYS], unsigned cut)
{
	ck_assert_msg(fix_verify(f) == 0, "cut %u: what is there is not whole", cut);
	for (unsigned k = 0; k < KEYS; k++) {
		struct store_hit hit;
		bool same = false;

		if (fix_find(f, key_of(k), NULL, &hit) != STORE_FOUND) {
			ck_assert_msg(f->options.durability || !acked[k], "cut %u: %s was lost",
			              cut, key_of(k));
			continue;
		}
		for (unsigned s = f->options.durability ? 1 : acked[k]; s <= ROUNDS && !same; s++)
			same = fix_body_is(&hit, body_of(k, s));
		ck_assert_msg(same, "cut %u: %s has another body", cut, key_of(k));
		kept++;
		store_hit_done(f->s, &hit);
	}
	check_parts(f, cut);
	/* It goes on from there. */
	struct item it = {.key = "GET http://example.com/new", .body = body_of(1, 99)};

	ck_assert_int_eq(fix_put(f, &it), 0);
	ck_assert_int_eq(fix_get(f, it.key, NULL, it.body), STORE_FOUND);
}

START_TEST(a_power_cut_leaves_nothing_wrong)
{
	struct fix like, f;
	unsigned acked[KEYS];

	fix_init(&like, 64u << 20);
	rmdir(like.dir);
	like.options.durability = _i;
	like.options.inline_max = 32u << 10;
	index_file = work(&like);
	for (unsigned n = 0; n < CUTS; n++) {
		unsigned cut = (unsigned)((uint64_t)nevents * n / (CUTS - 1));

		replay(cut, 0x9e3779b97f4a7c15u * (n + 1), acked);
		fix_init(&f, like.size);
		f.options = like.options;
		fix_open_home(&f);
		store_home_free(f.home);
		make_disk(&f);
		fix_open_home(&f);
		fix_open_store(&f);
		check_disk(&f, acked, cut);
		fix_stop(&f);
	}
	fprintf(stderr, "%u events, %d cuts, %u of %d responses found\n", nevents, CUTS, kept,
	        CUTS * KEYS);
	ck_assert((kept > 0 && parts_kept > 0) || _i == 2);
}
END_TEST

/* With full and batch durability the store stays; without syncs it is emptied. */
UNIT_MAIN("store/power", tcase_add_loop_test(tc, a_power_cut_leaves_nothing_wrong, 0, 3);)
