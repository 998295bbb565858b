/* The rooms' tables put together: options for conf, counters for stat. */
#include "main/main.h"

#include "base/check.h"

static const struct option_row main_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct main_options, type, name, def, min, max, text)
#include "main/options.def"
#undef OPTION
};

static const struct option_row log_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct log_options, type, name, def, min, max, text)
#include "log/options.def"
#undef OPTION
};

static const struct option_row client_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct client_options, type, name, def, min, max, text)
#include "client/options.def"
#undef OPTION
};

static const struct option_row exchange_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct exchange_options, type, name, def, min, max, text)
#include "exchange/options.def"
#undef OPTION
};

static const struct option_row store_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct store_options, type, name, def, min, max, text)
#include "store/options.def"
#undef OPTION
};

static const struct option_row origin_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct origin_options, type, name, def, min, max, text)
#include "origin/options.def"
#undef OPTION
};

static const struct option_row listener_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct exchange_listener_options, type, name, def, min, max, text)
#include "exchange/listener.def"
#undef OPTION
};

static const struct option_row cache_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct cache_options, type, name, def, min, max, text)
#include "cache/options.def"
#undef OPTION
};

static const struct option_row access_rows[] = {
#define OPTION(type, name, def, min, max, text)                                                    \
	OPTION_ROW(struct access_options, type, name, def, min, max, text)
#include "access/options.def"
#undef OPTION
};

#define TABLE(room, scope, rows, strct) {room, scope, rows, ARRAY_LEN(rows), sizeof(strct)}

const struct conf_table main_tables[] = {
	TABLE("main", OPTION_GLOBAL, main_rows, struct main_options),
	TABLE("log", OPTION_GLOBAL, log_rows, struct log_options),
	TABLE("client", OPTION_GLOBAL, client_rows, struct client_options),
	TABLE("exchange", OPTION_GLOBAL, exchange_rows, struct exchange_options),
	TABLE("store", OPTION_GLOBAL, store_rows, struct store_options),
	TABLE("origin", OPTION_GLOBAL, origin_rows, struct origin_options),
	TABLE("listener", OPTION_LISTENER, listener_rows, struct exchange_listener_options),
	TABLE("cache", OPTION_LISTENER, cache_rows, struct cache_options),
	TABLE("access", OPTION_LISTENER, access_rows, struct access_options),
};
const size_t main_ntables = ARRAY_LEN(main_tables);

const struct stat_row main_stat_rows[] = {
#define COUNTER(kind, name, text) STAT_ROW(struct main_block, main, kind, name, text)
#include "main/counters.def"
#undef COUNTER
#define COUNTER(kind, name, text) STAT_ROW(struct main_block, client, kind, name, text)
#include "client/counters.def"
#undef COUNTER
#define COUNTER(kind, name, text) STAT_ROW(struct main_block, exchange, kind, name, text)
#include "exchange/counters.def"
#undef COUNTER
#define COUNTER(kind, name, text) STAT_ROW(struct main_block, store, kind, name, text)
#include "store/counters.def"
#undef COUNTER
#define COUNTER(kind, name, text) STAT_ROW(struct main_block, origin, kind, name, text)
#include "origin/counters.def"
#undef COUNTER
#define COUNTER(kind, name, text) STAT_ROW(struct main_block, log, kind, name, text)
#include "log/counters.def"
#undef COUNTER
};
const size_t main_nstat_rows = ARRAY_LEN(main_stat_rows);
