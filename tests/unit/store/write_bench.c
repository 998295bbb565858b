/*
 * Measures what storing costs: bodies come in pieces as fetches bring them, over as many at once as
 * -k says, to one store or to several processes' stores of one home.
 *
 *   store-write [-d full|batch|none] [-c CAP-MiB] [-i INLINE-KiB] [-k AT-ONCE] [-w WRITERS]
 *               [-q QUEUE-MiB] [-r MB/s] [-n MiB-EACH] DIR SIZE-KiB…
 *
 * Sizes are written one after the other (small, then large …), or in turns where they are joined
 * by a plus sign. Prints records and MB a second, the share that was stored, processor time a
 * record of the loop's and of the writer's thread, and commits.
 */
#include <getopt.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "fixture.h"

#define PIECE     16384u
#define AT_ONCE   1024
#define SIZES_MAX 8

struct fetch {
	struct store_spool *sp;
	char key[64];
	uint64_t done, length, n;
	bool waits;
};

struct bench {
	struct fix f;
	struct net_timer tick;
	struct fetch fetches[AT_ONCE];
	unsigned at_once, writer, writers;
	uint64_t pending_max;
	uint64_t rate, target, begun, sent, started_us;
	size_t sizes[SIZES_MAX];
	unsigned nsizes;
	uint64_t done, stored, refused, pending;
};

static double cpu(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_done(void *arg, int err)
{
	struct bench *b = arg;

	b->pending--;
	b->done++;
	b->stored += !err;
}

static void commit(struct bench *b, struct fetch *x)
{
	struct item it = {
	        .key = x->key,
	        .lifetime = 3600,
	        .body = view_make(NULL, x->length),
	        .head = "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: "
	                "text/html\r\nCache-Control: max-age=3600\r\nETag: \"v1\"\r\n"};
	struct store_record r;
	struct store_key key;

	fix_record(&it, &r);
	store_key_init(b->f.s, view_of(x->key), &key);
	if (store_commit(b->f.s, &key, &r, x->sp, on_done, b) == 0)
		b->pending++;
	else
		b->refused++;
}

static void begin(struct bench *b, struct fetch *x)
{
	x->n = b->begun++;
	x->length = b->sizes[x->n % b->nsizes];
	x->done = 0;
	snprintf(x->key, sizeof(x->key), "GET http://www.host-%03lu.example/%u/%lu/%lu", x->n % 499,
	         b->writer, b->sizes[0], x->n);
	x->sp = store_spool_new(b->f.s, x->length);
}

static void end(struct fetch *x)
{
	store_spool_unref(x->sp);
	x->sp = NULL;
}

static void on_ready(void *arg)
{
	((struct fetch *)arg)->waits = false;
}

/* One piece of a body. */
static void piece(struct bench *b, struct fetch *x)
{
	static char bytes[PIECE];
	size_t len = x->length - x->done < PIECE ? x->length - x->done : PIECE;
	uint64_t mark[3] = {x->n, b->writer, x->done};
	int ret;

	memcpy(bytes, mark, sizeof(mark));
	ret = store_spool_append(x->sp, view_make(bytes, len));
	if (ret == STORE_WAIT) {
		x->waits = true;
		store_spool_wait(x->sp, on_ready, x);
		return;
	}
	b->sent += len;
	x->done += len;
	if (ret) {
		b->refused++;
		end(x);
	} else if (x->done == x->length) {
		commit(b, x);
		end(x);
	}
}

static void tick(struct net_timer *t)
{
	struct bench *b = container_of(t, struct bench, tick);
	uint64_t due = UINT64_MAX, sent = b->sent, refused = b->refused;
	bool busy = false;

	if (b->rate)
		due = (clock_mono_us() - b->started_us) * b->rate / 1000000;
	for (unsigned i = 0; i < b->at_once; i++) {
		struct fetch *x = &b->fetches[i];

		if (!x->sp && b->sent < b->target && b->pending < b->pending_max)
			begin(b, x);
		busy |= x->sp != NULL;
		if (x->sp && !x->waits && b->sent < due)
			piece(b, x);
	}
	if (busy || b->pending)
		net_timer_set(t, b->sent == sent && b->refused == refused);
	else
		net_loop_stop(b->f.loop);
}

static void run_sizes(struct bench *b)
{
	double all = cpu(CLOCK_PROCESS_CPUTIME_ID), loop = cpu(CLOCK_THREAD_CPUTIME_ID), s;
	uint64_t n, commits = b->f.stats.commits;
	struct store_usage u;
	struct rusage r0, r1;

	b->begun = b->sent = b->done = b->stored = b->refused = 0;
	b->started_us = clock_mono_us();
	getrusage(RUSAGE_SELF, &r0);
	net_timer_init(&b->tick, b->f.loop, tick);
	net_timer_set(&b->tick, 0);
	net_loop_run(b->f.loop);
	getrusage(RUSAGE_SELF, &r1);
	s = (double)(clock_mono_us() - b->started_us) / 1e6;
	all = cpu(CLOCK_PROCESS_CPUTIME_ID) - all;
	loop = cpu(CLOCK_THREAD_CPUTIME_ID) - loop;
	n = b->begun;
	store_usage(b->f.s, &u);
	printf("%u: %6lu%s KiB: %7.0f/s %6.1f MB/s, %5.1f %% stored, CPU/record loop %6.1f us "
	       "writer "
	       "%6.1f us, %lu commits, %lu switches; %lu MiB index (%lu free), %lu MiB blobs, %lu "
	       "records\n",
	       b->writer, b->sizes[0] >> 10, b->nsizes > 1 ? "+" : "", (double)n / s,
	       (double)b->sent / s / 1e6, 100.0 * (double)b->stored / (double)n,
	       loop / (double)n * 1e6, (all - loop) / (double)n * 1e6, b->f.stats.commits - commits,
	       r1.ru_nvcsw + r1.ru_nivcsw - r0.ru_nvcsw - r0.ru_nivcsw, u.index_bytes >> 20,
	       u.index_free_bytes >> 20, u.blob_bytes >> 20, u.records);
	fflush(stdout);
}

static void run(struct bench *b, char **sizes)
{
	for (; *sizes; sizes++) {
		char *p = *sizes;

		for (b->nsizes = 0; b->nsizes < SIZES_MAX; p++) {
			b->sizes[b->nsizes++] = strtoull(p, &p, 10) << 10;
			if (*p != '+')
				break;
		}
		run_sizes(b);
	}
}

static int start(struct bench *b)
{
	struct fix *f = &b->f;

	f->loop = net_loop_new(2);
	if (!f->loop)
		return LARDER_ENOMEM;
	return store_open(f->home, f->loop, &f->options, &f->stats, &f->s);
}

static int work(struct bench *b, char **sizes)
{
	int err = start(b);

	if (err) {
		fprintf(stderr, "store-write: %s\n", larder_strerror(err));
		return 1;
	}
	run(b, sizes);
	fix_close_store(&b->f);
	return 0;
}

static enum { FULL, BATCH, NONE } durability(const char *name)
{
	return !strcmp(name, "none") ? NONE : !strcmp(name, "batch") ? BATCH : FULL;
}

int main(int argc, char **argv)
{
	static struct bench b;
	char *why = NULL;
	int c, err;

	b = (struct bench){
	        .at_once = 64, .writers = 1, .pending_max = UINT64_MAX, .target = 256u << 20};
	b.f.size = 1u << 30;
	b.f.options = (struct store_options){
#define OPTION(type, name, def, min, max, text) .name = 0,
#include "store/options.def"
#undef OPTION
	};
	b.f.options.inline_max = 64u << 10;
	b.f.options.object_max = 1ull << 34;
	b.f.options.open_files = 512;
	b.f.options.commit_delay = 20;
	b.f.options.batch_records = 2000;
	b.f.options.batch_bytes = 8u << 20;
	b.f.options.queue_bytes = 64u << 20;
	b.f.options.sweep_interval = 3600000;
	b.f.options.store_wait = 1000;
	while ((c = getopt(argc, argv, "d:c:i:k:w:q:r:n:b:D:p:W:")) != -1) {
		uint64_t n = strtoull(optarg, NULL, 10);

		switch (c) {
		case 'd':
			b.f.options.durability = (int)durability(optarg);
			break;
		case 'c':
			b.f.size = n << 20;
			break;
		case 'i':
			b.f.options.inline_max = n << 10;
			break;
		case 'k':
			b.at_once = n < AT_ONCE ? (unsigned)n : AT_ONCE;
			break;
		case 'w':
			b.writers = (unsigned)n;
			break;
		case 'q':
			b.f.options.queue_bytes = n << 20;
			break;
		case 'b':
			b.f.options.batch_bytes = n << 20;
			break;
		case 'D':
			b.f.options.commit_delay = n;
			break;
		case 'r':
			b.rate = n * 1000000;
			break;
		case 'W':
			b.f.options.store_wait = n;
			break;
		case 'p':
			b.pending_max = n;
			break;
		case 'n':
			b.target = n << 20;
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 >= argc) {
		fprintf(stderr, "usage: see the source\n");
		return 2;
	}
	snprintf(b.f.dir, sizeof(b.f.dir), "%s", argv[optind]);
	err = store_home_open(b.f.dir, b.f.size, (uid_t)-1, (gid_t)-1, &b.f.home, &why);
	if (err) {
		fprintf(stderr, "store-write: %s\n", why ? why : larder_strerror(err));
		return 1;
	}
	for (b.writer = 0; b.writers > 1 && b.writer < b.writers; b.writer++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(work(&b, argv + optind + 1));
	}
	if (b.writers == 1)
		return work(&b, argv + optind + 1);
	while (wait(NULL) > 0)
		;
	return 0;
}
