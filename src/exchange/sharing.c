/* What is known of answers that can't be shared: which requests need not wait for each other, and for how long
 * the others do. */
#include "exchange-private.h"

/* Who asks with credentials is often answered otherwise. */
static bool has_credentials(const struct http_head *req)
{
	return http_find(req, HTTP_COOKIE, 0) || http_find(req, HTTP_AUTHORIZATION, 0);
}

/* Such requests have notes of their own: what those say is nothing to the others. */
static struct hash128 with_credentials(struct hash128 key)
{
	return (struct hash128){.hi = key.hi, .lo = ~key.lo}; /* another place on the board, too */
}

/* The key's text up to the last slash of its path. */
static struct hash128 folder_of(struct view key_text, const struct http_head *req)
{
	struct view path = view_make(key_text.ptr, view_find(key_text, '?'));
	size_t end = view_rfind(path, '/');

	return hash_128(view_make(path.ptr, end < path.len ? end + 1 : path.len), has_credentials(req));
}

static bool key_noted(struct exchange_env *env, struct hash128 key, bool credentials)
{
	uint64_t now = net_loop_now_ms(env->loop);

	return board_noted(env->board, BOARD_UNSHAREABLE, key, now, NULL) ||
	       (credentials && board_noted(env->board, BOARD_UNSHAREABLE, with_credentials(key), now, NULL));
}

bool unshareable_known(struct exchange *x)
{
	return key_noted(x->env, x->key.hash, has_credentials(x->req.head));
}

bool unshareable_likely(struct exchange *x)
{
	struct exchange_env *env = x->env;
	int64_t enough = env->options->unshareable_siblings;
	int n;

	/* Of what is stored, or was, it is known that it can be. */
	return enough && x->why == CACHE_USE_URI_MISS &&
	       board_noted(env->board, BOARD_FOLDER, folder_of(buf_view(&x->key_text), x->req.head),
	                   net_loop_now_ms(env->loop), &n) &&
	       n >= enough;
}

/* What is missing or refused says nothing of its siblings: anybody can ask for that as often as he likes. */
static bool tells_of_folder(const struct fill *f)
{
	return f->env->options->unshareable_siblings && f->status < 400;
}

void unshareable_note(struct fill *f)
{
	struct exchange_env *env = f->env;
	bool credentials = has_credentials(&f->req);
	uint64_t now = net_loop_now_ms(env->loop), until = now + env->options->unshareable_time;
	struct hash128 folder = folder_of(f->key.text, &f->req);
	bool again = key_noted(env, f->key.hash, credentials);
	int n = 0;

	board_note(env->board, BOARD_UNSHAREABLE, credentials ? with_credentials(f->key.hash) : f->key.hash, until, 0);
	if (!tells_of_folder(f))
		return;
	if (!board_noted(env->board, BOARD_FOLDER, folder, now, &n))
		n = 0;
	/* One that is asked for again and again says nothing of its siblings, but nor is it a reason to forget. */
	if (!again && n < env->options->unshareable_siblings)
		n++;
	if (n)
		board_note(env->board, BOARD_FOLDER, folder, until, n);
}

void shareable_note(struct fill *f)
{
	if (tells_of_folder(f))
		board_forget(f->env->board, BOARD_FOLDER, folder_of(f->key.text, &f->req));
}

/* ---- Waiting for the head of another's fetch ---- */

/* It has joined: in the order of their coming, after the one that asks. */
void patience_begin(struct fill *f, struct exchange *x)
{
	int64_t wait = f->env->options->collapse_wait;

	x->joined_ms = net_loop_now_ms(f->env->loop);
	if (wait && f->state == FILL_HEAD && !net_timer_active(&f->patience))
		net_timer_set(&f->patience, (uint64_t)wait);
}

/* Those who have waited for too long fetch for themselves. */
void patience_timer(struct net_timer *t)
{
	struct fill *f = container_of(t, struct fill, patience);
	uint64_t now = net_loop_now_ms(f->env->loop), wait = (uint64_t)f->env->options->collapse_wait;
	struct exchange *x, *next;

	check_magic(f, FILL_MAGIC);
	fill_ref(f);
	TAILQ_FOREACH_SAFE(x, &f->readers, link, next) {
		if (f->state != FILL_HEAD)
			break;
		if (x == f->first || x->replied)
			continue;
		if (x->joined_ms + wait > now) {
			net_timer_set(&f->patience, x->joined_ms + wait - now);
			break;
		}
		exchange_enter(x);
		x->impatient = true;
		stat_add(&f->env->stats->waited_out, 1);
		fill_send_back(x, true);
		exchange_leave(x);
	}
	fill_unref(f);
}
