/* SPDX-License-Identifier: MIT */
/* overlay: giving an inode an upper one: contents, attributes and extended attributes of the lower one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

#define COPY_SIZE ((size_t)256 << 10)
#define XATTR_LIST_MAX 65536

/* tmpfs makes directories, links and devices under names only: a name of our own, gone at once. */
int ovl_make_upper(struct fs_ctx *c, struct ovl *o, mode_t mode, dev_t dev, const char *target, struct inode **ret)
{
	struct inode *root = o->upper_root;
	const struct inode_ops *ops = root->ops;
	char name[32];
	int r;

	if (S_ISREG(mode))
		return ops->tmpfile(c, root, mode, ret);
	snprintf(name, sizeof(name), "%lx", (unsigned long)atomic_fetch_add(&o->next_name, 1));
	mutex_lock(&root->lock);
	if (S_ISDIR(mode))
		r = ops->mkdir(c, root, name, mode & 07777, ret);
	else if (S_ISLNK(mode))
		r = ops->symlink(c, root, name, target, ret);
	else
		r = ops->mknod(c, root, name, mode, dev, ret);
	if (r == 0 && S_ISDIR(mode))
		ops->rmdir(c, root, name, *ret);
	else if (r == 0)
		ops->unlink(c, root, name, *ret);
	mutex_unlock(&root->lock);
	return r;
}

static bool is_zero(const char *p, size_t n)
{
	return n == 0 || (p[0] == 0 && !memcmp(p, p + 1, n - 1));
}

/* Holes stay holes, in pieces of the buffer's size. */
static int copy_loop(struct file *from, struct file *to, char *buf)
{
	off_t in = 0, out = 0;

	for (;;) {
		struct uio u;
		ssize_t n, w;

		uio_init_host(&u, buf, COPY_SIZE);
		n = from->ops->read(from, &u, &in);
		uio_fini(&u);
		if (n <= 0)
			return n < 0 ? (int)n : to->ops->truncate(to, (uint64_t)in);
		if (is_zero(buf, (size_t)n)) {
			out = in;
			continue;
		}
		uio_init_host(&u, buf, (size_t)n);
		w = to->ops->write(to, &u, &out);
		uio_fini(&u);
		if (w != n)
			return w < 0 ? (int)w : -ENOSPC;
	}
}

static int copy_data(struct fs_ctx *c, struct inode *lower, struct inode *upper)
{
	AUTO(file) from = NULL;
	AUTO(file) to = NULL;
	const struct path nowhere = PATH_INIT;
	char *buf = malloc(COPY_SIZE);
	int r = buf ? 0 : -ENOMEM;

	if (r == 0)
		r = lower->ops->open(c, lower, &nowhere, O_RDONLY, &from);
	if (r == 0)
		r = upper->ops->open(c, upper, &nowhere, O_RDWR, &to);
	if (r == 0)
		r = copy_loop(from, to, buf);
	free(buf);
	return r;
}

static void copy_xattr(struct inode *lower, struct inode *upper, const char *name, char *value)
{
	ssize_t n = lower->ops->getxattr(lower, name, value, XATTR_LIST_MAX);

	if (n >= 0) /* one that memory cannot hold (ENOSPC, EOPNOTSUPP) is left behind, as Linux does for non-essential ones */
		upper->ops->setxattr(upper, name, value, (size_t)n, 0);
}

static void copy_xattrs(struct inode *lower, struct inode *upper)
{
	char *list, *value;
	ssize_t len = lower->ops->listxattr ? lower->ops->listxattr(lower, NULL, 0) : 0;

	if (len <= 0 || len > XATTR_LIST_MAX || !upper->ops->setxattr)
		return;
	list = malloc((size_t)len);
	value = malloc(XATTR_LIST_MAX);
	len = list && value ? lower->ops->listxattr(lower, list, (size_t)len) : 0;
	for (char *p = list; len > 0 && p < list + len; p += strlen(p) + 1)
		copy_xattr(lower, upper, p, value);
	free(value);
	free(list);
}

static struct timespec time_of(const struct statx_timestamp *t)
{
	return (struct timespec){ .tv_sec = t->tv_sec, .tv_nsec = t->tv_nsec };
}

static int copy_attributes(struct fs_ctx *c, const struct statx *st, struct inode *upper)
{
	struct iattr a = {
		.valid = ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | (S_ISLNK(st->stx_mode) ? 0 : ATTR_MODE),
		.mode = st->stx_mode & 07777,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.atime = time_of(&st->stx_atime),
		.mtime = time_of(&st->stx_mtime),
	};

	return upper->ops->setattr(c, upper, &a);
}

static int copy_up_locked(struct fs_ctx *c, struct ovl_inode *oi, bool data)
{
	struct inode *lower = oi->lower;
	AUTO(inode) upper = NULL;
	char target[4096] = "";
	struct statx st;
	int r = lower->ops->getattr(lower, STATX_BASIC_STATS, &st);

	if (r == 0 && S_ISLNK(st.stx_mode)) {
		ssize_t n = lower->ops->readlink(c, lower, target, sizeof(target) - 1);

		if (n < 0)
			return (int)n;
		target[n] = 0;
	}
	if (r == 0)
		r = ovl_make_upper(c, ovl_of(oi->inode.sb), st.stx_mode, makedev(st.stx_rdev_major, st.stx_rdev_minor), target, &upper);
	if (r == 0 && data && S_ISREG(st.stx_mode))
		r = copy_data(c, lower, upper);
	if (r == 0)
		copy_xattrs(lower, upper);
	if (r == 0)
		r = copy_attributes(c, &st, upper);
	if (r == 0) {
		atomic_store_explicit(&oi->upper, steal(upper), memory_order_release);
		ovl_pin(oi);
	}
	return r;
}

int ovl_copy_up(struct fs_ctx *c, struct ovl_inode *oi, bool data)
{
	int r = 0;

	if (ovl_upper(oi))
		return 0;
	mutex_lock(&oi->copy_lock);
	if (!ovl_upper(oi))
		r = copy_up_locked(c, oi, data);
	mutex_unlock(&oi->copy_lock);
	return r;
}
