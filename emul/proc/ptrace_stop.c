/* SPDX-License-Identifier: MIT */
/*
 * Stops of a traced task, on its own host thread: signals, events, calls, group stops. kernel/signal.c ptrace_stop() and
 * around, include/linux/ptrace.h ptrace_event(), kernel/entry/common.c.
 *
 * tracing.code is Linux's exit_code: what wait4 will report, zeroed when it has, then the tracer's answer. So a tracer that
 * ends lets a signal go on only if it had not been told of it yet.
 */
#include <linux/audit.h>
#include <linux/ptrace.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

#define SYSGOOD 0x80

/* --- one stop ------------------------------------------------------------------------------------------- */

struct stop {
	int code;
	int why;               /* CLD_TRAPPED, CLD_STOPPED: as the tracer's SIGCHLD says it */
	unsigned long message;
	siginfo_t *info;       /* NULL: a group stop, which has none. The tracer may change it */
	bool ends;             /* the last one, on the way out: the end of the process does not shorten it */
};

/* Takes part in a group stop. true: that made it complete, and the real parent is to know. proc->lock held. */
static bool join_group_stop_locked(struct task *t)
{
	struct proc *p = t->proc;

	if (!p->group_stop || t->stop_gen == p->stop_gen)
		return false;
	t->stop_gen = p->stop_gen;
	p->nparked++;
	signal_check_stopped_locked(p);
	if (p->notify_parent != CLD_STOPPED)
		return false;
	p->notify_parent = 0;
	return true;
}

static void begin_stop_locked(struct task *t, const struct stop *st)
{
	struct tracing *s = &t->tracing;

	s->code = st->code;
	s->message = st->message;
	s->has_info = st->info != NULL;
	if (st->info)
		s->info = *st->info;
	s->resumed = s->listening = s->trap_stop = false;
	if (st->code >> 8 == PTRACE_EVENT_STOP)
		s->trap_notify = false;
	t->state = TASK_TRACED;
	if (s->attaching) {
		s->attaching = false;
		waitq_wake(&t->proc->stop_wq, 0);
	}
}

/* The state is seen under proc->lock; the rest of the stop holds no other. */
static bool may_go_on_locked(struct task *t, const struct stop *st)
{
	struct tracing *s = &t->tracing;

	if (s->frozen)
		return false;
	if (s->resumed || !s->tracer || (s->listening && (s->trap_stop || s->trap_notify)))
		return true;
	return !st->ends && signal_thread_leaves_locked(t);
}

/* Registers are the tracer's to choose; with this one the processor would refuse to run. */
static void check_rip(struct task *t)
{
	if ((uint64_t)((int64_t)(t->regs.rip << 16) >> 16) != t->regs.rip)
		signal_force(t, SIGSEGV, NULL);
}

/* Stops until the tracer says go on. The signal to go on with, 0: none; st->code if there was no stop. */
static int trace_stop(struct task *t, const struct stop *st)
{
	struct tracing *s = &t->tracing;
	struct proc *p = t->proc;
	bool tell_parent = false;
	int code;

	mutex_lock(&tasks_lock);
	mutex_lock(&p->lock);
	if (!s->tracer || (!st->ends && signal_thread_leaves_locked(t))) {
		mutex_unlock(&p->lock);
		mutex_unlock(&tasks_lock);
		return st->code;
	}
	begin_stop_locked(t, st);
	if (st->why == CLD_STOPPED)
		tell_parent = join_group_stop_locked(t) && s->tracer->proc != p->parent;
	mutex_unlock(&p->lock);
	proc_notify_tracer_locked(t, st->why);
	if (tell_parent)
		proc_notify_stop_locked(p, CLD_STOPPED);
	mutex_unlock(&tasks_lock);

	mutex_lock(&p->lock);
	while (!may_go_on_locked(t, st))
		waitq_sleep_uninterruptible(&p->stop_wq, &p->lock, FOREVER);
	t->state = TASK_RUNNING;
	code = s->code;
	s->code = 0;
	if (st->info)
		*st->info = s->info;
	s->has_info = s->listening = false;
	signal_recalc_locked(t);
	mutex_unlock(&p->lock);
	check_rip(t);
	return code;
}

static siginfo_t stop_info(struct task *t, int sig, int code)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = sig;
	info.si_code = code;
	info.si_pid = t->tid;
	info.si_uid = t->fsc.cred->uid;
	return info;
}

/* ptrace_notify(): a stop that looks like SIGTRAP. */
static int notify(struct task *t, int code, unsigned long message, bool ends)
{
	siginfo_t info = stop_info(t, SIGTRAP, code);
	struct stop st = { .code = code, .why = CLD_TRAPPED, .message = message, .info = &info, .ends = ends };

	return trace_stop(t, &st);
}

/* --- group stops, and what the tracer asked for ------------------------------------------------------------- */

bool trace_wants_trap_locked(const struct task *t)
{
	const struct tracing *s = &t->tracing;

	return s->tracer && (s->trap_stop || s->trap_notify || (t->proc->group_stop && t->stop_gen != t->proc->stop_gen));
}

/* do_jobctl_trap() */
void trace_trap(struct task *t)
{
	struct proc *p = t->proc;
	struct stop st = { .why = CLD_STOPPED };
	siginfo_t info;
	bool seized;
	int sig;

	mutex_lock(&p->lock);
	seized = t->tracing.seized;
	sig = p->group_stop || !seized ? p->stop_signal : SIGTRAP;
	mutex_unlock(&p->lock);
	if (!sig)
		sig = SIGSTOP;
	st.code = sig;
	if (seized) {
		st.code = sig | PTRACE_EVENT_STOP << 8;
		info = stop_info(t, sig, st.code);
		st.info = &info;
	}
	trace_stop(t, &st);
}

/* --- signals --------------------------------------------------------------------------------------------------- */

/* The tracer put another signal in: it comes from the tracer. */
static void info_from_tracer(struct task *t, int sig, siginfo_t *info)
{
	struct task *tracer;

	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = SI_USER;
	mutex_lock(&tasks_lock);
	tracer = t->tracing.tracer;
	if (tracer) {
		AUTO(cred) c = task_get_cred(tracer);

		info->si_pid = tracer->proc->pid;
		info->si_uid = c ? c->uid : 0;
	}
	mutex_unlock(&tasks_lock);
}

int trace_signal(struct task *t, int sig, siginfo_t *info)
{
	struct stop st = { .code = sig, .why = CLD_TRAPPED, .info = info };
	struct proc *p = t->proc;
	bool requeue;

	sig = trace_stop(t, &st);
	if (!signal_valid(sig))
		return 0;
	if (sig != info->si_signo)
		info_from_tracer(t, sig, info);
	mutex_lock(&p->lock);
	/* Blocked meanwhile: it waits. */
	requeue = t->blocked & SIGMASK(sig);
	if (requeue) {
		signal_send_locked(p, t, sig, info, false, NULL);
		signal_recalc_locked(t);
	}
	mutex_unlock(&p->lock);
	return requeue ? 0 : sig;
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

bool trace_event_wanted(struct task *t, int event)
{
	bool wanted;

	if (!task_wants_every_call(t))
		return false;
	mutex_lock(&t->proc->lock);
	wanted = t->tracing.tracer && (t->tracing.options & 1u << event);
	mutex_unlock(&t->proc->lock);
	return wanted;
}

void trace_event(struct task *t, int event, unsigned long message)
{
	bool plain;

	if (!task_wants_every_call(t))
		return;
	if (event == PTRACE_EVENT_EXEC) {
		trace_clear_debugregs(t);
		mm_restore_text(t->mm); /* there is nothing to restore, and will not be */
	}
	if (trace_event_wanted(t, event)) {
		notify(t, SIGTRAP | event << 8, message, event == PTRACE_EVENT_EXIT);
		return;
	}
	mutex_lock(&t->proc->lock);
	plain = t->tracing.tracer && !t->tracing.seized;
	mutex_unlock(&t->proc->lock);
	if (event == PTRACE_EVENT_EXEC && plain)
		signal_send_task(t, SIGTRAP, NULL);
}

/* --- calls ----------------------------------------------------------------------------------------------------------- */

static enum trace_mode mode_of(struct task *t, bool *ret_step, bool *ret_good)
{
	enum trace_mode mode;

	mutex_lock(&t->proc->lock);
	mode = t->tracing.tracer ? t->tracing.mode : TRACE_CONT;
	*ret_step = t->tracing.step;
	*ret_good = t->tracing.options & PTRACE_O_TRACESYSGOOD;
	mutex_unlock(&t->proc->lock);
	return mode;
}

/* The signal that the tracer goes on with is sent: it comes after the call. */
static void report_call(struct task *t, bool good, unsigned long message)
{
	int sig = notify(t, SIGTRAP | (good ? SYSGOOD : 0), message, false);
	siginfo_t info = signal_kernel_info(sig);

	if (signal_valid(sig))
		signal_send_task(t, sig, &info);
}

static bool leaves(struct task *t)
{
	bool yes;

	mutex_lock(&t->proc->lock);
	yes = signal_thread_leaves_locked(t);
	mutex_unlock(&t->proc->lock);
	return yes;
}

bool trace_syscall_enter(struct task *t)
{
	bool step, good;
	enum trace_mode mode = mode_of(t, &step, &good);

	if (mode == TRACE_CONT)
		return true;
	report_call(t, good, PTRACE_EVENTMSG_SYSCALL_ENTRY);
	return mode != TRACE_SYSEMU && !leaves(t) && (int)t->regs.orig_rax != -1;
}

void trace_syscall_leave(struct task *t)
{
	siginfo_t info;
	bool step, good;
	enum trace_mode mode = mode_of(t, &step, &good);

	if (mode != TRACE_SYSEMU && step) {
		/* The step over the call ends behind it. */
		memset(&info, 0, sizeof(info));
		info.si_signo = SIGTRAP;
		info.si_code = TRAP_BRKPT;
		info.si_addr = (void *)(uintptr_t)t->regs.rip;
		signal_force(t, SIGTRAP, &info);
	} else if (mode == TRACE_SYSCALL) {
		report_call(t, good, PTRACE_EVENTMSG_SYSCALL_EXIT);
	}
}

/* --- stepping into a handler --------------------------------------------------------------------------------------------- */

bool trace_handler_begins(struct task *t)
{
	struct tracing *s = &t->tracing;
	bool step;

	trace_hide_step(t);
	if (!task_wants_every_call(t))
		return false;
	mutex_lock(&t->proc->lock);
	step = s->step;
	s->step = false;
	mutex_unlock(&t->proc->lock);
	return step;
}

void trace_handler_entered(struct task *t)
{
	notify(t, SIGTRAP, 0, false);
}
