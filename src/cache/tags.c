#include "cache/tags.h"

#include "base/error.h"
#include "http/sf.h"

static int add(struct buf *out, char letter, struct view name)
{
	if (name.len > CACHE_TAG_MAX)
		return LARDER_ELIMIT;
	buf_addc(out, letter);
	buf_addv(out, name);
	return buf_addc(out, '\n');
}

/* 1, 0: nothing in it, or negative. */
static int add_string(struct buf *out, char letter, const struct http_sf_item *item)
{
	size_t from = out->len;
	int err = buf_addc(out, letter);

	if (!err)
		err = http_sf_decode(item, out);
	if (err)
		return err;
	if (out->len - from - 1 > CACHE_TAG_MAX)
		return LARDER_ELIMIT;
	if (out->len == from + 1) {
		out->len = from;
		return 0;
	}
	err = buf_addc(out, '\n');
	return err ? err : 1;
}

/* One line. How many, LARDER_EINVAL, … */
static int add_line(struct view value, char letter, struct buf *out)
{
	struct http_sf_item item;
	struct http_sf sf;
	int ret, n = 0;

	http_sf_init(&sf, value);
	while ((ret = http_sf_list_next(&sf, &item)) == 1) {
		if (item.type != HTTP_SF_STRING)
			return LARDER_EINVAL;
		ret = add_string(out, letter, &item);
		if (ret < 0)
			return ret;
		n += ret;
	}
	return ret < 0 ? ret : n;
}

/* The next line of the field that is end-to-end. */
static const struct http_field *next(const struct http_head *h, enum http_name id, const struct http_field *f)
{
	do
		f = http_find(h, id, f ? (unsigned)(f - h->fields) + 1 : 0);
	while (f && f->hop);
	return f;
}

int cache_tags_strings(const struct http_head *h, enum http_name field, char letter, struct buf *out)
{
	const struct http_field *f = next(h, field, NULL);
	size_t from = out->len;
	unsigned lines = 0;
	bool empty = false;
	int n = 0, ret = 0;

	for (; f && ret >= 0; f = next(h, field, f)) {
		lines++;
		empty |= f->value.len == 0;
		ret = add_line(f->value, letter, out);
		n += ret > 0 ? ret : 0;
	}
	/* Joined by commas (RFC 9651 §4.2), an empty line among others leaves one too many. */
	if (ret == LARDER_EINVAL || (empty && lines > 1)) {
		out->len = from;
		return 0;
	}
	return ret < 0 ? ret : n;
}

int cache_tags_words(const struct http_head *h, struct view field, char letter, struct buf *out)
{
	const struct http_field *f = http_find_text(h, field, 0);
	int n = 0;

	for (; f; f = http_find_text(h, field, (unsigned)(f - h->fields) + 1)) {
		struct view rest = f->value;

		while (rest.len && !f->hop) {
			size_t len = 0;

			while (len < rest.len && rest.ptr[len] != ' ' && rest.ptr[len] != '\t')
				len++;
			if (len) {
				int err = add(out, letter, view_make(rest.ptr, len));

				if (err)
					return err;
				n++;
			}
			rest = view_from(rest, len < rest.len ? len + 1 : len);
		}
	}
	return n;
}
