/* SPDX-License-Identifier: MIT */
/*
 * An open file description: what a descriptor names, shared by dup and fork. A concrete file embeds
 * `struct file` and is reached by container_of. Ops are called with a reference held and no lock,
 * except where said.
 */
#ifndef EMUL_VFS_FILE_H
#define EMUL_VFS_FILE_H

#include <fcntl.h>
#include <linux/stat.h>
#include <sys/epoll.h>

#include "emul/base/auto.h"
#include "emul/base/mutex.h"
#include "emul/base/ref.h"
#include "emul/base/types.h"
#include "emul/base/uio.h"
#include "emul/base/wait.h"

struct dentry;
struct fdtab;
struct file;
struct fs_ctx;
struct inode;
struct memobj;
struct mm;
struct mount;

/* Takes directory entries for getdents64. Return 0 to go on, 1 if full (the entry was not taken). */
struct dirsink {
	int (*entry)(struct dirsink *s, const char *name, size_t len, uint64_t ino, unsigned char type /* DT_* */, off_t next);
};

/* Arguments of ioctl that need the caller's world. */
struct ioctl_ctx { struct mm *mm; struct fs_ctx *fsc; void *task; struct fdtab *fds; int limit_nofile; };

/* A NULL entry means Linux's error: read/write -EINVAL, lseek -ESPIPE, mmap -ENODEV, ioctl -ENOTTY, fsync -EINVAL,
 * readdir -ENOTDIR, truncate -EINVAL, fallocate -ENODEV (or -ESPIPE for pipes), poll: always ready for reading and writing. */
struct file_ops {
	/* A blocking read or write that has to sleep does so before it has any effect: it can be begun again elsewhere. */
	bool read_waits_first, write_waits_first;
	const char *name; /* type word: "host", "tmpfs", "pipe", "eventfd"...: /proc/PID/fd shows anon_inode:[name] if there is no path */
	/* *pos is moved by what was transferred; pos_lock is held if it is &f->pos of a seekable file. -EFAULT, -EAGAIN (O_NONBLOCK),
	 * -ERESTARTSYS. nonblock (RWF_NOWAIT, MSG_DONTWAIT, O_NONBLOCK) comes by file_nonblock(f). */
	ssize_t (*read)(struct file *f, struct uio *to, off_t *pos);
	ssize_t (*write)(struct file *f, struct uio *from, off_t *pos); /* O_APPEND is the op's business: pos is set to the end under the inode's lock */
	off_t (*lseek)(struct file *f, off_t off, int whence); /* pos_lock held; returns and stores the new position; SEEK_DATA/HOLE too */
	int (*readdir)(struct file *f, struct dirsink *out);   /* from f->pos, pos_lock held; updates f->pos */
	uint32_t (*poll)(struct file *f);                      /* EPOLL* true now; every change wakes f->wq */
	long (*ioctl)(struct file *f, unsigned cmd, gva_t arg, const struct ioctl_ctx *c);
	/* The object to map; shared: MAP_SHARED. -EACCES was already checked by mode. */
	int (*mmap)(struct file *f, bool shared, struct memobj **ret_obj);
	int (*stat)(struct file *f, unsigned mask, struct statx *ret); /* NULL: of the inode, or an anonymous inode's */
	int (*fsync)(struct file *f, bool datasync);
	int (*truncate)(struct file *f, uint64_t size);
	int (*fallocate)(struct file *f, int mode, uint64_t off, uint64_t len);
	int (*flush)(struct file *f, void *owner);             /* at each close(2) of a descriptor */
	int (*set_flags)(struct file *f, unsigned flags);      /* F_SETFL is about to change flags; NULL: fine */
	int (*start_async)(struct file *f);                    /* O_ASYNC is about to have an effect. NULL: it never has, and does not stick */
	pid_t (*async_group)(struct file *f);                  /* who owns it if nobody was told to: a process group, 0: the caller. NULL: nobody */
	int (*host_fd)(struct file *f); /* a host descriptor that reads/writes the same data (sendfile, copy_file_range, splice); borrowed; -1 */
	void (*host_changed)(struct file *f, uint64_t off, uint64_t len); /* what host_fd leads to was changed by it; NULL: nobody cares */
	void (*fdinfo)(struct file *f, void *out_seq);         /* lines of /proc/PID/fdinfo/N after pos, flags, mnt_id; struct seq * of pseudo.h */
	void (*describe)(struct file *f, char *buf, size_t size); /* readlink of /proc/PID/fd/N for files without a path: "pipe:[7]" */
	/* A message of the kernel's for who reads it (netlink sockets; mq_notify(2) asks for that). size 0: asks only. NULL, -EINVAL: it takes none. */
	int (*deliver)(struct file *f, const void *msg, size_t size);
	int (*reopen)(struct file *f, unsigned flags, struct file **ret); /* open(2) by /proc: a new description. NULL: -ENXIO, but for pipes and memfds */
	bool (*splice_nonblock)(struct file *f);               /* SPLICE_F_NONBLOCK is about its data, too. NULL: only about pipes */
	bool (*close_waits)(struct file *f);                   /* release may sleep: close(2) is nothing for a helper thread. NULL: no */
	void (*release)(struct file *f);                       /* the last reference is gone: free the concrete object */
};

struct file {
	struct ref ref;
	const struct file_ops *ops;
	struct waitq wq;                /* readiness changes */
	_Atomic unsigned flags;         /* O_*: access mode constant, the rest by F_SETFL */
	bool seekable;                  /* has a position that read/write use; constant */
	bool host_pos;                  /* the position is the host descriptor's own, shared with other programs (hostfd.c); pos is unused */
	struct mutex pos_lock;          /* POSIX 2.9.7: read, write and lseek are serialised */
	off_t pos;                      /* pos_lock */
	struct { struct mount *mnt; struct dentry *dentry; } path; /* as struct path; NULL: anonymous. Constant */
	struct inode *inode;            /* constant; NULL: anonymous */
	bool created;                   /* by the open that made this description; constant after it */
	bool counted_writer;            /* in inode->nwriters; constant after opening */
	struct mutex own_lock;
	_Atomic bool leased, dnotified; /* has a lease; had an entry of F_NOTIFY */
	_Atomic bool async;             /* O_ASYNC was set by fcntl or ioctl: events signal the owner. own_lock to change it */
	struct { int type; pid_t pid; int sig; int fd; uid_t uid, euid; } own; /* own_lock: F_SETOWN, F_SETSIG; fd: of O_ASYNC */
	struct list epolls;             /* epoll_watch_lock: items that watch this file */
	_Atomic unsigned nr_epolls;     /* of them; read without the lock when the last reference goes */
	uid_t anon_uid; gid_t anon_gid; /* who made an anonymous file that has an owner (pipe, memfd): file_set_maker() */
	_Atomic uint64_t anon_write_hint; /* as an inode's */
	uint64_t anon_ino;              /* inode number of an anonymous file, for st_ino and pipe:[N] */
};

/* Fills the common part; reference 1, path and inode empty. flags: O_* as for F_GETFL. */
void file_init(struct file *f, const struct file_ops *ops, unsigned flags);
/* For release ops: tears the common part down (not the concrete object). */
void file_fini(struct file *f);
struct file *file_get(struct file *f);
void file_put(struct file *f);
DEFINE_AUTO(file, file_put);
struct cred;
void file_set_maker(struct file *f, const struct cred *c); /* before others see it; root otherwise */

static inline unsigned file_flags(struct file *f) { return atomic_load_explicit(&f->flags, memory_order_relaxed); }
/* A call on this thread wants no blocking whatever O_NONBLOCK says (RWF_NOWAIT, MSG_DONTWAIT): set around the op by the caller. */
extern _Thread_local bool file_call_nonblock;
/* A call that appends whatever O_APPEND says, or does not (RWF_APPEND, RWF_NOAPPEND): 1, -1; 0: as the flag says. */
extern _Thread_local int file_call_append;
static inline bool file_append(struct file *f) { return file_call_append ? file_call_append > 0 : file_flags(f) & O_APPEND; }
static inline bool file_nonblock(struct file *f) { return (file_flags(f) & O_NONBLOCK) || file_call_nonblock; }
/* Access mode 3 is for ioctl only: neither. */
static inline bool file_readable(struct file *f)
{
	unsigned mode = file_flags(f) & (O_PATH | O_ACCMODE);

	return mode == O_RDONLY || mode == O_RDWR;
}
static inline bool file_writable(struct file *f)
{
	unsigned mode = file_flags(f) & (O_PATH | O_ACCMODE);

	return mode == O_WRONLY || mode == O_RDWR;
}

/* What the calls do, with mode checks (-EBADF), position, RLIMIT_FSIZE, and NULL ops resolved. pos NULL: the file's own position. */
ssize_t file_read(struct file *f, struct uio *to, off_t *pos);
ssize_t file_write(struct file *f, struct uio *from, off_t *pos, struct fs_ctx *c);
off_t file_lseek(struct file *f, off_t off, int whence);
uint32_t file_poll(struct file *f);
int file_stat(struct file *f, unsigned mask, struct statx *ret);
/* S_IFMT and permission bits; anonymous files have no type: 0600. */
mode_t file_mode(struct file *f);
/* fcntl(F_SETFL), FIONBIO: the flags that can change. -EINVAL (O_DIRECT on what has none), and what set_flags says. */
int file_set_flags(struct file *f, unsigned flags);
/* Who gets signals of f if nobody was told to: a process group, or the caller. */
void file_default_owner(struct file *f, const struct fs_ctx *c, pid_t group);
/* O_ASYNC on or off, asked for by descriptor fd, which signals name. -ENOTTY: this file has none. */
int file_set_async(struct file *f, int fd, bool on, const struct fs_ctx *c);
int file_always_async(struct file *f); /* for start_async: nothing to do */
/* fcntl(2), F_SETLEASE: F_RDLCK, F_WRLCK, F_UNLCK (lease.c). -EINVAL, -EACCES, -EAGAIN: opened by others, or there is none. */
int file_set_lease(struct file *f, int fd, int type, const struct fs_ctx *c);
int file_get_lease(struct file *f);  /* what it is, or will be when it is broken */
void file_drop_lease(struct file *f); /* when the last reference goes */
bool file_is_on_disk(struct file *f); /* regular, and its file system is one of disks */
_Atomic uint64_t *file_write_hint(struct file *f); /* F_GET_RW_HINT, F_SET_RW_HINT: a property of the inode */
/* F_NOTIFY (dnotify.c). -EINVAL: turned off; -ENOTDIR. And the end of what came by the table `owner` (NULL: any). */
int file_dnotify(struct file *f, int fd, unsigned events, const struct fs_ctx *c);
void file_end_dnotify(struct file *f, const void *owner);
int file_readdir(struct file *f, struct dirsink *out); /* -ENOTDIR; -ENOENT: the directory was removed */
int file_truncate(struct file *f, uint64_t size);      /* -EINVAL: not regular or not open for writing */
int file_fallocate(struct file *f, int mode, int64_t off, int64_t len); /* with all checks of vfs_fallocate() */
int file_fsync(struct file *f, bool datasync);
bool file_sync_waits(struct file *f); /* for a disk of the host */
int file_syncfs(struct file *f); /* all of the file system that f is on */
int file_sync_range(struct file *f, int64_t off, int64_t len, unsigned flags); /* -EINVAL, -ESPIPE */
/* lseek of anonymous files that have none, but do not refuse (eventfd, epoll, timerfd, inotify): where it is. */
off_t file_noop_lseek(struct file *f, off_t off, int whence);
/* close(2) of one descriptor: flush, POSIX locks of owner (the descriptor table). Consumes the reference. flush's error. */
int file_close(struct file *f, void *owner);
/* open(2) of /proc/PID/fd/N where N has no path: a new description of a pipe or memfd; -ENXIO for everything else. */
int file_reopen(struct file *f, unsigned flags, struct file **ret);
/* sendfile/splice/copy_file_range between any two files (fast where both have host descriptors). off NULL: own position. */
ssize_t file_copy(struct file *out, off_t *out_off, struct file *in, off_t *in_off, size_t len, struct fs_ctx *c);

/*
 * An event of f for its owner: POLL_IN, POLL_OUT..., FILE_URGENT. Under any lock; the signal is sent when this thread has
 * dropped its locks: file_async_flush() stands at the ends of calls and callbacks. async.c.
 */
enum { FILE_URGENT = 0 }; /* SIGURG, with or without O_ASYNC */
void file_note(struct file *f, int code);
static inline void file_async(struct file *f, int code)
{
	if (__builtin_expect(atomic_load_explicit(&f->async, memory_order_relaxed), 0))
		file_note(f, code);
}
extern _Thread_local unsigned file_async_noted; /* events that wait for it */
void file_async_send(void);
static inline void file_async_flush(void)
{
	if (__builtin_expect(file_async_noted, 0))
		file_async_send();
}

/* --- files without names; all return a new file with one reference --- */
int pipe_new(unsigned flags /* O_CLOEXEC ignored, O_NONBLOCK, O_DIRECT */, struct file **ret_read, struct file **ret_write);
long pipe_get_size(struct file *f);                  /* F_GETPIPE_SZ; -EBADF: not a pipe */
long pipe_set_size(struct file *f, unsigned long size, bool privileged);
bool file_is_pipe(struct file *f);
ssize_t pipe_tee(struct file *in, struct file *out, size_t len, unsigned flags);
ssize_t file_splice(struct file *in, off_t *in_off, struct file *out, off_t *out_off, size_t len, unsigned flags, struct fs_ctx *c);
ssize_t pipe_vmsplice(struct file *pipe, struct uio *u, unsigned flags);
bool pipe_reopen(struct file *f, unsigned flags, struct file **ret, int *ret_err); /* for file_reopen(): false: not a pipe */
struct fifo; /* the pipe behind a FIFO's inode */
struct fifo *fifo_new(void);
void fifo_free(struct fifo *ff);
int fifo_open(struct fifo *ff, unsigned flags, struct file **ret); /* open(2)'s rules: blocks for the other side; -ENXIO, -ERESTARTSYS */
int eventfd_new(unsigned initial, int flags /* EFD_* */, struct file **ret);
bool file_is_eventfd(struct file *f);
void eventfd_signal(struct file *f); /* adds 1; never waits */
int timerfd_new(int clock, int flags, struct file **ret);
struct itimerspec;
int timerfd_set(struct file *f, int flags, const struct itimerspec *val, struct itimerspec *ret_old); /* -EINVAL: not a timerfd */
int timerfd_get(struct file *f, struct itimerspec *ret);
struct phys;
int memfd_new(struct phys *ph, const char *name, unsigned flags /* MFD_* */, struct file **ret);
long memfd_add_seals(struct file *f, unsigned seals); /* -EINVAL: not a memfd */
long memfd_get_seals(struct file *f);
int memfd_chmod(struct file *f, mode_t mode); /* -EOPNOTSUPP: not a memfd; -EPERM: sealed */
bool memfd_reopen(struct file *f, unsigned flags, struct file **ret, int *ret_err); /* for file_reopen(): false: not a memfd */
int epoll_new(int flags, struct file **ret);
int epoll_control(struct file *ep, int op, int fd, struct file *target, const struct epoll_event *ev); /* -EINVAL: not an epoll file; -ELOOP... */
int epoll_collect(struct file *ep, struct epoll_event *out, int max, struct deadline d); /* events, -ERESTARTSYS (-EINTR above) */
/* kcmp(2): what an epoll watches by fd; `skip` of the same number come before it. A name only: not counted. -EINVAL, -ENOENT */
int epoll_target(struct file *ep, int fd, uint64_t skip, const void **ret);
void epoll_forget(struct file *f); /* the last reference of a watched file goes */
struct vfs;
int inotify_new(struct vfs *v, int flags, struct file **ret);
struct path;
int inotify_add(struct file *f, const struct path *p, uint32_t mask);
int inotify_remove(struct file *f, int wd);
/* A descriptor that the caller of vmrun gave us (stdio): the host's file, pipe, tty or socket. The fd is duplicated. */
int hostfd_new(int host_fd, struct file **ret);
void hostfd_set_phys(struct phys *ph); /* at boot: whose frames mmap of such files uses; without it mmap is -ENODEV */

/* --- waiting on several files (poll, select): the engine --- */
struct poll_item {
	struct file *file; /* NULL: skip */
	uint32_t events;
	uint32_t ret;
	bool exact;        /* EPOLLERR and EPOLLHUP only if asked for (select); else they are always reported */
};
/* Ready count; 0 at the deadline; -ERESTARTNOHAND. */
int files_poll(struct poll_item *items, unsigned n, struct deadline d);

/* --- record locks --- */
struct flock_req { short type; uint64_t start, end; /* inclusive */ pid_t pid; bool ofd; void *owner; };
int file_setlk(struct file *f, struct flock_req *r, bool wait);      /* -EAGAIN, -EDEADLK, -ENOLCK, -ERESTARTSYS */
int file_getlk(struct file *f, struct flock_req *r);                 /* type F_UNLCK if it could be had */
int file_flock(struct file *f, int op);                              /* LOCK_*; -EWOULDBLOCK */
void file_release_posix_locks(struct file *f, void *owner);          /* at close(2) */
void file_release_own_locks(struct file *f);                         /* OFD locks and flock: with the last reference */

#endif
