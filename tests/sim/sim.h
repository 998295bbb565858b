/*
 * The eviction simulator: caches in memory that see a trace of requests, larder's among them, which
 * runs the store's own decisions (src/store/policy.c) with the store's sketch and ghosts (pool.c).
 *
 * Vocabulary: *trace* = which object each request is for; *size* = of a body; *charge* = what the
 * object counts for in the cache; *footprint* = charges of all objects of a trace.
 */
#ifndef LARDER_TESTS_SIM_H
#define LARDER_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/hash.h"

struct sim_object {
	struct hash128 hash;
	uint64_t size, charge;
};

struct sim_trace {
	uint32_t *requests; /* indexes of objects */
	size_t nrequests, requests_max;
	struct sim_object *objects;
	size_t nobjects, objects_max;
	uint32_t *table; /* hash → index + 1 */
	size_t table_size;
	uint64_t footprint;
};

/* How sizes become charges. */
enum sim_charge {
	SIM_CHARGE_STORE,   /* as the store's pages and files have it */
	SIM_CHARGE_PAYLOAD, /* the size itself */
};

/* ---- trace.c ---- */

#define SIM_OBJECTS_MAX  (1u << 24)
#define SIM_REQUESTS_MAX (1u << 28)

void sim_trace_free(struct sim_trace *t);
/* One request more, for the object of that name. `size` 0: derived from the name, log-uniform from
 * 512 bytes to 1 MiB. An object keeps its first size. 0, LARDER_ENOMEM or LARDER_ELIMIT. */
int sim_trace_add(struct sim_trace *t, struct view name, uint64_t size);
/* Reads lines "NAME" or "NAME SIZE". *line: where an error is. */
int sim_trace_read(struct sim_trace *t, FILE *in, size_t *line);
/* Sets charges and footprint. */
void sim_trace_charge(struct sim_trace *t, enum sim_charge how);

/* ---- generate.c ---- */

struct sim_recipe {
	const char *kind; /* of sim_kinds */
	double alpha;     /* of the Zipf distribution */
	uint32_t objects, requests;
	uint64_t seed;
};
/* Names with what they are, NULL at the end. */
extern const char *const sim_kinds[][2];
/* Fills an empty trace: the names are numbers. LARDER_EINVAL: no such kind. */
int sim_generate(const struct sim_recipe *r, struct sim_trace *t);
/* The same, request by request; an error of emit ends it. */
int sim_generate_each(const struct sim_recipe *r, int (*emit)(void *arg, uint32_t object),
                      void *arg);

/* ---- larder.c, peers.c ---- */

struct sim_cache_type {
	const char *name;
	/* For that trace with that capacity; NULL: out of memory. */
	void *(*make)(const struct sim_trace *t, uint64_t capacity);
	/* True: a hit. After a miss the object is in the cache, unless it is larger than that. */
	bool (*request)(void *cache, uint32_t object);
	/* Objects evicted, and objects that stayed although they had come to the end of a queue. */
	void (*count)(const void *cache, uint64_t *evicted, uint64_t *moved);
	void (*free)(void *cache);
};
extern const struct sim_cache_type sim_larder, sim_lru, sim_fifo, sim_gdsf;

/* larder's cache by hand, for comparing it with the store. */
struct sim_decision {
	struct hash128 hash;
	bool small; /* at the end of the small queue */
	bool stays;
};
void sim_larder_use(void *cache, uint32_t object);
void sim_larder_insert(void *cache, uint32_t object);
bool sim_larder_has(const void *cache, uint32_t object);
/* Looks at the end of a queue. False: there is nothing left. */
bool sim_larder_step(void *cache, struct sim_decision *out);

/* ---- run.c ---- */

struct sim_result {
	double objects, bytes; /* hit ratios */
	uint64_t hits;
	uint64_t evicted, moved;
};
/* 0 or LARDER_ENOMEM. */
int sim_run(const struct sim_cache_type *type, const struct sim_trace *t, uint64_t capacity,
            struct sim_result *out);

#endif
