/* SPDX-License-Identifier: MIT */
/*
 * hostfs: a host directory passed through. Nothing leads out of it: names are looked up one component at a
 * time, never through links and never "..", beneath the O_PATH descriptor of the directory's inode.
 *
 *   super.c    making one, revalidation                  inode.c    identity, attributes, xattrs
 *   dir.c      names: look-up, making, removing          dirfile.c  an open directory
 *   file.c     an open regular file
 *
 * An inode has one O_PATH descriptor; (dev, ino) leads to the one inode object of a super. The host's own
 * kernel file systems (its /proc, /sys ...) can be seen as directories, to mount over, but not entered:
 * the VMM's own /proc/self/mem is a file like any other otherwise.
 *
 * The overlay uses a read-only hostfs as its lower layer: files and directories opened here do not
 * rely on file->inode, which is then the overlay's.
 *
 * Lock order: directory's inode->lock -> hostfs->lock (the hash; alone).
 */
#ifndef EMUL_VFS_HOSTFS_H
#define EMUL_VFS_HOSTFS_H

#include "emul/vfs/inode.h"

#define HOSTFS_BUCKETS 4096

struct hostfs {
	struct super sb;
	bool host_root;            /* the VMM is root on the host: new files can have any owner; constant */
	struct hostfs_inode *top;  /* the root, not counted; constant */
	struct mutex lock;
	struct list bucket[HOSTFS_BUCKETS]; /* lock: of hostfs_inode.node */
};

struct hostfs_inode {
	struct inode inode;
	int fd;                    /* O_PATH; constant */
	bool sealed;               /* in a kernel file system of the host; constant */
	/* -1, or what creat(2) opened, read and write: for the first open, which a mode of 0444 must not refuse. */
	_Atomic int fresh;
	struct list node;          /* hostfs->lock */
};

static inline struct hostfs *hostfs_of(struct super *s) { return container_of(s, struct hostfs, sb); }
static inline struct hostfs_inode *hostfs_inode_of(struct inode *i) { return container_of(i, struct hostfs_inode, inode); }

/* The inode behind an O_PATH descriptor, found again or new. Consumes fd. dir: where it was found, NULL for the root. */
int hostfs_inode_get(struct hostfs *h, struct hostfs_inode *dir, int fd, struct inode **ret);
/* One component, and not one that leads up. -ENOENT, -EINVAL, -ENAMETOOLONG. */
int hostfs_check_name(const char *name);
/* A descriptor of a regular file or directory with real access (flags: O_RDONLY...; O_TRUNC passes). */
int hostfs_reopen(struct hostfs_inode *hi, unsigned flags);
/* What the host's answer means for a guest: running out of the VMM's descriptors is ENFILE. */
int hostfs_error(long host_result);
/* "/proc/self/fd/N": the name of a thing that only a descriptor names. */
struct hostfs_link { char text[32]; };
struct hostfs_link hostfs_link(int fd);
/* statx of the descriptor without what a mount has to say. */
int hostfs_statx(int fd, unsigned mask, struct statx *ret);

/* The file behind fd was cut: maps of it must know. */
void hostfs_was_cut(struct hostfs *h, int fd);

int hostfs_dirfile_open(struct hostfs_inode *hi, unsigned flags, struct file **ret);
int hostfs_file_open(struct hostfs_inode *hi, unsigned flags, struct file **ret);

/* dir.c's part of the inode operations */
int hostfs_lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret);
int hostfs_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret);
int hostfs_mkdir(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret);
int hostfs_mknod(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret);
int hostfs_symlink(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret);
int hostfs_make_link(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old);
int hostfs_unlink(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
int hostfs_rmdir(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
int hostfs_rename(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
		  const char *new_name, struct inode *victim, unsigned flags);
int hostfs_tmpfile(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret);

#endif
