/* SPDX-License-Identifier: MIT */
/*
 * seccomp(2): what a task may call. Filters only become more: each keeps the one before it, tasks share the chains, and what
 * a task has is inherited over clone and exec.
 *
 * Locks: a task's filter changes under proc->lock, by itself or by SECCOMP_FILTER_FLAG_TSYNC of another thread; the task
 * reads it without: the one it may still be running is kept by its successor.
 */
#ifndef EMUL_PROC_SECCOMP_H
#define EMUL_PROC_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct seccomp_filter;
struct task;

struct seccomp {
	_Atomic unsigned char mode;                  /* SECCOMP_MODE_* */
	_Atomic(struct seccomp_filter *) filter;     /* counted; NULL: none */
};

/* prctl(PR_SET_SECCOMP), seccomp(2). Copied in already: len instructions. 0, -EINVAL, -EACCES, -ENOMEM, -ESRCH; TSYNC: a tid. */
long seccomp_set_strict(struct task *t);
long seccomp_set_filter(struct task *t, unsigned flags, const struct sock_filter *insn, unsigned len);
bool seccomp_knows_flags(unsigned flags);
bool seccomp_may_install(struct task *t); /* no_new_privs or CAP_SYS_ADMIN */
bool seccomp_knows_action(uint32_t action);
unsigned seccomp_count(struct task *t); /* filters, for /proc/PID/status. Takes proc->lock */

void seccomp_inherit_locked(struct task *t, struct task *child); /* t->proc->lock held */
void seccomp_free(struct seccomp *s);

/*
 * May t make the call in its registers (orig_rax is the number)? false: rax is the result, and what else is to happen (a
 * signal, the end) has been arranged. A tracer may have changed the registers meanwhile. Own thread.
 */
bool seccomp_allows(struct task *t);

#endif
