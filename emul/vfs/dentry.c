/* SPDX-License-Identifier: MIT */
/*
 * The cache of names. A dentry that nobody holds stays findable on a bounded list of unused ones, so that walking the
 * same paths costs no look-ups in file systems; host-backed names are asked of the host again each time.
 *
 * Counts go from 0 to 1 and back only under cache_lock; in between they are plain atomics.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define UNUSED_MAX 16384

void dcache_init(struct vfs *v)
{
	struct rlimit r = { 0, 0 };

	mutex_init(&v->cache_lock);
	for (unsigned i = 0; i < DCACHE_BUCKETS; i++)
		list_init(&v->bucket[i]);
	list_init(&v->unused);
	/* Cached names of host files hold a host descriptor each: a quarter of what we may have (the soft limit is raised at boot). */
	v->max_unused = 256;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0)
		v->max_unused = (unsigned)MIN(MAX(r.rlim_max / 4, (rlim_t)64), (rlim_t)UNUSED_MAX);
}

static uint32_t hash_of(const struct dentry *dir, const char *name)
{
	uint64_t h = (uintptr_t)dir >> 4;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 40) & (DCACHE_BUCKETS - 1);
}

static struct dentry *dentry_alloc(struct dentry *parent, const char *name, struct inode *i)
{
	struct dentry *d = calloc(1, sizeof(*d));

	if (d)
		d->name = strdup(name);
	if (!d || !d->name) {
		free(d);
		return NULL;
	}
	ref_init(&d->ref);
	mutex_init(&d->lock);
	d->sb = i->sb;
	d->inode = i;
	d->parent = parent ? dentry_get(parent) : d;
	list_init(&d->cache_node);
	list_init(&d->lru_node);
	return d;
}

struct dentry *dentry_new_root(struct inode *i)
{
	struct dentry *d = dentry_alloc(NULL, "", i);

	if (!d)
		inode_put(i);
	else
		d->hashed = true;
	return d;
}

int dentry_new_unnamed(struct dentry *dir, struct inode *i, struct dentry **ret)
{
	char name[32];

	snprintf(name, sizeof(name), "#%lu", (unsigned long)i->ino);
	*ret = dentry_alloc(dir, name, i);
	if (!*ret)
		inode_put(i);
	return *ret ? 0 : -ENOMEM;
}

/* The parent, for the caller to put: chains of removed directories are as deep as guests make them. */
static struct dentry *dentry_free(struct dentry *d)
{
	struct dentry *parent = d->parent == d ? NULL : d->parent;

	inode_put(d->inode);
	mutex_fini(&d->lock);
	free(d->name);
	free(d);
	return parent;
}

struct dentry *dentry_get(struct dentry *d)
{
	ref_get(&d->ref);
	return d;
}

/* Out of the table and the list of unused ones. cache_lock held. */
static void forget_locked(struct vfs *v, struct dentry *d)
{
	list_del(&d->cache_node);
	if (!list_empty(&d->lru_node)) {
		list_del(&d->lru_node);
		v->nunused--;
	}
}

/* The last holder let go: true if d is to be freed. *ret_old: one that had to make room. */
static bool retire_locked(struct vfs *v, struct dentry *d, struct dentry **ret_old)
{
	if (list_empty(&d->cache_node))
		return true;
	list_add_tail(&v->unused, &d->lru_node);
	if (++v->nunused > v->max_unused) {
		*ret_old = list_first(&v->unused, struct dentry, lru_node);
		(*ret_old)->hashed = false;
		forget_locked(v, *ret_old);
	}
	return false;
}

/* Whom to put next, or NULL. */
static struct dentry *put_one(struct dentry *d)
{
	struct dentry *old = NULL;
	bool dead = false;
	struct vfs *v;
	unsigned n;

	n = atomic_load_explicit(&d->ref.n, memory_order_relaxed);
	while (n > 1)
		if (atomic_compare_exchange_weak_explicit(&d->ref.n, &n, n - 1, memory_order_acq_rel, memory_order_relaxed))
			return NULL;
	v = d->sb->vfs;
	mutex_lock(&v->cache_lock);
	if (ref_put(&d->ref))
		dead = retire_locked(v, d, &old);
	mutex_unlock(&v->cache_lock);
	if (old) /* it made room for its parent: this goes no deeper */
		dentry_put(dentry_free(old));
	return dead ? dentry_free(d) : NULL;
}

void dentry_put(struct dentry *d)
{
	while (d)
		d = put_one(d);
}

static struct dentry *take_unused(struct vfs *v, const struct super *s)
{
	struct dentry *d;

	mutex_lock(&v->cache_lock);
	list_for_each(d, &v->unused, lru_node)
		if (d->sb == s) {
			d->hashed = false;
			forget_locked(v, d);
			mutex_unlock(&v->cache_lock);
			return d;
		}
	mutex_unlock(&v->cache_lock);
	return NULL;
}

/* With the last child its directory gets unused. */
void dcache_forget(struct vfs *v, const struct super *s)
{
	struct dentry *d;

	while ((d = take_unused(v, s)))
		dentry_put(dentry_free(d));
}

static struct dentry *cache_find(struct vfs *v, struct dentry *dir, const char *name)
{
	struct dentry *d, *found = NULL;

	mutex_lock(&v->cache_lock);
	list_for_each(d, &v->bucket[hash_of(dir, name)], cache_node)
		if (d->parent == dir && !strcmp(d->name, name)) {
			found = d;
			ref_get(&d->ref);
			if (!list_empty(&d->lru_node)) {
				list_del(&d->lru_node);
				v->nunused--;
			}
			break;
		}
	mutex_unlock(&v->cache_lock);
	return found;
}

static void cache_add(struct vfs *v, struct dentry *d)
{
	mutex_lock(&v->cache_lock);
	list_add(&v->bucket[hash_of(d->parent, d->name)], &d->cache_node);
	d->hashed = true;
	mutex_unlock(&v->cache_lock);
}

void dentry_drop(struct dentry *d)
{
	struct vfs *v = d->sb->vfs;

	mutex_lock(&v->cache_lock);
	d->hashed = false;
	list_del(&d->cache_node);
	mutex_unlock(&v->cache_lock);
}

int dentry_add(struct dentry *dir, const char *name, struct inode *i, struct dentry **ret)
{
	struct dentry *d = dentry_alloc(dir, name, i);

	if (!d) {
		inode_put(i);
		return -ENOMEM;
	}
	cache_add(dir->sb->vfs, d);
	*ret = d;
	return 0;
}

/* dir's inode lock held. */
static int child_locked(struct fs_ctx *c, struct dentry *dir, const char *name, struct dentry **ret)
{
	const struct super_ops *sops = dir->sb->ops;
	struct dentry *d = cache_find(dir->sb->vfs, dir, name);
	struct inode *i;
	int r;

	if (d && !d->mounted && sops->revalidate && !sops->revalidate(c, dir->inode, name, d->inode)) {
		dentry_drop(d);
		dentry_put(d);
		d = NULL;
	}
	if (d) {
		*ret = d;
		return 0;
	}
	if (!dir->inode->ops->lookup)
		return -ENOTDIR;
	r = dir->inode->ops->lookup(c, dir->inode, name, &i);
	return r < 0 ? r : dentry_add(dir, name, i, ret);
}

int dentry_child(struct fs_ctx *c, struct dentry *dir, const char *name, bool locked, struct dentry **ret)
{
	int r;

	if (locked)
		return child_locked(c, dir, name, ret);
	mutex_lock(&dir->inode->lock);
	r = child_locked(c, dir, name, ret);
	mutex_unlock(&dir->inode->lock);
	return r;
}

/* --- renaming ---------------------------------------------------------------------------------------- */

struct dentry *dentry_parent(struct dentry *d)
{
	struct dentry *p;

	mutex_lock(&d->lock);
	p = dentry_get(d->parent);
	mutex_unlock(&d->lock);
	return p;
}

static void set_place(struct vfs *v, struct dentry *d, struct dentry *dir, char *name)
{
	mutex_lock(&v->cache_lock);
	mutex_lock(&d->lock);
	list_del(&d->cache_node);
	d->parent = dir;
	d->name = name;
	list_add(&v->bucket[hash_of(dir, name)], &d->cache_node);
	mutex_unlock(&d->lock);
	mutex_unlock(&v->cache_lock);
}

int dentry_move(struct dentry *d, struct dentry *dir, const char *name)
{
	struct dentry *old_dir = d->parent;
	char *old_name = d->name, *copy = strdup(name);

	if (!copy)
		return -ENOMEM;
	set_place(d->sb->vfs, d, dentry_get(dir), copy);
	dentry_put(old_dir);
	free(old_name);
	return 0;
}

int dentry_exchange(struct dentry *a, struct dentry *b)
{
	struct dentry *dir = a->parent;
	char *name = a->name;

	set_place(a->sb->vfs, a, b->parent, b->name);
	set_place(b->sb->vfs, b, dir, name);
	return 0;
}

bool dentry_is_ancestor(struct dentry *a, struct dentry *d)
{
	for (;; d = d->parent) {
		if (d == a)
			return true;
		if (d->parent == d)
			return false;
	}
}
