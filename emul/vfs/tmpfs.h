/* SPDX-License-Identifier: MIT */
/*
 * tmpfs: a file system in the instance's memory. Data lives in shmem objects, so that read(2), write(2) and all
 * maps see the same frames. devfs is one with devices in it; the overlay keeps changed files in one.
 *
 *   tmpfs.c  super, inodes, attributes, xattrs      tmpfs_dir.c  names      tmpfs_file.c  open regular files
 *
 * File operations rely on the tmpfs inode they were opened on and not on file->inode, which may be the overlay's.
 *
 * Locks: directories' entries: inode->lock, held by the callers of directory operations (and by readdir). Attributes:
 * tmpfs_inode->lock, inner to it.
 */
#ifndef EMUL_VFS_TMPFS_H
#define EMUL_VFS_TMPFS_H

#include <bsd/sys/tree.h>

#include "emul/vfs/inode.h"

struct tmpfs {
	struct super sb;
	uint64_t limit;             /* bytes; UINT64_MAX: the pool is the bound */
	_Atomic uint64_t used;      /* bytes in frames */
	_Atomic uint64_t next_ino, ninodes;
};

struct tmpfs_entry {
	struct list chain;
	RB_ENTRY(tmpfs_entry) node; /* by cookie */
	uint64_t cookie;            /* readdir's position; grows with each name made */
	uint32_t hash;
	struct inode *inode;        /* counted */
	char name[];
};
RB_HEAD(tmpfs_entries, tmpfs_entry);

struct tmpfs_dir { /* inode->lock */
	struct list *bucket;
	unsigned nbuckets, n;
	uint64_t last_cookie;
	struct tmpfs_entries order;
	bool dead;                  /* removed: takes no names */
};

struct tmpfs_xattr { struct list node; char *name; size_t size; char *value; };

struct tmpfs_inode {
	struct inode inode;
	struct memobj *obj;         /* regular files; constant */
	char *target;               /* symbolic links; constant */
	dev_t rdev;                 /* constant */
	struct tmpfs_dir dir;
	struct mutex lock;
	/* lock: */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	unsigned nlink;
	struct timespec atime, mtime, ctime, btime;
	struct list xattrs;
	uint64_t charged;           /* of tmpfs->used */
	/* What a file system built on this one keeps with the inode; constant once it is known. */
	void *priv;
	void (*free_priv)(void *priv);
};

static inline struct tmpfs *tmpfs_of(struct super *s) { return container_of(s, struct tmpfs, sb); }
static inline struct tmpfs_inode *tmpfs_inode_of(struct inode *i) { return container_of(i, struct tmpfs_inode, inode); }

/* A new inode with no name and no link. c NULL: of root. -ENOMEM. */
int tmpfs_inode_new(struct tmpfs *t, struct fs_ctx *c, const struct inode *dir, mode_t mode, struct inode **ret);
void tmpfs_touch(struct tmpfs_inode *ti, bool data); /* ctime now; data: mtime too */
void tmpfs_link_count(struct tmpfs_inode *ti, int change);
int tmpfs_set_size(struct fs_ctx *c, struct tmpfs_inode *ti, uint64_t size);
/* Brings tmpfs->used up to date with the object's frames. Maps make frames without asking: they count from the next call on. */
void tmpfs_charge(struct tmpfs_inode *ti);

/* For file systems that have ops of their own for some inodes. */
int tmpfs_getattr(struct inode *i, unsigned mask, struct statx *ret);
int tmpfs_setattr(struct fs_ctx *c, struct inode *i, const struct iattr *a);
void tmpfs_release(struct inode *i);

/* tmpfs_dir.c */
int tmpfs_lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret);
int tmpfs_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret);
int tmpfs_mkdir(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret);
int tmpfs_mknod(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret);
int tmpfs_symlink(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret);
int tmpfs_link(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old);
int tmpfs_unlink(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
int tmpfs_rmdir(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
int tmpfs_rename(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
		 const char *new_name, struct inode *victim, unsigned flags);
int tmpfs_tmpfile(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret);
int tmpfs_dir_open(struct inode *dir, unsigned flags, struct file **ret);
void tmpfs_dir_free(struct tmpfs_dir *d);

/* tmpfs_file.c */
int tmpfs_file_open(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret);

#endif
