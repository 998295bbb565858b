/* What tools ask of the writer: removals in bulk, and free pages given back at once. */
#include <stdlib.h>

#include "base/clock.h"
#include "net/loop.h"
#include "store/list.h"
#include "write.h"

#define TRIM_STEP   (256u << 20) /* bytes given back under one write lock */
#define TRIM_MS     1000
#define TRIM_SETTLE 64 /* transactions that take away files of removed responses */
#define BURY_MAX    256

/* ---- Removing ---- */

static int remove_keys(struct write *w, const struct hash128 *keys, size_t n, size_t *done)
{
	static const struct write_cost cost = {
	        .touch = {[DB_ENTRIES] = 2, [DB_QUEUES] = 2, [DB_URLS] = 1, [DB_BLOBS] = 1,
	                  [DB_TAGS] = 8},
	        .add = {[DB_QUEUES] = 1},
	};
	uint64_t responses = 0;
	int err = 0;

	for (*done = 0; *done < n && !err; ++*done) {
		/* The first one finds room as evictions do, or nothing could ever be removed. */
		if (!write_room(w, &cost, room_for_evictions(w->s->pool)) && *done)
			break;
		err = row_drop_all(w, keys[*done], &responses);
	}
	return err;
}

/* *left: body files that the next transaction can remove. */
static int remove_once(struct store *s, const struct hash128 *keys, size_t n, size_t *done,
                       uint64_t *left)
{
	struct write w;
	int err = write_begin(s, &w);

	*done = 0;
	if (err)
		return err;
	err = blob_bury(&w, BURY_MAX);
	if (!err)
		err = remove_keys(&w, keys, n, done);
	*left = w.st.doomed;
	if (!err)
		return write_commit(&w);
	write_abort(&w);
	return err;
}

static int settle(struct store *s, unsigned least)
{
	uint64_t left = 1;
	size_t done;
	int err = 0;

	for (unsigned i = 0; !err && (i < least || left) && i < TRIM_SETTLE; i++)
		err = remove_once(s, NULL, 0, &done, &left);
	return err;
}

int64_t store_remove_some(struct store *s, const struct hash128 *keys, size_t n)
{
	uint64_t left;
	size_t done;
	int err;

	check_magic(s, STORE_MAGIC);
	if (s->readonly || s->writer.running)
		return LARDER_EPERM;
	if (!n)
		return settle(s, 1);
	err = remove_once(s, keys, n, &done, &left);
	return err ? err : (int64_t)done;
}

/* ---- Giving back ---- */

static int64_t punch(struct store *s)
{
	struct write w;
	int64_t n;
	int err = write_begin(s, &w);

	if (err)
		return err;
	n = db_punch(s->db, TRIM_STEP);
	w.base = db_allocated(s->db);
	write_abort(&w);
	return n;
}

static int trim(struct store *s)
{
	uint64_t until = clock_mono_ms() + TRIM_MS;
	/* Pages stay until they are older than the last two transactions. */
	int err = settle(s, 3);
	int64_t n = 1;

	while (!err && n > 0) {
		if (clock_mono_ms() >= until)
			return STORE_TRIM_MORE;
		n = punch(s);
	}
	return err ? err : n < 0 ? (int)n : STORE_TRIMMED;
}

int store_trim_now(struct store *s)
{
	check_magic(s, STORE_MAGIC);
	if (s->readonly || s->writer.running)
		return LARDER_EPERM;
	return trim(s);
}

int store_trim(struct store *s, store_done_fn *done, void *arg)
{
	struct writer *w = &s->writer;
	struct op *op;
	int err = 0;

	check_magic(s, STORE_MAGIC);
	if (!w->running)
		return LARDER_ECLOSED;
	op = calloc(1, sizeof(*op));
	if (!op)
		return LARDER_ENOMEM;
	op->done = done;
	op->arg = arg;
	pthread_mutex_lock(&w->lock);
	if (w->trim)
		err = LARDER_EBUSY;
	else
		w->trim = op;
	pthread_mutex_unlock(&w->lock);
	if (err)
		free(op);
	else
		writer_kick(s, DUTY_TRIM);
	return err;
}

void trim_run(struct store *s)
{
	struct writer *w = &s->writer;
	int ret = trim(s);

	pthread_mutex_lock(&w->lock);
	w->trim->err = ret;
	TAILQ_INSERT_TAIL(&w->done, w->trim, link);
	w->trim = NULL;
	pthread_mutex_unlock(&w->lock);
	net_wake_send(s->wake);
}
