/* SPDX-License-Identifier: MIT */
/*
 * What handlers share beyond syscalls.h: names with their start, descriptors that must do more than
 * name something, copies whose size the guest says, what a failed write raises. args.c has the bodies.
 */
#ifndef EMUL_SYSCALLS_HANDLER_H
#define EMUL_SYSCALLS_HANDLER_H

#include <limits.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/syscalls/syscalls.h"

#define RAW_O_LARGEFILE 0100000 /* libc's is 0 on x86-64; F_GETFL shows it */
#define NSEC_PER_SEC 1000000000LL

/* --- names --------------------------------------------------------------------------------------- */
/* A path argument and the directory it starts at; the start is unset for cwd and absolute names. */
struct at { struct path start; char name[PATH_MAX]; };
static inline void at_put(struct at *n) { path_put(&n->start); }
/* Declares one without clearing the buffer. */
#define AT(n)                                     \
	__attribute__((cleanup(at_put))) struct at n; \
	n.start = (struct path)PATH_INIT

/* The name first, then the descriptor (of absolute names it is not looked at), as Linux does. */
int arg_at(struct task *t, int dirfd, gva_t name, bool empty_ok, struct at *ret);
static inline const struct path *at_start(const struct at *n) { return path_is_set(&n->start) ? &n->start : NULL; }
/* AT_EMPTY_PATH with "" or no name at all: the descriptor itself, which may have no path. 1, 0, -EFAULT. stat.c */
int arg_names_nothing(struct task *t, gva_t name, int flags);
int at_lookup(struct task *t, const struct at *n, unsigned walk, struct path *ret);
/* arg_at() and at_lookup() in one. flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW (checked by the caller). */
int arg_lookup(struct task *t, int dirfd, gva_t name, int flags, struct path *ret);
static inline unsigned walk_of(int atflags)
{
	return (atflags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (atflags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

/* --- descriptors ----------------------------------------------------------------------------------- */
/* A file one may work with: NULL (-EBADF) for O_PATH too. fdtab_get() is for calls that take those. */
struct file *fd_file(struct task *t, int fd);
/* The path of an open file (reference); false: it has none. */
bool file_path(struct file *f, struct path *ret);
/* O_ASYNC of f, by descriptor fd: fcntl(F_SETFL), ioctl(FIOASYNC). -ENOTTY: f has none. */
long fd_set_async(struct task *t, struct file *f, int fd, bool on);
/* A new descriptor for f. Consumes f. */
int fd_install(struct task *t, struct file *f, bool cloexec);
/* t's own copy of its descriptor table, without those >= up_to. 0, -ENOMEM. */
int unshare_fds(struct task *t, unsigned up_to);

/* --- memory ---------------------------------------------------------------------------------------- */
static inline bool range_ok(gva_t base, size_t len) { return len <= USER_END && base <= USER_END - len; }

/* --- times ------------------------------------------------------------------------------------------- */
static inline bool timespec_ok(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && (unsigned long)ts->tv_nsec < NSEC_PER_SEC;
}
static inline struct timespec timespec_of(int64_t ns)
{
	int64_t sec = ns / NSEC_PER_SEC, nsec = ns % NSEC_PER_SEC;

	return nsec < 0 ? (struct timespec){ sec - 1, nsec + NSEC_PER_SEC } : (struct timespec){ sec, nsec };
}
int64_t ns_of(const struct timespec *ts); /* saturates */
/* A signal mask argument of size bytes; gva 0: none, *ret_set false. -EINVAL, -EFAULT. */
int arg_sigmask(struct task *t, gva_t set, size_t size, sigmask_t *ret, bool *ret_set);

/* --- transfers: rw.c ------------------------------------------------------------------------------- */
struct transfer {
	bool write;
	off_t *pos; /* NULL: the file's own */
	unsigned flags; /* RWF_* */
};
int transfer_check_flags(struct file *f, unsigned flags); /* -EOPNOTSUPP, -EINVAL */
/* Moves the data, as the flags, which are good, say; accounts for it and raises what a failed write raises. Bytes or -errno. */
ssize_t transfer(struct task *t, struct file *f, struct uio *u, const struct transfer *v);

/* --- outcomes ----------------------------------------------------------------------------------------- */
/* What a failed write means to the writer beyond the error: SIGPIPE, SIGXFSZ. Returns r. */
long write_outcome(struct task *t, long r);
/* Resizing to size is beyond RLIMIT_FSIZE? -EFBIG and SIGXFSZ. */
int check_fsize(struct task *t, uint64_t old_size, uint64_t size);
/* May t look into target, as ptrace(2) would? 0, -EPERM. */
int may_inspect(struct task *t, struct task *target);

#endif
