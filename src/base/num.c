#include "base/num.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/error.h"

static int parse_digits(struct view v, uint64_t max, uint64_t *out, bool saturate)
{
	uint64_t n = 0;
	bool over = false;

	if (!v.len)
		return LARDER_EINVAL;
	for (size_t i = 0; i < v.len; i++) {
		if (v.ptr[i] < '0' || v.ptr[i] > '9')
			return LARDER_EINVAL;
		if (over || !num_mul(n, 10, &n) || !num_add(n, (uint64_t)(v.ptr[i] - '0'), &n) || n > max)
			over = true;
	}
	if (over && !saturate)
		return LARDER_ELIMIT;
	*out = over ? max : n;
	return 0;
}

int num_parse_u64(struct view v, uint64_t max, uint64_t *out)
{
	return parse_digits(v, max, out, false);
}

int num_parse_saturating(struct view v, uint64_t max, uint64_t *out)
{
	return parse_digits(v, max, out, true);
}

int num_parse_hex(struct view v, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!v.len)
		return LARDER_EINVAL;
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = view_lower_byte((unsigned char)v.ptr[i]);
		unsigned digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (c >= 'a' && c <= 'f')
			digit = c - 'a' + 10;
		else
			return LARDER_EINVAL;
		if (i >= 16)
			return LARDER_ELIMIT;
		n = n << 4 | digit;
	}
	if (n > max)
		return LARDER_ELIMIT;
	*out = n;
	return 0;
}

struct unit {
	struct view name;
	uint64_t factor;
};

/* Splits digits from a unit and multiplies; the first row is for no unit. */
static int parse_units(struct view v, const struct unit *units, size_t n, uint64_t *out)
{
	size_t digits = 0;
	uint64_t number;
	int err;

	while (digits < v.len && v.ptr[digits] >= '0' && v.ptr[digits] <= '9')
		digits++;
	err = num_parse_u64(view_make(v.ptr, digits), UINT64_MAX, &number);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (view_ieq(view_from(v, digits), units[i].name))
			return num_mul(number, units[i].factor, out) ? 0 : LARDER_ELIMIT;
	}
	return LARDER_EINVAL;
}

int num_parse_size(struct view v, uint64_t *bytes)
{
	static const struct unit units[] = {
		{V(""), 1},          {V("k"), 1ULL << 10}, {V("m"), 1ULL << 20},
		{V("g"), 1ULL << 30}, {V("t"), 1ULL << 40},
	};

	if (v.len > 1 && view_ieq(view_from(v, v.len - 1), V("b"))) {
		v.len--;
		if (v.len > 2 && view_ieq(view_from(v, v.len - 1), V("i")) &&
		    (v.ptr[v.len - 2] < '0' || v.ptr[v.len - 2] > '9'))
			v.len--;
	}
	return parse_units(v, units, ARRAY_LEN(units), bytes);
}

int num_parse_duration(struct view v, uint64_t *ms)
{
	static const struct unit units[] = {
		{V(""), 1000},    {V("ms"), 1},        {V("s"), 1000},      {V("m"), 60000},
		{V("h"), 3600000}, {V("d"), 86400000}, {V("w"), 604800000},
	};

	return parse_units(v, units, ARRAY_LEN(units), ms);
}

static char *format_units(uint64_t n, const struct unit *units, size_t rows, char *dst, size_t size)
{
	size_t best = 0;

	for (size_t i = 1; i < rows; i++) {
		if (n && n % units[i].factor == 0)
			best = i;
	}
	snprintf(dst, size, "%" PRIu64 "%.*s", n / units[best].factor, VFMT(units[best].name));
	return dst;
}

char *num_format_size(uint64_t bytes, char *dst, size_t size)
{
	static const struct unit units[] = {
		{V(""), 1},          {V("k"), 1ULL << 10}, {V("M"), 1ULL << 20},
		{V("G"), 1ULL << 30}, {V("T"), 1ULL << 40},
	};

	return format_units(bytes, units, ARRAY_LEN(units), dst, size);
}

char *num_format_duration(uint64_t ms, char *dst, size_t size)
{
	static const struct unit units[] = {
		{V("ms"), 1}, {V("s"), 1000}, {V("m"), 60000}, {V("h"), 3600000}, {V("d"), 86400000},
	};

	if (ms == 0)
		return format_units(0, (const struct unit[]){{V("s"), 1}}, 1, dst, size);
	return format_units(ms, units, ARRAY_LEN(units), dst, size);
}

/* "00" to "99" */
static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

size_t num_format_u64(uint64_t n, char *dst)
{
	char text[20], *at = text + sizeof(text);
	size_t len;

	for (; n >= 100; n /= 100) {
		at -= 2;
		memcpy(at, &digit_pairs[n % 100 * 2], 2);
	}
	if (n >= 10) {
		at -= 2;
		memcpy(at, &digit_pairs[n * 2], 2);
	} else {
		*--at = (char)('0' + n);
	}
	len = (size_t)(text + sizeof(text) - at);
	memcpy(dst, at, len);
	return len;
}
