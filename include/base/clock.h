/* Clocks. Rooms http and cache never read them: they are given `now`. */
#ifndef LARDER_BASE_CLOCK_H
#define LARDER_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic time in nanoseconds / microseconds / milliseconds. */
uint64_t clock_mono_ns(void);
uint64_t clock_mono_us(void);
uint64_t clock_mono_ms(void);
/* Wall time since the epoch in whole seconds / microseconds. */
int64_t clock_wall_s(void);
int64_t clock_wall_us(void);

#endif
