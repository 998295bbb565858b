/* The control socket's commands that larderctl puts together to work on the store. */
#ifndef LARDER_MAIN_COMMANDS_STORE_H
#define LARDER_MAIN_COMMANDS_STORE_H

#include "admin/admin.h"

/* "purge-range url|host TEXT [PLACE]": removes for a second at most; answers "URLS RESPONSES", and where it
 * is not done, the place to go on from in hexadecimal. */
int commands_purge_range(void *arg, struct admin_call *call, struct view args, struct buf *out);
/* "trim": for a second at most; answers "BEFORE AFTER" in bytes, and "more" where it is not done. */
int commands_trim(void *arg, struct admin_call *call, struct view args, struct buf *out);
/* "uses HASH...": how often each row was used lately, a number a line. */
int commands_uses(void *arg, struct admin_call *call, struct view args, struct buf *out);

#endif
