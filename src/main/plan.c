/* The plan: a configuration that was read, checked and resolved. */
#include "main/main.h"

#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

#define DEFAULT_LISTENER "forward=127.0.0.1:3128"

int main_conf_load(const struct main_args *args, struct conf **out, char **why, int *status)
{
	struct conf *c = conf_new(main_tables, main_ntables);
	int err = 0;

	*why = NULL;
	*status = EXIT_FAILURE;
	if (!c)
		return main_why(why, LARDER_ENOMEM, "out of memory");
	if (args->file)
		err = conf_read_file(c, args->file, why);
	if (err)
		goto out;
	*status = MAIN_USAGE_STATUS;
	for (size_t i = 0; i < args->nassignments && !err; i++)
		err = conf_set(c, args->assignments[i], why);
	for (size_t i = 0; i < args->nlisteners && !err; i++)
		err = conf_add_listener(c, args->listeners[i], why);
	if (!err && !args->file && !args->nlisteners)
		err = conf_add_listener(c, DEFAULT_LISTENER, why);
	if (err)
		goto out;
	if (args->file)
		*status = EXIT_FAILURE;
	err = conf_finish(c, why);
out:
	if (err) {
		conf_free(c);
		c = NULL;
	}
	*out = c;
	return err;
}

int main_address_parse(struct view text, struct view *host, uint16_t *port)
{
	size_t colon = view_rfind(text, ':');
	uint64_t n;

	if (colon == text.len || num_parse_u64(view_from(text, colon + 1), 65535, &n) || n == 0)
		return LARDER_EINVAL;
	*host = view_make(text.ptr, colon);
	*port = (uint16_t)n;
	if (host->len && host->ptr[0] == '[') {
		if (host->len < 3 || host->ptr[host->len - 1] != ']')
			return LARDER_EINVAL;
		*host = view_make(host->ptr + 1, host->len - 2);
		return view_find(*host, ':') < host->len ? 0 : LARDER_EINVAL;
	}
	if (view_find(*host, ':') < host->len || view_find(*host, '/') < host->len)
		return LARDER_EINVAL;
	return 0;
}

static int parse_kind(const struct conf_listener *cl, enum exchange_kind *kind, char **why)
{
	struct http_target target;

	if (strcmp(cl->kind, "forward") == 0) {
		*kind = EXCHANGE_FORWARD;
		if (cl->origin[0])
			return main_why(why, LARDER_EINVAL, "%s: a forward listener has no origin",
			                cl->where);
		return 0;
	}
	if (strcmp(cl->kind, "reverse") != 0)
		return main_why(why, LARDER_EINVAL,
		                "%s: \"%s\" is no kind of listener (forward, reverse)", cl->where,
		                cl->kind);
	*kind = EXCHANGE_REVERSE;
	if (!cl->origin[0])
		return main_why(why, LARDER_EINVAL,
		                "%s: a reverse listener needs its origin's URL, as in "
		                "reverse=%s,http://127.0.0.1:8000",
		                cl->where, cl->address);
	if (http_uri_parse(view_of(cl->origin), &target))
		return main_why(why, LARDER_EINVAL,
		                "%s: origin \"%s\" is not a URL like http://127.0.0.1:8000", cl->where,
		                cl->origin);
	return 0;
}

static bool holds_addr(const struct main_listener *l, const struct addr *a)
{
	for (size_t i = 0; i < l->naddrs; i++) {
		if (l->addrs[i].len == a->len && memcmp(&l->addrs[i].sa, &a->sa, a->len) == 0)
			return true;
	}
	return false;
}

static int add_addr(struct main_listener *l, const struct addr *a)
{
	if (holds_addr(l, a))
		return 0;
	if (l->naddrs >= MAIN_ADDRS_MAX)
		return LARDER_ELIMIT;
	l->addrs[l->naddrs++] = *a;
	return 0;
}

static int resolve(struct main_listener *l, const struct conf_listener *cl, struct view host,
                   uint16_t port, char **why)
{
	static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	struct addr a, two[2];
	char *name;
	int err = 0, gai;

	name = view_dup(host);
	if (!name)
		return LARDER_ENOMEM;
	gai = getaddrinfo(name, NULL, &hints, &found);
	if (gai && addr_is_localhost(host)) {
		/* Hosts without a hosts file. ::1 may be missing there as well: who wants it can name it. */
		addr_localhost(port, two);
		err = add_addr(l, &two[0]);
		goto out;
	}
	if (gai) {
		err = main_why(why, LARDER_ERESOLVE, "%s: cannot resolve \"%s\": %s", cl->where, name,
		               gai_strerror(gai));
		goto out;
	}
	for (struct addrinfo *ai = found; ai && !err; ai = ai->ai_next) {
		if (!addr_from_sa(ai->ai_addr, ai->ai_addrlen, &a))
			continue;
		addr_set_port(&a, port);
		err = add_addr(l, &a);
	}
	if (!err && !l->naddrs)
		err = main_why(why, LARDER_ERESOLVE, "%s: \"%s\" has no address", cl->where, name);
out:
	if (found)
		freeaddrinfo(found);
	free(name);
	return err;
}

static int find_addrs(struct main_listener *l, const struct conf_listener *cl, char **why)
{
	struct view host;
	uint16_t port;
	struct addr a;

	if (main_address_parse(view_of(cl->address), &host, &port))
		return main_why(why, LARDER_EINVAL,
		                "%s: \"%s\" is not an address like 127.0.0.1:3128, [::1]:3128, "
		                "localhost:3128 or :3128",
		                cl->where, cl->address);
	l->addrs = calloc(MAIN_ADDRS_MAX, sizeof(*l->addrs));
	if (!l->addrs)
		return LARDER_ENOMEM;
	if (addr_parse_ip(host.len ? host : V("::"), port, &a) == 0)
		return add_addr(l, &a);
	return resolve(l, cl, host, port, why);
}

static int check_policy(struct main_listener *l, char **why)
{
	struct exchange_listener xl;
	int err = main_exchange_listener(l, &xl, why);

	if (!err)
		main_exchange_listener_fini(&xl);
	return err;
}

static int plan_listener(struct main_plan *p, size_t i, char **why)
{
	struct main_listener *l = &p->listeners[i];
	struct conf_listener cl;
	int err;

	conf_listener(p->conf, i, &cl);
	l->origin = cl.origin;
	l->where = cl.where;
	l->access = conf_listener_options(p->conf, i, "access");
	l->cache = conf_listener_options(p->conf, i, "cache");
	l->options = conf_listener_options(p->conf, i, "listener");
	err = parse_kind(&cl, &l->kind, why);
	if (err)
		return err;
	if (asprintf(&l->name, "%s=%s", cl.kind, cl.address) < 0) {
		l->name = NULL;
		return LARDER_ENOMEM;
	}
	err = find_addrs(l, &cl, why);
	if (err)
		return err;
	for (size_t j = 0; j < i; j++) {
		for (size_t k = 0; k < l->naddrs; k++) {
			if (holds_addr(&p->listeners[j], &l->addrs[k]))
				return main_why(why, LARDER_EINVAL,
				                "%s: %s has the address of %s already", cl.where,
				                l->name, p->listeners[j].name);
		}
	}
	return check_policy(l, why);
}

static unsigned cores(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n > 0 ? (unsigned)n : 1;
}

static int plan_paths(struct main_plan *p, char **why)
{
	bool root = geteuid() == 0;
	int err;

	p->store_dir = main_store_dir(p->main, root, &err);
	if (err == LARDER_EINVAL)
		return main_why(why, err, "no place for the store is known: set HOME, or give -s DIR");
	if (err)
		return err;
	p->control = main_control_path(p->main, p->store_dir, root);
	return 0;
}

static int plan_fill(struct main_plan *p, char **why)
{
	size_t n = conf_listeners(p->conf);
	int err;

	p->main = conf_global(p->conf, "main");
	p->log = conf_global(p->conf, "log");
	p->client = conf_global(p->conf, "client");
	p->exchange = conf_global(p->conf, "exchange");
	p->store = conf_global(p->conf, "store");
	p->origin = conf_global(p->conf, "origin");
	p->workers = p->main->workers ? (unsigned)p->main->workers : cores();
	if (!n)
		return main_why(why, LARDER_EINVAL,
		                "no listener is configured: add listen \"127.0.0.1:3128\" { kind = "
		                "forward }, or -l forward=127.0.0.1:3128");
	if (n > MAIN_LISTENERS_MAX)
		return main_why(why, LARDER_ELIMIT, "more than %d listeners", MAIN_LISTENERS_MAX);
	p->listeners = calloc(n, sizeof(*p->listeners));
	if (!p->listeners)
		return LARDER_ENOMEM;
	err = log_check(p->log, why);
	if (!err)
		err = plan_paths(p, why);
	for (size_t i = 0; i < n && !err; i++) {
		p->nlisteners = i + 1;
		err = plan_listener(p, i, why);
	}
	return err;
}

int main_plan_load(const struct main_args *args, struct main_plan **out, char **why, int *status)
{
	struct main_plan *p = calloc(1, sizeof(*p));
	int err;

	*out = NULL;
	*why = NULL;
	*status = EXIT_FAILURE;
	if (!p)
		return main_why(why, LARDER_ENOMEM, "out of memory");
	err = main_conf_load(args, &p->conf, why, status);
	if (!err)
		err = plan_fill(p, why);
	if (err) {
		if (!*why)
			main_why(why, err, "%s", larder_strerror(err));
		main_plan_free(p);
		return err;
	}
	*out = p;
	return 0;
}

void main_plan_free(struct main_plan *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->nlisteners; i++) {
		free(p->listeners[i].name);
		free(p->listeners[i].addrs);
	}
	free(p->listeners);
	free(p->store_dir);
	free(p->control);
	conf_free(p->conf);
	free(p);
}

int main_plan_find(const struct main_plan *p, const struct addr *a)
{
	for (size_t i = 0; i < p->nlisteners; i++) {
		if (holds_addr(&p->listeners[i], a))
			return (int)i;
	}
	return -1;
}

/* "auto" stands for the fields that are for caches in front of an origin (RFC 9213 §3.1), those for larder first. */
static int set_targets(const struct main_listener *l, struct exchange_listener *out, char **why)
{
	static char larders[] = "Larder-Cache-Control", cdns[] = "CDN-Cache-Control", *both[] = {larders, cdns};
	struct option_list *list = &out->cache.targeted_fields;

	if (list->n == 1 && strcmp(list->items[0], "auto") == 0)
		*list = (struct option_list){both, l->kind == EXCHANGE_REVERSE ? ARRAY_LEN(both) : 0};
	for (size_t i = 0; i < list->n; i++) {
		if (!http_is_token(view_of(list->items[i])))
			return main_why(why, LARDER_EINVAL, "%s: targeted_fields: \"%s\" is no field name",
			                l->where, list->items[i]);
	}
	return 0;
}

int main_exchange_listener(const struct main_listener *l, struct exchange_listener *out, char **why)
{
	char *detail = NULL;
	int err;

	*out = (struct exchange_listener){
		.kind = l->kind,
		.name = view_of(l->name),
		.cache = *l->cache,
		.options = *l->options,
	};
	err = set_targets(l, out, why);
	if (err)
		return err;
	if (l->kind == EXCHANGE_REVERSE) {
		err = http_uri_parse(view_of(l->origin), &out->origin);
		if (err)
			return main_why(why, err, "%s: unusable origin \"%s\"", l->where, l->origin);
	}
	err = access_new(l->access, l->kind == EXCHANGE_FORWARD, &out->access, &detail);
	if (err)
		main_why(why, err, "%s: %s", l->where, detail ? detail : larder_strerror(err));
	free(detail);
	return err;
}

void main_exchange_listener_fini(struct exchange_listener *l)
{
	access_free(l->access);
	l->access = NULL;
}

int main_key_text(const struct exchange_listener *l, struct view url, struct buf *out)
{
	static const struct exchange_listener forward = {.kind = EXCHANGE_FORWARD};
	struct http_target target;
	int err = http_uri_parse(url, &target);

	return err ? err : exchange_key_text(l ? l : &forward, &target, out);
}
