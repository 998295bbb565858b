#include "fake.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/error.h"
#include "base/num.h"

struct exchange_env {
	struct net_loop *loop;
};

struct exchange {
	struct exchange_env *env;
	struct exchange_request req;
	const struct exchange_client_ops *ops;
	void *client;
	struct exchange **slot;
	struct net_timer timer;
	struct net_task task;
	char verb[16];
	uint64_t n, given;
	uint64_t chunk; /* taken at once of the request's body; 0: all */
	bool length_known, broken, answered;
	int fd;
	struct buf body;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct fake_counts counts;

#define COUNT(statement)                                                                           \
	do {                                                                                       \
		pthread_mutex_lock(&lock);                                                         \
		statement;                                                                         \
		pthread_mutex_unlock(&lock);                                                       \
	} while (0)

void fake_counts(struct fake_counts *out)
{
	COUNT(*out = counts);
}

/* Not calloc, which the torture lets fail (and which compilers make of malloc and memset). */
static void *zeroed(size_t size)
{
	void *p = aligned_alloc(_Alignof(max_align_t), (size + sizeof(max_align_t) - 1) /
	                                                       sizeof(max_align_t) *
	                                                       sizeof(max_align_t));

	check(p != NULL);
	return memset(p, 0, size);
}

struct exchange_env *fake_env(struct net_loop *l)
{
	struct exchange_env *env = zeroed(sizeof(*env));

	COUNT(counts = (struct fake_counts){0});
	env->loop = l;
	return env;
}

void fake_env_free(struct exchange_env *env)
{
	free(env);
}

static bool is(const struct exchange *x, const char *verb)
{
	return strcmp(x->verb, verb) == 0;
}

static char *make_body(uint64_t n)
{
	char *body = malloc(n + 1);

	check(body != NULL);
	for (uint64_t i = 0; i < n; i++)
		body[i] = fake_byte(i);
	return body;
}

static void reply(struct exchange *x, unsigned status, struct view body, uint64_t length,
                  bool complete)
{
	struct exchange_reply r = {
	        .status = status, .length = length, .body = body, .complete = complete};
	char line[64], fields[64] = "";
	bool bodiless = x->req.head->method == HTTP_METHOD_HEAD || status == 204 || status == 304;

	x->answered = true;
	snprintf(line, sizeof(line), "HTTP/1.1 %u X\r\n", status);
	r.head[r.nhead++] = view_of(line);
	if (length != HTTP_LENGTH_UNKNOWN && status != 204)
		snprintf(fields, sizeof(fields), "Content-Length: %llu\r\n",
		         (unsigned long long)length);
	r.head[r.nhead++] = view_of(fields);
	if (bodiless)
		r.body = view_make(NULL, 0);
	r.no_body = bodiless;
	x->ops->reply(x->client, &r);
}

static void reply_whole(struct exchange *x)
{
	char *body = make_body(x->n);

	reply(x, 200, view_make(body, x->n), x->n, true);
	free(body);
}

static void interim(struct exchange *x, unsigned status, const char *head)
{
	struct exchange_reply r = {.status = status, .nhead = 1};

	r.head[0] = view_of(head);
	x->ops->interim(x->client, &r);
}

static void tunnel(struct exchange *x, unsigned status)
{
	struct exchange_reply r = {.status = status, .no_body = true, .complete = true};

	r.head[r.nhead++] = status == 101 ? V("HTTP/1.1 101 X\r\n") : V("HTTP/1.1 200 X\r\n");
	r.upgrade = V("websocket");
	x->answered = true;
	x->ops->reply(x->client, &r);
	x->ops->detach(x->client);
}

static bool feed_some(struct exchange *x)
{
	uint64_t left = x->n - x->given, took;
	size_t piece = left < 200000 ? (size_t)left : 200000;

	if (x->fd >= 0) {
		took = x->ops->file(x->client, x->fd, x->given, left);
		x->given += took;
		return took == left;
	}
	char *body = malloc(piece + 1);
	check(body != NULL);
	for (size_t i = 0; i < piece; i++)
		body[i] = fake_byte(x->given + i);
	took = x->ops->data(x->client, view_make(body, piece));
	free(body);
	x->given += took;
	return took == piece;
}

static void feed(struct exchange *x)
{
	while (x->given < x->n) {
		if (!feed_some(x))
			return;
	}
	if (x->broken)
		x->ops->abort(x->client);
	else
		x->ops->end(x->client, V("X-Trailer: yes\r\n"));
}

static void make_file(struct exchange *x)
{
	char *body = make_body(x->n);

	x->fd = memfd_create("body", MFD_CLOEXEC);
	check(x->fd >= 0 && write(x->fd, body, x->n) == (ssize_t)x->n);
	free(body);
}

static void flow(struct exchange *x, uint64_t length)
{
	reply(x, 200, view_make(NULL, 0), length, false);
	if (x->req.head->method != HTTP_METHOD_HEAD)
		feed(x);
}

static void on_timer(struct net_timer *t)
{
	struct exchange *x = container_of(t, struct exchange, timer);

	if (is(x, "late") || is(x, "long-wait"))
		reply_whole(x);
	else
		x->ops->hold_body(x->client, false);
}

static void start(struct exchange *x)
{
	if (x->req.head->method == HTTP_METHOD_CONNECT) {
		tunnel(x, 200);
	} else if (is(x, "upgrade")) {
		tunnel(x, 101);
	} else if (is(x, "hit") || is(x, "early")) {
		reply_whole(x);
	} else if (is(x, "empty")) {
		reply(x, (unsigned)x->n, view_make(NULL, 0), 0, true);
	} else if (is(x, "late")) {
		net_timer_set(&x->timer, 5);
	} else if (is(x, "long-wait")) {
		net_timer_set(&x->timer, 1500);
	} else if (is(x, "flow") || is(x, "break")) {
		x->broken = is(x, "break");
		flow(x, HTTP_LENGTH_UNKNOWN);
	} else if (is(x, "known")) {
		flow(x, x->n);
	} else if (is(x, "short")) {
		x->n -= x->n > 0;
		flow(x, x->n + 1);
	} else if (is(x, "long")) {
		x->n++;
		flow(x, x->n - 1);
	} else if (is(x, "file") || is(x, "fileflow")) {
		make_file(x);
		flow(x, is(x, "file") ? x->n : HTTP_LENGTH_UNKNOWN);
	} else if (is(x, "continue")) {
		interim(x, 100, "HTTP/1.1 100 Continue\r\n");
	} else if (is(x, "hints")) {
		interim(x, 103, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n");
		reply_whole(x);
	} else if (!x->req.has_body && !is(x, "never")) {
		reply_whole(x);
	}
}

int exchange_new(struct exchange_env *env, const struct exchange_listener *listener,
                 const struct exchange_request *req, const struct exchange_client_ops *ops,
                 void *client, struct exchange **slot)
{
	struct exchange *x = zeroed(sizeof(*x));
	struct view rest = req->target->path, verb;

	if (rest.len && rest.ptr[0] == '/')
		rest = view_from(rest, 1);
	verb = view_cut(rest, '/', &rest);
	view_copy(verb, x->verb, sizeof(x->verb));
	if (rest.ptr)
		num_parse_u64(rest, UINT64_MAX, &x->n);
	if (is(x, "none")) {
		free(x);
		return LARDER_ENOMEM;
	}
	x->env = env;
	x->req = *req;
	x->ops = ops;
	x->client = client;
	x->slot = slot;
	x->fd = -1;
	*slot = x;
	x->chunk = is(x, "hold") ? x->n : 0;
	buf_init(&x->body, 64 * 1024 * 1024);
	net_timer_init(&x->timer, env->loop, on_timer);
	COUNT(counts.begun++);
	start(x);
	return 0;
}

size_t exchange_body(struct exchange *x, struct view data)
{
	check(x->req.has_body && data.len > 0);
	if (x->chunk) {
		if (data.len > x->chunk)
			data.len = x->chunk;
		x->ops->hold_body(x->client, true);
		net_timer_set(&x->timer, 1);
	}
	buf_addv(&x->body, data);
	check(!x->body.err);
	return data.len;
}

void exchange_body_end(struct exchange *x)
{
	check(x->req.has_body);
	check(x->req.length == HTTP_LENGTH_UNKNOWN || x->req.length == x->body.len);
	if (!x->answered && !is(x, "never"))
		reply(x, 200, buf_view(&x->body), x->body.len, true);
}

void exchange_body_abort(struct exchange *x)
{
	COUNT(counts.bodies_aborted++);
}

void exchange_writable(struct exchange *x)
{
	feed(x);
}

static void end(struct exchange *x)
{
	*x->slot = NULL;
	net_timer_stop(&x->timer);
	if (x->fd >= 0)
		close(x->fd);
	buf_fini(&x->body);
	free(x);
}

void exchange_tunnel(struct exchange *x, int fd, struct view first)
{
	COUNT(counts.tunnels++);
	/* The peer may be gone already; one that is there sees what is missing. */
	if (send(fd, "tunnel:", 7, MSG_NOSIGNAL) == 7)
		send(fd, first.ptr, first.len, MSG_NOSIGNAL);
	close(fd);
	end(x);
}

void exchange_sent(struct exchange *x, const struct exchange_sent *sent)
{
	COUNT(counts.ended++; counts.aborted += sent->aborted;
	      counts.body_bytes += sent->body_bytes; counts.bytes += sent->bytes;
	      counts.received += sent->received);
	end(x);
}

struct view exchange_pseudonym(const struct exchange_env *env)
{
	return V("larder");
}

int exchange_error_page(struct view pseudonym, const struct exchange_fault *fault, struct buf *head,
                        struct buf *body)
{
	buf_printf(body, "%s\n", fault->detail);
	return buf_printf(head, "HTTP/1.1 %u E\r\nContent-Length: %zu\r\n", fault->status, body->len);
}

void exchange_log_refused(const struct exchange_listener *listener, const struct addr *client,
                          const struct http_head *head, unsigned status, const char *detail,
                          uint64_t bytes, int64_t arrived_us)
{
	check(head != NULL && detail != NULL && client->len > 0);
	COUNT(counts.refused++; counts.last_refused = status);
}

int access_client(const struct access *a, const struct addr *client, struct access_refusal *why)
{
	return 0;
}
