/* SPDX-License-Identifier: MIT */
/*
 * overlay: opening. A file that is only read and has its data below is the lower file itself: one open on the
 * host, and its pages are shared with every other program. Who has it open keeps reading it when somebody else
 * copies it up, as on Linux. Opening for writing copies up first.
 */
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

static int open_regular(struct fs_ctx *c, struct ov_inode *x, const struct path *p, unsigned flags, struct file **ret)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
	struct inode *from;
	int r = writes ? ov_copy_data(x, flags & O_TRUNC ? 0 : UINT64_MAX) : 0;

	if (r < 0)
		return r;
	from = atomic_load(&x->data_up) ? ov_upper(x) : x->lower;
	return from->ops->open(c, from, p, flags, ret);
}

static int open_special(struct fs_ctx *c, struct ov_inode *x, unsigned flags, struct file **ret)
{
	struct statx st;
	int r = ov_getattr(&x->inode, STATX_TYPE, &st);

	return r < 0 ? r : special_open(c, &x->inode, makedev(st.stx_rdev_major, st.stx_rdev_minor), flags, ret);
}

int ov_open(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	struct ov_inode *x = ov_inode_of(i);

	switch (i->type) {
	case S_IFDIR:
		if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
			return -EISDIR;
		return ov_dirfile_open(c, x, p, flags, ret);
	case S_IFREG:
		return open_regular(c, x, p, flags, ret);
	case S_IFLNK:
		return -ELOOP;
	default:
		return open_special(c, x, flags, ret);
	}
}
