/* SPDX-License-Identifier: MIT */
/* Names: link, unlink, rename, symlink, mknod. fs/namei.c. */
#include <linux/fs.h>

#include "emul/syscalls/handler.h"

/* --- hard links ----------------------------------------------------------------------------------------------- */

static long do_link(struct task *t, int old_dirfd, gva_t old_name, int dirfd, gva_t name, int flags)
{
	bool empty_ok = flags & AT_EMPTY_PATH;
	AUTO_PATH old = PATH_INIT;
	int r;
	AT(from);
	AT(to);

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = arg_at(t, old_dirfd, old_name, empty_ok, &from);
	if (r == 0)
		r = at_lookup(t, &from, (flags & AT_SYMLINK_FOLLOW ? WALK_FOLLOW : 0) | (empty_ok ? WALK_EMPTY : 0), &old);
	if (r == 0)
		r = arg_at(t, dirfd, name, false, &to);
	return r < 0 ? r : vfs_link(&t->fsc, &old, at_start(&to), to.name);
}

long sys_link(struct task *t, const struct sysargs *a)
{
	return do_link(t, AT_FDCWD, arg_gva(a, 0), AT_FDCWD, arg_gva(a, 1), 0);
}

long sys_linkat(struct task *t, const struct sysargs *a)
{
	return do_link(t, arg_int(a, 0), arg_gva(a, 1), arg_int(a, 2), arg_gva(a, 3), arg_int(a, 4));
}

/* --- unlink ------------------------------------------------------------------------------------------------------ */

static long do_unlink(struct task *t, int dirfd, gva_t name, bool dir)
{
	int r;
	AT(n);

	r = arg_at(t, dirfd, name, false, &n);
	if (r < 0)
		return r;
	return dir ? vfs_rmdir(&t->fsc, at_start(&n), n.name) : vfs_unlink(&t->fsc, at_start(&n), n.name);
}

long sys_unlink(struct task *t, const struct sysargs *a)
{
	return do_unlink(t, AT_FDCWD, arg_gva(a, 0), false);
}

long sys_unlinkat(struct task *t, const struct sysargs *a)
{
	int flags = arg_int(a, 2);

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	return do_unlink(t, arg_int(a, 0), arg_gva(a, 1), flags & AT_REMOVEDIR);
}

/* --- rename ------------------------------------------------------------------------------------------------------ */

static long do_rename(struct task *t, int old_dirfd, gva_t old_name, int dirfd, gva_t name, unsigned flags)
{
	int r;
	AT(from);
	AT(to);

	/* Whiteouts are for overlays, which guests do not mount: as on a file system that has none. */
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = arg_at(t, old_dirfd, old_name, false, &from);
	if (r == 0)
		r = arg_at(t, dirfd, name, false, &to);
	return r < 0 ? r : vfs_rename(&t->fsc, at_start(&from), from.name, at_start(&to), to.name, flags);
}

long sys_rename(struct task *t, const struct sysargs *a)
{
	return do_rename(t, AT_FDCWD, arg_gva(a, 0), AT_FDCWD, arg_gva(a, 1), 0);
}

long sys_renameat(struct task *t, const struct sysargs *a)
{
	return do_rename(t, arg_int(a, 0), arg_gva(a, 1), arg_int(a, 2), arg_gva(a, 3), 0);
}

long sys_renameat2(struct task *t, const struct sysargs *a)
{
	return do_rename(t, arg_int(a, 0), arg_gva(a, 1), arg_int(a, 2), arg_gva(a, 3), arg_uint(a, 4));
}

/* --- symbolic links, nodes ------------------------------------------------------------------------------------------ */

static long do_symlink(struct task *t, gva_t target_at, int dirfd, gva_t name)
{
	char target[PATH_MAX];
	int r = arg_path(t, target_at, target, false);
	AT(n);

	if (r == 0)
		r = arg_at(t, dirfd, name, false, &n);
	return r < 0 ? r : vfs_symlink(&t->fsc, target, at_start(&n), n.name);
}

long sys_symlink(struct task *t, const struct sysargs *a)
{
	return do_symlink(t, arg_gva(a, 0), AT_FDCWD, arg_gva(a, 1));
}

long sys_symlinkat(struct task *t, const struct sysargs *a)
{
	return do_symlink(t, arg_gva(a, 0), arg_int(a, 1), arg_gva(a, 2));
}

static int check_node_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK: return 0;
	case S_IFDIR: return -EPERM;
	default: return -EINVAL;
	}
}

static long do_mknod(struct task *t, int dirfd, gva_t name, mode_t mode, unsigned dev)
{
	int r = check_node_type(mode);
	AT(n);

	if (r == 0)
		r = arg_at(t, dirfd, name, false, &n);
	if (r < 0)
		return r;
	if (!(mode & S_IFMT))
		mode |= S_IFREG;
	return vfs_mknod(&t->fsc, at_start(&n), n.name, mode & (S_IFMT | 07777), dev);
}

long sys_mknod(struct task *t, const struct sysargs *a)
{
	return do_mknod(t, AT_FDCWD, arg_gva(a, 0), arg_uint(a, 1), arg_uint(a, 2));
}

long sys_mknodat(struct task *t, const struct sysargs *a)
{
	return do_mknod(t, arg_int(a, 0), arg_gva(a, 1), arg_uint(a, 2), arg_uint(a, 3));
}
