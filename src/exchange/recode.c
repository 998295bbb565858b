/* Compressing what is stored, once, on the thread pool: between a fetch's end and its commit. */
#include "exchange-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "coding.h"
#include "http/framing.h"

#define RECODES_BYTES (64u << 20) /* at work in a worker at once: what is beyond is stored as it is */
#define WORTH_PERCENT 90          /* what does not become smaller than that share stays as it is */

struct recode {
	LIST_ENTRY(recode) link;
	struct exchange_env *env; /* NULL: nobody waits any more */
	struct fill *fill;        /* a reference */
	size_t length;
	int level, fd, err;       /* fd: the body's file, or -1: it is in `body` */
	char *body;
	struct buf out;
};

/* ---- What is compressed ---- */

static bool type_matches(struct view type, struct view pattern)
{
	if (view_ends(pattern, V("/*")))
		return view_istarts(type, view_make(pattern.ptr, pattern.len - 1));
	return view_ieq(type, pattern);
}

static bool type_wanted(const struct option_list *types, struct view type)
{
	struct view rest;

	type = view_trim(view_cut(type, ';', &rest));
	for (size_t i = 0; i < types->n; i++) {
		if (type_matches(type, view_of(types->items[i])))
			return true;
	}
	return false;
}

static bool wanted(const struct fill *f, uint64_t length)
{
	const struct exchange_listener_options *o = &f->listener->options;
	struct view head = buf_view(&f->head);

	return o->compress && f->status == 200 && length >= o->compress_min && length <= o->compress_max &&
	       !(f->meta.flags & CACHE_F_NO_TRANSFORM) && !lines_field(head, V("Content-Encoding")).ptr &&
	       !lines_field(head, V("Content-Range")).ptr &&
	       type_wanted(&o->compress_types, lines_field(head, V("Content-Type")));
}

/* ---- On a pool thread ---- */

static int read_body(struct recode *r)
{
	size_t have = 0;
	ssize_t n;

	r->body = malloc(r->length);
	if (!r->body)
		return LARDER_ENOMEM;
	while (have < r->length) {
		n = pread(r->fd, r->body + have, r->length - have, (off_t)have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return LARDER_EIO;
		have += (size_t)n;
	}
	return 0;
}

static void work(void *arg)
{
	struct recode *r = arg;

	r->err = r->body ? 0 : read_body(r);
	if (!r->err)
		r->err = gzip_write(view_make(r->body, r->length), r->level, &r->out);
}

/* ---- On the loop ---- */

static void recode_free(struct recode *r)
{
	if (r->fd >= 0)
		close(r->fd);
	free(r->body);
	buf_fini(&r->out);
	free(r);
}

/* The stored head of the compressed form. Content-Encoding and Vary are added on the way out, since clients differ. */
static int gzip_head(struct view head, uint64_t length, struct buf *out, uint32_t *flags)
{
	static const char *const names[] = {"Content-Length:", "Content-Digest:", "Repr-Digest:", "Digest:", "Content-MD5:"};
	struct view line, value;
	bool drop;

	*flags = CACHE_F_CODED | CACHE_F_RECODED;
	while (head.len) {
		line = view_cut(head, '\n', &head);
		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		drop = false;
		for (size_t i = 0; i < ARRAY_LEN(names); i++)
			drop |= view_istarts(line, view_of(names[i]));
		if (drop)
			continue;
		/* RFC 9110 §8.8.1: other bytes, so it is strong no more. */
		value = view_istarts(line, V("ETag:")) ? view_trim(view_from(line, 5)) : view_make(NULL, 0);
		if (value.len && !view_starts(value, V("W/"))) {
			BUF_ADD_LIT(out, "ETag: W/");
			buf_addv(out, value);
			*flags |= CACHE_F_ETAG_WEAKENED | CACHE_F_ETAG_WEAK;
		} else {
			buf_addv(out, line);
		}
		BUF_ADD_LIT(out, "\r\n");
	}
	buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
	return out->err;
}

/* false: it has to be what came. */
static bool commit_compressed(struct recode *r)
{
	struct fill *f = r->fill;
	struct store_spool *spool;
	uint32_t flags;
	struct buf head;
	bool done = false;

	if (r->err)
		return false;
	buf_init(&head, HEAD_BYTES);
	spool = store_spool_new(f->env->store, r->out.len);
	if (spool && store_spool_append(spool, buf_view(&r->out)) == 0 &&
	    gzip_head(buf_view(&f->head), r->out.len, &head, &flags) == 0) {
		stat_add(&f->env->stats->recoded, 1);
		stat_add(&f->env->stats->recoded_bytes, r->length - r->out.len);
		fill_commit_as(f, spool, buf_view(&head), flags);
		done = true;
	}
	store_spool_unref(spool);
	buf_fini(&head);
	return done;
}

/* The fill goes on. */
static void leave(struct recode *r)
{
	struct exchange_env *env = r->env;
	struct fill *f = r->fill;

	LIST_REMOVE(r, link);
	env->recode_bytes -= r->length;
	r->env = NULL;
	r->fill = NULL;
	fill_unref(f);
}

static void done(void *arg)
{
	struct recode *r = arg;

	if (r->env) {
		if (!commit_compressed(r))
			fill_commit_as(r->fill, r->fill->spool, buf_view(&r->fill->head), 0);
		leave(r);
	}
	recode_free(r);
}

/* Takes the body out of the spool: a copy, or its file. */
static int take_body(struct recode *r, struct store_spool *sp)
{
	struct store_piece piece;

	store_spool_read(sp, 0, &piece);
	if (piece.fd >= 0 && piece.len >= r->length) {
		r->fd = fcntl(piece.fd, F_DUPFD_CLOEXEC, 0);
		return r->fd < 0 ? LARDER_EFILES : 0;
	}
	if (piece.fd >= 0 || piece.mem.len < r->length)
		return LARDER_EAGAIN; /* some of it waits for room on the disk: there is work enough */
	r->body = malloc(r->length);
	if (!r->body)
		return LARDER_ENOMEM;
	memcpy(r->body, piece.mem.ptr, r->length);
	return 0;
}

bool recode_begin(struct fill *f)
{
	struct exchange_env *env = f->env;
	uint64_t length = store_spool_length(f->spool);
	struct recode *r;

	if (!wanted(f, length) || env->recode_bytes + length > RECODES_BYTES)
		return false;
	r = calloc(1, sizeof(*r));
	if (!r)
		return false;
	r->fd = -1;
	r->length = (size_t)length;
	r->level = (int)f->listener->options.compress_level;
	/* More than that is not worth it. */
	buf_init(&r->out, r->length * WORTH_PERCENT / 100 + 1);
	if (take_body(r, f->spool) || net_work(env->loop, work, done, r)) {
		recode_free(r);
		return false;
	}
	r->env = env;
	r->fill = f;
	fill_ref(f);
	env->recode_bytes += length;
	LIST_INSERT_HEAD(&env->recodes, r, link);
	return true;
}

void recode_abandon(struct exchange_env *env)
{
	struct recode *r;

	while ((r = LIST_FIRST(&env->recodes)) != NULL) {
		fill_commit_as(r->fill, r->fill->spool, buf_view(&r->fill->head), 0);
		leave(r);
	}
}
