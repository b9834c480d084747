/* SPDX-License-Identifier: MIT */
/* POSIX message queues: mq_*(2). ipc/mqueue.c. */
#include "emul/proc/mqueue.h"

#include "emul/syscalls/handler.h"

long sys_mq_open(struct task *t, const struct sysargs *a)
{
	struct mq_attr attr;
	char name[PATH_MAX];
	AUTO(file) f = NULL;
	int fd, r;

	if (arg_gva(a, 3) && guest_read(t->mm, &attr, arg_gva(a, 3)) < 0)
		return -EFAULT;
	r = arg_path(t, arg_gva(a, 0), name, false);
	if (r < 0)
		return r;
	fd = fdtab_reserve(t->fds, true, 0, nofile_limit(t));
	if (fd < 0)
		return fd;
	r = mqueue_open(t, name, arg_int(a, 1), arg_mode(a, 2), arg_gva(a, 3) ? &attr : NULL, &f);
	if (r < 0) {
		fdtab_unreserve(t->fds, fd);
		return r;
	}
	fdtab_fill(t->fds, fd, f);
	return fd;
}

long sys_mq_unlink(struct task *t, const struct sysargs *a)
{
	char name[PATH_MAX];
	int r = arg_path(t, arg_gva(a, 0), name, false);

	return r < 0 ? r : mqueue_unlink(t, name);
}

long sys_mq_timedsend(struct task *t, const struct sysargs *a)
{
	AUTO(mq_message) m = NULL;
	AUTO(file) f = NULL;
	size_t size = arg_size(a, 2);
	struct deadline d;
	int r = arg_timeout(t, arg_gva(a, 4), CLOCK_REALTIME, true, &d);

	if (r < 0)
		return r;
	if (arg_uint(a, 3) >= MQUEUE_PRIO_MAX)
		return -EINVAL;
	f = fd_file(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	r = mqueue_check_send(f, size);
	if (r < 0)
		return r;
	m = mq_message_new(arg_uint(a, 3), size);
	if (!m)
		return -ENOMEM;
	if (copy_from_guest(t->mm, mq_message_data(m), arg_gva(a, 1), size) < 0)
		return -EFAULT;
	r = mqueue_send(t, f, m, d);
	if (r == 0)
		steal(m);
	return r;
}

long sys_mq_timedreceive(struct task *t, const struct sysargs *a)
{
	AUTO(mq_message) m = NULL;
	AUTO(file) f = NULL;
	struct deadline d;
	int r = arg_timeout(t, arg_gva(a, 4), CLOCK_REALTIME, true, &d);

	if (r < 0)
		return r;
	f = fd_file(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	r = mqueue_check_receive(f, arg_size(a, 2));
	if (r < 0)
		return r;
	r = mqueue_receive(f, d, &m);
	if (r < 0)
		return r;
	if (arg_gva(a, 3) && put_guest_u32(t->mm, arg_gva(a, 3), mq_message_prio(m)) < 0)
		return -EFAULT;
	if (copy_to_guest(t->mm, arg_gva(a, 1), mq_message_data(m), mq_message_size(m)) < 0)
		return -EFAULT;
	return (long)mq_message_size(m);
}

/* SIGEV_THREAD means: write a cookie to a netlink socket, on which libc's helper thread sleeps. */
static int read_event(struct task *t, gva_t at, struct sigevent *ev, struct file **ret_sock, unsigned char cookie[NOTIFY_COOKIE_LEN])
{
	if (guest_read(t->mm, ev, at) < 0)
		return -EFAULT;
	switch (ev->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
		return (unsigned)ev->sigev_signo > NSIG_LINUX ? -EINVAL : 0;
	case SIGEV_THREAD:
		break;
	default:
		return -EINVAL;
	}
	if (copy_from_guest(t->mm, cookie, (gva_t)(uintptr_t)ev->sigev_value.sival_ptr, NOTIFY_COOKIE_LEN) < 0)
		return -EFAULT;
	*ret_sock = fd_file(t, ev->sigev_signo);
	if (!*ret_sock)
		return -EBADF;
	return (*ret_sock)->ops->deliver ? (*ret_sock)->ops->deliver(*ret_sock, NULL, 0) : -EINVAL;
}

long sys_mq_notify(struct task *t, const struct sysargs *a)
{
	unsigned char cookie[NOTIFY_COOKIE_LEN];
	AUTO(file) sock = NULL;
	AUTO(file) f = NULL;
	struct sigevent ev;
	int r = arg_gva(a, 1) ? read_event(t, arg_gva(a, 1), &ev, &sock, cookie) : 0;

	if (r < 0)
		return r;
	f = fd_file(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	return mqueue_notify(t, f, arg_gva(a, 1) ? &ev : NULL, sock, sock ? cookie : NULL);
}

long sys_mq_getsetattr(struct task *t, const struct sysargs *a)
{
	struct mq_attr set, old;
	AUTO(file) f = NULL;
	int r;

	if (arg_gva(a, 1)) {
		if (guest_read(t->mm, &set, arg_gva(a, 1)) < 0)
			return -EFAULT;
		if (set.mq_flags & ~O_NONBLOCK)
			return -EINVAL;
	}
	f = fd_file(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	r = mqueue_getattr(f, &old);
	if (r == 0 && arg_gva(a, 1))
		r = mqueue_setflags(f, (unsigned)set.mq_flags);
	if (r == 0 && arg_gva(a, 2) && guest_write(t->mm, arg_gva(a, 2), &old) < 0)
		r = -EFAULT;
	return r;
}
