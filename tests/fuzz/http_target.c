/* URIs, hosts, keys and references. Input: a URI, or a base and a reference with LF between. */
#include "fuzz.h"

#include "base/buf.h"
#include "http/target.h"

/* A host in its normal form is one of few characters, and its own normal form. */
static void check_host(const struct http_target *t)
{
	struct http_target again;

	check(t->host.len > 0 && t->host.len < sizeof(t->host_text));
	for (size_t i = 0; i < t->host.len; i++) {
		unsigned char c = (unsigned char)t->host.ptr[i];

		check((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("-._:[]", c));
	}
	check(http_authority_parse(t->host, t->scheme, &again) == 0);
	check(view_eq(again.host, t->host));
	check(t->port > 0);
}

/* A key is a URI, and its own key. */
static void check_key(const struct http_target *t)
{
	struct http_target again;
	struct buf key, key2;

	buf_init(&key, 1024 * 1024 * 4);
	buf_init(&key2, 1024 * 1024 * 4);
	check(http_target_key(t, &key) == 0);
	check(http_uri_parse(buf_view(&key), &again) == 0);
	check(http_target_key(&again, &key2) == 0);
	check(view_eq(buf_view(&key), buf_view(&key2)));
	buf_fini(&key2);
	buf_fini(&key);
}

static void resolve(const struct http_target *base, struct view reference)
{
	struct http_target t, copy;
	struct buf scratch;

	buf_init(&scratch, 1024 * 1024);
	if (http_target_resolve(base, reference, &scratch, &t) == 0) {
		check(t.path.len && t.path.ptr[0] == '/');
		http_target_copy(&copy, &t);
		check(copy.host.ptr == copy.host_text);
		check_host(&copy);
		check_key(&copy);
	}
	buf_fini(&scratch);
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view in = view_make(data, len), reference;
	struct view uri = view_cut(in, '\n', &reference);
	struct http_target t;

	if (http_authority_parse(uri, HTTP_SCHEME_HTTP, &t) == 0) {
		check(fuzz_inside(t.authority, in));
		check_host(&t);
	}
	if (http_uri_parse(uri, &t) == 0) {
		check(fuzz_inside(t.path, in) || view_eq(t.path, V("/")));
		check_host(&t);
		check_key(&t);
		resolve(&t, reference);
	}
	return 0;
}
