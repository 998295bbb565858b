/* The origin behind the caches: any /SIZE/anything is an answer of SIZE bytes that may be kept for
 * a day, and that differs from URL to URL by beginning with the target and a line feed. /-/count
 * says how many requests there were. Answers to /SIZE/slow/anything wait for a moment. */
#include <stdio.h>
#include <string.h>
#include "serve.h"

#define SLOW_MS 50

static unsigned long long requests;

static void answer_count(struct serve_answer *a)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%llu\n", requests);
	int n = snprintf(a->scratch, SERVE_HEAD_MAX,
	                 "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
	                 "Cache-Control: no-store\r\n\r\n%s",
	                 len, text);
	a->iov[0].iov_base = a->scratch;
	a->iov[0].iov_len = (size_t)n;
	a->count = 1;
}

static void answer(const struct serve_request *r, struct serve_answer *a)
{
	static const char count[] = "/-/count";
	if (r->target_len == sizeof count - 1 && !memcmp(r->target, count, sizeof count - 1)) {
		answer_count(a);
		return;
	}
	requests++;
	if (memmem(r->target, r->target_len, "/slow/", 6))
		a->delay_ms = SLOW_MS;
	int n = snprintf(a->scratch, SERVE_HEAD_MAX / 2,
	                 "HTTP/1.1 200 OK\r\nDate: %s\r\n"
	                 "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n"
	                 "Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\r\nETag: \"bench\"\r\n"
	                 "Cache-Control: public, max-age=86400\r\n\r\n",
	                 serve_date(), (unsigned long long)r->size);
	size_t lead = r->target_len < SERVE_TARGET_MAX ? r->target_len : SERVE_TARGET_MAX;
	if (r->size < lead + 1)
		lead = 0;
	else
		memcpy(a->scratch + n, r->target, lead);
	if (lead)
		a->scratch[(size_t)n + lead++] = '\n';
	a->iov[0].iov_base = a->scratch;
	a->iov[0].iov_len = (size_t)n + lead;
	a->iov[1].iov_base = (void *)(uintptr_t)serve_pattern();
	a->iov[1].iov_len = r->size - lead;
	a->count = 2;
}

int main(int argc, char **argv)
{
	return serve_run(serve_port(argc, argv), answer);
}
