/* larder-simulate: hit ratios of larder's eviction and of its peers over a trace. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"
#include "sim.h"

#define CAPACITIES_MAX 32

static const struct sim_cache_type *const types[] = {&sim_larder, &sim_lru, &sim_fifo, &sim_gdsf};
enum { LARDER, LRU, FIFO, GDSF, TYPES };

struct capacity {
	double percent; /* 0: in bytes */
	uint64_t bytes;
};

struct command {
	const char *name;
	struct capacity capacities[CAPACITIES_MAX];
	size_t ncapacities;
	enum sim_charge charge;
	struct sim_recipe recipe;
	bool generate, print, json;
};

static const char usage_text[] =
        "usage: larder-simulate [OPTION]... < TRACE\n"
        "Hit ratios of larder's eviction beside LRU, FIFO and GDSF. A trace has a line for each\n"
        "request: a name without spaces, and if you like its size in bytes; sizes that are not\n"
        "given are derived from the name, log-uniform from 512 bytes to 1 MiB.\n"
        "\n"
        "  --cache=LIST       sizes, in % of the bytes of all objects or in bytes\n"
        "                     (default: 1%,5%,10%,20%; 64M and 2G are sizes too)\n"
        "  --charge=HOW       store: what the store would allocate (default); payload: the size\n"
        "  --json             for programs\n"
        "  --name=TEXT        of the trace, for the output\n"
        "  --generate=KIND    make a trace instead of reading one:\n";

static const char usage_rest[] =
        "  --alpha=X          of Zipf's law (default: 0.9)\n"
        "  --objects=N        that popularity is spread over (default: 20000)\n"
        "  --requests=N       (default: 200000)\n"
        "  --seed=N           another trace of that kind\n"
        "  --print            print the generated trace and simulate nothing\n"
        "  --help\n";

static void usage(FILE *out)
{
	fputs(usage_text, out);
	for (size_t i = 0; sim_kinds[i][0]; i++)
		fprintf(out, "      %-6s %s\n", sim_kinds[i][0], sim_kinds[i][1]);
	fputs(usage_rest, out);
}

/* ---- Arguments ---- */

static int parse_real(const char *text, double min, double max, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && !*end && *out >= min && *out <= max ? 0 : LARDER_EINVAL;
}

static int parse_capacity(struct view v, struct capacity *out)
{
	char text[32];

	*out = (struct capacity){0};
	if (!v.len || v.ptr[v.len - 1] != '%')
		return num_parse_size(v, &out->bytes) || !out->bytes ? LARDER_EINVAL : 0;
	v.len--;
	if (!view_copy(v, text, sizeof(text)))
		return LARDER_EINVAL;
	return parse_real(text, 1e-6, 100, &out->percent);
}

static int parse_capacities(const char *text, struct command *c)
{
	struct view rest = view_of(text);

	c->ncapacities = 0;
	while (rest.len) {
		int err = c->ncapacities == CAPACITIES_MAX ? LARDER_ELIMIT : 0;

		if (!err)
			err = parse_capacity(view_cut(rest, ',', &rest),
			                     &c->capacities[c->ncapacities++]);
		if (err)
			return err;
	}
	return c->ncapacities ? 0 : LARDER_EINVAL;
}

static int parse_charge(const char *text, enum sim_charge *out)
{
	*out = strcmp(text, "payload") ? SIM_CHARGE_STORE : SIM_CHARGE_PAYLOAD;
	return *out == SIM_CHARGE_PAYLOAD || !strcmp(text, "store") ? 0 : LARDER_EINVAL;
}

static int parse_count(const char *text, uint64_t max, uint32_t *out)
{
	uint64_t n;
	int err = num_parse_u64(view_of(text), max, &n);

	if (err || !n)
		return LARDER_EINVAL;
	*out = (uint32_t)n;
	return 0;
}

enum {
	O_CACHE = 1,
	O_CHARGE,
	O_JSON,
	O_NAME,
	O_GENERATE,
	O_ALPHA,
	O_OBJECTS,
	O_REQUESTS,
	O_SEED,
	O_PRINT,
	O_HELP
};

static const struct option options[] = {
        {"cache", required_argument, NULL, O_CACHE},
        {"charge", required_argument, NULL, O_CHARGE},
        {"json", no_argument, NULL, O_JSON},
        {"name", required_argument, NULL, O_NAME},
        {"generate", required_argument, NULL, O_GENERATE},
        {"alpha", required_argument, NULL, O_ALPHA},
        {"objects", required_argument, NULL, O_OBJECTS},
        {"requests", required_argument, NULL, O_REQUESTS},
        {"seed", required_argument, NULL, O_SEED},
        {"print", no_argument, NULL, O_PRINT},
        {"help", no_argument, NULL, O_HELP},
        {NULL, 0, NULL, 0},
};

static int take_option(struct command *c, int o, const char *text)
{
	switch (o) {
	case O_CACHE:
		return parse_capacities(text, c);
	case O_CHARGE:
		return parse_charge(text, &c->charge);
	case O_JSON:
		c->json = true;
		return 0;
	case O_NAME:
		c->name = text;
		return 0;
	case O_GENERATE:
		c->generate = true;
		c->recipe.kind = text;
		return 0;
	case O_ALPHA:
		return parse_real(text, 0, 4, &c->recipe.alpha);
	case O_OBJECTS:
		return parse_count(text, SIM_OBJECTS_MAX / 2, &c->recipe.objects);
	case O_REQUESTS:
		return parse_count(text, SIM_REQUESTS_MAX / 2, &c->recipe.requests);
	case O_SEED:
		return num_parse_u64(view_of(text), UINT64_MAX, &c->recipe.seed);
	case O_PRINT:
		c->print = true;
		return 0;
	default:
		return LARDER_EINVAL;
	}
}

/* 0, or the exit status + 1. */
static int parse(struct command *c, int argc, char **argv)
{
	int o, which = 0;

	while ((o = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (o == O_HELP) {
			usage(stdout);
			return 1;
		}
		if (o == '?' || take_option(c, o, optarg)) {
			if (o != '?')
				fprintf(stderr, "larder-simulate: --%s: \"%s\" is not possible\n",
				        options[which].name, optarg ? optarg : "");
			usage(stderr);
			return 3;
		}
	}
	if (optind < argc || (c->print && !c->generate)) {
		usage(stderr);
		return 3;
	}
	return 0;
}

/* ---- Output ---- */

struct row {
	struct capacity capacity;
	struct sim_result of[TYPES];
};

static double ratio(double a, double b)
{
	return b > 0 ? a / b : 1;
}

static void print_head(const struct command *c, const struct sim_trace *t)
{
	char bytes[24];

	printf("%s: %zu requests for %zu objects, footprint %s bytes\n", c->name, t->nrequests,
	       t->nobjects, num_format_size(t->footprint, bytes, sizeof(bytes)));
	printf("%-10s %-33s  %-33s  %-13s %s\n", "", "objects", "bytes", "larder / LRU", "moves");
	printf("%-10s", "cache");
	for (int twice = 0; twice < 2; twice++) {
		for (size_t i = 0; i < TYPES; i++)
			printf(" %8s", types[i]->name);
		printf("%s", twice ? "" : "  ");
	}
	printf("  %6s %6s  per eviction\n", "obj.", "bytes");
}

static void print_row(const struct row *r)
{
	const struct sim_result *l = &r->of[LARDER];
	char text[32];

	if (r->capacity.percent > 0)
		snprintf(text, sizeof(text), "%g%%", r->capacity.percent);
	else
		num_format_size(r->capacity.bytes, text, sizeof(text));
	printf("%-10s", text);
	for (size_t i = 0; i < TYPES; i++)
		printf(" %7.2f%%", 100 * r->of[i].objects);
	printf("  ");
	for (size_t i = 0; i < TYPES; i++)
		printf(" %7.2f%%", 100 * r->of[i].bytes);
	printf("  %6.3f %6.3f  %.2f\n", ratio(l->objects, r->of[LRU].objects),
	       ratio(l->bytes, r->of[LRU].bytes),
	       l->evicted ? (double)l->moved / (double)l->evicted : 0);
}

static void print_sum(const struct row *rows, size_t n)
{
	double sum[2] = {0}, least[2] = {1e9, 1e9};

	for (size_t i = 0; i < n; i++) {
		const struct sim_result *a = &rows[i].of[LARDER], *b = &rows[i].of[LRU];
		double r[2] = {ratio(a->objects, b->objects), ratio(a->bytes, b->bytes)};

		for (int k = 0; k < 2; k++) {
			sum[k] += r[k];
			least[k] = r[k] < least[k] ? r[k] : least[k];
		}
	}
	printf("larder / LRU: objects %.3f on average, %.3f at least; bytes %.3f, %.3f\n\n",
	       sum[0] / (double)n, least[0], sum[1] / (double)n, least[1]);
}

static void print_json_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < 32)
			printf("\\u%04x", (unsigned)(unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_json(const struct command *c, const struct sim_trace *t, const struct row *rows)
{
	printf("{\"trace\": ");
	print_json_text(c->name);
	printf(", \"requests\": %zu, \"objects\": %zu, \"footprint\": %lu, \"charge\": \"%s\", "
	       "\"caches\": [",
	       t->nrequests, t->nobjects, t->footprint,
	       c->charge == SIM_CHARGE_STORE ? "store" : "payload");
	for (size_t i = 0; i < c->ncapacities; i++) {
		printf("%s{\"percent\": %g, \"bytes\": %lu", i ? ", " : "",
		       rows[i].capacity.percent, rows[i].capacity.bytes);
		for (size_t k = 0; k < TYPES; k++) {
			const struct sim_result *r = &rows[i].of[k];

			printf(", \"%s\": {\"objects\": %.6f, \"bytes\": %.6f, \"evicted\": %lu, "
			       "\"moved\": %lu}",
			       types[k]->name, r->objects, r->bytes, r->evicted, r->moved);
		}
		printf("}");
	}
	printf("]}\n");
}

/* ---- The work ---- */

static int simulate(const struct command *c, struct sim_trace *t)
{
	struct row rows[CAPACITIES_MAX];

	sim_trace_charge(t, c->charge);
	for (size_t i = 0; i < c->ncapacities; i++) {
		struct capacity *cap = &rows[i].capacity;

		*cap = c->capacities[i];
		if (cap->percent > 0)
			cap->bytes = (uint64_t)((double)t->footprint * cap->percent / 100);
		for (size_t k = 0; k < TYPES; k++) {
			int err = sim_run(types[k], t, cap->bytes, &rows[i].of[k]);

			if (err)
				return err;
		}
	}
	if (c->json) {
		print_json(c, t, rows);
		return 0;
	}
	print_head(c, t);
	for (size_t i = 0; i < c->ncapacities; i++)
		print_row(&rows[i]);
	print_sum(rows, c->ncapacities);
	return 0;
}

static int print_object(void *arg, uint32_t object)
{
	return fprintf(arg, "%u\n", object) < 0 ? larder_from_errno(errno) : 0;
}

static int run(const struct command *c)
{
	struct sim_trace t = {0};
	size_t line = 0;
	int err;

	if (c->print)
		return sim_generate_each(&c->recipe, print_object, stdout);
	err = c->generate ? sim_generate(&c->recipe, &t) : sim_trace_read(&t, stdin, &line);
	if (!err && !t.nrequests) {
		fprintf(stderr, "larder-simulate: %s: there are no requests\n", c->name);
		err = LARDER_EINVAL;
	} else if (err && line) {
		fprintf(stderr, "larder-simulate: %s, line %zu: %s\n", c->name, line,
		        larder_strerror(err));
	}
	if (!err)
		err = simulate(c, &t);
	sim_trace_free(&t);
	return err;
}

int main(int argc, char **argv)
{
	struct command c = {
	        .capacities = {{1, 0}, {5, 0}, {10, 0}, {20, 0}},
	        .ncapacities = 4,
	        .recipe = {.kind = "zipf", .alpha = 0.9, .objects = 20000, .requests = 200000},
	};
	char name[64] = "trace";
	int ret = parse(&c, argc, argv);

	if (ret)
		return ret - 1;
	if (c.generate)
		snprintf(name, sizeof(name), "%s %g", c.recipe.kind, c.recipe.alpha);
	if (!c.name)
		c.name = name;
	ret = run(&c);
	if (ret)
		fprintf(stderr, "larder-simulate: %s\n", larder_strerror(ret));
	return ret ? 1 : 0;
}
