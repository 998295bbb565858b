/* Vary's names and the selecting text: input is a Vary value, a NUL, and request field lines. */
#include "fuzz.h"

#include "cache/rules.h"

#define FIELDS 32

/* Lower case, sorted, single; and naming the names again changes nothing. */
static void canonical(struct view names)
{
	struct http_field field = {.name = V("Vary"), .value = names, .id = HTTP_VARY};
	struct http_head h = {.fields = &field, .nfields = 1, .cap = 1};
	struct view rest = names, last = {NULL, 0};
	struct buf again;

	while (rest.len) {
		struct view name = view_cut(rest, ',', &rest);

		check(name.len && http_is_token(name) && view_cmp(last, name) < 0);
		for (size_t i = 0; i < name.len; i++)
			check(view_lower_byte((unsigned char)name.ptr[i]) ==
			      (unsigned char)name.ptr[i]);
		last = name;
	}
	buf_init(&again, names.len);
	check(cache_vary_names(&h, &again) == 0);
	check(view_eq(buf_view(&again), names));
	buf_fini(&again);
}

static size_t count(struct view v, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < v.len; i++)
		n += v.ptr[i] == c;
	return n;
}

/* One line a name; the text of a request is the same each time, and another once a field that is
 * named is taken away. */
static void selecting(struct view names, struct http_head *req, size_t max)
{
	struct buf text, again;
	size_t lines = names.len ? count(names, ',') + 1 : 0;

	buf_init(&text, max);
	buf_init(&again, max);
	http_head_mark_hops(req);
	check(cache_vary_select(names, req, &text) == 0);
	check(count(buf_view(&text), '\n') == lines);
	check(cache_vary_select(names, req, &again) == 0);
	check(view_eq(buf_view(&text), buf_view(&again)));
	buf_reset(&again);
	req->nfields = 0;
	check(cache_vary_select(names, req, &again) == 0);
	check(again.len == names.len + (lines ? 1 : 0) && again.len <= text.len);
	buf_fini(&text);
	buf_fini(&again);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view lines, value = view_cut(view_make(data, len), '\0', &lines);
	struct http_field vary = {.name = V("Vary"), .value = view_trim(value), .id = HTTP_VARY};
	struct http_head res = {.fields = &vary, .nfields = 1, .cap = 1}, req;
	struct http_field fields[FIELDS];
	struct http_fault fault = {0};
	struct buf names;
	int any;

	buf_init(&names, len);
	any = cache_vary_names(&res, &names);
	check(any == 0 || any == 1);
	check(any == 0 || names.len == 0);
	canonical(buf_view(&names));
	http_head_init(&req, fields, FIELDS);
	/* Weights grow in the canonical text: "q=0.1" is written ";q=100". */
	if (http_parse_fields(&req, lines.ptr ? lines : V(""), &fault) == 0)
		selecting(buf_view(&names), &req, 8 * len + 64);
	buf_fini(&names);
	return 0;
}
