/* larderctl: what its files share. */
#ifndef LARDER_CTL_CTL_H
#define LARDER_CTL_CTL_H

#include "main/main.h"

enum { CTL_OK = 0, CTL_FINDINGS = 1, CTL_FAILED = 2 };

struct ctl {
	struct main_args args; /* as the daemon's, made from -c, -s and -o */
	const char *socket;    /* --socket, or NULL */
	char *control;         /* the control socket's path, or NULL */
	char *store_dir;       /* or NULL */
	bool json, deep, repair;
	char **operands;
	size_t noperands;
};

/* Prints "larderctl: …" and returns CTL_FAILED. */
int ctl_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Commands that work on the store itself; each returns the exit status. */
int store_verify_command(const struct ctl *c);
int store_usage_command(const struct ctl *c);
int store_purge_command(const struct ctl *c);

#endif
