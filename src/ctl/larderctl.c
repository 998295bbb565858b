/* larderctl's main: the command line, and the commands that ask the daemon. */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/check.h"
#include "base/error.h"

static const char HELP[] =
	"usage: larderctl [-c FILE] [-s DIR] [--socket PATH] COMMAND\n"
	"\n"
	"of the running daemon:\n"
	"  stats [--json]               counters\n"
	"  status                       processes, listeners, store\n"
	"  version                      the daemon's version, features and libraries\n"
	"  reload                       read the configuration again; returns when it took effect\n"
	"of the store, whether a daemon runs or not:\n"
	"  purge URL...                 remove what is stored for these URLs\n"
	"  usage [--json]               what the store takes and holds\n"
	"  verify [--deep] [--repair]   check the store; status 1: something was found\n"
	"\n"
	"  -c, --config FILE   the daemon's configuration\n"
	"  -s, --store DIR     the store's directory\n"
	"      --socket PATH   the control socket\n"
	"  -V, --version       larderctl's own version\n"
	"  -h, --help          print this\n";

int ctl_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("larderctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CTL_FAILED;
}

static int print(const struct buf *b)
{
	if (fwrite(b->data, 1, b->len, stdout) == b->len && fflush(stdout) == 0)
		return CTL_OK;
	return ctl_fail("cannot print: %s", strerror(errno));
}

/* Asks the daemon. CTL_OK, CTL_FAILED (explained), or LARDER_ECONNECT when none answers. */
static int ask(const struct ctl *c, const char *request)
{
	struct buf out;
	int err, status;

	if (!c->control)
		return LARDER_ECONNECT;
	buf_init(&out, ADMIN_ANSWER_MAX + 4096);
	err = admin_ask(c->control, request, &out);
	if (!err)
		status = print(&out);
	else if (err == LARDER_ECONNECT)
		status = err;
	else
		status = ctl_fail("%.*s", VFMT(buf_view(&out)));
	buf_fini(&out);
	return status;
}

static int ask_running(const struct ctl *c, const char *request)
{
	int status = ask(c, request);

	if (status != LARDER_ECONNECT)
		return status;
	if (!c->control)
		return ctl_fail("the control socket is off");
	return ctl_fail("no daemon answers at %s", c->control);
}

static int stats(const struct ctl *c)
{
	return ask_running(c, c->json ? "stats json" : "stats");
}

static int status(const struct ctl *c)
{
	return ask_running(c, "status");
}

static int version(const struct ctl *c)
{
	return ask_running(c, "version");
}

static int reload(const struct ctl *c)
{
	return ask_running(c, "reload");
}

static int purge(const struct ctl *c)
{
	struct buf request;
	const char *text;
	int ret;

	buf_init(&request, ADMIN_REQUEST_MAX - 1);
	BUF_ADD_LIT(&request, "purge");
	for (size_t i = 0; i < c->noperands; i++) {
		if (strpbrk(c->operands[i], " \r\n")) {
			buf_fini(&request);
			return ctl_fail("\"%s\" is not a URL", c->operands[i]);
		}
		buf_printf(&request, " %s", c->operands[i]);
	}
	text = buf_cstr(&request);
	ret = text ? ask(c, text) : ctl_fail("too many URLs at once");
	buf_fini(&request);
	return ret == LARDER_ECONNECT ? store_purge_command(c) : ret;
}

static const struct command {
	const char *name;
	int (*fn)(const struct ctl *c);
	size_t least, most; /* operands */
	bool json, verify;  /* takes --json; --deep and --repair */
} COMMANDS[] = {
	{"stats", stats, 0, 0, true, false},
	{"status", status, 0, 0, false, false},
	{"version", version, 0, 0, false, false},
	{"reload", reload, 0, 0, false, false},
	{"purge", purge, 1, SIZE_MAX, false, false},
	{"usage", store_usage_command, 0, 0, true, false},
	{"verify", store_verify_command, 0, 0, false, true},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(COMMANDS); i++) {
		if (strcmp(COMMANDS[i].name, name) == 0)
			return &COMMANDS[i];
	}
	return NULL;
}

static int run_command(const struct ctl *c, const char *name)
{
	const struct command *cmd = find_command(name);

	if (!cmd)
		return ctl_fail("unknown command \"%s\" (larderctl -h lists them)", name);
	if (c->noperands < cmd->least)
		return ctl_fail("%s: needs a URL", name);
	if (c->noperands > cmd->most)
		return ctl_fail("%s: unexpected argument \"%s\"", name, c->operands[0]);
	if (c->json && !cmd->json)
		return ctl_fail("%s knows no --json", name);
	if ((c->deep || c->repair) && !cmd->verify)
		return ctl_fail("%s knows neither --deep nor --repair", name);
	return cmd->fn(c);
}

/* Where store and socket are, by the same rules as the daemon's. */
static int locate(struct ctl *c)
{
	const struct main_options *o;
	struct conf *conf = NULL;
	char *why = NULL;
	int err, ignored;

	err = main_conf_load(&c->args, &conf, &why, &ignored);
	if (err) {
		ctl_fail("%s", why ? why : larder_strerror(err));
		free(why);
		return CTL_FAILED;
	}
	o = conf_global(conf, "main");
	c->store_dir = main_store_dir(o, geteuid() == 0, &err);
	c->control = c->socket ? strdup(c->socket)
	                       : main_control_path(o, c->store_dir, geteuid() == 0);
	conf_free(conf);
	return CTL_OK;
}

enum { OPT_SOCKET = 256, OPT_JSON, OPT_DEEP, OPT_REPAIR };
static const struct option LONG_OPTIONS[] = {
	{"config", required_argument, NULL, 'c'},
	{"store", required_argument, NULL, 's'},
	{"option", required_argument, NULL, 'o'},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_JSON},
	{"deep", no_argument, NULL, OPT_DEEP},
	{"repair", no_argument, NULL, OPT_REPAIR},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int assign(struct ctl *c, const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "%s%s%s", name, *name ? "=" : "", value) < 0)
		return CTL_FAILED;
	c->args.assignments[c->args.nassignments++] = text;
	return CTL_OK;
}

static int take_option(struct ctl *c, int letter, char **argv)
{
	switch (letter) {
	case 'c':
		c->args.file = optarg;
		return CTL_OK;
	case 's':
		return assign(c, "store", optarg);
	case 'o':
		return assign(c, "", optarg);
	case 'V':
		c->args.mode = MAIN_VERSION;
		return CTL_OK;
	case 'h':
		c->args.mode = MAIN_HELP;
		return CTL_OK;
	case OPT_SOCKET:
		c->socket = optarg;
		return CTL_OK;
	case OPT_JSON:
		c->json = true;
		return CTL_OK;
	case OPT_DEEP:
		c->deep = true;
		return CTL_OK;
	case OPT_REPAIR:
		c->repair = true;
		return CTL_OK;
	case ':':
		return ctl_fail("option %s needs a value", argv[optind - 1]);
	default:
		return ctl_fail("unknown option %s (larderctl -h lists them)", argv[optind - 1]);
	}
}

static int run(struct ctl *c, int argc, char **argv)
{
	int letter, ret = CTL_OK;

	while (!ret && (letter = getopt_long(argc, argv, ":c:s:o:Vh", LONG_OPTIONS, NULL)) != -1)
		ret = take_option(c, letter, argv);
	if (ret)
		return ret;
	if (c->args.mode == MAIN_VERSION)
		return printf("larderctl %s\n", LARDER_VERSION) < 0 ? CTL_FAILED : CTL_OK;
	if (c->args.mode == MAIN_HELP)
		return fputs(HELP, stdout) < 0 ? CTL_FAILED : CTL_OK;
	if (optind >= argc)
		return ctl_fail("no command (larderctl -h lists them)");
	c->operands = argv + optind + 1;
	c->noperands = (size_t)(argc - optind - 1);
	ret = locate(c);
	return ret ? ret : run_command(c, argv[optind]);
}

int main(int argc, char **argv)
{
	struct ctl c = {.args.assignments = calloc((size_t)argc + 1, sizeof(char *))};
	int ret;

	if (!c.args.assignments)
		return ctl_fail("out of memory");
	ret = run(&c, argc, argv);
	free(c.control);
	free(c.store_dir);
	main_args_fini(&c.args);
	return ret;
}
