/* SPDX-License-Identifier: MIT */
/* Timers that signal: interval timers, alarm(2), POSIX timers. kernel/time/itimer.c, posix-timers.c. */
#include "emul/syscalls/handler.h"

#define USEC_PER_SEC 1000000

/* --- interval timers ---------------------------------------------------------------------------------------- */

static bool timeval_ok(const struct timeval *tv)
{
	return tv->tv_sec >= 0 && (unsigned long)tv->tv_usec < USEC_PER_SEC;
}

long sys_getitimer(struct task *t, const struct sysargs *a)
{
	struct itimerval v;
	long r = itimer_get(t->proc, arg_int(a, 0), &v);

	return r < 0 ? r : guest_write(t->mm, arg_gva(a, 1), &v);
}

long sys_setitimer(struct task *t, const struct sysargs *a)
{
	struct itimerval v, old;
	long r;

	memset(&v, 0, sizeof(v)); /* no value: off, as Linux always did */
	if (arg_gva(a, 1)) {
		if (guest_read(t->mm, &v, arg_gva(a, 1)) < 0)
			return -EFAULT;
		if (!timeval_ok(&v.it_value) || !timeval_ok(&v.it_interval))
			return -EINVAL;
	}
	r = itimer_set(t->proc, arg_int(a, 0), &v, &old);
	if (r < 0 || !arg_gva(a, 2))
		return r;
	return guest_write(t->mm, arg_gva(a, 2), &old);
}

/* Whole seconds: rounded, but never to 0 what is still running. */
long sys_alarm(struct task *t, const struct sysargs *a)
{
	const struct itimerval v = { .it_value = { .tv_sec = arg_uint(a, 0) } };
	struct itimerval old;
	long r = itimer_set(t->proc, ITIMER_REAL, &v, &old), sec;

	if (r < 0)
		return 0;
	sec = old.it_value.tv_sec;
	if ((!sec && old.it_value.tv_usec) || old.it_value.tv_usec >= USEC_PER_SEC / 2)
		sec++;
	return (unsigned)sec;
}

/* --- POSIX timers --------------------------------------------------------------------------------------------- */

long sys_timer_create(struct task *t, const struct sysargs *a)
{
	struct sigevent ev;
	int id;
	long r;

	if (arg_gva(a, 1) && guest_read(t->mm, &ev, arg_gva(a, 1)) < 0)
		return -EFAULT;
	r = posix_timer_create(t, arg_int(a, 0), arg_gva(a, 1) ? &ev : NULL, &id);
	if (r < 0)
		return r;
	if (put_guest_u32(t->mm, arg_gva(a, 2), (uint32_t)id) < 0) {
		posix_timer_delete(t->proc, id);
		return -EFAULT;
	}
	return 0;
}

long sys_timer_settime(struct task *t, const struct sysargs *a)
{
	struct itimerspec v, old;
	long r;

	if (!arg_gva(a, 2))
		return -EINVAL;
	if (guest_read(t->mm, &v, arg_gva(a, 2)) < 0)
		return -EFAULT;
	if (!timespec_ok(&v.it_interval) || !timespec_ok(&v.it_value))
		return -EINVAL;
	r = posix_timer_settime(t->proc, arg_int(a, 0), arg_int(a, 1), &v, &old);
	if (r < 0 || !arg_gva(a, 3))
		return r;
	return guest_write(t->mm, arg_gva(a, 3), &old);
}

long sys_timer_gettime(struct task *t, const struct sysargs *a)
{
	struct itimerspec v;
	long r = posix_timer_gettime(t->proc, arg_int(a, 0), &v);

	return r < 0 ? r : guest_write(t->mm, arg_gva(a, 1), &v);
}

long sys_timer_getoverrun(struct task *t, const struct sysargs *a)
{
	return posix_timer_getoverrun(t->proc, arg_int(a, 0));
}

long sys_timer_delete(struct task *t, const struct sysargs *a)
{
	return posix_timer_delete(t->proc, arg_int(a, 0));
}
