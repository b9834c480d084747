/* SPDX-License-Identifier: MIT */
/*
 * A program that abuses what is in its reach: the code of the gate that rewritten sites jump to, which it jumps into anywhere, and its vCPU's
 * slot and, in the deprivileged model, extended state, which it fills with anything, while signals come. It may only harm itself.
 * Usage: wild_gate SEED ROUNDS
 * Where the upper half is out of reach every attempt is a SIGSEGV.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-rt/abi.h"

#define GATE_SIZE 0x3c0

static __thread sigjmp_buf back;
static __thread volatile int armed;
static __thread unsigned seed;
static uintptr_t gate = RT_GATE; /* or RT_JUMP */

static void out(int sig)
{
	if (armed)
		siglongjmp(back, 1);
	(void)sig;
}

static uint64_t any(void)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 15, 39, 62, 231, ~0ull, 1ull << 63, 0x100, 0x202, 0x302, 0x7fffffffffff, RT_GATE, RT_DATA, RT_JUMP, RT_SITES };

	return rand_r(&seed) % 3 ? odd[(unsigned)rand_r(&seed) % (sizeof(odd) / sizeof(*odd))] : (uint64_t)rand_r(&seed) << 33 ^ (uint64_t)rand_r(&seed);
}

static void forge(void)
{
	static const unsigned words[] = { RT_SLOT_STATE, RT_SLOT_OPEN, RT_SLOT_BELL, RT_SLOT_BUDGET, RT_SLOT_NR, RT_SLOT_RCX, RT_SLOT_RCX + 4, RT_SLOT_R11, RT_SLOT_RSP,
					  RT_SLOT_RIP, RT_SLOT_FLAGS, RT_SLOT_XMASK, RT_SLOT_RESULT, RT_COUNT, RT_TOLD };
	volatile uint32_t *data = (volatile uint32_t *)(gate + (RT_DATA - RT_GATE)), *xstate = (volatile uint32_t *)RT_XSTATE;

	for (unsigned n = (unsigned)rand_r(&seed) % 6; n; n--) {
		if (rand_r(&seed) % 4 || gate == RT_JUMP)
			data[words[(unsigned)rand_r(&seed) % (sizeof(words) / sizeof(*words))] / 4] = (uint32_t)any();
		else if (rand_r(&seed) % 2)
			data[(unsigned)rand_r(&seed) % 1024] = (uint32_t)any();
		else
			xstate[rand_r(&seed) % 2 ? 128 + (unsigned)rand_r(&seed) % 16 : (unsigned)rand_r(&seed) % 1024] = (uint32_t)any();
	}
}

static void jump_in(void)
{
	uint64_t to = gate + (unsigned)rand_r(&seed) % GATE_SIZE;
	uint64_t rax = rand_r(&seed) % 2 ? (uint64_t)(rand_r(&seed) % 3 ? SYS_tgkill : SYS_rt_sigreturn) : SYS_getppid;

	__asm__ volatile("mov %0, %%r9\n\t lea 1f(%%rip), %%rcx\n\t xor %%r11d, %%r11d\n\t jmp *%%r9\n1:"
			 :: "r"(to), "a"(rax), "D"((long)getpid()), "S"((long)gettid()), "d"((long)SIGUSR1)
			 : "rcx", "r8", "r9", "r10", "r11", "rbx", "r12", "r13", "r14", "r15", "memory", "cc");
}

/* Which gate is the program's? Before there are threads. */
static void look(void)
{
	if (!sigsetjmp(back, 1)) {
		armed = 1;
		(void)*(volatile uint32_t *)RT_JUMP_DATA;
		gate = RT_JUMP;
	}
	armed = 0;
}

static void *abuse(void *arg)
{
	char *stack = malloc(65536);
	stack_t ss = { .ss_sp = stack, .ss_size = 65536 };
	volatile int n = *(int *)arg;

	seed = (unsigned)n * 7919u + (unsigned)gettid();
	sigaltstack(&ss, NULL);
	while (n-- > 0) {
		if (sigsetjmp(back, 1)) {
			armed = 0;
			continue;
		}
		armed = 1;
		forge();
		for (unsigned k = (unsigned)rand_r(&seed) % 8; k; k--)
			(void)getppid(), raise(SIGUSR2);
		if (rand_r(&seed) % 3)
			jump_in();
		raise(SIGUSR2);
		armed = 0;
	}
	return NULL;
}

static void child(unsigned s, int rounds)
{
	static const int caught[] = { SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGFPE, SIGALRM, SIGUSR1, SIGSYS };
	struct sigaction sa = { .sa_handler = out, .sa_flags = SA_ONSTACK | SA_NODEFER }, quiet = { .sa_handler = SIG_IGN };
	struct itimerval every = { { 0, 3000 }, { 0, 3000 } };
	pthread_t t;

	seed = s;
	for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
		sigaction(caught[i], &sa, NULL);
	sigaction(SIGUSR2, s % 2 ? &sa : &quiet, NULL);
	look();
	setitimer(ITIMER_REAL, &every, NULL);
	if (pthread_create(&t, NULL, abuse, &rounds) == 0)
		abuse(&rounds);
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned s = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	int rounds = argc > 2 ? atoi(argv[2]) : 100;

	for (unsigned i = 0; i < 12; i++) {
		pid_t pid = fork();
		int st;

		if (pid == 0)
			child(s * 100 + i, rounds);
		usleep(300000);
		kill(pid, SIGKILL); /* some hang themselves */
		if (waitpid(pid, &st, 0) != pid)
			return 1;
	}
	puts("still there");
	return 0;
}
