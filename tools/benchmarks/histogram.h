/* Latencies in log-linear classes: 64 per power of two, so that a percentile is right to 1.6 %. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_STEPS = 64,
	HISTOGRAM_CLASSES = 40 * HISTOGRAM_STEPS,
};

struct histogram {
	uint64_t count, max;
	uint64_t classes[HISTOGRAM_CLASSES];
};

static inline unsigned histogram_class(uint64_t ns)
{
	if (ns < HISTOGRAM_STEPS)
		return (unsigned)ns;
	unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - 6;
	unsigned i = (shift + 1) * HISTOGRAM_STEPS + (unsigned)((ns >> shift) - HISTOGRAM_STEPS);
	return i < HISTOGRAM_CLASSES ? i : HISTOGRAM_CLASSES - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t ns)
{
	h->classes[histogram_class(ns)]++;
	h->count++;
	if (ns > h->max)
		h->max = ns;
}

/* The value that the share (0 to 1) of all values does not exceed. */
static inline uint64_t histogram_at(const struct histogram *h, double share)
{
	uint64_t want = (uint64_t)((double)h->count * share), seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_CLASSES; i++) {
		seen += h->classes[i];
		if (seen <= want)
			continue;
		if (i < HISTOGRAM_STEPS)
			return i;
		unsigned shift = i / HISTOGRAM_STEPS - 1;
		return (uint64_t)(i % HISTOGRAM_STEPS + HISTOGRAM_STEPS) << shift;
	}
	return h->max;
}

#endif
