/* What an operator calls a part of the store: a URL, the beginning of one, or a host. */
#ifndef LARDER_MAIN_RANGE_H
#define LARDER_MAIN_RANGE_H

#include "http/target.h"
#include "store/list.h"

/* Must not be moved: the range's views point into it. */
struct main_range {
	struct store_range range;
	struct http_target target;
	struct buf url;
};

/* An absolute URL, normalised as the daemon does: that one, or all that start so. 0, LARDER_EINVAL, or the
 * buffer's error; to be ended by main_range_fini either way. */
int main_range_url(struct main_range *r, struct view text, bool exact);
/* "example.com", "example.com:8080", or "*.example.com": the host and all below it. The same. */
int main_range_host(struct main_range *r, struct view text);
/* Whichever of both it is. */
int main_range_any(struct main_range *r, struct view text);
void main_range_fini(struct main_range *r);

#endif
