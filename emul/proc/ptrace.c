/* SPDX-License-Identifier: MIT */
/* ptrace(2), who traces whom: links between tasks, how they begin and end. kernel/ptrace.c has the order of the checks. */
#include <linux/capability.h>
#include <linux/ptrace.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"

bool task_wants_every_call(struct task *t)
{
	return atomic_load_explicit(&t->tracing.on, memory_order_relaxed);
}

pid_t trace_tracer_pid(struct task *t)
{
	pid_t pid;

	mutex_lock(&tasks_lock);
	pid = t->tracing.tracer ? t->tracing.tracer->proc->pid : 0;
	mutex_unlock(&tasks_lock);
	return pid;
}

/* --- links: tasks_lock and the tracee's proc->lock held ------------------------------------------------- */

static void link_locked(struct task *t, struct task *tracer, bool seized, unsigned options)
{
	struct tracing *s = &t->tracing;

	mutex_assert_held(&tasks_lock);
	s->tracer = tracer;
	s->seized = seized;
	s->options = options;
	s->mode = TRACE_CONT;
	s->step = false;
	atomic_store(&s->on, true);
	list_add_tail(&tracer->tracing.tracees, &s->node);
	log_dbg(PROC, "%d: traced by %d", t->tid, tracer->tid);
}

/* It goes on with what comes of its stop; a group stop that is on takes it. */
static void unlink_locked(struct task *t)
{
	struct tracing *s = &t->tracing;

	list_del(&s->node);
	s->tracer = NULL;
	s->seized = s->step = s->trap_stop = s->trap_notify = s->attaching = s->frozen = s->listening = false;
	s->options = 0;
	s->mode = TRACE_CONT;
	atomic_store(&s->on, false);
	if (t->proc->group_stop)
		task_kick_locked(t);
	waitq_wake(&t->proc->stop_wq, 0);
}

void trace_unlink_locked(struct task *t)
{
	if (!t->tracing.tracer)
		return;
	mutex_lock(&t->proc->lock);
	unlink_locked(t);
	mutex_unlock(&t->proc->lock);
}

/* --- becoming a tracee ------------------------------------------------------------------------------------- */

/* The thread that is to be told about p's stops: the one that made it, or another one of its parent. */
static struct task *parent_thread_locked(struct proc *p)
{
	struct task *t, *found = NULL;

	if (!p->parent)
		return NULL;
	list_for_each(t, &p->parent->threads, thread_node) {
		if (t->dying)
			continue;
		if (t == p->parent_thread)
			return t;
		if (!found || t == p->parent->leader)
			found = t;
	}
	return found;
}

/* cap_ptrace_traceme() */
static bool parent_may_trace(struct task *t, struct task *parent)
{
	AUTO(cred) c = task_get_cred(parent);

	return !c || cred_capable(c, CAP_SYS_PTRACE) || !(t->fsc.cred->cap_permitted & ~c->cap_permitted);
}

/* A tracer sees the text that was loaded, not what was made of it to be faster. */
static void show_text(struct task *t)
{
	AUTO(mm) mm = task_get_mm(t);

	if (mm)
		mm_restore_text(mm);
}

long trace_me(struct task *t)
{
	struct task *parent;
	long r = 0;

	mutex_lock(&tasks_lock);
	parent = parent_thread_locked(t->proc);
	if (t->tracing.tracer)
		r = -EPERM;
	else if (parent && !parent_may_trace(t, parent))
		r = -EPERM;
	/* Without a parent in here it is as if the parent had let go at once. */
	if (r == 0 && parent) {
		mutex_lock(&t->proc->lock);
		link_locked(t, parent, false, 0);
		mutex_unlock(&t->proc->lock);
	}
	mutex_unlock(&tasks_lock);
	if (r == 0)
		show_text(t);
	return r;
}

int trace_check_options(uint64_t options)
{
	if (options & ~(uint64_t)PTRACE_O_MASK)
		return -EINVAL;
	return options & PTRACE_O_SUSPEND_SECCOMP ? -EINVAL : 0; /* as a kernel without checkpoint/restore */
}

static int check_attach(struct task *t, struct task *target, bool seize, uint64_t addr, uint64_t options)
{
	if (seize && (addr || (options & ~(uint64_t)PTRACE_O_MASK)))
		return -EIO;
	if (seize && trace_check_options(options) < 0)
		return -EINVAL;
	if (target->proc == t->proc)
		return -EPERM;
	return trace_may_access(t->proc->pid, t->fsc.cred, false, target);
}

/* A parked task becomes a traced one before the call returns: whoever saw it stopped finds it so. */
static void wait_until_traced(struct task *target)
{
	struct proc *p = target->proc;

	mutex_lock(&p->lock);
	while (target->tracing.attaching && !signal_thread_leaves_locked(target))
		waitq_sleep_uninterruptible(&p->stop_wq, &p->lock, FOREVER);
	mutex_unlock(&p->lock);
}

static long attach_locked(struct task *t, struct task *target, bool seize, unsigned options)
{
	struct proc *p = target->proc;
	struct tracing *s = &target->tracing;
	siginfo_t info = signal_kernel_info(SIGSTOP);
	long r = 0;

	mutex_lock(&p->lock);
	if (target->dying || target->state == TASK_ZOMBIE || target->state == TASK_DEAD || s->tracer) {
		r = -EPERM;
	} else {
		link_locked(target, t, seize, options);
		if (!seize)
			signal_send_locked(p, target, SIGSTOP, &info, true, NULL);
		if (target->state == TASK_STOPPED) {
			s->trap_stop = s->attaching = true;
			waitq_wake(&p->stop_wq, 0);
		}
	}
	mutex_unlock(&p->lock);
	return r;
}

long trace_attach(struct task *t, struct task *target, bool seize, uint64_t addr, uint64_t options)
{
	long r = check_attach(t, target, seize, addr, options);

	if (r < 0)
		return r;
	mutex_lock(&tasks_lock);
	r = attach_locked(t, target, seize, seize ? (unsigned)options : 0);
	mutex_unlock(&tasks_lock);
	if (r < 0)
		return r;
	show_text(target);
	wait_until_traced(target);
	return 0;
}

/* --- for the length of a request ------------------------------------------------------------------------------ */

int trace_freeze(struct task *t, struct task *target, bool any_state)
{
	struct tracing *s = &target->tracing;
	int r = -ESRCH;

	mutex_lock(&target->proc->lock);
	if (s->tracer == t) {
		if (any_state) {
			r = 0;
		} else if (target->state == TASK_TRACED && !s->listening && !s->resumed) {
			s->frozen = true;
			r = 0;
		}
	}
	mutex_unlock(&target->proc->lock);
	return r;
}

void trace_thaw(struct task *target)
{
	mutex_lock(&target->proc->lock);
	if (target->tracing.frozen) {
		target->tracing.frozen = false;
		waitq_wake(&target->proc->stop_wq, 0);
	}
	mutex_unlock(&target->proc->lock);
}

long trace_detach(struct task *target, uint64_t sig)
{
	struct tracing *s = &target->tracing;

	if (sig > NSIG_LINUX)
		return -EIO;
	mutex_lock(&tasks_lock);
	mutex_lock(&target->proc->lock);
	s->code = (int)sig;
	s->resumed = true;
	unlink_locked(target);
	mutex_unlock(&target->proc->lock);
	mutex_unlock(&tasks_lock);
	return 0;
}

/* --- birth and death ---------------------------------------------------------------------------------------------- */

void trace_inherit_locked(struct task *parent, struct task *child)
{
	struct tracing *s = &parent->tracing;

	mutex_assert_held(&tasks_lock);
	if (!s->tracer)
		return;
	mutex_lock(&child->proc->lock);
	link_locked(child, s->tracer, s->seized, s->options);
	if (s->seized)
		child->tracing.trap_stop = true;
	else
		child->pending.set |= SIGMASK(SIGSTOP); /* of nobody, without siginfo */
	task_kick_locked(child);
	mutex_unlock(&child->proc->lock);
}

/* A zombie that waited for its tracer. */
static void let_go_of_dead_locked(struct task *t, struct task *tracer)
{
	struct proc *p = t->proc;

	if (t != p->leader)
		proc_thread_reaped_locked(t);
	else if (p->zombie && !p->nzombies &&
		 (p->parent == tracer->proc ? proc_ignores_children(p->parent) : proc_notify_exit_locked(p)))
		proc_reap_locked(p);
}

void trace_let_go_locked(struct task *tracer)
{
	mutex_assert_held(&tasks_lock);
	while (!list_empty(&tracer->tracing.tracees)) {
		struct task *t = list_first(&tracer->tracing.tracees, struct task, tracing.node);
		siginfo_t info = signal_kernel_info(SIGKILL);
		bool dead;

		mutex_lock(&t->proc->lock);
		dead = t->state == TASK_ZOMBIE;
		if ((t->tracing.options & PTRACE_O_EXITKILL) && !dead)
			signal_send_locked(t->proc, t, SIGKILL, &info, true, NULL);
		unlink_locked(t);
		mutex_unlock(&t->proc->lock);
		if (dead)
			let_go_of_dead_locked(t, tracer);
	}
}
