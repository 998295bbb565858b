/*
 * The store: stored responses by key, on disk. LMDB holds the index, heads and small bodies;
 * larger bodies are immutable files.
 *
 * Vocabulary: *record* = head, numbers and body of one stored response; *key* = method class and
 * normalised URI; *selecting text* = the request's selecting field values under the stored Vary
 * (cache_vary_select); *spool* = a body while it is being received; *blob* = a body file.
 *
 * All functions are for the process's loop thread unless they say otherwise. Slow writes go to
 * the store's own writer thread; callbacks come on the loop. No function waits for a commit.
 */
#ifndef LARDER_STORE_STORE_H
#define LARDER_STORE_STORE_H

#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/option.h"
#include "cache/rules.h"
#include "stat/stat.h"

struct net_loop;

struct store_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "store/options.def"
#undef OPTION
};

struct store_stats {
#define COUNTER(kind, name, text) STAT_MEMBER(kind, name, text)
#include "store/counters.def"
#undef COUNTER
};

/* ---- Before the fork: directories, format, lock, shared memory ---- */

struct store_home; /* DIR prepared and locked; shared memory of the pool */

/* Creates what is missing in `dir` (owner uid:gid, mode 0700), checks the format, takes the lock,
 * empties spool/, makes the shared memory (sketch, sizes). `size`: the hard cap in bytes; 0: half of
 * the free disk or 20 GiB, whichever is less. `uid`/`gid`: (uid_t)-1: as we are. Never opens LMDB. On error
 * *why (to be freed) is a sentence for the operator. 0, LARDER_EBUSY, LARDER_EVERSION, … */
int store_home_open(const char *dir, uint64_t size, uid_t uid, gid_t gid, struct store_home **out,
                    char **why);
/* Lets go of the lock and the memory (only the master does). */
void store_home_free(struct store_home *home);
uint64_t store_home_size(const struct store_home *home);
/* The cap may change on reload; eviction follows in steps. */
void store_home_set_size(struct store_home *home, uint64_t size);

/* ---- In each child ---- */

struct store;

/* Opens the environment (after the fork, once a process), frees dead readers' slots, starts the
 * writer thread. `loop` may be NULL (tools): then no writes, callbacks or spools. `options` and `stats`
 * must outlive the store. Opening takes the same time whatever is stored. */
int store_open(struct store_home *home, struct net_loop *loop, const struct store_options *options,
               struct store_stats *stats, struct store **out);
/* Writes what is queued, calls the callbacks, joins the thread, closes. */
void store_close(struct store *s);
/* The keeper's duty, every second or so: dead readers, orphaned blobs (every sweep_interval), spool/
 * leftovers, batch durability, the check of everything in the background. Does a bounded piece of work a call. */
void store_maintain(struct store *s, uint64_t now_ms);

/* ---- Lookup ---- */

/* Grows with each commit of any process, after store_find sees it and before `done` is called. */
uint64_t store_commits(const struct store *s);

struct store_key {
	struct view text; /* borrowed from the caller */
	struct hash128 hash;
};
/* The key of a text such as "GET http://host/path" (http_target_key after a method class). */
void store_key_init(const struct store *s, struct view text, struct store_key *key);

struct store_record {
	struct cache_meta meta;
	struct view key;       /* its text; ignored by store_commit */
	struct view selecting; /* "" where the response has no Vary */
	struct view vary;      /* names list (cache_vary_names) */
	struct view head;      /* as cache_head_write made it */
	uint8_t origin_ip[16]; /* where it came from (addr_ip16); zeros: unknown */
	uint16_t origin_port;
	uint64_t length;       /* of the body */
	uint64_t id;           /* differs for every insert; given by the store */
	struct view etag;      /* a view into head, empty if none */
	struct view tags;      /* see store/purge.h; for store_update ptr NULL: as they are */
	/* For store_commit and store_update, NULL or outliving it: not stored if this has changed by the time that it
	 * is written (LARDER_ECLOSED). What is set before a store_remove is queued never survives that. */
	const uint32_t *revoked;
	uint32_t revoked_was;
	uint64_t purges; /* store_purges() when its fetch began: what was purged since is not stored either */
	bool soon;       /* for store_update: somebody waits for it, so it does not wait for others */
};

struct store_file; /* an open body file, counted */

struct store_hit {
	struct store_record record; /* views into the map */
	struct view body;           /* inline bodies: a view into the map */
	struct store_file *file;    /* else, if length > 0: one reference, owned by the hit */
	struct view extents;        /* STORE_PART: which bytes the file has (store_extents_load) */
	void *internal[2];
};

enum { STORE_NONE = 0, STORE_FOUND = 1, STORE_VARIES = 2, STORE_COLD = 3, STORE_PART = 4 };
#define STORE_LISTS_MAX 4

/* Looks the key up under a selecting text. STORE_FOUND: *hit holds a read transaction until
 * store_hit_done, which must come before the function that looked up returns to the loop.
 * STORE_VARIES (only with selecting = NULL): hit->record.vary names the selecting fields, at most STORE_LISTS_MAX lists
 * with LF between: compute the text for each, and look up again, after store_hit_done; of several the most recent by Date
 * counts (RFC 9111 §4.1). STORE_PART: as STORE_FOUND, but only some of the body's bytes are
 * in the file (store/parts.h). STORE_NONE: nothing to release. Negative: damaged
 * or failed; counts as nothing stored. Notes the use in the sketch. */
int store_find(struct store *s, const struct store_key *key, const struct view *selecting,
               struct store_hit *hit);
/* The same, but rather than wait for the disk it says STORE_COLD, with nothing to release: use store_warm_row,
 * then store_find. Only while cold pages are about: then also of keys that the sketch does not know. */
int store_look(struct store *s, const struct store_key *key, const struct view *selecting,
               struct store_hit *hit);
void store_hit_done(struct store *s, struct store_hit *hit);
/* The variants under a key that lookups call STORE_VARIES, the newest first, at most `max`, until `each` says false. What
 * it is shown is valid during its call; it must not call the store's lookups. May wait for the disk. */
void store_variants(struct store *s, const struct store_key *key, unsigned max,
                    bool (*each)(void *arg, const struct store_record *r), void *arg);
/* Takes the hit's file reference over: then it outlives store_hit_done. */
struct store_file *store_hit_take_file(struct store_hit *hit);
int store_file_fd(const struct store_file *f);
/* One more reference. */
struct store_file *store_file_ref(struct store_file *f);
/* Up to `len` bytes of the file from `offset` on as memory, for this call of the loop only: out of a mapping
 * that is kept with the open file. To be handed to system calls, not to be read: where the disk fails they say
 * EFAULT. Empty when there is no room among map_bytes: then it is to be sent from its descriptor. */
struct view store_file_view(struct store *s, struct store_file *f, uint64_t offset, uint64_t len);
void store_file_unref(struct store *s, struct store_file *f);

/* ---- What is not in memory ---- */

/* The thread pool reads what a lookup needs, or a stretch of a body file (at most 1 MiB); then `done`, never from
 * inside the call. NULL: too much is on its way already: go on without. */
struct store_warm;
struct store_warm *store_warm_row(struct store *s, const struct store_key *key,
                                  const struct view *selecting, void (*done)(void *arg), void *arg);
struct store_warm *store_warm_file(struct store *s, struct store_file *f, uint64_t offset, uint64_t len,
                                   void (*done)(void *arg), void *arg);
/* done is not called. NULL is fine. */
void store_warm_cancel(struct store_warm *w);
/* How many bytes from `offset` on, of at most 1 MiB and `len`, can be sent without waiting for the disk. */
uint64_t store_file_ready(struct store *s, struct store_file *f, uint64_t offset, uint64_t len);

/* ---- Receiving and storing ---- */

struct store_spool;

/* Is a body of `length` bytes (HTTP_LENGTH_UNKNOWN: true) one that could be stored: within object_max and the cap? */
bool store_accepts(const struct store *s, uint64_t length);
/* A new spool, one reference. `expected`: body length or HTTP_LENGTH_UNKNOWN. Memory up to
 * inline_max, then an unnamed file. NULL: out of memory. */
struct store_spool *store_spool_new(struct store *s, uint64_t expected);
void store_spool_ref(struct store_spool *sp);
void store_spool_unref(struct store_spool *sp);
/* Appends. 0; STORE_WAIT: nothing was taken, the writer has to make room first: call store_spool_wait,
 * and append the same again once it says so; LARDER_ENOSPC (waiting is over, too), LARDER_ELIMIT
 * (over object_max), …: then the spool takes no more, what is in it can still be read. */
enum { STORE_WAIT = 1 };
int store_spool_append(struct store_spool *sp, struct view data);
typedef void store_ready_fn(void *arg);
/* After STORE_WAIT: `ready` is called once, when appending is worth another try, and after store_wait
 * at the latest (in total for this spool); never from inside the call. NULL: does not want it any more; nor
 * does it come once the caller's reference is gone. */
void store_spool_wait(struct store_spool *sp, store_ready_fn *ready, void *arg);
uint64_t store_spool_length(const struct store_spool *sp);
/* A readable stretch from `offset` on: memory (piece->mem, valid until the next append) or a file. */
struct store_piece {
	struct view mem;
	int fd;        /* -1 for memory */
	uint64_t len;
};
void store_spool_read(struct store_spool *sp, uint64_t offset, struct store_piece *piece);

/* A descriptor for other processes, the spool's, to read what comes from offset 0 on; another one
 * whenever the body moves. 0 or negative. */
int store_spool_share(struct store_spool *sp, int *fd);
/* How much of it is there; less than the length where the rest waits for room in the store. */
uint64_t store_spool_shared_length(const struct store_spool *sp);

typedef void store_done_fn(void *arg, int err); /* 0: committed and visible to every process */

/* Queues the spool's body as the record's, replacing what was stored under key and selecting text (and all
 * variants, where it has a list of names more than STORE_LISTS_MAX; where they have Vary and it has not, it stands beside
 * them as STORE_ANY). Copies what it needs of key and record; takes its own
 * reference on the spool. record->length must be the spool's. `done` (may be NULL) is called exactly once,
 * never from inside the call. An `err` from the call itself means that done will not be called. */
int store_commit(struct store *s, const struct store_key *key, const struct store_record *record,
                 struct store_spool *sp, store_done_fn *done, void *arg);
/* Replaces head, meta and tags of the record `id`, keeping its body. Done with LARDER_ENOENT if it is gone. */
int store_update(struct store *s, const struct store_key *key, const struct store_record *record,
                 uint64_t id, store_done_fn *done, void *arg);
/* Removes the record `id` alone, which stands where `record`'s Vary list and selecting text say. Done with
 * LARDER_ENOENT if it is gone. */
int store_remove_one(struct store *s, const struct store_key *key, const struct store_record *record,
                     uint64_t id, store_done_fn *done, void *arg);
/* Removes all variants under the key. */
int store_remove(struct store *s, const struct store_key *key, store_done_fn *done, void *arg);

/* ---- Numbers and walks (any process that has it open) ---- */

struct store_usage {
	uint64_t cap, allocated; /* bytes; blocks really allocated of index, blobs, parts, spools */
	uint64_t index_bytes, index_free_bytes, blob_bytes, part_bytes;
	uint64_t records, blobs, parts;
	uint64_t tags; /* rows: a tag of a response each */
};
int store_usage(struct store *s, struct store_usage *out);

struct store_scrub {
	uint64_t interval_s;         /* 0: off */
	int64_t since_s;             /* when this pass began; 0: none is under way */
	uint64_t rows, total, faults; /* of this one */
	int64_t ended_s;             /* when the last one ended; 0: never */
	uint64_t last_rows, last_faults;
};
/* How far the keeper's check of everything in the background has come. Only in the daemon's processes. */
void store_scrub_state(const struct store *s, struct store_scrub *out);

/* Checks everything: records parse, keys hash right, lengths and digests of blobs (their bytes too if
 * `deep`), reference counts, queue entries. Calls `progress` now and then and `problem` for each finding. Returns
 * the number of findings or a negative error. With `repair` all of that is put right, and what is damaged is dropped:
 * only in a store that store_open_tool opened for writing (else LARDER_EPERM). Beside a running daemon, totals are
 * compared only if nothing was committed meanwhile. Renews its read transaction within 100 ms. */
int store_verify(struct store *s, bool deep, bool repair,
                 void (*progress)(void *arg, uint64_t done, uint64_t total),
                 void (*problem)(void *arg, const char *text), void *arg);

/* Opens the store of a stopped or running daemon for tools, without the daemon's lock: read-only unless
 * `write` (which takes the lock: LARDER_EBUSY when a daemon runs). Drops to the owner's ids if root. */
int store_open_tool(const char *dir, bool write, struct store **out, char **why);
/* Removes all that is stored, without reading any of it: for an index that can't be read any more. LARDER_EBUSY when a
 * daemon runs; *why as above. */
int store_empty(const char *dir, char **why);

#endif
