/* Lists of what is stored, read a batch at a time. */
#include "store/list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "write.h"

#define LIST_MAGIC    0x4c495354u
#define LIST_MS       20         /* of one transaction */
#define LIST_KEYS     256        /* in one batch */
#define LIST_BYTES    (1u << 20) /* of texts in one batch; the last key may pass it */
#define LIST_ARENA    (512u << 20)
#define LIST_ENTRIES  (LIST_KEYS + RECORD_VARIANTS_MAX)
#define LIST_PREFIXES 3
#define PLACE_MAX     DB_KEY_MAX

struct store_list {
	uint32_t magic;
	struct store *s;
	enum store_list_what what;
	struct store_range range; /* its views point into `texts` */
	struct arena texts;
	struct view prefixes[LIST_PREFIXES]; /* of places, in their order */
	unsigned nprefixes, at;
	char from[PLACE_MAX + 1]; /* places below were looked at */
	size_t from_len;
	struct MDB_txn *txn; /* only while a batch is read */
	struct arena batch;
	struct store_entry entries[LIST_ENTRIES];
	size_t n, next;
	bool end;
};

/* ---- Ranges ---- */

/* The place that all URLs starting with `url` have in common. */
static int add_prefix(struct store_list *l, struct view url, size_t cut)
{
	char place[RECORD_URL_MAX];
	size_t len = url.len - cut - strlen("http://"), most = RECORD_URL_MAX - 16;
	struct buf text;
	int err;

	buf_init(&text, RECORD_TEXT_MAX);
	BUF_ADD_LIT(&text, "GET ");
	err = buf_addv(&text, url);
	if (!err) {
		struct view *p = &l->prefixes[l->nprefixes++];

		record_url_key(buf_view(&text), (struct hash128){0, 0}, place);
		*p = arena_view(&l->texts, view_make(place, len < most ? len : most));
		err = p->ptr ? 0 : LARDER_ENOMEM;
	}
	buf_fini(&text);
	return err;
}

static int add_url(struct store_list *l, struct view url)
{
	size_t cut = view_starts(url, V("https:")) ? 1 : 0;
	struct buf ended;
	int err;

	if (!l->range.exact)
		return add_prefix(l, url, cut);
	/* A place goes on with a space after the URL. */
	buf_init(&ended, RECORD_TEXT_MAX);
	buf_addv(&ended, url);
	err = buf_addc(&ended, ' ');
	if (!err)
		err = add_prefix(l, buf_view(&ended), cut);
	buf_fini(&ended);
	return err;
}

/* "com.example.", "com.example/" and "com.example:". */
static int add_host(struct store_list *l, const struct store_range *r)
{
	bool name = record_host_is_name(r->host);
	struct buf url;
	int err = 0;

	buf_init(&url, RECORD_TEXT_MAX);
	buf_printf(&url, "http://%.*s/", VFMT(r->host));
	if (url.err) {
		buf_fini(&url);
		return url.err;
	}
	if (r->below && name) {
		char *p;

		err = add_prefix(l, buf_view(&url), 0);
		p = err ? NULL : arena_alloc(&l->texts, l->prefixes[0].len);
		if (!p) {
			buf_fini(&url);
			return err ? err : LARDER_ENOMEM;
		}
		memcpy(p, l->prefixes[0].ptr, l->prefixes[0].len);
		p[l->prefixes[0].len - 1] = '.';
		l->prefixes[0].ptr = p;
	}
	if (!r->port || r->port == 80 || r->port == 443)
		err = add_prefix(l, buf_view(&url), 0);
	url.data[url.len - 1] = ':';
	if (r->port)
		buf_printf(&url, "%u/", r->port);
	if (!err)
		err = url.err ? url.err : add_prefix(l, buf_view(&url), 0);
	buf_fini(&url);
	return err;
}

static int copy_range(struct store_list *l, const struct store_range *r)
{
	l->range = *r;
	l->range.url = arena_view(&l->texts, r->url);
	l->range.host = arena_view(&l->texts, r->host);
	l->range.after = V("");
	if ((r->url.len && !l->range.url.ptr) || (r->host.len && !l->range.host.ptr))
		return LARDER_ENOMEM;
	if (r->after.len) {
		l->from_len = r->after.len < PLACE_MAX ? r->after.len : PLACE_MAX;
		memcpy(l->from, r->after.ptr, l->from_len);
		l->from[l->from_len++] = '\0';
	}
	if (r->url.len)
		return add_url(l, r->url);
	if (r->host.len)
		return add_host(l, r);
	l->prefixes[l->nprefixes++] = V("");
	return 0;
}

/* The port that the URL says or its scheme has. */
static bool has_port(struct view url, uint16_t port)
{
	bool tls = view_starts(url, V("https:"));
	struct view authority = view_from(url, strlen("http://") + tls);
	size_t colon;

	authority.len = view_find(authority, '/');
	colon = view_rfind(authority, ':');
	if (colon < authority.len && authority.ptr[authority.len - 1] != ']')
		return true; /* the place's prefix has it */
	return port == (tls ? 443 : 80);
}

static bool in_range(const struct store_list *l, struct view url)
{
	const struct store_range *r = &l->range;

	if (r->url.len)
		return r->exact ? view_eq(url, r->url) : view_starts(url, r->url);
	if (r->port && !r->below)
		return view_istarts(url, V("http")) && has_port(url, r->port);
	return true;
}

struct store_list *store_list_new(struct store *s, const struct store_range *range,
                                  enum store_list_what what)
{
	struct store_list *l = calloc(1, sizeof(*l));

	check_magic(s, STORE_MAGIC);
	check(what != STORE_LIST_SUMS || (!range->url.len && !range->port));
	check(!range->url.len || (view_starts(range->url, V("http")) && range->url.len > 8));
	if (!l)
		return NULL;
	l->magic = LIST_MAGIC;
	l->s = s;
	l->what = what;
	arena_init(&l->texts, 4096, 4 * RECORD_TEXT_MAX);
	arena_init(&l->batch, 256u << 10, LIST_ARENA);
	if (!copy_range(l, range))
		return l;
	store_list_free(l);
	return NULL;
}

void store_list_free(struct store_list *l)
{
	if (!l)
		return;
	check_magic(l, LIST_MAGIC);
	arena_fini(&l->texts);
	arena_fini(&l->batch);
	l->magic = 0;
	free(l);
}

/* ---- Reading ---- */

static int compare(struct view a, struct view b)
{
	int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* The next row of the ranges. 1, 0 at the end, or negative. */
static int seek(struct store_list *l, struct view *place, struct view *row)
{
	struct view from = view_make(l->from, l->from_len);

	for (; l->at < l->nprefixes; l->at++) {
		struct view p = l->prefixes[l->at];
		int ret = db_seek(l->s->db, l->txn, DB_URLS, compare(from, p) > 0 ? from : p, place,
		                  row);

		if (ret < 0)
			return ret;
		if (ret == 1 && place->len <= PLACE_MAX && view_starts(*place, p))
			return 1;
	}
	return 0;
}

/* 1: there is one that can be read. */
static int get(struct store_list *l, struct hash128 hash, struct record *r)
{
	struct record_key k = record_key(hash);
	struct view row;
	int ret = db_get(l->s->db, l->txn, DB_ENTRIES, row_key_view(&k), &row);

	if (ret <= 0)
		return ret;
	return record_parse(row, r) == 0;
}

static bool keep(struct store_list *l, struct view *v)
{
	*v = arena_view(&l->batch, *v);
	return !v->len || v->ptr;
}

static bool keep_texts(struct store_list *l, struct store_entry *e)
{
	struct store_record *r = &e->record;
	size_t etag = r->etag.len ? (size_t)(r->etag.ptr - r->head.ptr) : 0;

	if (!keep(l, &e->place) || !keep(l, &r->key) || !keep(l, &r->selecting) ||
	    !keep(l, &r->vary) || !keep(l, &r->head) || !keep(l, &r->tags))
		return false;
	if (r->etag.len)
		r->etag.ptr = r->head.ptr + etag;
	e->method = view_cut(r->key, ' ', &e->url);
	return true;
}

static void read_extents(const struct record *r, struct store_entry *e)
{
	struct store_extents have = {0};

	e->present = r->h.length;
	if (r->h.blob != RECORD_PART)
		return;
	e->present = 0;
	if (store_extents_load(&have, r->extents, r->h.length) == 0) {
		e->present = store_extents_bytes(&have);
		e->extents = have.n;
	}
	store_extents_fini(&have);
}

static void read_digest(struct store_list *l, const struct record *r, struct store_entry *e)
{
	static const char hex[] = "0123456789abcdef";
	struct record_blob b;
	struct view row;

	e->blob = r->h.blob == RECORD_BLOB;
	e->part = r->h.blob == RECORD_PART;
	if (!e->blob)
		return;
	for (size_t i = 0; i < RECORD_DIGEST; i++) {
		e->digest[2 * i] = hex[r->h.digest[i] >> 4];
		e->digest[2 * i + 1] = hex[r->h.digest[i] & 15];
	}
	if (db_get(l->s->db, l->txn, DB_BLOBS, view_make(r->h.digest, RECORD_DIGEST), &row) != 1 ||
	    row.len != sizeof(b))
		return;
	memcpy(&b, row.ptr, sizeof(b));
	e->references = b.refs;
}

/* What stayed through the small queue's end has no row in it any more. */
static unsigned queue_of(struct store_list *l, const struct record *r)
{
	struct record_queue_key k = record_queue_key(RECORD_SMALL, r->h.birth);
	struct view row;
	int ret = db_get(l->s->db, l->txn, DB_QUEUES, queue_key_view(&k), &row);

	return ret < 0 ? 2 : ret == 1 ? RECORD_SMALL : RECORD_MAIN;
}

static int add_response(struct store_list *l, const struct record *r, struct view place,
                        struct hash128 hash, unsigned variant)
{
	struct store_entry *e = &l->entries[l->n];

	*e = (struct store_entry){.hash = hash, .variant = variant, .responses = 1, .place = place};
	record_export(r, &e->record);
	e->charge = r->h.charge;
	read_digest(l, r, e);
	read_extents(r, e);
	e->queue = l->range.exact ? queue_of(l, r) : 2;
	if (!keep_texts(l, e))
		return LARDER_ENOMEM;
	l->n++;
	return 0;
}

static int add_variants(struct store_list *l, const struct record *m, struct view place)
{
	int err = 0;

	for (size_t i = 0; i < m->variants.len && i < RECORD_VARIANTS_MAX * 16 && !err; i += 16) {
		struct hash128 hash = record_hash(view_make(m->variants.ptr + i, 16));
		struct record r;

		err = get(l, hash, &r);
		if (err == 1)
			err = r.h.kind == RECORD_RESPONSE
			              ? add_response(l, &r, place, hash, (unsigned)(i / 16 + 1))
			              : 0;
	}
	return err;
}

static int add_key(struct store_list *l, const struct record *r, struct view place,
                   struct hash128 hash)
{
	struct store_entry *e = &l->entries[l->n];

	*e = (struct store_entry){.hash = hash, .place = place, .record.key = r->key};
	e->responses = r->h.kind == RECORD_MARKER ? (unsigned)(r->variants.len / 16) : 1;
	if (!keep_texts(l, e))
		return LARDER_ENOMEM;
	l->n++;
	return 0;
}

static int add_sums(struct store_list *l, struct view place, struct view row)
{
	struct store_entry *e = &l->entries[l->n];
	char authority[RECORD_URL_MAX];
	struct record_url_row u;
	size_t len = 0;

	if (row.len != sizeof(u))
		return 0;
	memcpy(&u, row.ptr, sizeof(u));
	record_url_authority(place, authority, &len);
	*e = (struct store_entry){.place = place, .hash = record_hash(view_make(row.ptr, 16))};
	e->responses = u.responses < UINT_MAX ? (unsigned)u.responses : UINT_MAX;
	e->charge = u.charge;
	e->record.length = u.length;
	e->url = view_make(authority, len);
	if (!keep(l, &e->place) || !keep(l, &e->url))
		return LARDER_ENOMEM;
	l->n++;
	return 0;
}

static int add_row(struct store_list *l, struct view place, struct view row)
{
	struct hash128 hash = record_hash(view_make(row.ptr, row.len < 16 ? 0 : 16));
	struct view url;
	struct record r;
	int ret;

	if (l->what == STORE_LIST_SUMS)
		return add_sums(l, place, row);
	ret = get(l, hash, &r);
	if (ret <= 0)
		return ret;
	view_cut(r.key, ' ', &url);
	if (!in_range(l, url))
		return 0;
	if (l->what == STORE_LIST_KEYS)
		return add_key(l, &r, place, hash);
	return r.h.kind == RECORD_MARKER ? add_variants(l, &r, place)
	                                 : add_response(l, &r, place, hash, 0);
}

/* Some rows more, in one transaction: perhaps without an entry, in a long range with few that
 * count. */
static int read_batch(struct store_list *l)
{
	uint64_t until = clock_mono_ms() + LIST_MS;
	int ret = db_begin(l->s->db, false, &l->txn);

	if (ret)
		return ret;
	while (l->n < LIST_KEYS && l->batch.total < LIST_BYTES && clock_mono_ms() < until) {
		struct view place, row;

		ret = seek(l, &place, &row);
		if (ret <= 0)
			break;
		memcpy(l->from, place.ptr, place.len);
		l->from[place.len] = '\0';
		l->from_len = place.len + 1;
		ret = add_row(l, place, row);
		if (ret < 0)
			break;
		ret = 1;
	}
	db_abort(l->txn);
	l->end = ret == 0;
	return ret < 0 ? ret : 0;
}

int store_list_step(struct store_list *l, struct store_entry *out)
{
	check_magic(l, LIST_MAGIC);
	if (l->next == l->n && !l->end) {
		int err;

		arena_reset(&l->batch);
		l->n = l->next = 0;
		err = read_batch(l);
		if (err)
			return err;
	}
	if (l->next == l->n)
		return l->end ? 0 : LARDER_EAGAIN;
	*out = l->entries[l->next++];
	return 1;
}

int store_list_next(struct store_list *l, struct store_entry *out)
{
	int ret;

	do
		ret = store_list_step(l, out);
	while (ret == LARDER_EAGAIN);
	return ret;
}

struct view store_list_place(const struct store_list *l)
{
	check_magic(l, LIST_MAGIC);
	if (l->next && l->next < l->n)
		return l->entries[l->next - 1].place;
	return view_make(l->from, l->from_len ? l->from_len - 1 : 0);
}

/* ---- One entry ---- */

int store_entry_body(struct store *s, const struct store_entry *e, struct buf *inlined, int *fd)
{
	struct record_key k = record_key(e->hash);
	char path[BLOB_PATH_MAX];
	struct MDB_txn *txn;
	struct record r;
	struct view row;
	int ret;

	check_magic(s, STORE_MAGIC);
	*fd = -1;
	ret = db_begin(s->db, false, &txn);
	if (ret)
		return ret;
	ret = db_get(s->db, txn, DB_ENTRIES, row_key_view(&k), &row);
	if (ret == 1)
		ret = record_parse(row, &r);
	else if (ret == 0)
		ret = LARDER_ENOENT;
	if (!ret && (r.h.kind != RECORD_RESPONSE || r.h.id != e->record.id))
		ret = LARDER_ENOENT;
	if (!ret && r.h.blob == RECORD_PART)
		ret = LARDER_EAGAIN;
	if (!ret && !r.h.blob)
		ret = buf_addv(inlined, r.body);
	db_abort(txn);
	if (ret || !r.h.blob)
		return ret;
	blob_path(r.h.digest, path);
	*fd = openat(s->blobs_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return *fd < 0 ? larder_from_errno(errno) : 0;
}

unsigned store_uses(const struct store *s, struct hash128 row)
{
	check_magic(s, STORE_MAGIC);
	return pool_uses(s->pool, row);
}

void store_leave_no_trace(struct store *s, bool on)
{
	check_magic(s, STORE_MAGIC);
	s->traceless = on;
}
