/* SPDX-License-Identifier: MIT */
/*
 * Taking signals, on the way back to the guest: default actions, stops, handler frames, and what
 * becomes of an interrupted call. kernel/signal.c get_signal(), arch/x86/kernel/signal.c.
 *
 * Group stop. The thread that takes a stop signal sets group_stop and kicks the others; each parks
 * itself here, in park_locked(). The last one to park makes the process "stopped" and tells the parent.
 * SIGCONT (signal.c) ends it when it is sent. The parent is told without proc->lock, because tasks_lock
 * is outside of it: notify_parent remembers what to say until a thread comes by.
 */
#include <sys/wait.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/coredump.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

#define NR_RESTART_SYSCALL 219
#define SYSCALL_INSN_LEN 2

/* --- stops --------------------------------------------------------------------------------------------- */

void signal_check_stopped_locked(struct proc *p)
{
	mutex_assert_held(&p->lock);
	if (!p->group_stop || p->stopped || p->nparked < p->nthreads || !p->nthreads)
		return;
	p->stopped = true;
	p->continued = false;
	p->stop_reported = false;
	p->notify_parent = CLD_STOPPED;
}

static void tell_parent_locked(struct proc *p) REQUIRES(p->lock)
{
	int why = p->notify_parent;

	p->notify_parent = 0;
	mutex_unlock(&p->lock);
	proc_notify_stop(p, why);
	mutex_lock(&p->lock);
}

static void park_locked(struct task *t)
{
	struct proc *p = t->proc;

	mutex_assert_held(&p->lock);
	t->state = TASK_STOPPED;
	if (t->stop_gen != p->stop_gen) {
		t->stop_gen = p->stop_gen;
		p->nparked++;
	}
	signal_check_stopped_locked(p);
	while (p->group_stop && !signal_thread_leaves_locked(t) && !t->tracing.tracer) {
		if (p->notify_parent)
			tell_parent_locked(p);
		else
			waitq_sleep_uninterruptible(&p->stop_wq, &p->lock, FOREVER);
	}
	t->state = TASK_RUNNING;
}

static void start_stop_locked(struct proc *p, int sig)
{
	struct task *t;

	log_dbg(SIGNAL, "%d: stops by %d", p->pid, sig);
	p->group_stop = true;
	p->stop_signal = sig;
	p->stop_gen++;
	p->nparked = 0;
	list_for_each(t, &p->threads, thread_node) {
		if (t->state == TASK_STOPPED) { /* others' stop, while this one's tracer let it run */
			t->stop_gen = p->stop_gen;
			p->nparked++;
		} else {
			task_kick_locked(t);
		}
	}
}

/* SIGTSTP and kin do not stop a group that no shell of its session looks after. */
static bool stop_allowed_locked(struct proc *p, int sig) REQUIRES(p->lock)
{
	unsigned nconts = p->nconts;
	bool orphaned;

	if (sig == SIGSTOP)
		return true;
	mutex_unlock(&p->lock); /* tasks_lock is outside */
	mutex_lock(&tasks_lock);
	orphaned = pgrp_is_orphaned_locked(p->pgid, NULL);
	mutex_unlock(&tasks_lock);
	mutex_lock(&p->lock);
	return !orphaned && p->nconts == nconts;
}

/* --- taking one ---------------------------------------------------------------------------------------------- */

/* A fault of this very instruction comes before everything else, whatever its number. */
static int take_fault_locked(struct task *t, siginfo_t *ret)
{
	struct sigqueue *q;
	void *timer;

	if (!(t->pending.set & SIGMASK_SYNC & ~t->blocked))
		return 0;
	list_for_each(q, &t->pending.queue, node) {
		int sig = q->sig;

		if (q->info.si_code <= SI_USER || !(SIGMASK(sig) & SIGMASK_SYNC & ~t->blocked))
			continue;
		sigpending_take(&t->pending, sig, ret, &timer);
		return sig;
	}
	return 0;
}

/* What sig does to t's process. true: its handler is to run, *ret_act says which. */
static bool act_locked(struct task *t, int sig, struct sigact *ret_act)
{
	struct proc *p = t->proc;
	sigmask_t m = SIGMASK(sig);
	struct sigact *a;

	mutex_lock(&p->sighand->lock);
	a = &p->sighand->action[sig];
	*ret_act = *a;
	if (a->handler > HANDLER_IGN && (a->flags & (uint32_t)SA_RESETHAND))
		a->handler = HANDLER_DFL;
	mutex_unlock(&p->sighand->lock);
	if (ret_act->handler == HANDLER_IGN)
		return false;
	if (ret_act->handler != HANDLER_DFL)
		return true;
	if (m & SIGMASK_IGNORE)
		return false;
	if (m & SIGMASK_STOP) {
		mutex_assert_held(&p->lock);
		if (stop_allowed_locked(p, sig))
			start_stop_locked(p, sig);
		return false;
	}
	if ((m & SIGMASK_CORE) && coredump_wanted_locked(p))
		p->core_task = t;
	proc_start_exit_locked(p, sig);
	return false;
}

/* --- core files ---------------------------------------------------------------------------------------------- */

static bool others_run_locked(struct task *t)
{
	struct task *other;

	list_for_each(other, &t->proc->threads, thread_node)
		if (other != t && !other->dying && !other->core_parked)
			return true;
	return false;
}

/* t is proc->core_task. The others were kicked, and come to stand still in park_for_core_locked(), or die. */
static void dump_core_locked(struct task *t, int sig, const siginfo_t *info) NO_LOCK_ANALYSIS /* p is t->proc */
{
	struct proc *p = t->proc;
	bool written;

	while (others_run_locked(t))
		waitq_sleep_uninterruptible(&p->stop_wq, &p->lock, FOREVER);
	mutex_unlock(&p->lock);
	written = coredump_write(t, sig, info);
	mutex_lock(&p->lock);
	if (written)
		p->exit_status |= WCOREFLAG;
	p->core_task = NULL;
	waitq_wake(&p->stop_wq, 0);
}

static void park_for_core_locked(struct task *t)
{
	struct proc *p = t->proc;

	mutex_assert_held(&p->lock);
	t->core_parked = true;
	waitq_wake(&p->stop_wq, 0);
	while (p->core_task)
		waitq_sleep_uninterruptible(&p->stop_wq, &p->lock, FOREVER);
	t->core_parked = false;
}

/* Does what is to be done until a handler is to run (true) or nothing is left (false, maybe t->exiting). */
static bool next_signal(struct task *t, struct ksignal *k)
{
	struct proc *p = t->proc;
	bool handler = false;

	mutex_lock(&p->lock);
	while (!handler) {
		if (p->notify_parent) {
			tell_parent_locked(p);
			continue;
		}
		if (signal_thread_leaves_locked(t)) {
			int status;

			if (p->core_task)
				park_for_core_locked(t);
			status = p->group_exit ? p->exit_status : 0;
			mutex_unlock(&p->lock);
			task_exit(t, status);
			return false;
		}
		if (trace_wants_trap_locked(t)) {
			mutex_unlock(&p->lock);
			trace_trap(t);
			mutex_lock(&p->lock);
			continue;
		}
		if (p->group_stop && !t->tracing.tracer) {
			park_locked(t);
			continue;
		}
		k->sig = take_fault_locked(t, &k->info);
		if (!k->sig)
			k->sig = signal_take_locked(t, ~t->blocked, &k->info);
		if (!k->sig)
			break;
		if (t->tracing.tracer && k->sig != SIGKILL) {
			mutex_unlock(&p->lock);
			k->sig = trace_signal(t, k->sig, &k->info);
			mutex_lock(&p->lock);
			if (!k->sig)
				continue;
		}
		handler = act_locked(t, k->sig, &k->act);
		if (p->core_task == t)
			dump_core_locked(t, k->sig, &k->info);
	}
	signal_recalc_locked(t);
	mutex_unlock(&p->lock);
	return handler;
}

/* --- the interrupted call ---------------------------------------------------------------------------------------- */

static void repeat_call(struct task *t, uint64_t nr)
{
	t->regs.rax = nr;
	t->regs.rip -= SYSCALL_INSN_LEN;
}

static void restart_before_handler(struct task *t, uint64_t flags)
{
	switch (-(int64_t)t->regs.rax) {
	case ERESTART_RESTARTBLOCK:
	case ERESTARTNOHAND:
		t->regs.rax = (uint64_t)-EINTR;
		break;
	case ERESTARTSYS:
		if (!(flags & SA_RESTART)) {
			t->regs.rax = (uint64_t)-EINTR;
			break;
		}
		/* fallthrough */
	case ERESTARTNOINTR:
		repeat_call(t, t->regs.orig_rax);
		break;
	default:
		break;
	}
}

static void restart_without_handler(struct task *t)
{
	switch (-(int64_t)t->regs.rax) {
	case ERESTARTNOHAND:
	case ERESTARTSYS:
	case ERESTARTNOINTR:
		repeat_call(t, t->regs.orig_rax);
		break;
	case ERESTART_RESTARTBLOCK:
		repeat_call(t, NR_RESTART_SYSCALL);
		break;
	default:
		break;
	}
}

long signal_restart_call(struct task *t)
{
	struct restart_block rb = t->restart;

	if (!rb.fn)
		return -EINTR;
	t->restart.fn = NULL;
	return rb.fn(t, &rb);
}

/* --- handlers ------------------------------------------------------------------------------------------------------- */

/* false: there is no place for its frame, and t->regs are as they were. */
static bool run_handler(struct task *t, const struct ksignal *k)
{
	bool step = trace_handler_begins(t);
	sigmask_t blocked;

	if (sigframe_push(t, k, t->restore_mask ? t->saved_mask : t->blocked) < 0) {
		log_dbg(SIGNAL, "%d: no place for the frame of %d at %#llx", t->tid, k->sig, (unsigned long long)t->regs.rsp);
		if (k->sig == SIGSEGV) { /* a handler that has no place for itself: no second try */
			mutex_lock(&t->proc->sighand->lock);
			t->proc->sighand->action[SIGSEGV].handler = HANDLER_DFL;
			mutex_unlock(&t->proc->sighand->lock);
		}
		signal_force(t, SIGSEGV, NULL);
		return false;
	}
	t->restore_mask = false;
	t->restart.fn = NULL;
	blocked = t->blocked | k->act.mask;
	if (!(k->act.flags & SA_NODEFER))
		blocked |= SIGMASK(k->sig);
	signal_set_mask(t, blocked);
	signal_altstack_autodisarm(t);
	if (step)
		trace_handler_entered(t);
	return true;
}

/* A tracer may have made it so, or not so, in a stop. */
static bool in_call(const struct task *t)
{
	return t->regs.orig_rax != ~(uint64_t)0;
}

void signal_deliver(struct task *t)
{
	struct ksignal k;

	do {
		while (next_signal(t, &k)) {
			if (in_call(t))
				restart_before_handler(t, k.act.flags);
			run_handler(t, &k);
		}
		if (t->exiting)
			return;
		if (in_call(t))
			restart_without_handler(t);
		t->regs.orig_rax = ~(uint64_t)0;
		if (!t->restore_mask)
			return;
		t->restore_mask = false;
		signal_set_mask(t, t->saved_mask); /* may open the way for others */
	} while (signal_wants_task(t));
}

/* --- on the helper thread ------------------------------------------------------------------------------------------------ */

/* The signal that is next, if taking it is all that there is to do. 0: no. */
static int next_plain_locked(struct task *t)
{
	struct proc *p = t->proc;
	int sig;

	mutex_assert_held(&p->lock);
	if (t->restore_mask || t->exiting || p->notify_parent || p->group_stop || signal_thread_leaves_locked(t) || t->tracing.tracer ||
	    trace_steps(&t->tracing) || trace_wants_trap_locked(t) || (t->pending.set & SIGMASK_SYNC & ~t->blocked))
		return 0;
	sig = sigpending_next(&t->pending, ~t->blocked);
	return sig ? sig : sigpending_next(&p->pending, ~t->blocked);
}

/* It has a handler that can be entered. take: the action is what the handler's flags make of it. */
static bool has_handler_locked(struct proc *p, int sig, bool take, struct sigact *ret)
{
	struct sigact *a = &p->sighand->action[sig];
	bool ok;

	mutex_lock(&p->sighand->lock);
	*ret = *a;
	ok = a->handler > HANDLER_IGN && a->handler < USER_END && (a->flags & SA_RESTORER_FLAG);
	if (ok && take && (a->flags & (uint32_t)SA_RESETHAND))
		a->handler = HANDLER_DFL;
	mutex_unlock(&p->sighand->lock);
	return ok;
}

bool signal_deliverable_here(struct task *t)
{
	struct sigact act;
	bool ok;
	int sig;

	mutex_lock(&t->proc->lock);
	sig = next_plain_locked(t);
	ok = sig && has_handler_locked(t->proc, sig, false, &act);
	mutex_unlock(&t->proc->lock);
	return ok;
}

bool signal_deliver_here(struct task *t)
{
	struct proc *p = t->proc;
	struct ksignal k;
	bool ok;

	mutex_lock(&p->lock);
	k.sig = next_plain_locked(t);
	ok = k.sig && has_handler_locked(p, k.sig, true, &k.act);
	if (ok)
		signal_take_locked(t, ~t->blocked, &k.info);
	signal_recalc_locked(t);
	mutex_unlock(&p->lock);
	return ok && run_handler(t, &k);
}
