/*
 * Bodies of which only some bytes are stored (RFC 9111 §3.3): a file as long as the whole body, in which
 * some stretches have been written, under a record that says which.
 *
 * Vocabulary: *part* = such a record with its file; *extent* = a stretch of bytes that is there; *hole* = what
 * lies between extents; *run* = what one fetch writes into the file.
 *
 * A record lists an extent only once its bytes are in the file (and synced, as the option durability says).
 * Any process may write to the same file at the same time: the same bytes always stand at the same place,
 * since a part is of one strong validator.
 */
#ifndef LARDER_STORE_PARTS_H
#define LARDER_STORE_PARTS_H

#include "store/store.h"

/* ---- Extents: sorted, apart from each other, and at most so many ---- */

#define STORE_EXTENTS_MAX 2048

struct store_extent {
	uint64_t first, end; /* the byte behind the last one */
};

struct store_extents {
	struct store_extent *at;
	unsigned n, cap;
};

void store_extents_fini(struct store_extents *l);
/* United with what it touches. Where there would be too many the shortest is forgotten: its bytes are fetched
 * again when somebody asks for them. 0, LARDER_EINVAL (nothing, or backwards) or LARDER_ENOMEM. */
int store_extents_add(struct store_extents *l, uint64_t first, uint64_t end);
/* Adds those of a record. LARDER_ECORRUPT: they are not sorted and apart, or reach beyond `length`. */
int store_extents_load(struct store_extents *l, struct view extents, uint64_t length);
/* How many bytes there are from `offset` on. */
uint64_t store_extents_have(const struct store_extents *l, uint64_t offset);
/* The first byte from `offset` on that is there; `end` if there is none before it. */
uint64_t store_extents_next(const struct store_extents *l, uint64_t offset, uint64_t end);
/* All of them together. */
uint64_t store_extents_bytes(const struct store_extents *l);

/* ---- Files ---- */

/* Is a body of that length one that may be stored in part: larger than what is kept inline, and not too large? */
bool store_accepts_part(const struct store *s, uint64_t length);

/* A file for a body of `length` bytes that nothing of is there yet, with no record; one reference. */
int store_part_new(struct store *s, const struct store_key *key, uint64_t length,
                   struct store_file **out);

/* Names the file in all processes, as long as one of them has it open. */
uint64_t store_part_inode(const struct store_file *f);

struct store_run {
	uint64_t reserved, used; /* bytes within the cap, until a record accounts for them */
};
/* Writes. 0; STORE_WAIT: nothing was written, the writer has been told to make room: try again in a while;
 * LARDER_ENOSPC, … */
int store_part_write(struct store *s, struct store_run *run, struct store_file *f, uint64_t offset,
                     struct view data);
void store_run_fini(struct store *s, struct store_run *run);

/* ---- Records; `done` as of store_commit ---- */

/* Makes the record, with nothing in it: record->length is the whole body's. Replaces what stands there. */
int store_part_create(struct store *s, const struct store_key *key, const struct store_record *record,
                      struct store_file *f, store_done_fn *done, void *arg);
/* The same of a spool that ends before its body does, with what its file has. LARDER_ENOENT: that is nothing. */
int store_part_keep(struct store *s, const struct store_key *key, const struct store_record *record,
                    struct store_spool *sp, store_done_fn *done, void *arg);
/* Bytes first to end − 1 are in the file, written by `run`. The record's head, meta and tags replace those stored
 * unless the head is empty; selecting text and Vary say which record it is. Done with LARDER_ENOENT if it is gone. */
int store_part_extend(struct store *s, const struct store_key *key, const struct store_record *record,
                      uint64_t id, struct store_file *f, struct store_run *run, uint64_t first,
                      uint64_t end, store_done_fn *done, void *arg);
/* All is there: hashes the file (on threads) and makes it a body like others. Done with LARDER_EAGAIN if the record
 * says that something is missing. */
int store_part_finish(struct store *s, const struct store_key *key, const struct store_record *record,
                      uint64_t id, struct store_file *f, store_done_fn *done, void *arg);
/* Removes the part `id`, if it still is one. */
int store_part_drop(struct store *s, const struct store_key *key, const struct store_record *record,
                    uint64_t id, store_done_fn *done, void *arg);

#endif
