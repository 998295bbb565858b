/* Every allocation of a request's life fails once: nobody is left waiting, nothing leaks, heads stay whole. */
#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "exchange/explain.h"

#define FRESH "Cache-Control: max-age=10, stale-if-error=60\r\nETag: \"a\"\r\nContent-Type: text/plain\r\n"

static unsigned until_failure;

static bool fails(void)
{
	return !rig_quiet && until_failure && --until_failure == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

/* The origin's side of whatever was begun and still runs. */
static void play(const char *head, const char *body)
{
	for (unsigned i = 0; i < nfars; i++) {
		char dst[4096];
		ssize_t n = 0;

		if (far(i)->done || far(i)->cancelled)
			continue;
		if (strstr(far(i)->request.data, "POST") == far(i)->request.data) {
			while ((n = far_body(i, dst, sizeof(dst))) > 0)
				;
		}
		if (n == 0 && !far(i)->done && !far(i)->cancelled)
			far_answer(i, head, body);
	}
}

/* Each line whole: a name and a value, or the status line. */
static void judge(struct peer *p)
{
	struct view rest = buf_view(&p->reply), line;
	bool first = true;

	while (rest.len) {
		line = view_cut(rest, '\n', &rest);
		ck_assert_msg(line.len > 1 && line.ptr[line.len - 1] == '\r', "%.*s", VFMT(buf_view(&p->reply)));
		ck_assert(first ? view_starts(line, V("HTTP/1.1 ")) : view_find(line, ':') < line.len);
		ck_assert(first || !view_starts(line, V("HTTP/1.1 ")));
		first = false;
	}
	/* Answered, or broken off; unless it was not even taken up. */
	ck_assert(!p->x || p->ended || p->aborted);
}

static void ask(struct peer *p, const char *text, const char *body, const char *answer)
{
	size_t n;

	*p = (struct peer){0};
	peer_ask(p, &rig.forward, text);
	if (p->x && *body) {
		INTO(n = exchange_body(p->x, view_of(body)));
		ck_assert_uint_eq(n, strlen(body));
		if (p->x)
			INTO(exchange_body_end(p->x));
	}
	/* Twice: what failed may have begun anew. */
	play(answer, "text");
	store_settle();
	play(answer, "text");
	store_settle();
	judge(p);
	peer_fini(p);
}

START_TEST(any_allocation_may_fail)
{
	static const char get[] = "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n";
	static const char ok[] = OK_HEAD FRESH "Content-Length: 4\r\n", grows[] = OK_HEAD FRESH "Vary: Accept\r\n";
	struct peer p;

	until_failure = (unsigned)_i + 1;
	ask(&p, get, "", ok);
	ask(&p, "GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\nRange: bytes=0-0,2-2\r\n", "", ok);
	rig.now += 20;
	ask(&p, get, "", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n");
	rig.now += 20;
	ask(&p, get, "", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n");
	ask(&p, "GET http://a.example/./v HTTP/1.1\r\nHost: a.example\r\nRange: bytes=9-\r\n", "", grows);
	ask(&p, "GET http://a.example/v HTTP/1.1\r\nHost: a.example\r\nRange: bytes=9-\r\n", "", grows);
	ask(&p, "GET http://a.example/v HTTP/1.1\r\nHost: a.example\r\nIf-None-Match: \"a\"\r\n", "", grows);
	ask(&p, "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n", "hello",
	    "HTTP/1.1 201 Created\r\nLocation: /y\r\nContent-Length: 4\r\n");
	ask(&p, "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n", "", ok);
	/* Otherwise the loop's bound is not the last allocation. */
	ck_assert(_i < 299 || until_failure);
	until_failure = 0;
}
END_TEST

/* Explains a request for what is stored by now, with a response that is given. */
static int explain(const char *text, const char *response)
{
	struct http_field fields[16], others[16];
	struct http_head head, answer;
	struct http_target target;
	struct exchange_request req = {.head = &head, .target = &target};
	struct exchange_stats stats = {0};
	struct exchange_explanation e;
	struct exchange_env *env;
	struct http_scan scan = {0};
	struct http_fault fault;
	int err;

	http_head_init(&head, fields, ARRAY_LEN(fields));
	http_head_init(&answer, others, ARRAY_LEN(others));
	ck_assert_int_gt(http_parse_request(&head, &scan, view_of(text), 8192, 8192, &fault), 0);
	ck_assert_int_eq(http_target_parse(&head, HTTP_SCHEME_HTTP, false, &target, &fault), 0);
	ck_assert_int_gt(http_parse_response(&answer, view_of(response), 8192, &fault), 0);
	rig_quiet--;
	env = exchange_env_for_explaining(rig.loop, &rig.options, rig_store_now(), NULL, &stats);
	err = env ? exchange_explain(env, &rig.forward, &req, &answer, 4, &e) : LARDER_ENOMEM;
	if (env)
		exchange_explanation_fini(&e);
	exchange_env_free(env);
	rig_quiet++;
	return err;
}

START_TEST(any_allocation_of_an_explanation_may_fail)
{
	static const char get[] = "GET http://a.example/v HTTP/1.1\r\nHost: a.example\r\n";
	static const char response[] = OK_HEAD FRESH "Vary: X-Kind\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n";
	static const char *const questions[] = {
		"GET http://a.example/v HTTP/1.1\r\nHost: a.example\r\nRange: bytes=0-0,2-2\r\n\r\n",
		"GET http://a.example/v HTTP/1.1\r\nHost: a.example\r\nCache-Control: no-cache\r\n\r\n",
		"GET http://a.example/v HTTP/1.1\r\nHost: a.example\r\nX-Kind: a\r\n\r\n",
		"GET http://a.example/none HTTP/1.1\r\nHost: a.example\r\n\r\n",
	};
	struct peer p;
	int err;

	ask(&p, get, "", OK_HEAD FRESH "Vary: X-Kind\r\nContent-Length: 4\r\n");
	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		until_failure = (unsigned)_i + 1;
		err = explain(questions[i], response);
		ck_assert(err == 0 || err == LARDER_ENOMEM);
		/* Otherwise the loop's bound is not the last allocation. */
		ck_assert(_i < 99 || (until_failure && !err));
		until_failure = 0;
	}
	ck_assert_uint_eq(nfars, 1);
	ck_assert_uint_eq(fake_store.nrows, 1);
}
END_TEST

UNIT_MAIN("exchange/torture", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_loop_test(tc, any_allocation_may_fail, 0, 300);
          tcase_add_loop_test(tc, any_allocation_of_an_explanation_may_fail, 0, 100);)
