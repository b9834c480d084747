/* SPDX-License-Identifier: MIT */
/*
 * Catch the synchronous signals of one piece of code: fault_run() calls a function and tells which
 * of SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP stopped it, with siginfo and the general registers.
 * fault_read() and fault_write() are the common cases. Handlers are installed for the call only
 * (cmocka has its own for the rest of the time); the jump back is per thread.
 */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

struct fault {
	int sig;                /* 0: the function came back */
	int on_altstack;        /* the handler ran on the alternate stack */
	siginfo_t info;
	gregset_t gregs;
};

static __thread sigjmp_buf fault_env;
static __thread struct fault fault_last;

static void fault_handler(int sig, siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	char here;

	fault_last.sig = sig;
	fault_last.info = *info;
	fault_last.on_altstack = !(uc->uc_stack.ss_flags & SS_DISABLE) &&
				 &here >= (char *)uc->uc_stack.ss_sp &&
				 &here < (char *)uc->uc_stack.ss_sp + uc->uc_stack.ss_size;
	memcpy(fault_last.gregs, uc->uc_mcontext.gregs, sizeof(gregset_t));
	siglongjmp(fault_env, 1);
}

/* Run fn(arg). Returns the signal that ended it, 0 if none did; ret_fault may be NULL. */
static inline int fault_run(void (*fn)(void *), void *arg, struct fault *ret_fault)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	enum { NR = sizeof(sigs) / sizeof(sigs[0]) };
	struct sigaction old[NR], sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_sigaction = fault_handler;
	sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigemptyset(&sa.sa_mask);
	memset(&fault_last, 0, sizeof(fault_last));
	for (int i = 0; i < NR; i++)
		sigaction(sigs[i], &sa, &old[i]);
	if (sigsetjmp(fault_env, 1) == 0)
		fn(arg);
	for (int i = 0; i < NR; i++)
		sigaction(sigs[i], &old[i], NULL);
	if (ret_fault)
		*ret_fault = fault_last;
	return fault_last.sig;
}

static void fault_do_read(void *p)
{
	(void)*(volatile unsigned char *)p;
}

static void fault_do_write(void *p)
{
	*(volatile unsigned char *)p = 1;
}

/* Read or write (the value 1) one byte: 0, or the signal. */
static inline int fault_read(const void *p, struct fault *ret_fault)
{
	return fault_run(fault_do_read, (void *)(uintptr_t)p, ret_fault);
}

static inline int fault_write(void *p, struct fault *ret_fault)
{
	return fault_run(fault_do_write, p, ret_fault);
}

#endif
