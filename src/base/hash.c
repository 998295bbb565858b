#include "base/hash.h"

#include <xxhash.h>

struct hash128 hash_128(struct view data, uint64_t seed)
{
	XXH128_hash_t h = XXH3_128bits_withSeed(data.ptr, data.len, seed);

	return (struct hash128){h.high64, h.low64};
}

uint64_t hash_64(struct view data, uint64_t seed)
{
	return XXH3_64bits_withSeed(data.ptr, data.len, seed);
}
