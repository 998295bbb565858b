#include "share.h"
#include "store/purge.h"

#include <stdlib.h>

static struct fill_bucket *by_id(struct exchange_env *env, uint64_t id)
{
	return &env->shared[id % FILL_BUCKETS];
}

struct fill *share_find(struct exchange_env *env, uint64_t id)
{
	struct fill *f;

	LIST_FOREACH(f, by_id(env, id), shared_link) {
		if (f->share_id == id)
			return f;
	}
	return NULL;
}

/* ---- Finding ---- */

/* Request directives that ask for an answer newer than one that is on its way (RFC 9111 §5.2.1). */
static bool wants_newer(const struct exchange *x)
{
	return x->listener->cache.request_directives &&
	       ((x->cc.set & (CACHE_CC_NO_CACHE | CACHE_CC_NO_CACHE_FIELDS | CACHE_CC_PRAGMA_NO_CACHE)) ||
	        x->cc.max_age != CACHE_DELTA_NONE || x->cc.min_fresh != CACHE_DELTA_NONE);
}

/* Messages name the flight, not who of us follows it: one fill does. */
static bool follows(struct exchange_env *env, uint64_t id)
{
	struct fill *f = share_find(env, id);

	return f && f->follow && f->follow->link;
}

/* Could the flight's answer be for x? Called under the board's lock. */
static bool fits(void *arg, const struct board_vary *v)
{
	struct exchange *x = arg;

	if (follows(x->env, v->id))
		return false; /* and that was not for x */
	if (v->answered && wants_newer(x))
		return false;
	if (!v->known || !v->names.len)
		return true;
	return fill_selects(x, v->names) == v->selecting;
}

int share_claim(struct fill *f, struct exchange *x)
{
	struct board_vary guess = {.names = f->guess, .selecting = f->guess_hash};
	struct exchange_env *env = f->env;
	int ret;

	if (!env->links || f->key.text.len > SHARE_KEY_MAX)
		return SHARE_NOT;
	ret = board_claim(env->board, links_me(env->links), f->key.hash, fits, x, x->joins ? NULL : &guess, &f->flight);
	if (ret == BOARD_FULL)
		return SHARE_NOT;
	f->share_id = f->flight.id;
	f->mark = 0; /* of a new flight */
	LIST_INSERT_HEAD(by_id(env, f->share_id), f, shared_link);
	return ret == BOARD_OURS ? SHARE_OURS : SHARE_THEIRS;
}

bool share_under_way(struct exchange *x)
{
	static const struct board_member nobody = {.index = UINT32_MAX};
	struct board_flight found;

	return board_claim(x->env->board, nobody, x->key.hash, fits, x, NULL, &found) == BOARD_THEIRS;
}

void share_unclaim(struct fill *f)
{
	share_fini(f);
	f->flight.id = 0;
	share_mark(f);
}

void share_mark(struct fill *f)
{
	const uint32_t *times = share_revoked(f);

	f->mark = times ? __atomic_load_n(times, __ATOMIC_SEQ_CST) : 0;
}

const uint32_t *share_revoked(const struct fill *f)
{
	struct exchange_env *env = f->env;

	/* A board of our own ends before the store does, and fill_invalidate knows all there is. */
	if (!env || env->own_board)
		return NULL;
	return f->flight.id ? board_invalid(env->board, &f->flight) :
	                      board_times_invalid(env->board, f->key.hash);
}

bool share_invalid(const struct fill *f)
{
	const uint32_t *now = share_revoked(f);

	if (now && __atomic_load_n(now, __ATOMIC_SEQ_CST) != f->mark)
		return true;
	return f->env && f->env->store && f->key.text.len &&
	       store_purged_since(f->env->store, f->purges, f->key.text, buf_view(&f->tags));
}

/* ---- Telling ---- */

static void tell(struct fill *f, struct follower *w, enum share_type type, uint32_t value,
                 struct view payload)
{
	struct link_message m = {.type = type, .value = value, .id = f->share_id, .whom = w->number};

	link_send(w->link, &m, payload, NULL, 0);
}

/* The fill may be gone afterwards. */
static void let_go(struct fill *f, struct follower *w)
{
	LIST_REMOVE(w, entry);
	f->nfollowers--;
	free(w);
	fill_unref(f);
}

/* The file that the body is in, whenever it is another. */
static int pass_file(struct fill *f, struct follower *w)
{
	struct link_message m = {.type = SHARE_FILE, .id = f->share_id, .whom = w->number};
	int fd, err;

	if (!f->spool || f->spool_ended)
		return 0;
	err = store_spool_share(f->spool, &fd);
	if (err)
		return err;
	if (fd != f->shared_fd) {
		f->shared_fd = fd;
		f->shared_turn++;
	}
	if (w->turn == f->shared_turn)
		return 0;
	w->turn = m.value = f->shared_turn;
	return link_send(w->link, &m, view_make(NULL, 0), &fd, 1);
}

/* How much there is, and in which file: one that has not got that yet may not look for it in another. */
static void grow(struct fill *f)
{
	uint64_t now = share_pack(f->shared_turn, store_spool_shared_length(f->spool));
	struct follower *w;

	if (!board_grow(f->env->board, &f->flight, now))
		return;
	LIST_FOREACH(w, &f->followers, entry)
		tell(f, w, SHARE_GROWN, 0, view_make(NULL, 0));
}

static void pass_head(struct fill *f, struct follower *w)
{
	struct share_head h = {
		.meta = f->meta,
		.info = f->info,
		.length = f->length,
		.old_id = f->old_id,
		.status = f->status,
		.revalidated = f->revalidated,
		.nhead = (uint32_t)f->head.len,
		.nvary = (uint32_t)f->vary.len,
		.nselecting = (uint32_t)f->selecting.len,
		.ntags = (uint32_t)f->tags.len,
	};
	struct buf b;

	/* Others were not asked for with this one's fields. */
	if (f->new_vary.ptr) {
		tell(f, w, SHARE_GONE, SHARE_NOT_FOR_OTHERS, view_make(NULL, 0));
		return;
	}
	buf_init(&b, 4 << 20);
	buf_add(&b, &h, sizeof(h));
	buf_addv(&b, buf_view(&f->head));
	buf_addv(&b, buf_view(&f->vary));
	buf_addv(&b, buf_view(&f->selecting));
	buf_addv(&b, buf_view(&f->tags));
	if (b.err)
		tell(f, w, SHARE_GONE, SHARE_NOT_FOR_OTHERS, view_make(NULL, 0));
	else
		tell(f, w, SHARE_HEAD, 0, buf_view(&b));
	buf_fini(&b);
}

static bool has_all(const struct fill *f)
{
	return !f->spool || store_spool_shared_length(f->spool) == store_spool_length(f->spool);
}

/* Is all that there will be in the file? */
static bool is_readable(const struct fill *f)
{
	return f->spool_ended || f->storable != CACHE_STORE_OK || has_all(f);
}

static void pass_end(struct fill *f, struct follower *w)
{
	bool cut = f->spool_ended || f->state == FILL_FAILED || !has_all(f);
	struct view proxy_error = view_of(f->proxy_error), detail = view_of(f->detail);
	struct share_end e = {
		.received = f->spool ? store_spool_shared_length(f->spool) : 0,
		.err = f->err ? f->err : cut ? LARDER_ECLOSED : 0,
		.mismatch = f->mismatch,
		.origin_failed = f->origin_failed,
		.answered = f->head.len > 0,
		.nproxy_error = (uint32_t)proxy_error.len,
		.ndetail = (uint32_t)detail.len,
		.ntrailers = (uint32_t)f->trailers.len,
	};
	struct buf b;

	buf_init(&b, 1 << 20);
	buf_add(&b, &e, sizeof(e));
	buf_addv(&b, proxy_error);
	buf_addv(&b, detail);
	buf_addv(&b, buf_view(&f->trailers));
	w->told = true;
	tell(f, w, SHARE_END, 0, b.err ? view_make(&e, 0) : buf_view(&b));
	buf_fini(&b);
}

/* It can't be followed. */
static void send_away(struct fill *f, struct follower *w)
{
	tell(f, w, SHARE_GONE, fill_is_personal(f) ? SHARE_LOOK_AGAIN : SHARE_NOT_FOR_OTHERS, view_make(NULL, 0));
	let_go(f, w);
}

static bool can_share(const struct fill *f)
{
	int fd;

	return !f->spool || f->spool_ended || store_spool_share(f->spool, &fd) == 0;
}

/* What the present state of the fill is to one follower. */
static void show(struct fill *f, struct follower *w)
{
	/* Of a new part they read the record, once it is there. */
	if (w->told || f->state == FILL_HEAD || f->state == FILL_HELD || f->opens)
		return;
	if ((f->state != FILL_FAILED && (!f->joinable || f->invalidated)) || !can_share(f)) {
		send_away(f, w);
		return;
	}
	if (f->head.len)
		pass_head(f, w);
	pass_file(f, w);
	if (f->spool_ended || (f->ended && is_readable(f)))
		pass_end(f, w);
}

/* As fill_selects has it. */
static uint64_t selecting_hash(const struct fill *f)
{
	uint64_t hash = hash_64(buf_view(&f->selecting), 0);

	return hash ? hash : 1;
}

void share_publish(struct fill *f)
{
	struct follower *w, *next;

	if (!f->flight.id || f->follow)
		return;
	if (f->joinable)
		board_describe(f->env->board, &f->flight, buf_view(&f->vary), selecting_hash(f));
	fill_ref(f);
	LIST_FOREACH_SAFE(w, &f->followers, entry, next)
		show(f, w);
	fill_unref(f);
}

static void pass_files(struct fill *f)
{
	struct follower *w, *next;

	LIST_FOREACH_SAFE(w, &f->followers, entry, next) {
		if (!w->told && pass_file(f, w))
			send_away(f, w);
	}
}

void share_grown(struct fill *f)
{
	if (!f->nfollowers || !f->spool)
		return;
	fill_ref(f);
	pass_files(f);
	grow(f);
	fill_unref(f);
}

void share_ended(struct fill *f)
{
	struct follower *w;

	if (!f->nfollowers)
		return;
	fill_ref(f);
	pass_files(f);
	/* What waits for room in the store is in the file at the latest when it is committed. */
	LIST_FOREACH(w, &f->followers, entry) {
		if (!w->told && is_readable(f))
			pass_end(f, w);
	}
	fill_unref(f);
}

void share_shut(struct fill *f)
{
	f->joinable = false;
	if (f->flight.id && !f->follow && f->env)
		board_shut(f->env->board, &f->flight);
}

void share_drop(struct fill *f)
{
	struct follower *w, *next;

	if (!f->flight.id || f->follow || !f->env)
		return;
	board_drop(f->env->board, &f->flight);
	if (!f->nfollowers)
		return;
	fill_ref(f);
	LIST_FOREACH_SAFE(w, &f->followers, entry, next) {
		if (w->told)
			continue;
		tell(f, w, SHARE_GONE, SHARE_LOOK_AGAIN, view_make(NULL, 0));
		let_go(f, w);
	}
	fill_unref(f);
}

void share_fini(struct fill *f)
{
	if (!f->share_id)
		return;
	check(!f->nfollowers);
	LIST_REMOVE(f, shared_link);
	f->share_id = 0;
}

void share_orphan(struct fill *f)
{
	struct follower *w;

	while ((w = LIST_FIRST(&f->followers)))
		let_go(f, w);
	share_shut(f);
	f->flight.id = 0;
	share_fini(f);
}

/* ---- Followers come and go ---- */

void share_joined(struct exchange_env *env, struct link *l, const struct link_message *m, struct view key)
{
	struct fill *f = share_find(env, m->id);
	struct link_message no = {.type = SHARE_GONE, .value = SHARE_LOOK_AGAIN, .id = m->id, .whom = m->whom};
	bool same = f && view_eq(f->key.text, key);
	bool late = same && !f->follow && share_invalid(f);
	struct follower *w = same && !late && !f->follow && f->joinable ? calloc(1, sizeof(*w)) : NULL;

	/* Whoever comes after a purge is not given what was fetched before it. */
	if (late)
		share_shut(f);
	/* The board goes by hashes: another text is another key. */
	if (f && !same)
		no.value = SHARE_NOT_FOR_OTHERS;
	if (!w) {
		link_send(l, &no, view_make(NULL, 0), NULL, 0);
		return;
	}
	w->link = l;
	w->number = m->whom;
	LIST_INSERT_HEAD(&f->followers, w, entry);
	f->nfollowers++;
	fill_ref(f);
	stat_add(&env->stats->followed, 1);
	fill_ref(f);
	show(f, w);
	if (f->nfollowers && f->spool)
		grow(f);
	fill_unref(f);
}

void share_asked(struct fill *f, struct link *l, const struct link_message *m)
{
	bool known = f && !f->follow;
	struct link_message here = {.type = known ? SHARE_HERE : SHARE_GONE, .value = SHARE_LOOK_AGAIN,
	                            .id = m->id, .whom = m->whom};

	link_send(l, &here, view_make(NULL, 0), NULL, 0);
}

bool share_lost(struct fill *f, struct link *l)
{
	struct follower *w, *next;
	bool any = false;

	fill_ref(f);
	LIST_FOREACH_SAFE(w, &f->followers, entry, next) {
		if (w->link != l)
			continue;
		let_go(f, w);
		any = true;
	}
	if (any)
		fill_left(f);
	fill_unref(f);
	return any;
}
