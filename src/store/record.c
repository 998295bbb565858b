#include "record.h"

#include "base/check.h"
#include "base/error.h"
#include "store/purge.h"

#define RECORD_MAGIC 0x3152444cu /* "LDR1" */

int record_parse(struct view row, struct record *out)
{
	struct record_head *h = &out->h;
	const char *p;
	uint64_t sum;

	*out = (struct record){0};
	if (row.len < sizeof(*h))
		return LARDER_ECORRUPT;
	memcpy(h, row.ptr, sizeof(*h));
	/* So many 32-bit lengths can't wrap 64 bits. */
	sum = (uint64_t)h->key_len + h->selecting_len + h->vary_len + h->head_len + h->tags_len +
	      h->inline_len;
	if (h->magic != RECORD_MAGIC || sum != row.len - sizeof(*h))
		return LARDER_ECORRUPT;
	if ((uint64_t)h->etag_off + h->etag_len > h->head_len)
		return LARDER_ECORRUPT;
	p = row.ptr + sizeof(*h);
	out->key = view_make(p, h->key_len);
	out->selecting = view_make(p += h->key_len, h->selecting_len);
	out->vary = view_make(p += h->selecting_len, h->vary_len);
	out->head = view_make(p += h->vary_len, h->head_len);
	out->tags = view_make(p += h->head_len, h->tags_len);
	out->body = view_make(p += h->tags_len, h->inline_len);
	if (h->kind == RECORD_MARKER) {
		out->variants = out->body;
		out->body = view_make(p, 0);
		return h->inline_len % 16 || h->head_len || h->tags_len || h->blob ? LARDER_ECORRUPT : 0;
	}
	if (h->kind != RECORD_RESPONSE || (h->blob ? h->inline_len : h->inline_len ^ h->length))
		return LARDER_ECORRUPT;
	return 0;
}

/* The checksum's own field counts as 0. */
static uint64_t row_sum(struct view row)
{
	struct record_head h;
	uint64_t sum;

	memcpy(&h, row.ptr, sizeof(h));
	h.sum = 0;
	sum = hash_64(view_make(&h, sizeof(h)), 0);
	return hash_64(view_from(row, sizeof(h)), sum);
}

bool record_intact(struct view row)
{
	struct record_head h;

	if (row.len < sizeof(h))
		return false;
	memcpy(&h, row.ptr, sizeof(h));
	return h.sum == row_sum(row);
}

size_t record_size(const struct record *r)
{
	return sizeof(r->h) + r->key.len + r->selecting.len + r->vary.len + r->head.len +
	       r->tags.len + r->body.len + r->variants.len;
}

static char *put(char *p, struct view v)
{
	if (v.len)
		memcpy(p, v.ptr, v.len);
	return p + v.len;
}

void record_write(struct record *r, void *row)
{
	char *p = (char *)row + sizeof(r->h);

	check(!r->body.len || !r->variants.len);
	r->h.magic = RECORD_MAGIC;
	r->h.key_len = (uint32_t)r->key.len;
	r->h.selecting_len = (uint32_t)r->selecting.len;
	r->h.vary_len = (uint32_t)r->vary.len;
	r->h.head_len = (uint32_t)r->head.len;
	r->h.tags_len = (uint16_t)r->tags.len;
	r->h.inline_len = (uint32_t)(r->body.len + r->variants.len);
	p = put(p, r->key);
	p = put(p, r->selecting);
	p = put(p, r->vary);
	p = put(p, r->head);
	p = put(p, r->tags);
	p = put(p, r->body);
	put(p, r->variants);
	memcpy(row, &r->h, sizeof(r->h));
	r->h.sum = row_sum(view_make(row, record_size(r)));
	memcpy(row, &r->h, sizeof(r->h));
}

void record_find_etag(struct view head, uint32_t *off, uint32_t *len)
{
	struct view rest = head, line;

	*off = *len = 0;
	while (rest.len) {
		line = view_cut(rest, '\n', &rest);
		if (view_istarts(line, V("etag:"))) {
			line = view_from(line, 5);
			if (line.len && line.ptr[line.len - 1] == '\r')
				line.len--;
			line = view_trim(line);
			*off = (uint32_t)(line.ptr - head.ptr);
			*len = (uint32_t)line.len;
			return;
		}
	}
}

void record_export(const struct record *r, struct store_record *out)
{
	*out = (struct store_record){
	        .meta = r->h.meta,
	        .key = r->key,
	        .selecting = r->selecting,
	        .vary = r->vary,
	        .head = r->head,
	        .tags = r->tags,
	        .origin_port = r->h.origin_port,
	        .length = r->h.length,
	        .id = r->h.id,
	};
	memcpy(out->origin_ip, r->h.origin_ip, sizeof(out->origin_ip));
	if (r->h.etag_len)
		out->etag = view_make(r->head.ptr + r->h.etag_off, r->h.etag_len);
}

static void put_be64(unsigned char *p, uint64_t n)
{
	n = __builtin_bswap64(n);
	memcpy(p, &n, sizeof(n));
}

static uint64_t get_be64(const char *p)
{
	uint64_t n;

	memcpy(&n, p, sizeof(n));
	return __builtin_bswap64(n);
}

struct record_key record_key(struct hash128 hash)
{
	struct record_key k;

	put_be64(k.bytes, hash.hi);
	put_be64(k.bytes + 8, hash.lo);
	return k;
}

struct hash128 record_hash(struct view key)
{
	if (key.len != 16)
		return (struct hash128){0, 0};
	return (struct hash128){get_be64(key.ptr), get_be64(key.ptr + 8)};
}

struct hash128 record_variant(struct hash128 primary, struct view selecting, uint64_t seed)
{
	struct hash128 h = hash_128(selecting, seed ^ primary.lo);

	h.hi ^= primary.hi;
	return h;
}

struct record_queue_key record_queue_key(enum record_queue q, uint64_t seq)
{
	struct record_queue_key k;

	k.bytes[0] = (unsigned char)q;
	put_be64(k.bytes + 1, seq);
	return k;
}

uint64_t record_queue_seq(struct view key)
{
	return key.len == 9 ? get_be64(key.ptr + 1) : 0;
}

struct text {
	char *p;
	size_t len, max;
};

static void text_add(struct text *t, struct view v)
{
	if (v.len > t->max - t->len)
		v.len = t->max - t->len;
	if (v.len)
		memcpy(t->p + t->len, v.ptr, v.len);
	t->len += v.len;
}

/* "www.example.com" → "com.example.www", and back. */
static void text_add_reversed(struct text *t, struct view host)
{
	size_t dot;

	while ((dot = view_rfind(host, '.')) < host.len) {
		text_add(t, view_from(host, dot + 1));
		text_add(t, V("."));
		host.len = dot;
	}
	text_add(t, host);
}

bool record_host_is_name(struct view host)
{
	if (host.len && host.ptr[0] == '[')
		return false;
	for (size_t i = 0; i < host.len; i++) {
		if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
			return true;
	}
	return false;
}

static void text_add_host(struct text *t, struct view host)
{
	if (record_host_is_name(host))
		text_add_reversed(t, host);
	else
		text_add(t, host);
}

bool record_url_authority(struct view place, char out[RECORD_URL_MAX], size_t *len)
{
	struct text t = {out, 0, RECORD_URL_MAX};
	struct view host, port;
	size_t colon;

	place.len -= place.len < 16 ? place.len : 16;
	host = view_make(place.ptr, view_find(place, '/'));
	if (host.len == place.len || !host.len)
		return false;
	colon = view_rfind(host, ':');
	if (colon < host.len && view_rfind(host, ']') < host.len && view_rfind(host, ']') > colon)
		colon = host.len;
	port = view_from(host, colon);
	host.len = colon;
	if (record_host_is_name(host))
		text_add_reversed(&t, host);
	else
		text_add(&t, host);
	text_add(&t, port);
	*len = t.len;
	return true;
}

size_t record_url_key(struct view text, struct hash128 hash, char out[RECORD_URL_MAX])
{
	struct text t = {out, 0, RECORD_URL_MAX - 16};
	struct record_key k = record_key(hash);
	struct view url, method = view_cut(text, ' ', &url), rest = url, scheme, authority;
	size_t colon = view_find(url, ':'), slash, port;

	if (colon + 2 < url.len && view_starts(view_from(url, colon), V("://"))) {
		scheme = view_make(url.ptr, colon);
		rest = view_from(url, colon + 3);
		slash = view_find(rest, '/');
		authority = view_make(rest.ptr, slash);
		rest = view_from(rest, slash);
		port = view_rfind(authority, ':');
		if (port < authority.len && view_rfind(authority, ']') < authority.len &&
		    view_rfind(authority, ']') > port)
			port = authority.len;
		text_add_host(&t, view_make(authority.ptr, port));
		text_add(&t, view_from(authority, port));
		text_add(&t, rest);
		text_add(&t, V(" "));
		text_add(&t, method);
		text_add(&t, V(" "));
		text_add(&t, scheme);
	} else {
		text_add(&t, text);
	}
	memcpy(out + t.len, k.bytes, sizeof(k.bytes));
	return t.len + sizeof(k.bytes);
}

/* ---- Tags ---- */

struct view store_tags_first(struct view tags)
{
	struct view rest;

	view_cut(tags, '\n', &rest);
	return rest;
}

bool store_tags_next(struct view *rest, enum store_tag *kind, struct view *name)
{
	struct view line;

	if (!rest->len)
		return false;
	line = view_cut(*rest, '\n', rest);
	if (!line.len)
		return false;
	*kind = (enum store_tag)line.ptr[0];
	*name = view_from(line, 1);
	return true;
}

struct view store_key_origin(struct view text)
{
	struct view url;
	size_t at, scheme;

	view_cut(text, ' ', &url);
	at = text.len - url.len;
	scheme = view_find(url, ':');
	if (scheme + 3 > url.len)
		return text;
	at += scheme + 3;
	return view_make(text.ptr, at + view_find(view_from(text, at), '/'));
}
