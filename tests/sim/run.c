#include "base/error.h"
#include "sim.h"

int sim_run(const struct sim_cache_type *type, const struct sim_trace *t, uint64_t capacity,
            struct sim_result *out)
{
	double bytes = 0, hit_bytes = 0;
	void *cache = type->make(t, capacity);

	*out = (struct sim_result){0};
	if (!cache)
		return LARDER_ENOMEM;
	for (size_t i = 0; i < t->nrequests; i++) {
		double size = (double)t->objects[t->requests[i]].size;

		bytes += size;
		if (type->request(cache, t->requests[i])) {
			out->hits++;
			hit_bytes += size;
		}
	}
	out->objects = t->nrequests ? (double)out->hits / (double)t->nrequests : 0;
	out->bytes = bytes > 0 ? hit_bytes / bytes : 0;
	type->count(cache, &out->evicted, &out->moved);
	type->free(cache);
	return 0;
}
