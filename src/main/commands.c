#include "commands-store.h"
#include "commands.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"
#include "exchange/exchange.h"
#include "log/log.h"

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

const struct admin_command commands_table[] = {
	{"stats", stats, "stats [json]"},
	{"status", status, "status"},
	{"version", version, "version"},
	{"reload", reload, "reload"},
	{"offline", offline, "offline [on|off]"},
	{"purge", commands_purge, "purge [soft] URL..."},
	{"purge-many", commands_purge_many, "purge-many url|host|tag|pattern hard|soft TEXT"},
	{"purge-wait", commands_purge_wait, "purge-wait NUMBER"},
	{"trim", commands_trim, "trim"},
	{"uses", commands_uses, "uses HASH..."},
	{"explain", commands_explain, "explain text|json LISTENER CLIENT METHOD URL FIELDS RESPONSE (each %-escaped, - for none)"},
};
const size_t commands_count = ARRAY_LEN(commands_table);
