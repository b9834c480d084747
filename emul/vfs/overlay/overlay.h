/* SPDX-License-Identifier: MIT */
/*
 * overlay: a host directory below, never changed, and the guest's changes in memory above.
 *
 *   super.c    making one; the table of inodes       names.c    what a directory has beyond its lower one
 *   inode.c    attributes, xattrs                    dir.c      look-up, making, removing, renaming
 *   copyup.c   what an inode gets above              readdir.c  an open directory     file.c  opening
 *
 * Theory of operation. Linux's overlayfs has a second tree above and whiteouts in it. Here a directory has a table
 * of names (ov_names): a child, or nothing (a whiteout); a name that is not in the table is asked of the lower
 * directory. The upper part of an inode is a tmpfs inode without a name: attributes and, for a regular file, data
 * (`data_up`; before, the lower file's data counts: chmod copies no data).
 * An inode with a lower part is found again by it, so hard links and renamed files stay one inode, and it keeps
 * its number when it is copied up. A directory made by the guest has no lower part: it is opaque by nature.
 *
 * What was changed must outlive the caches: ov_keep() enters an inode's name, and its directories', in the tables
 * above. `place` is the lower name it was found by and is needed until then only. A lower file with several names
 * is held by overlay->pins too. The root's table holds everything and goes with the root.
 *
 * Lock order: directory's inode->lock -> lower directory's inode->lock, tmpfs root's inode->lock -> overlay->lock,
 * names->lock, place_lock (each alone). `busy` serialises copying up: no lock is held while data moves.
 */
#ifndef EMUL_VFS_OVERLAY_H
#define EMUL_VFS_OVERLAY_H

#include <bsd/sys/tree.h>

#include "emul/vfs/inode.h"

#define OV_BUCKETS 4096
#define RECHECK_MS 50
#define OV_FIRST_INO ((uint64_t)1 << 52) /* of things the guest makes: above the hosts' numbers, exact in a double */

struct ov_name {
	RB_ENTRY(ov_name) node;    /* by seq: the order of readdir */
	struct ov_name *chain;
	struct ov_inode *child;    /* counted; NULL: whiteout */
	uint32_t seq;
	bool in_lower;             /* the lower directory has this name: readdir gives it at the lower one's place */
	char text[];
};
RB_HEAD(ov_tree, ov_name);

struct ov_names {
	struct mutex lock;
	/* lock: */
	struct ov_tree tree;
	struct ov_name **bucket;
	unsigned nr_buckets, nr, nr_children, nr_dirs;
	uint32_t last_seq;
	bool dead;                 /* removed: nothing can be made in it */
};

struct ov_inode {
	struct inode inode;
	struct list node;          /* overlay->lock: in its bucket; later in the list of those to be freed */
	struct inode *lower;       /* counted; constant; NULL: made by the guest */
	_Atomic(struct inode *) upper; /* counted; set once */
	_Atomic bool data_up;      /* a regular file's data is the upper one's */
	_Atomic int64_t checked_ms; /* directories: when the host was last asked for the name */
	_Atomic bool kept;         /* ov_keep() was done; nlink counts */
	_Atomic int nlink;         /* of what is no directory */
	bool busy;                 /* overlay->copy_lock: somebody copies up */
	bool pinned;               /* overlay->lock: in overlay->pins */
	struct list pin_node;      /* overlay->lock */
	struct mutex place_lock;
	struct ov_inode *parent;   /* place_lock: counted; where the look-up found it in the lower tree; NULL: in a table */
	char *name;                /* place_lock */
	struct ov_names *names;    /* directories; constant */
};

struct overlay {
	struct super sb;
	struct super *lower_sb, *upper_sb;
	struct ov_inode *root;     /* not counted; constant */
	struct inode *work;        /* tmpfs' root: where upper inodes are born */
	struct fs_ctx self;        /* what the overlay does by itself is done as root; constant */
	_Atomic uint64_t next_ino;
	struct mutex lock;
	struct list bucket[OV_BUCKETS]; /* lock: of ov_inode.node, by lower inode */
	struct list pins;          /* lock: of ov_inode.pin_node, counted */
	struct mutex copy_lock;
	struct waitq copied;       /* with copy_lock: an inode is no longer busy */
};

static inline struct overlay *ov_of(struct super *s) { return container_of(s, struct overlay, sb); }
static inline struct ov_inode *ov_inode_of(struct inode *i) { return container_of(i, struct ov_inode, inode); }
static inline struct overlay *ov_super(struct ov_inode *x) { return ov_of(x->inode.sb); }
static inline struct inode *ov_upper(struct ov_inode *x) { return atomic_load_explicit(&x->upper, memory_order_acquire); }
static inline bool ov_is_dir(const struct ov_inode *x) { return S_ISDIR(x->inode.type); }

/* --- super.c --- */
/* The inode over a lower one, found again or new. dir and name: where it was found. Consumes lower. */
int ov_from_lower(struct ov_inode *dir, const char *name, struct inode *lower, struct inode **ret);
/* A new inode over an upper one alone (consumed in any case). dir: NULL for the root; gives the device number. NULL: no memory. */
struct ov_inode *ov_from_upper(struct overlay *o, struct ov_inode *dir, mode_t type, struct inode *upper);
void ov_release(struct inode *i);
/* Enters x in the tables above, so that its changes stay; nlink counts from here on. 0, -ENOMEM, lower's errors. */
int ov_keep(struct ov_inode *x);
void ov_unpin(struct ov_inode *x); /* its last name is gone */

/* --- names.c --- */
struct ov_names *ov_names_new(void);
void ov_names_free(struct ov_names *n); /* drops the children */
/* 1 and the child (counted), 0: whiteout, -ENOENT: not in the table. */
int ov_names_find(struct ov_names *n, const char *name, struct ov_inode **ret);
/* As find, for readdir: no reference, but what is said of the child. *ret_in_lower: readdir gives it at the lower name. */
struct ov_entry { char name[256]; uint64_t ino; mode_t type; uint32_t seq; };
int ov_names_peek(struct ov_names *n, const char *name, struct ov_entry *ret, bool *ret_in_lower);
/* Up to max entries with seq > after that only the table has. */
unsigned ov_names_list(struct ov_names *n, uint32_t after, struct ov_entry *ret, unsigned max);
/* name leads to child now. -ENOENT: the directory is dead, -ENOMEM, -ENOSPC. */
int ov_names_set(struct ov_names *n, const char *name, struct ov_inode *child);
/* A lower name's entry is made, with the child that the lower one leads to; nothing if there is an entry. -ENOMEM, -ENOSPC. */
int ov_names_pin(struct ov_names *n, const char *name, struct ov_inode *child);
/* An existing entry's child goes; a lower name stays hidden. */
void ov_names_hide(struct ov_names *n, const char *name);
/* Marks the directory dead if the table has no child: -ENOTEMPTY. */
int ov_names_kill(struct ov_names *n);
bool ov_names_untouched(struct ov_names *n);
int ov_names_nlink(struct ov_names *n); /* of a directory without a lower one */

/* --- inode.c --- */
extern const struct inode_ops ov_inode_ops;
int ov_getattr(struct inode *i, unsigned mask, struct statx *ret);

/* --- copyup.c --- */
/* A tmpfs inode without a name. mode has the type. */
int ov_upper_new(struct overlay *o, mode_t mode, dev_t rdev, const char *target, struct inode **ret);
/* x has an upper inode with its attributes. */
int ov_copy_meta(struct ov_inode *x);
/* And its data, of which the first `size` bytes are wanted. */
int ov_copy_data(struct ov_inode *x, uint64_t size);
struct timespec ov_now(void);
void ov_changed(struct ov_inode *x); /* one with an upper part: its ctime is now */
void ov_touch(struct ov_inode *dir); /* a directory with an upper part has changed */

/* --- dir.c --- */
int ov_lookup(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret);
int ov_create(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret);
int ov_mkdir(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret);
int ov_mknod(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret);
int ov_symlink(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret);
int ov_link(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old);
int ov_unlink(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
int ov_rmdir(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
int ov_rename(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
	      const char *new_name, struct inode *victim, unsigned flags);
int ov_tmpfile(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret);

/* --- readdir.c, file.c --- */
int ov_dirfile_open(struct fs_ctx *c, struct ov_inode *x, const struct path *p, unsigned flags, struct file **ret);
/* -ENOTEMPTY if the guest sees a name in x; no lock held that readdir takes. */
int ov_check_empty(struct ov_inode *x);
int ov_open(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret);

#endif
