#include "http/value.h"

#include "http-private.h"

#define DAY 86400

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const struct view days[7] = {
	{"Sunday", 6},   {"Monday", 6}, {"Tuesday", 7},  {"Wednesday", 9},
	{"Thursday", 8}, {"Friday", 6}, {"Saturday", 8},
};

struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
	unsigned hour, minute, second;
};

/* Days since 1970-01-01 in the Gregorian calendar. The year begins in March, so that
 * the leap day is its last; 400 years of 146097 days are added, so that no term is negative. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	int64_t y = (month <= 2 ? year - 1 : year) + 400;
	int64_t month_from_march = ((int64_t)month + 9) % 12;
	int64_t leaps = y / 4 - y / 100 + y / 400;

	return y * 365 + leaps + (153 * month_from_march + 2) / 5 + (int64_t)day - 1 - 719468 -
	       146097;
}

static bool is_leap(int64_t year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_in(int64_t year, unsigned month)
{
	static const uint8_t lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return lengths[month - 1] + (month == 2 && is_leap(year));
}

static int64_t seconds_of(const struct civil *c)
{
	return days_of(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 +
	       c->second;
}

/* The year that holds the day. */
static int64_t year_of(int64_t day)
{
	int64_t year = 1970 + day / 366;

	while (days_of(year + 1, 1, 1) <= day)
		year++;
	while (days_of(year, 1, 1) > day)
		year--;
	return year;
}

/* Digits at a place; false unless all are. */
static bool digits(struct view text, size_t at, size_t n, unsigned *out)
{
	*out = 0;
	for (size_t i = at; i < at + n; i++) {
		if (!http_char_is(text.ptr[i], HTTP_DIGIT))
			return false;
		*out = *out * 10 + (unsigned)(text.ptr[i] - '0');
	}
	return true;
}

/* RFC 9110 §5.6.7 has dates depend on case; for caches RFC 9111 §4.2 relaxes that. */
static bool same(const char *a, const char *b, size_t n)
{
	return view_ieq(view_make(a, n), view_make(b, n));
}

/* Does the text look as the pattern, in which "_" stands for any byte? */
static bool looks(struct view text, struct view pattern)
{
	if (text.len != pattern.len)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (pattern.ptr[i] != '_' && !same(pattern.ptr + i, text.ptr + i, 1))
			return false;
	}
	return true;
}

static bool month_at(struct view text, size_t at, struct civil *c)
{
	for (unsigned m = 0; m < 12; m++) {
		if (same(text.ptr + at, months[m], 3)) {
			c->month = m + 1;
			return true;
		}
	}
	return false;
}

static bool time_at(struct view text, size_t at, struct civil *c)
{
	return digits(text, at, 2, &c->hour) && digits(text, at + 3, 2, &c->minute) &&
	       digits(text, at + 6, 2, &c->second);
}

static bool short_day(struct view text)
{
	for (unsigned d = 0; d < 7; d++) {
		if (same(text.ptr, days[d].ptr, 3))
			return true;
	}
	return false;
}

/* Within the calendar and the clock; 60 is a leap second (RFC 9110 §5.6.7). */
static int64_t finish(const struct civil *c)
{
	if (c->day < 1 || c->day > days_in(c->year, c->month) || c->hour > 23 || c->minute > 59 ||
	    c->second > 60)
		return HTTP_DATE_NONE;
	return seconds_of(c);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static int64_t parse_fixdate(struct view text)
{
	struct civil c;
	unsigned year;

	if (!short_day(text) || !digits(text, 5, 2, &c.day) || !month_at(text, 8, &c) ||
	    !digits(text, 12, 4, &year) || !time_at(text, 17, &c))
		return HTTP_DATE_NONE;
	c.year = year;
	return finish(&c);
}

/* Sun Nov  6 08:49:37 1994 */
static int64_t parse_asctime(struct view text)
{
	struct civil c;
	unsigned year;
	bool space = text.ptr[8] == ' ';

	if (!short_day(text) || !month_at(text, 4, &c) ||
	    !digits(text, space ? 9 : 8, space ? 1 : 2, &c.day) || !time_at(text, 11, &c) ||
	    !digits(text, 20, 4, &year))
		return HTTP_DATE_NONE;
	c.year = year;
	return finish(&c);
}

/* The latest year with these two digits that is not more than 50 years in the future,
 * and has four digits. */
static int64_t century(const struct civil *c, unsigned two_digits, int64_t now)
{
	int64_t this_year = year_of(now / DAY - (now % DAY < 0));
	struct civil earlier = *c;

	earlier.year = this_year - this_year % 100 + 100 + two_digits - 50;
	while (seconds_of(&earlier) > now)
		earlier.year -= 100;
	if (earlier.year + 50 > 9999)
		return earlier.year - 50;
	return earlier.year + 50 < 0 ? earlier.year + 150 : earlier.year + 50;
}

/* Sunday, 06-Nov-94 08:49:37 GMT; the day's name is cut. */
static int64_t parse_rfc850(struct view text, int64_t now)
{
	struct civil c;
	unsigned year;

	if (!looks(text, V(", __-___-__ __:__:__ GMT")) || !digits(text, 2, 2, &c.day) ||
	    !month_at(text, 5, &c) || !digits(text, 9, 2, &year) || !time_at(text, 12, &c))
		return HTTP_DATE_NONE;
	c.year = century(&c, year, now);
	return finish(&c);
}

/* The seconds of 0000-01-01 00:00:00 and of 9999-12-31 23:59:59. */
static int64_t clamp(int64_t t)
{
	int64_t first = days_of(0, 1, 1) * DAY, last = days_of(10000, 1, 1) * DAY - 1;

	return t < first ? first : t > last ? last : t;
}

int64_t http_date_parse(struct view text, int64_t now)
{
	if (looks(text, V("___, __ ___ ____ __:__:__ GMT")))
		return parse_fixdate(text);
	if (looks(text, V("___ ___ __ __:__:__ ____")))
		return parse_asctime(text);
	for (unsigned d = 0; d < 7; d++) {
		if (view_istarts(text, days[d]))
			return parse_rfc850(view_from(text, days[d].len), clamp(now));
	}
	return HTTP_DATE_NONE;
}

static void put(char *dst, unsigned n, unsigned width)
{
	while (width--) {
		dst[width] = (char)('0' + n % 10);
		n /= 10;
	}
}

void http_date_format(int64_t t, char dst[HTTP_DATE_LEN])
{
	int64_t day, second, year;
	unsigned month = 1, of_month;

	t = clamp(t);
	day = t / DAY - (t % DAY < 0);
	second = t - day * DAY;
	year = year_of(day);
	while (month < 12 && days_of(year, month + 1, 1) <= day)
		month++;
	of_month = (unsigned)(day - days_of(year, month, 1)) + 1;
	memcpy(dst, "___, __ ___ ____ __:__:__ GMT", HTTP_DATE_LEN);
	/* 1970-01-01 was a Thursday. */
	memcpy(dst, days[((day + 4) % 7 + 7) % 7].ptr, 3);
	put(dst + 5, of_month, 2);
	memcpy(dst + 8, months[month - 1], 3);
	put(dst + 12, (unsigned)year, 4);
	put(dst + 17, (unsigned)(second / 3600), 2);
	put(dst + 20, (unsigned)(second / 60 % 60), 2);
	put(dst + 23, (unsigned)(second % 60), 2);
}
