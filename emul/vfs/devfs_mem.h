/* SPDX-License-Identifier: MIT */
/* Character devices by number: who opens them. inode.h has device_open(). */
#ifndef EMUL_VFS_DEVFS_MEM_H
#define EMUL_VFS_DEVFS_MEM_H

#include <sys/types.h>

struct file;
struct fs_ctx;

/* At boot only. -ENOSPC: too many. */
int device_register(dev_t rdev, int (*open)(struct fs_ctx *c, unsigned flags, struct file **ret));

#endif
