#include "commands-store.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/num.h"
#include "commands.h"
#include "main/range.h"

#define PURGE_STEP 500 /* removals that one transaction may have to take */
#define WORK_MS    500 /* of one call */
#define PLACE_MAX  511

static int no_store(struct buf *out)
{
	buf_printf(out, "there is no store");
	return LARDER_EINVAL;
}

/* ---- purge-range ---- */

struct purge {
	struct keeper *keeper;
	struct admin_call *call;
	struct buf *out;
	struct main_range range;
	struct store_list *list;
	uint64_t until_ms, urls, responses;
	char after[PLACE_MAX]; /* the place to go on from */
	unsigned pending;
	bool end;
	int err;
};

static void purge_free(struct purge *p)
{
	store_list_free(p->list);
	main_range_fini(&p->range);
	free(p);
}

static void purge_answer(struct purge *p)
{
	struct view at = store_list_place(p->list);

	if (p->err) {
		buf_printf(p->out, "cannot purge: %s", larder_strerror(p->err));
	} else {
		buf_printf(p->out, "%" PRIu64 " %" PRIu64, p->urls, p->responses);
		if (!p->end)
			buf_addc(p->out, ' ');
		for (size_t i = 0; !p->end && i < at.len; i++)
			buf_printf(p->out, "%02x", (unsigned char)at.ptr[i]);
		buf_addc(p->out, '\n');
	}
	admin_finish(p->call, p->err);
	purge_free(p);
}

static void purge_step(struct purge *p);

static void purge_done(void *arg, int err)
{
	struct purge *p = arg;

	if (err && !p->err)
		p->err = err;
	if (--p->pending)
		return;
	/* A daemon that drains leaves the rest to who asks again. */
	if (p->err || p->end || p->keeper->drain_until_ms || clock_mono_ms() >= p->until_ms)
		purge_answer(p);
	else
		purge_step(p);
}

static int purge_entry(struct purge *p, const struct store_entry *e)
{
	struct store_key key = {.text = e->record.key, .hash = e->hash};
	int err = store_remove(p->keeper->store, &key, purge_done, p);

	if (err)
		return err;
	p->pending++;
	p->urls++;
	p->responses += e->responses;
	return 0;
}

/* Queues removals; the next step follows when they are committed, so that others' commits come
 * between. */
static void purge_step(struct purge *p)
{
	struct store_entry e;
	int err = 0;

	p->pending++;
	for (unsigned n = 0; n < PURGE_STEP && !err && !p->end;) {
		int ret = store_list_step(p->list, &e);

		if (ret == 1) {
			err = purge_entry(p, &e);
			n += e.responses + !e.responses;
		} else if (ret == LARDER_EAGAIN) {
			if (clock_mono_ms() >= p->until_ms)
				break;
		} else {
			p->end = ret == 0;
			err = ret;
		}
	}
	purge_done(p, err);
}

/* "url TEXT" or "host TEXT", and perhaps a place. */
static int purge_parse(struct purge *p, struct view args)
{
	struct view rest, hex, kind = view_cut(args, ' ', &rest), text = view_cut(rest, ' ', &hex);
	int err;

	if (view_eq(kind, V("url")))
		err = main_range_url(&p->range, text, false);
	else if (view_eq(kind, V("host")))
		err = main_range_host(&p->range, text);
	else
		return LARDER_EINVAL;
	if (!err && (hex.len % 2 || hex.len / 2 > sizeof(p->after)))
		return LARDER_EINVAL;
	for (size_t i = 0; !err && i < hex.len / 2; i++) {
		uint64_t n = 0;

		err = num_parse_hex(view_make(hex.ptr + 2 * i, 2), 255, &n);
		p->after[i] = (char)n;
	}
	p->range.range.after = view_make(p->after, hex.len / 2);
	return err;
}

int commands_purge_range(void *arg, struct admin_call *call, struct view args, struct buf *out)
{
	struct keeper *k = arg;
	struct purge *p;
	int err;

	if (!k->store)
		return no_store(out);
	p = calloc(1, sizeof(*p));
	if (!p)
		return LARDER_ENOMEM;
	p->keeper = k;
	p->call = call;
	p->out = out;
	p->until_ms = clock_mono_ms() + WORK_MS;
	err = purge_parse(p, args);
	if (err)
		buf_printf(out, "purge-range takes url or host, a URL or a host, and a place");
	if (!err) {
		p->list = store_list_new(k->store, &p->range.range, STORE_LIST_KEYS);
		err = p->list ? 0 : LARDER_ENOMEM;
	}
	if (err) {
		purge_free(p);
		return err;
	}
	purge_step(p);
	return ADMIN_LATER;
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
