#include "share.h"

#include <stdlib.h>
#include <unistd.h>

static void on_silence(struct net_timer *t);

#define QUESTIONS 4 /* go unanswered before the owner is given up */

static void await(struct follow *w)
{
	net_timer_set(&w->timer, w->fill->env->options->owner_silence / (QUESTIONS + 1) + 1);
}

int follow_begin(struct fill *f)
{
	struct exchange_env *env = f->env;
	struct link_message m = {.type = SHARE_JOIN, .id = f->share_id, .whom = ++env->follows};
	struct link *l = links_to(env->links, f->flight.owner);
	struct follow *w = l ? calloc(1, sizeof(*w)) : NULL;

	if (!w)
		return LARDER_ECLOSED;
	if (link_send(l, &m, f->key.text, NULL, 0)) {
		free(w);
		return LARDER_ECLOSED;
	}
	w->link = l;
	w->number = m.whom;
	w->fd = -1;
	w->fill = f;
	net_timer_init(&w->timer, env->loop, on_silence);
	f->follow = w;
	await(w);
	fill_ref(f); /* until it is over */
	return 0;
}

/* Nothing more comes; what was received can still be read. */
static void over(struct fill *f)
{
	f->follow->over = true;
	net_timer_stop(&f->follow->timer);
	f->ended = true;
	fill_unref(f);
}

void follow_leave(struct fill *f)
{
	struct link_message m = {.type = SHARE_LEAVE, .id = f->share_id};
	struct follow *w = f->follow;

	f->joinable = false;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	if (w->link)
		link_send(w->link, &m, view_make(NULL, 0), NULL, 0);
	w->link = NULL;
	if (w->over)
		return;
	f->state = FILL_FAILED;
	over(f);
}

void follow_fini(struct fill *f)
{
	if (!f->follow)
		return;
	if (f->follow->fd >= 0)
		close(f->follow->fd);
	free(f->follow);
	f->follow = NULL;
}

bool follow_current(const struct fill *f)
{
	uint64_t n;

	return board_received(f->env->board, &f->flight, false, 0, &n) == 0 && !share_invalid(f);
}

uint64_t follow_received(const struct fill *f)
{
	return f->follow->received;
}

/* Asks the board, which says so when there is more than `have`. */
static void look(struct fill *f, bool wake, uint64_t have)
{
	struct follow *w = f->follow;
	uint64_t n;

	if (w->over || board_received(f->env->board, &f->flight, wake, share_pack(w->turn, have), &n))
		return;
	/* What is in another file will be looked for when that has come. */
	if (n >> SHARE_LENGTH_BITS != w->turn)
		return;
	n &= share_pack(1, 0) - 1;
	if (n > w->received)
		w->received = n;
}

void follow_read(struct fill *f, uint64_t offset, struct store_piece *piece)
{
	struct follow *w = f->follow;

	if (offset >= w->received)
		look(f, true, offset);
	if (w->fd < 0 || offset >= w->received)
		return;
	piece->fd = w->fd;
	piece->len = w->received - offset;
}

/* ---- Messages ---- */

static void on_head(struct fill *f, struct view payload)
{
	struct share_head h;
	struct view rest;

	check(payload.len >= sizeof(h) && f->state == FILL_HEAD);
	memcpy(&h, payload.ptr, sizeof(h));
	rest = view_from(payload, sizeof(h));
	check(rest.len == (size_t)h.nhead + h.nvary + h.nselecting + h.ntags);
	f->meta = h.meta;
	f->info = h.info;
	f->length = h.length;
	f->status = h.status;
	f->revalidated = h.revalidated;
	f->storable = CACHE_STORE_OK;
	buf_add(&f->head, rest.ptr, h.nhead);
	buf_add(&f->vary, rest.ptr + h.nhead, h.nvary);
	buf_add(&f->selecting, rest.ptr + h.nhead + h.nvary, h.nselecting);
	buf_add(&f->tags, rest.ptr + h.nhead + h.nvary + h.nselecting, h.ntags);
	if (f->revalidated && f->old_id != h.old_id) {
		f->mismatch = true; /* another one than ours was confirmed */
		f->state = FILL_FAILED;
	}
	if (f->head.err || f->vary.err || f->selecting.err || f->tags.err) {
		f->err = LARDER_ENOMEM;
		f->state = FILL_FAILED;
		buf_reset(&f->head);
	}
	if (f->state == FILL_HEAD)
		f->state = FILL_BODY;
	else
		f->joinable = false;
	fill_tell(f);
}

static void on_end(struct fill *f, struct view payload)
{
	struct share_end e;
	struct view rest;

	if (payload.len < sizeof(e)) {
		follow_lost(f);
		return;
	}
	memcpy(&e, payload.ptr, sizeof(e));
	rest = view_from(payload, sizeof(e));
	check(rest.len == (size_t)e.nproxy_error + e.ndetail + e.ntrailers);
	f->err = e.err;
	f->mismatch |= e.mismatch;
	f->origin_failed = e.origin_failed;
	if (e.nproxy_error)
		f->proxy_error = arena_str(&f->arena, view_make(rest.ptr, e.nproxy_error));
	view_copy(view_make(rest.ptr + e.nproxy_error, e.ndetail), f->detail, sizeof(f->detail));
	buf_add(&f->trailers, rest.ptr + e.nproxy_error + e.ndetail, e.ntrailers);
	if (e.received > f->follow->received)
		f->follow->received = e.received;
	if (f->state == FILL_HEAD || f->state == FILL_BODY)
		f->state = f->err || f->mismatch ? FILL_FAILED : FILL_COMPLETE;
	if (f->state == FILL_FAILED)
		f->joinable = false;
	fill_ref(f);
	over(f);
	fill_tell(f);
	fill_unref(f);
}

/* Those who have not been sent anything begin again. */
static void look_again(struct fill *f, bool alone)
{
	struct exchange *x, *next;

	f->joinable = false;
	if (f->state != FILL_COMPLETE) {
		f->state = FILL_FAILED;
		f->err = LARDER_ECLOSED;
	}
	fill_ref(f);
	over(f);
	TAILQ_FOREACH_SAFE(x, &f->readers, link, next) {
		exchange_enter(x);
		if (!x->ended && !x->replied)
			fill_send_back(x, alone);
		exchange_leave(x);
	}
	fill_tell(f);
	fill_unref(f);
}

void follow_lost(struct fill *f)
{
	f->follow->link = NULL;
	if (!f->follow->over)
		look_again(f, false);
}

/* The owner is stopped, or busy beyond measure: it is left alone, and nobody joins it from here on. */
static void give_up(struct fill *f)
{
	struct link_message m = {.type = SHARE_LEAVE, .id = f->share_id};
	struct link *l = f->follow->link;

	log_warning("a fetch of another worker is given up: the worker has been silent for too long (option owner_silence)");
	stat_add(&f->env->stats->owners_silent, 1);
	board_shut(f->env->board, &f->flight);
	f->follow->link = NULL;
	link_send(l, &m, view_make(NULL, 0), NULL, 0);
	look_again(f, false);
}

/* Between two questions the loop has read what came: a stall of our own is not taken for the owner's. */
static void on_silence(struct net_timer *t)
{
	struct follow *w = container_of(t, struct follow, timer);
	struct fill *f = w->fill;
	struct link_message m = {.type = SHARE_ASK, .id = f->share_id, .whom = w->number};

	check_magic(f, FILL_MAGIC);
	if (w->asked >= QUESTIONS) {
		give_up(f);
		return;
	}
	if (!w->heard) {
		w->asked++;
		link_send(w->link, &m, view_make(NULL, 0), NULL, 0);
	}
	w->heard = false;
	await(w);
}

void follow_message(struct fill *f, const struct link_message *m, struct view payload,
                    int fds[LINK_FDS], unsigned nfds)
{
	struct follow *w = f->follow;

	if (w->over)
		return;
	w->heard = true;
	w->asked = 0;
	switch ((enum share_type)m->type) {
	case SHARE_HEAD:
		on_head(f, payload);
		break;
	case SHARE_FILE:
		check(nfds == 1);
		if (w->fd >= 0)
			close(w->fd);
		w->fd = fds[0];
		w->turn = m->value;
		fds[0] = -1;
		look(f, false, 0);
		if (f->state != FILL_HEAD)
			fill_tell(f);
		break;
	case SHARE_GROWN:
		look(f, false, 0);
		if (f->state != FILL_HEAD)
			fill_tell_more(f);
		break;
	case SHARE_END:
		on_end(f, payload);
		break;
	case SHARE_GONE:
		look_again(f, m->value == SHARE_NOT_FOR_OTHERS);
		break;
	case SHARE_JOIN:
	case SHARE_LEAVE:
	case SHARE_ASK:
	case SHARE_HERE:
		break;
	}
}
