/* SPDX-License-Identifier: MIT */
/* Clocks and sleeping. kernel/time/posix-timers.c, time.c. The clocks are the host's: nobody in here sets them. */
#include <sys/syscall.h> /* host syscalls: adjtimex */
#include <sys/times.h>
#include <sys/timex.h>

#include "emul/syscalls/handler.h"

#define NSEC_PER_TICK (NSEC_PER_SEC / 100) /* USER_HZ */
/* Bits of ADJ_OFFSET_SINGLESHOT and ADJ_OFFSET_SS_READ as the kernel has them. */
#define MODE_ADJTIME 0x8000u
#define MODE_SINGLESHOT 0x0001u
#define MODE_READONLY 0x2000u

/* --- reading ---------------------------------------------------------------------------------------------- */

long sys_clock_gettime(struct task *t, const struct sysargs *a)
{
	struct timespec ts;
	int64_t ns;
	int r = task_clock_get(t, arg_int(a, 0), &ns);

	if (r < 0)
		return r;
	ts = timespec_of(ns);
	return guest_write(t->mm, arg_gva(a, 1), &ts);
}

long sys_clock_getres(struct task *t, const struct sysargs *a)
{
	struct timespec ts;
	int64_t ns;
	int r = task_clock_getres(t, arg_int(a, 0), &ns);

	if (r < 0 || !arg_gva(a, 1))
		return r;
	ts = timespec_of(ns);
	return guest_write(t->mm, arg_gva(a, 1), &ts);
}

long sys_gettimeofday(struct task *t, const struct sysargs *a)
{
	struct timespec now = timespec_of(clock_now(CLOCK_REALTIME));
	struct timeval tv = { now.tv_sec, now.tv_nsec / 1000 };
	struct timezone tz = { 0, 0 };

	if (arg_gva(a, 0) && guest_write(t->mm, arg_gva(a, 0), &tv) < 0)
		return -EFAULT;
	return arg_gva(a, 1) ? guest_write(t->mm, arg_gva(a, 1), &tz) : 0;
}

long sys_time(struct task *t, const struct sysargs *a)
{
	/* The second of the last tick, as vDSOs say it: time() must not go back between the two. */
	int64_t now = clock_now(CLOCK_REALTIME_COARSE) / NSEC_PER_SEC;

	if (arg_gva(a, 0) && put_guest_u64(t->mm, arg_gva(a, 0), (uint64_t)now) < 0)
		return -EFAULT;
	return now;
}

static clock_t ticks(struct timeval tv)
{
	return tv.tv_sec * 100 + tv.tv_usec / 10000;
}

long sys_times(struct task *t, const struct sysargs *a)
{
	struct rusage own, children;
	struct tms tms;

	if (arg_gva(a, 0)) {
		task_usage(t, RUSAGE_SELF, &own);
		task_usage(t, RUSAGE_CHILDREN, &children);
		tms = (struct tms){ ticks(own.ru_utime), ticks(own.ru_stime), ticks(children.ru_utime),
				    ticks(children.ru_stime) };
		if (guest_write(t->mm, arg_gva(a, 0), &tms) < 0)
			return -EFAULT;
	}
	return clock_now(CLOCK_MONOTONIC) / NSEC_PER_TICK;
}

/* --- setting: refused, after Linux's checks ------------------------------------------------------------------ */

long sys_clock_settime(struct task *t, const struct sysargs *a)
{
	int clock = arg_int(a, 0);
	struct timespec ts;
	int64_t ns;

	/* Clocks that cannot be set, and CPU clocks of nobody. */
	if (clock > 0 || (clock < 0 && task_clock_get(t, clock, &ns) < 0))
		return -EINVAL;
	if (guest_read(t->mm, &ts, arg_gva(a, 1)) < 0)
		return -EFAULT;
	if (clock == CLOCK_REALTIME && !timespec_ok(&ts))
		return -EINVAL;
	return -EPERM;
}

long sys_settimeofday(struct task *t, const struct sysargs *a)
{
	struct timeval tv;
	struct timezone tz;

	if (arg_gva(a, 0)) {
		if (guest_read(t->mm, &tv, arg_gva(a, 0)) < 0)
			return -EFAULT;
		if (tv.tv_sec < 0 || tv.tv_usec < 0 || tv.tv_usec >= 1000000)
			return -EINVAL;
	}
	if (arg_gva(a, 1) && guest_read(t->mm, &tz, arg_gva(a, 1)) < 0)
		return -EFAULT;
	return -EPERM;
}

/* The state of the clock, which is the host's. What would change it is refused. */
static long adjust(struct task *t, struct timex *tx)
{
	if (tx->modes & MODE_ADJTIME) {
		if (!(tx->modes & MODE_SINGLESHOT))
			return -EINVAL;
		if (!(tx->modes & MODE_READONLY))
			return -EPERM;
		tx->modes = ADJ_OFFSET_SS_READ;
	} else if (tx->modes) {
		return -EPERM;
	}
	return HOST(syscall(SYS_adjtimex, tx));
}

static long adjust_guest(struct task *t, gva_t at, int clock)
{
	struct timex tx;
	int64_t ns;
	long r;

	if (guest_read(t->mm, &tx, at) < 0)
		return -EFAULT;
	if (clock != CLOCK_REALTIME)
		return task_clock_get(t, clock, &ns) < 0 ? -EINVAL : -EOPNOTSUPP;
	r = adjust(t, &tx);
	if (r >= 0 && guest_write(t->mm, at, &tx) < 0)
		return -EFAULT;
	return r;
}

long sys_adjtimex(struct task *t, const struct sysargs *a)
{
	return adjust_guest(t, arg_gva(a, 0), CLOCK_REALTIME);
}

long sys_clock_adjtime(struct task *t, const struct sysargs *a)
{
	return adjust_guest(t, arg_gva(a, 1), arg_int(a, 0));
}

/* --- sleeping --------------------------------------------------------------------------------------------------- */

static long nanosleep_on(struct task *t, int clock, int flags, gva_t req, gva_t rem)
{
	struct timespec ts;

	if (guest_read(t->mm, &ts, req) < 0)
		return -EFAULT;
	if (!timespec_ok(&ts))
		return -EINVAL;
	return task_clock_nanosleep(t, clock, flags, &ts, rem);
}

long sys_nanosleep(struct task *t, const struct sysargs *a)
{
	return nanosleep_on(t, CLOCK_MONOTONIC, 0, arg_gva(a, 0), arg_gva(a, 1));
}

long sys_clock_nanosleep(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 1) & TIMER_ABSTIME; /* others are ignored */
	int r = task_clock_can_sleep(t, arg_int(a, 0));

	if (r < 0)
		return r;
	return nanosleep_on(t, arg_int(a, 0), flags, arg_gva(a, 2), flags ? 0 : arg_gva(a, 3));
}
