#include "unit.h"

#include <time.h>

#include "base/error.h"
#include "log-private.h"

static struct log_access sample(void)
{
	struct log_access a = {
	        .time_us = INT64_C(971211336123456),
	        .listener = V("forward=127.0.0.1:3128"),
	        .method = V("GET"),
	        .url = V("http://example.com/a"),
	        .target = V("http://example.com/a"),
	        .protocol = V("HTTP/1.1"),
	        .outcome = V("hit"),
	        .reason = V("fresh"),
	        .referer = V("http://example.com/"),
	        .user_agent = V("agent \"x\""),
	        .content_type = V("text/html; charset=utf-8"),
	        .status = 200,
	        .bytes = 2500,
	        .body_bytes = 2326,
	        .received = 80,
	        .ttfb_us = 950,
	        .total_us = 1500123,
	};

	ck_assert_int_eq(addr_parse(V("192.0.2.7:40000"), &a.client), 0);
	return a;
}

static const char *line_of(const char *format, const struct log_access *a)
{
	static char dst[LOG_LINE_MAX + 1];
	struct log_format f;
	char *why = NULL;
	size_t n;

	ck_assert_int_eq(log_format_parse(&f, format, &why), 0);
	n = log_format_line(&f, a, dst);
	dst[n] = '\0';
	log_format_fini(&f);
	ck_assert_int_eq(dst[n - 1], '\n');
	return dst;
}

static void zone(void)
{
	setenv("TZ", "XST7", 1);
	tzset();
}

static const struct {
	const char *format, *line;
} formats[] = {
        {"common", "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET http://example.com/a "
                   "HTTP/1.1\" 200 2326\n"},
        {"combined", "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET http://example.com/a "
                     "HTTP/1.1\" 200 2326 "
                     "\"http://example.com/\" \"agent \\x22x\\x22\"\n"},
        {"squid", "971211336.123   1500 192.0.2.7 TCP_HIT/200 2500 GET http://example.com/a - "
                  "HIER_NONE/- text/html\n"},
        {"json",
         "{\"time\":\"2000-10-10T13:55:36.123456-07:00\",\"client\":\"192.0.2.7\","
         "\"listener\":\"forward=127.0.0.1:3128\",\"method\":\"GET\",\"url\":\"http://example.com/"
         "a\","
         "\"target\":\"http://example.com/a\",\"protocol\":\"HTTP/"
         "1.1\",\"status\":200,\"outcome\":\"hit\","
         "\"reason\":\"fresh\",\"stored\":null,\"bytes\":2500,\"body_bytes\":2326,\"received\":80,"
         "\"ttfb\":0.000950,\"total\":1.500123,\"origin\":null,\"origin_status\":0,\"error\":null,"
         "\"referer\":\"http://example.com/\",\"user_agent\":\"agent \\\"x\\\"\","
         "\"content_type\":\"text/html; charset=utf-8\"}\n"},
        {"%{status} %{outcome}/%{reason} 100%% \"%{user_agent}\" %{user_agent} %{total}s %{origin} "
         "%{time}",
         "200 hit/fresh 100% \"agent \\x22x\\x22\" agent\\x20\\x22x\\x22 1.500123s - "
         "2000-10-10T13:55:36.123456-07:00\n"},
        {"%{status}\tend", "200\tend\n"},
};

START_TEST(formats_as_documented)
{
	struct log_access a = sample();

	zone();
	ck_assert_str_eq(line_of(formats[_i].format, &a), formats[_i].line);
}
END_TEST

START_TEST(absent_things_are_dashes)
{
	struct log_access a = {.status = 408};

	zone();
	ck_assert_str_eq(line_of("combined", &a),
	                 "- - - [31/Dec/1969:17:00:00 -0700] \"-\" 408 - \"-\" \"-\"\n");
	ck_assert_str_eq(line_of("squid", &a),
	                 "0.000      0 - TCP_MISS/408 0 - - - HIER_NONE/- -\n");
}
END_TEST

START_TEST(addresses_of_both_families)
{
	struct log_access a = sample();

	ck_assert_int_eq(addr_parse(V("[2001:db8::1]:8080"), &a.origin), 0);
	ck_assert_int_eq(addr_parse(V("[::1]:9"), &a.client), 0);
	ck_assert_str_eq(line_of("%{client} %{origin}", &a), "::1 [2001:db8::1]:8080\n");
	ck_assert_int_eq(addr_parse(V("10.255.0.3:80"), &a.origin), 0);
	ck_assert_str_eq(line_of("%{origin}", &a), "10.255.0.3:80\n");
	ck_assert_ptr_nonnull(strstr(line_of("squid", &a), " HIER_DIRECT/10.255.0.3 "));
}
END_TEST

START_TEST(a_hostile_client_forges_no_line)
{
	static const char *const all[] = {"common", "combined", "squid", "json",
	                                  "%{method} %{target} \"%{referer}\""};
	struct log_access a = sample();

	a.method = a.target = a.url = a.protocol = a.referer = a.user_agent =
	        a.content_type = V("x\" 200 1\n1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"GET / "
	                           "HTTP/1.1\" 200 1\r\n\0\x1b[31m\xff");
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		const char *line = line_of(all[i], &a);
		size_t len = strlen(line);

		ck_assert_ptr_eq(strchr(line, '\n'), line + len - 1);
		for (size_t j = 0; j + 1 < len; j++)
			ck_assert((unsigned char)line[j] >= ' ' && (unsigned char)line[j] < 0x7f);
	}
}
END_TEST

START_TEST(an_endless_client_gets_a_bounded_line)
{
	static char big[200000];
	static const char *const all[] = {"common", "combined", "squid", "json"};
	struct log_access a = sample();

	memset(big, '\n', sizeof(big));
	a.method = a.target = a.url = a.protocol = a.referer = a.user_agent =
	        a.content_type = a.listener = a.outcome = a.reason = a.stored = a.error =
	                view_make(big, sizeof(big));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		ck_assert_uint_lt(strlen(line_of(all[i], &a)), LOG_LINE_MAX - 1);
	ck_assert_str_eq(line_of("json", &a) + strlen(line_of("json", &a)) - 6, "...\"}\n");
}
END_TEST

static const struct {
	const char *format, *why;
} bad[] = {
        {"apache", "access_log_format: \"apache\" is not common, combined, squid, json, or a "
                   "string with %{FIELD} in it"},
        {"", "access_log_format: \"\" is not common, combined, squid, json, or a string with "
             "%{FIELD} in it"},
        {"%{status} %{nope}", "access_log_format: no such field: nope; there are time, client"},
        {"%{status} %s", "access_log_format: a % that begins neither %{FIELD} nor %% at \"%s\""},
        {"%{status", "access_log_format: a % that begins neither %{FIELD} nor %% at \"%{status\""},
        {"%{status}\n", "access_log_format: a control character would break the lines"},
};

START_TEST(wrong_formats_are_explained)
{
	struct log_format f;
	char *why = NULL;

	ck_assert_int_eq(log_format_parse(&f, bad[_i].format, &why), LARDER_EINVAL);
	ck_assert_msg(why && strncmp(why, bad[_i].why, strlen(bad[_i].why)) == 0, "%s", why);
	free(why);
}
END_TEST

START_TEST(too_many_fields_are_refused)
{
	char text[LOG_SEGMENTS_MAX * 9 + 1] = "";
	struct log_format f;
	char *why = NULL;

	for (size_t i = 0; i < LOG_SEGMENTS_MAX; i++)
		memcpy(text + i * 9, "%{status}", 10);
	ck_assert_int_eq(log_format_parse(&f, text, &why), LARDER_EINVAL);
	ck_assert_str_eq(why, "access_log_format: more than 63 fields");
	free(why);
	text[(LOG_SEGMENTS_MAX - 1) * 9] = '\0';
	ck_assert_int_eq(log_format_parse(&f, text, &why), 0);
	log_format_fini(&f);
}
END_TEST

static const struct {
	const char *outcome, *reason, *error;
	uint64_t origin_status;
	bool origin;
	const char *code;
} codes[] = {
        {"hit", "fresh", "", 0, false, "TCP_HIT"},
        {"stale", "stale-allowed", "", 0, false, "TCP_HIT"},
        {"stale", "stale", "connect", 0, false, "TCP_REFRESH_FAIL_OLD"},
        {"stale", "stale", "", 503, true, "TCP_REFRESH_FAIL_OLD"},
        {"revalidated", "stale", "", 304, true, "TCP_REFRESH_UNMODIFIED"},
        {"revalidated", "stale", "", 200, true, "TCP_REFRESH_MODIFIED"},
        {"miss", "uri-miss", "", 200, true, "TCP_MISS"},
        {"miss", "stale", "", 200, true, "TCP_REFRESH_MODIFIED"},
        {"miss", "request", "", 200, true, "TCP_CLIENT_REFRESH_MISS"},
        {"pass", "method", "", 200, true, "TCP_MISS"},
        {"tunnel", "", "", 0, true, "TCP_TUNNEL"},
        {"denied", "", "", 0, false, "TCP_DENIED"},
        {"error", "", "timeout", 0, false, "TCP_MISS"},
};

START_TEST(squid_codes)
{
	struct log_access a = sample();

	a.outcome = view_of(codes[_i].outcome);
	a.reason = view_of(codes[_i].reason);
	a.error = view_of(codes[_i].error);
	a.origin_status = codes[_i].origin_status;
	if (codes[_i].origin)
		ck_assert_int_eq(addr_parse(V("192.0.2.1:80"), &a.origin), 0);
	ck_view_eq(log_squid_code(&a), codes[_i].code);
	if (strcmp(codes[_i].outcome, "error") == 0) {
		a.url = V("");
		ck_view_eq(log_squid_code(&a), "NONE");
	}
}
END_TEST

#define ROWS(a) sizeof(a) / sizeof((a)[0])
UNIT_MAIN("log/format", tcase_add_loop_test(tc, formats_as_documented, 0, ROWS(formats));
          tcase_add_test(tc, absent_things_are_dashes);
          tcase_add_test(tc, addresses_of_both_families);
          tcase_add_test(tc, a_hostile_client_forges_no_line);
          tcase_add_test(tc, an_endless_client_gets_a_bounded_line);
          tcase_add_loop_test(tc, wrong_formats_are_explained, 0, ROWS(bad));
          tcase_add_test(tc, too_many_fields_are_refused);
          tcase_add_loop_test(tc, squid_codes, 0, ROWS(codes));)
