/* Stored texts on standard output: they come from strangers. */
#include <inttypes.h>
#include <stdio.h>

#include "ctl.h"

void print_text(struct view text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\n')
			fputs(i + 1 < text.len ? ", " : "", stdout);
		else if (c < ' ' || c >= 0x7f)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

void print_json_inside(struct view text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
}

void print_json(struct view text)
{
	putchar('"');
	print_json_inside(text);
	putchar('"');
}

void print_json_member(const char *name, struct view text)
{
	printf(",\"%s\":", name);
	print_json(text);
}

struct view print_via(const struct store_entry *e)
{
	size_t at = view_find(e->method, '@');

	return at < e->method.len ? view_from(e->method, at + 1) : V("");
}

char *print_origin(const struct store_record *r, char *dst)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, none[16];
	struct addr a = {.in6 = {.sin6_family = AF_INET6}, .len = sizeof(a.in6)};

	dst[0] = '\0';
	if (!memcmp(r->origin_ip, none, sizeof(none)))
		return dst;
	if (!memcmp(r->origin_ip, mapped, sizeof(mapped))) {
		a = (struct addr){.in4 = {.sin_family = AF_INET}, .len = sizeof(a.in4)};
		memcpy(&a.in4.sin_addr, r->origin_ip + 12, 4);
	} else {
		memcpy(&a.in6.sin6_addr, r->origin_ip, 16);
	}
	addr_set_port(&a, r->origin_port);
	return addr_format(&a, dst);
}

void print_json_entry(const struct store_entry *e, int64_t now)
{
	const struct cache_meta *m = &e->record.meta;

	fputs("{\"url\":", stdout);
	print_json(e->url);
	if (print_via(e).len)
		print_json_member("via", print_via(e));
	if (e->variant) {
		printf(",\"variant\":%u", e->variant);
		print_json_member("vary", e->record.vary);
		print_json_member("selecting", e->record.selecting);
	}
	printf(",\"status\":%u,\"size\":%" PRIu64 ",\"age\":%u,\"ttl\":%" PRId64 ",\"lifetime\":%u",
	       m->status, e->record.length, cache_age(m, now), cache_ttl(m, now), m->lifetime);
	print_json_member("where", e->blob ? V("blob") : V("inline"));
	printf(",\"charge\":%" PRIu64, e->charge);
}
