/* SPDX-License-Identifier: MIT */
/* Open file descriptions: the part that all kinds share. file.h is the contract. */
/* host syscalls: syncfs sync_file_range */
#include "emul/vfs/file.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/vfs/inode.h"

_Thread_local bool file_call_nonblock;
_Thread_local int file_call_append;

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

	if (f->counted_writer)
		inode_put_write(f->inode);
	if (path_is_set(&p) && !(file_flags(f) & O_PATH) && atomic_fetch_sub(&f->inode->nopen, 1) == 1)
		notify_last_close(f->inode);
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

void file_set_maker(struct file *f, const struct cred *c)
{
	f->anon_uid = c->fsuid;
	f->anon_gid = c->fsgid;
}

void file_put(struct file *f)
{
	if (!f || !ref_put(&f->ref))
		return;
	if (f->inode && !(file_flags(f) & O_PATH))
		notify_path(&(struct path){ f->path.mnt, f->path.dentry }, file_writable(f) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
	epoll_forget(f);
	file_end_dnotify(f, NULL);
	file_drop_lease(f);
	file_release_own_locks(f);
	f->ops->release(f);
}

int file_close(struct file *f, void *owner)
{
	int r = f->ops->flush ? f->ops->flush(f, owner) : 0;

	if (!(file_flags(f) & O_PATH)) {
		file_end_dnotify(f, owner);
		file_release_posix_locks(f, owner);
	}
	file_put(f);
	return r;
}

int file_reopen(struct file *f, unsigned flags, struct file **ret)
{
	int r;

	if (f->ops->reopen)
		r = f->ops->reopen(f, flags, ret);
	else if (!pipe_reopen(f, flags, ret, &r) && !memfd_reopen(f, flags, ret, &r))
		return -ENXIO;
	if (r == 0) {
		(*ret)->anon_uid = f->anon_uid;
		(*ret)->anon_gid = f->anon_gid;
	}
	return r;
}

/* --- reading, writing, seeking -------------------------------------------------------------------------- */

/* Linux's rw_verify_area(): from a position that is one, to an end that is one. */
static bool range_valid(off_t pos, const struct uio *u)
{
	int64_t end;

	return pos >= 0 && !__builtin_add_overflow(pos, (int64_t)uio_left(u), &end);
}

#define DIO_MEMORY 4 /* what buffers are aligned to, at least */

/* iomap_dio_rw(): O_DIRECT wants whole blocks, but nothing to be read is nothing. */
static int check_direct(struct file *f, const struct uio *u, off_t pos, bool write)
{
	unsigned align = (file_flags(f) & O_DIRECT) && f->inode && u->gm ? f->inode->sb->dio_align : 0;
	struct statx st;

	if (!align || !uio_left(u) || !S_ISREG(f->inode->type))
		return 0;
	if (!write && file_stat(f, STATX_SIZE, &st) == 0 && (uint64_t)pos >= st.stx_size)
		return 0;
	if (write && file_append(f) && file_stat(f, STATX_SIZE, &st) == 0)
		pos = (off_t)st.stx_size;
	if (pos % align)
		return -EINVAL;
	for (unsigned i = u->cur; i < u->nseg; i++)
		if (u->seg[i].base % DIO_MEMORY || u->seg[i].len % align)
			return -EINVAL;
	return 0;
}

static ssize_t read_at(struct file *f, struct uio *to, off_t *pos)
{
	int r = range_valid(*pos, to) ? check_direct(f, to, *pos, false) : -EINVAL;

	return r < 0 ? r : f->ops->read(f, to, pos);
}

static ssize_t do_read(struct file *f, struct uio *to, off_t *pos)
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
		return read_at(f, to, pos);
	if (!f->seekable)
		return f->ops->read(f, to, &none);
	mutex_lock(&f->pos_lock);
	r = read_at(f, to, &f->pos);
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
	if (file_append(f))
		pos = st.stx_size;
	if ((uint64_t)pos >= c->limit_fsize)
		return -EFBIG;
	uio_truncate(from, c->limit_fsize - pos);
	return 0;
}

static ssize_t write_at(struct file *f, struct uio *from, off_t *pos, struct fs_ctx *c)
{
	int r = range_valid(*pos, from) ? limit_size(f, from, *pos, c) : -EINVAL;

	if (r == 0)
		r = check_direct(f, from, *pos, true);
	return r < 0 ? r : f->ops->write(f, from, pos);
}

static ssize_t do_write(struct file *f, struct uio *from, off_t *pos, struct fs_ctx *c)
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
		return write_at(f, from, pos, c);
	if (!f->seekable)
		return f->ops->write(f, from, &none);
	mutex_lock(&f->pos_lock);
	r = write_at(f, from, &f->pos, c);
	mutex_unlock(&f->pos_lock);
	return r;
}

static void tell(struct file *f, uint32_t event)
{
	if (f->inode)
		notify_path(&(struct path){ f->path.mnt, f->path.dentry }, event);
}

ssize_t file_read(struct file *f, struct uio *to, off_t *pos)
{
	ssize_t r = do_read(f, to, pos);

	if (r > 0)
		tell(f, IN_ACCESS);
	return r;
}

ssize_t file_write(struct file *f, struct uio *from, off_t *pos, struct fs_ctx *c)
{
	ssize_t r = do_write(f, from, pos, c);

	if (r > 0)
		tell(f, IN_MODIFY);
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

mode_t file_mode(struct file *f)
{
	struct statx st;

	return file_stat(f, STATX_TYPE | STATX_MODE, &st) < 0 ? 0 : st.stx_mode;
}

#define SETFL_MASK ((unsigned)(O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME))

int file_set_flags(struct file *f, unsigned flags)
{
	unsigned old = file_flags(f), now;
	int r;

	/* Linux's setfl(): pipes are the files without a position that know O_DIRECT (as packets) */
	if ((flags & ~old & O_DIRECT) && !f->seekable && !file_is_pipe(f))
		return -EINVAL;
	now = (flags & SETFL_MASK) | (old & ~SETFL_MASK);
	r = f->ops->set_flags ? f->ops->set_flags(f, now) : 0;
	if (r < 0)
		return r;
	while (!atomic_compare_exchange_weak(&f->flags, &old, now))
		now = (flags & SETFL_MASK) | (old & ~SETFL_MASK);
	return 0;
}

bool file_is_on_disk(struct file *f)
{
	return f->inode && S_ISREG(f->inode->type) && f->inode->sb->dio_align;
}

_Atomic uint64_t *file_write_hint(struct file *f)
{
	return f->inode ? &f->inode->write_hint : &f->anon_write_hint;
}

/* --- directories, size, storage ---------------------------------------------------------------------------- */

int file_readdir(struct file *f, struct dirsink *out)
{
	struct statx st;
	int r;

	if (!f->ops->readdir)
		return -ENOTDIR;
	if (file_stat(f, STATX_NLINK, &st) == 0 && (st.stx_mask & STATX_NLINK) && !st.stx_nlink)
		return -ENOENT;
	mutex_lock(&f->pos_lock);
	r = f->ops->readdir(f, out);
	mutex_unlock(&f->pos_lock);
	tell(f, IN_ACCESS);
	return r;
}

int file_truncate(struct file *f, uint64_t size)
{
	int r;

	if (!file_writable(f) || !S_ISREG(file_mode(f)) || !f->ops->truncate)
		return -EINVAL;
	r = f->ops->truncate(f, size);
	if (r == 0)
		tell(f, IN_MODIFY);
	return r;
}

static int check_fallocate_mode(int mode)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;

	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
	case FALLOC_FL_UNSHARE_RANGE:
	case FALLOC_FL_ZERO_RANGE: return 0;
	case FALLOC_FL_PUNCH_HOLE: return keep ? 0 : -EOPNOTSUPP;
	case FALLOC_FL_COLLAPSE_RANGE:
	case FALLOC_FL_INSERT_RANGE: return keep ? -EOPNOTSUPP : 0;
	default: return -EOPNOTSUPP;
	}
}

int file_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	mode_t type;
	int64_t end;
	int r;

	if (off < 0 || len <= 0)
		return -EINVAL;
	r = check_fallocate_mode(mode);
	if (r < 0)
		return r;
	if (!file_writable(f))
		return -EBADF;
	type = file_mode(f) & S_IFMT;
	if (type == S_IFIFO)
		return -ESPIPE;
	if (type == S_IFDIR)
		return -EISDIR;
	if (type != S_IFREG && type != S_IFBLK)
		return -ENODEV;
	if (__builtin_add_overflow(off, len, &end))
		return -EFBIG;
	r = f->ops->fallocate ? f->ops->fallocate(f, mode, off, len) : -EOPNOTSUPP;
	if (r == 0)
		tell(f, IN_MODIFY);
	return r;
}

int file_fsync(struct file *f, bool datasync)
{
	return f->ops->fsync ? f->ops->fsync(f, datasync) : -EINVAL;
}

static int host_fd_of(struct file *f)
{
	return f->ops->host_fd ? f->ops->host_fd(f) : -1;
}

bool file_sync_waits(struct file *f)
{
	return host_fd_of(f) >= 0;
}

int file_syncfs(struct file *f)
{
	int fd = host_fd_of(f);

	return fd < 0 ? 0 : (int)HOST(syncfs(fd)); /* what is in memory only is as safe as it will be */
}

#define SYNC_RANGE_FLAGS (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

int file_sync_range(struct file *f, int64_t off, int64_t len, unsigned flags)
{
	int64_t end;
	mode_t type;
	int fd;

	if (flags & ~(unsigned)SYNC_RANGE_FLAGS)
		return -EINVAL;
	if (off < 0 || __builtin_add_overflow(off, len, &end) || end < off)
		return -EINVAL;
	type = file_mode(f) & S_IFMT;
	if (type != S_IFREG && type != S_IFBLK && type != S_IFDIR && type != S_IFLNK)
		return -ESPIPE;
	fd = host_fd_of(f);
	return fd < 0 ? 0 : (int)HOST(sync_file_range(fd, off, len, flags));
}
