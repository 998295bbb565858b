/*
 * Checks that stay on in release builds. A failed one is a programming error:
 * it prints what, where and the process id, and aborts. Bad input must never
 * reach one.
 */
#ifndef LARDER_BASE_CHECK_H
#define LARDER_BASE_CHECK_H

#include <stdint.h>

_Noreturn void check_failed(const char *what, const char *file, int line, const char *func);

#define check(cond)                                                                                \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0))                                                  \
			check_failed(#cond, __FILE__, __LINE__, __func__);                         \
	} while (0)

/* Long-lived structs start with `uint32_t magic`, set at birth to a constant of
 * their own and wiped at death. */
#define check_magic(obj, value) check((obj) != NULL && (obj)->magic == (value))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of `type` whose `member` is at `ptr`. */
#define container_of(ptr, type, member)                                                            \
	((type *)(void *)((char *)(ptr) - __builtin_offsetof(type, member)))

#endif
