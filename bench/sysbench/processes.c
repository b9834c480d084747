/* SPDX-License-Identifier: MIT */
/* Threads and processes: made, waited for, woken. */
#include "sysbench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int word[2]; /* ping and pong: 1 is "your turn" */
static int stop;

static void wait_for_turn(int *w)
{
	while (__atomic_load_n(w, __ATOMIC_SEQ_CST) != 1)
		syscall(SYS_futex, w, FUTEX_WAIT_PRIVATE, 0, NULL);
	__atomic_store_n(w, 0, __ATOMIC_SEQ_CST);
}

static void give_turn(int *w)
{
	__atomic_store_n(w, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, w, FUTEX_WAKE_PRIVATE, 1);
}

static void *futex_peer(void *u)
{
	do {
		wait_for_turn(&word[0]);
		give_turn(&word[1]);
	} while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST));
	return u;
}

static void futex_turn(void *u)
{
	(void)u;
	give_turn(&word[0]);
	wait_for_turn(&word[1]);
}

static void t_futex(void)
{
	pthread_t t;

	MUST(pthread_create(&t, NULL, futex_peer, NULL) ? -1 : 0);
	say("futex_pingpong", per_turn(futex_turn, NULL), "us");
	__atomic_store_n(&stop, 1, __ATOMIC_SEQ_CST);
	give_turn(&word[0]);
	pthread_join(t, NULL);
}

static void *nothing(void *u)
{
	return u;
}

static void thread_turn(void *u)
{
	pthread_t t;

	MUST(pthread_create(&t, NULL, nothing, u) ? -1 : 0);
	pthread_join(t, NULL);
}

static void t_thread(void)
{
	say("thread_create_join", per_turn(thread_turn, NULL), "us");
}

static void wait_for_child(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0));
	MUST(status ? -1 : 0);
}

static void fork_turn(void *u)
{
	pid_t pid = (pid_t)MUST(fork());

	(void)u;
	if (!pid)
		_exit(0);
	wait_for_child(pid);
}

static void t_fork(void)
{
	size_t len = (size_t)64 << 20;
	char *m;

	say("fork_exit_wait", per_turn(fork_turn, NULL), "us");
	m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(m == MAP_FAILED ? -1 : 0);
	memset(m, 1, len);
	say("fork_64M", per_turn(fork_turn, NULL), "us");
	munmap(m, len);
}

static char *const no_env[] = { NULL };

static void exec_turn(void *av)
{
	pid_t pid = (pid_t)MUST(fork());

	if (!pid) {
		execve(self, av, no_env);
		_exit(127);
	}
	wait_for_child(pid);
}

static void spawn_turn(void *av)
{
	pid_t pid;

	MUST(posix_spawn(&pid, self, NULL, NULL, av, no_env) ? -1 : 0);
	wait_for_child(pid);
}

static void t_exec(void)
{
	char *av[] = { (char *)self, "nop", NULL };

	say("fork_exec_wait", per_turn(exec_turn, av), "us");
	say("spawn_wait", per_turn(spawn_turn, av), "us");
}

const struct test process_tests[] = {
	{ "futex", t_futex }, { "thread", t_thread }, { "fork", t_fork }, { "exec", t_exec }, { NULL, NULL },
};
