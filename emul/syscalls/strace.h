/* SPDX-License-Identifier: MIT */
/*
 * --strace: one line a call, in strace(1)'s form. strace.c keeps lines of several threads apart;
 * strace_fmt.c prints calls and arguments; strace_struct.c structures; strace_flags.c names of bits and constants.
 */
#ifndef EMUL_SYSCALLS_STRACE_H
#define EMUL_SYSCALLS_STRACE_H

#include "emul/syscalls/syscalls.h"

void strace_enter(struct task *t, unsigned long nr, const struct syscall_desc *d, const struct sysargs *a);
void strace_leave(struct task *t, unsigned long nr, const struct syscall_desc *d, const struct sysargs *a, long r);
/* --- SIGSEGV {si_signo=SIGSEGV, ...} --- */
void strace_signal(struct task *t, const siginfo_t *info);
void strace_task_new(struct task *t);
void strace_task_gone(struct task *t); /* +++ exited with 0 +++ */

#endif
