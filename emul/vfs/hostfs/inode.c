/* SPDX-License-Identifier: MIT */
/* hostfs: one inode object for each (dev, ino), its attributes and extended attributes. */
/* host syscalls: statx fstatfs openat close fcntl readlinkat chmod fchownat truncate utimensat getxattr setxattr listxattr removexattr */
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/vfs/hostfs/hostfs.h"

static const struct inode_ops hostfs_ops;

struct hostfs_link hostfs_link(int fd)
{
	struct hostfs_link l;

	snprintf(l.text, sizeof(l.text), "/proc/self/fd/%d", fd);
	return l;
}

int hostfs_error(long r)
{
	return r == -EMFILE ? -ENFILE : r == -EINTR ? -ERESTARTSYS : (int)r;
}

int hostfs_statx(int fd, unsigned mask, struct statx *ret)
{
	long r = HOST(statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
			    mask & (STATX_BASIC_STATS | STATX_BTIME), ret));

	if (r < 0)
		return hostfs_error(r);
	ret->stx_attributes &= ~(uint64_t)(STATX_ATTR_MOUNT_ROOT | STATX_ATTR_AUTOMOUNT);
	ret->stx_mask &= ~0x5000u; /* STATX_MNT_ID, STATX_MNT_ID_UNIQUE */
	return 0;
}

int hostfs_reopen(struct hostfs_inode *hi, unsigned flags)
{
	struct hostfs_link l = hostfs_link(hi->fd);

	/* Anything else would block or reach a device of the host. */
	if (!S_ISREG(hi->inode.type) && !S_ISDIR(hi->inode.type))
		return -ENXIO;
	return hostfs_error(HOST(open(l.text, (int)flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)));
}

/* --- identity ------------------------------------------------------------------------------------------------- */

/* File systems through which the host's kernel is steered or the VMM's memory is reached. */
static bool is_kernel_fs(int fd)
{
	static const long magic[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC, BPF_FS_MAGIC, SELINUX_MAGIC, SMACK_MAGIC, EFIVARFS_MAGIC, BINFMTFS_MAGIC, NSFS_MAGIC,
		0x62656570 /* configfs */,
	};
	struct statfs st;

	if (HOST(fstatfs(fd, &st)) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(magic); i++)
		if (st.f_type == magic[i])
			return true;
	return false;
}

static struct list *bucket_of(struct hostfs *h, dev_t dev, uint64_t ino)
{
	uint64_t x = (ino ^ (uint64_t)dev << 32) * 0x9e3779b97f4a7c15ull;

	return &h->bucket[x >> 52 & (HOSTFS_BUCKETS - 1)];
}

static struct hostfs_inode *find_locked(struct hostfs *h, struct list *bucket, dev_t dev, uint64_t ino, mode_t type)
{
	struct hostfs_inode *hi;

	mutex_assert_held(&h->lock);
	list_for_each(hi, bucket, node)
		if (hi->inode.ino == ino && hi->inode.dev == dev && hi->inode.type == type && ref_get_live(&hi->inode.ref))
			return hi;
	return NULL;
}

static struct hostfs_inode *make(struct hostfs *h, struct hostfs_inode *dir, int fd, mode_t type, dev_t dev, uint64_t ino)
{
	struct hostfs_inode *hi = calloc(1, sizeof(*hi));

	if (!hi)
		return NULL;
	inode_init(&hi->inode, &hostfs_ops, &h->sb, type, dev, ino);
	hi->fd = fd;
	atomic_init(&hi->fresh, -1);
	/* A file system begins where the device number changes. */
	hi->sealed = dir && dir->inode.dev == dev ? dir->sealed : is_kernel_fs(fd);
	list_init(&hi->node);
	return hi;
}

/* Publishes a new inode, unless somebody was faster. */
static struct hostfs_inode *publish(struct hostfs *h, struct list *bucket, struct hostfs_inode *hi)
{
	struct hostfs_inode *old;

	mutex_lock(&h->lock);
	old = find_locked(h, bucket, hi->inode.dev, hi->inode.ino, hi->inode.type);
	if (!old)
		list_add(bucket, &hi->node);
	mutex_unlock(&h->lock);
	if (!old)
		return hi;
	inode_put(&hi->inode);
	return old;
}

int hostfs_inode_get(struct hostfs *h, struct hostfs_inode *dir, int fd, struct inode **ret)
{
	struct hostfs_inode *hi;
	struct list *bucket;
	struct statx st;
	mode_t type;
	dev_t dev;
	int r = hostfs_statx(fd, STATX_TYPE | STATX_INO, &st);

	if (r < 0) {
		close(fd);
		return r;
	}
	dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	type = st.stx_mode & S_IFMT;
	bucket = bucket_of(h, dev, st.stx_ino);
	mutex_lock(&h->lock);
	hi = find_locked(h, bucket, dev, st.stx_ino, type);
	mutex_unlock(&h->lock);
	if (hi) {
		close(fd);
	} else {
		hi = make(h, dir, fd, type, dev, st.stx_ino);
		if (!hi) {
			close(fd);
			return -ENOMEM;
		}
		hi = publish(h, bucket, hi);
	}
	*ret = &hi->inode;
	return 0;
}

static void host_release(struct inode *i)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);
	struct hostfs *h = hostfs_of(i->sb);
	int fresh = atomic_load(&hi->fresh);

	mutex_lock(&h->lock);
	list_del(&hi->node);
	mutex_unlock(&h->lock);
	if (fresh >= 0)
		close(fresh);
	close(hi->fd);
	inode_fini(i); /* last: the super may go with it */
	free(hi);
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

static int host_getattr(struct inode *i, unsigned mask, struct statx *ret)
{
	return hostfs_statx(hostfs_inode_of(i)->fd, mask, ret);
}

/* RLIMIT_FSIZE is about growing only. */
static int check_size(struct fs_ctx *c, int fd, uint64_t size)
{
	struct statx st;
	int r;

	if (size > INT64_MAX)
		return -EINVAL;
	if (!c || size <= c->limit_fsize)
		return 0;
	r = hostfs_statx(fd, STATX_SIZE, &st);
	return r < 0 ? r : size > st.stx_size ? -EFBIG : 0;
}

static int set_size(struct fs_ctx *c, struct hostfs_inode *hi, uint64_t size)
{
	struct hostfs_link l = hostfs_link(hi->fd);
	int r;

	if (!S_ISREG(hi->inode.type))
		return S_ISDIR(hi->inode.type) ? -EISDIR : -EINVAL;
	r = check_size(c, hi->fd, size);
	if (r == 0)
		r = hostfs_error(HOST(truncate(l.text, (off_t)size)));
	if (r == 0)
		hostfs_was_cut(hostfs_of(hi->inode.sb), hi->fd);
	return r;
}

static int set_times(int fd, const struct iattr *a)
{
	struct timespec ts[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };
	struct hostfs_link l = hostfs_link(fd);
	long r;

	if (a->valid & ATTR_ATIME)
		ts[0] = a->atime;
	if (a->valid & ATTR_MTIME)
		ts[1] = a->mtime;
	r = HOST(utimensat(fd, "", ts, AT_EMPTY_PATH));
	if (r == -EINVAL || r == -ENOENT) /* before Linux 5.8 */
		r = HOST(utimensat(AT_FDCWD, l.text, ts, 0));
	return hostfs_error(r);
}

/* chown first: it takes set-id bits away that a chmod in the same call gives. */
static int host_setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);
	struct hostfs_link l = hostfs_link(hi->fd);
	int r = 0;

	if (i->sb->read_only)
		return -EROFS;
	if (hi->sealed)
		return -EPERM;
	if (a->valid & ATTR_SIZE)
		r = set_size(c, hi, a->size);
	if (r == 0 && (a->valid & (ATTR_UID | ATTR_GID)))
		r = hostfs_error(HOST(fchownat(hi->fd, "", a->valid & ATTR_UID ? a->uid : (uid_t)-1,
					       a->valid & ATTR_GID ? a->gid : (gid_t)-1, AT_EMPTY_PATH)));
	if (r == 0 && (a->valid & ATTR_MODE))
		r = S_ISLNK(i->type) ? -EOPNOTSUPP : hostfs_error(HOST(chmod(l.text, a->mode & 07777)));
	if (r == 0 && (a->valid & (ATTR_ATIME | ATTR_MTIME)))
		r = set_times(hi->fd, a);
	return r;
}

static ssize_t host_readlink(struct fs_ctx *c, struct inode *i, char *buf, size_t size)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);

	if (!S_ISLNK(i->type))
		return -EINVAL;
	if (hi->sealed)
		return -EACCES;
	return HOST(readlinkat(hi->fd, "", buf, size));
}

static int host_statfs(struct inode *i, struct statfs *ret)
{
	return hostfs_error(HOST(fstatfs(hostfs_inode_of(i)->fd, ret)));
}

static int host_host_fd(struct inode *i)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);

	return hi->sealed ? -EXDEV : hostfs_error(HOST(fcntl(hi->fd, F_DUPFD_CLOEXEC, 3)));
}

/* --- extended attributes ------------------------------------------------------------------------------------------ */

static ssize_t host_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);
	struct hostfs_link l = hostfs_link(hi->fd);

	return hi->sealed ? -EOPNOTSUPP : HOST(getxattr(l.text, name, buf, size));
}

static int host_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);
	struct hostfs_link l = hostfs_link(hi->fd);

	if (i->sb->read_only)
		return -EROFS;
	return hi->sealed ? -EPERM : hostfs_error(HOST(setxattr(l.text, name, buf, size, flags)));
}

static ssize_t host_listxattr(struct inode *i, char *buf, size_t size)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);
	struct hostfs_link l = hostfs_link(hi->fd);

	return hi->sealed ? 0 : HOST(listxattr(l.text, buf, size));
}

static int host_removexattr(struct inode *i, const char *name)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);
	struct hostfs_link l = hostfs_link(hi->fd);

	if (i->sb->read_only)
		return -EROFS;
	return hi->sealed ? -EPERM : hostfs_error(HOST(removexattr(l.text, name)));
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static int open_special(struct fs_ctx *c, struct hostfs_inode *hi, unsigned flags, struct file **ret)
{
	struct statx st;
	int r = hostfs_statx(hi->fd, STATX_TYPE, &st);

	return r < 0 ? r : special_open(c, &hi->inode, makedev(st.stx_rdev_major, st.stx_rdev_minor), flags, ret);
}

static int host_open(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	struct hostfs_inode *hi = hostfs_inode_of(i);
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);

	switch (i->type) {
	case S_IFDIR:
		return writes ? -EISDIR : hostfs_dirfile_open(hi, flags, ret);
	case S_IFREG:
		if (hi->sealed)
			return -EACCES;
		return writes && i->sb->read_only ? -EROFS : hostfs_file_open(hi, flags, ret);
	case S_IFLNK:
		return -ELOOP;
	default:
		return open_special(c, hi, flags, ret);
	}
}

static const struct inode_ops hostfs_ops = {
	.lookup = hostfs_lookup,
	.create = hostfs_create,
	.mkdir = hostfs_mkdir,
	.mknod = hostfs_mknod,
	.symlink = hostfs_symlink,
	.link = hostfs_make_link,
	.unlink = hostfs_unlink,
	.rmdir = hostfs_rmdir,
	.rename = hostfs_rename,
	.tmpfile = hostfs_tmpfile,
	.getattr = host_getattr,
	.setattr = host_setattr,
	.readlink = host_readlink,
	.open = host_open,
	.statfs = host_statfs,
	.getxattr = host_getxattr,
	.setxattr = host_setxattr,
	.listxattr = host_listxattr,
	.removexattr = host_removexattr,
	.host_fd = host_host_fd,
	.release = host_release,
};
