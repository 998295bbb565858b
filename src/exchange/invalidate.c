/* What answers to unsafe requests end (RFC 9111 §4.4), and the groups that it belongs to (RFC 9875). */
#include "tags.h"

static void done(struct fill *f, int err)
{
	check_magic(f, FILL_MAGIC);
	if (err && err != LARDER_ENOENT && err != LARDER_ECLOSED)
		log_warning("could not invalidate: %s", larder_strerror(err));
	if (--f->removing == 0 && f->state == FILL_HELD && f->env) {
		fill_publish(f);
		fill_consumed(f);
	}
	fill_unref(f);
}

void fill_on_settled(void *arg, int err)
{
	done(arg, err);
}

static void on_purged(void *arg, int err, const struct store_purged *n)
{
	(void)n;
	done(arg, err);
}

/* All of the same origin that is in one of the groups, a line each (RFC 9875 §2.1). */
static void remove_groups(struct fill *f, struct view key, struct view names)
{
	static uint64_t told;
	unsigned n = 0;

	while (names.len && n++ < STORE_TAGS_MAX) {
		struct store_purge what = {
			.kind = STORE_PURGE_TAG,
			.text = view_cut(names, '\n', &names),
			.tag = STORE_TAG_GROUP,
			.scope = store_key_origin(key),
			.early = true,
		};

		if (store_purge(f->env->store, &what, on_purged, f)) {
			log_limited(&told, LOG_L_WARNING, "could not invalidate the group %.*s of %.*s", VFMT(what.text),
			            VFMT(what.scope));
			continue;
		}
		f->removing++;
		fill_ref(f);
		stat_add(&f->env->stats->group_invalidations, 1);
	}
}

/* The groups of what is removed; others that share one go with it, but no further (RFC 9875 §2.2.1). */
static void remove_companions(struct fill *f, const struct store_key *key)
{
	struct buf names;

	if (!f->listener->options.cache_groups)
		return;
	buf_init(&names, STORE_TAGS_BYTES);
	store_groups(f->env->store, key, &names);
	remove_groups(f, key->text, buf_view(&names));
	buf_fini(&names);
}

static void remove_key(struct fill *f, struct view text)
{
	static uint64_t told;
	struct store_key key;

	store_key_init(f->env->store, text, &key);
	remove_companions(f, &key);
	fill_invalidate(f->env, &key, false);
	stat_add(&f->env->stats->invalidations, 1);
	if (store_remove(f->env->store, &key, fill_on_settled, f) == 0) {
		f->removing++;
		fill_ref(f);
	} else {
		log_limited(&told, LOG_L_WARNING, "could not invalidate: %.*s", VFMT(key.text));
	}
}

/* RFC 9110 §4.2.3: a URI with dot segments and the one without them are equivalent, and most origins take both for the
 * same. Each has a key of its own; what changes the one changes the other. */
static void remove_target(struct fill *f, const struct http_target *t)
{
	struct buf text, plain;
	struct view path, query;

	buf_init(&text, KEY_BYTES);
	buf_init(&plain, KEY_BYTES);
	if (exchange_key_text(f->listener, t, &text) == 0) {
		size_t from = store_key_origin(buf_view(&text)).len;

		remove_key(f, buf_view(&text));
		path = view_from(buf_view(&text), from);
		query = view_from(path, view_find(path, '?'));
		buf_add(&plain, text.data, text.len - query.len);
		if (!plain.err)
			plain.len = from + http_path_remove_dots(plain.data + from, plain.len - from);
		buf_addv(&plain, query);
		if (!plain.err && !view_eq(buf_view(&plain), buf_view(&text)))
			remove_key(f, buf_view(&plain));
	}
	buf_fini(&plain);
	buf_fini(&text);
}

/* RFC 9875 §3: by groups that the answer names. */
static void remove_named(struct fill *f, const struct http_head *head, const struct http_target *target)
{
	struct buf names, key, lines;
	struct view rest;

	if (!f->listener->options.cache_groups || !http_find(head, HTTP_CACHE_GROUP_INVALIDATION, 0))
		return;
	buf_init(&names, STORE_TAGS_BYTES);
	buf_init(&lines, STORE_TAGS_BYTES);
	buf_init(&key, KEY_BYTES);
	cache_tags_strings(head, HTTP_CACHE_GROUP_INVALIDATION, STORE_TAG_GROUP, &names);
	for (rest = buf_view(&names); rest.len;) {
		struct view line = view_cut(rest, '\n', &rest);

		/* What did not fit is cut off at a name's end. */
		if (!rest.ptr)
			break;
		buf_addv(&lines, view_from(line, 1));
		buf_addc(&lines, '\n');
	}
	if (exchange_key_text(f->listener, target, &key) == 0)
		remove_groups(f, buf_view(&key), buf_view(&lines));
	buf_fini(&names);
	buf_fini(&lines);
	buf_fini(&key);
}

static bool same_origin(const struct http_target *a, const struct http_target *b)
{
	return a->scheme == b->scheme && a->port == b->port && view_ieq(a->host, b->host);
}

void fill_remove_invalidated(struct fill *f, const struct http_head *head)
{
	static const enum http_name names[] = {HTTP_LOCATION, HTTP_CONTENT_LOCATION};
	const struct http_target *target;
	const struct http_field *field;
	struct http_target other;
	struct buf scratch;

	if (!f->env->store || !f->first || !cache_invalidates((enum http_method)f->req.method, (uint16_t)f->status))
		return;
	target = f->first->req.target;
	if (target->form == HTTP_ASTERISK_FORM)
		return;
	remove_target(f, target);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		field = http_find(head, names[i], 0);
		if (!field)
			continue;
		buf_init(&scratch, KEY_BYTES);
		if (http_target_resolve(target, field->value, &scratch, &other) == 0 &&
		    same_origin(&other, target))
			remove_target(f, &other);
		buf_fini(&scratch);
	}
	remove_named(f, head, target);
}
