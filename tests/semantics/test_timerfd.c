/* SPDX-License-Identifier: MIT */
/*
 * timerfd_create(2) and its two calls: one-shot, interval, absolute, in the past, disarmed;
 * expiration counts, blocking reads, poll, errors. Only "not too early" is asserted of times.
 */
#include "tests/lib/file_bg.h"
#include "tests/lib/file_dir.h"

#include <poll.h>
#include <sys/timerfd.h>

static struct itimerspec spec(int64_t first_ms, int64_t interval_ms)
{
	return (struct itimerspec){ ns_to_timespec(interval_ms * MSEC),
				    ns_to_timespec(first_ms * MSEC) };
}

static int start(int clock, int flags, int64_t first_ms, int64_t interval_ms)
{
	int fd = (int)ASSERT_OK(timerfd_create(clock, flags));
	struct itimerspec s = spec(first_ms, interval_ms);

	ASSERT_OK(timerfd_settime(fd, 0, &s, NULL));
	return fd;
}

static uint64_t get(int fd)
{
	uint64_t val = 0;

	return read(fd, &val, sizeof(val)) == sizeof(val) ? val : 0;
}

static bool readable(int fd, int timeout)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, timeout) == 1 && p.revents == POLLIN;
}

static void one_shot_fires_once(void **state)
{
	static const int clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		int64_t begin = now_ms();
		int fd = start(clocks[i], 0, 30, 0);

		assert_int_equal(get(fd), 1);           /* blocks until then */
		assert_true(now_ms() - begin >= 29);
		ASSERT_OK(fcntl(fd, F_SETFL, O_NONBLOCK));
		ASSERT_ERR(get(fd) ? 0 : -1, EAGAIN);
		struct itimerspec now;
		ASSERT_OK(timerfd_gettime(fd, &now));
		assert_int_equal(now.it_value.tv_sec + now.it_value.tv_nsec, 0);
		close(fd);
	}
}

static void intervals_are_counted(void **state)
{
	int64_t begin = now_ms();
	int fd = start(CLOCK_MONOTONIC, 0, 10, 10);

	sleep_ms(55);
	uint64_t n = get(fd);
	int64_t passed = now_ms() - begin;
	assert_true(n >= 5 && n <= (uint64_t)passed / 10 + 1);
	n += get(fd);                                   /* waits for the next one */
	assert_true(now_ms() - begin >= (int64_t)n * 10 - 1);
}

static void absolute_times(void **state)
{
	int fd = (int)ASSERT_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	struct itimerspec s = { { 0, 0 }, clock_in_ms(CLOCK_MONOTONIC, 30) };
	int64_t begin = now_ms();

	ASSERT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
	ASSERT_ERR(get(fd) ? 0 : -1, EAGAIN);
	assert_true(readable(fd, PATIENCE_MS));
	assert_true(now_ms() - begin >= 29);
	assert_int_equal(get(fd), 1);
	s.it_value = (struct timespec){ 0, 1 };         /* long past: at once */
	ASSERT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
	assert_true(readable(fd, PATIENCE_MS));
	assert_int_equal(get(fd), 1);
	fd = (int)ASSERT_OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
	s.it_value = clock_in_ms(CLOCK_REALTIME, 20);
	ASSERT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL));
	assert_true(readable(fd, PATIENCE_MS));         /* nobody sets the clock, hopefully */
	assert_int_equal(get(fd), 1);
}

static void an_absolute_interval_counts_from_its_start(void **state)
{
	int fd = (int)ASSERT_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	struct itimerspec s = { ns_to_timespec(10 * MSEC), clock_in_ms(CLOCK_MONOTONIC, -95) };

	ASSERT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
	assert_true(readable(fd, PATIENCE_MS));
	assert_true(get(fd) >= 10);                     /* those missed count */
}

static void gettime_and_settime_tell_what_remains(void **state)
{
	int fd = start(CLOCK_MONOTONIC, 0, 100000, 500);
	struct itimerspec s = spec(0, 0), old;

	ASSERT_OK(timerfd_gettime(fd, &old));
	assert_true(old.it_value.tv_sec <= 100 && old.it_value.tv_sec >= 50);
	assert_int_equal(old.it_interval.tv_sec, 0);
	assert_int_equal(old.it_interval.tv_nsec, 500 * MSEC);
	memset(&old, 0xff, sizeof(old));
	ASSERT_OK(timerfd_settime(fd, 0, &s, &old));
	assert_true(old.it_value.tv_sec <= 100 && old.it_value.tv_sec >= 50);
	assert_int_equal(old.it_interval.tv_nsec, 500 * MSEC);
	ASSERT_OK(timerfd_gettime(fd, &old));           /* disarmed */
	assert_int_equal(old.it_value.tv_sec + old.it_value.tv_nsec, 0);
	assert_false(readable(fd, 20));
	/* An absolute timer is told as the time that remains, too. */
	s.it_value = clock_in_ms(CLOCK_MONOTONIC, 100000);
	ASSERT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL));
	ASSERT_OK(timerfd_gettime(fd, &old));
	assert_true(old.it_value.tv_sec <= 100 && old.it_value.tv_sec >= 50);
}

static void setting_anew_forgets_expirations(void **state)
{
	int fd = start(CLOCK_MONOTONIC, TFD_NONBLOCK, 1, 0);
	struct itimerspec s = spec(100000, 0);

	assert_true(readable(fd, PATIENCE_MS));
	ASSERT_OK(timerfd_settime(fd, 0, &s, NULL));
	assert_false(readable(fd, 0));
	ASSERT_ERR(get(fd) ? 0 : -1, EAGAIN);
}

static long bg_get(void *arg)
{
	uint64_t val = get(*(int *)arg);

	return val ? (long)val : -1;
}

static void readers_wait_for_a_timer_set_later(void **state)
{
	int fd = (int)ASSERT_OK(timerfd_create(CLOCK_MONOTONIC, 0));
	struct itimerspec s = spec(1, 0);
	struct bg bg;

	bg_start(&bg, bg_get, &fd);
	assert_true(bg_blocks(&bg));                    /* not armed: for ever */
	ASSERT_OK(timerfd_settime(fd, 0, &s, NULL));
	assert_int_equal(bg_end(&bg), 1);

	bg_handle(SIGUSR1, 0);
	bg_start(&bg, bg_get, &fd);
	assert_true(bg_interrupt(&bg, SIGUSR1));
	assert_int_equal(bg_end(&bg), -1);
	assert_int_equal(errno, EINTR);
	signal(SIGUSR1, SIG_DFL);
}

static void errors_are_reported(void **state)
{
	int fd = (int)ASSERT_OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)), p[2];
	struct itimerspec s = spec(1000, 0), bad = s;
	char buf[8];

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL), O_RDWR);
	ASSERT_OK(pipe(p));
	ASSERT_ERR(timerfd_create(99, 0), EINVAL);
	ASSERT_ERR(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
	ASSERT_ERR(timerfd_create(CLOCK_MONOTONIC, O_APPEND), EINVAL);
	ASSERT_ERR(timerfd_settime(-1, 0, &s, NULL), EBADF);
	ASSERT_ERR(timerfd_settime(p[0], 0, &s, NULL), EINVAL);
	ASSERT_ERR(timerfd_settime(fd, 4, &s, NULL), EINVAL);
	ASSERT_ERR(timerfd_settime(fd, 0, file_bad(), NULL), EFAULT);
	ASSERT_ERR(timerfd_settime(-1, 4, file_bad(), NULL), EFAULT);
	bad.it_value.tv_nsec = 1000000000;
	ASSERT_ERR(timerfd_settime(fd, 0, &bad, NULL), EINVAL);
	bad = s;
	bad.it_value.tv_sec = -1;
	ASSERT_ERR(timerfd_settime(fd, 0, &bad, NULL), EINVAL);
	bad = s;
	bad.it_interval.tv_nsec = -1;
	ASSERT_ERR(timerfd_settime(fd, 0, &bad, NULL), EINVAL);
	ASSERT_ERR(timerfd_settime(-1, 0, &bad, NULL), EINVAL);
	ASSERT_ERR(timerfd_gettime(-1, &s), EBADF);
	ASSERT_ERR(timerfd_gettime(p[0], &s), EINVAL);
	ASSERT_ERR(timerfd_gettime(fd, file_bad()), EFAULT);
	ASSERT_ERR(read(fd, buf, 7), EINVAL);
	ASSERT_ERR(write(fd, buf, 8), EINVAL);
}

static void copies_share_the_timer(void **state)
{
	int fd = start(CLOCK_MONOTONIC, TFD_NONBLOCK, 1, 0), copy = (int)ASSERT_OK(dup(fd));

	assert_true(readable(copy, PATIENCE_MS));
	close(fd);
	assert_int_equal(get(copy), 1);
	assert_false(readable(copy, 0));
}

int main(void)
{
	struct CMUnitTest tests[] = {
		cmocka_unit_test(one_shot_fires_once),
		cmocka_unit_test(intervals_are_counted),
		cmocka_unit_test(absolute_times),
		cmocka_unit_test(an_absolute_interval_counts_from_its_start),
		cmocka_unit_test(gettime_and_settime_tell_what_remains),
		cmocka_unit_test(setting_anew_forgets_expirations),
		cmocka_unit_test(readers_wait_for_a_timer_set_later),
		cmocka_unit_test(errors_are_reported),
		cmocka_unit_test(copies_share_the_timer),
	};

	return FILE_RUN_FDS(tests);
}
