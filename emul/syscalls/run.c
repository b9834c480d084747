/* SPDX-License-Identifier: MIT */
/*
 * A task's life on its host thread: run the vCPU, answer what it asks, deliver signals, until it is
 * to end. The loop is the one that emul/proc/signal.c describes (no wake-up is lost); the thread, its
 * waiter and its vCPU come and go in emul/proc/start.c.
 */
#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/syscalls/stats.h"
#include "emul/syscalls/strace.h"

#define NO_CALL (~(uint64_t)0)

static bool is_restart(uint64_t rax)
{
	long r = (long)rax;

	return r <= -ERESTARTSYS && r >= -ERESTART_RESTARTBLOCK;
}

/* true: regs hold the result of a call (rt_sigreturn and execve leave another program state, without one). */
static bool do_call(struct task *t)
{
	struct uregs *u = &t->regs;
	struct sysargs a = { { u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9 } };
	long r;

	u->orig_rax = u->rax;
	u->rax = (uint64_t)-ENOSYS; /* what a tracer or a signal frame sees meanwhile */
	r = syscall_dispatch(t, u->orig_rax, &a);
	u->rax = (uint64_t)r;
	return u->orig_rax != NO_CALL;
}

/* true: it came from a call. */
static bool handle_event(struct task *t, const struct vcpu_event *ev)
{
	switch (ev->kind) {
	case VCPU_SYSCALL:
		return do_call(t);
	case VCPU_EXCEPTION:
		fault_handle(t, ev->vector, ev->error_code, ev->cr2);
		break;
	case VCPU_ANSWERED:
		return true;
	case VCPU_KICKED:
		break;
	case VCPU_LOST_PAGE:
		mm_drop_truncated(t->mm);
		break;
	case VCPU_DEAD:
		log_warn("the host cannot run thread %d any more: its process is killed", t->tid);
		proc_exit_group(t, SIGKILL);
		break;
	}
	return false;
}

void task_run(struct task *t)
{
	const struct platform_ops *ops = t->env->platform->ops;
	struct vcpu_event ev;
	bool in_call = false;

	if (strace_on)
		strace_task_new(t);
	else if (!stats_on)
		ops->vcpu_set_server(t->vcpu, call_serve, t);
	for (;;) {
		if (signal_wants_task(t) || (in_call && is_restart(t->regs.rax)))
			signal_deliver(t, in_call);
		t->regs.orig_rax = NO_CALL;
		if (t->exiting)
			break;
		ops->vcpu_run(t->vcpu, &t->regs, &ev);
		if (__builtin_expect(stats_on, 0))
			stats_exit(ev.kind);
		in_call = handle_event(t, &ev);
	}
	if (strace_on)
		strace_task_gone(t);
}
