/* SPDX-License-Identifier: MIT */
/* Process groups and sessions: kernel/sys.c (setpgid, setsid), kernel/exit.c (orphaned groups). Their terminals: ctty.c. */
#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"

/* Any process of the group, for its session. tasks_lock held; borrowed. */
static struct proc *any_of_group(pid_t pgid)
{
	struct proc *p;

	list_for_each(p, &pid_procs, all_node)
		if (p->pgid == pgid)
			return p;
	return NULL;
}

/* The session of a group; that of a leader outside is there even if nobody here is in it. tasks_lock held. -1: no such group. */
static pid_t session_of_group(pid_t pgid)
{
	struct proc *p = any_of_group(pgid);

	if (p)
		return p->sid;
	list_for_each(p, &pid_procs, all_node)
		if (p->led_from_outside && p->sid == pgid)
			return pgid;
	return -1;
}

static struct proc *find_locked(pid_t pid)
{
	struct proc *p;

	list_for_each(p, &pid_procs, all_node)
		if (p->pid == pid)
			return p;
	return NULL;
}

long proc_setsid(struct task *t)
{
	struct proc *p = t->proc;
	long r = p->pid;

	mutex_lock(&tasks_lock);
	if (p->sid == p->pid || any_of_group(p->pid)) {
		r = -EPERM;
	} else {
		p->sid = p->pgid = p->pid;
		ctty_drop_locked(p);
	}
	mutex_unlock(&tasks_lock);
	return r;
}

static int setpgid_locked(struct proc *self, struct proc *p, pid_t pgid)
{
	if (p->parent == self) {
		if (p->sid != self->sid)
			return -EPERM;
		if (p->did_exec)
			return -EACCES;
	} else if (p != self) {
		return -ESRCH;
	}
	if (p->sid == p->pid)
		return -EPERM;
	if (pgid != p->pid && session_of_group(pgid) != self->sid)
		return -EPERM;
	p->pgid = pgid;
	return 0;
}

long proc_setpgid(struct task *t, pid_t pid, pid_t pgid)
{
	struct task *named;
	struct proc *p;
	long r;

	if (!pid)
		pid = t->proc->pid;
	if (!pgid)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	mutex_lock(&tasks_lock);
	p = find_locked(pid);
	named = pid_lookup_locked(pid);
	if (p)
		r = setpgid_locked(t->proc, p, pgid);
	else
		r = named ? -EINVAL : -ESRCH; /* a thread that is no leader */
	mutex_unlock(&tasks_lock);
	return r;
}

/* Threads count as their processes here. */
static long ask(struct task *t, pid_t pid, bool session)
{
	struct task *other;
	struct proc *p = t->proc;
	long r = -ESRCH;

	mutex_lock(&tasks_lock);
	if (pid) {
		other = pid_lookup_locked(pid);
		p = other ? other->proc : find_locked(pid);
	}
	if (p)
		r = session ? p->sid : p->pgid;
	mutex_unlock(&tasks_lock);
	return r;
}

long proc_getpgid(struct task *t, pid_t pid)
{
	return ask(t, pid, false);
}

long proc_getsid(struct task *t, pid_t pid)
{
	return ask(t, pid, true);
}

/* --- orphaned groups: nobody of the same session outside of the group is parent of a member ----------------- */

/* A first process is init's child inside; outside it may be a job of its caller's shell. */
static bool has_shell(const struct proc *p)
{
	if (p->program)
		return p->has_shell;
	return p->parent && p->parent->pgid != p->pgid && p->parent->sid == p->sid;
}

bool pgrp_is_orphaned_locked(pid_t pgid, struct proc *without)
{
	struct proc *p;

	mutex_assert_held(&tasks_lock);
	list_for_each(p, &pid_procs, all_node)
		if (p->pgid == pgid && p != without && !p->zombie && has_shell(p))
			return false;
	return true;
}

static bool has_stopped_job(pid_t pgid)
{
	struct proc *p;

	list_for_each(p, &pid_procs, all_node) {
		bool stopped;

		if (p->pgid != pgid)
			continue;
		mutex_lock(&p->lock);
		stopped = p->stopped;
		mutex_unlock(&p->lock);
		if (stopped)
			return true;
	}
	return false;
}

void proc_signal_kernel(struct proc *p, int sig)
{
	siginfo_t info = { .si_signo = sig, .si_code = SI_KERNEL };

	signal_send_proc(p, sig, &info);
}

void pgrp_signal_locked(pid_t pgid, int sig)
{
	struct proc *p;

	mutex_assert_held(&tasks_lock);
	list_for_each(p, &pid_procs, all_node)
		if (p->pgid == pgid)
			proc_signal_kernel(p, sig);
}

pid_t pgrp_session_locked(pid_t pgid)
{
	pid_t sid = session_of_group(pgid);
	struct task *t = sid < 0 ? pid_lookup_locked(pgid) : NULL;

	return t ? t->proc->sid : sid;
}

void pgrp_check_orphaned_locked(struct proc *child, struct proc *dying)
{
	struct proc *parent = dying ? dying : child->parent, *ignored = dying ? NULL : child;
	pid_t pgid = child->pgid;

	mutex_assert_held(&tasks_lock);
	if (!parent || parent->pgid == pgid || parent->sid != child->sid)
		return;
	if (!pgrp_is_orphaned_locked(pgid, ignored) || !has_stopped_job(pgid))
		return;
	pgrp_signal_locked(pgid, SIGHUP);
	pgrp_signal_locked(pgid, SIGCONT);
}
