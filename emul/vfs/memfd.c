/* SPDX-License-Identifier: MIT */
/*
 * memfd_create(2): a file without a name over a shmem object, and its seals (fcntl(2), "File Sealing").
 * The data object is apart from the description, since /proc/PID/fd/N opens a second one.
 *
 * Lock order: file->pos_lock -> memfd->lock -> mm. Writes hold memfd->lock: they look at seals and size.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/falloc.h>
#include <linux/memfd.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"
#include "emul/vfs/fileops.h"
#include "emul/vfs/mapname.h"
#include "emul/vfs/vfs.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC 0x0010U
#endif

#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define NO_WRITE (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define NAME_LIMIT 249 /* NAME_MAX less "memfd:" */

struct memfd {
	struct ref ref;
	struct mutex lock;
	struct memobj *obj;    /* constant */
	char name[NAME_LIMIT + 1];
	uint64_t ino;
	unsigned seals;        /* lock */
	mode_t mode;
	struct timespec mtime, atime;
};

struct memfd_file {
	struct file file;
	struct memfd *m;
};

static const struct file_ops memfd_ops;

static struct memfd *memfd_of(struct file *f)
{
	return container_of(f, struct memfd_file, file)->m;
}

static void touch(struct timespec *ts)
{
	clock_gettime(CLOCK_REALTIME_COARSE, ts);
}

/* --- data --------------------------------------------------------------------------------------------------- */

static ssize_t mfd_read(struct file *f, struct uio *to, off_t *pos)
{
	ssize_t r = shmem_read(memfd_of(f)->obj, to, *pos);

	if (r > 0)
		*pos += r;
	return r;
}

/* How much of a write the seals allow: whole pages below the size if the file must not grow. */
static int check_write(struct memfd *m, struct uio *from, off_t pos)
{
	uint64_t size = shmem_size(m->obj), end, fits;

	if (m->seals & NO_WRITE)
		return -EPERM;
	if (__builtin_add_overflow((uint64_t)pos, uio_left(from), &end) || end > INT64_MAX)
		return -EFBIG;
	if (!(m->seals & F_SEAL_GROW) || end <= size)
		return 0;
	fits = page_down(size) > (uint64_t)pos ? page_down(size) - pos : 0;
	if (!fits)
		return -EPERM;
	uio_truncate(from, fits);
	return 0;
}

static ssize_t mfd_write(struct file *f, struct uio *from, off_t *pos)
{
	struct memfd *m = memfd_of(f);
	ssize_t r;

	if (!uio_left(from))
		return 0;
	mutex_lock(&m->lock);
	if (file_append(f))
		*pos = shmem_size(m->obj);
	r = check_write(m, from, *pos);
	if (r == 0)
		r = shmem_write(m->obj, from, *pos);
	if (r > 0) {
		*pos += r;
		touch(&m->mtime);
	}
	mutex_unlock(&m->lock);
	return r;
}

static off_t mfd_lseek(struct file *f, off_t off, int whence)
{
	return shmem_file_lseek(f, memfd_of(f)->obj, off, whence);
}

static int mfd_truncate(struct file *f, uint64_t size)
{
	struct memfd *m = memfd_of(f);
	uint64_t old;
	int r;

	mutex_lock(&m->lock);
	old = shmem_size(m->obj);
	if ((size < old && (m->seals & F_SEAL_SHRINK)) || (size > old && (m->seals & F_SEAL_GROW)))
		r = -EPERM;
	else
		r = shmem_truncate(m->obj, size);
	if (r == 0)
		touch(&m->mtime);
	mutex_unlock(&m->lock);
	return r;
}

static int allocate_locked(struct memfd *m, bool keep_size, uint64_t off, uint64_t len) REQUIRES(m->lock)
{
	uint64_t end = off + len;
	bool grows = end > shmem_size(m->obj);
	int r;

	if (grows && (m->seals & F_SEAL_GROW))
		return -EPERM;
	r = shmem_allocate(m->obj, off, len);
	if (r == 0 && grows && !keep_size)
		r = shmem_truncate(m->obj, end);
	return r;
}

static int mfd_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	struct memfd *m = memfd_of(f);
	int r;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	mutex_lock(&m->lock);
	if (!(mode & FALLOC_FL_PUNCH_HOLE))
		r = allocate_locked(m, mode & FALLOC_FL_KEEP_SIZE, off, len);
	else if (m->seals & NO_WRITE)
		r = -EPERM;
	else
		r = shmem_punch(m->obj, off, len);
	mutex_unlock(&m->lock);
	return r;
}

static int mfd_mmap(struct file *f, bool shared, struct memobj **ret)
{
	(void)shared; /* mm refuses writable maps of a sealed object: memfd_add_seals() told it */
	*ret = memobj_get(memfd_of(f)->obj);
	return 0;
}

static int mfd_fsync(struct file *f, bool datasync)
{
	(void)f, (void)datasync;
	return 0;
}

/* --- facts ----------------------------------------------------------------------------------------------------- */

static struct statx_timestamp stamp(struct timespec ts)
{
	return (struct statx_timestamp){ .tv_sec = ts.tv_sec, .tv_nsec = ts.tv_nsec };
}

static int mfd_stat(struct file *f, unsigned mask, struct statx *ret)
{
	struct memfd *m = memfd_of(f);

	(void)mask;
	mutex_lock(&m->lock);
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_mode = S_IFREG | m->mode,
		.stx_uid = f->anon_uid,
		.stx_gid = f->anon_gid,
		.stx_size = shmem_size(m->obj),
		.stx_blocks = shmem_allocated(m->obj) / 512,
		.stx_blksize = PAGE_SIZE,
		.stx_ino = m->ino,
		.stx_dev_minor = 1,
		.stx_atime = stamp(m->atime),
		.stx_mtime = stamp(m->mtime),
		.stx_ctime = stamp(m->mtime),
	};
	mutex_unlock(&m->lock);
	return 0;
}

static int mfd_set_flags(struct file *f, unsigned flags)
{
	return flags & O_DIRECT ? -EINVAL : 0;
}

static void mfd_describe(struct file *f, char *buf, size_t size)
{
	snprintf(buf, size, "/memfd:%s (deleted)", memfd_of(f)->name);
}

static void memfd_unref(struct memfd *m)
{
	if (!ref_put(&m->ref))
		return;
	memobj_put(m->obj);
	mutex_fini(&m->lock);
	free(m);
}

static void mfd_release(struct file *f)
{
	struct memfd_file *mf = container_of(f, struct memfd_file, file);

	memfd_unref(mf->m);
	file_fini(f);
	free(mf);
}

static const struct file_ops memfd_ops = {
	.name = "memfd",
	.read = mfd_read,
	.write = mfd_write,
	.lseek = mfd_lseek,
	.mmap = mfd_mmap,
	.stat = mfd_stat,
	.fsync = mfd_fsync,
	.truncate = mfd_truncate,
	.fallocate = mfd_fallocate,
	.set_flags = mfd_set_flags,
	.describe = mfd_describe,
	.release = mfd_release,
};

/* --- making, seals ------------------------------------------------------------------------------------------------ */

/* A description of m; consumes the reference on m. */
static int open_file(struct memfd *m, unsigned flags, struct file **ret)
{
	struct memfd_file *mf = calloc(1, sizeof(*mf));

	if (!mf) {
		memfd_unref(m);
		return -ENOMEM;
	}
	file_init(&mf->file, &memfd_ops, flags | 0100000 /* O_LARGEFILE of the kernel */);
	mf->file.seekable = true;
	mf->m = m;
	*ret = &mf->file;
	return 0;
}

static int check_flags(const char *name, unsigned flags)
{
	if (flags & MFD_HUGETLB)
		return -ENOSYS; /* as a kernel without hugetlbfs */
	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL;
	if ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL))
		return -EINVAL;
	return strlen(name) > NAME_LIMIT ? -EINVAL : 0;
}

int memfd_new(struct phys *ph, const char *name, unsigned flags, struct file **ret)
{
	char text[NAME_LIMIT + 32];
	struct memfd *m;
	int r = check_flags(name, flags);

	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->obj = shmem_new(ph, 0);
	if (!m->obj) {
		free(m);
		return -ENOMEM;
	}
	ref_init(&m->ref);
	mutex_init(&m->lock);
	strcpy(m->name, name);
	m->seals = flags & MFD_NOEXEC_SEAL ? F_SEAL_EXEC : flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
	m->mode = flags & MFD_NOEXEC_SEAL ? 0666 : 0777;
	touch(&m->mtime);
	m->atime = m->mtime;
	snprintf(text, sizeof(text), "/memfd:%s (deleted)", name);
	memobj_name_text(m->obj, text);
	r = open_file(m, O_RDWR, ret);
	if (r == 0)
		m->ino = (*ret)->anon_ino;
	return r;
}

bool memfd_reopen(struct file *f, unsigned flags, struct file **ret, int *ret_err)
{
	struct memfd *m;

	if (f->ops != &memfd_ops)
		return false;
	m = memfd_of(f);
	ref_get(&m->ref);
	*ret_err = open_file(m, flags & (O_ACCMODE | O_APPEND | O_NONBLOCK), ret);
	if (*ret_err == 0 && (flags & O_TRUNC) && file_writable(*ret)) {
		*ret_err = mfd_truncate(*ret, 0);
		if (*ret_err < 0)
			file_put(*ret);
	}
	return true;
}

int memfd_chmod(struct file *f, mode_t mode)
{
	struct memfd *m = memfd_of(f);
	int r = 0;

	if (f->ops != &memfd_ops)
		return -EOPNOTSUPP;
	mutex_lock(&m->lock);
	if ((m->seals & F_SEAL_EXEC) && ((m->mode ^ mode) & 0111))
		r = -EPERM;
	else
		m->mode = mode & 07777;
	mutex_unlock(&m->lock);
	return r;
}

static int add_seals_locked(struct memfd *m, unsigned seals) REQUIRES(m->lock)
{
	if (m->seals & F_SEAL_SEAL)
		return -EPERM;
	if ((seals & F_SEAL_WRITE) && !(m->seals & F_SEAL_WRITE) && shmem_mapped_writable(m->obj))
		return -EBUSY;
	/* What may be executed must not be written: W^X from the start. */
	if ((seals & F_SEAL_EXEC) && (m->mode & 0111))
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	m->seals |= seals;
	if (seals & NO_WRITE)
		shmem_forbid_writable_maps(m->obj);
	return 0;
}

long memfd_add_seals(struct file *f, unsigned seals)
{
	struct memfd *m = memfd_of(f);
	int r;

	if (!file_writable(f))
		return -EPERM;
	if (f->ops != &memfd_ops || (seals & ~(unsigned)ALL_SEALS))
		return -EINVAL;
	mutex_lock(&m->lock);
	r = add_seals_locked(m, seals);
	mutex_unlock(&m->lock);
	return r;
}

long memfd_get_seals(struct file *f)
{
	struct memfd *m = memfd_of(f);
	long seals;

	if (f->ops != &memfd_ops)
		return -EINVAL;
	mutex_lock(&m->lock);
	seals = m->seals;
	mutex_unlock(&m->lock);
	return seals;
}
