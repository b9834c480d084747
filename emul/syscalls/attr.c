/* SPDX-License-Identifier: MIT */
/* Attributes of files: mode, owner, times, size. fs/open.c, fs/utimes.c. */
#include <utime.h>

#include "emul/syscalls/handler.h"

#define LOOKUP_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
#define USEC_PER_SEC 1000000

/* The path of a descriptor that must be open (not O_PATH). -EOPNOTSUPP: an anonymous file has no such attributes. */
static int fd_path(struct task *t, int fd, struct path *ret)
{
	AUTO(file) f = fd_file(t, fd);

	if (!f)
		return -EBADF;
	return file_path(f, ret) ? 0 : -EOPNOTSUPP;
}

/* --- mode ------------------------------------------------------------------------------------------------------- */

static long do_chmod(struct task *t, int dirfd, gva_t name, mode_t mode, int flags)
{
	AUTO_PATH p = PATH_INIT;
	int r;

	if (flags & ~LOOKUP_FLAGS)
		return -EINVAL;
	r = arg_lookup(t, dirfd, name, flags, &p);
	return r < 0 ? r : vfs_chmod(&t->fsc, &p, mode);
}

long sys_chmod(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, AT_FDCWD, arg_gva(a, 0), arg_mode(a, 1), 0);
}

long sys_fchmodat(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, arg_int(a, 0), arg_gva(a, 1), arg_mode(a, 2), 0);
}

long sys_fchmodat2(struct task *t, const struct sysargs *a)
{
	return do_chmod(t, arg_int(a, 0), arg_gva(a, 1), arg_mode(a, 2), arg_int(a, 3));
}

long sys_fchmod(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	AUTO_PATH p = PATH_INIT;

	if (!f)
		return -EBADF;
	return file_path(f, &p) ? vfs_chmod(&t->fsc, &p, arg_mode(a, 1)) : memfd_chmod(f, arg_mode(a, 1));
}

long sys_umask(struct task *t, const struct sysargs *a)
{
	return fs_set_umask(t->fsc.fs, arg_mode(a, 0) & 0777);
}

/* --- owner -------------------------------------------------------------------------------------------------------- */

static long do_chown(struct task *t, int dirfd, gva_t name, uid_t uid, gid_t gid, int flags)
{
	AUTO_PATH p = PATH_INIT;
	int r;

	if (flags & ~LOOKUP_FLAGS)
		return -EINVAL;
	r = arg_lookup(t, dirfd, name, flags, &p);
	return r < 0 ? r : vfs_chown(&t->fsc, &p, uid, gid);
}

long sys_chown(struct task *t, const struct sysargs *a)
{
	return do_chown(t, AT_FDCWD, arg_gva(a, 0), arg_uint(a, 1), arg_uint(a, 2), 0);
}

long sys_lchown(struct task *t, const struct sysargs *a)
{
	return do_chown(t, AT_FDCWD, arg_gva(a, 0), arg_uint(a, 1), arg_uint(a, 2), AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(struct task *t, const struct sysargs *a)
{
	return do_chown(t, arg_int(a, 0), arg_gva(a, 1), arg_uint(a, 2), arg_uint(a, 3), arg_int(a, 4));
}

long sys_fchown(struct task *t, const struct sysargs *a)
{
	AUTO_PATH p = PATH_INIT;
	int r = fd_path(t, arg_int(a, 0), &p);

	return r < 0 ? r : vfs_chown(&t->fsc, &p, arg_uint(a, 1), arg_uint(a, 2));
}

/* --- times --------------------------------------------------------------------------------------------------------- */

static bool nsec_ok(long nsec)
{
	return nsec == UTIME_NOW || nsec == UTIME_OMIT || (nsec >= 0 && nsec < NSEC_PER_SEC);
}

/* do_utimes(): without a name it is the descriptor. times NULL: now. */
static long set_times(struct task *t, int dirfd, gva_t name, const struct timespec *times, int flags)
{
	AUTO_PATH p = PATH_INIT;
	int r;

	if (!name && dirfd != AT_FDCWD) {
		r = flags ? -EINVAL : fd_path(t, dirfd, &p);
	} else {
		r = flags & ~LOOKUP_FLAGS ? -EINVAL : arg_lookup(t, dirfd, name, flags, &p);
	}
	if (r < 0)
		return r;
	if (times && (!nsec_ok(times[0].tv_nsec) || !nsec_ok(times[1].tv_nsec)))
		return -EINVAL;
	return vfs_utimens(&t->fsc, &p, times);
}

long sys_utimensat(struct task *t, const struct sysargs *a)
{
	struct timespec ts[2];

	if (!arg_gva(a, 2))
		return set_times(t, arg_int(a, 0), arg_gva(a, 1), NULL, arg_int(a, 3));
	if (guest_read(t->mm, &ts, arg_gva(a, 2)) < 0)
		return -EFAULT;
	/* Nothing to do: nobody looks whether the file exists. */
	if (ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
		return 0;
	return set_times(t, arg_int(a, 0), arg_gva(a, 1), ts, arg_int(a, 3));
}

static long set_timevals(struct task *t, int dirfd, gva_t name, gva_t at)
{
	struct timeval tv[2];
	struct timespec ts[2];

	if (!at)
		return set_times(t, dirfd, name, NULL, 0);
	if (guest_read(t->mm, &tv, at) < 0)
		return -EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= USEC_PER_SEC)
			return -EINVAL;
		ts[i] = (struct timespec){ tv[i].tv_sec, tv[i].tv_usec * 1000 };
	}
	return set_times(t, dirfd, name, ts, 0);
}

long sys_utimes(struct task *t, const struct sysargs *a)
{
	return set_timevals(t, AT_FDCWD, arg_gva(a, 0), arg_gva(a, 1));
}

long sys_futimesat(struct task *t, const struct sysargs *a)
{
	return set_timevals(t, arg_int(a, 0), arg_gva(a, 1), arg_gva(a, 2));
}

long sys_utime(struct task *t, const struct sysargs *a)
{
	struct timespec ts[2] = { { 0, 0 }, { 0, 0 } };
	struct utimbuf b;

	if (!arg_gva(a, 1))
		return set_times(t, AT_FDCWD, arg_gva(a, 0), NULL, 0);
	if (guest_read(t->mm, &b, arg_gva(a, 1)) < 0)
		return -EFAULT;
	ts[0].tv_sec = b.actime;
	ts[1].tv_sec = b.modtime;
	return set_times(t, AT_FDCWD, arg_gva(a, 0), ts, 0);
}

/* --- size ------------------------------------------------------------------------------------------------------------ */

long sys_truncate(struct task *t, const struct sysargs *a)
{
	int64_t size = arg_off(a, 1);
	AUTO_PATH p = PATH_INIT;
	struct statx st;
	int r;

	if (size < 0)
		return -EINVAL;
	r = arg_lookup(t, AT_FDCWD, arg_gva(a, 0), 0, &p);
	if (r < 0)
		return r;
	if (S_ISREG(vfs_mode(&p)) && (uint64_t)size > t->fsc.limit_fsize) {
		r = vfs_access(&t->fsc, &p, W_OK, true);
		if (r == 0)
			r = vfs_stat(&t->fsc, &p, STATX_SIZE, &st);
		if (r == 0)
			r = check_fsize(t, st.stx_size, (uint64_t)size);
	}
	return r < 0 ? r : vfs_truncate(&t->fsc, &p, (uint64_t)size);
}

/* Of an open file: may it become this long? */
static int check_file_size(struct task *t, struct file *f, uint64_t size)
{
	struct statx st;

	if (size <= t->fsc.limit_fsize || file_stat(f, STATX_TYPE | STATX_SIZE, &st) < 0 || !S_ISREG(st.stx_mode))
		return 0;
	return check_fsize(t, st.stx_size, size);
}

long sys_ftruncate(struct task *t, const struct sysargs *a)
{
	int64_t size = arg_off(a, 1);
	AUTO(file) f = NULL;
	int r = 0;

	if (size < 0)
		return -EINVAL;
	f = fd_file(t, arg_int(a, 0));
	if (!f)
		return -EBADF;
	if (file_writable(f))
		r = check_file_size(t, f, (uint64_t)size);
	return r < 0 ? r : file_truncate(f, (uint64_t)size);
}

long sys_fallocate(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fd_file(t, arg_int(a, 0));
	int mode = arg_int(a, 1), r = 0;
	int64_t off = arg_off(a, 2), len = arg_off(a, 3), end;

	if (!f)
		return -EBADF;
	/* Only what makes the file longer is limited; the other checks are file_fallocate()'s. */
	if (mode == 0 && off >= 0 && len > 0 && !__builtin_add_overflow(off, len, &end) && file_writable(f))
		r = check_file_size(t, f, (uint64_t)end);
	return r < 0 ? r : file_fallocate(f, mode, off, len);
}
