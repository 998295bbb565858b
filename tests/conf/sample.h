/* The option tables of the configuration tests. */
#ifndef LARDER_TESTS_CONF_SAMPLE_H
#define LARDER_TESTS_CONF_SAMPLE_H

#include "conf/conf.h"

struct global_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "global.def"
#undef OPTION
};
struct listener_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "listener.def"
#undef OPTION
};

static const struct option_row global_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct global_options, type, name, def, min, max, text)
#include "global.def"
#undef OPTION
};
static const struct option_row listener_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct listener_options, type, name, def, min, max, text)
#include "listener.def"
#undef OPTION
};

static const struct conf_table sample_tables[] = {
	{"global", OPTION_GLOBAL, global_rows, sizeof(global_rows) / sizeof(global_rows[0]),
         sizeof(struct global_options)},
	{"listener", OPTION_LISTENER, listener_rows, sizeof(listener_rows) / sizeof(listener_rows[0]),
         sizeof(struct listener_options)},
};

#endif
