/* SPDX-License-Identifier: MIT */
/*
 * timer_create(2) and its family: kernel/time/posix-timers.c. A timer has one signal pending at most; what it missed until
 * that was taken is the overrun count. All state is under proc->lock; the reactor's callback takes it.
 */
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/timers.h"

#define ON_CPU (-1)

/* --- time --------------------------------------------------------------------------------------------------- */

/* The clock that the reactor arms it on; -EINVAL, -EOPNOTSUPP. */
static int base_of(int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		return CLOCK_REALTIME;
	case CLOCK_MONOTONIC:
		return CLOCK_MONOTONIC;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return CLOCK_BOOTTIME;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

int64_t posix_timer_cpu_now_locked(struct posix_timer *pt)
{
	struct proc *p = pt->clock_proc ? pt->clock_proc : pt->proc;
	uint64_t total;

	if (pt->clock_task)
		return (int64_t)task_cpu_ns(pt->clock_task);
	if (p == pt->proc) {
		proc_cpu_locked(p, NULL, &total);
		return (int64_t)total;
	}
	/* Another process's: two of these locks are never held at once, so its time is summed without one. */
	return pt->at;
}

static int64_t now_of(struct posix_timer *pt)
{
	return pt->base == ON_CPU ? posix_timer_cpu_now_locked(pt) : clock_now(pt->base);
}

static void arm(struct posix_timer *pt)
{
	if (pt->base == ON_CPU)
		cputimer_start_locked(pt->proc);
	else
		timer_arm(&pt->timer, (struct deadline){ pt->base, pt->at });
}

/* --- expiring ------------------------------------------------------------------------------------------------- */

/* From `now` on, which may be later than it is. */
static void next_round(struct posix_timer *pt, int64_t now, bool count)
{
	int64_t missed = 0;

	if (!pt->interval) {
		pt->at = 0;
		return;
	}
	pt->at = itimer_forward(pt->at, pt->interval, now, &missed);
	if (count)
		pt->overrun = MIN(pt->overrun + missed, (int64_t)INT32_MAX);
}

static int send(struct posix_timer *pt)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = pt->sig;
	info.si_code = SI_TIMER;
	info.si_timerid = pt->id;
	info.si_value = pt->value;
	return signal_send_locked(pt->proc, pt->target, pt->sig, &info, false, pt);
}

void posix_timer_expired_locked(struct posix_timer *pt, int64_t now)
{
	int r = pt->notify == SIGEV_NONE ? SIG_IGNORED : send(pt);

	if (r == SIG_SENT) {
		pt->queued = true;
		return;
	}
	if (r == -EAGAIN)
		pt->overrun++;
	next_round(pt, pt->interval < TIMER_IGNORED_STEP ? now + TIMER_IGNORED_STEP : now, r != SIG_IGNORED);
	if (pt->at && pt->base != ON_CPU)
		arm(pt);
}

static void fire(struct timer *t)
{
	struct posix_timer *pt = container_of(t, struct posix_timer, timer);
	struct proc *p = pt->proc;

	mutex_lock(&p->lock);
	if (!pt->deleted && pt->at && !pt->queued) {
		int64_t now = clock_now(pt->base);

		if (now >= pt->at)
			posix_timer_expired_locked(pt, now);
		else
			arm(pt);
	}
	mutex_unlock(&p->lock);
}

static void go_on(struct posix_timer *pt, bool count)
{
	pt->queued = false;
	if (pt->deleted || !pt->at)
		return;
	next_round(pt, now_of(pt), count);
	if (pt->at)
		arm(pt);
}

void posix_timer_taken_locked(struct posix_timer *pt, siginfo_t *info)
{
	go_on(pt, true);
	pt->overrun_last = pt->overrun;
	pt->overrun = 0;
	info->si_overrun = (int)pt->overrun_last;
}

void posix_timer_dropped_locked(struct posix_timer *pt)
{
	go_on(pt, false);
}

/* --- making and removing ---------------------------------------------------------------------------------------- */

static void timer_free(struct posix_timer *pt)
{
	task_put(pt->target);
	task_put(pt->clock_task);
	proc_put(pt->clock_proc);
	free(pt);
}

static int set_event(struct task *t, struct posix_timer *pt, const struct sigevent *ev)
{
	if (!ev) {
		pt->notify = SIGEV_SIGNAL;
		pt->sig = SIGALRM;
		return 0;
	}
	pt->notify = ev->sigev_notify;
	pt->sig = ev->sigev_signo;
	pt->value = ev->sigev_value;
	switch (ev->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		break;
	case SIGEV_THREAD_ID:
		pt->target = task_find(ev->_sigev_un._tid);
		if (!pt->target || pt->target->proc != t->proc)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	return signal_valid(ev->sigev_signo) ? 0 : -EINVAL;
}

static int set_clock(struct task *t, struct posix_timer *pt, int clock)
{
	int r;

	pt->clock = clock;
	if (!clock_is_cpu(clock)) {
		r = base_of(clock);
		pt->base = r;
		if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) && !cred_capable(t->fsc.cred, CAP_WAKE_ALARM))
			return -EPERM;
		return r < 0 ? r : 0;
	}
	pt->base = ON_CPU;
	r = clock_decode(t, clock, &pt->clock_task, &pt->clock_proc);
	if (r == 0 && pt->clock_proc == t->proc) {
		proc_put(pt->clock_proc); /* no cycle */
		pt->clock_proc = NULL;
	}
	return r == 0 && pt->clock_proc ? -EOPNOTSUPP : r;
}

long posix_timer_create(struct task *t, int clock, const struct sigevent *ev, int *ret_id)
{
	struct posix_timer *pt = calloc(1, sizeof(*pt));
	struct proc *p = t->proc;
	int r;

	if (!pt)
		return -EAGAIN;
	pt->proc = p;
	timer_init(&pt->timer, fire);
	r = set_clock(t, pt, clock);
	if (r == 0)
		r = set_event(t, pt, ev);
	if (r == 0) {
		mutex_lock(&p->lock);
		r = idmap_add(&p->timers, pt);
		pt->id = r;
		if (r >= 0 && !ev)
			pt->value.sival_int = r;
		mutex_unlock(&p->lock);
	}
	if (r < 0) {
		timer_free(pt);
		return r == -ENOMEM || r == -ENOSPC ? -EAGAIN : r;
	}
	*ret_id = r;
	return 0;
}

/* Out of the table, and its signals with it. */
static void unlink_locked(struct posix_timer *pt)
{
	struct proc *p = pt->proc;
	struct task *th;

	idmap_remove(&p->timers, pt->id);
	pt->deleted = true;
	sigpending_drop_timer(&p->pending, pt);
	list_for_each(th, &p->threads, thread_node)
		sigpending_drop_timer(&th->pending, pt);
	if (pt->target) /* it may have left the list */
		sigpending_drop_timer(&pt->target->pending, pt);
}

static void destroy(struct posix_timer *pt)
{
	timer_cancel_sync(&pt->timer);
	timer_free(pt);
}

long posix_timer_delete(struct proc *p, int id)
{
	struct posix_timer *pt;

	mutex_lock(&p->lock);
	pt = id < 0 ? NULL : idmap_find(&p->timers, id);
	if (pt)
		unlink_locked(pt);
	mutex_unlock(&p->lock);
	if (!pt)
		return -EINVAL;
	destroy(pt);
	return 0;
}

void proc_timers_exit(struct proc *p)
{
	for (;;) {
		struct posix_timer *pt;
		int id = 0;

		mutex_lock(&p->lock);
		pt = idmap_next(&p->timers, &id);
		if (pt)
			unlink_locked(pt);
		mutex_unlock(&p->lock);
		if (!pt)
			return;
		destroy(pt);
	}
}

/* --- setting ---------------------------------------------------------------------------------------------------------- */

static void get_locked(struct posix_timer *pt, struct itimerspec *ret)
{
	int64_t now, left = 0, missed;

	if (pt->at) {
		now = now_of(pt);
		/* One without a signal goes on by itself; one whose signal waits shows the next round. */
		if (now >= pt->at && pt->interval && (pt->notify == SIGEV_NONE || pt->queued))
			left = itimer_forward(pt->at, pt->interval, now, &missed) - now;
		else if (now < pt->at)
			left = pt->at - now;
		else
			left = pt->notify == SIGEV_NONE || pt->queued ? 0 : 1;
	}
	ret->it_value = ns_timespec(left);
	ret->it_interval = ns_timespec(pt->interval);
}

long posix_timer_gettime(struct proc *p, int id, struct itimerspec *ret)
{
	struct posix_timer *pt;

	mutex_lock(&p->lock);
	pt = id < 0 ? NULL : idmap_find(&p->timers, id);
	if (pt)
		get_locked(pt, ret);
	mutex_unlock(&p->lock);
	return pt ? 0 : -EINVAL;
}

static void set_locked(struct posix_timer *pt, int flags, const struct itimerspec *val)
{
	int64_t value = timespec_ns(&val->it_value), now;

	timer_cancel(&pt->timer);
	/* A relative time does not follow changes of the wall clock. */
	if (pt->base != ON_CPU)
		pt->base = base_of(pt->clock);
	if (pt->base == CLOCK_REALTIME && !(flags & TIMER_ABSTIME))
		pt->base = CLOCK_MONOTONIC;
	now = now_of(pt);
	pt->overrun = pt->overrun_last = 0;
	pt->at = 0;
	pt->queued = false;
	sigpending_drop_timer(&pt->proc->pending, pt);
	if (pt->target)
		sigpending_drop_timer(&pt->target->pending, pt);
	pt->interval = value || pt->base == ON_CPU ? timespec_ns(&val->it_interval) : 0;
	if (!value)
		return;
	if (!(flags & TIMER_ABSTIME))
		value = __builtin_add_overflow(now, value, &value) ? INT64_MAX - 1 : value;
	else if (pt->clock == CLOCK_TAI)
		value -= clock_tai_offset();
	pt->at = MAX(MIN(value, INT64_MAX - 1), (int64_t)1);
	if (pt->notify != SIGEV_NONE)
		arm(pt);
}

long posix_timer_settime(struct proc *p, int id, int flags, const struct itimerspec *val, struct itimerspec *ret_old)
{
	struct posix_timer *pt;

	if (!timespec_valid(&val->it_value) || !timespec_valid(&val->it_interval))
		return -EINVAL;
	mutex_lock(&p->lock);
	pt = id < 0 ? NULL : idmap_find(&p->timers, id);
	if (pt) {
		if (ret_old)
			get_locked(pt, ret_old);
		set_locked(pt, flags, val);
	}
	mutex_unlock(&p->lock);
	return pt ? 0 : -EINVAL;
}

long posix_timer_getoverrun(struct proc *p, int id)
{
	struct posix_timer *pt;
	long r = -EINVAL;

	mutex_lock(&p->lock);
	pt = id < 0 ? NULL : idmap_find(&p->timers, id);
	if (pt)
		r = (long)pt->overrun_last;
	mutex_unlock(&p->lock);
	return r;
}
