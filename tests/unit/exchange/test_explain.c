/* What an explanation says of a request, and that it leaves everything as it was. */
#include "rig.h"

#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "exchange/explain.h"

#define STORED(control) OK_HEAD "Cache-Control: " control "\r\nETag: \"a\"\r\nContent-Length: 3\r\n"

/* Stores "old" for a request with such lines, and lets 20 seconds pass. */
static void stored(const char *more, const char *head)
{
	struct peer p = {0};

	peer_get(&p, more);
	far_answer(0, head, "old");
	peer_fini(&p);
	store_settle();
	ck_assert_uint_eq(fake_store.nrows, 1);
	rig.now += 20;
}

struct question {
	struct buf text;
	struct http_field fields[32];
	struct http_head head;
	struct http_target target;
	struct exchange_stats stats;
	struct exchange_env *env;
	struct exchange_explanation e;
	int err;
};

static void ask(struct question *q, const char *method, const char *more, struct store *store)
{
	struct exchange_request req = {.head = &q->head, .target = &q->target};
	struct http_scan scan = {0};
	struct http_fault fault;

	buf_init(&q->text, 4096);
	buf_printf(&q->text, "%s http://a.example/x HTTP/1.1\r\nHost: a.example\r\n%s\r\n", method, more);
	http_head_init(&q->head, q->fields, ARRAY_LEN(q->fields));
	ck_assert_int_gt(http_parse_request(&q->head, &scan, buf_view(&q->text), 8192, 8192, &fault), 0);
	ck_assert_int_eq(http_target_parse(&q->head, HTTP_SCHEME_HTTP, false, &q->target, &fault), 0);
	ck_assert_int_eq(addr_parse_ip(V("127.0.0.1"), 0, &req.client), 0);
	q->env = exchange_env_for_explaining(rig.loop, &rig.options, store, NULL, &q->stats);
	ck_assert_ptr_nonnull(q->env);
	q->err = exchange_explain(q->env, &rig.forward, &req, NULL, HTTP_LENGTH_UNKNOWN, &q->e);
}

static void end(struct question *q)
{
	exchange_explanation_fini(&q->e);
	exchange_env_free(q->env);
	buf_fini(&q->text);
}

static const struct {
	const char *clause, *first, *stored, *method, *more;
	enum exchange_verdict verdict;
	enum cache_reason why;
	enum cache_clause rule; /* CACHE_CLAUSE_COUNT: nothing is selected */
	const char *fwd, *validators;
	unsigned status;
} rows[] = {
	{"9211 2.2", NULL, NULL, "GET", "", EXCHANGE_MISS, CACHE_USE_URI_MISS, CACHE_CLAUSE_COUNT, "uri-miss", "", 0},
	{"9111 5.2.1.7", NULL, NULL, "GET", "Cache-Control: only-if-cached\r\n", EXCHANGE_OWN, CACHE_USE_URI_MISS,
	 CACHE_CLAUSE_COUNT, NULL, "", 504},
	{"9111 4.2", "", STORED("max-age=60"), "GET", "", EXCHANGE_HIT, CACHE_USE_FRESH, CACHE_RULE_FRESH, NULL, "", 200},
	{"9111 4", "", STORED("max-age=60"), "HEAD", "", EXCHANGE_HIT, CACHE_USE_FRESH, CACHE_RULE_FRESH, NULL, "", 200},
	{"9110 13.2.2", "", STORED("max-age=60"), "GET", "If-None-Match: \"a\"\r\n", EXCHANGE_HIT, CACHE_USE_FRESH,
	 CACHE_RULE_FRESH, NULL, "", 304},
	{"9110 14.2", "", STORED("max-age=60"), "GET", "Range: bytes=1-1\r\n", EXCHANGE_HIT, CACHE_USE_FRESH,
	 CACHE_RULE_FRESH, NULL, "", 206},
	{"9111 5.2.1.1", "", STORED("max-age=60"), "GET", "Cache-Control: max-age=10\r\n", EXCHANGE_VALIDATE,
	 CACHE_USE_REQUEST, CACHE_RULE_REQUEST_MAX_AGE, "request", "If-None-Match: \"a\"\r\n", 0},
	{"9111 5.2.1.7", "", STORED("max-age=10"), "GET", "Cache-Control: only-if-cached\r\n", EXCHANGE_OWN,
	 CACHE_USE_STALE, CACHE_RULE_STALE, NULL, "", 504},
	{"9111 4.2.4", "", STORED("max-age=10"), "GET", "", EXCHANGE_VALIDATE, CACHE_USE_STALE, CACHE_RULE_STALE, "stale",
	 "If-None-Match: \"a\"\r\n", 0},
	{"9111 5.2.1.2", "", STORED("max-age=10"), "GET", "Cache-Control: max-stale\r\n", EXCHANGE_STALE,
	 CACHE_USE_STALE_ALLOWED, CACHE_RULE_MAX_STALE, NULL, "", 200},
	{"5861 3", "", STORED("max-age=10, stale-while-revalidate=60"), "GET", "", EXCHANGE_STALE,
	 CACHE_USE_STALE_ALLOWED, CACHE_RULE_WHILE_REVALIDATE, NULL, "If-None-Match: \"a\"\r\n", 200},
	{"9111 5.2.2.4", "", STORED("max-age=60, no-cache"), "GET", "", EXCHANGE_VALIDATE, CACHE_USE_NO_CACHE,
	 CACHE_RULE_NO_CACHE, "stale", "If-None-Match: \"a\"\r\n", 0},
	{"9111 4", "", STORED("max-age=60"), "POST", "", EXCHANGE_PASS, CACHE_USE_METHOD, CACHE_CLAUSE_COUNT, "method", "", 0},
	{"9111 4.1", "X-K: 1\r\n", STORED("max-age=60\r\nVary: x-k"), "GET", "X-K: 1\r\n", EXCHANGE_HIT, CACHE_USE_FRESH,
	 CACHE_RULE_FRESH, NULL, "", 200},
	{"9111 4.1", "X-K: 1\r\n", STORED("max-age=60\r\nVary: x-k"), "GET", "X-K: 2\r\n", EXCHANGE_MISS,
	 CACHE_USE_VARY_MISS, CACHE_CLAUSE_COUNT, "vary-miss", "If-None-Match: \"a\"\r\n", 0},
};

START_TEST(verdicts)
{
	unsigned fars = 0, nrows = 0;
	struct question q;

	rig_open();
	if (rows[_i].stored) {
		stored(rows[_i].first, rows[_i].stored);
		fars = nfars;
		nrows = fake_store.nrows;
	}
	ask(&q, rows[_i].method, rows[_i].more, rig_store_now());
	ck_assert_int_eq(q.err, 0);
	ck_assert_msg(q.e.verdict == rows[_i].verdict, "row %d, %s: %d", _i, rows[_i].clause, (int)q.e.verdict);
	ck_assert_int_eq(q.e.why, rows[_i].why);
	ck_assert(q.e.selected == (rows[_i].rule != CACHE_CLAUSE_COUNT));
	if (q.e.selected)
		ck_assert_int_eq(q.e.rule, rows[_i].rule);
	ck_assert_str_eq(q.e.fwd ? q.e.fwd : "", rows[_i].fwd ? rows[_i].fwd : "");
	ck_view_eq(q.e.validators, rows[_i].validators);
	ck_assert_uint_eq(q.e.status, rows[_i].status);
	ck_assert_uint_eq(q.e.nvariants, nrows);
	ck_view_eq(q.e.key, "GET http://a.example/x");
	end(&q);
	ck_assert_uint_eq(nfars, fars);
	ck_assert_uint_eq(fake_store.nrows, nrows);
	ck_assert_uint_eq(rig.stats.hits, 0);
	rig_close();
}
END_TEST

/* Without a store everything is passed on. */
START_TEST(no_store)
{
	struct question q;

	rig_open();
	ask(&q, "GET", "", NULL);
	ck_assert_int_eq(q.err, 0);
	ck_assert_int_eq(q.e.verdict, EXCHANGE_PASS);
	ck_assert_int_eq(q.e.why, CACHE_STORE_BYPASSED);
	ck_assert(!q.e.caches && !q.e.nvariants);
	end(&q);
	rig_close();
}
END_TEST

/* These do more than ask for what is stored under their target. */
START_TEST(not_explained)
{
	struct question q;

	rig_open();
	ask(&q, "PURGE", "", rig_store_now());
	ck_assert_int_eq(q.err, LARDER_EINVAL);
	end(&q);
	rig_close();
}
END_TEST

UNIT_MAIN("exchange/explain", tcase_add_loop_test(tc, verdicts, 0, ARRAY_LEN(rows)); tcase_add_test(tc, no_store);
	  tcase_add_test(tc, not_explained);)
