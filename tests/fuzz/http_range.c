/* Range and Content-Range, the former of short representations against a bitmap. The first line is the length. */
#include "reference.h"

#include <stdio.h>

#include "base/num.h"
#include "http/value.h"

#define MAX 6

/* Inside the representation; no byte twice, no two that touch. */
static void check_ranges(const struct http_range *r, unsigned n, uint64_t length)
{
	check(n > 0 && n <= MAX);
	for (unsigned i = 0; i < n; i++) {
		check(r[i].first <= r[i].last && r[i].last < length);
		for (unsigned j = 0; j < i; j++)
			check(r[i].first > r[j].last + 1 || r[j].first > r[i].last + 1);
	}
}

/* RFC 9110 §14.1.2, with numbers that fit an int; empty members are skipped. */
#define SPEC "([0-9]{1,6}-([0-9]{1,6})?|-[0-9]{1,6})"
#define OWS  "[ \t]*"
#define SHORT 64

/* Marks the bytes of one spec; false: it is malformed. */
static bool mark(const char *spec, unsigned length, bool *bytes)
{
	unsigned first = 0, last = 0;

	if (*spec == '-') {
		check(sscanf(spec, "-%u", &last) == 1);
		first = last < length ? length - last : 0;
		last = length - 1;
	} else if (sscanf(spec, "%u-%u", &first, &last) < 2) {
		last = length - 1;
	} else if (last < first) {
		return false;
	}
	for (unsigned i = first; i <= last && i < length; i++)
		bytes[i] = true;
	return true;
}

static void compare(struct view value, unsigned length, enum http_range_outcome got,
                    const struct http_range *ranges, unsigned n)
{
	bool bytes[SHORT] = {false};
	unsigned specs = 0, runs = 0;
	char copy[REFERENCE_MAX + 1], *at, *end;

	if (!REFERENCE("[Bb][Yy][Tt][Ee][Ss]=(" OWS SPEC "?" OWS ",)*" OWS SPEC "?" OWS, value))
		return;
	check(view_copy(view_from(value, 6), copy, sizeof(copy)));
	for (at = copy; at; at = end) {
		end = strchr(at, ',');
		if (end)
			*end++ = '\0';
		at += strspn(at, " \t");
		if (!*at)
			continue;
		specs++;
		if (!mark(at, length, bytes)) {
			check(got == HTTP_RANGE_NONE);
			return;
		}
	}
	for (unsigned i = 0; i < length; i++)
		runs += bytes[i] && (i == 0 || !bytes[i - 1]);
	if (!specs || specs > MAX) {
		check(specs || got == HTTP_RANGE_NONE);
		return;
	}
	check(got == (runs ? HTTP_RANGE_SOME : HTTP_RANGE_UNSATISFIABLE));
	check(n == runs);
	for (unsigned i = 0; i < n; i++) {
		for (uint64_t b = ranges[i].first; b <= ranges[i].last; b++) {
			check(bytes[b]);
			bytes[b] = false;
		}
	}
	for (unsigned i = 0; i < length; i++)
		check(!bytes[i]);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view value, first = view_cut(view_make(data, len), '\n', &value);
	struct http_range ranges[MAX], one;
	enum http_range_outcome got;
	uint64_t length, total;
	unsigned n = 77;
	int form;

	if (num_parse_saturating(first, UINT64_MAX, &length))
		length = 1000;
	got = http_range_parse(value, length, ranges, MAX, &n);
	if (got == HTTP_RANGE_SOME)
		check_ranges(ranges, n, length);
	else
		check(n == 0);
	if (length > 0 && length <= SHORT && reference_fits(value))
		compare(value, (unsigned)length, got, ranges, n);
	form = http_content_range_parse(value, &one, &total);
	check(form == 1 || form == 2 || form == LARDER_EINVAL);
	if (form == 1)
		check(one.first <= one.last && one.last < total);
	return 0;
}
