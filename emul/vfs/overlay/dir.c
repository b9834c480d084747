/* SPDX-License-Identifier: MIT */
/*
 * overlay: names. Changes go into the directories' tables; the lower tree only answers look-ups. All run with the
 * directories' inode locks held. What can fail comes first: entries exist before names move.
 */
#include <linux/fs.h>
#include <sys/stat.h>

#include "emul/base/err.h"
#include "emul/vfs/hostfs/hostfs.h"
#include "emul/vfs/overlay/overlay.h"

int ov_lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret)
{
	struct ov_inode *d = ov_inode_of(dir), *child;
	struct inode *lower;
	int r = ov_names_find(d->names, name, &child);

	if (r == 1) {
		*ret = &child->inode;
		return 0;
	}
	if (r == 0 || !d->lower)
		return -ENOENT;
	mutex_lock(&d->lower->lock);
	r = d->lower->ops->lookup(c, d->lower, name, &lower);
	mutex_unlock(&d->lower->lock);
	return r < 0 ? r : ov_from_lower(d, name, lower, ret);
}

/* --- making ------------------------------------------------------------------------------------------------------- */

/* Upper inodes are made by the overlay itself: owner and mode are the caller's, the group a set-gid directory's. */
static int set_owner(struct fs_ctx *c, struct inode *dir, struct inode *upper, mode_t mode)
{
	struct iattr a = {
		.valid = ATTR_UID | ATTR_GID | (S_ISLNK(mode) ? 0 : ATTR_MODE),
		.mode = mode & 07777,
		.uid = c->cred->fsuid,
		.gid = c->cred->fsgid,
	};
	struct statx st;
	int r = ov_getattr(dir, STATX_MODE | STATX_GID, &st);

	if (r < 0)
		return r;
	if (st.stx_mode & S_ISGID) {
		a.gid = st.stx_gid;
		if (S_ISDIR(mode))
			a.mode |= S_ISGID;
	}
	return upper->ops->setattr(&ov_of(dir->sb)->self, upper, &a);
}

/* mode has the type. name NULL: O_TMPFILE. */
static int make(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t rdev, const char *target,
		struct inode **ret)
{
	struct ov_inode *d = ov_inode_of(dir), *x;
	struct overlay *o = ov_super(d);
	struct inode *upper;
	int r = name ? hostfs_check_name(name) : 0;

	if (r == 0 && name)
		r = ov_copy_meta(d);
	if (r == 0)
		r = ov_upper_new(o, mode, rdev, target, &upper);
	if (r < 0)
		return r;
	r = set_owner(c, dir, upper, mode);
	if (r < 0) {
		inode_put(upper);
		return r;
	}
	x = ov_from_upper(o, d, mode & S_IFMT, upper);
	if (!x)
		return -ENOMEM;
	atomic_store(&x->nlink, name != NULL);
	r = name ? ov_names_set(d->names, name, x) : 0;
	if (r < 0) {
		inode_put(&x->inode);
		return r;
	}
	if (name)
		ov_touch(d);
	*ret = &x->inode;
	return 0;
}

int ov_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	return make(c, dir, name, S_IFREG | (mode & 07777), 0, NULL, ret);
}

int ov_mkdir(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	return make(c, dir, name, S_IFDIR | (mode & 07777), 0, NULL, ret);
}

int ov_mknod(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret)
{
	if (S_ISDIR(mode) || S_ISLNK(mode))
		return -EINVAL;
	return make(c, dir, name, mode & S_IFMT ? mode : S_IFREG | mode, dev, NULL, ret);
}

int ov_symlink(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret)
{
	return make(c, dir, name, S_IFLNK | 0777, 0, target, ret);
}

int ov_tmpfile(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret)
{
	return make(c, dir, NULL, S_IFREG | (mode & 07777), 0, NULL, ret);
}

/* Nothing is copied: the new name leads to the same inode, wherever its data is. */
int ov_link(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old)
{
	struct ov_inode *d = ov_inode_of(dir), *x = ov_inode_of(old);
	int r = hostfs_check_name(name);

	if (r < 0)
		return r;
	if (S_ISDIR(old->type))
		return -EPERM;
	if (old->dev != dir->dev)
		return -EXDEV;
	r = ov_copy_meta(d);
	if (r == 0)
		r = ov_keep(x);
	if (r == 0)
		r = ov_names_set(d->names, name, x);
	if (r < 0)
		return r;
	atomic_fetch_add(&x->nlink, 1);
	if (ov_copy_meta(x) == 0)
		ov_changed(x);
	ov_touch(d);
	return 0;
}

/* --- removing ----------------------------------------------------------------------------------------------------- */

/* Everything that name's entry needs, so that taking it away cannot fail. */
static int prepare(struct ov_inode *d, const char *name, struct ov_inode *x)
{
	int r = ov_copy_meta(d);

	if (r == 0)
		r = ov_keep(x);
	return r < 0 ? r : ov_names_pin(d->names, name, x);
}

static void lost_name(struct ov_inode *x)
{
	if (!ov_is_dir(x) && atomic_fetch_sub(&x->nlink, 1) <= 1) {
		atomic_store(&x->nlink, 0); /* the host may have fewer than it said */
		ov_unpin(x);
	}
}

/* A directory that is about to lose its name: empty, and closed for new ones. */
static int close_dir(struct ov_inode *x)
{
	int r = ov_check_empty(x);

	return r < 0 ? r : ov_names_kill(x->names);
}

int ov_unlink(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	struct ov_inode *d = ov_inode_of(dir), *x = ov_inode_of(victim);
	int r = prepare(d, name, x);

	if (r < 0)
		return r;
	ov_names_hide(d->names, name);
	lost_name(x);
	ov_touch(d);
	return 0;
}

int ov_rmdir(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	struct ov_inode *d = ov_inode_of(dir), *x = ov_inode_of(victim);
	int r = prepare(d, name, x);

	if (r == 0)
		r = close_dir(x);
	if (r < 0)
		return r;
	ov_names_hide(d->names, name);
	ov_touch(d);
	return 0;
}

/* --- renaming ----------------------------------------------------------------------------------------------------- */

/* A directory with a lower part keeps its place, as in Linux's overlayfs: mv(1) copies then. */
static int check_movable(const struct ov_inode *x, const struct ov_inode *to)
{
	return (ov_is_dir(x) && x->lower) || x->inode.dev != to->inode.dev ? -EXDEV : 0;
}

/* new_name first: of the two only its directory could be dead. */
static int exchange(struct ov_inode *d, const char *name, struct ov_inode *x, struct ov_inode *nd, const char *new_name,
		    struct ov_inode *v)
{
	int r = check_movable(v, d);

	if (r == 0)
		r = ov_names_set(nd->names, new_name, x);
	return r < 0 ? r : ov_names_set(d->names, name, v);
}

static int replace(struct ov_inode *d, const char *name, struct ov_inode *x, struct ov_inode *nd, const char *new_name,
		   struct ov_inode *v)
{
	int r = v && ov_is_dir(v) ? close_dir(v) : 0;

	if (r == 0)
		r = ov_names_set(nd->names, new_name, x);
	if (r < 0)
		return r;
	ov_names_hide(d->names, name);
	if (v)
		lost_name(v);
	return 0;
}

int ov_rename(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
	      const char *new_name, struct inode *victim, unsigned flags)
{
	struct ov_inode *d = ov_inode_of(dir), *nd = ov_inode_of(new_dir), *x = ov_inode_of(moved);
	struct ov_inode *v = victim ? ov_inode_of(victim) : NULL;
	int r = hostfs_check_name(new_name);

	if (r < 0)
		return r;
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && !v)
		return -ENOENT;
	if (x == v)
		return 0; /* two names of one file: POSIX leaves both */
	r = check_movable(x, nd);
	if (r == 0)
		r = prepare(d, name, x);
	if (r == 0)
		r = v ? prepare(nd, new_name, v) : ov_copy_meta(nd);
	if (r == 0)
		r = flags & RENAME_EXCHANGE ? exchange(d, name, x, nd, new_name, v) : replace(d, name, x, nd, new_name, v);
	if (r < 0)
		return r;
	ov_touch(d);
	ov_touch(nd);
	return 0;
}
