/* SPDX-License-Identifier: MIT */
/* rename(2): fs/namei.c, do_renameat2() and vfs_rename(). */
#include <linux/fs.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

struct renaming {
	struct fs_ctx *c;
	struct walk from, to;
	unsigned flags;
	struct dentry *moved, *victim; /* references; victim NULL: the new name is free */
};

/* Both directories, the upper one first, and the lock that keeps tree and names as they are. */
static void lock_dirs(struct renaming *q) NO_LOCK_ANALYSIS
{
	struct dentry *a = q->from.at.dentry, *b = q->to.at.dentry;
	struct vfs *v = a->sb->vfs;

	mutex_lock(&v->rename_lock);
	if (a == b) {
		mutex_lock(&a->inode->lock);
		return;
	}
	if (dentry_is_ancestor(b, a) || (!dentry_is_ancestor(a, b) && b < a)) {
		struct dentry *t = a;

		a = b;
		b = t;
	}
	mutex_lock(&a->inode->lock);
	mutex_lock(&b->inode->lock);
}

static void unlock_dirs(struct renaming *q) NO_LOCK_ANALYSIS
{
	struct dentry *a = q->from.at.dentry, *b = q->to.at.dentry;

	mutex_unlock(&a->inode->lock);
	if (a != b)
		mutex_unlock(&b->inode->lock);
	mutex_unlock(&a->sb->vfs->rename_lock);
}

static int find(struct renaming *q)
{
	int r = dentry_child(q->c, q->from.at.dentry, q->from.last, true, &q->moved);
	bool is_dir;

	if (r < 0)
		return r;
	r = dentry_child(q->c, q->to.at.dentry, q->to.last, true, &q->victim);
	if (r < 0 && (r != -ENOENT || !q->to.at.dentry->inode->ops->create)) /* proc: no new names */
		return r;
	if (q->victim && (q->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!q->victim && (q->flags & RENAME_EXCHANGE))
		return -ENOENT;
	if ((q->flags & RENAME_EXCHANGE) && !S_ISDIR(q->victim->inode->type) && q->to.trailing)
		return -ENOTDIR;
	is_dir = S_ISDIR(q->moved->inode->type);
	if (!is_dir && (q->from.trailing || (!(q->flags & RENAME_EXCHANGE) && q->to.trailing)))
		return -ENOTDIR;
	return 0;
}

/* No directory may end up below itself. */
static int check_loops(struct renaming *q)
{
	if (dentry_is_ancestor(q->moved, q->to.at.dentry))
		return -EINVAL;
	if (q->victim && dentry_is_ancestor(q->victim, q->from.at.dentry))
		return q->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_pair(struct renaming *q)
{
	bool dir = S_ISDIR(q->moved->inode->type);

	if (!q->victim || (q->flags & RENAME_EXCHANGE))
		return 0;
	if (dir != !!S_ISDIR(q->victim->inode->type))
		return dir ? -ENOTDIR : -EISDIR;
	return 0;
}

static int check_rights(struct renaming *q)
{
	struct inode *dir = q->from.at.dentry->inode, *new_dir = q->to.at.dentry->inode;
	int r;

	r = inode_may_delete(q->c->cred, dir, q->moved->inode);
	if (r < 0)
		return r;
	r = q->victim ? inode_may_delete(q->c->cred, new_dir, q->victim->inode) : may_create(q->c, &q->to.at);
	if (r < 0)
		return r;
	r = check_pair(q);
	if (r < 0)
		return r;
	/* A directory's ".." changes: it must be writable itself. */
	if (dir != new_dir && S_ISDIR(q->moved->inode->type))
		r = inode_permission(q->c->cred, q->moved->inode, MAY_WRITE);
	if (r == 0 && dir != new_dir && (q->flags & RENAME_EXCHANGE) && S_ISDIR(q->victim->inode->type))
		r = inode_permission(q->c->cred, q->victim->inode, MAY_WRITE);
	if (r < 0)
		return r;
	return q->moved->mounted || (q->victim && q->victim->mounted) ? -EBUSY : 0;
}

static void tell_move(struct walk *from, struct walk *to, struct inode *i, struct inode *victim)
{
	uint32_t cookie = notify_cookie(), is_dir = S_ISDIR(i->type) ? IN_ISDIR : 0;

	notify_inode(from->at.dentry->inode, NULL, from->last, IN_MOVED_FROM | is_dir, cookie);
	notify_inode(to->at.dentry->inode, NULL, to->last, IN_MOVED_TO | is_dir, cookie);
	if (from->at.dentry == to->at.dentry)
		notify_inode(from->at.dentry->inode, NULL, NULL, NOTIFY_RENAMED, 0);
	if (victim && !S_ISDIR(victim->type))
		notify_inode(victim, NULL, NULL, IN_ATTRIB, 0); /* one link less */
	notify_inode(i, NULL, NULL, IN_MOVE_SELF, 0);
}

static void tell(struct renaming *q)
{
	if (q->flags & RENAME_EXCHANGE) {
		tell_move(&q->from, &q->to, q->moved->inode, NULL);
		tell_move(&q->to, &q->from, q->victim->inode, NULL);
		return;
	}
	tell_move(&q->from, &q->to, q->moved->inode, q->victim ? q->victim->inode : NULL);
	if (q->victim)
		notify_unlinked(q->victim->inode);
}

static int rename_locked(struct renaming *q)
{
	struct inode *dir = q->from.at.dentry->inode, *new_dir = q->to.at.dentry->inode;
	int r = find(q);

	if (r == 0)
		r = check_loops(q);
	if (r < 0)
		return r;
	if (q->victim && q->victim->inode == q->moved->inode)
		return 0; /* two names of one thing: nothing happens */
	r = check_rights(q);
	if (r == 0 && !dir->ops->rename)
		r = -EPERM;
	if (r == 0 && !new_dir->ops->rename)
		r = -ENOENT;
	if (r == 0)
		r = dir->ops->rename(q->c, dir, q->from.last, q->moved->inode, new_dir, q->to.last,
				     q->victim ? q->victim->inode : NULL, q->flags);
	if (r < 0)
		return r;
	if (q->flags & RENAME_EXCHANGE) {
		dentry_exchange(q->moved, q->victim);
	} else {
		if (q->victim)
			dentry_drop(q->victim);
		if (dentry_move(q->moved, q->to.at.dentry, q->to.last) < 0)
			dentry_drop(q->moved); /* found again by a look-up */
	}
	tell(q);
	return 0;
}

static int check_last(const struct renaming *q)
{
	if (q->from.at.mnt != q->to.at.mnt)
		return -EXDEV;
	if (q->from.last_type != LAST_NORM)
		return -EBUSY;
	if (q->to.last_type != LAST_NORM)
		return q->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	if (!S_ISDIR(q->from.at.dentry->inode->type) || !S_ISDIR(q->to.at.dentry->inode->type))
		return -ENOTDIR;
	return path_read_only(&q->from.at) ? -EROFS : 0;
}

int vfs_rename(struct fs_ctx *c, const struct path *at, const char *name, const struct path *new_at, const char *new_name, unsigned flags)
{
	struct renaming q = { .c = c, .flags = flags };
	int r, r2;

	if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) || flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = walk_begin(&q.from, c, at, name, 0);
	r2 = walk_begin(&q.to, c, new_at, new_name, 0);
	if (r == 0)
		r = walk_parent(&q.from, name);
	if (r == 0)
		r = r2;
	if (r == 0)
		r = walk_parent(&q.to, new_name);
	if (r == 0)
		r = check_last(&q);
	if (r == 0) {
		lock_dirs(&q);
		r = rename_locked(&q);
		unlock_dirs(&q);
	}
	dentry_put(q.moved);
	dentry_put(q.victim);
	walk_end(&q.from);
	walk_end(&q.to);
	return r;
}
