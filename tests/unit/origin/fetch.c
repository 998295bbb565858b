#include "fetch.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/num.h"
#include "unit.h"

#define LINES_MAX 64

static bool parse_BOOL(const char *s)
{
	return strcmp(s, "yes") == 0;
}

static int64_t parse_INT(const char *s)
{
	uint64_t n;

	ck_assert_int_eq(num_parse_u64(view_of(s), INT64_MAX, &n), 0);
	return (int64_t)n;
}

static uint64_t parse_SIZE(const char *s)
{
	uint64_t n;

	ck_assert_int_eq(num_parse_size(view_of(s), &n), 0);
	return n;
}

static uint64_t parse_DURATION(const char *s)
{
	uint64_t n;

	ck_assert_int_eq(num_parse_duration(view_of(s), &n), 0);
	return n;
}

static char *parse_STRING(const char *s)
{
	char *copy = strdup(s);

	ck_assert_ptr_nonnull(copy);
	return copy;
}

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
#define OPTION(type, name, def, min, max, text) r->options.name = parse_##type(def);
#include "origin/options.def"
#undef OPTION
	r->loop = net_loop_new(2);
	ck_assert_ptr_nonnull(r->loop);
}

void rig_open(struct rig *r)
{
	ck_assert_int_eq(origin_global_init(), 0);
	r->origin = origin_new(r->loop, &r->options, &r->stats);
	ck_assert_ptr_nonnull(r->origin);
}

void rig_close(struct rig *r)
{
	origin_free(r->origin);
	net_loop_free(r->loop);
	ck_assert_uint_eq(r->stats.active, 0);
	free(r->options.ca_file);
}

void rig_run(struct rig *r)
{
	if (r->running)
		net_loop_run(r->loop);
}

static void leave(struct fetch *f)
{
	net_timer_stop(&f->timer);
	if (--f->rig->running == 0)
		net_loop_stop(f->rig->loop);
}

static bool cancel_at(struct fetch *f, int where)
{
	if ((int)f->cancel != where)
		return false;
	origin_cancel(f->transfer);
	leave(f);
	return true;
}

static void show_head(struct buf *b, const struct http_head *head)
{
	buf_printf(b, "%u %.*s", head->status, VFMT(head->reason));
	for (unsigned i = 0; i < head->nfields; i++)
		buf_printf(b, "|%.*s: %.*s", VFMT(head->fields[i].name),
		           VFMT(head->fields[i].value));
}

static int on_address(void *arg, const struct addr *a)
{
	struct fetch *f = arg;

	f->addresses++;
	cancel_at(f, CANCEL_ADDRESS);
	return f->refuse;
}

static void on_interim(void *arg, const struct http_head *head)
{
	struct fetch *f = arg;

	if (f->ninterims++)
		buf_addc(&f->interims, '\n');
	show_head(&f->interims, head);
	cancel_at(f, CANCEL_INTERIM);
}

static int on_head(void *arg, const struct http_head *head, uint64_t length,
                   const struct origin_info *info)
{
	struct fetch *f = arg;

	f->heads++;
	f->status = head->status;
	f->length = length;
	f->info = *info;
	show_head(&f->head, head);
	cancel_at(f, CANCEL_HEAD);
	return f->head_answer;
}

static void on_timer(struct net_timer *t)
{
	struct fetch *f = container_of(t, struct fetch, timer);

	origin_resume(f->transfer);
	origin_body_ready(f->transfer);
}

static int on_data(void *arg, struct view data)
{
	struct fetch *f = arg;

	ck_assert_uint_gt(data.len, 0);
	f->datas++;
	if (f->hold) {
		net_loop_stop(f->rig->loop);
		return ORIGIN_PAUSE;
	}
	if (f->pause_every && f->datas % f->pause_every == 0) {
		f->pauses++;
		net_timer_set(&f->timer, 1);
		return ORIGIN_PAUSE;
	}
	if (f->data_answer)
		return f->data_answer;
	ck_assert_int_eq(buf_addv(&f->body, data), 0);
	cancel_at(f, CANCEL_DATA);
	return 0;
}

static ssize_t on_body(void *arg, char *dst, size_t room)
{
	struct fetch *f = arg;
	size_t n = f->upload.len;

	if (cancel_at(f, CANCEL_BODY))
		return LARDER_EAGAIN;
	if (f->waits_left) {
		f->waits_left--;
		net_timer_set(&f->timer, 1);
		return LARDER_EAGAIN;
	}
	f->waits_left = f->upload_waits;
	if (f->upload_piece && n > f->upload_piece)
		n = f->upload_piece;
	if (n > room)
		n = room;
	if (n)
		memcpy(dst, f->upload.ptr, n);
	f->upload = view_from(f->upload, n);
	return (ssize_t)n;
}

static void on_switched(void *arg, const struct http_head *head, struct net_stream stream,
                        const struct origin_info *info)
{
	struct fetch *f = arg;

	f->switches++;
	f->status = head->status;
	f->info = *info;
	show_head(&f->head, head);
	f->stream = stream;
	leave(f);
}

static void on_done(void *arg, const struct origin_result *result)
{
	struct fetch *f = arg;

	f->dones++;
	f->err = result->err;
	f->head_seen = result->head_seen;
	ck_assert_uint_eq(result->body_bytes, f->body.len);
	if (result->err) {
		ck_assert_ptr_nonnull(result->proxy_error);
		ck_assert_ptr_nonnull(result->detail);
		snprintf(f->proxy_error, sizeof(f->proxy_error), "%s", result->proxy_error);
		snprintf(f->detail, sizeof(f->detail), "%s", result->detail);
	}
	buf_addv(&f->trailers, result->trailers);
	if (f->on_done)
		f->on_done(f);
	leave(f);
}

void fetch_init(struct fetch *f, struct rig *r, uint16_t port, const char *const *lines)
{
	static char host[32];
	static struct view views[LINES_MAX];
	unsigned n = 0;

	memset(f, 0, sizeof(*f));
	f->rig = r;
	buf_init(&f->head, 1 << 20);
	buf_init(&f->body, 64UL << 20);
	buf_init(&f->interims, 1 << 20);
	buf_init(&f->trailers, 1 << 20);
	net_timer_init(&f->timer, r->loop, on_timer);
	snprintf(host, sizeof(host), "Host: 127.0.0.1:%u", port);
	if (!lines)
		views[n++] = view_of(host);
	for (; lines && lines[n]; n++)
		views[n] = view_of(lines[n]);
	f->req = (struct origin_request){
	        .scheme = HTTP_SCHEME_HTTP,
	        .host = V("127.0.0.1"),
	        .port = port,
	        .method = V("GET"),
	        .target = V("/"),
	        .fields = views,
	        .nfields = n,
	        .idempotent = true,
	};
}

void fetch_start(struct fetch *f)
{
	static const struct origin_handlers handlers = {on_address, on_interim,  on_head, on_data,
	                                                on_body,    on_switched, on_done};

	f->waits_left = f->upload_waits;
	f->rig->running++;
	f->transfer = origin_start(f->rig->origin, &f->req, &handlers, f);
	ck_assert_ptr_nonnull(f->transfer);
	ck_assert_uint_eq(f->dones, 0);
}

void fetch_fini(struct fetch *f)
{
	buf_fini(&f->head);
	buf_fini(&f->body);
	buf_fini(&f->interims);
	buf_fini(&f->trailers);
}

void fetch_run(struct fetch *f)
{
	fetch_start(f);
	rig_run(f->rig);
}

void fetch_ended(const struct fetch *f, int err, const char *proxy_error)
{
	ck_assert_uint_eq(f->dones, 1);
	ck_assert_msg(f->err == err && strcmp(f->proxy_error, proxy_error ? proxy_error : "") == 0,
	              "ended with %s, %s (%s), expected %s, %s", larder_strerror(f->err),
	              f->proxy_error, f->detail, larder_strerror(err),
	              proxy_error ? proxy_error : "-");
}
