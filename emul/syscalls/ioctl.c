/* SPDX-License-Identifier: MIT */
/* ioctl(2): what Linux answers for every file (fs/ioctl.c, do_vfs_ioctl()); everything else is the file's. */
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "emul/syscalls/handler.h"

static long set_nonblock(struct task *t, struct file *f, gva_t at)
{
	unsigned flags = file_flags(f);
	int on;

	if (guest_read(t->mm, &on, at) < 0)
		return -EFAULT;
	return file_set_flags(f, on ? flags | O_NONBLOCK : flags & ~(unsigned)O_NONBLOCK);
}

static long set_async(struct task *t, struct file *f, int fd, gva_t at)
{
	int on;

	if (guest_read(t->mm, &on, at) < 0)
		return -EFAULT;
	return fd_set_async(t, f, fd, on);
}

static long space_taken(struct task *t, struct file *f, gva_t at)
{
	struct statx st;
	int64_t bytes;
	int r = file_stat(f, STATX_TYPE | STATX_BLOCKS, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.stx_mode) && !S_ISDIR(st.stx_mode) && !S_ISLNK(st.stx_mode))
		return -ENOTTY;
	bytes = (int64_t)st.stx_blocks * 512;
	return guest_write(t->mm, at, &bytes);
}

static long block_size(struct task *t, struct file *f, gva_t at)
{
	struct statx st;
	int r = file_stat(f, STATX_BASIC_STATS, &st);

	if (r < 0)
		return r;
	return put_guest_u32(t->mm, at, st.stx_blksize);
}

/* Bytes up to the end of a regular file; negative behind it. */
static long bytes_left(struct task *t, struct file *f, gva_t at)
{
	struct statx st;
	off_t pos = file_lseek(f, 0, SEEK_CUR);
	int r = file_stat(f, STATX_SIZE, &st);

	if (pos < 0 || r < 0)
		return pos < 0 ? pos : r;
	return put_guest_u32(t->mm, at, (uint32_t)((int64_t)st.stx_size - pos));
}

/* No file system here shares blocks: what is left are the mistakes. */
static long clone_file(struct task *t, struct file *f, int fd)
{
	AUTO(file) from = fd_file(t, fd);
	struct statx a, b;

	if (!from)
		return -EBADF;
	if (file_stat(f, STATX_BASIC_STATS, &a) < 0 || file_stat(from, STATX_BASIC_STATS, &b) < 0 ||
	    a.stx_dev_major != b.stx_dev_major || a.stx_dev_minor != b.stx_dev_minor)
		return -EXDEV;
	return -EOPNOTSUPP;
}

static long ask_file(struct task *t, struct file *f, unsigned cmd, gva_t arg)
{
	const struct ioctl_ctx c = {
		.mm = t->mm, .fsc = &t->fsc, .task = t, .fds = t->fds, .limit_nofile = (int)MIN(proc_rlimit(t->proc, RLIMIT_NOFILE), (uint64_t)INT_MAX),
	};

	return f->ops->ioctl ? f->ops->ioctl(f, cmd, arg, &c) : -ENOTTY;
}

long sys_ioctl(struct task *t, const struct sysargs *a)
{
	int fd = arg_int(a, 0);
	unsigned cmd = arg_uint(a, 1);
	gva_t arg = arg_gva(a, 2);
	AUTO(file) f = fd_file(t, fd);

	if (!f)
		return -EBADF;
	switch (cmd) {
	case FIOCLEX: return fdtab_set_cloexec(t->fds, fd, true);
	case FIONCLEX: return fdtab_set_cloexec(t->fds, fd, false);
	case FIONBIO: return set_nonblock(t, f, arg);
	case FIOASYNC: return set_async(t, f, fd, arg);
	case FIOQSIZE: return space_taken(t, f, arg);
	case FIGETBSZ: return block_size(t, f, arg);
	case FICLONE: return clone_file(t, f, (int)arg);
	case FICLONERANGE:
	case FIDEDUPERANGE: return -EOPNOTSUPP;
	case FIONREAD: return S_ISREG(file_mode(f)) ? bytes_left(t, f, arg) : ask_file(t, f, cmd, arg);
	default: return ask_file(t, f, cmd, arg);
	}
}
