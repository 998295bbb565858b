/* Variants and purges, in the store that a test plays. */
#include "shelf.h"
#include "store/variants.h"

void store_variants(struct store *s, const struct store_key *key, unsigned max,
                    bool (*each)(void *arg, const struct store_record *r), void *arg)
{
	(void)s;
	for (struct row *row = shelf_older(NULL); row; row = shelf_older(row)) {
		struct store_record r = row->r;

		if (!view_eq(buf_view(&row->key), key->text) || !row->vary.len || !max)
			continue;
		max--;
		r.selecting = buf_view(&row->selecting);
		r.vary = buf_view(&row->vary);
		r.head = buf_view(&row->head);
		r.id = row->id;
		INTO(max = each(arg, &r) ? max : 0);
	}
}

int store_alias(struct store *s, const struct store_key *key, const struct store_record *record,
                struct view from, uint64_t id, store_done_fn *done, void *arg)
{
	struct row *row;

	(void)s, (void)from;
	return shelf_queue(JOB_ALIAS, key, record, NULL, done, arg, id, &row);
}

int store_move(struct store *s, const struct store_key *key, const struct store_record *record,
               const struct store_record *from, uint64_t id, store_done_fn *done, void *arg)
{
	struct row *row;
	int err = shelf_queue(JOB_ALIAS, key, record, NULL, NULL, NULL, id, &row);

	(void)s;
	return err ? err : shelf_queue(JOB_REMOVE_ONE, key, from, NULL, done, arg, id, &row);
}

int store_remove_one(struct store *s, const struct store_key *key, const struct store_record *record,
                     uint64_t id, store_done_fn *done, void *arg)
{
	struct row *row;

	(void)s;
	return shelf_queue(JOB_REMOVE_ONE, key, record, NULL, done, arg, id, &row);
}

/* ---- Purges ---- */

uint64_t store_purges(const struct store *s)
{
	(void)s;
	return fake_store.purges;
}

bool store_purged_since(struct store *s, uint64_t since, struct view key, struct view tags)
{
	(void)s, (void)tags;
	return fake_store.purges > since && view_eq(key, view_of(fake_store.purged));
}

int store_purge_key(struct store *s, const struct store_key *key, bool soft, store_purged_fn *done, void *arg)
{
	struct row *row;
	int err = shelf_queue(JOB_REMOVE, key, NULL, NULL, NULL, arg, 0, &row);

	(void)s, (void)soft;
	if (!err)
		row->purged = done;
	return err;
}

/* Nothing here has tags. */
int store_purge(struct store *s, const struct store_purge *what, store_purged_fn *done, void *arg)
{
	struct store_key none = {.text = what->text};

	return store_purge_key(s, &none, what->soft, done, arg);
}

int store_groups(struct store *s, const struct store_key *key, struct buf *out)
{
	(void)s, (void)key, (void)out;
	return 0;
}
