/* purge by prefix or host, and trim: through the keeper, or without a daemon in the same steps. */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/num.h"

#define STEP       500 /* responses removed in one transaction, but for one URL's variants */
#define ANSWER_MAX 4096

struct removed {
	uint64_t urls, responses;
};

static void show_progress(const struct removed *n)
{
	if (isatty(STDERR_FILENO) == 1)
		fprintf(stderr, "\r%" PRIu64 " URLs ", n->urls);
}

static int print_removed(const struct ctl *c, const struct removed *n)
{
	bool dry = c->given & CTL_DRY_RUN;

	if (isatty(STDERR_FILENO) == 1)
		fputc('\r', stderr);
	if (c->given & CTL_JSON)
		printf("{\"urls\":%" PRIu64 ",\"responses\":%" PRIu64 ",\"dry_run\":%s}\n", n->urls,
		       n->responses, dry ? "true" : "false");
	else
		printf("%s %" PRIu64 " URLs, %" PRIu64 " responses\n",
		       dry ? "would purge" : "purged", n->urls, n->responses);
	return ctl_flush();
}

/* ---- Without a daemon, and what is only counted ---- */

static int count(struct store_list *l, struct removed *n)
{
	struct store_entry e;
	int ret;

	while ((ret = store_list_next(l, &e)) == 1) {
		n->urls++;
		n->responses += e.responses;
	}
	return ret;
}

static int remove_all(struct store *s, const struct hash128 *keys, size_t n)
{
	while (n) {
		int64_t done = store_remove_some(s, keys, n);

		if (done < 0)
			return (int)done;
		keys += done;
		n -= (size_t)done;
	}
	return 0;
}

static int remove_listed(struct store *s, struct store_list *l, struct removed *sum)
{
	struct hash128 keys[STEP];
	struct store_entry e;
	int ret = 1, err;

	while (ret == 1) {
		size_t n = 0;

		for (uint64_t from = sum->responses; n < STEP && sum->responses - from < STEP;) {
			ret = store_list_next(l, &e);
			if (ret != 1)
				break;
			keys[n++] = e.hash;
			sum->urls++;
			sum->responses += e.responses;
		}
		err = ret < 0 ? ret : remove_all(s, keys, n);
		if (err)
			return err;
		show_progress(sum);
	}
	return (int)store_remove_some(s, NULL, 0);
}

static int purge_offline(const struct ctl *c, const struct store_range *range)
{
	bool dry = c->given & CTL_DRY_RUN;
	struct store *s = ctl_open_store(c, !dry);
	struct removed n = {0};
	struct store_list *l;
	int err = LARDER_ENOMEM;

	if (!s)
		return CTL_FAILED;
	l = store_list_new(s, range, STORE_LIST_KEYS);
	if (l)
		err = dry ? count(l, &n) : remove_listed(s, l, &n);
	store_list_free(l);
	store_close(s);
	return err ? ctl_fail("cannot purge: %s", larder_strerror(err)) : print_removed(c, &n);
}

/* ---- Through the keeper ---- */

/* Takes a number off the front of the answer. */
static int take_number(struct view *rest, uint64_t *n)
{
	struct view text = view_cut(*rest, ' ', rest);

	return num_parse_u64(text, UINT64_MAX, n);
}

/* The answer's line, without its end. */
static struct view line_of(const struct buf *answer)
{
	return view_make(answer->data, view_find(buf_view(answer), '\n'));
}

/* One call. CTL_OK with the place to go on from in *place (empty at the end), or as ctl_ask. */
static int purge_call(const struct ctl *c, const char *kind, const char *text, struct buf *place,
                      struct removed *sum)
{
	struct buf request, answer;
	struct view rest;
	uint64_t urls, responses;
	int ret;

	buf_init(&request, 65536);
	buf_init(&answer, ANSWER_MAX);
	buf_printf(&request, "purge-range %s %s", kind, text);
	if (place->len)
		buf_printf(&request, " %.*s", VFMT(buf_view(place)));
	ret = buf_cstr(&request) ? ctl_ask(c, request.data, &answer)
	                         : ctl_fail("the URL is too long");
	if (ret)
		goto out;
	rest = line_of(&answer);
	if (take_number(&rest, &urls) || take_number(&rest, &responses)) {
		ret = ctl_fail("the daemon's answer makes no sense");
		goto out;
	}
	sum->urls += urls;
	sum->responses += responses;
	buf_reset(place);
	buf_addv(place, rest);
out:
	buf_fini(&request);
	buf_fini(&answer);
	return ret;
}

static int purge_online(const struct ctl *c, const char *kind, const char *text)
{
	struct removed sum = {0};
	struct buf place;
	bool first = true;
	int ret;

	buf_init(&place, ANSWER_MAX);
	do {
		ret = purge_call(c, kind, text, &place, &sum);
		if (ret == LARDER_ECONNECT && !first)
			ret = ctl_fail("the daemon is gone; %" PRIu64 " URLs were purged",
			               sum.urls);
		first = false;
		if (!ret)
			show_progress(&sum);
	} while (!ret && place.len);
	buf_fini(&place);
	return ret ? ret : print_removed(c, &sum);
}

int store_purge_range_command(const struct ctl *c)
{
	const char *text = c->prefix ? c->prefix : c->host;
	struct main_range r;
	int ret = c->prefix ? main_range_url(&r, view_of(text), false)
	                    : main_range_host(&r, view_of(text));

	if (ret && c->prefix)
		ret = ctl_fail("\"%s\" is not the beginning of a URL like http://example.com/dir/",
		               text);
	else if (ret)
		ret = ctl_fail("\"%s\" is not a host like example.com or *.example.com", text);
	else if (c->given & CTL_DRY_RUN)
		ret = purge_offline(c, &r.range);
	else
		ret = purge_online(c, c->prefix ? "url" : "host", text);
	if (ret == LARDER_ECONNECT)
		ret = purge_offline(c, &r.range);
	main_range_fini(&r);
	return ret;
}

/* ---- trim ---- */

static int print_trimmed(const struct ctl *c, uint64_t before, uint64_t after)
{
	if (c->given & CTL_JSON)
		printf("{\"before\":%" PRIu64 ",\"after\":%" PRIu64 "}\n", before, after);
	else
		printf("the index took %" PRIu64 " bytes, now %" PRIu64 "\n", before, after);
	return ctl_flush();
}

/* CTL_OK with *more, or as ctl_ask. */
static int trim_call(const struct ctl *c, uint64_t *before, uint64_t *after, bool *more)
{
	struct buf answer;
	struct view rest;
	int ret;

	buf_init(&answer, ANSWER_MAX);
	ret = ctl_ask(c, "trim", &answer);
	if (!ret) {
		rest = line_of(&answer);
		if (take_number(&rest, before) || take_number(&rest, after))
			ret = ctl_fail("the daemon's answer makes no sense");
		*more = rest.len > 0;
	}
	buf_fini(&answer);
	return ret;
}

static int trim_offline(const struct ctl *c)
{
	struct store *s = ctl_open_store(c, true);
	struct store_usage before, after;
	int err;

	if (!s)
		return CTL_FAILED;
	err = store_usage(s, &before);
	while (!err && (err = store_trim_now(s)) == STORE_TRIM_MORE)
		err = 0;
	if (!err)
		err = store_usage(s, &after);
	store_close(s);
	if (err)
		return ctl_fail("cannot trim: %s", larder_strerror(err));
	return print_trimmed(c, before.index_bytes, after.index_bytes);
}

int store_trim_command(const struct ctl *c)
{
	uint64_t first, before, after;
	bool more = false;
	int ret = trim_call(c, &first, &after, &more);

	if (ret == LARDER_ECONNECT)
		return trim_offline(c);
	/* Traffic may free pages as fast as they are given back: done when nothing is gained. */
	for (before = UINT64_MAX; !ret && more && after < before;)
		ret = trim_call(c, &before, &after, &more);
	return ret ? (ret < 0 ? ctl_fail("the daemon is gone") : ret)
	           : print_trimmed(c, first, after);
}
