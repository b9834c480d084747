/* SPDX-License-Identifier: MIT */
/* Making names: mkdir, mknod, symlink, link. fs/namei.c: filename_create() and what follows it. */
#include <limits.h>
#include <linux/capability.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

int may_create(struct fs_ctx *c, struct path *dir)
{
	return inode_permission(c->cred, dir->dentry->inode, MAY_WRITE | MAY_EXEC);
}

int begin_create(struct fs_ctx *c, const struct path *at, const char *name, bool is_dir, struct walk *w) NO_LOCK_ANALYSIS
{
	struct dentry *there = NULL, *dir;
	int r = walk_begin(w, c, at, name, 0);

	if (r == 0)
		r = walk_parent(w, name);
	if (r == 0 && w->last_type != LAST_NORM)
		r = -EEXIST;
	if (r == 0 && !S_ISDIR(w->at.dentry->inode->type))
		r = -ENOTDIR;
	if (r < 0) {
		walk_end(w);
		return r;
	}
	dir = w->at.dentry;
	mutex_lock(&dir->inode->lock);
	r = dentry_child(c, dir, w->last, true, &there);
	dentry_put(there);
	if (r == 0)
		r = -EEXIST;
	else if (r == -ENOENT && w->trailing && !is_dir)
		r = -ENOENT;
	else if (r == -ENOENT && path_read_only(&w->at))
		r = -EROFS;
	else if (r == -ENOENT && !dir->inode->ops->create)
		r = -ENOENT; /* proc: a name that is not there cannot be */
	else if (r == -ENOENT)
		r = !dir->hashed ? -ENOENT : may_create(c, &w->at);
	if (r < 0)
		end_create(w);
	return r;
}

void end_create(struct walk *w) NO_LOCK_ANALYSIS
{
	mutex_unlock(&w->at.dentry->inode->lock);
	walk_end(w);
}

/* The new inode's name is known, and who watches the directory is told. Consumes i. */
static int publish(struct walk *w, struct inode *i, uint32_t extra)
{
	struct dentry *d;
	int r = dentry_add(w->at.dentry, w->last, i, &d);

	if (r == 0)
		dentry_put(d);
	notify_inode(w->at.dentry->inode, NULL, w->last, IN_CREATE | extra, 0);
	return 0; /* without memory for the cache the name exists all the same */
}

static mode_t masked(struct fs_ctx *c, mode_t mode)
{
	mode_t mask;

	mutex_lock(&c->fs->lock);
	mask = c->fs->umask;
	mutex_unlock(&c->fs->lock);
	return mode & ~mask;
}

int vfs_mkdir(struct fs_ctx *c, const struct path *at, const char *name, mode_t mode)
{
	struct walk w;
	struct inode *dir, *i;
	int r = begin_create(c, at, name, true, &w);

	if (r < 0)
		return r;
	dir = w.at.dentry->inode;
	r = dir->ops->mkdir ? dir->ops->mkdir(c, dir, w.last, masked(c, mode & 01777), &i) : -EPERM;
	if (r == 0)
		r = publish(&w, i, IN_ISDIR);
	end_create(&w);
	return r;
}

static int check_node(struct fs_ctx *c, mode_t *mode)
{
	switch (*mode & S_IFMT) {
	case 0:
		*mode |= S_IFREG;
		return 0;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	case S_IFCHR:
	case S_IFBLK:
		return cred_capable(c->cred, CAP_MKNOD) ? 0 : -EPERM;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

int vfs_mknod(struct fs_ctx *c, const struct path *at, const char *name, mode_t mode, dev_t dev)
{
	struct walk w;
	struct inode *dir, *i;
	int r = check_node(c, &mode);

	if (r == -EINVAL || (r == -EPERM && S_ISDIR(mode)))
		return r;
	int refused = r;

	r = begin_create(c, at, name, false, &w);
	if (r < 0)
		return r;
	dir = w.at.dentry->inode;
	mode = (mode & S_IFMT) | masked(c, mode & 07777);
	if (refused < 0)
		r = refused;
	else if (S_ISREG(mode))
		r = dir->ops->create ? dir->ops->create(c, dir, w.last, mode & 07777, &i) : -EPERM;
	else
		r = dir->ops->mknod ? dir->ops->mknod(c, dir, w.last, mode, dev, &i) : -EPERM;
	if (r == 0)
		r = publish(&w, i, 0);
	end_create(&w);
	return r;
}

int vfs_symlink(struct fs_ctx *c, const char *target, const struct path *at, const char *name)
{
	struct walk w;
	struct inode *dir, *i;
	int r;

	if (!*target)
		return -ENOENT;
	if (strlen(target) >= PATH_MAX)
		return -ENAMETOOLONG;
	r = begin_create(c, at, name, false, &w);
	if (r < 0)
		return r;
	dir = w.at.dentry->inode;
	r = dir->ops->symlink ? dir->ops->symlink(c, dir, w.last, target, &i) : -EPERM;
	if (r == 0)
		r = publish(&w, i, 0);
	end_create(&w);
	return r;
}

/* fs.protected_hardlinks, which /proc/sys shows as 1: others' files only if they could be written to, and never set-id ones. */
static int may_link(struct fs_ctx *c, struct inode *i)
{
	struct statx st;
	int r;

	if (cred_capable(c->cred, CAP_FOWNER))
		return 0;
	r = i->ops->getattr(i, STATX_MODE | STATX_UID, &st);
	if (r < 0 || st.stx_uid == c->cred->fsuid)
		return r;
	if (!S_ISREG(i->type) || (st.stx_mode & S_ISUID) || (st.stx_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		return -EPERM;
	return inode_permission(c->cred, i, MAY_READ | MAY_WRITE) < 0 ? -EPERM : 0;
}

int vfs_link(struct fs_ctx *c, const struct path *old, const struct path *at, const char *name)
{
	struct inode *i = old->dentry->inode, *dir;
	struct statx st;
	struct walk w;
	int r = begin_create(c, at, name, false, &w);

	if (r < 0)
		return r;
	dir = w.at.dentry->inode;
	if (old->mnt != w.at.mnt)
		r = -EXDEV;
	else if (S_ISDIR(i->type))
		r = -EPERM;
	else if (!i->linkable && (i->ops->getattr(i, STATX_NLINK, &st) < 0 || !st.stx_nlink))
		r = -ENOENT; /* its last name has gone */
	else if ((r = may_link(c, i)) == 0)
		r = dir->ops->link ? dir->ops->link(c, dir, w.last, i) : -EPERM;
	if (r == 0) {
		notify_inode(i, NULL, NULL, IN_ATTRIB, 0);
		r = publish(&w, inode_get(i), 0);
	}
	end_create(&w);
	return r;
}
