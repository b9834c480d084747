/* SPDX-License-Identifier: MIT */
/*
 * The one table of system calls (table.def): number, name, support, what is missing, whether a handler
 * may sleep, and the kinds of its arguments. From it come the prototypes, the dispatch, --strace,
 * `vmrun --syscalls`, the README's status table and a test that every PARTIAL row has a note.
 */
#ifndef EMUL_SYSCALLS_TABLE_H
#define EMUL_SYSCALLS_TABLE_H

#include "emul/syscalls/args.h"

struct task;

enum support { SUPPORT_NONE, FULL, PARTIAL };
enum blocking { NOBLOCK, MAYBLOCK }; /* MAYBLOCK: a helper that answers calls for vCPUs must not run it on its own */

/* How strace prints an argument; OUT kinds are printed after the call. */
enum arg_kind {
	ARG_END, INT, UINT, LONG, HEX, SIZE, OFFSET, PTR, OCTAL,
	FD, DIRFD, PATH, STRING, STRV,
	BUF_IN, BUF_OUT,   /* length: the next argument; BUF_OUT's the result */
	IOV_IN, IOV_OUT,
	OFLAGS, ATFLAGS, MODE, ACCMODE, WHENCE, FCNTL_CMD, IOCTL_CMD,
	MMAP_PROT, MMAP_FLAGS, MREMAP_FLAGS, MADVICE, MSFLAGS,
	STAT_OUT, STATX_OUT, STATFS_OUT, DIRENTS_OUT,
	TIMESPEC_IN, TIMESPEC_OUT, TIMEVAL_IN, TIMEVAL_OUT, ITIMERVAL_IN, ITIMERVAL_OUT, ITIMERSPEC_IN, ITIMERSPEC_OUT, CLOCKID,
	SIGNUM, SIGSET_IN, SIGSET_OUT, SIGACTION_IN, SIGACTION_OUT, SIGINFO_IN, SIGINFO_OUT, SIGHOW, ALTSTACK_IN, ALTSTACK_OUT,
	FUTEX_OP, CLONE_FLAGS, WAIT_STATUS_OUT, WAIT_OPTIONS, RLIMIT_RES, RLIMIT_IN, RLIMIT_OUT, RUSAGE_OUT,
	POLLFDS, EPOLL_OP, EPOLL_EVENT_IN, EPOLL_EVENTS_OUT, FDSET, PIPEFD_OUT, INT_OUT, UTSNAME_OUT, SYSINFO_OUT,
	PRCTL_OP, ARCH_PRCTL_OP, PID, UID, GID, SOCK_FAMILY, SOCK_TYPE, SOCKADDR_IN, SOCKADDR_OUT, MSG_FLAGS, MSGHDR,
};

struct syscall_desc {
	const char *name;
	long (*fn)(struct task *t, const struct sysargs *a);
	enum support support; /* SUPPORT_NONE: the empty row, ENOSYS */
	const char *note;
	enum blocking blocking;
	enum arg_kind arg[7];
};

#define SYSCALL_MAX 512
extern const struct syscall_desc syscall_table[SYSCALL_MAX];
extern const char *const syscall_names[SYSCALL_MAX]; /* every number that Linux x86-64 has; NULL: none */

#endif
