/*
 * What the daemon and larderctl share: the rooms' tables put together, the command line, the loaded
 * configuration, and where things are by default.
 *
 * Vocabulary: *plan* = a configuration that was read, checked and resolved, ready to be run; a
 * reload makes a new one.
 */
#ifndef LARDER_MAIN_MAIN_H
#define LARDER_MAIN_MAIN_H

#include "client/client.h"
#include "conf/conf.h"
#include "log/log.h"

struct main_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "main/options.def"
#undef OPTION
};
struct main_stats {
#define COUNTER(kind, name, text) STAT_MEMBER(kind, name, text)
#include "main/counters.def"
#undef COUNTER
};

/* One process's counters, all rooms. */
struct main_block {
	struct main_stats main;
	struct client_stats client;
	struct exchange_stats exchange;
	struct store_stats store;
	struct origin_stats origin;
	struct log_stats log;
};

extern const struct conf_table main_tables[];
extern const size_t main_ntables;
extern const struct stat_row main_stat_rows[];
extern const size_t main_nstat_rows;

/* ---- The command line ---- */

#define MAIN_USAGE_STATUS 2 /* exit status for what is wrong on the command line */

enum main_mode { MAIN_RUN, MAIN_CHECK, MAIN_PRINT, MAIN_VERSION, MAIN_HELP };
struct main_args {
	enum main_mode mode;
	const char *file;        /* -c, or NULL */
	const char **listeners;  /* -l */
	size_t nlisteners;
	char **assignments;      /* -o, -s, -S and -w as NAME=VALUE, in their order */
	size_t nassignments;
};

/* 0, or LARDER_EINVAL with *why (to be freed). Keeps pointers into argv. */
int main_args_parse(int argc, char **argv, struct main_args *out, char **why);
void main_args_fini(struct main_args *a);

/* ---- The plan ---- */

#define MAIN_ADDRS_MAX     64  /* addresses of one listener's name */
#define MAIN_LISTENERS_MAX 256

struct main_listener {
	enum exchange_kind kind;
	char *name;         /* "forward=127.0.0.1:3128" */
	const char *origin; /* reverse: its URL */
	const char *where;  /* for messages */
	struct addr *addrs;
	size_t naddrs;
	const struct access_options *access;
	const struct cache_options *cache;
	const struct exchange_listener_options *options;
};

struct main_plan {
	struct conf *conf;
	const struct main_options *main;
	const struct log_options *log;
	const struct client_options *client;
	const struct exchange_options *exchange;
	const struct store_options *store;
	const struct origin_options *origin;
	struct main_listener *listeners;
	size_t nlisteners;
	unsigned workers;
	char *store_dir; /* NULL: without a store */
	char *control;   /* NULL: without a control socket */
};

/* Reads the configuration and applies the command line. *status: the exit status that the
 * error deserves. 0, or negative with *why (to be freed). */
int main_conf_load(const struct main_args *args, struct conf **out, char **why, int *status);
/* The same, then checks what only main can judge (listeners, policies, logs) and resolves the listeners'
 * names. */
int main_plan_load(const struct main_args *args, struct main_plan **out, char **why, int *status);
void main_plan_free(struct main_plan *p);
/* The index of the listener with this address, or -1. */
int main_plan_find(const struct main_plan *p, const struct addr *a);

/* The listener as room exchange wants it, its policy compiled; *out must not be moved afterwards.
 * 0, or negative with *why (to be freed). */
int main_exchange_listener(const struct main_listener *l, struct exchange_listener *out, char **why);
void main_exchange_listener_fini(struct exchange_listener *l);
/* Appends the key text of a URL at listener `l` (or, with NULL, at a forward listener). 0, LARDER_EINVAL. */
int main_key_text(const struct exchange_listener *l, struct view url, struct buf *out);

/* "ADDR:PORT" taken apart: host ("" for all; IPv6 without brackets) and port 1 to 65535. 0, LARDER_EINVAL. */
int main_address_parse(struct view text, struct view *host, uint16_t *port);

/* ---- Where things are (heap strings) ---- */

/* The store's directory by options and environment. NULL: `store = off`, or (then *err is LARDER_EINVAL or
 * LARDER_ENOMEM) no place is known. */
char *main_store_dir(const struct main_options *o, bool root, int *err);
/* The control socket's path; NULL when it is off or no place is known. `store_dir` may be NULL. */
char *main_control_path(const struct main_options *o, const char *store_dir, bool root);

/* ---- Small arithmetic ---- */

/* How long a child waits that died `failures` times in a row soon after its start. */
uint64_t main_backoff_ms(unsigned failures);
/* Connections that one worker may hold: its share of connections_max, and what the descriptor limit
 * leaves beside body files, origin connections and listeners. *capped: the limit was what decided. */
uint64_t main_connections_cap(uint64_t fd_limit, uint64_t connections_max, unsigned workers,
                              uint64_t open_files, uint64_t origin_connections, uint64_t sockets,
                              bool *capped);

/* Sets *why to a formatted heap string and returns err. */
int main_why(char **why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Version, features and the libraries' versions, as text. */
void main_version(struct buf *out);

#endif
