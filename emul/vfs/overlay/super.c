/* SPDX-License-Identifier: MIT */
/* overlay: making one, the table of its inodes, and what keeps changed ones. */
#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

/* --- inodes ------------------------------------------------------------------------------------------------------ */

static struct list *bucket_of(struct overlay *o, const struct inode *lower)
{
	return &o->bucket[(uintptr_t)lower * 0x9e3779b97f4a7c15ull >> 52 & (OV_BUCKETS - 1)];
}

static struct ov_inode *find_locked(struct overlay *o, const struct inode *lower)
{
	struct ov_inode *x;

	mutex_assert_held(&o->lock);
	list_for_each(x, bucket_of(o, lower), node)
		if (x->lower == lower && ref_get_live(&x->inode.ref))
			return x;
	return NULL;
}

static struct ov_inode *make(struct overlay *o, mode_t type, dev_t dev, uint64_t ino)
{
	struct ov_names *names = S_ISDIR(type) ? ov_names_new() : NULL;
	struct ov_inode *x = calloc(1, sizeof(*x));

	if (!x || (S_ISDIR(type) && !names)) {
		free(x);
		ov_names_free(names);
		return NULL;
	}
	inode_init(&x->inode, &ov_inode_ops, &o->sb, type, dev, ino);
	x->names = names;
	list_init(&x->node);
	list_init(&x->pin_node);
	mutex_init(&x->place_lock);
	return x;
}

/* Numbers of the lower tree's own file system become this one's; beyond a mount in it they stay the host's. */
static struct ov_inode *make_over(struct ov_inode *dir, const char *name, struct inode *lower)
{
	struct overlay *o = ov_super(dir);
	dev_t dev = lower->dev == o->root->lower->dev ? o->sb.dev : lower->dev;
	char *text = strdup(name);
	struct ov_inode *x = text ? make(o, lower->type, dev, lower->ino) : NULL;

	if (!x) {
		free(text);
		return NULL;
	}
	inode_get(&dir->inode);
	x->parent = dir;
	x->name = text;
	x->lower = inode_get(lower);
	return x;
}

int ov_from_lower(struct ov_inode *dir, const char *name, struct inode *lower, struct inode **ret)
{
	struct overlay *o = ov_super(dir);
	struct ov_inode *x, *made = NULL;

	mutex_lock(&o->lock);
	x = find_locked(o, lower);
	mutex_unlock(&o->lock);
	if (!x) {
		made = make_over(dir, name, lower);
		if (made) {
			mutex_lock(&o->lock);
			x = find_locked(o, lower);
			if (!x) {
				x = made;
				made = NULL;
				list_add(bucket_of(o, lower), &x->node);
			}
			mutex_unlock(&o->lock);
		}
	}
	if (made)
		inode_put(&made->inode);
	inode_put(lower);
	if (!x)
		return -ENOMEM;
	*ret = &x->inode;
	return 0;
}

struct ov_inode *ov_from_upper(struct overlay *o, struct ov_inode *dir, mode_t type, struct inode *upper)
{
	uint64_t ino = OV_FIRST_INO + atomic_fetch_add_explicit(&o->next_ino, 1, memory_order_relaxed);
	struct ov_inode *x = make(o, type, dir ? dir->inode.dev : o->sb.dev, ino);

	if (!x) {
		inode_put(upper);
		return NULL;
	}
	atomic_init(&x->upper, upper);
	atomic_init(&x->data_up, true);
	atomic_init(&x->kept, true);
	return x;
}

/* Takes the place away; the caller drops what it held. */
static void take_place(struct ov_inode *x, struct ov_inode **ret_parent, char **ret_name)
{
	mutex_lock(&x->place_lock);
	*ret_parent = x->parent;
	*ret_name = x->name;
	x->parent = NULL;
	x->name = NULL;
	mutex_unlock(&x->place_lock);
}

static void drop_place(struct ov_inode *x)
{
	struct ov_inode *parent;
	char *name;

	take_place(x, &parent, &name);
	free(name);
	if (parent)
		inode_put(&parent->inode);
}

static void unpin_all(struct overlay *o)
{
	mutex_lock(&o->lock);
	while (!list_empty(&o->pins)) {
		struct ov_inode *x = list_first(&o->pins, struct ov_inode, pin_node);

		list_del(&x->pin_node);
		x->pinned = false;
		mutex_unlock(&o->lock);
		inode_put(&x->inode);
		mutex_lock(&o->lock);
	}
	mutex_unlock(&o->lock);
}

static void destroy(struct ov_inode *x)
{
	struct overlay *o = ov_super(x);
	struct inode *upper = ov_upper(x);

	ov_names_free(x->names);
	if (x == o->root)
		unpin_all(o);
	drop_place(x);
	if (x->lower)
		inode_put(x->lower);
	if (upper)
		inode_put(upper);
	mutex_fini(&x->place_lock);
	inode_fini(&x->inode); /* last: the super may go with it */
	free(x);
}

/* A directory takes its children with it: as a loop, since a guest's tree may be deeper than a stack. */
void ov_release(struct inode *i)
{
	static _Thread_local struct list *queue;
	struct ov_inode *x = ov_inode_of(i);
	struct overlay *o = ov_super(x);
	struct list mine;

	mutex_lock(&o->lock);
	list_del(&x->node);
	mutex_unlock(&o->lock);
	if (queue) {
		list_add_tail(queue, &x->node);
		return;
	}
	list_init(&mine);
	queue = &mine;
	for (;;) {
		destroy(x);
		if (list_empty(&mine))
			break;
		x = list_first(&mine, struct ov_inode, node);
		list_del(&x->node);
	}
	queue = NULL;
}

/* --- keeping what was changed ------------------------------------------------------------------------------------- */

/* A lower file with other names must not be forgotten when this one's entry goes. */
static int keep_links(struct ov_inode *x)
{
	struct overlay *o = ov_super(x);
	struct statx st;
	int r = x->lower->ops->getattr(x->lower, STATX_NLINK, &st);

	if (r < 0)
		return r;
	mutex_lock(&o->lock);
	if (!atomic_load(&x->kept)) {
		atomic_store(&x->nlink, (int)MIN(st.stx_nlink, (uint32_t)INT_MAX / 2));
		if (st.stx_nlink > 1) {
			inode_get(&x->inode);
			list_add(&o->pins, &x->pin_node);
			x->pinned = true;
		}
		atomic_store(&x->kept, true);
	}
	mutex_unlock(&o->lock);
	return 0;
}

/* Enters x in the table of the directory it was found in. *ret_parent: that one, counted; NULL: it was in one. */
static int keep_name(struct ov_inode *x, struct ov_inode **ret_parent)
{
	AUTO_FREE char *name = NULL;
	struct ov_inode *parent;
	int r = 0;

	mutex_lock(&x->place_lock);
	parent = x->parent;
	if (parent) {
		inode_get(&parent->inode);
		name = strdup(x->name);
		if (!name)
			r = -ENOMEM;
	}
	mutex_unlock(&x->place_lock);
	if (r == 0 && parent)
		r = ov_names_pin(parent->names, name, x);
	if (r < 0) {
		inode_put(&parent->inode);
		return r;
	}
	if (parent)
		drop_place(x);
	*ret_parent = parent;
	return 0;
}

int ov_keep(struct ov_inode *x)
{
	struct ov_inode *at = x, *parent;
	int r = 0;

	if (x->lower && !ov_is_dir(x) && !atomic_load(&x->kept))
		r = keep_links(x);
	inode_get(&at->inode);
	while (r == 0 && (r = keep_name(at, &parent)) == 0 && parent) {
		inode_put(&at->inode);
		at = parent;
	}
	inode_put(&at->inode);
	return r;
}

void ov_unpin(struct ov_inode *x)
{
	struct overlay *o = ov_super(x);
	bool pinned;

	mutex_lock(&o->lock);
	pinned = x->pinned;
	x->pinned = false;
	if (pinned)
		list_del(&x->pin_node);
	mutex_unlock(&o->lock);
	if (pinned)
		inode_put(&x->inode);
}

/* --- the file system ---------------------------------------------------------------------------------------------- */

/*
 * Directories below are asked for again only after a while: every path leads through several, and Linux's overlayfs
 * does not look for changes below at all.
 */
static bool checked_lately(struct ov_inode *x)
{
	struct timespec ts;
	int64_t now;

	if (!S_ISDIR(x->inode.type))
		return false;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (now - atomic_load_explicit(&x->checked_ms, memory_order_relaxed) < RECHECK_MS)
		return true;
	atomic_store_explicit(&x->checked_ms, now, memory_order_relaxed); /* by who finds it old */
	return false;
}

/* What is in the table is ours; the rest may change on the host. */
static bool revalidate(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *i)
{
	struct ov_inode *d = ov_inode_of(dir), *x = ov_inode_of(i), *child;
	struct overlay *o = ov_super(d);
	int r = ov_names_find(d->names, name, &child);

	if (r == 1) {
		inode_put(&child->inode);
		return child == x;
	}
	if (r == 0 || !d->lower || !x->lower)
		return false;
	return checked_lately(x) || !o->lower_sb->ops->revalidate || o->lower_sb->ops->revalidate(c, d->lower, name, x->lower);
}

static void put_layer(struct super *s)
{
	if (!s)
		return;
	dentry_put(s->root); /* no mount has it */
	super_put(s);
}

static void release(struct super *s)
{
	struct overlay *o = ov_of(s);

	put_layer(o->lower_sb);
	put_layer(o->upper_sb);
	cred_put((struct cred *)(uintptr_t)o->self.cred);
	waitq_fini(&o->copied);
	mutex_fini(&o->copy_lock);
	mutex_fini(&o->lock);
	free(o);
}

static const struct super_ops overlay_super_ops = {
	.revalidate = revalidate,
	.release = release,
};

static struct overlay *make_overlay(struct vfs *v)
{
	struct cred *cred = cred_new(0);
	struct overlay *o = calloc(1, sizeof(*o));

	if (!o || !cred) {
		free(o);
		cred_put(cred);
		return NULL;
	}
	cred->cap_effective = cred->cap_permitted = ~(uint64_t)0;
	o->self = (struct fs_ctx){ .vfs = v, .cred = cred, .limit_fsize = UINT64_MAX };
	mutex_init(&o->lock);
	mutex_init(&o->copy_lock);
	waitq_init(&o->copied);
	list_init(&o->pins);
	for (size_t i = 0; i < OV_BUCKETS; i++)
		list_init(&o->bucket[i]);
	super_init(&o->sb, &overlay_super_ops, v);
	return o;
}

static int make_root(struct overlay *o)
{
	struct inode *lower = o->lower_sb->root->inode;
	struct ov_inode *x = make(o, S_IFDIR, o->sb.dev, lower->ino);

	if (!x)
		return -ENOMEM;
	x->lower = inode_get(lower);
	o->root = x;
	o->work = o->upper_sb->root->inode;
	list_add(bucket_of(o, lower), &x->node); /* nobody else sees it yet */
	return super_set_root(&o->sb, &x->inode);
}

int overlay_new(struct vfs *v, const char *host_dir, struct super **ret)
{
	struct overlay *o = make_overlay(v);
	int r;

	if (!o)
		return -ENOMEM;
	r = hostfs_new(v, host_dir, true, &o->lower_sb);
	if (r == 0) {
		o->sb.dio_align = o->lower_sb->dio_align;
		r = tmpfs_new(v, 0, 0755, &o->upper_sb);
	}
	if (r == 0)
		r = make_root(o);
	if (r < 0) {
		super_put(&o->sb);
		return r;
	}
	*ret = &o->sb;
	return 0;
}
