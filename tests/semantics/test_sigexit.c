/* SPDX-License-Identifier: MIT */
/*
 * How a process ends. Without an argument: the checks that need no death (what is ignored by
 * default), then "PASS". With the name of a case: ends in that case's way, and says "FAIL" with
 * status 99 if it is still alive afterwards. "--list" prints each name with the status a shell shows
 * (128 + signal); tests/lib/exit_cases.sh runs them all and compares.
 */
#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void end_by_return(void) { exit(0); }
static void end_by_exit_37(void) { exit(37); }
static void end_by_exit_is_8_bit(void) { _exit(0x12a); }
static void end_by_abort(void) { abort(); }
static void end_by_raise_term(void) { raise(SIGTERM); }
static void end_by_kill_kill(void) { kill(getpid(), SIGKILL); }
static void end_by_raise_hup(void) { raise(SIGHUP); }
static void end_by_raise_realtime(void) { raise(SIGRTMIN); }
static void end_by_alarm(void) { alarm(1); sleep_ms(5000); }
static void end_by_null(void) { __asm__ volatile("movl $1, 16" ::: "memory"); }
static void end_by_ud2(void) { __asm__ volatile("ud2"); }
static void end_by_int3(void) { __asm__ volatile("int3"); }
static void end_by_hlt(void) { __asm__ volatile("hlt"); }

static void end_by_division(void)
{
	__asm__ volatile("xor %%ecx, %%ecx\n\t mov $1, %%eax\n\t cltd\n\t idivl %%ecx" ::: "eax", "ecx", "edx");
}

static void noop(int sig)
{
}

/* A fault whose signal is blocked or ignored kills in spite of that, and of a handler. */
static void end_by_blocked_segv(void)
{
	sigset_t s;

	signal(SIGSEGV, noop);
	sigfillset(&s);
	sigprocmask(SIG_SETMASK, &s, NULL);
	end_by_null();
}

static void end_by_ignored_segv(void)
{
	signal(SIGSEGV, SIG_IGN);
	end_by_null();
}

static void end_by_unblocking(void)
{
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	sigprocmask(SIG_BLOCK, &s, NULL);
	raise(SIGUSR2);
	puts("still here");
	fflush(stdout);
	sigprocmask(SIG_UNBLOCK, &s, NULL);
}

static void end_by_sigpipe(void)
{
	int p[2];

	if (pipe(p) == 0) {
		close(p[0]);
		(void)!write(p[1], "x", 1);
	}
}

static void reset_again(int sig)
{
	raise(sig);                     /* blocked now; the default action comes on return */
}

static void end_by_resethand(void)
{
	struct sigaction sa = { .sa_handler = reset_again, .sa_flags = SA_RESETHAND };

	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
}

/* The frame of a handler has no place on its stack. */
static void end_by_bad_altstack(void)
{
	stack_t ss = { .ss_size = 65536 };
	struct sigaction sa = { .sa_handler = noop, .sa_flags = SA_ONSTACK };

	ss.ss_sp = mmap(NULL, ss.ss_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	raise(SIGUSR1);
}

static void end_by_bad_sigreturn(void)
{
	__asm__ volatile("mov $8, %%rsp\n\t mov %0, %%eax\n\t syscall" :: "i"(SYS_rt_sigreturn));
}

static void end_by_cpu_limit(void)
{
	struct rlimit lim = { 1, 2 };

	setrlimit(RLIMIT_CPU, &lim);
	for (int64_t end = now_ms() + 20000; now_ms() < end;)
		;
}

static void *thread_exit_group(void *arg)
{
	sleep_ms(20);
	syscall(SYS_exit_group, 5);
	return NULL;
}

static void *thread_fault(void *arg)
{
	sleep_ms(20);
	end_by_null();
	return NULL;
}

static void *thread_late_exit(void *arg)
{
	sleep_ms(100);
	_exit(6);
}

static void *thread_late_end(void *arg)
{
	sleep_ms(100);
	return NULL;
}

static void *thread_raw_exit(void *arg)
{
	sleep_ms(100);
	syscall(SYS_exit, 3);
	return NULL;
}

static void *thread_sleep(void *arg)
{
	sleep_ms(20000);
	return NULL;
}

static void in_thread(void *(*fn)(void *))
{
	pthread_t t;

	if (pthread_create(&t, NULL, fn, NULL) != 0)
		exit(98);
}

static void end_by_exit_group_in_thread(void) { in_thread(thread_exit_group); sleep_ms(20000); }
static void end_by_fault_in_thread(void) { in_thread(thread_fault); sleep_ms(20000); }
static void end_by_exit_past_sleepers(void) { in_thread(thread_sleep); in_thread(thread_sleep); exit(7); }

/*
 * The first thread goes: the process lives on with the others. Kernels differ on whose status counts
 * if all leave by exit(2) one by one (the last thread's since 5.18, the first's before).
 */
static void end_by_main_gone_first(void) { in_thread(thread_late_exit); syscall(SYS_exit, 3); }
static void end_by_last_thread(void) { in_thread(thread_late_end); pthread_exit(NULL); }
static void end_by_exit_one_by_one(void) { in_thread(thread_raw_exit); syscall(SYS_exit, 3); }

static int in_atexit_order;

static void atexit_second(void)
{
	if (in_atexit_order == 1)
		_exit(21);
}

static void atexit_first(void)
{
	in_atexit_order = 1;
}

static void end_by_atexit(void)
{
	atexit(atexit_second);
	atexit(atexit_first);
	exit(0);
}

#define SIG(n) (128 + (n))

static const struct {
	const char *name;
	void (*fn)(void);
	int status;
} cases[] = {
	{ "return", end_by_return, 0 },
	{ "exit_37", end_by_exit_37, 37 },
	{ "exit_is_8_bit", end_by_exit_is_8_bit, 0x2a },
	{ "atexit", end_by_atexit, 21 },
	{ "abort", end_by_abort, SIG(SIGABRT) },
	{ "raise_term", end_by_raise_term, SIG(SIGTERM) },
	{ "kill_kill", end_by_kill_kill, SIG(SIGKILL) },
	{ "raise_hup", end_by_raise_hup, SIG(SIGHUP) },
	{ "raise_realtime", end_by_raise_realtime, SIG(34) },
	{ "alarm", end_by_alarm, SIG(SIGALRM) },
	{ "null", end_by_null, SIG(SIGSEGV) },
	{ "ud2", end_by_ud2, SIG(SIGILL) },
	{ "int3", end_by_int3, SIG(SIGTRAP) },
	{ "hlt", end_by_hlt, SIG(SIGSEGV) },
	{ "division", end_by_division, SIG(SIGFPE) },
	{ "blocked_segv", end_by_blocked_segv, SIG(SIGSEGV) },
	{ "ignored_segv", end_by_ignored_segv, SIG(SIGSEGV) },
	{ "unblocking", end_by_unblocking, SIG(SIGUSR2) },
	{ "sigpipe", end_by_sigpipe, SIG(SIGPIPE) },
	{ "resethand", end_by_resethand, SIG(SIGUSR1) },
	{ "bad_altstack", end_by_bad_altstack, SIG(SIGSEGV) },
	{ "bad_sigreturn", end_by_bad_sigreturn, SIG(SIGSEGV) },
	{ "cpu_limit", end_by_cpu_limit, SIG(SIGXCPU) },
	{ "exit_group_in_thread", end_by_exit_group_in_thread, 5 },
	{ "fault_in_thread", end_by_fault_in_thread, SIG(SIGSEGV) },
	{ "exit_past_sleepers", end_by_exit_past_sleepers, 7 },
	{ "main_gone_first", end_by_main_gone_first, 6 },
	{ "last_thread", end_by_last_thread, 0 },
	{ "exit_one_by_one", end_by_exit_one_by_one, 3 },
};

static void some_signals_are_ignored_by_default(void **state)
{
	static const int sigs[] = { SIGCHLD, SIGURG, SIGWINCH, SIGCONT };
	sigset_t s;

	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		signal(sigs[i], SIG_DFL);
		ASSERT_OK(kill(getpid(), sigs[i]));
		ASSERT_OK(sigpending(&s));
		assert_int_equal(sigismember(&s, sigs[i]), 0);
	}
}

static void sig_ign_ignores_every_signal_that_can_be_sent(void **state)
{
	for (int sig = 1; sig <= 64; sig++) {
		struct sigaction sa = { .sa_handler = SIG_IGN }, old;

		if (sig == SIGKILL || sig == SIGSTOP || sigaction(sig, &sa, &old) == -1)
			continue;               /* the library keeps 32 and 33 */
		ASSERT_OK(kill(getpid(), sig));
		ASSERT_OK(sigaction(sig, &old, NULL));
	}
}

static void stop_signals_wait_while_blocked_and_cont_drops_them(void **state)
{
	sigset_t s, now;

	sigemptyset(&s);
	sigaddset(&s, SIGTSTP);
	sigaddset(&s, SIGCONT);
	ASSERT_OK(sigprocmask(SIG_BLOCK, &s, NULL));
	raise(SIGTSTP);
	ASSERT_OK(sigpending(&now));
	assert_int_equal(sigismember(&now, SIGTSTP), 1);
	raise(SIGCONT);
	ASSERT_OK(sigpending(&now));
	assert_int_equal(sigismember(&now, SIGTSTP), 0);
	assert_int_equal(sigismember(&now, SIGCONT), 1);
	raise(SIGTSTP);                         /* and the other way round */
	ASSERT_OK(sigpending(&now));
	assert_int_equal(sigismember(&now, SIGCONT), 0);
	signal(SIGTSTP, SIG_IGN);               /* away with it */
	ASSERT_OK(sigprocmask(SIG_UNBLOCK, &s, NULL));
	signal(SIGTSTP, SIG_DFL);
}

static void every_case_has_another_name(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(cases[i].name, cases[j].name);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(some_signals_are_ignored_by_default),
		cmocka_unit_test(sig_ign_ignores_every_signal_that_can_be_sent),
		cmocka_unit_test(stop_signals_wait_while_blocked_and_cont_drops_them),
		cmocka_unit_test(every_case_has_another_name),
	};

	if (argc == 1) {
		int failed = cmocka_run_group_tests(tests, NULL, NULL);
		puts(failed ? "FAIL" : "PASS");
		return failed;
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (strcmp(argv[1], "--list") == 0)
			printf("%s %d\n", cases[i].name, cases[i].status);
		else if (strcmp(argv[1], cases[i].name) == 0) {
			struct rlimit no_core = { 0, 0 };
			setrlimit(RLIMIT_CORE, &no_core);
			cases[i].fn();
			puts("FAIL");
			return 99;
		}
	}
	return strcmp(argv[1], "--list") == 0 ? 0 : 98;
}
