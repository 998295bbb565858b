/* Hashes: XXH3 for keys and sketches (not for secrets). */
#ifndef LARDER_BASE_HASH_H
#define LARDER_BASE_HASH_H

#include <stdint.h>

#include "base/view.h"

struct hash128 {
	uint64_t hi, lo;
};

struct hash128 hash_128(struct view data, uint64_t seed);
uint64_t hash_64(struct view data, uint64_t seed);

#endif
