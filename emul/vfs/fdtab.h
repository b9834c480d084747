/* SPDX-License-Identifier: MIT */
/*
 * Descriptor tables: small integers to open file descriptions, with the close-on-exec bit.
 * Shared with CLONE_FILES. Look-up always returns a counted reference.
 */
#ifndef EMUL_VFS_FDTAB_H
#define EMUL_VFS_FDTAB_H

#include "emul/base/auto.h"
#include "emul/vfs/file.h"

struct fdtab;

struct fdtab *fdtab_new(void);
struct fdtab *fdtab_get_ref(struct fdtab *t);
void fdtab_put(struct fdtab *t);                 /* the last one closes everything */
DEFINE_AUTO(fdtab, fdtab_put);
struct fdtab *fdtab_copy(struct fdtab *t, unsigned up_to); /* fork, unshare; descriptors >= up_to are left out (close_range) */

struct file *fdtab_get(struct fdtab *t, int fd);  /* NULL: -EBADF */
/* The lowest free descriptor >= min and < limit (RLIMIT_NOFILE). Takes its own reference on f. -EMFILE, -ENOMEM, -EINVAL (min >= limit). */
int fdtab_install(struct fdtab *t, struct file *f, bool cloexec, int min, int limit);
/* Reserve first, fill later (calls that create several). fdtab_fill takes its own reference; fdtab_unreserve gives it back. */
int fdtab_reserve(struct fdtab *t, bool cloexec, int min, int limit);
void fdtab_fill(struct fdtab *t, int fd, struct file *f);
void fdtab_unreserve(struct fdtab *t, int fd);
/* dup2/dup3: newfd becomes f, whatever it was is closed. -EBADF (beyond limit), -EBUSY, -ENOMEM. Returns newfd. */
int fdtab_replace(struct fdtab *t, int newfd, struct file *f, bool cloexec, int limit);
int fdtab_close(struct fdtab *t, int fd);         /* runs flush, drops POSIX locks; -EBADF */
int fdtab_close_range(struct fdtab *t, unsigned first, unsigned last, bool set_cloexec_only);
void fdtab_close_on_exec(struct fdtab *t);
int fdtab_get_cloexec(struct fdtab *t, int fd);   /* 0, 1, -EBADF */
int fdtab_set_cloexec(struct fdtab *t, int fd, bool on);
/* The lowest open descriptor >= fd, with a reference in *ret (may be NULL to skip); -1: none. For /proc and close loops. */
int fdtab_next(struct fdtab *t, int fd, struct file **ret);
bool fdtab_is_shared(struct fdtab *t);             /* has other users (CLONE_FILES) */
unsigned fdtab_size(struct fdtab *t);             /* slots allocated: FDSize of /proc/PID/status */

#endif
