/* Other processes, known by pid and start time: pids come again. */
#ifndef LARDER_BASE_PROCESS_H
#define LARDER_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* When it started, in clock ticks since boot (proc(5), field 22 of stat); 0: not known. */
uint64_t process_start(uint32_t pid);
/* Does the process that started then still run? With start 0: any of that pid. */
bool process_runs(uint32_t pid, uint64_t start);

#endif
