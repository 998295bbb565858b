#include "commands-store.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/num.h"
#include "commands.h"
#include "store/list.h"

static int no_store(struct buf *out)
{
	buf_printf(out, "there is no store");
	return LARDER_EINVAL;
}

/* ---- trim ---- */

struct trim {
	struct keeper *keeper;
	struct admin_call *call;
	struct buf *out;
	uint64_t before;
};

static void trim_done(void *arg, int err)
{
	struct trim *t = arg;
	struct store_usage u;
	bool more = err == STORE_TRIM_MORE;

	if (more)
		err = 0;
	if (!err)
		err = store_usage(t->keeper->store, &u);
	if (err)
		buf_printf(t->out, "cannot trim: %s", larder_strerror(err));
	else
		buf_printf(t->out, "%" PRIu64 " %" PRIu64 "%s\n", t->before, u.index_bytes,
		           more ? " more" : "");
	admin_finish(t->call, err);
	free(t);
}

int commands_trim(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct keeper *k = arg;
	struct store_usage u;
	struct trim *t;
	int err;

	if (args.len) {
		buf_printf(out, "trim takes nothing");
		return LARDER_EINVAL;
	}
	if (!k->store)
		return no_store(out);
	err = store_usage(k->store, &u);
	if (err)
		return err;
	t = calloc(1, sizeof(*t));
	if (!t)
		return LARDER_ENOMEM;
	*t = (struct trim){.keeper = k, .call = call, .out = out, .before = u.index_bytes};
	err = store_trim(k->store, trim_done, t);
	if (!err)
		return ADMIN_LATER;
	free(t);
	buf_printf(out, "cannot trim: %s",
	           err == LARDER_EBUSY ? "somebody else does so" : larder_strerror(err));
	return err;
}

/* ---- uses ---- */

int commands_uses(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	const struct keeper *k = arg;

	(void)call;
	if (!k->store)
		return no_store(out);
	while (args.len) {
		struct view hex = view_cut(args, ' ', &args);
		struct hash128 hash;

		if (hex.len != 32 || num_parse_hex(view_make(hex.ptr, 16), UINT64_MAX, &hash.hi) ||
		    num_parse_hex(view_from(hex, 16), UINT64_MAX, &hash.lo)) {
			buf_reset(out);
			buf_printf(out, "uses takes hashes of 32 hexadecimal digits");
			return LARDER_EINVAL;
		}
		buf_printf(out, "%u\n", store_uses(k->store, hash));
	}
	return 0;
}
