/* SPDX-License-Identifier: MIT */
/* A child to be traced, and short forms of what a tracer does with it: every wait is for this child, and bounded by alarm(). */
#ifndef TESTS_LIB_TRACE_H
#define TESTS_LIB_TRACE_H

#include "tests/lib/clock.h"
#include "tests/lib/cmocka_all.h"

#include <elf.h>
#include <linux/ptrace.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* The call itself: libc's ptrace() changes the meaning of PEEK. */
static inline long trace(long op, pid_t pid, unsigned long addr, unsigned long data)
{
	return syscall(SYS_ptrace, op, pid, addr, data);
}

#define TRACE_OK(op, pid, addr, data) ASSERT_OK(trace(op, pid, (unsigned long)(addr), (unsigned long)(data)))
#define TRACE_ERR(op, pid, addr, data, err) ASSERT_ERR(trace(op, pid, (unsigned long)(addr), (unsigned long)(data)), err)

/* wait4(__WALL) for pid: its status. */
static inline int wait_status_at(pid_t pid, const char *file, int line)
{
	int status = -1;

	alarm(60);
	assert_ok_at(waitpid(pid, &status, __WALL), "waitpid", file, line);
	alarm(0);
	return status;
}
#define WAIT(pid) wait_status_at(pid, __FILE__, __LINE__)

static inline void assert_status_at(int got, int want, const char *file, int line)
{
	if (got != want) {
		print_error("status %#x, want %#x\n", got, want);
		_fail(file, line);
	}
}
#define STOPPED(sig) ((sig) << 8 | 0x7f)
#define EVENT(event) STOPPED(SIGTRAP | (event) << 8)
#define EXITED(code) ((code) << 8)
#define WAIT_FOR(pid, want) assert_status_at(wait_status_at(pid, __FILE__, __LINE__), want, __FILE__, __LINE__)

/* A child that is traced by us, stopped by its own SIGSTOP, and then runs fn and exits with its result. */
static inline pid_t traced_child(int (*fn)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		alarm(120);
		trace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(fn());
	}
	assert_true(pid > 0);
	WAIT_FOR(pid, STOPPED(SIGSTOP));
	return pid;
}

/* A child that nobody traces and that has begun to run fn. */
static inline pid_t free_child(int (*fn)(void))
{
	int p[2];
	char c;
	pid_t pid;

	ASSERT_OK(pipe(p));
	pid = fork();
	if (pid == 0) {
		alarm(120);
		close(p[0]);
		if (write(p[1], "x", 1) != 1)
			_exit(99);
		close(p[1]);
		_exit(fn());
	}
	assert_true(pid > 0);
	close(p[1]);
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	return pid;
}

static inline void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) > 0) {
	}
}

/* The word after "Name:" in /proc/PID/status. */
static inline void proc_status(pid_t pid, const char *name, char *out, size_t size)
{
	char path[64], line[256];
	size_t len = strlen(name);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	*out = '\0';
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ':') {
			line[strcspn(line, " \n")] = '\0';
			assert_true(strlen(line + len + 2) < size);
			strcpy(out, line + len + 2);
		}
	fclose(f);
}

/* Until State in its /proc/PID/status is this letter; false if it never is. */
static inline bool comes_to(pid_t pid, const char *letter)
{
	char word[16];

	return EVENTUALLY((proc_status(pid, "State", word, sizeof(word)), !strcmp(word, letter)));
}

/* It sleeps, and by all appearances in the call it is to sleep in. */
static inline void sleeps_now(pid_t pid)
{
	assert_true(comes_to(pid, "S"));
	sleep_ms(20);
	assert_true(comes_to(pid, "S"));
}

/* What a child of free_child() or traced_child() may do: sleep, as us or as another user, with /proc files that are its own or root's. */
static inline int loop(void)
{
	while (pause() == -1 && errno == EINTR) {
	}
	return 1;
}

static inline int loop_as_1234(void)
{
	if (setresgid(1234, 1234, 1234) < 0 || setresuid(1234, 1234, 1234) < 0)
		return 99;
	prctl(PR_SET_DUMPABLE, 1);
	return loop();
}

static inline int loop_undumpable(void)
{
	if (setresgid(1234, 1234, 1234) < 0 || setresuid(1234, 1234, 1234) < 0)
		return 99;
	prctl(PR_SET_DUMPABLE, 0);
	return loop();
}

#endif
