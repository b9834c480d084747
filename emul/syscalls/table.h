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
	PRCTL_OP, ARCH_PRCTL_OP, PID, UID, GID, SOCK_FAMILY, SOCK_TYPE, SOCKADDR_IN, SOCKADDR_OUT, MSG_FLAGS, MSGHDR, MSGHDR_OUT,
	SOCK_FLAGS, SHUT_HOW, SOCK_LEVEL, SOCK_OPTION,
	OPEN_MODE,         /* printed only if the flags before it create */
	ENVP, STRING_OUT, OPEN_HOW, CLONE_ARGS, SIGEVENT_IN, TIMESPECS_IN, SCHED_PARAM_IN, SCHED_PARAM_OUT,
	FUTEX_TIMEOUT,     /* a time or a number: the operation in argument 1 says */
	/* bits and constants, by strace_flags.c */
	OFLAGS_BARE, UNLINK_FLAGS, EFD_FLAGS, EPOLL_FLAGS, TFD_FLAGS, TFD_TIMER_FLAGS, SFD_FLAGS, INOTIFY_FLAGS, INOTIFY_MASK,
	MFD_FLAGS, GRND_FLAGS, STATX_MASK, XATTR_FLAGS, RWF_FLAGS, SPLICE_FLAGS, RENAME_FLAGS, FALLOC_MODE, CLOSE_RANGE_FLAGS,
	TIMER_FLAGS, FLOCK_OP, FADVICE, SCHED_POLICY, ITIMER_WHICH, RUSAGE_WHO, MEMBARRIER_CMD, PTRACE_OP,
	IPC_KEY, IPC_FLAGS, SHMAT_FLAGS, SHM_CMD, SEM_CMD, MSG_CMD, MSGQ_FLAGS,
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
/* One prototype a row; the rows that are always refused share a handler per errno (table.c). */
#define ROW(nr, name, ...) long sys_##name(struct task *t, const struct sysargs *a);
#define REFUSE(nr, name, ...)
#include "emul/syscalls/table.def"
#undef ROW
#undef REFUSE

extern const struct syscall_desc syscall_table[SYSCALL_MAX];
extern const char *const syscall_names[SYSCALL_MAX]; /* every number that Linux x86-64 has; NULL: none */

#endif
