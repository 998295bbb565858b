/* List fields, members, parameters, entity-tags and structured strings. */
#include "fuzz.h"

#include "base/buf.h"
#include "http/value.h"

#define FIELDS 64

/* Members lie in the input, in order, and none is empty or padded. */
static void walk(const struct http_head *h, struct view name, struct view in)
{
	struct http_list list;
	struct view member;
	const char *last = in.ptr;

	http_list_init_text(&list, h, name);
	while (http_list_next(&list, &member)) {
		struct http_etag tag;
		struct view param = http_param(member, V("q"));

		check(fuzz_inside(member, in) && member.ptr >= last);
		check(member.len && view_eq(view_trim(member), member));
		last = member.ptr + member.len;
		check(!param.ptr || fuzz_inside(param, member));
		if (http_etag_parse(member, &tag) == 0)
			check(tag.opaque.len >= 2 && http_etag_weak_eq(&tag, &tag));
	}
}

/* What is added as a String reads back, as far as it may be in one. */
static void structured(struct view in)
{
	struct buf out;
	size_t at = 1;

	buf_init(&out, 2 * in.len + 2);
	check(http_sf_add_string(&out, in) == 0);
	for (size_t i = 0; i < in.len; i++) {
		if (in.ptr[i] < 0x20 || in.ptr[i] > 0x7e)
			continue;
		if (out.data[at] == '\\')
			at++;
		check(out.data[at++] == in.ptr[i]);
	}
	check(at == out.len - 1 && out.data[0] == '"' && out.data[at] == '"');
	buf_reset(&out);
	check(http_sf_add_token(&out, in) == 0 && out.len > 0);
	buf_fini(&out);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view in = view_make(data, len);
	struct http_field fields[FIELDS];
	struct http_fault fault = {0};
	struct http_head h;
	int err;

	structured(in);
	http_head_init(&h, fields, FIELDS);
	err = http_parse_fields(&h, in, &fault);
	check(err == 0 || fault.text);
	if (err)
		return 0;
	for (unsigned i = 0; i < h.nfields; i++) {
		check(http_name_lookup(h.fields[i].name) == h.fields[i].id);
		check(http_find_text(&h, h.fields[i].name, i) == &h.fields[i]);
		walk(&h, h.fields[i].name, in);
	}
	http_head_mark_hops(&h);
	return 0;
}
