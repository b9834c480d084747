/* SPDX-License-Identifier: MIT */
/* Removing names: unlink(2), rmdir(2). fs/namei.c: may_delete() and its callers. */
#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

static void tell(struct walk *w, struct inode *i)
{
	bool is_dir = S_ISDIR(i->type);

	if (!is_dir)
		notify_inode(i, NULL, NULL, IN_ATTRIB, 0); /* one link less */
	notify_unlinked(i);
	notify_inode(w->at.dentry->inode, NULL, w->last, IN_DELETE | (is_dir ? IN_ISDIR : 0), 0);
}

/* What the last component may not be, for each of the two. */
static int check_last(const struct walk *w, bool dir)
{
	switch (w->last_type) {
	case LAST_NORM: return 0;
	case LAST_DOT: return dir ? -EINVAL : -EISDIR;
	case LAST_DOTDOT: return dir ? -ENOTEMPTY : -EISDIR;
	default: return dir ? -EBUSY : -EISDIR;
	}
}

static int check_type(const struct walk *w, const struct dentry *d, bool dir)
{
	bool is_dir = S_ISDIR(d->inode->type);

	if (dir != is_dir)
		return dir ? -ENOTDIR : -EISDIR;
	if (d->mounted)
		return -EBUSY;
	return !dir && w->trailing ? -ENOTDIR : 0;
}

/* The directory's inode lock is held. */
static int remove_locked(struct fs_ctx *c, struct walk *w, bool is_dir)
{
	struct inode *dir = w->at.dentry->inode;
	AUTO(dentry) d = NULL;
	int r = dentry_child(c, w->at.dentry, w->last, true, &d);

	if (r == 0 && !is_dir && w->trailing)
		r = S_ISDIR(d->inode->type) ? -EISDIR : -ENOTDIR;
	if (r == 0)
		r = inode_may_delete(c->cred, dir, d->inode);
	if (r == 0)
		r = check_type(w, d, is_dir);
	if (r == 0 && !(is_dir ? dir->ops->rmdir : dir->ops->unlink))
		r = -EPERM;
	if (r == 0)
		r = is_dir ? dir->ops->rmdir(c, dir, w->last, d->inode) : dir->ops->unlink(c, dir, w->last, d->inode);
	if (r == 0) {
		dentry_drop(d);
		tell(w, d->inode);
	}
	return r;
}

static int remove_name(struct fs_ctx *c, const struct path *at, const char *name, bool is_dir)
{
	struct walk w;
	int r = walk_begin(&w, c, at, name, 0);

	if (r == 0)
		r = walk_parent(&w, name);
	if (r == 0)
		r = check_last(&w, is_dir);
	if (r == 0 && !S_ISDIR(w.at.dentry->inode->type))
		r = -ENOTDIR;
	if (r == 0 && path_read_only(&w.at))
		r = -EROFS; /* whatever the name */
	if (r == 0) {
		struct inode *dir = w.at.dentry->inode;

		mutex_lock(&dir->lock);
		r = remove_locked(c, &w, is_dir);
		mutex_unlock(&dir->lock);
	}
	walk_end(&w);
	return r;
}

int vfs_unlink(struct fs_ctx *c, const struct path *at, const char *name)
{
	return remove_name(c, at, name, false);
}

int vfs_rmdir(struct fs_ctx *c, const struct path *at, const char *name)
{
	return remove_name(c, at, name, true);
}
