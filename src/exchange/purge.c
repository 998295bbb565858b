/* PURGE: a client that may ends what is stored for a URL, or under tags. */
#include "tags.h"

#include <stdlib.h>

#define TAGS_BYTES 16384 /* of a request */

/* One request's removals, which outlive its client. */
struct purging {
	struct exchange *x; /* NULL: it has left */
	unsigned pending;
	uint64_t responses;
	int err;
	bool soft, tags;
};

void purge_forget(struct exchange *x)
{
	if (x->purging)
		x->purging->x = NULL;
	x->purging = NULL;
}

/* Squid's answers, as those who write such clients know them: 200, or 404 where nothing was stored. */
static struct step reply(struct exchange *x, const struct purging *p)
{
	struct buf b;
	struct step next;

	x->outcome = OUT_PURGE;
	if (p->err)
		return reply_error(x, 503, NULL, "The store could not remove all of it.");
	buf_init(&b, 256);
	if (!p->responses && !p->tags)
		BUF_ADD_LIT(&b, "nothing is stored for this URL\n");
	else
		buf_printf(&b, p->soft ? "marked %llu responses stale\n" : "purged %llu responses\n",
		           (unsigned long long)p->responses);
	next = reply_simple(x, p->responses || p->tags ? 200 : 404,
	                    V("Content-Type: text/plain\r\nCache-Control: no-store\r\n"), buf_view(&b));
	buf_fini(&b);
	return next;
}

static void settle(struct purging *p)
{
	struct exchange *x = p->x;

	if (--p->pending)
		return;
	if (x) {
		x->purging = NULL;
		exchange_enter(x);
		exchange_run(x, reply(x, p));
		exchange_leave(x);
	}
	free(p);
}

static void on_purged(void *arg, int err, const struct store_purged *n)
{
	struct purging *p = arg;

	if (err && !p->err)
		p->err = err;
	p->responses += n->responses;
	settle(p);
}

static void note(struct purging *p, int err)
{
	if (!err)
		p->pending++;
	else if (!p->err)
		p->err = err;
}

static void purge_url(struct exchange *x, struct purging *p)
{
	struct store *s = x->env->store;

	store_key_init(s, buf_view(&x->key_text), &x->key);
	/* What is being fetched for it is not stored. */
	fill_invalidate(x->env, &x->key, p->soft);
	note(p, store_purge_key(s, &x->key, p->soft, on_purged, p));
}

static void purge_tags(struct exchange *x, struct purging *p, struct view names)
{
	struct view key = buf_view(&x->key_text);
	struct buf scope;

	buf_init(&scope, KEY_BYTES);
	tags_scope_of(x->listener, key, &scope);
	while (names.len) {
		struct view line = view_cut(names, '\n', &names);
		struct store_purge what = {
			.kind = STORE_PURGE_TAG,
			.soft = p->soft,
			.text = view_from(line, 1),
			.tag = (enum store_tag)line.ptr[0],
		};

		what.scope = what.tag == STORE_TAG_GROUP ? store_key_origin(key) : buf_view(&scope);
		note(p, scope.err ? scope.err : store_purge(x->env->store, &what, on_purged, p));
	}
	buf_fini(&scope);
}

static bool says_yes(const struct http_head *h, struct view name)
{
	const struct http_field *f = http_find_text(h, name, 0);

	return f && (view_eq(f->value, V("1")) || view_eq(f->value, V("?1")) || view_ieq(f->value, V("true")));
}

/* The tags that the request names, a line each: how many, or negative. */
static int find_tags(struct exchange *x, struct buf *out)
{
	int keys = tags_keys(x->listener, x->req.head, out), groups = 0;

	if (keys >= 0 && x->listener->options.cache_groups)
		groups = cache_tags_strings(x->req.head, HTTP_CACHE_GROUPS, STORE_TAG_GROUP, out);
	return keys < 0 ? keys : groups < 0 ? groups : keys + groups;
}

static struct step begin(struct exchange *x, struct view tags)
{
	struct purging *p = calloc(1, sizeof(*p));
	const struct http_head *h = x->req.head;

	if (!p)
		return reply_error(x, 503, NULL, "Out of memory.");
	p->x = x;
	p->pending = 1;
	p->tags = tags.len > 0;
	p->soft = x->listener->options.purge_soft || says_yes(h, V("Soft-Purge")) ||
	          says_yes(h, V("Fastly-Soft-Purge"));
	x->purging = p;
	log_info("purge%s%s: %.*s", p->soft ? ", soft" : "", p->tags ? ", by tags" : "", VFMT(h->target));
	if (p->tags)
		purge_tags(x, p, tags);
	else
		purge_url(x, p);
	settle(p);
	return STEP_WAIT;
}

struct step step_purge(struct exchange *x)
{
	struct access_refusal why;
	struct buf tags;
	struct step next;
	int n;

	if (!access_purges(x->listener->access))
		return reply_error(x, 405, NULL, "PURGE is not served here (option purge_from).");
	if (access_purge(x->listener->access, &x->req.client, &why))
		return reply_refused(x, &why);
	if (!x->env->store || !x->listener->options.cache)
		return reply(x, &(struct purging){0});
	buf_reset(&x->key_text);
	if (exchange_key_text(x->listener, x->req.target, &x->key_text))
		return reply_error(x, 400, NULL, "This is no URL that could be stored.");
	buf_init(&tags, TAGS_BYTES);
	n = find_tags(x, &tags);
	if (n < 0 || n > STORE_TAGS_MAX)
		next = reply_error(x, 400, NULL, "So many or so long tags can't be purged at once.");
	else
		next = begin(x, buf_view(&tags));
	buf_fini(&tags);
	return next;
}
