/* The store inside: what its files share. */
#ifndef LARDER_STORE_PRIVATE_H
#define LARDER_STORE_PRIVATE_H

#include <pthread.h>
#include <sys/types.h>

#include "base/check.h"
#include "base/error.h"
#include "base/queue.h"
#include "db.h"
#include "net/loop.h"
#include "pool.h"
#include "record.h"
#include "store/purge.h"

#define STORE_MAGIC 0x53544f52u
#define STORE_TXNS  8 /* read transactions kept for reuse */

struct evp_md_ctx_st;

/* ---- home.c ---- */

struct store_home {
	uint32_t magic;
	int lock_fd;
	char *dir;
	struct pool *pool;
};

/* What the lock's file says about the daemon that holds it. */
struct home_note {
	uint64_t pid, cap, allocated;
};
/* Opens DIR/lock and takes it. 0, LARDER_EBUSY, … */
int home_lock(int dir_fd, int *lock_fd);
void home_note_write(int lock_fd, const struct home_note *note);
void home_note_read(int lock_fd, struct home_note *note);
/* 1: the format is ours, 0: there is none yet, LARDER_EVERSION. */
int home_format(int dir_fd);
/* Removes spool/'s files: all of them, or those of processes that are gone. */
void home_clear_spool(int spool_fd, bool all);

/* ---- power.c ---- */

/* Before anything is written that is not synced. 0 or negative. */
int power_mark(int dir_fd);
/* Nobody writes any more: brings all to disk and takes the mark away. */
int power_settle(int dir_fd);
/* Was something of it written without syncs, under another boot of the machine? Or the index begun and never synced? */
bool power_lost(int dir_fd);
/* Then: removes all that is stored. */
int power_empty(int dir_fd);

/* ---- files.c: open body files, for the loop's thread ---- */

struct store_file {
	uint32_t magic;
	uint32_t refs;
	int fd;
	bool cached; /* in the table */
	bool gone;   /* removed: not for further lookups, there may be a newer one of the digest */
	bool part;   /* in parts/: `digest` is its name, which is open for writing, too */
	char *temp;  /* its name in spool/ until it is linked, where it has to have one; or NULL */
	uint64_t length;
	void *map; /* all of it, or NULL */
	uint8_t digest[RECORD_DIGEST];
	TAILQ_ENTRY(store_file) lru;
	LIST_ENTRY(store_file) chain;
};
TAILQ_HEAD(file_list, store_file);
LIST_HEAD(file_chain, store_file);

struct files {
	struct file_chain *table;
	uint32_t mask;
	uint64_t n, max;
	uint64_t mapped; /* bytes */
	struct file_list lru; /* least recently used first */
	uint64_t unlinks;     /* of the pool, when last looked */
};
int files_init(struct files *f, uint64_t max);
void files_fini(struct store *s);
/* One reference to the body of that digest. 0, LARDER_ENOENT, LARDER_ECORRUPT (another length), …
 */
int files_get(struct store *s, const uint8_t *digest, uint64_t length, struct store_file **out);
/* The same for a file in parts/. */
int files_get_part(struct store *s, const struct record_part *name, uint64_t length,
                   struct store_file **out);
/* Takes the descriptor over: a new part that has no name there yet. NULL: out of memory (and it is closed). */
struct store_file *files_add_part(struct store *s, const struct record_part *name, uint64_t length,
                                  int fd, const char *temp);
/* Closes removed files that nobody reads; counts what readers keep of them. */
void files_purge(struct store *s);

/* ---- map.c ---- */

/* Ends the file's mapping, if there is one. */
void map_drop(struct store *s, struct store_file *f);

/* ---- warm.c ---- */

struct warm_room;
struct store_warm;
struct warm {
	struct warm_room *room; /* NULL: the loop reads everything itself (tools) */
	LIST_HEAD(, store_warm) running;
	unsigned nrunning, looks;
	uint64_t faults; /* of the loop's thread, when last looked */
	uint64_t wary_until_ms;
	uint64_t quieted_ms;          /* when it ended early; 0: it did not */
	unsigned quiet, quiet_enough; /* reads in a row that met nothing cold; how many of them end it */
	bool wary;
};
int warm_init(struct store *s);
/* Those that are under way finish by themselves, and tell nobody. */
void warm_fini(struct store *s);
/* Waits until no thread reads the index. NULL: it closes. Looks whether what opens is in memory. */
void warm_set_db(struct store *s, struct db *db);
/* May a page be cold? While none was met for a while the answer costs nothing. */
bool warm_wary(struct store *s);
bool warm_resident(struct store *s, struct view v);

/* ---- spool.c ---- */

#define SPOOL_NAME 40

TAILQ_HEAD(spool_list, store_spool);

struct store_spool {
	uint32_t magic;
	uint32_t refs;
	struct store *store;
	char *mem;   /* bytes from `filed` on */
	size_t cap;  /* of mem */
	size_t held; /* of the store's: mem of what has not all come */
	size_t over; /* of the store's: mem that waits for room in the file */
	size_t memory_max;
	uint64_t filed, length, expected;
	uint64_t reserved, wanted; /* in the process's slot */
	struct evp_md_ctx_st *sha;
	uint8_t digest[RECORD_DIGEST]; /* once sealed, of a file */
	int fd;                        /* -1: in memory */
	int share_fd;                  /* -1, or a copy of the memory for other processes */
	int err;
	bool sealed;
	bool whole; /* the file has all of it: the writer's to know */
	bool is_linked;
	LIST_ENTRY(store_spool) linked; /* of those that became blobs and still have readers */
	char name[SPOOL_NAME];          /* in spool/, where unnamed files are not to be had */
	struct spool_list *waits;       /* on that list, or NULL */
	TAILQ_ENTRY(store_spool) wait;
	store_ready_fn *ready;
	void *ready_arg;
	size_t ask;                  /* bytes that it waits to append */
	uint64_t wait_since, waited; /* ms */
};
/* A temporary in spool/: unnamed, or else with the name (""). */
int spool_open_temp(struct store *s, int *fd, char name[SPOOL_NAME]);
/* No more appends; a file's digest is known from here on. */
int spool_seal(struct store_spool *sp);
/* The file is a blob now: should that be removed, what readers of the spool keep of it counts. */
void spool_linked(struct store_spool *sp);
/* For the writer, once sealed: brings into the file what waits in memory. LARDER_ENOSPC: not yet.
 */
int spool_complete(struct store_spool *sp);
/* Gives back the reservation: the bytes are accounted for elsewhere. Any thread. */
void spool_unreserve(struct store_spool *sp);

/* Could `bytes` be appended now? Reserves what it can. */
bool spool_has_room(struct store_spool *sp, size_t bytes);

/* ---- wait.c: fetches that wait for the writer ---- */

enum wait_for { WAIT_QUEUE, WAIT_ROOM, WAIT_KINDS };

struct waits {
	struct spool_list lists[WAIT_KINDS];
	bool hopeless[WAIT_KINDS];     /* nobody waits until it gets on again */
	uint64_t since_ms[WAIT_KINDS]; /* since when some wait and it does not get on; 0: it does */
	uint64_t queued;               /* bytes of ops under way */
	uint64_t moves;                /* the writer's, when last looked */
	uint32_t n;                    /* read by the writer, too */
	struct net_timer timer;
};
void waits_init(struct store *s);
void waits_fini(struct store *s);
/* May it wait for that, or has it waited long enough? */
bool wait_allowed(const struct store_spool *sp, enum wait_for what, size_t bytes);
/* It got on: waiting is worth while. */
void wait_moved(struct store *s, enum wait_for what);
/* Ops are done, transactions made room, or `failing`: the disk refuses. */
void waits_serve(struct store *s, bool failing);
/* Does the spool end before it was called? */
void wait_cancel(struct store_spool *sp);
/* ---- ops.c, writer.c ---- */

enum op_kind {
	OP_INSERT, OP_UPDATE, OP_ALIAS, OP_MOVE, OP_REMOVE, OP_REMOVE_ONE, OP_DROP, OP_PURGE,
	OP_PART_EXTEND, OP_PART_FINISH, OP_PART_DROP,
};

struct purge;

struct op {
	TAILQ_ENTRY(op) link;
	enum op_kind kind;
	int err;
	unsigned tries;
	uint64_t stuck_ms;  /* since when it finds no room */
	bool linked;        /* its spool became the blob */
	bool synced;        /* its spool is whole and on disk */
	bool soft;          /* what would be removed is marked stale */
	bool pressing;      /* a tool's: even if there is no room */
	bool keep_tags;     /* OP_UPDATE */
	struct hash128 key; /* of the primary row; OP_DROP, OP_PURGE: of the row */
	struct record rec;  /* views into `text` and the spool */
	uint64_t id;
	struct hash128 from; /* OP_ALIAS, OP_MOVE: the row whose body it is */
	bool soon;           /* somebody waits for it */
	size_t bytes;        /* of the queue */
	const uint32_t *revoked;
	uint32_t revoked_was;
	uint64_t purges;
	struct store_spool *spool;
	struct purge *of;      /* only on the writer's thread */
	struct store_purged n; /* what it did */
	struct store *store;
	struct store_file *file; /* of a part */
	struct store_extent extent;
	uint64_t reserved; /* bytes in the slot that the file's blocks stand for once it is committed */
	store_done_fn *done;
	store_purged_fn *purged; /* instead of `done` */
	void *arg;
	char text[];
};
TAILQ_HEAD(op_list, op);

struct sync_cost { /* measured */
	uint64_t one_us, all_us;
};

/* What the thread sleeps for: work; the time or the fullness of the next batch. */
enum writer_rest { REST_NONE, REST_IDLE, REST_PACE };

struct writer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, reopened;
	bool running;
	/* Under the lock: */
	struct op_list queue, done;
	uint64_t bytes, queued;
	uint64_t moves; /* transactions that changed something */
	bool stop, kicked, reopen;
	bool failing; /* the last transaction failed */
	enum writer_rest rest;
	unsigned urgent; /* ops in the queue that somebody waits for */
	unsigned duties; /* enum duty */
	struct op *trim; /* asked for and not done yet */
	/* The writer's own: */
	bool unsynced;
	bool cramped;      /* the last transaction had no room for all it was given */
	unsigned short_of; /* transactions in a row that gave back less than was wanted */
	uint64_t peak; /* of bytes, since memory was given back; under the lock */
	uint64_t weight; /* of what is in the queue: bytes of rows and of body files; under the lock */
	uint64_t began_ms; /* the last batch */
	uint64_t synced_ms, sweep_ms;
	unsigned sweep_dir; /* 256: no sweep is going on */
	struct audit *audit; /* the scrub, when one is going on */
	uint64_t scrub_ms, scrub_left;
	struct sync_cost sync;
	struct buf scratch;
};

enum duty { DUTY_MAINTAIN = 1, DUTY_TRIM = 2, DUTY_SCRUB = 4, DUTY_PURGE = 8 };

int writer_start(struct store *s);
void writer_stop(struct store *s);
/* Takes the op over; LARDER_ELIMIT when the queue is full (the op is the caller's still). */
int writer_queue(struct store *s, struct op *op);
/* On its thread: does these ops as it does a batch of the queue. */
void writer_run(struct store *s, struct op_list *ops, uint64_t n);
/* There is something to do besides the queue. */
void writer_kick(struct store *s, unsigned duties);
void op_free(struct op *op);
/* On the loop: calls back for what is done. */
void ops_done(struct store *s, struct op_list *list);
/* With copies of the record's texts (all but the body). */
struct op *op_new(struct store *s, enum op_kind kind, const struct store_key *key,
                  const struct store_record *record, store_done_fn *done, void *arg);
/* Does somebody wait for it: for a removal, or for a new part, which others want to add to? */
bool op_urgent(const struct op *op);
/* It has been committed. Any thread. */
void op_count(struct store *s, const struct op *op);
/* The file that has to be on disk before it. */
int op_fd(const struct op *op);
/* Queues it; frees it if that fails. */
int op_queue(struct store *s, struct op *op);
/* Are its texts longer than a row may hold? */
bool op_too_long(const struct store_key *key, const struct store_record *r);
/* The duty DUTY_TRIM, on the writer's thread. */
void trim_run(struct store *s);
/* Queues the removal of a damaged row. */
void op_drop_row(struct store *s, struct hash128 row);

/* ---- purge.c: many removed at once ---- */

/* Compiled patterns of notices, for one thread. */
#define PURGE_PATTERNS 8
struct purge_patterns {
	uint64_t seq[PURGE_PATTERNS];
	struct pattern *pattern[PURGE_PATTERNS];
};
TAILQ_HEAD(purge_list, purge);

struct purges {
	struct purge_list running, ended; /* under the writer's lock */
	uint32_t nrunning;
	struct purge_patterns patterns, writer; /* the loop's, and the writer's */
};

/* ---- the store ---- */

struct store {
	uint32_t magic;
	uint32_t temp_n; /* names of temporaries */
	struct pool *pool;
	struct pool_slot *slot;
	const struct store_options *options;
	struct store_stats *stats;
	struct net_loop *loop;
	struct net_wake *wake;
	struct db *db;
	uint64_t seed;
	char *dir;
	int dir_fd, blobs_fd, parts_fd, spool_fd;
	int lock_fd; /* the home's, or a tool's own; -1: none */
	bool tool, readonly, named_temps, sync_files;
	uint64_t cleared_ms; /* spool/, of the files of dead processes */
	LIST_HEAD(, store_spool) linked;
	uint64_t held; /* bytes of spools in memory whose bodies have not all come */
	LIST_HEAD(, hashing) hashings; /* parts that are whole */
	uint64_t over; /* bytes of spools in memory that wait for room on disk */
	struct MDB_txn *txns[STORE_TXNS];
	unsigned ntxns, hits; /* pooled; held by hits */
	bool traceless;       /* store_leave_no_trace */
	struct files files;
	struct warm warm;
	struct writer writer;
	struct waits waits;
	struct purges purges;
};

static inline bool waits_any(const struct store *s)
{
	return __atomic_load_n(&s->waits.n, __ATOMIC_RELAXED) > 0;
}

/* The store closes: what is being hashed will not be stored. */
void part_fini(struct store *s);

/* Opens or reopens the environment and reads the seed. */
int store_db_open(struct store *s);
void store_db_close(struct store *s);

/* How the cap is divided: a *unit* is more than one write transaction may add. */
uint64_t room_unit(uint64_t cap);
/* Bodies up to this size are kept in the index. */
size_t room_inline_max(const struct store *s);
/* The disk is full below the cap: what is allocated now is the cap until room_look finds more. */
void room_full(struct store *s);
/* The keeper's look at the disk, and at the folders of blobs/, which never shrink. */
void room_look(struct store *s);
/* What body files and their folders have. */
uint64_t room_blobs(const struct pool *p, uint64_t bytes, uint64_t dirs);
/* The limits on pool_allocated for spools, for inserts and for evictions. */
uint64_t room_for_spools(const struct pool *p);
uint64_t room_for_inserts(const struct pool *p);
uint64_t room_for_evictions(const struct pool *p);

#endif
