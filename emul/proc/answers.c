/* SPDX-License-Identifier: MIT */
/*
 * What a thread is told about itself without being heard: the platform answers these calls in the guest, so everything that
 * changes an answer must say so here. Credentials are the thread's own to change; its parent goes, and its number in
 * execve, under tasks_lock.
 */
#include <sys/syscall.h>

#include "emul/base/err.h"
#include "emul/proc/lifecycle.h"

static void tell(struct task *t, unsigned nr, uint32_t value)
{
	t->env->platform->ops->vcpu_tell(t->vcpu, nr, value);
}

static void tell_cred(struct task *t)
{
	tell(t, SYS_getuid, t->cred->uid);
	tell(t, SYS_geteuid, t->cred->euid);
	tell(t, SYS_getgid, t->cred->gid);
	tell(t, SYS_getegid, t->cred->egid);
}

void task_answers_cred(struct task *t)
{
	if (t->answers)
		tell_cred(t);
}

void task_answers_parent_locked(struct proc *p)
{
	uint32_t ppid = (uint32_t)proc_ppid_locked(p);
	struct task *t;

	mutex_assert_held(&tasks_lock);
	mutex_lock(&p->lock);
	list_for_each(t, &p->threads, thread_node)
		if (t->answers && t->vcpu)
			tell(t, SYS_getppid, ppid);
	mutex_unlock(&p->lock);
}

void task_answers_stop_locked(struct task *t)
{
	mutex_assert_held(&t->proc->lock);
	if (t->answers && t->vcpu)
		t->env->platform->ops->vcpu_forget(t->vcpu);
	t->answers = false;
}

void task_answers(struct task *t, bool on)
{
	struct proc *p = t->proc;

	if (!t->env->platform->ops->vcpu_tell)
		return;
	mutex_lock(&tasks_lock);
	mutex_lock(&p->lock);
	t->answers = on;
	if (on) {
		tell(t, SYS_getpid, (uint32_t)p->pid);
		tell(t, SYS_gettid, (uint32_t)t->tid);
		tell(t, SYS_getppid, (uint32_t)proc_ppid_locked(p));
		tell_cred(t);
	}
	mutex_unlock(&p->lock);
	mutex_unlock(&tasks_lock);
}
