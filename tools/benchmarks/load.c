/* A load generator that checks every answer: status, length, and that the body begins as the origin
 * makes it. Prints one line of JSON. See usage() for what it can do. */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include "load.h"

enum { EVENTS_MAX = 512, CONNECTIONS_MAX = 10000, STALL_SECONDS = 20 };

struct load_plan load_plan = {
        .connections = 64, .span = 1, .status = 200, .field = "", .target = "/1024/one"};
struct load_result load_result;
int load_epoll;
static struct load_conn *conns;
static uint64_t begun, seed = 88172645463325252u;

uint64_t load_now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t next_number(void)
{
	if (load_plan.order == LOAD_SEQUENCE)
		return load_plan.first + begun;
	if (load_plan.order == LOAD_FIXED)
		return load_plan.first;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return load_plan.first + seed % load_plan.span;
}

static bool may_begin(uint64_t start, uint64_t now, uint64_t *due)
{
	if (load_plan.requests && begun >= load_plan.requests)
		return false;
	*due = load_plan.rate > 0 ? start + (uint64_t)((double)begun / load_plan.rate * 1e9) : now;
	return *due <= now;
}

/* Gives idle connections something to do; returns how many are busy. */
static unsigned assign(uint64_t start)
{
	unsigned busy = 0;
	uint64_t due, now = load_now();
	for (unsigned i = 0; i < load_plan.connections; i++) {
		if (!conns[i].busy && may_begin(start, now, &due)) {
			uint64_t number = next_number();
			begun++;
			load_conn_start(&conns[i], number, due);
		}
		busy += conns[i].busy;
	}
	return busy;
}

static void wait_events(uint64_t start, uint64_t end, bool any_idle)
{
	struct epoll_event events[EVENTS_MAX];
	uint64_t now = load_now(), until = end, due;
	bool all_begun = load_plan.requests && begun >= load_plan.requests;
	if (load_plan.rate > 0 && !all_begun) {
		due = start + (uint64_t)((double)begun / load_plan.rate * 1e9);
		/* What fell due since connections were given work must not wait for an event. */
		if (due < until && (due > now || any_idle))
			until = due;
	}
	uint64_t wait = until > now ? until - now : 0;
	struct timespec ts = {(time_t)(wait / 1000000000u), (long)(wait % 1000000000u)};
	int n = epoll_pwait2(load_epoll, events, EVENTS_MAX, &ts, NULL);
	for (int i = 0; i < n; i++)
		load_conn_event(events[i].data.ptr, events[i].events);
	if (load_plan.rate > 0)
		return;
	/* Without a rate the connections that just got idle go on at once, and nobody else has to
	 * be looked at. */
	for (int i = 0; i < n; i++) {
		struct load_conn *c = events[i].data.ptr;
		if (!c->busy && may_begin(start, load_now(), &due)) {
			uint64_t number = next_number();
			begun++;
			load_conn_start(c, number, due);
		}
	}
}

static double run(void)
{
	uint64_t start = load_now(), last_done = 0, last_bytes = 0, moved = start;
	uint64_t end =
	        load_plan.seconds > 0 ? start + (uint64_t)(load_plan.seconds * 1e9) : UINT64_MAX;
	unsigned busy = assign(start);
	for (;;) {
		uint64_t now = load_now();
		struct load_result *r = &load_result;
		uint64_t over = r->done + r->failed + r->bad_head;
		if (now >= end || (load_plan.requests && over >= load_plan.requests))
			break;
		if (r->done != last_done || r->bytes != last_bytes)
			moved = now;
		else if (now - moved > STALL_SECONDS * 1000000000ull) {
			r->failed += load_plan.connections;
			break;
		}
		last_done = r->done;
		last_bytes = r->bytes;
		wait_events(start, end < now + 1000000000u ? end : now + 1000000000u,
		            busy < load_plan.connections);
		if (load_plan.rate > 0)
			busy = assign(start);
	}
	return (double)(load_now() - start) / 1e9;
}

static void print(double seconds)
{
	struct load_result *r = &load_result;
	printf("{\"requests\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"reconnects\": %llu, ",
	       (unsigned long long)r->done, (unsigned long long)r->bytes, seconds,
	       (unsigned long long)r->reconnects);
	printf("\"bad_status\": %llu, \"first_bad_status\": %llu, \"bad_length\": %llu, "
	       "\"bad_body\": %llu, "
	       "\"bad_head\": %llu, \"failed\": %llu, ",
	       (unsigned long long)r->bad_status, (unsigned long long)r->first_bad_status,
	       (unsigned long long)r->bad_length, (unsigned long long)r->bad_body,
	       (unsigned long long)r->bad_head, (unsigned long long)r->failed);
	printf("\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}\n",
	       (double)histogram_at(&r->latency, 0.5) / 1e3,
	       (double)histogram_at(&r->latency, 0.9) / 1e3,
	       (double)histogram_at(&r->latency, 0.99) / 1e3,
	       (double)histogram_at(&r->latency, 0.999) / 1e3, (double)r->latency.max / 1e3);
}

static void usage(void)
{
	fputs("usage: load -p PORT [-c CONNECTIONS] [-d SECONDS] [-n REQUESTS] [-r RATE] [-t "
	      "TARGET] [-s SIZE]\n"
	      "            [-R SPAN | -S] [-f FIRST] [-H FIELD] [-e STATUS] [-i SEED] [-k] [-b]\n"
	      "-R: numbers at random, of SPAN; -S: one after the other; they replace # in TARGET, "
	      "from FIRST on\n"
	      "-k: a connection for each request; -b: bodies begin with the target; latencies are "
	      "in microseconds\n",
	      stderr);
	exit(2);
}

static uint64_t number(const char *text, uint64_t min, uint64_t max)
{
	char *end;
	errno = 0;
	unsigned long long n = strtoull(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max)
		usage();
	return n;
}

static void set(int opt, const char *value)
{
	struct load_plan *p = &load_plan;
	switch (opt) {
	case 'p':
		p->port = (uint16_t)number(value, 1, 65535);
		break;
	case 'c':
		p->connections = (unsigned)number(value, 1, CONNECTIONS_MAX);
		break;
	case 'd':
		p->seconds = strtod(value, NULL);
		break;
	case 'n':
		p->requests = number(value, 1, UINT64_MAX);
		break;
	case 'r':
		p->rate = strtod(value, NULL);
		break;
	case 't':
		p->target = value;
		break;
	case 's':
		p->size = number(value, 0, UINT64_MAX);
		break;
	case 'R':
		p->order = LOAD_RANDOM;
		p->span = number(value, 1, UINT64_MAX);
		break;
	case 'S':
		p->order = LOAD_SEQUENCE;
		break;
	case 'f':
		p->first = number(value, 0, UINT64_MAX);
		break;
	case 'H':
		p->field = value;
		break;
	case 'e':
		p->status = (unsigned)number(value, 100, 599);
		break;
	case 'i':
		seed += number(value, 0, UINT64_MAX / 2) * 0x9e3779b97f4a7c15u;
		break;
	case 'k':
		p->close = true;
		break;
	case 'b':
		p->check_body = true;
		break;
	default:
		usage();
	}
}

int main(int argc, char **argv)
{
	int opt;
	while ((opt = getopt(argc, argv, "p:c:d:n:r:t:s:R:Sf:H:e:i:kb")) != -1)
		set(opt, optarg);
	if (!load_plan.port || optind != argc || (load_plan.seconds <= 0 && !load_plan.requests))
		usage();
	if (!seed)
		seed = 1;
	conns = calloc(load_plan.connections, sizeof *conns);
	load_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || load_epoll < 0) {
		perror("load");
		return 1;
	}
	for (unsigned i = 0; i < load_plan.connections; i++)
		conns[i].fd = -1;
	print(run());
	return 0;
}
