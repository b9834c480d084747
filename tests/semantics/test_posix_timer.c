/* SPDX-License-Identifier: MIT */
/*
 * POSIX timers by the system calls themselves: timer_create(2) with each kind of notification,
 * timer_settime(2), timer_gettime(2), overruns, deletion, errors.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

typedef int ktimer_t;           /* what the kernel gives; the library's timer_t is a pointer */

static long create(clockid_t clock, struct sigevent *ev, ktimer_t *ret_id)
{
	return syscall(SYS_timer_create, clock, ev, ret_id);
}

static long settime(ktimer_t id, int flags, int64_t value_ms, int64_t interval_ms,
		    struct itimerspec *old)
{
	struct itimerspec it = { .it_value = ns_to_timespec(value_ms * MSEC),
				 .it_interval = ns_to_timespec(interval_ms * MSEC) };

	return syscall(SYS_timer_settime, id, flags, &it, old);
}

static int64_t left_ms(ktimer_t id)
{
	struct itimerspec it;

	ASSERT_OK(syscall(SYS_timer_gettime, id, &it));
	return it.it_value.tv_sec * 1000 + it.it_value.tv_nsec / MSEC;
}

static sigset_t the_signal;

/* The signal is blocked and fetched by sigtimedwait, so that nothing interrupts the test. */
static int setup(void **state)
{
	sigemptyset(&the_signal);
	sigaddset(&the_signal, SIGRTMIN);
	sigaddset(&the_signal, SIGALRM);
	return sigprocmask(SIG_BLOCK, &the_signal, NULL);
}

static int fetch(siginfo_t *info, int ms)
{
	struct timespec ts = ns_to_timespec(ms * MSEC);

	return sigtimedwait(&the_signal, info, &ts);
}

static struct sigevent by_signal(int value)
{
	return (struct sigevent){ .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN,
				  .sigev_value.sival_int = value };
}

static void a_signal_carries_the_value(void **state)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI };

	for (size_t i = 0; i < ARRAY_SIZE(clocks); i++) {
		struct sigevent ev = by_signal(4711);
		int64_t start = now_ms();
		siginfo_t info;
		ktimer_t id;

		ASSERT_OK(create(clocks[i], &ev, &id));
		ASSERT_OK(settime(id, 0, 20, 0, NULL));
		assert_int_equal(fetch(&info, PATIENCE_MS), SIGRTMIN);
		assert_true(now_ms() - start >= 19);
		assert_int_equal(info.si_code, SI_TIMER);
		assert_int_equal(info.si_value.sival_int, 4711);
		assert_int_equal(info.si_timerid, id);
		assert_int_equal(info.si_overrun, 0);
		assert_int_equal(left_ms(id), 0);
		ASSERT_OK(syscall(SYS_timer_delete, id));
	}
}

static void without_an_event_it_is_sigalrm_with_the_id(void **state)
{
	siginfo_t info;
	ktimer_t id;

	ASSERT_OK(create(CLOCK_MONOTONIC, NULL, &id));
	ASSERT_OK(settime(id, 0, 5, 0, NULL));
	assert_int_equal(fetch(&info, PATIENCE_MS), SIGALRM);
	assert_int_equal(info.si_code, SI_TIMER);
	assert_int_equal(info.si_value.sival_int, id);
	ASSERT_OK(syscall(SYS_timer_delete, id));
}

static void intervals_overrun_while_nobody_looks(void **state)
{
	struct sigevent ev = by_signal(1);
	siginfo_t info;
	ktimer_t id;

	ASSERT_OK(create(CLOCK_MONOTONIC, &ev, &id));
	ASSERT_OK(settime(id, 0, 5, 5, NULL));
	sleep_ms(60);
	assert_int_equal(fetch(&info, PATIENCE_MS), SIGRTMIN);          /* one signal for all */
	assert_true(info.si_overrun >= 9);
	assert_int_equal(syscall(SYS_timer_getoverrun, id), info.si_overrun);
	assert_int_equal(fetch(&info, PATIENCE_MS), SIGRTMIN);          /* and it goes on */
	ASSERT_OK(settime(id, 0, 0, 5, NULL));
	fetch(&info, 0);
	sleep_ms(20);
	ASSERT_ERR(fetch(&info, 0), EAGAIN);
	ASSERT_OK(syscall(SYS_timer_delete, id));
}

static void sigev_none_only_counts_down(void **state)
{
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct itimerspec old;
	siginfo_t info;
	ktimer_t id;

	ASSERT_OK(create(CLOCK_MONOTONIC, &ev, &id));
	assert_int_equal(left_ms(id), 0);
	ASSERT_OK(settime(id, 0, 100000, 3000, NULL));
	sleep_ms(5);
	assert_in_range(left_ms(id), 50000, 99996);
	ASSERT_OK(settime(id, 0, 10, 0, &old));
	assert_in_range(old.it_value.tv_sec, 50, 99);
	assert_int_equal(old.it_interval.tv_sec, 3);
	sleep_ms(20);
	assert_int_equal(left_ms(id), 0);
	ASSERT_ERR(fetch(&info, 0), EAGAIN);
	ASSERT_OK(syscall(SYS_timer_delete, id));
}

static void absolute_times_are_of_the_clock(void **state)
{
	struct sigevent ev = by_signal(2);
	siginfo_t info;
	ktimer_t id;

	ASSERT_OK(create(CLOCK_REALTIME, &ev, &id));
	int64_t at = clock_ns(CLOCK_REALTIME) / MSEC + 30;
	ASSERT_OK(settime(id, TIMER_ABSTIME, at, 0, NULL));
	assert_true(left_ms(id) <= 30);
	assert_int_equal(fetch(&info, PATIENCE_MS), SIGRTMIN);
	assert_true(clock_ns(CLOCK_REALTIME) / MSEC >= at);
	ASSERT_OK(settime(id, TIMER_ABSTIME, at - 1000, 0, NULL));      /* past: at once */
	assert_int_equal(fetch(&info, PATIENCE_MS), SIGRTMIN);
	ASSERT_OK(syscall(SYS_timer_delete, id));
}

static atomic_int handled_by;

static void note_thread(int sig, siginfo_t *info, void *uc)
{
	handled_by = gettid();
}

static void *wait_in_thread(void *arg)
{
	sigset_t s;

	sigemptyset(&s);
	pthread_sigmask(SIG_SETMASK, &s, NULL);
	*(atomic_int *)arg = gettid();
	while (!handled_by)
		sleep_ms(1);
	return NULL;
}

static void a_thread_of_choice_gets_the_signal(void **state)
{
	struct sigaction sa = { .sa_sigaction = note_thread, .sa_flags = SA_SIGINFO };
	struct sigevent ev = by_signal(3);
	atomic_int tid = 0;
	pthread_t t;
	ktimer_t id;

	ASSERT_OK(sigaction(SIGRTMIN + 1, &sa, NULL));
	ASSERT_RET(pthread_create(&t, NULL, wait_in_thread, &tid), 0);
	assert_true(EVENTUALLY(tid));
	ev.sigev_notify = SIGEV_THREAD_ID;
	ev.sigev_signo = SIGRTMIN + 1;
	ev.sigev_notify_thread_id = tid;
	ASSERT_OK(create(CLOCK_MONOTONIC, &ev, &id));
	ASSERT_OK(settime(id, 0, 5, 0, NULL));
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_int_equal(handled_by, tid);
	ASSERT_OK(syscall(SYS_timer_delete, id));
}

static atomic_int notified;

static void notify(union sigval val)
{
	notified = val.sival_int;
}

static void the_library_can_start_threads(void **state)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = notify,
			       .sigev_value.sival_int = 55 };
	struct itimerspec it = { .it_value = { 0, 5 * MSEC } };
	timer_t t;

	ASSERT_OK(timer_create(CLOCK_MONOTONIC, &ev, &t));
	ASSERT_OK(timer_settime(t, 0, &it, NULL));
	assert_true(EVENTUALLY(notified == 55));
	ASSERT_OK(timer_delete(t));
}

static void cpu_time_can_be_timed(void **state)
{
	struct sigevent ev = by_signal(6);
	siginfo_t info;
	ktimer_t id;

	ASSERT_OK(create(CLOCK_PROCESS_CPUTIME_ID, &ev, &id));
	ASSERT_OK(settime(id, 0, 30, 0, NULL));
	sleep_ms(100);
	ASSERT_ERR(fetch(&info, 0), EAGAIN);
	for (int64_t end = now_ms() + PATIENCE_MS; now_ms() < end;) {
		for (volatile int i = 0; i < 100000; i++)
			;
		if (fetch(&info, 0) == SIGRTMIN)
			break;
	}
	assert_int_equal(info.si_value.sival_int, 6);
	ASSERT_OK(syscall(SYS_timer_delete, id));
}

static void a_deleted_timer_is_silent_and_unknown(void **state)
{
	struct sigevent ev = by_signal(7);
	struct itimerspec it;
	siginfo_t info;
	ktimer_t id;

	ASSERT_OK(create(CLOCK_MONOTONIC, &ev, &id));
	ASSERT_OK(settime(id, 0, 20, 20, NULL));
	ASSERT_OK(syscall(SYS_timer_delete, id));
	sleep_ms(40);
	ASSERT_ERR(fetch(&info, 0), EAGAIN);
	ASSERT_ERR(syscall(SYS_timer_delete, id), EINVAL);
	ASSERT_ERR(syscall(SYS_timer_gettime, id, &it), EINVAL);
	ASSERT_ERR(syscall(SYS_timer_getoverrun, id), EINVAL);
	ASSERT_ERR(settime(id, 0, 1, 0, NULL), EINVAL);
}

/* Whichever of them have gone. */
static void every_timer_has_its_own_id(void **state)
{
	int id[8];

	for (int i = 0; i < 8; i++)
		ASSERT_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id[i]));
	for (int round = 0; round < 20; round++) {
		int a = round % 8, b = (round + 3) % 8;

		ASSERT_OK(syscall(SYS_timer_delete, id[a]));
		ASSERT_OK(syscall(SYS_timer_delete, id[b]));
		ASSERT_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id[a]));
		ASSERT_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id[b]));
		for (int i = 0; i < 8; i++)
			for (int j = 0; j < i; j++)
				assert_int_not_equal(id[i], id[j]);
	}
	for (int i = 0; i < 8; i++)
		ASSERT_OK(syscall(SYS_timer_delete, id[i]));
}

static void arguments_are_checked(void **state)
{
	struct sigevent ev = by_signal(8), bad;
	struct itimerspec it = { .it_value = { 0, 1000000000 } };
	ktimer_t id;

	ASSERT_ERR(create(1000, &ev, &id), EINVAL);
	ASSERT_ERR(create(CLOCK_MONOTONIC_RAW, &ev, &id), EOPNOTSUPP);
	ASSERT_ERR(create(CLOCK_MONOTONIC_COARSE, &ev, &id), EOPNOTSUPP);
	ASSERT_ERR(create(CLOCK_MONOTONIC, (void *)8, &id), EFAULT);
	ASSERT_ERR(create(CLOCK_MONOTONIC, &ev, (void *)8), EFAULT);
	bad = ev, bad.sigev_notify = 99;
	ASSERT_ERR(create(CLOCK_MONOTONIC, &bad, &id), EINVAL);
	bad = ev, bad.sigev_signo = 65;
	ASSERT_ERR(create(CLOCK_MONOTONIC, &bad, &id), EINVAL);
	bad = ev, bad.sigev_signo = 0;
	ASSERT_ERR(create(CLOCK_MONOTONIC, &bad, &id), EINVAL);
	bad = ev, bad.sigev_notify = SIGEV_THREAD_ID, bad.sigev_notify_thread_id = 0x3fffffff;
	ASSERT_ERR(create(CLOCK_MONOTONIC, &bad, &id), EINVAL);
	ASSERT_OK(create(CLOCK_MONOTONIC, &ev, &id));
	ASSERT_ERR(syscall(SYS_timer_settime, id, 0, &it, NULL), EINVAL);
	ASSERT_ERR(syscall(SYS_timer_settime, id, 0, NULL, NULL), EINVAL);
	ASSERT_ERR(syscall(SYS_timer_settime, id, 0, (void *)8, NULL), EFAULT);
	ASSERT_ERR(syscall(SYS_timer_gettime, id, (void *)8), EFAULT);
	ASSERT_ERR(syscall(SYS_timer_delete, -1), EINVAL);
	ASSERT_OK(syscall(SYS_timer_delete, id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signal_carries_the_value),
		cmocka_unit_test(without_an_event_it_is_sigalrm_with_the_id),
		cmocka_unit_test(intervals_overrun_while_nobody_looks),
		cmocka_unit_test(sigev_none_only_counts_down),
		cmocka_unit_test(absolute_times_are_of_the_clock),
		cmocka_unit_test(a_thread_of_choice_gets_the_signal),
		cmocka_unit_test(the_library_can_start_threads),
		cmocka_unit_test(cpu_time_can_be_timed),
		cmocka_unit_test(a_deleted_timer_is_silent_and_unknown),
		cmocka_unit_test(every_timer_has_its_own_id),
		cmocka_unit_test(arguments_are_checked),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
