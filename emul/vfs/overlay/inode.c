/* SPDX-License-Identifier: MIT */
/* overlay: attributes. They are the upper inode's if there is one; changing them makes one. */
#include <linux/magic.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

/* Where attributes are read. */
static struct inode *top_of(struct ov_inode *x)
{
	struct inode *upper = ov_upper(x);

	return upper ? upper : x->lower;
}

/* Merged directories say 1: "not counted", as Linux's overlayfs. */
static uint32_t nlink_of(struct ov_inode *x, uint32_t top)
{
	if (!ov_is_dir(x))
		return atomic_load(&x->kept) ? (uint32_t)atomic_load(&x->nlink) : top;
	if (!x->lower || ov_names_nlink(x->names) == 0)
		return (uint32_t)ov_names_nlink(x->names);
	return ov_upper(x) ? 1 : top;
}

int ov_getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	struct ov_inode *x = ov_inode_of(i);
	struct inode *top = top_of(x);
	struct statx st;
	int r = top->ops->getattr(top, mask, ret);

	if (r == 0 && S_ISREG(i->type) && top != x->lower && !atomic_load(&x->data_up)) {
		r = x->lower->ops->getattr(x->lower, STATX_SIZE | STATX_BLOCKS, &st);
		ret->stx_size = st.stx_size;
		ret->stx_blocks = st.stx_blocks;
	}
	if (r < 0)
		return r;
	ret->stx_ino = i->ino;
	ret->stx_dev_major = major(i->dev);
	ret->stx_dev_minor = minor(i->dev);
	ret->stx_nlink = nlink_of(x, ret->stx_nlink);
	return 0;
}

static int ov_setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a)
{
	struct ov_inode *x = ov_inode_of(i);
	int r;

	if (a->valid & ATTR_SIZE) {
		if (!S_ISREG(i->type))
			return ov_is_dir(x) ? -EISDIR : -EINVAL;
		if (c && a->size > c->limit_fsize) {
			struct statx st;

			r = ov_getattr(i, STATX_SIZE, &st);
			if (r < 0 || a->size > st.stx_size)
				return r < 0 ? r : -EFBIG;
		}
		r = ov_copy_data(x, a->size);
	} else {
		r = ov_copy_meta(x);
	}
	if (r < 0)
		return r;
	return ov_upper(x)->ops->setattr(c, ov_upper(x), a);
}

static ssize_t ov_readlink(struct fs_ctx *c, struct inode *i, char *buf, size_t size)
{
	struct inode *top = top_of(ov_inode_of(i));

	return top->ops->readlink ? top->ops->readlink(c, top, buf, size) : -EINVAL;
}

/* The space that a write could use is the memory's. */
static int ov_statfs(struct inode *i, struct statfs *ret)
{
	struct inode *work = ov_super(ov_inode_of(i))->work;
	int r = work->ops->statfs ? work->ops->statfs(work, ret) : -ENOSYS;

	if (r == 0)
		ret->f_type = OVERLAYFS_SUPER_MAGIC;
	return r;
}

/* --- extended attributes ------------------------------------------------------------------------------------------ */

static ssize_t ov_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct inode *top = top_of(ov_inode_of(i));

	return top->ops->getxattr ? top->ops->getxattr(top, name, buf, size) : -EOPNOTSUPP;
}

static int ov_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	struct ov_inode *x = ov_inode_of(i);
	int r = ov_copy_meta(x);

	if (r < 0)
		return r;
	i = ov_upper(x);
	return i->ops->setxattr ? i->ops->setxattr(i, name, buf, size, flags) : -EOPNOTSUPP;
}

static ssize_t ov_listxattr(struct inode *i, char *buf, size_t size)
{
	struct inode *top = top_of(ov_inode_of(i));

	return top->ops->listxattr ? top->ops->listxattr(top, buf, size) : -EOPNOTSUPP;
}

static int ov_removexattr(struct inode *i, const char *name)
{
	struct ov_inode *x = ov_inode_of(i);
	ssize_t n = ov_getxattr(i, name, NULL, 0);
	int r;

	if (n < 0)
		return (int)n; /* nothing to remove, nothing to copy */
	r = ov_copy_meta(x);
	if (r < 0)
		return r;
	i = ov_upper(x);
	return i->ops->removexattr ? i->ops->removexattr(i, name) : -EOPNOTSUPP;
}

/* The host's name of what is still exactly the host's. */
static int ov_host_fd(struct inode *i)
{
	struct ov_inode *x = ov_inode_of(i);

	if (!x->lower || ov_upper(x) || (ov_is_dir(x) && !ov_names_untouched(x->names)) || !x->lower->ops->host_fd)
		return -EXDEV;
	return x->lower->ops->host_fd(x->lower);
}

const struct inode_ops ov_inode_ops = {
	.lookup = ov_lookup,
	.create = ov_create,
	.mkdir = ov_mkdir,
	.mknod = ov_mknod,
	.symlink = ov_symlink,
	.link = ov_link,
	.unlink = ov_unlink,
	.rmdir = ov_rmdir,
	.rename = ov_rename,
	.tmpfile = ov_tmpfile,
	.getattr = ov_getattr,
	.setattr = ov_setattr,
	.readlink = ov_readlink,
	.open = ov_open,
	.statfs = ov_statfs,
	.getxattr = ov_getxattr,
	.setxattr = ov_setxattr,
	.listxattr = ov_listxattr,
	.removexattr = ov_removexattr,
	.host_fd = ov_host_fd,
	.release = ov_release,
};
