/* Rows of the table entries, with what hangs on them. */
#include "tags.h"

int row_get(struct write *w, struct hash128 hash, struct record *out)
{
	struct record_key k = record_key(hash);
	struct view row;
	int ret = db_get(w->s->db, w->txn, DB_ENTRIES, row_key_view(&k), &row);

	if (ret <= 0)
		return ret;
	ret = record_parse(row, out);
	return ret ? ret : 1;
}

int row_rewrite(struct write *w, struct hash128 hash, struct record *r)
{
	struct record_key k = record_key(hash);
	struct buf *b = &w->s->writer.scratch;
	size_t size = record_size(r);
	int err;

	buf_reset(b);
	err = buf_reserve(b, size);
	if (err)
		return err;
	record_write(r, b->data);
	return db_put(w->s->db, w->txn, DB_ENTRIES, row_key_view(&k), view_make(b->data, size));
}

static int del(struct write *w, struct hash128 hash)
{
	struct record_key k = record_key(hash);
	int ret = db_del(w->s->db, w->txn, DB_ENTRIES, row_key_view(&k));

	return ret < 0 ? ret : 0;
}

static uint64_t plus(uint64_t n, int64_t by)
{
	return by < 0 && (uint64_t)-by > n ? 0 : n + (uint64_t)by;
}

int row_count_url(struct write *w, struct view text, struct hash128 primary,
                  const struct row_change *by)
{
	char url[RECORD_URL_MAX];
	struct view key = view_make(url, record_url_key(text, primary, url)), val;
	struct record_key k = record_key(primary);
	struct record_url_row row = {0};
	int ret;

	if (!by->responses && !by->charge && !by->length)
		return 0;
	ret = db_get(w->s->db, w->txn, DB_URLS, key, &val);
	if (ret < 0)
		return ret;
	if (ret == 1 && val.len == sizeof(row))
		memcpy(&row, val.ptr, sizeof(row));
	memcpy(row.hash, k.bytes, sizeof(row.hash));
	row.responses = plus(row.responses, by->responses);
	row.charge = plus(row.charge, by->charge);
	row.length = plus(row.length, by->length);
	if (row.responses)
		return db_put(w->s->db, w->txn, DB_URLS, key, view_make(&row, sizeof(row)));
	ret = ret ? db_del(w->s->db, w->txn, DB_URLS, key) : 0;
	return ret < 0 ? ret : 0;
}

static int del_url(struct write *w, struct view text, struct hash128 hash)
{
	char url[RECORD_URL_MAX];
	size_t len = record_url_key(text, hash, url);
	int ret = db_del(w->s->db, w->txn, DB_URLS, view_make(url, len));

	return ret < 0 ? ret : 0;
}

/* Takes the variant off its marker's list; an empty marker goes. */
static int unlist(struct write *w, struct view key, struct hash128 hash)
{
	unsigned char list[RECORD_VARIANTS_MAX * 16];
	struct hash128 primary = hash_128(key, w->s->seed);
	struct record_key k = record_key(hash);
	struct record m;
	size_t len = 0;
	int ret = row_get(w, primary, &m);

	if (ret <= 0 || m.h.kind != RECORD_MARKER || m.variants.len > sizeof(list))
		return ret < 0 && ret != LARDER_ECORRUPT ? ret : 0;
	for (size_t i = 0; i < m.variants.len; i += 16) {
		if (memcmp(m.variants.ptr + i, k.bytes, 16)) {
			memcpy(list + len, m.variants.ptr + i, 16);
			len += 16;
		}
	}
	if (len == m.variants.len)
		return 0;
	if (!len) {
		ret = del_url(w, m.key, primary);
		return ret ? ret : del(w, primary);
	}
	m.variants = view_make(list, len);
	return row_rewrite(w, primary, &m);
}

/* All but the marker and the url. */
static int take_out(struct write *w, struct hash128 hash, const struct record_head *h,
                    const struct record_queue_key *at)
{
	int err = queue_remove(w, h, at);

	if (!err && h->blob)
		err = blob_unref(w, h->digest);
	if (!err)
		err = del(w, hash);
	count_down(&w->st.records, 1);
	return err;
}

int row_drop(struct write *w, struct hash128 hash, struct record *r,
             const struct record_queue_key *at)
{
	struct record_head h = r->h;
	struct row_change gone = {-1, -(int64_t)h.charge, -(int64_t)h.length};
	int err;

	check(h.kind == RECORD_RESPONSE);
	/* The entries change last: our views hold until they do. */
	err = tags_change(w, hash, r->key, r->tags, V(""));
	if (!err)
		err = row_count_url(w, r->key, hash_128(r->key, w->s->seed), &gone);
	if (!err && r->vary.len)
		err = unlist(w, r->key, hash);
	return err ? err : take_out(w, hash, &h, at);
}

int row_drop_damaged(struct write *w, struct hash128 hash)
{
	count_down(&w->st.records, 1);
	return del(w, hash);
}

static int drop_variants(struct write *w, const unsigned char *list, size_t len, uint64_t *n)
{
	int err = 0;

	for (size_t i = 0; i < len && !err; i += 16) {
		struct hash128 hash = record_hash(view_make(list + i, 16));
		struct record r;
		int ret = row_get(w, hash, &r);

		if (ret == LARDER_ECORRUPT)
			err = row_drop_damaged(w, hash);
		else if (ret < 0)
			err = ret;
		else if (ret == 1 && r.h.kind == RECORD_RESPONSE)
			err = tags_change(w, hash, r.key, r.tags, V(""));
		if (ret == 1 && !err && r.h.kind == RECORD_RESPONSE)
			err = take_out(w, hash, &r.h, NULL);
		*n += ret == 1;
	}
	return err;
}

int row_drop_all(struct write *w, struct hash128 primary, uint64_t *n)
{
	unsigned char list[RECORD_VARIANTS_MAX * 16];
	struct record r;
	size_t len;
	int ret = row_get(w, primary, &r);

	if (ret == LARDER_ECORRUPT)
		return row_drop_damaged(w, primary);
	if (ret <= 0)
		return ret;
	if (r.h.kind == RECORD_RESPONSE) {
		(*n)++;
		return row_drop(w, primary, &r, NULL);
	}
	len = r.variants.len < sizeof(list) ? r.variants.len : sizeof(list);
	if (len)
		memcpy(list, r.variants.ptr, len);
	ret = del_url(w, r.key, primary);
	if (!ret)
		ret = del(w, primary);
	return ret ? ret : drop_variants(w, list, len, n);
}
