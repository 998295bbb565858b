/* Messages between the master and a child, with descriptors. */
#ifndef LARDER_MAIN_CHANNEL_H
#define LARDER_MAIN_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#define CHANNEL_TEXT_MAX 1024
#define CHANNEL_FDS_MAX  2

enum channel_type {
	/* From a child: */
	CHANNEL_READY = 1, /* a worker accepts, the keeper answers */
	CHANNEL_RELOAD,    /* the keeper was asked to reload */
	CHANNEL_DRAINING,  /* somebody else than the master told it to end, by SIGTERM */
	/* From the master: */
	CHANNEL_RELOADED, /* value: 0 or an error, text: why; answers the oldest CHANNEL_RELOAD */
	CHANNEL_DRAIN,    /* finish and exit */
	CHANNEL_CUT,      /* exit without finishing */
	CHANNEL_ACCEPT,   /* a listening socket (fd), value: the listener's index, id: the socket's name */
	CHANNEL_LOG,      /* fds of logs: value is 1 for the error log's, 2 for the access log's, 3 for both */
};

struct channel_message {
	uint32_t type;
	int32_t value;
	uint64_t id;
	char text[CHANNEL_TEXT_MAX];
};

/* A pair of ends, non-blocking, close-on-exec. 0 or negative. */
int channel_pair(int ends[2]);
/* 0, LARDER_EAGAIN when the other end reads nothing, or negative. */
int channel_send(int fd, const struct channel_message *m, const int *fds, size_t nfds);
/* One message; descriptors (the caller's) into fds, *nfds of them. 0, LARDER_EAGAIN, LARDER_ECLOSED, … */
int channel_receive(int fd, struct channel_message *m, int fds[CHANNEL_FDS_MAX], size_t *nfds);

#endif
