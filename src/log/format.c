#include "log-private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"

/* Ceilings of a field's text; JSON's escapes count. All fields together fit into a line. */
#define URL_MAX  (16 * 1024)
#define TEXT_MAX (2 * 1024)

static const struct {
	const char *name;
} FIELDS[] = {
#define LOG_FIELD(name, kind, member, text) {#name},
#include "log/fields.def"
#undef LOG_FIELD
};

static size_t text_max(enum log_field f)
{
	return f == LOG_F_url || f == LOG_F_target ? URL_MAX : TEXT_MAX;
}

static int64_t whole_seconds(int64_t us)
{
	return us / 1000000 - (us % 1000000 < 0);
}

static uint64_t microseconds(int64_t us)
{
	return (uint64_t)(us - whole_seconds(us) * 1000000);
}

static void put_iso_time(struct log_line *l, int64_t us)
{
	const struct log_clock *c = log_clock_at(whole_seconds(us));

	log_line_add(l, view_of(c->iso));
	log_line_addc(l, '.');
	log_line_addu_pad(l, microseconds(us), 6, '0');
	log_line_add(l, view_of(c->zone));
}

static void put_seconds(struct log_line *l, uint64_t us)
{
	log_line_addu(l, us / 1000000);
	log_line_addc(l, '.');
	log_line_addu_pad(l, us % 1000000, 6, '0');
}

/* IPv4 by hand: inet_ntop goes through printf. */
static void put_ip(struct log_line *l, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];
	const uint8_t *ip;

	if (!a->len || a->sa.sa_family != AF_INET) {
		log_line_add(l, view_of(addr_format_ip(a, text)));
		return;
	}
	ip = (const uint8_t *)&a->in4.sin_addr;
	for (int i = 0; i < 4; i++) {
		if (i)
			log_line_addc(l, '.');
		log_line_addu(l, ip[i]);
	}
}

static void put_ip_port(struct log_line *l, const struct addr *a)
{
	bool six = a->len && a->sa.sa_family == AF_INET6;

	if (six)
		log_line_addc(l, '[');
	put_ip(l, a);
	if (six)
		log_line_addc(l, ']');
	if (a->len) {
		log_line_addc(l, ':');
		log_line_addu(l, addr_port(a));
	}
}

static void put_addr(struct log_line *l, enum log_field f, const struct addr *a)
{
	if (f == LOG_F_client)
		put_ip(l, a);
	else
		put_ip_port(l, a);
}

/* What each kind of field looks like in a format string… */
#define TEXT_STR(f, v)  log_line_text(l, v, quoted, text_max(f))
#define TEXT_NUM(f, v)  log_line_addu(l, v)
#define TEXT_TIME(f, v) put_iso_time(l, v)
#define TEXT_ADDR(f, v) put_addr(l, f, &(v))
#define TEXT_USEC(f, v) put_seconds(l, v)

static void put_field(struct log_line *l, enum log_field field, bool quoted,
                      const struct log_access *a)
{
	switch (field) {
#define LOG_FIELD(name, kind, member, text)                                                        \
	case LOG_F_##name:                                                                         \
		TEXT_##kind(LOG_F_##name, a->member);                                              \
		break;
#include "log/fields.def"
#undef LOG_FIELD
	case LOG_FIELDS:
		break;
	}
}

static void json_addr(struct log_line *l, enum log_field f, const struct addr *a)
{
	if (!a->len) {
		log_line_add(l, V("null"));
		return;
	}
	log_line_addc(l, '"');
	put_addr(l, f, a);
	log_line_addc(l, '"');
}

static void json_time(struct log_line *l, int64_t us)
{
	log_line_addc(l, '"');
	put_iso_time(l, us);
	log_line_addc(l, '"');
}

/* … and in JSON. */
#define JSON_STR(f, v)  log_line_json(l, v, text_max(f))
#define JSON_NUM(f, v)  log_line_addu(l, v)
#define JSON_TIME(f, v) json_time(l, v)
#define JSON_ADDR(f, v) json_addr(l, f, &(v))
#define JSON_USEC(f, v) put_seconds(l, v)

static void format_json(struct log_line *l, const struct log_access *a)
{
	char separator = '{';

#define LOG_FIELD(name, kind, member, text)                                                        \
	log_line_addc(l, separator);                                                               \
	log_line_add(l, V("\"" #name "\":"));                                                      \
	JSON_##kind(LOG_F_##name, a->member);                                                      \
	separator = ',';
#include "log/fields.def"
#undef LOG_FIELD
	log_line_addc(l, '}');
}

static void format_common(struct log_line *l, const struct log_access *a)
{
	put_ip(l, &a->client);
	/* Neither ident nor user: larder asks nobody for a name. */
	log_line_add(l, V(" - - ["));
	log_line_add(l, view_of(log_clock_at(whole_seconds(a->time_us))->clf));
	log_line_add(l, V("] \""));
	if (a->method.len) {
		log_line_text(l, a->method, false, TEXT_MAX);
		log_line_addc(l, ' ');
		log_line_text(l, a->target, false, URL_MAX);
		log_line_addc(l, ' ');
		log_line_text(l, a->protocol, false, TEXT_MAX);
	} else {
		log_line_addc(l, '-');
	}
	log_line_add(l, V("\" "));
	log_line_addu(l, a->status);
	log_line_addc(l, ' ');
	if (a->body_bytes)
		log_line_addu(l, a->body_bytes);
	else
		log_line_addc(l, '-');
}

static void format_combined(struct log_line *l, const struct log_access *a)
{
	format_common(l, a);
	log_line_add(l, V(" \""));
	log_line_text(l, a->referer, true, TEXT_MAX);
	log_line_add(l, V("\" \""));
	log_line_text(l, a->user_agent, true, TEXT_MAX);
	log_line_addc(l, '"');
}

/* Squid's words for larder's outcomes. Where larder has one word for several of Squid's, what the
 * origin said decides. */
struct view log_squid_code(const struct log_access *a)
{
	if (view_eq(a->outcome, V("hit")))
		return V("TCP_HIT");
	if (view_eq(a->outcome, V("stale")))
		return a->origin.len || a->error.len ? V("TCP_REFRESH_FAIL_OLD") : V("TCP_HIT");
	if (view_eq(a->outcome, V("revalidated")))
		return a->origin_status == 304 || !a->origin_status ? V("TCP_REFRESH_UNMODIFIED")
		                                                    : V("TCP_REFRESH_MODIFIED");
	if (view_eq(a->outcome, V("miss"))) {
		if (view_eq(a->reason, V("stale")) || view_eq(a->reason, V("no-cache")))
			return V("TCP_REFRESH_MODIFIED");
		return view_eq(a->reason, V("request")) ? V("TCP_CLIENT_REFRESH_MISS")
		                                        : V("TCP_MISS");
	}
	if (view_eq(a->outcome, V("tunnel")))
		return V("TCP_TUNNEL");
	if (view_eq(a->outcome, V("denied")))
		return V("TCP_DENIED");
	if (view_eq(a->outcome, V("error")) && !a->url.len)
		return V("NONE");
	return V("TCP_MISS");
}

static void format_squid(struct log_line *l, const struct log_access *a)
{
	log_line_addu(l, a->time_us < 0 ? 0 : (uint64_t)a->time_us / 1000000);
	log_line_addc(l, '.');
	log_line_addu_pad(l, microseconds(a->time_us) / 1000, 3, '0');
	log_line_addc(l, ' ');
	log_line_addu_pad(l, a->total_us / 1000, 6, ' ');
	log_line_addc(l, ' ');
	put_ip(l, &a->client);
	log_line_addc(l, ' ');
	log_line_add(l, log_squid_code(a));
	log_line_addc(l, '/');
	log_line_addu_pad(l, a->status, 3, '0');
	log_line_addc(l, ' ');
	log_line_addu(l, a->bytes);
	log_line_addc(l, ' ');
	log_line_text(l, a->method, false, TEXT_MAX);
	log_line_addc(l, ' ');
	log_line_text(l, a->url.len ? a->url : a->target, false, URL_MAX);
	log_line_addc(l, ' ');
	log_line_add(l, a->origin.len ? V("- HIER_DIRECT/") : V("- HIER_NONE/"));
	put_ip(l, &a->origin);
	log_line_addc(l, ' ');
	/* The type alone: Squid leaves parameters out. */
	log_line_text(l, view_trim(view_make(a->content_type.ptr, view_find(a->content_type, ';'))),
	              false, TEXT_MAX);
}

static void format_custom(struct log_line *l, const struct log_format *f,
                          const struct log_access *a)
{
	for (size_t i = 0; i < f->nsegments; i++) {
		log_line_add(l, f->segments[i].literal);
		put_field(l, f->segments[i].field, f->segments[i].quoted, a);
	}
}

size_t log_format_line(const struct log_format *f, const struct log_access *a, char *dst)
{
	struct log_line l = {.p = dst, .end = dst + LOG_LINE_MAX};

	switch (f->layout) {
	case LOG_COMMON:
		format_common(&l, a);
		break;
	case LOG_COMBINED:
		format_combined(&l, a);
		break;
	case LOG_SQUID:
		format_squid(&l, a);
		break;
	case LOG_JSON:
		format_json(&l, a);
		break;
	case LOG_CUSTOM:
		format_custom(&l, f, a);
		break;
	}
	*l.p++ = '\n';
	return (size_t)(l.p - dst);
}

static char *explain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *explain(const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 8192);
	BUF_ADD_LIT(&b, "access_log_format: ");
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	return buf_cstr(&b);
}

static char *unknown_field(struct view name)
{
	struct buf b;

	buf_init(&b, 8192);
	buf_printf(&b, "access_log_format: no such field: %.*s; there are", VFMT(name));
	for (size_t i = 0; i < ARRAY_LEN(FIELDS); i++)
		buf_printf(&b, "%s %s", i ? "," : "", FIELDS[i].name);
	return buf_cstr(&b);
}

static enum log_field field_find(struct view name)
{
	size_t i = 0;

	while (i < ARRAY_LEN(FIELDS) && !view_eq(name, view_of(FIELDS[i].name)))
		i++;
	return (enum log_field)i;
}

/* Ends the segment whose literal reaches from `literal` to `end`. */
static int add_segment(struct log_format *f, const char *literal, const char *end,
                       enum log_field field, bool quoted, char **why)
{
	if (f->nsegments == LOG_SEGMENTS_MAX) {
		*why = explain("more than %d fields", LOG_SEGMENTS_MAX - 1);
		return LARDER_EINVAL;
	}
	f->segments[f->nsegments++] =
	        (struct log_segment){.literal = view_make(literal, (size_t)(end - literal)),
	                             .field = field,
	                             .quoted = quoted};
	return 0;
}

/* Literals are gathered in f->text, which is as long as the format at most. */
static int parse_custom(struct log_format *f, struct view text, char **why)
{
	char *out = f->text, *literal = out;
	bool quoted = false;
	size_t close;
	int err;

	while (text.len) {
		enum log_field field;

		if (text.ptr[0] != '%') {
			quoted ^= text.ptr[0] == '"';
			*out++ = text.ptr[0];
			text = view_from(text, 1);
			continue;
		}
		if (view_starts(text, V("%%"))) {
			*out++ = '%';
			text = view_from(text, 2);
			continue;
		}
		close = view_find(text, '}');
		if (!view_starts(text, V("%{")) || close == text.len) {
			*why = explain("a %% that begins neither %%{FIELD} nor %%%% at \"%.*s\"",
			               VFMT(text));
			return LARDER_EINVAL;
		}
		field = field_find(view_make(text.ptr + 2, close - 2));
		if (field == LOG_FIELDS) {
			*why = unknown_field(view_make(text.ptr + 2, close - 2));
			return LARDER_EINVAL;
		}
		err = add_segment(f, literal, out, field, quoted, why);
		if (err)
			return err;
		literal = out;
		text = view_from(text, close + 1);
	}
	return add_segment(f, literal, out, LOG_FIELDS, false, why);
}

int log_format_parse(struct log_format *f, const char *text, char **why)
{
	static const char *const names[] = {[LOG_COMMON] = "common",
	                                    [LOG_COMBINED] = "combined",
	                                    [LOG_SQUID] = "squid",
	                                    [LOG_JSON] = "json"};
	struct view v = view_of(text);
	int err;

	*f = (struct log_format){.layout = LOG_CUSTOM};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			f->layout = (enum log_layout)i;
			return 0;
		}
	}
	for (size_t i = 0; i < v.len; i++) {
		if ((unsigned char)text[i] < ' ' && text[i] != '\t') {
			*why = explain("a control character would break the lines");
			return LARDER_EINVAL;
		}
	}
	if (!strstr(text, "%{")) {
		*why = explain("\"%s\" is not common, combined, squid, json, or a string with "
		               "%%{FIELD} in it",
		               text);
		return LARDER_EINVAL;
	}
	f->text = malloc(v.len + 1);
	if (!f->text)
		return LARDER_ENOMEM;
	err = parse_custom(f, v, why);
	if (err)
		log_format_fini(f);
	return err;
}

void log_format_fini(struct log_format *f)
{
	free(f->text);
	*f = (struct log_format){.layout = LOG_COMMON};
}
