/* Purges of many, in steps between which others write. */
#include "purge.h"

#include <stdlib.h>

#include "base/clock.h"
#include "log/log.h"
#include "store/list.h"

#define STEP_MS  20 /* of looking for what it means */
#define WAIT_MAX 1024

/* ---- Making one ---- */

static bool valid(const struct store_purge *what)
{
	if (!what->text.len)
		return false;
	/* As store_list_new wants it. */
	if (what->kind == STORE_PURGE_URL)
		return view_starts(what->text, V("http")) && what->text.len > 8;
	return true;
}

int purge_make(struct store *s, const struct store_purge *what, struct purge **out, const char **why)
{
	struct purge *p;
	int err = 0;

	if (why)
		*why = NULL;
	if (!valid(what))
		return LARDER_EINVAL;
	if (what->text.len > STORE_PATTERN_MAX)
		return LARDER_ELIMIT;
	p = calloc(1, sizeof(*p) + what->text.len);
	if (!p)
		return LARDER_ENOMEM;
	memcpy(p->text, what->text.ptr, what->text.len);
	p->soft = what->soft;
	p->early = what->early;
	p->test = (struct purge_test){
	        .kind = what->kind,
	        .text = view_make(p->text, what->text.len),
	        .port = what->port,
	        .below = what->below,
	        .tag = (uint8_t)what->tag,
	        .scoped = what->scope.ptr != NULL,
	};
	if (s)
		p->test.scope = tags_scope_hash(s->seed, what->scope);
	if (what->kind == STORE_PURGE_PATTERN)
		err = pattern_new(p->test.text, &p->test.pattern, why);
	if (err) {
		free(p);
		return err;
	}
	*out = p;
	return 0;
}

void purge_free(struct purge *p)
{
	store_list_free(p->list);
	pattern_free(p->test.pattern);
	free(p);
}

int store_purge_check(const struct store_purge *what, const char **why)
{
	struct purge *p;
	int err = purge_make(NULL, what, &p, why);

	if (!err)
		purge_free(p);
	return err;
}

/* ---- Looking for what it means ---- */

static int open_list(struct store *s, struct purge *p)
{
	struct store_range range = {0};

	if (p->test.kind == STORE_PURGE_URL)
		range.url = p->test.text;
	if (p->test.kind == STORE_PURGE_HOST)
		range = (struct store_range){
		        .host = p->test.text, .port = p->test.port, .below = p->test.below};
	p->list = store_list_new(s, &range, STORE_LIST_RESPONSES);
	return p->list ? 0 : LARDER_ENOMEM;
}

int purge_next_listed(struct store *s, struct purge *p, struct hash128 *row)
{
	struct store_entry e;
	int ret = p->list ? 0 : open_list(s, p);

	if (ret)
		return ret;
	ret = store_list_step(p->list, &e);
	if (ret != 1)
		return ret;
	if (p->before && e.record.id >= p->before)
		return LARDER_EAGAIN;
	ret = purge_means(&p->test, s->seed, e.record.key, V(""));
	if (ret <= 0)
		return ret ? ret : LARDER_EAGAIN;
	if (hash_64(e.record.key, s->seed) != p->last)
		p->urls++;
	p->last = hash_64(e.record.key, s->seed);
	*row = e.hash;
	return 1;
}

int purge_next_tagged(struct store *s, struct purge *p, struct MDB_txn *txn, struct hash128 *row)
{
	struct tags_key k = tags_key(s->seed, p->test.text, p->test.scope, (struct hash128){0, 0});
	struct view range = view_make(k.bytes, p->test.scoped ? TAGS_SCOPE : 16), key, val;
	struct view from = p->from_len ? view_make(p->from, p->from_len) : range;
	int ret = db_seek(s->db, txn, DB_TAGS, from, &key, &val);

	if (ret <= 0)
		return ret;
	if (key.len != TAGS_KEY || !view_starts(key, range))
		return 0;
	memcpy(p->from, key.ptr, key.len);
	p->from[key.len] = '\0';
	p->from_len = key.len + 1;
	*row = record_hash(view_from(key, TAGS_SCOPE));
	return 1;
}

static int add_op(struct purge *p, struct hash128 row, struct op_list *ops)
{
	struct op *op = calloc(1, sizeof(*op));

	if (!op)
		return LARDER_ENOMEM;
	op->kind = OP_PURGE;
	op->key = row;
	op->soft = p->soft;
	op->of = p;
	TAILQ_INSERT_TAIL(ops, op, link);
	return 0;
}

static int collect_listed(struct store *s, struct purge *p, struct op_list *ops, unsigned *n)
{
	uint64_t until = clock_mono_ms() + STEP_MS;
	struct hash128 row;
	int ret = 1;

	while (*n < PURGE_STEP && clock_mono_ms() < until) {
		ret = purge_next_listed(s, p, &row);
		if (ret == LARDER_EAGAIN)
			continue;
		if (ret == 1)
			ret = add_op(p, row, ops);
		else if (ret == 0)
			p->end = true;
		if (ret || p->end)
			return ret;
		++*n;
	}
	return 0;
}

static int collect_tagged(struct store *s, struct purge *p, struct op_list *ops, unsigned *n)
{
	uint64_t until = clock_mono_ms() + STEP_MS;
	struct MDB_txn *txn;
	struct hash128 row;
	int ret = db_begin(s->db, false, &txn);

	if (ret)
		return ret;
	while (*n < PURGE_STEP && clock_mono_ms() < until) {
		ret = purge_next_tagged(s, p, txn, &row);
		p->end = ret == 0;
		if (ret == 1)
			ret = add_op(p, row, ops);
		if (ret || p->end)
			break;
		++*n;
	}
	db_abort(txn);
	return ret < 0 ? ret : 0;
}

int purge_collect(struct store *s, struct purge *p, struct op_list *ops, unsigned *n)
{
	*n = 0;
	return p->test.kind == STORE_PURGE_TAG ? collect_tagged(s, p, ops, n)
	                                       : collect_listed(s, p, ops, n);
}

void purge_drop_ops(struct op_list *ops)
{
	struct op *op;

	while ((op = TAILQ_FIRST(ops))) {
		TAILQ_REMOVE(ops, op, link);
		op_free(op);
	}
}

/* ---- The writer's duty ---- */

bool purge_waits(struct store *s)
{
	return __atomic_load_n(&s->purges.nrunning, __ATOMIC_RELAXED) > 0;
}

static void finish(struct store *s, struct purge *p, int err)
{
	struct writer *w = &s->writer;

	pthread_mutex_lock(&w->lock);
	TAILQ_REMOVE(&s->purges.running, p, link);
	TAILQ_INSERT_TAIL(&s->purges.ended, p, link);
	__atomic_sub_fetch(&s->purges.nrunning, 1, __ATOMIC_RELAXED);
	p->err = p->err ? p->err : err;
	p->n = p->tally;
	pthread_mutex_unlock(&w->lock);
	net_wake_send(s->wake);
}

/* Ends the notice and the purge. */
static void end(struct store *s, struct purge *p, int err)
{
	struct write w;

	if (p->seq && s->db && write_begin(s, &w) == 0) {
		purge_notice_end(s, p->seq);
		write_abort(&w);
	}
	finish(s, p, err);
}

/* Under the write lock all that others have stored until now is seen by the walk, and what they store
 * later sees the notice. */
static void begin_all(struct store *s)
{
	struct writer *wr = &s->writer;
	struct purge *p, *next;
	struct write w;
	bool any = false;
	int err;

	pthread_mutex_lock(&wr->lock);
	TAILQ_FOREACH (p, &s->purges.running, link)
		any |= !p->seq;
	pthread_mutex_unlock(&wr->lock);
	if (!any)
		return;
	err = write_begin(s, &w);
	pthread_mutex_lock(&wr->lock);
	TAILQ_FOREACH_SAFE (p, &s->purges.running, link, next) {
		if (p->seq)
			continue;
		if (err) {
			p->err = err;
			p->end = true;
			continue;
		}
		p->before = w.st.next_id;
		if (!purge_notice(s, &p->test, p->soft, p->before, &p->seq))
			break;
		p->due = true;
		stat_add_mt(&s->stats->purges, 1);
	}
	pthread_mutex_unlock(&wr->lock);
	if (!err)
		write_abort(&w);
	net_wake_send(s->wake);
}

/* The first that can go on; it is the last then, so that a long one holds up nobody. */
static struct purge *turn(struct store *s)
{
	struct writer *w = &s->writer;
	struct purge *p;

	pthread_mutex_lock(&w->lock);
	TAILQ_FOREACH (p, &s->purges.running, link) {
		if (p->seq || p->end)
			break;
	}
	if (p) {
		TAILQ_REMOVE(&s->purges.running, p, link);
		TAILQ_INSERT_TAIL(&s->purges.running, p, link);
	}
	pthread_mutex_unlock(&w->lock);
	return p;
}

static void step(struct store *s, struct purge *p)
{
	struct op_list ops = TAILQ_HEAD_INITIALIZER(ops);
	struct writer *w = &s->writer;
	unsigned n = 0;
	int err = p->err ? p->err : purge_collect(s, p, &ops, &n);

	if (!err && n)
		writer_run(s, &ops, n);
	purge_drop_ops(&ops);
	p->tally.urls += p->err || err ? 0 : p->urls;
	p->urls = 0;
	pthread_mutex_lock(&w->lock);
	p->n = p->tally;
	pthread_mutex_unlock(&w->lock);
	if (err || p->err || p->end)
		end(s, p, err);
}

void purge_run(struct store *s)
{
	struct purge *p;

	if (!purge_waits(s))
		return;
	begin_all(s);
	p = turn(s);
	if (p)
		step(s, p);
	if (purge_waits(s))
		writer_kick(s, DUTY_PURGE);
}

void purge_adopt(struct store *s)
{
	struct pool_purge n;
	struct write w;

	if (!pool_get(&s->pool->nactive) || write_begin(s, &w))
		return;
	while (purge_notice_adopt(s, &n)) {
		struct store_purge what = {
		        .kind = (enum store_purge_kind)n.kind,
		        .soft = n.soft,
		        .text = view_make(n.text, n.len),
		        .port = n.port,
		        .below = n.below,
		        .tag = (enum store_tag)n.tag,
		};
		struct purge *p;

		if (purge_make(s, &what, &p, NULL)) {
			purge_notice_end(s, n.seq);
			continue;
		}
		p->test.scoped = n.scoped;
		p->test.scope = n.scope;
		p->seq = n.seq;
		p->before = n.before;
		pthread_mutex_lock(&s->writer.lock);
		TAILQ_INSERT_TAIL(&s->purges.running, p, link);
		__atomic_add_fetch(&s->purges.nrunning, 1, __ATOMIC_RELAXED);
		pthread_mutex_unlock(&s->writer.lock);
		log_info("store: a purge that another process began goes on");
		writer_kick(s, DUTY_PURGE);
	}
	write_abort(&w);
}

/* ---- On the loop ---- */

/* One that has news for its caller; ended ones come off the list. */
static struct purge *next_news(struct store *s, bool *ended)
{
	struct purge *p;

	*ended = true;
	p = TAILQ_FIRST(&s->purges.ended);
	if (p) {
		TAILQ_REMOVE(&s->purges.ended, p, link);
		return p;
	}
	*ended = false;
	TAILQ_FOREACH (p, &s->purges.running, link) {
		if (p->early && p->due && !p->told)
			return p;
	}
	return NULL;
}

void purge_serve(struct store *s)
{
	struct writer *w = &s->writer;

	for (;;) {
		struct purge *p;
		store_purged_fn *done = NULL;
		struct store_purged n;
		void *arg = NULL;
		bool ended;
		int err = 0;

		pthread_mutex_lock(&w->lock);
		p = next_news(s, &ended);
		if (p) {
			done = p->told ? NULL : p->done;
			arg = p->arg;
			n = p->n;
			err = ended ? p->err : 0;
			p->told = true;
		}
		pthread_mutex_unlock(&w->lock);
		if (!p)
			return;
		if (done)
			done(arg, err, &n);
		if (ended)
			purge_free(p);
	}
}

void purge_stop(struct store *s)
{
	struct purge *p;

	/* Their notices stay: the keeper goes on with them, if there is one. */
	while ((p = TAILQ_FIRST(&s->purges.running))) {
		if (p->seq)
			purge_notice_leave(s, p->seq);
		finish(s, p, LARDER_ECLOSED);
	}
	purge_serve(s);
	purge_patterns_fini(&s->purges.patterns);
	purge_patterns_fini(&s->purges.writer);
}

int store_purge(struct store *s, const struct store_purge *what, store_purged_fn *done, void *arg)
{
	struct writer *w = &s->writer;
	struct purge *p;
	int err;

	check_magic(s, STORE_MAGIC);
	if (!w->running)
		return LARDER_ECLOSED;
	err = purge_make(s, what, &p, NULL);
	if (err)
		return err;
	p->done = done;
	p->arg = arg;
	pthread_mutex_lock(&w->lock);
	if (s->purges.nrunning >= WAIT_MAX)
		err = LARDER_ELIMIT;
	else
		TAILQ_INSERT_TAIL(&s->purges.running, p, link);
	if (!err)
		__atomic_add_fetch(&s->purges.nrunning, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&w->lock);
	if (err)
		purge_free(p);
	else
		writer_kick(s, DUTY_PURGE);
	return err;
}

bool store_purge_progress(struct store *s, const void *arg, struct store_purged *n)
{
	struct purge *p;

	check_magic(s, STORE_MAGIC);
	pthread_mutex_lock(&s->writer.lock);
	TAILQ_FOREACH (p, &s->purges.running, link) {
		if (p->arg == arg)
			break;
	}
	if (p)
		*n = p->n;
	pthread_mutex_unlock(&s->writer.lock);
	return p != NULL;
}
