#include "log-private.h"

#include <unistd.h>

#include "base/num.h"

static const char HEX[] = "0123456789abcdef";
static const char HEX_UPPER[] = "0123456789ABCDEF";

static size_t room(const struct log_line *l)
{
	return (size_t)(l->end - l->p) - 1;
}

void log_line_add(struct log_line *l, struct view v)
{
	size_t n = v.len < room(l) ? v.len : room(l);

	if (n)
		memcpy(l->p, v.ptr, n);
	l->p += n;
}

void log_line_addc(struct log_line *l, char c)
{
	if (room(l))
		*l->p++ = c;
}

void log_line_addu(struct log_line *l, uint64_t n)
{
	char digits[20];

	log_line_add(l, view_make(digits, num_format_u64(n, digits)));
}

void log_line_addu_pad(struct log_line *l, uint64_t n, unsigned width, char pad)
{
	char digits[20];
	size_t len = num_format_u64(n, digits);

	for (size_t i = len; i < width; i++)
		log_line_addc(l, pad);
	log_line_add(l, view_make(digits, len));
}

/* The length of the run at the start of v that needs no escape. */
static size_t clean_run(struct view v, bool blanks, bool high)
{
	size_t i = 0;

	while (i < v.len) {
		unsigned char c = (unsigned char)v.ptr[i];

		if (c < ' ' || c == '"' || c == '\\' || c == 0x7f || (c > 0x7f && !high) ||
		    (c == ' ' && !blanks))
			break;
		i++;
	}
	return i;
}

void log_line_text(struct log_line *l, struct view v, bool quoted, size_t max)
{
	if (!v.len) {
		log_line_addc(l, '-');
		return;
	}
	while (v.len) {
		size_t run = clean_run(v, quoted, false);

		if (run > max)
			run = max;
		log_line_add(l, view_make(v.ptr, run));
		max -= run;
		v = view_from(v, run);
		if (!v.len)
			return;
		if (max < 4) {
			log_line_add(l, V("..."));
			return;
		}
		log_line_add(l, V("\\x"));
		log_line_addc(l, HEX_UPPER[(unsigned char)v.ptr[0] >> 4]);
		log_line_addc(l, HEX_UPPER[(unsigned char)v.ptr[0] & 15]);
		max -= 4;
		v = view_from(v, 1);
	}
}

/* RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t log_utf8_length(struct view v)
{
	unsigned char c = v.len ? (unsigned char)v.ptr[0] : 0xff, low = 0x80, high = 0xbf;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (v.len < n)
		return 0;
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < n; i++) {
		c = (unsigned char)v.ptr[i];
		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return n;
}

/* One unit of the input as JSON text into dst (at most 6 bytes); *used: bytes of the input. */
static size_t json_unit(struct view v, char *dst, size_t *used)
{
	unsigned char c = (unsigned char)v.ptr[0];
	size_t n = log_utf8_length(v);

	*used = n ? n : 1;
	if (!n) {
		/* No character at all: shown as the text formats show it. */
		memcpy(dst, "\\\\x", 3);
		dst[3] = HEX_UPPER[c >> 4];
		dst[4] = HEX_UPPER[c & 15];
		return 5;
	}
	if (n == 1 && (c == '"' || c == '\\')) {
		dst[0] = '\\';
		dst[1] = (char)c;
		return 2;
	}
	/* Controls, also the second set (U+0080 to U+009F), which terminals may obey. */
	if (c < ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)v.ptr[1] < 0xa0)) {
		c = n == 2 ? (unsigned char)v.ptr[1] : c;
		memcpy(dst, "\\u00", 4);
		dst[4] = HEX[c >> 4];
		dst[5] = HEX[c & 15];
		return 6;
	}
	memcpy(dst, v.ptr, n);
	return n;
}

void log_line_json(struct log_line *l, struct view v, size_t max)
{
	char unit[8];
	size_t used, n;

	if (!v.len) {
		log_line_add(l, V("null"));
		return;
	}
	log_line_addc(l, '"');
	while (v.len) {
		n = clean_run(v, true, false);
		if (n > max)
			n = max;
		if (n) {
			log_line_add(l, view_make(v.ptr, n));
			used = n;
		} else {
			n = json_unit(v, unit, &used);
			if (n > max) {
				log_line_add(l, V("..."));
				break;
			}
			log_line_add(l, view_make(unit, n));
		}
		max -= n;
		v = view_from(v, used);
	}
	log_line_addc(l, '"');
}

void log_line_message(struct log_line *l, struct view v)
{
	while (v.len) {
		size_t n = log_utf8_length(v);
		unsigned char c = (unsigned char)v.ptr[0];

		if (!n || c < ' ' || c == 0x7f || (c == 0xc2 && (unsigned char)v.ptr[1] < 0xa0)) {
			log_line_add(l, V("\\x"));
			log_line_addc(l, HEX_UPPER[c >> 4]);
			log_line_addc(l, HEX_UPPER[c & 15]);
			n = 1;
		} else {
			log_line_add(l, view_make(v.ptr, n));
		}
		v = view_from(v, n);
	}
}

void log_syslog_head(struct log_line *l, unsigned severity, const struct log_clock *c)
{
	enum { DAEMON = 3 }; /* facility */

	log_line_addc(l, '<');
	log_line_addu(l, DAEMON * 8 + severity);
	log_line_addc(l, '>');
	log_line_add(l, view_of(c->syslog));
	log_line_add(l, V(" larder["));
	log_line_addu(l, (uint64_t)getpid());
	log_line_add(l, V("]: "));
}
