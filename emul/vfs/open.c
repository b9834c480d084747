/* SPDX-License-Identifier: MIT */
/* open(2): fs/namei.c, path_openat() and do_open(). Order of checks as there. */
#include <linux/capability.h>
#include <string.h>
#include <sys/statvfs.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* --- the file ---------------------------------------------------------------------------------------------- */

void file_set_path(struct file *f, const struct path *p)
{
	path_get(p);
	f->path.mnt = p->mnt;
	f->path.dentry = p->dentry;
	f->inode = p->dentry->inode;
	if (!(file_flags(f) & O_PATH))
		atomic_fetch_add(&f->inode->nopen, 1);
	f->counted_writer = file_writable(f) && inode_get_write(f->inode) == 0;
}

/* --- writers and running programs: get_write_access(), deny_write_access() --------------------------------------- */

/* Counts by `step` unless the count is on the other side of zero. */
static int count_write(struct inode *i, int step)
{
	int n = atomic_load(&i->nwriters);

	do {
		if (n * step < 0)
			return -ETXTBSY;
	} while (!atomic_compare_exchange_weak(&i->nwriters, &n, n + step));
	return 0;
}

int inode_get_write(struct inode *i)
{
	return count_write(i, 1);
}

void inode_put_write(struct inode *i)
{
	atomic_fetch_sub(&i->nwriters, 1);
}

int vfs_deny_write(const struct path *p)
{
	return count_write(p->dentry->inode, -1);
}

void vfs_allow_write(const struct path *p)
{
	if (path_is_set(p))
		atomic_fetch_add(&p->dentry->inode->nwriters, 1);
}

static int access_of(unsigned flags)
{
	static const int mode[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE };

	return mode[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int check_access(struct fs_ctx *c, const struct path *p, unsigned flags)
{
	struct inode *i = p->dentry->inode;
	int mask = access_of(flags), r;

	if ((mask & MAY_WRITE) && (S_ISREG(i->type) || S_ISDIR(i->type)) && path_read_only(p))
		return -EROFS;
	r = inode_permission(c->cred, i, mask);
	if (r < 0)
		return r;
	if ((flags & O_NOATIME) && !cred_capable(c->cred, CAP_FOWNER)) {
		struct statx st;

		r = i->ops->getattr(i, STATX_UID, &st);
		if (r == 0 && st.stx_uid != c->cred->fsuid)
			r = -EPERM;
	}
	return r;
}

static int check_type(const struct path *p, unsigned flags)
{
	mode_t type = p->dentry->inode->type;

	if ((flags & O_DIRECTORY) && !S_ISDIR(type))
		return -ENOTDIR;
	if (S_ISLNK(type))
		return -ELOOP;
	if (S_ISDIR(type) && ((flags & O_CREAT) || (access_of(flags) & MAY_WRITE)))
		return -EISDIR;
	if ((S_ISCHR(type) || S_ISBLK(type)) && (p->mnt->flags & ST_NODEV))
		return -EACCES;
	return 0;
}

/* The file system has emptied it. */
static void truncated(struct fs_ctx *c, const struct path *p)
{
	struct inode *i = p->dentry->inode;
	struct iattr a = { .valid = 0 };

	inode_drop_privileges(c->cred, i, &a);
	if (a.valid && i->ops->setattr)
		i->ops->setattr(c, i, &a);
	notify_path(p, IN_MODIFY);
}

static int open_inode(struct fs_ctx *c, const struct path *p, unsigned flags, struct file **ret)
{
	struct inode *i = p->dentry->inode;
	bool writes = (access_of(flags) & MAY_WRITE) && S_ISREG(i->type);
	struct file *f;
	int r = writes ? inode_get_write(i) : 0;

	if (r < 0)
		return r;
	atomic_fetch_add(&i->nopen, 1);
	r = lease_break(i, flags);
	if (r == 0)
		r = i->ops->open ? i->ops->open(c, i, p, flags, &f) : -ENXIO;
	if (r == 0 && !f->path.dentry && !path_is_nameless(p))
		file_set_path(f, p);
	/* the file counts itself */
	if (atomic_fetch_sub(&i->nopen, 1) == 1)
		notify_last_close(i);
	if (writes)
		inode_put_write(i);
	if (r < 0)
		return r;
	*ret = f;
	if (path_is_nameless(p)) /* and so is the new description */
		return 0;
	notify_path(p, IN_OPEN);
	if (flags & O_TRUNC)
		truncated(c, p);
	return 0;
}

int vfs_open_path(struct fs_ctx *c, const struct path *p, unsigned flags, struct file **ret)
{
	int r;

	if (flags & O_PATH)
		return (flags & O_DIRECTORY) && !S_ISDIR(p->dentry->inode->type) ? -ENOTDIR : path_file_new(p, flags, ret);
	r = check_type(p, flags);
	if (r == 0)
		r = check_access(c, p, flags & ~(unsigned)(S_ISREG(p->dentry->inode->type) ? 0 : O_TRUNC));
	return r < 0 ? r : open_inode(c, p, flags, ret);
}

/* --- O_CREAT --------------------------------------------------------------------------------------------------- */

/* Set-group-ID for a group that is the directory's and not the caller's: fs/inode.c, mode_strip_sgid(). */
static mode_t strip_sgid(struct fs_ctx *c, struct inode *dir, mode_t mode)
{
	struct statx st;

	if ((mode & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP) || cred_capable(c->cred, CAP_FSETID))
		return mode;
	if (dir->ops->getattr(dir, STATX_MODE | STATX_GID, &st) < 0 || !(st.stx_mode & S_ISGID))
		return mode;
	return cred_in_group(c->cred, st.stx_gid) ? mode : mode & ~(mode_t)S_ISGID;
}

static mode_t masked(struct fs_ctx *c, struct inode *dir, mode_t mode)
{
	mode_t mask;

	mutex_lock(&c->fs->lock);
	mask = c->fs->umask;
	mutex_unlock(&c->fs->lock);
	return strip_sgid(c, dir, mode & 07777) & ~mask;
}

/* Makes w->last; dir's inode lock held. */
static int make(struct walk *w, mode_t mode, struct dentry **ret)
{
	struct inode *dir = w->at.dentry->inode, *i;
	int r;

	if (!dir->ops->create || !w->at.dentry->hashed)
		return -ENOENT;
	if (path_read_only(&w->at))
		return -EROFS;
	r = may_create(w->c, &w->at);
	if (r == 0)
		r = dir->ops->create(w->c, dir, w->last, masked(w->c, dir, mode), &i);
	if (r == 0)
		r = dentry_add(w->at.dentry, w->last, i, ret);
	if (r == 0)
		notify_inode(dir, NULL, w->last, IN_CREATE, 0);
	return r;
}

/* The name exists, or exists now: *ret. *created says which. */
static int find_or_make(struct walk *w, const struct open_how *how, struct dentry **ret, bool *created)
{
	struct inode *dir = w->at.dentry->inode;
	int r;

	*created = false;
	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	mutex_lock(&dir->lock);
	r = inode_permission(w->c->cred, dir, MAY_EXEC);
	if (r == 0)
		r = dentry_child(w->c, w->at.dentry, w->last, true, ret);
	if (r == -ENOENT) {
		r = make(w, (mode_t)how->mode, ret);
		*created = r == 0;
	}
	mutex_unlock(&dir->lock);
	return r;
}

static int open_created(struct walk *w, struct dentry *d, unsigned flags, struct file **ret)
{
	struct path p = { w->at.mnt, d };

	int r = open_inode(w->c, &p, flags & ~(unsigned)O_TRUNC, ret);

	if (r == 0)
		(*ret)->created = true;
	return r;
}

static int open_existing(struct walk *w, struct dentry *d, unsigned flags, struct file **ret)
{
	struct path p = { w->at.mnt, dentry_get(d) };
	int r;

	walk_into_mounts(&p);
	if ((w->resolve & RESOLVE_NO_XDEV) && p.mnt != w->at.mnt)
		r = -EXDEV;
	else
		r = vfs_open_path(w->c, &p, flags, ret);
	path_put(&p);
	return r;
}

static int open_creating(struct walk *w, const char *name, const struct open_how *how, struct file **ret)
{
	unsigned flags = (unsigned)how->flags;
	int r = walk_parent(w, name);

	while (r == 0) {
		AUTO(dentry) d = NULL;
		bool created;

		if (w->last_type != LAST_NORM)
			return flags & O_EXCL ? -EEXIST : -EISDIR;
		if (w->trailing)
			return -EISDIR;
		r = find_or_make(w, how, &d, &created);
		if (r < 0)
			return r;
		if (created)
			return open_created(w, d, flags, ret);
		if (flags & O_EXCL)
			return -EEXIST;
		if (!S_ISLNK(d->inode->type) || (flags & O_NOFOLLOW))
			return open_existing(w, d, flags, ret);
		r = walk_link(w, d, true);
		if (r == -EOPNOTSUPP) /* a magic link led to the thing itself */
			return vfs_open_path(w->c, &w->at, flags, ret);
	}
	return r;
}

/* --- O_TMPFILE --------------------------------------------------------------------------------------------------- */

static int open_tmpfile(struct walk *w, const char *name, const struct open_how *how, struct file **ret)
{
	struct inode *dir, *i;
	struct dentry *d;
	struct path p;
	int r = walk_all(w, name, !(how->flags & O_NOFOLLOW));

	if (r < 0)
		return r;
	dir = w->at.dentry->inode;
	if (!S_ISDIR(dir->type))
		return -ENOTDIR;
	if (path_read_only(&w->at))
		return -EROFS;
	r = may_create(w->c, &w->at);
	if (r < 0)
		return r;
	if (!dir->ops->tmpfile)
		return -EOPNOTSUPP;
	mutex_lock(&dir->lock);
	r = dir->ops->tmpfile(w->c, dir, masked(w->c, dir, (mode_t)how->mode), &i);
	mutex_unlock(&dir->lock);
	if (r < 0)
		return r;
	r = dentry_new_unnamed(w->at.dentry, i, &d);
	if (r < 0)
		return r;
	p = (struct path){ w->at.mnt, d };
	i->linkable = !(how->flags & O_EXCL);
	r = open_inode(w->c, &p, (unsigned)how->flags & ~(unsigned)(O_CREAT | O_EXCL | O_TRUNC | O_DIRECTORY | TMPFILE_BIT), ret);
	if (r == 0)
		atomic_fetch_or(&(*ret)->flags, O_TMPFILE); /* F_GETFL shows it */
	dentry_put(d);
	return r;
}

/* --- the calls ------------------------------------------------------------------------------------------------------ */

static int open_plain(struct walk *w, const char *name, unsigned flags, struct file **ret)
{
	int r = walk_all(w, name, !(flags & O_NOFOLLOW));

	return r < 0 ? r : vfs_open_path(w->c, &w->at, flags, ret);
}

int vfs_open(struct fs_ctx *c, const struct path *at, const char *name, const struct open_how *how, struct file **ret)
{
	struct open_how h = *how;
	struct walk w;
	int r;

	if (h.resolve & RESOLVE_CACHED)
		return -EAGAIN;
	if (h.flags & O_PATH)
		h.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	r = walk_begin(&w, c, at, name, h.resolve);
	if (r == 0) {
		if ((h.flags & O_TMPFILE) == O_TMPFILE)
			r = open_tmpfile(&w, name, &h, ret);
		else if (h.flags & O_CREAT)
			r = open_creating(&w, name, &h, ret);
		else
			r = open_plain(&w, name, (unsigned)h.flags, ret);
	}
	walk_end(&w);
	return r;
}

int vfs_open_exec(struct fs_ctx *c, const struct path *at, const char *name, unsigned flags, struct file **ret)
{
	AUTO_PATH p = PATH_INIT;
	struct inode *i;
	int r = vfs_lookup(c, at, name, flags, 0, &p);

	if (r < 0)
		return r;
	i = p.dentry->inode;
	if (S_ISLNK(i->type))
		return -ELOOP;
	if (!S_ISREG(i->type) || (p.mnt->flags & ST_NOEXEC))
		return -EACCES;
	r = inode_permission(c->cred, i, MAY_EXEC);
	if (r < 0)
		return r;
	if (atomic_load(&i->nwriters) > 0)
		return -ETXTBSY;
	return open_inode(c, &p, O_RDONLY, ret);
}
