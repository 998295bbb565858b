/* purge: single URLs, and many at once. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"
#include "commands-store.h"
#include "commands.h"
#include "log/log.h"
#include "main/purge.h"

#define KEY_TEXT_MAX 65536
#define MANY_MAX     64  /* under way, or done and not asked for yet */
#define WORK_MS      500 /* after which who waits is told how far it is */

static int no_store(struct buf *out)
{
	buf_printf(out, "there is no store");
	return LARDER_EINVAL;
}

/* ---- purge ---- */

struct purge;

struct url {
	struct purge *purge;
	struct view text;
	uint64_t responses;
};

/* One command on its way: answered when the last removal is committed. */
struct purge {
	struct admin_call *call;
	struct buf *out;
	size_t pending;
	int err;
	bool soft;
	size_t n;
	struct url urls[];
};

static void purge_answer(struct purge *p)
{
	if (p->err)
		buf_printf(p->out, "cannot purge: %s", larder_strerror(p->err));
	for (size_t i = 0; !p->err && i < p->n; i++)
		buf_printf(p->out, "%" PRIu64 " %.*s\n", p->urls[i].responses, VFMT(p->urls[i].text));
	admin_finish(p->call, p->err);
	free(p);
}

static void purge_done(struct purge *p, int err)
{
	if (err && !p->err)
		p->err = err;
	if (--p->pending == 0)
		purge_answer(p);
}

static void on_purged(void *arg, int err, const struct store_purged *n)
{
	struct url *u = arg;

	u->responses += n->responses;
	purge_done(u->purge, err);
}

static int purge_key(const struct keeper *k, struct url *u, struct view text)
{
	struct store_key key;
	int err;

	store_key_init(k->store, text, &key);
	exchange_board_invalidate(k->start->pool->flights, key.hash);
	u->purge->pending++;
	err = store_purge_key(k->store, &key, u->purge->soft, on_purged, u);
	if (err)
		u->purge->pending--;
	return err;
}

/* A URL may be stored under several keys: reverse listeners may have their own. */
static int purge_url(struct keeper *k, struct url *u)
{
	struct buf plain, text;
	int err;

	buf_init(&plain, KEY_TEXT_MAX);
	buf_init(&text, KEY_TEXT_MAX);
	err = main_key_text(NULL, u->text, &plain);
	if (!err)
		err = purge_key(k, u, buf_view(&plain));
	for (size_t i = 0; i < k->plan->nlisteners && !err; i++) {
		buf_reset(&text);
		err = main_key_text(&k->listeners[i], u->text, &text);
		if (!err && !view_eq(buf_view(&text), buf_view(&plain)))
			err = purge_key(k, u, buf_view(&text));
	}
	buf_fini(&text);
	buf_fini(&plain);
	return err;
}

/* Takes the next URL off the arguments; false at the end. */
static bool next_url(struct view *rest, struct view *url)
{
	*url = V("");
	while (rest->len && !url->len)
		*url = view_cut(*rest, ' ', rest);
	return url->len > 0;
}

/* How many URLs there are, or negative. */
static int64_t check_urls(struct view rest, struct buf *out)
{
	struct http_target target;
	struct view url;
	int64_t n = 0;

	while (next_url(&rest, &url)) {
		n++;
		if (http_uri_parse(url, &target)) {
			buf_printf(out, "\"%.*s\" is not a URL like http://example.com/path",
			           VFMT(url));
			return LARDER_EINVAL;
		}
	}
	if (!n)
		buf_printf(out, "purge needs URLs");
	return n ? n : LARDER_EINVAL;
}

int commands_purge(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct keeper *k = arg;
	struct view rest, first = view_cut(args, ' ', &rest), url;
	bool soft = view_eq(first, V("soft"));
	struct purge *p;
	int64_t n;
	int err = 0;

	if (!k->store)
		return no_store(out);
	args = soft ? rest : args;
	n = check_urls(args, out);
	if (n < 0)
		return (int)n;
	p = calloc(1, sizeof(*p) + (size_t)n * sizeof(p->urls[0]));
	if (!p)
		return LARDER_ENOMEM;
	*p = (struct purge){.call = call, .out = out, .pending = 1, .soft = soft};
	while (!err && next_url(&args, &url)) {
		struct url *u = &p->urls[p->n++];

		*u = (struct url){.purge = p, .text = url};
		err = purge_url(k, u);
	}
	log_info("purge%s: %zu URLs", soft ? ", soft" : "", p->n);
	purge_done(p, err);
	return ADMIN_LATER;
}

/* ---- purge-many, purge-wait ---- */

struct keeper_purge {
	LIST_ENTRY(keeper_purge) link;
	struct keeper *keeper;
	uint64_t id;
	struct admin_call *call; /* that waits, or NULL */
	struct buf *out;
	struct net_timer timer;
	struct store_purged n;
	bool done;
	int err;
};

static void many_free(struct keeper_purge *m)
{
	net_timer_stop(&m->timer);
	LIST_REMOVE(m, link);
	m->keeper->npurges--;
	free(m);
}

/* "URLS RESPONSES", and while there is more to come, its number. */
static void many_answer(struct keeper_purge *m)
{
	struct admin_call *call = m->call;
	/* Whoever comes after this keeper does not know it: it has to be begun again. */
	bool over = m->done && !(m->err == LARDER_ECLOSED && m->keeper->drain_until_ms);
	int err = over ? m->err : 0;

	m->call = NULL;
	if (err) {
		buf_printf(m->out, "cannot purge: %s",
		           err == LARDER_ELIMIT ? "the pattern takes too long to match"
		                                : larder_strerror(err));
	} else {
		buf_printf(m->out, "%" PRIu64 " %" PRIu64, m->n.urls, m->n.responses);
		if (!over)
			buf_printf(m->out, " %" PRIu64, m->id);
		buf_addc(m->out, '\n');
	}
	if (m->done)
		many_free(m);
	admin_finish(call, err);
}

static void many_done(void *arg, int err, const struct store_purged *n)
{
	struct keeper_purge *m = arg;

	m->done = true;
	m->err = err;
	m->n = *n;
	if (err != LARDER_ECLOSED)
		log_info("purge: %" PRIu64 " responses%s%s", n->responses, err ? ": " : "",
		         err ? larder_strerror(err) : "");
	net_timer_stop(&m->timer);
	if (m->call)
		many_answer(m);
}

static void many_late(struct net_timer *t)
{
	struct keeper_purge *m = container_of(t, struct keeper_purge, timer);

	store_purge_progress(m->keeper->store, m, &m->n);
	many_answer(m);
}

static int many_wait(struct keeper_purge *m, struct admin_call *call, struct buf *out)
{
	m->call = call;
	m->out = out;
	if (m->done)
		many_answer(m);
	else
		net_timer_set(&m->timer, WORK_MS);
	return ADMIN_LATER;
}

/* Those that are done and whose caller never came back make room. */
static void make_room(struct keeper *k)
{
	struct keeper_purge *m, *next;

	LIST_FOREACH_SAFE (m, &k->purges, link, next) {
		if (k->npurges >= MANY_MAX && m->done)
			many_free(m);
	}
}

static int begin(struct keeper *k, const struct store_purge *what, struct keeper_purge **out)
{
	struct keeper_purge *m;
	int err;

	make_room(k);
	if (k->npurges >= MANY_MAX)
		return LARDER_EBUSY;
	m = calloc(1, sizeof(*m));
	if (!m)
		return LARDER_ENOMEM;
	m->keeper = k;
	err = store_purge(k->store, what, many_done, m);
	if (err) {
		free(m);
		return err;
	}
	m->id = ++k->purge_id;
	net_timer_init(&m->timer, k->loop, many_late);
	LIST_INSERT_HEAD(&k->purges, m, link);
	k->npurges++;
	*out = m;
	return 0;
}

int commands_purge_many(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct view rest, text, kind = view_cut(args, ' ', &rest);
	struct keeper *k = arg;
	struct keeper_purge *m;
	struct main_purge p;
	char *why;
	bool soft;
	int err;

	if (!k->store)
		return no_store(out);
	soft = view_eq(view_cut(rest, ' ', &text), V("soft"));
	err = main_purge_parse(&p, kind, text, soft, &why);
	if (err)
		buf_printf(out, "%s", why ? why : larder_strerror(err));
	else
		log_info("purge%s by %.*s: %.*s", soft ? ", soft," : "", VFMT(kind), VFMT(text));
	free(why);
	if (!err) {
		err = begin(k, &p.what, &m);
		if (err)
			buf_printf(out, "cannot purge: %s",
			           err == LARDER_EBUSY ? "too many purges are under way"
			                               : larder_strerror(err));
	}
	main_purge_fini(&p);
	return err ? err : many_wait(m, call, out);
}

int commands_purge_wait(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct keeper *k = arg;
	struct keeper_purge *m;
	uint64_t id;

	if (num_parse_u64(args, UINT64_MAX, &id)) {
		buf_printf(out, "purge-wait takes a number that purge-many gave");
		return LARDER_EINVAL;
	}
	LIST_FOREACH (m, &k->purges, link) {
		if (m->id == id)
			break;
	}
	if (!m)
		return buf_printf(out, "gone\n");
	if (m->call) {
		buf_printf(out, "somebody else waits for it");
		return LARDER_EBUSY;
	}
	return many_wait(m, call, out);
}

void commands_purge_fini(struct keeper *k)
{
	struct keeper_purge *m;

	while ((m = LIST_FIRST(&k->purges)))
		many_free(m);
}
