/* SPDX-License-Identifier: MIT */
/* Processes: birth, death, waiting, ids, and descriptors of processes. kernel/fork.c, exit.c, sys.c, pid.c. */
#include <linux/sched.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "emul/proc/ipc.h"
#include "emul/syscalls/handler.h"

/* <linux/pidfd.h>, <linux/fcntl.h> since Linux 6.9 and 6.14 */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#ifndef PIDFD_SIGNAL_THREAD
#define PIDFD_SIGNAL_THREAD 1u
#define PIDFD_SIGNAL_THREAD_GROUP 2u
#define PIDFD_SIGNAL_PROCESS_GROUP 4u
#endif
#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD (-10000)
#define PIDFD_SELF_THREAD_GROUP (-10001)
#endif

#ifndef CLONE_ARGS_SIZE_VER0
#define CLONE_ARGS_SIZE_VER0 64
#endif
#define CSIGNAL_MASK 0xffu
#define WAIT4_KNOWN ((unsigned)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
#define WAITID_KNOWN \
	((unsigned)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))

/* --- ends ------------------------------------------------------------------------------------------- */

long sys_exit(struct task *t, const struct sysargs *a)
{
	task_exit(t, (arg_int(a, 0) & 0xff) << 8);
	return 0;
}

long sys_exit_group(struct task *t, const struct sysargs *a)
{
	proc_exit_group(t, (arg_int(a, 0) & 0xff) << 8);
	return 0;
}

/* --- births ------------------------------------------------------------------------------------------ */

long sys_fork(struct task *t, const struct sysargs *a)
{
	const struct clone_request rq = { .exit_signal = SIGCHLD };

	return task_clone(t, &rq);
}

long sys_vfork(struct task *t, const struct sysargs *a)
{
	const struct clone_request rq = { .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD };

	return task_clone(t, &rq);
}

/* x86-64: flags, stack, parent_tid, child_tid, tls. The pidfd shares parent_tid's place. */
long sys_clone(struct task *t, const struct sysargs *a)
{
	const struct clone_request rq = {
		.flags = arg_uint(a, 0) & ~(uint64_t)CSIGNAL_MASK,
		.exit_signal = (int)(arg_uint(a, 0) & CSIGNAL_MASK),
		.stack = arg_gva(a, 1), /* its top: there is no size */
		.parent_tid = arg_gva(a, 2),
		.pidfd = arg_gva(a, 2),
		.child_tid = arg_gva(a, 3),
		.tls = arg_gva(a, 4),
	};

	return task_clone(t, &rq);
}

long sys_clone3(struct task *t, const struct sysargs *a)
{
	size_t size = arg_size(a, 1);
	struct clone_request rq;
	struct clone_args ca;
	int r;

	if (size > PAGE_SIZE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	r = copy_extensible(t->mm, &ca, sizeof(ca), arg_gva(a, 0), size);
	if (r < 0)
		return r;
	if ((ca.flags & CLONE_INTO_CGROUP) && ca.cgroup > INT_MAX)
		return -EINVAL;
	if ((ca.exit_signal & ~(uint64_t)CSIGNAL_MASK) || ca.set_tid_size > INT_MAX)
		return -EINVAL;
	rq = (struct clone_request){
		.flags = ca.flags, .pidfd = ca.pidfd, .child_tid = ca.child_tid, .parent_tid = ca.parent_tid,
		.stack = ca.stack, .stack_size = ca.stack_size, .tls = ca.tls, .exit_signal = (int)ca.exit_signal,
		.set_tid = ca.set_tid, .set_tid_size = ca.set_tid_size, .cgroup = (int)ca.cgroup,
	};
	r = task_clone3_check(&rq);
	return r < 0 ? r : task_clone(t, &rq);
}

/* --- unshare -------------------------------------------------------------------------------------------- */

#define UNSHARE_NAMESPACES                                                                                        \
	((uint64_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | \
		    CLONE_NEWNET | CLONE_NEWTIME))
#define UNSHARE_ALONE ((uint64_t)(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM))
#define UNSHARE_KNOWN (UNSHARE_NAMESPACES | UNSHARE_ALONE | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)

static int unshare_fs(struct task *t)
{
	struct fs *copy = fs_copy(t->fsc.fs), *old;

	if (!copy)
		return -ENOMEM;
	mutex_lock(&t->lock);
	old = t->fsc.fs;
	t->fsc.fs = copy;
	mutex_unlock(&t->lock);
	fs_put(old);
	return 0;
}

/* ksys_unshare(): what comes with what, then the checks, then everything or nothing. */
long sys_unshare(struct task *t, const struct sysargs *a)
{
	uint64_t flags = arg_u64(a, 0);
	int r = 0;

	if (flags & CLONE_NEWUSER)
		flags |= CLONE_THREAD | CLONE_FS;
	if (flags & CLONE_NEWNS)
		flags |= CLONE_FS;
	if (flags & ~UNSHARE_KNOWN)
		return -EINVAL;
	if ((flags & UNSHARE_ALONE) && !proc_is_alone(t->proc))
		return -EINVAL;
	if (flags & UNSHARE_NAMESPACES)
		return -EPERM;
	if (flags & CLONE_FILES)
		r = unshare_fds(t, ~0u);
	if (r == 0 && (flags & CLONE_FS))
		r = unshare_fs(t);
	if (r == 0 && (flags & CLONE_SYSVSEM))
		ipc_undo_exit(t);
	return r;
}

/* --- waiting --------------------------------------------------------------------------------------------- */

/* kernel_wait4(): what a pid of four kinds means. */
static long wait4_who(pid_t pid, int *ret_idtype, pid_t *ret_id)
{
	if (pid == INT_MIN)
		return -ESRCH;
	*ret_id = pid < 0 ? -pid : pid;
	*ret_idtype = pid == -1 ? P_ALL : pid > 0 ? P_PID : P_PGID;
	return 0;
}

long sys_wait4(struct task *t, const struct sysargs *a)
{
	unsigned options = arg_uint(a, 2);
	struct rusage usage;
	int idtype, status;
	pid_t id;
	long r;

	if (options & ~WAIT4_KNOWN)
		return -EINVAL;
	r = wait4_who(arg_int(a, 0), &idtype, &id);
	if (r == 0)
		r = proc_wait(t, idtype, id, (int)(options | WEXITED), NULL, &status, &usage);
	if (r <= 0)
		return r;
	if (arg_gva(a, 1) && put_guest_u32(t->mm, arg_gva(a, 1), (uint32_t)status) < 0)
		return -EFAULT;
	if (arg_gva(a, 3) && guest_write(t->mm, arg_gva(a, 3), &usage) < 0)
		return -EFAULT;
	return r;
}

/* Only these words are written: the rest of the guest's siginfo stays as it was. */
static int put_child_info(struct task *t, gva_t at, const siginfo_t *info)
{
	const uint32_t w[] = { (uint32_t)info->si_signo, 0, (uint32_t)info->si_code };
	const uint32_t v[] = { (uint32_t)info->si_pid, info->si_uid, (uint32_t)info->si_status };

	if (!at)
		return 0;
	if (copy_to_guest(t->mm, at, w, sizeof(w)) < 0)
		return -EFAULT;
	return copy_to_guest(t->mm, at + offsetof(siginfo_t, si_pid), v, sizeof(v));
}

long sys_waitid(struct task *t, const struct sysargs *a)
{
	unsigned options = arg_uint(a, 3);
	struct rusage usage;
	siginfo_t info;
	long r = -EINVAL;

	memset(&info, 0, sizeof(info));
	if (!(options & ~WAITID_KNOWN) && (options & (WEXITED | WSTOPPED | WCONTINUED)))
		r = proc_wait(t, arg_int(a, 0), arg_int(a, 1), (int)options, &info, NULL, &usage);
	if (r == -EWOULDSLEEP)
		return r; /* nothing has happened yet */
	if (r > 0 && arg_gva(a, 4) && guest_write(t->mm, arg_gva(a, 4), &usage) < 0)
		return -EFAULT;
	/* Nobody there (WNOHANG), and errors too: zeroes. */
	return put_child_info(t, arg_gva(a, 2), &info) < 0 ? -EFAULT : MIN(r, 0);
}

/* --- ids ---------------------------------------------------------------------------------------------------- */

long sys_getpid(struct task *t, const struct sysargs *a)
{
	return t->proc->pid;
}

long sys_gettid(struct task *t, const struct sysargs *a)
{
	return t->tid;
}

long sys_getppid(struct task *t, const struct sysargs *a)
{
	return task_ppid(t);
}

long sys_getpgrp(struct task *t, const struct sysargs *a)
{
	return proc_getpgid(t, 0);
}

long sys_getpgid(struct task *t, const struct sysargs *a)
{
	return proc_getpgid(t, arg_int(a, 0));
}

long sys_setpgid(struct task *t, const struct sysargs *a)
{
	return proc_setpgid(t, arg_int(a, 0), arg_int(a, 1));
}

long sys_getsid(struct task *t, const struct sysargs *a)
{
	return proc_getsid(t, arg_int(a, 0));
}

long sys_setsid(struct task *t, const struct sysargs *a)
{
	return proc_setsid(t);
}

/* --- descriptors of processes -------------------------------------------------------------------------------- */

long sys_pidfd_open(struct task *t, const struct sysargs *a)
{
	pid_t pid = arg_int(a, 0);
	unsigned flags = arg_uint(a, 1);
	AUTO(task) named = NULL;
	struct file *f;
	int r;

	if ((flags & ~(unsigned)(PIDFD_NONBLOCK | PIDFD_THREAD)) || pid <= 0)
		return -EINVAL;
	named = task_find(pid);
	if (!named)
		return -ESRCH;
	if (flags & PIDFD_THREAD)
		r = pidfd_new_thread(named, flags, &f);
	else
		r = named->proc->pid == pid ? pidfd_new(named->proc, flags, &f) : -ENOENT; /* a thread that leads no process */
	return r < 0 ? r : fd_install(t, f, true);
}

/* Whom a signal by descriptor is for. */
struct addressee {
	struct proc *proc;   /* counted */
	struct task *thread; /* counted; NULL: the leader */
	enum { TO_THREAD, TO_PROCESS, TO_GROUP } scope;
};

static int addressee_self(struct task *t, int fd, struct addressee *ret)
{
	ret->proc = proc_get(t->proc);
	ret->thread = fd == PIDFD_SELF_THREAD && t->tid != t->proc->pid ? task_get(t) : NULL;
	ret->scope = fd == PIDFD_SELF_THREAD ? TO_THREAD : TO_PROCESS;
	return 0;
}

static int addressee_of(struct task *t, int fd, unsigned flags, struct addressee *ret)
{
	AUTO(file) f = NULL;

	if (fd == PIDFD_SELF_THREAD || fd == PIDFD_SELF_THREAD_GROUP)
		return addressee_self(t, fd, ret);
	f = fd_file(t, fd);
	ret->proc = f ? pidfd_proc(f) : NULL;
	ret->thread = f ? pidfd_thread(f) : NULL;
	if (!ret->proc && f)
		ret->proc = procfs_dir_proc(f); /* an open /proc/PID will do */
	if (!ret->proc)
		return -EBADF;
	switch (flags) {
	case PIDFD_SIGNAL_THREAD: ret->scope = TO_THREAD; break;
	case PIDFD_SIGNAL_THREAD_GROUP: ret->scope = TO_PROCESS; break;
	case PIDFD_SIGNAL_PROCESS_GROUP: ret->scope = TO_GROUP; break;
	default: ret->scope = file_flags(f) & PIDFD_THREAD ? TO_THREAD : TO_PROCESS; break;
	}
	return 0;
}

static long send_to(struct task *t, const struct addressee *to, int sig, const siginfo_t *info)
{
	AUTO(task) one = NULL;
	int r;

	if (to->scope == TO_GROUP)
		return signal_queueinfo_group(t, to->thread ? to->thread->tid : to->proc->pid, sig, info);
	if (to->thread ? atomic_load(&to->thread->id_gone) : atomic_load(&to->proc->reaped))
		return -ESRCH;
	r = signal_may_send(t, to->proc, sig);
	if (r < 0 || sig == 0)
		return r;
	if (to->scope == TO_PROCESS)
		return signal_send_proc(to->proc, sig, info);
	one = to->thread ? task_get(to->thread) : task_find(to->proc->pid);
	return one ? signal_send_task(one, sig, info) : -ESRCH;
}

static long send_by_descriptor(struct task *t, const struct addressee *to, int sig, gva_t at)
{
	pid_t id = to->thread ? to->thread->tid : to->proc->pid;
	siginfo_t info;

	if (!at) {
		signal_fill_user(t, &info, sig, to->scope == TO_THREAD ? SI_TKILL : SI_USER);
	} else {
		if (guest_read(t->mm, &info, at) < 0)
			return -EFAULT;
		if (info.si_signo != sig)
			return -EINVAL;
		/* only to oneself may one look like kill(2) or the kernel */
		if ((id != t->tid || to->scope == TO_GROUP) && (info.si_code >= 0 || info.si_code == SI_TKILL))
			return -EPERM;
	}
	return send_to(t, to, sig, &info);
}

/* pidfd_send_signal(2): the signal of kill(2) or tgkill(2), or the one described by a siginfo. */
long sys_pidfd_send_signal(struct task *t, const struct sysargs *a)
{
	unsigned flags = arg_uint(a, 3);
	struct addressee to = { 0 };
	long r;

	if (flags > PIDFD_SIGNAL_PROCESS_GROUP || (flags & (flags - 1)))
		return -EINVAL; /* one of them at most */
	r = addressee_of(t, arg_int(a, 0), flags, &to);
	if (r == 0)
		r = send_by_descriptor(t, &to, arg_int(a, 1), arg_gva(a, 2));
	task_put(to.thread);
	proc_put(to.proc);
	return r;
}

/* pidfd_getfd(2): another process's descriptor as one of ours. */
long sys_pidfd_getfd(struct task *t, const struct sysargs *a)
{
	AUTO(file) pidfd = NULL, f = NULL;
	AUTO(proc) p = NULL;
	AUTO(task) target = NULL;
	AUTO(fdtab) fds = NULL;
	int r;

	if (arg_uint(a, 2))
		return -EINVAL;
	pidfd = fd_file(t, arg_int(a, 0));
	p = pidfd ? pidfd_proc(pidfd) : NULL;
	if (!p)
		return -EBADF;
	target = pidfd_thread(pidfd);
	if (!target)
		target = task_find(p->pid);
	if (!target || target->proc != p || atomic_load(&target->id_gone))
		return -ESRCH;
	r = may_inspect(t, target);
	if (r < 0)
		return r;
	fds = task_get_fds(target);
	if (!fds)
		return -ESRCH;
	f = fdtab_get(fds, arg_int(a, 1));
	return f ? fd_install(t, steal(f), true) : -EBADF;
}
