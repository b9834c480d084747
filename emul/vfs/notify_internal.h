/* SPDX-License-Identifier: MIT */
/* What inotify (notify.c) and dnotify (dnotify.c) share. */
#ifndef EMUL_VFS_NOTIFY_INTERNAL_H
#define EMUL_VFS_NOTIFY_INTERNAL_H

#include "emul/vfs/inode.h"

extern struct mutex notify_lock;        /* all watches, queues of events, inode->watches and inode->dnotes */
extern _Atomic unsigned notify_nwatches; /* of both kinds: 0 is seen without the lock */

/* An event that has come to a directory, its own or of what is in it. */
void dnotify_deliver_locked(struct inode *dir, uint32_t mask) REQUIRES(notify_lock);

#endif
