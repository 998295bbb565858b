/* purge: through the keeper, or without a daemon by the same functions of the store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/error.h"
#include "ctl.h"

#define KEY_TEXT_MAX 65536
#define ANSWER_MAX   4096
#define AGAIN_MAX    8 /* times that a purge is begun anew because its keeper was replaced */

static const char *verb(const struct ctl *c)
{
	bool dry = c->given & CTL_DRY_RUN;

	if (c->given & CTL_SOFT)
		return dry ? "would mark stale" : "marked stale";
	return dry ? "would purge" : "purged";
}

static void print_json_end(const struct ctl *c, const struct store_purged *n)
{
	printf("\"responses\":%" PRIu64 "%s,\"dry_run\":%s}\n", n->responses,
	       c->given & CTL_SOFT ? ",\"soft\":true" : "", c->given & CTL_DRY_RUN ? "true" : "false");
}

/* ---- URLs ---- */

static void print_url(const struct ctl *c, struct view url, const struct store_purged *n)
{
	if (c->given & CTL_JSON) {
		fputs("{\"url\":", stdout);
		print_json(url);
		putchar(',');
		print_json_end(c, n);
		return;
	}
	printf("%s ", n->responses ? verb(c) : "not stored");
	print_text(url);
	putchar('\n');
}

static int print_answer(const struct ctl *c, struct view answer)
{
	while (answer.len) {
		struct view line = view_cut(answer, '\n', &answer);
		struct store_purged n = {0};

		if (ctl_take_number(&line, &n.responses))
			return ctl_fail("the daemon's answer makes no sense");
		print_url(c, line, &n);
	}
	return ctl_flush();
}

/* CTL_OK, … or LARDER_ECONNECT. */
static int urls_online(const struct ctl *c)
{
	struct buf request, answer;
	int ret;

	buf_init(&request, ADMIN_REQUEST_MAX - 1);
	buf_init(&answer, ADMIN_ANSWER_MAX);
	buf_printf(&request, "purge%s", c->given & CTL_SOFT ? " soft" : "");
	for (size_t i = 0; i < c->noperands; i++)
		buf_printf(&request, " %s", c->operands[i]);
	ret = buf_cstr(&request) ? ctl_ask(c, request.data, &answer) : ctl_fail("too many URLs at once");
	if (!ret)
		ret = print_answer(c, buf_view(&answer));
	buf_fini(&request);
	buf_fini(&answer);
	return ret;
}

static int key_offline(const struct ctl *c, struct store *s, struct view text, struct store_purged *sum)
{
	struct store_purged n;
	struct store_key key;
	int err;

	store_key_init(s, text, &key);
	if (c->given & CTL_DRY_RUN)
		err = store_purge_key_count(s, &key, &n);
	else
		err = store_purge_key_now(s, &key, c->given & CTL_SOFT, &n);
	sum->responses += n.responses;
	return err;
}

/* Under the keys of all listeners. */
static int url_offline(const struct ctl *c, struct store *s, const struct main_plan *plan, struct view url)
{
	struct store_purged sum = {0};
	struct buf plain, text;
	int err;

	buf_init(&plain, KEY_TEXT_MAX);
	buf_init(&text, KEY_TEXT_MAX);
	err = main_key_text(NULL, url, &plain);
	if (!err)
		err = key_offline(c, s, buf_view(&plain), &sum);
	for (size_t i = 0; i < plan->nlisteners && !err; i++) {
		struct exchange_listener l;
		char *why = NULL;

		err = main_exchange_listener(&plan->listeners[i], &l, &why);
		free(why);
		if (err)
			break;
		buf_reset(&text);
		err = main_key_text(&l, url, &text);
		if (!err && !view_eq(buf_view(&text), buf_view(&plain)))
			err = key_offline(c, s, buf_view(&text), &sum);
		main_exchange_listener_fini(&l);
	}
	buf_fini(&text);
	buf_fini(&plain);
	if (!err)
		print_url(c, url, &sum);
	return err;
}

static int urls_offline(const struct ctl *c)
{
	struct main_plan *plan = NULL;
	struct store *s;
	char *why = NULL;
	int err = 0, ignored;

	if (main_plan_load(&c->args, &plan, &why, &ignored)) {
		ctl_fail("%s", why ? why : "out of memory");
		free(why);
		return CTL_FAILED;
	}
	s = ctl_open_store(c, !(c->given & CTL_DRY_RUN));
	for (size_t i = 0; s && i < c->noperands && !err; i++)
		err = url_offline(c, s, plan, view_of(c->operands[i]));
	main_plan_free(plan);
	if (!s)
		return CTL_FAILED;
	store_close(s);
	return err ? ctl_fail("cannot purge: %s", larder_strerror(err)) : ctl_flush();
}

static int purge_urls(const struct ctl *c)
{
	struct http_target target;
	int ret;

	for (size_t i = 0; i < c->noperands; i++) {
		if (strpbrk(c->operands[i], " \r\n") || http_uri_parse(view_of(c->operands[i]), &target))
			return ctl_fail("\"%s\" is not a URL like http://example.com/path", c->operands[i]);
	}
	ret = c->given & CTL_DRY_RUN ? LARDER_ECONNECT : urls_online(c);
	return ret == LARDER_ECONNECT ? urls_offline(c) : ret;
}

/* ---- Many ---- */

static void show_progress(void *arg, const struct store_purged *n)
{
	(void)arg;
	if (isatty(STDERR_FILENO) == 1)
		fprintf(stderr, "\r%" PRIu64 " responses ", n->responses);
}

static int print_many(const struct ctl *c, const struct store_purged *n)
{
	if (isatty(STDERR_FILENO) == 1)
		fputc('\r', stderr);
	/* A tag says nothing about URLs. */
	if (c->given & CTL_JSON) {
		putchar('{');
		if (!c->tag)
			printf("\"urls\":%" PRIu64 ",", n->urls);
		print_json_end(c, n);
	} else if (c->tag) {
		printf("%s %" PRIu64 " responses\n", verb(c), n->responses);
	} else {
		printf("%s %" PRIu64 " URLs, %" PRIu64 " responses\n", verb(c), n->urls, n->responses);
	}
	return ctl_flush();
}

static int many_offline(const struct ctl *c, const struct store_purge *what)
{
	bool dry = c->given & CTL_DRY_RUN;
	struct store *s = ctl_open_store(c, !dry);
	struct store_purged n = {0};
	int err;

	if (!s)
		return CTL_FAILED;
	err = dry ? store_purge_count(s, what, &n) : store_purge_now(s, what, &n, show_progress, NULL);
	store_close(s);
	if (err == LARDER_ELIMIT)
		return ctl_fail("cannot purge: the pattern takes too long to match");
	return err ? ctl_fail("cannot purge: %s", larder_strerror(err)) : print_many(c, &n);
}

/* One call. CTL_OK with *more, the number to wait for (empty at the end, "gone" if it is unknown), or as ctl_ask. */
static int call(const struct ctl *c, const char *request, struct buf *more, struct store_purged *n)
{
	struct store_purged now;
	struct buf answer;
	struct view rest;
	int ret;

	buf_init(&answer, ANSWER_MAX);
	buf_reset(more);
	ret = ctl_ask(c, request, &answer);
	rest = ret ? V("") : ctl_line(&answer);
	if (!ret && view_eq(rest, V("gone"))) {
		buf_addv(more, rest);
	} else if (!ret) {
		if (ctl_take_number(&rest, &now.urls) || ctl_take_number(&rest, &now.responses))
			ret = ctl_fail("the daemon's answer makes no sense");
		else
			*n = now;
		buf_addv(more, rest);
	}
	buf_fini(&answer);
	return ret;
}

static int many_online(const struct ctl *c, const char *begin, struct store_purged *sum)
{
	struct store_purged n = {0};
	struct buf more, wait;
	unsigned begun = 1;
	int ret;

	buf_init(&more, ANSWER_MAX);
	buf_init(&wait, ANSWER_MAX);
	ret = call(c, begin, &more, &n);
	while (!ret && more.len) {
		bool gone = view_eq(buf_view(&more), V("gone"));

		show_progress(NULL, &n);
		buf_reset(&wait);
		buf_printf(&wait, "purge-wait %.*s", VFMT(buf_view(&more)));
		if (gone && begun++ == AGAIN_MAX)
			ret = ctl_fail("the daemon is always reloaded before the purge is done");
		if (gone) {
			/* What the keeper before removed is removed. */
			sum->urls += n.urls;
			sum->responses += n.responses;
			n = (struct store_purged){0};
		}
		if (!ret)
			ret = call(c, gone ? begin : buf_cstr(&wait), &more, &n);
		if (ret == LARDER_ECONNECT)
			ret = ctl_fail("the daemon is gone; %" PRIu64 " responses were purged",
			               sum->responses + n.responses);
	}
	sum->urls += n.urls;
	sum->responses += n.responses;
	buf_fini(&more);
	buf_fini(&wait);
	return ret;
}

static int purge_many(const struct ctl *c, const char *kind, const char *text)
{
	struct store_purged n = {0};
	struct main_purge p;
	struct buf request;
	char *why;
	int ret = main_purge_parse(&p, view_of(kind), view_of(text), c->given & CTL_SOFT, &why);

	if (ret) {
		ret = ctl_fail("%s", why ? why : larder_strerror(ret));
	} else if (c->given & CTL_DRY_RUN) {
		ret = many_offline(c, &p.what);
	} else {
		buf_init(&request, ADMIN_REQUEST_MAX - 1);
		buf_printf(&request, "purge-many %s %s %s", kind,
		           c->given & CTL_SOFT ? "soft" : "hard", text);
		ret = buf_cstr(&request) ? many_online(c, request.data, &n)
		                         : ctl_fail("out of memory");
		buf_fini(&request);
		if (!ret)
			ret = print_many(c, &n);
		else if (ret == LARDER_ECONNECT)
			ret = many_offline(c, &p.what);
	}
	free(why);
	main_purge_fini(&p);
	return ret;
}

int store_purge_command(const struct ctl *c)
{
	const struct {
		const char *text, *kind, *name;
	} many[] = {
		{c->prefix, "url", "URL"},
		{c->host, "host", "host"},
		{c->tag, "tag", "tag"},
		{c->regex, "pattern", "pattern"},
	};
	size_t given = 0, which = 0;

	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		given += many[i].text != NULL;
		which = many[i].text ? i : which;
	}
	if (!given && c->noperands)
		return purge_urls(c);
	if (given != 1 || c->noperands)
		return ctl_fail("purge: needs URLs, or one of --prefix PREFIX, --host HOST, --tag TAG and "
		                "--regex PATTERN");
	if (strpbrk(many[which].text, "\r\n") || (which < 2 && strchr(many[which].text, ' ')))
		return ctl_fail("\"%s\" is not a %s", many[which].text, many[which].name);
	return purge_many(c, many[which].kind, many[which].text);
}
