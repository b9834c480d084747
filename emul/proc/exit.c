/* SPDX-License-Identifier: MIT */
/*
 * Death of threads and processes, and the two events that wait for it: vfork's parent, and execve of
 * one thread among several.
 *
 * task_exit() only says so; what is left is done by task_teardown() on the task's own host thread when
 * its run loop has returned, so nobody above us finds its memory gone under its feet. Order as in
 * kernel/exit.c: words in guest memory, vCPU, descriptors, memory; then the tables; then the parent.
 */
#include <stdlib.h>

#include "emul/base/err.h"
#include "emul/base/log.h"
#include "emul/proc/aio.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/timers.h"

void task_exit(struct task *t, int status)
{
	if (t->exiting)
		return;
	t->exiting = true;
	t->exit_code = status;
}

void proc_exit_group(struct task *t, int status)
{
	struct proc *p = t->proc;

	mutex_lock(&p->lock);
	proc_start_exit_locked(p, status);
	status = p->exit_status; /* who came first counts */
	mutex_unlock(&p->lock);
	task_exit(t, status);
}

bool proc_exiting(struct proc *p)
{
	bool yes;

	mutex_lock(&p->lock);
	yes = p->group_exit || p->zombie;
	mutex_unlock(&p->lock);
	return yes;
}

/* --- vfork ------------------------------------------------------------------------------------------------ */

struct vfork_done {
	struct ref ref;
	struct mutex lock;
	struct waitq wq;
	bool done; /* lock */
};

struct vfork_done *vfork_new(void)
{
	struct vfork_done *v = calloc(1, sizeof(*v));

	if (v) {
		ref_init(&v->ref);
		mutex_init(&v->lock);
		waitq_init(&v->wq);
	}
	return v;
}

struct vfork_done *vfork_get(struct vfork_done *v)
{
	ref_get(&v->ref);
	return v;
}

void vfork_put(struct vfork_done *v)
{
	if (!v || !ref_put(&v->ref))
		return;
	waitq_fini(&v->wq);
	mutex_fini(&v->lock);
	free(v);
}

/* The interrupt of a signal that does not end us: it stays pending (has_wakeup) for the run loop. */
static bool killed_in_vfork(struct task *t)
{
	struct proc *p = t->proc;
	bool leaves;

	mutex_lock(&p->lock);
	leaves = signal_thread_leaves_locked(t);
	if (!leaves)
		waiter_clear_interrupt(&t->waiter);
	mutex_unlock(&p->lock);
	return leaves;
}

bool vfork_wait(struct task *t, struct vfork_done *v)
{
	bool done;

	t->in_vfork = true;
	mutex_lock(&v->lock);
	while (!v->done) {
		bool killed;

		if (waitq_sleep(&v->wq, &v->lock, FOREVER) != -ERESTARTSYS)
			continue;
		mutex_unlock(&v->lock);
		killed = killed_in_vfork(t);
		mutex_lock(&v->lock);
		if (killed)
			break;
	}
	done = v->done;
	mutex_unlock(&v->lock);
	t->in_vfork = false;
	mutex_lock(&t->proc->lock);
	signal_recalc_locked(t);
	mutex_unlock(&t->proc->lock);
	return done;
}

void vfork_release(struct proc *p)
{
	struct vfork_done *v;

	mutex_lock(&p->lock);
	v = steal(p->vfork);
	mutex_unlock(&p->lock);
	if (!v)
		return;
	mutex_lock(&v->lock);
	v->done = true;
	waitq_wake(&v->wq, 0);
	mutex_unlock(&v->lock);
	vfork_put(v);
}

/* --- a process has no threads left ------------------------------------------------------------------------------- */

void proc_reap_locked(struct proc *p)
{
	struct task *leader;

	mutex_assert_held(&tasks_lock);
	mutex_lock(&p->lock);
	p->reaped = true;
	leader = steal(p->leader);
	mutex_unlock(&p->lock);
	list_del(&p->sibling);
	waitq_wake(&p->exit_wq, 0);
	pid_remove_proc_locked(p);
	if (leader) {
		trace_unlink_locked(leader);
		pid_remove_locked(leader);
		task_put(leader); /* the table's */
		task_put(leader); /* p->leader */
	}
	proc_put(p);
}

static struct proc *next_parent_locked(struct proc *p)
{
	for (struct proc *a = p->parent; a; a = a->parent)
		if (a->child_subreaper && !a->zombie)
			return a;
	return pid_init;
}

/* prctl(PR_SET_PDEATHSIG) of each thread of child, whose parent was `dying`. */
static void parent_death_signals_locked(struct proc *child, struct task *dying)
{
	struct task *t;

	mutex_lock(&child->lock);
	list_for_each(t, &child->threads, thread_node) {
		siginfo_t info = { .si_code = SI_USER };

		if (!t->pdeath_signal || !signal_valid(t->pdeath_signal))
			continue;
		info.si_pid = dying->proc->pid;
		info.si_uid = dying->cred->uid;
		signal_send_locked(child, NULL, t->pdeath_signal, &info, false, NULL);
	}
	mutex_unlock(&child->lock);
}

static struct task *any_thread(struct proc *p)
{
	struct task *t;

	list_for_each(t, &p->threads, thread_node)
		if (!t->dying)
			return t;
	return NULL;
}

/* A thread has left its process, which goes on: another one is the parent of its children. */
static void hand_children_over_locked(struct task *t)
{
	struct proc *p = t->proc, *c;
	struct task *to = any_thread(p);

	list_for_each(c, &p->children, sibling) {
		if (c->parent_thread != t)
			continue;
		c->parent_thread = to;
		parent_death_signals_locked(c, t);
	}
}

/* t was the last thread of its process. */
static void reparent_children_locked(struct task *t)
{
	struct proc *p = t->proc, *to = next_parent_locked(p), *c, *next;

	list_for_each_safe(c, next, &p->children, sibling) {
		if (c->parent_thread == t) /* the others' have heard of it */
			parent_death_signals_locked(c, t);
		c->parent = to;
		c->parent_thread = any_thread(to);
		task_answers_parent_locked(c);
		c->exit_signal = SIGCHLD;
		list_del(&c->sibling);
		list_add_tail(&to->children, &c->sibling);
		pgrp_check_orphaned_locked(c, p);
		/* One that a tracer has not waited for yet is told about then. */
		if (c->zombie && !c->nzombies && !c->leader->tracing.tracer && proc_notify_exit_locked(c))
			proc_reap_locked(c);
	}
}

static void proc_died_locked(struct task *t)
{
	struct proc *p = t->proc;

	mutex_assert_held(&tasks_lock);
	log_dbg(PROC, "%d: process ends, status %#x", p->pid, p->exit_status);
	ctty_leader_exits_locked(p);
	reparent_children_locked(t);
	mutex_lock(&p->lock);
	p->zombie = true;
	sigpending_drop_locked(&p->pending, ~(sigmask_t)0);
	mutex_unlock(&p->lock);
	pgrp_check_orphaned_locked(p, NULL);
	waitq_wake(&p->exit_wq, 0);
	if (!p->nzombies && proc_notify_exit_locked(p))
		proc_reap_locked(p);
}

void proc_thread_reaped_locked(struct task *t)
{
	struct proc *p = t->proc;

	mutex_assert_held(&tasks_lock);
	trace_unlink_locked(t);
	mutex_lock(&p->lock);
	t->state = TASK_DEAD;
	p->nzombies--;
	mutex_unlock(&p->lock);
	pid_remove_locked(t);
	waitq_wake(&p->exit_wq, 0);
	if (p->zombie && !p->nzombies && proc_notify_exit_locked(p))
		proc_reap_locked(p);
	task_put(t); /* the table's */
}

/* --- a thread ends ------------------------------------------------------------------------------------------------- */

/* From now on it takes no signals; those of the process go to others. The last one to begin ends the timers. */
static void begin_end(struct task *t)
{
	struct proc *p = t->proc;
	struct task *other;
	bool last;

	mutex_lock(&p->lock);
	t->dying = true;
	if (p->core_task)
		waitq_wake(&p->stop_wq, 0);
	last = --p->nlive == 0;
	if (!p->group_exit && p->pending.set & ~t->blocked)
		list_for_each(other, &p->threads, thread_node)
			if (!other->dying && (p->pending.set & ~other->blocked))
				task_kick_locked(other);
	mutex_unlock(&p->lock);
	if (last) {
		itimers_exit(p);
		proc_timers_exit(p);
		aio_exit(p);
	}
}

/* What the program's other threads, or its parent, wait for in memory. */
static void release_words(struct task *t)
{
	if (t->mm) {
		robust_list_exit(t);
		futex_exit_pi(t);
	}
	atomic_store(&t->futexes_left, true);
}

/* CLONE_CHILD_CLEARTID: pthread_join() sleeps on this word. Consumes mm. */
static void release_tid_word(struct mm *mm, gva_t word)
{
	if (mm && word) {
		put_guest_u32(mm, word, 0);
		futex_wake_simple(mm, word, 1, true);
	}
	mm_put(mm);
}

static void release_vcpu(struct task *t)
{
	struct vcpu *v;

	mutex_lock(&t->proc->lock); /* kicks look at it */
	v = steal(t->vcpu);
	mutex_unlock(&t->proc->lock);
	if (v)
		t->env->platform->ops->vcpu_put(v);
}

/* Its program may be written to again; /proc/PID/exe of a zombie leads nowhere. */
static void release_exe(struct proc *p)
{
	struct path exe;

	mutex_lock(&p->lock);
	exe = p->exe;
	p->exe = (struct path)PATH_INIT;
	mutex_unlock(&p->lock);
	vfs_allow_write(&exe);
	path_put(&exe);
}

/* Out of the lists. true: it was the last. tasks_lock and proc->lock held. */
static bool leave_locked(struct task *t)
{
	struct proc *p = t->proc;

	usage_thread_gone_locked(t);
	list_del(&t->thread_node);
	p->nthreads--;
	p->nparked -= t->stop_gen == p->stop_gen;
	pid_ntasks--;
	sigpending_drop_locked(&t->pending, ~(sigmask_t)0);
	t->state = t == p->leader || t->tracing.tracer ? TASK_ZOMBIE : TASK_DEAD;
	p->nzombies += t->state == TASK_ZOMBIE && t != p->leader;
	waitq_wake(&p->exec_wq, 0);
	signal_check_stopped_locked(p);
	if (p->notify_parent)
		waitq_wake(&p->stop_wq, 0);
	if (p->nthreads)
		return false;
	if (!p->group_exit)
		p->exit_status = t->exit_code;
	return true;
}

void task_teardown(struct task *t)
{
	/* Where nobody else sees the word it stays, as Linux has it. */
	gva_t word = t->mm && mm_is_shared(t->mm) ? t->clear_child_tid : 0;
	struct mm *mm = t->mm ? mm_get(t->mm) : NULL;
	struct proc *p = proc_get(t->proc);
	struct instance_env *env = t->env;
	bool last, findable, none_left;
	int status;

	begin_end(t);
	release_words(t);
	release_vcpu(t);
	mutex_lock(&p->lock);
	last = p->nthreads == 1;
	mutex_unlock(&p->lock);
	if (last) {
		/* Before anybody can see the process ended. A thread's joiner wakes when the thread cannot be seen any more. */
		release_tid_word(steal(mm), word);
		vfork_release(p);
		release_exe(p);
	}
	usage_mm_gone(t);
	task_drop_resources(t);
	file_async_flush();

	mutex_lock(&tasks_lock);
	trace_let_go_locked(t);
	mutex_lock(&p->lock);
	last = leave_locked(t);
	findable = t->state == TASK_ZOMBIE;
	status = p->exit_status;
	mutex_unlock(&p->lock);
	atomic_store(&t->ended, true);
	if (!findable)
		pid_remove_locked(t);
	else if (t != p->leader)
		proc_notify_tracer_locked(t, CLD_EXITED);
	if (!last)
		waitq_wake(&p->exit_wq, 0);
	if (last)
		proc_died_locked(t);
	else
		hand_children_over_locked(t);
	none_left = pid_ntasks == 0;
	mutex_unlock(&tasks_lock);
	if (!findable)
		task_put(t); /* the table's; our host thread has its own */
	if (mm)
		release_tid_word(mm, word);
	if (last) { /* if threads left at the same time */
		vfork_release(p);
		release_exe(p);
	}
	if (last && p->program && env->on_first_exit)
		env->on_first_exit(p, status);
	proc_put(p);
	if (none_left && env->on_idle)
		env->on_idle(env);
}

/* --- execve among several threads ------------------------------------------------------------------------------------ */

/* t becomes the leader: the old one, which has ended, gives its id up. */
static void take_over_leader(struct task *t)
{
	struct proc *p = t->proc;
	struct task *old;

	mutex_lock(&tasks_lock);
	mutex_lock(&p->lock);
	old = p->leader;
	mutex_unlock(&p->lock);
	if (old != t)
		trace_unlink_locked(old);
	mutex_lock(&p->lock);
	if (old != t) {
		pid_remove_locked(old);
		old->state = TASK_DEAD;
		p->leader = task_get(t);
		pid_move_locked(t, p->pid);
		t->fsc.tid = t->tid;
		waitq_wake(&p->exit_wq, 0);
	}
	mutex_unlock(&p->lock);
	mutex_unlock(&tasks_lock);
	if (old != t) {
		task_put(old); /* the table's */
		task_put(old); /* p->leader */
		if (t->answers)
			task_answers(t, true); /* its number is another */
	}
}

int task_kill_other_threads(struct task *t)
{
	struct proc *p = t->proc;
	struct task *other;
	int r = 0;

	mutex_lock(&p->lock);
	if (signal_thread_leaves_locked(t)) {
		mutex_unlock(&p->lock);
		return -EINTR;
	}
	p->exec_task = t;
	list_for_each(other, &p->threads, thread_node)
		if (other != t)
			task_kick_locked(other);
	waitq_wake(&p->stop_wq, 0);
	while (p->nthreads > 1 && !p->group_exit)
		waitq_sleep_uninterruptible(&p->exec_wq, &p->lock, FOREVER);
	if (p->group_exit)
		r = -EINTR;
	mutex_unlock(&p->lock);
	if (r == 0)
		take_over_leader(t);
	mutex_lock(&p->lock);
	p->exec_task = NULL;
	mutex_unlock(&p->lock);
	return r;
}

void proc_exec_done(struct task *t)
{
	struct proc *p = t->proc;
	struct sighand *own = NULL, *old = NULL;

	if (atomic_load(&p->sighand->ref.n) > 1)
		own = sighand_new();
	mutex_lock(&tasks_lock);
	mutex_lock(&p->lock);
	if (own) {
		mutex_lock(&p->sighand->lock);
		for (int i = 0; i <= NSIG_LINUX; i++)
			own->action[i] = p->sighand->action[i];
		mutex_unlock(&p->sighand->lock);
		old = p->sighand;
		p->sighand = own;
	}
	p->did_exec = true;
	p->exit_signal = SIGCHLD;
	mutex_unlock(&p->lock);
	mutex_unlock(&tasks_lock);
	sighand_put(old);
	signal_altstack_reset(t);
	vfork_release(p);
}
