/*
 * Sockets in: accepting, HTTP/1.1 sessions with their limits and timeouts.
 *
 * Vocabulary: *session* = one client connection; *drain* = finish what runs, begin nothing new.
 *
 * A client that has only ended its own side (as `nc` does behind its request) still gets its answers; one
 * whose connection was reset is gone, and its exchange is told at once. A plain close() looks like the former
 * until larder writes to it.
 */
#ifndef LARDER_CLIENT_CLIENT_H
#define LARDER_CLIENT_CLIENT_H

#include "exchange/exchange.h"

struct client_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "client/options.def"
#undef OPTION
};
struct client_stats {
#define COUNTER(kind, name, text) STAT_MEMBER(kind, name, text)
#include "client/counters.def"
#undef COUNTER
};

struct client; /* the client side of a worker */

/* `max`: connections of this worker (main derives it from connections_max and the descriptor limit).
 * The parts must outlive it. */
struct client *client_new(struct net_loop *l, const struct client_options *options, uint64_t max,
                          struct client_stats *stats, struct exchange_env *env);
/* Accepts on a listening socket (not owned). Several may serve one listener. 0 or LARDER_ENOMEM. */
int client_accept(struct client *c, int fd, const struct exchange_listener *listener);
/* Closes idle sessions, accepts who waits, stops accepting, ends sessions after their present or (of those that
 * were just accepted or answered) next answer; `done` once all are gone. The sockets may be closed on return. */
void client_drain(struct client *c, void (*done)(void *arg), void *arg);
/* Closes everything now. */
void client_free(struct client *c);
unsigned client_connections(const struct client *c);

#endif
