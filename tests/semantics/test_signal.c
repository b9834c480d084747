/* SPDX-License-Identifier: MIT */
/*
 * Sending, blocking, queueing, waiting for and handling signals: sigaction(2) and its flags, masks,
 * siginfo of each way to send, order, sigsuspend(2), sigtimedwait(2), interrupted and restarted
 * calls, threads. What a handler finds on its stack is in test_sigframe.c, faults in test_faults.c.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_PID 0x3fffffff

/* What handlers saw, in order of their starts. */
static struct seen {
	int sig;
	int tid;
	siginfo_t info;
	sigset_t mask;          /* in force while the handler ran */
} seen[64];
static atomic_int nr_seen;

static void note(int sig, siginfo_t *info, void *uc)
{
	int saved = errno;
	int i = nr_seen;

	if (i < (int)ARRAY_SIZE(seen)) {
		seen[i].sig = sig;
		seen[i].info = *info;
		seen[i].tid = gettid();
		pthread_sigmask(SIG_BLOCK, NULL, &seen[i].mask);
	}
	nr_seen = i + 1;
	errno = saved;
}

static void handle(int sig, int flags, const sigset_t *mask)
{
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | flags };

	if (mask)
		sa.sa_mask = *mask;
	ASSERT_OK(sigaction(sig, &sa, NULL));
}

static sigset_t set_of(int a, int b)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, a);
	if (b)
		sigaddset(&s, b);
	return s;
}

static void block(int a, int b)
{
	sigset_t s = set_of(a, b);

	ASSERT_OK(sigprocmask(SIG_BLOCK, &s, NULL));
}

static void unblock(int a, int b)
{
	sigset_t s = set_of(a, b);

	ASSERT_OK(sigprocmask(SIG_UNBLOCK, &s, NULL));
}

static bool is_pending(int sig)
{
	sigset_t s;

	ASSERT_OK(sigpending(&s));
	return sigismember(&s, sig);
}

static bool mask_is_empty(void)
{
	sigset_t s;

	ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &s));
	return sigisemptyset(&s);
}

/* Each case starts with nothing blocked, pending, seen, and default actions. */
static int setup(void **state)
{
	sigset_t empty;

	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (sig == SIGUSR1 || sig == SIGUSR2 || sig == SIGHUP || sig >= SIGRTMIN) {
			signal(sig, SIG_IGN);           /* drops what is pending */
			signal(sig, SIG_DFL);
		}
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	nr_seen = 0;
	return 0;
}

static void sigaction_checks_its_arguments(void **state)
{
	struct sigaction sa = { .sa_handler = SIG_IGN }, old;
	sigset_t s;

	ASSERT_ERR(sigaction(0, &sa, NULL), EINVAL);
	ASSERT_ERR(sigaction(65, &sa, NULL), EINVAL);
	ASSERT_ERR(sigaction(-1, NULL, &old), EINVAL);
	ASSERT_ERR(sigaction(SIGKILL, &sa, NULL), EINVAL);
	ASSERT_ERR(sigaction(SIGSTOP, &sa, NULL), EINVAL);
	ASSERT_OK(sigaction(SIGKILL, NULL, &old));
	assert_ptr_equal(old.sa_handler, SIG_DFL);
	ASSERT_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 4), EINVAL);
	ASSERT_ERR(syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8), EFAULT);
	ASSERT_ERR(syscall(SYS_rt_sigaction, SIGUSR1, NULL, (void *)8, 8), EFAULT);
	ASSERT_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 16), EINVAL);
	ASSERT_ERR(syscall(SYS_rt_sigprocmask, 99, &s, NULL, 8), EINVAL);
	ASSERT_OK(syscall(SYS_rt_sigprocmask, 99, NULL, &s, 8));        /* how is not looked at */
	ASSERT_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, (void *)8, NULL, 8), EFAULT);
	ASSERT_ERR(syscall(SYS_rt_sigpending, &s, 16), EINVAL);
	ASSERT_ERR(syscall(SYS_rt_sigsuspend, &s, 4), EINVAL);
}

static void sigaction_returns_what_was_set(void **state)
{
	sigset_t m = set_of(SIGHUP, SIGKILL);
	struct sigaction old;

	handle(SIGUSR1, SA_NODEFER | SA_RESTART, &m);
	ASSERT_OK(sigaction(SIGUSR1, NULL, &old));
	assert_ptr_equal(old.sa_sigaction, note);
	assert_int_equal(old.sa_flags & (SA_SIGINFO | SA_NODEFER | SA_RESTART | SA_RESETHAND),
			 SA_SIGINFO | SA_NODEFER | SA_RESTART);
	assert_int_equal(sigismember(&old.sa_mask, SIGHUP), 1);
	assert_int_equal(sigismember(&old.sa_mask, SIGKILL), 0);        /* silently left out */
}

static void kill_and_stop_cannot_be_blocked(void **state)
{
	sigset_t s;

	sigfillset(&s);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &s, NULL));
	ASSERT_OK(sigprocmask(SIG_SETMASK, NULL, &s));
	assert_int_equal(sigismember(&s, SIGKILL), 0);
	assert_int_equal(sigismember(&s, SIGSTOP), 0);
	assert_int_equal(sigismember(&s, SIGUSR1), 1);
	sigemptyset(&s);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &s, NULL));
}

static void senders_check_their_arguments(void **state)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	ASSERT_OK(kill(getpid(), 0));
	ASSERT_ERR(kill(getpid(), 65), EINVAL);
	ASSERT_ERR(kill(NO_PID, 0), ESRCH);
	ASSERT_ERR(kill(NO_PID, 65), ESRCH);            /* the process is looked for first */
	ASSERT_OK(syscall(SYS_tgkill, getpid(), gettid(), 0));
	ASSERT_ERR(syscall(SYS_tgkill, getpid(), gettid(), 65), EINVAL);
	ASSERT_ERR(syscall(SYS_tgkill, 0, gettid(), 0), EINVAL);
	ASSERT_ERR(syscall(SYS_tgkill, getpid(), -1, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_tgkill, NO_PID, gettid(), 0), ESRCH);
	ASSERT_ERR(syscall(SYS_tkill, 0, 0), EINVAL);
	ASSERT_ERR(syscall(SYS_tkill, NO_PID, 0), ESRCH);
	ASSERT_ERR(syscall(SYS_rt_sigqueueinfo, NO_PID, SIGUSR1, &info), ESRCH);
	ASSERT_ERR(syscall(SYS_rt_sigqueueinfo, NO_PID, SIGUSR1, (void *)8), EFAULT);
	info.si_code = SI_USER;                         /* nobody may pretend to be kill() */
	ASSERT_ERR(syscall(SYS_rt_sigqueueinfo, NO_PID, SIGUSR1, &info), EPERM);
	info.si_code = SI_TKILL;
	ASSERT_ERR(syscall(SYS_rt_sigqueueinfo, NO_PID, SIGUSR1, &info), EPERM);
	ASSERT_ERR(syscall(SYS_rt_tgsigqueueinfo, 0, gettid(), SIGUSR1, &info), EINVAL);
}

static void each_sender_fills_siginfo_in_its_way(void **state)
{
	union sigval val = { .sival_ptr = (void *)0x123456789abcUL };
	siginfo_t info = { .si_code = -77 };

	handle(SIGUSR1, 0, NULL);
	ASSERT_OK(kill(getpid(), SIGUSR1));
	ASSERT_OK(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1));
	ASSERT_OK(sigqueue(getpid(), SIGUSR1, val));
	info.si_pid = 4321;
	info.si_uid = 99;
	info.si_value = val;
	ASSERT_OK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, &info));
	info.si_code = SI_USER;                         /* to oneself anything goes */
	ASSERT_OK(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info));
	assert_int_equal(nr_seen, 5);                   /* handled before each call came back */
	const int codes[] = { SI_USER, SI_TKILL, SI_QUEUE, -77, SI_USER };
	for (int i = 0; i < 5; i++) {
		assert_int_equal(seen[i].sig, SIGUSR1);
		assert_int_equal(seen[i].info.si_signo, SIGUSR1);
		assert_int_equal(seen[i].info.si_errno, 0);
		assert_int_equal(seen[i].info.si_code, codes[i]);
		assert_int_equal(seen[i].info.si_pid, i < 3 ? getpid() : 4321);
		assert_int_equal(seen[i].info.si_uid, i < 3 ? getuid() : 99);
	}
	assert_ptr_equal(seen[2].info.si_value.sival_ptr, val.sival_ptr);
	assert_ptr_equal(seen[3].info.si_value.sival_ptr, val.sival_ptr);
}

static void the_mask_in_a_handler_follows_the_flags(void **state)
{
	sigset_t m = set_of(SIGHUP, 0);

	block(SIGUSR2, 0);
	handle(SIGUSR1, 0, &m);
	raise(SIGUSR1);
	handle(SIGUSR1, SA_NODEFER, &m);
	raise(SIGUSR1);
	assert_int_equal(nr_seen, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sigismember(&seen[i].mask, SIGUSR1), i == 0);
		assert_int_equal(sigismember(&seen[i].mask, SIGHUP), 1);
		assert_int_equal(sigismember(&seen[i].mask, SIGUSR2), 1);
		assert_int_equal(sigismember(&seen[i].mask, SIGTERM), 0);
	}
	unblock(SIGUSR2, 0);
	assert_true(mask_is_empty());
}

static void resethand_is_for_one_time(void **state)
{
	struct sigaction old;

	handle(SIGUSR1, SA_RESETHAND, NULL);
	raise(SIGUSR1);
	assert_int_equal(nr_seen, 1);
	assert_int_equal(seen[0].info.si_signo, SIGUSR1);
	assert_int_equal(sigismember(&seen[0].mask, SIGUSR1), 1);
	ASSERT_OK(sigaction(SIGUSR1, NULL, &old));
	assert_ptr_equal(old.sa_handler, SIG_DFL);
}

static void standard_signals_merge_and_realtime_ones_queue(void **state)
{
	block(SIGUSR1, SIGRTMIN);
	handle(SIGUSR1, 0, NULL);
	handle(SIGRTMIN, 0, NULL);
	for (int i = 0; i < 3; i++) {
		union sigval val = { .sival_int = i };
		ASSERT_OK(sigqueue(getpid(), SIGUSR1, val));
		ASSERT_OK(sigqueue(getpid(), SIGRTMIN, val));
	}
	assert_int_equal(nr_seen, 0);
	assert_true(is_pending(SIGUSR1) && is_pending(SIGRTMIN));
	unblock(SIGUSR1, 0);
	assert_int_equal(nr_seen, 1);
	assert_int_equal(seen[0].info.si_value.sival_int, 0);   /* the first one stays */
	assert_false(is_pending(SIGUSR1));
	nr_seen = 0;
	unblock(SIGRTMIN, 0);
	assert_int_equal(nr_seen, 3);
	for (int i = 0; i < 3; i++)                             /* in order */
		assert_int_equal(seen[i].info.si_value.sival_int, i);
	assert_false(is_pending(SIGRTMIN));
}

static void pending_signals_come_lowest_first(void **state)
{
	sigset_t all, got;

	sigfillset(&all);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &all, NULL));
	const int sent[] = { SIGRTMIN + 2, SIGUSR2, SIGRTMIN, SIGRTMIN + 2, SIGHUP, SIGRTMIN + 1 };
	const int want[] = { SIGHUP, SIGUSR2, SIGRTMIN, SIGRTMIN + 1, SIGRTMIN + 2, SIGRTMIN + 2 };
	for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
		handle(sent[i], 0, &all);               /* full mask: one after the other */
		ASSERT_OK(kill(getpid(), sent[i]));
	}
	sigemptyset(&got);
	ASSERT_OK(sigprocmask(SIG_SETMASK, &got, NULL));
	assert_int_equal(nr_seen, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(seen[i].sig, want[i]);
}

/* All frames are built before the first handler runs: the last one taken is on top. */
static void handlers_which_do_not_block_each_other_start_in_reverse(void **state)
{
	block(SIGUSR1, SIGUSR2);
	handle(SIGUSR1, 0, NULL);
	handle(SIGUSR2, 0, NULL);
	raise(SIGUSR1);
	raise(SIGUSR2);
	unblock(SIGUSR1, SIGUSR2);
	assert_int_equal(nr_seen, 2);
	assert_int_equal(seen[0].sig, SIGUSR2);
	assert_int_equal(seen[1].sig, SIGUSR1);
	assert_int_equal(sigismember(&seen[0].mask, SIGUSR1), 1);       /* runs "inside" the other */
	assert_int_equal(sigismember(&seen[1].mask, SIGUSR2), 0);
}

static void ignoring_drops_what_is_pending_but_blocked_signals_stay(void **state)
{
	block(SIGUSR1, 0);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	assert_false(is_pending(SIGUSR1));
	raise(SIGUSR1);                         /* ignored and blocked: kept, the action may change */
	assert_true(is_pending(SIGUSR1));
	handle(SIGUSR1, 0, NULL);
	unblock(SIGUSR1, 0);
	assert_int_equal(nr_seen, 1);
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1);                         /* ignored, not blocked: gone */
	handle(SIGUSR1, 0, NULL);
	assert_int_equal(nr_seen, 1);
}

static void queueing_has_a_limit(void **state)
{
	struct rlimit old, lim;
	union sigval val = { .sival_int = 0 };

	ASSERT_OK(getrlimit(RLIMIT_SIGPENDING, &old));
	lim = old;
	lim.rlim_cur = 0;
	block(SIGRTMIN, 0);
	ASSERT_OK(setrlimit(RLIMIT_SIGPENDING, &lim));
	errno = 0;
	int r = sigqueue(getpid(), SIGRTMIN, val);
	int err = errno;
	ASSERT_OK(setrlimit(RLIMIT_SIGPENDING, &old));
	assert_int_equal(r, -1);
	assert_int_equal(err, EAGAIN);
}

static void sigtimedwait_takes_without_running_handlers(void **state)
{
	sigset_t s = set_of(SIGUSR1, SIGRTMIN);
	struct timespec zero = { 0, 0 }, bad = { 0, -1 }, some = { 0, 20 * MSEC };
	union sigval val = { .sival_int = 11 };
	siginfo_t info;

	block(SIGUSR1, SIGRTMIN);
	handle(SIGUSR1, 0, NULL);
	ASSERT_ERR(sigtimedwait(&s, &info, &zero), EAGAIN);
	ASSERT_ERR(sigtimedwait(&s, &info, &bad), EINVAL);
	int64_t start = now_ms();
	ASSERT_ERR(sigtimedwait(&s, &info, &some), EAGAIN);
	assert_true(now_ms() - start >= 19);
	ASSERT_OK(sigqueue(getpid(), SIGRTMIN, val));
	ASSERT_OK(kill(getpid(), SIGUSR1));
	assert_int_equal(sigtimedwait(&s, &info, &zero), SIGUSR1);
	assert_int_equal(info.si_code, SI_USER);
	assert_int_equal(info.si_pid, getpid());
	assert_int_equal(sigwaitinfo(&s, &info), SIGRTMIN);
	assert_int_equal(info.si_value.sival_int, 11);
	assert_int_equal(nr_seen, 0);
	/* The thread's own pending signals come before the process's, whatever their numbers. */
	ASSERT_OK(kill(getpid(), SIGUSR1));
	ASSERT_OK(syscall(SYS_tgkill, getpid(), gettid(), SIGRTMIN));
	assert_int_equal(sigwaitinfo(&s, &info), SIGRTMIN);
	assert_int_equal(sigwaitinfo(&s, NULL), SIGUSR1);
	ASSERT_ERR(syscall(SYS_rt_sigtimedwait, &s, NULL, &zero, 4), EINVAL);
}

/* A thread that sends `sig` to the main thread until the latter says stop. */
static atomic_int pester_stop;
static pthread_t pester_thread;

static void *pester(void *arg)
{
	while (!pester_stop) {
		sleep_ms(20);
		if (!pester_stop)
			syscall(SYS_tgkill, getpid(), getpid(), (int)(intptr_t)arg);
	}
	return NULL;
}

static void pester_start(int sig)
{
	sigset_t s, old;

	pester_stop = 0;
	sigfillset(&s);
	pthread_sigmask(SIG_SETMASK, &s, &old);
	ASSERT_RET(pthread_create(&pester_thread, NULL, pester, (void *)(intptr_t)sig), 0);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void pester_end(void)
{
	pester_stop = 1;
	ASSERT_RET(pthread_join(pester_thread, NULL), 0);
}

static void waits_are_interrupted_by_handlers_whatever_sa_restart(void **state)
{
	sigset_t s = set_of(SIGUSR2, 0);
	struct timespec long_time = { 20, 0 }, rem = { -1, -1 };

	handle(SIGUSR1, SA_RESTART, NULL);
	pester_start(SIGUSR1);
	ASSERT_ERR(sigtimedwait(&s, NULL, &long_time), EINTR);
	ASSERT_ERR(pause(), EINTR);
	ASSERT_ERR(sigsuspend(&s), EINTR);
	ASSERT_ERR(nanosleep(&long_time, &rem), EINTR);
	assert_true(rem.tv_sec >= 0 && rem.tv_sec < 20);
	pester_end();
	assert_true(nr_seen >= 4);
	ASSERT_OK(nanosleep(&(struct timespec){ 0, MSEC }, &rem));
}

static void sigsuspend_swaps_the_mask_and_back(void **state)
{
	sigset_t wait_mask = set_of(SIGHUP, 0), now;

	block(SIGUSR1, 0);
	handle(SIGUSR1, 0, NULL);
	raise(SIGUSR1);
	ASSERT_ERR(sigsuspend(&wait_mask), EINTR);
	assert_int_equal(nr_seen, 1);
	assert_int_equal(sigismember(&seen[0].mask, SIGHUP), 1);        /* the temporary mask */
	assert_int_equal(sigismember(&seen[0].mask, SIGUSR1), 1);
	ASSERT_OK(sigprocmask(SIG_BLOCK, NULL, &now));
	assert_int_equal(sigismember(&now, SIGHUP), 0);
	assert_int_equal(sigismember(&now, SIGUSR1), 1);
}

static int data_pipe[2];

static void *write_later(void *arg)
{
	for (int i = 0; i < 5; i++) {
		sleep_ms(20);
		syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	}
	return (void *)write(data_pipe[1], "data", 4);
}

static void read_of_a_pipe_restarts_only_with_sa_restart(void **state)
{
	char buf[8];
	pthread_t t;

	ASSERT_OK(pipe(data_pipe));
	handle(SIGUSR1, 0, NULL);
	pester_start(SIGUSR1);
	ASSERT_ERR(read(data_pipe[0], buf, sizeof(buf)), EINTR);
	pester_end();

	nr_seen = 0;
	handle(SIGUSR1, SA_RESTART, NULL);
	block(SIGUSR1, 0);
	ASSERT_RET(pthread_create(&t, NULL, write_later, NULL), 0);
	unblock(SIGUSR1, 0);
	assert_int_equal(read(data_pipe[0], buf, sizeof(buf)), 4);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_true(nr_seen >= 1);
	close(data_pipe[0]);
	close(data_pipe[1]);
}

static void ignored_signals_do_not_interrupt(void **state)
{
	struct timespec ts = { 0, 100 * MSEC };
	int64_t start = now_ms();

	signal(SIGUSR1, SIG_IGN);
	pester_start(SIGUSR1);
	ASSERT_OK(nanosleep(&ts, NULL));
	assert_true(now_ms() - start >= 99);
	pester_end();
	pester_start(SIGCHLD);                          /* ignored by default */
	ASSERT_OK(nanosleep(&ts, NULL));
	pester_end();
	block(SIGUSR2, 0);
	pester_start(SIGUSR2);                          /* blocked */
	ASSERT_OK(nanosleep(&ts, NULL));
	pester_end();
}

static void the_remaining_time_is_what_is_left(void **state)
{
	struct timespec req = { 30, 0 }, rem = { -1, -1 }, abs = clock_in_ms(CLOCK_MONOTONIC, 30000);

	handle(SIGUSR1, 0, NULL);
	pester_start(SIGUSR1);
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	ASSERT_ERR(nanosleep(&req, &rem), EINTR);
	int64_t slept = clock_ns(CLOCK_MONOTONIC) - start;
	int64_t left = rem.tv_sec * 1000 * MSEC + rem.tv_nsec;
	assert_true(left > 0 && left < 30000 * MSEC);
	assert_true(left + slept >= 30000 * MSEC - MSEC);
	/* An absolute sleep leaves the remainder alone. */
	rem.tv_sec = rem.tv_nsec = -1;
	ASSERT_RET(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, &rem), EINTR);
	assert_int_equal(rem.tv_sec, -1);
	pester_end();
}

static atomic_int worker_stop, worker_tid;
static sigset_t worker_pending;

static void *worker(void *arg)
{
	pthread_sigmask(SIG_SETMASK, arg, NULL);
	worker_tid = gettid();
	while (!worker_stop)
		sleep_ms(1);
	sigpending(&worker_pending);
	return NULL;
}

static void process_signals_find_a_thread_that_takes_them(void **state)
{
	sigset_t none;
	pthread_t t;

	sigemptyset(&none);
	worker_stop = worker_tid = 0;
	handle(SIGUSR1, 0, NULL);
	ASSERT_RET(pthread_create(&t, NULL, worker, &none), 0);
	assert_true(EVENTUALLY(worker_tid));
	ASSERT_OK(kill(getpid(), SIGUSR1));             /* both could: the main thread is preferred */
	assert_int_equal(nr_seen, 1);
	assert_int_equal(seen[0].tid, getpid());
	block(SIGUSR1, 0);
	ASSERT_OK(kill(getpid(), SIGUSR1));
	assert_true(EVENTUALLY(nr_seen == 2));
	assert_int_equal(seen[1].tid, worker_tid);
	unblock(SIGUSR1, 0);
	assert_int_equal(nr_seen, 2);
	worker_stop = 1;
	ASSERT_RET(pthread_join(t, NULL), 0);
}

static void thread_signals_and_masks_are_the_threads_own(void **state)
{
	sigset_t usr1 = set_of(SIGUSR1, 0);
	pthread_t t;

	worker_stop = worker_tid = 0;
	handle(SIGUSR1, 0, NULL);
	ASSERT_RET(pthread_create(&t, NULL, worker, &usr1), 0);
	assert_true(EVENTUALLY(worker_tid));
	ASSERT_RET(pthread_kill(t, SIGUSR1), 0);        /* blocked there: pending there */
	assert_false(is_pending(SIGUSR1));
	assert_int_equal(nr_seen, 0);
	worker_stop = 1;
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_int_equal(sigismember(&worker_pending, SIGUSR1), 1);
	raise(SIGUSR1);
	assert_int_equal(nr_seen, 1);
}

static void *tell_mask(void *arg)
{
	pthread_sigmask(SIG_BLOCK, NULL, arg);
	sigpending(&worker_pending);
	return NULL;
}

static void a_new_thread_inherits_the_mask_but_nothing_pending(void **state)
{
	sigset_t theirs;
	pthread_t t;

	block(SIGUSR1, SIGRTMIN + 3);
	ASSERT_RET(pthread_kill(pthread_self(), SIGUSR1), 0);
	ASSERT_RET(pthread_create(&t, NULL, tell_mask, &theirs), 0);
	ASSERT_RET(pthread_join(t, NULL), 0);
	assert_int_equal(sigismember(&theirs, SIGUSR1), 1);
	assert_int_equal(sigismember(&theirs, SIGRTMIN + 3), 1);
	assert_int_equal(sigismember(&theirs, SIGUSR2), 0);
	assert_int_equal(sigismember(&worker_pending, SIGUSR1), 0);
	assert_true(is_pending(SIGUSR1));
}

static void a_write_nobody_can_read_sends_sigpipe(void **state)
{
	struct sigaction old;
	int p[2];

	ASSERT_OK(sigaction(SIGPIPE, NULL, &old));
	handle(SIGPIPE, 0, NULL);
	ASSERT_OK(pipe(p));
	close(p[0]);
	ASSERT_ERR(write(p[1], "x", 1), EPIPE);
	assert_int_equal(nr_seen, 1);
	assert_int_equal(seen[0].sig, SIGPIPE);
	assert_int_equal(seen[0].info.si_code, SI_USER);
	assert_int_equal(seen[0].info.si_pid, getpid());
	assert_int_equal(write(p[1], "", 0), 0);        /* nothing to write, no complaint */
	close(p[1]);
	ASSERT_OK(sigaction(SIGPIPE, &old, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(sigaction_checks_its_arguments, setup),
		cmocka_unit_test_setup(sigaction_returns_what_was_set, setup),
		cmocka_unit_test_setup(kill_and_stop_cannot_be_blocked, setup),
		cmocka_unit_test_setup(senders_check_their_arguments, setup),
		cmocka_unit_test_setup(each_sender_fills_siginfo_in_its_way, setup),
		cmocka_unit_test_setup(the_mask_in_a_handler_follows_the_flags, setup),
		cmocka_unit_test_setup(resethand_is_for_one_time, setup),
		cmocka_unit_test_setup(standard_signals_merge_and_realtime_ones_queue, setup),
		cmocka_unit_test_setup(pending_signals_come_lowest_first, setup),
		cmocka_unit_test_setup(handlers_which_do_not_block_each_other_start_in_reverse, setup),
		cmocka_unit_test_setup(ignoring_drops_what_is_pending_but_blocked_signals_stay, setup),
		cmocka_unit_test_setup(queueing_has_a_limit, setup),
		cmocka_unit_test_setup(sigtimedwait_takes_without_running_handlers, setup),
		cmocka_unit_test_setup(waits_are_interrupted_by_handlers_whatever_sa_restart, setup),
		cmocka_unit_test_setup(sigsuspend_swaps_the_mask_and_back, setup),
		cmocka_unit_test_setup(read_of_a_pipe_restarts_only_with_sa_restart, setup),
		cmocka_unit_test_setup(ignored_signals_do_not_interrupt, setup),
		cmocka_unit_test_setup(the_remaining_time_is_what_is_left, setup),
		cmocka_unit_test_setup(process_signals_find_a_thread_that_takes_them, setup),
		cmocka_unit_test_setup(thread_signals_and_masks_are_the_threads_own, setup),
		cmocka_unit_test_setup(a_new_thread_inherits_the_mask_but_nothing_pending, setup),
		cmocka_unit_test_setup(a_write_nobody_can_read_sends_sigpipe, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
