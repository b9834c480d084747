/* SPDX-License-Identifier: MIT */
/* Descriptors that tell what happens: signalfd(2), inotify(7). fs/signalfd.c, fs/notify/inotify/inotify_user.c. */
#include <sys/inotify.h>
#include <sys/signalfd.h>

#include "emul/syscalls/handler.h"

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif
#define IN_OPTIONS (IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)
#define IN_BITS ((unsigned)(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_OPTIONS))

/* --- signalfd ------------------------------------------------------------------------------------------------- */

static long do_signalfd(struct task *t, int fd, gva_t set, size_t size, int flags)
{
	AUTO(file) f = NULL;
	sigmask_t mask;
	int r;

	if (size != sizeof(mask))
		return -EINVAL;
	if (guest_read(t->mm, &mask, set) < 0)
		return -EFAULT;
	if (flags & ~(SFD_CLOEXEC | SFD_NONBLOCK))
		return -EINVAL;
	mask &= ~SIGMASK_KILL_STOP;
	if (fd == -1) {
		r = signalfd_new(t, mask, flags, &f);
		return r < 0 ? r : fd_install(t, steal(f), flags & SFD_CLOEXEC);
	}
	f = fd_file(t, fd);
	if (!f)
		return -EBADF;
	r = signalfd_set_mask(f, mask);
	return r < 0 ? r : fd;
}

long sys_signalfd(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, arg_int(a, 0), arg_gva(a, 1), arg_size(a, 2), 0);
}

long sys_signalfd4(struct task *t, const struct sysargs *a)
{
	return do_signalfd(t, arg_int(a, 0), arg_gva(a, 1), arg_size(a, 2), arg_int(a, 3));
}

/* --- inotify ---------------------------------------------------------------------------------------------------- */

static long make_inotify(struct task *t, int flags)
{
	struct file *f;
	int r;

	if (flags & ~(IN_CLOEXEC | IN_NONBLOCK))
		return -EINVAL;
	r = inotify_new(t->env->vfs, flags, &f);
	return r < 0 ? r : fd_install(t, f, flags & IN_CLOEXEC);
}

long sys_inotify_init(struct task *t, const struct sysargs *a)
{
	return make_inotify(t, 0);
}

long sys_inotify_init1(struct task *t, const struct sysargs *a)
{
	return make_inotify(t, arg_int(a, 0));
}

long sys_inotify_add_watch(struct task *t, const struct sysargs *a)
{
	unsigned mask = arg_uint(a, 2), walk = 0;
	AUTO_PATH p = PATH_INIT;
	AUTO(file) f = NULL;
	int r;
	AT(n);

	if (!(mask & IN_BITS) || (mask & ~IN_BITS))
		return -EINVAL;
	f = fd_file(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE))
		return -EINVAL;
	walk |= mask & IN_DONT_FOLLOW ? 0 : WALK_FOLLOW;
	walk |= mask & IN_ONLYDIR ? WALK_DIRECTORY : 0;
	r = arg_at(t, AT_FDCWD, arg_gva(a, 1), false, &n);
	if (r == 0)
		r = at_lookup(t, &n, walk, &p);
	if (r == 0)
		r = vfs_access(&t->fsc, &p, R_OK, true);
	return r < 0 ? r : inotify_add(f, &p, mask);
}

long sys_inotify_rm_watch(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));

	return f ? inotify_remove(f, arg_int(a, 1)) : -EBADF;
}
