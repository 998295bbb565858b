/* Commands that open the store themselves. */
#include "ctl.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

struct store *ctl_open_store(const struct ctl *c, bool write)
{
	struct store *s = NULL;
	char *why = NULL;
	int err;

	if (!c->store_dir) {
		ctl_fail("there is no store");
		return NULL;
	}
	err = store_open_tool(c->store_dir, write, &s, &why);
	if (err) {
		if (err == LARDER_EBUSY)
			ctl_fail("%s: a daemon runs on it, and it is not for this while it does",
			         c->store_dir);
		else if (why)
			ctl_fail("%s", why);
		else
			ctl_fail("%s: %s", c->store_dir, larder_strerror(err));
		free(why);
		return NULL;
	}
	return s;
}

/* ---- usage ---- */

static const struct {
	const char *name, *text;
	size_t offset;
} USAGE[] = {
	{"cap", "the hard cap", offsetof(struct store_usage, cap)},
	{"allocated", "allocated on disk", offsetof(struct store_usage, allocated)},
	{"index_bytes", "of it the index", offsetof(struct store_usage, index_bytes)},
	{"index_free_bytes", "free inside the index", offsetof(struct store_usage, index_free_bytes)},
	{"blob_bytes", "of it body files", offsetof(struct store_usage, blob_bytes)},
	{"records", "stored responses", offsetof(struct store_usage, records)},
	{"blobs", "body files", offsetof(struct store_usage, blobs)},
	{"tags", "tags of responses", offsetof(struct store_usage, tags)},
};

int store_usage_command(const struct ctl *c)
{
	struct store *s = ctl_open_store(c, false);
	struct store_usage u;
	int err;

	if (!s)
		return CTL_FAILED;
	err = store_usage(s, &u);
	store_close(s);
	if (err)
		return ctl_fail("%s: %s", c->store_dir, larder_strerror(err));
	for (size_t i = 0; i < sizeof(USAGE) / sizeof(USAGE[0]); i++) {
		uint64_t n = *(const uint64_t *)(const void *)((const char *)&u + USAGE[i].offset);

		if (c->given & CTL_JSON)
			printf("%s\"%s\": %" PRIu64, i ? ", " : "{", USAGE[i].name, n);
		else
			printf("%-22s %15" PRIu64 "\n", USAGE[i].text, n);
	}
	if (c->given & CTL_JSON)
		puts("}");
	return ctl_flush();
}

/* ---- verify ---- */

#define BAR        40
#define UNREADABLE 3 /* of the process that checks */

/* "[########                ]  33 % of 1200" */
static void progress(void *arg, uint64_t done, uint64_t total)
{
	double share = total ? (double)done / (double)total : 1;
	int full;

	(void)arg;
	/* A store that grows meanwhile has more than it had at first. */
	if (share > 1)
		share = 1;
	full = (int)(share * BAR);
	fprintf(stderr, "\r[%.*s%*s] %3d %% of %" PRIu64 " ", full,
	        "########################################", BAR - full, "", (int)(share * 100),
	        total);
}

static void problem(void *arg, const char *text)
{
	(void)arg;
	printf("%s\n", text);
}

static int verify(const struct ctl *c)
{
	bool deep = c->given & CTL_DEEP, repair = c->given & CTL_REPAIR;
	struct store *s = NULL;
	char *why = NULL;
	bool tty = isatty(STDERR_FILENO) == 1;
	int n;

	if (repair && c->store_dir) {
		n = store_open_tool(c->store_dir, true, &s, &why);
		free(why);
		if (n == LARDER_ECORRUPT)
			return UNREADABLE;
	}
	if (!s)
		s = ctl_open_store(c, repair);
	if (!s)
		return CTL_FAILED;
	n = store_verify(s, deep, repair, tty ? progress : NULL, problem, NULL);
	if (tty)
		fputc('\n', stderr);
	store_close(s);
	if (n == LARDER_ECORRUPT)
		return UNREADABLE;
	if (n < 0)
		return ctl_fail("%s: %s", c->store_dir, larder_strerror(n));
	if (n)
		printf("%d findings%s\n", n, repair ? ", repaired" : "");
	else
		printf("no findings\n");
	return n ? CTL_FINDINGS : CTL_OK;
}

static const int FATAL[] = {SIGBUS, SIGSEGV, SIGABRT, SIGFPE};

static int verify_apart(const struct ctl *c)
{
	int ret;

	for (size_t i = 0; i < sizeof(FATAL) / sizeof(FATAL[0]); i++)
		signal(FATAL[i], SIG_DFL);
	ret = verify(c);
	fflush(NULL);
	return ret;
}

static int unreadable(const struct ctl *c)
{
	char *why = NULL;
	int err;

	printf("the index is damaged so that it can't be read\n");
	if (c->given & CTL_REPAIR) {
		err = store_empty(c->store_dir, &why);
		if (err) {
			ctl_fail("%s", why ? why : larder_strerror(err));
			free(why);
			return CTL_FAILED;
		}
		printf("all that was stored has been removed\n");
	}
	printf("1 findings%s\n", c->given & CTL_REPAIR ? ", repaired" : "");
	return CTL_FINDINGS;
}

/* LMDB trusts its pages: reading damaged ones may end the process, so that is another one. */
int store_verify_command(const struct ctl *c)
{
	int status, sig;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(verify_apart(c));
	while (pid > 0 && waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			pid = -1;
	}
	if (pid < 0)
		return ctl_fail("%s: %s", c->store_dir, strerror(errno));
	if (WIFEXITED(status))
		return WEXITSTATUS(status) == UNREADABLE ? unreadable(c) : WEXITSTATUS(status);
	sig = WTERMSIG(status);
	for (size_t i = 0; i < sizeof(FATAL) / sizeof(FATAL[0]); i++) {
		if (sig == FATAL[i])
			return unreadable(c);
	}
	return ctl_fail("%s: the check was ended by signal %d", c->store_dir, sig);
}
