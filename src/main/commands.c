#include "commands-store.h"
#include "commands.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "exchange/exchange.h"
#include "log/log.h"

#define KEY_TEXT_MAX 65536

static int stats(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	const struct keeper *k = arg;

	(void)call;
	if (view_eq(args, V("json")))
		return stat_map_json(k->start->pool->stats, out);
	if (!args.len)
		return stat_map_text(k->start->pool->stats, out);
	buf_printf(out, "stats takes nothing, or json");
	return LARDER_EINVAL;
}

static const char *state_name(int state)
{
	switch (state) {
	case CHILD_STARTING:
		return "starting";
	case CHILD_READY:
		return "ready";
	default:
		return "draining";
	}
}

static void status_processes(const struct keeper *k, struct buf *out)
{
	const struct pool *p = k->start->pool;
	int64_t now = clock_wall_s();

	buf_printf(out, "master       pid %d, %" PRId64 " s\n", (int)p->master,
	           now - (int64_t)stat_get(&p->block->main.start_time));
	for (size_t i = 0; i < p->slots; i++) {
		struct board_entry e = p->board[i];

		if (!e.pid)
			continue;
		if (e.role == ROLE_KEEPER)
			buf_printf(out, "keeper       ");
		else
			buf_printf(out, "worker %-5u ", e.index);
		buf_printf(out, "pid %d, %" PRId64 " s, %s, generation %u\n", (int)e.pid,
		           now - e.started_s, state_name(e.state), e.generation);
	}
}

static void status_listeners(const struct keeper *k, struct buf *out)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < k->plan->nlisteners; i++) {
		const struct main_listener *l = &k->plan->listeners[i];

		buf_printf(out, "listener     %s%s%s:", l->name, l->origin[0] ? "," : "", l->origin);
		for (size_t j = 0; j < l->naddrs; j++)
			buf_printf(out, " %s", addr_format(&l->addrs[j], text));
		buf_addc(out, '\n');
	}
}

/* "scrub        31 % of 120000 rows since 90 s, 0 faults", or when it was. */
static int status_scrub(const struct keeper *k, struct buf *out)
{
	int64_t now = clock_wall_s();
	struct store_scrub s;

	store_scrub_state(k->store, &s);
	if (!s.interval_s)
		return buf_printf(out, "scrub        off\n");
	if (s.since_s) {
		uint64_t total = s.total > s.rows ? s.total : s.rows;

		return buf_printf(out,
		                  "scrub        %" PRIu64 " %% of %" PRIu64 " rows, since %" PRId64
		                  " s, %" PRIu64 " faults\n",
		                  total ? s.rows * 100 / total : 0, total, now - s.since_s, s.faults);
	}
	if (!s.ended_s)
		return buf_printf(out, "scrub        none yet\n");
	return buf_printf(out,
	                  "scrub        ended %" PRId64 " s ago: %" PRIu64 " rows, %" PRIu64
	                  " faults; every %" PRIu64 " s\n",
	                  now - s.ended_s, s.last_rows, s.last_faults, s.interval_s);
}

static int status_store(const struct keeper *k, struct buf *out)
{
	struct store_usage u;
	int err;

	if (!k->store)
		return buf_printf(out, "store        off\n");
	err = store_usage(k->store, &u);
	if (err)
		return buf_printf(out, "store        %s: %s\n", k->start->pool->store_dir,
		                  larder_strerror(err));
	buf_printf(out,
	                  "store        %s: %" PRIu64 " of %" PRIu64 " bytes, %" PRIu64
	                  " responses, %" PRIu64 " body files, %" PRIu64 " bodies in part\n",
	                  k->start->pool->store_dir, u.allocated, u.cap, u.records, u.blobs, u.parts);
	return status_scrub(k, out);
}

static int status(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	const struct keeper *k = arg;

	(void)call;
	(void)args;
	buf_printf(out, "larder       %s\n", LARDER_VERSION);
	status_processes(k, out);
	status_listeners(k, out);
	if (exchange_board_offline(k->start->pool->flights))
		buf_printf(out, "offline      on: nothing is fetched\n");
	return status_store(k, out);
}

static int version(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	(void)arg;
	(void)call;
	(void)args;
	main_version(out);
	return out->err;
}

static int offline(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	const struct keeper *k = arg;
	struct board *flights = k->start->pool->flights;

	(void)call;
	if (view_eq(args, V("on")) || view_eq(args, V("off"))) {
		exchange_board_set_offline(flights, view_eq(args, V("on")));
		log_info("offline: %.*s", VFMT(args));
	} else if (args.len) {
		buf_printf(out, "offline takes on, off, or nothing");
		return LARDER_EINVAL;
	}
	return buf_printf(out, "offline %s\n", exchange_board_offline(flights) ? "on" : "off");
}

/* ---- reload ---- */

static int reload(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct keeper *k = arg;

	(void)args;
	if (k->nreloads >= POOL_RELOADS_MAX) {
		buf_printf(out, "too many reloads wait already");
		return LARDER_EBUSY;
	}
	k->reloads[k->nreloads].call = call;
	k->reloads[k->nreloads++].out = out;
	post_send(&k->post, CHANNEL_RELOAD);
	return ADMIN_LATER;
}

void commands_reloaded(struct keeper *k, int err, const char *text)
{
	struct admin_call *call;

	if (!k->nreloads)
		return;
	call = k->reloads[0].call;
	buf_printf(k->reloads[0].out, "%s", text);
	k->nreloads--;
	memmove(&k->reloads[0], &k->reloads[1], k->nreloads * sizeof(k->reloads[0]));
	admin_finish(call, err);
}

/* ---- purge ---- */

/* One purge command on its way: answered when the last removal is committed. */
struct purge {
	struct admin_call *call;
	struct buf *out;
	size_t pending;
	int err;
};

static void purge_done(void *arg, int err)
{
	struct purge *p = arg;

	if (err && err != LARDER_ENOENT && !p->err)
		p->err = err;
	if (--p->pending)
		return;
	if (p->err) {
		buf_reset(p->out);
		buf_printf(p->out, "cannot purge: %s", larder_strerror(p->err));
	}
	admin_finish(p->call, p->err);
	free(p);
}

/* Removes what is stored under a key text. 1: something was, 0: nothing, or negative. */
static int purge_key(const struct keeper *k, struct purge *p, struct view text)
{
	struct store_key key;
	struct store_hit hit;
	int found, err;

	store_key_init(k->store, text, &key);
	exchange_board_invalidate(k->start->pool->flights, key.hash);
	found = store_find(k->store, &key, NULL, &hit);
	if (found > 0)
		store_hit_done(k->store, &hit);
	if (found == STORE_NONE)
		return 0;
	p->pending++;
	err = store_remove(k->store, &key, purge_done, p);
	if (err)
		p->pending--;
	return err ? err : 1;
}

/* A URL may be stored under several keys: reverse listeners may have their own. */
static int purge_url(struct keeper *k, struct purge *p, struct view url)
{
	struct buf plain, text;
	bool found = false;
	int ret;

	buf_init(&plain, KEY_TEXT_MAX);
	buf_init(&text, KEY_TEXT_MAX);
	ret = main_key_text(NULL, url, &plain);
	if (!ret)
		ret = purge_key(k, p, buf_view(&plain));
	found = ret > 0;
	for (size_t i = 0; i < k->plan->nlisteners && ret >= 0; i++) {
		buf_reset(&text);
		ret = main_key_text(&k->listeners[i], url, &text);
		if (!ret && !view_eq(buf_view(&text), buf_view(&plain)))
			ret = purge_key(k, p, buf_view(&text));
		found |= ret > 0;
	}
	buf_fini(&text);
	buf_fini(&plain);
	if (ret >= 0)
		buf_printf(p->out, "%s %.*s\n", found ? "purged" : "not stored", VFMT(url));
	return ret < 0 ? ret : 0;
}

/* Takes the next URL off the arguments; false at the end. */
static bool next_url(struct view *rest, struct view *url)
{
	*url = V("");
	while (rest->len && !url->len)
		*url = view_cut(*rest, ' ', rest);
	return url->len > 0;
}

static int purge_check(const struct keeper *k, struct view rest, struct buf *out)
{
	struct http_target target;
	struct view url;

	if (!rest.len) {
		buf_printf(out, "purge needs URLs");
		return LARDER_EINVAL;
	}
	if (!k->store) {
		buf_printf(out, "there is no store");
		return LARDER_EINVAL;
	}
	while (next_url(&rest, &url)) {
		if (http_uri_parse(url, &target)) {
			buf_printf(out, "\"%.*s\" is not a URL like http://example.com/path",
			           VFMT(url));
			return LARDER_EINVAL;
		}
	}
	return 0;
}

static int purge(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct keeper *k = arg;
	struct purge *p;
	struct view url;
	int err = purge_check(k, args, out);

	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return LARDER_ENOMEM;
	*p = (struct purge){.call = call, .out = out, .pending = 1};
	while (!err && next_url(&args, &url))
		err = purge_url(k, p, url);
	purge_done(p, err);
	return ADMIN_LATER;
}

const struct admin_command commands_table[] = {
	{"stats", stats, "stats [json]"},
	{"status", status, "status"},
	{"version", version, "version"},
	{"reload", reload, "reload"},
	{"offline", offline, "offline [on|off]"},
	{"purge", purge, "purge URL..."},
	{"purge-range", commands_purge_range, "purge-range url|host TEXT [PLACE]"},
	{"trim", commands_trim, "trim"},
	{"uses", commands_uses, "uses HASH..."},
};
const size_t commands_count = ARRAY_LEN(commands_table);
