/* Vary's names and the selecting text: input is a Vary value, a NUL, and request field lines. */
#include "reference.h"

#include <stdio.h>
#include <strings.h>

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

/* ---- Accept-Encoding: the canonical text means what the field meant (RFC 9110 §12.5.3) ---- */

#define CODING "([-A-Za-z0-9!#$%&'*+.^_`|~]+)"
#define WEIGHT "([ \t]*;[ \t]*[Qq]=(0([.][0-9]{0,3})?|1([.]0{0,3})?))?"
#define UNSAID 1001 /* "identity" where nothing is said of it */
#define REFUSED 0

/* The weight that a list gives a coding, and whether it names one twice. `thousandths`: as canonical texts have it. */
static unsigned weigh(const char *list, const char *coding, bool thousandths, bool *twice)
{
	unsigned weight = strcmp(coding, "identity") ? REFUSED : UNSAID, star = UNSAID + 1;
	char copy[REFERENCE_MAX * 2], *at, *save = NULL;
	bool named = false;

	check(strlen(list) < sizeof(copy));
	memcpy(copy, list, strlen(list) + 1);
	for (at = strtok_r(copy, ",", &save); at; at = strtok_r(NULL, ",", &save)) {
		char name[REFERENCE_MAX + 1];
		char *q = strchr(at, ';');
		unsigned w = 1000;

		if (q) {
			*q++ = '\0';
			q = strchr(q, '=') + 1;
			w = thousandths ? (unsigned)strtoul(q, NULL, 10) : (unsigned)(strtod(q, NULL) * 1000 + 0.5);
		}
		if (sscanf(at, " %600[^ \t]", name) != 1)
			continue;
		if (!strcasecmp(name, "x-gzip") || !strcasecmp(name, "x-compress"))
			memmove(name, name + 2, strlen(name) - 1);
		if (!strcmp(name, "*")) {
			*twice |= star <= UNSAID;
			star = w;
		} else if (!strcasecmp(name, coding)) {
			*twice |= named;
			named = true;
			weight = w;
		}
	}
	if (!named && star <= UNSAID && (strcmp(coding, "identity") || star == 0))
		weight = star;
	return weight;
}

static void compare(const struct http_head *req)
{
	static const char *const codings[] = {"gzip", "br", "compress", "identity", "zz"};
	const struct http_field *f = http_find(req, HTTP_ACCEPT_ENCODING, 0);
	char raw[REFERENCE_MAX + 1], text[REFERENCE_MAX * 2];
	bool twice = false;
	struct buf out;

	if (!f || f->hop || http_find(req, HTTP_ACCEPT_ENCODING, (unsigned)(f - req->fields) + 1) ||
	    !reference_fits(f->value) ||
	    !REFERENCE("([ \t]*(" CODING WEIGHT ")?[ \t]*,){0,40}[ \t]*(" CODING WEIGHT ")?[ \t]*", f->value))
		return;
	check(view_copy(f->value, raw, sizeof(raw)));
	buf_init(&out, sizeof(text) - 1);
	check(cache_vary_select(V("accept-encoding"), req, &out) == 0);
	check(view_copy(view_make(out.data + 16, out.len - 17), text, sizeof(text)));
	for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
		unsigned was = weigh(raw, codings[i], false, &twice);
		unsigned is = weigh(text, codings[i], true, &twice);

		if (twice || !strcmp(text, "identity"))
			break;
		check(was == is);
	}
	/* "identity" alone, at whatever weight. */
	if (!twice && !strcmp(text, "identity")) {
		for (size_t i = 0; i < ARRAY_LEN(codings); i++)
			check((weigh(raw, codings[i], false, &twice) != REFUSED) ==
			      !strcmp(codings[i], "identity"));
	}
	buf_fini(&out);
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
	if (http_parse_fields(&req, lines.ptr ? lines : V(""), &fault) == 0) {
		http_head_mark_hops(&req);
		compare(&req);
		selecting(buf_view(&names), &req, 8 * len + 64);
	}
	buf_fini(&names);
	return 0;
}
