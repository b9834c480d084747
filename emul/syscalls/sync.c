/* SPDX-License-Identifier: MIT */
/* To the disk. fs/sync.c. What lives in memory only (tmpfs, the overlay's upper part) is as safe as it will be. */
/* host syscalls: sync */
#include <unistd.h>

#include "emul/syscalls/handler.h"

long sys_sync(struct task *t, const struct sysargs *a)
{
	sync(); /* as any program may: of the host's file systems, since the guest's files may be on several */
	return 0;
}

static long do_fsync(struct task *t, int fd, bool datasync)
{
	AUTO(file) f = fd_file(t, fd);

	return f ? file_fsync(f, datasync) : -EBADF;
}

long sys_fsync(struct task *t, const struct sysargs *a)
{
	return do_fsync(t, arg_int(a, 0), false);
}

long sys_fdatasync(struct task *t, const struct sysargs *a)
{
	return do_fsync(t, arg_int(a, 0), true);
}

long sys_syncfs(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));

	return f ? file_syncfs(f) : -EBADF;
}

long sys_sync_file_range(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));

	return f ? file_sync_range(f, arg_off(a, 1), arg_off(a, 2), arg_uint(a, 3)) : -EBADF;
}
