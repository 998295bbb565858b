/* trim: through the keeper, or without a daemon in the same steps. */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "ctl.h"

#define ANSWER_MAX 4096

static int print_trimmed(const struct ctl *c, uint64_t before, uint64_t after)
{
	if (c->given & CTL_JSON)
		printf("{\"before\":%" PRIu64 ",\"after\":%" PRIu64 "}\n", before, after);
	else
		printf("the index took %" PRIu64 " bytes, now %" PRIu64 "\n", before, after);
	return ctl_flush();
}

/* CTL_OK with *more, or as ctl_ask. */
static int trim_call(const struct ctl *c, uint64_t *before, uint64_t *after, bool *more)
{
	struct buf answer;
	struct view rest;
	int ret;

	buf_init(&answer, ANSWER_MAX);
	ret = ctl_ask(c, "trim", &answer);
	if (!ret) {
		rest = ctl_line(&answer);
		if (ctl_take_number(&rest, before) || ctl_take_number(&rest, after))
			ret = ctl_fail("the daemon's answer makes no sense");
		*more = rest.len > 0;
	}
	buf_fini(&answer);
	return ret;
}

static int trim_offline(const struct ctl *c)
{
	struct store *s = ctl_open_store(c, true);
	struct store_usage before, after;
	int err;

	if (!s)
		return CTL_FAILED;
	err = store_usage(s, &before);
	while (!err && (err = store_trim_now(s)) == STORE_TRIM_MORE)
		err = 0;
	if (!err)
		err = store_usage(s, &after);
	store_close(s);
	if (err)
		return ctl_fail("cannot trim: %s", larder_strerror(err));
	return print_trimmed(c, before.index_bytes, after.index_bytes);
}

int store_trim_command(const struct ctl *c)
{
	uint64_t first, before, after;
	bool more = false;
	int ret = trim_call(c, &first, &after, &more);

	if (ret == LARDER_ECONNECT)
		return trim_offline(c);
	/* Traffic may free pages as fast as they are given back: done when nothing is gained. */
	for (before = UINT64_MAX; !ret && more && after < before;)
		ret = trim_call(c, &before, &after, &more);
	return ret ? (ret < 0 ? ctl_fail("the daemon is gone") : ret)
	           : print_trimmed(c, first, after);
}
