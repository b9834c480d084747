/* SPDX-License-Identifier: MIT */
/* /dev/pts: a name for each pair whose master is open. fs/devpts/inode.c. */
#include <dirent.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "emul/vfs/fileops.h"
#include "emul/vfs/namespace.h"
#include "emul/vfs/tty/tty_internal.h"

#define ROOT_INO 1
#define PTMX_INO 2
#define FIRST_INO 3

struct devpts { struct super sb; struct timespec born; };

struct pts_inode {
	struct inode inode;
	struct tty *tty;  /* counted; NULL: the root, or ptmx */
	struct mutex lock; /* inner to inode.lock, which who creates holds while asking who may */
	/* lock: of ptmx and the directory */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

static struct pts_inode *of(struct inode *i)
{
	return container_of(i, struct pts_inode, inode);
}

static const struct inode_ops devpts_ops;

/* Consumes t. */
static int make(struct super *s, struct tty *t, uint64_t ino, mode_t mode, struct inode **ret)
{
	struct pts_inode *pi = calloc(1, sizeof(*pi));

	if (!pi) {
		tty_put(t);
		return -ENOMEM;
	}
	mutex_init(&pi->lock);
	inode_init(&pi->inode, &devpts_ops, s, mode & S_IFMT, s->dev, ino);
	pi->tty = t;
	pi->mode = mode & 07777;
	*ret = &pi->inode;
	return 0;
}

/* A number as readdir shows it: no sign, no leading zeros. -1: none. */
static int index_of(const char *name)
{
	int n = 0;

	if (!*name || (name[0] == '0' && name[1]))
		return -1;
	for (; *name; name++) {
		if (*name < '0' || *name > '9' || n > TTY_PTY_MAX)
			return -1;
		n = n * 10 + (*name - '0');
	}
	return n;
}

static int lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret)
{
	struct tty *t;

	if (!strcmp(name, "ptmx"))
		return make(dir->sb, NULL, PTMX_INO, S_IFCHR, ret);
	t = tty_find(index_of(name));
	return t ? make(dir->sb, t, FIRST_INO + (uint64_t)t->index, S_IFCHR, ret) : -ENOENT;
}

/* Linux's answer for file systems that make their names themselves. */
static int create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret)
{
	return -EACCES;
}

/* --- attributes ---------------------------------------------------------------------------------------- */

static struct statx_timestamp stamp(struct timespec ts)
{
	return (struct statx_timestamp){ .tv_sec = ts.tv_sec, .tv_nsec = (uint32_t)ts.tv_nsec };
}

static void fill_slave(struct tty *t, struct statx *st)
{
	dev_t dev = tty_dev(t);

	tty_lock(t);
	st->stx_uid = t->uid;
	st->stx_gid = t->gid;
	st->stx_mode = (uint16_t)(S_IFCHR | t->mode);
	st->stx_atime = stamp(t->atime);
	st->stx_mtime = stamp(t->mtime);
	st->stx_ctime = stamp(t->ctime);
	tty_unlock(t);
	st->stx_rdev_major = major(dev);
	st->stx_rdev_minor = minor(dev);
	st->stx_nlink = !t->unlinked;
}

static int getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	struct devpts *d = container_of(i->sb, struct devpts, sb);
	struct pts_inode *pi = of(i);

	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = 1024,
		.stx_nlink = S_ISDIR(i->type) ? 2 : 1,
		.stx_ino = i->ino,
		.stx_dev_major = major(i->dev),
		.stx_dev_minor = minor(i->dev),
		.stx_atime = stamp(d->born),
		.stx_mtime = stamp(d->born),
		.stx_ctime = stamp(d->born),
	};
	if (pi->tty) {
		fill_slave(pi->tty, ret);
		return 0;
	}
	mutex_lock(&pi->lock);
	ret->stx_mode = (uint16_t)(i->type | pi->mode);
	ret->stx_uid = pi->uid;
	ret->stx_gid = pi->gid;
	mutex_unlock(&pi->lock);
	if (!S_ISDIR(i->type)) {
		ret->stx_rdev_major = 5;
		ret->stx_rdev_minor = 2;
	}
	return 0;
}

static void set_common(const struct iattr *a, mode_t *mode, uid_t *uid, gid_t *gid)
{
	if (a->valid & ATTR_MODE)
		*mode = a->mode & 07777;
	if (a->valid & ATTR_UID)
		*uid = a->uid;
	if (a->valid & ATTR_GID)
		*gid = a->gid;
}

static int setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a)
{
	struct pts_inode *pi = of(i);
	struct tty *t = pi->tty;

	if (a->valid & ATTR_SIZE)
		return S_ISDIR(i->type) ? -EISDIR : -EINVAL;
	if (!t) {
		mutex_lock(&pi->lock);
		set_common(a, &pi->mode, &pi->uid, &pi->gid);
		mutex_unlock(&pi->lock);
		return 0;
	}
	tty_lock(t);
	set_common(a, &t->mode, &t->uid, &t->gid);
	if (a->valid & ATTR_ATIME)
		t->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		t->mtime = a->mtime;
	clock_gettime(CLOCK_REALTIME_COARSE, &t->ctime);
	tty_unlock(t);
	return 0;
}

static int statfs_of(struct inode *i, struct statfs *ret)
{
	*ret = (struct statfs){
		.f_type = DEVPTS_SUPER_MAGIC, .f_bsize = PAGE_SIZE, .f_frsize = PAGE_SIZE, .f_namelen = 255,
	};
	return 0;
}

/* --- the directory ----------------------------------------------------------------------------------------- */

static int give(struct file *f, struct dirsink *out, const char *name, uint64_t ino, unsigned char type, off_t next)
{
	int r = out->entry(out, name, strlen(name), ino, type, next);

	if (r == 0)
		f->pos = next;
	return r;
}

/* Positions: 0 ".", 1 "..", 2 "ptmx", 3 + N the pair N. */
static int dir_readdir(struct file *f, struct dirsink *out)
{
	static const char *const fixed[] = { ".", "..", "ptmx" };
	int index;

	while (f->pos < FIRST_INO) {
		bool dir = f->pos < 2;

		if (give(f, out, fixed[f->pos], dir ? ROOT_INO : PTMX_INO, dir ? DT_DIR : DT_CHR, f->pos + 1))
			return 0;
	}
	while ((index = f->pos - FIRST_INO < TTY_PTY_MAX ? tty_next((int)(f->pos - FIRST_INO)) : -1) >= 0) {
		char name[16];

		snprintf(name, sizeof(name), "%d", index);
		if (give(f, out, name, FIRST_INO + (uint64_t)index, DT_CHR, FIRST_INO + index + 1))
			break;
	}
	return 0;
}

static void dir_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops dir_ops = {
	.name = "devpts", .read = dir_no_read, .lseek = dir_lseek, .readdir = dir_readdir, .fsync = dir_fsync, .release = dir_release,
};

static int open_dir(unsigned flags, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &dir_ops, flags);
	f->seekable = true;
	*ret = f;
	return 0;
}

static int open_inode(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	if (S_ISDIR(i->type))
		return open_dir(flags, ret);
	return of(i)->tty ? tty_open(of(i)->tty, c, flags, ret) : ptmx_open(c, flags, ret);
}

static void release_inode(struct inode *i)
{
	tty_put(of(i)->tty);
	mutex_fini(&of(i)->lock);
	inode_fini(i);
	free(of(i));
}

static const struct inode_ops devpts_ops = {
	.lookup = lookup, .create = create, .getattr = getattr, .setattr = setattr, .open = open_inode, .statfs = statfs_of, .release = release_inode,
};

/* --- the file system ------------------------------------------------------------------------------------------ */

static bool revalidate(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *i)
{
	return !of(i)->tty || !of(i)->tty->unlinked;
}

static void release_super(struct super *s)
{
	free(container_of(s, struct devpts, sb));
}

static const struct super_ops super_ops = { .revalidate = revalidate, .release = release_super };

int devpts_new(struct vfs *v, struct super **ret)
{
	struct devpts *d = calloc(1, sizeof(*d));
	struct inode *root;
	int r;

	if (!d)
		return -ENOMEM;
	super_init(&d->sb, &super_ops, v);
	d->sb.options = "gid=5,mode=620,ptmxmode=000"; /* as most distributions mount it */
	clock_gettime(CLOCK_REALTIME, &d->born);
	r = make(&d->sb, NULL, ROOT_INO, S_IFDIR | 0755, &root);
	if (r == 0)
		r = super_set_root(&d->sb, root);
	if (r < 0) {
		super_put(&d->sb);
		return r;
	}
	*ret = &d->sb;
	return 0;
}

int devpts_path(struct vfs *v, struct tty *t, struct path *ret)
{
	struct mount *m, *found = NULL;
	char name[16];
	int r;

	mutex_lock(&v->lock);
	list_for_each(m, &v->mounts, node)
		if (m->sb->ops == &super_ops)
			found = m; /* mounts stay */
	mutex_unlock(&v->lock);
	if (!found)
		return -ENODEV;
	snprintf(name, sizeof(name), "%d", t->index);
	r = dentry_child(NULL, found->root, name, false, &ret->dentry);
	ret->mnt = r == 0 ? found : NULL;
	return r;
}
