#include "share.h"

static void describe(struct fill *f, struct store_record *r)
{
	*r = (struct store_record){
		.meta = f->meta,
		.selecting = buf_view(&f->selecting),
		.vary = buf_view(&f->vary),
		.head = buf_view(&f->head),
		.tags = buf_view(&f->tags),
		.purges = f->purges,
		.revoked = share_revoked(f),
		.revoked_was = f->mark,
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
	describe(f, &r);
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

	f->invalidated |= share_invalid(f);
	if (f->invalidated) {
		share_shut(f);
		return;
	}
	/* The Vary list stays that under which the record is kept. */
	describe(f, &r);
	if (!r.tags.ptr)
		r.tags = V("");
	if (store_update(f->env->store, &f->key, &r, f->old_id, on_updated, f) == 0)
		fill_ref(f);
	else
		share_shut(f);
}
