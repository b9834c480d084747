/* SPDX-License-Identifier: MIT */
/* ptrace(2): ATTACH, SEIZE, INTERRUPT, LISTEN, DETACH; who may; who waits for what; what /proc says of a tracee. */
#include "tests/lib/trace.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/user.h>

static int spin(void)
{
	volatile unsigned long n = 0;

	for (;;)
		n++;
	return 0;
}

static int reads(void)
{
	int p[2];
	char c;

	if (pipe(p) < 0)
		return 1;
	return (int)read(p[0], &c, 1);
}

static void attach_and_detach(void **state)
{
	int (*const fn[])(void) = { loop, spin, reads };
	siginfo_t info;
	char word[16];

	for (size_t i = 0; i < ARRAY_SIZE(fn); i++) {
		pid_t pid = free_child(fn[i]);

		if (fn[i] != spin)
			sleeps_now(pid);
		TRACE_OK(PTRACE_ATTACH, pid, 0, 0);
		TRACE_ERR(PTRACE_ATTACH, pid, 0, 0, EPERM);
		TRACE_ERR(PTRACE_SEIZE, pid, 0, 0, EPERM);
		WAIT_FOR(pid, STOPPED(SIGSTOP));
		TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
		assert_int_equal(info.si_signo, SIGSTOP);
		assert_int_equal(info.si_code, SI_KERNEL);
		proc_status(pid, "TracerPid", word, sizeof(word));
		assert_int_equal(atoi(word), getpid());
		proc_status(pid, "State", word, sizeof(word));
		assert_string_equal(word, "t");
		TRACE_OK(PTRACE_DETACH, pid, 0, 0);
		TRACE_ERR(PTRACE_CONT, pid, 0, 0, ESRCH);
		assert_true(comes_to(pid, fn[i] == spin ? "R" : "S"));
		TRACE_OK(PTRACE_ATTACH, pid, 0, 0);
		WAIT_FOR(pid, STOPPED(SIGSTOP));
		TRACE_OK(PTRACE_DETACH, pid, 0, SIGTERM);
		WAIT_FOR(pid, SIGTERM);
	}
}

static void detach_into_a_stop(void **state)
{
	pid_t pid = free_child(loop);
	int status;

	TRACE_OK(PTRACE_ATTACH, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_DETACH, pid, 0, SIGSTOP);
	alarm(60);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(status, STOPPED(SIGSTOP));
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, WCONTINUED), pid);
	alarm(0);
	assert_int_equal(status, 0xffff);
	end_child(pid);
}

static void attach_to_a_stopped_one(void **state)
{
	pid_t pid = free_child(loop);
	int status;

	kill(pid, SIGSTOP);
	alarm(60);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	TRACE_OK(PTRACE_ATTACH, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP)); /* the group's stop */
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP)); /* attach's signal */
	TRACE_OK(PTRACE_DETACH, pid, 0, 0);
	end_child(pid);

	pid = free_child(loop);
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	TRACE_OK(PTRACE_SEIZE, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP | PTRACE_EVENT_STOP << 8));
	TRACE_OK(PTRACE_DETACH, pid, 0, 0); /* and stays stopped */
	sleep_ms(20);
	assert_true(comes_to(pid, "T"));
	alarm(0);
	end_child(pid);
}

static void seize_and_interrupt(void **state)
{
	int (*const fn[])(void) = { loop, spin, reads };
	struct user_regs_struct r;
	siginfo_t info;
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(fn); i++) {
		pid_t pid = free_child(fn[i]);

		if (fn[i] != spin)
			sleeps_now(pid);
		TRACE_ERR(PTRACE_SEIZE, pid, 1, 0, EIO);
		TRACE_ERR(PTRACE_SEIZE, pid, 0, 1 << 19, EIO);
		TRACE_OK(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD);
		sleep_ms(10);
		assert_int_equal(waitpid(pid, &status, WNOHANG | __WALL), 0); /* it runs on */
		TRACE_ERR(PTRACE_GETREGS, pid, 0, &r, ESRCH);
		TRACE_OK(PTRACE_INTERRUPT, pid, 0, 0);
		WAIT_FOR(pid, STOPPED(SIGTRAP | PTRACE_EVENT_STOP << 8));
		TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
		assert_int_equal(info.si_signo, SIGTRAP);
		assert_int_equal(info.si_code, SIGTRAP | PTRACE_EVENT_STOP << 8);
		TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
		if (fn[i] == reads) {
			assert_int_equal(r.orig_rax, SYS_read);
			assert_int_equal((long)r.rax, -512);
		}
		TRACE_OK(PTRACE_CONT, pid, 0, 0);
		if (fn[i] != spin)
			sleeps_now(pid);
		assert_int_equal(waitpid(pid, &status, WNOHANG | __WALL), 0);
		TRACE_OK(PTRACE_INTERRUPT, pid, 0, 0);
		WAIT_FOR(pid, STOPPED(SIGTRAP | PTRACE_EVENT_STOP << 8));
		TRACE_OK(PTRACE_SYSCALL, pid, 0, 0);
		if (fn[i] == reads) { /* begun again: seen once more */
			WAIT_FOR(pid, STOPPED(SIGTRAP | 0x80));
		}
		end_child(pid);
	}
}

static void listen_waits_for_sigcont(void **state)
{
	pid_t pid = free_child(loop);
	siginfo_t info;
	int status;

	TRACE_OK(PTRACE_SEIZE, pid, 0, 0);
	kill(pid, SIGSTOP);
	WAIT_FOR(pid, STOPPED(SIGSTOP)); /* the signal */
	TRACE_ERR(PTRACE_LISTEN, pid, 0, 0, EIO);
	TRACE_OK(PTRACE_CONT, pid, 0, SIGSTOP);
	WAIT_FOR(pid, STOPPED(SIGSTOP | PTRACE_EVENT_STOP << 8));
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_code, SIGSTOP | PTRACE_EVENT_STOP << 8);
	TRACE_OK(PTRACE_LISTEN, pid, 0, 0);
	TRACE_ERR(PTRACE_GETSIGINFO, pid, 0, &info, ESRCH);
	sleep_ms(20);
	assert_int_equal(waitpid(pid, &status, WNOHANG | __WALL), 0);
	kill(pid, SIGCONT);
	WAIT_FOR(pid, STOPPED(SIGTRAP | PTRACE_EVENT_STOP << 8));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGCONT));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);

	kill(pid, SIGSTOP);
	WAIT_FOR(pid, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGSTOP);
	WAIT_FOR(pid, STOPPED(SIGSTOP | PTRACE_EVENT_STOP << 8));
	TRACE_OK(PTRACE_LISTEN, pid, 0, 0);
	TRACE_OK(PTRACE_INTERRUPT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP | PTRACE_EVENT_STOP << 8));
	end_child(pid);
}

static int fork_and_wait(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(3);
	return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

static void a_seized_ones_child_is_born_in_a_stop(void **state)
{
	pid_t pid = free_child(loop), child;
	unsigned long msg;

	end_child(pid);
	pid = traced_child(fork_and_wait);
	TRACE_OK(PTRACE_DETACH, pid, 0, SIGSTOP);
	alarm(60);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	alarm(0);
	TRACE_OK(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEFORK);
	WAIT_FOR(pid, STOPPED(SIGSTOP | PTRACE_EVENT_STOP << 8));
	kill(pid, SIGCONT);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP | PTRACE_EVENT_STOP << 8));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGCONT));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_FORK));
	TRACE_OK(PTRACE_GETEVENTMSG, pid, 0, &msg);
	child = (pid_t)msg;
	WAIT_FOR(child, STOPPED(SIGTRAP | PTRACE_EVENT_STOP << 8));
	TRACE_OK(PTRACE_CONT, child, 0, 0);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(child, EXITED(3));
	WAIT_FOR(pid, STOPPED(SIGCHLD));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

extern const char hot_call[];

/* One place that calls again and again, in a form that invites to make something faster of it. */
static int call_often(void)
{
	for (;;)
		__asm__ volatile("hot_call: mov $110, %%eax\n\tsyscall" : : : "rax", "rcx", "r11", "memory");
	return 0;
}

static void hot_text_is_shown_as_it_was_written(void **state)
{
	static const unsigned char want[8] = { 0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0 };
	pid_t pid = free_child(call_often);
	struct user_regs_struct r;
	unsigned long text;

	sleep_ms(300);
	TRACE_OK(PTRACE_ATTACH, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_PEEKTEXT, pid, hot_call, &text);
	assert_memory_equal(&text, want, 7);
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	assert_in_range(r.rip, (unsigned long)hot_call, (unsigned long)hot_call + 16);
	TRACE_OK(PTRACE_POKETEXT, pid, hot_call, (text & ~0xfful) | 0xcc);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTRAP));
	TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
	assert_int_equal(r.rip, (unsigned long)hot_call + 1);
	TRACE_OK(PTRACE_POKETEXT, pid, hot_call, text);
	r.rip--;
	TRACE_OK(PTRACE_SETREGS, pid, 0, &r);
	for (int i = 0; i < 4; i++) {
		TRACE_OK(PTRACE_SINGLESTEP, pid, 0, 0);
		WAIT_FOR(pid, STOPPED(SIGTRAP));
		TRACE_OK(PTRACE_GETREGS, pid, 0, &r);
		assert_in_range(r.rip, (unsigned long)hot_call, (unsigned long)hot_call + 16);
	}
	end_child(pid);
}

/* --- whose tracee, whose child ------------------------------------------------------------------------------ */

static void the_parent_waits_after_the_tracer(void **state)
{
	pid_t pid = free_child(loop), tracer;
	int p[2], q[2], status;
	char c;

	ASSERT_OK(pipe(p));
	ASSERT_OK(pipe(q));
	tracer = fork();
	if (tracer == 0) {
		alarm(60);
		close(q[1]);
		if (trace(PTRACE_SEIZE, pid, 0, 0) < 0 || write(p[1], "x", 1) != 1)
			_exit(1);
		if (read(q[0], &c, 1) != 0) /* until the parent has looked */
			_exit(2);
		_exit(waitpid(pid, &status, __WALL) == pid && status == SIGKILL ? 0 : 3);
	}
	close(q[0]);
	alarm(60);
	assert_int_equal(read(p[0], &c, 1), 1);
	kill(pid, SIGKILL);
	sleep_ms(50);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* dead, but its tracer does not know */
	close(q[1]);
	WAIT_FOR(tracer, EXITED(0));
	WAIT_FOR(pid, SIGKILL);
	close(p[0]);
	close(p[1]);
}

static void the_parent_sees_group_stops_all_the_same(void **state)
{
	pid_t pid = free_child(loop), tracer;
	int p[2], status;
	char c;

	ASSERT_OK(pipe(p));
	tracer = fork();
	if (tracer == 0) {
		alarm(60);
		if (trace(PTRACE_SEIZE, pid, 0, 0) < 0)
			_exit(1);
		kill(pid, SIGSTOP);
		if (waitpid(pid, &status, __WALL) != pid || status != STOPPED(SIGSTOP))
			_exit(2);
		trace(PTRACE_CONT, pid, 0, SIGSTOP);
		if (waitpid(pid, &status, __WALL) != pid || status >> 16 != PTRACE_EVENT_STOP || write(p[1], "x", 1) != 1)
			_exit(3);
		pause();
		_exit(4);
	}
	alarm(60);
	assert_int_equal(read(p[0], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(status, STOPPED(SIGSTOP));
	alarm(0);
	end_child(tracer);
	end_child(pid);
	close(p[0]);
	close(p[1]);
}

static volatile pid_t tracee;
static volatile long thread_result;

static void *try_as_another_thread(void *arg)
{
	int status;

	thread_result = trace(PTRACE_CONT, tracee, 0, 0) == -1 && errno == ESRCH; /* a thread traces, not a process */
	thread_result += waitpid(tracee, &status, __WALL | WNOHANG | __WNOTHREAD) == -1 && errno == ECHILD;
	return NULL;
}

static void *attach_and_leave(void *arg)
{
	int status;

	thread_result = trace(PTRACE_ATTACH, tracee, 0, 0) == 0;
	/* not __WNOTHREAD: any thread's tracee */
	thread_result += waitpid(tracee, &status, __WALL) == tracee;
	return NULL;
}

static void a_tracer_is_a_thread(void **state)
{
	pthread_t t;
	pid_t outer = free_child(loop);
	int status;
	char word[16];

	/* not our child: so that only tracing lets us wait for it */
	tracee = outer;
	TRACE_OK(PTRACE_ATTACH, outer, 0, 0);
	WAIT_FOR(outer, STOPPED(SIGSTOP));
	pthread_create(&t, NULL, try_as_another_thread, NULL);
	pthread_join(t, NULL);
	assert_int_equal(thread_result, 2);
	TRACE_OK(PTRACE_DETACH, outer, 0, 0);
	pthread_create(&t, NULL, attach_and_leave, NULL);
	pthread_join(t, NULL);
	assert_int_equal(thread_result, 2);
	sleep_ms(30);
	proc_status(outer, "TracerPid", word, sizeof(word)); /* it let go at its end */
	assert_string_equal(word, "0");
	assert_int_equal(waitpid(outer, &status, WNOHANG), 0);
	end_child(outer);
}

static void not_oneself_and_not_ones_threads(void **state)
{
	TRACE_ERR(PTRACE_ATTACH, getpid(), 0, 0, EPERM);
	TRACE_ERR(PTRACE_SEIZE, getpid(), 0, 0, EPERM);
	TRACE_ERR(PTRACE_ATTACH, 0x3ffffff, 0, 0, ESRCH);
	TRACE_ERR(PTRACE_ATTACH, 0, 0, 0, ESRCH);
	TRACE_ERR(PTRACE_ATTACH, -5, 0, 0, ESRCH);
}

/* --- who may ------------------------------------------------------------------------------------------------------- */

/* What a user with this id gets from attaching to pid: 0 or the errno. */
static int attach_as(uid_t uid, pid_t pid)
{
	pid_t other = fork();
	int status;

	if (other == 0) {
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(99);
		_exit(trace(PTRACE_SEIZE, pid, 0, 0) < 0 ? errno : 0);
	}
	waitpid(other, &status, 0);
	return WEXITSTATUS(status);
}

static void others_may_not(void **state)
{
	pid_t mine, his, hidden;

	if (getuid() != 0)
		skip();
	mine = free_child(loop);
	his = free_child(loop_as_1234);
	hidden = free_child(loop_undumpable);
	sleeps_now(his);
	sleeps_now(hidden);
	assert_int_equal(attach_as(1234, mine), EPERM);
	assert_int_equal(attach_as(1235, his), EPERM);
	assert_int_equal(attach_as(1234, his), 0);
	assert_int_equal(attach_as(1234, hidden), EPERM);
	assert_int_equal(attach_as(0, his), 0);
	assert_int_equal(attach_as(0, hidden), 0);
	end_child(mine);
	end_child(his);
	end_child(hidden);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_and_detach),
		cmocka_unit_test(detach_into_a_stop),
		cmocka_unit_test(attach_to_a_stopped_one),
		cmocka_unit_test(seize_and_interrupt),
		cmocka_unit_test(listen_waits_for_sigcont),
		cmocka_unit_test(a_seized_ones_child_is_born_in_a_stop),
		cmocka_unit_test(hot_text_is_shown_as_it_was_written),
		cmocka_unit_test(the_parent_waits_after_the_tracer),
		cmocka_unit_test(the_parent_sees_group_stops_all_the_same),
		cmocka_unit_test(a_tracer_is_a_thread),
		cmocka_unit_test(not_oneself_and_not_ones_threads),
		cmocka_unit_test(others_may_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
