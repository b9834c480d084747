/* SPDX-License-Identifier: MIT */
/* Operations that files of several file systems share. */
#ifndef EMUL_VFS_FILEOPS_H
#define EMUL_VFS_FILEOPS_H

#include "emul/vfs/file.h"

/* Directories whose positions are the file system's own cookies. */
ssize_t dir_no_read(struct file *f, struct uio *to, off_t *pos); /* -EISDIR */
off_t dir_lseek(struct file *f, off_t off, int whence);          /* SEEK_SET, SEEK_CUR */
int dir_fsync(struct file *f, bool datasync);                    /* nothing to do */

/* lseek(2) of a file whose data is this shmem object. */
off_t shmem_file_lseek(struct file *f, struct memobj *o, off_t off, int whence);

#endif
