/* Messages with descriptors over a channel. */
#include "channel.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "unit.h"

START_TEST(messages_keep_their_bounds)
{
	struct channel_message a = {.type = CHANNEL_RELOADED, .value = -7, .id = UINT64_MAX}, b;
	int ends[2], fds[CHANNEL_FDS_MAX];
	size_t n;

	ck_assert_int_eq(channel_pair(ends), 0);
	snprintf(a.text, sizeof(a.text), "what went wrong");
	ck_assert_int_eq(channel_receive(ends[1], &b, fds, &n), LARDER_EAGAIN);
	ck_assert_int_eq(channel_send(ends[0], &a, NULL, 0), 0);
	a.text[0] = '\0';
	ck_assert_int_eq(channel_send(ends[0], &a, NULL, 0), 0);
	ck_assert_int_eq(channel_receive(ends[1], &b, fds, &n), 0);
	ck_assert_uint_eq(b.type, CHANNEL_RELOADED);
	ck_assert_int_eq(b.value, -7);
	ck_assert_uint_eq(b.id, UINT64_MAX);
	ck_assert_str_eq(b.text, "what went wrong");
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(channel_receive(ends[1], &b, fds, &n), 0);
	ck_assert_str_eq(b.text, "");
	close(ends[0]);
	ck_assert_int_eq(channel_receive(ends[1], &b, fds, &n), LARDER_ECLOSED);
	close(ends[1]);
}
END_TEST

START_TEST(descriptors_pass)
{
	struct channel_message a = {.type = CHANNEL_LOG, .value = 3}, b;
	int ends[2], pipes[2], fds[CHANNEL_FDS_MAX];
	struct stat x, y;
	size_t n;

	ck_assert_int_eq(channel_pair(ends), 0);
	ck_assert_int_eq(pipe(pipes), 0);
	for (size_t count = 1; count <= 2; count++) {
		ck_assert_int_eq(channel_send(ends[0], &a, pipes, count), 0);
		ck_assert_int_eq(channel_receive(ends[1], &b, fds, &n), 0);
		ck_assert_uint_eq(n, count);
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_eq(fstat(fds[i], &x), 0);
			ck_assert_int_eq(fstat(pipes[i], &y), 0);
			ck_assert_uint_eq(x.st_ino, y.st_ino);
			ck_assert(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
			close(fds[i]);
		}
	}
	for (size_t i = 0; i < 2; i++) {
		close(pipes[i]);
		close(ends[i]);
	}
}
END_TEST

START_TEST(a_full_channel_says_so)
{
	struct channel_message a = {.type = CHANNEL_ACCEPT}, b;
	int ends[2], fds[CHANNEL_FDS_MAX], err = 0;
	unsigned sent = 0, got = 0;
	size_t n;

	ck_assert_int_eq(channel_pair(ends), 0);
	for (; sent < 1000000 && !err; sent += !err)
		err = channel_send(ends[0], &a, NULL, 0);
	ck_assert_int_eq(err, LARDER_EAGAIN);
	while (channel_receive(ends[1], &b, fds, &n) == 0)
		got++;
	ck_assert_uint_eq(got, sent);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

START_TEST(a_short_message_is_refused)
{
	struct channel_message b;
	int ends[2], fds[CHANNEL_FDS_MAX];
	size_t n;

	ck_assert_int_eq(channel_pair(ends), 0);
	ck_assert_int_eq(send(ends[0], "x", 1, 0), 1);
	ck_assert_int_eq(channel_receive(ends[1], &b, fds, &n), LARDER_EPROTO);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

UNIT_MAIN("main/channel",
	tcase_add_test(tc, messages_keep_their_bounds);
	tcase_add_test(tc, descriptors_pass);
	tcase_add_test(tc, a_full_channel_says_so);
	tcase_add_test(tc, a_short_message_is_refused);)
