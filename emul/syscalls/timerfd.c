/* SPDX-License-Identifier: MIT */
/* timerfd(2). fs/timerfd.c. */
#include <linux/capability.h>
#include <sys/timerfd.h>

#include "emul/syscalls/handler.h"

long sys_timerfd_create(struct task *t, const struct sysargs *a)
{
	int clock = arg_int(a, 0), flags = arg_int(a, 1);
	struct file *f;
	int r = timerfd_new(clock, flags, &f);

	if (r < 0)
		return r;
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) &&
	    !cred_capable(t->fsc.cred, CAP_WAKE_ALARM)) {
		file_put(f);
		return -EPERM;
	}
	return fd_install(t, f, flags & TFD_CLOEXEC);
}

long sys_timerfd_settime(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 1);
	struct itimerspec val, old;
	AUTO(file) f = NULL;
	int r;

	if (guest_read(t->mm, &val, arg_gva(a, 2)) < 0)
		return -EFAULT;
	/* Before the descriptor, as Linux does. */
	if ((flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) || !timespec_ok(&val.it_value) ||
	    !timespec_ok(&val.it_interval))
		return -EINVAL;
	f = fd_file(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	r = timerfd_set(f, flags, &val, &old);
	if (r < 0 || !arg_gva(a, 3))
		return r;
	return guest_write(t->mm, arg_gva(a, 3), &old);
}

long sys_timerfd_gettime(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	struct itimerspec val;
	int r;

	if (!f)
		return -EBADF;
	r = timerfd_get(f, &val);
	return r < 0 ? r : guest_write(t->mm, arg_gva(a, 1), &val);
}
