#include "parts.h"

#include <stdlib.h>
#include <unistd.h>

/* The host's name as far as it is a token, which Via's received-by has to be. */
static char *host_pseudonym(void)
{
	char name[256];

	if (gethostname(name, sizeof(name)) < 0)
		name[0] = '\0';
	name[sizeof(name) - 1] = '\0';
	if (!http_is_token(view_of(name)))
		return strdup("larder");
	return strdup(name);
}

/* The operator's name in a form that can stand in Via and be found there again: another would not be seen
 * in a loop (RFC 9110 §7.6.3: a token, or host and port). */
static char *chosen_pseudonym(const char *text, bool tell)
{
	char *name = strdup(text);
	bool changed = false;

	for (char *c = name; c && *c; c++) {
		if (*c != ':' && !http_is_token(view_make(c, 1))) {
			*c = '-';
			changed = true;
		}
	}
	if (changed && tell)
		log_warning("pseudonym \"%s\" is no token: \"%s\" is used", text, name);
	return name;
}

/* ---- The other processes ---- */

struct board *exchange_board_new(void)
{
	return board_new();
}

void exchange_board_free(struct board *b)
{
	board_free(b);
}

void exchange_board_reap(struct board *b)
{
	board_reap(b);
}

void exchange_board_set_offline(struct board *b, bool offline)
{
	board_set_offline(b, offline);
}

bool exchange_board_offline(const struct board *b)
{
	return board_offline(b);
}

void exchange_board_invalidate(struct board *b, struct hash128 key)
{
	board_invalidate(b, key);
}

static void on_message(void *arg, struct link *l, const struct link_message *m, struct view payload,
                       int fds[LINK_FDS], unsigned nfds)
{
	struct exchange_env *env = arg;
	struct fill *f = share_find(env, m->id);

	check_magic(env, ENV_MAGIC);
	if (m->type == SHARE_JOIN)
		share_joined(env, l, m, payload);
	else if (m->type == SHARE_LEAVE && f && !f->follow)
		share_lost(f, l);
	else if (m->type == SHARE_ASK)
		share_asked(f, l, m);
	else if (f && f->follow && f->follow->link == l && f->follow->number == m->whom)
		follow_message(f, m, payload, fds, nfds);
}

/* Telling a fill may end others, too: then the walk begins anew. */
static bool one_lost(struct exchange_env *env, struct link *l)
{
	struct fill *f;

	LIST_FOREACH(f, &env->all_fills, all_link) {
		if (f->follow && f->follow->link == l) {
			follow_lost(f);
			return true;
		}
		if (share_lost(f, l))
			return true;
	}
	return false;
}

static void on_gone(void *arg, struct link *l)
{
	struct exchange_env *env = arg;

	check_magic(env, ENV_MAGIC);
	while (one_lost(env, l))
		;
}

static const struct link_handlers link_handlers = {on_message, on_gone};

static int join_pool(struct exchange_env *env, struct board *board)
{
	if (!board) {
		env->board = env->own_board = board_new();
		return env->board ? 0 : LARDER_ENOMEM;
	}
	env->board = board;
	env->links = links_new(env->loop, board, &link_handlers, env);
	if (!env->links)
		log_warning("fetches are not shared with other workers: no descriptor, memory or place");
	return 0;
}

/* What each answer says of us. */
static int write_lines(struct exchange_env *env)
{
	int err = 0;

	static const char *const protocols[EXCHANGE_PROTOCOLS] = {
		[EXCHANGE_HTTP11] = "1.1 ", [EXCHANGE_HTTP10] = "1.0 ", [EXCHANGE_HTTP2] = "2 ",
	};

	for (int i = 0; i < EXCHANGE_PROTOCOLS; i++) {
		BUF_ADD_LIT(&env->via[i], "Via: ");
		buf_addv(&env->via[i], view_of(protocols[i]));
		buf_addv(&env->via[i], view_of(env->pseudonym));
		BUF_ADD_LIT(&env->via[i], "\r\n");
		err = err ? err : env->via[i].err;
	}
	BUF_ADD_LIT(&env->cache_status, "Cache-Status: ");
	return err ? err : http_sf_add_token(&env->cache_status, view_of(env->pseudonym));
}

/* All but its place in the pool. */
static struct exchange_env *env_make(struct net_loop *l, const struct exchange_options *options,
                                     struct store *store, struct origin *origin, struct exchange_stats *stats)
{
	struct exchange_env *env = calloc(1, sizeof(*env));

	if (!env)
		return NULL;
	env->magic = ENV_MAGIC;
	env->loop = l;
	env->options = options;
	env->store = store;
	env->origin = origin;
	env->stats = stats;
	TAILQ_INIT(&env->spare);
	LIST_INIT(&env->all_fills);
	LIST_INIT(&env->tunnels);
	LIST_INIT(&env->recodes);
	for (size_t i = 0; i < FILL_BUCKETS; i++) {
		LIST_INIT(&env->fills[i]);
		LIST_INIT(&env->shared[i]);
		LIST_INIT(&env->parts[i]);
	}
	for (int i = 0; i < EXCHANGE_PROTOCOLS; i++)
		buf_init(&env->via[i], 2048);
	buf_init(&env->cache_status, 2048);
	buf_init(&env->scratch, HEAD_BYTES);
	buf_init(&env->select, KEY_BYTES);
	env->pseudonym = options->pseudonym[0] ? chosen_pseudonym(options->pseudonym, origin) : host_pseudonym();
	env->fields = calloc(FIELDS_MAX, sizeof(*env->fields));
	if (!env->pseudonym || !env->fields || write_lines(env)) {
		exchange_env_free(env);
		return NULL;
	}
	return env;
}

struct exchange_env *exchange_env_new(struct net_loop *l, const struct exchange_options *options,
                                      struct store *store, struct origin *origin, struct board *board,
                                      struct exchange_stats *stats)
{
	struct exchange_env *env = env_make(l, options, store, origin, stats);

	if (!env || join_pool(env, board) == 0)
		return env;
	exchange_env_free(env);
	return NULL;
}

struct exchange_env *exchange_env_for_explaining(struct net_loop *l, const struct exchange_options *options,
                                                 struct store *store, struct board *board,
                                                 struct exchange_stats *stats)
{
	struct exchange_env *env = env_make(l, options, store, NULL, stats);

	if (!env)
		return NULL;
	env->board = board ? board : (env->own_board = board_new());
	if (env->board)
		return env;
	exchange_env_free(env);
	return NULL;
}

void exchange_env_free(struct exchange_env *env)
{
	struct exchange *x;
	struct fill *f;

	if (!env)
		return;
	check_magic(env, ENV_MAGIC);
	exchange_env_abandon(env);
	recode_abandon(env);
	/* What is left waits for the store, which calls back at the latest when it is closed. */
	while ((f = LIST_FIRST(&env->all_fills)) != NULL)
		fill_orphan(f);
	part_orphan_all(env);
	links_free(env->links);
	while ((x = TAILQ_FIRST(&env->spare)) != NULL) {
		TAILQ_REMOVE(&env->spare, x, link);
		arena_fini(&x->arena);
		buf_fini(&x->key_text);
		buf_fini(&x->selecting);
		buf_fini(&x->lines);
		buf_fini(&x->page);
		buf_fini(&x->body);
		free(x);
	}
	for (int i = 0; i < EXCHANGE_PROTOCOLS; i++)
		buf_fini(&env->via[i]);
	buf_fini(&env->cache_status);
	buf_fini(&env->scratch);
	buf_fini(&env->select);
	free(env->pseudonym);
	board_free(env->own_board);
	free(env->fields);
	env->magic = 0;
	free(env);
}

unsigned exchange_env_busy(const struct exchange_env *env)
{
	return env->nfills + env->ntunnels;
}

struct view exchange_pseudonym(const struct exchange_env *env)
{
	return view_of(env->pseudonym);
}

struct view origin_prefix(const struct exchange_listener *listener)
{
	struct view prefix = listener->origin.path;

	prefix = view_make(prefix.ptr, view_find(prefix, '?'));
	if (view_ends(prefix, V("/")))
		prefix.len--;
	return prefix;
}

/* Are reverse listeners' keys free of the origin's name? Only when the operator has said which hosts are
 * the origin's, the request names one, and the origin knows the path under the same name. */
static bool key_is_plain(const struct exchange_listener *listener, struct view prefix,
                         const struct http_target *target)
{
	if (listener->kind == EXCHANGE_FORWARD)
		return true;
	if (prefix.len)
		return false;
	if (listener->options.origin_host[0])
		return true;
	/* names says nothing about ports: other ones may be other servers. */
	return listener->options.names.n > 0 && target->host.len &&
	       target->port == (target->scheme == HTTP_SCHEME_HTTPS ? 443 : 80);
}

int exchange_key_text(const struct exchange_listener *listener, const struct http_target *target,
                      struct buf *out)
{
	struct http_target t;
	const char *fixed = listener->kind == EXCHANGE_REVERSE ? listener->options.origin_host : "";
	struct view prefix = origin_prefix(listener);
	int err;

	BUF_ADD_LIT(out, "GET");
	if (!key_is_plain(listener, prefix, target)) {
		buf_addc(out, '@');
		buf_addv(out, listener->origin.host);
		buf_addc(out, ':');
		buf_addu(out, listener->origin.port);
		buf_addv(out, prefix);
	}
	buf_addc(out, ' ');
	if (!fixed[0])
		return http_target_key(target, out);
	err = http_authority_parse(view_of(fixed), target->scheme, &t);
	if (err)
		return err;
	t.path = target->path;
	t.form = target->form;
	return http_target_key(&t, out);
}
