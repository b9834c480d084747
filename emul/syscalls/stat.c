/* SPDX-License-Identifier: MIT */
/* Looking at files: stat, statfs, access, readlink. fs/stat.c, fs/statfs.c, fs/open.c. */
#include <linux/magic.h>
#include <sys/sysmacros.h>

#include "emul/syscalls/handler.h"

#ifndef PIPEFS_MAGIC
#define PIPEFS_MAGIC 0x50495045
#endif
#define STATFS_VALID 0x20 /* the kernel's ST_VALID: f_flags is filled in */
#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)

/* --- stat --------------------------------------------------------------------------------------------------- */

static int stat_fd(struct task *t, int fd, unsigned mask, struct statx *ret)
{
	AUTO(file) f = fdtab_get(t->fds, fd);

	return f ? file_stat(f, mask, ret) : -EBADF;
}

int arg_names_nothing(struct task *t, gva_t name, int flags)
{
	char first;

	if (!(flags & AT_EMPTY_PATH))
		return false;
	if (!name)
		return true;
	return guest_read(t->mm, &first, name) < 0 ? -EFAULT : !first;
}

static int stat_at(struct task *t, int dirfd, gva_t name, int flags, unsigned mask, struct statx *ret)
{
	int empty = arg_names_nothing(t, name, flags), r;
	AUTO_PATH p = PATH_INIT;

	if (empty < 0)
		return empty;
	if (empty && dirfd >= 0)
		return stat_fd(t, dirfd, mask, ret);
	if (empty && dirfd != AT_FDCWD)
		return -EBADF;
	if (empty)
		r = vfs_lookup(&t->fsc, NULL, "", WALK_EMPTY, 0, &p);
	else
		r = arg_lookup(t, dirfd, name, flags, &p);
	return r < 0 ? r : vfs_stat(&t->fsc, &p, mask, ret);
}

static struct timespec stamp(struct statx_timestamp ts)
{
	return (struct timespec){ ts.tv_sec, ts.tv_nsec };
}

static int put_stat(struct task *t, gva_t at, const struct statx *sx)
{
	struct stat st;

	_Static_assert(sizeof(st) == 144, "struct stat is the kernel's");
	memset(&st, 0, sizeof(st));
	st.st_dev = makedev(sx->stx_dev_major, sx->stx_dev_minor);
	st.st_ino = sx->stx_ino;
	st.st_mode = sx->stx_mode;
	st.st_nlink = sx->stx_nlink;
	st.st_uid = sx->stx_uid;
	st.st_gid = sx->stx_gid;
	st.st_rdev = makedev(sx->stx_rdev_major, sx->stx_rdev_minor);
	st.st_size = (off_t)sx->stx_size;
	st.st_blksize = sx->stx_blksize;
	st.st_blocks = (blkcnt_t)sx->stx_blocks;
	st.st_atim = stamp(sx->stx_atime);
	st.st_mtim = stamp(sx->stx_mtime);
	st.st_ctim = stamp(sx->stx_ctime);
	return guest_write(t->mm, at, &st);
}

static long do_stat(struct task *t, int dirfd, gva_t name, int flags, gva_t out)
{
	struct statx sx;
	int r = stat_at(t, dirfd, name, flags, STATX_BASIC_STATS, &sx);

	return r < 0 ? r : put_stat(t, out, &sx);
}

long sys_stat(struct task *t, const struct sysargs *a)
{
	return do_stat(t, AT_FDCWD, arg_gva(a, 0), 0, arg_gva(a, 1));
}

long sys_lstat(struct task *t, const struct sysargs *a)
{
	return do_stat(t, AT_FDCWD, arg_gva(a, 0), AT_SYMLINK_NOFOLLOW, arg_gva(a, 1));
}

long sys_fstat(struct task *t, const struct sysargs *a)
{
	struct statx sx;
	int r = stat_fd(t, arg_int(a, 0), STATX_BASIC_STATS, &sx);

	return r < 0 ? r : put_stat(t, arg_gva(a, 1), &sx);
}

long sys_newfstatat(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 3);

	if (flags & ~STAT_FLAGS)
		return -EINVAL;
	return do_stat(t, arg_int(a, 0), arg_gva(a, 1), flags, arg_gva(a, 2));
}

long sys_statx(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 2), r;
	unsigned mask = arg_uint(a, 3);
	struct statx sx;

	_Static_assert(sizeof(sx) == 256, "struct statx is the kernel's");
	if (mask & STATX__RESERVED)
		return -EINVAL;
	if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (flags & ~STAT_FLAGS))
		return -EINVAL;
	memset(&sx, 0, sizeof(sx));
	r = stat_at(t, arg_int(a, 0), arg_gva(a, 1), flags, mask, &sx);
	return r < 0 ? r : guest_write(t->mm, arg_gva(a, 4), &sx);
}

/* --- statfs ---------------------------------------------------------------------------------------------------- */

/* Files without a path live on file systems that nobody mounts. */
static void statfs_anonymous(struct file *f, struct statfs *ret)
{
	mode_t type = file_mode(f) & S_IFMT;

	memset(ret, 0, sizeof(*ret));
	ret->f_type = type == S_IFIFO ? PIPEFS_MAGIC :
		      type == S_IFSOCK ? SOCKFS_MAGIC :
		      type == S_IFREG ? TMPFS_MAGIC :
					ANON_INODE_FS_MAGIC;
	ret->f_bsize = ret->f_frsize = PAGE_SIZE;
	ret->f_namelen = NAME_MAX;
	ret->f_flags = STATFS_VALID;
}

long sys_statfs(struct task *t, const struct sysargs *a)
{
	AUTO_PATH p = PATH_INIT;
	struct statfs st;
	int r = arg_lookup(t, AT_FDCWD, arg_gva(a, 0), 0, &p);

	_Static_assert(sizeof(st) == 120, "struct statfs is the kernel's");
	if (r == 0)
		r = vfs_statfs(&t->fsc, &p, &st);
	return r < 0 ? r : guest_write(t->mm, arg_gva(a, 1), &st);
}

long sys_fstatfs(struct task *t, const struct sysargs *a)
{
	AUTO(file) f = fdtab_get(t->fds, arg_int(a, 0));
	AUTO_PATH p = PATH_INIT;
	struct statfs st;
	int r = 0;

	if (!f)
		return -EBADF;
	if (file_path(f, &p))
		r = vfs_statfs(&t->fsc, &p, &st);
	else
		statfs_anonymous(f, &st);
	return r < 0 ? r : guest_write(t->mm, arg_gva(a, 1), &st);
}

/* --- access ------------------------------------------------------------------------------------------------------ */

static long do_access(struct task *t, int dirfd, gva_t name, int mode, int flags)
{
	AUTO_PATH p = PATH_INIT;
	int r;

	if ((mode & ~(R_OK | W_OK | X_OK)) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
		return -EINVAL;
	r = arg_lookup(t, dirfd, name, flags & ~AT_EACCESS, &p);
	return r < 0 ? r : vfs_access(&t->fsc, &p, mode, flags & AT_EACCESS);
}

long sys_access(struct task *t, const struct sysargs *a)
{
	return do_access(t, AT_FDCWD, arg_gva(a, 0), arg_int(a, 1), 0);
}

long sys_faccessat(struct task *t, const struct sysargs *a)
{
	return do_access(t, arg_int(a, 0), arg_gva(a, 1), arg_int(a, 2), 0);
}

long sys_faccessat2(struct task *t, const struct sysargs *a)
{
	return do_access(t, arg_int(a, 0), arg_gva(a, 1), arg_int(a, 2), arg_int(a, 3));
}

/* --- readlink ------------------------------------------------------------------------------------------------------ */

static long do_readlink(struct task *t, int dirfd, gva_t name, gva_t out, int size)
{
	AUTO_PATH p = PATH_INIT;
	char text[PATH_MAX];
	ssize_t r;
	AT(n);

	if (size <= 0)
		return -EINVAL;
	r = arg_at(t, dirfd, name, true, &n);
	if (r == 0)
		r = at_lookup(t, &n, WALK_EMPTY, &p);
	if (r < 0)
		return r == -ENOTDIR && !n.name[0] ? -ENOENT : r; /* a descriptor without a path is no link */
	if (!S_ISLNK(vfs_mode(&p)))
		return n.name[0] ? -EINVAL : -ENOENT; /* "" is for descriptors of links */
	r = vfs_readlink(&t->fsc, &p, text, sizeof(text)); /* all of it: a text that is made up may refuse to be cut */
	r = MIN(r, (ssize_t)size);
	if (r > 0 && copy_to_guest(t->mm, out, text, (size_t)r) < 0)
		return -EFAULT;
	return r;
}

long sys_readlink(struct task *t, const struct sysargs *a)
{
	return do_readlink(t, AT_FDCWD, arg_gva(a, 0), arg_gva(a, 1), arg_int(a, 2));
}

long sys_readlinkat(struct task *t, const struct sysargs *a)
{
	return do_readlink(t, arg_int(a, 0), arg_gva(a, 1), arg_gva(a, 2), arg_int(a, 3));
}
