/* SPDX-License-Identifier: MIT */
/*
 * hostfs: an open regular file. Data moves between the host's page cache and the guest's pages without
 * a copy in between (uio_pin); where pages cannot be pinned, through a bounce buffer.
 *
 * The position is the guest file's own and every host call names its offset, but for appends: there the host
 * finds the end (RWF_APPEND) and leaves it in the descriptor, which is ours alone.
 */
/* host syscalls: openat preadv2 pwritev2 lseek fstat fsync fdatasync ftruncate fallocate close */
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/vfs/hostfs/hostfs.h"
#include "emul/vfs/mapname.h"

#define BOUNCE_SIZE ((size_t)64 << 10)

struct hostfile {
	struct file file;
	int fd;             /* constant */
	struct phys *ph;    /* whose frames maps use; constant */
	struct memobj_id id; /* constant */
};

static struct hostfile *hostfile_of(struct file *f)
{
	return container_of(f, struct hostfile, file);
}

/* --- moving data ------------------------------------------------------------------------------------------------ */

struct move { int fd; bool in; int rwf; };

static ssize_t move_iov(const struct move *m, const struct iovec *iov, int n, off_t off)
{
	return m->in ? HOST(preadv2(m->fd, iov, n, off, m->rwf)) : HOST(pwritev2(m->fd, iov, n, off, m->rwf));
}

static ssize_t move_bounced(const struct move *m, struct uio *u, off_t off)
{
	size_t size = MIN(uio_left(u), BOUNCE_SIZE);
	AUTO_FREE char *buf = malloc(size);
	struct iovec iov = { buf, size };
	ssize_t r;

	if (!buf)
		return -ENOMEM;
	if (!m->in) {
		struct uio at = *u; /* what the host does not take is not consumed */

		if (u->seg == u->inline_seg)
			at.seg = at.inline_seg;
		r = uio_copy_in(&at, buf, size);
		if (r < 0)
			return r;
		iov.iov_len = (size_t)r;
	}
	r = move_iov(m, &iov, 1, off);
	if (r <= 0)
		return r;
	if (m->in)
		return uio_copy_out(u, buf, (size_t)r);
	uio_advance(u, (size_t)r);
	return r;
}

/* As much as one host call takes; *ret_want is what it was asked for. */
static ssize_t move_some(const struct move *m, struct uio *u, off_t off, size_t *ret_want)
{
	struct iovec iov[UIO_PIN_MAX];
	struct uio_pins pins;
	ssize_t r;
	int n = uio_pin(u, m->in, iov, &pins, ret_want);

	if (n < 0) {
		*ret_want = MIN(uio_left(u), BOUNCE_SIZE);
		return move_bounced(m, u, off);
	}
	if (n == 0)
		*ret_want = 0;
	r = move_iov(m, iov, n, off); /* n == 0: an empty transfer is the host's to judge */
	uio_unpin(&pins);
	if (r > 0)
		uio_advance(u, (size_t)r);
	return r;
}

/* All of it, unless the file ends or the disk is full. append: at the host's end of the file. */
static ssize_t move_all(const struct move *m, struct uio *u, off_t *pos, bool append)
{
	ssize_t done = 0, r;
	size_t want;

	do {
		off_t off;

		if (__builtin_add_overflow(*pos, done, &off))
			return done ? done : m->in ? 0 : -EFBIG;
		r = move_some(m, u, append ? -1 : off, &want);
		if (r > 0)
			done += r;
	} while (r > 0 && (size_t)r == want && uio_left(u));
	if (done && !append)
		*pos += done;
	return done ? done : hostfs_error(r);
}

static ssize_t hf_read(struct file *f, struct uio *to, off_t *pos)
{
	struct move m = { hostfile_of(f)->fd, true, file_call_nonblock ? RWF_NOWAIT : 0 };

	return move_all(&m, to, pos, false);
}

/* n bytes before end; end < 0: somewhere. */
static void was_written(struct hostfile *h, off_t end, ssize_t n)
{
	if (h->ph && n > 0)
		memobj_host_file_written(h->ph, h->id, end < 0 ? 0 : (uint64_t)(end - n), end < 0 ? UINT64_MAX : (uint64_t)n);
}

static ssize_t append_all(struct file *f, struct move *m, struct uio *from, off_t *pos)
{
	off_t end = 0;
	ssize_t r;

	m->rwf |= RWF_APPEND;
	/* pwrite(2) on Linux appends too; its position is nobody's, and another thread may be at the descriptor's. */
	if (pos != &f->pos) {
		r = move_all(m, from, &end, false);
		was_written(hostfile_of(f), -1, r);
		return r;
	}
	r = move_all(m, from, pos, true);
	if (r > 0) {
		end = HOST(lseek(m->fd, 0, SEEK_CUR));
		if (end >= 0)
			*pos = end;
		was_written(hostfile_of(f), end, r);
	}
	return r;
}

static ssize_t hf_write(struct file *f, struct uio *from, off_t *pos)
{
	struct move m = { hostfile_of(f)->fd, false, file_call_nonblock ? RWF_NOWAIT : 0 };
	ssize_t r;

	if (file_append(f))
		return append_all(f, &m, from, pos);
	r = move_all(&m, from, pos, false);
	was_written(hostfile_of(f), *pos, r);
	return r;
}

static off_t hf_lseek(struct file *f, off_t off, int whence)
{
	int fd = hostfile_of(f)->fd;
	off_t base = 0;
	struct stat st;

	switch (whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END:
		if (HOST(fstat(fd, &st)) < 0)
			return -EIO;
		base = st.st_size;
		break;
	case SEEK_DATA:
	case SEEK_HOLE:
		off = HOST(lseek(fd, off, whence));
		if (off < 0)
			return off;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, off, &off) || off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

/* --- maps ------------------------------------------------------------------------------------------------------- */

static int hf_mmap(struct file *f, bool shared, struct memobj **ret)
{
	struct hostfile *h = hostfile_of(f);
	struct path p = { f->path.mnt, f->path.dentry };
	struct stat st;
	int r;

	if (!h->ph)
		return -ENODEV;
	r = hostfs_error(HOST(fstat(h->fd, &st)));
	if (r < 0)
		return r;
	if (shared)
		r = memobj_file_window(h->ph, h->fd, &st, PROT_READ | PROT_EXEC | (file_writable(f) ? PROT_WRITE : 0), ret);
	else
		r = memobj_cached_file(h->ph, h->fd, &st, ret);
	if (r == 0 && path_is_set(&p))
		memobj_name_path(*ret, &p);
	return r;
}

/* --- the rest --------------------------------------------------------------------------------------------------- */

static int hf_fsync(struct file *f, bool datasync)
{
	int fd = hostfile_of(f)->fd;

	return hostfs_error(datasync ? HOST(fdatasync(fd)) : HOST(fsync(fd)));
}

static void was_cut(struct phys *ph, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		memobj_host_file_cut(ph, &st);
}

static int hf_truncate(struct file *f, uint64_t size)
{
	struct hostfile *h = hostfile_of(f);
	int r = size > INT64_MAX ? -EINVAL : hostfs_error(HOST(ftruncate(h->fd, (off_t)size)));

	if (r == 0)
		was_cut(h->ph, h->fd);
	return r;
}

static void hf_changed(struct file *f, uint64_t off, uint64_t len)
{
	struct hostfile *h = hostfile_of(f);

	if (h->ph)
		memobj_host_file_written(h->ph, h->id, off, len);
}

static int hf_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	struct hostfile *h = hostfile_of(f);
	int r;

	if (off > INT64_MAX || len > INT64_MAX - off)
		return -EFBIG;
	r = hostfs_error(HOST(fallocate(h->fd, mode, (off_t)off, (off_t)len)));
	if (r == 0)
		hf_changed(f, off, mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE) ? UINT64_MAX : len);
	if (r == 0 && (mode & FALLOC_FL_COLLAPSE_RANGE))
		was_cut(h->ph, h->fd);
	return r;
}

static int hf_host_fd(struct file *f)
{
	return hostfile_of(f)->fd;
}

static void hf_release(struct file *f)
{
	struct hostfile *h = hostfile_of(f);

	file_fini(f);
	close(h->fd);
	free(h);
}

static const struct file_ops hostfile_ops = {
	.name = "host",
	.read = hf_read,
	.write = hf_write,
	.lseek = hf_lseek,
	.mmap = hf_mmap,
	.fsync = hf_fsync,
	.truncate = hf_truncate,
	.fallocate = hf_fallocate,
	.host_fd = hf_host_fd,
	.host_changed = hf_changed,
	.release = hf_release,
};

/* A layer that must not change keeps its access times too, where the host lets us. */
static int open_data(struct hostfs_inode *hi, unsigned flags)
{
	bool quiet = hi->inode.sb->read_only && hostfs_of(hi->inode.sb)->host_root;
	/* Not O_DIRECT: guests' buffers are not aligned for it. O_APPEND is for each write. */
	unsigned host = flags & (O_ACCMODE | O_TRUNC | O_SYNC | O_NOATIME);
	int fd = flags & (O_SYNC | O_NOATIME) ? -1 : atomic_exchange(&hi->fresh, -1);

	if (fd >= 0 && (!(flags & O_TRUNC) || HOST(ftruncate(fd, 0)) == 0))
		return fd;
	if (fd >= 0)
		close(fd);
	fd = hostfs_reopen(hi, quiet ? host | O_NOATIME : host);
	return fd == -EPERM && quiet && !(flags & O_NOATIME) ? hostfs_reopen(hi, host) : fd;
}

void hostfs_was_cut(struct hostfs *h, int fd)
{
	was_cut(vfs_phys(h->sb.vfs), fd);
}

int hostfs_file_open(struct hostfs_inode *hi, unsigned flags, struct file **ret)
{
	struct hostfile *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->fd = open_data(hi, flags);
	if (h->fd < 0) {
		int r = h->fd;

		free(h);
		return r;
	}
	h->ph = vfs_phys(hi->inode.sb->vfs);
	h->id = (struct memobj_id){ hi->inode.dev, hi->inode.ino };
	if (flags & O_TRUNC)
		was_cut(h->ph, h->fd);
	file_init(&h->file, &hostfile_ops, flags);
	h->file.seekable = true;
	*ret = &h->file;
	return 0;
}
