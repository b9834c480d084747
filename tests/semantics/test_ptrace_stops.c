/* SPDX-License-Identifier: MIT */
/* ptrace(2): where a tracee stops, what wait4(2) and waitid(2) say of it, what the tracer can make of a signal or a call. */
#include "tests/lib/trace.h"

#include <sys/user.h>

static volatile sig_atomic_t handled, handled_code, handled_pid;

static void note(int sig, siginfo_t *info, void *ctx)
{
	handled = sig;
	handled_code = info->si_code;
	handled_pid = info->si_pid;
}

static void handle(int sig)
{
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

	sigaction(sig, &sa, NULL);
}

static int do_nothing(void)
{
	return 7;
}

static void traceme_may_be_said_once(void **state)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (trace(PTRACE_TRACEME, 0, 0, 0) != 0)
			_exit(1);
		_exit(trace(PTRACE_TRACEME, 0, 0, 0) == -1 && errno == EPERM ? 0 : 2);
	}
	WAIT_FOR(pid, EXITED(0));
}

static void requests_want_a_stopped_tracee(void **state)
{
	pid_t pid = traced_child(do_nothing);

	TRACE_ERR(PTRACE_CONT, getpid(), 0, 0, ESRCH);
	TRACE_ERR(PTRACE_CONT, 0, 0, 0, ESRCH);
	TRACE_ERR(PTRACE_PEEKDATA, 1, 0, 0, ESRCH);
	TRACE_ERR(PTRACE_CONT, pid, 0, 65, EIO);
	TRACE_ERR(PTRACE_SYSCALL, pid, 0, 1000, EIO);
	TRACE_ERR(PTRACE_DETACH, pid, 0, 65, EIO);
	TRACE_ERR(12345, pid, 0, 0, EIO);
	TRACE_ERR(PTRACE_INTERRUPT, pid, 0, 0, EIO); /* not seized */
	TRACE_ERR(PTRACE_LISTEN, pid, 0, 0, EIO);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(7));
	TRACE_ERR(PTRACE_CONT, pid, 0, 0, ESRCH);
}

static int exec_true(void)
{
	execl("/bin/true", "true", NULL);
	return 9;
}

static void exec_without_options_is_sigtrap(void **state)
{
	pid_t pid = traced_child(exec_true);
	siginfo_t info;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_signo, SIGTRAP);
	assert_int_equal(info.si_code, SI_USER);
	assert_int_equal(info.si_pid, pid);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int raise_some(void)
{
	handle(SIGUSR1);
	handle(SIGUSR2);
	raise(SIGUSR1);
	if (handled != SIGUSR1)
		return 1;
	handled = 0;
	raise(SIGUSR1); /* the tracer drops it */
	if (handled)
		return 2;
	raise(SIGUSR1); /* the tracer makes it SIGUSR2 */
	if (handled != SIGUSR2 || handled_code != SI_USER || handled_pid != getppid())
		return 3;
	signal(SIGUSR1, SIG_IGN);
	raise(SIGUSR1); /* seen, though ignored */
	raise(SIGURG);
	return 0;
}

static void tracer_decides_about_signals(void **state)
{
	pid_t pid = traced_child(raise_some);

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGUSR2);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT_FOR(pid, STOPPED(SIGURG));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int wait_for_usr1(void)
{
	handle(SIGUSR1);
	while (!handled)
		pause();
	return handled_code == 77 ? 0 : 1;
}

static void siginfo_can_be_changed(void **state)
{
	pid_t pid = traced_child(wait_for_usr1);
	siginfo_t info;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	sleeps_now(pid);
	kill(pid, SIGUSR1);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_pid, getpid());
	assert_int_equal(info.si_code, SI_USER);
	info.si_code = 77;
	TRACE_OK(PTRACE_SETSIGINFO, pid, 0, &info);
	TRACE_ERR(PTRACE_GETSIGINFO, pid, 0, 8, EFAULT);
	TRACE_OK(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT_FOR(pid, EXITED(0));
}

static int fatal_signals(void)
{
	raise(SIGTERM);
	raise(SIGTERM);
	return 1;
}

static void fatal_signals_ask_the_tracer_but_kill_does_not(void **state)
{
	pid_t pid = traced_child(fatal_signals);

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTERM));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTERM));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGTERM);
	WAIT_FOR(pid, SIGTERM);

	pid = traced_child(fatal_signals);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTERM));
	kill(pid, SIGKILL);
	WAIT_FOR(pid, SIGKILL);
	pid = traced_child(fatal_signals);
	TRACE_OK(PTRACE_KILL, pid, 0, 0);
	WAIT_FOR(pid, SIGKILL);
}

static int make_calls(void)
{
	if (syscall(SYS_getppid) != getppid()) /* entry and exit seen */
		return 1;
	if (syscall(SYS_getpgid, 0x1234) != 4321) /* skipped, with a result of the tracer */
		return 2;
	if (syscall(SYS_umask, 077) == -1 || syscall(SYS_umask, 022) != 051) /* the argument was changed */
		return 3;
	if (syscall(SYS_getegid) != getuid() || syscall(999) != -1 || errno != ENOSYS)
		return 4;
	return syscall(SYS_getsid, 0) == 99 ? 0 : 5;
}

static void next_call(pid_t pid, struct user_regs_struct *r, struct ptrace_syscall_info *info)
{
	TRACE_OK(PTRACE_SYSCALL, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP | 0x80));
	TRACE_OK(PTRACE_GETREGS, pid, 0, r);
	memset(info, 0xee, sizeof(*info));
	assert_true(TRACE_OK(PTRACE_GET_SYSCALL_INFO, pid, sizeof(*info), info) > 24);
	assert_int_equal(info->arch, 0xc000003e);
	assert_int_equal(info->instruction_pointer, r->rip);
	assert_int_equal(info->stack_pointer, r->rsp);
}

static void until_call(pid_t pid, long nr, struct user_regs_struct *r)
{
	struct ptrace_syscall_info info;

	do {
		next_call(pid, r, &info);
		assert_int_equal(info.op, PTRACE_SYSCALL_INFO_ENTRY);
		assert_int_equal((long)r->rax, -ENOSYS);
		assert_int_equal(info.entry.nr, r->orig_rax);
		if ((long)r->orig_rax == nr)
			return;
		next_call(pid, r, &info);
		assert_int_equal(info.op, PTRACE_SYSCALL_INFO_EXIT);
	} while (1);
}

static void calls_stop_twice_and_can_be_changed(void **state)
{
	pid_t pid = traced_child(make_calls);
	struct user_regs_struct r;
	struct ptrace_syscall_info info;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	until_call(pid, SYS_getppid, &r);
	next_call(pid, &r, &info);
	assert_int_equal(info.op, PTRACE_SYSCALL_INFO_EXIT);
	assert_int_equal(info.exit.rval, getpid());
	assert_int_equal(info.exit.is_error, 0);
	assert_int_equal(r.orig_rax, SYS_getppid);
	assert_int_equal(r.rax, getpid());

	until_call(pid, SYS_getpgid, &r);
	assert_int_equal(r.rdi, 0x1234);
	r.orig_rax = (unsigned long)-1;
	r.rax = 4321;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	next_call(pid, &r, &info);
	assert_int_equal(info.op, PTRACE_SYSCALL_INFO_EXIT);
	assert_int_equal(info.exit.rval, 4321);

	until_call(pid, SYS_umask, &r);
	r.rdi = 051;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	next_call(pid, &r, &info);

	until_call(pid, SYS_getegid, &r);
	r.orig_rax = SYS_getuid;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	next_call(pid, &r, &info);
	assert_int_equal(r.orig_rax, SYS_getuid);

	until_call(pid, 999, &r);
	next_call(pid, &r, &info);
	assert_int_equal(info.exit.is_error, 1);
	assert_int_equal(info.exit.rval, -ENOSYS);

	until_call(pid, SYS_getsid, &r);
	next_call(pid, &r, &info);
	r.rax = 99;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static void without_sysgood_a_call_looks_like_sigtrap(void **state)
{
	pid_t pid = traced_child(make_calls);
	siginfo_t info;
	struct ptrace_syscall_info call;

	TRACE_OK(PTRACE_SYSCALL, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_signo, SIGTRAP);
	assert_int_equal(info.si_code, SIGTRAP);
	assert_int_equal(TRACE_OK(PTRACE_GET_SYSCALL_INFO, pid, sizeof(call), &call), 24);
	assert_int_equal(call.op, PTRACE_SYSCALL_INFO_NONE);
	end_child(pid);
}

static int emulated_call(void)
{
	return syscall(SYS_gettid) == 1234 && getpid() != 1234 ? 0 : 1;
}

static void sysemu_leaves_the_call_to_the_tracer(void **state)
{
	pid_t pid = traced_child(emulated_call);
	struct user_regs_struct r;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	TRACE_OK(PTRACE_SYSEMU, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP | 0x80));
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	while (r.orig_rax != SYS_gettid) { /* what raise() still does */
		TRACE_OK(PTRACE_SYSCALL, pid, 0, 0);
		WAIT_FOR(pid, STOPPED(SIGTRAP | 0x80));
		TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
		if (r.orig_rax == SYS_gettid && (long)r.rax == -ENOSYS)
			break;
		TRACE_OK(PTRACE_SYSEMU, pid, 0, 0);
		WAIT_FOR(pid, STOPPED(SIGTRAP | 0x80));
		TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	}
	r.rax = 1234;
	r.orig_rax = (unsigned long)-1;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int stop_twice(void)
{
	raise(SIGSTOP);
	return 3;
}

static void a_stop_signal_stops_the_group(void **state)
{
	pid_t pid = traced_child(stop_twice);
	siginfo_t info;
	char word[16];

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP)); /* the signal */
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	TRACE_OK(PTRACE_CONT, pid, 0, SIGSTOP);
	WAIT_FOR(pid, STOPPED(SIGSTOP)); /* the group's stop */
	TRACE_ERR(PTRACE_GETSIGINFO, pid, 0, &info, EINVAL);
	proc_status(pid, "State", word, sizeof(word));
	assert_string_equal(word, "t");
	TRACE_OK(PTRACE_CONT, pid, 0, 0); /* it runs, though its group is stopped */
	WAIT_FOR(pid, EXITED(3));
}

static void waitid_tells_of_stops(void **state)
{
	pid_t pid = traced_child(fatal_signals);
	siginfo_t info;
	int status;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	alarm(60);
	memset(&info, 0, sizeof(info));
	ASSERT_OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT));
	assert_int_equal(info.si_signo, SIGCHLD);
	assert_int_equal(info.si_code, CLD_TRAPPED);
	assert_int_equal(info.si_status, SIGTERM);
	assert_int_equal(info.si_pid, pid);
	/* WEXITED is enough: a tracer sees stops whatever it asks for. */
	ASSERT_OK(waitid(P_ALL, 0, &info, WEXITED | __WALL | WNOWAIT));
	assert_int_equal(info.si_code, CLD_TRAPPED);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, STOPPED(SIGTERM));
	/* told once */
	assert_int_equal(waitpid(pid, &status, WNOHANG | WUNTRACED), 0);
	alarm(0);
	end_child(pid);
}

/* Who waits for stops alone is woken by the end. */
static void waitid_for_stops_ends_with_the_child(void **state)
{
	pid_t pid = traced_child(do_nothing);
	siginfo_t info;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	alarm(60);
	ASSERT_ERR(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), ECHILD);
	alarm(0);
	WAIT_FOR(pid, EXITED(7));
}

static void sigchld_comes_with_each_stop(void **state)
{
	struct timespec soon = { 10, 0 };
	sigset_t set;
	siginfo_t info;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid = traced_child(fatal_signals);
	assert_int_equal(sigtimedwait(&set, &info, &soon), SIGCHLD);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	assert_int_equal(sigtimedwait(&set, &info, &soon), SIGCHLD);
	assert_int_equal(info.si_code, CLD_TRAPPED);
	assert_int_equal(info.si_status, SIGTERM);
	assert_int_equal(info.si_pid, pid);
	end_child(pid);
	sigtimedwait(&set, &info, &soon);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int sleep_long(void)
{
	struct timespec ts = { 2, 0 };

	return nanosleep(&ts, NULL);
}

static void an_interrupted_call_shows_restart_and_goes_on(void **state)
{
	pid_t pid = traced_child(sleep_long);
	struct user_regs_struct r;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	sleeps_now(pid);
	kill(pid, SIGWINCH);
	WAIT_FOR(pid, STOPPED(SIGWINCH));
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	assert_int_equal((long)r.rax, -516); /* ERESTART_RESTARTBLOCK */
	assert_true(r.orig_rax == SYS_clock_nanosleep || r.orig_rax == SYS_nanosleep);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static void a_call_is_not_restarted_if_the_tracer_says_so(void **state)
{
	pid_t pid = traced_child(sleep_long);
	struct user_regs_struct r;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	sleeps_now(pid);
	kill(pid, SIGWINCH);
	WAIT_FOR(pid, STOPPED(SIGWINCH));
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	r.orig_rax = (unsigned long)-1;
	r.rax = 0;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int block_and_raise(void)
{
	sigset_t set;

	handle(SIGUSR1);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	raise(SIGUSR1);
	raise(SIGUSR2);
	sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = 5 });
	syscall(SYS_kill, getpid(), SIGHUP);
	syscall(SYS_getpid); /* where the tracer looks */
	return handled == SIGUSR1 ? 0 : 1;
}

static void masks_and_pending_signals_are_seen(void **state)
{
	pid_t pid = traced_child(block_and_raise);
	struct ptrace_peeksiginfo_args args = { .nr = 5 };
	struct user_regs_struct r;
	siginfo_t info[5];
	uint64_t mask;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
	until_call(pid, SYS_kill, &r); /* sigqueue() */
	TRACE_OK(PTRACE_SYSCALL, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP | 0x80));
	TRACE_OK(PTRACE_GETSIGMASK, pid, sizeof(mask), &mask);
	assert_true(mask & 1ull << (SIGUSR1 - 1));
	assert_false(mask & 1ull << (SIGKILL - 1));
	TRACE_ERR(PTRACE_GETSIGMASK, pid, 4, &mask, EINVAL);
	assert_int_equal(TRACE_OK(PTRACE_PEEKSIGINFO, pid, &args, info), 2);
	assert_int_equal(info[0].si_signo, SIGUSR1);
	assert_int_equal(info[1].si_signo, SIGUSR2);
	args.off = 1;
	assert_int_equal(TRACE_OK(PTRACE_PEEKSIGINFO, pid, &args, info), 1);
	assert_int_equal(info[0].si_signo, SIGUSR2);
	args = (struct ptrace_peeksiginfo_args){ .nr = 5, .flags = PTRACE_PEEKSIGINFO_SHARED };
	assert_int_equal(TRACE_OK(PTRACE_PEEKSIGINFO, pid, &args, info), 2);
	assert_int_equal(info[0].si_signo, SIGRTMIN);
	assert_int_equal(info[0].si_value.sival_int, 5);
	args.flags = 2;
	TRACE_ERR(PTRACE_PEEKSIGINFO, pid, &args, info, EINVAL);
	args = (struct ptrace_peeksiginfo_args){ .nr = -1 };
	TRACE_ERR(PTRACE_PEEKSIGINFO, pid, &args, info, EINVAL);
	mask &= ~(1ull << (SIGUSR1 - 1));
	TRACE_OK(PTRACE_SETSIGMASK, pid, sizeof(mask), &mask);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGUSR1));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGUSR1);
	WAIT_FOR(pid, EXITED(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traceme_may_be_said_once),
		cmocka_unit_test(requests_want_a_stopped_tracee),
		cmocka_unit_test(exec_without_options_is_sigtrap),
		cmocka_unit_test(tracer_decides_about_signals),
		cmocka_unit_test(siginfo_can_be_changed),
		cmocka_unit_test(fatal_signals_ask_the_tracer_but_kill_does_not),
		cmocka_unit_test(calls_stop_twice_and_can_be_changed),
		cmocka_unit_test(without_sysgood_a_call_looks_like_sigtrap),
		cmocka_unit_test(sysemu_leaves_the_call_to_the_tracer),
		cmocka_unit_test(a_stop_signal_stops_the_group),
		cmocka_unit_test(waitid_tells_of_stops),
		cmocka_unit_test(waitid_for_stops_ends_with_the_child),
		cmocka_unit_test(sigchld_comes_with_each_stop),
		cmocka_unit_test(an_interrupted_call_shows_restart_and_goes_on),
		cmocka_unit_test(a_call_is_not_restarted_if_the_tracer_says_so),
		cmocka_unit_test(masks_and_pending_signals_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
