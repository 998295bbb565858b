/* The question of larderctl explain as one line. */
#include "base/check.h"
#include "base/error.h"
#include "main/explain.h"
#include "unit.h"

static const struct {
	struct main_question q;
	const char *line;
} GOOD[] = {
	{{.method = V("GET"), .url = V("http://a/")}, "text - - GET http://a/ - -"},
	{{.json = true, .listener = V("-"), .client = V("::1"), .method = V("GET"), .url = V("http://a/%-")},
	 "json %2d ::1 GET http://a/%25%2d - -"},
	{{.method = V("B"), .url = V("http://a/"), .fields = V("a: b\r\nc: \xff\r\n"), .response = V("HTTP/1.1 200\n\0")},
	 "text - - B http://a/ a:%20b%0d%0ac:%20%ff%0d%0a HTTP/1.1%20200%0a%00"},
};

START_TEST(good)
{
	const struct main_question *q = &GOOD[_i].q;
	struct main_question got;
	struct arena a;
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(main_question_write(q, &out), 0);
	ck_view_eq(buf_view(&out), GOOD[_i].line);
	arena_init(&a, 1024, 65536);
	ck_assert_int_eq(main_question_read(buf_view(&out), &a, &got), 0);
	ck_assert(got.json == q->json);
	ck_assert(view_eq(got.listener, q->listener));
	ck_assert(view_eq(got.client, q->client));
	ck_assert(view_eq(got.method, q->method));
	ck_assert(view_eq(got.url, q->url));
	ck_assert(view_eq(got.fields, q->fields));
	ck_assert(view_eq(got.response, q->response));
	arena_fini(&a);
	buf_fini(&out);
}
END_TEST

static const char *const BAD[] = {
	"", "text", "xml - - GET http://a/ - -", "text - - GET http://a/ -", "text - - GET http://a/ - - -",
	"text  - GET http://a/ - -", "text - - GET http://a/ - %", "text - - GET http://a/ - %2", "text - - GET http://a/ - %zz",
};

START_TEST(bad)
{
	struct main_question got;
	struct arena a;

	arena_init(&a, 1024, 65536);
	ck_assert_int_eq(main_question_read(view_of(BAD[_i]), &a, &got), LARDER_EINVAL);
	arena_fini(&a);
}
END_TEST

START_TEST(bounded)
{
	struct main_question q = {.method = V("GET"), .url = V("http://a/")}, got;
	struct arena a;
	struct buf out;

	buf_init(&out, 20);
	ck_assert_int_eq(main_question_write(&q, &out), LARDER_ELIMIT);
	buf_fini(&out);
	arena_init(&a, 16, 16);
	ck_assert_int_eq(main_question_read(V("text - - GET http://a/0123456789 - -"), &a, &got), LARDER_ENOMEM);
	arena_fini(&a);
}
END_TEST

UNIT_MAIN("main/explain", tcase_add_loop_test(tc, good, 0, ARRAY_LEN(GOOD));
	  tcase_add_loop_test(tc, bad, 0, ARRAY_LEN(BAD)); tcase_add_test(tc, bounded);)
