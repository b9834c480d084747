/* SPDX-License-Identifier: MIT */
/*
 * Processes and threads that trace each other at random, with wild arguments, kill each other, exec and end meanwhile
 * (argv[1]: seed, argv[2]: milliseconds). Only for vmrun. Ends with status 0; what is judged is that the VMM lives and ends.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROCS 6
#define SLOTS 64

static struct { volatile int tid[SLOTS]; volatile int stop; } *shared;
static uint64_t seed = 1;
static const char *me;

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static uint64_t wild(uint64_t *s, void *buf)
{
	switch (rnd(s) % 8) {
	case 0: return 0;
	case 1: return rnd(s);
	case 2: return rnd(s) % 1024;
	case 3: return (uint64_t)1 << rnd(s) % 64;
	case 4: return rnd(s) % 0x1ff;
	case 5: return offsetof(struct user, u_debugreg) + rnd(s) % 8 * 8;
	default: return (uint64_t)buf;
	}
}

static void enter(void)
{
	shared->tid[(unsigned)syscall(SYS_gettid) % SLOTS] = (int)syscall(SYS_gettid);
}

static int any(uint64_t *s)
{
	int tid = 0;

	for (int i = 0; i < 16 && tid <= 0; i++)
		tid = shared->tid[rnd(s) % SLOTS];
	return tid;
}

static void *thread(void *arg);

static void birth(uint64_t *s)
{
	pthread_t t;
	pid_t pid;

	switch (rnd(s) % 6) {
	case 0:
		if (pthread_create(&t, NULL, thread, (void *)(uintptr_t)rnd(s)) == 0)
			pthread_detach(t);
		break;
	case 1:
		pid = vfork();
		if (pid == 0)
			_exit((int)(rnd(s) % 5));
		break;
	case 2:
		pid = fork();
		if (pid == 0) {
			enter();
			for (int i = 0; i < 100 && !shared->stop; i++)
				usleep(100);
			_exit((int)(rnd(s) % 5));
		}
		break;
	case 3:
		pid = vfork();
		if (pid == 0) {
			execl(me, me, "leaf", NULL);
			_exit(9);
		}
		break;
	case 4:
		pid = fork();
		if (pid == 0) {
			ptrace(PTRACE_TRACEME, 0, 0, 0);
			raise(SIGSTOP);
			execl(me, me, "leaf", NULL);
			_exit(9);
		}
		break;
	default:
		if (rnd(s) % 8 == 0)
			syscall(SYS_exit, 1);
		break;
	}
}

static void act(uint64_t *s, void *buf)
{
	static const short ops[] = { PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP, PTRACE_SYSEMU, PTRACE_DETACH, PTRACE_INTERRUPT,
				     PTRACE_LISTEN, PTRACE_KILL };
	static const int sigs[] = { SIGSTOP, SIGCONT, SIGTRAP, SIGUSR1, SIGCHLD, SIGWINCH, SIGKILL };
	int status, tid = any(s);
	pid_t got;

	switch (rnd(s) % 10) {
	case 0: syscall(SYS_ptrace, PTRACE_ATTACH, tid, 0, 0); break;
	case 1: syscall(SYS_ptrace, PTRACE_SEIZE, tid, 0, rnd(s) & 0x1000ff); break;
	case 2:
	case 3:
	case 4:
		got = waitpid(-1, &status, __WALL | WNOHANG | (rnd(s) % 2 ? WUNTRACED : 0));
		if (got <= 0)
			break;
		for (int i = 0; i < 4; i++)
			syscall(SYS_ptrace, rnd(s) % 8 ? (long)(rnd(s) % 34) : 0x4200 + (long)(rnd(s) % 20), got, wild(s, buf), wild(s, buf));
		syscall(SYS_ptrace, ops[rnd(s) % 6], got, 0, rnd(s) % 4 ? 0 : (long)(rnd(s) % 70));
		break;
	case 5: syscall(SYS_ptrace, ops[rnd(s) % (sizeof(ops) / sizeof(*ops))], tid, 0, 0); break;
	case 6: syscall(SYS_ptrace, rnd(s) % 34, tid, wild(s, buf), wild(s, buf)); break;
	case 7:
		if (tid != getpid() && tid > 0)
			syscall(SYS_tkill, tid, sigs[rnd(s) % (rnd(s) % 20 ? 6 : 7)]);
		break;
	case 8: birth(s); break;
	default: sched_yield(); break;
	}
}

static void *thread(void *arg)
{
	uint64_t s = seed * 7919 + (uintptr_t)arg + (uint64_t)syscall(SYS_gettid);
	char buf[4096];

	memset(buf, 0x5a, sizeof(buf));
	enter();
	for (int i = 0; i < 4000 && !shared->stop; i++)
		act(&s, buf);
	return NULL;
}

static int is_child(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG | __WALL) == 0;
}

int main(int argc, char **argv)
{
	struct timespec now, end;
	uint64_t s;

	if (argc == 2) { /* what was executed */
		usleep(500);
		return 0;
	}
	me = argv[0];
	seed = argc > 1 ? strtoull(argv[1], NULL, 10) + 1 : 1;
	s = seed;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	signal(SIGUSR1, SIG_IGN);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += strtol(argc > 2 ? argv[2] : "500", NULL, 10) % 1000 * 1000000;
	end.tv_sec += strtol(argc > 2 ? argv[2] : "500", NULL, 10) / 1000 + end.tv_nsec / 1000000000;
	end.tv_nsec %= 1000000000;
	pid_t kids[PROCS] = { 0 };
	do {
		for (int i = 0; i < PROCS; i++) {
			if (kids[i] > 0 && is_child(kids[i]))
				continue;
			kids[i] = fork();
			if (kids[i] == 0) {
				s += (uint64_t)i + (uint64_t)getpid();
				thread((void *)(uintptr_t)rnd(&s));
				_exit(0);
			}
		}
		usleep(3000);
		if (rnd(&s) % 8 == 0)
			kill(kids[rnd(&s) % PROCS], SIGKILL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec));
	shared->stop = 1;
	for (int i = 0; i < PROCS; i++)
		kill(kids[i], SIGKILL);
	for (int i = 0; i < SLOTS; i++)
		if (shared->tid[i] > 0)
			kill(shared->tid[i], SIGKILL);
	return 0;
}
