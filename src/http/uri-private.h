/* What target.c, host.c and key.c share. */
#ifndef LARDER_HTTP_URI_PRIVATE_H
#define LARDER_HTTP_URI_PRIVATE_H

#include "http/target.h"

#define HTTP_HOST_MAX 253 /* of a name without its last dot (RFC 1035 §3.1) */

/* Normalises the host of an authority (no port) into dst of 256 bytes. Returns its
 * length, or LARDER_EINVAL. */
int http_host_normalise(struct view host, char dst[256]);

#endif
