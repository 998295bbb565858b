/* du: what each host takes. */
#include "ctl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"

#define HOSTS_MAX (1u << 22)
#define NAMES_MAX (1u << 30)

struct host {
	struct view name;
	uint64_t entries, charge, bodies;
};

struct du {
	struct host *hosts;
	size_t n, cap;
	struct arena names;
	struct host sum;
};

/* Hosts come in their order, so that one that goes on is the last. */
static struct host *host_of(struct du *d, struct view name)
{
	if (d->n && view_eq(d->hosts[d->n - 1].name, name))
		return &d->hosts[d->n - 1];
	if (d->n == HOSTS_MAX)
		return NULL;
	if (d->n == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 1024;
		struct host *hosts = reallocarray(d->hosts, cap, sizeof(*hosts));

		if (!hosts)
			return NULL;
		d->hosts = hosts;
		d->cap = cap;
	}
	name = arena_view(&d->names, name);
	if (!name.ptr)
		return NULL;
	d->hosts[d->n] = (struct host){.name = name};
	return &d->hosts[d->n++];
}

static void add(struct host *h, const struct store_entry *e)
{
	h->entries += e->responses;
	h->charge += e->charge;
	h->bodies += e->record.length;
}

static int walk(struct du *d, struct store *s)
{
	static const struct store_range all;
	struct store_list *l = store_list_new(s, &all, STORE_LIST_SUMS);
	struct store_entry e;
	int ret = l ? 0 : LARDER_ENOMEM;

	while (l && (ret = store_list_next(l, &e)) == 1) {
		struct host *h = host_of(d, e.url);

		if (!h) {
			ret = LARDER_ELIMIT;
			break;
		}
		add(h, &e);
		add(&d->sum, &e);
	}
	store_list_free(l);
	return ret;
}

/* The largest first; equal ones by name. */
static int by_charge(const void *a, const void *b)
{
	const struct host *x = a, *y = b;

	if (x->charge != y->charge)
		return x->charge < y->charge ? 1 : -1;
	return view_cmp(x->name, y->name);
}

static void print_host(const struct host *h, bool json)
{
	if (!json) {
		printf("%15" PRIu64 " %15" PRIu64 " %10" PRIu64 "  ", h->charge, h->bodies,
		       h->entries);
		print_text(h->name);
		putchar('\n');
		return;
	}
	fputs("{\"host\":", stdout);
	print_json(h->name);
	printf(",\"charge\":%" PRIu64 ",\"bodies\":%" PRIu64 ",\"entries\":%" PRIu64 "}\n",
	       h->charge, h->bodies, h->entries);
}

static int print_all(const struct ctl *c, struct du *d)
{
	bool json = c->given & CTL_JSON;

	if (d->n)
		qsort(d->hosts, d->n, sizeof(*d->hosts), by_charge);
	if (!json)
		printf("%15s %15s %10s  %s\n", "bytes", "of bodies", "entries", "host");
	for (size_t i = 0; i < d->n && (!c->count || i < c->count); i++)
		print_host(&d->hosts[i], json);
	d->sum.name = V("total");
	if (!json)
		print_host(&d->sum, false);
	return ctl_flush();
}

int store_du_command(const struct ctl *c)
{
	struct store *s = ctl_open_store(c, false);
	struct du d = {0};
	int ret;

	if (!s)
		return CTL_FAILED;
	arena_init(&d.names, 65536, NAMES_MAX);
	ret = walk(&d, s);
	store_close(s);
	ret = ret ? ctl_fail("%s: %s", c->store_dir, larder_strerror(ret)) : print_all(c, &d);
	arena_fini(&d.names);
	free(d.hosts);
	return ret;
}
