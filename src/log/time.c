#include "log-private.h"

/* Not strftime: its names of months follow the locale. */
static const char MONTHS[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static void put(struct log_line *l, int n, unsigned width, char pad)
{
	log_line_addu_pad(l, n < 0 ? 0 : (uint64_t)n, width, pad);
}

static void put_day_time(struct log_line *l, const struct tm *tm)
{
	put(l, tm->tm_hour, 2, '0');
	log_line_addc(l, ':');
	put(l, tm->tm_min, 2, '0');
	log_line_addc(l, ':');
	put(l, tm->tm_sec, 2, '0');
}

static void put_zone(struct log_line *l, const struct tm *tm, bool colon)
{
	int minutes = (int)(tm->tm_gmtoff < 0 ? -tm->tm_gmtoff : tm->tm_gmtoff) / 60;

	log_line_addc(l, tm->tm_gmtoff < 0 ? '-' : '+');
	put(l, minutes / 60, 2, '0');
	if (colon)
		log_line_addc(l, ':');
	put(l, minutes % 60, 2, '0');
}

static void compute_clf(struct log_clock *c, const struct tm *tm)
{
	struct log_line l = {.p = c->clf, .end = c->clf + sizeof(c->clf)};

	put(&l, tm->tm_mday, 2, '0');
	log_line_addc(&l, '/');
	log_line_add(&l, view_of(MONTHS[tm->tm_mon % 12]));
	log_line_addc(&l, '/');
	put(&l, tm->tm_year + 1900, 4, '0');
	log_line_addc(&l, ':');
	put_day_time(&l, tm);
	log_line_addc(&l, ' ');
	put_zone(&l, tm, false);
	*l.p = '\0';
}

static void compute_iso(struct log_clock *c, const struct tm *tm)
{
	struct log_line l = {.p = c->iso, .end = c->iso + sizeof(c->iso)};

	put(&l, tm->tm_year + 1900, 4, '0');
	log_line_addc(&l, '-');
	put(&l, tm->tm_mon + 1, 2, '0');
	log_line_addc(&l, '-');
	put(&l, tm->tm_mday, 2, '0');
	log_line_addc(&l, 'T');
	put_day_time(&l, tm);
	*l.p = '\0';
	l = (struct log_line){.p = c->zone, .end = c->zone + sizeof(c->zone)};
	put_zone(&l, tm, true);
	*l.p = '\0';
}

static void compute_syslog(struct log_clock *c, const struct tm *tm)
{
	struct log_line l = {.p = c->syslog, .end = c->syslog + sizeof(c->syslog)};

	log_line_add(&l, view_of(MONTHS[tm->tm_mon % 12]));
	log_line_addc(&l, ' ');
	put(&l, tm->tm_mday, 2, ' ');
	log_line_addc(&l, ' ');
	put_day_time(&l, tm);
	*l.p = '\0';
}

const struct log_clock *log_clock_at(int64_t second)
{
	static _Thread_local struct log_clock cached = {.second = INT64_MIN};
	time_t t = (time_t)second;
	struct tm tm;

	if (cached.second != second) {
		if (!localtime_r(&t, &tm))
			memset(&tm, 0, sizeof(tm));
		compute_clf(&cached, &tm);
		compute_iso(&cached, &tm);
		compute_syslog(&cached, &tm);
		cached.second = second;
	}
	return &cached;
}
