#include "share.h"

void fill_describe(struct fill *f, struct store_record *r)
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

int fill_take_cookies(struct fill *f, const struct http_head *res304)
{
	struct buf b;
	int err;

	if (!http_find(res304, HTTP_SET_COOKIE, 0) || cache_304_shares_cookies(&f->listener->cache, res304))
		return 0;
	buf_init(&b, KEY_BYTES);
	for (unsigned i = 0; i < res304->nfields; i++) {
		if (res304->fields[i].id != HTTP_SET_COOKIE)
			continue;
		buf_addv(&b, lines_raw(&res304->fields[i]));
		BUF_ADD_LIT(&b, "\r\n");
	}
	f->cookies = arena_view(&f->arena, buf_view(&b));
	err = b.err || !f->cookies.ptr ? LARDER_ENOMEM : 0;
	buf_fini(&b);
	return err;
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

void fill_commit_as(struct fill *f, struct store_spool *spool, struct view head, uint32_t flags)
{
	struct store_record r;

	if (f->invalidated || share_invalid(f)) {
		f->storable = CACHE_STORE_FAILED; /* nobody waits for it to be written */
		share_shut(f);
		share_drop(f);
		return;
	}
	fill_describe(f, &r);
	r.head = head;
	r.etag = lines_field(head, V("ETag"));
	r.meta.flags |= flags;
	r.length = store_spool_length(spool);
	if (store_commit(f->env->store, &f->key, &r, spool, on_committed, f)) {
		f->storable = CACHE_STORE_FAILED;
		share_shut(f);
		return;
	}
	fill_ref(f);
	/* One without Vary that came in place of one with it must not stay behind that (RFC 9111 §4.1). */
	if (f->has_old && f->old_vary.len && !f->vary.len) {
		r.vary = f->old_vary;
		r.selecting = f->old_selecting;
		store_remove_one(f->env->store, &f->key, &r, f->old_id, NULL, NULL);
	}
}

void fill_commit(struct fill *f)
{
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
		/* Who asked has not got the head yet, and gets the body of a known length, too. */
		if (f->status != 204 && f->state == FILL_HELD)
			buf_printf(&f->pass_head, "Content-Length: %llu\r\n", (unsigned long long)length);
	}
	if (length != f->length || f->head.err) {
		f->storable = CACHE_STORE_FAILED;
		share_shut(f);
		return;
	}
	if (!recode_begin(f))
		fill_commit_as(f, f->spool, buf_view(&f->head), 0);
}

void fill_commit_update(struct fill *f)
{
	struct store *s = f->env->store;
	struct store_record r;
	struct buf text;
	int err = LARDER_ECLOSED; /* CACHE_LEAVE: nothing is written */

	f->invalidated |= share_invalid(f);
	if (f->invalidated) {
		share_shut(f);
		return;
	}
	/* The Vary list stays that under which the record is kept. */
	fill_describe(f, &r);
	if (!r.tags.ptr)
		r.tags = V("");
	if (f->fate == CACHE_UPDATE && f->new_vary.ptr) {
		struct store_record from = r;

		r.vary = f->new_vary;
		r.selecting = f->new_selecting;
		err = store_move(s, &f->key, &r, &from, f->old_id, on_updated, f);
	} else if (f->fate == CACHE_UPDATE) {
		err = store_update(s, &f->key, &r, f->old_id, on_updated, f);
	} else if (f->fate == CACHE_REMOVE) {
		err = store_remove_one(s, &f->key, &r, f->old_id, on_updated, f);
	}
	if (err)
		share_shut(f);
	else
		fill_ref(f);
	if (f->fate != CACHE_UPDATE || !f->choosing || f->new_vary.ptr)
		return;
	/* From now on it is there for what this request selects by, too. */
	buf_init(&text, KEY_BYTES);
	if (cache_vary_select(buf_view(&f->vary), &f->req, &text) == 0) {
		r.selecting = buf_view(&text);
		store_alias(s, &f->key, &r, buf_view(&f->selecting), f->old_id, NULL, NULL);
	}
	buf_fini(&text);
}
