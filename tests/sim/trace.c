#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/num.h"
#include "db.h"
#include "record.h"
#include "sim.h"

#define SIZE_MIN    512.0
#define SIZE_OCTAVE 11.0 /* from 512 bytes to 1 MiB */
#define SIZE_SEED   1

/* What a row has besides the body: its struct, a URL and a head of usual lengths. */
#define ROW_REST   (sizeof(struct record_head) + 60 + 340)
#define PAGE       4096
#define INLINE_MAX (64u << 10) /* the default of inline_max */

void sim_trace_free(struct sim_trace *t)
{
	free(t->requests);
	free(t->objects);
	free(t->table);
	*t = (struct sim_trace){0};
}

static uint64_t derived_size(struct view name)
{
	double u = (double)(hash_64(name, SIZE_SEED) >> 11) * 0x1p-53;

	return (uint64_t)(SIZE_MIN * exp2(u * SIZE_OCTAVE));
}

static bool same(struct hash128 a, struct hash128 b)
{
	return a.hi == b.hi && a.lo == b.lo;
}

static uint32_t *slot_of(const struct sim_trace *t, struct hash128 hash)
{
	size_t i = hash.lo & (t->table_size - 1);

	while (t->table[i] && !same(t->objects[t->table[i] - 1].hash, hash))
		i = (i + 1) & (t->table_size - 1);
	return &t->table[i];
}

static int grow_objects(struct sim_trace *t)
{
	size_t max = t->objects_max ? t->objects_max * 2 : 1024;
	struct sim_object *o = realloc(t->objects, max * sizeof(*o));
	uint32_t *table;

	if (!o)
		return LARDER_ENOMEM;
	t->objects = o;
	table = calloc(max * 2, sizeof(*table));
	if (!table)
		return LARDER_ENOMEM;
	free(t->table);
	t->table = table;
	t->table_size = max * 2;
	t->objects_max = max;
	for (size_t i = 0; i < t->nobjects; i++)
		*slot_of(t, t->objects[i].hash) = (uint32_t)i + 1;
	return 0;
}

static int grow_requests(struct sim_trace *t)
{
	size_t max = t->requests_max ? t->requests_max * 2 : 4096;
	uint32_t *r = realloc(t->requests, max * sizeof(*r));

	if (!r)
		return LARDER_ENOMEM;
	t->requests = r;
	t->requests_max = max;
	return 0;
}

int sim_trace_add(struct sim_trace *t, struct view name, uint64_t size)
{
	struct hash128 hash = hash_128(name, 0);
	uint32_t *slot;
	int err = 0;

	if (t->nrequests == SIM_REQUESTS_MAX || t->nobjects == SIM_OBJECTS_MAX)
		return LARDER_ELIMIT;
	if (t->nrequests == t->requests_max)
		err = grow_requests(t);
	if (!err && t->nobjects == t->objects_max)
		err = grow_objects(t);
	if (err)
		return err;
	slot = slot_of(t, hash);
	if (!*slot) {
		t->objects[t->nobjects++] = (struct sim_object){
		        .hash = hash,
		        .size = size ? size : derived_size(name),
		};
		*slot = (uint32_t)t->nobjects;
	}
	t->requests[t->nrequests++] = *slot - 1;
	return 0;
}

static int add_line(struct sim_trace *t, struct view line)
{
	struct view rest, name = view_cut(line, ' ', &rest);
	uint64_t size = 0;
	int err = 0;

	if (!name.len)
		return 0;
	rest = view_trim(rest);
	if (rest.len)
		err = num_parse_u64(rest, UINT64_C(1) << 40, &size);
	return err ? err : sim_trace_add(t, name, size);
}

int sim_trace_read(struct sim_trace *t, FILE *in, size_t *line)
{
	char *text = NULL;
	size_t max = 0;
	ssize_t n;
	int err = 0;

	*line = 0;
	while (!err && (n = getline(&text, &max, in)) >= 0) {
		struct view v = view_make(text, (size_t)n);

		++*line;
		while (v.len && (v.ptr[v.len - 1] == '\n' || v.ptr[v.len - 1] == '\r'))
			v.len--;
		err = add_line(t, v);
	}
	if (!err && ferror(in))
		err = larder_from_errno(errno);
	free(text);
	return err;
}

/* As charge_of in the store's apply.c and the block count of a body's file. */
static uint64_t store_charge(uint64_t size)
{
	uint64_t blob = size > INLINE_MAX ? (size + PAGE - 1) / PAGE * PAGE : 0;
	size_t row = ROW_REST + (blob ? 0 : (size_t)size);
	uint64_t pages = db_run_pages(PAGE, row);

	return (pages ? pages * PAGE : row + 32) + blob;
}

void sim_trace_charge(struct sim_trace *t, enum sim_charge how)
{
	t->footprint = 0;
	for (size_t i = 0; i < t->nobjects; i++) {
		struct sim_object *o = &t->objects[i];

		o->charge = how == SIM_CHARGE_STORE ? store_charge(o->size) : o->size;
		t->footprint += o->charge;
	}
}
