/* SPDX-License-Identifier: MIT */
/*
 * Inside vfs: what a file system implements (inode_ops, super_ops) and the objects that the walk and the
 * calls of vfs.h work on. Only file systems and emul/vfs itself include this.
 *
 *   namespace.h  their common ground         path.c     the walk                    dentry.c the cache of names
 *   mount.c      the mount table             open.c create.c remove.c rename.c attr.c xattr.c  the calls of vfs.h
 *   perm.c       who may                     pathtext.c paths as text               special.c FIFOs, devices, sockets
 *   tmpfs.c tmpfs_file.c  devfs.c devfs_mem.c  pseudo.c pseudo_file.c seq.c         in memory
 *   hostfs/  a host directory                overlay/  host below, tmpfs above
 *
 * A dentry is in its parent's table under its name while the name exists (`hashed`). A look-up that finds
 * nothing makes no dentry. Host-backed dentries are revalidated at every walk (super_ops.revalidate).
 * Directory operations (lookup, create ... rename) run with dir->lock held: both directories', parent first,
 * and the instance's rename lock for renames between directories.
 */
#ifndef EMUL_VFS_INODE_H
#define EMUL_VFS_INODE_H

#include "emul/base/list.h"
#include "emul/vfs/notify.h"
#include "emul/vfs/vfs.h"

struct iattr { /* what setattr is to change */
	unsigned valid; /* ATTR_* */
	mode_t mode;    /* permission bits */
	uid_t uid;
	gid_t gid;
	uint64_t size;
	struct timespec atime, mtime; /* final times: "now" is already filled in */
};
enum { ATTR_MODE = 1, ATTR_UID = 2, ATTR_GID = 4, ATTR_SIZE = 8, ATTR_ATIME = 16, ATTR_MTIME = 32,
       ATTR_KILL = 64 /* inode_may_setattr() only: a change of owner, set-id bits go */ };

/* A NULL entry: -EPERM for makers of names, -EINVAL for readlink, -EOPNOTSUPP for xattrs, -EROFS is the mount's business. */
struct inode_ops {
	/* --- directories; dir->lock held; name is checked and not "." or ".."; permissions were checked by the caller --- */
	int (*lookup)(struct fs_ctx *c, struct inode *dir, const char *name, struct inode **ret); /* counted; -ENOENT */
	int (*create)(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret); /* regular; mode is final */
	int (*mkdir)(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, struct inode **ret);
	int (*mknod)(struct fs_ctx *c, struct inode *dir, const char *name, mode_t mode, dev_t dev, struct inode **ret); /* FIFO, socket, devices */
	int (*symlink)(struct fs_ctx *c, struct inode *dir, const char *name, const char *target, struct inode **ret);
	int (*link)(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *old); /* old: same super */
	int (*unlink)(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
	int (*rmdir)(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *victim);
	/* victim: what new_name is now, or NULL. flags: RENAME_NOREPLACE (already checked), RENAME_EXCHANGE */
	int (*rename)(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *moved, struct inode *new_dir,
		      const char *new_name, struct inode *victim, unsigned flags);
	int (*tmpfile)(struct fs_ctx *c, struct inode *dir, mode_t mode, struct inode **ret); /* O_TMPFILE */

	/* --- any inode; no lock held --- */
	int (*getattr)(struct inode *i, unsigned mask, struct statx *ret); /* everything but stx_mnt_id */
	int (*setattr)(struct fs_ctx *c, struct inode *i, const struct iattr *a);
	ssize_t (*readlink)(struct fs_ctx *c, struct inode *i, char *buf, size_t size); /* not NUL-terminated */
	int (*follow)(struct fs_ctx *c, struct inode *i, struct path *ret); /* magic links; NULL: the text is walked */
	/* Opens p (its inode is i). flags: as open(2), O_CREAT etc. already dealt with, O_TRUNC not: the fs truncates.
	 * The file's path is set by the caller (file_set_path). */
	int (*open)(struct fs_ctx *c, struct inode *i, const struct path *p, unsigned flags, struct file **ret);
	int (*statfs)(struct inode *i, struct statfs *ret);
	ssize_t (*getxattr)(struct inode *i, const char *name, void *buf, size_t size); /* size 0: only the length */
	int (*setxattr)(struct inode *i, const char *name, const void *buf, size_t size, int flags);
	ssize_t (*listxattr)(struct inode *i, char *buf, size_t size);
	int (*removexattr)(struct inode *i, const char *name);
	/* An O_PATH or better host descriptor of the same thing, duplicated for the caller; -EXDEV: none. */
	int (*host_fd)(struct inode *i);
	void (*release)(struct inode *i); /* the last reference is gone: frees the concrete inode */
};

struct inode { /* embedded in the file system's own; made by inode_init() */
	struct ref ref;
	const struct inode_ops *ops;
	struct super *sb;          /* counted */
	mode_t type;               /* S_IFMT part; constant */
	dev_t dev;                 /* st_dev and st_ino: identity; constant */
	uint64_t ino;
	struct mutex lock;
	struct fifo *fifo;         /* lock: the pipe behind a FIFO, made at first open */
	void *socket;              /* lock: what bind(2) left (vfs_bind_socket) */
	_Atomic int nwriters;      /* > 0: descriptions open for writing; < 0: programs that run it. ETXTBSY keeps them apart */
	_Atomic unsigned nopen;    /* descriptions, O_PATH aside */
	_Atomic bool unlinked;     /* no name is left: whoever closes it last tells its watchers */
	_Atomic uint64_t write_hint; /* F_SET_RW_HINT: kept, of no effect */
	bool linkable;             /* made by O_TMPFILE without O_EXCL: may get its first name */
	struct list watches, dnotes; /* notify_lock: inotify's and dnotify's */
	_Atomic unsigned nwatches; /* cheap test: nobody watches */
};
void inode_init(struct inode *i, const struct inode_ops *ops, struct super *sb, mode_t type, dev_t dev, uint64_t ino);
void inode_fini(struct inode *i); /* for release */
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);
/* An open or a truncation is about to be: ends or lowers the leases that are against it, or waits for that. flags: O_ACCMODE, O_NONBLOCK.
 * The caller is counted in nopen, or nwriters, already. 0, -EWOULDBLOCK, -ERESTARTSYS, -EWOULDSLEEP. No lock held. */
int lease_break(struct inode *i, unsigned flags);
int inode_get_write(struct inode *i); /* one more writer; -ETXTBSY: a program runs it */
void inode_put_write(struct inode *i);
DEFINE_AUTO(inode, inode_put);

struct super_ops {
	/* Is this cached name still what the host has? dir->lock held. NULL: always. */
	bool (*revalidate)(struct fs_ctx *c, struct inode *dir, const char *name, struct inode *i);
	void (*release)(struct super *s); /* frees the concrete super */
};
struct super { /* embedded in the file system's own; made by super_init() */
	struct ref ref;
	const struct super_ops *ops;
	struct vfs *vfs;
	struct dentry *root;       /* counted by the mount; set by super_set_root() */
	dev_t dev;                 /* anonymous device number: 0:N */
	bool read_only;            /* nothing in it may change: EROFS */
	bool no_dev;               /* device nodes do not open */
	unsigned dio_align;        /* O_DIRECT: positions and lengths are multiples of it; 0: any */
	const char *options;       /* after "ro"/"rw" in mountinfo; NULL: none */
};
void super_init(struct super *s, const struct super_ops *ops, struct vfs *v);
int super_set_root(struct super *s, struct inode *root); /* consumes root; -ENOMEM */
struct super *super_get(struct super *s);
struct phys *vfs_phys(struct vfs *v); /* the instance's frames */

struct dentry {
	struct ref ref;
	struct super *sb;          /* constant; not counted: the mount keeps it */
	struct inode *inode;       /* counted; constant */
	struct mutex lock;         /* parent, name, children: rename changes them under both parents' */
	struct dentry *parent;     /* counted; itself for a root */
	char *name;
	bool hashed;               /* its name exists and leads here; parent->lock */
	struct list cache_node;    /* the vfs' cache_lock: empty if not hashed */
	struct list lru_node;      /* the vfs' cache_lock: nobody holds it */
	struct mount *mounted;     /* what covers it; under the vfs' mount lock */
};
struct dentry *dentry_get(struct dentry *d);
void dentry_put(struct dentry *d);
DEFINE_AUTO(dentry, dentry_put);
/* The cached or looked-up child; counted. -ENOENT. Takes dir's inode lock unless `locked`. */
int dentry_child(struct fs_ctx *c, struct dentry *dir, const char *name, bool locked, struct dentry **ret);
/* A child that an operation has just made: consumes i. dir->inode->lock held. */
int dentry_add(struct dentry *dir, const char *name, struct inode *i, struct dentry **ret);
/* A file that never had a name (O_TMPFILE), in dir's file system: consumes i. */
int dentry_new_unnamed(struct dentry *dir, struct inode *i, struct dentry **ret);
void dentry_drop(struct dentry *d); /* its name is gone; parent's inode lock held */

struct mount { struct ref ref; struct vfs *vfs; struct super *sb; struct dentry *root; struct mount *parent; struct dentry *at; int id; unsigned long flags; char *type, *source; struct list node; };
bool path_read_only(const struct path *p); /* mount or super */

/* perm.c; mask: MAY_*; attributes are asked of the inode. 0, -EACCES, -EPERM */
enum { MAY_EXEC = 1, MAY_WRITE = 2, MAY_READ = 4 };
int inode_permission(const struct cred *c, struct inode *i, int mask);
int inode_may_delete(const struct cred *c, struct inode *dir, struct inode *victim); /* sticky bit */
int inode_may_setattr(const struct cred *c, struct inode *i, struct iattr *a); /* drops set-id bits where Linux does */
void inode_drop_privileges(const struct cred *c, struct inode *i, struct iattr *a); /* adds it to a change of content */

/* For file systems' open: the FIFO, device or socket behind an inode that has no data of its own. -ENXIO for sockets and unknown devices. */
int special_open(struct fs_ctx *c, struct inode *i, dev_t rdev, unsigned flags, struct file **ret);
/* devfs_mem.c: null, zero, full, random, urandom by number; -ENXIO. Used by special_open and hostfs */
int device_open(struct fs_ctx *c, mode_t type, dev_t rdev, unsigned flags, struct file **ret);
int path_file_new(const struct path *p, unsigned flags, struct file **ret); /* O_PATH */
void file_set_path(struct file *f, const struct path *p); /* path and inode of an opened file; takes references */

#endif
