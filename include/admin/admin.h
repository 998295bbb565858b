/*
 * The operator's side: the control socket of the running daemon.
 *
 * Protocol: one request line ("stats", "stats json", "version", "reload", …), then the answer and the end of
 * the stream. The answer's first line is "ok" or "error TEXT". Only root and the daemon's own user may connect.
 *
 * Vocabulary: *call* = one request on its way to its answer.
 */
#ifndef LARDER_ADMIN_ADMIN_H
#define LARDER_ADMIN_ADMIN_H

#include <sys/types.h>

#include "base/buf.h"
#include "net/loop.h"

#define ADMIN_REQUEST_MAX 65536
#define ADMIN_ANSWER_MAX  (16U << 20)

struct admin_call;

/* A command: appends its answer to *out. `args`: what follows the name. 0; negative with the sentence in *out; or
 * ADMIN_LATER: then args and out stay valid until admin_finish, which must be called exactly once (before
 * admin_free, which forgets what is unanswered). */
enum { ADMIN_LATER = 1 };
typedef int admin_command_fn(void *arg, struct admin_call *call, struct view args, struct buf *out);
struct admin_command {
	const char *name;
	admin_command_fn *fn;
	const char *usage; /* for "help", which admin answers by itself */
};
/* Ends a call that was answered ADMIN_LATER. */
void admin_finish(struct admin_call *call, int err);

/* The socket at `path` (its directory made, owner uid, mode 0600), by the master before it drops rights. -1 as uid or
 * gid: as we are. A socket that nobody answers at is replaced. The descriptor, LARDER_EBUSY when a daemon
 * answers there, or another error, with *why (to be freed). */
int admin_socket_open(const char *path, uid_t uid, gid_t gid, char **why);

struct admin;
/* Serves it on the loop (does not own fd); the table and arg must outlive it. NULL: out of memory. */
struct admin *admin_new(struct net_loop *l, int fd, const struct admin_command *commands, size_t n,
                        void *arg);
/* Takes no more calls; the other processes at the socket do. */
void admin_drain(struct admin *a);
/* Calls that are not answered yet, or whose answer has not left. */
unsigned admin_calls(const struct admin *a);
void admin_free(struct admin *a);

/* The tool's side: asks and appends the answer without its first line. 0, or negative with the sentence in
 * *out; LARDER_ECONNECT when nobody answers at `path`. */
int admin_ask(const char *path, const char *request, struct buf *out);

#endif
