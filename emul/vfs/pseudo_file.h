/* SPDX-License-Identifier: MIT */
/* Between pseudo.c and pseudo_file.c. */
#ifndef EMUL_VFS_PSEUDO_FILE_H
#define EMUL_VFS_PSEUDO_FILE_H

#include "emul/vfs/inode.h"
#include "emul/vfs/pseudo.h"

struct pseudo_inode { struct inode inode; struct pnode *node; /* counted */ };
static inline struct pnode *pseudo_node(struct inode *i) { return container_of(i, struct pseudo_inode, inode)->node; }

int pseudo_file_open(struct fs_ctx *c, struct inode *i, unsigned flags, struct file **ret);

#endif
