/* SPDX-License-Identifier: MIT */
/* overlay: attributes, links' texts, xattrs and opening: of the upper inode if there is one, else of the lower. */
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

#define OVERLAYFS_SUPER_MAGIC 0x794c7630

static int getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	struct ovl_inode *oi = ovl_inode_of(i);
	struct inode *real = ovl_real(oi);
	uint32_t below = 0;
	int r = real->ops->getattr(real, mask, ret);

	if (r < 0)
		return r;
	if (oi->lower) {
		struct statx st;

		if (real == oi->lower)
			below = ret->stx_nlink;
		else if ((mask & STATX_NLINK) && oi->lower->ops->getattr(oi->lower, STATX_NLINK, &st) == 0)
			below = st.stx_nlink;
	}
	ret->stx_nlink = below + (uint32_t)atomic_load(&oi->links);
	ret->stx_ino = i->ino;
	ret->stx_dev_major = major(i->dev);
	ret->stx_dev_minor = minor(i->dev);
	return 0;
}

static int setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a)
{
	struct ovl_inode *oi = ovl_inode_of(i);
	int r = ovl_copy_up(c, oi, !((a->valid & ATTR_SIZE) && a->size == 0));

	return r < 0 ? r : ovl_upper(oi)->ops->setattr(c, ovl_upper(oi), a);
}

static ssize_t readlink_text(struct fs_ctx *c, struct inode *i, char *buf, size_t size)
{
	struct inode *real = ovl_real(ovl_inode_of(i));

	return real->ops->readlink(c, real, buf, size);
}

static int statfs_of(struct inode *i, struct statfs *ret)
{
	struct inode *u = ovl_of(i->sb)->upper_root;
	int r = u->ops->statfs(u, ret);

	ret->f_type = OVERLAYFS_SUPER_MAGIC;
	return r;
}

/* --- extended attributes --------------------------------------------------------------------------------- */

static ssize_t getxattr_of(struct inode *i, const char *name, void *buf, size_t size)
{
	struct inode *real = ovl_real(ovl_inode_of(i));

	return real->ops->getxattr ? real->ops->getxattr(real, name, buf, size) : -EOPNOTSUPP;
}

static ssize_t listxattr_of(struct inode *i, char *buf, size_t size)
{
	struct inode *real = ovl_real(ovl_inode_of(i));

	return real->ops->listxattr ? real->ops->listxattr(real, buf, size) : 0;
}

static int setxattr_of(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	struct ovl_inode *oi = ovl_inode_of(i);
	int r = ovl_copy_up(NULL, oi, true);
	struct inode *u = ovl_upper(oi);

	return r < 0 ? r : u->ops->setxattr ? u->ops->setxattr(u, name, buf, size, flags) : -EOPNOTSUPP;
}

static int removexattr_of(struct inode *i, const char *name)
{
	struct ovl_inode *oi = ovl_inode_of(i);
	int r = ovl_copy_up(NULL, oi, true);
	struct inode *u = ovl_upper(oi);

	return r < 0 ? r : u->ops->removexattr ? u->ops->removexattr(u, name) : -EOPNOTSUPP;
}

/* --- opening ----------------------------------------------------------------------------------------------- */

static int open_regular(struct fs_ctx *c, struct ovl_inode *oi, const struct path *p, unsigned flags, struct file **ret)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
	struct inode *real;
	int r = writes ? ovl_copy_up(c, oi, !(flags & O_TRUNC)) : 0;

	if (r < 0)
		return r;
	real = ovl_real(oi);
	return real->ops->open(c, real, p, flags, ret);
}

static int open_inode(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	struct ovl_inode *oi = ovl_inode_of(i);
	struct statx st;
	int r;

	switch (i->type) {
	case S_IFREG:
		return open_regular(c, oi, p, flags, ret);
	case S_IFDIR:
		return ovl_dir_open(c, oi, flags, ret);
	case S_IFLNK:
		return -ELOOP;
	default:
		r = getattr(i, STATX_TYPE, &st);
		return r < 0 ? r : special_open(c, i, makedev(st.stx_rdev_major, st.stx_rdev_minor), flags, ret);
	}
}

static int host_fd(struct inode *i)
{
	struct inode *real = ovl_real(ovl_inode_of(i));

	return real->ops->host_fd ? real->ops->host_fd(real) : -EXDEV;
}

const struct inode_ops ovl_ops = {
	.lookup = ovl_lookup,
	.create = ovl_create,
	.mkdir = ovl_mkdir,
	.mknod = ovl_mknod,
	.symlink = ovl_symlink,
	.link = ovl_link,
	.unlink = ovl_unlink,
	.rmdir = ovl_rmdir,
	.rename = ovl_rename,
	.tmpfile = ovl_tmpfile,
	.getattr = getattr,
	.setattr = setattr,
	.readlink = readlink_text,
	.open = open_inode,
	.statfs = statfs_of,
	.getxattr = getxattr_of,
	.setxattr = setxattr_of,
	.listxattr = listxattr_of,
	.removexattr = removexattr_of,
	.host_fd = host_fd,
	.release = ovl_inode_free,
};
