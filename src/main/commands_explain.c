/* explain, for the running daemon: the keeper has the store, and sees what the workers remember. */
#include "commands-store.h"
#include "commands.h"
#include "main/explain.h"

#include "base/error.h"

int commands_explain(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	const struct keeper *k = arg;
	struct main_explainer m = {
		.loop = k->loop,
		.plan = k->plan,
		.listeners = k->listeners,
		.store = k->store,
		.board = k->start->pool->flights,
	};
	struct main_question q;
	struct arena a;
	int err;

	(void)call;
	arena_init(&a, 4096, 8 * ADMIN_REQUEST_MAX);
	err = main_question_read(args, &a, &q);
	if (err)
		buf_printf(out, "explain takes text or json, listener, client, method, URL, fields and a response");
	else
		err = main_explain(&m, &q, out);
	arena_fini(&a);
	return err;
}
