/* SPDX-License-Identifier: MIT */
/*
 * inotify's and dnotify's hooks: what the calls of vfs.h and the file code report. notify.c implements them and inotify files
 * on top, dnotify.c the signals of F_NOTIFY; an inode has the lists of those who watch it.
 */
#ifndef EMUL_VFS_NOTIFY_H
#define EMUL_VFS_NOTIFY_H

#include <stdint.h>
#include <sys/inotify.h>

#define NOTIFY_RENAMED 0x10000000 /* moved within its directory: dnotify's only */

struct inode;
struct path;

/* An event on i itself (ACCESS, MODIFY, ATTRIB, OPEN, CLOSE_*, DELETE_SELF, MOVE_SELF) and, with dir and name, on its directory. */
void notify_inode(struct inode *i, struct inode *dir, const char *name, uint32_t mask, uint32_t cookie);
/* For a path or file: finds directory and name itself. */
void notify_path(const struct path *p, uint32_t mask);
/* A name of i was removed: if it was the last one, its watches end, at once or when its last description is closed. */
void notify_unlinked(struct inode *i);
void notify_last_close(struct inode *i);
uint32_t notify_cookie(void); /* for MOVED_FROM, MOVED_TO */
void notify_inode_gone(struct inode *i); /* from inode_fini(): watches end with IN_IGNORED */

#endif
