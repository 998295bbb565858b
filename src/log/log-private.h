/*
 * Inside of room log. A *target* is where lines go; a *queue* is the bounded buffer before it; the
 * *writer* is the thread that empties the queues.
 */
#ifndef LARDER_LOG_PRIVATE_H
#define LARDER_LOG_PRIVATE_H

#include <time.h>

#include "log/log.h"

#define LOG_LINE_MAX      (96 * 1024) /* a line of the access log, with room for JSON's escapes */
#define LOG_MESSAGE_MAX   2048
#define LOG_ACCESS_QUEUE  ((size_t)1 << 20)
#define LOG_ERROR_QUEUE   ((size_t)1 << 17)
#define LOG_SYSLOG_SOCKET "/dev/log"

/* target.c */
enum log_kind {
	LOG_OFF,
	LOG_STREAM, /* standard output or error: not ours to reopen */
	LOG_FILE,
	LOG_SYSLOG,
};

struct log_target {
	enum log_kind kind;
	int fd;     /* our own, above 2; the number stays when the target is reopened */
	bool pipe;  /* not a regular file: polled before it is written to, in pieces of PIPE_BUF */
	bool torn;  /* a line was cut off by a failed write: the next one starts on a fresh line */
	char *path; /* of a file, or of the system log's socket */
};

/* "off", "stdout", "stderr", "syslog" or a path: opens it into *t in place of what was there; on
 * failure *t stays as it was. `option` names it in *why. */
int log_target_open(struct log_target *t, const char *option, const char *value, char **why);
/* The same file anew, under the same descriptor number. 0 for kinds that are not reopened. */
int log_target_reopen(struct log_target *t);
/* Takes over the descriptor `fd` as the target's (closing it). */
void log_target_adopt(struct log_target *t, int fd);
void log_target_close(struct log_target *t);
/* Writes whole lines out of `lines`. Returns how many bytes are done with: less than all when the
 * target takes no more now. *lost: lines given up because a write failed; *failures grows by failed
 * calls. */
size_t log_target_write(struct log_target *t, struct view lines, uint64_t *written, uint64_t *lost,
                        uint64_t *failures);

/* writer.c: the process's log */
enum log_which { LOG_ERROR, LOG_ACCESS };
/* Queues a line (with its newline) or drops and counts it. */
void log_queue_add(enum log_which which, struct view line);
void log_vmessage(enum log_level level, const char *fmt, va_list ap)
        __attribute__((format(printf, 2, 0)));

/* line.c: a line under construction in a fixed buffer. What does not fit is left out. */
struct log_line {
	char *p, *end; /* one byte is kept for the newline */
};
void log_line_add(struct log_line *l, struct view v);
void log_line_addc(struct log_line *l, char c);
void log_line_addu(struct log_line *l, uint64_t n);
/* With leading zeros or blanks to `width`. */
void log_line_addu_pad(struct log_line *l, uint64_t n, unsigned width, char pad);
/* Escaped as \xHH: controls, quotes, backslashes, bytes above 0x7e, and blanks unless `quoted`; "-"
 * if empty. At most `max` bytes come of it; then "..." follows. */
void log_line_text(struct log_line *l, struct view v, bool quoted, size_t max);
/* As a JSON string, or null if empty; always valid UTF-8. */
void log_line_json(struct log_line *l, struct view v, size_t max);
/* A message's text: controls and bytes that are no UTF-8 as \xHH. */
void log_line_message(struct log_line *l, struct view v);
/* "<30>Oct 10 13:55:36 larder[4711]: " */
struct log_clock;
void log_syslog_head(struct log_line *l, unsigned severity, const struct log_clock *c);
/* The length of the UTF-8 sequence at the start of v; 0 if it is not one. */
size_t log_utf8_length(struct view v);

/* time.c: local time, computed once a second per thread */
struct log_clock {
	int64_t second;
	char clf[32];    /* 10/Oct/2000:13:55:36 -0700 */
	char iso[24];    /* 2000-10-10T13:55:36 */
	char zone[8];    /* -07:00 */
	char syslog[20]; /* Oct 10 13:55:36 */
};
const struct log_clock *log_clock_at(int64_t second);

/* format.c */
#define LOG_SEGMENTS_MAX 64
enum log_field {
#define LOG_FIELD(name, kind, member, text) LOG_F_##name,
#include "log/fields.def"
#undef LOG_FIELD
	LOG_FIELDS
};
struct log_segment {
	struct view literal;  /* before the field */
	enum log_field field; /* LOG_FIELDS: none, the last literal */
	bool quoted;
};
enum log_layout { LOG_COMMON, LOG_COMBINED, LOG_SQUID, LOG_JSON, LOG_CUSTOM };
struct log_format {
	enum log_layout layout;
	char *text; /* the literals; %% undoubled */
	struct log_segment segments[LOG_SEGMENTS_MAX];
	size_t nsegments;
};
/* 0, or LARDER_EINVAL with *why. */
int log_format_parse(struct log_format *f, const char *text, char **why);
void log_format_fini(struct log_format *f);
/* One line, with its newline, into dst of LOG_LINE_MAX bytes; its length. */
size_t log_format_line(const struct log_format *f, const struct log_access *a, char *dst);
/* Squid's result code ("TCP_HIT") for what happened. */
struct view log_squid_code(const struct log_access *a);

#endif
