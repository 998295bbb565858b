/* The sweep for body files that no row knows: a power cut or a lost index leaves them. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/log.h"
#include "write.h"

#define SWEEP_BATCH 64
#define SWEEP_MS    20 /* of one step */

struct orphans {
	uint8_t digest[SWEEP_BATCH][RECORD_DIGEST];
	unsigned n;
};

DIR *sweep_open(struct store *s, unsigned dir)
{
	char name[3];
	int fd;
	DIR *d;

	snprintf(name, sizeof(name), "%02x", dir);
	fd = openat(s->blobs_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	d = fdopendir(fd);
	if (!d)
		close(fd);
	return d;
}

/* What looks like an orphan in the last committed state. */
static int find_orphans(struct store *s, DIR *d, struct orphans *o)
{
	struct MDB_txn *txn;
	struct dirent *e;
	struct view row;
	int ret = db_begin(s->db, false, &txn);

	if (ret)
		return ret;
	while (o->n < SWEEP_BATCH && (e = readdir(d))) {
		uint8_t *digest = o->digest[o->n];

		if (!blob_digest(e->d_name, digest))
			continue;
		ret = db_get(s->db, txn, DB_BLOBS, view_make(digest, RECORD_DIGEST), &row);
		if (ret < 0)
			break;
		o->n += ret == 0;
	}
	db_abort(txn);
	return ret < 0 ? ret : 0;
}

/* Under the write lock nobody links: what has no row now has none coming. */
static int remove_orphans(struct store *s, const struct orphans *o, unsigned *removed)
{
	struct write w;
	int err = write_begin(s, &w);

	*removed = 0;
	for (unsigned i = 0; i < o->n && err >= 0; i++) {
		err = blob_remove_orphan(&w, o->digest[i]);
		*removed += err == 1;
	}
	write_abort(&w);
	return err < 0 ? err : 0;
}

static void sweep_folder(struct store *s)
{
	struct writer *w = &s->writer;
	struct orphans o = {.n = 0};
	unsigned removed = 0;
	DIR *d = NULL;
	int err;

	while (w->sweep_dir < 256 && !(d = sweep_open(s, w->sweep_dir)))
		w->sweep_dir++;
	if (!d)
		return;
	err = find_orphans(s, d, &o);
	closedir(d);
	if (!err && o.n) {
		err = remove_orphans(s, &o, &removed);
		if (removed) {
			stat_add_mt(&s->stats->orphans, removed);
			log_info("store: %u body files that nothing refers to were removed",
			         removed);
		}
	}
	/* A full batch leaves the rest of the folder to the next step. */
	if (err || o.n < SWEEP_BATCH || !removed)
		w->sweep_dir++;
}

void sweep_step(struct store *s)
{
	struct writer *w = &s->writer;
	uint64_t now = clock_mono_ms();

	if (w->sweep_dir == 256) {
		if (now - w->sweep_ms < s->options->sweep_interval)
			return;
		w->sweep_ms = now;
		w->sweep_dir = 0;
	}
	do
		sweep_folder(s);
	while (w->sweep_dir < 256 && clock_mono_ms() - now < SWEEP_MS);
	if (w->sweep_dir == 256) {
		part_sweep(s);
		stat_add_mt(&s->stats->sweeps, 1);
	}
}
