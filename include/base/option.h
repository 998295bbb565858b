/*
 * Options as tables. A room describes what can be configured in it in
 * `include/<room>/options.def`, one row an option:
 *
 *   OPTION(TYPE, name, default, min, max, text)
 *
 * TYPE is one of the types below; default, min and max are strings in the
 * option's own notation ("64k", "30s", "yes"; NULL min or max: no bound; for
 * ENUM, `min` is the list of choices "off|response|both" and max is NULL); text
 * is one or more sentences for the manual. The room's option struct, the parser
 * (room conf), `larder -T` and larder.conf(5) are all made from the rows.
 */
#ifndef LARDER_BASE_OPTION_H
#define LARDER_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_BOOL,     /* yes | no */
	OPTION_INT,      /* a whole number */
	OPTION_SIZE,     /* bytes: 64k, 10M, 2G */
	OPTION_DURATION, /* milliseconds: 250ms, 30s, 5m, 2h, 7d */
	OPTION_PERCENT,  /* 0 to 100, a whole number */
	OPTION_ENUM,     /* the index of the choice */
	OPTION_STRING,   /* never NULL; "" when unset */
	OPTION_LIST,     /* strings */
};

struct option_list {
	char **items;
	size_t n;
};

/* Members of a room's option struct:
 *   struct store_options {
 *   #define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
 *   #include "store/options.def"
 *   #undef OPTION
 *   };
 */
#define OPTION_MEMBER_BOOL(name)     bool name;
#define OPTION_MEMBER_INT(name)      int64_t name;
#define OPTION_MEMBER_SIZE(name)     uint64_t name;
#define OPTION_MEMBER_DURATION(name) uint64_t name;
#define OPTION_MEMBER_PERCENT(name)  unsigned name;
#define OPTION_MEMBER_ENUM(name)     int name;
#define OPTION_MEMBER_STRING(name)   char *name;
#define OPTION_MEMBER_LIST(name)     struct option_list name;

/* Where an option stands in the configuration. */
enum option_scope {
	OPTION_GLOBAL,   /* once for the daemon */
	OPTION_LISTENER, /* in a listener's block; given globally it is every listener's default */
};

/* A row as data; `offset` is the member's place in the room's option struct. */
struct option_row {
	enum option_type type;
	const char *name;
	const char *def;
	const char *min;
	const char *max;
	const char *text;
	size_t offset;
};

#define OPTION_ROW(strct, type, name, def, min, max, text)                                         \
	{OPTION_##type, #name, def, min, max, text, offsetof(strct, name)},

#endif
