/* What is fetched and not stored waits for its client in memory, a window of the body for each fetch. All
 * windows of a worker share a budget: once half of it is used, they get by with a piece each. */
#include "exchange-private.h"

#define PIECE (4 * 1024) /* where memory is short */

static bool is_short(const struct exchange_env *env)
{
	return env->piped > env->options->pipe_total / 2;
}

/* The budget follows what the window takes. */
static void count(struct fill *f)
{
	struct exchange_env *env = f->env;
	size_t now = f->window.cap + f->refused;
	bool before, after;

	if (!env || now == f->piped)
		return;
	before = is_short(env);
	env->piped = env->piped - f->piped + now;
	stat_set(&env->stats->pipe_bytes, env->piped);
	f->piped = now;
	after = is_short(env);
	if (before != after)
		origin_set_piece(env->origin, after ? PIECE : 0);
}

void pipe_end(struct fill *f)
{
	buf_fini(&f->window);
	f->refused = 0;
	count(f);
}

bool pipe_full(struct fill *f, size_t more)
{
	bool full = is_short(f->env) ? f->window.len > 0 : f->window.len >= f->env->options->pipe_bytes;

	/* The origin's side keeps what was refused, and the memory of it. */
	if (full && more > f->refused) {
		f->refused = more;
		count(f);
	}
	return full;
}

int pipe_add(struct fill *f, struct view data)
{
	int err = buf_addv(&f->window, data);

	count(f);
	return err;
}

void pipe_drop(struct fill *f, size_t n)
{
	buf_drop(&f->window, n);
	f->window_base += n;
	if (!f->window.len && is_short(f->env))
		buf_fini(&f->window);
	count(f);
}

bool pipe_goes_on(const struct fill *f)
{
	return f->window.len <= (is_short(f->env) ? 0 : f->env->options->pipe_bytes / 2);
}
