/* larderctl's main: the command line, and the commands that ask the daemon. */
#include "ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/admin.h"
#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

static const char HELP[] =
	"usage: larderctl [-c FILE] [-s DIR] [--socket PATH] COMMAND\n"
	"\n"
	"of the running daemon:\n"
	"  stats [--json]               counters\n"
	"  status                       processes, listeners, store\n"
	"  version                      the daemon's version, features and libraries\n"
	"  reload                       read the configuration again; returns when it took effect\n"
	"  offline [on|off]             serve only what is stored, whatever its age; or say whether\n"
	"of the store, whether a daemon runs or not:\n"
	"  ls [-l] [PREFIX|HOST]        what is stored\n"
	"  show URL                     all that is known about a URL's responses\n"
	"  cat [--variant N] URL        a stored body\n"
	"  explain URL                  what a request would get, and by which rules\n"
	"        --method M             of another method than GET\n"
	"        --header 'Name: value' with that field (may be repeated)\n"
	"        --listener NAME        at that listener, by its name, address or kind\n"
	"        --client ADDRESS       of a client with that IP address\n"
	"        --response FILE        and whether that response head (-: standard input) would be stored\n"
	"  du [-n N]                    what each host takes, the largest first\n"
	"  purge URL...                 remove what is stored for these URLs\n"
	"  purge --prefix PREFIX        or for all URLs that begin so\n"
	"  purge --host HOST            or for all of a host; *.HOST: and below\n"
	"  purge --tag TAG              or for all that is stored under a tag or in a cache group\n"
	"  purge --regex PATTERN        or for all URLs that match a pattern\n"
	"        --soft                 mark it stale rather than remove it\n"
	"        --dry-run              only say how much that is\n"
	"  trim                         give free room in the index back to the file system\n"
	"  usage                        what the store takes and holds\n"
	"  verify [--deep] [--repair]   check the store; status 1: something was found\n"
	"\n"
	"with --json where machines read: stats, ls, show, explain, du, purge, trim, usage\n"
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

int ctl_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CTL_OK;
	return ctl_fail("cannot print: %s", strerror(errno));
}

int ctl_ask(const struct ctl *c, const char *request, struct buf *out)
{
	int err;

	if (!c->control)
		return LARDER_ECONNECT;
	err = admin_ask(c->control, request, out);
	if (!err || err == LARDER_ECONNECT)
		return err;
	return ctl_fail("%.*s", VFMT(buf_view(out)));
}

int ctl_take_number(struct view *rest, uint64_t *n)
{
	struct view text = view_cut(*rest, ' ', rest);

	return num_parse_u64(text, UINT64_MAX, n);
}

struct view ctl_line(const struct buf *answer)
{
	return view_make(answer->data, view_find(buf_view(answer), '\n'));
}

/* The same, and prints the answer. */
static int ask(const struct ctl *c, const char *request)
{
	struct buf out;
	int ret;

	buf_init(&out, ADMIN_ANSWER_MAX + 4096);
	ret = ctl_ask(c, request, &out);
	if (!ret) {
		if (out.len)
			fwrite(out.data, 1, out.len, stdout);
		ret = ctl_flush();
	}
	buf_fini(&out);
	return ret;
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
	return ask_running(c, c->given & CTL_JSON ? "stats json" : "stats");
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

static int offline(const struct ctl *c)
{
	const char *to = c->noperands ? c->operands[0] : "";
	char request[16];

	if (strcmp(to, "") && strcmp(to, "on") && strcmp(to, "off"))
		return ctl_fail("offline: takes on, off, or nothing");
	snprintf(request, sizeof(request), "offline%s%s", *to ? " " : "", to);
	return ask_running(c, request);
}

static const struct command {
	const char *name;
	int (*fn)(const struct ctl *c);
	size_t least, most; /* operands */
	unsigned flags;     /* that it takes */
} COMMANDS[] = {
	{"stats", stats, 0, 0, CTL_JSON},
	{"status", status, 0, 0, 0},
	{"version", version, 0, 0, 0},
	{"reload", reload, 0, 0, 0},
	{"offline", offline, 0, 1, 0},
	{"ls", store_list_command, 0, 1, CTL_JSON | CTL_LONG},
	{"show", store_show_command, 1, 1, CTL_JSON},
	{"cat", store_cat_command, 1, 1, CTL_VARIANT},
	{"explain", explain_command, 1, 1,
	 CTL_JSON | CTL_LISTENER | CTL_CLIENT | CTL_METHOD | CTL_HEADER | CTL_RESPONSE},
	{"du", store_du_command, 0, 0, CTL_JSON | CTL_COUNT},
	{"purge", store_purge_command, 0, SIZE_MAX,
	 CTL_JSON | CTL_PREFIX | CTL_HOST | CTL_TAG | CTL_REGEX | CTL_SOFT | CTL_DRY_RUN},
	{"trim", store_trim_command, 0, 0, CTL_JSON},
	{"usage", store_usage_command, 0, 0, CTL_JSON},
	{"verify", store_verify_command, 0, 0, CTL_DEEP | CTL_REPAIR},
};

/* In the order of enum ctl_flag. */
static const char *const FLAG_NAMES[] = {"--json", "--deep",   "--repair", "--long",   "--variant",
                                         "-n",     "--prefix", "--host",   "--dry-run", "--tag",
                                         "--regex", "--soft",   "--listener", "--client", "--method",
                                         "--header", "--response"};

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
	unsigned unknown;

	if (!cmd)
		return ctl_fail("unknown command \"%s\" (larderctl -h lists them)", name);
	if (c->noperands < cmd->least)
		return ctl_fail("%s: needs a URL", name);
	if (c->noperands > cmd->most)
		return ctl_fail("%s: unexpected argument \"%s\"", name, c->operands[cmd->most]);
	unknown = c->given & ~cmd->flags;
	for (size_t i = 0; i < ARRAY_LEN(FLAG_NAMES); i++) {
		if (unknown & 1u << i)
			return ctl_fail("%s knows no %s", name, FLAG_NAMES[i]);
	}
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

enum {
	OPT_SOCKET = 256,
	OPT_JSON,
	OPT_DEEP,
	OPT_REPAIR,
	OPT_VARIANT,
	OPT_PREFIX,
	OPT_HOST,
	OPT_DRY_RUN,
	OPT_TAG,
	OPT_REGEX,
	OPT_SOFT,
	OPT_LISTENER,
	OPT_CLIENT,
	OPT_METHOD,
	OPT_HEADER,
	OPT_RESPONSE,
};
static const struct option LONG_OPTIONS[] = {
	{"config", required_argument, NULL, 'c'},
	{"store", required_argument, NULL, 's'},
	{"option", required_argument, NULL, 'o'},
	{"socket", required_argument, NULL, OPT_SOCKET},
	{"json", no_argument, NULL, OPT_JSON},
	{"deep", no_argument, NULL, OPT_DEEP},
	{"repair", no_argument, NULL, OPT_REPAIR},
	{"long", no_argument, NULL, 'l'},
	{"variant", required_argument, NULL, OPT_VARIANT},
	{"prefix", required_argument, NULL, OPT_PREFIX},
	{"host", required_argument, NULL, OPT_HOST},
	{"dry-run", no_argument, NULL, OPT_DRY_RUN},
	{"tag", required_argument, NULL, OPT_TAG},
	{"regex", required_argument, NULL, OPT_REGEX},
	{"soft", no_argument, NULL, OPT_SOFT},
	{"listener", required_argument, NULL, OPT_LISTENER},
	{"client", required_argument, NULL, OPT_CLIENT},
	{"method", required_argument, NULL, OPT_METHOD},
	{"header", required_argument, NULL, OPT_HEADER},
	{"response", required_argument, NULL, OPT_RESPONSE},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* The options of single commands that say nothing but yes. */
static unsigned flag_of(int letter)
{
	switch (letter) {
	case OPT_JSON:
		return CTL_JSON;
	case OPT_DEEP:
		return CTL_DEEP;
	case OPT_REPAIR:
		return CTL_REPAIR;
	case 'l':
		return CTL_LONG;
	case OPT_DRY_RUN:
		return CTL_DRY_RUN;
	case OPT_SOFT:
		return CTL_SOFT;
	default:
		return 0;
	}
}

static int take_count(struct ctl *c, unsigned flag, const char *name, uint64_t *out)
{
	c->given |= flag;
	if (num_parse_u64(view_of(optarg), UINT32_MAX, out) == 0 && *out)
		return CTL_OK;
	return ctl_fail("%s: \"%s\" is not a number from 1 on", name, optarg);
}

static int assign(struct ctl *c, const char *name, const char *value)
{
	char *text;

	if (asprintf(&text, "%s%s%s", name, *name ? "=" : "", value) < 0)
		return CTL_FAILED;
	c->args.assignments[c->args.nassignments++] = text;
	return CTL_OK;
}

/* The options of single commands whose value is a text that stands once. */
static const struct text_option {
	int letter;
	unsigned flag;
	size_t offset;
} TEXT_OPTIONS[] = {
	{OPT_PREFIX, CTL_PREFIX, offsetof(struct ctl, prefix)},
	{OPT_HOST, CTL_HOST, offsetof(struct ctl, host)},
	{OPT_TAG, CTL_TAG, offsetof(struct ctl, tag)},
	{OPT_REGEX, CTL_REGEX, offsetof(struct ctl, regex)},
	{OPT_LISTENER, CTL_LISTENER, offsetof(struct ctl, listener)},
	{OPT_CLIENT, CTL_CLIENT, offsetof(struct ctl, client)},
	{OPT_METHOD, CTL_METHOD, offsetof(struct ctl, method)},
	{OPT_RESPONSE, CTL_RESPONSE, offsetof(struct ctl, response)},
};

static bool take_text(struct ctl *c, int letter)
{
	for (size_t i = 0; i < ARRAY_LEN(TEXT_OPTIONS); i++) {
		const struct text_option *o = &TEXT_OPTIONS[i];

		if (o->letter != letter)
			continue;
		c->given |= o->flag;
		*(const char **)(void *)((char *)c + o->offset) = optarg;
		return true;
	}
	return false;
}

static int take_option(struct ctl *c, int letter, char **argv)
{
	c->given |= flag_of(letter);
	if (flag_of(letter) || take_text(c, letter))
		return CTL_OK;
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
	case OPT_VARIANT:
		return take_count(c, CTL_VARIANT, "--variant", &c->variant);
	case 'n':
		return take_count(c, CTL_COUNT, "-n", &c->count);
	case OPT_HEADER:
		c->given |= CTL_HEADER;
		c->headers[c->nheaders++] = optarg;
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

	while (!ret && (letter = getopt_long(argc, argv, ":c:s:o:ln:Vh", LONG_OPTIONS, NULL)) != -1)
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
	struct ctl c = {.args.assignments = calloc((size_t)argc + 1, sizeof(char *)),
		        .headers = calloc((size_t)argc + 1, sizeof(char *))};
	int ret;

	if (!c.args.assignments || !c.headers)
		return ctl_fail("out of memory");
	ret = run(&c, argc, argv);
	free(c.headers);
	free(c.control);
	free(c.store_dir);
	main_args_fini(&c.args);
	return ret;
}
