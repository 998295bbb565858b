/* What a purge means, and the notices of those that took effect. */
#include "base/process.h"
#include "purge.h"

/* ---- Does it mean that? ---- */

/* "host" and the port of an absolute URL. */
static struct view host_of(struct view url, uint16_t *port)
{
	bool tls = view_starts(url, V("https:"));
	struct view authority = view_from(url, strlen("http://") + tls), digits;
	size_t colon;
	unsigned n = 0;

	authority.len = view_find(authority, '/');
	colon = view_rfind(authority, ':');
	*port = tls ? 443 : 80;
	if (colon == authority.len || authority.ptr[authority.len - 1] == ']')
		return authority;
	digits = view_from(authority, colon + 1);
	for (size_t i = 0; i < digits.len && i < 5; i++)
		n = n * 10 + (unsigned)(digits.ptr[i] - '0');
	*port = (uint16_t)n;
	return view_make(authority.ptr, colon);
}

static bool is_host(const struct purge_test *t, struct view url)
{
	struct view host;
	uint16_t port;

	if (!view_starts(url, V("http")) || url.len < 9)
		return false;
	host = host_of(url, &port);
	if (t->port && port != t->port)
		return false;
	if (view_eq(host, t->text))
		return true;
	return t->below && host.len > t->text.len && view_ends(host, t->text) &&
	       host.ptr[host.len - t->text.len - 1] == '.';
}

static bool has_tag(const struct purge_test *t, uint64_t seed, struct view key, struct view tags)
{
	struct view rest = store_tags_first(tags), name;
	enum store_tag kind;

	while (store_tags_next(&rest, &kind, &name)) {
		if ((!t->tag || t->tag == kind) && view_eq(name, t->text) &&
		    (!t->scoped || tags_scope(seed, kind, key, tags) == t->scope))
			return true;
	}
	return false;
}

int purge_means(const struct purge_test *t, uint64_t seed, struct view key, struct view tags)
{
	struct view url;

	view_cut(key, ' ', &url);
	switch (t->kind) {
	case STORE_PURGE_URL:
		return view_starts(url, t->text);
	case STORE_PURGE_HOST:
		return is_host(t, url);
	case STORE_PURGE_TAG:
		return has_tag(t, seed, key, tags);
	case STORE_PURGE_PATTERN:
		break;
	}
	return pattern_match(t->pattern, url);
}

/* ---- Notices ---- */

static struct pool_purge *place(struct pool *p, uint64_t seq)
{
	return &p->purge[seq % POOL_PURGES];
}

static uint64_t *tag_cell(struct store *s, struct view name)
{
	return &s->pool->last_of_tag[hash_64(name, s->seed) % POOL_TAGS];
}

bool purge_notice(struct store *s, const struct purge_test *t, bool soft, uint64_t before, uint64_t *seq)
{
	struct pool *p = s->pool;
	struct pool_purge *n;
	unsigned i = 0;

	while (i < POOL_ACTIVE && pool_get(&p->active[i]))
		i++;
	if (i == POOL_ACTIVE)
		return false;
	*seq = pool_get(&p->purges) + 1;
	n = place(p, *seq);
	check(t->text.len <= sizeof(n->text));
	pool_set(&n->seq, 0);
	n->before = before;
	n->pid = s->slot->pid;
	n->start = s->slot->start;
	n->scope = t->scope;
	n->scoped = t->scoped;
	n->port = t->port;
	n->kind = (uint8_t)t->kind;
	n->soft = soft;
	n->below = t->below;
	n->tag = t->tag;
	n->len = (uint16_t)t->text.len;
	memcpy(n->text, t->text.ptr, t->text.len);
	pool_set(&n->seq, *seq);
	pool_set(t->kind == STORE_PURGE_TAG ? tag_cell(s, t->text) : &p->last_other, *seq);
	/* Lookups look here; those that found nothing before have not been answered yet. */
	pool_set(&p->active[i], *seq);
	pool_add(&p->nactive, 1);
	pool_set(&p->purges, *seq);
	return true;
}

void purge_notice_end(struct store *s, uint64_t seq)
{
	struct pool *p = s->pool;
	uint64_t left = 0;

	for (unsigned i = 0; i < POOL_ACTIVE; i++) {
		if (pool_get(&p->active[i]) == seq)
			pool_set(&p->active[i], 0);
		left += pool_get(&p->active[i]) != 0;
	}
	/* Counted anew: who was killed half-way may have left it wrong. */
	pool_set(&p->nactive, left);
}

void purge_notice_leave(struct store *s, uint64_t seq)
{
	struct pool_purge *n = place(s->pool, seq);

	if (pool_get(&n->seq) == seq)
		n->pid = 0;
}

/* A copy, unless its place is another one's by now. */
static bool copy_notice(struct pool *p, uint64_t seq, struct pool_purge *out)
{
	struct pool_purge *n = place(p, seq);

	if (pool_get(&n->seq) != seq)
		return false;
	memcpy(out, n, offsetof(struct pool_purge, text));
	if (out->len > sizeof(out->text))
		return false;
	memcpy(out->text, n->text, out->len);
	return pool_get(&n->seq) == seq;
}

bool purge_notice_adopt(struct store *s, struct pool_purge *out)
{
	struct pool *p = s->pool;

	for (unsigned i = 0; i < POOL_ACTIVE; i++) {
		uint64_t seq = pool_get(&p->active[i]);
		struct pool_purge *n = place(p, seq);

		if (!seq)
			continue;
		if (!copy_notice(p, seq, out)) {
			purge_notice_end(s, seq);
			continue;
		}
		if (n->pid && process_runs(n->pid, n->start))
			continue;
		n->pid = s->slot->pid;
		n->start = s->slot->start;
		return true;
	}
	return false;
}

/* ---- Looking at them ---- */

void purge_patterns_fini(struct purge_patterns *c)
{
	for (unsigned i = 0; i < PURGE_PATTERNS; i++)
		pattern_free(c->pattern[i]);
	*c = (struct purge_patterns){0};
}

static struct pattern *pattern_of(struct purge_patterns *c, const struct pool_purge *n)
{
	unsigned i = (unsigned)(n->seq % PURGE_PATTERNS);

	if (c->seq[i] == n->seq)
		return c->pattern[i];
	pattern_free(c->pattern[i]);
	c->pattern[i] = NULL;
	c->seq[i] = n->seq;
	pattern_new(view_make(n->text, n->len), &c->pattern[i], NULL);
	return c->pattern[i];
}

/* What can't be told counts as meant. */
static bool notice_means(struct store *s, struct purge_patterns *c, const struct pool_purge *n,
                         struct view key, struct view tags)
{
	struct purge_test t = {
	        .kind = (enum store_purge_kind)n->kind,
	        .text = view_make(n->text, n->len),
	        .port = n->port,
	        .below = n->below,
	        .scoped = n->scoped,
	        .tag = n->tag,
	        .scope = n->scope,
	};

	if (t.kind == STORE_PURGE_PATTERN)
		t.pattern = pattern_of(c, n);
	if (t.kind == STORE_PURGE_PATTERN && !t.pattern)
		return true;
	return purge_means(&t, s->seed, key, tags) != 0;
}

/* Of those whose notices are gone: might one have meant it? */
static bool might_have(struct store *s, uint64_t since, struct view tags)
{
	struct view rest = store_tags_first(tags), name;
	enum store_tag kind;

	if (pool_get(&s->pool->last_other) > since)
		return true;
	while (store_tags_next(&rest, &kind, &name)) {
		if (pool_get(tag_cell(s, name)) > since)
			return true;
	}
	return false;
}

bool purge_since(struct store *s, struct purge_patterns *c, uint64_t since, struct view key,
                 struct view tags)
{
	uint64_t now = pool_get(&s->pool->purges);
	struct pool_purge n;

	if (now - since >= POOL_PURGES)
		return might_have(s, since, tags);
	for (uint64_t seq = since + 1; seq <= now; seq++) {
		if (!copy_notice(s->pool, seq, &n) || notice_means(s, c, &n, key, tags))
			return true;
	}
	return false;
}

enum purge_effect purge_effect(struct store *s, const struct record *r)
{
	enum purge_effect effect = PURGE_NONE;
	struct pool *p = s->pool;
	struct pool_purge n;

	if (!pool_get(&p->nactive))
		return PURGE_NONE;
	for (unsigned i = 0; i < POOL_ACTIVE; i++) {
		uint64_t seq = pool_get(&p->active[i]);

		if (!seq || !copy_notice(p, seq, &n) || r->h.id >= n.before ||
		    !notice_means(s, &s->purges.patterns, &n, r->key, r->tags))
			continue;
		if (!n.soft)
			return PURGE_HARD;
		effect = PURGE_SOFT;
	}
	return effect;
}

uint64_t store_purges(const struct store *s)
{
	check_magic(s, STORE_MAGIC);
	return pool_get(&s->pool->purges);
}

bool store_purged_since(struct store *s, uint64_t since, struct view key, struct view tags)
{
	check_magic(s, STORE_MAGIC);
	return purge_since(s, &s->purges.patterns, since, key, tags);
}
