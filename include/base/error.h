/*
 * Errors. Functions return 0 or a negative LARDER_E…, which the caller passes
 * up unchanged; a positive value is a documented outcome of that function that
 * the caller has to handle. Details in words go to the log where they arise.
 */
#ifndef LARDER_BASE_ERROR_H
#define LARDER_BASE_ERROR_H

enum larder_error {
#define ERR(name, value, text) LARDER_##name = -(value),
#include "base/error.def"
#undef ERR
};

/* The table's text for a negative error; "no error" for 0 and above. Static. */
const char *larder_strerror(int err);

/* The closest LARDER_E… to an errno value (ENOSPC → LARDER_ENOSPC, …). */
int larder_from_errno(int errnum);

#endif
