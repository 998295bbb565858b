/* Traces by recipe: the same seed gives the same trace on every machine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/num.h"
#include "sim.h"

const char *const sim_kinds[][2] = {
        {"zipf", "popularity by Zipf's law, the same all the time"},
        {"scan", "the same, but now and then many in a row that nobody asks for again"},
        {"loop", "the same, but a quarter of the requests go round through a fifth of the objects"},
        {"drift", "the same, but popularity moves on to other objects"},
        {"brief", "each object is asked for three times within a short while, then never again"},
        {NULL, NULL},
};

struct maker {
	const struct sim_recipe *r;
	double *sums; /* cumulated weights of the ranks */
	uint32_t *by_rank;
	uint64_t state;
	uint32_t done, fresh; /* requests made; the next object nobody has asked for */
	int (*emit)(void *arg, uint32_t object);
	void *arg;
};

/* splitmix64 */
static uint64_t draw(struct maker *m)
{
	uint64_t x = m->state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static double draw_unit(struct maker *m)
{
	return (double)(draw(m) >> 11) * 0x1p-53;
}

static uint32_t draw_rank(struct maker *m)
{
	double u = draw_unit(m) * m->sums[m->r->objects - 1];
	uint32_t lo = 0, hi = m->r->objects - 1;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->sums[mid] < u)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int one(struct maker *m, uint32_t object)
{
	m->done++;
	return m->emit(m->arg, object);
}

static int popular(struct maker *m)
{
	return one(m, m->by_rank[draw_rank(m)]);
}

static int scan(struct maker *m)
{
	int err = popular(m);

	if (m->done % 16384 < 12288)
		return err;
	while (!err && m->done % 16384)
		err = one(m, m->fresh++);
	return err;
}

static int loop(struct maker *m)
{
	uint32_t n = m->r->objects / 5 + 1;

	return m->done % 4 ? popular(m) : one(m, m->r->objects + m->done / 4 % n);
}

static int drift(struct maker *m)
{
	/* A tenth of the objects loses its place while each was asked for some ten times. */
	uint32_t shift = m->done / 100;

	return one(m, draw_rank(m) + shift);
}

static int brief(struct maker *m)
{
	double back = -log(1 - draw_unit(m)) * 300;
	uint32_t now = m->done / 3, ago = (uint32_t)back;

	if (m->done % 3 == 0)
		return one(m, now);
	return one(m, now > ago ? now - ago : 0);
}

static int prepare(struct maker *m)
{
	uint32_t n = m->r->objects;
	double sum = 0;

	m->sums = calloc(n, sizeof(*m->sums));
	m->by_rank = calloc(n, sizeof(*m->by_rank));
	if (!m->sums || !m->by_rank)
		return LARDER_ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = (uint32_t)(draw(m) % (i + 1));

		sum += pow(i + 1.0, -m->r->alpha);
		m->sums[i] = sum;
		m->by_rank[i] = m->by_rank[j];
		m->by_rank[j] = i;
	}
	return 0;
}

int sim_generate_each(const struct sim_recipe *r, int (*emit)(void *arg, uint32_t object),
                      void *arg)
{
	static int (*const makers[])(struct maker * m) = {popular, scan, loop, drift, brief};
	struct maker m = {.r = r, .state = r->seed, .emit = emit, .arg = arg};
	size_t kind = 0;
	int err;

	while (sim_kinds[kind][0] && strcmp(sim_kinds[kind][0], r->kind))
		kind++;
	if (!sim_kinds[kind][0] || !r->objects || r->objects > SIM_OBJECTS_MAX / 2)
		return LARDER_EINVAL;
	m.fresh = r->objects * 2;
	err = prepare(&m);
	while (!err && m.done < r->requests)
		err = makers[kind](&m);
	free(m.sums);
	free(m.by_rank);
	return err;
}

static int add(void *arg, uint32_t object)
{
	char name[20];

	return sim_trace_add(arg, view_make(name, num_format_u64(object, name)), 0);
}

int sim_generate(const struct sim_recipe *r, struct sim_trace *t)
{
	return sim_generate_each(r, add, t);
}
