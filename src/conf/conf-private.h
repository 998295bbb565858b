/*
 * Inside of room conf. A *setting* is what somebody wrote for an option, still as text; settings
 * stand in arrays parallel to the flat list of all tables' rows: one for the globals, one for each
 * listener.
 */
#ifndef LARDER_CONF_PRIVATE_H
#define LARDER_CONF_PRIVATE_H

#include "conf/conf.h"

#define CONF_FILE_MAX      ((size_t)1 << 20)
#define CONF_LIST_MAX      4096
#define CONF_LISTENERS_MAX 256
#define CONF_WHY_MAX       8192

enum conf_from { CONF_UNSET, CONF_FROM_FILE, CONF_FROM_ARGUMENT };

struct conf_setting {
	enum conf_from from;
	char **items; /* one, but for lists */
	size_t n;
	char *where; /* NULL for defaults */
};

struct conf_slot {
	const struct option_row *row;
	size_t table;
};

struct conf_block {
	char *address, *kind, *origin, *where;
	struct conf_setting *settings; /* nslots */
	void **options;                /* ntables, NULL for global tables */
};

struct conf {
	uint32_t magic;
	const struct conf_table *tables;
	size_t ntables;
	struct conf_slot *slots;
	size_t nslots;
	struct conf_setting *defaults, *globals; /* nslots each */
	void **options;                          /* ntables, NULL for listener tables */
	struct conf_block *blocks;
	size_t nblocks;
};

/* conf.c */
/* A message on the heap; NULL if there is no memory for it. */
char *conf_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The slot of a name, or nslots. */
size_t conf_slot_find(const struct conf *c, const char *name);
/* " (did you mean X?)" or "", on the heap, or NULL; `listener`: among the options of a listener's
 * block. */
char *conf_closest(const struct conf *c, const char *name, bool listener);
/* Takes copies of the items over into a setting. 0, ENOMEM, ELIMIT. */
int conf_setting_put(struct conf_setting *s, enum conf_from from, const char *where,
                     const char *const *items, size_t n);
/* A new listener without kind and origin; NULL: out of memory or too many. */
struct conf_block *conf_block_new(struct conf *c, const char *address, const char *where);
struct conf_block *conf_block_find(const struct conf *c, const char *address);

/* scan.c: makes a file's bytes fit for libconfuse: blanks comments (it miscounts their lines),
 * quotes bare words, refuses what it would silently accept. 0, EINVAL with *line and *why, ENOMEM,
 * ELIMIT. */
int conf_scan(struct view text, struct buf *out, int *line, char **why);

/* value.c */
/* Is this item right for the row? 0, or EINVAL with *why: "NAME: …", no place. */
int conf_value_check(const struct option_row *row, const char *item, char **why);
/* Stores a checked setting into the option struct; strings keep pointing into the setting. */
void conf_value_fill(const struct option_row *row, const struct conf_setting *s, void *options);
/* The setting as it stands in a file. */
void conf_value_print(const struct option_row *row, const struct conf_setting *s, struct buf *out);
void conf_string_print(const char *s, struct buf *out);
/* Splits at commas and blanks into at most CONF_LIST_MAX pieces. *items: to be freed with each of
 * them. */
int conf_list_split(const char *text, char ***items, size_t *n);
void conf_list_free(char **items, size_t n);

#endif
