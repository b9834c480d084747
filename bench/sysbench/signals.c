/* SPDX-License-Identifier: MIT */
/* Signals that a thread causes itself. */
#include "sysbench.h"

#include <signal.h>
#include <sys/mman.h>

static char *page;

static void on_signal(int s)
{
	(void)s;
}

static void raise_turn(void *u)
{
	(void)u;
	raise(SIGUSR1);
}

static void t_signal(void)
{
	signal(SIGUSR1, on_signal);
	say("signal_self", per_turn(raise_turn, NULL), "us");
}

static void on_fault(int s)
{
	(void)s;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void fault_turn(void *u)
{
	(void)u;
	mprotect(page, 4096, PROT_READ);
	*(volatile char *)page = 1;
}

/* A write fault handled by mprotect in the handler: what JITs and garbage collectors do. */
static void t_segv(void)
{
	page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(page == MAP_FAILED ? -1 : 0);
	signal(SIGSEGV, on_fault);
	say("segv_mprotect", per_turn(fault_turn, NULL), "us");
	signal(SIGSEGV, SIG_DFL);
}

const struct test signal_tests[] = { { "signal", t_signal }, { "segv", t_segv }, { NULL, NULL } };
