/*
 * Configuration: options from tables, out of a file (libconfuse), -o NAME=VALUE and defaults. Knows no option
 * by name but those of the tables it is handed.
 *
 *   store = /var/cache/larder          a global option
 *   listen "127.0.0.1:3128" {          a listener
 *       kind = forward
 *       allow = { 10.0.0.0/8 }
 *   }
 *
 * Errors name the file and line, or the option: what was wrong, what would be right.
 */
#ifndef LARDER_CONF_CONF_H
#define LARDER_CONF_CONF_H

#include "base/buf.h"
#include "base/option.h"

/* A room's table. */
struct conf_table {
	const char *room;
	enum option_scope scope;
	const struct option_row *rows;
	size_t nrows;
	size_t size; /* of the room's option struct */
};

struct conf;

/* An empty configuration over these tables (which must outlive it). NULL: out of memory. */
struct conf *conf_new(const struct conf_table *tables, size_t ntables);
void conf_free(struct conf *c);

/* Reads a file. 0, or negative with *why (to be freed): "FILE:LINE: …". */
int conf_read_file(struct conf *c, const char *path, char **why);
/* "NAME=VALUE" from the command line; the last one wins over the file. 0, LARDER_EINVAL, LARDER_ENOENT with *why. */
int conf_set(struct conf *c, const char *assignment, char **why);
/* Adds a listener "KIND=ADDR:PORT[,ORIGIN-URL]" from the command line. The syntax of its parts is main's to judge. */
int conf_add_listener(struct conf *c, const char *text, char **why);
/* After all sources: checks bounds, fills defaults. 0, LARDER_EINVAL with *why. */
int conf_finish(struct conf *c, char **why);

/* The option struct of a global table, filled; NULL if there is no such room. Lives as long as conf. */
const void *conf_global(const struct conf *c, const char *room);

struct conf_listener {
	const char *address; /* "127.0.0.1:3128" */
	const char *kind;    /* "forward" */
	const char *origin;  /* "" if none */
	const char *where;   /* "FILE:LINE" or "-l", for messages */
};
size_t conf_listeners(const struct conf *c);
void conf_listener(const struct conf *c, size_t i, struct conf_listener *out);
/* The option struct of a LISTENER table for listener i. */
const void *conf_listener_options(const struct conf *c, size_t i, const char *room);

/* The whole configuration as a file that reads back the same, each option with its text and default as comment. */
int conf_print(const struct conf *c, struct buf *out);
/* Where an option's value came from, "FILE:LINE", "-o" or NULL for the default; for messages of main. */
const char *conf_where(const struct conf *c, const char *option);

#endif
