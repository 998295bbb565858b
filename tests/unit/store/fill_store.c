/*
 * Fills a store with many small responses, for measuring: store-fill DIR SIZE-IN-MIB. A million: 10
 * under small.example, 10,000 each under big.example and purge.example, the others under 9,800
 * hosts of 100. 100,000 of these have the tag many.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "fixture.h"

#define TOTAL 1000000u
#define QUEUE 20000u /* under way at once */

static void url_of(unsigned i, char *out, size_t size)
{
	if (i < 10)
		snprintf(out, size, "GET http://small.example/item/%u", i);
	else if (i < 10010)
		snprintf(out, size, "GET http://big.example/item/%u", i);
	else if (i < 20010)
		snprintf(out, size, "GET http://purge.example/item/%u", i);
	else
		snprintf(out, size, "GET http://www.host-%05u.example/item/%u", i / 100, i);
}

static int fill(struct fix *f)
{
	char url[128], body[512];
	int err = 0;

	for (unsigned i = 0; i < TOTAL && !err; i++) {
		struct item it = {.key = url,
		                  .lifetime = 86400,
		                  .head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: "
		                          "\"v1\"\r\nContent-Length: 300\r\n"};

		url_of(i, url, sizeof(url));
		it.tags = i >= 20010 && i < 120010 ? "scope\nkmany\n" : NULL;
		it.body = fix_bytes(body, 300, i);
		err = fix_queue(f, &it);
		if (!err && f->pending >= QUEUE)
			err = fix_wait(f);
	}
	return err ? err : fix_wait(f);
}

static int open_all(struct fix *f)
{
	char *why = NULL;
	int err = store_home_open(f->dir, f->size, (uid_t)-1, (gid_t)-1, &f->home, &why);

	free(why);
	if (err)
		return err;
	f->loop = net_loop_new(2);
	if (!f->loop)
		return LARDER_ENOMEM;
	net_timer_init(&f->guard, f->loop, fix_late);
	return store_open(f->home, f->loop, &f->options, &f->stats, &f->s);
}

int main(int argc, char **argv)
{
	struct fix f;
	int err;

	if (argc != 3) {
		fprintf(stderr, "usage: store-fill DIR SIZE-IN-MIB\n");
		return 2;
	}
	f = (struct fix){
	        .size = strtoull(argv[2], NULL, 10) << 20,
	        .options = {.inline_max = 64u << 10,
	                    .object_max = 1ull << 34,
	                    .durability = 2,
	                    .open_files = 16,
	                    .batch_records = 5000,
	                    .batch_bytes = 8u << 20,
	                    .queue_bytes = 64u << 20,
	                    .sweep_interval = 3600000},
	};
	snprintf(f.dir, sizeof(f.dir), "%s", argv[1]);
	err = open_all(&f);
	if (!err)
		err = fill(&f);
	if (err)
		fprintf(stderr, "store-fill: %s\n", larder_strerror(err));
	if (f.s)
		fix_close_store(&f);
	store_home_free(f.home);
	return err ? 1 : 0;
}
