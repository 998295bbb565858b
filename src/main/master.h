/* The master: prepares, forks, watches; never reads a byte from a client. */
#ifndef LARDER_MAIN_MASTER_H
#define LARDER_MAIN_MASTER_H

#include "main/main.h"

/* Runs the daemon with a plan, which it owns from then on; returns its exit status. */
int master_run(const struct main_args *args, struct main_plan *plan);

#endif
