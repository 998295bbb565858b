/* Requests to the writer, made on the loop. */
#include <stdlib.h>

#include "store/variants.h"
#include "tags.h"

void op_free(struct op *op)
{
	if (!op)
		return;
	store_spool_unref(op->spool);
	if (op->file)
		store_file_unref(op->store, op->file);
	if (op->reserved)
		pool_sub(&op->store->slot->spools, op->reserved);
	free(op);
}

void ops_done(struct store *s, struct op_list *list)
{
	struct op *op;

	while ((op = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, op, link);
		s->waits.queued -= op->bytes;
		if (!op->err)
			wait_moved(s, WAIT_QUEUE);
		if (op->linked && !op->err && op->spool)
			spool_linked(op->spool);
		if (op->purged)
			op->purged(op->arg, op->err, &op->n);
		else if (op->done)
			op->done(op->arg, op->err);
		op_free(op);
	}
}

static char *keep(char *p, struct view from, struct view *to)
{
	if (from.len)
		memcpy(p, from.ptr, from.len);
	*to = view_make(p, from.len);
	return p + from.len;
}

struct op *op_new(struct store *s, enum op_kind kind, const struct store_key *key,
                  const struct store_record *record, store_done_fn *done, void *arg)
{
	static const struct store_record nothing;
	const struct store_record *from = record ? record : &nothing;
	size_t len = key->text.len + from->selecting.len + from->vary.len + from->head.len +
	             from->tags.len;
	struct op *op = calloc(1, sizeof(*op) + len);
	char *p;

	if (!op)
		return NULL;
	op->kind = kind;
	op->store = s;
	op->key = key->hash;
	op->bytes = sizeof(*op) + len;
	op->done = done;
	op->arg = arg;
	p = keep(op->text, key->text, &op->rec.key);
	p = keep(p, from->selecting, &op->rec.selecting);
	p = keep(p, from->vary, &op->rec.vary);
	p = keep(p, from->head, &op->rec.head);
	keep(p, from->tags, &op->rec.tags);
	op->keep_tags = !from->tags.ptr;
	op->revoked = from->revoked;
	op->revoked_was = from->revoked_was;
	op->purges = from->purges;
	op->soon = from->soon;
	op->rec.h.kind = RECORD_RESPONSE;
	op->rec.h.meta = from->meta;
	op->rec.h.length = from->length;
	op->rec.h.origin_port = from->origin_port;
	memcpy(op->rec.h.origin_ip, from->origin_ip, sizeof(from->origin_ip));
	record_find_etag(op->rec.head, &op->rec.h.etag_off, &op->rec.h.etag_len);
	return op;
}

bool op_urgent(const struct op *op)
{
	return op->soon || op->kind == OP_REMOVE || op->kind == OP_REMOVE_ONE || op->kind == OP_PART_DROP ||
	       (op->kind == OP_INSERT && op->rec.h.blob == RECORD_PART);
}

void op_count(struct store *s, const struct op *op)
{
	if (op->kind == OP_INSERT && op->rec.h.blob == RECORD_PART) {
		stat_add_mt(&s->stats->parts, 1);
		stat_add_mt(&s->stats->insert_bytes, op->extent.end - op->extent.first);
	} else if (op->kind == OP_INSERT) {
		stat_add_mt(&s->stats->inserts, 1);
		stat_add_mt(&s->stats->insert_bytes, op->rec.h.length);
	} else if (op->kind == OP_PART_EXTEND) {
		stat_add_mt(&s->stats->part_extents, 1);
		stat_add_mt(&s->stats->insert_bytes, op->extent.end - op->extent.first);
	} else if (op->kind == OP_PART_FINISH) {
		stat_add_mt(&s->stats->parts_completed, 1);
	} else if (op->kind == OP_UPDATE) {
		stat_add_mt(&s->stats->updates, 1);
	}
}

int op_fd(const struct op *op)
{
	return op->file ? op->file->fd : op->spool->fd;
}

bool op_too_long(const struct store_key *key, const struct store_record *r)
{
	return key->text.len > RECORD_TEXT_MAX || r->selecting.len > RECORD_TEXT_MAX ||
	       r->vary.len > RECORD_TEXT_MAX || r->head.len > RECORD_TEXT_MAX ||
	       !tags_valid(r->tags);
}

int op_queue(struct store *s, struct op *op)
{
	int err = writer_queue(s, op);

	if (err)
		op_free(op);
	return err;
}

int store_commit(struct store *s, const struct store_key *key, const struct store_record *record,
                 struct store_spool *sp, store_done_fn *done, void *arg)
{
	struct op *op;
	int err;

	check_magic(s, STORE_MAGIC);
	check(s->loop && sp->store == s);
	if (op_too_long(key, record))
		return LARDER_ELIMIT;
	err = spool_seal(sp);
	if (err)
		return err;
	check(record->length == sp->length);
	op = op_new(s, OP_INSERT, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->spool = sp;
	store_spool_ref(sp);
	if (sp->sha) {
		op->rec.h.blob = 1;
	} else {
		op->rec.body = view_make(sp->mem, (size_t)sp->length);
		op->bytes += (size_t)sp->length;
	}
	return op_queue(s, op);
}

int store_update(struct store *s, const struct store_key *key, const struct store_record *record,
                 uint64_t id, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	if (op_too_long(key, record))
		return LARDER_ELIMIT;
	op = op_new(s, OP_UPDATE, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->id = id;
	return op_queue(s, op);
}

int store_alias(struct store *s, const struct store_key *key, const struct store_record *record,
                struct view from, uint64_t id, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	check(record->vary.len > 0);
	if (op_too_long(key, record))
		return LARDER_ELIMIT;
	op = op_new(s, OP_ALIAS, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->from = record_variant(key->hash, from, s->seed);
	op->id = id;
	return op_queue(s, op);
}

int store_move(struct store *s, const struct store_key *key, const struct store_record *record,
               const struct store_record *from, uint64_t id, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	check(record->vary.len > 0 && record->tags.ptr);
	if (op_too_long(key, record))
		return LARDER_ELIMIT;
	op = op_new(s, OP_MOVE, key, record, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->from = from->vary.len ? record_variant(key->hash, from->selecting, s->seed) : key->hash;
	op->id = id;
	return op_queue(s, op);
}

int store_remove_one(struct store *s, const struct store_key *key, const struct store_record *record,
                     uint64_t id, store_done_fn *done, void *arg)
{
	struct store_record where = {.selecting = record->selecting, .vary = record->vary};
	struct op *op;

	check_magic(s, STORE_MAGIC);
	if (op_too_long(key, &where))
		return LARDER_ELIMIT;
	op = op_new(s, OP_REMOVE_ONE, key, &where, done, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->id = id;
	return op_queue(s, op);
}

int store_remove(struct store *s, const struct store_key *key, store_done_fn *done, void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	op = op_new(s, OP_REMOVE, key, NULL, done, arg);
	return op ? op_queue(s, op) : LARDER_ENOMEM;
}

int store_purge_key(struct store *s, const struct store_key *key, bool soft, store_purged_fn *done,
                    void *arg)
{
	struct op *op;

	check_magic(s, STORE_MAGIC);
	op = op_new(s, OP_REMOVE, key, NULL, NULL, arg);
	if (!op)
		return LARDER_ENOMEM;
	op->soft = soft;
	op->purged = done;
	return op_queue(s, op);
}

void op_drop_row(struct store *s, struct hash128 row)
{
	struct store_key key = {.hash = row};
	struct op *op = s->loop ? op_new(s, OP_DROP, &key, NULL, NULL, NULL) : NULL;

	if (op)
		op_queue(s, op);
}
