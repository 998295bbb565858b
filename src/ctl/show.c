/* show and cat: all about one URL, and its body. */
#include "ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/num.h"

#define KEY_TEXT_MAX 65536
#define INLINE_MAX   (64u << 20)
#define CHUNK        (256u << 10)

static int not_url(const char *text)
{
	return ctl_fail("\"%s\" is not a URL like http://example.com/path", text);
}

/* The responses of a URL, one after the other, until one is `done` or has an exit status. */
struct visit {
	const struct ctl *c;
	struct store *s;
	int (*fn)(struct visit *v, const struct store_entry *e); /* the exit status */
	uint64_t n;                                              /* responses so far */
	int64_t now;
	bool done;
	int status;
};

static int visit_range(struct visit *v, const struct store_range *range)
{
	struct store_list *l = store_list_new(v->s, range, STORE_LIST_RESPONSES);
	struct store_entry e;
	int ret = l ? 0 : LARDER_ENOMEM;

	while (l && !v->done && (ret = store_list_next(l, &e)) == 1) {
		v->n++;
		v->status = v->fn(v, &e);
		v->done = v->done || v->status;
	}
	store_list_free(l);
	return ret < 0 ? ret : 0;
}

/* A listener whose origin has another name stores under that. */
static int visit_listener(struct visit *v, const struct exchange_listener *l, struct view url)
{
	struct main_range r = {0};
	struct view stored;
	struct buf text;
	int err;

	buf_init(&text, KEY_TEXT_MAX);
	err = main_key_text(l, url, &text);
	if (!err) {
		view_cut(buf_view(&text), ' ', &stored);
		err = main_range_url(&r, stored, true);
		if (!err)
			err = visit_range(v, &r.range);
		main_range_fini(&r);
	}
	buf_fini(&text);
	return err;
}

static int visit_listeners(struct visit *v, const struct main_plan *plan, struct view url)
{
	int err = 0;

	for (size_t i = 0; i < plan->nlisteners && !v->n && !err; i++) {
		struct exchange_listener l;
		char *why = NULL;

		err = main_exchange_listener(&plan->listeners[i], &l, &why);
		free(why);
		if (err)
			return err;
		if (l.kind == EXCHANGE_REVERSE)
			err = visit_listener(v, &l, url);
		main_exchange_listener_fini(&l);
	}
	return err;
}

static int visit_url(struct visit *v, const struct main_range *r, const struct main_plan *plan)
{
	int err = visit_range(v, &r->range);

	if (!err && !v->n)
		err = visit_listeners(v, plan, view_of(v->c->operands[0]));
	return err;
}

static int visit(const struct ctl *c, int (*fn)(struct visit *v, const struct store_entry *e))
{
	struct visit v = {.c = c, .fn = fn, .now = clock_wall_s()};
	struct main_plan *plan = NULL;
	struct main_range r;
	char *why = NULL;
	int err = main_range_url(&r, view_of(c->operands[0]), true), ignored;

	if (err) {
		main_range_fini(&r);
		return not_url(c->operands[0]);
	}
	if (main_plan_load(&c->args, &plan, &why, &ignored)) {
		main_range_fini(&r);
		ctl_fail("%s", why ? why : "out of memory");
		free(why);
		return CTL_FAILED;
	}
	v.s = ctl_open_store(c, false);
	if (v.s)
		err = visit_url(&v, &r, plan);
	main_plan_free(plan);
	main_range_fini(&r);
	store_close(v.s);
	if (!v.s)
		return CTL_FAILED;
	if (err)
		return ctl_fail("%s: %s", c->store_dir, larder_strerror(err));
	if (!v.n) {
		ctl_fail("%s is not stored", c->operands[0]);
		return CTL_FINDINGS;
	}
	if (!v.done && (c->given & CTL_VARIANT)) {
		ctl_fail("%s has no variant %" PRIu64, c->operands[0], c->variant);
		return CTL_FINDINGS;
	}
	return v.status ? v.status : ctl_flush();
}

/* ---- show ---- */

/* -1: nobody knows. */
static int uses_of(const struct ctl *c, struct hash128 row)
{
	struct buf out;
	char request[48];
	uint64_t n;
	int ret;

	snprintf(request, sizeof(request), "uses %016" PRIx64 "%016" PRIx64, row.hi, row.lo);
	buf_init(&out, 4096);
	ret = ctl_ask(c, request, &out);
	if (!ret)
		ret = num_parse_u64(view_make(out.data, view_find(buf_view(&out), '\n')), 3, &n);
	buf_fini(&out);
	return ret ? -1 : (int)n;
}

static const struct {
	unsigned flag;
	const char *text;
} FLAGS[] = {
        {CACHE_F_NO_CACHE, "no-cache: validated before each use"},
        {CACHE_F_MUST_REVALIDATE, "never served stale"},
        {CACHE_F_ETAG, "has an ETag"},
        {CACHE_F_ETAG_WEAK, "the ETag is weak"},
        {CACHE_F_LAST_MODIFIED, "has Last-Modified"},
        {CACHE_F_LAST_MODIFIED_STRONG, "Last-Modified is strong"},
        {CACHE_F_IMMUTABLE, "immutable"},
        {CACHE_F_NO_TRANSFORM, "no-transform"},
        {CACHE_F_ACCEPT_RANGES_NONE, "Accept-Ranges: none"},
};

static void print_flags(unsigned flags)
{
	const char *between = "rules        ";

	for (size_t i = 0; i < sizeof(FLAGS) / sizeof(FLAGS[0]); i++) {
		if (!(flags & FLAGS[i].flag))
			continue;
		printf("%s%s", between, FLAGS[i].text);
		between = "; ";
	}
	if (between[0] == ';')
		putchar('\n');
}

static const char *how(const struct cache_meta *m)
{
	if (m->flags & CACHE_F_PURGED)
		return "ended by a soft purge";
	return m->flags & CACHE_F_HEURISTIC ? "a guess by Last-Modified (RFC 9111, 4.2.2)"
	                                    : "as the response says (RFC 9111, 4.2.1)";
}

static void print_freshness(const struct cache_meta *m, int64_t now)
{
	char date[HTTP_DATE_LEN];
	int64_t ttl = cache_ttl(m, now);

	http_date_format(m->response_time, date);
	printf("stored       %.*s\n", HTTP_DATE_LEN, date);
	printf("lifetime     %u s, %s\n", m->lifetime, how(m));
	printf("age          %u s (Age was %u", cache_age(m, now), m->age);
	if (m->flags & CACHE_F_DATE) {
		http_date_format(m->date, date);
		printf("; Date %.*s", HTTP_DATE_LEN, date);
	}
	printf(")\nttl          %" PRId64 " s, %s\n", ttl, ttl > 0 ? "fresh" : "stale");
	if (m->stale_while_revalidate != CACHE_DELTA_NONE)
		printf("stale        for %u s while it is validated\n", m->stale_while_revalidate);
	if (m->stale_if_error != CACHE_DELTA_NONE)
		printf("stale        for %u s if the origin fails\n", m->stale_if_error);
	print_flags(m->flags);
}

static void print_head(struct view head)
{
	while (head.len) {
		struct view line = view_cut(head, '\n', &head);

		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		fputs("    ", stdout);
		print_text(line);
		putchar('\n');
	}
}

/* Each as "group NAME" or "key NAME". */
static void print_tags(struct view tags, bool json)
{
	struct view rest = store_tags_first(tags), name;
	const char *between = json ? ",\"tags\":[" : "tags         ";
	enum store_tag kind;

	if (!rest.len && !json)
		return;
	fputs(between, stdout);
	for (between = ""; store_tags_next(&rest, &kind, &name); between = json ? "," : ", ") {
		const char *what = kind == STORE_TAG_GROUP ? "group " : "key ";

		fputs(between, stdout);
		if (json) {
			printf("\"%s", what);
			print_json_inside(name);
			putchar('"');
		} else {
			fputs(what, stdout);
			print_text(name);
		}
	}
	fputs(json ? "]" : "\n", stdout);
}

static void print_place(const struct store_entry *e, int uses)
{
	static const char *const queues[] = {"small", "main", "unknown"};

	printf("body         %" PRIu64 " bytes, ", e->record.length);
	if (e->blob)
		printf("in blobs/%.2s/%s, shared by %" PRIu64 "\n", e->digest, e->digest,
		       e->references);
	else
		printf("inline\n");
	printf("charge       %" PRIu64 " bytes, in the %s queue\n", e->charge,
	       queues[e->queue < 2 ? e->queue : 2]);
	if (uses >= 0)
		printf("uses         %d%s lately\n", uses, uses == 3 ? " or more" : "");
	else
		printf("uses         unknown: no daemon runs\n");
}

static int show_text(struct visit *v, const struct store_entry *e)
{
	char from[ADDR_TEXT_MAX];

	if (v->n > 1)
		putchar('\n');
	fputs("url          ", stdout);
	print_text(e->url);
	if (print_via(e).len) {
		fputs("\nvia          ", stdout);
		print_text(print_via(e));
	}
	fputs("\nkey          ", stdout);
	print_text(e->record.key);
	if (e->variant) {
		printf("\nvariant      %u, by ", e->variant);
		print_text(e->record.selecting);
	}
	putchar('\n');
	if (*print_origin(&e->record, from))
		printf("origin       %s\n", from);
	print_freshness(&e->record.meta, v->now);
	print_tags(e->record.tags, false);
	print_place(e, uses_of(v->c, e->hash));
	puts("head");
	print_head(e->record.head);
	return 0;
}

static void show_json(struct visit *v, const struct store_entry *e)
{
	const struct cache_meta *m = &e->record.meta;
	int uses = uses_of(v->c, e->hash);
	char from[ADDR_TEXT_MAX];

	print_json_entry(e, v->now);
	print_json_member("key", e->record.key);
	print_json_member("origin", view_of(print_origin(&e->record, from)));
	printf(",\"stored\":%" PRId64 ",\"heuristic\":%s,\"no_cache\":%s,\"must_revalidate\":%s",
	       m->response_time, m->flags & CACHE_F_HEURISTIC ? "true" : "false",
	       m->flags & CACHE_F_NO_CACHE ? "true" : "false",
	       m->flags & CACHE_F_MUST_REVALIDATE ? "true" : "false");
	if (m->stale_while_revalidate != CACHE_DELTA_NONE)
		printf(",\"stale_while_revalidate\":%u", m->stale_while_revalidate);
	if (m->stale_if_error != CACHE_DELTA_NONE)
		printf(",\"stale_if_error\":%u", m->stale_if_error);
	if (e->blob) {
		print_json_member("digest", view_of(e->digest));
		printf(",\"references\":%" PRIu64, e->references);
	}
	if (e->queue < 2)
		print_json_member("queue", e->queue ? V("main") : V("small"));
	if (uses >= 0)
		printf(",\"uses\":%d", uses);
	print_tags(e->record.tags, true);
	print_json_member("head", e->record.head);
	puts("}");
}

static int show_entry(struct visit *v, const struct store_entry *e)
{
	if (v->c->given & CTL_JSON)
		show_json(v, e);
	else
		show_text(v, e);
	return 0;
}

int store_show_command(const struct ctl *c)
{
	return visit(c, show_entry);
}

/* ---- cat ---- */

static int write_all(const char *p, size_t len)
{
	if (!len || fwrite(p, 1, len, stdout) == len)
		return 0;
	return ctl_fail("cannot print: %s", strerror(errno));
}

static int copy_file(int fd, uint64_t length)
{
	char *chunk = malloc(CHUNK);
	ssize_t n = 0;
	int ret = chunk ? 0 : ctl_fail("out of memory");

	while (!ret && length && (n = read(fd, chunk, CHUNK)) > 0) {
		ret = write_all(chunk, (size_t)n);
		length -= (uint64_t)n < length ? (uint64_t)n : length;
	}
	if (!ret && length)
		ret = ctl_fail("the body's file is shorter than it should be");
	free(chunk);
	return ret;
}

static int cat_entry(struct visit *v, const struct store_entry *e)
{
	struct buf body;
	int fd, ret;

	if ((v->c->given & CTL_VARIANT) && e->variant != v->c->variant)
		return 0;
	v->done = true;
	buf_init(&body, INLINE_MAX);
	ret = store_entry_body(v->s, e, &body, &fd);
	if (ret)
		ret = ctl_fail("%s: %s", v->c->operands[0],
		               ret == LARDER_ENOENT ? "removed a moment ago"
		                                    : larder_strerror(ret));
	else if (fd >= 0)
		ret = copy_file(fd, e->record.length);
	else
		ret = write_all(body.data, body.len);
	if (fd >= 0)
		close(fd);
	buf_fini(&body);
	return ret;
}

int store_cat_command(const struct ctl *c)
{
	return visit(c, cat_entry);
}
