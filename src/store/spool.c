/* Bodies while they are received. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "http/framing.h"
#include "log/log.h"
#include "store-private.h"

#define SPOOL_MAGIC 0x53504f4cu
#define SPOOL_FIRST 4096
#define SPOOL_STEP  (64u << 10) /* of the reservation */

bool store_accepts(const struct store *s, uint64_t length)
{
	check_magic(s, STORE_MAGIC);
	return length == HTTP_LENGTH_UNKNOWN ||
	       (length <= s->options->object_max && length <= room_for_spools(s->pool));
}

struct store_spool *store_spool_new(struct store *s, uint64_t expected)
{
	struct store_spool *sp;

	check_magic(s, STORE_MAGIC);
	check(s->loop);
	sp = calloc(1, sizeof(*sp));
	if (!sp)
		return NULL;
	sp->magic = SPOOL_MAGIC;
	sp->refs = 1;
	sp->store = s;
	sp->fd = sp->share_fd = -1;
	sp->expected = expected;
	sp->memory_max = room_inline_max(s);
	stat_add(&s->stats->spools, 1);
	if (expected != HTTP_LENGTH_UNKNOWN && expected > sp->memory_max &&
	    expected <= s->options->object_max) {
		sp->wanted = expected;
		pool_add(&s->slot->wanted, expected);
		if (pool_allocated(s->pool) + pool_wanted(s->pool) > room_for_spools(s->pool))
			writer_kick(s, 0);
	}
	return sp;
}

void store_spool_ref(struct store_spool *sp)
{
	check_magic(sp, SPOOL_MAGIC);
	sp->refs++;
}

void spool_unreserve(struct store_spool *sp)
{
	uint64_t bytes = __atomic_exchange_n(&sp->reserved, 0, __ATOMIC_SEQ_CST);

	if (bytes)
		pool_sub(&sp->store->slot->spools, bytes);
}

static void want(struct store_spool *sp, uint64_t bytes)
{
	if (bytes <= sp->wanted)
		return;
	pool_add(&sp->store->slot->wanted, bytes - sp->wanted);
	sp->wanted = bytes;
}

static void unwant(struct store_spool *sp, uint64_t bytes)
{
	bytes = bytes < sp->wanted ? bytes : sp->wanted;
	sp->wanted -= bytes;
	if (bytes)
		pool_sub(&sp->store->slot->wanted, bytes);
}

void spool_linked(struct store_spool *sp)
{
	check_magic(sp, SPOOL_MAGIC);
	if (!sp->is_linked)
		LIST_INSERT_HEAD(&sp->store->linked, sp, linked);
	sp->is_linked = true;
}

/* What it holds while its body comes in. */
static void hold(struct store_spool *sp, size_t bytes)
{
	if (bytes == sp->held)
		return; /* the writer, too, lets go of spools */
	sp->store->held += bytes - sp->held;
	sp->held = bytes;
}

static void drop_memory(struct store_spool *sp)
{
	hold(sp, 0);
	sp->store->over -= sp->over;
	sp->over = 0;
	free(sp->mem);
	sp->mem = NULL;
	sp->cap = 0;
}

void store_spool_unref(struct store_spool *sp)
{
	if (!sp)
		return;
	check_magic(sp, SPOOL_MAGIC);
	check(sp->refs > 0);
	if (--sp->refs)
		return;
	wait_cancel(sp);
	if (sp->is_linked)
		LIST_REMOVE(sp, linked);
	if (sp->fd >= 0)
		close(sp->fd);
	if (sp->share_fd >= 0)
		close(sp->share_fd);
	if (sp->sealed && sp->sha)
		pool_closed(sp->store->pool, sp->store->slot, sp->digest);
	if (sp->name[0])
		unlinkat(sp->store->spool_fd, sp->name, 0);
	unwant(sp, sp->wanted);
	spool_unreserve(sp);
	EVP_MD_CTX_free(sp->sha);
	stat_sub(&sp->store->stats->spools, 1);
	drop_memory(sp);
	sp->magic = 0;
	free(sp);
}

int spool_open_temp(struct store *s, int *fd, char name[SPOOL_NAME])
{
	name[0] = '\0';
	if (!__atomic_load_n(&s->named_temps, __ATOMIC_RELAXED)) {
		*fd = openat(s->spool_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (*fd >= 0)
			return 0;
		if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
			return larder_from_errno(errno);
		__atomic_store_n(&s->named_temps, true, __ATOMIC_RELAXED);
	}
	snprintf(name, SPOOL_NAME, "%ld.%lx.%x", (long)getpid(),
	         (unsigned long)s->slot->start,
	         __atomic_add_fetch(&s->temp_n, 1, __ATOMIC_RELAXED));
	*fd = openat(s->spool_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (*fd >= 0)
		return 0;
	name[0] = '\0';
	return larder_from_errno(errno);
}

static int write_all(int fd, struct view data, uint64_t offset)
{
	while (data.len) {
		ssize_t n = pwrite(fd, data.ptr, data.len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? larder_from_errno(errno) : LARDER_EIO;
		data = view_from(data, (size_t)n);
		offset += (uint64_t)n;
	}
	return 0;
}

/* Keeps the file's bytes within the cap; the writer makes room ahead of it. */
static int reserve(struct store_spool *sp, uint64_t length)
{
	struct store *s = sp->store;
	uint64_t limit = room_for_spools(s->pool), more;

	if (length <= sp->reserved)
		return 0;
	more = length - sp->reserved;
	more = (more + SPOOL_STEP - 1) / SPOOL_STEP * SPOOL_STEP;
	if (!pool_reserve(s->pool, s->slot, more, limit)) {
		writer_kick(s, 0);
		return LARDER_ENOSPC;
	}
	sp->reserved += more;
	unwant(sp, more);
	if (pool_allocated(s->pool) + pool_wanted(s->pool) > limit - room_unit(pool_cap(s->pool)))
		writer_kick(s, 0);
	return 0;
}

/* What came so far goes from memory to the file, and `data` after it. */
static int to_file(struct store_spool *sp, struct view data)
{
	int err = sp->fd < 0 ? spool_open_temp(sp->store, &sp->fd, sp->name) : 0;

	if (!err && sp->length > sp->filed)
		err = write_all(sp->fd, view_make(sp->mem, (size_t)(sp->length - sp->filed)),
		                sp->filed);
	if (!err)
		err = write_all(sp->fd, data, sp->length);
	if (err == LARDER_ENOSPC) {
		room_full(sp->store);
		writer_kick(sp->store, 0);
	}
	return err;
}

static int grow(struct store_spool *sp, size_t cap)
{
	size_t over = sp->sha ? cap : 0;
	char *mem;

	/* A burst waits here until evictions have made room; memory for that has an end, too. */
	if (over && sp->store->over - sp->over + over > sp->store->options->queue_bytes)
		return STORE_WAIT;
	mem = realloc(sp->mem, cap);
	if (!mem)
		return LARDER_ENOMEM;
	sp->store->over += over - sp->over;
	sp->over = over;
	sp->mem = mem;
	sp->cap = cap;
	hold(sp, sp->sha ? 0 : cap);
	return 0;
}

static int append_memory(struct store_spool *sp, struct view data)
{
	size_t at = (size_t)(sp->length - sp->filed), need = at + data.len;
	size_t cap = sp->cap ? sp->cap : SPOOL_FIRST;
	int err;

	if (need > sp->cap) {
		if (!sp->sha && sp->expected != HTTP_LENGTH_UNKNOWN &&
		    sp->expected <= sp->memory_max && sp->expected >= need)
			cap = (size_t)sp->expected;
		while (cap < need)
			cap *= 2;
		err = grow(sp, cap);
		if (err)
			return err;
	}
	memcpy(sp->mem + at, data.ptr, data.len);
	return sp->share_fd >= 0 && !sp->filed ? write_all(sp->share_fd, data, sp->length) : 0;
}

static int start_digest(struct store_spool *sp)
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();

	if (!sha || !EVP_DigestInit_ex(sha, EVP_sha256(), NULL) ||
	    !EVP_DigestUpdate(sha, sp->mem, (size_t)sp->length)) {
		EVP_MD_CTX_free(sha);
		return LARDER_ENOMEM;
	}
	sp->sha = sha;
	return 0;
}

/* Room that there is not yet is waited for in memory: the writer has been told. */
static int append_file(struct store_spool *sp, struct view data)
{
	int err = reserve(sp, sp->length + data.len);

	if (!err)
		err = to_file(sp, data);
	if (err == LARDER_ENOSPC) {
		want(sp, sp->length + data.len - sp->filed);
		return append_memory(sp, data);
	}
	if (err)
		return err;
	drop_memory(sp);
	sp->filed = sp->length + data.len;
	wait_moved(sp->store, WAIT_ROOM);
	return 0;
}

/* What has begun to come in still finds its place behind that. */
static bool queue_full(const struct store *s)
{
	return s->waits.queued >= s->options->queue_bytes;
}

bool spool_has_room(struct store_spool *sp, size_t bytes)
{
	struct store *s = sp->store;

	if (!sp->sha)
		return !queue_full(s);
	/* It would wait in memory, if that has a place. */
	return reserve(sp, sp->length + bytes) == 0 ||
	       s->over + sp->length - sp->filed + bytes <= s->options->queue_bytes / 2;
}

/* Small bodies of which very many come in at a time, slowly, go to files as large ones do. */
static bool fits_memory(const struct store_spool *sp, size_t bytes)
{
	const struct store *s = sp->store;
	uint64_t need = sp->length + bytes;

	if (need > sp->memory_max)
		return false;
	return need <= sp->cap || need <= SPOOL_FIRST || s->held < s->options->queue_bytes / 4;
}

static int append(struct store_spool *sp, struct view data)
{
	int err = 0;

	if (!sp->sha && fits_memory(sp, data.len))
		return queue_full(sp->store) ? STORE_WAIT : append_memory(sp, data);
	if (!sp->sha)
		err = start_digest(sp);
	if (!err)
		err = append_file(sp, data);
	if (!err && !EVP_DigestUpdate(sp->sha, data.ptr, data.len))
		err = LARDER_ESYSTEM;
	return err;
}

int store_spool_append(struct store_spool *sp, struct view data)
{
	enum wait_for what = WAIT_KINDS;
	static uint64_t told;
	struct store *s;
	int ret;

	check_magic(sp, SPOOL_MAGIC);
	check(!sp->sealed);
	s = sp->store;
	if (sp->err || !data.len)
		return sp->err;
	if (data.len >
	    s->options->object_max -
	            (sp->length < s->options->object_max ? sp->length : s->options->object_max))
		return sp->err = LARDER_ELIMIT;
	ret = append(sp, data);
	if (ret == STORE_WAIT) {
		what = sp->sha ? WAIT_ROOM : WAIT_QUEUE;
		sp->ask = data.len;
		if (wait_allowed(sp, what, data.len))
			return STORE_WAIT;
		ret = LARDER_ENOSPC;
	}
	sp->err = ret;
	if (!sp->err) {
		sp->length += data.len;
		return 0;
	}
	stat_add_mt(what == WAIT_QUEUE         ? &s->stats->refused_queue
	            : sp->err == LARDER_ENOSPC ? &s->stats->refused_full
	                                       : &s->stats->errors,
	            1);
	log_limited(&told, LOG_L_WARNING, "store: a body is not stored: %s",
	            larder_strerror(sp->err));
	return sp->err;
}

uint64_t store_spool_length(const struct store_spool *sp)
{
	check_magic(sp, SPOOL_MAGIC);
	return sp->length;
}

void store_spool_read(struct store_spool *sp, uint64_t offset, struct store_piece *piece)
{
	check_magic(sp, SPOOL_MAGIC);
	*piece = (struct store_piece){.fd = -1};
	if (offset >= sp->length)
		return;
	if (offset < sp->filed) {
		piece->fd = sp->fd;
		piece->len = sp->filed - offset;
	} else {
		piece->len = sp->length - offset;
		piece->mem = view_make(sp->mem + (offset - sp->filed), (size_t)piece->len);
	}
}

/* The writer, too, opens and writes the file: until that is done others read what is in memory. */
static bool is_whole(const struct store_spool *sp)
{
	return sp->sha && __atomic_load_n(&sp->whole, __ATOMIC_ACQUIRE);
}

int store_spool_share(struct store_spool *sp, int *fd)
{
	int err;

	check_magic(sp, SPOOL_MAGIC);
	if (sp->filed || is_whole(sp)) {
		*fd = sp->fd;
		return 0;
	}
	if (sp->share_fd < 0) {
		sp->share_fd = memfd_create("larder-body", MFD_CLOEXEC);
		if (sp->share_fd < 0)
			return larder_from_errno(errno);
		err = write_all(sp->share_fd, view_make(sp->mem, (size_t)sp->length), 0);
		if (err) {
			close(sp->share_fd);
			sp->share_fd = -1;
			return err;
		}
	}
	*fd = sp->share_fd;
	return 0;
}

uint64_t store_spool_shared_length(const struct store_spool *sp)
{
	check_magic(sp, SPOOL_MAGIC);
	if (is_whole(sp))
		return sp->length;
	if (sp->filed)
		return sp->filed;
	return sp->share_fd >= 0 ? sp->length : 0;
}

int spool_seal(struct store_spool *sp)
{
	check_magic(sp, SPOOL_MAGIC);
	if (sp->err)
		return sp->err;
	if (sp->sealed)
		return 0;
	hold(sp, 0);
	if (sp->sha && !EVP_DigestFinal_ex(sp->sha, sp->digest, NULL))
		return LARDER_ESYSTEM;
	if (sp->sha)
		pool_opens(sp->store->pool, sp->store->slot, sp->digest);
	sp->sealed = true;
	sp->whole = sp->filed == sp->length;
	if (!sp->sha || sp->whole)
		unwant(sp, sp->wanted);
	return 0;
}

int spool_complete(struct store_spool *sp)
{
	int err;

	check(sp->sealed && sp->sha);
	if (sp->whole)
		return 0;
	err = reserve(sp, sp->length);
	/* `filed` and the memory stay as they are: the loop's thread reads them. */
	if (!err)
		err = to_file(sp, view_make("", 0));
	__atomic_store_n(&sp->whole, !err, __ATOMIC_RELEASE);
	return err;
}
