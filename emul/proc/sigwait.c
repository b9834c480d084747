/* SPDX-License-Identifier: MIT */
/*
 * Waiting for signals: sigsuspend, masks for the time of one call, sigtimedwait, what signalfd takes.
 * A task that waits with sigtimedwait keeps its mask; `wanted` says what wakes it all the same.
 */
#include "emul/base/err.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/timers.h"

int signal_take_locked(struct task *t, sigmask_t set, siginfo_t *ret)
{
	struct proc *p = t->proc;
	bool own = true;
	void *timer;
	int sig;

	mutex_assert_held(&p->lock);
	sig = sigpending_next(&t->pending, set);
	if (!sig) {
		sig = sigpending_next(&p->pending, set);
		own = false;
	}
	if (!sig)
		return 0;
	sigpending_take(own ? &t->pending : &p->pending, sig, ret, &timer);
	if (timer)
		posix_timer_taken_locked(timer, ret);
	else if (sig == SIGALRM && !own)
		itimer_alarm_taken_locked(p);
	return sig;
}

bool signal_dequeue(struct task *t, sigmask_t set, siginfo_t *ret)
{
	bool got;

	mutex_lock(&t->proc->lock);
	got = signal_take_locked(t, set & ~SIGMASK_KILL_STOP, ret) != 0;
	if (got && t == task_current())
		signal_recalc_locked(t);
	mutex_unlock(&t->proc->lock);
	return got;
}

struct waitq *signal_waitq(struct proc *p)
{
	return &p->signal_wq;
}

long signal_suspend(struct task *t, sigmask_t mask)
{
	int r;

	signal_call_mask(t, mask);
	do {
		waiter_prepare(&t->waiter);
		r = waiter_block(&t->waiter, FOREVER);
	} while (r == 0); /* a stray wake-up */
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

void signal_call_mask(struct task *t, sigmask_t mask)
{
	mutex_lock(&t->proc->lock);
	t->saved_mask = t->blocked;
	t->restore_mask = true;
	signal_set_mask_locked(t, mask);
	mutex_unlock(&t->proc->lock);
}

void signal_call_mask_done(struct task *t, bool interrupted)
{
	if (interrupted || !t->restore_mask)
		return; /* signal_deliver() restores it, after the handlers' frames took it */
	t->restore_mask = false;
	signal_set_mask(t, t->saved_mask);
}

/* One sleep for `set`: 0 look again, -EAGAIN, -EINTR. proc->lock held; dropped while asleep. */
static int wait_once(struct task *t, sigmask_t set, struct deadline d) NO_LOCK_ANALYSIS /* p is t->proc */
{
	struct proc *p = t->proc;
	int r;

	if (!deadline_is_forever(d) && clock_now(d.clock) >= d.ns)
		return -EAGAIN; /* polling is not interrupted */
	t->wanted = set;
	waiter_prepare(&t->waiter);
	mutex_unlock(&p->lock);
	r = waiter_block(&t->waiter, d);
	mutex_lock(&p->lock);
	t->wanted = 0;
	signal_recalc_locked(t); /* a wanted signal interrupted us without being unblocked */
	if (r == -EWOULDSLEEP)
		return r;
	if (r == -ETIMEDOUT)
		return -EAGAIN;
	return atomic_load(&t->has_wakeup) ? -EINTR : 0;
}

long signal_timedwait(struct task *t, sigmask_t set, const struct deadline *d, siginfo_t *ret)
{
	struct deadline until = d ? *d : FOREVER;
	struct proc *p = t->proc;
	long r = 0;
	int sig;

	set &= ~SIGMASK_KILL_STOP;
	mutex_lock(&p->lock);
	while (!(sig = signal_take_locked(t, set, ret)) && r == 0)
		r = wait_once(t, set, until);
	signal_recalc_locked(t);
	mutex_unlock(&p->lock);
	return sig ? sig : r;
}
