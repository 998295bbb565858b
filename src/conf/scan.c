#include "conf-private.h"

#include <stdlib.h>

#include "base/error.h"

#define ENV_NAME_MAX 128

struct scan {
	const char *p, *end;
	int line;
	struct buf *out;
	int open_line[2]; /* of the braces open: a block, a list in it */
	int depth;
	int *bad_line;
	char **why;
};

static int refuse(struct scan *s, int line, char *why)
{
	*s->bad_line = line;
	*s->why = why;
	return LARDER_EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool ends_word(const struct scan *s)
{
	char c = *s->p;

	if (c == '+')
		return s->p + 1 < s->end && s->p[1] == '=';
	return is_blank(c) || c == '"' || c == '\'' || c == '{' || c == '}' || c == '(' ||
	       c == ')' || c == '=' || c == ',' || c == '#';
}

/* Bytes that mean themselves in libconfuse's bare words. */
static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.' || c == ':';
}

static bool is_name(char c)
{
	return is_plain(c) && c != '-' && c != '.' && c != ':';
}

/* At "${": is the variable there, or has it a substitute? An absent one would become the empty
 * string unnoticed. */
static int check_variable(struct scan *s)
{
	const char *name = s->p + 2, *e = name;
	char text[ENV_NAME_MAX];

	while (e < s->end && is_name(*e))
		e++;
	if (e == name || e == s->end || (*e != '}' && *e != ':') ||
	    !view_copy(view_make(name, (size_t)(e - name)), text, sizeof(text)))
		return refuse(s, s->line,
		              conf_text("malformed ${NAME}; for the characters themselves put the "
		                        "value in single quotes"));
	if (*e == ':') {
		if (s->end - e < 2 || e[1] != '-')
			return refuse(
			        s, s->line,
			        conf_text("malformed ${%s…}; write ${%s:-SUBSTITUTE}", text, text));
		return 0;
	}
	if (!getenv(text))
		return refuse(s, s->line,
		              conf_text("the environment has no variable %s; write "
		                        "${%s:-SUBSTITUTE}, or put the value "
		                        "in single quotes for the characters themselves",
		                        text, text));
	return 0;
}

static void count_line(struct scan *s)
{
	if (*s->p == '\n')
		s->line++;
}

/* After a backslash: a numeric escape for NUL would cut the value short. */
static bool is_nul_escape(const struct scan *s)
{
	const char *p = s->p;
	bool hex = p < s->end && *p == 'x';
	const char *last = p + 3;

	if (!hex && (p == s->end || *p != '0'))
		return false;
	for (p += hex; p < s->end && p < last && *p == '0'; p++)
		;
	if (p == s->p + hex || p == last)
		return !(hex && p == s->p + 1);
	return !(*p >= '0' && *p <= (hex ? '9' : '7')) &&
	       !(hex && view_lower_byte((unsigned char)*p) >= 'a' &&
	         view_lower_byte((unsigned char)*p) <= 'f');
}

static int scan_quoted(struct scan *s)
{
	const char quote = *s->p, *start = s->p;
	int first = s->line, err;

	for (s->p++; s->p < s->end && *s->p != quote; s->p++) {
		if (*s->p == '\\' && s->p + 1 < s->end) {
			s->p++;
			if (quote == '"' && is_nul_escape(s))
				return refuse(s, s->line,
				              conf_text("a value cannot hold the byte 0"));
		} else if (quote == '"' && *s->p == '$' && s->p + 1 < s->end && s->p[1] == '{') {
			err = check_variable(s);
			if (err)
				return err;
		}
		count_line(s);
	}
	if (s->p == s->end)
		return refuse(s, first,
		              conf_text("the string that begins here has no closing %c", quote));
	s->p++;
	return buf_add(s->out, start, (size_t)(s->p - start));
}

/* The rest of a line, or up to the end mark; newlines stay. */
static int scan_comment(struct scan *s)
{
	bool block = s->p[0] == '/' && s->p[1] == '*';
	int first = s->line;

	if (!block) {
		while (s->p < s->end && *s->p != '\n')
			s->p++;
		return 0;
	}
	for (s->p += 2; s->p < s->end; s->p++) {
		if (*s->p == '*' && s->p + 1 < s->end && s->p[1] == '/') {
			s->p += 2;
			return buf_addc(s->out, ' ');
		}
		count_line(s);
		if (*s->p == '\n')
			buf_addc(s->out, '\n');
	}
	return refuse(s, first, conf_text("the comment that begins here has no closing */"));
}

/* A bare word; in quotes unless all its bytes are harmless, for libconfuse skips some of the
 * others. */
static int scan_word(struct scan *s)
{
	const char *start = s->p;
	bool plain = true;
	int err;

	while (s->p < s->end && !ends_word(s)) {
		if (*s->p == '\\')
			return refuse(s, s->line,
			              conf_text("a value with a backslash must be in quotes"));
		if (*s->p == '$' && s->p + 1 < s->end && s->p[1] == '{') {
			err = check_variable(s);
			if (err)
				return err;
			while (s->p < s->end && *s->p != '}' && *s->p != '\n' && *s->p != '"')
				s->p++;
			if (s->p == s->end || *s->p != '}')
				return refuse(
				        s, s->line,
				        conf_text("the ${ that begins here has no closing }"));
			plain = false;
		}
		plain = plain && is_plain(*s->p);
		s->p++;
	}
	if (!plain)
		buf_addc(s->out, '"');
	buf_add(s->out, start, (size_t)(s->p - start));
	if (!plain)
		buf_addc(s->out, '"');
	return s->out->err;
}

static int scan_brace(struct scan *s)
{
	if (*s->p == '{') {
		if (s->depth == 2)
			return refuse(s, s->line,
			              conf_text("braces nested too deep: a list in a listen block "
			                        "is the deepest"));
		s->open_line[s->depth++] = s->line;
	} else {
		if (!s->depth)
			return refuse(s, s->line, conf_text("a } without its {"));
		s->depth--;
	}
	return buf_addc(s->out, *s->p++);
}

static bool is_comment(const struct scan *s)
{
	return *s->p == '#' ||
	       (*s->p == '/' && s->p + 1 < s->end && (s->p[1] == '/' || s->p[1] == '*'));
}

static int check_bytes(struct scan *s)
{
	int line = 1;

	for (const char *p = s->p; p < s->end; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c < ' ' && !is_blank(*p)) || c == 0x7f)
			return refuse(s, line,
			              conf_text("a byte that is not text: 0x%02x", (unsigned)c));
		line += c == '\n';
	}
	return 0;
}

int conf_scan(struct view text, struct buf *out, int *line, char **why)
{
	struct scan s = {.line = 1, .out = out, .bad_line = line, .why = why};
	int err;

	if (view_starts(text, V("\xef\xbb\xbf")))
		text = view_from(text, 3);
	s.p = text.ptr;
	s.end = text.ptr + text.len;
	err = check_bytes(&s);
	while (!err && s.p < s.end) {
		if (*s.p == '"' || *s.p == '\'')
			err = scan_quoted(&s);
		else if (is_comment(&s))
			err = scan_comment(&s);
		else if (*s.p == '{' || *s.p == '}')
			err = scan_brace(&s);
		else if (!ends_word(&s))
			err = scan_word(&s);
		else {
			count_line(&s);
			err = buf_addc(out, *s.p == '\r' ? ' ' : *s.p);
			s.p++;
		}
	}
	if (!err && s.depth)
		err = refuse(&s, s.open_line[s.depth - 1],
		             conf_text("the { on this line has no closing }"));
	return err;
}
