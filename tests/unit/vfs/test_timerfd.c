/* SPDX-License-Identifier: MIT */
/* timerfd: one-shot, interval, absolute, what is left, setting anew; reads that wait. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <sys/timerfd.h>

#include "emul/base/loop.h"
#include "emul/base/timer.h"
#include "tests/unit/vfs/file_io.h"

static struct file *t;

static struct itimerspec its(int64_t value, int64_t interval)
{
	return (struct itimerspec){
		.it_value = { value / 1000000000, value % 1000000000 },
		.it_interval = { interval / 1000000000, interval % 1000000000 },
	};
}

static int set(int flags, int64_t value, int64_t interval, struct itimerspec *old)
{
	struct itimerspec s = its(value, interval);

	return timerfd_set(t, flags, &s, old);
}

static int open_timer(void **state)
{
	return timerfd_new(CLOCK_MONOTONIC, TFD_NONBLOCK, &t);
}

static int close_timer(void **state)
{
	file_put(t);
	return 0;
}

static void a_one_shot_rings_once(void **state)
{
	struct itimerspec left;
	uint64_t n = 0;

	assert_int_equal(rd(t, &n, 8), -EAGAIN);
	assert_int_equal(set(0, 20 * MS, 0, NULL), 0);
	assert_int_equal(timerfd_get(t, &left), 0);
	assert_true(left.it_value.tv_nsec > 0 && left.it_value.tv_nsec <= 20 * MS);
	assert_int_equal(rd(t, &n, 8), -EAGAIN);
	set_nonblock(t, false);
	assert_int_equal(rd(t, &n, 8), 8);
	assert_int_equal(n, 1);
	set_nonblock(t, true);
	usleep(30000);
	assert_int_equal(rd(t, &n, 8), -EAGAIN);
	assert_int_equal(timerfd_get(t, &left), 0);
	assert_int_equal(left.it_value.tv_nsec, 0);
	assert_int_equal(rd(t, &n, 4), -EINVAL);
}

static void an_interval_counts_what_was_missed(void **state)
{
	uint64_t n = 0;

	assert_int_equal(set(0, 5 * MS, 5 * MS, NULL), 0);
	usleep(52000);
	assert_int_equal(file_poll(t), EPOLLIN);
	assert_int_equal(rd(t, &n, 8), 8);
	if (n < 8 || n > 40)
		fail_msg("%d rings in 52 ms", (int)n);
	assert_int_equal(file_poll(t), 0);
	set_nonblock(t, false);
	for (int i = 0; i < 5; i++)
		assert_int_equal(rd(t, &n, 8), 8);
	set_nonblock(t, true);
	assert_int_equal(set(0, 1, 1, NULL), 0); /* an interval of a nanosecond is no load */
	usleep(20000);
	assert_int_equal(rd(t, &n, 8), 8);
	assert_true(n > 1000000);
}

static void absolute_times_may_be_past(void **state)
{
	struct itimerspec old;
	uint64_t n = 0;

	set_nonblock(t, false);
	assert_int_equal(set(TFD_TIMER_ABSTIME, 1, 0, NULL), 0);
	assert_int_equal(rd(t, &n, 8), 8);
	assert_int_equal(set(TFD_TIMER_ABSTIME, clock_now(CLOCK_MONOTONIC) + 10 * MS, 3 * MS, NULL), 0);
	assert_int_equal(rd(t, &n, 8), 8);
	assert_int_equal(set(0, 0, 0, &old), 0); /* disarm; the old setting comes back */
	assert_int_equal(old.it_interval.tv_nsec, 3 * MS);
	assert_true(old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 3 * MS);
	set_nonblock(t, true);
	usleep(10000);
	assert_int_equal(rd(t, &n, 8), -EAGAIN);
}

static void setting_anew_forgets_old_rings(void **state)
{
	uint64_t n;

	assert_int_equal(set(0, 1, 0, NULL), 0);
	usleep(10000);
	assert_int_equal(set(0, 1000 * MS, 0, NULL), 0);
	assert_int_equal(rd(t, &n, 8), -EAGAIN);
}

static void wrong_arguments_are_refused(void **state)
{
	struct itimerspec bad = { .it_value.tv_nsec = 1000000000 }, neg = { .it_value.tv_sec = -1 };
	struct file *f;
	AUTO(file) e = NULL;

	assert_int_equal(timerfd_set(t, 0, &bad, NULL), -EINVAL);
	assert_int_equal(timerfd_set(t, 0, &neg, NULL), -EINVAL);
	assert_int_equal(set(8, 1, 0, NULL), -EINVAL);
	assert_int_equal(timerfd_new(CLOCK_PROCESS_CPUTIME_ID, 0, &f), -EINVAL);
	assert_int_equal(timerfd_new(CLOCK_MONOTONIC, 1, &f), -EINVAL);
	assert_int_equal(eventfd_new(0, 0, &e), 0);
	assert_int_equal(timerfd_get(e, &bad), -EINVAL);
	assert_int_equal(wr(t, "12345678", 8), -EINVAL);
}

static void every_clock_rings(void **state)
{
	static const int clocks[] = { CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM };
	uint64_t n;

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		file_put(t);
		assert_int_equal(timerfd_new(clocks[i], 0, &t), 0);
		assert_int_equal(set(0, 3 * MS, 0, NULL), 0);
		assert_int_equal(rd(t, &n, 8), 8);
		assert_int_equal(set(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 1, 0, NULL), 0);
		assert_int_equal(rd(t, &n, 8), 8);
	}
}

/* Setting, reading and closing while it rings all the time. */
static void *hammer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	uint64_t n;

	for (int i = 0; i < 3000; i++) {
		struct itimerspec s = its(1 + rand_r(&seed) % 20000, rand_r(&seed) % 3 * 1000);

		timerfd_set(t, 0, &s, NULL);
		rd(t, &n, 8);
		timerfd_get(t, &s);
	}
	return NULL;
}

static void threads_may_set_and_read_at_once(void **state)
{
	pthread_t th[3];

	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&th[i], NULL, hammer, (void *)(i + 1));
	for (int i = 0; i < 3; i++)
		pthread_join(th[i], NULL);
	set(0, 1, 1, NULL); /* closed while it rings */
}

static int boot(void **state)
{
	return loop_boot() || timer_boot();
}

static int shutdown_all(void **state)
{
	timer_shutdown();
	loop_shutdown();
	return 0;
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, open_timer, close_timer)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_one_shot_rings_once),
		CASE(an_interval_counts_what_was_missed),
		CASE(absolute_times_may_be_past),
		CASE(setting_anew_forgets_old_rings),
		CASE(wrong_arguments_are_refused),
		CASE(every_clock_rings),
		CASE(threads_may_set_and_read_at_once),
	};

	return cmocka_run_group_tests(tests, boot, shutdown_all);
}
