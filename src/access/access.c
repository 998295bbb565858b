#include "access-private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

#define ACCESS_MAGIC 0x61636365U
#define MAX_ITEMS    65536 /* of one option */

struct prefixes {
	struct addr_prefix *v;
	size_t n;
	bool given; /* anything was written */
	bool all;
};

struct range {
	uint16_t first, last;
};

struct ports {
	struct range *v;
	size_t n;
	bool all;
};

struct access {
	uint32_t magic;
	bool forward, reach_local, reach_private;
	struct prefixes allow, deny, purge;
	struct ports connect, http;
};

/* Walks the words of a list option, whose items may hold several each. */
struct words {
	const struct option_list *list;
	size_t next;
	struct view rest;
};

static bool separates(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

static bool word_next(struct words *w, struct view *word)
{
	for (;;) {
		size_t len = 0;

		while (w->rest.len && separates(w->rest.ptr[0]))
			w->rest = view_from(w->rest, 1);
		while (len < w->rest.len && !separates(w->rest.ptr[len]))
			len++;
		if (len) {
			*word = view_make(w->rest.ptr, len);
			w->rest = view_from(w->rest, len);
			return true;
		}
		if (w->next == w->list->n)
			return false;
		w->rest = view_of(w->list->items[w->next++]);
	}
}

static size_t word_count(const struct option_list *list)
{
	struct words w = {.list = list};
	struct view word;
	size_t n = 0;

	while (n <= MAX_ITEMS && word_next(&w, &word))
		n++;
	return n;
}

static int refuse_word(const char *option, struct view word, const char *expected, char **why)
{
	if (asprintf(why, "%s: \"%.*s\" is not %s", option, VFMT(word), expected) < 0) {
		*why = NULL;
		return LARDER_ENOMEM;
	}
	return LARDER_EINVAL;
}

/* Room for all words of the option. */
static int make_room(const char *option, const struct option_list *list, size_t size, void **out,
                     char **why)
{
	size_t n = word_count(list);

	if (n > MAX_ITEMS)
		return refuse_word(option, view_of(list->items[0]),
		                   "the start of at most 65536 items", why);
	*out = calloc(n ? n : 1, size);
	return *out ? 0 : LARDER_ENOMEM;
}

static int compile_prefixes(const char *option, const struct option_list *list,
                            struct prefixes *out, char **why)
{
	struct words w = {.list = list};
	struct view word;
	void *room;
	int err;

	err = make_room(option, list, sizeof(*out->v), &room, why);
	if (err)
		return err;
	out->v = room;
	while (word_next(&w, &word)) {
		out->given = true;
		if (view_eq(word, V("all")))
			out->all = true;
		else if (addr_prefix_parse(word, &out->v[out->n]) == 0)
			out->n++;
		else
			return refuse_word(
			        option, word,
			        "an address (10.0.0.1, ::1), a prefix without bits beyond "
			        "its length (10.0.0.0/8, fe80::/10) or all",
			        why);
	}
	return 0;
}

static bool parse_range(struct view word, struct range *out)
{
	struct view to, from = view_cut(word, '-', &to);
	uint64_t first, last;

	if (num_parse_u64(from, 65535, &first) || first == 0)
		return false;
	last = first;
	if (to.ptr && num_parse_u64(to, 65535, &last))
		return false;
	*out = (struct range){(uint16_t)first, (uint16_t)last};
	return first <= last;
}

static int compile_ports(const char *option, const struct option_list *list, struct ports *out,
                         char **why)
{
	struct words w = {.list = list};
	struct view word;
	void *room;
	int err;

	err = make_room(option, list, sizeof(*out->v), &room, why);
	if (err)
		return err;
	out->v = room;
	while (word_next(&w, &word)) {
		if (view_eq(word, V("all")))
			out->all = true;
		else if (parse_range(word, &out->v[out->n]))
			out->n++;
		else
			return refuse_word(option, word,
			                   "a port from 1 to 65535, a range (8000-8100) or all",
			                   why);
	}
	return 0;
}

static int compile(struct access *a, const struct access_options *o, char **why)
{
	int err;

	err = compile_prefixes("allow", &o->allow, &a->allow, why);
	if (!err)
		err = compile_prefixes("deny", &o->deny, &a->deny, why);
	if (!err)
		err = compile_prefixes("purge_from", &o->purge_from, &a->purge, why);
	if (!err)
		err = compile_ports("connect_ports", &o->connect_ports, &a->connect, why);
	if (!err)
		err = compile_ports("http_ports", &o->http_ports, &a->http, why);
	/* Without the list this machine's own addresses would pass for somebody else's. */
	if (!err && a->forward && !access_interface_known())
		err = access_interfaces_refresh();
	return err;
}

int access_new(const struct access_options *o, bool forward, struct access **out, char **why)
{
	struct access *a = calloc(1, sizeof(*a));
	int err;

	*out = NULL;
	*why = NULL;
	if (!a)
		return LARDER_ENOMEM;
	a->magic = ACCESS_MAGIC;
	a->forward = forward;
	a->reach_local = o->reach_local;
	a->reach_private = o->reach_private;
	err = compile(a, o, why);
	if (err) {
		access_free(a);
		return err;
	}
	*out = a;
	return 0;
}

void access_free(struct access *a)
{
	if (!a)
		return;
	check_magic(a, ACCESS_MAGIC);
	free(a->allow.v);
	free(a->deny.v);
	free(a->purge.v);
	free(a->connect.v);
	free(a->http.v);
	a->magic = 0;
	free(a);
}

static int refuse(struct access_refusal *why, const char *option, const char *text)
{
	*why = (struct access_refusal){option, text};
	return LARDER_EREFUSED;
}

/* Only the real thing: an IPv6 address that carries 127.0.0.1 is somebody on the network. */
static bool is_loopback(const struct addr *a)
{
	static const struct addr_prefix v4 = {{[10] = 0xff, [11] = 0xff, [12] = 127}, 104};
	static const struct addr_prefix v6 = {{[15] = 1}, 128};

	return addr_prefix_match(&v4, a) || addr_prefix_match(&v6, a);
}

static bool prefixes_match(const struct prefixes *p, const struct addr *a)
{
	for (size_t i = 0; i < p->n; i++) {
		if (addr_prefix_match(&p->v[i], a))
			return true;
	}
	return p->all;
}

int access_client(const struct access *a, const struct addr *client, struct access_refusal *why)
{
	check_magic(a, ACCESS_MAGIC);
	if (prefixes_match(&a->deny, client))
		return refuse(why, "deny", "The option deny excludes this client's address.");
	if (a->allow.given)
		return prefixes_match(&a->allow, client)
		               ? 0
		               : refuse(why, "allow",
		                        "The option allow does not name this client's address.");
	if (a->forward && !is_loopback(client))
		return refuse(why, "allow",
		              "Without the option allow, a forward listener serves only clients on "
		              "the same machine.");
	return 0;
}

bool access_purges(const struct access *a)
{
	check_magic(a, ACCESS_MAGIC);
	return a->purge.given;
}

int access_purge(const struct access *a, const struct addr *client, struct access_refusal *why)
{
	check_magic(a, ACCESS_MAGIC);
	if (prefixes_match(&a->purge, client))
		return 0;
	return refuse(why, "purge_from", "The option purge_from does not name this client's address.");
}

static bool ports_match(const struct ports *p, uint16_t port)
{
	for (size_t i = 0; i < p->n; i++) {
		if (port >= p->v[i].first && port <= p->v[i].last)
			return true;
	}
	return p->all && port != 0;
}

int access_port(const struct access *a, bool tunnel, uint16_t port, struct access_refusal *why)
{
	check_magic(a, ACCESS_MAGIC);
	if (!a->forward || ports_match(tunnel ? &a->connect : &a->http, port))
		return 0;
	if (tunnel)
		return refuse(
		        why, "connect_ports",
		        "The option connect_ports does not name the port that CONNECT asks for.");
	return refuse(why, "http_ports",
	              "The option http_ports does not name the port of this URL.");
}

int access_destination(const struct access *a, const struct addr *client, const struct addr *dest,
                       struct access_refusal *why)
{
	unsigned c = addr_classify(dest);

	check_magic(a, ACCESS_MAGIC);
	if (!a->forward)
		return 0;
	/* Clients on this machine reach it without us. */
	if (!a->reach_local && !is_loopback(client)) {
		if (c & (ADDR_LOOPBACK | ADDR_UNSPECIFIED | ADDR_LINK_LOCAL | ADDR_MULTICAST |
		         ADDR_RESERVED))
			return refuse(why, "reach_local",
			              "The host has a loopback, link-local, multicast or reserved "
			              "address, and the option reach_local is off.");
		if (access_interface_has(dest))
			return refuse(why, "reach_local",
			              "The host is the proxy's own machine, and the option "
			              "reach_local is off.");
	}
	if (!a->reach_private && (c & ADDR_PRIVATE) && !access_interface_has(dest))
		return refuse(
		        why, "reach_private",
		        "The host is in a private network, and the option reach_private is off.");
	return 0;
}
