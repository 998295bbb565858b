/* What the files of room access share. */
#ifndef LARDER_ACCESS_PRIVATE_H
#define LARDER_ACCESS_PRIVATE_H

#include "access/access.h"

/* Is it an address of one of this machine's interfaces, plainly or inside an IPv6 form that
 * carries an IPv4 address? */
bool access_interface_has(const struct addr *a);
/* Have the interfaces been read in this process? */
bool access_interface_known(void);

#endif
