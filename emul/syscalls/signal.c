/* SPDX-License-Identifier: MIT */
/* Signals. kernel/signal.c; the rules are in emul/proc/signal*.c. */
#include "emul/syscalls/handler.h"

/* --- actions and masks ------------------------------------------------------------------------------------ */

long sys_rt_sigaction(struct task *t, const struct sysargs *a)
{
	gva_t set = arg_gva(a, 1), old = arg_gva(a, 2);
	struct ksigaction now, was;
	long r;

	if (arg_size(a, 3) != sizeof(sigmask_t))
		return -EINVAL;
	if (set && guest_read(t->mm, &now, set) < 0)
		return -EFAULT;
	r = signal_action(t, arg_int(a, 0), set ? &now : NULL, old ? &was : NULL);
	if (r == 0 && old)
		r = guest_write(t->mm, old, &was);
	return r;
}

long sys_rt_sigprocmask(struct task *t, const struct sysargs *a)
{
	sigmask_t old = signal_mask(t), set;

	if (arg_size(a, 3) != sizeof(sigmask_t))
		return -EINVAL;
	if (arg_gva(a, 1)) {
		if (guest_read(t->mm, &set, arg_gva(a, 1)) < 0)
			return -EFAULT;
		switch (arg_int(a, 0)) {
		case SIG_BLOCK: signal_set_mask(t, old | set); break;
		case SIG_UNBLOCK: signal_set_mask(t, old & ~set); break;
		case SIG_SETMASK: signal_set_mask(t, set); break;
		default: return -EINVAL;
		}
	}
	return arg_gva(a, 2) ? guest_write(t->mm, arg_gva(a, 2), &old) : 0;
}

long sys_rt_sigpending(struct task *t, const struct sysargs *a)
{
	size_t size = arg_size(a, 1);
	sigmask_t set;

	if (size > sizeof(sigmask_t))
		return -EINVAL;
	set = signal_pending_set(t);
	return copy_to_guest(t->mm, arg_gva(a, 0), &set, size);
}

long sys_sigaltstack(struct task *t, const struct sysargs *a)
{
	gva_t set = arg_gva(a, 0), old = arg_gva(a, 1);
	stack_t now, was;
	long r;

	if (set && guest_read(t->mm, &now, set) < 0)
		return -EFAULT;
	r = signal_altstack(t, set ? &now : NULL, &was, t->regs.rsp);
	if (r == 0 && old)
		r = guest_write(t->mm, old, &was);
	return r;
}

/* --- coming back --------------------------------------------------------------------------------------------- */

long sys_rt_sigreturn(struct task *t, const struct sysargs *a)
{
	return signal_return(t);
}

long sys_restart_syscall(struct task *t, const struct sysargs *a)
{
	return signal_restart_call(t);
}

/* --- waiting -------------------------------------------------------------------------------------------------- */

long sys_pause(struct task *t, const struct sysargs *a)
{
	int r;

	do {
		waiter_prepare(&t->waiter);
		r = waiter_block(&t->waiter, FOREVER);
	} while (r == 0); /* a stray wake-up */
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}

long sys_rt_sigsuspend(struct task *t, const struct sysargs *a)
{
	sigmask_t set;

	if (arg_size(a, 1) != sizeof(set))
		return -EINVAL;
	if (guest_read(t->mm, &set, arg_gva(a, 0)) < 0)
		return -EFAULT;
	return signal_suspend(t, set);
}

long sys_rt_sigtimedwait(struct task *t, const struct sysargs *a)
{
	struct deadline d;
	siginfo_t info;
	sigmask_t set;
	long sig;
	int r;

	if (arg_size(a, 3) != sizeof(set))
		return -EINVAL;
	if (guest_read(t->mm, &set, arg_gva(a, 0)) < 0)
		return -EFAULT;
	r = arg_timeout(t, arg_gva(a, 2), CLOCK_MONOTONIC, false, &d);
	if (r < 0)
		return r;
	memset(&info, 0, sizeof(info));
	sig = signal_timedwait(t, set, &d, &info);
	if (sig > 0 && arg_gva(a, 1) && guest_write(t->mm, arg_gva(a, 1), &info) < 0)
		return -EFAULT;
	return sig;
}

/* --- sending --------------------------------------------------------------------------------------------------- */

long sys_kill(struct task *t, const struct sysargs *a)
{
	return signal_kill(t, arg_int(a, 0), arg_int(a, 1));
}

long sys_tkill(struct task *t, const struct sysargs *a)
{
	return signal_tgkill(t, 0, arg_int(a, 0), arg_int(a, 1));
}

long sys_tgkill(struct task *t, const struct sysargs *a)
{
	/* tgid 0 means tkill(2) below here */
	if (arg_int(a, 0) <= 0 || arg_int(a, 1) <= 0)
		return -EINVAL;
	return signal_tgkill(t, arg_int(a, 0), arg_int(a, 1), arg_int(a, 2));
}

long sys_rt_sigqueueinfo(struct task *t, const struct sysargs *a)
{
	siginfo_t info;

	if (guest_read(t->mm, &info, arg_gva(a, 2)) < 0)
		return -EFAULT;
	return signal_queueinfo(t, arg_int(a, 0), 0, arg_int(a, 1), &info);
}

long sys_rt_tgsigqueueinfo(struct task *t, const struct sysargs *a)
{
	pid_t tgid = arg_int(a, 0), tid = arg_int(a, 1);
	siginfo_t info;

	if (guest_read(t->mm, &info, arg_gva(a, 3)) < 0)
		return -EFAULT;
	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	return signal_queueinfo(t, tgid, tid, arg_int(a, 2), &info);
}
