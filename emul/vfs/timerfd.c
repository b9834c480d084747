/* SPDX-License-Identifier: MIT */
/*
 * timerfd_create(2). As in Linux an interval timer rings once and is wound up again by the next read
 * (or look), which then counts what was missed: an interval of a nanosecond costs nothing.
 * TFD_TIMER_CANCEL_ON_SET: a change of the host's realtime clock makes read fail with ECANCELED.
 *
 * Lock order: cancel list lock -> timerfd->lock -> base/timer. The *_ALARM clocks are their plain
 * relatives (nothing suspends here); the caller has checked CAP_WAKE_ALARM.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include "emul/base/err.h"
#include "emul/base/timer.h"
#include "emul/mm/mm.h"
#include "emul/vfs/pseudo.h"

#define NS 1000000000LL
#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

struct timerfd {
	struct file file;
	struct mutex lock;
	struct timer timer;
	int clock;                /* constant: what it was created with */
	/* lock: */
	struct deadline expiry;   /* of the running or last ring */
	int64_t interval;
	uint64_t ticks;
	bool armed;               /* the timer runs; cleared by its ring */
	bool expired;             /* it rang and is not wound up yet */
	bool cancel_on_set, canceled;
	int settime_flags;
	struct list cancel_node;  /* cancel.lock */
};

static struct { struct mutex lock; struct list timers; bool hooked; } cancel = {
	.lock = MUTEX_INIT, .timers = LIST_INIT(cancel.timers),
};

static const struct file_ops timerfd_ops;

static struct timerfd *timerfd_of(struct file *f)
{
	return container_of(f, struct timerfd, file);
}

static int base_clock(int clock)
{
	switch (clock) {
	case CLOCK_REALTIME_ALARM: return CLOCK_REALTIME;
	case CLOCK_BOOTTIME_ALARM: return CLOCK_BOOTTIME;
	default: return clock;
	}
}

/* --- ringing --------------------------------------------------------------------------------------------- */

static void ring(struct timer *t)
{
	struct timerfd *tf = container_of(t, struct timerfd, timer);

	mutex_lock(&tf->lock);
	/* It may have been set anew since this ring was on its way. */
	if (tf->armed && clock_now(tf->expiry.clock) >= tf->expiry.ns) {
		tf->armed = false;
		tf->expired = true;
		tf->ticks++;
		waitq_wake(&tf->file.wq, EPOLLIN);
	}
	mutex_unlock(&tf->lock);
}

static void arm_locked(struct timerfd *tf)
{
	tf->armed = true;
	timer_arm(&tf->timer, tf->expiry);
}

/* After a ring of an interval timer: winds it up for its next time to come. The rings missed meanwhile. */
static uint64_t wind_up_locked(struct timerfd *tf)
{
	int64_t late;
	uint64_t missed;

	if (!tf->expired || !tf->interval)
		return 0;
	tf->expired = false;
	late = clock_now(tf->expiry.clock) - tf->expiry.ns;
	missed = late > 0 ? late / tf->interval : 0;
	if (__builtin_add_overflow(tf->expiry.ns, (int64_t)(missed + 1) * tf->interval, &tf->expiry.ns))
		tf->expiry.ns = INT64_MAX;
	arm_locked(tf);
	return missed;
}

static void clock_was_set(void)
{
	struct timerfd *tf;

	mutex_lock(&cancel.lock);
	list_for_each(tf, &cancel.timers, cancel_node) {
		mutex_lock(&tf->lock);
		if (tf->cancel_on_set) {
			tf->canceled = true;
			tf->ticks++;
			waitq_wake(&tf->file.wq, EPOLLIN);
		}
		mutex_unlock(&tf->lock);
	}
	mutex_unlock(&cancel.lock);
}

/* --- operations ------------------------------------------------------------------------------------------- */

static ssize_t timerfd_read(struct file *f, struct uio *to, off_t *pos)
{
	struct timerfd *tf = timerfd_of(f);
	uint64_t ticks = 0;
	int r = 0;

	(void)pos;
	if (uio_left(to) < sizeof(ticks))
		return -EINVAL;
	mutex_lock(&tf->lock);
	while (!tf->ticks && r == 0)
		r = file_nonblock(f) ? -EAGAIN : waitq_sleep(&f->wq, &tf->lock, FOREVER);
	if (tf->canceled) {
		/* The program must think again: no ticks, and nothing is wound up. */
		tf->canceled = false;
		tf->ticks = 0;
		tf->expired = false;
		r = -ECANCELED;
	}
	if (tf->ticks) {
		ticks = tf->ticks + wind_up_locked(tf);
		tf->ticks = 0;
		r = 0;
	}
	mutex_unlock(&tf->lock);
	return r < 0 ? r : uio_copy_out(to, &ticks, sizeof(ticks));
}

static uint32_t timerfd_poll(struct file *f)
{
	struct timerfd *tf = timerfd_of(f);
	uint32_t ev;

	mutex_lock(&tf->lock);
	ev = tf->ticks ? EPOLLIN : 0;
	mutex_unlock(&tf->lock);
	return ev;
}

static long timerfd_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	struct timerfd *tf = timerfd_of(f);
	uint64_t ticks;

	if (cmd != TFD_IOC_SET_TICKS)
		return -ENOTTY;
	if (copy_from_guest(c->mm, &ticks, arg, sizeof(ticks)) < 0)
		return -EFAULT;
	if (!ticks)
		return -EINVAL;
	mutex_lock(&tf->lock);
	if (!tf->canceled) {
		tf->ticks = ticks;
		waitq_wake(&f->wq, EPOLLIN);
	}
	mutex_unlock(&tf->lock);
	return 0;
}

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NS, .tv_nsec = ns % NS };
}

/* Time to the next ring, and the interval. */
static void state_locked(struct timerfd *tf, struct itimerspec *ret)
{
	int64_t left = 0;

	if (tf->armed) {
		left = tf->expiry.ns - clock_now(tf->expiry.clock);
		if (left <= 0)
			left = 1; /* armed is not "disarmed", though the ring is on its way */
	}
	ret->it_value = to_timespec(left);
	ret->it_interval = to_timespec(tf->interval);
}

static void timerfd_fdinfo(struct file *f, void *out_seq)
{
	struct timerfd *tf = timerfd_of(f);
	struct itimerspec its;

	mutex_lock(&tf->lock);
	state_locked(tf, &its);
	seq_printf(out_seq, "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%llu, %llu)\nit_interval: (%llu, %llu)\n",
		   tf->clock, (unsigned long long)tf->ticks, tf->settime_flags,
		   (unsigned long long)its.it_value.tv_sec, (unsigned long long)its.it_value.tv_nsec,
		   (unsigned long long)its.it_interval.tv_sec, (unsigned long long)its.it_interval.tv_nsec);
	mutex_unlock(&tf->lock);
}

static void timerfd_release(struct file *f)
{
	struct timerfd *tf = timerfd_of(f);

	mutex_lock(&cancel.lock);
	list_del(&tf->cancel_node);
	mutex_unlock(&cancel.lock);
	timer_cancel_sync(&tf->timer);
	file_fini(f);
	mutex_fini(&tf->lock);
	free(tf);
}

static const struct file_ops timerfd_ops = {
	.name = "timerfd",
	.read_waits_first = true,
	.read = timerfd_read,
	.lseek = file_noop_lseek,
	.poll = timerfd_poll,
	.ioctl = timerfd_ioctl,
	.fdinfo = timerfd_fdinfo,
	.release = timerfd_release,
};

/* --- calls ------------------------------------------------------------------------------------------------- */

int timerfd_new(int clock, int flags, struct file **ret)
{
	struct timerfd *tf;
	int base = base_clock(clock);

	if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
		return -EINVAL;
	if (base != CLOCK_MONOTONIC && base != CLOCK_REALTIME && base != CLOCK_BOOTTIME)
		return -EINVAL;
	tf = calloc(1, sizeof(*tf));
	if (!tf)
		return -ENOMEM;
	file_init(&tf->file, &timerfd_ops, O_RDWR | (flags & TFD_NONBLOCK));
	mutex_init(&tf->lock);
	timer_init(&tf->timer, ring);
	list_init(&tf->cancel_node);
	tf->clock = clock;
	*ret = &tf->file;
	return 0;
}

static bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NS;
}

/* Saturates: far beyond any clock is never. */
static int64_t to_ns(const struct timespec *ts)
{
	return ts->tv_sec > INT64_MAX / NS - 1 ? INT64_MAX : ts->tv_sec * NS + ts->tv_nsec;
}

/* Cancel-on-set is for absolute times of the realtime clock; others drop off the list. */
static void set_cancel(struct timerfd *tf, int flags)
{
	bool want = base_clock(tf->clock) == CLOCK_REALTIME && (flags & TFD_TIMER_ABSTIME) && (flags & TFD_TIMER_CANCEL_ON_SET);
	bool had;

	mutex_lock(&tf->lock);
	had = tf->cancel_on_set;
	mutex_unlock(&tf->lock);
	if (!want && !had)
		return;
	mutex_lock(&cancel.lock);
	if (want && list_empty(&tf->cancel_node))
		list_add_tail(&cancel.timers, &tf->cancel_node);
	if (want && !cancel.hooked) {
		cancel.hooked = true;
		timer_on_clock_set(clock_was_set);
	}
	mutex_lock(&tf->lock);
	tf->cancel_on_set = want;
	mutex_unlock(&tf->lock);
	mutex_unlock(&cancel.lock);
}

static int set_locked(struct timerfd *tf, int flags, const struct itimerspec *val)
{
	int64_t value = to_ns(&val->it_value);

	timer_cancel(&tf->timer);
	tf->armed = tf->expired = false;
	tf->ticks = 0;
	tf->interval = to_ns(&val->it_interval);
	tf->settime_flags = flags;
	if (!value)
		return 0;
	if (flags & TFD_TIMER_ABSTIME) {
		tf->expiry = (struct deadline){ base_clock(tf->clock), value };
	} else {
		/* A relative time does not follow when the realtime clock is set. */
		int clock = base_clock(tf->clock) == CLOCK_REALTIME ? CLOCK_MONOTONIC : base_clock(tf->clock);

		tf->expiry = deadline_after(clock, value);
	}
	arm_locked(tf);
	if (tf->canceled) {
		tf->canceled = false;
		return -ECANCELED; /* it is set all the same */
	}
	return 0;
}

int timerfd_set(struct file *f, int flags, const struct itimerspec *val, struct itimerspec *ret_old)
{
	struct timerfd *tf = timerfd_of(f);
	int r;

	if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) || !timespec_valid(&val->it_value) ||
	    !timespec_valid(&val->it_interval) || f->ops != &timerfd_ops)
		return -EINVAL;
	set_cancel(tf, flags);
	mutex_lock(&tf->lock);
	wind_up_locked(tf); /* so that the old value says when it would have rung */
	if (ret_old)
		state_locked(tf, ret_old);
	r = set_locked(tf, flags, val);
	mutex_unlock(&tf->lock);
	return r;
}

int timerfd_get(struct file *f, struct itimerspec *ret)
{
	struct timerfd *tf = timerfd_of(f);

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	mutex_lock(&tf->lock);
	tf->ticks += wind_up_locked(tf);
	state_locked(tf, ret);
	mutex_unlock(&tf->lock);
	return 0;
}
