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

/* rt_sigreturn leaves another program state, without a call: orig_rax -1. */
static void call(struct task *t)
{
	struct uregs *u = &t->regs;
	bool refused = __builtin_expect(task_is_filtered(t), 0) && !seccomp_allows(t);
	struct sysargs a = { { u->rdi, u->rsi, u->rdx, u->r10, u->r8, u->r9 } };

	if (refused)
		syscall_refused(t, u->orig_rax, &a);
	else
		u->rax = (uint64_t)syscall_dispatch(t, u->orig_rax, &a);
}

static void do_call(struct task *t)
{
	t->regs.orig_rax = t->regs.rax;
	t->regs.rax = (uint64_t)-ENOSYS; /* what a tracer or a signal frame sees meanwhile */
	if (__builtin_expect(!task_wants_every_call(t), 1)) {
		call(t);
		return;
	}
	if (trace_syscall_enter(t))
		call(t);
	trace_syscall_leave(t);
}

static void handle_event(struct task *t, const struct vcpu_event *ev)
{
	if (ev->hot && !task_wants_every_call(t))
		mm_rewrite_site(t->mm, &t->regs, ev->hot_nr);
	switch (ev->kind) {
	case VCPU_SYSCALL:
		do_call(t);
		break;
	case VCPU_EXCEPTION:
		fault_handle(t, ev->vector, ev->error_code, ev->cr2);
		break;
	case VCPU_ANSWERED:
	case VCPU_KICKED:
		break;
	case VCPU_STEPS:
		mm_restore_text(t->mm);
		break;
	case VCPU_LOST_PAGE:
		mm_drop_truncated(t->mm);
		break;
	case VCPU_DEAD:
		log_warn("the host cannot run thread %d any more: its process is killed", t->tid);
		proc_exit_group(t, SIGKILL);
		break;
	}
}

/* What must be seen here is not answered behind our back. */
static void choose_server(struct task *t, bool *served)
{
	bool want = !strace_on && !task_wants_every_call(t) && !task_is_filtered(t);

	if (want == *served)
		return;
	t->env->platform->ops->vcpu_set_server(t->vcpu, want ? call_server() : NULL, t);
	task_answers(t, want);
	if (task_wants_every_call(t))
		mm_restore_text(t->mm); /* a tracer reads it */
	*served = want;
}

static void run(struct task *t, struct vcpu_event *ev)
{
	bool steps = trace_steps(&t->tracing);

	if (__builtin_expect(steps, 0))
		trace_before_run(t);
	t->env->platform->ops->vcpu_run(t->vcpu, &t->regs, ev);
	if (__builtin_expect(steps, 0))
		trace_after_run(t);
}

void task_run(struct task *t)
{
	struct vcpu_event ev;
	bool served = false;

	if (strace_on)
		strace_task_new(t);
	for (;;) {
		if (signal_wants_task(t) || (t->regs.orig_rax != NO_CALL && is_restart(t->regs.rax)))
			signal_deliver(t);
		if (t->exiting)
			break;
		t->regs.orig_rax = NO_CALL;
		choose_server(t, &served);
		run(t, &ev);
		if (__builtin_expect(stats_on, 0))
			stats_exit(ev.kind);
		handle_event(t, &ev);
	}
	if (strace_on)
		strace_task_gone(t);
}
