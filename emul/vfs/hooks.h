/* SPDX-License-Identifier: MIT */
/* What layers above hang into vfs. */
#ifndef EMUL_VFS_HOOKS_H
#define EMUL_VFS_HOOKS_H

struct file;
struct fs_ctx;

/* open(2) of /dev/tty: the caller's controlling terminal. NULL: nobody has one (-ENXIO). Set at boot. */
extern int (*tty_open_hook)(struct fs_ctx *c, unsigned flags, struct file **ret);

#endif
