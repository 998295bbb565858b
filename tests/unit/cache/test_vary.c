#include "heads.h"

#define THIRTY_TWO                                                                                 \
	"a1,a2,a3,a4,a5,a6,a7,a8,b1,b2,b3,b4,b5,b6,b7,b8,c1,c2,c3,c4,c5,c6,c7,c8,d1,d2,d3,d4,d5,"  \
	"d6,d7,d8"

static const struct {
	const char *lines, *names; /* NULL: any */
} names_rows[] = {
	{"X: y", ""},
	{"Vary:", ""},
	{"Vary: ,, ,", ""},
	{"Vary: Accept-Encoding", "accept-encoding"},
	{"Vary: ACCEPT-ENCODING", "accept-encoding"},
	{"Vary: b, a", "a,b"},
	{"Vary: b,a,B,A", "a,b"},
	{"Vary: Cookie\nVary: Accept", "accept,cookie"},
	{"Vary: Cookie\nVary: Accept, cookie", "accept,cookie"},
	{"Vary: accept, accept-encoding, accept-language",
	 "accept,accept-encoding,accept-language"},
	{"Vary: accept-language,accept-encoding,accept", "accept,accept-encoding,accept-language"},
	{"Vary: ,a, ,b,", "a,b"},
	{"Vary: *", NULL},
	{"Vary: a, *", NULL},
	{"Vary: *, a", NULL},
	{"Vary: a\nVary: *", NULL},
	{"Vary: **", "**"},
	{"Vary: x*", "x*"},
	{"Vary: a b", NULL},
	{"Vary: a;b", NULL},
	{"Vary: \"a\"", NULL},
	{"Vary: \"*\"", NULL},
	{"Vary: a:", NULL},
	{"Vary: " THIRTY_TWO, THIRTY_TWO},
	{"Vary: " THIRTY_TWO ",A1", THIRTY_TWO},
	{"Vary: " THIRTY_TWO ",e1", NULL},
};

START_TEST(names)
{
	struct head_text h;
	struct buf out;
	int any;

	buf_init(&out, 4096);
	any = cache_vary_names(head_response(&h, 200, names_rows[_i].lines), &out);
	ck_assert_msg(any == (names_rows[_i].names == NULL), "\"%s\" gives %d",
		      names_rows[_i].lines, any);
	ck_view_eq(buf_view(&out), names_rows[_i].names ? names_rows[_i].names : "");
	buf_fini(&out);
	head_end(&h);
}
END_TEST

START_TEST(names_without_room)
{
	struct head_text h;
	struct buf out;

	buf_init(&out, 4);
	ck_assert_int_eq(cache_vary_names(head_response(&h, 200, "Vary: accept"), &out),
			 LARDER_ELIMIT);
	buf_fini(&out);
	head_end(&h);
}
END_TEST

static const struct {
	const char *names, *a, *b;
	bool same;
} select_rows[] = {
	{"", "X: 1", "X: 2", true},
	{"x", "X: 1", "x: 1", true},
	{"x", "X: 1", "X: 2", false},
	{"x", "X: 1", "Y: 1", false},
	{"x", "Y: 1", "Y: 2", true},
	/* Absent is not empty (RFC 9111 §4.1). */
	{"x", "X:", "Y: 1", false},
	{"accept", "Accept:", "Y: 1", false},
	{"accept", "Accept:", "Accept: ,", true},
	/* Fields without a definition known here are compared as they are. */
	{"x", "X: a, b", "X: b, a", false},
	{"x", "X: a,b", "X: a, b", false},
	{"x", "X: A", "X: a", false},
	{"x", "X: a\nX: b", "X: a, b", true},
	{"x", "X: a\nX: b", "X: b\nX: a", false},
	{"x", "X:  a  ", "X: a", true},
	{"x", "X: \"a, b\"", "X: \"a,b\"", false},
	{"cookie", "Cookie: a=1; b=2", "Cookie: b=2; a=1", false},
	{"user-agent", "User-Agent: a", "User-Agent: A", false},
	{"x,y", "X: 1\nY: 2", "Y: 2\nX: 1", true},
	{"x,y", "X: 1\nY: 2", "X: 2\nY: 1", false},
	{"x,y", "X: 1", "Y: 1", false},
	{"x,y", "X: 1", "X: 1\nY:", false},
	{"x,y", "X: 1, y:2", "X: 1\nY: 2", false},
	/* Codings: RFC 9110 §12.5.3, §8.4.1 */
	{"accept-encoding", "Accept-Encoding: gzip, br", "Accept-Encoding: br,gzip", true},
	{"accept-encoding", "Accept-Encoding: gzip", "Accept-Encoding: GZIP", true},
	{"accept-encoding", "Accept-Encoding: gzip, br",
	 "Accept-Encoding: gzip\nAccept-Encoding: br", true},
	{"accept-encoding", "Accept-Encoding: gzip;q=1.0", "Accept-Encoding: gzip", true},
	{"accept-encoding", "Accept-Encoding: gzip ; Q=1", "Accept-Encoding: gzip", true},
	{"accept-encoding", "Accept-Encoding: gzip;q=0.5", "Accept-Encoding: gzip;q=0.500", true},
	{"accept-encoding", "Accept-Encoding: gzip;q=0.5", "Accept-Encoding: gzip", false},
	{"accept-encoding", "Accept-Encoding: gzip;q=0", "Accept-Encoding: gzip", false},
	{"accept-encoding", "Accept-Encoding: gzip;q=0", "Accept-Encoding: gzip;q=0.0", true},
	{"accept-encoding", "Accept-Encoding: gzip;q=0.05", "Accept-Encoding: gzip;q=0.5", false},
	{"accept-encoding", "Accept-Encoding: gzip, gzip", "Accept-Encoding: gzip", true},
	{"accept-encoding", "Accept-Encoding: gzip, deflate", "Accept-Encoding: gzip", false},
	{"accept-encoding", "Accept-Encoding: gzip;q=0.5, br;q=0.9",
	 "Accept-Encoding: br;q=0.9, gzip;q=0.5", true},
	{"accept-encoding", "Accept-Encoding: gzip;q=0.5, br;q=0.9",
	 "Accept-Encoding: gzip;q=0.9, br;q=0.5", false},
	{"accept-encoding", "Accept-Encoding: gzip;q=bad", "Accept-Encoding: gzip", false},
	{"accept-encoding", "Accept-Encoding: gzip;q=1.001", "Accept-Encoding: gzip", false},
	{"accept-encoding", "Accept-Encoding: gzip;q=2", "Accept-Encoding: gzip;q=2.0", false},
	{"accept-encoding", "Accept-Encoding: gzip;q=1.", "Accept-Encoding: gzip", true},
	{"accept-encoding", "Accept-Encoding: gzip;q=0.1234", "Accept-Encoding: gzip;q=0.123",
	 false},
	{"accept-encoding", "Accept-Encoding: gzip, x;q=z", "Accept-Encoding: gzip;q=1, x;q=z",
	 false},
	{"accept-encoding", "Accept-Encoding: identity", "X: y", false},
	{"accept-encoding", "Accept-Encoding: x-gzip", "Accept-Encoding: gzip", true},
	{"accept-encoding", "Accept-Encoding: X-Compress;q=0.5", "Accept-Encoding: compress;q=0.5",
	 true},
	{"accept-encoding", "Accept-Encoding: identity", "Accept-Encoding:", true},
	{"accept-encoding", "Accept-Encoding: identity;q=0.5", "Accept-Encoding: ,", true},
	{"accept-encoding", "Accept-Encoding: gzip;q=0", "Accept-Encoding: identity", true},
	{"accept-encoding", "Accept-Encoding: identity, *;q=0", "Accept-Encoding: identity", true},
	{"accept-encoding", "Accept-Encoding: gzip, br;q=0", "Accept-Encoding: gzip", true},
	{"accept-encoding", "Accept-Encoding: gzip, br;q=0, *", "Accept-Encoding: gzip, *", false},
	{"accept-encoding", "Accept-Encoding: gzip, *;q=0", "Accept-Encoding: gzip;q=1, identity;q=0",
	 true},
	{"accept-encoding", "Accept-Encoding: *;q=0, gzip, identity", "Accept-Encoding: gzip,identity",
	 true},
	{"accept-encoding", "Accept-Encoding: gzip, *;q=0", "Accept-Encoding: gzip", false},
	{"accept-encoding", "Accept-Encoding: gzip, identity;q=0", "Accept-Encoding: gzip", false},
	{"accept-encoding", "Accept-Encoding: gzip, identity;q=0", "Accept-Encoding: gzip, identity",
	 false},
	{"accept-encoding", "Accept-Encoding: identity;q=0", "Accept-Encoding: identity", false},
	{"accept-encoding", "Accept-Encoding: identity;q=0", "Accept-Encoding: *;q=0", true},
	{"accept-encoding", "Accept-Encoding: *", "Accept-Encoding: identity", false},
	{"accept-encoding", "Accept-Encoding: *", "Accept-Encoding: *;q=0.5", false},
	{"accept-encoding", "Accept-Encoding: gzip, br;q=0", "Accept-Encoding: br, gzip;q=0", false},
	/* Languages: §12.5.4; order within one weight is kept. */
	{"accept-language", "Accept-Language: de, en;q=0.5", "Accept-Language: en;q=0.5,DE", true},
	{"accept-language", "Accept-Language: de-CH,en", "Accept-Language: de-ch, en", true},
	{"accept-language", "Accept-Language: de, en", "Accept-Language: en, de", false},
	{"accept-language", "Accept-Language: de, fr;q=0.8, en;q=0.8",
	 "Accept-Language: fr;q=0.8, de, en;q=0.80", true},
	{"accept-language", "Accept-Language: de, fr;q=0.8, en;q=0.8",
	 "Accept-Language: de, en;q=0.8, fr;q=0.8", false},
	{"accept-language", "Accept-Language: de, fr;q=0", "Accept-Language: de", true},
	{"accept-language", "Accept-Language: de, de-CH;q=0", "Accept-Language: de", false},
	{"accept-language", "Accept-Language: de, dex;q=0", "Accept-Language: de", true},
	{"accept-language", "Accept-Language: *, fr;q=0", "Accept-Language: *", false},
	{"accept-language", "Accept-Language: de, *;q=0", "Accept-Language: de", true},
	{"accept-language", "Accept-Language: de", "X: y", false},
	/* Media ranges: §12.5.1 */
	{"accept", "Accept: text/html, image/png", "Accept: IMAGE/png,Text/HTML", true},
	{"accept", "Accept: text/html;level=1", "Accept: text/html ; LEVEL=1", true},
	{"accept", "Accept: text/html;level=1", "Accept: text/html;level=2", false},
	{"accept", "Accept: text/html;p=A", "Accept: text/html;p=a", false},
	{"accept", "Accept: text/html;p=\"a,b\"", "Accept: text/html;p=\"a,b\"", true},
	{"accept", "Accept: a/b;p=\";q=0\"", "Accept: a/b;p=\";q=0.0\"", false},
	{"accept", "Accept: text/html;level=1;q=0.5", "Accept: text/html;q=0.5;level=1", true},
	{"accept", "Accept: text/*, */*;q=0.1", "Accept: */*;q=0.1, text/*", true},
	{"accept", "Accept: a/b;", "Accept: a/b", true},
	{"accept", "Accept: a/b;x", "Accept: a/b;x=", false},
	/* What Connection names never reached the origin. */
	{"x", "X: 1\nConnection: x", "Y: 1", true},
	{"x", "X: 1\nConnection: x", "X: 2\nConnection: X", true},
	{"x", "X: 1\nConnection: x", "X: 1", false},
	{"accept", "Accept: a/b\nConnection: accept", "Y: 1", true},
};

START_TEST(selecting)
{
	struct head_text a, b;
	struct buf x, y;

	buf_init(&x, 4096);
	buf_init(&y, 4096);
	ck_assert_int_eq(cache_vary_select(view_of(select_rows[_i].names),
					   head_request(&a, "GET", select_rows[_i].a), &x),
			 0);
	ck_assert_int_eq(cache_vary_select(view_of(select_rows[_i].names),
					   head_request(&b, "GET", select_rows[_i].b), &y),
			 0);
	ck_assert_msg(view_eq(buf_view(&x), buf_view(&y)) == select_rows[_i].same,
		      "\"%s\" and \"%s\" give \"%.*s\" and \"%.*s\"", select_rows[_i].a,
		      select_rows[_i].b, VFMT(buf_view(&x)), VFMT(buf_view(&y)));
	buf_fini(&x);
	buf_fini(&y);
	head_end(&a);
	head_end(&b);
}
END_TEST

/* A list longer than the canonical form has room for is compared as received. */
START_TEST(long_lists)
{
	struct head_text a, b;
	struct buf lines, x, y;

	buf_init(&lines, 65536);
	buf_init(&x, 65536);
	buf_init(&y, 65536);
	BUF_ADD_LIT(&lines, "Accept-Encoding: ");
	for (unsigned i = 0; i < 200; i++)
		buf_printf(&lines, "%sc%u", i ? "," : "", i);
	ck_assert_int_eq(cache_vary_select(V("accept-encoding"),
					   head_request(&a, "GET", buf_cstr(&lines)), &x),
			 0);
	ck_assert_uint_gt(x.len, 800);
	buf_printf(&lines, ",z");
	ck_assert_int_eq(cache_vary_select(V("accept-encoding"),
					   head_request(&b, "GET", buf_cstr(&lines)), &y),
			 0);
	ck_assert(!view_eq(buf_view(&x), buf_view(&y)));
	buf_reset(&y);
	ck_assert_int_eq(cache_vary_select(V("accept-encoding"), &a.head, &y), 0);
	ck_assert(view_eq(buf_view(&x), buf_view(&y)));
	buf_fini(&lines);
	buf_fini(&x);
	buf_fini(&y);
	head_end(&a);
	head_end(&b);
}
END_TEST

/* RFC 9110 §12.5.3 */
static const struct {
	const char *req, *coding;
	bool may;
} coding_rows[] = {
	{"X: y", "", true},
	{"X: y", "gzip", false},
	{"Accept-Encoding: gzip", "gzip", true},
	{"Accept-Encoding: GZIP;q=0.1", "x-gzip", true},
	{"Accept-Encoding: x-gzip", "gzip", true},
	{"Accept-Encoding: gzip;q=0", "gzip", false},
	{"Accept-Encoding: gzip;q=0, *", "gzip", false},
	{"Accept-Encoding: *", "br", true},
	{"Accept-Encoding: *;q=0", "br", false},
	{"Accept-Encoding: br", "gzip", false},
	{"Accept-Encoding: br, gzip", "gzip, br", true},
	{"Accept-Encoding: br", "gzip, br", false},
	{"Accept-Encoding:", "gzip", false},
	{"Accept-Encoding: gzip\nConnection: accept-encoding", "gzip", false},
};

START_TEST(codings)
{
	struct head_text req;

	ck_assert_msg(cache_coding_acceptable(head_request(&req, "GET", coding_rows[_i].req),
	                                      view_of(coding_rows[_i].coding)) == coding_rows[_i].may,
	              "\"%s\": %s", coding_rows[_i].req, coding_rows[_i].coding);
	head_end(&req);
}
END_TEST

/* RFC 9110 §12.5.4 */
static const struct {
	const char *req, *language;
	bool likes;
} language_rows[] = {
	{"X: y", "en", false},
	{"Accept-Language: en", "", false},
	{"Accept-Language: en", "en", true},
	{"Accept-Language: EN", "En", true},
	{"Accept-Language: en", "en-GB", true},
	{"Accept-Language: en-GB", "en", false},
	{"Accept-Language: en", "eng", false},
	{"Accept-Language: de, en;q=0.9", "en", false},
	{"Accept-Language: de, en", "en", true},
	{"Accept-Language: de;q=0.5, en;q=0.5", "en", true},
	{"Accept-Language: en, en-GB;q=0.1", "en-GB", false},
	{"Accept-Language: en, en-GB;q=0.1", "en-US", true},
	{"Accept-Language: *", "en", true},
	{"Accept-Language: *, en;q=0", "en", false},
	{"Accept-Language: de, *;q=0.5", "en", false},
	{"Accept-Language: en;q=0", "en", false},
	{"Accept-Language: en, de", "en, de", false},
	{"Accept-Language: de\nAccept-Language: en;q=0.3", "de", true},
};

START_TEST(languages)
{
	struct head_text req;

	ck_assert_msg(cache_language_preferred(head_request(&req, "GET", language_rows[_i].req),
	                                       view_of(language_rows[_i].language)) == language_rows[_i].likes,
	              "\"%s\": %s", language_rows[_i].req, language_rows[_i].language);
	head_end(&req);
}
END_TEST

START_TEST(same_but_language)
{
	struct view en = V("accept-encoding:gzip\naccept-language:en\nx:1\n"),
	            de = V("accept-encoding:gzip\naccept-language:de\nx:1\n"),
	            br = V("accept-encoding:br\naccept-language:de\nx:1\n");

	ck_assert(cache_vary_same_but(en, de, false, true) && !cache_vary_same_but(en, de, true, false));
	ck_assert(cache_vary_same_but(en, br, true, true) && !cache_vary_same_but(en, br, false, true));
	ck_assert(!cache_vary_same_but(en, V("accept-encoding:gzip\naccept-language:en\nx:2\n"), true, true));
	ck_assert(cache_vary_same_but(en, en, false, false));
}
END_TEST

static const struct {
	const char *a, *b;
	bool same;
} coding_pairs[] = {
	{"accept-encoding:gzip\n", "accept-encoding\n", true},
	{"accept-encoding:gzip\n", "accept-encoding:br\n", true},
	{"accept-encoding:gzip\naccept-language:en\n", "accept-encoding\naccept-language:en\n", true},
	{"accept-encoding:gzip\naccept-language:en\n", "accept-encoding:gzip\naccept-language:fr\n", false},
	{"accept-encoding:gzip\naccept-language\n", "accept-encoding:gzip\naccept-language:\n", false},
	{"accept-encoding:gzip\nx:1\n", "accept-encoding:gzip\n", false},
	{"accept-encoding-x:gzip\n", "accept-encoding-x\n", false},
	{"", "", true},
};

START_TEST(same_but_coding)
{
	struct view a = view_of(coding_pairs[_i].a), b = view_of(coding_pairs[_i].b);

	ck_assert(cache_vary_same_but(a, b, true, false) == coding_pairs[_i].same);
	ck_assert(cache_vary_same_but(b, a, true, false) == coding_pairs[_i].same);
}
END_TEST

UNIT_MAIN("cache/vary", tcase_add_loop_test(tc, same_but_coding, 0, ARRAY_LEN(coding_pairs));
          tcase_add_loop_test(tc, languages, 0, ARRAY_LEN(language_rows)); tcase_add_test(tc, same_but_language);
	  tcase_add_loop_test(tc, names, 0, ARRAY_LEN(names_rows));
	  tcase_add_test(tc, names_without_room);
	  tcase_add_loop_test(tc, selecting, 0, ARRAY_LEN(select_rows));
	  tcase_add_test(tc, long_lists);
	  tcase_add_loop_test(tc, codings, 0, ARRAY_LEN(coding_rows));)
