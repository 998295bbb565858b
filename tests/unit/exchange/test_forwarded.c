/* What requests tell origins of who asked, and through whom (RFC 7239, RFC 8586, RFC 9110 §7.6.3). */
#include "rig.h"

#include "base/error.h"

#include <string.h>

#define WHO "GET http://b.example:81/x HTTP/1.1\r\nHost: b.example:81\r\n"
#define ALL                                                                                        \
	"Forwarded: for=192.0.2.9;by=_a\r\nVia: 1.0 a\r\nX-Forwarded-For: 192.0.2.9\r\n"             \
	"X-Forwarded-For: 192.0.2.8, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 7\r\n"

enum { PASS, EXTEND, REPLACE, REMOVE };
enum { OFF, RESPONSE, BOTH, TAKEN };
enum { AUTO, ALWAYS, NEVER };

static const struct {
	int forwarded, client, x_forwarded, via, loop;
	const char *asked;  /* lines of the request */
	const char *with[5], *without[5];
} rows[] = {
	/* RFC 7239 §4: our element comes last; host and proto are the request's. */
	{PASS, 0, PASS, BOTH, AUTO, ALL,
	 {"Forwarded: for=192.0.2.9;by=_a", "Via: 1.0 a", "Via: 1.1 tester", "X-Forwarded-For: 192.0.2.8, 192.0.2.7", "X-Forwarded-Port: 7"},
	 {"proto=http", "CDN-Loop"}},
	{EXTEND, 0, PASS, BOTH, AUTO, ALL,
	 {"Forwarded: for=192.0.2.9;by=_a", "Forwarded: for=127.0.0.1;host=\"b.example:81\";proto=http;by=_tester"},
	 {"X-Forwarded-Host"}},
	{REPLACE, 0, PASS, BOTH, AUTO, ALL, {"Forwarded: for=127.0.0.1;host=\"b.example:81\""}, {"by=_a"}},
	{REMOVE, 0, PASS, BOTH, AUTO, ALL, {"Via: 1.0 a"}, {"Forwarded: for"}},
	/* §6.2: who wants to stay unknown. */
	{REPLACE, 1, PASS, BOTH, AUTO, "", {"Forwarded: for=unknown;"}, {"127.0.0.1"}},
	/* The field's older cousins. */
	{PASS, 0, EXTEND, BOTH, AUTO, ALL,
	 {"X-Forwarded-For: 192.0.2.9, 192.0.2.8, 192.0.2.7, 127.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: b.example:81", "X-Forwarded-Port: 7"},
	 {"X-Forwarded-Proto: http\r\n"}},
	{PASS, 0, REPLACE, BOTH, AUTO, ALL,
	 {"X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: b.example:81"},
	 {"X-Forwarded-Port", "X-Forwarded-Proto: https"}},
	{PASS, 0, REMOVE, BOTH, AUTO, ALL, {"Forwarded: for=192.0.2.9"}, {"X-Forwarded"}},
	{PASS, 0, EXTEND, BOTH, AUTO, "", {"X-Forwarded-For: 127.0.0.1\r\n"}, {NULL}},
	/* RFC 9110 §7.6.3, RFC 8586 §2. */
	{PASS, 0, PASS, OFF, AUTO, ALL "CDN-Loop: b; c=d\r\n", {"Via: 1.0 a", "CDN-Loop: b; c=d", "CDN-Loop: tester"}, {"Via: 1.1"}},
	{PASS, 0, PASS, RESPONSE, AUTO, "", {"CDN-Loop: tester"}, {"Via"}},
	{PASS, 0, PASS, TAKEN, AUTO, ALL, {"CDN-Loop: tester"}, {"Via"}},
	{PASS, 0, PASS, BOTH, ALWAYS, "", {"Via: 1.1 tester", "CDN-Loop: tester"}, {NULL}},
	{PASS, 0, PASS, OFF, NEVER, "", {"Host: b.example:81"}, {"Via", "CDN-Loop"}},
};

static void ask(struct peer *p, unsigned i)
{
	struct buf b;

	rig.forward.options.forwarded = rows[i].forwarded;
	rig.forward.options.forwarded_client = rows[i].client;
	rig.forward.options.x_forwarded = rows[i].x_forwarded;
	rig.forward.options.via = rows[i].via;
	rig.forward.options.cdn_loop = rows[i].loop;
	buf_init(&b, 4096);
	buf_printf(&b, WHO "%s", rows[i].asked);
	peer_ask(p, &rig.forward, buf_cstr(&b));
	buf_fini(&b);
	ck_assert_uint_eq(nfars, 1);
}

START_TEST(tells_the_origin)
{
	struct peer p = {0};
	const char *text;

	ask(&p, (unsigned)_i);
	text = buf_cstr(&far(0)->request);
	for (unsigned i = 0; i < 5 && rows[_i].with[i]; i++)
		ck_assert_msg(strstr(text, rows[_i].with[i]), "no \"%s\" in %s", rows[_i].with[i], text);
	for (unsigned i = 0; i < 5 && rows[_i].without[i]; i++)
		ck_assert_msg(!strstr(text, rows[_i].without[i]), "\"%s\" in %s", rows[_i].without[i], text);
	peer_fini(&p);
}
END_TEST

/* What others said of the way back: passed on, or taken away, for the first client and those after it. */
START_TEST(tells_the_client)
{
	static const struct {
		int via;
		bool others, ours;
	} ways[] = {{OFF, true, false}, {RESPONSE, true, true}, {BOTH, true, true}, {TAKEN, false, false}};
	struct peer p = {0}, q = {0};

	rig.forward.options.via = ways[_i].via;
	peer_get(&p, "");
	far_answer(0, OK_HEAD "Cache-Control: max-age=60\r\nVia: 1.0 a\r\nContent-Length: 1\r\n", "x");
	store_settle();
	peer_get(&q, "");
	ck_assert_uint_eq(nfars, 1);
	peer_got(&p, 200, "x");
	peer_got(&q, 200, "x");
	ck_assert(peer_has(&p, "Via: 1.0 a") == ways[_i].others && peer_has(&q, "Via: 1.0 a") == ways[_i].others);
	ck_assert(peer_has(&p, "Via: 1.1 tester") == ways[_i].ours && peer_has(&q, "Via: 1.1 tester") == ways[_i].ours);
	peer_fini(&p);
	peer_fini(&q);
}
END_TEST

/* RFC 9209 §2.1.2: the origin that failed, for those who named it. */
START_TEST(names_the_next_hop)
{
	struct peer p = {0};

	if (_i == 0)
		peer_ask(&p, &rig.forward, WHO);
	else
		peer_ask(&p, &rig.reverse, "GET /x HTTP/1.1\r\nHost: b.example:81\r\n");
	far_done(0, LARDER_EREFUSED);
	ck_assert_uint_eq(p.status, 502);
	ck_assert(peer_has(&p, "next-hop=\"b.example:81\"") == (_i == 0));
	ck_assert(!peer_has(&p, "10.0.0.1"));
	peer_fini(&p);
}
END_TEST

UNIT_MAIN("exchange/forwarded", tcase_add_checked_fixture(tc, rig_open, rig_close);
          tcase_add_loop_test(tc, tells_the_origin, 0, (int)(sizeof(rows) / sizeof(rows[0])));
          tcase_add_loop_test(tc, tells_the_client, 0, 4); tcase_add_loop_test(tc, names_the_next_hop, 0, 2);)
