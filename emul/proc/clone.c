/* SPDX-License-Identifier: MIT */
/*
 * Birth: clone(2), clone3(2), fork, vfork, and the instance's first process. Checks in the order of
 * kernel/fork.c. The child is built completely, gets its host thread and vCPU (start.c), and is only
 * then published; so a failure leaves no trace.
 */
#include <linux/capability.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/ipc.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#define CLONE_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME)
#define CSIGNAL_MASK 0xffu
#define PID_NS_LEVELS 32 /* MAX_PID_NS_LEVEL */
#define XSTATE_ALIGN 64
#define EFLAGS_TF 0x100u

/* --- checks ----------------------------------------------------------------------------------------------- */

/* clone3_args_valid() */
int task_clone3_check(const struct clone_request *rq)
{
	uint64_t known = 0xffffffffu | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;

	if (rq->set_tid_size > PID_NS_LEVELS || !rq->set_tid != !rq->set_tid_size)
		return -EINVAL;
	if (rq->exit_signal < 0 || rq->exit_signal > NSIG_LINUX)
		return -EINVAL;
	if (rq->flags & ~known)
		return -EINVAL;
	if (rq->flags & (CLONE_DETACHED | (CSIGNAL_MASK & ~(uint64_t)CLONE_NEWTIME)))
		return -EINVAL;
	if ((rq->flags & (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND)) == (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((rq->flags & (CLONE_THREAD | CLONE_PARENT)) && rq->exit_signal)
		return -EINVAL;
	if (!rq->stack != !rq->stack_size)
		return -EINVAL;
	if (rq->stack && (rq->stack >= USER_END || rq->stack_size > USER_END - rq->stack))
		return -EINVAL;
	return 0;
}

static long check_flags(const struct clone_request *rq)
{
	uint64_t f = rq->flags;

	if ((f & CLONE_PIDFD) && (f & CLONE_PARENT_SETTID) && rq->pidfd == rq->parent_tid)
		return -EINVAL;
	if ((f & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS) ||
	    (f & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_THREAD) && (f & (CLONE_NEWUSER | CLONE_NEWPID)))
		return -EINVAL;
	if ((f & CLONE_PIDFD) && (f & CLONE_DETACHED))
		return -EINVAL;
	if (f & (CLONE_NAMESPACES | CLONE_INTO_CGROUP)) {
		log_once("clone with flags %#llx: there are no namespaces and cgroups in here", (unsigned long long)f);
		return -EPERM;
	}
	if ((f & CLONE_SETTLS) && rq->tls >= USER_END)
		return -EPERM;
	return 0;
}

/* tasks_lock held. */
static long check_room_locked(struct task *t)
{
	const struct cred *c = t->fsc.cred;

	if (pid_ntasks >= (unsigned)t->env->max_tasks)
		return -EAGAIN;
	if (pid_over_nproc_locked(t) && !cred_capable(c, CAP_SYS_RESOURCE) && !cred_capable(c, CAP_SYS_ADMIN))
		return -EAGAIN;
	return 0;
}

static long check(struct task *t, const struct clone_request *rq)
{
	long r = check_flags(rq);
	bool pending;

	if (r < 0)
		return r;
	mutex_lock(&tasks_lock);
	r = check_room_locked(t);
	mutex_unlock(&tasks_lock);
	if (r < 0)
		return r;
	/* A signal from before a fork is handled before it: only one of the two gets it. */
	mutex_lock(&t->proc->lock);
	pending = signal_wants_locked(t);
	mutex_unlock(&t->proc->lock);
	return pending ? -ERESTARTNOINTR : 0;
}

/* CLONE_INTO set_tid: the id that is asked for, 0 = any. */
static long read_set_tid(struct task *t, const struct clone_request *rq)
{
	uint32_t want;

	if (!rq->set_tid_size)
		return 0;
	if (rq->set_tid_size > 1)
		return -EINVAL; /* one pid namespace */
	if (get_guest_u32(t->mm, rq->set_tid, &want) < 0)
		return -EFAULT;
	if ((int)want < 1)
		return -EINVAL;
	return cred_capable(t->fsc.cred, CAP_SYS_ADMIN) ? (long)want : -EPERM;
}

/* --- the child's parts ---------------------------------------------------------------------------------------- */

static struct sighand *copy_sighand(struct proc *p, bool clear)
{
	struct sighand *s = sighand_new();

	if (!s)
		return NULL;
	mutex_lock(&p->sighand->lock);
	memcpy(s->action, p->sighand->action, sizeof(s->action));
	mutex_unlock(&p->sighand->lock);
	for (int sig = 1; clear && sig <= NSIG_LINUX; sig++)
		if (s->action[sig].handler != HANDLER_IGN)
			s->action[sig] = (struct sigact){ 0 };
	return s;
}

static struct proc *copy_proc(struct task *t, const struct clone_request *rq)
{
	struct proc *p = t->proc, *c = proc_new(t->env);

	if (!c)
		return NULL;
	c->sighand = rq->flags & CLONE_SIGHAND ? sighand_get(p->sighand) : copy_sighand(p, rq->flags & CLONE_CLEAR_SIGHAND);
	c->exit_signal = rq->flags & CLONE_PARENT ? p->exit_signal : rq->exit_signal;
	mutex_lock(&p->lock);
	memcpy(c->limits, p->limits, sizeof(c->limits));
	c->exe = p->exe;
	path_get(&c->exe);
	if (path_is_set(&c->exe))
		vfs_deny_write(&c->exe);
	if (p->auxv) {
		c->auxv = malloc(p->auxv_len);
		if (c->auxv)
			memcpy(c->auxv, p->auxv, p->auxv_len);
		c->auxv_len = c->auxv ? p->auxv_len : 0;
	}
	mutex_unlock(&p->lock);
	c->dumpable = p->dumpable;
	c->thp_disable = p->thp_disable;
	c->personality = p->personality;
	c->oom_adj = p->oom_adj;
	c->oom_score_adj = p->oom_score_adj;
	c->dump_filter = p->dump_filter;
	if ((rq->flags & CLONE_VFORK) && c->sighand)
		c->vfork = vfork_new();
	if (!c->sighand || ((rq->flags & CLONE_VFORK) && !c->vfork)) {
		proc_put(c);
		return NULL;
	}
	return c;
}

/* Memory, descriptors, directories: shared or copied. */
static int copy_resources(struct task *t, struct task *c, uint64_t flags)
{
	int r = 0;

	c->fds = flags & CLONE_FILES ? fdtab_get_ref(t->fds) : fdtab_copy(t->fds, ~0u);
	c->fsc.fs = flags & CLONE_FS ? fs_get(t->fsc.fs) : fs_copy(t->fsc.fs);
	if (!c->fds || !c->fsc.fs)
		return -ENOMEM;
	c->fsc.fowner = c->fds;
	if (flags & CLONE_SYSVSEM)
		r = ipc_undo_share(t, c);
	if (r < 0)
		return r;
	if (flags & CLONE_VM)
		c->mm = mm_get(t->mm);
	else
		r = mm_fork(t->mm, &c->mm);
	return r;
}

static void copy_regs(struct task *t, struct task *c, const struct clone_request *rq)
{
	c->regs = t->regs;
	c->regs.rax = 0;
	if (t->tracing.forced_tf)
		c->regs.rflags &= ~(uint64_t)EFLAGS_TF;
	if (rq->stack)
		c->regs.rsp = rq->stack + rq->stack_size;
	if (rq->flags & CLONE_SETTLS)
		c->regs.fs_base = rq->tls;
}

/* sched_fork(): the host has done so with the host thread. */
static void reset_on_fork(struct task *c)
{
	if (!(c->policy & SCHED_RESET_ON_FORK))
		return;
	c->policy &= ~SCHED_RESET_ON_FORK;
	if (c->policy == SCHED_FIFO || c->policy == SCHED_RR) {
		c->policy = SCHED_OTHER;
		c->priority = c->nice = 0;
	} else if (c->nice < 0) {
		c->nice = 0;
	}
}

static int copy_task(struct task *t, const struct clone_request *rq, struct proc *p, struct task **ret)
{
	struct task *c = task_new(t->env, p);
	int r;

	if (!c)
		return -ENOMEM;
	*ret = c;
	c->fsc = t->fsc;
	c->fsc.fs = NULL;
	mutex_lock(&t->lock);
	c->cred = cred_get(t->cred);
	memcpy(c->comm, t->comm, sizeof(c->comm));
	c->affinity = t->affinity;
	c->policy = t->policy;
	c->priority = t->priority;
	c->nice = t->nice;
	c->host_tuned = t->host_tuned;
	mutex_unlock(&t->lock);
	reset_on_fork(c);
	c->fsc.cred = c->cred;
	c->timer_slack = c->default_slack = t->timer_slack;
	c->loginuid = t->loginuid;
	c->sessionid = t->sessionid;
	c->mce_policy = t->mce_policy;
	c->ioprio = t->ioprio;
	c->mempolicy = t->mempolicy;
	c->mempolicy_node = t->mempolicy_node;
	c->blocked = t->restore_mask ? t->saved_mask : t->blocked;
	/* A child on the same memory must not run handlers on its parent's stack; a vforking parent sleeps. */
	if ((rq->flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM)
		c->altstack = t->altstack;
	if (rq->flags & CLONE_CHILD_CLEARTID)
		c->clear_child_tid = rq->child_tid;
	copy_regs(t, c, rq);
	r = copy_resources(t, c, rq->flags);
	return r;
}

/* The parent's extended state; NULL in *ret: none yet. */
static int copy_xstate(struct task *t, void **ret)
{
	size_t size = (t->env->platform->xstate_size + XSTATE_ALIGN - 1) & ~(size_t)(XSTATE_ALIGN - 1);
	void *buf;
	int r;

	*ret = NULL;
	if (!t->vcpu)
		return 0;
	buf = aligned_alloc(XSTATE_ALIGN, size);
	if (!buf)
		return -ENOMEM;
	r = t->env->platform->ops->vcpu_get_xstate(t->vcpu, buf);
	if (r < 0)
		free(buf);
	else
		*ret = buf;
	return r;
}

/* --- making it visible ------------------------------------------------------------------------------------------- */

static void add_thread_locked(struct proc *p, struct task *c)
{
	list_add_tail(&p->threads, &c->thread_node);
	p->nthreads++;
	p->nlive++;
	pid_ntasks++;
	pid_add_locked(c);
}

static void add_proc_locked(struct task *t, struct task *c, const struct clone_request *rq)
{
	struct proc *p = t->proc, *n = c->proc;

	n->pid = c->tid;
	n->pgid = p->pgid;
	n->sid = p->sid;
	ctty_inherit_locked(n, p);
	n->parent = rq->flags & CLONE_PARENT ? p->parent : p;
	n->parent_thread = rq->flags & CLONE_PARENT ? p->parent_thread : t;
	n->parent_exec_id = rq->flags & CLONE_PARENT ? p->parent_exec_id : t->exec_id;
	n->leader = task_get(c);
	list_add_tail(&n->parent->children, &n->sibling);
	pid_add_proc_locked(n);
	mutex_lock(&n->lock);
	add_thread_locked(n, c);
	mutex_unlock(&n->lock);
}

/* Gives c its id and hangs it into all tables, unless its parent is about to die. */
static long publish(struct task *t, struct task *c, const struct clone_request *rq, pid_t want, bool traced)
{
	struct proc *p = t->proc;
	long tid;

	mutex_lock(&tasks_lock);
	tid = check_room_locked(t);
	if (tid == 0)
		tid = pid_alloc_locked(want);
	if (tid > 0) {
		mutex_lock(&p->lock);
		if (signal_thread_leaves_locked(t)) {
			tid = -ERESTARTNOINTR;
		} else {
			c->tid = c->fsc.tid = (pid_t)tid;
			seccomp_inherit_locked(t, c);
			if (c->proc == p) {
				add_thread_locked(p, c);
				if (p->group_stop)
					task_kick_locked(c);
			}
		}
		mutex_unlock(&p->lock);
	}
	if (tid > 0 && c->proc != p) {
		c->fsc.pid = (pid_t)tid;
		add_proc_locked(t, c, rq);
	}
	if (tid > 0 && traced)
		trace_inherit_locked(t, c);
	mutex_unlock(&tasks_lock);
	return tid;
}

/* A descriptor for the child, reserved: -EFAULT and -EMFILE must come before it exists. */
static int reserve_pidfd(struct task *t, struct task *c, const struct clone_request *rq, struct file **ret)
{
	int fd, r;

	if (!(rq->flags & CLONE_PIDFD))
		return -1;
	fd = fdtab_reserve(t->fds, true, 0, (int)MIN(proc_rlimit(t->proc, RLIMIT_NOFILE), (uint64_t)INT32_MAX));
	if (fd < 0)
		return fd;
	r = rq->flags & CLONE_THREAD ? pidfd_new_thread(c, 0, ret) : pidfd_new(c->proc, 0, ret);
	if (r == 0)
		r = put_guest_u32(t->mm, rq->pidfd, (uint32_t)fd);
	if (r < 0) {
		fdtab_unreserve(t->fds, fd);
		file_put(steal(*ret));
		return r;
	}
	return fd;
}

/* kernel_clone(): the event that a tracer is to see; 0: none. */
static int event_of(struct task *t, const struct clone_request *rq)
{
	int event = rq->flags & CLONE_VFORK	       ? PTRACE_EVENT_VFORK
		    : rq->exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE
						 : PTRACE_EVENT_FORK;

	return !(rq->flags & CLONE_UNTRACED) && trace_event_wanted(t, event) ? event : 0;
}

/* The child is complete but unknown: thread, id, words in memory; then it runs. */
static long launch(struct task *t, struct task *c, const struct clone_request *rq)
{
	struct vfork_done *vfork = NULL;
	AUTO(file) pidfile = NULL;
	long tid, want = read_set_tid(t, rq);
	int event = event_of(t, rq), fd, r;
	void *xstate;

	if (want < 0)
		return want;
	fd = reserve_pidfd(t, c, rq, &pidfile);
	if (fd < -1)
		return fd;
	r = copy_xstate(t, &xstate);
	if (r == 0)
		r = task_prepare_thread(c, xstate);
	tid = r < 0 ? r : publish(t, c, rq, (pid_t)want, event || (rq->flags & CLONE_PTRACE));
	if (tid < 0) {
		if (c->host)
			task_cancel_thread(c);
		if (fd >= 0)
			fdtab_unreserve(t->fds, fd);
		return tid;
	}
	if (fd >= 0)
		fdtab_fill(t->fds, fd, pidfile);
	if (rq->flags & CLONE_PARENT_SETTID)
		put_guest_u32(t->mm, rq->parent_tid, (uint32_t)tid);
	if (rq->flags & CLONE_CHILD_SETTID)
		put_guest_u32(c->mm, rq->child_tid, (uint32_t)tid);
	if ((rq->flags & CLONE_VFORK) && c->proc != t->proc)
		vfork = vfork_get(c->proc->vfork);
	if (c->proc != t->proc)
		proc_cpu_limit_changed(c->proc);
	task_release_thread(c);
	if (event)
		trace_event(t, event, (unsigned long)tid);
	if (vfork) {
		if (vfork_wait(t, vfork))
			trace_event(t, PTRACE_EVENT_VFORK_DONE, (unsigned long)tid);
		vfork_put(vfork);
	}
	return tid;
}

long task_clone(struct task *t, const struct clone_request *rq)
{
	bool thread = rq->flags & CLONE_THREAD;
	struct proc *p;
	struct task *c = NULL;
	long r = check(t, rq);

	if (r < 0)
		return r;
	p = thread ? proc_get(t->proc) : copy_proc(t, rq);
	r = p ? copy_task(t, rq, p, &c) : -ENOMEM;
	if (r == 0)
		r = launch(t, c, rq);
	task_put(c);
	proc_put(p);
	log_dbg(PROC, "%d: clone %#llx: %ld", t->tid, (unsigned long long)rq->flags, r);
	return r;
}

/* --- the first one ---------------------------------------------------------------------------------------------------- */

static void inherit_from_host(struct task *t, pid_t like, const struct rlimit64 *limits)
{
	struct proc *p = t->proc;

	if (limits)
		memcpy(p->limits, limits, sizeof(p->limits));
	else
		rlimits_of_host(like, p->limits);
	t->nice = getpriority(PRIO_PROCESS, (id_t)like);
	if (sched_getaffinity(like, sizeof(t->affinity), &t->affinity) < 0)
		t->affinity = t->env->cpus;
	t->fsc.limit_fsize = p->limits[RLIMIT_FSIZE].rlim_cur;
}

static int fill_first(struct task *t, const struct first_facts *facts)
{
	struct proc *p = t->proc;

	p->sighand = sighand_new();
	t->fsc.vfs = t->env->vfs;
	t->fsc.cred = t->cred;
	t->fsc.fs = fs_new(facts->root, facts->cwd, facts->umask);
	t->fds = fdtab_get_ref(facts->fds);
	t->fsc.fowner = facts->fds;
	if (!p->sighand || !t->fsc.fs)
		return -ENOMEM;
	for (int sig = 1; sig <= NSIG_LINUX; sig++)
		if (facts->ignored & SIGMASK(sig) & ~SIGMASK_KILL_STOP)
			p->sighand->action[sig].handler = HANDLER_IGN;
	t->blocked = facts->blocked & ~SIGMASK_KILL_STOP; /* nobody else sees it yet */
	fs_set_home(t->fsc.fs, facts->home);
	inherit_from_host(t, facts->like, facts->limits);
	task_set_comm(t, "init");
	return 0;
}

static int publish_first(struct task *t, const struct first_facts *facts)
{
	struct proc *p = t->proc;
	pid_t tid = -EAGAIN, sid = -EAGAIN;

	mutex_lock(&tasks_lock);
	if (pid_ntasks < (unsigned)t->env->max_tasks)
		tid = pid_alloc_locked(0);
	if (tid > 0)
		sid = facts->leads_session ? tid : pid_alloc_locked(0);
	if (sid > 0) {
		t->tid = p->pid = tid;
		p->sid = sid;
		p->pgid = facts->leads_group ? tid : sid;
		p->led_from_outside = sid != tid;
		t->fsc.pid = t->fsc.tid = tid;
		p->leader = task_get(t);
		p->parent = pid_init;
		list_add_tail(&pid_init->children, &p->sibling);
		pid_add_proc_locked(p);
		mutex_lock(&p->lock);
		add_thread_locked(p, t);
		mutex_unlock(&p->lock);
	}
	mutex_unlock(&tasks_lock);
	if (sid < 0)
		return sid;
	proc_cpu_limit_changed(p);
	return 0;
}

int task_first(struct instance_env *env, const struct first_facts *facts, struct task **ret)
{
	struct proc *p = proc_new(env);
	struct task *t = p ? task_new(env, p) : NULL;
	int r;

	if (!t) {
		proc_put(p);
		cred_put(facts->cred);
		return -ENOMEM;
	}
	t->cred = facts->cred;
	p->program = facts->program;
	p->has_shell = facts->has_shell;
	r = fill_first(t, facts);
	if (r == 0)
		r = publish_first(t, facts);
	if (r == 0)
		*ret = t; /* borrowed: the table holds it */
	task_put(t);
	proc_put(p);
	return r;
}
