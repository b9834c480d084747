/* SPDX-License-Identifier: MIT */
/* epoll(7). fs/eventpoll.c for the order of checks; emul/vfs/epoll.c does the work. */
#include "emul/syscalls/handler.h"

#define MAX_EVENTS (INT_MAX / (int)sizeof(struct epoll_event)) /* Linux's EP_MAX_EVENTS */
#define FEW 32      /* events on the stack */
#define MANY 65536  /* of one call: bounds our memory; what is left comes with the next one */

/* --- making, control ----------------------------------------------------------------------------------------- */

static long create(struct task *t, int flags)
{
	struct file *f;
	int r = epoll_new(flags, &f);

	return r < 0 ? r : fd_install(t, f, flags & EPOLL_CLOEXEC);
}

long sys_epoll_create(struct task *t, const struct sysargs *a)
{
	return arg_int(a, 0) <= 0 ? -EINVAL : create(t, 0);
}

long sys_epoll_create1(struct task *t, const struct sysargs *a)
{
	return create(t, arg_int(a, 0));
}

long sys_epoll_ctl(struct task *t, const struct sysargs *a)
{
	int op = arg_int(a, 1), fd = arg_int(a, 2);
	struct epoll_event ev = { 0 };
	AUTO(file) target = NULL;
	AUTO(file) ep = NULL;

	if (op != EPOLL_CTL_DEL && guest_read(t->mm, &ev, arg_gva(a, 3)) < 0)
		return -EFAULT;
	ep = fd_file(t, arg_int(a, 0));
	target = fd_file(t, fd);
	if (!ep || !target)
		return -EBADF;
	return epoll_control(ep, op, fd, target, &ev);
}

/* --- waiting --------------------------------------------------------------------------------------------------- */

struct wait_args {
	int epfd, max;
	gva_t events;
	struct deadline at;
};

static struct wait_args wait_args(const struct sysargs *a)
{
	return (struct wait_args){ .epfd = arg_int(a, 0), .events = arg_gva(a, 1), .max = arg_int(a, 2) };
}

static struct deadline ms_deadline(int ms)
{
	return ms < 0 ? FOREVER : deadline_after(CLOCK_MONOTONIC, (int64_t)ms * 1000000);
}

static long wait_events(struct task *t, const struct wait_args *w)
{
	struct epoll_event few[FEW], *ev = few;
	AUTO(file) ep = fd_file(t, w->epfd);
	AUTO_FREE struct epoll_event *many = NULL;
	int max = MIN(w->max, MANY), n;

	if (!ep)
		return -EBADF;
	if (w->max <= 0 || w->max > MAX_EVENTS)
		return -EINVAL;
	if (!range_ok(w->events, (size_t)w->max * sizeof(*ev)))
		return -EFAULT;
	if (max > FEW) {
		ev = many = malloc((size_t)max * sizeof(*ev));
		if (!many)
			return -ENOMEM;
	}
	n = epoll_collect(ep, ev, max, w->at);
	if (n > 0 && copy_to_guest(t->mm, w->events, ev, (size_t)n * sizeof(*ev)) < 0)
		return -EFAULT;
	return n == -ERESTARTSYS ? -EINTR : n; /* never restarted, signal(7) */
}

/* With the caller's mask for the time of the call. */
static long wait_masked(struct task *t, const struct wait_args *w, gva_t set, size_t size)
{
	bool masked;
	sigmask_t mask;
	long r = arg_sigmask(t, set, size, &mask, &masked);

	if (r < 0)
		return r;
	if (masked)
		signal_call_mask(t, mask);
	r = wait_events(t, w);
	if (masked)
		signal_call_mask_done(t, r == -EINTR);
	return r;
}

long sys_epoll_wait(struct task *t, const struct sysargs *a)
{
	struct wait_args w = wait_args(a);

	w.at = ms_deadline(arg_int(a, 3));
	return wait_events(t, &w);
}

long sys_epoll_pwait(struct task *t, const struct sysargs *a)
{
	struct wait_args w = wait_args(a);

	w.at = ms_deadline(arg_int(a, 3));
	return wait_masked(t, &w, arg_gva(a, 4), arg_size(a, 5));
}

long sys_epoll_pwait2(struct task *t, const struct sysargs *a)
{
	struct wait_args w = wait_args(a);
	int r = arg_timeout(t, arg_gva(a, 3), CLOCK_MONOTONIC, false, &w.at);

	return r < 0 ? r : wait_masked(t, &w, arg_gva(a, 4), arg_size(a, 5));
}
