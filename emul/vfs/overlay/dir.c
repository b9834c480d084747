/* SPDX-License-Identifier: MIT */
/* overlay: names. All run with the directories' inode locks held. */
#include <linux/fs.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

/* A directory's contents changed: its times are its own from now on. */
static void touch(struct fs_ctx *c, struct ovl_inode *od)
{
	struct iattr a = { .valid = ATTR_MTIME };

	if (ovl_copy_up(c, od, false) < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &a.mtime);
	ovl_upper(od)->ops->setattr(c, ovl_upper(od), &a);
}

static int lookup_below(struct fs_ctx *c, struct ovl_inode *od, const char *name, struct inode **ret)
{
	struct inode *lower = od->lower, *found;
	int r;

	if (!lower)
		return -ENOENT;
	mutex_lock(&lower->lock);
	r = lower->ops->lookup(c, lower, name, &found);
	mutex_unlock(&lower->lock);
	return r < 0 ? r : ovl_inode_below(ovl_of(od->inode.sb), found, ret);
}

int ovl_lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret)
{
	struct ovl_inode *od = ovl_inode_of(dir);
	struct ovl_name *n = ovl_table_find(&od->table, name);

	if (!n)
		return lookup_below(c, od, name, ret);
	if (!n->inode)
		return -ENOENT;
	*ret = inode_get(n->inode);
	return 0;
}

/* --- changing one name ------------------------------------------------------------------------------------ */

/* name leads to i from now on. below matters only where the table does not have the name yet. */
static int set_name(struct ovl_inode *od, const char *name, struct inode *i, bool below)
{
	int r = ovl_table_set(&od->table, name, i, below);

	if (r == 0)
		ovl_pin(od);
	return r;
}

/* The name is gone: a whiteout if the lower directory has it, else nothing. */
static int clear_name(struct ovl_inode *od, const char *name)
{
	struct ovl_name *n = ovl_table_find(&od->table, name);

	if (!n || n->below)
		return set_name(od, name, NULL, true);
	ovl_table_remove(&od->table, n);
	return 0;
}

static void lost_name(struct ovl_inode *oi)
{
	struct statx st;

	atomic_fetch_sub(&oi->links, 1);
	if (S_ISDIR(oi->inode.type) || oi->inode.ops->getattr(&oi->inode, STATX_NLINK, &st) < 0 || !st.stx_nlink)
		ovl_unpin(oi);
	else
		ovl_pin(oi); /* other names are left, and must show one link less */
}

/* --- making ------------------------------------------------------------------------------------------------- */

/* Set-group-id directories hand their group on. */
static void inherit_group(struct fs_ctx *c, struct ovl_inode *od, struct inode *upper, mode_t mode)
{
	struct statx st;
	struct iattr a = { .valid = ATTR_GID };

	if (od->inode.ops->getattr(&od->inode, STATX_MODE | STATX_GID, &st) < 0 || !(st.stx_mode & S_ISGID))
		return;
	a.gid = st.stx_gid;
	if (S_ISDIR(mode)) {
		a.valid |= ATTR_MODE;
		a.mode = (mode & 07777) | S_ISGID;
	}
	upper->ops->setattr(c, upper, &a);
}

static int make(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, const char *target, struct inode **ret)
{
	struct ovl_inode *od = ovl_inode_of(dir);
	AUTO(inode) i = NULL;
	struct inode *upper;
	int r = ovl_make_upper(c, ovl_of(dir->sb), mode, dev, target, &upper);

	if (r < 0)
		return r;
	inherit_group(c, od, upper, mode);
	r = ovl_inode_new(ovl_of(dir->sb), mode & S_IFMT, upper, &i);
	if (r == 0 && name)
		r = set_name(od, name, i, false);
	if (r < 0)
		return r;
	if (name) {
		atomic_store(&ovl_inode_of(i)->links, S_ISDIR(mode) ? 2 : 1);
		if (S_ISDIR(mode))
			atomic_fetch_add(&od->links, 1);
		touch(c, od);
	}
	*ret = steal(i);
	return 0;
}

int ovl_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	return make(c, dir, name, S_IFREG | (mode & 07777), 0, NULL, ret);
}

int ovl_mkdir(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	return make(c, dir, name, S_IFDIR | (mode & 07777), 0, NULL, ret);
}

int ovl_mknod(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret)
{
	return make(c, dir, name, mode, dev, NULL, ret);
}

int ovl_symlink(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret)
{
	return make(c, dir, name, S_IFLNK | 0777, 0, target, ret);
}

int ovl_tmpfile(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret)
{
	return make(c, dir, NULL, S_IFREG | (mode & 07777), 0, NULL, ret);
}

int ovl_link(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old)
{
	struct ovl_inode *od = ovl_inode_of(dir), *oi = ovl_inode_of(old);
	int r = ovl_copy_up(c, oi, true); /* its ctime and link count change */

	if (r == 0)
		r = set_name(od, name, old, false);
	if (r < 0)
		return r;
	atomic_fetch_add(&oi->links, 1);
	touch(c, od);
	return 0;
}

/* --- removing ------------------------------------------------------------------------------------------------ */

int ovl_unlink(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	struct ovl_inode *od = ovl_inode_of(dir);
	int r = clear_name(od, name);

	if (r < 0)
		return r;
	lost_name(ovl_inode_of(victim));
	touch(c, od);
	return 0;
}

int ovl_rmdir(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	struct ovl_inode *od = ovl_inode_of(dir), *ov = ovl_inode_of(victim);
	int r;

	mutex_lock(&victim->lock);
	r = ovl_dir_is_empty(c, ov);
	mutex_unlock(&victim->lock);
	if (r <= 0)
		return r < 0 ? r : -ENOTEMPTY;
	r = clear_name(od, name);
	if (r < 0)
		return r;
	atomic_fetch_sub(&od->links, 1);
	lost_name(ov);
	touch(c, od);
	return 0;
}

/* --- renaming -------------------------------------------------------------------------------------------------- */

static int check_victim(struct fs_ctx *c, struct inode *victim)
{
	int r;

	if (!victim || !S_ISDIR(victim->type))
		return 0;
	mutex_lock(&victim->lock);
	r = ovl_dir_is_empty(c, ovl_inode_of(victim));
	mutex_unlock(&victim->lock);
	return r < 0 ? r : r ? 0 : -ENOTEMPTY;
}

static void count_subdir(struct ovl_inode *from, struct ovl_inode *to, const struct inode *moved)
{
	if (from == to || !S_ISDIR(moved->type))
		return;
	atomic_fetch_sub(&from->links, 1);
	atomic_fetch_add(&to->links, 1);
}

static int exchange(struct ovl_inode *od, const char *name, struct inode *moved, struct ovl_inode *on, const char *new_name,
		    struct inode *victim)
{
	int r = set_name(od, name, victim, true);

	if (r < 0)
		return r;
	r = set_name(on, new_name, moved, true);
	if (r < 0) {
		set_name(od, name, moved, true); /* it has an entry now: this cannot fail */
		return r;
	}
	count_subdir(od, on, moved);
	count_subdir(on, od, victim);
	return 0;
}

int ovl_rename(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
	       const char *new_name, struct inode *victim, unsigned flags)
{
	struct ovl_inode *od = ovl_inode_of(dir), *on = ovl_inode_of(new_dir);
	int r;

	if (flags & RENAME_EXCHANGE) {
		r = exchange(od, name, moved, on, new_name, victim);
	} else {
		r = check_victim(c, victim);
		if (r == 0)
			r = set_name(on, new_name, moved, victim && !ovl_table_find(&on->table, new_name));
		if (r == 0)
			r = clear_name(od, name);
		if (r == 0) {
			count_subdir(od, on, moved);
			if (victim && S_ISDIR(victim->type))
				atomic_fetch_sub(&on->links, 1);
			if (victim)
				lost_name(ovl_inode_of(victim));
		}
	}
	if (r < 0)
		return r;
	ovl_pin(ovl_inode_of(moved));
	touch(c, od);
	if (on != od)
		touch(c, on);
	return 0;
}
