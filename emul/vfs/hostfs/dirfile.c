/* SPDX-License-Identifier: MIT */
/*
 * hostfs: an open directory. Entries come from the host's getdents64 in pieces; cookies are the host's d_off.
 * What a caller's buffer had no room for is kept for its next call.
 */
/* host syscalls: openat getdents64 lseek fsync fdatasync close */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "emul/base/err.h"
#include "emul/vfs/fileops.h"
#include "emul/vfs/hostfs/hostfs.h"

#define BUF_SIZE ((size_t)32 << 10)

struct dirfile {
	struct file file;
	int fd;
	uint64_t top_ino;   /* of the super's root: what ".." is there; 0: not the root; constant */
	bool sealed;
	/* file->pos_lock: */
	char *buf;
	size_t at, end;     /* entries not yet given, in buf */
	off_t next;         /* cookie of the entry at `at` */
};

static struct dirfile *dirfile_of(struct file *f)
{
	return container_of(f, struct dirfile, file);
}

/* More entries from f->pos on. 1, 0 at the end, -errno. */
static int refill(struct dirfile *d, off_t pos)
{
	ssize_t n;

	if (d->at < d->end && d->next == pos)
		return 1;
	if (!d->buf && !(d->buf = malloc(BUF_SIZE)))
		return -ENOMEM;
	d->at = d->end = 0;
	if (d->next != pos) {
		long r = HOST(lseek(d->fd, pos, SEEK_SET));

		if (r < 0)
			return hostfs_error(r);
		d->next = pos;
	}
	n = HOST(getdents64(d->fd, d->buf, BUF_SIZE));
	if (n < 0)
		return hostfs_error(n);
	d->end = (size_t)n;
	return n > 0;
}

static bool is_dot(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Gives what is in the buffer. 1: the caller is full. */
static int give(struct dirfile *d, struct dirsink *out)
{
	while (d->at < d->end) {
		const struct dirent64 *e = (const struct dirent64 *)(d->buf + d->at);
		uint64_t ino = d->top_ino && strcmp(e->d_name, "..") == 0 ? d->top_ino : e->d_ino;

		if (!d->sealed || is_dot(e->d_name))
			if (out->entry(out, e->d_name, strlen(e->d_name), ino, e->d_type, e->d_off))
				return 1;
		d->at += e->d_reclen;
		d->next = d->file.pos = e->d_off;
	}
	return 0;
}

static int dir_readdir(struct file *f, struct dirsink *out)
{
	struct dirfile *d = dirfile_of(f);
	bool any = false;
	int r;

	while ((r = refill(d, f->pos)) > 0) {
		off_t before = f->pos;

		if (give(d, out))
			return 0;
		any |= f->pos != before;
	}
	return any ? 0 : r;
}

static off_t host_dir_lseek(struct file *f, off_t off, int whence)
{
	struct dirfile *d = dirfile_of(f);
	off_t r;

	if (whence == SEEK_CUR) {
		if (off == 0)
			return f->pos;
		if (__builtin_add_overflow(f->pos, off, &off))
			return -EOVERFLOW;
		whence = SEEK_SET;
	}
	r = HOST(lseek(d->fd, off, whence));
	if (r >= 0) {
		d->at = d->end = 0;
		d->next = f->pos = r;
	}
	return r;
}

static int host_dir_fsync(struct file *f, bool datasync)
{
	int fd = dirfile_of(f)->fd;

	return hostfs_error(datasync ? HOST(fdatasync(fd)) : HOST(fsync(fd)));
}

static void dir_release(struct file *f)
{
	struct dirfile *d = dirfile_of(f);

	file_fini(f);
	close(d->fd);
	free(d->buf);
	free(d);
}

static const struct file_ops dir_ops = {
	.name = "host",
	.read = dir_no_read,
	.lseek = host_dir_lseek,
	.readdir = dir_readdir,
	.fsync = host_dir_fsync,
	.release = dir_release,
};

int hostfs_dirfile_open(struct hostfs_inode *hi, unsigned flags, struct file **ret)
{
	struct dirfile *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->fd = hostfs_reopen(hi, O_RDONLY | O_DIRECTORY);
	if (d->fd < 0) {
		int r = d->fd;

		free(d);
		return r;
	}
	d->top_ino = hi == hostfs_of(hi->inode.sb)->top ? hi->inode.ino : 0;
	d->sealed = hi->sealed;
	file_init(&d->file, &dir_ops, flags);
	d->file.seekable = true;
	*ret = &d->file;
	return 0;
}
