/* SPDX-License-Identifier: MIT */
/*
 * Calls that the platform's helper thread may answer while the vCPU spins: those that are short, do without the
 * program's registers, and either end or find out that they must sleep before they have had any effect. Everything else, and
 * what would sleep, comes out of the guest and is done on the task's own thread.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "emul/base/log.h"
#include "emul/syscalls/handler.h"
#include "emul/syscalls/stats.h"

/* READS, WRITES, CLOSES: if the file behind argument 0 permits. MAPS, ADVISES: what does not fill the pages in advance.
 * ASKS: ioctls that ask. SYNCS: of what has no disk. */
enum how { NO, ALWAYS, READS, WRITES, CLOSES, MAPS, ADVISES, ASKS, SYNCS };

static const unsigned char how[SYSCALL_MAX] = {
	[SYS_read] = READS, [SYS_pread64] = READS, [SYS_readv] = READS, [SYS_preadv] = READS, [SYS_preadv2] = READS,
	[SYS_write] = WRITES, [SYS_pwrite64] = WRITES, [SYS_writev] = WRITES, [SYS_pwritev] = WRITES, [SYS_pwritev2] = WRITES,
	[SYS_open] = ALWAYS, [SYS_openat] = ALWAYS, [SYS_close] = CLOSES, [SYS_lseek] = ALWAYS, [SYS_fcntl] = ALWAYS,
	[SYS_stat] = ALWAYS, [SYS_lstat] = ALWAYS, [SYS_fstat] = ALWAYS, [SYS_newfstatat] = ALWAYS, [SYS_statx] = ALWAYS,
	[SYS_access] = ALWAYS, [SYS_faccessat] = ALWAYS, [SYS_faccessat2] = ALWAYS,
	[SYS_readlink] = ALWAYS, [SYS_readlinkat] = ALWAYS, [SYS_getdents64] = ALWAYS, [SYS_getcwd] = ALWAYS,
	[SYS_unlink] = ALWAYS, [SYS_unlinkat] = ALWAYS, [SYS_rename] = ALWAYS, [SYS_renameat] = ALWAYS, [SYS_renameat2] = ALWAYS,
	[SYS_link] = ALWAYS, [SYS_linkat] = ALWAYS, [SYS_symlink] = ALWAYS, [SYS_symlinkat] = ALWAYS,
	[SYS_mkdir] = ALWAYS, [SYS_mkdirat] = ALWAYS, [SYS_rmdir] = ALWAYS, [SYS_ftruncate] = ALWAYS,
	[SYS_chmod] = ALWAYS, [SYS_fchmod] = ALWAYS, [SYS_fchmodat] = ALWAYS, [SYS_chown] = ALWAYS, [SYS_fchown] = ALWAYS,
	[SYS_lchown] = ALWAYS, [SYS_fchownat] = ALWAYS, [SYS_utimensat] = ALWAYS, [SYS_statfs] = ALWAYS, [SYS_fstatfs] = ALWAYS,
	[SYS_fsync] = SYNCS, [SYS_fdatasync] = SYNCS, [SYS_chdir] = ALWAYS, [SYS_fadvise64] = ALWAYS,
	[SYS_dup] = ALWAYS, [SYS_pipe2] = ALWAYS, [SYS_eventfd2] = ALWAYS, [SYS_umask] = ALWAYS,
	[SYS_poll] = ALWAYS, [SYS_epoll_wait] = ALWAYS, [SYS_epoll_ctl] = ALWAYS,
	[SYS_getpid] = ALWAYS, [SYS_gettid] = ALWAYS, [SYS_getppid] = ALWAYS, [SYS_getuid] = ALWAYS, [SYS_geteuid] = ALWAYS,
	[SYS_getgid] = ALWAYS, [SYS_getegid] = ALWAYS, [SYS_getpgid] = ALWAYS, [SYS_getsid] = ALWAYS, [SYS_uname] = ALWAYS,
	[SYS_getrandom] = ALWAYS, [SYS_gettimeofday] = ALWAYS, [SYS_clock_gettime] = ALWAYS, [SYS_time] = ALWAYS,
	[SYS_getrusage] = ALWAYS, [SYS_prlimit64] = ALWAYS, [SYS_sysinfo] = ALWAYS, [SYS_times] = ALWAYS,
	[SYS_futex] = ALWAYS, [SYS_rt_sigprocmask] = ALWAYS, [SYS_kill] = ALWAYS, [SYS_tkill] = ALWAYS, [SYS_tgkill] = ALWAYS, [SYS_rt_sigaction] = ALWAYS, [SYS_rt_sigpending] = ALWAYS,
	[SYS_semop] = ALWAYS, [SYS_semtimedop] = ALWAYS, [SYS_msgsnd] = ALWAYS, [SYS_msgrcv] = ALWAYS,
	[SYS_mq_timedsend] = ALWAYS, [SYS_mq_timedreceive] = ALWAYS,
	[SYS_socket] = ALWAYS, [SYS_socketpair] = ALWAYS, [SYS_bind] = ALWAYS, [SYS_listen] = ALWAYS, [SYS_shutdown] = ALWAYS,
	[SYS_accept] = ALWAYS, [SYS_accept4] = ALWAYS, [SYS_getsockname] = ALWAYS, [SYS_getpeername] = ALWAYS,
	[SYS_getsockopt] = ALWAYS, [SYS_setsockopt] = ALWAYS,
	[SYS_recvfrom] = READS, [SYS_recvmsg] = READS, [SYS_sendto] = WRITES, [SYS_sendmsg] = WRITES,
	[SYS_timerfd_settime] = ALWAYS, [SYS_timerfd_gettime] = ALWAYS,
	[SYS_ioctl] = ASKS, [SYS_mmap] = MAPS, [SYS_mprotect] = ALWAYS, [SYS_munmap] = ALWAYS, [SYS_madvise] = ADVISES, [SYS_brk] = ALWAYS,
	[SYS_sigaltstack] = ALWAYS, [SYS_set_robust_list] = ALWAYS, [SYS_set_tid_address] = ALWAYS,
};

/*
 * Calls that mostly end at once: for them the helper is woken if it sleeps. By the low byte of their numbers, so one must not be the
 * neighbour of a call that it is no use for: readlinkat would take munmap along.
 */
static const unsigned short worth_ringing[] = {
	SYS_open, SYS_openat, SYS_close, SYS_lseek, SYS_fcntl, SYS_stat, SYS_lstat, SYS_fstat, SYS_newfstatat, SYS_access, SYS_faccessat,
	SYS_readlink, SYS_getdents64, SYS_getcwd, SYS_pread64, SYS_pwrite64, SYS_write, SYS_rt_sigprocmask, SYS_rt_sigaction,
	SYS_getrandom, SYS_uname, SYS_getrusage, SYS_epoll_ctl, SYS_kill, SYS_tgkill, SYS_mmap, SYS_munmap, SYS_mprotect,
	SYS_madvise, SYS_brk, SYS_sigaltstack, SYS_ioctl,
	SYS_unlink, SYS_rename, SYS_mkdir, SYS_rmdir, SYS_link, SYS_symlink, SYS_ftruncate, SYS_chmod, SYS_fchmod, SYS_fchown,
	SYS_fdatasync, SYS_chdir, SYS_sendto,
};

/* Sleeping comes before any effect, or not at all. */
static bool file_permits(struct task *t, int fd, bool write)
{
	AUTO(file) f = fdtab_get(t->fds, fd);

	if (!f || !f->ops->poll || file_nonblock(f))
		return true;
	return write ? f->ops->write_waits_first : f->ops->read_waits_first;
}

static bool close_permits(struct task *t, int fd)
{
	AUTO(file) f = fdtab_get(t->fds, fd);

	return !f || !f->ops->close_waits || !f->ops->close_waits(f);
}

static bool sync_permits(struct task *t, int fd)
{
	AUTO(file) f = fdtab_get(t->fds, fd);

	return !f || !file_sync_waits(f);
}

/* Is it a terminal, how large is it, is there something: asked of every file that a program opens by stdio or Python. */
static bool ioctl_asks(unsigned cmd)
{
	return cmd == TCGETS || cmd == TIOCGWINSZ || cmd == FIONREAD || cmd == FIONBIO || cmd == FIOCLEX || cmd == FIONCLEX;
}

static bool permitted(struct task *t, uint64_t nr, const struct sysargs *a)
{
	if (nr >= SYSCALL_MAX)
		return false;
	if (!syscall_table[nr].fn) /* ENOSYS; the run loop names it if it is to be named */
		return !log_verbose;
	switch (how[nr]) {
	case ALWAYS: return true;
	case READS: return file_permits(t, arg_int(a, 0), false);
	case WRITES: return file_permits(t, arg_int(a, 0), true);
	case CLOSES: return close_permits(t, arg_int(a, 0));
	case MAPS: return !(arg_int(a, 3) & (MAP_POPULATE | MAP_LOCKED));
	case ADVISES: return arg_int(a, 2) != MADV_POPULATE_READ && arg_int(a, 2) != MADV_POPULATE_WRITE;
	case SYNCS: return sync_permits(t, arg_int(a, 0));
	case ASKS: return ioctl_asks(arg_uint(a, 1));
	default: return false;
	}
}

/* After a call: whether the program may go on as it is. */
static enum served served(struct task *t, bool may_signal)
{
	if (!signal_wants_task(t))
		return SERVED_ANSWERED;
	return may_signal && signal_deliverable_here(t) ? SERVED_SIGNAL : SERVED_LEAVE;
}

static enum served serve_return(struct task *t)
{
	if (!signal_return_here(t))
		return SERVED_REFUSED;
	return signal_wants_task(t) ? SERVED_LOADED_LEAVE : SERVED_LOADED;
}

static enum served serve(void *task, uint64_t nr, const uint64_t args[6], long *ret)
{
	struct task *t = task;
	bool registers = t->env->platform->served_registers;
	struct sysargs a;
	enum served s;
	uint64_t start;
	long r = 0;

	memcpy(a.v, args, sizeof(a.v));
	nr = (uint32_t)nr; /* only eax counts */
	if (task_is_filtered(t) || !(nr == SYS_rt_sigreturn ? registers : permitted(t, nr, &a)))
		return SERVED_REFUSED;
	task_set_current(t);
	start = stats_on ? (uint64_t)clock_now(CLOCK_MONOTONIC) : 0;
	if (nr == SYS_rt_sigreturn) {
		s = serve_return(t);
	} else {
		r = syscall_table[nr].fn ? syscall_table[nr].fn(t, &a) : -ENOSYS;
		file_async_flush();
		/* It would sleep, or go on after a signal: on its own thread. */
		s = r == -EWOULDSLEEP || (r <= -ERESTARTSYS && r >= -ERESTART_RESTARTBLOCK) ? SERVED_REFUSED : served(t, registers);
	}
	task_set_current(NULL);
	if (stats_on && s != SERVED_REFUSED)
		stats_call(nr, r, (uint64_t)clock_now(CLOCK_MONOTONIC) - start);
	*ret = r;
	return s;
}

static enum served serve_signal(void *task)
{
	struct task *t = task;
	enum served s = SERVED_LEAVE;

	task_set_current(t);
	if (signal_deliver_here(t))
		s = signal_wants_task(t) ? SERVED_LOADED_LEAVE : SERVED_LOADED;
	task_set_current(NULL);
	return s;
}

static void keep_off(void *task, int cpu)
{
	sched_keep_off(task, cpu);
}

static unsigned char ring[256];
static const struct call_server server = { .call = serve, .signal = serve_signal, .ring = ring, .keep_off = keep_off };

static void fill_ring(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(worth_ringing); i++)
		ring[worth_ringing[i] & 255] = 1;
}

const struct call_server *call_server(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, fill_ring);
	return &server;
}
