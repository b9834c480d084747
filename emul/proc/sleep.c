/* SPDX-License-Identifier: MIT */
/* nanosleep(2), clock_nanosleep(2): with the restart block of kernel/time/hrtimer.c. */
#include <linux/capability.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/proc/timers.h"

static int wait_until(struct task *t, struct deadline at)
{
	int r;

	do {
		waiter_prepare(&t->waiter);
		r = waiter_block(&t->waiter, at);
	} while (r == 0); /* a stray wake-up */
	return r == -ETIMEDOUT ? 0 : r;
}

static long put_remaining(struct task *t, gva_t rem, int64_t ns)
{
	struct timespec ts = ns_timespec(MAX(ns, (int64_t)0));

	return rem ? guest_write(t->mm, rem, &ts) : 0;
}

static long sleep_on(struct task *t, struct deadline at, gva_t rem);

static long restart_sleep(struct task *t, struct restart_block *rb)
{
	return sleep_on(t, rb->at, rb->arg[0]);
}

/* A relative sleep: interrupted, it goes on to the same point of time. */
static long sleep_on(struct task *t, struct deadline at, gva_t rem)
{
	int r = wait_until(t, at);
	int64_t left;

	if (r != -ERESTARTSYS)
		return r;
	left = deadline_is_forever(at) ? INT64_MAX : at.ns - clock_now(at.clock);
	if (left <= 0)
		return 0;
	if (put_remaining(t, rem, left) < 0)
		return -EFAULT;
	t->restart = (struct restart_block){ .fn = restart_sleep, .at = at, .arg = { rem } };
	return -ERESTART_RESTARTBLOCK;
}

long task_sleep(struct task *t, struct deadline at, bool absolute, gva_t rem)
{
	int r;

	if (!absolute)
		return sleep_on(t, at, rem);
	r = wait_until(t, at);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

/* --- CPU clocks: looked at again and again, as they cannot run faster than all processors --------------------- */

#define LOOK_MIN 1000000
#define LOOK_MAX 50000000

static int wait_cpu(struct task *t, int clock, int64_t target)
{
	int cpus = MAX(CPU_COUNT(&t->env->cpus), 1), r;
	int64_t now;

	for (;;) {
		int64_t step;

		r = task_clock_get(t, clock, &now);
		if (r < 0)
			return r;
		if (now >= target)
			return 0;
		step = MIN(MAX((target - now) / cpus, (int64_t)LOOK_MIN), (int64_t)LOOK_MAX);
		r = wait_until(t, deadline_after(CLOCK_MONOTONIC, step));
		if (r < 0)
			return r;
	}
}

static long cpu_sleep(struct task *t, int clock, int64_t target, gva_t rem);

static long restart_cpu(struct task *t, struct restart_block *rb)
{
	return cpu_sleep(t, (int)rb->arg[1], (int64_t)rb->arg[2], rb->arg[0]);
}

static long cpu_sleep(struct task *t, int clock, int64_t target, gva_t rem)
{
	int r = wait_cpu(t, clock, target);
	int64_t now;

	if (r != -ERESTARTSYS)
		return r;
	if (task_clock_get(t, clock, &now) == 0 && put_remaining(t, rem, target - now) < 0)
		return -EFAULT;
	t->restart = (struct restart_block){ .fn = restart_cpu, .arg = { rem, (uint64_t)clock, (uint64_t)target } };
	return -ERESTART_RESTARTBLOCK;
}

static long cpu_nanosleep(struct task *t, int clock, int flags, int64_t ns, gva_t rem)
{
	int64_t now = 0;
	int r;

	if (flags & TIMER_ABSTIME) {
		r = wait_cpu(t, clock, ns);
		return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
	}
	r = task_clock_get(t, clock, &now);
	if (r < 0)
		return r;
	return cpu_sleep(t, clock, __builtin_add_overflow(now, ns, &ns) ? INT64_MAX : ns, rem);
}

/* --- the calls --------------------------------------------------------------------------------------------------- */

int task_clock_can_sleep(struct task *t, int clock)
{
	struct task *task;
	struct proc *proc;
	int r;

	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_MONOTONIC:
	case CLOCK_BOOTTIME:
	case CLOCK_TAI:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_BOOTTIME_ALARM:
		return 0;
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_THREAD_CPUTIME_ID:
		return -EOPNOTSUPP;
	default:
		break;
	}
	r = clock_decode(t, clock, &task, &proc);
	if (r == 0 && task == t)
		r = -EINVAL; /* its clock would stand still */
	task_put(task);
	proc_put(proc);
	return r;
}

/* The clock that deadlines know, and what to take from an absolute time. */
static int base_of(int clock, int64_t *shift)
{
	*shift = 0;
	switch (clock) {
	case CLOCK_TAI: *shift = clock_tai_offset(); return CLOCK_REALTIME;
	case CLOCK_REALTIME_ALARM: return CLOCK_REALTIME;
	case CLOCK_BOOTTIME_ALARM: return CLOCK_BOOTTIME;
	default: return clock;
	}
}

long task_clock_nanosleep(struct task *t, int clock, int flags, const struct timespec *req, gva_t rem)
{
	int64_t ns = timespec_ns(req), shift;
	int base;

	if (clock_is_cpu(clock))
		return cpu_nanosleep(t, clock, flags, ns, rem);
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) && !cred_capable(t->fsc.cred, CAP_WAKE_ALARM))
		return -EPERM;
	base = base_of(clock, &shift);
	if (flags & TIMER_ABSTIME)
		return task_sleep(t, (struct deadline){ base, ns == INT64_MAX ? ns : ns - shift }, true, 0);
	/* Relative sleeps do not follow changes of the wall clock. */
	return task_sleep(t, deadline_after(base == CLOCK_REALTIME ? CLOCK_MONOTONIC : base, ns), false, rem);
}
