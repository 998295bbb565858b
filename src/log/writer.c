#include "log-private.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/error.h"

/* Lines wait this long for company, so that a busy log costs a hundred writes a second, not one
 * each. */
#define GATHER_MS 10
/* How often a target that took nothing is tried again. */
#define RETRY_MS 50
/* At the end: for what is queued; and the seconds to wait for the thread. */
#define STOP_MS 700
#define JOIN_S  10

struct queue {
	struct buf fill;    /* lines come in here, under the mutex */
	struct buf drain;   /* the thread writes these out; swapped with fill when done */
	size_t drained;     /* of drain */
	uint64_t new_drops; /* since the last notice of it */
	uint64_t notice_ms;
	struct log_target target;
};

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	pthread_t thread;
	bool opened, threaded, stopping;
	bool writing;  /* the thread is at a target, perhaps held there */
	bool sleeping; /* until a line comes */
	bool hurry;    /* a queue is half full: the others' company is not waited for */
	enum log_level level;
	struct queue queues[2];
	struct log_format format;
	struct log_stats *stats;
	char process[32];
} state = {
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .level = LOG_L_INFO,
        .queues = {{.target = {.kind = LOG_STREAM, .fd = STDERR_FILENO, .pipe = true}},
                   {.target = {.kind = LOG_OFF, .fd = -1}}},
};

static void count(uint64_t *cell, uint64_t n)
{
	if (n)
		__atomic_fetch_add(cell, n, __ATOMIC_RELAXED);
}

static void drop(struct queue *q, uint64_t lines)
{
	q->new_drops += lines;
	if (state.stats)
		count(&state.stats->dropped, lines);
}

void log_queue_add(enum log_which which, struct view line)
{
	struct queue *q = &state.queues[which];

	pthread_mutex_lock(&state.mutex);
	if (buf_addv(&q->fill, line)) {
		q->fill.err = 0;
		drop(q, 1);
	} else {
		bool half = !state.hurry && q->fill.len > q->fill.max / 2;

		state.hurry |= half;
		if (state.sleeping || half) {
			state.sleeping = false;
			pthread_cond_signal(&state.wake);
		}
	}
	pthread_mutex_unlock(&state.mutex);
}

/* Writes what is in q->drain; without the mutex. */
static void push(struct queue *q)
{
	uint64_t written = 0, lost = 0, failures = 0;

	__atomic_store_n(&state.writing, true, __ATOMIC_RELAXED);
	q->drained += log_target_write(&q->target, view_from(buf_view(&q->drain), q->drained),
	                               &written, &lost, &failures);
	__atomic_store_n(&state.writing, false, __ATOMIC_RELAXED);
	if (q->drained == q->drain.len) {
		buf_reset(&q->drain);
		q->drained = 0;
	}
	if (state.stats) {
		if (q == &state.queues[LOG_ACCESS])
			count(&state.stats->lines, written);
		count(&state.stats->failures, failures);
		count(&state.stats->dropped, lost);
	}
	if (lost) {
		pthread_mutex_lock(&state.mutex);
		q->new_drops += lost;
		pthread_mutex_unlock(&state.mutex);
	}
}

/* Under the mutex: the lines that came in become those to be written. */
static void swap(struct queue *q)
{
	struct buf b = q->drain;

	if (q->drain.len || !q->fill.len)
		return;
	q->drain = q->fill;
	q->fill = b;
}

static bool work_left(void)
{
	for (size_t i = 0; i < ARRAY_LEN(state.queues); i++) {
		if (state.queues[i].fill.len || state.queues[i].drain.len)
			return true;
	}
	return false;
}

static bool stuck(void)
{
	return state.queues[LOG_ERROR].drain.len || state.queues[LOG_ACCESS].drain.len;
}

/* At most once a second, and when the target takes lines again. */
static void notice_drops(void)
{
	static const char *const names[] = {"error log", "access log"};
	uint64_t now = clock_mono_ms(), n;

	for (size_t i = 0; i < ARRAY_LEN(state.queues); i++) {
		struct queue *q = &state.queues[i];

		pthread_mutex_lock(&state.mutex);
		n = q->drain.len || now - q->notice_ms < 1000 ? 0 : q->new_drops;
		if (n) {
			q->new_drops = 0;
			q->notice_ms = now;
		}
		pthread_mutex_unlock(&state.mutex);
		if (n)
			log_warning("%s: %" PRIu64
			            " lines dropped: its target was too slow or full",
			            names[i], n);
	}
}

static void wait_ms(unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!state.stopping && !state.hurry &&
	       pthread_cond_timedwait(&state.wake, &state.mutex, &until) == 0)
		;
}

static void wait_for_work(void)
{
	pthread_mutex_lock(&state.mutex);
	if (stuck() && state.stopping) {
		pthread_mutex_unlock(&state.mutex);
		poll(NULL, 0, GATHER_MS);
		pthread_mutex_lock(&state.mutex);
	} else if (stuck()) {
		/* More lines make a stuck target no faster. */
		state.hurry = false;
		wait_ms(RETRY_MS);
	} else {
		while (!work_left() && !state.stopping) {
			state.sleeping = true;
			pthread_cond_wait(&state.wake, &state.mutex);
		}
		state.sleeping = false;
		wait_ms(GATHER_MS);
	}
	state.hurry = false;
	for (size_t i = 0; i < ARRAY_LEN(state.queues); i++)
		swap(&state.queues[i]);
	pthread_mutex_unlock(&state.mutex);
}

static bool done(uint64_t *deadline)
{
	bool end;

	pthread_mutex_lock(&state.mutex);
	if (state.stopping && !*deadline)
		*deadline = clock_mono_ms() + STOP_MS;
	end = state.stopping && (!work_left() || clock_mono_ms() > *deadline);
	pthread_mutex_unlock(&state.mutex);
	return end;
}

static void *run(void *arg)
{
	uint64_t deadline = 0;

	do {
		wait_for_work();
		for (size_t i = 0; i < ARRAY_LEN(state.queues); i++) {
			if (state.queues[i].drain.len)
				push(&state.queues[i]);
		}
		notice_drops();
	} while (!done(&deadline));
	return arg;
}

/* The child gets the queues as they are: not in the middle of a swap. */
static void before_fork(void)
{
	pthread_mutex_lock(&state.mutex);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&state.mutex);
}

/* A child has none of its parent's threads, and its lines are its own. */
static void after_fork(void)
{
	state.threaded = state.writing = state.sleeping = state.stopping = state.hurry = false;
	for (size_t i = 0; i < ARRAY_LEN(state.queues); i++) {
		struct queue *q = &state.queues[i];

		buf_reset(&q->fill);
		buf_reset(&q->drain);
		q->drained = 0;
		q->new_drops = 0;
	}
	pthread_mutex_unlock(&state.mutex);
}

static void init_queues(void)
{
	static bool once;
	struct buf *b;

	if (once)
		return;
	once = true;
	for (size_t i = 0; i < ARRAY_LEN(state.queues); i++) {
		b = &state.queues[i].fill;
		buf_init(b, i == LOG_ACCESS ? LOG_ACCESS_QUEUE : LOG_ERROR_QUEUE);
		state.queues[i].drain = *b;
	}
	pthread_atfork(before_fork, after_fork_parent, after_fork);
}

int log_open(const struct log_options *o, char **why)
{
	bool again = state.threaded;
	struct log_format format;
	int err;

	*why = NULL;
	init_queues();
	err = log_format_parse(&format, o->access_log_format, why);
	if (err)
		return err;
	/* The thread must not see half of the change. */
	if (again)
		log_stop();
	err = log_target_open(&state.queues[LOG_ERROR].target, "error_log", o->error_log, why);
	if (!err)
		err = log_target_open(&state.queues[LOG_ACCESS].target, "access_log", o->access_log,
		                      why);
	if (err) {
		log_format_fini(&format);
	} else {
		log_format_fini(&state.format);
		state.format = format;
		state.level = (enum log_level)o->log_level;
		state.opened = true;
	}
	if (again && log_start(NULL, state.stats) && !err)
		err = LARDER_ESYSTEM;
	return err;
}

int log_start(const char *process, struct log_stats *stats)
{
	pthread_condattr_t attr;
	sigset_t all, old;
	int err;

	check(!state.threaded);
	init_queues();
	if (process)
		view_copy(view_of(process), state.process, sizeof(state.process));
	state.stats = stats;
	state.stopping = false;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&state.wake, &attr);
	pthread_condattr_destroy(&attr);
	/* Signals are for the process's loop; SIGPIPE of a dead reader becomes EPIPE. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&state.thread, NULL, run, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return larder_from_errno(err);
	state.threaded = true;
	return 0;
}

/* Waits for the thread; a second at most if a write holds it, longer if it only wants for a
 * processor. */
static bool join_thread(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	for (int i = 0; i < JOIN_S; i++) {
		until.tv_sec++;
		if (pthread_timedjoin_np(state.thread, NULL, &until) == 0)
			return true;
		if (__atomic_load_n(&state.writing, __ATOMIC_RELAXED))
			return false;
	}
	return false;
}

void log_stop(void)
{
	if (!state.threaded)
		return;
	pthread_mutex_lock(&state.mutex);
	state.stopping = true;
	pthread_cond_signal(&state.wake);
	pthread_mutex_unlock(&state.mutex);
	/* A write that never ends ends with the process. */
	if (!join_thread())
		pthread_detach(state.thread);
	state.threaded = false;
}

int log_reopen(void)
{
	int err, err2;

	pthread_mutex_lock(&state.mutex);
	err = log_target_reopen(&state.queues[LOG_ERROR].target);
	err2 = log_target_reopen(&state.queues[LOG_ACCESS].target);
	pthread_mutex_unlock(&state.mutex);
	return err ? err : err2;
}

void log_reopen_fds(int *error_fd, int *access_fd)
{
	const struct log_target *e = &state.queues[LOG_ERROR].target,
	                        *a = &state.queues[LOG_ACCESS].target;

	*error_fd = e->kind == LOG_FILE ? e->fd : -1;
	*access_fd = a->kind == LOG_FILE ? a->fd : -1;
}

void log_adopt_fds(int error_fd, int access_fd)
{
	if (error_fd >= 0)
		log_target_adopt(&state.queues[LOG_ERROR].target, error_fd);
	if (access_fd >= 0)
		log_target_adopt(&state.queues[LOG_ACCESS].target, access_fd);
}

/* "2000-10-10 13:55:36.123 worker 3 [4711] warning: TEXT", or as syslog wants it (RFC 3164 §4.1).
 */
static void head(struct log_line *l, enum log_level level)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};
	static const unsigned severities[] = {3, 4, 6, 7};
	const struct log_target *t = &state.queues[LOG_ERROR].target;
	int64_t now = clock_wall_us();
	const struct log_clock *c = log_clock_at(now / 1000000);

	if (t->kind == LOG_SYSLOG) {
		log_syslog_head(l, severities[level], c);
	} else if (state.opened) {
		log_line_add(l, view_make(c->iso, 10));
		log_line_addc(l, ' ');
		log_line_add(l, view_from(view_of(c->iso), 11));
		log_line_addc(l, '.');
		log_line_addu_pad(l, (uint64_t)(now % 1000000 / 1000), 3, '0');
		log_line_addc(l, ' ');
	} else {
		log_line_add(l, view_of(program_invocation_short_name));
		log_line_add(l, V(": "));
	}
	if (state.process[0]) {
		log_line_add(l, view_of(state.process));
		log_line_add(l, V(" ["));
		log_line_addu(l, (uint64_t)getpid());
		log_line_add(l, V("] "));
	}
	log_line_add(l, view_of(names[level]));
	log_line_add(l, V(": "));
}

void log_vmessage(enum log_level level, const char *fmt, va_list ap)
{
	char text[LOG_MESSAGE_MAX], line[2 * LOG_MESSAGE_MAX];
	struct log_line l = {.p = line, .end = line + sizeof(line)};
	uint64_t counts[3] = {0};
	int n;

	if (level > state.level)
		return;
	head(&l, level);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	log_line_message(&l, view_make(text, n < 0 ? 0 : strlen(text)));
	if (n >= (int)sizeof(text))
		log_line_add(&l, V("..."));
	*l.p++ = '\n';
	if (state.threaded)
		log_queue_add(LOG_ERROR, view_make(line, (size_t)(l.p - line)));
	else
		log_target_write(&state.queues[LOG_ERROR].target,
		                 view_make(line, (size_t)(l.p - line)), &counts[0], &counts[1],
		                 &counts[2]);
}

void log_access(const struct log_access *a)
{
	const struct log_target *t = &state.queues[LOG_ACCESS].target;
	char line[LOG_LINE_MAX + 64];
	struct log_line l = {.p = line, .end = line + 64};
	size_t len;

	if (t->kind == LOG_OFF)
		return;
	if (t->kind == LOG_SYSLOG)
		log_syslog_head(&l, 6, log_clock_at(clock_wall_s()));
	len = (size_t)(l.p - line);
	len += log_format_line(&state.format, a, l.p);
	if (state.threaded)
		log_queue_add(LOG_ACCESS, view_make(line, len));
}

bool log_access_wanted(void)
{
	return state.queues[LOG_ACCESS].target.kind != LOG_OFF;
}
