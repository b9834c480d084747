/* SPDX-License-Identifier: MIT */
/* Inodes and supers: the common part of what file systems make. */
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

void inode_init(struct inode *i, const struct inode_ops *ops, struct super *sb, mode_t type, dev_t dev, uint64_t ino)
{
	*i = (struct inode){ .ops = ops, .sb = super_get(sb), .type = type, .dev = dev, .ino = ino };
	ref_init(&i->ref);
	mutex_init(&i->lock);
	list_init(&i->watches);
	list_init(&i->dnotes);
}

void inode_fini(struct inode *i)
{
	if (atomic_load(&i->nwatches))
		notify_inode_gone(i);
	fifo_free(i->fifo);
	mutex_fini(&i->lock);
	super_put(i->sb);
}

struct inode *inode_get(struct inode *i)
{
	ref_get(&i->ref);
	return i;
}

void inode_put(struct inode *i)
{
	if (i && ref_put(&i->ref))
		i->ops->release(i);
}

void super_init(struct super *s, const struct super_ops *ops, struct vfs *v)
{
	static _Atomic unsigned minor = 20;

	*s = (struct super){ .ops = ops, .vfs = v, .dev = makedev(0, atomic_fetch_add(&minor, 1)) };
	ref_init(&s->ref);
}

int super_set_root(struct super *s, struct inode *root)
{
	s->root = dentry_new_root(root);
	return s->root ? 0 : -ENOMEM;
}

struct super *super_get(struct super *s)
{
	ref_get(&s->ref);
	return s;
}

void super_put(struct super *s)
{
	if (s && ref_put(&s->ref))
		s->ops->release(s);
}
