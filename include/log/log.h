/*
 * Lines out: messages and the access log, from every process. A thread of its own writes them; when
 * a target is slow or full, lines are dropped and counted, and traffic goes on.
 */
#ifndef LARDER_LOG_LOG_H
#define LARDER_LOG_LOG_H

#include "base/addr.h"
#include "base/buf.h"
#include "base/option.h"

struct log_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "log/options.def"
#undef OPTION
};
/* Cells of the process's counter block, as counters.def; single writer: the log's thread, and
 * stat-like relaxed stores. */
struct log_stats {
#define COUNTER(kind, name, text) uint64_t name;
#include "log/counters.def"
#undef COUNTER
};

enum log_level { LOG_L_ERROR, LOG_L_WARNING, LOG_L_INFO, LOG_L_DEBUG };

/* Before log_start (and in tools) messages go to standard error, unthreaded. */
void log_message(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_error(...)   log_message(LOG_L_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_L_WARNING, __VA_ARGS__)
#define log_info(...)    log_message(LOG_L_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_L_DEBUG, __VA_ARGS__)
/* At most one message a second for each `cell` (a static), with the number of those held back. */
void log_limited(uint64_t *cell, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Are the options usable (format string's fields, directory of the path)? 0, or LARDER_EINVAL with *why (to be freed). */
int log_check(const struct log_options *o, char **why);
/* Opens the targets; the master calls it before it drops or forks anything, so that files are opened with
 * its rights: children inherit the descriptors. 0, LARDER_EPERM, LARDER_ENOENT, …, with *why (to be freed). */
int log_open(const struct log_options *o, char **why);
/* After the fork: the name that stands in messages ("worker 3"), counters, and the writing thread. */
int log_start(const char *process, struct log_stats *stats);
/* Writes out what is queued and ends the thread; gives up after a second on a target that holds it. */
void log_stop(void);
/* SIGUSR1 in the master: opens the files anew. The new descriptors reach the children over the Unix sockets
 * that main keeps to each: log_reopen_fds gives them (-1: unchanged kind), log_adopt_fds takes them over. */
int log_reopen(void);
void log_reopen_fds(int *error_fd, int *access_fd);
void log_adopt_fds(int error_fd, int access_fd);

struct log_access {
	int64_t time_us;
	struct addr client, origin; /* len 0: none */
	struct view listener, method, url, target, protocol, outcome, reason, stored, error, referer,
		user_agent, content_type; /* empty: "-" (JSON: null) */
	uint64_t status, bytes, body_bytes, received, ttfb_us, total_us, origin_status;
};
/* Is there an access log at all? (Then nothing needs to be collected.) */
bool log_access_wanted(void);
/* Formats and queues one line; control bytes, quotes and obs-text are escaped as the format demands. */
void log_access(const struct log_access *a);

#endif
