#include "conf-private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

/* A number of any of the numeric types; INT may be negative, so all travel as int64_t or as
 * uint64_t. */
struct number {
	bool negative;
	uint64_t magnitude;
};

static int number_cmp(struct number a, struct number b)
{
	int c = (a.magnitude > b.magnitude) - (a.magnitude < b.magnitude);

	if (a.negative != b.negative)
		return a.negative ? -1 : 1;
	return a.negative ? -c : c;
}

static int parse_int(struct view v, struct number *out)
{
	bool negative = v.len && v.ptr[0] == '-';
	int err = num_parse_u64(negative ? view_from(v, 1) : v, INT64_MAX, &out->magnitude);

	out->negative = negative && !err && out->magnitude;
	return err;
}

static int parse_number(enum option_type type, const char *text, struct number *out)
{
	struct view v = view_of(text);

	out->negative = false;
	switch (type) {
	case OPTION_SIZE:
		return num_parse_size(v, &out->magnitude);
	case OPTION_DURATION:
		return num_parse_duration(v, &out->magnitude);
	case OPTION_PERCENT:
		if (v.len && v.ptr[v.len - 1] == '%')
			v.len--;
		return num_parse_u64(v, UINT32_MAX, &out->magnitude);
	default:
		return parse_int(v, out);
	}
}

static const char *expected(enum option_type type)
{
	switch (type) {
	case OPTION_SIZE:
		return "a size: digits and one of k, M, G, T, as in 64k";
	case OPTION_DURATION:
		return "a time: digits and one of ms, s, m, h, d, w, as in 30s";
	case OPTION_PERCENT:
		return "a percentage from 0 to 100";
	default:
		return "a whole number";
	}
}

static int check_number(const struct option_row *row, const char *item, char **why)
{
	const char *min = row->min, *max = row->max;
	struct number n, bound;
	int err = parse_number(row->type, item, &n);

	if (row->type == OPTION_PERCENT) {
		min = min ? min : "0";
		max = max ? max : "100";
	}
	if (err == LARDER_EINVAL) {
		*why = conf_text("%s: \"%s\" is not %s", row->name, item, expected(row->type));
		return err;
	}
	if (!err && min && parse_number(row->type, min, &bound) == 0 && number_cmp(n, bound) < 0)
		err = LARDER_ELIMIT;
	if (!err && max && parse_number(row->type, max, &bound) == 0 && number_cmp(n, bound) > 0)
		err = LARDER_ELIMIT;
	if (!err)
		return 0;
	if (min && max)
		*why = conf_text("%s: %s is out of bounds: %s to %s", row->name, item, min, max);
	else if (min && *min != '0')
		*why = conf_text("%s: %s is out of bounds: at least %s", row->name, item, min);
	else
		*why = conf_text("%s: %s is too large", row->name, item);
	return LARDER_EINVAL;
}

/* 1, 0, or -1 for what is neither. */
static int parse_bool(const char *item)
{
	static const char *const yes[] = {"yes", "on", "true"}, *const no[] = {"no", "off",
	                                                                       "false"};

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (view_ieq(view_of(item), view_of(yes[i])))
			return 1;
		if (view_ieq(view_of(item), view_of(no[i])))
			return 0;
	}
	return -1;
}

/* The index of the choice in "a|b|c", or -1. */
static int parse_choice(const char *choices, const char *item)
{
	struct view rest = view_of(choices);

	for (int i = 0; rest.ptr; i++) {
		if (view_eq(view_cut(rest, '|', &rest), view_of(item)))
			return i;
	}
	return -1;
}

static struct view choice_name(const char *choices, int index)
{
	struct view rest = view_of(choices), name = view_cut(rest, '|', &rest);

	for (int i = 0; i < index && rest.ptr; i++)
		name = view_cut(rest, '|', &rest);
	return name;
}

static char *choices_text(const struct option_row *row, const char *item)
{
	struct view rest = view_of(row->min), one = view_cut(rest, '|', &rest);
	struct buf b;
	char *text;

	buf_init(&b, CONF_WHY_MAX);
	buf_printf(&b, "%s: \"%s\" is not one of %.*s", row->name, item, VFMT(one));
	while (rest.ptr) {
		one = view_cut(rest, '|', &rest);
		buf_printf(&b, rest.ptr ? ", %.*s" : " or %.*s", VFMT(one));
	}
	text = buf_cstr(&b);
	return text ? text : conf_text("%s: not one of %s", row->name, row->min);
}

int conf_value_check(const struct option_row *row, const char *item, char **why)
{
	switch (row->type) {
	case OPTION_BOOL:
		if (parse_bool(item) >= 0)
			return 0;
		*why = conf_text("%s: \"%s\" is neither yes nor no", row->name, item);
		return LARDER_EINVAL;
	case OPTION_ENUM:
		if (parse_choice(row->min, item) >= 0)
			return 0;
		*why = choices_text(row, item);
		return LARDER_EINVAL;
	case OPTION_LIST:
		if (*item)
			return 0;
		*why = conf_text("%s: an empty item; for an empty list write {}", row->name);
		return LARDER_EINVAL;
	case OPTION_STRING:
		return 0;
	default:
		return check_number(row, item, why);
	}
}

static void fill_number(const struct option_row *row, const char *item, void *member)
{
	struct number n;

	check(parse_number(row->type, item, &n) == 0);
	if (row->type == OPTION_INT)
		*(int64_t *)member = n.negative ? -(int64_t)n.magnitude : (int64_t)n.magnitude;
	else if (row->type == OPTION_PERCENT)
		*(unsigned *)member = (unsigned)n.magnitude;
	else
		*(uint64_t *)member = n.magnitude;
}

void conf_value_fill(const struct option_row *row, const struct conf_setting *s, void *options)
{
	void *member = (char *)options + row->offset;

	switch (row->type) {
	case OPTION_BOOL:
		*(bool *)member = parse_bool(s->items[0]) == 1;
		break;
	case OPTION_ENUM:
		*(int *)member = parse_choice(row->min, s->items[0]);
		break;
	case OPTION_STRING:
		*(char **)member = s->items[0];
		break;
	case OPTION_LIST:
		*(struct option_list *)member = (struct option_list){s->items, s->n};
		break;
	default:
		fill_number(row, s->items[0], member);
	}
}

void conf_string_print(const char *s, struct buf *out)
{
	buf_addc(out, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\' || c == '$')
			buf_printf(out, "\\%c", c);
		else if (c == '\n')
			BUF_ADD_LIT(out, "\\n");
		else if (c == '\t')
			BUF_ADD_LIT(out, "\\t");
		else if (c < ' ' || c == 0x7f)
			buf_printf(out, "\\x%02x", (unsigned)c);
		else
			buf_addc(out, (char)c);
	}
	buf_addc(out, '"');
}

static void print_number(const struct option_row *row, const char *item, struct buf *out)
{
	char text[32];
	struct number n;

	check(parse_number(row->type, item, &n) == 0);
	if (row->type == OPTION_SIZE)
		buf_addv(out, view_of(num_format_size(n.magnitude, text, sizeof(text))));
	else if (row->type == OPTION_DURATION)
		buf_addv(out, view_of(num_format_duration(n.magnitude, text, sizeof(text))));
	else
		buf_printf(out, "%s%" PRIu64, n.negative ? "-" : "", n.magnitude);
}

void conf_value_print(const struct option_row *row, const struct conf_setting *s, struct buf *out)
{
	switch (row->type) {
	case OPTION_BOOL:
		buf_addv(out, parse_bool(s->items[0]) == 1 ? V("yes") : V("no"));
		break;
	case OPTION_ENUM:
		buf_addv(out, choice_name(row->min, parse_choice(row->min, s->items[0])));
		break;
	case OPTION_STRING:
		conf_string_print(s->items[0], out);
		break;
	case OPTION_LIST:
		buf_addc(out, '{');
		for (size_t i = 0; i < s->n; i++) {
			buf_addv(out, i ? V(", ") : V(" "));
			conf_string_print(s->items[i], out);
		}
		buf_addv(out, s->n ? V(" }") : V("}"));
		break;
	default:
		print_number(row, s->items[0], out);
	}
}

void conf_list_free(char **items, size_t n)
{
	for (size_t i = 0; items && i < n; i++)
		free(items[i]);
	free(items);
}

int conf_list_split(const char *text, char ***items, size_t *n)
{
	static const char separators[] = ", \t\n";
	char **list = NULL, **more;
	size_t count = 0;

	for (const char *p = text + strspn(text, separators); *p; p += strspn(p, separators)) {
		size_t len = strcspn(p, separators);

		if (count == CONF_LIST_MAX)
			goto limit;
		more = realloc(list, (count + 1) * sizeof(*list));
		if (!more)
			goto nomem;
		list = more;
		list[count] = view_dup(view_make(p, len));
		if (!list[count])
			goto nomem;
		count++;
		p += len;
	}
	*items = list;
	*n = count;
	return 0;
limit:
	conf_list_free(list, count);
	return LARDER_ELIMIT;
nomem:
	conf_list_free(list, count);
	return LARDER_ENOMEM;
}
