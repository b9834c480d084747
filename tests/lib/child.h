/* SPDX-License-Identifier: MIT */
/*
 * Cases that need processes of their own. A child cannot use cmocka's checks (it would leave by longjmp into
 * code of the parent): it uses CHECK, which says on stderr what is wrong and makes the child's function return 1.
 */
#ifndef TESTS_LIB_CHILD_H
#define TESTS_LIB_CHILD_H

#include "tests/lib/cmocka_all.h"
#include "tests/lib/clock.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(cond)                                                                                        \
	do {                                                                                               \
		if (!(cond)) {                                                                             \
			dprintf(2, "%s:%d: in a child: %s (errno %s)\n", __FILE__, __LINE__, #cond,        \
				errno_name(errno));                                                        \
			return 1;                                                                          \
		}                                                                                          \
	} while (0)

/* The pid of a child that ends with what fn(arg) returns. */
static inline pid_t child_start(int (*fn)(void *arg), void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(arg));
	return (pid_t)ASSERT_OK(pid);
}

/* wait4()'s status of this child. */
static inline int child_status(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static inline void child_ok_at(pid_t pid, const char *file, int line)
{
	int status = child_status(pid);

	if (status != 0) {
		print_error("a child ended with status %#x\n", status);
		_fail(file, line);
	}
}

#define ASSERT_CHILD_OK(pid) child_ok_at(pid, __FILE__, __LINE__)
/* fn(arg), in a child: returns 0. */
#define IN_CHILD(fn, arg) child_ok_at(child_start(fn, arg), __FILE__, __LINE__)

/* clone(2) without a stack: the child goes on where the parent does, on its own copy of it. */
static inline pid_t raw_clone(uint64_t flags, int *parent_tid, int *child_tid, uint64_t tls)
{
	return (pid_t)syscall(SYS_clone, flags, NULL, parent_tid, child_tid, tls);
}

/* Until the process sleeps; gives up after some seconds, when what the caller checks next fails. */
static inline void wait_asleep(pid_t pid)
{
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 30000; i++) {
		FILE *f = fopen(path, "r");
		char *p = f ? fgets(line, sizeof(line), f) : NULL;

		if (f)
			fclose(f);
		p = p ? strrchr(line, ')') : NULL;
		if (p && p[2] == 'S')
			break;
		usleep(1000);
	}
	usleep(20000);
}

/* A pipe as a gate: children wait in gate_wait() until gate_open(). */
struct gate { int fd[2]; };

static inline void gate_make(struct gate *g)
{
	if (pipe2(g->fd, O_CLOEXEC) < 0)
		abort();
}

static inline void gate_wait(struct gate *g)
{
	char c;

	close(g->fd[1]);
	(void)!read(g->fd[0], &c, 1);
}

static inline void gate_open(struct gate *g)
{
	close(g->fd[0]);
	close(g->fd[1]);
}

/* No more privileges than anybody: for rules that root does not feel. */
static inline int become_nobody(void)
{
	if (getuid() == 0 && (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
		return -1;
	return 0;
}

#endif
