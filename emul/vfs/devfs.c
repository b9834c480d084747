/* SPDX-License-Identifier: MIT */
/* /dev: a tmpfs with the devices that every program expects. */
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/vfs/devfs_mem.h"
#include "emul/vfs/tmpfs.h"

static const struct { const char *name; mode_t mode; unsigned major, minor; } nodes[] = {
	{ "null", 0666, 1, 3 }, { "zero", 0666, 1, 5 }, { "full", 0666, 1, 7 }, { "random", 0666, 1, 8 },
	{ "urandom", 0666, 1, 9 }, { "tty", 0666, 5, 0 }, { "ptmx", 0666, 5, 2 },
};
static const struct { const char *name, *target; } links[] = {
	{ "fd", "/proc/self/fd" }, { "stdin", "/proc/self/fd/0" }, { "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
};

static int add_node(struct inode *dir, const char *name, mode_t mode, dev_t rdev)
{
	struct inode *i;
	int r;

	mutex_lock(&dir->lock);
	r = tmpfs_mknod(NULL, dir, name, S_IFCHR | mode, rdev, &i);
	mutex_unlock(&dir->lock);
	if (r == 0)
		inode_put(i);
	return r;
}

static int add_link(struct inode *dir, const char *name, const char *target)
{
	struct inode *i;
	int r;

	mutex_lock(&dir->lock);
	r = tmpfs_symlink(NULL, dir, name, target, &i);
	mutex_unlock(&dir->lock);
	if (r == 0)
		inode_put(i);
	return r;
}

int devfs_new(struct vfs *v, struct super **ret)
{
	struct super *s;
	int r = tmpfs_new(v, 0, 0755, &s);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(nodes) && r == 0; i++)
		r = add_node(s->root->inode, nodes[i].name, nodes[i].mode, makedev(nodes[i].major, nodes[i].minor));
	for (size_t i = 0; i < ARRAY_SIZE(links) && r == 0; i++)
		r = add_link(s->root->inode, links[i].name, links[i].target);
	if (r < 0)
		super_put(s);
	else
		*ret = s;
	return r;
}

int devfs_add(struct super *s, const char *name, mode_t mode, dev_t rdev, int (*open)(struct fs_ctx *c, unsigned flags, struct file **ret))
{
	int r = device_register(rdev, open);

	return r < 0 ? r : add_node(s->root->inode, name, mode, rdev);
}
