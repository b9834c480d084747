/* SPDX-License-Identifier: MIT */
/*
 * File systems whose files are made by functions: proc and sys. A node is made at look-up and lives
 * with its inode; content is made when a file is opened (first read) into a `struct seq`.
 */
#ifndef EMUL_VFS_PSEUDO_H
#define EMUL_VFS_PSEUDO_H

#include "emul/vfs/vfs.h"

/* A growing text. */
struct seq { char *buf; size_t len, cap; bool failed; };
void seq_init(struct seq *s);
void seq_fini(struct seq *s);
void seq_printf(struct seq *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void seq_write(struct seq *s, const void *data, size_t len);
void seq_puts(struct seq *s, const char *text);
void seq_escape(struct seq *s, const char *text, const char *special); /* \ooo as /proc/mounts does */

struct pnode;
struct pnode_ops {
	mode_t mode; /* type and permissions, unless getattr says else */
	/* Directories. lookup: a new node in *ret (reference handed over), -ENOENT. readdir: entries from cookie on; "." and ".." are not its business. */
	int (*lookup)(struct pnode *dir, struct fs_ctx *c, const char *name, struct pnode **ret);
	int (*readdir)(struct pnode *dir, struct fs_ctx *c, off_t cookie, struct dirsink *out);
	/* Files. show fills the content; -ESRCH if its process is gone. write gets one write(2)'s bytes (at most 64 KiB). */
	int (*show)(struct pnode *n, struct fs_ctx *c, struct seq *out);
	ssize_t (*write)(struct pnode *n, struct fs_ctx *c, const char *buf, size_t len, off_t pos);
	long (*ioctl)(struct pnode *n, unsigned cmd, gva_t arg, const struct ioctl_ctx *c); /* NULL: -ENOTTY */
	int (*open)(struct pnode *n, struct fs_ctx *c, unsigned flags, struct file **ret); /* own file object instead of show/write */
	/* Links. readlink: text; follow: the thing itself (magic links), NULL: follow the text. */
	ssize_t (*readlink)(struct pnode *n, struct fs_ctx *c, char *buf, size_t size);
	int (*follow)(struct pnode *n, struct fs_ctx *c, struct path *ret);
	/* open(2) of a magic link whose target is no path (pipe, socket): a new description of it. -ENXIO... */
	int (*open_target)(struct pnode *n, struct fs_ctx *c, unsigned flags, struct file **ret);
	/* Before open, readlink and follow, beyond the mode: 0, -EACCES. NULL: the mode says all. */
	int (*may)(struct pnode *n, struct fs_ctx *c);
	bool mortal; /* an open file whose node is not alive any more reads -ESRCH */
	bool (*alive)(struct pnode *n);                           /* false: the name is gone (process ended); NULL: always there */
	void (*getattr)(struct pnode *n, struct statx *st);       /* may change uid, gid, mode, size, nlink, times */
	void (*release)(struct pnode *n);                         /* frees the concrete node */
};
struct pnode { /* embedded in the maker's node */
	struct ref ref;
	const struct pnode_ops *ops;
	uint64_t ino;   /* set by pnode_init */
};
void pnode_init(struct pnode *n, const struct pnode_ops *ops);
struct pnode *pnode_get(struct pnode *n);
void pnode_put(struct pnode *n);
struct pnode *pseudo_file_node(struct file *f); /* borrowed; NULL: not of a pseudo file system */

/* A file system over a root node (consumed). magic: f_type of statfs (PROC_SUPER_MAGIC...). */
int pseudo_new(struct vfs *v, struct pnode *root, long magic, struct super **ret);

/* Constant trees made from a table: name, ops, arg. A directory made by pnode_static_dir() serves them. */
struct pentry { const char *name; const struct pnode_ops *ops; const void *arg; const struct pentry *children; /* NULL-name ended; for directories */ };
struct pnode_static { struct pnode node; const struct pentry *entry; void *ctx; };
/* ctx is handed to every node of the tree. extra_lookup/readdir may be NULL: asked after the table (e.g. /proc/PID beside /proc/stat). */
struct pnode *pnode_static_dir(const struct pentry *entries, void *ctx,
			       int (*extra_lookup)(struct pnode *, struct fs_ctx *, const char *, struct pnode **),
			       int (*extra_readdir)(struct pnode *, struct fs_ctx *, off_t, struct dirsink *));

#endif
