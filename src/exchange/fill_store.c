#include "share.h"

void fill_describe(struct fill *f, struct store_record *r)
{
	*r = (struct store_record){
		.meta = f->meta,
		.selecting = buf_view(&f->selecting),
		.vary = buf_view(&f->vary),
		.head = buf_view(&f->head),
		.origin_port = f->info.addr.len ? addr_port(&f->info.addr) : 0,
		.etag = lines_field(buf_view(&f->head), V("ETag")),
	};
	if (f->info.addr.len)
		addr_ip16(&f->info.addr, r->origin_ip);
}

static void on_committed(void *arg, int err)
{
	struct fill *f = arg;

	check_magic(f, FILL_MAGIC);
	if (f->env)
		stat_add(err ? &f->env->stats->not_stored : &f->env->stats->stored, 1);
	if (err)
		log_debug("not stored: %.*s: %s", VFMT(f->key.text), larder_strerror(err));
	/* From here on lookups find it in the store. */
	if (err)
		f->storable = CACHE_STORE_FAILED;
	share_ended(f);
	share_shut(f);
	share_drop(f);
	fill_unref(f);
}

/* LARDER_ENOENT: gone meanwhile; the next request fetches it. */
static void on_updated(void *arg, int err)
{
	struct fill *f = arg;

	check_magic(f, FILL_MAGIC);
	if (err && err != LARDER_ENOENT)
		log_debug("not freshened: %.*s: %s", VFMT(f->key.text), larder_strerror(err));
	share_shut(f);
	share_drop(f);
	fill_unref(f);
}

void fill_commit(struct fill *f)
{
	struct store_record r;
	uint64_t length;

	f->invalidated |= share_invalid(f);
	if (!f->want_store || f->storable != CACHE_STORE_OK || f->spool_ended)
		return;
	if (f->invalidated) {
		f->storable = CACHE_STORE_FAILED; /* nobody waits for it to be written */
		return;
	}
	length = store_spool_length(f->spool);
	if (f->length == HTTP_LENGTH_UNKNOWN) {
		f->length = length;
		if (f->status != 204)
			buf_printf(&f->head, "Content-Length: %llu\r\n", (unsigned long long)length);
	}
	fill_describe(f, &r);
	r.revoked = share_revoked(f);
	r.revoked_was = f->mark;
	r.length = length;
	if (length != f->length || f->head.err ||
	    store_commit(f->env->store, &f->key, &r, f->spool, on_committed, f)) {
		f->storable = CACHE_STORE_FAILED;
		share_shut(f);
		return;
	}
	fill_ref(f);
}

void fill_commit_update(struct fill *f)
{
	struct store_record r;

	if (f->invalidated)
		return;
	/* The Vary list stays that under which the record is kept. */
	fill_describe(f, &r);
	if (store_update(f->env->store, &f->key, &r, f->old_id, on_updated, f) == 0)
		fill_ref(f);
	else
		share_shut(f);
}

/* ---- Invalidation (RFC 9111 §4.4) ---- */

static void on_removed(void *arg, int err)
{
	struct fill *f = arg;

	check_magic(f, FILL_MAGIC);
	if (err && err != LARDER_ENOENT)
		log_warning("could not invalidate: %s", larder_strerror(err));
	if (--f->removing == 0 && f->state == FILL_HELD && f->env) {
		fill_publish(f);
		fill_consumed(f);
	}
	fill_unref(f);
}

static void remove_target(struct fill *f, const struct http_target *t)
{
	static uint64_t told;
	struct store_key key;
	struct buf text;

	buf_init(&text, KEY_BYTES);
	if (exchange_key_text(f->listener, t, &text) == 0) {
		store_key_init(f->env->store, buf_view(&text), &key);
		fill_invalidate(f->env, &key);
		stat_add(&f->env->stats->invalidations, 1);
		if (store_remove(f->env->store, &key, on_removed, f) == 0) {
			f->removing++;
			fill_ref(f);
		} else {
			log_limited(&told, LOG_L_WARNING, "could not invalidate: %.*s", VFMT(key.text));
		}
	}
	buf_fini(&text);
}

static bool same_origin(const struct http_target *a, const struct http_target *b)
{
	return a->scheme == b->scheme && a->port == b->port && view_ieq(a->host, b->host);
}

void fill_remove_invalidated(struct fill *f, const struct http_head *head)
{
	static const enum http_name names[] = {HTTP_LOCATION, HTTP_CONTENT_LOCATION};
	const struct http_target *target;
	const struct http_field *field;
	struct http_target other;
	struct buf scratch;

	if (!f->env->store || !f->first || !cache_invalidates((enum http_method)f->req.method, (uint16_t)f->status))
		return;
	target = f->first->req.target;
	if (target->form == HTTP_ASTERISK_FORM)
		return;
	remove_target(f, target);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		field = http_find(head, names[i], 0);
		if (!field)
			continue;
		buf_init(&scratch, KEY_BYTES);
		if (http_target_resolve(target, field->value, &scratch, &other) == 0 &&
		    same_origin(&other, target))
			remove_target(f, &other);
		buf_fini(&scratch);
	}
}
