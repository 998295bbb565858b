#include "base/view.h"

#include <stdlib.h>

bool view_ieq(struct view a, struct view b)
{
	return a.len == b.len && view_istarts(a, b);
}

bool view_starts(struct view v, struct view prefix)
{
	return v.len >= prefix.len && (prefix.len == 0 || memcmp(v.ptr, prefix.ptr, prefix.len) == 0);
}

bool view_istarts(struct view v, struct view prefix)
{
	if (v.len < prefix.len)
		return false;
	for (size_t i = 0; i < prefix.len; i++) {
		if (view_lower_byte((unsigned char)v.ptr[i]) !=
		    view_lower_byte((unsigned char)prefix.ptr[i]))
			return false;
	}
	return true;
}

bool view_ends(struct view v, struct view suffix)
{
	return v.len >= suffix.len && view_eq(view_from(v, v.len - suffix.len), suffix);
}

int view_cmp(struct view a, struct view b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.ptr, b.ptr, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

size_t view_find(struct view v, char c)
{
	const char *at = v.len ? memchr(v.ptr, c, v.len) : NULL;

	return at ? (size_t)(at - v.ptr) : v.len;
}

size_t view_rfind(struct view v, char c)
{
	const char *at = v.len ? memrchr(v.ptr, c, v.len) : NULL;

	return at ? (size_t)(at - v.ptr) : v.len;
}

struct view view_trim(struct view v)
{
	while (v.len && (v.ptr[0] == ' ' || v.ptr[0] == '\t'))
		v = view_from(v, 1);
	while (v.len && (v.ptr[v.len - 1] == ' ' || v.ptr[v.len - 1] == '\t'))
		v.len--;
	return v;
}

struct view view_cut(struct view v, char c, struct view *rest)
{
	size_t at = view_find(v, c);

	*rest = at < v.len ? view_from(v, at + 1) : (struct view){NULL, 0};
	return view_make(v.ptr, at);
}

char *view_dup(struct view v)
{
	char *copy = malloc(v.len + 1);

	if (copy) {
		if (v.len)
			memcpy(copy, v.ptr, v.len);
		copy[v.len] = '\0';
	}
	return copy;
}

bool view_copy(struct view v, char *dst, size_t size)
{
	if (v.len >= size) {
		if (size)
			dst[0] = '\0';
		return false;
	}
	if (v.len)
		memcpy(dst, v.ptr, v.len);
	dst[v.len] = '\0';
	return true;
}
