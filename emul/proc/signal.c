/* SPDX-License-Identifier: MIT */
/*
 * Sending signals, masks, and who wakes up for what. man 7 signal; kernel/signal.c for all rules.
 *
 *   sigqueue.c    pending sets and queues       sigaction.c  actions, alternate stack, exec
 *   sigsend.c     kill(2) and kin: permission, groups        sigwait.c  sigsuspend, sigtimedwait, signalfd's side
 *   sigdeliver.c  taking signals: default actions, stops, restart of calls       sigframe.c  handler frames
 *   fault.c       exceptions of the processor
 *
 * Theory of operation: no wake-up is lost.
 *
 * A task may be in the guest, in a sleep, or between both. has_wakeup says "signal_deliver() has work",
 * waiter.interrupted says "do not sleep", a vCPU kick says "do not stay in the guest". The rules:
 *
 *  1. Whoever makes work for a task (queues a signal, starts a stop or the end) holds proc->lock, and
 *     then calls task_kick_locked(): has_wakeup, interrupted and the kick, all under that lock.
 *     A kick is remembered by the vCPU: it ends the current or the next vcpu_run().
 *  2. The task takes its work, and clears has_wakeup and interrupted, under the same lock
 *     (signal_recalc_locked()). So both flags are set whenever there is work, and a stray kick costs
 *     one empty turn of the loop.
 *  3. The run loop looks at has_wakeup after each call and each exit, before it enters the guest:
 *
 *         for (;;) {
 *                 if (signal_wants_task(t) || restart code in rax)
 *                         signal_deliver(t);
 *                 t->regs.orig_rax = -1;
 *                 if (t->exiting)
 *                         break;
 *                 vcpu_run(t->vcpu, &t->regs, &ev);
 *                 switch (ev.kind) {
 *                 case VCPU_SYSCALL:
 *                         t->regs.orig_rax = t->regs.rax;
 *                         t->regs.rax = dispatch(...);
 *                         break;
 *                 case VCPU_EXCEPTION: fault_handle(t, ...); break;
 *                 case VCPU_KICKED: break;
 *                 case VCPU_LOST_PAGE: mm_drop_truncated(t->mm); break;
 *                 case VCPU_DEAD: proc_exit_group(t, SIGKILL); break;
 *                 }
 *         }
 *
 *     A signal that comes after the look and before vcpu_run() finds the vCPU kicked.
 *  4. A sleep ends with -ERESTARTSYS while `interrupted` is set. A call that got a restart code must
 *     come through signal_deliver(t), which turns it into a repeated call or -EINTR.
 */
#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

/* --- waking ----------------------------------------------------------------------------------------- */

void task_kick_locked(struct task *t)
{
	mutex_assert_held(&t->proc->lock);
	atomic_store(&t->has_wakeup, true);
	waiter_interrupt(&t->waiter);
	/* A task that kicks itself is not in the guest, or in a call that the helper answers, who looks at has_wakeup behind it. */
	if (t->vcpu && waiter_current() != &t->waiter && task_current() != t)
		t->env->platform->ops->vcpu_kick(t->vcpu);
}

void task_kick(struct task *t)
{
	mutex_lock(&t->proc->lock);
	task_kick_locked(t);
	mutex_unlock(&t->proc->lock);
}

bool signal_thread_leaves_locked(struct task *t)
{
	struct proc *p = t->proc;

	return p->group_exit || (p->exec_task && p->exec_task != t);
}

bool signal_wants_locked(struct task *t)
{
	struct proc *p = t->proc;

	mutex_assert_held(&p->lock);
	return signal_thread_leaves_locked(t) || (t->tracing.tracer ? trace_wants_trap_locked(t) : p->group_stop) ||
	       p->notify_parent || ((t->pending.set | p->pending.set) & ~t->blocked);
}

void signal_recalc_locked(struct task *t)
{
	if (signal_wants_locked(t)) {
		atomic_store(&t->has_wakeup, true);
		waiter_interrupt(&t->waiter);
	} else {
		atomic_store(&t->has_wakeup, false);
		waiter_clear_interrupt(&t->waiter);
	}
}

bool signal_wants_task(struct task *t)
{
	return atomic_load_explicit(&t->has_wakeup, memory_order_relaxed) || t->restore_mask;
}

void proc_start_exit_locked(struct proc *p, int status)
{
	struct task *t;

	mutex_assert_held(&p->lock);
	if (p->group_exit)
		return;
	p->group_exit = true;
	p->exit_status = status;
	p->group_stop = false;
	list_for_each(t, &p->threads, thread_node)
		task_kick_locked(t);
	waitq_wake(&p->stop_wq, 0);
	waitq_wake(&p->exec_wq, 0);
}

/* --- masks -------------------------------------------------------------------------------------------- */

/* A thread that blocks more may leave signals of the process to others, who did not see them come. */
static void hand_on_locked(struct task *t, sigmask_t newly_blocked)
{
	struct proc *p = t->proc;
	sigmask_t moving = p->pending.set & newly_blocked;
	struct task *other;

	if (!moving)
		return;
	list_for_each(other, &p->threads, thread_node) {
		if (other == t || other->dying || !(moving & ~other->blocked))
			continue;
		task_kick_locked(other);
		moving &= other->blocked;
		if (!moving)
			return;
	}
}

void signal_set_mask_locked(struct task *t, sigmask_t mask)
{
	sigmask_t old = t->blocked;

	t->blocked = mask & ~SIGMASK_KILL_STOP;
	hand_on_locked(t, t->blocked & ~old);
	signal_recalc_locked(t);
}

void signal_set_mask(struct task *t, sigmask_t mask)
{
	mutex_lock(&t->proc->lock);
	signal_set_mask_locked(t, mask);
	mutex_unlock(&t->proc->lock);
}

sigmask_t signal_mask(struct task *t)
{
	sigmask_t m;

	mutex_lock(&t->proc->lock);
	m = t->blocked;
	mutex_unlock(&t->proc->lock);
	return m;
}

sigmask_t signal_pending_raw(struct task *t)
{
	sigmask_t m;

	mutex_lock(&t->proc->lock);
	m = t->pending.set | t->proc->pending.set;
	mutex_unlock(&t->proc->lock);
	return m;
}

sigmask_t signal_pending_set(struct task *t)
{
	sigmask_t m;

	mutex_lock(&t->proc->lock);
	m = (t->pending.set | t->proc->pending.set) & t->blocked;
	mutex_unlock(&t->proc->lock);
	return m;
}

/* --- sending ------------------------------------------------------------------------------------------- */

siginfo_t signal_kernel_info(int sig)
{
	return (siginfo_t){ .si_signo = sig, .si_code = SI_KERNEL };
}

static bool ignored_by(struct proc *p, int sig)
{
	struct sigact a = signal_get_action(p, sig);

	return a.handler == HANDLER_IGN || (a.handler == HANDLER_DFL && (SIGMASK(sig) & SIGMASK_IGNORE));
}

static void drop_everywhere_locked(struct proc *p, sigmask_t mask)
{
	struct task *t;

	sigpending_drop_locked(&p->pending, mask);
	list_for_each(t, &p->threads, thread_node)
		sigpending_drop_locked(&t->pending, mask);
}

/* SIGCONT wakes a stopped process even if it is blocked, ignored or handled. */
static void continue_locked(struct proc *p)
{
	struct task *t;

	drop_everywhere_locked(p, SIGMASK_STOP);
	p->nconts++;
	list_for_each(t, &p->threads, thread_node) {
		if (!t->tracing.seized)
			continue;
		t->tracing.trap_notify = true;
		task_kick_locked(t);
		waitq_wake(&p->stop_wq, 0);
	}
	if (!p->group_stop)
		return;
	p->group_stop = false;
	if (p->stopped) {
		p->stopped = false;
		p->continued = true;
		p->cont_reported = false;
		p->notify_parent = CLD_CONTINUED;
	}
	list_for_each(t, &p->threads, thread_node)
		task_kick_locked(t);
	waitq_wake(&p->stop_wq, 0);
}

/* The side effects that come with sending. false: the signal itself goes nowhere. */
static bool prepare_locked(struct proc *p, struct task *t, int sig, bool forced)
{
	const struct task *whose = t ? t : p->leader;

	if (p->group_exit || p->zombie || p->is_init)
		return false; /* nobody will look */
	if (SIGMASK(sig) & SIGMASK_STOP)
		drop_everywhere_locked(p, SIGMASK(SIGCONT));
	else if (sig == SIGCONT)
		continue_locked(p);
	/* A blocked one stays: the action may change until it is taken. */
	if (forced || sig == SIGKILL || (whose && (whose->blocked & SIGMASK(sig))))
		return true;
	if (whose && whose->tracing.tracer)
		return true; /* a tracer sees what is ignored, too */
	return !ignored_by(p, sig);
}

static bool can_take(const struct task *t, int sig)
{
	if (t->dying)
		return false;
	/* A stopped thread takes nothing until it goes on, not even a certain death. */
	return sig == SIGKILL || (t->state != TASK_STOPPED && t->state != TASK_TRACED && !(t->blocked & ~t->wanted & SIGMASK(sig)));
}

/* Which thread gets a signal of the process: the first choice (NULL: the leader) if it can, else one that is not busy with another. */
static struct task *choose_locked(struct proc *p, struct task *first, int sig)
{
	struct task *each, *busy = NULL;

	if (!first)
		first = p->leader;
	if (first && can_take(first, sig))
		return first;
	list_for_each(each, &p->threads, thread_node) {
		if (!can_take(each, sig))
			continue;
		if (!atomic_load(&each->has_wakeup))
			return each;
		busy = each;
	}
	return busy;
}

static void wake_for_locked(struct proc *p, struct task *t, struct task *first, int sig)
{
	const struct task *whose = t ? t : p->leader;
	bool traced = whose && whose->tracing.tracer; /* the tracer decides */
	struct task *to = t ? (can_take(t, sig) ? t : NULL) : choose_locked(p, first, sig);

	if (!to)
		return;
	/* A certain death begins now, so that no other signal gets in between. Core signals die on delivery. */
	if (sig == SIGKILL || (!traced && !(SIGMASK(sig) & (SIGMASK_CORE | SIGMASK_STOP | SIGMASK_IGNORE)) &&
			       !(to->wanted & SIGMASK(sig)) && signal_get_action(p, sig).handler == HANDLER_DFL)) {
		proc_start_exit_locked(p, sig);
		return;
	}
	task_kick_locked(to);
}

static int send_locked(struct proc *p, struct task *t, struct task *first, int sig, const siginfo_t *info, bool forced, void *timer)
{
	struct sigpending *to = t ? &t->pending : &p->pending;
	struct sigqueue *q;

	mutex_assert_held(&p->lock);
	if (!prepare_locked(p, t, sig, forced))
		return SIG_IGNORED;
	if (sig < LINUX_SIGRTMIN && !timer && (to->set & SIGMASK(sig))) /* timers have an entry of their own, each one */
		return SIG_MERGED;
	/* kill(2) and the kernel may lose a siginfo, but not the signal. */
	q = sigqueue_new_locked(p, sig, sig < LINUX_SIGRTMIN || timer || info->si_code == SI_KERNEL);
	if (!q && (timer || (sig >= LINUX_SIGRTMIN && info->si_code != SI_USER)))
		return -EAGAIN;
	if (q) {
		q->info = *info;
		q->info.si_signo = sig;
		q->timer = timer;
		list_add_tail(&to->queue, &q->node);
	}
	to->set |= SIGMASK(sig);
	log_dbg(SIGNAL, "%d: signal %d code %d", t ? t->tid : p->pid, sig, info->si_code);
	waitq_wake(&p->signal_wq, 0);
	wake_for_locked(p, t, first, sig);
	return SIG_SENT;
}

int signal_send_locked(struct proc *p, struct task *t, int sig, const siginfo_t *info, bool forced, void *timer)
{
	return send_locked(p, t, NULL, sig, info, forced, timer);
}

int signal_send_first_locked(struct proc *p, struct task *first, int sig, const siginfo_t *info)
{
	return send_locked(p, NULL, first, sig, info, false, NULL);
}

/* NULL means: from the calling task, or from the kernel if it is none (reactor, terminal). */
static const siginfo_t *default_info(int sig, const siginfo_t *info, siginfo_t *buf)
{
	if (info)
		return info;
	if (task_current())
		signal_fill_user(task_current(), buf, sig, SI_USER);
	else
		*buf = signal_kernel_info(sig);
	return buf;
}

static int send(struct proc *p, struct task *t, int sig, const siginfo_t *info)
{
	siginfo_t buf;
	int r = 0;

	if (sig == 0)
		return 0;
	if (!signal_valid(sig))
		return -EINVAL;
	info = default_info(sig, info, &buf);
	mutex_lock(&p->lock);
	if (t && t->state == TASK_DEAD)
		r = -ESRCH;
	else
		r = signal_send_locked(p, t, sig, info, false, NULL);
	mutex_unlock(&p->lock);
	return r < 0 ? r : 0;
}

int signal_send_task(struct task *t, int sig, const siginfo_t *info)
{
	return send(t->proc, t, sig, info);
}

int signal_send_proc(struct proc *p, int sig, const siginfo_t *info)
{
	return send(p, NULL, sig, info);
}

void signal_force(struct task *t, int sig, const siginfo_t *info)
{
	struct proc *p = t->proc;
	siginfo_t kernel = signal_kernel_info(sig);
	struct sigact *a;

	mutex_lock(&p->lock);
	mutex_lock(&p->sighand->lock);
	a = &p->sighand->action[sig];
	/* Blocked or ignored: no handler could help, and the instruction would fault for ever. */
	if ((t->blocked & SIGMASK(sig)) || a->handler == HANDLER_IGN) {
		a->handler = HANDLER_DFL;
		t->blocked &= ~SIGMASK(sig);
	}
	mutex_unlock(&p->sighand->lock);
	signal_send_locked(p, t, sig, info ? info : &kernel, true, NULL);
	signal_recalc_locked(t);
	mutex_unlock(&p->lock);
}
