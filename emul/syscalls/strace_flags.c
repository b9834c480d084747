/* SPDX-License-Identifier: MIT */
/* --strace: names of constants and of the bits of flags. */
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/msg.h>
#include <linux/prctl.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <asm/prctl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <sys/ioctl.h>

#include "emul/base/err.h"
#include "emul/syscalls/strace_fmt.h"

struct name { uint64_t value; const char *text; };
#define N(x) { x, #x }
#define END { 0, NULL }

static const struct name ipc_keys[] = { N(IPC_PRIVATE), END };
static const struct name ipc_flags[] = { N(IPC_CREAT), N(IPC_EXCL), N(SHM_HUGETLB), N(SHM_NORESERVE), END };
static const struct name shmat_flags[] = { N(SHM_RDONLY), N(SHM_RND), N(SHM_REMAP), N(SHM_EXEC), END };
#define IPC_CMDS N(IPC_RMID), N(IPC_SET), N(IPC_STAT), N(IPC_INFO)
static const struct name shm_cmds[] = { IPC_CMDS, N(SHM_LOCK), N(SHM_UNLOCK), N(SHM_STAT), N(SHM_INFO), N(SHM_STAT_ANY), END };
static const struct name sem_cmds[] = {
	IPC_CMDS, N(GETPID), N(GETVAL), N(GETALL), N(GETNCNT), N(GETZCNT), N(SETVAL), N(SETALL), N(SEM_STAT), N(SEM_INFO),
	N(SEM_STAT_ANY), END,
};
static const struct name msg_cmds[] = { IPC_CMDS, N(MSG_STAT), N(MSG_INFO), N(MSG_STAT_ANY), END };
static const struct name msgq_flags[] = { N(IPC_NOWAIT), N(MSG_NOERROR), N(MSG_EXCEPT), N(MSG_COPY), END };
static const struct name open_flags[] = {
	N(O_CREAT), N(O_EXCL), N(O_NOCTTY), N(O_TRUNC), N(O_APPEND), N(O_NONBLOCK), N(O_SYNC), N(O_DSYNC), N(O_ASYNC), N(O_DIRECT),
	{ 0100000, "O_LARGEFILE" }, N(O_TMPFILE), N(O_DIRECTORY), N(O_NOFOLLOW), N(O_NOATIME), N(O_CLOEXEC), N(O_PATH), END,
};
static const struct name at_flags[] = { N(AT_SYMLINK_NOFOLLOW), N(AT_SYMLINK_FOLLOW), N(AT_EMPTY_PATH), N(AT_NO_AUTOMOUNT), { 0x200, "AT_EACCESS" }, END };
static const struct name unlink_flags[] = { N(AT_REMOVEDIR), END };
static const struct name access_modes[] = { N(R_OK), N(W_OK), N(X_OK), END };
static const struct name whences[] = { N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), N(SEEK_DATA), N(SEEK_HOLE), END };
static const struct name fcntls[] = {
	N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL), N(F_GETLK), N(F_SETLK), N(F_SETLKW), N(F_SETOWN), N(F_GETOWN),
	N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ), N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS), N(F_OFD_GETLK), N(F_OFD_SETLK),
	N(F_OFD_SETLKW), N(F_SETSIG), N(F_GETSIG), END,
};
static const struct name ioctls[] = {
	N(TCGETS), N(TCSETS), N(TCSETSW), N(TCSETSF), N(TIOCGWINSZ), N(TIOCSWINSZ), N(TIOCGPGRP), N(TIOCSPGRP), N(FIONREAD),
	N(FIONBIO), N(FIOCLEX), N(FIONCLEX), N(TIOCGPTN), N(TIOCSPTLCK), N(TIOCSCTTY), END,
};
static const struct name prots[] = { N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), N(PROT_GROWSDOWN), N(PROT_GROWSUP), END };
static const struct name maps[] = {
	N(MAP_SHARED_VALIDATE), N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_GROWSDOWN), N(MAP_DENYWRITE),
	N(MAP_LOCKED), N(MAP_NORESERVE), N(MAP_POPULATE), N(MAP_NONBLOCK), N(MAP_STACK), N(MAP_HUGETLB), N(MAP_SYNC),
	N(MAP_FIXED_NOREPLACE), END,
};
static const struct name remaps[] = { N(MREMAP_MAYMOVE), N(MREMAP_FIXED), { 4, "MREMAP_DONTUNMAP" }, END };
static const struct name advices[] = {
	N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED), N(MADV_FREE), N(MADV_REMOVE),
	N(MADV_DONTFORK), N(MADV_DOFORK), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE), N(MADV_DONTDUMP), N(MADV_DODUMP), N(MADV_WIPEONFORK),
	N(MADV_KEEPONFORK), N(MADV_COLD), N(MADV_PAGEOUT), N(MADV_POPULATE_READ), N(MADV_POPULATE_WRITE),
	{ 102, "MADV_GUARD_INSTALL" }, { 103, "MADV_GUARD_REMOVE" }, END,
};
static const struct name msyncs[] = { N(MS_ASYNC), N(MS_INVALIDATE), N(MS_SYNC), END };
static const struct name clocks[] = {
	N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID), N(CLOCK_THREAD_CPUTIME_ID), N(CLOCK_MONOTONIC_RAW),
	N(CLOCK_REALTIME_COARSE), N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME), N(CLOCK_TAI), END,
};
static const struct name sighows[] = { N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK), END };
static const struct name futexes[] = {
	N(FUTEX_WAIT), N(FUTEX_WAKE), N(FUTEX_REQUEUE), N(FUTEX_CMP_REQUEUE), N(FUTEX_WAKE_OP), N(FUTEX_LOCK_PI), N(FUTEX_UNLOCK_PI),
	N(FUTEX_TRYLOCK_PI), N(FUTEX_WAIT_BITSET), N(FUTEX_WAKE_BITSET), N(FUTEX_WAIT_REQUEUE_PI), N(FUTEX_CMP_REQUEUE_PI),
	N(FUTEX_LOCK_PI2), END,
};
static const struct name clones[] = {
	N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), N(CLONE_PIDFD), N(CLONE_PTRACE), N(CLONE_VFORK), N(CLONE_PARENT),
	N(CLONE_THREAD), N(CLONE_NEWNS), N(CLONE_SYSVSEM), N(CLONE_SETTLS), N(CLONE_PARENT_SETTID), N(CLONE_CHILD_CLEARTID),
	N(CLONE_CHILD_SETTID), N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET),
	N(CLONE_NEWCGROUP), END,
};
static const struct name waits[] = { N(WNOHANG), N(WUNTRACED), N(WCONTINUED), N(WEXITED), N(WNOWAIT), { 0x40000000, "__WALL" }, END };
static const struct name limits[] = {
	N(RLIMIT_CPU), N(RLIMIT_FSIZE), N(RLIMIT_DATA), N(RLIMIT_STACK), N(RLIMIT_CORE), N(RLIMIT_RSS), N(RLIMIT_NPROC), N(RLIMIT_NOFILE),
	N(RLIMIT_MEMLOCK), N(RLIMIT_AS), N(RLIMIT_LOCKS), N(RLIMIT_SIGPENDING), N(RLIMIT_MSGQUEUE), N(RLIMIT_NICE), N(RLIMIT_RTPRIO), END,
};
static const struct name epoll_ops[] = { N(EPOLL_CTL_ADD), N(EPOLL_CTL_DEL), N(EPOLL_CTL_MOD), END };
static const struct name prctls[] = {
	N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE), N(PR_GET_KEEPCAPS), N(PR_SET_KEEPCAPS),
	N(PR_SET_NAME), N(PR_GET_NAME), N(PR_GET_SECCOMP), N(PR_SET_SECCOMP), N(PR_CAPBSET_READ), N(PR_CAPBSET_DROP), N(PR_SET_TIMERSLACK),
	N(PR_GET_TIMERSLACK), N(PR_SET_CHILD_SUBREAPER), N(PR_GET_CHILD_SUBREAPER), N(PR_SET_NO_NEW_PRIVS), N(PR_GET_NO_NEW_PRIVS),
	N(PR_SET_THP_DISABLE), N(PR_CAP_AMBIENT), { 0x53564d41, "PR_SET_VMA" }, END,
};
static const struct name arch_prctls[] = { N(ARCH_SET_GS), N(ARCH_SET_FS), N(ARCH_GET_FS), N(ARCH_GET_GS), { 0x3001, "ARCH_CET_STATUS" }, END };
static const struct name families[] = { N(AF_UNSPEC), N(AF_UNIX), N(AF_INET), N(AF_INET6), N(AF_NETLINK), N(AF_PACKET), END };
static const struct name sock_types[] = { N(SOCK_STREAM), N(SOCK_DGRAM), N(SOCK_RAW), N(SOCK_RDM), N(SOCK_SEQPACKET), END };
static const struct name sock_flags[] = { N(SOCK_CLOEXEC), N(SOCK_NONBLOCK), END };
static const struct name shut_hows[] = { N(SHUT_RD), N(SHUT_WR), N(SHUT_RDWR), END };
static const struct name sock_levels[] = { N(SOL_SOCKET), { 0, "SOL_IP" }, { 6, "SOL_TCP" }, { 17, "SOL_UDP" }, { 41, "SOL_IPV6" }, { 270, "SOL_NETLINK" }, END };
static const struct name sock_options[] = { /* of SOL_SOCKET */
	N(SO_DEBUG), N(SO_REUSEADDR), N(SO_TYPE), N(SO_ERROR), N(SO_DONTROUTE), N(SO_BROADCAST), N(SO_SNDBUF), N(SO_RCVBUF), N(SO_KEEPALIVE),
	N(SO_OOBINLINE), N(SO_NO_CHECK), N(SO_PRIORITY), N(SO_LINGER), N(SO_REUSEPORT), N(SO_PASSCRED), N(SO_PEERCRED), N(SO_RCVLOWAT),
	N(SO_SNDLOWAT), N(SO_RCVTIMEO), N(SO_SNDTIMEO), N(SO_BINDTODEVICE), N(SO_PEERNAME), N(SO_TIMESTAMP), N(SO_ACCEPTCONN), N(SO_PEERSEC),
	N(SO_SNDBUFFORCE), N(SO_RCVBUFFORCE), N(SO_MARK), N(SO_TIMESTAMPING), N(SO_PROTOCOL), N(SO_DOMAIN), N(SO_PEEK_OFF), N(SO_PEERGROUPS),
	N(SO_BUSY_POLL), N(SO_INCOMING_CPU), N(SO_COOKIE), N(SO_ZEROCOPY), END,
};
static const struct name msgs[] = {
	N(MSG_OOB), N(MSG_PEEK), N(MSG_DONTROUTE), N(MSG_CTRUNC), N(MSG_TRUNC), N(MSG_DONTWAIT), N(MSG_EOR), N(MSG_WAITALL), N(MSG_CONFIRM),
	N(MSG_ERRQUEUE), N(MSG_NOSIGNAL), N(MSG_MORE), N(MSG_WAITFORONE), N(MSG_FASTOPEN), N(MSG_CMSG_CLOEXEC), END,
};
static const struct name eventfds[] = { N(EFD_SEMAPHORE), N(EFD_CLOEXEC), N(EFD_NONBLOCK), END };
static const struct name epolls[] = { N(EPOLL_CLOEXEC), END };
static const struct name timerfds[] = { N(TFD_CLOEXEC), N(TFD_NONBLOCK), END };
static const struct name timerfd_times[] = { N(TFD_TIMER_ABSTIME), N(TFD_TIMER_CANCEL_ON_SET), END };
static const struct name signalfds[] = { N(SFD_CLOEXEC), N(SFD_NONBLOCK), END };
static const struct name inotifies[] = { N(IN_CLOEXEC), N(IN_NONBLOCK), END };
static const struct name inotify_masks[] = {
	N(IN_ACCESS), N(IN_MODIFY), N(IN_ATTRIB), N(IN_CLOSE_WRITE), N(IN_CLOSE_NOWRITE), N(IN_OPEN), N(IN_MOVED_FROM), N(IN_MOVED_TO),
	N(IN_CREATE), N(IN_DELETE), N(IN_DELETE_SELF), N(IN_MOVE_SELF), N(IN_ONLYDIR), N(IN_DONT_FOLLOW), N(IN_EXCL_UNLINK),
	N(IN_MASK_ADD), N(IN_ONESHOT), END,
};
static const struct name memfds[] = { N(MFD_CLOEXEC), N(MFD_ALLOW_SEALING), N(MFD_HUGETLB), { 8, "MFD_NOEXEC_SEAL" }, { 16, "MFD_EXEC" }, END };
static const struct name randoms[] = { N(GRND_NONBLOCK), N(GRND_RANDOM), { 4, "GRND_INSECURE" }, END };
static const struct name statxes[] = {
	{ 0xfff, "STATX_ALL" }, { 0x7ff, "STATX_BASIC_STATS" }, N(STATX_TYPE), N(STATX_MODE), N(STATX_NLINK), N(STATX_UID), N(STATX_GID),
	N(STATX_ATIME), N(STATX_MTIME), N(STATX_CTIME), N(STATX_INO), N(STATX_SIZE), N(STATX_BLOCKS), N(STATX_BTIME), { 0x1000, "STATX_MNT_ID" }, END,
};
static const struct name xattrs[] = { N(XATTR_CREATE), N(XATTR_REPLACE), END };
static const struct name rwfs[] = { N(RWF_HIPRI), N(RWF_DSYNC), N(RWF_SYNC), N(RWF_NOWAIT), N(RWF_APPEND), END };
static const struct name splices[] = { { 1, "SPLICE_F_MOVE" }, { 2, "SPLICE_F_NONBLOCK" }, { 4, "SPLICE_F_MORE" }, { 8, "SPLICE_F_GIFT" }, END };
static const struct name renames[] = { { 1, "RENAME_NOREPLACE" }, { 2, "RENAME_EXCHANGE" }, { 4, "RENAME_WHITEOUT" }, END };
static const struct name fallocs[] = { N(FALLOC_FL_KEEP_SIZE), N(FALLOC_FL_PUNCH_HOLE), N(FALLOC_FL_COLLAPSE_RANGE), N(FALLOC_FL_ZERO_RANGE), N(FALLOC_FL_INSERT_RANGE), END };
static const struct name close_ranges[] = { N(CLOSE_RANGE_UNSHARE), N(CLOSE_RANGE_CLOEXEC), END };
static const struct name timer_flags[] = { { 1, "TIMER_ABSTIME" }, END };
static const struct name flocks[] = { N(LOCK_SH), N(LOCK_EX), N(LOCK_UN), N(LOCK_NB), END };
static const struct name fadvices[] = {
	N(POSIX_FADV_NORMAL), N(POSIX_FADV_RANDOM), N(POSIX_FADV_SEQUENTIAL), N(POSIX_FADV_WILLNEED), N(POSIX_FADV_DONTNEED), N(POSIX_FADV_NOREUSE), END,
};
static const struct name policies[] = { N(SCHED_OTHER), N(SCHED_FIFO), N(SCHED_RR), N(SCHED_BATCH), N(SCHED_IDLE), END };
static const struct name itimers[] = { N(ITIMER_REAL), N(ITIMER_VIRTUAL), N(ITIMER_PROF), END };
static const struct name usages[] = { N(RUSAGE_SELF), { (uint64_t)-1, "RUSAGE_CHILDREN" }, N(RUSAGE_THREAD), END };
static const struct name ptraces[] = {
	N(PTRACE_TRACEME), N(PTRACE_PEEKTEXT), N(PTRACE_PEEKDATA), N(PTRACE_PEEKUSER), N(PTRACE_POKETEXT), N(PTRACE_POKEDATA),
	N(PTRACE_POKEUSER), N(PTRACE_CONT), N(PTRACE_KILL), N(PTRACE_SINGLESTEP), N(PTRACE_GETREGS), N(PTRACE_SETREGS),
	N(PTRACE_GETFPREGS), N(PTRACE_SETFPREGS), N(PTRACE_ATTACH), N(PTRACE_DETACH), N(PTRACE_SYSCALL), N(PTRACE_SYSEMU),
	N(PTRACE_SETOPTIONS), N(PTRACE_GETEVENTMSG), N(PTRACE_GETSIGINFO), N(PTRACE_SETSIGINFO), N(PTRACE_GETREGSET),
	N(PTRACE_SETREGSET), N(PTRACE_SEIZE), N(PTRACE_INTERRUPT), N(PTRACE_LISTEN), N(PTRACE_PEEKSIGINFO), N(PTRACE_GETSIGMASK),
	N(PTRACE_SETSIGMASK), N(PTRACE_GET_SYSCALL_INFO), END,
};
static const struct name membarriers[] = {
	N(MEMBARRIER_CMD_QUERY), N(MEMBARRIER_CMD_GLOBAL), N(MEMBARRIER_CMD_PRIVATE_EXPEDITED), N(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED), END,
};

static const struct { enum arg_kind kind; bool bits; const char *none; const struct name *names; } kinds[] = {
	{ ATFLAGS, true, "0", at_flags }, { UNLINK_FLAGS, true, "0", unlink_flags }, { ACCMODE, true, "F_OK", access_modes },
	{ WHENCE, false, NULL, whences }, { FCNTL_CMD, false, NULL, fcntls }, { IOCTL_CMD, false, NULL, ioctls },
	{ MMAP_PROT, true, "PROT_NONE", prots }, { MMAP_FLAGS, true, "0", maps }, { MREMAP_FLAGS, true, "0", remaps },
	{ MADVICE, false, NULL, advices }, { MSFLAGS, true, "0", msyncs }, { CLOCKID, false, NULL, clocks }, { SIGHOW, false, NULL, sighows },
	{ CLONE_FLAGS, true, "0", clones }, { WAIT_OPTIONS, true, "0", waits }, { RLIMIT_RES, false, NULL, limits },
	{ EPOLL_OP, false, NULL, epoll_ops }, { PRCTL_OP, false, NULL, prctls }, { ARCH_PRCTL_OP, false, NULL, arch_prctls },
	{ SOCK_FAMILY, false, NULL, families }, { SOCK_FLAGS, true, "0", sock_flags }, { SHUT_HOW, false, NULL, shut_hows },
	{ SOCK_LEVEL, false, NULL, sock_levels }, { SOCK_OPTION, false, NULL, sock_options }, { MSG_FLAGS, true, "0", msgs },
	 { OFLAGS_BARE, true, "0", open_flags }, { EFD_FLAGS, true, "0", eventfds },
	{ EPOLL_FLAGS, true, "0", epolls }, { TFD_FLAGS, true, "0", timerfds }, { TFD_TIMER_FLAGS, true, "0", timerfd_times },
	{ SFD_FLAGS, true, "0", signalfds }, { INOTIFY_FLAGS, true, "0", inotifies }, { INOTIFY_MASK, true, "0", inotify_masks },
	{ MFD_FLAGS, true, "0", memfds }, { GRND_FLAGS, true, "0", randoms }, { STATX_MASK, true, "0", statxes },
	{ XATTR_FLAGS, true, "0", xattrs }, { RWF_FLAGS, true, "0", rwfs }, { SPLICE_FLAGS, true, "0", splices },
	{ IPC_KEY, false, NULL, ipc_keys }, { IPC_FLAGS, true, "0", ipc_flags }, { SHMAT_FLAGS, true, "0", shmat_flags },
	{ SHM_CMD, false, NULL, shm_cmds }, { SEM_CMD, false, NULL, sem_cmds }, { MSG_CMD, false, NULL, msg_cmds },
	{ MSGQ_FLAGS, true, "0", msgq_flags },
	{ RENAME_FLAGS, true, "0", renames }, { FALLOC_MODE, true, "0", fallocs }, { CLOSE_RANGE_FLAGS, true, "0", close_ranges },
	{ TIMER_FLAGS, true, "0", timer_flags }, { FLOCK_OP, true, "0", flocks }, { FADVICE, false, NULL, fadvices },
	{ SCHED_POLICY, false, NULL, policies }, { ITIMER_WHICH, false, NULL, itimers }, { RUSAGE_WHO, false, NULL, usages },
	{ MEMBARRIER_CMD, true, "MEMBARRIER_CMD_QUERY", membarriers },
	{ PTRACE_OP, false, NULL, ptraces },
};

static void put_bits(struct trace_text *s, const struct name *n, uint64_t v, const char *none)
{
	const char *sep = "";

	if (!v)
		trace_printf(s, "%s", none);
	for (; v && n->text; n++)
		if (n->value && (v & n->value) == n->value) {
			trace_printf(s, "%s%s", sep, n->text);
			v &= ~n->value;
			sep = "|";
		}
	if (v)
		trace_printf(s, "%s%#lx", sep, v);
}

static bool put_name(struct trace_text *s, const struct name *n, uint64_t v)
{
	for (; n->text; n++)
		if ((uint32_t)n->value == (uint32_t)v) {
			trace_printf(s, "%s", n->text);
			return true;
		}
	return false;
}

static void put_open_flags(struct trace_text *s, uint64_t v)
{
	static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };

	trace_printf(s, "%s", modes[v & O_ACCMODE]);
	if (v & ~(uint64_t)O_ACCMODE) {
		trace_printf(s, "|");
		put_bits(s, open_flags, (uint32_t)v & ~O_ACCMODE, "0");
	}
}

static void put_futex_op(struct trace_text *s, uint64_t v)
{
	if (!put_name(s, futexes, v & (uint64_t)FUTEX_CMD_MASK))
		trace_printf(s, "%#lx", v & (uint64_t)FUTEX_CMD_MASK);
	trace_printf(s, "%s%s", v & FUTEX_PRIVATE_FLAG ? "_PRIVATE" : "", v & FUTEX_CLOCK_REALTIME ? "|FUTEX_CLOCK_REALTIME" : "");
}

static void put_sock_type(struct trace_text *s, uint64_t v)
{
	if (!put_name(s, sock_types, v & 0xf))
		trace_printf(s, "%#lx", v & 0xf);
	if (v & ~(uint64_t)0xf) {
		trace_printf(s, "|");
		put_bits(s, sock_flags, (uint32_t)v & ~0xfu, "0");
	}
}

bool trace_flags(struct trace_text *s, enum arg_kind kind, uint64_t v)
{
	if (kind == SOCK_TYPE) {
		put_sock_type(s, v);
		return true;
	}
	if (kind == OFLAGS) {
		put_open_flags(s, v);
		return true;
	}
	if (kind == FUTEX_OP) {
		put_futex_op(s, v);
		return true;
	}
	if (kind == CLONE_FLAGS && (v & 0xff)) { /* clone(2): the signal is in the low byte */
		put_bits(s, clones, v & ~0xfful, "0");
		trace_printf(s, "|%s", trace_signal_name((int)(v & 0xff)));
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].kind != kind)
			continue;
		if (!kinds[i].bits)
			return put_name(s, kinds[i].names, v);
		put_bits(s, kinds[i].names, (uint32_t)v, kinds[i].none);
		return true;
	}
	return false;
}

const char *trace_signal_name(int sig)
{
	static _Thread_local char buf[16];
	const char *name = sig > 0 && sig < 32 ? sigabbrev_np(sig) : NULL;

	if (name)
		snprintf(buf, sizeof(buf), "SIG%s", name);
	else if (sig >= 32 && sig <= 64)
		snprintf(buf, sizeof(buf), sig == 32 ? "SIGRTMIN" : "SIGRT_%d", sig - 32);
	else
		snprintf(buf, sizeof(buf), "%d", sig);
	return buf;
}

const char *trace_errno_name(int e)
{
	const char *name = strerrorname_np(e);

	switch (e) {
	case ERESTARTSYS: return "ERESTARTSYS";
	case ERESTARTNOINTR: return "ERESTARTNOINTR";
	case ERESTARTNOHAND: return "ERESTARTNOHAND";
	case ERESTART_RESTARTBLOCK: return "ERESTART_RESTARTBLOCK";
	default: return name ? name : "E?";
	}
}
