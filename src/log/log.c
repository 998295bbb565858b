#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "log-private.h"

/* log_limited's cell: the second of the last message, and how many were held back since. */
#define HELD_BITS 24
#define HELD_MAX  ((UINT64_C(1) << HELD_BITS) - 1)

void log_message(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmessage(level, fmt, ap);
	va_end(ap);
}

/* May it be said now? *held: how many were held back before. */
static bool admit(uint64_t *cell, uint64_t *held)
{
	uint64_t second = clock_mono_ms() / 1000 + 1, old = __atomic_load_n(cell, __ATOMIC_RELAXED),
	         next;
	bool now;

	do {
		now = old >> HELD_BITS != second;
		*held = old & HELD_MAX;
		next = now ? second << HELD_BITS : *held < HELD_MAX ? old + 1 : old;
	} while (!__atomic_compare_exchange_n(cell, &old, next, true, __ATOMIC_RELAXED,
	                                      __ATOMIC_RELAXED));
	return now;
}

void log_limited(uint64_t *cell, enum log_level level, const char *fmt, ...)
{
	char text[LOG_MESSAGE_MAX];
	uint64_t held;
	va_list ap;

	if (!admit(cell, &held))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (held)
		log_message(level, "%s (and %" PRIu64 " more like it)", text, held);
	else
		log_message(level, "%s", text);
}

static char *complain(const char *option, const char *value, const char *what)
{
	struct buf b;

	buf_init(&b, 8192);
	buf_printf(&b, "%s: %s: %s", option, value, what);
	return buf_cstr(&b);
}

static int check_path(const char *option, const char *value, const char *const *words, char **why)
{
	size_t slash = view_rfind(view_of(value), '/');
	char *dir = NULL;
	struct stat st;
	int err = 0;

	for (; *words; words++) {
		if (strcmp(value, *words) == 0)
			return 0;
	}
	if (!*value) {
		*why = complain(option, "\"\"", "neither a path nor one of the words it may be");
		return LARDER_EINVAL;
	}
	if (stat(value, &st) == 0 && S_ISDIR(st.st_mode)) {
		*why = complain(option, value, "is a directory; a file's path is needed");
		return LARDER_EINVAL;
	}
	dir = slash == strlen(value) ? view_dup(V("."))
	                             : view_dup(view_make(value, slash ? slash : 1));
	if (!dir)
		return LARDER_ENOMEM;
	if (stat(dir, &st)) {
		*why = complain(option, dir, strerror(errno));
		err = LARDER_EINVAL;
	} else if (!S_ISDIR(st.st_mode)) {
		*why = complain(option, dir, "is not a directory");
		err = LARDER_EINVAL;
	}
	free(dir);
	return err;
}

int log_check(const struct log_options *o, char **why)
{
	static const char *const error_words[] = {"stdout", "stderr", "syslog", NULL};
	static const char *const access_words[] = {"off", "stdout", "stderr", "syslog", NULL};
	struct log_format format;
	int err;

	*why = NULL;
	err = check_path("error_log", o->error_log, error_words, why);
	if (!err)
		err = check_path("access_log", o->access_log, access_words, why);
	if (err)
		return err;
	err = log_format_parse(&format, o->access_log_format, why);
	if (!err)
		log_format_fini(&format);
	return err;
}
