/*
 * What stands in for the exchange in the client's tests: it answers by the path.
 *
 *   /hit/N      a complete answer of N bytes, at once
 *   /late/N     the same, 5 ms later
 *   /flow/N     N bytes of unknown length, in pieces, with trailers; waits for room when there is
 * none /known/N    the same with a length /file/N     N bytes out of a file /fileflow/N the same
 * with unknown length /short/N    promises N bytes, gives one less, and ends /long/N     promises N
 * bytes and gives one more /break/N    N bytes of unknown length, then the answer breaks off /echo
 * the request's body, once it is complete /hold/N     like echo, but takes the body in steps of N
 * bytes, one a millisecond /early      answers without waiting for the body /continue   sends 100,
 * then like echo /hints      sends 103, then a complete answer /never      no answer /none out of
 * memory /empty/S    status S without body /upgrade    101, then as CONNECT: the tunnel sends back
 * what it is given, and ends
 */
#ifndef LARDER_TESTS_CLIENT_FAKE_H
#define LARDER_TESTS_CLIENT_FAKE_H

#include "client/client.h"

struct fake_counts {
	unsigned begun, ended, aborted, bodies_aborted, refused, tunnels;
	uint64_t body_bytes, bytes, received;
	unsigned last_refused;
};

struct exchange_env *fake_env(struct net_loop *l);
void fake_env_free(struct exchange_env *env);
void fake_counts(struct fake_counts *out); /* any thread */
/* The byte at offset i of every body. */
static inline char fake_byte(uint64_t i)
{
	return (char)('a' + i % 23);
}

#endif
