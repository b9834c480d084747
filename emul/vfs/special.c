/* SPDX-License-Identifier: MIT */
/* What has a name and no data: FIFOs, devices, the nodes of bound sockets. */
#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

static int open_fifo(struct inode *i, unsigned flags, struct file **ret)
{
	struct fifo *made = NULL, *ff;

	mutex_lock(&i->lock);
	if (!i->fifo)
		i->fifo = made = fifo_new();
	ff = i->fifo;
	mutex_unlock(&i->lock);
	/* The inode keeps it, and the caller the inode. */
	return ff ? fifo_open(ff, flags, ret) : -ENOMEM;
}

int special_open(struct fs_ctx *c, struct inode *i, dev_t rdev, unsigned flags, struct file **ret)
{
	switch (i->type) {
	case S_IFIFO:
		return open_fifo(i, flags, ret);
	case S_IFCHR:
	case S_IFBLK:
		return i->sb->no_dev ? -EACCES : device_open(c, i->type, rdev, flags, ret);
	default:
		return -ENXIO;
	}
}

int vfs_bind_socket(struct fs_ctx *c, const char *name, mode_t mode, void *priv, struct path *ret)
{
	int r = vfs_mknod(c, NULL, name, S_IFSOCK | (mode & 07777), 0);

	if (r < 0)
		return r == -EEXIST ? -EADDRINUSE : r;
	r = vfs_lookup(c, NULL, name, 0, 0, ret);
	if (r < 0)
		return r;
	mutex_lock(&ret->dentry->inode->lock);
	ret->dentry->inode->socket = priv;
	mutex_unlock(&ret->dentry->inode->lock);
	return 0;
}

void *vfs_socket_of(const struct path *p)
{
	struct inode *i = p->dentry->inode;
	void *s;

	mutex_lock(&i->lock);
	s = i->socket;
	mutex_unlock(&i->lock);
	return s;
}
