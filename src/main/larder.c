/* larder's main: the command line, then the daemon or an answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "master.h"

#define PRINT_MAX (4U << 20)

static const char HELP[] =
	"usage: larder [-c FILE] [-l KIND=ADDR:PORT[,ORIGIN-URL]]... [-s DIR] [-S SIZE] [-w N]\n"
	"              [-o NAME=VALUE]... [-t | -T | -V | -h]\n"
	"\n"
	"  -c, --config FILE         read the configuration from FILE\n"
	"  -l, --listen LISTENER     forward=127.0.0.1:3128, or\n"
	"                            reverse=127.0.0.1:8080,http://127.0.0.1:8000\n"
	"  -s, --store DIR           the store's directory, or off\n"
	"  -S, --size SIZE           the store's hard cap, as in 20G\n"
	"  -w, --workers N           worker processes; default: one a core\n"
	"  -o, --option NAME=VALUE   any option of larder.conf(5)\n"
	"  -t, --check               check the configuration\n"
	"  -T, --print               print the whole configuration\n"
	"  -V, --version             print version, features and libraries\n"
	"  -h, --help                print this\n"
	"\n"
	"With neither -c nor -l larder is a forward proxy on 127.0.0.1:3128.\n";

/* Descriptors 0 to 2 must not become sockets. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int print_buf(struct buf *b)
{
	int err = b->err || fwrite(b->data, 1, b->len, stdout) != b->len || fflush(stdout);

	if (err)
		fprintf(stderr, "larder: cannot print: %s\n",
		        b->err ? larder_strerror(b->err) : strerror(errno));
	buf_fini(b);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int print_version(void)
{
	struct buf out;

	buf_init(&out, PRINT_MAX);
	main_version(&out);
	return print_buf(&out);
}

static int print_conf(const struct main_plan *plan)
{
	struct buf out;

	buf_init(&out, PRINT_MAX);
	conf_print(plan->conf, &out);
	return print_buf(&out);
}

static int with_plan(const struct main_args *args)
{
	struct main_plan *plan;
	char *why;
	int status;

	if (main_plan_load(args, &plan, &why, &status)) {
		fprintf(stderr, "larder: %s\n", why ? why : "out of memory");
		free(why);
		return status;
	}
	if (args->mode == MAIN_RUN)
		return master_run(args, plan);
	status = EXIT_SUCCESS;
	if (args->mode == MAIN_PRINT)
		status = print_conf(plan);
	else
		printf("larder: configuration OK\n");
	main_plan_free(plan);
	return status;
}

int main(int argc, char **argv)
{
	struct main_args args;
	char *why = NULL;
	int status;

	open_standard();
	if (main_args_parse(argc, argv, &args, &why)) {
		fprintf(stderr, "larder: %s (larder -h tells more)\n", why ? why : "out of memory");
		free(why);
		return MAIN_USAGE_STATUS;
	}
	if (args.mode == MAIN_VERSION)
		status = print_version();
	else if (args.mode == MAIN_HELP)
		status = fputs(HELP, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	else
		status = with_plan(&args);
	main_args_fini(&args);
	return status;
}
