#include "request.h"

#include "base/num.h"

#define LINES_ADDED (8 + FORWARDED_LINES)

static bool is_condition(uint16_t id)
{
	return id == HTTP_IF_NONE_MATCH || id == HTTP_IF_MODIFIED_SINCE || id == HTTP_IF_MATCH ||
	       id == HTTP_IF_UNMODIFIED_SINCE || id == HTTP_IF_RANGE;
}

static bool is_dropped(struct exchange *x, const struct http_field *f, const struct request_plan *plan)
{
	switch (f->id) {
	case HTTP_HOST:             /* sent first, made from the target */
	case HTTP_CONTENT_LENGTH:   /* the transfer frames the body anew */
	case HTTP_EXPECT:           /* passed on by the transfer */
	case HTTP_PROXY_AUTHORIZATION: /* meant for the proxy: credentials must not leak to origins */
		return true;
	case HTTP_RANGE:
		return plan->drop_range;
	case HTTP_MAX_FORWARDS:
		return x->method == HTTP_METHOD_TRACE || x->method == HTTP_METHOD_OPTIONS;
	default:
		return f->hop || (plan->drop_conditions && is_condition(f->id)) || forwarded_drops(x, f);
	}
}

/* The value that goes into Host (RFC 9112 §3.2): of the target for proxies (§3.2.2), the client's or the
 * configured one for reverse listeners. */
static struct view host_value(struct exchange *x)
{
	const struct exchange_listener *l = x->listener;

	if (l->kind == EXCHANGE_FORWARD)
		return x->req.target->authority;
	if (l->options.origin_host[0])
		return view_of(l->options.origin_host);
	return x->req.target->authority.len ? x->req.target->authority : l->origin.authority;
}

static char *append(char *dst, struct view v)
{
	if (v.len)
		memcpy(dst, v.ptr, v.len);
	return dst + v.len;
}

void request_line_add(struct request_lines *r, struct arena *arena, const char *name, struct view value,
                      struct view more)
{
	struct view n = view_of(name), colon = V(": ");
	size_t len = n.len + colon.len + value.len + more.len;
	char *line = len > HEAD_BYTES ? NULL : arena_alloc(arena, len);

	if (!line) {
		r->err = LARDER_ENOMEM;
		return;
	}
	r->lines[r->n++] = view_make(line, len);
	append(append(append(append(line, n), colon), value), more);
}

static void add_validators(struct request_lines *r, struct view lines)
{
	struct view line;

	while (lines.len) {
		line = view_cut(lines, '\n', &lines);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		r->lines[r->n++] = line;
	}
}

static void add_max_forwards(struct exchange *x, struct request_lines *r, struct arena *arena)
{
	struct view v = http_only(x->req.head, HTTP_MAX_FORWARDS);
	char text[20];
	uint64_t n;

	if ((x->method != HTTP_METHOD_TRACE && x->method != HTTP_METHOD_OPTIONS) || !v.ptr ||
	    num_parse_saturating(v, UINT32_MAX, &n) || n == 0)
		return;
	request_line_add(r, arena, "Max-Forwards", view_make(text, num_format_u64(n - 1, text)), V(""));
}

static bool answers_only_if_cached(struct exchange *x, const struct request_plan *plan)
{
	return plan->background && http_list_has(x->req.head, HTTP_CACHE_CONTROL, V("only-if-cached"));
}

/* Cache-Control without only-if-cached, which the next cache would answer with 504 (RFC 9111 §5.2.1.7). */
static void add_other_directives(struct exchange *x, struct request_lines *r, struct arena *arena)
{
	struct http_list list;
	struct view member;
	struct buf b;

	buf_init(&b, HEAD_BYTES);
	http_list_init(&list, x->req.head, HTTP_CACHE_CONTROL);
	while (http_list_next(&list, &member)) {
		if (view_ieq(member, V("only-if-cached")))
			continue;
		if (b.len)
			BUF_ADD_LIT(&b, ", ");
		buf_addv(&b, member);
	}
	if (b.err)
		r->err = b.err;
	else if (b.len)
		request_line_add(r, arena, "Cache-Control", buf_view(&b), V(""));
	buf_fini(&b);
}

static int build_lines(struct exchange *x, const struct request_plan *plan, struct arena *arena,
                       struct request_lines *r)
{
	const struct http_head *h = x->req.head;
	bool directives = answers_only_if_cached(x, plan);

	r->lines = arena_alloc(arena, (h->nfields + LINES_ADDED) * sizeof(*r->lines));
	if (!r->lines)
		return LARDER_ENOMEM;
	request_line_add(r, arena, "Host", host_value(x), V(""));
	for (unsigned i = 0; i < h->nfields; i++) {
		if (!is_dropped(x, &h->fields[i], plan) && !(directives && h->fields[i].id == HTTP_CACHE_CONTROL))
			r->lines[r->n++] = lines_raw(&h->fields[i]);
	}
	if (directives)
		add_other_directives(x, r, arena);
	add_validators(r, plan->validators);
	add_max_forwards(x, r, arena);
	forwarded_add(x, r, arena);
	return r->err;
}

/* Is one of the path's segments "." or "..", spelt in whatever way? */
static bool has_dot_segments(struct view path)
{
	struct view segment;

	path = view_make(path.ptr, view_find(path, '?'));
	while (path.len) {
		unsigned dots = 0;

		segment = view_cut(path, '/', &path);
		for (; segment.len; dots++) {
			if (segment.ptr[0] == '.')
				segment = view_from(segment, 1);
			else if (view_istarts(segment, V("%2e")))
				segment = view_from(segment, 3);
			else
				break;
		}
		if (!segment.len && (dots == 1 || dots == 2))
			return true;
	}
	return false;
}

/* The path without dot segments (RFC 3986 §6.2.2.3), and otherwise as it stands in keys. */
static int plain_path(const struct http_target *t, struct arena *arena, struct view *path)
{
	struct buf b, plain;
	struct view uri;
	int err;

	buf_init(&b, KEY_BYTES);
	buf_init(&plain, KEY_BYTES);
	err = http_target_key(t, &b);
	if (!err) {
		size_t query;

		view_cut(buf_view(&b), ':', &uri);
		uri = view_from(uri, 2);
		uri = view_from(uri, view_find(uri, '/'));
		query = view_find(uri, '?');
		buf_addv(&plain, view_make(uri.ptr, query));
		if (!plain.err)
			plain.len = http_path_remove_dots(plain.data, plain.len);
		buf_addv(&plain, view_from(uri, query));
		*path = plain.err ? view_make(NULL, 0) : arena_view(arena, buf_view(&plain));
		err = plain.err ? plain.err : path->ptr ? 0 : LARDER_ENOMEM;
	}
	buf_fini(&plain);
	buf_fini(&b);
	return err;
}

/* Path and query for the request line; reverse listeners may put a prefix before it, which "/.." must not
 * lead out of; otherwise dot segments are the origin's business (RFC 9110 §7.7). */
static int target_text(struct exchange *x, struct arena *arena, struct view *out)
{
	const struct http_target *t = x->req.target;
	struct view prefix = x->listener->kind == EXCHANGE_REVERSE ? origin_prefix(x->listener) : V("");
	bool bare = t->path.len && t->path.ptr[0] == '?'; /* RFC 9112 §3.2.1: an empty path is sent as "/" */
	struct buf b;
	int err;

	*out = t->path;
	if (view_eq(t->path, V("*")))
		return 0;
	if (prefix.len && has_dot_segments(t->path)) {
		if (!http_escapes_valid(t->path))
			return LARDER_EINVAL; /* who knows what its origin makes of it */
		err = plain_path(t, arena, out);
		if (err)
			return err;
	}
	if (!prefix.len && !bare)
		return 0;
	buf_init(&b, KEY_BYTES);
	buf_addv(&b, prefix);
	if (bare)
		buf_addc(&b, '/');
	buf_addv(&b, *out);
	*out = b.err ? view_make(NULL, 0) : arena_view(arena, buf_view(&b));
	err = b.err ? b.err : out->ptr ? 0 : LARDER_ENOMEM;
	buf_fini(&b);
	return err;
}

int request_build(struct exchange *x, const struct request_plan *plan, struct arena *arena,
                  struct origin_request *out)
{
	const struct http_target *at = x->listener->kind == EXCHANGE_FORWARD ? x->req.target
		                                                             : &x->listener->origin;
	const struct http_field *up;
	struct request_lines r = {0};
	int err = build_lines(x, plan, arena, &r);

	if (err)
		return err;
	*out = (struct origin_request){
		.scheme = at->scheme,
		.host = at->host,
		.port = at->port,
		.method = x->req.head->method_text,
		.fields = r.lines,
		.nfields = r.n,
		.has_body = x->req.has_body,
		.length = x->req.length,
		.idempotent = http_method_idempotent(x->method),
	};
	err = target_text(x, arena, &out->target);
	if (err)
		return err;
	if (x->req.expects_continue)
		out->expect = V("Expect: 100-continue");
	if (x->upgrade && (up = http_find(x->req.head, HTTP_UPGRADE, 0)) != NULL)
		out->upgrade = up->value;
	return 0;
}
