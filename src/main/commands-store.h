/* The control socket's commands that larderctl puts together to work on the store. */
#ifndef LARDER_MAIN_COMMANDS_STORE_H
#define LARDER_MAIN_COMMANDS_STORE_H

#include "admin/admin.h"

/* "purge [soft] URL...": removes what is stored for them, or marks it stale; answers "RESPONSES URL" a line. */
int commands_purge(void *arg, struct admin_call *call, struct view args, struct buf *out);
/* "purge-many url|host|tag|pattern hard|soft TEXT": answers within half a second or so: "URLS RESPONSES", and where it
 * is not done, a number for "purge-wait NUMBER", which answers the same; or "gone" if it is unknown. */
int commands_purge_many(void *arg, struct admin_call *call, struct view args, struct buf *out);
int commands_purge_wait(void *arg, struct admin_call *call, struct view args, struct buf *out);
/* "trim": for a second at most; answers "BEFORE AFTER" in bytes, and "more" where it is not done. */
int commands_trim(void *arg, struct admin_call *call, struct view args, struct buf *out);
/* "uses HASH...": how often each row was used lately, a number a line. */
int commands_uses(void *arg, struct admin_call *call, struct view args, struct buf *out);
/* "explain QUESTION" (main_question_write): why a request would be answered as it would. */
int commands_explain(void *arg, struct admin_call *call, struct view args, struct buf *out);

#endif
