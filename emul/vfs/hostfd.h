/* SPDX-License-Identifier: MIT */
/* The inside of descriptors given by vmrun's caller, for hostfd.c and hostfd_ioctl.c only. */
#ifndef EMUL_VFS_HOSTFD_H
#define EMUL_VFS_HOSTFD_H

#include "emul/vfs/file.h"

/* Terminal and queue calls that are passed through, by list; everything else is -ENOTTY. */
long hostfd_ioctl(int fd, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);

#endif
