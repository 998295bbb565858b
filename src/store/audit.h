/*
 * What can be wrong with what is stored, and how it is put right: shared by the check of everything
 * (verify.c) and the keeper's slow one (scrub.c).
 *
 * Vocabulary: *audit* = one pass over everything, in steps, with short read transactions; *fault* =
 * something that does not fit, looked at again in a newer snapshot or under the write lock before
 * it counts, since writers go on meanwhile; *look* = a snapshot to look things up in.
 */
#ifndef LARDER_STORE_AUDIT_H
#define LARDER_STORE_AUDIT_H

#include <time.h>

#include "write.h"

#define AUDIT_BATCH 128

struct look {
	struct store *s;
	struct MDB_txn *txn;
};

enum audit_stage {
	AUDIT_ORPHANS, /* files without a row */
	AUDIT_FILES,   /* blobs against their files */
	AUDIT_ENTRIES,
	AUDIT_MAIN, /* which entries stand in the main queue: back to AUDIT_ENTRIES if there are
	               more */
	AUDIT_REFS, /* blobs against what entries refer to */
	AUDIT_QUEUES,
	AUDIT_URLS,
	AUDIT_TAGS,
	AUDIT_TOTALS,
	AUDIT_DONE,
};

enum fault_kind {
	FAULT_ORPHAN,   /* digest */
	FAULT_BLOB_ROW, /* key of a row that can't be read */
	FAULT_FILE,     /* digest */
	FAULT_ENTRY,    /* hash */
	FAULT_SUMS,     /* hash of the primary */
	FAULT_UNQUEUED, /* hash; n: birth */
	FAULT_REFS,     /* digest; n: counted */
	FAULT_UNDOOMED, /* digest */
	FAULT_QUEUE,    /* key of the row */
	FAULT_URL,      /* key of the row */
	FAULT_UNTAGGED, /* hash */
	FAULT_TAG,      /* key of the row */
	FAULT_TOTALS,
};

/* A body file, and no other that came to its name since. */
struct file_mark {
	uint64_t ino; /* 0: not known */
	struct timespec mtime;
};

struct fault {
	enum fault_kind kind;
	uint16_t len;
	struct file_mark file; /* what was read of it is not read again */
	const char *what; /* of a file: is wrong with it */
	uint64_t n;
	char key[DB_KEY_MAX];
};

struct known; /* a blob: its uses as counted */
struct unqueued;

struct audit {
	struct store *s;
	bool deep;      /* bytes of body files, too */
	bool fix;       /* puts right what is wrong */
	bool exclusive; /* nobody else writes */
	bool partial;   /* it began elsewhere: what needs counts is left out */
	bool orphans;   /* looks for files without a row */
	unsigned round; /* of several passes: which part of too many blobs it counts */
	void (*found)(void *arg, const char *text);
	void *arg;

	enum audit_stage stage;
	char from[DB_KEY_MAX + 1]; /* where the stage goes on */
	size_t from_len;
	uint64_t done, bytes; /* rows and bytes looked at */
	uint64_t total;       /* rows, as at the beginning */
	uint64_t faults;

	struct look look; /* during a step */
	uint64_t first_txn, began_ms;
	char entries_from[DB_KEY_MAX + 1];
	size_t entries_len;
	bool entries_end;
	unsigned dir;
	struct record_state sum; /* as counted */
	struct known *known;
	size_t mask, shards;
	struct unqueued *main;
	size_t nmain, main_cap;
	struct fault fault[AUDIT_BATCH];
	unsigned nfaults;
	struct { /* the body file being read */
		int fd;
		struct evp_md_ctx_st *sha;
		uint8_t digest[RECORD_DIGEST];
		struct file_mark mark;
	} file;
};

/* The caller sets the members up to `arg`, and stage and place to go on from if partial. 0 or
 * negative. */
int audit_begin(struct audit *a);
/* Goes on for about so many bytes or milliseconds. 1: there is more, 0: done, or negative. */
int audit_step(struct audit *a, uint64_t bytes, uint64_t ms);
void audit_end(struct audit *a);

/* ---- audit_check.c: what is wrong with a row, or NULL ---- */

/* *r: the row in parts. */
const char *check_entry(const struct look *l, struct view key, struct view row, struct record *r);
/* Of a response without Vary or a marker: does its row in urls say what there is? */
const char *check_sums(const struct look *l, const struct record *r, struct hash128 primary);
/* Its row in urls as it should be. */
int count_sums(const struct look *l, const struct record *r, struct hash128 primary,
               struct record_url_row *out);
const char *check_queue(const struct look *l, struct view key, struct view row);
const char *check_url(const struct look *l, struct view key, struct view row);
/* Of a response: does the table tags have it under all of its tags? */
const char *check_tagged(const struct look *l, const struct record *r, struct hash128 hash);
const char *check_tag(const struct look *l, struct view key);
enum check_place { CHECK_SMALL, CHECK_MAIN, CHECK_ELSEWHERE };
/* The queue that has a row under the entry's birth, or neither. */
enum check_place check_place(const struct look *l, const struct record *r, struct hash128 hash);
bool check_file_there(struct store *s, const uint8_t *digest, uint64_t length);
/* Does the digest's file still have the mark? */
bool check_file_same(struct store *s, const uint8_t *digest, const struct file_mark *mark);
/* 1: read, 0: none, or LARDER_ECORRUPT, … */
int look_blob(const struct look *l, const uint8_t *digest, struct record_blob *b);
int look_entry(const struct look *l, struct hash128 hash, struct record *r);
/* Does the doomed queue know it? */
bool look_doomed(const struct look *l, const uint8_t *digest);

/* ---- audit_fix.c ---- */

/* Looks at the faults again, tells of those that are, puts them right if a->fix; empties the list.
 */
int audit_settle(struct audit *a);

#endif
