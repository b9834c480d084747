/* SPDX-License-Identifier: MIT */
/* Open file descriptions: the part that all kinds share. file.h is the contract. */
#include "emul/vfs/file.h"

#include <linux/fs.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/vfs/vfs.h"

_Thread_local bool file_call_nonblock;

/* --- life -------------------------------------------------------------------------------------------- */

void file_init(struct file *f, const struct file_ops *ops, unsigned flags)
{
	static _Atomic uint64_t next_ino = 1000; /* of anonymous files; below are the fixed ones of pseudo file systems */

	*f = (struct file){ .ops = ops };
	ref_init(&f->ref);
	waitq_init(&f->wq);
	mutex_init(&f->pos_lock);
	mutex_init(&f->own_lock);
	list_init(&f->epolls);
	atomic_init(&f->flags, flags & ~(O_CLOEXEC | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC));
	f->anon_ino = atomic_fetch_add_explicit(&next_ino, 1, memory_order_relaxed);
}

void file_fini(struct file *f)
{
	struct path p = { f->path.mnt, f->path.dentry };

	if (path_is_set(&p))
		path_put(&p);
	mutex_fini(&f->own_lock);
	mutex_fini(&f->pos_lock);
	waitq_fini(&f->wq);
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

void file_put(struct file *f)
{
	if (!f || !ref_put(&f->ref))
		return;
	epoll_forget(f);
	file_release_own_locks(f);
	f->ops->release(f);
}

int file_close(struct file *f, void *owner)
{
	int r = f->ops->flush ? f->ops->flush(f, owner) : 0;

	if (!(file_flags(f) & O_PATH))
		file_release_posix_locks(f, owner);
	file_put(f);
	return r;
}

int file_reopen(struct file *f, unsigned flags, struct file **ret)
{
	int r;

	if (pipe_reopen(f, flags, ret, &r) || memfd_reopen(f, flags, ret, &r))
		return r;
	return -ENXIO;
}

/* --- reading, writing, seeking -------------------------------------------------------------------------- */

ssize_t file_read(struct file *f, struct uio *to, off_t *pos)
{
	off_t none = 0;
	ssize_t r;

	if (pos && !f->seekable)
		return -ESPIPE;
	if (!file_readable(f))
		return -EBADF;
	if (!f->ops->read)
		return -EINVAL;
	if (pos)
		return *pos < 0 ? -EINVAL : f->ops->read(f, to, pos);
	if (!f->seekable)
		return f->ops->read(f, to, &none);
	mutex_lock(&f->pos_lock);
	r = f->ops->read(f, to, &f->pos);
	mutex_unlock(&f->pos_lock);
	return r;
}

/* RLIMIT_FSIZE is for regular files: nothing beyond it, and a write across it is cut. The caller raises SIGXFSZ for -EFBIG. */
static int limit_size(struct file *f, struct uio *from, off_t pos, const struct fs_ctx *c)
{
	struct statx st;

	if (!c || c->limit_fsize >= INT64_MAX || !f->seekable || !uio_left(from))
		return 0;
	if (file_stat(f, STATX_TYPE | STATX_SIZE, &st) < 0 || !S_ISREG(st.stx_mode))
		return 0;
	if (file_flags(f) & O_APPEND)
		pos = st.stx_size;
	if ((uint64_t)pos >= c->limit_fsize)
		return -EFBIG;
	uio_truncate(from, c->limit_fsize - pos);
	return 0;
}

static ssize_t write_at(struct file *f, struct uio *from, off_t *pos, struct fs_ctx *c)
{
	int r = limit_size(f, from, *pos, c);

	return r < 0 ? r : f->ops->write(f, from, pos);
}

ssize_t file_write(struct file *f, struct uio *from, off_t *pos, struct fs_ctx *c)
{
	off_t none = 0;
	ssize_t r;

	if (pos && !f->seekable)
		return -ESPIPE;
	if (!file_writable(f))
		return -EBADF;
	if (!f->ops->write)
		return -EINVAL;
	if (pos)
		return *pos < 0 ? -EINVAL : write_at(f, from, pos, c);
	if (!f->seekable)
		return f->ops->write(f, from, &none);
	mutex_lock(&f->pos_lock);
	r = write_at(f, from, &f->pos, c);
	mutex_unlock(&f->pos_lock);
	return r;
}

off_t file_lseek(struct file *f, off_t off, int whence)
{
	off_t r;

	if (file_flags(f) & O_PATH)
		return -EBADF;
	if (whence < 0 || whence > SEEK_HOLE)
		return -EINVAL;
	if (!f->ops->lseek)
		return -ESPIPE;
	mutex_lock(&f->pos_lock);
	r = f->ops->lseek(f, off, whence);
	mutex_unlock(&f->pos_lock);
	return r;
}

off_t file_noop_lseek(struct file *f, off_t off, int whence)
{
	(void)off, (void)whence;
	return f->pos;
}

/* --- state ------------------------------------------------------------------------------------------------ */

uint32_t file_poll(struct file *f)
{
	return f->ops->poll ? f->ops->poll(f) : EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
}

/* All anonymous files share one inode in Linux: type bits 0, mode 0600. */
static void stat_anonymous(struct statx *ret)
{
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_mode = 0600,
		.stx_nlink = 1,
		.stx_blksize = PAGE_SIZE,
		.stx_ino = 13,
		.stx_dev_minor = 13,
	};
}

int file_stat(struct file *f, unsigned mask, struct statx *ret)
{
	struct path p = { f->path.mnt, f->path.dentry };

	if (f->ops->stat)
		return f->ops->stat(f, mask, ret);
	if (path_is_set(&p))
		return vfs_stat(NULL, &p, mask, ret);
	stat_anonymous(ret);
	return 0;
}
