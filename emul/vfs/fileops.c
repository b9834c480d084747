/* SPDX-License-Identifier: MIT */
/* Operations that files of several file systems share. */
#include "emul/vfs/fileops.h"

#include <unistd.h>

#include "emul/base/err.h"
#include "emul/mm/memobj.h"

ssize_t dir_no_read(struct file *f, struct uio *to, off_t *pos)
{
	return -EISDIR;
}

off_t dir_lseek(struct file *f, off_t off, int whence)
{
	if (whence != SEEK_SET && whence != SEEK_CUR)
		return -EINVAL;
	if (__builtin_add_overflow(whence == SEEK_CUR ? f->pos : 0, off, &off) || off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}

int dir_fsync(struct file *f, bool datasync)
{
	return 0;
}

off_t shmem_file_lseek(struct file *f, struct memobj *o, off_t off, int whence)
{
	off_t base = 0;

	switch (whence) {
	case SEEK_SET: break;
	case SEEK_CUR: base = f->pos; break;
	case SEEK_END: base = (off_t)shmem_size(o); break;
	case SEEK_DATA:
	case SEEK_HOLE:
		if (off < 0 || (uint64_t)off >= shmem_size(o))
			return -ENXIO;
		off = whence == SEEK_DATA ? shmem_seek_data(o, (uint64_t)off) : shmem_seek_hole(o, (uint64_t)off);
		if (off < 0)
			return off;
		break;
	default: return -EINVAL;
	}
	if (__builtin_add_overflow(base, off, &off) || off < 0)
		return -EINVAL;
	f->pos = off;
	return off;
}
