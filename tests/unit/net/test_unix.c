/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX without tasks: pairs over the VMM's own memory, what a thread that may not sleep gets, many threads at once.
 * What programs see is in tests/semantics/test_unix_*.c.
 */
#include "tests/lib/cmocka_all.h"

#include <string.h>

#include "emul/net/unix.h"
#include "tests/unit/vfs/file_io.h"

static struct sock *a, *b;
static char big[300000];

static int pair(int type)
{
	sock_family_register(&unix_family);
	assert_int_equal(sock_create(NULL, AF_UNIX, type, 0, &a), 0);
	assert_int_equal(sock_create(NULL, AF_UNIX, type, 0, &b), 0);
	return sock_socketpair(a, b, NULL);
}

static int stream_pair(void **state)
{
	return pair(SOCK_STREAM);
}

static int dgram_pair(void **state)
{
	return pair(SOCK_DGRAM);
}

static int close_pair(void **state)
{
	if (a)
		file_put(&a->file);
	if (b)
		file_put(&b->file);
	a = b = NULL;
	return 0;
}

static ssize_t receive(struct sock *s, void *buf, size_t n, unsigned flags)
{
	struct uio u;
	struct sock_msg m = { .data = &u, .flags = flags };

	uio_init_host(&u, buf, n);
	return sock_recvmsg(s, NULL, &m);
}

static void data_goes_both_ways(void **state)
{
	char buf[8];

	assert_int_equal(wr(&a->file, "abc", 3), 3);
	assert_int_equal(wr(&a->file, "de", 2), 2);
	assert_int_equal(rd(&b->file, buf, 8), 5);
	assert_int_equal(wr(&b->file, "xy", 2), 2);
	assert_int_equal(rd(&a->file, buf, 8), 2);
	assert_int_equal(unix_of(a)->wmem, 0);
	assert_int_equal(unix_of(b)->wmem, 0);
}

static void everything_charged_is_given_back(void **state)
{
	ssize_t n;
	size_t all = 0;

	set_nonblock(&a->file, true);
	set_nonblock(&b->file, true);
	for (size_t size = 1; (n = wr(&a->file, big, size)) > 0; size = size % 50000 * 3 + 1)
		all += (size_t)n;
	assert_int_equal(n, -EAGAIN);
	assert_int_equal(file_poll(&a->file) & EPOLLOUT, 0);
	while ((n = rd(&b->file, big, 12345)) > 0)
		all -= (size_t)n;
	assert_int_equal(all, 0);
	assert_int_equal(unix_of(a)->wmem, 0);
	assert_true(file_poll(&a->file) & EPOLLOUT);
}

/* A helper thread: calls that would sleep say so before they have had any effect. */
static void who_may_not_sleep_has_no_effect(void **state)
{
	struct waiter w;
	char buf[8];

	waiter_init(&w, false);
	waiter_bind(&w);
	assert_int_equal(rd(&b->file, buf, 8), -EWOULDSLEEP);
	assert_int_equal(wr(&a->file, big, sizeof(big)), -EWOULDSLEEP); /* it would not fit */
	assert_int_equal(unix_of(b)->queued, 0);
	assert_int_equal(wr(&a->file, "abc", 3), 3);
	assert_int_equal(receive(b, buf, 8, MSG_WAITALL), -EWOULDSLEEP);
	assert_int_equal(unix_of(b)->queued, 3);
	assert_int_equal(receive(b, buf, 3, MSG_WAITALL), 3);
	assert_int_equal(wr(&a->file, big, 200000), 200000); /* in several pieces */
	waiter_bind(NULL);
}

static void a_receiver_that_is_gone_leaves_nothing(void **state)
{
	assert_int_equal(wr(&a->file, "abc", 3), 3);
	file_put(&b->file);
	b = NULL;
	assert_int_equal(unix_of(a)->wmem, 0);
	assert_int_equal(wr(&a->file, "abc", 3), a->type == SOCK_DGRAM ? -ECONNREFUSED : -EPIPE);
}

#define ROUNDS 3000

static long push(void *arg)
{
	char buf[1000];
	long sum = 0;

	for (int i = 0; i < ROUNDS; i++) {
		size_t n = 1 + (size_t)(i * 37 % 999);
		ssize_t r = wr(&a->file, buf, n);

		if (r <= 0)
			return r;
		sum += r;
	}
	return sum;
}

static _Atomic long left;

static long pull(void *arg)
{
	char buf[5000];

	while (left > 0) {
		ssize_t r = receive(b, buf, sizeof(buf), MSG_DONTWAIT);

		if (r > 0)
			left -= r;
		else
			usleep(10);
	}
	return 0;
}

static void many_threads_lose_nothing(void **state)
{
	struct bg w[3], r[2];
	long all = 0;

	for (int i = 0; i < ROUNDS; i++)
		all += 1 + i * 37 % 999;
	left = 3 * all;
	for (int i = 0; i < 3; i++)
		bg_start(&w[i], push, NULL);
	for (int i = 0; i < 2; i++)
		bg_start(&r[i], pull, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(bg_join(&w[i]), all);
	for (int i = 0; i < 2; i++)
		bg_join(&r[i]);
	assert_int_equal(left, 0);
	assert_int_equal(unix_of(a)->wmem, 0);
}

static long block_in_read(void *arg)
{
	char c;

	return rd(&b->file, &c, 1);
}

static void a_sleeping_reader_is_woken_or_interrupted(void **state)
{
	struct bg t;

	bg_start(&t, block_in_read, NULL);
	assert_true(bg_sleeps(&t));
	assert_int_equal(wr(&a->file, "x", 1), 1);
	assert_int_equal(bg_join(&t), 1);
	bg_start(&t, block_in_read, NULL);
	assert_true(bg_sleeps(&t));
	assert_int_equal(bg_interrupt(&t), -ERESTARTSYS);
}

#define STREAM(fn) cmocka_unit_test_setup_teardown(fn, stream_pair, close_pair)
#define DGRAM(fn) cmocka_unit_test_setup_teardown(fn, dgram_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM(data_goes_both_ways),
		STREAM(everything_charged_is_given_back),
		STREAM(who_may_not_sleep_has_no_effect),
		STREAM(a_receiver_that_is_gone_leaves_nothing),
		DGRAM(a_receiver_that_is_gone_leaves_nothing),
		STREAM(many_threads_lose_nothing),
		DGRAM(many_threads_lose_nothing),
		STREAM(a_sleeping_reader_is_woken_or_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
