/* Out of memory at every allocation: an error comes back, and nothing else happens. */
#include "unit.h"

#include "base/check.h"
#include "base/error.h"
#include "http/framing.h"
#include "http/target.h"
#include "http/value.h"

/* The linker sends all calls of realloc here. */
void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static unsigned allocations; /* that succeed before one fails */

void *__wrap_realloc(void *ptr, size_t size)
{
	return allocations-- ? __real_realloc(ptr, size) : NULL;
}

static int trailers(struct buf *out)
{
	struct http_chunked c;
	struct http_fault fault = {0};
	struct view in, data;
	int err = 0;

	(void)out;
	http_chunked_init(&c, 4000);
	in = V("0\r\nA: b\r\n");
	err = http_chunked_next(&c, &in, &data, &fault);
	for (unsigned i = 0; i < 100 && !err; i++) {
		in = V("X: 0123456789\r\n");
		err = http_chunked_next(&c, &in, &data, &fault);
	}
	ck_assert(err == 0 || fault.text);
	http_chunked_fini(&c);
	return err;
}

#define LONG                                                                                       \
	"/%41/../01234567890123456789012345678901234567890123456789012345678901234567890123456789" \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"89"                                                                                       \
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
	"89"                                                                                       \
	"?%41"

static int key(struct buf *out)
{
	struct http_target t;

	ck_assert_int_eq(http_uri_parse(V("https://a:1" LONG), &t), 0);
	return http_target_key(&t, out);
}

static int resolve(struct buf *out)
{
	struct http_target base, t;

	ck_assert_int_eq(http_uri_parse(V("http://b:2/c"), &base), 0);
	return http_target_resolve(&base, V(LONG), out, &t);
}

static int strings(struct buf *out)
{
	http_sf_add_token(out, V("token"));
	http_sf_add_string(out, V(LONG));
	return http_sf_add_token(out, V(LONG));
}

static int (*const jobs[])(struct buf *) = {trailers, key, resolve, strings};

START_TEST(failing)
{
	int err = LARDER_ENOMEM;
	unsigned n = 0;

	for (; err; n++) {
		struct buf out;

		ck_assert_uint_lt(n, 10);
		buf_init(&out, 4000);
		allocations = n;
		err = jobs[_i](&out);
		allocations = UINT32_MAX;
		ck_assert_msg(err == 0 || err == LARDER_ENOMEM, "%d at %u", err, n);
		buf_fini(&out);
	}
	ck_assert_uint_gt(n, 2);
}
END_TEST

UNIT_MAIN("http/memory", allocations = UINT32_MAX;
          tcase_add_loop_test(tc, failing, 0, ARRAY_LEN(jobs));)
