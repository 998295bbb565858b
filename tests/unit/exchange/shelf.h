/* The store that a test plays, inside: what its files share. */
#ifndef LARDER_TESTS_EXCHANGE_SHELF_H
#define LARDER_TESTS_EXCHANGE_SHELF_H

#include "base/queue.h"
#include "rig.h"
#include "store/parts.h"
#include "store/purge.h"

enum job_kind { JOB_COMMIT, JOB_UPDATE, JOB_ALIAS, JOB_REMOVE, JOB_REMOVE_ONE, JOB_PART, JOB_EXTEND, JOB_FINISH, JOB_PART_DROP };

struct store_file {
	int fd;
	unsigned refs;
	bool part;
	struct buf mem; /* all of it, but of a part */
};

/* A record, or one that is to be. */
struct row {
	TAILQ_ENTRY(row) link;
	struct buf key, selecting, vary, head, body;
	struct store_record r;
	enum job_kind kind;
	uint64_t id;
	store_done_fn *done;
	store_purged_fn *purged;
	void *arg;
	/* Of a body that is stored in part. */
	bool part;
	struct store_file *file;
	struct store_extent extent;
	struct store_extents have;
};

/* Queues a job; *out: to be filled in. */
int shelf_queue(enum job_kind kind, const struct store_key *key, const struct store_record *r,
                struct store_spool *sp, store_done_fn *done, void *arg, uint64_t id, struct row **out);
uint64_t shelf_next_id(struct store *s);
/* The record, or NULL. */
struct row *shelf_row(uint64_t id);
/* The one stored before it; NULL: the newest. */
struct row *shelf_older(struct row *row);
void shelf_drop(struct row *row);
/* A file of `length` bytes that begins with those. */
struct store_file *shelf_file(const void *p, size_t len, size_t length);
/* Does a job about a part. */
int shelf_part_run(struct row *job);

#endif
