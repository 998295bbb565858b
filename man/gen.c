/*
 * Fills the manual's templates: gen TEMPLATE writes the page to standard output. A line
 *
 *   .\" @options ROOM   .\" @counters   .\" @fields   .\" @reasons store|use   .\" @requirements
 *   .\" @comparison scenarios|peers|must|may
 *
 * becomes the list made from the tables. Sentences get lines of their own, as mdoc(7) wants it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct option {
	const char *room, *type, *name, *def, *min, *max, *text;
};
struct counter {
	const char *room, *kind, *name, *text;
};
struct named {
	const char *name, *kind, *text;
};

#define OPTION(type, name, def, min, max, text) {ROOM, #type, #name, def, min, max, text},
static const struct option options[] = {
#define ROOM "main"
#include "main/options.def"
#undef ROOM
#define ROOM "log"
#include "log/options.def"
#undef ROOM
#define ROOM "client"
#include "client/options.def"
#undef ROOM
#define ROOM "exchange"
#include "exchange/options.def"
#undef ROOM
#define ROOM "store"
#include "store/options.def"
#undef ROOM
#define ROOM "origin"
#include "origin/options.def"
#undef ROOM
#define ROOM "listener"
#include "exchange/listener.def"
#undef ROOM
#define ROOM "cache"
#include "cache/options.def"
#undef ROOM
#define ROOM "access"
#include "access/options.def"
#undef ROOM
};

#define COUNTER(kind, name, text) {ROOM, #kind, #name, text},
static const struct counter counters[] = {
#define ROOM "main"
#include "main/counters.def"
#undef ROOM
#define ROOM "client"
#include "client/counters.def"
#undef ROOM
#define ROOM "exchange"
#include "exchange/counters.def"
#undef ROOM
#define ROOM "store"
#include "store/counters.def"
#undef ROOM
#define ROOM "origin"
#include "origin/counters.def"
#undef ROOM
#define ROOM "log"
#include "log/counters.def"
#undef ROOM
};

static const struct named fields[] = {
#define LOG_FIELD(name, kind, member, text) {#name, #kind, text},
#include "log/fields.def"
#undef LOG_FIELD
};

static const struct {
	const char *id, *token, *clause, *text;
} reasons[] = {
#define REASON(id, token, clause, text) {#id, token, clause, text},
#include "cache/reasons.def"
#undef REASON
}, clauses[] = {
#define CLAUSE(id, token, clause, text) {#id, token, clause, text},
#include "cache/clauses.def"
#undef CLAUSE
};

static const struct {
	unsigned rfc;
	const char *title;
} documents[] = {
#define DOCUMENT(rfc, title)                                        {rfc, title},
#define REQUIREMENT(rfc, section, level, text, larder, reason, open)
#include "requirements.def"
#undef DOCUMENT
#undef REQUIREMENT
};

static const struct {
	unsigned rfc;
	const char *section, *level, *text, *larder, *reason, *open;
} requirements[] = {
#define DOCUMENT(rfc, title)
#define REQUIREMENT(rfc, section, level, text, larder, reason, open) {rfc, section, level, text, larder, reason, open},
#include "requirements.def"
#undef DOCUMENT
#undef REQUIREMENT
};

/* What tools/compare found (see its --man). */
#define COMPARED_NONE(...)
static const struct {
	const char *date;
	unsigned must, may, unreached;
} compared =
#define COMPARED(date, must, may, unreached) {date, must, may, unreached};
#define PEER                                 COMPARED_NONE
#define COMPARISON                           COMPARED_NONE
#include "comparison.def"
#undef COMPARED
#undef PEER

static const struct {
	const char *title, *name, *version;
} peers[] = {
#define COMPARED                   COMPARED_NONE
#define PEER(title, name, version) {title, name, version},
#include "comparison.def"
#undef PEER
#undef COMPARISON
};

static const struct {
	const char *category, *cells;
	bool optional;
} comparison[] = {
#define PEER                                  COMPARED_NONE
#define COMPARISON(category, optional, cells) {category, cells, optional},
#include "comparison.def"
#undef COMPARED
#undef PEER
#undef COMPARISON
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* UTF-8 as roff's own escape, backslashes doubled up, and a line's leading control character
 * disarmed. */
static const char *put_char(const char *p)
{
	unsigned char c = (unsigned char)*p;
	unsigned long u;
	int more;

	if (c == '\\') {
		fputs("\\e", stdout);
		return p + 1;
	}
	if (c < 0x80) {
		putchar(c);
		return p + 1;
	}
	more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
	u = c & (0x3fU >> more);
	for (p++; more > 0 && *p; more--, p++)
		u = u << 6 | ((unsigned char)*p & 0x3f);
	printf("\\[u%04lX]", u);
	return p;
}

/* A macro's argument, in quotes. */
static void put_argument(const char *text)
{
	putchar('"');
	while (*text) {
		if (*text == '"') {
			fputs("\\(dq", stdout);
			text++;
		} else {
			text = put_char(text);
		}
	}
	putchar('"');
}

#define WIDTH 78

/* The visible length of the word at p: escapes count as written, which is close enough. */
static size_t word_length(const char *p)
{
	return strcspn(p, " \n");
}

static bool ends_sentence(const char *p)
{
	return p[-1] == '.' && p[0] == ' ' && p[1] >= 'A' && p[1] <= 'Z';
}

/* Text in lines of WIDTH at most. `tables`: it comes from a table, so that roff's characters are to
 * be escaped and sentences to be parted; a template's lines are so already. */
static void put_text(const char *text, bool tables)
{
	size_t column = 0;

	while (*text && *text != '\n') {
		size_t n = word_length(text);

		if (column && column + 1 + n > WIDTH) {
			putchar('\n');
			column = 0;
		} else if (column) {
			putchar(' ');
			column++;
		}
		if (!column && (*text == '\'' || (tables && *text == '.')))
			fputs("\\&", stdout);
		column += n;
		for (const char *end = text + n; text < end;) {
			if (tables)
				text = put_char(text);
			else
				putchar(*text++);
		}
		if (tables && *text && ends_sentence(text))
			column = WIDTH;
		text += *text == ' ';
	}
	putchar('\n');
}

static const char *value_word(const char *type)
{
	static const struct named words[] = {
	        {"BOOL", "yes | no", NULL},      {"INT", "number", NULL},
	        {"SIZE", "size", NULL},          {"DURATION", "time", NULL},
	        {"PERCENT", "percentage", NULL}, {"STRING", "string", NULL},
	        {"LIST", "list", NULL},
	};

	for (size_t i = 0; i < COUNT(words); i++) {
		if (strcmp(words[i].name, type) == 0)
			return words[i].kind;
	}
	return "value";
}

/* The default and the bounds, unless there is nothing to say that the text did not. */
static void put_facts(const struct option *o)
{
	const char *min = o->min && strcmp(o->min, "0") == 0 && !o->max ? NULL : o->min;
	bool bounds = strcmp(o->type, "ENUM") != 0 && (min || o->max);

	if (!*o->def && !bounds) {
		if (!strstr(o->text, "efault"))
			printf("Initially %s.\n", strcmp(o->type, "LIST") == 0 ? "empty" : "unset");
		return;
	}
	fputs("Initially\n.Li ", stdout);
	put_argument(o->def);
	fputs(bounds ? " ;\n" : " .\n", stdout);
	if (bounds && min && o->max)
		printf("from %s to %s.\n", min, o->max);
	else if (bounds)
		printf("at %s %s.\n", min ? "least" : "most", min ? min : o->max);
}

static void put_option(const struct option *o)
{
	if (strcmp(o->type, "ENUM") == 0) {
		printf(".It Ic %s Li = ", o->name);
		for (const char *p = o->min; *p; p++)
			fputs(*p == '|' ? " | " : (char[]){*p, '\0'}, stdout);
		putchar('\n');
	} else if (strcmp(o->type, "BOOL") == 0) {
		printf(".It Ic %s Li = yes | no\n", o->name);
	} else {
		printf(".It Ic %s Li = Ar %s\n", o->name, value_word(o->type));
	}
	put_text(o->text, true);
	put_facts(o);
}

static void put_options(const char *room)
{
	fputs(".Bl -tag -width Ds\n", stdout);
	for (size_t i = 0; i < COUNT(options); i++) {
		if (strcmp(options[i].room, room) == 0)
			put_option(&options[i]);
	}
	fputs(".El\n", stdout);
}

static void put_counters(void)
{
	fputs(".Bl -tag -width Ds\n", stdout);
	for (size_t i = 0; i < COUNT(counters); i++) {
		printf(".It Li %s.%s\n", counters[i].room, counters[i].name);
		put_text(counters[i].text, true);
		if (strcmp(counters[i].kind, "GAUGE") == 0)
			fputs("(a level)\n", stdout);
	}
	fputs(".El\n", stdout);
}

static void put_fields(void)
{
	fputs(".Bl -tag -width origin_status -compact\n", stdout);
	for (size_t i = 0; i < COUNT(fields); i++) {
		printf(".It Li %s\n", fields[i].name);
		put_text(fields[i].text, true);
	}
	fputs(".El\n", stdout);
}

static void put_reasons(const char *which)
{
	const char *prefix = strcmp(which, "store") == 0 ? "STORE_" : "USE_";

	fputs(".Bl -tag -width request-no-store\n", stdout);
	for (size_t i = 0; i < COUNT(reasons); i++) {
		if (strncmp(reasons[i].id, prefix, strlen(prefix)) != 0)
			continue;
		printf(".It Li %s\n", reasons[i].token);
		put_text(reasons[i].text, true);
		if (strcmp(reasons[i].clause, "-") != 0)
			printf("(RFC %s)\n", reasons[i].clause);
	}
	fputs(".El\n", stdout);
}

/* The rules of one kind: life, rule or field. */
static void put_clauses(const char *which)
{
	fputs(".Bl -tag -width stale-while-revalidate -compact\n", stdout);
	for (size_t i = 0; i < COUNT(clauses); i++) {
		if (strncasecmp(clauses[i].id, which, strlen(which)) != 0)
			continue;
		printf(".It Li %s\n", clauses[i].token);
		put_text(clauses[i].text, true);
		if (strcmp(clauses[i].clause, "-") != 0)
			printf("(RFC %s)\n", clauses[i].clause);
	}
	fputs(".El\n", stdout);
}

static void put_requirement(size_t i)
{
	printf(".It Li %s%s%s\n", requirements[i].section, *requirements[i].level ? " " : "", requirements[i].level);
	put_text(requirements[i].text, true);
	if (*requirements[i].reason) {
		fputs("\\(em\nDoes not apply.\n", stdout);
		put_text(requirements[i].reason, true);
	} else if (strcmp(requirements[i].larder, "So.") != 0) {
		fputs("\\(em\n", stdout);
		put_text(requirements[i].larder, true);
	}
	if (*requirements[i].open) {
		fputs(".Em Not yet :\n", stdout);
		put_text(requirements[i].open, true);
	}
}

/* The requirements table (tests/rfc), document by document. */
static void put_requirements(void)
{
	for (size_t d = 0; d < COUNT(documents); d++) {
		printf(".Ss RFC %u, %s\n", documents[d].rfc, documents[d].title);
		fputs(".Bl -tag -width 15.3.7.2\n", stdout);
		for (size_t i = 0; i < COUNT(requirements); i++) {
			if (requirements[i].rfc == documents[d].rfc)
				put_requirement(i);
		}
		fputs(".El\n", stdout);
	}
}

/* A table's cells stand between tabs, which macros take for the next column. */
static void put_cells(const char *first, const char *cells)
{
	fputs(".It ", stdout);
	put_argument(first);
	while (*cells) {
		size_t n = strcspn(cells, " ");

		printf(" Ta %.*s", (int)n, cells);
		cells += n;
		cells += *cells == ' ';
	}
	putchar('\n');
}

static void put_comparison_table(bool optional)
{
	fputs(".Bl -column \"conditional requests\"", stdout);
	for (size_t i = 0; i < COUNT(peers); i++)
		fputs(" \"999/999\"", stdout);
	fputs("\n.It \"\"", stdout);
	for (size_t i = 0; i < COUNT(peers); i++) {
		fputs(" Ta ", stdout);
		put_argument(peers[i].title);
	}
	putchar('\n');
	for (size_t i = 0; i < COUNT(comparison); i++) {
		if (comparison[i].optional == optional)
			put_cells(comparison[i].category, comparison[i].cells);
	}
	fputs(".El\n", stdout);
}

/* The table of the peers that tools/compare asked. */
static int put_comparison(const char *what)
{
	if (strcmp(what, "must") == 0 || strcmp(what, "may") == 0) {
		put_comparison_table(strcmp(what, "may") == 0);
	} else if (strcmp(what, "scenarios") == 0) {
		printf("On %s, %u scenarios asked what must or should be so, and %u what a cache may do.\n", compared.date, compared.must,
		       compared.may);
		printf("%u of them no peer had right.\n", compared.unreached);
	} else if (strcmp(what, "peers") == 0) {
		for (size_t i = 0; i < COUNT(peers); i++)
			printf("%s %s%s\n", peers[i].name, peers[i].version, i + 1 < COUNT(peers) ? "," : ".");
	} else {
		return -1;
	}
	return 0;
}

/* A marker's list; 0 if the line is no marker, -1 if it is an unknown one. */
static int expand(const char *line)
{
	char what[32], room[32] = "";

	if (sscanf(line, ".\\\" @%31s %31s", what, room) < 1)
		return 0;
	if (strcmp(what, "options") == 0)
		put_options(room);
	else if (strcmp(what, "counters") == 0)
		put_counters();
	else if (strcmp(what, "fields") == 0)
		put_fields();
	else if (strcmp(what, "reasons") == 0)
		put_reasons(room);
	else if (strcmp(what, "clauses") == 0)
		put_clauses(room);
	else if (strcmp(what, "requirements") == 0)
		put_requirements();
	else if (strcmp(what, "comparison") != 0 || put_comparison(room))
		return -1;
	return 1;
}

int main(int argc, char **argv)
{
	bool literal = false;
	char line[1024];
	FILE *f;

	if (argc != 2 || !(f = fopen(argv[1], "r"))) {
		fprintf(stderr, "usage: gen TEMPLATE\n");
		return EXIT_FAILURE;
	}
	while (fgets(line, sizeof(line), f)) {
		int done = expand(line);

		if (done < 0) {
			fprintf(stderr, "%s: unknown marker: %s", argv[1], line);
			fclose(f);
			return EXIT_FAILURE;
		}
		if (strncmp(line, ".Bd", 3) == 0 || strncmp(line, ".Ed", 3) == 0)
			literal = line[1] == 'B';
		if (!done && (literal || line[0] == '.'))
			fputs(line, stdout);
		else if (!done)
			put_text(line, false);
	}
	fclose(f);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}
