/* SPDX-License-Identifier: MIT */
/*
 * The objects: struct task (a thread) and struct proc (a thread group), made empty here, filled by
 * clone.c, freed with their last reference; and what others may ask of a task.
 *
 * Who holds references: the pid table one on each findable task and process, a host thread one on its
 * task, a task one on its process, a process one on its leader until it is reaped.
 */
#include <linux/prctl.h>
#include <string.h>

#include "emul/base/err.h"
#include "emul/proc/ipc.h"
#include "emul/proc/lifecycle.h"
#include "emul/proc/signal_internal.h"
#include "emul/proc/task.h"
#include "emul/proc/timers.h"
#include "emul/vfs/tty/tty.h"

static _Thread_local struct task *self;

struct task *task_current(void)
{
	return self;
}

void task_set_current(struct task *t)
{
	self = t;
}

/* --- signal actions ------------------------------------------------------------------------------------ */

struct sighand *sighand_new(void)
{
	struct sighand *s = calloc(1, sizeof(*s));

	if (s) {
		ref_init(&s->ref);
		mutex_init(&s->lock);
	}
	return s;
}

struct sighand *sighand_get(struct sighand *s)
{
	ref_get(&s->ref);
	return s;
}

void sighand_put(struct sighand *s)
{
	if (s && ref_put(&s->ref)) {
		mutex_fini(&s->lock);
		free(s);
	}
}

/* --- processes -------------------------------------------------------------------------------------------- */

struct proc *proc_new(struct instance_env *env)
{
	struct proc *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	ref_init(&p->ref);
	p->env = env;
	mutex_init(&p->lock);
	list_init(&p->children);
	list_init(&p->sibling);
	list_init(&p->all_node);
	list_init(&p->threads);
	list_init(&p->aio);
	sigpending_init(&p->pending);
	waitq_init(&p->child_wq);
	waitq_init(&p->stop_wq);
	waitq_init(&p->step_wq);
	waitq_init(&p->exec_wq);
	waitq_init(&p->signal_wq);
	waitq_init(&p->exit_wq);
	idmap_init(&p->timers, 0, TIMERS_MAX - 1, false);
	p->exit_signal = SIGCHLD;
	p->stop_gen = 1;
	p->dump_filter = DUMP_ANON_PRIVATE | DUMP_ANON_SHARED | DUMP_ELF_HEADERS | DUMP_HUGE_PRIVATE;
	p->dumpable = true;
	p->start_ns = (uint64_t)clock_now(CLOCK_BOOTTIME);
	p->itimers = itimers_new(p);
	if (!p->itimers) {
		proc_put(p);
		return NULL;
	}
	return p;
}

struct proc *proc_get(struct proc *p)
{
	ref_get(&p->ref);
	return p;
}

void proc_put(struct proc *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	itimers_free(p->itimers);
	sigpending_flush(&p->pending);
	idmap_fini(&p->timers);
	sighand_put(p->sighand);
	vfork_put(p->vfork);
	vfs_allow_write(&p->exe);
	path_put(&p->exe);
	free(p->auxv);
	tty_put(p->ctty);
	waitq_fini(&p->child_wq);
	waitq_fini(&p->stop_wq);
	waitq_fini(&p->step_wq);
	waitq_fini(&p->exec_wq);
	waitq_fini(&p->signal_wq);
	waitq_fini(&p->exit_wq);
	mutex_fini(&p->lock);
	free(p);
}

/* --- threads ------------------------------------------------------------------------------------------------ */

struct task *task_new(struct instance_env *env, struct proc *p)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	ref_init(&t->ref);
	t->env = env;
	t->proc = proc_get(p);
	t->regs.orig_rax = ~(uint64_t)0;
	t->altstack.flags = SS_DISABLE;
	waiter_init(&t->waiter, true);
	list_init(&t->thread_node);
	list_init(&t->tid_node);
	list_init(&t->tracing.tracees);
	list_init(&t->tracing.node);
	sigpending_init(&t->pending);
	mutex_init(&t->lock);
	t->affinity = env->cpus;
	t->loginuid = t->sessionid = LOGINUID_UNSET;
	t->timer_slack = t->default_slack = 50000;
	t->mce_policy = PR_MCE_KILL_DEFAULT;
	t->start_ns = (uint64_t)clock_now(CLOCK_BOOTTIME);
	return t;
}

struct task *task_get(struct task *t)
{
	ref_get(&t->ref);
	return t;
}

/* What a task gives up when it ends, and not only when the last reference goes. */
void task_drop_resources(struct task *t)
{
	struct fdtab *fds;
	struct fs *fs;
	struct mm *mm;

	mutex_lock(&t->lock);
	fds = steal(t->fds);
	fs = steal(t->fsc.fs);
	mm = steal(t->mm);
	mutex_unlock(&t->lock);
	fdtab_put(fds);
	fs_put(fs);
	mm_put(mm);
	ipc_undo_exit(t);
}

void task_put(struct task *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	task_drop_resources(t);
	sigpending_flush(&t->pending);
	cred_put(t->cred);
	proc_put(t->proc);
	seccomp_free(&t->seccomp);
	free(t->xstate);
	mutex_fini(&t->lock);
	free(t);
}

/* --- what others ask ------------------------------------------------------------------------------------------ */

struct mm *task_get_mm(struct task *t)
{
	struct mm *mm;

	mutex_lock(&t->lock);
	mm = t->mm ? mm_get(t->mm) : NULL;
	mutex_unlock(&t->lock);
	return mm;
}

struct fdtab *task_get_fds(struct task *t)
{
	struct fdtab *fds;

	mutex_lock(&t->lock);
	fds = t->fds ? fdtab_get_ref(t->fds) : NULL;
	mutex_unlock(&t->lock);
	return fds;
}

struct fs *task_get_fs(struct task *t)
{
	struct fs *fs;

	mutex_lock(&t->lock);
	fs = t->fsc.fs ? fs_get(t->fsc.fs) : NULL;
	mutex_unlock(&t->lock);
	return fs;
}

struct cred *task_get_cred(struct task *t)
{
	struct cred *c;

	mutex_lock(&t->lock);
	c = t->cred ? cred_get(t->cred) : NULL;
	mutex_unlock(&t->lock);
	return c;
}

void task_comm(struct task *t, char out[TASK_COMM_LEN])
{
	mutex_lock(&t->lock);
	memcpy(out, t->comm, TASK_COMM_LEN);
	mutex_unlock(&t->lock);
}

void task_set_comm(struct task *t, const char *name)
{
	mutex_lock(&t->lock);
	memset(t->comm, 0, TASK_COMM_LEN); /* all of it is shown by PR_GET_NAME */
	memcpy(t->comm, name, strnlen(name, TASK_COMM_LEN - 1));
	mutex_unlock(&t->lock);
}

bool proc_is_alone(struct proc *p)
{
	bool alone;

	mutex_lock(&p->lock);
	alone = p->nthreads == 1;
	mutex_unlock(&p->lock);
	return alone;
}

pid_t proc_ppid_locked(struct proc *p)
{
	return p->parent ? p->parent->pid : 0;
}

pid_t task_ppid(struct task *t)
{
	pid_t ppid;

	mutex_lock(&tasks_lock);
	ppid = proc_ppid_locked(t->proc);
	mutex_unlock(&tasks_lock);
	return ppid;
}

/* Sleeping tasks do not say so themselves: their waiter does (wait.c: word 2 is asleep). */
static bool is_asleep(struct waiter *w)
{
	return atomic_load(&w->woken) == 2 || atomic_load(&w->in_host_wait);
}

char task_state_char(struct task *t)
{
	enum task_state s;

	mutex_lock(&t->proc->lock);
	s = t->state;
	mutex_unlock(&t->proc->lock);
	switch (s) {
	case TASK_STOPPED: return 'T';
	case TASK_TRACED: return 't';
	case TASK_ZOMBIE: return 'Z';
	case TASK_DEAD: return 'X';
	case TASK_SLEEPING: return 'S'; /* init */
	case TASK_RUNNING: break;
	}
	if (t->in_vfork)
		return 'D';
	return is_asleep(&t->waiter) ? 'S' : 'R';
}
