#include "unit.h"

#include "log-private.h"

static struct view text_of(char *dst, size_t size, struct view in, bool quoted, size_t max)
{
	struct log_line l = {.p = dst, .end = dst + size};

	log_line_text(&l, in, quoted, max);
	return view_make(dst, (size_t)(l.p - dst));
}

static struct view json_of(char *dst, size_t size, struct view in, size_t max)
{
	struct log_line l = {.p = dst, .end = dst + size};

	log_line_json(&l, in, max);
	return view_make(dst, (size_t)(l.p - dst));
}

static const struct {
	struct view in;
	bool quoted;
	const char *out;
} texts[] = {
        {V(""), false, "-"},
        {V("-"), false, "-"},
        {V("curl/7.88"), true, "curl/7.88"},
        {V("a b"), true, "a b"},
        {V("a b"), false, "a\\x20b"},
        {V("a\"b"), true, "a\\x22b"},
        {V("a\\b"), true, "a\\x5Cb"},
        {V("x\r\n10.0.0.1 - -"), true, "x\\x0D\\x0A10.0.0.1 - -"},
        {V("\0\x1f\x7f\x80\xff"), true, "\\x00\\x1F\\x7F\\x80\\xFF"},
        {V("\xc3\xa9"), true, "\\xC3\\xA9"},
        {V("a\x1b[2J"), true, "a\\x1B[2J"},
};

START_TEST(text_escapes_what_could_forge_lines)
{
	char dst[256];

	ck_view_eq(text_of(dst, sizeof(dst), texts[_i].in, texts[_i].quoted, 100), texts[_i].out);
}
END_TEST

static const struct {
	struct view in;
	const char *out;
} jsons[] = {
        {V(""), "null"},
        {V("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {V("a\nb\x7f"), "\"a\\u000ab\\u007f\""},
        {V("\xc3\xa9"), "\"\xc3\xa9\""},
        {V("\xc2\x85"), "\"\\u0085\""}, /* a control of the second set */
        {V("\xf0\x9f\x98\x80"), "\"\xf0\x9f\x98\x80\""},
        {V("\xff"), "\"\\\\xFF\""},
        {V("\xc3"), "\"\\\\xC3\""},            /* cut off */
        {V("\xc0\xaf"), "\"\\\\xC0\\\\xAF\""}, /* RFC 3629 3: overlong */
        {V("\xe0\x80\xaf"), "\"\\\\xE0\\\\x80\\\\xAF\""},
        {V("\xed\xa0\x80"), "\"\\\\xED\\\\xA0\\\\x80\""},            /* RFC 3629 3: a surrogate */
        {V("\xf4\x90\x80\x80"), "\"\\\\xF4\\\\x90\\\\x80\\\\x80\""}, /* above U+10FFFF */
};

START_TEST(json_is_valid)
{
	char dst[256];

	ck_view_eq(json_of(dst, sizeof(dst), jsons[_i].in, 100), jsons[_i].out);
}
END_TEST

START_TEST(ceilings_hold)
{
	char dst[64];

	ck_view_eq(text_of(dst, sizeof(dst), V("abcdefgh"), true, 8), "abcdefgh");
	ck_view_eq(text_of(dst, sizeof(dst), V("abcdefghi"), true, 8), "abcdefgh...");
	ck_view_eq(text_of(dst, sizeof(dst), V("abcde\n"), true, 8), "abcde...");
	ck_view_eq(json_of(dst, sizeof(dst), V("abcdefghi"), 8), "\"abcdefgh...\"");
	ck_view_eq(json_of(dst, sizeof(dst), V("abcd\n"), 8), "\"abcd...\"");
	/* A full line takes nothing more, and keeps its last byte for the newline. */
	ck_view_eq(text_of(dst, 5, V("abcdefgh"), true, 100), "abcd");
	ck_view_eq(text_of(dst, 1, V("abcdefgh"), true, 100), "");
}
END_TEST

START_TEST(messages_keep_utf8_but_no_controls)
{
	char dst[128];
	struct log_line l = {.p = dst, .end = dst + sizeof(dst)};

	log_line_message(&l, V("caf\xc3\xa9\n\x1b\xff\xc2\x9b\"\\"));
	ck_view_eq(view_make(dst, (size_t)(l.p - dst)), "caf\xc3\xa9\\x0A\\x1B\\xFF\\xC2\\x9B\"\\");
}
END_TEST

START_TEST(numbers_are_padded)
{
	char dst[64];
	struct log_line l = {.p = dst, .end = dst + sizeof(dst)};

	log_line_addu_pad(&l, 7, 3, '0');
	log_line_addc(&l, ' ');
	log_line_addu_pad(&l, 12345, 3, '0');
	log_line_addc(&l, ' ');
	log_line_addu_pad(&l, UINT64_MAX, 22, ' ');
	ck_view_eq(view_make(dst, (size_t)(l.p - dst)), "007 12345   18446744073709551615");
}
END_TEST

UNIT_MAIN("log/line", tcase_add_loop_test(tc, text_escapes_what_could_forge_lines, 0,
                                          sizeof(texts) / sizeof(texts[0]));
          tcase_add_loop_test(tc, json_is_valid, 0, sizeof(jsons) / sizeof(jsons[0]));
          tcase_add_test(tc, ceilings_hold); tcase_add_test(tc, messages_keep_utf8_but_no_controls);
          tcase_add_test(tc, numbers_are_padded);)
