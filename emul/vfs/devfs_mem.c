/* SPDX-License-Identifier: MIT */
/* The memory devices: null, zero, full, random, urandom (drivers/char/mem.c, random.c), and the table of all others. */
/* host syscalls: getrandom */
#include "emul/vfs/devfs_mem.h"

#include <linux/random.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/sysmacros.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/mm/mm.h"
#include "emul/vfs/hooks.h"
#include "emul/vfs/inode.h"
#include "emul/vfs/tty/tty.h"

#define DEVICES_MAX 32

int (*tty_open_hook)(struct fs_ctx *c, unsigned flags, struct file **ret);

struct memdev { struct file file; struct phys *ph; };

/* --- operations ------------------------------------------------------------------------------------------ */

static ssize_t null_read(struct file *f, struct uio *to, off_t *pos)
{
	return 0;
}

/* The buffer is never looked at. */
static ssize_t null_write(struct file *f, struct uio *from, off_t *pos)
{
	size_t n = uio_left(from);

	uio_advance(from, n);
	return (ssize_t)n;
}

static ssize_t zero_read(struct file *f, struct uio *to, off_t *pos)
{
	return uio_zero(to, uio_left(to));
}

static ssize_t full_write(struct file *f, struct uio *from, off_t *pos)
{
	return -ENOSPC;
}

static ssize_t random_read(struct file *f, struct uio *to, off_t *pos)
{
	ssize_t done = 0;

	while (uio_left(to)) {
		char buf[4096];
		size_t n = MIN(uio_left(to), sizeof(buf));
		ssize_t r;

		if (getrandom(buf, n, 0) != (ssize_t)n)
			return done ? done : -EIO;
		r = uio_copy_out(to, buf, n);
		if (r < 0)
			return done ? done : r;
		done += r;
		if ((size_t)r < n)
			break;
	}
	return done;
}

static ssize_t random_write(struct file *f, struct uio *from, off_t *pos)
{
	ssize_t done = 0;

	/* Read, so that a bad buffer is reported; mixing it into the host's pool is not a guest's business. */
	while (uio_left(from)) {
		char buf[1024];
		ssize_t r = uio_copy_in(from, buf, sizeof(buf));

		if (r < 0)
			return done ? done : r;
		done += r;
		if (r == 0)
			break;
	}
	return done;
}

static off_t stay_at_0(struct file *f, off_t off, int whence)
{
	f->pos = 0;
	return 0;
}

static off_t no_move(struct file *f, off_t off, int whence)
{
	return f->pos;
}

/* The pool is the host's, and full. */
static long random_ioctl(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c)
{
	switch (cmd) {
	case RNDGETENTCNT: return put_guest_u32(c->mm, arg, 256);
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG: return -EPERM;
	default: return -EINVAL;
	}
}

/* Private: plain anonymous memory. Shared: an object of its own for each map. */
static int zero_mmap(struct file *f, bool shared, struct memobj **ret)
{
	*ret = NULL;
	if (!shared)
		return 0;
	*ret = shmem_new(container_of(f, struct memdev, file)->ph, (uint64_t)1 << 46);
	return *ret ? 0 : -ENOMEM;
}

static void release(struct file *f)
{
	file_fini(f);
	free(container_of(f, struct memdev, file));
}

static const struct file_ops null_ops = { .name = "null", .read = null_read, .write = null_write, .lseek = stay_at_0, .release = release };
static const struct file_ops zero_ops = {
	.name = "zero", .read = zero_read, .write = null_write, .lseek = stay_at_0, .mmap = zero_mmap, .release = release,
};
static const struct file_ops full_ops = {
	.name = "full", .read = zero_read, .write = full_write, .lseek = stay_at_0, .release = release,
};
static const struct file_ops random_ops = {
	.name = "random", .read = random_read, .write = random_write, .lseek = no_move, .ioctl = random_ioctl, .start_async = file_always_async, .release = release,
};

static const struct { unsigned minor; const struct file_ops *ops; } memory_devices[] = {
	{ 3, &null_ops }, { 5, &zero_ops }, { 7, &full_ops }, { 8, &random_ops }, { 9, &random_ops },
};

/* --- by number --------------------------------------------------------------------------------------------- */

static struct { dev_t rdev; int (*open)(struct fs_ctx *c, unsigned flags, struct file **ret); } others[DEVICES_MAX];
static unsigned nothers;

int device_register(dev_t rdev, int (*open)(struct fs_ctx *c, unsigned flags, struct file **ret))
{
	if (nothers == DEVICES_MAX)
		return -ENOSPC;
	others[nothers].rdev = rdev;
	others[nothers++].open = open;
	return 0;
}

static int open_memory(struct fs_ctx *c, const struct file_ops *ops, unsigned flags, struct file **ret)
{
	struct memdev *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	file_init(&d->file, ops, flags);
	d->file.seekable = true;
	d->ph = vfs_phys(c->vfs);
	*ret = &d->file;
	return 0;
}

int device_open(struct fs_ctx *c, mode_t type, dev_t rdev, unsigned flags, struct file **ret)
{
	if (type != S_IFCHR)
		return -ENXIO;
	if (major(rdev) == 1)
		for (size_t i = 0; i < ARRAY_SIZE(memory_devices); i++)
			if (memory_devices[i].minor == minor(rdev))
				return open_memory(c, memory_devices[i].ops, flags, ret);
	if (rdev == makedev(5, 0))
		return tty_open_hook ? tty_open_hook(c, flags, ret) : -ENXIO;
	if (rdev == makedev(5, 2))
		return ptmx_open(c, flags, ret);
	for (unsigned i = 0; i < nothers; i++)
		if (others[i].rdev == rdev)
			return others[i].open(c, flags, ret);
	return -ENXIO;
}
