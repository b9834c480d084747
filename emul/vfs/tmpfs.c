/* SPDX-License-Identifier: MIT */
/* tmpfs: the super, inodes, attributes. mm/shmem.c. */
#include <linux/capability.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/mm/mm.h"
#include "emul/vfs/tmpfs.h"

#define NSEC 1000000000
#define XATTR_BYTES_MAX ((size_t)1 << 20) /* of one inode */

static const struct inode_ops tmpfs_ops;

/* --- inodes ------------------------------------------------------------------------------------------------ */

static void set_owner(struct tmpfs_inode *ti, struct fs_ctx *c, const struct inode *dir)
{
	const struct tmpfs_inode *td = dir ? container_of(dir, struct tmpfs_inode, inode) : NULL;

	if (c) {
		ti->uid = c->cred->fsuid;
		ti->gid = c->cred->fsgid;
	}
	if (td && (td->mode & S_ISGID)) {
		ti->gid = td->gid;
		if (S_ISDIR(ti->inode.type))
			ti->mode |= S_ISGID;
	}
}

int tmpfs_inode_new(struct tmpfs *t, struct fs_ctx *c, const struct inode *dir, mode_t mode, struct inode **ret)
{
	struct tmpfs_inode *ti = calloc(1, sizeof(*ti));

	if (!ti)
		return -ENOMEM;
	if (S_ISREG(mode)) {
		ti->obj = shmem_new(vfs_phys(t->sb.vfs), 0);
		if (!ti->obj) {
			free(ti);
			return -ENOMEM;
		}
	}
	inode_init(&ti->inode, &tmpfs_ops, &t->sb, mode & S_IFMT, t->sb.dev, atomic_fetch_add(&t->next_ino, 1));
	mutex_init(&ti->lock);
	list_init(&ti->xattrs);
	RB_INIT(&ti->dir.order);
	ti->dir.last_cookie = 1; /* 0 and 1 are "." and ".." */
	ti->mode = mode & 07777;
	set_owner(ti, c, dir);
	clock_gettime(CLOCK_REALTIME_COARSE, &ti->btime);
	ti->atime = ti->mtime = ti->ctime = ti->btime;
	atomic_fetch_add(&t->ninodes, 1);
	*ret = &ti->inode;
	return 0;
}

static void free_xattr(struct tmpfs_xattr *x)
{
	list_del(&x->node);
	free(x->name);
	free(x->value);
	free(x);
}

void tmpfs_release(struct inode *i)
{
	struct tmpfs_inode *ti = tmpfs_inode_of(i);
	struct tmpfs *t = tmpfs_of(i->sb);

	atomic_fetch_sub(&t->used, ti->charged);
	atomic_fetch_sub(&t->ninodes, 1);
	if (ti->free_priv)
		ti->free_priv(ti->priv);
	memobj_put(ti->obj);
	free(ti->target);
	tmpfs_dir_free(&ti->dir);
	while (!list_empty(&ti->xattrs))
		free_xattr(list_first(&ti->xattrs, struct tmpfs_xattr, node));
	mutex_fini(&ti->lock);
	inode_fini(i);
	free(ti);
}

void tmpfs_touch(struct tmpfs_inode *ti, bool data)
{
	mutex_lock(&ti->lock);
	clock_gettime(CLOCK_REALTIME_COARSE, &ti->ctime);
	if (data)
		ti->mtime = ti->ctime;
	mutex_unlock(&ti->lock);
}

void tmpfs_link_count(struct tmpfs_inode *ti, int change)
{
	mutex_lock(&ti->lock);
	ti->nlink += (unsigned)change;
	clock_gettime(CLOCK_REALTIME_COARSE, &ti->ctime);
	mutex_unlock(&ti->lock);
}

static void charge_locked(struct tmpfs_inode *ti) REQUIRES(ti->lock)
{
	uint64_t now = shmem_allocated(ti->obj);

	atomic_fetch_add(&tmpfs_of(ti->inode.sb)->used, now - ti->charged);
	ti->charged = now;
}

void tmpfs_charge(struct tmpfs_inode *ti)
{
	mutex_lock(&ti->lock);
	charge_locked(ti);
	mutex_unlock(&ti->lock);
}

/* --- attributes ---------------------------------------------------------------------------------------------- */

static struct statx_timestamp stamp(struct timespec ts)
{
	return (struct statx_timestamp){ .tv_sec = ts.tv_sec, .tv_nsec = (uint32_t)ts.tv_nsec };
}

static void fill_size(struct tmpfs_inode *ti, struct statx *st) REQUIRES(ti->lock)
{
	if (ti->obj) {
		st->stx_size = shmem_size(ti->obj);
		charge_locked(ti);
		st->stx_blocks = ti->charged / 512;
	} else if (ti->target) {
		st->stx_size = strlen(ti->target);
	} else if (S_ISDIR(ti->inode.type)) {
		st->stx_size = (ti->dir.n + 2) * 20; /* as Linux's tmpfs counts */
	}
}

/* What writes to shared maps have done to the times since anybody looked. */
static void settle_times(struct tmpfs_inode *ti) REQUIRES(ti->lock)
{
	int64_t ns = ti->obj ? memobj_map_written(ti->obj) : 0;
	struct timespec at = { .tv_sec = ns / NSEC, .tv_nsec = ns % NSEC };

	if (at.tv_sec > ti->mtime.tv_sec || (at.tv_sec == ti->mtime.tv_sec && at.tv_nsec > ti->mtime.tv_nsec))
		ti->mtime = ti->ctime = at;
}

int tmpfs_getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	struct tmpfs_inode *ti = tmpfs_inode_of(i);

	mutex_lock(&ti->lock);
	settle_times(ti);
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS | STATX_BTIME,
		.stx_blksize = PAGE_SIZE,
		.stx_nlink = ti->nlink,
		.stx_uid = ti->uid,
		.stx_gid = ti->gid,
		.stx_mode = (uint16_t)(i->type | ti->mode),
		.stx_ino = i->ino,
		.stx_atime = stamp(ti->atime),
		.stx_btime = stamp(ti->btime),
		.stx_ctime = stamp(ti->ctime),
		.stx_mtime = stamp(ti->mtime),
		.stx_rdev_major = major(ti->rdev),
		.stx_rdev_minor = minor(ti->rdev),
		.stx_dev_major = major(i->dev),
		.stx_dev_minor = minor(i->dev),
	};
	fill_size(ti, ret);
	mutex_unlock(&ti->lock);
	return 0;
}

int tmpfs_set_size(struct fs_ctx *c, struct tmpfs_inode *ti, uint64_t size)
{
	int r;

	if (size > INT64_MAX)
		return -EINVAL;
	if (c && size > c->limit_fsize && size > shmem_size(ti->obj))
		return -EFBIG;
	r = shmem_truncate(ti->obj, size);
	tmpfs_charge(ti);
	if (r == 0)
		tmpfs_touch(ti, true);
	return r;
}

int tmpfs_setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a)
{
	struct tmpfs_inode *ti = tmpfs_inode_of(i);
	int r;

	if ((a->valid & ATTR_SIZE) && !ti->obj)
		return S_ISDIR(i->type) ? -EISDIR : -EINVAL;
	r = a->valid & ATTR_SIZE ? tmpfs_set_size(c, ti, a->size) : 0;
	if (r < 0)
		return r;
	mutex_lock(&ti->lock);
	settle_times(ti);
	if (a->valid & ATTR_MODE)
		ti->mode = a->mode & 07777;
	if (a->valid & ATTR_UID)
		ti->uid = a->uid;
	if (a->valid & ATTR_GID)
		ti->gid = a->gid;
	if (a->valid & ATTR_ATIME)
		ti->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		ti->mtime = a->mtime;
	clock_gettime(CLOCK_REALTIME_COARSE, &ti->ctime);
	mutex_unlock(&ti->lock);
	return 0;
}

static ssize_t readlink_text(struct fs_ctx *c, struct inode *i, char *buf, size_t size)
{
	const char *target = tmpfs_inode_of(i)->target;
	size_t n = MIN(strlen(target), size);

	memcpy(buf, target, n);
	return (ssize_t)n;
}

static int statfs_of(struct inode *i, struct statfs *ret)
{
	struct tmpfs *t = tmpfs_of(i->sb);
	uint64_t used = atomic_load(&t->used), limit = t->limit;
	struct mem_stats m;

	phys_stats(vfs_phys(i->sb->vfs), &m);
	if (limit > m.total)
		limit = m.total;
	*ret = (struct statfs){
		.f_type = TMPFS_MAGIC, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = 255,
		.f_blocks = limit / PAGE_SIZE,
		.f_bfree = MIN(limit - MIN(used, limit), m.free + m.cached) / PAGE_SIZE,
		.f_files = m.total / PAGE_SIZE / 2,
	};
	ret->f_bavail = ret->f_bfree;
	ret->f_ffree = ret->f_files - MIN(atomic_load(&t->ninodes), (uint64_t)ret->f_files);
	ret->f_fsid.__val[0] = (int)i->sb->dev;
	return 0;
}

/* --- extended attributes ---------------------------------------------------------------------------------------- */

static struct tmpfs_xattr *find_xattr(struct tmpfs_inode *ti, const char *name)
{
	struct tmpfs_xattr *x;

	list_for_each(x, &ti->xattrs, node)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static ssize_t getxattr_of(struct inode *i, const char *name, void *buf, size_t size)
{
	struct tmpfs_inode *ti = tmpfs_inode_of(i);
	struct tmpfs_xattr *x;
	ssize_t r;

	if (!strncmp(name, "system.", 7))
		return -EOPNOTSUPP;
	mutex_lock(&ti->lock);
	x = find_xattr(ti, name);
	r = !x ? -ENODATA : size && size < x->size ? -ERANGE : (ssize_t)x->size;
	if (r > 0 && size)
		memcpy(buf, x->value, x->size);
	mutex_unlock(&ti->lock);
	return r;
}

static struct tmpfs_xattr *make_xattr(const char *name, const void *buf, size_t size)
{
	struct tmpfs_xattr *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	list_init(&x->node);
	x->name = strdup(name);
	x->value = malloc(size + 1);
	x->size = size;
	if (!x->name || !x->value) {
		free_xattr(x);
		return NULL;
	}
	memcpy(x->value, buf, size);
	return x;
}

static size_t xattr_bytes(struct tmpfs_inode *ti)
{
	struct tmpfs_xattr *x;
	size_t n = 0;

	list_for_each(x, &ti->xattrs, node)
		n += x->size + strlen(x->name) + 1;
	return n;
}

static int setxattr_of(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	struct tmpfs_inode *ti = tmpfs_inode_of(i);
	struct tmpfs_xattr *old, *x;
	int r = 0;

	if (!strncmp(name, "system.", 7))
		return -EOPNOTSUPP;
	x = make_xattr(name, buf, size);
	if (!x)
		return -ENOMEM;
	mutex_lock(&ti->lock);
	old = find_xattr(ti, name);
	if (old && (flags & XATTR_CREATE))
		r = -EEXIST;
	else if (!old && (flags & XATTR_REPLACE))
		r = -ENODATA;
	else if (xattr_bytes(ti) + size > XATTR_BYTES_MAX)
		r = -ENOSPC;
	if (r == 0) {
		if (old)
			free_xattr(old);
		list_add_tail(&ti->xattrs, &x->node);
		clock_gettime(CLOCK_REALTIME_COARSE, &ti->ctime);
	}
	mutex_unlock(&ti->lock);
	if (r < 0)
		free_xattr(x);
	return r;
}

static ssize_t listxattr_of(struct inode *i, char *buf, size_t size)
{
	struct tmpfs_inode *ti = tmpfs_inode_of(i);
	struct tmpfs_xattr *x;
	size_t n = 0;

	mutex_lock(&ti->lock);
	list_for_each(x, &ti->xattrs, node) {
		size_t len = strlen(x->name) + 1;

		if (size && n + len <= size)
			memcpy(buf + n, x->name, len);
		n += len;
	}
	mutex_unlock(&ti->lock);
	return size && n > size ? -ERANGE : (ssize_t)n;
}

static int removexattr_of(struct inode *i, const char *name)
{
	struct tmpfs_inode *ti = tmpfs_inode_of(i);
	struct tmpfs_xattr *x;

	mutex_lock(&ti->lock);
	x = find_xattr(ti, name);
	if (x)
		free_xattr(x);
	mutex_unlock(&ti->lock);
	return x ? 0 : -ENODATA;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static int open_inode(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	switch (i->type) {
	case S_IFREG: return tmpfs_file_open(c, i, p, flags, ret);
	case S_IFDIR: return tmpfs_dir_open(i, flags, ret);
	case S_IFLNK: return -ELOOP;
	default: return special_open(c, i, tmpfs_inode_of(i)->rdev, flags, ret);
	}
}

static const struct inode_ops tmpfs_ops = {
	.lookup = tmpfs_lookup,
	.create = tmpfs_create,
	.mkdir = tmpfs_mkdir,
	.mknod = tmpfs_mknod,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	.getattr = tmpfs_getattr,
	.setattr = tmpfs_setattr,
	.readlink = readlink_text,
	.open = open_inode,
	.statfs = statfs_of,
	.getxattr = getxattr_of,
	.setxattr = setxattr_of,
	.listxattr = listxattr_of,
	.removexattr = removexattr_of,
	.release = tmpfs_release,
};

/* --- the super ------------------------------------------------------------------------------------------------------ */

static void release_super(struct super *s)
{
	free(tmpfs_of(s));
}

static const struct super_ops super_ops = { .release = release_super };

int tmpfs_new(struct vfs *v, uint64_t limit, mode_t root_mode, struct super **ret)
{
	struct tmpfs *t = calloc(1, sizeof(*t));
	struct inode *root;
	int r;

	if (!t)
		return -ENOMEM;
	super_init(&t->sb, &super_ops, v);
	t->limit = limit ? limit : UINT64_MAX;
	atomic_init(&t->next_ino, 1);
	r = tmpfs_inode_new(t, NULL, NULL, S_IFDIR | root_mode, &root);
	if (r == 0) {
		tmpfs_inode_of(root)->nlink = 2;
		r = super_set_root(&t->sb, root);
	}
	if (r < 0) {
		super_put(&t->sb);
		return r;
	}
	*ret = &t->sb;
	return 0;
}
