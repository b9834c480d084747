/* SPDX-License-Identifier: MIT */
/*
 * overlay: what an inode gets above: first attributes, for data only when it is about to change. Upper inodes are
 * tmpfs inodes whose name in tmpfs' root is taken away at once: the overlay's tables know where they belong.
 *
 * One at a time: `busy` stands for a lock while data moves. What is half made is not seen by anybody.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/vfs/overlay/overlay.h"

#define COPY_SIZE ((size_t)256 << 10)
#define XATTR_LIMIT ((size_t)64 << 10) /* Linux's, for a value and for the list */

struct timespec ov_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts;
}

/* --- upper inodes ------------------------------------------------------------------------------------------------- */

static int make_named_locked(struct overlay *o, const char *name, mode_t mode, dev_t rdev, const char *target, struct inode **ret)
{
	const struct inode_ops *ops = o->work->ops;

	switch (mode & S_IFMT) {
	case S_IFREG: return ops->create(&o->self, o->work, name, mode & 07777, ret);
	case S_IFDIR: return ops->mkdir(&o->self, o->work, name, mode & 07777, ret);
	case S_IFLNK: return ops->symlink(&o->self, o->work, name, target, ret);
	default: return ops->mknod(&o->self, o->work, name, mode, rdev, ret);
	}
}

int ov_upper_new(struct overlay *o, mode_t mode, dev_t rdev, const char *target, struct inode **ret)
{
	static const char name[] = "new"; /* free whenever the lock is */
	const struct inode_ops *ops = o->work->ops;
	int r;

	mutex_lock(&o->work->lock);
	if (S_ISREG(mode) && ops->tmpfile) {
		r = ops->tmpfile(&o->self, o->work, mode & 07777, ret);
	} else {
		r = make_named_locked(o, name, mode, rdev, target, ret);
		if (r == 0) {
			int u = S_ISDIR(mode) ? ops->rmdir(&o->self, o->work, name, *ret) : ops->unlink(&o->self, o->work, name, *ret);

			if (u < 0) {
				inode_put(*ret);
				r = u;
			}
		}
	}
	mutex_unlock(&o->work->lock);
	return r;
}

static struct timespec to_timespec(struct statx_timestamp t)
{
	return (struct timespec){ .tv_sec = t.tv_sec, .tv_nsec = t.tv_nsec };
}

static int set_attributes(struct overlay *o, struct inode *upper, const struct statx *st)
{
	struct iattr a = {
		.valid = ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME | (S_ISLNK(upper->type) ? 0 : ATTR_MODE),
		.mode = st->stx_mode & 07777,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.atime = to_timespec(st->stx_atime),
		.mtime = to_timespec(st->stx_mtime),
	};

	return upper->ops->setattr(&o->self, upper, &a);
}

/* One attribute; one that memory cannot have is left behind, as Linux's overlayfs does. */
static int copy_xattr(struct inode *from, struct inode *to, const char *name, char *buf)
{
	ssize_t n;
	int r;

	if (strncmp(name, "system.", 7) == 0)
		return 0;
	n = from->ops->getxattr(from, name, buf, XATTR_LIMIT);
	if (n < 0)
		return 0;
	r = to->ops->setxattr(to, name, buf, (size_t)n, 0);
	return r == -ENOMEM || r == -ENOSPC ? r : 0;
}

static int copy_xattrs(struct inode *from, struct inode *to)
{
	AUTO_FREE char *list = NULL, *value = NULL;
	ssize_t n = from->ops->listxattr ? from->ops->listxattr(from, NULL, 0) : 0;
	int r = 0;

	if (n <= 0 || !to->ops->setxattr)
		return 0;
	list = malloc(XATTR_LIMIT + 1);
	value = malloc(XATTR_LIMIT);
	if (!list || !value)
		return -ENOMEM;
	n = from->ops->listxattr(from, list, XATTR_LIMIT);
	if (n <= 0)
		return 0;
	list[n] = '\0';
	for (const char *p = list; p < list + n && r == 0; p += strlen(p) + 1)
		r = copy_xattr(from, to, p, value);
	return r;
}

/* --- one at a time ------------------------------------------------------------------------------------------------ */

static int begin(struct ov_inode *x)
{
	struct overlay *o = ov_super(x);
	int r = 0;

	mutex_lock(&o->copy_lock);
	while (x->busy && r == 0)
		r = waitq_sleep_uninterruptible(&o->copied, &o->copy_lock, FOREVER);
	if (r == 0)
		x->busy = true;
	mutex_unlock(&o->copy_lock);
	return r;
}

static void end(struct ov_inode *x)
{
	struct overlay *o = ov_super(x);

	mutex_lock(&o->copy_lock);
	x->busy = false;
	mutex_unlock(&o->copy_lock);
	waitq_wake(&o->copied, 0);
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

static ssize_t read_target(struct inode *lower, char buf[PATH_MAX])
{
	ssize_t n = S_ISLNK(lower->type) ? lower->ops->readlink(NULL, lower, buf, PATH_MAX - 1) : 0;

	if (n >= 0)
		buf[n] = '\0';
	return n;
}

static int make_upper(struct ov_inode *x, struct inode **ret)
{
	struct overlay *o = ov_super(x);
	char target[PATH_MAX];
	struct statx st;
	int r = x->lower->ops->getattr(x->lower, STATX_BASIC_STATS, &st);

	if (r == 0)
		r = (int)MIN(read_target(x->lower, target), 0);
	if (r == 0)
		r = ov_upper_new(o, st.stx_mode, makedev(st.stx_rdev_major, st.stx_rdev_minor), target, ret);
	if (r < 0)
		return r;
	r = copy_xattrs(x->lower, *ret);
	if (r == 0)
		r = set_attributes(o, *ret, &st);
	if (r < 0)
		inode_put(*ret);
	return r;
}

int ov_copy_meta(struct ov_inode *x)
{
	struct inode *upper;
	int r;

	if (ov_upper(x))
		return 0;
	r = begin(x);
	if (r < 0)
		return r;
	if (!ov_upper(x)) {
		r = ov_keep(x);
		if (r == 0)
			r = make_upper(x, &upper);
		if (r == 0)
			atomic_store_explicit(&x->upper, upper, memory_order_release);
	}
	end(x);
	return r;
}

void ov_touch(struct ov_inode *dir)
{
	struct iattr a = { .valid = ATTR_MTIME, .mtime = ov_now() };
	struct inode *upper = ov_upper(dir);

	if (upper)
		upper->ops->setattr(&ov_super(dir)->self, upper, &a);
}

void ov_changed(struct ov_inode *x)
{
	struct iattr a = { .valid = 0 };
	struct inode *upper = ov_upper(x);

	if (upper)
		upper->ops->setattr(&ov_super(x)->self, upper, &a);
}

/* --- data --------------------------------------------------------------------------------------------------------- */

static int copy_run(struct file *from, struct file *to, off_t off, off_t stop, char *buf)
{
	while (off < stop) {
		off_t in = off, out = off;
		struct uio u;
		ssize_t n, w;

		uio_init_host(&u, buf, (size_t)MIN(stop - off, (off_t)COPY_SIZE));
		n = from->ops->read(from, &u, &in);
		if (n <= 0)
			return (int)n; /* 0: it has become shorter */
		uio_init_host(&u, buf, (size_t)n);
		w = to->ops->write(to, &u, &out);
		if (w < n)
			return w < 0 ? (int)w : -ENOSPC;
		off += n;
	}
	return 0;
}

/* Holes stay holes. */
static int copy_runs(struct file *from, struct file *to, off_t size)
{
	AUTO_FREE char *buf = malloc(COPY_SIZE);
	off_t off = 0;
	int r = 0;

	if (!buf)
		return -ENOMEM;
	while (off < size && r == 0) {
		off_t data = file_lseek(from, off, SEEK_DATA), hole;

		if (data == -ENXIO)
			break;
		data = data < 0 ? off : data;
		if (data >= size)
			break;
		hole = file_lseek(from, data, SEEK_HOLE);
		hole = hole <= data ? size : MIN(hole, size);
		r = copy_run(from, to, data, hole, buf);
		off = hole;
	}
	return r;
}

static int set_size(struct overlay *o, struct inode *upper, uint64_t size)
{
	struct iattr a = { .valid = ATTR_SIZE, .size = size };

	return upper->ops->setattr(&o->self, upper, &a);
}

static int fill_upper(struct ov_inode *x, struct inode *upper, uint64_t size)
{
	struct overlay *o = ov_super(x);
	AUTO(file) from = NULL;
	AUTO(file) to = NULL;
	struct statx st;
	int r = x->lower->ops->getattr(x->lower, STATX_SIZE, &st);

	size = MIN(size, st.stx_size);
	if (r < 0 || size == 0)
		return r;
	r = x->lower->ops->open(&o->self, x->lower, NULL, O_RDONLY, &from);
	if (r == 0)
		r = upper->ops->open(&o->self, upper, NULL, O_WRONLY, &to);
	if (r == 0)
		r = copy_runs(from, to, (off_t)size);
	return r < 0 ? r : set_size(o, upper, size);
}

/* Writing changed what a write changes: the attributes are those from before. */
static int copy_data_busy(struct ov_inode *x, uint64_t size)
{
	struct overlay *o = ov_super(x);
	struct inode *upper = ov_upper(x);
	struct statx st;
	int r = upper->ops->getattr(upper, STATX_BASIC_STATS, &st);

	if (r == 0)
		r = fill_upper(x, upper, size);
	if (r == 0)
		r = set_attributes(o, upper, &st);
	if (r < 0) {
		set_size(o, upper, 0);
		set_attributes(o, upper, &st);
		return r;
	}
	atomic_store(&x->data_up, true);
	return 0;
}

int ov_copy_data(struct ov_inode *x, uint64_t size)
{
	int r = ov_copy_meta(x);

	if (r < 0 || atomic_load(&x->data_up))
		return r;
	r = begin(x);
	if (r < 0)
		return r;
	if (!atomic_load(&x->data_up))
		r = copy_data_busy(x, size);
	end(x);
	return r;
}
