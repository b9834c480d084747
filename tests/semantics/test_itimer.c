/* SPDX-License-Identifier: MIT */
/*
 * setitimer(2), getitimer(2), alarm(2): one shot and interval of all three timers, the remaining
 * time, replacing and disarming, the siginfo of their signals, errors.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

static volatile int ticks;
static siginfo_t tick_info;

static void on_tick(int sig, siginfo_t *info, void *uc)
{
	tick_info = *info;
	ticks++;
}

static int setup(void **state)
{
	static const int sigs[] = { SIGALRM, SIGVTALRM, SIGPROF };
	struct sigaction sa = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO };

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		sigaction(sigs[i], &sa, NULL);
	ticks = 0;
	return 0;
}

static int teardown(void **state)
{
	const struct itimerval off = { { 0, 0 }, { 0, 0 } };

	for (int which = 0; which < 3; which++)
		setitimer(which, &off, NULL);
	return 0;
}

static struct itimerval ms_timer(int value, int interval)
{
	return (struct itimerval){ .it_value = { value / 1000, value % 1000 * 1000 },
				   .it_interval = { interval / 1000, interval % 1000 * 1000 } };
}

static int64_t tv_ms(const struct timeval *tv)
{
	return tv->tv_sec * 1000 + tv->tv_usec / 1000;
}

static void burn_until_tick(int n)
{
	for (int64_t end = now_ms() + PATIENCE_MS; ticks < n && now_ms() < end;)
		for (volatile int i = 0; i < 10000; i++)
			;
}

static void a_one_shot_comes_once_and_not_early(void **state)
{
	struct itimerval it = ms_timer(30, 0), now;
	int64_t start = now_ms();

	ASSERT_OK(setitimer(ITIMER_REAL, &it, NULL));
	assert_true(EVENTUALLY(ticks == 1));
	assert_true(now_ms() - start >= 29);
	assert_int_equal(tick_info.si_signo, SIGALRM);
	assert_int_equal(tick_info.si_code, SI_KERNEL);
	sleep_ms(60);
	assert_int_equal(ticks, 1);
	ASSERT_OK(getitimer(ITIMER_REAL, &now));
	assert_int_equal(now.it_value.tv_sec, 0);
	assert_int_equal(now.it_value.tv_usec, 0);
}

static void an_interval_comes_again(void **state)
{
	struct itimerval it = ms_timer(10, 10), now;
	int64_t start = now_ms();

	ASSERT_OK(setitimer(ITIMER_REAL, &it, NULL));
	assert_true(EVENTUALLY(ticks >= 5));
	assert_true(now_ms() - start >= 48);
	ASSERT_OK(getitimer(ITIMER_REAL, &now));
	assert_int_equal(tv_ms(&now.it_interval), 10);
	it = ms_timer(0, 10);                   /* disarms in spite of the interval */
	ASSERT_OK(setitimer(ITIMER_REAL, &it, &now));
	assert_int_equal(tv_ms(&now.it_interval), 10);
	int n = ticks;
	sleep_ms(50);
	assert_int_equal(ticks, n);
}

static void the_remaining_time_shrinks(void **state)
{
	struct itimerval it = ms_timer(100000, 7000), now, old;

	ASSERT_OK(setitimer(ITIMER_REAL, &it, &old));
	assert_int_equal(tv_ms(&old.it_value), 0);
	sleep_ms(20);
	ASSERT_OK(getitimer(ITIMER_REAL, &now));
	assert_in_range(tv_ms(&now.it_value), 50000, 99981);
	assert_int_equal(tv_ms(&now.it_interval), 7000);
	it = ms_timer(0, 0);
	ASSERT_OK(setitimer(ITIMER_REAL, &it, &old));
	assert_in_range(tv_ms(&old.it_value), 50000, 99981);
	assert_int_equal(tv_ms(&old.it_interval), 7000);
	ASSERT_OK(getitimer(ITIMER_REAL, &now));
	assert_int_equal(tv_ms(&now.it_value), 0);
	assert_int_equal(ticks, 0);
}

static void cpu_timers_count_cpu_time(void **state)
{
	const int which[] = { ITIMER_VIRTUAL, ITIMER_PROF }, sigs[] = { SIGVTALRM, SIGPROF };

	for (int i = 0; i < 2; i++) {
		struct itimerval it = ms_timer(40, 40), now;
		ticks = 0;
		ASSERT_OK(setitimer(which[i], &it, NULL));
		sleep_ms(150);
		assert_int_equal(ticks, 0);             /* asleep, no time passes */
		int64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		burn_until_tick(2);
		assert_true(ticks >= 2);
		assert_int_equal(tick_info.si_signo, sigs[i]);
		assert_int_equal(tick_info.si_code, SI_KERNEL);
		assert_true(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start >= 40 * MSEC);
		ASSERT_OK(getitimer(which[i], &now));
		assert_true(now.it_interval.tv_usec >= 40000 && now.it_interval.tv_usec <= 44000);
		it = ms_timer(0, 0);
		ASSERT_OK(setitimer(which[i], &it, NULL));
	}
}

/* Profilers ask where the time goes: whoever uses it is interrupted, not whoever sleeps. */
static _Thread_local volatile bool burns;

static void note_own(int sig)
{
	if (burns)
		ticks++;
}

static void *burn(void *arg)
{
	burns = true;
	burn_until_tick(3);
	return NULL;
}

static void profiling_interrupts_who_uses_the_time(void **state)
{
	struct itimerval it = ms_timer(20, 20);
	struct sigaction sa = { .sa_handler = note_own, .sa_flags = SA_RESTART }, old;
	pthread_t th;

	ASSERT_OK(sigaction(SIGPROF, &sa, &old));
	ticks = 0;
	assert_int_equal(pthread_create(&th, NULL, burn, NULL), 0);
	ASSERT_OK(setitimer(ITIMER_PROF, &it, NULL));
	pthread_join(th, NULL);
	assert_true(ticks >= 3);
	it = ms_timer(0, 0);
	ASSERT_OK(setitimer(ITIMER_PROF, &it, NULL));
	ASSERT_OK(sigaction(SIGPROF, &old, NULL));
}

static void alarm_returns_what_was_left_in_seconds(void **state)
{
	struct itimerval now;

	assert_int_equal(alarm(100), 0);
	assert_in_range(alarm(50), 50, 100);            /* rounded, never to zero */
	ASSERT_OK(getitimer(ITIMER_REAL, &now));        /* it is the same timer */
	assert_in_range(tv_ms(&now.it_value), 40000, 50000);
	now = ms_timer(1, 0);
	now.it_value.tv_sec = 30;
	ASSERT_OK(setitimer(ITIMER_REAL, &now, NULL));
	assert_in_range(alarm(0), 10, 30);
	assert_int_equal(alarm(0), 0);
	now = ms_timer(300, 0);
	ASSERT_OK(setitimer(ITIMER_REAL, &now, NULL));
	assert_int_equal(alarm(0), 1);                  /* less than half a second is not none */
	assert_int_equal(ticks, 0);
}

static void alarm_interrupts_a_sleep(void **state)
{
	int64_t start = now_ms();

	alarm(1);
	ASSERT_ERR(pause(), EINTR);
	assert_int_equal(ticks, 1);
	assert_true(now_ms() - start >= 999);
}

static void arguments_are_checked(void **state)
{
	struct itimerval ok = ms_timer(0, 0), now;
	const struct itimerval bad[] = {
		{ .it_value = { 0, 1000000 } }, { .it_value = { 0, -1 } }, { .it_value = { -1, 0 } },
		{ .it_interval = { 0, 1000000 } },
	};

	ASSERT_ERR(setitimer(3, &ok, NULL), EINVAL);
	ASSERT_ERR(getitimer(-1, &now), EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ASSERT_ERR(setitimer(ITIMER_REAL, &bad[i], NULL), EINVAL);
	ASSERT_ERR(syscall(SYS_setitimer, ITIMER_REAL, (void *)8, NULL), EFAULT);
	ASSERT_ERR(syscall(SYS_getitimer, ITIMER_REAL, (void *)8), EFAULT);
	/* Without a new value it is as if it were zero (and the kernel grumbles in its log). */
	alarm(100);
	ASSERT_OK(syscall(SYS_setitimer, ITIMER_REAL, NULL, NULL));
	assert_int_equal(alarm(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_one_shot_comes_once_and_not_early, setup, teardown),
		cmocka_unit_test_setup_teardown(an_interval_comes_again, setup, teardown),
		cmocka_unit_test_setup_teardown(the_remaining_time_shrinks, setup, teardown),
		cmocka_unit_test_setup_teardown(cpu_timers_count_cpu_time, setup, teardown),
		cmocka_unit_test_setup_teardown(profiling_interrupts_who_uses_the_time, setup, teardown),
		cmocka_unit_test_setup_teardown(alarm_returns_what_was_left_in_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(alarm_interrupts_a_sleep, setup, teardown),
		cmocka_unit_test_setup_teardown(arguments_are_checked, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
