/* SPDX-License-Identifier: MIT */
/*
 * Clocks and sleeping: clock_gettime(2) of all clocks, clock_getres(2), gettimeofday(2), time(2),
 * times(2), nanosleep(2), clock_nanosleep(2) and their errors. Interrupted sleeps are in
 * test_signal.c, timers in test_itimer.c and test_posix_timer.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <unistd.h>

#define NO_CLOCK 1000           /* 16 to 23 are auxiliary clocks since 6.17 */

static const clockid_t clocks[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
	CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,
	CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM, CLOCK_TAI,
};

static int64_t raw_ns(clockid_t id)
{
	struct timespec ts = { -1, -1 };

	ASSERT_OK(syscall(SYS_clock_gettime, id, &ts));
	assert_true(ts.tv_sec >= 0 && ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static bool has_clock(clockid_t id)
{
	struct timespec ts;

	/* The alarm clocks need a real-time clock device. */
	return syscall(SYS_clock_gettime, id, &ts) == 0;
}

/* The library asks the vdso, the raw call the kernel: one clock, and it never goes back. */
static void every_clock_runs_forward_both_ways(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		if (i >= 8 && i <= 9 && !has_clock(clocks[i]))
			continue;
		int64_t last = 0;
		for (int j = 0; j < 100; j++) {
			int64_t lib = clock_ns(clocks[i]), raw = raw_ns(clocks[i]);
			if (lib < last || raw < lib)
				fail_msg("clock %d goes back: %jd %jd %jd", clocks[i], (intmax_t)last,
					 (intmax_t)lib, (intmax_t)raw);
			last = raw;
		}
	}
}

static void monotonic_and_boottime_advance_while_sleeping(void **state)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
					 CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_MONOTONIC_COARSE };
	int64_t before[ARRAY_SIZE(ids)];

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		before[i] = raw_ns(ids[i]);
	sleep_ms(60);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		/* That of ticks is as old as the last, which a busy machine makes late. */
		assert_true(raw_ns(ids[i]) - before[i] >= (ids[i] == CLOCK_MONOTONIC_COARSE ? 10 : 45) * MSEC);
	assert_true(raw_ns(CLOCK_BOOTTIME) >= raw_ns(CLOCK_MONOTONIC) - 1000 * MSEC);
}

static volatile unsigned long burnt;

static void burn_ms(clockid_t id, int ms)
{
	for (int64_t end = clock_ns(id) + ms * MSEC; clock_ns(id) < end;)
		for (int i = 0; i < 10000; i++)
			burnt++;
}

static void *burn_thread(void *arg)
{
	*(int64_t *)arg = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 300);
	return NULL;
}

static void cpu_clocks_count_work_not_sleep(void **state)
{
	int64_t theirs = -1, thread = raw_ns(CLOCK_THREAD_CPUTIME_ID);
	int64_t process = raw_ns(CLOCK_PROCESS_CPUTIME_ID);
	pthread_t t;

	sleep_ms(300);
	assert_true(raw_ns(CLOCK_THREAD_CPUTIME_ID) - thread < 250 * MSEC);
	burn_ms(CLOCK_THREAD_CPUTIME_ID, 300);
	assert_true(raw_ns(CLOCK_PROCESS_CPUTIME_ID) - process >= 290 * MSEC);

	thread = raw_ns(CLOCK_THREAD_CPUTIME_ID);
	process = raw_ns(CLOCK_PROCESS_CPUTIME_ID);
	ASSERT_RET(pthread_create(&t, NULL, burn_thread, &theirs), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_in_range(theirs, 0, 250 * MSEC);                  /* its clock began at zero */
	assert_true(raw_ns(CLOCK_PROCESS_CPUTIME_ID) - process >= 290 * MSEC);
	assert_true(raw_ns(CLOCK_THREAD_CPUTIME_ID) - thread < 250 * MSEC);
}

static void clocks_of_threads_and_processes_have_ids(void **state)
{
	clockid_t id;
	struct timespec ts;

	ASSERT_RET(pthread_getcpuclockid(pthread_self(), &id), 0);
	assert_true(raw_ns(id) > 0);
	ASSERT_RET(clock_getcpuclockid(0, &id), 0);
	assert_true(raw_ns(id) > 0);
	ASSERT_ERR(syscall(SYS_clock_gettime, (int)(~0x1ffffffeU << 3 | 2), &ts), EINVAL);   /* nobody's */
}

static void clock_calls_check_their_arguments(void **state)
{
	struct timespec ts = { 0, 0 };

	ASSERT_ERR(syscall(SYS_clock_gettime, NO_CLOCK, &ts), EINVAL);
	ASSERT_ERR(syscall(SYS_clock_gettime, 10, &ts), EINVAL);
	ASSERT_ERR(syscall(SYS_clock_gettime, -1, &ts), EINVAL);
	ASSERT_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8), EFAULT);
	ASSERT_ERR(clock_getres(NO_CLOCK, &ts), EINVAL);
	ASSERT_OK(clock_getres(CLOCK_MONOTONIC, NULL));
	ASSERT_ERR(syscall(SYS_clock_getres, CLOCK_MONOTONIC, (void *)8), EFAULT);
	ASSERT_ERR(clock_settime(CLOCK_MONOTONIC, &ts), EINVAL);
	ASSERT_ERR(clock_settime(NO_CLOCK, &ts), EINVAL);
	ASSERT_ERR(syscall(SYS_gettimeofday, (void *)8, NULL), EFAULT);
	ASSERT_ERR(syscall(SYS_time, (void *)8), EFAULT);
}

static void resolutions_are_high(void **state)
{
	struct timespec ts;

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		if (i >= 8 && i <= 9 && !has_clock(clocks[i]))
			continue;
		ASSERT_OK(clock_getres(clocks[i], &ts));
		bool coarse = clocks[i] == CLOCK_REALTIME_COARSE || clocks[i] == CLOCK_MONOTONIC_COARSE;
		assert_int_equal(ts.tv_sec, 0);
		if (coarse)
			assert_in_range(ts.tv_nsec, MSEC, 10 * MSEC);
		else
			assert_int_equal(ts.tv_nsec, 1);
	}
}

static void the_calls_for_the_date_agree(void **state)
{
	struct timeval tv, raw;
	struct timezone tz = { 77, 77 };

	int64_t before = raw_ns(CLOCK_REALTIME) / 1000;
	ASSERT_OK(gettimeofday(&tv, NULL));
	ASSERT_OK(syscall(SYS_gettimeofday, &raw, &tz));
	int64_t after = raw_ns(CLOCK_REALTIME) / 1000;
	int64_t us = tv.tv_sec * 1000000LL + tv.tv_usec, raw_us = raw.tv_sec * 1000000LL + raw.tv_usec;
	assert_true(before <= us && us <= raw_us && raw_us <= after);
	assert_true(tz.tz_minuteswest != 77 && tz.tz_dsttime != 77);
	time_t stored = 0, got = (time_t)syscall(SYS_time, &stored);
	assert_int_equal(got, stored);
	/* time() is of the tick: it may lag behind by one. */
	assert_true(got >= before / 1000000 - 1 && got <= raw_ns(CLOCK_REALTIME) / 1000000000);
	assert_true(time(NULL) >= got);
	assert_true(got > 1600000000);
}

static void times_counts_in_ticks(void **state)
{
	struct tms a, b;
	clock_t ra = times(&a);

	assert_true(ra != (clock_t)-1);
	assert_int_equal(sysconf(_SC_CLK_TCK), 100);
	burn_ms(CLOCK_PROCESS_CPUTIME_ID, 120);
	clock_t rb = times(&b);
	assert_true(rb - ra >= 10);
	assert_true(b.tms_utime + b.tms_stime - a.tms_utime - a.tms_stime >= 8);
	assert_int_equal(b.tms_cutime, 0);
	ASSERT_ERR(syscall(SYS_times, (void *)8), EFAULT);
	assert_true(times(NULL) >= rb);
}

static void sleeps_last_long_enough(void **state)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI };
	struct timespec ts = { 0, 20 * MSEC }, zero = { 0, 0 };
	int64_t start = clock_ns(CLOCK_MONOTONIC);

	ASSERT_OK(nanosleep(&ts, NULL));
	assert_true(clock_ns(CLOCK_MONOTONIC) - start >= 20 * MSEC);
	ASSERT_OK(nanosleep(&zero, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		start = clock_ns(CLOCK_MONOTONIC);
		ASSERT_RET(clock_nanosleep(ids[i], 0, &ts, NULL), 0);
		assert_true(clock_ns(CLOCK_MONOTONIC) - start >= 20 * MSEC);
		struct timespec abs = clock_in_ms(ids[i], 20);
		ASSERT_RET(clock_nanosleep(ids[i], TIMER_ABSTIME, &abs, NULL), 0);
		assert_true(clock_ns(ids[i]) >= abs.tv_sec * 1000000000LL + abs.tv_nsec);
		abs = clock_in_ms(ids[i], -20);
		ASSERT_RET(clock_nanosleep(ids[i], TIMER_ABSTIME, &abs, NULL), 0);
	}
}

static void *burn_until_told(void *arg)
{
	while (!*(volatile int *)arg)
		burnt++;
	return NULL;
}

static void sleep_by_the_process_clock_counts_other_threads(void **state)
{
	struct timespec ts = { 0, 30 * MSEC };
	volatile int stop = 0;
	pthread_t t;

	ASSERT_RET(pthread_create(&t, NULL, burn_until_told, (void *)&stop), 0);
	int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	int r = clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &ts, NULL);
	int64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	stop = 1;
	ASSERT_RET(pthread_join(t, NULL), 0);
	ASSERT_RET(r, 0);
	assert_true(used >= 29 * MSEC);
}

static void sleeps_check_their_arguments(void **state)
{
	const struct timespec bad[] = { { 0, -1 }, { 0, 1000000000 }, { -1, 0 } };
	struct timespec ok = { 0, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_ERR(nanosleep(&bad[i], NULL), EINVAL);
		ASSERT_RET(clock_nanosleep(CLOCK_MONOTONIC, 0, &bad[i], NULL), EINVAL);
		ASSERT_RET(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &bad[i], NULL), EINVAL);
	}
	ASSERT_ERR(syscall(SYS_nanosleep, (void *)8, NULL), EFAULT);
	ASSERT_ERR(syscall(SYS_clock_nanosleep, NO_CLOCK, 0, &ok, NULL), EINVAL);
	ASSERT_ERR(syscall(SYS_clock_nanosleep, NO_CLOCK, 0, (void *)8, NULL), EINVAL);       /* clock first */
	ASSERT_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, (void *)8, NULL), EFAULT);
	ASSERT_ERR(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ok, NULL), EOPNOTSUPP);
	ASSERT_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_RAW, 0, &ok, NULL), EOPNOTSUPP);
	ASSERT_ERR(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &ok, NULL), EOPNOTSUPP);
	ASSERT_OK(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0x1000, &ok, NULL));    /* not looked at */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_clock_runs_forward_both_ways),
		cmocka_unit_test(monotonic_and_boottime_advance_while_sleeping),
		cmocka_unit_test(cpu_clocks_count_work_not_sleep),
		cmocka_unit_test(clocks_of_threads_and_processes_have_ids),
		cmocka_unit_test(clock_calls_check_their_arguments),
		cmocka_unit_test(resolutions_are_high),
		cmocka_unit_test(the_calls_for_the_date_agree),
		cmocka_unit_test(times_counts_in_ticks),
		cmocka_unit_test(sleeps_last_long_enough),
		cmocka_unit_test(sleep_by_the_process_clock_counts_other_threads),
		cmocka_unit_test(sleeps_check_their_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
