/*
 * Access: who may use a listener and what may be reached through it. Judged on the client's address, the
 * normalised host, and each resolved address.
 */
#ifndef LARDER_ACCESS_ACCESS_H
#define LARDER_ACCESS_ACCESS_H

#include "base/addr.h"
#include "base/option.h"

struct access_options {
#define OPTION(type, name, def, min, max, text) OPTION_MEMBER_##type(name)
#include "access/options.def"
#undef OPTION
};

/* A listener's policy, compiled from its options. */
struct access;
/* `forward`: a forward-like listener (else the origin is fixed and only clients are judged).
 * Reads the interfaces if nobody has yet. On bad values *why (to be freed) names option, value and
 * what would be right; it is NULL for other errors. 0, LARDER_EINVAL, LARDER_ENOMEM, or that of
 * access_interfaces_refresh. */
int access_new(const struct access_options *o, bool forward, struct access **out, char **why);
void access_free(struct access *a);

/* Why something is refused: which option would allow it, and a sentence. Static. */
struct access_refusal {
	const char *option;
	const char *text;
};

/* 0 or LARDER_EREFUSED with *why filled. */
int access_client(const struct access *a, const struct addr *client, struct access_refusal *why);
/* Is anybody named that may purge? And may this client? */
bool access_purges(const struct access *a);
int access_purge(const struct access *a, const struct addr *client, struct access_refusal *why);
int access_port(const struct access *a, bool tunnel, uint16_t port, struct access_refusal *why);
/* A resolved (or stored) destination. */
int access_destination(const struct access *a, const struct addr *client, const struct addr *dest,
                       struct access_refusal *why);

/* Reads the addresses of all local interfaces anew, for this process; call at start and every
 * few seconds. 0 or negative (the old list stays). */
int access_interfaces_refresh(void);

#endif
