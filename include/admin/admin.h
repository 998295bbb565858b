/*
 * The operator's side: the control socket of the running daemon.
 *
 * Protocol: one request line ("stats", "stats json", "version", "reload", …), then the answer and the end of
 * the stream. The answer's first line is "ok" or "error TEXT". Only root and the daemon's own user may connect.
 */
#ifndef LARDER_ADMIN_ADMIN_H
#define LARDER_ADMIN_ADMIN_H

#include <sys/types.h>

#include "base/buf.h"
#include "net/loop.h"

/* A command: appends its answer. 0, or negative with the sentence in *out. `args`: what follows the name. */
typedef int admin_command_fn(void *arg, struct view args, struct buf *out);
struct admin_command {
	const char *name;
	admin_command_fn *fn;
	const char *usage; /* for "help" */
};

/* The socket at `path` (its directory made, owner uid, mode 0600), by the master before it drops rights. The descriptor
 * or negative with *why (to be freed). */
int admin_socket_open(const char *path, uid_t uid, gid_t gid, char **why);

struct admin;
/* Serves it on the loop; the table and arg must outlive it. */
struct admin *admin_new(struct net_loop *l, int fd, const struct admin_command *commands, size_t n,
                        void *arg);
void admin_free(struct admin *a);

/* The tool's side: asks and appends the answer without its first line. 0, or negative with the sentence in *out. */
int admin_ask(const char *path, const char *request, struct buf *out);

#endif
