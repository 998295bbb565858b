#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "net/loop.h"

static struct net_loop *loop;

static void setup(void)
{
	loop = net_loop_new(2);
	ck_assert_ptr_nonnull(loop);
}

static void teardown(void)
{
	net_loop_free(loop);
}

/* ---- Timers ---- */

struct row {
	struct net_timer timer;
	uint64_t ms, fired_us;
	int order;
};

static int fired;

static void on_timer(struct net_timer *t)
{
	struct row *r = container_of(t, struct row, timer);

	r->fired_us = clock_mono_us();
	r->order = fired++;
}

START_TEST(timers_fire_in_order_and_in_time)
{
	struct row rows[] = {{.ms = 30}, {.ms = 0}, {.ms = 10}, {.ms = 20}, {.ms = 5}, {.ms = 40}};
	int order[] = {4, 0, 2, 3, 1, 5};
	uint64_t began;

	fired = 0;
	net_loop_run(loop); /* nothing to wait for: returns, with the time up to date */
	began = clock_mono_us();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		net_timer_init(&rows[i].timer, loop, on_timer);
		net_timer_set(&rows[i].timer, rows[i].ms);
		ck_assert(net_timer_active(&rows[i].timer));
	}
	net_loop_run(loop);
	ck_assert_int_eq(fired, ARRAY_LEN(rows));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t took = rows[i].fired_us - began;

		ck_assert_int_eq(rows[i].order, order[i]);
		ck_assert(!net_timer_active(&rows[i].timer));
		/* Never early by more than the clock's grain; late only by what the machine does.
		 */
		ck_assert_uint_ge(took + 2000, rows[i].ms * 1000);
		ck_assert_uint_lt(took, rows[i].ms * 1000 + 2000000);
	}
}
END_TEST

START_TEST(timers_survive_random_sets_and_stops)
{
	enum { N = 2000 };
	static struct row rows[N];
	unsigned seed = 7;
	uint64_t last = 0;
	int want = 0;

	fired = 0;
	for (int i = 0; i < N; i++)
		net_timer_init(&rows[i].timer, loop, on_timer);
	for (int k = 0; k < 5 * N; k++) {
		struct row *r = &rows[rand_r(&seed) % N];

		if (rand_r(&seed) % 4 == 0)
			net_timer_stop(&r->timer);
		else
			net_timer_set(&r->timer, (uint64_t)rand_r(&seed) % 50);
	}
	for (int i = 0; i < N; i++)
		want += net_timer_active(&rows[i].timer);
	ck_assert_int_gt(want, 0);
	net_loop_run(loop);
	ck_assert_int_eq(fired, want);
	for (int k = 0; k < want; k++) {
		for (int i = 0; i < N; i++) {
			if (rows[i].fired_us && rows[i].order == k) {
				ck_assert_uint_ge(rows[i].timer.due_ms, last);
				last = rows[i].timer.due_ms;
			}
		}
	}
}
END_TEST

static void again(struct net_timer *t)
{
	if (++fired < 3)
		net_timer_set(t, 0);
}

START_TEST(timer_set_from_its_own_callback)
{
	struct net_timer t;

	fired = 0;
	net_timer_init(&t, loop, again);
	net_timer_set(&t, 0);
	net_loop_run(loop);
	ck_assert_int_eq(fired, 3);
	net_timer_stop(&t);
	net_timer_stop(&t);
	ck_assert(!net_timer_active(&t));
}
END_TEST

START_TEST(timers_far_away_do_not_overflow)
{
	struct net_timer far, near;

	fired = 5;
	net_timer_init(&far, loop, again);
	net_timer_init(&near, loop, again);
	net_timer_set(&far, UINT64_MAX);
	net_timer_set(&near, 1);
	ck_assert_uint_eq(far.due_ms, UINT64_MAX);
	net_timer_stop(&far);
	net_loop_run(loop);
	ck_assert_int_eq(fired, 6);
}
END_TEST

/* ---- Polls ---- */

static int seen, pair[2];
static struct net_poll *the_poll;

static void on_ready(void *arg, int events)
{
	char byte;

	seen |= events;
	ck_assert_ptr_eq(arg, &seen);
	if (events & NET_READ && read(pair[0], &byte, 1) == 1)
		ck_assert_int_eq(byte, 'x');
	net_poll_set(the_poll, 0);
}

static void make_pair(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
	                 0);
	the_poll = net_poll_new(loop, pair[0], on_ready, &seen);
	ck_assert_ptr_nonnull(the_poll);
	seen = 0;
}

static void end_pair(void)
{
	net_poll_free(the_poll);
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
}

START_TEST(polls_report_what_is_watched)
{
	make_pair();
	net_loop_run(loop); /* watches nothing: nothing to wait for */
	ck_assert_int_eq(seen, 0);
	net_poll_set(the_poll, NET_WRITE);
	net_loop_run(loop);
	ck_assert_int_eq(seen, NET_WRITE);
	ck_assert_int_eq(write(pair[1], "x", 1), 1);
	seen = 0;
	net_poll_set(the_poll, NET_READ);
	net_poll_set(the_poll, NET_READ);
	net_loop_run(loop);
	ck_assert_int_eq(seen, NET_READ);
	end_pair();
}
END_TEST

static void retargeted(void *arg, int events)
{
	*(int *)arg = events;
	net_poll_set(the_poll, 0);
}

START_TEST(polls_can_be_handed_over)
{
	int got = 0;

	make_pair();
	net_poll_retarget(the_poll, retargeted, &got);
	net_poll_set(the_poll, NET_WRITE);
	net_loop_run(loop);
	ck_assert_int_eq(got, NET_WRITE);
	ck_assert_int_eq(seen, 0);
	end_pair();
}
END_TEST

static void stop_now(struct net_timer *t)
{
	net_loop_stop(t->loop);
}

START_TEST(hang_ups_are_told_from_half_closes)
{
	struct net_timer limit;

	make_pair();
	net_timer_init(&limit, loop, stop_now);
	net_timer_set(&limit, 30);
	shutdown(pair[1], SHUT_WR);
	net_poll_set(the_poll, NET_HUP);
	net_loop_run(loop);
	ck_assert_int_eq(seen, 0);
	close(pair[1]);
	pair[1] = -1;
	net_loop_run(loop);
	ck_assert_int_eq(seen, NET_READ | NET_WRITE | NET_HUP);
	end_pair();
}
END_TEST

START_TEST(poll_handles_are_reused)
{
	for (int i = 0; i < 600; i++) {
		make_pair();
		net_poll_set(the_poll, NET_WRITE);
		net_loop_run(loop);
		ck_assert_int_eq(seen, NET_WRITE);
		end_pair();
		if (i % 3 == 0)
			net_loop_run(loop);
	}
}
END_TEST

/* ---- Tasks ---- */

static char trace[32];
static size_t ntrace;
static struct net_task task_a, task_b, task_c;

static void run_a(struct net_task *t)
{
	trace[ntrace++] = 'a';
	if (ntrace < 4)
		net_task_post(loop, t);
}

static void run_b(struct net_task *t)
{
	trace[ntrace++] = 'b';
	net_task_cancel(loop, &task_c);
}

static void run_c(struct net_task *t)
{
	trace[ntrace++] = 'c';
}

START_TEST(tasks_run_in_order_once_each)
{
	ntrace = 0;
	net_task_init(&task_a, run_a);
	net_task_init(&task_b, run_b);
	net_task_init(&task_c, run_c);
	net_task_post(loop, &task_a);
	net_task_post(loop, &task_b);
	net_task_post(loop, &task_a);
	net_task_post(loop, &task_c);
	net_loop_run(loop);
	ck_assert_int_eq(memcmp(trace, "abaa", 4), 0);
	ck_assert_uint_eq(ntrace, 4);
}
END_TEST

static void post_from_timer(struct net_timer *t)
{
	net_task_post(t->loop, &task_c);
}

START_TEST(tasks_posted_by_timers_run)
{
	struct net_timer t;

	ntrace = 0;
	net_task_init(&task_c, run_c);
	net_timer_init(&t, loop, post_from_timer);
	net_timer_set(&t, 1);
	net_loop_run(loop);
	ck_assert_uint_eq(ntrace, 1);
}
END_TEST

/* ---- Other threads ---- */

static void on_wake(void *arg)
{
	++*(int *)arg;
	net_loop_stop(loop);
}

static void *send_wake(void *w)
{
	net_wake_send(w);
	return NULL;
}

START_TEST(wakes_come_from_threads)
{
	struct net_timer limit;
	struct net_wake *w;
	pthread_t thread;
	int woken = 0;

	w = net_wake_new(loop, on_wake, &woken);
	ck_assert_ptr_nonnull(w);
	net_loop_run(loop); /* a wake does not keep it alive */
	net_timer_init(&limit, loop, stop_now);
	net_timer_set(&limit, 20000);
	ck_assert_int_eq(pthread_create(&thread, NULL, send_wake, w), 0);
	net_loop_run(loop);
	pthread_join(thread, NULL);
	ck_assert_int_eq(woken, 1);
	net_timer_stop(&limit);
	net_wake_free(w);
	net_wake_free(NULL);
}
END_TEST

struct job {
	pthread_t worked, done;
};

static void work(void *arg)
{
	((struct job *)arg)->worked = pthread_self();
}

static void done(void *arg)
{
	((struct job *)arg)->done = pthread_self();
}

START_TEST(work_runs_on_threads_and_ends_on_the_loop)
{
	struct job jobs[8] = {{0}};

	for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
		ck_assert_int_eq(net_work(loop, work, done, &jobs[i]), 0);
	net_loop_run(loop);
	for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
		ck_assert(!pthread_equal(jobs[i].worked, pthread_self()));
		ck_assert(pthread_equal(jobs[i].done, pthread_self()));
	}
}
END_TEST

START_TEST(free_waits_for_work)
{
	struct net_loop *l = net_loop_new(2);
	struct job job = {0};

	ck_assert_int_eq(net_work(l, work, done, &job), 0);
	net_loop_free(l);
	ck_assert(pthread_equal(job.done, pthread_self()));
}
END_TEST

START_TEST(signals_arrive_on_the_loop)
{
	struct net_timer limit;
	int got = 0;

	ck_assert_int_eq(net_signal(loop, SIGUSR2, on_wake, &got), 0);
	net_timer_init(&limit, loop, stop_now);
	net_timer_set(&limit, 20000);
	ck_assert_int_eq(kill(getpid(), SIGUSR2), 0);
	net_loop_run(loop);
	ck_assert_int_eq(got, 1);
	net_timer_stop(&limit);
}
END_TEST

START_TEST(clocks_advance)
{
	struct net_timer t;
	uint64_t began = net_loop_now_ms(loop);

	ck_assert_int_ge(net_loop_wall_s(loop), clock_wall_s() - 1);
	net_timer_init(&t, loop, stop_now);
	net_timer_set(&t, 15);
	net_loop_run(loop);
	ck_assert_uint_ge(net_loop_now_ms(loop), began + 14);
}
END_TEST

UNIT_MAIN("net/loop", tcase_add_checked_fixture(tc, setup, teardown);
          tcase_add_test(tc, timers_fire_in_order_and_in_time);
          tcase_add_test(tc, timers_survive_random_sets_and_stops);
          tcase_add_test(tc, timer_set_from_its_own_callback);
          tcase_add_test(tc, timers_far_away_do_not_overflow);
          tcase_add_test(tc, polls_report_what_is_watched);
          tcase_add_test(tc, polls_can_be_handed_over);
          tcase_add_test(tc, hang_ups_are_told_from_half_closes);
          tcase_add_test(tc, poll_handles_are_reused);
          tcase_add_test(tc, tasks_run_in_order_once_each);
          tcase_add_test(tc, tasks_posted_by_timers_run);
          tcase_add_test(tc, wakes_come_from_threads);
          tcase_add_test(tc, work_runs_on_threads_and_ends_on_the_loop);
          tcase_add_test(tc, free_waits_for_work); tcase_add_test(tc, signals_arrive_on_the_loop);
          tcase_add_test(tc, clocks_advance);)
