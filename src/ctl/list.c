/* ls: what is stored, a line each. */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"

static void print_long(const struct store_entry *e)
{
	char date[HTTP_DATE_LEN], from[ADDR_TEXT_MAX];

	http_date_format(e->record.meta.response_time, date);
	printf("    stored %.*s, lifetime %u, charge %" PRIu64, HTTP_DATE_LEN, date,
	       e->record.meta.lifetime, e->charge);
	if (*print_origin(&e->record, from))
		printf(", from %s", from);
	if (e->record.etag.len) {
		fputs(", etag ", stdout);
		print_text(e->record.etag);
	}
	putchar('\n');
}

static void print_line(const struct store_entry *e, int64_t now)
{
	const struct cache_meta *m = &e->record.meta;

	print_text(e->url);
	if (print_via(e).len) {
		fputs(" via ", stdout);
		print_text(print_via(e));
	}
	if (e->variant) {
		printf(" [%u: ", e->variant);
		print_text(e->record.selecting);
		putchar(']');
	}
	printf(" %u %" PRIu64 " %u/%" PRId64 " ", m->status, e->record.length, cache_age(m, now),
	       cache_ttl(m, now));
	if (e->part)
		printf("part:%" PRIu64 "\n", e->present);
	else
		puts(e->blob ? "blob" : "inline");
}

static void print_object(const struct store_entry *e, int64_t now)
{
	char from[ADDR_TEXT_MAX];

	print_json_entry(e, now);
	print_json_member("origin", view_of(print_origin(&e->record, from)));
	print_json_member("etag", e->record.etag);
	puts("}");
}

static int list(const struct ctl *c, struct store *s, const struct store_range *range)
{
	struct store_list *l = store_list_new(s, range, STORE_LIST_RESPONSES);
	int64_t now = clock_wall_s();
	struct store_entry e;
	uint64_t n = 0;
	int ret = l ? 0 : LARDER_ENOMEM;

	while (l && (ret = store_list_next(l, &e)) == 1 && !ferror(stdout)) {
		n++;
		if (c->given & CTL_JSON) {
			print_object(&e, now);
			continue;
		}
		print_line(&e, now);
		if (c->given & CTL_LONG)
			print_long(&e);
	}
	store_list_free(l);
	if (ret < 0)
		return ctl_fail("%s: %s", c->store_dir, larder_strerror(ret));
	ret = ctl_flush();
	if (ret || n || !c->noperands)
		return ret;
	ctl_fail("nothing is stored for %s", c->operands[0]);
	return CTL_FINDINGS;
}

int store_list_command(const struct ctl *c)
{
	struct main_range r = {0};
	struct store *s;
	int ret = 0;

	if (c->noperands) {
		ret = main_range_any(&r, view_of(c->operands[0]));
		if (ret) {
			main_range_fini(&r);
			return ctl_fail(
			        "\"%s\" is neither a URL like http://example.com/path nor a "
			        "host like example.com or *.example.com",
			        c->operands[0]);
		}
	}
	s = ctl_open_store(c, false);
	ret = s ? list(c, s, &r.range) : CTL_FAILED;
	store_close(s);
	main_range_fini(&r);
	return ret;
}
