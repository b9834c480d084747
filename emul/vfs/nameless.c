/* SPDX-License-Identifier: MIT */
/*
 * Places for files that have none: a pipe, a descriptor of vmrun's caller, an eventfd. Linux keeps them in file systems
 * that are mounted nowhere (pipefs, anon_inodefs); what /proc/PID/fd/N leads to is a path there. So is it here: an inode
 * over the file, made when a walk follows the link, which can be asked for attributes, opened anew, and nothing more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define NAMELESS_MOUNT_ID 15 /* as Linux numbers pipefs, and fdinfo shows it */

struct nameless {
	struct inode inode;
	struct file *file; /* reference */
};

static struct file *file_behind(struct inode *i)
{
	return container_of(i, struct nameless, inode)->file;
}

static int getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	return file_stat(file_behind(i), mask, ret);
}

/* What is the host's is opened anew on the host; pipes and memfds get a new description; nothing else can be opened. */
static int open_behind(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	struct file *f = file_behind(i);
	int host = f->ops->host_fd ? f->ops->host_fd(f) : -1, r;
	char name[64];
	AUTO_FD fd = -1;

	if (host < 0)
		return file_reopen(f, flags, ret);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", host);
	r = (int)HOST(open(name, (int)((flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_TRUNC)) | O_CLOEXEC | O_NOCTTY)));
	if (r < 0)
		return r;
	fd = r;
	return hostfd_new(fd, ret);
}

static void release(struct inode *i)
{
	struct nameless *n = container_of(i, struct nameless, inode);
	struct file *f = n->file;

	inode_fini(i);
	free(n);
	file_put(f);
}

static const struct inode_ops nameless_ops = { .getattr = getattr, .open = open_behind, .release = release };

/* --- the file system ------------------------------------------------------------------------------------------- */

static void release_super(struct super *s) { (void)s; } /* part of struct vfs */

static const struct super_ops super_ops = { .release = release_super };

void nameless_init(struct vfs *v)
{
	super_init(&v->nameless_sb, &super_ops, v);
	v->nameless = (struct mount){ .vfs = v, .sb = &v->nameless_sb, .id = NAMELESS_MOUNT_ID };
	ref_init(&v->nameless.ref);
}

bool path_is_nameless(const struct path *p)
{
	return p->mnt == &p->mnt->vfs->nameless;
}

int vfs_nameless_path(struct vfs *v, struct file *f, struct path *ret)
{
	struct nameless *n;
	struct statx st;
	int r = file_stat(f, STATX_BASIC_STATS, &st);

	if (r < 0)
		return r;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	inode_init(&n->inode, &nameless_ops, &v->nameless_sb, st.stx_mode & S_IFMT, makedev(st.stx_dev_major, st.stx_dev_minor),
		   st.stx_ino);
	n->file = file_get(f);
	*ret = (struct path){ &v->nameless, dentry_new_root(&n->inode) };
	return ret->dentry ? 0 : -ENOMEM;
}

ssize_t nameless_text(const struct path *p, char *buf, size_t size)
{
	struct file *f = file_behind(p->dentry->inode);
	char text[4200];
	size_t n;

	text[0] = '\0';
	if (f->ops->describe)
		f->ops->describe(f, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "anon_inode:[%s]", f->ops->name);
	n = strnlen(text, sizeof(text) - 1);
	if (n + 1 > size)
		return -ERANGE;
	memcpy(buf, text, n);
	buf[n] = '\0';
	return (ssize_t)n;
}
