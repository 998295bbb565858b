/* Dates: against the ABNF and timegm; what is accepted is printed and read back as the same instant. The first line
 * is the clock. */
#include "reference.h"

#include <stdio.h>
#include <time.h>

#include "base/num.h"
#include "http/value.h"

/* "123" or "-123", saturating. */
static int64_t parse_clock(struct view text)
{
	bool negative = view_starts(text, V("-"));
	uint64_t n;

	if (num_parse_saturating(view_from(text, negative), INT64_MAX, &n))
		return 0;
	return negative ? -(int64_t)n : (int64_t)n;
}

/* RFC 9110 §5.6.7 */
#define TIME   "[0-9]{2}:[0-9]{2}:[0-9]{2}"
#define MONTH  "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
#define DAY    "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
#define LONG   "(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
#define YEARS  10000

static int64_t instant(struct tm tm)
{
	return timegm(&tm);
}

/* Two digits: the latest year that is not more than 50 years ahead. */
static int year_by_clock(struct tm tm, int two, int64_t now)
{
	for (int year = YEARS - 100 + two; year > 99; year -= 100) {
		tm.tm_year = year - 50 - 1900;
		if (instant(tm) <= now)
			return year;
	}
	return two;
}

static int month_of(const char *name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	return (int)(strstr(names, name) - names) / 3;
}

static int64_t reference(struct view text, int64_t now)
{
	struct tm tm = {0}, same;
	char copy[64], month[4];
	int year;

	if (!view_copy(text, copy, sizeof(copy)))
		return HTTP_DATE_NONE;
	if (REFERENCE(DAY ", [0-9]{2} " MONTH " [0-9]{4} " TIME " GMT", text)) {
		check(sscanf(copy, "%*4s %d %3s %d %d:%d:%d", &tm.tm_mday, month, &year, &tm.tm_hour,
		             &tm.tm_min, &tm.tm_sec) == 6);
	} else if (REFERENCE(DAY " " MONTH " ([0-9]{2}| [0-9]) " TIME " [0-9]{4}", text)) {
		check(sscanf(copy, "%*3s %3s %d %d:%d:%d %d", month, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
		             &tm.tm_sec, &year) == 6);
	} else if (REFERENCE(LONG ", [0-9]{2}-" MONTH "-[0-9]{2} " TIME " GMT", text)) {
		check(sscanf(copy, "%*[^,], %d-%3s-%d %d:%d:%d", &tm.tm_mday, month, &year, &tm.tm_hour,
		             &tm.tm_min, &tm.tm_sec) == 6);
		tm.tm_mon = month_of(month);
		year = year_by_clock(tm, year, now);
	} else {
		return HTTP_DATE_NONE;
	}
	tm.tm_mon = month_of(month);
	tm.tm_year = year - 1900;
	if (tm.tm_mday < 1 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return HTTP_DATE_NONE;
	/* A day that is none becomes another one. */
	same = tm;
	same.tm_sec = 0;
	timegm(&same);
	return same.tm_mday == tm.tm_mday ? instant(tm) : HTTP_DATE_NONE;
}

/* Within the years that a date can have. */
static int64_t clamp(int64_t now)
{
	int64_t first = instant((struct tm){.tm_year = -1900, .tm_mday = 1});
	int64_t last = instant((struct tm){.tm_year = YEARS - 1900, .tm_mday = 1}) - 1;

	return now < first ? first : now > last ? last : now;
}

int fuzz_one(const uint8_t *data, size_t len)
{
	struct view text, clock = view_cut(view_make(data, len), '\n', &text);
	int64_t now = parse_clock(clock), t;
	char out[HTTP_DATE_LEN];

	http_date_format(now, out);
	check(http_date_parse(view_make(out, sizeof(out)), 0) != HTTP_DATE_NONE);
	t = http_date_parse(text, now);
	if (reference_fits(text))
		check(t == reference(text, clamp(now)));
	if (t == HTTP_DATE_NONE)
		return 0;
	http_date_format(t, out);
	/* A leap second at the end of the last year is the only instant that can't be written. */
	if (t <= 253402300799)
		check(http_date_parse(view_make(out, sizeof(out)), now) == t);
	return 0;
}
