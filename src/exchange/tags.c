#include "tags.h"

_Static_assert(CACHE_TAG_MAX <= STORE_TAG_MAX, "a name that may be found in a head can be stored");

/* The listener's i-th field of keys. Without the option a reverse listener has those that are in use. */
static bool field_at(const struct exchange_listener *l, size_t i, struct view *name)
{
	static const struct view usual[] = {{"Surrogate-Key", 13}, {"xkey", 4}};
	const struct option_list *own = &l->options.tag_fields;

	if (own->n == 1 && view_eq(view_of(own->items[0]), V("off")))
		return false;
	if (own->n) {
		*name = i < own->n ? view_of(own->items[i]) : V("");
		return i < own->n;
	}
	if (l->kind == EXCHANGE_FORWARD || i == ARRAY_LEN(usual))
		return false;
	*name = usual[i];
	return true;
}

bool tags_is_field(const struct exchange_listener *l, struct view field)
{
	struct view name;

	for (size_t i = 0; field_at(l, i, &name); i++) {
		if (view_ieq(name, field))
			return true;
	}
	return false;
}

void tags_strip(const struct exchange_listener *l, struct http_head *h)
{
	struct view name;

	if (l->options.tag_pass)
		return;
	for (size_t i = 0; field_at(l, i, &name); i++) {
		for (unsigned k = 0; k < h->nfields; k++)
			h->fields[k].hop |= view_ieq(h->fields[k].name, name);
	}
}

int tags_keys(const struct exchange_listener *l, const struct http_head *h, struct buf *out)
{
	struct view name;
	int n = 0;

	for (size_t i = 0; field_at(l, i, &name); i++) {
		int ret = cache_tags_words(h, name, STORE_TAG_KEY, out);

		if (ret < 0)
			return ret;
		n += ret;
	}
	return n;
}

/* What comes through one reverse listener is its origin's, under whatever host; what comes through a forward
 * one is of whoever the URL names. */
int tags_scope_of(const struct exchange_listener *l, struct view key, struct buf *out)
{
	if (l->kind == EXCHANGE_FORWARD)
		return buf_addv(out, store_key_origin(key));
	buf_addc(out, '@');
	buf_addv(out, l->origin.host);
	buf_addc(out, ':');
	buf_addu(out, l->origin.port);
	return buf_addv(out, origin_prefix(l));
}

static int groups(const struct fill *f, const struct http_head *h, struct buf *out)
{
	if (!f->listener->options.cache_groups)
		return 0;
	return cache_tags_strings(h, HTTP_CACHE_GROUPS, STORE_TAG_GROUP, out);
}

static bool names_keys(const struct exchange_listener *l, const struct http_head *h)
{
	struct view name;

	for (size_t i = 0; field_at(l, i, &name); i++) {
		if (http_find_text(h, name, 0))
			return true;
	}
	return false;
}

/* Most responses name nothing, and have no line for it. */
static bool names_any(const struct fill *f, const struct http_head *h)
{
	return (f->listener->options.cache_groups && http_find(h, HTTP_CACHE_GROUPS, 0)) ||
	       names_keys(f->listener, h);
}

/* The scope's line; 0 or the buffer's error. */
static int begin(struct fill *f)
{
	buf_reset(&f->tags);
	tags_scope_of(f->listener, f->key.text, &f->tags);
	return buf_addc(&f->tags, '\n');
}

static int end(struct fill *f, int n)
{
	if (!n)
		buf_reset(&f->tags);
	return n > STORE_TAGS_MAX ? LARDER_ELIMIT : 0;
}

int tags_of_response(struct fill *f, const struct http_head *h)
{
	int ret, n = 0;

	if (!names_any(f, h))
		return end(f, 0);
	ret = begin(f);
	if (!ret)
		ret = n = groups(f, h, &f->tags);
	if (ret >= 0)
		ret = tags_keys(f->listener, h, &f->tags);
	return ret < 0 ? ret : end(f, n + ret);
}

/* Those of one kind that it had before. */
static int keep(struct fill *f, enum store_tag what)
{
	struct view rest = store_tags_first(f->old_tags), name;
	enum store_tag kind;
	int n = 0;

	while (store_tags_next(&rest, &kind, &name)) {
		if (kind != what)
			continue;
		buf_addc(&f->tags, (char)kind);
		buf_addv(&f->tags, name);
		buf_addc(&f->tags, '\n');
		n++;
	}
	return f->tags.err ? f->tags.err : n;
}

int tags_of_304(struct fill *f, const struct http_head *h)
{
	int ret = begin(f), n = 0;

	if (!ret)
		ret = n = http_find(h, HTTP_CACHE_GROUPS, 0) ? groups(f, h, &f->tags) : keep(f, STORE_TAG_GROUP);
	if (ret >= 0)
		ret = names_keys(f->listener, h) ? tags_keys(f->listener, h, &f->tags) : keep(f, STORE_TAG_KEY);
	return ret < 0 ? ret : end(f, n + ret);
}
