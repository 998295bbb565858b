/* larderctl: what its files share. */
#ifndef LARDER_CTL_CTL_H
#define LARDER_CTL_CTL_H

#include "main/main.h"
#include "main/purge.h"
#include "main/range.h"

enum { CTL_OK = 0, CTL_FINDINGS = 1, CTL_FAILED = 2 };

struct ctl {
	struct main_args args; /* as the daemon's, made from -c, -s and -o */
	const char *socket;    /* --socket, or NULL */
	char *control;         /* the control socket's path, or NULL */
	char *store_dir;       /* or NULL */
	unsigned given;        /* bits of enum ctl_flag */
	const char *prefix, *host, *tag, *regex;
	const char *listener, *client, *method, *response; /* or NULL */
	char **headers;        /* --header, in their order */
	size_t nheaders;
	uint64_t variant, count; /* 0: not given */
	char **operands;
	size_t noperands;
};

/* Options that only some commands take. */
enum ctl_flag {
	CTL_JSON = 1 << 0,
	CTL_DEEP = 1 << 1,
	CTL_REPAIR = 1 << 2,
	CTL_LONG = 1 << 3,
	CTL_VARIANT = 1 << 4,
	CTL_COUNT = 1 << 5,
	CTL_PREFIX = 1 << 6,
	CTL_HOST = 1 << 7,
	CTL_DRY_RUN = 1 << 8,
	CTL_TAG = 1 << 9,
	CTL_REGEX = 1 << 10,
	CTL_SOFT = 1 << 11,
	CTL_LISTENER = 1 << 12,
	CTL_CLIENT = 1 << 13,
	CTL_METHOD = 1 << 14,
	CTL_HEADER = 1 << 15,
	CTL_RESPONSE = 1 << 16,
};

/* Prints "larderctl: …" and returns CTL_FAILED. */
int ctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Flushes standard output; the exit status. */
int ctl_flush(void);
/* Asks the daemon and appends its answer. CTL_OK, CTL_FAILED (explained), or LARDER_ECONNECT when
 * none answers. */
int ctl_ask(const struct ctl *c, const char *request, struct buf *out);
/* Takes a number off the front of an answer. */
int ctl_take_number(struct view *rest, uint64_t *n);
/* The answer's first line, without its end. */
struct view ctl_line(const struct buf *answer);
/* The store; NULL: explained. */
struct store *ctl_open_store(const struct ctl *c, bool write);

/* ---- print.c ---- */

/* A text that may hold anything, for a line on a terminal: all but printable ASCII as \xHH, line
 * ends as ", ". */
void print_text(struct view text);
/* "…", with bytes beyond ASCII as \u00HH. */
void print_json(struct view text);
/* The same without the quotes around it. */
void print_json_inside(struct view text);
/* ,"name":"text" */
void print_json_member(const char *name, struct view text);
/* "host:port" of the origin whose reverse listener stored it, or nothing. */
struct view print_via(const struct store_entry *e);
/* "1.2.3.4:80"; "" where it is not known. dst: ADDR_TEXT_MAX bytes. */
char *print_origin(const struct store_record *r, char *dst);
/* The members that every entry's JSON object begins with: "{…". */
void print_json_entry(const struct store_entry *e, int64_t now);

/* ---- Commands that work on the store itself; each returns the exit status ---- */

int store_verify_command(const struct ctl *c);
int store_usage_command(const struct ctl *c);
int store_purge_command(const struct ctl *c);
int store_list_command(const struct ctl *c);
int store_show_command(const struct ctl *c);
int store_cat_command(const struct ctl *c);
int store_du_command(const struct ctl *c);
int store_trim_command(const struct ctl *c);
int explain_command(const struct ctl *c);

#endif
