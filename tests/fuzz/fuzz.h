/*
 * Fuzz targets. A target is one file with one fuzz_one, which feeds a parser and
 * checks what must hold for any input; it is one row in meson.build. With
 * -Dfuzz=true (clang) it becomes a libFuzzer program, otherwise a test that
 * replays the files of corpus/TARGET. A bug found becomes a file there.
 */
#ifndef LARDER_TESTS_FUZZ_H
#define LARDER_TESTS_FUZZ_H

#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/view.h"

/* Runs the target on one input, which ends where its allocation ends. Always 0. */
int fuzz_one(const uint8_t *data, size_t len);

/* Does `v` lie inside `whole`? Static texts of larder's own don't. */
static inline bool fuzz_inside(struct view v, struct view whole)
{
	return v.ptr >= whole.ptr && v.len <= whole.len &&
	       (size_t)(v.ptr - whole.ptr) <= whole.len - v.len;
}

/* A copy that ends where its allocation ends, so that reading too far is seen; free() it. */
static inline char *fuzz_copy(struct view v)
{
	char *copy = malloc(v.len ? v.len : 1);

	check(copy != NULL);
	if (v.len)
		memcpy(copy, v.ptr, v.len);
	return copy;
}

#endif
