/* SPDX-License-Identifier: MIT */
/* Extended attributes. fs/xattr.c: the name and value are read first, then the file is looked up. */
#include <linux/limits.h>
#include <linux/xattr.h>

#include "emul/syscalls/handler.h"

#define AT_KNOWN (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
#define XATTR_ARGS_VER0 16

/* struct xattr_args of linux/xattr.h, which older headers do not have. */
struct xattr_at_args { uint64_t value; uint32_t size; uint32_t flags; };

/* Which file: a descriptor alone (the f calls), else a name. */
struct target {
	int fd;
	bool by_fd;
	gva_t name;
	int flags; /* AT_* */
};

static struct target by_name(const struct sysargs *a, int flags)
{
	return (struct target){ .fd = AT_FDCWD, .name = arg_gva(a, 0), .flags = flags };
}

static struct target by_fd(const struct sysargs *a)
{
	return (struct target){ .fd = arg_int(a, 0), .by_fd = true };
}

static struct target by_at(const struct sysargs *a)
{
	return (struct target){ .fd = arg_int(a, 0), .name = arg_gva(a, 1), .flags = arg_int(a, 2) };
}

/* 0, or ANONYMOUS: an open file without a path, which has no attributes and takes none. */
enum { ANONYMOUS = 1 };
static int find(struct task *t, const struct target *x, struct path *ret)
{
	int by_fd = x->by_fd ? 1 : arg_names_nothing(t, x->name, x->flags);
	AUTO(file) f = NULL;

	if (by_fd < 0)
		return by_fd;
	if (!by_fd)
		return arg_lookup(t, x->fd, x->name, x->flags, ret);
	f = fd_file(t, x->fd);
	if (!f)
		return -EBADF;
	return file_path(f, ret) ? 0 : ANONYMOUS;
}

static int get_name(struct task *t, gva_t at, char name[XATTR_NAME_MAX + 1])
{
	ssize_t n = copy_string_from_guest(t->mm, name, at, XATTR_NAME_MAX + 1);

	if (n == 0 || n == -ENAMETOOLONG)
		return -ERANGE;
	return n < 0 ? -EFAULT : 0;
}

/* --- set ---------------------------------------------------------------------------------------------------------- */

static long set(struct task *t, const struct target *x, gva_t name_at, gva_t value_at, size_t size, unsigned flags)
{
	char name[XATTR_NAME_MAX + 1];
	AUTO_PATH p = PATH_INIT;
	AUTO_FREE char *value = NULL;
	int r;

	if ((x->flags & ~AT_KNOWN) || (flags & ~(unsigned)(XATTR_CREATE | XATTR_REPLACE)))
		return -EINVAL;
	r = get_name(t, name_at, name);
	if (r < 0)
		return r;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	value = malloc(size ? size : 1);
	if (!value)
		return -ENOMEM;
	if (copy_from_guest(t->mm, value, value_at, size) < 0)
		return -EFAULT;
	r = find(t, x, &p);
	if (r)
		return r == ANONYMOUS ? -EPERM : r;
	return vfs_setxattr(&t->fsc, &p, name, value, size, (int)flags);
}

long sys_setxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, 0);

	return set(t, &x, arg_gva(a, 1), arg_gva(a, 2), arg_size(a, 3), arg_uint(a, 4));
}

long sys_lsetxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, AT_SYMLINK_NOFOLLOW);

	return set(t, &x, arg_gva(a, 1), arg_gva(a, 2), arg_size(a, 3), arg_uint(a, 4));
}

long sys_fsetxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_fd(a);

	return set(t, &x, arg_gva(a, 1), arg_gva(a, 2), arg_size(a, 3), arg_uint(a, 4));
}

static int get_at_args(struct task *t, const struct sysargs *a, struct xattr_at_args *ret)
{
	size_t size = arg_size(a, 5);

	return size < XATTR_ARGS_VER0 ? -EINVAL : copy_extensible(t->mm, ret, sizeof(*ret), arg_gva(a, 4), size);
}

long sys_setxattrat(struct task *t, const struct sysargs *a)
{
	struct target x = by_at(a);
	struct xattr_at_args args;
	int r = get_at_args(t, a, &args);

	return r < 0 ? r : set(t, &x, arg_gva(a, 3), args.value, args.size, args.flags);
}

/* --- get, list: both fill a buffer of the guest's, or with size 0 say how long it must be ----------------------------- */

static long get(struct task *t, const struct target *x, gva_t name_at, gva_t out, size_t size)
{
	char name[XATTR_NAME_MAX + 1];
	AUTO_PATH p = PATH_INIT;
	AUTO_FREE char *value = NULL;
	size_t room = MIN(size, (size_t)XATTR_SIZE_MAX);
	ssize_t r;

	if (x->flags & ~AT_KNOWN)
		return -EINVAL;
	r = get_name(t, name_at, name);
	if (r == 0)
		r = find(t, x, &p);
	if (r)
		return r == ANONYMOUS ? -ENODATA : r;
	value = malloc(room ? room : 1);
	if (!value)
		return -ENOMEM;
	r = vfs_getxattr(&t->fsc, &p, name, value, room);
	if (r > 0 && size && copy_to_guest(t->mm, out, value, (size_t)r) < 0)
		return -EFAULT;
	return r == -ERANGE && size >= XATTR_SIZE_MAX ? -E2BIG : r;
}

long sys_getxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, 0);

	return get(t, &x, arg_gva(a, 1), arg_gva(a, 2), arg_size(a, 3));
}

long sys_lgetxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, AT_SYMLINK_NOFOLLOW);

	return get(t, &x, arg_gva(a, 1), arg_gva(a, 2), arg_size(a, 3));
}

long sys_fgetxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_fd(a);

	return get(t, &x, arg_gva(a, 1), arg_gva(a, 2), arg_size(a, 3));
}

long sys_getxattrat(struct task *t, const struct sysargs *a)
{
	struct target x = by_at(a);
	struct xattr_at_args args;
	int r = get_at_args(t, a, &args);

	if (r < 0)
		return r;
	return args.flags ? -EINVAL : get(t, &x, arg_gva(a, 3), args.value, args.size);
}

static long list(struct task *t, const struct target *x, gva_t out, size_t size)
{
	AUTO_PATH p = PATH_INIT;
	AUTO_FREE char *names = NULL;
	size_t room = MIN(size, (size_t)XATTR_LIST_MAX);
	ssize_t r;

	if (x->flags & ~AT_KNOWN)
		return -EINVAL;
	r = find(t, x, &p);
	if (r)
		return r == ANONYMOUS ? 0 : r;
	names = malloc(room ? room : 1);
	if (!names)
		return -ENOMEM;
	r = vfs_listxattr(&t->fsc, &p, names, room);
	if (r > 0 && size && copy_to_guest(t->mm, out, names, (size_t)r) < 0)
		return -EFAULT;
	return r == -ERANGE && size >= XATTR_LIST_MAX ? -E2BIG : r;
}

long sys_listxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, 0);

	return list(t, &x, arg_gva(a, 1), arg_size(a, 2));
}

long sys_llistxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, AT_SYMLINK_NOFOLLOW);

	return list(t, &x, arg_gva(a, 1), arg_size(a, 2));
}

long sys_flistxattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_fd(a);

	return list(t, &x, arg_gva(a, 1), arg_size(a, 2));
}

long sys_listxattrat(struct task *t, const struct sysargs *a)
{
	struct target x = by_at(a);

	return list(t, &x, arg_gva(a, 3), arg_size(a, 4));
}

/* --- remove ------------------------------------------------------------------------------------------------------------- */

static long drop(struct task *t, const struct target *x, gva_t name_at)
{
	char name[XATTR_NAME_MAX + 1];
	AUTO_PATH p = PATH_INIT;
	int r;

	if (x->flags & ~AT_KNOWN)
		return -EINVAL;
	r = get_name(t, name_at, name);
	if (r == 0)
		r = find(t, x, &p);
	if (r)
		return r == ANONYMOUS ? -EPERM : r;
	return vfs_removexattr(&t->fsc, &p, name);
}

long sys_removexattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, 0);

	return drop(t, &x, arg_gva(a, 1));
}

long sys_lremovexattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_name(a, AT_SYMLINK_NOFOLLOW);

	return drop(t, &x, arg_gva(a, 1));
}

long sys_fremovexattr(struct task *t, const struct sysargs *a)
{
	struct target x = by_fd(a);

	return drop(t, &x, arg_gva(a, 1));
}

long sys_removexattrat(struct task *t, const struct sysargs *a)
{
	struct target x = by_at(a);

	return drop(t, &x, arg_gva(a, 3));
}
