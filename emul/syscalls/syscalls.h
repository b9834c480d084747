/* SPDX-License-Identifier: MIT */
/*
 * emul/syscalls: the ABI and nothing else: decode, call, encode.
 *
 *   table.def table.c  the table          dispatch.c  numbers, restart codes, ENOSYS named once, counters
 *   run.c     a task's host thread: run the vCPU, dispatch, deliver signals, until it exits
 *   strace.c strace_fmt*.c  --strace from the table      stats.c  --stats
 *   one file per family of handlers: fd.c rw.c open.c stat.c dir.c link.c perm.c xattr.c poll.c epoll.c mm.c process.c exec.c
 *   signal.c futex.c time.c timer.c sched.c cred.c ioctl.c fcntl.c sysinfo.c
 */
#ifndef EMUL_SYSCALLS_SYSCALLS_H
#define EMUL_SYSCALLS_SYSCALLS_H

#include "emul/proc/task.h"
#include "emul/syscalls/table.h"

/* env->task_run: everything a task does, on its own host thread. Returns when the task is gone. */
void task_run(struct task *t);
/* Calls of t that need not leave the guest: for vcpu_set_server(); ctx is the task. */
const struct call_server *call_server(void);
/* One call of t, with its registers: from the run loop, later from the polling helper. The result, restart codes included. */
long syscall_dispatch(struct task *t, unsigned long nr, const struct sysargs *a);
void syscall_refused(struct task *t, unsigned long nr, const struct sysargs *a); /* by a filter: --strace shows it all the same */

int strace_enable(const char *file); /* NULL: stderr. --strace[=FILE]; 0 or -errno */
extern bool strace_on;
void stats_enable(void);
struct platform;
void stats_print(int fd, struct platform *p); /* table: calls, errors, time by system call; calls by way; exits by kind */

/* Helpers shared by handlers. */
/* The path a dirfd argument means: AT_FDCWD -> unset path (cwd). 0, -EBADF, -ENOTDIR is the walk's business. */
int arg_dirfd(struct task *t, int dirfd, struct path *ret);
/* A path name from guest memory into buf[4096]: -EFAULT, -ENAMETOOLONG, -ENOENT (empty, unless empty_ok). */
int arg_path(struct task *t, gva_t name, char buf[4096], bool empty_ok);
/* A timespec as a deadline: 0, -EFAULT, -EINVAL. gva 0: FOREVER. */
int arg_timeout(struct task *t, gva_t ts, int clock, bool absolute, struct deadline *ret);
int nofile_limit(struct task *t);

#endif
