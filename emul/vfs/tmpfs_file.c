/* SPDX-License-Identifier: MIT */
/* tmpfs: open regular files over a shmem object. */
#include <linux/falloc.h>
#include <time.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/vfs/fileops.h"
#include "emul/vfs/mapname.h"
#include "emul/vfs/tmpfs.h"

struct tmpfs_file {
	struct file file;
	struct tmpfs_inode *ti;  /* its inode is counted */
	struct cred *cred;       /* who opened it for writing; NULL: it reads */
};

static struct tmpfs_inode *ti_of(struct file *f)
{
	return container_of(f, struct tmpfs_file, file)->ti;
}

/* relatime: often enough for programs that compare it with mtime. */
static void touch_atime(struct tmpfs_inode *ti)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	mutex_lock(&ti->lock);
	if (ti->atime.tv_sec < ti->mtime.tv_sec || (ti->atime.tv_sec == ti->mtime.tv_sec && ti->atime.tv_nsec <= ti->mtime.tv_nsec) ||
	    now.tv_sec - ti->atime.tv_sec >= 24 * 3600)
		ti->atime = now;
	mutex_unlock(&ti->lock);
}

static ssize_t tf_read(struct file *f, struct uio *to, off_t *pos)
{
	struct tmpfs_inode *ti = ti_of(f);
	ssize_t r = shmem_read(ti->obj, to, (uint64_t)*pos);

	if (r > 0)
		*pos += r;
	if (r >= 0 && !(file_flags(f) & O_NOATIME))
		touch_atime(ti);
	return r;
}

/*
 * A change of content takes set-id bits away. Linux looks at who writes; file ops are not told, so it is who opened. No
 * lock held.
 */
static void drop_set_id(struct file *f)
{
	struct tmpfs_file *tf = container_of(f, struct tmpfs_file, file);
	struct iattr a = { .valid = 0 };

	if (tf->cred)
		inode_drop_privileges(tf->cred, &tf->ti->inode, &a);
	if (!(a.valid & ATTR_MODE))
		return;
	mutex_lock(&tf->ti->lock);
	tf->ti->mode &= a.mode; /* takes away only, whatever chmod has done meanwhile */
	mutex_unlock(&tf->ti->lock);
}

/* How much of a write fits: all, or where room is short the rest of one page, which may be there already. 0: nothing. */
static size_t write_room(struct tmpfs_inode *ti, uint64_t pos, size_t want)
{
	struct tmpfs *t = tmpfs_of(ti->inode.sb);
	uint64_t room = t->limit - MIN(atomic_load(&t->used), t->limit), page = page_down(pos);

	if (page_up(pos - page + want) <= room)
		return want;
	if (room < PAGE_SIZE && shmem_seek_data(ti->obj, page) != (int64_t)page)
		return 0;
	return MIN(want, PAGE_SIZE - (pos - page));
}

static ssize_t write_some(struct tmpfs_inode *ti, struct uio *from, uint64_t pos)
{
	size_t left = uio_left(from), n = write_room(ti, pos, left);
	ssize_t r;

	if (!n)
		return -ENOSPC;
	uio_truncate(from, n);
	r = shmem_write(ti->obj, from, pos);
	from->left = left - (r > 0 ? (size_t)r : 0);
	tmpfs_charge(ti);
	return r;
}

static ssize_t write_locked(struct file *f, struct tmpfs_inode *ti, struct uio *from, off_t *pos)
{
	ssize_t done = 0, r;
	uint64_t end;

	if (file_append(f))
		*pos = (off_t)shmem_size(ti->obj);
	if (__builtin_add_overflow((uint64_t)*pos, uio_left(from), &end) || end > INT64_MAX)
		return -EFBIG;
	do {
		r = write_some(ti, from, (uint64_t)*pos);
		if (r > 0) {
			done += r;
			*pos += r;
		}
	} while (r > 0 && uio_left(from));
	return done ? done : r;
}

/* Writes are serial: the size and O_APPEND's position belong together. */
static ssize_t tf_write(struct file *f, struct uio *from, off_t *pos)
{
	struct tmpfs_inode *ti = ti_of(f);
	ssize_t r;

	if (!uio_left(from))
		return 0;
	drop_set_id(f);
	mutex_lock(&ti->inode.lock);
	r = write_locked(f, ti, from, pos);
	mutex_unlock(&ti->inode.lock);
	if (r > 0)
		tmpfs_touch(ti, true);
	return r;
}

static off_t tf_lseek(struct file *f, off_t off, int whence)
{
	return shmem_file_lseek(f, ti_of(f)->obj, off, whence);
}

static int tf_mmap(struct file *f, bool shared, struct memobj **ret)
{
	struct path p = { f->path.mnt, f->path.dentry };

	if (!(file_flags(f) & O_NOATIME))
		touch_atime(ti_of(f));
	*ret = memobj_get(ti_of(f)->obj);
	if (path_is_set(&p))
		memobj_name_path(*ret, &p);
	return 0;
}

static int tf_fsync(struct file *f, bool datasync)
{
	return 0;
}

static int tf_truncate(struct file *f, uint64_t size)
{
	struct tmpfs_inode *ti = ti_of(f);
	int r;

	mutex_lock(&ti->inode.lock);
	r = tmpfs_set_size(NULL, ti, size);
	mutex_unlock(&ti->inode.lock);
	if (r == 0)
		drop_set_id(f);
	return r;
}

static int allocate(struct tmpfs_inode *ti, int mode, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;
	int r = 0;

	if (mode & FALLOC_FL_PUNCH_HOLE)
		return shmem_punch(ti->obj, off, len);
	if (mode & FALLOC_FL_ZERO_RANGE)
		r = shmem_punch(ti->obj, off, MIN(len, shmem_size(ti->obj) > off ? shmem_size(ti->obj) - off : 0));
	if (r == 0)
		r = shmem_allocate(ti->obj, off, len);
	if (r == 0 && end > shmem_size(ti->obj) && !(mode & FALLOC_FL_KEEP_SIZE))
		r = shmem_truncate(ti->obj, end);
	return r;
}

static int tf_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	struct tmpfs_inode *ti = ti_of(f);
	struct tmpfs *t = tmpfs_of(ti->inode.sb);
	int r;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	mutex_lock(&ti->inode.lock);
	if (!(mode & FALLOC_FL_PUNCH_HOLE) && t->limit != UINT64_MAX && len > t->limit - MIN(atomic_load(&t->used), t->limit))
		r = -ENOSPC;
	else
		r = allocate(ti, mode, off, len);
	tmpfs_charge(ti);
	mutex_unlock(&ti->inode.lock);
	if (r == 0) {
		drop_set_id(f);
		tmpfs_touch(ti, true);
	}
	return r;
}

static void tf_release(struct file *f)
{
	struct tmpfs_file *tf = container_of(f, struct tmpfs_file, file);

	file_fini(f);
	cred_put(tf->cred);
	inode_put(&tf->ti->inode);
	free(tf);
}

static const struct file_ops tmpfs_file_ops = {
	.name = "tmpfs",
	.read = tf_read,
	.write = tf_write,
	.lseek = tf_lseek,
	.mmap = tf_mmap,
	.fsync = tf_fsync,
	.truncate = tf_truncate,
	.fallocate = tf_fallocate,
	.release = tf_release,
};

int tmpfs_file_open(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret)
{
	struct tmpfs_file *tf = calloc(1, sizeof(*tf));
	int r = 0;

	if (!tf)
		return -ENOMEM;
	file_init(&tf->file, &tmpfs_file_ops, flags);
	tf->file.seekable = true;
	tf->ti = tmpfs_inode_of(i);
	inode_get(i);
	tf->cred = c && file_writable(&tf->file) ? cred_get(c->cred) : NULL;
	if (flags & O_TRUNC)
		r = tf_truncate(&tf->file, 0);
	if (r < 0) {
		file_put(&tf->file);
		return r;
	}
	*ret = &tf->file;
	return 0;
}
