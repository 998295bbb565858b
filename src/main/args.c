/* The command line. */
#include "main/main.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"

static const struct option LONG_OPTIONS[] = {
	{"config", required_argument, NULL, 'c'},  {"listen", required_argument, NULL, 'l'},
	{"store", required_argument, NULL, 's'},   {"size", required_argument, NULL, 'S'},
	{"workers", required_argument, NULL, 'w'}, {"option", required_argument, NULL, 'o'},
	{"check", no_argument, NULL, 't'},         {"print", no_argument, NULL, 'T'},
	{"version", no_argument, NULL, 'V'},       {"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

int main_why(char **why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(why, fmt, ap) < 0)
		*why = NULL;
	va_end(ap);
	return err;
}

/* Appends "NAME=VALUE", or the value itself where it is an assignment already. */
static int add_assignment(struct main_args *a, const char *name, const char *value, char **why)
{
	char *text;

	if (asprintf(&text, "%s%s%s", name, *name ? "=" : "", value) < 0)
		return main_why(why, LARDER_ENOMEM, "out of memory");
	a->assignments[a->nassignments++] = text;
	return 0;
}

static int take_option(struct main_args *a, int letter, const char *value, char **why)
{
	switch (letter) {
	case 'c':
		if (a->file)
			return main_why(why, LARDER_EINVAL, "-c can be given only once");
		a->file = value;
		return 0;
	case 'l':
		a->listeners[a->nlisteners++] = value;
		return 0;
	case 's':
		return add_assignment(a, "store", value, why);
	case 'S':
		return add_assignment(a, "size", value, why);
	case 'w':
		return add_assignment(a, "workers", value, why);
	case 'o':
		return add_assignment(a, "", value, why);
	case 't':
		a->mode = MAIN_CHECK;
		return 0;
	case 'T':
		a->mode = MAIN_PRINT;
		return 0;
	case 'V':
		a->mode = MAIN_VERSION;
		return 0;
	case 'h':
		a->mode = MAIN_HELP;
		return 0;
	default:
		return main_why(why, LARDER_EINVAL, "unknown option");
	}
}

/* What getopt complains about, in our words: it would print by itself otherwise. */
static int bad_option(char **argv, int letter, char **why)
{
	const char *arg = optind > 0 && argv[optind - 1] ? argv[optind - 1] : "";

	if (letter == ':')
		return main_why(why, LARDER_EINVAL, "option %s needs a value", arg);
	if (optopt && optopt < 256 && arg[0] == '-' && arg[1] != '-')
		return main_why(why, LARDER_EINVAL, "unknown option -%c", optopt);
	return main_why(why, LARDER_EINVAL, "unknown option %s", arg);
}

int main_args_parse(int argc, char **argv, struct main_args *out, char **why)
{
	int letter, err = 0;

	*out = (struct main_args){
		.listeners = calloc((size_t)argc + 1, sizeof(*out->listeners)),
		.assignments = calloc((size_t)argc + 1, sizeof(*out->assignments)),
	};
	if (!out->listeners || !out->assignments) {
		err = main_why(why, LARDER_ENOMEM, "out of memory");
		goto out;
	}
	optind = 0; /* a fresh scan, also for a second call */
	while (!err && (letter = getopt_long(argc, argv, "+:c:l:s:S:w:o:tTVh", LONG_OPTIONS, NULL)) != -1)
		err = letter == '?' || letter == ':' ? bad_option(argv, letter, why)
		                                     : take_option(out, letter, optarg, why);
	if (!err && optind < argc)
		err = main_why(why, LARDER_EINVAL, "unexpected argument \"%s\"", argv[optind]);
out:
	if (err)
		main_args_fini(out);
	return err;
}

void main_args_fini(struct main_args *a)
{
	for (size_t i = 0; i < a->nassignments; i++)
		free(a->assignments[i]);
	free(a->assignments);
	free(a->listeners);
	*a = (struct main_args){0};
}
