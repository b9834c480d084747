/* SPDX-License-Identifier: MIT */
/* ptrace(2): PTRACE_O_*: events of fork, vfork, clone, exec, exit; children that are traced from birth; threads; the tracer's end. */
#include "tests/lib/trace.h"

#include <linux/sched.h>
#include <pthread.h>
#include <sys/prctl.h>

static int fork_once(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(5);
	return waitpid(pid, &status, 0) == pid && status == EXITED(5) ? 0 : 1;
}

static pid_t message_of(pid_t pid)
{
	unsigned long msg = 0;

	TRACE_OK(PTRACE_GETEVENTMSG, pid, 0, &msg);
	return (pid_t)msg;
}

static void options_are_checked(void **state)
{
	pid_t pid = traced_child(fork_once);

	TRACE_ERR(PTRACE_SETOPTIONS, pid, 0, 1 << 19, EINVAL);
	TRACE_ERR(PTRACE_SETOPTIONS, pid, 0, 0x10000, EINVAL);
	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, 0xff | PTRACE_O_EXITKILL);
	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, 0);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	/* no options: the child of the child is not ours, SIGCHLD is */
	WAIT_FOR(pid, STOPPED(SIGCHLD));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static void a_forked_child_is_traced_from_birth(void **state)
{
	pid_t pid = traced_child(fork_once), child;
	siginfo_t info;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_FORK));
	child = message_of(pid);
	assert_true(child > 0 && child != pid);
	TRACE_OK(PTRACE_GETSIGINFO, pid, 0, &info);
	assert_int_equal(info.si_code, SIGTRAP | PTRACE_EVENT_FORK << 8);
	WAIT_FOR(child, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	TRACE_OK(PTRACE_CONT, child, 0, 0);
	/* we see its end first; its parent after that */
	WAIT_FOR(child, EXITED(5));
	WAIT_FOR(pid, STOPPED(SIGCHLD));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGCHLD);
	WAIT_FOR(pid, EXITED(0));
}

static int vfork_once(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(6);
	return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

static void vfork_has_two_events(void **state)
{
	pid_t pid = traced_child(vfork_once), child;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_VFORK));
	child = message_of(pid);
	WAIT_FOR(child, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	TRACE_OK(PTRACE_CONT, child, 0, 0);
	WAIT_FOR(child, EXITED(6));
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_VFORK_DONE));
	assert_int_equal(message_of(pid), child);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGCHLD));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int exec_true(void)
{
	execl("/bin/true", "true", NULL);
	return 9;
}

static void exec_and_exit_events(void **state)
{
	pid_t pid = traced_child(exec_true);

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_EXEC));
	assert_int_equal(message_of(pid), pid);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_EXIT));
	assert_int_equal(message_of(pid), EXITED(0));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

static int die(void)
{
	raise(SIGTERM);
	return 0;
}

static void the_exit_event_tells_of_a_fatal_signal(void **state)
{
	pid_t pid = traced_child(die);

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGTERM));
	TRACE_OK(PTRACE_CONT, pid, 0, SIGTERM);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_EXIT));
	assert_int_equal(message_of(pid), SIGTERM);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, SIGTERM);
}

/* --- threads --------------------------------------------------------------------------------------------- */

static void *thread_ends(void *arg)
{
	return NULL;
}

static int make_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, thread_ends, NULL);
	pthread_join(t, NULL);
	sleep_ms(50); /* or the end of the process would overtake the thread's */
	return 4;
}

static void threads_are_tracees_of_their_own(void **state)
{
	pid_t pid = traced_child(make_thread), tid;
	siginfo_t info;
	int status;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_CLONE));
	tid = message_of(pid);
	WAIT_FOR(tid, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	sleep_ms(20);
	alarm(60);
	assert_int_equal(waitpid(pid, &status, __WALL | WNOHANG), 0); /* it waits for the thread, which is stopped */
	TRACE_OK(PTRACE_CONT, tid, 0, 0);
	/* a traced thread's end is waited for */
	ASSERT_OK(waitid(P_PID, (id_t)tid, &info, WEXITED | WNOWAIT | __WALL));
	assert_int_equal(info.si_pid, tid);
	assert_int_equal(info.si_code, CLD_EXITED);
	assert_int_equal(info.si_status, 0);
	WAIT_FOR(tid, EXITED(0));
	ASSERT_ERR(waitpid(tid, &status, __WALL), ECHILD);
	alarm(0);
	WAIT_FOR(pid, EXITED(4));
}

static void *sleep_in_thread(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

static void *leave_group(void *arg)
{
	_exit(8);
	return NULL;
}

static int leader_first(void)
{
	pthread_t t;

	pthread_create(&t, NULL, sleep_in_thread, NULL);
	pthread_create(&t, NULL, leave_group, NULL);
	syscall(SYS_exit, 3);
	return 1;
}

static void the_leader_is_reported_last(void **state)
{
	pid_t pid = traced_child(leader_first), tid[2];
	int status, seen = 0;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE);
	for (int i = 0; i < 2; i++) {
		TRACE_OK(PTRACE_CONT, pid, 0, 0);
		WAIT_FOR(pid, EVENT(PTRACE_EVENT_CLONE));
		tid[i] = message_of(pid);
		WAIT_FOR(tid[i], STOPPED(SIGSTOP));
	}
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	sleep_ms(50);
	alarm(60);
	assert_int_equal(waitpid(pid, &status, __WALL | WNOHANG), 0); /* ended, but not its threads */
	TRACE_OK(PTRACE_CONT, tid[0], 0, 0);
	TRACE_OK(PTRACE_CONT, tid[1], 0, 0);
	for (int i = 0; i < 2; i++) {
		pid_t got = (pid_t)ASSERT_OK(waitpid(-1, &status, __WALL));

		assert_true(got == tid[0] || got == tid[1]);
		assert_int_equal(status, EXITED(8));
		seen |= got == tid[0] ? 1 : 2;
	}
	assert_int_equal(seen, 3);
	WAIT_FOR(pid, EXITED(8));
	alarm(0);
}

static void *exec_in_thread(void *arg)
{
	execl("/bin/true", "true", NULL);
	return NULL;
}

static int exec_from_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, exec_in_thread, NULL);
	pthread_join(t, NULL);
	return 1;
}

static void exec_by_a_thread_keeps_the_leaders_number(void **state)
{
	pid_t pid = traced_child(exec_from_thread), tid;

	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_CLONE));
	tid = message_of(pid);
	WAIT_FOR(tid, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	TRACE_OK(PTRACE_CONT, tid, 0, 0);
	WAIT_FOR(pid, EVENT(PTRACE_EVENT_EXEC));
	assert_int_equal(message_of(pid), tid);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

/* --- the tracer's end ------------------------------------------------------------------------------------------ */

/* A tracer of `target` that attaches and ends. */
static void attach_and_end(pid_t target, long options, bool stopped)
{
	pid_t tracer = fork();

	if (tracer == 0) {
		alarm(60);
		if (trace(PTRACE_SEIZE, target, 0, (unsigned long)options) < 0)
			_exit(1);
		if (stopped && (trace(PTRACE_INTERRUPT, target, 0, 0) < 0 || waitpid(target, NULL, __WALL) != target))
			_exit(2);
		_exit(0);
	}
	WAIT_FOR(tracer, EXITED(0));
}

static void a_tracee_survives_its_tracer(void **state)
{
	pid_t pid = free_child(loop);
	char word[16];

	attach_and_end(pid, 0, false);
	attach_and_end(pid, 0, true);
	assert_true(comes_to(pid, "S"));
	proc_status(pid, "TracerPid", word, sizeof(word));
	assert_string_equal(word, "0");
	kill(pid, SIGTERM);
	WAIT_FOR(pid, SIGTERM);
}

static void but_not_with_exitkill(void **state)
{
	pid_t pid = free_child(loop);

	attach_and_end(pid, PTRACE_O_EXITKILL, false);
	WAIT_FOR(pid, SIGKILL);
	pid = free_child(loop);
	attach_and_end(pid, PTRACE_O_EXITKILL, true);
	WAIT_FOR(pid, SIGKILL);
}

static int clone_flags_child(unsigned long flags)
{
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(2);
	waitpid(pid, NULL, 0);
	return 0;
}

static int clone_ptrace(void)
{
	return clone_flags_child(CLONE_PTRACE);
}

static int clone_untraced(void)
{
	return clone_flags_child(CLONE_UNTRACED);
}

static void clone_has_a_word_in_it(void **state)
{
	pid_t pid = traced_child(clone_ptrace), child;
	int status;

	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	alarm(60);
	child = (pid_t)ASSERT_OK(waitpid(-1, &status, __WALL));
	assert_true(child != pid);
	assert_int_equal(status, STOPPED(SIGSTOP));
	TRACE_OK(PTRACE_CONT, child, 0, 0);
	WAIT_FOR(child, EXITED(2));
	WAIT_FOR(pid, STOPPED(SIGCHLD));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));

	pid = traced_child(clone_untraced);
	TRACE_OK(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE);
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, STOPPED(SIGCHLD));
	TRACE_OK(PTRACE_CONT, pid, 0, 0);
	WAIT_FOR(pid, EXITED(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(a_forked_child_is_traced_from_birth),
		cmocka_unit_test(vfork_has_two_events),
		cmocka_unit_test(exec_and_exit_events),
		cmocka_unit_test(the_exit_event_tells_of_a_fatal_signal),
		cmocka_unit_test(threads_are_tracees_of_their_own),
		cmocka_unit_test(the_leader_is_reported_last),
		cmocka_unit_test(exec_by_a_thread_keeps_the_leaders_number),
		cmocka_unit_test(a_tracee_survives_its_tracer),
		cmocka_unit_test(but_not_with_exitkill),
		cmocka_unit_test(clone_has_a_word_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
