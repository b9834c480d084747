/* SPDX-License-Identifier: MIT */
/* What the calls ask of and change in a thing that was found. */
#include <linux/capability.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/vfs/namespace.h"

#define MNT_ID_BIT 0x1000u /* STATX_MNT_ID */

int vfs_stat(struct fs_ctx *c, const struct path *p, unsigned mask, struct statx *ret)
{
	struct inode *i = p->dentry->inode;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = i->ops->getattr(i, mask, ret);
	if (r < 0)
		return r;
	ret->stx_mask |= MNT_ID_BIT;
	ret->stx_mnt_id = (uint64_t)p->mnt->id;
	ret->stx_attributes_mask |= STATX_ATTR_MOUNT_ROOT;
	if (p->dentry == p->mnt->root)
		ret->stx_attributes |= STATX_ATTR_MOUNT_ROOT;
	return 0;
}

int vfs_statfs(struct fs_ctx *c, const struct path *p, struct statfs *ret)
{
	struct inode *i = p->dentry->inode;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = i->ops->statfs ? i->ops->statfs(i, ret) : -ENOSYS;
	if (r == 0) {
		ret->f_flags = (long)(0x20 | p->mnt->flags | (path_read_only(p) ? ST_RDONLY : 0)); /* ST_VALID */
		ret->f_flags |= 0x1000; /* ST_RELATIME */
	}
	return r;
}

/* access(2) asks for the real user, whose capabilities are those of an exec: all for root. */
static struct cred *real_cred(const struct cred *c)
{
	struct cred *n = cred_dup(c);

	if (!n)
		return NULL;
	n->fsuid = c->uid;
	n->fsgid = c->gid;
	n->cap_effective = c->uid ? 0 : c->cap_permitted;
	return n;
}

int vfs_access(struct fs_ctx *c, const struct path *p, int mode, bool effective_ids)
{
	AUTO(cred) real = NULL;
	struct inode *i = p->dentry->inode;
	int r;

	if (!effective_ids && !(real = real_cred(c->cred)))
		return -ENOMEM;
	if ((mode & MAY_EXEC) && S_ISREG(i->type) && (p->mnt->flags & ST_NOEXEC))
		return -EACCES;
	r = inode_permission(real ? real : c->cred, i, mode);
	if (r == 0 && (mode & MAY_WRITE) && path_read_only(p) && (S_ISREG(i->type) || S_ISDIR(i->type) || S_ISLNK(i->type)))
		r = -EROFS;
	return r;
}

ssize_t vfs_readlink(struct fs_ctx *c, const struct path *p, char *buf, size_t size)
{
	struct inode *i = p->dentry->inode;

	if (!S_ISLNK(i->type) || !i->ops->readlink)
		return -EINVAL;
	return i->ops->readlink(c, i, buf, size);
}

/* --- changes --------------------------------------------------------------------------------------------- */

/* include/linux/fsnotify.h, fsnotify_change(): one time alone is what reading or writing would have set. */
static uint32_t event_of(unsigned valid)
{
	uint32_t event = valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? IN_ATTRIB : 0;

	if (valid & ATTR_SIZE)
		event |= IN_MODIFY;
	switch (valid & (ATTR_ATIME | ATTR_MTIME)) {
	case ATTR_ATIME: return event | IN_ACCESS;
	case ATTR_MTIME: return event | IN_MODIFY;
	case 0: return event;
	default: return event | IN_ATTRIB;
	}
}

static int set(struct fs_ctx *c, const struct path *p, struct iattr *a)
{
	struct inode *i = p->dentry->inode;
	int r;

	if (!i->ops->setattr)
		return -EPERM;
	r = i->ops->setattr(c, i, a);
	if (r == 0)
		notify_path(p, event_of(a->valid));
	return r;
}

int vfs_chmod(struct fs_ctx *c, const struct path *p, mode_t mode)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = mode & 07777 };
	int r;

	if (path_read_only(p))
		return -EROFS;
	r = inode_may_setattr(c->cred, p->dentry->inode, &a);
	if (r == 0 && S_ISLNK(p->dentry->inode->type))
		r = -EOPNOTSUPP;
	return r < 0 ? r : set(c, p, &a);
}

int vfs_chown(struct fs_ctx *c, const struct path *p, uid_t uid, gid_t gid)
{
	struct iattr a = { .valid = ATTR_KILL | (uid != (uid_t)-1 ? ATTR_UID : 0) | (gid != (gid_t)-1 ? ATTR_GID : 0), .uid = uid, .gid = gid };
	int r;

	if (path_read_only(p))
		return -EROFS;
	r = inode_may_setattr(c->cred, p->dentry->inode, &a);
	return r < 0 ? r : a.valid ? set(c, p, &a) : 0;
}

/* Now is anybody's who may write; other times are the owner's. */
static int may_set_times(struct fs_ctx *c, struct inode *i, bool now)
{
	struct statx st;
	int r;

	if (cred_capable(c->cred, CAP_FOWNER))
		return 0;
	r = i->ops->getattr(i, STATX_UID, &st);
	if (r < 0 || st.stx_uid == c->cred->fsuid)
		return r;
	return now ? inode_permission(c->cred, i, MAY_WRITE) : -EPERM;
}

int vfs_utimens(struct fs_ctx *c, const struct path *p, const struct timespec ts[2])
{
	struct iattr a = { .valid = ATTR_ATIME | ATTR_MTIME };
	bool now = !ts || (ts[0].tv_nsec == UTIME_NOW && ts[1].tv_nsec == UTIME_NOW);
	struct timespec clock;
	int r;

	if (ts && ts[0].tv_nsec == UTIME_OMIT && ts[1].tv_nsec == UTIME_OMIT)
		return 0;
	if (path_read_only(p))
		return -EROFS;
	r = may_set_times(c, p->dentry->inode, now);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &clock);
	a.atime = !ts || ts[0].tv_nsec == UTIME_NOW ? clock : ts[0];
	a.mtime = !ts || ts[1].tv_nsec == UTIME_NOW ? clock : ts[1];
	if (ts && ts[0].tv_nsec == UTIME_OMIT)
		a.valid &= ~(unsigned)ATTR_ATIME;
	if (ts && ts[1].tv_nsec == UTIME_OMIT)
		a.valid &= ~(unsigned)ATTR_MTIME;
	return set(c, p, &a);
}

int vfs_truncate(struct fs_ctx *c, const struct path *p, uint64_t size)
{
	struct inode *i = p->dentry->inode;
	struct iattr a = { .valid = ATTR_SIZE, .size = size };
	int r;

	if (S_ISDIR(i->type))
		return -EISDIR;
	if (!S_ISREG(i->type))
		return -EINVAL;
	if (path_read_only(p))
		return -EROFS;
	r = inode_permission(c->cred, i, MAY_WRITE);
	if (r == 0)
		r = inode_get_write(i);
	if (r < 0)
		return r;
	r = lease_break(i, O_WRONLY);
	if (r == 0) {
		inode_drop_privileges(c->cred, i, &a);
		r = set(c, p, &a);
	}
	inode_put_write(i);
	return r;
}

/* --- places ------------------------------------------------------------------------------------------------- */

int vfs_chdir(struct fs_ctx *c, const struct path *p)
{
	int r = S_ISDIR(p->dentry->inode->type) ? inode_permission(c->cred, p->dentry->inode, MAY_EXEC) : -ENOTDIR;

	if (r == 0)
		fs_set_cwd(c->fs, p);
	return r;
}

int vfs_chroot(struct fs_ctx *c, const struct path *p)
{
	int r = S_ISDIR(p->dentry->inode->type) ? inode_permission(c->cred, p->dentry->inode, MAY_EXEC) : -ENOTDIR;

	if (r == 0 && !cred_capable(c->cred, CAP_SYS_CHROOT))
		r = -EPERM;
	if (r == 0)
		fs_set_root(c->fs, p);
	return r;
}

/* --- identity -------------------------------------------------------------------------------------------------- */

int vfs_host_fd(const struct path *p)
{
	struct inode *i = p->dentry->inode;

	return i->ops->host_fd ? i->ops->host_fd(i) : -EXDEV;
}

mode_t vfs_mode(const struct path *p)
{
	struct statx st;

	if (p->dentry->inode->ops->getattr(p->dentry->inode, STATX_TYPE | STATX_MODE, &st) < 0)
		return p->dentry->inode->type;
	return st.stx_mode;
}

dev_t vfs_dev(const struct path *p)
{
	return p->dentry->inode->dev;
}

uint64_t vfs_ino(const struct path *p)
{
	return p->dentry->inode->ino;
}

bool vfs_same_inode(const struct path *a, const struct path *b)
{
	return a->dentry->inode == b->dentry->inode;
}
