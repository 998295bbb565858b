/* A client room at work on a thread of its own, and a blocking peer to talk to it. */
#ifndef LARDER_TESTS_CLIENT_SERVER_H
#define LARDER_TESTS_CLIENT_SERVER_H

#include "fake.h"
#include "unit.h"

extern struct client_options options; /* set before server_start */
extern uint64_t connections_max;
extern struct client_stats stats;
extern int peer_rcvbuf; /* of the peers' sockets; 0: the system's */

void options_default(void);
void server_start(void);
/* Stops; checks that every exchange has ended. */
void server_stop(void);
/* Starts a drain; server_drained waits for its end. */
void server_drain(void);
void server_drained(void);

int peer_connect(void);
/* The same in two steps. */
int peer_socket(void);
void peer_join(int fd);
void peer_send(int fd, struct view data);
/* Reads until the end of the connection; *reset: it was not ended in order. Bounded by 20 s. */
void peer_read_all(int fd, struct buf *out, bool *reset);
/* Reads exactly n bytes. */
void peer_read(int fd, size_t n, struct buf *out);
/* Reads up to and with the text. */
void peer_read_until(int fd, const char *text, struct buf *out);
/* Sends a request on a new connection, ends that side, and gives all that comes back. */
void ask(const char *request, struct buf *out);

/* Waits (20 s at most) until the condition holds. */
#define wait_for(condition)                                                                        \
	do {                                                                                       \
		for (int i_ = 0; !(condition); i_++) {                                             \
			ck_assert_msg(i_ < 20000, "never came: %s", #condition);                   \
			usleep(1000);                                                              \
		}                                                                                  \
	} while (0)

#endif
