/*
 * Views: a pointer and a length into bytes that somebody else owns. Never
 * NUL-terminated by contract. ASCII only: no function here looks at the locale.
 */
#ifndef LARDER_BASE_VIEW_H
#define LARDER_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct view {
	const char *ptr;
	size_t len;
};

/* A string literal as a view. */
#define V(lit) ((struct view){"" lit, sizeof(lit) - 1})
/* For printf's "%.*s". */
#define VFMT(v) (int)((v).len > 1024 * 1024 ? 1024 * 1024 : (v).len), (v).ptr

static inline struct view view_make(const void *ptr, size_t len)
{
	return (struct view){ptr, len};
}

/* The view of a NUL-terminated string; empty for NULL. */
static inline struct view view_of(const char *str)
{
	return (struct view){str, str ? strlen(str) : 0};
}

static inline bool view_eq(struct view a, struct view b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The rest of `v` after its first `n` bytes (n ≤ v.len). */
static inline struct view view_from(struct view v, size_t n)
{
	return (struct view){v.ptr + n, v.len - n};
}

static inline unsigned char view_lower_byte(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* Equal but for the case of ASCII letters. */
bool view_ieq(struct view a, struct view b);
bool view_starts(struct view v, struct view prefix);
bool view_istarts(struct view v, struct view prefix);
bool view_ends(struct view v, struct view suffix);
/* Byte order comparison, shorter first: < 0, 0, > 0. */
int view_cmp(struct view a, struct view b);
/* Index of the first `c`, or v.len. */
size_t view_find(struct view v, char c);
/* Index of the last `c`, or v.len. */
size_t view_rfind(struct view v, char c);
/* Without leading and trailing SP and HTAB (RFC 9110 OWS). */
struct view view_trim(struct view v);
/* Cuts off and returns what stands before the first `c`; *rest is what follows
 * it (empty, with ptr NULL, when there was no `c`). */
struct view view_cut(struct view v, char c, struct view *rest);
/* A NUL-terminated heap copy (free()), or NULL. */
char *view_dup(struct view v);
/* Copies into dst of `size` bytes with a NUL; false (and dst "") if too long. */
bool view_copy(struct view v, char *dst, size_t size);

#endif
