/* SPDX-License-Identifier: MIT */
/* Descriptors: closing, duplicating, and files that are made without a name. fs/file.c, fs/pipe.c, mm/memfd.c. */
#include <linux/close_range.h>
#include <linux/memfd.h>
#include <sys/eventfd.h>

#include "emul/syscalls/handler.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC 0x0010U
#endif
#define MFD_NAME_SIZE (NAME_MAX + 1 - 6) /* less "memfd:" */
#define MFD_HUGE_BITS ((unsigned)MFD_HUGE_MASK << MFD_HUGE_SHIFT)
#define PIPE_FLAGS (O_CLOEXEC | O_NONBLOCK | O_DIRECT)

/* --- closing ----------------------------------------------------------------------------------------------- */

long sys_close(struct task *t, const struct sysargs *a)
{
	int r = fdtab_close(t->fds, arg_int(a, 0));

	/* The descriptor is gone: the call cannot be done again. */
	return r == -ERESTARTSYS || r == -ERESTARTNOINTR || r == -ERESTARTNOHAND ? -EINTR : r;
}

long sys_close_range(struct task *t, const struct sysargs *a)
{
	unsigned first = arg_uint(a, 0), last = arg_uint(a, 1), flags = arg_uint(a, 2);
	bool mark = flags & CLOSE_RANGE_CLOEXEC;
	int r;

	if ((flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
		return -EINVAL;
	if ((flags & CLOSE_RANGE_UNSHARE) && fdtab_is_shared(t->fds)) {
		/* What would be closed at once need not be copied. */
		r = unshare_fds(t, !mark && last == UINT_MAX ? first : UINT_MAX);
		if (r < 0)
			return r;
	}
	return fdtab_close_range(t->fds, first, last, mark);
}

/* --- duplicating --------------------------------------------------------------------------------------------- */

long sys_dup(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fdtab_get(t->fds, arg_int(a, 0));

	return f ? fdtab_install(t->fds, f, false, 0, nofile_limit(t)) : -EBADF;
}

static long dup_to(struct task *t, int oldfd, int newfd, bool cloexec)
{
	AUTO(file) f = fdtab_get(t->fds, oldfd);

	return f ? fdtab_replace(t->fds, newfd, f, cloexec, nofile_limit(t)) : -EBADF;
}

long sys_dup2(struct task *t, const struct sysargs *a)
{
	int oldfd = arg_int(a, 0), newfd = arg_int(a, 1);

	if (oldfd != newfd)
		return dup_to(t, oldfd, newfd, false);
	return fdtab_get_cloexec(t->fds, oldfd) < 0 ? -EBADF : oldfd;
}

long sys_dup3(struct task *t, const struct sysargs *a)
{
	int oldfd = arg_int(a, 0), newfd = arg_int(a, 1), flags = arg_int(a, 2);

	if ((flags & ~O_CLOEXEC) || oldfd == newfd)
		return -EINVAL;
	return dup_to(t, oldfd, newfd, flags & O_CLOEXEC);
}

/* --- pipes ------------------------------------------------------------------------------------------------------ */

/* Two descriptors for two files, told to the guest before they open: a fault leaves nothing behind. */
static int install_pair(struct task *t, struct file *rd, struct file *wr, bool cloexec, gva_t out)
{
	int fd[2], r;

	fd[0] = fdtab_reserve(t->fds, cloexec, 0, nofile_limit(t));
	if (fd[0] < 0)
		return fd[0];
	fd[1] = fdtab_reserve(t->fds, cloexec, 0, nofile_limit(t));
	r = fd[1] < 0 ? fd[1] : guest_write(t->mm, out, &fd);
	if (r < 0) {
		fdtab_unreserve(t->fds, fd[0]);
		if (fd[1] >= 0)
			fdtab_unreserve(t->fds, fd[1]);
		return r;
	}
	fdtab_fill(t->fds, fd[0], rd);
	fdtab_fill(t->fds, fd[1], wr);
	return 0;
}

static long make_pipe(struct task *t, gva_t out, int flags)
{
	AUTO(file) rd = NULL;
	AUTO(file) wr = NULL;
	int r;

	if (flags & O_EXCL) /* O_NOTIFICATION_PIPE: as a kernel without watch queues */
		return flags & ~(PIPE_FLAGS | O_EXCL) ? -EINVAL : -ENOPKG;
	if (flags & ~PIPE_FLAGS)
		return -EINVAL;
	r = pipe_new((unsigned)flags, &rd, &wr);
	if (r < 0)
		return r;
	file_set_maker(rd, t->fsc.cred);
	file_set_maker(wr, t->fsc.cred);
	return install_pair(t, rd, wr, flags & O_CLOEXEC, out);
}

long sys_pipe(struct task *t, const struct sysargs *a)
{
	return make_pipe(t, arg_gva(a, 0), 0);
}

long sys_pipe2(struct task *t, const struct sysargs *a)
{
	return make_pipe(t, arg_gva(a, 0), arg_int(a, 1));
}

/* --- eventfd, memfd ----------------------------------------------------------------------------------------------- */

static long make_eventfd(struct task *t, unsigned count, int flags)
{
	struct file *f;
	int r = eventfd_new(count, flags, &f);

	return r < 0 ? r : fd_install(t, f, flags & EFD_CLOEXEC);
}

long sys_eventfd(struct task *t, const struct sysargs *a)
{
	return make_eventfd(t, arg_uint(a, 0), 0);
}

long sys_eventfd2(struct task *t, const struct sysargs *a)
{
	return make_eventfd(t, arg_uint(a, 0), arg_int(a, 1));
}

long sys_memfd_create(struct task *t, const struct sysargs *a)
{
	unsigned flags = arg_uint(a, 1);
	unsigned known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC;
	char name[MFD_NAME_SIZE];
	struct file *f;
	ssize_t n;
	int r;

	if (flags & MFD_HUGETLB)
		known |= MFD_HUGETLB | MFD_HUGE_BITS;
	if ((flags & ~known) || ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL)))
		return -EINVAL;
	n = copy_string_from_guest(t->mm, name, arg_gva(a, 0), sizeof(name));
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	r = memfd_new(t->env->phys, name, flags, &f);
	if (r < 0)
		return r;
	file_set_maker(f, t->fsc.cred);
	return fd_install(t, f, flags & MFD_CLOEXEC);
}
