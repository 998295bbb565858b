/* The table of flights that the pool's processes share. */
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../src/exchange/board.h"
#include "base/error.h"
#include "unit.h"

static const struct board_vary no_guess;

#define KEY(n) ((struct hash128){(n), (n) * 7919u})

static bool any(void *arg, const struct board_vary *v)
{
	return true;
}

static bool plain(void *arg, const struct board_vary *v)
{
	return !v->known || v->names.len == 0;
}

static bool by_language(void *arg, const struct board_vary *v)
{
	return !v->known || !v->names.len || (view_eq(v->names, V("accept-language")) && v->selecting == *(uint64_t *)arg);
}

static struct board_member enter(struct board *b)
{
	struct board_member m;

	ck_assert_int_eq(board_enter(b, &m), 0);
	return m;
}

START_TEST(second_finds_the_first)
{
	struct board *b = board_new();
	struct board_member one = enter(b), two = enter(b);
	struct board_flight f, g, h;
	uint64_t n;

	ck_assert(!board_same(one, two));
	ck_assert_int_eq(board_claim(b, one, KEY(1), any, NULL, &no_guess, &f), BOARD_OURS);
	ck_assert_int_eq(board_claim(b, two, KEY(1), any, NULL, &no_guess, &g), BOARD_THEIRS);
	ck_assert(g.id == f.id && board_same(g.owner, one));
	ck_assert_int_eq(board_claim(b, two, KEY(2), any, NULL, &no_guess, &h), BOARD_OURS);
	ck_assert_uint_eq(board_flights(b), 2);

	ck_assert(!board_grow(b, &f, 100));
	ck_assert_int_eq(board_received(b, &g, true, 50, &n), 0);
	ck_assert_uint_eq(n, 100);
	ck_assert(!board_grow(b, &f, 150)); /* there was more than it had: no wish */
	ck_assert_int_eq(board_received(b, &g, true, 150, &n), 0);
	ck_assert_uint_eq(n, 150);
	ck_assert(board_grow(b, &f, 151));
	ck_assert(!board_grow(b, &f, 152));

	board_drop(b, &f);
	ck_assert_uint_eq(f.id, 0);
	ck_assert_int_eq(board_received(b, &g, false, 0, &n), LARDER_ENOENT);
	ck_assert_int_eq(board_claim(b, two, KEY(1), any, NULL, &no_guess, &g), BOARD_OURS);
	board_drop(b, &f); /* nothing */
	ck_assert_uint_eq(board_flights(b), 2);
	board_exit(b, two);
	ck_assert_uint_eq(board_flights(b), 0);
	board_exit(b, one);
	board_free(b);
}
END_TEST

START_TEST(what_may_be_joined)
{
	struct board *b = board_new();
	struct board_member one = enter(b), two = enter(b);
	struct board_flight f, g, h, f2;
	uint32_t times;
	uint64_t english = 17, french = 18;
	char names[200];

	ck_assert_int_eq(board_claim(b, one, KEY(1), any, NULL, &no_guess, &f), BOARD_OURS);
	/* Before the head is there nobody knows. */
	ck_assert_int_eq(board_claim(b, two, KEY(1), by_language, &french, &no_guess, &g), BOARD_THEIRS);
	board_describe(b, &f, V("accept-language"), english);
	ck_assert_int_eq(board_claim(b, two, KEY(1), by_language, &english, &no_guess, &g), BOARD_THEIRS);
	ck_assert_int_eq(board_claim(b, two, KEY(1), by_language, &french, &no_guess, &g), BOARD_OURS);
	board_describe(b, &g, V("accept-language"), french);
	/* Now there are two, each for its own. */
	ck_assert_int_eq(board_claim(b, one, KEY(1), by_language, &french, &no_guess, &h), BOARD_THEIRS);
	ck_assert_uint_eq(h.id, g.id);
	ck_assert_int_eq(board_claim(b, one, KEY(1), plain, NULL, &no_guess, &h), BOARD_OURS);
	board_drop(b, &h);
	/* A list that is too long is not known. */
	memset(names, 'x', sizeof(names));
	board_describe(b, &g, view_make(names, sizeof(names)), french);
	ck_assert_int_eq(board_claim(b, one, KEY(1), plain, NULL, &no_guess, &h), BOARD_THEIRS);

	/* What the owner guesses counts until it knows. */
	ck_assert_int_eq(board_claim(b, one, KEY(2), any, NULL, &(struct board_vary){.names = V("accept-language"), .selecting = english}, &h), BOARD_OURS);
	ck_assert_int_eq(board_claim(b, two, KEY(2), by_language, &french, NULL, &f2), BOARD_FULL);
	ck_assert_uint_eq(f2.id, 0);
	ck_assert_int_eq(board_claim(b, two, KEY(2), by_language, &english, NULL, &f2), BOARD_THEIRS);
	board_describe(b, &h, V(""), 1);
	ck_assert_int_eq(board_claim(b, two, KEY(2), by_language, &french, NULL, &f2), BOARD_THEIRS);
	board_drop(b, &h);

	board_shut(b, &g);
	ck_assert_int_eq(board_claim(b, one, KEY(1), plain, NULL, &no_guess, &h), BOARD_OURS);
	ck_assert_uint_eq(*board_invalid(b, &h), 0);
	board_invalidate(b, KEY(1));
	ck_assert_uint_eq(*board_invalid(b, &f), 1);
	ck_assert_uint_eq(*board_invalid(b, &g), 1);
	ck_assert_uint_eq(*board_invalid(b, &h), 1);
	ck_assert_int_eq(board_claim(b, two, KEY(1), plain, NULL, &no_guess, &g), BOARD_OURS);
	ck_assert_uint_eq(*board_invalid(b, &g), 0);
	/* Whoever is not on the board sees it, too. */
	times = *board_times_invalid(b, KEY(1));
	board_invalidate(b, KEY(1));
	ck_assert_uint_ne(*board_times_invalid(b, KEY(1)), times);
	ck_assert_uint_eq(*board_times_invalid(b, KEY(2)), 0);
	board_free(b);
}
END_TEST

START_TEST(full)
{
	struct board *b = board_new();
	struct board_member one = enter(b);
	struct board_flight f, first = {0};

	for (uint64_t i = 0; i < BOARD_PER; i++) {
		ck_assert_int_eq(board_claim(b, one, (struct hash128){3, i + 1}, any, NULL, &no_guess, &f), BOARD_OURS);
		if (i == 0)
			first = f;
	}
	ck_assert_int_eq(board_claim(b, one, (struct hash128){3, 999}, any, NULL, &no_guess, &f), BOARD_FULL);
	ck_assert_uint_eq(f.id, 0);
	ck_assert_int_eq(board_claim(b, one, (struct hash128){4, 999}, any, NULL, &no_guess, &f), BOARD_OURS);
	board_drop(b, &first);
	ck_assert_int_eq(board_claim(b, one, (struct hash128){3, 999}, any, NULL, &no_guess, &f), BOARD_OURS);
	for (unsigned i = 1; i < BOARD_MEMBERS; i++)
		enter(b);
	ck_assert_int_eq(board_enter(b, &one), LARDER_ELIMIT);
	board_free(b);
}
END_TEST

START_TEST(dead_owner)
{
	struct board *b = board_new();
	struct board_member me = enter(b), before = enter(b);
	struct board_flight f;
	int ready[2];
	pid_t pid;
	char c;

	board_exit(b, before);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct board_member child;
		struct board_flight own;

		if (board_enter(b, &child) || board_claim(b, child, KEY(5), any, NULL, &no_guess, &own) != BOARD_OURS ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	ck_assert_int_eq(board_claim(b, me, KEY(5), any, NULL, &no_guess, &f), BOARD_THEIRS);
	ck_assert(board_alive(b, f.owner));
	ck_assert_uint_eq(board_reap(b), 0);
	/* Somebody else was slow to see that who had its place before is gone: that is nothing to it. */
	ck_assert_uint_eq(f.owner.index, before.index);
	board_exit(b, before);
	ck_assert(board_alive(b, f.owner));
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!board_alive(b, f.owner));
	ck_assert_uint_eq(board_flights(b), 0);
	ck_assert(board_alive(b, me));
	ck_assert_int_eq(board_claim(b, me, KEY(5), any, NULL, &no_guess, &f), BOARD_OURS);
	close(ready[0]);
	close(ready[1]);
	board_free(b);
}
END_TEST

/* Processes that claim, describe and drop, and die wherever they are. */
START_TEST(killed_anywhere)
{
	struct board *b = board_new();
	struct board_member me = enter(b);

	for (unsigned round = 0; round < 40; round++) {
		struct timespec t = {0, 200000 + round * 37000};
		struct board_flight f;
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			struct board_member child;

			if (board_enter(b, &child))
				_exit(1);
			for (uint64_t i = 0;; i++) {
				board_claim(b, child, KEY(i % 8), plain, NULL, &no_guess, &f);
				board_describe(b, &f, i % 3 ? V("") : V("accept"), i);
				board_grow(b, &f, i);
				if (i % 5)
					board_drop(b, &f);
				else
					board_invalidate(b, KEY(i % 8));
			}
		}
		nanosleep(&t, NULL);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		ck_assert_uint_le(board_reap(b), 1);
		ck_assert_uint_eq(board_flights(b), 0);
		for (uint64_t i = 0; i < 8; i++)
			ck_assert_int_eq(board_claim(b, me, KEY(i), any, NULL, &no_guess, &f), BOARD_OURS);
		board_exit(b, me);
		me = enter(b);
	}
	board_free(b);
}
END_TEST

START_TEST(notes)
{
	struct board *b = board_new();
	int value = 0;

	ck_assert(!board_noted(b, BOARD_UNSHAREABLE, KEY(1), 0, NULL));
	board_note(b, BOARD_UNSHAREABLE, KEY(1), 100, 0);
	ck_assert(board_noted(b, BOARD_UNSHAREABLE, KEY(1), 99, NULL));
	ck_assert(!board_noted(b, BOARD_UNSHAREABLE, KEY(1), 100, NULL));
	ck_assert(!board_noted(b, BOARD_UNSHAREABLE, KEY(2), 99, NULL));
	ck_assert(!board_noted(b, BOARD_DOWN, KEY(1), 99, NULL));

	/* Of an origin that is down one asks each time that the note is over. */
	ck_assert(board_turn(b, BOARD_DOWN, KEY(1), 10, 60, &value));
	board_note(b, BOARD_DOWN, KEY(1), 50, LARDER_ECONNECT);
	ck_assert(board_noted(b, BOARD_DOWN, KEY(1), 49, &value));
	ck_assert_int_eq(value, LARDER_ECONNECT);
	ck_assert(!board_turn(b, BOARD_DOWN, KEY(1), 49, 99, &value));
	ck_assert(board_turn(b, BOARD_DOWN, KEY(1), 50, 100, &value));
	ck_assert(!board_turn(b, BOARD_DOWN, KEY(1), 50, 100, &value));
	ck_assert_int_eq(value, LARDER_ECONNECT);
	board_forget(b, BOARD_DOWN, KEY(2));
	ck_assert(!board_turn(b, BOARD_DOWN, KEY(1), 51, 101, &value));
	board_forget(b, BOARD_DOWN, KEY(1));
	ck_assert(board_turn(b, BOARD_DOWN, KEY(1), 51, 101, &value));

	ck_assert(!board_offline(b));
	board_set_offline(b, true);
	ck_assert(board_offline(b));
	board_free(b);
}
END_TEST

UNIT_MAIN("exchange/board", tcase_add_test(tc, second_finds_the_first);
          tcase_add_test(tc, what_may_be_joined); tcase_add_test(tc, full);
          tcase_add_test(tc, dead_owner); tcase_add_test(tc, killed_anywhere);
          tcase_add_test(tc, notes);)
