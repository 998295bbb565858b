/* Cache groups (RFC 9875) and keys, out of heads. */
#include "heads.h"

#include <stdio.h>

#include "cache/tags.h"

static const struct {
	const char *lines, *names; /* "" for none or a field that is as good as none */
	int n;
} strings[] = {
	/* RFC 9875 §2 */
	{"Cache-Groups: \"scripts\"", "gscripts\n", 1},
	{"Cache-Groups: \"a\", \"b c\",\t\"d\"", "ga\ngb c\ngd\n", 3},
	{"Cache-Groups: \"a\"\nCache-Groups: \"b\"", "ga\ngb\n", 2},
	{"Cache-Groups: \"a\";x=1;y, \"b\"; z=\"q\"", "ga\ngb\n", 2},
	{"cache-groups: \"A\"\nX-Other: \"no\"", "gA\n", 1},
	{"Cache-Groups: \"q\\\"uote\", \"back\\\\slash\"", "gq\"uote\ngback\\slash\n", 2},
	{"Cache-Groups: \"a, b\"", "ga, b\n", 1},
	{"Cache-Groups: \"\", \"a\"", "ga\n", 1},
	{"Cache-Groups:", "", 0},
	{"X: y", "", 0},
	/* RFC 9651 §3.1, §4.2: another type, or no list at all */
	{"Cache-Groups: a", "", 0},
	{"Cache-Groups: \"a\", b", "", 0},
	{"Cache-Groups: \"a\", 1", "", 0},
	{"Cache-Groups: (\"a\" \"b\")", "", 0},
	{"Cache-Groups: \"a\" \"b\"", "", 0},
	{"Cache-Groups: \"a\",", "", 0},
	{"Cache-Groups: ,\"a\"", "", 0},
	{"Cache-Groups: \"a", "", 0},
	{"Cache-Groups: \"a\\n\"", "", 0},
	{"Cache-Groups: \"a\xe4\"", "", 0},
	{"Cache-Groups: 'a'", "", 0},
	{"Cache-Groups: \"a\"\nCache-Groups: b", "", 0},
	{"Cache-Groups: \"a\"\nCache-Groups:", "", 0},
	{"Cache-Groups: \"a\";X=1", "", 0},
	/* RFC 9110 §7.6.1 */
	{"Connection: cache-groups\nCache-Groups: \"a\"", "", 0},
};

START_TEST(lists_of_strings)
{
	struct head_text h;
	struct buf out;
	int n;

	buf_init(&out, 4096);
	BUF_ADD_LIT(&out, "x\n");
	n = cache_tags_strings(head_response(&h, 200, strings[_i].lines), HTTP_CACHE_GROUPS, 'g', &out);
	ck_assert_msg(n == strings[_i].n, "%s: %d", strings[_i].lines, n);
	ck_view_eq(view_from(buf_view(&out), 2), strings[_i].names);
	buf_fini(&out);
	buf_fini(&h.text);
}
END_TEST

static const struct {
	const char *lines, *names;
	int n;
} words[] = {
	{"Surrogate-Key: one", "kone\n", 1},
	{"Surrogate-Key: one two  three\tfour", "kone\nktwo\nkthree\nkfour\n", 4},
	{"Surrogate-Key: one\nX: y\nsurrogate-key: two", "kone\nktwo\n", 2},
	{"Surrogate-Key: a,b \"c d\" \xe4", "ka,b\nk\"c\nkd\"\nk\xe4\n", 4},
	{"Surrogate-Key:", "", 0},
	{"X: y", "", 0},
	{"Connection: surrogate-key\nSurrogate-Key: one", "", 0},
};

START_TEST(words_of_lines)
{
	struct head_text h;
	struct buf out;
	int n;

	buf_init(&out, 4096);
	n = cache_tags_words(head_response(&h, 200, words[_i].lines), V("Surrogate-Key"), 'k', &out);
	ck_assert_msg(n == words[_i].n, "%s: %d", words[_i].lines, n);
	ck_view_eq(buf_view(&out), words[_i].names);
	buf_fini(&out);
	buf_fini(&h.text);
}
END_TEST

START_TEST(limits)
{
	char lines[40000];
	struct head_text h;
	struct buf out;
	int n = 0;

	buf_init(&out, 32768);
	n = snprintf(lines, sizeof(lines), "Cache-Groups: ");
	/* RFC 9875 §2: at least 32 of at least 32 characters */
	for (int i = 0; i < 64; i++)
		n += snprintf(lines + n, sizeof(lines) - (size_t)n, "%s\"%064d\"", i ? ", " : "", i);
	ck_assert_int_eq(cache_tags_strings(head_response(&h, 200, lines), HTTP_CACHE_GROUPS, 'g', &out), 64);
	buf_fini(&h.text);
	for (int over = 0; over < 2; over++) {
		buf_reset(&out);
		snprintf(lines, sizeof(lines), "Cache-Groups: \"%0*d\"\nxkey: %0*d", CACHE_TAG_MAX + over, 7,
			 CACHE_TAG_MAX + over, 7);
		head_response(&h, 200, lines);
		n = cache_tags_strings(&h.head, HTTP_CACHE_GROUPS, 'g', &out);
		ck_assert_int_eq(n, over ? LARDER_ELIMIT : 1);
		ck_assert_int_eq(cache_tags_words(&h.head, V("xkey"), 'k', &out), over ? LARDER_ELIMIT : 1);
		buf_fini(&h.text);
	}
	buf_fini(&out);
	/* More than the caller has room for. */
	buf_init(&out, 100);
	snprintf(lines, sizeof(lines), "Cache-Groups: \"%060d\", \"%060d\"\nxkey: %060d %060d", 1, 2, 3, 4);
	head_response(&h, 200, lines);
	ck_assert_int_eq(cache_tags_strings(&h.head, HTTP_CACHE_GROUPS, 'g', &out), LARDER_ELIMIT);
	buf_reset(&out);
	ck_assert_int_eq(cache_tags_words(&h.head, V("xkey"), 'k', &out), LARDER_ELIMIT);
	buf_fini(&out);
	buf_fini(&h.text);
}
END_TEST

UNIT_MAIN("cache/tags", tcase_add_loop_test(tc, lists_of_strings, 0, ARRAY_LEN(strings));
	  tcase_add_loop_test(tc, words_of_lines, 0, ARRAY_LEN(words)); tcase_add_test(tc, limits);)
