/* Response heads and their framing. */
#include "fuzz.h"

#include "http/framing.h"

#define FIELDS   16
#define MAX_HEAD 1024

static void inspect(const struct http_head *h, struct view in)
{
	static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD,
	                                           HTTP_METHOD_CONNECT};

	check(h->status >= 100 && h->status <= 599);
	check(fuzz_inside(h->reason, in));
	for (unsigned i = 0; i < h->nfields; i++)
		check(fuzz_inside(h->fields[i].name, in) && fuzz_inside(h->fields[i].value, in));
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct http_fault fault = {0};
		enum http_framing framing;
		uint64_t length;

		if (http_response_framing(h, methods[i], &framing, &length, &fault) < 0)
			check(fault.text && fault.status == 502);
		else if (framing == HTTP_BODY_LENGTH)
			check(length <= INT64_MAX);
		else
			check(framing != HTTP_BODY_CLOSE || length == HTTP_LENGTH_UNKNOWN);
	}
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view in = view_make(data, len);
	struct http_field fields[FIELDS];
	struct http_fault fault = {0};
	struct http_head h;
	int64_t n;

	http_head_init(&h, fields, FIELDS);
	n = http_parse_response(&h, in, MAX_HEAD, &fault);
	if (n < 0)
		check(fault.text && fault.status == 502);
	if (n <= 0)
		return 0;
	check((size_t)n <= len);
	inspect(&h, in);
	/* Nothing behind the head counts. */
	check(http_parse_response(&h, view_make(in.ptr, (size_t)n), MAX_HEAD, &fault) == n);
	check(http_parse_response(&h, view_make(in.ptr, (size_t)n - 1), MAX_HEAD, &fault) == HTTP_MORE);
	return 0;
}
