/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: directories. Names are found by hash and read in the order of their making, by cookies that stay
 * valid whatever is removed meanwhile.
 */
#include <dirent.h>
#include <linux/fs.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/vfs/fileops.h"
#include "emul/vfs/namespace.h"
#include "emul/vfs/tmpfs.h"

#define BUCKETS_MIN 8

static int compare(const struct tmpfs_entry *a, const struct tmpfs_entry *b)
{
	return a->cookie < b->cookie ? -1 : a->cookie > b->cookie;
}

RB_PROTOTYPE_INTERNAL(tmpfs_entries, tmpfs_entry, node, compare, static __attribute__((unused)))
RB_GENERATE_INTERNAL(tmpfs_entries, tmpfs_entry, node, compare, static __attribute__((unused)))

static uint32_t hash_of(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

static struct tmpfs_entry *find(struct tmpfs_dir *d, const char *name)
{
	uint32_t h = hash_of(name);
	struct tmpfs_entry *e;

	if (!d->n)
		return NULL;
	list_for_each(e, &d->bucket[h & (d->nbuckets - 1)], chain)
		if (e->hash == h && !strcmp(e->name, name))
			return e;
	return NULL;
}

static int grow(struct tmpfs_dir *d)
{
	unsigned want = d->nbuckets ? 2 * d->nbuckets : BUCKETS_MIN;
	struct list *bucket = calloc(want, sizeof(*bucket));
	struct tmpfs_entry *e;

	if (!bucket)
		return d->nbuckets ? 0 : -ENOMEM;
	for (unsigned i = 0; i < want; i++)
		list_init(&bucket[i]);
	RB_FOREACH(e, tmpfs_entries, &d->order) {
		list_del(&e->chain);
		list_add(&bucket[e->hash & (want - 1)], &e->chain);
	}
	free(d->bucket);
	d->bucket = bucket;
	d->nbuckets = want;
	return 0;
}

static int add(struct tmpfs_dir *d, const char *name, struct inode *i)
{
	size_t len = strlen(name) + 1;
	struct tmpfs_entry *e;

	if (d->dead)
		return -ENOENT;
	if (d->n >= d->nbuckets && grow(d) < 0)
		return -ENOMEM;
	e = calloc(1, sizeof(*e) + len);
	if (!e)
		return -ENOMEM;
	e->hash = hash_of(name);
	e->cookie = ++d->last_cookie;
	e->inode = inode_get(i);
	memcpy(e->name, name, len);
	list_add(&d->bucket[e->hash & (d->nbuckets - 1)], &e->chain);
	RB_INSERT(tmpfs_entries, &d->order, e);
	d->n++;
	return 0;
}

static void cut(struct tmpfs_dir *d, struct tmpfs_entry *e)
{
	list_del(&e->chain);
	RB_REMOVE(tmpfs_entries, &d->order, e);
	d->n--;
	inode_put(e->inode);
	free(e);
}

void tmpfs_dir_free(struct tmpfs_dir *d)
{
	struct tmpfs_entry *e;

	while ((e = RB_MIN(tmpfs_entries, &d->order)))
		cut(d, e);
	free(d->bucket);
}

/* --- operations ------------------------------------------------------------------------------------------------ */

int tmpfs_lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret)
{
	struct tmpfs_entry *e = find(&tmpfs_inode_of(dir)->dir, name);

	if (!e)
		return -ENOENT;
	*ret = inode_get(e->inode);
	return 0;
}

/* name NULL: without one. */
static int make(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	struct tmpfs_inode *td = tmpfs_inode_of(dir);
	AUTO(inode) i = NULL;
	int r = tmpfs_inode_new(tmpfs_of(dir->sb), c, dir, mode, &i); /* a full file system takes names, as Linux's does */

	if (r == 0 && name)
		r = add(&td->dir, name, i);
	if (r < 0)
		return r;
	if (name) {
		tmpfs_inode_of(i)->nlink = S_ISDIR(mode) ? 2 : 1;
		if (S_ISDIR(mode))
			tmpfs_link_count(td, 1);
		tmpfs_touch(td, true);
	}
	*ret = steal(i);
	return 0;
}

int tmpfs_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	return make(c, dir, name, S_IFREG | (mode & 07777), ret);
}

int tmpfs_mkdir(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	return make(c, dir, name, S_IFDIR | (mode & 07777), ret);
}

int tmpfs_mknod(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret)
{
	int r = make(c, dir, name, mode, ret);

	if (r == 0)
		tmpfs_inode_of(*ret)->rdev = dev;
	return r;
}

int tmpfs_symlink(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret)
{
	char *copy = strdup(target);
	int r = copy ? make(c, dir, name, S_IFLNK | 0777, ret) : -ENOMEM;

	if (r == 0)
		tmpfs_inode_of(*ret)->target = copy; /* nobody can look yet: dir->lock is held */
	else
		free(copy);
	return r;
}

int tmpfs_tmpfile(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret)
{
	return make(c, dir, NULL, S_IFREG | (mode & 07777), ret);
}

int tmpfs_link(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old)
{
	struct tmpfs_inode *td = tmpfs_inode_of(dir);
	int r = add(&td->dir, name, old);

	if (r < 0)
		return r;
	tmpfs_link_count(tmpfs_inode_of(old), 1);
	tmpfs_touch(td, true);
	return 0;
}

int tmpfs_unlink(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	struct tmpfs_inode *td = tmpfs_inode_of(dir);
	struct tmpfs_entry *e = find(&td->dir, name);

	if (!e)
		return -ENOENT;
	cut(&td->dir, e);
	tmpfs_link_count(tmpfs_inode_of(victim), -1);
	tmpfs_touch(td, true);
	return 0;
}

/* An empty directory takes no more names. */
static int kill_dir(struct tmpfs_inode *tv)
{
	int r = 0;

	mutex_lock(&tv->inode.lock);
	if (tv->dir.n)
		r = -ENOTEMPTY;
	else
		tv->dir.dead = true;
	mutex_unlock(&tv->inode.lock);
	return r;
}

int tmpfs_rmdir(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim)
{
	struct tmpfs_inode *td = tmpfs_inode_of(dir), *tv = tmpfs_inode_of(victim);
	struct tmpfs_entry *e = find(&td->dir, name);
	int r = e ? kill_dir(tv) : -ENOENT;

	if (r < 0)
		return r;
	cut(&td->dir, e);
	tmpfs_link_count(tv, -2);
	tmpfs_link_count(td, -1);
	tmpfs_touch(td, true);
	return 0;
}

static void subdir_moved(struct tmpfs_inode *from, struct tmpfs_inode *to, const struct inode *i)
{
	if (from == to || !S_ISDIR(i->type))
		return;
	tmpfs_link_count(from, -1);
	tmpfs_link_count(to, 1);
}

static int replace(struct tmpfs_inode *td, struct tmpfs_entry *e, struct inode *moved, struct tmpfs_inode *tn,
		   const char *new_name, struct inode *victim)
{
	struct tmpfs_entry *old = find(&tn->dir, new_name);
	bool dir = victim && S_ISDIR(victim->type);
	int r = dir ? kill_dir(tmpfs_inode_of(victim)) : 0;

	if (r == 0 && !old)
		r = add(&tn->dir, new_name, moved);
	if (r < 0)
		return r;
	if (old) {
		tmpfs_link_count(tmpfs_inode_of(victim), dir ? -2 : -1);
		if (dir)
			tmpfs_link_count(tn, -1);
		inode_put(old->inode);
		old->inode = inode_get(moved);
	}
	subdir_moved(td, tn, moved);
	cut(&td->dir, e);
	return 0;
}

int tmpfs_rename(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
		 const char *new_name, struct inode *victim, unsigned flags)
{
	struct tmpfs_inode *td = tmpfs_inode_of(dir), *tn = tmpfs_inode_of(new_dir);
	struct tmpfs_entry *e = find(&td->dir, name), *n;
	int r = 0;

	if (!e)
		return -ENOENT;
	if (flags & RENAME_EXCHANGE) {
		n = find(&tn->dir, new_name);
		if (!n)
			return -ENOENT;
		e->inode = n->inode;
		n->inode = moved;
		subdir_moved(td, tn, moved);
		subdir_moved(tn, td, victim);
		tmpfs_touch(tmpfs_inode_of(victim), false);
	} else {
		r = replace(td, e, moved, tn, new_name, victim);
	}
	if (r < 0)
		return r;
	tmpfs_touch(tmpfs_inode_of(moved), false);
	tmpfs_touch(td, true);
	tmpfs_touch(tn, true);
	return 0;
}

/* --- open directories ------------------------------------------------------------------------------------------------ */

struct tmpfs_dirfile { struct file file; struct inode *dir; /* counted */ };

static bool emit(struct file *f, struct dirsink *out, const char *name, uint64_t ino, mode_t type, uint64_t cookie)
{
	if (out->entry(out, name, strlen(name), ino, (unsigned char)IFTODT(type), (off_t)cookie + 1))
		return false;
	f->pos = (off_t)cookie + 1;
	return true;
}

static uint64_t parent_ino(struct file *f, struct inode *dir)
{
	struct dentry *d = f->path.dentry;
	AUTO(dentry) up = d && d != f->path.mnt->root ? dentry_parent(d) : NULL; /* a rename may be changing it */

	return up ? up->inode->ino : dir->ino;
}

static int dir_readdir(struct file *f, struct dirsink *out)
{
	struct inode *dir = container_of(f, struct tmpfs_dirfile, file)->dir;
	struct tmpfs_inode *td = tmpfs_inode_of(dir);
	struct tmpfs_entry key, *e;
	bool dead;

	mutex_lock(&dir->lock);
	dead = td->dir.dead;
	mutex_unlock(&dir->lock);
	if (dead)
		return -ENOENT;
	if (f->pos == 0 && !emit(f, out, ".", dir->ino, S_IFDIR, 0))
		return 0;
	if (f->pos == 1 && !emit(f, out, "..", parent_ino(f, dir), S_IFDIR, 1))
		return 0;
	mutex_lock(&dir->lock);
	key.cookie = (uint64_t)f->pos;
	for (e = RB_NFIND(tmpfs_entries, &td->dir.order, &key); e; e = RB_NEXT(tmpfs_entries, &td->dir.order, e))
		if (!emit(f, out, e->name, e->inode->ino, e->inode->type, e->cookie))
			break;
	mutex_unlock(&dir->lock);
	return 0;
}

static void dir_release(struct file *f)
{
	struct tmpfs_dirfile *d = container_of(f, struct tmpfs_dirfile, file);

	file_fini(f);
	inode_put(d->dir);
	free(d);
}

static const struct file_ops dir_ops = {
	.name = "tmpfs",
	.read = dir_no_read,
	.lseek = dir_lseek,
	.readdir = dir_readdir,
	.fsync = dir_fsync,
	.release = dir_release,
};

int tmpfs_dir_open(struct inode *dir, unsigned flags, struct file **ret)
{
	struct tmpfs_dirfile *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	file_init(&d->file, &dir_ops, flags);
	d->file.seekable = true;
	d->dir = inode_get(dir);
	*ret = &d->file;
	return 0;
}
