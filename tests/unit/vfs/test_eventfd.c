/* SPDX-License-Identifier: MIT */
/* eventfd: counter, semaphore, the largest value, blocking both ways, poll; and files_poll() over several of them. */
#include "tests/lib/cmocka_all.h"

#include <sys/eventfd.h>

#include "tests/unit/vfs/file_io.h"

static struct file *e;

static void a_read_takes_the_whole_counter(void **state)
{
	uint64_t v = 5;

	assert_int_equal(eventfd_new(3, EFD_NONBLOCK, &e), 0);
	assert_int_equal(file_poll(e), EPOLLIN | EPOLLOUT);
	assert_int_equal(wr(e, &v, 8), 8);
	assert_int_equal(rd(e, &v, 8), 8);
	assert_int_equal(v, 8);
	assert_int_equal(rd(e, &v, 8), -EAGAIN);
	assert_int_equal(rd(e, &v, 7), -EINVAL);
	assert_int_equal(wr(e, &v, 4), -EINVAL);
	assert_int_equal(file_poll(e), EPOLLOUT);
	assert_int_equal(file_lseek(e, 5, SEEK_SET), 0);
	file_put(e);
	assert_int_equal(eventfd_new(0, 4, &e), -EINVAL);
}

static void a_semaphore_gives_one_at_a_time(void **state)
{
	uint64_t v = 0;

	assert_int_equal(eventfd_new(2, EFD_NONBLOCK | EFD_SEMAPHORE, &e), 0);
	assert_int_equal(rd(e, &v, 8), 8);
	assert_int_equal(v, 1);
	assert_int_equal(rd(e, &v, 8), 8);
	assert_int_equal(rd(e, &v, 8), -EAGAIN);
	file_put(e);
}

static long write_max(void *arg)
{
	uint64_t v = UINT64_MAX - 1;

	return wr(e, &v, 8);
}

static long read_8(void *arg)
{
	uint64_t v;

	return rd(e, &v, 8);
}

static void the_counter_does_not_overflow(void **state)
{
	uint64_t v = UINT64_MAX;
	struct bg b;

	assert_int_equal(eventfd_new(0, 0, &e), 0);
	assert_int_equal(wr(e, &v, 8), -EINVAL);
	assert_int_equal(write_max(NULL), 8);
	assert_int_equal(file_poll(e), EPOLLIN);
	bg_start(&b, write_max, NULL);
	assert_true(bg_sleeps(&b));
	assert_int_equal(rd(e, &v, 8), 8);
	assert_int_equal(bg_join(&b), 8);
	assert_int_equal(rd(e, &v, 8), 8);
	bg_start(&b, read_8, NULL);
	assert_true(bg_sleeps(&b));
	assert_int_equal(bg_interrupt(&b), -ERESTARTSYS);
	file_put(e);
}

static struct poll_item items[20];

static long poll_items(void *arg)
{
	return files_poll(items, ARRAY_SIZE(items), arg ? *(struct deadline *)arg : FOREVER);
}

static void poll_waits_for_any_of_many(void **state)
{
	struct file *f[20];
	uint64_t one = 1;
	struct bg b;

	for (int i = 0; i < 20; i++) {
		assert_int_equal(eventfd_new(0, EFD_NONBLOCK, &f[i]), 0);
		items[i] = (struct poll_item){ .file = i == 7 ? NULL : f[i], .events = EPOLLIN };
	}
	assert_int_equal(files_poll(items, 20, NOW), 0);
	assert_int_equal(files_poll(items, 20, deadline_after(CLOCK_MONOTONIC, 10 * MS)), 0);
	bg_start(&b, poll_items, NULL);
	assert_true(bg_sleeps(&b));
	wr(f[13], &one, 8);
	assert_int_equal(bg_join(&b), 1);
	assert_int_equal(items[13].ret, EPOLLIN);
	rd(f[13], &one, 8);
	bg_start(&b, poll_items, NULL);
	assert_true(bg_sleeps(&b));
	assert_int_equal(bg_interrupt(&b), -ERESTARTNOHAND);
	for (int i = 0; i < 20; i++)
		file_put(f[i]);
	items[0] = (struct poll_item){ 0 };
	assert_int_equal(files_poll(items, 1, deadline_after(CLOCK_MONOTONIC, MS)), 0);
}

/* Two threads hand a token to and fro: a lost wake-up would hang the test. */
static struct file *ping, *pong;

static void *echo(void *arg)
{
	uint64_t v;

	for (int i = 0; i < 20000; i++) {
		struct poll_item it = { .file = ping, .events = EPOLLIN };

		files_poll(&it, 1, FOREVER);
		rd(ping, &v, 8);
		wr(pong, &v, 8);
	}
	return arg;
}

static void no_wakeup_is_lost_between_two(void **state)
{
	pthread_t t;
	uint64_t v = 1;

	eventfd_new(0, EFD_NONBLOCK, &ping);
	eventfd_new(0, 0, &pong);
	pthread_create(&t, NULL, echo, NULL);
	for (int i = 0; i < 20000; i++) {
		v = 1;
		wr(ping, &v, 8);
		rd(pong, &v, 8);
	}
	pthread_join(t, NULL);
	file_put(ping);
	file_put(pong);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_read_takes_the_whole_counter),
		cmocka_unit_test(a_semaphore_gives_one_at_a_time),
		cmocka_unit_test(the_counter_does_not_overflow),
		cmocka_unit_test(poll_waits_for_any_of_many),
		cmocka_unit_test(no_wakeup_is_lost_between_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
