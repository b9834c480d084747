/* SPDX-License-Identifier: MIT */
/*
 * Children: telling the parent (SIGCHLD), wait4(2), waitid(2). kernel/exit.c, man 2 wait.
 *
 * Children are looked at under tasks_lock, the parent sleeps under its own lock. child_seq joins the
 * two: every change of a child counts it up and wakes; a sleeper looks again if it moved since its look.
 */
#include <string.h>
#include <sys/wait.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

#ifndef __WNOTHREAD
#define __WNOTHREAD 0x20000000
#define __WALL 0x40000000
#define __WCLONE 0x80000000
#endif
#define NS_PER_TICK 10000000u /* si_utime counts in USER_HZ */

/* --- the parent is told ------------------------------------------------------------------------------------ */

void proc_child_changed(struct proc *parent)
{
	mutex_lock(&parent->lock);
	parent->child_seq++;
	waitq_wake(&parent->child_wq, 0);
	mutex_unlock(&parent->lock);
}

static uid_t uid_of_locked(struct proc *p)
{
	AUTO(cred) c = p->leader ? task_get_cred(p->leader) : NULL;

	return c ? c->uid : 0;
}

static siginfo_t child_info(struct proc *p, int code, int status)
{
	struct rusage_sum sum;
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	proc_usage_sum(p, &sum);
	info.si_signo = SIGCHLD;
	info.si_code = code;
	info.si_pid = p->pid;
	info.si_uid = uid_of_locked(p);
	info.si_status = status;
	info.si_utime = (clock_t)(sum.utime_ns / NS_PER_TICK);
	info.si_stime = (clock_t)(sum.stime_ns / NS_PER_TICK);
	return info;
}

static siginfo_t exit_info(struct proc *p)
{
	int s = p->exit_status;

	if (s & 0x7f)
		return child_info(p, s & 0x80 ? CLD_DUMPED : CLD_KILLED, s & 0x7f);
	return child_info(p, CLD_EXITED, s >> 8 & 0xff);
}

static void send_child_signal(struct proc *parent, int sig, siginfo_t *info)
{
	info->si_signo = sig;
	mutex_lock(&parent->lock);
	signal_send_locked(parent, NULL, sig, info, false, NULL);
	mutex_unlock(&parent->lock);
}

bool proc_ignores_children(struct proc *p)
{
	struct sigact a = signal_get_action(p, SIGCHLD);

	return a.handler == HANDLER_IGN || (a.flags & SA_NOCLDWAIT);
}

/* Who is told of p's end: while p's leader is traced, the tracer first. */
static struct proc *who_waits_locked(struct proc *p)
{
	return p->leader && p->leader->tracing.tracer ? p->leader->tracing.tracer->proc : p->parent;
}

bool proc_notify_exit_locked(struct proc *p)
{
	struct proc *parent = who_waits_locked(p);
	bool traced = p->leader && p->leader->tracing.tracer;
	int sig = parent == p->parent ? p->exit_signal : SIGCHLD;
	bool nobody_waits = false;
	struct sigact a;

	mutex_assert_held(&tasks_lock);
	/* A parent that has become another program expects nothing but SIGCHLD. */
	if (p->parent_thread && p->parent_thread->exec_id != p->parent_exec_id)
		sig = SIGCHLD;
	a = signal_get_action(parent, SIGCHLD);
	/* POSIX: a parent that ignores SIGCHLD, or says SA_NOCLDWAIT, leaves no zombies. */
	if (!traced && sig == SIGCHLD && (a.handler == HANDLER_IGN || (a.flags & SA_NOCLDWAIT))) {
		nobody_waits = true;
		if (a.handler == HANDLER_IGN)
			sig = 0;
	}
	if (signal_valid(sig)) {
		siginfo_t info = exit_info(p);

		send_child_signal(parent, sig, &info);
	}
	proc_child_changed(parent);
	return nobody_waits;
}

static void send_stop_signal(struct proc *to, siginfo_t *info)
{
	struct sigact a = signal_get_action(to, SIGCHLD);

	if (a.handler != HANDLER_IGN && !(a.flags & SA_NOCLDSTOP))
		send_child_signal(to, SIGCHLD, info);
	proc_child_changed(to);
}

void proc_notify_stop_locked(struct proc *p, int why)
{
	int sig = why == CLD_CONTINUED ? SIGCONT : p->stop_signal;
	siginfo_t info = child_info(p, why, sig);

	mutex_assert_held(&tasks_lock);
	if (p->program && p->env->on_first_stop)
		p->env->on_first_stop(p, why, sig);
	if (p->parent)
		send_stop_signal(p->parent, &info);
}

void proc_notify_stop(struct proc *p, int why)
{
	mutex_lock(&tasks_lock);
	proc_notify_stop_locked(p, why);
	mutex_unlock(&tasks_lock);
}

/* --- the tracer is told ------------------------------------------------------------------------------------- */

static siginfo_t thread_info(struct task *t, int code, int status)
{
	siginfo_t info = child_info(t->proc, code, status);

	info.si_pid = t->tid;
	return info;
}

static siginfo_t thread_exit_info(struct task *t)
{
	int s = t->exit_code;

	if (s & 0x7f)
		return thread_info(t, s & 0x80 ? CLD_DUMPED : CLD_KILLED, s & 0x7f);
	return thread_info(t, CLD_EXITED, s >> 8 & 0xff);
}

void proc_notify_tracer_locked(struct task *t, int why)
{
	struct task *tracer = t->tracing.tracer;
	siginfo_t info;

	mutex_assert_held(&tasks_lock);
	if (!tracer)
		return;
	if (why == CLD_EXITED) {
		info = thread_exit_info(t);
		send_child_signal(tracer->proc, SIGCHLD, &info);
		proc_child_changed(tracer->proc);
		return;
	}
	info = thread_info(t, why, (why == CLD_STOPPED ? t->proc->stop_signal : t->tracing.code) & 0x7f);
	send_stop_signal(tracer->proc, &info);
}

/* --- wait ----------------------------------------------------------------------------------------------------- */

struct wait_for {
	int idtype;
	pid_t id;
	struct proc *one;      /* P_PIDFD; counted */
	struct task *thread;   /* likewise; NULL: the leader */
	int options;
	siginfo_t info;
	int status;
	struct rusage_sum usage;
};

static bool is_meant(const struct wait_for *w, struct proc *c)
{
	switch (w->idtype) {
	case P_PID: if (c->pid != w->id) return false; break;
	case P_PGID: if (c->pgid != w->id) return false; break;
	case P_PIDFD: if (c != w->one || w->thread) return false; break;
	default: break;
	}
	if (w->options & __WALL)
		return true;
	/* A "clone" child is one that does not end with SIGCHLD. */
	return (c->exit_signal != SIGCHLD) == !!(w->options & (int)__WCLONE);
}

/* As wait4 reports it: with the children that c has waited for. */
static void usage_of(struct proc *c, struct rusage_sum *ret)
{
	proc_usage_sum(c, ret);
	mutex_lock(&c->lock);
	usage_add(ret, &c->dead_children);
	mutex_unlock(&c->lock);
}

static void add_up(struct proc *parent, struct proc *c, struct rusage_sum *ret)
{
	usage_of(c, ret);
	mutex_lock(&parent->lock);
	usage_add(&parent->dead_children, ret);
	mutex_unlock(&parent->lock);
}

/* tasks_lock held. true: c has something to report, it is in *w. */
static bool take_zombie(struct proc *parent, struct proc *c, struct wait_for *w)
{
	w->info = exit_info(c);
	w->status = c->exit_status;
	if (w->options & WNOWAIT) {
		usage_of(c, &w->usage);
		return true;
	}
	add_up(parent, c, &w->usage);
	proc_reap_locked(c);
	return true;
}

static bool take_continued(struct proc *c, struct wait_for *w)
{
	bool keep = w->options & WNOWAIT, continued = false;

	mutex_lock(&c->lock);
	if ((w->options & WCONTINUED) && c->continued && !c->cont_reported) {
		continued = true;
		c->cont_reported = !keep;
		if (!keep)
			c->continued = false;
	}
	mutex_unlock(&c->lock);
	if (!continued)
		return false;
	w->info = child_info(c, CLD_CONTINUED, SIGCONT);
	w->status = 0xffff;
	usage_of(c, &w->usage);
	return true;
}

/* stops: the caller waits for the group's stops, not as its tracer. */
static bool take_stop(struct proc *c, struct wait_for *w, bool stops)
{
	bool stopped = false;
	int sig;

	mutex_lock(&c->lock);
	sig = c->stop_signal;
	if (stops && (w->options & WSTOPPED) && c->stopped && !c->stop_reported) {
		stopped = true;
		c->stop_reported = !(w->options & WNOWAIT);
	}
	mutex_unlock(&c->lock);
	if (!stopped)
		return take_continued(c, w);
	w->info = child_info(c, CLD_STOPPED, sig);
	w->status = sig << 8 | 0x7f;
	usage_of(c, &w->usage);
	return true;
}

/* --- the children's look, and the tracer's: tasks_lock held ---------------------------------------------------- */

static bool take_child(struct proc *p, struct proc *c, struct wait_for *w)
{
	struct task *tracer = c->leader ? c->leader->tracing.tracer : NULL;

	if (c->zombie)
		/* Whoever else traces it comes first; and threads of it that are traced. */
		return (w->options & WEXITED) && !c->nzombies && (!tracer || tracer->proc == p) && take_zombie(p, c, w);
	return take_stop(c, w, !tracer || tracer->proc != p); /* as a tracee it shows more */
}

/* Is c a reason to wait on? Not what has ended and is there to be taken, if ends are not asked for: wait_consider_task(). */
static bool may_still_report(struct proc *p, struct proc *c, const struct wait_for *w)
{
	struct task *tracer = c->leader ? c->leader->tracing.tracer : NULL;

	return (w->options & WEXITED) || !c->zombie || c->nzombies || (tracer && tracer->proc != p);
}

static long look_at_children(struct task *t, struct wait_for *w)
{
	struct proc *p = t->proc, *c, *next;
	long r = -ECHILD;

	list_for_each_safe(c, next, &p->children, sibling) {
		pid_t pid = c->pid;

		if (!is_meant(w, c) || ((w->options & __WNOTHREAD) && c->parent_thread != t))
			continue;
		if (may_still_report(p, c, w))
			r = 0;
		if (take_child(p, c, w))
			return pid;
	}
	return r;
}

static bool is_meant_tracee(const struct wait_for *w, struct task *t)
{
	switch (w->idtype) {
	case P_PID: return t->tid == w->id;
	case P_PGID: return t->proc->pgid == w->id;
	case P_PIDFD: return w->thread ? t == w->thread : t->proc == w->one && t == t->proc->leader;
	default: return true;
	}
}

static bool take_trace_stop(struct task *t, struct wait_for *w)
{
	struct tracing *s = &t->tracing;
	int code = 0;

	mutex_lock(&t->proc->lock);
	if (t->state == TASK_TRACED && !s->listening && !s->resumed && s->code) {
		code = s->code;
		if (!(w->options & WNOWAIT))
			s->code = 0;
	}
	mutex_unlock(&t->proc->lock);
	if (!code)
		return false;
	w->info = thread_info(t, CLD_TRAPPED, code);
	w->status = code << 8 | 0x7f;
	usage_of(t->proc, &w->usage);
	return true;
}

/* A process that somebody else is the parent of: after its tracer has seen its end, the parent may. */
static void pass_zombie_on(struct proc *c)
{
	trace_unlink_locked(c->leader);
	if (proc_notify_exit_locked(c))
		proc_reap_locked(c);
}

static bool take_traced_zombie(struct proc *p, struct task *t, struct wait_for *w)
{
	struct proc *c = t->proc;

	if (!(w->options & WEXITED))
		return false;
	if (t != c->leader) {
		w->info = thread_exit_info(t);
		w->status = t->exit_code;
		usage_of(c, &w->usage);
		if (!(w->options & WNOWAIT))
			proc_thread_reaped_locked(t);
		return true;
	}
	if (!c->zombie || c->nzombies)
		return false;
	if (c->parent == p)
		return take_zombie(p, c, w);
	w->info = exit_info(c);
	w->status = c->exit_status;
	usage_of(c, &w->usage);
	if (!(w->options & WNOWAIT))
		pass_zombie_on(c);
	return true;
}

static long look_at_tracees(struct proc *p, struct task *tracer, struct wait_for *w)
{
	struct task *t, *next;
	long r = -ECHILD;

	list_for_each_safe(t, next, &tracer->tracing.tracees, tracing.node) {
		pid_t tid = t->tid;
		bool dead = t->state == TASK_ZOMBIE;

		if (!is_meant_tracee(w, t))
			continue;
		if (!dead || (w->options & (WEXITED | WCONTINUED)))
			r = 0;
		if (dead ? take_traced_zombie(p, t, w) : take_trace_stop(t, w) || (t == t->proc->leader && take_continued(t->proc, w)))
			return tid;
	}
	return r;
}

/* One look at all: pid, 0 (none ready), -ECHILD. */
static long look(struct task *t, struct wait_for *w)
{
	struct proc *p = t->proc;
	struct task *each;
	long r, more;

	mutex_lock(&tasks_lock);
	r = look_at_children(t, w);
	list_for_each(each, &p->threads, thread_node) {
		if (r > 0)
			break;
		if (each != t && (w->options & __WNOTHREAD))
			continue;
		more = look_at_tracees(p, each, w);
		r = more == -ECHILD ? r : more;
	}
	mutex_unlock(&tasks_lock);
	return r;
}

static long wait_loop(struct task *t, struct wait_for *w)
{
	struct proc *p = t->proc;
	long r;
	int slept = 0;

	for (;;) {
		uint64_t seq;

		mutex_lock(&p->lock);
		seq = p->child_seq;
		mutex_unlock(&p->lock);
		r = look(t, w);
		if (r != 0 || (w->options & WNOHANG))
			return r;
		if (slept < 0)
			return slept;
		mutex_lock(&p->lock);
		while (p->child_seq == seq && slept == 0)
			slept = waitq_sleep(&p->child_wq, &p->lock, FOREVER);
		mutex_unlock(&p->lock);
	}
}

static int resolve_id(struct task *t, int idtype, pid_t id, struct wait_for *w)
{
	AUTO(file) f = NULL;

	switch (idtype) {
	case P_ALL:
		return 0;
	case P_PID:
		return id > 0 ? 0 : -EINVAL;
	case P_PGID:
		if (id < 0)
			return -EINVAL;
		if (id == 0) {
			mutex_lock(&tasks_lock);
			w->id = t->proc->pgid;
			mutex_unlock(&tasks_lock);
		}
		return 0;
	case P_PIDFD:
		if (id < 0)
			return -EINVAL;
		f = fdtab_get(t->fds, id);
		w->one = f ? pidfd_proc(f) : NULL;
		w->thread = f ? pidfd_thread(f) : NULL;
		if (f && (file_flags(f) & O_NONBLOCK))
			w->options |= WNOHANG;
		return w->one ? 0 : -EBADF;
	default:
		return -EINVAL;
	}
}

long proc_wait(struct task *t, int idtype, pid_t id, int options, siginfo_t *ret_info, int *ret_status, struct rusage *ret_usage)
{
	struct wait_for w = { .idtype = idtype, .id = id, .options = options };
	long r = resolve_id(t, idtype, id, &w);

	if (r == 0)
		r = wait_loop(t, &w);
	if (r == 0 && w.one && (options & WNOHANG) == 0 && (w.options & WNOHANG))
		r = -EAGAIN; /* a non-blocking pidfd */
	if (r > 0) {
		if (ret_info)
			*ret_info = w.info;
		if (ret_status)
			*ret_status = w.status;
		if (ret_usage)
			usage_fill(&w.usage, ret_usage);
	}
	task_put(w.thread);
	proc_put(w.one);
	return r;
}
