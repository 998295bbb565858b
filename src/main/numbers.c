/* Small arithmetic of the pool: back-off and connection limits. */
#include "main/main.h"

#define BACKOFF_FREE     2     /* the first deaths are answered at once */
#define BACKOFF_FIRST_MS 100
#define BACKOFF_LAST_MS  10000

/* Descriptors of a worker that are neither clients, bodies, origins nor listeners: loop, logs, index, channel. */
#define FDS_FIXED     64
#define CONNECTIONS_MIN 16

uint64_t main_backoff_ms(unsigned failures)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	if (failures <= BACKOFF_FREE)
		return 0;
	for (unsigned i = BACKOFF_FREE + 1; i < failures && ms < BACKOFF_LAST_MS; i++)
		ms *= 2;
	return ms < BACKOFF_LAST_MS ? ms : BACKOFF_LAST_MS;
}

static uint64_t at_most(uint64_t n, uint64_t max)
{
	return n < max ? n : max;
}

uint64_t main_connections_cap(uint64_t fd_limit, uint64_t connections_max, unsigned workers,
                              uint64_t open_files, uint64_t origin_connections, uint64_t sockets,
                              bool *capped)
{
	/* With a small limit the reserves must not eat it all: each gets a quarter at most. */
	uint64_t reserve = FDS_FIXED + at_most(open_files, fd_limit / 4) +
	                   at_most(origin_connections, fd_limit / 4) + sockets;
	uint64_t room = fd_limit > reserve ? fd_limit - reserve : 0;
	uint64_t share;

	/* A connection may have a spool or a tunnel's other end beside it: a quarter is kept for those. */
	room -= room / 4;
	if (room < CONNECTIONS_MIN)
		room = CONNECTIONS_MIN;
	*capped = false;
	if (!connections_max)
		return room;
	share = connections_max / workers + (connections_max % workers != 0);
	if (share <= room)
		return share;
	*capped = true;
	return room;
}
