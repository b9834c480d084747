/* SPDX-License-Identifier: MIT */
/*
 * emul/vfs: files as Linux shows them.
 *
 *   file.h  open file descriptions and their ops         fdtab.h  descriptor tables
 *   vfs.h   this: names (path, dentry, inode, mount) and what system calls do with names
 *   pseudo.h  file systems whose files are made by functions (proc, sys)
 *   path.c walk   mount.c mount table   inode.c dentry.c caches   perm.c   namei.c the calls below   lock.c
 *   hostfs/ passthrough beneath a host directory   overlay/ host below, memory above   tmpfs.c devfs.c
 *   tty/ terminals, devpts
 *   pipe.c fifo.c eventfd.c timerfd.c memfd.c epoll.c poll.c notify.c (inotify)  hostfd.c (descriptors we were given)
 *
 * Objects. A `mount` is a file system at a place. A `dentry` is a name in a directory, with a parent, and caches one
 * `inode`; host-backed dentries are revalidated, since others change the host. A `path` (mount, dentry) is what
 * cwd, root, O_PATH descriptors and open files hold; its text is computed when asked for (vfs_path_text).
 *
 * Who asks: every call takes a `struct fs_ctx`, which a task owns: vfs knows no tasks.
 *
 * Lock order: fs->lock -> rename lock -> dentry/directory locks (parent first) -> inode->lock -> file locks table;
 * file->pos_lock is outside inode->lock. fdtab->lock is held alone. All are outside mm's and base's locks.
 */
#ifndef EMUL_VFS_VFS_H
#define EMUL_VFS_VFS_H

#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "emul/base/auto.h"
#include "emul/base/cred.h"
#include "emul/base/mutex.h"
#include "emul/base/ref.h"
#include "emul/base/types.h"
#include "emul/vfs/file.h"

struct dentry;
struct inode;
struct mount;
struct phys;
struct vfs; /* the instance's mount table and caches */

struct path { struct mount *mnt; struct dentry *dentry; }; /* a value; holds references when owned */
void path_get(const struct path *p);
void path_put(struct path *p); /* and clears it; harmless on a cleared one */
static inline void auto_path_put(struct path *p) { path_put(p); }
#define AUTO_PATH __attribute__((cleanup(auto_path_put))) struct path
#define PATH_INIT { NULL, NULL }
static inline bool path_is_set(const struct path *p) { return p->dentry != NULL; }

/* cwd, root and umask: shared with CLONE_FS. */
struct fs {
	struct ref ref;
	struct mutex lock;
	struct path root, cwd; /* lock */
	mode_t umask;          /* lock */
	struct path home;      /* keeps what is mounted there; constant once set, inherited. May be none */
};
struct fs *fs_new(const struct path *root, const struct path *cwd, mode_t umask);
struct fs *fs_copy(struct fs *fs);
struct fs *fs_get(struct fs *fs);
void fs_put(struct fs *fs);
void fs_set_cwd(struct fs *fs, const struct path *p);
void fs_set_root(struct fs *fs, const struct path *p);
void fs_set_home(struct fs *fs, const struct path *p); /* before anybody else has fs */
mode_t fs_set_umask(struct fs *fs, mode_t mask); /* the old one */

/* Who calls: one per task, filled by proc, passed down by every handler. */
struct fs_ctx {
	struct vfs *vfs;
	struct fs *fs;             /* only its own thread changes the pointer (exec, unshare) */
	const struct cred *cred;   /* likewise */
	pid_t pid, tid;            /* tgid and tid: /proc/self, locks' l_pid */
	uint64_t limit_fsize;      /* RLIMIT_FSIZE in bytes */
	void *fowner;              /* identity of the descriptor table: owner of POSIX locks */
};

/* --- building the tree ----------------------------------------------------------------------- */
struct vfs *vfs_new(struct phys *ph); /* an empty tree; file systems are mounted next, first the root */
void vfs_free(struct vfs *v);
/* A file system ready to be mounted: its root dentry and facts. */
struct super;
int hostfs_new(struct vfs *v, const char *host_dir, bool read_only, struct super **ret);   /* passthrough, nothing escapes */
int overlay_new(struct vfs *v, const char *host_dir, struct super **ret);                  /* host below read-only, memory above */
int tmpfs_new(struct vfs *v, uint64_t limit, mode_t root_mode, struct super **ret);
int devfs_new(struct vfs *v, struct super **ret); /* null zero full random urandom tty + links; more by devfs_add() */
void super_put(struct super *s);
/* Mounts at the text path `at` (looked up from the namespace root; "/" first). Consumes s. type and source are for /proc/mounts. */
int vfs_mount(struct vfs *v, const char *at, struct super *s, const char *type, const char *source, unsigned long flags /* ST_RDONLY ST_NOSUID... */);
/* The root of the mount of s, which is mounted; a reference. */
void vfs_mount_root(struct vfs *v, struct super *s, struct path *ret);
/* Takes the mount of s away if nothing uses it: no open file, directory, or home in it. false: something does. Nobody else does this to s. */
bool vfs_unmount_unused(struct vfs *v, struct super *s);
void vfs_root(struct vfs *v, struct path *ret);
/* Each mount in order, for mounts and mountinfo. */
struct mount_info { int id, parent_id; const char *at, *type, *source, *root; unsigned long flags; dev_t dev; const char *super_options; };
int vfs_for_each_mount(struct vfs *v, const struct path *root, int (*fn)(void *ctx, const struct mount_info *m), void *ctx);
/* A character device in /dev: open makes the file. */
int devfs_add(struct super *devfs, const char *name, mode_t mode, dev_t rdev, int (*open)(struct fs_ctx *ctx, unsigned flags, struct file **ret));

/* --- names -> things. `at` is the start for relative names (NULL: cwd); it is what dirfd gave ---- */
enum {
	WALK_FOLLOW = 1,      /* follow a symlink in the last component */
	WALK_EMPTY = 2,       /* AT_EMPTY_PATH: "" is `at` itself */
	WALK_DIRECTORY = 4,   /* must be a directory */
	WALK_NO_AUTOMOUNT = 8,
};
/* RESOLVE_* of openat2 go into resolve (0 for everything else). */
int vfs_lookup(struct fs_ctx *c, const struct path *at, const char *name, unsigned walk, uint64_t resolve, struct path *ret);
int vfs_open(struct fs_ctx *c, const struct path *at, const char *name, const struct open_how *how, struct file **ret);
/* exec's open: regular, executable, not on a noexec mount; -EACCES etc. */
/* A program that runs cannot be written to, nor one that is written to be run. -ETXTBSY. Each success is ended by vfs_allow_write(). */
int vfs_deny_write(const struct path *p);
void vfs_allow_write(const struct path *p);
int vfs_open_exec(struct fs_ctx *c, const struct path *at, const char *name, unsigned walk, struct file **ret);
int vfs_open_path(struct fs_ctx *c, const struct path *p, unsigned flags, struct file **ret); /* a path already found: magic links */

int vfs_stat(struct fs_ctx *c, const struct path *p, unsigned mask, struct statx *ret);
int vfs_statfs(struct fs_ctx *c, const struct path *p, struct statfs *ret);
int vfs_access(struct fs_ctx *c, const struct path *p, int mode, bool effective_ids);
ssize_t vfs_readlink(struct fs_ctx *c, const struct path *p, char *buf, size_t size); /* -EINVAL: not a link */
int vfs_mkdir(struct fs_ctx *c, const struct path *at, const char *name, mode_t mode);
int vfs_mknod(struct fs_ctx *c, const struct path *at, const char *name, mode_t mode, dev_t dev);
int vfs_symlink(struct fs_ctx *c, const char *target, const struct path *at, const char *name);
int vfs_link(struct fs_ctx *c, const struct path *old, const struct path *at, const char *name);
int vfs_unlink(struct fs_ctx *c, const struct path *at, const char *name);
int vfs_rmdir(struct fs_ctx *c, const struct path *at, const char *name);
int vfs_rename(struct fs_ctx *c, const struct path *at, const char *name, const struct path *new_at, const char *new_name, unsigned flags);
int vfs_chmod(struct fs_ctx *c, const struct path *p, mode_t mode);
int vfs_chown(struct fs_ctx *c, const struct path *p, uid_t uid, gid_t gid); /* -1: leave */
int vfs_utimens(struct fs_ctx *c, const struct path *p, const struct timespec ts[2]); /* NULL: now; UTIME_NOW/OMIT */
int vfs_truncate(struct fs_ctx *c, const struct path *p, uint64_t size);
ssize_t vfs_getxattr(struct fs_ctx *c, const struct path *p, const char *name, void *buf, size_t size);
int vfs_setxattr(struct fs_ctx *c, const struct path *p, const char *name, const void *buf, size_t size, int flags);
ssize_t vfs_listxattr(struct fs_ctx *c, const struct path *p, char *buf, size_t size);
int vfs_removexattr(struct fs_ctx *c, const struct path *p, const char *name);
/* Creates the node of a bound Unix socket; -EADDRINUSE if the name exists. And finds it again: private is what bind stored. */
int vfs_bind_socket(struct fs_ctx *c, const char *name, mode_t mode, void *priv, struct path *ret);
void *vfs_socket_of(const struct path *p); /* NULL: not a bound socket of this instance */
/* The place of a file that has no path: where its link in /proc leads. Its own attributes, and opening makes a new description. */
int vfs_nameless_path(struct vfs *v, struct file *f, struct path *ret);
int vfs_chdir(struct fs_ctx *c, const struct path *p);
int vfs_chroot(struct fs_ctx *c, const struct path *p);

/* The absolute name of p as seen from root (NULL: the namespace's root). A deleted name gets " (deleted)"; what root does not
 * reach begins with "(unreachable)". Length without NUL, -ERANGE if size is short, -ENOENT if `deleted_fails` and it is deleted. */
ssize_t vfs_path_text(const struct path *p, const struct path *root, char *buf, size_t size, bool deleted_fails);
/* The host's own name for a path on hostfs or an unmodified overlay file: an O_PATH descriptor, -EXDEV if there is none. */
int vfs_host_fd(const struct path *p);
mode_t vfs_mode(const struct path *p);  /* st_mode of the inode */
dev_t vfs_dev(const struct path *p);
uint64_t vfs_ino(const struct path *p);
bool vfs_same_inode(const struct path *a, const struct path *b);

#endif
